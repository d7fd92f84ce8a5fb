"""A dense (affine) layer twice: as a product and a sum, and as one product with an input that is always 1."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import Tensor, scope
from scenes.bricks import named, squared_loss
from scenes.scene import Chapter, Leaves, Notation, Parameter, Proof, Recording, Text, scene


def _output(r: Recording) -> np.ndarray:
    return r.value("W") @ r.value("I") + r.value("b")


def _errors(r: Recording) -> tuple[np.ndarray, np.ndarray]:
    """∂E/∂O and ∂E/∂O′ by hand; they differ only when someone changed one of the two layers."""
    joined = r.value("Wprime") @ np.append(r.value("I"), 1.0)
    return _output(r) - r.value("d"), joined - r.value("d")


def _outputs(r: Recording) -> tuple[Any, Any]:
    W, b = r.value("Wprime")[:, :-1], r.value("Wprime")[:, -1]
    return np.stack([r.value("O"), r.value("Oprime")]), np.stack([_output(r), W @ r.value("I") + b])


def _separate(r: Recording) -> tuple[Any, Any]:
    error, _ = _errors(r)
    closed = np.column_stack([np.outer(error, r.value("I")), error])
    return np.column_stack([r.grad("W"), r.grad("b")]), closed


def _joined(r: Recording) -> tuple[Any, Any]:
    _, error = _errors(r)
    return r.grad("Wprime"), np.outer(error, np.append(r.value("I"), 1.0))


def _input(r: Recording) -> tuple[Any, Any]:
    first, second = _errors(r)
    back = r.value("Wprime").T @ second
    return r.grad("I"), r.value("W").T @ first + back[:-1]


def _count(r: Recording) -> tuple[Any, Any]:
    numbers = (r.parameters["inputs"] + 1) * r.parameters["outputs"]  # type: ignore[operator]
    return [r["W"].size + r["b"].size, r["Wprime"].size], [numbers, numbers]


@scene(
    "dense",
    family="foundations",
    title=Text("Dense (affine) layer", "全結合層"),
    summary=Text(
        "Every output is a weighted sum of all inputs plus a bias; and the bias is nothing but the weight of "
        "an input that is always 1.",
        "どの出力も、すべての入力の重み付き和にバイアスを足したものです。バイアスは、"
        "いつも 1 である入力に掛かる重みにほかなりません。",
    ),
    source="RP, CS",
    parameters=(
        Parameter("inputs", 3, Text("i, the size of the input I", "入力 I の次元 i"), 1, 32),
        Parameter("outputs", 2, Text("o, the size of the output O", "出力 O の次元 o"), 1, 32),
        Parameter("gain", 1.0, Text("factor on all weights", "すべての重みの倍率"), 0.0, 5.0),
        Parameter(
            "notation",
            "RP",
            Text(
                "whose letters: O = W·I + b (RP) or z = W·x + b (CS)",
                "記号: O = W·I + b (RP) か z = W·x + b (CS)",
            ),
            choices=("RP", "CS"),
        ),
    ),
    notations={
        "RP": Notation(
            "sub", {"WI": "", "Iprime": "I′", "Wprime": "W′", "Oprime": "O′", "Lprime": "L′", "one": "1"}
        ),
        "CS": Notation(
            "sub",
            {"WI": "", "I": "x", "O": "z", "d": "y"}
            | {"Iprime": "x′", "Wprime": "W′", "Oprime": "z′", "Lprime": "L′", "one": "1"},
        ),
    },
    formulas=(
        r"O = W \cdot I + b",
        r"O' = W' \cdot \mathrm{concat}(I, 1),\qquad W' = [\,W,\; b\,]",
        r"\frac{\partial E}{\partial W'} = \left[\frac{\partial E}{\partial W},\;"
        r" \frac{\partial E}{\partial b}\right]",
        r"\mathrm{parameters} = (i + 1)\cdot o",
    ),
    chapters=(
        Chapter(
            "layer",
            Text("Each output sees every input", "どの出力もすべての入力を見る"),
            Text(
                "Start at the left with `I`. `W·I` multiplies every row of `W` with the whole input and "
                "adds up; then `b` is added. That is why the layer is called *dense*: no weight is "
                "missing.\n\n"
                "Count with the class: $inputs inputs and $outputs outputs need one weight for each pair "
                "and one bias for each output, together `(i + 1)·o` numbers.",
                "左の `I` から始めます。`W·I` では `W` の各行が入力全体と掛け合わされて足され、そこに `b` "
                "が加わります。抜けている重みが一つもないので*全結合*と呼ばれます。\n\n"
                "一緒に数えてみましょう。入力が $inputs 個、出力が $outputs 個なら、組ごとに重みが一つ、"
                "出力ごとにバイアスが一つで、合わせて `(i + 1)·o` 個です。",
            ),
            "start",
            "forward O",
            ("product", "input"),
            ("W", "b", "I", "O"),
        ),
        Chapter(
            "joined",
            Text("The bias as one more weight", "バイアスも重みの一つ"),
            Text(
                "Now the lower way. A 1 is hung on to the input and `b` on to the matrix as its last "
                "column: `W′ = [W, b]`. One product `W′·concat(I, 1)` does what took a product and a "
                "sum.\n\n"
                "Compare the two output boxes: `O` and `O′` hold the same numbers. Libraries and proofs "
                "like this form, because there is only one kind of parameter left.",
                "次は下の道です。入力の末尾に 1 を、行列の最後の列に `b` を付け足します: `W′ = [W, b]`。"
                "積と和の二段階が、`W′·concat(I, 1)` という一つの積になります。\n\n"
                "二つの出力の箱を比べてください。`O` と `O′` は同じ値です。パラメータが一種類で済むので、"
                "ライブラリや証明ではこの形が好まれます。",
            ),
            "forward O",
            "forward Oprime",
            ("joined", "input"),
            ("Wprime", "Iprime", "Oprime", "O"),
        ),
        Chapter(
            "gradients",
            Text("The same gradients", "勾配も同じ"),
            Text(
                "Both ways end in the same loss against the same target `d`, so both get the same error. "
                "Going back, *error times what the weight was multiplied with*: for `W` that is `I`, for "
                "`b` it is 1.\n\n"
                "So the last column of the gradient of `W′` is the gradient of `b`, and the columns "
                "before it are the gradient of `W`. Look at the three parameter boxes.",
                "どちらの道も同じ目標 `d` との損失で終わるので、届く誤差も同じです。帰り道の規則は"
                "*誤差 × その重みが掛けた相手*です。`W` の相手は `I`、`b` の相手は 1 です。\n\n"
                "したがって `W′` の勾配の最後の列が `b` の勾配で、その前の列が `W` の勾配です。"
                "三つのパラメータの箱を見比べてください。",
            ),
            "forward E",
            "end",
            highlight=("W", "b", "Wprime"),
        ),
        Chapter(
            "input",
            Text("Back to the input", "入力への勾配"),
            Text(
                "`I` was used twice, so its gradient comes in two instalments, `Wᵀ·δ` from each layer. "
                "The column of 1s in `W′` is cut off on the way: nobody asked how the loss changes with a "
                "constant.\n\n"
                "Change one number of `W` in the inspector. Now `O` and `O′` differ, and so do the two "
                "instalments.",
                "`I` は二回使われたので、勾配も二回に分けて、それぞれの層から `Wᵀ·δ` として届きます。1 "
                "に対応する分は途中で切り落とされます。定数に対する損失の変化は誰も必要としないからで"
                "す。\n\n"
                "インスペクタで `W` の数を一つ変えてみましょう。`O` と `O′` がずれ、"
                "二つの勾配も違ってきます。",
            ),
            "backward O",
            "end",
            ("input", "product", "joined"),
            ("I",),
        ),
    ),
    proofs=(
        Proof(
            "outputs",
            Text("both forms give the same output", "二つの形の出力"),
            r"W \cdot I + b = W' \cdot \mathrm{concat}(I, 1)",
            _outputs,
        ),
        Proof(
            "separate",
            Text("gradients of W and b", "W と b の勾配"),
            r"\frac{\partial E}{\partial W} = \delta I^{\top},\quad \frac{\partial E}{\partial b} = \delta",
            _separate,
        ),
        Proof(
            "joined",
            Text("gradient of the joined matrix", "結合した行列の勾配"),
            r"\frac{\partial E}{\partial W'} = [\,\delta I^{\top},\; \delta\,]",
            _joined,
        ),
        Proof(
            "input",
            Text("gradient of the input", "入力の勾配"),
            r"\frac{\partial E}{\partial I} = W^{\top}\delta + W^{\top}\delta'",
            _input,
        ),
        Proof(
            "count",
            Text("number of parameters", "パラメータの数"),
            r"(i + 1)\cdot o",
            _count,
            exact=True,
        ),
    ),
    estimate=lambda p: 16,
)
def dense(p: Any, leaves: Leaves) -> Any:
    draw = leaves.draw
    W = np.round(p.gain * draw("W", (p.outputs, p.inputs), 0.7), 4) + 0.0
    b = draw("b", (p.outputs,), 0.5)
    weights, bias = leaves.parameter("W", W), leaves.parameter("b", b)
    joined = leaves.parameter("Wprime", np.column_stack([W, b]))
    with scope("input"):
        x = leaves.input("I", draw("I", (p.inputs,)))
    with scope("product"):
        y = named("O", named("WI", weights @ x) + bias)
    with scope("joined"):
        one = leaves.constant("one", [1.0])
        longer = ag.concatenate([x, one])
        if isinstance(longer, Tensor):  # in scalar form it holds the leaves themselves
            named("Iprime", longer)
        y_joined = named("Oprime", joined @ longer)
    d = leaves.target("d", draw("d", (p.outputs,)))
    first, second = named("L", squared_loss(y, d)), named("Lprime", squared_loss(y_joined, d))
    return named("E", first + second)
