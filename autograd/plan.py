"""Plan: a recorded graph compiled once into a flat list of NumPy calls over arrays that stay where they are.

Nothing is defined twice: compiling runs each op's own forward and vjp once on proxies that note which ufuncs
they call, and gives every result a fixed array. Replaying is then a loop over prepared calls. Two things go
beyond that: the gradient of a matrix that is used many times is one product over all its uses at the end, and
what that product needs is computed into the rows of one array from the start.

A plan follows its graph's structure; after new nodes were recorded, compile again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from autograd.graph import Graph, Tensor, unbroadcast

Call = tuple[Callable[..., Any], tuple[Any, ...]]
DEFERRED_USES = 3  # a matrix that is used at least so often gets its gradient from one product
_PASSES_ON = ("add", "add_n")  # ops whose inputs receive the gradient itself
_VIEWS = frozenset(
    {"transpose", "reshape", "expand_dims", "swapaxes", "broadcast_to", "moveaxis", "squeeze", "ravel"}
)


class Plan:
    """Forward and backward pass of one graph and one scalar output, over arrays of its own.

    `values[i]` and `grads[i]` of node i are overwritten by every run; copy what is to be kept.
    """

    def __init__(self, graph: Graph, output: Tensor | int) -> None:
        self.graph = graph
        self.output = output if isinstance(output, int) else output.id
        if graph.values[self.output].size != 1:
            raise ValueError(f"a plan needs a scalar output, {graph.describe(self.output)} is none")
        self.values: list[np.ndarray] = []
        self.grads: list[np.ndarray | None] = [None] * len(graph)
        with np.errstate(all="ignore"):
            homes = _Homes(graph, self.output)
            forward = Tape()
            for i in range(len(graph)):
                self.values.append(self._compute(forward, i, homes))
            self._forward = forward.calls
            backward = Tape()
            _Backward(self, backward, homes).run()
            self._backward = backward.calls
        self.run()

    def load(self) -> None:
        """Take over the present values of the graph's leaves."""
        graph = self.graph
        for i, op in enumerate(graph.ops):
            if op is None:
                np.copyto(self.values[i], graph.values[i])

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

    def contribution(self, node: int, slot: int) -> np.ndarray | None:
        """What `node` sends to its input `slot`, computed on demand; None where no gradient flows."""
        graph, g = self.graph, self.grads[node]
        op, j = graph.ops[node], graph.inputs[node][slot]
        if op is None or g is None or not graph.needs_grad[j]:
            return None
        values = [self.values[k] for k in graph.inputs[node]]
        with np.errstate(all="ignore"):
            sent = op.vjp(slot, g, self.values[node], values, graph.attrs[node])
            return unbroadcast(np.asarray(sent), values[slot].shape)

    def _compute(self, tape: Tape, i: int, homes: _Homes) -> np.ndarray:
        graph, home = self.graph, homes.value(i)
        op = graph.ops[i]
        if i in homes.early:
            return homes.early[i].row(i, tape, self.values)
        if op is None:
            buffer = np.empty(graph.values[i].shape) if home is None else home
            np.copyto(buffer, graph.values[i])
            return buffer
        inputs = [self.values[j] for j in graph.inputs[i]]
        return tape.trace(lambda *xs: op.forward(*xs, **graph.attrs[i]), inputs, home)


class _Early:
    """Products of one matrix with leaves only: one product of matrices at the start, and one at the end."""

    def __init__(
        self, matrix: int, products: list[int], leaves: list[int], inputs: np.ndarray, rows: int
    ) -> None:
        self.matrix, self.products, self.leaves, self.inputs = matrix, products, leaves, inputs
        self.block = np.zeros((len(products), rows))
        self._emitted = False

    def row(self, product: int, tape: Tape, values: list[np.ndarray]) -> np.ndarray:
        """The value of one of the products; the first that is asked for has all of them computed."""
        if not self._emitted:
            tape.emit(np.dot, (self.inputs, values[self.matrix].T, self.block))
            self._emitted = True
        return self.block[self.products.index(product)]


class _Homes:
    """Rows of shared arrays for what the deferred products need: inputs of a matrix, and what flows back."""

    def __init__(self, graph: Graph, output: int) -> None:
        self.graph = graph
        self.consumers: list[list[int]] = [[] for _ in range(len(graph))]
        for v, inputs in enumerate(graph.inputs):
            for j in inputs:
                self.consumers[j].append(v)
        self.uses: dict[int, list[int]] = {}  # matrix -> the products that it is in
        for v, op in enumerate(graph.ops):
            if op is not None and op.name == "matmul" and v <= output and self._deferrable(v):
                self.uses.setdefault(graph.inputs[v][0], []).append(v)
        self.uses = {w: vs for w, vs in self.uses.items() if len(vs) >= DEFERRED_USES}
        deferred = list(self.uses.values())
        self._values = self._rows([[graph.inputs[v][1] for v in vs] for vs in deferred])
        self._grads = self._rows([[self._origin(v) for v in vs] for vs in deferred])
        self.early: dict[int, _Early] = {}
        for w, vs in self.uses.items():
            group = self._early(w, vs)
            if group is not None:
                self.early.update(dict.fromkeys(vs, group))

    def value(self, node: int) -> np.ndarray | None:
        """Where the value of a node has to be computed to; None for anywhere."""
        return self._values.get(node)

    def grad(self, node: int) -> np.ndarray | None:
        return self._grads.get(node)

    def _early(self, w: int, products: list[int]) -> _Early | None:
        graph = self.graph
        leaves = [graph.inputs[v][1] for v in products]
        alone = all(graph.ops[x] is None and len(self.consumers[x]) == 1 for x in leaves)
        if not alone or any(v in self._values for v in products):
            return None
        inputs = _consecutive([self._values[x] for x in leaves])
        return None if inputs is None else _Early(w, products, leaves, inputs, graph.values[w].shape[0])

    def _deferrable(self, v: int) -> bool:
        graph = self.graph
        w, x = graph.inputs[v]
        matrix = graph.ops[w] is None and graph.needs_grad[w] and graph.values[w].ndim == 2
        return matrix and graph.values[x].ndim == 1

    def _origin(self, v: int) -> int:
        """The node from which the gradient of v is handed on unchanged."""
        graph = self.graph
        while len(self.consumers[v]) == 1:
            c = self.consumers[v][0]
            op = graph.ops[c]
            if op is None or op.name not in _PASSES_ON or graph.values[c].shape != graph.values[v].shape:
                break
            v = c
        return v

    def _rows(self, groups: list[list[int]]) -> dict[int, np.ndarray]:
        """Nodes of groups that share members stand in one array, in recorded order."""
        pools: list[set[int]] = []
        for group in groups:
            joined = set(group)
            for pool in [p for p in pools if p & joined]:
                joined |= pool
                pools.remove(pool)
            pools.append(joined)
        rows = {}
        for pool in pools:
            members = sorted(pool)
            block = np.zeros((len(members), *self.graph.values[members[0]].shape))
            rows.update({node: block[k] for k, node in enumerate(members)})
        return rows


class _Backward:
    """Compiles the backward pass: every gradient is written once, from the contributions of its consumers."""

    def __init__(self, plan: Plan, tape: Tape, homes: _Homes) -> None:
        self.plan, self.tape, self.homes = plan, tape, homes
        self.graph = plan.graph
        # contributions that have been compiled: dense arrays, and arrays that belong to a part of the node
        self.dense: dict[int, list[np.ndarray]] = defaultdict(list)
        self.parts: dict[int, list[tuple[Any, np.ndarray]]] = defaultdict(list)
        self.products: dict[int, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
        self.early: dict[int, np.ndarray] = {}  # leaf -> gradient of the product that it is in

    def run(self) -> None:
        graph, plan = self.graph, self.plan
        self.dense[plan.output].append(np.ones(graph.values[plan.output].shape))
        for i in range(plan.output, -1, -1):
            g = self._gather(i)
            plan.grads[i] = g
            op = graph.ops[i]
            if g is None or op is None:
                continue
            for slot, j in enumerate(graph.inputs[i]):
                if graph.needs_grad[j]:
                    self._send(i, slot, j, g)
        for group in dict.fromkeys(self.homes.early.values()):
            self._send_early(group)
        for i, needs in enumerate(graph.needs_grad):
            if needs and plan.grads[i] is None:
                plan.grads[i] = np.zeros(graph.values[i].shape)

    def _send_early(self, group: _Early) -> None:
        """Gradients of all leaves that a matrix was multiplied with, as one product."""
        arrived = [(x, g) for x, g in self.early.items() if x in set(group.leaves)]
        if not arrived:
            return
        block = self._stacked([g for _, g in arrived])
        out = np.empty((len(arrived), self.graph.values[group.matrix].shape[1]))
        self.tape.emit(np.dot, (block, self.plan.values[group.matrix], out))
        for row, (x, _) in zip(out, arrived, strict=True):
            self.plan.grads[x] = row

    def _send(self, i: int, slot: int, j: int, g: np.ndarray) -> None:
        graph, values = self.graph, self.plan.values
        op = graph.ops[i]
        assert op is not None
        if slot == 0 and i in self.homes.uses.get(j, ()):
            self.products[j].append((g, values[graph.inputs[i][1]]))
        elif slot == 1 and i in self.homes.early:
            self.early[j] = g
        elif op.name == "getitem" and _is_basic(graph.attrs[i]["index"]):
            self.parts[j].append((graph.attrs[i]["index"], g))
        else:
            inputs = [values[k] for k in graph.inputs[i]]
            shape = graph.values[j].shape

            def vjp(g: Any, y: Any, *xs: Any) -> Any:
                return unbroadcast(op.vjp(slot, g, y, xs, graph.attrs[i]), shape)

            self.dense[j].append(self.tape.trace(vjp, [g, values[i], *inputs]))

    def _gather(self, i: int) -> np.ndarray | None:
        """The gradient of node i from everything that was sent to it; None when nothing was."""
        dense, parts, products = self.dense.pop(i, []), self.parts.pop(i, []), self.products.pop(i, [])
        if products:
            dense.append(self._product(products))
        home, shape = self.homes.grad(i), self.graph.values[i].shape
        if parts:
            return self._joined(dense, parts, np.empty(shape) if home is None else home)
        if not dense:
            return None
        if len(dense) == 1:
            return self.tape.at_home(dense[0], home)
        block = _consecutive(dense)
        total = np.empty(shape) if home is None else home
        if block is not None:
            self.tape.emit(np.add.reduce, (block, 0, None, total))
            return total
        self.tape.emit(np.add, (dense[0], dense[1], total))
        for more in dense[2:]:
            self.tape.emit(np.add, (total, more, total))
        return total

    def _joined(
        self, dense: list[np.ndarray], parts: list[tuple[Any, np.ndarray]], out: np.ndarray
    ) -> np.ndarray:
        """Gradients of slices put in their places."""
        covered = np.zeros(out.shape, dtype=int)
        for index, _ in parts:
            covered[index] += 1
        if np.all(covered == 1):
            for index, g in parts:
                self.tape.emit(np.positive, (g, _part(out, index)))
        else:
            self.tape.emit(out.fill, (0.0,))
            for index, g in parts:
                place = _part(out, index)
                self.tape.emit(np.add, (place, g, place))
        for more in dense:
            self.tape.emit(np.add, (out, more, out))
        return out

    def _product(self, pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Σ g xᵀ over all uses of a matrix as one product."""
        left = self._stacked([g for g, _ in pairs])
        right = self._stacked([x for _, x in pairs])
        out = np.empty((left.shape[1], right.shape[1]))
        self.tape.emit(np.dot, (left.T, right, out))
        return out

    def _stacked(self, rows: list[np.ndarray]) -> np.ndarray:
        block = _consecutive(rows)
        if block is not None:
            return block
        block = np.empty((len(rows), *rows[0].shape))
        for row, place in zip(rows, block, strict=True):
            self.tape.emit(np.positive, (row, place))
        return block


class Tape:
    """Calls in order, and who wrote and who read which array."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._writer: dict[int, int] = {}  # id of an array -> the call that writes it
        self._read: set[int] = set()
        self._kept: list[np.ndarray] = []  # so that no id is used again

    def emit(
        self, call: Callable[..., Any], arguments: tuple[Any, ...], out: np.ndarray | None = None
    ) -> None:
        """Add a call; `out` is the fresh array that it writes, when nothing else refers to it yet."""
        for a in arguments:
            if isinstance(a, np.ndarray) and a is not out:
                self.saw(a)
        if out is not None:
            self._writer[id(out)] = len(self.calls)
            self._kept.append(out)
        self.calls.append((call, arguments))

    def saw(self, array: np.ndarray) -> None:
        """Note that something reads an array, or a view of it."""
        self._read.add(id(array))
        self._kept.append(array)

    def trace(
        self, function: Callable[..., Any], arguments: Iterable[np.ndarray], home: np.ndarray | None = None
    ) -> np.ndarray:
        """Run a NumPy function on proxies; returns the array that holds its result from now on."""
        arrays = list(arguments)
        for a in arrays:  # the result may be one of them, or a view: they stay where they are
            self.saw(a)
        mark = len(self.calls)
        try:
            result = function(*(_Proxy(a, self) for a in arrays))
            array = result.array if isinstance(result, _Proxy) else np.array(result, dtype=np.float64)
        except _CanNotTrace:
            del self.calls[mark:]
            array = np.array(function(*arrays), dtype=np.float64)
            self.emit(_call_into, (function, tuple(arrays), array), array)
        if array.dtype != np.float64:
            exact = array.astype(np.float64)
            self.emit(np.copyto, (exact, array), exact)
            array = exact
        return self.at_home(array, home)

    def at_home(self, array: np.ndarray, home: np.ndarray | None) -> np.ndarray:
        """Have a result in a given place: written there at once where that is possible, else copied."""
        if home is None or array is home:
            return array
        writer = self._writer.get(id(array))
        if writer is not None and id(array) not in self._read:
            call, arguments = self.calls[writer]
            self.calls[writer] = call, tuple(home if a is array else a for a in arguments)
            del self._writer[id(array)]
            np.copyto(home, array)
        else:
            np.copyto(home, array)
            self.emit(np.positive, (array, home))
        return home


class _CanNotTrace(Exception):
    """A formula did something that a proxy does not know; it is then called as it stands."""


class _Proxy(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an array while a formula is traced: computes for real, and notes every call."""

    __array_priority__ = 2000

    def __init__(self, array: np.ndarray, tape: Tape) -> None:
        self.array = array
        self.tape = tape

    shape = property(lambda self: self.array.shape)
    ndim = property(lambda self: self.array.ndim)
    size = property(lambda self: self.array.size)
    dtype = property(lambda self: self.array.dtype)
    T = property(lambda self: self._view(self.array.T))

    def __len__(self) -> int:
        return len(self.array)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise _CanNotTrace

    def __bool__(self) -> bool:
        raise _CanNotTrace

    def __float__(self) -> float:
        raise _CanNotTrace

    def __iter__(self) -> Any:
        raise _CanNotTrace

    def __getitem__(self, index: Any) -> _Proxy:
        if not _is_basic(index):
            raise _CanNotTrace
        return self._view(self.array[index])

    def reshape(self, *shape: Any) -> _Proxy:
        return self._view(self.array.reshape(*shape))

    def sum(self, axis: Any = None, keepdims: bool = False) -> _Proxy:
        return self._reduce(np.add, axis, keepdims)

    def _view(self, array: Any) -> _Proxy:
        if not isinstance(array, np.ndarray) or not np.may_share_memory(array, self.array):
            raise _CanNotTrace
        self.tape.saw(self.array)
        return _Proxy(array, self.tape)

    def _reduce(self, ufunc: np.ufunc, axis: Any, keepdims: bool) -> _Proxy:
        out = np.asarray(ufunc.reduce(self.array, axis=axis, keepdims=keepdims))
        self.tape.emit(ufunc.reduce, (self.array, axis, None, out, keepdims), out)
        return _Proxy(out, self.tape)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        arrays = [x.array if isinstance(x, _Proxy) else np.asarray(x) for x in inputs]
        if method == "outer" and not kwargs:
            a, b = arrays
            arrays = [a.reshape(a.shape + (1,) * b.ndim), b.reshape((1,) * a.ndim + b.shape)]
            self.tape.saw(a)
            self.tape.saw(b)
        elif method == "reduce":
            known = {"axis", "keepdims"}
            if kwargs.keys() - known:
                raise _CanNotTrace
            return self._reduce(ufunc, kwargs.get("axis", 0), kwargs.get("keepdims", False))
        elif method != "__call__" or kwargs or ufunc.nout != 1:
            raise _CanNotTrace
        out = np.asarray(ufunc(*arrays))
        call: Callable[..., Any] = ufunc
        if ufunc is np.matmul and all(1 <= a.ndim <= 2 for a in arrays):
            call = np.dot  # the same product, at little more than half the price of a call
        if ufunc in (np.maximum, np.minimum):  # these two want their output by name
            self.tape.emit(_named_out, (ufunc, *arrays, out), out)
        else:
            self.tape.emit(call, (*arrays, out), out)
        return _Proxy(out, self.tape)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = function.__name__
        if name in _VIEWS and isinstance(args[0], _Proxy):
            return self._view(function(args[0].array, *args[1:], **kwargs))
        if name == "sum" and isinstance(args[0], _Proxy) and len(args) == 1:
            return args[0]._reduce(np.add, kwargs.get("axis"), kwargs.get("keepdims", False))
        if name == "size":
            return args[0].size
        if name == "where" and len(args) == 3:
            arrays = [x.array if isinstance(x, _Proxy) else np.asarray(x) for x in args]
            out = np.where(*arrays)
            self.tape.emit(_where_into, (*arrays, out), out)
            return _Proxy(out, self.tape)
        raise _CanNotTrace


def _named_out(ufunc: np.ufunc, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    ufunc(a, b, out=out)


def _where_into(condition: np.ndarray, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    np.copyto(out, b)
    np.copyto(out, a, where=condition)


def _call_into(function: Callable[..., Any], arguments: tuple[np.ndarray, ...], out: np.ndarray) -> None:
    np.copyto(out, function(*arguments))


def _is_basic(index: Any) -> bool:
    """Whether an index takes a view: slices and whole numbers."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(isinstance(p, slice | int | np.integer | type(None) | type(Ellipsis)) for p in parts)


def _part(array: np.ndarray, index: Any) -> np.ndarray:
    """The view that a basic index takes, also where NumPy would take a plain number."""
    parts = index if isinstance(index, tuple) else (index,)
    return array[parts] if any(p is Ellipsis for p in parts) else array[(*parts, Ellipsis)]


def _consecutive(rows: list[np.ndarray]) -> np.ndarray | None:
    """The block whose rows these are, in their order or its reverse; None when they are scattered."""
    base = rows[0].base
    if not isinstance(base, np.ndarray) or base.ndim != rows[0].ndim + 1 or base.shape[1:] != rows[0].shape:
        return None
    if any(r.base is not base or r.shape != rows[0].shape or not r.flags.c_contiguous for r in rows):
        return None
    stride = base.strides[0]
    start = base.__array_interface__["data"][0]
    places = [(r.__array_interface__["data"][0] - start) // stride for r in rows]
    steps = set(np.diff(places))
    if len(rows) == 1 or steps == {1}:
        return base[places[0] : places[-1] + 1]
    if steps == {-1}:
        return base[places[-1] : places[0] + 1][::-1]
    return None
