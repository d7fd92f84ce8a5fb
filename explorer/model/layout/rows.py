"""Heights of the boxes of one template: an exact linear program, solved by HiGHS.

Edges want to be straight; boxes of one rank keep their order and distance; a value that recurs enters and
leaves at the same height, and a spine is one straight line: these are equalities, not luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import highspy
import numpy as np

Separation = tuple[int, int, float]  # upper, lower, least distance of centres
Attraction = tuple[int, int, float, float]  # p, q, offset, weight: weight * |y_p + offset − y_q|
Equality = tuple[int, int, float]  # y_p + offset = y_q


def solve(
    n: int,
    separations: list[Separation],
    attractions: list[Attraction],
    equalities: list[Equality],
    wishes: list[list[Equality]],
    locks: Sequence[Separation] = (),
) -> np.ndarray:
    """Heights of n elements. `wishes` are groups of equalities that are dropped, last group first, when
    they contradict each other, and so are `locks`, before the first group is."""
    for count, kept in [*((k, locks) for k in range(len(wishes), 0, -1)), (len(wishes), ()), (0, ())]:
        wanted = [*equalities, *(w for group in wishes[:count] for w in group)]
        y = _solve(n, (*separations, *kept), tuple(attractions), tuple(wanted))
        if y is not None:
            return np.array(y)
    y = _solve(n, tuple(separations), tuple(attractions), ())
    assert y is not None, "separations of a layered drawing can always be met"
    return np.array(y)


@lru_cache(maxsize=512)
def _solve(
    n: int,
    separations: tuple[Separation, ...],
    attractions: tuple[Attraction, ...],
    equalities: tuple[Equality, ...],
) -> tuple[float, ...] | None:
    columns = n + len(attractions)
    infinity = highspy.kHighsInf
    rows: list[tuple[list[int], list[float], float, float]] = []
    for a, b, gap in separations:
        rows.append(([a, b], [-1.0, 1.0], gap, infinity))
    for k, (p, q, offset, _) in enumerate(
        attractions
    ):  # the k-th extra column is the length of the k-th edge
        rows.append(([n + k, p, q], [1.0, -1.0, 1.0], offset, infinity))
        rows.append(([n + k, p, q], [1.0, 1.0, -1.0], -offset, infinity))
    for p, q, offset in equalities:
        if p != q:
            rows.append(([p, q], [1.0, -1.0], -offset, -offset))
        elif abs(offset) > 1e-9:
            return None
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = columns, len(rows)
    lp.col_cost_ = np.concatenate([np.full(n, 1e-6), [w for *_, w in attractions]])
    lp.col_lower_ = np.zeros(columns)
    lp.col_upper_ = np.full(columns, infinity)
    lp.row_lower_ = np.array([lower for *_, lower, _ in rows])
    lp.row_upper_ = np.array([upper for *_, upper in rows])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.cumsum([0, *(len(r[0]) for r in rows)])
    lp.a_matrix_.index_ = np.array([i for r in rows for i in r[0]], dtype=np.int32)
    lp.a_matrix_.value_ = np.array([v for r in rows for v in r[1]])
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.passModel(lp)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    return tuple(round(y, 3) for y in solver.getSolution().col_value[:n])
