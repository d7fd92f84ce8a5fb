"""Central differences beside the engine's gradient: large steps truncate, small ones lose digits.

Computes forward passes on its own copies of the trace's values, so that it can run beside the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autograd import Trace
from explorer.model.lab.sweep import Progress, leading_to, wiring

STEPS = tuple(float(h) for h in 10.0 ** np.arange(-1, -11.5, -0.5))
MOST = 24  # elements of one leaf that are tried; of a larger one evenly spread ones and the largest gradients


@dataclass(frozen=True)
class Errors:
    """One leaf. Arrays have one entry per step size."""

    leaf: int
    steps: np.ndarray
    errors: np.ndarray  # largest relative error over the tried elements
    worst: tuple[tuple[int, ...], ...]  # the element with that error
    numeric: np.ndarray  # (steps, tried elements)
    analytic: np.ndarray  # (tried elements,)
    tried: tuple[tuple[int, ...], ...]
    size: int  # elements in all

    @property
    def best(self) -> int:
        """Which step size comes closest."""
        return int(np.argmin(self.errors)) if self.errors.size else 0


def check_leaf(
    trace: Trace,
    leaf: int,
    steps: Sequence[float] = STEPS,
    progress: Progress | None = None,
    most: int = MOST,
) -> Errors:
    """`(f(x+h) − f(x−h)) / 2h` against the gradient for every h.

    The relative error of an element is |a − n| / max(|a|, |n|, s), with the s of `autograd.check`: a
    thousandth of the leaf's largest gradient, or 1e-4 of |E| if that is more. Raises ValueError for a leaf
    without a gradient.
    """
    gradient = trace.grads[leaf]
    if gradient is None:
        raise ValueError(f"{trace.graph.describe(leaf)} gets no gradient")
    tried = _chosen(gradient, most)
    analytic = np.array([gradient[i] for i in tried])
    numeric = np.empty((len(steps), len(tried)))
    run = _Forward(trace, leaf)
    for column, index in enumerate(tried):
        for row, h in enumerate(steps):
            numeric[row, column] = (run.loss(index, h) - run.loss(index, -h)) / (2.0 * h)
        if progress is not None:
            progress((column + 1) / len(tried))
    loss = abs(float(trace.values[trace.loss].reshape(-1)[0]))
    floor = max(1e-4 * max(loss, 1e-3), 1e-3 * float(np.max(np.abs(gradient), initial=0.0)))
    with np.errstate(all="ignore"):
        scale = np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), floor)
        relative = np.abs(analytic - numeric) / scale
    relative = np.where(np.isnan(relative), np.inf, relative)
    at = np.argmax(relative, axis=1) if tried else np.zeros(len(steps), dtype=int)
    worst = tuple(tried[k] for k in at) if tried else ()
    errors = np.max(relative, axis=1, initial=0.0)
    return Errors(leaf, np.array(steps), errors, worst, numeric, analytic, tried, gradient.size)


def checkable(trace: Trace) -> tuple[int, ...]:
    """Leaves that have a gradient to check."""
    leaves = trace.graph.leaves("parameter", "input")
    return tuple(leaf.id for leaf in leaves if trace.grads[leaf.id] is not None)


def _chosen(gradient: np.ndarray, most: int) -> tuple[tuple[int, ...], ...]:
    """Elements to try: all of few; else half of them where the gradient is largest, half evenly spread."""
    if gradient.size <= most:
        return tuple(np.ndindex(gradient.shape))
    flat = np.abs(gradient).ravel()
    largest = np.argsort(-flat, kind="stable")[: most // 2]
    spread = np.linspace(0, gradient.size - 1, most - most // 2).round().astype(int)
    picked = sorted({int(k) for k in (*largest, *spread)})
    return tuple(tuple(int(i) for i in np.unravel_index(k, gradient.shape)) for k in picked)


class _Forward:
    """Forward passes with one element of one leaf moved; only what depends on the leaf is computed again."""

    def __init__(self, trace: Trace, leaf: int) -> None:
        wires = wiring(trace.graph)
        self.leaf, self.end = leaf, trace.loss
        self.original = trace.values[leaf]
        self.values = list(trace.values[: trace.loss + 1])
        below = leading_to(wires, [leaf], trace.loss)
        self.program = [
            (i, op.forward, wires.inputs[i], trace.graph.attrs[i])
            for i, op in enumerate(wires.ops[: trace.loss + 1])
            if below[i] and op is not None
        ]

    def loss(self, index: tuple[int, ...], by: float) -> float:
        """The loss with one element moved."""
        values = self.values
        moved = np.array(self.original)
        moved[index] += by
        values[self.leaf] = moved
        with np.errstate(all="ignore"):
            for i, forward, inputs, attrs in self.program:
                values[i] = forward(*[values[j] for j in inputs], **attrs)
        return float(np.reshape(values[self.end], -1)[0])
