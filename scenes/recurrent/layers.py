"""What recurrent scenes share: parameters, where losses stand, and sums over time for their proofs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

import autograd as ag
from scenes.bricks import named, squared_loss
from scenes.scene import Leaves, Notation, Parameter, Recording, Text

STEPS = Parameter("T", 3, Text("number of time steps", "時刻の数"), 1, 50)
INPUTS = Parameter("inputs", 2, Text("size of x", "入力 x の次元"), 1, 16)
OUTPUTS = Parameter("outputs", 2, Text("size of y and d", "出力 y と目標 d の次元"), 1, 16)
ACTIVATION = Parameter(
    "activation",
    "tanh",
    Text("f, the squashing of the state", "状態の活性化関数 f"),
    choices=("tanh", "sigmoid", "relu", "linear"),
)
LOSS_AT = Parameter(
    "loss_at",
    "every step",
    Text("which steps have a loss", "損失を計算する時刻"),
    choices=("every step", "last step"),
)
NOTATION = Parameter(
    "notation",
    "RN",
    Text("whose letters: those of RN, or a<t> of CS", "記号: RN の記号か、CS の a<t>"),
    choices=("RN", "CS"),
)

# A cell's gates, which CS writes as Γ with an index
GAMMA = {"f": "Γ_f", "i": "Γ_u", "o": "Γ_o", "g": "c̃"}


def letters_note(notations: Mapping[str, Notation]) -> Text:
    """A paragraph that says what the other notations call the letters of the first, in which all prose is."""
    (_, first), *others = notations.items()
    en = ja = ""
    for name, other in others:
        letters = ((first.letters.get(key, key), theirs) for key, theirs in other.letters.items())
        found = dict.fromkeys((_plain(a), _plain(b)) for a, b in letters if a and " " not in a)
        pairs = [(a, b) for a, b in found if a != b]
        if pairs:
            told = ", ".join(f"`{b}` for `{a}`" for a, b in pairs)
            en += f"\n\nIn the letters of {name}: {told}."
            told = "、".join(f"`{a}` を `{b}`" for a, b in pairs)
            ja += f"\n\n{name}の記号では、{told} と書きます。"
    return Text(en, ja)


def _plain(letter: str) -> str:
    """A letter without the mark of its direction, and of any layer."""
    return re.sub(r"_([(\[])\d", r"\1l", letter).translate({ord(arrow): None for arrow in "→←"})


def hidden(what: str, what_ja: str) -> Parameter:
    """The size of a state, told in both languages."""
    return Parameter("hidden", 2, Text(f"size of {what}", f"{what_ja} の次元"), 1, 32)


def add_loss(p: Any, leaves: Leaves, losses: list[Any], y: Any, t: int, scale: float = 1.0) -> None:
    """Compare y with a drawn target `d_t` where step t has a loss."""
    if p.loss_at == "every step" or t == p.T:
        d = leaves.target(f"d_{t}", leaves.draw(f"d_{t}", y.shape, scale))
        losses.append(named(f"L_{t}", squared_loss(y, d)))


def steps(r: Recording) -> range:
    return range(1, int(r.parameters["T"]) + 1)


def output_error(r: Recording, letter: str, t: int) -> np.ndarray:
    """∂L_t/∂y_t = y − d, zero where step t has no loss."""
    y = r.value(f"{letter}_{t}")
    return y - r.value(f"d_{t}") if r.parameters["loss_at"] == "every step" or t == steps(r)[-1] else 0 * y


def over_time(r: Recording, delta: Mapping[int, np.ndarray], before: str, offset: int = 0) -> np.ndarray:
    """Σ_t δ^t (before_{t+offset})ᵀ."""
    return np.sum([np.outer(delta[t], r.value(f"{before}_{t + offset}")) for t in steps(r)], axis=0)


def side_by_side(*arrays: Any) -> np.ndarray:
    """All numbers of several arrays in one row."""
    return np.concatenate([np.ravel(a) for a in arrays])


def replay(r: Recording, values: Mapping[str, np.ndarray]) -> Recording:
    """Give leaves of a recording other values and run it forward and backward again."""
    for name, value in values.items():
        r[name].value = value
    r.graph.forward()
    r.graph.backward(r.loss)
    return r


def leaf_values(r: Recording) -> dict[str, np.ndarray]:
    return {leaf.name: leaf.value for leaf in r.graph.leaves("parameter", "input", "target")}


def marked(name: str, mark: str) -> str:
    """The name of a direction's or layer's own leaf: `W_in` and mark F give `WF_in`."""
    base, line, rest = name.partition("_")
    return f"{base}{mark}{line}{rest}"


def rnn_weights(leaves: Leaves, inputs: int, hidden: int, mark: str = "") -> dict[str, Any]:
    """W_in, W and b of a plain layer."""
    sizes = {"W_in": ((hidden, inputs), 0.7), "W": ((hidden, hidden), 0.6), "b": ((hidden,), 0.2)}
    return _drawn(leaves, sizes, mark)


def orthogonal(leaves: Leaves, name: str, n: int) -> np.ndarray:
    """A seeded orthogonal matrix, not rounded; its signs do not depend on how it is decomposed."""
    Q, R = np.linalg.qr(leaves.draw(name, (n, n)))
    return Q * np.where(np.diag(R) < 0, -1.0, 1.0)


def gate_weights(
    leaves: Leaves, gates: str, inputs: int, hidden: int, mark: str = "", forget_bias: float = 0.0
) -> dict[str, Any]:
    """W_k, U_k and b_k of every gate k; to that of the forget gate `forget_bias` is added."""
    w: dict[str, Any] = {}
    for k in gates:
        sizes = {f"W_{k}": ((hidden, inputs), 0.7), f"U_{k}": ((hidden, hidden), 0.6)}
        w |= _drawn(leaves, sizes, mark)
        name = marked(f"b_{k}", mark)
        bias = leaves.draw(name, (hidden,), 0.2) + (forget_bias if k == "f" else 0.0)
        w[f"b_{k}"] = leaves.parameter(name, np.round(bias, 4) + 0.0)
    return w


def _drawn(leaves: Leaves, sizes: dict[str, Any], mark: str) -> dict[str, Any]:
    names = {key: marked(key, mark) for key in sizes}
    return {
        key: leaves.parameter(names[key], leaves.draw(names[key], shape, scale))
        for key, (shape, scale) in sizes.items()
    }


def join(name: str, forward: Any, backward: Any) -> Any:
    """Both directions' states one below the other; in scalar form no node, the elements keep their names."""
    joined = ag.concatenate([forward, backward])
    return joined if isinstance(joined, np.ndarray) else named(name, joined)


def exchanged_directions(r: Recording, *letters: str) -> tuple[Any, Any]:
    """A two-way network's states, and those with input reversed and the directions' weights exchanged.

    Directions are marked F and B. The second are given in reversed order and with the chains exchanged, so
    that both must be the same.
    """
    T = steps(r)[-1]
    values = leaf_values(r)
    other = dict(values)
    for name, value in values.items():
        base, line, index = name.partition("_")
        if base == "x":
            other[f"x_{T + 1 - int(index)}"] = value
        elif base.endswith(("F", "B")):
            twin = base[:-1] + ("B" if base.endswith("F") else "F")
            at_start = index.isdigit()  # an initial state stands at step 0 of one, T + 1 of the other chain
            other[twin + line + (str(T + 1 - int(index)) if at_start else index)] = value
    mirrored = replay(r.scene.build(r.parameters), other)
    pairs = [(letter, t) for letter in letters for t in steps(r)]
    got = [[r.value(f"{k}F_{t}"), r.value(f"{k}B_{t}")] for k, t in pairs]
    seen = [[mirrored.value(f"{k}B_{T + 1 - t}"), mirrored.value(f"{k}F_{T + 1 - t}")] for k, t in pairs]
    return np.array(got), np.array(seen)
