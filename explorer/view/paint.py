"""Painting: one Frame onto one QPainter. The window, pictures and films all draw through here.

Everything is drawn in scene coordinates; the caller's painter carries zoom and position. What a moment
looks like was decided by `frame_at`; here is only how it is drawn, at three levels of detail.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from math import hypot
from weakref import WeakKeyDictionary

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFontMetricsF,
    QImage,
    QPainter,
    QPainterPath,
    QPen,
    QPolygonF,
    QTransform,
)

from autograd import Graph
from explorer.model import text
from explorer.model.frame import COMPUTING, GHOST, Frame
from explorer.model.layout import Area, Box, Edge, Layout
from explorer.model.layout.geometry import BOX, HEAD, Edges
from explorer.model.playback import formula_labels, node_label, shown_name
from explorer.model.text import Label, scope_title
from explorer.view import colormap
from explorer.view.far import area_rects, paint_far, within
from explorer.view.fonts import picture_font
from explorer.view.marks import marks, paint_badges, paint_cut
from explorer.view.theme import Theme
from scenes.scene import Notation

DOTS, SYMBOLS = 0.2, 0.62  # below: coloured boxes; below: a symbol a box; above: everything
OUT = 16.0  # how far a line, a shadow or an arrow reaches beyond its rectangle, in scene units
BESIDE = 90.0  # and the factor on a state line
NUMBERS = 1.45  # above: numbers in the cells of small arrays
INDEX = 0.68  # size of an index, of its letter's
LEGIBLE = 12.5  # pixels that a symbol keeps while the picture shrinks


@dataclass(frozen=True)
class Look:
    """How to draw: colours, letters, and what is marked."""

    theme: Theme
    notation: Notation = field(default_factory=Notation)
    selection: frozenset[int] = frozenset()  # nodes
    hovered_box: int | None = None
    hovered_edge: int | None = None
    highlight: frozenset[int] = frozenset()  # nodes that a chapter points at
    value_limit: float = 1.0
    gradient_limit: float = 1.0
    lit: tuple[int, ...] = ()  # nodes of a path, in its order; -1 between two paths


def limits(frame: Frame) -> tuple[float, float]:
    """Ends of the colour scales: what 98 % of all values, and of all gradients, stay below."""

    def limit(arrays: Iterable[np.ndarray | None]) -> float:
        parts = [a for a in arrays if a is not None]
        flat = np.abs(np.concatenate(parts, axis=None)) if parts else np.zeros(1)
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
    for k in within(layout.rects, parts, out).tolist():
        _paint_box(painter, frame, look, k, layout.boxes[k], zoom)
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
                    _outline(painter, layout.boxes[k], colour, width, zoom, gap)
    if look.lit:
        _paint_lit(painter, layout, look, zoom)
    if look.hovered_edge is not None and look.hovered_edge < len(frame.layout.edges):
        edge = frame.layout.edges[look.hovered_edge]
        painter.setPen(QPen(QColor(theme.accent), max(2.4, 2.0 / zoom)))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(rounded_path(edge.points))
        _paint_slope(painter, frame, look, look.hovered_edge, edge, zoom, always=True)
    if zoom >= DOTS:
        for k, words in marks(frame).boxes.items():
            paint_badges(painter, _rect(layout.boxes[k]), words, theme, zoom)
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


def _paint_lit(painter: QPainter, layout: Layout, look: Look, zoom: float) -> None:
    """Paths as a broad band along their edges, and a double outline of their nodes."""
    band = QColor(look.theme.loss)
    band.setAlpha(120)
    pen = QPen(band, max(8.0, 5.0 / zoom))
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    paths = edge_paths(layout)
    for k in lit_edges(layout, look.lit):
        painter.drawPath(paths[k])
    pairs = _neighbours(look.lit)
    for node in set(look.lit) - {-1}:
        for box in (layout.boxes[k] for k in layout.boxes_of_node.get(node, ())):
            # not the folded box that only hides it, and of an alias only the one that the path goes through
            if box.node == node and (box.consumer is None or (node, box.consumer) in pairs):
                _outline(painter, box, look.theme.loss, 1.4, zoom, 3.0)
                _outline(painter, box, look.theme.loss, 1.4, zoom, 6.0)


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
    rect = QRectF(area.x0, area.y0, area.x1 - area.x0, area.y1 - area.y0)
    words = f"▾ {scope_title(area.scope)}"
    size = min(max(12.0, 10.5 / zoom) * theme.lettering, HEAD - 2 if zoom > 0.5 else HEAD + 6)
    width = QFontMetricsF(picture_font(size, bold=area.time is not None)).horizontalAdvance(words)
    shrunk = min(1.0, (rect.width() - 14) / max(width, 1.0))  # shrink rather than clip
    size *= shrunk
    painter.fillRect(
        QRectF(rect.left() + 6, rect.top() + 3, width * shrunk + 5, HEAD - 4), _fill(area, theme)
    )
    painter.setFont(picture_font(size, bold=area.time is not None))
    painter.setPen(QColor(theme.header))
    painter.drawText(
        QRectF(rect.left() + 8, rect.top() + 1, rect.width() - 12, HEAD),
        Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft,
        words,
    )


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
) -> None:
    """The local derivative as a pill on the line: on state lines once the error has passed, or on hover."""
    shown = always or (edge.state_line and frame.flowed[k] == 2)
    if not shown:
        return
    slope = frame.slope(k)
    if slope is None:
        return
    words = slope_text(slope)
    if not always and words != "× 1" and zoom < SYMBOLS:
        return
    theme = look.theme
    size = min(max(11.0, LEGIBLE / zoom), 30.0 if words == "× 1" else 16.0)
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


# Boxes


def _rect(box: Box) -> QRectF:
    return QRectF(box.x - box.w / 2, box.y - box.h / 2, box.w, box.h)


def _outline(painter: QPainter, box: Box, colour: str, width: float, zoom: float, gap: float) -> None:
    painter.setPen(QPen(QColor(colour), max(width, 1.6 / zoom)))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(_rect(box).adjusted(-gap, -gap, gap, gap), 9, 9)


def role_colours(graph: Graph, node: int, loss: int, theme: Theme) -> tuple[str, str]:
    """Border and fill by what a node is."""
    kind = graph.kinds[node]
    if node == loss:
        return theme.loss, theme.loss_fill
    if kind == "parameter":
        return theme.parameter, theme.parameter_fill
    if kind == "input":
        return theme.input, theme.input_fill
    if kind == "target":
        return theme.target, theme.target_fill
    if kind == "constant":
        return theme.line, theme.area
    return theme.header, theme.box


def _paint_box(painter: QPainter, frame: Frame, look: Look, k: int, box: Box, zoom: float) -> None:
    theme, graph = look.theme, frame.trace.graph
    border, fill = role_colours(graph, box.node, frame.trace.loss, theme)
    if box.kind == "scope":
        border, fill = theme.header, theme.area
    state = int(frame.state[k])
    rect = _rect(box)
    pen = QPen(QColor(border), max(1.4, 0.9 / zoom) * theme.stroke)
    ink = QColor(theme.ink)
    if state == GHOST:
        pen = QPen(QColor(theme.ghost), max(1.1, 0.8 / zoom) * theme.stroke)
        pen.setDashPattern([3.0, 3.0])
        fill, ink = theme.canvas, QColor(theme.faint_ink)
    if state == COMPUTING or frame.sending[k]:
        lit = QColor(theme.gradient if frame.sending[k] else theme.value)
        glow = QColor(lit)
        glow.setAlpha(60)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(glow)
        painter.drawRoundedRect(rect.adjusted(-5, -5, 5, 5), 11, 11)
        pen = QPen(lit, max(2.6, 1.6 / zoom) * theme.stroke)
    if box.kind == "scope":  # a second sheet behind: something is inside
        painter.setPen(pen)
        painter.setBrush(QColor(fill))
        painter.drawRoundedRect(rect.adjusted(3.5, -3.5, 3.5, -3.5), 8, 8)
    painter.setPen(pen)
    painter.setBrush(QColor(fill))
    painter.drawRoundedRect(rect, 8, 8)
    if zoom < SYMBOLS:
        _paint_small(painter, frame, look, k, box, zoom, ink)
    else:
        _paint_full(painter, frame, look, k, box, zoom, ink)


def box_label(frame: Frame, look: Look, box: Box) -> list[Label]:
    """What a box is called: the node's letter in the notes' notation, a short formula, or its op's symbol."""
    if box.kind == "scope":
        return [Label(scope_title(box.scope))]
    graph = frame.trace.graph
    op = graph.ops[box.node]
    if op is not None and not op.elementwise and not shown_name(graph, box.node, look.notation):
        formula = formula_labels(graph, box.node, look.notation)
        if formula is not None and sum(len(str(label)) for label in formula) <= 12:
            return formula
    return [node_label(graph, box.node, look.notation)]


def _paint_small(
    painter: QPainter, frame: Frame, look: Look, k: int, box: Box, zoom: float, ink: QColor
) -> None:
    """A large symbol, and a coloured bar each for value and gradient."""
    rect = _rect(box)
    bars = 9.0
    size = min(LEGIBLE * look.theme.lettering / zoom, box.h - bars - 6)
    paint_label(painter, rect.adjusted(3, 2, -3, -bars - 2), box_label(frame, look, box), size, ink)
    _paint_heat(
        painter, QRectF(rect.left() + 5, rect.bottom() - 10, box.w - 10, 4), frame.value(k), look, False
    )
    _paint_heat(
        painter, QRectF(rect.left() + 5, rect.bottom() - 5.5, box.w - 10, 4), frame.grad(k), look, True
    )


def _paint_full(
    painter: QPainter, frame: Frame, look: Look, k: int, box: Box, zoom: float, ink: QColor
) -> None:
    """Symbol, name, value and gradient."""
    theme, graph = look.theme, frame.trace.graph
    rect = QRectF(box.x - box.w / 2, box.y - min(box.h, 54) / 2, box.w, min(box.h, 54))
    strip = 12.0
    label_rect = QRectF(rect.left() + 6, rect.top() + 2, rect.width() - 12, rect.height() - 2 * strip - 9)
    op = graph.ops[box.node]
    note = ""
    if box.kind == "scope":
        note = "▸"
    elif op is not None and shown_name(graph, box.node, look.notation):
        note = op.symbol
    elif op is None:
        note = text.shape(graph.values[box.node].shape)
    if note:
        font = picture_font(9.0 * theme.lettering)
        painter.setFont(font)
        painter.setPen(QColor(theme.faint_ink))
        width = min(QFontMetricsF(font).horizontalAdvance(note), rect.width() * 0.5)
        painter.drawText(label_rect, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, note)
        label_rect.setRight(label_rect.right() - width - 3)
    paint_label(
        painter, label_rect, box_label(frame, look, box), 15.0 * theme.lettering, ink, left=bool(note)
    )
    value_rect = QRectF(rect.left() + 9, rect.bottom() - 2 * strip - 6, rect.width() - 14, strip)
    grad_rect = QRectF(rect.left() + 9, rect.bottom() - strip - 3.5, rect.width() - 14, strip)
    value, grad = frame.value(k), frame.grad(k)
    _role_tick(painter, value_rect, theme.value, value is not None)
    _paint_heat(painter, value_rect, value, look, False, zoom)
    expected, arrived = int(frame.expected[k]), int(frame.arrived[k])
    if expected:
        _role_tick(painter, grad_rect, theme.gradient, arrived > 0)
        if 0 < arrived < expected:
            words = f"{arrived}/{expected}"
            font = picture_font(9.5, bold=True)
            width = QFontMetricsF(font).horizontalAdvance(words) + 5
            painter.setFont(font)
            painter.setPen(QColor(theme.gradient))
            badge = QRectF(grad_rect.right() - width + 3, grad_rect.top(), width, strip)
            painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, words)
            grad_rect.setRight(grad_rect.right() - width)
        _paint_heat(painter, grad_rect, grad, look, True, zoom)


def _role_tick(painter: QPainter, rect: QRectF, colour: str, lit: bool) -> None:
    """The thin bar left of a strip that says whether it is the value or the gradient."""
    c = QColor(colour)
    c.setAlpha(255 if lit else 70)
    painter.fillRect(QRectF(rect.left() - 4.5, rect.top() + 0.5, 2.5, rect.height() - 1), c)


def paint_label(
    painter: QPainter, rect: QRectF, labels: list[Label], size: float, ink: QColor, *, left: bool = False
) -> None:
    """Symbols with indices, centred or at the left, shrunk rather than clipped."""
    width = sum(_label_width(label, size) for label in labels)
    if width > rect.width() and size > 5:
        paint_label(painter, rect, labels, max(size * rect.width() / width * 0.98, 5.0), ink, left=left)
        return
    bold, index = picture_font(size, bold=True), picture_font(size * INDEX)
    x = rect.left() if left else rect.center().x() - width / 2
    baseline = rect.center().y() + QFontMetricsF(bold).capHeight() / 2
    painter.setPen(ink)
    for label in labels:
        painter.setFont(bold)
        painter.drawText(QPointF(x, baseline), label.base)
        painter.setFont(index)
        beside = x + QFontMetricsF(bold).horizontalAdvance(label.base) + 1.0
        if label.sup:
            painter.drawText(QPointF(beside, baseline - size * 0.36), label.sup)
        if label.sub:
            painter.drawText(QPointF(beside, baseline + size * 0.2), label.sub)
        x += _label_width(label, size)


def _label_width(label: Label, size: float) -> float:
    base = QFontMetricsF(picture_font(size, bold=True)).horizontalAdvance(label.base)
    if not label.sub and not label.sup:
        return base
    metrics = QFontMetricsF(picture_font(size * INDEX))
    return base + 1.0 + max(metrics.horizontalAdvance(label.sub), metrics.horizontalAdvance(label.sup))


# Heat strips


def heat_cells(value: np.ndarray) -> np.ndarray:
    """An array as the rows and columns of its strip; long ones are sampled."""
    a = np.atleast_1d(np.asarray(value, dtype=float))
    a = a.reshape(1, -1) if a.ndim == 1 else a.reshape(a.shape[0], -1)
    rows = np.linspace(0, a.shape[0] - 1, min(a.shape[0], 24)).astype(int)
    columns = np.linspace(0, a.shape[1] - 1, min(a.shape[1], 48)).astype(int)
    return a[np.ix_(rows, columns)]


def _paint_heat(
    painter: QPainter,
    rect: QRectF,
    value: np.ndarray | None,
    look: Look,
    gradient: bool,
    zoom: float = 0.0,
) -> None:
    theme = look.theme
    if value is None:
        if zoom:
            pen = QPen(QColor(theme.ghost), 0.8)
            pen.setDashPattern([2.0, 2.5])
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(rect)
        return
    cells = heat_cells(value)
    limit = look.gradient_limit if gradient else look.value_limit
    colours = colormap.rgb(cells, limit, theme.colormap, symlog=gradient)
    image = _image(np.ascontiguousarray(colours, dtype=np.uint8))
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
    painter.drawImage(rect, image)
    painter.setPen(QPen(QColor(theme.area_line), 0.7))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(rect)
    rows, columns = cells.shape
    if not zoom or rows > 1 or (columns > 1 and zoom < NUMBERS):
        return
    width = rect.width() / columns
    digits = 4 if columns == 1 else 2
    words = [text.number(x, digits) for x in cells[0]]
    size = min(10.5 * theme.lettering, rect.height() - 1.0)
    metrics = QFontMetricsF(picture_font(size, bold=columns == 1))
    widest = max(metrics.horizontalAdvance(w) for w in words)
    if widest > width - 3:
        size *= (width - 3) / widest
    if size * zoom < 6:
        return
    painter.setFont(picture_font(size, bold=columns == 1))
    for j, word in enumerate(words):
        shade = QColor(*(int(c) for c in colours[0, j]))
        painter.setPen(QColor("#14171f") if _luminance(shade) > 0.45 else QColor("#ffffff"))
        cell = QRectF(rect.left() + j * width, rect.top(), width, rect.height())
        painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, word)


def _image(colours: np.ndarray) -> QImage:
    """An image of (rows, columns, 3) colours, a pixel each."""
    rows, columns, _ = colours.shape
    r, g, b = (colours[..., k].astype(np.uint32) for k in range(3))
    packed = np.ascontiguousarray(0xFF000000 | r << 16 | g << 8 | b, dtype=np.uint32)
    # a copy, as the image does not keep the array alive
    return QImage(packed.data, columns, rows, 4 * columns, QImage.Format.Format_RGB32).copy()


@lru_cache(maxsize=512)
def _luminance_of(rgb: int) -> float:
    channels = [((rgb >> shift) & 255) / 255 for shift in (16, 8, 0)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _luminance(colour: QColor) -> float:
    return _luminance_of(colour.rgb() & 0xFFFFFF)


def fill_background(painter: QPainter, rect: QRectF, theme: Theme) -> None:
    painter.fillRect(rect, QBrush(QColor(theme.canvas)))
