"""The plot panel: it follows the moment, and what can be dragged edits a leaf."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from explorer.model import text
from explorer.model.actions import ACTIONS
from explorer.model.plots import PLOTS
from explorer.view.theme import THEMES

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def open_plot(still, qtbot):
    """A window on a scene, with the panel in front."""

    def show(scene, **parameters):
        still.session.open_scene(scene, parameters)
        qtbot.waitUntil(still.canvas.isVisible)
        still.run(ACTIONS["show_plot"])
        view = still.panels["plot"].view
        qtbot.waitUntil(lambda: still.panels["plot"].isVisible() and view.height() > 100)
        return view

    show.window = still
    return show


def values(window, name):
    return window.session.trace.values[window.session.trace.graph.named(name).id].copy()


def drag(qtbot, view, start, *by):
    """Press at a place, move by some pixels at a time, release."""
    at = start.toPoint()
    qtbot.mousePress(view, LEFT, pos=at)
    for step in by:
        at = at + step
        qtbot.mouseMove(view, at)
    qtbot.mouseRelease(view, LEFT, pos=at)


@pytest.mark.parametrize("row", [0, 1])  # on the curve of f, and on that of its slope
def test_dragging_a_point_edits_the_leaf_and_one_undo_takes_it_back(open_plot, qtbot, row):
    view, window = open_plot("activations"), open_plot.window
    before = values(window, "x")
    height = view.plot.rows[row][0].marks[0].places[1, 1]
    drag(qtbot, view, view.point(row, 0, before[1], height), QPoint(9, 0), QPoint(11, 3), QPoint(10, 0))
    after = values(window, "x")
    chart, area = view.plot.rows[row][0], view.area(row, 0)
    per_pixel = (chart.x[1] - chart.x[0]) / area.width()
    assert after[1] == pytest.approx(before[1] + 30 * per_pixel, abs=0.02)
    assert np.array_equal(np.delete(after, 1), np.delete(before, 1))
    assert values(window, "z_1")[1] == pytest.approx(1 / (1 + np.exp(-after[1])))
    assert view.plot.rows[0][0].marks[0].places[1, 0] == after[1]
    window.run(ACTIONS["undo"])
    assert np.array_equal(values(window, "x"), before)


def test_axes_stay_while_something_is_dragged_beyond_them(open_plot, qtbot):
    view, window = open_plot("activations"), open_plot.window
    before = values(window, "x")
    axis = view.plot.rows[0][0].x
    height = view.plot.rows[0][0].marks[0].places[4, 1]
    qtbot.mousePress(view, LEFT, pos=view.point(0, 0, before[4], height).toPoint())
    for x in (view.width() - 20, view.width() + 400):
        qtbot.mouseMove(view, QPoint(x, 60))
        assert view.plot.rows[0][0].x == axis
    assert values(window, "x")[4] == pytest.approx(axis[1], abs=0.02)
    qtbot.mouseRelease(view, LEFT, pos=QPoint(view.width() - 20, 60))
    window.session.update(t=1.0)
    assert view.plot.rows[0][0].x[1] > axis[1]  # and afterwards they make room


def test_keys_choose_and_move_points(open_plot, qtbot):
    view, window = open_plot("activations"), open_plot.window
    before, t = values(window, "x"), window.session.state.t
    window.panels["plot"].focus()
    assert view.hasFocus() and view.chosen == 0
    qtbot.keyClick(view, Qt.Key.Key_Tab)
    qtbot.keyClick(view, Qt.Key.Key_Right)
    qtbot.keyClick(view, Qt.Key.Key_Right)
    qtbot.keyClick(view, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    expected = before.copy()
    expected[1] += 0.19
    np.testing.assert_allclose(values(window, "x"), expected, atol=1e-9)
    assert window.session.state.t == t  # the window's own arrow keys step
    assert view.accessibleDescription().startswith("x[1] = ")
    window.run(ACTIONS["undo"])  # a key press is one entry
    assert values(window, "x")[1] == pytest.approx(before[1] + 0.2)
    for _ in range(3):
        qtbot.keyClick(view, Qt.Key.Key_Tab)
    assert view.chosen == 4
    qtbot.keyClick(view, Qt.Key.Key_Tab)
    assert not view.hasFocus()


def test_the_start_of_the_walk_is_dragged_in_both_directions(open_plot, qtbot):
    view, window = open_plot("optimizers"), open_plot.window
    before = values(window, "w_0")
    drag(qtbot, view, view.point(0, 0, *before), QPoint(40, 30), QPoint(20, 20))
    after = values(window, "w_0")
    assert after[0] > before[0] and after[1] < before[1]
    starts = [line.places[0] for line in view.plot.rows[0][0].lines if line.label]
    assert len(starts) == 6 and all(np.array_equal(s, after) for s in starts)
    window.run(ACTIONS["undo"])
    assert np.array_equal(values(window, "w_0"), before)


def test_the_picture_follows_the_moment(open_plot):
    view, window = open_plot("xavier"), open_plot.window
    shown = []
    for t in (0.0, 0.5 * window.session.trace.forward_end, float(window.session.end)):
        window.session.update(t=t)
        shown.append(sum(bool(chart.bars) for row in view.plot.rows for chart in row))
    assert shown[0] == 0 < shown[1] < shown[2] == 10


@pytest.mark.parametrize("value", [1e308, -1e308, 1e-320, np.nan])
@pytest.mark.parametrize("scene", PLOTS)
def test_any_number_can_be_painted(open_plot, scene, value):
    view, session = open_plot(scene), open_plot.window.session
    for leaf in session.trace.graph.leaves():
        session.edit(leaf.id, np.full(leaf.shape, value))
        session.update(t=float(session.end))
        assert not view.grab().isNull()
        session.undo()


def test_scenes_without_a_plot_say_so(open_plot):
    open_plot("lstm")
    p = open_plot.window.panels["plot"]
    assert not p.outer.isVisible() and "Activation functions" in p.words.text()
    open_plot.window.session.close()
    assert p.words.text().startswith("Open a scene")


def test_the_panel_is_hidden_until_it_is_asked_for(lstm):
    assert not lstm.panels["plot"].isVisible()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("scene", PLOTS)
def test_nothing_is_clipped(open_plot, qtbot, scene, theme):
    """Every chart has room for its numbers, in the smallest panel too, and the note can be read."""
    window = open_plot.window
    view = open_plot(scene)
    window.set_theme(theme)
    for language in text.LANGUAGES:
        window.set_language(language)
        view, words = window.panels["plot"].view, window.panels["plot"].words
        qtbot.waitUntil(lambda w=words: w.height() >= w.heightForWidth(w.width()))
        for i, row in enumerate(view.plot.rows):
            for j in range(len(row)):
                area, place = view.area(i, j), view.place(i, j)
                assert area.width() > 60 and area.height() > 18 and place.contains(area)
        assert not view.grab().isNull()
