"""The bidirectional LSTM: two LSTM chains over one sequence, one from each end, joined at every step."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

import autograd as ag
from autograd import at_time, scope
from scenes.bricks import local_derivative, lstm_cell, named, total
from scenes.recurrent.layers import (
    INPUTS,
    LOSS_AT,
    NOTATION,
    OUTPUTS,
    STEPS,
    add_loss,
    exchanged_directions,
    gate_weights,
    hidden,
    join,
    letters_note,
    output_error,
    over_time,
    side_by_side,
    steps,
)
from scenes.scene import SCENES, Chapter, Leaves, Notation, Parameter, Proof, Recording, Text, scene

GATES = "fioc"
CHAINS = {"F": 1, "B": -1}  # mark of the forward and the backward chain, and where its next step lies


def _backward_by_hand(r: Recording, mark: str) -> dict[str, dict[int, np.ndarray]]:
    """Each gate's δ (∂E/∂ of what is squashed) of one chain, from values alone."""
    way = CHAINS[mark]

    def v(letter: str, t: int) -> np.ndarray:
        return r.value(f"{letter}{mark}_{t}")

    size = v("h", 1).size
    W_out = r.value("W_out")[:, :size] if mark == "F" else r.value("W_out")[:, size:]
    delta: dict[str, dict[int, np.ndarray]] = {k: {} for k in GATES}
    dc = np.zeros(size)
    for t in list(steps(r))[::-way]:
        dh = W_out.T @ output_error(r, "y", t)
        if t + way in delta["c"]:
            dc = dc * v("f", t + way)
            dh = dh + np.sum([r.value(f"U{mark}_{k}").T @ delta[k][t + way] for k in GATES], axis=0)
        f, i, o, g, squashed = v("f", t), v("i", t), v("o", t), v("g", t), np.tanh(v("c", t))
        dc = dc + dh * o * (1 - squashed**2)
        delta["o"][t] = dh * squashed * o * (1 - o)
        delta["f"][t] = dc * v("c", t - way) * f * (1 - f)
        delta["i"][t] = dc * g * i * (1 - i)
        delta["c"][t] = dc * i * (1 - g**2)
    return delta


def _weights(r: Recording) -> tuple[Any, Any]:
    got, closed = [], []
    for mark, way in CHAINS.items():
        for k, delta in _backward_by_hand(r, mark).items():
            got += [r.grad(f"{kind}{mark}_{k}") for kind in "WUb"]
            closed += [over_time(r, delta, "x"), over_time(r, delta, f"h{mark}", -way), sum(delta.values())]
    return side_by_side(*got), side_by_side(*closed)


def _inputs(r: Recording) -> tuple[Any, Any]:
    hand = {mark: _backward_by_hand(r, mark) for mark in CHAINS}
    closed = [
        np.sum([r.value(f"W{mark}_{k}").T @ hand[mark][k][t] for mark in CHAINS for k in GATES], axis=0)
        for t in steps(r)
    ]
    return np.stack([r.grad(f"x_{t}") for t in steps(r)]), np.stack(closed)


def _direct_paths(r: Recording) -> tuple[Any, Any]:
    pairs = [f"{mark}_{t}" for mark in CHAINS for t in steps(r)]
    got = [local_derivative(r, f"c{k}", 0) * local_derivative(r, f"keep{k}", 1) for k in pairs]
    return np.stack(got), np.stack([r.value(f"f{k}") for k in pairs])


def _exchange(r: Recording) -> tuple[Any, Any]:
    return exchanged_directions(r, "h", "c")


def _count(r: Recording) -> tuple[Any, Any]:
    """Parameters of the two chains, against twice those of the scene `lstm` at the same sizes."""
    p = r.parameters
    lstm = SCENES["lstm"].build({"T": 1, "inputs": p["inputs"], "hidden": p["hidden"]})
    chains = [leaf for leaf in r.graph.leaves("parameter") if leaf.name not in ("W_out", "b_out")]
    once = sum(leaf.size for leaf in lstm.graph.leaves("parameter"))
    return np.array(sum(leaf.size for leaf in chains)), np.array(2 * once)


_LETTERS = {f"{k}{mark}": k + arrow for mark, arrow in (("F", "→"), ("B", "←")) for k in "fioghcWUb"} | {
    f"{k}{mark}": "" for mark in CHAINS for k in ("keep", "write")
}
_GAMMA = {
    f"{k}{mark}": re.sub("(?=_|$)", arrow, letter, count=1)
    for mark, arrow in (("F", "→"), ("B", "←"))
    for k, letter in {"f": "Γ_f", "i": "Γ_u", "o": "Γ_o", "g": "c̃", "h": "a"}.items()
}
_NOTATIONS = {
    "RN": Notation("sub", _LETTERS),
    "CS": Notation("angle", _LETTERS | _GAMMA | {"h": "a", "y": "ŷ", "d": "y", "E": "L"}),
}
_NOTE = letters_note(_NOTATIONS)


@scene(
    "bilstm",
    family="recurrent",
    title=Text("Bidirectional LSTM", "bi-LSTM"),
    summary=Text(
        "An LSTM from each end of the sequence, joined at every step: long memory in both directions, on two "
        "straight cell lines.",
        "系列の両端からLSTMを一つずつ走らせ、各時刻でつなぎます。二本のまっすぐなセルの線が、"
        "両方向の長い記憶になります。",
    ),
    source="RP",
    parameters=(
        STEPS,
        INPUTS,
        hidden("each chain's cell c and state h", "各方向のセル c と状態 h"),
        OUTPUTS,
        Parameter(
            "forget_bias",
            1.0,
            Text(
                "added to both b_f: the larger, the more is kept",
                "両方の b_f に加える値。大きいほど記憶が残る",
            ),
            -10.0,
            10.0,
        ),
        LOSS_AT,
        NOTATION,
    ),
    notations=_NOTATIONS,
    formulas=(
        r"\overrightarrow{c}_t = \overrightarrow{f}_t \odot \overrightarrow{c}_{t-1} + "
        r"\overrightarrow{i}_t \odot \overrightarrow{g}_t,\quad"
        r" \overrightarrow{h}_t = \overrightarrow{o}_t \odot \tanh \overrightarrow{c}_t",
        r"\overleftarrow{c}_t = \overleftarrow{f}_t \odot \overleftarrow{c}_{t+1} + "
        r"\overleftarrow{i}_t \odot \overleftarrow{g}_t,\quad"
        r" \overleftarrow{h}_t = \overleftarrow{o}_t \odot \tanh \overleftarrow{c}_t",
        r"y_t = W_{out}\,[\overrightarrow{h}_t\,;\,\overleftarrow{h}_t] + b_{out}",
        r"E = \sum_t \frac{1}{2}\|y_t - d_t\|^2",
    ),
    chapters=(
        Chapter(
            "left",
            Text("A memory of what came before", "それまでの記憶"),
            Text(
                "The forward chain is the LSTM that you know: gates decide what its cell `c→` keeps, what is "
                "written, and what `h→` shows. After step t it remembers `x_1 … x_t`.\n\n"
                "The gates are folded into one box each; click one to see its inside."
                f"{_NOTE.en}",
                "順方向の連鎖はいつものLSTMです。ゲートがセル `c→` に何を残し、何を書き込み、`h→` に何を"
                "見せるかを決めます。時刻 t の後には `x_1 … x_t` を覚えています。\n\n"
                "ゲートはそれぞれ一つの箱に折りたたんであります。クリックすると中が見えます。"
                f"{_NOTE.ja}",
            ),
            "start",
            "forward hF_$T",
            ("bilstm/*/forward", "initial"),
            ("cF_*", "hF_*"),
        ),
        Chapter(
            "right",
            Text("A memory of what comes after", "これから先の記憶"),
            Text(
                "The backward chain has weights of its own and reads the same inputs from the last to the "
                "first: `c←_t = f←_t ⊙ c←_{t+1} + i←_t ⊙ g←_t`. Its cell is a straight line too; the values "
                "on it run to the left.",
                "逆方向の連鎖は自分の重みをもち、同じ入力を最後から最初へと読みます: `c←_t = f←_t ⊙ c←_{t+1} "
                "+ i←_t ⊙ g←_t`。こちらのセルも一直線で、値は左へ進みます。",
            ),
            "forward gB_$T",
            "forward hB_1",
            ("bilstm/*/backward", "initial"),
            ("cB_*", "hB_*"),
        ),
        Chapter(
            "join",
            Text("Joined at every step", "各時刻でつなぐ"),
            Text(
                "`h_t = [h→_t; h←_t]` is twice as long as one state, and `y = W_out h + b` reads from both. "
                "This is the usual encoder for tagging, reading and translating: every position gets a "
                "vector that knows the whole sentence.",
                "`h_t = [h→_t; h←_t]` は一つの状態の二倍の長さで、`y = W_out h + b` は両方から読みます。"
                "品詞付けや読解、翻訳のエンコーダーとしてよく使われる形です。"
                "どの位置のベクトルも文全体を知っています。",
            ),
            "forward hB_1",
            "forward E",
            ("bilstm/*/read-out", "loss"),
            ("h_*", "y_*"),
        ),
        Chapter(
            "two-lines",
            Text("Two straight lines for the error", "誤差の通る二本のまっすぐな線"),
            Text(
                "Backwards the error of `c→` runs to the left with the factor `f→_t`, that of `c←` to the "
                "**right** with the factor `f←_t`. On neither line stands a matrix or a squashing. So news "
                "from the far end can reach any step, from either side.\n\n"
                "Raise `forget_bias`: both factors come close to 1.",
                "逆伝播では `c→` の誤差が係数 `f→_t` で左へ、`c←` の誤差が係数 `f←_t` で**右**へ進みます。"
                "どちらの線の上にも行列や活性化関数はありません。だから遠い端からの知らせも、"
                "どちら側からでも各時刻に届きます。\n\n"
                "`forget_bias` を上げると、どちらの係数も 1 に近づきます。",
            ),
            "backward E",
            "end",
            ("bilstm", "initial"),
            ("cF_*", "cB_*", "keepF_*", "keepB_*"),
        ),
        Chapter(
            "weights",
            Text("Twice the weights, one mirror", "重みは二倍、関係は鏡映し"),
            Text(
                "The two chains share nothing: twice the parameters of one LSTM. Each weight collects over "
                "its own chain; for the backward one `∂E/∂U← = Σ_t δ←_t h←_{t+1}ᵀ`, with the state of the "
                "step *after*.\n\n"
                "Reverse the input and exchange the two chains' weights: their states are exchanged, in "
                "reversed order. One of the proofs compares them.",
                "二つの連鎖は何も共有しないので、パラメータ数はLSTM一つの二倍です。重みの勾配はそれぞれの"
                "連鎖の中で集まります。逆方向では `∂E/∂U← = Σ_t δ←_t h←_{t+1}ᵀ` で、"
                "掛けるのは一つ*後*の時刻の状態です。\n\n"
                "入力を逆順に並べ、二つの連鎖の重みを入れ替えると、状態が逆順で入れ替わります。"
                "検証項目の一つが両者を比べます。",
            ),
            "backward E",
            "end",
            ("parameters", "*/t=1"),
            ("WF_*", "WB_*", "UF_*", "UB_*"),
        ),
    ),
    proofs=(
        Proof(
            "exchange",
            Text(
                "reversed input and exchanged weights exchange the states",
                "入力を逆順にし重みを入れ替えると状態が入れ替わる",
            ),
            r"x_t \leftrightarrow x_{T+1-t},\ \overrightarrow{W} \leftrightarrow \overleftarrow{W}"
            r"\ \Rightarrow\ \overrightarrow{h}_t \leftrightarrow \overleftarrow{h}_{T+1-t}",
            _exchange,
        ),
        Proof(
            "direct-paths",
            Text("the factor on both cell lines", "二本のセルの線の係数"),
            r"\left.\partial \overrightarrow{c}_t/\partial \overrightarrow{c}_{t-1}\right|_{direct} = "
            r"\overrightarrow{f}_t,\quad \left.\partial \overleftarrow{c}_t/\partial "
            r"\overleftarrow{c}_{t+1}\right|_{direct} = \overleftarrow{f}_t",
            _direct_paths,
            exact=True,
        ),
        Proof(
            "weights",
            Text("weights and biases of all gates of both chains", "両方の連鎖の全ゲートの重みとバイアス"),
            r"\partial E/\partial \overrightarrow{U}_k = \sum_t \overrightarrow{\delta}_k^t "
            r"\overrightarrow{h}_{t-1}^{\top},\quad"
            r" \partial E/\partial \overleftarrow{U}_k = \sum_t \overleftarrow{\delta}_k^t "
            r"\overleftarrow{h}_{t+1}^{\top}",
            _weights,
        ),
        Proof(
            "inputs",
            Text("an input hears from both chains", "入力には両方の連鎖から届く"),
            r"\partial E/\partial x_t = \sum_k \overrightarrow{W}_k^{\top}\overrightarrow{\delta}_k^t + "
            r"\sum_k \overleftarrow{W}_k^{\top}\overleftarrow{\delta}_k^t",
            _inputs,
        ),
        Proof(
            "count",
            Text("twice an LSTM's parameters", "パラメータ数はLSTMの二倍"),
            r"2 \cdot 4\,m\,(n + m + 1)",
            _count,
            exact=True,
        ),
    ),
    folded=("*/forget", "*/input", "*/candidate", "bilstm/*/*ward/output"),
    estimate=lambda p: 50 * p.T + 32,
)
def bilstm(p: Any, leaves: Leaves) -> Any:
    w = {
        mark: gate_weights(leaves, GATES, p.inputs, p.hidden, mark=mark, forget_bias=p.forget_bias)
        for mark in CHAINS
    }
    W_out = leaves.parameter("W_out", leaves.draw("W_out", (p.outputs, 2 * p.hidden), 0.7))
    bias = leaves.parameter("b_out", leaves.draw("b_out", (p.outputs,), 0.2))
    ends = {"F": 0, "B": p.T + 1}
    x: dict[int, Any] = {}
    states: dict[str, dict[int, Any]] = {}
    with scope("initial"):
        for mark, t in ends.items():
            c = leaves.input(f"c{mark}_{t}", leaves.draw(f"c{mark}_{t}", (p.hidden,), 0.5))
            h = leaves.input(f"h{mark}_{t}", leaves.draw(f"h{mark}_{t}", (p.hidden,), 0.3))
            states[mark] = {t: (h, c)}
    for mark, way, name in (("F", 1, "forward"), ("B", -1, "backward")):
        chain = states[mark]
        for t in range(1, p.T + 1)[::way]:
            with scope("bilstm"), scope(name), at_time(t):
                if t not in x:
                    x[t] = leaves.input(f"x_{t}", leaves.draw(f"x_{t}", (p.inputs,)))
                h, c = chain[t - way]
                chain[t] = lstm_cell(w[mark], x[t], h, c, str(t), mark=mark)
    losses: list[Any] = []
    for t in range(1, p.T + 1):
        with scope("bilstm"), scope("read-out"), at_time(t):
            h = join(f"h_{t}", states["F"][t][0], states["B"][t][0])
            y = named(f"y_{t}", total([W_out @ h, bias]))
            add_loss(p, leaves, losses, y, t)
    with scope("loss"):
        return named("E", ag.add_n(losses))
