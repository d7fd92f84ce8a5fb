"""The recurrent matrix with its spectral radius on a slider, to be dragged through 1."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSlider, QWidget

from explorer.model import playback, text
from explorer.model.lab import jacobian
from explorer.model.text import tr
from explorer.view.panels import Panel
from explorer.view.panels.lab.view import fill

MOST_RADIUS = 2.0
TICKS = 200  # of the slider


class RadiusSlider(QWidget):
    """A matrix to choose and a slider that scales it; one undo entry for a drag. Hidden without a matrix."""

    def __init__(self, owner: Panel) -> None:
        super().__init__()
        self.owner = owner
        self._matrix: np.ndarray | None = None  # that a drag scales, so that a way through 0 loses nothing
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self.leaf = QComboBox()
        self.leaf.setAccessibleName(tr("Recurrent matrix"))
        self.leaf.activated.connect(lambda _: self._show())
        row.addWidget(self.leaf)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(1, TICKS)
        self.slider.setTickInterval(TICKS // 2)
        self.slider.setTickPosition(QSlider.TickPosition.TicksBelow)
        self.slider.setAccessibleName(tr("Spectral radius"))
        self.slider.setToolTip(tr("Drag to scale the matrix; the mark in the middle is 1"))
        self.slider.sliderPressed.connect(self._take)
        self.slider.valueChanged.connect(self._scale)
        self.slider.sliderReleased.connect(owner.session.settle)
        row.addWidget(self.slider, 1)
        self.radius = QLabel()
        self.radius.setMinimumWidth(84)
        self.radius.setToolTip(tr("Spectral radius: the largest absolute eigenvalue"))
        row.addWidget(self.radius)

    @property
    def node(self) -> int | None:
        """The matrix chosen."""
        return self.leaf.currentData()

    def refresh(self, changed: frozenset[str]) -> None:
        """Follow the scene, the selection and edits."""
        session = self.owner.session
        trace = session.trace
        if changed & {"everything", "recording"}:
            leaves = jacobian.recurrent_matrices(trace)
            words = [(playback.node_words(trace.graph, n, session.notation), n) for n in leaves]
            fill(self.leaf, words, self.node)
            self.setVisible(bool(leaves))
        if "selection" in changed and len(session.state.selection) == 1:
            at = self.leaf.findData(session.state.selection[0])
            if at >= 0:
                self.leaf.setCurrentIndex(at)
        if changed & {"everything", "recording", "trace", "selection"}:
            self._show()

    def _show(self) -> None:
        if self.node is None:
            return
        radius = jacobian.spectral_radius(self.owner.session.trace.values[self.node])
        self.radius.setText(f"ρ = {text.number(radius, 4)}")
        if not self.slider.isSliderDown() and np.isfinite(radius):
            with QSignalBlocker(self.slider):
                self.slider.setValue(round(min(radius, MOST_RADIUS) / MOST_RADIUS * TICKS))

    def _take(self) -> None:
        self._matrix = None if self.node is None else self.owner.session.trace.values[self.node]

    def _scale(self, tick: int) -> None:
        node = self.node
        if node is None:
            return
        if not self.slider.isSliderDown() or self._matrix is None:
            self._take()
        assert self._matrix is not None
        scaled = jacobian.with_radius(self._matrix, MOST_RADIUS * tick / TICKS)
        self.owner.host.attempt(lambda: self.owner.session.edit(node, scaled, merge=True))
