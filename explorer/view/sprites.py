"""Boxes kept as images: what was drawn once at a zoom is only copied from then on."""

from __future__ import annotations

from math import ceil, floor
from typing import Any

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QImage, QPainter, QTransform

from explorer.model import text
from explorer.model.frame import Frame
from explorer.view.boxes import paint_box
from explorer.view.look import Look

PIXELS = 8_000_000  # in all images together; a pixel takes four bytes


class Sprites:
    """The boxes of one trace in one layout, at one zoom. A view moves by whole pixels, so that the same image
    fits wherever a box is."""

    def __init__(self) -> None:
        self._key: Any = None
        self._images: dict[tuple[Any, ...], tuple[float, float, QImage]] = {}
        self._pixels = 0

    def paint(self, painter: QPainter, frame: Frame, look: Look, boxes: list[int]) -> None:
        """Draw boxes by their numbers; the painter's transform is a zoom and a move by whole pixels."""
        transform, ratio = painter.worldTransform(), painter.device().devicePixelRatioF()
        zoom = transform.m11()
        scales = (look.value_limit, look.gradient_limit, zoom, ratio)
        words = (look.notation, look.words, text.language(), text.number_style())
        key = (frame.trace, frame.layout, look.theme, *words, *scales)
        if key != self._key:
            self._key, self._pixels = key, 0
            self._images.clear()
        moments = (frame.state, frame.sending, frame.arrived, frame.updated)
        columns = [moment[boxes].tolist() for moment in moments]
        painter.resetTransform()
        for k, *moment in zip(boxes, *columns, strict=True):
            what = (k, *moment)
            kept = self._images.get(what)
            if kept is None:
                kept = self._images[what] = _drawn(frame, look, k, zoom, ratio)
                self._pixels += kept[2].width() * kept[2].height()
            x, y, image = kept
            painter.drawImage(QPointF(x + transform.dx(), y + transform.dy()), image)
        painter.setTransform(transform)
        while self._pixels > PIXELS and len(self._images) > len(boxes):
            oldest = self._images.pop(next(iter(self._images)))[2]
            self._pixels -= oldest.width() * oldest.height()


def _drawn(frame: Frame, look: Look, k: int, zoom: float, ratio: float) -> tuple[float, float, QImage]:
    """A box on nothing, and where its image begins: in pixels, with the scene's origin at 0."""
    box = frame.layout.boxes[k]
    margin = 8.0 + 3.0 / zoom  # for what shines around it
    left = floor((box.x - box.w / 2 - margin) * zoom * ratio)
    top = floor((box.y - box.h / 2 - margin) * zoom * ratio)
    right = ceil((box.x + box.w / 2 + margin) * zoom * ratio)
    bottom = ceil((box.y + box.h / 2 + margin) * zoom * ratio)
    image = QImage(right - left, bottom - top, QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(ratio)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setTransform(QTransform(zoom, 0, 0, zoom, -left / ratio, -top / ratio))
    paint_box(painter, frame, look, k, box, zoom)
    painter.end()
    return left / ratio, top / ratio, image
