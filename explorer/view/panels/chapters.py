"""Chapters: what the scene has to say, page by page, what its user adds, formulas, misprints and source."""

from __future__ import annotations

import re

from PySide6.QtCore import QSize, Qt, QUrl
from PySide6.QtGui import (
    QKeyEvent,
    QKeySequence,
    QShortcut,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
)
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QTextBrowser,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer.model import chapters
from explorer.model.actions import ACTIONS
from explorer.model.actions.playback import open_chapter
from explorer.model.text import language, tr
from explorer.view.chapter_editor import PageEditor
from explorer.view.fonts import ui_font
from explorer.view.formula import FormulaLabel
from explorer.view.icons import icon
from explorer.view.panels import Panel, panel

NOTES = ""  # where no chapter is read: the summary and the notes
LOW = 40  # pixels that the list, the text and the formulas have in the lowest window
_PLACES = {
    "": QTextCharFormat.VerticalAlignment.AlignNormal,
    "_": QTextCharFormat.VerticalAlignment.AlignSubScript,
    "^": QTextCharFormat.VerticalAlignment.AlignSuperScript,
}
# an index behind a symbol of one or two letters; a longer word before `_` is the name of a parameter
_INDEX = re.compile(r"(?:(?<![^\W\d_])[^\W\d_]{1,2}|[)\]ᵀ′])((?:[_^](?:\{[^}]*\}|\w+))+)")


def indexed(words: str) -> list[tuple[str, str]]:
    """A formula in plain characters cut into parts: (text, "" or "_" or "^")."""
    parts: list[tuple[str, str]] = []
    done = 0
    for match in _INDEX.finditer(words):
        parts.append((words[done : match.start(1)], ""))
        for place, index in re.findall(r"([_^])(\{[^}]*\}|[^\W_]+)", match.group(1)):
            parts.append((index.strip("{}"), place))
        done = match.end()
    return [p for p in (*parts, (words[done:], "")) if p[0]]


class Prose(QTextBrowser):
    """Markdown without HTML, pictures or links: the text may come from somebody's file."""

    def __init__(self) -> None:
        super().__init__()
        self.setOpenLinks(False)
        self.setFont(ui_font(13))

    def show_markdown(self, words: str) -> None:
        document = QTextDocument(self)
        document.setDefaultFont(ui_font(13))
        document.setMarkdown(
            words,
            QTextDocument.MarkdownFeature(
                QTextDocument.MarkdownFeature.MarkdownDialectGitHub.value
                | QTextDocument.MarkdownFeature.MarkdownNoHTML.value
            ),
        )
        self._use_own_face(document)
        self.setDocument(document)
        if self._shown is not None:  # Qt deletes its own document only, not one that was given
            self._shown.deleteLater()
        self._shown = document

    _shown: QTextDocument | None = None

    def _use_own_face(self, document: QTextDocument) -> None:
        """Code in bold letters of our own face: the system's fixed one may not know ∂ or δ."""
        block = document.begin()
        found = []
        while block.isValid():
            it = block.begin()
            while not it.atEnd():
                fragment = it.fragment()
                # a picture would be read from the disk that the text is shown on; it goes
                if fragment.charFormat().fontFixedPitch() or fragment.charFormat().isImageFormat():
                    found.append((fragment.position(), fragment.length()))
                it += 1
            block = block.next()
        for position, length in reversed(found):
            cursor = QTextCursor(document)
            cursor.setPosition(position)
            cursor.setPosition(position + length, QTextCursor.MoveMode.KeepAnchor)
            words = cursor.selectedText().replace("\ufffc", "")
            cursor.removeSelectedText()
            for part, place in indexed(words):
                letters = QTextCharFormat()
                letters.setFont(ui_font(13, bold=True))
                letters.setVerticalAlignment(_PLACES[place])
                cursor.insertText(part, letters)

    def loadResource(self, kind: int, url: QUrl) -> None:
        """Nothing is ever loaded."""


@panel("chapters", "Chapters", Qt.DockWidgetArea.LeftDockWidgetArea)
class Chapters(Panel):
    """The chapters of the scene and the user's own; a click goes to the first moment of one.

    The last line stands for the summary, below which the user's notes are.
    """

    edited: tuple[str, str] | None = None  # the scene and the page that are open for writing

    def build(self) -> QWidget:
        self.list = QListWidget()
        self.list.setAccessibleName(tr("Chapters"))
        self.list.setWordWrap(True)
        self.list.setIconSize(QSize(14, 14))
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setMinimumHeight(LOW)
        self.list.itemClicked.connect(self._chosen)
        self.list.itemActivated.connect(self._chosen)
        listing = QWidget()
        column = QVBoxLayout(listing)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.list, 1)
        column.addLayout(self._tools())
        self.prose = Prose()
        self.editor = PageEditor(self.session)
        self.writing = QScrollArea()  # so that a low window still has room for the timeline
        self.writing.setWidgetResizable(True)
        self.writing.setWidget(self.editor)
        self.pages = QStackedWidget()
        self.pages.setMinimumHeight(LOW)
        self.pages.addWidget(self.prose)
        self.pages.addWidget(self.writing)
        reading = QWidget()
        column = QVBoxLayout(reading)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.pages, 1)
        buttons = QHBoxLayout()
        for name, words in (("previous_chapter", tr("Previous")), ("next_chapter", tr("Next"))):
            button = QToolButton()
            action = ACTIONS[name]
            button.setText(words)
            button.setAccessibleName(tr(action.title))
            button.setToolTip(f"{tr(action.tip)} ({action.keys[0]})")
            button.setAutoRaise(True)
            button.setIcon(
                icon("chevron-up" if name == "previous_chapter" else "chevron-down", self.theme.ink)
            )
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.clicked.connect(lambda _=False, a=action: self.host.run(a))
            buttons.addWidget(button)
        column.addLayout(buttons)
        self.formulas = QWidget()
        self.formula_column = QVBoxLayout(self.formulas)
        self.formula_column.setContentsMargins(8, 6, 8, 6)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(self.formulas)
        scroll.setMinimumHeight(LOW)
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self.splitter.addWidget(listing)
        self.splitter.addWidget(reading)
        self.splitter.addWidget(scroll)
        self.splitter.setSizes([190, 260, 130])
        return self.splitter

    def _tools(self) -> QHBoxLayout:
        """What can be done to one's own chapters; in the list also by keys."""
        row = QHBoxLayout()
        row.setContentsMargins(4, 0, 4, 0)
        row.setSpacing(2)
        self.tools: dict[str, QToolButton] = {}
        for name, symbol, words, key, run in (
            ("add", "plus", tr("Add a chapter"), "", self.add),
            ("edit", "edit", tr("Edit this page"), "F2", self._toggle_editing),
            ("up", "chevron-up", tr("Move this chapter up"), "Alt+Up", lambda: self._move(-1)),
            ("down", "chevron-down", tr("Move this chapter down"), "Alt+Down", lambda: self._move(+1)),
            ("delete", "close", tr("Delete this chapter"), "Del", self._delete),
        ):
            button = QToolButton()
            button.setIcon(icon(symbol, self.theme.ink))
            button.setToolTip(f"{words} ({key or ACTIONS['add_chapter'].keys[0]})")
            button.setAccessibleName(words)
            button.setAutoRaise(True)
            button.clicked.connect(run)
            row.addWidget(button)
            self.tools[name] = button
            if key:  # only while the list has the keyboard
                shortcut = QShortcut(QKeySequence(key), self.list)
                shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
                shortcut.activated.connect(button.click)
        self.tools["edit"].setCheckable(True)
        row.addStretch(1)
        return row

    def _chosen(self, item: QListWidgetItem) -> None:
        id = item.data(Qt.ItemDataRole.UserRole)
        if id:
            open_chapter(self.session, id)
        elif id is not None:
            self.session.update(chapter=NOTES)

    # The user's own

    def add(self) -> None:
        """A chapter of one's own from this moment on, open for writing."""
        if chapters.add(self.session) is not None:
            self._edit(True)

    def write_notes(self) -> None:
        """The notes, open for writing."""
        self.session.update(chapter=NOTES)
        self._edit(True)

    def _edit(self, on: bool) -> None:
        self.session.settle()
        page = chapters.page(self.session)
        self.edited = (self.session.state.scene, page.id if page else NOTES) if on else None
        self._show_page()
        if on:
            self.show()
            self.raise_()
            self.editor.begin()
        else:
            self.list.setFocus()

    def _toggle_editing(self) -> None:
        self._edit(self.edited is None)

    def _move(self, by: int) -> None:
        chapters.move(self.session, self.session.state.chapter, by)

    def _delete(self) -> None:
        chapters.delete(self.session, self.session.state.chapter)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.edited:
            self._edit(False)
        else:
            super().keyPressEvent(event)

    # Following the session

    def refresh(self, changed: frozenset[str]) -> None:
        if changed & {"recording", "parameters", "everything"}:
            self._fill()
        if changed & {"recording", "parameters", "chapters", "everything"}:
            self._fill_list()
        if changed & {"recording", "chapter", "chapters", "notes", "everything", "parameters"}:
            self._show_page()

    def _fill_list(self) -> None:
        self.list.clear()
        if self.session.scene is None:
            hint = QListWidgetItem(tr("Open a scene: its chapters appear here."))
            hint.setFlags(Qt.ItemFlag.NoItemFlags)
            self.list.addItem(hint)
            return
        for number, page in enumerate(chapters.pages(self.session), 1):
            item = QListWidgetItem(f"{number}  {page.title}")
            item.setData(Qt.ItemDataRole.UserRole, page.id)
            if page.own is not None:
                item.setIcon(icon("pen", self.theme.faint_ink))
                item.setToolTip(tr("Your own chapter"))
            self.list.addItem(item)
        item = QListWidgetItem(icon("note", self.theme.faint_ink), tr("Summary and your notes"))
        item.setData(Qt.ItemDataRole.UserRole, NOTES)
        self.list.addItem(item)

    def _fill(self) -> None:
        scene = self.session.scene
        while self.formula_column.count():
            widget = self.formula_column.takeAt(0).widget()
            if widget is not None:
                widget.hide()  # deleteLater leaves it on screen until the event loop turns
                widget.deleteLater()
        if scene is None:
            return
        self._heading(tr("Formulas"))
        for tex in scene.formulas:
            self.formula_column.addWidget(FormulaLabel(tex))
        if scene.errata:
            self._heading(tr("Errata of the notes"))
        for erratum in scene.errata:
            words = f"{erratum.where}: {tr('printed')} {erratum.printed}\n{tr('correct')}: {erratum.right}"
            self._plain(f"{words}\n{erratum.note[language()]}")
        if scene.source:
            self._heading(tr("Source"))
            self._plain(source_words(scene.source))
        self.formula_column.addStretch(1)

    def _heading(self, words: str) -> None:
        label = QLabel(words)
        label.setFont(ui_font(12, bold=True))
        self.formula_column.addWidget(label)

    def _plain(self, words: str) -> None:
        label = QLabel()
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setText(words)
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.formula_column.addWidget(label)

    def _show_page(self) -> None:
        session = self.session
        page = chapters.page(session)
        id = page.id if page else NOTES
        own = page.own if page else None
        has_scene = session.scene is not None
        mine = [c.id for c in session.state.chapters]
        if self.edited != (session.state.scene, id):
            self.edited = None
        for row in range(self.list.count()):
            item = self.list.item(row)
            if item.data(Qt.ItemDataRole.UserRole) == id:
                self.list.setCurrentItem(item)
        self.tools["add"].setEnabled(has_scene)
        self.tools["edit"].setEnabled(has_scene and (page is None or own is not None))
        self.tools["edit"].setChecked(self.edited is not None)
        self.tools["up"].setEnabled(own is not None and own.id != mine[0])
        self.tools["down"].setEnabled(own is not None and own.id != mine[-1])
        self.tools["delete"].setEnabled(own is not None)
        self.pages.setCurrentWidget(self.writing if self.edited else self.prose)
        if self.edited:
            self.editor.show_page(own)
        elif not has_scene:
            self.prose.show_markdown(tr("A chapter is a stretch of the timeline with a text and a view."))
        elif page is not None:
            empty = tr("Nothing is written here yet: the pencil above opens this chapter for writing.")
            self.prose.show_markdown(page.text or empty)
        else:
            assert session.scene is not None
            summary, notes = session.scene.summary[language()], session.state.notes
            self.prose.show_markdown(f"{summary}\n\n---\n\n{notes}" if notes.strip() else summary)


def source_words(source: str) -> str:
    """The names of the notes behind their short marks."""
    names = {
        "FF": tr("feed-forward notes"),
        "RN": tr("recurrent-network notes"),
        "CS": tr("deep-learning cheat sheet"),
        "RP": tr("progress report"),
    }
    parts = [p.strip() for p in source.split(",")]
    return ", ".join(f"{p} ({names[p]})" if p in names else p for p in parts)
