"""What the training panel paints: curves over the epochs, the plane of decisions, an update's small graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import floor

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QHelpEvent,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from explorer.model import text
from explorer.model.decisions import Decision, Plane, Points
from explorer.model.frame import Frame
from explorer.model.text import tr
from explorer.model.training import Epoch
from explorer.view import paint
from explorer.view.fonts import ui_font
from explorer.view.theme import Theme
from scenes.scene import Notation

LETTERS = 11.5
MOST_POINTS = 600  # examples that are drawn in the plane
MOST_MARKS = 800  # points of a curve


class Curves(QWidget):
    """Loss above and score below, against the epoch; press or drag to go to one."""

    picked = Signal(int)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.curves: Sequence[Epoch] = ()
        self._loss = np.zeros((0, 2))
        self._scale = (0.0, 1.0, False)  # ends of the axis of the loss, and whether it is logarithmic
        self.at = 0.0  # the epoch that is shown, and the part of the next
        self.best = self.stopped = self.diverged = -1.0  # marked epochs; -1: none
        self.setMinimumSize(190, 150)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)
        self.setAccessibleName(tr("Loss and score against the epoch"))

    def sizeHint(self) -> QSize:
        return QSize(300, 180)

    def show_curves(
        self, curves: Sequence[Epoch], at: float, *, best: float, stopped: float, diverged: float
    ) -> None:
        self.curves, self.at = curves, at
        loss = np.array([[e.loss, e.validation_loss] for e in curves]).reshape(-1, 2)
        self._loss, self._scale = loss, _loss_scale(loss)
        self.best, self.stopped, self.diverged = best, stopped, diverged
        if curves:
            words = tr("epoch {k}: {words}").format(k=floor(at), words=self._words(floor(at)))
            self.setAccessibleDescription(words)
        self.update()

    @property
    def last(self) -> float:
        """The epoch at the right end."""
        return max(len(self.curves) - 1, self.at, self.diverged, 1.0)

    def x_of(self, epoch: float) -> float:
        left, width = self._across()
        return left + width * epoch / self.last

    def epoch_of(self, x: float) -> int:
        left, width = self._across()
        return round(min(max((x - left) / width, 0.0), 1.0) * self.last)

    def _across(self) -> tuple[float, float]:
        metrics = QFontMetricsF(ui_font(LETTERS))
        words = (*(text.number(v, 2) for v in self._scale[:2]), tr("loss"), tr("score"))
        left = max(map(metrics.horizontalAdvance, words)) + 8
        return left, max(self.width() - left - 12, 10.0)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(self.theme.canvas))
        painter.setFont(ui_font(LETTERS))
        line = QFontMetricsF(painter.font()).height()
        loss = self._loss
        score = np.array([[e.score, e.validation_score] for e in self.curves]).reshape(-1, 2)
        scored = bool(np.isfinite(score).any())
        top, bottom = 2 * line + 6, self.height() - line - 4
        middle = top + (bottom - top) * (0.62 if scored else 1.0)
        self._paint_legend(painter, line, bool(np.isfinite(loss[:, 1]).any()))
        left, width = self._across()
        upper = QRectF(left, top, width, middle - top - (line if scored else 0))
        self._paint_marks(painter, top, bottom, line)
        self._paint_lines(painter, upper, loss, tr("loss"), self._scale)
        if scored:
            lower = QRectF(left, middle + line * 0.4, width, bottom - middle - line * 0.4)
            self._paint_lines(painter, lower, score, tr("score"), (0.0, 1.0, False))
        painter.setPen(QColor(self.theme.faint_ink))
        row = QRectF(left, bottom + 2, width, line)
        painter.drawText(row, Qt.AlignmentFlag.AlignLeft, "0")
        painter.drawText(row, Qt.AlignmentFlag.AlignHCenter, tr("epoch"))
        painter.drawText(row, Qt.AlignmentFlag.AlignRight, f"{self.last:g}" if self.curves else "")

    def _paint_legend(self, painter: QPainter, line: float, validated: bool) -> None:
        left, _ = self._across()
        rows = [(self.theme.value, Qt.PenStyle.SolidLine, tr("training"))]
        if validated:
            rows.append((self.theme.gradient, Qt.PenStyle.DashLine, tr("validation")))
        for colour, style, words in rows:
            painter.setPen(QPen(QColor(colour), 2, style))
            painter.drawLine(QPointF(left, line / 2 + 1), QPointF(left + 22, line / 2 + 1))
            painter.setPen(QColor(self.theme.ink))
            painter.drawText(QPointF(left + 27, line * 0.8 + 1), words)
            left += 27 + painter.fontMetrics().horizontalAdvance(words) + 14

    def _paint_marks(self, painter: QPainter, top: float, bottom: float, line: float) -> None:
        """The shown epoch, the best one, and where training stopped or diverged."""
        theme = self.theme
        marks = [
            (self.best, theme.input, Qt.PenStyle.DotLine, tr("best")),
            (self.stopped, theme.target, Qt.PenStyle.DashLine, tr("stopped")),
            (self.diverged, theme.gradient, Qt.PenStyle.SolidLine, tr("diverged")),
        ]
        taken: list[QRectF] = []
        for epoch, colour, style, words in marks:
            if epoch < 0:
                continue
            x = self.x_of(epoch)
            painter.setPen(QPen(QColor(colour), 1.6, style))
            painter.drawLine(QPointF(x, top - 2), QPointF(x, bottom))
            wide = painter.fontMetrics().horizontalAdvance(words) + 6.0
            place = QRectF(min(max(x - wide / 2, 0.0), self.width() - wide), line + 2, wide, line)
            if not any(place.intersects(other) for other in taken):
                painter.drawText(place, Qt.AlignmentFlag.AlignCenter, words)
                taken.append(place)
        if self.curves:
            x = self.x_of(self.at)
            painter.setPen(QPen(QColor(theme.ink), 1.6))
            painter.drawLine(QPointF(x, top - 2), QPointF(x, bottom))

    def _paint_lines(
        self,
        painter: QPainter,
        area: QRectF,
        numbers: np.ndarray,
        title: str,
        scale: tuple[float, float, bool],
    ) -> None:
        low, high, logarithmic = scale
        painter.setFont(ui_font(LETTERS))
        line = QFontMetricsF(painter.font()).height()
        for v, y in ((low, area.bottom()), (high, area.top())):
            painter.setPen(QPen(QColor(self.theme.area_line), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(QColor(self.theme.faint_ink))
            side = QRectF(0, y - line / 2, area.left() - 4, line)
            painter.drawText(side, Qt.AlignmentFlag.AlignRight, text.number(v, 2))
        painter.setPen(QColor(self.theme.ink))
        painter.drawText(
            QRectF(0, area.center().y() - line / 2, area.left() - 4, line), Qt.AlignmentFlag.AlignRight, title
        )
        styles = ((self.theme.value, Qt.PenStyle.SolidLine), (self.theme.gradient, Qt.PenStyle.DashLine))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        epochs = np.arange(0, len(numbers), max(1, len(numbers) // MOST_MARKS))
        x = area.left() + area.width() * epochs / self.last
        for column, (colour, style) in enumerate(styles):
            with np.errstate(all="ignore"):  # what has no logarithm is left out
                shown, ends = numbers[epochs, column], np.array([low, high])
                if logarithmic:
                    shown, ends = np.log10(shown), np.log10(ends)
                share = np.clip((shown - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)
            heights = np.where(np.isfinite(shown), area.bottom() - share * area.height(), np.nan)
            painter.setPen(QPen(QColor(colour), 1.8, style))
            for part in np.split(np.stack([x, heights], axis=1), np.flatnonzero(np.isnan(heights))):
                points = part[np.isfinite(part[:, 1])].tolist()
                painter.drawPolyline([QPointF(*p) for p in points])

    def _words(self, epoch: int) -> str:
        """The numbers of one epoch."""
        if not 0 <= epoch < len(self.curves):
            return tr("not measured")
        e = self.curves[epoch]
        rows = (
            (tr("loss"), e.loss),
            (tr("score"), e.score),
            (tr("validation loss"), e.validation_loss),
            (tr("validation score"), e.validation_score),
        )
        return ", ".join(f"{name} {text.number(v, 4)}" for name, v in rows if v == v)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pick(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._pick(event)

    def _pick(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton and len(self.curves) > 1:
            self.picked.emit(self.epoch_of(event.position().x()))

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and self.curves:
            epoch = self.epoch_of(float(event.pos().x()))
            words = tr("epoch {k}: {words}").format(k=epoch, words=self._words(epoch))
            QToolTip.showText(event.globalPos(), words, self)
            return True
        return super().event(event)


def _loss_scale(loss: np.ndarray) -> tuple[float, float, bool]:
    """Ends of the axis, and whether it is logarithmic: where a linear one would show a flat line."""
    known = loss[np.isfinite(loss)]
    if not known.size:
        return 0.0, 1.0, False
    low, high = float(known.min()), float(known.max())
    if low > 0 and high / low > 30:
        return low, high, True
    low = min(low, 0.0) if low < 0.5 * high else low
    return (low, high, False) if high > low else (low - 0.5, high + 0.5, False)


class PlaneView(QWidget):
    """The class of every point of the plane, and the examples on it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.plane: Plane | None = None
        self.decision: Decision | None = None
        self._image = QImage()
        self.setMinimumSize(130, 120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(tr("Decision surface"))
        tip = tr("The class of every point of the plane; paler is less certain. Hollow: validation")
        self.setToolTip(tip)

    def colours(self) -> tuple[QColor, ...]:
        """One per class, again from the first when there are more."""
        t = self.theme
        names = (t.value, t.parameter, t.input, t.target, t.gradient, t.state_line, t.loss)
        return tuple(map(QColor, names))

    def show_decision(self, plane: Plane | None, decision: Decision | None) -> None:
        self.plane, self.decision = plane, decision
        if decision is not None:
            inks = np.array([_shades(c) for c in self.colours()])
            ground = np.array(_shades(QColor(self.theme.canvas)))
            strength = (0.12 + 0.4 * decision.certainty)[..., None]
            mixed = inks[decision.classes % len(inks)] * strength + ground * (1 - strength)
            pixels = np.ascontiguousarray(mixed[::-1].astype(np.uint8))
            height, width, _ = pixels.shape
            view = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
            self._image = view.copy()  # the pixels go away
        self.update()

    def place(self) -> QRectF:
        """Where the plane is drawn: all there is, for the features have units of their own."""
        return QRectF(1, 1, self.width() - 2, self.height() - 2)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self.rect(), QColor(self.theme.canvas))
        if self.plane is None or self.decision is None:
            return
        area = self.place()
        painter.drawImage(area, self._image)
        painter.setPen(QPen(QColor(self.theme.line), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(area)
        if self.plane.validation is not None:
            self._paint_points(painter, area, self.plane.validation, False)
        self._paint_points(painter, area, self.plane.train, True)

    def _paint_points(self, painter: QPainter, area: QRectF, points: Points, solid: bool) -> None:
        assert self.plane is not None
        shares = (points.places - self.plane.low) / (self.plane.high - self.plane.low)
        colours = self.colours()
        every = max(1, len(shares) // MOST_POINTS)
        for (x, y), k in zip(shares[::every], points.classes[::every], strict=True):
            colour = colours[int(k) % len(colours)]
            centre = QPointF(area.left() + x * area.width(), area.bottom() - y * area.height())
            if solid:
                painter.setPen(QPen(QColor(self.theme.canvas), 0.8))
                painter.setBrush(colour)
            else:
                painter.setPen(QPen(colour, 1.4))
                painter.setBrush(Qt.BrushStyle.NoBrush)
            # a class is told by its shape too: discs, squares, triangles
            _SHAPES[int(k) % len(_SHAPES)](painter, centre, 3.0)


def _shades(colour: QColor) -> tuple[int, int, int]:
    return colour.red(), colour.green(), colour.blue()


def _disc(painter: QPainter, centre: QPointF, r: float) -> None:
    painter.drawEllipse(centre, r, r)


def _square(painter: QPainter, centre: QPointF, r: float) -> None:
    painter.drawRect(QRectF(centre.x() - r * 0.9, centre.y() - r * 0.9, 1.8 * r, 1.8 * r))


def _triangle(painter: QPainter, centre: QPointF, r: float) -> None:
    x, y = centre.x(), centre.y()
    painter.drawPolygon([QPointF(x, y - r * 1.2), QPointF(x + r * 1.1, y + r), QPointF(x - r * 1.1, y + r)])


_SHAPES: tuple[Callable[[QPainter, QPointF, float], None], ...] = (_disc, _square, _triangle)


class UpdateView(QWidget):
    """The small graph of one parameter's update."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.frame: Frame | None = None
        self.setMinimumSize(180, 110)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(tr("The update as a graph"))

    def sizeHint(self) -> QSize:
        return QSize(320, 150)

    def show_frame(self, frame: Frame | None) -> None:
        self.frame = frame
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint.fill_background(painter, QRectF(self.rect()), self.theme)
        if self.frame is None:
            return
        limit, _ = paint.limits(self.frame)
        look = paint.Look(self.theme, Notation(), value_limit=limit)
        painter.setTransform(paint.fit(paint.bounds(self.frame), self.width(), self.height(), margin=6.0))
        paint.paint(painter, self.frame, look)
