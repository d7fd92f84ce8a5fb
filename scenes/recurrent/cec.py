"""The constant error carousel of the RN notes: a memory that only adds keeps its error unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import at_time, scope
from scenes.bricks import SLOPES, local_derivative, named, squared_loss
from scenes.recurrent.layers import NOTATION, letters_note
from scenes.scene import Chapter, Erratum, Leaves, Notation, Parameter, Proof, Recording, Text, scene


def _steps(r: Recording) -> range:
    return range(1, int(r.parameters["T"]) + 1)


def _output_error(r: Recording) -> np.ndarray:
    """∂E/∂C^T = W_outᵀ (y − d), from values alone."""
    return r.value("W_out").T @ (r.value("y") - r.value("d"))


def _ones(r: Recording) -> tuple[Any, Any]:
    local = np.stack([local_derivative(r, f"C_{t}", 0) for t in _steps(r)])
    return local, np.ones_like(local)


def _ends(r: Recording) -> tuple[Any, Any]:
    return r.grad("C_0"), r.grad(f"C_{r.parameters['T']}")


def _same_weight(r: Recording) -> tuple[Any, Any]:
    got = np.stack([r.grad(f"a_{t}") for t in _steps(r)])
    return got, np.broadcast_to(r.grad(f"C_{r.parameters['T']}"), got.shape)


def _memory(r: Recording) -> tuple[Any, Any]:
    return r.value(f"C_{r.parameters['T']}"), r.value("C_0") + sum(r.value(f"a_{t}") for t in _steps(r))


def _input_weights(r: Recording) -> tuple[Any, Any]:
    slope = SLOPES[str(r.parameters["activation"])]
    delta, W = _output_error(r), r.value("W_in")
    return r.grad("W_in"), sum(
        np.outer(delta * slope(W @ r.value(f"x_{t}")), r.value(f"x_{t}")) for t in _steps(r)
    )


def _output_weights(r: Recording) -> tuple[Any, Any]:
    return r.grad("W_out"), np.outer(r.value("y") - r.value("d"), r.value(f"C_{r.parameters['T']}"))


_NOTATIONS = {
    "RN": Notation("sup"),
    "CS": Notation("angle", {"C": "c", "a": "c̃", "y": "ŷ", "d": "y", "E": "L"}),
}
_NOTE = letters_note(_NOTATIONS)


@scene(
    "cec",
    family="recurrent",
    title=Text("Constant error carousel", "CEC (定誤差カルーセル)"),
    summary=Text(
        "A memory that only adds what comes in. Backwards its error meets the factor 1 at every step and "
        "neither vanishes nor explodes.",
        "入ってきたものを足すだけの記憶です。逆向きの誤差は各時刻で 1 倍されるだけなので、"
        "消えることも発散することもありません。",
    ),
    source="RN",
    parameters=(
        Parameter("T", 4, Text("number of time steps", "時刻の数"), 1, 50),
        Parameter("inputs", 2, Text("size of x", "入力 x の次元"), 1, 16),
        Parameter("units", 2, Text("size of the memory C", "記憶 C の次元"), 1, 32),
        Parameter("outputs", 1, Text("size of y and d", "出力 y と目標 d の次元"), 1, 16),
        Parameter(
            "activation",
            "tanh",
            Text("the squashing of the weighted input", "重み付き入力を押しつぶす関数"),
            choices=("tanh", "linear"),
        ),
        Parameter(
            "pulse",
            0,
            Text(
                "the only step with an input, all others are silent (the last one if k > T); "
                "0: every step has its own input",
                "入力がある唯一の時刻。ほかの時刻の入力は 0 (k > T なら最後の時刻)。0 なら毎時刻に入力がある",
            ),
            0,
            50,
        ),
        NOTATION,
    ),
    notations=_NOTATIONS,
    formulas=(
        r"a^t = f(W_{in}\,x^t)",
        r"C^t = C^{t-1} + a^t",
        r"y = W_{out}\,C^T,\qquad E = \frac{1}{2}\|y - d\|^2",
        r"\frac{\partial E}{\partial C^{t-1}} = \frac{\partial E}{\partial C^{t}}"
        r"\,\frac{\partial}{\partial C^{t-1}}\{a^t + C^{t-1}\} = \frac{\partial E}{\partial C^{t}}",
    ),
    chapters=(
        Chapter(
            "memory",
            Text("A memory that only adds", "足すだけの記憶"),
            Text(
                "`C` is the memory. At each of the $T steps the input is weighted and squashed to `a`, and "
                "`C^t = C^{t−1} + a^t` adds it. Nothing is forgotten, nothing is scaled: at the end `C` is "
                "what it was at the start plus everything that came.\n\n"
                "Follow the straight line of the `+` from left to right. There is no weight on it."
                f"{_NOTE.en}",
                "`C` が記憶です。$T 個の各時刻で入力に重みを掛けて押しつぶしたものが `a` で、"
                "`C^t = C^{t−1} + a^t` がそれを足します。忘れることも縮めることもありません。最後の `C` は、"
                "最初の値に入ってきたものすべてを足したものです。\n\n"
                "`+` が左から右へ一直線に並ぶのを見てください。この線の上に重みはありません。"
                f"{_NOTE.ja}",
            ),
            "start",
            "forward C_$T",
            highlight=("C_*",),
        ),
        Chapter(
            "read-out",
            Text("One loss at the very end", "損失は最後に一つだけ"),
            Text(
                "Only the last memory is read: `y = W_out C`, and `E` compares it with the target `d`. If an "
                "early input mattered, the news has to travel all the way back along the line of the `+`.\n\n"
                "Watch `∂E/∂y = y − d` start and pass through `W_outᵀ` to the last `C`.",
                "読み出すのは最後の記憶だけです。`y = W_out C` とし、`E` で目標 `d` と比べます。"
                "最初のほうの入力が大事だったなら、その知らせは `+` の線を最後までさかのぼらなければなりま"
                "せん。\n\n"
                "`∂E/∂y = y − d` が出発し、`W_outᵀ` を通って最後の `C` に届くのを見てください。",
            ),
            "forward y",
            "backward y",
            ("output", "loss", "C_$T"),
            ("y", "E"),
        ),
        Chapter(
            "ones",
            Text("The number on every edge is 1", "どの辺の数も 1"),
            Text(
                "A `+` sends its gradient on to both inputs unchanged: the local derivative is **exactly "
                "1**. So `∂E/∂C^{t−1} = ∂E/∂C^t`, and after $T steps the error at `C_0` is still the error "
                "at the last `C`, to the last bit. This is the *constant error carousel*.\n\n"
                "*Misprint in the RN notes:* they print `∂/∂C^{t−1}{a^t − C^{t−1}}`, which would be −1 and "
                "would turn the sign at every step; it is `a^t + C^{t−1}`, and the engine shows +1.",
                "`+` は勾配を両方の入力へそのまま渡します。局所微分は**ちょうど 1** です。したがって "
                "`∂E/∂C^{t−1} = ∂E/∂C^t` となり、$T 時刻さかのぼっても `C_0` の誤差は最後の `C` の誤差と最"
                "後のビットまで同じです。これが*定誤差カルーセル*です。\n\n"
                "*RNノートの誤植:* `∂/∂C^{t−1}{a^t − C^{t−1}}` とありますが、これでは −1 になり、"
                "時刻ごとに符号が反転してしまいます。正しくは `a^t + C^{t−1}` で、計算結果も +1 です。",
            ),
            "backward y",
            "end",
            highlight=("C_*",),
        ),
        Chapter(
            "against-rnn",
            Text("What a plain RNN does instead", "普通のRNNとの違い"),
            Text(
                "In a plain RNN one step back costs a factor `W f′(u)`. Over $T steps the factors multiply: "
                "below 1 the error vanishes, above 1 it explodes. Here every factor is 1, and 1 to any power "
                "stays 1. Open `bptt` with the same T and compare the gradients of the first step.\n\n"
                "*Misprint in the RN notes:* the recursion of the RNN is printed "
                "`δ^{t−z−1} = δ^{t−z}{W f(u)}`; the factor is `f′(u)`, the slope.",
                "普通のRNNでは、一時刻さかのぼるたびに `W f′(u)` が掛かります。$T 時刻分を掛け合わせると、"
                "1 より小さければ誤差は消え、大きければ発散します。ここでは係数がすべて 1 なので、"
                "何乗しても 1 のままです。同じ T で `bptt` を開き、最初の時刻の勾配を比べてみてください。"
                "\n\n"
                "*RNノートの誤植:* RNNの漸化式が `δ^{t−z−1} = δ^{t−z}{W f(u)}` とありますが、"
                "掛かるのは傾き `f′(u)` です。",
            ),
            "backward C_$T",
            "backward C_1",
            ("*/t=*",),
            ("C_*",),
        ),
        Chapter(
            "same-weight",
            Text("The price: every input weighs the same", "弱点: どの入力も同じ重み"),
            Text(
                "Look at the gradients of all the `a`: they are *equal*. The carousel can not tell an "
                "important input from a disturbing one, or an early one from a late one. Set `pulse` to 1, "
                "2, 3 …: the one input moves through time, and neither `y` nor `E` changes.\n\n"
                "To choose what to write, what to keep and when to read is what the **gates** of the LSTM "
                "are for.",
                "すべての `a` の勾配を見てください。*等しく*なっています。カルーセルは大事な入力と邪魔な入"
                "力を、早い入力と遅い入力を区別できません。`pulse` を 1、2、3 … と変えると、"
                "ただ一つの入力が時間の中を動きますが、`y` も `E` も変わりません。\n\n"
                "何を書き込み、何を残し、いつ読み出すかを選ぶためにあるのが、LSTMの**ゲート**です。",
            ),
            "backward C_$T",
            "end",
            ("*/t=*",),
            ("a_*",),
        ),
    ),
    proofs=(
        Proof(
            "ones",
            Text("every local derivative on the path is 1", "経路上の局所微分はすべて 1"),
            r"\partial C^t/\partial C^{t-1} = 1",
            _ones,
            exact=True,
        ),
        Proof(
            "constant-error",
            Text("the error arrives unchanged", "誤差は変わらずに届く"),
            r"\partial E/\partial C^0 = \partial E/\partial C^T",
            _ends,
            exact=True,
        ),
        Proof(
            "same-weight",
            Text("every input has the same weight whenever it comes", "いつ来た入力も同じ重み"),
            r"\partial E/\partial a^t = \partial E/\partial C^T \quad \forall t",
            _same_weight,
            exact=True,
        ),
        Proof(
            "memory",
            Text("the memory is the sum of what came", "記憶は入力の和"),
            r"C^T = C^0 + \sum_t a^t",
            _memory,
        ),
        Proof(
            "output-error",
            Text("the error that goes round", "回り続ける誤差"),
            r"\partial E/\partial C^T = W_{out}^{\top}(y - d)",
            lambda r: (r.grad(f"C_{r.parameters['T']}"), _output_error(r)),
        ),
        Proof(
            "W_in",
            Text("input weights", "入力重み"),
            r"\partial E/\partial W_{in} = \sum_t \left(\partial E/\partial C^T \odot f'(W_{in} "
            r"x^t)\right) {x^t}^{\top}",
            _input_weights,
        ),
        Proof(
            "W_out",
            Text("output weights", "出力重み"),
            r"\partial E/\partial W_{out} = (y - d)\,{C^T}^{\top}",
            _output_weights,
        ),
    ),
    errata=(
        Erratum(
            "RN",
            "∂/∂C^{t−1}{a^t − C^{t−1}} (−1)",
            "∂/∂C^{t−1}{a^t + C^{t−1}} (+1)",
            Text("the carousel adds", "カルーセルは足し算"),
        ),
        Erratum(
            "RN",
            "δ^{t−z−1} = δ^{t−z}{W f(u)}",
            "δ^{t−z−1} = δ^{t−z}{W f′(u)}",
            Text("the slope of f", "f の傾き"),
        ),
    ),
    estimate=lambda p: 5 * p.T + 8,
)
def cec(p: Any, leaves: Leaves) -> Any:
    draw = leaves.draw
    W_in = leaves.parameter("W_in", draw("W_in", (p.units, p.inputs), 0.7))
    W_out = leaves.parameter("W_out", draw("W_out", (p.outputs, p.units), 0.7))
    with scope("initial"):
        C = leaves.input("C_0", draw("C_0", (p.units,), 0.5))
    pulse = min(p.pulse, p.T)
    for t in range(1, p.T + 1):
        with scope("cec"), at_time(t):
            # the pulse is the same vector wherever it comes
            value = (
                draw(f"x_{t}", (p.inputs,)) if not pulse else draw("x_1", (p.inputs,)) * (t == pulse) + 0.0
            )
            u = W_in @ leaves.input(f"x_{t}", value)
            a = named(f"a_{t}", ag.tanh(u) if p.activation == "tanh" else u)
            C = named(f"C_{t}", C + a)
    with scope("output"):
        y = named("y", W_out @ C)
    with scope("loss"):
        d = leaves.target("d", draw("d", (p.outputs,)))
        return named("E", squared_loss(y, d))
