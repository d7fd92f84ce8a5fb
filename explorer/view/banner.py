"""A sentence over the canvas, with a way to close it or ways on. It does not know who says it, or why."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QWidget

from explorer.model.text import tr
from explorer.view.icons import icon
from explorer.view.theme import Theme


class Banner(QFrame):
    """A sentence over the canvas with a way to close it."""

    def __init__(self, parent: QWidget, *, lasting: bool = False) -> None:
        super().__init__(parent)
        self.lasting = lasting  # stays until what it is about has changed
        self._buttons: list[tuple[QToolButton, str]] = []
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 8, 6)
        self.label = QLabel()
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setWordWrap(True)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row.addWidget(self.label, 1)
        self.button = QToolButton()
        self.button.setAutoRaise(True)
        self.button.clicked.connect(self.hide)
        self.button.setVisible(not lasting)
        row.addWidget(self.button)
        self._leave = QTimer(self, singleShot=True, interval=12_000)
        self._leave.timeout.connect(self.hide)
        self.hide()

    def restyle(self, theme: Theme) -> None:
        self.setStyleSheet(
            f"Banner {{ background: {theme.parameter_fill}; border-bottom: 1px solid {theme.parameter}; }}"
        )
        self.button.setIcon(icon("close", theme.ink))
        self.button.setToolTip(tr("Close"))
        for button, picture in self._buttons:
            button.setIcon(icon(picture, theme.ink))

    def add_button(self, picture: str, work: Callable[[], None]) -> None:
        """A way on, beside the sentence."""
        button = QToolButton()
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.clicked.connect(lambda _=False: work())
        self._buttons.append((button, picture))
        layout = self.layout()
        assert isinstance(layout, QHBoxLayout)
        layout.insertWidget(1, button)

    def button_words(self, *words: str) -> None:
        for (button, _), said in zip(self._buttons, words, strict=True):
            button.setText(said)

    def say(self, sentence: str) -> None:
        self.label.setText(sentence)
        self.setAccessibleName(sentence)
        self.show()
        if not self.lasting:
            self._leave.start()
