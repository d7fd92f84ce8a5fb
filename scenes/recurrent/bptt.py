"""Back-propagation through time: the unrolled network of the RN notes, δ running right to left."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import at_time, scope
from scenes.bricks import SLOPES, activate, named, squared_loss, total
from scenes.recurrent.layers import letters_note
from scenes.scene import Chapter, Erratum, Leaves, Notation, Parameter, Proof, Recording, Text, scene


def _backward_by_hand(r: Recording) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """δ^t and δ_out^t from the notes' recursion, from values alone."""
    p = r.parameters
    T, k = int(p["T"]), int(p["truncate"])
    slope = SLOPES[str(p["activation"])]
    delta_out: dict[int, np.ndarray] = {}
    delta: dict[int, np.ndarray] = {}
    for t in range(T, 0, -1):
        counts = p["loss_at"] == "every step" or t == T
        delta_out[t] = (r.value(f"v_{t}") - r.value(f"d_{t}")) if counts else 0 * r.value(f"v_{t}")
        error = r.value("W_out").T @ delta_out[t]
        if t < T and not (k and t % k == 0):
            error = error + r.value("W").T @ delta[t + 1]
        delta[t] = error * slope(r.value(f"u_{t}"))
    return delta, delta_out


def _weight_gradient(leaf: str) -> Any:
    """Proof body for one shared leaf: the sum over time of δ times what the weight was multiplied with."""

    def compute(r: Recording) -> tuple[Any, Any]:
        delta, delta_out = _backward_by_hand(r)
        steps = range(1, int(r.parameters["T"]) + 1)
        terms = {
            "W_in": lambda t: np.outer(delta[t], r.value(f"x_{t}")),
            "W": lambda t: np.outer(delta[t], r.value(f"z_{t - 1}")),
            "W_out": lambda t: np.outer(delta_out[t], r.value(f"z_{t}")),
            "b": lambda t: delta[t],
            "c": lambda t: delta_out[t],
        }
        return r.grad(leaf), sum(terms[leaf](t) for t in steps)

    return compute


def _recursion(r: Recording) -> tuple[Any, Any]:
    delta, _ = _backward_by_hand(r)
    steps = range(1, int(r.parameters["T"]) + 1)
    return np.stack([r.grad(f"u_{t}") for t in steps]), np.stack([delta[t] for t in steps])


def _instalments(r: Recording) -> tuple[Any, Any]:
    return r.grad("W"), sum(sent for _, sent in r.contributions("W"))


def _proof(id: str, en: str, ja: str, formula: str, compute: Any) -> Proof:
    return Proof(id, Text(en, ja), formula, compute)


_NOTATIONS = {
    "RN": Notation("sup"),
    "CS": Notation("angle", {"z": "a", "y": "ŷ", "d": "y", "E": "L"}),
}
_NOTE = letters_note(_NOTATIONS)


@scene(
    "bptt",
    family="recurrent",
    title=Text("Back-propagation through time", "BPTT (通時的誤差逆伝播法)"),
    summary=Text(
        "One recurrent network, unrolled: the error δ runs back through time, and every step adds its own "
        "part to the gradient of the shared weights.",
        "再帰型ネットワークを時間方向に展開します。誤差 δ は時間をさかのぼり、各時刻が共有重みの勾配に"
        "それぞれの分を加えます。",
    ),
    source="RN, CS",
    parameters=(
        Parameter("T", 3, Text("number of time steps", "時刻の数"), 1, 50),
        Parameter("inputs", 2, Text("size of x", "入力 x の次元"), 1, 16),
        Parameter("hidden", 3, Text("size of the state z", "状態 z の次元"), 1, 32),
        Parameter("outputs", 2, Text("size of y and d", "出力 y と目標 d の次元"), 1, 16),
        Parameter(
            "activation",
            "tanh",
            Text("f, the squashing of the state", "状態の活性化関数 f"),
            choices=("tanh", "sigmoid", "relu", "linear"),
        ),
        Parameter(
            "loss_at",
            "every step",
            Text("which steps have a loss", "損失を計算する時刻"),
            choices=("every step", "last step"),
        ),
        Parameter(
            "truncate",
            0,
            Text(
                "truncated BPTT: cut the error every k steps; 0 never cuts",
                "打ち切りBPTT: k 時刻ごとに誤差を切る。0 は切らない",
            ),
            0,
            50,
        ),
        Parameter("gain", 1.0, Text("factor on the recurrent weights W", "再帰重み W の倍率"), 0.0, 5.0),
        Parameter(
            "notation",
            "RN",
            Text("whose letters: z^t (RN) or a<t> (CS)", "記号: z^t (RN) か a<t> (CS)"),
            choices=("RN", "CS"),
        ),
    ),
    notations=_NOTATIONS,
    formulas=(
        r"u^t = W_{in}\,x^t + W\,z^{t-1} + b",
        r"z^t = f(u^t)",
        r"v^t = W_{out}\,z^t + c,\qquad y^t = v^t",
        r"E = \sum_t \frac{1}{2}\|y^t - d^t\|^2",
        r"\delta^{t-1} = \left(W^{\top}\delta^{t} + W_{out}^{\top}\delta_{out}^{t-1}\right) \odot "
        r"f'(u^{t-1})",
    ),
    chapters=(
        Chapter(
            "unroll",
            Text("The network, unrolled", "展開されたネットワーク"),
            Text(
                "A recurrent network is **one** cell used $T times. Each column is one time step; the same "
                "operation stands at the same place in every column. The small chips `W_in`, `W`, `b` are "
                "the *same* leaves every time: hover over one and all its twins light up.\n\n"
                "Watch the values travel left to right: `z` of one step enters the next."
                f"{_NOTE.en}",
                "再帰型ネットワークは**一つの**セルを $T 回使います。列が一つの時刻で、"
                "同じ演算はどの列でも同じ場所にあります。小さな `W_in`、`W`、`b` はどの列でも*同じ*パラメー"
                "タです。\n\n"
                "値が左から右へ進み、前の時刻の `z` が次の時刻に入るのを見てください。"
                f"{_NOTE.ja}",
            ),
            "start",
            "forward z_$T",
        ),
        Chapter(
            "loss",
            Text("Every step has its own loss", "各時刻の損失"),
            Text(
                "`E` is the sum of the losses. A sum hands its gradient on unchanged, so every step's loss "
                "receives exactly 1, and `∂E/∂y = y − d`.\n\n"
                "*Misprint in the FF notes:* they print `y − b`; the engine shows `y − d`.",
                "`E` は損失の和です。和は勾配をそのまま渡すので、どの時刻の損失にもちょうど 1 が届き、"
                "`∂E/∂y = y − d` となります。\n\n"
                "*FFノートの誤植:* `y − b` とありますが、正しくは `y − d` です。",
            ),
            "forward E",
            "backward E",
        ),
        Chapter(
            "last-step",
            Text("δ at the last step", "最後の時刻の δ"),
            Text(
                "At the last step the error comes from the output alone: `δ = W_outᵀ δ_out ⊙ f′(u)`. "
                "Then it splits: one part goes to the weights, one part leaves for the step before.\n\n"
                "*Misprint in the RN notes:* the recursion is printed with `f(u)`; it is `f′(u)`.",
                "最後の時刻では誤差は出力だけから来ます: `δ = W_outᵀ δ_out ⊙ f′(u)`。そこで重みへの分と、"
                "一つ前の時刻への分に分かれます。\n\n"
                "*RNノートの誤植:* 漸化式に `f(u)` とありますが、正しくは `f′(u)` です。",
            ),
            "backward E",
            "backward u_$T",
            ("*/t=$T", "E"),
            ("u_$T", "z_$T"),
        ),
        Chapter(
            "through-time",
            Text("The error runs back through time", "誤差が時間をさかのぼる"),
            Text(
                "In every earlier step two errors meet at `z`: one from its own output, one from the "
                "future through `Wᵀ`. The gradient bar of `z` shows **1/2**, then **2/2**: it arrives in "
                "instalments, and nothing is sent on before the last one is in.",
                "それより前の時刻では `z` に二つの誤差が合流します。自分の出力からと、"
                "`Wᵀ` を通った未来からです。`z` の勾配は **1/2**、**2/2** と分割で届き、"
                "全部そろうまで先へは進みません。",
            ),
            "backward u_$T",
            "end",
        ),
        Chapter(
            "shared-weights",
            Text("The shared weights collect", "共有重みに集まる勾配"),
            Text(
                "`∂E/∂W = Σ_t δ^t (z^{t−1})ᵀ`: every use of `W` sends one term to the one true `W` on the "
                "left. Select `W`: the inspector lists one row per time step, and they add up to the "
                "gradient.\n\n"
                "*Misprint in the RN notes:* the update of `W_out` is printed with `x`, that of `W` with "
                "`x` too; the engine shows `z^t` and `z^{t−1}`.",
                "`∂E/∂W = Σ_t δ^t (z^{t−1})ᵀ`: `W` を使った各時刻が、左にある本当の `W` に一項ずつ送りま"
                "す。`W` を選ぶと、時刻ごとの行がインスペクタに並び、その和が勾配になります。\n\n"
                "*RNノートの誤植:* `W_out` と `W` の更新式に `x` とありますが、正しくは `z^t` と `z^{t−1}` "
                "です。",
            ),
            "backward u_$T",
            "end",
            ("parameters", "*/t=1"),
            ("W",),
        ),
    ),
    proofs=(
        _proof(
            "W_in",
            "input weights",
            "入力重み",
            r"\partial E/\partial W_{in} = \sum_t \delta^t {x^t}^{\top}",
            _weight_gradient("W_in"),
        ),
        _proof(
            "W",
            "recurrent weights",
            "再帰重み",
            r"\partial E/\partial W = \sum_t \delta^t {z^{t-1}}^{\top}",
            _weight_gradient("W"),
        ),
        _proof(
            "W_out",
            "output weights",
            "出力重み",
            r"\partial E/\partial W_{out} = \sum_t \delta_{out}^t {z^t}^{\top}",
            _weight_gradient("W_out"),
        ),
        _proof(
            "b",
            "bias of the state",
            "状態のバイアス",
            r"\partial E/\partial b = \sum_t \delta^t",
            _weight_gradient("b"),
        ),
        _proof(
            "c",
            "bias of the output",
            "出力のバイアス",
            r"\partial E/\partial c = \sum_t \delta_{out}^t",
            _weight_gradient("c"),
        ),
        _proof(
            "recursion",
            "δ goes back one step",
            "δ の漸化式",
            r"\delta^{t-1} = (W^{\top}\delta^t + W_{out}^{\top}\delta_{out}^{t-1}) \odot f'(u^{t-1})",
            _recursion,
        ),
        _proof(
            "instalments",
            "the steps' parts add up to ∂E/∂W",
            "各時刻の分の和が ∂E/∂W",
            r"\sum_t \left(\partial E/\partial W\right)_t = \partial E/\partial W",
            _instalments,
        ),
    ),
    errata=(
        Erratum("FF", "∂E/∂y = y − b", "∂E/∂y = y − d", Text("d is the target", "d は目標値")),
        Erratum(
            "RN",
            "δ^{t−z−1} = δ^{t−z}{W f(u)}",
            "δ^{t−z−1} = δ^{t−z}{W f′(u)}",
            Text("the slope of f", "f の傾き"),
        ),
        Erratum(
            "RN",
            "W_out with [x^t]ᵀ, W with [x^{t−z−1}]ᵀ",
            "W_out with [z^t]ᵀ, W with [z^{t−z−1}]ᵀ",
            Text("each weight meets what it multiplied", "重みは掛けた相手と組になる"),
        ),
    ),
    estimate=lambda p: 14 * p.T + 8,
)
def bptt(p: Any, leaves: Leaves) -> Any:
    draw = leaves.draw
    W_in = leaves.parameter("W_in", draw("W_in", (p.hidden, p.inputs), 0.7))
    W = leaves.parameter("W", np.round(p.gain * draw("W", (p.hidden, p.hidden), 0.6), 4))
    b = leaves.parameter("b", draw("b", (p.hidden,), 0.2))
    W_out = leaves.parameter("W_out", draw("W_out", (p.outputs, p.hidden), 0.7))
    c = leaves.parameter("c", draw("c", (p.outputs,), 0.2))
    with scope("initial"):
        z = leaves.input("z_0", np.zeros(p.hidden))
    losses = []
    for t in range(1, p.T + 1):
        with scope("rnn"), at_time(t):
            x = leaves.input(f"x_{t}", draw(f"x_{t}", (p.inputs,)))
            u = named(f"u_{t}", total([W_in @ x, W @ z, b]))
            z = (
                named(f"z_{t}", activate(p.activation, u))
                if p.activation != "linear"
                else named(f"z_{t}", 1.0 * u)
            )
            v = named(f"v_{t}", total([W_out @ z, c]))
            if p.loss_at == "every step" or t == p.T:
                d = leaves.target(f"d_{t}", draw(f"d_{t}", (p.outputs,)))
                losses.append(named(f"L_{t}", squared_loss(v, d)))
            if p.truncate and t % p.truncate == 0 and t < p.T:
                z = ag.stop_gradient(z)
    with scope("loss"):
        return named("E", ag.add_n(losses))
