"""Comparing in the window: opened and left by key, followed by step, clicked in; what it leaves behind."""

from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel

from explorer.model import text
from explorer.model.actions import ACTIONS
from explorer.model.compare import linked_moment
from explorer.view.compare import (
    BESIDE,
    GRADIENT_RATIO,
    NAME,
    VALUE,
    VALUE_RATIO,
    WIDE,
    ratio_words,
)
from explorer.view.paint import limits
from explorer.view.theme import THEMES

SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def beside(lstm, qtbot):
    """A function that puts a scene beside the LSTM, chosen by typing, or with no words this scene."""

    def put(words=""):
        if lstm.comparing.on:
            lstm.comparing.more.click()
        else:
            lstm.canvas.setFocus()
            qtbot.keyClick(lstm.canvas, Qt.Key.Key_C, SHIFT)
        field = QApplication.focusWidget()
        qtbot.keyClicks(field, words)
        qtbot.keyClick(field, Qt.Key.Key_Return)
        return lstm.comparing.panes[-1].canvas

    return put


def listed(comparing, qtbot):
    qtbot.waitUntil(lambda: not comparing._count.isActive())
    return comparing.table


def test_both_follow_the_keys_and_nothing_stays_behind(lstm, beside, qtbot):
    session, comparing = lstm.session, lstm.comparing
    before, actions = list(session._listeners), lstm.menus.actions["compare"].text()
    canvas = beside("bptt")
    other = canvas.session
    assert other.state.scene == "bptt" and canvas.isVisible()
    assert lstm.menus.actions["compare"].text() != actions
    lstm.canvas.setFocus()
    for key in (Qt.Key.Key_End, Qt.Key.Key_Left, Qt.Key.Key_PageUp, Qt.Key.Key_Home):
        qtbot.keyClick(lstm.canvas, key)
        moment = linked_moment(session.trace, session.state.t, other.trace, "share")
        assert other.state.t == round(moment)
    for _ in range(12):
        qtbot.keyClick(lstm.canvas, Qt.Key.Key_Right)
    assert session.state.t == 12 and 0 < other.state.t < 12
    comparing.how.setCurrentIndex(1)
    comparing.how.activated.emit(1)
    assert other.state.t == round(linked_moment(session.trace, 12.0, other.trace, "time"))
    qtbot.keyClick(canvas, Qt.Key.Key_Escape)
    assert not comparing.on and not comparing.rest.isVisible() and not comparing.first.head.isVisible()
    assert session._listeners == before and other._listeners == []
    assert lstm.menus.actions["compare"].text() == actions
    qtbot.keyClick(lstm.canvas, Qt.Key.Key_End)
    assert session.state.t == session.end and other.state.t < other.end


def test_the_action_ends_it_too_and_so_do_the_crosses(lstm, beside, qtbot):
    beside("bptt")
    lstm.run(ACTIONS["compare"])
    assert not lstm.comparing.on
    beside("bptt")
    beside("gru")
    assert len(lstm.comparing.panes) == 2 and not lstm.comparing.more.isEnabled()
    lstm.comparing.panes[0].close_button.click()
    assert [p.canvas.session.state.scene for p in lstm.comparing.panes] == ["gru"]
    lstm.comparing.first.close_button.click()
    assert not lstm.comparing.on


def test_another_scene_keeps_the_others_and_closing_ends_it(lstm, beside):
    other = beside("bptt").session
    lstm.open_scene("gru")
    assert lstm.comparing.on and lstm.comparing.first.title.text() == lstm.session.scene.title.en
    lstm.close_scene()
    assert not lstm.comparing.on and other._listeners == []


def test_a_click_selects_the_same_name_elsewhere(lstm, beside, qtbot):
    canvas = beside("bptt")
    other = canvas.session
    node = other.trace.graph.named("x_1").id
    canvas.show_everything()
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.middle_of(node))
    assert lstm.session.state.selection == (lstm.session.trace.graph.named("x_1").id,)
    box = other.layout.boxes[other.layout.box_of_node[node]]
    assert "In Long short-term memory" in canvas.words_at(QPointF(box.x, box.y))


def menu_of(canvas, node):
    """What opens at a right click on a box."""
    point = canvas.middle_of(node)
    reason = QContextMenuEvent.Reason.Mouse
    QApplication.sendEvent(canvas, QContextMenuEvent(reason, point, canvas.mapToGlobal(point)))
    return QApplication.activePopupWidget()


def test_the_further_canvas_has_the_same_menu_on_its_own_scene(lstm, beside, qtbot):
    canvas = beside("bptt")
    other, main = canvas.session, lstm.session
    canvas.show_everything()
    node, here = other.trace.graph.named("z_1").id, main.trace.graph.named("x_1").id
    titles = [q.text() for q in menu_of(lstm.canvas, here).actions()]
    QApplication.activePopupWidget().close()
    menu = menu_of(canvas, node)
    assert other.state.selection == (node,)
    theirs = {q.text(): q for q in menu.actions()}
    assert {"Look inside", "Zoom to selection", "Fold everything", "Hold at 1"} <= theirs.keys()
    for words in ("Show in outline", "Add a breakpoint"):  # panels that know the main scene only
        assert words in titles and words not in theirs
    before = main.state
    theirs["Hold at 1"].trigger()
    assert set(other.trace.graph.held) == {node} and not main.trace.graph.held
    menu.close()
    menu = menu_of(canvas, node)
    next(q for q in menu.actions() if q.text() == "Copy value").trigger()
    assert "1." in QApplication.clipboard().text()
    assert main.state == before


def test_the_further_canvas_explains_its_own_colours(lstm, beside):
    for panel in lstm.panels.values():
        panel.hide()
    canvas = beside("bptt")
    other = canvas.session
    assert (canvas.look().value_limit, canvas.look().gradient_limit) == limits(other.frame())
    canvas.resize(600, 400)
    assert not canvas.legend_rect().isEmpty()
    lstm.run(ACTIONS["legend"])
    assert canvas.legend_rect().isEmpty() and not lstm.canvas.legend
    assert not beside("gru").legend


def test_two_settings_of_one_scene_say_what_differs(lstm, beside):
    beside()
    lstm.session.update(parameters={"T": 5})
    titles = [lstm.comparing.first.title.text(), lstm.comparing.panes[0].title.text()]
    assert "T = 5" in titles[0] and "T = 3" in titles[1]


def test_differences_are_listed_sorted_and_selected(lstm, beside, qtbot):
    beside()
    session, comparing = lstm.session, lstm.comparing
    session.update(t=float(session.end))
    leaf = session.trace.graph.named("x_2").id
    session.edit(leaf, 10 * np.array(session.trace.values[leaf]))
    table = listed(comparing, qtbot)
    rows = {d.name: d for _, d in table.rows}
    assert rows["x_2"].value.ratio == pytest.approx(0.1) and rows["x_1"].value.difference == 0
    assert ratio_words(rows["x_2"].value) == "▼ 0.1×" and ratio_words(rows["x_1"].value) == "="
    comparing.list.sortByColumn(VALUE_RATIO, Qt.SortOrder.DescendingOrder)
    ratios = [table.number(d, VALUE_RATIO) for _, d in table.rows]
    known = [r for r in ratios if not np.isnan(r)]
    assert known == sorted(known, reverse=True) and ratios[: len(known)] == known
    comparing.list.sortByColumn(NAME, Qt.SortOrder.AscendingOrder)
    row = next(k for k, (_, d) in enumerate(table.rows) if d.name == "x_2")
    assert table.data(table.index(row, VALUE_RATIO), Qt.ItemDataRole.BackgroundRole) is not None
    index = table.index(row, VALUE)
    comparing.list.scrollTo(index)
    place = comparing.list.visualRect(index).center()
    qtbot.mouseClick(comparing.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert session.state.selection == (leaf,)
    assert comparing.list.isColumnHidden(BESIDE)
    comparing.wanted.click()
    assert not comparing.list.isVisible()


def test_the_flow_is_laid_over(lstm, beside):
    session = lstm.session
    lstm.run(ACTIONS["lab_flow"])
    view = lstm.panels["lab"].views["flow"]
    assert view.over == []
    other = beside("bptt").session
    session.update(t=float(session.end))
    assert [over.base for over in view.over] == ["z"]
    x, y = view.over[0].line.curve.getOriginalDataset()
    assert list(x) == list(view.over[0].flow.times) and np.allclose(y, view.over[0].flow.whole)
    fit = view.over[0].flow.fit(other.end)
    assert "BPTT" in view.over[0].row.text() or other.scene.title.en in view.over[0].row.text()
    assert f"× {text.number(fit.factor, 4)} per step back" in view.over[0].row.text()
    curves = len(view.plot.getPlotItem().listDataItems())
    lstm.comparing.close_all()
    assert view.over == [] and len(view.plot.getPlotItem().listDataItems()) == curves - 2


@pytest.mark.parametrize("code", text.LANGUAGES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_there_is_room_for_all_of_it(lstm, beside, qtbot, code, theme):
    lstm.set_language(code)
    lstm.set_theme(theme)
    beside("bptt")
    lstm.run(ACTIONS["lab_flow"])
    beside()
    comparing = lstm.comparing
    qtbot.waitUntil(lambda: comparing.panes[1].canvas.isVisible())
    QTest.qWait(20)
    canvases = [lstm.canvas, *(pane.canvas for pane in comparing.panes)]
    assert not comparing.list.isVisible() and not comparing.wanted.isEnabled()  # three in a column
    for a, b in pairwise(canvases):
        assert a.mapTo(comparing, a.rect().bottomLeft()).y() < b.mapTo(comparing, b.rect().topLeft()).y()
    bottom = canvases[-1].mapTo(comparing, canvases[-1].rect().bottomLeft())
    assert comparing.rect().contains(bottom)
    assert all(canvas.width() >= WIDE and canvas.height() >= 120 for canvas in canvases)
    assert all(canvas.theme == THEMES[theme] for canvas in canvases)
    for label in comparing.findChildren(QLabel):
        if label.isVisible():
            assert label.heightForWidth(label.width()) <= label.height() + 1, label.text()
    comparing.panes[1].close_button.click()
    QTest.qWait(20)
    assert comparing.list.isVisible() and lstm.canvas.width() >= WIDE
    table = listed(comparing, qtbot)
    for column in range(VALUE, GRADIENT_RATIO + 1):
        metrics = comparing.list.fontMetrics()
        words = [table.words(row, column) for row in table.rows]
        assert max(map(metrics.horizontalAdvance, words)) < comparing.list.columnWidth(column)
    lstm.set_language("en")


def test_a_window_that_closes_ends_it(lstm, beside):
    other = beside("bptt").session
    lstm.close()
    assert other._listeners == [] and lstm.session._listeners == []
