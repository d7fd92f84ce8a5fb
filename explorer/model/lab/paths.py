"""The strongest ways on which a gradient comes back, with a number for every edge.

By the chain rule the gradient is the sum over all paths of the products of their local derivatives (Bauer,
SIAM J. Numer. Anal. 11, 1974). Between scalars the numbers are those derivatives. Between vectors each is
how much longer the edge makes the gradient that comes along this path; their product is the length of the
path's part, for a seed of length 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import prod
from operator import mul

import numpy as np

from autograd import Trace
from explorer.model.lab.sweep import Progress, Stack, leading_to, norms, stack_sent, sweep, wiring

WIDTH = 32  # parts that a node keeps at least: exact while no node has more ways to the target
_SYMMETRIC = frozenset({"add", "add_n", "multiply"})  # each of two equal inputs has the same factor


@dataclass(frozen=True)
class Route:
    """One path, from source to target."""

    nodes: tuple[int, ...]
    slots: tuple[int, ...]  # of each edge: which input of the next node
    factors: tuple[float, ...]  # of each edge
    part: np.ndarray  # what of the source's gradient came this way
    share: float  # of all that came through the target; over all paths they make 1; nan for a gradient of 0

    @property
    def product(self) -> float:
        """All factors multiplied, from the target on, as the gradient comes."""
        return prod(reversed(self.factors), start=1.0)


@dataclass(frozen=True)
class Routes:
    """The strongest paths between two nodes, strongest first."""

    trace: Trace
    source: int
    target: int
    gradient: np.ndarray  # what comes to the source through the target in all
    found: tuple[Route, ...]
    scalar: bool  # factors are local derivatives, with their signs


def routes(trace: Trace, source: int, target: int, k: int = 5, progress: Progress | None = None) -> Routes:
    """The `k` strongest paths of the gradient from `target` back to `source`; none without a way.

    It starts with ∂E/∂target as it is in the trace, between scalars with 1. Of all ways each node keeps the
    max(4k, 32) that bring the longest part, and never fewer than `k`: with a `k` of at least the number of
    paths the answer is complete.
    """
    wires = wiring(trace.graph)
    empty = np.zeros(trace.values[source].shape)
    start = trace.grads[target] if target != trace.loss else np.ones(trace.values[target].shape)
    if source >= target or start is None or not wires.needs[source]:
        return Routes(trace, source, target, empty, (), False)
    below = leading_to(wires, [source], target)
    between = _between(wires.receivers, below, source, target)
    if not between:
        return Routes(trace, source, target, empty, (), False)
    scalar = all(trace.values[i].ndim == 0 for i in between)
    seed = np.ones((1,)) if scalar else start[None]
    whole = sweep(trace, [(target, seed)], [source]).get(source)
    gradient = whole[0] if whole is not None else empty
    found = _beam(trace, set(between), source, target, seed, k, max(4 * k, WIDTH), progress)
    made = [_route(trace, path, stack, gradient, scalar) for path, stack in found]
    return Routes(trace, source, target, gradient, tuple(made), scalar)


@dataclass(frozen=True)
class Hop:
    """One edge of a path: what came as `before` to its consumer is `after` at its input."""

    before: float  # the product of all factors up to here, from the target on
    factor: float
    after: float


def hops(trace: Trace, nodes: Sequence[int]) -> tuple[Hop, ...]:
    """The running product of a path's factors at each of its edges, from source to target.

    Empty for nodes that are no path, and where an input is taken in twice, so that the nodes do not tell
    which of two factors is meant.
    """
    wires = wiring(trace.graph)
    if len(nodes) < 2 or not 0 <= min(nodes) <= max(nodes) <= trace.loss or trace.grads[nodes[-1]] is None:
        return ()
    edges = []
    for node, consumer in pairwise(nodes):
        slots = [slot for slot, j in wires.receivers[consumer] if j == node]
        op = wires.ops[consumer]
        if op is None or not slots or (len(slots) > 1 and op.name not in _SYMMETRIC):
            return ()
        edges.append((consumer, slots[0]))
    scalar = all(trace.values[i].ndim == 0 for i in nodes)
    if scalar:  # as `routes` has it: factors have signs where nothing but scalars lies between
        below = leading_to(wires, [nodes[0]], nodes[-1])
        between = _between(wires.receivers, below, nodes[0], nodes[-1])
        scalar = all(trace.values[i].ndim == 0 for i in between)
    factors = _factors(trace, edges, scalar)
    running = list(accumulate(reversed(factors), mul, initial=1.0))[::-1]
    return tuple(Hop(*of) for of in zip(running[1:], factors, running, strict=False))


def _between(receivers: list[list[tuple[int, int]]], below: bytearray, source: int, target: int) -> list[int]:
    """Nodes on a way from source to target, latest first."""
    if not below[target]:
        return []
    wanted = bytearray(target + 1)
    wanted[target] = 1
    order = []
    for i in range(target, source - 1, -1):
        if wanted[i]:
            order.append(i)
            for _, j in receivers[i] if i != source else ():
                wanted[j] |= below[j]
    return order


_Link = tuple[int, int, int]  # consumer, its slot, which of its parts


def _beam(
    trace: Trace,
    between: set[int],
    source: int,
    target: int,
    seed: Stack,
    k: int,
    width: int,
    progress: Progress | None,
) -> list[tuple[list[tuple[int, int]], np.ndarray]]:
    """The k best ways to the source: edges (node, slot) from the target on, and the part that came."""
    wires = wiring(trace.graph)
    arrived: dict[int, list[tuple[Stack, int, int]]] = {target: [(seed, -1, -1)]}
    links: dict[int, tuple[list[tuple[Stack, int, int]], np.ndarray, np.ndarray]] = {}
    best: Stack = seed
    with np.errstate(all="ignore"):
        for count, i in enumerate(sorted(between, reverse=True)):
            if progress is not None and count % 64 == 0:
                progress(count / len(between))
            blocks = arrived.pop(i, [])
            if not blocks:
                continue
            most = k if i == source else width
            stack, block, rank = _strongest(blocks, most)
            links[i] = blocks, block, rank
            if i == source:
                best = stack
                break
            for slot, j in wires.receivers[i]:
                if j in between:
                    arrived.setdefault(j, []).append((stack_sent(trace, i, slot, stack), i, slot))
    if source not in links:
        return []
    found = []
    for way in range(len(best)):
        edges, node, at = [], source, way
        while node != target:
            blocks, block, rank = links[node]
            _, consumer, slot = blocks[block[at]]
            edges.append((consumer, slot))
            node, at = consumer, int(rank[at])
        found.append((edges, best[way]))
    return found


def _strongest(blocks: list[tuple[Stack, int, int]], most: int) -> tuple[Stack, np.ndarray, np.ndarray]:
    """The longest rows of all blocks, longest first; of each its block and its row there."""
    if len(blocks) == 1 and len(blocks[0][0]) <= most:  # sorted already where it was sorted before the edge
        stack = blocks[0][0]
        return stack, np.zeros(len(stack), dtype=int), np.arange(len(stack))
    stack = np.concatenate([b for b, _, _ in blocks])
    block = np.repeat(np.arange(len(blocks)), [len(b) for b, _, _ in blocks])
    rank = np.concatenate([np.arange(len(b)) for b, _, _ in blocks])
    size = norms(stack)
    size[np.isnan(size)] = np.inf
    order = np.argsort(-size, kind="stable")[:most]
    return stack[order], block[order], rank[order]


def _route(
    trace: Trace, edges: list[tuple[int, int]], part: np.ndarray, gradient: np.ndarray, scalar: bool
) -> Route:
    """The path with its factors, and its share of the gradient."""
    nodes = [wiring(trace.graph).inputs[edges[0][0]][edges[0][1]], *(consumer for consumer, _ in edges)]
    factors = _factors(trace, edges, scalar)
    size = float(norms(gradient[None])[0])
    share = float(np.sum((part / size) * (gradient / size))) if size else np.nan
    return Route(tuple(nodes), tuple(slot for _, slot in edges), factors, part, share)


def _factors(trace: Trace, edges: Sequence[tuple[int, int]], scalar: bool) -> tuple[float, ...]:
    """The number of each edge (consumer, slot), from source to target: one gradient goes back along them."""
    target = edges[-1][0]
    start = np.ones(()) if scalar else trace.grads[target]
    if start is None or target == trace.loss:
        start = np.ones(trace.values[target].shape)
    g, factors = start[None], []
    with np.errstate(all="ignore"):
        before = float(norms(g)[0])
        for consumer, slot in reversed(edges):
            g = stack_sent(trace, consumer, slot, np.ones((1,)) if scalar else g)
            after = float(norms(g)[0])
            if scalar:
                factors.append(float(g[0]))
            else:
                factors.append(after / before if before else 0.0)
                before = after
    return tuple(reversed(factors))
