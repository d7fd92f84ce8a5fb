"""The gradient lab's numbers: against closed forms, the gradient, finite differences and brute force."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd import OPS, Graph, Trace, at_time, check_gradients, tensor
from autograd.analysis import state_jacobian_norms
from autograd.graph import unbroadcast
from explorer.model import checks
from explorer.model.lab import contributions, differences, flow, jacobian, paths, proofs
from explorer.model.lab.sweep import Cancelled, norms, stack_sent, sweep, wiring
from explorer.model.session import open_session
from scenes import SCENES

RECURRENT = ("rnn", "bptt", "cec", "lstm", "gru", "birnn", "bilstm", "deep-rnn", "gated-units")


def orthogonal(size: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


def linear_network(gain: float, steps: int = 30, size: int = 4) -> Trace:
    """z_t = gain · Q · z_{t−1} with one loss at the end."""
    rng = np.random.default_rng(1)
    with Graph() as g:
        W = tensor(gain * orthogonal(size), "W")
        z = tensor(rng.normal(size=size), "z_0", "input")
        for t in range(1, steps + 1):
            with at_time(t):
                z = (W @ z).named(f"z_{t}")
        loss = ag.half_squared_error(z, tensor(rng.normal(size=size), "d", "target"))
    return Trace.run(g, loss)


def small(scene: str, **parameters: Any) -> Any:
    return open_session(scene, T=parameters.pop("T", 4), **parameters)


# Sweeps


@pytest.mark.parametrize("name", list(OPS))
@pytest.mark.parametrize("rows", [0, 1, 3, 40])
def test_a_stack_is_sent_as_its_rows_are(name: str, rows: int) -> None:
    op = OPS[name]
    rng = np.random.default_rng(0)
    for sample in op.samples:
        with Graph() as g:
            inputs = [tensor(rng.uniform(sample.low, sample.high, shape)) for shape in sample.shapes]
            call = getattr(ag, name, None) or getattr(ag, name + "_")
            y = call(*inputs, **sample.attrs) if op.arity is not None else call(inputs, **sample.attrs)
        if not isinstance(y, ag.Tensor):
            continue
        trace = Trace.run(g, ag.sum(y) if y.size != 1 else y)
        node = y.id
        values = [trace.values[j] for j in g.inputs[node]]
        stack = rng.normal(size=(rows, *y.shape))
        for slot, value in enumerate(values):
            sent = stack_sent(trace, node, slot, stack)
            assert sent.shape == (rows, *value.shape)
            for row, g_y in zip(sent, stack, strict=True):
                alone = op.vjp(slot, g_y, trace.values[node], values, g.attrs[node])
                assert np.allclose(row, unbroadcast(np.asarray(alone), value.shape), rtol=1e-12, atol=1e-14)


def test_norms_neither_overflow_nor_vanish() -> None:
    stack = np.array([[3e-200, 4e-200], [3e200, 4e200], [0.0, 0.0], [3.0, 4.0], [np.inf, 1.0]])
    assert np.allclose(norms(stack)[:4], [5e-200, 5e200, 0, 5], rtol=1e-14, atol=0)
    assert norms(stack)[4] == np.inf


def test_work_can_be_cancelled() -> None:
    trace = linear_network(0.9)

    def stop(share: float) -> None:
        if share > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        jacobian.state_jacobians(trace, "z", stop)
    with pytest.raises(Cancelled):
        differences.check_leaf(trace, 0, progress=stop)


def test_states_are_what_goes_from_step_to_step() -> None:
    found = {id: wiring(small(id).trace.graph).states for id in ("bptt", "cec", "lstm", "gru")}
    assert {id: set(names) for id, names in found.items()} == {
        "bptt": {"z"}, "cec": {"C"}, "lstm": {"c", "h"}, "gru": {"h"},
    }  # fmt: skip
    assert wiring(small("bptt", truncate=1).trace.graph).states == ("z",)


# Flow


@pytest.mark.parametrize("gain", [0.3, 0.9, 1.0, 1.25])
def test_the_decay_rate_of_a_linear_network_is_the_logarithm_of_its_gain(gain: float) -> None:
    trace = linear_network(gain)
    fit = flow.flow(trace, "z").fit(trace.end)
    assert fit is not None
    assert abs(fit.slope - math.log(gain)) < 1e-9
    assert abs(fit.factor - gain) < 1e-9
    assert np.isclose(fit.norm(30), flow.flow(trace, "z").whole[-1], rtol=1e-9)


def test_the_scene_shows_the_same_decay_after_an_edit() -> None:
    session = open_session("bptt", T=20, activation="linear", loss_at="last step", hidden=3)
    assert session.recording is not None
    for gain in (0.6, 1.1):
        session.edit(session.recording["W"].id, gain * orthogonal(3))
        fit = flow.flow(session.trace, "u").fit(session.end)
        assert fit is not None and abs(fit.slope - math.log(gain)) < 1e-9


@pytest.mark.parametrize("scene", RECURRENT)
def test_flow_follows_the_moment(scene: str) -> None:
    trace = small(scene).trace
    for base in flow.quantities(trace):
        one = flow.flow(trace, base)
        assert not np.isfinite(one.at(trace.forward_end)).any()
        assert np.array_equal(one.at(trace.end), np.where(one.complete(trace.end), one.whole, np.nan), True)
        for t in np.linspace(trace.forward_end, trace.end, 23):
            for k, (node,) in enumerate(one.nodes):
                grad = trace.grad(node, t)
                assert (
                    np.isnan(one.at(t)[k])
                    if grad is None
                    else one.at(t)[k] == pytest.approx(float(np.linalg.norm(grad)), rel=1e-12)
                )


def test_a_gradient_that_is_cut_off_has_no_place_in_the_fit() -> None:
    trace = open_session("bptt", T=6, truncate=3, loss_at="last step").trace
    one = flow.flow(trace, "z")
    assert list(one.times[one.whole == 0]) == [0, 1, 2, 3]
    fit = one.fit(trace.end)
    assert fit is not None and (fit.first, fit.last) == (4, 6)


# Contributions


@pytest.mark.parametrize("scene", RECURRENT)
def test_terms_add_up_to_the_gradient(scene: str) -> None:
    trace = small(scene).trace
    leaves = contributions.shared_leaves(trace)
    assert leaves
    for leaf in leaves:
        found = contributions.terms(trace, leaf)
        total = sum(term.value() for term in found.terms)
        grad = trace.grads[leaf]
        assert grad is not None and np.allclose(total, grad, rtol=1e-12, atol=1e-15)
        assert found.so_far(trace.end) == pytest.approx(float(np.linalg.norm(grad)), rel=1e-12)
        assert found.so_far(trace.forward_end) == 0
        assert all(term.words(open_session(scene).notation) for term in found.terms)


@pytest.mark.parametrize("scene", RECURRENT)
def test_losses_and_uses_add_up_to_the_gradient(scene: str) -> None:
    trace = small(scene).trace
    for leaf in contributions.shared_leaves(trace)[:3]:
        split = contributions.split(trace, leaf)
        rows, columns = split.sizes.shape
        parts = np.array([[split.term(i, j) for j in range(columns)] for i in range(rows)])
        assert np.allclose(parts.sum(axis=(0, 1)), trace.grads[leaf], rtol=1e-11, atol=1e-14)
        assert np.allclose(norms(parts.reshape(rows * columns, -1)), np.nan_to_num(split.sizes).ravel())
        by_time = {term.time: term.value() for term in contributions.terms(trace, leaf).terms}
        for j, use in enumerate(split.uses):
            assert np.allclose(parts[:, j].sum(axis=0), by_time[use.time], rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("scene", ["bptt", "lstm", "gru"])
def test_a_row_is_what_that_loss_alone_would_send(scene: str) -> None:
    session = small(scene)
    trace, graph = session.trace, session.trace.graph
    leaf = contributions.shared_leaves(trace)[0]
    split = contributions.split(trace, leaf)
    assert len(split.losses) == 4
    for i, loss in enumerate(split.losses):
        with graph.preserved():
            graph.backward(loss)
            alone = graph.grads[leaf]
        row = sum(split.term(i, j) for j in range(len(split.uses)))
        assert np.allclose(row, alone, rtol=1e-11, atol=1e-14)


def test_what_truncation_cuts_off_is_what_an_uncut_network_has() -> None:
    cut, whole = (open_session("bptt", T=6, truncate=k) for k in (2, 0))
    for name in ("W", "W_in", "b"):
        split = contributions.split(cut.trace, cut.trace.graph.named(name).id)
        wanted = contributions.split(whole.trace, whole.trace.graph.named(name).id)
        assert np.allclose(split.uncut, wanted.sizes, rtol=1e-12, equal_nan=True)
        for i, j in np.ndindex(6, 6):
            if j // 2 < i // 2:  # the use lies in an earlier stretch than the loss
                assert split.sizes[i, j] == 0
            elif j <= i:
                assert split.sizes[i, j] == pytest.approx(wanted.sizes[i, j], rel=1e-12)


def test_the_nodes_of_a_cell_lead_from_the_loss_to_the_use() -> None:
    trace = small("lstm").trace
    graph = trace.graph
    leaf = graph.named("U_f").id
    split = contributions.split(trace, leaf)
    names = {graph.names[n] for n in split.nodes(3, 1)}
    assert split.nodes(3, 1)[-1] == leaf
    assert {"L_4", "h_4", "c_2", "f_2", "U_f"} <= names
    assert not names & {"L_3", "f_1", "c_1", "x_2", "W_f"}


def test_a_loss_that_is_no_sum_is_its_own_row() -> None:
    trace = small("cec").trace
    split = contributions.split(trace, trace.graph.named("W_in").id)
    assert split.losses == (trace.loss,)
    assert split.sizes.shape == (1, 4)


# Paths

OPERATIONS: tuple[Callable[..., Any], ...] = (
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a * a,
    lambda a, b: ag.tanh(a) - b,
    lambda a, b: ag.sin(a) * 1.5,
    lambda a, b: ag.add_n([a, b, a]),
)
recipes = st.lists(
    st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=7
)


def random_trace(recipe: list[Any], seed: int, shape: tuple[int, ...]) -> Trace:
    rng = np.random.default_rng(seed)
    with Graph() as g:
        pool = [tensor(rng.uniform(-2, 2, shape), name) for name in "xy"]
        for operation, a, b in recipe:
            pool.append(operation(pool[-1 - a % min(len(pool), 3)], pool[-1 - b % len(pool)]))
        loss = pool[-1] + pool[0] if shape == () else ag.sum(pool[-1] * pool[-2] + pool[0])
    return Trace.run(g, loss)


@settings(max_examples=80, deadline=None)
@given(recipes, st.integers(0, 1000), st.integers(1, 6))
def test_scalar_paths_add_up_and_are_the_strongest(recipe: list[Any], seed: int, k: int) -> None:
    trace = random_trace(recipe, seed, ())
    every = paths.routes(trace, 0, trace.loss, 10**6)
    exact = trace.graph.paths(0, trace.loss, 10**6)
    assert every.scalar and len(every.found) == len(exact)
    products = sorted(route.product for route in every.found)
    assert np.allclose(products, sorted(float(p.product) for p in exact), rtol=1e-12, atol=0)
    largest = max(map(abs, products))
    assert trace.grads[0] is not None
    assert abs(sum(products) - float(trace.grads[0])) <= 1e-12 * len(products) * max(largest, 1e-300)
    best = paths.routes(trace, 0, trace.loss, k).found
    strengths = sorted(map(abs, products), reverse=True)[:k]
    assert np.allclose([abs(r.product) for r in best], strengths, rtol=1e-12, atol=0)
    for route in best:
        local = zip(route.nodes[1:], route.slots, strict=True)
        assert route.factors == tuple(float(trace.graph.local_derivative(*edge)) for edge in local)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(recipes, st.integers(0, 1000))
def test_tensor_paths_add_up_to_the_gradient(recipe: list[Any], seed: int) -> None:
    trace = random_trace(recipe, seed, (2, 3))
    every = paths.routes(trace, 0, trace.loss, 10**6)
    assert len(every.found) == len(trace.graph.paths(0, trace.loss, 10**6))
    total = sum(route.part for route in every.found)
    assert trace.grads[0] is not None
    size = max(float(np.linalg.norm(route.part)) for route in every.found)
    assert np.allclose(total, trace.grads[0], rtol=0, atol=1e-12 * size * len(every.found))
    assert np.allclose(every.gradient, trace.grads[0], rtol=0, atol=1e-12 * size * len(every.found))
    for route in every.found:
        assert route.product == pytest.approx(float(np.linalg.norm(route.part)), rel=1e-9)


@pytest.mark.parametrize("scene", ["bptt", "lstm", "gru"])
def test_all_paths_of_a_small_network_make_up_its_gradient(scene: str) -> None:
    trace = open_session(scene, T=2).trace
    wires = wiring(trace.graph)
    source = next(iter(wires.quantities[wires.states[0]].values()))[0]
    every = paths.routes(trace, source, trace.loss, 10**5)
    grad = trace.grads[source]
    assert grad is not None
    assert np.allclose(sum(r.part for r in every.found), grad, rtol=1e-10, atol=1e-14)
    assert sum(r.share for r in every.found) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("steps", [3, 50])
def test_the_carousel_has_one_path_and_its_product_is_exactly_one(steps: int) -> None:
    trace = open_session("cec", T=steps).trace
    graph = trace.graph
    found = paths.routes(trace, graph.named("C_0").id, graph.named(f"C_{steps}").id, 50)
    assert len(found.found) == 1
    assert set(found.found[0].factors) == {1.0}
    assert len(found.found[0].factors) == steps
    assert found.found[0].product == 1.0
    assert found.found[0].share == pytest.approx(1.0, rel=1e-15)


def test_no_way_no_paths() -> None:
    trace = small("bptt").trace
    graph = trace.graph
    assert paths.routes(trace, graph.named("z_3").id, graph.named("z_2").id).found == ()
    assert paths.routes(trace, graph.named("d_1").id, trace.loss).found == ()


# Jacobians


def moved(trace: Trace, node: int, by: np.ndarray, wanted: int) -> np.ndarray:
    """The value of one node after another one, not only a leaf, was moved."""
    values = list(trace.values)
    values[node] = values[node] + by
    for i in range(node + 1, wanted + 1):
        op = trace.graph.ops[i]
        if op is not None:
            values[i] = np.asarray(
                op.forward(*[values[j] for j in trace.graph.inputs[i]], **trace.graph.attrs[i])
            )
    return values[wanted]


@pytest.mark.parametrize("scene", ["bptt", "cec", "lstm", "gru", "birnn", "deep-rnn"])
def test_state_jacobians_are_those_of_finite_differences(scene: str) -> None:
    trace = small(scene).trace
    groups = wiring(trace.graph).quantities
    for base in jacobian.states(trace):
        found = jacobian.state_jacobians(trace, base)
        for row, t in enumerate(found.times):
            for column in range(row + 1):
                (to,), (source,) = groups[base][t], groups[base][found.times[column]]
                size = trace.values[source].size
                numeric = (
                    np.stack(
                        [
                            (moved(trace, source, 1e-5 * unit, to) - moved(trace, source, -1e-5 * unit, to))
                            / 2e-5
                            for unit in np.eye(size).reshape(size, *trace.values[source].shape)
                        ],
                        axis=-1,
                    ).reshape(-1, size)
                    if source <= to
                    else np.zeros((size, size))
                )
                assert np.allclose(found.matrix(row, column), numeric, rtol=1e-7, atol=1e-9)
                largest = np.linalg.norm(found.matrix(row, column), 2)
                assert found.sizes[row, column] == pytest.approx(float(largest), rel=1e-9, abs=1e-300)
                if largest > 0:
                    assert found.singular_values(row, column)[0] == pytest.approx(float(largest), rel=1e-12)


@pytest.mark.parametrize("scene", ["bptt", "lstm", "gru"])
@pytest.mark.parametrize("scalar", [False, True])
def test_state_jacobians_agree_with_the_engine_in_both_forms(scene: str, scalar: bool) -> None:
    recording = SCENES[scene].build({"T": 3}, scalar=scalar)
    trace = recording.trace()
    for base in jacobian.states(trace):
        wanted = state_jacobian_norms(recording.graph, base)
        found = jacobian.state_jacobians(trace, base)
        at = len(found.times) - len(wanted)  # the initial state has a row here
        assert np.allclose(found.sizes[at:, at:], wanted, rtol=1e-9, atol=1e-14, equal_nan=True)


@pytest.mark.parametrize("gain", [0.8, 1.0, 1.2])
def test_norms_of_a_linear_network_are_powers_of_its_gain(gain: float) -> None:
    found = jacobian.state_jacobians(linear_network(gain, 12), "z")
    for row, column in np.ndindex(13, 13):
        if column <= row:
            assert found.sizes[row, column] == pytest.approx(gain ** (row - column), rel=1e-12)
        else:
            assert np.isnan(found.sizes[row, column])


def test_spectral_norms_of_odd_matrices() -> None:
    rng = np.random.default_rng(0)
    many = rng.normal(size=(20, 5, 5)) * 10.0 ** rng.integers(-200, 200, size=(20, 1, 1))
    assert np.allclose(
        jacobian.spectral_norms(many), [np.linalg.norm(m, 2) for m in many], rtol=1e-12, atol=0
    )
    odd = np.array([[[0.0, 0.0], [0.0, 0.0]], [[np.inf, 0.0], [0.0, 1.0]], [[np.nan, 0.0], [0.0, 1.0]]])
    found = jacobian.spectral_norms(odd)
    assert found[0] == 0 and found[1] == np.inf and np.isnan(found[2])


def test_the_recurrent_matrices_are_found() -> None:
    names = {
        id: [s.trace.graph.names[n] for n in jacobian.recurrent_matrices(s.trace)]
        for id in ("bptt", "cec", "lstm", "gru")
        for s in [small(id, **({"inputs": 2, "outputs": 2} if id == "bptt" else {}))]
    }
    assert names["bptt"] == ["W"]
    assert names["cec"] == []
    assert set(names["lstm"]) == {"U_f", "U_i", "U_o", "U_c"}
    assert set(names["gru"]) == {"U_r", "U_z", "U_h"}
    square = small("bptt", inputs=3, outputs=3, hidden=3)  # every weight is square now
    assert [square.trace.graph.names[n] for n in jacobian.recurrent_matrices(square.trace)] == ["W"]


def test_a_matrix_is_scaled_to_a_radius() -> None:
    W = np.array([[0.0, 2.0], [-2.0, 0.0]])
    assert jacobian.spectral_radius(W) == pytest.approx(2.0)
    assert jacobian.spectral_radius(jacobian.with_radius(W, 0.7)) == pytest.approx(0.7)
    nilpotent = np.array([[0.0, 1.0], [0.0, 0.0]])
    assert np.array_equal(jacobian.with_radius(nilpotent, 1.0), nilpotent)


def test_states_that_are_too_large_are_refused() -> None:
    trace = linear_network(0.9, steps=2, size=4000)
    with pytest.raises(ValueError, match="elements"):
        jacobian.state_jacobians(trace, "z")


# Numbers out of range


@pytest.mark.parametrize("gain", [1e30, 1e-30, 0.0, np.nan])
def test_nothing_stumbles_over_what_is_not_finite(gain: float) -> None:
    trace = linear_network(gain, steps=14)
    one = flow.flow(trace, "z")
    one.at(trace.end)
    fit = one.fit(trace.end)
    if 0 < gain < 1:
        assert fit is not None and fit.slope < 0
    found = contributions.terms(trace, 0)
    found.so_far(trace.end)
    split = contributions.split(trace, 0)
    assert split.term(0, 3).shape == (4, 4)
    routes = paths.routes(trace, trace.graph.named("z_0").id, trace.loss)
    assert len(routes.found) == 1
    found_jacobians = jacobian.state_jacobians(trace, "z")
    found_jacobians.singular_values(14, 0)
    jacobian.spectral_radius(trace.values[0])
    differences.check_leaf(trace, 0)


# Differences


@pytest.mark.parametrize("scene", ["bptt", "lstm", "gru", "mlp", "expression"])
def test_every_leaf_agrees_with_differences_at_the_best_step(scene: str) -> None:
    trace = open_session(scene).trace
    leaves = differences.checkable(trace)
    found = [differences.check_leaf(trace, leaf) for leaf in leaves]
    assert found and all(e.errors[e.best] <= checks.GRADIENT for e in found)
    assert all(len(e.tried) <= differences.MOST for e in found)
    # large steps truncate and small ones round, but for leaves in which E is quadratic
    assert any(e.errors[0] > 1e3 * e.errors[e.best] < e.errors[-1] for e in found)


def test_the_error_is_that_of_the_engines_own_check() -> None:
    session = open_session("bptt")
    graph = session.trace.graph
    for leaf in graph.leaves("parameter"):
        found = differences.check_leaf(session.trace, leaf.id, (1e-6,), most=1000)
        report = check_gradients(graph.nodes[session.trace.loss], [leaf], h=1e-6)[0]
        assert len(found.tried) == found.size == leaf.size
        assert np.allclose(found.numeric[0], report.numeric.ravel(), rtol=1e-12, atol=1e-15)
        assert found.errors[0] == pytest.approx(report.error, rel=1e-9)
        assert found.worst[0] == report.worst


def test_a_wrong_gradient_is_found_and_its_element_named() -> None:
    trace = open_session("bptt").trace
    leaf = trace.graph.named("W").id
    grads = list(trace.grads)
    wrong = np.array(grads[leaf])
    wrong[2, 1] += 0.01 * np.abs(wrong).max()
    grads[leaf] = wrong
    trace.grads = tuple(grads)
    found = differences.check_leaf(trace, leaf)
    assert found.errors[found.best] > 1e-4
    assert found.worst[found.best] == (2, 1)


def test_of_a_large_leaf_the_largest_gradients_are_tried() -> None:
    trace = open_session("bptt", hidden=8, inputs=8).trace
    leaf = trace.graph.named("W").id
    found = differences.check_leaf(trace, leaf, (1e-5,), most=10)
    grad = trace.grads[leaf]
    assert grad is not None
    assert len(found.tried) <= 10 < found.size == 64
    assert np.unravel_index(np.argmax(np.abs(grad)), grad.shape) in found.tried


# Proofs


@pytest.mark.parametrize("scene", list(SCENES))
def test_proofs_are_those_of_the_command_line(scene: str) -> None:
    recording = SCENES[scene].build()
    quick = proofs.indexed(recording)
    for proof in recording.scene.proofs:
        row, wanted = proofs.prove(quick, proof), checks.check_proof(recording, proof)
        assert row.passed and row.as_dict() == wanted.as_dict()
        errors = proofs.element_errors(row)
        assert errors is not None and errors.max(initial=0.0) == pytest.approx(row.relative_error, rel=1e-12)


def test_a_proof_can_fail() -> None:
    recording = SCENES["bptt"].build()
    recording["W"].value = (
        recording.value("W") * 1.5
    )  # not replayed: values and gradients no longer belong together
    rows = [proofs.prove(proofs.indexed(recording), proof) for proof in recording.scene.proofs]
    assert not all(row.passed for row in rows)


def test_a_sweep_is_an_ordinary_backward_pass() -> None:
    trace = small("lstm").trace
    wanted = [i for i, g in enumerate(trace.grads) if g is not None and i < trace.loss and trace.arrivals[i]]
    found = sweep(trace, [(trace.loss, np.ones((1,)))], wanted)
    for i in wanted:
        assert np.allclose(found[i][0], trace.grads[i], rtol=1e-12, atol=1e-15)
