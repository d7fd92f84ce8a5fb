"""‖∂h_t/∂h_k‖ as a heat map, singular values of one pair, and the recurrent matrix with a radius to drag."""

from __future__ import annotations

import numpy as np
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout

from explorer.model import text
from explorer.model.lab import jacobian
from explorer.model.lab.sweep import wiring
from explorer.model.text import tr
from explorer.view.panels import Panel
from explorer.view.panels.lab.charts import Bars, HeatMap
from explorer.view.panels.lab.radius import RadiusSlider
from explorer.view.panels.lab.view import View, fill
from explorer.view.worker import ProgressMark, Worker


class JacobianView(View):
    """The map is computed beside the window, and again whenever an edit changes the values."""

    def __init__(self, owner: Panel) -> None:
        self.jacobians: jacobian.StateJacobians | None = None
        super().__init__(owner)

    def build(self, column: QVBoxLayout) -> None:
        self.title, self.state, _ = self.heading(column, self._ask)
        self.map = HeatMap(self.theme, rows=tr("state at t"), columns=tr("of state at k"))
        self.map.clicked.connect(self._click)
        self.map.tip = self._tip
        self.worker = Worker(self)
        self.worker.finished.connect(self._have)
        self.worker.failed.connect(self._refused)
        self.pair = self.words()
        self.singular = Bars(self.theme)
        self.singular.setMinimumHeight(90)
        self.singular.tip = lambda k: f"σ{k + 1} = {text.number(self.singular.sizes[k], 6)}"
        both, beside = QHBoxLayout(), QVBoxLayout()
        both.addWidget(self.map, 8)
        beside.addWidget(self.pair)
        beside.addWidget(self.singular, 1)
        both.addLayout(beside, 5)
        column.addLayout(both, 1)
        column.addWidget(ProgressMark(self.worker, self.theme))
        self.radius = RadiusSlider(self.owner)
        column.addWidget(self.radius)

    def empty(self) -> str:
        if self.session.recording is None:
            return tr("Open a scene: how much each state depends on the earlier ones appears here.")
        if not jacobian.states(self.session.trace):
            return tr("This scene has no state that goes from one time step to the next.")
        return ""

    def follow(self, changed: frozenset[str]) -> None:
        trace = self.session.trace
        if changed & {"everything", "recording"}:
            fill(self.state, [(base, base) for base in jacobian.states(trace)], self.state.currentData())
            self.map.chosen = None
        self.radius.refresh(changed)
        if changed & {"everything", "recording", "trace"}:
            self._ask()

    def release(self) -> None:
        self.worker.cancel()

    # The map

    @property
    def base(self) -> str:
        return self.state.currentData()

    def _ask(self) -> None:
        trace, base = self.session.trace, self.base
        self.worker.start(lambda progress: jacobian.state_jacobians(trace, base, progress))
        if self.jacobians is None:
            self.map.show_array(None, placeholder=tr("computing…"))

    def _refused(self, sentence: str) -> None:
        self.jacobians = None
        self.map.show_array(None, placeholder=tr("These states are too large for a matrix of every pair."))
        self.map.setToolTip(sentence)

    def _have(self, found: jacobian.StateJacobians) -> None:
        if self.session.recording is None or found.trace.graph is not self.session.trace.graph:
            return
        self.jacobians = found
        letter = self.base
        self.title.setText(f"‖∂{letter}(t)/∂{letter}(k)‖")
        labels = [str(t) for t in found.times]
        sizes = np.where(found.sizes > 0, found.sizes, np.where(np.isnan(found.sizes), np.nan, 0.0))
        self.map.show_array(sizes, rows=labels, columns=labels)
        if self.map.chosen is None:
            self.map.chosen = (len(labels) - 1, max(len(labels) - 2, 0))
        self._draw_pair()

    def _draw_pair(self) -> None:
        if self.jacobians is None or self.map.chosen is None:
            return
        row, column = self.map.chosen
        values = self.jacobians.singular_values(row, column)
        times = self.jacobians.times
        self.pair.setText(
            tr("Singular values of ∂{h}({t})/∂{h}({k}): largest {largest}, smallest {smallest}").format(
                h=self.base,
                t=times[row],
                k=times[column],
                largest=text.number(values[0], 4),
                smallest=text.number(values[-1], 4),
            )
        )
        labels = [f"σ{k + 1}" for k in range(len(values))]
        self.singular.show_bars(values, labels, colours=[self.theme.value] * len(values))

    def _tip(self, row: int, column: int) -> str:
        assert self.jacobians is not None
        t, k = self.jacobians.times[row], self.jacobians.times[column]
        return f"‖∂{self.base}({t})/∂{self.base}({k})‖ = {text.number(self.jacobians.sizes[row, column], 5)}"

    def _click(self, row: int, column: int) -> None:
        assert self.jacobians is not None
        groups = wiring(self.session.trace.graph).quantities[self.base]
        times = self.jacobians.times
        self.light((*groups[times[row]], *groups[times[column]]))
        self._draw_pair()
