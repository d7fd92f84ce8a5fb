"""Products of matrices and vectors."""

from __future__ import annotations

import builtins

import numpy as np

from autograd.ops.definition import Sample, op


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


def _unit(a, axis):
    """A vector of length 1 of the same direction, and 1 / length; both 0 for the zero vector."""
    length = np.sqrt(np.sum(a * a, axis=axis, keepdims=True))
    inverse = np.where(length == 0.0, 0.0, 1.0 / np.where(length == 0.0, 1.0, length))
    return a * inverse, inverse


def _from_end(axis, a, b):
    """The axis counted from the end, where it is the same for two shapes of different length."""
    ndim = builtins.max(a.ndim, b.ndim)
    return axis if axis < 0 else axis - ndim


def _cosine_back(g, y, a, b, axis):
    axis = _from_end(axis, a, b)
    ua, inverse = _unit(a, axis)
    ub, _ = _unit(b, axis)
    return np.expand_dims(g, axis) * (ub - np.expand_dims(y, axis) * ua) * inverse


@op(
    "cos ∠",
    r"y = \frac{a \cdot b}{\|a\| \, \|b\|}",
    "cos∠({a}, {b})",
    vjp=(_cosine_back, lambda g, y, a, b, axis: _cosine_back(g, y, b, a, axis)),
    partials=(
        r"\frac{\partial y}{\partial a} = \frac{1}{\|a\|}\left(\frac{b}{\|b\|} - y \frac{a}{\|a\|}\right)",
        r"\frac{\partial y}{\partial b} = \frac{1}{\|b\|}\left(\frac{a}{\|a\|} - y \frac{b}{\|b\|}\right)",
    ),
    back=(
        "{g} ({b}/‖{b}‖ − y {a}/‖{a}‖) / ‖{a}‖",
        "{g} ({a}/‖{a}‖ − y {b}/‖{b}‖) / ‖{b}‖",
    ),
    samples=(
        Sample(((3,), (3,))),
        Sample(((2, 3), (2, 3))),
        Sample(((3, 2), (3, 2)), attrs={"axis": 0}),
        Sample(((2, 3), (3,))),
    ),
)
def cosine_similarity(a, b, axis=-1):
    """Cosine of the angle between vectors; 0 for a zero vector. The gradient turns and never stretches."""
    axis = _from_end(axis, a, b)
    return np.sum(_unit(a, axis)[0] * _unit(b, axis)[0], axis=axis)


def _used_rows(weight, indices):
    given = np.asarray(indices)
    if given.dtype.kind not in "iu" and not (given.dtype.kind == "f" and np.all(given == np.floor(given))):
        raise ValueError("indices must be whole numbers")
    if weight.ndim != 2:
        raise ValueError("the first input must be a matrix with one row for every index")
    rows = given.astype(np.intp)
    wrong = rows[(rows < 0) | (rows >= len(weight))]
    if wrong.size:
        raise ValueError(f"index {wrong.flat[0]} is not in 0 … {len(weight) - 1}")
    return {"indices": rows}


def _embedding_back(g, y, weight, indices):
    out = np.zeros(weight.shape)
    np.add.at(out, indices, g)  # a row that was used twice receives both gradients
    return out


@op(
    "w[ ]",
    r"y = w_{[i]}",
    "{a}[…]",
    vjp=(_embedding_back,),
    partials=(r"\frac{\partial y_i}{\partial w_j} = [\,j = i\,]",),
    back=("{g} for the rows that were used, 0 for the others",),
    samples=(
        Sample(((4, 3),), attrs={"indices": [2, 0, 2]}),
        Sample(((4, 3),), attrs={"indices": 1}),
        Sample(((4, 2),), attrs={"indices": [[0, 3], [1, 3]]}),
    ),
    prepare=_used_rows,
)
def embedding(weight, indices=()):
    """Rows of a matrix by their numbers: the product with one-hot vectors, without the zeros."""
    return weight[indices]
