"""The legend: what the colours of values and of gradients mean, as two bars with numbers at their ends.

Colours and limits are those of the heat strips, so a colour in a box is found again in a bar.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QPainter, QPen

from explorer.model import text
from explorer.model.text import tr
from explorer.view import colormap
from explorer.view.fonts import picture_font
from explorer.view.look import Look

BAR = (150.0, 9.0)
SAMPLES = 257  # odd, so that zero is one of them
DECADES = 3  # marked on the gradient's bar; below, its scale is linear
PAD, GAP = 8.0, 6.0


def values_of(shares: np.ndarray, limit: float, symlog: bool) -> np.ndarray:
    """The numbers at places −1 … 1 of a bar: the inverse of the scale in `colormap.index`."""
    if not symlog:
        return shares * limit
    part = colormap.LINEAR_PART
    return np.sign(shares) * np.expm1(np.abs(shares) * np.log1p(1 / part)) * part * limit


def share_of(part: float) -> float:
    """The place on a symmetric-logarithmic bar of a number that is `part` times the limit."""
    return float(np.log1p(part / colormap.LINEAR_PART) / np.log1p(1 / colormap.LINEAR_PART))


def bar_colours(look: Look, gradient: bool) -> np.ndarray:
    """The colours along a bar, uint8[SAMPLES, 3], from the negative end on."""
    limit = look.gradient_limit if gradient else look.value_limit
    values = values_of(np.linspace(-1.0, 1.0, SAMPLES), limit, gradient)
    return colormap.rgb(values, limit, look.theme.colormap, symlog=gradient)


def _rows(look: Look) -> tuple[tuple[str, str, float, bool], ...]:
    """Title, colour of the role, limit, and whether it is the gradient's, of both bars."""
    return (
        (tr("Value"), look.theme.value, look.value_limit, False),
        (tr("Gradient (log)"), look.theme.gradient, look.gradient_limit, True),
    )


def _letters(look: Look) -> float:
    return 11.0 * look.theme.lettering


def _titles_width(look: Look) -> float:
    metrics = QFontMetricsF(picture_font(_letters(look), bold=True))
    return max(metrics.horizontalAdvance(title) for title, *_ in _rows(look)) + 7


def _line(look: Look) -> float:
    """Height of a line of numbers."""
    return QFontMetricsF(picture_font(_letters(look))).height()


def _overhang(look: Look) -> float:
    """How far the numbers reach beyond the ends of the bars, in the middle of which they stand."""
    metrics = QFontMetricsF(picture_font(_letters(look)))
    return max(metrics.horizontalAdvance(_end(-limit)) for _, _, limit, _ in _rows(look)) / 2


def _end(limit: float) -> str:
    return text.number(limit, 3)


def legend_size(look: Look) -> QSizeF:
    """How much room it takes, in pixels."""
    width = PAD + _titles_width(look) + _overhang(look) + BAR[0] + _overhang(look) + PAD
    return QSizeF(ceil(width), ceil(2 * (BAR[1] + 2 + _line(look)) + GAP + 2 * PAD - 4))


def legend_words() -> str:
    """What is said of it when the mouse rests on it."""
    return "\n".join(
        (
            tr("98 % of all numbers lie between the ends; beyond, the colour stays that of the end."),
            tr("Gradients: each mark is a tenth of the one before, down to a thousandth of the end."),
        )
    )


def paint_legend(painter: QPainter, corner: QPointF, look: Look) -> None:
    """Draw it with its top left corner at a point, in pixels; what lies behind shines through a little."""
    theme, rect = look.theme, QRectF(corner, legend_size(look))
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    ground = QColor(theme.base)
    ground.setAlpha(224)
    painter.setPen(QPen(QColor(theme.line), 1))
    painter.setBrush(ground)
    painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
    left = rect.left() + PAD + _titles_width(look) + _overhang(look)
    top = rect.top() + PAD
    for title, role, limit, gradient in _rows(look):
        bar = QRectF(left, top, *BAR)
        _paint_title(painter, QRectF(rect.left() + PAD, bar.top(), 0, bar.height()), title, role, look)
        _paint_bar(painter, bar, look, gradient)
        _paint_numbers(painter, bar, limit, look)
        top = bar.bottom() + 2 + _line(look) + GAP
    painter.restore()


def _paint_title(painter: QPainter, place: QRectF, title: str, role: str, look: Look) -> None:
    """Beside its bar, with the tick that the strips in the boxes have too."""
    painter.fillRect(QRectF(place.left(), place.top() - 1, 2.5, place.height() + 2), QColor(role))
    font = picture_font(_letters(look), bold=True)
    painter.setFont(font)
    painter.setPen(QColor(look.theme.ink))
    baseline = place.center().y() + QFontMetricsF(font).capHeight() / 2
    painter.drawText(QPointF(place.left() + 7, baseline), title)


def _paint_bar(painter: QPainter, bar: QRectF, look: Look, gradient: bool) -> None:
    colours = np.ascontiguousarray(bar_colours(look, gradient))
    image = QImage(colours.data, SAMPLES, 1, 3 * SAMPLES, QImage.Format.Format_RGB888)
    painter.drawImage(bar, image)
    painter.setPen(QPen(QColor(look.theme.faint_ink), 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(bar)
    shares = [0.0, *(s * share_of(10.0**-k) for k in range(1, DECADES + 1) for s in (-1, 1) if gradient)]
    for share in shares:
        x = bar.center().x() + share * bar.width() / 2
        painter.drawLine(QPointF(x, bar.bottom()), QPointF(x, bar.bottom() + 3))


def _paint_numbers(painter: QPainter, bar: QRectF, limit: float, look: Look) -> None:
    painter.setFont(picture_font(_letters(look)))
    painter.setPen(QColor(look.theme.ink))
    for share in (-1, 0, 1):
        x = bar.center().x() + share * bar.width() / 2
        place = QRectF(x - BAR[0] / 2, bar.bottom() + 2, BAR[0], _line(look))
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, _end(share * limit))
