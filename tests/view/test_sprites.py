"""Boxes that are kept as images look as if they were drawn."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QImage, QPainter, QTransform
from pytestqt.qtbot import QtBot

from explorer.model.frame import Frame
from explorer.model.session import open_session
from explorer.view import paint, sprites
from explorer.view.sprites import Sprites
from explorer.view.theme import THEMES

SIZE = (700, 420)


def picture(frame: Frame, look: paint.Look, transform: QTransform, ratio: float) -> np.ndarray:
    image = QImage(round(SIZE[0] * ratio), round(SIZE[1] * ratio), QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(ratio)
    painter = QPainter(image)
    paint.fill_background(painter, QRectF(0, 0, *SIZE), look.theme)
    painter.setTransform(transform)
    paint.paint_resting(painter, frame, look)
    painter.end()
    return np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4).astype(int)


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("zoom", [0.25, 0.61, 1.0, 2.3])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_they_look_as_if_drawn(theme: str, zoom: float, ratio: float, qtbot: QtBot) -> None:
    session = open_session("lstm", T=2)
    session.update(folded=frozenset({"lstm/t=2/forget"}))
    drawn = paint.Look(THEMES[theme], session.notation)
    kept = paint.Look(THEMES[theme], session.notation, sprites=Sprites())
    x0, y0, x1, y1 = session.layout.bounds
    for t in (0.0, 7.5, session.end * 0.7, float(session.end)):
        for move in (0.0, 33.0):  # the same images at another place
            dx, dy = SIZE[0] / 2 - (x0 + x1) / 2 * zoom + move, SIZE[1] / 2 - (y0 + y1) / 2 * zoom
            whole = QTransform(zoom, 0, 0, zoom, round(dx * ratio) / ratio, round(dy * ratio) / ratio)
            frame = session.frame(t)
            differs = np.abs(picture(frame, kept, whole, ratio) - picture(frame, drawn, whole, ratio))
            for rect in session.layout.rects:  # half a box is not drawn as a whole one is
                seen = whole.mapRect(QRectF(QPointF(*rect[:2]), QPointF(*rect[2:]))).adjusted(-9, -9, 9, 9)
                if not QRectF(0, 0, *SIZE).contains(seen):
                    sides = (seen.left(), seen.top(), seen.right(), seen.bottom())
                    x, y, right, bottom = (max(round(c * ratio), 0) for c in sides)
                    differs[y:bottom, x:right] = 0
            # what is blended twice is rounded twice, and letters are blended again
            assert differs.max() <= 4, (t, move, np.argwhere(differs > 4)[:3])


def test_no_more_are_kept_than_fit(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    session = open_session("lstm", T=3)
    session.update(folded=frozenset())
    monkeypatch.setattr(sprites, "PIXELS", 60_000)
    kept = Sprites()
    look = paint.Look(THEMES["light"], session.notation, sprites=kept)
    image = QImage(900, 500, QImage.Format.Format_RGB32)
    for t in range(0, session.end, 3):
        painter = QPainter(image)
        painter.setTransform(QTransform.fromScale(0.5, 0.5))
        paint.paint_resting(painter, session.frame(float(t)), look, QRectF(0, 0, 500, 400))
        painter.end()
        sizes = [i.width() * i.height() for _, _, i in kept._images.values()]
        assert sum(sizes) == kept._pixels
        assert kept._pixels <= 60_000 or len(sizes) <= len(session.layout.boxes)
