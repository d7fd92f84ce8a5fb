"""PlotView: paints a Plot of the model in the theme's colours; what has a grip can be dragged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil, floor, log10

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from explorer.model import text
from explorer.model.plots import Bars, Chart, Grip, Line, Marks, Plot
from explorer.view.fonts import ui_font
from explorer.view.theme import Theme

LETTERS = 11.5
NEAR = 12.0  # pixels from a mark at which it is taken
STEPS = {  # of arrow keys: along x and y
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Down: (0, -1),
    Qt.Key.Key_Up: (0, 1),
}
STEP, FINE_STEP = 0.1, 0.01  # fine with Shift
FAR = 40.0  # sides of the area outside which a line is not followed


class PlotView(QWidget):
    """Charts in rows.

    `moved(grip, x, y)` asks for what is dragged to be put there; `settled` ends a drag. While one lasts the
    axes stay as they were, so that nothing runs away under the hand.
    """

    moved = Signal(object, float, float)
    settled = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.plot: Plot | None = None
        self.chosen = -1  # among `grips`
        self._held: tuple[int, int, QPointF] | None = None  # row and column of its chart, mark − hand
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)

    def sizeHint(self) -> QSize:
        return QSize(360, self.minimumHeight())

    def show_plot(self, plot: Plot | None) -> None:
        """What to show; the mark that was chosen stays chosen."""
        if plot is not None and self.plot is not None and self._held is not None:
            plot = _with_axes_of(self.plot, plot)
        self.plot = plot
        grips = self.grips
        self.chosen = min(self.chosen, len(grips) - 1)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if grips else Qt.FocusPolicy.NoFocus)
        rows = len(plot.rows) if plot else 1
        line = QFontMetricsF(ui_font(LETTERS)).height()
        self.setMinimumHeight(round(rows * line * (4.8 if rows > 2 else 8.5)))
        self.setAccessibleName("; ".join(c.title for row in plot.rows for c in row) if plot else "")
        self.setAccessibleDescription(self._tip() or (plot.note if plot else ""))
        self.update()

    # Where things are

    @property
    def grips(self) -> list[tuple[int, int, Marks, int]]:
        """What can be dragged: row and column of the chart, the marks, and which of them. Each grip once."""
        found: dict[Grip, tuple[int, int, Marks, int]] = {}
        for i, j, marks in self._marks():
            for k, grip in enumerate(marks.grips):
                found.setdefault(grip, (i, j, marks, k))
        return list(found.values())

    def _marks(self) -> Iterator[tuple[int, int, Marks]]:
        for i, row in enumerate(self.plot.rows if self.plot else ()):
            for j, chart in enumerate(row):
                for marks in chart.marks:
                    yield i, j, marks

    def place(self, row: int, column: int) -> QRectF:
        """The whole place of a chart, its axes and title with it."""
        assert self.plot is not None
        height = self.height() / len(self.plot.rows)
        width = self.width() / len(self.plot.rows[row])
        return QRectF(column * width, row * height, width, height)

    def area(self, row: int, column: int) -> QRectF:
        """Where the numbers of a chart are."""
        assert self.plot is not None
        chart, place = self.plot.rows[row][column], self.place(row, column)
        metrics = QFontMetricsF(ui_font(LETTERS))
        line = metrics.height()
        ticks = (
            [text.number(v, 3) for v in _ticks(*chart.y, place.height() / (2.6 * line))]
            if chart.lines
            else []
        )
        left = max([metrics.horizontalAdvance(words) for words in ticks], default=0.0) + 8
        legend = len(_legend_rows(chart, metrics, place.width() - 14)) * line
        below = line * (2.0 if chart.x_title else 1.0) + 4
        top = line * 1.2 + legend + 3
        return place.adjusted(left, top, -8, -below)

    def point(self, row: int, column: int, x: float, y: float) -> QPointF:
        """Where a place of a chart is in the widget."""
        assert self.plot is not None
        return _point(self.plot.rows[row][column], self.area(row, column), x, y)

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(self.theme.canvas))
        for i, row in enumerate(self.plot.rows if self.plot else ()):
            for j, chart in enumerate(row):
                self._paint_chart(painter, chart, self.place(i, j), self.area(i, j))
        if self.chosen >= 0 and (self.hasFocus() or self._held is not None):
            grip = self._grip()
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(self.theme.accent), 2 * self.theme.stroke))
            for i, j, marks in self._marks():
                for k in (k for k, other in enumerate(marks.grips) if other == grip):
                    painter.drawEllipse(self.point(i, j, *marks.places[k]), marks.size + 4, marks.size + 4)

    def _paint_chart(self, painter: QPainter, chart: Chart, place: QRectF, area: QRectF) -> None:
        painter.setFont(ui_font(LETTERS, bold=True))
        line = QFontMetricsF(painter.font()).height()
        painter.setPen(QColor(self.theme.ink))
        head = QRectF(place.left() + 6, place.top() + 2, place.width() - 12, line)
        title = painter.fontMetrics().elidedText(
            chart.title, Qt.TextElideMode.ElideRight, round(head.width())
        )
        painter.drawText(head, Qt.AlignmentFlag.AlignLeft, title)
        painter.setFont(ui_font(LETTERS))
        self._paint_legend(painter, chart, place, place.top() + line * 1.2 + 2)
        self._paint_axes(painter, chart, area)
        painter.save()
        painter.setClipRect(area.adjusted(-1, -1, 1, 1))
        for bars in chart.bars:
            self._paint_bars(painter, chart, area, bars)
        for path in chart.lines:
            self._paint_line(painter, chart, area, path)
        painter.restore()
        painter.setClipRect(area.adjusted(-9, -9, 9, 9))
        for marks in chart.marks:
            for x, y in marks.places[np.isfinite(marks.places).all(axis=1) & (marks.size > 0)]:
                self._paint_mark(painter, marks, _point(chart, area, x, y))
        painter.setClipping(False)

    def _paint_axes(self, painter: QPainter, chart: Chart, area: QRectF) -> None:
        """Frame, numbers at the ticks, and what runs along."""
        line = painter.fontMetrics().height()
        faint, pale = QColor(self.theme.faint_ink), QColor(self.theme.area_line)
        pale.setAlpha(140)
        rule = QPen(pale, 1)
        ticks = _ticks(*chart.x, area.width() / ((1.6 if chart.counted else 4.2) * line), whole=chart.counted)
        for x in ticks:
            at = _point(chart, area, x, 0.0).x()
            painter.setPen(rule)
            painter.drawLine(QPointF(at, area.top()), QPointF(at, area.bottom()))
            painter.setPen(faint)
            words = text.number(x, 3)
            wide = painter.fontMetrics().horizontalAdvance(words) + 2.0
            left = min(max(at - wide / 2, area.left() - 6), area.right() + 7 - wide)
            painter.drawText(QRectF(left, area.bottom() + 1, wide, line), Qt.AlignmentFlag.AlignCenter, words)
        if chart.lines:
            for y in _ticks(*chart.y, area.height() / (1.8 * line)):
                at = _point(chart, area, 0.0, y).y()
                painter.setPen(rule)
                painter.drawLine(QPointF(area.left(), at), QPointF(area.right(), at))
                painter.setPen(faint)
                side = QRectF(area.left() - 104, at - line / 2, 100, line)
                right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                painter.drawText(side, right, text.number(y, 3))
        painter.setPen(
            QPen(QColor(self.theme.accent), 2) if chart.chosen else QPen(QColor(self.theme.line), 1)
        )
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(area)
        painter.setPen(QColor(self.theme.ink))
        if chart.x_title:
            below = QRectF(area.left(), area.bottom() + line, area.width(), line)
            painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, chart.x_title)
        if chart.y_title:
            inner = _ticks(*chart.y, area.height() / (1.8 * line))
            half = len(inner) // 2  # between two ticks there is room
            at = _point(chart, area, 0.0, sum(inner[half - 1 : half + 1]) / 2).y()
            side = QRectF(area.left() - 104, at - line / 2, 100, line)
            painter.drawText(side, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, chart.y_title)

    def _paint_legend(self, painter: QPainter, chart: Chart, place: QRectF, top: float) -> None:
        metrics = QFontMetricsF(painter.font())
        line = metrics.height()
        for k, entries in enumerate(_legend_rows(chart, metrics, place.width() - 14)):
            left, middle = place.left() + 7, top + (k + 0.5) * line
            for what, wide in entries:
                if isinstance(what, Line):
                    painter.setPen(self._pen(what))
                    painter.drawLine(QPointF(left, middle), QPointF(left + 22, middle))
                else:
                    self._paint_mark(painter, what, QPointF(left + 11, middle))
                painter.setPen(QColor(self.theme.ink))
                words = QRectF(left + 27, middle - line / 2, wide, line)
                painter.drawText(
                    words, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, what.label
                )
                left += wide

    def _pen(self, line: Line) -> QPen:
        pen = QPen(QColor(getattr(self.theme, line.role)), line.width * self.theme.stroke)
        pen.setCapStyle(Qt.PenCapStyle.FlatCap if line.dashes else Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        if line.dashes:
            pen.setDashPattern(line.dashes)
        return pen

    def _paint_line(self, painter: QPainter, chart: Chart, area: QRectF, line: Line) -> None:
        """Up to where it leaves the neighbourhood of the area, or is no number any more."""
        shares = _shares(chart, line.places)
        painter.setPen(self._pen(line))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        with np.errstate(all="ignore"):
            near = np.isfinite(shares).all(axis=1) & (np.abs(shares) < FAR).all(axis=1)
        for part in np.split(shares, np.flatnonzero(~near)):
            inside = part[np.isfinite(part).all(axis=1) & (np.abs(np.nan_to_num(part)) < FAR).all(axis=1)]
            if len(inside) > 1:
                x = area.left() + inside[:, 0] * area.width()
                y = area.bottom() - inside[:, 1] * area.height()
                painter.drawPolyline([QPointF(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)])

    def _paint_bars(self, painter: QPainter, chart: Chart, area: QRectF, bars: Bars) -> None:
        colour = QColor(getattr(self.theme, bars.role))
        painter.setPen(QPen(QColor(self.theme.canvas), 0.8))
        painter.setBrush(colour)
        for x, height in zip(bars.x, bars.heights, strict=True):
            if np.isfinite(height) and height:
                foot = _point(chart, area, x - bars.width / 2, 0.0)
                head = _point(chart, area, x + bars.width / 2, height)
                painter.drawRect(QRectF(foot, head).normalized())

    def _paint_mark(self, painter: QPainter, marks: Marks, at: QPointF) -> None:
        colour, r = QColor(getattr(self.theme, marks.role)), marks.size
        hollow = not marks.solid or marks.shape == "ring"
        painter.setPen(QPen(colour if hollow else QColor(self.theme.canvas), 1.8 if hollow else 1.0))
        painter.setBrush(QColor(self.theme.canvas) if hollow else colour)
        x, y = at.x(), at.y()
        if marks.shape == "cross":
            painter.setPen(QPen(colour, 2.0 * self.theme.stroke))
            painter.drawLine(QPointF(x - r, y - r), QPointF(x + r, y + r))
            painter.drawLine(QPointF(x - r, y + r), QPointF(x + r, y - r))
        elif marks.shape == "diamond":
            r *= 1.2
            corners = (QPointF(x, y - r), QPointF(x + r, y), QPointF(x, y + r), QPointF(x - r, y))
            painter.drawPolygon(QPolygonF(corners))
        else:
            painter.drawEllipse(at, r, r)

    # The user's hand

    def _nearest(self, at: QPointF, *, grips: bool) -> tuple[int, int, Marks, int] | None:
        """The mark under the hand, the uppermost first; with `grips` only what can be dragged."""
        best, least = None, NEAR
        for i, j, marks in self._marks():
            for k, (x, y) in enumerate(marks.places):
                if (marks.grips if grips else marks.tips) and np.isfinite([x, y]).all():
                    gap = self.point(i, j, x, y) - at
                    distance = float(np.hypot(gap.x(), gap.y()))
                    if distance <= least:
                        best, least = (i, j, marks, k), distance
        return best

    def mousePressEvent(self, event: QMouseEvent) -> None:
        found = self._nearest(event.position(), grips=True)
        if found is None or event.button() != Qt.MouseButton.LeftButton:
            return
        i, j, marks, k = found
        self._choose(marks.grips[k])
        self._held = i, j, self.point(i, j, *marks.places[k]) - event.position()
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._held is None:
            over = self._nearest(event.position(), grips=True) is not None
            self.setCursor(Qt.CursorShape.OpenHandCursor if over else Qt.CursorShape.ArrowCursor)
            return
        assert self.plot is not None
        i, j, offset = self._held
        chart, area, at = self.plot.rows[i][j], self.area(i, j), event.position() + offset
        share = (at.x() - area.left()) / area.width(), (area.bottom() - at.y()) / area.height()
        x, y = (
            low + min(max(s, 0.0), 1.0) * (high - low)
            for s, (low, high) in zip(share, (chart.x, chart.y), strict=True)
        )
        self.moved.emit(self._grip(), x, y)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._held is not None:
            self._held = None
            self.settled.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = STEPS.get(Qt.Key(event.key()))
        if step is None or not self.grips:
            super().keyPressEvent(event)
            return
        self.chosen = max(self.chosen, 0)
        _, _, marks, k = self.grips[self.chosen]
        size = FINE_STEP if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else STEP
        x, y = marks.places[k]
        self.moved.emit(self._grip(), float(x + size * step[0]), float(y + size * step[1]))

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.key() in STEPS and not event.isAutoRepeat():
            self.settled.emit()
        super().keyReleaseEvent(event)

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab goes from mark to mark, and after the last one out."""
        following = self.chosen + (1 if forward else -1)
        if self.hasFocus() and 0 <= following < len(self.grips):
            self.chosen = following
            self.setAccessibleDescription(self._tip())
            self.update()
            return True
        return super().focusNextPrevChild(forward)

    def focusInEvent(self, event: QFocusEvent) -> None:
        if event.reason() == Qt.FocusReason.BacktabFocusReason:
            self.chosen = len(self.grips) - 1
        elif event.reason() == Qt.FocusReason.TabFocusReason or self.chosen < 0:
            self.chosen = min(0, len(self.grips) - 1)
        self.setAccessibleDescription(self._tip())
        super().focusInEvent(event)
        self.update()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and self.grips:
            plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier)
            if event.key() in STEPS and plain:  # before the window's actions get it
                event.accept()
                return True
        if isinstance(event, QHelpEvent):
            found = self._nearest(QPointF(event.pos()), grips=False)
            QToolTip.showText(event.globalPos(), found[2].tips[found[3]] if found else "", self)
            return True
        return super().event(event)

    def _grip(self) -> Grip:
        _, _, marks, k = self.grips[self.chosen]
        return marks.grips[k]

    def _choose(self, grip: Grip) -> None:
        self.chosen = next(n for n, (_, _, marks, k) in enumerate(self.grips) if marks.grips[k] == grip)

    def _tip(self) -> str:
        """What is said of the chosen mark."""
        if not 0 <= self.chosen < len(self.grips):
            return ""
        _, _, marks, k = self.grips[self.chosen]
        return marks.tips[k]


def _with_axes_of(old: Plot, new: Plot) -> Plot:
    """The new plot on the old one's axes, where it is of the same form."""
    if [len(row) for row in old.rows] != [len(row) for row in new.rows]:
        return new
    rows = (
        tuple(replace(now, x=was.x, y=was.y) for was, now in zip(before, after, strict=True))
        for before, after in zip(old.rows, new.rows, strict=True)
    )
    return replace(new, rows=tuple(rows))


def _shares(chart: Chart, places: np.ndarray) -> np.ndarray:
    """Places as shares of the area from its lower left corner."""
    low = np.array([chart.x[0], chart.y[0]])
    return (places - low) / (np.array([chart.x[1], chart.y[1]]) - low)


def _point(chart: Chart, area: QRectF, x: float, y: float) -> QPointF:
    across, up = np.clip(_shares(chart, np.array([x, y])), -FAR, FAR)
    return QPointF(area.left() + float(across) * area.width(), area.bottom() - float(up) * area.height())


def _ticks(low: float, high: float, most: float, *, whole: bool = False) -> list[float]:
    """Round numbers in a range, at most about so many."""
    rough = max((high - low) / max(most, 2.0), float(whole))
    unit = 10.0 ** floor(log10(rough))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough * 0.999)
    return [k * step for k in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def _legend_rows(
    chart: Chart, metrics: QFontMetricsF, width: float
) -> list[list[tuple[Line | Marks, float]]]:
    """What has a label, in rows that are no wider than there is room, each with its width."""
    rows: list[list[tuple[Line | Marks, float]]] = []
    free = 0.0
    labelled: list[Line | Marks] = [*chart.lines, *chart.marks]
    for what in labelled:
        if not what.label:
            continue
        wide = metrics.horizontalAdvance(what.label) + 41
        if wide > free:
            rows.append([])
            free = width
        rows[-1].append((what, wide))
        free -= wide
    return rows
