"""The way from one layout to another of the same graph, for the animated fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from explorer.model.layout.geometry import Area, Box, Boxes, Edges, Layout

_SAMPLES = 24
_Rect = tuple[float, float, float, float]


class Morph:
    """From layout `a` to layout `b`; what is not in `a` grows out of the box that it was folded in."""

    def __init__(self, a: Layout, b: Layout) -> None:
        self.goal = b
        keys_a, keys_b = ([_key(box) for box in layout.boxes] for layout in (a, b))
        places = {key: k for k, key in enumerate(keys_a)}
        folded = {box.scope: k for k, box in enumerate(a.boxes) if box.kind == "scope"}
        opened = {area.scope: area for area in a.areas}
        begin = [_begin(a, places.get(_key(box)), folded, opened, box) for box in b.boxes]
        self._begin = np.array(begin).reshape(-1, 4)
        self._areas = np.array([_begin_of_area(a, folded, opened, area) for area in b.areas]).reshape(-1, 4)
        self._new_areas = np.array([_corners(area) for area in b.areas]).reshape(-1, 4)
        self._bounds = np.array(a.bounds)
        lines = {(keys_a[s], keys_a[t]): k for k, (s, t) in enumerate(_ends(a.edges))}
        was = np.array([lines.get((keys_b[s], keys_b[t]), -1) for s, t in _ends(b.edges)], dtype=np.int64)
        self._is_new = was < 0
        self._new_lines = _resampled(b.edges)
        self._old_lines = _resampled(a.edges)[was] if lines else self._new_lines

    def at(self, share: float) -> Layout:
        """`goal` with everything moved back towards where it was; share 1 is `goal` itself."""
        b = self.goal
        if share >= 1.0:
            return b
        boxes = b.boxes.moved(self._begin + (b.boxes.centres - self._begin) * share)
        corners = (self._areas + (self._new_areas - self._areas) * share).tolist()
        areas = tuple(
            replace(area, x0=x0, y0=y0, x1=x1, y1=y1)
            for area, (x0, y0, x1, y1) in zip(b.areas, corners, strict=True)
        )
        x0, y0, x1, y1 = (self._bounds + (np.array(b.bounds) - self._bounds) * share).tolist()
        edges = self._lines(boxes, share)
        return replace(b, boxes=boxes, areas=areas, edges=edges, bounds=(x0, y0, x1, y1))

    def _lines(self, boxes: Boxes, share: float) -> Edges:
        edges, new = self.goal.edges, self._is_new
        lines = self._old_lines + (self._new_lines - self._old_lines) * share
        # straight between its boxes while they move, where there was no such line
        a, b = boxes.centres[edges.sources[new]], boxes.centres[edges.targets[new]]
        start, stop = a[:, :2] + a[:, 2:] * (0.5, 0.0), b[:, :2] - b[:, 2:] * (0.5, 0.0)
        along = np.linspace(0.0, 1.0, _SAMPLES)[:, None]
        lines[new] = start[:, None] + (stop - start)[:, None] * along
        starts = np.arange(len(edges) + 1) * _SAMPLES
        return edges.rerouted(lines.reshape(-1, 2), starts)


def _key(box: Box) -> tuple[object, ...]:
    return box.kind, box.node, box.consumer, box.scope


def _ends(edges: Edges) -> list[tuple[int, int]]:
    return list(zip(edges.sources.tolist(), edges.targets.tolist(), strict=True))


def _begin(a: Layout, k: int | None, folded: dict[str, int], opened: dict[str, Area], box: Box) -> _Rect:
    """Middle and size of a box, of the box that hid it, or of what it now hides."""
    path = box.scope
    while k is None and path:
        k, path = folded.get(path), path.rpartition("/")[0]
    if k is not None:
        x, y, w, h = a.boxes.centres[k].tolist()
        return x, y, w, h
    area = opened.get(box.scope) if box.kind == "scope" else None
    if area is None:
        return box.x, box.y, box.w, box.h
    return (area.x0 + area.x1) / 2, (area.y0 + area.y1) / 2, area.x1 - area.x0, area.y1 - area.y0


def _begin_of_area(a: Layout, folded: dict[str, int], opened: dict[str, Area], area: Area) -> _Rect:
    if area.scope not in folded:
        return _corners(opened.get(area.scope, area))
    x0, y0, x1, y1 = a.rects[folded[area.scope]].tolist()
    return x0, y0, x1, y1


def _corners(area: Area) -> _Rect:
    return area.x0, area.y0, area.x1, area.y1


def _resampled(edges: Edges) -> np.ndarray:
    """Every line as so many points at equal distances, shape (lines, points, 2)."""
    found = np.empty((len(edges), _SAMPLES, 2))
    for k, edge in enumerate(edges):
        lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(edge.points, axis=0).T))])
        at = np.linspace(0.0, lengths[-1], _SAMPLES)
        for axis in range(2):
            found[k, :, axis] = np.interp(at, lengths, edge.points[:, axis])
    return found
