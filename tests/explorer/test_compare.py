"""Comparing without a screen: moments that belong together, partners by name, differences, sessions."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from autograd import Graph, ops, tensor
from explorer.model.compare import Comparison, Link, Pair, differences, linked_moment, partners
from explorer.model.session import Session, open_session
from explorer.model.state import Recipe
from scenes.scene import SceneError

SCENES = [("lstm", {"T": 3}), ("bptt", {"T": 5}), ("cec", {}), ("gru", {"T": 4}), ("mlp", {})]
HOWS: tuple[Link, Link] = ("share", "time")


def opened(name: str, parameters: dict[str, object]) -> Session:
    return open_session(name, **parameters)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("here", SCENES, ids=lambda s: s[0])
@pytest.mark.parametrize("there", SCENES, ids=lambda s: s[0])
def test_ends_belong_together_and_phases_are_kept(here, there, how: Link) -> None:
    a, b = opened(*here).trace, opened(*there).trace
    assert linked_moment(a, 0.0, b, how) == 0.0
    assert linked_moment(a, float(a.end), b, how) == b.end
    assert linked_moment(a, float(a.forward_end), b, how) == b.forward_end
    before = 0.0
    for t in np.linspace(0.0, a.end, 8 * a.end + 1):
        moment = linked_moment(a, float(t), b, how)
        assert before <= moment <= b.end
        before = moment
        if t < a.end and moment < b.end:
            forward = (a.steps[int(t)].phase == "forward", b.steps[int(moment)].phase == "forward")
            assert forward[0] == forward[1]


def test_the_same_share_of_each_pass() -> None:
    a, b = open_session("lstm").trace, open_session("bptt").trace
    assert linked_moment(a, a.forward_end / 2, b, "share") == pytest.approx(b.forward_end / 2)
    back_a, back_b = a.end - a.forward_end - 1, b.end - b.forward_end - 1
    half = linked_moment(a, a.end - back_a / 2, b, "share")
    assert half == pytest.approx(b.end - back_b / 2)


@pytest.mark.parametrize("here, there", [("lstm", "bptt"), ("bptt", "lstm"), ("gru", "cec")])
@pytest.mark.parametrize("lengths", [(3, 3), (3, 6), (6, 3)])
def test_the_same_time_step_in_the_same_phase(here: str, there: str, lengths: tuple[int, int]) -> None:
    sessions = [open_session(name, T=n) for name, n in zip((here, there), lengths, strict=True)]
    a, b = (s.trace for s in sessions)
    both = {s.time for s in a.steps} & {s.time for s in b.steps} - {None}
    checked = 0
    for t, step in enumerate(a.steps):
        if step.time not in both or step.phase == "loss":
            continue
        moment = linked_moment(a, t + 0.5, b, "time")
        other = b.steps[int(moment)]
        runs = [s.time for s in b.steps if s.phase == step.phase]
        if None not in runs:  # else a step without a time can stand inside a time step
            assert (other.phase, other.time) == (step.phase, step.time)
        assert other.phase == step.phase and other.time in (step.time, None)
        checked += 1
    assert checked > 10


def test_an_update_is_waited_for() -> None:
    a, b = open_session("mlp"), open_session("mlp")
    b.update(recipe=Recipe())
    assert b.end > b.trace.backward_end
    assert linked_moment(a.trace, float(a.end), b.trace, "share") == b.trace.backward_end
    assert linked_moment(b.trace, float(b.end), a.trace, "share") == a.end


def test_partners_are_found_by_unique_names() -> None:
    a, b = open_session("lstm").trace.graph, open_session("bptt").trace.graph
    found = partners(a, b)
    assert found and all(a.names[i] == b.names[j] for i, j in found.items())
    assert found[a.named("x_2").id] == b.named("x_2").id
    assert not set(found) & {i for i, name in enumerate(a.names) if not name}
    again = open_session("lstm", seed=3).trace.graph
    assert partners(a, again) == {i: i for i in range(len(a))}


def test_differences_are_those_of_the_moment() -> None:
    a, b = open_session("bptt").trace, open_session("bptt", seed=1).trace
    start = {d.name: d for d in differences(a, 0.0, b, 0.0)}
    assert isnan(start["u_1"].value.here) and isnan(start["u_1"].gradient.ratio)
    for d in differences(a, float(a.end), b, float(b.end)):
        here, there = np.linalg.norm(a.values[d.node]), np.linalg.norm(b.values[d.partner])
        assert d.value.ratio == pytest.approx(there / here) if here else isnan(d.value.ratio) or there
        assert 0 <= d.value.difference <= 1
    end = {d.name: d for d in differences(a, float(a.end), b, float(b.end))}
    grads = [np.linalg.norm(np.asarray(t.grads[t.graph.named("u_1").id])) for t in (a, b)]
    assert end["u_1"].gradient.difference == pytest.approx(abs(grads[0] - grads[1]) / max(grads))


@pytest.mark.parametrize(
    "pair, ratio, difference",
    [
        ((2.0, 1.0), 0.5, 0.5),
        ((0.0, 3.0), np.inf, 1.0),
        ((1e300, 1e300), 1.0, 0.0),
        ((0.0, 0.0), np.nan, 0.0),
    ],
)
def test_a_ratio_of_two_norms(pair, ratio, difference) -> None:
    two = Pair(*pair)
    assert two.ratio == pytest.approx(ratio, nan_ok=True) and two.difference == difference


# Sessions


def test_the_others_follow_moment_and_selection_and_let_go() -> None:
    main = open_session("lstm")
    comparison = Comparison(main)
    before = list(main._listeners)
    other = comparison.add_scene("bptt", {"T": 3})
    main.update(t=float(main.end), selection=(main.trace.graph.named("x_2").id,))
    assert other.state.t == other.end
    assert other.state.selection == (other.trace.graph.named("x_2").id,)
    other.update(selection=(other.trace.graph.named("x_1").id,))
    assert main.state.selection == (main.trace.graph.named("x_1").id,)
    main.update(t=7.0)
    assert other.state.t == round(linked_moment(main.trace, 7.0, other.trace, "share"))
    comparison.link("time")
    assert other.state.t == round(linked_moment(main.trace, 7.0, other.trace, "time"))
    main.open_scene("gru")  # keeps the other one
    assert comparison.others == [other] and other.state.scene == "bptt" and other.state.t == 0.0
    comparison.close()
    assert main._listeners == before and comparison.others == []
    main.update(t=3.0)
    assert other.state.t == 0.0


def test_a_copy_stays_as_it_is() -> None:
    main = open_session("lstm")
    comparison = Comparison(main)
    main.hold(main.trace.graph.named("f_2").id, 0.5)
    copy = comparison.add_as_it_is()
    loss = float(copy.trace.values[copy.trace.loss])
    assert loss == float(main.trace.values[main.trace.loss])
    main.update(parameters={"T": 5})
    assert copy.state.parameters["T"] == 3 and float(copy.trace.values[copy.trace.loss]) == loss
    assert "T = 5" in comparison.title(main) and "T = 3" in comparison.title(copy)
    assert not copy.state.playing and copy.state.breakpoints == ()


def test_a_graph_of_ones_own_is_copied_whole() -> None:
    with Graph() as graph:
        a = tensor([0.3, -0.2], name="a")
        loss = ops.sum(ops.tanh(a) * a)
    main = Session()
    main.open_graph(graph, loss)
    main.edit(a.id, [1.0, 2.0])
    copy = Comparison(main).add_as_it_is()
    assert np.array_equal(copy.trace.values[copy.trace.loss], main.trace.values[main.trace.loss])


def test_three_are_the_most_and_a_bad_one_changes_nothing() -> None:
    comparison = Comparison(open_session("mlp"))
    with pytest.raises(SceneError):
        comparison.add_scene("no such scene")
    assert comparison.main._listeners == []
    comparison.add_as_it_is()
    comparison.add_scene("lstm")
    with pytest.raises(SceneError):
        comparison.add_scene("bptt")
    assert len(comparison.others) == 2 and len(comparison.main._listeners) == 1


def test_while_playing_the_others_move_between_steps() -> None:
    main = open_session("lstm")
    comparison = Comparison(main)
    other = comparison.add_scene("bptt")
    main.update(playing=True, t=10.0)
    assert other.state.t == linked_moment(main.trace, 10.0, other.trace, "share") != round(other.state.t)
    main.update(playing=False)
    assert other.state.t == round(other.state.t)
