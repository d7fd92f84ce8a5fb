"""The engine: replay against hand-written NumPy, PyTorch and micrograd; time and memory for each node."""

from __future__ import annotations

import gc
import statistics
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np

import autograd as ag
from autograd import Graph, tensor
from autograd.batches import compile_plan
from tests.benchmarks.measure import Job, Row, medians, peer
from tests.benchmarks.networks import BY_HAND, Task, mlp, record, task, with_torch


def run(quick: bool) -> Iterator[Row]:
    """All rows of this suite."""
    seconds = 2.0 if quick else 8.0
    yield from _recurrent("lstm_T100_H32", task("lstm", 100, 32, 32), seconds, 2.5)
    yield from _recurrent("rnn_T50_H16", task("rnn", 50, 16, 16), seconds, 3.3)
    yield from _scalar(100, quick)


def _recurrent(name: str, work: Task, seconds: float, goal: float) -> Iterator[Row]:
    start = time.process_time()
    graph, loss = record(work)
    recording = time.process_time() - start

    start = time.process_time()
    plan = compile_plan(graph, loss)
    compiling = time.process_time() - start
    plain, optimised = BY_HAND[work.kind]
    jobs: dict[str, Job] = {"ours": plan.run, "plain": lambda: plain(work), "numpy": lambda: optimised(work)}
    torch = peer("torch")
    if torch is not None:
        torch.set_num_threads(1)
        jobs["torch"] = with_torch(torch, work)
    made = (recording + compiling) / len(graph) * 1e6
    yield Row(f"engine.{name}.record_and_compile", made, "us/node", limit=60)
    # equal first, fast second
    plan.run()
    ours = {name: plan.grad(graph.named(name).id) for name in work.weights}
    yield Row(f"engine.{name}.error_to_numpy", _error(ours, plain(work)), "", limit=1e-12)
    assert _error(optimised(work), plain(work)) < 1e-12
    if "torch" in jobs:
        yield Row(f"engine.{name}.error_to_torch", _error(ours, jobs["torch"]()), "", limit=1e-12)
    took = {key: value * 1e3 for key, value in medians(jobs, seconds).items()}
    value = took["ours"]
    name = f"engine.{name}.replay"
    yield Row(name, value, "ms", "optimised numpy", took["numpy"], goal, relative=True)
    yield Row(f"{name}_to_plain", value, "ms", "plain numpy", took["plain"])
    yield Row(f"{name}_to_torch", value, "ms", "torch", took.get("torch"), 0.25, relative=True)


def _error(a: dict[str, Any], b: dict[str, Any]) -> float:
    """The largest difference, relative to the largest entry of the same array."""
    return max(float(np.max(np.abs(a[name] - b[name])) / np.max(np.abs(b[name]))) for name in b)


def _record_mlp(samples: int) -> tuple[Graph, Any, list[Any]]:
    with Graph() as graph:
        loss, parameters = mlp(tensor, ag.relu, samples)
    return graph, loss, parameters


def _scalar(samples: int, quick: bool) -> Iterator[Row]:
    name = "engine.scalar_mlp"
    graph, loss, parameters = _record_mlp(samples)
    plan = compile_plan(graph, loss)
    jobs: dict[str, Job] = {"ours": plan.run}
    micrograd = peer("micrograd.engine")
    if micrograd is not None:
        Value = micrograd.Value
        grads: list[float] = []

        def with_micrograd() -> None:
            # Its graph can not be run again: a pass is building it and going back.
            output, leaves = mlp(Value, lambda v: v.relu(), samples)
            _backward(output)
            grads[:] = [leaf.grad for leaf in leaves]

        jobs["micrograd"] = with_micrograd
    took = medians(jobs, 2.0 if quick else 8.0, least=2 if quick else 5)
    if micrograd is not None:
        plan.run()
        ours = np.array([plan.grad(p.id) for p in parameters])
        yield Row(f"{name}.error_to_micrograd", _error({"p": ours}, {"p": np.array(grads)}), "", limit=1e-12)
    nodes = len(graph)
    theirs = took["micrograd"] * 1e3 if "micrograd" in took else None
    yield Row(f"{name}.nodes", nodes, "nodes")
    yield Row(f"{name}.replay", took["ours"] * 1e3, "ms", "micrograd", theirs, 0.01, relative=True)
    yield Row(f"{name}.replay_each", took["ours"] / nodes * 1e9, "ns/node")
    yield from _recording(name, samples, 1 if quick else 3)


def _backward(output: Any) -> None:
    """micrograd's own backward recurses once for every node of a path, too deep for this graph: the same
    without recursion."""
    order: list[Any] = []
    seen = set()
    stack = [(output, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((child, False) for child in node._prev)
    output.grad = 1.0
    for node in reversed(order):
        node._backward()


def _recording(name: str, samples: int, rounds: int) -> Iterator[Row]:
    """What it costs to record, and to keep a graph that has been run once in both directions."""
    times = []
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        start = time.process_time()
        graph = _record_mlp(samples)[0]
        times.append((time.process_time() - start) / len(graph))
        del graph
    gc.enable()
    yield Row(f"{name}.record", statistics.median(times) * 1e6, "us/node", limit=2)
    samples = max(samples // 5, 1)  # tracing allocations is slow; bytes for each node stay the same
    gc.collect()
    tracemalloc.start()
    graph, loss, _ = _record_mlp(samples)
    graph.forward()
    graph.backward(loss)
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    yield Row(f"{name}.memory", size / len(graph), "bytes/node", limit=150)
