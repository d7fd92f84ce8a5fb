"""A network that was trained on one task starts on another; gradients end where its layers are frozen."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from autograd import scope
from scenes.data_sets import columns, moons
from scenes.foundations import classifier
from scenes.scene import (
    Chapter,
    Data,
    Leaves,
    Notation,
    Parameter,
    Proof,
    Recording,
    Text,
    find_scene,
    scene,
)

UPDATES, RATE = 300, 0.02  # of the training on the first task
HELD_OUT = 60


def data(p: Any, seed: int) -> Data:
    """The new task: few points of moons that are turned by an angle."""
    angle, count = np.deg2rad(p.turn), p.examples + HELD_OUT
    points, classes = moons(count, seed + 1)
    turned = points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return columns(turned, classes, seed, names=("0", "1"), held_out=HELD_OUT / count)


@lru_cache(maxsize=64)
def learned(layers: int, units: int, seed: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """W and b of every layer after training the scene `mlp` on the moons as they are, to three decimals."""
    values = {"data": "moons", "layers": layers, "units": units, "batch": 0}
    first = find_scene("mlp").build(values, seed=seed)
    classifier.train(first, UPDATES, tell=("E",), lr=RATE)
    return tuple((np.round(W, 3) + 0.0, np.round(b, 3) + 0.0) for W, b in classifier.weights_of(first))


def frozen_layers(p: Any) -> int:
    """How many of the first layers are frozen; `most` leaves the last two, as far as one stays frozen."""
    return {"none": 0, "most": max(1, p.layers - 2), "all but the last": p.layers - 1}[p.frozen]


def _frozen(r: Recording) -> list[str]:
    """`x` and the weights that do not learn."""
    return [leaf.name for leaf in r.graph.leaves("constant") if leaf.name]


def _trained(r: Recording) -> list[str]:
    return [leaf.name for leaf in r.graph.leaves("parameter")]


def _dark(r: Recording) -> tuple[Any, Any]:
    """How many leaves and nodes have a gradient although they stand before everything that learns."""
    before = set(_frozen(r))
    for layer in range(1, int(r.parameters["layers"]) + 1):
        if f"W_{layer}" not in before:
            break
        before |= {f"Wz_{layer}", f"u_{layer}", f"z_{layer}"}
    lit = [n for n in r.graph.nodes if n.name in before and n.grad is not None and np.any(n.grad)]
    return np.array(len(lit)), np.array(0)


def _kept(r: Recording) -> tuple[Any, Any]:
    """What does not learn, after 20 updates and before."""
    fresh = r.scene.build(r.parameters, seed=r.seed)
    names = _frozen(fresh)
    before = classifier.flat({name: fresh.value(name).copy() for name in names}, names)
    classifier.train(fresh, 20, tell=("E",))
    return classifier.flat({name: fresh.value(name) for name in names}, names), before


def _rest(r: Recording) -> tuple[Any, Any]:
    """The gradients of what learns, and of the same leaves in a network where all learn."""
    names = _trained(r)
    free = r.scene.build(r.parameters | {"frozen": "none"}, seed=r.seed, batch=_batch(r))
    for leaf in free.graph.leaves("parameter"):
        leaf.value = r.value(leaf.name)
    free.graph.forward()
    free.graph.backward(free.loss)
    engine, closed = ({name: of.grad(name) for name in names} for of in (r, free))
    return classifier.flat(engine, names), classifier.flat(closed, names)


def _batch(r: Recording) -> dict[str, np.ndarray]:
    return {name: r.value(name) for name in ("x", "d")}


@scene(
    "transfer-learning",
    family="foundations",
    title=Text("Transfer learning", "転移学習"),
    summary=Text(
        "A network has learned one task from many examples. A similar task comes with only a few: keep the "
        "first layers as they are, give it a new last layer, and train what is left.",
        "ある課題をたくさんのサンプルで学習したネットワークがあります。"
        "よく似た別の課題にはサンプルが少ししかありません。はじめのほうの層はそのまま使い、"
        "最後の層を新しくして、残りだけを学習させます。",
    ),
    source="CS",
    parameters=(
        Parameter(
            "frozen",
            "most",
            Text("which layers keep what they have learned", "学習済みのまま固定する層"),
            choices=("none", "most", "all but the last"),
        ),
        Parameter("layers", 4, Text("number of layers with weights", "重みのある層の数"), 2, 6),
        Parameter("units", 6, Text("units in each hidden layer", "中間層のユニット数"), 1, 16),
        Parameter("examples", 12, Text("points of the new task", "新しい課題の点の数"), 4, 120),
        Parameter(
            "turn",
            10.0,
            Text("degrees by which the new task's moons are turned", "新しい課題で三日月を回す角度 (度)"),
            -90.0,
            90.0,
        ),
    ),
    notations={"CS": Notation("sub", classifier.LETTERS)},
    formulas=(
        r"z^{(l)} = \tanh(W^{(l)} z^{(l-1)} + b^{(l)}),\qquad y = W^{(L)} z^{(L-1)} + b^{(L)}",
        r"W^{(l)} \leftarrow W^{(l)}\quad(l \le F),\qquad"
        r" W^{(l)} \leftarrow W^{(l)} - \eta\, \frac{\partial E}{\partial W^{(l)}}\quad(l > F)",
        r"\delta^{(l)} = {W^{(l+1)}}^{\top}\delta^{(l+1)} \odot f'(u^{(l)})\quad(l > F)",
    ),
    chapters=(
        Chapter(
            "two-tasks",
            Text("An old task and a new one", "前の課題と新しい課題"),
            Text(
                "The weights of this network come from the scene `mlp`: there it learned to tell two moons "
                "apart, from 180 points. The new task has the same moons, turned by $turn degrees, and only "
                "$examples points: the columns of `x`.\n\n"
                "What the first layers have found out, where a border could run and how it bends, is of use "
                "here too. Only the last layer, which made the answer of it, is new and random.",
                "このネットワークの重みはシーン `mlp` から来ています。そこでは 180 "
                "個の点から二つの三日月を見分けることを学習しました。新しい課題は同じ三日月を $turn "
                "度回したもので、点は $examples 個だけです。それが `x` の列です。\n\n"
                "境界をどこに引き、どう曲げるか。はじめの層が見つけたことはここでも役に立ちます。"
                "それを答えにまとめる最後の層だけが新しく、乱数で始まります。",
            ),
            "start",
            "forward E",
            highlight=("x", "W_*"),
        ),
        Chapter(
            "forward",
            Text("Forward nothing is different", "順伝播はいつもと同じ"),
            Text(
                "Frozen or not, every layer computes `z = tanh(W z + b)`. Look at the boxes of the weights: "
                "those that are frozen are pale, like any constant. They are numbers in the calculation, "
                "nothing that could learn.",
                "固定されていてもいなくても、どの層も `z = tanh(W z + b)` を計算します。"
                "重みの箱を見てください。固定された重みは、ほかの定数と同じ淡い色をしています。"
                "計算に使うただの数で、学習するものではありません。",
            ),
            "start",
            "forward E",
            ("layer1", "layer2", "parameters"),
            ("W_*", "z_*"),
        ),
        Chapter(
            "stop",
            Text("Where the gradient ends", "勾配が止まるところ"),
            Text(
                "The error runs back from `E`, and stops at the first layer that learns (`frozen`: "
                "`$frozen`). Before it nobody needs a gradient, so none is computed: the boxes stay dark. "
                "That saves time and memory, because the activations in front need not be kept.\n\n"
                "Set `frozen` to `none`: now it runs all the way to `W_1`. Set it to `all but the last`, "
                "and it ends after a single layer; what comes before is a fixed function that turns points "
                "into features.",
                "誤差は `E` から逆に進み、学習する最初の層で止まります (`frozen` は `$frozen`)。"
                "その手前では誰も勾配を必要としないので、計算もされず、箱は暗いままです。"
                "手前の層の値は取っておかなくてよいので、時間もメモリも節約できます。\n\n"
                "`frozen` を `none` にすると、`W_1` まで進みます。`all but the last` "
                "にすると一層だけで終わり、その手前は点を特徴に変える固定された関数になります。",
            ),
            "backward E",
            "end",
            highlight=("W_*", "b_*", "u_*", "z_*"),
        ),
        Chapter(
            "how-much",
            Text("How much to freeze", "どこまで固定するか"),
            Text(
                "The rule of thumb goes by how much data there is. *Few examples*: freeze all but the last "
                "layer; a few numbers are all that they can settle. *More*: freeze most layers and train the "
                "last ones too. *Many*: freeze none, and take what was learned just as a good start.\n\n"
                "Train here with `examples` at 12 and at 120, for each choice of `frozen`, and compare the "
                "validation loss. With `turn` at 90 the tasks have little in common, and frozen layers are "
                "in the way.",
                "目安はデータの量です。*少ない*なら最後の層以外をすべて固定します。"
                "少数のサンプルで決められるのは、わずかな数だけです。*もう少しある*なら大部分を固定し、"
                "最後のいくつかの層を学習させます。*たくさんある*なら固定せず、"
                "学習済みの重みをよい初期値として使います。\n\n"
                "`examples` を 12 と 120 にして、`frozen` の選び方ごとに学習させ、"
                "検証損失を比べてください。`turn` を 90 にすると課題の共通点が少なくなり、"
                "固定した層はかえって邪魔になります。",
            ),
            "start",
            "end",
            highlight=("W_*", "E"),
        ),
    ),
    proofs=(
        Proof(
            "dark",
            Text("no gradient before the first layer that learns", "学習する最初の層より手前に勾配はない"),
            r"\frac{\partial E}{\partial W^{(l)}} = \mathrm{none}\quad(l \le F)",
            _dark,
            exact=True,
        ),
        Proof(
            "kept",
            Text("20 updates leave frozen weights alone, bit for bit", "20 回更新しても固定した重みは不変"),
            r"W^{(l)}_{20} = W^{(l)}_0\quad(l \le F)",
            _kept,
            exact=True,
        ),
        Proof(
            "rest",
            Text("what learns gets what it would get unfrozen", "残りの勾配は固定しないときと同じ"),
            r"\frac{\partial E}{\partial W^{(l)}} = \left.\frac{\partial E}{\partial W^{(l)}}\right|_{F=0}"
            r"\quad(l > F)",
            _rest,
        ),
        Proof(
            "weights",
            Text("the layers that learn, by hand", "学習する層の重み"),
            r"\frac{\partial E}{\partial W^{(l)}} = \delta^{(l)} {z^{(l-1)}}^{\top}\quad(l > F)",
            classifier.weight_gradients,
        ),
    ),
    estimate=lambda p: 6 * p.layers + 10,
    data=data,
    score=classifier.share_right,
    recipe=lambda p: {"optimizer": "adam", "lr": RATE, "epochs": 200},
)
def transfer_learning(p: Any, leaves: Leaves) -> Any:
    batch = leaves.batch
    sizes = [len(batch["x"]), *[p.units] * (p.layers - 1), len(batch["d"])]
    # the last layer is a new one; the others bring what they know
    start = [*learned(p.layers, p.units, leaves.seed)[:-1], classifier.first_weights(leaves, sizes)[-1]]
    weights = []
    for k, (W, b) in enumerate(start, 1):
        leaf = leaves.constant if k <= frozen_layers(p) else leaves.parameter
        weights.append((leaf(f"W_{k}", W), leaf(f"b_{k}", b)))
    with scope("input"):
        # a constant, because an input would ask the frozen layers for a gradient
        x = leaves.constant("x", batch["x"])
    y = classifier.scores(weights, x)
    with scope("loss"):
        return classifier.cross_entropy(y, leaves.target("d", batch["d"]))
