"""What one moment looks like: the same whichever way it was reached, and true to the trace."""

from __future__ import annotations

from functools import cache
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd import Graph, Trace, tensor
from explorer.model.frame import COMPUTING, DONE, GHOST, Frame, frame_at
from explorer.model.layout import Layout, Topology, lay_out
from explorer.model.session import default_folds
from scenes import SCENES

ARRAYS = ("state", "progress", "arrived", "expected", "sending", "flowed", "strength")
PICTURES: dict[str, tuple[str, dict[str, Any], tuple[str, ...] | None]] = {
    "bptt": ("bptt", {}, ()),
    "lstm": ("lstm", {"T": 2}, None),
    "peephole, open": ("lstm", {"T": 2, "stage": "peephole"}, ()),
    "a step folded": ("bptt", {"T": 3, "truncate": 2}, ("rnn/t=2",)),
    "everything folded": ("lstm", {"T": 2}, ("lstm", "initial", "loss", "parameters")),
    "expression": ("expression", {"formula": "x1*x1 + x1"}, ()),
    "mlp": ("mlp", {}, ()),
}
every_picture = pytest.mark.parametrize("name", PICTURES)


def equal(a: Any, b: Any) -> bool:
    """Every element the same; None is equal to nothing."""
    return np.array_equal(a, b)


@cache
def picture(name: str) -> tuple[Trace, Layout]:
    scene, values, folded = PICTURES[name]
    recording = SCENES[scene].build(values)
    of = Topology(recording.graph, recording.loss.id)
    wanted = default_folds(SCENES[scene], of) if folded is None else frozenset(folded)
    return recording.trace(), lay_out(of, wanted)


def moments(trace: Trace) -> list[float]:
    """Every step's beginning and three moments within it."""
    return [k + part for k in range(trace.end) for part in (0.0, 0.3, 0.75, 0.95)] + [float(trace.end)]


def same(a: Frame, b: Frame) -> bool:
    return (
        a.t == b.t
        and a.pulses == b.pulses
        and all(
            equal(getattr(a, n), getattr(b, n)) and getattr(a, n).dtype == getattr(b, n).dtype for n in ARRAYS
        )
    )


def nodes_of(layout: Layout, box: int) -> tuple[int, ...]:
    return layout.members.get(box, (layout.boxes[box].node,))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(PICTURES)), st.floats(0, 1), st.booleans()), min_size=2, max_size=8
    )
)
def test_the_way_to_a_moment_does_not_matter(way: list[tuple[str, float, bool]]) -> None:
    first: dict[tuple[str, float], Frame] = {}
    for name, share, whole in [*way, *reversed(way)]:
        trace, layout = picture(name)
        t = share * trace.end
        t = float(floor(t)) if whole else t
        frame = frame_at(trace, layout, t)
        assert same(frame, first.setdefault((name, t), frame))
    for (name, t), frame in first.items():
        # one who has seen nothing before sees the same
        scene, values, _ = PICTURES[name]
        recording = SCENES[scene].build(values)
        of = Topology(recording.graph, recording.loss.id)
        assert same(frame_at(recording.trace(), lay_out(of, picture(name)[1].folded), t), frame)


@every_picture
def test_boxes_are_ghosts_then_computing_then_done(name: str) -> None:
    trace, layout = picture(name)
    for t in moments(trace):
        frame = frame_at(trace, layout, t)
        for k, box in enumerate(layout.boxes):
            begin = trace.forward_step[box.node]
            inside = [trace.forward_step[n] for n in nodes_of(layout, k)]
            if any(b < t < b + 1 for b in inside):
                assert frame.state[k] == COMPUTING
            else:
                assert frame.state[k] == (DONE if begin + 1 <= t else GHOST)
            assert frame.progress[k] == pytest.approx(np.mean([b + 1 <= t for b in inside]))
            if frame.state[k] == GHOST:
                assert frame.value(k) is None
            if begin + 1 <= t:
                assert equal(frame.value(k), trace.values[box.node])


@every_picture
def test_at_the_start_only_leaves_are_done_and_at_the_end_everything(name: str) -> None:
    trace, layout = picture(name)
    start, end = frame_at(trace, layout, 0.0), frame_at(trace, layout, float(trace.end))
    ops = trace.graph.ops
    for k, box in enumerate(layout.boxes):
        assert start.state[k] == (DONE if ops[box.node] is None else GHOST)
    assert np.all(end.state == DONE)
    assert np.all(end.progress == 1.0)
    assert not np.any(start.arrived) and not np.any(start.flowed) and not np.any(start.strength)
    assert equal(end.arrived, end.expected)
    assert np.any(end.expected)
    for frame in (start, end):
        assert not frame.pulses and not np.any(frame.sending)
    assert start.current is None
    assert end.current == trace.steps[-1]


@every_picture
def test_instalments_only_grow_and_never_exceed_what_is_expected(name: str) -> None:
    trace, layout = picture(name)
    before = frame_at(trace, layout, 0.0)
    for t in moments(trace)[1:]:
        frame = frame_at(trace, layout, t)
        assert np.all(frame.arrived <= frame.expected)
        assert np.all(frame.arrived >= before.arrived)
        assert np.all(frame.flowed >= before.flowed)
        assert equal(frame.expected, before.expected)
        for k in range(len(layout.boxes)):
            assert (frame.grad(k) is None) == (frame.arrived[k] == 0)
        before = frame


@every_picture
def test_what_is_sending_is_the_box_of_the_step(name: str) -> None:
    trace, layout = picture(name)
    for k, step in enumerate(trace.steps):
        frame = frame_at(trace, layout, k + 0.5)
        assert frame.current == step
        assert frame.step == k
        sending = set(np.flatnonzero(frame.sending).tolist())
        assert sending == (set() if step.phase == "forward" else {layout.box_of_node[step.node]})
        computing = set(np.flatnonzero(frame.state == COMPUTING).tolist())
        assert computing == ({layout.box_of_node[step.node]} if step.phase == "forward" else set())


@every_picture
def test_pulses_run_along_the_edges_of_the_step(name: str) -> None:
    trace, layout = picture(name)
    for k, step in enumerate(trace.steps):
        into = {i for i, e in enumerate(layout.edges) if any(v == step.node for v, _ in e.members)}
        carrying = {
            i
            for i, e in enumerate(layout.edges)
            if any(v == step.node and trace.contributions[v][s] is not None for v, s in e.members)
        }
        ways: dict[int, list[float]] = {}
        for part in np.linspace(0.01, 0.99, 9):
            pulses = frame_at(trace, layout, k + part).pulses
            wanted = {"forward": into, "loss": set(), "backward": carrying}[step.phase]
            assert sorted(p.edge for p in pulses) == sorted(wanted)
            for p in pulses:
                assert 0.0 <= p.along <= 1.0
                assert p.backward == (step.phase == "backward")
                ways.setdefault(p.edge, []).append(p.along)
        for way in ways.values():
            assert way == sorted(way, reverse=step.phase == "backward")
            assert max(way) - min(way) > 0.9
        assert frame_at(trace, layout, float(k)).pulses == ()


@every_picture
def test_edges_are_as_strong_as_what_flowed_over_them(name: str) -> None:
    trace, layout = picture(name)
    for t in moments(trace):
        frame = frame_at(trace, layout, t)
        assert np.all((frame.strength >= 0) & (frame.strength <= 1))
        assert np.all(frame.strength[frame.flowed < 2] == 0)
    norms = []
    for edge in layout.edges:
        sent = [trace.contributions[v][k] for v, k in edge.members]
        norms.append(np.sqrt(sum(float(np.sum(c * c)) for c in sent if c is not None)))
    order = np.argsort(norms, kind="stable")
    assert np.all(np.diff(frame.strength[order]) >= 0)
    if max(norms, default=0) > 0:
        assert frame.strength[int(np.argmax(norms))] == 1.0
    for norm, strength in zip(norms, frame.strength, strict=True):
        assert (norm == 0) == (strength == 0)


@pytest.mark.parametrize("name", ["bptt", "peephole, open", "expression", "mlp"])
def test_aliases_together_have_the_gradient_of_their_leaf(name: str) -> None:
    trace, layout = picture(name)
    for t in (float(trace.end), trace.end - 2.0, trace.forward_end + 3.0):
        frame = frame_at(trace, layout, t)
        for node, boxes in layout.boxes_of_node.items():
            aliases = [k for k in boxes if layout.boxes[k].kind == "alias"]
            true = frame.grad(layout.box_of_node[node])
            parts = [g for k in aliases if (g := frame.grad(k)) is not None]
            if aliases:
                assert (true is None) == (not parts)
            if parts:
                np.testing.assert_allclose(sum(parts), np.asarray(true), rtol=1e-13, atol=1e-15)
                assert sum(frame.arrived[k] for k in aliases) == frame.arrived[layout.box_of_node[node]]


def test_a_gradient_arrives_in_instalments() -> None:
    recording = SCENES["bptt"].build({"T": 2})
    trace = recording.trace()
    layout = lay_out(Topology(recording.graph, recording.loss.id))
    z = recording["z_1"].id
    box = layout.box_of_node[z]
    steps = [a.step for a in trace.arrivals[z]]
    counts = [
        int(frame_at(trace, layout, t).arrived[box]) for t in (steps[0] + 0.9, steps[0] + 1.0, steps[1] + 1.0)
    ]
    assert counts == [0, 1, 2]
    half = frame_at(trace, layout, steps[0] + 1.0)
    assert half.expected[box] == 2
    assert equal(half.grad(box), trace.contribution(trace.arrivals[z][0]))
    assert not equal(half.grad(box), recording.grad("z_1"))


def test_a_folded_scope_shows_its_result_and_how_far_it_is() -> None:
    trace, layout = picture("a step folded")
    box = next(k for k, b in enumerate(layout.boxes) if b.kind == "scope")
    shown = trace.graph.nodes[layout.boxes[box].node]
    assert shown.time == 2
    inside = sorted(int(trace.forward_step[n]) for n in layout.members[box])
    first = next(b for b in inside if b >= 0)
    frame = frame_at(trace, layout, first + 1.0)
    assert 0 < frame.progress[box] < 1
    assert frame.value(box) is None
    frame = frame_at(trace, layout, first + 0.5)
    assert frame.state[box] == COMPUTING
    frame = frame_at(trace, layout, float(max(inside) + 1))
    assert frame.progress[box] == 1.0
    assert equal(frame.value(box), shown.value)


def test_slope_is_the_local_derivative_of_a_single_elementwise_input() -> None:
    trace, layout = picture("bptt")
    g = trace.graph
    frame = frame_at(trace, layout, 0.0)
    slopes = {layout.edges[k].members: frame.slope(k) for k in range(len(layout.edges))}
    z, u = g.named("z_1"), g.named("u_1")
    np.testing.assert_allclose(np.asarray(slopes[((z.id, 0),)]), 1 - np.tanh(u.value) ** 2, rtol=1e-13)
    matmul = next(n for n in g.nodes if n.op == "matmul" and n.time == 1)
    assert slopes[((matmul.id, 0),)] is None


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_extreme_values_have_their_picture_too(value: float) -> None:
    with Graph() as g:
        x = tensor([value, 1.0], "x", "input")
        loss = ag.sum(ag.log(x) * x)
    trace = Trace.run(g, loss)
    layout = lay_out(Topology(g, loss.id))
    for t in moments(trace):
        frame = frame_at(trace, layout, t)
        assert np.all(np.isfinite(frame.strength))
        assert np.all((frame.strength >= 0) & (frame.strength <= 1))
        assert all(np.isfinite(p.size) and np.isfinite(p.along) for p in frame.pulses)


def test_a_graph_whose_gradient_is_nothing_but_0() -> None:
    with Graph() as g:
        x = tensor(1.0, "x", "input")
        loss = ag.stop_gradient(x) * 2.0
    trace: Any = Trace.run(g, loss)
    frame = frame_at(trace, lay_out(Topology(g, loss.id)), float(trace.end))
    assert np.all(np.isfinite(frame.strength))
