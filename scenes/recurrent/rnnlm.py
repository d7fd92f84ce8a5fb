"""The recurrent language model: embed a word, carry the sentence in a state, predict the next word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import autograd as ag
from autograd import at_time, scope
from scenes.bricks import SLOPES, activate, constant, named, total
from scenes.recurrent.corpus import TEXT, Ids, corpus, one_hot, windows
from scenes.recurrent.layers import ACTIVATION, NOTATION, letters_note, replay, side_by_side, steps
from scenes.scene import Chapter, Data, Erratum, Leaves, Notation, Parameter, Proof, Recording, Text, scene

_F: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "sigmoid": lambda u: 1 / (1 + np.exp(-u)),
    "relu": lambda u: np.maximum(u, 0),
    "linear": lambda u: u,
}


def data(p: Any, seed: int) -> Data:
    """Stretches of T words as one-hot columns `x_t` (V, count), and the word after each as `d_t`."""
    text = corpus(p.text)
    parts = []
    for stream in (text.train, text.held_out):
        rows = windows(stream, p.T + 1)
        both = (("x", 0), ("d", 1))
        parts.append(
            {
                f"{k}_{t}": one_hot(rows[:, t - 1 + o], len(text.words))
                for t in range(1, p.T + 1)
                for k, o in both
            }
            if len(rows)
            else {}
        )
    return Data(parts[0], parts[1], classes=text.words)


def share_right(r: Recording) -> float:
    """How often the likeliest word is the one that comes."""
    hits = [r.value(f"v_{t}").argmax(axis=0) == r.value(f"d_{t}").argmax(axis=0) for t in steps(r)]
    return float(np.mean(hits))


def predict(weights: Mapping[str, np.ndarray], ids: Ids, activation: str = "tanh") -> np.ndarray:
    """Probability of each word after those read so far, (V,), from the values of the trained leaves."""
    w = weights
    z = np.zeros((len(w["W"]), 1))
    for i in ids:
        z = _F[activation](w["W_in"] @ w["E"][:, [i]] + w["W"] @ z + w["b"])
    return _softmax(w["W_out"] @ z + w["c"])[:, 0]


def _softmax(v: np.ndarray) -> np.ndarray:
    """Of every column."""
    e = np.exp(v - v.max(axis=0))
    return e / e.sum(axis=0)


def _right(r: Recording) -> np.ndarray:
    """Probability of every word that really came next, (T, B), from the scores."""
    p = [np.sum(_softmax(r.value(f"v_{t}")) * r.value(f"d_{t}"), axis=0) for t in steps(r)]
    return np.stack(p)


def _perplexity(r: Recording) -> tuple[Any, Any]:
    right = _right(r)
    return r.value("PP"), np.prod((1 / right) ** (1 / right.size))


def _is_exponential(r: Recording) -> tuple[Any, Any]:
    return r.value("PP"), np.exp(-np.mean(np.log(_right(r))))


def _uniform(r: Recording) -> tuple[Any, Any]:
    """Without scores every word is as likely as any other."""
    blind = r.scene.build(r.parameters, seed=r.seed)
    replay(blind, {name: np.zeros(blind[name].shape) for name in ("W_out", "c")})
    return blind.value("PP"), float(len(blind.value("x_1")))


def _scores(r: Recording) -> tuple[Any, Any]:
    count = _right(r).size
    got = [r.grad(f"v_{t}") for t in steps(r)]
    return np.stack(got), np.stack(
        [(_softmax(r.value(f"v_{t}")) - r.value(f"d_{t}")) / count for t in steps(r)]
    )


def _by_hand(r: Recording) -> dict[str, np.ndarray]:
    """All gradients of leaves that are trained, by back-propagation through time over the columns."""
    _, errors = _scores(r)
    slope, W, W_out = SLOPES[str(r.parameters["activation"])], r.value("W"), r.value("W_out")
    delta: dict[int, np.ndarray] = {}
    after: Any = 0.0
    for t in reversed(steps(r)):
        delta[t] = (W_out.T @ errors[t - 1] + after) * slope(r.value(f"u_{t}"))
        after = W.T @ delta[t]
    sums = {
        "E": lambda t: r.value("W_in").T @ delta[t] @ r.value(f"x_{t}").T,
        "W_in": lambda t: delta[t] @ r.value(f"e_{t}").T,
        "W": lambda t: delta[t] @ r.value(f"z_{t - 1}").T,
        "b": lambda t: delta[t].sum(axis=1, keepdims=True),
        "W_out": lambda t: errors[t - 1] @ r.value(f"z_{t}").T,
        "c": lambda t: errors[t - 1].sum(axis=1, keepdims=True),
    }
    return {name: np.sum([term(t) for t in steps(r)], axis=0) for name, term in sums.items()}


def _weights(r: Recording) -> tuple[Any, Any]:
    closed = {name: g for name, g in _by_hand(r).items() if name != "E"}
    return side_by_side(*(r.grad(name) for name in closed)), side_by_side(*closed.values())


def _embedding(r: Recording) -> tuple[Any, Any]:
    return r.grad("E"), _by_hand(r)["E"]


def _untouched(r: Recording) -> tuple[Any, Any]:
    """Which columns of the embedding get a gradient at all, and which words were read."""
    seen = np.sum([r.value(f"x_{t}").sum(axis=1) for t in steps(r)], axis=0) != 0
    return np.where(seen, 0.0, np.abs(r.grad("E")).sum(axis=0)), np.zeros(len(seen))


# What stands between the scores and the loss has names for proofs; the notes write it out
_LETTERS = {"logp": "log ŷ", "hit": "", "p": "ŷ", "logP": "log P", "d": "y", "v": "v"}
_NOTATIONS = {
    "RN": Notation("sup", _LETTERS),
    "CS": Notation("angle", _LETTERS | {"z": "a"}),
}
_NOTE = letters_note(_NOTATIONS)


@scene(
    "rnnlm",
    family="recurrent",
    title=Text("RNN language model", "RNNLM (RNN言語モデル)"),
    summary=Text(
        "A network reads a real text word by word and says what comes next. Its surprise is the loss, and "
        "perplexity tells between how many words it still hesitates.",
        "実際の文章を一語ずつ読み、次に来る語を予測するネットワークです。予測の外れ具合が損失になり、"
        "パープレキシティは、あと何語の間で迷っているかを表します。",
    ),
    source="RP, CS",
    parameters=(
        Parameter("T", 3, Text("number of words that are read", "読む語の数"), 1, 50),
        TEXT,
        Parameter("embed", 3, Text("size of a word's vector e", "単語ベクトル e の次元"), 1, 32),
        Parameter("hidden", 4, Text("size of the state z", "状態 z の次元"), 1, 64),
        ACTIVATION,
        Parameter(
            "batch",
            1,
            Text(
                "stretches of text side by side; 0: all of them",
                "並べて読む区間の数。0 なら全部",
            ),
            0,
            128,
        ),
        NOTATION,
    ),
    notations=_NOTATIONS,
    formulas=(
        r"e^t = E\,x^t,\qquad z^t = f(W_{in}\,e^t + W\,z^{t-1} + b)",
        r"v^t = W_{out}\,z^t + c,\qquad \hat y^t = \mathrm{softmax}(v^t)",
        r"P(y) = \prod_t \hat y^t_{\mathrm{target}},\qquad L = -\frac{1}{T}\sum_t \log \hat y^t_"
        r"{\mathrm{target}}",
        r"PP = \prod_t \left(\frac{1}{\hat y^t_{\mathrm{target}}}\right)^{1/T} = e^{L}",
        r"\frac{\partial L}{\partial v^t} = \frac{1}{T}(\hat y^t - y^t)",
    ),
    chapters=(
        Chapter(
            "words",
            Text("A word becomes a vector", "単語をベクトルにする"),
            Text(
                "`x` is one-hot: a single 1 among as many places as the text has different words. `E x` "
                "picks one column of the embedding matrix `E`, the word's own vector `e`. At first it is "
                "random; whatever the model comes to know about a word, it will have learnt into this "
                "column.\n\n"
                "The text is a real one: `text` chooses a nursery rhyme or the beginning of a novel. Each "
                "step reads one word, the end of a sentence included."
                f"{_NOTE.en}",
                "`x` はワンホットベクトルです。文章に出てくる語の種類だけ場所があり、一か所だけが 1 です。"
                "`E x` は埋め込み行列 `E` から一列を取り出し、それがその単語のベクトル `e` になります。"
                "最初はでたらめな値ですが、モデルが単語について学ぶことは、すべてこの列に書き込まれます。\n\n"
                "文章は本物です。`text` で童謡か小説の冒頭を選べます。一時刻に一語ずつ、"
                "文の終わりの記号も一語として読みます。"
                f"{_NOTE.ja}",
            ),
            "start",
            "forward e_1",
            ("parameters", "*/t=1"),
            ("x_1", "E", "e_1"),
        ),
        Chapter(
            "state",
            Text("The state carries the sentence", "状態が文を運ぶ"),
            Text(
                "`z` mixes the new word with what was there before. A model of word pairs forgets "
                "everything but the last word; here *the whole beginning* can leave a trace in `z`. In the "
                "rhyme `that` is followed by `lay`, `ate`, `killed`, `worried` …: which one it is depends on "
                "who stands before it.",
                "`z` は新しい語を、それまでの内容と混ぜ合わせます。語の組を数えるだけのモデルは直前の語しか"
                "覚えていませんが、ここでは*それまでの文全体*が `z` に跡を残せます。童謡の `that` のあとには "
                "`lay`、`ate`、`killed`、`worried` などが来ます。どれになるかは、その前にいるのが誰かで"
                "決まります。",
            ),
            "forward e_1",
            "forward z_$T",
            ("*/t=*",),
            ("z_*", "e_*"),
        ),
        Chapter(
            "next-word",
            Text("A probability for every word", "すべての語に確率を"),
            Text(
                "`v = W_out z + c` gives every word of the vocabulary a score, and softmax makes "
                "probabilities `ŷ` of them: positive, and 1 in total. An untrained model spreads them "
                "nearly evenly.\n\n"
                "The target `y` is simply the word that really comes next. Nobody has to label anything: the "
                "text is its own teacher.",
                "`v = W_out z + c` が語彙のすべての語にスコアを付け、ソフトマックスがそれを確率 `ŷ` にしま"
                "す。どれも正で、合計は 1 です。学習前のモデルでは、ほとんど均等に散らばっています。\n\n"
                "正解 `y` は、実際に次に来る語です。誰かが正解を付ける必要はありません。"
                "文章そのものが先生になります。",
            ),
            "forward v_1",
            "forward logP_$T",
            ("*/t=1", "*/t=2"),
            ("v_*", "p_*", "d_*"),
        ),
        Chapter(
            "probability",
            Text("The probability of a sentence", "文の確率"),
            Text(
                "The chain rule of probability: `P(y) = Π_t ŷ^t` at the words that came. A product of many "
                "numbers below 1 is soon too small to write down, so the logarithms are added: `log P`. "
                "The loss `L` is its negative mean per word, the cross-entropy.",
                "確率の連鎖律により、`P(y) = Π_t ŷ^t` と、実際に来た語の確率を掛け合わせたものが文の確率で"
                "す。1 より小さい数を何度も掛けるとすぐに小さくなりすぎるので、対数をとって足します。"
                "これが `log P` です。符号を変えて一語あたりの平均にしたものが損失 `L`、"
                "つまり交差エントロピーです。",
            ),
            "forward logP_1",
            "loss",
            ("*/t=*", "loss"),
            ("logP_*", "logP", "P", "L"),
        ),
        Chapter(
            "perplexity",
            Text("Perplexity", "パープレキシティ"),
            Text(
                "`PP = Π_t (1/ŷ^t)^{1/T}`: the geometric mean of *one over the probability* of each word, "
                "which is `exp(L)`. A model that hesitates between k equally likely words has perplexity "
                "k; one that knows nothing has the size of the vocabulary, and one that is always sure and "
                "right has 1.\n\n"
                "*A note in CS* says that perplexity is used in t-SNE. That is another quantity of the same "
                "name: there it measures how wide a neighbourhood is, here how good a prediction is.",
                "`PP = Π_t (1/ŷ^t)^{1/T}` は、各語の*確率の逆数*の幾何平均で、`exp(L)` に等しくなります。"
                "同じくらいありそうな k 語の間で迷っているモデルのパープレキシティは k です。"
                "何も知らないモデルなら語彙の大きさ、いつも確信をもって当てるモデルなら 1 になります。\n\n"
                "*CSの注記:* パープレキシティはt-SNEで使われるとありますが、名前が同じだけの別の量です。"
                "t-SNEでは近傍の広さを、ここでは予測の良さを表します。",
            ),
            "loss",
            "loss",
            ("loss",),
            ("PP", "L"),
        ),
        Chapter(
            "back",
            Text("Back: prediction minus word", "逆伝播: 予測 − 正解"),
            Text(
                "Through logarithm and softmax the gradient of the scores is as plain as can be: `∂L/∂v^t = "
                "(ŷ^t − y^t)/T`. The word that came is pushed up, all others down, each by as much as it "
                "was believed in.\n\n"
                "From there it runs through time like in any recurrent network, and ends in `E`. Look at "
                "its gradient: only the columns of words that were *read* get any.",
                "対数とソフトマックスを通り抜けると、スコアの勾配はこれ以上ないほど簡単になります。"
                "`∂L/∂v^t = (ŷ^t − y^t)/T` です。実際に来た語は押し上げられ、"
                "ほかの語は信じられていた分だけ押し下げられます。\n\n"
                "そこから先は普通のRNNと同じく時間をさかのぼり、最後に `E` に届きます。`E` の勾配を見てくだ"
                "さい。勾配があるのは、*読んだ*語の列だけです。",
            ),
            "backward L",
            "end",
            highlight=("v_*", "E", "e_*"),
        ),
        Chapter(
            "train",
            Text("Train it, and judge it by other text", "学習させ、別の文章で評価する"),
            Text(
                "Set T to 8, `embed` to 12, `hidden` to 24 and `batch` to 16, and train with Adam at a rate "
                "of 0.01. Within some twenty epochs the perplexity on the text that it reads falls close "
                "to 1: the network knows it by heart.\n\n"
                "The last sentences were *held out*, and only they tell what it has learned. The last verse "
                "of the rhyme repeats the ones before it, and the network does well but for the new words. "
                "The novel goes on to something else, and there the longer it trains the *worse* it gets: "
                "more sure of itself, and wrong. That is overfitting in its purest form; a text of two "
                "hundred words is no language.",
                "T を 8、`embed` を 12、`hidden` を 24、`batch` を 16 にして、学習率 0.01 のAdamで学習させて"
                "みましょう。20 エポックほどで、読ませた文章のパープレキシティは 1 に近づきます。"
                "文章を丸暗記したのです。\n\n"
                "最後の数文は訓練に*使っていません*。何を学んだかは、そこでしか分かりません。"
                "童謡の最後の節はそれまでの繰り返しなので、新しい語を除けばよく当たります。"
                "小説では話が先へ進むため、学習すればするほど*悪く*なります。自信をもって間違えるようになる"
                "からです。これこそ過学習です。二百語の文章だけで、言葉を学ぶことはできません。",
            ),
            "start",
            "end",
            highlight=("L", "PP"),
        ),
    ),
    proofs=(
        Proof(
            "perplexity",
            Text("perplexity is a geometric mean", "パープレキシティは幾何平均"),
            r"PP = \prod_t (1/\hat y^t_{\mathrm{target}})^{1/T}",
            _perplexity,
        ),
        Proof(
            "exponential",
            Text("and the exponential of the mean cross-entropy", "平均交差エントロピーの指数関数"),
            r"PP = e^{L}",
            _is_exponential,
        ),
        Proof(
            "uniform",
            Text("a model that knows nothing has perplexity V", "何も知らないモデルのパープレキシティは V"),
            r"W_{out} = 0,\ c = 0:\quad PP = V",
            _uniform,
        ),
        Proof(
            "scores",
            Text("prediction minus word", "予測 − 正解"),
            r"\partial L/\partial v^t = (\hat y^t - y^t)/T",
            _scores,
        ),
        Proof(
            "embedding",
            Text("each word read adds to its own column", "読んだ語が自分の列に加える"),
            r"\partial L/\partial E = \sum_t (\partial L/\partial e^t)\,{x^t}^{\top}",
            _embedding,
        ),
        Proof(
            "untouched",
            Text("words that were not read get nothing", "読んでいない語の勾配は 0"),
            r"\partial L/\partial E_{:,w} = 0\quad(w \ne x^t)",
            _untouched,
            exact=True,
        ),
        Proof(
            "weights",
            Text("the other weights, through time", "ほかの重み (時間方向の和)"),
            r"\partial L/\partial W = \sum_t \delta^t {z^{t-1}}^{\top}",
            _weights,
        ),
    ),
    errata=(
        Erratum(
            "CS",
            "PP is used in t-SNE",
            "PP of a language model: Π_t (1/ŷ^t)^{1/T}",
            Text("another quantity of the same name", "名前が同じだけの別の量"),
        ),
    ),
    estimate=lambda p: 18 * p.T + 16,
    data=data,
    score=share_right,
    recipe=lambda p: {"optimizer": "adam", "lr": 0.01, "epochs": 20},
)
def rnnlm(p: Any, leaves: Leaves) -> Any:
    batch = leaves.batch
    V, B = batch["x_1"].shape

    def drawn(name: str, rows: int, columns: int, scale: float) -> Any:
        return leaves.parameter(name, leaves.draw(name, (rows, columns), scale))

    E = drawn("E", p.embed, V, 1.0)
    W_in = drawn("W_in", p.hidden, p.embed, 2.0 * p.embed**-0.5)
    W = drawn("W", p.hidden, p.hidden, 0.7 * p.hidden**-0.5)
    b = leaves.parameter("b", np.zeros((p.hidden, 1)))
    W_out = drawn("W_out", V, p.hidden, p.hidden**-0.5)
    c = leaves.parameter("c", np.zeros((V, 1)))
    with scope("initial"):
        z = leaves.input("z_0", np.zeros((p.hidden, B)))
    log_likelihood = []
    for t in range(1, p.T + 1):
        with scope("rnnlm"), at_time(t):
            e = named(f"e_{t}", E @ leaves.input(f"x_{t}", batch[f"x_{t}"]))
            u = named(f"u_{t}", total([W_in @ e, W @ z]) + b)
            z = named(f"z_{t}", 1.0 * u if p.activation == "linear" else activate(p.activation, u))
            with scope("prediction"):
                v = named(f"v_{t}", W_out @ z + c)
                logp = named(f"logp_{t}", ag.log_softmax(v, axis=0))
                named(f"p_{t}", ag.exp(logp))  # to look at: the loss takes the logarithm
                hit = named(f"hit_{t}", leaves.target(f"d_{t}", batch[f"d_{t}"]) * logp)
                log_likelihood.append(named(f"logP_{t}", ag.sum(hit, axis=0)))
    with scope("loss"):
        logP = named("logP", ag.add_n(log_likelihood))
        named("P", ag.exp(logP))
        L = named("L", ag.mean(-logP) / constant(leaves, "T", float(p.T)))
        named("PP", ag.exp(L))
        return L
