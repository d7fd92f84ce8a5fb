"""The n-gram model: count what followed the last words, smooth the counts, and be measured by perplexity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import autograd as ag
from autograd import at_time, scope
from scenes.bricks import constant, named
from scenes.recurrent.corpus import TEXT, Corpus, Ids, Predict, corpus, one_hot
from scenes.recurrent.layers import NOTATION, replay, side_by_side, steps
from scenes.scene import Chapter, Leaves, Notation, Parameter, Proof, Recording, Text, scene


def counts(stream: np.ndarray, history: Ids, size: int) -> np.ndarray:
    """How often each word of a vocabulary of that size follows the history in a text, (size,)."""
    m = len(history)
    rows = np.lib.stride_tricks.sliding_window_view(stream, m + 1)
    follows = np.all(rows[:, :m] == np.array(history, int), axis=1)
    if not m:
        follows[0] = False  # the mark before the first sentence was put there
    return np.bincount(rows[follows, m], minlength=size).astype(float)


def orders(text: Corpus, history: Ids, n: int) -> np.ndarray:
    """Counts after the last n−1 words, after the last n−2 and so on down to none, then 1 for every word.

    (n + 1, V). Where a history was never seen, the next shorter one stands in for it.
    """
    size = len(text.words)
    rows = [np.ones(size)]
    for m in range(n):
        found = counts(text.train, history[max(len(history) - m, 0) :], size)
        rows.append(found if found.any() else rows[-1])
    return np.stack(rows[::-1])


def add_k(text: Corpus, n: int, k: float) -> Predict:
    """`(C + k) / (N + kV)`: as if every word had been seen k times more often."""

    def predict(ids: Ids) -> np.ndarray:
        found = counts(text.train, ids[max(len(ids) - n + 1, 0) :], len(text.words)) + k
        total = found.sum()
        return found / total if total else found  # k = 0 and a history that was never seen

    return predict


def interpolated(text: Corpus, n: int, weights: Sequence[float]) -> Predict:
    """`Σ_j λ_j C_j/N_j` over the orders n … 1 and the uniform one; n + 1 weights that add up to 1."""

    def predict(ids: Ids) -> np.ndarray:
        rows = orders(text, ids, n)
        mixed: np.ndarray = np.asarray(weights) @ (rows / rows.sum(axis=1, keepdims=True))
        return mixed

    return predict


def _adds(r: Recording) -> bool:
    return r.parameters["smoothing"] == "add-k"


def _smoothed(r: Recording) -> np.ndarray:
    """p of every step, (T, V), from the counts."""
    C = np.stack([r.value(f"C_{t}") for t in steps(r)])
    if _adds(r):
        return (C + r.value("k")) / (C.sum(axis=-1, keepdims=True) + r.value("k") * C.shape[-1])
    rows: np.ndarray = C / C.sum(axis=-1, keepdims=True)
    return np.sum(_weights(r)[:, None] * rows, axis=1)


def _weights(r: Recording) -> np.ndarray:
    e = np.exp(r.value("g") - r.value("g").max())
    return e / e.sum()


def _came(r: Recording) -> np.ndarray:
    """The words that were judged, one-hot, (T, V)."""
    return np.stack([r.value(f"d_{t}") for t in steps(r)])


def _probabilities(r: Recording) -> tuple[Any, Any]:
    return np.stack([r.value(f"p_{t}") for t in steps(r)]), _smoothed(r)


def _sums(r: Recording) -> tuple[Any, Any]:
    got = np.array([r.value(f"p_{t}").sum() for t in steps(r)])
    return got, np.ones(len(got))


def _perplexity(r: Recording) -> tuple[Any, Any]:
    right = np.sum(_came(r) * _smoothed(r), axis=1)
    return r.value("PP"), np.prod((1 / right) ** (1 / len(right)))


def _smoothing(r: Recording) -> tuple[Any, Any]:
    """By k: `V/(N + kV) − 1/(C + k)`. By the scores g of λ: λ minus the share that each order has in p.

    Where nothing was seen neither matters and the gradient is 0; so the loss stands beside it.
    """
    came, C = _came(r), np.stack([r.value(f"C_{t}") for t in steps(r)])
    if _adds(r):
        V, k = C.shape[-1], r.value("k")
        closed = np.mean(V / (C.sum(axis=-1) + k * V) - 1 / (np.sum(came * C, axis=-1) + k))
    else:
        rows = np.einsum("tov,tv->to", C / C.sum(axis=-1, keepdims=True), came)
        shares = rows * _weights(r)
        closed = _weights(r) - np.mean(shares / shares.sum(axis=1, keepdims=True), axis=0)
    loss = -np.mean(np.log(np.sum(came * _smoothed(r), axis=1)))
    return side_by_side(r.grad("k" if _adds(r) else "g"), r.value("L")), side_by_side(closed, loss)


def _uniform(r: Recording) -> tuple[Any, Any]:
    """Perplexity of the same words when all counts are equal."""
    blind = r.scene.build(r.parameters, seed=r.seed)
    replay(blind, {f"C_{t}": np.ones(blind[f"C_{t}"].shape) for t in steps(r)})
    return blind.value("PP"), float(r.value("d_1").size)


_LETTERS = {"d": "y", "logP": "log P", "right": "ŷ", "lambda": "λ", "kappa": "log k", "p": "P", "s": "(C+k)"}
_NOTATIONS = {"RN": Notation("sup", _LETTERS), "CS": Notation("angle", _LETTERS)}


@scene(
    "ngram",
    family="recurrent",
    title=Text("n-gram language model", "n-gramモデル"),
    summary=Text(
        "Count what came after the last words, and that is the prediction. Smoothing keeps a word that was "
        "never seen from being impossible, and its gradient says how much smoothing is right.",
        "直前の語のあとに何が来たかを数え、それを予測に使うモデルです。平滑化は、見たことのない語の確率が 0 "
        "になるのを防ぎます。どれだけ平滑化すればよいかは、その勾配が教えてくれます。",
    ),
    source="CS",
    parameters=(
        Parameter("T", 3, Text("number of words that are judged", "評価する語の数"), 1, 30),
        TEXT,
        Parameter(
            "n",
            2,
            Text("words in an n-gram: n − 1 before, and the next", "n-gramの語数。n − 1 語から次の語を予測"),
            1,
            5,
        ),
        Parameter(
            "smoothing",
            "add-k",
            Text(
                "add k to every count, or mix the orders n … 1 and the uniform distribution",
                "すべての頻度に k を加えるか、n-gramから1-gramまでと一様分布を混ぜるか",
            ),
            choices=("add-k", "interpolated"),
        ),
        Parameter("k", 0.1, Text("what is added to every count", "各頻度に加える値"), 0.001, 10.0),
        Parameter(
            "judged",
            "held out",
            Text(
                "words of which part of the text; the seed moves on in it",
                "文章のどの部分の語を評価するか。シードを変えると場所がずれる",
            ),
            choices=("held out", "training"),
        ),
        NOTATION,
    ),
    notations=_NOTATIONS,
    formulas=(
        r"P(w \mid h) = \frac{C(h\,w)}{\sum_{w'} C(h\,w')},\qquad h = w_{t-n+1} \ldots w_{t-1}",
        r"P_k(w \mid h) = \frac{C(h\,w) + k}{\sum_{w'} C(h\,w') + k\,V}",
        r"P_\lambda(w \mid h) = \sum_j \lambda_j\,P_j(w \mid h_j),\qquad \lambda = \mathrm{softmax}(g)",
        r"PP = \prod_t \left(\frac{1}{P(w_t \mid h_t)}\right)^{1/T}",
    ),
    chapters=(
        Chapter(
            "counting",
            Text("Learning is counting", "学習とは数えること"),
            Text(
                "An n-gram model looks at the last n − 1 words, here n = $n, and asks: what came after them "
                "in the training text, and how often? `C` holds the answer, one count for each word of the "
                "vocabulary.\n\n"
                "There is no hidden state and nothing to train by gradient. All that the model knows is this "
                "table.",
                "n-gramモデルは直前の n − 1 語 (ここでは n = $n) を見て、訓練用の文章でそのあとに何が何回来"
                "たかを調べます。その答えが `C` で、語彙の一語ごとに頻度が入っています。\n\n"
                "隠れ状態はなく、勾配で学習するものもありません。このモデルの知識は、この表がすべてです。",
            ),
            "start",
            "forward p_1",
            ("*/t=1",),
            ("C_*",),
        ),
        Chapter(
            "zero",
            Text("A word that never came", "一度も出てこなかった語"),
            Text(
                "The plain estimate is `C / ΣC`. Its weak point is the 0: a word that never followed these "
                "words is *impossible*, the probability of the whole sentence becomes 0 and the perplexity "
                "infinite. The larger n is, the more histories there are, and the more of their followers "
                "have never been seen.\n\n"
                "Text that was *held out* shows it at once: it has words that the training part does not "
                "have at all.",
                "素朴な推定値は `C / ΣC` です。弱点は 0 です。その並びのあとに一度も来なかった語は*ありえな"
                "い*ことになり、文全体の確率が 0、パープレキシティが無限大になってしまいます。"
                "n を大きくすると履歴の種類が増え、そのあとに来た語をほとんど見たことがない、"
                "という場合が増えていきます。\n\n"
                "訓練に使わなかった (*held out*) 部分を評価すると、すぐに分かります。"
                "訓練部分にはまったく出てこない語が含まれているからです。",
            ),
            "start",
            "forward right_1",
            ("*/t=1",),
            ("C_*", "d_*"),
        ),
        Chapter(
            "smoothing",
            Text("Smoothing", "平滑化"),
            Text(
                "Here it is *$smoothing*.\n\n"
                "**add-k** pretends that every word was seen k times more often: simple, but it gives far "
                "too much to the many words that never come. **interpolated** mixes what the long history "
                "says with what shorter ones say, and with the uniform distribution: `P = Σ λ_j P_j`. The "
                "weights λ are positive and add up to 1, because they are a softmax.\n\n"
                "Both keep the sum at exactly 1. What unseen words get is taken from the seen ones.",
                "ここでは *$smoothing* です。\n\n"
                "**add-k** は、どの語も k 回ずつ余分に見たことにします。簡単ですが、"
                "決して来ない大量の語に確率を与えすぎます。**interpolated** は線形補間で、"
                "長い履歴からの推定値を、より短い履歴からの推定値や一様分布と混ぜます: `P = Σ λ_j P_j`。"
                "重み λ はソフトマックスの出力なので、正で合計が 1 になります。\n\n"
                "どちらも確率の合計はちょうど 1 のままです。見たことのない語に与えた分は、"
                "見たことのある語から取っています。",
            ),
            "forward p_1",
            "forward p_$T",
            ("*/t=*",),
            ("p_*", "k", "lambda"),
        ),
        Chapter(
            "perplexity",
            Text("How good is it?", "どれだけ良いモデルか"),
            Text(
                "`ŷ` is the probability of the word that really came. Their product is the probability of "
                "the text, and the perplexity `PP` is the geometric mean of one over each: between how many "
                "words does the model still hesitate?\n\n"
                "Set `judged` to *training* and let n grow: the perplexity falls towards 1, because the "
                "table knows the text by heart. Only the part that was held out tells whether it has "
                "learned the language.",
                "`ŷ` は実際に来た語の確率です。その積が文章の確率で、逆数の幾何平均がパープレキシティ `PP` "
                "です。モデルがあと何語の間で迷っているかを表します。\n\n"
                "`judged` を *training* にして n を大きくすると、パープレキシティは 1 に近づきます。"
                "表が文章を丸暗記しているからです。言葉を学んだかどうかは、訓練に使わなかった部分でしか分か"
                "りません。",
            ),
            "forward right_1",
            "loss",
            ("*/t=*", "loss"),
            ("right_*", "L", "PP"),
        ),
        Chapter(
            "tuning",
            Text("What the gradient is for", "勾配で平滑化を調整する"),
            Text(
                "The counts are fixed, but how much to smooth is a number like any other, so it has a "
                "gradient. For `k` it is `V/(ΣC + kV) − 1/(C + k)`: every word that had been seen asks for "
                "less smoothing, every unseen one for more. For the scores of λ it is `λ_j` minus the share "
                "that order j had in the prediction.\n\n"
                "Tune it on text that was *not* counted. On the whole training text the gradient would say: "
                "no smoothing, longest history.",
                "頻度は固定されていますが、どれだけ平滑化するかは一つの数なので、勾配を求められます。"
                "`k` では `V/(ΣC + kV) − 1/(C + k)` となり、見たことのある語は平滑化を弱めるように、"
                "見たことのない語は強めるように働きます。λ のスコアでは、`λ_j` から、"
                "j 番目の推定値が予測に占めた割合を引いたものになります。\n\n"
                "調整には、数えるのに*使わなかった*文章を使ってください。訓練用の文章全体では、"
                "勾配は「平滑化なし、履歴は最長」を指してしまいます。",
            ),
            "loss",
            "end",
            ("parameters", "*/t=1"),
            ("k", "kappa", "g", "lambda", "p_*"),
        ),
        Chapter(
            "beside-rnnlm",
            Text("Beside a recurrent network", "RNNLMと比べる"),
            Text(
                "To look further back, an n-gram needs a longer history, and a table that grows with every "
                "word of it: `V` to the power n entries, nearly all of them empty. `rnnlm` keeps one state "
                "of fixed size and learns what to keep in it; and because words are vectors there, what it "
                "learns about one word helps with its neighbours.\n\n"
                "Open `rnnlm` with the same text, train it, and compare the perplexities on the part that "
                "was held out. On texts as small as these, counting with a long history and little "
                "smoothing is hard to beat: it needs no more than one look at a thing to know it.",
                "n-gramがもっと前の語まで見るには履歴を長くするしかなく、表は一語増えるたびに大きくなりま"
                "す。項目の数は `V` の n 乗で、そのほとんどは空です。`rnnlm` は大きさの決まった状態を一つだ"
                "けもち、そこに何を残すかを学習します。しかも単語がベクトルなので、"
                "ある語について学んだことが似た語にも役立ちます。\n\n"
                "同じ文章で `rnnlm` を開いて学習させ、訓練に使わなかった部分のパープレキシティを比べてみま"
                "しょう。これほど短い文章では、履歴を長く、平滑化を弱くして数えるだけの方法になかなか勝てま"
                "せん。一度見ただけで覚えてしまうからです。",
            ),
            "loss",
            "end",
            ("loss",),
            ("PP",),
        ),
    ),
    proofs=(
        Proof(
            "sums",
            Text("probabilities add up to 1", "確率の和は 1"),
            r"\sum_w P(w \mid h) = 1",
            _sums,
        ),
        Proof(
            "probabilities",
            Text("the smoothed probabilities from the counts", "頻度から求めた平滑化後の確率"),
            r"P_k = (C + k) / (\sum C + kV),\quad P_\lambda = \sum_j \lambda_j C_j / \sum C_j",
            _probabilities,
        ),
        Proof(
            "perplexity",
            Text("perplexity is a geometric mean", "パープレキシティは幾何平均"),
            r"PP = \prod_t (1/P(w_t \mid h_t))^{1/T}",
            _perplexity,
        ),
        Proof(
            "uniform",
            Text("equal counts give perplexity V", "頻度がすべて等しければパープレキシティは V"),
            r"C = 1:\quad PP = V",
            _uniform,
        ),
        Proof(
            "smoothing",
            Text("the gradient of the smoothing", "平滑化の勾配"),
            r"\frac{\partial L}{\partial k} = \frac{1}{T}\sum_t\left(\frac{V}{\sum C + kV} - "
            r"\frac{1}{C + k}\right),\quad \frac{\partial L}{\partial g} = \lambda - \mathrm{share}",
            _smoothing,
        ),
    ),
    estimate=lambda p: 9 * p.T + 10,
    words=lambda p: corpus(p.text).words,
)
def ngram(p: Any, leaves: Leaves) -> Any:
    text = corpus(p.text)
    V, adds = len(text.words), p.smoothing == "add-k"
    stream = text.held_out if p.judged == "held out" else text.train
    first = 1 + leaves.seed * p.T % (len(stream) - p.T)
    if adds:
        kappa = leaves.parameter("kappa", np.log(p.k))  # so that k stays positive in training
        with scope("parameters"):
            k = named("k", ag.exp(kappa[()] if isinstance(kappa, np.ndarray) else kappa))
    else:
        g = leaves.parameter("g", np.zeros(p.n + 1))
        with scope("parameters"):
            weights = named("lambda", ag.softmax(g))
    log_likelihood = []
    for t in range(1, p.T + 1):
        at = first + t - 1
        with scope("ngram"), at_time(t):
            if adds:
                history = stream[max(at - p.n + 1, 0) : at]
                C = leaves.constant(f"C_{t}", counts(text.train, history, V))
                s = named(f"s_{t}", C + k)
                probabilities = named(f"p_{t}", s / ag.sum(s))
            else:
                C = leaves.constant(f"C_{t}", orders(text, stream[:at], p.n))
                probabilities = named(f"p_{t}", weights @ (C / ag.sum(C, axis=1, keepdims=True)))
            d = leaves.target(f"d_{t}", one_hot(stream[at : at + 1], V)[:, 0])
            right = named(f"right_{t}", ag.sum(d * probabilities))
            log_likelihood.append(named(f"logP_{t}", ag.log(right)))
    with scope("loss"):
        logP = named("logP", ag.add_n(log_likelihood))
        named("P", ag.exp(logP))
        L = named("L", -logP / constant(leaves, "T", float(p.T)))
        named("PP", ag.exp(L))
        return L
