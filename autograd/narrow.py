"""Replay of scalar graphs that are deep and narrow: node by node, the ops' own formulas on Python floats.

Where a level holds a handful of nodes, a NumPy call costs more than all the arithmetic in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from autograd.graph import Graph, Tensor
from autograd.plan import Everything, scalar_snapshots

# how many inputs; a sum of two hands its gradient on; of some inputs, not all of them get one
ONE, TWO, MANY, SUM, SOME = 1, 2, 3, 4, 5


class NarrowPlan:
    """Forward and backward pass of a graph of scalar nodes, one after the other.

    `value(i)`, `grad(i)` and `contribution(i, slot)` read what the last run left for node i.
    """

    def __init__(self, graph: Graph, output: Tensor | int) -> None:
        self.graph = graph
        self.output = output if isinstance(output, int) else output.id
        values = graph.scalar_values()
        if values is None:
            raise ValueError("a plan node by node is for graphs of scalar nodes")
        self._values: list[float] = values.tolist()
        self._grads: list[float] = []
        self._wanted = self._leads_to_output()
        self._forward: list[tuple[Any, ...]] = []
        self._backward: list[tuple[Any, ...]] = []
        self._compile()
        self.run()

    def load(self) -> None:
        """Take over the present values of the graph's leaves, and of what is held."""
        for i in self.graph.given():
            self._values[i] = float(self.graph.values[i])

    def set(self, leaf: int, value: float) -> None:
        """Give one leaf another value; the rest follows at the next run."""
        self._values[leaf] = float(value)

    def run(self) -> None:
        """One forward and one backward pass."""
        with np.errstate(all="ignore"):
            try:
                self._run(self._values)
            except (ArithmeticError, ValueError):  # where floats refuse, NumPy's numbers answer inf or nan
                exact: list[Any] = list(map(np.float64, self._values))
                self._run(exact)
                self._values = list(map(float, exact))
                self._grads = list(map(float, self._grads))

    def value(self, node: int) -> float:
        """What the last run computed for a node."""
        return self._values[node]

    def grad(self, node: int) -> float | None:
        """Its gradient; None for a node that needs none."""
        return self._grads[node] if self.graph.needs_grad[node] else None

    def everything(self) -> Everything:
        """The values and the gradients of all nodes, as arrays of shape ()."""
        return scalar_snapshots(np.array(self._values), np.array(self._grads), self.graph.needs_grad)

    def contribution(self, node: int, slot: int) -> float | None:
        """What `node` sent to its input `slot`, computed on demand; None where no gradient flows."""
        graph = self.graph
        op, inputs = graph.ops[node], graph.inputs[node]
        if op is None or not (self._wanted[node] and graph.sends(node, slot)):
            return None
        g, y, *numbers = map(np.array, [self._grads[node], self._values[node], *self._inputs(inputs)])
        with np.errstate(all="ignore"):
            return float(op.vjp(slot, g, y, numbers, graph.attrs[node]))

    def _inputs(self, inputs: tuple[int, ...]) -> list[float]:
        return [self._values[j] for j in inputs]

    def _leads_to_output(self) -> bytearray:
        graph = self.graph
        wanted = bytearray(len(graph))
        wanted[self.output] = graph.needs_grad[self.output]
        for i in range(self.output, -1, -1):
            if wanted[i]:
                for _, j in graph.receivers(i):
                    wanted[j] = 1
        return wanted

    def _compile(self) -> None:
        graph = self.graph
        known: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        partly = {node for node, _ in graph.cuts}
        for i, (op, inputs, attrs) in enumerate(zip(graph.ops, graph.inputs, graph.attrs, strict=True)):
            if op is None or i in graph.held:
                continue
            key = (op.name, len(inputs), repr(attrs)) if attrs else (op.name, len(inputs))
            if key not in known:
                known[key] = _formulas(op, len(inputs), attrs)
            count, forward, vjps = known[key]
            places = (inputs[0], inputs[-1]) if count != MANY else (inputs, 0)
            self._forward.append((count, forward, i, *places))
            if self._wanted[i] and i in partly:
                vjp = partial(_one_of, op, attrs)
                self._backward.append((SOME, vjp, graph.receivers(i), i, inputs, 0))
            elif self._wanted[i]:
                self._backward.append((SUM if op.name == "add" else count, *vjps, i, *places))
        self._backward.reverse()

    def _run(self, v: list[Any]) -> None:
        for count, f, i, a, b in self._forward:
            if count == TWO:
                v[i] = f(v[a], v[b])
            elif count == ONE:
                v[i] = f(v[a])
            else:
                v[i] = f(*[v[j] for j in a])
        self._grads = d = [0.0] * len(v)
        d[self.output] = type(v[0])(1.0)
        for count, to_a, to_b, i, a, b in self._backward:
            if count == SUM:
                g = d[i]
                d[a] += g
                d[b] += g
            elif count == TWO:
                g, y, p, q = d[i], v[i], v[a], v[b]
                d[a] += to_a(g, y, p, q)
                d[b] += to_b(g, y, p, q)
            elif count == ONE:
                d[a] += to_a(d[i], v[i], v[a])
            else:
                numbers = [v[j] for j in a]
                for slot, j in enumerate(a) if count == MANY else to_b:
                    d[j] += to_a(slot, d[i], v[i], numbers)


def _formulas(op: Any, inputs: int, attrs: dict[str, Any]) -> tuple[int, Any, tuple[Any, Any]]:
    """How many inputs, the forward function, and one function for each of two inputs or one for all."""
    forward = _floats(partial(op.forward, **attrs) if attrs else op.forward, inputs)
    if op.arity is None or inputs > TWO:
        return MANY, forward, (lambda slot, g, y, values: float(op.vjp(slot, g, y, values, attrs)), None)
    vjps = [_floats(partial(f, **attrs) if attrs else f, inputs + 2) for f in op.vjps[:inputs]]
    return inputs, forward, (vjps[0], vjps[-1])


def _one_of(op: Any, attrs: dict[str, Any], slot: int, g: Any, y: Any, values: list[Any]) -> float:
    """What one input gets, where the others may get nothing."""
    return float(op.vjp(slot, *map(np.float64, (g, y)), list(map(np.float64, values)), attrs))


def _floats(function: Callable[..., Any], inputs: int) -> Callable[..., Any]:
    """The function if it makes a float of floats by itself, else with its result made one."""
    if type(function(*[0.5] * inputs)) is float:
        return function
    return lambda *numbers: type(numbers[0])(function(*map(np.float64, numbers)))
