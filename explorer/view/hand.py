"""The mouse on a canvas: what a press, a move, a release and the wheel mean there.

It knows the canvas, its session and where boxes and edges lie, and must not know how anything is drawn. What
the canvas shows of it is the band, and whether a button is down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent

from explorer.model import walking
from explorer.model.session import Session

if TYPE_CHECKING:
    from explorer.view.canvas import Canvas

STILL = 4  # pixels that a click may move
REACH = 6.0  # pixels from an edge within which it is meant


class Hand:
    """Wheel zooms, dragging the ground pans, a click selects or folds; with Shift a rectangle is selected."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.band: QRectF | None = None  # what is being selected, in the scene
        self._band_from: QPointF | None = None  # in the scene, while Shift is held and the button is down
        self._pressed: QPointF | None = None
        self._panned = False
        self._on_overview = False

    @property
    def session(self) -> Session:
        return self.canvas.session

    @property
    def down(self) -> bool:
        """Whether a button is held on the picture."""
        return self._pressed is not None

    @property
    def selecting(self) -> bool:
        """Whether a rectangle is being selected, or would be with the next move."""
        return self._band_from is not None

    def let_go(self) -> None:
        """Forget what the mouse is about to do."""
        self._pressed = self._band_from = self.band = None
        self._on_overview = False
        self.canvas.unsetCursor()
        self.canvas.update()

    def wheel(self, event: QWheelEvent) -> None:
        if self.session.recording is None:
            return
        delta = event.angleDelta()
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier or abs(delta.x()) > abs(delta.y()):
            self.canvas.pan(QPointF(delta.x() or delta.y(), 0) * 0.5)
        else:
            self.canvas.zoom_by(1.0015 ** delta.y(), event.position())
        event.accept()

    def press(self, event: QMouseEvent) -> None:
        if self.session.recording is not None and event.button() in (
            Qt.MouseButton.LeftButton,
            Qt.MouseButton.MiddleButton,
        ):
            self._on_overview = self.canvas.look_at(event.position())
            if not self._on_overview:
                self._pressed, self._panned = event.position(), False
                shift = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
                if shift and event.button() == Qt.MouseButton.LeftButton:
                    self._band_from = self.canvas.to_scene(event.position())

    def move(self, event: QMouseEvent) -> None:
        canvas = self.canvas
        if self.session.recording is None:
            return
        if self._on_overview and event.buttons():
            canvas.look_at(event.position())
            return
        if self._pressed is not None and event.buttons():
            moved = event.position() - self._pressed
            if self._band_from is not None:
                if self.band is not None or moved.manhattanLength() > STILL:
                    self.band = QRectF(self._band_from, canvas.to_scene(event.position())).normalized()
                    canvas.setCursor(Qt.CursorShape.CrossCursor)
                    canvas.update()
                return
            if self._panned or moved.manhattanLength() > STILL:
                self._panned = True
                canvas.setCursor(Qt.CursorShape.ClosedHandCursor)
                canvas.pan(moved)
                self._pressed = event.position()
            return
        point = canvas.to_scene(event.position())
        layout = self.session.layout
        box = layout.box_at(point.x(), point.y())
        edge = None
        if box is None:
            edge = layout.edge_at(point.x(), point.y(), REACH / canvas.transform().m11())
        canvas.hover(box, edge)
        over_header = box is None and layout.area_header_at(point.x(), point.y()) is not None
        pointing = box is not None or over_header
        canvas.setCursor(Qt.CursorShape.PointingHandCursor if pointing else Qt.CursorShape.ArrowCursor)

    def release(self, event: QMouseEvent) -> None:
        pressed, band = self._pressed, self.band
        self.let_go()
        if band is not None:
            self._select_inside(band, bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier))
            return
        if pressed is None or self._panned or event.button() != Qt.MouseButton.LeftButton:
            return
        point = self.canvas.to_scene(event.position())
        session, layout = self.session, self.session.layout
        k = layout.box_at(point.x(), point.y())
        adding = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if k is not None and layout.boxes[k].kind == "scope" and not adding:
            session.fold(layout.boxes[k].scope, False)
        elif k is not None:
            self.canvas.choose(k, adding)
        elif (scope := layout.area_header_at(point.x(), point.y())) is not None:
            session.fold(scope, True)
        elif not adding:
            session.update(selection=())

    def _select_inside(self, band: QRectF, adding: bool) -> None:
        """Select every box that lies wholly in a rectangle of the scene."""
        found = walking.inside(self.session.layout, band.left(), band.top(), band.right(), band.bottom())
        before = self.session.state.selection if adding else ()
        self.session.update(selection=tuple(dict.fromkeys((*before, *found))))

    def double_click(self, event: QMouseEvent) -> None:
        canvas = self.canvas
        if self.session.recording is None or canvas.overview_rect().contains(event.position()):
            return
        point = canvas.to_scene(event.position())
        k = self.session.layout.box_at(point.x(), point.y())
        if k is None:
            canvas.show_everything()
            return
        box = self.session.layout.boxes[k]
        if box.kind == "node" and self.session.trace.graph.ops[box.node] is not None:
            canvas.node_opened.emit(box.node)
        else:
            canvas.show_nodes({box.node}, most=2.4)
