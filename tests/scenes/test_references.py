"""Losses and gradients of the recurrent scenes and the perceptron against PyTorch, within 1e-12."""

from __future__ import annotations

import pytest

from scenes import SCENES
from tests.scenes.agreement import compare, compare_frozen, live, maker

# The numbers of steps that each was asked at
STEPS: dict[str, set[int | None]] = {
    **{scene: {1, 3, 7} for scene in ("lstm", "bptt")},
    **{scene: {1, 2, 10} for scene in ("gru", "birnn", "bilstm", "deep-rnn", "rnn", "gated-units")},
    "mlp": {None},
}


@pytest.mark.parametrize("scene", STEPS)
def test_equals_frozen_torch_values(scene: str) -> None:
    cases = compare_frozen(scene)
    assert len(cases) >= 12
    assert {case["values"].get("T") for case in cases} == STEPS[scene]
    assert len({case["seed"] for case in cases}) >= (3 if scene == "mlp" else 4)


@live
@pytest.mark.parametrize("scene", STEPS)
def test_equals_torch_live(scene: str) -> None:
    torch = maker("make_recurrent")
    for case in torch.cases(scene):
        recording = SCENES[scene].build(case["values"], seed=case["seed"] + 100)
        compare(recording, *torch.by_torch(case["network"], recording))
