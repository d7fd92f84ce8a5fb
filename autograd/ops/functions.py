"""Functions of one number, and the choice between two."""

from __future__ import annotations

import numpy as np

from autograd.ops.definition import ONE, POSITIVE, Sample, op


@op(
    "exp",
    r"y = e^a",
    "exp({a})",
    vjp=(lambda g, y, a: g * y,),
    partials=(r"\frac{\partial y}{\partial a} = e^a",),
    back=("{g} ⊙ exp({a})",),
    samples=ONE,
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
    samples=POSITIVE,
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
    samples=POSITIVE,
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
    samples=ONE,
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
    samples=ONE,
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
    samples=ONE,
    elementwise=True,
)
def cos(a):
    """Cosine of an angle in radians."""
    return np.cos(a)


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


@op(
    "=",
    r"y = \mathrm{const}",
    "const",
    vjp=lambda k, g, y, values, value: np.zeros(values[k].shape),
    partials=(r"\frac{\partial y}{\partial a_k} = 0",),
    back=("0 (held)",),
    samples=(),
    prepare=lambda *values, value: {"value": np.array(value, dtype=np.float64)},
)
def clamp(*inputs, value=0.0):
    """Held at a constant: what the inputs are makes no difference, and no gradient goes back to them."""
    return value


@op(
    "where",
    r"y = a \;\mathrm{if}\; c, \;\mathrm{else}\; b",
    "where({a}, {b}, {c})",
    vjp=(
        lambda g, y, condition, a, b: 0.0 * g,
        lambda g, y, condition, a, b: np.where(condition != 0.0, g, 0.0),
        lambda g, y, condition, a, b: np.where(condition != 0.0, 0.0, g),
    ),
    partials=(
        r"\frac{\partial y}{\partial c} := 0",
        r"\frac{\partial y}{\partial a} = [\,c\,]",
        r"\frac{\partial y}{\partial b} = 1 - [\,c\,]",
    ),
    back=("0", "{g} where {a} holds", "{g} where {a} does not hold"),
    samples=(Sample(((2, 3), (2, 3), (2, 3))), Sample(((2, 1), (3,), ()))),
    elementwise=True,
)
def where(condition, a, b):
    """Elements of the first where the condition is not 0, else of the second; so goes the gradient too."""
    return np.where(condition != 0.0, a, b)


@op(
    "clip",
    r"y = \min(\max(a, l), h)",
    "clip({a}, {b}, {c})",
    vjp=(
        lambda g, y, a, low, high: np.where((a >= low) & (a <= high), g, 0.0),
        lambda g, y, a, low, high: np.where((a < low) & (low <= high), g, 0.0),
        lambda g, y, a, low, high: np.where(np.maximum(a, low) > high, g, 0.0),
    ),
    partials=(
        r"\frac{\partial y}{\partial a} = [\,l \le a \le h\,]",
        r"\frac{\partial y}{\partial l} = [\,a < l\,]",
        r"\frac{\partial y}{\partial h} = [\,a > h\,]",
    ),
    back=("{g} within the limits", "{g} below the lower limit", "{g} above the upper limit"),
    samples=(Sample(((2, 3), (3,), (2, 3))), Sample(((4,), (), ()))),
    elementwise=True,
)
def clip(a, low=-np.inf, high=np.inf):
    """Keep within two limits. Inside them, and on them, the gradient passes; outside none does."""
    return np.minimum(np.maximum(a, low), high)
