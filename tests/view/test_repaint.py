"""Only what a step changes is drawn again, and the picture is the same as one drawn anew."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter, QTransform
from pytestqt.qtbot import QtBot

from explorer.model.frame import Frame
from explorer.model.session import Session, open_session
from explorer.view import paint, repaint
from explorer.view.theme import THEMES

SIZE = (900, 560)


def pixels(image: QImage) -> np.ndarray:
    return (
        np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)[..., :3].copy()
    )


def drawn_anew(frame: Frame, look: paint.Look, transform: QTransform) -> QImage:
    image = QImage(*SIZE, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    paint.fill_background(painter, QRectF(0, 0, *SIZE), look.theme)
    painter.setTransform(transform)
    paint.paint_resting(painter, frame, look)
    painter.end()
    return image


def look_of(session: Session, theme: str) -> paint.Look:
    value, gradient = paint.limits(session.frame())
    return paint.Look(THEMES[theme], session.notation, value_limit=value, gradient_limit=gradient)


@pytest.mark.parametrize("zoom", [0.12, 0.3, 0.7, 1.3])
@pytest.mark.parametrize(
    ("scene", "theme"), [("lstm", "light"), ("bptt", "dark"), ("cec", "light"), ("birnn", "light")]
)
def test_a_step_brings_the_picture_up_to_date(scene: str, theme: str, zoom: float, qtbot: QtBot) -> None:
    session = open_session(scene, T=3)
    session.update(folded=frozenset())
    look, layout = look_of(session, theme), session.layout
    x0, y0, x1, y1 = layout.bounds
    transform = QTransform().translate(SIZE[0] / 2, SIZE[1] / 2).scale(zoom, zoom)
    transform.translate(-(x0 + x1) / 2.3, -(y0 + y1) / 2)
    drawn = np.random.default_rng(3).uniform(0, session.end, 15)
    times = [0.0, 0.5, 1.0, *sorted(drawn.tolist()), session.end - 0.5, float(session.end), 3.0]
    image, old = None, None
    for t in times:
        frame = session.frame(float(t))
        if image is None or old is None:
            image = drawn_anew(frame, look, transform)
        else:
            repaint.repaint_changes(image, old, frame, look, transform)
        old = frame
        difference = np.abs(pixels(image).astype(int) - pixels(drawn_anew(frame, look, transform)))
        assert difference.max() == 0, t


def test_nothing_changes_within_a_step() -> None:
    session = open_session("bptt")
    parts = repaint.changed(session.frame(4.2), session.frame(4.8), 1.0)
    assert parts is not None and len(parts) == 0
    parts = repaint.changed(session.frame(4.0), session.frame(4.5), 1.0)
    assert parts is not None and 0 < len(parts) < 6
