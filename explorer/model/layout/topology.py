"""Topology: what is inside what and who is left of whom, found once per graph.

Scopes of the same shape (the same scope at every time step) share one Template, the union of its
instances, so that an op stands at the same place in each of them. Each template is ordered in ranks, left
to right (Sugiyama's layered method). Nothing here depends on what is folded, and nothing has coordinates.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from autograd import Graph

Path = tuple[str, ...]  # of a scope: ("lstm", "t=2", "forget"); of an item, its local name is added
Vertex = tuple[str, Any]  # ("node", local name) | ("in", port) | ("out", port)
End = tuple[Vertex, Any]  # a vertex and, for a scope, its port; None for a plain box

_TIME = re.compile(r"t=-?\d+")
_STEP = re.compile(r"t=-?\d+(…-?\d+)?")  # one step, or a range of steps that is shown as one
_LINEAR = frozenset({"add", "add_n", "subtract", "multiply"})  # ops that a state line may run through
LONGEST_SPINE = 3
DENSE = 1500  # edges in one template, beyond which its order is not polished
ONCE = "parameters=once"  # stands among the folded scopes when shared leaves are drawn once
LONG = 50  # a sequence of more steps opens with its middle as one column


@dataclass(frozen=True)
class Item:
    """Something with a box of its own: a node, or an alias of a shared leaf next to one of its uses."""

    node: int
    consumer: int | None  # the use that an alias stands next to
    path: Path


@dataclass(frozen=True)
class GraphEdge:
    """One input of one node, between the items that draw it."""

    source: int  # item
    target: int  # item
    consumer: int  # node
    slot: int


@dataclass
class Template:
    """All scopes of one shape."""

    key: Path
    instances: list[Path] = field(default_factory=list)
    children: dict[str, bool] = field(default_factory=dict)  # local name -> is it a scope
    edges: dict[tuple[End, End], None] = field(default_factory=dict)
    in_ports: dict[Any, None] = field(default_factory=dict)
    out_ports: dict[Any, None] = field(default_factory=dict)
    pairs: set[tuple[Any, Any]] = field(default_factory=set)  # (in-port, out-port) of a value that recurs
    back_pairs: set[tuple[Any, Any]] = field(default_factory=set)  # of one that runs from the last step on
    # dag, seq (time columns), lanes (one column of sequences that lie above each other) or panel (the true
    # leaves of shared parameters)
    kind: str = "dag"
    mirrored: bool = False  # runs from right to left
    east_in: set[Any] = field(default_factory=set)  # in-ports on the right side
    west_out: set[Any] = field(default_factory=set)  # out-ports on the left side
    lanes: list[str] = field(default_factory=list)  # children of a column, from the lowest up
    # filled by `order`
    vertices: list[Vertex] = field(default_factory=list)
    index: dict[Vertex, int] = field(default_factory=dict)
    rank: list[int] = field(default_factory=list)  # also of dummies, which follow the vertices
    layers: list[list[int]] = field(default_factory=list)
    chains: dict[tuple[End, End], list[int]] = field(default_factory=dict)  # edge -> vertices and dummies
    loose: list[int] = field(default_factory=list)  # vertices without any edge: in no layer, put beside
    spines: list[list[Vertex]] = field(default_factory=list)
    on_spine: set[int] = field(default_factory=set)  # vertices and dummies
    entries: dict[tuple[End, End], tuple[int, int, bool]] = field(default_factory=dict)  # place among inputs
    middle: dict[End, int] = field(default_factory=dict)  # of a box, the place that meets its middle

    def on_spines(self) -> set[tuple[Vertex, Vertex]]:
        """The steps of all spines."""
        return {step for spine in self.spines for step in itertools.pairwise(spine)}


class Topology:
    """The scope tree of a graph, its templates, and every edge cut into pieces at scope borders.

    Leaves that several places share have an alias next to each use, or are drawn `once`, with lines to all.
    """

    def __init__(self, graph: Graph, loss: int, *, once: bool = False) -> None:
        self.graph = graph
        self.loss = loss
        self.once = once
        self.items: list[Item] = []
        self.edges: list[GraphEdge] = []
        self.templates: dict[Path, Template] = {}
        self.in_port: dict[tuple[Path, int], Any] = {}  # (scope, source item) -> port
        self._op_names: dict[tuple[Path, str], str] = {}
        self.metrics: dict[Any, Any] = {}  # what the metric stage keeps for all folding states
        self.columns: set[Path] = set()  # template keys of columns of lanes
        self._place_items()
        self.item_at = {item.path: i for i, item in enumerate(self.items)}
        self._build_templates()
        self.scopes = {"/".join(p): p for p in self._children if p}
        self.last_out = self._last_out()
        # sequences that can be rolled up, as lstm/t=*, and the middle of long ones, as lstm/t=4…97
        self.rolls = {"/".join((*p, "t=*")): p for p in _sequences([i.path for i in self.items])}
        self._middles = {p: name for p in self.rolls.values() if (name := self._middle(p))}
        self.ranges = {"/".join((*p, name)): p for p, name in self._middles.items()}
        self._lift_edges()
        for template in sorted(self.templates.values(), key=lambda t: len(t.key)):
            self._direct(template)
        for template in sorted(self.templates.values(), key=lambda t: -len(t.key)):
            if template.kind == "dag":
                self._states_first(template)
                _Order(self, template).run()

    # Items

    def _place_items(self) -> None:
        graph = self.graph
        inputs_of = list(graph.inputs)
        scope_of = self._scope_paths()
        order = self._reading_order(inputs_of, scope_of)
        uses: dict[int, list[int]] = defaultdict(list)
        for v in order:
            for j in inputs_of[v]:
                uses[j].append(v)
        counts: dict[tuple[Path, str], int] = defaultdict(int)

        def add(node: int, scope: Path, local: str, consumer: int | None = None) -> int:
            n = counts[scope, local]
            counts[scope, local] += 1
            path = (*scope, f":{local}" + (f"#{n}" if n else ""))
            self.items.append(Item(node, consumer, path))
            return len(self.items) - 1

        own: dict[int, int] = {}
        alias: dict[tuple[int, int], int] = {}
        for i in order:
            places = list(dict.fromkeys(scope_of[v] for v in uses[i]))
            shared = graph.ops[i] is None and graph.kinds[i] in ("parameter", "constant") and not self.once
            if shared and places and scope_of[i] not in places:
                if len(places) == 1 and not any(map(_TIME.fullmatch, places[0])):
                    # a leaf with one place of use stands there; one step is to look like many
                    own[i] = add(i, places[0], self._local(i))
                    continue
                for v in dict.fromkeys(uses[i]):
                    alias[i, v] = add(i, scope_of[v], f"{self._local(i)}@{self._local(v)}", v)
            own[i] = add(i, scope_of[i], self._local(i))
        for v in order:
            for slot, j in enumerate(inputs_of[v]):
                self.edges.append(GraphEdge(alias.get((j, v), own[j]), own[v], v, slot))
        self.own = own

    def _reading_order(self, inputs_of: list[tuple[int, ...]], scope_of: list[Path]) -> list[int]:
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
            parts = (scope_of[i], self._local(i), *(made_of[j] for j in inputs_of[i]))
            made_of[i] = blake2b(repr(parts).encode(), digest_size=8).digest()
        if made_of:
            ends.sort(key=made_of.__getitem__)
        order: list[int] = []
        seen = bytearray(count)
        for end in (self.loss, *ends):
            stack = [(end, False)]
            while stack:
                i, ready = stack.pop()
                if ready:
                    order.append(i)
                elif not seen[i]:
                    seen[i] = 1
                    stack.append((i, True))
                    stack += [(j, False) for j in reversed(inputs_of[i]) if not seen[j]]
        return order

    def _scope_paths(self) -> list[Path]:
        """The scope of each node with its time step put in; what stands beside time steps moves out."""
        graph = self.graph
        paths = []
        for names, time, depth in zip(graph.scopes, graph.times, graph.time_depths, strict=True):
            scope = tuple(_part(name) for name in names)
            if time is None:
                paths.append(scope)
            else:
                paths.append((*(scope[:depth] or ("time",)), f"t={time}", *scope[depth:]))
        paths = self._with_lanes(paths)
        sequences = _sequences(paths)
        moved = []
        for p in paths:
            for k in range(len(p), 0, -1):
                if p[:k] in sequences and (k == len(p) or not _TIME.fullmatch(p[k])):
                    p = (*p[: k - 1], f"{p[k - 1]} +", *p[k:])
            moved.append(p)
        return moved

    def _with_lanes(self, paths: list[Path]) -> list[Path]:
        """Sequences whose steps feed the steps of the same time become lanes with common columns."""
        graph = self.graph
        sequences = _sequences(paths)
        links: dict[tuple[Path, Path], int] = defaultdict(int)  # same time minus other times
        for v, inputs in enumerate(graph.inputs):
            for j in inputs:
                a, b = paths[j], paths[v]
                k = common(a, b) + 1
                if a[:k] in sequences and b[:k] in sequences and len(a) > k < len(b) and a[:k] != b[:k]:
                    links[min(a[:k], b[:k]), max(a[:k], b[:k])] += 1 if a[k] == b[k] else -1
        lanes = {lane for pair, count in links.items() if count > 0 for lane in pair}
        if not lanes:
            return paths
        turned = []
        for p in paths:
            k = next((k for k in range(1, len(p)) if p[:k] in lanes and _TIME.fullmatch(p[k])), 0)
            if k:
                # lanes without a scope around them get one
                outer = p[: k - 1] or (" + ".join(sorted(q[0] for q in lanes if len(q) == 1)),)
                self.columns.add((*outer, "t=*"))
                p = (*outer, p[k], p[k - 1], *p[k + 1 :])
            turned.append(p)
        uses: dict[int, set[Path]] = defaultdict(set)
        for v, inputs in enumerate(graph.inputs):
            for j in inputs:
                uses[j].add(turned[v])
        for i, op in enumerate(graph.ops):  # what several lanes read stands below them
            p = turned[i]
            k = next((k for k in range(1, len(p)) if star(p[:k]) in self.columns), 0)
            if op is None and k and len({q[k] for q in uses[i] if q[:k] == p[:k] and len(q) > k}) > 1:
                turned[i] = p[:k]
        return turned

    def _local(self, i: int) -> str:
        """A name that is the same in every time step: the node's name without the step, or op and leaves."""
        graph = self.graph
        name, time = graph.names[i], graph.times[i]
        if name:
            return name.removesuffix(f"_{time}") if time is not None else name
        op = graph.ops[i]
        leaves = [graph.names[j] for j in graph.inputs[i] if graph.kinds[j] == "parameter"]
        return f"{op.name if op else 'leaf'}({','.join(leaves)})"

    # Templates

    def _build_templates(self) -> None:
        self._children: dict[Path, dict[str, None]] = defaultdict(dict)
        self._children[()] = {}
        for item in self.items:
            for k in range(len(item.path)):
                self._children[item.path[:k]].setdefault(item.path[k])
        for scope, names in self._children.items():
            template = self.templates.setdefault(star(scope), Template(star(scope)))
            template.instances.append(scope)
            for name in names:
                template.children.setdefault(name, not name.startswith(":"))
        for template in self.templates.values():
            if any(_TIME.fullmatch(name) for name in template.children):
                template.kind = "seq"
                template.children = dict(sorted(template.children.items(), key=lambda c: int(c[0][2:])))
            elif template.key in self.columns:
                template.kind = "lanes"

    def can_fold(self, path: str) -> bool:
        """Whether something can be folded: a scope, a sequence to roll up, a range of steps, or `ONCE`."""
        return path == ONCE or path in self.scopes or path in self.rolls or path in self.ranges

    def is_seen(self, path: str, folded: Collection[str]) -> bool:
        """Whether a scope is open and on screen when those are folded."""
        return self._seen(self.scopes[path], folded) is None

    def count_boxes(self, folded: Collection[str]) -> int:
        """How many boxes are on screen when those scopes are folded."""
        return len({self._seen(item.path[:-1], folded) or item.path for item in self.items})

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

    def _last_out(self) -> dict[Path, int]:
        """For each scope the last node that something outside uses; where nothing is, the last one inside."""
        used: dict[Path, int] = {}
        inside: dict[Path, int] = {}
        for item in self.items:
            for k in range(len(item.path)):
                inside[item.path[:k]] = max(inside.get(item.path[:k], -1), item.node)
        for e in self.edges:
            source, path = self.items[e.source], self.items[e.target].path
            for k in range(common(source.path, path) + 1, len(source.path)):
                used[source.path[:k]] = max(used.get(source.path[:k], -1), source.node)
        return inside | used

    def _middle(self, sequence: Path) -> str:
        """The steps between the first and the last three of a long sequence, in one name."""
        steps = sorted(int(name[2:]) for name in self._children[sequence])
        return f"t={steps[3]}…{steps[-4]}" if len(steps) > LONG else ""

    def children(self, scope: Path) -> dict[str, None]:
        """Local names in one instance of a scope."""
        return self._children[scope]

    def _lift_edges(self) -> None:
        paths = [item.path for item in self.items]
        targets: dict[tuple[Path, int], set[Path]] = defaultdict(set)
        for e in self.edges:
            pu, pv = paths[e.source], paths[e.target]
            for j in range(common(pu, pv) + 1, len(pv)):
                targets[pv[:j], e.source].add(pv[j:])
        occurrences: dict[tuple[Path, Any], int] = defaultdict(int)
        # of several sources with one target the latest comes first: it leaves its sequence on top
        for (scope, source), found in sorted(targets.items(), key=lambda kv: (kv[0][0], -kv[0][1])):
            key = tuple(sorted(found))
            n = occurrences[scope, key]
            occurrences[scope, key] += 1
            self.in_port[scope, source] = (key, n)
            self.templates[star(scope)].in_ports.setdefault((key, n))
        connected = set()
        numbers: dict[tuple[Path, tuple[End, End]], int] = {}
        self.edge_pieces = [
            [numbers.setdefault(piece, len(numbers)) for piece in self._pieces(e)] for e in self.edges
        ]
        self.pieces = list(numbers)  # every piece once, as (scope, piece); edges name them by number
        for scope, piece in self.pieces:
            template = self.templates[star(scope)]
            template.edges.setdefault(piece)
            connected.add(scope)
            if piece[1][0][0] == "out":
                template.out_ports.setdefault(piece[1][0][1])
        for e in self.edges:
            self._note_recurrence(paths[e.source], paths[e.target], e.source)
        self._items_by_name: dict[str, list[int]] = defaultdict(list)
        for i, item in enumerate(self.items):
            if name := self.graph.names[item.node]:
                self._items_by_name[name].append(i)
        self._note_first_steps()
        for template in self.templates.values():
            items = not any(template.children.values())
            if template.kind == "dag" and template.key and items and connected.isdisjoint(template.instances):
                template.kind = "panel"

    def _pieces(self, e: GraphEdge) -> list[tuple[Path, tuple[End, End]]]:
        """An edge cut at scope borders: (scope, piece) from the source outward, across, and inward."""
        pu, pv = self.items[e.source].path, self.items[e.target].path
        k = common(pu, pv)

        def out_end(depth: int) -> End:
            return ("node", pu[depth]), None if depth == len(pu) - 1 else pu[depth + 1 :]

        def in_end(depth: int) -> End:
            last = depth == len(pv) - 1
            return ("node", pv[depth]), None if last else self.in_port[pv[: depth + 1], e.source]

        up = [(pu[:j], (out_end(j), (("out", pu[j:]), None))) for j in range(len(pu) - 1, k, -1)]
        across = [(pu[:k], (out_end(k), in_end(k)))]
        down = [
            (pv[:j], ((("in", self.in_port[pv[:j], e.source]), None), in_end(j)))
            for j in range(k + 1, len(pv))
        ]
        return up + across + down

    def _note_recurrence(self, pu: Path, pv: Path, source: int) -> None:
        k = common(pu, pv)
        if k >= min(len(pu), len(pv)) - 1 or not (_TIME.fullmatch(pu[k]) and _TIME.fullmatch(pv[k])):
            return
        step, ahead = self.templates[star(pu[: k + 1])], int(pv[k][2:]) - int(pu[k][2:])
        if abs(ahead) == 1:
            pairs = step.pairs if ahead == 1 else step.back_pairs
            pairs.add((self.in_port[pv[: k + 1], source], pu[k + 1 :]))

    def _note_first_steps(self) -> None:
        """A state recurs in the first step too: what comes in as `c_0` leaves as `c_1`, used or not."""
        names = self.graph.names
        for (scope, source), port in list(self.in_port.items()):
            base, line, index = names[self.items[source].node].rpartition("_")
            if not scope or not line or not index.isdigit() or not _TIME.fullmatch(scope[-1]):
                continue
            now, before = int(scope[-1][2:]), int(index)
            if abs(now - before) != 1 or self.items[source].path[: len(scope) - 1] == scope[:-1]:
                continue
            for i in self._named(f"{base}_{now}", scope):
                template = self.templates[star(scope)]
                pairs = template.pairs if now > before else template.back_pairs
                local = self.items[i].path[len(scope) :]
                pairs.add((port, local))
                for k in range(len(scope), len(self.items[i].path)):  # a way out for it
                    inner, rest = self.items[i].path[:k], self.items[i].path[k:]
                    child = None if len(rest) == 1 else rest[1:]
                    edge = ((("node", rest[0]), child), (("out", rest), None))
                    self.templates[star(inner)].edges.setdefault(edge)
                    self.templates[star(inner)].out_ports.setdefault(rest)

    def _named(self, name: str, scope: Path) -> list[int]:
        """Items of that name inside a scope."""
        return [
            i
            for i in self._items_by_name.get(name, [])
            if self.items[i].path[: len(scope)] == scope and self.items[i].consumer is None
        ]

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
        inside = {p: b for (a, _), b in t.edges if a[0] == "in" for p in (a[1],) if b[0][0] == "node"}
        outside = {b[1]: a for a, (b, _) in t.edges if b[0] == "out" and a[0][0] == "node"}
        for name in ("pairs", "back_pairs"):
            for i, o in getattr(t, name):
                (child, port_in), (source, port_out) = inside[i], outside[o]
                if child == source and t.children[child[1]]:
                    getattr(self.templates[(*t.key, child[1])], name).add((port_in, port_out))
        backward = {
            c
            for c, scope in t.children.items()
            if scope and (inner := self.templates[(*t.key, c)]).back_pairs and not inner.pairs
        }
        t.east_in = {p for p, (child, _) in inside.items() if child[1] in backward}
        t.west_out = {p for p, (child, _) in outside.items() if child[1] in backward}
        self._stack_lanes(t)

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
        return any(
            a == ("in", port) and p is not None and self.begins_spine((*scope, b[1]), p)
            for (a, _), (b, p) in t.edges
        )

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
            found = (self.item_at.get((*scope, local)) for scope in template.instances)
            item = next((i for i in found if i is not None), None)
            op = None if item is None else self.graph.ops[self.items[item].node]
            known = self._op_names[template.key, local] = op.name if op else ""
        return known


class _Order:
    """Ranks, dummies and the order in each rank of one dag template."""

    def __init__(self, topology: Topology, template: Template) -> None:
        self.topology = topology
        self.t = t = template
        place = {c: k for k, c in enumerate(t.children)}
        t.out_ports = dict(sorted(t.out_ports.items(), key=lambda p: (place[p[0][0]], repr(p[0]))))
        t.vertices = [("node", c) for c in t.children]
        t.vertices += [("in", p) for p in t.in_ports] + [("out", p) for p in t.out_ports]
        t.index = {v: i for i, v in enumerate(t.vertices)}
        t.edges = dict(sorted(t.edges.items(), key=lambda e: self._place_of(e[0])))
        n = len(t.vertices)
        self.successors: list[set[int]] = [set() for _ in range(n)]
        self.predecessors: list[set[int]] = [set() for _ in range(n)]
        for (a, _), (b, _) in t.edges:
            i, j = t.index[a], t.index[b]
            if i != j:
                self.successors[i].add(j)
                self.predecessors[j].add(i)

    def _place_of(self, edge: tuple[End, End]) -> tuple[Any, ...]:
        (a, port_a), (b, port_b) = edge
        return self.t.index[a], self.t.index[b], repr(port_a), repr(port_b)

    def run(self) -> None:
        self._find_spines()
        topological = self._rank()
        self._add_dummies(topological)
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
        t.rank = rank
        return topological

    def _add_dummies(self, topological: list[int]) -> None:
        t, n = self.t, len(self.t.vertices)
        t.layers = [[] for _ in range(max(t.rank, default=0) + 1)]
        bare = [i for i in topological if not self.successors[i] and not self.predecessors[i]]
        if len(bare) < n:
            t.loose = bare
            for i in bare:
                t.rank[i] = 0
        for i in topological:
            if i not in t.loose:
                t.layers[t.rank[i]].append(i)
        shared: dict[tuple[int, Any, int], int] = {}  # one trunk for all edges of one source
        self.up: dict[int, set[int]] = defaultdict(set)
        self.down: dict[int, set[int]] = defaultdict(set)
        for edge in t.edges:
            (a, port), (b, _) = edge
            i, j = t.index[a], t.index[b]
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
            if t.rank[i] < t.rank[j]:
                for p, q in itertools.pairwise(chain):
                    self.up[q].add(p)
                    self.down[p].add(q)
        self.spine_members = t.on_spine = self._spine_members()

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

    def _number(self) -> None:
        self.position = {}
        for layer in self.t.layers:
            for k, i in enumerate(layer):
                self.position[i] = k - (len(layer) - 1) / 2

    def _sort_layer(self, r: int, neighbours: dict[int, set[int]]) -> None:
        layer = self.t.layers[r]
        keys = {}
        for k, i in enumerate(layer):
            near = neighbours[i]
            middle = sum(self.position[j] for j in near) / len(near) if near else self.position[i]
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
        incoming: dict[int, dict[tuple[int, Any], list[tuple[End, End]]]] = defaultdict(dict)
        for edge in t.chains:
            (a, port), (b, target_port) = edge
            if b[0] == "node" and target_port is None:
                incoming[t.index[b]].setdefault((t.index[a], port), []).append(edge)
        threads = self._threads()
        for groups in incoming.values():

            def place(group: list[tuple[End, End]]) -> tuple[float, int, str]:
                before = t.chains[group[0]][-2]
                return self.position[before], self._port_place(group[0][0]), repr(group[0])

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


def _part(scope: str) -> str:
    """A scope's name as part of a path: it must not pass for a time step, a box or a path of its own."""
    strange = not scope or "/" in scope or scope.startswith(":") or _TIME.fullmatch(scope)
    return f"‹{scope.replace('/', '∕')}›" if strange else scope


def _sequences(paths: list[Path]) -> set[Path]:
    """Scopes whose children are time steps."""
    return {p[:k] for p in paths for k in range(len(p)) if _TIME.fullmatch(p[k])}


@lru_cache(maxsize=65_536)
def star(path: Path) -> Path:
    """The template key of a scope: every time step is any time step."""
    return tuple("t=*" if _STEP.fullmatch(part) else part for part in path)


def common(a: Path, b: Path) -> int:
    """Length of the common beginning of two paths."""
    k = 0
    while k < min(len(a), len(b)) and a[k] == b[k]:
        k += 1
    return k
