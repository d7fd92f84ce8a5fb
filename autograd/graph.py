"""The recorded computation: a Graph of append-only columns and Tensor, the handle that points into it.

Recording is eager: applying an op computes its value at once and appends one row. Creation order is
therefore a topological order, so nothing here sorts or recurses. A recorded graph is a program: after a
leaf's value changed, `Graph.forward` and `Graph.backward` run it again with the same node identities.
Knows nothing of scenes, pictures or files.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from autograd.analysis import Path
    from autograd.ops import Op

KINDS = ("parameter", "input", "target", "constant")
_TRAINABLE = ("parameter", "input")  # the kinds of leaf that get a gradient
_NO_ATTRS: dict[str, Any] = {}  # shared by all nodes without; attributes are never changed
_recording: list[Graph] = []
T = TypeVar("T")


class Column(Sequence[T], Generic[T]):
    """One column of a graph, read like a list: how it is stored is the graph's affair."""

    __slots__ = ("_get", "_graph")

    def __init__(self, graph: Graph, get: Callable[[int], T]) -> None:
        self._graph = graph
        self._get = get

    def __len__(self) -> int:
        return len(self._graph)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self._get(k) for k in range(*i.indices(len(self)))]
        if i < 0:
            i += len(self)
        if not 0 <= i < len(self):
            raise IndexError(f"there is no node {i} in a graph of {len(self)} nodes")
        return self._get(i)

    def __iter__(self) -> Iterator[T]:
        return map(self._get, range(len(self)))


class Graph:
    """Every operation in the order in which it happened; column `c` of node `i` is `graph.c[i]`.

    Use it as a context manager to make it the graph that `tensor(...)` appends to. A scalar costs a few dozen
    bytes: its value is eight bytes, its inputs stand in one array of all edges, and what most nodes lack (a
    name, attributes) takes no room.
    """

    def __init__(self) -> None:
        self.ops: list[Op | None] = []  # None for a leaf
        self.needs_grad = bytearray()
        self.held: frozenset[int] = frozenset()  # nodes that `altered` gave a value of its own
        self.frozen: frozenset[int] = frozenset()  # leaves that it took the gradient from
        # (node, slot) that send nothing; those of `held` too
        self.cuts: frozenset[tuple[int, int]] = frozenset()
        self._edges = array("i")  # inputs of all nodes
        self._ends = array("i", [0])  # those of node i are _edges[_ends[i] : _ends[i + 1]]
        self._scalars = array("d")  # values of shape (); where it is another, the value is in _tensors
        self._tensors: dict[int, np.ndarray] = {}
        self._adopted: Sequence[np.ndarray] | None = None  # values of what is computed, where a plan did it
        self._grads: Sequence[np.ndarray | None] = []
        self._contributions: Sequence[tuple[np.ndarray | None, ...]] = []
        self._attrs: dict[int, dict[str, Any]] = {}
        self.renamings = 0  # how often a node was given a name after it was recorded
        self._names: dict[int, str] = {}
        self._kinds: dict[int, str] = {}
        self._places = array("i")  # node -> its row in _known_places
        self._known_places: dict[tuple[tuple[str, ...], int | None, int], int] = {}
        self._listed_places: list[tuple[tuple[str, ...], int | None, int]] = []
        self._go_to((), None, 0)
        places, listed = self._places, self._listed_places
        edges, ends = self._edges, self._ends
        self.inputs: Column[tuple[int, ...]] = Column(self, lambda i: tuple(edges[ends[i] : ends[i + 1]]))
        self.attrs: Column[dict[str, Any]] = Column(self, lambda i: self._attrs.get(i, _NO_ATTRS))
        self.names: Column[str] = Column(self, lambda i: self._names.get(i, ""))
        self.kinds: Column[str | None] = Column(self, self._kinds.get)  # None for the result of an op
        self.scopes: Column[tuple[str, ...]] = Column(self, lambda i: listed[places[i]][0])
        self.times: Column[int | None] = Column(self, lambda i: listed[places[i]][1])
        # how many parts of the scope lie outside the time step
        self.time_depths: Column[int] = Column(self, lambda i: listed[places[i]][2])
        self.values: Column[np.ndarray] = Column(self, self._value)
        self.nodes: Column[Tensor] = Column(self, lambda i: Tensor(self, i))  # handles in recorded order

    def __enter__(self) -> Graph:
        _recording.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _recording.pop()

    def __len__(self) -> int:
        return len(self.ops)

    def __repr__(self) -> str:
        leaves = sum(op is None for op in self.ops)
        return f"<Graph of {len(self)} nodes, {leaves} of them leaves>"

    @property
    def grads(self) -> list[np.ndarray | None]:
        """∂output/∂node after `backward`; None before it and for what needs no gradient."""
        grads = self._grads if isinstance(self._grads, list) else list(self._grads)
        grads.extend([None] * (len(self) - len(grads)))
        self._grads = grads
        return grads

    @property
    def contributions(self) -> Sequence[tuple[np.ndarray | None, ...]]:
        """What flowed from each node to its inputs in `backward`; () before it."""
        missing = len(self) - len(self._contributions)
        if missing:
            self._contributions = [*self._contributions, *[()] * missing]
        return self._contributions

    def named(self, name: str) -> Tensor:
        """The first node of that name; raises KeyError when there is none."""
        found = [i for i, known in self._names.items() if known == name]
        if not found:
            raise KeyError(f"no node is named {name!r}")
        return Tensor(self, min(found))

    def leaves(self, *kinds: str) -> list[Tensor]:
        """Leaves of the given kinds (all kinds when none is given), in recorded order."""
        return [Tensor(self, i) for i, kind in self._kinds.items() if not kinds or kind in kinds]

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """The inputs of all nodes one after the other, and where those of each node begin (one more at the
        end)."""
        return np.array(self._edges, dtype=np.int64), np.array(self._ends, dtype=np.int64)

    def sends(self, node: int, slot: int) -> bool:
        """Whether a gradient that arrives at `node` goes on to its input `slot`."""
        return bool(self.needs_grad[self._edges[self._ends[node] + slot]]) and (node, slot) not in self.cuts

    def receivers(self, node: int) -> list[tuple[int, int]]:
        """(slot, input) of every input that a gradient of `node` goes on to."""
        needs, cuts = self.needs_grad, self.cuts
        inputs = enumerate(self._edges[self._ends[node] : self._ends[node + 1]])
        if cuts:
            return [(k, j) for k, j in inputs if needs[j] and (node, k) not in cuts]
        return [(k, j) for k, j in inputs if needs[j]]

    def given(self) -> Iterator[int]:
        """Nodes whose value does not follow from others: leaves, and what is held."""
        yield from self._kinds
        yield from self.held

    def places(self) -> tuple[list[tuple[tuple[str, ...], int | None, int]], np.ndarray]:
        """The places where nodes were recorded, as (scope, time step, parts of the scope outside the time
        step), and the number of each node's place."""
        return list(self._listed_places), np.array(self._places, dtype=np.int64)

    def scalar_values(self) -> np.ndarray | None:
        """The values of all nodes, shape (N,), when every one is a scalar; else None."""
        self._settle()
        return None if self._tensors else np.array(self._scalars)

    def with_attrs(self) -> list[int]:
        """Numbers of the nodes that have attributes."""
        return list(self._attrs)

    def append(
        self,
        op: Op | None,
        inputs: tuple[int, ...],
        value: float | np.ndarray,
        attrs: dict[str, Any] | None = None,
        name: str = "",
        kind: str | None = None,
    ) -> Tensor:
        """Add one row and return its handle."""
        i = len(self.ops)
        self.ops.append(op)
        self._edges.extend(inputs)
        self._ends.append(len(self._edges))
        if isinstance(value, np.ndarray) and value.ndim:
            self._tensors[i] = value
            self._scalars.append(0.0)
        else:
            self._scalars.append(float(value))
        self._places.append(self._place)
        known = self.needs_grad
        if op is None:
            known.append(kind in _TRAINABLE)
        else:
            needs = known[inputs[0]] or known[inputs[-1]]
            known.append(1 in [known[j] for j in inputs] if not needs and len(inputs) > 2 else needs)
        if attrs:
            self._attrs[i] = attrs
        if name:
            self._names[i] = name
        if kind:
            self._kinds[i] = kind
        return Tensor(self, i)

    def _value(self, i: int) -> np.ndarray:
        """A value as an array; that of a scalar can not be written to, as it would change nothing."""
        if self._adopted is not None and i < len(self._adopted) and self.ops[i] is not None:
            return self._adopted[i]
        found = self._tensors.get(i)
        if found is None:
            found = np.array(self._scalars[i])
            found.flags.writeable = False
        return found

    def _set(self, i: int, value: np.ndarray) -> None:
        """Replace a value by one of the same shape."""
        if self.ops[i] is not None:
            self._settle()
        if value.ndim:
            self._tensors[i] = value
        else:
            self._scalars[i] = float(value)

    def _settle(self) -> None:
        """Have values of its own again, not those that a plan keeps."""
        if self._adopted is not None:
            values, self._adopted = self._adopted, None
            for i, value in enumerate(values):
                if self.ops[i] is not None:
                    self._set(i, value)

    def _go_to(self, scope: tuple[str, ...], time: int | None, time_depth: int) -> None:
        """What is recorded from now on belongs to that scope and time step."""
        self._here = (scope, time, time_depth)
        self._place = self._known_places.setdefault(self._here, len(self._known_places))
        if self._place == len(self._listed_places):
            self._listed_places.append(self._here)

    def describe(self, node: int) -> str:
        """How an error message calls a node: its name, or its op and number, with the shape."""
        op = self.ops[node]
        label = self.names[node] or f"{op.name if op else 'leaf'} #{node}"
        return f"{label} {self.values[node].shape}"

    def forward(self) -> None:
        """Compute every op again from the present values of the leaves."""
        values = list(self.values)
        with np.errstate(all="ignore"):
            for i, (op, inputs, attrs) in enumerate(zip(self.ops, self.inputs, self.attrs, strict=True)):
                if op is not None:
                    result = np.asarray(op.forward(*[values[j] for j in inputs], **attrs), dtype=np.float64)
                    values[i] = result
                    self._set(i, result)

    def adopt(
        self,
        values: Sequence[np.ndarray],
        grads: Sequence[np.ndarray | None],
        contributions: Sequence[tuple[np.ndarray | None, ...]],
    ) -> None:
        """Take over what a plan of this graph computed: one entry per node, asked for when it is needed."""
        for i in self._kinds:
            self._set(i, values[i].copy())  # a leaf may be written to in place
        self._adopted, self._grads, self._contributions = values, grads, contributions

    def altered(
        self,
        clamps: Mapping[int, np.ndarray] | None = None,
        cuts: Collection[tuple[int, int]] = (),
        frozen: Collection[int] = (),
    ) -> Graph:
        """The same rows under the same numbers, with some of what happens changed.

        A node in `clamps` is held at a value whatever its inputs are, and sends nothing back. No gradient
        flows over a cut edge, (consumer, slot), as if that input stood in `stop_gradient`. A frozen leaf gets
        no gradient. Values are those of the present until `forward`. Raises ValueError for what can not be
        held, cut or frozen.
        """
        from autograd.ops import OPS  # it records into graphs, so it can not be loaded before them

        clamps = clamps or {}
        self._settle()
        for node, slot in cuts:
            if not (0 <= node < len(self) and 0 <= slot < len(self.inputs[node])):
                raise ValueError(f"there is no edge ({node}, {slot}) to cut")
        for leaf in frozen:
            if not (0 <= leaf < len(self) and self.ops[leaf] is None):
                raise ValueError(f"node {leaf} is no leaf that could be frozen")
        other = Graph()
        other.ops = list(self.ops)
        other._edges.extend(self._edges)
        other._ends.extend(self._ends[1:])
        other._scalars.extend(self._scalars)
        other._places.extend(self._places)
        other._tensors = {i: v.copy() if self.ops[i] is None else v for i, v in self._tensors.items()}
        other._attrs, other._names = dict(self._attrs), dict(self._names)
        other._kinds.update(self._kinds)
        other._known_places = dict(self._known_places)
        other._listed_places[:] = self._listed_places
        for node in clamps:
            if not 0 <= node < len(self) or self.ops[node] is None:
                raise ValueError(f"node {node} is not computed; only what an op computes can be held")
            other.ops[node] = OPS["clamp"]
        other.held, other.frozen = frozenset(clamps), frozenset(frozen)
        other.cuts = frozenset(cuts) | {(i, k) for i in clamps for k in range(len(self.inputs[i]))}
        for node, value in clamps.items():
            other.hold(node, value)
        for i, op in enumerate(other.ops):
            known = other.needs_grad
            known.append(bool(other.receivers(i)) if op else i not in frozen and self.needs_grad[i])
        return other

    def hold(self, node: int, value: Any) -> None:
        """Give a held node another value; the rest follows at the next `forward`. ValueError: wrong shape."""
        new = as_numbers(value)
        if node not in self.held or new.shape != self.values[node].shape:
            raise ValueError(f"{self.describe(node)} can not be held at a value of shape {new.shape}")
        self._attrs[node] = {"value": new}
        self._set(node, new)

    @contextmanager
    def preserved(self) -> Iterator[None]:
        """Afterwards, values, gradients and contributions are what they were before."""
        before = self._scalars[:], dict(self._tensors), self._adopted, self._grads, self._contributions
        try:
            yield
        finally:
            self._scalars, self._tensors, self._adopted, self._grads, self._contributions = before

    def backward(self, output: Tensor | int, seed: Any = None) -> None:
        """Gradients of `output` with respect to every node, and what flowed over each edge.

        Replaces what an earlier call left. The gradient of a node is the sum of the contributions from
        its consumers, last recorded consumer first. Raises ValueError for a non-scalar output without seed.
        """
        out = output if isinstance(output, int) else output.id
        start = self._seed(out, seed)
        grads: list[np.ndarray | None] = [None] * len(self)
        contributions: list[tuple[np.ndarray | None, ...]] = [(None,) * len(js) for js in self.inputs]
        grads[out] = start
        with np.errstate(all="ignore"):
            for i in range(out, -1, -1):
                op, g = self.ops[i], grads[i]
                if g is None or op is None:
                    continue
                sent = self._send(i, op, g)
                contributions[i] = sent
                for j, contribution in zip(self.inputs[i], sent, strict=True):
                    if contribution is not None:
                        before = grads[j]
                        # never in place: `add` hands the same array to both of its inputs
                        grads[j] = contribution if before is None else before + contribution
        for i, needs in enumerate(self.needs_grad):
            if needs and grads[i] is None:
                grads[i] = np.zeros_like(self.values[i])
        self._grads, self._contributions = grads, contributions

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
        inputs, y, attrs = self.inputs[i], self.values[i], self.attrs[i]
        values = [self.values[j] for j in inputs]
        sent: list[np.ndarray | None] = [None] * len(inputs)
        for k, _ in self.receivers(i):
            sent[k] = op.sends(k, g, y, values, attrs)
        return tuple(sent)

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
        self.graph._names[self.id] = name
        self.graph.renamings += 1

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
        self.graph._set(self.id, new)

    @property
    def grad(self) -> np.ndarray | None:
        """∂output/∂this after `backward`; None before it, and for what needs no gradient."""
        grads = self.graph._grads
        return grads[self.id] if self.id < len(grads) else None

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

    def __eq__(self, other: object) -> bool:
        """Whether both point to the same node; numbers are compared with `<` and its kin."""
        return isinstance(other, Tensor) and self.id == other.id and self.graph is other.graph

    def __hash__(self) -> int:
        return hash((id(self.graph), self.id))

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
    new = as_numbers(value)
    return current_graph().append(None, (), new if new.ndim else float(new), name=name, kind=kind)


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
    parts, time, depth = outer = graph._here
    graph._go_to((*parts, name), time, depth)
    try:
        yield
    finally:
        graph._go_to(*outer)


@contextmanager
def at_time(step: int) -> Iterator[None]:
    """Nodes recorded inside belong to time step `step` of the enclosing scope."""
    graph = current_graph()
    outer = graph._here
    parts = outer[0]
    graph._go_to(parts, step, len(parts))
    try:
        yield
    finally:
        graph._go_to(*outer)


def unbroadcast(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum a gradient over the axes along which NumPy stretched an operand of that shape."""
    if gradient.shape == shape:
        return gradient
    gradient = np.broadcast_to(gradient, np.broadcast_shapes(gradient.shape, shape))
    extra = gradient.ndim - len(shape)
    stretched = [extra + k for k, n in enumerate(shape) if n == 1 and gradient.shape[extra + k] != 1]
    return gradient.sum(axis=(*range(extra), *stretched), keepdims=True).reshape(shape)
