"""Two tasks for a memory, an RNN or an LSTM: name the first symbol, add the two numbers that are marked."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import at_time, scope
from scenes.bricks import named, total
from scenes.recurrent.layers import GAMMA, NOTATION, letters_note, side_by_side, steps
from scenes.scene import Chapter, Data, Leaves, Notation, Parameter, Proof, Recording, Text, scene

EXAMPLES = 1000, 250  # to train on, to judge by
CLOSE = 0.1  # a sum is right that is off by less
GATES = "fioc"


def data(p: Any, seed: int) -> Data:
    """Sequences as columns: `x_t` (inputs, count) and `d` (outputs, count), drawn from the seed."""
    rng = np.random.default_rng([seed, p.T])
    draw = _first_symbol if p.task == "first symbol" else _adding
    names = tuple("ABCDEFGH"[: p.symbols]) if p.task == "first symbol" else ()
    train, validation = (draw(p, rng, count) for count in EXAMPLES)
    return Data(train, validation, classes=names)


def _first_symbol(p: Any, rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """One-hot symbols, below them a row that is 1 at the first step only; d is the first symbol."""
    unit = np.eye(p.symbols)
    drawn = rng.integers(p.symbols, size=(p.T, count))
    x = {f"x_{t + 1}": np.vstack([unit[:, drawn[t]], np.full(count, float(t == 0))]) for t in range(p.T)}
    return x | {"d": unit[:, drawn[0]]}


def _adding(p: Any, rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Numbers from 0 to 1, below them a mark at one step of each half (Hochreiter and Schmidhuber 1997)."""
    values = rng.uniform(size=(p.T, count))
    half = p.T // 2
    marks = np.zeros((p.T, count))
    marks[rng.integers(half, size=count), np.arange(count)] = 1.0
    marks[half + rng.integers(p.T - half, size=count), np.arange(count)] = 1.0
    x = {f"x_{t + 1}": np.stack([values[t], marks[t]]) for t in range(p.T)}
    return x | {"d": np.sum(values * marks, axis=0, keepdims=True)}


def share_right(r: Recording) -> float:
    """Of the batch: symbols that are named right, or sums that are off by less than CLOSE."""
    v, d = r.value("v"), r.value("d")
    if _names(r):
        return float(np.mean(v.argmax(axis=0) == d.argmax(axis=0)))
    return float(np.mean(np.abs(v - d) < CLOSE))


def _names(r: Recording) -> bool:
    return r.parameters["task"] == "first symbol"


def _error(r: Recording) -> np.ndarray:
    """∂E/∂v: prediction minus target, over the size of the batch."""
    v, d = r.value("v"), r.value("d")
    if not _names(r):
        return (v - d) / v.shape[1]
    e = np.exp(v - v.max(axis=0))
    return (e / e.sum(axis=0) - d) / v.shape[1]


def _by_hand(r: Recording) -> dict[str, np.ndarray]:
    """Gradients of all leaves but the states' first values, by the recursions over the columns."""
    error, v = _error(r), r.value
    last, lstm = steps(r)[-1], r.parameters["cell"] == "lstm"
    found = {"W_out": error @ v(f"{'h' if lstm else 'z'}_{last}").T, "c": error.sum(axis=1, keepdims=True)}
    dh, dc = v("W_out").T @ error, np.zeros(1)
    for t in reversed(steps(r)):
        x = v(f"x_{t}")
        if not lstm:
            delta = dh * (1 - v(f"z_{t}") ** 2)
            parts = {"W_in": delta @ x.T, "W": delta @ v(f"z_{t - 1}").T, "b": delta}
            dh, found[f"x_{t}"] = v("W").T @ delta, v("W_in").T @ delta
        else:
            f, i, o, g, c = (v(f"{k}_{t}") for k in "fiogc")
            squashed = np.tanh(c)
            dc = dc + dh * o * (1 - squashed**2)
            deltas = {
                "f": dc * v(f"c_{t - 1}") * f * (1 - f),
                "i": dc * g * i * (1 - i),
                "o": dh * squashed * o * (1 - o),
                "c": dc * i * (1 - g**2),
            }
            parts = {}
            for k, delta in deltas.items():
                parts |= {f"W_{k}": delta @ x.T, f"U_{k}": delta @ v(f"h_{t - 1}").T, f"b_{k}": delta}
            found[f"x_{t}"] = np.sum([v(f"W_{k}").T @ d for k, d in deltas.items()], axis=0)
            dh, dc = np.sum([v(f"U_{k}").T @ d for k, d in deltas.items()], axis=0), dc * f
        for name, part in parts.items():
            term = part.sum(axis=1, keepdims=True) if name[0] == "b" else part
            found[name] = found.get(name, 0.0) + term
    return found


def _trained(r: Recording) -> tuple[Any, Any]:
    closed, names = _by_hand(r), [leaf.name for leaf in r.graph.leaves("parameter")]
    return side_by_side(*(r.grad(n) for n in names)), side_by_side(*(closed[n] for n in names))


def _inputs(r: Recording) -> tuple[Any, Any]:
    closed = _by_hand(r)
    return np.stack([r.grad(f"x_{t}") for t in steps(r)]), np.stack([closed[f"x_{t}"] for t in steps(r)])


def _guess(r: Recording) -> tuple[Any, Any]:
    """The loss of an answer that does not depend on the input: all symbols alike, or always 1."""
    d = r.value("d")
    v = np.zeros(d.shape) if _names(r) else np.ones(d.shape)
    blind = r.scene.build(r.parameters, seed=r.seed)
    for name, value in (("W_out", 0.0 * blind.value("W_out")), ("c", v[:, :1])):
        blind[name].value = value
    blind.graph.forward()
    wanted = np.log(len(d)) if _names(r) else np.mean(0.5 * (1 - blind.value("d")) ** 2)
    return blind.loss.value, wanted


_NOTATIONS = {
    "RN": Notation("sup", {"keep": "", "write": "", "logp": "log p", "hit": "d·log p"}),
    "CS": Notation(
        "angle",
        {"keep": "", "write": "", "logp": "log ŷ", "hit": "y·log ŷ"}
        | GAMMA
        | {"z": "a", "h": "a", "d": "y", "E": "L"},
    ),
}
_NOTE = letters_note(_NOTATIONS)


@scene(
    "memory",
    family="recurrent",
    title=Text("Long-term memory tasks", "長期記憶の課題"),
    summary=Text(
        "What counts comes at the beginning, the question at the end, and noise in between. Train it: the "
        "LSTM learns to keep, the plain RNN stays at guessing once the sequence is long.",
        "大事なことは最初に来て、問われるのは最後です。その間は雑音だけ。学習させてみると、"
        "LSTMは覚えておくことを学びますが、普通のRNNは系列が長くなると当てずっぽうのままです。",
    ),
    source="RN",
    parameters=(
        Parameter("T", 4, Text("number of time steps", "時刻の数"), 2, 100),
        Parameter(
            "task",
            "first symbol",
            Text(
                "name the symbol that came first, or add the two numbers that are marked",
                "最初に来た記号を答えるか、印の付いた二つの数を足すか",
            ),
            choices=("first symbol", "adding"),
        ),
        Parameter(
            "cell",
            "lstm",
            Text("a plain RNN or an LSTM", "普通のRNNかLSTMか"),
            choices=("rnn", "lstm"),
        ),
        Parameter("hidden", 2, Text("size of the state", "状態の次元"), 1, 64),
        Parameter("symbols", 3, Text("different symbols of the first task", "記号の種類の数"), 2, 8),
        Parameter(
            "forget_bias",
            1.0,
            Text(
                "where the LSTM's b_f starts: the larger, the longer it keeps",
                "LSTMの b_f の初期値。大きいほど長く覚えている",
            ),
            -5.0,
            5.0,
        ),
        Parameter(
            "batch",
            2,
            Text("sequences side by side; 0: all of them", "並べて処理する系列の数。0 なら全部"),
            0,
            128,
        ),
        NOTATION,
    ),
    notations=_NOTATIONS,
    formulas=(
        r"d = x^1\quad(\mathrm{first\ symbol}),\qquad d = \sum_t m^t\,x^t\quad(\mathrm{adding})",
        r"v = W_{out}\,h^T + c",
        r"E = -\frac{1}{B}\sum_{n}\sum_k d_{kn}\log p_{kn},\qquad E = \frac{1}{2B}\sum_n (v_n - d_n)^2",
        r"\frac{\partial E}{\partial v} = \frac{1}{B}(p - d),\qquad \frac{\partial E}{\partial v} = "
        r"\frac{1}{B}(v - d)",
    ),
    chapters=(
        Chapter(
            "task",
            Text("What has to be remembered", "何を覚えておくか"),
            Text(
                "The task is *$task*. **first symbol**: at the first step a symbol comes with a mark, the "
                "last row of `x`; then follow random symbols without one, and at the end the first has to "
                "be named. **adding**: a number comes at every step, two of them are marked, and their sum "
                "is asked for.\n\n"
                "Each column of `x` is one sequence of the batch. All steps but one or two are there to "
                "distract."
                f"{_NOTE.en}",
                "課題は *$task* です。**first symbol** では、最初の時刻に記号が印 (`x` の最後の行) と一緒に"
                "来ます。そのあとは印のないでたらめな記号が続き、最後に最初の記号を答えます。"
                "**adding** では、毎時刻に数が一つ来て、そのうち二つに印が付いています。"
                "答えるのはその二つの和です。\n\n"
                "`x` の各列がバッチの一つの系列です。一つか二つの時刻を除けば、入力は気を散らすためだけにあ"
                "ります。"
                f"{_NOTE.ja}",
            ),
            "start",
            "forward v",
            ("*/t=*",),
            ("x_*",),
        ),
        Chapter(
            "question",
            Text("The question comes at the end", "問われるのは最後"),
            Text(
                "Only the last state is read: `v = W_out h + c`, compared with `d`. Everything that is "
                "known about the first step has to be in that state by then, after $T steps of other "
                "input.\n\n"
                "A network that remembers nothing can still guess. With $symbols symbols it names one in "
                "$symbols right; in adding the best guess is always 1. Compare the loss with that.",
                "読み出すのは最後の状態だけです。`v = W_out h + c` とし、`d` と比べます。"
                "最初の時刻について知っていることは、$T 時刻の入力を経たあとでも、"
                "すべてこの状態に残っていなければなりません。\n\n"
                "何も覚えていないネットワークでも、当てずっぽうで答えられます。記号が $symbols 種類なら "
                "$symbols 回に 1 回は当たり、adding なら常に 1 と答えるのが最善です。"
                "損失をそれと比べてください。",
            ),
            "forward v",
            "loss",
            ("*/t=$T", "output", "loss"),
            ("v", "d", "E"),
        ),
        Chapter(
            "way-back",
            Text("How much reaches the first step?", "最初の時刻にどれだけ届くか"),
            Text(
                "The gradient bar of the first `x` says how much the loss would change if the first input "
                "did. In the *rnn* it has been multiplied by `Wᵀ` and the slope of tanh at every step; make "
                "T larger and watch it fade. In the *lstm* it comes along the cells `c`, times the forget "
                "gates.\n\n"
                "Where no gradient arrives nothing can be learned, however long the training.",
                "最初の `x` の勾配のバーは、最初の入力が変わったときに損失がどれだけ変わるかを表します。"
                "*rnn* では、時刻ごとに `Wᵀ` とtanhの傾きが掛かってきます。T "
                "を大きくして、薄れていく様子を見てください。*lstm* ではセル `c` に沿って、"
                "忘却ゲートを掛けながら戻ってきます。\n\n"
                "勾配の届かないところでは、どれだけ長く学習しても何も学べません。",
            ),
            "backward E",
            "end",
            ("*/t=*",),
            ("x_1", "c_*", "z_*"),
        ),
        Chapter(
            "train",
            Text("Train it", "学習させる"),
            Text(
                "Set T to 50, `hidden` to 16, `batch` to 32 and `forget_bias` to 5, and train with Adam at a "
                "rate of 0.01. The LSTM names the first symbol without fail after a few epochs. Then change "
                "`cell` to *rnn* and nothing else: its loss stays at that of a guess.\n\n"
                "At T = 4 both learn it. The difference is not what the networks could compute but what can "
                "be *found* by following the gradient.",
                "T を 50、`hidden` を 16、`batch` を 32、`forget_bias` を 5 にして、学習率 0.01 のAdamで学習"
                "させてみましょう。LSTMは数エポックで最初の記号を間違えずに答えるようになります。"
                "次に `cell` だけを *rnn* に変えると、損失は当てずっぽうのときの値から下がりません。\n\n"
                "T = 4 なら、どちらも学習できます。違いは、ネットワークに何が計算できるかではなく、"
                "勾配をたどって何を*見つけられる*かにあります。",
            ),
            "start",
            "end",
            highlight=("E", "x_1"),
        ),
    ),
    proofs=(
        Proof(
            "scores",
            Text("prediction minus target", "予測 − 正解"),
            r"\partial E/\partial v = (p - d)/B,\quad (v - d)/B",
            lambda r: (r.grad("v"), _error(r)),
        ),
        Proof(
            "weights",
            Text("all weights, through time and over the batch", "すべての重み (時間とバッチについての和)"),
            r"\partial E/\partial W = \sum_t \delta^t\,{x^t}^{\top}",
            _trained,
        ),
        Proof(
            "inputs",
            Text("what reaches each input", "各入力に届く勾配"),
            r"\partial E/\partial x^t = \sum_k W_k^{\top}\delta_k^t",
            _inputs,
        ),
        Proof(
            "guess",
            Text("the loss of a guess", "当てずっぽうの損失"),
            r"W_{out} = 0:\quad E = \log K,\quad E = \frac{1}{2B}\sum_n (1 - d_n)^2",
            _guess,
        ),
    ),
    folded=("memory/t=*/*",),
    estimate=lambda p: (32 if p.cell == "lstm" else 7) * p.T + 24,
    data=data,
    score=share_right,
    recipe=lambda p: {"optimizer": "adam", "lr": 0.01, "epochs": 20},
)
def memory(p: Any, leaves: Leaves) -> Any:
    batch, n, lstm = leaves.batch, p.hidden, p.cell == "lstm"
    inputs, B = batch["x_1"].shape
    outputs = len(batch["d"])
    w: dict[str, Any] = {}

    def weight(name: str, rows: int, columns: int, bias: float | None = None) -> None:
        value = (
            leaves.draw(name, (rows, columns), columns**-0.5) if bias is None else np.full((rows, 1), bias)
        )
        w[name] = leaves.parameter(name, value)

    if lstm:
        for k in GATES:
            weight(f"W_{k}", n, inputs)
            weight(f"U_{k}", n, n)
            weight(f"b_{k}", n, 1, p.forget_bias if k == "f" else 0.0)
    else:
        weight("W_in", n, inputs)
        weight("W", n, n)
        weight("b", n, 1, 0.0)
    weight("W_out", outputs, n)
    weight("c", outputs, 1, 0.0)
    with scope("initial"):
        state = leaves.input("h_0" if lstm else "z_0", np.zeros((n, B)))
        cell = leaves.input("c_0", np.zeros((n, B))) if lstm else None
    for t in range(1, p.T + 1):
        with scope("memory"), at_time(t):
            x = leaves.input(f"x_{t}", batch[f"x_{t}"])
            if lstm:
                state, cell = _lstm(w, x, state, cell, t)
            else:
                u = named(f"u_{t}", total([w["W_in"] @ x, w["W"] @ state]) + w["b"])
                state = named(f"z_{t}", ag.tanh(u))
    with scope("output"):
        v = named("v", w["W_out"] @ state + w["c"])
    with scope("loss"):
        d = leaves.target("d", batch["d"])
        if p.task == "adding":
            return named("E", ag.mean(0.5 * (v - d) ** 2))
        hit = named("hit", d * named("logp", ag.log_softmax(v, axis=0)))
        return named("E", ag.mean(-ag.sum(hit, axis=0)))


def _lstm(w: dict[str, Any], x: Any, h: Any, c: Any, t: int) -> tuple[Any, Any]:
    """One step over the columns of a batch, `(h, c)` after it, where a bias is added to every column."""

    def gate(k: str, squash: Any = ag.sigmoid) -> Any:
        return squash(total([w[f"W_{k}"] @ x, w[f"U_{k}"] @ h]) + w[f"b_{k}"])

    with scope("forget"):
        f = named(f"f_{t}", gate("f"))
    with scope("input"):
        i = named(f"i_{t}", gate("i"))
    with scope("candidate"):
        g = named(f"g_{t}", gate("c", ag.tanh))
    c = named(f"c_{t}", named(f"keep_{t}", f * c) + named(f"write_{t}", i * g))
    with scope("output"):
        o = named(f"o_{t}", gate("o"))
    return named(f"h_{t}", o * ag.tanh(c)), c
