"""Breakpoints: the first moment of a trace at which a condition on gradients, outputs or values holds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import attrgetter
from weakref import WeakKeyDictionary

import numpy as np

from autograd import Graph, Trace
from explorer.model.alterations import nodes_by_key
from explorer.model.state import Breakpoint

ENDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}  # what outputs of these ops can not go beyond
_at = attrgetter("at")


@dataclass(frozen=True)
class Hit:
    """A breakpoint that holds from a moment on."""

    at: int  # steps done
    breakpoint: Breakpoint
    node: int
    size: float  # the norm, how near the output is to its end, or nan
    gradient: bool  # whether it is about the gradient, and not about the value


def matching(graph: Graph, node: str) -> list[int]:
    """The nodes that a breakpoint means: the one of that key, else all whose names fit the pattern."""
    known = nodes_by_key(graph).get(node)
    if known is not None:
        return [known]
    return [i for i, name in enumerate(graph.names) if name and fnmatchcase(name, node)]


_known: WeakKeyDictionary[Trace, tuple[tuple[Breakpoint, ...], list[Hit]]] = WeakKeyDictionary()


def hits(trace: Trace, breakpoints: Sequence[Breakpoint]) -> list[Hit]:
    """Everything that breakpoints stop at in one trace, by rising moment; of one moment by their order."""
    wanted = tuple(b for b in breakpoints if b.on)
    kept = _known.get(trace)
    if kept is None or kept[0] != wanted:
        found = [hit for b in wanted for node in matching(trace.graph, b.node) for hit in _of(trace, b, node)]
        kept = _known[trace] = wanted, sorted(found, key=_at)
    return kept[1]


def first_hit(trace: Trace, breakpoints: Sequence[Breakpoint], t0: float, t1: float) -> Hit | None:
    """The first one in (t0, t1]; None when playing can go on until t1."""
    found = hits(trace, breakpoints)
    k = bisect_right(found, t0, key=_at)
    return found[k] if k < len(found) and found[k].at <= t1 else None


def hit_at(trace: Trace, breakpoints: Sequence[Breakpoint], t: float) -> Hit | None:
    """The first one that holds from exactly this moment on."""
    found = hits(trace, breakpoints)
    k = bisect_right(found, t, key=_at) - 1
    while k > 0 and found[k - 1].at == found[k].at:
        k -= 1
    return found[k] if k >= 0 and found[k].at == t else None


def _of(trace: Trace, b: Breakpoint, node: int) -> Iterator[Hit]:
    """What one breakpoint has to say about one node; the gradient counts when all of it has arrived."""
    value, grad = trace.values[node], trace.grads[node]
    computed = int(trace.forward_step[node]) + 1
    arrivals = trace.arrivals[node]
    complete = arrivals[-1].step + 1 if arrivals else None
    op = trace.graph.ops[node]
    if b.kind == "nan":
        if not np.all(np.isfinite(value)):
            yield Hit(computed, b, node, np.nan, False)
        elif complete is not None and grad is not None and not np.all(np.isfinite(grad)):
            yield Hit(complete, b, node, np.nan, True)
    elif b.kind == "saturates":
        if op is not None and op.name in ENDS:
            low, high = ENDS[op.name]
            room = float(np.min(np.minimum(value - low, high - value), initial=np.inf))
            if room <= b.bound:
                yield Hit(computed, b, node, room, False)
    elif complete is not None and grad is not None:
        size = float(np.linalg.norm(np.ravel(grad)))
        if size < b.bound if b.kind == "below" else size > b.bound:
            yield Hit(complete, b, node, size, True)
