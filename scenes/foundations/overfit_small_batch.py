"""A network that can not learn a handful of examples by heart is wrong: the trial, with bugs to choose."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import scope
from scenes.bricks import named, within
from scenes.data_sets import digits, one_hot
from scenes.foundations import classifier
from scenes.scene import Chapter, Data, Leaves, Notation, Parameter, Proof, Recording, Text, scene

UPDATES, RATE = 200, 0.05


def data(p: Any, seed: int) -> Data:
    """So many handwritten digits, of every class in turn; there is nothing else to learn from.

    Each is shrunk to 4 × 4 pixels, which are enough to tell a handful of them apart.
    """
    features, classes = digits()
    features = features.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
    rng = np.random.default_rng([seed, 4])
    order = rng.permutation(len(classes))
    turn = [order[classes[order] == k] for k in rng.permutation(10)]
    rows = [turn[n % 10][n // 10] for n in range(p.batch)]
    truth = classes[rows] if p.labels == "true" else rng.permutation(classes[rows])
    names = tuple("0123456789")
    return Data({"x": np.round(features[rows].T, 4), "d": one_hot(truth, 10)}, classes=names)


def _error(r: Recording) -> classifier.Error:
    """∂E/∂y: p − d over B; a second softmax q of p puts the first one's Jacobian in between."""
    if r.parameters["bug"] != "softmax twice":
        return classifier.error_by_hand

    def through_both(y: np.ndarray, d: np.ndarray) -> np.ndarray:
        p = classifier.softmax(y)
        g = classifier.error_by_hand(p, d)
        return p * (g - np.sum(p * g, axis=0))

    return through_both


def losses(r: Recording) -> np.ndarray:
    """E before each of UPDATES updates by Adam from the seeded start, and after the last one."""
    fresh = r.scene.build(r.parameters, seed=r.seed)
    return classifier.train(fresh, UPDATES, tell=("E",), lr=RATE)[:, 0]


def _fits(r: Recording) -> tuple[Any, Any]:
    """What is left of the loss: less than 1 %, or more than 10 % with a bug."""
    history = losses(r)
    bounds = (0.0, 0.01) if r.parameters["bug"] == "none" else (0.1, 2.0)
    return within(history[-1] / history[0], *bounds)


@scene(
    "overfit-small-batch",
    family="foundations",
    title=Text("Overfit one small batch", "小さいバッチの過学習"),
    summary=Text(
        "Before training on all the data, train on a handful of examples until they are known by heart. A "
        "network that can not do even that has a bug.",
        "データ全体で学習する前に、ほんの数個のサンプルを丸暗記するまで学習させます。"
        "それさえできないネットワークには、どこかに間違いがあります。",
    ),
    source="CS",
    parameters=(
        Parameter("batch", 4, Text("examples to learn by heart", "丸暗記させるサンプル数"), 2, 16),
        Parameter("units", 8, Text("units in the hidden layer", "中間層のユニット数"), 6, 32),
        Parameter(
            "labels",
            "true",
            Text("the digits' own classes, or shuffled ones", "数字の本当のクラスか、入れ替えたクラスか"),
            choices=("true", "shuffled"),
        ),
        Parameter(
            "bug",
            "none",
            Text("a mistake to look for", "仕込む間違い"),
            choices=("none", "zero weights", "softmax twice"),
        ),
    ),
    notations={"CS": Notation("sub", classifier.LETTERS)},
    formulas=(
        r"u_1 = W_1 x + b_1,\qquad z_1 = \tanh u_1,\qquad y = W_2 z_1 + b_2",
        r"E = -\frac{1}{B} \sum_{n=1}^{B} \sum_k d_{kn} \log p_{kn},\qquad p = \mathrm{softmax}(y)",
        r"E_0 \approx \log K \;\rightarrow\; E < \frac{1}{100} E_0",
        r"E \ge \log(e + K - 1) - 1\quad(\mathrm{softmax\;twice})",
    ),
    chapters=(
        Chapter(
            "one-batch",
            Text("A handful of examples", "ほんの数個のサンプル"),
            Text(
                "The columns of `x` are $batch handwritten digits, 4 × 4 shades each; `d` says which digit "
                "it is. The network has far more weights than numbers to get right, so it can simply "
                "learn them by heart.\n\n"
                "That is *overfitting*, and for once it is wanted.",
                "`x` の列は手書き数字 $batch 個で、それぞれ 4 × 4 個の濃淡の値です。`d` "
                "はどの数字かを表します。正しくすべき数よりも重みのほうがずっと多いので、"
                "ネットワークは丸暗記できるはずです。\n\n"
                "これは*過学習*ですが、ここではそれがねらいです。",
            ),
            "start",
            "forward y",
            ("input", "layer1"),
            ("x", "d"),
        ),
        Chapter(
            "start",
            Text("The first check: is the loss log K?", "最初の確認: 損失は log K か"),
            Text(
                "An untrained network knows nothing, so each of the 10 classes should get about the "
                "probability 1/10 and the loss should be near `log 10 ≈ 2.3`. Read `E`. A start far above "
                "that says that the first weights are too large, or that the loss is wrong.",
                "学習前のネットワークは何も知らないので、10 個のクラスの確率はどれもおよそ 1/10、損失は "
                "`log 10 ≈ 2.3` に近いはずです。`E` を読んでください。"
                "これよりずっと大きければ、重みの初期値が大きすぎるか、損失の計算が間違っています。",
            ),
            "forward y",
            "forward E",
            ("loss",),
            ("L", "E"),
        ),
        Chapter(
            "gradients",
            Text("The second check: does every weight hear something?", "次の確認: どの重みにも勾配が届くか"),
            Text(
                "Follow the error back and look at the gradient of each weight. A strip that is all 0 is a "
                "weight that will never learn.\n\n"
                "Set `bug` to `zero weights`: then `z_1` is 0, so `W_2` gets nothing; and `W_2` is 0, so "
                "nothing gets through to `W_1`. Only the bias `b_2` learns, and with it how frequent each "
                "class is, nothing more.",
                "誤差を逆にたどり、各重みの勾配を見てください。帯がすべて 0 "
                "なら、その重みはいつまでたっても学習しません。\n\n"
                "`bug` を `zero weights` にしてみましょう。`z_1` が 0 なので `W_2` には何も届かず、`W_2` が "
                "0 なので `W_1` までは何も通りません。学習するのはバイアス `b_2` "
                "だけで、覚えるのは各クラスの頻度だけです。",
            ),
            "backward E",
            "end",
            ("parameters", "layer1", "layer2"),
            ("W_*", "b_*"),
        ),
        Chapter(
            "fit",
            Text("Train until nothing is left", "損失がなくなるまで学習する"),
            Text(
                "Start training: Adam with a rate of 0.05. After 200 updates less than a hundredth of the "
                "loss is left and all $batch digits are right. So forward pass, loss, backward pass and "
                "update work together, and it is worth while to go for the whole data.\n\n"
                "Even with `labels` set to `shuffled` it succeeds. That proves the plumbing, and nothing "
                "about what the network will do with digits that it has not seen.",
                "学習を始めましょう。Adamで学習率は 0.05 とします。200 回更新すると損失は最初の 100 分の 1 "
                "以下になり、$batch 個の数字すべてに正しく答えます。"
                "順伝播、損失、逆伝播、更新がそろって働いていると分かったので、"
                "データ全体での学習に進む価値があります。\n\n"
                "`labels` を `shuffled` にしても成功します。"
                "確かめられるのは計算が正しくつながっていることだけで、見たことのない数字にどう答えるかは別の話です。",
            ),
            "start",
            "end",
            highlight=("E", "W_*"),
        ),
        Chapter(
            "bug",
            Text("What a bug looks like", "間違いはこう見える"),
            Text(
                "Set `bug` to `softmax twice`, a favourite: the network ends in a softmax, and the loss "
                "takes another one. Nothing crashes, the loss even falls. But scores that lie between 0 and "
                "1 can not make a class more than `e` times as probable as another, so the loss never gets "
                "below `log(e + 9) − 1 ≈ 1.46`.\n\n"
                "On the whole data this looks like a network that learns poorly. On $batch examples it is "
                "plain: it *can not*.",
                "`bug` を、よくある `softmax twice` にしましょう。"
                "ネットワークの最後にソフトマックスがあるのに、損失の中でもう一度かけています。"
                "エラーは出ず、損失も少しは下がります。しかし 0 と 1 の間のスコアでは、"
                "あるクラスの確率をほかの `e` 倍までしか大きくできません。損失は `log(e + 9) − 1 ≈ 1.46` "
                "より下がらないのです。\n\n"
                "データ全体では、学習の進みが悪いネットワークにしか見えません。$batch "
                "個のサンプルなら明らかです。*できない*のです。",
            ),
            "backward E",
            "end",
            ("loss",),
            ("y", "E"),
        ),
    ),
    proofs=(
        Proof(
            "fits",
            Text(
                "200 updates leave less than 1 % of the loss; with a bug more than 10 %",
                "200 回の更新で損失は 1 % 未満になる。間違いがあれば 10 % 以上残る",
            ),
            r"E_{200} < \frac{1}{100} E_0",
            _fits,
        ),
        Proof(
            "error",
            Text("the error at the scores", "スコアでの誤差"),
            r"\frac{\partial E}{\partial y} = \frac{1}{B}(p - d)",
            lambda r: (r.grad("y"), _error(r)(r.value("y"), r.value("d"))),
        ),
        Proof(
            "weights",
            Text("all weights, as sums over the batch", "すべての重み (バッチの和)"),
            r"\frac{\partial E}{\partial W^{(l)}} = \delta^{(l)} {z^{(l-1)}}^{\top}",
            lambda r: classifier.weight_gradients(r, _error(r)),
        ),
    ),
    estimate=lambda p: 24,
    data=data,
    score=classifier.share_right,
    recipe=lambda p: {"optimizer": "adam", "lr": RATE, "epochs": UPDATES},
)
def overfit_small_batch(p: Any, leaves: Leaves) -> Any:
    x, d = leaves.batch["x"], leaves.batch["d"]
    start = classifier.first_weights(leaves, (len(x), p.units, len(d)))
    if p.bug == "zero weights":
        start = [(0.0 * W, b) for W, b in start]
    weights = classifier.as_parameters(leaves, start)
    with scope("input"):
        x = leaves.input("x", x)
    y = classifier.scores(weights, x)
    if p.bug == "softmax twice":
        with scope("prediction"):
            y = named("p", ag.softmax(y, axis=0))
    with scope("loss"):
        return classifier.cross_entropy(y, leaves.target("d", d))
