"""Training and validation loss of a network that is too large: stop where validation turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd import scope
from scenes.data_sets import columns, moons
from scenes.foundations import classifier
from scenes.scene import Chapter, Data, Leaves, Notation, Parameter, Proof, Recording, Text, scene

EPOCHS, RATE, HELD_OUT = 300, 0.05, 32


def data(p: Any, seed: int) -> Data:
    """Blurred moons: so many points to train on, and HELD_OUT to validate with."""
    count = p.examples + HELD_OUT
    made = moons(count, seed, noise=p.noise)
    return columns(*made, seed, names=("0", "1"), held_out=HELD_OUT / count)


def curves(r: Recording) -> tuple[np.ndarray, np.ndarray]:
    """E and V after 0, 1, … EPOCHS epochs of Adam from the seeded start."""
    fresh = r.scene.build(r.parameters, seed=r.seed)
    training, validation = classifier.train(fresh, EPOCHS, tell=("E", "V"), lr=RATE).T
    return training, validation


def chosen_epoch(losses: Sequence[float], patience: int) -> int:
    """The epoch that training goes back to: it watches the losses come in, and stops once so many epochs in
    a row were no better than the best one."""
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best


def _stop(r: Recording) -> tuple[Any, Any]:
    """The chosen epoch, and the first whose loss is the least of all up to `patience` epochs behind it."""
    patience = int(r.parameters["patience"])
    _, validation = curves(r)
    least = [np.argmin(validation[: epoch + patience + 1]) == epoch for epoch in range(len(validation))]
    return np.array(chosen_epoch(validation.tolist(), patience)), np.argmax(least)


def _silent(r: Recording) -> tuple[Any, Any]:
    """The gradients, and those with all validation points moved."""
    names = [leaf.name for leaf in r.graph.leaves("parameter")]
    found = []
    with r.graph.preserved():
        for move in (0.0, 1.0):
            r["x_val"].value = r.value("x_val") + move
            r.graph.forward()
            r.graph.backward(r.loss)
            found.append(classifier.flat({name: r.grad(name) for name in names}, names))
    return found[0], found[1]


@scene(
    "early-stopping",
    family="foundations",
    title=Text("Early stopping", "早期終了"),
    summary=Text(
        "A large network and few, noisy examples: the training loss falls and falls, while the loss on "
        "examples that were kept back turns and rises. The best network is the one at the turn.",
        "大きなネットワークと、少なくてノイズの多いサンプルの組み合わせです。訓練損失は下がり続けますが、"
        "取っておいたサンプルでの損失は途中から上がり始めます。一番よいのは、その折り返し点です。",
    ),
    source="CS",
    parameters=(
        Parameter(
            "patience",
            20,
            Text("epochs to wait for a better validation loss", "検証損失がよくなるのを待つエポック数"),
            1,
            100,
        ),
        Parameter("examples", 28, Text("points to train on", "訓練に使う点の数"), 8, 64),
        Parameter("noise", 0.4, Text("how blurred the moons are", "三日月のぼやけ具合"), 0.0, 0.8),
        Parameter("units", 12, Text("units in the hidden layer", "中間層のユニット数"), 2, 48),
    ),
    notations={"CS": Notation("sub", classifier.LETTERS)},
    formulas=(
        r"E = \frac{1}{B} \sum_{n \in \mathrm{train}} L_n,\qquad"
        r" V = \frac{1}{B'} \sum_{n \in \mathrm{val}} L_n",
        r"W \leftarrow W - \eta\, \frac{\partial E}{\partial W}",
        r"t^{*} = \mathrm{argmin}_t\, V_t,\qquad \mathrm{stop\;at}\;t^{*} + \mathrm{patience}",
    ),
    chapters=(
        Chapter(
            "two-sets",
            Text("Two sets of examples, one network", "二組のサンプル、一つのネットワーク"),
            Text(
                "Points are drawn from two moons that reach into each other, blurred so much that they "
                "overlap. $examples of them are for training: `x`. Another 32 are kept back for validation: "
                "`x_val`. Both go through the *same* weights, on two paths: follow them to the two losses, "
                "`E` and `V`.",
                "互いに入り組んだ二つの三日月から点を取ります。ぼやけているので重なりがあります。"
                "$examples 個は訓練用の `x`、別の 32 個は検証用に取っておく `x_val` です。"
                "どちらも*同じ*重みを通りますが、道は別々です。二つの損失 `E` と `V` まで追ってください。",
            ),
            "start",
            "forward V",
            highlight=("x", "x_val", "E", "V"),
        ),
        Chapter(
            "silent",
            Text("Validation looks on and keeps silent", "検証用のサンプルは見ているだけ"),
            Text(
                "Going back, the error starts at `E` only. The path from `x_val` stays dark: no gradient "
                "comes from it, no weight ever moves because of it. That is what makes `V` an honest "
                "judge: if the weights were fitted to these points too, they could no longer tell how the "
                "network does on points that it has not seen.",
                "誤差が出発するのは `E` だけです。`x_val` の道は暗いままで、そこから勾配は届かず、"
                "そのために重みが動くこともありません。だからこそ `V` は公正な判定者になれます。"
                "これらの点にも重みを合わせてしまうと、"
                "見たことのない点でどうなるかを測れなくなってしまいます。",
            ),
            "backward E",
            "end",
            highlight=("W_*", "b_*", "V"),
        ),
        Chapter(
            "curves",
            Text("Two curves that part", "分かれていく二つの曲線"),
            Text(
                "Train for 300 epochs with Adam at a rate of 0.05 and watch both curves. At first they fall "
                "together: the network learns the shape of the moons. Then it has weights to spare "
                "($units hidden units) and begins to bend its border around single points. `E` goes on "
                "falling towards 0; `V` turns and rises, because single points do not come again.",
                "Adam、学習率 0.05 で 300 エポック学習し、二つの曲線を見てください。"
                "はじめは一緒に下がります。ネットワークは三日月の形を学んでいます。"
                "やがて余った重みで (中間層は $units ユニットあります)、"
                "一つ一つの点に合わせて境界を曲げ始めます。`E` は 0 に向かって下がり続けますが、"
                "同じ点は二度と来ないので、`V` は上がり始めます。",
            ),
            "start",
            "end",
            ("loss", "validation"),
            ("E", "V"),
        ),
        Chapter(
            "patience",
            Text("When to give up", "いつやめるか"),
            Text(
                "`V` trembles, so its first rise is no reason to stop. *Patience* is the number of epochs to "
                "wait for a new best value: here $patience. If none comes, training stops and the weights "
                "of the best epoch are taken back.\n\n"
                "With a patience of 1 a small bump ends it too soon; with a large one nothing is lost but "
                "time. Try `noise` 0 as well: without noise there may be no turn at all.",
                "`V` は細かく揺れるので、少し上がっただけではやめません。*patience* (忍耐) "
                "は最良値の更新を待つエポック数で、ここでは $patience です。更新がなければ学習を終え、"
                "最良だったエポックの重みに戻します。\n\n"
                "patience が 1 では小さなこぶで早く終わりすぎます。大きければ失うのは時間だけです。`noise` "
                "を 0 にしてみましょう。ノイズがなければ、折り返さないこともあります。",
            ),
            "forward V",
            "end",
            highlight=("V", "E"),
        ),
    ),
    proofs=(
        Proof(
            "stop",
            Text(
                "the chosen epoch has the least validation loss within patience",
                "選ばれたエポックは patience の範囲で検証損失が最小",
            ),
            r"t^{*} = \mathrm{argmin}_{t \le t^{*} + \mathrm{patience}} V_t",
            _stop,
            exact=True,
        ),
        Proof(
            "silent",
            Text("other validation points, the same gradients", "検証用の点を変えても勾配は同じ"),
            r"\frac{\partial}{\partial x_{val}} \frac{\partial E}{\partial W} = 0",
            _silent,
            exact=True,
        ),
        Proof(
            "weights",
            Text("all weights, as sums over the training points", "すべての重み (訓練用の点の和)"),
            r"\frac{\partial E}{\partial W^{(l)}} = \delta^{(l)} {z^{(l-1)}}^{\top}",
            classifier.weight_gradients,
        ),
    ),
    estimate=lambda p: 40,
    data=data,
    score=classifier.share_right,
    recipe=lambda p: {"optimizer": "adam", "lr": RATE, "epochs": EPOCHS, "patience": p.patience},
)
def early_stopping(p: Any, leaves: Leaves) -> Any:
    batch, held = leaves.batch, data(p, leaves.seed).validation
    start = classifier.first_weights(leaves, (len(batch["x"]), p.units, len(batch["d"])))
    weights = classifier.as_parameters(leaves, start)
    with scope("training"):
        x = leaves.input("x", batch["x"])
        y = classifier.scores(weights, x)
        with scope("loss"):
            E = classifier.cross_entropy(y, leaves.target("d", batch["d"]))
    with scope("validation"):
        x = leaves.constant("x_val", held["x"])
        y = classifier.scores(weights, x, "val")
        with scope("loss"):
            classifier.cross_entropy(y, leaves.target("d_val", held["d"]), "val", "V")
    return E
