"""What is seen of lines: where they cross, where they run on top of each other, how long they are.

The same code judges our pictures and those of others; every line is a polyline from one box to another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from explorer.model.layout import Layout

SEEN_AS_ONE = 2.0  # px: crossings as near as this are one to the eye, and a run as short as this is none
PAIRS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Lines:
    """Every segment of every edge: (n, 2) from and to, and (n,) the boxes that its edge leads from and to."""

    starts: np.ndarray
    stops: np.ndarray
    sources: np.ndarray
    targets: np.ndarray
    edges: int

    @classmethod
    def of(cls, polylines: list[np.ndarray], ends: list[tuple[int, int]]) -> Lines:
        counts = [len(points) - 1 for points in polylines]
        source, target = np.repeat(np.array(ends).reshape(-1, 2), counts, axis=0).T
        starts = np.concatenate([points[:-1] for points in polylines])
        stops = np.concatenate([points[1:] for points in polylines])
        long = np.abs(stops - starts).max(axis=1) > 1e-6
        return cls(starts[long], stops[long], source[long], target[long], len(polylines))

    @classmethod
    def of_layout(cls, layout: Layout) -> Lines:
        return cls.of([e.points for e in layout.edges], [(e.source, e.target) for e in layout.edges])


def mean_length(lines: Lines) -> float:
    """Length of an edge, in px."""
    return float(np.hypot(*(lines.stops - lines.starts).T).sum() / lines.edges)


def crossing_points(lines: Lines) -> int:
    """Points at which edges without a common end cross, each counted once however many edges cross there:
    edges of one source that share a trunk are one line to the eye."""
    found: set[tuple[int, int]] = set()
    for a, b in _near_pairs(lines):
        apart = lines.sources[a] != lines.sources[b]
        apart &= lines.targets[a] != lines.targets[b]
        apart &= (lines.sources[a] != lines.targets[b]) & (lines.targets[a] != lines.sources[b])
        p, q = lines.starts[a[apart]], lines.starts[b[apart]]
        r, s = lines.stops[a[apart]] - p, lines.stops[b[apart]] - q
        area = _cross(r, s)
        with np.errstate(divide="ignore", invalid="ignore"):  # parallel lines compare as not crossing
            along_a, along_b = _cross(q - p, s) / area, _cross(q - p, r) / area
        hit = (along_a >= 0) & (along_a < 1) & (along_b >= 0) & (along_b < 1) & (np.abs(area) > 1e-9)
        points = p[hit] + along_a[hit, None] * r[hit]
        # rounded first, so that rounding errors do not tear one point in two
        found.update(map(tuple, np.floor(points.round(3) / SEEN_AS_ONE + 0.25).astype(int).tolist()))
    return len(found)


def coinciding_runs(lines: Lines) -> int:
    """Pairs of sources with horizontal or vertical runs on top of each other, those aside that lead to
    one target: they may join."""
    found: set[tuple[int, int]] = set()
    for axis in (0, 1):
        flat = np.abs(lines.starts[:, axis] - lines.stops[:, axis]) < 0.05
        on_one_line: dict[float, list[int]] = defaultdict(list)
        places = lines.starts[flat, axis].round(1).tolist()
        for segment, place in zip(np.flatnonzero(flat).tolist(), places, strict=True):
            on_one_line[place].append(segment)
        for members in map(np.array, on_one_line.values()):
            ends = np.stack([lines.starts[members, 1 - axis], lines.stops[members, 1 - axis]])
            low, high = ends.min(axis=0), ends.max(axis=0)
            order = np.argsort(low, kind="stable")
            low, high = low[order], high[order]
            source, target = lines.sources[members][order], lines.targets[members][order]
            for k, (top, owner) in enumerate(zip(high.tolist(), source.tolist(), strict=True)):
                rest = slice(k + 1, int(np.searchsorted(low, top - SEEN_AS_ONE)))
                shared = np.minimum(high[rest], top) - low[rest] > SEEN_AS_ONE
                shared &= target[rest] != target[k]
                others = set(source[rest][shared].tolist()) - {owner}
                found.update((min(owner, o), max(owner, o)) for o in others)
    return len(found)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def _near_pairs(lines: Lines) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of segments whose rectangles meet, some at a time."""
    low, high = np.minimum(lines.starts, lines.stops), np.maximum(lines.starts, lines.stops)
    order = np.argsort(low[:, 0], kind="stable")
    low, high = low[order], high[order]
    counts = np.searchsorted(low[:, 0], high[:, 0], side="right") - np.arange(1, len(low) + 1)
    ends = np.cumsum(counts)
    first = 0
    while first < len(low):
        done = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + PAIRS_AT_ONCE)))
        n = counts[first:last]
        a = np.repeat(np.arange(first, last), n)
        b = a + 1 + np.arange(len(a)) - np.repeat(np.cumsum(n) - n, n)
        meet = (low[a, 1] <= high[b, 1]) & (low[b, 1] <= high[a, 1])
        yield order[a[meet]], order[b[meet]]
        first = last
