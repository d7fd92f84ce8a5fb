"""Every edge cut into pieces at the borders of scopes, and the ports through which it goes in and out.

Called by `Topology` once there are templates, which are given their edges and ports here; `placing` puts the
pieces together again, row by row. All edges are cut at once, as arrays. Knows no direction, no order.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.model.arrays import distinct
from explorer.model.layout.order import MANY
from explorer.model.layout.template import TIME, End, Path, Piece, Template, star

if TYPE_CHECKING:
    from explorer.model.layout.topology import Topology

NORTH = "↑"  # at the end of the name of an out-port that leads to another lane
MOST_NAMED = 24  # targets by which an in-port is called
ROWS = 3  # steps that read a value from outside, from which on it may run through all


@dataclass(frozen=True)
class Pieces:
    """The pieces of all edges, each once however many scopes share it, and which edge is made of which."""

    all: list[Piece]
    template: np.ndarray  # of each piece the number of its template
    # row by row, edge by edge: which piece, and the scope that it lies in
    row_piece: np.ndarray
    row_scope: np.ndarray
    row_starts: np.ndarray  # where the rows of each edge begin, and the end of the last


def cut(topology: Topology) -> Pieces:
    """Cuts all edges, and tells the templates which edges and ports they have."""
    return _Cut(topology).run()


class _Cut:
    """What is known while edges are cut: the ports by number and, in rows, what enters which scope where."""

    def __init__(self, topology: Topology) -> None:
        self.t = topology
        self.templates = topology.templates
        self.pieces: list[Piece] = []
        self.ports: list[Any] = []
        self.port_rows = np.empty((0, 4), dtype=np.int64)  # scope, source item, port, depth

    def run(self) -> Pieces:
        """Cut every edge at the borders of scopes. All edges at once, as numbers: of names, of the ways down
        from a scope to an item (`below`), of ports and of pieces; texts only for what differs."""
        t = self.t
        source, target = t.edges[0], t.edges[1]
        scope_u, scope_v = t.item_scope[source], t.item_scope[target]
        around_u, around_v = t.around[scope_u], t.around[scope_v]
        deepest = t.around.shape[1] - 1
        same = (around_u == around_v) & (around_u >= 0)
        shared = np.cumprod(same, axis=1).sum(axis=1) - 1  # depth of the innermost scope around both ends
        below = self._ways_down(deepest)
        port = self._name_ports(source, target, shared, below, deepest)
        names, first_name = _numbered([p[-1] if p else "" for p in t.scope_paths])
        local_names, _ = _numbered([item.path[-1] for item in t.items], first_name)

        def step_down(edges: np.ndarray, depth: np.ndarray) -> np.ndarray:
            """The name inside the scope at that depth around the targets that leads on to them."""
            inner = np.minimum(depth + 1, deepest)
            scope = around_v[edges, inner]
            ends = t.depth[scope_v[edges]] == depth
            return np.where(ends, local_names[target[edges]], names[np.where(ends, 0, scope)])

        def port_at(edges: np.ndarray, depth: np.ndarray) -> np.ndarray:
            return np.where(depth <= deepest, port[edges, np.minimum(depth, deepest)], -1) + 1

        # what leads from one lane to another leaves the cell above
        lanes = np.array([self.templates[key].kind == "lanes" for key in t.template_keys])
        in_lanes = lanes[t.template_of[around_u[np.arange(len(source)), shared]]]
        # up from the source, across, down to the target: a column each, in the order of the way
        rows = []
        everything = np.arange(len(source))
        for column, d in enumerate(range(deepest, 0, -1)):
            at = everything[(d > shared) & (around_u[:, d] >= 0)]
            north = in_lanes[at] & (shared[at] == d - 1)
            rows.append((at, column, around_u[at, d], 0, below[source[at], d], north.astype(int), at * 0))
        k = shared
        across = step_down(everything, k), port_at(everything, k + 1)
        rows.append((everything, deepest, around_u[everything, k], 1, below[source, k], *across))
        for d in range(1, deepest + 1):
            at = everything[(d > shared) & (around_v[:, d] >= 0)]
            depth = np.full(len(at), d)
            onward = step_down(at, depth), port_at(at, depth + 1)
            rows.append((at, deepest + d, around_v[at, d], 2, port[at, d], *onward))
        edge, place, scope, kind, a, b, c = (
            np.concatenate([np.broadcast_to(row[n], row[0].shape) for row in rows]) for n in range(7)
        )
        order = np.lexsort((place, edge))
        edge, scope, kind, a, b, c = (x[order] for x in (edge, scope, kind, a, b, c))
        ends = np.unique(a * (int(b.max(initial=0)) + 1) + b, return_inverse=True)[1]
        what = np.unique(ends * (int(c.max(initial=0)) + 1) + c, return_inverse=True)[1]
        code = (t.template_of[scope] * 3 + kind) * (int(what.max(initial=0)) + 1) + what
        _, first, piece = np.unique(code, return_index=True, return_inverse=True)
        renumbered = np.empty(len(first), dtype=np.int64)
        by_appearance = np.argsort(first)
        renumbered[by_appearance] = np.arange(len(first))
        rows_of_pieces = first[by_appearance]
        piece_template = t.template_of[scope[rows_of_pieces]]
        upwards = np.where(kind == 0, b > 0, in_lanes[edge])
        depths = t.depth[scope]
        depth_u, depth_v = t.depth[scope_u[edge]], t.depth[scope_v[edge]]
        plain = (kind == 1) & (depth_u == depths) & (depth_v == depths)  # between two boxes of one scope
        box_ends: list[End] = [(("node", item.path[-1]), None) for item in t.items]
        templates = [self.templates[key] for key in t.template_keys]
        rows_in_names = (edge, kind, depths, upwards, plain, source[edge], target[edge])
        columns = (x[rows_of_pieces].tolist() for x in rows_in_names)
        for number, e, k, d, up, is_plain, u, v in zip(piece_template.tolist(), *columns, strict=True):
            if is_plain:
                link = box_ends[u], box_ends[v]
                self.pieces.append(link)
                templates[number].edges[link] = None
            else:
                self._add_piece(templates[number], e, k, d, up, port)
        connected = np.zeros(len(t.template_keys), bool)
        connected[piece_template] = True
        self._note_first_steps()
        self._join_what_leaves()
        for template in self.templates.values():
            if template.kind == "seq":
                self._lead_through(template)
        for number, template in enumerate(self.templates.values()):
            items = not any(template.children.values())
            if template.kind == "dag" and template.key and items and not connected[number]:
                template.kind = "panel"
        row_starts = np.searchsorted(edge, np.arange(len(source) + 1))
        return Pieces(self.pieces, piece_template, renumbered[piece], scope, row_starts)

    def _ways_down(self, deepest: int) -> np.ndarray:
        """A number for the way from the scope at each depth around an item down to it; −1 further in."""
        t = self.t
        names, _ = _numbered([p[-1] if p else "" for p in t.scope_paths])
        local, _ = _numbered([item.path[-1] for item in t.items])
        count = max(len(t.items), len(t.scope_paths)) + 1
        below = np.full((len(t.items), deepest + 1), -1)
        depth = t.depth[t.item_scope]
        for d in range(deepest, -1, -1):
            ends, passes = depth == d, depth > d
            if d < deepest:
                code = names[t.around[t.item_scope[passes], d + 1]] * count + below[passes, d + 1]
                below[passes, d] = np.unique(code, return_inverse=True)[1]
            start = int(below[:, d].max(initial=-1)) + 1
            below[ends, d] = start + np.unique(local[ends], return_inverse=True)[1]
        return below

    def _name_ports(
        self, source: np.ndarray, target: np.ndarray, shared: np.ndarray, below: np.ndarray, deepest: int
    ) -> np.ndarray:
        """For each edge and depth the number of the in-port through which it enters the scope there.

        An in-port is named after the targets that its source has inside, so that `h_0` of the first step is
        the same port as h of the step before in all others.
        """
        t = self.t
        around = t.around[t.item_scope[target]]
        edge, depth = np.nonzero((np.arange(deepest + 1) > shared[:, None]) & (around >= 0))
        port = np.full((len(source), deepest + 1), -1)
        if not len(edge):
            return port
        scope, way = around[edge, depth], below[target[edge], depth]
        # what one source has in one scope, by number; of several sources the latest comes first
        code = scope * (len(t.items) + 1) + len(t.items) - source[edge]
        entries, first, entry = np.unique(code, return_index=True, return_inverse=True)
        ways = distinct(entry * (int(way.max()) + 1) + way)
        of_entry, one_way = np.divmod(ways, int(way.max()) + 1)
        starts = np.searchsorted(of_entry, np.arange(len(entries) + 1)).tolist()
        many: dict[tuple[int, ...], int] = {}
        goals = one_way[starts[:-1]]
        for k in np.flatnonzero(np.diff(starts) > 1).tolist():
            together = tuple(one_way[starts[k] : starts[k + 1]].tolist())
            goals[k] = many.setdefault(together, int(way.max()) + 1 + len(many))
        # goals are numbered per depth, entries are sorted by scope and source
        scopes, depths = scope[first], depth[first]
        by_goal = np.lexsort((np.arange(len(entries)), goals, scopes))
        new_run = np.ones(len(entries), bool)
        new_run[1:] = (np.diff(scopes[by_goal]) != 0) | (np.diff(goals[by_goal]) != 0)
        starts_of_runs = np.flatnonzero(new_run)
        occurrence = np.empty(len(entries), dtype=np.int64)
        occurrence[by_goal] = np.arange(len(entries)) - np.repeat(
            starts_of_runs, np.diff([*starts_of_runs, len(entries)])
        )
        most = int(occurrence.max()) + 1
        code = (depths * (int(goals.max()) + 1) + goals) * most + occurrence
        _, sample, number = np.unique(code, return_index=True, return_inverse=True)
        targets: dict[int, set[Path]] = defaultdict(set)
        wanted = dict.fromkeys(sample.tolist())
        for k in np.flatnonzero(np.isin(entry, sample)).tolist():
            targets[int(entry[k])].add(t.items[target[edge[k]]].path[depth[k] :])
        named: dict[Any, int] = {}
        same: list[int] = []
        for k in wanted:
            name = _port_name(targets[k]), int(occurrence[k])
            same.append(named.setdefault(name, len(named)))
        self.ports = list(named)
        number = np.array(same)[number]
        rank = np.empty(len(t.scope_paths), dtype=np.int64)
        rank[sorted(range(len(rank)), key=t.scope_paths.__getitem__)] = np.arange(len(rank))
        order = np.lexsort((np.arange(len(entries)), rank[scopes]))
        code = t.template_of[scopes] * len(self.ports) + number
        for k in np.sort(np.unique(code[order], return_index=True)[1]).tolist():
            where = int(order[k])
            template = self.templates[t.template_keys[t.template_of[scopes[where]]]]
            template.in_ports.setdefault(self.ports[number[where]])
        port[edge, depth] = number[entry]
        self.port_rows = np.stack([scopes, source[edge[first]], number, depths], axis=1)
        return port

    def _add_piece(
        self, template: Template, edge: int, kind: int, depth: int, upwards: bool, port: np.ndarray
    ) -> None:
        """Write out one piece in names: it goes up to its scope's border, across the scope, or down."""
        u, v = self.t.items[self.t.edges[0, edge]].path, self.t.items[self.t.edges[1, edge]].path

        def port_at(depth: int) -> Any:
            return self.ports[port[edge, depth]]

        mark = (NORTH,) if upwards else ()

        def out_end() -> End:
            last = depth == len(u) - 1
            return ("node", u[depth]), None if last else u[depth + 1 :] + (mark if kind == 1 else ())

        def in_end() -> End:
            return ("node", v[depth]), None if depth == len(v) - 1 else port_at(depth + 1)

        if kind == 0:
            piece: Piece = (out_end(), (("out", u[depth:] + mark), None))
        elif kind == 1:
            piece = (out_end(), in_end())
        else:
            piece = ((("in", port_at(depth)), None), in_end())
        self.pieces.append(piece)
        template.edges.setdefault(piece)
        if kind == 0:
            template.out_ports.setdefault(u[depth:] + mark)
        if kind != 1 or not (TIME.fullmatch(u[depth]) and TIME.fullmatch(v[depth])):
            return
        (_, left_by), (_, entered_by) = piece
        ahead = int(v[depth][2:]) - int(u[depth][2:])
        if abs(ahead) == 1 and left_by is not None and entered_by is not None:
            step = self.templates[star((*template.key, u[depth]))]
            (step.pairs if ahead == 1 else step.back_pairs).add((entered_by, left_by))

    def _note_first_steps(self) -> None:
        """A state recurs in the first step too: what comes in as `c_0` leaves as `c_1`, used or not."""
        t, names = self.t, self.t.names
        by_name: dict[str, list[int]] = defaultdict(list)
        for i, item in enumerate(t.items):
            if item.consumer is None and names[item.node]:
                by_name[names[item.node]].append(i)
        scopes, sources = self.port_rows[:, 0], self.port_rows[:, 1]
        outside = t.around[t.item_scope[sources], self.port_rows[:, 3] - 1] != t.parent[scopes]
        for scope, source, port, _ in self.port_rows[outside].tolist():
            path = t.scope_paths[scope]
            base, line, index = names[t.items[source].node].rpartition("_")
            if not line or not index.isdigit() or not TIME.fullmatch(path[-1]):
                continue
            now, before = int(path[-1][2:]), int(index)
            if abs(now - before) != 1:
                continue
            for i in by_name[f"{base}_{now}"]:
                found = t.items[i].path
                if found[: len(path)] != path:
                    continue
                template = self.templates[star(path)]
                pairs = template.pairs if now > before else template.back_pairs
                pairs.add((self.ports[port], found[len(path) :]))
                for k in range(len(path), len(found)):  # a way out for it
                    inner, rest = found[:k], found[k:]
                    child = None if len(rest) == 1 else rest[1:]
                    edge = ((("node", rest[0]), child), (("out", rest), None))
                    self.templates[star(inner)].edges.setdefault(edge)
                    self.templates[star(inner)].out_ports.setdefault(rest)

    def _join_what_leaves(self) -> None:
        """What the steps of a sequence send to one target, and nowhere else, leaves it as one line."""
        for around in self.templates.values():
            goals: dict[tuple[str, Any], set[Any]] = defaultdict(set)
            for ((kind, child), port), (goal, into) in around.edges:
                sequence = self.templates.get((*around.key, child)) if kind == "node" else None
                if sequence is not None and sequence.kind == "seq":
                    # of a scope: that of its ports which stands for one target
                    place = into[0] if into is not None and len(into[0]) == 1 else into
                    goals[child, port].add((goal, place))
            together: dict[Any, list[Any]] = defaultdict(list)
            for (child, port), found in goals.items():
                if len(found) == 1:
                    together[child, port[1:], *found].append(port)
            for (child, *_), ports in together.items():
                if len(ports) >= MANY:
                    self.templates[*around.key, child].joined_out.update(ports)

    def _lead_through(self, t: Template) -> None:
        """Many values that many steps of a sequence read from outside are rows through all of its columns, as
        in a table of attention: a line each, in the order and at the heights in which the steps read them."""
        step = self.templates[*t.key, "t=*"]
        ports: dict[Any, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
        for (a, _), (b, port) in t.edges:
            if a[0] == "in" and b[0] == "node":
                ports[a[1]][port] += 1
        here = self.t.template_of[self.port_rows[:, 0]] == self.t.template_keys.index(t.key)
        from_leaf = {
            self.ports[port]
            for _, source, port, _ in self.port_rows[here].tolist()
            if self.t.graph.ops[self.t.items[source].node] is None
        }
        rows = {}
        for p, found in ports.items():
            port, count = max(found.items(), key=lambda kv: kv[1])
            if count >= ROWS and p not in from_leaf:
                rows[p] = port
        if len(rows) >= MANY and len(set(rows.values())) == len(rows) and step.kind == "dag":
            t.through = rows
            for port in rows.values():
                self._add_row(step, port)

    def _add_row(self, t: Template, port: Any) -> Any:
        """A way out of a scope for what enters it at a port, through the first scope inside that reads it."""
        readers = [edge for edge in t.edges if edge[0] == (("in", port), None)]
        inner = next((b for _, b in readers if b[1] is not None and self._is_dag(t, b[0][1])), None)
        begin: End = ("in", port), None
        if inner is not None:
            (_, child), entered = inner
            begin = ("node", child), self._add_row(self.templates[*t.key, child], entered)
            t.starts |= {edge: begin for edge in readers if edge[1] != inner}
        out = t.through[port] = (readers[0][1][0][1], "through", port)
        t.edges.setdefault((begin, (("out", out), None)))
        t.out_ports.setdefault(out)
        t.pairs.add((port, out))
        return out

    def _is_dag(self, t: Template, child: str) -> bool:
        return self.templates[star((*t.key, child))].kind == "dag"


def _port_name(targets: set[Path]) -> tuple[Any, ...]:
    """What leads to these targets; of very many a digest, as names are compared all the time."""
    names = tuple(sorted(targets))
    if len(names) <= MOST_NAMED:
        return names
    digest = blake2b(repr(names).encode(), digest_size=16).hexdigest()
    return *names[:2], (digest,)


def _numbered(names: list[str], known: dict[str, int] | None = None) -> tuple[np.ndarray, dict[str, int]]:
    """Names as numbers, the same for the same, and which is which."""
    numbers = dict(known or {})
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64), numbers
