"""The cheat sheet's gates Γ: one formula, four gates, and the two units that are built from them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

import autograd as ag
from autograd import at_time, scope
from scenes.bricks import gate, local_derivative, named, total
from scenes.recurrent.layers import (
    INPUTS,
    LOSS_AT,
    STEPS,
    add_loss,
    gate_weights,
    hidden,
    leaf_values,
    output_error,
    over_time,
    replay,
    side_by_side,
    steps,
)
from scenes.scene import SCENES, Chapter, Erratum, Leaves, Notation, Parameter, Proof, Recording, Text, scene

USED_IN = {"u": ("gru", "lstm"), "r": ("gru", "lstm"), "f": ("lstm",), "o": ("lstm",)}  # the sheet's table
SCOPES = {"u": "update", "r": "relevance", "f": "forget", "o": "output"}


def _gates(p: Any) -> str:
    """The letters of the gates that the chosen unit has."""
    found = "".join(k for k, units in USED_IN.items() if p["unit"] in units)
    return found if p["relevance"] or p["unit"] == "gru" else found.replace("r", "")


def _state(r: Recording, t: int) -> np.ndarray:
    """a_t, which in a GRU is c_t itself."""
    return r.value(f"{'c' if r.parameters['unit'] == 'gru' else 'a'}_{t}")


def _backward_by_hand(r: Recording) -> SimpleNamespace:
    """∂E/∂c_t, and for every gate ∂E/∂Γ and δ (∂E/∂ of what is squashed), from values alone."""
    v, p, gates = r.value, r.parameters, _gates(r.parameters)
    lstm, squashes = p["unit"] == "lstm", p["read"] == "tanh c"
    cell: dict[int, np.ndarray] = {}
    gamma: dict[str, dict[int, np.ndarray]] = {k: {} for k in gates}
    delta: dict[str, dict[int, np.ndarray]] = {k: {} for k in gates + "c"}
    kept = back = np.zeros(v("c_1").size)  # what step t + 1 sent to c and to a
    for t in reversed(steps(r)):
        before, c, g, u = v(f"c_{t - 1}"), v(f"c_{t}"), v(f"g_{t}"), v(f"Gu_{t}")
        da = back + output_error(r, "a" if lstm else "c", t)
        dc = kept
        if lstm:
            seen, slope = (np.tanh(c), 1 - np.tanh(c) ** 2) if squashes else (c, np.ones(c.shape))
            gamma["o"][t] = da * seen
            da = da * v(f"Go_{t}") * slope
        dc = cell[t] = dc + da
        gamma["u"][t] = dc * (g if lstm else g - before)
        if lstm:
            gamma["f"][t] = dc * before
        kept = dc * (v(f"Gf_{t}") if lstm else 1 - u)
        delta["c"][t] = dc * u * (1 - g**2)
        back = v("U_c").T @ delta["c"][t]
        if "r" in gates:
            gamma["r"][t] = back * _state(r, t - 1)
            back = back * v(f"Gr_{t}")
        for k in gates:
            value = v(f"G{k}_{t}")
            delta[k][t] = gamma[k][t] * value * (1 - value)
            back = back + v(f"U_{k}").T @ delta[k][t]
    return SimpleNamespace(c=cell, gamma=gamma, delta=delta)


def _table(r: Recording) -> tuple[Any, Any]:
    """Which gate's weights are used in which unit, read off the recorded graphs."""
    got = []
    for unit in ("gru", "lstm"):
        graph = r.scene.build(r.parameters | {"unit": unit, "T": 1}).graph
        used = {graph.names[i] for inputs in graph.inputs for i in inputs}
        got.append([f"W_{k}" in used for k in USED_IN])
    closed = [[unit in units for units in USED_IN.values()] for unit in ("gru", "lstm")]
    closed[1][list(USED_IN).index("r")] = bool(r.parameters["relevance"])
    return np.array(got) * 1.0, np.array(closed) * 1.0


def _gate_errors(r: Recording) -> tuple[Any, Any]:
    gamma = _backward_by_hand(r).gamma
    pairs = [(k, t) for k in gamma for t in steps(r)]
    return np.stack([r.grad(f"G{k}_{t}") for k, t in pairs]), np.stack([gamma[k][t] for k, t in pairs])


def _weights(r: Recording) -> tuple[Any, Any]:
    delta = _backward_by_hand(r).delta
    got, closed = [], []
    for k, over in delta.items():
        opened = {t: r.value(f"Gr_{t}") if k == "c" and "r" in delta else 1.0 for t in steps(r)}
        states = [np.outer(over[t], opened[t] * _state(r, t - 1)) for t in steps(r)]
        got += [r.grad(f"{kind}_{k}") for kind in "WUb"]
        closed += [over_time(r, over, "x"), np.sum(states, axis=0), sum(over.values())]
    return side_by_side(*got), side_by_side(*closed)


def _direct_path(r: Recording) -> tuple[Any, Any]:
    got = [local_derivative(r, f"c_{t}", 0) * local_derivative(r, f"keep_{t}", 1) for t in steps(r)]
    lstm = r.parameters["unit"] == "lstm"
    closed = [r.value(f"Gf_{t}") if lstm else 1.0 - r.value(f"Gu_{t}") for t in steps(r)]
    return np.stack(got), np.stack(closed)


def _ordinary(r: Recording) -> tuple[Any, Any]:
    """States and loss with Γ_r opened in the LSTM, and those of the scene `lstm` or `gru` with its leaves."""
    p = {k: r.parameters[k] for k in ("T", "inputs", "hidden", "loss_at")}
    values = leaf_values(r)
    own = r.scene.build(r.parameters | {"read": "tanh c"})
    if r.parameters["unit"] == "gru":
        other, letters = SCENES["gru"].build(p | {"keep": "1-z", "reset": "before"}), {"u": "z", "c": "h"}
        start = {"c_0": "h_0"}
    else:
        other, letters = SCENES["lstm"].build(p | {"stage": "forget"}), {"u": "i"}
        start = {"c_0": "c_0", "a_0": "h_0"}
        if r.parameters["relevance"]:  # 1 / (1 + e^−40) is 1 in float64
            values |= {"W_r": 0 * values["W_r"], "U_r": 0 * values["U_r"], "b_r": 0 * values["b_r"] + 40.0}
    replay(own, values)
    copied = {}
    for name, value in values.items():
        base, _, index = name.partition("_")
        if base in "WUb":
            name = f"{base}_{letters.get(index, index)}"
        if not (name.endswith("_r") and r.parameters["unit"] == "lstm"):
            copied[start.get(name, name)] = value
    replay(other, copied)
    got = [own.loss.value, *(_state(own, t) for t in steps(r))]
    return side_by_side(*got), side_by_side(other.loss.value, *(other.value(f"h_{t}") for t in steps(r)))


@scene(
    "gated-units",
    family="recurrent",
    title=Text("Gates Γ", "ゲート"),
    summary=Text(
        "Every gate is the same formula with weights of its own. Four of them, update, relevance, forget and "
        "output, make the GRU and the LSTM of the cheat sheet.",
        "どのゲートも同じ式で、違うのは重みだけです。更新・関連・忘却・出力の四つのゲートから、"
        "チートシートのGRUとLSTMができます。",
    ),
    source="CS",
    parameters=(
        Parameter("unit", "lstm", Text("which unit", "ユニットの種類"), choices=("gru", "lstm")),
        Parameter(
            "relevance",
            True,
            Text(
                "Γ_r in the LSTM's candidate, as printed; a GRU always has it",
                "LSTMの候補に印刷どおり Γ_r を入れるか。GRUには必ずある",
            ),
        ),
        Parameter(
            "read",
            "tanh c",
            Text("what the LSTM's output gate lets out", "LSTMの出力ゲートが通すもの"),
            choices=("tanh c", "c"),
        ),
        STEPS,
        INPUTS,
        hidden("c and a", "c と a"),
        LOSS_AT,
    ),
    notations={
        "CS": Notation(
            "angle",
            {f"G{k}": f"Γ_{k}" for k in USED_IN} | {"keep": "", "write": "", "g": "c̃", "d": "y", "E": "L"},
        )
    },
    formulas=(
        r"\Gamma = \sigma(W x^{\langle t \rangle} + U a^{\langle t-1 \rangle} + b)",
        r"\tilde{c}^{\langle t \rangle} = \tanh(W_c x^{\langle t \rangle} + U_c (\Gamma_r \odot a^{\langle "
        r"t-1 \rangle}) + b_c)",
        r"\text{GRU}:\ c^{\langle t \rangle} = \Gamma_u \odot \tilde{c}^{\langle t \rangle} + (1 - \Gamma_u) "
        r"\odot c^{\langle t-1 \rangle},\quad a^{\langle t \rangle} = c^{\langle t \rangle}",
        r"\text{LSTM}:\ c^{\langle t \rangle} = \Gamma_u \odot \tilde{c}^{\langle t \rangle} + \Gamma_f "
        r"\odot c^{\langle t-1 \rangle},\quad a^{\langle t \rangle} = \Gamma_o \odot \tanh c^{\langle t "
        r"\rangle}",
    ),
    chapters=(
        Chapter(
            "one-formula",
            Text("One formula for every gate", "どのゲートも同じ式"),
            Text(
                "`Γ = σ(W x + U a + b)`: every gate looks at the input and the last activation, and gives "
                "each unit of the memory a number between 0 and 1. Closed is 0, open is 1. What a gate "
                "*does* depends only on what it is multiplied with.\n\n"
                "The gates are folded into one box each; open two of them and compare: the same boxes, other "
                "weights.",
                "`Γ = σ(W x + U a + b)`: どのゲートも入力と一つ前の活性を見て、記憶の成分ごとに 0 から 1 "
                "の数を出します。0 は閉じ、1 は開いた状態です。ゲートの*役割*は、"
                "何に掛けられるかだけで決まります。\n\n"
                "ゲートはそれぞれ一つの箱に折りたたんであります。二つ開いて比べてみてください。"
                "箱は同じで、重みだけが違います。",
            ),
            "start",
            "forward g_1",
            ("*/t=1", "initial"),
            ("G*_1", "g_1"),
        ),
        Chapter(
            "table",
            Text("Which unit uses which gate", "どのユニットがどのゲートを使うか"),
            Text(
                "| gate | question | in |\n|---|---|---|\n"
                "| Γ_u update | how much of the new goes in? | GRU, LSTM |\n"
                "| Γ_r relevance | does the past matter for the candidate? | GRU, LSTM (as printed) |\n"
                "| Γ_f forget | is the memory erased? | LSTM |\n"
                "| Γ_o output | how much of the cell is shown? | LSTM |\n\n"
                "The unit now is **$unit**. A GRU has no Γ_f: it keeps with `1 − Γ_u` what it does not "
                "renew. It has no Γ_o either: what it remembers is what it shows, `a = c`.",
                "| ゲート | 問い | 使うユニット |\n|---|---|---|\n"
                "| Γ_u 更新 | 新しい情報をどれだけ入れるか | GRU, LSTM |\n"
                "| Γ_r 関連 | 候補にとって過去は大事か | GRU, LSTM (印刷どおりの場合) |\n"
                "| Γ_f 忘却 | 記憶を消すか | LSTM |\n"
                "| Γ_o 出力 | セルをどれだけ見せるか | LSTM |\n\n"
                "今のユニットは **$unit** です。GRUに Γ_f はなく、更新しない分を `1 − Γ_u` で残します。"
                "Γ_o もなく、覚えているものがそのまま出力です: `a = c`。",
            ),
            "forward g_1",
            "forward c_1",
            ("*/t=1",),
            ("keep_1", "write_1", "c_1"),
        ),
        Chapter(
            "printed",
            Text("Γ_r in the LSTM: as printed", "LSTMの Γ_r: 印刷どおりの形"),
            Text(
                "The cheat sheet writes one candidate for both units, `c̃ = tanh(W_c[Γ_r ⊙ a, x] + b_c)`.\n\n"
                "*Misprint, or a variant:* most LSTMs have no `Γ_r` there, and what you find in libraries "
                "has none. Switch `relevance` off to see the usual unit. With `Γ_r = 1` both are the same: "
                "one of the proofs opens the gate and compares with the scene `lstm`.",
                "チートシートでは候補の式が両方のユニットに共通で、`c̃ = tanh(W_c[Γ_r ⊙ a, x] + b_c)` と"
                "なっています。\n\n"
                "*誤植、または変種:* 一般的なLSTMの候補に `Γ_r` はなく、ライブラリにある実装にもありません。"
                "`relevance` を切ると普通の形になります。`Γ_r = 1` なら両者は一致します。"
                "検証項目の一つがゲートを開いて `lstm` の場面と比べます。",
            ),
            "forward c_1",
            "forward c_$T",
            ("*/t=*",),
            ("Gr_*", "g_*"),
        ),
        Chapter(
            "memory-error",
            Text("The error of the memory", "記憶の誤差"),
            Text(
                "On the straight line of `c` the error is multiplied by the share that was kept: `Γ_f` in an "
                "LSTM, `1 − Γ_u` in a GRU. No matrix and no squashing stands there.\n\n"
                "Look at the numbers on the line: which steps let the error through?",
                "`c` のまっすぐな線の上で、誤差には残した割合が掛かります。LSTMでは `Γ_f`、GRUでは "
                "`1 − Γ_u` です。そこに行列も活性化関数もありません。\n\n"
                "線の上の数を見てください。誤差をよく通すのはどの時刻でしょうか。",
            ),
            "forward E",
            "end",
            ("*/t=*", "initial"),
            ("c_*", "keep_*"),
        ),
        Chapter(
            "gate-error",
            Text("How a gate learns", "ゲートはどう学ぶか"),
            Text(
                "A gate's error is the error behind the `×` times what it was multiplied with: "
                "`∂E/∂Γ_f = ∂E/∂c ⊙ c_prev`, `∂E/∂Γ_o = ∂E/∂a ⊙ tanh c`. For `Γ_u` it is `∂E/∂c ⊙ c̃` in an "
                "LSTM and `∂E/∂c ⊙ (c̃ − c_prev)` in a GRU: there it weighs the new *against* the old.\n\n"
                "Then comes `Γ(1 − Γ)`, at most 1/4: a gate that is wide open or shut learns slowly.",
                "ゲートの誤差は、`×` の先の誤差に、掛けられた相手を掛けたものです: `∂E/∂Γ_f = ∂E/∂c ⊙ "
                "c_prev`、`∂E/∂Γ_o = ∂E/∂a ⊙ tanh c`。`Γ_u` では、LSTMなら `∂E/∂c ⊙ c̃`、GRUなら "
                "`∂E/∂c ⊙ (c̃ − c_prev)` となり、新しいものを古いものと*比べる*形になります。\n\n"
                "さらに `Γ(1 − Γ)` が掛かります。最大でも 1/4 なので、開ききったゲートや閉じきったゲートは"
                "ゆっくりとしか学びません。",
            ),
            "forward E",
            "end",
            ("parameters", "*/t=$T"),
            ("G*_*",),
        ),
    ),
    proofs=(
        Proof(
            "table",
            Text("which gate is used in which unit", "どのゲートがどのユニットで使われるか"),
            r"\Gamma_u, \Gamma_r:\ \text{GRU, LSTM};\quad \Gamma_f, \Gamma_o:\ \text{LSTM}",
            _table,
            exact=True,
        ),
        Proof(
            "ordinary",
            Text(
                "with Γ_r open it is the ordinary LSTM; the GRU is the ordinary one",
                "Γ_r を開けば普通のLSTM、GRUは普通のGRU",
            ),
            r"\Gamma_r = 1",
            _ordinary,
        ),
        Proof(
            "direct-path",
            Text("the factor on the memory's line", "記憶の線の係数"),
            r"\left.\partial c^{\langle t \rangle}/\partial c^{\langle t-1 \rangle}\right|_{direct} = "
            r"\Gamma_f \quad (1 - \Gamma_u \text{ in a GRU})",
            _direct_path,
            exact=True,
        ),
        Proof(
            "gate-errors",
            Text("the error of each gate", "各ゲートの誤差"),
            r"\frac{\partial E}{\partial \Gamma_f} = \frac{\partial E}{\partial c} \odot c^{\langle t-1 "
            r"\rangle},\quad \frac{\partial E}{\partial \Gamma_u} = \frac{\partial E}{\partial c} \odot "
            r"\tilde{c}\ \ \text{or}\ \ \frac{\partial E}{\partial c} \odot (\tilde{c} - c^{\langle t-1 "
            r"\rangle})",
            _gate_errors,
        ),
        Proof(
            "weights",
            Text("weights and biases of all gates", "全ゲートの重みとバイアス"),
            r"\partial E/\partial W_k = \sum_t \delta_k\, {x^{\langle t \rangle}}^{\top},\quad"
            r" \partial E/\partial U_c = \sum_t \delta_c\, (\Gamma_r \odot a^{\langle t-1 \rangle})^{\top}",
            _weights,
        ),
    ),
    errata=(
        Erratum(
            "CS",
            "c̃ = tanh(W_c [Γ_r ⊙ a^{<t−1>}, x^{<t>}] + b_c)",
            "c̃ = tanh(W_c [a^{<t−1>}, x^{<t>}] + b_c)",
            Text(
                "in the LSTM; most have no Γ_r there, kept here as a variant",
                "LSTMの場合。一般的なLSTMに Γ_r はない。ここでは変種として残す",
            ),
        ),
    ),
    folded=tuple(f"*/{name}" for name in (*SCOPES.values(), "candidate")),
    estimate=lambda p: 30 * p.T + 18,
)
def gated_units(p: Any, leaves: Leaves) -> Any:
    gates, lstm = _gates(vars(p)), p.unit == "lstm"
    w = gate_weights(leaves, gates + "c", p.inputs, p.hidden)
    with scope("initial"):
        a = c = leaves.input("c_0", leaves.draw("c_0", (p.hidden,), 0.5))
        if lstm:
            a = leaves.input("a_0", leaves.draw("a_0", (p.hidden,), 0.3))
    losses: list[Any] = []
    for t in range(1, p.T + 1):
        with scope(p.unit), at_time(t):
            x = leaves.input(f"x_{t}", leaves.draw(f"x_{t}", (p.inputs,)))
            gamma = {}
            for k in gates:
                with scope(SCOPES[k]):
                    gamma[k] = named(f"G{k}_{t}", gate(w, k, x, a, None))
            with scope("candidate"):
                past = gamma["r"] * a if "r" in gates else a
                g = named(f"g_{t}", ag.tanh(total([w["W_c"] @ x, w["U_c"] @ past, w["b_c"]])))
            kept = named(f"keep_{t}", (gamma["f"] if lstm else 1.0 - gamma["u"]) * c)
            a = c = named(f"c_{t}", kept + named(f"write_{t}", gamma["u"] * g))
            if lstm:
                a = named(f"a_{t}", gamma["o"] * (ag.tanh(c) if p.read == "tanh c" else c))
            add_loss(p, leaves, losses, a, t, 0.5)
    with scope("loss"):
        return named("E", ag.add_n(losses))
