"""Paths, Jacobians, contributions over time and norms: against brute force, the gradient and closed forms."""

from __future__ import annotations

import math
import random
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd import Graph, Tensor, at_time, tensor
from autograd import analysis as of
from scenes import SCENES

OPERATIONS = (
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a * a,
    lambda a, b: a - b,
    lambda a, b: ag.tanh(a),
    lambda a, b: -b,
    lambda a, b: ag.sin(a) * 1.5,
    lambda a, b: ag.add_n([a, b, a]),
    lambda a, b: ag.relu(a),
    lambda a, b: ag.stop_gradient(a) + b,
)
recipes = st.lists(
    st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=8
)


def network(recipe: list[Any], seed: int, shape: tuple[int, ...] = ()) -> tuple[Graph, Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    with Graph() as g:
        pool = [tensor(rng.uniform(-2, 2, shape), name) for name in "xy"]
        for operation, a, b in recipe:
            # the latest ones are taken often, so that graphs grow deep
            pool.append(operation(pool[-1 - a % min(len(pool), 3)], pool[-1 - b % len(pool)]))
        loss = pool[-1] + pool[0] if shape == () else ag.sum(pool[-1] * pool[-2]) + ag.mean(pool[0])
    return g, pool[0], loss


def every_path(g: Graph, source: int, target: int) -> list[tuple[tuple[int, ...], list[tuple[int, int]]]]:
    """All ways by plain enumeration: nodes and edges from source to target."""
    done: list[Any] = []
    open_: list[Any] = [((target,), [])]
    while open_:
        nodes, edges = open_.pop()
        if nodes[0] == source:
            done.append((nodes, edges))
            continue
        for slot, j in enumerate(g.inputs[nodes[0]]):
            open_.append(((j, *nodes), [(nodes[0], slot), *edges]))
    return done


def close(a: Any, b: Any, tolerance: float = 1e-12) -> bool:
    scale = max(float(np.max(np.abs(b), initial=0.0)), 1e-300)
    return float(np.max(np.abs(np.asarray(a) - b), initial=0.0)) <= tolerance * scale


def gradient(leaf: Tensor, loss: Tensor) -> np.ndarray:
    loss.backward()
    assert leaf.grad is not None
    return leaf.grad


# Paths


@settings(max_examples=150, deadline=None)
@given(recipes, st.integers(0, 1000), st.integers(1, 12))
def test_scalar_paths_are_those_of_brute_force(recipe: list[Any], seed: int, k: int) -> None:
    g, x, loss = network(recipe, seed)
    wanted: dict[Any, list[float]] = {}
    for nodes, edges in every_path(g, x.id, loss.id):
        factors = tuple(float(g.local_derivative(*edge)) for edge in edges)  # type: ignore[arg-type]
        wanted.setdefault((nodes, factors), []).append(math.prod(factors))
    products = sorted((abs(p) for ps in wanted.values() for p in ps), reverse=True)
    found = of.paths(g, x, loss, k)
    assert len(found) == min(k, len(products))
    strengths = [abs(float(p.product)) for p in found]
    assert strengths == sorted(strengths, reverse=True)
    assert np.allclose(strengths, products[:k], rtol=1e-12, atol=0)
    for path in found:
        assert (path.nodes, path.factors) in wanted
        assert np.isclose(path.product, wanted[path.nodes, path.factors][0], rtol=1e-12, atol=0)
        assert isinstance(path.product, float)


@settings(max_examples=80, deadline=None)
@given(recipes, st.integers(0, 1000))
def test_all_paths_add_up_to_the_gradient(recipe: list[Any], seed: int) -> None:
    g, x, loss = network(recipe, seed)
    found = of.paths(g, x, loss, 10**6)
    assert len(found) == len(every_path(g, x.id, loss.id))
    products = [float(p.product) for p in found]
    total, largest = sum(products), max(map(abs, products))
    wanted = gradient(x, loss)
    assert abs(total - wanted) <= 1e-12 * max(largest, 1e-300) * len(found)
    if abs(wanted) > 1e-3 * largest:
        assert math.isclose(sum(p.share for p in found), 1.0, rel_tol=1e-7)


@settings(max_examples=80, deadline=None)
@given(recipes, st.integers(0, 1000))
def test_tensor_paths_are_those_of_brute_force(recipe: list[Any], seed: int) -> None:
    g, x, loss = network(recipe, seed, (2, 3))
    count = len(every_path(g, x.id, loss.id))
    every = of.paths(g, x, loss, max(count, 1))
    assert len(every) == count
    norms = [np.linalg.norm(p.product) for p in every]
    assert np.all(np.diff(norms) <= 1e-15 * norms[0])
    assert all(np.shape(p.product) == x.shape for p in every)
    assert np.allclose(sum(p.product for p in every), gradient(x, loss), rtol=1e-10, atol=1e-12 * norms[0])
    assert sorted(p.nodes for p in every) == sorted(nodes for nodes, _ in every_path(g, x.id, loss.id))
    few = of.paths(g, x, loss, 3)
    if count <= 32:  # nothing has fallen out of the beam
        assert np.allclose([np.linalg.norm(p.product) for p in few], norms[:3], rtol=1e-12)


def test_a_path_names_nodes_and_factors_from_source_to_target() -> None:
    with Graph() as g:
        x = tensor(3.0, "x")
        square = x * x
        y = square + 2.0 * x
    found = of.paths(g, x, y)
    assert [p.product for p in found] == [3.0, 3.0, 2.0]
    assert [p.nodes for p in found[:2]] == [(x.id, square.id, y.id)] * 2
    assert found[2].factors == (2.0, 1.0)
    assert [p.share for p in found] == [0.375, 0.375, 0.25]
    assert of.paths(g, x.id, y.id, 1) == found[:1]


def test_a_tensor_path_says_what_each_edge_does() -> None:
    with Graph() as g:
        W, x = tensor(np.ones((2, 2)), "W"), tensor([1.0, 2.0], "x", kind="constant")
        u = (W @ x).named("u")
        loss = ag.sum(ag.tanh(u))
    (path,) = of.paths(g, W, loss)
    assert path.factors[:2] == ("g·xᵀ", "g ⊙ (1 − tanh² u)")
    assert path.share == pytest.approx(1.0)
    assert np.array_equal(path.product, gradient(W, loss))


def test_arrays_beside_the_way_leave_a_graph_scalar() -> None:
    with Graph() as g:
        x, v = tensor(3.0, "x"), tensor([1.0, 2.0], "v")
        y = ag.sum(v) * x
    (path,) = of.paths(g, x, y)
    assert path.product == 3.0
    assert path.factors == (3.0,)


@pytest.mark.parametrize("place", [0, 20, 40])
def test_the_strongest_of_more_ways_than_a_beam_holds(place: int) -> None:
    with Graph() as g:
        x = tensor([1.0, 2.0], "x")
        middle = ag.sin(x)
        ways = [ag.dot(middle, np.full(2, 5.0 if n == place else 1.0 / (n + 1))) for n in range(41)]
        loss = ag.add_n(ways)
    assert of.paths(g, x, loss, 1)[0].nodes == (x.id, middle.id, ways[place].id, loss.id)
    assert len(of.paths(g, x, loss, 10**3)) == 41


def test_paths_at_the_edges() -> None:
    with Graph() as g:
        x, other = tensor(2.0, "x"), tensor(1.0, "other")
        d = tensor(1.0, "d", kind="target")
        y = ag.sin(x) - d
        vector = ag.stack([x, y])
        zero = x - x
    assert of.paths(g, other, y) == []
    assert of.paths(g, y, x) == []
    (itself,) = of.paths(g, y, y)
    assert itself == of.Path((y.id,), (), 1.0, 1.0)
    assert all(math.isnan(p.share) for p in of.paths(g, x, zero))
    with pytest.raises(ValueError, match=r"d .* gets no gradient: it is a target"):
        of.paths(g, d, y)
    with pytest.raises(ValueError, match=r"\(2,\) is none"):
        of.paths(g, x, vector)
    with pytest.raises(ValueError, match="k of at least 1"):
        of.paths(g, x, y, 0)
    with pytest.raises(ValueError, match="no node 99"):
        of.paths(g, 99, y)
    with Graph():
        stranger = tensor(1.0, "stranger")
    with pytest.raises(ValueError, match=r"stranger .* another graph"):
        of.paths(g, stranger, y)


def test_what_is_not_finite_comes_first() -> None:
    with Graph() as g:
        x = tensor(0.0, "x")
        y = ag.sqrt(x) + 1e9 * x
    found = of.paths(g, x, y)
    assert found[0].product == math.inf
    assert found[1].product == 1e9


def test_a_path_whose_product_underflows_keeps_its_rank() -> None:
    with Graph() as g:
        x = tensor(1e-3, "x")
        long = x
        for _ in range(200):
            long = 1e-3 * long
        y = 0.0 * x + long
    found = of.paths(g, x, y)
    assert [p.product for p in found] == [0.0, 0.0]
    assert len(found[0].nodes) > len(found[1].nodes)


def test_ten_thousand_scalar_nodes_take_under_a_second() -> None:
    rng = random.Random(0)
    with Graph() as g:
        pool = [tensor(0.7, "x"), tensor(0.3, "y")]
        while len(g) < 10_000:
            a, b = rng.choice(pool[-40:]), rng.choice(pool[-40:])
            choices = (lambda a=a, b=b: ag.sin(a) * b, lambda a=a, b=b: a + b, lambda a=a: ag.tanh(a))
            pool.append(rng.choice(choices)())
        loss = ag.tanh(ag.add_n(pool[-40:]))
    start = time.process_time()
    found = of.paths(g, pool[0], loss)
    assert time.process_time() - start < 1.0
    assert len(found) == 5


def test_a_chain_of_a_hundred_thousand_nodes() -> None:
    with Graph() as g:
        x = y = tensor(0.7, "x")
        for _ in range(100_000):
            y = ag.sin(y)
    (path,) = of.paths(g, x, y)
    assert len(path.nodes) == 100_001
    assert path.product == gradient(x, y)


def test_the_strongest_paths_of_a_scalar_network() -> None:
    recording = SCENES["bptt"].build({"T": 3}, scalar=True)
    found = of.paths(recording.graph, recording["W[0,1]"], recording.loss, 10**6)
    assert math.isclose(sum(p.product for p in found), float(recording.grad("W[0,1]")), rel_tol=1e-12)


# Jacobians


@settings(max_examples=40, deadline=None)
@given(recipes, st.integers(0, 1000))
def test_jacobian_gives_the_gradient_of_every_weighted_sum(recipe: list[Any], seed: int) -> None:
    g, x, loss = network(recipe, seed, (2, 3))
    y = g.nodes[loss.inputs[0]]
    wide = next(n for n in reversed(g.nodes) if n.shape == (2, 3) and g.needs_grad[n.id])
    weights = np.random.default_rng(seed).normal(size=(2, 3))
    loss.backward()
    grads, contributions = list(g.grads), list(g.contributions)
    matrix = of.jacobian(wide, x)
    assert matrix.shape == (2, 3, 2, 3)
    assert of.jacobian(y, x).shape == (2, 3)
    assert all(a is b for a, b in zip(g.grads, grads, strict=True))
    assert all(a is b for a, b in zip(g.contributions, contributions, strict=True))
    wide.backward(weights)
    wanted = x.grad if x.grad is not None else np.zeros(x.shape)
    assert np.allclose(np.tensordot(weights, matrix, 2), wanted, rtol=1e-12, atol=1e-12)


def test_jacobians_by_hand() -> None:
    A = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    with Graph() as g:
        x, other = tensor([1.0, -1.0], "x"), tensor(1.0, "other")
        y, p = ag.matmul(A, x), ag.softmax(x)
        c = tensor(1.0, "c", kind="constant")
    assert np.array_equal(of.jacobian(y, x), A)
    assert np.allclose(of.jacobian(p, x), np.diag(p.value) - np.outer(p.value, p.value), atol=1e-16)
    assert np.array_equal(of.jacobian(x, x), np.eye(2))
    assert np.array_equal(of.jacobian(y, other), np.zeros(3))
    with pytest.raises(ValueError, match=r"c .* gets no gradient: it is a constant"):
        of.jacobian(y, c)
    with Graph(), pytest.raises(ValueError, match="two graphs"):
        of.jacobian(y, tensor(1.0))
    assert g.grads[x.id] is None


# Over time


@pytest.mark.parametrize("scalar", [False, True])
def test_contributions_of_time_steps_add_up_to_the_gradient(scalar: bool) -> None:
    for scene, leaf in (("bptt", "W"), ("lstm", "U_f"), ("cec", "W_in")):
        recording = SCENES[scene].build({"T": 4}, scalar=scalar)
        name = f"{leaf}[0,0]" if scalar else leaf
        parts = of.time_contributions(recording.graph, recording[name])
        assert list(parts) == [4, 3, 2, 1]
        assert close(sum(parts.values()), recording.grad(name), 1e-14)


def test_contributions_outside_of_time_and_twice_in_one_step() -> None:
    with Graph() as g:
        w = tensor([2.0], "w")
        with at_time(1):
            a = w * w
        loss = ag.sum(a + w)
        unused = tensor(1.0, "unused")
    with pytest.raises(ValueError, match="run backward first"):
        of.time_contributions(g, w)
    loss.backward()
    parts = of.time_contributions(g, w.id)
    assert {t: float(p[0]) for t, p in parts.items()} == {None: 1.0, 1: 4.0}
    assert of.time_contributions(g, unused) == {}


def test_norms_over_time() -> None:
    tensors, elements = (SCENES["bptt"].build({"T": 5}, scalar=s) for s in (False, True))
    times, norms = of.gradient_norms(tensors.graph, "z")
    assert times.tolist() == [1, 2, 3, 4, 5]  # not the z_0 that the network begins with
    assert np.allclose(norms, [np.linalg.norm(tensors.grad(f"z_{t}")) for t in times], rtol=1e-14)
    assert np.allclose(of.gradient_norms(elements.graph, "z")[1], norms, rtol=1e-12)
    some, few = of.gradient_norms(tensors.graph, ["z_4", "z_0"])
    assert some.tolist() == [0, 4]
    assert few[1] == norms[3]
    with pytest.raises(KeyError, match="q_1"):
        of.gradient_norms(tensors.graph, "q")
    with pytest.raises(KeyError, match="z_9"):
        of.gradient_norms(tensors.graph, ["z_1", "z_9"])
    with pytest.raises(ValueError, match="E does not end in the number"):
        of.gradient_norms(tensors.graph, ["E"])


def test_norm_of_what_would_overflow_when_squared() -> None:
    with Graph() as g:
        h = tensor([3e200, 4e200], "h_1")
        loss = ag.half_squared_error(h, np.zeros(2))
    loss.backward()
    assert of.gradient_norms(g, "h")[1] == pytest.approx([5e200])


@pytest.mark.parametrize("activation", ["tanh", "relu", "linear"])
def test_chained_jacobians_are_the_direct_ones(activation: str) -> None:
    recording = SCENES["bptt"].build({"T": 6, "activation": activation})
    g = recording.graph
    states = list(of._states(g, "z").values())
    assert of._is_chain(g, states)
    for t, rows in enumerate(zip(of._chained(g, states), of._direct(g, states), strict=True)):
        for k, (chained, direct) in enumerate(zip(*rows, strict=True)):
            assert close(chained, direct)
            assert close(direct, of.jacobian(recording[f"z_{t + 1}"], recording[f"z_{k + 1}"]), 1e-15)
    norms = of.state_jacobian_norms(g, "z")
    slopes: dict[str, Any] = {
        "tanh": lambda z: 1 - z**2,
        "relu": lambda z: (z > 0) * 1.0,
        "linear": np.ones_like,
    }
    for t in range(2, 7):
        step = slopes[activation](recording.value(f"z_{t}"))[:, None] * recording.value("W")
        assert norms[t - 1, t - 2] == pytest.approx(np.linalg.norm(step, 2), rel=1e-12)
    assert np.array_equal(np.isnan(norms), np.triu(np.ones((6, 6)), 1) == 1)


def test_jacobians_of_the_carousel_are_exactly_the_identity() -> None:
    recording = SCENES["cec"].build({"T": 7, "units": 3})
    norms = of.state_jacobian_norms(recording.graph, "C")
    assert norms.shape == (7, 7)
    assert np.array_equal(norms[np.tril_indices(7)], np.ones(28))


@pytest.mark.parametrize("prefix", ["h", "c"])
def test_jacobians_of_an_lstm_do_not_pass_through_one_state_alone(prefix: str) -> None:
    recording = SCENES["lstm"].build({"T": 4})
    g = recording.graph
    assert not of._is_chain(g, list(of._states(g, prefix).values()))
    norms = of.state_jacobian_norms(g, prefix, ord="fro")
    for t in range(1, 5):
        for k in range(1, t + 1):
            wanted = of.jacobian(recording[f"{prefix}_{t}"], recording[f"{prefix}_{k}"])
            assert norms[t - 1, k - 1] == pytest.approx(np.linalg.norm(wanted), rel=1e-12)


def test_jacobians_in_scalar_form_are_those_of_tensors() -> None:
    for scene, prefix in (("bptt", "z"), ("lstm", "h"), ("cec", "C")):
        tensors, elements = (SCENES[scene].build({"T": 4}, scalar=s) for s in (False, True))
        wanted = of.state_jacobian_norms(tensors.graph, prefix)
        found = of.state_jacobian_norms(elements.graph, prefix)
        assert np.allclose(found, wanted, rtol=1e-12, equal_nan=True)


def test_truncation_cuts_the_jacobian() -> None:
    recording = SCENES["bptt"].build({"T": 4, "truncate": 2})
    norms = of.state_jacobian_norms(recording.graph, "z")
    assert np.array_equal(norms[2:, :2], np.zeros((2, 2)))
    assert norms[1, 0] > 0


def test_a_jacobian_that_is_not_finite_has_a_norm_that_is_not() -> None:
    with Graph() as g:
        h = tensor([0.0, 1.0], "h_1")
        ag.sqrt(h).named("h_2")
    assert not np.isfinite(of.state_jacobian_norms(g, "h")[1, 0])


def test_the_first_bad_node() -> None:
    with Graph() as g:
        x = tensor([1.0, 0.0], "x")
        y = ag.log(x)
        ag.sum(y) * 2.0
    assert of.first_bad(g) == y.id
    x.value = [1.0, 2.0]
    g.forward()
    assert of.first_bad(g) is None
    x.value = [math.nan, 2.0]
    g.forward()
    assert of.first_bad(g) == x.id
