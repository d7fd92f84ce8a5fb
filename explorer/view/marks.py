"""Marks of what is altered: a pin on what is held, a lock on what is frozen, a double bar on a cut edge.

They differ in shape, not by colour alone. `paint` draws them with the boxes and edges that they belong to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import hypot
from weakref import WeakKeyDictionary

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from autograd import Graph
from explorer.model.frame import Frame
from explorer.model.layout import Layout
from explorer.view.theme import Theme

RADIUS = 8.0  # of a badge, in scene units
LEGIBLE = 5.5  # pixels that it keeps while the picture shrinks
MOST = 13.0  # and so large it becomes at most, to stay within what is drawn again with its box


@dataclass(frozen=True)
class Marks:
    """What is marked in one layout."""

    boxes: dict[int, tuple[str, ...]] = field(default_factory=dict)  # box -> held, frozen, cut
    edges: frozenset[int] = frozenset()  # that are cut


_NONE = Marks()
_known: WeakKeyDictionary[Layout, tuple[Graph, Marks]] = WeakKeyDictionary()


def marks(frame: Frame) -> Marks:
    """The marks of a frame; a folded scope has those of what is inside."""
    graph, layout = frame.trace.graph, frame.layout
    if not (graph.held or graph.cuts or graph.frozen):
        return _NONE
    kept = _known.get(layout)
    if kept is None or kept[0] is not graph:
        kept = _known[layout] = graph, _marks(graph, layout)
    return kept[1]


def _marks(graph: Graph, layout: Layout) -> Marks:
    cuts = {(i, slot) for i, slot in graph.cuts if i not in graph.held}
    edges, shown = set(), set()
    for k, edge in enumerate(layout.edges):
        found = cuts.intersection(edge.members)
        if found:
            edges.add(k)
            shown |= found
    inside = {i for i, _ in cuts - shown}  # in a folded scope
    boxes = {}
    for k, box in enumerate(layout.boxes):
        nodes = layout.members.get(k, (box.node,))
        words = (("held", graph.held), ("frozen", graph.frozen), ("cut", inside))
        found_here = tuple(word for word, some in words if not some.isdisjoint(nodes))
        if found_here:
            boxes[k] = found_here
    return Marks(boxes, frozenset(edges))


def paint_badges(painter: QPainter, rect: QRectF, words: tuple[str, ...], theme: Theme, zoom: float) -> None:
    """Round badges on the upper left corner of a box."""
    r = min(max(RADIUS, LEGIBLE / zoom), MOST)
    for k, word in enumerate(words):
        painter.save()
        painter.translate(rect.left() - 1.0 + 2.1 * r * k, rect.top() - 2.5)
        painter.scale(r / RADIUS, r / RADIUS)
        painter.setPen(QPen(QColor(theme.ink), 1.3))
        painter.setBrush(QColor(theme.box))
        painter.drawEllipse(QPointF(0, 0), RADIUS, RADIUS)
        _GLYPHS[word](painter, QColor(theme.ink))
        painter.restore()


def _round(ink: QColor, width: float) -> QPen:
    pen = QPen(ink, width)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    return pen


def _pin(painter: QPainter, ink: QColor) -> None:
    painter.setPen(_round(ink, 1.5))
    painter.drawLine(QPointF(0, 0.5), QPointF(0, 5.6))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ink)
    painter.drawEllipse(QPointF(0, -1.9), 3.3, 3.3)


def _lock(painter: QPainter, ink: QColor) -> None:
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(ink, 1.5))
    painter.drawArc(QRectF(-2.5, -5.4, 5.0, 6.6), 0, 180 * 16)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ink)
    painter.drawRoundedRect(QRectF(-4.0, -1.9, 8.0, 6.0), 1.2, 1.2)


def _bars(painter: QPainter, ink: QColor) -> None:
    painter.setPen(_round(ink, 1.5))
    for x in (-1.7, 1.7):
        painter.drawLine(QPointF(x - 1.2, 4.4), QPointF(x + 1.2, -4.4))


_GLYPHS = {"held": _pin, "frozen": _lock, "cut": _bars}


def paint_cut(painter: QPainter, points: np.ndarray, theme: Theme, zoom: float) -> None:
    """A gap in the middle of a line with a slanted bar on either side."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    k = int(np.argmax(lengths))  # on its longest stretch
    a, b = points[k], points[k + 1]
    length = hypot(*(b - a))
    if length < 1.0:
        return
    u = (b - a) / length
    n = np.array([-u[1], u[0]])
    size = min(max(7.0, LEGIBLE / zoom), MOST)
    gap = min(size * 0.45, length / 4)
    middle = (a + b) / 2
    pen = QPen(QColor(theme.canvas), size * 0.9)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    painter.setPen(pen)
    painter.drawLine(QPointF(*(middle - u * gap)), QPointF(*(middle + u * gap)))
    painter.setPen(_round(QColor(theme.ink), max(1.8, 1.4 / zoom)))
    for side in (-gap, gap):
        bar = n * size + u * size * 0.35
        painter.drawLine(QPointF(*(middle + u * side - bar)), QPointF(*(middle + u * side + bar)))
