"""What a screen reader gets: boxes with name, value and state, and a sentence for each step."""

import gc

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, Qt
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtTest import QTest

from explorer.model import playback
from explorer.view import accessible
from explorer.view.accessible import CanvasInterface, interface
from explorer.view.settings import Settings
from explorer.view.window import Window

NAME, VALUE, DESCRIPTION = QAccessible.Text.Name, QAccessible.Text.Value, QAccessible.Text.Description


@pytest.fixture
def listening():
    """A screen reader is there."""
    QAccessible.setActive(True)
    yield
    QAccessible.setActive(False)


@pytest.fixture
def said(monkeypatch, listening):
    """Every event that is sent; what is announced as its words."""
    events = []

    def keep(event):
        announced = isinstance(event, QAccessibleAnnouncementEvent)
        events.append(event.message() if announced else event.type())

    monkeypatch.setattr(accessible.QAccessible, "updateAccessibility", keep)
    return events


@pytest.fixture
def canvas(lstm, listening):
    found = interface(lstm.canvas)
    assert isinstance(found, CanvasInterface)
    return found


def child_of(canvas, node):
    """The child that stands for a node's box."""
    handle = canvas.boxes.handle_of(node)
    assert handle is not None
    return interface(handle)


def test_the_canvas_names_its_boxes(lstm, canvas):
    session = lstm.session
    lstm.canvas.show_everything()
    session.update(t=float(session.end))
    assert canvas.role() == QAccessible.Role.Canvas
    assert canvas.text(NAME) == "Computation graph"
    assert canvas.text(VALUE) == playback.describe(session, session.state.t)
    assert canvas.childCount() == len(session.layout.boxes)
    names = [canvas.child(k).text(NAME) for k in range(canvas.childCount())]
    assert "c₂" in names
    assert "forget gate, folded" in names
    for k in range(canvas.childCount()):
        child = canvas.child(k)
        assert canvas.indexOfChild(child) == k
        assert child.parent().object() is lstm.canvas
        assert child.role() == QAccessible.Role.ListItem
        assert child.text(NAME)


def test_value_gradient_and_state_follow_the_moment(lstm, canvas):
    session = lstm.session
    lstm.canvas.show_everything()
    node = session.recording["c_2"].id
    session.update(t=0.0)
    child = child_of(canvas, node)
    assert child.text(VALUE) == "not computed yet"
    assert child.state().disabled
    step = int(session.trace.forward_step[node])
    session.update(t=step + 0.5)
    assert child.state().busy
    assert "being computed" in child.text(DESCRIPTION)
    session.update(t=float(session.end))
    assert child.text(VALUE).startswith("[")
    assert child.text(DESCRIPTION).startswith(f"value {child.text(VALUE)}, gradient [")
    assert "arrived" in child.text(DESCRIPTION)
    assert not child.state().disabled
    assert not child.state().selected
    session.update(selection=(node,))
    assert child.state().selected
    assert canvas.focusChild().text(NAME) == "c₂"


def test_only_boxes_in_view_and_selected_ones_are_told(lstm, canvas):
    session = lstm.session
    lstm.canvas.show_everything()
    everything = canvas.childCount()
    lstm.canvas.show_nodes({session.recording["c_1"].id}, most=4.0)
    some = canvas.childCount()
    assert 0 < some < everything
    far = session.recording["c_3"].id
    assert canvas.boxes.number_of(("node", far, None, "lstm/t=3")) is not None
    session.update(selection=(far,))
    assert canvas.childCount() == some + 1
    assert child_of(canvas, far).state().offscreen


def test_a_box_is_where_it_is_drawn(lstm, canvas):
    lstm.canvas.show_everything()
    node = lstm.session.recording["c_2"].id
    middle = lstm.canvas.mapToGlobal(lstm.canvas.middle_of(node))
    assert child_of(canvas, node).rect().contains(middle)
    assert canvas.childAt(middle.x(), middle.y()).text(NAME) == "c₂"
    corner = lstm.canvas.mapToGlobal(QPoint(2, lstm.canvas.height() - 2))
    assert canvas.childAt(corner.x(), corner.y()) is None


def test_steps_are_announced_by_keys_but_not_while_playing(lstm, said):
    session = lstm.session
    QTest.keyClick(lstm.canvas, Qt.Key.Key_Home)
    said.clear()
    for _ in range(3):
        QTest.keyClick(lstm.canvas, Qt.Key.Key_Right)
        assert said[0] == playback.describe(session, session.state.t)
        said.clear()
    session.update(playing=True)
    session.update(t=9.3)
    assert said == []
    session.update(playing=False)
    assert said[0] == playback.describe(session, 9.3)


def test_a_selection_takes_the_readers_focus(lstm, said):
    lstm.canvas.show_everything()
    said.clear()
    lstm.session.update(selection=(lstm.session.recording["c_2"].id,))
    assert said == [QAccessible.Event.Selection, QAccessible.Event.Focus]
    lstm.show_panel("outline")
    said.clear()
    lstm.session.update(selection=(lstm.session.recording["c_1"].id,))
    assert said == [QAccessible.Event.Selection]  # the focus is the tree's


def test_a_find_is_announced_with_its_number(lstm, said):
    QTest.keyClick(lstm.canvas, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(lstm.search.field, "op:sigmoid t=2")
    said.clear()
    QTest.keyClick(lstm.search.field, Qt.Key.Key_Return)
    assert [words for words in said if isinstance(words, str)] == [
        "1 of 3: f₂, sigmoid · t = 2 · forget gate · 2"
    ]


def test_nothing_is_said_when_nobody_listens(lstm, said):
    QAccessible.setActive(False)
    lstm.session.update(t=4.0, selection=(lstm.session.recording["c_2"].id,))
    lstm.announce("something")
    assert said == []


def test_palette_says_where_its_list_is(lstm, said):
    QTest.keyClick(lstm.canvas, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    said.clear()
    QTest.keyClick(lstm.palette_field.field, Qt.Key.Key_Down)
    assert said == [lstm.palette_field.list.currentItem().data(Qt.ItemDataRole.AccessibleTextRole)]


def test_boxes_that_are_gone_leave_nothing_behind(qapp, tmp_path, listening):
    def sweep():
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()

    sweep()
    before = len(accessible._alive)
    window = Window(settings=Settings(str(tmp_path / "own.ini")))
    window.show()
    window.canvas.reduced_motion = True
    window.open_scene("lstm")
    canvas = interface(window.canvas)
    for t in (5, 3, 4):
        window.session.update(parameters={"T": t}, title="Change T")
        window.canvas.show_everything()
        names = [canvas.child(k).text(NAME) for k in range(canvas.childCount())]
        assert f"c{'₀₁₂₃₄₅'[t]}" in names
        sweep()
        assert len(accessible._alive) - before == 1 + len(window.session.layout.boxes)
    window.session.close()
    assert canvas.childCount() == 0
    del canvas
    window.close()
    window.deleteLater()
    sweep()
    assert len(accessible._alive) == before
