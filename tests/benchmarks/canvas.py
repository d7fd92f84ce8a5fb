"""The canvas and the window, without a display: repaint, step, pulses, playback, and the edit of a leaf."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import resource
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QImage, QPainter

from explorer.app import make_application
from explorer.model.session import Session
from explorer.view.canvas import Canvas
from explorer.view.kept import Kept
from explorer.view.sprites import Sprites
from explorer.view.theme import THEMES
from explorer.view.window import Window
from tests.benchmarks import generators
from tests.benchmarks.measure import Job, Row, medians, samples
from tests.benchmarks.recurrent import lstm

CASES: tuple[tuple[str, dict[str, Any]], ...] = (("lstm", {"T": 5}), ("bptt", {"T": 50}), ("lstm", {"T": 50}))


SIZES = {"10k": 256, "50k": 1281}  # LSTM steps that have as many boxes
MEGABYTE = 2**20


def run(quick: bool) -> Iterator[Row]:
    """All rows of this suite."""
    app = make_application()
    seconds = 1.0 if quick else 6.0
    for id, parameters in CASES:
        session = Session()
        session.open_scene(id, parameters)
        session.update(folded=frozenset())
        yield from _canvas(app, f"canvas.{id}_T{parameters['T']}", session, seconds)
    for size, steps in SIZES.items() if not quick else list(SIZES.items())[:1]:
        yield from _large(app, f"canvas.lstm_{size}", steps, seconds)
    yield from _playback(app, seconds)
    yield from _edit(app, seconds)


BOX = 12e-6  # seconds that Qt took for a rounded box on the machine and in the hour that the limits are from
BOXES = 100


def row(name: str, job: Job, limit: float, seconds: float, most: int = 1000) -> Row:
    """Milliseconds of a job; as its peer what the limit comes to here and now, where machines change their
    speed by the minute: rounded boxes are drawn in turns with the job."""
    image = QImage(1280, 800, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor("#ffffff"))

    def boxes() -> None:
        for k in range(BOXES):
            painter.drawRoundedRect(QRectF(9.5 * k, 20.0, 64.0, 54.0), 8.0, 8.0)

    took = medians({"job": job, "boxes": boxes}, seconds, least=3, most=most)
    painter.end()
    here = limit * took["boxes"] / (BOXES * BOX)
    return Row(name, took["job"] * 1e3, "ms", "the limit here, now", here, limit=limit)


def _shown(app: Any, session: Session) -> Canvas:
    canvas = Canvas(session, THEMES["light"])
    canvas.reduced_motion = True
    canvas.resize(1280, 800)
    canvas.show()
    app.processEvents()  # it is painted from now on
    assert canvas.grab().width() == 1280
    return canvas


def _canvas(app: Any, name: str, session: Session, seconds: float) -> Iterator[Row]:
    """Near enough to read everything that is in view."""
    canvas = _shown(app, session)
    middle = math.floor(session.end * 0.7)
    steps = itertools.cycle(range(middle, min(middle + 40, session.end)))
    moments = itertools.cycle(np.linspace(0.05, 0.95, 40).tolist())
    session.update(t=float(middle))
    x, y, zoom = canvas.camera()
    places = itertools.cycle(np.linspace(0, 200, 41).tolist())
    zooms = itertools.cycle((zoom * np.linspace(1, 1.5, 41)).tolist())
    boxes = itertools.cycle(range(len(session.layout.boxes)))

    def full() -> None:
        canvas._resting = Kept()  # as after a resize
        canvas.repaint()

    def cold() -> None:
        canvas._sprites = Sprites()
        full()

    def step() -> None:
        session.update(t=float(next(steps)))
        canvas.repaint()

    def pulses() -> None:
        session.update(t=middle + next(moments))
        canvas.repaint()

    def hover() -> None:
        canvas._hovered_box = next(boxes)
        canvas.repaint()

    def pan() -> None:
        session.update(camera=(x + next(places), y, zoom))
        canvas.repaint()

    def turn_of_the_wheel() -> None:
        canvas._settle.start()
        session.update(camera=(x, y, next(zooms)))
        canvas.repaint()

    yield Row(f"{name}.boxes", len(session.layout.boxes), "boxes")
    session.update(t=middle + 0.5)
    jobs = (("full_repaint", full, 8), ("cold_repaint", cold, 20), ("step", step, 8), ("pulses", pulses, 2))
    # Not interleaved: what a step leaves behind is what makes the next pulse cheap.
    for kind, job, limit in (*jobs, ("hover", hover, 2), ("pan", pan, 4), ("zoom", turn_of_the_wheel, 8)):
        yield row(f"{name}.{kind}", job, limit, seconds / 4, most=300)
    _close(canvas)


def _large(app: Any, name: str, steps: int, seconds: float) -> Iterator[Row]:
    """A long LSTM with everything open and in view."""
    session = _long(steps)
    canvas = _shown(app, session)
    canvas.show_everything()
    middle = math.floor(session.end * 0.7)
    following = itertools.cycle(range(middle, middle + 40))
    moments = itertools.cycle(np.linspace(0.05, 0.95, 40).tolist())
    anywhere = itertools.cycle(np.random.default_rng(0).integers(0, session.end, 50).tolist())

    def go(t: float) -> None:
        session.update(t=float(t))
        canvas.repaint()

    def full() -> None:
        canvas._resting = Kept()
        canvas.repaint()

    x, y, zoom = canvas.camera()
    zooms = itertools.cycle((zoom * np.linspace(1, 1.5, 41)).tolist())

    def turn_of_the_wheel() -> None:
        canvas._settle.start()
        session.update(camera=(x, y, next(zooms)))
        canvas.repaint()

    yield Row(f"{name}.boxes", len(session.layout.boxes), "boxes")
    jobs = {
        "full_repaint": (full, 15 if steps < 1000 else 45),
        "step": (lambda: go(next(following)), 8),
        "pulses": (lambda: go(middle + next(moments)), 2),
        "scrub": (lambda: go(next(anywhere)), 10),
        "zoom": (turn_of_the_wheel, 8),
    }
    for kind, (job, limit) in jobs.items():
        yield row(f"{name}.{kind}", job, limit, seconds / 4, most=200)
    session.update(camera=None)  # and near, where the camera goes with the steps
    playing = itertools.count(middle * 60)
    frames = samples({"frame": lambda: go(next(playing) / 60)}, seconds / 2, most=600)["frame"]
    yield Row(f"{name}.playback", statistics.median(frames) * 1e3, "ms", limit=1000 / 55)
    yield Row(f"{name}.playback_p99", float(np.percentile(frames, 99)) * 1e3, "ms", limit=33)
    near = medians({"scrub": lambda: go(next(anywhere))}, seconds / 4, least=3, most=200)["scrub"]
    yield Row(f"{name}.scrub_near", near * 1e3, "ms")
    _close(canvas)
    if steps > 1000:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            yield Row(f"{name}.memory", pool.apply(_memory, (steps,)), "MB", limit=400)


def _long(steps: int) -> Session:
    session = Session()
    session.open_graph(*generators.lstm(steps))
    session.update(folded=frozenset())
    return session


def _memory(steps: int) -> float:
    """What a program that shows a long LSTM takes at its most."""
    app = make_application()
    session = _long(steps)
    canvas = _shown(app, session)
    for t in (0, session.end / 3, session.end):
        session.update(t=float(int(t)))
        canvas.repaint()
    status = Path("/proc/self/status")
    if status.exists():  # what the system counts for a process includes what it was forked from
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024 / MEGABYTE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE


def _playback(app: Any, seconds: float) -> Iterator[Row]:
    """The whole window, with its panels, playing at normal speed."""
    window = Window()
    window.open_scene("lstm")
    window.session.update(parameters={"T": 5}, folded=frozenset())
    window.show()
    app.processEvents()
    session = window.session

    def frame() -> None:
        t = session.state.t + 1 / 60
        session.update(t=t if t < session.end else 0.0)
        app.processEvents()

    for _ in range(40):  # the first pictures also arrange the window
        frame()
    took = samples({"frame": frame}, seconds, most=600)["frame"]
    yield Row("canvas.playback.frame", statistics.median(took) * 1e3, "ms", limit=1000 / 55)
    yield Row("canvas.playback.p99", float(np.percentile(took, 99)) * 1e3, "ms", limit=33)
    session.saved = session.state  # nobody is here to be asked whether to keep it
    _close(window)


def _edit(app: Any, seconds: float) -> Iterator[Row]:
    """A number of a weight matrix is dragged: replay, frame and painting of a long LSTM."""
    graph, loss = lstm(100, 32, 32).record()
    session = Session()
    session.open_graph(graph, loss)
    canvas = _shown(app, session)
    session.update(t=float(session.end))
    weight = graph.named("U")
    values = itertools.cycle(np.linspace(-1, 1, 30).tolist())

    def edit() -> None:
        value = weight.value.copy()
        value[0, 0] = next(values)
        session.edit(weight.id, value, merge=True)
        canvas.repaint()

    def replay() -> None:
        graph.forward()
        graph.backward(loss)

    yield row("canvas.edit_leaf.lstm_T100_H32", edit, 16, seconds)
    took = medians({"edit": edit, "replay": replay}, seconds / 2, least=3)
    yield Row(
        "canvas.edit_leaf.lstm_T100_H32",
        took["edit"] * 1e3,
        "ms",
        "Graph.forward and backward",
        took["replay"] * 1e3,
    )
    _close(canvas)


def _close(widget: Any) -> None:
    if isinstance(widget, Canvas):
        widget.release()
    widget.close()
    widget.deleteLater()
