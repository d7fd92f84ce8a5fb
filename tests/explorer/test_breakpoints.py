"""Breakpoints: what they mean, where they hold, and that playing stops exactly there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import autograd as ag
from autograd import Graph, tensor
from explorer.model import playback
from explorer.model.actions import ACTIONS
from explorer.model.breakpoints import first_hit, hit_at, hits, matching
from explorer.model.files import decode, encode
from explorer.model.session import Session, open_session
from explorer.model.state import Breakpoint


@pytest.fixture
def session() -> Session:
    return open_session("lstm", T=4, hidden=2)


def norm(session: Session, name: str) -> float:
    grad = session.trace.grads[node(session, name)]
    assert grad is not None
    return float(np.linalg.norm(grad))


def node(session: Session, name: str) -> int:
    return session.trace.graph.named(name).id


def test_names_keys_and_patterns(session: Session) -> None:
    graph = session.trace.graph
    assert matching(graph, "h_2") == [node(session, "h_2")]
    assert matching(graph, "h_[1-4]") == [node(session, f"h_{t}") for t in (1, 2, 3, 4)]
    assert matching(graph, "#41") == [41]
    assert matching(graph, "nothing*") == []
    scalar = open_session("expression", formula="tanh(a*b)")
    assert matching(scalar.trace.graph, "a") == [node(scalar, "a")]


@pytest.mark.parametrize("kind", ["below", "above"])
def test_gradients_count_when_they_are_complete(session: Session, kind: Any) -> None:
    """Against the definition: of every state, the last arrival and the norm."""
    trace = session.trace
    names = [f"h_{t}" for t in range(5)]
    bound = float(np.median([norm(session, n) for n in names]))
    wanted = []
    for name in names:
        i = node(session, name)
        if (norm(session, name) < bound) == (kind == "below") and norm(session, name) != bound:
            wanted.append((trace.arrivals[i][-1].step + 1, i))
    found = hits(trace, (Breakpoint(kind, "h_*", bound),))
    assert [(hit.at, hit.node) for hit in found] == sorted(wanted) and wanted
    for hit in found:
        before, after = trace.grad(hit.node, hit.at - 0.01), trace.grad(hit.node, hit.at)
        assert after is not None and np.linalg.norm(after) == pytest.approx(hit.size)
        assert before is None or not np.array_equal(before, after)


def test_outputs_saturate_within_the_bound(session: Session) -> None:
    gate = node(session, "f_2")
    room = float(np.min(np.minimum(session.trace.values[gate], 1 - session.trace.values[gate])))
    for bound, count in ((room * 1.01, 1), (room * 0.99, 0)):
        found = hits(session.trace, (Breakpoint("saturates", "f_2", bound),))
        assert len(found) == count
    found = hits(session.trace, (Breakpoint("saturates", "f_2", 1.0),))
    assert found[0].at == session.trace.forward_step[gate] + 1 and found[0].size == pytest.approx(room)
    candidate = node(session, "g_2")  # a tanh goes from −1 to 1
    room = float(np.min(1 - np.abs(session.trace.values[candidate])))
    assert hits(session.trace, (Breakpoint("saturates", "g_2", room * 1.01),))
    assert not hits(session.trace, (Breakpoint("saturates", "c_2", 1.0),)), "a sum has no ends"


def test_what_is_no_finite_number_is_found() -> None:
    with Graph() as graph:
        x = tensor([0.0, 1.0], "x")
        y = ag.log(x).named("y")
        loss = ag.sum(ag.sqrt(x)).named("E")
        loss = (loss + ag.sum(ag.exp(y))).named("L")
    session = Session()
    session.open_graph(graph, loss)
    (value,) = hits(session.trace, (Breakpoint("nan", "y"),))
    assert value.at == session.trace.forward_step[y.id] + 1 and not value.gradient
    (gradient,) = hits(session.trace, (Breakpoint("nan", "x"),))
    assert gradient.gradient and gradient.at == session.trace.arrivals[x.id][-1].step + 1
    assert not hits(session.trace, (Breakpoint("nan", "E"),))


def test_first_and_exact(session: Session) -> None:
    all_of_them = (Breakpoint("above", "h_*", 0.0), Breakpoint("saturates", "i_*", 1.0))
    found = hits(session.trace, all_of_them)
    moments = [hit.at for hit in found]
    assert moments == sorted(moments) and len(found) >= 8
    for t0, t1 in ((0.0, 1e9), (moments[2], 1e9), (moments[2] - 0.5, moments[2]), (0.0, moments[0] - 0.1)):
        wanted = next((h for h in found if t0 < h.at <= t1), None)
        assert first_hit(session.trace, all_of_them, t0, t1) is wanted
    assert hit_at(session.trace, all_of_them, moments[3]) in found
    assert hit_at(session.trace, all_of_them, moments[3] + 0.5) is None
    off = tuple(replace(b, on=False) for b in all_of_them)
    assert hits(session.trace, off) == [] and first_hit(session.trace, off, 0, 1e9) is None


def test_playing_stops_exactly_there_and_goes_on_from_there(session: Session) -> None:
    session.update(breakpoints=(Breakpoint("saturates", "f_*", 1.0),))
    moments = [int(session.trace.forward_step[node(session, f"f_{t}")]) + 1 for t in (1, 2, 3, 4)]
    stops = []
    for _ in range(10_000):
        t, on = playback.advanced(session, 0.3)
        session.update(t=t)
        if not on:
            stops.append(t)
            if t == session.end:
                break
    assert stops == [*map(float, moments), float(session.end)]
    hit = playback.stopped(session, moments[0])
    assert hit is not None and hit.node == node(session, "f_1")
    assert "saturates" in playback.stop_words(session, hit)
    assert playback.stopped(session, moments[0] + 0.5) is None


def test_a_loop_stops_too_but_not_beyond_its_end(session: Session) -> None:
    at = int(session.trace.forward_step[node(session, "f_2")]) + 1
    session.update(
        breakpoints=(Breakpoint("saturates", "f_2", 1.0),), loop=(2.0, float(at - 2)), t=float(at - 3)
    )
    t, on = playback.advanced(session, 100.0)
    assert on and 2.0 <= t < at - 2
    session.update(loop=(2.0, float(at + 4)), t=float(at - 1))
    assert playback.advanced(session, 100.0) == (float(at), False)


def test_the_action_runs_to_each_and_then_to_the_end(session: Session) -> None:
    class Host:
        def __init__(self) -> None:
            self.session = session

    run: Any = ACTIONS["run_to_breakpoint"]
    assert not run.enabled(Host())
    session.update(breakpoints=(Breakpoint("above", "c_*", 0.0),), playing=True)
    seen = []
    while session.state.t < session.end:
        run.run(Host())
        seen.append(session.state.t)
    wanted = sorted(session.trace.arrivals[i][-1].step + 1.0 for i in matching(session.trace.graph, "c_*"))
    assert seen == [*wanted, float(session.end)][: len(seen)] and not session.state.playing
    assert run.keys == ("F8",)


def test_breakpoints_are_undone_saved_and_follow_edits(session: Session) -> None:
    new = (Breakpoint("above", "h_2", norm(session, "h_2") * 1.5), Breakpoint("nan", "*", on=False))
    session.update(breakpoints=new, title="Add a breakpoint")
    assert not hits(session.trace, new)
    target = node(session, "d_4")
    session.edit(target, session.trace.values[target] + 50.0)
    assert hits(session.trace, new)
    assert decode(encode(session.state), "x").state.breakpoints == new
    session.undo()
    session.undo()
    assert session.state.breakpoints == ()
