"""Plan: a recorded graph compiled once into a flat list of NumPy calls over arrays that stay where they are.

Compiling runs each op's own forward and vjp on a `Tape`, which writes down their NumPy calls, and has calls
of one kind merged. Two things are decided here: how the gradient of a node is gathered from its consumers,
and that the gradient of a matrix that is used many times is one product over all its uses.

A plan follows its graph's structure; after new nodes were recorded, compile again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd.graph import Graph, Tensor, unbroadcast
from autograd.merging import merge
from autograd.tape import Rows, Tape, is_basic, part_of, stacked_product

DEFERRED_USES = 3  # a matrix that is used at least so often gets its gradient from one product
Everything = tuple["Snapshot", "Snapshot"]  # values, gradients
_Pair = tuple[np.ndarray, np.ndarray]
_Place = tuple[int, int, tuple[int, ...]]  # begin, end, shape


class Snapshot(Sequence[Any]):
    """One array, or None, for every node, as they were at one moment; parts of `flat`, when asked for."""

    def __init__(self, flat: np.ndarray, places: Sequence[_Place | None]) -> None:
        """`places` has for every node where its part begins and ends, and its shape."""
        self.flat = flat
        self.flat.flags.writeable = False  # a part is no copy
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, node: Any) -> Any:
        if isinstance(node, slice):
            return [self[i] for i in range(*node.indices(len(self)))]
        place = self._places[node]
        if place is None:
            return None
        begin, end, shape = place
        return self.flat[begin:end].reshape(shape)


class _Scalars(Sequence[Any]):
    """Places of scalars that stand one after the other; `needed` says of each whether there is one."""

    def __init__(self, needed: Sequence[int]) -> None:
        self._needed = needed

    def __len__(self) -> int:
        return len(self._needed)

    def __getitem__(self, node: Any) -> Any:
        i = node if node >= 0 else node + len(self)
        return (i, i + 1, ()) if self._needed[i] else None


def scalar_snapshots(values: np.ndarray, grads: np.ndarray, needs_grad: bytearray) -> Everything:
    """Snapshots of a scalar graph, from the numbers of all nodes. They keep the arrays."""
    needed = np.frombuffer(needs_grad, np.bool_)
    return Snapshot(values, _Scalars(b"\1" * len(values))), Snapshot(
        np.where(needed, grads, 0.0), _Scalars(bytes(needs_grad))
    )


def places_of(arrays: Sequence[np.ndarray | None]) -> list[_Place | None]:
    """Where each of some arrays stands when they stand one after the other."""
    places: list[_Place | None] = []
    end = 0
    for array in arrays:
        begin, end = end, end + (0 if array is None else array.size)
        places.append(None if array is None else (begin, end, array.shape))
    return places


class Plan:
    """Forward and backward pass of one graph and one scalar output, over arrays of its own.

    `values[i]` and `grads[i]` of node i are overwritten by every run; copy what is to be kept.
    """

    def __init__(self, graph: Graph, output: Tensor | int) -> None:
        self.graph = graph
        self.output = output if isinstance(output, int) else output.id
        if graph.values[self.output].size != 1:
            raise ValueError(f"a plan needs a scalar output, {graph.describe(self.output)} is none")
        with np.errstate(all="ignore"):
            forward = Tape()
            values = _compile_forward(graph, forward)
            backward = Tape(after=forward)
            grads = _Backward(graph, self.output, values, backward).run()
            known = [*values, *(g for g in grads if g is not None)]
            (self._forward, self._backward), now = merge([forward, backward], known)
            self.values: list[np.ndarray] = [now(v) for v in values]
            self.grads: list[np.ndarray | None] = [None if g is None else now(g) for g in grads]
        self._present = [g for g in self.grads if g is not None]
        self._places = places_of(self.values), places_of(self.grads)
        self.run()

    def load(self) -> None:
        """Take over the present values of the graph's leaves, and of what is held."""
        for i in self.graph.given():
            np.copyto(self.values[i], self.graph.values[i])

    def forward(self) -> None:
        """Compute every op again from the leaves in `values`."""
        with np.errstate(all="ignore"):
            for call, arguments in self._forward:
                call(*arguments)

    def backward(self) -> None:
        """Compute every gradient again; `forward` has to have run."""
        with np.errstate(all="ignore"):
            for call, arguments in self._backward:
                call(*arguments)

    def run(self) -> None:
        """One forward and one backward pass."""
        with np.errstate(all="ignore"):
            for call, arguments in self._forward:
                call(*arguments)
            for call, arguments in self._backward:
                call(*arguments)

    def set(self, leaf: int, value: Any) -> None:
        """Give one leaf another value; the rest follows at the next run. ValueError for a wrong shape."""
        new = np.asarray(value, dtype=np.float64)
        if self.graph.ops[leaf] is not None:
            raise ValueError(f"{self.graph.describe(leaf)} is computed; only a leaf's value can be set")
        if new.shape != self.values[leaf].shape:
            raise ValueError(f"{self.graph.describe(leaf)} can not take a value of shape {new.shape}")
        np.copyto(self.values[leaf], new)

    def value(self, node: int) -> np.ndarray:
        """What the last run computed for a node; a copy."""
        return self.values[node].copy()

    def grad(self, node: int) -> np.ndarray | None:
        """Its gradient, a copy; None for a node that needs none or that the output does not depend on."""
        g = self.grads[node]
        return None if g is None else g.copy()

    def everything(self) -> Everything:
        """Copies of the values and of the gradients of all nodes."""
        values, grads = self._places
        flat = np.concatenate(self._present, axis=None) if self._present else np.empty(0)
        return Snapshot(np.concatenate(self.values, axis=None), values), Snapshot(flat, grads)

    def contribution(self, node: int, slot: int) -> np.ndarray | None:
        """What `node` sends to its input `slot`, computed on demand; None where no gradient flows."""
        graph, g = self.graph, self.grads[node]
        op, inputs = graph.ops[node], graph.inputs[node]
        if op is None or g is None or not graph.sends(node, slot):
            return None
        values = [self.values[k] for k in inputs]
        with np.errstate(all="ignore"):
            return op.sends(slot, g, self.values[node], values, graph.attrs[node])


def _compile_forward(graph: Graph, tape: Tape) -> list[np.ndarray]:
    """The value of every node, an array that the calls on the tape write."""
    values: list[np.ndarray] = []
    for i, (op, inputs, attrs) in enumerate(zip(graph.ops, graph.inputs, graph.attrs, strict=True)):
        if op is None or i in graph.held:
            values.append(np.array(graph.values[i]))
        elif op.name == "add_n" and len(inputs) > 2 and len({values[j].shape for j in inputs}) == 1:
            values.append(_sum_of([values[j] for j in inputs], tape))
        else:
            forward = op.forward
            values.append(
                tape.trace(lambda *xs, f=forward, a=attrs: f(*xs, **a), [values[j] for j in inputs])
            )
    return values


def _sum_of(arrays: Sequence[np.ndarray], tape: Tape) -> np.ndarray:
    total = np.add.reduce(np.stack(arrays), 0)
    total = np.asarray(total)
    tape.emit(np.add.reduce, (Rows(arrays), 0, None, total, False), total)
    return total


class _Backward:
    """Compiles the backward pass: every gradient is written once, from the contributions of its consumers."""

    def __init__(self, graph: Graph, output: int, values: list[np.ndarray], tape: Tape) -> None:
        self.graph, self.output, self.values, self.tape = graph, output, values, tape
        self.inputs, self.attrs = list(graph.inputs), graph.attrs
        self.deferred = self._often_used()
        # contributions that have been compiled: arrays, arrays that belong to a part of the node, and factors
        self.dense: dict[int, list[np.ndarray]] = defaultdict(list)
        self.parts: dict[int, list[tuple[Any, np.ndarray]]] = defaultdict(list)
        self.products: dict[int, list[_Pair]] = defaultdict(list)

    def run(self) -> list[np.ndarray | None]:
        graph = self.graph
        grads: list[np.ndarray | None] = [None] * len(graph)
        self.dense[self.output].append(np.ones(self.values[self.output].shape))
        for i in range(self.output, -1, -1):
            g = grads[i] = self._gather(i)
            if g is None or graph.ops[i] is None:
                continue
            for slot, j in graph.receivers(i):
                self._send(i, slot, j, g)
        for i, needs in enumerate(graph.needs_grad):
            if needs and grads[i] is None:
                grads[i] = np.zeros(self.values[i].shape)
        return grads

    def _often_used(self) -> set[int]:
        """Matrices whose gradient is put together at the end."""
        uses: dict[int, int] = defaultdict(int)
        for i, inputs in enumerate(self.inputs):
            for slot, j in enumerate(inputs):
                if self._factors(i, slot, j, None) is not None:
                    uses[j] += 1
        return {j for j, count in uses.items() if count >= DEFERRED_USES}

    def _factors(self, i: int, slot: int, j: int, g: np.ndarray | None) -> _Pair | None:
        """Two arrays (..., m) and (..., n) whose product leftᵀ right is what a matrix (m, n) receives."""
        graph = self.graph
        op = graph.ops[i]
        if op is None or op.name != "matmul" or graph.ops[j] is not None or self.values[j].ndim != 2:
            return None
        other = self.values[self.inputs[i][1 - slot]]
        known = np.empty(0) if g is None else g
        if slot == 0:
            return (known, other) if other.ndim == 1 else None
        return (other, known) if other.ndim <= 2 else None

    def _send(self, i: int, slot: int, j: int, g: np.ndarray) -> None:
        op, attrs = self.graph.ops[i], self.attrs[i]
        assert op is not None
        pair = self._factors(i, slot, j, g) if j in self.deferred else None
        if pair is not None:
            self.products[j].append(pair)
        elif op.name == "getitem" and is_basic(attrs["index"]):
            self.parts[j].append((attrs["index"], g))
        else:

            def vjp(g: Any, y: Any, *xs: Any) -> Any:
                return unbroadcast(op.vjp(slot, g, y, xs, attrs), xs[slot].shape)

            inputs = [self.values[k] for k in self.inputs[i]]
            self.dense[j].append(self.tape.trace(vjp, [g, self.values[i], *inputs]))

    def _gather(self, i: int) -> np.ndarray | None:
        """The gradient of node i from everything that was sent to it; None when nothing was."""
        dense, parts, products = self.dense.pop(i, []), self.parts.pop(i, []), self.products.pop(i, [])
        if products:
            dense.append(self._product(products))
        if parts:
            dense.append(self._joined(parts, np.empty(self.values[i].shape)))
        if not dense:
            return None
        if len(dense) > 2:
            return _sum_of(dense, self.tape)
        if len(dense) == 1:
            return dense[0]
        total = np.asarray(dense[0] + dense[1])
        self.tape.emit(np.add, (*dense, total), total)
        return total

    def _joined(self, parts: list[tuple[Any, np.ndarray]], out: np.ndarray) -> np.ndarray:
        """Gradients of slices put in their places."""
        covered = np.zeros(out.shape, dtype=int)
        for index, _ in parts:
            covered[index] += 1
        once = bool(np.all(covered == 1))
        if not once:
            out.fill(0.0)
            self.tape.emit(np.copyto, (out, self.tape.number(0.0)), out)
        for index, g in parts:
            place = part_of(out, index)
            if once:
                np.copyto(place, g)
                self.tape.emit(np.positive, (g, place), place, part=True)
            else:
                place += g
                self.tape.emit(np.add, (place, g, place), place)
        return out

    def _product(self, pairs: list[_Pair]) -> np.ndarray:
        """The gradient of a matrix: one product over all its uses, or as many as there are kinds of use."""
        kinds: dict[tuple[Any, ...], list[_Pair]] = defaultdict(list)
        for left, right in pairs:
            kinds[left.shape, right.shape].append((left, right))
        found = []
        for group in kinds.values():
            lefts, rights = Rows(a for a, _ in group), Rows(b for _, b in group)
            m, n = lefts[0].shape[-1], rights[0].shape[-1]
            out = np.zeros((m, n))
            for a, b in group:
                out += a.reshape(-1, m).T @ b.reshape(-1, n)
            self.tape.emit(stacked_product, (lefts, rights, out), out)
            found.append(out)
        return found[0] if len(found) == 1 else _sum_of(found, self.tape)
