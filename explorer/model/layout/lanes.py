"""One column of lanes: the steps of several sequences at the same time, above each other.

The lowest lane is the one that the others read; data rise, time runs to the right, or to the left in a lane
that starts at the end. Lines between lanes run in the margins beside the cells and in the gaps between them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.model.layout.geometry import GAP_Y, HEAD, PAD, TRACK, Columns, Rows, State
from explorer.model.layout.template import End, Template, star

if TYPE_CHECKING:
    from explorer.model.layout.metric import Metric

LEFT, RIGHT, ABOVE = "left", "right", "above"  # sides of a cell; a leaf is left upwards
Net = Any  # the end at which it begins


@dataclass
class _Wiring:
    """What has to be connected in a column, whatever its size."""

    sides: dict[Net, set[str]] = field(default_factory=lambda: defaultdict(set))  # margins that a net uses
    gap: dict[Net, int] = field(default_factory=dict)  # the lane above which it crosses over
    straight: dict[Any, End] = field(default_factory=dict)  # port of the column -> cell at whose height it is

    def track(self, net: Net) -> int:
        """Which of the tracks of its gap is a net's."""
        return [n for n, g in self.gap.items() if g == self.gap[net]].index(net)

    def tracks(self, lane: int) -> int:
        return sum(1 for g in self.gap.values() if g == lane)

    def margin(self, side: str) -> list[Net]:
        return [net for net, sides in self.sides.items() if side in sides]


def _side(t: Template, end: End, target: bool) -> str:
    """On which side an edge leaves or enters."""
    (kind, name), _ = end
    if kind == "in":
        return RIGHT if name in t.east_in else LEFT
    if kind == "out":
        return LEFT if name in t.west_out else RIGHT
    if not t.children[name]:
        return LEFT if target else ABOVE
    return RIGHT if _mirrored(t, name) != (not target) else LEFT


def _mirrored(t: Template, child: str) -> bool:
    return any(p in t.east_in and b == ("node", child) for (a, _), (b, _) in t.edges for p in (a[1],))


def _wiring(t: Template) -> _Wiring:
    wiring = _Wiring()
    lane = {name: k for k, name in enumerate(t.lanes)}
    for a, b in t.edges:
        if b[0][0] == "out":
            wiring.straight.setdefault(b[0], a)
        elif a[0][0] == "in":
            wiring.straight.setdefault(a[0], b)
    for a, b in t.edges:
        if wiring.straight.get(b[0]) == a or wiring.straight.get(a[0]) == b:
            continue
        source, target = _side(t, a, False), _side(t, b, True)
        wiring.sides[a].add(target)
        if source != target:
            if source != ABOVE:
                wiring.sides[a].add(source)
            begin = wiring.straight[a[0]] if a[0][0] == "in" else a
            wiring.gap[a] = lane[begin[0][1]]
    return wiring


def lanes_rows(metric: Metric, t: Template) -> Rows:
    wiring = _wiring(t)
    heights = {name: metric.child_size(t, name)[1] for name in t.children}
    y = HEAD + PAD
    centre: dict[str, float] = {}
    for k in range(len(t.lanes) - 1, -1, -1):
        y += TRACK * wiring.tracks(k) + (4.0 if wiring.tracks(k) else 0.0)
        centre[t.lanes[k]] = y + heights[t.lanes[k]] / 2
        y += heights[t.lanes[k]] + GAP_Y
    rows = Rows(
        y - GAP_Y + PAD,
        np.array([centre[c] for c in t.children]),
        np.array([heights[c] / 2 for c in t.children]),
        {},
        {},
    )
    for p in t.in_ports:
        rows.ports_in[p] = _height(metric, t, rows, wiring.straight["in", p], True)
    for p in t.out_ports:
        rows.ports_out[p] = _height(metric, t, rows, wiring.straight["out", p], False)
    return rows


def _height(metric: Metric, t: Template, rows: Rows, end: End, target: bool) -> float:
    """The height at which an edge leaves or enters a cell, or the column."""
    (kind, name), port = end
    if kind == "in":
        return rows.ports_in[name]
    if kind == "out":
        return rows.ports_out[name]
    k = list(t.children).index(name)
    if not t.children[name]:
        return float(rows.y[k]) if target else float(rows.y[k] - rows.half[k])
    inner = metric.rows_of((*t.key, *star((name,))))
    return float(rows.y[k] - rows.half[k]) + (inner.ports_in if target else inner.ports_out)[port]


def lanes_columns(metric: Metric, t: Template, state: State) -> Columns:
    wiring, rows = _wiring(t), metric.rows_of(t.key)
    states = dict(state)
    widths = {}
    for name, is_scope in t.children.items():
        inner = states.get(name)
        widths[name] = (
            metric.columns_of((*t.key, *star((name,))), inner).width
            if is_scope and inner is not None
            else metric.child_size(t, name)[0]
        )
    margins = {side: PAD + TRACK * (len(wiring.margin(side)) + 1) for side in (LEFT, RIGHT)}
    inner_width = max(widths.values())
    width = margins[LEFT] + inner_width + margins[RIGHT]
    centre = {
        name: width - margins[RIGHT] - w / 2 if _mirrored(t, name) else margins[LEFT] + w / 2
        for name, w in widths.items()
    }

    def x_of(end: End, side: str) -> float:
        (kind, name), _ = end
        if kind != "node":
            return 0.0 if side == LEFT else width
        if side == ABOVE:
            return centre[name]
        return centre[name] + (widths[name] / 2 if side == RIGHT else -widths[name] / 2)

    def margin_x(net: Net, side: str) -> float:
        place = PAD / 2 + TRACK * (wiring.margin(side).index(net) + 1)
        return place if side == LEFT else width - place

    def gap_y(net: Net) -> float:
        name = t.lanes[wiring.gap[net]]
        k = list(t.children).index(name)
        return float(rows.y[k] - rows.half[k]) - 4.0 - TRACK * (wiring.track(net) + 0.5)

    routes = {}
    for edge in t.edges:
        a, b = edge
        source, target = _side(t, a, False), _side(t, b, True)
        start = (x_of(a, source), _height(metric, t, rows, a, False))
        stop = (x_of(b, target), _height(metric, t, rows, b, True))
        points = [start]
        if wiring.straight.get(b[0]) != a and wiring.straight.get(a[0]) != b:
            if source != target:
                y = gap_y(a)
                if source != ABOVE:
                    points.append((margin_x(a, source), start[1]))
                points += [(points[-1][0], y), (margin_x(a, target), y)]
            else:
                points.append((margin_x(a, source), start[1]))
            points.append((margin_x(a, target), stop[1]))
        routes[edge] = np.array([*points, stop])
    return Columns(width, centre, widths, routes)
