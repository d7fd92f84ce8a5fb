"""Optimisers against PyTorch's tracks and published rules; clipping, schedules and frozen leaves."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd import Graph, Tensor, optim, tensor

REFERENCES = Path(__file__).parents[1] / "references"
TOLERANCE = 1e-12
ALL = (optim.sgd, optim.momentum, optim.rmsprop, optim.adam, optim.adagrad, optim.adadelta)
every_optimizer = pytest.mark.parametrize("make", ALL, ids=lambda f: f.__name__)

with np.load(REFERENCES / "optim.npz") as file:
    FROZEN = {key: file[key] for key in file.files}
CASES = json.loads(str(FROZEN["cases"]))


def network() -> tuple[Graph, list[Tensor], Tensor]:
    """The losses of the references: a curved ravine in p, and a small network in W and b."""
    with Graph() as g:
        p, W, b, x, d = (
            tensor(FROZEN[f"start_{k}"], k, "parameter" if k in "pWb" else "input") for k in "pWbxd"
        )
        ravine = 0.5 * (p[0] ** 2 + 10.0 * (p[1] - p[0] ** 2) ** 2)
        loss = ravine + ag.half_squared_error(ag.tanh(W @ x + b), d)
    return g, [p, W, b], loss


def joined(arrays: Any) -> np.ndarray:
    return np.concatenate([np.ravel(a) for a in arrays])


def backward(g: Graph, loss: Tensor) -> None:
    g.forward()
    g.backward(loss)


def quadratic(start: Any) -> tuple[Graph, Tensor, Tensor]:
    with Graph() as g:
        w = tensor(start, "w")
        loss = ag.sum(w * w)
    return g, w, loss


@pytest.mark.parametrize("n", range(len(CASES)), ids=lambda n: f"{n}-{CASES[n]['optimizer']}")
def test_fifty_steps_equal_torch(n: int) -> None:
    case = CASES[n]
    options = dict(case["options"])
    if "schedule" in case:
        options["lr"] = schedule_of(case["schedule"], options["lr"], case["with"])
    g, leaves, loss = network()
    optimizer = getattr(optim, case["optimizer"])(leaves, **options)
    wanted = FROZEN[f"track_{n}"]
    assert len(wanted) == 50
    for row in wanted:
        backward(g, loss)
        optimizer.step()
        found = joined(leaf.value for leaf in leaves)
        start = 0
        for leaf in leaves:
            part = slice(start, start + leaf.size)
            error = np.max(np.abs(found[part] - row[part])) / np.max(np.abs(row[part]))
            assert error <= TOLERANCE
            start += leaf.size
    assert optimizer.steps == 50


@pytest.mark.parametrize(
    "n", [n for n, c in enumerate(CASES) if "schedule" not in c], ids=lambda n: CASES[n]["optimizer"]
)
def test_fifty_given_gradients_move_a_leaf_as_in_torch(n: int) -> None:
    with Graph() as g:
        w = tensor(np.ones(4), "w")
    optimizer = getattr(optim, CASES[n]["optimizer"])([w], **CASES[n]["options"])
    for gradient, row in zip(FROZEN["gradients"], FROZEN[f"pushed_{n}"], strict=True):
        g.grads[w.id] = gradient
        optimizer.step()
        assert np.max(np.abs(w.value - row)) <= TOLERANCE * np.max(np.abs(row))


@pytest.mark.filterwarnings("ignore")  # whatever another version of torch has to say
def test_the_frozen_tracks_are_those_of_torch_live() -> None:
    pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location("make_optim", REFERENCES / "make_optim.py")
    assert spec is not None and spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    for n, (_, options, theirs) in enumerate(maker.CASES):
        for live, frozen in (
            (maker.track(theirs, options)[0], FROZEN[f"track_{n}"]),
            (maker.pushed(theirs, options, FROZEN["gradients"]), FROZEN[f"pushed_{n}"]),
        ):
            assert np.max(np.abs(live - frozen)) <= TOLERANCE * np.max(np.abs(frozen))


def schedule_of(name: str, lr: float, settings: dict[str, Any]) -> optim.Schedule:
    return getattr(optim, name)(lr, **settings)


@pytest.mark.parametrize("case", [c for c in CASES if "schedule" in c], ids=lambda c: c["schedule"])
def test_schedules_equal_torch(case: dict[str, Any]) -> None:
    schedule = schedule_of(case["schedule"], case["options"]["lr"], case["with"])
    rates = FROZEN[f"rates_{case['schedule']}"]
    assert np.allclose([schedule(t) for t in range(50)], rates, rtol=TOLERANCE, atol=0)


def test_schedules_by_hand() -> None:
    assert [optim.constant(0.3)(t) for t in (0, 99)] == [0.3, 0.3]
    assert [optim.step_decay(1.0, 2, 0.5)(t) for t in range(5)] == [1.0, 1.0, 0.5, 0.5, 0.25]
    assert optim.exponential(2.0, 0.5)(3) == 0.25
    falling = optim.cosine(1.0, 10, 0.2)
    assert [falling(0), falling(5), falling(10), falling(15)] == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert [optim.warm_up(1.0, 4)(t) for t in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert optim.warm_up(optim.exponential(1.0, 0.5), 2)(1) == 0.5
    for make in (optim.step_decay, optim.cosine, optim.warm_up):
        with pytest.raises(ValueError, match="can not be 0: it takes a number at least 1"):
            make(1.0, 0)


# What each rule says


def steps_of(make: Any, gradients: list[float], **options: Any) -> list[optim.Update]:
    """The updates of one scalar leaf that receives these gradients."""
    with Graph() as g:
        w = tensor(1.0, "w")
    optimizer = make([w], **options)
    updates = []
    for value in gradients:
        g.grads[w.id] = np.array(value)
        updates += optimizer.step()
    return updates


def test_adam_without_bias_correction_is_the_printed_rule() -> None:
    first, second = steps_of(optim.adam, [2.0, -1.0], lr=0.1, bias_correction=False)
    assert first.step == pytest.approx(-0.1 * 0.2 / (math.sqrt(0.004) + 1e-8))
    assert second.state["exp_avg"] == pytest.approx(0.9 * 0.2 - 0.1)
    assert second.state["exp_avg_sq"] == pytest.approx(0.999 * 0.004 + 0.001)
    (corrected,) = steps_of(optim.adam, [2.0], lr=0.1)
    assert corrected.step == pytest.approx(-0.1)  # the first step is the rate, whatever the gradient
    assert first.step / corrected.step == pytest.approx(0.1 / math.sqrt(0.001), rel=1e-6)


def test_momentum_in_its_three_conventions() -> None:
    gradients = [1.0, -2.0, 0.5, 4.0]
    plain = steps_of(optim.momentum, gradients, lr=0.1, momentum=0.8)
    average = steps_of(optim.momentum, gradients, lr=0.1, momentum=0.8, average=True)
    velocity = 0.0
    for n, g in enumerate(gradients):
        velocity = 0.8 * velocity - 0.1 * g
        assert plain[n].step == pytest.approx(velocity, rel=1e-14)
        assert average[n].step == pytest.approx(0.2 * velocity, rel=1e-14)
    assert average[0].state["momentum_buffer"] == pytest.approx(0.2)


def test_first_steps_by_hand() -> None:
    assert steps_of(optim.sgd, [3.0], lr=0.1)[0].step == pytest.approx(-0.3)
    assert steps_of(optim.rmsprop, [3.0], lr=0.1, alpha=0.75, eps=0.0)[0].step == pytest.approx(-0.2)
    grad = steps_of(optim.adagrad, [3.0, 4.0], lr=0.1, eps=0.0)
    assert [float(u.step) for u in grad] == pytest.approx([-0.1, -0.08])
    assert grad[1].state["sum"] == 25.0
    delta = steps_of(optim.adadelta, [3.0], eps=1e-6)[0]
    assert delta.step == pytest.approx(-3 * math.sqrt(1e-6 / (0.9 + 1e-6)))
    assert delta.state["acc_delta"] == pytest.approx(0.1 * float(delta.step) ** 2)


# Optimizer


@every_optimizer
def test_every_optimizer_goes_down_and_says_what_it_did(make: Any) -> None:
    g, w, loss = quadratic([[1.0, -2.0, 0.5]])
    backward(g, loss)
    before, gradient, energy = w.value.copy(), w.grad.copy(), float(loss.value)
    kept = w.value
    optimizer = make([w])
    (update,) = optimizer.step()
    assert update.leaf is w
    assert np.array_equal(update.gradient, gradient)
    assert np.array_equal(before + update.step, w.value)
    assert np.array_equal(kept, before)  # the old array is not written to
    assert all(a.shape == w.shape for a in update.state.values())
    assert update.rate == optimizer.lr
    g.forward()
    assert float(loss.value) < energy
    assert optimizer.name == make.__name__


@every_optimizer
def test_frozen_leaves_stay_bit_for_bit(make: Any) -> None:
    g, leaves, loss = network()
    optimizer = make(leaves, frozen=leaves[1:2])
    before = [leaf.value.tobytes() for leaf in leaves]
    for _ in range(5):
        backward(g, loss)
        assert [u.leaf.name for u in optimizer.step()] == ["p", "b"]
    assert [leaf.value.tobytes() == old for leaf, old in zip(leaves, before, strict=True)] == [
        False,
        True,
        False,
    ]


@every_optimizer
def test_putting_steps_and_state_back_undoes(make: Any) -> None:
    g, leaves, loss = network()
    optimizer = make(leaves)
    tracks = []
    for _ in range(3):
        backward(g, loss)
        optimizer.step()
    saved = optimizer.steps, optimizer.state, [leaf.value for leaf in leaves]
    for _ in range(2):
        optimizer.steps, optimizer.state = saved[:2]
        for leaf, value in zip(leaves, saved[2], strict=True):
            leaf.value = value
        for _ in range(4):
            backward(g, loss)
            optimizer.step()
        tracks.append(joined(leaf.value for leaf in leaves).tobytes())
    assert tracks[0] == tracks[1]


def test_a_schedule_is_asked_with_the_number_of_steps_taken() -> None:
    updates = steps_of(optim.sgd, [1.0, 1.0, 1.0], lr=lambda step: 10.0**-step)
    assert [u.rate for u in updates] == [1.0, 0.1, 0.01]
    assert [float(u.step) for u in updates] == [-1.0, -0.1, -0.01]


def test_what_an_optimizer_refuses() -> None:
    g, w, loss = quadratic([1.0])
    with g:
        d, other = tensor(1.0, "d", kind="target"), tensor(1.0, "other")
    with pytest.raises(ValueError, match="run backward first"):
        optim.sgd([w]).step()
    assert w.value == [1.0]
    refused: list[tuple[Any, str]] = [
        (lambda: optim.sgd([loss]), "computed"),
        (lambda: optim.sgd([d]), "d .* gets no gradient: it is a target"),
        (lambda: optim.sgd([w, w]), "w .* comes twice"),
        (lambda: optim.sgd([w], frozen=[other]), "other .* is frozen but not among"),
        (lambda: optim.sgd([w], -0.1), "lr can not be -0.1: it takes a number at least 0"),
        (lambda: optim.sgd([w], math.nan), "lr can not be nan"),
        (lambda: optim.momentum([w], momentum=1.5), "momentum can not be 1.5: .* from 0 to 1"),
        (lambda: optim.rmsprop([w], alpha=-0.1), "alpha"),
        (lambda: optim.adam([w], betas=(0.9, 1.0)), r"betas\[1\] can not be 1.0: .* from 0 to below 1"),
        (lambda: optim.adam([w], eps=-1.0), "eps"),
        (lambda: optim.adagrad([w], lr_decay=-1.0), "lr_decay"),
        (lambda: optim.adadelta([w], rho=2.0), "rho"),
    ]
    for attempt, message in refused:
        with pytest.raises(ValueError, match=message):
            attempt()


# Clipping


@settings(max_examples=100, deadline=None)
@given(
    # no numbers so small that they have lost digits
    st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 3)), min_size=2, max_size=6),
    st.floats(0.0, 1e4).map(lambda v: round(v, 3)),
    st.sampled_from([1.0, 1e-150, 1e200]),
)
def test_clipped_norm_is_the_smaller_one_and_the_direction_is_kept(
    values: list[float], most: float, scale: float
) -> None:
    with Graph() as g:
        a, b = tensor(values[:1], "a"), tensor(values[1:], "b")
        loss = ag.sum(a * (np.array(values[:1]) * scale)) + ag.sum(b * (np.array(values[1:]) * scale))
    loss.backward()
    before = joined([a.grad, b.grad])
    copy, sent = before.copy(), g.contributions
    norm = math.hypot(*before)
    assert optim.clip_by_norm([a, b], most * scale) == pytest.approx(norm, rel=1e-12)
    after = joined([a.grad, b.grad])
    assert math.hypot(*after) == pytest.approx(min(norm, most * scale), rel=1e-12)
    if norm <= most * scale * (1 - 1e-12):
        assert np.array_equal(after, copy)
    elif norm and most:
        assert np.allclose(after / math.hypot(*after), copy / norm, rtol=1e-9, atol=1e-12)
    assert g.contributions is sent


def test_clipping_by_value_equals_torch() -> None:
    g, leaves, loss = network()
    backward(g, loss)
    flowed = [c for c in g.contributions[loss.id]]
    optim.clip_by_value(leaves, 0.1)
    assert np.allclose(joined(leaf.grad for leaf in leaves), FROZEN["clipped"], rtol=TOLERANCE, atol=1e-15)
    assert max(abs(joined(leaf.grad for leaf in leaves))) == 0.1
    assert all(a is b for a, b in zip(flowed, g.contributions[loss.id], strict=True))


def test_what_clipping_refuses() -> None:
    g, w, loss = quadratic([1.0, 2.0])
    for clip in (optim.clip_by_norm, optim.clip_by_value):
        with pytest.raises(ValueError, match="run backward first"):
            clip([w], 1.0)
    loss.backward()
    for clip in (optim.clip_by_norm, optim.clip_by_value):
        with pytest.raises(ValueError, match=r"most can not be -1.0: it takes a number at least 0"):
            clip([w], -1.0)
        with pytest.raises(ValueError, match=r"w .* comes twice"):
            clip([w, w], 1.0)
    assert optim.clip_by_norm([], 1.0) == 0.0
    g.grads[w.id] = np.array([math.inf, 1.0])
    with pytest.raises(ValueError, match=r"gradient of w .* is not finite"):
        optim.clip_by_norm([w], 1.0)
    optim.clip_by_value([w], 1.0)
    assert joined([w.grad]).tolist() == [1.0, 1.0]
