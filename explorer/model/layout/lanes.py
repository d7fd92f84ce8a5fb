"""One column of lanes: the steps of several sequences at the same time, above each other.

The lowest lane is the one that the others read; data rise, time runs to the right, or to the left in a lane
that starts at the end. What a lane reads from others enters its cells from below, and what it gives them
leaves above; lines past a lane run in the margins beside the cells.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.model.layout.geometry import GAP_Y, HEAD, PAD, TRACK, Columns, Rows, State
from explorer.model.layout.template import End, Piece, Template, star

if TYPE_CHECKING:
    from explorer.model.layout.metric import Metric

LEFT, RIGHT, ABOVE, BELOW = "left", "right", "above", "below"  # sides of a cell; a leaf is left upwards
PORT = 10.0  # distance of two ports on the upper or lower side of a folded cell
Net = Any  # the end at which it begins


@dataclass
class _Wiring:
    """What has to be connected in a column, whatever its size."""

    margins: dict[str, list[Net]] = field(default_factory=lambda: {LEFT: [], RIGHT: []})
    gaps: dict[int, list[Net]] = field(
        default_factory=lambda: defaultdict(list)
    )  # those above the lane; −1 below
    ways: dict[Piece, list[tuple[str, Any]]] = field(
        default_factory=dict
    )  # margins and gaps one after the other
    straight: dict[Any, End] = field(default_factory=dict)  # port of the column -> cell at whose height it is


def _side(metric: Metric, t: Template, end: End, target: bool) -> str:
    """On which side an edge leaves or enters."""
    (kind, name), port = end
    if kind == "in":
        return RIGHT if name in t.east_in else LEFT
    if kind == "out":
        return LEFT if name in t.west_out else RIGHT
    if not t.children[name]:
        return LEFT if target else ABOVE
    cell = metric.t.templates[*t.key, name]
    if port in (cell.south if target else cell.north):
        return BELOW if target else ABOVE
    return RIGHT if _mirrored(t, name) != (not target) else LEFT


def _mirrored(t: Template, child: str) -> bool:
    return any(p in t.east_in and b == ("node", child) for (a, _), (b, _) in t.edges for p in (a[1],))


def _wiring(metric: Metric, t: Template) -> _Wiring:
    wiring = _Wiring()
    lane = {name: k for k, name in enumerate(t.lanes)}
    for a, b in t.edges:
        if b[0][0] == "out":
            wiring.straight.setdefault(b[0], a)
        elif a[0][0] == "in":
            wiring.straight.setdefault(a[0], b)
    for a, b in t.edges:
        if wiring.straight.get(b[0]) == a or wiring.straight.get(a[0]) == b:
            wiring.ways[a, b] = []
            continue
        source, target = _side(metric, t, a, False), _side(metric, t, b, True)
        begin = wiring.straight[a[0]] if a[0][0] == "in" else a
        gap = lane[begin[0][1]]
        way: list[tuple[str, Any]] = [(source, None)] if source != ABOVE else [("gap", gap)]
        if target == BELOW:
            arrival = lane[b[0][1]] - 1
            if way != [("gap", arrival)]:
                if source == ABOVE:  # past the lanes between on the side where it is read
                    way.append((RIGHT if _mirrored(t, b[0][1]) else LEFT, None))
                way.append(("gap", arrival))
        elif source != target:
            if source != ABOVE:
                way.append(("gap", gap))
            way.append((target, None))
        wiring.ways[a, b] = way
        for kind, number in way:
            nets = wiring.gaps[number] if kind == "gap" else wiring.margins[kind]
            if a not in nets:
                nets.append(a)
    return wiring


def lanes_rows(metric: Metric, t: Template) -> Rows:
    wiring = _wiring(metric, t)
    heights = {name: metric.child_size(t, name)[1] for name in t.children}

    def room(gap: int) -> float:
        return TRACK * len(wiring.gaps[gap]) + 4.0 if wiring.gaps[gap] else 0.0

    y = HEAD + PAD
    centre: dict[str, float] = {}
    for k in range(len(t.lanes) - 1, -1, -1):
        y += room(k)
        centre[t.lanes[k]] = y + heights[t.lanes[k]] / 2
        y += heights[t.lanes[k]] + GAP_Y
    rows = Rows(
        y - GAP_Y + room(-1) + PAD,
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
    wiring, rows = _wiring(metric, t), metric.rows_of(t.key)
    cells = {
        name: metric.columns_of((*t.key, *star((name,))), inner)
        for name, inner in dict(state).items()
        if inner is not None
    }
    widths = {
        name: cells[name].width if name in cells else metric.child_size(t, name)[0] for name in t.children
    }
    margins = {side: PAD + TRACK * (len(nets) + 1) for side, nets in wiring.margins.items()}
    width = margins[LEFT] + max(widths.values()) + margins[RIGHT]
    centre = {
        name: width - margins[RIGHT] - w / 2 if _mirrored(t, name) else margins[LEFT] + w / 2
        for name, w in widths.items()
    }

    def x_of(end: End, side: str) -> float:
        (kind, name), port = end
        if kind != "node":
            return 0.0 if side == LEFT else width
        if side in (LEFT, RIGHT):
            return centre[name] + (widths[name] / 2 if side == RIGHT else -widths[name] / 2)
        if not t.children[name]:
            return centre[name]
        vertex = ("in" if side == BELOW else "out"), port
        if name in cells:
            return centre[name] - widths[name] / 2 + cells[name].ports_x[vertex]
        cell = metric.t.templates[*t.key, name]
        ports = [
            p for p in (cell.in_ports if side == BELOW else cell.out_ports) if p in cell.south | cell.north
        ]
        return centre[name] + PORT * (ports.index(port) - (len(ports) - 1) / 2)

    def margin_x(net: Net, side: str) -> float:
        place = PAD / 2 + TRACK * (wiring.margins[side].index(net) + 1)
        return place if side == LEFT else width - place

    def gap_y(net: Net, gap: int) -> float:
        track = 4.0 + TRACK * (wiring.gaps[gap].index(net) + 0.5)
        if gap < 0:
            return rows.height - PAD - TRACK * len(wiring.gaps[gap]) - 4.0 + track
        k = list(t.children).index(t.lanes[gap])
        return float(rows.y[k] - rows.half[k]) - track

    routes = {}
    for edge, way in wiring.ways.items():
        a, b = edge
        x, y = x_of(a, _side(metric, t, a, False)), _height(metric, t, rows, a, False)
        stop = (x_of(b, _side(metric, t, b, True)), _height(metric, t, rows, b, True))
        points = [(x, y)]
        for kind, number in way:
            if kind == "gap":
                y = gap_y(a, number)
            else:
                x = margin_x(a, kind)
            points.append((x, y))
        if way:
            points.append((stop[0], y) if way[-1][0] == "gap" else (x, stop[1]))
        routes[edge] = np.array([*points, stop])
    return Columns(width, centre, widths, routes)
