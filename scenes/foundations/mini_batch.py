"""One weight update from a batch of 1, of some, or of all examples; their gradients meet in one mean."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import optim, scope
from scenes.bricks import named
from scenes.data_sets import SPECIES, columns, iris
from scenes.foundations import classifier
from scenes.scene import Chapter, Data, Leaves, Notation, Parameter, Proof, Recording, Text, scene

RATE = 0.1  # of the update that a proof makes


def data(p: Any, seed: int) -> Data:
    """Length and width of the petals of 150 irises, of three species."""
    features, classes = iris()
    return columns(features[:, 2:], classes, seed, names=SPECIES, standardise=True)


def _joined(r: Recording) -> np.ndarray:
    return np.column_stack([r.grad("W"), r.grad("b")])


def _by_hand(r: Recording) -> np.ndarray:
    """(1/B) Σ (p − d) [xᵀ, 1]."""
    x, d = r.value("x"), r.value("d")
    error = classifier.error_by_hand(r.value("W") @ x + r.value("b"), d)
    return np.column_stack([error @ x.T, error.sum(axis=1)])


def _mean(r: Recording) -> tuple[Any, Any]:
    """The gradient of the batch, and the mean of as many gradients from passes over one example each."""
    alone = []
    for x, d in zip(r.value("x").T, r.value("d").T, strict=True):
        values = r.parameters | {"form": "one product"}
        single = r.scene.build(values, seed=r.seed, batch={"x": x[:, None], "d": d[:, None]})
        for name in ("W", "b"):
            single[name].value = r.value(name)
        single.graph.forward()
        single.graph.backward(single.loss)
        alone.append(_joined(single))
    return _joined(r), np.mean(alone, axis=0)


def _update(r: Recording) -> tuple[Any, Any]:
    """Where the optimiser takes W and b, and W − η ∂E/∂W with the gradient by hand."""
    before = np.column_stack([r.value("W"), r.value("b")])
    with r.graph.preserved():
        optim.sgd([r["W"], r["b"]], RATE).step()
        after = np.column_stack([r.value("W"), r.value("b")])
    return after, before - RATE * _by_hand(r)


def _epoch(r: Recording) -> tuple[Any, Any]:
    """How many different examples the updates of one epoch take, and updates times batch size."""
    assert r.data is not None
    size = int(r.parameters["batch"])
    updates = r.data.per_epoch(size)
    taken = np.concatenate([r.data.rows(k, size, r.seed) for k in range(updates)])
    return np.array(len(set(taken.tolist()))), np.array(updates * r["x"].shape[-1])


@scene(
    "mini-batch",
    family="foundations",
    title=Text("Epochs and mini-batches", "エポックとミニバッチ"),
    summary=Text(
        "One update of the weights has three steps: forward to the loss, backward to the gradient, update. "
        "How many examples go into it is the batch size: one, a few, or all of them.",
        "重みの一回の更新は三つの段階からなります。損失までの順伝播、勾配までの逆伝播、そして更新です。"
        "そこに何個のサンプルを使うかがバッチサイズで、一つ、いくつか、全部のどれかです。",
    ),
    source="CS",
    parameters=(
        Parameter(
            "batch",
            4,
            Text("B, examples in one update; 0: all of them", "一回の更新に使うサンプル数 B。0 なら全部"),
            0,
            112,
        ),
        Parameter(
            "form",
            "each example",
            Text(
                "a path of its own for each example, or all of them as columns of one matrix",
                "サンプルごとに別の道にするか、全部を一つの行列の列にするか",
            ),
            choices=("each example", "one product"),
        ),
    ),
    notations={"CS": Notation("sub", classifier.LETTERS | {"Wx": ""})},
    formulas=(
        r"y_n = W x_n + b,\qquad L_n = -\sum_k d_{kn} \log \mathrm{softmax}(y_n)_k",
        r"E = \frac{1}{B} \sum_{n=1}^{B} L_n",
        r"\frac{\partial E}{\partial W} = \frac{1}{B} \sum_{n=1}^{B} \frac{\partial L_n}{\partial W}"
        r" = \frac{1}{B} \sum_{n=1}^{B} (p_n - d_n)\, x_n^{\top}",
        r"W \leftarrow W - \eta\, \frac{\partial E}{\partial W}",
    ),
    chapters=(
        Chapter(
            "batch",
            Text("A batch is drawn", "バッチを取り出す"),
            Text(
                "There are 112 irises to learn from, each with the length and width of its petals and one of "
                "three species. They are shuffled, and the first batch is taken from them: the columns of "
                "`x` and `d` (batch size: $batch; 0 means all 112).\n\n"
                "The next update takes the next batch. When all have had their turn, one *epoch* is over, "
                "and the order is shuffled anew. Batches of 4 make 28 updates an epoch, batches of 1 make "
                "112, and the full batch makes just one.",
                "学習に使うアヤメは 112 本で、それぞれに花弁の長さと幅、そして三つの種のどれかがついていま"
                "す。順番をシャッフルし、先頭から一つ目のバッチを取り出します。`x` と `d` の列がそれです "
                "(バッチサイズは $batch。0 は 112 本全部を表します)。\n\n"
                "次の更新には次のバッチを使います。全部に順番が回ると 1 *エポック*が終わり、"
                "また並べ替えます。バッチサイズが 4 なら 1 エポックの更新は 28 回、1 なら 112 回、"
                "全部を使えば 1 回だけです。",
            ),
            "start",
            "forward E",
            ("input",),
            ("x", "d"),
        ),
        Chapter(
            "forward",
            Text("Step 1: forward to the loss", "第一段階: 損失までの順伝播"),
            Text(
                "Every example goes its own way: scores `y = W x + b`, then its loss `L`, large when the "
                "true species got a small probability. All of them use the *same* `W` and `b`.\n\n"
                "`E` is the mean of these losses. It is a sample of the loss over all the data: the smaller "
                "the batch, the noisier.",
                "どのサンプルも自分の道を進みます。スコア `y = W x + b` を求め、次に損失 `L` を求めます。"
                "正解の種の確率が小さいほど `L` は大きくなります。`W` と `b` は全員が*同じもの*を使います。"
                "\n\n`E` はこれらの損失の平均です。データ全体での損失を標本で見積もったもので、"
                "バッチが小さいほどばらつきます。",
            ),
            "start",
            "forward E",
            highlight=("y_*", "L_*", "E"),
        ),
        Chapter(
            "backward",
            Text("Step 2: one instalment per example", "第二段階: サンプルごとに届く勾配"),
            Text(
                "`E` hands `1/B` to each example, and each sends its own gradient to `W`. Watch the counter "
                "at `W`: the gradient arrives in instalments, one for each example, and is their sum. With "
                "the `1/B` already in them that sum is the *mean* of the examples' gradients.\n\n"
                "Select `W`: the inspector lists the instalments. Some pull one way, some the other; what "
                "they agree on is what is left.",
                "`E` は各サンプルに `1/B` を渡し、各サンプルは自分の勾配を `W` に送ります。`W` "
                "のカウンタを見てください。勾配はサンプルごとに分かれて届き、その和になります。"
                "`1/B` がすでに掛かっているので、和は各サンプルの勾配の*平均*です。\n\n"
                "`W` を選ぶと、インスペクタに届いた分が一つずつ並びます。"
                "互いに逆を向くものもあり、共通する向きだけが残ります。",
            ),
            "backward E",
            "end",
            highlight=("W", "b", "L_*"),
        ),
        Chapter(
            "update",
            Text("Step 3: the update", "第三段階: 更新"),
            Text(
                "Only now do the weights move: `W ← W − η ∂E/∂W`, a small step downhill. Then the gradients "
                "are forgotten, the next batch comes, and the three steps begin anew.\n\n"
                "Make one update in the training panel and look at `W`, then let an epoch run and look at "
                "the curve.",
                "ここでやっと重みが動きます。`W ← W − η ∂E/∂W`、坂を少しだけ下る一歩です。"
                "それが済むと勾配は捨てられ、次のバッチが来て、三つの段階がまた始まります。\n\n"
                "学習パネルで一回だけ更新して `W` を見てください。"
                "次に 1 エポック分を動かし、曲線を見てみましょう。",
            ),
            "backward E",
            "end",
            ("parameters",),
            ("W", "b"),
        ),
        Chapter(
            "size",
            Text("One, some, or all?", "一つか、いくつかか、全部か"),
            Text(
                "Set `batch` to 1: cheap and frequent updates, each in a direction that only one example "
                "wants. Set it to 0: the true gradient of all 112, but a whole pass over the data for a "
                "single step. In between lies what is used: the noise falls with `1/√B`, the work grows with "
                "`B`.\n\n"
                "With `form` set to `one product` the examples become columns of one matrix, and one product "
                "does them all. The numbers are the same; this is why a batch of 32 hardly takes longer than "
                "a batch of 1.",
                "`batch` を 1 にしましょう。手軽に何度も更新できますが、"
                "向きを決めるのは一つのサンプルだけです。0 にすると 112 "
                "本すべてによる本当の勾配になりますが、一歩のためにデータ全体を一巡します。"
                "実際に使われるのはその中間です。ばらつきは `1/√B` で減り、計算量は `B` に比例します。\n\n"
                "`form` を `one product` にすると、サンプルは一つの行列の列になり、"
                "一回の積で全部を計算できます。結果の数は同じです。"
                "バッチサイズが 32 でも 1 のときと時間がほとんど変わらないのは、このためです。",
            ),
            "start",
            "end",
            highlight=("x", "W", "E"),
        ),
    ),
    proofs=(
        Proof(
            "mean",
            Text("the mean of the examples' gradients", "サンプルごとの勾配の平均"),
            r"\frac{\partial E}{\partial W} = \frac{1}{B} \sum_n \frac{\partial L_n}{\partial W}",
            _mean,
        ),
        Proof(
            "weights",
            Text("prediction minus target, times input", "「予測 − 正解」× 入力"),
            r"\frac{\partial E}{\partial W} = \frac{1}{B} \sum_n (p_n - d_n)\, x_n^{\top}",
            lambda r: (_joined(r), _by_hand(r)),
        ),
        Proof(
            "update",
            Text("one update of gradient descent", "勾配降下法の一回の更新"),
            r"W \leftarrow W - \eta\, \frac{\partial E}{\partial W}",
            _update,
        ),
        Proof(
            "epoch",
            Text("an epoch takes no example twice", "1 エポックで同じサンプルは二度使わない"),
            r"n_i = n_j \Rightarrow i = j",
            _epoch,
            exact=True,
        ),
    ),
    estimate=lambda p: 12 + 9 * (p.batch or 112) * (p.form == "each example"),
    data=data,
    score=lambda r: float(np.mean(_scores(r).argmax(axis=0) == r.value("d").argmax(axis=0))),
    recipe=lambda p: {"optimizer": "sgd", "lr": RATE, "epochs": 20},
)
def mini_batch(p: Any, leaves: Leaves) -> Any:
    classes, features = len(leaves.batch["d"]), len(leaves.batch["x"])
    W = leaves.parameter("W", leaves.draw("W", (classes, features), 0.5))
    b = leaves.parameter("b", leaves.draw("b", (classes, 1), 0.2))
    with scope("input"):
        x = leaves.input("x", leaves.batch["x"])
        d = leaves.target("d", leaves.batch["d"])
    if p.form == "one product":
        with scope("layer"):
            y = named("y", named("Wx", W @ x) + b)
        with scope("loss"):
            return classifier.cross_entropy(y, d)
    losses = []
    for n in range(x.shape[1]):
        with scope(f"n={n + 1}"):
            losses.append(_alone(W, b, x[:, n : n + 1], d[:, n : n + 1], f"{n + 1}"))
    with scope("loss"):
        if isinstance(x, np.ndarray):
            return named("E", ag.add_n(losses) / len(losses))
        return named("E", ag.mean(named("L", ag.stack(losses))))


def _alone(W: Any, b: Any, x: Any, d: Any, tag: str) -> Any:
    """The loss of one example, of which `x` and `d` are the columns."""
    y = named(f"y_{tag}", named(f"Wx_{tag}", W @ x) + b)
    hit = named(f"hit_{tag}", d * named(f"logp_{tag}", ag.log_softmax(y, axis=0)))
    return named(f"L_{tag}", -ag.sum(hit))


def _scores(r: Recording) -> np.ndarray:
    return r.value("W") @ r.value("x") + r.value("b")
