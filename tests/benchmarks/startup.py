"""Start-up, in fresh processes: the version, and the first painted frame of a window with a scene."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from statistics import median

from tests.benchmarks.measure import Row, cpu_with_children, fresh_python

# `backstep lstm` until its canvas is painted; what comes after, and the end of the process, is not the start
FIRST_FRAME = """
import os
from explorer import system
from explorer.cli import main

def until_painted(app):
    from explorer.view.canvas import Canvas
    painted, paint = [], Canvas.paintEvent
    def watched(canvas, event):
        paint(canvas, event)
        painted.append(canvas)
    Canvas.paintEvent = watched
    while not painted:
        app.processEvents()
    os._exit(0)

system.has_display = lambda: True
import PySide6.QtWidgets
PySide6.QtWidgets.QApplication.exec = until_painted
main(["lstm"])
"""
LIBRARIES = "import numpy, PySide6.QtWidgets"


def run(quick: bool) -> Iterator[Row]:
    """All rows of this suite."""
    rounds = 4 if quick else 15
    starts = {
        "bare_python": (("-c", "pass"), None),
        "version": (("-m", "explorer", "--version"), 0.15),
        "libraries": (("-c", LIBRARIES), None),
        "first_frame": (("-c", FIRST_FRAME), 0.7),
    }
    cpu: dict[str, list[float]] = {name: [] for name in starts}
    wall: dict[str, list[float]] = {name: [] for name in starts}
    with tempfile.TemporaryDirectory() as compiled:
        for turn in range(rounds + 1):
            for name, (arguments, _) in starts.items():
                clocks = cpu_with_children(), time.perf_counter()
                fresh_python(*arguments, compiled=compiled)
                if turn:  # the first one fills the caches
                    cpu[name].append(cpu_with_children() - clocks[0])
                    wall[name].append(time.perf_counter() - clocks[1])
    for name, (_, limit) in starts.items():
        yield Row(f"startup.{name}.cpu", median(cpu[name]), "s", limit=limit)
        yield Row(f"startup.{name}.wall", median(wall[name]), "s")
    first, libraries = median(cpu["first_frame"]), median(cpu["libraries"])
    peer = "NumPy and Qt alone"
    yield Row("startup.first_frame", first, "s", peer, libraries)
