"""The lens: what is inside an op or a scope, scalar by scalar, in front of the place where it stands."""

from __future__ import annotations

from collections.abc import Callable, Collection

from PySide6.QtCore import QEasingCurve, QEvent, QPropertyAnimation, QRect, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QToolButton, QVBoxLayout, QWidget

from autograd import Graph, Tensor, Trace
from explorer.model.alterations import leaves_by_key
from explorer.model.closer import is_unit, scalar_graph
from explorer.model.session import Session
from explorer.model.text import tr
from explorer.view.canvas import Canvas
from explorer.view.icons import icon
from explorer.view.worker import Worker
from scenes.scene import SceneError

MARGIN = 28  # of the canvas that stays visible around
GROW = 220  # milliseconds
AT_ONCE = 250  # nodes of a graph that is laid out before one notices


class Lens(QFrame):
    """A canvas of its own on the scalar graph of some nodes; it follows the moment of the session behind it.

    A large one is laid out in a thread, and shows a bar until it is. Backspace, Escape and the button close
    it. Raises SceneError where there is nothing to show.
    """

    def __init__(self, behind: Canvas, nodes: Collection[int], title: str, start: QRect) -> None:
        graph, loss = scalar_graph(behind.session.trace, nodes)  # before anything is on screen
        super().__init__(behind)
        self.nodes = tuple(nodes)
        self.session = Session()
        self.setObjectName("lens")
        self.setAutoFillBackground(True)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName(title)
        self.behind = behind
        self.worker = Worker(behind)  # which may outlive the lens by an answer that nobody waits for
        self.worker.finished.connect(self._show)
        self.canvas: Canvas | None = None
        self._meanwhile: Graph | None = None  # one with other numbers, while the first is laid out
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
        self._waiting = QProgressBar(self)
        self._waiting.setRange(0, 0)  # how far a layout is can not be known
        self._waiting.setTextVisible(False)
        self._waiting.setMaximumWidth(320)
        self._waiting.setAccessibleName(tr("Progress"))
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(10, 6, 6, 6)
        self._column.addLayout(top)
        self._column.addWidget(self._waiting, 1, Qt.AlignmentFlag.AlignCenter)
        self._forget: Callable[[], None] | None = behind.session.subscribe(self._changed)
        behind.installEventFilter(self)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._grow = QPropertyAnimation(self, b"geometry", self)
        self._grow.setDuration(0 if behind.reduced_motion else GROW)
        self._grow.setEasingCurve(QEasingCurve.Type.OutCubic)
        self._grow.setStartValue(start)
        self._grow.setEndValue(self._room())
        self.setGeometry(start)
        self._lay_out(graph, loss)

    def _lay_out(self, graph: Graph, loss: Tensor) -> None:
        """Show a graph: at once, or when it is laid out where that takes a while."""
        self._graph = graph

        def session() -> Session:
            made = Session()
            made.open_graph(graph, loss)
            units = frozenset(filter(is_unit, made.topology.scopes))
            made.update(folded=made.state.folded | units)  # a dense layer is a column of neurons
            return made

        if len(graph) <= AT_ONCE:
            self.worker.give_up()
            self._show(session())
        else:
            self.worker.start(lambda _: session())

    def _show(self, session: Session) -> None:
        """Take over a session on the scalar graph."""
        if self._forget is None:  # it has been closed, and only waits to be deleted
            return
        old, self.session = self.canvas, session
        self.canvas = Canvas(session, self.behind.theme, self)
        self.canvas.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.canvas.reduced_motion = True
        self._waiting.hide()
        if old is not None:
            old.release()
            self._column.removeWidget(old)
            old.deleteLater()
        self._column.addWidget(self.canvas, 1)
        if self._meanwhile is not None:
            graph, self._meanwhile = self._meanwhile, None
            self._take_over(graph)
        self._follow()

    def _answer(self, graph: Graph, loss: Tensor) -> None:
        """Show the numbers of another graph; laid out anew only where its operations are others."""
        if [*graph.ops] != [*self._graph.ops] or [*graph.inputs] != [*self._graph.inputs]:
            self._lay_out(graph, loss)
        elif self.canvas is None:
            self._meanwhile = graph
        else:
            self._take_over(graph)

    def _take_over(self, graph: Graph) -> None:
        own = leaves_by_key(self.session.trace.graph)
        values = {key: graph.nodes[leaf.id].value for key, leaf in own.items()}
        self.session.update(edits=values, merge="the graph behind")

    def open(self) -> None:
        """Grow out of the place where the nodes stand."""
        self.show()
        self.raise_()
        self.setFocus(Qt.FocusReason.OtherFocusReason)
        self._grow.start()

    def leave(self) -> None:
        """Back to the picture behind."""
        if self._forget is None:
            return
        self._forget()
        self._forget = None
        self.worker.give_up()
        self.worker.deleteLater()
        self.behind.removeEventFilter(self)
        if self.canvas is not None:
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
            try:
                again = scalar_graph(self.behind.session.trace, self.nodes)
            except SceneError:  # held, or cut off: there is nothing to look into any more
                self.leave()
            else:
                self._answer(*again)
        elif "t" in changed:
            self._follow()

    def _follow(self) -> None:
        if self.session.recording is None:
            return
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
