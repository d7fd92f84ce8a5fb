"""The words behind numbers: what a one-hot vector stands for, and what probabilities hold for likeliest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.model.text import number, tr

MOST = 4  # columns, one for each example of a batch


def word(names: Sequence[str], value: np.ndarray | None) -> str:
    """The word that a single one-hot vector stands for, else empty."""
    if value is None or value.size != len(names) or value.ndim not in (1, 2) or len(names) < 2:
        return ""
    flat = value.ravel()
    return names[int(flat.argmax())] if np.count_nonzero(flat) == 1 and flat.max() == 1.0 else ""


def words(names: Sequence[str], value: np.ndarray | None) -> str:
    """`one-hot: “cat”` or `likeliest: “cat” (0.31)` for a value with a row for each name, else empty.

    A vector, or a matrix with a column for each example. It is the numbers that decide: a column has a single
    1 among zeros, or nothing below 0 and the sum 1. `names` as `Recording.words` gives them.
    """
    if value is None or value.ndim not in (1, 2) or len(value) < 2 or len(value) != len(names):
        return ""
    columns = value.reshape(len(names), -1).T
    if not (np.all(columns >= 0) and np.allclose(columns.sum(axis=1), 1.0, rtol=0, atol=1e-9)):
        return ""
    one_hot = bool(np.all((columns == 0) | (columns == 1)))
    told = []
    for column in columns[:MOST]:
        k = int(column.argmax())
        word = tr("“{word}”").format(word=names[k])
        told.append(word if one_hot else f"{word} ({number(column[k], 3)})")
    listed = tr(", ").join(told) + ("…" if len(columns) > MOST else "")
    return (tr("one-hot: {words}") if one_hot else tr("likeliest: {words}")).format(words=listed)
