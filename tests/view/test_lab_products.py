"""Running products on the canvas: where they stand, when they come; files show them as the window does."""

from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter

from explorer.model import text
from explorer.model.lab.carousel import own_line
from explorer.model.lab.paths import Hop, hops
from explorer.model.session import open_session
from explorer.view import paint, products
from explorer.view.camera import MARGIN
from explorer.view.exporters import export
from explorer.view.stage import Source, application
from explorer.view.theme import THEMES

SIZE = 2600, 900


def lit_session(scene="cec", base="C", **parameters):
    session = open_session(scene, **({"T": 5} | parameters))
    session.update(t=float(session.end), highlight=own_line(session.trace, base))
    return session


def painted(session, theme="light", size=SIZE, lit=None, zoom=None):
    """The picture of a session's moment, and the plates on it: by edge, rectangle and words."""
    application()
    frame = session.frame()
    lit = session.state.highlight if lit is None else lit
    image = QImage(*size, QImage.Format.Format_RGB32)
    image.fill(0xFFFFFF)
    painter = QPainter(image)
    if zoom is None:
        painter.setWorldTransform(paint.fit(paint.bounds(frame), *size))
    else:
        painter.scale(zoom, zoom)
    paint.paint(painter, frame, paint.Look(THEMES[theme], session.notation, lit=lit))
    painter.end()
    kept = products._plates.get(frame.layout)
    places = {} if kept is None else {k: p for k, p in kept.places.items() if p is not None}
    return image, {k: p for k, p in places.items() if frame.flowed[k] == 2}


def pixels(image):
    data = np.frombuffer(image.constBits(), dtype=np.uint8)
    return data.reshape(image.height(), image.width(), 4)[..., :3].astype(int)


@pytest.mark.parametrize("theme", list(THEMES))
@pytest.mark.parametrize(("scene", "base", "least"), [("cec", "C", 5), ("lstm", "c", 5), ("gru", "h", 1)])
def test_they_stand_beside_the_line_and_on_nothing(scene, base, least, theme):
    session = lit_session(scene, base)
    image, plates = painted(session, theme)
    layout = session.layout
    assert len(plates) >= least
    for k, (rect, _) in plates.items():
        for x0, y0, x1, y1 in layout.rects:
            assert not rect.intersects(QRectF(x0, y0, x1 - x0, y1 - y0))
        points = layout.edges[k].points
        low, high = points.min(axis=0), points.max(axis=0)
        line = QRectF(low[0], low[1], max(high[0] - low[0], 1), max(high[1] - low[1], 1))
        assert rect.adjusted(-40, -40, 40, 40).intersects(line)
    without, _ = painted(session, theme, lit=())
    transform = paint.fit(paint.bounds(session.frame()), *SIZE)
    inked = np.abs(pixels(image) - pixels(without)).sum(axis=2) > 60
    for rect, _ in plates.values():
        place = transform.mapRect(rect).toRect()
        assert inked[place.top() : place.bottom(), place.left() : place.right()].sum() > 40


def test_the_carousel_says_one_and_nothing_else():
    _, plates = painted(lit_session(), size=(2600, 900))
    assert {words for _, words in plates.values()} <= {"1 · 1 = 1", "∏ = 1"} and len(plates) == 5


def test_an_lstm_says_its_products_in_order():
    session = lit_session("lstm", "c")
    _, plates = painted(session)
    line = session.state.highlight
    graph = session.trace.graph
    wanted = dict(zip(pairwise(line), hops(session.trace, line), strict=True))
    for k, (_, words) in plates.items():
        pairs = [(graph.inputs[v][slot], v) for v, slot in session.layout.edges[k].members]
        hop = next(wanted[pair] for pair in pairs if pair in wanted)
        assert words.endswith(text.number(hop.after, 3))


def test_they_come_with_the_error():
    session = lit_session()
    counts = []
    for t in range(int(session.end) + 1):
        session.update(t=float(t))
        counts.append(len(painted(session)[1]))
    assert counts[: session.trace.forward_end + 1] == [0] * (session.trace.forward_end + 1)
    assert counts == sorted(counts) and set(counts) == set(range(6))


def test_from_afar_there_are_none():
    session = lit_session(T=12)
    painted(session, zoom=0.3)
    kept = products._plates.get(session.layout)
    assert kept is None or not kept.places
    _, plates = painted(session, zoom=1.0)
    assert plates


def test_an_edit_changes_them():
    session = lit_session("lstm", "c")
    before = {words for _, words in painted(session)[1].values()}
    leaf = session.recording["b_f"]
    session.edit(leaf.id, leaf.value + 1.0)
    assert before.isdisjoint({words for _, words in painted(session)[1].values()})


def test_several_ways_at_once_have_no_product():
    session = lit_session()
    line = session.state.highlight
    assert not painted(session, lit=(*line[:2], -1, *line[1:3]))[1]


@pytest.mark.parametrize(
    ("hop", "words"),
    [
        (Hop(1.0, 1.0, 1.0), ("1 · 1 = 1", "∏ = 1")),
        (Hop(1.0, 0.99999, 0.99999), ("1 · 1 ≈ 1", "∏ ≈ 1")),
        (Hop(-0.5, -0.25, 0.125), ("(−0.5) · (−0.25) = 0.125", "∏ = 0.125")),
        (Hop(0.5, -0.5, -0.25), ("0.5 · (−0.5) = −0.25", "∏ = −0.25")),
    ],
)
def test_words(hop, words):
    assert products.hop_words(hop) == words


def test_a_file_shows_the_lit_path_as_the_window_does(tmp_path):
    session = lit_session()
    assert Source.of(session).lit == session.state.highlight
    lit = export(session, tmp_path / "lit.png", size=SIZE)
    session.update(highlight=())
    plain = export(session, tmp_path / "plain.png", size=SIZE)
    different = np.abs(pixels(QImage(str(lit))) - pixels(QImage(str(plain)))).sum(axis=2) > 60
    session.update(highlight=own_line(session.trace, "C"))
    _, plates = painted(session)
    transform = paint.fit(paint.bounds(session.frame()), *SIZE, margin=MARGIN)
    assert len(plates) == 5
    for rect, _ in plates.values():
        place = transform.mapRect(rect).toRect()
        assert different[place.top() : place.bottom(), place.left() : place.right()].sum() > 40
