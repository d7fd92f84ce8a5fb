"""Heights of the boxes of one template: an exact linear program, solved by HiGHS.

Edges want to be straight; boxes of one rank keep their order and distance; a value that recurs enters and
leaves at the same height, and a spine is one straight line: these are equalities, not luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import highspy
import numpy as np

DENSE = 2500  # edges of a template, beyond which its program would take seconds

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
    if len(attractions) > DENSE and not equalities and not any(wishes):
        return _swept(n, separations, attractions)
    for count, kept in [*((k, locks) for k in range(len(wishes), 0, -1)), (len(wishes), ()), (0, ())]:
        wanted = [*equalities, *(w for group in wishes[:count] for w in group)]
        y = _solve(n, (*separations, *kept), tuple(attractions), tuple(wanted))
        if y is not None:
            return np.array(y)
    y = _solve(n, tuple(separations), tuple(attractions), ())
    assert y is not None, "separations of a layered drawing can always be met"
    return np.array(y)


def _swept(n: int, separations: list[Separation], attractions: list[Attraction]) -> np.ndarray:
    """Heights for a template too dense for a linear program: every rank in turn moves to the mean of what its
    boxes are tied to, kept in order and apart by isotonic regression."""
    above = {b: (a, gap) for a, b, gap in separations}
    below = {a: b for a, b, _ in separations}
    ranks, stacked = [], np.zeros(n)
    for first in (i for i in range(n) if i not in above):
        members = [first]
        while members[-1] in below:
            members.append(below[members[-1]])
            before, gap = above[members[-1]]
            stacked[members[-1]] = stacked[before] + gap
        ranks.append(np.array(members))
    p, q = (np.array([a[k] for a in attractions]) for k in (0, 1))
    offset, weight = (np.array([a[k] for a in attractions], dtype=float) for k in (2, 3))
    pull = np.maximum(np.bincount(p, weight, n) + np.bincount(q, weight, n), 1e-9)
    y = stacked.copy()
    for rank in ranks:
        y[rank] -= y[rank].mean()
    for _ in range(6):
        for rank in ranks:
            wanted = np.bincount(p, weight * (y[q] - offset), n) + np.bincount(q, weight * (y[p] + offset), n)
            tied = pull[rank] > 1e-6
            goal = np.where(tied, wanted[rank] / pull[rank], y[rank])
            y[rank] = stacked[rank] + _increasing(goal - stacked[rank])
    return np.round(y - y.min(), 3)


def _increasing(values: np.ndarray) -> np.ndarray:
    """The closest values that do not decrease (pool adjacent violators)."""
    blocks: list[list[float]] = []  # mean and size
    for v in values.tolist():
        blocks.append([v, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, m), (b, k) = blocks[-2:]
            blocks[-2:] = [[(a * m + b * k) / (m + k), m + k]]
    return np.repeat([b[0] for b in blocks], [int(b[1]) for b in blocks])


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
