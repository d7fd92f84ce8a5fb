"""Many backward passes at once: a stack of gradients goes back through a trace in one sweep.

A stack has one row per seed. Contributions per loss, Jacobians of states and the search for strong paths
are all made of it. Reads the trace's arrays only, never what a later replay puts into the graph.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from autograd import Graph, Trace
from autograd.graph import unbroadcast

Progress = Callable[[float], None]  # told the share that is done; raises Cancelled to stop the work
Stack = np.ndarray  # (rows, *shape of a node)
FEW = 8  # rows that are not worth a detour
NARROW = 2  # so many times as many rows as there are elements to go through are worth to be mixed
BLOCK = 128  # rows that are multiplied at once
_NAME = re.compile(r"(.+)_(\d+)(\[[\d,]+\])?")


class Cancelled(Exception):
    """Somebody no longer wants the answer."""


class Wiring:
    """A graph's structure in plain lists, and which of its nodes stand for one quantity at several times."""

    def __init__(self, graph: Graph) -> None:
        self.size = len(graph)
        self.ops = list(graph.ops)
        self.inputs: list[tuple[int, ...]] = list(graph.inputs)
        self.names: list[str] = list(graph.names)
        self.times: list[int | None] = list(graph.times)
        self.needs: list[bool] = [bool(n) for n in graph.needs_grad]
        self.consumers: list[list[int]] = [[] for _ in range(self.size)]
        for i, inputs in enumerate(self.inputs):
            for j in dict.fromkeys(inputs):
                self.consumers[j].append(i)
        self.stops = [i for i, op in enumerate(self.ops) if op is not None and op.name == "stop_gradient"]
        self.cuts = {(i, k) for i, k in graph.cuts if i not in graph.held}
        self.receivers = [graph.receivers(i) for i in range(self.size)]
        self.uncut = self._uncut(graph)
        self.quantities = self._quantities()
        self.states = tuple(base for base, steps in self.quantities.items() if self._goes_on(steps))

    @property
    def truncated(self) -> bool:
        """Whether a gradient is stopped somewhere, by the scene or by the user."""
        return bool(self.stops or self.cuts)

    def _uncut(self, graph: Graph) -> list[list[tuple[int, int]]]:
        """`receivers` if the user had cut no edge."""
        if not self.cuts:
            return self.receivers
        needs = [bool(n) if op is None else False for op, n in zip(self.ops, self.needs, strict=True)]
        found: list[list[tuple[int, int]]] = []
        for i, inputs in enumerate(self.inputs):
            found.append([] if i in graph.held else [(k, j) for k, j in enumerate(inputs) if needs[j]])
            needs[i] = needs[i] or bool(found[i])
        return found

    def _quantities(self) -> dict[str, dict[int, tuple[int, ...]]]:
        """`h` -> time -> its nodes (several in scalar form): names like h_3 or h_3[0] that get a gradient.

        The initial value, h_0 outside of all time steps, counts as time 0; of equal names the first counts.
        """
        found: dict[str, dict[int, list[int]]] = {}
        timed: set[str] = set()
        seen: set[str] = set()
        for i, name in enumerate(self.names):
            match = _NAME.fullmatch(name) if name and name not in seen and self.needs[i] else None
            if match is None:
                continue
            base, index = match[1], int(match[2])
            if self.times[i] == index or (self.times[i] is None and index == 0):
                seen.add(name)
                found.setdefault(base, {}).setdefault(index, []).append(i)
                if self.times[i] is not None:
                    timed.add(base)
        return {
            base: {t: tuple(steps[t]) for t in sorted(steps)}
            for base, steps in found.items()
            if base in timed
        }

    def _goes_on(self, steps: dict[int, tuple[int, ...]]) -> bool:
        """Whether a quantity is handed from one time step to another: a state of the network."""
        for time, nodes in steps.items():
            for node in nodes if time else ():
                if self.ops[node] is None:
                    continue
                for consumer in self.consumers[node]:
                    ends = self.consumers[consumer] if consumer in self.stops else [consumer]
                    if any(self.times[end] not in (None, time) for end in ends):
                        return True
        return False


_wirings: WeakKeyDictionary[Graph, Wiring] = WeakKeyDictionary()


def wiring(graph: Graph) -> Wiring:
    """The structure of a graph, made once."""
    known = _wirings.get(graph)
    if known is None or known.size != len(graph):
        known = _wirings[graph] = Wiring(graph)
    return known


def leading_to(wires: Wiring, sources: Collection[int], last: int) -> bytearray:
    """1 for every node up to `last` that depends on one of the sources, themselves included."""
    below = bytearray(last + 1)
    for i in sources:
        if i <= last:
            below[i] = 1
    for i in range(min(sources, default=0), last + 1):
        if not below[i]:
            for j in wires.inputs[i]:
                if below[j]:
                    below[i] = 1
                    break
    return below


def sweep(
    trace: Trace,
    seeds: Sequence[tuple[int, Stack]],
    wanted: Collection[int],
    *,
    through_cuts: bool = False,
    progress: Progress | None = None,
) -> dict[int, Stack]:
    """Gradients at the `wanted` nodes: row r of a stack is what one backward pass from seed row r brings.

    `seeds` are (node, rows to start with there), by falling node number; their rows are numbered in this
    order. A node that only the first k seed rows reach has a stack of k rows. With `through_cuts` the
    gradient passes where the engine stops it, as if nothing was truncated.
    """
    if not seeds or not wanted:
        return {}
    wires = wiring(trace.graph)
    receivers = wires.uncut if through_cuts else wires.receivers
    first, last = min(wanted), seeds[0][0]
    below = leading_to(wires, wanted, last)
    starts, keep = dict(seeds), set(wanted)
    stacks: dict[int, Stack] = {}
    own: set[int] = set()  # whose stacks are sums that nobody else holds
    kept: dict[int, Stack] = {}
    mixed, rows = _Mixed(), 0
    with np.errstate(all="ignore"):
        for i in range(last, first - 1, -1):
            if progress is not None and i % 64 == 0:
                progress(1.0 - (i - first) / max(last - first, 1))
            if i in keep and mixed.narrow(stacks, rows):
                rows = mixed.width
            stack = stacks.pop(i) if i in stacks else None
            if i in starts:
                stack = _begin(stack, rows, starts[i])
                rows = len(stack)
            if stack is None:
                continue
            if i in keep:
                kept[i] = mixed.whole(stack)
            for slot, j in receivers[i]:
                if below[j]:
                    sent = stack_sent(trace, i, slot, stack, through_cuts=through_cuts)
                    before = stacks.get(j)
                    if before is None:
                        stacks[j] = sent
                    elif j in own and len(before) >= len(sent):
                        before[: len(sent)] += sent
                    else:
                        stacks[j] = _sum(before, sent)
                        own.add(j)
    return kept


class _Mixed:
    """Rows as sums of fewer ones, so that what many have in common goes back once.

    Behind a narrow place, such as the states that one time step hands to the one before, thousands of rows
    are sums of as many as the place has elements.
    """

    def __init__(self) -> None:
        self.shares: np.ndarray | None = None  # (rows that were mixed, rows that they are sums of)

    @property
    def width(self) -> int:
        return 0 if self.shares is None else self.shares.shape[1]

    def narrow(self, stacks: dict[int, Stack], rows: int) -> bool:
        """Start anew with a unit row per element of `stacks`, if these are few and every row is in each."""
        sizes = {j: stack[0].size for j, stack in stacks.items()}
        wide = sum(sizes.values())
        if not stacks or rows <= NARROW * wide or any(len(stack) != rows for stack in stacks.values()):
            return False
        flat = [stack.reshape(rows, -1) for stack in stacks.values()]
        shares = self.whole(np.concatenate(flat, axis=1))
        if not np.all(np.isfinite(shares)):  # 0 × ∞ would spoil the others
            return False
        self.shares = shares
        units = np.eye(wide)
        ends = np.cumsum(list(sizes.values())).tolist()
        for (j, stack), end in zip(list(stacks.items()), ends, strict=True):
            stacks[j] = units[:, end - sizes[j] : end].reshape(wide, *stack.shape[1:])
        return True

    def whole(self, stack: Stack) -> Stack:
        """A stack with every row that it stands for."""
        if self.shares is None:
            return stack
        flat = stack.reshape(len(stack), -1)
        mixed = _times(self.shares[:, : len(stack)], flat[: self.width])
        return np.concatenate([mixed, flat[self.width :]]).reshape(-1, *stack.shape[1:])


def stack_sent(trace: Trace, node: int, slot: int, stack: Stack, *, through_cuts: bool = False) -> Stack:
    """What `node` sends to one input for each row of a stack; (rows, *shape of that input)."""
    wires = wiring(trace.graph)
    op = wires.ops[node]
    assert op is not None
    if op.name == "stop_gradient":
        return stack if through_cuts else 0.0 * stack
    y, attrs = trace.values[node], trace.graph.attrs[node]
    values = [trace.values[j] for j in wires.inputs[node]]
    shape, rows = values[slot].shape, len(stack)
    if op.elementwise:
        if rows > FEW:  # one product for all rows, whatever the op's own formula takes
            slope = np.asarray(op.vjp(slot, np.ones(y.shape), y, values, attrs))
            sent = stack if np.all(slope == 1.0) else stack * slope
        else:
            sent = np.asarray(op.vjp(slot, stack, y, values, attrs))
        if sent.shape == (rows, *shape):
            return sent
        sent = np.broadcast_to(sent, (rows, *y.shape))
        return unbroadcast(sent, (rows, *(1,) * (y.ndim - len(shape)), *shape)).reshape(rows, *shape)
    if op.name == "getitem" and _is_basic(attrs["index"]):
        out = np.zeros((rows, *shape))
        index = attrs["index"] if isinstance(attrs["index"], tuple) else (attrs["index"],)
        out[(slice(None), *index)] = stack
        return out
    if op.name == "matmul" and y.ndim:
        a, b = values
        if b.ndim == 1 and a.ndim == 2:
            return _times(stack, a) if slot else stack[:, :, None] * b
        if a.ndim == 1 and b.ndim == 2:
            return a[:, None] * stack[:, None, :] if slot else _times(stack, b.T)
        if a.ndim == 2 and b.ndim == 2:
            return a.T @ stack if slot else stack @ b.T

    def sends(g: np.ndarray) -> np.ndarray:
        return unbroadcast(np.asarray(op.vjp(slot, g, y, values, attrs), dtype=np.float64), shape)

    if rows <= y.size:
        return np.stack([sends(row) for row in stack]) if rows else np.zeros((0, *shape))
    matrix = np.stack([sends(unit.reshape(y.shape)).ravel() for unit in np.eye(y.size)])  # it is linear in g
    return _times(stack.reshape(rows, -1), matrix).reshape(rows, *shape)


def _is_basic(index: Any) -> bool:
    """Whether an index takes no element twice: whole numbers and slices, no arrays."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is Ellipsis or isinstance(part, int | np.integer | slice) for part in parts)


def _times(stack: Stack, matrix: np.ndarray) -> Stack:
    """`stack @ matrix`, in blocks too small to be shared out among threads, which wait for busy cores."""
    blocks = len(stack) // BLOCK
    out = np.empty((len(stack), matrix.shape[1]))
    cut, wide = blocks * BLOCK, stack.shape[1]
    if blocks:
        np.matmul(stack[:cut].reshape(blocks, BLOCK, wide), matrix, out[:cut].reshape(blocks, BLOCK, -1))
    out[cut:] = stack[cut:] @ matrix
    return out


def _begin(stack: Stack | None, row: int, seed: Stack) -> Stack:
    """A node's stack with its own seed's rows from `row` on, behind those that have come."""
    if stack is None and row == 0:
        return seed
    out = np.zeros((row + len(seed), *seed.shape[1:]))
    if stack is not None:
        out[: len(stack)] = stack
    out[row:] = seed
    return out


def _sum(a: Stack, b: Stack) -> Stack:
    """Both together, the shorter one with zeros in its missing rows. Neither is changed: they are shared."""
    if len(a) == len(b):
        return a + b
    if len(a) < len(b):
        a, b = b, a
    out = a.copy()
    out[: len(b)] += b
    return out


def norms(stack: Stack) -> np.ndarray:
    """Euclidean norm of every row; squares neither overflow nor vanish."""
    flat = np.reshape(stack, (len(stack), -1))
    with np.errstate(all="ignore"):
        square = np.einsum("ij,ij->i", flat, flat)
        far = (square < 1e-250) | (square > 1e250)
        result = np.sqrt(square)
        if far.any():
            top = np.max(np.abs(flat[far]), axis=1, initial=0.0)
            safe = np.where((top > 0) & np.isfinite(top), top, 1.0)
            result[far] = np.where(safe == top, top * np.linalg.norm(flat[far] / safe[:, None], axis=1), top)
    return result
