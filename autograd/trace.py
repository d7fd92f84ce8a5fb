"""What happened in which order: a Trace answers what every node looked like at any moment t.

`t` counts steps: at t = k the first k steps are done, and k + 0.3 is three tenths through step k.
Nothing is ever undone: an earlier moment is another question to the same immutable record.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

import numpy as np

from autograd.graph import Graph, Tensor

Phase = Literal["forward", "loss", "backward"]


@dataclass(frozen=True)
class Step:
    """One thing that happens: a node computes, the loss is seeded, or a node sends gradients back."""

    phase: Phase
    node: int
    time: int | None


@dataclass(frozen=True)
class Arrival:
    """One instalment of a gradient: at `step`, `consumer` sends along the edge to its input `slot`."""

    step: int
    consumer: int
    slot: int


class Trace:
    """One forward and backward pass of a graph.

    It keeps the arrays that the pass produced, so that a later replay of the graph does not change it.
    """

    def __init__(self, graph: Graph, loss: Tensor) -> None:
        if loss.size != 1:
            raise ValueError(f"a trace needs a scalar loss, {graph.describe(loss.id)} is none")
        self.graph = graph
        self.loss = loss.id
        # leaves, and views of them, may be written to in place: `w.value -= …`
        self.values: tuple[np.ndarray, ...] = tuple(
            v.copy() if op is None or v.base is not None else v
            for op, v in zip(graph.ops, graph.values, strict=True)
        )
        self.grads: tuple[np.ndarray | None, ...] = tuple(graph.grads)
        self.contributions = tuple(graph.contributions)
        self.steps: tuple[Step, ...] = tuple(self._steps())
        self.end = len(self.steps)
        self.forward_end = next(i for i, s in enumerate(self.steps) if s.phase == "loss")
        self.forward_step = np.full(len(graph), -1)  # a leaf has its value from the start
        self.backward_step = np.full(len(graph), self.end)
        self.arrivals: list[list[Arrival]] = [[] for _ in range(len(graph))]
        for k, step in enumerate(self.steps):
            if step.phase == "forward":
                self.forward_step[step.node] = k
            elif step.phase == "backward":
                self.backward_step[step.node] = k
                for slot, j in enumerate(graph.inputs[step.node]):
                    if self.contributions[step.node][slot] is not None:
                        self.arrivals[j].append(Arrival(k, step.node, slot))
        self._arrival_steps = [[a.step for a in arrivals] for arrivals in self.arrivals]

    @classmethod
    def run(cls, graph: Graph, loss: Tensor) -> Trace:
        """Replay forward and backward, then record what came of it."""
        graph.forward()
        graph.backward(loss)
        return cls(graph, loss)

    def _steps(self) -> list[Step]:
        graph = self.graph
        ops = [i for i in range(len(graph)) if graph.ops[i] is not None]
        reached = [
            i for i in reversed(ops) if any(c is not None for c in self.contributions[i]) and i <= self.loss
        ]
        return [
            *(Step("forward", i, graph.times[i]) for i in ops),
            Step("loss", self.loss, graph.times[self.loss]),
            *(Step("backward", i, graph.times[i]) for i in reached),
        ]

    def computed(self, node: int, t: float) -> bool:
        """Whether the node has its value at t."""
        return bool(self.forward_step[node] + 1 <= t)

    def value(self, node: int, t: float) -> np.ndarray | None:
        """The node's value at t; None before it is computed."""
        return self.values[node] if self.computed(node, t) else None

    def arrived(self, node: int, t: float) -> int:
        """How many instalments of the node's gradient have arrived at t."""
        return bisect_right(self._arrival_steps[node], t - 1)

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

    def contribution(self, arrival: Arrival) -> np.ndarray:
        """What travelled in one instalment; shape of the receiving node."""
        sent = self.contributions[arrival.consumer][arrival.slot]
        assert sent is not None
        return sent
