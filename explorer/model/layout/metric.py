"""The metric stage: coordinates of everything for one folding state; a pure function, milliseconds.

Heights are solved per template, so that all instances agree; widths per template and folding pattern. An
edge is the concatenation of the pieces that its scopes' templates routed, moved to where each scope stands.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from explorer.model.layout.geometry import (
    BOX,
    CHIP,
    DUMMY_GAP,
    ENTRY,
    FOLDED,
    GAP_X,
    GAP_Y,
    HEAD,
    LEAST_WIDTH,
    PAD,
    SPINE_GAP,
    TRACK,
    Area,
    Box,
    Column,
    Columns,
    Edge,
    Layout,
    Polyline,
    Rows,
    State,
)
from explorer.model.layout.lanes import lanes_columns, lanes_rows
from explorer.model.layout.rows import Attraction, Equality, Separation, solve
from explorer.model.layout.sequence import Shown, sequence_columns, sequence_rows
from explorer.model.layout.topology import End, Path, Template, Topology, star
from explorer.model.layout.tracks import Net, assign_tracks


def lay_out(topology: Topology, folded: frozenset[str] = frozenset(), time: int | None = None) -> Layout:
    """Coordinates for one set of folded scopes (paths; those that do not exist are ignored).

    A folded `lstm/t=*` stands for a sequence rolled up to the one cell of the step `time`, a folded
    `lstm/t=4…97` for a range of steps shown as one column.
    """
    return Metric(topology, frozenset(folded), time).layout()


class Metric:
    """One run of the metric stage: rows and columns of templates as they are asked for, then instances."""

    def __init__(self, topology: Topology, folded: frozenset[str], time: int | None = None) -> None:
        self.t = topology
        self.shown: dict[Path, Shown] = {}  # by key of the sequence; those not drawn whole
        for path in sorted(folded):
            if (p := topology.ranges.get(path)) is not None:
                name = path.rpartition("/")[2]
                self.shown.setdefault(star(p), Shown.with_range(topology.templates[star(p)], name))
        for path in sorted(folded):
            if (p := topology.rolls.get(path)) is not None:
                steps = list(topology.templates[star(p)].children)
                now = min(steps, key=lambda name: abs(int(name[2:]) - (time or 0)))
                self.shown[star(p)] = Shown.rolled_up(topology.templates[star(p)], now)
        self.folded = folded
        self.rows: dict[Path, Rows] = {}
        self.rooms: dict[Path, list[int]] = {}
        self.columns: dict[tuple[Path, State], Columns] = {}
        self.states: dict[Path, State] = {}
        self.open: set[Path] = set()
        for scope in sorted((p for p in (*topology.scopes.values(), ())), key=len):
            hidden = self._seen_at(scope) != scope
            if (not scope or scope[:-1] in self.open) and "/".join(scope) not in folded and not hidden:
                self.open.add(scope)
        self.open_keys = {star(scope) for scope in self.open}
        self.tracks: dict[Path, dict[Any, float]] = {}  # sequence -> net -> height of its channel track

    def _alike(self, key: Path | None) -> Metric:
        """A metric with the same columns of sequences in which only the scopes of one template are open, or
        (None) all are: what does not depend on the folding state is found there, once."""
        columns = tuple((k, tuple(s.template.children)) for k, s in sorted(self.shown.items()))
        if (key, columns) not in self.t.metrics:
            metric = Metric(self.t, frozenset())
            metric.shown = self.shown
            if key is not None:
                metric.open_keys = {key}
            self.t.metrics[key, columns] = metric
        return self.t.metrics[key, columns]

    def _is_drawn(self, t: Template, edge: tuple[End, End]) -> bool:
        """Whether a piece of an edge is drawn: not if it leads to a step that is shown within another."""
        (a, port_a), (b, port_b) = edge
        source = self.shown.get((*t.key, a[1])) if a[0] == "node" and port_a is not None else None
        target = self.shown.get((*t.key, b[1])) if b[0] == "node" and port_b is not None else None
        return (source is None or port_a in source.template.out_ports) and (
            target is None or port_b in target.template.in_ports
        )

    def shown_columns(self, t: Template) -> Template:
        """A sequence with the columns that are drawn."""
        return self.shown[t.key].template if t.key in self.shown else t

    def _seen_at(self, path: Path) -> Path:
        """The path at which something is seen that may be in a column that is not drawn."""
        if self.shown:
            for k in range(len(path)):
                shown = self.shown.get(star(path[:k]))
                if shown is not None and path[k] in shown.column_of:
                    path = (*path[:k], shown.column_of[path[k]], *path[k + 1 :])
        return path

    # Heights

    def rows_of(self, key: Path) -> Rows:
        if key not in self.rows:
            template = self.t.templates[key]
            if key not in self.open_keys:
                self.rows[key] = self._folded_rows(template)
            elif template.kind == "seq":
                self.rows[key] = sequence_rows(self, template)
            elif template.kind == "lanes":
                self.rows[key] = lanes_rows(self, template)
            elif template.kind == "panel":
                self.rows[key] = self._panel_rows(template)
            else:
                self.rows[key] = self._dag_rows(template)
        return self.rows[key]

    def _folded_rows(self, t: Template) -> Rows:
        """Ports spread over the side; a recurring value leaves at the height at which it came."""
        height = max(FOLDED[1], 9.0 * (max(len(t.in_ports), len(t.out_ports)) + 1))

        def spread(ports: dict[Any, None], kind: str) -> dict[Any, float]:
            layer = t.layers[0 if kind == "in" else -1] if t.layers else []
            place = {t.vertices[i]: k for k, i in enumerate(layer) if i < len(t.vertices)}
            ordered = sorted(ports, key=lambda p: place.get((kind, p), 0))
            return {p: height * (k + 1) / (len(ports) + 1) for k, p in enumerate(ordered)}

        ports_in, ports_out = spread(t.in_ports, "in"), spread(t.out_ports, "out")
        for i, o in sorted(t.pairs, key=repr):
            if i in ports_in and o in ports_out:
                ports_out[o] = ports_in[i]
        return Rows(height, np.empty(0), np.empty(0), ports_in, ports_out)

    def child_size(self, t: Template, local: str) -> tuple[float, float]:
        """Width when folded, and height, of a child."""
        if t.children[local]:
            key = (*t.key, *star((local,)))
            return FOLDED[0], self.rows_of(key).height
        return CHIP if self.t.op_name(t, local) == "" else BOX

    def _port_offset(self, t: Template, edge: tuple[End, End], source: bool) -> float:
        """Where an edge leaves or enters a box, from the box's centre."""
        vertex, port = edge[0 if source else 1]
        if vertex[0] != "node":
            return 0.0
        if t.children[vertex[1]]:
            rows = self.rows_of((*t.key, *star((vertex[1],))))
            ports = rows.ports_out if source else rows.ports_in
            return ports[port] - rows.height / 2
        if source:
            return 0.0
        k, count, on_spine = t.entries.get(edge, (0, 1, False))
        if on_spine or count == 1:
            return 0.0
        spine_at = t.middle.get(edge[1], (count - 1) / 2)
        room = self.child_size(t, vertex[1])[1] / 2 - 6
        step = min(ENTRY, room / max(spine_at, count - 1 - spine_at, 1))
        return (k - spine_at) * step

    def _dag_rows(self, t: Template) -> Rows:
        n, total = len(t.vertices), len(t.rank)
        half = np.zeros(total)
        for i, (kind, local) in enumerate(t.vertices):
            if kind == "node":
                half[i] = self.child_size(t, local)[1] / 2

        def gap(a: int, b: int) -> float:
            boxes = (a < n and t.vertices[a][0] == "node") + (b < n and t.vertices[b][0] == "node")
            if boxes == 1 and (a in t.on_spine or b in t.on_spine):
                return SPINE_GAP
            return (DUMMY_GAP, DUMMY_GAP, GAP_Y)[boxes]

        neighbours = [(a, b) for layer in t.layers for a, b in itertools.pairwise(layer)]
        attractions, spine, pairs = self._wishes(t)
        separations: list[Separation] = [(a, b, half[a] + half[b] + gap(a, b)) for a, b in neighbours]
        if any(scope and (*t.key, *star((c,))) in self.open_keys for c, scope in t.children.items()):
            # what is open keeps the order and the rows that all had when folded
            locks, same_row = self._kept_rows(t)
            y = solve(total, separations, attractions, spine, [pairs, same_row], locks)
        else:
            y = solve(total, separations, attractions, spine, [pairs])
        self._place_loose(t, y, half)
        real = [i for layer in t.layers for i in layer] + t.loose
        top = min((y[i] - half[i] for i in real), default=0.0) - PAD - (HEAD if t.key else 0)
        y = y - top
        height = max((y[i] + half[i] for i in real), default=HEAD) + PAD + TRACK * len(_back_nets(t))
        ports_in = {p: float(y[t.index["in", p]]) for p in t.in_ports}
        ports_out = {p: float(y[t.index["out", p]]) for p in t.out_ports}
        return Rows(float(height), y, half, ports_in, ports_out)

    def _kept_rows(self, t: Template) -> tuple[list[Separation], list[Equality]]:
        """Rows of the plain boxes as they are when everything inside is folded: their order, and which boxes
        share one. Scopes are where their lines lead them."""
        y = self._alike(t.key).rows_of(t.key).y
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

    def _place_loose(self, t: Template, y: np.ndarray, half: np.ndarray) -> None:
        """Boxes without edges go above or below the first rank, where the picture grows less."""
        everything = [i for layer in t.layers for i in layer]
        for i in t.loose:
            first = [j for j in (*t.layers[0], *t.loose[: t.loose.index(i)])]
            low = min((y[j] - half[j] for j in first), default=0.0) - GAP_Y - half[i]
            high = max((y[j] + half[j] for j in first), default=0.0) + GAP_Y + half[i]
            top = min(y[j] - half[j] for j in everything)
            bottom = max(y[j] + half[j] for j in everything)
            y[i] = low if top - (low - half[i]) < high + half[i] - bottom else high
            everything.append(i)

    def _wishes(self, t: Template) -> tuple[list[Attraction], list[Equality], list[Equality]]:
        """What wants to be straight, what has to be (spines), and which ports want the same height."""
        n = len(t.vertices)
        spine_steps = {(a, b) for s in t.spines for a, b in itertools.pairwise(s)}
        attractions: list[Attraction] = []
        spine: list[Equality] = []
        for edge, chain in t.chains.items():
            if self.shown and not self._is_drawn(t, edge):
                continue
            on_spine = (edge[0][0], edge[1][0]) in spine_steps
            for p, q in itertools.pairwise(chain):
                offset = self._port_offset(t, edge, True) if p == chain[0] else 0.0
                offset -= self._port_offset(t, edge, False) if q == chain[-1] else 0.0
                if on_spine:
                    spine.append((p, q, offset))
                else:
                    weight = (6.0, 2.0, 1.0)[(p < n) + (q < n)]
                    if self._feeds_spine(t, edge):
                        weight *= 20.0
                    elif self._is_leaf(t, edge[0][0]):
                        weight *= 0.3  # a leaf makes room for the line that passes it
                    attractions.append((p, q, offset, weight))
        pairs = [
            (t.index["in", i], t.index["out", o], 0.0)
            for i, o in sorted(t.pairs, key=repr)
            if ("in", i) in t.index and ("out", o) in t.index
        ]
        return attractions, spine, pairs

    def _is_leaf(self, t: Template, vertex: tuple[str, Any]) -> bool:
        return vertex[0] == "node" and not t.children[vertex[1]] and not self.t.op_name(t, vertex[1])

    def _feeds_spine(self, t: Template, edge: tuple[End, End]) -> bool:
        """Whether an edge enters a sequence where its state line begins."""
        vertex, port = edge[1]
        return vertex[0] == "node" and port is not None and self.t.begins_spine((*t.key, vertex[1]), port)

    # Panels: the true leaves of shared parameters, in columns by letter and rows by index

    def _panel_cells(self, t: Template) -> dict[str, tuple[int, int]]:
        names = list(t.children)
        letters = list(dict.fromkeys(n.lstrip(":").partition("_")[0] for n in names))
        indices = list(dict.fromkeys(n.partition("_")[2] for n in names))
        if len(names) > 6 and len(letters) * len(indices) <= 1.5 * len(names):
            return {
                n: (letters.index(n.lstrip(":").partition("_")[0]), indices.index(n.partition("_")[2]))
                for n in names
            }
        per_column = 5
        return {n: (k // per_column, k % per_column) for k, n in enumerate(names)}

    def _panel_rows(self, t: Template) -> Rows:
        cells = self._panel_cells(t)
        count = 1 + max((row for _, row in cells.values()), default=0)
        height = HEAD + PAD + count * (CHIP[1] + GAP_Y) - GAP_Y + PAD
        y = np.array([HEAD + PAD + CHIP[1] / 2 + cells[c][1] * (CHIP[1] + GAP_Y) for c in t.children])
        return Rows(height, y, np.full(len(y), CHIP[1] / 2), {}, {})

    def _panel_columns(self, t: Template) -> Columns:
        cells = self._panel_cells(t)
        count = 1 + max((column for column, _ in cells.values()), default=0)
        pitch = CHIP[0] + 10
        content = count * pitch - 10
        left = max(PAD, (LEAST_WIDTH - content) / 2)
        centre = {c: left + CHIP[0] / 2 + cells[c][0] * pitch for c in t.children}
        return Columns(2 * left + content, centre, dict.fromkeys(t.children, CHIP[0]), {})

    # Widths and routes of a dag

    def columns_of(self, key: Path, state: State) -> Columns:
        known = self.columns.get((key, state))
        if known is None:
            template = self.t.templates[key]
            if template.kind == "seq":
                known = sequence_columns(self, template, state)
            elif template.kind == "lanes":
                known = lanes_columns(self, template, state)
            elif template.kind == "panel":
                known = self._panel_columns(template)
            else:
                known = self._dag_columns(template, state)
            if template.mirrored:
                known = known.mirrored()
            self.columns[key, state] = known
        return known

    def _dag_columns(self, t: Template, state: State) -> Columns:
        rows = self.rows_of(t.key)
        child_states = dict(state)
        widths: dict[str, float] = {}
        plain: dict[str, float] = {}
        for local, is_scope in t.children.items():
            plain[local] = self.child_size(t, local)[0]
            inner = child_states.get(local)
            widths[local] = (
                self.columns_of((*t.key, *star((local,))), inner).width
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
        tracks, counts = self._gap_tracks(t, rows)
        room = self._room(t) if any(t.children.values()) else counts
        back = _back_nets(t)
        lefts = [(0.0 if t.in_ports else PAD) + (TRACK * len(back) if room[-1] else 0.0)]
        for r in range(len(t.layers) - 1):
            gap = max(GAP_X, 16 + TRACK * (room[r] + 1)) if room[r] else GAP_X
            edge_of_scope = (r == 0 and t.in_ports) or (r == len(t.layers) - 2 and t.out_ports)
            if edge_of_scope and not room[r]:
                gap = PAD + 4
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
            edge: self._route(t, rows, edge, chain, lefts, rank_width, centre, widths, tracks, counts)
            for edge, chain in t.chains.items()
            if not self.shown or self._is_drawn(t, edge)
        }
        return Columns(width, centre, widths, routes)

    def _heights(
        self, t: Template, rows: Rows, edge: tuple[End, End], chain: list[int]
    ) -> Iterator[tuple[int, int, float, float]]:
        """For each hop of a chain: its two elements and the heights at which the edge leaves and arrives."""
        for k, (p, q) in enumerate(itertools.pairwise(chain)):
            y_p = rows.y[p] + (self._port_offset(t, edge, True) if k == 0 else 0.0)
            y_q = rows.y[q] + (self._port_offset(t, edge, False) if k == len(chain) - 2 else 0.0)
            yield p, q, float(y_p), float(y_q)

    def _gap_tracks(self, t: Template, rows: Rows) -> tuple[list[dict[Any, int]], list[int]]:
        gaps: list[dict[Any, set[float]]] = [defaultdict(set) for _ in [*t.layers, None]]
        for edge, chain in t.chains.items():
            if self.shown and not self._is_drawn(t, edge):
                continue
            if _runs_back(t, chain):
                low = self._below(t, rows, edge)
                (p, q, y_p, y_q) = next(self._heights(t, rows, edge, chain))
                gaps[t.rank[p]][edge[0], round(y_p, 2)].add(low)
                gaps[t.rank[q] - 1][edge[0], low].add(round(y_q, 2))
                continue
            for p, _q, y_p, y_q in self._heights(t, rows, edge, chain):
                gaps[t.rank[p]][p, round(y_p, 2)].add(round(y_q, 2))
        tracks, counts = [], []
        for gap in gaps:
            assigned, count = assign_tracks([Net(k, k[1], frozenset(ys)) for k, ys in gap.items()])
            tracks.append(assigned)
            counts.append(count)
        return tracks, counts

    def _room(self, t: Template) -> list[int]:
        """For how many tracks each gap has room: the same in every folding state, so that opening a scope
        moves nothing in steps where it stays folded."""
        folded = self._alike(t.key)
        if t.key not in folded.rooms:
            counts = (m._gap_tracks(t, m.rows_of(t.key))[1] for m in (folded, self._alike(None)))
            folded.rooms[t.key] = [max(c) for c in zip(*counts, strict=True)]
        return folded.rooms[t.key]

    def _route(
        self,
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
        if _runs_back(t, chain):  # around below everything
            (p, q, y_p, y_q) = next(self._heights(t, rows, edge, chain))
            low = self._below(t, rows, edge)
            out_x = turn(t.rank[p], (edge[0], round(y_p, 2)))
            in_x = turn(t.rank[q] - 1, (edge[0], low))
            points = [(side(edge[0][0], True, t.rank[p]), y_p), (out_x, y_p), (out_x, low)]
            return np.array([*points, (in_x, low), (in_x, y_q), (side(edge[1][0], False, t.rank[q]), y_q)])
        for p, q, y_p, y_q in self._heights(t, rows, edge, chain):
            r = t.rank[p]
            begin = side(edge[0][0], True, r) if p == chain[0] else lefts[r]
            points.append((begin, y_p))
            end = side(edge[1][0], False, t.rank[q]) if q == chain[-1] else lefts[t.rank[q]]
            if abs(y_p - y_q) > 0.05 and r < t.rank[q]:
                x = turn(r, (p, round(y_p, 2)))
                points += [(x, y_p), (x, y_q)]
            points.append((end, y_q))
        return np.array(points)

    def _below(self, t: Template, rows: Rows, edge: tuple[End, End]) -> float:
        """The height at which an edge that runs back passes below everything."""
        nets = _back_nets(t)
        return rows.height - PAD / 2 - TRACK * (len(nets) - 1 - nets.index(edge[0]))

    # Putting it together

    def state_of(self, scope: Path) -> State:
        if scope not in self.open:
            return None
        if scope not in self.states:
            self.states[scope] = tuple(
                (c, self.state_of((*scope, c)))
                for c, is_scope in self.shown_columns(self.t.templates[star(scope)]).children.items()
                if is_scope and (c in self.t.children(scope) or "…" in c)
            )
        return self.states[scope]

    def layout(self) -> Layout:
        self.boxes: list[Box] = []
        self.areas: list[Area] = []
        self.steps: list[Column] = []
        self.origins: dict[Path, tuple[float, float]] = {}
        self.box_at_path: dict[Path, int] = {}
        self.inside: dict[int, list[int]] = defaultdict(list)
        self.columns_at: dict[Path, Columns] = {}
        self.item_box: list[int | None] = []
        self.spines: dict[Path, set[Any]] = {}
        root = self.rows_of(())
        columns = self.columns_of((), self.state_of(()))
        self._place((), 0.0, 0.0)
        box_of_node = {}
        boxes_of_node: dict[int, list[int]] = defaultdict(list)
        for item in self.t.items:
            seen = not self.shown or self._is_seen(item.path)
            k = self._box_of_path(item.path) if seen else self._nearby(item.path)
            self.item_box.append(k if seen else None)
            if item.consumer is None:
                box_of_node[item.node] = k
            if k not in boxes_of_node[item.node]:
                boxes_of_node[item.node].append(k)
            if self.boxes[k].kind == "scope":
                self.inside[k].append(item.node)
        rects = np.array([[b.x - b.w / 2, b.y - b.h / 2, b.x + b.w / 2, b.y + b.h / 2] for b in self.boxes])
        return Layout(
            topology=self.t,
            folded=self.folded,
            boxes=tuple(self.boxes),
            areas=tuple(self.areas),
            edges=tuple(self._edges()),
            columns=tuple(self.steps),
            bounds=(0.0, 0.0, columns.width, root.height),
            box_of_node=box_of_node,
            boxes_of_node={n: tuple(ks) for n, ks in boxes_of_node.items()},
            members={k: tuple(dict.fromkeys(nodes)) for k, nodes in self.inside.items()},
            rects=rects.reshape(-1, 4),
        )

    def _place(self, scope: Path, x: float, y: float) -> None:
        self.origins[scope] = (x, y)
        key = star(scope)
        template, rows = self.t.templates[key], self.rows_of(key)
        columns = self.columns_at[scope] = self.columns_of(key, self.state_of(scope))
        present = self.t.children(scope)
        template = self.shown_columns(template)
        for i, (local, is_scope) in enumerate(template.children.items()):
            if local not in present and "…" not in local:
                continue
            centre_y = float(rows.y[0] + rows.half[0]) if template.kind == "seq" else float(rows.y[i])
            cx, cy = x + columns.centre[local], y + centre_y
            path = (*scope, local)
            w, h = columns.widths[local], self.child_size(template, local)[1]
            if not is_scope:
                item = self.t.items[self.t.item_at[path]]
                kind = "node" if item.consumer is None else "alias"
                self._add(path, Box(kind, item.node, item.consumer, "/".join(scope), cx, cy, w, h))
                continue
            x0, y0 = cx - w / 2, cy - h / 2
            time = int(local[2:]) if template.kind == "seq" and "…" not in local else None
            if time is not None:
                self.steps.append(Column("/".join(scope), time, x0, x0 + w))
            if path in self.open:
                self.areas.append(Area("/".join(path), local, len(path), time, x0, y0, x0 + w, y0 + h))
                self._place(path, x0, y0)
            else:
                node = self._shown_node(path)
                self._add(path, Box("scope", node, None, "/".join(path), cx, cy, w, h))

    def _add(self, path: Path, box: Box) -> None:
        self.box_at_path[path] = len(self.boxes)
        self.boxes.append(box)

    def _shown_node(self, scope: Path) -> int:
        """The node whose value a folded scope shows: the last one that something outside uses."""
        shown = self.shown.get(star(scope[:-1])) if scope else None
        columns = [c for c, seen in shown.column_of.items() if seen == scope[-1]] if shown else []
        paths = [(*scope[:-1], c) for c in columns if c in self.t.children(scope[:-1])] or [scope]
        return max(self.t.last_out[p] for p in paths)

    def _box_of_path(self, path: Path) -> int:
        path = self._seen_at(path)
        for k in range(1, len(path) + 1):
            if path[:k] in self.box_at_path:
                return self.box_at_path[path[:k]]
        raise KeyError(path)

    def _is_seen(self, path: Path) -> bool:
        """Whether something has a box: the step that a rolled sequence shows may lack it."""
        seen = self._seen_at(path)
        return any(seen[:k] in self.box_at_path for k in range(1, len(seen) + 1))

    def _nearby(self, path: Path) -> int:
        """A box in the scope, or the closest around it, of something that is not seen."""
        seen = self._seen_at(path)
        for k in range(len(seen) - 1, -1, -1):
            inside = [box for other, box in self.box_at_path.items() if other[:k] == seen[:k]]
            if inside:
                return inside[0]
        raise KeyError(path)

    def _seen_piece(self, scope: Path, piece: tuple[End, End]) -> tuple[Path, tuple[End, End]] | None:
        """Where a piece of an edge is seen; None if it is one that another one stands for."""
        shown = self.shown.get(star(scope))
        if shown is not None:
            piece = shown.moved(piece)
            return (self._seen_at(scope), piece) if piece in shown.template.edges else None
        return (self._seen_at(scope), piece) if self._is_drawn(self.t.templates[star(scope)], piece) else None

    def _edges(self) -> Iterator[Edge]:
        """Edges with the same ends and the same way are one line."""
        lines: dict[Any, list[tuple[int, int]]] = {}
        bundled: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        pieces: list[Any] = list(self.t.pieces)
        if self.shown:
            pieces = [self._seen_piece(*piece) for piece in pieces]
        number = list(range(len(pieces)))
        if self.shown:  # pieces that are seen at one place are one
            place = {piece: k for k, piece in reversed(list(enumerate(pieces)))}
            number = [place[piece] for piece in pieces]
        drawn = [piece is None or piece[0] in self.open for piece in pieces]
        rolled = any(s.rolled for s in self.shown.values())
        for e, parts in zip(self.t.edges, self.t.edge_pieces, strict=True):
            source, target = self.item_box[e.source], self.item_box[e.target]
            if source is None or target is None:
                continue
            way = tuple([number[k] for k in parts if drawn[k]])
            if self.shown and any(pieces[k] is None for k in way):
                bundled[source, target].append((e.consumer, e.slot))
            elif source != target or (way and rolled):
                lines.setdefault((source, target, way), []).append((e.consumer, e.slot))
        routes: dict[int, tuple[Polyline, bool | None]] = {}
        for (source, target, way), members in lines.items():
            for k in way:
                if k not in routes:
                    routes[k] = self._piece_route(*pieces[k])
            # a branch that leaves the line in the next step, as to a peephole, is none
            on_spine = [routes[k][1] for k in way if routes[k][1] is not None]
            points = routes[way[0]][0] if len(way) == 1 else _joined([routes[k][0] for k in way])
            all_members = (*members, *bundled.pop((source, target), ()))
            yield Edge(source, target, points, all_members, bool(on_spine) and all(on_spine))

    def _piece_route(self, scope: Path, piece: tuple[End, End]) -> tuple[Polyline, bool | None]:
        """A piece where its scope stands, and whether it is part of a state line; None in a scope without."""
        key = star(scope)
        if key not in self.spines:
            self.spines[key] = self.t.templates[key].on_spines()
        spines = self.spines[key]
        on_spine = (piece[0][0], piece[1][0]) in spines if spines else None
        columns = self.columns_at[scope]
        if piece not in columns.slim:
            columns.slim[piece] = _joined([columns.routes[piece]])
        return columns.slim[piece] + self.origins[scope], on_spine


def _runs_back(t: Template, chain: list[int]) -> bool:
    """Whether an edge leads to the left: one of those that close a circle of scopes."""
    return t.rank[chain[0]] >= t.rank[chain[-1]]


def _back_nets(t: Template) -> list[End]:
    return list(dict.fromkeys(edge[0] for edge, chain in t.chains.items() if _runs_back(t, chain)))


def _joined(parts: list[Polyline]) -> Polyline:
    """Pieces as one line without repeated points and without points in the middle of a straight run."""
    slim: list[tuple[float, float]] = []
    for x, y in np.concatenate(parts).tolist():
        if slim and abs(x - slim[-1][0]) <= 0.01 and abs(y - slim[-1][1]) <= 0.01:
            continue
        if len(slim) > 1:
            (x0, y0), (x1, y1) = slim[-2:]
            ax, ay, bx, by = x1 - x0, y1 - y0, x - x1, y - y1
            if abs(ax * by - ay * bx) <= 0.01 and ax * bx + ay * by >= 0:
                slim.pop()
        slim.append((x, y))
    return np.array(slim)
