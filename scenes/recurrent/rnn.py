"""The recurrent network of the notes in its five shapes: where inputs enter and where outputs are read."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import at_time, scope
from scenes.bricks import SLOPES, activate, named, rnn_cell, squared_loss, total
from scenes.recurrent.layers import (
    ACTIVATION,
    INPUTS,
    NOTATION,
    OUTPUTS,
    hidden,
    letters_note,
    rnn_weights,
    side_by_side,
)
from scenes.scene import Chapter, Erratum, Leaves, Notation, Parameter, Proof, Recording, Text, scene

SHAPES = ("one to one", "one to many", "many to one", "many to many", "many, then many")


def _plan(p: Any) -> tuple[int, set[int], set[int]]:
    """How many steps there are, and at which of them there is an input and an output."""
    T, T_y = int(p["T"]), int(p["T_y"])
    every = set(range(1, T + 1))
    return {
        "one to one": (1, {1}, {1}),
        "one to many": (T, {1}, every),
        "many to one": (T, every, {T}),
        "many to many": (T, every, every),
        "many, then many": (T + T_y, every, set(range(T + 1, T + T_y + 1))),
    }[p["shape"]]


def _backward_by_hand(r: Recording) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """δ^t and δ_out^t from values alone."""
    p, v = r.parameters, r.value
    last, _, read = _plan(p)
    f, g = SLOPES[str(p["activation"])], SLOPES[str(p["output"])]
    ahead = int(p["output_from"] == "input and state")  # an output of step t + 1 looks at the state of step t
    before = "y" if p["output"] == "linear" else "v"  # the node in front of a linear g is y itself
    out = {t: (v(f"y_{t}") - v(f"d_{t}")) * g(v(f"{before}_{t}")) for t in read}
    delta: dict[int, np.ndarray] = {}
    for t in range(last, 0, -1):
        error = v("W_out").T @ out[t + ahead] if t + ahead in out else 0.0 * v("z_0")
        if t < last:
            error = error + v("W").T @ delta[t + 1]
        delta[t] = error * f(v(f"u_{t}"))
    return delta, out


def _weights(r: Recording) -> tuple[Any, Any]:
    delta, out = _backward_by_hand(r)
    _, fed, _ = _plan(r.parameters)
    v = r.value
    closed = {
        "W_in": sum(np.outer(delta[t], v(f"x_{t}")) for t in fed),
        "W": sum(np.outer(delta[t], v(f"z_{t - 1}")) for t in delta),
        "b": sum(delta.values()),
        "c": sum(out.values()),
    }
    looks_back = r.parameters["output_from"] == "input and state"
    closed["W_out"] = sum(np.outer(out[t], v(f"z_{t - looks_back}")) for t in out)
    if looks_back:
        terms = [np.outer(out[t], v(f"x_{t}")) for t in out if t in fed]
        closed["W_xout"] = np.sum(terms, axis=0) if terms else 0.0 * v("W_xout")
    return side_by_side(*map(r.grad, closed)), side_by_side(*closed.values())


def _recursion(r: Recording) -> tuple[Any, Any]:
    delta, _ = _backward_by_hand(r)
    return np.stack([r.grad(f"u_{t}") for t in delta]), np.stack(list(delta.values()))


def _losses(r: Recording) -> tuple[Any, Any]:
    """How many losses the graph sums up, and where they stand."""
    _, _, read = _plan(r.parameters)
    terms = [r.graph.nodes[i] for i in r["E"].inputs]
    stated = {"one to one": 1, "many to one": 1, "many, then many": int(r.parameters["T_y"])}
    count = stated.get(str(r.parameters["shape"]), int(r.parameters["T"]))
    return np.array([len(terms), *(term.time for term in terms)]), np.array([count, *sorted(read)])


def _shared(r: Recording) -> tuple[Any, Any]:
    """How often each weight is used; all uses are of one leaf."""
    last, fed, read = _plan(r.parameters)
    uses = {
        name: [i for i, op in enumerate(r.graph.ops) if op and r[name].id in r.graph.inputs[i]]
        for name in _USED
    }
    copies = [r.graph.names.count(name) for name in _USED]
    return np.array([*copies, *map(len, uses.values())]), np.array([1, 1, 1, len(fed), last, len(read)])


_USED = ("W_in", "W", "W_out")
_NOTATIONS = {
    "RN": Notation("sup"),
    "CS": Notation("angle", {"z": "a", "y": "ŷ", "d": "y", "E": "L"}),
}
_NOTE = letters_note(_NOTATIONS)


@scene(
    "rnn",
    family="recurrent",
    title=Text("Recurrent network", "RNN"),
    summary=Text(
        "A network with a memory: its state goes into its own next step. Five shapes, from one to one to "
        "many, then many, with the same weights at every step.",
        "記憶をもつネットワークです。状態が次の時刻の自分自身に入ります。1対1から多対多 (長さの違うもの) まで"
        "五つの形があり、どの時刻も同じ重みを使います。",
    ),
    source="RN, CS, RP",
    parameters=(
        Parameter(
            "shape",
            "many to many",
            Text(
                "where inputs enter and outputs are read; in the last one T inputs come first, then T_y "
                "outputs",
                "入力と出力がある時刻。最後の形では入力が T 個、その後に出力が T_y 個続く",
            ),
            choices=SHAPES,
        ),
        Parameter("T", 3, Text("number of time steps (T_x)", "時刻の数 (T_x)"), 1, 50),
        Parameter(
            "T_y", 2, Text("number of outputs in “many, then many”", "many, then many での出力の数"), 1, 50
        ),
        INPUTS,
        hidden("the state z", "状態 z"),
        OUTPUTS,
        ACTIVATION,
        Parameter(
            "output",
            "linear",
            Text("g, the squashing of the output", "出力の活性化関数 g"),
            choices=("linear", "tanh", "sigmoid"),
        ),
        Parameter(
            "output_from",
            "state",
            Text(
                "what the output is computed from: z^t, or x^t and z^{t−1} as in RP",
                "出力の計算に使うもの: z^t、または RP のように x^t と z^{t−1}",
            ),
            choices=("state", "input and state"),
        ),
        NOTATION,
    ),
    notations=_NOTATIONS,
    formulas=(
        r"u^t = W_{in}\, x^t + W\, z^{t-1} + b,\qquad z^t = f(u^t)",
        r"v^t = W_{out}\, z^t + c\quad\text{or}\quad v^t = W_{xout}\, x^t + W_{out}\, z^{t-1} + c",
        r"y^t = g(v^t)",
        r"E = \sum_t L(y^t, d^t),\qquad L = \frac{1}{2}\|y^t - d^t\|^2",
    ),
    chapters=(
        Chapter(
            "memory",
            Text("A state that is handed on", "受け継がれる状態"),
            Text(
                "`u^t = W_in x^t + W z^{t−1} + b`: the new state looks at the input *and* at the old state, "
                "then `z^t = f(u^t)`. The state is all that the network knows of the past.\n\n"
                "Without `W` every step would be a small feed-forward network of its own."
                f"{_NOTE.en}",
                "`u^t = W_in x^t + W z^{t−1} + b`: 新しい状態は入力*と*一つ前の状態を見て、`z^t = f(u^t)` と"
                "なります。ネットワークが過去について知っていることは、この状態がすべてです。\n\n"
                "`W` がなければ、各時刻はばらばらの小さな順伝播型ネットワークにすぎません。"
                f"{_NOTE.ja}",
            ),
            "start",
            "forward z_1",
            ("*/t=1", "initial"),
            ("u_1", "z_1"),
        ),
        Chapter(
            "shapes",
            Text("Five shapes", "五つの形"),
            Text(
                "The shape now is **$shape**. Switch `shape` and see what stays and what goes:\n\n"
                "- one to one: an ordinary network, one step\n"
                "- one to many: one input, then the state runs on alone (music from a first note)\n"
                "- many to one: only the last step is read (is this review good or bad?)\n"
                "- many to many: an output at every step (which part of speech?)\n"
                "- many, then many: T_x inputs are read first, T_y outputs follow (translation)",
                "今の形は **$shape** です。`shape` を切り替えて、何が残り何が消えるかを見てください。\n\n"
                "- one to one (1対1): 普通のネットワーク、時刻は一つ\n"
                "- one to many (1対多): 入力は最初だけで、あとは状態だけが進む (最初の音から曲を作る)\n"
                "- many to one (多対1): 最後の時刻だけを読む (この感想は好評か不評か)\n"
                "- many to many (多対多、T_x = T_y): 毎時刻に出力がある (品詞は何か)\n"
                "- many, then many (多対多、T_x ≠ T_y): 先に T_x 個の入力を読み、後から T_y 個を出力する "
                "(翻訳)",
            ),
            "start",
            "forward E",
            highlight=("x_*", "y_*"),
        ),
        Chapter(
            "output",
            Text("What the output looks at", "出力は何を見るか"),
            Text(
                "Usually `v^t = W_out z^t + c` and `y^t = g(v^t)`: the output sees the new state. In RP's "
                "notes it is computed from `x^t` and `z^{t−1}`, with weights of its own for the input. Now "
                "it comes from: **$output_from**.\n\n"
                "Then the last state is computed in vain, and its gradient is 0: nothing looks at it.",
                "普通は `v^t = W_out z^t + c`、`y^t = g(v^t)` で、出力は新しい状態を見ます。RPノートでは "
                "`x^t` と `z^{t−1}` から計算し、入力のための重みを別にもちます。今の設定: **$output_from** "
                "(state は状態から、input and state は入力と一つ前の状態から)。\n\n"
                "後者では最後の状態は誰にも見られないので、その勾配は 0 です。",
            ),
            "forward z_1",
            "forward E",
            ("*/t=*",),
            ("v_*", "y_*"),
        ),
        Chapter(
            "losses",
            Text("The losses add up", "損失の和"),
            Text(
                "Every output has its loss, and `E = Σ_t L(y^t, d^t)`. Steps without an output have none, "
                "but the error still runs *through* them: watch it arrive at the first step.",
                "出力があるところには損失があり、`E = Σ_t L(y^t, d^t)` です。"
                "出力のない時刻に損失はありませんが、"
                "誤差はそこを*通って*いきます。最初の時刻に届くのを見てください。",
            ),
            "forward E",
            "end",
            highlight=("L_*", "E"),
        ),
        Chapter(
            "one-leaf",
            Text("One set of weights", "重みは一組だけ"),
            Text(
                "However long the sequence, there is one `W_in`, one `W`, one `W_out`. Each use sends its "
                "own part of the gradient, and the parts add up; `bptt` shows this sum growing.\n\n"
                "*Misprint in the RN notes:* the updates of `W_out` and `W` are printed with `x`; each "
                "weight meets what it multiplied, `z^t` and `z^{t−1}`.",
                "系列がどれだけ長くても、`W_in`、`W`、`W_out` は一つずつです。使われるたびに勾配の一部が"
                "送られ、その和をとります。和が育つ様子は `bptt` で見られます。\n\n"
                "*RNノートの誤植:* `W_out` と `W` の更新式に `x` とありますが、重みは掛けた相手、"
                "つまり `z^t` と `z^{t−1}` と組になります。",
            ),
            "backward E",
            "end",
            ("parameters", "*/t=1"),
            ("W_in", "W", "W_out"),
        ),
    ),
    proofs=(
        Proof(
            "losses",
            Text("the shape gives the number of losses", "損失の数は形で決まる"),
            r"1,\ T_y,\ 1,\ T,\ T_y",
            _losses,
            exact=True,
        ),
        Proof(
            "shared",
            Text("one leaf, used at every step", "一つの重みを毎時刻使う"),
            r"W:\ T\ \text{uses}",
            _shared,
            exact=True,
        ),
        Proof(
            "recursion",
            Text("δ goes back one step", "δ の漸化式"),
            r"\delta^{t-1} = (W^{\top}\delta^t + W_{out}^{\top}\delta_{out}^{t-1}) \odot f'(u^{t-1})",
            _recursion,
        ),
        Proof(
            "weights",
            Text("all weights and biases", "すべての重みとバイアス"),
            r"\partial E/\partial W_{in} = \sum_t \delta^t {x^t}^{\top},\quad"
            r" \partial E/\partial W = \sum_t \delta^t {z^{t-1}}^{\top},\quad"
            r" \partial E/\partial W_{out} = \sum_t \delta_{out}^t {z^t}^{\top}",
            _weights,
        ),
    ),
    errata=(
        Erratum(
            "RN",
            "W_out with [x^t]ᵀ, W with [x^{t−z−1}]ᵀ",
            "W_out with [z^t]ᵀ, W with [z^{t−z−1}]ᵀ",
            Text("each weight meets what it multiplied", "重みは掛けた相手と組になる"),
        ),
        Erratum(
            "RN",
            "δ^{t−z−1} = δ^{t−z}{W f(u)}",
            "δ^{t−z−1} = δ^{t−z}{W f′(u)}",
            Text("the slope of f", "f の傾き"),
        ),
    ),
    estimate=lambda p: 11 * (p.T + p.T_y) + 8,
)
def rnn(p: Any, leaves: Leaves) -> Any:
    last, fed, read = _plan(vars(p))
    looks_back = p.output_from == "input and state"
    w = rnn_weights(leaves, p.inputs, p.hidden)
    W_out = leaves.parameter("W_out", leaves.draw("W_out", (p.outputs, p.hidden), 0.7))
    if looks_back:
        W_xout = leaves.parameter("W_xout", leaves.draw("W_xout", (p.outputs, p.inputs), 0.7))
    c = leaves.parameter("c", leaves.draw("c", (p.outputs,), 0.2))
    with scope("initial"):
        z = leaves.input("z_0", np.zeros(p.hidden))
    losses = []
    for t in range(1, last + 1):
        with scope("rnn"), at_time(t):
            x = leaves.input(f"x_{t}", leaves.draw(f"x_{t}", (p.inputs,))) if t in fed else None
            before, z = z, rnn_cell(w, x, z, str(t), activation=p.activation)
            if t in read:
                terms = [W_out @ (before if looks_back else z), c]
                if looks_back and x is not None:
                    terms.insert(0, W_xout @ x)
                v = named(f"v_{t}", total(terms))
                y = named(f"y_{t}", activate(p.output, v))  # with a linear g the same node
                d = leaves.target(f"d_{t}", leaves.draw(f"d_{t}", (p.outputs,)))
                losses.append(named(f"L_{t}", squared_loss(y, d)))
    with scope("loss"):
        return named("E", ag.add_n(losses))
