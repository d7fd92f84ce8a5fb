"""The tour: five hints at the parts of the window, each in a bubble that points at what it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, Qt, QTimer
from PySide6.QtGui import (
    QColor,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygon,
    QShortcut,
)
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from explorer.model.text import tr
from explorer.view.fonts import ui_font

if TYPE_CHECKING:
    from explorer.view.window import Window

TIP = 12  # of the bubble, in pixels


@dataclass(frozen=True)
class Hint:
    """What is pointed at, and what is said of it."""

    title: str
    words: str
    target: Callable[[], QWidget]


def hints(window: Window) -> list[Hint]:
    """The five."""
    panels = window.panels
    return [
        Hint(
            tr("This is the computation"),
            tr("Values flow from left to right, gradients back. The wheel zooms; a click on a title folds."),
            lambda: window.canvas,
        ),
        Hint(
            tr("Time"),
            tr("Space plays, → and ← take one step. Drag the bar to be anywhere at once."),
            lambda: panels["timeline"],
        ),
        Hint(
            tr("Every number"),
            tr("Click a box: its value, gradient and formula appear here. A leaf's numbers can be changed."),
            lambda: window.front_panel("inspector"),
        ),
        Hint(
            tr("A text to read along"),
            tr("Chapters go to the right moment and the right place. Page Down turns the page."),
            lambda: window.front_panel("chapters"),
        ),
        Hint(
            tr("Anything else"),
            tr("Ctrl+K finds every action, scene and node by a few letters. F1 lists the keys."),
            lambda: window.menuBar(),
        ),
    ]


class Tour(QFrame):
    """The bubble. Enter or → goes on, ← back, Escape leaves at once; the window stays usable meanwhile."""

    def __init__(self, window: Window, at: int = 0) -> None:
        super().__init__(window)
        self.host = window
        self.hints = hints(window)
        self.at = at
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Tour"))
        self.frame = Marker(window)
        self.title = QLabel()
        self.title.setFont(ui_font(16, bold=True))
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.count = QLabel()
        self.count.setStyleSheet(f"color: {window.theme.faint_ink}")
        self.skip = QPushButton(tr("Leave"))
        self.back = QPushButton(tr("Back"))
        self.next = QPushButton()
        self.skip.clicked.connect(self.leave)
        self.back.clicked.connect(lambda: self.go(-1))
        self.next.clicked.connect(lambda: self.go(+1))
        row = QHBoxLayout()
        row.addWidget(self.count)
        row.addStretch(1)
        for button in (self.skip, self.back, self.next):
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the bubble itself has the keyboard
            button.setAutoDefault(False)
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(TIP + 16, TIP + 12, TIP + 16, TIP + 12)
        column.setSpacing(8)
        column.addWidget(self.title)
        column.addWidget(self.words)
        column.addLayout(row)
        self._side = ""
        window.installEventFilter(self)
        window.canvas.installEventFilter(self)  # it makes room when a panel comes or grows
        leave = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)  # wherever the keyboard is
        leave.activated.connect(self.leave)
        leave.activatedAmbiguously.connect(self.leave)
        self.show()
        self.go(0)

    def go(self, by: int) -> None:
        """To the next hint or back; after the last one it is over."""
        self.at = max(self.at + by, 0)
        if self.at >= len(self.hints):
            self.leave()
            return
        hint = self.hints[self.at]
        self.title.setText(hint.title)
        self.words.setText(hint.words)
        self.count.setText(f"{self.at + 1} / {len(self.hints)}")
        self.back.setEnabled(self.at > 0)
        self.next.setText(tr("Next") if self.at + 1 < len(self.hints) else tr("Done"))
        self.setAccessibleDescription(f"{hint.title}. {hint.words}")
        self.host.announce(f"{hint.title}. {hint.words}")
        self._target = hint.target()
        self._place()
        self.setFocus()

    def leave(self) -> None:
        """Not to be shown again by itself."""
        self.host.settings.tour_seen = True
        self.host.removeEventFilter(self)
        self.host.canvas.removeEventFilter(self)
        self.frame.hide()
        self.frame.deleteLater()
        self.hide()
        self.deleteLater()
        self.host.tour_left()

    # Where it stands

    def _place(self) -> None:
        """Beside its target, where there is room; the tip points there."""
        target = self._target
        there = QRect(target.mapTo(self.host, QPoint(0, 0)), target.size())
        self.frame.mark(there)
        width = min(380, self.host.width() - 40)
        self.setFixedWidth(width)
        height = self.layout().heightForWidth(width)
        room = self.host.rect()
        spots = {
            "left": QPoint(there.right() + 2, there.center().y() - height // 2),
            "right": QPoint(there.left() - width - 2, there.center().y() - height // 2),
            "bottom": QPoint(there.center().x() - width // 2, there.top() - height - 2),
            "top": QPoint(there.center().x() - width // 2, there.bottom() + 2),
        }
        fitting = [s for s, p in spots.items() if room.contains(_clipped(p, width, height, s, room))]
        self._side = fitting[0] if fitting else ""
        where = spots[self._side] if fitting else there.center() - QPoint(width // 2, height // 2)
        place = _clipped(where, width, height, self._side, room)
        self.setGeometry(place)
        middle = there.center() - place.topLeft()
        self._tip = QPoint(min(max(middle.x(), 40), width - 40), min(max(middle.y(), 40), height - 40))
        self.frame.raise_()
        self.raise_()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self.host.theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(theme.accent), 2))
        painter.setBrush(QColor(theme.base))
        body = self.rect().adjusted(TIP, TIP, -TIP, -TIP)
        painter.drawRoundedRect(body, 9, 9)
        x, y = self._tip.x(), self._tip.y()
        corners = {
            "left": [(body.left() + 1, y - 10), (1, y), (body.left() + 1, y + 10)],
            "right": [(body.right(), y - 10), (self.width() - 2, y), (body.right(), y + 10)],
            "top": [(x - 10, body.top() + 1), (x, 1), (x + 10, body.top() + 1)],
            "bottom": [(x - 10, body.bottom()), (x, self.height() - 2), (x + 10, body.bottom())],
        }
        if self._side:
            a, b, c = (QPoint(*p) for p in corners[self._side])
            painter.drawPolyline(QPolygon([a, b, c]))
            painter.setPen(QPen(QColor(theme.base), 3))
            painter.drawLine(a, c)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Right, Qt.Key.Key_Space):
            self.go(+1)
        elif key == Qt.Key.Key_Left:
            self.go(-1)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        mine = (Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Space)
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride:
            plain = event.modifiers() == Qt.KeyboardModifier.NoModifier
            if plain and event.key() in mine:
                event.accept()
                return True
        return super().event(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            QTimer.singleShot(0, self, self._place)  # when everything is where it will be
        return False


def _clipped(where: QPoint, width: int, height: int, side: str, room: QRect) -> QRect:
    """The bubble there, moved along the side that it touches so that it stays in the window."""
    x, y = where.x(), where.y()
    if side in ("left", "right", ""):
        y = min(max(y, 8), room.height() - height - 8)
    if side in ("top", "bottom", ""):
        x = min(max(x, 8), room.width() - width - 8)
    return QRect(x, y, width, height)


class Marker(QWidget):
    """A frame around what a hint is about; clicks go through it."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.colour = QColor(window.theme.accent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def mark(self, rect: QRect) -> None:
        self.setGeometry(rect)
        self.show()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self.colour, 4))
        painter.drawRoundedRect(self.rect().adjusted(2, 2, -2, -2), 6, 6)
