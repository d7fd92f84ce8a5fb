"""Whole graphs in scene files: every op and every index come back, and faults have their places."""

import json

import numpy as np
import pytest

from autograd import OPS, Graph, tensor
from autograd import sum as ag_sum
from autograd.ops.definition import record
from explorer.model import files, whole
from explorer.model.files import decode, encode, load
from explorer.model.files.limits import LIMITS
from explorer.model.session import Session, State, open_session
from scenes import SCENES
from tests.explorer.scene_documents import (
    array,
    bare,
    chapter,
    code,
    document,
    graph,
    leaf,
    node,
    refused,
    zeros,
)


@pytest.mark.parametrize("op", sorted(OPS))
def test_shapes_are_known_before_anything_is_computed(op):
    definition, rng = OPS[op], np.random.default_rng(0)
    for sample in definition.samples:
        inputs = [rng.uniform(sample.low, sample.high, size=shape) for shape in sample.shapes]
        attrs = definition.defaults | sample.attrs
        if definition.prepare:
            attrs = definition.prepare(*inputs, **attrs)
        result = np.asarray(definition.forward(*inputs, **attrs))
        shape = whole.shape_of(op, tuple(sample.shapes), attrs)
        assert shape == result.shape
        assert whole.room(op, sample.shapes, shape, attrs) >= result.size
        assert whole.work(op, sample.shapes, shape, attrs) >= result.size


@pytest.mark.parametrize("op", sorted(OPS))
def test_every_op_is_saved_with_its_attributes(op):
    definition, rng = OPS[op], np.random.default_rng(0)
    for sample in definition.samples:
        with Graph() as recorded:
            leaves = [tensor(rng.uniform(sample.low, sample.high, size=shape)) for shape in sample.shapes]
            attrs = definition.defaults | sample.attrs
            y = record(definition, leaves, attrs)
            loss = ag_sum(y)
        rows = whole.Whole.of(recorded, loss.id, recorded.values)
        data = encode(State(scene="your-graph"), graph=rows)
        again, _ = decode(data, "x").graph.build()
        for a, b in zip(recorded.values, again.values, strict=True):
            np.testing.assert_array_equal(a, b)
        loss.backward()
        again.backward(loss.id)
        for a, b in zip(recorded.grads, again.grads, strict=True):
            np.testing.assert_array_equal(a, b)


INDICES = [
    0, -1, (0, 1), slice(None), slice(None, None, -2), ..., None, (None, 0, ..., None), [2, 0, 2],
    ([0, 1], [1, 1]), ((0, 1), (1, 1)), np.array([[0, 1], [2, 0]]), np.array([True, False, True]),
    (slice(1, 3), [0, 1]), np.int64(1),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_every_way_to_take_a_part_is_saved(index):
    with Graph() as recorded:
        loss = ag_sum(tensor(np.arange(12.0).reshape(3, 4), name="a")[index] * 2.0)
    data = encode(State(scene="your-graph"), graph=whole.Whole.of(recorded, loss.id, recorded.values))
    again, _ = decode(data, "x").graph.build()
    np.testing.assert_array_equal(again.values[loss.id], recorded.values[loss.id])
    assert encode(State(scene="your-graph"), graph=decode(data, "x").graph) == data


@pytest.mark.parametrize("id", sorted(SCENES))
def test_every_scene_could_be_saved_as_a_graph(id):
    """So that whatever a user records with the engine has a way into a file."""
    session = open_session(id)
    rows = whole.Whole.of(session.recording.graph, session.recording.loss.id, session._replay.originals)
    loaded = decode(encode(State(scene="your-graph", folded=session.state.folded, t=3.0), graph=rows), "x")
    again = Session()
    again.open_state(loaded.state, "t", loaded.graph)
    assert again.trace.end == session.trace.end
    for a, b in zip(session.trace.values, again.trace.values, strict=True):
        np.testing.assert_array_equal(a, b)
    assert again.topology.scopes == session.topology.scopes
    assert [(box.x, box.y) for box in again.layout.boxes] == [(box.x, box.y) for box in session.layout.boxes]
    leaf = session.recording.graph.leaves("parameter", "input")[0]
    for one in (session, again):
        one.edit(leaf.id, np.full(leaf.shape, 0.5))
    for a, b in zip(session.trace.values, again.trace.values, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(session.trace.grads, again.trace.grads, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_graph_stands_in_for_a_scene_that_can_not_be_built(tmp_path):
    session = open_session("expression", formula="tanh(w*x + b)")
    data = json.loads(encode(session.state, graph=session.whole()))
    for change in ({"scene": "gone"}, {"parameters": {"formula": "tanj(w)"}}, {"parameters": {"other": 1}}):
        path = tmp_path / "a.backstep"
        path.write_text(json.dumps(data | change))
        loaded = load(path)
        assert loaded.read_only
        assert "a.backstep is shown from the graph" in loaded.warning
        again = Session()
        again.open_state(loaded.state, "t", loaded.graph)
        assert again.trace.values[session.trace.loss] == session.trace.values[session.trace.loss]
        assert len(files.faults(path)) == 1, "a check says what is wrong all the same"
    assert code(json.dumps(data | {"scene": "gone", "graph": None}).encode()) == "unknown_scene"


def test_a_graph_that_no_file_can_hold_is_not_lost(tmp_path):
    with Graph() as recorded:
        terms = [tensor(float(k), name=f"x_{k}") for k in range(LIMITS.inputs + 1)]
        loss = record(OPS["add_n"], terms, {})
    rows = whole.Whole.of(recorded, loss.id, recorded.values)
    error = refused(tmp_path / "a.backstep", State(scene="your-graph"), graph=rows)
    assert (error.code, error.place) == ("recovered", f"$.graph.nodes[{loss.id}].inputs")
    kept = json.loads((tmp_path / "a.backstep.recovery.json").read_bytes())
    assert len(kept["graph"]["nodes"]) == len(recorded)
    assert not (tmp_path / "a.backstep").exists()


def test_faults_of_a_graph_have_their_places(tmp_path):
    nodes = [
        leaf("a"), leaf("a"), bare("b"), node("c", "tanh", "d"), node("d", "tanj", "a"),
        node("e", "tanh", "a", "a"), node("f", "sum", "a", attrs={"axes": 1}), node("g", "tanh", "d"),
        leaf("../h"),
    ]  # fmt: skip
    path = tmp_path / "bad.backstep"
    path.write_bytes(document(**graph(nodes, values={"unused": array()}, loss="nowhere")))
    found = [(error.place, error.code) for error in files.faults(path)]
    assert sorted(found) == [
        ("$.graph.loss", "bad_graph"),
        ("$.graph.nodes[1].id", "bad_graph"),
        ("$.graph.nodes[2].value", "bad_graph"),
        ("$.graph.nodes[3].inputs[0]", "bad_graph"),
        ("$.graph.nodes[4].op", "unknown_op"),
        ("$.graph.nodes[5].inputs", "bad_graph"),
        ("$.graph.nodes[6].attrs.axes", "bad_graph"),
        ("$.graph.nodes[8].id", "bad_graph"),
        ("$.graph.values.unused", "bad_graph"),
    ]


def test_attributes_of_one_node_say_nothing_about_another():
    nodes = [
        bare("a"),
        node("s", "sum", "a", attrs={"axis": 0}),
        node("0", "sum", "a"),
        node("t", "sum", "s"),
    ]
    rows = decode(document(**graph(nodes, values={"a": zeros(2, 3)})), "x").graph
    assert [value.shape for value in rows.build()[0].values] == [(2, 3), (3,), (), ()]


def test_a_broken_node_or_chapter_hides_no_other_fault(tmp_path):
    nodes = [leaf("0"), {"id": 3}, node("b", "tanj", "0"), node("c", "tanh", "a"), node("b", "tanh", "0")]
    chapters = [chapter(0), {"id": 1}, chapter(0), chapter(3, start=5, stop=2)]
    path = tmp_path / "bad.backstep"
    path.write_bytes(document(chapters=chapters, seed="x", **graph(nodes)))
    assert sorted(error.place for error in files.faults(path)) == [
        "$.chapters[1].id",
        "$.chapters[2].id",
        "$.chapters[3].start",
        "$.graph.nodes[1].id",
        "$.graph.nodes[2].op",
        "$.graph.nodes[4].id",
        "$.seed",
    ]


def test_one_change_of_a_graph_is_one_line():
    session = open_session("expression", formula="tanh(w*x + b)")
    rows = session.whole()
    other = whole.Whole((*rows.rows[:1], rows.rows[1]._replace(name="z"), *rows.rows[2:]), rows.loss)
    a, b = (encode(session.state, graph=g).splitlines() for g in (rows, other))
    assert sum(x != y for x, y in zip(a, b, strict=True)) == 1
