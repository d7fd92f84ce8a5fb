"""The lens: what is inside an op or a scope, scalar by scalar, in front of the place where it stands."""

from __future__ import annotations

from collections.abc import Collection

from PySide6.QtCore import QEasingCurve, QEvent, QPropertyAnimation, QRect, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from autograd import Trace
from explorer.model.closer import scalar_graph
from explorer.model.session import Session
from explorer.model.text import tr
from explorer.view.canvas import Canvas
from explorer.view.icons import icon

MARGIN = 28  # of the canvas that stays visible around
GROW = 220  # milliseconds


class Lens(QFrame):
    """A canvas of its own on the scalar graph of some nodes; it follows the moment of the session behind it.

    Backspace, Escape and the button close it. Raises SceneError where there is nothing to show.
    """

    def __init__(self, behind: Canvas, nodes: Collection[int], title: str, start: QRect) -> None:
        self.session = Session()
        self.nodes = tuple(nodes)
        self._left = False
        self.session.open_graph(*scalar_graph(behind.session.trace, nodes))  # before anything is on screen
        units = frozenset(path for path in self.session.topology.scopes if path.endswith("]"))
        self.session.update(folded=self.session.state.folded | units)  # a dense layer is a column of neurons
        super().__init__(behind)
        self.setObjectName("lens")
        self.setAutoFillBackground(True)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName(title)
        self.behind = behind
        self.canvas = Canvas(self.session, behind.theme, self)
        self.canvas.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.canvas.reduced_motion = True
        heading = QLabel(title, self)
        heading.setTextFormat(Qt.TextFormat.PlainText)
        close = QToolButton(self)
        close.setIcon(icon("close", behind.theme.ink))
        close.setToolTip(tr("Back (Backspace)"))
        close.setAutoRaise(True)
        close.clicked.connect(self.leave)
        top = QHBoxLayout()
        top.addWidget(heading, 1)
        top.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 6, 6)
        column.addLayout(top)
        column.addWidget(self.canvas, 1)
        self._forget = behind.session.subscribe(self._changed)
        behind.installEventFilter(self)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._follow()
        self._grow = QPropertyAnimation(self, b"geometry", self)
        self._grow.setDuration(0 if behind.reduced_motion else GROW)
        self._grow.setEasingCurve(QEasingCurve.Type.OutCubic)
        self._grow.setStartValue(start)
        self._grow.setEndValue(self._room())
        self.setGeometry(start)

    def open(self) -> None:
        """Grow out of the place where the nodes stand."""
        self.show()
        self.raise_()
        self.setFocus(Qt.FocusReason.OtherFocusReason)
        self._grow.start()

    def leave(self) -> None:
        """Back to the picture behind."""
        if self._left:  # and only waits to be deleted
            return
        self._left = True
        self._forget()
        self.behind.removeEventFilter(self)
        self.canvas.release()
        self.hide()
        self.behind.setFocus(Qt.FocusReason.OtherFocusReason)
        self.deleteLater()

    def _room(self) -> QRect:
        return self.behind.rect().adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)

    def _changed(self, changed: frozenset[str]) -> None:
        if changed & {"recording", "scene"}:
            self.leave()
        elif "trace" in changed:
            self.session.open_graph(*scalar_graph(self.behind.session.trace, self.nodes))
            self._follow()
        elif "t" in changed:
            self._follow()

    def _follow(self) -> None:
        outer, inner = self.behind.session, self.session.trace
        self.session.update(t=inner_moment(outer.trace, self.nodes, outer.state.t, inner))

    def eventFilter(self, watched: QWidget, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._grow.stop()
            self.setGeometry(self._room())
        return False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Backspace, Qt.Key.Key_Escape):
            self.leave()
        else:
            super().keyPressEvent(event)


def inner_moment(outer: Trace, nodes: Collection[int], t: float, inner: Trace) -> float:
    """The moment of a scalar graph that belongs to moment t of the trace that its nodes are from."""
    ahead = [int(outer.forward_step[i]) for i in nodes if outer.forward_step[i] >= 0]
    back = [int(outer.backward_step[i]) for i in nodes if outer.backward_step[i] < outer.end]
    first, last = min(ahead), max(ahead) + 1
    if t <= last or not back:
        share = min(max((t - first) / (last - first), 0.0), 1.0)
        return share * inner.forward_end
    share = min(max((t - min(back)) / (max(back) + 1 - min(back)), 0.0), 1.0)
    begun = inner.forward_end + (1.0 if t > min(back) else 0.0)
    return begun + share * (inner.end - begun) if share else float(inner.forward_end)
