"""What one moment looks like: `frame_at` alone decides it, from the trace, the layout and t.

The same t gives the same frame, whichever way it was reached. A Frame says what is where in which state;
how that is drawn is the painter's business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import floor

import numpy as np

from autograd import Order, Step, Trace
from explorer.model.arrays import distinct
from explorer.model.layout import Layout

GHOST, COMPUTING, DONE = 0, 1, 2
NEVER = 10**9  # the step of what does not happen
SLOTS = 2**31  # more than any op has


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
        return self.trace.grad_from(b.node, b.consumer, self.t)

    def slope(self, edge: int) -> np.ndarray | None:
        """Local derivative along an edge that stands for one input of an element-wise op."""
        members = self.layout.edges[edge].members
        if len(members) != 1 or members[0] in self.trace.graph.cuts:
            return None
        return self.trace.graph.local_derivative(*members[0])


class _Wiring:
    """Which box and line has its turn when: what of a frame depends on the order of the steps and the layout
    alone, and outlives an edit. All lists of lists are one array after the other, with where each begins."""

    def __init__(self, order: Order, layout: Layout) -> None:
        self.order, self.item_box = order, layout.item_box
        boxes, items = layout.boxes, layout.topology.items
        alias_of = np.array([-1 if i.consumer is None else i.consumer for i in items], dtype=np.int64)
        consumer = np.where(boxes.items >= 0, alias_of[boxes.items], -1)
        self.shown = order.forward_step[boxes.nodes]
        self.updates = order.update_step[boxes.nodes]
        inside, box = self._nodes_of_boxes(layout)
        self.computed = _Runs(order.forward_step[inside], box, len(boxes))
        self.arrivals = self._arrivals(boxes.nodes, consumer)
        seen = consumer[box] < 0
        self.boxes_of_node = _Index(inside[seen], box[seen])
        edges = layout.edges
        consumers, slots = edges.members.T
        line = np.repeat(np.arange(len(edges)), np.diff(edges.member_starts))
        self.edges_into = _Index(consumers, line)
        _, arrived = _arrival_table(order)
        carried = np.isin(consumers * SLOTS + slots, arrived[:, 1] * SLOTS + arrived[:, 2])
        starts = edges.member_starts[:-1]
        self.edge_forward = (
            np.minimum.reduceat(order.forward_step[consumers], starts) if len(edges) else starts
        )
        sent = np.where(carried, order.backward_step[consumers], -1)
        last = np.maximum.reduceat(sent, starts) if len(edges) else starts
        self.edge_backward = np.where(last < 0, NEVER, last)
        # what sends along each line
        self.senders, self.sent_on = np.stack([consumers, slots], axis=1)[carried], line[carried]
        self.lines_of_sender = _Index(consumers[carried], line[carried])

    def _nodes_of_boxes(self, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
        """Every node in every box: of a folded scope all that it hides, of others the one that they show."""
        boxes, items = layout.boxes, layout.topology.items
        single = np.flatnonzero(boxes.scopes < 0)
        near = np.where(layout.item_box < 0, -1 - layout.item_box, layout.item_box)
        hidden = np.flatnonzero(boxes.scopes[near] >= 0)
        node_of_item = np.array([i.node for i in items], dtype=np.int64)
        count = len(self.order.forward_step)
        pairs = distinct(near[hidden] * count + node_of_item[hidden])
        box, node = (
            np.concatenate([single, pairs // count]),
            np.concatenate([boxes.nodes[single], pairs % count]),
        )
        order = np.argsort(box, kind="stable")
        return node[order], box[order]

    def _arrivals(self, nodes: np.ndarray, consumer: np.ndarray) -> _Runs:
        """When instalments of the gradients that the boxes show arrive; of an alias, those from its use."""
        sources, arrivals = _arrival_table(self.order)
        count = len(self.order.forward_step)
        by_use = sources * count + arrivals[:, 1]
        order = np.argsort(by_use, kind="stable")
        alias = consumer >= 0
        # where the instalments of each box begin and end in the order of uses
        first = np.where(alias, nodes * count + consumer, nodes * count)
        last = np.where(alias, nodes * count + consumer + 1, (nodes + 1) * count)
        begin, end = np.searchsorted(by_use[order], first), np.searchsorted(by_use[order], last)
        loss = nodes == self.order.loss
        lengths = np.where(loss, 0, end - begin)
        ends = np.cumsum(lengths)
        at = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(begin - (ends - lengths), lengths)
        box = np.concatenate([np.repeat(np.arange(len(nodes)), lengths), np.flatnonzero(loss)])
        steps = np.concatenate([arrivals[order[at], 0], np.full(int(loss.sum()), self.order.forward_end)])
        by_box = np.argsort(box, kind="stable")
        return _Runs(steps[by_box], box[by_box], len(nodes))


class _Static:
    """What of a frame depends on trace and layout alone."""

    def __init__(self, trace: Trace, layout: Layout, wiring: _Wiring) -> None:
        self.trace, self.layout, self.wiring = trace, layout, wiring
        self.last: Frame | None = None

    @cached_property
    def edge_share(self) -> np.ndarray:
        """Share of the largest contribution on a log scale over four decades; at least a tenth."""
        norm = self._edge_norm()
        finite = norm[np.isfinite(norm)]
        top = float(np.max(finite, initial=0.0))
        if top == 0.0:
            return np.zeros(len(norm))
        with np.errstate(divide="ignore", invalid="ignore"):
            decades = 1.0 + np.log10(norm / top) / 4.0
        share = np.where(np.isfinite(decades), np.clip(decades, 0.1, 1.0), 0.0)
        return np.where(np.isfinite(norm), share, 1.0)

    def _edge_norm(self) -> np.ndarray:
        contributions, squares = self.trace.contributions, []
        with np.errstate(all="ignore"):  # an exploded gradient is as long as infinity
            for v, k in self.wiring.senders.tolist():
                c = contributions[v][k]
                squares.append(0.0 if c is None else float(np.vdot(c, c)))
            sums = np.bincount(self.wiring.sent_on, squares, minlength=len(self.layout.edges))
            return np.sqrt(sums)


class _Runs:
    """Several lists of step numbers in one array, counted together."""

    def __init__(self, steps: np.ndarray, owner: np.ndarray, count: int) -> None:
        self.lengths = np.bincount(owner, minlength=count)
        self._ends = np.concatenate([[0], np.cumsum(self.lengths)])
        self._steps = steps

    def count(self, t: float) -> np.ndarray:
        """Of each list, how many steps are done at t."""
        done = np.concatenate([[0], np.cumsum(self._steps + 1 <= t)])
        return done[self._ends[1:]] - done[self._ends[:-1]]


class _Index:
    """Which values stand beside a key, each once and in order."""

    def __init__(self, keys: np.ndarray, values: np.ndarray) -> None:
        pairs = distinct(np.stack([keys, values], axis=1), axis=0)
        self._keys, self._values = pairs[:, 0], pairs[:, 1]

    def __getitem__(self, key: int) -> np.ndarray:
        return self._values[np.searchsorted(self._keys, key) : np.searchsorted(self._keys, key, "right")]


def _arrival_table(order: Order) -> tuple[np.ndarray, np.ndarray]:
    """Every instalment: the node that it goes to, ascending, and (n, 3) its step, consumer and slot."""
    rows = [(a.step, a.consumer, a.slot) for arrivals in order.arrivals for a in arrivals]
    nodes = np.repeat(np.arange(len(order.arrivals)), [len(a) for a in order.arrivals])
    return nodes, np.array(rows, dtype=np.int64).reshape(-1, 3)


_last_static: list[_Static] = []


def _static(trace: Trace, layout: Layout) -> _Static:
    kept = _last_static[0] if _last_static else None  # looked at once: a film is drawn in another thread
    # on the way between two layouts only places change
    same_layout = kept is not None and kept.wiring.item_box is layout.item_box
    if kept is None or not same_layout or kept.trace is not trace:
        alike = kept is not None and same_layout and kept.wiring.order is trace.order
        wiring = kept.wiring if kept is not None and alike else _Wiring(trace.order, layout)
        kept = _Static(trace, layout, wiring)
        _last_static[:] = [kept]
    return kept


def frame_at(trace: Trace, layout: Layout, t: float) -> Frame:
    """The frame at moment t (steps done, and the fraction of the next), 0 ≤ t ≤ trace.end."""
    static = _static(trace, layout)
    wiring = static.wiring
    k = min(floor(t), trace.end)
    step = trace.steps[k] if k < trace.end and t > k else None
    pulses = tuple(_pulses(static, step, t - k)) if step is not None else ()
    last = static.last
    if last is not None and last.layout is layout and step is not None and last.step == k < last.t:
        return replace(last, t=t, pulses=pulses)  # within a step only what travels moves
    state = np.where(wiring.shown + 1 <= t, DONE, GHOST).astype(np.uint8)
    sending = np.zeros(len(layout.boxes), dtype=bool)
    if step is not None:
        busy = wiring.boxes_of_node[step.node]
        if step.phase in ("forward", "update"):
            state[busy] = COMPUTING
        else:
            sending[busy] = True
    progress = wiring.computed.count(t) / wiring.computed.lengths
    arrived, expected = wiring.arrivals.count(t), wiring.arrivals.lengths
    flowed = np.where(wiring.edge_backward + 1 <= t, 2, np.where(wiring.edge_forward + 1 <= t, 1, 0))
    back = t > trace.forward_end  # before, nothing has to be known of the gradients
    strength = np.where(flowed == 2, static.edge_share, 0.0) if back else np.zeros(len(flowed))
    updated = wiring.updates + 1 <= t
    static.last = Frame(
        trace, layout, t, state, progress, arrived, expected, sending, updated, flowed, strength, pulses
    )
    return static.last


def _pulses(static: _Static, step: Step, fraction: float) -> list[Pulse]:
    """Values run into the computing node in the first 70 % of a step; gradients leave the sending one."""
    if step.phase == "forward":
        along = min(_ease(fraction / 0.7), 1.0)
        return [Pulse(e, along, False, 0.0) for e in static.wiring.edges_into[step.node].tolist()]
    if step.phase != "backward":
        return []
    along = 1.0 - _ease(min(fraction / 0.9, 1.0))
    lines = static.wiring.lines_of_sender[step.node].tolist()
    return [Pulse(e, along, True, float(static.edge_share[e])) for e in lines]


def _ease(x: float) -> float:
    """Slow start, slow stop."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)
