"""Every operation of the engine, one definition each: forward, vjp, formulas, text, doc and a test sample.

An op is a NumPy function with a decorator. The decorated name records the op on Tensors; `OPS[name]` is
its definition. A vjp gets the gradient `g` of the output `y` and the values of the inputs, and returns
what flows to one input; a shape that NumPy stretched is summed back once, in `Graph`.
Conventions where the derivative is not defined: relu′(0) = 0; max and min go to the first arg-max.
"""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import update_wrapper
from typing import Any

import numpy as np

from autograd.graph import Graph, Tensor, as_numbers, current_graph

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

    @property
    def arity(self) -> int | None:
        """Number of inputs; None for any number."""
        return len(self.vjps) if isinstance(self.vjps, tuple) else None

    def vjp(self, slot: int, g: np.ndarray, y: np.ndarray, values: Sequence[np.ndarray], attrs: dict) -> Any:
        """The gradient that flows to input `slot`, before stretched axes are summed back."""
        if isinstance(self.vjps, tuple):
            return self.vjps[slot](g, y, *values, **attrs)
        return self.vjps(slot, g, y, values, **attrs)


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
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated NumPy function as an op; parameters with a default are its attributes."""

    def register(forward: Callable[..., Any]) -> Callable[..., Any]:
        parameters = inspect.signature(forward).parameters
        defaults = {k: p.default for k, p in parameters.items() if p.default is not p.empty}
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
            defaults=defaults,
        )
        OPS[definition.name] = definition
        return update_wrapper(_recorder(definition), forward)

    return register


def _recorder(definition: Op) -> Callable[..., Any]:
    """The function that users call: binds arguments, and records the op or builds its scalar form."""
    arity, attr_names = definition.arity, tuple(definition.defaults)

    def record_call(*args: Any, **kwargs: Any) -> Any:
        if arity is None:
            operands, rest = list(args[0]), args[1:]
        else:
            operands, rest = list(args[:arity]), args[arity:]
            if len(operands) < arity:
                raise TypeError(f"{definition.name} takes {arity} inputs, {len(operands)} given")
        if len(rest) > len(attr_names):
            raise TypeError(f"{definition.name} takes at most {len(attr_names)} options, {len(rest)} given")
        unknown = kwargs.keys() - definition.defaults.keys()
        if unknown:
            raise TypeError(f"{definition.name} has no option {', '.join(sorted(unknown))}")
        attrs = definition.defaults | dict(zip(attr_names, rest, strict=False)) | kwargs
        if builtins.any(isinstance(x, np.ndarray) and x.dtype == object for x in operands):
            return _scalar_form(definition, record_call, operands, attrs)
        return record(definition, operands, attrs)

    return record_call


def record(definition: Op, operands: Sequence[Any], attrs: dict[str, Any]) -> Tensor:
    """Append one op to the graph of its operands; plain numbers and arrays become constants.

    Raises ValueError with the op, the shapes and the names when the shapes do not fit.
    """
    graph = next((x.graph for x in operands if isinstance(x, Tensor)), None) or current_graph()
    handles = [_as_tensor(x, graph, definition) for x in operands]
    ids = tuple(h.id for h in handles)
    try:
        with np.errstate(all="ignore"):
            value = definition.forward(*(graph.values[i] for i in ids), **attrs)
    except (ValueError, IndexError, TypeError) as error:
        operands_text = " and ".join(graph.describe(i) for i in ids)
        raise ValueError(f"{definition.name} can not take {operands_text}: {error}") from None
    return graph.append(definition, ids, np.asarray(value, dtype=np.float64), attrs)


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
    return graph.append(None, (), value, name=name, kind="constant")


def _scalar_form(definition: Op, call: Callable[..., Any], operands: list[Any], attrs: dict[str, Any]) -> Any:
    """The same op on object arrays of scalar tensors: one node per scalar operation."""
    arrays = [np.asarray(x, dtype=object) if not isinstance(x, Tensor) else _boxed(x) for x in operands]
    name = definition.name
    if definition.elementwise:
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
        result[i, j] = add_n([x * y for x, y in zip(left[i], right[:, j], strict=True)])
    result = result[0] if a.ndim == 1 else result
    return result[..., 0] if b.ndim == 1 else result


def _sum_along(a: np.ndarray, axis: int | None, keepdims: bool) -> np.ndarray:
    if axis is None:
        flat = np.empty((), dtype=object)
        flat[()] = add_n(list(a.ravel()))
        return flat.reshape((1,) * a.ndim) if keepdims else flat
    moved = np.moveaxis(a, axis, -1)
    result = np.empty(moved.shape[:-1], dtype=object)
    for index in np.ndindex(result.shape):
        result[index] = add_n(list(moved[index]))
    return np.expand_dims(result, axis) if keepdims else result


_PAIR = (Sample(((2, 3), (2, 3))), Sample(((2, 3), (3,))), Sample(((), (2, 1))))
_ONE = (Sample(((2, 3),)), Sample(((),)))
_POSITIVE = (Sample(((2, 3),), low=0.3),)


# Arithmetic


@op(
    "+",
    r"y = a + b",
    "{a} + {b}",
    vjp=(lambda g, y, a, b: g, lambda g, y, a, b: g),
    partials=(r"\frac{\partial y}{\partial a} = 1", r"\frac{\partial y}{\partial b} = 1"),
    back=("{g}", "{g}"),
    samples=_PAIR,
    elementwise=True,
)
def add(a, b):
    """Sum. The gradient goes to both inputs unchanged: an addition is where an error forks."""
    return a + b


@op(
    "−",
    r"y = a - b",
    "{a} − {b}",
    vjp=(lambda g, y, a, b: g, lambda g, y, a, b: -g),
    partials=(r"\frac{\partial y}{\partial a} = 1", r"\frac{\partial y}{\partial b} = -1"),
    back=("{g}", "−{g}"),
    samples=_PAIR,
    elementwise=True,
)
def subtract(a, b):
    """Difference. The subtracted input receives the gradient with its sign turned."""
    return a - b


@op(
    "×",
    r"y = a \odot b",
    "{a} ⊙ {b}",
    vjp=(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a),
    partials=(r"\frac{\partial y}{\partial a} = b", r"\frac{\partial y}{\partial b} = a"),
    back=("{g} ⊙ {b}", "{g} ⊙ {a}"),
    samples=_PAIR,
    elementwise=True,
)
def multiply(a, b):
    """Product of elements. A factor's gradient is the other factor: a gate scales the passing error."""
    return a * b


@op(
    "÷",
    r"y = \frac{a}{b}",
    "{a} / {b}",
    vjp=(lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b),
    partials=(
        r"\frac{\partial y}{\partial a} = \frac{1}{b}",
        r"\frac{\partial y}{\partial b} = -\frac{a}{b^2}",
    ),
    back=("{g} / {b}", "−{g} ⊙ {a} / {b}²"),
    samples=(Sample(((2, 3), (2, 3)), low=0.5), Sample(((2, 3), (3,)), low=0.5)),
    elementwise=True,
)
def divide(a, b):
    """Quotient of elements."""
    return a / b


@op(
    "−",
    r"y = -a",
    "−{a}",
    vjp=(lambda g, y, a: -g,),
    partials=(r"\frac{\partial y}{\partial a} = -1",),
    back=("−{g}",),
    samples=_ONE,
    elementwise=True,
)
def negative(a):
    """Change of sign."""
    return -a


@op(
    "aᵇ",
    r"y = a^b",
    "{a}^{b}",
    vjp=(
        lambda g, y, a, b: g * np.where(b == 0.0, 0.0, b * np.power(a, b - 1.0)),  # a⁰ = 1 at 0 too
        lambda g, y, a, b: g * y * np.log(a),
    ),
    partials=(r"\frac{\partial y}{\partial a} = b\,a^{b-1}", r"\frac{\partial y}{\partial b} = a^b \log a"),
    back=("{g} ⊙ {b} ⊙ {a}^({b} − 1)", "{g} ⊙ {a}^{b} ⊙ log {a}"),
    samples=(Sample(((2, 3), (2, 3)), low=0.3), Sample(((2, 3), ()), low=0.3)),
    elementwise=True,
)
def power(a, b):
    """Power of elements; a negative base wants a whole-number exponent."""
    return np.power(a, b)


# Functions of one number


@op(
    "exp",
    r"y = e^a",
    "exp({a})",
    vjp=(lambda g, y, a: g * y,),
    partials=(r"\frac{\partial y}{\partial a} = e^a",),
    back=("{g} ⊙ exp({a})",),
    samples=_ONE,
    elementwise=True,
)
def exp(a):
    """Exponential: the function that is its own derivative."""
    return np.exp(a)


@op(
    "log",
    r"y = \log a",
    "log({a})",
    vjp=(lambda g, y, a: g / a,),
    partials=(r"\frac{\partial y}{\partial a} = \frac{1}{a}",),
    back=("{g} / {a}",),
    samples=_POSITIVE,
    elementwise=True,
)
def log(a):
    """Natural logarithm."""
    return np.log(a)


@op(
    "√",
    r"y = \sqrt{a}",
    "√({a})",
    vjp=(lambda g, y, a: g / (2.0 * y),),
    partials=(r"\frac{\partial y}{\partial a} = \frac{1}{2\sqrt{a}}",),
    back=("{g} / (2 √{a})",),
    samples=_POSITIVE,
    elementwise=True,
)
def sqrt(a):
    """Square root; its slope grows without bound at 0."""
    return np.sqrt(a)


@op(
    "|a|",
    r"y = |a|",
    "|{a}|",
    vjp=(lambda g, y, a: g * np.sign(a),),
    partials=(r"\frac{\partial y}{\partial a} = \mathrm{sign}\, a",),
    back=("{g} ⊙ sign({a})",),
    samples=_ONE,
    elementwise=True,
)
def abs(a):
    """Absolute value; at 0 the gradient is 0."""
    return np.abs(a)


@op(
    "sin",
    r"y = \sin a",
    "sin({a})",
    vjp=(lambda g, y, a: g * np.cos(a),),
    partials=(r"\frac{\partial y}{\partial a} = \cos a",),
    back=("{g} ⊙ cos({a})",),
    samples=_ONE,
    elementwise=True,
)
def sin(a):
    """Sine of an angle in radians."""
    return np.sin(a)


@op(
    "cos",
    r"y = \cos a",
    "cos({a})",
    vjp=(lambda g, y, a: -g * np.sin(a),),
    partials=(r"\frac{\partial y}{\partial a} = -\sin a",),
    back=("−{g} ⊙ sin({a})",),
    samples=_ONE,
    elementwise=True,
)
def cos(a):
    """Cosine of an angle in radians."""
    return np.cos(a)


# Activations


@op(
    "tanh",
    r"y = \tanh a",
    "tanh({a})",
    vjp=(lambda g, y, a: g * (1.0 - y * y),),
    partials=(r"\frac{\partial y}{\partial a} = 1 - \tanh^2 a",),
    back=("{g} ⊙ (1 − tanh² {a})",),
    samples=_ONE,
    elementwise=True,
)
def tanh(a):
    """Squash into (−1, 1). The slope is at most 1, and a saturated unit passes almost no gradient."""
    return np.tanh(a)


@op(
    "σ",
    r"y = \sigma(a) = \frac{1}{1 + e^{-a}}",
    "σ({a})",
    vjp=(lambda g, y, a: g * y * (1.0 - y),),
    partials=(r"\frac{\partial y}{\partial a} = \sigma(a)\,(1 - \sigma(a))",),
    back=("{g} ⊙ σ({a}) ⊙ (1 − σ({a}))",),
    samples=_ONE,
    elementwise=True,
)
def sigmoid(a):
    """Squash into (0, 1): a gate. The slope is at most 1/4, so a chain of them fades fast."""
    return 1.0 / (1.0 + np.exp(-a))  # overflow to infinity is exact here: 1/∞ = 0


@op(
    "ReLU",
    r"y = \max(0, a)",
    "relu({a})",
    vjp=(lambda g, y, a: g * (a > 0),),
    partials=(r"\frac{\partial y}{\partial a} = [\,a > 0\,]",),
    back=("{g} where {a} > 0",),
    samples=_ONE,
    elementwise=True,
)
def relu(a):
    """Rectifier: passes what is positive. At 0 the slope is taken as 0."""
    return np.maximum(a, 0.0) * 1.0


@op(
    "LReLU",
    r"y = \max(\varepsilon a, a)",
    "leaky_relu({a})",
    vjp=(lambda g, y, a, negative_slope: g * np.where(a > 0, 1.0, negative_slope),),
    partials=(r"\frac{\partial y}{\partial a} = 1 \;\mathrm{or}\; \varepsilon",),
    back=("{g} ⊙ (1 or ε)",),
    samples=_ONE,
    elementwise=True,
)
def leaky_relu(a, negative_slope=0.01):
    """Rectifier that lets a little of the negative side through."""
    return np.where(a > 0, a, negative_slope * a)


@op(
    "ELU",
    r"y = \max(0, a) + \min(0, \alpha(e^a - 1))",
    "elu({a})",
    vjp=(lambda g, y, a, alpha: g * np.where(a > 0, 1.0, y + alpha),),
    partials=(r"\frac{\partial y}{\partial a} = 1 \;\mathrm{or}\; \alpha e^a",),
    back=("{g} ⊙ (1 or α exp {a})",),
    samples=_ONE,
    elementwise=True,
)
def elu(a, alpha=1.0):
    """Exponential linear unit: smooth towards −α on the negative side."""
    return np.where(a > 0, a, alpha * np.expm1(np.minimum(a, 0.0)))


@op(
    "softplus",
    r"y = \log(1 + e^a)",
    "softplus({a})",
    vjp=(lambda g, y, a: g / (1.0 + np.exp(-a)),),
    partials=(r"\frac{\partial y}{\partial a} = \sigma(a)",),
    back=("{g} ⊙ σ({a})",),
    samples=_ONE,
    elementwise=True,
)
def softplus(a):
    """Smooth rectifier; its slope is the sigmoid."""
    return np.logaddexp(0.0, a)


@op(
    "max",
    r"y = \max(a, b)",
    "max({a}, {b})",
    vjp=(lambda g, y, a, b: g * (a >= b), lambda g, y, a, b: g * (a < b)),
    partials=(
        r"\frac{\partial y}{\partial a} = [\,a \ge b\,]",
        r"\frac{\partial y}{\partial b} = [\,a < b\,]",
    ),
    back=("{g} where {a} ≥ {b}", "{g} where {a} < {b}"),
    samples=_PAIR,
    elementwise=True,
)
def maximum(a, b):
    """The larger of two; the gradient goes to the winner, to the first one in a tie."""
    return np.maximum(a, b)


@op(
    "min",
    r"y = \min(a, b)",
    "min({a}, {b})",
    vjp=(lambda g, y, a, b: g * (a <= b), lambda g, y, a, b: g * (a > b)),
    partials=(
        r"\frac{\partial y}{\partial a} = [\,a \le b\,]",
        r"\frac{\partial y}{\partial b} = [\,a > b\,]",
    ),
    back=("{g} where {a} ≤ {b}", "{g} where {a} > {b}"),
    samples=_PAIR,
    elementwise=True,
)
def minimum(a, b):
    """The smaller of two; the gradient goes to the winner, to the first one in a tie."""
    return np.minimum(a, b)


# Products and reductions


def _matmul_left(g, y, a, b):
    if b.ndim == 1:
        return np.multiply.outer(g, b)
    if a.ndim == 1:
        return np.matmul(b, np.expand_dims(g, -1))[..., 0] if b.ndim > 2 else b @ g
    return g @ np.swapaxes(b, -1, -2)


def _matmul_right(g, y, a, b):
    if a.ndim == 1:
        return a * g if b.ndim == 1 else np.expand_dims(a, -1) * np.expand_dims(g, -2)
    if b.ndim == 1:
        return np.matmul(np.swapaxes(a, -1, -2), np.expand_dims(g, -1))[..., 0]
    return np.swapaxes(a, -1, -2) @ g


@op(
    "·",
    r"y = a\,b",
    "{a}·{b}",
    vjp=(_matmul_left, _matmul_right),
    partials=(
        r"\frac{\partial E}{\partial a} = \frac{\partial E}{\partial y}\, b^{\top}",
        r"\frac{\partial E}{\partial b} = a^{\top} \frac{\partial E}{\partial y}",
    ),
    back=("{g}·{b}ᵀ", "{a}ᵀ·{g}"),
    samples=(
        Sample(((2, 3), (3,))),
        Sample(((2, 3), (3, 4))),
        Sample(((3,), (3, 2))),
        Sample(((3,), (3,))),
        Sample(((2, 2, 3), (3, 4))),
        Sample(((2, 2, 3), (3,))),
        Sample(((3,), (2, 3, 2))),
    ),
)
def matmul(a, b):
    """Matrix product. Backwards the error is multiplied by the transposed matrix."""
    return np.matmul(a, b)


@op(
    "·",
    r"y = \sum_k a_k b_k",
    "{a}·{b}",
    vjp=(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a),
    partials=(r"\frac{\partial y}{\partial a} = b", r"\frac{\partial y}{\partial b} = a"),
    back=("{g} {b}", "{g} {a}"),
    samples=(Sample(((3,), (3,))),),
)
def dot(a, b):
    """Inner product of two vectors."""
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError("dot takes two vectors; use matmul for matrices")
    return np.dot(a, b)


@op(
    "⊗",
    r"y_{ij} = a_i b_j",
    "{a} ⊗ {b}",
    vjp=(lambda g, y, a, b: g @ b, lambda g, y, a, b: g.T @ a),
    partials=(r"\frac{\partial y_{ij}}{\partial a_i} = b_j", r"\frac{\partial y_{ij}}{\partial b_j} = a_i"),
    back=("{g}·{b}", "{g}ᵀ·{a}"),
    samples=(Sample(((3,), (2,))),),
)
def outer(a, b):
    """Outer product of two vectors."""
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError("outer takes two vectors")
    return np.outer(a, b)


def _restore_axis(g, a, axis, keepdims):
    """A reduced gradient with the lost axes put back, so that it stretches over `a`."""
    return np.expand_dims(g, axis) if axis is not None and not keepdims else g


def _sum_back(g, y, a, axis, keepdims):
    return np.broadcast_to(_restore_axis(g, a, axis, keepdims), a.shape)


def _mean_back(g, y, a, axis, keepdims):
    return _sum_back(g, y, a, axis, keepdims) * (builtins.max(np.size(y), 1) / a.size)


_REDUCTIONS = (
    Sample(((2, 3),)),
    Sample(((2, 3),), attrs={"axis": 1}),
    Sample(((2, 3),), attrs={"axis": 0, "keepdims": True}),
)


@op(
    "Σ",
    r"y = \sum_i a_i",
    "Σ {a}",
    vjp=(_sum_back,),
    partials=(r"\frac{\partial y}{\partial a_i} = 1",),
    back=("{g} for every element",),
    samples=_REDUCTIONS,
)
def sum(a, axis=None, keepdims=False):
    """Sum of elements; every element receives the same gradient."""
    return np.sum(a, axis=axis, keepdims=keepdims)


@op(
    "mean",
    r"y = \frac{1}{n}\sum_i a_i",
    "mean({a})",
    vjp=(_mean_back,),
    partials=(r"\frac{\partial y}{\partial a_i} = \frac{1}{n}",),
    back=("{g} / n for every element",),
    samples=_REDUCTIONS,
)
def mean(a, axis=None, keepdims=False):
    """Average of elements."""
    return np.mean(a, axis=axis, keepdims=keepdims)


@op(
    "Σ",
    r"y = \sum_k a_k",
    "{plus}",
    vjp=lambda k, g, y, values: g,
    partials=(r"\frac{\partial y}{\partial a_k} = 1",),
    back=("{g}",),
    samples=(Sample(((2,), (2,), (2,))),),
    elementwise=True,
)
def add_n(*terms):
    """Sum of any number of terms of one shape as a single node; the gradient goes to every term unchanged."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total * 1.0


@op(
    "½‖a−b‖²",
    r"y = \frac{1}{2}\sum_i (a_i - b_i)^2",
    "½‖{a} − {b}‖²",
    vjp=(lambda g, y, a, b: g * (a - b), lambda g, y, a, b: g * (b - a)),
    partials=(r"\frac{\partial y}{\partial a} = a - b", r"\frac{\partial y}{\partial b} = b - a"),
    back=("{g} ⊙ ({a} − {b})", "{g} ⊙ ({b} − {a})"),
    samples=(Sample(((3,), (3,))), Sample(((2, 3), (2, 3)))),
)
def half_squared_error(a, b):
    """Half the squared distance: the loss whose gradient is simply output minus target."""
    if a.shape != b.shape:
        raise ValueError("both shapes must be equal")
    return 0.5 * np.sum((a - b) ** 2)


@op(
    "stop",
    r"y = a",
    "{a}",
    vjp=(lambda g, y, a: 0.0 * g,),
    partials=(r"\frac{\partial y}{\partial a} := 0",),
    back=("0 (cut)",),
    samples=(),
    elementwise=True,
)
def stop_gradient(a):
    """Pass the value on and no gradient back: where truncated back-propagation is cut."""
    return a * 1.0


# Shape


@op(
    "aᵀ",
    r"y = a^{\top}",
    "{a}ᵀ",
    vjp=(lambda g, y, a, axes: np.transpose(g, None if axes is None else np.argsort(axes)),),
    partials=(r"\frac{\partial E}{\partial a} = \left(\frac{\partial E}{\partial y}\right)^{\top}",),
    back=("{g}ᵀ",),
    samples=(Sample(((2, 3),)), Sample(((2, 3, 2),), attrs={"axes": (1, 2, 0)})),
)
def transpose(a, axes=None):
    """Exchange of axes."""
    return np.transpose(a, axes)


@op(
    "reshape",
    r"y = \mathrm{reshape}(a)",
    "reshape({a})",
    vjp=(lambda g, y, a, shape: np.reshape(g, a.shape),),
    partials=(r"\frac{\partial E}{\partial a} = \mathrm{reshape}\frac{\partial E}{\partial y}",),
    back=("reshape({g})",),
    samples=(Sample(((2, 3),), attrs={"shape": (3, 2)}),),
)
def reshape(a, shape=(-1,)):
    """The same numbers in another shape."""
    return np.reshape(a, shape)


def _concatenate_back(k, g, y, values, axis):
    start = builtins.sum(v.shape[axis] for v in values[:k])
    index = [slice(None)] * g.ndim
    index[axis] = slice(start, start + values[k].shape[axis])
    return g[tuple(index)]


@op(
    "concat",
    r"y = [a_1 ; a_2 ; \ldots]",
    "[{list}]",
    vjp=_concatenate_back,
    partials=(r"\frac{\partial E}{\partial a_k} = \mathrm{part}_k \frac{\partial E}{\partial y}",),
    back=("its part of {g}",),
    samples=(Sample(((2,), (3,))), Sample(((2, 2), (2, 3)), attrs={"axis": 1})),
)
def concatenate(*parts, axis=0):
    """Join along an axis; the gradient is cut at the same places."""
    return np.concatenate(parts, axis=axis)


@op(
    "stack",
    r"y = [a_1, a_2, \ldots]",
    "[{list}]",
    vjp=lambda k, g, y, values, axis: np.take(g, k, axis=axis),
    partials=(r"\frac{\partial E}{\partial a_k} = \left(\frac{\partial E}{\partial y}\right)_k",),
    back=("its layer of {g}",),
    samples=(Sample(((2,), (2,))), Sample(((2, 3), (2, 3)), attrs={"axis": 1})),
)
def stack(*parts, axis=0):
    """Put equal shapes side by side along a new axis."""
    return np.stack(parts, axis=axis)


def _getitem_back(g, y, a, index):
    out = np.zeros_like(a)
    np.add.at(out, index, g)  # an element that was taken twice receives both gradients
    return out


@op(
    "a[ ]",
    r"y = a_{[i]}",
    "{a}[…]",
    vjp=(_getitem_back,),
    partials=(r"\frac{\partial y}{\partial a_j} = [\,j = i\,]",),
    back=("{g} at its place, 0 elsewhere",),
    samples=(
        Sample(((4,),), attrs={"index": slice(1, 3)}),
        Sample(((3, 2),), attrs={"index": 1}),
        Sample(((4,),), attrs={"index": (np.array([0, 2, 0]),)}),
    ),
)
def getitem(a, index=()):
    """Part of an array by slice or index; only the chosen elements receive gradient."""
    return a[index]


# Probabilities


@op(
    "softmax",
    r"y_i = \frac{e^{a_i}}{\sum_j e^{a_j}}",
    "softmax({a})",
    vjp=(lambda g, y, a, axis: y * (g - np.sum(g * y, axis=axis, keepdims=True)),),
    partials=(r"\frac{\partial y_i}{\partial a_j} = y_i\,([\,i = j\,] - y_j)",),
    back=("y ⊙ ({g} − Σ {g} ⊙ y)",),
    samples=(Sample(((4,),)), Sample(((2, 3),)), Sample(((2, 3),), attrs={"axis": 0})),
)
def softmax(a, axis=-1):
    """Probabilities from scores; the maximum is subtracted first, so that large scores do not overflow."""
    top = np.max(a, axis=axis, keepdims=True)
    e = np.exp(a - np.where(np.isfinite(top), top, 0.0))
    return e / np.sum(e, axis=axis, keepdims=True)


@op(
    "log softmax",
    r"y_i = a_i - \log \sum_j e^{a_j}",
    "log_softmax({a})",
    vjp=(lambda g, y, a, axis: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True),),
    partials=(r"\frac{\partial y_i}{\partial a_j} = [\,i = j\,] - e^{y_j}",),
    back=("{g} − softmax({a}) Σ {g}",),
    samples=(Sample(((4,),)), Sample(((2, 3),))),
)
def log_softmax(a, axis=-1):
    """Logarithm of the softmax without the detour through tiny probabilities."""
    top = np.max(a, axis=axis, keepdims=True)
    shifted = a - np.where(np.isfinite(top), top, 0.0)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: function(other, self)


Tensor.__add__, Tensor.__radd__ = add, _reflected(add)
Tensor.__sub__, Tensor.__rsub__ = subtract, _reflected(subtract)
Tensor.__mul__, Tensor.__rmul__ = multiply, _reflected(multiply)
Tensor.__truediv__, Tensor.__rtruediv__ = divide, _reflected(divide)
Tensor.__pow__, Tensor.__rpow__ = power, _reflected(power)
Tensor.__matmul__, Tensor.__rmatmul__ = matmul, _reflected(matmul)
Tensor.__neg__ = negative
Tensor.__getitem__ = lambda self, index: getitem(self, index=index)


_TEX = {"≥": r"\ge", "≤": r"\le"}


def _define_comparison(name: str, symbol: str, compare: Callable[..., Any]) -> Callable[..., Any]:
    def forward(a, b):
        return compare(a, b) * 1.0

    forward.__name__ = name
    forward.__doc__ = f"1 where a {symbol} b, else 0; a step, so that no gradient passes."
    return op(
        symbol,
        rf"y = [\,a {_TEX.get(symbol, symbol)} b\,]",
        f"[{{a}} {symbol} {{b}}]",
        vjp=(lambda g, y, a, b: 0.0 * g, lambda g, y, a, b: 0.0 * g),
        partials=(r"\frac{\partial y}{\partial a} = 0", r"\frac{\partial y}{\partial b} = 0"),
        back=("0", "0"),
        samples=(Sample(((2, 3), ())),),
        elementwise=True,
    )(forward)


greater = _define_comparison("greater", ">", np.greater)
less = _define_comparison("less", "<", np.less)
greater_equal = _define_comparison("greater_equal", "≥", np.greater_equal)
less_equal = _define_comparison("less_equal", "≤", np.less_equal)
Tensor.__gt__, Tensor.__lt__ = greater, less
Tensor.__ge__, Tensor.__le__ = greater_equal, less_equal
