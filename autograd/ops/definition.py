"""What an operation is: its definition, the decorator that registers it, and how a call of it is recorded."""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import update_wrapper
from typing import Any

import numpy as np

from autograd.graph import Graph, Tensor, as_numbers, current_graph, unbroadcast

OPS: dict[str, Op] = {}
Vjp = Callable[..., Any]


@dataclass(frozen=True)
class Sample:
    """Inputs for the gradient check of an op: shapes drawn from [low, high], and attributes."""

    shapes: tuple[tuple[int, ...], ...]
    low: float = -2.0
    high: float = 2.0
    attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Op:
    """One operation."""

    name: str
    symbol: str  # what its box shows
    forward: Callable[..., Any]
    vjps: (
        tuple[Vjp, ...] | Vjp
    )  # one per input, or one function of the input's number for any number of inputs
    formula: str  # TeX; inputs a, b; output y
    partials: tuple[str, ...]  # TeX of ∂y/∂input, one per input
    text: str  # the formula in plain characters, `{a}` and `{b}` stand for the inputs
    back: tuple[str, ...]  # what flows to each input in plain characters, `{g}` is the gradient of y
    doc: str
    samples: tuple[Sample, ...]
    elementwise: bool
    defaults: dict[str, Any]  # attributes and their defaults
    names: tuple[str, ...] = ()  # of the inputs; empty for any number of inputs
    optional: dict[str, Any] = field(default_factory=dict)  # inputs that may be left out
    prepare: Callable[..., dict[str, Any]] | None = None  # checks values and completes attributes, once
    scalar: Callable[..., Any] | None = None  # the op spelled out on object arrays of scalar tensors
    on_floats: bool = False  # whether `forward` of floats is plain arithmetic, which costs a tenth of NumPy's

    @property
    def arity(self) -> int | None:
        """Number of inputs; None for any number."""
        return len(self.vjps) if isinstance(self.vjps, tuple) else None

    def vjp(self, slot: int, g: np.ndarray, y: np.ndarray, values: Sequence[np.ndarray], attrs: dict) -> Any:
        """The gradient that flows to input `slot`, before stretched axes are summed back."""
        if isinstance(self.vjps, tuple):
            return self.vjps[slot](g, y, *values, **attrs)
        return self.vjps(slot, g, y, values, **attrs)

    def sends(
        self, slot: int, g: np.ndarray, y: np.ndarray, values: Sequence[np.ndarray], attrs: dict
    ) -> np.ndarray:
        """The gradient that flows to input `slot`; shape of that input."""
        sent = np.asarray(self.vjp(slot, g, y, values, attrs), dtype=np.float64)
        return unbroadcast(sent, values[slot].shape)


def op(
    symbol: str,
    formula: str,
    text: str,
    *,
    vjp: tuple[Vjp, ...] | Vjp,
    partials: tuple[str, ...],
    back: tuple[str, ...],
    samples: Sequence[Sample],
    elementwise: bool = False,
    prepare: Callable[..., dict[str, Any]] | None = None,
    scalar: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated NumPy function as an op.

    Its first parameters are the inputs, as many as there are vjps; one with a default may be left out. Those
    that follow are its attributes. What depends on values, such as whether a class exists, is for
    `prepare(*values, **attrs)`, called when the op is recorded and not at every replay; it returns the
    attributes to keep. `scalar` builds the op from others, one node per scalar operation, where that is more
    than one op on each element.
    """

    def register(forward: Callable[..., Any]) -> Callable[..., Any]:
        parameters = inspect.signature(forward).parameters
        given = {k: p.default for k, p in parameters.items() if p.default is not p.empty}
        names = tuple(parameters)[: len(vjp)] if isinstance(vjp, tuple) else ()
        definition = Op(
            name=forward.__name__.rstrip("_"),
            symbol=symbol,
            forward=forward,
            vjps=vjp,
            formula=formula,
            partials=partials,
            text=text,
            back=back,
            doc=inspect.getdoc(forward) or "",
            samples=tuple(samples),
            elementwise=elementwise,
            names=names,
            optional={k: given[k] for k in names if k in given},
            defaults={k: default for k, default in given.items() if k not in names},
            prepare=prepare,
            scalar=scalar,
            on_floats=elementwise and _stays_float(forward, len(vjp) if isinstance(vjp, tuple) else 3),
        )
        OPS[definition.name] = definition
        return update_wrapper(_recorder(definition), forward)

    return register


def _stays_float(forward: Callable[..., Any], inputs: int) -> bool:
    return type(forward(*[0.5] * inputs)) is float


def _recorder(definition: Op) -> Callable[..., Any]:
    """The function that users call: binds arguments, and records the op or builds its scalar form."""
    arity, attr_names = definition.arity, tuple(definition.defaults)
    plain = definition.prepare is None and not definition.optional

    def record_call(*args: Any, **kwargs: Any) -> Any:
        if plain and not kwargs and len(args) == arity and type(args[0]) is Tensor:
            graph = args[0].graph  # the common case, and the one of which there are hundreds of thousands
            if arity == 1 or (arity == 2 and type(args[1]) is Tensor and args[1].graph is graph):
                ids = (args[0].id, args[1].id) if arity == 2 else (args[0].id,)
                return _append(definition, graph, ids, definition.defaults)
        if arity is None:
            operands, rest = list(args[0]), args[1:]
            if plain and not kwargs and not rest and {type(x) for x in operands} == {Tensor}:
                graph = operands[0].graph
                if builtins.all([x.graph is graph for x in operands]):
                    return _append(definition, graph, tuple([x.id for x in operands]), definition.defaults)
        else:
            operands, rest = _operands(definition, args, kwargs), args[arity:]
        if len(rest) > len(attr_names):
            raise TypeError(f"{definition.name} takes at most {len(attr_names)} options, {len(rest)} given")
        unknown = kwargs.keys() - definition.defaults.keys() - set(definition.names)
        if unknown:
            raise TypeError(f"{definition.name} has no option {', '.join(sorted(unknown))}")
        options = {k: v for k, v in kwargs.items() if k in definition.defaults}
        twice = options.keys() & set(attr_names[: len(rest)])
        if twice:
            raise TypeError(f"{definition.name} got {', '.join(sorted(twice))} twice")
        attrs = definition.defaults | dict(zip(attr_names, rest, strict=False)) | options
        if builtins.any(isinstance(x, np.ndarray) and x.dtype == object for x in operands):
            return _scalar_form(definition, record_call, operands, attrs)
        return record(definition, operands, attrs)

    return record_call


def _operands(definition: Op, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
    """The inputs of one call, by place or by name; what may be left out is filled in."""
    names = definition.names
    found = dict(zip(names, args, strict=False))
    for name in names:
        if name in kwargs:
            if name in found:
                raise TypeError(f"{definition.name} got {name} twice")
            found[name] = kwargs[name]
    given = len(found)
    for name, default in definition.optional.items():
        if found.get(name) is None:
            found[name] = default
    if len(found) < len(names):
        wanted = len(names) - len(definition.optional)
        least = "at least " if definition.optional else ""
        raise TypeError(f"{definition.name} takes {least}{wanted} inputs, {given} given")
    operands = [found[name] for name in names]
    while names and operands[-1] is None and names[len(operands) - 1] in definition.optional:
        operands.pop()
    return operands


def record(definition: Op, operands: Sequence[Any], attrs: dict[str, Any]) -> Tensor:
    """Append one op to the graph of its operands; plain numbers and arrays become constants.

    Raises ValueError with the op, the shapes and the names when the shapes do not fit.
    """
    graph = next((x.graph for x in operands if isinstance(x, Tensor)), None) or current_graph()
    handles = [_as_tensor(x, graph, definition) for x in operands]
    return _append(definition, graph, tuple(h.id for h in handles), attrs)


def _append(definition: Op, graph: Graph, ids: tuple[int, ...], attrs: dict[str, Any]) -> Tensor:
    if graph._adopted is not None:
        graph._settle()
    tensors, scalars = graph._tensors, graph._scalars
    if definition.on_floats and (not tensors or not builtins.any([i in tensors for i in ids])):
        try:
            value = definition.forward(*[scalars[i] for i in ids], **attrs)
        except ZeroDivisionError:
            pass  # arrays make infinity of it
        else:
            return graph.append(definition, ids, value, attrs)
    values = [graph.values[i] for i in ids]
    try:
        with np.errstate(all="ignore"):
            if definition.prepare:
                attrs = definition.prepare(*values, **attrs)
            value = definition.forward(*values, **attrs)
    except (ValueError, IndexError, TypeError) as error:
        operands_text = " and ".join(graph.describe(i) for i in ids)
        raise ValueError(f"{definition.name} can not take {operands_text}: {error}") from None
    exact = np.asarray(value, dtype=np.float64)
    return graph.append(definition, ids, exact if exact.ndim else float(exact), attrs)


def _as_tensor(x: Any, graph: Graph, definition: Op) -> Tensor:
    if isinstance(x, Tensor):
        if x.graph is not graph:
            raise ValueError(f"{definition.name} can not join tensors of two graphs")
        return x
    try:
        value = as_numbers(x)
    except (TypeError, ValueError):
        raise TypeError(
            f"{definition.name} takes tensors, arrays and numbers, not {type(x).__name__}"
        ) from None
    name = f"{float(value):.6g}" if value.ndim == 0 else ""
    return graph.append(None, (), value if value.ndim else float(value), name=name, kind="constant")


def _scalar_form(definition: Op, call: Callable[..., Any], operands: list[Any], attrs: dict[str, Any]) -> Any:
    """The same op on object arrays of scalar tensors: one node per scalar operation."""
    arrays = [np.asarray(x, dtype=object) if not isinstance(x, Tensor) else _boxed(x) for x in operands]
    name = definition.name
    if definition.scalar is not None:
        return _unboxed(np.asarray(definition.scalar(*arrays, **attrs), dtype=object))
    if definition.elementwise:
        if definition.arity is None:
            ufunc = np.frompyfunc(lambda *xs: call(xs, **attrs), len(arrays), 1)
        else:
            ufunc = np.frompyfunc(lambda *xs: call(*xs, **attrs), len(arrays), 1)
        return _unboxed(ufunc(*arrays))
    if name in ("matmul", "dot"):
        return _unboxed(np.asarray(_products(arrays[0], arrays[1]), dtype=object))
    if name in ("sum", "mean"):
        axis, keepdims = attrs["axis"], attrs["keepdims"]
        total = _sum_along(arrays[0], axis, keepdims)
        return _unboxed(total if name == "sum" else total / (arrays[0].size / builtins.max(total.size, 1)))
    if name in ("transpose", "reshape", "concatenate", "stack", "getitem"):
        return _unboxed(np.asarray(definition.forward(*arrays, **attrs), dtype=object))
    raise TypeError(f"{name} has no scalar form")


def _add_up(terms: list[Any]) -> Tensor:
    """One n-ary sum of scalars."""
    return record(OPS["add_n"], terms, {})


def _boxed(x: Tensor) -> np.ndarray:
    box = np.empty((), dtype=object)
    box[()] = x
    return box


def _unboxed(x: Any) -> Any:
    return x[()] if isinstance(x, np.ndarray) and x.ndim == 0 else x


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Matrix product of object arrays with one n-ary sum per element."""
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(f"matmul can not take shapes {a.shape} and {b.shape}")
    result = np.empty((left.shape[0], right.shape[1]), dtype=object)
    for i, j in np.ndindex(result.shape):
        result[i, j] = _add_up([x * y for x, y in zip(left[i], right[:, j], strict=True)])
    result = result[0] if a.ndim == 1 else result
    return result[..., 0] if b.ndim == 1 else result


def _sum_along(a: np.ndarray, axis: int | None, keepdims: bool) -> np.ndarray:
    if axis is None:
        flat = np.empty((), dtype=object)
        flat[()] = _add_up(list(a.ravel()))
        return flat.reshape((1,) * a.ndim) if keepdims else flat
    moved = np.moveaxis(a, axis, -1)
    result = np.empty(moved.shape[:-1], dtype=object)
    for index in np.ndindex(result.shape):
        result[index] = _add_up(list(moved[index]))
    return np.expand_dims(result, axis) if keepdims else result


# Samples that many ops share
PAIR = (Sample(((2, 3), (2, 3))), Sample(((2, 3), (3,))), Sample(((), (2, 1))))
ONE = (Sample(((2, 3),)), Sample(((),)))
POSITIVE = (Sample(((2, 3),), low=0.3),)
