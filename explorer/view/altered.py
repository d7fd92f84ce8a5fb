"""What if, in the window: the badge that says what is altered, and the question for a value to hold at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QGridLayout, QInputDialog, QLayout, QToolButton, QWidget

from explorer.model import playback, text, what_if
from explorer.model.actions import ACTIONS
from explorer.model.session import Session
from explorer.model.text import tr
from explorer.view.fonts import ui_font
from explorer.view.icons import icon
from scenes.scene import SceneError

if TYPE_CHECKING:
    from explorer.view.window import Window

EDGE = 11  # pixels around the badge, of the layout
SHORT = 12  # numbers that are written into the field to be changed


class Badge(QToolButton):
    """In the canvas' corner while something is altered; a click restores the scene."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.host = window
        self.setObjectName("altered")
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.clicked.connect(lambda: window.run(ACTIONS["restore_scene"]))
        corner = QGridLayout(window.canvas)
        corner.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)
        corner.setContentsMargins(EDGE, EDGE, EDGE, EDGE)
        corner.addWidget(self, 0, 0, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom)
        window.canvas.installEventFilter(self)
        self._words: tuple[str, ...] = ("",)  # from long to short
        self.hide()

    def _fit(self) -> None:
        """As many words as there is room for in the canvas."""
        for words in self._words:
            self.setText(words)
            if self.sizeHint().width() + 2 * EDGE <= self.host.canvas.width():
                break

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    def refresh(self) -> None:
        """Say what is altered, in the present language and theme."""
        words, theme = what_if.summary(self.host.session), self.host.theme
        action = ACTIONS["restore_scene"]
        self.setVisible(bool(words))
        if not words:
            return
        self.setFont(ui_font(13, bold=True))
        self.setIcon(icon("reset", theme.ink))
        self._words = (tr("Altered: {words} – restore").format(words=words), words, "")
        self.setToolTip(f"{self._words[0]}\n{tr(action.tip)}")
        self.setAccessibleName(self._words[0])
        self._fit()
        self.setStyleSheet(
            f"QToolButton {{ color: {theme.ink}; background: {theme.parameter_fill};"
            f" border: 1.5px solid {theme.parameter}; border-radius: 6px; padding: 3px 8px; }}"
            f"QToolButton:hover {{ background: {theme.box}; }}"
        )


def ask_value(parent: QWidget, session: Session, nodes: list[int]) -> np.ndarray | float | None:
    """A number for all elements of all nodes, or an array for one of them; None when the user lets go."""
    trace, node = session.trace, nodes[-1]
    shape = trace.values[node].shape
    name = playback.node_words(trace.graph, node, session.notation, 1)
    if len(nodes) > 1:
        name = tr("{n} nodes").format(n=len(nodes))
    question = tr("Hold {name} at a number").format(name=name)
    short = 1 < trace.values[node].size <= SHORT and len(nodes) == 1
    if short:
        question = tr("Hold {name} at a number, or at {size} numbers").format(
            name=name, size=trace.values[node].size
        )
    words = ", ".join(f"{x:.6g}" for x in np.ravel(trace.values[node])) if short else "0.5"
    while True:
        words, ok = QInputDialog.getText(parent, tr("Hold at a constant"), question, text=words)
        if not ok:
            return None
        try:
            value = what_if.typed_value(words, shape if len(nodes) == 1 else ())
        except SceneError as error:
            question = text.sentence(error)
            continue
        return float(value) if value.ndim == 0 else value
