"""Pieces that several scenes are built from: cells, activations, sums. Values in, tensors out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import autograd as ag
from autograd import scope
from scenes.scene import Leaves

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
        return 0.5 * ag.add_n([(a - b) ** 2 for a, b in zip(y.ravel(), d.ravel(), strict=True)])
    return ag.half_squared_error(y, d)


def constant(leaves: Leaves, name: str, value: float) -> Any:
    """A number that has a box of its own and can be changed; in scalar form taken out of its array."""
    leaf = leaves.constant(name, value)
    return leaf[()] if isinstance(leaf, np.ndarray) else leaf


def within(got: Any, low: float, high: float) -> tuple[Any, Any]:
    """Both sides of a proof that `got` lies between two bounds: itself, and itself moved between them."""
    return got, np.clip(got, low, high)


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


def rnn_cell(
    w: Mapping[str, Any], x: Any, z: Any, tag: str, *, activation: str = "tanh", mark: str = ""
) -> Any:
    """One step of a plain RNN, the state after it: `u = W_in x + W z + b`, `z = f(u)`; no x, no input term.

    Names are `u_tag` and `z_tag`, after the letter stands the `mark` of a direction or layer.
    """
    terms = [] if x is None else [w["W_in"] @ x]
    u = named(f"u{mark}_{tag}", total([*terms, w["W"] @ z, w["b"]]))
    return named(f"z{mark}_{tag}", 1.0 * u if activation == "linear" else activate(activation, u))


def lstm_cell(w: Mapping[str, Any], x: Any, h: Any, c: Any, tag: str, *, mark: str = "") -> tuple[Any, Any]:
    """One LSTM step of the RN notes, `(h, c)` after it; has the gates whose leaves `w` has.

    Names end in `_tag`, after the letter stands the `mark` of a direction or layer. Each gate is recorded in
    its own scope; the cell's chain × → + stays outside.
    """
    keep = write = None
    if "W_f" in w:
        with scope("forget"):
            keep = named(f"f{mark}_{tag}", gate(w, "f", x, h, c))
    if "W_i" in w:
        with scope("input"):
            write = named(f"i{mark}_{tag}", gate(w, "i", x, h, c))
    with scope("candidate"):
        g = named(f"g{mark}_{tag}", gate(w, "c", x, h, c, ag.tanh))
    if write is not None:
        g = named(f"write{mark}_{tag}", write * g)
    if keep is not None:
        c = named(f"keep{mark}_{tag}", keep * c)
    c = named(f"c{mark}_{tag}", c + g)
    if "W_o" not in w:
        return named(f"h{mark}_{tag}", ag.tanh(c)), c
    with scope("output"):
        o = named(f"o{mark}_{tag}", gate(w, "o", x, h, c))  # this peephole looks at the new cell
    return named(f"h{mark}_{tag}", o * ag.tanh(c)), c


def gru_cell(
    w: Mapping[str, Any], x: Any, h: Any, tag: str, *, keep: str = "z", reset: str = "before"
) -> Any:
    """One GRU step, `h` after it, from leaves `W_k`, `U_k`, `b_k` of the gates k = r, z and the candidate h.

    `keep` says what the old state is multiplied with. `z`: `h = (1−z) ⊙ g + z ⊙ h_prev` (Cho et al. 2014,
    ONNX, PyTorch); `1-z`: the reverse, `z ⊙ g + (1−z) ⊙ h_prev`. `reset` says where r stands: `before` the
    recurrent product, `U_h (r ⊙ h)`, or `after` it, `r ⊙ (U_h h + bU_h)` (ONNX's linear_before_reset,
    PyTorch), where the leaf `bU_h` may be missing. Names end in `_tag`; the gates and the candidate g are
    recorded in scopes of their own, the way from one state to the next stays outside.
    """
    with scope("reset"):
        r = named(f"r_{tag}", gate(w, "r", x, h, None))
    with scope("update"):
        z = named(f"z_{tag}", gate(w, "z", x, h, None))
    with scope("candidate"):
        if reset == "before":
            u = total([w["W_h"] @ x, w["U_h"] @ (r * h), w["b_h"]])
        else:
            past = w["U_h"] @ h
            u = total([w["W_h"] @ x, r * (past + w["bU_h"] if "bU_h" in w else past), w["b_h"]])
        g = named(f"g_{tag}", ag.tanh(u))
    rest = 1.0 - z
    old, new = (z, rest) if keep == "z" else (rest, z)
    kept = named(f"keep_{tag}", old * h)
    return named(f"h_{tag}", kept + named(f"write_{tag}", new * g))


def probabilities(scores: Any) -> Any:
    """Softmax over the last axis; in scalar form spelled out, and only for scores that `exp` can take."""
    if not isinstance(scores, np.ndarray):
        return ag.softmax(scores)
    e = ag.exp(scores)
    return e / ag.sum(e, axis=-1, keepdims=True)


def attend(scores: Any, values: Any, tag: str = "") -> tuple[Any, Any]:
    """From scores to a context: `α = softmax(e)` over the last axis, `c = α a`; gives `(c, α)`.

    `scores` (…, T_x) are those of one or several queries, `values` (…, T_x, n) what is mixed. With a tag the
    two are named `alpha_tag` and `context_tag`.
    """
    alpha = probabilities(scores)
    context = alpha @ values
    return (named(f"context_{tag}", context), named(f"alpha_{tag}", alpha)) if tag else (context, alpha)


def attention(
    q: Any, k: Any, v: Any, mask: Any = None, scale: float | None = None, tag: str = ""
) -> tuple[Any, Any]:
    """Scaled dot-product attention `softmax(q kᵀ·scale + mask) v` (Vaswani et al. 2017) and its weights.

    q (…, T_q, d), k (…, T_k, d), v (…, T_k, n); scale is 1/√d unless given; the mask is added to the scores,
    −∞ where looking is forbidden. In scalar form q, k and v are matrices.
    """
    swapped = (*range(k.ndim - 2), k.ndim - 1, k.ndim - 2)
    scores = (q @ ag.transpose(k, axes=swapped)) * (k.shape[-1] ** -0.5 if scale is None else scale)
    return attend(scores if mask is None else scores + mask, v, tag)
