"""Charts that answer to clicks: bars with names, and a grid of coloured cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QHelpEvent, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from explorer.model import text
from explorer.view import colormap
from explorer.view.fonts import ui_font
from explorer.view.theme import Theme

DECADES = 8.0  # at most, that a logarithmic scale of colours spreads


class Bars(QWidget):
    """Bars side by side. A bar can be solid, or an outline of what is still to come, with a hatched part."""

    clicked = Signal(int)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.sizes = np.zeros(0)
        self.solid = np.zeros(0, dtype=bool)
        self.missing = np.zeros(0)  # hatched on top
        self.labels: Sequence[str] = ()
        self.colours: Sequence[str] = ()
        self.chosen = -1
        self.tip: Callable[[int], str] = lambda k: ""
        self.setMinimumSize(160, 100)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)

    def sizeHint(self) -> QSize:
        return QSize(240, 100)

    def show_bars(
        self,
        sizes: np.ndarray,
        labels: Sequence[str],
        *,
        solid: np.ndarray | None = None,
        missing: np.ndarray | None = None,
        colours: Sequence[str] = (),
        chosen: int = -1,
    ) -> None:
        """Heights, what stands below them, and which one is marked."""
        self.sizes, self.labels, self.chosen = sizes, labels, chosen
        self.solid = np.ones(len(sizes), dtype=bool) if solid is None else solid
        self.missing = np.zeros(len(sizes)) if missing is None else missing
        self.colours = colours or [self.theme.gradient] * len(sizes)
        self.update()

    def _place(self) -> tuple[QRectF, float]:
        """Where the bars stand, and the width of one with its gap."""
        area = QRectF(46, 16, max(self.width() - 54, 10), max(self.height() - 38, 10))
        return area, area.width() / max(len(self.sizes), 1)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(self.theme.canvas))
        if not len(self.sizes):
            return
        area, pitch = self._place()
        both = np.where(np.isfinite(self.sizes), self.sizes, 0.0) + self.missing
        top = float(np.max(both, initial=0.0)) or 1.0
        ink, faint = QColor(self.theme.ink), QColor(self.theme.faint_ink)
        painter.setFont(ui_font(11.5))
        for share in (0.0, 0.5, 1.0):
            y = area.bottom() - share * area.height()
            painter.setPen(QPen(QColor(self.theme.area_line), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(faint)
            side = QRectF(0, y - 8, 42, 16)
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(side, right, text.number(top * share, 2))
        every = max(1, int(np.ceil(30 / pitch)))
        numbers = pitch >= 40
        for k, size in enumerate(self.sizes):
            x = area.left() + k * pitch
            gap = min(pitch * 0.14, 8.0)
            colour = QColor(self.colours[k])
            height = area.height() * (size / top if np.isfinite(size) else 1.0)
            rect = QRectF(x + gap, area.bottom() - height, pitch - 2 * gap, height)
            if self.missing[k] > 0:
                cut = area.height() * self.missing[k] / top
                painter.setPen(QPen(faint, 1, Qt.PenStyle.DashLine))
                painter.setBrush(QBrush(faint, Qt.BrushStyle.BDiagPattern))
                painter.drawRect(QRectF(rect.left(), rect.top() - cut, rect.width(), cut))
            pale = QColor(colour)
            pale.setAlpha(38)
            painter.setPen(QPen(colour, 1))
            painter.setBrush(colour if self.solid[k] else pale)
            painter.drawRect(rect)
            if k == self.chosen:
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(QColor(self.theme.accent), 2.5))
                painter.drawRect(QRectF(x + 1, area.top() - 2, pitch - 2, area.height() + 4))
            if numbers and self.solid[k]:
                painter.setPen(ink)
                over = rect.top() - (area.height() * self.missing[k] / top) - 15
                above = QRectF(x - 6, max(over, 0), pitch + 12, 14)
                painter.drawText(above, Qt.AlignmentFlag.AlignCenter, text.number(size, 3))
            if k % every == 0:
                painter.setPen(ink)
                wide = max(pitch, 30.0)
                below = QRectF(x + pitch / 2 - wide / 2, area.bottom() + 3, wide, 18)
                painter.drawText(below, Qt.AlignmentFlag.AlignCenter, self.labels[k])

    def at(self, point: QPointF) -> int:
        """Which bar is there; −1 for none."""
        area, pitch = self._place()
        k = int((point.x() - area.left()) // pitch)
        return k if 0 <= k < len(self.sizes) else -1

    def middle_of(self, k: int) -> QPointF:
        area, pitch = self._place()
        return QPointF(area.left() + (k + 0.5) * pitch, area.center().y())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        k = self.at(event.position())
        if k >= 0:
            self.clicked.emit(k)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            k = self.at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), self.tip(k) if k >= 0 else "", self)
            return True
        return super().event(event)


class HeatMap(QWidget):
    """A matrix as coloured cells: norms on a logarithmic scale, or signed numbers around zero."""

    clicked = Signal(int, int)

    def __init__(self, theme: Theme, *, signed: bool = False, rows: str = "", columns: str = "") -> None:
        super().__init__()
        self.theme, self.signed = theme, signed
        self.row_title, self.column_title = rows, columns
        self.array: np.ndarray | None = None
        self.row_labels: Sequence[str] = ()
        self.column_labels: Sequence[str] = ()
        self.limit = 1.0
        self.chosen: tuple[int, int] | None = None
        self.dim: np.ndarray | None = None  # columns that are still to come
        self.hatched: np.ndarray | None = None  # cells that were cut off
        self.tip: Callable[[int, int], str] = lambda i, j: ""
        self.placeholder = ""
        self._image: QImage | None = None
        self.setMinimumSize(120, 60)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)

    def sizeHint(self) -> QSize:
        return QSize(240, 100)

    def show_array(
        self,
        array: np.ndarray | None,
        *,
        rows: Sequence[str] = (),
        columns: Sequence[str] = (),
        limit: float = 0.0,
        dim: np.ndarray | None = None,
        hatched: np.ndarray | None = None,
        placeholder: str = "",
    ) -> None:
        """The matrix to show, nan stays empty; `limit` is the end of the colours, 0: the largest number."""
        if array is not None:
            array = np.asarray(array, dtype=float)
            array = array.reshape(1, -1) if array.ndim < 2 else array.reshape(len(array), -1)
        self.array, self.row_labels, self.column_labels = array, rows, columns
        self.dim, self.hatched, self.placeholder = dim, hatched, placeholder
        self._image = None
        if array is not None:
            finite = np.abs(array[np.isfinite(array)])
            self.limit = limit or float(np.max(finite, initial=0.0)) or 1.0
            if self.chosen is not None and not all(
                c < n for c, n in zip(self.chosen, array.shape, strict=True)
            ):
                self.chosen = None
        self.setAccessibleName(placeholder if array is None else text.array(array))
        self.update()

    def decades(self) -> float:
        """How many powers of ten the colours spread: those that there are, one at least."""
        assert self.array is not None
        seen = self.array[np.isfinite(self.array) & (self.array > 0)]
        lowest = float(seen.min()) if seen.size else self.limit
        return float(np.clip(np.log10(self.limit / lowest), 1.0, DECADES))

    def colours(self) -> np.ndarray:
        """uint8 (rows, columns, 3)."""
        assert self.array is not None
        if self.signed:
            return colormap.rgb(self.array, self.limit, self.theme.colormap, symlog=True)
        with np.errstate(all="ignore"):
            share = np.clip(1.0 + 0.92 * np.log10(self.array / self.limit) / self.decades(), 0.04, 1.0)
        share = np.where(self.array > 0, share, np.where(np.isfinite(self.array), 0.0, self.array))
        return colormap.rgb(share, 1.0, self.theme.colormap)

    def _place(self) -> tuple[QRectF, float, float]:
        """Where the cells are, and the width and height of one."""
        assert self.array is not None
        rows, columns = self.array.shape
        left = 34.0 if self.row_labels else 2.0
        left += 16 if self.row_title else 0
        below = (18.0 if self.column_labels else 2.0) + (16 if self.column_title else 0)
        scale = 0.0 if self.signed else 22.0
        width, height = self.width() - left - 4, self.height() - below - 4 - scale
        cell_w, cell_h = max(width / columns, 1.0), max(height / rows, 1.0)
        if not self.signed:  # time against time: square
            cell_w = cell_h = min(cell_w, cell_h, 90.0)
        else:
            cell_w, cell_h = min(cell_w, 90.0), min(cell_h, 34.0)
        return QRectF(left, 2 + scale, cell_w * columns, cell_h * rows), cell_w, cell_h

    def rect_of(self, i: int, j: int) -> QRectF:
        area, w, h = self._place()
        return QRectF(area.left() + j * w, area.top() + i * h, w, h)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink, faint = QColor(self.theme.ink), QColor(self.theme.faint_ink)
        painter.setFont(ui_font(11.5))
        if self.array is None:
            painter.setPen(faint)
            painter.drawText(
                self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self.placeholder
            )
            return
        area, w, h = self._place()
        rows, columns = self.array.shape
        painter.drawImage(area, self._cells())
        if min(w, h) >= 9:
            painter.setPen(QPen(QColor(self.theme.canvas), 1))
            for i in range(rows + 1):
                y = area.top() + i * h
                painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            for j in range(columns + 1):
                x = area.left() + j * w
                painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        if w >= 38 and h >= 15:
            self._paint_numbers(painter)
        if self.hatched is not None:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QBrush(faint, Qt.BrushStyle.BDiagPattern))
            for i, j in np.argwhere(self.hatched):
                painter.drawRect(self.rect_of(int(i), int(j)))
        self._paint_sides(painter, area, w, h, ink, faint)
        if not self.signed:
            self._paint_scale(painter, area, faint)
        if self.chosen is not None:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(self.theme.accent), 2.5))
            cell = self.rect_of(*self.chosen)
            grow = max(4 - cell.width() / 2, 0)
            painter.drawRect(cell.adjusted(-grow, -grow, grow, grow))

    def _cells(self) -> QImage:
        """One pixel a cell, empty where there is no number."""
        if self._image is None:
            assert self.array is not None
            rows, columns = self.array.shape
            pixels = np.empty((rows, columns, 4), dtype=np.uint8)
            pixels[..., :3] = self.colours()
            pixels[..., 3] = np.where(np.isnan(self.array), 0, 255)
            if self.dim is not None:
                pixels[:, self.dim, 3] = np.where(pixels[:, self.dim, 3] > 0, 60, 0)
            image = QImage(pixels.tobytes(), columns, rows, 4 * columns, QImage.Format.Format_RGBA8888)
            self._image = image.copy()
        return self._image

    def _paint_numbers(self, painter: QPainter) -> None:
        assert self.array is not None
        colours = self.colours().astype(float) @ (0.299, 0.587, 0.114)
        wide = self._place()[1] >= 50
        for i, j in np.argwhere(~np.isnan(self.array)):
            dim = self.dim is not None and self.dim[j]
            light = colours[i, j] > 140 if not dim else not self.theme.dark
            painter.setPen(QColor("#14171f" if light else "#ffffff"))
            words = text.number(self.array[i, j], 3 if wide else 2)
            painter.drawText(self.rect_of(int(i), int(j)), Qt.AlignmentFlag.AlignCenter, words)

    def _paint_sides(
        self, painter: QPainter, area: QRectF, w: float, h: float, ink: QColor, faint: QColor
    ) -> None:
        painter.setPen(ink)
        every = max(1, int(np.ceil(15 / h)))
        for i, words in enumerate(self.row_labels):
            if i % every == 0:
                side = QRectF(area.left() - 34, area.top() + i * h + h / 2 - 8, 30, 16)
                painter.drawText(side, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, words)
        every = max(1, int(np.ceil(26 / w)))
        for j, words in enumerate(self.column_labels):
            if j % every == 0:
                below = QRectF(area.left() + j * w + w / 2 - 20, area.bottom() + 1, 40, 16)
                painter.drawText(below, Qt.AlignmentFlag.AlignCenter, words)
        painter.setPen(faint)
        if self.column_title:
            below = QRectF(area.left(), area.bottom() + 17, max(area.width(), 150), 16)
            painter.drawText(below, Qt.AlignmentFlag.AlignLeft, self.column_title)
        if self.row_title and area.height() >= 70:
            painter.save()
            painter.translate(area.left() - 36, area.bottom())
            painter.rotate(-90)
            side = QRectF(0, -15, max(area.height(), 150), 16)
            painter.drawText(side, Qt.AlignmentFlag.AlignLeft, self.row_title)
            painter.restore()

    def _paint_scale(self, painter: QPainter, area: QRectF, faint: QColor) -> None:
        """The colours from the smallest to the largest, with both numbers."""
        left = area.left() + 50
        wide = min(120.0, self.width() - left - 50)
        table = colormap.table(self.theme.colormap)[colormap.CENTRE :]
        image = QImage(np.ascontiguousarray(table).tobytes(), len(table), 1, QImage.Format.Format_RGB888)
        painter.drawImage(QRectF(left, 5, wide, 9), image.copy())
        painter.setPen(faint)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        low = text.number(self.limit * 10 ** -self.decades(), 2)
        painter.drawText(QRectF(left - 64, 1, 58, 17), right, low)
        where = QRectF(left + wide + 6, 1, 90, 17)
        painter.drawText(where, Qt.AlignmentFlag.AlignVCenter, text.number(self.limit, 3))

    def cell_at(self, point: QPointF) -> tuple[int, int] | None:
        """Row and column of a cell that holds a number."""
        if self.array is None:
            return None
        area, w, h = self._place()
        i, j = int((point.y() - area.top()) // h), int((point.x() - area.left()) // w)
        inside = 0 <= i < self.array.shape[0] and 0 <= j < self.array.shape[1]
        return (i, j) if inside and not np.isnan(self.array[i, j]) else None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position())
        if cell is not None:
            self.chosen = cell
            self.update()
            self.clicked.emit(*cell)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            cell = self.cell_at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), self.tip(*cell) if cell else "", self)
            return True
        return super().event(event)
