"""The recorded computation: a Graph of append-only columns and Tensor, the handle that points into it.

Recording is eager: applying an op computes its value at once and appends one row. Creation order is
therefore a topological order, so nothing here sorts or recurses. A recorded graph is a program: after a
leaf's value changed, `Graph.forward` and `Graph.backward` run it again with the same node identities.
Knows nothing of scenes, pictures or files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from autograd.analysis import Path
    from autograd.ops import Op

KINDS = ("parameter", "input", "target", "constant")
_TRAINABLE = ("parameter", "input")  # the kinds of leaf that get a gradient
_NO_ATTRS: dict[str, Any] = {}  # shared by all nodes without; attributes are never changed
_recording: list[Graph] = []


class Graph:
    """Every operation in the order in which it happened; column `c` of node `i` is `graph.c[i]`.

    Use it as a context manager to make it the graph that `tensor(...)` appends to.
    """

    def __init__(self) -> None:
        self.ops: list[Op | None] = []  # None for a leaf
        self.inputs: list[tuple[int, ...]] = []
        self.attrs: list[dict[str, Any]] = []
        self.names: list[str] = []
        self.kinds: list[str | None] = []  # None for the result of an op
        self.scopes: list[tuple[str, ...]] = []
        self.times: list[int | None] = []
        self.time_depths: list[int] = []  # how many parts of the scope lie outside the time step
        self.values: list[np.ndarray] = []
        self.grads: list[np.ndarray | None] = []
        self.contributions: list[tuple[np.ndarray | None, ...]] = []
        self.needs_grad: list[bool] = []
        self._handles: list[Tensor] = []
        self._scope: tuple[str, ...] = ()
        self._time: int | None = None
        self._time_depth = 0

    def __enter__(self) -> Graph:
        _recording.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _recording.pop()

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        leaves = sum(op is None for op in self.ops)
        return f"<Graph of {len(self)} nodes, {leaves} of them leaves>"

    @property
    def nodes(self) -> Sequence[Tensor]:
        """Handles of all nodes in recorded order."""
        return self._handles

    def named(self, name: str) -> Tensor:
        """The first node of that name; raises KeyError when there is none."""
        try:
            return self._handles[self.names.index(name)]
        except ValueError:
            raise KeyError(f"no node is named {name!r}") from None

    def leaves(self, *kinds: str) -> list[Tensor]:
        """Leaves of the given kinds (all kinds when none is given), in recorded order."""
        return [h for h in self._handles if self.ops[h.id] is None and (not kinds or h.kind in kinds)]

    def append(
        self,
        op: Op | None,
        inputs: tuple[int, ...],
        value: np.ndarray,
        attrs: dict[str, Any] | None = None,
        name: str = "",
        kind: str | None = None,
    ) -> Tensor:
        """Add one row and return its handle."""
        self.ops.append(op)
        self.inputs.append(inputs)
        self.attrs.append(_NO_ATTRS if attrs is None else attrs)
        self.names.append(name)
        self.kinds.append(kind)
        self.scopes.append(self._scope)
        self.times.append(self._time)
        self.time_depths.append(self._time_depth)
        self.values.append(value)
        self.grads.append(None)
        self.contributions.append(())
        if op is None:
            self.needs_grad.append(kind in _TRAINABLE)
        else:
            known = self.needs_grad
            known.append(any([known[i] for i in inputs]))
        handle = Tensor(self, len(self.inputs) - 1)
        self._handles.append(handle)
        return handle

    def describe(self, node: int) -> str:
        """How an error message calls a node: its name, or its op and number, with the shape."""
        op = self.ops[node]
        label = self.names[node] or f"{op.name if op else 'leaf'} #{node}"
        return f"{label} {self.values[node].shape}"

    def forward(self) -> None:
        """Compute every op again from the present values of the leaves."""
        values = self.values
        with np.errstate(all="ignore"):
            for i, op in enumerate(self.ops):
                if op is not None:
                    result = op.forward(*(values[j] for j in self.inputs[i]), **self.attrs[i])
                    values[i] = np.asarray(result, dtype=np.float64)

    def backward(self, output: Tensor | int, seed: Any = None) -> None:
        """Gradients of `output` with respect to every node, and what flowed over each edge.

        Replaces what an earlier call left. The gradient of a node is the sum of the contributions from
        its consumers, last recorded consumer first. Raises ValueError for a non-scalar output without seed.
        """
        out = output if isinstance(output, int) else output.id
        start = self._seed(out, seed)
        grads: list[np.ndarray | None] = [None] * len(self)
        self.contributions = [(None,) * len(inputs) for inputs in self.inputs]
        grads[out] = start
        with np.errstate(all="ignore"):
            for i in range(out, -1, -1):
                op, g = self.ops[i], grads[i]
                if g is None or op is None:
                    continue
                sent = self._send(i, op, g)
                self.contributions[i] = sent
                for j, contribution in zip(self.inputs[i], sent, strict=True):
                    if contribution is not None:
                        before = grads[j]
                        # never in place: `add` hands the same array to both of its inputs
                        grads[j] = contribution if before is None else before + contribution
        for i, needs in enumerate(self.needs_grad):
            if needs and grads[i] is None:
                grads[i] = np.zeros_like(self.values[i])
        self.grads = grads

    def _seed(self, out: int, seed: Any) -> np.ndarray:
        shape = self.values[out].shape
        if seed is None and self.values[out].size != 1:
            raise ValueError(
                f"backward needs a scalar output or a seed: {self.describe(out)} is not a scalar; "
                f"pass a seed of shape {shape}"
            )
        start = np.ones(shape) if seed is None else np.asarray(seed, dtype=np.float64)
        if start.shape != shape:
            raise ValueError(f"the seed has shape {start.shape}, the output {self.describe(out)}")
        return start

    def _send(self, i: int, op: Op, g: np.ndarray) -> tuple[np.ndarray | None, ...]:
        """What node `i` with gradient `g` sends to each of its inputs."""
        values = [self.values[j] for j in self.inputs[i]]
        return tuple(
            unbroadcast(np.asarray(op.vjp(k, g, self.values[i], values, self.attrs[i])), values[k].shape)
            if self.needs_grad[j]
            else None
            for k, j in enumerate(self.inputs[i])
        )

    def paths(self, source: Tensor | int, target: Tensor | int, k: int = 5) -> list[Path]:
        """The k strongest paths from source to target, strongest first; see `analysis.paths`."""
        from autograd.analysis import paths  # it reads graphs, so it can not be loaded before them

        return paths(self, source, target, k)

    def local_derivative(self, node: int, slot: int) -> np.ndarray | None:
        """∂y/∂input of an element-wise op, with the shape of the op's output; None for any other op."""
        op = self.ops[node]
        if op is None or not op.elementwise:
            return None
        values = [self.values[j] for j in self.inputs[node]]
        with np.errstate(all="ignore"):
            y = self.values[node]
            return np.asarray(op.vjp(slot, np.ones(y.shape), y, values, self.attrs[node])) + np.zeros(y.shape)


class Tensor:
    """A handle on one node of a graph: nothing but the graph and the node's number."""

    __slots__ = ("graph", "id")
    __array_priority__ = 1000  # ndarray + Tensor must come to Tensor.__radd__
    __array_ufunc__ = None

    def __init__(self, graph: Graph, id: int) -> None:
        self.graph = graph
        self.id = id

    @property
    def op(self) -> str:
        """Name of the op, `leaf` for a leaf."""
        op = self.graph.ops[self.id]
        return op.name if op else "leaf"

    @property
    def inputs(self) -> tuple[int, ...]:
        """Numbers of the nodes that this one was computed from, in the order of the op's arguments."""
        return self.graph.inputs[self.id]

    @property
    def attrs(self) -> dict[str, Any]:
        return self.graph.attrs[self.id]

    @property
    def name(self) -> str:
        return self.graph.names[self.id]

    @name.setter
    def name(self, name: str) -> None:
        self.graph.names[self.id] = name

    def named(self, name: str) -> Tensor:
        """Give the node a name and return the same handle."""
        self.name = name
        return self

    @property
    def kind(self) -> str | None:
        return self.graph.kinds[self.id]

    @property
    def scope(self) -> tuple[str, ...]:
        return self.graph.scopes[self.id]

    @property
    def time(self) -> int | None:
        return self.graph.times[self.id]

    @property
    def value(self) -> np.ndarray:
        return self.graph.values[self.id]

    @value.setter
    def value(self, value: Any) -> None:
        """Replace a leaf's value; the rest of the graph follows at the next `graph.forward()`."""
        if self.graph.ops[self.id] is not None:
            raise ValueError(f"{self.graph.describe(self.id)} is computed; only a leaf's value can be set")
        new = as_numbers(value)
        if new.shape != self.shape:
            raise ValueError(f"{self.graph.describe(self.id)} can not take a value of shape {new.shape}")
        self.graph.values[self.id] = new

    @property
    def grad(self) -> np.ndarray | None:
        """∂output/∂this after `backward`; None before it, and for what needs no gradient."""
        return self.graph.grads[self.id]

    @property
    def contributions(self) -> tuple[np.ndarray | None, ...]:
        """For each input, the gradient that flowed from this node to it."""
        return self.graph.contributions[self.id]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    def backward(self, seed: Any = None) -> None:
        self.graph.backward(self, seed)

    def __repr__(self) -> str:
        return f"<{self.op} {self.graph.describe(self.id)}>"

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[k] for k in range(len(self)))

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self.graph.describe(self.id)} has no truth value: a recorded graph can not branch on it"
        )

    # The operators are filled in by `ops`, where each op has its one definition.
    __add__: Callable[..., Any]
    __radd__: Callable[..., Any]
    __sub__: Callable[..., Any]
    __rsub__: Callable[..., Any]
    __mul__: Callable[..., Any]
    __rmul__: Callable[..., Any]
    __truediv__: Callable[..., Any]
    __rtruediv__: Callable[..., Any]
    __pow__: Callable[..., Any]
    __rpow__: Callable[..., Any]
    __matmul__: Callable[..., Any]
    __rmatmul__: Callable[..., Any]
    __neg__: Callable[..., Any]
    __getitem__: Callable[..., Any]
    __gt__: Callable[..., Any]
    __lt__: Callable[..., Any]
    __ge__: Callable[..., Any]
    __le__: Callable[..., Any]


def current_graph() -> Graph:
    """The graph that records now; raises ValueError outside of `with Graph():`."""
    if not _recording:
        raise ValueError("no graph is recording: make tensors inside `with Graph() as g:`")
    return _recording[-1]


def tensor(value: Any, name: str = "", kind: str = "parameter") -> Tensor:
    """A leaf with its own copy of `value` as float64. `kind`: parameter, input, target or constant."""
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is not one of {', '.join(KINDS)}")
    return current_graph().append(None, (), as_numbers(value), name=name, kind=kind)


def as_numbers(value: Any) -> np.ndarray:
    """A float64 copy; raises TypeError for None and texts, of which NumPy would make NaN and numbers."""
    if np.asarray(value).dtype.kind not in "biuf":
        raise TypeError(f"numbers are wanted, not {type(value).__name__}")
    return np.array(value, dtype=np.float64)


def scalars(value: Any, name: str = "", kind: str = "parameter") -> np.ndarray:
    """An object array of scalar tensors, so that a builder records one node per scalar operation.

    Elements are named `name[i,j]`; a scalar keeps `name`.
    """
    array = as_numbers(value)
    result = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        label = f"{name}[{','.join(map(str, index))}]" if name and index else name
        result[index] = tensor(array[index], label, kind)
    return result


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Nodes recorded inside belong to the part `name` of the enclosing scope."""
    graph = current_graph()
    outer = graph._scope
    graph._scope = (*outer, name)
    try:
        yield
    finally:
        graph._scope = outer


@contextmanager
def at_time(step: int) -> Iterator[None]:
    """Nodes recorded inside belong to time step `step` of the enclosing scope."""
    graph = current_graph()
    outer = graph._time, graph._time_depth
    graph._time, graph._time_depth = step, len(graph._scope)
    try:
        yield
    finally:
        graph._time, graph._time_depth = outer


def unbroadcast(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum a gradient over the axes along which NumPy stretched an operand of that shape."""
    if gradient.shape == shape:
        return gradient
    gradient = np.broadcast_to(gradient, np.broadcast_shapes(gradient.shape, shape))
    extra = gradient.ndim - len(shape)
    stretched = [extra + k for k, n in enumerate(shape) if n == 1 and gradient.shape[extra + k] != 1]
    return gradient.sum(axis=(*range(extra), *stretched), keepdims=True).reshape(shape)
