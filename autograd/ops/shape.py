"""Shape."""

from __future__ import annotations

import builtins

import numpy as np

from autograd.ops.definition import Sample, op


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
    vjp=lambda k, g, y, values, axis: np.moveaxis(g, axis, 0)[k],
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
