"""The scenes of one layer: equal to PyTorch, true after an edit, and what they claim in words."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from scenes import SCENES
from scenes.foundations.dropout import drawn_mask
from scenes.foundations.gradient_check import STEPS, sweep
from scenes.foundations.xavier import spreads
from scenes.scene import SceneError, Value
from tests.scenes.agreement import (
    a_thousandth_off,
    compare,
    compare_frozen,
    compare_scalar,
    failing,
    live,
    maker,
    relative_error,
    typed,
)

FOUNDATIONS = (
    *("dense", "activations", "cross-entropy", "batch-norm", "dropout"),
    *("weight-penalties", "xavier", "gradient-check"),
)
Check = Callable[[SceneError], None]


def choices(scene: str) -> list[dict[str, Value]]:
    """The defaults, then every choice of every parameter."""
    found: list[dict[str, Value]] = [{}]
    for p in SCENES[scene].parameters:
        found += [{p.name: choice} for choice in p.choices if choice != p.default]
    return found


CHOICES = [pytest.param(s, v, id=f"{s}-{v}") for s in FOUNDATIONS for v in choices(s)]


# Against PyTorch


def test_equals_frozen_torch_values() -> None:
    asked = {case["scene"] for case in compare_frozen("foundations")}
    assert asked == set(FOUNDATIONS) - {"xavier", "gradient-check"}


@live
def test_equals_torch_live() -> None:
    torch = maker("make_foundations")
    for scene in torch.NETWORKS:
        for case in torch.cases(scene):
            recording = SCENES[scene].build(case["values"], seed=case["seed"] + 100)
            compare(recording, *torch.by_torch(recording))


# Proofs


@pytest.mark.parametrize(("scene", "values"), CHOICES)
def test_proofs_hold_for_values_that_someone_typed(scene: str, values: dict[str, Value]) -> None:
    assert failing(typed(scene, values)) == []


@pytest.mark.parametrize("scene", FOUNDATIONS)
def test_proofs_notice_gradients_that_are_a_thousandth_off(scene: str) -> None:
    assert failing(a_thousandth_off(scene))


@pytest.mark.parametrize(("scene", "values"), CHOICES)
def test_scalar_form_of_every_choice(scene: str, values: dict[str, Value]) -> None:
    compare_scalar(SCENES[scene].build(values), SCENES[scene].build(values, scalar=True))


def test_misprints_of_the_notes_are_named() -> None:
    printed = [e.printed for e in SCENES["activations"].errata]
    assert any("e^{−1}" in p for p in printed) and any("x >= 0" in p for p in printed)


# Dense, activations, cross-entropy


def test_dense_layers_part_when_one_is_edited() -> None:
    recording = SCENES["dense"].build()
    assert np.allclose(recording.value("O"), recording.value("Oprime"), rtol=1e-15)
    recording["W"].value = recording.value("W") + 1.0
    recording.graph.forward()
    assert not np.allclose(recording.value("O"), recording.value("Oprime"))


@pytest.mark.parametrize("links", [1, 3, 10])
def test_a_chain_of_sigmoids_keeps_at_most_a_quarter_for_each_link(links: int) -> None:
    recording = SCENES["activations"].build({"chain": links})
    first = SCENES["activations"].build({"chain": 1})
    first["x"].value = np.zeros(first["x"].shape)
    first.graph.forward()
    first.graph.backward(first.loss)
    assert np.all(first.grad("x") == 0.25)
    assert 0 < np.max(recording.grad("x")) <= 0.25**links


def test_relu_is_flat_at_zero() -> None:
    recording = SCENES["activations"].build({"function": "relu", "chain": 1, "spread": 0.0})
    assert np.all(recording.value("x") == 0.0)
    assert np.all(recording.grad("x") == 0.0)


def test_only_the_fused_loss_stands_scores_far_out() -> None:
    finite = {}
    for form in ("spelled out", "one operation"):
        recording = SCENES["cross-entropy"].build({"form": form})
        recording["W"].value = np.array([[800.0, 0.0], [-800.0, 0.0], [0.0, 0.0]])
        recording["x"].value = np.ones(2)
        recording.graph.forward()
        finite[form] = bool(np.isfinite(recording.loss.value))
    assert finite == {"spelled out": False, "one operation": True}


# Batch normalisation and dropout


@pytest.mark.parametrize("placement", ["before f", "after f"])
def test_both_forms_of_batch_normalisation_are_one(placement: str) -> None:
    forms = [
        SCENES["batch-norm"].build({"placement": placement, "form": form}, seed=4)
        for form in ("spelled out", "one operation")
    ]
    assert len(forms[0].graph) > len(forms[1].graph)
    for leaf in ("W", "x", "gamma", "beta"):
        assert relative_error(forms[1].grad(leaf), forms[0].grad(leaf)) <= 1e-12
    assert np.max(np.abs(forms[0].grad("u").sum(axis=0))) <= 1e-12 or placement == "after f"


def test_a_change_of_one_example_reaches_all_of_the_batch() -> None:
    recording = SCENES["batch-norm"].build()
    before = recording.grad("u").copy()
    changed = recording.value("x").copy()
    changed[0] += 0.5
    recording["x"].value = changed
    recording.graph.forward()
    recording.graph.backward(recording.loss)
    assert np.all(np.any(recording.grad("u") != before, axis=1))


def test_masks_are_seeded_and_nested() -> None:
    masks = [drawn_mask(3, 10_000, p) for p in (0.0, 0.3, 0.5, 0.95)]
    for p, mask in zip((0.0, 0.3, 0.5, 0.95), masks, strict=True):
        assert abs(np.mean(mask == 0) - p) < 0.02
        assert np.array_equal(mask, drawn_mask(3, 10_000, p))
    assert all(np.all(more <= less) for less, more in pairwise(masks))
    assert not np.array_equal(masks[2], drawn_mask(4, 10_000, 0.5))


def test_evaluation_drops_nothing() -> None:
    trained, evaluated = (SCENES["dropout"].build({"mode": mode}) for mode in ("train", "eval"))
    assert np.array_equal(evaluated.value("a"), evaluated.value("z"))
    gone = trained.value("m") == 0
    assert gone.any() and not gone.all()
    assert np.all(trained.value("a")[gone] == 0.0)
    assert np.allclose(trained.value("a")[~gone], 2 * trained.value("z")[~gone], rtol=1e-15)


# Xavier


def large(start: str, activation: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    values = {"layers": 10, "units": 256, "batch": 16, "start": start, "activation": activation}
    return spreads(SCENES["xavier"].build(values, seed=seed))


@pytest.mark.parametrize("seed", range(6))
def test_xavier_keeps_the_variance_there_and_back(seed: int) -> None:
    for spread in large("Xavier", "linear", seed):
        assert np.all((spread / spread[0] >= 0.5) & (spread / spread[0] <= 2.0))


def test_a_wrong_start_loses_or_gains_ten_times_a_layer() -> None:
    for spread in large("too small", "linear", 0):
        assert np.all(spread[1:] <= 0.1 * spread[:-1])
    for spread in large("too large", "linear", 0):
        assert np.all(spread[1:] >= 10 * spread[:-1])


def test_tanh_falls_slowly_from_xavier_and_saturates_from_a_large_start() -> None:
    forth, _ = large("Xavier", "tanh", 0)
    assert np.all(np.diff(forth) < 0)
    assert np.all(forth[1:] >= 0.5 * forth[:-1])
    assert np.all(np.diff(forth[1:] / forth[:-1]) > -0.02), "the smaller the numbers, the less is lost"
    saturated, growing = large("too large", "tanh", 0)
    assert np.all(saturated > 0.7)
    assert np.all(growing[1:] > 1.5 * growing[:-1])
    recording = SCENES["xavier"].build({"units": 256, "start": "too large", "activation": "tanh"})
    assert np.mean(1 - recording.value("z_5") ** 2 < 0.1) > 0.5


def test_a_scalar_form_that_does_not_fit_says_so(said_in_both: Check) -> None:
    with pytest.raises(SceneError, match="at most 50000 fit") as error:
        SCENES["xavier"].build({"units": 256}, scalar=True)
    said_in_both(error.value)


# Gradient check


@pytest.mark.parametrize("of", [id for id in SCENES if id != "gradient-check"])
def test_any_scene_can_be_checked(of: str) -> None:
    recording = SCENES["gradient-check"].build({"of": of}, seed=1)
    alone = SCENES[of].build(seed=1)
    assert recording.loss.value == alone.loss.value
    for leaf in alone.graph.leaves("parameter", "input"):
        assert np.array_equal(recording.grad(leaf.name), alone.grad(leaf.name))
    assert sweep(recording).min() <= 1e-6
    proofs = {proof.id: proof for proof in SCENES["gradient-check"].proofs}
    got, wanted = proofs["quotient"].compute(recording)
    assert relative_error(got, wanted) <= 1e-9


def test_the_error_falls_with_the_square_of_h_and_rises_again() -> None:
    errors = sweep(SCENES["gradient-check"].build())
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.05)
    best = int(np.argmin(errors))
    assert 1e-7 <= STEPS[best] <= 1e-3
    assert errors[0] > 1000 * errors[best] and errors[-1] > 1000 * errors[best]


@pytest.mark.parametrize("scalar", [False, True])
@pytest.mark.parametrize(
    ("leaf", "name", "index"), [("W[2,1]", "W", (2, 1)), (" b[1] ", "b", (1,)), ("x", "x", (0,))]
)
def test_the_named_number_is_moved(leaf: str, name: str, index: tuple[int, ...], scalar: bool) -> None:
    recording = SCENES["gradient-check"].build({"leaf": leaf}, scalar=scalar)
    element = f"{name}[{','.join(map(str, index))}]"
    gradient = recording.grad(element) if scalar else recording.grad(name)[index]
    assert recording.value("numeric") == pytest.approx(float(gradient), rel=1e-6)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"of": "gradient-check"}, "any other scene"),
    ({"of": "mpl"}, "did you mean mlp"),
    ({"leaf": "V"}, "it takes one of W, b, x"),
    ({"leaf": "W[3,0]"}, "the last place is `W[2,1]`"),
    ({"leaf": "W[-1,0]"}, "the last place is"),
    ({"leaf": "W[0]"}, "the last place is"),
    ({"leaf": "W[]"}, "the last place is"),
    ({"leaf": "b[x]"}, "the last place is `b[2]`"),
]


@pytest.mark.parametrize(("values", "words"), REFUSED)
def test_what_can_not_be_checked_gets_one_sentence(
    values: dict[str, Any], words: str, said_in_both: Check
) -> None:
    with pytest.raises(SceneError) as error:
        SCENES["gradient-check"].build(values)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    said_in_both(error.value)
