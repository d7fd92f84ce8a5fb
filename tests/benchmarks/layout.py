"""The layout: the first one and folding, against Graphviz dot where pygraphviz is installed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from explorer.model.layout import Layout, Topology, lay_out, rows
from scenes.scene import Recording, find_scene
from tests.benchmarks.measure import Job, Row, cpu_with_children, medians, peer

CASES: tuple[tuple[str, dict[str, Any], bool], ...] = (
    ("lstm", {"T": 5}, False),
    ("lstm", {"T": 50}, False),
    ("bptt", {"T": 50}, False),
    ("bptt", {"T": 10, "hidden": 8, "inputs": 4, "outputs": 4}, True),
)


def run(quick: bool) -> Iterator[Row]:
    """All rows of this suite."""
    for id, parameters, scalar in CASES[: 3 if quick else None]:
        yield from _case(id, parameters, scalar, 0.6 if quick else 5.0)


def _case(id: str, parameters: dict[str, Any], scalar: bool, seconds: float) -> Iterator[Row]:
    recording = find_scene(id).build(parameters, scalar=scalar)
    topology = Topology(recording.graph, recording.loss.id)
    boxes = len(lay_out(topology).boxes)
    name = f"layout.{id}_T{parameters['T']}" + ("_scalar" if scalar else "")
    jobs: dict[str, Job] = {"first": lambda: _first(recording)}
    dot = peer("pygraphviz")
    if dot is not None:
        jobs["dot"] = lambda: _with_dot(dot, recording)
    took = medians(jobs, seconds, least=2, clock=cpu_with_children)
    theirs = took["dot"] * 1e3 if "dot" in took else None
    limit = 0.02 if boxes >= 10_000 else 0.5
    yield Row(f"{name}.boxes", boxes, "boxes")
    yield Row(f"{name}.first", took["first"] * 1e3, "ms", "dot", theirs, limit, relative=True)
    # Another scope each time, so that not everything is answered from memory.
    scopes = itertools.cycle(sorted(topology.scopes))
    refold = medians({"refold": lambda: lay_out(topology, frozenset({next(scopes)}))}, seconds, least=2)
    yield Row(f"{name}.refold", refold["refold"] * 1e3, "ms", limit=50 if boxes <= 10_000 else 200)


def _first(recording: Recording) -> Layout:
    """From nothing: a template that an earlier round has solved must not help."""
    rows._solve.cache_clear()
    return lay_out(Topology(recording.graph, recording.loss.id))


def _with_dot(pygraphviz: Any, recording: Recording) -> None:
    """The same graph from left to right, each parameter once for every use, as we draw it."""
    graph = recording.graph
    drawing = pygraphviz.AGraph(directed=True, rankdir="LR")
    drawing.node_attr.update(shape="box", width="0.9", height="0.5", fixedsize="true")
    for node, inputs in enumerate(graph.inputs):
        if graph.kinds[node] != "parameter":
            drawing.add_node(node)
        for j in inputs:
            drawing.add_edge(f"{j} for {node}" if graph.kinds[j] == "parameter" else j, node)
    drawing.layout(prog="dot")
