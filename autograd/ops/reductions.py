"""Many numbers to one: sum, mean, variance, extremes, length; and the running sum."""

from __future__ import annotations

import builtins

import numpy as np

from autograd.ops.definition import Sample, op


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


def _var_back(g, y, a, axis, keepdims):
    n = a.size / builtins.max(np.size(y), 1)
    return _sum_back(g, y, a, axis, keepdims) * (a - np.sum(a, axis=axis, keepdims=True) / n) * (2.0 / n)


@op(
    "var",
    r"y = \frac{1}{n}\sum_i (a_i - \bar{a})^2",
    "var({a})",
    vjp=(_var_back,),
    partials=(r"\frac{\partial y}{\partial a_i} = \frac{2}{n}(a_i - \bar{a})",),
    back=("2/n {g} ⊙ ({a} − mean)",),
    samples=_REDUCTIONS,
)
def var(a, axis=None, keepdims=False):
    """Variance: the average squared distance from the mean. It divides by n, not by n − 1."""
    apart = a - np.mean(a, axis=axis, keepdims=True)
    return np.mean(apart * apart, axis=axis, keepdims=keepdims)


def _first_along(hits, axis):
    """Of the places that are True, the first one along the axes of a reduction."""
    if axis is None:
        flat = np.reshape(hits, -1)
        return np.reshape(flat & (np.cumsum(flat) == 1), hits.shape)
    if not isinstance(axis, tuple):
        return hits & (np.cumsum(hits, axis=axis) == 1)
    reduced = [k % hits.ndim for k in axis]
    order = [k for k in range(hits.ndim) if k not in reduced] + sorted(reduced)
    moved = np.transpose(hits, order)
    flat = np.reshape(moved, (*moved.shape[: hits.ndim - len(reduced)], -1))
    first = np.reshape(_first_along(flat, -1), moved.shape)
    return np.transpose(first, np.argsort(order))


def _extreme_back(g, y, a, axis, keepdims):
    hits = a == _restore_axis(y, a, axis, keepdims)
    return np.where(_first_along(hits, axis), _restore_axis(g, a, axis, keepdims), 0.0)


@op(
    "max",
    r"y = \max_i a_i",
    "max({a})",
    vjp=(_extreme_back,),
    partials=(r"\frac{\partial y}{\partial a_i} = [\, i = \mathrm{argmax}\, a \,]",),
    back=("{g} for the largest element, 0 for the others",),
    samples=(*_REDUCTIONS, Sample(((2, 3, 2),), attrs={"axis": (0, 2)})),
)
def max(a, axis=None, keepdims=False):
    """The largest element; it alone receives the gradient, in a tie the first one."""
    return np.max(a, axis=axis, keepdims=keepdims)


@op(
    "min",
    r"y = \min_i a_i",
    "min({a})",
    vjp=(_extreme_back,),
    partials=(r"\frac{\partial y}{\partial a_i} = [\, i = \mathrm{argmin}\, a \,]",),
    back=("{g} for the smallest element, 0 for the others",),
    samples=(*_REDUCTIONS, Sample(((2, 3, 2),), attrs={"axis": (0, 2)})),
)
def min(a, axis=None, keepdims=False):
    """The smallest element; it alone receives the gradient, in a tie the first one."""
    return np.min(a, axis=axis, keepdims=keepdims)


def _norm_back(g, y, a, axis, keepdims):
    length = _restore_axis(y, a, axis, keepdims)
    return _restore_axis(g, a, axis, keepdims) * a / np.where(length == 0.0, 1.0, length)


@op(
    "‖a‖",
    r"y = \sqrt{\sum_i a_i^2}",
    "‖{a}‖",
    vjp=(_norm_back,),
    partials=(r"\frac{\partial y}{\partial a_i} = \frac{a_i}{y}",),
    back=("{g} {a} / ‖{a}‖",),
    samples=_REDUCTIONS,
)
def norm(a, axis=None, keepdims=False):
    """Euclidean length. The gradient is the unit vector of the same direction; at the zero vector it is 0."""
    return np.sqrt(np.sum(a * a, axis=axis, keepdims=keepdims))


def _cumsum_back(g, y, a, axis):
    if axis is None:
        return np.reshape(np.flip(np.cumsum(np.flip(g))), a.shape)
    return np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)


@op(
    "Σ↓",
    r"y_i = \sum_{k \le i} a_k",
    "cumsum({a})",
    vjp=(_cumsum_back,),
    partials=(r"\frac{\partial y_i}{\partial a_k} = [\, k \le i \,]",),
    back=("the sum of {g} from its place to the end",),
    samples=(
        Sample(((2, 3),)),
        Sample(((2, 3),), attrs={"axis": 1}),
        Sample(((2, 3),), attrs={"axis": 0}),
    ),
)
def cumsum(a, axis=None):
    """Running sum. An element counts in every later sum, so that the gradient is summed from the end."""
    return np.cumsum(a, axis=axis)
