"""Replay of scalar graphs by the hundred thousand: nodes of one op on one level are one NumPy call.

Values stand in one array, leaves first, then batch by batch. Every edge has a row of its own for the
contribution that flows over it, but where an op hands its gradient on as it is, as a sum does; a gradient is
pulled together from these rows and from such gradients. The formulas are the ops' own, run on whole batches.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np

from autograd.graph import Graph, Tensor
from autograd.narrow import NarrowPlan
from autograd.plan import Everything, Plan, scalar_snapshots
from autograd.tape import Bound, Tape

NOTHING, SEED = 0, 1  # rows of the flows that are no edge: a zero, and the output's own gradient
NARROW = 16  # with fewer nodes to a batch, calling NumPy costs more than it saves


class ScalarPlan:
    """Forward and backward pass of a graph of scalar nodes, in batches.

    `value(i)`, `grad(i)` and `contribution(i, slot)` read what the last run left for node i.
    """

    def __init__(self, graph: Graph, output: Tensor | int, batches: _Batches | None = None) -> None:
        self.graph = graph
        self.output = output if isinstance(output, int) else output.id
        values = graph.scalar_values()
        if values is None:
            raise ValueError("a plan in batches is for graphs of scalar nodes")
        batches = batches or _Batches(graph)
        needs = np.array(graph.needs_grad, dtype=bool)
        sending = needs[batches.edges]  # of every edge, whether a gradient goes along it
        for node, slot in graph.cuts:
            sending[batches.starts[node] + slot] = False
        self._wanted = needs & _leads_to(self.output, batches, sending if graph.cuts else None)
        self._place = np.empty(len(graph), np.int32)  # node -> row of the values
        self._place[batches.order] = np.arange(len(graph))
        self._values = values[batches.order]
        self._leaves = int(batches.bounds[1])
        blocks, rows = [], 2
        for first, last in zip(batches.bounds[1:-1], batches.bounds[2:], strict=True):
            nodes = batches.order[first:last]
            arity = batches.starts[nodes[0] + 1] - batches.starts[nodes[0]]
            at = batches.starts[nodes] + np.arange(arity)[:, None]
            blocks.append(_Block(graph, int(first), nodes, batches.edges[at], sending[at], rows))
            rows = blocks[-1].end
        self._layout = [(block.first, tuple(block.rows)) for block in blocks]
        # what flows back: contributions of edges, and behind them the gradients of all nodes
        self._flows = np.zeros(rows + len(graph))
        self._flows[SEED] = 1.0
        self._grads = self._flows[rows:]
        recipes = _Recipes()
        with np.errstate(all="ignore"):
            self._forward = self._compile_forward(blocks, recipes)
            self._backward = self._compile_backward(blocks, recipes)
        self.run()

    def load(self) -> None:
        """Take over the present values of the graph's leaves, and of what is held."""
        for i in self.graph.given():
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

    def everything(self) -> Everything:
        """The values and the gradients of all nodes, as arrays of shape ()."""
        values, grads = self._values[self._place], self._grads[self._place]
        return scalar_snapshots(values, grads, self.graph.needs_grad)

    def contribution(self, node: int, slot: int) -> float | None:
        """What `node` sent to its input `slot`; None where no gradient flows."""
        if not (self._wanted[node] and self.graph.sends(node, slot)):
            return None
        place = int(self._place[node])
        first, rows = self._layout[bisect_right(self._layout, place, key=itemgetter(0)) - 1]
        start = rows[min(slot, len(rows) - 1)]
        return float(self._grads[place] if start is None else self._flows[start + place - first])

    def _compile_forward(self, blocks: list[_Block], recipes: _Recipes) -> list[Bound]:
        calls: list[Bound] = []
        scratch = np.empty(max((block.inputs.size for block in blocks if block.sums), default=0))
        for block in blocks:
            block.out = self._values[block.first : block.first + block.size]
            if block.sums:
                terms = self._gathered(calls, self._place[block.inputs.reshape(-1)], scratch)
                calls.append((np.add.reduce, (terms.reshape(block.inputs.shape), 0, None, block.out)))
            else:
                block.gathered = [self._gathered(calls, self._place[nodes]) for nodes in block.inputs]
                calls += recipes.forward(block)
        return calls

    def _compile_backward(self, blocks: list[_Block], recipes: _Recipes) -> list[Bound]:
        calls: list[Bound] = []
        pull = _Pull(self, blocks)
        for block in reversed(blocks):
            if not self._wanted[block.nodes].any():
                continue
            g = self._grads[block.first : block.first + block.size]
            pull.emit(calls, block.nodes, g)
            for slot, start in enumerate(block.rows):
                if start is not None and block.sends[slot].any():
                    calls += recipes.backward(block, slot, g, self._flows[start : start + block.size])
        leaves = np.empty(self._leaves, np.int64)
        at = np.flatnonzero(self._place < self._leaves)
        leaves[self._place[at]] = at
        pull.emit(calls, leaves, self._grads[: self._leaves])
        return calls

    def _gathered(
        self, calls: list[Bound], index: np.ndarray, scratch: np.ndarray | None = None
    ) -> np.ndarray:
        """Values in an order of one's own; a view where they stand in that order already."""
        first, last = int(index[0]), int(index[-1])
        if last - first == len(index) - 1 and np.all(index[1:] - index[:-1] == 1):
            return self._values[first : last + 1]
        wide = index.astype(np.intp)
        out = np.empty(len(wide)) if scratch is None else scratch[: len(wide)]
        calls.append((self._values.take, (wide, None, out, "clip")))
        return out


class _Batches:
    """Which nodes are computed together: `order[bounds[b] : bounds[b + 1]]`, leaves first."""

    def __init__(self, graph: Graph) -> None:
        self.edges, self.starts = graph.edges()
        count = len(graph)
        levels = _levels(self.edges.tolist(), self.starts.tolist())
        levels[list(graph.held)] = 0
        kind = np.unique(np.fromiter(map(id, graph.ops), np.int64, count), return_inverse=True)[1]
        arity = np.diff(self.starts)
        kind = kind * (int(arity.max(initial=0)) + 1) + arity
        with_attrs = [(i, repr(graph.attrs[i])) for i in graph.with_attrs()]
        if with_attrs:
            among = {text: k for k, text in enumerate(sorted({text for _, text in with_attrs}), 1)}
            kind = kind * (len(among) + 1)
            for i, text in with_attrs:
                kind[i] += among[text]
        kind[levels == 0] = 0
        key = levels * (int(kind.max(initial=0)) + 1) + kind
        self.order = np.argsort(key, kind="stable")
        ordered = key[self.order]
        self.bounds = np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, [count]])

    @property
    def width(self) -> float:
        """Mean number of nodes in a batch."""
        return len(self.order) / max(len(self.bounds) - 2, 1)


def _levels(edges: list[int], starts: list[int]) -> np.ndarray:
    """Length of the longest way from a leaf to each node."""
    levels: list[int] = []
    at = 0
    for end in starts[1:]:
        if end == at:
            levels.append(0)
        elif end == at + 2:
            a, b = levels[edges[at]], levels[edges[at + 1]]
            levels.append((a if a > b else b) + 1)
        else:
            levels.append(1 + max([levels[j] for j in edges[at:end]]))
        at = end
    return np.array(levels)


def _leads_to(output: int, batches: _Batches, sending: np.ndarray | None) -> np.ndarray:
    """Whether the output depends on each node; over sending edges alone where not all of them are."""
    count = len(batches.starts) - 1
    if sending is None:
        consumed = np.bincount(batches.edges, minlength=count) > 0
        consumed[output] = True
        if output == count - 1 and consumed.all():
            return consumed
    found = np.zeros(count, bool)
    found[output] = True
    for i in range(output, -1, -1):
        if found[i]:
            edges = slice(batches.starts[i], batches.starts[i + 1])
            found[batches.edges[edges] if sending is None else batches.edges[edges][sending[edges]]] = True
    return found


class _Block:
    """Nodes of one op on one level."""

    def __init__(
        self, graph: Graph, first: int, nodes: np.ndarray, inputs: np.ndarray, sends: np.ndarray, rows: int
    ) -> None:
        op = graph.ops[int(nodes[0])]
        assert op is not None
        self.op, self.attrs = op, graph.attrs[int(nodes[0])]
        self.first, self.nodes = first, nodes
        self.inputs, self.sends = inputs, sends  # (slots, nodes): from where, and whether gradient goes there
        self.size = len(nodes)
        self.sums = op.name == "add_n"  # all its slots are one matrix
        # of each slot the first row of its contributions; None where the gradient itself is handed on
        self.rows: list[int | None] = []
        for slot in range(1 if self.sums else len(inputs)):
            g, *others = (np.ones(1) for _ in range(len(inputs) + 2))
            handed_on = op.vjp(slot, g, others[0], others[1:], self.attrs) is g
            self.rows.append(None if handed_on else rows)
            rows += 0 if handed_on else self.size
        self.end = rows
        self.gathered: list[np.ndarray] = []
        self.out = np.empty(0)


class _Recipes:
    """The NumPy calls of each formula: traced once on small arrays, then bound to those of every block."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[list[Bound], list[np.ndarray]]] = {}

    def forward(self, block: _Block) -> list[Bound]:
        op, attrs = block.op, block.attrs
        formula = lambda *xs: op.forward(*xs, **attrs)  # noqa: E731
        return self._bound((op.name, repr(attrs)), formula, block.gathered, block.out)

    def backward(self, block: _Block, slot: int, g: np.ndarray, out: np.ndarray) -> list[Bound]:
        op, attrs = block.op, block.attrs
        formula = lambda g, y, *xs: op.vjp(slot, g, y, xs, attrs)  # noqa: E731
        return self._bound((op.name, repr(attrs), slot), formula, [g, block.out, *block.gathered], out)

    def _bound(
        self, key: tuple[Any, ...], formula: Callable[..., Any], arrays: list[np.ndarray], out: np.ndarray
    ) -> list[Bound]:
        if key not in self._known:
            tape, samples = Tape(), [np.full(2, 0.5) for _ in range(len(arrays) + 1)]
            tape.trace(formula, samples[:-1], samples[-1])
            self._known[key] = [(c.function, c.arguments) for c in tape.calls], samples
        calls, samples = self._known[key]
        new = {id(old): array for old, array in zip(samples, [*arrays, out], strict=True)}

        def replaced(x: Any) -> Any:
            if isinstance(x, tuple):
                return tuple(map(replaced, x))
            if not isinstance(x, np.ndarray) or x.ndim == 0:
                return x
            if id(x) not in new:  # an intermediate result
                new[id(x)] = np.empty(out.shape, x.dtype)
            return new[id(x)]

        return [(function, tuple(map(replaced, arguments))) for function, arguments in calls]


class _Pull:
    """Which rows of contributions make up the gradient of which node."""

    def __init__(self, plan: ScalarPlan, blocks: list[_Block]) -> None:
        self.source = plan._flows
        grads = len(plan._flows) - len(plan._grads)
        found = [np.array([[plan.output], [SEED]])]  # who receives, and from which row
        for block in blocks:
            at = np.arange(block.size)
            for slot, inputs in enumerate(block.inputs):
                start = block.rows[min(slot, len(block.rows) - 1)]
                flows = block.sends[slot] & plan._wanted[block.nodes]
                rows = at + (grads + block.first if start is None else start)
                found.append(np.stack([inputs, rows])[:, flows])
        target, rows = np.concatenate(found, axis=1)[:, ::-1]  # of one node, the last consumer first
        self.rows = rows[np.argsort(target, kind="stable")]
        self.degree = np.bincount(target, minlength=len(plan.graph))
        self.start = np.concatenate([[0], np.cumsum(self.degree)])[:-1]
        self._scratch = np.empty(0)

    def emit(self, calls: list[Bound], nodes: np.ndarray, out: np.ndarray) -> None:
        """Calls that write the gradients of `nodes` to `out`."""
        degree, start = self.degree[nodes], self.start[nodes]
        if degree.min() == degree.max() == 1:
            calls.append((self.source.take, (self.rows[start], None, out, "clip")))
            return
        lengths = np.maximum(degree, 1)  # a node to which nothing flows takes the zero
        offsets = np.cumsum(lengths) - lengths
        index = np.full(int(lengths.sum()), NOTHING, np.int64)
        within = np.arange(len(index)) - np.repeat(offsets, lengths)
        real = np.repeat(degree > 0, lengths)
        index[real] = self.rows[(np.repeat(start, lengths) + within)[real]]
        if len(index) > len(self._scratch):
            self._scratch = np.empty(len(index))
        gathered = self._scratch[: len(index)]
        calls.append((self.source.take, (index, None, gathered, "clip")))
        if np.all(lengths == lengths[0]):
            calls.append((np.add.reduce, (gathered.reshape(-1, int(lengths[0])), 1, None, out)))
        else:
            calls.append((np.add.reduceat, (gathered, offsets, 0, None, out)))


AnyPlan = Plan | ScalarPlan | NarrowPlan


def compile_plan(graph: Graph, output: Tensor | int) -> AnyPlan:
    """The plan that fits a graph: for scalars batches, or one by one where a batch would be a handful."""
    if graph.scalar_values() is None:
        return Plan(graph, output)
    batches = _Batches(graph)
    return NarrowPlan(graph, output) if batches.width < NARROW else ScalarPlan(graph, output, batches)
