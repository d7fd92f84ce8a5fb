"""The gradient of a shared leaf as a sum over time, and over the losses that it comes from.

∂E/∂W = Σ_t (∂E/∂W)_t: every use of W sends its own term (Werbos, Proc. IEEE 78, 1990). Each term is again a
sum over the losses behind it, which gives a matrix of loss step × use step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autograd import Arrival, Trace
from explorer.model import playback
from explorer.model.lab.sweep import Progress, norms, stack_sent, sweep, wiring
from scenes.scene import Notation


@dataclass(frozen=True)
class Term:
    """What the uses of a leaf in one time step send to it."""

    trace: Trace
    time: int | None  # None: uses outside of any time step
    uses: tuple[Arrival, ...]  # in the order in which they arrive

    def arrived(self, t: float) -> bool:
        return self.uses[-1].step + 1 <= t

    def value(self) -> np.ndarray:
        """The term itself; shape of the leaf."""
        total = self.trace.contribution(self.uses[0])
        for use in self.uses[1:]:
            total = total + self.trace.contribution(use)
        return total

    def words(self, notation: Notation) -> str:
        """How the term is made: `∂E/∂u³·z²ᵀ`."""
        return " + ".join(dict.fromkeys(_words(self.trace, use, notation) for use in self.uses))


@dataclass(frozen=True)
class Terms:
    """All terms of a leaf, in the order in which they arrive: the last time step first."""

    trace: Trace
    leaf: int
    terms: tuple[Term, ...]
    sizes: np.ndarray  # norm of each term

    def so_far(self, t: float) -> float:
        """Norm of what has come together at t."""
        grad = self.trace.grad(self.leaf, t)
        return 0.0 if grad is None else float(norms(grad[None])[0])


def shared_leaves(trace: Trace) -> tuple[int, ...]:
    """Leaves that get a gradient from more than one time step; failing that, from more than one use."""
    graph, wires = trace.graph, wiring(trace.graph)
    leaves = [leaf.id for leaf in graph.leaves("parameter", "input") if trace.arrivals[leaf.id]]
    over_time = [n for n in leaves if len({wires.times[a.consumer] for a in trace.arrivals[n]}) > 1]
    return tuple(over_time or [n for n in leaves if len(trace.arrivals[n]) > 1])


def terms(trace: Trace, leaf: int) -> Terms:
    """The gradient of a leaf by the time step of its uses."""
    found = grouped(trace, leaf)
    sizes = [float(norms(term.value()[None])[0]) for term in found]
    return Terms(trace, leaf, found, np.array(sizes))


@dataclass(frozen=True)
class Split:
    """Which loss sent how much to which use of a leaf. Rows are losses, columns uses, both by rising time."""

    trace: Trace
    leaf: int
    losses: tuple[int, ...]  # nodes of the losses
    uses: tuple[Term, ...]
    sizes: np.ndarray  # norms, shape (losses, uses); nan where no way leads
    uncut: np.ndarray  # the same if no gradient was stopped on the way
    stacks: dict[int, np.ndarray]  # consumer -> its gradient from each loss, losses by falling node number

    def term(self, row: int, column: int) -> np.ndarray:
        """What one loss sends to one use; shape of the leaf."""
        total = np.zeros(self.trace.values[self.leaf].shape)
        at = len(self.losses) - 1 - row
        for use in self.uses[column].uses:
            stack = self.stacks.get(use.consumer)
            if stack is not None and at < len(stack):
                total += stack_sent(self.trace, use.consumer, use.slot, stack[at : at + 1])[0]
        return total

    def nodes(self, row: int, column: int) -> tuple[int, ...]:
        """The nodes of one cell: the loss, everything between it and the use, the leaf."""
        wanted, consumers, _ = self._between(row, column)
        return (*sorted(wanted | consumers | {self.losses[row]}, reverse=True), self.leaf)

    def ways(self, row: int, column: int) -> tuple[tuple[int, int], ...]:
        """All edges of one cell as (input, consumer): from the leaf through the use to the loss."""
        wires = wiring(self.trace.graph)
        wanted, consumers, below = self._between(row, column)
        uses = [(self.leaf, i) for i in sorted(consumers & wanted)]
        inner = sorted(wanted - consumers)
        return (*uses, *((j, i) for i in inner for _, j in wires.receivers[i] if below[j]))

    def _between(self, row: int, column: int) -> tuple[set[int], set[int], bytearray]:
        """What lies between the loss and the use, both included; the consumers; what depends on them."""
        wires, loss = wiring(self.trace.graph), self.losses[row]
        consumers = {use.consumer for use in self.uses[column].uses}
        below = bytearray(loss + 1)
        for i in range(min(consumers), loss + 1):
            below[i] = i in consumers or any(below[j] for _, j in wires.receivers[i] if j >= min(consumers))
        wanted = {loss} if below[loss] else set()
        for i in range(loss, min(consumers) - 1, -1):
            if i in wanted and i not in consumers:
                wanted |= {j for _, j in wires.receivers[i] if below[j]}
        return wanted, consumers, below


def loss_terms(trace: Trace) -> list[tuple[int, np.ndarray]]:
    """The losses that add up to E, by falling node number, with their gradients; E alone if it is no sum."""
    wires = wiring(trace.graph)
    opened, found = set(), []
    waiting = {trace.loss}
    while waiting:
        i = max(waiting)
        waiting.remove(i)
        op, carrying = wires.ops[i], [j for _, j in wires.receivers[i]]
        sums = op is not None and (
            op.name in ("add", "add_n") or (op.name in ("multiply", "divide") and len(carrying) == 1)
        )
        single = all(trace.values[j].size == 1 and wires.ops[j] is not None for j in carrying)
        if sums and single and (wires.times[i] is None or i == trace.loss):
            opened.add(i)
            waiting.update(carrying)
            continue
        if i == trace.loss:
            return [(i, np.ones(trace.values[i].shape))]
        found.append(i)
    seeds = []
    for i in found:
        parts = [trace.contribution(a) for a in trace.arrivals[i] if a.consumer in opened]
        seeds.append((i, np.sum(parts, axis=0)))
    return seeds


def split(trace: Trace, leaf: int, progress: Progress | None = None) -> Split:
    """The matrix of loss × use for a leaf; one sweep for all losses together."""
    wires = wiring(trace.graph)
    seeds = loss_terms(trace)
    by_time = sorted(grouped(trace, leaf), key=lambda term: (term.time is not None, term.time or 0))
    wanted = {use.consumer for term in by_time for use in term.uses}
    rows = [(node, g[None]) for node, g in seeds]
    stacks = sweep(trace, rows, wanted, progress=progress)
    sizes = _sizes(trace, by_time, stacks, len(seeds))
    uncut = sizes
    if wires.truncated:
        free = sweep(trace, rows, wanted, through_cuts=True, progress=progress)
        uncut = _sizes(trace, by_time, free, len(seeds))
    return Split(
        trace, leaf, tuple(node for node, _ in reversed(seeds)), tuple(by_time), sizes, uncut, stacks
    )


def grouped(trace: Trace, leaf: int) -> tuple[Term, ...]:
    """The terms by the time step of their uses; computes nothing."""
    times = wiring(trace.graph).times
    groups: dict[int | None, list[Arrival]] = {}
    for arrival in trace.arrivals[leaf]:
        groups.setdefault(times[arrival.consumer], []).append(arrival)
    return tuple(Term(trace, time, tuple(uses)) for time, uses in groups.items())


def _sizes(trace: Trace, uses: list[Term], stacks: dict[int, np.ndarray], count: int) -> np.ndarray:
    """Norm of each loss's part in each use, losses by rising node number; nan where no gradient can come."""
    result = np.full((count, len(uses)), np.nan)
    for column, term in enumerate(uses):
        total: np.ndarray | None = None
        for use in term.uses:
            stack = stacks.get(use.consumer)
            if stack is None:
                continue
            sent = stack_sent(trace, use.consumer, use.slot, stack)
            if total is None:
                total = sent
            else:
                longer, shorter = (total, sent) if len(total) >= len(sent) else (sent, total)
                total = longer.copy()
                total[: len(shorter)] += shorter
        if total is not None:
            result[count - len(total) :, column] = norms(total)[::-1]
    return result


def _words(trace: Trace, use: Arrival, notation: Notation) -> str:
    """What one use sends, with the gradient called after the nearest named node that it is the same as."""
    wires, graph = wiring(trace.graph), trace.graph
    node = use.consumer
    while not wires.names[node] and len(wires.consumers[node]) == 1:
        above = wires.consumers[node][0]
        op = wires.ops[above]
        same = trace.values[above].shape == trace.values[node].shape
        if op is None or op.name not in ("add", "add_n") or not same:
            break
        node = above
    shown = playback.derivative(graph, node, trace.loss, notation)
    words = playback.back_words(graph, use.consumer, use.slot, trace.loss, notation)
    return words.replace(playback.derivative(graph, use.consumer, trace.loss, notation), shown)
