"""An array as text for the clipboard: NumPy code, CSV, LaTeX, plain columns. Knows no widgets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

LATEX_DIGITS = 4  # significant; the other formats keep every digit


def as_numpy(a: np.ndarray) -> str:
    """Code that makes the same float64 array again (`np`, `nan` and `inf` are taken as known)."""
    with np.printoptions(threshold=max(a.size + 1, 1000), floatmode="unique", linewidth=100):
        return f"np.{np.asarray(a)!r}"


def as_csv(a: np.ndarray) -> str:
    """A row of the matrix on each line; a vector is one column, a deeper array several matrices."""
    return _lines(a, ",")


def as_plain(a: np.ndarray) -> str:
    """As CSV, with tabs: a spreadsheet takes them as columns."""
    return _lines(a, "\t")


def as_latex(a: np.ndarray) -> str:
    """A number, or a `pmatrix` (of amsmath); a vector stands upright. Deeper arrays are matrices in a row."""
    if a.ndim == 0:
        return _latex_number(float(a))
    made = []
    for matrix in _matrices(a):
        rows = r" \\ ".join(" & ".join(map(_latex_number, row)) for row in matrix.tolist())
        made.append(rf"\begin{{pmatrix}} {rows} \end{{pmatrix}}")
    return r" \quad ".join(made)


FORMATS: dict[str, Callable[[np.ndarray], str]] = {
    "NumPy": as_numpy,
    "CSV": as_csv,
    "LaTeX": as_latex,
    "text": as_plain,
}


def _matrices(a: np.ndarray) -> list[np.ndarray]:
    """Every array as matrices: the two last axes are rows and columns, a vector is a column."""
    if a.ndim < 2:
        return [a.reshape(-1, 1)]
    return list(a.reshape(-1, *a.shape[-2:]))


def _lines(a: np.ndarray, between: str) -> str:
    return "\n\n".join(
        "\n".join(between.join(map(repr, row)) for row in matrix.tolist()) for matrix in _matrices(a)
    )


def _latex_number(x: float) -> str:
    if np.isnan(x):
        return r"\mathrm{NaN}"
    if np.isinf(x):
        return r"\infty" if x > 0 else r"-\infty"
    mantissa, _, exponent = f"{x:.{LATEX_DIGITS}g}".partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}" if exponent else mantissa
