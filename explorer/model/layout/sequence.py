"""Time steps as columns: their heights, places and the lines between them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.model.layout.geometry import FOLDED, GAP_X, HEAD, PAD, TRACK, Columns, Rows, State
from explorer.model.layout.template import End, Piece, Template

if TYPE_CHECKING:
    from explorer.model.layout.metric import Metric


@dataclass
class Shown:
    """Which columns of a sequence are drawn: all of them, one alone (rolled up), or a range as one."""

    template: Template  # with the columns that are drawn, and the edges between those
    column_of: dict[str, str]  # time step -> the column in which it is seen
    rolled: bool

    @classmethod
    def rolled_up(cls, t: Template, now: str) -> Shown:
        """The cell of step `now` alone; what recurs loops from its end to its beginning."""
        return cls._of(t, dict.fromkeys(t.children, now), rolled=True)

    @classmethod
    def with_range(cls, t: Template, name: str) -> Shown:
        """All columns, but the steps of one range as a single box."""
        first, last = map(int, name[2:].split("…"))
        return cls._of(t, {c: name if first <= int(c[2:]) <= last else c for c in t.children}, rolled=False)

    @classmethod
    def _of(cls, t: Template, column_of: dict[str, str], *, rolled: bool) -> Shown:
        template = Template(t.key, kind="seq", children=dict.fromkeys(column_of.values(), True))
        template.edges, template.joined_out, template.through = {}, t.joined_out, t.through
        template.east_in = t.east_in
        outer: dict[Any, tuple[End, End]] = {}
        for edge in t.edges:
            (a, port_a), (b, port_b) = edge
            if a[0] == b[0] == "node":
                new = (("node", column_of[a[1]]), port_a), (("node", column_of[b[1]]), port_b)
                if rolled or new[0][0] != new[1][0]:
                    template.edges.setdefault(new)
            elif a[0] == "in":  # into a range at its first step; into a rolled cell as into the step shown
                column = column_of[b[1]]
                kept = outer.setdefault(("in", column, port_b), edge)
                if rolled and b[1] == column != kept[1][0][1]:
                    outer["in", column, port_b] = edge
            elif not rolled or a[1] == column_of[a[1]]:  # out of a range at its last step
                outer["out", column_of[a[1]], port_a, b[1][1:]] = edge
        for edge in outer.values():
            template.edges.setdefault(_moved(edge, column_of))
        for (source, _), (target, _) in template.edges:
            if source[0] == "in":
                template.in_ports.setdefault(source[1])
            if target[0] == "out":
                template.out_ports.setdefault(target[1])
        return cls(template, column_of, rolled)

    def moved(self, piece: tuple[End, End]) -> tuple[End, End]:
        """An edge of the sequence between the columns in which it is seen."""
        return _moved(piece, self.column_of)


def _moved(piece: tuple[End, End], column_of: dict[str, str]) -> tuple[End, End]:
    a, b = (
        (("node", column_of[vertex[1]]), port) if vertex[0] == "node" else (vertex, port)
        for vertex, port in piece
    )
    return a, b


def sequence_rows(metric: Metric, whole: Template) -> Rows:
    t = metric.shown_columns(whole)
    step = metric.rows_of((*t.key, "t=*"))
    channels = Channels(t, metric.t.templates[(*t.key, "t=*")])
    top = HEAD + PAD + TRACK * channels.above
    bottom = top + step.height

    def track(net: Any, above: bool) -> float:
        k = channels.track[net]
        return HEAD + PAD + TRACK * (k - 0.5) if above else bottom + TRACK * (k + 1)

    metric.tracks[t.key] = {net: track(net, channels.is_above[net]) for net in channels.track}
    ports_in = {
        p: top + step.ports_in[channels.straight_in[p]]
        if p in channels.straight_in
        else metric.tracks[t.key]["in", p]
        for p in t.in_ports
    }
    ports_out = {}
    for p in t.out_ports:
        source = channels.source_of[p]
        ports_out[p] = (
            top + step.ports_out[source[1]] if p in channels.straight_out else metric.tracks[t.key][source]
        )
    # what is not drawn has a height all the same: the picture around does not know
    for p in whole.in_ports:
        ports_in.setdefault(p, top + step.height / 2)
    alike = {p[1:]: y for p, y in ports_out.items()}
    for p in whole.out_ports:
        ports_out.setdefault(p, alike.get(p[1:], top + step.height / 2))
    height = bottom + TRACK * (channels.below + 1 if channels.below else 0) + PAD
    return Rows(height, np.array([top]), np.array([step.height / 2]), ports_in, ports_out)


def sequence_columns(metric: Metric, t: Template, state: State) -> Columns:
    t = metric.shown_columns(t)
    template = metric.t.templates[(*t.key, "t=*")]
    channels = Channels(t, template)
    rows = metric.rows_of(t.key)
    step = metric.rows_of((*t.key, "t=*"))
    top = float(rows.y[0])
    names = list(t.children)
    child_states = dict(state)
    widths = {
        name: metric.columns_of((*t.key, "t=*"), child_states[name]).width
        if child_states[name] is not None
        else FOLDED[0]
        for name in names
    }
    turns = _turns(metric, t, channels, step)
    slots = max((len(nets) for nets in turns.values()), default=0)
    gap = max(GAP_X + 8, 16 + TRACK * (slots + 1))
    left = PAD + (16 + TRACK * (len(turns[-1]) + 1) if turns.get(-1) else 0)
    starts = {}
    x = left
    for name in names:
        starts[name] = x
        x += widths[name] + gap
    width = x - gap + (gap if turns.get(len(names) - 1) else 0) + PAD

    def turn_x(g: int, net: Any) -> float:
        begin = PAD if g < 0 else starts[names[g]] + widths[names[g]]
        return begin + 10 + TRACK * (turns[g].index(net) + 0.5)

    def side(name: str, right: bool) -> float:
        return starts[name] + (widths[name] if right else 0.0)

    routes = {}
    for edge in t.edges:
        (a, port_a), (b, port_b) = edge
        net = channels.net(edge)
        start = (
            (width if a[1] in t.east_in else 0.0, rows.ports_in[a[1]])
            if a[0] == "in"
            else (side(a[1], port_a not in template.west_out), top + step.ports_out[port_a])
        )
        stop = (
            (width, rows.ports_out[b[1]])
            if b[0] == "out"
            else (side(b[1], port_b in template.east_in), top + step.ports_in[port_b])
        )
        points = [start]
        g_out, g_in = channels.gaps(edge)
        if channels.is_row(edge):
            if abs(start[1] - stop[1]) > 0.05:  # the first of the steps may read it elsewhere
                xt = turn_x(g_in, net)
                points += [(xt, start[1]), (xt, stop[1])]
        elif g_out == g_in:
            if abs(start[1] - stop[1]) > 0.05:
                xt = turn_x(g_out, net)
                points += [(xt, start[1]), (xt, stop[1])]
        else:
            y = metric.tracks[t.key][net]
            if a[0] != "in" or abs(start[1] - y) > 0.05:
                points += [(turn_x(g_out, net), start[1]), (turn_x(g_out, net), y)]
            if b[0] != "out" or abs(stop[1] - y) > 0.05:
                points += [(turn_x(g_in, net), y), (turn_x(g_in, net), stop[1])]
        routes[edge] = np.array([*points, stop])
    centre = {name: starts[name] + widths[name] / 2 for name in names}
    return Columns(width, centre, widths, routes)


def _turns(metric: Metric, t: Template, channels: Channels, step: Rows) -> dict[int, list[Any]]:
    """Which nets run vertically in which gap; gap g is right of column g, −1 is left of the first."""
    turns: dict[int, dict[Any, None]] = defaultdict(dict)
    top = float(metric.rows_of(t.key).y[0])
    for edge in t.edges:
        (a, port_a), (b, port_b) = edge
        net = channels.net(edge)
        g_out, g_in = channels.gaps(edge)
        if channels.is_row(edge):
            if port_b != channels.template.through[a[1]]:
                turns[g_in].setdefault(net)
            continue
        if g_out == g_in:
            y0 = metric.rows_of(t.key).ports_in[a[1]] if a[0] == "in" else top + step.ports_out[port_a]
            y1 = metric.rows_of(t.key).ports_out[b[1]] if b[0] == "out" else top + step.ports_in[port_b]
            if abs(y0 - y1) > 0.05:
                turns[g_out].setdefault(net)
            continue
        if a[0] != "in" or a[1] in channels.straight_in:
            turns[g_out].setdefault(net)
        if b[0] != "out":
            turns[g_in].setdefault(net)
    return {g: list(nets) for g, nets in turns.items()}


class Channels:
    """Horizontal tracks above and below the columns of a sequence, for what skips columns.

    A net is a source: ("in", port) from outside, or (column, port). What comes from outside runs above,
    what leaves an inner column runs below; the nets nest, so that they do not cross.
    """

    def __init__(self, t: Template, step: Template) -> None:
        self.template, self.step = t, step
        self.place = {name: k for k, name in enumerate(t.children)}
        self.straight_in: dict[Any, Any] = {}  # port of the sequence -> port of its first step
        self.straight_out: set[Any] = set()
        self.source_of: dict[Any, Any] = {}
        reach: dict[Any, list[int]] = defaultdict(list)
        for edge in t.edges:
            (a, _), (b, port_b) = edge
            net = self.net(edge)
            g_out, g_in = self.gaps(edge)
            joined = b[0] == "out" and b[1] in t.joined_out
            if b[0] == "out":
                self.source_of[b[1]] = net
                if g_out == g_in and not joined:
                    self.straight_out.add(b[1])
            if a[0] == "in" and (g_in == g_out or self.is_row(edge)):
                self.straight_in[a[1]] = t.through.get(a[1], port_b)
            if (g_out != g_in or joined) and not self.is_row(edge):
                reach[net] += [g_out, g_in]
        above = sorted((n for n in reach if n[0] == "in"), key=lambda n: (-max(reach[n]), repr(n)))
        below = sorted((n for n in reach if n[0] != "in"), key=lambda n: (-min(reach[n]), repr(n)))
        self.is_above = {n: n[0] == "in" for n in reach}
        self.track = {n: k for nets in (above, below) for k, n in enumerate(nets)}
        self.above, self.below = len(above), len(below)

    def is_row(self, edge: Piece) -> bool:
        """Whether an edge runs straight through the steps before the one that it leads to."""
        return edge[0][0][0] == "in" and edge[0][0][1] in self.template.through

    def net(self, edge: Piece) -> Any:
        """Which line an edge is part of."""
        (a, port_a), (b, _) = edge
        if a[0] == "in":
            return a
        return ("", port_a) if b[0] == "out" and b[1] in self.template.joined_out else (a[1], port_a)

    def gaps(self, edge: tuple[End, End]) -> tuple[int, int]:
        """The gaps in which an edge leaves and arrives; gap g is right of column g, −1 left of the first."""
        (a, port_a), (b, port_b) = edge
        if a[0] == "in" and a[1] in self.template.east_in:
            return len(self.place) - 1, len(self.place) - 1
        g_out = -1 if a[0] == "in" else self.place[a[1]] - (port_a in self.step.west_out)
        if b[0] == "out":
            return g_out, len(self.place) - 1
        return g_out, self.place[b[1]] - (port_b not in self.step.east_in)
