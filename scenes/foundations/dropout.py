"""Dropout between two layers: a seeded mask, scaled up so that evaluation needs no change."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

import autograd as ag
from autograd import Graph, Tensor, scope, tensor
from scenes.bricks import SLOPES, activate, constant, named, squared_loss, total
from scenes.scene import Chapter, Leaves, Notation, Parameter, Proof, Recording, Text, scene


def drawn_mask(seed: int, units: int, p: float) -> np.ndarray:
    """1 for a unit that is kept, 0 with probability p. A larger p drops the same units and more."""
    rng = np.random.default_rng([seed, zlib.crc32(b"m")])
    return (rng.random(units) >= p) * 1.0


def _factor(r: Recording) -> np.ndarray:
    """What each unit is multiplied with: m/(1−p) in training, 1 in evaluation."""
    if r.parameters["mode"] == "eval":
        return np.ones(r["z"].size)
    return _mask(r) / (1 - float(r.parameters["p"]))


def _mask(r: Recording) -> np.ndarray:
    if "m" in r.graph.names:
        return r.value("m")
    if r.parameters["mode"] == "eval":
        return np.ones(r["z"].size)
    return drawn_mask(r.seed, r["z"].size, float(r.parameters["p"]))


def _error_by_hand(r: Recording) -> tuple[np.ndarray, np.ndarray]:
    """∂E/∂a and ∂E/∂u from values alone."""
    into = r.value("W_2").T @ (r.value("y") - r.value("d"))
    return into, SLOPES[str(r.parameters["activation"])](r.value("u")) * _factor(r) * into


def _value(r: Recording) -> tuple[Any, Any]:
    return r.value("a"), _factor(r) * r.value("z")


def _through_the_mask(r: Recording) -> tuple[Any, Any]:
    into, _ = _error_by_hand(r)
    return r.grad("z"), _factor(r) * into


def _weights(r: Recording) -> tuple[Any, Any]:
    _, delta = _error_by_hand(r)
    first = np.column_stack([np.outer(delta, r.value("x")), delta])
    return np.column_stack([r.grad("W_1"), r.grad("b_1")]), first


def _dropped(r: Recording) -> tuple[Any, Any]:
    """What arrives at the weights into and out of the dropped units, which is nothing at all."""
    gone = 1 - _mask(r)
    engine = np.concatenate([(gone[:, None] * r.grad("W_1")).ravel(), (gone * r.grad("W_2")).ravel()])
    return engine, np.zeros_like(engine)


def _expectation(r: Recording) -> tuple[Any, Any]:
    """The engine's dropout with every unit kept and every unit dropped, weighted by how likely that is."""
    p, z = float(r.parameters["p"]), r.value("z")
    with Graph():
        kept, gone = (ag.dropout(tensor(z), p=p, mask=np.full(z.shape, m)).value for m in (1, 0))
    return (1 - p) * kept + p * gone, z


@scene(
    "dropout",
    family="foundations",
    title=Text("Dropout", "ドロップアウト"),
    summary=Text(
        "In training each unit is switched off with probability p and the others are scaled up by 1/(1 − p); "
        "what was switched off gets no gradient. In evaluation everything passes.",
        "訓練時には各ユニットを確率 p で切り、残りを 1/(1 − p) 倍します。"
        "切られたユニットには勾配が届きません。評価時にはすべてがそのまま通ります。",
    ),
    source="CS",
    parameters=(
        Parameter("p", 0.5, Text("probability that a unit is dropped", "ユニットを落とす確率"), 0.0, 0.95),
        Parameter(
            "mode",
            "train",
            Text("train drops units, eval lets all of them pass", "train では落とし、eval ではすべて通す"),
            choices=("train", "eval"),
        ),
        Parameter(
            "form",
            "spelled out",
            Text(
                "mask and scale as nodes of their own, or one operation",
                "マスクと倍率を別々の節点にするか、一つの演算にするか",
            ),
            choices=("spelled out", "one operation"),
        ),
        Parameter("inputs", 2, Text("size of x", "入力 x の次元"), 1, 16),
        Parameter("units", 6, Text("units that may be dropped", "落とす対象のユニット数"), 1, 32),
        Parameter("outputs", 2, Text("size of y and d", "出力 y と目標 d の次元"), 1, 16),
        Parameter(
            "activation",
            "tanh",
            Text("f, the squashing of the hidden layer", "中間層の活性化関数 f"),
            choices=("tanh", "sigmoid", "relu"),
        ),
    ),
    notations={"CS": Notation("sub", {"Wx": "", "Wa": "", "kept": "m⊙z", "scale": "1/(1−p)"})},
    formulas=(
        r"m_i \sim \mathrm{Bernoulli}(1 - p)",
        r"a = \frac{m}{1 - p} \odot z\quad(\mathrm{train}),\qquad a = z\quad(\mathrm{eval})",
        r"\frac{\partial E}{\partial z} = \frac{m}{1 - p} \odot \frac{\partial E}{\partial a}",
        r"\mathrm{E}[a] = (1 - p)\,\frac{z}{1 - p} + p \cdot 0 = z",
    ),
    chapters=(
        Chapter(
            "mask",
            Text("A mask of zeros and ones", "0 と 1 のマスク"),
            Text(
                "`z` holds the $units units of the hidden layer. The mask `m` was drawn once from the "
                "seed: 0 with probability $p, else 1. `m ⊙ z` switches some of the units off for this one "
                "pass; the next pass would draw anew.\n\n"
                "The point is that no unit may rely on one particular neighbour. Change the seed and see "
                "others go out.",
                "`z` は中間層の $units 個のユニットです。マスク `m` はシードから一度だけ引かれます。確率 "
                "$p で 0、それ以外は 1 です。`m ⊙ z` により、この一回だけいくつかのユニットが切られます。"
                "次の回にはまた引き直します。\n\n"
                "特定の隣のユニットに頼れないようにするのが狙いです。シードを変えると、"
                "別のユニットが消えます。",
            ),
            "start",
            "forward a",
            ("layer1", "dropout"),
            ("z", "m", "a"),
        ),
        Chapter(
            "scale",
            Text("Why 1/(1 − p)", "なぜ 1/(1 − p) 倍か"),
            Text(
                "With half of the units gone, the next layer would get half as much. So what is kept is "
                "multiplied by `1/(1 − p)`; on average over all masks `a` then equals `z`. This is the "
                "*keep* form, or inverted dropout.\n\n"
                "Set `mode` to `eval`: no mask, no factor, and the layer behind finds numbers of the size "
                "it was trained with.",
                "ユニットが半分になれば、次の層に届く量も半分になります。そこで残ったものを `1/(1 − p)` "
                "倍します。すると、すべてのマスクにわたる平均で `a` は `z` に等しくなります。"
                "これが残す側で割り戻す形 (inverted dropout) です。\n\n"
                "`mode` を `eval` にしてみましょう。マスクも倍率もなく、"
                "後ろの層には訓練時と同じ大きさの数が届きます。",
            ),
            "forward z",
            "forward a",
            ("dropout",),
            ("z", "a"),
        ),
        Chapter(
            "backward",
            Text("The error meets the same mask", "誤差も同じマスクを通る"),
            Text(
                "Back goes the same way as forth: `∂E/∂z = m/(1 − p) ⊙ ∂E/∂a`. Where the mask was 0, "
                "exactly 0 arrives, not just something small; where it was 1, the error is scaled up like "
                "the value was.\n\n"
                "Compare the two gradient strips of `a` and `z`.",
                "帰りも行きと同じです: `∂E/∂z = m/(1 − p) ⊙ ∂E/∂a`。マスクが 0 のところには、"
                "小さい数ではなくちょうど 0 が届きます。1 のところでは、"
                "値と同じ倍率で誤差も大きくなります。\n\n"
                "`a` と `z` の勾配の帯を見比べてください。",
            ),
            "backward a",
            "backward z",
            ("dropout", "layer1"),
            ("a", "z"),
        ),
        Chapter(
            "weights",
            Text("A dropped unit learns nothing", "落とされたユニットは学習しない"),
            Text(
                "Look at `W_1`: the rows of the dropped units are 0. Look at `W_2`: its columns for them "
                "are 0 too, because they were multiplied with 0. So every pass trains a different, "
                "thinner network, and all of them share their weights.",
                "`W_1` を見てください。落とされたユニットの行は 0 です。`W_2` でも、0 と掛けられたので、"
                "対応する列が 0 です。つまり一回ごとに違う細いネットワークを訓練していて、"
                "それらがすべて重みを共有しているのです。",
            ),
            "backward z",
            "end",
            highlight=("W_1", "b_1", "W_2"),
        ),
    ),
    proofs=(
        Proof("value", Text("masked and scaled", "マスクと倍率"), r"a = \frac{m}{1 - p} \odot z", _value),
        Proof(
            "gradient",
            Text("the error through the mask", "マスクを通る誤差"),
            r"\frac{\partial E}{\partial z} = \frac{m}{1 - p} \odot W_2^{\top}(y - d)",
            _through_the_mask,
        ),
        Proof(
            "weights",
            Text("weights before the dropout", "ドロップアウト手前の重み"),
            r"\delta = f'(u) \odot \frac{m}{1 - p} \odot W_2^{\top}(y - d),\quad"
            r" \frac{\partial E}{\partial W_1} = \delta x^{\top}",
            _weights,
        ),
        Proof(
            "dropped",
            Text("nothing reaches a dropped unit's weights", "落とされたユニットの重みには何も届かない"),
            r"m_i = 0 \Rightarrow \frac{\partial E}{\partial w_{ij}} = 0",
            _dropped,
            exact=True,
        ),
        Proof(
            "expectation",
            Text("the average over masks is the value without dropout", "マスクにわたる平均は元の値"),
            r"(1 - p)\,\frac{z}{1 - p} + p \cdot 0 = z",
            _expectation,
        ),
    ),
    estimate=lambda p: 20,
)
def dropout(p: Any, leaves: Leaves) -> Any:
    draw = leaves.draw
    W_1 = leaves.parameter("W_1", draw("W_1", (p.units, p.inputs), 0.7))
    b_1 = leaves.parameter("b_1", draw("b_1", (p.units,), 0.2))
    W_2 = leaves.parameter("W_2", draw("W_2", (p.outputs, p.units), 0.7))
    b_2 = leaves.parameter("b_2", draw("b_2", (p.outputs,), 0.2))
    with scope("input"):
        x = leaves.input("x", draw("x", (p.inputs,)))
    with scope("layer1"):
        u = named("u", total([named("Wx", W_1 @ x), b_1]))
        z = named("z", activate(p.activation, u))
    with scope("dropout"):
        a = named("a", _drop(p, leaves, z))
    with scope("layer2"):
        y = named("y", total([named("Wa", W_2 @ a), b_2]))
    with scope("loss"):
        d = leaves.target("d", draw("d", (p.outputs,)))
        return named("E", squared_loss(y, d))


def _drop(p: Any, leaves: Leaves, z: Any) -> Any:
    """In scalar form the mask is always spelled out."""
    mask = drawn_mask(leaves.seed, p.units, p.p)
    if p.form == "one operation" and isinstance(z, Tensor):
        return ag.dropout(z, p=p.p, training=p.mode == "train", mask=mask if p.mode == "train" else None)
    if p.mode == "eval":
        return 1.0 * z  # a node of its own, so that the place where dropout would be can be seen
    return named("kept", leaves.constant("m", mask) * z) * constant(leaves, "scale", 1 / (1 - p.p))
