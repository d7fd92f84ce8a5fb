"""What a screen reader is told: each step as it is taken, and the boxes by name, value and state.

Qt's cache owns every accessible interface and lets go of it when its QObject dies; an interface without an
object would be freed twice at the end. So each box that is told about gets a small QObject, a child of the
canvas, and Python keeps the interface as long as that object lives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QRect, QRectF
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QAccessibleEvent,
    QAccessibleInterface,
    QAccessibleObject,
    QAccessibleValueChangeEvent,
    QTransform,
)
from PySide6.QtWidgets import QAccessibleWidget, QWidget

from explorer.model import playback, text, what_if
from explorer.model.frame import COMPUTING, GHOST
from explorer.model.layout import Box, Layout
from explorer.model.text import tr
from explorer.view.canvas import Canvas

if TYPE_CHECKING:
    from explorer.view.window import Window

MOST_BOXES = 200  # of those in view: more than that nobody walks through
Key = tuple[str, int, int | None, str]

_alive: dict[int, QAccessibleInterface] = {}
_installed: list[object] = []


class BoxHandle(QObject):
    """Stands for one box of the canvas."""

    def __init__(self, key: Key, boxes: Boxes) -> None:
        super().__init__(boxes.canvas)
        self.key, self.boxes = key, boxes


class Boxes:
    """Which boxes of a canvas are told about, and what is said of each."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self._handles: dict[Key, BoxHandle] = {}
        self._seen: tuple[object, list[int]] = (None, [])
        self._places: tuple[Layout | None, dict[Key, int]] = (None, {})

    def numbers(self) -> list[int]:
        """Boxes in view and selected ones, in the order of computing."""
        session = self.canvas.session
        if session.recording is None:
            return []
        layout, view = session.layout, self.canvas.transform()
        state = (layout, view, self.canvas.size(), session.state.selection)
        if self._seen[0] != state:  # a reader asks for one child after the other
            self._seen = state, self._numbers(layout, view)
        return self._seen[1]

    def _numbers(self, layout: Layout, view: QTransform) -> list[int]:
        session = self.canvas.session
        seen = view.inverted()[0].mapRect(QRectF(self.canvas.rect()))
        x0, y0, x1, y1 = layout.rects.T
        inside = (x1 >= seen.left()) & (x0 <= seen.right()) & (y1 >= seen.top()) & (y0 <= seen.bottom())
        found = [int(k) for k in inside.nonzero()[0][:MOST_BOXES]]
        selected = [k for n in session.state.selection for k in layout.boxes_of_node.get(n, ())[:1]]
        return sorted({*found, *selected}, key=lambda k: (layout.boxes[k].node, k))

    def handles(self) -> list[BoxHandle]:
        """An object for each of them; those of boxes that are gone are given up."""
        wanted = {_key(self.canvas.session.layout.boxes[k]): k for k in self.numbers()}
        for key in self._handles.keys() - wanted.keys():
            self._handles.pop(key).deleteLater()
        for key in wanted:
            if key not in self._handles:
                self._handles[key] = BoxHandle(key, self)
        return [self._handles[key] for key in wanted]

    def handle_of(self, node: int) -> BoxHandle | None:
        """The object of the box in which a node is seen."""
        return next((h for h in self.handles() if h.key[0] != "alias" and h.key[1] == node), None)

    def number_of(self, key: Key) -> int | None:
        """The box in the present layout."""
        session = self.canvas.session
        if session.recording is None:
            return None
        if self._places[0] is not session.layout:
            places = {_key(box): k for k, box in enumerate(session.layout.boxes)}
            self._places = session.layout, places
        return self._places[1].get(key)

    def words(self, k: int, what: QAccessible.Text) -> str:
        """Name, value or description of a box now."""
        session = self.canvas.session
        frame, box = session.frame(), session.layout.boxes[k]
        if what == QAccessible.Text.Name:
            if box.kind == "scope":
                return tr("{scope}, folded").format(scope=text.scope_title(box.scope))
            return playback.node_words(session.trace.graph, box.node, session.notation)
        if what == QAccessible.Text.Value:
            value = frame.value(k)
            return tr("not computed yet") if value is None else text.array(value)
        if what == QAccessible.Text.Description:
            return self._description(k)
        return ""

    def _description(self, k: int) -> str:
        """With the value as well: bridges to screen readers pass on numbers and text fields only."""
        session = self.canvas.session
        frame = session.frame()
        value = self.words(k, QAccessible.Text.Value)
        words = [value if frame.value(k) is None else tr("value {value}").format(value=value)]
        words += what_if.box_words(session, session.layout.members.get(k, (session.layout.boxes[k].node,)))
        if frame.state[k] == COMPUTING:
            words.append(tr("being computed"))
        if frame.sending[k]:
            words.append(tr("sending its gradient back"))
        if frame.expected[k]:
            grad = frame.grad(k)
            words.append(
                tr("gradient {value} ({n} of {m} arrived)").format(
                    value=text.array(grad) if grad is not None else "–",
                    n=int(frame.arrived[k]),
                    m=int(frame.expected[k]),
                )
            )
        return ", ".join(words)


def _key(box: Box) -> Key:
    """What stays the same of a box when the layout is made anew."""
    return box.kind, box.node, box.consumer, box.scope


class BoxInterface(QAccessibleObject):
    """One box as an item of the canvas."""

    def _handle(self) -> BoxHandle:
        handle = self.object()
        assert isinstance(handle, BoxHandle)
        return handle

    def childCount(self) -> int:
        return 0

    def child(self, index: int) -> QAccessibleInterface | None:
        return None

    def indexOfChild(self, child: QAccessibleInterface) -> int:
        return -1

    def parent(self) -> QAccessibleInterface | None:
        return QAccessible.queryAccessibleInterface(self._handle().boxes.canvas)

    def role(self) -> QAccessible.Role:
        return QAccessible.Role.ListItem

    def text(self, what: QAccessible.Text) -> str:
        boxes = self._handle().boxes
        k = boxes.number_of(self._handle().key)
        return "" if k is None else boxes.words(k, what)

    def setText(self, what: QAccessible.Text, words: str) -> None:
        """The name of a box is not the reader's to change."""

    def rect(self) -> QRect:
        boxes = self._handle().boxes
        k = boxes.number_of(self._handle().key)
        if k is None:
            return QRect()
        x0, y0, x1, y1 = (float(v) for v in boxes.canvas.session.layout.rects[k])
        here = boxes.canvas.transform().mapRect(QRectF(x0, y0, x1 - x0, y1 - y0)).toRect()
        return QRect(boxes.canvas.mapToGlobal(here.topLeft()), here.size())

    def state(self) -> QAccessible.State:
        state = QAccessible.State()
        boxes = self._handle().boxes
        k = boxes.number_of(self._handle().key)
        if k is None:
            state.invalid = True
            return state
        session = boxes.canvas.session
        box = session.layout.boxes[k]
        state.selectable = state.focusable = state.readOnly = True
        state.selected = state.focused = box.node in session.state.selection
        state.expandable = state.collapsed = box.kind == "scope"
        state.busy = bool(session.frame().state[k] == COMPUTING)
        state.disabled = bool(session.frame().state[k] == GHOST)
        state.offscreen = not boxes.canvas.rect().intersects(self._local())
        return state

    def _local(self) -> QRect:
        rect = self.rect()
        return QRect(self._handle().boxes.canvas.mapFromGlobal(rect.topLeft()), rect.size())


class CanvasInterface(QAccessibleWidget):
    """The canvas with its boxes as children."""

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(canvas, QAccessible.Role.Canvas)
        self.boxes = Boxes(canvas)

    def childCount(self) -> int:
        return len(self.boxes.numbers())

    def child(self, index: int) -> QAccessibleInterface | None:
        handles = self.boxes.handles()
        if not 0 <= index < len(handles):
            return None
        return QAccessible.queryAccessibleInterface(handles[index])

    def indexOfChild(self, child: QAccessibleInterface) -> int:
        handles = self.boxes.handles()
        handle = child.object()
        return handles.index(handle) if handle in handles else -1

    def childAt(self, x: int, y: int) -> QAccessibleInterface | None:
        found = [h for h in self.boxes.handles() if interface(h).rect().contains(x, y)]
        return interface(found[-1]) if found else None

    def focusChild(self) -> QAccessibleInterface | None:
        selection = self.boxes.canvas.session.state.selection
        handle = self.boxes.handle_of(selection[-1]) if selection else None
        return interface(handle) if handle is not None else None

    def text(self, what: QAccessible.Text) -> str:
        session = self.boxes.canvas.session
        if what == QAccessible.Text.Value and session.recording is not None:
            return playback.describe(session, session.state.t)
        return super().text(what)


def interface(of: QObject) -> QAccessibleInterface:
    """The accessible interface of an object."""
    return QAccessible.queryAccessibleInterface(of)


def _make(class_name: str, of: QObject) -> QAccessibleInterface | None:
    """Qt's factory: asked once for each class of an object, from the narrowest up."""
    made: QAccessibleInterface
    if class_name == "Canvas" and isinstance(of, Canvas):
        made = CanvasInterface(of)
    elif class_name == "BoxHandle" and isinstance(of, BoxHandle):
        made = BoxInterface(of)
    else:
        return None
    number = id(made)
    _alive[number] = made
    of.destroyed.connect(lambda *_: _alive.pop(number, None))
    return made


def install() -> None:
    """Make Qt ask here for the interfaces of canvases and boxes; once per process."""
    if not _installed:
        _installed.append(_make)  # Qt keeps a bare pointer
        QAccessible.installFactory(_make)


class Announcer:
    """Says each step, and the node that was selected. Does nothing while no screen reader listens."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self._said = ""
        install()

    def say(self, words: str, source: QWidget | None = None) -> None:
        """Have a sentence read out."""
        if words and QAccessible.isActive():
            event = QAccessibleAnnouncementEvent(source or self.window.canvas, words)
            QAccessible.updateAccessibility(event)

    def follow(self, changed: frozenset[str]) -> None:
        """What the session changed. While it plays, steps are too quick to be read: the pause is told."""
        session = self.window.session
        if session.recording is None or not QAccessible.isActive():
            return
        if changed & {"t", "playing", "recording"} and not session.state.playing:
            words = playback.describe(session, session.state.t)
            if words != self._said:
                self._said = words
                self.say(words)
                QAccessible.updateAccessibility(QAccessibleValueChangeEvent(self.window.canvas, words))
        if "selection" in changed and session.state.selection:
            canvas_interface = interface(self.window.canvas)
            assert isinstance(canvas_interface, CanvasInterface)
            handle = canvas_interface.boxes.handle_of(session.state.selection[-1])
            if handle is not None:
                kinds = [QAccessible.Event.Selection]
                if self.window.canvas.hasFocus():  # in the outline the tree tells its own row
                    kinds.append(QAccessible.Event.Focus)
                for kind in kinds:
                    QAccessible.updateAccessibility(QAccessibleEvent(handle, kind))
