"""Scene files: saving and opening 10,000 nodes with a megabyte of arrays.

For scale, Python's own json does the same with the same content, but for everything that makes it safe: it
checks nothing, keeps no old file, and decodes no arrays.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import autograd as ag
from explorer.model.files import load, save
from explorer.model.state import State
from explorer.model.whole import OWN, Whole
from tests.benchmarks.measure import Row, medians

NODES = 10_000


def recorded() -> Whole:
    """A chain of named nodes in scopes and time steps, over a megabyte of numbers."""
    rng = np.random.default_rng(0)
    with ag.Graph() as graph:
        many = [ag.tensor(rng.normal(size=(128, 128)), name=f"W_{k}") for k in range(8)]  # 8 × 131 kB
        h = ag.sum(ag.stack(many))
        k = 0
        while len(graph) < NODES:
            with ag.scope("layer"), ag.at_time(k // 100):
                weight = ag.tensor(rng.normal(), name=f"w_{k}")
                h = ag.tanh(h * weight + 1.0).named(f"h_{k}")
            k += 1
    return Whole.of(graph, h.id, graph.values)


def write_json(path: Path, content: object) -> None:
    """As most programs save."""
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(content))
        file.flush()
        os.fsync(file.fileno())


def run(quick: bool) -> Iterator[Row]:
    """All rows of this suite."""
    graph = recorded()
    state = State(scene=OWN, folded=frozenset({"layer"}))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.backstep"
        save(path, state, graph=graph)
        yield Row("files.size", path.stat().st_size / 1e6, "MB")
        yield Row("files.nodes", len(graph.rows), "nodes")
        other = Path(folder) / "bench.json"
        content = json.loads(path.read_bytes())
        jobs = {
            "save": lambda: save(path, state, graph=graph),
            "json save": lambda: write_json(other, content),
            "open": lambda: load(path),
            "json open": lambda: json.loads(other.read_bytes()),
        }
        seconds = 1.0 if quick else 5.0
        cpu = medians(jobs, seconds)
        wall = medians(jobs, seconds, clock=time.perf_counter)
        build = medians({"build": lambda: graph.build()}, seconds)
    for name, limit in (("save", 50), ("open", 100)):
        peer = f"json {name}"
        yield Row(f"files.{name}.cpu", cpu[name] * 1e3, "ms", "json", cpu[peer] * 1e3, limit)
        yield Row(f"files.{name}.wall", wall[name] * 1e3, "ms", "json", wall[peer] * 1e3)
    yield Row("files.build.cpu", build["build"] * 1e3, "ms")
