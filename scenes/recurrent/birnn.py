"""The bidirectional RNN: one chain reads from the left, one from the right, and every output sees both."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import at_time, scope
from scenes.bricks import SLOPES, named, rnn_cell, total
from scenes.recurrent.layers import (
    ACTIVATION,
    INPUTS,
    LOSS_AT,
    NOTATION,
    OUTPUTS,
    STEPS,
    add_loss,
    exchanged_directions,
    hidden,
    join,
    letters_note,
    output_error,
    over_time,
    rnn_weights,
    side_by_side,
    steps,
)
from scenes.scene import Chapter, Leaves, Notation, Proof, Recording, Text, scene

CHAINS = {"F": 1, "B": -1}  # mark of the forward and the backward chain, and where its next step lies


def _backward_by_hand(r: Recording, mark: str) -> dict[int, np.ndarray]:
    """δ^t of one chain from values alone; the error of a chain runs against the way it reads."""
    way, slope = CHAINS[mark], SLOPES[str(r.parameters["activation"])]
    half = r.value(f"z{mark}_1").size
    W_out = r.value("W_out")[:, :half] if mark == "F" else r.value("W_out")[:, half:]
    delta: dict[int, np.ndarray] = {}
    for t in list(steps(r))[::-way]:
        error = W_out.T @ output_error(r, "y", t)
        if t + way in delta:
            error = error + r.value(f"W{mark}").T @ delta[t + way]
        delta[t] = error * slope(r.value(f"u{mark}_{t}"))
    return delta


def _recursion(r: Recording) -> tuple[Any, Any]:
    hand = [_backward_by_hand(r, mark) for mark in CHAINS]
    got = [[r.grad(f"u{mark}_{t}") for t in steps(r)] for mark in CHAINS]
    return np.array(got), np.array([[delta[t] for t in steps(r)] for delta in hand])


def _weights(r: Recording) -> tuple[Any, Any]:
    got, closed = [], []
    for mark, way in CHAINS.items():
        delta = _backward_by_hand(r, mark)
        got += [r.grad(f"W{mark}_in"), r.grad(f"W{mark}"), r.grad(f"b{mark}")]
        closed += [over_time(r, delta, "x"), over_time(r, delta, f"z{mark}", -way), sum(delta.values())]
    return side_by_side(*got), side_by_side(*closed)


def _output_weights(r: Recording) -> tuple[Any, Any]:
    error = {t: output_error(r, "y", t) for t in steps(r)}
    closed = [over_time(r, error, f"z{mark}") for mark in CHAINS]
    return r.grad("W_out"), np.concatenate(closed, axis=1)


def _inputs(r: Recording) -> tuple[Any, Any]:
    delta = {mark: _backward_by_hand(r, mark) for mark in CHAINS}
    closed = [sum(r.value(f"W{mark}_in").T @ delta[mark][t] for mark in CHAINS) for t in steps(r)]
    return np.stack([r.grad(f"x_{t}") for t in steps(r)]), np.stack(closed)


def _exchange(r: Recording) -> tuple[Any, Any]:
    return exchanged_directions(r, "z")


_LETTERS = {f"{k}{mark}": k + arrow for mark, arrow in (("F", "→"), ("B", "←")) for k in "zuWb"}
_NOTATIONS = {
    "RN": Notation("sup", _LETTERS),
    "CS": Notation("angle", _LETTERS | {"zF": "a→", "zB": "a←", "z": "a", "y": "ŷ", "d": "y", "E": "L"}),
}
_NOTE = letters_note(_NOTATIONS)


@scene(
    "birnn",
    family="recurrent",
    title=Text("Bidirectional RNN", "双方向RNN"),
    summary=Text(
        "Two recurrent chains over one sequence, one from each end. Every output joins both states, so it "
        "knows what came before and what comes after.",
        "一つの系列を二つの再帰の連鎖が両端から読みます。各時刻の出力は二つの状態をつなぐので、"
        "それまでの文脈もその先の文脈も知っています。",
    ),
    source="RN, CS",
    parameters=(
        STEPS,
        INPUTS,
        hidden("each chain's state z", "各方向の状態 z"),
        OUTPUTS,
        ACTIVATION,
        LOSS_AT,
        NOTATION,
    ),
    notations=_NOTATIONS,
    formulas=(
        r"\overrightarrow{z}^t = f(\overrightarrow{W}_{in}\, x^t + \overrightarrow{W}\, "
        r"\overrightarrow{z}^{t-1} + \overrightarrow{b})",
        r"\overleftarrow{z}^t = f(\overleftarrow{W}_{in}\, x^t + \overleftarrow{W}\, "
        r"\overleftarrow{z}^{t+1} + \overleftarrow{b})",
        r"y^t = W_{out}\,[\overrightarrow{z}^t\,;\,\overleftarrow{z}^t] + c",
        r"E = \sum_t \frac{1}{2}\|y^t - d^t\|^2",
    ),
    chapters=(
        Chapter(
            "forward-chain",
            Text("From the left: what came before", "左から: それまでの文脈"),
            Text(
                "The forward chain is an ordinary RNN with weights of its own: `z→` at step t sums up "
                "`x_1 … x_t`. For many tasks that is not enough. What a word means is often settled only by "
                "the words that follow it.\n\n"
                "Watch the values run to the right, through all $T steps."
                f"{_NOTE.en}",
                "順方向の連鎖は、自分の重みをもつ普通のRNNです。時刻 t の `z→` は `x_1 … x_t` をまとめて"
                "います。しかし多くの課題ではこれだけでは足りません。単語の意味は、"
                "後に続く単語によって初めて定まることがよくあるからです。\n\n"
                "値が $T 個の時刻を右へ進むのを見てください。"
                f"{_NOTE.ja}",
            ),
            "start",
            "forward zF_$T",
            ("birnn/*/forward", "initial"),
            ("zF_*",),
        ),
        Chapter(
            "backward-chain",
            Text("From the right: what comes after", "右から: これから先の文脈"),
            Text(
                "The second chain reads the *same* inputs with *other* weights and from the other end: `z←` "
                "at step t sums up `x_t … x_T`. “Backward” is its direction of reading; this is still the "
                "forward pass, no gradient yet.\n\n"
                "The two chains do not touch: no arrow leads from one to the other.",
                "二つ目の連鎖は*同じ*入力を*別の*重みで、反対の端から読みます。時刻 t の `z←` は `x_t … "
                "x_T` をまとめています。「逆方向」とは読む向きのことで、計算はまだ順伝播です。"
                "勾配はまだ流れません。\n\n"
                "二つの連鎖は互いに触れません。一方から他方への矢印はありません。",
            ),
            "forward uB_$T",
            "forward zB_1",
            ("birnn/*/backward", "initial"),
            ("zB_*",),
        ),
        Chapter(
            "join",
            Text("Every output sees the whole sequence", "どの出力も系列全体を見る"),
            Text(
                "At each step both states are joined to `z = [z→; z←]`, and `y = W_out z + c`. So already "
                "`y_1` depends on the last input, through the backward chain.\n\n"
                "The price: the whole sequence must be there before the first output can be computed. "
                "A bidirectional network can tag a sentence, but it can not predict its next word.",
                "各時刻で二つの状態をつないで `z = [z→; z←]` とし、`y = W_out z + c` を求めます。"
                "最初の出力 `y_1` でさえ、逆方向の連鎖を通して最後の入力に依存します。\n\n"
                "その代わり、系列全体がそろうまで最初の出力も計算できません。双方向のネットワークは文に"
                "品詞を付けることはできても、次の単語を予測することはできません。",
            ),
            "forward zB_1",
            "forward E",
            ("birnn/*/read-out", "loss"),
            ("z_*", "y_*"),
        ),
        Chapter(
            "errors",
            Text("Two errors, two directions", "二つの誤差は逆向きに進む"),
            Text(
                "Joining sends each chain its own part of the error, `W_out→ᵀ δ_out` and `W_out←ᵀ δ_out`. "
                "Then each error runs *against* the way its chain reads: the one of `z→` to the left, the "
                "one of `z←` to the **right**, into the future.\n\n"
                "Each is ordinary BPTT: `δ→` from t+1 to t, `δ←` from t−1 to t.",
                "連結は各連鎖にそれぞれの分の誤差、`W_out→ᵀ δ_out` と `W_out←ᵀ δ_out` を渡します。"
                "その先で誤差は連鎖が読む向きと*逆*に進みます。`z→` の誤差は左へ、"
                "`z←` の誤差は**右**へ、つまり未来の時刻へ進みます。\n\n"
                "どちらも普通のBPTTです。`δ→` は t+1 から t へ、`δ←` は t−1 から t へ進みます。",
            ),
            "backward E",
            "end",
            ("birnn",),
            ("uF_*", "uB_*"),
        ),
        Chapter(
            "mirror",
            Text("A mirror", "鏡"),
            Text(
                "Reverse the input *and* exchange the weights of the two chains: then the chains exchange "
                "their states, in reversed order. It is one of the proofs; it would fail if "
                "the backward chain were one step off.\n\n"
                "An input collects from both: `∂E/∂x_t = W→_inᵀ δ→ + W←_inᵀ δ←`. Select `x_1` to see the two "
                "instalments.",
                "入力を逆順に並べ、*さらに*二つの連鎖の重みを入れ替えると、二つの連鎖の状態が逆順で"
                "入れ替わります。これは検証項目の一つです。"
                "逆方向の連鎖が一時刻でもずれていれば成り立ちません。\n\n"
                "入力には両方から勾配が届きます: `∂E/∂x_t = W→_inᵀ δ→ + W←_inᵀ δ←`。`x_1` を選ぶと、"
                "二回に分けて届くのが見えます。",
            ),
            "backward E",
            "end",
            ("*/t=1", "parameters"),
            ("x_*",),
        ),
    ),
    proofs=(
        Proof(
            "exchange",
            Text(
                "reversed input and exchanged weights exchange the states",
                "入力を逆順にし重みを入れ替えると状態が入れ替わる",
            ),
            r"x^t \leftrightarrow x^{T+1-t},\ \overrightarrow{W} \leftrightarrow \overleftarrow{W}"
            r"\ \Rightarrow\ \overrightarrow{z}^t \leftrightarrow \overleftarrow{z}^{T+1-t}",
            _exchange,
        ),
        Proof(
            "recursion",
            Text("δ runs against the way its chain reads", "δ は連鎖が読む向きと逆に進む"),
            r"\overrightarrow{\delta}^t = (\overrightarrow{W}_{out}^{\top}\delta_{out}^t + "
            r"\overrightarrow{W}^{\top}\overrightarrow{\delta}^{t+1}) \odot f',\quad"
            r" \overleftarrow{\delta}^t = (\overleftarrow{W}_{out}^{\top}\delta_{out}^t + "
            r"\overleftarrow{W}^{\top}\overleftarrow{\delta}^{t-1}) \odot f'",
            _recursion,
        ),
        Proof(
            "weights",
            Text("weights and biases of both chains", "両方の連鎖の重みとバイアス"),
            r"\partial E/\partial \overrightarrow{W} = \sum_t \overrightarrow{\delta}^t "
            r"{\overrightarrow{z}^{t-1}}^{\top},\quad"
            r" \partial E/\partial \overleftarrow{W} = \sum_t \overleftarrow{\delta}^t "
            r"{\overleftarrow{z}^{t+1}}^{\top}",
            _weights,
        ),
        Proof(
            "W_out",
            Text("output weights", "出力重み"),
            r"\partial E/\partial W_{out} = \sum_t \delta_{out}^t\,"
            r"[\overrightarrow{z}^t\,;\,\overleftarrow{z}^t]^{\top}",
            _output_weights,
        ),
        Proof(
            "inputs",
            Text("an input hears from both chains", "入力には両方の連鎖から届く"),
            r"\partial E/\partial x^t = \overrightarrow{W}_{in}^{\top}\overrightarrow{\delta}^t + "
            r"\overleftarrow{W}_{in}^{\top}\overleftarrow{\delta}^t",
            _inputs,
        ),
    ),
    estimate=lambda p: 18 * p.T + 12,
)
def birnn(p: Any, leaves: Leaves) -> Any:
    w = {mark: rnn_weights(leaves, p.inputs, p.hidden, mark) for mark in CHAINS}
    W_out = leaves.parameter("W_out", leaves.draw("W_out", (p.outputs, 2 * p.hidden), 0.7))
    c = leaves.parameter("c", leaves.draw("c", (p.outputs,), 0.2))
    x = {}
    states: dict[str, dict[int, Any]] = {"F": {}, "B": {}}
    with scope("initial"):
        states["F"][0] = leaves.input("zF_0", np.zeros(p.hidden))
        states["B"][p.T + 1] = leaves.input(f"zB_{p.T + 1}", np.zeros(p.hidden))
    for mark, way, name in (("F", 1, "forward"), ("B", -1, "backward")):
        chain = states[mark]
        for t in range(1, p.T + 1)[::way]:
            with scope("birnn"), scope(name), at_time(t):
                if t not in x:
                    x[t] = leaves.input(f"x_{t}", leaves.draw(f"x_{t}", (p.inputs,)))
                before = chain[t - way]
                chain[t] = rnn_cell(w[mark], x[t], before, str(t), activation=p.activation, mark=mark)
    losses: list[Any] = []
    for t in range(1, p.T + 1):
        with scope("birnn"), scope("read-out"), at_time(t):
            z = join(f"z_{t}", states["F"][t], states["B"][t])
            y = named(f"y_{t}", total([W_out @ z, c]))
            add_loss(p, leaves, losses, y, t)
    with scope("loss"):
        return named("E", ag.add_n(losses))
