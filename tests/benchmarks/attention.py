"""A sequence-to-sequence network whose decoder looks back at the encoder (Luong et al. 2015, `general`)."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import Tensor, at_time, scope, tensor
from tests.benchmarks.networks import Leaves, Network


def seq2seq(steps: int, hidden: int, size: int) -> Network:
    """As many steps to read as to write, both by plain RNNs; the context is fed to the next step, and every
    step's output is a choice of `size` classes."""
    rng = np.random.default_rng(0)

    def drawn(rows: int, columns: int) -> np.ndarray:
        return rng.normal(size=(rows, columns)) / np.sqrt(columns)

    weights = {
        "W": drawn(hidden, size),  # encoder
        "U": drawn(hidden, hidden),
        "b": rng.normal(size=hidden) * 0.1,
        "P": drawn(hidden, size),  # decoder: input, state, context
        "Q": drawn(hidden, hidden),
        "R": drawn(hidden, hidden),
        "q": rng.normal(size=hidden) * 0.1,
        "A": drawn(hidden, hidden),  # scores
        "V": drawn(size, hidden),  # read-out of the state and of the context
        "C": drawn(size, hidden),
        "c": rng.normal(size=size) * 0.1,
    }
    read, written = rng.normal(size=(2, steps, size))
    classes = rng.integers(0, size, steps)

    def loss(w: dict[str, Tensor]) -> Tensor:
        h, states, losses = tensor(np.zeros(hidden), "h_0", "constant"), [], []
        context = h
        with scope("encoder"):
            for t, x in enumerate(read, 1):
                with at_time(t):
                    h = ag.tanh(w["W"] @ tensor(x, f"x_{t}", "constant") + w["U"] @ h + w["b"])
                    states.append(h)
        seen = ag.stack(states)
        with scope("decoder"):
            for t, (x, k) in enumerate(zip(written, classes, strict=True), 1):
                with at_time(t):
                    before = w["Q"] @ h + w["R"] @ context
                    h = ag.tanh(w["P"] @ tensor(x, f"y_{t}", "constant") + before + w["q"])
                    context = ag.softmax(seen @ (w["A"] @ h)) @ seen
                    scores = w["V"] @ h + w["C"] @ context + w["c"]
                    losses.append(ag.cross_entropy(scores, tensor(k, f"d_{t}", "target")))
        return ag.add_n(losses).named("E")

    def with_torch(torch: Any) -> Any:
        inputs, outputs, targets = torch.tensor(read), torch.tensor(written), torch.tensor(classes)
        start = torch.zeros(hidden, dtype=torch.float64)

        def total(w: Leaves) -> Any:
            h = context = start
            states, loss = [], start.sum()
            for x in inputs:
                h = torch.tanh(w["W"] @ x + w["U"] @ h + w["b"])
                states.append(h)
            seen = torch.stack(states)
            for x, k in zip(outputs, targets, strict=True):
                h = torch.tanh(w["P"] @ x + w["Q"] @ h + w["R"] @ context + w["q"])
                context = torch.softmax(seen @ (w["A"] @ h), 0) @ seen
                scores = w["V"] @ h + w["C"] @ context + w["c"]
                loss = loss + torch.nn.functional.cross_entropy(scores, k)
            return loss

        return total

    return Network(weights, loss, with_torch, {})
