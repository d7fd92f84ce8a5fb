"""Vertical tracks in the gap between two ranks: which net turns where, so that few of them cross."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True)
class Net:
    """One source of a gap and the heights at which it has to arrive on the other side."""

    key: Hashable
    y: float
    targets: frozenset[float]

    @property
    def bent(self) -> bool:
        return any(abs(t - self.y) > 0.05 for t in self.targets)

    @property
    def low(self) -> float:
        return min(self.y, *self.targets)

    @property
    def high(self) -> float:
        return max(self.y, *self.targets)


def assign_tracks(nets: list[Net]) -> tuple[dict[Hashable, int], int]:
    """Track number of each bent net, from the left, and the number of tracks."""
    order: list[Net] = []
    for net in sorted((n for n in nets if n.bent), key=lambda n: (n.low, n.high, repr(n.key))):
        costs = [
            sum(_crossings(left, net) for left in order[:k])
            + sum(_crossings(net, right) for right in order[k:])
            for k in range(len(order) + 1)
        ]
        order.insert(costs.index(min(costs)), net)
    for _ in range(8):
        swapped = False
        for k in range(len(order) - 1):
            a, b = order[k], order[k + 1]
            if _crossings(b, a) < _crossings(a, b):
                order[k], order[k + 1] = b, a
                swapped = True
        if not swapped:
            break
    tracks: list[list[Net]] = []
    for net in order:
        if tracks and all(net.high < other.low - 4 or net.low > other.high + 4 for other in tracks[-1]):
            tracks[-1].append(net)
        else:
            tracks.append([net])
    return {net.key: k for k, track in enumerate(tracks) for net in track}, len(tracks)


def _crossings(left: Net, right: Net) -> int:
    """How often two nets cross when `left` turns left of `right`."""
    through = sum(1 for y in left.targets if right.low + 0.1 < y < right.high - 0.1)
    return through + (left.low + 0.1 < right.y < left.high - 0.1)
