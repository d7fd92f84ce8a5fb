"""The command palette and the key sheet: both read ACTIONS, so that nothing is missing from either."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel

from explorer.model import text
from explorer.model.actions import ACTIONS, MENUS
from explorer.model.files import save
from explorer.model.session import open_session
from explorer.view.search import PLACES
from explorer.view.shortcuts import KeySheet

ROOT = Path(__file__).resolve().parents[2]
ENTER, ESCAPE = Qt.Key.Key_Return, Qt.Key.Key_Escape


def type_into_palette(window, words):
    """Ctrl+K and the words."""
    source = QApplication.focusWidget() or window
    QTest.keyClick(source, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    palette = window.palette_field
    assert QApplication.focusWidget() is palette.field
    palette.field.setText(words)
    return palette


def titles(palette):
    return [palette.list.item(k).text() for k in range(palette.list.count())]


def test_an_action_is_found_by_its_letters_and_run(lstm):
    palette = type_into_palette(lstm, "unfev")
    assert titles(palette)[0] == "Unfold everything"
    assert palette.list.item(0).data(PLACES) == (0, 1, 2, 7, 8)
    QTest.keyClick(palette.field, ENTER)
    assert lstm.session.state.folded == frozenset()
    assert not palette.isVisible()
    assert QApplication.focusWidget() is lstm.canvas


def test_every_action_is_there_with_its_keys_and_what_can_not_be_done_is_grey(still):
    palette = type_into_palette(still, "")
    listed = titles(palette)
    assert [a.title for a in ACTIONS.values() if a.title not in listed] == ["Command palette"]
    row = listed.index("Play or pause")
    assert not palette.list.item(row).flags() & Qt.ItemFlag.ItemIsEnabled
    palette.field.setText("play or pause")
    QTest.keyClick(palette.field, ENTER)
    assert palette.isVisible()  # nothing to take
    QTest.keyClick(palette.field, ESCAPE)
    assert not palette.isVisible()


def test_scenes_are_found_in_both_languages(still):
    palette = type_into_palette(still, "long short-term memory")
    QTest.keyClick(palette.field, ENTER)
    assert still.session.state.scene == "lstm"
    still.set_language("ja")
    palette = type_into_palette(still, "cec")
    assert text.language() == "ja"
    QTest.keyClick(palette.field, ENTER)
    assert still.session.state.scene == "cec"


def test_nodes_are_found_and_shown(lstm):
    palette = type_into_palette(lstm, "f_2")
    assert "f₂" in titles(palette)
    palette.list.setCurrentRow(titles(palette).index("f₂"))
    QTest.keyClick(palette.field, ENTER)
    assert lstm.session.state.selection == (lstm.session.recording["f_2"].id,)


def test_panels_and_recent_files_are_there(lstm, tmp_path):
    path = str(tmp_path / "lesson.backstep")
    save(path, open_session("mlp").state)
    lstm.settings.remember_file(path)
    palette = type_into_palette(lstm, "outline")
    palette.list.setCurrentRow(titles(palette).index("Outline"))
    QTest.keyClick(palette.field, ENTER)
    assert QApplication.focusWidget() is lstm.panels["outline"].tree
    palette = type_into_palette(lstm, "lesson")
    assert titles(palette)[0] == "lesson.backstep"
    QTest.keyClick(palette.field, ENTER)
    assert lstm.session.state.scene == "mlp"


def test_an_action_that_rebuilds_the_window_can_be_taken(lstm):
    palette = type_into_palette(lstm, "next theme")
    QTest.keyClick(palette.field, ENTER)
    QGuiApplication.processEvents()
    assert lstm.theme.name == "dark"
    assert type_into_palette(lstm, "next theme") is not palette


def test_arrows_pass_over_what_can_not_be_taken(lstm):
    palette = type_into_palette(lstm, "copy")
    enabled = [k for k in range(palette.list.count()) if palette.list.item(k).flags()]
    assert palette.list.currentRow() == enabled[0]
    for _ in range(palette.list.count()):
        QTest.keyClick(palette.field, Qt.Key.Key_Down)
    assert palette.list.currentRow() == enabled[-1]
    for _ in range(palette.list.count()):
        QTest.keyClick(palette.field, Qt.Key.Key_Up)
    assert palette.list.currentRow() == enabled[0]


def test_nothing_of_this_is_loaded_for_the_first_frame(tmp_path):
    code = """
import sys
from explorer.app import make_application
from explorer.view.window import Window
app = make_application()
window = Window()
window.open_scene("lstm")
window.show()
for _ in range(20):
    app.processEvents()
assert window.panels["outline"].model is None
print("loaded:", *sorted(name for name in sys.modules if name.startswith("explorer.view.")))
"""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_CONFIG_HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path),
    }
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    present = {name.rpartition(".")[2] for name in run.stdout.rpartition("loaded:")[2].split()}
    assert "canvas" in present
    assert present & {"palette", "search", "preferences", "tour", "shortcuts"} == set()


# The table


def test_every_action_has_a_menu_a_tip_and_keys_of_its_own():
    assert all(a.menu in MENUS and a.tip and a.title for a in ACTIONS.values())
    keys = [QKeySequence(k).toString() for a in ACTIONS.values() for k in a.keys]
    assert all(keys)
    assert [k for k, n in Counter(keys).items() if n > 1] == []


@pytest.mark.parametrize("language", list(text.LANGUAGES))
def test_the_key_sheet_lists_the_table(lstm, qtbot, language):
    lstm.set_language(language)
    QTest.keyClick(lstm.canvas, Qt.Key.Key_F1)
    sheet = lstm.findChild(KeySheet)
    assert sheet.isVisible()
    rows = {}
    for k in range(sheet.list.topLevelItemCount()):
        heading = sheet.list.topLevelItem(k)
        for j in range(heading.childCount()):
            rows[heading.child(j).text(0)] = heading.child(j).text(1)
    for action in ACTIONS.values():
        for key in action.keys:
            assert (
                QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)
                in rows[text.tr(action.title)]
            )
    QTest.keyClicks(sheet.field, "ctrl+k")
    assert sheet.narrow("ctrl+k") == 1
    assert sheet.narrow("") >= len(ACTIONS)
    for label in sheet.findChildren(QLabel):
        assert label.sizeHint().width() <= label.width() + 1
    QTest.keyClick(sheet, ESCAPE)
    qtbot.waitUntil(lambda: lstm.findChild(KeySheet) is None)
