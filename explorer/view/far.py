"""The picture from far away: boxes are spots and edges threads, drawn from arrays a colour at a time.

What stands for a box or an edge costs nothing in Python, so that fifty thousand of them can be drawn at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast
from weakref import WeakKeyDictionary

import numpy as np
import shiboken6
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QImage, QPainter, QPen

from autograd import Graph
from explorer.model.arrays import distinct
from explorer.model.frame import GHOST, Frame
from explorer.model.layout import Layout
from explorer.view.theme import Theme

_ROLES = ("loss", "parameter", "input", "target", "line", "header")  # colours of the theme, by kind of node
_ROLE_OF = {"parameter": 1, "input": 2, "target": 3, "constant": 4}
_SPECK = 4  # pixels: what is smaller is written into an image rather than drawn
_roles: WeakKeyDictionary[Layout, tuple[Graph, np.ndarray]] = WeakKeyDictionary()
_areas: WeakKeyDictionary[Layout, np.ndarray] = WeakKeyDictionary()
_seen_of: WeakKeyDictionary[Layout, dict[tuple[float, bytes], _Seen]] = WeakKeyDictionary()
_VIEWS = 3  # of one layout, that are known: the canvas, its overview, and a picture


def paint_far(painter: QPainter, frame: Frame, theme: Theme, parts: np.ndarray | None, zoom: float) -> None:
    """Scopes, edges and boxes too small to be read; (n, 4) `parts` of the scene are wanted, or all."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    seen = _seen(frame.layout, parts, zoom)
    _paint_areas(painter, frame.layout, theme, seen)
    _paint_threads(painter, frame, theme, seen)
    _paint_spots(painter, frame, theme, seen, zoom)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)


@dataclass(frozen=True)
class _Seen:
    """What of a layout is in view and large enough to be seen: numbers of scopes, edges and boxes."""

    areas: dict[int, np.ndarray]  # by depth, the rectangles
    edges: np.ndarray
    boxes: np.ndarray
    rects: np.ndarray  # of the boxes, none smaller than a pixel
    largest: float  # side of a box


def _seen(layout: Layout, parts: np.ndarray | None, zoom: float) -> _Seen:
    """What a whole view shows is kept; of a step's many small parts the next step has others."""
    if parts is not None and len(parts) > 1:
        return _found(layout, parts, zoom)
    views = _seen_of.setdefault(layout, {})
    key = zoom, b"" if parts is None else parts.tobytes()
    known = views.get(key)  # looked at once: a film is drawn in another thread
    if known is None:
        known = _found(layout, parts, zoom)
        for old in list(views)[: max(len(views) - _VIEWS + 1, 0)]:
            views.pop(old, None)
        views[key] = known
    return known


def _found(layout: Layout, parts: np.ndarray | None, zoom: float) -> _Seen:
    out, pixel = max(16.0, 16.0 / zoom), 1.0 / zoom
    areas = within(area_rects(layout), parts, 16.0)
    areas = areas[_extent(area_rects(layout)[areas]) > 2 * pixel]
    corners = area_rects(layout)[areas]
    depths = np.array([layout.areas[k].depth for k in areas.tolist()], dtype=np.int64)
    by_depth = {d: corners[depths == d] for d in distinct(depths).tolist()}
    edges = within(layout.edge_rects, parts, out)
    edges = edges[_extent(layout.edge_rects[edges]) >= pixel]  # shorter ones are hidden by their boxes
    boxes = within(layout.rects, parts, out)
    rects = layout.rects[boxes]
    thin = np.maximum(pixel - (rects[:, 2:] - rects[:, :2]), 0.0) / 2
    rects = rects + np.concatenate([-thin, thin], axis=1)
    return _Seen(by_depth, edges, boxes, rects, float(_extent(rects).max(initial=0.0)))


def _extent(rects: np.ndarray) -> np.ndarray:
    """The longer side of each."""
    return np.maximum(rects[:, 2] - rects[:, 0], rects[:, 3] - rects[:, 1])


def area_rects(layout: Layout) -> np.ndarray:
    """x0, y0, x1, y1 of every open scope."""
    if layout not in _areas:
        corners = [(a.x0, a.y0, a.x1, a.y1) for a in layout.areas]
        _areas[layout] = np.array(corners).reshape(-1, 4)
    return _areas[layout]


def within(rects: np.ndarray, parts: np.ndarray | None, out: float) -> np.ndarray:
    """Numbers of the rectangles that reach into one of some parts of the scene, or nearer than `out`."""
    if parts is None or not len(rects):
        return np.arange(len(rects))
    left, top = parts[:, :2].min(axis=0) - out
    right, bottom = parts[:, 2:].max(axis=0) + out
    near = (rects[:, 2] >= left) & (rects[:, 0] <= right) & (rects[:, 3] >= top) & (rects[:, 1] <= bottom)
    candidates = np.flatnonzero(near)
    if len(parts) == 1 or not len(candidates):
        return candidates
    x0, y0, x1, y1 = rects[candidates].T[:, :, None]
    seen = (x1 >= parts[:, 0] - out) & (x0 <= parts[:, 2] + out)
    seen &= (y1 >= parts[:, 1] - out) & (y0 <= parts[:, 3] + out)
    return candidates[seen.any(axis=1)]


def _paint_areas(painter: QPainter, layout: Layout, theme: Theme, seen: _Seen) -> None:
    painter.setPen(QPen(QColor(theme.area_line), 0))
    for depth, rects in seen.areas.items():
        painter.setBrush(QBrush(QColor(theme.area if depth % 2 else theme.canvas)))
        _rects(painter, rects)


def _paint_threads(painter: QPainter, frame: Frame, theme: Theme, view: _Seen) -> None:
    edges, seen = frame.layout.edges, view.edges
    flowed, zero, state = frame.flowed[seen], frame.strength[seen] == 0, edges.state_line[seen]
    faint = QColor(theme.state_line)
    faint.setAlpha(120)
    fan = edges.fan[seen]
    classes: list[tuple[np.ndarray, QColor]] = [
        ((flowed == 0) & ~state, QColor(theme.line)),
        ((flowed == 0) & state, faint),
        ((flowed == 1) & ~state, QColor(theme.value)),
        ((flowed == 1) & state, QColor(theme.state_line)),
        ((flowed == 2) & zero, QColor(theme.ghost)),
        ((flowed == 2) & ~zero, QColor(theme.gradient)),
    ]
    for chosen, colour in classes:
        for thin in (True, False):
            which = seen[chosen & (fan == thin)]
            if len(which):
                shade = QColor(colour)
                if thin:
                    shade.setAlphaF(0.35)
                painter.setPen(QPen(shade, 0))
                _lines(painter, edges.points, edges.point_starts, which)


def _paint_spots(painter: QPainter, frame: Frame, theme: Theme, view: _Seen, zoom: float) -> None:
    roles = np.where(frame.state[view.boxes] == GHOST, len(_ROLES), _roles_of(frame)[view.boxes])
    colours = [QColor(getattr(theme, name)) for name in (*_ROLES, "ghost")]
    device = painter.device()
    if isinstance(device, QImage) and view.largest * zoom * device.devicePixelRatio() < _SPECK and len(roles):
        _paint_specks(painter, device, view.rects, roles, colours)
        return
    painter.setPen(Qt.PenStyle.NoPen)
    for role, colour in enumerate(colours):
        chosen = view.rects[roles == role]
        if len(chosen):
            painter.setBrush(QBrush(colour))
            _rects(painter, chosen)


def _paint_specks(
    painter: QPainter, onto: QImage, rects: np.ndarray, roles: np.ndarray, colours: list[QColor]
) -> None:
    """Boxes of a few pixels, of which hundreds may lie on one."""
    transform, ratio = painter.worldTransform(), onto.devicePixelRatio()
    scale = transform.m11() * ratio
    first_x = np.rint(rects[:, 0] * scale + transform.dx() * ratio).astype(np.int64)
    first_y = np.rint(rects[:, 1] * scale + transform.dy() * ratio).astype(np.int64)
    w = np.maximum(np.rint((rects[:, 2] - rects[:, 0]) * scale).astype(np.int64), 1)
    h = np.maximum(np.rint((rects[:, 3] - rects[:, 1]) * scale).astype(np.int64), 1)
    # only as far as the picture goes
    left, top = max(int(first_x.min()), 0), max(int(first_y.min()), 0)
    right = min(int(first_x.max()) + _SPECK + 1, onto.width())
    bottom = min(int(first_y.max()) + _SPECK + 1, onto.height())
    if right <= left or bottom <= top:
        return
    shades = np.array([c.rgba() for c in colours], dtype=np.uint32)[roles]
    pixels = np.zeros((bottom - top, right - left), dtype=np.uint32)
    for dy in range(int(h.max())):
        for dx in range(int(w.max())):
            x, y = first_x + dx, first_y + dy
            there = (h > dy) & (w > dx) & (x >= left) & (x < right) & (y >= top) & (y < bottom)
            pixels[y[there] - top, x[there] - left] = shades[there]
    image = QImage(pixels.data, right - left, bottom - top, 4 * (right - left), QImage.Format.Format_ARGB32)
    image.setDevicePixelRatio(ratio)
    painter.resetTransform()
    painter.drawImage(QPointF(left / ratio, top / ratio), image)
    painter.setTransform(transform)


def _roles_of(frame: Frame) -> np.ndarray:
    graph, layout = frame.trace.graph, frame.layout
    kept = _roles.get(layout)
    if kept is None or kept[0] is not graph:
        kinds = list(graph.kinds)
        by_node = np.array([_ROLE_OF.get(kind or "", len(_ROLES) - 1) for kind in kinds])
        by_node[frame.trace.loss] = 0
        roles = np.where(layout.boxes.scopes >= 0, len(_ROLES) - 1, by_node[layout.boxes.nodes])
        kept = _roles[layout] = graph, roles
    return kept[1]


def _rects(painter: QPainter, corners: np.ndarray) -> None:
    if len(corners):
        data = np.ascontiguousarray(
            np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1), dtype=np.float64
        )
        painter.drawRects(cast(QRectF, shiboken6.wrapInstance(data.ctypes.data, QRectF)), len(data))


def _lines(painter: QPainter, points: np.ndarray, starts: np.ndarray, which: np.ndarray) -> None:
    """All segments of some polylines."""
    lengths = starts[which + 1] - starts[which] - 1
    ends = np.cumsum(lengths)
    first = np.arange(int(ends[-1])) + np.repeat(starts[which] - (ends - lengths), lengths)
    if len(first):
        data = np.ascontiguousarray(
            np.concatenate([points[first], points[first + 1]], axis=1), dtype=np.float64
        )
        painter.drawLines(cast(QLineF, shiboken6.wrapInstance(data.ctypes.data, QLineF)), len(data))
