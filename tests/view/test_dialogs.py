"""Dialogs in Japanese: Qt's own words are Japanese too, and our fonts draw them."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QLocale, QPoint, Qt, QTimer
from PySide6.QtGui import QAction, QContextMenuEvent, QRawFont
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QDialog,
    QFileDialog,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QMessageBox,
    QProgressDialog,
    QPushButton,
    QScrollBar,
    QSpinBox,
    QTextBrowser,
    QTextEdit,
    QTreeView,
    QWidget,
)

from explorer.model import text
from explorer.model.files import Recoverable
from explorer.view import altered, dialogs, fonts

ASK_KEEP = dialogs.ask_keep  # before the tests' own answer takes its place
OTHERS = [language for language in text.LANGUAGES if language != "en"]
FILES = {"folder", "kept.backstep", "kept.json", "kept.png", "kept.mp4"}
# Names that are written so in Japanese as well
NAMES = {"Backstep", "LSTM", "tanh", "MIT", "Tabler", "OK"}
NAMES |= {"PNG", "SVG", "PDF", "MP4", "MPEG", "GIF", "WebP", "JSON"}


@pytest.fixture
def folder(tmp_path, monkeypatch, qapp):
    """Where dialogs look for files: Qt's own ones, and not the system's."""
    place = tmp_path / "folder"
    (place / "folder").mkdir(parents=True)
    for name in sorted(FILES - {"folder"}):
        (place / name).write_text(" " * 2000, "utf-8")
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setattr(dialogs, "ask_keep", ASK_KEEP)
    qapp.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    yield place
    qapp.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs, False)
    dialogs.install_qt_translation("en")


@pytest.fixture
def japanese(lstm, folder):
    """A window that speaks Japanese, with the LSTM."""
    lstm.set_language("ja")
    return lstm


def words_of(place: QWidget) -> Iterator[str]:
    """All that a widget and those inside it say, or would say when pointed at."""
    for widget in [place, *place.findChildren(QWidget)]:
        yield from (widget.toolTip(), widget.statusTip(), widget.windowTitle())
        yield from (widget.accessibleName(), widget.accessibleDescription())
        if isinstance(widget, QLabel | QAbstractButton):
            yield widget.text()
        elif isinstance(widget, QLineEdit):
            yield widget.placeholderText()
        elif isinstance(widget, QComboBox):
            yield from (widget.itemText(k) for k in range(widget.count()))
        elif isinstance(widget, QHeaderView):
            yield from (said_by(widget, k) for k in range(widget.count()))
        elif isinstance(widget, QAbstractItemView) and widget.isVisible():
            yield from cells(widget)
    for action in place.findChildren(QAction):
        yield from (action.text(), action.toolTip(), action.statusTip())


def said_by(header: QHeaderView, section: int) -> str:
    return str(header.model().headerData(section, header.orientation()) or "")


def cells(view: QAbstractItemView) -> Iterator[str]:
    """What a list or tree shows; sizes, dates and kinds of files are left out, for the system words them."""
    model, root = view.model(), view.rootIndex()
    for row in range(model.rowCount(root)):
        folder = isinstance(view, QTreeView) and model.hasChildren(model.index(row, 0, root))
        for column in (0, 2) if folder else (0,):
            yield str(model.index(row, column, root).data() or "")


def english(said: str) -> list[str]:
    """Words of two letters or more that are neither names nor files nor keys."""
    if said in FILES | {Path.home().name} or Path(said).is_absolute():
        return []
    without = re.sub(r"\t.*|\*\.\w+|\w+\.(backstep|png|mp4)|SIL Open Font License", "", said)
    return [word for word in re.findall(r"[A-Za-z][A-Za-z0-9]+", without) if word not in NAMES]


def menu_of(widget: QWidget) -> set[str]:
    """What the context menu of a widget says, nothing where there is none."""
    found: set[str] = set()

    def look() -> None:
        menu = QApplication.activePopupWidget()
        if isinstance(menu, QMenu):
            found.update(action.text() for action in menu.actions())
            menu.close()

    QTimer.singleShot(30, look)
    inner = widget.viewport() if isinstance(widget, QAbstractItemView | QTextEdit) else widget
    at = QPoint(4, 4)
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, at, inner.mapToGlobal(at))
    QCoreApplication.sendEvent(inner, event)
    QTest.qWait(50)
    return found


def read(qtbot, ask: Callable[[], object]) -> set[str]:
    """Open a dialog, look at it and leave it: what it says, and what its context menus say."""
    found: set[str] = set()

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, QDialog), "no dialog has opened"
        try:
            if isinstance(dialog, QFileDialog):
                tree = dialog.findChild(QTreeView, "treeView")
                qtbot.waitUntil(lambda: tree.model().rowCount(tree.rootIndex()) > 1)
            found.update(words_of(dialog))
            for widget in [*dialog.findChildren(QLineEdit), *dialog.findChildren(QAbstractItemView)]:
                if widget.isVisible():
                    found.update(menu_of(widget))
        finally:
            dialog.reject()

    QTimer.singleShot(50, look)
    ask()
    qtbot.waitUntil(lambda: bool(found))
    return found - {""}


ASKED: dict[str, Callable] = {
    "open": lambda w, folder: dialogs.ask_open(w, str(folder)),
    "save": lambda w, folder: dialogs.ask_save(w, str(folder / "mine.backstep")),
    "picture": lambda w, folder: dialogs.export_picture(w),
    "film": lambda w, folder: dialogs.export_film(w),
    "keep": lambda w, folder: dialogs.ask_keep(w, "kept.backstep"),
    "changed": lambda w, folder: dialogs.ask_changed(w, "kept.backstep"),
    "loss": lambda w, folder: dialogs.warn_of_loss(w),
    "backup": lambda w, folder: dialogs.ask_backup(w, text.tr("there is no such file")),
    "recovery": lambda w, folder: dialogs.offer_recovery(
        w, [Recoverable(folder / "kept.json", "", None, 1e9, "lstm")]
    ),
    "about": lambda w, folder: dialogs.show_about(w),
    "expression": lambda w, folder: w.new_expression(),
    "hold": lambda w, folder: altered.ask_value(w, w.session, [w.session.recording["f_2"].id]),
    "warning": lambda w, folder: QMessageBox.warning(w, text.tr("Unsaved work"), text.tr("Later")),
    "buttons": lambda w, folder: every_button(w).exec(),
}


def every_button(window) -> QMessageBox:
    """A message with all of Qt's own buttons."""
    box = QMessageBox(window)
    for kind in QMessageBox.StandardButton:
        if box.standardButtons() | kind != box.standardButtons():
            box.setStandardButtons(box.standardButtons() | kind)
    box.setDetailedText("…")
    return box


@pytest.mark.parametrize("which", ASKED)
def test_a_dialog_has_no_english_left(which, japanese, folder, qtbot):
    said = read(qtbot, lambda: ASKED[which](japanese, folder))
    assert {words: english(words) for words in said if english(words)} == {}
    assert any(not words.isascii() for words in said)


def test_the_file_dialog_speaks_as_the_window_does(lstm, folder, qtbot):
    def ask():
        said = read(qtbot, lambda: dialogs.ask_open(lstm, str(folder)))
        return said - {"Open", "&Open"}  # one or the other, as a file is chosen or not

    first = ask()
    assert {"&Look in:", "Files of &type:", "Date Modified"} <= first
    lstm.set_language("ja")
    there = ask()
    assert {"場所(&L):", "ファイルの種類(&T):", "更新日", "フォルダ"} <= there
    lstm.set_language("en")
    assert ask() == first


@pytest.mark.parametrize("kind", [QLineEdit, QTextEdit, QTextBrowser, QSpinBox, QScrollBar, QLabel])
def test_context_menus_have_no_english_left(kind, japanese, qtbot):
    widget = kind()
    qtbot.addWidget(widget)
    if isinstance(widget, QLabel):
        widget.setText("……")
        widget.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    widget.resize(120, 80)
    with qtbot.waitExposed(widget):
        widget.show()
    said = menu_of(widget) - {""}
    assert said
    assert [words for words in said if english(words)] == []


def test_progress_says_how_far_and_no_more(japanese, qtbot):
    progress = QProgressDialog(text.tr("Filming…"), text.tr("Cancel"), 0, 10, japanese)
    qtbot.addWidget(progress)
    progress.setValue(3)
    assert [words for words in words_of(progress) if english(words)] == []
    assert progress.findChild(QPushButton).text() == text.tr("Cancel")


def test_what_qt_has_no_translation_for_stays_english(japanese):
    translate = QCoreApplication.translate
    assert translate("QFileDialog", "&Look in:") == "場所(&L):"
    assert translate("QFileDialog", "Directory:") == "ディレクトリ:"
    assert translate("QFileDialog", "Never said before") == "Never said before"
    assert translate("Somebody", "&Look in:") == "&Look in:"


def test_kinds_of_files_are_named_in_the_language(japanese):
    assert QLocale().language() == QLocale.Language.Japanese  # what Qt asks the system's list in
    japanese.set_language("en")
    assert QLocale() == QLocale.system()


@pytest.mark.parametrize("language", OTHERS)
def test_our_words_for_qt_are_sorted_and_drawn(language, qapp):
    written = (text.ASSETS / "qt" / f"{language}.json").read_text("utf-8")
    table = json.loads(written)
    assert written == json.dumps(table, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    words = "".join(ours for context in table.values() for ours in context.values())
    fonts.load_fonts()
    faces = [QRawFont.fromFont(face) for face in only_ours()]
    assert [c for c in sorted(set(words)) if not any(f.supportsCharacter(ord(c)) for f in faces)] == []
    for context in table.values():
        for source, ours in context.items():
            assert re.findall(r"%\d", source) == re.findall(r"%\d", ours), source
            letter = re.search(r"&(\w)", source)
            assert letter is None or f"(&{letter[1].upper()})" in ours, source


def only_ours():
    for family in fonts.FAMILIES:
        font = fonts.ui_font(20)
        font.setFamilies([family])
        yield font
