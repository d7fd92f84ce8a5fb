"""A recorded graph as rows that can be written down, and the way back, without the code that recorded it.

Scene files keep graphs that no builder of the catalogue makes. Rows may come from a stranger: `shape_of`
tells what an operation would give, and `room` and `work` what it would cost, before anything is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np

from autograd import OPS, Graph, Tensor, at_time, scope

Shape = tuple[int, ...]
LEAF = "leaf"
OWN = "your-graph"  # id of the scene that a graph is shown as when no builder of the catalogue made it


class Row(NamedTuple):
    """One node. Inputs are numbers of earlier rows."""

    op: str = LEAF
    inputs: tuple[int, ...] = ()
    attrs: Mapping[str, Any] = {}
    value: np.ndarray | None = None  # of a leaf
    kind: str = ""  # of a leaf
    name: str = ""
    scope: tuple[str, ...] = ()
    time: int | None = None
    outside: int = 0  # how many parts of the scope lie outside of the time step


@dataclass(frozen=True, eq=False)
class Whole:
    """All rows in recorded order, and which of them is the loss."""

    rows: tuple[Row, ...]
    loss: int

    @classmethod
    def of(cls, graph: Graph, loss: int, values: Sequence[np.ndarray]) -> Whole:
        """The rows of a graph; `values` of its leaves may be others than the present ones."""
        rows = []
        for i, op in enumerate(graph.ops):
            time = graph.times[i]
            place = (
                graph.names[i],
                tuple(graph.scopes[i]),
                time,
                graph.time_depths[i] if time is not None else 0,
            )
            if op is None:
                rows.append(Row(LEAF, (), {}, values[i], graph.kinds[i] or "constant", *place))
            else:
                rows.append(Row(op.name, tuple(graph.inputs[i]), graph.attrs[i], None, "", *place))
        return cls(tuple(rows), loss)

    def build(self) -> tuple[Graph, Tensor]:
        """Record the graph again. The rows have been checked with `shape_of`."""
        graph = Graph()
        with graph, np.errstate(all="ignore"), ExitStack() as inside:
            where: tuple[Any, ...] = ((), None, 0)
            for row in self.rows:
                if where != (row.scope, row.time, row.outside):
                    where = (row.scope, row.time, row.outside)
                    inside.close()
                    outer = row.outside if row.time is not None else len(row.scope)
                    for part in row.scope[:outer]:
                        inside.enter_context(scope(part))
                    if row.time is not None:
                        inside.enter_context(at_time(row.time))
                    for part in row.scope[outer:]:
                        inside.enter_context(scope(part))
                if row.op == LEAF:
                    value = np.array(row.value, dtype=np.float64)
                    graph.append(None, (), _plain(value), name=row.name, kind=row.kind)
                else:
                    # not as a user's call: what `prepare` looks at may be NaN by now, and its work is done
                    op = OPS[row.op]
                    attrs = dict(row.attrs) if row.attrs else op.defaults
                    value = np.asarray(
                        op.forward(*(graph.values[j] for j in row.inputs), **attrs), np.float64
                    )
                    graph.append(op, row.inputs, _plain(value), attrs, name=row.name)
        return graph, graph.nodes[self.loss]


def _plain(value: np.ndarray) -> float | np.ndarray:
    """A scalar as the float that graphs keep of it."""
    return value if value.ndim else float(value)


def attributes(op: str) -> Mapping[str, Any]:
    """Names and defaults of what an operation takes besides its inputs."""
    return OPS[op].defaults


def shape_of(op: str, shapes: tuple[Shape, ...], attrs: Mapping[str, Any]) -> Shape:
    """Shape of an operation's result, by rule; raises ValueError with the reason when it has none.

    `attrs` are complete. KeyError: there is no such operation, or no rule for it.
    """
    definition = OPS[op]
    arity, least = definition.arity, 1
    if arity is not None:
        # what is left out and has a value by default is recorded as a constant all the same
        least = arity - sum(default is None for default in definition.optional.values())
    if len(shapes) < least or (arity is not None and len(shapes) > arity):
        raise ValueError(
            f"{op} takes {arity if arity is not None else 'at least 1'} inputs, not {len(shapes)}"
        )
    if definition.elementwise:
        _demand_numbers(attrs)
        first = shapes[0]
        return first if shapes.count(first) == len(shapes) else np.broadcast_shapes(*shapes)
    if op not in _ALSO_EMPTY and any(0 in shape for shape in shapes):
        raise ValueError(f"{op} takes no empty array")
    return RULES[op](*shapes, **attrs)


def room(op: str, shapes: Sequence[Shape], result: Shape, attrs: Mapping[str, Any]) -> int:
    """Numbers in the largest array that is made on the way there and back."""
    count = math.prod(result)
    if op in ("matmul", "dot"):
        rows, inner, columns, batch = _product(shapes)
        return batch * (rows * inner + inner * columns + rows * columns)
    if op in _WINDOWED:
        kernel = _kernel(shapes, attrs)
        steps = kernel if attrs["stride"] is None else _pair(attrs["stride"], 1)
        spread = _pair(attrs.get("dilation", 1), 1)
        sides = (n * s + d * k for n, s, d, k in zip(result[2:], steps, spread, kernel, strict=True))
        batch, channels = shapes[0][:2]
        return batch * channels * max(math.prod(sides), math.prod(kernel) * math.prod(result[2:]))
    return max([count * max(len(shapes), 1), *map(math.prod, shapes)])


def work(op: str, shapes: Sequence[Shape], result: Shape, attrs: Mapping[str, Any]) -> int:
    """Multiplications, roughly."""
    if op in ("matmul", "dot"):
        rows, inner, columns, batch = _product(shapes)
        return batch * rows * inner * columns
    if op in _WINDOWED:  # the way back goes through the kernel place by place, which costs in itself
        filters = shapes[1][0] if op == "conv2d" else 1
        return room(op, shapes, result, attrs) * filters + 1000 * math.prod(_kernel(shapes, attrs))
    return room(op, shapes, result, attrs)


def _kernel(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> tuple[int, int]:
    """Rows and columns of a window."""
    return (shapes[1][2], shapes[1][3]) if len(shapes) > 1 else _pair(attrs["kernel_size"], 1)


def _product(shapes: Sequence[Shape]) -> tuple[int, int, int, int]:
    """Rows, inner size, columns and number of the matrix products of a matmul."""
    a, b = shapes
    rows = a[-2] if len(a) > 1 else 1
    columns = b[-1] if len(b) > 1 else 1
    return rows, a[-1], columns, math.prod(np.broadcast_shapes(a[:-2], b[:-2]))


# Shapes by rule

RULES: dict[str, Callable[..., Shape]] = {}
_WINDOWED = frozenset({"conv2d", "max_pool2d", "avg_pool2d"})
_ALSO_EMPTY = frozenset({"transpose", "reshape", "concatenate", "getitem", "sum", "stack"})


def _rule(*names: str) -> Callable[[Callable[..., Shape]], Callable[..., Shape]]:
    def register(rule: Callable[..., Shape]) -> Callable[..., Shape]:
        RULES.update(dict.fromkeys(names, rule))
        return rule

    return register


def _demand_numbers(attrs: Mapping[str, Any]) -> None:
    for name, value in attrs.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} must be a number")


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number")
    return value


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from 0; all of them for None."""
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    found = tuple(_whole(a, "axis") + (ndim if a < 0 else 0) for a in given)
    if len(set(found)) < len(found) or not all(0 <= a < ndim for a in found):
        raise ValueError(f"axis {axis} is not one of {ndim} axes")
    return found


@_rule("sum", "mean", "var", "max", "min", "norm", "logsumexp")
def _reduced(a: Shape, axis: Any, keepdims: Any) -> Shape:
    if not isinstance(keepdims, bool):
        raise ValueError("keepdims must be true or false")
    gone = _axes(axis, len(a))
    return tuple(1 if k in gone else n for k, n in enumerate(a) if keepdims or k not in gone)


@_rule("softmax", "log_softmax")
def _along(a: Shape, axis: Any) -> Shape:
    _axes(axis, len(a))
    return a


@_rule("cumsum")
def _running(a: Shape, axis: Any) -> Shape:
    if axis is None:
        return (math.prod(a),)
    _axes(_whole(axis, "axis"), len(a))
    return a


@_rule("transpose")
def _transposed(a: Shape, axes: Any) -> Shape:
    if axes is None:
        return a[::-1]
    order = _axes(axes, len(a))
    if len(order) < len(a):
        raise ValueError("axes must name every axis once")
    return tuple(a[k] for k in order)


@_rule("reshape")
def _reshaped(a: Shape, shape: Any) -> Shape:
    wanted = tuple(_whole(n, "shape") for n in (shape if isinstance(shape, tuple) else (shape,)))
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and known > 0 and math.prod(a) % known == 0:
        return tuple(math.prod(a) // known if n == -1 else n for n in wanted)
    if -1 in wanted or min(wanted, default=0) < 0 or known != math.prod(a):
        raise ValueError(f"{math.prod(a)} numbers do not fit into the shape {wanted}")
    return wanted


@_rule("concatenate")
def _joined(*parts: Shape, axis: Any) -> Shape:
    (k,) = _axes(_whole(axis, "axis"), len(parts[0]))
    rests = {(*p[:k], *p[k + 1 :]) for p in parts}
    if len(rests) > 1 or len({len(p) for p in parts}) > 1:
        raise ValueError("the shapes differ beside the axis")
    return (*parts[0][:k], sum(p[k] for p in parts), *parts[0][k + 1 :])


@_rule("stack")
def _stacked(*parts: Shape, axis: Any) -> Shape:
    (k,) = _axes(_whole(axis, "axis"), len(parts[0]) + 1)
    if len(set(parts)) > 1:
        raise ValueError("the shapes differ")
    return (*parts[0][:k], len(parts), *parts[0][k:])


@_rule("getitem")
def _taken(a: Shape, index: Any) -> Shape:
    """By NumPy itself, on an array that takes no memory, once the result is known to be small."""
    given = index if isinstance(index, tuple) else (index,)
    arrays = [x for x in given if isinstance(x, np.ndarray)]
    for x in given:
        parts = (x.start, x.stop, x.step) if isinstance(x, slice) else ()
        if any(p is not None and (isinstance(p, bool) or not isinstance(p, int)) for p in parts):
            raise ValueError("a slice takes whole numbers")
        plain = (
            x is None
            or isinstance(x, slice | EllipsisType)
            or (isinstance(x, int) and not isinstance(x, bool))
        )
        if not plain and not (isinstance(x, np.ndarray) and x.dtype.kind in "ib"):
            raise ValueError("an index is made of whole numbers, slices, None, … and arrays of them")
    if arrays and _count_taken(a, given, arrays) > MOST_TAKEN:
        raise ValueError("the index takes too many elements")
    try:
        return np.broadcast_to(np.float64(0), a)[index].shape
    except IndexError as error:
        raise ValueError(str(error)) from None


MOST_TAKEN = 4_000_000


def _count_taken(a: Shape, given: Sequence[Any], arrays: Sequence[np.ndarray]) -> int:
    """At most how many elements an index with arrays takes."""
    used = [x.ndim if isinstance(x, np.ndarray) and x.dtype.kind == "b" else 1 for x in given]
    spread = [not (x is None or x is Ellipsis) for x in given]
    left = len(a) - sum(n for n, counts in zip(used, spread, strict=True) if counts)
    if left < 0 or sum(x is Ellipsis for x in given) > 1:
        raise ValueError(f"too many indices for {len(a)} axes")
    count = math.prod(np.broadcast_shapes(*((x.size,) if x.dtype.kind == "b" else x.shape for x in arrays)))
    at = 0
    for x, n, counts in zip(given, used, spread, strict=True):
        if isinstance(x, slice):
            count *= a[at]
        elif x is Ellipsis:
            count *= math.prod(a[at : at + left])
            at, left = at + left, 0
        at += n if counts else 0
    return count * math.prod(a[at:])


@_rule("clamp")
def _held(*inputs: Shape, value: Any) -> Shape:
    if isinstance(value, bool) or not isinstance(value, int | float | np.ndarray):
        raise ValueError("value must be a number or an array of numbers")
    return np.shape(value)


@_rule("embedding")
def _rows(weight: Shape, indices: Any) -> Shape:
    if len(weight) != 2:
        raise ValueError("the first input must be a matrix with one row for every index")
    if not isinstance(indices, np.ndarray) or indices.dtype.kind != "i":
        raise ValueError("indices must be whole numbers")
    if indices.size and not (indices.min() >= 0 and indices.max() < weight[0]):
        raise ValueError(f"an index is not in 0 … {weight[0] - 1}")
    return (*indices.shape, weight[1])


@_rule("matmul")
def _multiplied(a: Shape, b: Shape) -> Shape:
    if not a or not b or a[-1] != (b[-2] if len(b) > 1 else b[0]):
        raise ValueError(f"the shapes {a} and {b} do not fit together")
    ends = (*a[-2:-1], *(b[-1:] if len(b) > 1 else ()))
    return (*np.broadcast_shapes(a[:-2], b[:-2]), *ends)


@_rule("dot")
def _dotted(a: Shape, b: Shape) -> Shape:
    if len(a) != 1 or a != b:
        raise ValueError("dot takes two vectors of one length")
    return ()


@_rule("outer")
def _outer(a: Shape, b: Shape) -> Shape:
    if len(a) != 1 or len(b) != 1:
        raise ValueError("outer takes two vectors")
    return a + b


@_rule("cosine_similarity")
def _compared(a: Shape, b: Shape, axis: Any) -> Shape:
    both = np.broadcast_shapes(a, b)
    (k,) = _axes(_whole(axis, "axis"), len(both))
    from_end = k - len(both)
    if any(len(s) < -from_end or s[from_end] != both[from_end] for s in (a, b)):
        raise ValueError("both inputs need the axis, and the same length along it")
    return (*both[:k], *both[k + 1 :])


@_rule("half_squared_error")
def _distance(a: Shape, b: Shape) -> Shape:
    if a != b:
        raise ValueError("both shapes must be equal")
    return ()


@_rule("cross_entropy")
def _classified(logits: Shape, target: Shape, axis: Any) -> Shape:
    (k,) = _axes(_whole(axis, "axis"), len(logits))
    if target not in (logits, (*logits[:k], *logits[k + 1 :])):
        raise ValueError("the target holds neither classes nor probabilities")
    return ()


@_rule("binary_cross_entropy", "binary_cross_entropy_with_logits")
def _decided(p: Shape, target: Shape) -> Shape:
    if target not in (p, ()):
        raise ValueError("both shapes must be equal, or the target one number")
    return ()


@_rule("batch_norm")
def _normalised(x: Shape, gamma: Shape, beta: Shape, eps: Any) -> Shape:
    _demand_numbers({"eps": eps})
    if len(x) < 2 or gamma != (x[1],) or beta != (x[1],):
        raise ValueError("batch_norm takes a batch and one number per channel, twice")
    return x


@_rule("dropout")
def _dropped(a: Shape, p: Any, seed: Any, training: Any, mask: Any) -> Shape:
    _demand_numbers({"p": p, "seed": seed})
    if not 0 <= p <= 1 or not isinstance(training, bool):
        raise ValueError("p must be in [0, 1], and training true or false")
    if not isinstance(mask, np.ndarray) or mask.shape != a:
        raise ValueError("the mask must have the shape of the input")
    return a


def _pair(value: Any, least: int) -> tuple[int, int]:
    pair = value if isinstance(value, tuple) else (value, value)
    if len(pair) != 2 or any(not least <= _whole(n, "a size") <= 2**24 for n in pair):
        raise ValueError(f"expected one or two whole numbers from {least}")
    return pair


def _windowed(x: Shape, kernel: tuple[int, int], stride: Any, padding: Any, dilation: Any) -> Shape:
    """Rows and columns of windows."""
    steps, spread = _pair(stride, 1), _pair(dilation, 1)
    if isinstance(padding, str) and padding not in ("valid", "same", "full"):
        raise ValueError("padding must be valid, same, full or whole numbers")
    counts = []
    for k in (0, 1):
        reach = spread[k] * (kernel[k] - 1) + 1
        if padding == "same":
            counts.append(-(-x[2 + k] // steps[k]))
            continue
        margin = 0 if padding == "valid" else reach - 1 if padding == "full" else _pair(padding, 0)[k]
        space = x[2 + k] + 2 * margin - reach
        if space < 0:
            raise ValueError("a window does not fit into the image")
        counts.append(space // steps[k] + 1)
    return tuple(counts)


@_rule("conv2d")
def _convolved(x: Shape, w: Shape, *bias: Shape, stride: Any, padding: Any, dilation: Any) -> Shape:
    if len(x) != 4 or len(w) != 4 or x[1] != w[1] or any(b != w[:1] for b in bias):
        raise ValueError("the shapes of image, filters and bias do not fit together")
    return (x[0], w[0], *_windowed(x, (w[2], w[3]), stride, padding, dilation))


@_rule("max_pool2d", "avg_pool2d")
def _pooled(a: Shape, kernel_size: Any, stride: Any, padding: Any) -> Shape:
    if len(a) != 4:
        raise ValueError("images have four axes")
    kernel = _pair(kernel_size, 1)
    steps = kernel if stride is None else _pair(stride, 1)
    if padding == "full" or (
        not isinstance(padding, str) and any(p >= k for p, k in zip(_pair(padding, 0), kernel, strict=True))
    ):
        raise ValueError("with this padding a window sees nothing of the image")
    return (*a[:2], *_windowed(a, kernel, steps, padding, 1))
