"""Pieces of scenes that learn classes: scores of examples in columns, softmax and cross-entropy, training.

What is computed by hand here is written in NumPy from the formulas, for proofs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import autograd as ag
from autograd import Plan, scope
from autograd.optim import adam
from scenes.bricks import named
from scenes.scene import Leaves, Recording

LETTERS = {"Wz": "", "logp": "", "hit": "d·log p"}  # how a Notation writes the names below
Weights = list[tuple[Any, Any]]  # (W, b) of every layer, first layer first
Arrays = Sequence[tuple[np.ndarray, np.ndarray]]  # the same as arrays: (n, m) and (n, 1)
Error = Callable[[np.ndarray, np.ndarray], np.ndarray]  # scores and targets -> ∂E/∂scores


def first_weights(leaves: Leaves, sizes: Sequence[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Seeded start of a perceptron: W (n, m) with spread 1/√m, b (n, 1) of zeros."""
    return [
        (np.round(leaves.draw(f"W_{k}", (n, m)) / np.sqrt(m), 4) + 0.0, np.zeros((n, 1)))
        for k, (m, n) in enumerate(pairwise(sizes), 1)
    ]


def as_parameters(leaves: Leaves, start: Arrays) -> Weights:
    """Leaves `W_k` and `b_k` that are trained."""
    return [
        (leaves.parameter(f"W_{k}", W), leaves.parameter(f"b_{k}", b)) for k, (W, b) in enumerate(start, 1)
    ]


def scores(weights: Weights, x: Any, mark: str = "") -> Any:
    """`y` of a tanh perceptron, (classes, B) for x (features, B); nodes `Wz_k`, `u_k`, `z_k`, `y`.

    With a mark the names carry it: `u_1val`, `y_val`.
    """
    z = x
    for k, (W, b) in enumerate(weights, 1):
        last = k == len(weights)
        with scope(f"layer{k}"):
            u = named(f"Wz_{k}{mark}", W @ z) + b
            z = named(_marked("y", mark), u) if last else ag.tanh(named(f"u_{k}{mark}", u))
            if not last:
                named(f"z_{k}{mark}", z)
    return z


def cross_entropy(y: Any, d: Any, mark: str = "", total: str = "E") -> Any:
    """Mean over the batch of `L = −Σ_k d_k log p_k` with `p = softmax(y)`, for scores in columns."""
    logp = named(_marked("logp", mark), ag.log_softmax(y, axis=0))
    hit = named(_marked("hit", mark), d * logp)
    return named(total, ag.mean(named(_marked("L", mark), -ag.sum(hit, axis=0))))


def _marked(name: str, mark: str) -> str:
    return f"{name}_{mark}" if mark else name


def softmax(y: np.ndarray) -> np.ndarray:
    """Of every column."""
    e = np.exp(y - y.max(axis=0))
    return e / e.sum(axis=0)


def error_by_hand(y: np.ndarray, d: np.ndarray) -> np.ndarray:
    """∂E/∂y of the mean cross-entropy: (p − d)/B."""
    return (softmax(y) - d) / y.shape[1]


def gradients_by_hand(
    weights: Arrays, x: np.ndarray, d: np.ndarray, error: Error = error_by_hand
) -> dict[str, np.ndarray]:
    """∂E/∂W_k and ∂E/∂b_k of a tanh perceptron by the recursion for δ, as sums over the columns."""
    z = [x]
    for k, (W, b) in enumerate(weights, 1):
        u = W @ z[-1] + b
        z.append(u if k == len(weights) else np.tanh(u))
    delta, found = error(z[-1], d), {}
    for k in range(len(weights), 0, -1):
        found[f"W_{k}"], found[f"b_{k}"] = delta @ z[k - 1].T, delta.sum(axis=1, keepdims=True)
        delta = (weights[k - 1][0].T @ delta) * (1 - z[k - 1] ** 2)
    return found


def weights_of(r: Recording) -> Arrays:
    """The values of `W_1`, `b_1`, `W_2`, … as they stand."""
    count = sum(name.startswith("W_") for name in r.graph.names)
    return [(r.value(f"W_{k}"), r.value(f"b_{k}")) for k in range(1, count + 1)]


def flat(arrays: Mapping[str, np.ndarray], names: Iterable[str]) -> np.ndarray:
    """All numbers of the named arrays in one row."""
    return np.concatenate([np.ravel(arrays[name]) for name in names])


def weight_gradients(r: Recording, error: Error = error_by_hand) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of a proof: of all trained leaves the engine's gradients, and those by hand."""
    names = [leaf.name for leaf in r.graph.leaves("parameter")]
    closed = gradients_by_hand(weights_of(r), r.value("x"), r.value("d"), error)
    return flat({name: r.grad(name) for name in names}, names), flat(closed, names)


def share_right(r: Recording) -> float:
    """How many columns of the batch have their largest score at the true class."""
    return float(np.mean(r.value("y").argmax(axis=0) == r.value("d").argmax(axis=0)))


def train(r: Recording, updates: int, *, tell: Sequence[str], lr: float = 0.01) -> np.ndarray:
    """Train a recording's parameters by Adam on the examples that it holds, all of them at every update.

    Returns the named losses before each update and after the last one, (updates + 1, names). The leaves of
    the recording keep what they have learned; its other nodes are left as they were.
    """
    graph, optimizer = r.graph, adam(r.graph.leaves("parameter"), lr)
    plan = Plan(graph, r.loss)
    told = [r[name].id for name in tell]
    history = np.empty((updates + 1, len(told)))
    for update in range(updates + 1):
        history[update] = [float(np.reshape(plan.value(i), ())) for i in told]
        if update == updates:
            break
        for leaf in optimizer.leaves:
            graph.grads[leaf.id] = plan.grad(leaf.id)
        optimizer.step()
        for leaf in optimizer.leaves:
            plan.set(leaf.id, leaf.value)
        plan.run()
    return history
