"""How large the gradient is at each time step, while the backward pass reaches it, and how fast it decays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from math import exp

import numpy as np

from autograd import Trace
from explorer.model.lab.sweep import norms, wiring


@dataclass(frozen=True)
class Fit:
    """The straight line through log ‖∂E/∂h_t‖, against the number of steps back from the last one."""

    slope: float  # change of the logarithm per step back
    at_last: float  # the line's logarithm at the last time
    first: int  # times that the line runs over
    last: int

    @property
    def factor(self) -> float:
        """What one step back multiplies the norm with."""
        return exp(self.slope)

    def norm(self, time: float) -> float:
        """The line's norm at a time."""
        return exp(self.at_last + self.slope * (self.last - time))


@dataclass(frozen=True)
class Flow:
    """‖∂E/∂h_t‖ of one quantity h. Arrays run over `times`."""

    trace: Trace
    base: str
    times: np.ndarray
    nodes: tuple[tuple[int, ...], ...]  # of each time; several in scalar form

    @cached_property
    def whole(self) -> np.ndarray:
        """The norms when everything has arrived."""
        grads = [[self.trace.grads[n] for n in group] for group in self.nodes]
        if all(len(group) == 1 and g[0] is not None for group, g in zip(self.nodes, grads, strict=True)):
            sizes = {g[0].shape for g in grads if g[0] is not None}
            if len(sizes) == 1:
                return norms(np.stack([g[0] for g in grads if g[0] is not None]))
        return np.array([_norm([g for g in group if g is not None]) for group in grads])

    @cached_property
    def _steps(self) -> tuple[np.ndarray, np.ndarray]:
        """Number of the step in which the first, and in which the last instalment arrives; never: the end."""
        first, last = [], []
        for group in self.nodes:
            steps = [a.step for n in group for a in self.trace.arrivals[n]]
            steps += [self.trace.forward_end for n in group if n == self.trace.loss]
            first.append(min(steps, default=self.trace.end + 1))
            last.append(max(steps, default=self.trace.end + 1))
        return np.array(first), np.array(last)

    def complete(self, t: float) -> np.ndarray:
        """At which times all has arrived at moment t."""
        return self._steps[1] + 1 <= t

    def at(self, t: float) -> np.ndarray:
        """The norms at moment t: of what has arrived so far, nan where nothing has."""
        first, last = self._steps
        result = np.where(last + 1 <= t, self.whole, np.nan)
        for k in np.flatnonzero((first + 1 <= t) & (last + 1 > t)):
            parts = [self.trace.grad(n, t) for n in self.nodes[k]]
            result[k] = _norm([p for p in parts if p is not None])
        return result

    def fit(self, t: float) -> Fit | None:
        """The decay over the times that are complete at t; None with fewer than two of them above zero.

        Least squares on the logarithm. For a linear network with W = gain × orthogonal and one loss at the
        end the slope is log(gain): every step back multiplies by Wᵀ alone.
        """
        good = self.complete(t) & np.isfinite(self.whole) & (self.whole > 0)
        if np.count_nonzero(good) < 2:
            return None
        times, logs = self.times[good].astype(float), np.log(self.whole[good])
        back = times[-1] - times
        middle = back - back.mean()
        slope = float(middle @ (logs - logs.mean()) / (middle @ middle))
        at_last = float(logs.mean() - slope * back.mean())
        return Fit(slope, at_last, int(times[0]), int(times[-1]))


def quantities(trace: Trace) -> tuple[str, ...]:
    """Names that stand for a node at several times and get a gradient: states first, leaves last."""
    wires = wiring(trace.graph)

    def rank(base: str) -> int:
        nodes = next(iter(reversed(wires.quantities[base].values())))
        return 0 if base in wires.states else 2 if wires.ops[nodes[0]] is None else 1

    return tuple(sorted((b for b in wires.quantities if len(wires.quantities[b]) > 1), key=rank))


def counterparts(trace: Trace, names: Collection[str]) -> tuple[str, ...]:
    """What of another trace is laid over the curves of `names`: the same ones; without any, its states."""
    there = quantities(trace)
    same = tuple(base for base in there if base in names)
    return same or tuple(base for base in there if base in wiring(trace.graph).states)[:2] or there[:1]


def flow(trace: Trace, base: str) -> Flow:
    """The gradient of one quantity over time; raises KeyError for a name that is none."""
    steps = wiring(trace.graph).quantities[base]
    return Flow(trace, base, np.array(list(steps)), tuple(steps.values()))


def _norm(parts: list[np.ndarray]) -> float:
    return float(norms(np.concatenate([np.ravel(p) for p in parts])[None])[0]) if parts else 0.0
