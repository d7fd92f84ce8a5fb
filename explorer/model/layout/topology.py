"""Topology: what is inside what and who is left of whom, found once per graph.

Scopes of the same shape (the same scope at every time step) share one Template, the union of its
instances, so that an op stands at the same place in each of them. Each template is ordered in ranks, left
to right (Sugiyama's layered method). Nothing here depends on what is folded, and nothing has coordinates.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Collection
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from autograd import Graph
from explorer.model.layout.order import MANY, Order
from explorer.model.layout.template import End, Path, Piece, Template, common, star

_TIME = re.compile(r"t=-?\d+")
NORTH = "↑"  # at the end of the name of an out-port that leads to another lane
MOST_NAMED = 24  # targets by which an in-port is called
ROWS = 3  # steps that read a value from outside, from which on it may run through all
ONCE = "parameters=once"  # stands among the folded scopes when shared leaves are drawn once
LONG = 50  # a sequence of more steps opens with its middle as one column


class Item(NamedTuple):
    """Something with a box of its own: a node, or an alias of a shared leaf next to one of its uses."""

    node: int
    consumer: int | None  # the use that an alias stands next to
    path: Path


class Topology:
    """The scope tree of a graph, its templates, and every edge cut into pieces at scope borders.

    Leaves that several places share have an alias next to each use, or are drawn `once`, with lines to all.
    """

    def __init__(self, graph: Graph, loss: int, *, once: bool = False) -> None:
        self.graph = graph
        self.loss = loss
        self.once = once
        self.items: list[Item] = []
        self.templates: dict[Path, Template] = {}
        self._op_names: dict[tuple[Path, str], str] = {}
        # of templates other than dags: for each in-port the children, and their ports, to which it leads
        self._goals: dict[Path, dict[Any, dict[Any, None]]] = {}
        self.metrics: dict[Any, Any] = {}  # what the metric stage keeps for all folding states
        self.columns: set[Path] = set()  # template keys of columns of lanes
        self._place_items()
        self._build_templates()
        self.scopes = {"/".join(p): p for p in self.scope_paths if p}
        self._note_last_out()
        # sequences that can be rolled up, as lstm/t=*, and the middle of long ones, as lstm/t=4…97
        self.rolls = {"/".join((*p, "t=*")): p for p in self.scope_paths if self._is_sequence(p)}
        self._middles = {p: name for p in self.rolls.values() if (name := self._middle(p))}
        self.ranges = {"/".join((*p, name)): p for p, name in self._middles.items()}
        self._lift_edges()
        for template in sorted(self.templates.values(), key=lambda t: len(t.key)):
            self._direct(template)
        for template in tuple(self.templates.values()):
            self._begin_at_the_right(template)
        for template in sorted(self.templates.values(), key=lambda t: -len(t.key)):
            if template.kind == "dag":
                self._states_first(template)
                Order(self, template).run()

    # Items

    def _place_items(self) -> None:
        graph = self.graph
        flat, ends = (a.tolist() for a in graph.edges())
        inputs_of = [tuple(flat[a:b]) for a, b in itertools.pairwise(ends)]
        self._names, kinds, ops = list(graph.names), list(graph.kinds), graph.ops
        paths, scope_of = self._scope_paths()
        local = self._locals(inputs_of, kinds)
        order = self._reading_order(inputs_of, [paths[k] for k in scope_of], local)
        uses: list[list[int]] = [[] for _ in order]
        for v in order:
            for j in inputs_of[v]:
                uses[j].append(v)
        counts: dict[tuple[int, str], int] = {}
        scopes: list[int] = []

        def add(node: int, scope: int, name: str, consumer: int | None = None) -> int:
            n = counts.get((scope, name), 0)
            counts[scope, name] = n + 1
            self.items.append(Item(node, consumer, (*paths[scope], f":{name}#{n}" if n else f":{name}")))
            scopes.append(scope)
            return len(scopes) - 1

        own: dict[int, int] = {}
        alias: dict[tuple[int, int], int] = {}
        for i in order:
            shared = ops[i] is None and kinds[i] in ("parameter", "constant") and not self.once
            places = list(dict.fromkeys(scope_of[v] for v in uses[i])) if shared else []
            if places and scope_of[i] not in places:
                if len(places) == 1 and not any(map(_TIME.fullmatch, paths[places[0]])):
                    # a leaf with one place of use stands there; one step is to look like many
                    own[i] = add(i, places[0], local[i])
                    continue
                for v in dict.fromkeys(uses[i]):
                    alias[i, v] = add(i, scope_of[v], f"{local[i]}@{local[v]}", v)
            own[i] = add(i, scope_of[i], local[i])
        edges = [
            (alias.get((j, v), own[j]), own[v], v, slot) for v in order for slot, j in enumerate(inputs_of[v])
        ]
        # source and target item, consumer and slot of every edge
        self.edges = np.array(edges, dtype=np.int64).reshape(-1, 4).T
        self._item_paths, self._item_places = paths, scopes

    def _reading_order(
        self, inputs_of: list[tuple[int, ...]], scope_of: list[Path], local: list[str]
    ) -> list[int]:
        """Inputs before consumers, as the formula of the loss is read; whichever of two independent nodes
        was recorded first makes no difference."""
        count = len(inputs_of)
        used = bytearray(count)
        for inputs in inputs_of:
            for j in inputs:
                used[j] = 1
        ends = [i for i in range(count) if not used[i] and i != self.loss]
        made_of = [b""] * count if len(ends) > 1 else []
        for i in range(len(made_of)):  # digests, as the trees themselves grow too large
            parts = (scope_of[i], local[i], *(made_of[j] for j in inputs_of[i]))
            made_of[i] = blake2b(repr(parts).encode(), digest_size=8).digest()
        if made_of:
            ends.sort(key=made_of.__getitem__)
        order: list[int] = []
        seen = bytearray(count)  # 1: its inputs come first, 2: it has its place
        for end in (self.loss, *ends):
            stack = [end]
            while stack:
                i = stack[-1]
                if seen[i]:
                    stack.pop()
                    if seen[i] == 1:
                        seen[i] = 2
                        order.append(i)
                else:
                    seen[i] = 1
                    stack += [j for j in reversed(inputs_of[i]) if not seen[j]]
        return order

    def _scope_paths(self) -> tuple[list[Path], list[int]]:
        """The scopes with their time steps put in, and the number of each node's scope.

        What stands beside time steps moves out."""
        places, scope_of = self.graph.places()
        paths: list[Path] = []
        for names, time, depth in places:
            scope = tuple(_part(name) for name in names)
            if time is None:
                paths.append(scope)
            else:
                paths.append((*(scope[:depth] or ("time",)), f"t={time}", *scope[depth:]))
        paths, scope_of = self._apart_what_begins_last(paths, scope_of)
        paths, scope_of = self._with_lanes(paths, scope_of)
        used = dict.fromkeys(scope_of.tolist())
        sequences = _sequences([paths[k] for k in used])
        numbers: dict[Path, int] = {}
        renumbered = {}
        for k in used:
            p = paths[k]
            for n in range(len(p), 0, -1):
                if p[:n] in sequences and (n == len(p) or not _TIME.fullmatch(p[n])):
                    p = (*p[: n - 1], f"{p[n - 1]} +", *p[n:])
            renumbered[k] = numbers.setdefault(p, len(numbers))
        return list(numbers), [renumbered[k] for k in scope_of.tolist()]

    def _apart_what_begins_last(
        self, paths: list[Path], scope_of: np.ndarray
    ) -> tuple[list[Path], np.ndarray]:
        """Leaves that only sequences from the last step to the first read get a scope of their own."""
        sequences = _sequences(paths)
        steps = [
            next((k for k in range(len(p)) if p[:k] in sequences and _TIME.fullmatch(p[k])), -1)
            for p in paths
        ]
        flat, ends = self.graph.edges()
        consumers = np.repeat(np.arange(len(self.graph)), np.diff(ends))
        ways: dict[Path, set[bool]] = defaultdict(set)
        for pair in np.unique(scope_of[flat] * len(paths) + scope_of[consumers]).tolist():
            (a, k), (b, n) = ((paths[x], steps[x]) for x in divmod(pair, len(paths)))
            if 0 < k == n and a[:k] == b[:k] and a[k] != b[k]:
                ways[a[:k]].add(int(b[k][2:]) < int(a[k][2:]))
        backward = {sequence for sequence, found in ways.items() if found == {True}}
        if not backward:
            return paths, scope_of
        readers: dict[int, set[bool]] = defaultdict(set)
        for j, v in zip(flat.tolist(), consumers.tolist(), strict=True):
            if self.graph.ops[j] is None and steps[scope_of[j]] < 0 and paths[scope_of[j]]:
                n = steps[scope_of[v]]
                readers[j].add(n > 0 and paths[scope_of[v]][:n] in backward)
        shared = {int(scope_of[j]) for j, found in readers.items() if found != {True}}
        scope_of, numbers = scope_of.copy(), dict[Path, int]()
        for j, found in readers.items():
            k = int(scope_of[j])
            if found == {True} and k in shared and self.graph.kinds[j] == "input":
                path = (*paths[k][:-1], f"{paths[k][-1]} ←")
                scope_of[j] = numbers.setdefault(path, len(paths) + len(numbers))
        return [*paths, *numbers], scope_of

    def _with_lanes(self, paths: list[Path], scope_of: np.ndarray) -> tuple[list[Path], np.ndarray]:
        """Sequences whose steps feed the steps of the same time become lanes with common columns."""
        graph = self.graph
        sequences = _sequences(paths)
        flat, ends = graph.edges()
        consumers = np.repeat(np.arange(len(graph)), np.diff(ends))
        pairs, times = np.unique(scope_of[flat] * len(paths) + scope_of[consumers], return_counts=True)
        links: dict[tuple[Path, Path], int] = defaultdict(int)  # same time minus other times
        for pair, count in zip(pairs.tolist(), times.tolist(), strict=True):
            a, b = paths[pair // len(paths)], paths[pair % len(paths)]
            k = common(a, b) + 1
            if len(a) > k < len(b) and a[:k] != b[:k] and a[:k] in sequences and b[:k] in sequences:
                links[min(a[:k], b[:k]), max(a[:k], b[:k])] += count if a[k] == b[k] else -count
        lanes = {lane for pair, count in links.items() if count > 0 for lane in pair}
        if not lanes:
            return paths, scope_of
        turned = []
        for p in paths:
            k = next((k for k in range(1, len(p)) if p[:k] in lanes and _TIME.fullmatch(p[k])), 0)
            if k:
                # lanes without a scope around them get one
                outer = p[: k - 1] or (" + ".join(sorted(q[0] for q in lanes if len(q) == 1)),)
                self.columns.add((*outer, "t=*"))
                p = (*outer, p[k], p[k - 1], *p[k + 1 :])
            turned.append(p)
        scope_of = scope_of.copy()
        uses: dict[int, set[Path]] = defaultdict(set)
        for j, v in zip(flat.tolist(), consumers.tolist(), strict=True):
            if graph.ops[j] is None:
                uses[j].add(turned[scope_of[v]])
        numbers: dict[Path, int] = {}
        for i, readers in uses.items():  # what several lanes read stands below them
            p = turned[scope_of[i]]
            k = next((k for k in range(1, len(p)) if star(p[:k]) in self.columns), 0)
            if k and len({q[k] for q in readers if q[:k] == p[:k] and len(q) > k}) > 1:
                scope_of[i] = numbers.setdefault(p[:k], len(turned) + len(numbers))
        return [*turned, *numbers], scope_of

    def _locals(self, inputs_of: list[tuple[int, ...]], kinds: list[str | None]) -> list[str]:
        """Of each node a name that is the same in every time step: its own without the step, or op and
        leaves."""
        names = self._names
        found = []
        for name, time, op, inputs in zip(names, self.graph.times, self.graph.ops, inputs_of, strict=True):
            if name:
                found.append(name.removesuffix(f"_{time}") if time is not None else name)
            else:
                leaves = ",".join([names[j] for j in inputs if kinds[j] == "parameter"])
                found.append(f"{op.name if op else 'leaf'}({leaves})")
        return found

    # Templates

    def _build_templates(self) -> None:
        """Scopes by number, parents first, with the boxes in each, and the templates."""
        self.scope_paths: list[Path] = [()]
        self.scope_number: dict[Path, int] = {(): 0}
        self._children: list[dict[str, int]] = [{}]  # by name: a scope's number, or that of an item
        parents, depths = [0], [0]
        known: dict[int, int] = {}
        item_scope = []
        for i, place in enumerate(self._item_places):
            scope = known.get(place)
            if scope is None:
                scope, path = 0, self._item_paths[place]
                for k in range(1, len(path) + 1):
                    inner = self.scope_number.setdefault(path[:k], len(self.scope_paths))
                    if inner == len(self.scope_paths):
                        self.scope_paths.append(path[:k])
                        self._children.append({})
                        parents.append(scope)
                        depths.append(k)
                        self._children[scope][path[k - 1]] = inner
                    scope = inner
                known[place] = scope
            item_scope.append(scope)
            self._children[scope][self.items[i].path[-1]] = i
        self.parent, self.depth = np.array(parents), np.array(depths)
        self.item_scope = np.array(item_scope, dtype=np.int64)
        deepest = int(self.depth.max())
        # the scope around each scope at every depth, itself too; −1 further in
        self.around = np.full((len(parents), deepest + 1), -1)
        for s, (p, d) in enumerate(zip(parents, depths, strict=True)):
            self.around[s] = self.around[p]
            self.around[s, d] = s
        self.template_keys: list[Path] = []
        numbers: dict[Path, int] = {}
        template_of = []
        for scope, path in enumerate(self.scope_paths):
            key = star(path)
            number = numbers.setdefault(key, len(numbers))
            if number == len(self.template_keys):
                self.template_keys.append(key)
                self.templates[key] = Template(key)
            template_of.append(number)
            template = self.templates[key]
            template.instances.append(path)
            for name in self._children[scope]:
                template.children.setdefault(name, not name.startswith(":"))
        self.template_of = np.array(template_of)
        for template in self.templates.values():
            if any(_TIME.fullmatch(name) for name in template.children):
                template.kind = "seq"
                template.children = dict(sorted(template.children.items(), key=lambda c: int(c[0][2:])))
            elif template.key in self.columns:
                template.kind = "lanes"

    def _is_sequence(self, scope: Path) -> bool:
        return self.templates[star(scope)].kind == "seq"

    def can_fold(self, path: str) -> bool:
        """Whether something can be folded: a scope, a sequence to roll up, a range of steps, or `ONCE`."""
        return path == ONCE or path in self.scopes or path in self.rolls or path in self.ranges

    def is_seen(self, path: str, folded: Collection[str]) -> bool:
        """Whether a scope is open and on screen when those are folded."""
        return self._seen(self.scopes[path], folded) is None

    def count_boxes(self, folded: Collection[str]) -> int:
        """How many boxes are on screen when those scopes are folded."""
        hidden = [self._seen(path, folded) for path in self.scope_paths]
        inside = np.bincount(self.item_scope, minlength=len(hidden)).tolist()
        folds = {p for p, n in zip(hidden, inside, strict=True) if p is not None and n}
        return len(folds) + sum(n for p, n in zip(hidden, inside, strict=True) if p is None)

    def _seen(self, scope: Path, folded: Collection[str]) -> Path | None:
        """The outermost of the folded scopes that hide a scope, if one does."""
        for k in range(1, len(scope) + 1):
            if "/".join(scope[:k]) in folded:
                return scope[:k]
            middle = self._middles.get(scope[: k - 1])
            if middle and _TIME.fullmatch(scope[k - 1]) and f"{'/'.join(scope[: k - 1])}/{middle}" in folded:
                first, last = map(int, middle[2:].split("…"))
                if first <= int(scope[k - 1][2:]) <= last:
                    return (*scope[: k - 1], middle)
        return None

    def _note_last_out(self) -> None:
        """For each scope the last node that something outside uses; where nothing is, the last one inside."""
        node = np.array([item.node for item in self.items])
        source, target = self.edges[0], self.edges[1]
        inside, used = (np.full(len(self.scope_paths), -1) for _ in range(2))
        for d in range(self.around.shape[1]):
            around = self.around[self.item_scope, d]
            np.maximum.at(inside, around[around >= 0], node[around >= 0])
            leaves = (around[source] >= 0) & (around[source] != around[target])
            np.maximum.at(used, around[source][leaves], node[source][leaves])
        self.last_out = np.where(used >= 0, used, inside)

    def _middle(self, sequence: Path) -> str:
        """The steps between the first and the last three of a long sequence, in one name."""
        steps = sorted(int(name[2:]) for name in self.children(sequence))
        return f"t={steps[3]}…{steps[-4]}" if len(steps) > LONG else ""

    def children(self, scope: Path) -> dict[str, int]:
        """What is in one instance of a scope: by local name the number of a scope or of an item."""
        return self._children[self.scope_number[scope]]

    # Edges, cut at the borders of scopes

    def _lift_edges(self) -> None:
        """Cut every edge at the borders of scopes. All edges at once, as numbers: of names, of the ways down
        from a scope to an item (`below`), of ports and of pieces; texts only for what differs."""
        source, target = self.edges[0], self.edges[1]
        scope_u, scope_v = self.item_scope[source], self.item_scope[target]
        around_u, around_v = self.around[scope_u], self.around[scope_v]
        deepest = self.around.shape[1] - 1
        same = (around_u == around_v) & (around_u >= 0)
        shared = np.cumprod(same, axis=1).sum(axis=1) - 1  # depth of the innermost scope around both ends
        below = self._ways_down(deepest)
        port = self._name_ports(source, target, shared, below, deepest)
        names, first_name = _numbered([p[-1] if p else "" for p in self.scope_paths])
        local_names, _ = _numbered([item.path[-1] for item in self.items], first_name)

        def step_down(edges: np.ndarray, depth: np.ndarray) -> np.ndarray:
            """The name inside the scope at that depth around the targets that leads on to them."""
            inner = np.minimum(depth + 1, deepest)
            scope = around_v[edges, inner]
            ends = self.depth[scope_v[edges]] == depth
            return np.where(ends, local_names[target[edges]], names[np.where(ends, 0, scope)])

        def port_at(edges: np.ndarray, depth: np.ndarray) -> np.ndarray:
            return np.where(depth <= deepest, port[edges, np.minimum(depth, deepest)], -1) + 1

        # what leads from one lane to another leaves the cell above
        lanes = np.array([self.templates[key].kind == "lanes" for key in self.template_keys])
        in_lanes = lanes[self.template_of[around_u[np.arange(len(source)), shared]]]
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
        code = (self.template_of[scope] * 3 + kind) * (int(what.max(initial=0)) + 1) + what
        _, first, piece = np.unique(code, return_index=True, return_inverse=True)
        renumbered = np.empty(len(first), dtype=np.int64)
        by_appearance = np.argsort(first)
        renumbered[by_appearance] = np.arange(len(first))
        # row by row, edge by edge: which piece, and the scope that it lies in
        self.row_piece, self.row_scope = renumbered[piece], scope
        self.row_starts = np.searchsorted(edge, np.arange(len(source) + 1))
        self.pieces: list[Piece] = []
        self.piece_template = self.template_of[scope[first[by_appearance]]]
        rows_of_pieces = first[by_appearance]
        upwards = np.where(kind == 0, b > 0, in_lanes[edge])
        depths = self.depth[scope]
        depth_u, depth_v = self.depth[scope_u[edge]], self.depth[scope_v[edge]]
        plain = (kind == 1) & (depth_u == depths) & (depth_v == depths)  # between two boxes of one scope
        box_ends: list[End] = [(("node", item.path[-1]), None) for item in self.items]
        templates = [self.templates[key] for key in self.template_keys]
        rows_in_names = (edge, kind, depths, upwards, plain, source[edge], target[edge])
        columns = (x[rows_of_pieces].tolist() for x in rows_in_names)
        for number, e, k, d, up, is_plain, u, v in zip(self.piece_template.tolist(), *columns, strict=True):
            if is_plain:
                link = box_ends[u], box_ends[v]
                self.pieces.append(link)
                templates[number].edges[link] = None
            else:
                self._add_piece(templates[number], e, k, d, up, port)
        connected = np.zeros(len(self.template_keys), bool)
        connected[self.piece_template] = True
        self._note_first_steps()
        self._join_what_leaves()
        for template in self.templates.values():
            if template.kind == "seq":
                self._lead_through(template)
        for number, template in enumerate(self.templates.values()):
            items = not any(template.children.values())
            if template.kind == "dag" and template.key and items and not connected[number]:
                template.kind = "panel"

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
        here = self.template_of[self._port_rows[:, 0]] == self.template_keys.index(t.key)
        from_leaf = {
            self.ports[port]
            for _, source, port, _ in self._port_rows[here].tolist()
            if self.graph.ops[self.items[source].node] is None
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

    def _ways_down(self, deepest: int) -> np.ndarray:
        """A number for the way from the scope at each depth around an item down to it; −1 further in."""
        names, _ = _numbered([p[-1] if p else "" for p in self.scope_paths])
        local, _ = _numbered([item.path[-1] for item in self.items])
        count = max(len(self.items), len(self.scope_paths)) + 1
        below = np.full((len(self.items), deepest + 1), -1)
        depth = self.depth[self.item_scope]
        for d in range(deepest, -1, -1):
            ends, passes = depth == d, depth > d
            if d < deepest:
                code = names[self.around[self.item_scope[passes], d + 1]] * count + below[passes, d + 1]
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
        around = self.around[self.item_scope[target]]
        edge, depth = np.nonzero((np.arange(deepest + 1) > shared[:, None]) & (around >= 0))
        port = np.full((len(source), deepest + 1), -1)
        self.ports: list[Any] = []
        if not len(edge):
            self._port_rows = np.empty((0, 4), dtype=np.int64)
            return port
        scope, way = around[edge, depth], below[target[edge], depth]
        # what one source has in one scope, by number; of several sources the latest comes first
        code = scope * (len(self.items) + 1) + len(self.items) - source[edge]
        entries, first, entry = np.unique(code, return_index=True, return_inverse=True)
        ways = np.unique(entry * (int(way.max()) + 1) + way)
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
            targets[int(entry[k])].add(self.items[target[edge[k]]].path[depth[k] :])
        named: dict[Any, int] = {}
        same: list[int] = []
        for k in wanted:
            name = _port_name(targets[k]), int(occurrence[k])
            same.append(named.setdefault(name, len(named)))
        self.ports = list(named)
        number = np.array(same)[number]
        rank = np.empty(len(self.scope_paths), dtype=np.int64)
        rank[sorted(range(len(rank)), key=self.scope_paths.__getitem__)] = np.arange(len(rank))
        order = np.lexsort((np.arange(len(entries)), rank[scopes]))
        code = self.template_of[scopes] * len(self.ports) + number
        for k in np.sort(np.unique(code[order], return_index=True)[1]).tolist():
            where = int(order[k])
            template = self.templates[self.template_keys[self.template_of[scopes[where]]]]
            template.in_ports.setdefault(self.ports[number[where]])
        port[edge, depth] = number[entry]
        self._port_rows = np.stack([scopes, source[edge[first]], number, depths], axis=1)
        return port

    def _add_piece(
        self, template: Template, edge: int, kind: int, depth: int, upwards: bool, port: np.ndarray
    ) -> None:
        """Write out one piece in names: it goes up to its scope's border, across the scope, or down."""
        u, v = self.items[self.edges[0, edge]].path, self.items[self.edges[1, edge]].path

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
        if kind != 1 or not (_TIME.fullmatch(u[depth]) and _TIME.fullmatch(v[depth])):
            return
        (_, left_by), (_, entered_by) = piece
        ahead = int(v[depth][2:]) - int(u[depth][2:])
        if abs(ahead) == 1 and left_by is not None and entered_by is not None:
            step = self.templates[star((*template.key, u[depth]))]
            (step.pairs if ahead == 1 else step.back_pairs).add((entered_by, left_by))

    def _note_first_steps(self) -> None:
        """A state recurs in the first step too: what comes in as `c_0` leaves as `c_1`, used or not."""
        names = self._names
        by_name: dict[str, list[int]] = defaultdict(list)
        for i, item in enumerate(self.items):
            if item.consumer is None and names[item.node]:
                by_name[names[item.node]].append(i)
        scopes, sources = self._port_rows[:, 0], self._port_rows[:, 1]
        outside = self.around[self.item_scope[sources], self._port_rows[:, 3] - 1] != self.parent[scopes]
        for scope, source, port, _ in self._port_rows[outside].tolist():
            path = self.scope_paths[scope]
            base, line, index = names[self.items[source].node].rpartition("_")
            if not line or not index.isdigit() or not _TIME.fullmatch(path[-1]):
                continue
            now, before = int(path[-1][2:]), int(index)
            if abs(now - before) != 1:
                continue
            for i in by_name[f"{base}_{now}"]:
                found = self.items[i].path
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

    def _direct(self, t: Template) -> None:
        """Which way a template runs, and on which sides its ports are; outer templates come first."""
        if t.kind != "lanes":
            t.mirrored = t.mirrored or bool(t.back_pairs and not t.pairs and t.kind == "dag")
            if t.mirrored:
                t.pairs = t.back_pairs or t.pairs
                t.east_in, t.west_out = set(t.in_ports), set(t.out_ports)
                for inner in self.templates.values():
                    if inner.key[: len(t.key)] == t.key:
                        inner.mirrored = True
            return
        inside: dict[Any, list[End]] = {p: [] for p in t.in_ports}
        for (a, _), b in t.edges:
            if a[0] == "in" and b[0][0] == "node":
                inside[a[1]].append(b)
        outside = {b[1]: a for a, (b, _) in t.edges if b[0] == "out" and a[0][0] == "node"}
        for name in ("pairs", "back_pairs"):
            for i, o in getattr(t, name):
                source, port_out = outside[o]
                for child, port_in in inside[i]:
                    if child == source and t.children[child[1]]:
                        getattr(self.templates[(*t.key, child[1])], name).add((port_in, port_out))
        backward = {
            c
            for c, scope in t.children.items()
            if scope and (inner := self.templates[(*t.key, c)]).back_pairs and not inner.pairs
        }
        t.east_in = {p for p, goals in inside.items() if goals and all(c[1] in backward for c, _ in goals)}
        t.west_out = {p for p, (child, _) in outside.items() if child[1] in backward}
        self._stack_lanes(t)
        for ((kind, a), port_a), ((goal, b), port_b) in t.edges:
            cells = [self.templates.get((*t.key, c)) for c in (a, b)]
            if kind != goal or kind != "node":
                continue
            if cells[0] is not None and cells[0].kind == "dag":
                cells[0].north.add(port_a)
            if cells[1] is not None and cells[1].kind == "dag" and not cells[1].recurs(port_b):
                cells[1].south.add(port_b)

    def _begin_at_the_right(self, t: Template) -> None:
        """Where the last step of a lane that runs backwards gets its first state: from the right."""
        if t.kind != "seq" or t.mirrored:
            return
        step, last = self.templates[*t.key, "t=*"], list(t.children)[-1]
        goals: dict[Any, list[End]] = defaultdict(list)
        for (a, _), b in t.edges:
            if a[0] == "in":
                goals[a[1]].append(b)
        t.east_in = {
            p for p, ends in goals.items() if all(b == ("node", last) and q in step.east_in for b, q in ends)
        }
        around = self.templates[t.key[:-1]] if t.key else None
        if not t.east_in or around is None or around.kind != "dag":
            t.east_in = set()
            return
        entries = {e for e in around.edges if e[1][0] == ("node", t.key[-1]) and e[1][1] in t.east_in}
        busy = {v for e in around.edges for v in ((e[1][0],) if e in entries else (e[0][0], e[1][0]))}
        around.reversed |= {e for e in entries if e[0][0] not in busy and e[0][0][0] == "node"}
        t.east_in = {p for p in t.east_in if all(e in around.reversed for e in entries if e[1][1] == p)}
        around.reversed = {e for e in around.reversed if e[1][1] in t.east_in}
        for (_, name), _ in (e[0] for e in around.reversed):
            beside = self.templates.get((*around.key, name))
            if beside is not None:
                beside.mirrored, beside.west_out = True, set(beside.out_ports)

    def _stack_lanes(self, t: Template) -> None:
        """From the lowest lane, which the others read, to the highest."""
        before: dict[str, set[str]] = {c: set() for c in t.children}
        for (a, _), (b, _) in t.edges:
            if a[0] == b[0] == "node" and a[1] != b[1]:
                before[b[1]].add(a[1])
        while before:
            lane = next((c for c in before if not before[c] & before.keys()), next(iter(before)))
            t.lanes.append(lane)
            del before[lane]

    def begins_spine(self, scope: Path, port: Any) -> bool:
        """Whether what enters a sequence at a port runs along its state line."""
        t = self.templates[star(scope)]
        if t.kind == "dag":
            return any(s[0] == ("in", port) for s in t.spines)
        if t.key not in self._goals:
            goals = self._goals[t.key] = defaultdict(dict)
            for (a, _), (b, inner) in t.edges:
                if a[0] == "in" and inner is not None:
                    goals[a[1]].setdefault((star((b[1],)), inner))
        return any(self.begins_spine((*t.key, *c), inner) for c, inner in self._goals[t.key].get(port, ()))

    def _states_first(self, t: Template) -> None:
        """Among leaves that only lead out of their scope, those where a state line begins are on top."""
        if not t.key or any(a[0] == b[0] == "node" for (a, _), (b, _) in t.edges) or t.in_ports:
            return
        outside = self.templates.get(t.key[:-1])
        begins = {
            port_a[0]
            for (a, port_a), (b, port_b) in (outside.edges if outside else ())
            if a == ("node", t.key[-1]) and port_b is not None
            if self.begins_spine((*t.key[:-1], b[1]), port_b)
        }
        t.children = dict(sorted(t.children.items(), key=lambda c: c[0] not in begins))

    def op_name(self, template: Template, local: str) -> str:
        """Name of the op of a child box, empty for a scope or a leaf."""
        known = self._op_names.get((template.key, local))
        if known is None:
            found = (self.children(scope).get(local) for scope in template.instances)
            item = None if template.children.get(local, True) else next(i for i in found if i is not None)
            op = None if item is None else self.graph.ops[self.items[item].node]
            known = self._op_names[template.key, local] = op.name if op else ""
        return known


def _port_name(targets: set[Path]) -> tuple[Any, ...]:
    """What leads to these targets; of very many a digest, as names are compared all the time."""
    names = tuple(sorted(targets))
    if len(names) <= MOST_NAMED:
        return names
    digest = blake2b(repr(names).encode(), digest_size=16).hexdigest()
    return *names[:2], (digest,)


def _part(scope: str) -> str:
    """A scope's name as part of a path: it must not pass for a time step, a box or a path of its own."""
    strange = not scope or "/" in scope or scope.startswith(":") or _TIME.fullmatch(scope)
    return f"‹{scope.replace('/', '∕')}›" if strange else scope


def _sequences(paths: list[Path]) -> set[Path]:
    """Scopes whose children are time steps."""
    return {p[:k] for p in paths for k in range(len(p)) if _TIME.fullmatch(p[k])}


def _numbered(names: list[str], known: dict[str, int] | None = None) -> tuple[np.ndarray, dict[str, int]]:
    """Names as numbers, the same for the same, and which is which."""
    numbers = dict(known or {})
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64), numbers
