"""A monkey at the window: random real events, after each of which everything must still hold.

The same seed gives the same events. That the monkey notices what is broken is tested with planted faults.
"""

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QPainter, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from explorer.model.session import PASSING, Session
from explorer.model.state import State
from explorer.view.canvas import Canvas
from tests.soak import same

NONE, ALT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.AltModifier
SHIFT, CTRL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
Key = Qt.Key
KEYS = (
    *[(key, way) for key in (Key.Key_Left, Key.Key_Right) for way in (NONE, ALT, SHIFT, CTRL)],
    *[(key, ALT) for key in (Key.Key_Up, Key.Key_Down)],
    *[(key, NONE) for key in (Key.Key_Tab, Key.Key_Escape, Key.Key_Home, Key.Key_End, Key.Key_Space)],
    *[(key, NONE) for key in (Key.Key_F, Key.Key_G, Key.Key_Z, Key.Key_V, Key.Key_C, Key.Key_U)],
    *[(key, NONE) for key in (Key.Key_R, Key.Key_B, Key.Key_L, Key.Key_X, Key.Key_Plus, Key.Key_Minus)],
    *[(key, NONE) for key in (Key.Key_Backspace, Key.Key_PageDown, Key.Key_PageUp)],
    *[(key, SHIFT) for key in (Key.Key_F, Key.Key_L, Key.Key_Backtab)],
    *[(key, CTRL) for key in (Key.Key_Z, Key.Key_Y, Key.Key_R)],
)
MODIFIERS = (NONE, NONE, NONE, SHIFT, SHIFT | CTRL, CTRL)


class Broken(AssertionError):
    """What did not hold, and after which event of which seed."""


def somewhere(canvas, rng) -> QPoint:
    """Any point, or the middle of a box that is in view."""
    centres = canvas.session.layout.boxes.centres[:, :2]
    x, y = centres[rng.randrange(len(centres))].tolist()
    point = canvas.transform().map(QPointF(x, y)).toPoint()
    if rng.random() < 0.6 and canvas.rect().contains(point):
        return point
    return QPoint(rng.randrange(canvas.width()), rng.randrange(canvas.height()))


def press_key(window, rng) -> str:
    key, modifier = rng.choice(KEYS)
    QTest.keyClick(QApplication.focusWidget() or window.canvas, key, modifier)
    return f"{modifier.name}+{key.name}"


def click(window, rng) -> str:
    point, modifier = somewhere(window.canvas, rng), rng.choice(MODIFIERS)
    strike = QTest.mouseDClick if rng.random() < 0.15 else QTest.mouseClick
    strike(window.canvas, Qt.MouseButton.LeftButton, modifier, point)
    return f"click {modifier.name} at {point.toTuple()}"


def drag(window, rng) -> str:
    canvas, modifier = window.canvas, rng.choice(MODIFIERS)
    start, stop = somewhere(canvas, rng), somewhere(canvas, rng)
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, modifier, start)
    for share in (0.2, 0.6, 1.0):
        QTest.mouseMove(canvas, start + (stop - start) * share)
    if rng.random() < 0.2:
        QTest.keyClick(canvas, Key.Key_Escape)
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, modifier, stop)
    return f"drag {modifier.name} from {start.toTuple()} to {stop.toTuple()}"


def turn_wheel(window, rng) -> str:
    canvas, point = window.canvas, QPointF(somewhere(window.canvas, rng))
    turned, modifier = QPoint(0, rng.choice((-240, -120, 120, 240))), rng.choice((NONE, NONE, SHIFT))
    where = canvas.mapToGlobal(point)
    buttons, phase = Qt.MouseButton.NoButton, Qt.ScrollPhase.NoScrollPhase
    event = QWheelEvent(point, where, QPoint(), turned, buttons, modifier, phase, False)
    QApplication.sendEvent(canvas, event)
    return f"wheel {turned.y()} at {point.toTuple()}"


def resize(window, rng) -> str:
    window.resize(rng.randrange(720, 1400), rng.randrange(480, 900))
    return f"resize to {window.size().toTuple()}"


EVENTS: tuple[Callable[..., str], ...] = (*[press_key] * 5, *[click] * 3, *[drag] * 2, turn_wheel, resize)


def look_after(window, *, undo: bool) -> None:
    """What holds at any time: the canvas paints, and undo and redo come back to the same state."""
    canvas, session = window.canvas, window.session
    image = canvas.grab().toImage()
    if not canvas.legend_rect().isEmpty() or not canvas.overview_rect().isEmpty():
        pixels = np.frombuffer(image.constBits(), dtype=np.uint32)
        assert len(np.unique(pixels[::7])) > 2, "the canvas is blank"
    before = session.state
    assert set(before.selection) <= set(range(len(session.trace.graph.names))), "what is selected is gone"
    if undo and session.undo_title:
        session.undo()
        session.redo()
        assert same(lasting(before), lasting(session.state)), "redo does not take back what undo has done"


def lasting(state: State) -> State:
    """The state without what undo leaves alone."""
    plain = State()
    return replace(state, **{name: getattr(plain, name) for name in PASSING})


def let_loose(window, qtbot, seed: int, count: int) -> None:
    """So many random events; raises Broken at the first after which something does not hold."""
    rng, done = random.Random(seed), []
    with qtbot.captureExceptions() as caught:
        for number in range(count):
            error: Exception | None = None
            try:
                done.append(rng.choice(EVENTS)(window, rng))
                QApplication.processEvents()
                if window.session.recording is None:  # the opening of the scene has been undone
                    window.session.redo()
                look_after(window, undo=number % 3 == 0)
            except Exception as found:  # with its event, as those are told that Qt has caught
                error = found
            error = caught[0][1] if caught else error
            if error is not None:
                raise Broken(f"seed {seed}, event {number}, {done[-1:]}: {error!r}") from error


COUNT = 45


@pytest.fixture
def moving(make_window, qtbot):
    """What makes a window with a small scene and with animations."""

    def make():
        window = make_window()
        window.open_scene("bptt")
        qtbot.waitUntil(window.canvas.isVisible)
        return window

    return make


def test_random_events_break_nothing(moving, qtbot):
    window = moving()
    let_loose(window, qtbot, 1, COUNT)
    assert window.session.recording is not None


def broken(self, *_):
    raise ZeroDivisionError("planted")


def blank(self, *_):
    QPainter(self).fillRect(self.rect(), Qt.GlobalColor.white)


def idle(self, *_):
    """Do nothing."""


def once(fault, work):
    """A method that goes wrong the second time that it is called, and no other."""
    calls = []

    def planted(self, *args):
        calls.append(args)
        return (fault if len(calls) == 2 else work)(self, *args)

    return planted


def test_the_monkey_finds_an_exception_that_is_raised_once(moving, qtbot, monkeypatch):
    monkeypatch.setattr(Canvas, "mouseMoveEvent", once(broken, Canvas.mouseMoveEvent))
    with pytest.raises(Broken, match=r"seed 1, event \d+, .*planted"):
        let_loose(moving(), qtbot, 1, COUNT)


@pytest.mark.parametrize(
    ("owner", "method", "fault", "words"),
    [(Canvas, "paintEvent", blank, "the canvas is blank"), (Session, "redo", idle, "redo does not")],
)
def test_the_monkey_finds_what_does_not_hold(moving, qtbot, monkeypatch, owner, method, fault, words):
    monkeypatch.setattr(owner, method, fault)
    with pytest.raises(Broken, match=words):
        let_loose(moving(), qtbot, 1, COUNT)
