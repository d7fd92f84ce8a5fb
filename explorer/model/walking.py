"""From box to box: in reading order, along the edges, up and down. Knows places and edges, no values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np

from explorer.model.layout import Layout

Way = Literal["consumer", "input", "above", "below"]


def in_reading_order(layout: Layout, boxes: Iterable[int]) -> list[int]:
    """The given boxes in the order of computing, in which a screen reader tells them too."""
    return sorted(boxes, key=lambda k: (layout.boxes.nodes[k], k))


def reading_order(layout: Layout) -> list[int]:
    """All boxes; of a shared leaf the true one, not its copies beside each use."""
    aliases = {k for k, box in enumerate(layout.boxes) if box.kind == "alias"}
    return in_reading_order(layout, (k for k in range(len(layout.boxes)) if k not in aliases))


def inside(layout: Layout, x0: float, y0: float, x1: float, y1: float) -> list[int]:
    """The nodes of the boxes that lie wholly in a rectangle, in reading order."""
    r = layout.rects
    within = (r[:, 0] >= x0) & (r[:, 1] >= y0) & (r[:, 2] <= x1) & (r[:, 3] <= y1)
    found = in_reading_order(layout, np.flatnonzero(within).tolist())
    return list(dict.fromkeys(int(layout.boxes.nodes[k]) for k in found))


def beside(layout: Layout, k: int, way: Way) -> int | None:
    """The box one step from box k: along an edge the one most nearly in line, in the column the nearest."""
    if way in ("consumer", "input"):
        found = _along(layout, k, forward=way == "consumer")
    else:
        found = _in_column(layout, k, upwards=way == "above")
    found = found[found != k]
    if not len(found):
        return None
    dx, dy = np.abs(layout.boxes.centres[found, :2] - layout.boxes.centres[k, :2]).T
    return int(found[np.lexsort((found, dx, dy))[0]])


def _along(layout: Layout, k: int, *, forward: bool) -> np.ndarray:
    """Boxes at the other ends of the edges of a box."""
    edges = layout.edges
    here, there = (edges.sources, edges.targets) if forward else (edges.targets, edges.sources)
    found = there[here == k]
    if not len(found):  # from the true box of a shared leaf no line goes, but from its copies
        copies = np.flatnonzero(layout.boxes.nodes == layout.boxes.nodes[k])
        found = there[np.isin(here, copies)]
    return found


def _in_column(layout: Layout, k: int, *, upwards: bool) -> np.ndarray:
    """Boxes that stand above or below a box, at least partly."""
    rects, y = layout.rects, layout.boxes.centres[:, 1]
    beneath = (rects[:, 0] < rects[k, 2]) & (rects[:, 2] > rects[k, 0])
    return np.flatnonzero(beneath & (y < y[k] if upwards else y > y[k]))
