"""Scene files: saving and opening one with a megabyte of arrays."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from explorer.model.files import load, save
from explorer.model.session import State
from scenes.scene import find_scene
from tests.benchmarks.measure import Row, medians


def run(quick: bool) -> Iterator[Row]:
    """All rows of this suite."""
    rng = np.random.default_rng(0)
    scene = find_scene("lstm")
    edits = {f"leaf_{k}": rng.normal(size=(128, 128)) for k in range(8)}  # 8 × 131 kB
    state = State(scene="lstm", parameters=scene.check({"T": 50, "hidden": 32, "inputs": 16}), edits=edits)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.backstep"
        save(path, state)
        yield Row("files.size", path.stat().st_size / 1e6, "MB")
        jobs = {"save": lambda: save(path, state), "open": lambda: load(path)}
        seconds = 1.0 if quick else 5.0
        cpu = medians(jobs, seconds)
        wall = medians(jobs, seconds, clock=time.perf_counter)
    for name, limit in (("save", 50), ("open", 100)):
        yield Row(f"files.{name}.cpu", cpu[name] * 1e3, "ms", limit=limit)
        yield Row(f"files.{name}.wall", wall[name] * 1e3, "ms")
