"""The page on which users write: a chapter of their own, or their notes on the scene.

Every change goes to the session at once and can be undone there; nothing waits for a button.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSignalBlocker, Qt, QTimer
from PySide6.QtGui import QFocusEvent, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QGridLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from explorer.model import chapters
from explorer.model.files.limits import LIMITS
from explorer.model.session import Session
from explorer.model.state import UserChapter
from explorer.model.text import tr
from explorer.view.fonts import ui_font

PAUSE = 1500  # ms without a key, after which more typing is another undo entry


class Writing(QPlainTextEdit):
    """Plain text whose undo is the session's."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.setFont(ui_font(13))
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Undo):
            self._session.undo()
        elif event.matches(QKeySequence.StandardKey.Redo):
            self._session.redo()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._session.settle()
        super().focusOutEvent(event)

    def show_text(self, text: str) -> None:
        """Take over a text from outside; what is there already keeps the cursor where it is."""
        if text != self.toPlainText():
            place = min(self.textCursor().position(), len(text))
            with QSignalBlocker(self):
                self.setPlainText(text)
            cursor = self.textCursor()
            cursor.setPosition(place)
            self.setTextCursor(cursor)


class PageEditor(QWidget):
    """Title, text, stretch and frame of one's own chapter; of the notes the text alone."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._chapter: UserChapter | None = None  # None: the notes
        self._pause = QTimer(self, singleShot=True, interval=PAUSE)
        self._pause.timeout.connect(lambda: session.settle())  # no connection outlives this
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 4)
        column.setSpacing(4)
        self.title = QLineEdit()
        self.title.setMaxLength(LIMITS.title)
        self.title.setPlaceholderText(tr("Title"))
        self.title.setAccessibleName(tr("Title"))
        self.title.textEdited.connect(lambda words: self._change(title=words))
        column.addWidget(self.title)
        self.text = Writing(session)
        self.text.setAccessibleName(tr("Text"))
        self.text.setPlaceholderText(
            tr("Markdown: **bold**, *slanted*, `W_in`, lists and tables. No HTML, pictures or links.")
        )
        self.text.textChanged.connect(self._typed)
        column.addWidget(self.text, 1)
        self.place = QWidget()
        grid = QGridLayout(self.place)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        self.start = self._moment(grid, 0, tr("From step"), self._set_start)
        self.stop = self._moment(grid, 1, tr("To step"), self._set_stop)
        self.frame = QLabel()
        self.frame.setTextFormat(Qt.TextFormat.PlainText)
        self.frame.setWordWrap(True)
        grid.addWidget(QLabel(tr("Shows")), 2, 0)
        grid.addWidget(self.frame, 2, 1)
        self.use_selection = QPushButton(tr("Selection"))
        self.use_selection.setToolTip(tr("Frame the selected nodes; without any, the whole graph"))
        self.use_selection.clicked.connect(
            lambda: self._change(frame=chapters.selected(session)[: LIMITS.frame], camera=None)
        )
        grid.addWidget(self.use_selection, 2, 2)
        column.addWidget(self.place)

    def _moment(self, grid: QGridLayout, row: int, words: str, set_to: Callable[[int], None]) -> QSpinBox:
        spin = QSpinBox()
        spin.setAccessibleName(words)
        spin.valueChanged.connect(set_to)
        label = QLabel(words)
        label.setBuddy(spin)
        now = QPushButton(tr("Now"))
        now.setToolTip(tr("The present moment of the timeline"))
        now.setAccessibleName(f"{words}: {tr('Now')}")
        now.clicked.connect(lambda: spin.setValue(round(self._session.state.t)))
        for k, widget in enumerate((label, spin, now)):
            grid.addWidget(widget, row, k)
        return spin

    def show_page(self, chapter: UserChapter | None) -> None:
        """Bring the fields up to date with a chapter, or with the notes."""
        self._chapter = chapter
        self.title.setVisible(chapter is not None)
        self.place.setVisible(chapter is not None)
        self.text.show_text(chapter.text if chapter else self._session.state.notes)
        if chapter is None:
            return
        if self.title.text() != chapter.title:
            self.title.setText(chapter.title)
        for spin, value in ((self.start, chapter.start), (self.stop, chapter.stop)):
            with QSignalBlocker(spin):
                spin.setRange(0, self._session.end)
                spin.setValue(round(value))
        shown = ", ".join(chapter.frame[:6]) + (" …" if len(chapter.frame) > 6 else "")
        self.frame.setText(shown or (tr("the place on screen") if chapter.camera else tr("the whole graph")))

    def begin(self) -> None:
        """Put the keyboard where writing starts."""
        if self._chapter is None:
            self.text.setFocus()
        else:
            self.title.setFocus()
            self.title.selectAll()

    def _typed(self) -> None:
        text = self.text.toPlainText()
        if len(text) > LIMITS.text:
            text = text[: LIMITS.text]
            self.text.show_text(text)
        if self._chapter is None:
            chapters.write_notes(self._session, text)
            self._pause.start()
        else:
            self._change(text=text)

    def _set_start(self, step: int) -> None:
        if self._chapter is not None:
            self._change(start=float(step), stop=max(float(step), self._chapter.stop))

    def _set_stop(self, step: int) -> None:
        if self._chapter is not None:
            self._change(start=min(float(step), self._chapter.start), stop=float(step))

    def _change(self, **fields: object) -> None:
        if self._chapter is not None:
            chapters.change(self._session, self._chapter.id, **fields)
            self._pause.start()
