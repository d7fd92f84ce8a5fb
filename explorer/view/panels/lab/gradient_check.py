"""Gradient check in place: the error against the step size, for one leaf or all, and the worst element."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout

from autograd import Trace
from explorer.model import text
from explorer.model.checks import GRADIENT
from explorer.model.lab import differences
from explorer.model.lab.differences import Errors
from explorer.model.lab.jacobian import recurrent_matrices
from explorer.model.lab.sweep import Progress, wiring
from explorer.model.text import tr
from explorer.view.panels import Panel
from explorer.view.panels.lab.plot import Line, make_plot
from explorer.view.panels.lab.view import View, choose, fill
from explorer.view.worker import ProgressMark, Worker

ALL = -1  # every leaf
AT_ONCE = 500_000  # computed nodes that may be asked for without a click: about a second
MOST_EACH = 6  # elements of each leaf when all are checked
MOST_LINES = 7


class GradientCheckView(View):
    """A line per leaf on logarithmic axes: left of the best h round-off, right of it truncation."""

    def __init__(self, owner: Panel) -> None:
        self.found: tuple[Errors, ...] = ()
        self.lines: list[Line] = []
        self._asked: tuple[Trace, int] | None = None
        super().__init__(owner)

    def build(self, column: QVBoxLayout) -> None:
        import pyqtgraph as pg

        row = QHBoxLayout()
        self.leaf = QComboBox()
        self.leaf.setAccessibleName(tr("Leaf to check"))
        self.leaf.setToolTip(tr("Follows the selected leaf"))
        self.leaf.activated.connect(lambda _: self._ask())
        row.addWidget(self.leaf, 1)
        self.run = QPushButton(tr("Check"))
        self.run.setToolTip(tr("Compare with (f(x+h) − f(x−h)) / 2h, element by element"))
        self.run.clicked.connect(lambda: self._ask())
        row.addWidget(self.run)
        column.addLayout(row)
        self.plot = make_plot(self.theme, tr("step size h"), tr("relative error"), log_x=True)
        self.plot.setAccessibleName(tr("Error against step size"))
        self.legend = self.plot.addLegend(
            offset=(0, 4), colCount=2, labelTextColor=self.theme.ink, labelTextSize="9pt", verSpacing=-6
        )
        self.legend.anchor(itemPos=(0.5, 0), parentPos=(0.5, 0), offset=(0, 2))
        dashed = pg.mkPen(self.theme.ghost, width=1.2, style=pg.QtCore.Qt.PenStyle.DashLine)
        self.plot.addItem(pg.InfiniteLine(np.log10(GRADIENT), angle=0, pen=dashed), ignoreBounds=True)
        column.addWidget(self.plot, 1)
        self.worker = Worker(self)
        self.worker.finished.connect(self._have)
        column.addWidget(ProgressMark(self.worker, self.theme))
        self.verdict = self.words(bold=True, size=14)
        column.addWidget(self.verdict)
        self.detail = self.words()
        column.addWidget(self.detail)
        self.worst = QPushButton()
        self.worst.clicked.connect(self._go_to_worst)
        column.addWidget(self.worst)
        self._timer = QTimer(self, singleShot=True, interval=150)
        self._timer.timeout.connect(self._ask_if_quick)

    def empty(self) -> str:
        if self.session.recording is None:
            return tr("Open a scene: its gradient against finite differences appears here.")
        if not differences.checkable(self.session.trace):
            return tr("No leaf of this graph has a gradient.")
        return ""

    def follow(self, changed: frozenset[str]) -> None:
        trace = self.session.trace
        if changed & {"everything", "recording"}:
            leaves = [(self.name(n), n) for n in differences.checkable(trace)]
            fill(self.leaf, [(tr("all leaves"), ALL), *leaves], ALL)
            if self._cost() > AT_ONCE:
                choose(self.leaf, next(iter(recurrent_matrices(trace)), leaves[0][1]))
            self._show(())
        picked = self.selected()
        if "selection" in changed and picked is not None and self.leaf.findData(picked) >= 0:
            choose(self.leaf, picked)
        if self._asked is None or self._asked != (trace, self.leaf.currentData()):
            if self.found and self._asked is not None and self._asked[0] is not trace:
                self.verdict.setText(tr("The values have changed: check again"))
            self._timer.start()

    def release(self) -> None:
        self._timer.stop()
        if self.worker.busy:
            self._asked = None
        self.worker.cancel()

    def _leaves(self) -> tuple[int, ...]:
        """Those that are chosen; none when another scene has come, whose leaves are not listed yet."""
        chosen, there = self.leaf.currentData(), differences.checkable(self.session.trace)
        return there if chosen == ALL else tuple(n for n in there if n == chosen)

    def _ask_if_quick(self) -> None:
        """Small checks answer by themselves; large ones wait for the button."""
        if self.session.recording is None or not self._leaves():
            return
        if self._cost() <= AT_ONCE:
            self._ask()
        elif not self.found:
            self.verdict.setText(tr("Press Check: this takes a moment"))

    def _cost(self) -> int:
        """Roughly how many nodes a check computes."""
        trace, most = self.session.trace, self._most()
        tried = sum(min(trace.values[n].size, most) for n in self._leaves())
        return tried * 2 * len(differences.STEPS) * len(wiring(trace.graph).ops)

    def _most(self) -> int:
        return MOST_EACH if self.leaf.currentData() == ALL else differences.MOST

    def _ask(self) -> None:
        trace, leaves, most = self.session.trace, self._leaves(), self._most()
        self._asked = trace, self.leaf.currentData()

        def work(progress: Progress) -> tuple[Errors, ...]:
            found = []
            for k, leaf in enumerate(leaves):
                part = lambda share, k=k: progress((k + share) / len(leaves))  # noqa: E731
                found.append(differences.check_leaf(trace, leaf, progress=part, most=most))
            return tuple(found)

        self.worker.start(work)

    def _have(self, found: tuple[Errors, ...]) -> None:
        if self._asked is not None and self._asked[0] is self.session.trace:
            self._show(found)

    def _show(self, found: tuple[Errors, ...]) -> None:
        self.found = found
        for line in self.lines:
            line.remove(self.plot)
        self.lines = []
        self.verdict.setText("")
        self.detail.setText("")
        self.worst.setVisible(bool(found))
        self.plot.setXRange(-11.3, -0.7, padding=0)
        self.plot.setYRange(-13.0, 0.5, padding=0)
        if not found:
            return
        ranked = sorted(found, key=lambda e: -float(e.errors[e.best]))
        for number, errors in enumerate(ranked[:MOST_LINES]):
            line = Line(self.plot, self.theme, number, name=self.name(errors.leaf))
            line.show(errors.steps, np.maximum(errors.errors, 1e-16))
            self.lines.append(line)
        top = max(float(np.max(e.errors[np.isfinite(e.errors)], initial=1e-8)) for e in found)
        self.plot.setYRange(-13.0, max(np.log10(top) + 0.4, 0.5), padding=0)
        worst = ranked[0]
        error, h = float(worst.errors[worst.best]), float(worst.steps[worst.best])
        passed = error <= GRADIENT
        self.verdict.setText(
            ("✓ " if passed else "✗ ")
            + tr("largest relative error {error} at the best h = {h}").format(
                error=text.number(error, 3), h=text.number(h, 3)
            )
        )
        self.verdict.setStyleSheet(f"color: {self.theme.input if passed else self.theme.gradient}")
        tried, size = sum(len(e.tried) for e in found), sum(e.size for e in found)
        cut = not passed and wiring(self.session.trace.graph).truncated
        at = next((k for k, i in enumerate(worst.tried) if i == worst.worst[worst.best]), 0)
        self.detail.setText(
            tr("{n} of {m} elements tried. Engine {engine}, differences {numeric}.").format(
                n=tried,
                m=size,
                engine=text.number(worst.analytic[at], 8),
                numeric=text.number(worst.numeric[worst.best, at], 8),
            )
            + (" " + tr("The engine stops the gradient on purpose here; differences do not.") if cut else "")
        )
        index = ", ".join(str(i) for i in worst.worst[worst.best])
        name = self.name(worst.leaf) + (f"[{index}]" if index else "")
        self.worst.setText(tr("Worst element: {name}").format(name=name))
        self.worst.setToolTip(tr("Select this leaf"))

    def _go_to_worst(self) -> None:
        if self.found:
            worst = max(self.found, key=lambda e: float(e.errors[e.best]))
            self.owner.host.reveal(worst.leaf)
