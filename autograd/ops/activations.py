"""Activations."""

from __future__ import annotations

import numpy as np

from autograd.ops.definition import ONE, op


@op(
    "tanh",
    r"y = \tanh a",
    "tanh({a})",
    vjp=(lambda g, y, a: g * (1.0 - y * y),),
    partials=(r"\frac{\partial y}{\partial a} = 1 - \tanh^2 a",),
    back=("{g} ⊙ (1 − tanh² {a})",),
    samples=ONE,
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
    samples=ONE,
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
    samples=ONE,
    elementwise=True,
)
def relu(a):
    """Rectifier: passes what is positive. At 0 the slope is taken as 0."""
    return np.maximum(a, 0.0)


@op(
    "LReLU",
    r"y = \max(\varepsilon a, a)",
    "leaky_relu({a})",
    vjp=(lambda g, y, a, negative_slope: g * np.where(a > 0, 1.0, negative_slope),),
    partials=(r"\frac{\partial y}{\partial a} = 1 \;\mathrm{or}\; \varepsilon",),
    back=("{g} ⊙ (1 or ε)",),
    samples=ONE,
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
    samples=ONE,
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
    samples=ONE,
    elementwise=True,
)
def softplus(a):
    """Smooth rectifier; its slope is the sigmoid."""
    return np.logaddexp(0.0, a)
