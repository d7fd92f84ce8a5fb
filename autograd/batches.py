"""Replay of scalar graphs by the hundred thousand: nodes of one op on one level are one NumPy call.

Values stand in one array, leaves first, then batch by batch; every edge has a row
of its own for the contribution that flows over it, and a gradient is pulled together from its rows. The
formulas are the ops' own, run on whole batches.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

from autograd.graph import Graph, Tensor
from autograd.plan import Call, Plan, Tape

NOTHING, SEED = 0, 1  # rows of the edges' array that are no edge: a zero, and the output's own gradient


class ScalarPlan:
    """Forward and backward pass of a graph of scalar nodes, in batches.

    `value(i)`, `grad(i)` and `contribution(i, slot)` read what the last run left for node i.
    """

    def __init__(self, graph: Graph, output: Tensor | int) -> None:
        self.graph = graph
        self.output = output if isinstance(output, int) else output.id
        count = len(graph)
        arity = np.fromiter(map(len, graph.inputs), np.int64, count)
        starts = np.concatenate([[0], np.cumsum(arity)])
        flat = np.fromiter(chain.from_iterable(graph.inputs), np.int64, int(starts[-1]))
        batch_of, kinds = _batches(graph, arity)
        order = np.argsort(batch_of, kind="stable")
        self._place = np.empty(count, np.int64)  # node -> row of the values
        self._place[order] = np.arange(count)
        self._values = np.fromiter(map(float, graph.values), np.float64, count)[order]
        self._edge = np.full(int(starts[-1]), NOTHING, np.int64)  # graph edge -> row of the contributions
        self._edge_starts = starts
        bounds = np.concatenate([[0], np.cumsum(np.bincount(batch_of, minlength=len(kinds)))])
        needs = np.fromiter(graph.needs_grad, bool, count)
        with np.errstate(all="ignore"):
            blocks = []
            rows = 2
            for b in range(1, len(kinds)):
                nodes = order[bounds[b] : bounds[b + 1]]
                inputs = flat[starts[nodes][None, :] + np.arange(arity[nodes[0]])[:, None]]
                blocks.append(_Block(graph, kinds[b], int(bounds[b]), nodes, inputs, rows))
                edges = starts[nodes][None, :] + np.arange(len(inputs))[:, None]
                self._edge[edges] = rows + np.arange(inputs.size).reshape(inputs.shape)
                rows += inputs.size
            self._edge[~needs[flat]] = NOTHING
            self._contributions = np.zeros(rows)
            self._contributions[SEED] = 1.0
            self._grads = np.zeros(count)
            self._forward = self._compile_forward(blocks)
            self._backward = self._compile_backward(blocks, flat, needs, bounds)
        self.run()

    def load(self) -> None:
        """Take over the present values of the graph's leaves."""
        for i, op in enumerate(self.graph.ops):
            if op is None:
                self._values[self._place[i]] = self.graph.values[i]

    def set(self, leaf: int, value: float) -> None:
        """Give one leaf another value; the rest follows at the next run."""
        self._values[self._place[leaf]] = value

    def run(self) -> None:
        """One forward and one backward pass."""
        with np.errstate(all="ignore"):
            for call, arguments in self._forward:
                call(*arguments)
            for call, arguments in self._backward:
                call(*arguments)

    def value(self, node: int) -> float:
        """What the last run computed for a node."""
        return float(self._values[self._place[node]])

    def grad(self, node: int) -> float | None:
        """Its gradient; None for a node that needs none."""
        return float(self._grads[self._place[node]]) if self.graph.needs_grad[node] else None

    def contribution(self, node: int, slot: int) -> float | None:
        """What `node` sent to its input `slot`; None where no gradient flows."""
        if not self.graph.needs_grad[self.graph.inputs[node][slot]]:
            return None
        return float(self._contributions[self._edge[self._edge_starts[node] + slot]])

    def _compile_forward(self, blocks: list[_Block]) -> list[Call]:
        tape = Tape()
        for block in blocks:
            block.gathered = [self._gathered(tape, self._values, self._place[row]) for row in block.slots()]
            block.out = self._values[block.first : block.first + block.size]
            if block.sums:
                tape.emit(np.add.reduce, (block.gathered[0], 0, None, block.out))
            else:
                tape.trace(block.forward, block.gathered, block.out)
        return tape.calls

    def _compile_backward(
        self, blocks: list[_Block], flat: np.ndarray, needs: np.ndarray, bounds: np.ndarray
    ) -> list[Call]:
        tape = Tape()
        pull = _Pull(self, flat, needs)
        for block in reversed(blocks):
            if not needs[block.nodes].any():
                continue
            g = self._grads[block.first : block.first + block.size]
            pull.emit(tape, block.nodes, g)
            sent = self._contributions[block.rows : block.rows + block.inputs.size].reshape(
                block.inputs.shape
            )
            if block.sums:
                tape.emit(np.positive, (g, sent))  # every term receives the gradient itself
                continue
            for slot in range(len(block.inputs)):
                if needs[block.inputs[slot]].any():
                    tape.trace(block.vjp(slot), [g, block.out, *block.gathered], sent[slot])
        leaves = np.flatnonzero(self._place < bounds[1])
        leaves = leaves[np.argsort(self._place[leaves])]
        pull.emit(tape, leaves, self._grads[: len(leaves)])
        return tape.calls

    def _gathered(self, tape: Tape, source: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Rows of an array in an order of one's own; a view where they stand in that order already."""
        if (
            index.ndim == 1
            and len(index)
            and np.array_equal(index, np.arange(index[0], index[0] + len(index)))
        ):
            return source[index[0] : index[0] + len(index)]
        out = source.take(index)
        tape.emit(source.take, (index, None, out, "clip"))
        return out


class _Block:
    """Nodes of one op on one level."""

    def __init__(
        self,
        graph: Graph,
        kind: tuple[Any, ...],
        first: int,
        nodes: np.ndarray,
        inputs: np.ndarray,
        rows: int,
    ) -> None:
        self.op = graph.ops[int(nodes[0])]
        self.attrs = graph.attrs[int(nodes[0])]
        self.first, self.nodes, self.inputs, self.rows = first, nodes, inputs, rows
        self.size = len(nodes)
        assert self.op is not None
        self.sums = self.op.arity is None  # an n-ary sum: all its slots are one matrix
        self.gathered: list[np.ndarray] = []
        self.out = np.empty(0)

    def slots(self) -> list[np.ndarray]:
        """Indices of what has to be gathered."""
        return [self.inputs] if self.sums else list(self.inputs)

    def forward(self, *values: Any) -> Any:
        assert self.op is not None
        return self.op.forward(*values, **self.attrs)

    def vjp(self, slot: int) -> Callable[..., Any]:
        op, attrs = self.op, self.attrs
        assert op is not None
        return lambda g, y, *values: op.vjp(slot, g, y, values, attrs)


class _Pull:
    """Which rows of contributions make up the gradient of which node."""

    def __init__(self, plan: ScalarPlan, flat: np.ndarray, needs: np.ndarray) -> None:
        self.plan = plan
        target = np.concatenate([flat[needs[flat]], [plan.output]])
        rows = np.concatenate([plan._edge[needs[flat]], [SEED]])
        order = np.lexsort((-rows, target))  # of one node, the last consumer first
        self.rows = rows[order]
        self.degree = np.bincount(target, minlength=len(needs))
        self.start = np.concatenate([[0], np.cumsum(self.degree)])[:-1]

    def emit(self, tape: Tape, nodes: np.ndarray, out: np.ndarray) -> None:
        """Calls that write the gradients of `nodes` to `out`."""
        degree = self.degree[nodes]
        lengths = np.maximum(degree, 1)  # a node to which nothing flows takes the zero
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        index = np.full(int(offsets[-1]), NOTHING, np.int64)
        within = np.arange(len(index)) - np.repeat(offsets[:-1], lengths)
        real = np.repeat(degree > 0, lengths)
        index[real] = self.rows[(np.repeat(self.start[nodes], lengths) + within)[real]]
        source = self.plan._contributions
        if np.all(lengths == 1):
            tape.emit(source.take, (index, None, out, "clip"))
            return
        gathered = np.empty(len(index))
        tape.emit(source.take, (index, None, gathered, "clip"))
        if np.all(lengths == lengths[0]):
            tape.emit(np.add.reduce, (gathered.reshape(-1, int(lengths[0])), 1, None, out))
        else:
            tape.emit(np.add.reduceat, (gathered, offsets[:-1], 0, None, out))


def compile_plan(graph: Graph, output: Tensor | int) -> Plan | ScalarPlan:
    """The plan that fits a graph: batches when every node is a scalar, else prepared calls one by one."""
    if all(value.ndim == 0 for value in graph.values):
        return ScalarPlan(graph, output)
    return Plan(graph, output)


def _batches(graph: Graph, arity: np.ndarray) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    """The batch of each node, and what the nodes of each batch have in common; leaves are batch 0."""
    kinds: dict[tuple[Any, ...], int] = {(): 0}
    levels = [0] * len(graph)
    keys: list[tuple[Any, ...]] = []
    for i, (op, inputs) in enumerate(zip(graph.ops, graph.inputs, strict=True)):
        if op is None:
            keys.append(())
            continue
        level = 1 + max([levels[j] for j in inputs])
        levels[i] = level
        attrs = graph.attrs[i]
        keys.append((level, op.name, len(inputs), repr(attrs)) if attrs else (level, op.name, len(inputs)))
    for key in sorted(set(keys) - {()}, key=lambda k: (k[0], repr(k))):
        kinds[key] = len(kinds)
    return np.array([kinds[k] for k in keys]), list(kinds)
