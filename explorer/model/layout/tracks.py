"""Vertical tracks in the gap between two ranks: which net turns where, so that few of them cross."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property

MANY = 60  # nets in one gap, beyond which they are not compared with each other


@dataclass(frozen=True)
class Net:
    """One line that turns in a gap: the heights at which it comes, and those at which it arrives."""

    key: Hashable
    sources: frozenset[float]
    targets: frozenset[float]

    @cached_property
    def low(self) -> float:
        return min(*self.sources, *self.targets)

    @cached_property
    def high(self) -> float:
        return max(*self.sources, *self.targets)

    @property
    def y(self) -> float:
        return min(self.sources)

    @property
    def bent(self) -> bool:
        return self.high - self.low > 0.05


def assign_tracks(nets: list[Net]) -> tuple[dict[Hashable, int], int]:
    """Track number of each bent net, from the left, and the number of tracks."""
    bent = sorted((n for n in nets if n.bent), key=lambda n: (n.low, n.high, repr(n.key)))
    if len(bent) > MANY:
        return _staircase(bent)
    cost = [[_crossings(left, right) for right in bent] for left in bent]
    order: list[int] = []
    for new in range(len(bent)):  # each where it crosses least; moving right past i changes one pair
        now = best = sum(cost[new][i] for i in order)
        place = 0
        for k, i in enumerate(order):
            now += cost[i][new] - cost[new][i]
            if now < best:
                best, place = now, k + 1
        order.insert(place, new)
    for _ in range(8):
        swapped = False
        for k in range(len(order) - 1):
            a, b = order[k], order[k + 1]
            if cost[b][a] < cost[a][b]:
                order[k], order[k + 1] = b, a
                swapped = True
        if not swapped:
            break
    tracks: list[list[Net]] = []
    for net in [bent[i] for i in order]:
        if tracks and all(net.high < other.low - 4 or net.low > other.high + 4 for other in tracks[-1]):
            tracks[-1].append(net)
        else:
            tracks.append([net])
    return {net.key: k for k, track in enumerate(tracks) for net in track}, len(tracks)


def _staircase(bent: list[Net]) -> tuple[dict[Hashable, int], int]:
    """One track for each of many nets: of those that go down the lowest turns first, of those that go up the
    highest, so that no two of a kind cross."""
    down = sorted((n for n in bent if min(n.targets) >= n.y), key=lambda n: (-n.y, repr(n.key)))
    up = sorted((n for n in bent if min(n.targets) < n.y), key=lambda n: (n.y, repr(n.key)))
    return {net.key: k for k, net in enumerate([*up, *down])}, len(bent)


def _crossings(left: Net, right: Net) -> int:
    """How often two nets cross when `left` turns left of `right`."""
    through = sum(1 for y in left.targets if right.low + 0.1 < y < right.high - 0.1)
    return through + sum(1 for y in right.sources if left.low + 0.1 < y < left.high - 0.1)
