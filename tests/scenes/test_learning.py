"""Data sets and the scenes that learn from them: equal to PyTorch, trainable, and true to their words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from autograd import Plan, optim
from scenes import SCENES
from scenes.data_sets import DATA_SETS, SPECIES, digits, examples, flower, iris, moons, spirals
from scenes.foundations import augmentation, classifier, early_stopping, overfit_small_batch
from scenes.foundations.early_stopping import chosen_epoch
from scenes.foundations.optimizers import RATES, RULES, settings, start, tracks
from scenes.foundations.transfer_learning import learned
from scenes.scene import Data, Recording, Value
from tests.scenes.agreement import (
    a_thousandth_off,
    arrays,
    compare,
    compare_frozen,
    compare_scalar,
    failing,
    live,
    maker,
    relative_error,
    typed,
)

LEARNING = (
    *("mini-batch", "overfit-small-batch", "early-stopping", "transfer-learning"),
    *("optimizers", "augmentation"),
)


def variants() -> list[Any]:
    """The defaults, then every choice and switch; of `mlp` its data."""
    found: list[tuple[str, dict[str, Value]]] = []
    for scene in LEARNING:
        found.append((scene, {}))
        for p in SCENES[scene].parameters:
            values: tuple[Value, ...] = (not p.default,) if p.type == "bool" else p.choices
            found += [(scene, {p.name: v}) for v in values if v != p.default]
    found += [("mlp", {"data": name}) for name in DATA_SETS]
    found += [("mlp", {"data": "iris", "activation": kind}) for kind in ("sigmoid", "relu", "linear")]
    found += [("mlp", {"data": "iris", "layers": 1, "batch": 0})]
    found += [("optimizers", {"optimizer": name, "steps": 7}) for name in RULES]
    found += [("optimizers", {"optimizer": "Adam", "bias_correction": False})]
    return [pytest.param(s, v, id=f"{s}-{v}") for s, v in found]


# Data


def test_the_digits_are_fifty_of_each() -> None:
    features, classes = digits()
    assert features.shape == (500, 64)
    assert np.array_equal(np.bincount(classes), np.full(10, 50))
    assert features.min() == 0.0 and features.max() == 1.0
    assert np.array_equal(features * 16, np.round(features * 16))
    zero, one = (features[classes == k].mean(axis=0).reshape(8, 8) for k in (0, 1))
    assert zero[3:5, 3:5].mean() < 0.25 < 0.6 < one[3:5, 3:5].mean(), "a nought is hollow, a one is not"


def test_the_irises_are_those_of_the_paper() -> None:
    features, classes = iris()
    assert features.shape == (150, 4)
    assert np.array_equal(np.bincount(classes), [50, 50, 50])
    # the means of Fisher's table I
    assert np.allclose(features[:50].mean(axis=0), [5.006, 3.428, 1.462, 0.246], atol=1e-9)
    assert np.allclose(features[100:].mean(axis=0), [6.588, 2.974, 5.552, 2.026], atol=1e-9)
    assert examples("iris", 0).classes == SPECIES


@pytest.mark.parametrize("size", [8, 12, 24, 48])
def test_the_photograph_keeps_its_mean_colour(size: int) -> None:
    picture = flower(size)
    assert picture.shape == (size, size, 3)
    assert 0 <= picture.min() < picture.max() <= 1
    assert np.allclose(picture.mean(axis=(0, 1)), flower().mean(axis=(0, 1)), rtol=1e-12)
    left, right = picture[:, : size // 2, 0], picture[:, size // 2 :, 0]
    assert left.mean() > right.mean() + 0.2, "the flower stands on the left, so a flip shows"


@pytest.mark.parametrize("make", [moons, spirals])
def test_what_is_made_follows_the_seed(make: Any) -> None:
    points, classes = make(200, 3)
    again, other = make(200, 3)[0], make(200, 4)[0]
    assert points.shape == (200, 2) and set(classes) == {0, 1}
    assert np.array_equal(points, again) and not np.array_equal(points, other)
    sharp, _ = make(200, 3, noise=0.0)
    assert 0 < np.std(points - sharp) < 0.2


def test_sharp_moons_and_spirals_lie_on_their_curves() -> None:
    points, classes = moons(500, 0, noise=0.0)
    for k, sign in ((0, 1), (1, -1)):
        middle = np.array([-0.5 * sign, -0.25 * sign])
        assert np.allclose(np.linalg.norm(points[classes == k] - middle, axis=1), 1.0)
    points, classes = spirals(500, 0, noise=0.0)
    radius, angle = np.linalg.norm(points, axis=1), np.arctan2(points[:, 1], points[:, 0])
    turns = 1.25 * radius / 1.5 + classes / 2
    assert np.allclose(np.exp(1j * angle), np.exp(2j * np.pi * turns))


@pytest.mark.parametrize("name", DATA_SETS)
def test_a_quarter_is_kept_and_no_example_is_lost(name: str) -> None:
    data, other = examples(name, 0), examples(name, 1)
    together = np.hstack([data.train["x"], data.validation["x"]])
    assert data.validation["x"].shape[1] == round(together.shape[1] / 4)
    assert data.count == data.train["d"].shape[1]
    for part in (data.train, data.validation):
        assert np.array_equal(part["d"].sum(axis=0), np.ones(part["x"].shape[1]))
        assert len(part["d"]) == len(data.classes)
    assert not np.array_equal(data.train["x"], other.train["x"])
    if name == "digits":
        everything = np.sort(np.round(digits()[0].T, 4), axis=1)
        assert np.array_equal(np.sort(together, axis=1), everything)
    if name == "iris":
        assert np.allclose(data.train["x"].mean(axis=1), 0, atol=1e-4)
        assert np.allclose(data.train["x"].std(axis=1), 1, atol=1e-3)
        assert not np.allclose(data.validation["x"].mean(axis=1), 0, atol=1e-4), "it was not looked at"


# Against PyTorch


def test_equals_frozen_torch_values() -> None:
    assert {case["scene"] for case in compare_frozen("learning")} == {*LEARNING, "mlp"}


@live
def test_equals_torch_live() -> None:
    torch = maker("make_learning")
    for scene in torch.NETWORKS:
        for case in torch.cases(scene):
            recording = SCENES[scene].build(case["values"], seed=case["seed"] + 100)
            compare(recording, *torch.by_torch(recording))


@pytest.mark.parametrize("name", RULES)
def test_tracks_are_those_of_torch(name: str) -> None:
    wanted = arrays("learning")[f"track_{name}"]
    p = SimpleNamespace(**SCENES["optimizers"].check({"steps": 50}))
    got = tracks(p, first=wanted[0])[name]
    assert got.shape == wanted.shape == (51, 2)
    assert relative_error(got, wanted) <= 1e-12


# Proofs and the scalar form


@pytest.mark.parametrize(("scene", "values"), variants())
def test_proofs_hold_for_values_that_someone_typed(scene: str, values: dict[str, Value]) -> None:
    assert failing(typed(scene, values)) == []


@pytest.mark.parametrize("scene", LEARNING)
def test_proofs_notice_gradients_that_are_a_thousandth_off(scene: str) -> None:
    assert failing(a_thousandth_off(scene))


@pytest.mark.parametrize(
    ("scene", "values"),
    [case for case in variants() if case.values[1] not in ({"size": "24"}, {"size": "48"})],
)
def test_scalar_form_of_every_choice(scene: str, values: dict[str, Value]) -> None:
    compare_scalar(SCENES[scene].build(values), SCENES[scene].build(values, scalar=True))


# Training


def trained(values: dict[str, Value], updates: int, lr: float, seed: int = 0) -> Recording:
    """`mlp` on the examples that were held back, after so many updates by Adam on batches."""
    scene = SCENES["mlp"]
    recording = scene.build(values, seed=seed)
    data = recording.data
    assert data is not None
    graph, plan = recording.graph, Plan(recording.graph, recording.loss)
    adam = optim.adam(graph.leaves("parameter"), lr)
    for update in range(updates):
        for name, part in data.batch(data.rows(update, int(recording.parameters["batch"]), seed)).items():
            plan.set(recording[name].id, part)
        plan.run()
        for leaf in adam.leaves:
            graph.grads[leaf.id] = plan.grad(leaf.id)
        adam.step()
        for leaf in adam.leaves:
            plan.set(leaf.id, leaf.value)
    judged = scene.build(values, seed=seed, batch=data.validation)
    for leaf in judged.graph.leaves("parameter"):
        leaf.value = recording.value(leaf.name)
    judged.graph.forward()
    return judged


@pytest.mark.parametrize(
    ("data", "units", "layers", "epochs"),
    [("moons", 6, 3, 100), ("iris", 8, 2, 60), ("digits", 16, 2, 15), ("spirals", 16, 3, 200)],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_perceptron_learns_every_data_set(
    data: str, units: int, layers: int, epochs: int, seed: int
) -> None:
    values: dict[str, Value] = {"data": data, "units": units, "layers": layers}
    judged = trained(values, epochs * examples(data, seed).per_epoch(16), 0.01, seed)
    assert SCENES["mlp"].score is not None
    assert SCENES["mlp"].score(judged) >= 0.9


def test_one_example_has_no_data_and_no_score() -> None:
    recording = SCENES["mlp"].build()
    assert recording.data is None
    assert SCENES["mlp"].score is not None and np.isnan(SCENES["mlp"].score(recording))


def test_the_score_counts_what_is_right() -> None:
    recording = SCENES["mlp"].build({"data": "iris"})
    y = np.tile([[0.0], [2.0], [1.0]], 16)
    recording.graph.values[recording["y"].id][...] = y
    truth = recording.value("d").argmax(axis=0)
    assert SCENES["mlp"].score is not None
    assert SCENES["mlp"].score(recording) == np.mean(truth == 1)


# Mini-batches


@pytest.mark.parametrize("size", [1, 4, 0])
def test_both_forms_of_a_batch_are_one(size: int) -> None:
    each, one = (
        SCENES["mini-batch"].build({"batch": size, "form": form}, seed=3)
        for form in ("each example", "one product")
    )
    assert len(each.graph) > len(one.graph) or size == 1
    for name in ("W", "b", "x"):
        assert relative_error(each.grad(name), one.grad(name)) <= 1e-12


@pytest.mark.parametrize("size", [1, 4, 9])
def test_the_gradient_arrives_in_one_instalment_per_example(size: int) -> None:
    recording = SCENES["mini-batch"].build({"batch": size})
    sent = [g for _, g in recording.contributions("W")]
    assert len(sent) == size
    assert np.allclose(np.sum(sent, axis=0), recording.grad("W"), rtol=1e-12)


# Overfitting, stopping, transfer


@pytest.mark.parametrize("labels", ["true", "shuffled"])
@pytest.mark.parametrize("batch", [2, 10, 16])
def test_a_sound_network_knows_its_batch_by_heart(batch: int, labels: str) -> None:
    values: dict[str, Value] = {"batch": batch, "labels": labels}
    for seed in range(3):
        recording = SCENES["overfit-small-batch"].build(values, seed=seed)
        history = classifier.train(recording, 200, tell=("E",), lr=0.05)[:, 0]
        assert history[-1] < 0.01 * history[0]
        recording.graph.forward()
        assert classifier.share_right(recording) == 1.0


def test_bugs_show_as_the_chapters_say() -> None:
    scene = SCENES["overfit-small-batch"]
    assert abs(overfit_small_batch.losses(scene.build())[0] - np.log(10)) < 0.5
    twice = overfit_small_batch.losses(scene.build({"bug": "softmax twice"}))
    assert twice[-1] < twice[0] - 0.5 and np.all(twice >= np.log(np.e + 9) - 1)
    dead = scene.build({"bug": "zero weights"})
    for name in ("W_1", "W_2", "b_1"):
        assert not np.any(dead.grad(name))
    assert np.any(dead.grad("b_2"))


def test_every_class_has_its_turn_in_the_small_batch() -> None:
    data = overfit_small_batch.data(SimpleNamespace(batch=16, labels="true"), 5)
    assert sorted(data.train["d"].sum(axis=1)) == [1.0] * 4 + [2.0] * 6
    assert isinstance(data, Data) and not data.validation


@pytest.mark.parametrize(
    ("losses", "patience", "chosen"),
    [
        ([3.0, 2.0, 1.0], 1, 2),
        ([3.0, 2.0, 2.5, 1.0], 1, 1),
        ([3.0, 2.0, 2.5, 1.0], 2, 3),
        ([1.0, 1.0, 1.0], 5, 0),
        ([5.0], 1, 0),
    ],
)
def test_patience_chooses(losses: list[float], patience: int, chosen: int) -> None:
    assert chosen_epoch(losses, patience) == chosen


def test_validation_turns_while_training_falls() -> None:
    for seed in range(4):
        training, validation = early_stopping.curves(SCENES["early-stopping"].build(seed=seed))
        best = int(np.argmin(validation))
        assert 0 < best < early_stopping.EPOCHS // 2
        assert validation[-1] > 1.5 * validation[best]
        assert training[-1] < 0.5 * training[best]


def test_the_frozen_part_has_no_gradient_at_all() -> None:
    for frozen, count in (("none", 0), ("most", 2), ("all but the last", 3)):
        recording = SCENES["transfer-learning"].build({"frozen": frozen})
        learning = {leaf.name for leaf in recording.graph.leaves("parameter")}
        assert learning == {f"{letter}_{k}" for k in range(count + 1, 5) for letter in "Wb"}
        for k in range(1, 4):
            assert (recording[f"u_{k}"].grad is None) == (k <= count)


def _validation_loss(values: dict[str, Value], seed: int) -> float:
    scene = SCENES["transfer-learning"]
    recording = scene.build(values, seed=seed)
    assert recording.data is not None
    classifier.train(recording, 200, tell=("E",), lr=0.02)
    judged = scene.build(values, seed=seed, batch=recording.data.validation)
    for leaf in judged.graph.leaves("parameter"):
        leaf.value = recording.value(leaf.name)
    judged.graph.forward()
    return float(judged.loss.value)


def test_few_examples_want_frozen_layers_and_another_task_does_not() -> None:
    def mean(frozen: str, examples: int, turn: float) -> float:
        values: dict[str, Value] = {"frozen": frozen, "examples": examples, "turn": turn}
        return float(np.mean([_validation_loss(values, seed) for seed in range(6)]))

    assert mean("all but the last", 12, 10.0) < mean("none", 12, 10.0)
    assert mean("all but the last", 120, 90.0) > 2 * mean("none", 120, 90.0)


def test_what_was_learned_before_is_the_same_each_time() -> None:
    first = learned(3, 4, 1)
    learned.cache_clear()
    for (W, b), (V, c) in zip(first, learned(3, 4, 1), strict=True):
        assert np.array_equal(W, V) and np.array_equal(b, c)


# Optimisers


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("switches", [{}, {"average": True}, {"bias_correction": False}])
def test_rules_are_those_of_the_engine(name: str, switches: dict[str, Value]) -> None:
    recording = SCENES["optimizers"].build({"optimizer": name, "steps": 12} | switches, seed=3)
    p = SimpleNamespace(**recording.parameters)
    h = settings(p, name)
    with recording.graph.preserved():
        w = recording["w_0"]
        rules: dict[str, Any] = {
            "SGD": lambda: optim.sgd([w], h["eta"]),
            "Momentum": lambda: optim.momentum([w], h["eta"], p.beta, average=p.average),
            "RMSprop": lambda: optim.rmsprop([w], h["eta"], p.beta, h["epsilon"]),
            "Adam": lambda: optim.adam(
                [w], h["eta"], (p.beta, p.beta_2), h["epsilon"], bias_correction=p.bias_correction
            ),
            "Adagrad": lambda: optim.adagrad([w], h["eta"], eps=h["epsilon"]),
            "Adadelta": lambda: optim.adadelta([w], h["eta"], p.beta, h["epsilon"]),
        }
        optimizer, wanted = rules[name](), [w.value]
        for _ in range(12):
            recording.graph.grads[w.id] = recording.value("A") * w.value
            optimizer.step()
            wanted.append(w.value)
    got = np.array([recording.value(f"w_{k}") for k in range(13)])
    assert relative_error(got, np.array(wanted)) <= 1e-12
    assert np.array_equal(tracks(p, seed=3)[name][0], start(3))
    assert relative_error(tracks(p, seed=3)[name], got) <= 1e-12


def test_every_track_goes_down_and_sgd_bounces_when_it_is_told_to() -> None:
    p = SimpleNamespace(**SCENES["optimizers"].check({"steps": 50}))
    for name, track in tracks(p).items():
        losses = 0.5 * track**2 @ np.array([1.0, p.ravine])
        assert losses[-1] < losses[0], name
        assert name == "Adadelta" or losses[-1] < 0.2 * losses[0], name
    p.lr = 0.11
    across = tracks(p)["SGD"][:, 1]
    assert np.all(across[1:] * across[:-1] < 0) and np.all(np.abs(across[1:]) > np.abs(across[:-1]))


def test_adam_without_correction_starts_three_times_as_far() -> None:
    steps = [
        SCENES["optimizers"].build({"optimizer": "Adam", "bias_correction": on}).value("delta_1")
        for on in (True, False)
    ]
    assert np.allclose(np.abs(steps[0]), RATES["Adam"], rtol=1e-6)
    assert np.allclose(steps[1] / steps[0], 0.1 / np.sqrt(0.001), rtol=1e-5)


# Augmentation


def test_the_seed_moves_crop_noise_tint_and_hole_and_nothing_else() -> None:
    first, again, other = (SCENES["augmentation"].build(seed=seed) for seed in (0, 0, 1))
    for k, version in enumerate(augmentation.VERSIONS, 1):
        assert np.array_equal(first.value(f"v_{k}"), again.value(f"v_{k}"))
        same = np.array_equal(first.value(f"v_{k}"), other.value(f"v_{k}"))
        assert same == (version in ("original", "flip", "rotation", "contrast")), version


def test_no_rotation_no_crop_no_noise_is_the_original() -> None:
    values: dict[str, Value] = {"angle": 0.0, "crop": 1.0, "noise": 0.0, "contrast": 1.0}
    recording = SCENES["augmentation"].build(values)
    for version in ("rotation", "crop", "noise", "contrast"):
        got = recording.value(f"v_{augmentation.VERSIONS.index(version) + 1}")
        assert np.allclose(got, recording.value("x"), rtol=1e-14), version


def test_a_quarter_turn_is_exact() -> None:
    rows, columns = augmentation.turned(5, 90.0)
    picture = np.arange(25).reshape(5, 5)
    assert np.array_equal(picture[rows, columns], np.rot90(picture))


def test_a_crop_stays_within_the_picture() -> None:
    for seed in range(30):
        rows, columns = augmentation.cropped(12, 0.5, seed)
        assert rows.min() >= 0 and rows.max() < 12 and np.ptp(rows) == 5
        assert columns.min() >= 0 and columns.max() < 12 and np.ptp(columns) == 5
    assert len({augmentation.cropped(12, 0.5, seed)[0].min() for seed in range(30)}) > 3
