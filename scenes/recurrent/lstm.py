"""The LSTM of the RN notes in four stages: carousel, input and output gates, forget gate, peepholes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

import autograd as ag
from autograd import at_time, scope
from scenes.bricks import local_derivative, lstm_cell, named, squared_loss
from scenes.recurrent.layers import letters_note
from scenes.scene import Chapter, Erratum, Leaves, Notation, Parameter, Proof, Recording, Text, scene

STAGES = {"cec": "c", "gates": "ioc", "forget": "fioc", "peephole": "fioc"}  # letters of the weights


def _letters(r: Recording) -> str:
    return STAGES[str(r.parameters["stage"])]


def _steps(r: Recording) -> range:
    return range(1, int(r.parameters["T"]) + 1)


def _backward_by_hand(r: Recording) -> SimpleNamespace:
    """∂E/∂c_t, ∂E/∂h_t and each gate's δ (∂E/∂ of what is squashed), written out from values alone.

    `error_c[t] = ∂E/∂h_t ⊙ o_t ⊙ tanh′(c_t) + error_c[t+1] ⊙ f_{t+1}` and the peepholes' parts.
    """
    letters, T = _letters(r), int(r.parameters["T"])
    v = r.value
    peep = r.parameters["stage"] == "peephole"
    error_c = {T + 1: 0 * v("c_0")}
    error_h: dict[int, np.ndarray] = {}
    delta: dict[str, dict[int, np.ndarray]] = {k: {} for k in letters}
    for t in range(T, -1, -1):
        has_loss = t > 0 and (r.parameters["loss_at"] == "every step" or t == T)
        dh = v(f"h_{t}") - v(f"d_{t}") if has_loss else 0 * v("h_0")
        dc = error_c[t + 1] * (v(f"f_{t + 1}") if "f" in letters and t < T else 1.0)
        if t < T:
            for k in letters:
                dh = dh + v(f"U_{k}").T @ delta[k][t + 1]
            if peep:
                dc = dc + v("V_f") * delta["f"][t + 1] + v("V_i") * delta["i"][t + 1]
        error_h[t], error_c[t] = dh, dc
        if t == 0:
            break
        squashed = np.tanh(v(f"c_{t}"))
        o: Any = 1.0  # a gate that does not exist is open
        if "o" in letters:
            o = v(f"o_{t}")
            delta["o"][t] = dh * squashed * o * (1 - o)
            if peep:
                dc = dc + v("V_o") * delta["o"][t]
        dc = error_c[t] = dc + dh * o * (1 - squashed**2)
        g = v(f"g_{t}")
        i: Any = 1.0
        if "f" in letters:
            f = v(f"f_{t}")
            delta["f"][t] = dc * v(f"c_{t - 1}") * f * (1 - f)
        if "i" in letters:
            i = v(f"i_{t}")
            delta["i"][t] = dc * g * i * (1 - i)
        delta["c"][t] = dc * i * (1 - g**2)
    return SimpleNamespace(c=error_c, h=error_h, delta=delta)


def _over_time(r: Recording, before: str, offset: int) -> tuple[Any, Any]:
    """Σ_t δ_k^t (x_t or h_{t−1})ᵀ for every gate k, one below the other."""
    hand = _backward_by_hand(r)
    weight = "W" if before == "x" else "U"
    closed = [
        sum(np.outer(hand.delta[k][t], r.value(f"{before}_{t + offset}")) for t in _steps(r))
        for k in _letters(r)
    ]
    return np.concatenate([r.grad(f"{weight}_{k}") for k in _letters(r)]), np.concatenate(closed)


def _input_weights(r: Recording) -> tuple[Any, Any]:
    return _over_time(r, "x", 0)


def _state_weights(r: Recording) -> tuple[Any, Any]:
    return _over_time(r, "h", -1)


def _biases_and_peepholes(r: Recording) -> tuple[Any, Any]:
    hand = _backward_by_hand(r)
    got = [r.grad(f"b_{k}") for k in _letters(r)]
    closed = [sum(hand.delta[k][t] for t in _steps(r)) for k in _letters(r)]
    if r.parameters["stage"] == "peephole":
        for k, seen in (("f", -1), ("i", -1), ("o", 0)):  # o looks at the new cell
            got.append(r.grad(f"V_{k}"))
            closed.append(sum(hand.delta[k][t] * r.value(f"c_{t + seen}") for t in _steps(r)))
    return np.concatenate(got), np.concatenate(closed)


def _direct_path(r: Recording) -> tuple[Any, Any]:
    """The local derivatives from c_{t−1} to c_t along the straight line × → +."""
    got, closed = [], []
    for t in _steps(r):
        factor = local_derivative(r, f"c_{t}", 0)
        if "f" in _letters(r):
            factor = factor * local_derivative(r, f"keep_{t}", 1)
        got.append(factor)
        closed.append(r.value(f"f_{t}") if "f" in _letters(r) else np.ones(factor.shape))
    return np.stack(got), np.stack(closed)


def _cell_errors(r: Recording) -> tuple[Any, Any]:
    hand = _backward_by_hand(r)
    steps = (0, *_steps(r))
    return np.stack([r.grad(f"c_{t}") for t in steps]), np.stack([hand.c[t] for t in steps])


def _state_errors(r: Recording) -> tuple[Any, Any]:
    hand = _backward_by_hand(r)
    steps = (0, *_steps(r))
    return np.stack([r.grad(f"h_{t}") for t in steps]), np.stack([hand.h[t] for t in steps])


# f ⊙ c and i ⊙ g have names for proofs and chapters; the notes draw a plain × there
_PRODUCTS = {"keep": "", "write": ""}
_NOTATIONS = {
    "RN": Notation("sub", _PRODUCTS),
    "CS": Notation(
        "angle", _PRODUCTS | {"f": "Γ_f", "i": "Γ_u", "o": "Γ_o", "g": "c̃", "h": "a", "d": "y", "E": "L"}
    ),
    "RP": Notation("sub", _PRODUCTS),
}
_NOTE = letters_note(_NOTATIONS)


@scene(
    "lstm",
    family="recurrent",
    title=Text("Long short-term memory", "LSTM"),
    summary=Text(
        "The carousel with gates around it: what to keep, what to write, when to read. Four stages, from the "
        "bare carousel to peepholes; the cell's path stays one straight line.",
        "カルーセルのまわりにゲートを付けたものです。何を残し、何を書き、いつ読むかを選びます。"
        "CECだけの形からピープホールまで四段階で組み立てますが、セルの経路は一直線のままです。",
    ),
    source="RN, CS, RP",
    parameters=(
        Parameter("T", 3, Text("number of time steps", "時刻の数"), 1, 50),
        Parameter("inputs", 2, Text("size of x", "入力 x の次元"), 1, 16),
        Parameter("hidden", 2, Text("size of the cell c and the state h", "セル c と状態 h の次元"), 1, 32),
        Parameter(
            "stage",
            "forget",
            Text(
                "how far it is built: cec only, + input and output gates, + forget gate, + peepholes",
                "組み立ての段階: CECのみ、+ 入出力ゲート、+ 忘却ゲート、+ ピープホール",
            ),
            choices=tuple(STAGES),
        ),
        Parameter(
            "forget_bias",
            1.0,
            Text(
                "added to b_f: the larger, the more is kept",
                "b_f に加える値。大きいほど記憶が残る",
            ),
            -10.0,
            10.0,
        ),
        Parameter(
            "loss_at",
            "every step",
            Text("which steps have a loss", "損失を計算する時刻"),
            choices=("every step", "last step"),
        ),
        Parameter(
            "notation",
            "RN",
            Text(
                "whose letters: f, i, o, h (RN, RP) or Γ, a<t> (CS)",
                "記号: f, i, o, h (RN, RP) か Γ, a<t> (CS)",
            ),
            choices=("RN", "CS", "RP"),
        ),
    ),
    notations=_NOTATIONS,
    formulas=(
        r"f_t = \sigma(W_f x_t + U_f h_{t-1} + V_f \odot c_{t-1} + b_f)",
        r"i_t = \sigma(W_i x_t + U_i h_{t-1} + V_i \odot c_{t-1} + b_i)",
        r"g_t = \tanh(W_c x_t + U_c h_{t-1} + b_c)",
        r"c_t = f_t \odot c_{t-1} + i_t \odot g_t",
        r"o_t = \sigma(W_o x_t + U_o h_{t-1} + V_o \odot c_t + b_o)",
        r"h_t = o_t \odot \tanh(c_t),\qquad E = \sum_t \frac{1}{2}\|h_t - d_t\|^2",
    ),
    chapters=(
        Chapter(
            "carousel",
            Text("It starts with the carousel", "出発点はカルーセル"),
            Text(
                "Look at the straight line through all $T columns: that is the cell `c`. In stage **cec** "
                "there is only a `+` on it: `c_t = c_{t−1} + g_t`, with the candidate `g_t = tanh(W_c x_t "
                "+ U_c h_{t−1} + b_c)` and `h_t = tanh(c_t)`.\n\n"
                "Whatever the later stages put around it, this line stays straight: no matrix and no "
                "squashing stands on it. Switch `stage` and watch it stay where it is."
                f"{_NOTE.en}",
                "$T 個の列をまっすぐ貫く線を見てください。これがセル `c` です。段階 **cec** では、"
                "この線の上に `+` しかありません。`c_t = c_{t−1} + g_t` で、候補は `g_t = tanh(W_c x_t + "
                "U_c h_{t−1} + b_c)`、出力は `h_t = tanh(c_t)` です。\n\n"
                "あとの段階で何を付け加えても、この線はまっすぐなままで、行列も活性化関数も挟まりません。"
                "`stage` を切り替えても線が動かないことを確かめてください。"
                f"{_NOTE.ja}",
            ),
            "start",
            "forward c_1",
            ("*/t=1", "initial"),
            ("c_*", "keep_*"),
        ),
        Chapter(
            "gates",
            Text("Gates: keep, write, read", "ゲート: 残す、書く、読む"),
            Text(
                "A gate is `σ(W x_t + U h_{t−1} + b)`, a number between 0 and 1 for every cell, and it "
                "*multiplies*:\n\n"
                "- stage **gates**: the input gate `i` decides what is written, the output gate `o` what is "
                "read\n"
                "- stage **forget**: the forget gate `f` decides what is kept, `c_t = f ⊙ c_{t−1} + i ⊙ g`\n"
                "- stage **peephole**: the gates also see the cell, `V ⊙ c`\n\n"
                "The gates are folded into one box each; click one to see its inside. The stage now is "
                "**$stage**.",
                "ゲートは `σ(W x_t + U h_{t−1} + b)` で、セルごとに 0 から 1 の値をとり、"
                "*掛け算*で効きます。\n\n"
                "- 段階 **gates**: 入力ゲート `i` は何を書き込むか、出力ゲート `o` は何を読み出すかを"
                "決めます\n"
                "- 段階 **forget**: 忘却ゲート `f` は何を残すかを決めます。`c_t = f ⊙ c_{t−1} + i ⊙ g`\n"
                "- 段階 **peephole**: ゲートがセルの中も見ます。`V ⊙ c`\n\n"
                "ゲートはそれぞれ一つの箱に折りたたんであります。クリックすると中が見えます。今の段階は "
                "**$stage** です。",
            ),
            "start",
            "forward h_1",
            ("*/t=1",),
            ("f_1", "i_1", "o_1", "g_1"),
        ),
        Chapter(
            "unrolled",
            Text("The same cell at every step", "どの時刻も同じセル"),
            Text(
                "The same weights serve all $T steps; only `x`, `h` and `c` change. Two things travel to "
                "the right: `h`, which passes through matrices and squashings at every step, and `c`, "
                "which does not.\n\n"
                "Watch the value strip of `c`: with `f` near 1 it changes slowly, and that is the long "
                "memory. Raise `forget_bias` to see it hold on, lower it to see it forget.",
                "$T 個の時刻すべてが同じ重みを使い、変わるのは `x`、`h`、`c` だけです。"
                "右へ進むものは二つあります。`h` は時刻ごとに行列と活性化関数を通りますが、"
                "`c` は通りません。\n\n"
                "`c` の値を見てください。`f` が 1 に近いと、ゆっくりとしか変わりません。"
                "これが長い記憶です。`forget_bias` を上げると記憶が残り、下げると忘れます。",
            ),
            "forward h_1",
            "forward h_$T",
            highlight=("c_*", "h_*"),
        ),
        Chapter(
            "loss",
            Text("The loss", "損失"),
            Text(
                "Each loss compares `h_t` with its target `d_t`, and `E` is their sum. So `h_t − d_t` "
                "enters at every step that has a loss; set `loss_at` to *last step* to let one single "
                "error in at the end.\n\n"
                "At `h = o ⊙ tanh(c)` it splits: one part tells the output gate whether reading was right, "
                "the other goes on to the cell.",
                "損失は `h_t` を目標 `d_t` と比べたもので、`E` はその和です。損失のある時刻ごとに `h_t − "
                "d_t` が入ってきます。`loss_at` を *last step* にすると、入る誤差は最後の一つだけになりま"
                "す。\n\n"
                "誤差は `h = o ⊙ tanh(c)` で分かれます。一方は読み出しが正しかったかを出力ゲートに伝え、"
                "もう一方はセルへ進みます。",
            ),
            "forward E",
            "backward h_$T",
            ("*/t=$T", "loss"),
            ("E", "L_$T", "h_$T"),
        ),
        Chapter(
            "cec-path",
            Text("The error on the straight line", "まっすぐな線を進む誤差"),
            Text(
                "Follow the line of `c` to the left. The `+` passes the error on with factor **1**; the "
                "`×` of the forget gate multiplies it by `f_t`, and nothing else stands in the way: on the "
                "direct path `∂c_t/∂c_{t−1} = f_t`. Without a forget gate (stages *cec* and *gates*) the "
                "factor is exactly 1.\n\n"
                "Point at the edges of the line to read the numbers. Over many steps the direct path keeps "
                "`f_T ⊙ … ⊙ f_1`; the network *learns* these factors, where a plain RNN is stuck with `W`.",
                "`c` の線を左へたどってください。`+` は誤差を **1** 倍で渡し、忘却ゲートの `×` は `f_t` を"
                "掛けます。ほかに邪魔するものはなく、直接の経路では `∂c_t/∂c_{t−1} = f_t` です。"
                "忘却ゲートのない段階 (*cec* と *gates*) では、係数はちょうど 1 です。\n\n"
                "線の辺にカーソルを合わせると数が読めます。何時刻も進むと、直接の経路に残るのは `f_T ⊙ … ⊙ "
                "f_1` です。普通のRNNでは `W` に縛られますが、LSTMはこの係数自体を*学習*します。",
            ),
            "backward h_$T",
            "end",
            ("*/t=*", "initial"),
            ("c_*", "keep_*"),
        ),
        Chapter(
            "total-derivative",
            Text("Direct path and detours", "直接の経路と回り道"),
            Text(
                "The whole error at `c_{t−1}` is more than the direct path: the cell also acts through "
                "`h_{t−1}` on every gate of the next step, and through the peepholes if there are any. "
                "Look at the instalments of `c`: the one from the line, and the one from its own "
                "`tanh`.\n\n"
                "The detours run through the gates' σ′ ≤ 1/4 and the matrices `U`, so they fade; the line "
                "does not have to.",
                "`c_{t−1}` に届く誤差は直接の経路だけではありません。セルは `h_{t−1}` を通して次の時刻のす"
                "べてのゲートに効き、ピープホールがあればそこからも効きます。`c` に分割で届く勾配を見てくだ"
                "さい。線から来る分と、自分の `tanh` から来る分があります。\n\n"
                "回り道はゲートの σ′ ≤ 1/4 と行列 `U` を通るので弱まっていきますが、"
                "まっすぐな線は弱まるとは限りません。",
            ),
            "backward c_$T",
            "backward c_1",
            ("*/t=*",),
            ("c_*", "h_*"),
        ),
        Chapter(
            "weights",
            Text("What the weights learn", "重みの学ぶこと"),
            Text(
                "Each gate's δ is its error times `σ′ = σ(1 − σ)`; for the forget gate `δ_f = ∂E/∂c_t ⊙ "
                "c_{t−1} ⊙ f(1 − f)`. The weights collect over time: `∂E/∂W_k = Σ_t δ_k x_tᵀ`, `∂E/∂U_k = "
                "Σ_t δ_k h_{t−1}ᵀ`, `∂E/∂b_k = Σ_t δ_k`. Select a weight to see one row per step.\n\n"
                "*In the CS sheet:* the LSTM's candidate is printed with a relevance gate `Γ_r`. Most "
                "LSTMs have none there, and this scene has none; `gated-units` shows the printed variant.",
                "各ゲートの δ は、届いた誤差に `σ′ = σ(1 − σ)` を掛けたものです。忘却ゲートなら "
                "`δ_f = ∂E/∂c_t ⊙ c_{t−1} ⊙ f(1 − f)` です。重みの勾配は全時刻の和になります: "
                "`∂E/∂W_k = Σ_t δ_k x_tᵀ`、`∂E/∂U_k = Σ_t δ_k h_{t−1}ᵀ`、`∂E/∂b_k = Σ_t δ_k`。"
                "重みを選ぶと、時刻ごとの行が並びます。\n\n"
                "*CSシートについて:* LSTMの候補に関連ゲート `Γ_r` が印刷されています。一般的なLSTMにはなく、"
                "この場面にもありません。印刷どおりの形は `gated-units` で見られます。",
            ),
            "backward c_$T",
            "end",
            ("parameters", "*/t=1"),
            ("W_*", "U_*", "b_*", "V_*"),
        ),
    ),
    proofs=(
        Proof(
            "direct-path",
            Text("the direct path's factor", "直接の経路の係数"),
            r"\left.\partial c_t/\partial c_{t-1}\right|_{direct} = f_t \quad (1 \text{ without a forget "
            r"gate})",
            _direct_path,
            exact=True,
        ),
        Proof(
            "cell-errors",
            Text("the error of the cell goes back one step", "セルの誤差の漸化式"),
            r"\frac{\partial E}{\partial c_t} = \frac{\partial E}{\partial h_t} \odot o_t \odot (1 - "
            r"\tanh^2 c_t) + V_o \odot \delta_o^t + \frac{\partial E}{\partial c_{t+1}} \odot f_{t+1} + "
            r"V_f \odot \delta_f^{t+1} + V_i \odot \delta_i^{t+1}",
            _cell_errors,
        ),
        Proof(
            "state-errors",
            Text("the error of the state goes back one step", "状態の誤差の漸化式"),
            r"\frac{\partial E}{\partial h_t} = (h_t - d_t) + \sum_k U_k^{\top} \delta_k^{t+1}",
            _state_errors,
        ),
        Proof(
            "W",
            Text("input weights of all gates", "全ゲートの入力重み"),
            r"\partial E/\partial W_k = \sum_t \delta_k^t\, x_t^{\top}",
            _input_weights,
        ),
        Proof(
            "U",
            Text("recurrent weights of all gates", "全ゲートの再帰重み"),
            r"\partial E/\partial U_k = \sum_t \delta_k^t\, h_{t-1}^{\top}",
            _state_weights,
        ),
        Proof(
            "b-V",
            Text("biases and peepholes of all gates", "全ゲートのバイアスとピープホール"),
            r"\partial E/\partial b_k = \sum_t \delta_k^t,\quad"
            r" \partial E/\partial V_{f,i} = \sum_t \delta_{f,i}^t \odot c_{t-1},\quad"
            r" \partial E/\partial V_o = \sum_t \delta_o^t \odot c_t",
            _biases_and_peepholes,
        ),
    ),
    errata=(
        Erratum(
            "CS",
            "c̃ = tanh(W_c [Γ_r ⊙ a^{<t−1>}, x^{<t>}] + b_c)",
            "c̃ = tanh(W_c [a^{<t−1>}, x^{<t>}] + b_c)",
            Text(
                "most LSTMs have no Γ_r in the candidate; kept as a variant in gated-units",
                "一般的なLSTMの候補に Γ_r はない。gated-units に変種として残す",
            ),
        ),
    ),
    folded=("*/forget", "*/input", "*/candidate", "*/output"),
    estimate=lambda p: 40 * p.T + 20,
)
def lstm(p: Any, leaves: Leaves) -> Any:
    draw = leaves.draw
    w = {}
    for k in STAGES[p.stage]:
        bias = draw(f"b_{k}", (p.hidden,), 0.2)
        if k == "f":
            bias = np.round(bias + p.forget_bias, 4)
        w[f"W_{k}"] = leaves.parameter(f"W_{k}", draw(f"W_{k}", (p.hidden, p.inputs), 0.7))
        w[f"U_{k}"] = leaves.parameter(f"U_{k}", draw(f"U_{k}", (p.hidden, p.hidden), 0.6))
        w[f"b_{k}"] = leaves.parameter(f"b_{k}", bias)
        if p.stage == "peephole" and k != "c":
            w[f"V_{k}"] = leaves.parameter(f"V_{k}", draw(f"V_{k}", (p.hidden,), 0.5))
    with scope("initial"):
        c = leaves.input("c_0", draw("c_0", (p.hidden,), 0.5))
        h = leaves.input("h_0", draw("h_0", (p.hidden,), 0.3))
    losses = []
    for t in range(1, p.T + 1):
        with scope("lstm"), at_time(t):
            x = leaves.input(f"x_{t}", draw(f"x_{t}", (p.inputs,)))
            h, c = lstm_cell(w, x, h, c, str(t))
            if p.loss_at == "every step" or t == p.T:
                d = leaves.target(f"d_{t}", draw(f"d_{t}", (p.hidden,), 0.5))
                losses.append(named(f"L_{t}", squared_loss(h, d)))
    with scope("loss"):
        return named("E", ag.add_n(losses))
