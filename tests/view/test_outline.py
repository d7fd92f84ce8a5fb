"""The outline dock, used with the keyboard alone; it says what the session says and is tied to the canvas."""

import numpy as np
import pytest
from PySide6.QtCore import QAbstractItemModel, Qt
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QApplication, QMenu

from explorer.view.panels.outline import GRADIENT, NAME, VALUE, Outline, size

SPOKEN = Qt.ItemDataRole.AccessibleTextRole


@pytest.fixture
def outline(lstm, qtbot):
    """The panel in front, with the keyboard in it."""
    lstm.show_panel("outline")
    panel = lstm.panels["outline"]
    qtbot.waitUntil(lambda: panel.tree.isVisible() and panel.model is not None)
    assert QApplication.focusWidget() is panel.tree
    return panel


def press(panel, key, modifier=Qt.KeyboardModifier.NoModifier):
    QTest.keyClick(panel.tree, key, modifier)


def go_to(panel, node):
    panel.tree.setCurrentIndex(panel.model.place(panel.model.of_node[node]))


def numbers(panel, column, parent=None):
    """What a column shows below an entry, top to bottom."""
    model = panel.model
    parent = model.place(model.of_scope[parent]) if parent else model.index(-1, 0)
    return [model.index(k, column, parent).data() for k in range(model.rowCount(parent))]


def test_every_node_and_scope_is_there_once_in_the_order_of_computing(lstm, outline):
    model, session = outline.model, lstm.session
    nodes = [e.node for e in model.entries if e.node is not None]
    assert sorted(nodes) == list(range(len(session.trace.graph)))
    assert set(model.of_scope) - {""} == set(session.topology.scopes)
    for entry in model.entries:
        own = [model.entries[k].node for k in entry.children if model.entries[k].node is not None]
        assert own == sorted(own)
        assert [model.entries[k].row for k in entry.children] == list(range(len(entry.children)))


def test_the_model_keeps_qts_rules(lstm, outline):
    fatal = QAbstractItemModelTester.FailureReportingMode.Fatal
    model = Outline(lstm.session, lstm.theme)
    assert isinstance(model, QAbstractItemModel)
    tester = QAbstractItemModelTester(model, fatal)
    for column, order in ((VALUE, Qt.SortOrder.DescendingOrder), (-1, Qt.SortOrder.AscendingOrder)):
        model.sort(column, order)
    assert tester.model() is model


def test_value_and_gradient_at_the_moment(lstm, outline):
    session, model = lstm.session, outline.model
    node = session.recording["f_2"].id
    place = model.place(model.of_node[node], VALUE)
    session.update(t=0.0)
    assert place.data() == "–"
    session.update(t=float(session.end))
    assert float(place.data()) == pytest.approx(float(np.linalg.norm(session.trace.values[node])), rel=1e-2)
    assert "0 of" not in model.place(model.of_node[node]).data(Qt.ItemDataRole.ToolTipRole)
    loss = session.trace.loss
    assert float(model.place(model.of_node[loss], GRADIENT).data()) == 1.0
    session.edit(session.recording["W_f"].id, np.zeros((2, 2)))
    weight = model.place(model.of_node[session.recording["W_f"].id], VALUE)
    assert weight.data() == "0"


def test_arrows_move_in_the_tree_and_select_on_the_canvas(lstm, outline):
    session = lstm.session
    session.update(t=7.0)
    go_to(outline, session.recording["c_0"].id)
    assert session.state.selection == (session.recording["c_0"].id,)
    press(outline, Qt.Key.Key_Down)
    assert session.state.selection == (session.recording["h_0"].id,)
    press(outline, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    assert session.state.selection == (session.recording["h_0"].id, session.recording["c_0"].id)
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End):
        press(outline, key)
    assert session.state.t == 7.0  # none of them was a step
    press(outline, Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
    assert session.state.t > 7.0  # but those with Ctrl still are


def test_a_selection_on_the_canvas_is_shown_in_the_tree(lstm, outline):
    session = lstm.session
    nodes = session.recording["f_2"].id, session.recording["c_3"].id
    session.update(selection=nodes)
    rows = outline.tree.selectionModel().selectedRows()
    assert {outline.model.entry(r).node for r in rows} == set(nodes)
    assert outline.model.entry(outline.tree.currentIndex()).node == nodes[-1]
    assert outline.tree.isExpanded(outline.tree.currentIndex().parent())
    assert session.state.selection == nodes  # being told has changed nothing
    session.update(selection=())
    assert outline.tree.selectionModel().selectedRows() == []


def test_enter_brings_into_view_and_folds(lstm, outline):
    session, model = lstm.session, outline.model
    node = session.recording["f_2"].id
    go_to(outline, node)
    assert "lstm/t=2/forget" in session.state.folded
    press(outline, Qt.Key.Key_Return)
    assert "lstm/t=2/forget" not in session.state.folded
    scope = model.place(model.of_scope["lstm/t=2/forget"])
    outline.tree.setCurrentIndex(scope)
    assert scope.data(SPOKEN) == "forget gate, open"
    press(outline, Qt.Key.Key_Return)
    assert "lstm/t=2/forget" in session.state.folded
    assert scope.data(SPOKEN) == "forget gate, folded"


@pytest.mark.parametrize("column", [VALUE, GRADIENT])
def test_sorting_by_numbers_follows_the_moment(lstm, outline, column):
    session = lstm.session
    header = outline.tree.header()
    header.setSortIndicator(column, Qt.SortOrder.DescendingOrder)
    for t in (session.end * 0.3, session.end * 0.8, float(session.end)):
        session.update(t=t)
        shown = numbers(outline, column, "parameters")
        there = [float(n.replace("−", "-")) for n in shown if n != "–"]
        assert there == sorted(there, reverse=True)
        assert "–" not in shown[: len(there)]
    assert len(there) == len(shown)  # at the end all have arrived
    header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
    nodes = [outline.model.entries[k].node for k in outline.model.entries[1].children]
    assert nodes == sorted(nodes)


def test_a_scope_counts_as_the_largest_that_it_holds(lstm, outline):
    session, model = lstm.session, outline.model
    session.update(t=float(session.end))
    outline.tree.header().setSortIndicator(GRADIENT, Qt.SortOrder.DescendingOrder)
    top = [model.entries[k] for k in model.entries[0].children]

    def largest(entry):
        if entry.node is not None:
            grad = session.trace.grad(entry.node, session.state.t)
            return size(grad) if grad is not None else -np.inf
        return max(largest(model.entries[k]) for k in entry.children)

    found = [largest(entry) for entry in top]
    assert found == sorted(found, reverse=True)


def test_names_are_sorted_by_letters(lstm, outline):
    outline.tree.header().setSortIndicator(NAME, Qt.SortOrder.AscendingOrder)
    names = numbers(outline, NAME, "parameters")
    assert names == sorted(names, key=str.casefold)
    assert len(names) > 4


def test_show_in_outline_opens_the_way(lstm):
    node = lstm.session.recording["o_3"].id
    lstm.session.update(selection=(node,))
    QTest.keyClick(lstm.canvas, Qt.Key.Key_O)
    panel = lstm.panels["outline"]
    assert panel.model.entry(panel.tree.currentIndex()).node == node
    assert QApplication.focusWidget() is panel.tree


def test_a_new_scene_fills_it_anew_and_the_start_page_empties_it(lstm, outline):
    lstm.session.update(parameters={"T": 2}, title="Change T")
    assert len(outline.model.of_node) == len(lstm.session.trace.graph)
    lstm.open_scene("mlp")
    lstm.show_panel("outline")
    assert len(outline.model.of_node) == len(lstm.session.trace.graph)
    lstm.session.close()
    lstm.open_scene("cec")
    lstm.show_panel("outline")
    assert len(outline.model.of_node) == len(lstm.session.trace.graph)


def test_a_panel_that_nobody_sees_does_no_work(lstm):
    panel = lstm.panels["outline"]
    assert panel.model is None
    lstm.session.update(t=5.0)
    assert panel.model is None


def test_its_menu_is_the_canvass(lstm, outline, qtbot):
    node = lstm.session.recording["c_0"].id
    go_to(outline, node)
    outline.tree.customContextMenuRequested.emit(
        outline.tree.visualRect(outline.tree.currentIndex()).center()
    )
    menu = next(m for m in lstm.findChildren(QMenu) if m.isVisible())
    assert lstm.menus.actions["copy_latex"] in menu.actions()
    menu.close()
    scope = outline.model.place(outline.model.of_scope["lstm/t=2/forget"])
    outline.tree.setCurrentIndex(scope)
    outline.tree.scrollTo(scope)
    outline.tree.customContextMenuRequested.emit(outline.tree.visualRect(scope).center())
    menu = next(m for m in lstm.findChildren(QMenu) if m.isVisible())
    assert menu.actions()[0].text() == "Unfold forget gate"
    menu.actions()[0].trigger()
    assert "lstm/t=2/forget" not in lstm.session.state.folded
    menu.close()
