"""A drawn picture that is kept: a step draws again only what it changed, a move only what came into view."""

from __future__ import annotations

from math import floor
from typing import Any

from PySide6.QtCore import QSize
from PySide6.QtGui import QImage, QTransform

from explorer.model import text
from explorer.model.frame import Frame
from explorer.view import paint, repaint


class Kept:
    """What rests of a frame, as an image of one size."""

    def __init__(self) -> None:
        self.image: QImage | None = None
        self._scratch: QImage | None = None  # another of its size
        self.transform = QTransform()
        self._frame: Frame | None = None
        self._style: Any = None

    def shows(self, frame: Frame, look: paint.Look, size: QSize, ratio: float) -> bool:
        """Whether the image is of this moment and look, in whatever view."""
        return self._alike(frame, _style(look, size, ratio)) and _step(self._frame) == _step(frame)

    def brought_to(
        self, frame: Frame, look: paint.Look, transform: QTransform, size: QSize, ratio: float
    ) -> QImage:
        """The image, brought up to a moment; `size` in logical pixels, `ratio` device pixels for each."""
        style = _style(look, size, ratio)
        old, moved = self._frame, None
        if self.image is not None and old is not None and self._alike(frame, style):
            moved = self.image
            if self._scratch is None or self._scratch.size() != moved.size():
                self._scratch = repaint.like(moved)
            if self.transform != transform:
                moved = repaint.shifted(self.image, old, look, self.transform, transform, self._scratch)
                if moved is not None:
                    self._scratch = self.image
        if moved is None or old is None:
            self.image = drawn(frame, look, transform, size, ratio, self.image)
        else:
            self.image = moved
            if _step(old) != _step(frame):
                repaint.repaint_changes(moved, old, frame, look, transform, self._scratch)
        self._frame, self._style, self.transform = frame, style, transform
        return self.image

    def _alike(self, frame: Frame, style: Any) -> bool:
        """Whether only the moment may differ."""
        old = self._frame
        return old is not None and (old.trace, old.layout, self._style) == (frame.trace, frame.layout, style)


def _step(frame: Frame | None) -> tuple[int, bool] | None:
    return None if frame is None else (floor(frame.t), frame.t > floor(frame.t))


def _style(look: paint.Look, size: QSize, ratio: float) -> tuple[Any, ...]:
    return look.theme, look.notation, text.language(), text.number_style(), size, ratio


def drawn(
    frame: Frame,
    look: paint.Look,
    transform: QTransform,
    size: QSize,
    ratio: float,
    image: QImage | None = None,
) -> QImage:
    """What rests, as an image of `size` logical pixels: the given one where it fits, else a new one."""
    pixels = QSize(round(size.width() * ratio), round(size.height() * ratio))
    if image is None or image.size() != pixels or image.devicePixelRatio() != ratio:
        image = QImage(pixels, QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(ratio)
    repaint.draw_all(image, frame, look, transform)
    return image
