"""The plot: the picture that a scene is best understood by, beside its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QScrollArea, QVBoxLayout, QWidget

from explorer.model.plots import PLOTS, Grip, move, plot_of
from explorer.model.text import language, tr
from explorer.view.panels import Panel, panel
from explorer.view.plots import PlotView
from scenes.scene import SCENES

if TYPE_CHECKING:
    from explorer.view.window import Window

FOLLOWED = frozenset({"everything", "recording", "trace", "t", "selection", "scene"})


@panel("plot", "Plot", Qt.DockWidgetArea.RightDockWidgetArea)
class PlotPanel(Panel):
    """The picture and a sentence about it; hidden until somebody asks for it."""

    wide = 400

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.hide_at_first()

    def build(self) -> QWidget:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(8, 8, 8, 8)
        self.view = PlotView(self.theme)
        self.view.moved.connect(self._move)
        self.view.settled.connect(lambda: self.session.settle())
        self.outer = QScrollArea()
        self.outer.setWidgetResizable(True)
        self.outer.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.outer.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.outer.setWidget(self.view)
        column.addWidget(self.outer, 1)
        self.words = QLabel()
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        self.words.setWordWrap(True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.words.setStyleSheet(f"color: {self.theme.faint_ink}")
        column.addWidget(self.words)
        return content

    def focus(self) -> None:
        self.view.setFocus(Qt.FocusReason.TabFocusReason)

    def refresh(self, changed: frozenset[str]) -> None:
        if not changed & FOLLOWED or not (self.isVisible() or "everything" in changed):
            return
        plot = plot_of(self.session)
        self.outer.setVisible(plot is not None)
        self.view.show_plot(plot)
        self.words.setText(plot.note if plot else self._empty())

    def _empty(self) -> str:
        if self.session.recording is None:
            return tr("Open a scene: here stands the picture that it is best understood by.")
        titles = " · ".join(SCENES[id].title[language()] for id in PLOTS)
        return tr("This scene has no plot of its own. These have one: {scenes}").format(scenes=titles)

    def _move(self, grip: Grip, x: float, y: float) -> None:
        self.host.attempt(lambda: move(self.session, grip, x, y))
