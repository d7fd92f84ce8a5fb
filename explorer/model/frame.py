"""What one moment looks like: `frame_at` alone decides it, from the trace, the layout and t.

The same t gives the same frame, whichever way it was reached. A Frame says what is where in which state;
how that is drawn is the painter's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import floor

import numpy as np

from autograd import Step, Trace
from explorer.model.layout import Box, Layout

GHOST, COMPUTING, DONE = 0, 1, 2


@dataclass(frozen=True)
class Pulse:
    """Something that travels along an edge: forward a value, backward a gradient."""

    edge: int  # of the layout
    along: float  # 0 at the edge's source box, 1 at its target
    backward: bool
    size: float  # norm of what travels


@dataclass(frozen=True)
class Frame:
    """One moment of a trace in one layout. Arrays run over the layout's boxes and edges."""

    trace: Trace
    layout: Layout
    t: float
    state: np.ndarray  # per box: GHOST, COMPUTING or DONE
    progress: np.ndarray  # per box: share of its nodes that are computed
    arrived: np.ndarray  # per box: instalments of the gradient that have arrived
    expected: np.ndarray  # per box: instalments in all; 0 when no gradient ever comes
    sending: np.ndarray  # per box: whether it sends gradient just now
    updated: np.ndarray  # per box: whether it shows the value after the update
    flowed: np.ndarray  # per edge: 0 nothing yet, 1 a value, 2 a gradient
    strength: np.ndarray  # per edge: share 0..1 of the largest gradient, on a log scale; 0 before it flowed
    pulses: tuple[Pulse, ...]

    @property
    def step(self) -> int:
        """Number of the step that is under way, `trace.end` when all is done."""
        return min(floor(self.t), self.trace.end)

    @property
    def current(self) -> Step | None:
        """The step under way; between two steps the one that was just done; None before the first."""
        k = floor(self.t) if self.t > floor(self.t) else floor(self.t) - 1
        return self.trace.steps[k] if 0 <= k < self.trace.end else None

    def value(self, box: int) -> np.ndarray | None:
        """What the box shows as its value; None while it is a ghost."""
        return self.trace.value(self.layout.boxes[box].node, self.t)

    def grad(self, box: int) -> np.ndarray | None:
        """What has arrived of the gradient: for an alias, from the use that it stands next to."""
        b = self.layout.boxes[box]
        if b.consumer is None:
            return self.trace.grad(b.node, self.t)
        parts = [
            self.trace.contribution(a)
            for a in self.trace.arrivals[b.node]
            if a.consumer == b.consumer and a.step + 1 <= self.t
        ]
        return np.sum(parts, axis=0) if parts else None

    def slope(self, edge: int) -> np.ndarray | None:
        """Local derivative along an edge that stands for one input of an element-wise op."""
        members = self.layout.edges[edge].members
        if len(members) != 1 or members[0] in self.trace.graph.cuts:
            return None
        return self.trace.graph.local_derivative(*members[0])


class _Static:
    """What of a frame depends on trace and layout alone; kept with the layout's last trace."""

    def __init__(self, trace: Trace, layout: Layout) -> None:
        self.trace, self.layout = trace, layout
        nodes_of_box = [layout.members.get(k, (b.node,)) for k, b in enumerate(layout.boxes)]
        self.shown = trace.forward_step[[b.node for b in layout.boxes]]
        self.updates = trace.update_step[[b.node for b in layout.boxes]]
        self.computed = _Runs([trace.forward_step[list(nodes)] for nodes in nodes_of_box])
        self.arrivals = _Runs([self._arrival_steps(b) for b in layout.boxes])
        self.boxes_of_node: dict[int, list[int]] = {}  # where a step of the node is seen
        for k, (box, nodes) in enumerate(zip(layout.boxes, nodes_of_box, strict=True)):
            if box.kind != "alias":
                for node in nodes:
                    self.boxes_of_node.setdefault(node, []).append(k)
        edges = layout.edges
        self.edge_forward = np.array(
            [min(int(trace.forward_step[v]) for v, _ in e.members) for e in edges], dtype=float
        )
        sent = [[(v, k) for v, k in e.members if trace.contributions[v][k] is not None] for e in edges]
        self.edge_backward = np.array(
            [max((int(trace.backward_step[v]) for v, _ in s), default=10**9) for s in sent], dtype=float
        )
        self.edge_norm = np.array([self._norm(s) for s in sent])
        self.members = sent

    def _arrival_steps(self, box: Box) -> list[int]:
        if box.node == self.trace.loss:
            return [self.trace.forward_end]
        arrivals = self.trace.arrivals[box.node]
        return [a.step for a in arrivals if box.consumer is None or a.consumer == box.consumer]

    def _norm(self, members: list[tuple[int, int]]) -> float:
        with np.errstate(all="ignore"):  # an exploded gradient is as long as infinity
            total = 0.0
            for v, k in members:
                c = self.trace.contributions[v][k]
                assert c is not None
                total += float(np.sum(np.square(c)))
            return float(np.sqrt(total))

    @cached_property
    def edge_share(self) -> np.ndarray:
        """Share of the largest contribution on a log scale over four decades; at least a tenth."""
        finite = self.edge_norm[np.isfinite(self.edge_norm)]
        top = float(np.max(finite, initial=0.0))
        if top == 0.0:
            return np.zeros(len(self.edge_norm))
        with np.errstate(divide="ignore", invalid="ignore"):
            decades = 1.0 + np.log10(self.edge_norm / top) / 4.0
        share = np.where(np.isfinite(decades), np.clip(decades, 0.1, 1.0), 0.0)
        return np.where(np.isfinite(self.edge_norm), share, 1.0)

    @cached_property
    def edges_into(self) -> dict[int, list[int]]:
        """Consumer node -> indices of the layout's edges that lead to it."""
        found: dict[int, list[int]] = {}
        for k, e in enumerate(self.layout.edges):
            for v in dict.fromkeys(v for v, _ in e.members):
                found.setdefault(v, []).append(k)
        return found


class _Runs:
    """Several lists of step numbers in one array, counted together."""

    def __init__(self, lists: Sequence[Sequence[int] | np.ndarray]) -> None:
        self.lengths = np.array([len(one) for one in lists], dtype=int)
        self._ends = np.concatenate([[0], np.cumsum(self.lengths)])
        self._steps = np.array([k for one in lists for k in one], dtype=int)

    def count(self, t: float) -> np.ndarray:
        """Of each list, how many steps are done at t."""
        done = np.concatenate([[0], np.cumsum(self._steps + 1 <= t)])
        return done[self._ends[1:]] - done[self._ends[:-1]]


_last_static: list[_Static] = []


def _static(trace: Trace, layout: Layout) -> _Static:
    kept = _last_static[0] if _last_static else None  # looked at once: a film is drawn in another thread
    # on the way between two layouts only places change
    if kept is None or kept.trace is not trace or kept.layout.item_box is not layout.item_box:
        kept = _Static(trace, layout)
        _last_static[:] = [kept]
    return kept


def frame_at(trace: Trace, layout: Layout, t: float) -> Frame:
    """The frame at moment t (steps done, and the fraction of the next), 0 ≤ t ≤ trace.end."""
    static = _static(trace, layout)
    k = min(floor(t), trace.end)
    step = trace.steps[k] if k < trace.end and t > k else None
    state = np.where(static.shown + 1 <= t, DONE, GHOST).astype(np.uint8)
    sending = np.zeros(len(layout.boxes), dtype=bool)
    if step is not None:
        busy = static.boxes_of_node.get(step.node, [])
        if step.phase in ("forward", "update"):
            state[busy] = COMPUTING
        else:
            sending[busy] = True
    progress = static.computed.count(t) / static.computed.lengths
    arrived, expected = static.arrivals.count(t), static.arrivals.lengths
    flowed = np.where(static.edge_backward + 1 <= t, 2, np.where(static.edge_forward + 1 <= t, 1, 0))
    strength = np.where(flowed == 2, static.edge_share, 0.0)
    pulses = tuple(_pulses(static, step, t - k)) if step is not None else ()
    updated = static.updates + 1 <= t
    return Frame(
        trace, layout, t, state, progress, arrived, expected, sending, updated, flowed, strength, pulses
    )


def _pulses(static: _Static, step: Step, fraction: float) -> list[Pulse]:
    """Values run into the computing node in the first 70 % of a step; gradients leave the sending one."""
    if step.phase in ("loss", "update"):
        return []
    along = (
        min(_ease(fraction / 0.7), 1.0) if step.phase == "forward" else 1.0 - _ease(min(fraction / 0.9, 1.0))
    )
    pulses = []
    for e in static.edges_into.get(step.node, []):
        if step.phase == "forward":
            pulses.append(Pulse(e, along, False, 0.0))
        elif any(v == step.node for v, _ in static.members[e]):
            pulses.append(Pulse(e, along, True, float(static.edge_share[e])))
    return pulses


def _ease(x: float) -> float:
    """Slow start, slow stop."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)
