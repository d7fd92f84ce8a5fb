"""Cross-entropy, binary and categorical: a long way through logarithms that ends in a plain difference."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import Graph, Tensor, scope, tensor
from scenes.bricks import named, probabilities, total
from scenes.scene import Chapter, Leaves, Notation, Parameter, Proof, Recording, Text, scene


def _is_binary(r: Recording) -> bool:
    return r.parameters["kind"] == "binary"


def _probabilities_by_hand(r: Recording) -> np.ndarray:
    """z = σ(u), or p = softmax(u)."""
    u = r.value("u")
    if _is_binary(r):
        return 1 / (1 + np.exp(-u))
    e = np.exp(u - u.max())
    return e / e.sum()


def _error(r: Recording) -> np.ndarray:
    """∂L/∂u: prediction minus target; a soft target's sum scales the softmax."""
    y = r.value("y")
    return _probabilities_by_hand(r) * (1.0 if _is_binary(r) else y.sum()) - y


def _value(r: Recording) -> tuple[Any, Any]:
    u, y = r.value("u"), r.value("y")
    if _is_binary(r):
        return r.value("L"), np.sum(np.logaddexp(0, u) - y * u)
    return r.value("L"), np.sum(y) * np.logaddexp.reduce(u) - y @ u


def _scores(r: Recording) -> tuple[Any, Any]:
    return r.grad("u"), _error(r)


def _weights(r: Recording) -> tuple[Any, Any]:
    error = _error(r)
    engine = np.column_stack([r.grad("W"), r.grad("b")])
    return engine, np.column_stack([np.outer(error, r.value("x")), error])


def _forms(r: Recording) -> tuple[Any, Any]:
    """The gradient at the scores by both forms, each recorded afresh from the same scores."""
    found = []
    for form in ("spelled out", "one operation"):
        with Graph() as graph:
            u, y = tensor(r.value("u"), "u", "input"), tensor(r.value("y"), "y", "target")
            graph.backward(_loss(str(r.parameters["kind"]), form, u, y))
        assert u.grad is not None
        found.append(u.grad)
    return np.stack(found), np.stack([_error(r)] * 2)


@scene(
    "cross-entropy",
    family="foundations",
    title=Text("Cross-entropy losses", "交差エントロピー誤差"),
    summary=Text(
        "How surprised is the model by the true class? Through sigmoid or softmax and a logarithm the "
        "gradient collapses to prediction minus target.",
        "モデルは正解のクラスにどれだけ「驚く」でしょうか。シグモイドやソフトマックスと対数を通り抜けると、"
        "勾配は「予測 − 正解」という簡単な形になります。",
    ),
    source="CS",
    parameters=(
        Parameter(
            "kind",
            "categorical",
            Text(
                "yes or no with sigmoid, or one of several classes with softmax",
                "シグモイドによる二値か、ソフトマックスによる多クラスか",
            ),
            choices=("binary", "categorical"),
        ),
        Parameter(
            "form",
            "spelled out",
            Text(
                "the loss step by step, or as the one operation that libraries use",
                "損失を一歩ずつ計算するか、ライブラリのように一つの演算にするか",
            ),
            choices=("spelled out", "one operation"),
        ),
        Parameter(
            "classes", 3, Text("number of classes when categorical", "多クラスのときのクラス数"), 2, 16
        ),
        Parameter("inputs", 2, Text("size of x", "入力 x の次元"), 1, 16),
        Parameter(
            "gain",
            1.0,
            Text("factor on the weights: how sure the model is", "重みの倍率。モデルの確信の強さ"),
            0.0,
            2.0,
        ),
    ),
    notations={
        "CS": Notation(
            "sub",
            {"Wx": "", "logp": "log p", "hit": "y·log p", "logz": "log z", "yes": "y·log z", "rest": "1−z"}
            | {"logrest": "log(1−z)", "not": "1−y", "no": "", "both": ""},
        )
    },
    formulas=(
        r"u = W x + b,\qquad z = \sigma(u),\qquad p = \mathrm{softmax}(u)",
        r"L = -\left[\,y \log z + (1 - y)\log(1 - z)\,\right]",
        r"L = -\sum_i y_i \log p_i",
        r"\frac{\partial L}{\partial u} = z - y,\qquad \frac{\partial L}{\partial u} = p - y",
    ),
    chapters=(
        Chapter(
            "scores",
            Text("Scores are any numbers", "スコアはどんな数でもよい"),
            Text(
                "The layer gives scores `u = W x + b`, any numbers at all. Sigmoid will make one of them "
                "into the probability of *yes*; softmax will make several into probabilities that add up "
                "to 1. Here the loss is *$kind*.\n\n"
                "Remember which score is the largest. Only how clear the decision is depends on the "
                "distances between the scores; try `gain`.",
                "層が出すスコア `u = W x + b` はどんな数でもかまいません。このあと、"
                "シグモイドなら一つのスコアが「はい」の確率に、ソフトマックスなら複数のスコアが合計 1 "
                "の確率になります。ここでの損失は *$kind* です。\n\n"
                "どのスコアが最大かを覚えておいてください。スコアどうしの差が大きいほど、"
                "判断ははっきりします。`gain` で試してみましょう。",
            ),
            "start",
            "forward u",
            highlight=("u", "W", "b"),
        ),
        Chapter(
            "surprise",
            Text("The loss is a surprise", "損失は驚きの大きさ"),
            Text(
                "The largest probability stands where the largest score stood. The target `y` is 1 at the "
                "true class and 0 elsewhere, so `y ⊙ log p` picks out one number: the logarithm of the "
                "probability that the model gave to the truth. With the minus sign it is 0 for a sure and "
                "right model, and grows without bound for a sure and wrong one.\n\n"
                "In the binary form both halves are written down: `y log z` counts when the answer is "
                "yes, `(1 − y) log(1 − z)` when it is no.",
                "最大の確率は、最大のスコアと同じ位置にあります。正解 `y` は正しいクラスで 1、ほかで 0 "
                "なので、`y ⊙ log p` は一つの数だけを取り出します。正解にモデルが与えた確率の対数です。"
                "符号を反転すると、確信して正解なら 0、確信して間違えるといくらでも大きくなります。\n\n"
                "二値の場合は両方の項を書きます。答えが「はい」なら `y log z`、「いいえ」なら `(1 − y) "
                "log(1 − z)` が効きます。",
            ),
            "forward u",
            "forward L",
            ("prediction", "loss"),
            ("p", "z", "y", "L"),
        ),
        Chapter(
            "collapse",
            Text("Everything cancels", "すべてが打ち消し合う"),
            Text(
                "Step back slowly. The logarithm sends `−y/p` back, which is huge where `p` is small. "
                "Then sigmoid or softmax multiplies by its slope, which is *small* exactly there. The two "
                "cancel, and at the scores there is left\n\n"
                "`∂L/∂u = p − y` (softmax), `∂L/∂u = z − y` (sigmoid).\n\n"
                "Check it on the boxes: the true class gets a negative number, all others a positive one, "
                "and with softmax they add up to 0. A squared error would have kept the slope, and a sure "
                "and wrong unit would learn nothing.",
                "ゆっくりさかのぼりましょう。対数は `−y/p` を返すので、`p` "
                "が小さいところでは巨大になります。次にシグモイドやソフトマックスの傾きが掛かりますが、"
                "これはちょうど同じところで*小さく*なります。二つは打ち消し合い、スコアには\n\n"
                "`∂L/∂u = p − y` (ソフトマックス)、`∂L/∂u = z − y` (シグモイド)\n\n"
                "だけが残ります。箱で確かめてください。正解のクラスには負、ほかには正の数が届き、"
                "ソフトマックスでは合計が 0 です。二乗誤差なら傾きが残り、"
                "確信して間違えたユニットはほとんど学習できません。",
            ),
            "backward L",
            "backward u",
            ("loss", "prediction", "layer1"),
            ("u", "p", "z"),
        ),
        Chapter(
            "fused",
            Text("Why libraries make it one operation", "一つの演算にまとめる理由"),
            Text(
                "Set `form` to `one operation`. The probabilities disappear from the picture, the "
                "gradient at `u` stays the same. The fused operation computes `log Σ exp(u) − u` without "
                "ever forming `p`. With scores of ±800 the long way takes the logarithm of 0 and gives "
                "NaN; the fused one stays exact.\n\n"
                "From `u` on it is an ordinary layer: `∂L/∂W = (p − y)·xᵀ`, `∂L/∂b = p − y`.",
                "`form` を `one operation` にしてください。図から確率が消えますが、`u` "
                "での勾配は変わりません。まとめた演算は `p` を作らず、`log Σ exp(u) − u` を計算します。"
                "スコアが ±800 にもなると、一歩ずつの計算では 0 の対数をとって NaN になりますが、"
                "まとめた演算は正確なままです。\n\n"
                "`u` から先は普通の層です。`∂L/∂W = (p − y)·xᵀ`、`∂L/∂b = p − y`。",
            ),
            "backward u",
            "end",
            highlight=("u", "W", "b", "L"),
        ),
    ),
    proofs=(
        Proof(
            "value",
            Text("the loss, without forming a probability", "確率を作らずに計算した損失"),
            r"L = \log \sum_j e^{u_j} - u_{\mathrm{true}},\quad L = \log(1 + e^u) - y u",
            _value,
        ),
        Proof(
            "scores",
            Text("prediction minus target", "予測 − 正解"),
            r"\frac{\partial L}{\partial u} = z - y,\quad \frac{\partial L}{\partial u} = p - y",
            _scores,
        ),
        Proof(
            "weights",
            Text("weights and biases of the layer", "層の重みとバイアス"),
            r"\frac{\partial L}{\partial W} = (p - y)\, x^{\top},\quad \frac{\partial L}{\partial b} = p - y",
            _weights,
        ),
        Proof(
            "forms",
            Text("spelled out and as one operation", "一歩ずつの形と一つの演算"),
            r"\frac{\partial L}{\partial u} = p - y",
            _forms,
        ),
    ),
    estimate=lambda p: 20,
)
def cross_entropy(p: Any, leaves: Leaves) -> Any:
    draw = leaves.draw
    outputs = 1 if p.kind == "binary" else p.classes
    W = leaves.parameter("W", np.round(p.gain * draw("W", (outputs, p.inputs)), 4) + 0.0)
    b = leaves.parameter("b", draw("b", (outputs,), 0.3))
    with scope("input"):
        x = leaves.input("x", draw("x", (p.inputs,)))
    with scope("layer1"):
        u = named("u", total([named("Wx", W @ x), b]))
    lots = draw("y", (p.classes,))
    truth = [float(lots[0] > 0)] if p.kind == "binary" else np.eye(outputs)[np.argmax(lots)]
    with scope("loss"):
        y = leaves.target("y", truth)
    return _loss(p.kind, p.form, u, y)


def _loss(kind: str, form: str, u: Any, y: Any) -> Any:
    """From scores to L. In scalar form it is always spelled out."""
    if form == "one operation" and isinstance(u, Tensor):
        with scope("loss"):
            fused = ag.binary_cross_entropy_with_logits if kind == "binary" else ag.cross_entropy
            return named("L", fused(u, y))
    with scope("prediction"):
        guess = named("z", ag.sigmoid(u)) if kind == "binary" else named("p", probabilities(u))
    with scope("loss"):
        if kind == "categorical":
            terms = named("hit", y * named("logp", ag.log(guess)))
        else:
            yes = named("yes", y * named("logz", ag.log(guess)))
            log_rest = named("logrest", ag.log(named("rest", 1.0 - guess)))
            terms = named("both", yes + named("no", named("not", 1.0 - y) * log_rest))
        return named("L", -ag.sum(terms))
