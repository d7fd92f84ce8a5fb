"""What if and breakpoints in the window: menus, the badge, marks that can be seen, where playing stops."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QTransform
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QInputDialog, QLabel, QMenu

from explorer.model import text
from explorer.model.actions import ACTIONS
from explorer.model.lab import paths
from explorer.model.session import open_session
from explorer.model.state import Breakpoint
from explorer.view import paint, repaint
from explorer.view.kept import drawn
from explorer.view.marks import marks
from explorer.view.theme import THEMES


def node(window, name):
    return window.session.recording.graph.named(name).id


def inspected(window) -> list[str]:
    return [label.text() for label in window.panels["inspector"].outer.widget().findChildren(QLabel)]


def titles(menu: QMenu) -> list[str]:
    return [a.text() for a in menu.actions() if a.text()]


def chosen(menu: QMenu, title: str) -> None:
    next(a for a in menu.actions() if a.text() == title).trigger()


def picture(session, theme=THEMES["light"], look=None) -> QImage:
    frame = session.frame()
    image = QImage(1600, 900, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    paint.fill_background(painter, image.rect().toRectF(), theme)
    painter.setWorldTransform(paint.fit(paint.bounds(frame), 1600, 900))
    paint.paint(painter, frame, look or paint.Look(theme, session.notation))
    painter.end()
    return image


def differences(a: QImage, b: QImage, rect) -> int:
    pixels = [
        (x, y) for x in range(rect.left(), rect.right() + 1) for y in range(rect.top(), rect.bottom() + 1)
    ]
    return sum(a.pixel(x, y) != b.pixel(x, y) for x, y in pixels)


def square(session, place: tuple[float, float], reach: float):
    """The pixels of a picture around a point of the scene."""
    transform = paint.fit(paint.bounds(session.frame()), 1600, 900)
    return transform.mapRect(QRectF(place[0] - reach, place[1] - reach, 2 * reach, 2 * reach)).toAlignedRect()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_marks_can_be_seen(lstm, theme):
    """A pin, a lock and a gap where nothing of the kind was, in ink that stands out from the canvas."""
    session, layout = lstm.session, lstm.session.layout
    before = picture(session, THEMES[theme])
    gate, matrix, keep = node(lstm, "f_2"), node(lstm, "W_f"), node(lstm, "keep_3")
    session.hold(gate, session.trace.values[gate])
    session.freeze(matrix)
    session.cut({(keep, 1)})
    after = picture(session, THEMES[theme])
    found = marks(session.frame())
    held = [k for k, words in found.boxes.items() if "held" in words]
    frozen = [k for k, words in found.boxes.items() if "frozen" in words]
    assert [layout.boxes[k].node for k in held] == [gate], "the folded scope that shows it"
    assert matrix in {layout.boxes[k].node for k in frozen}
    (edge,) = found.edges
    assert layout.edges[edge].members == ((keep, 1),)
    ink = QColor(THEMES[theme].ink)
    for k in (*held, frozen[0]):
        box = layout.boxes[k]
        rect = square(session, (box.x - box.w / 2 + 2, box.y - box.h / 2 - 1), 9.0)
        assert differences(before, after, rect) > 20
    points = layout.edges[edge].points
    longest = int(np.argmax(np.hypot(*np.diff(points, axis=0).T)))
    rect = square(session, tuple((points[longest] + points[longest + 1]) / 2), 9.0)
    inked = [
        after.pixelColor(x, y)
        for x in range(rect.left(), rect.right() + 1)
        for y in range(rect.top(), rect.bottom() + 1)
    ]
    assert sum(abs(c.lightness() - ink.lightness()) < 40 for c in inked) > 8


def test_a_scene_without_alterations_has_no_marks(lstm):
    found = marks(lstm.session.frame())
    assert not found.boxes and not found.edges


def test_the_menu_of_a_gate_holds_it(lstm, monkeypatch):
    session, gate = lstm.session, node(lstm, "f_2")
    menu = lstm.show_box_menu(gate, "", QPoint(0, 0))
    assert "Let go" not in titles(menu) and "Freeze" not in titles(menu)
    chosen(menu, "Hold at 1")
    assert session.trace.values[gate].tolist() == [1.0, 1.0]
    monkeypatch.setattr(QInputDialog, "getText", lambda *a, **k: ("0.25; −1", True))
    chosen(lstm.show_box_menu(gate, "", QPoint(0, 0)), "Hold at a constant…")
    assert session.trace.values[gate].tolist() == [0.25, -1.0]
    chosen(lstm.show_box_menu(gate, "", QPoint(0, 0)), "Let go")
    assert not session.altered
    before = session.trace.values[gate].copy()
    chosen(lstm.show_box_menu(gate, "", QPoint(0, 0)), "Hold at the present value")
    np.testing.assert_array_equal(session.trace.values[gate], before)


def test_bad_numbers_are_asked_for_again(lstm, monkeypatch):
    gate, asked = node(lstm, "f_2"), []
    answers = iter([("one", True), ("1 2 3", True), ("", False)])

    def answer(parent, title, question, **more):
        asked.append(question)
        return next(answers)

    monkeypatch.setattr(QInputDialog, "getText", answer)
    lstm.session.update(selection=(gate,))
    lstm.run(ACTIONS["hold"])
    assert len(asked) == 3 and "no numbers" in asked[1] and "2 of them" in asked[2]
    assert not lstm.session.altered


def test_all_selected_gates_are_held_at_once(lstm):
    gates = tuple(node(lstm, f"f_{t}") for t in (1, 2, 3))
    lstm.session.update(selection=(*gates, node(lstm, "W_f")))
    lstm.run(ACTIONS["hold_at_zero"])
    assert all(not lstm.session.trace.values[g].any() for g in gates)
    lstm.session.undo()
    assert not lstm.session.altered


def test_the_menu_of_an_edge_cuts_and_mends_it(lstm):
    session, keep = lstm.session, node(lstm, "keep_3")
    edge = next(e for e in session.layout.edges if (keep, 1) in e.members)
    chosen(lstm.show_edge_menu(edge.members, QPoint(0, 0)), "Cut the gradient here")
    assert session.state.cuts == {("keep_3", 1)}
    menu = lstm.show_edge_menu(edge.members, QPoint(0, 0))
    assert titles(menu) == ["Mend the gradient here"]
    chosen(menu, "Mend the gradient here")
    assert not session.altered
    session.hold(keep, 0.0)
    assert titles(lstm.show_edge_menu(edge.members, QPoint(0, 0))) == [
        "Nothing flows back here: the target is held"
    ]


def test_selected_neighbours_are_cut_by_the_action(lstm):
    lstm.session.update(selection=(node(lstm, "c_2"), node(lstm, "keep_3")))
    lstm.run(ACTIONS["cut_gradient"])
    assert lstm.session.state.cuts == {("keep_3", 1)}
    assert not ACTIONS["cut_gradient"].enabled(lstm)
    lstm.run(ACTIONS["mend_gradient"])
    assert not lstm.session.state.cuts


def test_a_parameter_is_frozen_and_thawed(lstm):
    matrix = node(lstm, "W_f")
    chosen(lstm.show_box_menu(matrix, "", QPoint(0, 0)), "Freeze")
    assert lstm.session.trace.grads[matrix] is None
    assert "frozen: it gets no gradient" in inspected(lstm)
    chosen(lstm.show_box_menu(matrix, "", QPoint(0, 0)), "Thaw")
    assert lstm.session.trace.grads[matrix] is not None


def test_the_badge_says_how_much_and_restores(lstm, qtbot):
    badge, session = lstm.badge, lstm.session
    assert not badge.isVisible()
    session.hold(node(lstm, "f_2"), 0.5)
    session.cut({(node(lstm, "keep_3"), 1)})
    assert badge.isVisible() and "1 held, 1 cut" in badge.text()
    lstm.set_language("ja")
    assert "固定 1、切断 1" in badge.text()
    lstm.set_language("en")
    long = badge.text()
    for width, text_wanted in ((1280, long), (720, None), (1280, long)):
        lstm.resize(width, 600)
        qtbot.waitUntil(lambda wanted=width: lstm.width() == wanted)
        qtbot.waitUntil(lambda: badge.width() >= badge.sizeHint().width())  # nothing is cut off
        qtbot.waitUntil(lambda: lstm.canvas.rect().contains(badge.geometry()))
        assert text_wanted in (None, badge.text())
    QTest.mouseClick(badge, Qt.MouseButton.LeftButton)
    assert not session.altered and not badge.isVisible()
    session.undo()
    assert session.altered and badge.isVisible()


def test_tool_tips_and_inspector_say_it(lstm):
    session, gate = lstm.session, node(lstm, "f_2")
    session.hold(gate, 0.5)
    session.update(selection=(gate,), t=session.end)
    box = session.layout.boxes[session.layout.box_of_node[gate]]
    assert "inside: 1 held" in lstm.canvas.words_at(QPointF(box.x, box.y))
    session.fold(box.scope, False)
    box = session.layout.boxes[session.layout.box_of_node[gate]]
    assert "held at [0.5, 0.5]" in lstm.canvas.words_at(QPointF(box.x, box.y))
    assert "held at [0.5, 0.5]" in inspected(lstm)
    keep = node(lstm, "keep_3")
    session.cut({(keep, 1)})
    edge = next(e for e in session.layout.edges if (keep, 1) in e.members)
    longest = int(np.argmax(np.hypot(*np.diff(edge.points, axis=0).T)))
    middle = (edge.points[longest] + edge.points[longest + 1]) / 2
    assert "cut: no gradient" in lstm.canvas.words_at(QPointF(*middle))


def test_a_path_is_lit_apart_from_the_selection(lstm):
    session = lstm.session
    route = paths.routes(session.trace, node(lstm, "c_1"), session.trace.loss, 1).found[0]
    before = picture(session)
    session.update(highlight=route.nodes, selection=(node(lstm, "x_1"),))
    look = lstm.canvas.look()
    assert look.lit == route.nodes and look.selection == {node(lstm, "x_1")}
    lit = paint.lit_edges(session.layout, route.nodes)
    inputs = session.trace.graph.inputs
    pairs = {(a, b) for a, b in zip(route.nodes, route.nodes[1:], strict=False)}
    shown = {(inputs[v][k], v) for e in lit for v, k in session.layout.edges[e].members}
    assert shown & pairs and all(set(p) & set(route.nodes) for p in shown)
    after = picture(session, look=paint.Look(THEMES["light"], session.notation, lit=route.nodes))
    points = session.layout.edges[lit[0]].points
    assert differences(before, after, square(session, tuple((points[0] + points[1]) / 2), 6.0)) > 10
    session.update(parameters={"T": 4})
    assert session.state.highlight == ()


# Breakpoints


def test_the_panel_adds_checks_changes_and_removes(lstm):
    panel, session = lstm.panels["breakpoints"], lstm.session
    session.update(selection=(node(lstm, "h_1"),))
    lstm.run(ACTIONS["add_breakpoint"])
    assert panel.isVisible() and session.state.breakpoints == (Breakpoint("below", "h_1", 1e-3),)
    assert panel.list.topLevelItemCount() == 1 and panel.chosen == session.state.breakpoints[0]
    panel.bound.setText("1000")
    panel.bound.editingFinished.emit()
    assert session.state.breakpoints[0].bound == 1000
    assert "step" in panel.list.topLevelItem(0).text(2)
    panel.node.setText("h_*")
    panel.node.editingFinished.emit()
    assert session.state.breakpoints[0].node == "h_*" and "more" in panel.list.topLevelItem(0).text(2)
    panel.kind.setCurrentIndex(panel.kind.findData("nan"))
    panel.kind.activated.emit(panel.kind.currentIndex())
    assert session.state.breakpoints[0].kind == "nan"
    assert panel.list.topLevelItem(0).text(2) == "nowhere" and not panel.bound.isEnabled()
    panel.list.topLevelItem(0).setCheckState(0, Qt.CheckState.Unchecked)
    assert not session.state.breakpoints[0].on
    panel.remove()
    assert session.state.breakpoints == () and panel.list.topLevelItemCount() == 0
    session.undo()
    assert len(session.state.breakpoints) == 1 and panel.list.topLevelItemCount() == 1


@pytest.mark.parametrize("words", ["-1", "x", "inf", "nan", ""])
def test_a_bound_that_is_none_is_refused(lstm, words):
    panel, session = lstm.panels["breakpoints"], lstm.session
    session.update(breakpoints=(Breakpoint("below", "h_1", 0.5),))
    panel.show_up()
    panel.bound.setText(words)
    panel.bound.editingFinished.emit()
    assert session.state.breakpoints == (Breakpoint("below", "h_1", 0.5),)
    assert panel.bound.text() == "0.5" and lstm.banner.isVisible()


def test_a_double_click_goes_there(lstm):
    session = lstm.session
    session.update(breakpoints=(Breakpoint("saturates", "f_2", 1.0),))
    lstm.panels["breakpoints"].go(0)
    at = int(session.trace.forward_step[node(lstm, "f_2")]) + 1
    assert session.state.t == at and session.state.selection == (node(lstm, "f_2"),)


def test_playing_stops_and_the_timeline_says_why(lstm, qtbot):
    session = lstm.session
    session.update(breakpoints=(Breakpoint("saturates", "f_1", 1.0),), speed=8.0)
    at = int(session.trace.forward_step[node(lstm, "f_1")]) + 1
    lstm.run(ACTIONS["play"])
    qtbot.waitUntil(lambda: not session.state.playing, timeout=10_000)
    assert session.state.t == at
    assert lstm.panels["timeline"].words.text().startswith("Breakpoint: f")
    bar = lstm.panels["timeline"].bar
    marked = bar.grab().toImage()
    x = round(bar.x_of(at)) + 3  # beside the playhead
    session.update(breakpoints=())
    assert marked.pixelColor(x, round(bar.top + 16)) != bar.grab().toImage().pixelColor(
        x, round(bar.top + 16)
    )


def test_everything_has_its_words_in_both_languages(lstm):
    for code in ("en", "ja"):
        lstm.set_language(code)
        panel = lstm.panels["breakpoints"]
        panel.show_up()
        assert panel.windowTitle() == text.tr("Breakpoints")
        assert all(button.text() for button in panel.buttons.values())
    lstm.set_language("en")


def test_a_right_click_on_a_line_offers_to_cut_it(lstm, qtbot):
    session, canvas, keep = lstm.session, lstm.canvas, node(lstm, "keep_3")
    k = next(k for k, e in enumerate(session.layout.edges) if (keep, 1) in e.members)
    points = session.layout.edges[k].points
    longest = int(np.argmax(np.hypot(*np.diff(points, axis=0).T)))
    middle = (points[longest] + points[longest + 1]) / 2
    lstm.fit()
    canvas.customContextMenuRequested.emit(canvas.transform().map(QPointF(*middle)).toPoint())
    menu = next(m for m in lstm.findChildren(QMenu) if "Cut the gradient here" in titles(m))
    menu.close()
    lstm.session.update(selection=(keep,))
    canvas.customContextMenuRequested.emit(canvas.middle_of(keep))
    menu = next(m for m in lstm.findChildren(QMenu) if "Hold at 0" in titles(m))
    assert "Add a breakpoint" in titles(menu)
    menu.close()


@pytest.mark.parametrize("zoom", [0.12, 0.3, 0.7, 1.3])
def test_a_step_leaves_the_marks_as_they_are_drawn_anew(zoom, qtbot):
    session = open_session("lstm", T=3)
    graph = session.trace.graph
    session.update(folded=frozenset())
    session.cut([(i, 0) for i, op in enumerate(graph.ops) if op is not None and i % 3 == 0])
    session.freeze([graph.named(name).id for name in ("W_f", "U_i")])
    look, layout = paint.Look(THEMES["light"], session.notation), session.layout
    x0, y0, x1, y1 = layout.bounds
    transform = QTransform().translate(450, 280).scale(zoom, zoom).translate(-(x0 + x1) / 2.3, -(y0 + y1) / 2)
    image, old = None, None
    for t in (0.0, 0.5, 1.0, 12.0, 20.5, session.end / 2, session.end - 3.5, float(session.end), 3.0):
        frame = session.frame(t)
        anew = drawn(frame, look, transform, QSize(900, 560), 1.0)
        if image is None:
            image = anew.copy()
        else:
            repaint.repaint_changes(image, old, frame, look, transform)
        old = frame
        assert image == anew, t
