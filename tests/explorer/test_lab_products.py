"""Running products along a path, the state's own line, misprints in numbers, and three memories compared."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from autograd import Graph, Trace, tensor
from explorer.model.compare import Comparison
from explorer.model.lab import sweep as sweeping
from explorer.model.lab.carousel import carousel, own_line
from explorer.model.lab.contributions import split
from explorer.model.lab.flow import flow
from explorer.model.lab.jacobian import state_jacobians
from explorer.model.lab.misprints import versions
from explorer.model.lab.paths import hops, routes
from explorer.model.session import Session, open_session
from scenes import SCENES

# Products


def scalar_trace() -> Trace:
    """E = (x·y + x)·x, whose paths from x have different lengths and signs."""
    with Graph() as g:
        x, y = tensor(-1.5, "x"), tensor(0.25, "y")
        loss = (x * y + x) * x
    return Trace.run(g, loss)


@pytest.mark.parametrize("scene", ["scalar", "bptt", "lstm", "gru"])
def test_hops_multiply_up_to_the_product_of_the_path(scene: str) -> None:
    trace = scalar_trace() if scene == "scalar" else open_session(scene, T=3).trace
    source = (
        0
        if scene == "scalar"
        else sweeping.wiring(trace.graph).quantities[
            "c" if scene == "lstm" else "z" if scene == "bptt" else "h"
        ][0][0]
    )
    found = routes(trace, source, trace.loss, 20)
    assert len(found.found) > 2
    for route in found.found:
        steps = hops(trace, route.nodes)
        assert tuple(hop.factor for hop in steps) == route.factors
        assert steps[-1].before == 1.0 and steps[0].after == route.product
        for k, hop in enumerate(steps):
            assert hop.after == hop.before * hop.factor
            assert hop.after == prod(reversed(route.factors[k:]), start=1.0)


@pytest.mark.parametrize("steps", [5, 50])
def test_along_the_carousel_the_product_is_exactly_one_at_each_hop(steps: int) -> None:
    trace = open_session("cec", T=steps).trace
    line = hops(trace, own_line(trace, "C"))
    assert len(line) == steps
    assert {(hop.before, hop.factor, hop.after) for hop in line} == {(1.0, 1.0, 1.0)}


def test_what_is_no_path_has_no_product() -> None:
    trace = open_session("bptt", T=3).trace
    z_1, z_3 = trace.graph.named("z_1").id, trace.graph.named("z_3").id
    assert hops(trace, (z_1, z_3)) == hops(trace, (z_1,)) == hops(trace, ()) == hops(trace, (z_1, -1)) == ()
    assert hops(trace, (0, 10**6)) == ()


def test_an_input_that_is_taken_in_twice() -> None:
    """x·x has the same factor both ways; of x / x the nodes do not tell which of two is meant."""
    for operation, known in ((lambda x: x * x, True), (lambda x: x / x, False)):
        with Graph() as g:
            x = tensor(3.0, "x")
            loss = operation(x)
        trace = Trace.run(g, loss)
        assert [hop.after for hop in hops(trace, (x.id, loss.id))] == ([3.0] if known else [])


# The state's own line


@pytest.mark.parametrize(("scene", "base", "between"), [("cec", "C", 0), ("lstm", "c", 1), ("gru", "h", 1)])
def test_a_line_goes_through_every_state(scene: str, base: str, between: int) -> None:
    trace = open_session(scene, T=4).trace
    line = own_line(trace, base)
    states = [nodes[0] for nodes in sweeping.wiring(trace.graph).quantities[base].values()]
    assert line[:: between + 1] == tuple(states) and len(line) == 4 * (between + 1) + 1


def test_the_lines_product_is_that_of_the_carousel_view() -> None:
    trace = open_session("lstm", T=6, hidden=1).trace
    found = carousel(trace, "c")
    products = {
        node: hop.after
        for node, hop in zip(own_line(trace, "c"), hops(trace, own_line(trace, "c")), strict=False)
    }
    states = [nodes[0] for nodes in sweeping.wiring(trace.graph).quantities["c"].values()]
    for state, direct in zip(states[:-1], found.direct, strict=False):
        assert products[state] == pytest.approx(direct, rel=1e-12)


@pytest.mark.parametrize("scene", ["cec", "lstm", "gru"])
def test_every_way_is_the_last_row_of_all_jacobians(scene: str) -> None:
    trace = open_session(scene, T=7).trace
    base = {"cec": "C", "lstm": "c", "gru": "h"}[scene]
    np.testing.assert_allclose(
        carousel(trace, base).total, state_jacobians(trace, base).sizes[-1], rtol=1e-10
    )


# Many rows through a narrow place


@pytest.mark.parametrize("scene", ["bptt", "lstm", "gru"])
def test_mixed_rows_are_those_that_go_back_one_by_one(scene: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = open_session(scene, T=12, hidden=3).trace
    base = sweeping.wiring(trace.graph).states[0]
    narrowed = []
    narrow = sweeping._Mixed.narrow

    def counted(self: sweeping._Mixed, *asked: object) -> bool:
        narrowed.append(narrow(self, *asked))  # type: ignore[arg-type]
        return narrowed[-1]

    monkeypatch.setattr(sweeping._Mixed, "narrow", counted)
    mixed = state_jacobians(trace, base)
    assert sum(narrowed) > 2
    monkeypatch.setattr(sweeping._Mixed, "narrow", lambda *_: False)
    plain = state_jacobians(trace, base)
    for a, b in zip(mixed.blocks, plain.blocks, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("truncate", [0, 5])
def test_what_no_loss_reaches_stays_empty(truncate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = open_session("bptt", T=16, truncate=truncate).trace
    leaf = trace.graph.named("W").id
    mixed = split(trace, leaf)
    monkeypatch.setattr(sweeping._Mixed, "narrow", lambda *_: False)
    plain = split(trace, leaf)
    np.testing.assert_allclose(mixed.sizes, plain.sizes, rtol=1e-10)
    np.testing.assert_allclose(mixed.uncut, plain.uncut, rtol=1e-10)
    assert np.isnan(mixed.sizes).any()


# Misprints


@pytest.mark.parametrize("scene", [id for id, scene in SCENES.items() if scene.errata])
def test_the_printed_version_gives_something_else(scene: str) -> None:
    recording = SCENES[scene].build()
    trace = recording.trace()
    found = [versions(recording, trace, erratum) for erratum in SCENES[scene].errata]
    for one in found:
        if one is not None:
            assert one.printed.shape != one.right.shape or not np.allclose(one.printed, one.right)


def test_the_right_version_gives_what_the_engine_has() -> None:
    recording = SCENES["bptt"].build({"T": 4})
    trace = recording.trace()
    given = {e.printed: versions(recording, trace, e) for e in SCENES["bptt"].errata}
    target, recursion, outer = (given[e.printed] for e in SCENES["bptt"].errata)
    assert target is not None and recursion is not None and outer is not None
    np.testing.assert_allclose(target.right, recording.grad("v_4"), rtol=1e-12)
    z_3, u_3, W_out = (recording[name].id for name in ("z_3", "u_3", "W_out"))
    over_W = next(a for a in trace.arrivals[z_3] if trace.graph.times[a.consumer] == 4)
    wanted = trace.contribution(over_W) * (1 - recording.value("z_3") ** 2)
    np.testing.assert_allclose(recursion.right, wanted, rtol=1e-12)
    assert u_3 in trace.graph.inputs[z_3]
    last = next(a for a in trace.arrivals[W_out] if trace.graph.times[a.consumer] == 4)
    np.testing.assert_allclose(outer.right, trace.contribution(last), rtol=1e-12)


def test_adam_without_its_correction_steps_otherwise() -> None:
    recording = SCENES["optimizers"].build({"optimizer": "Adam"})
    found = versions(recording, recording.trace(), SCENES["optimizers"].errata[0])
    assert found is not None
    np.testing.assert_allclose(found.right, recording.value("w_1") - recording.value("w_0"), rtol=1e-6)


# Three memories


def test_a_scene_beside_has_the_same_length_and_the_same_question() -> None:
    main = Session()
    main.open_scene("bptt", {"T": 12, "loss_at": "last step", "hidden": 3, "gain": 0.5}, seed=7)
    comparison = Comparison(main)
    lstm = comparison.add_scene("lstm")
    assert {k: lstm.state.parameters[k] for k in ("T", "loss_at", "hidden")} == {
        "T": 12,
        "loss_at": "last step",
        "hidden": 3,
    }
    assert lstm.state.seed == 7
    mlp = comparison.add_scene("mlp")
    assert "T" not in mlp.state.parameters and mlp.state.parameters["gain"] == 0.5
    comparison.close()
    assert Comparison(main).add_scene("lstm", {"T": 2}).state.parameters["T"] == 2


def test_what_the_other_scene_does_not_take_is_left_out() -> None:
    main = Session()
    main.open_scene("bptt", {"hidden": 32, "activation": "relu"})
    cec = Comparison(main).add_scene("cec")
    assert cec.state.parameters == SCENES["cec"].check({"T": 3, "inputs": 2, "outputs": 2})


def test_over_fifty_steps_three_memories_tell_the_story() -> None:
    """The plain network forgets, the carousel keeps all of it, the LSTM lies between them."""
    main = Session()
    main.open_scene("bptt", {"T": 50, "loss_at": "last step"})
    comparison = Comparison(main)
    factors = {}
    for session, base in (
        (main, "z"),
        (comparison.add_scene("cec"), "C"),
        (comparison.add_scene("lstm"), "c"),
    ):
        one = flow(session.trace, base)
        fit = one.fit(session.end)
        assert fit is not None and len(one.times) == 51
        factors[base] = fit.factor
        if base == "C":
            assert set(one.whole.tolist()) == {one.whole[0]}
    assert factors["z"] < 0.6 < factors["c"] < 0.9 < factors["C"] == 1.0


def test_held_gates_make_a_carousel_of_an_lstm() -> None:
    """f = i = o = 1 leaves c_t = c_{t−1} + g_t, and the error on the line meets the factor 1 alone."""
    session = open_session("lstm", T=6)
    graph = session.trace.graph
    for gate in (f"{letter}_{t}" for letter in "fio" for t in range(1, 7)):
        session.hold(graph.named(gate).id, 1.0)
    trace = session.trace
    line = own_line(trace, "c")
    assert {hop.after for hop in hops(trace, line)} == {1.0}
    np.testing.assert_array_equal(carousel(trace, "c").direct, 1.0)
    bare = open_session("lstm", T=6, stage="cec").trace
    for leaf in bare.graph.leaves("parameter", "input", "target"):
        name = bare.graph.names[leaf.id]
        bare.graph.named(name).value = trace.values[trace.graph.named(name).id]
    bare.graph.forward()
    bare.graph.backward(bare.graph.nodes[bare.loss])
    for t in range(1, 7):
        for letter in "ch":
            there, here = bare.graph.named(f"{letter}_{t}"), trace.graph.named(f"{letter}_{t}").id
            np.testing.assert_allclose(there.value, trace.values[here], rtol=1e-12)
            grad, wanted = trace.grads[here], there.grad
            assert grad is not None and wanted is not None
            np.testing.assert_allclose(grad, wanted, rtol=1e-12)
