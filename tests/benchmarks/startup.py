"""Start-up, in fresh processes: the version, and the first painted frame of a window with a scene."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from statistics import median

from tests.benchmarks.measure import Row, cpu_with_children, fresh_python

FIRST_FRAME = """
from PySide6.QtCore import QEvent, QObject
from explorer.app import make_application
from explorer.view.window import Window

class Watch(QObject):
    painted = False
    def eventFilter(self, watched, event):
        self.painted = self.painted or event.type() == QEvent.Type.Paint
        return False

app = make_application()
window = Window()
window.open_scene("lstm")
watch = Watch()
window.canvas.installEventFilter(watch)
window.show()
while not watch.painted:
    app.processEvents()
app.processEvents()
"""


def run(quick: bool) -> Iterator[Row]:
    """All rows of this suite."""
    rounds = 4 if quick else 15
    starts = {
        "bare_python": (("-c", "pass"), None),
        "version": (("-m", "explorer", "--version"), 0.15),
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
