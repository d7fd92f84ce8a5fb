"""The canvas: one batched widget that shows the frame, moves the view, and goes from box to box by key.

Two layers: what rests is an image that is drawn again only when a step, the view or the layout changes;
pulses, hover and selection are drawn on top every time. What the mouse means is `hand`, what is said, `tips`.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from PySide6.QtCore import QElapsedTimer, QEvent, QPoint, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import QToolButton, QToolTip, QWidget

from explorer.model import chapters, playback, walking
from explorer.model.frame import Frame, frame_at
from explorer.model.layout import Layout
from explorer.model.layout.morph import Morph
from explorer.model.session import Session
from explorer.model.text import tr
from explorer.view import paint
from explorer.view.camera import Camera, overview_size
from explorer.view.hand import REACH, Hand
from explorer.view.kept import Kept, drawn
from explorer.view.legend import legend_size, legend_words, paint_legend
from explorer.view.sprites import Sprites
from explorer.view.theme import Theme
from explorer.view.tips import tip

LEAST_ZOOM, MOST_ZOOM = 0.02, 8.0
FOLD_SECONDS, CAMERA_SECONDS = 0.28, 0.35
EDGE = 8.0  # pixels around the overview and the legend
BESIDE_BOX = 28.0  # pixels that are kept in view around the box that the keyboard goes to
LEAST_FOR_INSETS = (420, 240)  # size of a canvas from which on it has an overview and a legend


class Canvas(QWidget):
    """Shows the session's frame. Wheel zooms, dragging the ground pans, a click selects or folds.

    Dragging with Shift selects what lies in a rectangle; Tab goes from box to box.
    """

    node_clicked = Signal(int)
    node_opened = Signal(int)  # an op was clicked twice

    def __init__(self, session: Session, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("canvas")
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(240, 160)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.session = session
        self.theme = theme
        self.reduced_motion = False
        self.pace = 1.0  # of folding and of the camera
        self.legend = False  # whether the colours are explained in a corner
        self._resting, self._overview = Kept(), Kept()
        self._sprites = Sprites()
        self._limits = paint.limits(session.frame()) if session.recording else (1.0, 1.0)
        self._hovered_box: int | None = None
        self._hovered_edge: int | None = None
        self._follower_key: Any = None
        self._follower_kept: Camera | None = None
        self._fitted: tuple[float, float, float] | None = None
        self._hand = Hand(self)
        self._walked: tuple[Layout, int] | None = None  # the box that was gone to last
        self._leaving = False  # the next Tab leaves the canvas
        self._legend_corner = 0
        self._settle = QTimer(self, singleShot=True, interval=40)
        self._settle.timeout.connect(self._draw_again)
        self._clock = QElapsedTimer()
        self._fold: Morph | None = None
        self._camera_from: tuple[float, float, float] | None = None
        self._camera_to: tuple[float, float, float] | None = None
        self._animation = QTimer(self, interval=16)
        self._animation.timeout.connect(self._animate)
        self._shown_layout: Layout | None = None
        self._forget = session.subscribe(self._changed)
        self.retranslate()

    def retranslate(self) -> None:
        self.setAccessibleName(tr("Computation graph"))
        self.setAccessibleDescription(
            tr("Drag to move, wheel to zoom, click a box to inspect it, click a title to fold")
        )

    def release(self) -> None:
        """Stop listening to the session."""
        self._forget()

    # The view on the scene

    def camera(self) -> tuple[float, float, float]:
        """Centre and zoom of what is shown now."""
        camera = self.session.state.camera
        if camera is not None:
            return camera
        follower = self._follower()
        if not follower.follows:
            return self._whole()
        x, y = follower.centre(self.session.state.t)
        return x, y - follower.top / follower.zoom / 2, follower.zoom

    def _whole(self) -> tuple[float, float, float]:
        whole = paint.bounds(self.session.frame())
        zoom = paint.fit(whole, self.width(), self.height(), most=1.6).m11()
        return whole.center().x(), whole.center().y(), zoom

    def _follower(self) -> Camera:
        """The camera that goes with the steps where the whole picture would be too small to read."""
        session = self.session
        # an edit changes values, not the order of the steps, and the camera follows these alone
        key = (session.topology, session.layout, session.trace.order, self.width(), self.height())
        if self._follower_key != key:
            self._follower_key = key
            self._follower_kept = Camera(
                session.trace, session.layout, self.width(), self.height(), playback.SECONDS_PER_STEP
            )
        assert self._follower_kept is not None
        return self._follower_kept

    def transform(self) -> QTransform:
        """From scene coordinates to the widget's pixels."""
        if self._camera_from is not None and self._camera_to is not None:
            share = self._share(CAMERA_SECONDS)
            a, b = self._camera_from, self._camera_to
            x, y = (a[k] + (b[k] - a[k]) * share for k in range(2))
            zoom = a[2] * (b[2] / a[2]) ** share
        else:
            x, y, zoom = self.camera()
        # whole pixels, so that a picture that only moves need not be drawn again
        ratio = self.devicePixelRatioF()
        dx, dy = self.width() / 2 - x * zoom, self.height() / 2 - y * zoom
        return QTransform(zoom, 0, 0, zoom, round(dx * ratio) / ratio, round(dy * ratio) / ratio)

    def to_scene(self, point: QPointF) -> QPointF:
        return self.transform().inverted()[0].map(point)

    def show_everything(self) -> None:
        """The whole graph, and again when the window changes its size."""
        self._move_camera(self._whole())
        self._fitted = self.session.state.camera

    def follow(self) -> None:
        """Leave the camera to the playback."""
        self._move_camera(None)

    def show_rect(self, rect: QRectF, most: float = 1.6) -> None:
        """Bring a rectangle of the scene into view, animated."""
        transform = paint.fit(rect, self.width(), self.height(), most=most, margin=36.0)
        self._move_camera((rect.center().x(), rect.center().y(), transform.m11()))

    def show_nodes(self, nodes: set[int], most: float = 1.6) -> None:
        layout = self.session.layout
        rects = [layout.rects[k] for n in nodes for k in layout.boxes_of_node.get(n, ())[:1]]
        if rects:
            x0, y0 = min(r[0] for r in rects), min(r[1] for r in rects)
            x1, y1 = max(r[2] for r in rects), max(r[3] for r in rects)
            self.show_rect(QRectF(x0, y0, x1 - x0, y1 - y0), most)

    def show_chapter(self, id: str) -> None:
        """Frame what a chapter talks about."""
        page, recording = chapters.page(self.session, id), self.session.recording
        if page is None or recording is None:
            return
        if page.own is not None and page.own.frame:
            self.show_nodes(set(chapters.pointed_at(self.session, page)))
            return
        if page.own is not None and page.own.camera is not None:
            self._move_camera(page.own.camera)
            return
        patterns = page.frame
        if not patterns:
            self.follow()
            return
        rect = QRectF()
        layout, names = self.session.layout, recording.graph.names
        for area in layout.areas:
            if any(fnmatchcase(area.scope, p) for p in patterns):
                rect = rect.united(QRectF(area.x0, area.y0, area.x1 - area.x0, area.y1 - area.y0))
        for k, box in enumerate(layout.boxes):
            named = box.kind != "alias" and any(fnmatchcase(names[box.node], p) for p in patterns)
            if named or (box.kind == "scope" and any(fnmatchcase(box.scope, p) for p in patterns)):
                x0, y0, x1, y1 = layout.rects[k]
                rect = rect.united(QRectF(x0, y0, x1 - x0, y1 - y0))
        if rect.isValid():
            self.show_rect(rect)
        else:
            self.follow()

    def zoom_by(self, factor: float, about: QPointF | None = None) -> None:
        """Zoom around a point of the widget, by default its middle."""
        x, y, zoom = self.camera()
        new = min(max(zoom * factor, LEAST_ZOOM), MOST_ZOOM)
        point = about or QPointF(self.width() / 2, self.height() / 2)
        fixed = self.to_scene(point)
        x = fixed.x() - (point.x() - self.width() / 2) / new
        y = fixed.y() - (point.y() - self.height() / 2) / new
        self._settle.start()
        self.session.update(camera=(x, y, new))

    def pan(self, by: QPointF) -> None:
        """Move the picture by so many pixels."""
        x, y, zoom = self.camera()
        self._camera_from = self._camera_to = None
        self._settle.start()
        self.session.update(camera=(x - by.x() / zoom, y - by.y() / zoom, zoom))

    def _move_camera(self, goal: tuple[float, float, float] | None) -> None:
        start = self.camera()
        self.session.update(camera=goal)
        if not self.reduced_motion and self.isVisible():
            self._camera_from, self._camera_to = start, self.camera()
            self._clock.start()
            self._animation.start()
        self.update()

    # Drawing

    def look(self) -> paint.Look:
        """How the frame is drawn now."""
        session = self.session
        return paint.Look(
            self.theme,
            session.notation,
            selection=frozenset(session.state.selection),
            hovered_box=self._hovered_box,
            hovered_edge=self._hovered_edge,
            highlight=self._highlighted(),
            lit=session.state.highlight,
            value_limit=self._limits[0],
            gradient_limit=self._limits[1],
            words=session.words,
            sprites=None if self._fold else self._sprites,
        )

    def _highlighted(self) -> frozenset[int]:
        page = chapters.page(self.session)
        return chapters.pointed_at(self.session, page) if page else frozenset()

    def shown_frame(self) -> Frame:
        """The session's frame, on the way between two layouts while a fold is animated."""
        if self._fold is None:
            return self.session.frame()
        layout = self._fold.at(self._share(FOLD_SECONDS))
        return frame_at(self.session.trace, layout, self.session.state.t)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self.session.recording is None:
            paint.fill_background(painter, QRectF(self.rect()), self.theme)
            return
        frame, look, transform = self.shown_frame(), self.look(), self.transform()
        kept, size, ratio = self._resting, self.size(), self.devicePixelRatioF()
        moving = self._settle.isActive() and kept.transform != transform
        if kept.image is not None and moving and kept.shows(frame, look, size, ratio):
            paint.fill_background(painter, QRectF(self.rect()), self.theme)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.setTransform(kept.transform.inverted()[0] * transform)
            painter.drawImage(QPointF(0, 0), kept.image)
        else:
            painter.drawImage(QPointF(0, 0), kept.brought_to(frame, look, transform, size, ratio))
        painter.setTransform(transform)
        paint.paint_moving(painter, frame, look)
        painter.resetTransform()
        self._paint_overview(painter, frame, look, transform)
        legend = self.legend_rect()
        if not legend.isEmpty():
            paint_legend(painter, legend.topLeft(), look)
        if self._hand.band is not None:
            self._paint_band(painter, transform.mapRect(self._hand.band))
        painter.end()

    def overview_rect(self) -> QRectF:
        """Where the small picture of the whole is; empty while the whole is in view."""
        if self.session.recording is None or self.width() < LEAST_FOR_INSETS[0]:
            return QRectF()
        whole = paint.bounds(self.session.frame())
        seen = self.transform().inverted()[0].mapRect(QRectF(self.rect()))
        if seen.contains(whole):
            return QRectF()
        w, h = overview_size(whole, self.width(), self.height())
        return QRectF(self.width() - w - EDGE, EDGE, w, h)

    def legend_rect(self) -> QRectF:
        """Where the colours are explained: a corner in which no box stands; empty when there is no room."""
        room = self.width() >= LEAST_FOR_INSETS[0] and self.height() >= LEAST_FOR_INSETS[1]
        if not self.legend or self.session.recording is None or not room:
            return QRectF()
        size = legend_size(self.look())
        right, bottom = self.width() - size.width() - EDGE, self.height() - size.height() - EDGE
        corners = [QRectF(QPointF(x, y), size) for y in (bottom, EDGE) for x in (right, EDGE)]
        insets = [self.overview_rect(), *(QRectF(badge.geometry()) for badge in self._badges())]
        free = [k for k, c in enumerate(corners) if not any(c.intersects(inset) for inset in insets)]
        if not free:
            return QRectF()
        moving = self._settle.isActive() or self._camera_from is not None or self._hand.down
        # it stays where it is while it hides nothing, and while the picture moves below
        now = self._legend_corner
        if now not in free or (not moving and self._covered(corners[now])):
            self._legend_corner = min(free, key=lambda k: self._covered(corners[k]))
        return corners[self._legend_corner]

    def _covered(self, place: QRectF) -> int:
        """How many boxes lie behind a rectangle of the widget."""
        r, there = self.session.layout.rects, self.transform().inverted()[0].mapRect(place)
        across = (r[:, 0] < there.right()) & (r[:, 2] > there.left())
        return int(np.count_nonzero(across & (r[:, 1] < there.bottom()) & (r[:, 3] > there.top())))

    def _badges(self) -> list[QWidget]:
        """Buttons that stand in the corners of the canvas."""
        direct = Qt.FindChildOption.FindDirectChildrenOnly
        return [b for b in self.findChildren(QToolButton, options=direct) if b.isVisible()]

    def _paint_band(self, painter: QPainter, band: QRectF) -> None:
        """The rectangle that is drawn with the mouse to select what lies in it."""
        ground = QColor(self.theme.accent)
        ground.setAlpha(36)
        painter.setPen(QPen(QColor(self.theme.accent), 1.5, Qt.PenStyle.DashLine))
        painter.setBrush(ground)
        painter.drawRect(band)

    def _paint_overview(
        self, painter: QPainter, frame: Frame, look: paint.Look, transform: QTransform
    ) -> None:
        """The whole picture, small, with a frame around what is seen; a click goes there."""
        inset = self.overview_rect().toAlignedRect()
        if inset.isEmpty():
            return
        small = paint.fit(paint.bounds(frame), inset.width(), inset.height(), margin=3.0)
        look = replace(look, sprites=None)  # theirs are of another zoom
        image = self._overview.brought_to(frame, look, small, inset.size(), self.devicePixelRatioF())
        painter.drawImage(inset.topLeft(), image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(self.theme.line), 1))
        painter.drawRect(QRectF(inset))
        seen = small.mapRect(transform.inverted()[0].mapRect(QRectF(self.rect())))
        painter.setPen(QPen(QColor(self.theme.accent), 2))
        painter.drawRoundedRect(seen.translated(inset.topLeft()).intersected(QRectF(inset)), 3, 3)

    def look_at(self, point: QPointF) -> bool:
        """Move the view to a point of the overview; False when the point is not on it."""
        inset = self.overview_rect()
        if not inset.contains(point):
            return False
        whole = paint.bounds(self.session.frame())
        small = paint.fit(whole, inset.width(), inset.height(), margin=3.0)
        there = small.inverted()[0].map(point - inset.topLeft())
        self._camera_from = self._camera_to = None
        self.session.update(camera=(there.x(), there.y(), self.camera()[2]))
        return True

    def _draw_again(self) -> None:
        self.update()

    def _share(self, seconds: float) -> float:
        x = min(self._clock.elapsed() / 1000 * self.pace / seconds, 1.0)
        return x * x * (3 - 2 * x)

    def _animate(self) -> None:
        elapsed = self._clock.elapsed() / 1000 * self.pace
        if elapsed >= FOLD_SECONDS:
            self._fold = None
        if elapsed >= CAMERA_SECONDS:
            self._camera_from = self._camera_to = None
            self._animation.stop()
        self.update()

    def _changed(self, changed: frozenset[str]) -> None:
        session = self.session
        if session.recording is not None and ("trace" in changed or "recording" in changed):
            self._limits = paint.limits(session.frame())
        if "layout" in changed or "recording" in changed:
            old, self._shown_layout = self._shown_layout, session.layout if session.recording else None
            self._hovered_box = self._hovered_edge = None
            if session.recording is None:
                self._hand.let_go()
            same_graph = (
                old is not None
                and self._shown_layout is not None
                and old.topology is self._shown_layout.topology
            )
            if old and same_graph and "folded" in changed and not self.reduced_motion and self.isVisible():
                self._fold = Morph(old, session.layout)
                self._camera_from = self._camera_to = None
                self._clock.start()
                self._animation.start()
            else:
                self._fold = None
            if self._fitted is not None and session.state.camera == self._fitted:
                QTimer.singleShot(0, self, self._keep_fitted)  # when this change has been told to everybody
        self.update()

    def _keep_fitted(self) -> None:
        """What was wholly in view stays so when scopes open."""
        if self.session.recording is not None and self.session.state.camera == self._fitted:
            self.show_everything()

    # The hand

    def wheelEvent(self, event: QWheelEvent) -> None:
        self._hand.wheel(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._hand.press(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hand.move(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._hand.release(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._hand.double_click(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._hovered_box = self._hovered_edge = None
        self.update()

    def hover(self, box: int | None, edge: int | None) -> None:
        """Show what the mouse is over."""
        if (box, edge) != (self._hovered_box, self._hovered_edge):
            self._hovered_box, self._hovered_edge = box, edge
            self.update()

    def choose(self, k: int, adding: bool) -> None:
        """Select a box; `adding` it to what is selected, or taking it out."""
        layout, now = self.session.layout, self.session.state.selection
        node = layout.boxes[k].node
        self._walked = layout, k
        chosen: tuple[int, ...] = (node,)
        if adding:
            chosen = tuple(n for n in now if n != node) if node in now else (*now, node)
        self.session.update(selection=chosen)
        self.node_clicked.emit(node)

    # The keyboard

    def current_box(self) -> int | None:
        """The box from which the keyboard goes on: that of the node selected last."""
        selection, layout = self.session.state.selection, self.session.layout
        if not selection:
            return None
        if self._walked is not None and self._walked[0] is layout:
            k = self._walked[1]  # of a shared leaf, the copy that was gone to
            if layout.boxes[k].node == selection[-1]:
                return k
        return layout.box_of_node.get(selection[-1])

    def walk(self, way: walking.Way) -> None:
        """Select the box one step further along an edge, or in the same column, if there is one."""
        k = self.current_box()
        goal = None if k is None else walking.beside(self.session.layout, k, way)
        if goal is not None:
            self.go_to(goal)

    def go_to(self, k: int) -> None:
        """Select a box and bring it into view."""
        layout = self.session.layout
        self._walked = layout, k
        self.session.update(selection=(layout.boxes[k].node,))
        self._keep_in_view(k)

    def _keep_in_view(self, k: int) -> None:
        """Move just as far as it takes to see a box whole."""
        x, y, zoom = self.camera()
        box, middle = self.session.layout.boxes[k], QPointF(self.width() / 2, self.height() / 2)
        place = QRectF(0, 0, box.w * zoom, box.h * zoom)
        place.moveCenter(QPointF((box.x - x) * zoom, (box.y - y) * zoom) + middle)
        seen = QRectF(self.rect()).adjusted(BESIDE_BOX, BESIDE_BOX, -BESIDE_BOX, -BESIDE_BOX)
        for inset in (self.overview_rect(), self.legend_rect()):
            if place.intersects(inset) and inset.top() <= EDGE:
                seen.setTop(max(seen.top(), inset.bottom() + EDGE))
            elif place.intersects(inset):
                seen.setBottom(min(seen.bottom(), inset.top() - EDGE))
        dx = min(place.left() - seen.left(), 0.0) or max(place.right() - seen.right(), 0.0)
        dy = min(place.top() - seen.top(), 0.0) or max(place.bottom() - seen.bottom(), 0.0)
        if dx or dy:
            self._move_camera((x + dx / zoom, y + dy / zoom, zoom))

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._leaving = False
        super().focusInEvent(event)

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab goes from box to box, and after the last one out; after Esc at once."""
        if self.session.recording is None or not self.hasFocus() or self._leaving:
            return super().focusNextPrevChild(forward)
        order, layout, k = walking.reading_order(self.session.layout), self.session.layout, self.current_box()
        if k is not None and layout.boxes[k].kind == "alias":
            k = layout.box_of_node[layout.boxes[k].node]
        at = order.index(k) if k in order else -1 if forward else len(order)
        following = at + (1 if forward else -1)
        if not 0 <= following < len(order):
            return super().focusNextPrevChild(forward)
        self.go_to(order[following])
        return True

    def resizeEvent(self, event: QResizeEvent) -> None:
        fitted = self._fitted is not None and self.session.state.camera == self._fitted
        if self.session.recording is not None and fitted:
            self.session.update(camera=self._whole())
            self._fitted = self.session.state.camera
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        state = self.session.state
        if event.key() != Qt.Key.Key_Escape:
            super().keyPressEvent(event)
        elif self._hand.selecting:
            self._hand.let_go()
        elif state.selection or state.highlight:
            self.session.update(selection=(), highlight=())
        else:
            self._leaving = True
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and self.session.recording is not None:
            point = QPointF(event.pos())
            words = legend_words() if self.legend_rect().contains(point) else ""
            words = words or self.words_at(self.to_scene(point))
            if words:
                QToolTip.showText(event.globalPos(), words, self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def words_at(self, point: QPointF) -> str:
        """The tool tip for a point of the scene, empty where there is nothing."""
        return tip(self.session, point, REACH / self.transform().m11())

    def grab_picture(self) -> QImage:
        """What the canvas shows, as a picture without hover marks."""
        self._hovered_box = self._hovered_edge = None
        ratio = self.devicePixelRatioF()
        frame, look, transform = self.session.frame(), self.look(), self.transform()
        image = drawn(frame, look, transform, self.size(), ratio)
        painter = QPainter(image)
        painter.setTransform(transform)
        paint.paint_moving(painter, frame, look)
        painter.resetTransform()
        legend = self.legend_rect()
        if not legend.isEmpty():
            paint_legend(painter, legend.topLeft(), look)
        painter.end()
        return image

    def middle_of(self, node: int) -> QPoint:
        """Where a node's box is on the widget; for tests and tools."""
        box = self.session.layout.boxes[self.session.layout.box_of_node[node]]
        return self.transform().map(QPointF(box.x, box.y)).toPoint()
