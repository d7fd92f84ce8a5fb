"""The constant error carousel in numbers: what flows back along a state's own line, against all that flows.

Along the line c_t = f_t ⊙ c_{t−1} + … the error is multiplied by f_t alone (Hochreiter and Schmidhuber,
Neural Computation 9, 1997; with forget gates Gers et al., 2000). Their learning rule truncates the rest: an
error that arrives at the inputs of a cell's gates goes no further back in time.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from autograd import Graph, Trace
from explorer.model.lab.jacobian import spectral_norms
from explorer.model.lab.sweep import Progress, norms, sweep, wiring

_LINEAR = frozenset({"add", "add_n", "subtract", "multiply", "negative"})


@dataclass(frozen=True)
class Carousel:
    """One state c over time; arrays run over `times`."""

    base: str
    times: np.ndarray
    direct: np.ndarray  # largest element of ∏ f from t to the last step: its spectral norm, as it is diagonal
    total: np.ndarray  # spectral norm of ∂c_T/∂c_t, by every way
    full: np.ndarray  # ‖∂E/∂c_t‖
    truncated: np.ndarray  # the same where nothing goes back in time but along the line


_known: WeakKeyDictionary[Graph, tuple[str, ...]] = WeakKeyDictionary()


def carousels(trace: Trace) -> tuple[str, ...]:
    """States with a line of their own from each step to the next."""
    graph = trace.graph
    if graph not in _known:  # a matter of the structure, not of the values
        _known[graph] = tuple(b for b in wiring(graph).states if _factors(trace, b) is not None)
    return _known[graph]


def carousel(trace: Trace, base: str, progress: Progress | None = None) -> Carousel:
    """Both comparisons for one state. Raises KeyError for none of `carousels`."""
    steps, factors = wiring(trace.graph).quantities[base], _factors(trace, base)
    if factors is None:
        raise KeyError(base)
    times = np.array(list(steps))
    product = np.ones_like(trace.values[steps[int(times[-1])][0]])
    direct = np.ones(len(times))
    with np.errstate(all="ignore"):
        for k in range(len(times) - 2, -1, -1):
            product = product * factors[k]
            direct[k] = float(np.max(np.abs(product), initial=0.0))
    nodes = [group[0] for group in steps.values()]
    unit = np.eye(product.size).reshape(-1, *product.shape)
    back = sweep(trace, [(nodes[-1], unit)], nodes, progress=progress)
    total = spectral_norms(np.stack([back[n].reshape(product.size, -1) for n in nodes]))
    return Carousel(
        base, times, direct, total, _sizes(trace, nodes), _sizes(truncated_trace(trace, base), nodes)
    )


def own_line(trace: Trace, base: str) -> tuple[int, ...]:
    """The nodes of a state's line, from its first step to its last; −1 where a second way begins."""
    wires = wiring(trace.graph)
    states = [group[0] for group in wires.quantities[base].values()]
    entries = _on_line(trace, base)
    line: list[int] = []
    for before, now in itertools.pairwise(states):
        entered = {consumer for consumer, slot in entries if wires.inputs[consumer][slot] == before}
        ways: list[tuple[int, ...]] = [(before, consumer) for consumer in sorted(entered)]
        while ways:
            way = ways.pop()
            if way[-1] != now:
                ways += [(*way, c) for c in wires.consumers[way[-1]] if c <= now and _carries(trace, c, now)]
            else:
                line += way[1:] if line[-1:] == [before] else (-1, *way) if line else way
    return tuple(line)


def truncated_trace(trace: Trace, base: str) -> Trace:
    """The same pass when nothing of an earlier step gets a gradient but what lies on the state's line."""
    graph, wires = trace.graph, wiring(trace.graph)
    line = _on_line(trace, base)
    states = {n for b in wires.states for group in wires.quantities[b].values() for n in group}
    cuts = {
        (consumer, slot)
        for state in states
        for consumer in wires.consumers[state]
        for slot, j in wires.receivers[consumer]
        if j == state and wires.times[consumer] not in (None, wires.times[state])
    }
    altered = graph.altered(cuts=(cuts - line) | set(graph.cuts), frozen=graph.frozen)
    return Trace.run(altered, altered.nodes[trace.loss])


def _sizes(trace: Trace, nodes: list[int]) -> np.ndarray:
    grads = [trace.grads[n] for n in nodes]
    return np.array([0.0 if g is None else float(norms(np.ravel(g)[None])[0]) for g in grads])


def _factors(trace: Trace, base: str) -> list[np.ndarray] | None:
    """∂c_k/∂c_{k−1} along the line for each pair of neighbouring steps; None where there is no line."""
    found = [slope for slope, _ in _lines(trace, base)]
    known = [slope for slope in found if slope is not None]
    return known if known and len(known) == len(found) else None


def _on_line(trace: Trace, base: str) -> set[tuple[int, int]]:
    """The edges, (consumer, slot), by which the line enters each step."""
    return {edge for _, edges in _lines(trace, base) for edge in edges}


def _lines(trace: Trace, base: str) -> list[tuple[np.ndarray | None, set[tuple[int, int]]]]:
    groups = list(wiring(trace.graph).quantities[base].values())
    if any(len(group) != 1 for group in groups):
        return []
    return [_line(trace, now, before) for (before,), (now,) in itertools.pairwise(groups)]


def _carries(trace: Trace, node: int, state: int) -> bool:
    """Whether a node is a sum or a product of the state's own time step."""
    wires = wiring(trace.graph)
    op = wires.ops[node]
    return op is not None and op.name in _LINEAR and wires.times[node] == wires.times[state]


def _line(trace: Trace, now: int, before: int) -> tuple[np.ndarray | None, set[tuple[int, int]]]:
    """The local derivative from one step's state to the next through sums and products of that step only,
    other factors held fixed, and the edges that leave the earlier state; None where no such way leads."""
    wires, values = wiring(trace.graph), trace.values
    edges: set[tuple[int, int]] = set()

    def slope(node: int) -> np.ndarray | None:
        op, inputs = wires.ops[node], wires.inputs[node]
        if op is None or not _carries(trace, node, now):
            return None
        total = None
        for slot, j in wires.receivers[node]:
            inner = np.ones_like(values[before]) if j == before else slope(j)
            if inner is None:
                continue
            if j == before:
                edges.add((node, slot))
            if op.name == "multiply":
                inner = inner * values[inputs[1 - slot]]
            elif op.name == "negative" or (op.name == "subtract" and slot == 1):
                inner = -inner
            total = inner if total is None else total + inner
        return total

    with np.errstate(all="ignore"):
        found = slope(now)
    same = found is not None and found.shape == values[before].shape
    return (found if same else None), edges
