"""The engine: replay against hand-written NumPy, PyTorch and micrograd; time and memory for each node."""

from __future__ import annotations

import gc
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from autograd import Graph, Tensor
from autograd.batches import compile_plan
from tests.benchmarks import scalar
from tests.benchmarks.attention import seq2seq
from tests.benchmarks.measure import Job, Row, medians, peer
from tests.benchmarks.networks import Gradients, Network
from tests.benchmarks.recurrent import lstm, rnn
from tests.benchmarks.vision import cnn


@dataclass(frozen=True)
class Goals:
    """What the ratios of a tensor network may reach; None where nothing is demanded."""

    numpy: float | None = None
    torch: float | None = None
    building: float | None = None  # us for each node, recorded and compiled


def run(quick: bool) -> Iterator[Row]:
    """All rows of this suite."""
    seconds = 1.0 if quick else 8.0
    yield from _network("lstm_T100_H32", lstm(100, 32, 32), seconds, Goals(1.5, 0.1, 60))
    yield from _network("rnn_T50_H16", rnn(50, 16, 16), seconds, Goals(1.6, 0.1, 60))
    yield from _network("seq2seq_T20_H32", seq2seq(20, 32, 32), seconds, Goals(None, 0.15, 60))
    # In these the arithmetic counts and not the nodes, so nothing is demanded of the time for each node.
    yield from _network("lstm_T100_H256_B16", lstm(100, 256, 64, 16), seconds, Goals(1.15, 1.1))
    yield from _network("cnn_B1", cnn(1), seconds, Goals(None, 0.5))
    yield from _network("cnn_B16", cnn(16), seconds, Goals())
    forms = {"scalar_mlp": (scalar.BINARY, 1 / 100), "scalar_mlp_n_ary": (scalar.N_ARY, 1 / 150)}
    yield from _scalars(scalar.mlp(100), forms, seconds)
    yield from _narrow("scalar_rnn_T50_H16", scalar.rnn(50, 16), seconds)
    yield from _narrow("scalar_chain_10k", scalar.chain(10_000), seconds)
    yield from _long_chain(100_000, seconds / 4)
    if not quick:
        yield from _scalars(scalar.mlp(1500), {"scalar_mlp_1M": (scalar.BINARY, 1 / 50)}, 0.0)
    for name, (kit, _) in forms.items():
        yield from _building(name, kit, 1 if quick else 3)


def _network(name: str, network: Network, seconds: float, goals: Goals) -> Iterator[Row]:
    """A tensor network: equal first, fast second."""
    built = _built(network.record)
    name, plan = f"engine.{name}", built.plan
    jobs: dict[str, Job] = {"ours": plan.run, **network.by_hand}
    torch = peer("torch")
    if torch is not None:
        torch.set_num_threads(1)
        jobs["torch"] = network.with_torch(torch)
    each = (built.recording + built.compiling) / len(built.graph) * 1e6
    yield Row(f"{name}.record_and_compile", each, "us/node", limit=goals.building)
    plan.run()
    ours = {w: plan.grad(built.graph.named(w).id) for w in network.weights}
    if network.by_hand:
        plain = network.by_hand["plain"]()
        yield Row(f"{name}.error_to_numpy", _error(ours, plain), "", limit=1e-12)
        assert _error(network.by_hand["optimised"](), plain) < 1e-12
    if "torch" in jobs:
        yield Row(f"{name}.error_to_torch", _error(ours, jobs["torch"]()), "", limit=1e-12)
    took = {key: value * 1e3 for key, value in medians(jobs, seconds).items()}
    name, value = f"{name}.replay", took["ours"]
    if network.by_hand:
        yield Row(name, value, "ms", "optimised numpy", took["optimised"], goals.numpy, relative=True)
        yield Row(f"{name}_to_plain", value, "ms", "plain numpy", took["plain"])
    yield Row(f"{name}_to_torch", value, "ms", "torch", took.get("torch"), goals.torch, relative=True)


def _scalars(
    model: scalar.Model,
    forms: dict[str, tuple[scalar.Kit, float]],
    seconds: float,
    *,
    each: float | None = None,
) -> Iterator[Row]:
    """A model of scalars in the forms of `forms`, against micrograd with the collector off.

    The goals are ratios to micrograd, and `each` is the goal for ns in each node.
    """
    built = {name: _built(partial(scalar.record, model, kit)) for name, (kit, _) in forms.items()}
    jobs: dict[str, Job] = {name: b.plan.run for name, b in built.items()}
    micrograd = peer("micrograd.engine")
    if micrograd is not None:
        jobs["micrograd"] = scalar.with_micrograd(micrograd, model)
        theirs = {"all": jobs["micrograd"]()}
        for name, b in built.items():
            b.plan.run()
            yield Row(f"engine.{name}.error_to_micrograd", _error(_all_grads(b), theirs), "", limit=1e-12)
    took = medians(jobs, seconds, least=2)
    peer_ms = took["micrograd"] * 1e3 if micrograd is not None else None
    for name, b in built.items():
        nodes, goal = len(b.graph), forms[name][1]
        yield Row(f"engine.{name}.nodes", nodes, "nodes")
        yield Row(f"engine.{name}.replay", took[name] * 1e3, "ms", "micrograd", peer_ms, goal, relative=True)
        yield Row(f"engine.{name}.replay_each", took[name] / nodes * 1e9, "ns/node", limit=each)


def _narrow(name: str, model: scalar.Model, seconds: float) -> Iterator[Row]:
    """A model so deep and narrow that hardly any two of its nodes can be computed at once."""
    yield from _scalars(model, {name: (scalar.BINARY, 1 / 8)}, seconds, each=250)


def _long_chain(length: int, seconds: float) -> Iterator[Row]:
    """Nothing in the engine may recurse, nor cost more for each node when there are more."""
    name = f"engine.scalar_chain_{length // 1000}k"
    built = _built(partial(scalar.record, scalar.chain(length), scalar.BINARY))
    exact = {"all": scalar.chain_by_hand(length)}
    yield Row(f"{name}.error_to_closed_form", _error(_all_grads(built), exact), "", limit=1e-12)
    yield Row(f"{name}.replay", medians({"ours": built.plan.run}, seconds)["ours"] * 1e3, "ms")


def _building(name: str, kit: scalar.Kit, rounds: int) -> Iterator[Row]:
    """What it costs to record and to compile, and to keep both after a run."""
    name = f"engine.{name}"
    recording, compiling = [], []
    for _ in range(rounds):
        built = _built(partial(scalar.record, scalar.mlp(100), kit))
        recording.append(built.recording / len(built.graph) * 1e6)
        compiling.append(built.compiling / len(built.graph) * 1e6)
        del built
    both = statistics.median(a + b for a, b in zip(recording, compiling, strict=True))
    yield Row(f"{name}.record", statistics.median(recording), "us/node")
    yield Row(f"{name}.compile", statistics.median(compiling), "us/node")
    yield Row(f"{name}.record_and_compile", both, "us/node", limit=2)
    tracemalloc.start()
    built = _built(partial(scalar.record, scalar.mlp(100), kit))
    built.plan.run()
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    yield Row(f"{name}.memory", size / len(built.graph), "bytes/node", limit=150)


@dataclass(frozen=True)
class _Built:
    """A graph and its plan, and the CPU seconds that they took."""

    graph: Graph
    parameters: list[Tensor]
    plan: Any
    recording: float
    compiling: float


def _built(record: Callable[[], tuple[Any, ...]]) -> _Built:
    """Record and compile with the collector off: what it costs depends on what else is in memory."""
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        graph, loss, *parameters = record()
        middle = time.process_time()
        plan = compile_plan(graph, loss)
        end = time.process_time()
    finally:
        gc.enable()
    return _Built(graph, parameters[0] if parameters else [], plan, middle - start, end - middle)


def _all_grads(built: _Built) -> Gradients:
    return {"all": np.array([built.plan.grad(p.id) for p in built.parameters])}


def _error(a: dict[str, Any], b: dict[str, Any]) -> float:
    """The largest difference, relative to the largest entry of the same array."""
    return max(float(np.max(np.abs(a[name] - b[name])) / np.max(np.abs(b[name]))) for name in b)
