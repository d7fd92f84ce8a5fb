"""How far activations and gradients spread through a deep stack, by the spread of the first weights."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import scope
from scenes.bricks import SLOPES, activate, named, within
from scenes.scene import Chapter, Leaves, Notation, Parameter, Proof, Recording, SceneError, Text, scene

# The spread of the weights as a multiple of Xavier's √(2/(n_in + n_out)); at equal widths that is 1/√n,
# and a multiple s changes the variance by s² a layer
STARTS = {"too small": 0.25, "Xavier": 1.0, "too large": 4.0}
LARGE = {"layers": 10, "units": 256, "batch": 16, "activation": "linear"}


def _layers(r: Recording) -> range:
    return range(1, int(r.parameters["layers"]) + 1)


def _forward_by_hand(r: Recording) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Sums u and activations z of all layers."""
    linear = r.parameters["activation"] == "linear"
    sums: list[np.ndarray] = []
    activations = [r.value("x")]
    for layer in _layers(r):
        sums.append(r.value(f"W_{layer}") @ activations[-1])
        activations.append(sums[-1] if linear else np.tanh(sums[-1]))
    return sums, activations[1:]


def _spread(arrays: list[np.ndarray]) -> np.ndarray:
    """The mean square of each: the variance around 0."""
    return np.array([np.mean(a**2) for a in arrays])


def _activations(r: Recording) -> tuple[Any, Any]:
    return _spread([r.value(f"z_{layer}") for layer in _layers(r)]), _spread(_forward_by_hand(r)[1])


def _gradients(r: Recording) -> tuple[Any, Any]:
    sums, _ = _forward_by_hand(r)
    slope = SLOPES[str(r.parameters["activation"])]
    errors = [r.value("d")]
    for layer in reversed(_layers(r)[1:]):
        errors.insert(0, r.value(f"W_{layer}").T @ (errors[0] * slope(sums[layer - 1])))
    return _spread([r.grad(f"z_{layer}") for layer in _layers(r)]), _spread(errors)


def spreads(r: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Mean squares of the activations from the first layer on and of the gradients from the last one back."""
    forth = _spread([r.value(f"z_{layer}") for layer in _layers(r)])
    return forth, _spread([r.grad(f"z_{layer}") for layer in reversed(_layers(r))])


def _large(r: Recording, start: str) -> tuple[np.ndarray, np.ndarray]:
    """The same for a linear stack that is wide enough for averages to mean something."""
    return spreads(r.scene.build(LARGE | {"start": start}, seed=r.seed))


def _kept(r: Recording) -> tuple[Any, Any]:
    forth, back = _large(r, "Xavier")
    return within(np.concatenate([forth / forth[0], back / back[0]]), 0.5, 2.0)


def _lost(r: Recording) -> tuple[Any, Any]:
    forth, back = _large(r, "too small")
    return within(np.concatenate([forth[1:] / forth[:-1], back[1:] / back[:-1]]), 0.0, 0.1)


@scene(
    "xavier",
    family="foundations",
    title=Text("Xavier initialisation", "Xavier初期化"),
    summary=Text(
        "Before any learning: how large are the activations of each layer, and how large the gradients "
        "that come back? With weights of the wrong spread both fade or explode layer by layer.",
        "学習を始める前の話です。各層の活性はどれくらいの大きさで、戻ってくる勾配はどれくらいでしょうか。"
        "重みのばらつきが不適切だと、どちらも層ごとに消えるか爆発します。",
    ),
    source="CS",
    parameters=(
        Parameter(
            "start",
            "Xavier",
            Text(
                "spread of the weights: a quarter of Xavier's, Xavier's, four times Xavier's",
                "重みのばらつき: Xavierの 1/4、Xavier、Xavierの 4 倍",
            ),
            choices=tuple(STARTS),
        ),
        Parameter(
            "activation",
            "linear",
            Text("f after each product", "各積の後の活性化関数 f"),
            choices=("linear", "tanh"),
        ),
        Parameter("layers", 5, Text("number of layers", "層の数"), 2, 20),
        Parameter("units", 8, Text("n, units in every layer", "各層のユニット数 n"), 2, 256),
        Parameter("batch", 4, Text("examples, one in each column", "サンプル数 (各列が一つ)"), 1, 32),
    ),
    notations={"CS": Notation("sub", {"dz": "d⊙z"})},
    formulas=(
        r"z^{(l)} = f(W^{(l)} z^{(l-1)}),\qquad W_{ij} \sim \mathcal{N}(0, s^2)",
        r"E = \sum d \odot z^{(L)},\qquad \frac{\partial E}{\partial z^{(L)}} = d",
        r"\mathrm{Var}\,z^{(l)} = n_{in}\, s^2\, \mathrm{Var}\,z^{(l-1)}",
        r"\mathrm{Var}\,\frac{\partial E}{\partial z^{(l-1)}} = n_{out}\, s^2\,"
        r" \mathrm{Var}\,\frac{\partial E}{\partial z^{(l)}}",
        r"s^2 = \frac{2}{n_{in} + n_{out}}",
    ),
    chapters=(
        Chapter(
            "forward",
            Text("Forward: does the signal survive?", "順伝播: 信号は残るか"),
            Text(
                "The stack is $layers layers deep. Each number of a layer is a sum of $units products, so "
                "its variance is `n·s²` times that of the layer before. Here the weights start "
                "`$start`.\n\n"
                "Go through the boxes `z` from left to right and read their numbers in the inspector. "
                "Then set `start` to `too small` and to `too large`: a sixteenth, or sixteen times, is "
                "left of the variance at *each* layer.",
                "$layers 層の積み重ねです。各層の数はどれも $units 個の積の和なので、分散は一つ前の層の "
                "`n·s²` 倍になります。ここでの重みの初期値は `$start` です。\n\n"
                "`z` の箱を左から右へたどり、インスペクタで数を読んでください。次に `start` を `too "
                "small`、`too large` にしてみましょう。*一層ごとに*分散が 16 分の 1、または 16 "
                "倍になります。",
            ),
            "start",
            "forward E",
            highlight=("x", "z_*"),
        ),
        Chapter(
            "backward",
            Text("Backward: the same story mirrored", "逆伝播: 同じことが逆向きに"),
            Text(
                "The error that comes in is given: `E = Σ d ⊙ z`, so the last layer receives just `d`. "
                "Back it goes through `Wᵀ`, and each number is a sum over the units of the layer "
                "*behind*: the variance is multiplied by `n_out·s²`. Too small a start, and the first "
                "layers hear nothing; too large, and they are shouted at.\n\n"
                "Compare `∂E/∂z` from right to left.",
                "入ってくる誤差は与えられています。`E = Σ d ⊙ z` なので、最後の層に届くのは `d` "
                "そのものです。帰り道では `Wᵀ` を通り、各数は*後ろの*層のユニットについての和になるので、"
                "分散は `n_out·s²` 倍になります。初期値が小さすぎると最初の層には何も届かず、"
                "大きすぎると大きすぎる勾配が届きます。\n\n"
                "`∂E/∂z` を右から左へ比べてください。",
            ),
            "backward E",
            "end",
            highlight=("z_*", "x"),
        ),
        Chapter(
            "rule",
            Text("Xavier's rule", "Xavierの規則"),
            Text(
                "Forward wants `n_in·s² = 1`, backward wants `n_out·s² = 1`. Both can be had only if the "
                "widths are equal, so the rule takes the middle: `s² = 2/(n_in + n_out)`. The weights "
                "know the architecture they live in; that is all there is to it.\n\n"
                "With few units chance is large. Set `units` to 256 and `layers` to 10: with Xavier's "
                "start the variance stays between half and twice that of the first layer, there and back.",
                "順伝播は `n_in·s² = 1` を、逆伝播は `n_out·s² = 1` を求めます。"
                "両方を満たせるのは幅が等しいときだけなので、間をとって `s² = 2/(n_in + n_out)` とします。"
                "重みが自分の置かれる構造を知っている、それだけのことです。\n\n"
                "ユニットが少ないと偶然の影響が大きくなります。`units` を 256、`layers` を 10 にすると、"
                "Xavierでは行きも帰りも分散が最初の層の 0.5～2 倍に収まります。",
            ),
            "start",
            "end",
            highlight=("W_*", "z_*"),
        ),
        Chapter(
            "tanh",
            Text("Why tanh still fades slowly", "tanh では少しずつ小さくなる理由"),
            Text(
                "Set `activation` to `tanh`. Near 0 its slope is 1 and Xavier's sum comes out even, but a "
                "number away from 0 is squashed: `|tanh u| < |u|`. So every layer loses a little of the "
                "variance, slowly and never all of it: the smaller the numbers, the less is lost.\n\n"
                "With `too large` most units are driven to ±1. The activations look fine, but these units "
                "have a slope near 0 and learn next to nothing; all the gradient runs through the few in "
                "between, and there it still grows from layer to layer.",
                "`activation` を `tanh` にしてください。0 の近くでは傾きが 1 でXavierの計算どおりですが、"
                "0 から離れた数は縮められます: `|tanh u| < |u|`。そのため層ごとに分散が少しずつ減ります。"
                "ただし数が小さいほど減り方も小さく、なくなりはしません。\n\n"
                "`too large` ではほとんどのユニットが ±1 に張りつきます。活性は問題なさそうに見えますが、"
                "張りついたユニットの傾きはほぼ 0 で、ほとんど学習できません。"
                "勾配は残りのわずかなユニットだけを通り、そこでは層ごとに大きくなり続けます。",
            ),
            "forward z_1",
            "end",
            highlight=("u_*", "z_*"),
        ),
    ),
    proofs=(
        Proof(
            "activations",
            Text("mean square of the activations, layer by layer", "各層の活性の二乗平均"),
            r"z^{(l)} = f(W^{(l)} z^{(l-1)})",
            _activations,
        ),
        Proof(
            "gradients",
            Text("mean square of the gradients, layer by layer", "各層の勾配の二乗平均"),
            r"\frac{\partial E}{\partial z^{(l-1)}} = {W^{(l)}}^{\top}"
            r"\left(\frac{\partial E}{\partial z^{(l)}} \odot f'(u^{(l)})\right)",
            _gradients,
        ),
        Proof(
            "kept",
            Text(
                "10 layers of 256 units: Xavier keeps the variance", "256 ユニット 10 層: Xavierは分散を保つ"
            ),
            r"\frac{1}{2} \le \frac{\mathrm{Var}\,z^{(l)}}{\mathrm{Var}\,z^{(1)}} \le 2",
            _kept,
        ),
        Proof(
            "lost",
            Text(
                "too small a start loses ten times a layer or more",
                "小さすぎる初期値は一層ごとに 10 分の 1 以下",
            ),
            r"\frac{\mathrm{Var}\,z^{(l)}}{\mathrm{Var}\,z^{(l-1)}} \le \frac{1}{10}",
            _lost,
        ),
    ),
    estimate=lambda p: 3 * p.layers + 4,
)
def xavier(p: Any, leaves: Leaves) -> Any:
    draw = leaves.draw
    spread = STARTS[p.start] * np.sqrt(2 / (p.units + p.units))
    with scope("input"):
        z = leaves.input("x", draw("x", (p.units, p.batch)))
    products = p.layers * p.units**2 * p.batch
    if isinstance(z, np.ndarray) and products > 25_000:
        raise SceneError(
            f"scene xavier in scalar form would have about {2 * products} nodes, at most 50000 fit; "
            "choose fewer units, layers or a smaller batch",
            f"シーン xavier をスカラーに分けるとノードが約 {2 * products} 個になります。上限は 50000 個です。"
            "units、layers、batch のどれかを小さくしてください",
        )
    for layer in range(1, p.layers + 1):
        W = np.round(spread * draw(f"W_{layer}", (p.units, p.units)), 4) + 0.0
        weights = leaves.parameter(f"W_{layer}", W)
        with scope(f"layer{layer}"):
            if p.activation == "linear":
                z = named(f"z_{layer}", weights @ z)
            else:
                z = named(f"z_{layer}", activate(p.activation, named(f"u_{layer}", weights @ z)))
    with scope("loss"):
        # the error is given: a difference to a target would know the weights and grow on its way back
        d = leaves.target("d", draw("d", (p.units, p.batch)))
        return named("E", ag.sum(named("dz", d * z)))
