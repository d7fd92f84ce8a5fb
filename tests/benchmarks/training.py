"""Training as the window does it: how long, and how good what was learned is. Seeds are fixed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

from explorer.model.state import Recipe
from explorer.model.training import Training
from scenes.scene import find_scene
from tests.benchmarks.measure import Row

MEMORY = {"T": 50, "hidden": 16, "batch": 32, "symbols": 4}
ADAM = Recipe(optimizer="adam", lr=0.01)
CLIPPED = Recipe(optimizer="adam", lr=0.01, clip=1.0)


def run(quick: bool) -> Iterator[Row]:
    """All rows of this suite."""
    moons = {"data": "moons", "units": 16, "layers": 2, "batch": 16}
    took, trained = _trained("mlp", moons, ADAM, 50 if quick else 500)
    if not quick:
        yield Row("training.mlp_moons.500_epochs", took, "s", limit=5)
    yield Row("training.mlp_moons.wrong", _wrong(trained), "of held-out examples", limit=0.1)
    digits = {"data": "digits", "units": 16, "layers": 2, "batch": 16}
    took, trained = _trained("mlp", digits, ADAM, 30)
    yield Row("training.mlp_digits.30_epochs", took, "s", limit=30)
    yield Row("training.mlp_digits.wrong", _wrong(trained), "of held-out examples", limit=0.1)
    if quick:
        return
    took, trained = _trained("memory", MEMORY | {"cell": "lstm", "forget_bias": 5.0}, CLIPPED, 8)
    yield Row("training.memory_T50_lstm.8_epochs", took, "s", limit=120)
    yield Row("training.memory_T50_lstm.wrong", _wrong(trained), "of held-out examples", limit=0.05)
    took, trained = _trained("memory", MEMORY | {"cell": "rnn"}, CLIPPED, 20)
    yield Row("training.memory_T50_rnn.20_epochs", took, "s", limit=120)
    # the other way round: as much as by chance, three of four
    chance = abs(_wrong(trained) - 0.75)
    yield Row("training.memory_T50_rnn.off_chance", chance, "of held-out examples", limit=0.1)


def _trained(id: str, parameters: dict[str, Any], recipe: Recipe, epochs: int) -> tuple[float, Training]:
    """CPU seconds, and the training at its end."""
    training = Training(find_scene(id).build(parameters), recipe)
    start = time.process_time()
    training.run(epochs)
    return time.process_time() - start, training


def _wrong(training: Training) -> float:
    score = training.curves[-1].validation_score
    return math.nan if math.isnan(score) else 1.0 - score
