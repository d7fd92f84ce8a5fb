"""Gradient checking by central differences, for tests, the command line and the window."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from autograd.graph import Tensor


@dataclass(frozen=True)
class GradientCheck:
    """One leaf: what the engine says and what central differences say."""

    leaf: str
    analytic: np.ndarray
    numeric: np.ndarray
    error: float  # largest relative error over the elements
    worst: tuple[int, ...]  # index of the element with that error

    def passes(self, tolerance: float = 1e-6) -> bool:
        return bool(self.error <= tolerance)


def check_gradients(
    output: Tensor, leaves: Iterable[Tensor] | None = None, h: float = 1e-6
) -> list[GradientCheck]:
    """Compare the gradients of a scalar `output` with `(f(x+h) − f(x−h)) / 2h`, element by element.

    Without `leaves`, every leaf that has a gradient is checked. The graph is left as it was found.
    The relative error of an element is |a − n| / max(|a|, |n|, s), where s is a thousandth of the largest
    gradient in its leaf, or 1e-4 of |output| if that is more: below it, differences are round-off.
    """
    graph = output.graph
    if output.size != 1:
        raise ValueError(f"check_gradients needs a scalar output, {graph.describe(output.id)} is none")
    chosen = [x for x in graph.leaves() if graph.needs_grad[x.id]] if leaves is None else list(leaves)
    with graph.preserved():
        graph.forward()
        graph.backward(output)
        return [_check_leaf(output, leaf, h) for leaf in chosen]


def _check_leaf(output: Tensor, leaf: Tensor, h: float) -> GradientCheck:
    if leaf.grad is None:
        raise ValueError(f"{leaf.graph.describe(leaf.id)} gets no gradient: it is {_why(leaf)}")
    floor = 1e-4 * max(abs(output.value.item()), 1e-3)
    analytic = leaf.grad.copy()
    numeric = _central_differences(output, leaf, h)
    scale = max(floor, 1e-3 * float(np.max(np.abs(analytic), initial=0.0)))
    errors = np.abs(analytic - numeric) / np.maximum(np.maximum(abs(analytic), abs(numeric)), scale)
    errors = np.where(np.isnan(errors), np.inf, errors)
    worst = np.unravel_index(int(np.argmax(errors)), errors.shape) if errors.size else ()
    return GradientCheck(
        leaf.name or f"#{leaf.id}",
        analytic,
        numeric,
        float(np.max(errors, initial=0.0)),
        tuple(int(k) for k in worst),
    )


def _why(leaf: Tensor) -> str:
    return f"frozen {leaf.kind}" if leaf.kind in ("parameter", "input") else f"a {leaf.kind}"


def _central_differences(output: Tensor, leaf: Tensor, h: float) -> np.ndarray:
    graph, original = output.graph, leaf.value
    numeric = np.empty(leaf.shape)
    try:
        for index in np.ndindex(leaf.shape):
            sides = []
            for step in (h, -h):
                moved = original.copy()
                moved[index] += step
                leaf.value = moved
                graph.forward()
                sides.append(output.value.item())
            numeric[index] = (sides[0] - sides[1]) / (2.0 * h)
    finally:
        leaf.value = original
        graph.forward()
    return numeric
