"""The views of the gradient lab: how each answers an edit of a long LSTM.

What the window's own thread does, computing and painting, is told apart from what is computed beside it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from PySide6.QtCore import QEventLoop

from explorer.app import make_application
from explorer.model.lab.carousel import carousel, own_line
from explorer.model.lab.contributions import split
from explorer.model.lab.jacobian import state_jacobians
from explorer.model.lab.paths import routes
from explorer.model.lab.sweep import wiring
from explorer.view.canvas import Canvas
from explorer.view.panels.lab import VIEWS, view_classes
from explorer.view.panels.lab.contributions import ContributionsView
from explorer.view.panels.lab.view import View
from explorer.view.theme import THEMES
from explorer.view.window import Window
from tests.benchmarks.measure import Job, Row, medians
from tests.benchmarks.recurrent import lstm

STEPS, HIDDEN = 100, 32
SIZE = 460, 620  # pixels of a view beside the canvas
ANSWER, SEARCH, BESIDE, PULSES = 16.0, 100.0, 200.0, 2.0  # milliseconds
ALL = frozenset({"everything", "recording", "trace", "selection", "t"})


def run(quick: bool) -> Iterator[Row]:
    """All rows of this suite."""
    app = make_application()
    seconds = 1.0 if quick else 4.0
    window = Window()
    session = window.session
    session.open_graph(*lstm(STEPS, HIDDEN, HIDDEN).record())
    session.update(t=float(session.end))
    end = time.monotonic() + 5.0
    while time.monotonic() < end:  # what the window does by and by after its start
        app.processEvents()
    for id in VIEWS:
        if id != "proofs":
            yield from _view(app, window, id, "U", seconds)
    yield from _beside(session.trace, seconds)
    yield from _lit(app, window, seconds)
    window.open_scene("lstm")  # the longest that has closed forms
    session.update(parameters={"T": 50, "hidden": HIDDEN, "inputs": 16}, t=float(session.end))
    yield from _view(app, window, "proofs", "U_f", seconds)
    session.saved = session.state  # nobody is here to be asked whether to keep it
    window.close()


def _view(app: Any, window: Window, id: str, leaf: str, seconds: float) -> Iterator[Row]:
    """A view by itself, so that nothing else of the window is measured."""
    view = view_classes()[id](window.panels["lab"])
    view.resize(*SIZE)
    view.show()
    view.refresh(ALL)
    _wait(app, view)
    yield _answer(app, window, f"lab.{id}", leaf, view, seconds)
    if isinstance(view, ContributionsView):
        view.modes["matrix"].click()
        _wait(app, view)
        yield _answer(app, window, f"lab.{id}.matrix", leaf, view, seconds)
    view.release()
    view.close()
    view.deleteLater()


def _answer(app: Any, window: Window, name: str, leaf: str, view: View, seconds: float) -> Row:
    """What the window's thread does for an edit, from the new trace to the last pixel."""
    session = window.session
    values = itertools.cycle(np.linspace(-1, 1, 30).tolist())

    def edit() -> None:
        _edit(window, leaf, next(values))
        app.processEvents()

    def answer() -> None:
        view.refresh(frozenset({"trace", "edits"}))
        _wait(app, view)

    before = session.trace
    took = medians({"edit": edit, "answer": answer}, seconds, most=60, clock=time.thread_time)
    assert session.trace is not before
    return Row(f"{name}.answer", took["answer"] * 1e3, "ms", limit=ANSWER)


def _edit(window: Window, leaf: str, number: float) -> None:
    node = window.session.trace.graph.named(leaf).id
    value = window.session.trace.values[node].copy()
    value[0, 0] = number
    window.session.edit(node, value, merge=True)


def _wait(app: Any, view: View) -> None:
    """Until the view has its answer and has painted it; asleep meanwhile."""
    app.processEvents()
    worker, timer = getattr(view, "worker", None), getattr(view, "_timer", None)
    while (worker is not None and worker.busy) or (timer is not None and timer.isActive()):
        app.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
    app.processEvents()


def _beside(trace: Any, seconds: float) -> Iterator[Row]:
    """What the views have computed in a thread."""
    states = [nodes[0] for nodes in wiring(trace.graph).quantities["c"].values()]
    weight = trace.graph.named("U").id
    jobs: dict[str, tuple[Job, float]] = {
        "lab.paths.search": (partial(routes, trace, states[0], states[-1]), SEARCH),
        "lab.paths.search_of_a_weight": (partial(routes, trace, weight, trace.loss), SEARCH),
        "lab.jacobian.beside": (partial(state_jacobians, trace, "c"), BESIDE),
        "lab.carousel.beside": (partial(carousel, trace, "c"), BESIDE),
        "lab.contributions.matrix.beside": (partial(split, trace, weight), BESIDE),
    }
    for name, (job, limit) in jobs.items():
        yield Row(name, medians({"job": job}, seconds / 2, least=3, most=30)["job"] * 1e3, "ms", limit=limit)


def _lit(app: Any, window: Window, seconds: float) -> Iterator[Row]:
    """The state's line lit on the canvas, with its products."""
    session = window.session
    canvas = Canvas(session, THEMES["light"])
    canvas.reduced_motion = True
    canvas.resize(1280, 800)
    canvas.show()
    app.processEvents()
    values = itertools.cycle(np.linspace(-1, 1, 30).tolist())
    moments = itertools.cycle(np.linspace(0.05, 0.95, 40).tolist())
    middle, line = session.end - 40.0, own_line(session.trace, "c")

    def edit(lit: tuple[int, ...]) -> None:
        session.state = replace(session.state, highlight=lit)
        _edit(window, "U", next(values))
        canvas.repaint()

    def pulses() -> None:
        session.update(t=middle + next(moments))
        canvas.repaint()

    edits: dict[str, Job] = {"plain": partial(edit, ()), "lit": partial(edit, line)}
    took = medians(edits, seconds / 2, most=60)
    yield Row("lab.line_lit.of_an_edit", (took["lit"] - took["plain"]) * 1e3, "ms", limit=4)
    took = medians({"pulses": pulses}, seconds / 4, most=200)
    yield Row("lab.line_lit.pulses", took["pulses"] * 1e3, "ms", limit=PULSES)
    session.update(highlight=())
    canvas.release()
    canvas.close()
    canvas.deleteLater()
