"""The training panel, driven by clicks and keys."""

import time

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QSpinBox

from explorer.model.decisions import Plane
from explorer.model.files import save
from explorer.model.state import Recipe
from explorer.model.training import Training
from explorer.view.panels.training import Amount
from scenes.scene import find_scene

MOONS = {"data": "moons", "layers": 2, "units": 8}
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def moons(still, qtbot):
    """A window on two moons, with the panel open."""
    still.session.open_scene("mlp", MOONS)
    qtbot.waitUntil(still.canvas.isVisible)
    press(qtbot, still, Qt.Key.Key_T, CTRL, SHIFT)
    qtbot.waitUntil(still.panels["training"].isVisible)
    return still


def press(qtbot, window, key, *modifiers):
    held = Qt.KeyboardModifier.NoModifier
    for modifier in modifiers:
        held |= modifier
    qtbot.keyClick(window, key, held)


CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def trained(qtbot, window, recipe=None):
    """Run to the end by the button."""
    p = window.panels["training"]
    window.session.update(recipe=recipe or Recipe("adam", lr=0.05, epochs=12))
    qtbot.mouseClick(p.start, LEFT)
    assert p.running
    qtbot.waitUntil(lambda: not p.running, timeout=20_000)
    return p


def test_the_button_trains_to_the_end(moons, qtbot):
    p = trained(qtbot, moons)
    run = moons.session.training
    assert moons.session.state.update == run.head.update == run.last == 132
    assert len(p.curves.curves) == 13 and p.bar.value() == 1000
    assert "132" in p.words.text() and not p.start.isEnabled()
    alone = Training(find_scene("mlp").build(MOONS), Recipe("adam", lr=0.05, epochs=12))
    alone.run()
    assert all(np.array_equal(a, b) for a, b in zip(run.head.values, alone.head.values, strict=True))
    assert moons.session.undo_title == "" or moons.session.state.recipe is not None


def test_the_window_answers_while_it_trains_and_pauses(moons, qtbot):
    p = moons.panels["training"]
    moons.session.update(recipe=Recipe("adam", lr=0.01, epochs=5000))
    qtbot.mouseClick(p.start, LEFT)
    longest, begun = 0.0, time.perf_counter()
    while time.perf_counter() - begun < 0.6:
        one = time.perf_counter()
        QApplication.processEvents()
        longest = max(longest, time.perf_counter() - one)
    assert p.running and p.start.text() == "Pause" and longest < 0.5
    press(qtbot, moons, Qt.Key.Key_T, CTRL)
    run = moons.session.training
    assert not p.running and 0 < moons.session.state.update == run.head.update < run.last
    there = run.head.update
    qtbot.wait(60)
    assert run.head.update == there
    press(qtbot, moons, Qt.Key.Key_T, CTRL)
    qtbot.waitUntil(lambda: run.head.update > there)
    p.pause()


def test_cancelling_shows_what_was_there_before(moons, qtbot):
    p = moons.panels["training"]
    moons.session.update(recipe=Recipe(lr=0.05, epochs=5000))
    moons.session.update(update=7)
    qtbot.mouseClick(p.start, LEFT)
    qtbot.waitUntil(lambda: moons.session.state.update > 7, timeout=10_000)
    qtbot.mouseClick(p.stop, LEFT)
    assert not p.running and moons.session.state.update == 7
    press(qtbot, moons, Qt.Key.Key_Right)
    assert moons.session.state.t == 1.0


def test_going_to_an_update_pauses(moons, qtbot):
    p = moons.panels["training"]
    moons.session.update(recipe=Recipe(lr=0.05, epochs=5000))
    qtbot.mouseClick(p.start, LEFT)
    qtbot.waitUntil(lambda: moons.session.state.update > 0, timeout=10_000)
    press(qtbot, moons, Qt.Key.Key_Home, CTRL)
    assert not p.running
    qtbot.wait(250)
    assert moons.session.state.update == 0


def test_weights_from_a_file_are_shown_and_said_to_be(moons, qtbot, tmp_path):
    p, session = trained(qtbot, moons), moons.session
    weights = {k: v.copy() for k, v in session.state.trained.items()}
    session.update(update=100)
    save(tmp_path / "a.backstep", session.state)
    session.close()
    moons.keeping.open(str(tmp_path / "a.backstep"))
    qtbot.waitUntil(lambda: "file" in p.rule.text())
    assert session.state.update == 100 and session.training.head.update == 0
    qtbot.mouseClick(p.start, LEFT)
    qtbot.waitUntil(lambda: not p.running, timeout=20_000)
    assert session.state.update == 132
    assert all(np.array_equal(session.state.trained[k], v) for k, v in weights.items())


def test_playing_does_not_draw_the_panel_again(moons, qtbot, monkeypatch):
    p, session = moons.panels["training"], moons.session
    session.update(recipe=Recipe(epochs=3))
    drawn = []
    monkeypatch.setattr(p.small, "show_frame", drawn.append)
    for t in (0.3, 1.0, 2.5):
        session.update(t=t)
    assert not drawn
    session.update(update=1)
    assert len(drawn) == 1


def test_closing_the_window_ends_training(moons, qtbot):
    p = moons.panels["training"]
    moons.session.update(recipe=Recipe(lr=0.05, epochs=5000))
    qtbot.mouseClick(p.start, LEFT)
    qtbot.waitUntil(lambda: moons.session.training.head.update > 0)
    moons.close()
    qtbot.waitUntil(lambda: not p.running)
    there = p._worked.head.update
    qtbot.wait(50)
    assert p._worked.head.update == there


def test_another_scene_ends_training(moons, qtbot):
    p = moons.panels["training"]
    moons.session.update(recipe=Recipe(lr=0.05, epochs=5000))
    qtbot.mouseClick(p.start, LEFT)
    qtbot.waitUntil(lambda: moons.session.training.head.update > 0)
    moons.session.open_scene("lstm")
    assert not p.running and moons.session.training is None
    qtbot.mouseClick(p.start, LEFT)
    qtbot.waitUntil(lambda: not p.running, timeout=20_000)
    assert moons.session.training.head.update == Recipe().epochs
    moons.session.close()
    moons.session.open_scene("mlp", MOONS)
    qtbot.waitUntil(lambda: p.form.isVisible() and p.leaf.count() == 4 and not p.hint.isVisible())


def test_a_press_on_the_curve_goes_to_the_epoch_and_a_drag_follows(moons, qtbot):
    p = trained(qtbot, moons)
    run = moons.session.training
    place = lambda epoch: QPoint(round(p.curves.x_of(epoch)), p.curves.height() // 2)  # noqa: E731
    qtbot.mousePress(p.curves, LEFT, pos=place(4))
    assert moons.session.state.update == 4 * run.per_epoch
    for k, value in zip(run.moving, run.at(4 * run.per_epoch).values, strict=True):
        assert np.array_equal(moons.session.trace.values[k], value)
    qtbot.mouseMove(p.curves, place(9))
    assert moons.session.state.update == 9 * run.per_epoch
    qtbot.mouseRelease(p.curves, LEFT, pos=place(9))
    press(qtbot, moons, Qt.Key.Key_Home, CTRL)
    assert moons.session.state.update == 0
    press(qtbot, moons, Qt.Key.Key_End, CTRL)
    assert moons.session.state.update == run.last
    press(qtbot, moons, Qt.Key.Key_B, CTRL)
    losses = [e.validation_loss for e in run.curves]
    assert moons.session.state.update == int(np.argmin(losses)) * run.per_epoch


def test_keys_go_from_update_to_update(moons, qtbot):
    session = moons.session
    session.update(recipe=Recipe(epochs=3))
    press(qtbot, moons, Qt.Key.Key_Right, CTRL, SHIFT)
    press(qtbot, moons, Qt.Key.Key_Right, CTRL, SHIFT)
    assert session.state.update == 2
    press(qtbot, moons, Qt.Key.Key_Left, CTRL, SHIFT)
    assert session.state.update == 1
    press(qtbot, moons, Qt.Key.Key_End)
    press(qtbot, moons, Qt.Key.Key_Right)
    assert (session.state.update, session.state.t) == (2, 0.0)
    press(qtbot, moons, Qt.Key.Key_Left)
    assert (session.state.update, session.state.t) == (1, float(session.end))


def test_playing_goes_on_into_the_next_update(moons, qtbot):
    session = moons.session
    session.update(recipe=Recipe(epochs=3), speed=8.0)
    session.update(t=float(session.end - 1))
    press(qtbot, moons, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: session.state.update == 1 and session.state.t > 0, timeout=5_000)
    press(qtbot, moons, Qt.Key.Key_Space)
    assert not session.state.playing


def test_the_form_makes_the_recipe_and_can_be_undone(moons, qtbot):
    p, session = moons.panels["training"], moons.session
    assert session.state.recipe is None and p.optimizer.currentData() == "adam"  # as the scene asks
    p.optimizer.setFocus()
    for _ in range(3):
        qtbot.keyClick(p.optimizer, Qt.Key.Key_Up)
    assert session.state.recipe == Recipe("sgd", lr=0.01, epochs=100)
    assert session.undo_title == "Change the recipe"
    for field, words, name, value in (
        (p.lr, "0.0025", "lr", 0.0025),
        (p.clip, "1.5", "clip", 1.5),
        (p.decay, "0.001", "decay", 0.001),
        (p.epochs, "7", "epochs", 7),
        (p.patience, "3", "patience", 3),
    ):
        field.setFocus()
        field.selectAll()
        qtbot.keyClicks(field, words)
        qtbot.keyClick(field, Qt.Key.Key_Return)
        assert getattr(session.state.recipe, name) == value
    p.batch.setValue(32)
    assert session.state.parameters["batch"] == 32 and session.state.recipe.epochs == 7
    next(q for q in p.freeze.menu().actions() if q.data() == "b_1").trigger()
    assert session.state.recipe.frozen == ("b_1",) and p.freeze.text() == "b₁"
    moons.run(_action("undo"))
    assert session.state.recipe.frozen == () and p.freeze.text() == "none"
    moons.run(_action("leave_training"))
    assert session.state.recipe is None and session.end == session.trace.backward_end


def _action(name):
    from explorer.model.actions import ACTIONS

    return ACTIONS[name]


def test_amounts_step_by_their_first_digit(qtbot):
    box = Amount(1e6)
    qtbot.addWidget(box)
    box.setValue(0.1)
    box.stepBy(1)
    assert box.text() == "0.2"
    box.stepBy(-1)
    box.stepBy(-1)
    assert box.text() == "0.09"
    box.setValue(3e-7)
    assert box.text() == "3e-07"
    box.setValue(0.0)
    box.stepBy(1)
    assert box.value() > 0


def test_early_stopping_shows_the_best_epoch(moons, qtbot):
    p = trained(qtbot, moons, Recipe("adam", lr=0.1, epochs=400, patience=8))
    run = moons.session.training
    assert run.stopped_at is not None and p.curves.stopped == run.stopped_at
    assert moons.session.state.update == run.best * run.per_epoch and p.curves.best == run.best


def test_divergence_is_said_and_marked(moons, qtbot):
    moons.session.open_scene("mlp", {"activation": "relu", "gain": 3.0})
    p = trained(qtbot, moons, Recipe(lr=1e6, epochs=300))
    run = moons.session.training
    assert p.trouble.isVisible() and p.trouble.text() == run.trouble
    assert p.curves.diverged == run.diverged_at
    assert moons.session.state.update == run.diverged_at
    p.curves.grab()
    press(qtbot, moons, Qt.Key.Key_Home, CTRL)
    assert moons.session.state.update == 0 and not p.start.isEnabled()


def test_the_decision_surface_follows_the_epoch(moons, qtbot):
    p = trained(qtbot, moons, Recipe("adam", lr=0.05, epochs=40))
    assert p.surface.isVisible()
    late = p.surface.decision.classes.copy()
    press(qtbot, moons, Qt.Key.Key_Home, CTRL)
    assert not np.array_equal(p.surface.decision.classes, late)
    plane, run = p.surface.plane, moons.session.training
    # the classes at the examples' nearest points of the grid are the network's answers to the examples
    shares = (plane.train.places - plane.low) / (plane.high - plane.low)
    column, row = np.rint(shares * 63).astype(int).T
    assert np.mean(late[row, column] == plane.train.classes) > 0.9 < run.curves[-1].score
    image = p.surface.grab().toImage()
    assert len({image.pixel(x, image.height() // 2) for x in range(0, image.width(), 3)}) > 5
    moons.session.open_scene("mlp", {"data": "iris"})
    moons.session.update(recipe=Recipe())
    assert not p.surface.isVisible() and Plane.of(moons.session.training) is None


def test_the_surface_answers_quickly(moons):
    moons.session.update(recipe=Recipe("adam", lr=0.05, epochs=3))
    moons.session.training.run()
    plane = Plane.of(moons.session.training)
    begun = time.perf_counter()
    for update in range(10):
        plane.at(update)
    assert (time.perf_counter() - begun) / 10 < 0.05


def test_the_update_is_drawn_with_its_rule(moons, qtbot):
    p, session = moons.panels["training"], moons.session
    session.update(recipe=Recipe("momentum", lr=0.1, frozen=("b_*",)))
    assert "v" in p.rule.text() and p.small.frame is not None
    names = set(p.small.frame.trace.graph.names)
    assert {"W_1", "g", "v", "v′", "step", "W_1′"} <= names
    new = p.small.frame.trace.graph.named("W_1′").value
    assert np.array_equal(new, session.trace.new[session.recording["W_1"].id])
    p.leaf.setCurrentIndex(1)
    p.leaf.activated.emit(1)
    assert p.rule.text() == "This parameter is frozen." and p.small.frame is None
    session.update(update=10**6)
    p.leaf.setCurrentIndex(0)
    p.leaf.activated.emit(0)
    last = p.small.frame.trace.graph.named("W_1′").value
    assert p.rule.text().startswith("last update: ") and np.array_equal(last, session.state.trained["W_1"])


@pytest.mark.parametrize("language", ["en", "ja"])
def test_nothing_is_cut_off(moons, qtbot, language):
    moons.set_language(language)
    p = trained(qtbot, moons)
    for widget in p.widget().findChildren(QLabel) + p.widget().findChildren(QPushButton):
        if widget.isVisible() and not (isinstance(widget, QLabel) and widget.wordWrap()):
            assert widget.width() >= widget.sizeHint().width(), widget.text()
    for spin in p.widget().findChildren(QSpinBox):
        assert not spin.isVisible() or spin.width() >= spin.minimumSizeHint().width()
    assert p.widget().widget().minimumSizeHint().width() <= p.widget().viewport().width()


def test_the_panel_stays_hidden_until_it_is_wanted(lstm):
    assert not lstm.panels["training"].isVisible()
    lstm.run(_action("train"))
    p = lstm.panels["training"]
    assert p.isVisible() and p.running
    p.pause()


def test_a_typed_edit_starts_from_the_numbers_that_are_shown(moons):
    session, inspector = moons.session, moons.panels["inspector"]
    session.update(recipe=Recipe("adam", lr=0.05, epochs=2))
    node = session.trace.graph.named("W_1").id
    session.update(selection=(node,), t=float(session.end))
    shown = session.trace.value(node, session.state.t)
    assert not np.array_equal(shown, session.trace.values[node])  # the update has been taken
    inspector._edit((0, 0), 0.25, False)
    expected = shown.copy()
    expected[0, 0] = 0.25
    assert np.array_equal(session.trace.values[node], expected)
