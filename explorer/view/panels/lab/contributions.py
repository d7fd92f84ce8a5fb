"""The gradient of a shared leaf as a stack of terms over time, and as a matrix of losses and uses."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtWidgets import (
    QBoxLayout,
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer.model import text
from explorer.model.lab import contributions
from explorer.model.lab.jacobian import recurrent_matrices
from explorer.model.lab.sweep import wiring
from explorer.model.text import tr
from explorer.view.panels import Panel
from explorer.view.panels.lab.charts import Bars, HeatMap
from explorer.view.panels.lab.view import View, choose, fill
from explorer.view.worker import ProgressMark, Worker

WRITTEN_OUT = 4  # terms, at most


class ContributionsView(View):
    """Above bars or the matrix, below the term that was clicked."""

    def __init__(self, owner: Panel) -> None:
        self.leaf: int | None = None
        self.terms: contributions.Terms | None = None
        self.split: contributions.Split | None = None
        self._time: Any = "last"  # of the chosen term
        self._formula = ""
        super().__init__(owner)

    def build(self, column: QVBoxLayout) -> None:
        row = QHBoxLayout()
        self.combo = QComboBox()
        self.combo.setAccessibleName(tr("Shared leaf"))
        self.combo.setToolTip(tr("Follows the selected leaf"))
        self.combo.activated.connect(lambda k: self._take(self.combo.itemData(k)))
        row.addWidget(self.combo, 1)
        group = QButtonGroup(self)
        self.modes: dict[str, QToolButton] = {}
        for mode, words in (("bars", tr("over time")), ("matrix", tr("loss × use"))):
            button = QToolButton()
            button.setText(words)
            button.setCheckable(True)
            button.setChecked(mode == "bars")
            button.clicked.connect(lambda _=False, m=mode: self._show_mode(m))
            group.addButton(button)
            self.modes[mode] = button
            row.addWidget(button)
        column.addLayout(row)
        self.sum = self.words()
        column.addWidget(self.sum)
        self.bars = Bars(self.theme)
        self.bars.setAccessibleName(tr("Norm of each time step's term"))
        self.bars.clicked.connect(self._click_bar)
        self.bars.tip = self._bar_tip
        self.matrix = HeatMap(self.theme, rows=tr("loss at t"), columns=tr("use at t"))
        self.matrix.clicked.connect(self._click_cell)
        self.matrix.tip = self._cell_tip
        self.upper = QStackedWidget()
        self.upper.addWidget(self.bars)
        self.upper.addWidget(self.matrix)
        self.worker = Worker(self)
        self.worker.finished.connect(self._have_split)
        lower = QWidget()
        below = QVBoxLayout(lower)
        below.setContentsMargins(0, 0, 0, 0)
        self.term_words = self.words()
        below.addWidget(self.term_words)
        self.term = HeatMap(self.theme, signed=True)
        below.addWidget(self.term, 1)
        # the term stands below the bars, and beside the matrix, which wants height
        self.both = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self.both.addWidget(self.upper, 3)
        self.both.addWidget(lower, 2)
        column.addLayout(self.both, 1)
        column.addWidget(ProgressMark(self.worker, self.theme))

    def empty(self) -> str:
        if self.session.recording is None:
            return tr("Open a scene: what each time step adds to a shared weight's gradient appears here.")
        if not contributions.shared_leaves(self.session.trace):
            return tr("No leaf of this scene is used more than once.")
        return ""

    @property
    def mode(self) -> str:
        return "matrix" if self.modes["matrix"].isChecked() else "bars"

    def follow(self, changed: frozenset[str]) -> None:
        trace = self.session.trace
        if changed & {"everything", "recording"}:
            leaves = contributions.shared_leaves(trace)
            if self.leaf not in leaves:
                self.leaf = next((n for n in recurrent_matrices(trace) if n in leaves), leaves[0])
                self._time = "last"
            self.split = None
            fill(self.combo, [(self.name(n), n) for n in leaves], self.leaf)
            self.matrix.chosen = None
        picked = self.selected()
        if picked is not None and picked != self.leaf and self.combo.findData(picked) >= 0:
            self.leaf = picked
            self._time = "last"
            self.matrix.chosen = None
            choose(self.combo, picked)
        assert self.leaf is not None
        if self.terms is None or self.terms.trace is not trace or self.terms.leaf != self.leaf:
            self.terms = contributions.terms(trace, self.leaf)
            self._formula = self._written_out()
            if self.split is not None and self.split.leaf != self.leaf:
                self.split = None  # else the old one stays until the new one is there
            if self.mode == "matrix" or wiring(trace.graph).truncated:
                self._ask_split()
        self._draw()

    def release(self) -> None:
        if self.worker.busy:
            self.terms = None
        self.worker.cancel()

    def _take(self, leaf: int) -> None:
        self.session.update(selection=(leaf,))

    def _show_mode(self, mode: str) -> None:
        matrix = mode == "matrix"
        self.upper.setCurrentIndex(int(matrix))
        direction = QBoxLayout.Direction
        self.both.setDirection(direction.LeftToRight if matrix else direction.TopToBottom)
        if matrix and (self.split is None or self.split.trace is not self.session.trace):
            self._ask_split()
        self._draw()

    def _ask_split(self) -> None:
        trace, leaf = self.session.trace, self.leaf
        assert leaf is not None
        self.worker.start(lambda progress: contributions.split(trace, leaf, progress))

    def _have_split(self, split: contributions.Split) -> None:
        if split.trace is self.session.trace and split.leaf == self.leaf:
            self.split = split
            self._draw()

    # Drawing

    def _draw(self) -> None:
        assert self.terms is not None and self.leaf is not None
        t = self.session.state.t
        found = self.terms.terms
        arrived = sum(term.arrived(t) for term in found)
        so_far = text.number(self.terms.so_far(t), 4)
        truncated = wiring(self.session.trace.graph).truncated
        cut = " · " + tr("hatched: cut off by truncation") if truncated else ""
        self.sum.setText(
            self._formula
            + "\n"
            + tr("{n} of {m} terms have arrived, norm {norm}").format(n=arrived, m=len(found), norm=so_far)
            + cut
        )
        if self._time == "last":
            done = [term.time for term in found if term.arrived(t)]
            shown = done[-1] if done else None
        else:
            shown = self._time
        if self.mode == "matrix":
            self._draw_matrix(t)
        else:
            self._draw_bars(t, shown if arrived or self._time != "last" else "none")
        self._draw_term(t, shown, bool(arrived))

    def _written_out(self) -> str:
        """The gradient as a sum of its named terms; of many the first and the last."""
        assert self.leaf is not None
        order = self._in_time()
        shown = order if len(order) <= WRITTEN_OUT else [order[0], order[-1]]
        words = [term.words(self.session.notation) for term in shown]
        if shown is not order:
            words.insert(1, "…")
        return f"{self.derivative(self.leaf)} = {' + '.join(words)}"

    def _in_time(self) -> list[contributions.Term]:
        assert self.terms is not None
        return sorted(self.terms.terms, key=lambda term: (term.time is not None, term.time or 0))

    def _draw_bars(self, t: float, shown: Any) -> None:
        assert self.terms is not None
        order = self._in_time()
        sizes = {term.time: size for term, size in zip(self.terms.terms, self.terms.sizes, strict=True)}
        heights = np.array([sizes[term.time] for term in order])
        solid = np.array([term.arrived(t) for term in order])
        missing = np.zeros(len(order))
        if self.split is not None:
            by_time = {term.time: k for k, term in enumerate(self.split.uses)}
            lost = np.nan_to_num(self.split.uncut) - np.nan_to_num(self.split.sizes)
            missing = np.array([max(float(lost[:, by_time[term.time]].sum()), 0.0) for term in order])
            missing[missing < 1e-12 * max(float(heights.max(initial=0.0)), 1e-300)] = 0.0
        labels = [self._time_words(term.time) for term in order]
        chosen = next((k for k, term in enumerate(order) if term.time == shown), -1)
        self.bars.show_bars(heights, labels, solid=solid, missing=missing, chosen=chosen)

    def _draw_matrix(self, t: float) -> None:
        split = self.split
        if split is None:
            self.matrix.show_array(None, placeholder=tr("computing…"))
            return
        cut = np.nan_to_num(split.uncut) - np.nan_to_num(split.sizes)
        hatched = cut > 1e-12 * max(float(np.nanmax(split.uncut, initial=0.0)), 1e-300)
        self.matrix.show_array(
            np.where(split.sizes > 0, split.sizes, np.where(hatched, 0.0, np.nan)),
            rows=[self._loss_words(n) for n in split.losses],
            columns=[self._time_words(term.time) for term in split.uses],
            dim=np.array([not term.arrived(t) for term in split.uses]),
            hatched=hatched & (np.nan_to_num(split.sizes) < 1e-12 * np.nan_to_num(split.uncut)),
        )

    def _draw_term(self, t: float, shown: Any, any_arrived: bool) -> None:
        assert self.terms is not None and self.leaf is not None
        cell = self.matrix.chosen if self.mode == "matrix" else None
        if cell is not None and self.split is not None:
            self.term_words.setText(self._cell_tip(*cell))
            value = self.split.term(*cell)
            self.term.show_array(value, limit=self._limit())
            return
        term = next((term for term in self.terms.terms if term.time == shown), None)
        if term is None or (self._time == "last" and not any_arrived):
            self.term_words.setText(tr("Nothing has come back yet: press Space, or go to the end with End."))
            self.term.show_array(None)
        elif not term.arrived(t):
            words = f"t = {self._time_words(term.time)}:  {term.words(self.session.notation)}"
            self.term_words.setText(f"{words}  ({tr('has not arrived yet')})")
            self.term.show_array(None)
        else:
            self.term_words.setText(
                f"t = {self._time_words(term.time)}:  {term.words(self.session.notation)}"
            )
            self.term.show_array(term.value(), limit=self._limit())

    def _limit(self) -> float:
        """One colour scale for all terms of the leaf."""
        assert self.terms is not None
        grad = self.terms.trace.grads[self.terms.leaf]
        return float(np.max(np.abs(grad), initial=0.0)) if grad is not None else 1.0

    def _time_words(self, time: int | None) -> str:
        return "–" if time is None else str(time)

    def _loss_words(self, loss: int) -> str:
        time = self.session.trace.graph.times[loss]
        return self.name(loss) if time is None else str(time)

    def _bar_tip(self, k: int) -> str:
        assert self.terms is not None
        term = self._in_time()[k]
        size = next(s for x, s in zip(self.terms.terms, self.terms.sizes, strict=True) if x is term)
        words = f"{term.words(self.session.notation)}\n‖·‖ = {text.number(size, 4)}"
        if self.bars.missing[k] > 0:
            words += "\n" + tr("hatched: what truncation cuts off, {size}").format(
                size=text.number(self.bars.missing[k], 3)
            )
        return words

    def _cell_tip(self, row: int, column: int) -> str:
        assert self.split is not None
        words = tr("loss at t = {loss} through the use at t = {use}: {size}").format(
            loss=self._loss_words(self.split.losses[row]),
            use=self._time_words(self.split.uses[column].time),
            size=text.number(np.nan_to_num(self.split.sizes[row, column]), 4),
        )
        if self.matrix.hatched is not None and self.matrix.hatched[row, column]:
            uncut = text.number(self.split.uncut[row, column], 4)
            words += " (" + tr("cut off; it would be {size}").format(size=uncut) + ")"
        return words

    # Clicks

    def _click_bar(self, k: int) -> None:
        assert self.leaf is not None
        term = self._in_time()[k]
        self._time = term.time
        self.light((*(use.consumer for use in term.uses), self.leaf))
        self._draw()

    def _click_cell(self, row: int, column: int) -> None:
        assert self.split is not None
        self._time = self.split.uses[column].time
        self.light_paths(self.split.ways(row, column))
        self._draw()
