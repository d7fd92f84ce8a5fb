"""Search over the canvas, by real keys: what is found is selected, unfolded and brought into view."""

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from explorer.view.search import HINT

ENTER, ESCAPE = Qt.Key.Key_Return, Qt.Key.Key_Escape
SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


def find(window, words):
    """Ctrl+F and the words."""
    QTest.keyClick(window.canvas, Qt.Key.Key_F, CONTROL)
    QTest.keyClicks(QApplication.focusWidget(), words)
    return window.search


def is_seen(window, node):
    layout = window.session.layout
    box = layout.boxes[layout.box_of_node[node]]
    seen = window.canvas.transform().inverted()[0].mapRect(QRectF(window.canvas.rect()))
    return box.node == node and box.kind == "node" and seen.contains(box.x, box.y)


def test_a_folded_node_is_unfolded_selected_and_seen(lstm):
    session = lstm.session
    node = session.recording["f_2"].id
    assert "lstm/t=2/forget" in session.state.folded
    search = find(lstm, "f_2")
    assert search.count.text() == "1 found"
    assert session.state.selection == ()  # typing alone changes nothing
    QTest.keyClick(search.field, ENTER)
    assert session.state.selection == (node,)
    assert "lstm/t=2/forget" not in session.state.folded
    assert "lstm/t=3/forget" in session.state.folded
    assert is_seen(lstm, node)
    assert search.count.text() == "1 of 1"
    session.undo()
    assert "lstm/t=2/forget" in session.state.folded


def test_next_and_previous_go_round(lstm):
    session = lstm.session
    gates = [session.recording[f"{letter}_2"].id for letter in "fio"]
    search = find(lstm, "op:sigmoid t=2")
    QTest.keyClick(search.field, ENTER)
    assert session.state.selection == (gates[0],)
    QTest.keyClick(search.field, ENTER)
    assert session.state.selection == (gates[1],)
    QTest.keyClick(search.field, ENTER, SHIFT)
    assert session.state.selection == (gates[0],)
    QTest.keyClick(search.field, Qt.Key.Key_F3, SHIFT)
    assert session.state.selection == (gates[2],)
    QTest.keyClick(search.field, Qt.Key.Key_F3)
    assert session.state.selection == (gates[0],)
    QTest.keyClick(search.field, ESCAPE)
    assert not search.isVisible()
    assert QApplication.focusWidget() is lstm.canvas
    QTest.keyClick(lstm.canvas, Qt.Key.Key_F3)
    assert session.state.selection == (gates[1],)


def test_arrows_choose_a_row_and_a_click_takes_it(lstm):
    session = lstm.session
    search = find(lstm, "op:sigmoid t=2")
    QTest.keyClick(search.field, Qt.Key.Key_Down)
    QTest.keyClick(search.field, Qt.Key.Key_Down)
    QTest.keyClick(search.field, ENTER)
    assert session.state.selection == (session.recording["o_2"].id,)
    item = search.list.item(1)
    assert "t = 2" in item.data(HINT)
    place = search.list.visualItemRect(item).center()
    QTest.mouseClick(search.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert session.state.selection == (session.recording["i_2"].id,)


def test_arrow_keys_move_in_the_field_and_letters_are_no_shortcuts(lstm):
    session = lstm.session
    session.update(t=5.0)
    search = find(lstm, "fzu ")
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End):
        QTest.keyClick(search.field, key)
    assert session.state.t == 5.0
    assert not session.state.playing
    assert search.field.text() == "fzu "
    assert search.field.cursorPosition() == 4
    assert search.count.text() == "nothing found"
    QTest.keyClick(search.field, ENTER)
    assert session.state.selection == ()


def test_a_new_graph_is_searched_anew(lstm):
    find(lstm, "f_5")
    assert lstm.search.hits == []
    lstm.session.update(parameters={"T": 5}, title="Change T")
    QTest.keyClick(lstm.canvas, Qt.Key.Key_F3)
    assert lstm.session.state.selection == (lstm.session.recording["f_5"].id,)


def test_it_stands_inside_the_window_at_every_size(lstm):
    search = find(lstm, "t=2")
    for width, height in ((1280, 720), (800, 500), (720, 480)):
        lstm.resize(width, height)
        QGuiApplication.processEvents()
        assert lstm.rect().contains(search.geometry()), (width, height, search.geometry())
        assert search.list.viewport().height() > search.list.sizeHintForRow(0)


def test_without_a_scene_there_is_nothing_to_find(still):
    assert not still.menus.actions["find_node"].isEnabled()
    still.find_node()
    assert still.search.hits == []
