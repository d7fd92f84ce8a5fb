"""The gated recurrent unit: two gates and no separate memory, in both conventions of the textbooks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

import autograd as ag
from autograd import at_time, scope
from scenes.bricks import gru_cell, local_derivative, named
from scenes.recurrent.layers import (
    INPUTS,
    LOSS_AT,
    STEPS,
    add_loss,
    gate_weights,
    hidden,
    leaf_values,
    letters_note,
    output_error,
    over_time,
    replay,
    side_by_side,
    steps,
)
from scenes.scene import SCENES, Chapter, Leaves, Notation, Parameter, Proof, Recording, Text, scene

GATES = "rzh"  # reset, update, candidate


def _backward_by_hand(r: Recording) -> SimpleNamespace:
    """∂E/∂h_t and each δ (∂E/∂ of what is squashed), from values alone.

    `past[t]` is what the candidate's δ is multiplied with in ∂E/∂U_h, `sent[t]` that δ on its way there.
    """
    v, T = r.value, steps(r)[-1]
    after, keeps = r.parameters["reset"] == "after", r.parameters["keep"] == "z"
    error = {T: output_error(r, "h", T)}
    delta: dict[str, dict[int, np.ndarray]] = {k: {} for k in GATES}
    past, sent = {}, {}
    for t in range(T, 0, -1):
        dh, h = error[t], v(f"h_{t - 1}")
        reset, z, g = v(f"r_{t}"), v(f"z_{t}"), v(f"g_{t}")
        old, new = (z, 1 - z) if keeps else (1 - z, z)
        delta["z"][t] = dh * ((h - g) if keeps else (g - h)) * z * (1 - z)
        d = delta["h"][t] = dh * new * (1 - g**2)
        if after:
            past[t], sent[t] = h, d * reset
            back = v("U_h").T @ sent[t]
            dr = d * (v("U_h") @ h)
        else:
            past[t], sent[t] = reset * h, d
            back = v("U_h").T @ d * reset
            dr = v("U_h").T @ d * h
        delta["r"][t] = dr * reset * (1 - reset)
        back = back + dh * old + v("U_z").T @ delta["z"][t] + v("U_r").T @ delta["r"][t]
        error[t - 1] = back + (output_error(r, "h", t - 1) if t > 1 else 0.0)
    return SimpleNamespace(h=error, delta=delta, past=past, sent=sent)


def _state_errors(r: Recording) -> tuple[Any, Any]:
    error = _backward_by_hand(r).h
    moments = (0, *steps(r))
    return np.stack([r.grad(f"h_{t}") for t in moments]), np.stack([error[t] for t in moments])


def _direct_path(r: Recording) -> tuple[Any, Any]:
    got, closed = [], []
    for t in steps(r):
        z = r.value(f"z_{t}")
        got.append(local_derivative(r, f"h_{t}", 0) * local_derivative(r, f"keep_{t}", 1))
        closed.append(z if r.parameters["keep"] == "z" else 1.0 - z)
    return np.stack(got), np.stack(closed)


def _weights_and_biases(r: Recording) -> tuple[Any, Any]:
    delta = _backward_by_hand(r).delta
    got = [r.grad(f"{kind}_{k}") for k in GATES for kind in "Wb"]
    closed = [part for k in GATES for part in (over_time(r, delta[k], "x"), sum(delta[k].values()))]
    return side_by_side(*got), side_by_side(*closed)


def _state_weights(r: Recording) -> tuple[Any, Any]:
    hand = _backward_by_hand(r)
    candidate = np.sum([np.outer(hand.sent[t], hand.past[t]) for t in steps(r)], axis=0)
    closed = [over_time(r, hand.delta["r"], "h", -1), over_time(r, hand.delta["z"], "h", -1), candidate]
    return side_by_side(*(r.grad(f"U_{k}") for k in GATES)), side_by_side(*closed)


def _convention(r: Recording) -> tuple[Any, Any]:
    """The states of the other convention with the update gate's weights negated: 1 − σ(u) = σ(−u)."""
    other = r.scene.build(r.parameters | {"keep": "1-z" if r.parameters["keep"] == "z" else "z"})
    values = leaf_values(r)
    replay(other, values | {f"{kind}_z": -values[f"{kind}_z"] for kind in "WUb"})
    return tuple(np.stack([one.value(f"h_{t}") for t in steps(r)]) for one in (r, other))  # type: ignore[return-value]


def _count(r: Recording) -> tuple[Any, Any]:
    """Parameters, against three quarters of those that the scene `lstm` has at the same sizes."""
    p = r.parameters
    n, m = int(p["inputs"]), int(p["hidden"])
    lstm = SCENES["lstm"].build({"T": 1, "inputs": n, "hidden": m})
    counts = [sum(leaf.size for leaf in one.graph.leaves("parameter")) for one in (r, lstm)]
    return np.array([counts[0], 4 * counts[0]]), np.array([3 * m * (n + m + 1), 3 * counts[1]])


_LETTERS = {"keep": "", "write": "", "g": "h̃"}
_NOTATIONS = {
    "RN": Notation("sub", _LETTERS),
    "CS": Notation("angle", _LETTERS | {"r": "Γ_r", "z": "Γ_u", "g": "c̃", "h": "a", "d": "y", "E": "L"}),
    "RP": Notation("sub", _LETTERS),
}
_NOTE = letters_note(_NOTATIONS)


@scene(
    "gru",
    family="recurrent",
    title=Text("GRU", "GRU"),
    summary=Text(
        "Two gates and one state: the reset gate decides what of the past the candidate sees, the update "
        "gate mixes old and new. Both conventions and both places of the reset; three quarters of an LSTM's "
        "parameters.",
        "ゲートは二つ、状態は一つです。リセットゲートは候補が過去をどれだけ見るかを、更新ゲートは古い状態と"
        "新しい候補の混ぜ方を決めます。流儀は二通り、リセットの位置も二通り。パラメータ数はLSTMの四分の三"
        "です。",
    ),
    source="RN, CS, RP",
    parameters=(
        STEPS,
        INPUTS,
        hidden("h", "状態 h"),
        Parameter(
            "keep",
            "z",
            Text(
                "what the old state is multiplied with: z, so h = (1−z)⊙h̃ + z⊙h_prev, or 1−z, the reverse",
                "古い状態に掛けるもの: z なら h = (1−z)⊙h̃ + z⊙h_prev、1-z ならその逆",
            ),
            choices=("z", "1-z"),
        ),
        Parameter(
            "reset",
            "before",
            Text(
                "where r stands: before the recurrent product, U(r⊙h), or after it, r⊙(U h)",
                "r を掛ける場所: 再帰重みとの積の前 U(r⊙h) か、積の後 r⊙(U h) か",
            ),
            choices=("before", "after"),
        ),
        LOSS_AT,
        Parameter(
            "notation",
            "RN",
            Text("whose letters: z, r, h (RN, RP) or Γ, a<t> (CS)", "記号: z, r, h (RN, RP) か Γ, a<t> (CS)"),
            choices=("RN", "CS", "RP"),
        ),
    ),
    notations=_NOTATIONS,
    formulas=(
        r"r_t = \sigma(W_r x_t + U_r h_{t-1} + b_r)",
        r"z_t = \sigma(W_z x_t + U_z h_{t-1} + b_z)",
        r"\tilde{h}_t = \tanh(W_h x_t + U_h (r_t \odot h_{t-1}) + b_h)\quad\text{or}\quad"
        r"\tanh(W_h x_t + r_t \odot (U_h h_{t-1}) + b_h)",
        r"h_t = (1 - z_t) \odot \tilde{h}_t + z_t \odot h_{t-1}\quad\text{or}\quad"
        r" z_t \odot \tilde{h}_t + (1 - z_t) \odot h_{t-1}",
        r"E = \sum_t \frac{1}{2}\|h_t - d_t\|^2",
    ),
    chapters=(
        Chapter(
            "candidate",
            Text("A candidate that may ignore the past", "過去を無視できる候補"),
            Text(
                "The **reset gate** `r = σ(W_r x + U_r h_prev + b_r)` looks at the input and the old state. "
                "Where it is 0, the candidate `h̃` sees nothing of the past and starts afresh from `x`; "
                "where it is 1, `h̃` is what a plain RNN would compute.\n\n"
                "Now r stands **$reset** the recurrent product. The usual form is `U(r ⊙ h_prev)`; some "
                "libraries compute `r ⊙ (U h_prev)`, because all products with `h_prev` can then be made at "
                "once. Same letters, different numbers: switch `reset` and watch `h̃`."
                f"{_NOTE.en}",
                "**リセットゲート** `r = σ(W_r x + U_r h_prev + b_r)` は入力と古い状態を見ます。"
                "これが 0 の成分では、候補 `h̃` は過去を何も見ず `x` だけから作り直されます。"
                "1 なら `h̃` は普通のRNNの計算と同じです。\n\n"
                "今 r は再帰重みとの積に対して **$reset** の位置にあります (before は前、after は後)。"
                "普通は `U(r ⊙ h_prev)` ですが、`r ⊙ (U h_prev)` と計算するライブラリもあります。"
                "`h_prev` との積を一度にまとめられるからです。記号は同じでも値は違います。"
                "`reset` を切り替えて `h̃` を見てください。"
                f"{_NOTE.ja}",
            ),
            "start",
            "forward g_1",
            ("*/t=1", "initial"),
            ("r_1", "g_1"),
        ),
        Chapter(
            "mixing",
            Text("The update gate mixes old and new", "更新ゲートが新旧を混ぜる"),
            Text(
                "The **update gate** `z` divides each unit of the state between old and new, and the two "
                "shares add up to 1. One gate does here what the LSTM's forget and input gates do "
                "separately.\n\n"
                "Beware: books disagree which share is called z. Now the old state is multiplied with "
                "**$keep**. The two conventions are the same network with the signs of `W_z`, `U_z` and "
                "`b_z` turned, since `1 − σ(u) = σ(−u)`: one of the proofs.",
                "**更新ゲート** `z` は状態の各成分を古い値と新しい候補に配分します。二つの割合の和は 1 です。"
                "LSTMの忘却ゲートと入力ゲートの仕事を、ここでは一つのゲートがこなします。\n\n"
                "注意: どちらの割合を z と呼ぶかは本によって違います。今は古い状態に **$keep** を掛けて"
                "います。`1 − σ(u) = σ(−u)` なので、二つの流儀は `W_z`、`U_z`、`b_z` の符号を反転しただけの"
                "同じネットワークです。これは検証項目の一つです。",
            ),
            "forward g_1",
            "forward h_1",
            ("*/t=1",),
            ("z_1", "keep_1", "write_1", "h_1"),
        ),
        Chapter(
            "unrolled",
            Text("One state travels", "進む状態は一つ"),
            Text(
                "Over all $T steps only one thing travels: `h`, memory and output in one. There is no "
                "separate cell and no output gate. Still there is a straight line through the columns, "
                "`×` and `+`, without a matrix and without squashing: the old state's share.",
                "$T 個の時刻を通して進むのは `h` だけで、これが記憶と出力を兼ねます。別のセルも出力ゲートも"
                "ありません。それでも `×` と `+` だけの線が列をまっすぐ貫いています。行列も活性化関数も"
                "挟まらない、古い状態の取り分です。",
            ),
            "forward h_1",
            "forward h_$T",
            highlight=("h_*", "keep_*"),
        ),
        Chapter(
            "direct-path",
            Text("The error on the direct path", "直接の経路を進む誤差"),
            Text(
                "Backwards the line multiplies the error by the old state's share, "
                "`∂h_t/∂h_{t−1} = $keep` on the direct path: near 1 the error stays alive over many steps, "
                "near 0 the past is cut off. Point at the edges of the line to read the numbers.\n\n"
                "The rest of the error takes the detours through candidate and gates: `U_hᵀ`, `U_zᵀ`, "
                "`U_rᵀ`. Look at `h`: its gradient arrives in several instalments.",
                "逆向きには、この線は誤差に古い状態の割合を掛けます。直接の経路では "
                "`∂h_t/∂h_{t−1} = $keep` です。1 に近ければ誤差は何時刻も生き残り、0 に近ければ過去は"
                "切り離されます。線の辺にカーソルを合わせると数が読めます。\n\n"
                "残りの誤差は候補とゲートを通る回り道 `U_hᵀ`、`U_zᵀ`、`U_rᵀ` を進みます。"
                "`h` の勾配が何回かに分けて届くのを見てください。",
            ),
            "forward E",
            "end",
            ("*/t=*", "initial"),
            ("h_*", "keep_*"),
        ),
        Chapter(
            "weights",
            Text("Three quarters of an LSTM", "LSTMの四分の三"),
            Text(
                "Every gate and the candidate collect `∂E/∂W_k = Σ_t δ_k x_tᵀ`. For `U_h` the place of the "
                "reset matters: before the product it is `Σ_t δ_h (r ⊙ h_prev)ᵀ`, after it "
                "`Σ_t (r ⊙ δ_h) h_prevᵀ`.\n\n"
                "Count the blocks of weights: three here (r, z, h̃), four in the LSTM (f, i, o, g). So a GRU "
                "has exactly **3:4** of the parameters at equal sizes, `3m(n + m + 1)` for n inputs and m "
                "units.",
                "各ゲートと候補の勾配は `∂E/∂W_k = Σ_t δ_k x_tᵀ` と全時刻の和になります。`U_h` ではリセットの"
                "位置が効きます。積の前なら `Σ_t δ_h (r ⊙ h_prev)ᵀ`、後なら `Σ_t (r ⊙ δ_h) h_prevᵀ` です。"
                "\n\n重みの組を数えると、ここでは三つ (r, z, h̃)、LSTMでは四つ (f, i, o, g) です。"
                "大きさが同じならパラメータ数はちょうど **3:4** で、入力 n、ユニット m のとき "
                "`3m(n + m + 1)` 個です。",
            ),
            "backward h_$T",
            "end",
            ("parameters", "*/t=1"),
            ("W_*", "U_*", "b_*"),
        ),
    ),
    proofs=(
        Proof(
            "direct-path",
            Text("the direct path's factor is the old state's share", "直接の経路の係数は古い状態の割合"),
            r"\left.\partial h_t/\partial h_{t-1}\right|_{direct} = z_t \quad (1 - z_t \text{ in the reverse "
            r"convention})",
            _direct_path,
            exact=True,
        ),
        Proof(
            "state-errors",
            Text("the error of the state goes back one step", "状態の誤差の漸化式"),
            r"\frac{\partial E}{\partial h_{t-1}} = (h_{t-1} - d_{t-1}) + z_t \odot "
            r"\frac{\partial E}{\partial h_t} + "
            r"U_z^{\top}\delta_z^t + U_r^{\top}\delta_r^t + r_t \odot U_h^{\top}\delta_h^t",
            _state_errors,
        ),
        Proof(
            "W-b",
            Text("input weights and biases", "入力重みとバイアス"),
            r"\partial E/\partial W_k = \sum_t \delta_k^t\, x_t^{\top},\quad"
            r" \partial E/\partial b_k = \sum_t \delta_k^t",
            _weights_and_biases,
        ),
        Proof(
            "U",
            Text("recurrent weights", "再帰重み"),
            r"\partial E/\partial U_{r,z} = \sum_t \delta_{r,z}^t\, h_{t-1}^{\top},\quad"
            r" \partial E/\partial U_h = \sum_t \delta_h^t\, (r_t \odot h_{t-1})^{\top}",
            _state_weights,
        ),
        Proof(
            "conventions",
            Text("both conventions are one network", "二つの流儀は同じネットワーク"),
            r"1 - \sigma(u) = \sigma(-u):\quad W_z, U_z, b_z \to -W_z, -U_z, -b_z",
            _convention,
        ),
        Proof(
            "count",
            Text("three quarters of an LSTM's parameters", "パラメータ数はLSTMの四分の三"),
            r"3\,m\,(n + m + 1) : 4\,m\,(n + m + 1) = 3 : 4",
            _count,
            exact=True,
        ),
    ),
    folded=("*/reset", "*/update", "*/candidate"),
    estimate=lambda p: 22 * p.T + 12,
)
def gru(p: Any, leaves: Leaves) -> Any:
    w = gate_weights(leaves, GATES, p.inputs, p.hidden)
    with scope("initial"):
        h = leaves.input("h_0", leaves.draw("h_0", (p.hidden,), 0.5))
    losses: list[Any] = []
    for t in range(1, p.T + 1):
        with scope("gru"), at_time(t):
            x = leaves.input(f"x_{t}", leaves.draw(f"x_{t}", (p.inputs,)))
            h = gru_cell(w, x, h, str(t), keep=p.keep, reset=p.reset)
            add_loss(p, leaves, losses, h, t, 0.5)
    with scope("loss"):
        return named("E", ag.add_n(losses))
