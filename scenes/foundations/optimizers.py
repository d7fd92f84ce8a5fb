"""Six optimisers on a ravine: the graph unrolls the steps of one of them, and `tracks` walks all six."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

import autograd as ag
from autograd import at_time, scope
from scenes.bricks import constant, named
from scenes.scene import Chapter, Erratum, Leaves, Notation, Parameter, Proof, Recording, Text, scene

# The rate that suits each on the ravine as it is at first, and the ε of its publication
RATES = {"SGD": 0.08, "Momentum": 0.02, "RMSprop": 0.1, "Adam": 0.2, "Adagrad": 0.5, "Adadelta": 1.0}
EPSILONS = {"RMSprop": 1e-8, "Adam": 1e-8, "Adagrad": 1e-10, "Adadelta": 1e-6}
STATES = {"SGD": "", "Momentum": "v", "RMSprop": "s", "Adam": "ms", "Adagrad": "s", "Adadelta": "su"}
CONSTANTS: dict[str, tuple[str, ...]] = {
    "SGD": ("eta",),
    "Momentum": ("eta", "beta_1"),
    "RMSprop": ("eta", "beta_1", "rest_1", "epsilon"),
    "Adam": ("eta", "beta_1", "rest_1", "beta_2", "rest_2", "epsilon"),
    "Adagrad": ("eta", "epsilon"),
    "Adadelta": ("eta", "beta_1", "rest_1", "epsilon"),
}
LONG = 50  # steps of the longest proof
Settings = Mapping[str, float]  # eta, beta_1, beta_2, epsilon, share of g in the velocity, bias correction
States = dict[str, np.ndarray]  # m, v, s, u by their letters, from 0
Rule = Callable[[np.ndarray, States, int, Settings], np.ndarray]  # also writes the states


def _sgd(g: np.ndarray, state: States, k: int, h: Settings) -> np.ndarray:
    return h["eta"] * g


def _momentum(g: np.ndarray, state: States, k: int, h: Settings) -> np.ndarray:
    state["v"] = h["beta_1"] * state["v"] + h["share"] * g
    return h["eta"] * state["v"]


def _rmsprop(g: np.ndarray, state: States, k: int, h: Settings) -> np.ndarray:
    state["s"] = h["beta_1"] * state["s"] + (1 - h["beta_1"]) * g**2
    return h["eta"] * g / (np.sqrt(state["s"]) + h["epsilon"])


def _adam(g: np.ndarray, state: States, k: int, h: Settings) -> np.ndarray:
    state["m"] = h["beta_1"] * state["m"] + (1 - h["beta_1"]) * g
    state["s"] = h["beta_2"] * state["s"] + (1 - h["beta_2"]) * g**2
    first, second = (1 - h["beta_1"] ** k, 1 - h["beta_2"] ** k) if h["correction"] else (1.0, 1.0)
    return h["eta"] * (state["m"] / first) / (np.sqrt(state["s"] / second) + h["epsilon"])


def _adagrad(g: np.ndarray, state: States, k: int, h: Settings) -> np.ndarray:
    state["s"] = state["s"] + g**2
    return h["eta"] * g / (np.sqrt(state["s"]) + h["epsilon"])


def _adadelta(g: np.ndarray, state: States, k: int, h: Settings) -> np.ndarray:
    state["s"] = h["beta_1"] * state["s"] + (1 - h["beta_1"]) * g**2
    change = np.sqrt(state["u"] + h["epsilon"]) / np.sqrt(state["s"] + h["epsilon"]) * g
    state["u"] = h["beta_1"] * state["u"] + (1 - h["beta_1"]) * change**2
    return h["eta"] * change


RULES: dict[str, Rule] = {
    "SGD": _sgd,  # Robbins and Monro 1951
    "Momentum": _momentum,  # Polyak 1964
    "RMSprop": _rmsprop,  # Tieleman and Hinton 2012
    "Adam": _adam,  # Kingma and Ba 2015
    "Adagrad": _adagrad,  # Duchi, Hazan and Singer 2011
    "Adadelta": _adadelta,  # Zeiler 2012
}


def start(seed: int) -> np.ndarray:
    """Where the seed lets all of them begin: far out along the ravine, a little up its side."""
    return np.array([-2.0, 1.0]) + Leaves(seed).draw("w_0", (2,), 0.1)


def settings(p: Any, optimizer: str) -> dict[str, float]:
    """What one optimiser works with; a rate of 0 stands for the usual one."""
    return {
        "eta": p.lr or RATES[optimizer],
        "beta_1": p.beta,
        "beta_2": p.beta_2,
        "epsilon": EPSILONS.get(optimizer, 0.0),
        "share": 1 - p.beta if p.average else 1.0,
        "correction": p.bias_correction,
    }


def track(rule: Rule, h: Settings, curvature: np.ndarray, first: np.ndarray, steps: int) -> np.ndarray:
    """Positions w_0 … w_K on E = ½ Σ a w² by a rule, (K + 1, 2)."""
    state = {letter: np.zeros_like(first) for letter in "mvsu"}
    positions = [first]
    for k in range(1, steps + 1):
        positions.append(positions[-1] - rule(curvature * positions[-1], state, k, h))
    return np.array(positions)


def tracks(
    p: Any, seed: int = 0, first: np.ndarray | None = None, curvature: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The track of each of the six with these parameters, w_0 … w_K as rows: (steps + 1, 2).

    They begin where the seed says, or at `first` (2,), and run on E = ½ Σ a w² with `curvature` a (2,), by
    default that of the ravine.
    """
    begin = start(seed) if first is None else first
    curvature = np.array([1.0, p.ravine]) if curvature is None else curvature
    return {name: track(rule, settings(p, name), curvature, begin, p.steps) for name, rule in RULES.items()}


def _own(r: Recording) -> tuple[Rule, dict[str, float]]:
    """The chosen rule, and its settings as they stand in the picture."""
    name = str(r.parameters["optimizer"])
    h = settings(SimpleNamespace(**r.parameters), name)
    return RULES[name], h | {key: float(r.value(key)) for key in h if key in r.graph.names}


def _positions(r: Recording) -> np.ndarray:
    return np.array([r.value(f"w_{k}") for k in range(int(r.parameters["steps"]) + 1)])


def _few(r: Recording) -> tuple[Any, Any]:
    rule, h = _own(r)
    return _positions(r), track(rule, h, r.value("A"), r.value("w_0"), int(r.parameters["steps"]))


def _many(r: Recording) -> tuple[Any, Any]:
    """The same after LONG steps, recorded afresh."""
    long = r.scene.build(r.parameters | {"steps": LONG}, seed=r.seed)
    return _few(long)


def _gradient(r: Recording) -> tuple[Any, Any]:
    """∂E/∂w_0, and the same by a step of 1e−100 along the imaginary axis: no difference, so no round-off."""
    (rule, h), a, steps = _own(r), r.value("A"), int(r.parameters["steps"])
    closed = []
    for axis in np.eye(2):
        end = track(rule, h, a, r.value("w_0") + 1e-100j * axis, steps)[-1]
        closed.append(np.sum(a * end**2).imag / 2 / 1e-100)
    return r.grad("w_0"), np.array(closed)


@scene(
    "optimizers",
    family="foundations",
    title=Text("Optimisers", "適応学習率法"),
    summary=Text(
        "A loss like a ravine: steep across, flat along. Six optimisers walk down it from the same place; "
        "the graph shows the steps of one of them, with what it remembers from step to step.",
        "谷のような損失です。横切る向きは急で、谷底に沿う向きはなだらかです。"
        "六つの最適化手法が同じ場所から下ります。グラフはそのうち一つの歩みを、"
        "一歩ごとに覚えておくものとともに示します。",
    ),
    source="CS",
    parameters=(
        Parameter("optimizer", "Momentum", Text("the rule to unroll", "展開する手法"), choices=tuple(RULES)),
        Parameter("steps", 3, Text("K, number of steps", "ステップ数 K"), 1, LONG),
        Parameter(
            "lr",
            0.0,
            Text("η, learning rate; 0: the usual one of each", "学習率 η。0 なら手法ごとの標準値"),
            0.0,
            5.0,
        ),
        Parameter(
            "beta",
            0.9,
            Text("β, how much of the old state is kept", "前の状態をどれだけ残すか (β)"),
            0.0,
            0.99,
        ),
        Parameter(
            "beta_2",
            0.999,
            Text("β₂ of Adam, for the squares", "Adamの β₂ (二乗の平均)"),
            0.0,
            0.9999,
        ),
        Parameter(
            "bias_correction",
            True,
            Text("Adam divides by 1 − βᵏ", "Adamで 1 − βᵏ による補正をするか"),
        ),
        Parameter(
            "average",
            False,
            Text(
                "Momentum as a running mean, v = βv + (1 − β)g, as CS prints it",
                "Momentumを移動平均 v = βv + (1 − β)g にするか (CSの書き方)",
            ),
        ),
        Parameter(
            "ravine",
            20.0,
            Text("how many times steeper across than along", "横切る向きは沿う向きの何倍急か"),
            1.0,
            100.0,
        ),
    ),
    notations={
        "CS": Notation(
            "sub",
            {"eta": "η", "beta": "β", "rest": "1−β", "epsilon": "ε", "delta": "Δ", "change": ""}
            | {"mhat": "m̂", "shat": "ŝ", "fixm": "1−β₁ᵏ", "fixs": "1−β₂ᵏ", "squares": "g²", "squareu": "Δ²"}
            | {f"{part}{letter}": "" for part in ("kept", "new") for letter in "mvsu"}
            | dict.fromkeys(("root", "length", "ratio", "top", "bottom"), ""),
        )
    },
    formulas=(
        r"E(w) = \frac{1}{2}(a_1 w_1^2 + a_2 w_2^2),\qquad g = a \odot w",
        r"\mathrm{SGD:}\quad w \leftarrow w - \eta g",
        r"\mathrm{Momentum:}\quad v \leftarrow \beta v + g,\quad w \leftarrow w - \eta v",
        r"\mathrm{RMSprop:}\quad s \leftarrow \beta s + (1 - \beta) g^2,\quad"
        r" w \leftarrow w - \eta \frac{g}{\sqrt{s} + \varepsilon}",
        r"\mathrm{Adam:}\quad m \leftarrow \beta_1 m + (1 - \beta_1) g,\quad"
        r" s \leftarrow \beta_2 s + (1 - \beta_2) g^2",
        r"\hat{m} = \frac{m}{1 - \beta_1^k},\quad \hat{s} = \frac{s}{1 - \beta_2^k},\quad"
        r" w \leftarrow w - \eta \frac{\hat{m}}{\sqrt{\hat{s}} + \varepsilon}",
        r"\mathrm{Adagrad:}\quad s \leftarrow s + g^2,\quad"
        r" w \leftarrow w - \eta \frac{g}{\sqrt{s} + \varepsilon}",
        r"\mathrm{Adadelta:}\quad s \leftarrow \beta s + (1 - \beta) g^2,\quad"
        r" \Delta = \frac{\sqrt{u + \varepsilon}}{\sqrt{s + \varepsilon}}\, g,\quad"
        r" u \leftarrow \beta u + (1 - \beta) \Delta^2,\quad w \leftarrow w - \eta \Delta",
    ),
    chapters=(
        Chapter(
            "ravine",
            Text("A ravine", "谷"),
            Text(
                "The loss has two weights: `E = ½(w₁² + $ravine w₂²)`. Across, along `w₂`, it is $ravine "
                "times as steep as along `w₁`. The gradient is `g = A ⊙ w`, so it points at the opposite "
                "wall much more than down the valley.\n\n"
                "`w_0` is the start, and every column is one step of `$optimizer`: position → gradient → "
                "state → step → next position.",
                "損失の重みは二つで、`E = ½(w₁² + $ravine w₂²)` です。谷を横切る `w₂` の向きは `w₁` "
                "の向きの $ravine 倍も急です。勾配は `g = A ⊙ w` "
                "なので、谷を下る向きよりも、向かいの壁のほうを強く指します。\n\n"
                "`w_0` が出発点で、一列が `$optimizer` の一歩です。位置 → 勾配 → 状態 → 歩み → 次の位置、"
                "と進みます。",
            ),
            "start",
            "forward w_1",
            highlight=("w_0", "g_1", "A"),
        ),
        Chapter(
            "step",
            Text("One step", "一歩"),
            Text(
                "Plain gradient descent (SGD) goes `Δ = η g`. `η` has to be small enough for the steep wall, "
                "and then progress down the valley is slow; a little larger, and it bounces from wall to "
                "wall. Set `optimizer` to `SGD` and `lr` to 0.11 to see that: the second number of `w` "
                "changes its sign at every step and grows.",
                "普通の勾配降下法 (SGD) の一歩は `Δ = η g` です。急な壁に合わせて `η` "
                "を小さくすると谷を下る速さが遅くなり、少し大きくすると壁から壁へ跳ね返ります。`optimizer` "
                "を `SGD`、`lr` を 0.11 にしてみましょう。`w` "
                "の二つ目の数が一歩ごとに符号を変えながら大きくなります。",
            ),
            "forward g_1",
            "forward w_1",
            highlight=("g_1", "delta_1", "w_1"),
        ),
        Chapter(
            "state",
            Text("What is remembered", "何を覚えておくか"),
            Text(
                "The other rules keep a state, drawn as a line through the columns, like the cell of an "
                "LSTM. *Momentum* keeps a velocity `v`: pushes to and fro cancel, pushes down the valley add "
                "up. *RMSprop*, *Adagrad* and *Adadelta* keep squares `s` of the gradient, number by number, "
                "and divide by their root: so the steep direction gets a smaller step and the flat one a "
                "larger. Adagrad adds up all squares for ever, so its steps shrink; the others forget. "
                "Adadelta keeps the squares `u` of its own steps as well and would need no rate. *Adam* has "
                "both, `m` and `s`.\n\n"
                "Change `optimizer` and compare which lines run through.",
                "ほかの手法は状態を持ちます。LSTMのセルのように、列を貫く線として描かれています。*Momentum* "
                "は速度 `v` を覚えます。行ったり来たりの押しは打ち消し合い、谷を下る押しは積み重なります。"
                "*RMSprop*、*Adagrad*、*Adadelta* は勾配の二乗 `s` を成分ごとに覚え、その平方根で割ります。"
                "急な向きの歩幅は小さく、なだらかな向きの歩幅は大きくなります。Adagradは二乗をずっと足し続"
                "けるので歩幅が縮んでいき、ほかの手法は古いものを忘れます。Adadeltaは自分の一歩の二乗 `u` "
                "も覚え、学習率を必要としません。*Adam* は `m` と `s` の両方を持ちます。\n\n"
                "`optimizer` を切り替えて、どの線が貫いているか比べましょう。",
            ),
            "start",
            "forward E",
            highlight=("v_*", "s_*", "m_*", "u_*"),
        ),
        Chapter(
            "bias",
            Text("Adam's first steps", "Adamの最初の数歩"),
            Text(
                "Adam's averages start at 0, so after one step they hold only a tenth of `g` and a "
                "thousandth of `g²`. Dividing by `1 − β₁ᵏ` and `1 − β₂ᵏ` makes up for it, and the first "
                "step has the length `η` in each direction. Set `optimizer` to `Adam` and switch "
                "`bias_correction` off: the first step becomes `(1 − β₁)/√(1 − β₂)` times as long, three "
                "times with the usual numbers.\n\n"
                "*Misprint in the CS notes:* they print Adam without this correction.",
                "Adamの平均は 0 から始まるので、一歩目では `g` の 10 分の 1、`g²` の 1000 分の 1 "
                "しか入っていません。`1 − β₁ᵏ` と `1 − β₂ᵏ` で割るとこれが補われ、最初の一歩の長さはどの向"
                "きにも `η` になります。`optimizer` を `Adam` にして `bias_correction` "
                "を切ってみましょう。最初の一歩は `(1 − β₁)/√(1 − β₂)` 倍、標準の値では約 3 "
                "倍の長さになります。\n\n"
                "*CSノートの誤植:* この補正のないAdamが印刷されています。",
            ),
            "forward g_1",
            "forward w_1",
            highlight=("mhat_1", "shat_1", "delta_1"),
        ),
        Chapter(
            "back",
            Text("Back through the steps", "歩みを逆にたどる"),
            Text(
                "The whole walk is a graph, so its end can be differentiated: `∂E/∂w_0` says how the loss "
                "after $steps steps depends on the start. Each step is a link of the chain; along `w` the "
                "gradient runs straight back, through `g` it comes back weighted with the curvature, and "
                "through the state it takes the long way.\n\n"
                "With SGD each link multiplies by `1 − η a`: beyond `η = 2/a` its size is above 1, the walk "
                "diverges, and so does this gradient.",
                "歩み全体が一つのグラフなので、終点も微分できます。`∂E/∂w_0` は $steps "
                "歩後の損失が出発点にどう左右されるかを表します。一歩が鎖の一つの輪です。勾配は `w` "
                "に沿ってまっすぐ戻り、`g` を通る分には曲率が掛かり、状態を通る分は遠回りをします。\n\n"
                "SGDでは輪ごとに `1 − η a` が掛かります。`η = 2/a` を超えるとその大きさは 1 を上回り、"
                "歩みもこの勾配も発散します。",
            ),
            "backward E",
            "end",
            highlight=("w_*",),
        ),
    ),
    proofs=(
        Proof(
            "positions",
            Text("every position by the published rule", "公表された規則による各位置"),
            r"w_{k} = w_{k-1} - \Delta_k",
            _few,
        ),
        Proof(
            "fifty",
            Text("the same for 50 steps", "50 ステップでも同じ"),
            r"w_{50} = w_0 - \sum_{k=1}^{50} \Delta_k",
            _many,
        ),
        Proof(
            "start",
            Text("how the end depends on the start", "終点は出発点にどう依存するか"),
            r"\frac{\partial E}{\partial w_0} = \mathrm{Im}\,\frac{E(w_0 + i h)}{h}",
            _gradient,
        ),
    ),
    errata=(
        Erratum(
            "CS",
            "w ← w − η v/(√s + ε)",
            "w ← w − η v̂/(√ŝ + ε), v̂ = v/(1 − β₁ᵗ), ŝ = s/(1 − β₂ᵗ)",
            Text("the bias correction is missing", "バイアス補正が抜けている"),
        ),
    ),
    folded=("*/m", "*/s", "*/u", "*÷*"),
    estimate=lambda p: 20 * p.steps + 16,
)
def optimizers(p: Any, leaves: Leaves) -> Any:
    h = settings(p, p.optimizer) | {"rest_1": 1 - p.beta, "rest_2": 1 - p.beta_2}
    averaged = p.optimizer == "Momentum" and p.average
    fixed = {"A": leaves.constant("A", np.array([1.0, p.ravine]))}
    for name in CONSTANTS[p.optimizer] + ("rest_1",) * averaged:
        fixed[name] = constant(leaves, name, h[name])
    with scope("initial"):
        w = leaves.input("w_0", start(leaves.seed))
        state = {letter: leaves.constant(f"{letter}_0", np.zeros(2)) for letter in STATES[p.optimizer]}
    for k in range(1, p.steps + 1):
        with scope(p.optimizer), at_time(k):
            g = named(f"g_{k}", fixed["A"] * w)
            w = named(f"w_{k}", w - named(f"delta_{k}", _step(p, leaves, g, state, fixed, k)))
    with scope("loss"):
        return named("E", 0.5 * ag.sum(fixed["A"] * w**2))


def _step(p: Any, leaves: Leaves, g: Any, state: dict[str, Any], fixed: Mapping[str, Any], k: int) -> Any:
    """Δ of step k; the states are brought forward, each in a scope of its own."""

    def remember(letter: str, x: Any, *, squared: bool = False, beta: str = "1") -> Any:
        """β·state + (1 − β)·x, or of x²."""
        with scope(letter):
            kept = named(f"kept{letter}_{k}", fixed[f"beta_{beta}"] * state[letter])
            new = named(f"square{letter}_{k}", x * x) if squared else x
            new = named(f"new{letter}_{k}", fixed[f"rest_{beta}"] * new)
            state[letter] = named(f"{letter}_{k}", kept + new)
        return state[letter]

    if p.optimizer == "SGD":
        return fixed["eta"] * g
    if p.optimizer == "Momentum":
        if p.average:
            return fixed["eta"] * remember("v", g)
        with scope("v"):
            state["v"] = named(f"v_{k}", named(f"keptv_{k}", fixed["beta_1"] * state["v"]) + g)
        return fixed["eta"] * state["v"]
    if p.optimizer == "Adadelta":
        s = remember("s", g, squared=True)
        with scope("√u÷√s"):
            top = named(f"top_{k}", ag.sqrt(state["u"] + fixed["epsilon"]))
            ratio = named(f"ratio_{k}", top / named(f"bottom_{k}", ag.sqrt(s + fixed["epsilon"])))
        change = named(f"change_{k}", ratio * g)
        remember("u", change, squared=True)
        return fixed["eta"] * change
    top, letter = g, "g"
    if p.optimizer == "Adagrad":
        with scope("s"):
            s = state["s"] = named(f"s_{k}", state["s"] + named(f"squares_{k}", g * g))
    elif p.optimizer == "RMSprop":
        s = remember("s", g, squared=True)
    else:
        top, letter = remember("m", g), "m"
        s = remember("s", g, squared=True, beta="2")
    with scope(f"{letter}÷√s"):
        if p.optimizer == "Adam" and p.bias_correction:
            top = named(f"mhat_{k}", top / constant(leaves, f"fixm_{k}", 1 - p.beta**k))
            s = named(f"shat_{k}", s / constant(leaves, f"fixs_{k}", 1 - p.beta_2**k))
        length = named(f"length_{k}", named(f"root_{k}", ag.sqrt(s)) + fixed["epsilon"])
        ratio = named(f"ratio_{k}", top / length)
    return fixed["eta"] * ratio
