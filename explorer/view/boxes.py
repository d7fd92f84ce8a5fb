"""Boxes: symbol, name, value and gradient, at two levels of detail. Painted in scene coordinates."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen

from autograd import Graph
from explorer.model import one_hot, text
from explorer.model.frame import COMPUTING, GHOST, Frame
from explorer.model.layout import Box
from explorer.model.playback import formula_labels, node_label, shown_name
from explorer.model.text import Label, scope_labels
from explorer.view import colormap
from explorer.view.fonts import advance, cap_height, picture_font
from explorer.view.look import LEGIBLE, SYMBOLS, Look
from explorer.view.theme import Theme

NUMBERS = 1.45  # above: numbers in the cells of small arrays
SMALLEST = 6.5  # letters of a note beside a name
INDEX = 0.68  # size of an index, of its letter's
CELLS = 24, 48  # most rows and columns of a strip


def box_rect(box: Box) -> QRectF:
    return QRectF(box.x - box.w / 2, box.y - box.h / 2, box.w, box.h)


def outline_box(painter: QPainter, box: Box, colour: str, width: float, zoom: float, gap: float) -> None:
    painter.setPen(QPen(QColor(colour), max(width, 1.6 / zoom)))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(box_rect(box).adjusted(-gap, -gap, gap, gap), 9, 9)


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


def paint_box(painter: QPainter, frame: Frame, look: Look, k: int, box: Box, zoom: float) -> None:
    theme, graph = look.theme, frame.trace.graph
    border, fill = role_colours(graph, box.node, frame.trace.loss, theme)
    if box.kind == "scope":
        border, fill = theme.header, theme.area
    state = int(frame.state[k])
    rect = box_rect(box)
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
        return scope_labels(box.scope, look.notation)
    graph = frame.trace.graph
    op = graph.ops[box.node]
    if op is not None and not op.elementwise and not shown_name(graph, box.node, look.notation):
        formula = formula_labels(graph, box.node, look.notation)
        if formula is not None and sum(map(_letters, formula)) <= 12:
            return formula
    return [node_label(graph, box.node, look.notation)]


def _letters(label: Label) -> int:
    """How many stand beside each other; an index and an exponent share their place."""
    return len(label.base) + max(len(label.sub), len(label.sup))


def _paint_small(
    painter: QPainter, frame: Frame, look: Look, k: int, box: Box, zoom: float, ink: QColor
) -> None:
    """A large symbol, and a coloured bar each for value and gradient."""
    rect = box_rect(box)
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
        note = one_hot.word(look.words, frame.value(k)) or text.shape(graph.values[box.node].shape)
    labels, letters = box_label(frame, look, box), 15.0 * theme.lettering
    if note:  # smaller where the name needs the room, and left out rather than not readable
        size, beside = 9.0 * theme.lettering, sum(_label_width(label, letters) for label in labels) + 4
        room = max(label_rect.width() - beside, 0.2 * label_rect.width())
        size = min(size, size * room / advance(note, size))
        if size >= SMALLEST:
            painter.setFont(picture_font(size))
            painter.setPen(QColor(theme.faint_ink))
            painter.drawText(label_rect, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, note)
            label_rect.setRight(label_rect.right() - advance(note, size) - 3)
    paint_label(painter, label_rect, labels, letters, ink, left=bool(note))
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
            width = advance(words, 9.5, bold=True) + 5
            painter.setFont(picture_font(9.5, bold=True))
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
    index = picture_font(size * INDEX)
    x = rect.left() if left else rect.center().x() - width / 2
    baseline = rect.center().y() + cap_height(size, bold=True) / 2
    painter.setPen(ink)
    for label in labels:
        painter.setFont(picture_font(size, _bold(label.base)))
        painter.drawText(QPointF(x, baseline), label.base)
        painter.setFont(index)
        beside = x + advance(label.base, size, _bold(label.base)) + 1.0
        apart = 0.06 * size if label.sup and label.sub else 0.0  # brackets and tall letters do not touch
        if label.sup:
            painter.drawText(QPointF(beside, baseline - size * 0.36 - apart), label.sup)
        if label.sub:
            painter.drawText(QPointF(beside, baseline + size * 0.2 + apart), label.sub)
        x += _label_width(label, size)


def _bold(words: str) -> bool:
    """Japanese has one weight: strokes that are thickened run together."""
    return all(c < "\u2e80" for c in words)


def _label_width(label: Label, size: float) -> float:
    base = advance(label.base, size, _bold(label.base))
    if not label.sub and not label.sup:
        return base
    return base + 1.0 + max(advance(label.sub, size * INDEX), advance(label.sup, size * INDEX))


# Heat strips


def heat_cells(value: np.ndarray) -> np.ndarray:
    """An array as the rows and columns of its strip; of a long one's neighbours the largest is shown."""
    a = np.asarray(value, dtype=float)
    a = a.reshape(1, -1) if a.ndim < 2 or a.size == len(a) else a.reshape(a.shape[0], -1)
    for axis, most in enumerate(CELLS):
        if a.shape[axis] > most:
            starts = np.linspace(0, a.shape[axis], most, endpoint=False).astype(int)
            low, high = (f.reduceat(a, starts, axis) for f in (np.minimum, np.maximum))
            a = np.where(high >= -low, high, low)
    return a


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
    colours = colormap.argb(cells, limit, theme.colormap, symlog=gradient)
    image = _image(colours)
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
    widest = max(advance(w, size, bold=columns == 1) for w in words)
    if widest > width - 3:
        size *= (width - 3) / widest
    if size * zoom < 6:
        return
    painter.setFont(picture_font(size, bold=columns == 1))
    for j, (word, colour) in enumerate(zip(words, colours[0].tolist(), strict=True)):
        painter.setPen(QColor("#14171f") if _luminance(colour) > 0.45 else QColor("#ffffff"))
        cell = QRectF(rect.left() + j * width, rect.top(), width, rect.height())
        painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, word)


def _image(colours: np.ndarray) -> QImage:
    """An image of (rows, columns) pixels."""
    pixels = np.ascontiguousarray(colours, dtype=np.uint32)
    rows, columns = pixels.shape
    # a copy, as the image does not keep the array alive
    return QImage(pixels.data, columns, rows, 4 * columns, QImage.Format.Format_RGB32).copy()


@lru_cache(maxsize=512)
def _luminance(pixel: int) -> float:
    channels = [((pixel >> shift) & 255) / 255 for shift in (16, 8, 0)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
