"""From box to box by keys, selecting with a rectangle, and the legend of the colours, by real events."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QAccessible, QColor, QImage, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from explorer.model import walking
from explorer.model.actions import ACTIONS
from explorer.view import accessible, colormap, legend
from explorer.view.theme import THEMES

NONE, ALT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.AltModifier
SHIFT, CTRL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def bptt(still, qtbot):
    still.open_scene("bptt")
    qtbot.waitUntil(still.canvas.isVisible)
    still.activateWindow()
    still.canvas.setFocus()
    qtbot.waitUntil(still.canvas.hasFocus)
    QTest.keyClick(still.canvas, Qt.Key.Key_F)
    return still


def node(window, name):
    return window.session.recording[name].id


def selected(window):
    graph = window.session.trace.graph
    return [graph.names[n] for n in window.session.state.selection]


def box_rect(window, *names):
    """The rectangle around boxes, on the canvas and a little larger."""
    layout, whole = window.session.layout, QRectF()
    for name in names:
        x0, y0, x1, y1 = layout.rects[layout.box_of_node[node(window, name)]]
        whole = whole.united(QRectF(x0, y0, x1 - x0, y1 - y0))
    return window.canvas.transform().mapRect(whole.adjusted(-4, -4, 4, 4))


def begin_band(window, rect, modifier=SHIFT):
    canvas, (start, stop) = window.canvas, (rect.topLeft().toPoint(), rect.bottomRight().toPoint())
    QTest.mousePress(canvas, LEFT, modifier, start)
    for share in (0.3, 0.7, 1.0):
        QTest.mouseMove(canvas, start + (stop - start) * share)
    return stop


def band(window, rect, modifier=SHIFT):
    QTest.mouseRelease(window.canvas, LEFT, modifier, begin_band(window, rect, modifier))


# The rectangle


def test_dragging_with_shift_selects_what_lies_wholly_inside_in_reading_order(bptt):
    before = bptt.canvas.camera()
    band(bptt, box_rect(bptt, "u_2", "z_2"))
    chosen = selected(bptt)
    assert chosen == ["u_2", "z_2"]
    assert bptt.canvas.camera() == before  # a plain drag would have moved the picture
    half = box_rect(bptt, "u_2", "z_2")
    half.setRight(half.center().x())
    band(bptt, half)
    assert selected(bptt) == ["u_2"]
    band(bptt, QRectF(bptt.canvas.rect()).adjusted(3, 3, -3, -3))
    assert list(bptt.session.state.selection) == sorted(set(bptt.session.layout.boxes.nodes.tolist()))


def test_with_ctrl_the_rectangle_adds_and_without_it_selects_anew(bptt):
    band(bptt, box_rect(bptt, "z_3"))
    band(bptt, box_rect(bptt, "u_1", "z_1"), SHIFT | CTRL)
    assert selected(bptt) == ["z_3", "u_1", "z_1"]
    band(bptt, QRectF(5, 5, 30, 30))
    assert selected(bptt) == []


def test_the_rectangle_is_drawn_and_esc_lets_go_of_it(bptt):
    bptt.session.update(selection=(node(bptt, "E"),))
    rect = box_rect(bptt, "u_2", "z_2")
    plain = bptt.canvas.grab().toImage()
    stop = begin_band(bptt, rect)
    drawn = bptt.canvas.grab().toImage()
    inside = rect.topLeft().toPoint() + QPoint(3, 3)
    assert drawn.pixelColor(inside) != plain.pixelColor(inside)
    QTest.keyClick(bptt.canvas, Qt.Key.Key_Escape)
    assert bptt.canvas.grab().toImage().pixelColor(inside) == plain.pixelColor(inside)
    QTest.mouseRelease(bptt.canvas, LEFT, SHIFT, stop)
    assert selected(bptt) == ["E"]


def test_a_click_with_shift_still_adds(bptt):
    for name in ("u_1", "z_1"):
        QTest.mouseClick(bptt.canvas, LEFT, SHIFT, bptt.canvas.middle_of(node(bptt, name)))
    assert selected(bptt) == ["u_1", "z_1"]


def test_zoom_to_what_the_rectangle_has_selected(bptt):
    band(bptt, box_rect(bptt, "u_2", "z_2"))
    QTest.keyClick(bptt.canvas, Qt.Key.Key_Z)
    seen = QRectF(bptt.canvas.rect())
    assert seen.contains(box_rect(bptt, "u_2", "z_2"))
    assert bptt.canvas.camera()[2] > 1


# Keys


def test_alt_and_arrows_go_along_the_edges_and_back(bptt):
    bptt.session.update(selection=(node(bptt, "u_2"),))
    QTest.keyClick(bptt.canvas, Qt.Key.Key_Right, ALT)
    assert selected(bptt) == ["z_2"]
    graph = bptt.session.trace.graph
    QTest.keyClick(bptt.canvas, Qt.Key.Key_Left, ALT)
    assert selected(bptt) == ["u_2"]
    QTest.keyClick(bptt.canvas, Qt.Key.Key_Left, ALT)
    assert bptt.session.state.selection[0] in graph.inputs[node(bptt, "u_2")]
    t = bptt.session.state.t
    for _ in range(12):  # every chain of consumers ends at the loss
        QTest.keyClick(bptt.canvas, Qt.Key.Key_Right, ALT)
    assert selected(bptt) == ["E"]
    assert bptt.session.state.t == t  # these arrows take no step


def test_from_a_copy_of_a_shared_leaf_the_way_goes_on_at_that_copy(bptt):
    layout = bptt.session.layout
    weight = node(bptt, "W")
    copies = [k for k in layout.boxes_of_node[weight] if layout.boxes[k].kind == "alias"]
    last = max(copies, key=lambda k: layout.boxes[k].x)
    x, y = layout.boxes[last].x, layout.boxes[last].y
    QTest.mouseClick(bptt.canvas, LEFT, NONE, bptt.canvas.transform().map(QPointF(x, y)).toPoint())
    assert bptt.session.state.selection == (weight,)
    QTest.keyClick(bptt.canvas, Qt.Key.Key_Right, ALT)
    chosen = bptt.session.state.selection[0]
    assert bptt.session.trace.graph.times[chosen] == 3
    assert weight in bptt.session.trace.graph.inputs[chosen]


def test_up_and_down_stay_in_the_column(bptt):
    layout, canvas = bptt.session.layout, bptt.canvas
    bptt.session.update(selection=(node(bptt, "W"),))  # parameters stand below one another
    start = layout.boxes[canvas.current_box()]
    QTest.keyClick(canvas, Qt.Key.Key_Down, ALT)
    below = layout.boxes[canvas.current_box()]
    assert below.y > start.y
    assert abs(below.x - start.x) < start.w
    QTest.keyClick(canvas, Qt.Key.Key_Up, ALT)
    assert layout.boxes[canvas.current_box()] == start
    for _ in range(10):
        QTest.keyClick(canvas, Qt.Key.Key_Up, ALT)
    top = layout.boxes[canvas.current_box()]
    assert walking.beside(layout, canvas.current_box(), "above") is None
    assert top.y < start.y


def test_tab_goes_through_all_boxes_and_out_after_the_last(bptt):
    order = walking.reading_order(bptt.session.layout)
    seen = []
    for _ in order:
        QTest.keyClick(bptt.canvas, Qt.Key.Key_Tab)
        seen.append(bptt.canvas.current_box())
    assert seen == order
    assert bptt.canvas.hasFocus()
    QTest.keyClick(bptt.canvas, Qt.Key.Key_Backtab, SHIFT)
    assert bptt.canvas.current_box() == order[-2]
    QTest.keyClick(bptt.canvas, Qt.Key.Key_Tab)
    QTest.keyClick(bptt.canvas, Qt.Key.Key_Tab)
    assert not bptt.canvas.hasFocus()


def test_after_esc_twice_tab_leaves_the_canvas(bptt):
    QTest.keyClick(bptt.canvas, Qt.Key.Key_Tab)
    assert len(bptt.session.state.selection) == 1
    for _ in range(2):
        QTest.keyClick(bptt.canvas, Qt.Key.Key_Escape)
    QTest.keyClick(bptt.canvas, Qt.Key.Key_Tab)
    assert not bptt.canvas.hasFocus()
    assert bptt.session.state.selection == ()
    bptt.canvas.setFocus()
    QTest.keyClick(bptt.canvas, Qt.Key.Key_Tab)
    assert len(bptt.session.state.selection) == 1


def test_the_box_that_is_gone_to_comes_into_view(bptt):
    canvas, layout = bptt.canvas, bptt.session.layout
    canvas.show_nodes({node(bptt, "u_1")}, most=1.6)
    zoom = canvas.camera()[2]
    for _ in range(len(layout.boxes)):
        QTest.keyClick(canvas, Qt.Key.Key_Tab)
        x0, y0, x1, y1 = layout.rects[canvas.current_box()]
        place = canvas.transform().mapRect(QRectF(x0, y0, x1 - x0, y1 - y0))
        assert QRectF(canvas.rect()).contains(place)
        assert not canvas.overview_rect().intersects(place)
        if not canvas.hasFocus():
            break
    assert canvas.camera()[2] == zoom


def test_a_box_that_is_seen_already_moves_nothing(bptt):
    before = bptt.canvas.camera()
    for _ in range(5):
        QTest.keyClick(bptt.canvas, Qt.Key.Key_Tab)
    assert bptt.canvas.camera() == before


def test_a_screen_reader_hears_each_box(bptt, monkeypatch):
    told = []
    QAccessible.setActive(True)
    monkeypatch.setattr(accessible.QAccessible, "updateAccessibility", lambda e: told.append(e))
    bptt.session.update(selection=(node(bptt, "u_2"),))
    told.clear()
    QTest.keyClick(bptt.canvas, Qt.Key.Key_Right, ALT)
    focused = [e for e in told if e.type() == QAccessible.Event.Focus]
    QAccessible.setActive(False)
    assert [e.object().key[1] for e in focused] == [node(bptt, "z_2")]


def test_the_keys_of_the_canvas_leave_the_lists_alone(bptt):
    chapters = bptt.panels["chapters"].list
    bptt.session.update(selection=(node(bptt, "u_2"),))
    chapters.setFocus()
    assert QApplication.focusWidget() is chapters
    QTest.keyClick(chapters, Qt.Key.Key_Down, ALT)
    QTest.keyClick(chapters, Qt.Key.Key_Right, ALT)
    assert selected(bptt) == ["u_2"]


# The legend


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("gradient", [False, True])
def test_a_bar_has_the_colours_of_the_heat_strips(bptt, name, gradient):
    bptt.set_theme(name)
    look = bptt.canvas.look()
    limit = look.gradient_limit if gradient else look.value_limit
    colours = legend.bar_colours(look, gradient)
    shares = np.linspace(-1, 1, legend.SAMPLES)
    numbers = legend.values_of(shares, limit, gradient)
    assert numbers[[0, -1]] == pytest.approx([-limit, limit])
    assert numbers[legend.SAMPLES // 2] == 0
    assert colours[0].tolist() == colormap.table(look.theme.colormap)[0].tolist()
    assert colours[-1].tolist() == colormap.table(look.theme.colormap)[255].tolist()
    # a bar is even: equal ways along it are equal steps in the table of colours
    expected = np.where(shares < 0, 128, 127) * shares + 128
    assert np.abs(colormap.index(numbers, limit, gradient) - expected).max() <= 0.5 + 1e-9
    if gradient:
        tenth = np.interp(legend.share_of(0.1), shares, numbers)
        assert tenth == pytest.approx(0.1 * limit, rel=0.01)


def test_the_numbers_are_those_of_the_scene(bptt, monkeypatch):
    written = []
    number = legend.text.number
    monkeypatch.setattr(legend.text, "number", lambda *a: written.append(number(*a)) or written[-1])
    look = bptt.canvas.look()
    image = QImage(400, 120, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    legend.paint_legend(painter, QPointF(0, 0), look)
    painter.end()
    trace = bptt.session.trace
    size = np.abs(np.concatenate([g for g in trace.grads if g is not None], axis=None))
    top = number(np.percentile(size[size > 0], 98), 3)
    assert {f"−{top}", "0", top} <= set(written)


def test_the_legend_can_be_hidden_and_that_is_remembered(bptt, make_window):
    canvas, action = bptt.canvas, bptt.menus.actions["legend"]
    place = canvas.legend_rect()
    assert not place.isEmpty()
    assert action.isChecked()
    shown = canvas.grab().toImage().copy(place.toRect())
    QTest.keyClick(canvas, Qt.Key.Key_L, SHIFT)
    assert canvas.legend_rect().isEmpty()
    assert not action.isChecked()
    hidden = canvas.grab().toImage().copy(place.toRect())
    assert hidden != shown
    assert hidden.pixelColor(40, 8) == QColor(bptt.theme.canvas)
    assert not make_window().canvas.legend
    action.trigger()
    assert canvas.grab().toImage().copy(place.toRect()) == shown


@pytest.mark.parametrize("code", ["en", "ja"])
@pytest.mark.parametrize("name", THEMES)
def test_the_legend_hides_neither_overview_nor_badge_nor_boxes(bptt, code, name):
    bptt.set_theme(name)
    bptt.set_language(code)
    canvas = bptt.canvas
    bptt.session.hold(node(bptt, "z_1"), 0.0)
    assert bptt.badge.isVisible()
    for show in (canvas.show_everything, canvas.follow):
        show()
        place = canvas.legend_rect()
        assert QRectF(canvas.rect()).contains(place)
        assert not place.intersects(canvas.overview_rect())
        assert not place.intersects(QRectF(bptt.badge.geometry()))
    canvas.show_everything()
    place = canvas.transform().inverted()[0].mapRect(canvas.legend_rect())
    boxes = [QRectF(b.x - b.w / 2, b.y - b.h / 2, b.w, b.h) for b in bptt.session.layout.boxes]
    assert not any(place.intersects(box) for box in boxes)


def test_the_legend_moves_out_of_the_way_and_needs_room(bptt):
    canvas = bptt.canvas
    first = canvas.legend_rect()
    there = canvas.transform().inverted()[0].map(first.center())
    box = bptt.session.layout.boxes[bptt.session.layout.box_of_node[node(bptt, "u_1")]]
    x, y, zoom = canvas.camera()
    bptt.session.update(camera=(x + box.x - there.x(), y + box.y - there.y(), zoom))
    assert canvas.legend_rect() != first
    canvas.window().resize(720, 480)
    bptt.panels["parameters"].setFixedWidth(380)
    QApplication.processEvents()
    assert canvas.width() < 420
    assert canvas.legend_rect().isEmpty()


def test_it_says_what_it_means(bptt):
    assert "98 %" in legend.legend_words()
    bptt.set_language("ja")
    assert "勾配" in legend.legend_words()
    assert ACTIONS["legend"].menu == "View"
