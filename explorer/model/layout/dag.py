"""Boxes in ranks, as `order` has put them: their heights, their places, and the ways of their edges.

Asked by `metric`, as `sequence` and `lanes` are. Knows one template at a time, and of what is inside a child
only its size and the heights of its ports.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.model.layout.geometry import (
    BOX,
    DUMMY_GAP,
    ENTRY,
    FAN,
    GAP_X,
    GAP_Y,
    HEAD,
    LEAST_WIDTH,
    PAD,
    SPINE_GAP,
    TRACK,
    Columns,
    Polyline,
    Rows,
    State,
)
from explorer.model.layout.rows import Attraction, Equality, Separation, solve
from explorer.model.layout.template import End, Piece, Template, star
from explorer.model.layout.tracks import Net, assign_tracks

if TYPE_CHECKING:
    from explorer.model.layout.metric import Metric


def dag_rows(metric: Metric, t: Template) -> Rows:
    n, total = len(t.vertices), len(t.rank)
    half = np.zeros(total)
    for i, (kind, local) in enumerate(t.vertices):
        if kind == "node":
            half[i] = metric.child_size(t, local)[1] / 2

    fanned = {r for gap in t.dense_gaps for r in (gap, gap + 1)}

    def gap(a: int, b: int) -> float:
        if t.rank[a] in fanned and a < n and b < n:  # as far apart as the boxes that they lead to
            half_a, half_b = (max(half[i], BOX[1] / 2) for i in (a, b))
            return half_a + half_b + GAP_Y - half[a] - half[b]
        boxes = (a < n and t.vertices[a][0] == "node") + (b < n and t.vertices[b][0] == "node")
        if boxes == 1 and (a in t.on_spine or b in t.on_spine):
            return SPINE_GAP
        return (DUMMY_GAP, DUMMY_GAP, GAP_Y)[boxes]

    neighbours = [(a, b) for layer in t.layers for a, b in itertools.pairwise(layer)]
    attractions, spine, pairs = _wishes(metric, t)
    separations: list[Separation] = [(a, b, half[a] + half[b] + gap(a, b)) for a, b in neighbours]
    attractions += _columns_of_units(t, separations)
    if any(scope and (*t.key, *star((c,))) in metric.open_keys for c, scope in t.children.items()):
        # what is open keeps the order and the rows that all had when folded
        locks, same_row = _kept_rows(metric, t)
        y = solve(total, separations, attractions, spine, [pairs, same_row], locks)
    else:
        y = solve(total, separations, attractions, spine, [pairs])
    _place_loose(t, y, half)
    real = [i for layer in t.layers for i in layer] + t.loose
    top = min((y[i] - half[i] for i in real), default=0.0) - PAD - (HEAD if t.key else 0)
    y = y - top
    height = max((y[i] + half[i] for i in real), default=HEAD) + PAD + TRACK * len(_back_nets(t))
    for i in t.across():
        y[i] = height if t.vertices[i][0] == "in" else 0.0
    ports_in = {p: float(y[t.index["in", p]]) for p in t.in_ports}
    ports_out = {p: float(y[t.index["out", p]]) for p in t.out_ports}
    return Rows(float(height), y, half, ports_in, ports_out)


def _kept_rows(metric: Metric, t: Template) -> tuple[list[Separation], list[Equality]]:
    """Rows of the plain boxes as they are when everything inside is folded: their order, and which boxes
    share one. Scopes are where their lines lead them."""
    y = metric.alike(t.key).rows_of(t.key).y
    boxes = [i for i, (kind, local) in enumerate(t.vertices) if kind == "node" and not t.children[local]]
    rows: list[list[int]] = []
    for i in sorted((i for i in boxes if i not in t.loose), key=lambda i: (y[i], i)):
        if rows and abs(y[rows[-1][0]] - y[i]) < 1.5:
            rows[-1].append(i)
        else:
            rows.append([i])
    same_row = [(a, b, 0.0) for row in rows for a, b in itertools.pairwise(row)]
    locks = [(i, j, 0.0) for a, b in itertools.pairwise(rows) for i in a for j in b]
    return locks, same_row


def _place_loose(t: Template, y: np.ndarray, half: np.ndarray) -> None:
    """Boxes without edges go above or below the first rank, where the picture grows less."""

    def extent(boxes: Iterable[int]) -> tuple[float, float]:
        several = list(boxes)
        return min((y[i] - half[i] for i in several), default=0.0), max(
            (y[i] + half[i] for i in several), default=0.0
        )

    low, high = extent(t.layers[0])  # of the first rank
    top, bottom = extent(i for layer in t.layers for i in layer)
    for i in t.loose:
        above, below = low - GAP_Y - half[i], high + GAP_Y + half[i]
        y[i] = above if top - (above - half[i]) < below + half[i] - bottom else below
        low, high = min(low, y[i] - half[i]), max(high, y[i] + half[i])
        top, bottom = min(top, low), max(bottom, high)


def _wishes(metric: Metric, t: Template) -> tuple[list[Attraction], list[Equality], list[Equality]]:
    """What wants to be straight, what has to be (spines), and which ports want the same height."""
    n = len(t.vertices)
    spine_steps = {(a, b) for s in t.spines for a, b in itertools.pairwise(s)}
    attractions: list[Attraction] = []
    spine: list[Equality] = []
    rows = {("out", out) for out in t.through.values()}
    across = t.across()
    for edge, chain in t.chains.items():
        if metric.shown and not metric.is_drawn(t, edge):
            continue
        on_spine = (edge[0][0], edge[1][0]) in spine_steps
        for p, q in itertools.pairwise(chain):
            if t.rank[p] in t.dense_gaps or p in across or q in across:
                continue
            forwards = edge not in t.reversed
            offset = _port_offset(metric, t, edge, forwards) if p == chain[0] else 0.0
            offset -= _port_offset(metric, t, edge, not forwards) if q == chain[-1] else 0.0
            if on_spine or edge[1][0] in rows:
                spine.append((p, q, offset))
            else:
                weight = (6.0, 2.0, 1.0)[(p < n) + (q < n)]
                if _feeds_spine(metric, t, edge):
                    weight *= 20.0
                elif _is_leaf(metric, t, edge[0][0]):
                    weight *= 0.3  # a leaf makes room for the line that passes it
                attractions.append((p, q, offset, weight))
    pairs = [
        (t.index["in", i], t.index["out", o], 0.0)
        for i, o in sorted(t.pairs, key=repr)
        if ("in", i) in t.index and ("out", o) in t.index
    ]
    return attractions, spine, pairs


def _is_leaf(metric: Metric, t: Template, vertex: tuple[str, Any]) -> bool:
    return vertex[0] == "node" and not t.children[vertex[1]] and not metric.t.op_name(t, vertex[1])


def _feeds_spine(metric: Metric, t: Template, edge: tuple[End, End]) -> bool:
    """Whether an edge enters a sequence where its state line begins."""
    vertex, port = edge[1]
    return vertex[0] == "node" and port is not None and metric.t.begins_spine((*t.key, vertex[1]), port)


def _columns_of_units(t: Template, separations: list[Separation]) -> list[Attraction]:
    """What keeps the units on both sides of a dense gap close together, and their middles at one height."""
    below = {a: (b, distance) for a, b, distance in separations}
    wishes: list[Attraction] = []
    for gap in sorted(t.dense_gaps):
        middle = []
        for layer in (t.layers[gap], t.layers[gap + 1]):
            height = 0.0
            for a in layer[:-1]:
                b, distance = below[a]
                height += distance
                wishes.append((a, b, distance, 0.5))
            middle.append(height / 2)
        wishes.append((t.layers[gap][0], t.layers[gap + 1][0], middle[0] - middle[1], 2.0))
    return wishes


def _port_offset(metric: Metric, t: Template, edge: tuple[End, End], source: bool) -> float:
    """Where an edge leaves or enters a box, from the box's centre."""
    vertex, port = t.starts.get(edge, edge[0]) if source else edge[1]
    if vertex[0] != "node":
        return 0.0
    if t.children[vertex[1]]:
        rows = metric.rows_of((*t.key, *star((vertex[1],))))
        ports = rows.ports_out if source else rows.ports_in
        return ports[port] - rows.height / 2
    if source:
        return 0.0
    k, count, on_spine = t.entries.get(edge, (0, 1, False))
    if on_spine or count == 1:
        return 0.0
    spine_at = t.middle.get(edge[1], (count - 1) / 2)
    room = metric.child_size(t, vertex[1])[1] / 2 - 6
    step = min(ENTRY, room / max(spine_at, count - 1 - spine_at, 1))
    return (k - spine_at) * step


# Widths


def dag_columns(metric: Metric, t: Template, state: State) -> Columns:
    rows = metric.rows_of(t.key)
    child_states = dict(state)
    widths: dict[str, float] = {}
    plain: dict[str, float] = {}
    for local, is_scope in t.children.items():
        plain[local] = metric.child_size(t, local)[0]
        inner = child_states.get(local)
        widths[local] = (
            metric.columns_of((*t.key, *star((local,))), inner).width
            if is_scope and inner is not None
            else plain[local]
        )
    n = len(t.vertices)

    def widest(sizes: dict[str, float], layer: list[int]) -> float:
        locals_ = [t.vertices[i][1] for i in layer if i < n and t.vertices[i][0] == "node"]
        return max((sizes[c] for c in locals_), default=0.0)

    layers = [[*layer, *(t.loose if r == 0 else [])] for r, layer in enumerate(t.layers)]
    rank_width = [widest(widths, layer) for layer in layers]
    rank_plain = [widest(plain, layer) for layer in layers]
    tracks, counts = _gap_tracks(metric, t, rows)
    room = _room(metric, t) if any(t.children.values()) else counts
    back = _back_nets(t)
    fans = Counter(t.rank[i] for i, _ in t.fans.values())
    lefts = [(0.0 if t.in_ports else PAD) + (TRACK * len(back) if room[-1] else 0.0)]
    for r in range(len(t.layers) - 1):
        gap = max(GAP_X, 16 + TRACK * (room[r] + 1)) if room[r] else GAP_X
        edge_of_scope = (r == 0 and t.in_ports) or (r == len(t.layers) - 2 and t.out_ports)
        if edge_of_scope and not room[r]:
            gap = PAD + 4
        if r in t.dense_gaps:
            # many lines are a band, whatever its width; few can be followed where there is room
            gap = max(gap, min(max(FAN[0], FAN[1] / max(fans[r], 1)), FAN[2]))
        lefts.append(lefts[-1] + rank_width[r] + gap)
    width = (lefts[-1] + rank_width[-1] if t.layers else 0.0) + (0.0 if t.out_ports else PAD)
    width += TRACK * len(back)
    spare = (LEAST_WIDTH - width) / 2 if t.key else 0.0
    if spare > 0:  # ports stay on the border, what is between moves to the middle
        first, last = bool(t.in_ports), len(lefts) - bool(t.out_ports)
        lefts = [x + spare if k >= first else x for k, x in enumerate(lefts)]
        lefts = [x + spare if k >= last else x for k, x in enumerate(lefts)]
        width = LEAST_WIDTH
    centre = {}
    for i, (kind, local) in enumerate(t.vertices):
        if kind == "node":
            r = t.rank[i]  # a box stays where it was when a neighbour of its rank opens
            centre[local] = lefts[r] + max(min(rank_plain[r], rank_width[r]), widths[local]) / 2
    routes = {
        edge: _route(metric, t, rows, edge, chain, lefts, rank_width, centre, widths, tracks, counts)
        for edge, chain in t.chains.items()
        if not metric.shown or metric.is_drawn(t, edge)
    }
    routes |= _fans(metric, t, rows, lefts, rank_width, centre, widths)
    ports_x = {
        e[0][0]: float(routes[e][0][0]) for e in routes if e[0][0][0] == "in" and e[0][0][1] in t.south
    }
    ports_x |= {
        e[1][0]: float(routes[e][-1][0]) for e in routes if e[1][0][0] == "out" and e[1][0][1] in t.north
    }
    return Columns(width, centre, widths, routes, ports_x)


def _fans(
    metric: Metric,
    t: Template,
    rows: Rows,
    lefts: list[float],
    rank_width: list[float],
    centre: dict[str, float],
    widths: dict[str, float],
) -> dict[Piece, Polyline]:
    """Ways across the gaps between dense layers: curves from every unit to every unit."""
    if not t.fans:
        return {}
    right, left = np.empty(len(t.vertices)), np.empty(len(t.vertices))
    for i, (kind, local) in enumerate(t.vertices):
        border = lefts[t.rank[i]] + rank_width[t.rank[i]]
        right[i] = centre[local] + widths[local] / 2 if kind == "node" else border
        left[i] = centre[local] - widths[local] / 2 if kind == "node" else border
    p, q = np.array(list(t.fans.values())).T
    y_p, y_q = rows.y[p], rows.y[q]
    if any(t.children.values()):
        y_p = y_p + [_port_offset(metric, t, edge, True) for edge in t.fans]
        y_q = y_q + [_port_offset(metric, t, edge, False) for edge in t.fans]
    return dict(zip(t.fans, _curves(right[p], y_p, left[q], y_q), strict=True))


# The ways of edges


def _gap_tracks(metric: Metric, t: Template, rows: Rows) -> tuple[list[dict[Any, int]], list[int]]:
    gaps: list[dict[Any, tuple[set[float], set[float]]]] = [
        defaultdict(lambda: (set(), set())) for _ in [*t.layers, None]
    ]

    def add(gap: int, net: Any, source: float, target: float) -> None:
        gaps[gap][net][0].add(round(source, 2))
        gaps[gap][net][1].add(round(target, 2))

    for edge, chain in t.chains.items():
        if metric.shown and not metric.is_drawn(t, edge):
            continue
        if _runs_back(t, chain):
            low = _below(t, rows, edge)
            (p, q, y_p, y_q) = next(_heights(metric, t, rows, edge, chain))
            add(t.rank[p], (edge[0], round(y_p, 2)), y_p, low)
            add(t.rank[q] - 1, (edge[0], low), low, y_q)
            continue
        for p, q, y_p, y_q in _heights(metric, t, rows, edge, chain):
            if t.rank[p] not in t.dense_gaps:
                add(t.rank[p], _net(t, edge, p, q, y_p), y_p, y_q)
    tracks, counts = [], []
    for gap in gaps:
        assigned, count = assign_tracks([Net(k, frozenset(y0), frozenset(y1)) for k, (y0, y1) in gap.items()])
        tracks.append(assigned)
        counts.append(count)
    return tracks, counts


def _room(metric: Metric, t: Template) -> list[int]:
    """For how many tracks each gap has room: the same in every folding state, so that opening a scope
    moves nothing in steps where it stays folded."""
    folded = metric.alike(t.key)
    if t.key not in folded.rooms:
        counts = (_gap_tracks(m, t, m.rows_of(t.key))[1] for m in (folded, metric.alike(None)))
        folded.rooms[t.key] = [max(c) for c in zip(*counts, strict=True)]
    return folded.rooms[t.key]


def _route(
    metric: Metric,
    t: Template,
    rows: Rows,
    edge: tuple[End, End],
    chain: list[int],
    lefts: list[float],
    rank_width: list[float],
    centre: dict[str, float],
    widths: dict[str, float],
    tracks: list[dict[Any, int]],
    counts: list[int],
) -> Polyline:
    def side(vertex: tuple[str, Any], right: bool, rank: int) -> float:
        if vertex[0] != "node":
            return lefts[rank] + rank_width[rank]
        return centre[vertex[1]] + (widths[vertex[1]] / 2 if right else -widths[vertex[1]] / 2)

    def turn(gap: int, net: Any) -> float:
        if gap < 0:
            left, right = PAD / 2, lefts[0]
        else:
            left = lefts[gap] + rank_width[gap]
            right = lefts[gap + 1] if gap + 1 < len(lefts) else left + PAD + TRACK * counts[gap]
        return left + (right - left) * (tracks[gap][net] + 1) / (counts[gap] + 1)

    points: list[tuple[float, float]] = []
    across = t.across()
    first, last = t.starts.get(edge, edge[0])[0], edge[1][0]
    if edge in t.reversed:
        first, last = last, first
    if _runs_back(t, chain):  # around below everything
        (p, q, y_p, y_q) = next(_heights(metric, t, rows, edge, chain))
        low = _below(t, rows, edge)
        out_x = turn(t.rank[p], (edge[0], round(y_p, 2)))
        in_x = turn(t.rank[q] - 1, (edge[0], low))
        points = [(side(edge[0][0], True, t.rank[p]), y_p), (out_x, y_p), (out_x, low)]
        return np.array([*points, (in_x, low), (in_x, y_q), (side(edge[1][0], False, t.rank[q]), y_q)])
    for p, q, y_p, y_q in _heights(metric, t, rows, edge, chain):
        r = t.rank[p]
        if p in across or q in across:  # up from the lower side, or on to the upper one
            x = turn(r, _net(t, edge, p, q, y_p))
            if p not in across:
                points.append((side(first, True, r) if p == chain[0] else lefts[r], y_p))
            points += [(x, y_p), (x, y_q)]
            if q not in across:
                at = side(last, False, t.rank[q]) if q == chain[-1] else lefts[t.rank[q]]
                points.append((at, y_q))
            continue
        begin = side(first, True, r) if p == chain[0] else lefts[r]
        if p == chain[0] and edge in t.starts:  # through a scope that reads it too
            points.append((side(edge[0][0], True, 0), y_p))
        points.append((begin, y_p))
        end = side(last, False, t.rank[q]) if q == chain[-1] else lefts[t.rank[q]]
        if r in t.dense_gaps:
            from_x = begin if p == chain[0] else lefts[r] + rank_width[r]
            points += _curves(*(np.array([v]) for v in (from_x, y_p, end, y_q)))[0].tolist()
            continue
        if abs(y_p - y_q) > 0.05 and r < t.rank[q]:
            x = turn(r, _net(t, edge, p, q, y_p))
            points += [(x, y_p), (x, y_q)]
        points.append((end, y_q))
    return np.array(points[::-1] if edge in t.reversed else points)


def _heights(
    metric: Metric, t: Template, rows: Rows, edge: tuple[End, End], chain: list[int]
) -> Iterator[tuple[int, int, float, float]]:
    """For each hop of a chain: its two elements and the heights at which the edge leaves and arrives."""
    forwards = edge not in t.reversed
    for k, (p, q) in enumerate(itertools.pairwise(chain)):
        y_p = rows.y[p] + (_port_offset(metric, t, edge, forwards) if k == 0 else 0.0)
        y_q = rows.y[q] + (_port_offset(metric, t, edge, not forwards) if k == len(chain) - 2 else 0.0)
        yield p, q, float(y_p), float(y_q)


def _below(t: Template, rows: Rows, edge: tuple[End, End]) -> float:
    """The height at which an edge that runs back passes below everything."""
    nets = _back_nets(t)
    return rows.height - PAD / 2 - TRACK * (len(nets) - 1 - nets.index(edge[0]))


def _net(t: Template, edge: Piece, p: int, q: int, y: float) -> Any:
    """What a hop of an edge turns together with: others from the same place, or to the same."""
    if edge in t.joined and q == t.chains[edge][-1]:
        return "into", t.joined[edge]
    return p, round(y, 2)


def _runs_back(t: Template, chain: list[int]) -> bool:
    """Whether an edge leads to the left: one of those that close a circle of scopes."""
    return t.rank[chain[0]] >= t.rank[chain[-1]]


def _back_nets(t: Template) -> list[End]:
    return list(dict.fromkeys(edge[0] for edge, chain in t.chains.items() if _runs_back(t, chain)))


def _curves(x0: np.ndarray, y0: np.ndarray, x1: np.ndarray, y1: np.ndarray) -> np.ndarray:
    """Lines that leave and arrive nearly horizontally, shape (lines, points, 2)."""
    u = np.linspace(0.0, 1.0, 13)
    x = x0[:, None] + (x1 - x0)[:, None] * u
    y = y0[:, None] + (y1 - y0)[:, None] * ((u + u * u * (3.0 - 2.0 * u)) / 2)
    return np.stack([x, y], axis=2)
