"""Arithmetic, element by element."""

from __future__ import annotations

import numpy as np

from autograd.ops.definition import ONE, PAIR, Sample, op


@op(
    "+",
    r"y = a + b",
    "{a} + {b}",
    vjp=(lambda g, y, a, b: g, lambda g, y, a, b: g),
    partials=(r"\frac{\partial y}{\partial a} = 1", r"\frac{\partial y}{\partial b} = 1"),
    back=("{g}", "{g}"),
    samples=PAIR,
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
    samples=PAIR,
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
    samples=PAIR,
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
    samples=ONE,
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
    "max",
    r"y = \max(a, b)",
    "max({a}, {b})",
    vjp=(lambda g, y, a, b: g * (a >= b), lambda g, y, a, b: g * (a < b)),
    partials=(
        r"\frac{\partial y}{\partial a} = [\,a \ge b\,]",
        r"\frac{\partial y}{\partial b} = [\,a < b\,]",
    ),
    back=("{g} where {a} ≥ {b}", "{g} where {a} < {b}"),
    samples=PAIR,
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
    samples=PAIR,
    elementwise=True,
)
def minimum(a, b):
    """The smaller of two; the gradient goes to the winner, to the first one in a tie."""
    return np.minimum(a, b)
