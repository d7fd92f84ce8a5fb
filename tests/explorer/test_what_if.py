"""What if: nodes held at constants, edges cut, leaves frozen, in the session, in files and in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograd import tensor
from explorer.cli import main as run
from explorer.model import files
from explorer.model.alterations import leaf_key, nodes_by_key
from explorer.model.closer import scalar_graph
from explorer.model.lab import contributions, paths
from explorer.model.lab.sweep import wiring
from explorer.model.session import Session, open_session
from explorer.model.what_if import typed_value
from scenes.scene import SceneError

STEPS = 4


@pytest.fixture
def session() -> Session:
    return open_session("lstm", T=STEPS, hidden=2)


def node(session: Session, name: str) -> int:
    assert session.recording is not None
    return session.recording.graph.named(name).id


def assert_as_recorded(session: Session, reference: Session) -> None:
    for mine, its in zip(session.trace.values, reference.trace.values, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-12, atol=1e-14)
    for a, b in zip(session.trace.grads, reference.trace.grads, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


def test_a_gate_is_held_and_everything_answers(session: Session) -> None:
    told: list[frozenset[str]] = []
    session.subscribe(told.append)
    gate, layout = node(session, "f_2"), session.layout
    session.hold(gate, 0.5)
    assert len(told) == 1 and {"clamps", "trace"} <= told[0] and "layout" not in told[0]
    assert session.altered and session.layout is layout
    trace = session.trace
    assert trace.values[gate].tolist() == [0.5, 0.5] and trace.grads[gate] is None
    cell, before = trace.values[node(session, "c_2")], trace.values[node(session, "c_1")]
    rest = trace.values[node(session, "write_2")]
    np.testing.assert_allclose(cell, 0.5 * before + rest)
    assert session.recording is not None
    np.testing.assert_array_equal(session.recording.graph.values[gate], [0.5, 0.5])
    assert session.recording.graph.ops[gate] is not trace.graph.ops[gate]
    for value in (0.0, 1.0, 0.25):  # by the plan now
        session.hold(gate, value, merge=True)
        fresh = open_session("lstm", T=STEPS, hidden=2)
        fresh.hold(gate, value)
        assert_as_recorded(session, fresh)
    session.undo()
    assert session.trace.values[gate].tolist() == [0.5, 0.5]
    session.undo()
    assert not session.altered
    assert_as_recorded(session, open_session("lstm", T=STEPS, hidden=2))
    session.redo()
    assert session.trace.values[gate].tolist() == [0.5, 0.5]


def test_a_cut_edge_and_a_frozen_matrix_take_their_steps_away(session: Session) -> None:
    steps, matrix = session.end, node(session, "W_f")
    session.update(t=session.end)
    consumer, slot = node(session, "keep_3"), 1  # from c_2
    session.cut({(consumer, slot)})
    assert session.trace.contributions[consumer][slot] is None
    assert len(session.trace.arrivals[node(session, "c_2")]) == 1  # from its own output alone
    assert session.state.t == session.end
    session.freeze(matrix)
    assert session.trace.grads[matrix] is None and not session.trace.arrivals[matrix]
    assert session.end <= steps and session.state.t == session.end
    session.freeze(matrix, False)
    session.cut({(consumer, slot)}, False)
    assert not session.altered and session.end == steps == session.state.t


def test_edits_and_alterations_live_side_by_side(session: Session) -> None:
    session.hold(node(session, "f_1"), [0.0, 1.0])
    bias = node(session, "b_i")
    for value in ([0.3, -0.3], [0.1, 0.2]):
        session.edit(bias, value)
    other = open_session("lstm", T=STEPS, hidden=2)
    other.edit(bias, [0.1, 0.2])
    other.hold(node(session, "f_1"), [0.0, 1.0])
    assert_as_recorded(session, other)
    session.restore()
    assert not session.altered and session.state.edits.keys() == {"b_i"}
    assert session.undo_title == "Restore the scene"
    session.reset_edits()
    assert_as_recorded(session, open_session("lstm", T=STEPS, hidden=2))


def test_parameters_keep_what_still_fits(session: Session) -> None:
    session.hold(node(session, "f_4"), 0.5)
    session.hold(node(session, "f_2"), 0.5)
    session.cut({(node(session, "keep_4"), 1)})
    session.cut({(node(session, "keep_2"), 1)})
    session.freeze(node(session, "U_f"))
    session.update(parameters={"T": 3})
    assert session.state.clamps.keys() == {"f_2"} and session.state.frozen == {"U_f"}
    assert session.state.cuts == {("keep_2", 1)}
    assert session.trace.values[node(session, "f_2")].tolist() == [0.5, 0.5]
    session.update(parameters={"hidden": 3})
    assert not session.state.clamps and session.state.frozen == {"U_f"}
    session.undo()
    session.undo()
    assert session.state.clamps.keys() == {"f_2", "f_4"}
    assert session.trace.values[node(session, "f_4")].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"clamps": {"f_9": [1.0, 1.0]}}, "there is no node 'f_9'"),
        ({"clamps": {"b_f": [1.0, 1.0]}}, "b_f is not computed"),
        ({"clamps": {"f_2": [1.0]}}, r"f_2 has the shape \(2,\), the new value \(1,\)"),
        ({"clamps": {"f_2": [1.0, np.nan]}}, "f_2 can only be held at finite numbers"),
        ({"clamps": {"f_2": ["x", None]}}, "f_2 takes numbers"),
        ({"cuts": {("nothing", 0)}}, "there is no node 'nothing'"),
        ({"cuts": {("f_2", 7)}}, "f_2 has no input 7"),
        ({"frozen": {"f_2"}}, "f_2 gets no gradient anyway"),
        ({"frozen": {"W_q"}}, "there is no node 'W_q'"),
    ],
)
def test_what_can_not_be_altered_is_refused(session: Session, changes: dict[str, Any], match: str) -> None:
    session.hold(node(session, "f_1"), 1.0)
    before, trace = session.state, session.trace
    with pytest.raises(SceneError, match=match):
        session.update(**changes)
    assert session.state is before and session.trace is trace


def test_an_edit_is_refused_and_the_alteration_stays(session: Session) -> None:
    session.hold(node(session, "f_1"), 1.0)
    with pytest.raises(SceneError):
        session.edit(node(session, "b_f"), [1.0])
    assert session.trace.values[node(session, "f_1")].tolist() == [1.0, 1.0]


def test_nodes_without_a_name_have_a_number(session: Session) -> None:
    graph = session.trace.graph
    nameless = next(i for i, op in enumerate(graph.ops) if op is not None and not graph.names[i])
    session.hold(nameless, 0.5)
    assert session.state.clamps.keys() == {f"#{nameless}"} == {leaf_key(graph, nameless)}
    assert nodes_by_key(graph)[f"#{nameless}"] == nameless
    session.let_go(nameless)
    assert not session.altered


def test_training_goes_on_from_where_it_stood_and_leaves_the_frozen_alone() -> None:
    from explorer.model.state import Recipe

    session = open_session("mlp")
    first, *others = [leaf.name for leaf in session.trace.graph.leaves("parameter")]
    session.update(recipe=Recipe(lr=0.1, epochs=20))
    session.update(update=5)
    moved = {name: session.trace.values[node(session, name)].copy() for name in (first, others[0])}
    session.freeze(node(session, first))
    for name, value in moved.items():
        np.testing.assert_array_equal(session.trace.values[node(session, name)], value)
    session.update(update=5)
    np.testing.assert_array_equal(session.trace.values[node(session, first)], moved[first])
    assert not np.array_equal(session.trace.values[node(session, others[0])], moved[others[0]])


def test_an_own_graph_can_be_altered() -> None:
    from autograd import Graph
    from autograd import sum as total

    with Graph() as graph:
        w = tensor([1.0, 2.0], "w")
        y = (w * w).named("y")
        loss = total(y)
    session = Session()
    session.open_graph(graph, loss)
    session.hold(y.id, [5.0, 6.0])
    assert session.trace.values[loss.id] == 11.0
    session.restore()
    assert session.trace.values[loss.id] == 5.0 and loss.value == 5.0


# Files and tools


def altered_file(tmp_path: Path, *, cut: bool = True) -> Path:
    session = open_session("lstm", T=3, hidden=2)
    session.hold(node(session, "f_2"), [0.5, -0.25])
    session.freeze(node(session, "W_f"))
    if cut:
        session.cut({(node(session, "keep_3"), 1)})
    session.update(t=session.end)
    files.save(tmp_path / "altered.backstep", session.state)
    return tmp_path / "altered.backstep"


def test_a_file_brings_the_alterations_back(tmp_path: Path) -> None:
    again = open_session(str(altered_file(tmp_path)))
    assert again.altered and again.trace.values[node(again, "f_2")].tolist() == [0.5, -0.25]
    assert again.state.cuts == {("keep_3", 1)} and again.state.frozen == {"W_f"}
    assert not again.dirty
    again.restore()
    assert_as_recorded(again, open_session("lstm", T=3, hidden=2))


def test_a_trace_on_the_command_line_has_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trace", str(altered_file(tmp_path)), "--out", "-"]) == 0
    nodes = {n["name"]: n for n in json.loads(capsys.readouterr().out)["nodes"] if n["name"]}
    assert nodes["f_2"]["op"] == "clamp" and nodes["f_2"]["value"] == [0.5, -0.25]
    assert nodes["W_f"]["grad"] is None and nodes["keep_3"]["contributions"][1] is None
    assert run(["trace", str(altered_file(tmp_path)), "--scalar", "--out", "-"]) != 0
    assert "cut edges" in capsys.readouterr().err
    whole = altered_file(tmp_path, cut=False)
    assert run(["trace", str(whole), "--scalar", "--out", "-"]) == 0
    scalar = {n["name"]: n for n in json.loads(capsys.readouterr().out)["nodes"] if n["name"]}
    session = open_session(str(whole))
    assert scalar["f_2[1]"]["value"] == -0.25 and scalar["W_f[0,0]"]["grad"] is None
    grad = session.trace.grads[node(session, "U_f")]
    assert grad is not None and scalar["U_f[0,1]"]["grad"] == pytest.approx(grad[0, 1])


def test_checking_a_file_compares_the_scene_without_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", str(altered_file(tmp_path))]) == 0


# The lab


def test_the_lab_sees_cuts_as_truncation(session: Session) -> None:
    """Cutting every way from one step to the next is what `truncate` does."""
    leaf = node(session, "W_i")
    whole = contributions.split(session.trace, leaf)
    graph = session.trace.graph
    session.cut([(i, k) for i, js in enumerate(graph.inputs) for k, j in enumerate(js)
                 if graph.names[j] in ("h_2", "c_2") and graph.times[i] == 3])  # fmt: skip
    cut = contributions.split(session.trace, leaf)
    assert wiring(session.trace.graph).truncated
    np.testing.assert_allclose(cut.uncut, whole.sizes)
    assert not np.nan_to_num(cut.sizes[2:, :2]).any() and cut.sizes[3, 2] == pytest.approx(whole.sizes[3, 2])
    assert not paths.routes(session.trace, node(session, "h_1"), node(session, "h_3")).found


def test_paths_add_up_to_the_gradient_of_an_altered_graph(session: Session) -> None:
    session.hold(node(session, "f_3"), 0.5)
    session.cut({(node(session, "keep_4"), 1)})
    source = node(session, "c_1")
    found = paths.routes(session.trace, source, session.trace.loss, 500)
    grad = session.trace.grads[source]
    assert grad is not None
    np.testing.assert_allclose(np.sum([r.part for r in found.found], axis=0), grad, rtol=1e-9)
    assert all(node(session, "f_3") not in r.nodes for r in found.found)


def test_a_closer_look_has_the_same_gradients(session: Session) -> None:
    session.hold(node(session, "f_2"), 0.5)
    keep, write = node(session, "keep_2"), node(session, "write_2")
    session.cut({(keep, 1)})
    closer, loss = scalar_graph(session.trace, [node(session, "f_2"), keep, write, node(session, "c_2")])
    closer.backward(loss)
    sent = session.trace.contributions[write][0]
    assert [closer.named(f"i_2[{k}]").grad for k in (0, 1)] == pytest.approx(list(sent))
    assert all(not np.any(closer.named(f"c_1[{k}]").grad) for k in (0, 1))
    assert closer.named("f_2[0]").kind == "constant" and closer.named("f_2[0]").value == 0.5


@pytest.mark.parametrize(
    ("words", "shape", "wanted"),
    [
        ("0.5", (2,), [0.5, 0.5]),
        ("1, −2", (2,), [1, -2]),
        ("[1 2; 3 4]", (2, 2), [[1, 2], [3, 4]]),
        ("3", (), 3),
    ],
)
def test_typed_values(words: str, shape: tuple[int, ...], wanted: Any) -> None:
    np.testing.assert_array_equal(typed_value(words, shape), np.array(wanted, dtype=float))


@pytest.mark.parametrize("words", ["", "x", "1 2 3", "1 2 x"])
def test_what_is_no_value_is_refused(words: str) -> None:
    with pytest.raises(SceneError):
        typed_value(words, (2,))
