"""What an export draws: a snapshot of a session, a still of it with its caption, a film frame by frame.

Used by `exporters`, one function per file format. Knows nothing of files.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from math import floor
from typing import Any, cast

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QGuiApplication,
    QImage,
    QPainter,
    QPen,
    QTransform,
)

from autograd import Trace
from explorer.model import text
from explorer.model.frame import Frame, frame_at
from explorer.model.layout import Layout
from explorer.model.playback import moment_words
from explorer.model.session import Session
from explorer.model.text import tr
from explorer.system import use_utf8
from explorer.view.camera import INSET, MARGIN, Camera
from explorer.view.fonts import load_fonts, picture_font
from explorer.view.look import Look
from explorer.view.paint import (
    bounds,
    fill_background,
    fit,
    paint,
    paint_moving,
    paint_resting,
)
from explorer.view.theme import Theme
from scenes.scene import Notation, Text

STEP, LONGEST, HOLD = 0.5, 40.0, 1.0  # seconds: of a step, of a film at most, of its last moment
REFRESH = 0.3  # seconds for which an overview stays, for it is drawn whole
SHEET = 16_000_000  # pixels at most of a picture that serves a whole step


class ExportError(ValueError):
    """Something can not be exported; the message is one sentence for the user."""


class ExportCancelled(ExportError):
    """The user let go of it."""


@dataclass(frozen=True)
class Source:
    """What is drawn: a snapshot of a session, which may go on changing meanwhile."""

    trace: Trace
    layout: Layout
    notation: Notation
    title: Text
    lit: tuple[int, ...] = ()  # a path, as in State.highlight
    vocabulary: tuple[str, ...] = ()  # what the rows of one-hot vectors stand for

    @classmethod
    def of(cls, session: Session) -> Source:
        if session.scene is None:
            raise ExportError(tr("There is nothing to export: no scene is open."))
        marked = session.state.highlight, session.words
        return cls(session.trace, session.layout, session.notation, session.scene.title, *marked)

    def frame(self, t: float) -> Frame:
        return frame_at(self.trace, self.layout, t)

    def words(self, t: float) -> str:
        """What happens at t, in words."""
        if t <= 0:
            return tr("before the first step")
        return moment_words(self.trace, self.notation, t)


def application() -> QGuiApplication:
    """The Qt application that fonts need, made without a display when there is none yet."""
    app = QGuiApplication.instance()
    if app is None:
        from PySide6.QtWidgets import QApplication  # a later window in this process needs this kind

        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        use_utf8()
        app = QApplication(["backstep"])
        _kept.append(app)
    load_fonts()
    return cast(QGuiApplication, app)


_kept: list[QGuiApplication] = []


# Drawing


def still(
    painter: QPainter,
    source: Source,
    look: Look,
    width: int,
    height: int,
    t: float,
    *,
    caption: bool = False,
) -> None:
    """One moment with everything in view."""
    fill_background(painter, QRectF(0, 0, width, height), look.theme)
    frame = source.frame(t)
    strip = caption_height(height) if caption else 0
    painter.save()
    painter.setWorldTransform(fit(bounds(frame), width, height - strip, margin=min(MARGIN, width / 16)))
    paint(painter, frame, look)
    painter.restore()
    if caption:
        paint_caption(painter, source, look.theme, width, height, t)


def caption_height(height: int) -> int:
    return max(10, round(0.094 * height))


def paint_caption(painter: QPainter, source: Source, theme: Theme, width: int, height: int, t: float) -> None:
    """The strip at the bottom: how far the run is, the scene's title, and what happens in words."""
    strip = caption_height(height)
    top, bar = height - strip, max(2.0, round(strip * 0.1))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.fillRect(QRectF(0, top, width, strip), QColor(theme.window))
    _paint_progress(painter, source.trace, theme, QRectF(0, top, width, bar), t)
    left, room = strip * 0.35, width - strip * 0.7
    rows = [
        (source.title[text.language()], 0.24, 0.30, theme.faint_ink, False),
        (source.words(t), 0.32, 0.69, theme.ink, False),
    ]
    for words, share, centre, ink, bold in rows:
        size = strip * share
        metrics = QFontMetricsF(picture_font(size, bold))
        wide = metrics.horizontalAdvance(words)
        if wide > room:
            size = max(size * room / wide, size * 0.7)
            metrics = QFontMetricsF(picture_font(size, bold))
        painter.setFont(picture_font(size, bold))
        painter.setPen(QColor(ink))
        row = QRectF(left, top + strip * (centre - 0.2), room, strip * 0.4)
        fitting = metrics.elidedText(words, Qt.TextElideMode.ElideRight, room)
        painter.drawText(row, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, fitting)


def _paint_progress(painter: QPainter, trace: Trace, theme: Theme, rect: QRectF, t: float) -> None:
    """Forward, loss, backward and update as coloured stretches, filled as far as the run is."""
    a, b, c, end = trace.forward_end, trace.forward_end + 1, trace.backward_end, max(trace.end, 1)
    stretches = ((0, a, theme.value), (a, b, theme.loss), (b, c, theme.gradient), (c, end, theme.parameter))
    for start, stop, colour in stretches:
        for from_, to, alpha in ((start, min(stop, t), 255), (max(start, t), stop, 70)):
            if to > from_:
                shade = QColor(colour)
                shade.setAlpha(alpha)
                x0, x1 = rect.width() * from_ / end, rect.width() * to / end
                painter.fillRect(QRectF(rect.left() + x0, rect.top(), x1 - x0, rect.height()), shade)


# Films


class Film:
    """A range of steps as numbered frames; `image(i)` is the same whatever was asked before."""

    def __init__(
        self, source: Source, look: Look, width: int, height: int, first: int, last: int, fps: float
    ) -> None:
        self.source, self.look, self.width, self.height = source, look, width, height
        self.first, self.last = first, last
        n = max(last - first, 1)
        self.seconds = seconds = min(STEP, (LONGEST - HOLD) / n)  # per step
        self.moving = round((last - first) * seconds * fps) if last > first else 0
        self.count = self.moving + max(1, round(HOLD * fps))
        self.stage_height = height - caption_height(height)
        self.camera = Camera(source.trace, source.layout, width, self.stage_height, seconds)
        self._sheets: dict[str, tuple[Any, QImage]] = {}

    def moment(self, i: int) -> float:
        """t of a frame: the middle of its time, so that hardly one falls between two steps."""
        if i >= self.moving:
            return float(self.last)
        return self.first + (i + 0.5) / self.moving * (self.last - self.first)

    def image(self, i: int) -> QImage:
        t = self.moment(i)
        frame, camera = self.source.frame(t), self.camera
        image = QImage(self.width, self.height, QImage.Format.Format_RGB32)
        painter = QPainter(image)
        try:
            x, y = camera.corner(t)
            stage = QSize(self.width, self.stage_height)
            sheet, origin = self._resting(frame, x, y)
            painter.drawImage(QPoint(0, 0), sheet, QRect(QPoint(x, y) - origin, stage))
            painter.save()
            painter.setClipRect(QRectF(0, 0, self.width, self.stage_height))
            painter.setWorldTransform(QTransform(camera.zoom, 0, 0, camera.zoom, -x, -y))
            paint_moving(painter, frame, self.look)
            painter.restore()
            if camera.follows:
                self._paint_overview(painter, frame, t)
            paint_caption(painter, self.source, self.look.theme, self.width, self.height, t)
        finally:
            painter.end()
        return image

    def _resting(self, frame: Frame, x: int, y: int) -> tuple[QImage, QPoint]:
        """What changes from step to step only; one sheet serves a step, also while the camera glides."""
        reach = self.camera.reach(floor(frame.t))
        here = QRect(x, y, self.width, self.stage_height)
        area = reach if reach.width() * reach.height() <= SHEET and reach.contains(here) else here

        def draw(painter: QPainter) -> None:
            zoom = self.camera.zoom
            painter.setWorldTransform(QTransform(zoom, 0, 0, zoom, -area.x(), -area.y()))
            seen = QRectF(area.x() / zoom, area.y() / zoom, area.width() / zoom, area.height() / zoom)
            paint_resting(painter, frame, self.look, seen)

        return self._sheet("stage", frame, area, area.size(), draw), area.topLeft()

    def _sheet(
        self, name: str, frame: Frame, place: Any, size: QSize, draw: Callable[[QPainter], None]
    ) -> QImage:
        key = (floor(frame.t), frame.t > floor(frame.t), place)
        kept = self._sheets.get(name)
        if kept is None or kept[0] != key:
            image = QImage(size, QImage.Format.Format_RGB32)
            image.fill(QColor(self.look.theme.canvas))
            painter = QPainter(image)
            draw(painter)
            painter.end()
            self._sheets[name] = kept = (key, image)
        return kept[1]

    def _paint_overview(self, painter: QPainter, frame: Frame, t: float) -> None:
        """The whole picture, small, with a frame around what is seen."""
        theme, camera = self.look.theme, self.camera
        inset = camera.inset.toAlignedRect()

        def draw(small: QPainter) -> None:
            small.setWorldTransform(fit(camera.rect, inset.width(), inset.height(), margin=INSET))
            paint_resting(small, frame, self.look)

        every = max(1, round(REFRESH / self.seconds))  # steps
        if every > 1:
            frame = self.source.frame(float(min(floor(t / every) * every, self.source.trace.end)))
        painter.fillRect(QRectF(0, 0, self.width, camera.top), QColor(theme.canvas))
        painter.drawImage(inset, self._sheet("overview", frame, None, inset.size(), draw))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(theme.line), 1))
        painter.drawRect(QRectF(inset).adjusted(-0.5, -0.5, 0.5, 0.5))
        small = fit(camera.rect, inset.width(), inset.height(), margin=INSET)
        seen = small.mapRect(camera.view(t).intersected(camera.rect.adjusted(-40, -40, 40, 40)))
        painter.setPen(QPen(QColor(theme.accent), 2))
        painter.drawRoundedRect(seen.translated(inset.x(), inset.y()).intersected(QRectF(inset)), 3, 3)
