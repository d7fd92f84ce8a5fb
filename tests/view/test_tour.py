"""The tour: once, leavable at once, replayable; and the box menu with its copies."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QMenu

from explorer.model import clips, text
from explorer.model.actions import ACTIONS

HINTS = 5


def shown(window):
    return window._tour is not None and window._tour.isVisible()


@pytest.fixture
def tour(lstm):
    lstm.run(ACTIONS["show_tour"])
    return lstm._tour


def test_the_first_run_shows_it_when_a_scene_is_open_and_never_again(make_window, qtbot):
    first = make_window()
    first.offer_tour()
    assert not shown(first)
    first.open_scene("bptt")
    qtbot.waitUntil(lambda: shown(first), timeout=3000)
    QTest.keyClick(first._tour, Qt.Key.Key_Escape)
    assert not shown(first)
    assert QGuiApplication.focusObject() is first.canvas
    first.close()
    second = make_window()
    second.offer_tour()
    second.open_scene("bptt")
    qtbot.wait(700)
    assert not shown(second)
    second.run(ACTIONS["show_tour"])
    assert shown(second)


def test_keys_lead_through_five_hints(lstm, tour):
    seen = []
    for _ in range(HINTS):
        seen.append(tour.title.text())
        assert tour.count.text() == f"{len(seen)} / {HINTS}"
        QTest.keyClick(tour, Qt.Key.Key_Right)
    assert len(set(seen)) == HINTS
    assert not shown(lstm)
    assert lstm.settings.tour_seen
    assert lstm.session.state.t == 0  # → was not a step


def test_back_and_the_buttons(lstm, tour):
    QTest.mouseClick(tour.next, Qt.MouseButton.LeftButton)
    QTest.keyClick(tour, Qt.Key.Key_Space)
    assert tour.at == 2
    QTest.keyClick(tour, Qt.Key.Key_Left)
    QTest.mouseClick(tour.back, Qt.MouseButton.LeftButton)
    assert tour.at == 0
    assert not tour.back.isEnabled()
    QTest.mouseClick(tour.skip, Qt.MouseButton.LeftButton)
    assert not shown(lstm)


def test_escape_leaves_wherever_the_keyboard_is(lstm, tour, qtbot):
    lstm.activateWindow()
    lstm.canvas.setFocus()
    QTest.keyClick(lstm.canvas, Qt.Key.Key_Escape)
    assert not shown(lstm)


def test_the_window_stays_usable(lstm, tour):
    lstm.canvas.show_everything()
    node = lstm.session.recording["x_1"].id
    QTest.mouseClick(lstm.canvas, Qt.MouseButton.LeftButton, pos=lstm.canvas.middle_of(node))
    assert lstm.session.state.selection == (node,)
    assert shown(lstm)


def test_its_frame_stays_around_what_it_speaks_of(lstm, tour, qtbot):
    before = lstm.canvas.width()
    lstm.show_panel("lab")
    qtbot.waitUntil(lambda: lstm.canvas.width() < before)
    qtbot.waitUntil(lambda: tour.frame.size() == lstm.canvas.size())
    assert tour.frame.pos() == lstm.canvas.mapTo(lstm, QPoint(0, 0))


def test_it_goes_on_in_another_language_and_ends_with_the_scene(lstm, tour):
    QTest.keyClick(tour, Qt.Key.Key_Right)
    lstm.set_language("ja")
    assert lstm._tour.at == 1
    assert lstm._tour.title.text() == text.tr("Time") != "Time"
    lstm.session.close()
    assert not shown(lstm)


@pytest.mark.parametrize("language", list(text.LANGUAGES))
@pytest.mark.parametrize("size", [(1280, 720), (720, 480)])
def test_bubbles_stay_inside_and_nothing_is_cut(lstm, language, size):
    lstm.settings.text_size = 150
    lstm.set_language(language)
    lstm.resize(*size)
    QGuiApplication.processEvents()
    lstm.show_tour()
    for _ in range(HINTS):
        bubble = lstm._tour
        assert lstm.rect().contains(bubble.geometry()), bubble.title.text()
        for label in bubble.findChildren(QLabel):
            needed = label.heightForWidth(label.width()) if label.wordWrap() else label.sizeHint().height()
            assert label.height() >= needed, label.text()
            assert label.wordWrap() or label.width() >= label.sizeHint().width(), label.text()
        bubble.go(+1)


# The menu of a box


def menu_at(window, point):
    window.canvas.customContextMenuRequested.emit(point)
    return next(m for m in window.findChildren(QMenu) if m.isVisible())


def test_right_click_offers_what_can_be_done_with_a_node(lstm):
    lstm.canvas.show_everything()
    node = lstm.session.recording["c_2"].id
    menu = menu_at(lstm, lstm.canvas.middle_of(node))
    assert lstm.session.state.selection == (node,)
    assert all(a.isEnabled() for a in menu.actions())
    value = lstm.session.trace.values[node]
    for name, format in {
        "copy_value": "NumPy",
        "copy_csv": "CSV",
        "copy_latex": "LaTeX",
        "copy_text": "text",
    }.items():
        assert lstm.menus.actions[name] in menu.actions()
        lstm.menus.actions[name].trigger()
        assert QGuiApplication.clipboard().text() == clips.FORMATS[format](value)
    read = np.array([float(line) for line in clips.as_csv(value).split("\n")])
    assert np.array_equal(read, value)
    menu.close()


def test_right_click_on_scopes_folds_and_unfolds(lstm):
    lstm.canvas.show_everything()
    session = lstm.session
    box = next(b for b in session.layout.boxes if b.scope == "lstm/t=2/forget")
    assert box.kind == "scope"
    menu = menu_at(lstm, lstm.canvas.transform().map(QPointF(box.x, box.y)).toPoint())
    assert menu.actions()[0].text() == "Unfold forget gate"
    menu.actions()[0].trigger()
    assert "lstm/t=2/forget" not in session.state.folded
    menu.close()
    area = next(a for a in session.layout.areas if a.scope == "lstm/t=2")
    lstm.canvas.show_everything()
    menu = menu_at(lstm, lstm.canvas.transform().map(QPointF(area.x0 + 20, area.y0 + 8)).toPoint())
    assert menu.actions()[0].text() == "Fold t = 2"
    menu.close()


def test_right_click_beside_everything_is_about_the_picture(lstm):
    lstm.canvas.show_everything()
    menu = menu_at(lstm, QPoint(3, lstm.canvas.height() - 3))
    assert lstm.menus.actions["copy_picture"] in menu.actions()
    assert lstm.menus.actions["copy_value"] not in menu.actions()
    menu.close()


def test_folding_around_goes_outward(lstm):
    session = lstm.session
    node = session.recording["f_2"].id
    lstm.reveal(node)
    assert "lstm/t=2/forget" not in session.state.folded
    QTest.keyClick(lstm.canvas, Qt.Key.Key_C)
    assert "lstm/t=2/forget" in session.state.folded
    QTest.keyClick(lstm.canvas, Qt.Key.Key_C)
    assert "lstm/t=2" in session.state.folded
    QTest.keyClick(lstm.canvas, Qt.Key.Key_V)
    assert not session.state.folded & {"lstm/t=2", "lstm/t=2/forget"}
