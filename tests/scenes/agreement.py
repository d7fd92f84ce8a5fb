"""What a scene has to agree with: numbers that PyTorch worked out, its own proofs, its own scalar form.

Knows how `tests/references` keeps its cases, and how near is near enough; nothing of any one scene.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from scenes import SCENES
from scenes.scene import Recording, Value

REFERENCES = Path(__file__).parents[1] / "references"
TOLERANCE = 1e-12


def relative_error(got: Any, wanted: Any) -> float:
    """max|a − b| / max|b|."""
    scale = max(float(np.max(np.abs(wanted), initial=0.0)), 1e-300)
    return float(np.max(np.abs(np.asarray(got) - wanted), initial=0.0)) / scale


def compare(recording: Recording, loss: float, grads: dict[str, np.ndarray]) -> None:
    """Norm-wise, leaf by leaf; an all but zero gradient is measured against the largest one."""
    assert relative_error(recording.loss.value, loss) <= TOLERANCE
    assert set(grads) == {leaf.name for leaf in recording.graph.leaves("parameter", "input")}
    largest = max(float(np.max(np.abs(g))) for g in grads.values())
    for name, wanted in grads.items():
        error = float(np.max(np.abs(recording.grad(name) - wanted)))
        scale = max(float(np.max(np.abs(wanted))), 1e-3 * largest)
        assert error <= TOLERANCE * scale, name


def arrays(file: str) -> dict[str, np.ndarray]:
    """All that is kept in a file of `tests/references`."""
    with np.load(REFERENCES / f"{file}.npz") as kept:
        return dict(kept)


def frozen(
    file: str, drift: float = 0.0
) -> Iterator[tuple[dict[str, Any], Recording, float, dict[str, np.ndarray]]]:
    """Of each case in a file: what was asked for, our recording of it, torch's loss and its gradients.

    A file is that of a scene unless its cases name theirs. Seeded values may have moved by `drift`.
    """
    kept = arrays(file)
    for k, case in enumerate(json.loads(str(kept["cases"]))):
        recording = SCENES[case.get("scene", file)].build(case["values"], seed=case["seed"])
        leaves = [recording[name] for name in case["leaves"]]
        values = np.concatenate([leaf.value.ravel() for leaf in leaves])
        assert np.allclose(values, kept[f"value_{k}"], rtol=0, atol=drift), "seeded values drifted: make anew"
        parts = np.split(kept[f"grad_{k}"], np.cumsum([leaf.size for leaf in leaves])[:-1])
        grads = {leaf.name: part.reshape(leaf.shape) for leaf, part in zip(leaves, parts, strict=True)}
        yield case, recording, float(kept["loss"][k]), grads


def compare_frozen(file: str, drift: float = 0.0) -> list[dict[str, Any]]:
    """Compares every case of a file; returns the cases, so that a test can say what they have to cover."""
    cases = []
    for case, recording, loss, grads in frozen(file, drift):
        compare(recording, loss, grads)
        cases.append(case)
    return cases


# Another version of torch may have something to say.
live = pytest.mark.filterwarnings("ignore")


def maker(name: str) -> ModuleType:
    """The script that made references, to ask it for others; the test is skipped where there is no torch."""
    pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location(name, REFERENCES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def failing(recording: Recording) -> list[str]:
    """The proofs that do not hold."""
    found = []
    for proof in recording.scene.proofs:
        got, wanted = (np.asarray(x) for x in proof.compute(recording))
        assert got.shape == wanted.shape, proof.id
        assert got.size, proof.id
        right = relative_error(got, wanted) <= 1e-9 and (not proof.exact or np.array_equal(got, wanted))
        found += [] if right else [proof.id]
    return found


def typed(scene: str, values: dict[str, Value]) -> Recording:
    """A scene with other numbers in its leaves, as someone may type them."""
    recording = SCENES[scene].build(values, seed=2)
    rng = np.random.default_rng(7)
    for leaf in recording.graph.leaves("parameter", "input"):
        leaf.value = leaf.value + 0.3 * rng.normal(size=leaf.shape)
    recording.graph.forward()
    recording.graph.backward(recording.loss)
    return recording


def a_thousandth_off(scene: str) -> Recording:
    """A scene with gradients that are that much too large."""
    recording = SCENES[scene].build(seed=2)
    recording.graph.backward(recording.loss, seed=np.full(recording.loss.shape, 1.001))
    return recording


def compare_scalar(whole: Recording, scalar: Recording) -> None:
    """The scalar form has the same loss, values and gradients, element by element."""
    assert relative_error(scalar.loss.value, whole.loss.value) <= TOLERANCE
    assert all(node.size == 1 for node in scalar.graph.nodes)
    for leaf in whole.graph.leaves("parameter", "input"):
        value, grad = np.empty(leaf.shape), np.empty(leaf.shape)
        for index in np.ndindex(leaf.shape):
            element = scalar[f"{leaf.name}[{','.join(map(str, index))}]" if index else leaf.name]
            assert element.grad is not None
            value[index], grad[index] = element.value, element.grad
        assert np.array_equal(value, leaf.value)
        assert relative_error(grad, leaf.grad) <= TOLERANCE, leaf.name
