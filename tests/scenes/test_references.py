"""Losses and gradients of the recurrent scenes and the perceptron against PyTorch, within 1e-12."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from scenes import SCENES
from scenes.scene import Recording

REFERENCES = Path(__file__).parents[1] / "references"
TOLERANCE = 1e-12


def relative_error(got: Any, wanted: Any) -> float:
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


@pytest.mark.parametrize("scene", ["lstm", "bptt", "mlp"])
def test_equals_frozen_torch_values(scene: str) -> None:
    with np.load(REFERENCES / f"{scene}.npz") as file:
        frozen = {key: file[key] for key in file.files}
    cases = json.loads(str(frozen["cases"]))
    assert len(cases) >= 12
    for k, case in enumerate(cases):
        recording = SCENES[scene].build(case["values"], seed=case["seed"])
        sizes = [recording[name].size for name in case["leaves"]]
        values = np.concatenate([recording.value(name).ravel() for name in case["leaves"]])
        assert np.array_equal(values, frozen[f"value_{k}"]), "seeded values drifted; run make_recurrent.py"
        parts = np.split(frozen[f"grad_{k}"], np.cumsum(sizes)[:-1])
        shaped = {n: part.reshape(recording[n].shape) for n, part in zip(case["leaves"], parts, strict=True)}
        compare(recording, float(frozen["loss"][k]), shaped)


def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_recurrent", REFERENCES / "make_recurrent.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore")  # whatever another version of torch has to say
@pytest.mark.parametrize("scene", ["lstm", "bptt", "mlp"])
def test_equals_torch_live(scene: str) -> None:
    pytest.importorskip("torch")
    maker = _maker()
    for case in maker.cases(scene):
        recording = SCENES[scene].build(case["values"], seed=case["seed"] + 100)
        compare(recording, *maker.by_torch(case["network"], recording))
