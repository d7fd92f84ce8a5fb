"""Recurrent networks with a loss at every step: plain and LSTM on vectors, LSTM on batches of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import Tensor, at_time, scope, tensor
from tests.benchmarks.networks import Array, Gradients, Leaves, Network


def rnn(steps: int, hidden: int, size: int) -> Network:
    """h = tanh(W x + U h + b), y = V h + c, half the squared error; vectors."""
    weights, xs, ds = _drawn(hidden, hidden, size, steps)

    def loss(w: dict[str, Tensor]) -> Tensor:
        h, losses = tensor(np.zeros(hidden), "h_0", "constant"), []
        with scope("rnn"):
            for t, (x, d) in enumerate(zip(xs, ds, strict=True), 1):
                with at_time(t):
                    z = w["W"] @ tensor(x, f"x_{t}", "constant") + w["U"] @ h + w["b"]
                    h = ag.tanh(z).named(f"h_{t}")
                    losses.append(_error(w["V"] @ h + w["c"], d, t))
        return ag.add_n(losses).named("E")

    def with_torch(torch: Any) -> Any:
        inputs, targets = torch.tensor(xs), torch.tensor(ds)
        start = torch.zeros(hidden, dtype=torch.float64)

        def total(w: Leaves) -> Any:
            h, loss = start, start.sum()
            for x, d in zip(inputs, targets, strict=True):
                h = torch.tanh(w["W"] @ x + w["U"] @ h + w["b"])
                e = w["V"] @ h + w["c"] - d
                loss = loss + 0.5 * (e * e).sum()
            return loss

        return total

    by_hand = {
        "plain": lambda: _rnn_plain(weights, xs, ds),
        "optimised": lambda: _rnn_optimised(weights, xs, ds),
    }
    return Network(weights, loss, with_torch, by_hand)


def lstm(steps: int, hidden: int, size: int, batch: int | None = None) -> Network:
    """The gates i, f, o and the candidate share one product: z = W x + U h + b on vectors, with a batch
    z = x W + h U + b on rows."""
    sizes = () if batch is None else (batch,)
    weights, xs, ds = _drawn(4 * hidden, hidden, size, steps, *sizes)
    columns = [slice(k * hidden, (k + 1) * hidden) for k in range(4)]
    parts: list[Any] = columns
    plain, optimised = _lstm_plain, _lstm_optimised
    if batch is not None:
        weights = {name: np.ascontiguousarray(value.T) for name, value in weights.items()}
        parts = [(slice(None), part) for part in columns]
        plain, optimised = _lstm_rows_plain, _lstm_rows_optimised

    def times(weight: Any, x: Any) -> Any:
        return weight @ x if batch is None else x @ weight

    def loss(w: dict[str, Tensor]) -> Tensor:
        zero = np.zeros((*sizes, hidden))
        h, cell = tensor(zero, "h_0", "constant"), tensor(zero, "c_0", "constant")
        losses = []
        with scope("lstm"):
            for t, (x, d) in enumerate(zip(xs, ds, strict=True), 1):
                with at_time(t):
                    z = times(w["W"], tensor(x, f"x_{t}", "constant")) + times(w["U"], h) + w["b"]
                    i, f, o = (ag.sigmoid(z[part]) for part in parts[:3])
                    cell = (f * cell + i * ag.tanh(z[parts[3]])).named(f"c_{t}")
                    h = (o * ag.tanh(cell)).named(f"h_{t}")
                    losses.append(_error(times(w["V"], h) + w["c"], d, t))
        return ag.add_n(losses).named("E")

    def with_torch(torch: Any) -> Any:
        inputs, targets = torch.tensor(xs), torch.tensor(ds)
        start = torch.zeros((*sizes, hidden), dtype=torch.float64)

        def total(w: Leaves) -> Any:
            h, cell, loss = start, start, start.sum()
            for x, d in zip(inputs, targets, strict=True):
                z = times(w["W"], x) + times(w["U"], h) + w["b"]
                i, f, o = (torch.sigmoid(z[part]) for part in parts[:3])
                cell = f * cell + i * torch.tanh(z[parts[3]])
                h = o * torch.tanh(cell)
                e = times(w["V"], h) + w["c"] - d
                loss = loss + 0.5 * (e * e).sum()
            return loss

        return total

    by_hand = {"plain": lambda: plain(weights, xs, ds), "optimised": lambda: optimised(weights, xs, ds)}
    return Network(weights, loss, with_torch, by_hand)


def _drawn(rows: int, hidden: int, size: int, steps: int, *batch: int) -> tuple[Gradients, Array, Array]:
    """Weights (W: input, U: recurrent, b, V: read-out, c), inputs and targets, normally distributed."""
    rng = np.random.default_rng(0)
    weights = {
        "W": rng.normal(size=(rows, size)) / np.sqrt(size),
        "U": rng.normal(size=(rows, hidden)) / np.sqrt(hidden),
        "b": rng.normal(size=rows) * 0.1,
        "V": rng.normal(size=(size, hidden)) / np.sqrt(hidden),
        "c": rng.normal(size=size) * 0.1,
    }
    return weights, rng.normal(size=(steps, *batch, size)), rng.normal(size=(steps, *batch, size))


def _error(y: Tensor, d: Array, t: int) -> Tensor:
    return ag.half_squared_error(y, tensor(d, f"d_{t}", "target"))


def _sigmoid(x: Array) -> Array:
    return 0.5 * (np.tanh(0.5 * x) + 1.0)


def _rnn_plain(w: Gradients, xs: Array, ds: Array) -> Gradients:
    """Back-propagation through time as one writes it first: step by step."""
    W, U, b, V, c = w.values()
    hs = [np.zeros(len(b))]
    errors = []
    for x, d in zip(xs, ds, strict=True):
        hs.append(np.tanh(W @ x + U @ hs[-1] + b))
        errors.append(V @ hs[-1] + c - d)
    g = {name: np.zeros_like(value) for name, value in w.items()}
    dh = np.zeros(len(b))
    for t in reversed(range(len(errors))):
        h, e = hs[t + 1], errors[t]
        g["V"] += np.outer(e, h)
        g["c"] += e
        delta = (dh + V.T @ e) * (1 - h * h)
        g["W"] += np.outer(delta, xs[t])
        g["U"] += np.outer(delta, hs[t])
        g["b"] += delta
        dh = U.T @ delta
    return g


def _rnn_optimised(w: Gradients, xs: Array, ds: Array) -> Gradients:
    """The same with everything that needs no loop taken out of it: what NumPy can do at best."""
    W, U, b, V, c = w.values()
    T, H = len(xs), U.shape[1]
    pre = xs @ W.T + b
    hs = np.zeros((T + 1, H))
    for t in range(T):
        a = pre[t]
        a += U @ hs[t]
        np.tanh(a, hs[t + 1])
    e = hs[1:] @ V.T + c - ds
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
        "W": deltas.T @ xs,
        "U": deltas.T @ hs[:-1],
        "b": deltas.sum(0),
        "V": e.T @ hs[1:],
        "c": e.sum(0),
    }


def _lstm_plain(w: Gradients, xs: Array, ds: Array) -> Gradients:
    W, U, b, V, c = w.values()
    H = U.shape[1]
    h = cell = np.zeros(H)
    kept = []
    for x, d in zip(xs, ds, strict=True):
        before = h, cell
        z = W @ x + U @ h + b
        i, f, o = (_sigmoid(z[k * H : (k + 1) * H]) for k in range(3))
        g = np.tanh(z[3 * H :])
        cell = f * cell + i * g
        squashed = np.tanh(cell)
        h = o * squashed
        kept.append((x, *before, i, f, o, g, squashed, h, V @ h + c - d))
    grads = {name: np.zeros_like(value) for name, value in w.items()}
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


def _lstm_optimised(w: Gradients, xs: Array, ds: Array) -> Gradients:
    W, U, b, V, c = w.values()
    T, H = len(xs), U.shape[1]
    gates = xs @ W.T + b
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
    e = hs[1:] @ V.T + c - ds
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
        "W": dz.T @ xs,
        "U": dz.T @ hs[:-1],
        "b": dz.sum(0),
        "V": e.T @ hs[1:],
        "c": e.sum(0),
    }


def _lstm_rows_plain(w: Gradients, xs: Array, ds: Array) -> Gradients:
    W, U, b, V, c = w.values()
    H = len(U)
    h = cell = np.zeros((xs.shape[1], H))
    kept = []
    for x, d in zip(xs, ds, strict=True):
        before = h, cell
        z = x @ W + h @ U + b
        i, f, o = (_sigmoid(z[:, k * H : (k + 1) * H]) for k in range(3))
        g = np.tanh(z[:, 3 * H :])
        cell = f * cell + i * g
        squashed = np.tanh(cell)
        h = o * squashed
        kept.append((x, *before, i, f, o, g, squashed, h, h @ V + c - d))
    grads = {name: np.zeros_like(value) for name, value in w.items()}
    dh = dc = np.zeros_like(h)
    for x, h0, c0, i, f, o, g, squashed, h, e in reversed(kept):
        grads["V"] += h.T @ e
        grads["c"] += e.sum(0)
        dh = dh + e @ V.T
        dc = dc + dh * o * (1 - squashed * squashed)
        dz = np.hstack(
            [dc * g * i * (1 - i), dc * c0 * f * (1 - f), dh * squashed * o * (1 - o), dc * i * (1 - g * g)]
        )
        grads["W"] += x.T @ dz
        grads["U"] += h0.T @ dz
        grads["b"] += dz.sum(0)
        dh = dz @ U.T
        dc = dc * f
    return grads


def _lstm_rows_optimised(w: Gradients, xs: Array, ds: Array) -> Gradients:
    """Steps and rows are one axis wherever no step waits for another; the rest is done in place."""
    W, U, b, V, c = w.values()
    T, B, H = len(xs), xs.shape[1], len(U)
    flat_xs = xs.reshape(T * B, -1)
    gates = flat_xs @ W
    gates += b
    gates = gates.reshape(T, B, 4 * H)
    hs, cells, squashed = np.zeros((T + 1, B, H)), np.zeros((T + 1, B, H)), np.empty((T, B, H))
    product, spare = np.empty((B, 4 * H)), np.empty((B, H))
    for t in range(T):
        a = gates[t]
        np.dot(hs[t], U, product)
        a += product
        three = a[:, : 3 * H]
        three *= 0.5
        np.tanh(a, a)
        three *= 0.5
        three += 0.5
        cell = cells[t + 1]
        np.multiply(a[:, H : 2 * H], cells[t], cell)
        np.multiply(a[:, :H], a[:, 3 * H :], spare)
        cell += spare
        np.tanh(cell, squashed[t])
        np.multiply(a[:, 2 * H : 3 * H], squashed[t], hs[t + 1])
    seen = hs[1:].reshape(T * B, H)
    e = seen @ V
    e += c
    e -= ds.reshape(T * B, -1)
    dhs = (e @ V.T).reshape(T, B, H)
    dzs = np.empty_like(gates)
    slope, UT = np.empty((B, H)), U.T
    dh, dc = np.zeros((B, H)), np.zeros((B, H))
    # the slopes are taken step by step: for all steps at once they no longer fit into the cache
    for t in reversed(range(T)):
        i, f, o, g = (gates[t, :, k * H : (k + 1) * H] for k in range(4))
        di, df, do, dg = (dzs[t, :, k * H : (k + 1) * H] for k in range(4))
        s = squashed[t]
        dh += dhs[t]
        np.multiply(s, s, slope)
        np.subtract(1.0, slope, slope)
        slope *= o
        slope *= dh
        dc += slope
        for gate, dgate, other, error in ((i, di, g, dc), (f, df, cells[t], dc), (o, do, s, dh)):
            np.subtract(1.0, gate, dgate)
            dgate *= gate
            dgate *= other
            dgate *= error
        np.multiply(g, g, dg)
        np.subtract(1.0, dg, dg)
        dg *= i
        dg *= dc
        np.dot(dzs[t], UT, dh)
        dc *= f
    flat = dzs.reshape(T * B, 4 * H)
    return {
        "W": flat_xs.T @ flat,
        "U": hs[:-1].reshape(T * B, H).T @ flat,
        "b": flat.sum(0),
        "V": seen.T @ e,
        "c": e.sum(0),
    }
