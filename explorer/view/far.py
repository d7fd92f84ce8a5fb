"""The picture from far away: boxes are spots and edges threads, drawn from arrays a colour at a time.

What stands for a box or an edge costs nothing in Python, so that fifty thousand of them can be drawn at once.
"""

from __future__ import annotations

from typing import cast
from weakref import WeakKeyDictionary

import numpy as np
import shiboken6
from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPen

from autograd import Graph
from explorer.model.frame import GHOST, Frame
from explorer.model.layout import Layout
from explorer.view.theme import Theme

_ROLES = ("loss", "parameter", "input", "target", "line", "header")  # colours of the theme, by kind of node
_ROLE_OF = {"parameter": 1, "input": 2, "target": 3, "constant": 4}
_roles: WeakKeyDictionary[Layout, tuple[Graph, np.ndarray]] = WeakKeyDictionary()
_areas: WeakKeyDictionary[Layout, np.ndarray] = WeakKeyDictionary()


def paint_far(painter: QPainter, frame: Frame, theme: Theme, parts: np.ndarray | None, zoom: float) -> None:
    """Scopes, edges and boxes too small to be read; (n, 4) `parts` of the scene are wanted, or all."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    layout = frame.layout
    _paint_areas(painter, layout, theme, parts)
    _paint_threads(painter, frame, theme, parts, zoom)
    _paint_spots(painter, frame, theme, parts, zoom)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)


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


def _paint_areas(painter: QPainter, layout: Layout, theme: Theme, parts: np.ndarray | None) -> None:
    rects = area_rects(layout)
    depths = np.array([a.depth for a in layout.areas], dtype=np.int64)
    seen = within(rects, parts, 16.0)
    pen = QPen(QColor(theme.area_line), 0)
    painter.setPen(pen)
    for depth in np.unique(depths[seen]).tolist():
        painter.setBrush(QBrush(QColor(theme.area if depth % 2 else theme.canvas)))
        _rects(painter, rects[seen[depths[seen] == depth]])


def _paint_threads(
    painter: QPainter, frame: Frame, theme: Theme, parts: np.ndarray | None, zoom: float
) -> None:
    edges = frame.layout.edges
    rects = frame.layout.edge_rects
    seen = within(rects, parts, max(16.0, 16.0 / zoom))
    # what is shorter than a pixel is hidden by its boxes
    seen = seen[(rects[seen, 2:] - rects[seen, :2]).max(axis=1, initial=0.0) * zoom >= 1.0]
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


def _paint_spots(
    painter: QPainter, frame: Frame, theme: Theme, parts: np.ndarray | None, zoom: float
) -> None:
    layout = frame.layout
    seen = within(layout.rects, parts, max(16.0, 16.0 / zoom))
    roles = np.where(frame.state[seen] == GHOST, len(_ROLES), _roles_of(frame)[seen])
    rects = layout.rects[seen]
    least = 1.0 / zoom  # a spot of one pixel
    thin = np.maximum(least - (rects[:, 2:] - rects[:, :2]), 0.0) / 2
    rects = rects + np.concatenate([-thin, thin], axis=1)
    painter.setPen(Qt.PenStyle.NoPen)
    for role, name in enumerate((*_ROLES, "ghost")):
        chosen = rects[roles == role]
        if len(chosen):
            painter.setBrush(QBrush(QColor(getattr(theme, name))))
            _rects(painter, chosen)


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
