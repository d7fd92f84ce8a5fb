"""Training: the same numbers however an update is reached, and what a session makes of it."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd import optim
from explorer.cli import main
from explorer.model import playback, traces, training
from explorer.model.alterations import leaf_key
from explorer.model.files import load, save
from explorer.model.frame import COMPUTING
from explorer.model.session import Session, open_session
from explorer.model.state import Recipe
from explorer.model.training import OPTIMIZERS, SCHEDULES, Training, check, update_graph
from scenes.scene import SCENES, SceneError, find_scene

MOONS = {"data": "moons", "layers": 2, "units": 4}
FAST = Recipe("adam", lr=0.05, epochs=6)


def moons(recipe=FAST, **parameters):
    return Training(find_scene("mlp").build(MOONS | parameters), recipe)


def session(recipe=FAST, **parameters):
    s = open_session("mlp", **MOONS | parameters)
    s.update(recipe=recipe)
    return s


def same(a, b):
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a.values, b.values, strict=True))


# The numbers


@pytest.mark.parametrize("batch", [16, 0, 100, 128])  # of 180: eleven, all, and one that is shuffled anew
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_is_backward_and_step_in_a_loop(optimizer, batch):
    recipe = Recipe(optimizer, lr=0.05, epochs=2, clip=0.7)
    run = moons(recipe, batch=batch)
    recording = find_scene("mlp").build(MOONS | {"batch": batch})
    graph, data = recording.graph, recording.data
    leaves = graph.leaves("parameter")
    rule = OPTIMIZERS[optimizer](leaves, 0.05)
    for update in range(2 * run.per_epoch):
        for name, value in data.batch(data.rows(update, batch, 0)).items():
            recording[name].value = value
        graph.forward()
        graph.backward(recording.loss)
        optim.clip_by_norm(leaves, 0.7)
        rule.step()
    for mine, leaf in zip(run.at(10**9).values, leaves, strict=True):
        np.testing.assert_allclose(mine, leaf.value, rtol=1e-10, atol=1e-13)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 66), min_size=1, max_size=8), st.sampled_from(sorted(OPTIMIZERS)))
def test_an_update_is_the_same_however_it_is_reached(visits, optimizer):
    recipe = replace(FAST, optimizer=optimizer)
    wandering, straight = moons(recipe), moons(recipe)
    straight.run()
    for update in visits:
        assert same(wandering.at(update), straight.at(update))
    wandering.run()
    assert same(wandering.head, straight.head)
    assert wandering.curves == straight.curves


def test_a_little_at_a_time_is_the_same_as_all_at_once():
    whole, pieces = moons(), moons()
    whole.run()
    calls = 0
    while pieces.advance(0.0):
        calls += 1
    assert calls == pieces.last - 1 == 6 * 11 - 1
    assert same(whole.head, pieces.head) and whole.curves == pieces.curves


def test_places_to_go_on_from_are_thinned_and_nothing_else_changes(monkeypatch):
    usual = moons(replace(FAST, epochs=40))
    usual.run()
    point = usual.head
    each = sum(v.nbytes for v in point.values) + sum(a.nbytes for s in point.state for a in s.values())
    monkeypatch.setattr(training, "MOST_KEPT", 5 * each)
    thin = moons(replace(FAST, epochs=40))
    thin.run()
    assert len(usual._kept) == 41 and len(thin._kept) <= 5
    assert all(same(thin.at(u), usual.at(u)) for u in (437, 3, 44, 0, 440))


def test_frozen_parameters_do_not_move():
    s = session(replace(FAST, frozen=("W_1", "b_*")))
    before = {n: s.recording.value(n).copy() for n in ("W_1", "b_1", "W_2", "b_2")}
    s.update(update=20)
    for name in ("W_1", "b_1", "b_2"):
        assert s.recording.value(name).tobytes() == before[name].tobytes()
    assert not np.array_equal(s.recording.value("W_2"), before["W_2"])
    assert [s.recording.graph.names[x.node] for x in s.trace.steps if x.phase == "update"] == ["W_2"]


def test_every_parameter_frozen_is_a_network_that_stays():
    run = moons(replace(FAST, frozen=("*",)))
    run.run()
    assert run.head.update == 66 and run.curves[0] == run.curves[-1]


def test_patience_stops_and_the_best_epoch_is_the_lowest():
    run = moons(Recipe("adam", lr=0.05, epochs=300, patience=10), units=16)
    run.run()
    judged = [e.validation_loss for e in run.curves]
    assert run.best == int(np.argmin(judged))
    assert run.stopped_at == run.best + 10 == len(run.curves) - 1 < 300
    patient = moons(Recipe("adam", lr=0.05, epochs=300), units=16)
    patient.run(epochs=run.stopped_at)
    assert patient.stopped_at is None and same(patient.head, run.head)


def test_curves_are_what_the_scene_says_of_all_examples():
    run = moons()
    run.run()
    epoch, point = run.curves[4], run.at(4 * run.per_epoch)
    for examples, loss, score in (
        (run.data.train, epoch.loss, epoch.score),
        (run.data.validation, epoch.validation_loss, epoch.validation_score),
    ):
        recording = find_scene("mlp").build(MOONS, batch=examples)
        for i, value in zip(run.moving, point.values, strict=True):
            recording.graph.nodes[i].value = value
        recording.graph.forward()
        assert float(recording.loss.value) == pytest.approx(loss, rel=1e-12)
        assert recording.scene.score(recording) == score


@pytest.mark.parametrize("scene", ["bptt", "expression", "lstm"])
def test_a_scene_without_data_is_its_own_example(scene):
    s = open_session(scene)
    s.update(recipe=Recipe(lr=0.01, epochs=8))
    run = s.training
    run.run()
    losses = [e.loss for e in run.curves]
    assert run.per_epoch == 1 and len(losses) == 9 and losses == sorted(losses, reverse=True)
    assert math.isnan(run.curves[0].validation_loss)
    s.update(update=8)
    assert float(s.trace.values[s.trace.loss]) == pytest.approx(losses[8], rel=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_span_the_recipe(schedule):
    run = moons(Recipe("sgd", lr=0.1, schedule=schedule, epochs=4))
    rates = [run.step(u).rate for u in (0, 20, 43)]
    wanted = {
        "constant": (0.1, 0.1, 0.1),
        "step_decay": (0.1, 0.01, 0.001),
        "exponential": (0.1, 0.1 * 0.01 ** (20 / 44), 0.1 * 0.01 ** (43 / 44)),
        "cosine": (0.1, 0.05 * (1 + math.cos(math.pi * 20 / 44)), 0.05 * (1 + math.cos(math.pi * 43 / 44))),
        "warm_up": (0.025, 0.1, 0.1),
    }
    assert rates == pytest.approx(wanted[schedule])


@pytest.mark.parametrize("recipe", [Recipe(lr=1e6, epochs=400), Recipe("momentum", lr=30.0, epochs=400)])
def test_divergence_is_found_and_named(recipe):
    s = open_session("mlp", activation="relu", gain=3.0)
    s.update(recipe=recipe)
    run = s.training
    run.run()
    assert run.diverged_at is not None and run.finished and run.last == run.diverged_at
    before, there = run.at(run.diverged_at - 1), run.at(run.diverged_at)
    assert run.at(10**6) is run.head and all(np.isfinite(v).all() for v in before.values)
    s.update(update=run.diverged_at)
    trace, bad = s.trace, run.first_bad
    assert not np.isfinite(trace.values[bad]).all() or not np.isfinite(trace.grads[bad]).all()
    if not np.isfinite(trace.values[bad]).all():
        assert all(np.isfinite(value).all() for value in trace.values[:bad])
    assert str(run.diverged_at) in run.trouble and s.recording.graph.names[bad] in run.trouble
    assert not s.more and there.update == run.diverged_at
    s.update(update=run.diverged_at - 1)
    assert s.state.update == run.diverged_at - 1 and np.isfinite(s.trace.values[s.trace.loss])


def test_what_is_infinite_from_the_start_is_not_blamed():
    with ag.Graph() as graph:
        w = ag.tensor([1.0, 2.0, 3.0], name="w", kind="parameter")
        mask = ag.tensor([0.0, 0.0, -np.inf], name="mask", kind="constant")
        p = ag.softmax(w + mask).named("p")
        loss = (ag.sum(p * p) + ag.exp(ag.sum(w[:2])).named("tower")).named("E")
    s = Session()
    s.open_graph(graph, loss)
    s.update(recipe=Recipe(lr=-0.0, epochs=5))
    s.training.run()
    assert s.training.diverged_at is None
    s.update(recipe=Recipe(lr=1e6, epochs=5, frozen=()), edits={"w": [500.0, 200.0, 3.0]})
    s.training.run()
    assert s.training.diverged_at == 1 or s.recording.graph.names[s.training.first_bad] == "tower"


def test_cancelling_leaves_what_was_reached():
    run = moons(replace(FAST, epochs=1000))
    told = []
    run.run(progress=told.append, cancelled=lambda: len(told) >= 30)
    assert run.head.update == 30 and not run.finished and len(run.curves) == 3
    assert told == sorted(told) and 0 < told[0] < told[-1] < 1
    other = moons(replace(FAST, epochs=1000))
    assert same(run.at(45), other.at(45))


@pytest.mark.parametrize(
    "wrong",
    [
        {"optimizer": "sdg"},
        {"schedule": "none"},
        {"lr": -1.0},
        {"lr": math.nan},
        {"clip": -0.1},
        {"epochs": 0},
        {"patience": -1},
        {"epochs": 10**9},
    ],
)
def test_a_recipe_that_can_not_be_is_refused(wrong):
    with pytest.raises(SceneError, match=str(next(iter(wrong.values())))):
        check(replace(FAST, **wrong))
    s = session()
    with pytest.raises(SceneError):
        s.update(recipe=replace(FAST, **wrong))
    assert s.state.recipe == FAST


def test_without_parameters_there_is_nothing_to_train():
    with ag.Graph() as graph:
        loss = ag.sum(ag.tensor([1.0, 2.0], name="x", kind="input"))
    s = Session()
    s.open_graph(graph, loss)
    with pytest.raises(SceneError, match="no parameters"):
        s.update(recipe=FAST)
    assert s.state.recipe is None and s.training is None


# An update as a graph and in words


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_the_small_graph_does_what_the_optimizer_did(optimizer, clip):
    run = moons(Recipe(optimizer, lr=0.1, epochs=3, clip=clip))
    for update in (0, 1, 17):
        taken = run.step(update)
        assert (taken.factor < 1.0) == bool(clip)
        for n, leaf in enumerate(run.moving):
            graph, new = update_graph(run, taken, leaf)
            name = run.recording.graph.names[leaf]
            assert graph.named(f"{name}′") == new and new.id == len(graph) - 1
            np.testing.assert_allclose(new.value, taken.after.values[n], rtol=1e-15, atol=1e-16)
            step = graph.named("step").value
            # where the parts of a mean cancel, exact to their size; processors multiply and add differently
            np.testing.assert_allclose(step, taken.updates[n].step, rtol=2e-15, atol=1e-16)
            letters = {
                "momentum_buffer": "v",
                "exp_avg": "m",
                "exp_avg_sq": "s",
                "sum": "s",
                "acc_delta": "u",
            }
            for key, letter in letters.items():
                if key in taken.updates[n].state:
                    after = graph.named(f"{letter}′").value
                    np.testing.assert_allclose(after, taken.updates[n].state[key], rtol=1e-15, atol=1e-17)


def test_an_update_step_says_the_rule_with_its_numbers():
    s = session(Recipe("sgd", lr=0.1))
    first = s.trace.backward_end
    said = playback.describe(s, first + 1.0)
    assert said == f"update 0 · step {first + 1} of {s.end}: W₁ ← W₁ − 0.1·∂E/∂W₁"
    s.update(recipe=Recipe("momentum", lr=0.1, clip=1e-3))
    words = playback.describe(s, float(s.end))
    assert "v ← 0.9·v + 0.00" in words and words.endswith("b₂ ← b₂ − 0.1·v")


# The session


def test_steps_lead_from_update_to_update_and_back():
    s = session()
    end = s.end
    way = [(s.state.update, s.state.t)]
    for _ in range(2 * (end + 1) + 3):
        s.update(**playback.forward(s))
        way.append((s.state.update, s.state.t))
    assert way == [(k // (end + 1), float(k % (end + 1))) for k in range(len(way))]
    for before in reversed(way[:-1]):
        s.update(**playback.back(s))
        assert (s.state.update, s.state.t) == before
    s.update(**playback.back(s))
    assert (s.state.update, s.state.t) == (0, 0.0)
    assert not s.state.trained


def test_the_last_update_is_the_end():
    s = session()
    s.update(update=10**6)
    assert s.state.update == s.training.last == 66 and not s.more
    assert s.end == s.trace.backward_end
    s.update(t=math.inf)
    assert s.state.t == s.end
    s.update(**playback.forward(s))
    assert (s.state.update, s.state.t) == (66, float(s.end))


def test_the_leaves_hold_the_shown_update_and_its_batch():
    s, run = session(), moons()
    for update in (0, 5, 13, 4):
        s.update(update=update)
        for node, value in run.leaves(update).items():
            assert np.array_equal(s.trace.values[node], value)
        taken = run.step(update)
        for node, value, g in zip(run.moving, taken.after.values, taken.gradients, strict=True):
            assert np.array_equal(s.trace.new[node], value)
            np.testing.assert_allclose(s.trace.grads[node], g, rtol=1e-12, atol=1e-15)


def test_a_box_shows_the_new_value_after_its_update():
    s = session()
    s.update(folded=frozenset())
    W = s.recording["W_1"].id
    box, at = s.layout.box_of_node[W], int(s.trace.update_step[W])
    old, new = s.trace.values[W], s.trace.new[W]
    assert np.array_equal(s.frame(float(at)).value(box), old) and not s.frame(float(at)).updated[box]
    assert s.frame(at + 0.5).state[box] == COMPUTING and np.array_equal(s.frame(at + 0.5).value(box), old)
    assert np.array_equal(s.frame(at + 1.0).value(box), new) and s.frame(at + 1.0).updated[box]
    s.update(update=1)
    assert np.array_equal(s.frame(0.0).value(box), new)


def test_moving_through_updates_is_not_undone_and_the_recipe_is():
    s = open_session("mlp", **MOONS)
    s.update(recipe=FAST, title="Train")
    for update in range(30):
        s.update(update=update)
    assert s.undo_title == "Train"
    s.undo()
    assert (s.state.recipe, s.state.update, s.end) == (None, 0, s.trace.backward_end)
    s.redo()
    assert s.state.recipe == FAST and s.state.update == 29


def test_an_edit_goes_on_from_where_training_has_led():
    s = session()
    s.update(update=30)
    W, b = s.recording["W_1"].id, s.recording["b_1"].id
    there = s.trace.values[W].copy()
    s.edit(b, np.ones((4, 1)))
    assert s.state.update == 0 and np.array_equal(s.trace.values[W], there)
    assert np.array_equal(s.trace.values[b], np.ones((4, 1)))
    s.update(update=5)
    assert not np.array_equal(s.trace.values[W], there)
    s.undo()
    assert s.state.update == 30 and not s.state.edits and np.array_equal(s.trace.values[W], there)
    s.redo()
    assert s.state.update == 5
    s.reset_edits()
    assert s.state.update == 0 and not s.state.edits


def test_editing_an_example_holds_the_batch():
    s = session()
    s.update(update=7)
    x, d = s.recording["x"].id, s.recording["d"].id
    targets, changed = s.trace.values[d].copy(), s.trace.values[x] + 1.0
    s.edit(x, changed)
    assert set(s.state.edits) == {"W_1", "b_1", "W_2", "b_2", "x", "d"}
    assert s.training.per_epoch == 1
    s.update(update=3)
    assert np.array_equal(s.trace.values[x], changed) and np.array_equal(s.trace.values[d], targets)


def test_freezing_a_leaf_by_hand_goes_on_from_where_training_has_led():
    s = session()
    s.update(update=12)
    there = s.trace.values[s.recording["W_1"].id].copy()
    s.update(frozen=frozenset({leaf_key(s.recording.graph, s.recording["W_1"].id)}))
    assert s.state.update == 0
    s.update(update=9)
    assert np.array_equal(s.trace.values[s.recording["W_1"].id], there)


def test_what_is_held_is_held_in_training_and_where_it_is_measured():
    s = session()
    z = s.recording["z_1"].id
    s.hold(z, np.zeros((4, 16)))
    s.update(update=22)
    epoch, W = s.training.curves[2], s.recording["W_1"].id
    assert np.array_equal(s.state.trained["W_1"], s.training.leaves(0)[W])  # no gradient comes so far
    logits = s.state.trained["b_2"][:, 0]
    shares = np.exp(logits) / np.exp(logits).sum()
    data = s.training.data
    for examples, loss in ((data.train, epoch.loss), (data.validation, epoch.validation_loss)):
        assert -np.log(shares) @ examples["d"].mean(axis=1) == pytest.approx(loss, rel=1e-12)


def test_more_epochs_go_on_and_another_rate_begins_anew():
    s = session()
    s.training.run()
    run = s.training
    s.update(update=60)
    s.update(recipe=replace(FAST, epochs=9, patience=3))
    assert s.training is run and s.state.update == 60 and s.training.last == 99
    s.update(recipe=replace(FAST, lr=0.01))
    assert s.training is not run and s.state.update == 0 and not s.state.trained
    s.update(recipe=replace(FAST, schedule="cosine"))
    s.update(update=3)
    s.update(recipe=replace(FAST, schedule="cosine", epochs=7))  # another curve of rates
    assert s.state.update == 0


@pytest.mark.parametrize("change", [{"parameters": {"units": 5}}, {"seed": 3}])
def test_another_network_begins_anew(change):
    s = session()
    s.update(update=20)
    s.update(**change)
    assert s.state.recipe == FAST and s.state.update == 0 and s.end > s.trace.backward_end
    s.undo()
    assert s.state.update == 20
    assert same(s.training.at(20), moons().at(20))


def test_training_keeps_the_layout():
    s = session()
    layout, told = s.layout, []
    s.subscribe(told.append)
    s.update(update=4)
    assert s.layout is layout and told == [{"update", "trained", "trace"}]


# Files and the command line


def test_a_file_opens_with_its_trained_weights(tmp_path):
    s = session(replace(FAST, frozen=("b_1",), clip=2.0, patience=4))
    s.update(update=40, t=3.0)
    save(tmp_path / "a.backstep", s.state)
    other = Session()
    other.open_state(load(tmp_path / "a.backstep").state, "a")
    assert (other.state.recipe, other.state.update, other.state.t) == (s.state.recipe, 40, 3.0)
    assert not other.training.knows(40) and not other.dirty
    assert all(np.array_equal(a, b) for a, b in zip(other.trace.values, s.trace.values, strict=True))
    for one in (s, other):
        one.update(t=math.inf)
        one.update(**playback.forward(one))
        assert one.state.update == 41
    assert all(np.array_equal(a, b) for a, b in zip(other.trace.values, s.trace.values, strict=True))


def test_a_file_without_its_weights_opens_untrained(tmp_path):
    s = session()
    s.update(update=40)
    save(tmp_path / "a.backstep", replace(s.state, trained={}))
    assert load(tmp_path / "a.backstep").state.update == 0
    save(tmp_path / "b.backstep", replace(s.state, trained={"W_1": np.zeros((1, 1))}))
    other = Session()
    other.open_state(load(tmp_path / "b.backstep").state, "b")
    assert other.state.update == 0 and other.training.head.update == 0


def test_the_command_line_trains_and_saves(tmp_path, capsys):
    file = tmp_path / "trained.backstep"
    words = ["train", "mlp", "data=moons", "--set", "units=4", "layers=2", "--epochs", "60"]
    assert main([*words, "--optimizer", "adam", "--lr", "0.05", "--freeze", "b_*", "--save", str(file)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split("\t") == ["epoch", "loss", "score", "validation loss", "validation score"]
    rows = [[float(x) for x in line.split("\t")] for line in said[1:-1]]
    assert said[-1] == str(file) and len(rows) <= 20 and rows[-1][0] == 60 and rows[-1][1] < rows[0][1]
    state = load(file).state
    assert state.recipe == Recipe("adam", lr=0.05, epochs=60, frozen=("b_*",)) and state.update == 660
    s = Session()
    s.open_state(state, "")
    assert set(s.state.trained) == {"W_1", "W_2"}


def test_the_command_line_says_when_it_diverges(capsys):
    assert main(["train", "mlp", "activation=relu", "gain=3", "--epochs", "50", "--lr", "1e6"]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("backstep: Diverged at update ") and "nan" not in told.err
    assert main(["train", "mlp", "--lr", "fast"]) == 2


@pytest.mark.parametrize("ending", ["json", "npz"])
def test_a_trace_of_a_trained_file_has_the_values_after_the_update(tmp_path, ending):
    s = session(replace(FAST, frozen=("b_1",)))
    s.update(update=9)
    save(tmp_path / "a.backstep", s.state)
    traces.save(s.recording, s.trace, tmp_path / f"t.{ending}")
    W, b = s.recording["W_1"].id, s.recording["b_1"].id
    if ending == "json":
        nodes = json.loads((tmp_path / "t.json").read_text())["nodes"]
        assert np.array_equal(nodes[W]["updated"], s.trace.new[W]) and "updated" not in nodes[b]
        assert np.array_equal(nodes[W]["value"], s.state.trained["W_1"])
    else:
        arrays = np.load(tmp_path / "t.npz")
        assert np.array_equal(arrays[f"updated_{W}"], s.trace.new[W]) and f"updated_{b}" not in arrays


def test_a_trained_scene_has_a_scalar_form(tmp_path):
    s = open_session("mlp")
    s.update(recipe=Recipe(lr=0.1, epochs=5))
    s.update(update=3)
    save(tmp_path / "a.backstep", s.state)
    assert main(["trace", str(tmp_path / "a.backstep"), "--scalar", "--out", str(tmp_path / "t.json")]) == 0
    found = json.loads((tmp_path / "t.json").read_text())
    assert found["nodes"][found["loss"]]["value"] == pytest.approx(
        float(s.trace.values[s.trace.loss]), rel=1e-12
    )


# Recipes that scenes bring


@pytest.mark.parametrize("id", [s.id for s in SCENES.values() if s.recipe])
def test_a_scene_is_trained_as_it_asks(id):
    recording = find_scene(id).build()
    asked = SCENES[id].recipe(SimpleNamespace(**recording.parameters))
    recipe = check(training.first_recipe(recording))
    assert asked and all(getattr(recipe, name) == value for name, value in asked.items())


def test_what_a_scene_asks_for_follows_its_parameters():
    one, many = (training.first_recipe(find_scene("mlp").build(p)) for p in ({}, MOONS))
    assert (one.optimizer, one.lr, one.epochs) == ("sgd", 0.1, 50)
    assert (many.optimizer, many.lr, many.epochs) == ("adam", 0.01, 100)
    patient = find_scene("early-stopping").build({"patience": 7})
    assert training.first_recipe(patient).patience == 7
    assert training.first_recipe(find_scene("lstm").build()) == Recipe()


def test_the_command_line_trains_as_the_scene_asks(capsys):
    assert main(["train", "overfit-small-batch"]) == 0
    rows = capsys.readouterr().out.splitlines()
    first, last = (float(row.split("\t")[1]) for row in (rows[1], rows[-1]))
    assert rows[-1].startswith("200\t") and last < first / 100
    assert main(["train", "mini-batch", "--epochs", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("2\t")


# Weight decay


@pytest.fixture(scope="module")
def torch_walks():
    with np.load(Path(__file__).parents[1] / "references" / "decay.npz") as file:
        return dict(file)


@pytest.mark.parametrize("optimizer, clip", [*((name, 0.0) for name in OPTIMIZERS), ("adam", 0.4)])
def test_weight_decay_is_that_of_torch(torch_walks, optimizer, clip):
    """Frozen from `torch.optim`, 50 updates on all of the two moons; clipping comes before the decay."""
    key = f"walk/{optimizer} clipped" if clip else f"walk/{optimizer}"
    run = moons(Recipe(optimizer, lr=0.05, decay=0.03, clip=clip, epochs=50), batch=0)
    leaves = [run.recording.graph.names[i] for i in run.moving]
    for name, value in zip(leaves, run.at(0).values, strict=True):
        assert np.array_equal(value, torch_walks[f"start/{name}"]), "the seeded values have drifted"
    walked = np.array([np.concatenate([v.ravel() for v in run.at(k).values]) for k in range(51)])
    np.testing.assert_allclose(walked, torch_walks[key], rtol=1e-12, atol=1e-12)
    without = moons(Recipe(optimizer, lr=0.05, clip=clip, epochs=50), batch=0)
    assert not np.allclose(without.at(50).values[0], run.at(50).values[0], rtol=1e-6)


@pytest.mark.parametrize("clip", [0.0, 0.1])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_decay_stands_in_the_small_graph_and_in_words(optimizer, clip):
    run = moons(Recipe(optimizer, lr=0.1, decay=0.25, clip=clip, epochs=3))
    taken = run.step(7)
    for leaf in run.moving:
        graph, new = update_graph(run, taken, leaf)
        np.testing.assert_allclose(new.value, taken.after.values[run.moving.index(leaf)], rtol=1e-13)
        assert "λ" in graph.names
    words = training.rule(run.recipe, taken).format(w="w", g="∂E/∂w")
    assert "∂E/∂w + 0.25·w,  " in words and words.startswith("g ← ") and words.count("∂E") == 1


@pytest.mark.parametrize("decay", [-0.1, math.nan, math.inf])
def test_decay_has_to_be_a_number_that_is_not_negative(decay):
    with pytest.raises(SceneError, match="weight decay"):
        check(Recipe(decay=decay))


def test_files_and_the_command_line_know_decay(tmp_path, capsys):
    path = str(tmp_path / "d.backstep")
    assert main(["train", "mlp", "--decay", "0.5", "--epochs", "3", "--save", path]) == 0
    with_decay = capsys.readouterr().out
    assert load(path).state.recipe == Recipe("sgd", lr=0.1, decay=0.5, epochs=3)
    assert main(["train", "mlp", "--epochs", "3"]) == 0
    assert capsys.readouterr().out != with_decay
