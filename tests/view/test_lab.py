"""The gradient lab in the window, driven by clicks and keys; what it lights is read from the session."""

import itertools

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel

from explorer.model.actions import ACTIONS
from explorer.model.lab import jacobian
from explorer.model.lab.carousel import own_line
from explorer.view.panels.lab import VIEWS
from explorer.view.settings import Settings
from explorer.view.window import Window


@pytest.fixture
def window(qtbot, tmp_path):
    w = Window(settings=Settings(str(tmp_path / "settings.ini")))
    w.canvas.reduced_motion = True
    qtbot.addWidget(w)
    w.resize(1280, 720)
    with qtbot.waitExposed(w):
        w.show()
    yield w
    w.panels["lab"].release()


@pytest.fixture
def opened(window, qtbot):
    """A function that opens a scene at its end and a view of it, and waits for its answer."""

    def open_view(scene, view, **parameters):
        window.open_scene(scene)
        if parameters:
            window.session.update(parameters=parameters)
        window.session.update(t=float(window.session.end))
        window.run(ACTIONS[f"lab_{view}"])
        return settled(window, qtbot, view)

    return open_view


def settled(window, qtbot, view):
    shown = window.panels["lab"].views[view]
    if hasattr(shown, "_timer"):
        qtbot.waitUntil(lambda: not shown._timer.isActive())
    if hasattr(shown, "worker"):
        qtbot.waitUntil(lambda: not shown.worker.busy)
    return shown


def click(widget, point):
    QTest.mouseClick(
        widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPointF(point).toPoint()
    )


def seen(window, node):
    """Whether a box of a node lies within the canvas."""
    layout, canvas = window.session.layout, window.canvas
    place = canvas.transform().mapRect(rect_of(layout, layout.box_of_node[node]))
    return QRectF(canvas.rect()).contains(place)


def rect_of(layout, k):
    x0, y0, x1, y1 = layout.rects[k]
    return QRectF(x0, y0, x1 - x0, y1 - y0)


def test_it_is_hidden_until_asked_for_and_costs_nothing_before(window):
    window.open_scene("bptt")
    lab = window.panels["lab"]
    assert not lab.isVisible() and lab.views == {}
    window.session.update(t=float(window.session.end))
    QTest.keyClick(window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    assert lab.isVisible() and list(lab.views) == ["paths"]
    assert window.desk.dockWidgetArea(lab) == Qt.DockWidgetArea.RightDockWidgetArea
    assert window.panels["parameters"] in window.desk.tabifiedDockWidgets(lab)
    window.reset_window()
    assert not lab.isVisible()


@pytest.mark.parametrize("scene", ["bptt", "cec", "lstm", "gru", "deep-rnn", "birnn", "mlp", "expression"])
def test_every_view_is_safe_at_every_moment(window, qtbot, scene):
    for view in VIEWS:
        window.open_scene("cec")
        window.run(ACTIONS[f"lab_{view}"])
        window.open_scene(scene)
        for share in (0.0, 0.4, 0.55, 0.8, 1.0):
            window.session.update(t=window.session.end * share)
            window.panels["lab"].grab()
        leaf = next(n for n in window.session.trace.graph.leaves("parameter"))
        window.session.update(selection=(leaf.id,))
        window.session.edit(leaf.id, leaf.value * 1.1)
        shown = settled(window, qtbot, view)
        assert bool(shown.hint.text()) == shown.content.isHidden()
        window.panels["lab"].grab()
        window.session.undo()
    window.close_scene()
    window.open_scene("lstm")
    assert settled(window, qtbot, view).hint.text() == ""


def test_language_and_theme_rebuild_the_view_that_is_seen(window, opened, qtbot):
    opened("lstm", "jacobian")
    window.set_language("ja")
    window.set_theme("dark")
    shown = settled(window, qtbot, "jacobian")
    assert shown.theme.dark
    assert shown.map.array is not None
    assert window.panels["lab"].tabs.tabText(3) == "ヤコビ行列"


@pytest.mark.parametrize("code", ["en", "ja"])
@pytest.mark.parametrize("view", list(VIEWS))
def test_no_label_is_cut(window, opened, view, code):
    window.set_language(code)
    opened("lstm", view)
    QGuiApplication.processEvents()
    lab = window.panels["lab"]
    bar = lab.tabs.tabBar()
    assert bar.tabRect(bar.count() - 1).right() < lab.width()
    for label in lab.findChildren(QLabel):
        if label.isVisible() and label.text() and not label.wordWrap():
            assert label.sizeHint().width() <= label.width() + 1, label.text()


# Flow


def test_points_appear_as_the_backward_pass_reaches_them(opened, window):
    view = opened("bptt", "flow", T=5)
    session = window.session
    counts = []
    for t in range(session.trace.forward_end, session.end + 1):
        session.update(t=float(t))
        _, y = view.lines["z"].curve.getOriginalDataset()
        counts.append(0 if y is None else int(np.isfinite(y).sum()))
    assert counts[0] == 0 and counts[-1] == 6 and counts == sorted(counts)
    assert "×" in view.fits["z"].text()
    view.boxes["u"].click()
    assert list(view.lines) == ["z", "u"] and "slope" in view.fits["u"].text()


def test_an_edit_moves_the_line(opened, window):
    view = opened("bptt", "flow", activation="linear", loss_at="last step", hidden=2)
    for gain in (0.5, 2.0):
        window.session.edit(window.session.recording["W"].id, gain * np.eye(2))
        assert view.fits["z"].text().startswith(f"●  × {gain:g} per step back")


def test_lines_are_named_where_they_begin_and_by_their_marks(opened, window):
    view = opened("vanishing-gradient", "flow", T=10)
    for base in view.boxes:
        view.boxes[base].setChecked(base in ("z", "C", "c"))
    lines = {base: view.lines[base] for base in ("z", "C", "c")}
    assert len({line.letter for line in lines.values()}) == 3
    for base, line in lines.items():
        assert line.name.isVisible() and line.name.toPlainText() == f"{line.letter} {base}"
        assert view.fits[base].text().startswith(f"{line.letter}  ×")
        assert line.start == (view.flows[base].times[0], pytest.approx(np.log10(view.flows[base].whole[0])))
    placed = [line.name.sceneBoundingRect() for line in lines.values()]
    assert not any(a.intersects(b.adjusted(0, 1, 0, -1)) for a, b in itertools.combinations(placed, 2))
    window.session.update(t=3.0)
    assert not any(line.name.isVisible() for line in lines.values())


def test_three_memories_over_fifty_steps_are_one_picture(opened, window):
    view = opened("bptt", "flow", T=50, loss_at="last step")
    window.comparing.add("cec")
    window.comparing.add("lstm")
    assert [over.base for over in view.over] == ["C", "c", "h"]
    carousel, cell, _ = view.over
    assert "× 1 per step back, slope 0" in carousel.row.text()
    assert carousel.line.name.toPlainText() == f"{carousel.line.letter} C, Constant error carousel"
    assert cell.line.name.toPlainText().endswith("c, Long short-term memory")
    lines = [*view.lines.values(), *(over.line for over in view.over)]
    assert len({line.letter for line in lines}) == len({line.colour for line in lines}) == 4
    starts = [line.start[1] for line in (view.lines["z"], cell.line, carousel.line)]
    assert starts[0] + 4 < starts[1] < starts[2] - 4, "decades lie between them"
    low, high = view.plot.getPlotItem().getViewBox().viewRange()[1]
    assert low < min(starts) and max(starts) < high
    window.comparing.close_all()
    assert view.lines["z"].name.toPlainText() == f"{view.lines['z'].letter} z" and not view.over


def test_a_truncated_gradient_is_said_to_be_zero(opened):
    view = opened("bptt", "flow", T=4, truncate=2, loss_at="last step")
    assert "0 at t = 0–2" in view.fits["z"].text()


# Contributions


def test_bars_grow_with_the_backward_pass(opened, window):
    view = opened("bptt", "contributions", T=4)
    session = window.session
    assert view.combo.currentData() == session.recording["W"].id
    solid = []
    for t in range(session.trace.forward_end, session.end + 1):
        session.update(t=float(t))
        solid.append(int(view.bars.solid.sum()))
    assert solid[0] == 0 and solid[-1] == 4 and solid == sorted(solid)
    assert np.allclose(view.bars.sizes, view.terms.sizes[::-1])


def test_a_click_on_a_bar_shows_and_lights_its_term(opened, window):
    view = opened("bptt", "contributions")
    leaf = window.session.recording["W"].id
    click(view.bars, view.bars.middle_of(1))
    term = view._in_time()[1]
    assert np.allclose(view.term.array, term.value())
    assert window.session.state.selection == (term.uses[0].consumer, leaf)
    assert "t = 2" in view.term_words.text()
    assert view.leaf == leaf


def test_the_view_follows_the_selected_leaf(opened, window):
    view = opened("lstm", "contributions")
    leaf = window.session.recording["W_o"].id
    window.session.update(selection=(leaf,))
    assert view.leaf == leaf and view.combo.currentData() == leaf
    window.session.update(selection=(window.session.recording["c_1"].id,))
    assert view.leaf == leaf


def test_a_click_on_a_cell_lights_what_lies_between(opened, window, qtbot):
    view = opened("lstm", "contributions", T=4)
    click(view.modes["matrix"], QPoint(5, 5))
    settled(window, qtbot, "contributions")
    assert view.matrix.array.shape == (4, 4)
    click(view.matrix, view.matrix.rect_of(3, 1).center())
    lit, graph = window.session.state.highlight, window.session.trace.graph
    assert set(lit) - {-1} == set(view.split.nodes(3, 1))
    assert seen(window, view.split.losses[3]), "it is brought into view"
    pairs = [lit[k : k + 2] for k in range(0, len(lit), 3)]
    assert pairs == list(view.split.ways(3, 1)) and all(j in graph.inputs[i] for j, i in pairs)
    assert [j for j, _ in pairs].count(view.leaf) == 1, "of the leaf's uses this cell's alone"
    window.canvas.setFocus()
    qtbot.keyClick(window.canvas, Qt.Key.Key_Escape)
    assert window.session.state.highlight == ()
    assert np.allclose(view.term.array, view.split.term(3, 1))
    assert np.isnan(view.matrix.array[0, 2])


def test_what_truncation_cuts_off_is_hatched(opened, window, qtbot):
    view = opened("bptt", "contributions", T=4, truncate=2)
    assert view.bars.missing[:2].max() > 0 and view.bars.missing[2:].max() == 0
    click(view.modes["matrix"], QPoint(5, 5))
    settled(window, qtbot, "contributions")
    assert view.matrix.hatched[2:, 1].all() and not view.matrix.hatched[:2].any()


# Paths


def test_the_carousel_shows_its_one_path(opened, window):
    view = opened("cec", "paths", T=4)
    assert view.table.topLevelItemCount() == 1
    assert view.table.topLevelItem(0).text(2) == "1 · 1 · 1 · 1"
    assert view.table.topLevelItem(0).text(0) == "100\u00a0%" and "100\u00a0%" in view.head.text()
    assert "exactly 1" in view.product.text()
    item = view.table.topLevelItem(0)
    click(view.table.viewport(), view.table.visualItemRect(item).center())
    recording = window.session.recording
    assert window.session.state.highlight == tuple(recording[f"C_{t}"].id for t in range(5))
    assert view.source == recording["C_0"].id


def test_a_chosen_path_is_lit_and_stays_chosen_through_an_edit(opened, window):
    view = opened("lstm", "paths")
    item = view.table.topLevelItem(2)
    click(view.table.viewport(), view.table.visualItemRect(item).center())
    nodes = view.routes.found[2].nodes
    assert window.session.state.highlight == nodes
    assert window.session.state.selection == ()
    leaf = window.session.recording["U_f"]
    window.session.edit(leaf.id, leaf.value * 1.001)
    assert view.routes.found[view.chosen].nodes == nodes
    edge = view.edges.topLevelItem(1)
    click(view.edges.viewport(), view.edges.visualItemRect(edge).center())
    assert window.session.state.selection == (nodes[-3],) and seen(window, nodes[-3])
    assert window.session.state.highlight == nodes and view.routes.source == nodes[0]
    window.session.update(t=3.0)
    assert view.source == nodes[0], "a node of the list is no new source"
    QTest.keyClick(view.edges, Qt.Key.Key_Escape)
    assert window.session.state.highlight == ()


def test_source_follows_the_selection_and_k_counts(opened, window):
    view = opened("bptt", "paths")
    x = window.session.recording["x_1"].id
    window.session.update(selection=(x,))
    assert view.source == x
    view.target = window.session.trace.loss
    view.count.setValue(3)
    assert view.table.topLevelItemCount() == 3


def test_the_ends_follow_the_length_until_they_are_chosen(opened, window):
    view = opened("bptt", "paths")
    assert (view.start.currentText(), view.to.currentText()) == ("z⁰", "z³")
    window.session.update(parameters={"T": 5})
    assert (view.start.currentText(), view.to.currentText()) == ("z⁰", "z⁵")
    view.to.setCurrentIndex(view.to.findText("z⁴"))
    view.to.activated.emit(view.to.currentIndex())
    window.session.update(parameters={"T": 6})
    assert (view.start.currentText(), view.to.currentText()) == ("z⁰", "z⁴")
    window.session.update(parameters={"T": 2})
    assert (view.start.currentText(), view.to.currentText()) == ("z⁰", "z²")


# Carousel


def test_the_line_of_a_state_is_lit_by_its_button(opened, window):
    view = opened("lstm", "carousel", T=4)
    click(view.show_line, view.show_line.rect().center())
    line = own_line(window.session.trace, "c")
    assert window.session.state.highlight == line
    assert sum(seen(window, node) for node in line) >= 2


# Jacobian


@pytest.mark.parametrize("name", ["jacobian", "flow"])
def test_dragging_the_radius_through_one_is_one_undo_entry(opened, window, qtbot, name):
    view = opened("bptt", name, T=8)
    drag = view.radius
    session = window.session
    node = session.recording["W"].id
    before = session.trace.values[node].copy()
    drag.slider.setSliderDown(True)
    for tick in (140, 100, 60, 1, 60):
        drag.slider.setValue(tick)
        assert jacobian.spectral_radius(session.trace.values[node]) == pytest.approx(tick / 100)
    drag.slider.setSliderDown(False)
    direction = before / jacobian.spectral_radius(before)
    assert np.allclose(session.trace.values[node], 0.6 * direction, rtol=1e-12)
    assert "0.6" in drag.radius.text()
    settled(window, qtbot, name)
    shown = view.jacobians if name == "jacobian" else view.flows["z"]
    assert shown.trace is session.trace
    session.undo()
    assert np.array_equal(session.trace.values[node], before)


def test_a_click_on_a_pair_shows_its_singular_values(opened, window):
    view = opened("lstm", "jacobian", T=4)
    view.state.setCurrentText("h")
    view.state.activated.emit(view.state.currentIndex())
    QTest.qWait(50)
    click(view.map, view.map.rect_of(4, 1).center())
    recording = window.session.recording
    assert window.session.state.selection == (recording["h_4"].id, recording["h_1"].id)
    assert np.allclose(view.singular.sizes, view.jacobians.singular_values(4, 1))


def test_work_is_given_up_when_the_lab_is_closed(opened, window, qtbot):
    view = opened("lstm", "jacobian")
    window.session.update(parameters={"T": 40, "hidden": 24})
    assert view.worker.busy
    window.panels["lab"].hide()
    assert not view.worker.busy
    window.run(ACTIONS["lab_jacobian"])
    assert view.worker.busy  # asked again
    window.close()
    assert not view.worker.busy


def test_an_exploding_gradient_is_survived(opened, window, qtbot):
    opened("bptt", "flow", activation="linear", T=12)
    leaf = window.session.recording["W"]
    for size in (1e5, 0.0):
        window.session.edit(leaf.id, size * np.ones(leaf.shape))
        for view in VIEWS:
            window.run(ACTIONS[f"lab_{view}"])
            shown = settled(window, qtbot, view)
            if view == "contributions":
                shown.modes["matrix"].click()
                settled(window, qtbot, view)
            window.panels["lab"].grab()


# Proofs


def test_proofs_are_ticked_and_crossed(opened, window, qtbot):
    view = opened("bptt", "proofs")
    proofs = len(window.session.scene.proofs)
    assert [view.list.topLevelItem(k).text(0) for k in range(proofs)] == ["✓"] * proofs
    assert view.verdict.text().startswith("✓")
    leaf = window.session.recording["W"]
    window.session.edit(leaf.id, leaf.value * 2)
    settled(window, qtbot, "proofs")
    assert view.verdict.text().startswith("✓") and len(view.found) == proofs
    leaf.value = leaf.value * 2  # behind the session's back: the gradients no longer belong to the values
    view.follow(frozenset({"trace"}))
    view.prove_all()
    assert view.verdict.text().startswith("✗")
    assert "✗" in [view.list.topLevelItem(k).text(0) for k in range(proofs)]


def test_a_misprint_is_shown_beside_what_is_right(opened, window):
    view = opened("cec", "proofs")
    scene = window.session.scene
    view.list.setCurrentItem(view.list.topLevelItem(len(scene.proofs)))
    assert view.pages.currentWidget() is view.erratum
    assert (view.printed.text(), view.right.text()) == (scene.errata[0].printed, scene.errata[0].right)
    assert view.printed.geometry().right() < view.right.geometry().left(), "side by side"
    steps = (-1.0) ** window.session.state.parameters["T"]
    assert [v.array.tolist() for v in view.versions] == [[-1.0, steps], [1.0, 1.0]]
    view.list.setCurrentItem(view.list.topLevelItem(len(scene.proofs) + 1))
    assert view.printed.text() == scene.errata[1].printed
    assert view.gives.text() == "" and view.versions[0].isHidden(), "no plain recurrent network is here"
    view.list.setCurrentItem(view.list.topLevelItem(1))
    assert view.pages.currentIndex() == 0
    assert view.chosen == scene.proofs[1].id
    assert np.array_equal(view.engine.array, view.closed.array)


def test_what_both_versions_give_follows_an_edit(opened, window):
    view = opened("bptt", "proofs", T=5)
    view.list.setCurrentItem(view.list.topLevelItem(len(window.session.scene.proofs) + 1))
    assert "δ^4" in view.gives.text()
    before = [v.array for v in view.versions]
    assert not np.allclose(*before)
    leaf = window.session.recording["W"]
    window.session.edit(leaf.id, leaf.value * 2)
    after = [v.array for v in view.versions]
    assert not any(np.allclose(a, b) for a, b in zip(before, after, strict=True))


# Check


def test_the_worst_element_is_named_and_selected(opened, window, qtbot):
    view = opened("bptt", "check")
    assert view.verdict.text().startswith("✓")
    assert len(view.lines) == min(len(view.found), 7)
    click(view.worst, QPoint(8, 8))
    (leaf,) = window.session.state.selection
    worst = max(view.found, key=lambda e: e.errors[e.best])
    assert leaf == worst.leaf and view.name(leaf) in view.worst.text()
    assert seen(window, leaf), "the click goes to it"
    settled(window, qtbot, "check")
    assert [e.leaf for e in view.found] == [leaf]


def test_large_checks_wait_for_the_button(opened, window, qtbot):
    view = opened("lstm", "check", T=30, hidden=12)
    recurrent = {window.session.recording[n].id for n in ("U_f", "U_i", "U_o", "U_c")}
    assert view.leaf.currentData() in recurrent
    assert not view.found and view.verdict.text()
    click(view.run, QPoint(5, 5))
    assert view.worker.busy
    view.worker.cancel()


def test_leaves_of_a_scene_that_has_gone_are_not_asked_for(opened, window, qtbot):
    view = opened("lstm", "check", T=2)
    view.leaf.setCurrentIndex(view.leaf.count() - 1)
    window.run(ACTIONS["lab_flow"])  # the check is hidden, and does not follow
    window.open_scene("expression")
    assert view.leaf.currentData() >= len(window.session.trace.values)
    view._ask_if_quick()  # as when its moment to answer comes just now
    assert settled(window, qtbot, "check") is view and not view.worker.busy
    window.run(ACTIONS["lab_check"])
    settled(window, qtbot, "check")
    assert len(view.found) == view.leaf.count() - 1


def test_a_truncated_gradient_fails_with_its_reason(opened):
    view = opened("bptt", "check", T=4, truncate=2)
    assert view.verdict.text().startswith("✗")
    assert "on purpose" in view.detail.text()
