"""The networks that the benchmarks run: as the engine records them, by hand in NumPy, and in the peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

import autograd as ag
from autograd import Graph, Tensor, at_time, scope, tensor

Gradients = dict[str, np.ndarray]
Array = np.ndarray


@dataclass(frozen=True)
class Task:
    """Weights, inputs and targets of a recurrent network with a loss at every step."""

    kind: str  # rnn or lstm
    weights: Gradients  # W: input, U: recurrent, b, V: read-out, c
    xs: Array
    ds: Array

    @property
    def hidden(self) -> int:
        return self.weights["U"].shape[1]


def task(kind: str, steps: int, hidden: int, size: int) -> Task:
    """A task with drawn numbers; an LSTM's gates (i, f, o, candidate) share one matrix."""
    rng = np.random.default_rng(0)
    rows = hidden * (4 if kind == "lstm" else 1)
    weights = {
        "W": rng.normal(size=(rows, size)) / np.sqrt(size),
        "U": rng.normal(size=(rows, hidden)) / np.sqrt(hidden),
        "b": rng.normal(size=rows) * 0.1,
        "V": rng.normal(size=(size, hidden)) / np.sqrt(hidden),
        "c": rng.normal(size=size) * 0.1,
    }
    return Task(kind, weights, rng.normal(size=(steps, size)), rng.normal(size=(steps, size)))


def record(work: Task) -> tuple[Graph, Tensor]:
    """The network as the engine records it: one node for every tensor operation."""
    H = work.hidden
    with Graph() as graph:
        with scope("parameters"):
            w = {name: tensor(value, name) for name, value in work.weights.items()}
        h, cell = tensor(np.zeros(H), "h_0", "constant"), tensor(np.zeros(H), "c_0", "constant")
        losses = []
        with scope(work.kind):
            for t, (x, d) in enumerate(zip(work.xs, work.ds, strict=True), 1):
                with at_time(t):
                    z = w["W"] @ tensor(x, f"x_{t}", "constant") + w["U"] @ h + w["b"]
                    if work.kind == "lstm":
                        i, f, o = (ag.sigmoid(z[k * H : (k + 1) * H]) for k in range(3))
                        cell = (f * cell + i * ag.tanh(z[3 * H :])).named(f"c_{t}")
                        h = (o * ag.tanh(cell)).named(f"h_{t}")
                    else:
                        h = ag.tanh(z).named(f"h_{t}")
                    y = w["V"] @ h + w["c"]
                    losses.append(ag.half_squared_error(y, tensor(d, f"d_{t}", "target")))
        loss = ag.add_n(losses).named("E")
    return graph, loss


def _sigmoid(x: Array) -> Array:
    return 0.5 * (np.tanh(0.5 * x) + 1.0)


def rnn_plain(work: Task) -> Gradients:
    """Back-propagation through time as one writes it first: step by step."""
    W, U, b, V, c = work.weights.values()
    hs = [np.zeros(work.hidden)]
    errors = []
    for x, d in zip(work.xs, work.ds, strict=True):
        hs.append(np.tanh(W @ x + U @ hs[-1] + b))
        errors.append(V @ hs[-1] + c - d)
    g = {name: np.zeros_like(value) for name, value in work.weights.items()}
    dh = np.zeros(work.hidden)
    for t in reversed(range(len(errors))):
        h, e = hs[t + 1], errors[t]
        g["V"] += np.outer(e, h)
        g["c"] += e
        delta = (dh + V.T @ e) * (1 - h * h)
        g["W"] += np.outer(delta, work.xs[t])
        g["U"] += np.outer(delta, hs[t])
        g["b"] += delta
        dh = U.T @ delta
    return g


def rnn_optimised(work: Task) -> Gradients:
    """The same with everything that needs no loop taken out of it: what NumPy can do at best."""
    W, U, b, V, c = work.weights.values()
    T, H = len(work.xs), work.hidden
    pre = work.xs @ W.T + b
    hs = np.zeros((T + 1, H))
    for t in range(T):
        a = pre[t]
        a += U @ hs[t]
        np.tanh(a, hs[t + 1])
    e = hs[1:] @ V.T + c - work.ds
    deltas = e @ V
    slopes = 1 - hs[1:] ** 2
    UT = U.T
    dh = np.zeros(H)
    for t in reversed(range(T)):
        delta = deltas[t]
        delta += dh
        delta *= slopes[t]
        dh = UT @ delta
    return {
        "W": deltas.T @ work.xs,
        "U": deltas.T @ hs[:-1],
        "b": deltas.sum(0),
        "V": e.T @ hs[1:],
        "c": e.sum(0),
    }


def lstm_plain(work: Task) -> Gradients:
    W, U, b, V, c = work.weights.values()
    H = work.hidden
    h = cell = np.zeros(H)
    kept = []
    for x, d in zip(work.xs, work.ds, strict=True):
        before = h, cell
        z = W @ x + U @ h + b
        i, f, o = (_sigmoid(z[k * H : (k + 1) * H]) for k in range(3))
        g = np.tanh(z[3 * H :])
        cell = f * cell + i * g
        squashed = np.tanh(cell)
        h = o * squashed
        kept.append((x, *before, i, f, o, g, squashed, h, V @ h + c - d))
    grads = {name: np.zeros_like(value) for name, value in work.weights.items()}
    dh, dc = np.zeros(H), np.zeros(H)
    for x, h0, c0, i, f, o, g, squashed, h, e in reversed(kept):
        grads["V"] += np.outer(e, h)
        grads["c"] += e
        dh = dh + V.T @ e
        dc = dc + dh * o * (1 - squashed * squashed)
        dz = np.concatenate(
            [dc * g * i * (1 - i), dc * c0 * f * (1 - f), dh * squashed * o * (1 - o), dc * i * (1 - g * g)]
        )
        grads["W"] += np.outer(dz, x)
        grads["U"] += np.outer(dz, h0)
        grads["b"] += dz
        dh = U.T @ dz
        dc = dc * f
    return grads


def lstm_optimised(work: Task) -> Gradients:
    W, U, b, V, c = work.weights.values()
    T, H = len(work.xs), work.hidden
    gates = work.xs @ W.T + b
    hs, cells, squashed = np.zeros((T + 1, H)), np.zeros((T + 1, H)), np.empty((T, H))
    spare = np.empty(H)
    for t in range(T):
        a = gates[t]
        a += U @ hs[t]
        three = a[: 3 * H]
        three *= 0.5
        np.tanh(a, a)
        three *= 0.5
        three += 0.5
        cell = cells[t + 1]
        np.multiply(a[H : 2 * H], cells[t], cell)
        np.multiply(a[:H], a[3 * H :], spare)
        cell += spare
        np.tanh(cell, squashed[t])
        np.multiply(a[2 * H : 3 * H], squashed[t], hs[t + 1])
    e = hs[1:] @ V.T + c - work.ds
    dhs = e @ V
    # every local derivative at once, so that the loop does only what has to be one after the other
    i, f, o, g = (gates[:, k * H : (k + 1) * H] for k in range(4))
    dz = np.empty_like(gates)
    dz[:, :H] = g * i * (1 - i)
    dz[:, H : 2 * H] = cells[:-1] * f * (1 - f)
    dz[:, 2 * H : 3 * H] = squashed * o * (1 - o)
    dz[:, 3 * H :] = i * (1 - g * g)
    to_cell = o * (1 - squashed * squashed)
    parts = dz.reshape(T, 4, H)
    UT = U.T
    dh, dc = np.zeros(H), np.zeros(H)
    for t in reversed(range(T)):
        error = dhs[t]
        error += dh
        np.multiply(error, to_cell[t], spare)
        dc += spare
        p = parts[t]
        p[:2] *= dc
        p[2] *= error
        p[3] *= dc
        dh = UT @ dz[t]
        dc *= f[t]
    return {
        "W": dz.T @ work.xs,
        "U": dz.T @ hs[:-1],
        "b": dz.sum(0),
        "V": e.T @ hs[1:],
        "c": e.sum(0),
    }


BY_HAND: dict[str, tuple[Callable[[Task], Gradients], Callable[[Task], Gradients]]] = {
    "rnn": (rnn_plain, rnn_optimised),
    "lstm": (lstm_plain, lstm_optimised),
}


def with_torch(torch: Any, work: Task) -> Callable[[], Gradients]:
    """One forward and backward pass in PyTorch, eager, float64, with the same operations."""
    w = {name: torch.tensor(value, requires_grad=True) for name, value in work.weights.items()}
    xs, ds = torch.tensor(work.xs), torch.tensor(work.ds)
    H = work.hidden
    zero = torch.zeros(H, dtype=torch.float64)

    def run() -> Gradients:
        for leaf in w.values():
            leaf.grad = None
        h = cell = zero
        loss = zero.sum()
        for x, d in zip(xs, ds, strict=True):
            z = w["W"] @ x + w["U"] @ h + w["b"]
            if work.kind == "lstm":
                i, f, o = (torch.sigmoid(z[k * H : (k + 1) * H]) for k in range(3))
                cell = f * cell + i * torch.tanh(z[3 * H :])
                h = o * torch.tanh(cell)
            else:
                h = torch.tanh(z)
            e = w["V"] @ h + w["c"] - d
            loss = loss + 0.5 * (e * e).sum()
        loss.backward()
        return {name: leaf.grad.numpy() for name, leaf in w.items()}

    return run


def mlp(leaf: Callable[[float], Any], relu: Callable[[Any], Any], samples: int) -> tuple[Any, list[Any]]:
    """micrograd's demonstration: 2-16-16-1 on two moons, hinge loss and L2, one node per scalar operation.

    Returns the loss and the 337 parameters.
    """
    rng = np.random.default_rng(0)
    sizes = [2, 16, 16, 1]
    parameters = []
    layers = []
    for n, m in pairwise(sizes):
        layer = [([leaf(float(v)) for v in rng.uniform(-1, 1, n)], leaf(0.0)) for _ in range(m)]
        parameters += [p for weights, bias in layer for p in (*weights, bias)]
        layers.append(layer)
    angle, which = rng.uniform(0, np.pi, samples), rng.integers(0, 2, samples)
    moons = np.stack([np.cos(angle), np.sin(angle)], 1)
    moons[which == 1] = [1.0, 0.5] - moons[which == 1]
    moons += 0.1 * rng.normal(size=moons.shape)
    total: Any = None
    for point, side in zip(moons.tolist(), (2 * which - 1).tolist(), strict=True):
        signals = [leaf(v) for v in point]
        for depth, layer in enumerate(layers):
            sums = []
            for weights, bias in layer:
                act = bias
                for weight, signal in zip(weights, signals, strict=True):
                    act = act + weight * signal
                sums.append(relu(act) if depth < 2 else act)
            signals = sums
        loss = relu(signals[0] * leaf(float(-side)) + leaf(1.0))
        total = loss if total is None else total + loss
    total = total * leaf(1.0 / samples)
    penalty: Any = None
    for p in parameters:
        penalty = p * p if penalty is None else penalty + p * p
    return total + penalty * leaf(1e-4), parameters
