"""Trace files: the format that other programs read, and what must hold of the numbers in it."""

import json

import numpy as np
import pytest

import autograd as ag
from autograd import Graph, Trace, tensor
from explorer.model import traces
from scenes import SCENES
from scenes.scene import Recording, SceneError


@pytest.fixture(scope="module", params=[("lstm", False), ("lstm", True), ("mlp", False), ("bptt", False)])
def recording(request) -> Recording:
    name, scalar = request.param
    return SCENES[name].build({"T": 2} if name != "mlp" else {}, seed=3, scalar=scalar)


def test_json_round_trip(recording, tmp_path):
    trace = recording.trace()
    file = tmp_path / "a.json"
    traces.save(recording, trace, file)
    read = json.loads(file.read_text("utf-8"))
    assert read == traces.document(recording, trace)
    assert (read["format"], read["version"]) == ("backstep-trace", 1)
    assert (read["scene"], read["seed"], read["scalar"]) == (recording.scene.id, 3, recording.scalar)
    assert read["parameters"] == recording.parameters
    assert read["loss"] == recording.loss.id
    for i, node in enumerate(read["nodes"]):
        assert node["id"] == i
        assert np.array_equal(node["value"], trace.values[i])  # every bit survives
        assert list(np.shape(node["value"])) == node["shape"]
        assert len(node["contributions"]) == len(node["inputs"])
        if trace.grads[i] is None:
            assert node["grad"] is None
        else:
            assert np.array_equal(node["grad"], trace.grads[i])


def test_contributions_of_the_outgoing_edges_add_up_to_the_gradient(recording):
    read = traces.document(recording, recording.trace())
    arrived = [np.zeros(node["shape"]) for node in read["nodes"]]
    arrived[read["loss"]] += 1.0
    for node in read["nodes"]:
        for j, sent in zip(node["inputs"], node["contributions"], strict=True):
            if sent is not None:
                arrived[j] = arrived[j] + np.array(sent)
    checked = 0
    for node in read["nodes"]:
        if node["grad"] is not None:
            np.testing.assert_allclose(node["grad"], arrived[node["id"]], rtol=1e-12, atol=1e-15)
            checked += 1
    assert checked > 10


def test_npz_round_trip(recording, tmp_path):
    trace = recording.trace()
    file = tmp_path / "a.npz"
    traces.save(recording, trace, file)
    with np.load(file, allow_pickle=False) as read:
        head = json.loads(str(read["trace"]))
        whole = traces.document(recording, trace)
        assert {k: v for k, v in head.items() if k != "nodes"} == {
            k: v for k, v in whole.items() if k != "nodes"
        }
        assert len(head["nodes"]) == len(whole["nodes"])
        for node in head["nodes"]:
            i = node["id"]
            assert np.array_equal(read[f"value_{i}"], trace.values[i])
            assert (f"grad_{i}" in read) == (trace.grads[i] is not None)
            for k, sent in enumerate(trace.contributions[i]):
                assert (f"contribution_{i}_{k}" in read) == (sent is not None)
                if sent is not None:
                    assert np.array_equal(read[f"contribution_{i}_{k}"], sent)


def test_names_of_the_catalogue(recording):
    names = {node["name"] for node in traces.document(recording, recording.trace())["nodes"]}
    if recording.scene.id == "lstm" and not recording.scalar:
        assert {"W_f", "U_f", "b_f", "x_1", "d_2", "c_2", "h_1"} <= names


def test_what_json_has_no_number_for(tmp_path):
    with np.errstate(all="ignore"), Graph() as graph:
        x = tensor([-1.0, 0.0, 2.0], name="x", kind="input")
        loss = ag.sum(ag.log(x))
        loss.backward()
    recording = Recording(SCENES["mlp"], {}, 0, False, graph, loss)
    file = tmp_path / "a.json"
    traces.save(recording, Trace(graph, loss), file)
    nodes = json.loads(file.read_text("utf-8"), parse_constant=pytest.fail)["nodes"]
    logs = next(n for n in nodes if n["op"] == "log")
    assert logs["value"][:2] == ["nan", "-inf"]
    assert nodes[0]["grad"][1] == "inf"
    assert nodes[-1]["value"] == "nan"


def test_attributes_are_plain():
    assert traces.plain(slice(1, None, 2)) == {"slice": [1, None, 2]}
    assert traces.plain((0, [np.int64(1)], slice(None))) == [0, [1], {"slice": [None, None, None]}]
    assert traces.plain(np.array([[1.0, np.nan]])) == [[1.0, "nan"]]
    assert traces.plain(np.array([True])) == [True]
    assert traces.plain({"a": float("inf"), "b": None}) == {"a": "inf", "b": None}
    json.dumps(traces.plain([np.float64(0.5), np.bool_(True), Ellipsis, int]), allow_nan=False)


def test_other_endings_are_refused(recording, tmp_path):
    with pytest.raises(SceneError, match=r"\.json, \.npz"):
        traces.save(recording, recording.trace(), tmp_path / "a.csv")
    assert not list(tmp_path.iterdir())
