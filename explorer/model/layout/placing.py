"""Instances: every scope gets its place from its template, all of one shape at once, and every edge its way.

What lies in a scope is where its template says, moved to where the scope stands. An edge is the
concatenation of the pieces that the templates of its scopes routed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.model.layout.geometry import Area, Boxes, Column, Columns, Edges, Layout, State
from explorer.model.layout.template import Path, Piece, star
from explorer.model.layout.topology import Topology

if TYPE_CHECKING:
    from explorer.model.layout.metric import Metric

ALIKE = 0.01  # points closer than this are one


def place(metric: Metric) -> Layout:
    """Everything where it stands."""
    seen = _Seen(metric)
    standing = _Standing(metric, seen)
    edges = _edges(metric, seen, standing)
    t = metric.t
    width, height = standing.size
    return Layout(
        topology=t,
        folded=metric.folded,
        boxes=standing.boxes,
        areas=tuple(standing.areas),
        edges=edges,
        columns=tuple(standing.columns),
        bounds=(0.0, 0.0, width, height),
        item_box=standing.item_box,
    )


class _Seen:
    """Where things are seen that may be in a column that is not drawn; everything itself where all are."""

    def __init__(self, metric: Metric) -> None:
        self.t = t = metric.t
        self.paths = list(t.scope_paths)  # with the ranges of steps that are shown as one column
        self.number = dict(t.scope_number)
        self.parent = t.parent.tolist()
        self.scope = np.arange(len(self.paths))
        self.whole = np.ones(len(self.paths), bool)  # false where only something around it is seen
        if not metric.shown:
            return
        for path in t.scope_paths:
            shown = metric.shown.get(star(path))
            if shown is None:
                continue
            for name in shown.template.children:
                if "…" in name and any(shown.column_of[c] == name for c in t.children(path)):
                    self.number[*path, name] = len(self.paths)
                    self.paths.append((*path, name))
                    self.parent.append(t.scope_number[path])
        for scope, path in enumerate(t.scope_paths):
            path = metric.seen_at(path)
            while path not in self.number:
                path, self.whole[scope] = path[:-1], False
            self.scope[scope] = self.number[path]


@dataclass
class _Group:
    """Scopes of one template in one folding state."""

    columns: Columns
    scopes: list[int] = field(default_factory=list)


class _Standing:
    """Boxes, areas and columns of time steps where they stand."""

    def __init__(self, metric: Metric, seen: _Seen) -> None:
        self.metric, self.seen, self.t = metric, seen, metric.t
        t = self.t
        count = len(seen.paths)
        self.origin = np.zeros((count, 2))
        self.open = np.zeros(count, bool)
        self.group = np.full(count, -1)
        self.groups: list[_Group] = []
        self.areas: list[Area] = []
        self.columns: list[Column] = []
        self.own_box = np.full(len(t.items), -1)  # of items
        self.scope_box = np.full(count, -1)  # of folded scopes
        # one row for each box: place among its kind, and its rectangle
        self._items: list[tuple[np.ndarray, np.ndarray]] = []
        self._folded: list[tuple[int, tuple[float, float, float, float]]] = []
        self.open[0] = True
        rows, columns = metric.rows_of(()), metric.columns_of((), metric.state_of(0))
        self.size = columns.width, rows.height
        level = [0]
        while level:
            level = self._place_level(level)
        self._number_boxes()

    def _place_level(self, scopes: list[int]) -> list[int]:
        """Place what is in these open scopes; returns the open scopes among it."""
        groups: dict[tuple[int, State], _Group] = {}
        for scope in scopes:
            key = int(self.t.template_of[scope]), self.metric.state_of(scope)
            found = groups.get(key)
            if found is None:
                columns = self.metric.columns_of(self.t.template_keys[key[0]], key[1])
                found = groups[key] = _Group(columns)
            found.scopes.append(scope)
        inner: list[int] = []
        for (template, _), group in groups.items():
            self.group[group.scopes] = len(self.groups)
            self.groups.append(group)
            inner += self._place_group(self.t.template_keys[template], group)
        return inner

    def _place_group(self, key: Path, group: _Group) -> list[int]:
        metric, t = self.metric, self.t
        template, rows = metric.shown_columns(t.templates[key]), metric.rows_of(key)
        inside = [t.children(t.scope_paths[s]) for s in group.scopes]
        origin = self.origin[group.scopes]
        sequence = template.kind == "seq"
        opened: list[int] = []
        for i, (local, is_scope) in enumerate(template.children.items()):
            y = float(rows.y[0] + rows.half[0]) if sequence else float(rows.y[i])
            x, w = group.columns.centre[local], group.columns.widths[local]
            h = metric.child_size(template, local)[1]
            if not is_scope:
                there = [(k, c[local]) for k, c in enumerate(inside) if local in c]
                if there:
                    which, items = (np.array(a) for a in zip(*there, strict=True))
                    centres = origin[which] + (x, y)
                    self._items.append((items, np.concatenate([centres, [[w, h]] * len(items)], axis=1)))
                continue
            for scope, (x0, y0), children in zip(group.scopes, origin.tolist(), inside, strict=True):
                number = children.get(local)
                if number is None:
                    number = self.seen.number.get((*t.scope_paths[scope], local))
                    if number is None:
                        continue
                left, top = x0 + x - w / 2, y0 + y - h / 2
                path = self.seen.paths[number]
                time = int(local[2:]) if sequence and "…" not in local else None
                if time is not None:
                    self.columns.append(Column("/".join(path[:-1]), time, left, left + w))
                if metric.is_open(number):
                    self.open[number] = True
                    self.origin[number] = left, top
                    name = "/".join(path)
                    self.areas.append(Area(name, local, len(path), time, left, top, left + w, top + h))
                    opened.append(number)
                else:
                    self._folded.append((number, (x0 + x, y0 + y, w, h)))
        return opened

    def _number_boxes(self) -> None:
        """Boxes in the order of reading: by the nodes that they show, folded scopes by their first."""
        t, seen = self.t, self.seen
        items = np.concatenate([i for i, _ in self._items]) if self._items else np.empty(0, dtype=np.int64)
        folded = np.array([s for s, _ in self._folded], dtype=np.int64)
        rects = np.concatenate(
            [
                np.empty((0, 4)),
                *(r for _, r in self._items),
                np.reshape([r for _, r in self._folded], (-1, 4)),
            ]
        )
        hidden = self._hidden_in()
        first = np.full(len(seen.paths), len(t.items))
        box_of = hidden[seen.scope[t.item_scope]]
        inside = box_of >= 0
        np.minimum.at(first, box_of[inside], np.flatnonzero(inside))
        order = np.argsort(np.concatenate([items, first[folded]]), kind="stable")
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        self.own_box[items] = place[: len(items)]
        self.scope_box[folded] = place[len(items) :]
        is_item = order < len(items)
        item = np.where(is_item, np.append(items, 0)[np.minimum(order, len(items))], -1)
        scope = np.where(is_item, -1, np.append(folded, 0)[np.maximum(order - len(items), -1)])
        shown = np.array([self._shown_node(int(s)) for s in scope[scope >= 0]], dtype=np.int64)
        node = np.array([i.node for i in t.items], dtype=np.int64)[item]
        node[scope >= 0] = shown
        self.item_box = self._boxes_of_items(hidden)
        self.boxes = Boxes(t, seen.paths, item, scope, node, rects[order])

    def _hidden_in(self) -> np.ndarray:
        """For each scope the folded one that it is in, or is; −1 where it is open."""
        folded = np.zeros(len(self.open), bool)
        folded[[s for s, _ in self._folded]] = True
        hidden = np.where(folded, np.arange(len(folded)), -1)
        around, within = self.t.around, np.full(len(self.t.scope_paths), -1)
        for d in range(around.shape[1]):
            at = around[:, d]
            within = np.where((within < 0) & (at >= 0), hidden[at], within)
        hidden[: len(within)] = within
        for k in range(len(within), len(hidden)):  # a range of steps, within what is folded
            if hidden[k] < 0:
                hidden[k] = hidden[self.seen.parent[k]]
        return hidden

    def _boxes_of_items(self, hidden: np.ndarray) -> np.ndarray:
        """The box of each item; −1 − k for one that has none and is near box k."""
        t, seen = self.t, self.seen
        scope = seen.scope[t.item_scope]
        within = hidden[scope]
        box = np.where(within >= 0, self.scope_box[within], self.own_box)
        if self.metric.shown:
            moved = np.flatnonzero((within < 0) & (scope != t.item_scope))
            for i in moved.tolist():  # what a rolled cell has of another step
                exact = seen.whole[t.item_scope[i]]
                twin = t.children(seen.paths[scope[i]]).get(t.items[i].path[-1]) if exact else None
                box[i] = -1 if twin is None else self.own_box[twin]
            for i in np.flatnonzero(box < 0).tolist():
                box[i] = -1 - self._nearby(int(scope[i]))
        return box

    def _nearby(self, scope: int) -> int:
        """A box in a scope, or the closest around it."""
        t = self.t
        while True:
            near = t.around[t.item_scope, t.depth[scope]] == scope
            own = self.own_box[near]
            folds = [int(self.scope_box[s]) for s, _ in self._folded if self._is_in(s, scope)]
            found = [*own[own >= 0].tolist(), *folds]
            if found:
                return min(found)
            scope = self.seen.parent[scope]

    def _is_in(self, inner: int, outer: int) -> bool:
        path = self.seen.paths[outer]
        return self.seen.paths[inner][: len(path)] == path

    def _shown_node(self, scope: int) -> int:
        """The node whose value a folded scope shows: the last one that something outside uses."""
        path = self.seen.paths[scope]
        shown = self.metric.shown.get(star(path[:-1])) if path else None
        if shown is None:
            return int(self.t.last_out[scope])
        children = self.t.children(path[:-1])
        columns = [children[c] for c, at in shown.column_of.items() if at == path[-1] and c in children]
        return int(max(self.t.last_out[columns or [scope]]))


def _edges(metric: Metric, seen: _Seen, standing: _Standing) -> Edges:
    """Edges with the same ends and the same way are one line."""
    t = metric.t
    source, target, consumer, slot = t.edges
    scope, piece, pieces = seen.scope[t.pieces.row_scope], t.pieces.row_piece, t.pieces.all
    if metric.shown:
        moved, pieces = _seen_pieces(metric)
        piece = moved[piece]
    nowhere = piece < 0  # what another piece stands for
    drawn = standing.open[scope] | nowhere
    edge_of_row = np.repeat(np.arange(len(source)), np.diff(t.pieces.row_starts))
    at = standing.item_box
    a, b = at[source], at[target]
    hidden = np.zeros(len(source), bool)
    hidden[edge_of_row[drawn & nowhere]] = True
    shown = (a >= 0) & (b >= 0)
    rolled = any(s.rolled for s in metric.shown.values())
    # the same pieces make the same sum, and others another one
    count = np.bincount(edge_of_row[drawn], minlength=len(source))
    way = np.zeros(len(source), dtype=np.uint64)
    code = scope * (len(pieces) + 1) + piece
    np.add.at(way, edge_of_row[drawn], _mixed(code[drawn]))
    kept = np.flatnonzero(shown & ~hidden & ((a != b) | ((count > 0) & rolled)))
    if not len(kept):
        return Edges.none()
    keys = np.stack([a[kept].astype(np.uint64), b[kept].astype(np.uint64), way[kept]], axis=1)
    _, first, line = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    line = line.reshape(-1)
    by_appearance = np.argsort(first)
    place = np.empty(len(first), dtype=np.int64)
    place[by_appearance] = np.arange(len(first))
    line, sample = place[line], kept[first[by_appearance]]
    members, member_line = kept, line
    bundled = np.flatnonzero(shown & hidden)
    if len(bundled):  # they go with the first line between the same boxes
        ends: dict[tuple[int, int], int] = {}
        for k, e in enumerate(sample.tolist()):
            ends.setdefault((int(a[e]), int(b[e])), k)
        with_line = [(e, ends[pair]) for e in bundled.tolist() if (pair := (int(a[e]), int(b[e]))) in ends]
        members = np.append(members, [e for e, _ in with_line]).astype(np.int64)
        member_line = np.append(member_line, [k for _, k in with_line]).astype(np.int64)
    order = np.argsort(member_line, kind="stable")
    member_starts = np.searchsorted(member_line[order], np.arange(len(sample) + 1))
    points, point_starts, flags = _ways(t, pieces, piece, scope, drawn, standing, sample)
    return Edges(
        a[sample],
        b[sample],
        points,
        point_starts,
        np.stack([consumer, slot], axis=1)[members[order]],
        member_starts,
        *flags,
    )


def _mixed(code: np.ndarray) -> np.ndarray:
    """Numbers scattered over 64 bits, so that sums of some of them tell which these were (splitmix64)."""
    x = code.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _seen_pieces(metric: Metric) -> tuple[np.ndarray, list[Any]]:
    """For each piece the one that is drawn for it, −1 for none, and all of them."""
    t = metric.t
    pieces = list(zip(t.pieces.template.tolist(), t.pieces.all, strict=True))
    number = {piece: k for k, piece in enumerate(pieces)}
    moved = np.arange(len(pieces))
    for k, (template, piece) in enumerate(tuple(pieces)):
        key = t.template_keys[template]
        shown = metric.shown.get(key)
        if shown is not None:
            column = template, shown.moved(piece)
            moved[k] = -1
            if column[1] in shown.template.edges:
                moved[k] = number.setdefault(column, len(pieces))
                if moved[k] == len(pieces):
                    pieces.append(column)
        elif not metric.is_drawn(t.templates[key], piece):
            moved[k] = -1
    return moved, [piece for _, piece in pieces]


def _ways(
    t: Topology,
    pieces: list[Piece],
    piece: np.ndarray,
    scope: np.ndarray,
    drawn: np.ndarray,
    standing: _Standing,
    sample: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Points of all lines, where those of each begin, which lines are state lines and which in fans."""
    lengths = t.pieces.row_starts[sample + 1] - t.pieces.row_starts[sample]
    rows = _runs(t.pieces.row_starts[sample], lengths)
    line = np.repeat(np.arange(len(sample)), lengths)[drawn[rows]]
    rows = rows[drawn[rows]]
    group = standing.group[scope[rows]]
    code = group * len(pieces) + piece[rows]
    kinds, first, kind = np.unique(code, return_index=True, return_inverse=True)
    routes: list[np.ndarray] = []
    on_spine, in_fan = np.zeros(len(kinds), dtype=np.int8), np.zeros(len(kinds), bool)
    spines: dict[int, set[Any]] = {}
    numbers = (x[first].tolist() for x in (group, t.template_of[scope[rows]], piece[rows]))
    for k, (g, template, p) in enumerate(zip(*numbers, strict=True)):
        way = pieces[p]
        routes.append(standing.groups[g].columns.routes[way])
        known = t.templates[t.template_keys[template]]
        if known.fans:
            in_fan[k] = way in known.fans
        if template not in spines:
            spines[template] = known.on_spines()
        if spines[template]:  # a branch that leaves the line in the next step, as to a peephole, is none
            on_spine[k] = 1 if (way[0][0], way[1][0]) in spines[template] else -1
    if not routes:
        never = np.zeros(len(sample), bool)
        return np.empty((0, 2)), np.zeros(len(sample) + 1, dtype=np.int64), (never, never)
    sizes = np.array([len(r) for r in routes])
    every = np.concatenate(routes)
    begin = np.cumsum(sizes) - sizes
    at = _runs(begin[kind], sizes[kind])
    points = every[at] + np.repeat(standing.origin[scope[rows]], sizes[kind], axis=0)
    points, of_line = _slimmed(points, np.repeat(line, sizes[kind]))
    starts = np.searchsorted(of_line, np.arange(len(sample) + 1))
    flags = on_spine[kind]
    spine = np.bincount(line[flags > 0], minlength=len(sample)) > 0
    spine &= np.bincount(line[flags < 0], minlength=len(sample)) == 0
    return points, starts, (spine, np.bincount(line[in_fan[kind]], minlength=len(sample)) > 0)


def _runs(begin: np.ndarray, length: np.ndarray) -> np.ndarray:
    """begin[0], begin[0] + 1, … length[0] of them, then those of the next."""
    ends = np.cumsum(length)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(begin - (ends - length), length)


def _slimmed(points: np.ndarray, line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lines without repeated points and without points in the middle of a straight run."""
    new = np.ones(len(points), bool)
    new[1:] = (np.abs(np.diff(points, axis=0)) > ALIKE).any(axis=1) | (np.diff(line) != 0)
    points, line = points[new], line[new]
    keep = np.ones(len(points), bool)
    if len(points) > 2:
        a, b = points[1:-1] - points[:-2], points[2:] - points[1:-1]
        straight = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) <= ALIKE
        onward = (a * b).sum(axis=1) >= 0
        keep[1:-1] = ~(straight & onward & (line[2:] == line[:-2]))
    return points[keep], line[keep]
