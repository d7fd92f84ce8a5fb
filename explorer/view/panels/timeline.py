"""The timeline: forward, loss and backward as coloured stretches, chapter marks, the playhead, and in words
what happens now."""

from __future__ import annotations

from collections.abc import Callable
from math import floor
from typing import Any

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from explorer.model import playback, text
from explorer.model.actions import ACTIONS
from explorer.model.breakpoints import hits
from explorer.model.chapters import pages
from explorer.model.session import Session
from explorer.model.text import tr
from explorer.view.fonts import ui_font
from explorer.view.icons import icon
from explorer.view.panels import Panel, panel
from explorer.view.theme import Theme

BUTTONS = ("first", "previous_scope", "step_back", "play", "step_forward", "next_scope", "last", "loop")


BAR = 16.0  # its height, in pixels


def small_height() -> float:
    """The height of a line of the small print above and below the bar."""
    return QFontMetricsF(ui_font(10.5)).height()


class Scrubber(QWidget):
    """The bar. Press or drag anywhere to go there."""

    def __init__(self, session: Session, theme: Theme) -> None:
        super().__init__()
        self.session, self.theme = session, theme
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._known: dict[str, tuple[Any, Any]] = {}
        self.setAccessibleName(tr("Timeline"))
        self.setMouseTracking(True)

    def sizeHint(self) -> QSize:
        return QSize(300, round(self.top + BAR + small_height()))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    @property
    def top(self) -> float:
        """Where the bar begins, below the numbers of the chapters."""
        return small_height() + 6.0

    def x_of(self, t: float) -> float:
        return 10 + (self.width() - 20) * t / max(self.session.end, 1)

    def t_of(self, x: float) -> float:
        return min(max((x - 10) / max(self.width() - 20, 1), 0.0), 1.0) * self.session.end

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.session.recording is None:
            return
        trace, state, theme = self.session.trace, self.session.state, self.theme
        top, height = self.top, BAR
        loss = trace.forward_end
        stretches: list[tuple[float, float, str, str]] = [
            (0, loss, theme.value, tr("forward")),
            (loss, loss + 1, theme.loss, ""),
            (loss + 1, trace.backward_end, theme.gradient, tr("backward")),
            (trace.backward_end, trace.end, theme.parameter, tr("update")),
        ]
        for a, b, colour, words in stretches:
            rect = QRectF(self.x_of(a), top, self.x_of(b) - self.x_of(a), height)
            pale = QColor(colour)
            pale.setAlpha(60)
            painter.fillRect(rect, pale)
            done = min(max(state.t, a), b)
            painter.fillRect(QRectF(rect.left(), top, self.x_of(done) - rect.left(), height), QColor(colour))
            painter.setFont(ui_font(10.5))
            if painter.fontMetrics().horizontalAdvance(words) < rect.width() - 8:
                painter.setPen(QColor(theme.faint_ink))
                label = QRectF(rect.left(), top + height, rect.width(), small_height())
                painter.drawText(label, Qt.AlignmentFlag.AlignCenter, words)
        painter.setPen(QPen(QColor(theme.canvas), 1))
        for mark in self._kept("time", trace.order, lambda: playback.boundaries(trace, "time")[1:-1]):
            painter.drawLine(QPointF(self.x_of(mark), top), QPointF(self.x_of(mark), top + height))
        self._paint_chapters(painter, top)
        self._paint_stops(painter, top)
        if state.loop is not None:
            painter.setPen(QPen(QColor(theme.accent), 2))
            a, b = (self.x_of(t) for t in state.loop)
            painter.drawLine(QPointF(a, top - 2), QPointF(b, top - 2))
        x = self.x_of(state.t)
        painter.setPen(QPen(QColor(theme.ink), 2))
        painter.drawLine(QPointF(x, top - 5), QPointF(x, top + height + 3))
        painter.setBrush(QColor(theme.ink))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawPolygon(
            QPolygonF([QPointF(x - 6, top - 10), QPointF(x + 6, top - 10), QPointF(x, top - 2)])
        )

    def _kept(self, name: str, key: Any, make: Callable[[], Any]) -> Any:
        """What is the same in many pictures is found once."""
        known = self._known.get(name)
        if known is None or known[0] != key:
            known = self._known[name] = key, make()
        return known[1]

    def _chapter_marks(self) -> list[tuple[float, str, str]]:
        """Where chapters begin: (x, number, title); chapters that begin together share a mark."""
        key = self.session.trace.order, self.session.state.chapters, self.session.recording, text.language()
        return [(self.x_of(t), *words) for t, *words in self._kept("chapters", key, self._find_chapters)]

    def _find_chapters(self) -> list[tuple[int, str, str]]:
        marks: dict[int, tuple[list[str], list[str]]] = {}
        for number, page in enumerate(pages(self.session), 1):
            start, _ = self.session.chapter_range(page.id)
            numbers, titles = marks.setdefault(start, ([], []))
            numbers.append(str(number))
            titles.append(f"{number} {page.title}")
        return [(t, ",".join(n), "\n".join(w)) for t, (n, w) in sorted(marks.items())]

    def _paint_chapters(self, painter: QPainter, top: float) -> None:
        painter.setFont(ui_font(10, bold=True))
        right = -100.0
        for x, numbers, _ in self._chapter_marks():
            painter.setPen(QPen(QColor(self.theme.faint_ink), 1))
            painter.drawLine(QPointF(x, top - 7), QPointF(x, top))
            width = painter.fontMetrics().horizontalAdvance(numbers)
            if x - width / 2 > right + 3:
                painter.drawText(QRectF(x - 30, 0, 60, small_height()), Qt.AlignmentFlag.AlignCenter, numbers)
                right = x + width / 2

    def _paint_stops(self, painter: QPainter, top: float) -> None:
        """A small diamond below the bar for every moment at which a breakpoint holds."""
        state = self.session.state
        trace, stops = self.session.trace, state.breakpoints
        moments = self._kept(
            "stops", (trace, stops), lambda: {hit.at for hit in hits(trace, stops)} if stops else ()
        )
        painter.setPen(QPen(QColor(self.theme.canvas), 1))
        painter.setBrush(QColor(self.theme.ink))
        for x in sorted({round(self.x_of(t)) for t in moments}):
            y = top + BAR
            corners = ((x, y - 5), (x + 4.5, y), (x, y + 5), (x - 4.5, y))
            painter.drawPolygon(QPolygonF([QPointF(*c) for c in corners]))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.session.recording is not None:
            self.session.update(t=self.t_of(event.position().x()), playing=False)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton and self.session.recording is not None:
            self.session.update(t=self.t_of(event.position().x()), playing=False)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self.session.recording is not None:
            nearest = round(self.session.state.t)
            if abs(self.session.state.t - nearest) < 0.12:
                self.session.update(t=float(nearest))

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.session.recording is not None:
            steps = 1 if event.angleDelta().y() < 0 else -1
            self.session.update(t=float(floor(self.session.state.t) + steps), playing=False)
            event.accept()

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and self.session.recording is not None:
            x = float(event.pos().x())
            near = [
                titles
                for mark, _, titles in self._chapter_marks()
                if abs(mark - x) < 7 and event.pos().y() < self.top + 2
            ]
            words = (
                near[0]
                if near
                else playback.describe(self.session, min(self.t_of(x) + 0.5, self.session.end))
            )
            QToolTip.showText(event.globalPos(), words, self)
            return True
        return super().event(event)


@panel("timeline", "Timeline", Qt.DockWidgetArea.BottomDockWidgetArea)
class Timeline(Panel):
    """Buttons, speed, the bar and the sentence."""

    def build(self) -> QWidget:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(8, 2, 8, 4)
        column.setSpacing(0)
        row = QHBoxLayout()
        row.setSpacing(2)
        self.buttons: dict[str, QToolButton] = {}
        for name in BUTTONS:
            action = ACTIONS[name]
            button = QToolButton()
            button.setAutoRaise(True)
            button.setIconSize(QSize(20, 20))
            button.setIcon(icon(action.icon, self.theme.ink))
            keys = f" ({', '.join(action.keys)})" if action.keys else ""
            button.setToolTip(f"{tr(action.title)}{keys}\n{tr(action.tip)}")
            button.setAccessibleName(tr(action.title))
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda _=False, a=action: self.host.run(a))
            self.buttons[name] = button
            row.addWidget(button)
        self.buttons["loop"].setCheckable(True)
        self.speed = QComboBox()
        self.speed.setToolTip(tr("Speed of playing (, and . change it)"))
        self.speed.setAccessibleName(tr("Speed"))
        for s in playback.SPEEDS:
            self.speed.addItem(f"{s:g}×", s)
        self.speed.activated.connect(lambda k: self.session.update(speed=self.speed.itemData(k)))
        row.addWidget(self.speed)
        self.words = QLabel()
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        self.words.setFont(ui_font(14))
        self.words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row.addSpacing(8)
        row.addWidget(self.words, 1)
        self.bar = Scrubber(self.session, self.theme)
        column.addLayout(row)
        column.addWidget(self.bar)
        return content

    def refresh(self, changed: frozenset[str]) -> None:
        state, session = self.session.state, self.session
        has_scene = session.recording is not None
        self.bar.update()
        for button in self.buttons.values():
            button.setEnabled(has_scene)
        self.speed.setEnabled(has_scene)
        playing = state.playing
        self.buttons["play"].setIcon(icon("pause" if playing else "play", self.theme.accent))
        self.buttons["loop"].setChecked(state.loop is not None)
        index = self.speed.findData(state.speed)
        self.speed.setCurrentIndex(index if index >= 0 else self.speed.findData(1.0))
        if not has_scene:
            self.words.setText(tr("Open a scene: its steps appear here."))
            return
        words = playback.describe(session, state.t)
        self.words.setText(words)
        self.words.setToolTip(words)
