"""Every recurrent scene at 1, 2, 10 and 50 steps and 20 seeds against PyTorch, within 1e-12."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest

from scenes import SCENES
from scenes.scene import Recording
from tests.scenes.agreement import TOLERANCE, arrays, compare, live, maker

NAMES = sorted(s.id for s in SCENES.values() if s.family == "recurrent")
SHORTEST = {"vanishing-gradient": 2, "gradient-clipping": 2, "memory": 2}
LONGEST = {"ngram": 30}  # as long as the parameter allows
SEEDS = 20
every_scene = pytest.mark.parametrize("name", NAMES)


@cache
def frozen() -> tuple[list[dict[str, Any]], np.ndarray, list[np.ndarray]]:
    """The cases, the directions along which gradients are kept, and of each case a row for every seed."""
    kept = arrays("lengths")
    cases = json.loads(str(kept["cases"]))
    return cases, kept["directions"], [kept[f"rows_{k}"] for k in range(len(cases))]


def cancels(recording: Recording) -> bool:
    """Whether a gradient may be a difference of equal numbers, of which rounding is all that is left.

    1 − tanh² of a memory that only grows; a smoothing that does not matter where nothing was counted.
    """
    return recording.scene.id == "ngram" or recording.parameters.get("stage") == "cec"


def worst(recording: Recording, leaves: list[tuple[str, int]], row: np.ndarray) -> tuple[float, str]:
    """The largest error of a leaf's gradient and which leaf it is.

    Relative to that gradient, however small: after 50 steps half of them are below 1e-8 of the largest.
    `row` has the loss, a number that tells seeded values apart, then the numbers kept of each leaf.
    """
    _, directions, _ = frozen()
    drawn = sum(directions[0, : leaf.size] @ leaf.value.ravel() for leaf in recording.graph.leaves())
    # what comes from a QR decomposition may differ in its last bits
    assert drawn == pytest.approx(row[1], rel=1e-12), "seeded values drifted; run make_lengths.py"
    loss = float(recording.loss.value)  # positive in all of these scenes
    found = [(abs(loss - row[0]) / loss, "loss")]
    largest = max(loss, *(float(np.max(np.abs(recording.grad(name)))) for name, _ in leaves))
    least = 1e-3 * largest if cancels(recording) else 1e-300
    parts = np.split(row[2:], np.cumsum([kept for _, kept in leaves])[:-1])
    for (name, kept), wanted in zip(leaves, parts, strict=True):
        grad = recording.grad(name).ravel()
        error = float(np.max(np.abs(directions[:kept, : grad.size] @ grad - wanted)))
        found.append((error / max(float(np.max(np.abs(grad))), least), name))
    return max(found)


@every_scene
def test_gradients_of_every_length_equal_frozen_torch_values(name: str) -> None:
    cases, _, rows = frozen()
    lengths = set()
    for case, of_seeds in zip(cases, rows, strict=True):
        if case["scene"] != name:
            continue
        lengths.add(case["values"]["T"])
        assert len(of_seeds) == SEEDS
        for seed, row in enumerate(of_seeds):
            recording = SCENES[name].build(case["values"], seed=seed)
            assert {leaf for leaf, _ in case["leaves"]} == {
                leaf.name for leaf in recording.graph.leaves("parameter", "input")
            }
            error, where = worst(recording, case["leaves"], row)
            assert error <= TOLERANCE, (case["values"], seed, where)
    assert lengths == {max(1, SHORTEST.get(name, 1)), 2, 10, LONGEST.get(name, 50)}


def test_an_error_in_a_vanished_gradient_is_noticed() -> None:
    cases, _, rows = frozen()
    wanted = {"T": 50, "task": "adding", "cell": "rnn"}
    k = next(
        k for k, c in enumerate(cases) if c["scene"] == "memory" and wanted.items() <= c["values"].items()
    )
    recording = SCENES["memory"].build(cases[k]["values"])
    assert np.max(np.abs(recording.grad("x_1"))) < 1e-12
    assert worst(recording, cases[k]["leaves"], rows[k][0])[0] <= TOLERANCE
    recording.graph.grads[recording["x_1"].id] = (1 + 1e-10) * recording.grad("x_1")
    error, where = worst(recording, cases[k]["leaves"], rows[k][0])
    assert where == "x_1"
    assert error > 10 * TOLERANCE


@live
@every_scene
def test_every_element_equals_torch_live(name: str) -> None:
    torch = maker("make_lengths")
    for case in torch.cases(name):
        recording = SCENES[name].build(case["values"], seed=100)
        compare(recording, *torch.by_torch(case["network"], recording))
