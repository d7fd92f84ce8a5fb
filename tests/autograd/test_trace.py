"""The trace: what happened in which order, and what every node looked like at any moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd as ag
from autograd import Graph, Tensor, Trace, at_time, tensor
from scenes import SCENES


def equal(a: Any, b: Any) -> bool:
    """Every element the same; None is equal to nothing."""
    return np.array_equal(a, b)


def small() -> tuple[Graph, Tensor]:
    """x is used three times: twice by the product, once by the sum."""
    with Graph() as g:
        x = tensor([1.0, 2.0], "x", "input")
        k = tensor(3.0, "k", "constant")
        with at_time(1):
            square = (x * x).named("square")
        with at_time(2):
            scaled = (k * x).named("scaled")
        E = ag.sum(square + scaled).named("E")
        ag.exp(x).named("aside")
    return g, E


def traced() -> tuple[Graph, Trace]:
    g, E = small()
    return g, Trace.run(g, E)


@pytest.fixture(scope="module", params=sorted(SCENES))
def trace(request: pytest.FixtureRequest) -> Trace:
    return SCENES[request.param].build().trace()


def test_steps_are_forward_then_loss_then_backward() -> None:
    g, trace = traced()
    said = [(s.phase, g.names[s.node] or g.nodes[s.node].op, s.time) for s in trace.steps]
    assert said == [
        ("forward", "square", 1),
        ("forward", "scaled", 2),
        ("forward", "add", None),
        ("forward", "E", None),
        ("forward", "aside", None),
        ("loss", "E", None),
        ("backward", "E", None),
        ("backward", "add", None),
        ("backward", "scaled", 2),
        ("backward", "square", 1),
    ]
    assert (trace.forward_end, trace.end) == (5, 10)


def test_steps_of_every_scene_respect_what_depends_on_what(trace: Trace) -> None:
    g = trace.graph
    for node in g.nodes:
        for j in node.inputs:
            assert trace.forward_step[j] < trace.forward_step[node.id] or g.ops[j] is None
        if trace.backward_step[node.id] < trace.end:
            # it sends on only when every instalment is in
            assert all(a.step < trace.backward_step[node.id] for a in trace.arrivals[node.id])
    phases = [s.phase for s in trace.steps]
    assert phases == sorted(phases, key=("forward", "loss", "backward").index)
    assert phases.count("loss") == 1
    assert len({(s.phase, s.node) for s in trace.steps}) == trace.end


def test_instalments_sum_to_the_gradient(trace: Trace) -> None:
    for node in trace.graph.nodes:
        arrivals = trace.arrivals[node.id]
        if node.id == trace.loss or not arrivals:
            continue
        total = trace.contribution(arrivals[0])
        for arrival in arrivals[1:]:
            total = total + trace.contribution(arrival)
        assert equal(total, node.grad)
        assert equal(trace.grad(node.id, trace.end), node.grad)


def test_arrivals_grow_with_t_and_are_all_in_at_the_end(trace: Trace) -> None:
    moments = np.linspace(0, trace.end, 40)
    for node in trace.graph.nodes:
        counts = [trace.arrived(node.id, t) for t in moments]
        assert counts == sorted(counts)
        assert counts[0] == 0
        assert counts[-1] == len(trace.arrivals[node.id])


def test_value_and_gradient_are_none_until_their_time() -> None:
    g, trace = traced()
    x, square, E = (g.named(n).id for n in ("x", "square", "E"))
    assert trace.computed(x, 0) and equal(trace.value(x, 0), [1.0, 2.0])
    assert trace.value(square, 0) is None
    assert trace.value(square, 0.99) is None
    assert equal(trace.value(square, 1), [1.0, 4.0])
    assert trace.grad(E, trace.forward_end) is None
    assert trace.grad(E, trace.forward_end + 0.5) is None
    assert trace.grad(E, trace.forward_end + 1) == 1.0
    assert trace.grad(x, 8.9) is None
    assert trace.arrived(x, 8.9) == 0
    assert equal(trace.grad(x, 9), [3.0, 3.0])  # from `scaled`
    assert trace.arrived(x, 9) == 1
    assert equal(trace.grad(x, 10), [5.0, 7.0])  # and both slots of `square`
    assert trace.arrived(x, 10) == 3


def test_arrivals_of_a_product_with_itself() -> None:
    g, trace = traced()
    x, square, scaled = (g.named(n).id for n in ("x", "square", "scaled"))
    assert [(a.consumer, a.slot) for a in trace.arrivals[x]] == [(scaled, 1), (square, 0), (square, 1)]
    assert trace.arrivals[g.named("k").id] == []
    assert trace.grad(g.named("k").id, trace.end) is None


def test_a_replay_does_not_change_an_earlier_trace() -> None:
    g, trace = traced()
    x, E = g.named("x"), g.nodes[trace.loss]
    values = [v.copy() for v in trace.values]
    gradient = trace.grad(x.id, trace.end).copy()
    x.value = [10.0, 20.0]
    again = Trace.run(g, E)
    for now, then in zip(trace.values, values, strict=True):
        assert equal(now, then)
    assert equal(trace.grad(x.id, trace.end), gradient)
    assert not equal(again.values[E.id], trace.values[E.id])
    assert again.steps == trace.steps


def test_learning_in_place_does_not_change_an_earlier_trace() -> None:
    with Graph() as g:
        w = tensor([[1.0, 2.0]], "w")
        E = ag.sum(ag.transpose(w) * 3.0)
    trace = Trace.run(g, E)
    w.value -= 0.1 * np.asarray(w.grad)
    assert equal(w.value, [[0.7, 1.7]])
    assert equal(trace.values[w.id], [[1.0, 2.0]])
    assert equal(trace.value(1, 1), [[1.0], [2.0]])


def test_run_takes_the_present_values_of_the_leaves() -> None:
    g, E = small()
    g.named("x").value = [0.0, 1.0]
    assert Trace.run(g, E).values[E.id] == 4.0


def test_truncation_sends_nothing_past_the_cut() -> None:
    recording = SCENES["bptt"].build({"T": 4, "truncate": 2})
    trace = recording.trace()
    assert not np.any(trace.grad(recording["z_0"].id, trace.end) - recording.grad("z_0"))
    cut = next(n for n in recording.graph.nodes if n.op == "stop_gradient")
    assert not np.any(cut.contributions[0])


def test_a_leaf_alone_is_a_trace_of_one_step() -> None:
    with Graph() as g:
        x = tensor(2.0)
    trace = Trace.run(g, x)
    assert [(s.phase, s.node) for s in trace.steps] == [("loss", 0)]
    assert trace.grad(0, 0) is None
    assert trace.grad(0, 1) == 1.0


def test_a_trace_wants_a_scalar_loss() -> None:
    with Graph() as g:
        y = (tensor([1.0, 2.0]) * 2.0).named("y")
    y.backward([1.0, 1.0])
    with pytest.raises(ValueError, match=r"scalar loss, y \(2,\)"):
        Trace(g, y)


def test_an_update_behind_the_backward_pass() -> None:
    g, trace = traced()
    leaves = [leaf.id for leaf in g.leaves()]
    new = {i: trace.values[i] + 1.0 for i in reversed(leaves)}
    after = trace.followed_by(new, "{w} ← {w} + 1")
    assert after.steps[: trace.end] == trace.steps and after.backward_end == trace.end == trace.backward_end
    assert [(s.phase, s.node) for s in after.steps[trace.end :]] == [("update", i) for i in new]
    for k, i in enumerate(new):
        assert equal(after.value(i, trace.end + k + 0.9), trace.values[i])
        assert equal(after.value(i, trace.end + k + 1), trace.values[i] + 1.0)
        assert after.grad(i, after.end) is after.grad(i, trace.end)
    assert trace.value(leaves[0], trace.end) is trace.values[leaves[0]]
    again = after.after(after.values, after.grads)
    assert again.followed_by(new, "").order is after.order
    assert again.followed_by({}, "").steps == trace.steps


def test_a_forward_pass_alone() -> None:
    with Graph() as g:
        x = tensor([1.0, -2.0], name="x", kind="input")
        y = ag.tanh(x * 3.0)
    trace = Trace(g, None)
    assert [s.phase for s in trace.steps] == ["forward", "forward"]
    assert trace.end == trace.forward_end == trace.backward_end == 2
    assert trace.value(y.id, 1.5) is None and equal(trace.value(y.id, 2), np.tanh([3.0, -6.0]))
    assert all(trace.grad(i, 2) is None for i in range(len(g)))
