"""Chapters: what the scene has to say, page by page, with its formulas, misprints and source."""

from __future__ import annotations

import re

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QTextCharFormat, QTextCursor, QTextDocument
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QScrollArea,
    QSplitter,
    QTextBrowser,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer.model.actions import ACTIONS, open_chapter
from explorer.model.text import language, tr
from explorer.view.fonts import ui_font
from explorer.view.formula import FormulaLabel
from explorer.view.icons import icon
from explorer.view.panels import Panel, panel

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
    """The chapters of the scene; a click goes to the first moment of one."""

    def build(self) -> QWidget:
        self.list = QListWidget()
        self.list.setAccessibleName(tr("Chapters"))
        self.list.setWordWrap(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.itemClicked.connect(self._chosen)
        self.list.itemActivated.connect(self._chosen)
        self.prose = Prose()
        reading = QWidget()
        column = QVBoxLayout(reading)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.prose, 1)
        buttons = QHBoxLayout()
        for name in ("previous_chapter", "next_chapter"):
            button = QToolButton()
            action = ACTIONS[name]
            button.setText(tr(action.title))
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
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self.splitter.addWidget(self.list)
        self.splitter.addWidget(reading)
        self.splitter.addWidget(scroll)
        self.splitter.setSizes([150, 260, 170])
        return self.splitter

    def _chosen(self, item: QListWidgetItem) -> None:
        id = item.data(Qt.ItemDataRole.UserRole)
        if id:
            open_chapter(self.session, id)

    def refresh(self, changed: frozenset[str]) -> None:
        if changed & {"recording", "parameters", "everything"}:
            self._fill()
        if changed & {"recording", "chapter", "everything", "parameters"}:
            self._show_page()

    def _fill(self) -> None:
        self.list.clear()
        scene, recording = self.session.scene, self.session.recording
        if scene is None or recording is None:
            hint = QListWidgetItem(tr("Open a scene: its chapters appear here."))
            hint.setFlags(Qt.ItemFlag.NoItemFlags)
            self.list.addItem(hint)
        else:
            for number, chapter in enumerate(scene.chapters, 1):
                title = chapter.title.fill(recording.parameters)[language()]
                item = QListWidgetItem(f"{number}  {title}")
                item.setData(Qt.ItemDataRole.UserRole, chapter.id)
                self.list.addItem(item)
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
        scene, recording, chosen = self.session.scene, self.session.recording, self.session.state.chapter
        if scene is None or recording is None:
            self.prose.show_markdown(tr("A chapter is a stretch of the timeline with a text and a view."))
            return
        for row in range(self.list.count()):
            item = self.list.item(row)
            if item.data(Qt.ItemDataRole.UserRole) == chosen:
                self.list.setCurrentItem(item)
        chapter = next((c for c in scene.chapters if c.id == chosen), None)
        if chapter is None:
            self.list.clearSelection()
            self.prose.show_markdown(scene.summary[language()])
        else:
            self.prose.show_markdown(chapter.text.fill(recording.parameters)[language()])


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
