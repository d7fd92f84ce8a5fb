"""The way from one layout to another of the same graph, for the animated fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from explorer.model.layout.geometry import Area, Box, Edge, Layout

_SAMPLES = 24


def between(a: Layout, b: Layout, share: float) -> Layout:
    """The layout `b` with everything moved back towards where it was in `a`; share 1 is `b` itself.

    What is not in `a` grows out of the folded box that it was in.
    """
    if share >= 1.0:
        return b
    boxes = tuple(_mixed_box(_place(a, box), box, share) for box in b.boxes)
    old_areas = {area.scope: area for area in a.areas}
    areas = tuple(_mixed_area(old_areas.get(area.scope), a, area, share) for area in b.areas)
    keys_a = {_edge_key(a, e): e for e in a.edges}
    edges = tuple(_mixed_edge(keys_a.get(_edge_key(b, e)), e, boxes, share) for e in b.edges)
    p, q = a.bounds, b.bounds
    bounds = (
        _mix(p[0], q[0], share),
        _mix(p[1], q[1], share),
        _mix(p[2], q[2], share),
        _mix(p[3], q[3], share),
    )
    return replace(b, boxes=boxes, areas=areas, edges=edges, bounds=bounds)


def _place(layout: Layout, box: Box) -> Box:
    """Where a box, or the box that hid it, stood."""
    for other in layout.boxes:
        if (other.kind, other.node, other.consumer, other.scope) == (
            box.kind,
            box.node,
            box.consumer,
            box.scope,
        ):
            return other
    parts = box.scope.split("/")
    for other in layout.boxes:
        if other.kind == "scope" and other.scope.split("/") == parts[: other.scope.count("/") + 1]:
            return other
    for area in layout.areas:  # what is now a folded box was open
        if area.scope == box.scope:
            return replace(
                box,
                x=(area.x0 + area.x1) / 2,
                y=(area.y0 + area.y1) / 2,
                w=area.x1 - area.x0,
                h=area.y1 - area.y0,
            )
    return box


def _mix(a: float, b: float, share: float) -> float:
    return a + (b - a) * share


def _mixed_box(a: Box, b: Box, share: float) -> Box:
    x, y, w, h = (_mix(p, q, share) for p, q in ((a.x, b.x), (a.y, b.y), (a.w, b.w), (a.h, b.h)))
    return replace(b, x=x, y=y, w=w, h=h)


def _mixed_area(old: Area | None, layout: Layout, new: Area, share: float) -> Area:
    if old is None:
        box = next((b for b in layout.boxes if b.kind == "scope" and b.scope == new.scope), None)
        if box is None:
            return new
        x0, y0, x1, y1 = box.x - box.w / 2, box.y - box.h / 2, box.x + box.w / 2, box.y + box.h / 2
    else:
        x0, y0, x1, y1 = old.x0, old.y0, old.x1, old.y1
    return replace(
        new,
        x0=_mix(x0, new.x0, share),
        y0=_mix(y0, new.y0, share),
        x1=_mix(x1, new.x1, share),
        y1=_mix(y1, new.y1, share),
    )


def _edge_key(layout: Layout, edge: Edge) -> tuple[object, ...]:
    ends = [layout.boxes[k] for k in (edge.source, edge.target)]
    return tuple((b.kind, b.node, b.consumer, b.scope) for b in ends)


def _mixed_edge(old: Edge | None, new: Edge, boxes: tuple[Box, ...], share: float) -> Edge:
    if old is None:  # straight between its boxes while they move
        a, b = boxes[new.source], boxes[new.target]
        points = np.array([[a.x + a.w / 2, a.y], [b.x - b.w / 2, b.y]])
    else:
        points = _resampled(old.points) + (_resampled(new.points) - _resampled(old.points)) * share
    return replace(new, points=points)


def _resampled(points: np.ndarray) -> np.ndarray:
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    at = np.linspace(0.0, lengths[-1], _SAMPLES)
    return np.stack([np.interp(at, lengths, points[:, k]) for k in range(2)], axis=1)
