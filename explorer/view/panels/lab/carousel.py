"""The state's own line against every way: what ∏ f keeps of ∂c_T/∂c_t, and what truncation leaves out."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout

from explorer.model import text
from explorer.model.lab.carousel import Carousel, carousel, carousels, own_line
from explorer.model.text import tr
from explorer.view.panels import Panel
from explorer.view.panels.lab.plot import Line, line_colours, make_plot, show_range
from explorer.view.panels.lab.view import View, fill
from explorer.view.worker import ProgressMark, Worker


class CarouselView(View):
    """Two plots over the time steps, computed beside the window whenever the values change."""

    def __init__(self, owner: Panel) -> None:
        self.found: Carousel | None = None
        super().__init__(owner)

    def build(self, column: QVBoxLayout) -> None:
        self.title, self.state, row = self.heading(column, self._ask)
        self.show_line = QPushButton(tr("Light it"))
        self.show_line.setToolTip(tr("Light this line in the graph, with its product up to each step"))
        self.show_line.clicked.connect(self._light_line)
        row.addWidget(self.show_line)
        self.plots: list[Any] = []
        self.lines: list[Line] = []
        self.notes: list[QLabel] = []
        for first, title in ((0, tr("kept until T")), (2, tr("‖gradient‖"))):
            plot = make_plot(self.theme, tr("time step t"), title)
            plot.setAccessibleName(title)
            self.plots.append(plot)
            column.addWidget(plot, 1)
            self.lines += [Line(plot, self.theme, first), Line(plot, self.theme, first + 1)]
            for number in (first, first + 1):
                note = self.words(size=12.5)
                note.setStyleSheet(f"color: {line_colours(self.theme)[number]}")
                column.addWidget(note)
                self.notes.append(note)
        self.worker = Worker(self)
        self.worker.finished.connect(self._have)
        self.worker.failed.connect(self.title.setText)
        column.addWidget(ProgressMark(self.worker, self.theme))

    def empty(self) -> str:
        if self.session.recording is None:
            return tr("Open a scene: how a cell state keeps its gradient appears here.")
        if not carousels(self.session.trace):
            return tr("No state of this scene has a line of its own. Open cec, lstm or gru.")
        return ""

    def follow(self, changed: frozenset[str]) -> None:
        if changed & {"everything", "recording"}:
            names = carousels(self.session.trace)
            fill(self.state, [(base, base) for base in names], self.state.currentData())
        if changed & {"everything", "recording", "trace"}:
            self._ask()

    def release(self) -> None:
        self.worker.cancel()

    def _ask(self) -> None:
        trace, base = self.session.trace, self.state.currentData()
        self.worker.start(lambda progress: carousel(trace, base, progress))

    def _have(self, found: Carousel) -> None:
        self.found = found
        self.title.setText(tr("The line of {state} against every way").format(state=found.base))
        sizes = (found.direct, found.total, found.full, found.truncated)
        for line, size in zip(self.lines, sizes, strict=True):
            line.show(found.times, size)
        for plot, both in zip(self.plots, (sizes[:2], sizes[2:]), strict=True):
            show_range(plot, found.times, np.concatenate(both))
        first = f"{found.base}_{found.times[0]}"
        words = (
            tr("● its own line, ∏ f: {size} of {first} arrives"),
            tr("■ every way, ‖∂c_T/∂c_t‖: {size} at {first}"),
            tr("▲ the whole gradient ‖∂E/∂c_t‖: {size} at {first}"),
            tr("◆ truncated in time as in 1997: {size} at {first}"),
        )
        for note, form, size in zip(self.notes, words, sizes, strict=True):
            note.setText(form.format(size=text.number(float(np.asarray(size)[0]), 4), first=first))

    def _light_line(self) -> None:
        self.light_paths([own_line(self.session.trace, self.state.currentData())])
