"""The layout: how fast the first one and folding are and what the picture is like, against Graphviz dot.

dot gets the boxes and edges of our own picture, drawn from left to right; its edges are its default splines,
sampled to polylines. It is compared with where pygraphviz, which brings dot along, is installed.
"""

from __future__ import annotations

import itertools
import math
import multiprocessing
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

import numpy as np

from explorer.model.layout import Layout, Topology, lay_out
from scenes.scene import find_scene
from tests import layout_metrics
from tests.benchmarks import generators
from tests.benchmarks.crossings import Lines, coinciding_runs, crossing_points, mean_length
from tests.benchmarks.generators import Recorded
from tests.benchmarks.measure import Job, Row, medians, peer

SIZES = {"1k": 25, "10k": 256, "50k": 1281}  # LSTM steps that have as many boxes
SCENES: tuple[tuple[str, dict[str, Any], bool], ...] = (
    ("lstm", {"T": 5}, False),
    ("lstm", {"T": 50}, False),
    ("bptt", {"T": 50}, False),
    ("bptt", {"T": 10, "hidden": 8, "inputs": 4, "outputs": 4}, True),
)
# the picture, and how many of dot's crossing points it may have
PICTURES: dict[str, tuple[Callable[[], Recorded], float]] = {
    "lstm_T10": (partial(generators.lstm, 10), 0.5),
    "bilstm_T5": (partial(generators.bilstm, 5), 0.4),
    "seq2seq_6x6": (partial(generators.seq2seq, 6, 6), 0.6),
    "mlp_12_24_24_10": (partial(generators.mlp, (12, 24, 24, 10), flat=False), 1.0),
}
CURVE = np.linspace(0, 1, 9)[1:]  # where a spline of dot's is sampled


def run(quick: bool) -> Iterator[Row]:
    """All rows of this suite."""
    seconds = 1.0 if quick else 10.0
    for name, (record, limit) in PICTURES.items():
        yield from _picture(f"layout.{name}", record, limit)
    yield from _picture("layout.lstm_T10_once", PICTURES["lstm_T10"][0], 1.0, once=True)
    yield from _sizes(seconds, ("1k", "10k") if quick else tuple(SIZES))
    yield from _attention(seconds / 5)
    yield from _alone("layout.mlp_flat", partial(generators.mlp, generators.MLP, flat=True), 300)
    if not quick:
        yield from _alone("layout.bilstm_50k", partial(generators.bilstm, 649), 1500)
        yield from _alone("layout.lstm_50k_once", partial(generators.lstm, 1851), 1500, once=True)
    for id, parameters, scalar in SCENES[: 2 if quick else None]:
        name = f"layout.{id}_T{parameters['T']}" + ("_scalar" if scalar else "")
        yield from _scene(name, _recorded_scene(id, parameters, scalar), seconds / 5)


# Speed


def _sizes(seconds: float, sizes: tuple[str, ...]) -> Iterator[Row]:
    """LSTMs with everything open. The large ones have rounds of their own: they leave cold caches behind."""
    recorded = {size: generators.lstm(SIZES[size]) for size in sizes}
    jobs: dict[str, Job] = {size: partial(_first, graph) for size, graph in recorded.items()}
    layouts = {size: job() for size, job in jobs.items()}
    small = {"1k": jobs.pop("1k")}
    dot = peer("pygraphviz")
    if dot is not None:
        small["dot"] = partial(_dot, dot, _as_dot(layouts["1k"]))
    rounds = medians(small, seconds / 5, least=3) | medians(jobs, seconds, least=3)
    took = {name: s * 1e3 for name, s in rounds.items()}
    theirs = {"1k": took.get("dot")}
    if dot is not None and len(sizes) > 2:  # half a minute, so once, and in reach of a limit
        theirs["10k"] = _in_own_process(_seconds_of_dot, _as_dot(layouts["10k"]), patience=150) * 1e3
    folds: dict[str, Job] = {}
    for size, layout in layouts.items():
        gates = itertools.cycle(f"lstm/t={t}/forget" for t in range(1, SIZES[size] + 1))
        folds[size] = partial(_fold_next, layout.topology, gates)
    refolded = medians(folds, seconds / 2, least=3)
    for size, layout in layouts.items():
        name = f"layout.lstm_{size}"
        yield Row(f"{name}.boxes", len(layout.boxes), "boxes")
        if size == "50k":
            yield Row(f"{name}.first", took[size], "ms", limit=1000)
        else:
            ratio = {"1k": 0.5, "10k": 0.02}[size]
            yield Row(f"{name}.first", took[size], "ms", "dot", theirs.get(size), ratio, relative=True)
        yield Row(f"{name}.refold", refolded[size] * 1e3, "ms", limit=200 if size == "50k" else 50)
    if "50k" in took:
        yield Row("layout.lstm.50k_to_10k", took["50k"] / took["10k"], "times", limit=6)


def _fold_next(topology: Topology, scopes: Iterator[str]) -> Layout:
    """Another scope each time, so that not everything is answered from memory."""
    return lay_out(topology, frozenset({next(scopes)}))


def _attention(seconds: float) -> Iterator[Row]:
    """Every step of the decoder looks at every step of the encoder."""
    name, recorded = "layout.attention_20x20", generators.seq2seq(20, 20)
    job = partial(_first, recorded)
    layout = job()
    yield Row(f"{name}.edges", len(layout.edges), "edges")
    yield Row(f"{name}.first", medians({"first": job}, seconds, least=3)["first"] * 1e3, "ms", limit=200)
    yield Row(f"{name}.crossing_points", crossing_points(Lines.of_layout(layout)), "points", limit=1500)


def _alone(name: str, record: Callable[[], Recorded], limit: float, *, once: bool = False) -> Iterator[Row]:
    """A graph so large that a slow layout must not hold up everything; inf if it takes too long."""
    graph, _ = record()
    yield Row(f"{name}.graph_edges", sum(map(len, graph.inputs)), "edges")
    took = _in_own_process(partial(_seconds_of_first, once=once), record, patience=40)
    yield Row(f"{name}.first", took * 1e3, "ms", limit=limit)


def _scene(name: str, recorded: Recorded, seconds: float) -> Iterator[Row]:
    """A scene as users see it, with everything open."""
    jobs: dict[str, Job] = {"first": partial(_first, recorded)}
    layout = _first(recorded)
    boxes = len(layout.boxes)
    dot = peer("pygraphviz") if boxes < 300 else None  # minutes in larger ones, for the loss reads every step
    if dot is not None:
        jobs["dot"] = partial(_dot, dot, _as_dot(layout))
    took = {job: s * 1e3 for job, s in medians(jobs, seconds, least=3).items()}
    yield Row(f"{name}.boxes", boxes, "boxes")
    if boxes < 300:
        yield Row(f"{name}.first", took["first"], "ms", "dot", took.get("dot"), 0.5, relative=True)
    else:
        yield Row(f"{name}.first", took["first"], "ms")
    scopes = itertools.cycle(sorted(layout.topology.scopes))
    refold = medians({"refold": partial(_fold_next, layout.topology, scopes)}, seconds, least=3)["refold"]
    yield Row(f"{name}.refold", refold * 1e3, "ms", limit=50)


def _recorded_scene(id: str, parameters: dict[str, Any], scalar: bool) -> Recorded:
    recording = find_scene(id).build(parameters, scalar=scalar)
    return recording.graph, recording.loss


def _first(recorded: Recorded, *, once: bool = False) -> Layout:
    """From nothing: what an earlier round has found out must not help."""
    modules = [m for name, m in sys.modules.items() if name.startswith("explorer.model.layout.")]
    for module in modules:
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
    graph, loss = recorded
    return lay_out(Topology(graph, loss.id, once=once))


def _seconds_of_first(record: Callable[[], Recorded], *, once: bool) -> float:
    return medians({"first": partial(_first, record(), once=once)}, 0.0, least=2)["first"]


def _seconds_of_dot(text: str) -> float:
    dot = peer("pygraphviz")
    assert dot is not None
    start = time.process_time()
    _dot(dot, text)
    return time.process_time() - start


def _in_own_process(measured: Callable[[Any], float], argument: Any, *, patience: float) -> float:
    """CPU seconds that a function has measured; infinite if it is not done in `patience` seconds."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(there, measured, argument))
    process.start()
    there.close()
    try:
        return float(here.recv()) if here.poll(patience) else math.inf
    finally:
        process.kill()
        process.join()


def _send(connection: Connection, measured: Callable[[Any], float], argument: Any) -> None:
    connection.send(measured(argument))


# The picture


def _picture(name: str, record: Callable[[], Recorded], limit: float, *, once: bool = False) -> Iterator[Row]:
    """What is wrong with a picture with everything open, and how tangled it is."""
    layout = _first(record(), once=once)
    lines, theirs = Lines.of_layout(layout), None
    dot = peer("pygraphviz")
    if dot is not None:
        theirs = _lines_of_dot(_dot(dot, _as_dot(layout)))
    points = crossing_points(theirs) if theirs else None
    length = mean_length(theirs) if theirs else None
    yield Row(
        f"{name}.crossing_points", crossing_points(lines), "points", "dot", points, limit, relative=True
    )
    yield Row(f"{name}.edge_length", mean_length(lines), "px", "dot", length)
    yield Row(f"{name}.boxes_hit", len(layout_metrics.hits(layout)), "hits", limit=0)
    yield Row(f"{name}.overlaps", len(layout_metrics.overlaps(layout)), "pairs", limit=0)
    yield Row(f"{name}.coinciding_runs", coinciding_runs(lines), "pairs", limit=0)
    if not layout.columns:
        return
    spreads = layout_metrics.row_spread(layout)
    same = statistics.fmean(spread <= 0.5 for spread in spreads.values())
    yield Row(f"{name}.off_the_row", 1 - same, "of all ops", limit=0)
    pitches = layout_metrics.column_pitches(layout).values()
    yield Row(f"{name}.column_pitch", max(np.ptp(p) / np.mean(p) for p in pitches), "", limit=1e-6)
    if "lstm" in name:
        yield Row(f"{name}.state_line", _bend_of_state_lines(layout), "px", limit=0.5)


def _bend_of_state_lines(layout: Layout) -> float:
    """How far apart in height the boxes and points of one state line are, at worst; infinite when there is
    none. How it comes into its first step is left out: first states stand together, their lanes do not."""
    heights: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for edge in layout.edges:
        boxes = layout.boxes[edge.source], layout.boxes[edge.target]
        begin, end = (layout_metrics.any_step(tuple(box.scope.split("/"))) for box in boxes)
        if edge.state_line and begin == end:
            heights[end] += [*(box.y for box in boxes), *edge.points[:, 1].tolist()]
    return max((float(np.ptp(ys)) for ys in heights.values()), default=math.inf)


# dot


def _as_dot(layout: Layout) -> str:
    """The boxes and edges of a picture in dot's language; a point of dot's is one of our pixels."""
    rows = ["digraph {", "rankdir=LR", 'node [shape=box, fixedsize=true, label=""]']
    rows += [f"{k} [width={b.w / 72:.4f}, height={b.h / 72:.4f}]" for k, b in enumerate(layout.boxes)]
    rows += [f"{e.source} -> {e.target} [key={k}]" for k, e in enumerate(layout.edges)]
    return "\n".join([*rows, "}"])


def _dot(pygraphviz: ModuleType, text: str) -> Any:
    """The drawing, with a place for everything in its attributes."""
    drawing = pygraphviz.AGraph(string=text)
    drawing.layout(prog="dot")
    return drawing


def _lines_of_dot(drawing: Any) -> Lines:
    ends, polylines = [], []
    for edge in (drawing.get_edge(*key) for key in drawing.edges(keys=True)):
        ends.append((int(edge[0]), int(edge[1])))
        polylines.append(_sampled(edge.attr["pos"]))
    return Lines.of(polylines, ends)


def _sampled(spline: str) -> np.ndarray:
    """A chain of cubic Bézier curves, as in `e,90,18 54,18 62,18 70,18 78,18`: tip of the arrow, points."""
    words = spline.replace("\\\n", "").split()
    tips = [word.removeprefix("e,") for word in words if word.startswith("e,")]
    points = np.array([word.split(",") for word in words[len(tips) :]], float)
    t = CURVE[:, None]
    pieces = [points[:1]]
    for k in range(0, len(points) - 3, 3):
        a, b, c, d = points[k : k + 4]
        pieces.append((1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d)
    pieces += [np.array([tip.split(",")], float) for tip in tips]
    return np.concatenate(pieces)
