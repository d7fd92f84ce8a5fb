"""Painting: one Frame onto one QPainter. The window, pictures and films all draw through here.

Everything is drawn in scene coordinates; the caller's painter carries zoom and position. What a moment
looks like was decided by `frame_at`; here is only how it is drawn, at three levels of detail.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import hypot
from weakref import WeakKeyDictionary

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFontMetricsF,
    QPainter,
    QPainterPath,
    QPen,
    QPolygonF,
    QTransform,
)

from autograd import Snapshot
from explorer.model import text
from explorer.model.frame import Frame
from explorer.model.layout import Area, Edge, Layout
from explorer.model.layout.geometry import BOX, HEAD, Edges
from explorer.model.text import scope_title
from explorer.view.boxes import box_rect, outline_box, paint_box
from explorer.view.far import area_rects, paint_far, within
from explorer.view.fonts import advance, picture_font
from explorer.view.look import DOTS, LEGIBLE, SYMBOLS, Look
from explorer.view.marks import marks, paint_badges, paint_cut
from explorer.view.products import paint_products
from explorer.view.theme import Theme

OUT = 16.0  # how far a line, a shadow or an arrow reaches beyond its rectangle, in scene units
MOST_ASKED = 16_384  # numbers of which the colour scales are found
BESIDE = 90.0  # and the factor on a state line


def limits(frame: Frame) -> tuple[float, float]:
    """Ends of the colour scales: what 98 % of all values, and of all gradients, stay below.

    Of very many numbers only one in so many is asked: an edit does not wait for all of them.
    """

    def limit(arrays: Sequence[np.ndarray | None]) -> float:
        if isinstance(arrays, Snapshot):
            flat = arrays.flat
        else:
            parts = [a for a in arrays if a is not None]
            flat = np.concatenate(parts, axis=None) if parts else np.zeros(1)
        every = flat.size // MOST_ASKED | 1  # odd: rows of matrices are often of even length
        flat = np.abs(flat[::every] if every > 1 else flat)
        flat = flat[np.isfinite(flat) & (flat > 0)]
        return float(np.percentile(flat, 98)) if flat.size else 1.0

    return limit(frame.trace.values), limit(frame.trace.grads)


def bounds(frame: Frame) -> QRectF:
    """The rectangle of the whole picture in scene coordinates."""
    x0, y0, x1, y1 = frame.layout.bounds
    return QRectF(x0, y0, x1 - x0, y1 - y0)


def fit(rect: QRectF, width: float, height: float, most: float = 2.0, margin: float = 18.0) -> QTransform:
    """The transform that shows `rect` in the middle of a surface."""
    w, h = max(rect.width(), 1.0), max(rect.height(), 1.0)
    zoom = min(max(width - 2 * margin, 1.0) / w, max(height - 2 * margin, 1.0) / h, most)
    transform = QTransform()
    transform.translate(width / 2, height / 2)
    transform.scale(zoom, zoom)
    transform.translate(-rect.center().x(), -rect.center().y())
    return transform


def paint(painter: QPainter, frame: Frame, look: Look, visible: QRectF | None = None) -> None:
    """Draw everything of a frame. `visible` is the part that can be seen, in scene coordinates."""
    paint_resting(painter, frame, look, visible)
    paint_moving(painter, frame, look)


def paint_resting(
    painter: QPainter, frame: Frame, look: Look, visible: QRectF | np.ndarray | None = None
) -> None:
    """Scopes, edges and boxes: what changes only when a step is taken.

    `visible` leaves out what lies outside of a part of the scene, or of several: (n, 4) of x0, y0, x1, y1.
    """
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    zoom = painter.worldTransform().m11()
    layout, parts = frame.layout, None
    if isinstance(visible, QRectF):
        parts = np.array([[visible.left(), visible.top(), visible.right(), visible.bottom()]])
    elif visible is not None:
        parts = visible
    if zoom < DOTS:
        paint_far(painter, frame, look.theme, parts, zoom)
        return
    out = max(OUT, OUT / zoom)  # shadows and lines stand out a little
    areas = [layout.areas[k] for k in within(area_rects(layout), parts, out).tolist()]
    for area in areas:
        _paint_area(painter, area, look.theme, zoom)
    edges = within(layout.edge_rects, parts, out)
    paths, cut = edge_paths(layout), marks(frame).edges
    for k in edges.tolist():
        _paint_edge(painter, frame, look, k, paths[k], zoom)
        if k in cut:
            paint_cut(painter, layout.edges[k].points, look.theme, zoom)
    for area in areas:
        _paint_title(painter, area, look.theme, zoom)
    boxes = within(layout.rects, parts, out).tolist()
    if look.sprites is not None:
        look.sprites.paint(painter, frame, look, boxes)
    else:
        for k in boxes:
            paint_box(painter, frame, look, k, layout.boxes[k], zoom)
    state_lines = np.flatnonzero(layout.edges.state_line)
    for k in state_lines[within(layout.edge_rects[state_lines], parts, BESIDE + out)].tolist():
        _paint_slope(painter, frame, look, k, layout.edges[k], zoom)


_paths_of: WeakKeyDictionary[Layout, Paths] = WeakKeyDictionary()


class Paths:
    """The rounded path of each edge, made when it is first drawn."""

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self._known: dict[int, QPainterPath] = {}

    def __getitem__(self, k: int) -> QPainterPath:
        path = self._known.get(k)
        if path is None:
            path = self._known[k] = rounded_path(self._edges[k].points)
        return path


def edge_paths(layout: Layout) -> Paths:
    if layout not in _paths_of:
        _paths_of[layout] = Paths(layout.edges)
    return _paths_of[layout]


def paint_moving(painter: QPainter, frame: Frame, look: Look) -> None:
    """Pulses, selection and hover, which change from picture to picture, and the badges on top of all."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    zoom = painter.worldTransform().m11()
    theme = look.theme
    layout = frame.layout
    hovered = set() if look.hovered_box is None else {layout.boxes[look.hovered_box].node}
    for nodes, colour, width, gap in (
        (look.highlight - hovered - look.selection, theme.state_line, 2.0, 3.0),
        (hovered - look.selection, theme.accent, 1.8, 3.0),  # a shared leaf lights up with its twins
        (look.selection, theme.accent, 2.6, 4.0),
    ):
        for node in nodes:
            for k in layout.boxes_of_node.get(node, ()):
                if layout.boxes[k].node == node:  # not the folded box that only hides it
                    outline_box(painter, layout.boxes[k], colour, width, zoom, gap)
    if look.lit:
        _paint_lit(painter, frame, look, zoom)
    if look.hovered_edge is not None and look.hovered_edge < len(frame.layout.edges):
        edge = frame.layout.edges[look.hovered_edge]
        painter.setPen(QPen(QColor(theme.accent), max(2.4, 2.0 / zoom)))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(rounded_path(edge.points))
        _paint_slope(painter, frame, look, look.hovered_edge, edge, zoom, always=True)
    if zoom >= DOTS:
        for k, words in marks(frame).boxes.items():
            paint_badges(painter, box_rect(layout.boxes[k]), words, theme, zoom)
    for pulse in frame.pulses:
        where = point_along(frame.layout.edges[pulse.edge].points, pulse.along)
        shade = QColor(theme.gradient if pulse.backward else theme.value)
        radius = max(5.0 + 3.0 * pulse.size, 4.0 / zoom)
        halo = QColor(shade)
        halo.setAlpha(70)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(halo)
        painter.drawEllipse(where, radius * 1.9, radius * 1.9)
        painter.setBrush(shade)
        painter.drawEllipse(where, radius, radius)


def _paint_lit(painter: QPainter, frame: Frame, look: Look, zoom: float) -> None:
    """Paths as a broad band along their edges, with their product, and a double outline of their nodes."""
    band = QColor(look.theme.loss)
    band.setAlpha(120)
    pen = QPen(band, max(8.0, 5.0 / zoom))
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    layout = frame.layout
    paths, all_edges = edge_paths(layout), lit_edges(layout, look.lit)
    seen = painter.worldTransform().inverted()[0].mapRect(QRectF(painter.viewport()))
    part = np.array([[seen.left(), seen.top(), seen.right(), seen.bottom()]])
    edges = [all_edges[k] for k in within(layout.edge_rects[all_edges], part, BESIDE + OUT).tolist()]
    for k in edges:
        painter.drawPath(paths[k])
    pills = {k: _paint_slope(painter, frame, look, k, layout.edges[k], zoom) for k in edges}
    paint_products(painter, frame, look, pills, zoom)
    pairs = _neighbours(look.lit)
    for node in set(look.lit) - {-1}:
        for box in (layout.boxes[k] for k in layout.boxes_of_node.get(node, ())):
            # not the folded box that only hides it, and of an alias only the one that the path goes through
            if box.node == node and (box.consumer is None or (node, box.consumer) in pairs):
                outline_box(painter, box, look.theme.loss, 1.4, zoom, 3.0)
                outline_box(painter, box, look.theme.loss, 1.4, zoom, 6.0)


def _neighbours(lit: tuple[int, ...]) -> set[tuple[int, int]]:
    """Nodes that follow one another on a path, in both directions."""
    return {pair for a, b in pairwise(lit) for pair in ((a, b), (b, a))}


_lit_of: WeakKeyDictionary[Layout, tuple[tuple[int, ...], list[int]]] = WeakKeyDictionary()


def lit_edges(layout: Layout, lit: tuple[int, ...]) -> list[int]:
    """The edges of a layout that lead from one node of a path to the next, in either direction."""
    kept = _lit_of.get(layout)
    if kept is None or kept[0] != lit:
        inputs, pairs = layout.topology.graph.inputs, _neighbours(lit)
        ends = [[(v, inputs[v][slot]) for v, slot in e.members] for e in layout.edges]
        kept = _lit_of[layout] = lit, [k for k, members in enumerate(ends) if not pairs.isdisjoint(members)]
    return kept[1]


# Scopes


def _paint_area(painter: QPainter, area: Area, theme: Theme, zoom: float) -> None:
    rect = QRectF(area.x0, area.y0, area.x1 - area.x0, area.y1 - area.y0)
    painter.setPen(QPen(QColor(theme.area_line), max(1.0, 0.8 / zoom) * theme.stroke))
    painter.setBrush(_fill(area, theme))
    painter.drawRoundedRect(rect, 9, 9)


def _fill(area: Area, theme: Theme) -> QColor:
    return QColor(theme.area if area.depth % 2 else theme.canvas)


def _paint_title(painter: QPainter, area: Area, theme: Theme, zoom: float) -> None:
    """The title of a scope; lines that leave it at the top pass behind."""
    bold = area.time is not None
    words = f"▾{'  ' if bold else ' '}{scope_title(area.scope)}"  # a bold space is hardly one
    room, most = area.x1 - area.x0, HEAD - 2 if zoom > 0.5 else HEAD + 6
    size = min(max(12.0, 10.5 / zoom) * theme.lettering, most)
    size *= min(1.0, (room - 14) / max(advance(words, size, bold), 1.0))  # shrink rather than clip
    line = QRectF(area.x0 + 6, area.y0 + 1, room - 10, HEAD)
    behind = QRectF(line.left(), line.top() + 2, advance(words, size, bold) + 5, line.height() - 4)
    painter.fillRect(behind, _fill(area, theme))
    painter.setFont(picture_font(size, bold))
    painter.setPen(QColor(theme.header))
    align = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
    # its line may be higher than there is room, its letters are not
    painter.drawText(line.adjusted(2, 0, 0, 0), align | Qt.TextFlag.TextDontClip, words)


# Edges


def rounded_path(points: np.ndarray, radius: float = 7.0) -> QPainterPath:
    """A polyline with rounded corners."""
    path = QPainterPath(QPointF(*points[0]))
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        a, b = corner - before, after - corner
        la, lb = hypot(*a), hypot(*b)
        r = min(radius, la / 2, lb / 2)
        if r < 0.1:
            path.lineTo(QPointF(*corner))
            continue
        path.lineTo(QPointF(*(corner - a / la * r)))
        path.quadTo(QPointF(*corner), QPointF(*(corner + b / lb * r)))
    path.lineTo(QPointF(*points[-1]))
    return path


def point_along(points: np.ndarray, share: float) -> QPointF:
    """The point at a share 0..1 of a polyline's length."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    goal = share * float(lengths.sum())
    for a, b, length in zip(points, points[1:], lengths, strict=False):
        if goal <= length:
            return QPointF(*(a + (b - a) * (goal / length if length else 0.0)))
        goal -= length
    return QPointF(*points[-1])


def _paint_edge(painter: QPainter, frame: Frame, look: Look, k: int, path: QPainterPath, zoom: float) -> None:
    theme, flowed, edge = look.theme, int(frame.flowed[k]), frame.layout.edges[k]
    if flowed == 2:
        colour, width = QColor(theme.gradient), 1.3 + 3.2 * float(frame.strength[k])
        if frame.strength[k] == 0:  # a gradient of exactly zero: the way is cut
            colour, width = QColor(theme.ghost), 1.2
    elif flowed == 1:
        colour, width = QColor(theme.value), 1.5
    else:
        colour, width = QColor(theme.line), 1.3
    if edge.state_line:
        width = max(width, 3.2)
        if flowed < 2:
            colour = QColor(theme.state_line)
            if not flowed:
                colour.setAlpha(120)
    if edge.fan:  # of hundreds, those stand out along which much flows
        width *= 0.6
        colour.setAlphaF(0.25 + 0.75 * float(frame.strength[k]) ** 2 if flowed == 2 else 0.35)
    width *= theme.stroke
    pen = QPen(colour, max(width, 0.9 / zoom))
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    if flowed == 2 and frame.strength[k] == 0 and not edge.fan:
        pen.setStyle(Qt.PenStyle.DashLine)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(path)
    if zoom >= 0.3 and len(edge.points) > 1 and not edge.fan:
        _arrow_head(painter, edge.points, colour, backward=flowed == 2, width=width)


def _arrow_head(
    painter: QPainter, points: np.ndarray, colour: QColor, *, backward: bool, width: float
) -> None:
    """A small triangle: at the target for values, at the source for gradients."""
    tip, other = (points[0], points[1]) if backward else (points[-1], points[-2])
    d = tip - other
    length = hypot(*d)
    if length < 1:
        return
    u = d / length
    n = np.array([-u[1], u[0]])
    size = 5.0 + width * 0.7
    base = tip - u * size
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    half = n * size * 0.55
    painter.drawPolygon(QPolygonF([QPointF(*tip), QPointF(*(base + half)), QPointF(*(base - half))]))


def slope_text(slope: np.ndarray) -> str:
    """A local derivative as a factor: `× 1` where it is exactly one everywhere."""
    if slope.size and np.all(slope == 1.0):
        return "× 1"
    if slope.size and np.all(slope == slope.flat[0]):
        return f"× {text.number(slope.flat[0], 3)}"
    return f"× {text.array(slope, 2, 3)}"


def _paint_slope(
    painter: QPainter,
    frame: Frame,
    look: Look,
    k: int,
    edge: Edge,
    zoom: float,
    always: bool = False,
) -> QRectF | None:
    """The local derivative as a pill on the line: on state lines once the error has passed, or on hover.

    Returns where it is.
    """
    shown = always or (edge.state_line and frame.flowed[k] == 2)
    if not shown:
        return None
    slope = frame.slope(k)
    if slope is None:
        return None
    words = slope_text(slope)
    if not always and words != "× 1" and zoom < SYMBOLS:
        return None
    theme = look.theme
    size = min(max(11.0, LEGIBLE / zoom), 20.0 if words == "× 1" else 16.0)
    font = picture_font(size, bold=True)
    metrics = QFontMetricsF(font)
    w, h = metrics.horizontalAdvance(words) + size * 0.8, size * 1.45
    start, stop = edge.points[-2], edge.points[-1]
    middle = point_along(edge.points, 0.5) if len(edge.points) == 2 else QPointF(*((start + stop) / 2))
    run = (
        abs(stop[0] - start[0]) if len(edge.points) > 2 else float(np.abs(np.diff(edge.points, axis=0)).sum())
    )
    if run < w + 14:  # no room on the line between two boxes: above them
        middle = middle + QPointF(0, -BOX[1] / 2 - h * 0.55)
    elif words != "× 1":
        middle = middle + QPointF(0, -h * 0.72)
    rect = QRectF(middle.x() - w / 2, middle.y() - h / 2, w, h)
    painter.setPen(QPen(QColor(theme.gradient), 1.2))
    painter.setBrush(QColor(theme.box))
    painter.drawRoundedRect(rect, h / 2, h / 2)
    painter.setPen(QColor(theme.gradient))
    painter.setFont(font)
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, words)
    return rect


def fill_background(painter: QPainter, rect: QRectF, theme: Theme) -> None:
    painter.fillRect(rect, QBrush(QColor(theme.canvas)))
