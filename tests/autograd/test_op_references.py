"""Values and gradients of the operations next to PyTorch's, frozen by `tests/references/make_ops.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd as ag
from autograd import OPS, Graph, tensor
from autograd.ops import record

FILE = Path(__file__).parents[1] / "references" / "ops.npz"
TOLERANCE = 1e-10  # relative to the largest number of an array
# ops of the engine's own making, without a counterpart
ALONE = {
    "add_n", "half_squared_error", "stop_gradient", "clamp", "greater", "less", "greater_equal", "less_equal",
}  # fmt: skip


def _cases() -> list[Any]:
    """Each case with its arrays: inputs, weights, value, gradients."""
    with np.load(FILE) as file:
        listed, numbers = json.loads(file["cases"].tobytes()), file["numbers"]
    found, at = [], 0

    def take(shape: list[int]) -> np.ndarray:
        nonlocal at
        size = int(np.prod(shape, dtype=int))
        at += size
        return numbers[at - size : at].reshape(shape)

    for k, case in enumerate(listed):
        case["inputs"] = [take(s) for s in case["shapes"]]
        case["weights"], case["value"] = take(case["out"]), take(case["out"])
        case["grads"] = [take(s) for i, s in enumerate(case["shapes"]) if i not in case["plain"]]
        found.append(pytest.param(case, id=f"{case['op']}-{k}"))
    assert at == numbers.size
    return found


CASES = _cases()


def as_numpy(name: str, value: Any) -> Any:
    """An attribute read from JSON: axes and sizes are tuples, and so is an index with its arrays."""
    if name == "index":
        return tuple(np.array(part) if isinstance(part, list) else part for part in value)
    return tuple(value) if isinstance(value, list) and name != "indices" else value


def difference(got: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference in units of the largest number; what is not finite must be the same."""
    assert got.shape == wanted.shape
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(got[~finite], wanted[~finite])
    scale = float(np.max(np.abs(wanted[finite]), initial=0.0)) or 1.0
    return float(np.max(np.abs(got - wanted)[finite], initial=0.0)) / scale


def recorded(case: dict[str, Any]) -> tuple[list[Any], Any, Any]:
    """Leaves, result and the scalar that was differentiated."""
    op = OPS[case["op"]]
    attrs = {name: as_numpy(name, value) for name, value in case["attrs"].items()}
    with Graph():
        leaves = [
            tensor(x, name=f"in_{k}", kind="target" if k in case["plain"] else "parameter")
            for k, x in enumerate(case["inputs"])
        ]
        y = record(op, leaves, op.defaults | attrs)
        return leaves, y, ag.sum(y * case["weights"])


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradients_are_those_of_torch(case: dict[str, Any]) -> None:
    leaves, y, loss = recorded(case)
    loss.backward()  # with nothing to differentiate by, the value alone is compared
    assert difference(y.value, case["value"]) <= TOLERANCE
    grads = [leaf.grad for leaf in leaves if leaf.kind == "parameter"]
    for grad, wanted in zip(grads, case["grads"], strict=True):
        assert difference(grad, wanted) <= TOLERANCE


def test_every_op_with_a_counterpart_is_compared() -> None:
    assert {case.values[0]["op"] for case in CASES} == OPS.keys() - ALONE


def test_the_file_is_small() -> None:
    assert FILE.stat().st_size < 400_000
