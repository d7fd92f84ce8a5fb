"""Probabilities from scores.

Scores that are all −∞, a row where everything is masked, have no probabilities: softmax gives 0 for each of
them, log_softmax and logsumexp give −∞, and no NaN comes back.
"""

from __future__ import annotations

import numpy as np

from autograd.ops.arithmetic import add_n
from autograd.ops.definition import Sample, op
from autograd.ops.functions import exp, log

# Where there is a probability at all, the largest score is above the one and the sum is at least 1.
_LOWEST, _LEAST = np.finfo(np.float64).min, np.finfo(np.float64).tiny


def _along(axis, function):
    """`function` of each row of scalar tensors along an axis."""

    def spelled_out(a, axis=axis):
        moved = np.moveaxis(a, axis, -1)
        result = np.empty(moved.shape, dtype=object)
        for index in np.ndindex(moved.shape[:-1]):
            result[index] = function(list(moved[index]))
        return np.moveaxis(result, -1, axis)

    return spelled_out


def _softmax_scalars(scores):
    parts = [exp(a) for a in scores]
    total = add_n(parts)
    return [e / total for e in parts]


def _log_softmax_scalars(scores):
    total = log(add_n([exp(a) for a in scores]))
    return [a - total for a in scores]


@op(
    "softmax",
    r"y_i = \frac{e^{a_i}}{\sum_j e^{a_j}}",
    "softmax({a})",
    vjp=(lambda g, y, a, axis: y * (g - np.sum(g * y, axis=axis, keepdims=True)),),
    partials=(r"\frac{\partial y_i}{\partial a_j} = y_i\,([\,i = j\,] - y_j)",),
    back=("y ⊙ ({g} − Σ {g} ⊙ y)",),
    samples=(Sample(((4,),)), Sample(((2, 3),)), Sample(((2, 3),), attrs={"axis": 0})),
    scalar=_along(-1, _softmax_scalars),
)
def softmax(a, axis=-1):
    """Probabilities from scores; the maximum is subtracted first, so that large scores do not overflow."""
    top = np.max(a, axis=axis, keepdims=True)
    e = np.exp(a - np.maximum(top, _LOWEST))
    return e / np.maximum(np.sum(e, axis=axis, keepdims=True), _LEAST)


@op(
    "log softmax",
    r"y_i = a_i - \log \sum_j e^{a_j}",
    "log_softmax({a})",
    vjp=(lambda g, y, a, axis: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True),),
    partials=(r"\frac{\partial y_i}{\partial a_j} = [\,i = j\,] - e^{y_j}",),
    back=("{g} − softmax({a}) Σ {g}",),
    samples=(Sample(((4,),)), Sample(((2, 3),))),
    scalar=_along(-1, _log_softmax_scalars),
)
def log_softmax(a, axis=-1):
    """Logarithm of the softmax without the detour through tiny probabilities."""
    top = np.max(a, axis=axis, keepdims=True)
    shifted = a - np.maximum(top, _LOWEST)
    return shifted - np.log(np.maximum(np.sum(np.exp(shifted), axis=axis, keepdims=True), _LEAST))


def _logsumexp_back(g, y, a, axis, keepdims):
    if axis is not None and not keepdims:
        g, y = np.expand_dims(g, axis), np.expand_dims(y, axis)
    return g * np.exp(a - np.where(y == -np.inf, 0.0, y))


@op(
    "log Σ exp",
    r"y = \log \sum_i e^{a_i}",
    "log Σ exp({a})",
    vjp=(_logsumexp_back,),
    partials=(r"\frac{\partial y}{\partial a_i} = e^{a_i - y}",),
    back=("{g} softmax({a})",),
    samples=(
        Sample(((2, 3),)),
        Sample(((2, 3),), attrs={"axis": 1}),
        Sample(((2, 3),), attrs={"axis": 0, "keepdims": True}),
    ),
)
def logsumexp(a, axis=None, keepdims=False):
    """Smooth maximum: the logarithm of the summed exponentials. Its gradient is the softmax."""
    top = np.maximum(np.max(a, axis=axis, keepdims=True), _LOWEST)
    y = np.log(np.sum(np.exp(a - top), axis=axis, keepdims=True)) + top
    return y if keepdims else np.squeeze(y, axis)
