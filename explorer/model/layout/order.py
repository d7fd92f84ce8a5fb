"""Ranks and the order in each: who is left of whom and above whom in one template (Sugiyama's method)."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from explorer.model.layout.template import End, Piece, Template, star

if TYPE_CHECKING:
    from explorer.model.layout.topology import Topology

_LINEAR = frozenset({"add", "add_n", "subtract", "multiply"})  # ops that a state line may run through
LONGEST_SPINE = 3
MANY = 5  # lines to one place, from which on they are joined
FAR = 1e6  # the place of what comes from below, or goes on above
DENSE = 1500  # edges in one template, beyond which its order is not polished


class Order:
    """Ranks, dummies and the order in each rank of one dag template."""

    def __init__(self, topology: Topology, template: Template) -> None:
        self.topology = topology
        self.t = t = template
        place = {c: k for k, c in enumerate(t.children)}
        t.out_ports = dict(sorted(t.out_ports.items(), key=lambda p: (place[p[0][0]], repr(p[0]))))
        t.vertices = [("node", c) for c in t.children]
        joined = self._joined_ports()
        t.vertices += [("in", p) for p in t.in_ports if joined[p] == p] + [("out", p) for p in t.out_ports]
        t.index = {v: i for i, v in enumerate(t.vertices)}
        t.index |= {("in", p): t.index["in", first] for p, first in joined.items()}
        t.edges = dict.fromkeys(sorted(t.edges, key=self._place_of))
        n = len(t.vertices)
        self.successors: list[set[int]] = [set() for _ in range(n)]
        self.predecessors: list[set[int]] = [set() for _ in range(n)]
        # between which vertices each edge is drawn, from left to right
        self.ends = {edge: self._ends(edge) for edge in t.edges}
        for i, j in self.ends.values():
            if i != j:
                self.successors[i].add(j)
                self.predecessors[j].add(i)

    def _joined_ports(self) -> dict[Any, Any]:
        """Many values that come in for one target come in through one port, the first of theirs."""
        together: dict[Any, list[Any]] = defaultdict(list)
        for port in self.t.in_ports:
            together[port[0]].append(port)
        return {
            port: ports[0] if len(key) == 1 and len(ports) >= MANY else port
            for key, ports in together.items()
            for port in ports
        }

    def _ends(self, edge: Piece) -> tuple[int, int]:
        if edge in self.t.reversed:
            return self.t.index[edge[1][0]], self.t.index[edge[0][0]]
        return self.t.index[self.t.starts.get(edge, edge[0])[0]], self.t.index[edge[1][0]]

    def _place_of(self, edge: tuple[End, End]) -> tuple[Any, ...]:
        (a, port_a), (b, port_b) = edge
        index = self.t.index
        return (
            index[a],
            index[b],
            "" if port_a is None else repr(port_a),
            "" if port_b is None else repr(port_b),
        )

    def run(self) -> None:
        self._find_spines()
        topological = self._rank()
        self._find_dense_gaps()
        self._add_dummies(topological)
        self._join_lines()
        self._reduce_crossings()
        self._place_entries()

    def _find_spines(self) -> None:
        """A spine runs from where a value comes in from the step before to where it leaves for the next,
        through sums and products only: the constant error carousel, a residual path."""
        t = self.t
        for in_port, out_port in sorted(t.pairs, key=repr):
            start, goal = ("in", in_port), ("out", out_port)
            if start not in t.index or goal not in t.index:
                continue
            paths: list[list[int]] = [[t.index[start]]]
            while paths:
                path = paths.pop(0)
                for j in sorted(self.successors[path[-1]]):
                    if t.vertices[j] == goal:
                        t.spines.append([t.vertices[i] for i in [*path, j]])
                        paths = []
                        break
                    kind, local = t.vertices[j]
                    inner = kind == "node" and self.topology.op_name(t, local) in _LINEAR
                    if inner and len(path) <= LONGEST_SPINE:
                        paths.append([*path, j])
        if not t.spines:
            self._find_residual_paths()

    def _find_residual_paths(self) -> None:
        """What comes in and is added to what was computed from it, on its way out, is a state line too."""
        t = self.t
        for port in t.in_ports:
            start = t.index["in", port]
            for j in sorted(self.successors[start]):
                kind, local = t.vertices[j]
                ends = [k for k in sorted(self.successors[j]) if t.vertices[k][0] == "out"]
                adds = kind == "node" and self.topology.op_name(t, local) in ("add", "add_n")
                if adds and ends and self._leads_around(start, j):
                    t.spines.append([t.vertices[i] for i in (start, j, ends[0])])
                    return

    def _leads_around(self, start: int, goal: int) -> bool:
        """Whether there is a way from one vertex to another besides the direct one."""
        seen, stack = {start}, [i for i in self.successors[start] if i != goal]
        while stack:
            i = stack.pop()
            if i == goal:
                return True
            if i not in seen:
                seen.add(i)
                stack += self.successors[i]
        return False

    def _rank(self) -> list[int]:
        t, n = self.t, len(self.t.vertices)
        waiting = [len(p) for p in self.predecessors]
        topological: list[int] = []
        left = dict.fromkeys(range(n))
        while left:
            # a cycle between scopes is opened at its first recorded member
            i = next((i for i in left if waiting[i] <= 0), next(iter(left)))
            del left[i]
            topological.append(i)
            for j in self.successors[i]:
                waiting[j] -= 1
        place = {i: k for k, i in enumerate(topological)}
        self.forward = [sorted(j for j in self.successors[i] if place[j] > place[i]) for i in range(n)]
        rank = [1 if t.in_ports and t.vertices[i][0] == "node" else 0 for i in range(n)]
        for i in topological:
            for j in self.forward[i]:
                rank[j] = max(rank[j], rank[i] + 1)
        last = max((rank[i] for i in range(n) if t.vertices[i][0] != "out"), default=0)
        for i in range(n):
            if t.vertices[i][0] == "out":
                rank[i] = last + 1
        for _ in range(4):  # a leaf stands next to its use, a fork next to its branches
            for i in reversed(topological):
                following = self.forward[i]
                if t.vertices[i][0] == "node" and following and len(following) >= len(self.predecessors[i]):
                    rank[i] = max(rank[i], min(rank[j] for j in following) - 1)
        self.across = t.across()
        for i in self.across:  # in the gap beside the box that they lead to or come from
            beside = self.successors[i] or self.predecessors[i]
            rank[i] = (
                min(rank[j] for j in beside) - 1 if self.successors[i] else 1 + max(rank[j] for j in beside)
            )
        t.rank = rank
        return topological

    def _find_dense_gaps(self) -> None:
        """Where sources have three targets and more on average, and targets three sources and more."""
        t = self.t
        lines: dict[int, int] = defaultdict(int)
        ends: dict[int, tuple[set[int], set[int]]] = defaultdict(lambda: (set(), set()))
        for i, following in enumerate(self.successors):
            for j in following - self.across:
                if i not in self.across and t.rank[j] == t.rank[i] + 1:
                    lines[t.rank[i]] += 1
                    ends[t.rank[i]][0].add(i)
                    ends[t.rank[i]][1].add(j)
        t.dense_gaps = {r for r, n in lines.items() if n >= 3 * max(map(len, ends[r]))}
        t.dense_gaps -= {t.rank[i] if self.successors[i] else t.rank[i] - 1 for i in self.across}
        for spine in t.spines:
            t.dense_gaps -= {t.rank[t.index[vertex]] for vertex in spine}

    def _add_dummies(self, topological: list[int]) -> None:
        t, n = self.t, len(self.t.vertices)
        t.layers = [[] for _ in range(max(t.rank, default=0) + 1)]
        bare = [i for i in topological if not self.successors[i] and not self.predecessors[i]]
        if len(bare) < n:
            t.loose = bare
            for i in bare:
                t.rank[i] = 0
        for i in topological:
            if i not in t.loose and i not in self.across:
                t.layers[t.rank[i]].append(i)
        if 0 in t.dense_gaps and t.in_ports:  # the latest source was first, units are counted from above
            t.layers[0].reverse()
        shared: dict[tuple[int, Any, int], int] = {}  # one trunk for all edges of one source
        begun: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.up: dict[int, set[int]] = defaultdict(set)
        self.down: dict[int, set[int]] = defaultdict(set)
        for edge, (i, j) in self.ends.items():
            if t.rank[i] in t.dense_gaps and t.rank[j] == t.rank[i] + 1:
                t.fans[edge] = i, j
                continue
            _, port = edge[1] if edge in t.reversed else t.starts.get(edge, edge[0])
            chain = [i]
            for r in range(t.rank[i] + 1, t.rank[j]):
                key = (i, port, r)
                if key not in shared:
                    shared[key] = n + len(shared)
                    t.rank.append(r)
                    t.layers[r].append(shared[key])
                chain.append(shared[key])
            chain.append(j)
            t.chains[edge] = chain
            if edge not in t.reversed:
                begun[i][chain[1]].append(self._port_place(edge[0]))
            if t.rank[i] < t.rank[j]:
                for p, q in itertools.pairwise(chain):
                    self.up[q].add(p)
                    self.down[p].add(q)
        # how far down on a scope's side the lines begin that leave it as a bundle: less than a place
        self.begins = {
            i: 1e-3 * sum(places) / len(places)
            for targets in begun.values()
            if max(targets) >= n
            for i, places in targets.items()
        }
        self.spine_members = t.on_spine = self._spine_members()

    def _join_lines(self) -> None:
        """Many lines that lead to one place, and nowhere else, become one line in the gap before it."""
        t = self.t
        goals: dict[Any, set[Any]] = defaultdict(set)
        arriving: dict[Any, dict[Any, list[Piece]]] = defaultdict(lambda: defaultdict(list))
        for edge, chain in t.chains.items():
            if self._is_row(edge) or edge in t.reversed:
                continue
            (a, port), (_, into) = t.starts.get(edge, edge[0]), edge[1]
            for p, q in itertools.pairwise(chain):
                start = (p, port if p == chain[0] and a[0] == "node" else None)
                # ports of a scope that lead to one target are one place
                goal = (q, into[0] if q == chain[-1] and into is not None else None)
                goals[start].add(goal)
                if q == chain[-1] and t.rank[p] < t.rank[q] and not {p, q} <= self.spine_members:
                    arriving[goal][start].append(edge)
        for goal, starts in arriving.items():
            alone = [edges for start, edges in starts.items() if goals[start] == {goal}]
            if len(alone) >= MANY and (goal[1] is None or len(goal[1]) == 1):
                t.joined |= {edge: goal for edges in alone for edge in edges}

    def _is_row(self, edge: Piece) -> bool:
        (_, out), _ = edge[1]
        return edge[1][0][0] == "out" and out in self.t.through.values()

    def _spine_members(self) -> set[int]:
        t = self.t
        members: set[int] = set()
        for spine in t.spines:
            steps = {(t.index[a], t.index[b]) for a, b in itertools.pairwise(spine)}
            for chain in t.chains.values():
                if (chain[0], chain[-1]) in steps:
                    members.update(chain)
        return members

    def _reduce_crossings(self) -> None:
        """Barycentre sweeps from several starts, then exchange of neighbours; a spine stays on top."""
        t = self.t
        best: tuple[int, list[list[int]]] | None = None
        dense = len(t.chains) > DENSE
        for start in range(1 if dense else 4):
            if start == 1:
                for layer in t.layers:
                    layer.reverse()
            elif start:
                for layer in t.layers:
                    layer.sort(key=lambda i: (i * 2654435761 * start) % 1000003)
            self._number()
            for sweep in range(4 if dense else 12):
                order = range(1, len(t.layers)) if sweep % 2 == 0 else range(len(t.layers) - 2, -1, -1)
                for r in order:
                    self._sort_layer(r, self.up if sweep % 2 == 0 else self.down)
                crossings = self._crossings()
                if best is None or crossings < best[0]:
                    best = crossings, [list(layer) for layer in t.layers]
            if best is not None and best[0] == 0:
                break
        if best is not None:
            t.layers = best[1]
        self._number()
        if not dense:
            self._exchange_neighbours()
        self._match_recurring_ports()
        self._order_rows()

    def _order_rows(self) -> None:
        """Values that run through a scope keep one order in all ranks: that in which they run through the
        scope inside, or else that in which they come in. What reads one of them stands next to it."""
        t = self.t
        if not t.through:
            return
        row, rigid = self._rows()
        below = float(len(row))
        for layer in t.layers:
            wanted = {}
            for i in layer:
                near = [row[p] for p in self.up[i] if p in row]
                small = (
                    i < len(t.vertices) and t.vertices[i][0] == "node" and not t.children[t.vertices[i][1]]
                )
                if i not in row and near and small and not rigid:
                    row[i] = sum(near) / len(near) + 0.5
                wanted[i] = row.get(i, below)
            layer.sort(key=wanted.__getitem__)
        self._number()

    def _rows(self) -> tuple[dict[int, float], bool]:
        """The vertices and dummies of every value that runs through, by its place from above; and whether
        their distances are those in a scope inside, so that nothing else fits between them."""
        t = self.t
        port_in = {out: port for port, out in t.through.items()}
        place: dict[Any, float] = {}
        members: dict[Any, list[int]] = {}
        for edge, chain in t.chains.items():
            if not self._is_row(edge):
                continue
            begin, _ = edge[0]
            port = port_in[edge[1][0][1]]
            entry = t.index["in", port]
            members[port], place[port] = [entry, *chain[begin[0] == "node" :]], self.position[entry]
            if begin[0] == "node":
                inside = self.topology.templates[star((*t.key, begin[1]))]
                way_in = next(e for e in t.chains if e[0] == (("in", port), None) and e[1][0] == begin)
                place[port] = inside.layers[0].index(inside.index["in", way_in[1][1]])
                members[port] += t.chains[way_in][1:-1]
        ordered = sorted(place, key=place.__getitem__)
        row = {i: float(k) for k, port in enumerate(ordered) for i in members[port]}
        inner = {t.index[edge[0][0]] for edge in t.chains if self._is_row(edge) and edge[0][0][0] == "node"}
        return row | dict.fromkeys(inner, 0.0), bool(inner)

    def _number(self) -> None:
        self.position = {}
        for layer in self.t.layers:
            for k, i in enumerate(layer):
                self.position[i] = k - (len(layer) - 1) / 2
        for i in self.across:  # below and above everything
            self.position[i] = FAR if self.successors[i] else -FAR

    def _sort_layer(self, r: int, neighbours: dict[int, set[int]]) -> None:
        layer = self.t.layers[r]
        keys = {}
        for k, i in enumerate(layer):
            near = neighbours[i]
            middle = sum(self.position[j] for j in near) / len(near) if near else self.position[i]
            if neighbours is self.up:
                middle += self.begins.get(i, 0.0)
            keys[i] = (i not in self.spine_members, middle, k)
        layer.sort(key=keys.__getitem__)
        for k, i in enumerate(layer):
            self.position[i] = k - (len(layer) - 1) / 2

    def _crossings(self) -> int:
        """Pairs of lines between neighbouring ranks that cross: inversions, counted by insertion."""
        total = 0
        for layer in self.t.layers[1:]:
            arrived: list[float] = []
            for _, y in sorted((self.position[p], self.position[q]) for q in layer for p in self.up[q]):
                at = bisect_right(arrived, y)
                total += len(arrived) - at
                arrived.insert(at, y)
        return total

    def _exchange_neighbours(self) -> None:
        def crossing(a: int, b: int) -> int:
            return sum(
                1
                for near in (self.up, self.down)
                for x in near[a]
                for y in near[b]
                if self.position[x] > self.position[y]
            )

        for _ in range(12):
            improved = False
            for layer in self.t.layers:
                for k in range(len(layer) - 1):
                    a, b = layer[k], layer[k + 1]
                    if a in self.spine_members or b in self.spine_members:
                        continue
                    if crossing(a, b) > crossing(b, a):
                        layer[k], layer[k + 1] = b, a
                        self.position[a], self.position[b] = self.position[b], self.position[a]
                        improved = True
            if not improved:
                return

    def _match_recurring_ports(self) -> None:
        """Ports of recurring values leave in the order in which they come in, so that they never cross."""
        t = self.t
        pairs = [
            (t.index["in", i], t.index["out", o])
            for i, o in t.pairs
            if ("in", i) in t.index and ("out", o) in t.index
        ]
        if not pairs:
            return
        last = t.layers[-1]
        wanted = list(dict.fromkeys(o for _, o in sorted(pairs, key=lambda p: (self.position[p[0]], p[1]))))
        slots = sorted(last.index(o) for o in wanted)
        for slot, o in zip(slots, wanted, strict=True):
            last[slot] = o
        self._number()

    def _place_entries(self) -> None:
        """Which edge enters a box as its how-many-th, from above; an edge of a spine is marked."""
        t = self.t
        incoming: dict[int, dict[tuple[Any, Any], list[Piece]]] = defaultdict(dict)
        for edge in t.chains:
            (a, port), (b, target_port) = edge
            if b[0] == "node" and target_port is None:
                source = ("joined", None) if edge in t.joined else (t.index[a], port)
                incoming[t.index[b]].setdefault(source, []).append(edge)
        threads = self._threads()
        for groups in incoming.values():

            def place(group: list[tuple[End, End]]) -> tuple[float, int, str]:
                before = [self.position[t.chains[edge][-2]] for edge in group]
                return sum(before) / len(before), self._port_place(group[0][0]), repr(group[0])

            ordered = sorted(groups.values(), key=place)
            for k, group in enumerate(ordered):
                for edge in group:
                    chain = t.chains[edge]
                    on_spine = chain[0] in self.spine_members and chain[-1] in self.spine_members
                    straight = on_spine or (chain[0], chain[-1]) in threads
                    t.entries[edge] = (k, len(ordered), straight)
                    if straight:
                        t.middle.setdefault(edge[1], k)

    def _threads(self) -> set[tuple[int, int]]:
        """The shortest way of each recurring value through a step: its lines meet boxes in their middle."""
        t = self.t
        steps: set[tuple[int, int]] = set()
        for in_port, out_port in sorted(t.pairs, key=repr):
            goal = t.index.get(("out", out_port))
            start = t.index.get(("in", in_port))
            if start is None or goal is None or start in self.spine_members:
                continue
            came: dict[int, int] = {start: start}
            queue = [start]
            while queue and goal not in came:
                i = queue.pop(0)
                for j in sorted(self.successors[i]):
                    if j not in came:
                        came[j] = i
                        queue.append(j)
            while goal in came and came[goal] != goal:
                steps.add((came[goal], goal))
                goal = came[goal]
        return steps

    def _port_place(self, end: End) -> int:
        """How far down on its scope's side an out-port is."""
        (kind, local), port = end
        if kind != "node" or port is None:
            return 0
        child = self.topology.templates[star((*self.t.key, local))]
        if child.kind == "seq":  # the last step leaves straight on, earlier ones below it
            return -list(child.children).index(port[0])
        out = child.index.get(("out", port))
        return child.layers[-1].index(out) if child.layers and out in child.layers[-1] else 0
