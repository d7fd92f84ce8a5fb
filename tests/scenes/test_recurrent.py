"""What the proofs of the recurrent scenes are worth on drawn parameters, and how the scenes hang together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scenes import SCENES
from scenes.scene import Value
from tests.scenes.agreement import failing

NAMES = ("gru", "birnn", "bilstm", "deep-rnn", "rnn", "gated-units")
every_scene = pytest.mark.parametrize("name", NAMES)


def _drawn(name: str, rng: np.random.Generator) -> dict[str, Value]:
    """Parameters drawn independently: choices, switches, and small sizes."""
    values: dict[str, Value] = {}
    for p in SCENES[name].parameters:
        if p.type == "bool":
            values[p.name] = bool(rng.integers(2))
        elif p.type == "choice":
            values[p.name] = str(rng.choice(p.choices))
        elif p.type == "int":
            values[p.name] = int(rng.integers(1, 6))
    return values


@every_scene
def test_proofs_hold_for_drawn_parameters_and_edited_leaves(name: str) -> None:
    rng = np.random.default_rng(len(name))
    for _ in range(25):
        values = _drawn(name, rng)
        recording = SCENES[name].build(values, seed=int(rng.integers(100)))
        assert failing(recording) == [], values
        for leaf in recording.graph.leaves("parameter", "input", "target"):
            leaf.value = leaf.value + rng.normal(0.0, 0.3, leaf.shape)
        recording.graph.forward()
        recording.graph.backward(recording.loss)
        assert failing(recording) == [], values


# A weight's gradient of another leaf: each proof of gradients must notice
NOTICED = {
    "gru": {"W_r": "W-b", "b_z": "W-b", "U_r": "U", "U_h": "U", "h_0": "state-errors"},
    "birnn": {"WF": "weights", "WB": "weights", "bB": "weights", "W_out": "W_out", "x_1": "inputs"},
    "bilstm": {"WF_f": "weights", "UB_c": "weights", "bB_o": "weights", "x_3": "inputs"},
    "deep-rnn": {"W1_in": "weights", "W2": "weights", "b2": "weights", "W_out": "W_out", "c": "W_out"},
    "rnn": {"W_in": "weights", "W": "weights", "W_out": "weights", "b": "weights", "c": "weights"},
    "gated-units": {"W_u": "weights", "U_r": "weights", "b_f": "weights", "U_c": "weights"},
}


@every_scene
def test_a_wrong_gradient_fails_its_proof(name: str) -> None:
    for leaf, proof in NOTICED[name].items():
        recording = SCENES[name].build()
        recording.graph.grads[recording[leaf].id] = 1.001 * recording.grad(leaf)
        assert failing(recording) == [proof], leaf


@pytest.mark.parametrize("name", ["birnn", "bilstm"])
def test_two_directions_are_two_chains_that_do_not_touch(name: str) -> None:
    recording = SCENES[name].build({"T": 4})
    graph = recording.graph
    for node in graph.nodes:
        ways = {graph.scopes[i][1] for i in node.inputs if graph.scopes[i][0] == name and graph.ops[i]}
        if node.scope[:2] == (name, "forward"):
            assert ways <= {"forward"}
        elif node.scope[:2] == (name, "backward"):
            assert ways <= {"backward"}
    letter = "z" if name == "birnn" else "h"
    for mark, way in (("F", "forward"), ("B", "backward")):
        steps = [
            (node.scope[:2], node.time) for t in range(1, 5) for node in [recording[f"{letter}{mark}_{t}"]]
        ]
        assert steps == [((name, way), t) for t in range(1, 5)]
    assert recording["y_1"].scope == (name, "read-out")
    # the first output hears of the last input, and the last one of the first
    for seen, far in (("y_1", "x_4"), ("y_4", "x_1")):
        graph.backward(recording[seen], seed=np.ones(2))
        assert np.all(recording.grad(far) != 0.0)


def test_layers_share_time_steps() -> None:
    recording = SCENES["deep-rnn"].build({"layers": 3, "T": 2})
    for layer in (1, 2, 3):
        for t in (1, 2):
            node = recording[f"z{layer}_{t}"]
            assert (node.scope, node.time) == (("deep-rnn", f"layer {layer}"), t)


def test_state_of_the_gru_is_a_straight_chain_outside_of_the_gates() -> None:
    for keep in ("z", "1-z"):
        recording = SCENES["gru"].build({"T": 2, "keep": keep})
        graph = recording.graph
        for t in (1, 2):
            add, product = recording[f"h_{t}"], recording[f"keep_{t}"]
            assert (add.op, add.scope, add.inputs[0]) == ("add", ("gru",), product.id)
            assert (product.op, product.scope) == ("multiply", ("gru",))
            assert graph.names[product.inputs[1]] == f"h_{t - 1}"


def test_conventions_and_reset_places_differ() -> None:
    losses: set[Any] = {
        float(SCENES["gru"].build({"keep": keep, "reset": reset}).loss.value)
        for keep in ("z", "1-z")
        for reset in ("before", "after")
    }
    assert len(losses) == 4
