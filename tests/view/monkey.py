"""A monkey at the window: random real events, after each of which everything must still hold.

Used by `test_monkey` and by `python -m tests.soak hour`; `python -m tests.view.monkey SEED COUNT` lets it
loose on a window of its own. The same seed gives the same events.
"""

import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt, QtMsgType, qInstallMessageHandler
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from explorer.app import make_application
from explorer.model.actions import ACTIONS
from explorer.model.session import PASSING
from explorer.model.state import State
from explorer.model.text import LANGUAGES
from explorer.view.panels.lab import load_charts
from explorer.view.settings import Settings
from explorer.view.theme import THEMES
from explorer.view.window import Window
from scenes import SCENES
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
STALL = 1.0  # seconds of work without an answer after which a user thinks that the program hangs
BLOCKED = 3.0  # the same by the clock: less may be the work of others on the machine
#: What is no fault: that there is no screen, and that nobody wanted a key or a click.
LET_PASS = ("This plugin does not support", "not accepted by receiving widget")


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


def switch_scene(window, rng) -> str:
    """Another scene of the catalogue; now and then one after the other, faster than it can be drawn."""
    scenes = rng.choices(sorted(SCENES), k=rng.choice((1, 1, 1, 2)))
    for id in scenes:
        window.open_scene(id)
    return f"open {', then '.join(scenes)}"


def switch_language(window, rng) -> str:
    code = rng.choice(tuple(LANGUAGES))
    window.set_language(code)
    return f"language {code}"


def switch_theme(window, rng) -> str:
    name = rng.choice(tuple(THEMES))
    window.set_theme(name)
    return f"theme {name}"


def run_action(window, rng) -> str:
    """Whatever needs no answer, as its menu does it."""
    id = rng.choice(QUIET)
    window.menus.actions[id].trigger()
    return f"action {id}"


Event = Callable[..., str]
QUIET = tuple(
    id
    for id, a in ACTIONS.items()
    if a.menu == "View" and not id.startswith("toggle_full") and id != "find_scene"
)
#: How often each comes in a thousand.
EVENTS: dict[Event, int] = {
    press_key: 400,
    click: 230,
    drag: 150,
    turn_wheel: 90,
    resize: 60,
    run_action: 38,
    switch_scene: 20,
    switch_language: 6,
    switch_theme: 6,
}


def look_after(window) -> None:
    """What holds at any time: the canvas paints, and undo and redo come back to the same state."""
    canvas, session = window.canvas, window.session
    assert set(session.state.selection) <= set(range(len(session.trace.graph.names))), "the selection is gone"
    if canvas.isVisible():
        image = canvas.grab().toImage()
        if not canvas.legend_rect().isEmpty() or not canvas.overview_rect().isEmpty():
            pixels = np.frombuffer(image.constBits(), dtype=np.uint32)
            assert len(np.unique(pixels[::7])) > 2, "the canvas is blank"
    before = session.state
    if session.undo_title:
        session.undo()
        session.redo()
        assert same(lasting(before), lasting(session.state)), "redo does not take back what undo has done"


def lasting(state: State) -> State:
    """The state without what undo leaves alone."""
    plain = State()
    return replace(state, **{name: getattr(plain, name) for name in PASSING})


def turn_round() -> None:
    """One turn of the event loop, which also takes away what was to be deleted later."""
    QApplication.processEvents()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@contextmanager
def overheard() -> Iterator[list[object]]:
    """What nobody else hears of: exceptions that Qt or a thread swallows, and Qt's own warnings."""
    heard: list[object] = []
    sound = QtMsgType.QtDebugMsg, QtMsgType.QtInfoMsg

    def warned(kind, _, words):
        if kind not in sound and not any(part in words for part in LET_PASS):
            heard.append(f"Qt: {words}")

    hooks = sys.excepthook, threading.excepthook
    sys.excepthook = lambda _, error, __: heard.append(error)
    threading.excepthook = lambda args: heard.append(args.exc_value)
    handler = qInstallMessageHandler(warned)
    try:
        yield heard
    finally:
        qInstallMessageHandler(handler)
        sys.excepthook, threading.excepthook = hooks


class Monkey:
    """Does one random event after the other to a window with a scene; raises Broken when something fails."""

    def __init__(self, window, seed: int, *, every: int = 1, rest: float = 0.0) -> None:
        """`every`: how many events between two thorough looks; `rest`: seconds after each, as people need."""
        self.window, self.seed, self.every, self.rest = window, seed, every, rest
        self.rng = random.Random(seed)
        self.count = 0
        self.done: Counter[Event] = Counter()
        self.slowest = (0.0, "")  # seconds, and after what

    def act(self) -> None:
        """One event, with all that it sets off; what it does is looked at, thoroughly now and then."""
        event = self.rng.choices(tuple(EVENTS), tuple(EVENTS.values()))[0]
        done = event.__name__
        number, window = self.count, self.window
        self.count += 1
        self.done[event] += 1
        trouble: object = None
        begun, worked = time.perf_counter(), time.thread_time()
        with overheard() as heard:
            try:
                done = event(window, self.rng)
                turn_round()
                took, blocked = time.thread_time() - worked, time.perf_counter() - begun
                if window.session.recording is None:  # the opening of the scene has been undone
                    window.session.redo()
                if number % self.every == 0:
                    look_after(window)
                if self.rest:
                    QTest.qWait(round(1000 * self.rest))
                self.slowest = max(self.slowest, (took, done))
                if took > STALL or blocked > BLOCKED:
                    trouble = f"the window stalls for {blocked:.1f} s"
            except Exception as found:
                trouble = found
        trouble = heard[0] if heard else trouble
        if trouble is not None:
            words = trouble if isinstance(trouble, str) else repr(trouble)
            cause = trouble if isinstance(trouble, BaseException) else None
            where = window.session.state.scene
            raise Broken(f"seed {self.seed}, event {number}, {done} in {where}: {words}") from cause

    def run(self, count: int) -> None:
        for _ in range(count):
            self.act()


@contextmanager
def window_of_its_own() -> Iterator[Window]:
    """A window as it is some seconds after the start, with a small scene and settings of its own."""
    make_application()
    load_charts()
    with tempfile.TemporaryDirectory() as place:
        window = Window(settings=Settings(str(Path(place, "settings.ini"))), keep_in=Path(place, "kept"))
        window.resize(1280, 720)
        window.show()
        window.open_scene("bptt")
        turn_round()
        yield window
        window.hide()  # not closed: that asks whether to save


def main(seed: int, count: int) -> None:
    with window_of_its_own() as window:
        monkey = Monkey(window, seed, every=25)
        monkey.run(count)
        assert window.session.recording is not None and set(monkey.done) == set(EVENTS)
    seconds, after = monkey.slowest
    print(f"{monkey.count} events; the slowest, {after}, took {seconds:.2f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
