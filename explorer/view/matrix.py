"""MatrixView: an array as a grid of coloured cells with numbers; a leaf's numbers can be typed or dragged."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QLineEdit, QSizePolicy, QWidget

from explorer.model import text
from explorer.model.text import tr
from explorer.view import colormap
from explorer.view.fonts import ui_font
from explorer.view.theme import Theme

ROW, LEAST_CELL, MOST_ROWS, MOST_COLUMNS = 24, 46, 12, 8


class MatrixView(QWidget):
    """Shows up to 12×8 numbers; the rest is told in words.

    With `editable`, dragging a cell sideways changes its number and a double click lets one type it.
    `edited(index, value, dragging)` asks for the change; `settled` ends a drag.
    """

    edited = Signal(tuple, float, bool)
    settled = Signal()

    def __init__(self, theme: Theme, *, gradient: bool = False, editable: bool = False) -> None:
        super().__init__()
        self.theme = theme
        self.gradient = gradient
        self.editable = editable
        self.array: np.ndarray | None = None
        self.limit = 1.0
        self.placeholder = ""
        self._cell: tuple[int, int] | None = None
        self._press: tuple[QPointF, float] | None = None
        self._editor: QLineEdit | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        if editable:
            self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            self.setToolTip(tr("Drag a number sideways, or double-click to type"))

    def show_array(self, array: np.ndarray | None, limit: float, placeholder: str = "") -> None:
        """The array to show (any shape), the end of its colour scale, and words for when there is none."""
        self.array, self.limit, self.placeholder = array, limit, placeholder
        self.setAccessibleName(text.array(array) if array is not None else placeholder)
        self.updateGeometry()
        self.update()

    def _grid(self) -> np.ndarray:
        assert self.array is not None
        a = np.asarray(self.array, dtype=float)
        return a.reshape(1, -1) if a.ndim < 2 else a.reshape(a.shape[0], -1)

    def _shown(self) -> tuple[int, int]:
        if self.array is None:
            return 1, 1
        rows, columns = self._grid().shape
        return min(rows, MOST_ROWS), min(columns, MOST_COLUMNS)

    def sizeHint(self) -> QSize:
        rows, columns = self._shown()
        cut = self.array is not None and (rows, columns) != self._grid().shape
        return QSize(LEAST_CELL * columns, ROW * rows + (16 if cut else 0) + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(60, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.array is None:
            painter.setFont(ui_font(12))
            painter.setPen(QColor(self.theme.faint_ink))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignVCenter, self.placeholder)
            return
        grid = self._grid()
        rows, columns = self._shown()
        colours = colormap.rgb(grid[:rows, :columns], self.limit, self.theme.colormap, symlog=self.gradient)
        width = (self.width() - 1) / columns
        digits = 4 if width > 62 else 3
        for i in range(rows):
            for j in range(columns):
                rect = QRectF(j * width + 0.5, i * ROW + 0.5, width, ROW)
                fill = QColor(*(int(c) for c in colours[i, j]))
                painter.setPen(QPen(QColor(self.theme.area_line), 1))
                painter.setBrush(fill)
                painter.drawRect(rect)
                if (i, j) == self._cell and self.editable:
                    painter.setPen(QPen(QColor(self.theme.accent), 2))
                    painter.setBrush(Qt.BrushStyle.NoBrush)
                    painter.drawRect(rect.adjusted(1, 1, -1, -1))
                words = text.number(grid[i, j], digits)
                font = ui_font(12)
                size = painter.fontMetrics()
                painter.setFont(font)
                size = painter.fontMetrics()
                if size.horizontalAdvance(words) > width - 4:
                    painter.setFont(ui_font(max(12 * (width - 4) / size.horizontalAdvance(words), 7)))
                painter.setPen(QColor("#14171f" if _light(fill) else "#ffffff"))
                painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, words)
        if (rows, columns) != grid.shape:
            painter.setFont(ui_font(10.5))
            painter.setPen(QColor(self.theme.faint_ink))
            below = QRectF(0, rows * ROW + 1, self.width(), 16)
            cut = tr("{rows}×{columns} of {all_rows}×{all_columns} shown").format(
                rows=rows, columns=columns, all_rows=grid.shape[0], all_columns=grid.shape[1]
            )
            painter.drawText(below, Qt.AlignmentFlag.AlignLeft, cut)

    # Editing

    def _cell_at(self, point: QPointF) -> tuple[int, int] | None:
        if self.array is None:
            return None
        rows, columns = self._shown()
        i, j = int(point.y() // ROW), int(point.x() // ((self.width() - 1) / columns))
        return (i, j) if 0 <= i < rows and 0 <= j < columns else None

    def _index(self, cell: tuple[int, int]) -> tuple[int, ...]:
        """Index into the array of a cell of the grid."""
        assert self.array is not None
        flat = cell[0] * self._grid().shape[1] + cell[1]
        return tuple(int(k) for k in np.unravel_index(flat, self.array.shape)) if self.array.ndim else ()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        cell = self._cell_at(event.position())
        if self.editable and cell is not None and event.button() == Qt.MouseButton.LeftButton:
            self._cell = cell
            self._press = (event.position(), float(self._grid()[cell]))
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if not self.editable:
            return
        if self._press is None or self._cell is None:
            over = self._cell_at(event.position()) is not None
            self.setCursor(Qt.CursorShape.SizeHorCursor if over else Qt.CursorShape.ArrowCursor)
            return
        start, value = self._press
        moved = event.position().x() - start.x()
        if abs(moved) >= 2:
            fine = 0.002 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 0.01
            self.edited.emit(self._index(self._cell), round(value + moved * fine, 4), True)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._press is not None:
            self._press = None
            self.settled.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        cell = self._cell_at(event.position())
        if self.editable and cell is not None:
            self._cell, self._press = cell, None
            self.type_into(cell)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self.editable or self.array is None:
            super().keyPressEvent(event)
            return
        rows, columns = self._shown()
        i, j = self._cell or (0, 0)
        moves = {
            Qt.Key.Key_Up: (-1, 0),
            Qt.Key.Key_Down: (1, 0),
            Qt.Key.Key_Left: (0, -1),
            Qt.Key.Key_Right: (0, 1),
        }
        if event.key() in moves:
            di, dj = moves[Qt.Key(event.key())]
            self._cell = (min(max(i + di, 0), rows - 1), min(max(j + dj, 0), columns - 1))
            self.update()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_F2):
            self.type_into((i, j))
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        # the arrow keys move between cells here, before the window's actions get them
        if event.type() == QEvent.Type.ShortcutOverride and self.editable and isinstance(event, QKeyEvent):
            arrows = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Left, Qt.Key.Key_Right)
            if event.key() in arrows and event.modifiers() == Qt.KeyboardModifier.NoModifier:
                event.accept()
                return True
        return super().event(event)

    def type_into(self, cell: tuple[int, int]) -> None:
        """Open a line edit over a cell."""
        assert self.array is not None
        self._cell = cell
        width = (self.width() - 1) / self._shown()[1]
        editor = QLineEdit(repr(float(self._grid()[cell])), self)
        editor.setFont(ui_font(12))
        wide = max(round(width), 84)
        left = min(round(cell[1] * width), max(self.width() - wide, 0))
        editor.setGeometry(left, cell[0] * ROW, wide, ROW + 1)
        editor.selectAll()
        editor.editingFinished.connect(lambda: self._typed(editor, cell))
        editor.show()
        editor.setFocus()
        self._editor = editor

    def _typed(self, editor: QLineEdit, cell: tuple[int, int]) -> None:
        if self._editor is not editor:
            return
        self._editor = None
        words = editor.text().strip().replace("−", "-")
        editor.deleteLater()
        try:
            value = float(words)
        except ValueError:
            value = float("nan")
        if np.isfinite(value):
            self.edited.emit(self._index(cell), value, False)
            self.settled.emit()
        else:
            self.edited.emit((), float("nan"), False)  # the receiver says what is wrong
        self.setFocus()


def _light(colour: QColor) -> bool:
    return 0.299 * colour.red() + 0.587 * colour.green() + 0.114 * colour.blue() > 140
