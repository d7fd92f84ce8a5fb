"""‖∂E/∂h_t‖ against t on a logarithmic axis, drawn while the backward pass reaches each step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle
from math import floor

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QCheckBox, QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from explorer.model import text
from explorer.model.lab.flow import Flow, counterparts, flow, quantities
from explorer.model.lab.sweep import wiring
from explorer.model.playback import node_label
from explorer.model.session import Session
from explorer.model.text import language, tr
from explorer.view.fonts import ui_font
from explorer.view.panels import Panel
from explorer.view.panels.lab.plot import Line, line_colours, make_plot, name_lines, show_range
from explorer.view.panels.lab.radius import RadiusSlider
from explorer.view.panels.lab.view import View


@dataclass(frozen=True)
class Over:
    """A curve of a compared session: dash-dotted, with a row of words below the plot."""

    session: Session
    base: str
    flow: Flow
    line: Line
    title: str  # of its scene
    row: QLabel


class FlowView(View):
    """A line per quantity, with the straight line that fits it and what one step back multiplies by.

    Those of compared scenes are laid over, each at the moment that is linked with the present one.
    """

    def __init__(self, owner: Panel) -> None:
        self.flows: dict[str, Flow] = {}
        self.lines: dict[str, Line] = {}
        self.boxes: dict[str, QCheckBox] = {}
        self.over: list[Over] = []
        self._title = ""  # of its own scene, beside others
        self._chosen: set[str] = set()
        self._for: tuple[str, ...] = ()
        super().__init__(owner)

    def build(self, column: QVBoxLayout) -> None:
        import pyqtgraph as pg

        self.plot = make_plot(self.theme, tr("time step t"), tr("norm of the gradient"))
        self.plot.setAccessibleName(tr("Gradient flow over time"))
        self.now = pg.InfiniteLine(pen=pg.mkPen(self.theme.ghost, width=1.5))
        self.plot.addItem(self.now, ignoreBounds=True)
        column.addWidget(self.plot, 1)
        self.radius = RadiusSlider(self.owner)
        column.addWidget(self.radius)
        self.note = self.words(faint=True, size=12)
        column.addWidget(self.note)
        self.beside = QVBoxLayout()
        self.beside.setSpacing(2)
        column.addLayout(self.beside)
        self.rows = QWidget()
        self.grid = QGridLayout(self.rows)
        self.grid.setContentsMargins(0, 0, 0, 0)
        self.grid.setVerticalSpacing(2)
        self.grid.setColumnStretch(1, 1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(self.rows)
        scroll.setMinimumHeight(60)
        scroll.setMaximumHeight(120)
        column.addWidget(scroll)

    def empty(self) -> str:
        if self.session.recording is None:
            return tr("Open a scene: how its gradient fades or grows over time appears here.")
        if not quantities(self.session.trace):
            return tr("This scene has no time steps. Open a recurrent one, such as bptt, cec or lstm.")
        return ""

    def follow(self, changed: frozenset[str]) -> None:
        trace = self.session.trace
        if changed & {"everything", "recording", "trace", "compared"}:
            names = quantities(trace)
            if names != self._for or changed & {"everything", "recording", "parameters"}:
                self._make_rows(names)
            self._measure()
        self.radius.refresh(changed)
        self._draw()

    def _make_rows(self, names: tuple[str, ...]) -> None:
        while self.grid.count():
            widget = self.grid.takeAt(0).widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        if names != self._for:
            states = [n for n in wiring(self.session.trace.graph).states if n in names]
            self._chosen = set(states[:4] or names[:1])
        self._for = names
        self.boxes, self.fits = {}, {}
        graph, notation = self.session.trace.graph, self.session.notation
        for row, base in enumerate(names):
            node = next(reversed(wiring(graph).quantities[base].values()))[0]
            label = node_label(graph, node, notation)
            sub = label.sub if label.sup else ""  # an index that is not the time
            box = QCheckBox(f"{label.base}_{sub}" if sub else label.base)
            box.setFont(ui_font(13, bold=True))
            box.setChecked(base in self._chosen)
            box.toggled.connect(lambda on, b=base: self._choose(b, on))
            fit = self.words(size=12.5)
            fit.setWordWrap(False)
            self.grid.addWidget(box, row, 0)
            self.grid.addWidget(fit, row, 1)
            self.boxes[base], self.fits[base] = box, fit
        for line in self.lines.values():
            line.remove(self.plot)
        self.lines = {}
        self.grid.setRowStretch(len(names), 1)

    def _choose(self, base: str, on: bool) -> None:
        self._chosen = self._chosen | {base} if on else self._chosen - {base}
        self._measure()
        self._draw()

    def _measure(self) -> None:
        """What depends on the values: all norms, and the ends of the axes."""
        trace = self.session.trace
        self.flows = {base: flow(trace, base) for base in self._for if base in self._chosen}
        if list(self.lines) != list(self.flows):
            self._make_lines()
        self._lay_over()
        flows = [*self.flows.values(), *(over.flow for over in self.over)]
        times = np.concatenate([f.times for f in flows] or [np.array([0, 1])])
        sizes = np.concatenate([f.whole for f in flows] or [np.ones(1)])
        show_range(self.plot, times, sizes)

    def _make_lines(self) -> None:
        for line in self.lines.values():
            line.remove(self.plot)
        self.lines = {base: Line(self.plot, self.theme, k) for k, base in enumerate(self.flows)}
        colours = dict(zip(self.flows, cycle(line_colours(self.theme)), strict=False))
        for base, box in self.boxes.items():
            colour = colours.get(base, self.theme.faint_ink)
            box.setStyleSheet(f"color: {colour}")
            self.fits[base].setStyleSheet(f"color: {colour}")

    def _lay_over(self) -> None:
        """Lines of what is compared, after those of the scene itself, with a row of words each."""
        for over in self.over:
            over.line.remove(self.plot)
            over.row.hide()
            over.row.deleteLater()
        comparison = self.owner.host.comparing.comparison
        sessions = [self.session, *comparison.others]
        titles = Counter(s.scene.title[language()] for s in sessions if s.scene is not None)
        self._title = self._called(self.session, titles) if comparison.others else ""
        found = [
            (other, base) for other in comparison.others for base in counterparts(other.trace, self._chosen)
        ]
        self.over = []
        for k, (other, base) in enumerate(found):
            number = len(self.flows) + k
            colour = line_colours(self.theme)[number % len(line_colours(self.theme))]
            line = Line(self.plot, self.theme, number)
            line.curve.setPen(color=QColor(colour), width=2, style=Qt.PenStyle.DashDotLine)
            row = self.words(size=12.5)
            row.setStyleSheet(f"color: {colour}")
            self.beside.addWidget(row)
            title = self._called(other, titles)
            self.over.append(Over(other, base, flow(other.trace, base), line, title, row))

    def _called(self, session: Session, titles: Mapping[str, int]) -> str:
        """The title of its scene, with what is different where two are of one scene."""
        assert session.scene is not None
        title = session.scene.title[language()]
        return title if titles[title] < 2 else self.owner.host.comparing.comparison.title(session)

    def _draw_over(self) -> None:
        comparison = self.owner.host.comparing.comparison
        for over in self.over:
            t = comparison.moment(over.session)
            over.line.show(over.flow.times, over.flow.at(t), over.flow.complete(t))
            words = f"{over.line.letter} {over.base}, {over.title}"
            fit = self._fit_words(over.flow, t)
            over.row.setText(f"{words}: {fit}" if fit else words)

    def _draw(self) -> None:
        """What depends on the moment."""
        session, t = self.session, self.session.state.t
        step = session.trace.steps[min(floor(t), session.trace.end - 1)]
        started = t >= session.trace.forward_end
        self.now.setVisible(started and step.time is not None)
        if step.time is not None:
            self.now.setValue(step.time)
        for base, one in self.flows.items():
            at = one.at(t)
            self.lines[base].show(one.times, at, one.complete(t))
            fit = one.fit(t)
            if fit is None:
                self.lines[base].show_guide(np.zeros(0), np.zeros(0))
            else:
                ends = np.array([fit.first, fit.last], dtype=float)
                self.lines[base].show_guide(ends, np.array([fit.norm(x) for x in ends]))
            self.fits[base].setText(f"{self.lines[base].letter}  {self._fit_words(one, t)}")
        for base, label in self.fits.items():
            if base not in self.flows:
                label.setText("")
        self._draw_over()
        beside = f", {self._title}" if self._title else ""
        names = [(line, f"{self.boxes[base].text()}{beside}") for base, line in self.lines.items()]
        names += [(over.line, f"{over.base}, {over.title}") for over in self.over]
        name_lines(self.plot, names)
        words = tr("Dashed: the straight line through the logarithms. Hollow: not everything has arrived.")
        waiting = tr("Nothing has come back yet: press Space, or go to the end with End.")
        self.note.setText(words if started else waiting)

    def _fit_words(self, one: Flow, t: float) -> str:
        fit = one.fit(t)
        words = ""
        if fit is not None:
            words = tr("× {factor} per step back, slope {slope}").format(
                factor=text.number(fit.factor, 4), slope=text.number(fit.slope, 4)
            )
        zero = [int(k) for k in one.times[one.complete(t) & (one.whole == 0)]]
        if zero:
            at = f"{zero[0]}–{zero[-1]}" if len(zero) > 1 else str(zero[0])
            words += (" · " if words else "") + tr("0 at t = {times}").format(times=at)
        return words
