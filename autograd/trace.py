"""What happened in which order: a Trace answers what every node looked like at any moment t.

`t` counts steps: at t = k the first k steps are done, and k + 0.3 is three tenths through step k.
Nothing is ever undone: an earlier moment is another question to the same immutable record.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from autograd.graph import Graph, Tensor

Phase = Literal["forward", "loss", "backward", "update"]


@dataclass(frozen=True)
class Step:
    """One thing that happens: a node computes, the loss is seeded, a node sends gradients back, or a leaf
    takes a new value."""

    phase: Phase
    node: int
    time: int | None


@dataclass(frozen=True)
class Arrival:
    """One instalment of a gradient: at `step`, `consumer` sends along the edge to its input `slot`."""

    step: int
    consumer: int
    slot: int


class Order:
    """In which order everything happens: the same for every run of one graph and loss.

    Without a loss it ends with the forward pass. Leaves in `updated` take a new value behind the backward
    pass, one after the other.
    """

    def __init__(self, graph: Graph, loss: Tensor | int | None, updated: Sequence[int] = ()) -> None:
        self.graph = graph
        self.updated = tuple(updated)
        self.loss = -1 if loss is None else loss if isinstance(loss, int) else loss.id
        if loss is not None and graph.values[self.loss].size != 1:
            raise ValueError(f"a trace needs a scalar loss, {graph.describe(self.loss)} is none")
        self.inputs = list(graph.inputs)
        self.receivers = [graph.receivers(i) for i in range(len(graph))]
        self.reached = self._reached()
        self.steps: tuple[Step, ...] = (
            *self._steps(),
            *(Step("update", i, graph.times[i]) for i in updated),
        )
        self.end = len(self.steps)
        self.backward_end = self.end - len(updated)
        self.forward_end = next((i for i, s in enumerate(self.steps) if s.phase == "loss"), self.end)
        self.forward_step = np.full(len(graph), -1)  # a leaf has its value from the start
        self.backward_step = np.full(len(graph), self.end)
        self.update_step = np.full(len(graph), self.end)  # of a leaf that keeps its value: never
        self.arrivals: list[list[Arrival]] = [[] for _ in range(len(graph))]
        for k, step in enumerate(self.steps):
            if step.phase == "forward":
                self.forward_step[step.node] = k
            elif step.phase == "backward":
                self.backward_step[step.node] = k
                for slot, j in self.receivers[step.node]:
                    self.arrivals[j].append(Arrival(k, step.node, slot))
            elif step.phase == "update":
                self.update_step[step.node] = k
        self.arrival_steps = [[a.step for a in arrivals] for arrivals in self.arrivals]

    def _reached(self) -> bytearray:
        """Which nodes get a gradient from the loss."""
        reached = bytearray(len(self.graph))
        if self.loss >= 0:
            reached[self.loss] = 1
        for i in range(self.loss, -1, -1):
            if reached[i]:
                for _, j in self.receivers[i]:
                    reached[j] = 1
        return reached

    def _steps(self) -> list[Step]:
        graph = self.graph
        times = list(graph.times)
        ops = [i for i, op in enumerate(graph.ops) if op is not None]
        back = [i for i in reversed(ops) if self.reached[i] and self.receivers[i]]
        return [
            *(Step("forward", i, times[i]) for i in ops),
            *([Step("loss", self.loss, times[self.loss])] if self.loss >= 0 else []),
            *(Step("backward", i, times[i]) for i in back),
        ]


class Contributions(Sequence[tuple[np.ndarray | None, ...]]):
    """What every node sent to its inputs; computed when it is asked for."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._known: dict[int, tuple[np.ndarray | None, ...]] = {}

    def __len__(self) -> int:
        return len(self._trace.values)

    def __getitem__(self, node: Any) -> Any:
        if node not in self._known:
            self._known[node] = self._trace._sent(range(len(self))[node])
        return self._known[node]


class Trace:
    """One forward and backward pass of a graph.

    It keeps the arrays that the pass produced, so that a later replay of the graph does not change it. With
    None for a loss it is a forward pass alone.
    """

    def __init__(self, graph: Graph, loss: Tensor | None) -> None:
        # leaves, and views of them, may be written to in place: `w.value -= …`
        values = (
            v.copy() if op is None or v.base is not None else v
            for op, v in zip(graph.ops, graph.values, strict=True)
        )
        self._keep(Order(graph, loss), tuple(values), tuple(graph.grads))

    def _keep(
        self,
        order: Order,
        values: Sequence[np.ndarray],
        grads: Sequence[np.ndarray | None],
        new: Mapping[int, np.ndarray] | None = None,
        rule: str = "",
    ) -> None:
        self.order, self.graph, self.loss = order, order.graph, order.loss
        self.values, self.grads = values, grads
        self.new, self.rule = new or {}, rule
        self.contributions = Contributions(self)
        self.steps, self.end, self.forward_end = order.steps, order.end, order.forward_end
        self.backward_end = order.backward_end
        self.forward_step, self.backward_step = order.forward_step, order.backward_step
        self.update_step = order.update_step
        self.arrivals = order.arrivals

    @classmethod
    def run(cls, graph: Graph, loss: Tensor) -> Trace:
        """Replay forward and backward, then record what came of it."""
        graph.forward()
        graph.backward(loss)
        return cls(graph, loss)

    def after(self, values: Sequence[np.ndarray], grads: Sequence[np.ndarray | None]) -> Trace:
        """Another run of the same graph, with what it produced: one array per node."""
        trace = Trace.__new__(Trace)
        trace._keep(self.order, values, grads)
        return trace

    def followed_by(self, new: Mapping[int, np.ndarray], rule: str) -> Trace:
        """The same pass with an update behind it: the new values by leaf, and a formula that says how.

        The formula has `{w}` in the place of the leaf and `{g}` in that of its gradient.
        """
        trace = Trace.__new__(Trace)
        same = self.order.updated == tuple(new)
        order = self.order if same else Order(self.graph, self.loss, tuple(new))
        trace._keep(order, self.values, self.grads, new, rule)
        return trace

    def _sent(self, node: int) -> tuple[np.ndarray | None, ...]:
        op, inputs = self.graph.ops[node], self.order.inputs[node]
        g = self.grads[node]
        if op is None or g is None or not self.order.reached[node]:
            return (None,) * len(inputs)
        values, attrs = [self.values[j] for j in inputs], self.graph.attrs[node]
        sent: list[np.ndarray | None] = [None] * len(inputs)
        with np.errstate(all="ignore"):
            for k, _ in self.order.receivers[node]:
                sent[k] = op.sends(k, g, self.values[node], values, attrs)
        return tuple(sent)

    def computed(self, node: int, t: float) -> bool:
        """Whether the node has its value at t."""
        return bool(self.forward_step[node] + 1 <= t)

    def value(self, node: int, t: float) -> np.ndarray | None:
        """The node's value at t, after its update the new one; None before it is computed."""
        if node in self.new and self.updated(node, t):
            return self.new[node]
        return self.values[node] if self.computed(node, t) else None

    def updated(self, node: int, t: float) -> bool:
        """Whether the leaf has its new value at t."""
        return bool(self.update_step[node] + 1 <= t)

    def arrived(self, node: int, t: float) -> int:
        """How many instalments of the node's gradient have arrived at t."""
        return bisect_right(self.order.arrival_steps[node], t - 1)

    def grad(self, node: int, t: float) -> np.ndarray | None:
        """The part of the node's gradient that has arrived at t; None before the first instalment."""
        if node == self.loss:
            return np.ones_like(self.values[node]) if t >= self.forward_end + 1 else None
        count = self.arrived(node, t)
        if count == 0:
            return None
        if count == len(self.arrivals[node]):
            return self.grads[node]
        parts = [self.contribution(a) for a in self.arrivals[node][:count]]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def grad_from(self, node: int, consumer: int, t: float) -> np.ndarray | None:
        """The part of the node's gradient that one of its uses has sent until t; None before that."""
        step, steps = int(self.order.backward_step[consumer]), self.order.arrival_steps[node]
        if step + 1 > t:
            return None
        arrivals = self.arrivals[node][bisect_left(steps, step) : bisect_right(steps, step)]
        parts = [self.contribution(a) for a in arrivals if a.consumer == consumer]
        return np.sum(parts, axis=0) if parts else None

    def contribution(self, arrival: Arrival) -> np.ndarray:
        """What travelled in one instalment; shape of the receiving node."""
        sent = self.contributions[arrival.consumer][arrival.slot]
        assert sent is not None
        return sent
