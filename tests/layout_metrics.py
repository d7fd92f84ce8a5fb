"""What a layout is measured by: overlaps, runs over foreign boxes, ends of edges, rows, columns, order.

Every function returns what is wrong (or the figure), so that a failing test says where.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

import numpy as np

from explorer.model.layout import Box, Layout

EPSILON = 1e-6
_STEP = re.compile(r"t=-?\d+")


def rectangles(boxes: Iterable[Box]) -> np.ndarray:
    """x0, y0, x1, y1 of each box, from its centre and size."""
    return np.array([[b.x - b.w / 2, b.y - b.h / 2, b.x + b.w / 2, b.y + b.h / 2] for b in boxes])


def overlaps(layout: Layout) -> list[tuple[Box, Box]]:
    """Pairs of boxes that share some inner area."""
    r = rectangles(layout.boxes)
    meet = (
        (r[:, None, 0] < r[None, :, 2] - EPSILON)
        & (r[None, :, 0] < r[:, None, 2] - EPSILON)
        & (r[:, None, 1] < r[None, :, 3] - EPSILON)
        & (r[None, :, 1] < r[:, None, 3] - EPSILON)
    )
    return [(layout.boxes[i], layout.boxes[j]) for i, j in np.argwhere(np.triu(meet, 1))]


def outside_of_areas(layout: Layout) -> list[str]:
    """Boxes and open scopes that reach over the border of the open scope around them, or the picture's."""
    borders = {a.scope: (a.x0, a.y0, a.x1, a.y1) for a in layout.areas} | {"": layout.bounds}
    inner = [
        (b.scope, b.kind == "scope", r) for b, r in zip(layout.boxes, rectangles(layout.boxes), strict=True)
    ]
    inner += [(a.scope, True, np.array([a.x0, a.y0, a.x1, a.y1])) for a in layout.areas]
    wrong = []
    for scope, is_scope, (x0, y0, x1, y1) in inner:
        parent = scope.rpartition("/")[0] if is_scope else scope
        left, top, right, bottom = borders[parent]
        if x0 < left - EPSILON or y0 < top - EPSILON or x1 > right + EPSILON or y1 > bottom + EPSILON:
            wrong.append(f"{scope} in {parent or 'the picture'}")
    return wrong


def loose_ends(layout: Layout) -> list[int]:
    """Edges that do not leave their source outwards, to a side or upwards, or do not come to a side of their
    target, or its lower border, from outside."""
    r = rectangles(layout.boxes)
    wrong = []
    for k, edge in enumerate(layout.edges):
        xa, ya = edge.points[0]
        a, b = r[edge.source], r[edge.target]
        (xb, yb), before = edge.points[-1], edge.points[-2]
        up = abs(ya - a[1]) < 0.01 and a[0] <= xa <= a[2] and edge.points[1][1] <= ya
        below = abs(yb - b[3]) < 0.01 and b[0] <= xb <= b[2] and before[1] >= yb
        leaves = up or _at_side(a, edge.points[0], edge.points[1])
        if not (leaves and (below or _at_side(b, edge.points[-1], before))):
            wrong.append(k)
    return wrong


def _at_side(box: np.ndarray, end: np.ndarray, next_point: np.ndarray) -> bool:
    """Whether a line ends on the left or right side of a box and goes on away from it."""
    right = abs(end[0] - box[2]) < 0.01 and next_point[0] >= end[0] - 0.01
    left = abs(end[0] - box[0]) < 0.01 and next_point[0] <= end[0] + 0.01
    return bool((left or right) and box[1] - 0.01 <= end[1] <= box[3] + 0.01)


def slanted(layout: Layout) -> list[int]:
    """Edges with a segment that is neither horizontal nor vertical, those between dense layers aside."""
    return [
        k
        for k, edge in enumerate(layout.edges)
        if not edge.fan and np.any(np.min(np.abs(np.diff(edge.points, axis=0)), axis=1) > 0.051)
    ]


def hits(layout: Layout, shrink: float = 1.0) -> list[tuple[int, int]]:
    """(edge, box) where an edge passes through a box that it neither starts from nor leads to; a folded scope
    that reads the same value may have it run through, as it does when it is open."""
    if not layout.edges:
        return []
    r = rectangles(layout.boxes)
    starts = np.concatenate([e.points[:-1] for e in layout.edges])
    stops = np.concatenate([e.points[1:] for e in layout.edges])
    owner = np.repeat(np.arange(len(layout.edges)), [len(e.points) - 1 for e in layout.edges])
    low, high = np.minimum(starts, stops), np.maximum(starts, stops)
    through = (
        (low[:, None, 0] < r[None, :, 2] - shrink)
        & (high[:, None, 0] > r[None, :, 0] + shrink)
        & (low[:, None, 1] < r[None, :, 3] - shrink)
        & (high[:, None, 1] > r[None, :, 1] + shrink)
    )
    found = {(int(owner[s]), int(b)) for s, b in np.argwhere(through)}
    scopes = [k for k, b in enumerate(layout.boxes) if b.kind == "scope"]
    reads = {(e.source, e.target) for e in layout.edges if e.target in scopes}
    own = {(k, b) for k, e in enumerate(layout.edges) for b in (e.source, e.target)}
    return sorted((e, b) for e, b in found - own if (layout.edges[e].source, b) not in reads)


def path_of(layout: Layout, box: Box) -> tuple[str, ...]:
    """Scope and local name of a box; the same path means the same thing in another layout of the graph."""
    if box.kind == "scope":
        return tuple(box.scope.split("/"))
    items = layout.topology.items
    return next(i.path for i in items if (i.node, i.consumer) == (box.node, box.consumer))


def paths(layout: Layout) -> dict[tuple[str, ...], Box]:
    """Every box by its path."""
    of_item = {(i.node, i.consumer): i.path for i in layout.topology.items}
    return {
        tuple(b.scope.split("/")) if b.kind == "scope" else of_item[b.node, b.consumer]: b
        for b in layout.boxes
    }


def any_step(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path with every time step starred: what is the same op in each step."""
    return tuple("t=*" if _STEP.fullmatch(part) else part for part in path)


def row_spread(layout: Layout) -> dict[tuple[str, ...], float]:
    """By op: how far apart in height its boxes in the different time steps are."""
    heights: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for path, box in paths(layout).items():
        if any_step(path) != path:
            heights[any_step(path)].append(box.y)
    return {key: max(ys) - min(ys) for key, ys in heights.items() if len(ys) > 1}


def column_widths(layout: Layout) -> dict[str, np.ndarray]:
    """By sequence: the widths of its time steps."""
    found: dict[str, list[float]] = defaultdict(list)
    for c in layout.columns:
        found[c.scope].append(c.x1 - c.x0)
    return {scope: np.array(widths) for scope, widths in found.items()}


def column_pitches(layout: Layout) -> dict[str, np.ndarray]:
    """By sequence: the distances from each time step to the next."""
    found: dict[str, list[float]] = defaultdict(list)
    for c in sorted(layout.columns, key=lambda c: c.time):
        found[c.scope].append(c.x0)
    return {scope: np.diff(np.array(starts)) for scope, starts in found.items()}


def state_line_heights(layout: Layout) -> np.ndarray:
    """Heights of all points of all state lines."""
    return np.concatenate([e.points[:, 1] for e in layout.edges if e.state_line] or [np.empty(0)])


def drawn(layout: Layout) -> Counter[tuple[int, int]]:
    """How many drawn edges stand for each graph edge (consumer, slot)."""
    return Counter(m for e in layout.edges for m in e.members)


def order_flips(before: Layout, after: Layout) -> tuple[int, int, int]:
    """Pairs of ops and leaves side by side in one scope (of any time step), seen in both layouts, that
    swapped in x, swapped in y, or left their common row."""
    a, b = paths(before), paths(after)
    both = [p for p in a if p in b and a[p].kind != "scope" and b[p].kind != "scope"]
    numbers: dict[tuple[str, ...], int] = {}
    scope = np.array([numbers.setdefault(any_step(p)[:-1], len(numbers)) for p in both])
    old = np.array([[a[p].x, a[p].y] for p in both]).reshape(-1, 2)
    new = np.array([[b[p].x, b[p].y] for p in both]).reshape(-1, 2)
    was, now = old[:, None] - old[None], new[:, None] - new[None]
    beside = scope[:, None] == scope[None]
    flipped = (was * now < 0) & (abs(was) > 0.5) & (abs(now) > 0.5) & beside[..., None]
    torn = (abs(was[..., 1]) < 0.5) & (abs(now[..., 1]) > 0.5) & beside
    return int(flipped[..., 0].sum()) // 2, int(flipped[..., 1].sum()) // 2, int(torn.sum()) // 2


def fingerprint(layout: Layout) -> str:
    """sha256 of every coordinate."""
    digest = hashlib.sha256()
    for box in layout.boxes:
        digest.update(
            repr((box.kind, box.node, box.consumer, box.scope, box.x, box.y, box.w, box.h)).encode()
        )
    for edge in layout.edges:
        digest.update(repr((edge.source, edge.target, edge.members, edge.state_line)).encode())
        digest.update(edge.points.tobytes())
    digest.update(repr((layout.areas, layout.columns, layout.bounds)).encode())
    return digest.hexdigest()


def positions(boxes: Mapping[tuple[str, ...], Box]) -> dict[tuple[str, ...], tuple[float, float]]:
    """Centre of each box by its path."""
    return {path: (box.x, box.y) for path, box in boxes.items()}


def back_and_forth(layout: Layout) -> list[int]:
    """Edges that turn round on themselves: two segments in a row in opposite directions."""
    wrong = []
    for k, edge in enumerate(layout.edges):
        d = np.diff(edge.points, axis=0)
        if any(float(p @ q) < -EPSILON for p, q in pairwise(d)):
            wrong.append(k)
    return wrong
