"""The tree of scopes: what is inside what, with time steps, lanes and the places of shared leaves put in.

Found in a graph, for `Topology` to build on. Knows nothing of templates, of cut edges, or of what is left of
what.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from autograd import Graph
from explorer.model.arrays import distinct
from explorer.model.layout.template import TIME, Path, common, star


class Item(NamedTuple):
    """Something with a box of its own: a node, or an alias of a shared leaf next to one of its uses."""

    node: int
    consumer: int | None  # the use that an alias stands next to
    path: Path


class Tree:
    """Every scope and every box of a graph, by number, and the edges between the boxes.

    Leaves that several places share have an alias next to each use, or are drawn `once`, with lines to all.
    """

    def __init__(self, graph: Graph, loss: int, *, once: bool = False) -> None:
        self.graph = graph
        self.loss = loss
        self.once = once
        self.items: list[Item] = []
        self.columns: set[Path] = set()  # template keys of columns of lanes
        self._place_items()
        self._number_scopes()
        self._note_last_out()

    def children(self, scope: Path) -> dict[str, int]:
        """What is in one instance of a scope: by local name the number of a scope or of an item."""
        return self._children[self.scope_number[scope]]

    def _place_items(self) -> None:
        graph = self.graph
        flat, ends = (a.tolist() for a in graph.edges())
        inputs_of = [tuple(flat[a:b]) for a, b in itertools.pairwise(ends)]
        self.names, kinds, ops = list(graph.names), list(graph.kinds), graph.ops
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
                if len(places) == 1 and not any(map(TIME.fullmatch, paths[places[0]])):
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
                if p[:n] in sequences and (n == len(p) or not TIME.fullmatch(p[n])):
                    p = (*p[: n - 1], f"{p[n - 1]} +", *p[n:])
            renumbered[k] = numbers.setdefault(p, len(numbers))
        return list(numbers), [renumbered[k] for k in scope_of.tolist()]

    def _apart_what_begins_last(
        self, paths: list[Path], scope_of: np.ndarray
    ) -> tuple[list[Path], np.ndarray]:
        """Leaves that only sequences from the last step to the first read get a scope of their own."""
        sequences = _sequences(paths)
        steps = [
            next((k for k in range(len(p)) if p[:k] in sequences and TIME.fullmatch(p[k])), -1) for p in paths
        ]
        flat, ends = self.graph.edges()
        consumers = np.repeat(np.arange(len(self.graph)), np.diff(ends))
        ways: dict[Path, set[bool]] = defaultdict(set)
        for pair in distinct(scope_of[flat] * len(paths) + scope_of[consumers]).tolist():
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
            k = next((k for k in range(1, len(p)) if p[:k] in lanes and TIME.fullmatch(p[k])), 0)
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
        names = self.names
        found = []
        for name, time, op, inputs in zip(names, self.graph.times, self.graph.ops, inputs_of, strict=True):
            if name:
                found.append(name.removesuffix(f"_{time}") if time is not None else name)
            else:
                leaves = ",".join([names[j] for j in inputs if kinds[j] == "parameter"])
                found.append(f"{op.name if op else 'leaf'}({leaves})")
        return found

    def _number_scopes(self) -> None:
        """Scopes by number, parents first, with the boxes in each."""
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


def _part(scope: str) -> str:
    """A scope's name as part of a path: it must not pass for a time step, a box or a path of its own."""
    strange = not scope or "/" in scope or scope.startswith(":") or TIME.fullmatch(scope)
    return f"‹{scope.replace('/', '∕')}›" if strange else scope


def _sequences(paths: list[Path]) -> set[Path]:
    """Scopes whose children are time steps."""
    return {p[:k] for p in paths for k in range(len(p)) if TIME.fullmatch(p[k])}
