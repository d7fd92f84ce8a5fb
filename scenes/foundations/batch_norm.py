"""Batch normalisation: every unit is standardised over the batch, so that the examples meet each other."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import Tensor, scope
from scenes.bricks import SLOPES, activate, constant, named, squared_loss
from scenes.scene import Chapter, Leaves, Notation, Parameter, Proof, Recording, Text, scene


def _normalised(r: Recording) -> str:
    """Name of what goes into the normalisation: the sums u, or after the squashing a."""
    return "u" if r.parameters["placement"] == "before f" else "a"


def _standardised(r: Recording) -> tuple[np.ndarray, np.ndarray]:
    """x̂, a column for each unit, and √(σ² + ε), by hand from what goes in."""
    x = r.value(_normalised(r))
    epsilon = float(r.value("epsilon") if "epsilon" in r.graph.names else r.parameters["epsilon"])
    spread = np.sqrt(((x - x.mean(axis=0)) ** 2).mean(axis=0) + epsilon)
    return (x - x.mean(axis=0)) / spread, spread


def _error(r: Recording) -> np.ndarray:
    """∂L/∂n: the difference to the target, times the slope of f where f comes afterwards."""
    if r.parameters["placement"] == "after f":
        return r.value("n") - r.value("d")
    return (r.value("z") - r.value("d")) * SLOPES[str(r.parameters["activation"])](r.value("n"))


def _back(r: Recording) -> np.ndarray:
    """The gradient of what goes into the normalisation, by the closed form."""
    xhat, spread = _standardised(r)
    g = _error(r)
    return r.value("gamma") / spread * (g - g.mean(axis=0) - xhat * (g * xhat).mean(axis=0))


def _value(r: Recording) -> tuple[Any, Any]:
    return r.value("n"), r.value("gamma") * _standardised(r)[0] + r.value("beta")


def _input(r: Recording) -> tuple[Any, Any]:
    return r.grad(_normalised(r)), _back(r)


def _sums_to_zero(r: Recording) -> tuple[Any, Any]:
    """Taking its mean over the batch away changes nothing: the mean is 0."""
    grad = r.grad(_normalised(r))
    return grad, grad - grad.mean(axis=0)


def _scale_and_shift(r: Recording) -> tuple[Any, Any]:
    (xhat, _), g = _standardised(r), _error(r)
    return np.stack([r.grad("gamma"), r.grad("beta")]), np.stack([(g * xhat).sum(axis=0), g.sum(axis=0)])


def _weights(r: Recording) -> tuple[Any, Any]:
    slope = SLOPES[str(r.parameters["activation"])](r.value("u"))
    return r.grad("W"), r.value("x").T @ (_back(r) * (slope if _normalised(r) == "a" else 1.0))


@scene(
    "batch-norm",
    family="foundations",
    title=Text("Batch normalisation", "バッチ正規化"),
    summary=Text(
        "Each unit subtracts the batch's mean and divides by its spread, then learns a scale γ and a "
        "shift β. On the way back the error also runs through the mean and the variance.",
        "各ユニットはバッチの平均を引いて標準偏差で割り、その後に倍率 γ とずらし β を学習します。"
        "帰り道では、誤差が平均と分散も通って戻ります。",
    ),
    source="CS",
    parameters=(
        Parameter("batch", 4, Text("examples in the batch", "バッチのサンプル数"), 2, 32),
        Parameter("inputs", 2, Text("size of each x", "各入力 x の次元"), 1, 16),
        Parameter("units", 3, Text("units of the layer", "層のユニット数"), 1, 16),
        Parameter(
            "placement",
            "before f",
            Text(
                "normalise before the non-linearity, as printed, or after it",
                "非線形関数の前 (ノートの形) か後か",
            ),
            choices=("before f", "after f"),
        ),
        Parameter(
            "form",
            "spelled out",
            Text(
                "μ, σ² and the rest as nodes of their own, or one operation",
                "μ や σ² を一つずつの節点にするか、一つの演算にするか",
            ),
            choices=("spelled out", "one operation"),
        ),
        Parameter(
            "activation",
            "tanh",
            Text("f, the non-linearity", "非線形関数 f"),
            choices=("tanh", "sigmoid", "relu"),
        ),
        Parameter(
            "epsilon",
            1e-5,
            Text(
                "ε, keeps the division finite when a unit does not vary",
                "ε。値が変化しないユニットで 0 で割るのを防ぐ",
            ),
            1e-8,
            1.0,
        ),
    ),
    notations={
        "CS": Notation(
            "sub",
            {"mu": "μ", "sigma": "σ", "var": "σ²", "xhat": "x̂", "gamma": "γ", "beta": "β", "epsilon": "ε"}
            | {"centred": "x−μ", "square": "(x−μ)²", "shifted": "σ²+ε", "scaled": "γx̂"},
        )
    },
    formulas=(
        r"\mu_B = \frac{1}{m}\sum_i x_i,\qquad \sigma_B^2 = \frac{1}{m}\sum_i (x_i - \mu_B)^2",
        r"x_i \leftarrow \gamma\,\hat{x}_i + \beta,\qquad \hat{x}_i = \frac{x_i - \mu_B}{s}",
        r"s = \sqrt{\sigma_B^2 + \varepsilon}",
        r"\frac{\partial L}{\partial x} = \frac{\gamma}{s}\,(g - \bar{g} - \hat{x}\,\overline{g \hat{x}}),"
        r"\qquad \bar{g} = \frac{1}{m}\sum_i g_i",
        r"\sum_i \frac{\partial L}{\partial x_i} = 0",
        r"\frac{\partial L}{\partial \gamma} = \sum_i g_i \hat{x}_i,\qquad"
        r" \frac{\partial L}{\partial \beta} = \sum_i g_i",
    ),
    chapters=(
        Chapter(
            "statistics",
            Text("Mean and variance of the batch", "バッチの平均と分散"),
            Text(
                "Every matrix here has one row for each of the $batch examples and one column for each "
                "unit. Up to `u` the rows do not know of each other. Then each column is averaged: `μ`, "
                "the mean, and `σ²`, the mean squared distance from it. From here on the examples hang "
                "together.\n\n"
                "Look at the shapes: `μ` and `σ²` are rows of numbers, one for each unit.",
                "ここの行列は、行が $batch 個のサンプル、列がユニットです。`u` "
                "までは行どうしが互いを知りません。次に列ごとに平均をとります。平均 `μ` と、"
                "そこからの距離の二乗の平均 `σ²` です。ここからサンプルどうしがつながります。\n\n"
                "形を見てください。`μ` と `σ²` は、ユニットごとに数が一つ並んだものです。",
            ),
            "start",
            "forward n",
            ("layer1", "norm"),
            ("u", "a", "mu", "var"),
        ),
        Chapter(
            "standardise",
            Text("Standardise, then scale and shift", "標準化し、倍率とずらしを加える"),
            Text(
                "`x̂ = (x − μ)/√(σ² + ε)` has mean 0 and variance 1 in every column, whatever the layer "
                "before does. That could be too much, so two learned vectors may undo it: `γ` for the "
                "scale and `β` for the shift.\n\n"
                "It stands *before the non-linearity*, so that tanh or sigmoid gets numbers where it "
                "still has a slope. A bias in the layer before would be pointless: the mean takes it away "
                "again.",
                "`x̂ = (x − μ)/√(σ² + ε)` は、前の層がどうであれ、どの列でも平均 0、分散 1 になります。"
                "それでは強すぎることもあるので、学習される二つのベクトル、倍率 `γ` とずらし `β` "
                "で元に戻せるようにしておきます。\n\n"
                "置き場所は*非線形関数の前*です。tanh やシグモイドに、まだ傾きのある範囲の数が入ります。"
                "なお、前の層にバイアスを置いても、平均と一緒に引かれるので意味がありません。",
            ),
            "forward u",
            "forward n",
            ("norm",),
            ("xhat", "gamma", "beta", "n"),
        ),
        Chapter(
            "three-paths",
            Text("Three ways back", "帰り道は三本"),
            Text(
                "The gradient of `n` goes back to the input on three ways: straight through `x̂`, through "
                "`σ²`, and through `μ`. Watch the gradient of the input arrive in instalments. The "
                "straight part is the error divided by the spread; the way through `μ` takes the mean of "
                "the error away; the way through `σ²` takes away its part along `x̂`.\n\n"
                "With `form` set to `one operation` the same three terms stand in one formula.",
                "`n` の勾配は三本の道で入力へ戻ります。`x̂` をまっすぐ通る道、`σ²` を通る道、`μ` "
                "を通る道です。入力の勾配が分割で届くのを見てください。"
                "まっすぐの分は誤差を標準偏差で割ったもの、`μ` を通る分は誤差の平均を取り除き、`σ²` "
                "を通る分は `x̂` に沿った成分を取り除きます。\n\n"
                "`form` を `one operation` にすると、同じ三つの項が一つの式になります。",
            ),
            "backward n",
            "backward u",
            ("norm", "layer1"),
            ("u", "a", "mu", "var", "xhat"),
        ),
        Chapter(
            "zero-sum",
            Text("The batch shares a sum of zero", "バッチ全体の和は 0"),
            Text(
                "Add up a column of the gradient at the input of the normalisation: it is 0. Moving all "
                "examples of the batch by the same amount moves `μ` along with them and nothing else; the "
                "loss can not notice.\n\n"
                "So an example's gradient depends on who else is in its batch. Change one number of `x` "
                "in the inspector: the gradients of all rows answer.",
                "正規化に入る値の勾配を列ごとに足してください。和は 0 です。"
                "バッチのサンプルをすべて同じだけ動かしても、`μ` が一緒に動くだけで、"
                "損失には何の変化もないからです。\n\n"
                "つまり、あるサンプルの勾配は同じバッチに誰がいるかで変わります。インスペクタで `x` "
                "の数を一つ変えると、すべての行の勾配が変わります。",
            ),
            "backward n",
            "end",
            highlight=("u", "a", "x", "W", "gamma", "beta"),
        ),
    ),
    proofs=(
        Proof(
            "value",
            Text("scaled and shifted standard scores", "標準化の後に倍率とずらし"),
            r"\gamma\,\frac{x - \mu_B}{\sqrt{\sigma_B^2 + \varepsilon}} + \beta",
            _value,
        ),
        Proof(
            "input",
            Text("back through x̂, σ² and μ", "x̂、σ²、μ を通る逆伝播"),
            r"\frac{\partial L}{\partial x} = \frac{\gamma}{s}\,"
            r"(g - \bar{g} - \hat{x}\,\overline{g \hat{x}})",
            _input,
        ),
        Proof(
            "zero-sum",
            Text("the gradient sums to 0 over the batch", "勾配のバッチ方向の和は 0"),
            r"\frac{\partial L}{\partial x} = \frac{\partial L}{\partial x}"
            r" - \frac{1}{m}\sum_i \frac{\partial L}{\partial x_i}",
            _sums_to_zero,
        ),
        Proof(
            "scale-and-shift",
            Text("gradients of γ and β", "γ と β の勾配"),
            r"\frac{\partial L}{\partial \gamma} = \sum_i g_i \hat{x}_i,\quad"
            r" \frac{\partial L}{\partial \beta} = \sum_i g_i",
            _scale_and_shift,
        ),
        Proof(
            "weights",
            Text("weights of the layer, summed over the batch", "層の重み (バッチの和)"),
            r"\frac{\partial L}{\partial W} = x^{\top}\frac{\partial L}{\partial u}",
            _weights,
        ),
    ),
    estimate=lambda p: 30,
)
def batch_norm(p: Any, leaves: Leaves) -> Any:
    draw = leaves.draw
    W = leaves.parameter("W", draw("W", (p.inputs, p.units)))
    gamma = leaves.parameter("gamma", np.round(1 + draw("gamma", (p.units,), 0.3), 2))
    beta = leaves.parameter("beta", draw("beta", (p.units,), 0.3))
    with scope("layer1"):
        x = leaves.input("x", draw("x", (p.batch, p.inputs)))
        v = u = named("u", x @ W)
        if p.placement == "after f":
            v = named("a", activate(p.activation, u))
    with scope("norm"):
        y = named("n", _normalise(p, leaves, v, gamma, beta))
    if p.placement == "before f":
        y = named("z", activate(p.activation, y))
    with scope("loss"):
        d = leaves.target("d", draw("d", (p.batch, p.units), 0.5))
        return named("L", squared_loss(y, d))


def _normalise(p: Any, leaves: Leaves, v: Any, gamma: Any, beta: Any) -> Any:
    """Over the examples, axis 0. In scalar form it is always spelled out."""
    if p.form == "one operation" and isinstance(v, Tensor):
        return ag.batch_norm(v, gamma, beta, eps=p.epsilon)
    mu = named("mu", ag.mean(v, axis=0))
    centred = named("centred", v - mu)
    var = named("var", ag.mean(named("square", centred**2), axis=0))
    sigma = named("sigma", ag.sqrt(named("shifted", var + constant(leaves, "epsilon", p.epsilon))))
    xhat = named("xhat", centred / sigma)
    return named("scaled", gamma * xhat) + beta
