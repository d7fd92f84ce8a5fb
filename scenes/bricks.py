"""Pieces that several scenes are built from: cells, activations, sums. Values in, tensors out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import autograd as ag
from autograd import scope

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"tanh": ag.tanh, "sigmoid": ag.sigmoid, "relu": ag.relu}
# f′ as a function of u, for proofs: written out by hand, not taken from the engine
SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": lambda u: 1 - np.tanh(u) ** 2,
    "sigmoid": lambda u: (s := 1 / (1 + np.exp(-u))) * (1 - s),
    "relu": lambda u: (u > 0).astype(float),
    "linear": np.ones_like,
}


def named(name: str, x: Any) -> Any:
    """Name a tensor, or each element of an array of scalar tensors; returns it."""
    elements: Any = x
    if isinstance(x, np.ndarray):
        for index in np.ndindex(x.shape):
            elements[index].name = f"{name}[{','.join(map(str, index))}]" if index else name
    else:
        x.name = name
    return x


def activate(kind: str, u: Any) -> Any:
    """f(u); `linear` is the identity and records nothing."""
    return u if kind == "linear" else ACTIVATIONS[kind](u)


def total(terms: list[Any]) -> Any:
    """Sum of terms of one shape as a single node (one per element in scalar form)."""
    if isinstance(terms[0], np.ndarray):
        result = np.empty(terms[0].shape, dtype=object)
        for index in np.ndindex(result.shape):
            result[index] = ag.add_n([t[index] for t in terms])
        return result
    return ag.add_n(terms)


def squared_loss(y: Any, d: Any) -> Any:
    """½‖y − d‖², in scalar form spelled out."""
    if isinstance(y, np.ndarray):
        return 0.5 * ag.add_n([(a - b) ** 2 for a, b in zip(y, d, strict=True)])
    return ag.half_squared_error(y, d)


def local_derivative(recording: Any, name: str, slot: int) -> np.ndarray:
    """∂node/∂input of an element-wise node, for proofs about a path."""
    found = recording.graph.local_derivative(recording[name].id, slot)
    assert found is not None, f"{name} is not element-wise"
    return found


def gate(
    w: Mapping[str, Any], letter: str, x: Any, h: Any, c: Any, squash: Callable[[Any], Any] = ag.sigmoid
) -> Any:
    """`squash(W x + U h + V ⊙ c + b)` with the leaves of that letter; without a leaf `V_…` no peephole."""
    terms = [w[f"W_{letter}"] @ x, w[f"U_{letter}"] @ h]
    if f"V_{letter}" in w:
        terms.append(w[f"V_{letter}"] * c)
    return squash(total([*terms, w[f"b_{letter}"]]))


def lstm_cell(w: Mapping[str, Any], x: Any, h: Any, c: Any, tag: str) -> tuple[Any, Any]:
    """One LSTM step of the RN notes, `(h, c)` after it; has the gates whose leaves `w` has.

    Names end in `_tag`. Each gate is recorded in its own scope; the cell's chain × → + stays outside.
    """
    keep = write = None
    if "W_f" in w:
        with scope("forget"):
            keep = named(f"f_{tag}", gate(w, "f", x, h, c))
    if "W_i" in w:
        with scope("input"):
            write = named(f"i_{tag}", gate(w, "i", x, h, c))
    with scope("candidate"):
        g = named(f"g_{tag}", gate(w, "c", x, h, c, ag.tanh))
    if write is not None:
        g = named(f"write_{tag}", write * g)
    if keep is not None:
        c = named(f"keep_{tag}", keep * c)
    c = named(f"c_{tag}", c + g)
    if "W_o" not in w:
        return named(f"h_{tag}", ag.tanh(c)), c
    with scope("output"):
        o = named(f"o_{tag}", gate(w, "o", x, h, c))  # this peephole looks at the new cell
    return named(f"h_{tag}", o * ag.tanh(c)), c
