"""5,000 random events at the window break nothing; planted faults show that the monkey would notice."""

import gc
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, qWarning
from PySide6.QtGui import QPainter

from explorer.model.session import Session
from explorer.view.canvas import Canvas
from explorer.view.dialogs import install_qt_translation
from tests.view.monkey import BLOCKED, Broken, Monkey

ROOT = Path(__file__).resolve().parents[2]
COUNT = 80  # events within which a planted fault is found


@pytest.fixture
def moving(make_window, qtbot):
    """What makes a window with a small scene and with animations."""

    def make():
        window = make_window()
        window.open_scene("bptt")
        qtbot.waitUntil(window.canvas.isVisible)
        return window

    gc.collect()  # what thousands of tests have left is let go of before, not while the window works
    yield make
    install_qt_translation("en")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_random_events_break_nothing(seed):
    # in a process of its own, as people have it: here the collector goes through what other tests have left
    command = [
        sys.executable,
        "-X",
        "faulthandler",
        "-W",
        "ignore",
        "-m",
        "tests.view.monkey",
        str(seed),
        "2500",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("2500 events")


def broken(self, *_):
    raise ZeroDivisionError("planted")


def blank(self, *_):
    QPainter(self).fillRect(self.rect(), Qt.GlobalColor.white)


def idle(self, *_):
    """Do nothing."""


def warn(self, *_):
    qWarning("planted warning")


def sleep(self, *_):
    time.sleep(BLOCKED + 0.1)


def toil(self, *_):
    """A second of work, which stalls the window on a quiet machine and on a busy one."""
    end = time.thread_time() + 1.05
    while time.thread_time() < end:
        pass


def once(fault, work):
    """A method that goes wrong the second time that it is called, and no other."""
    calls = []

    def planted(self, *args):
        calls.append(args)
        return (fault if len(calls) == 2 else work)(self, *args)

    return planted


@pytest.mark.parametrize(
    ("fault", "words"),
    [(broken, "planted"), (warn, "Qt: planted warning"), (sleep, "stalls for 3"), (toil, "stalls for")],
)
def test_the_monkey_finds_what_goes_wrong_once(moving, monkeypatch, fault, words):
    monkeypatch.setattr(Canvas, "mouseMoveEvent", once(fault, Canvas.mouseMoveEvent))
    with pytest.raises(Broken, match=rf"seed 1, event \d+, .*{words}"):
        Monkey(moving(), 1).run(COUNT)


@pytest.mark.parametrize(
    ("owner", "method", "fault", "words"),
    [(Canvas, "paintEvent", blank, "the canvas is blank"), (Session, "redo", idle, "redo does not")],
)
def test_the_monkey_finds_what_does_not_hold(moving, monkeypatch, owner, method, fault, words):
    monkeypatch.setattr(owner, method, fault)
    with pytest.raises(Broken, match=words):
        Monkey(moving(), 1).run(COUNT)
