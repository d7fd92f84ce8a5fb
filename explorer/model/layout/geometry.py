"""What a layout is made of: boxes, areas, edges, columns; sizes; and where things are at a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from explorer.model.layout.template import Path, Piece, Vertex
from explorer.model.layout.topology import Topology

BOX = (76.0, 54.0)
CHIP = (64.0, 54.0)
FOLDED = (104.0, 54.0)
GAP_X, GAP_Y, DUMMY_GAP, PAD, HEAD, TRACK = 26.0, 14.0, 10.0, 12.0, 22.0, 7.0
SPINE_GAP = 22.0  # between a state line and a box below it: the factors on the line need room
LEAST_WIDTH = 118.0  # of an open scope: its title has to fit
FAN = (36.0, 4000.0, 110.0)  # width of a gap between dense layers: at least, for all its lines, at most
ENTRY = 11.0  # distance of two edges that enter one box

Polyline = np.ndarray  # (n, 2)
State = Any  # folding pattern of a scope instance: None when folded, else the children's patterns


@dataclass(frozen=True)
class Box:
    """A rectangle with its centre at (x, y): a node, an alias of a shared leaf, or a folded scope."""

    kind: str  # node, alias, scope
    node: int  # for a folded scope: the node whose value it shows
    consumer: int | None  # for an alias: the use it stands next to
    scope: str  # path of the scope that it lies in, or of the folded scope itself
    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True)
class Area:
    """An open scope."""

    scope: str
    title: str
    depth: int
    time: int | None
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Edge:
    """A drawn line and the graph edges (consumer, slot) that it stands for."""

    source: int  # box
    target: int  # box
    points: Polyline
    members: tuple[tuple[int, int], ...]
    state_line: bool
    fan: bool = False  # one of many between dense layers


@dataclass(frozen=True)
class Column:
    """One time step of a sequence."""

    scope: str
    time: int
    x0: float
    x1: float


class Boxes(Sequence[Box]):
    """Boxes as arrays; a Box is made when it is asked for."""

    def __init__(
        self,
        topology: Topology,
        scope_paths: list[Path],
        items: np.ndarray,
        scopes: np.ndarray,
        nodes: np.ndarray,
        rects: np.ndarray,
    ) -> None:
        self._topology, self._paths = topology, scope_paths
        self.items = items  # the item that each shows, −1 for a folded scope
        self.scopes = scopes  # the folded scope that it is, else −1
        self.nodes = nodes  # whose value it shows
        self.centres = rects  # x, y of the middle, width, height
        self._known: dict[int, Box] = {}

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, k: Any) -> Any:
        if isinstance(k, slice):
            return tuple(self[i] for i in range(*k.indices(len(self))))
        k = range(len(self))[k]
        box = self._known.get(k)
        if box is None:
            box = self._known[k] = self._make(k)
        return box

    def _make(self, k: int) -> Box:
        x, y, w, h = self.centres[k].tolist()
        if self.items[k] < 0:
            path = "/".join(self._paths[self.scopes[k]])
            return Box("scope", int(self.nodes[k]), None, path, x, y, w, h)
        item = self._topology.items[self.items[k]]
        kind = "node" if item.consumer is None else "alias"
        return Box(kind, item.node, item.consumer, "/".join(item.path[:-1]), x, y, w, h)

    @property
    def corners(self) -> np.ndarray:
        """x0, y0, x1, y1 of each."""
        half = self.centres[:, 2:] / 2
        return np.concatenate([self.centres[:, :2] - half, self.centres[:, :2] + half], axis=1)

    def moved(self, centres: np.ndarray) -> Boxes:
        """The same boxes elsewhere."""
        return Boxes(self._topology, self._paths, self.items, self.scopes, self.nodes, centres)


class Edges(Sequence[Edge]):
    """Lines as arrays; an Edge is made when it is asked for. Points and members of all lines stand one after
    the other, those of line k from `starts[k]` to `starts[k + 1]`."""

    def __init__(
        self,
        sources: np.ndarray,
        targets: np.ndarray,
        points: np.ndarray,
        point_starts: np.ndarray,
        members: np.ndarray,
        member_starts: np.ndarray,
        state_line: np.ndarray,
        fan: np.ndarray,
    ) -> None:
        self.sources, self.targets, self.state_line, self.fan = sources, targets, state_line, fan
        self.points, self.point_starts = points, point_starts
        self.members, self.member_starts = members, member_starts
        self._known: dict[int, Edge] = {}

    @classmethod
    def none(cls) -> Edges:
        nothing, start = np.empty(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
        points, members, never = np.empty((0, 2)), np.empty((0, 2), dtype=np.int64), nothing > 0
        return cls(nothing, nothing, points, start, members, start, never, never)

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, k: Any) -> Any:
        if isinstance(k, slice):
            return tuple(self[i] for i in range(*k.indices(len(self))))
        k = range(len(self))[k]
        edge = self._known.get(k)
        if edge is None:
            points = self.points[self.point_starts[k] : self.point_starts[k + 1]]
            members = self.members[self.member_starts[k] : self.member_starts[k + 1]].tolist()
            ends = int(self.sources[k]), int(self.targets[k])
            flags = bool(self.state_line[k]), bool(self.fan[k])
            edge = Edge(*ends, points, tuple((v, slot) for v, slot in members), *flags)
            self._known[k] = edge
        return edge

    def rerouted(self, points: np.ndarray, starts: np.ndarray) -> Edges:
        """The same edges along other ways."""
        ends = self.sources, self.targets
        return Edges(*ends, points, starts, self.members, self.member_starts, self.state_line, self.fan)

    def corners(self) -> np.ndarray:
        """x0, y0, x1, y1 of each."""
        if not len(self):
            return np.empty((0, 4))
        starts = self.point_starts[:-1]
        low, high = np.minimum.reduceat(self.points, starts), np.maximum.reduceat(self.points, starts)
        return np.concatenate([low, high], axis=1)


@dataclass(frozen=True, eq=False)
class Layout:
    """Where everything is, in scene coordinates (pixels at zoom 1, y downwards)."""

    topology: Topology
    folded: frozenset[str]
    boxes: Boxes
    areas: tuple[Area, ...]
    edges: Edges
    columns: tuple[Column, ...]
    bounds: tuple[float, float, float, float]
    # of each item of the topology: its box, or that which hides it; −1 − k: it is not drawn, and near box k
    item_box: np.ndarray = field(repr=False)

    @cached_property
    def rects(self) -> np.ndarray:
        """x0, y0, x1, y1 of boxes."""
        return self.boxes.corners

    @cached_property
    def edge_rects(self) -> np.ndarray:
        """x0, y0, x1, y1 of each edge."""
        return self.edges.corners()

    @cached_property
    def _seen_in(self) -> list[tuple[int, int, bool]]:
        """Of each item its node, the box in which it is to be found, and whether it is no alias."""
        near = np.where(self.item_box < 0, -1 - self.item_box, self.item_box).tolist()
        items = self.topology.items
        return [(i.node, k, i.consumer is None) for i, k in zip(items, near, strict=True)]

    @cached_property
    def box_of_node(self) -> dict[int, int]:
        """Node -> the box in which it is seen (of a shared leaf: the true one)."""
        return {node: box for node, box, true in self._seen_in if true}

    @cached_property
    def boxes_of_node(self) -> dict[int, tuple[int, ...]]:
        """The same with aliases."""
        found: dict[int, dict[int, None]] = {}
        for node, box, _ in self._seen_in:
            found.setdefault(node, {}).setdefault(box)
        return {node: tuple(boxes) for node, boxes in found.items()}

    @cached_property
    def members(self) -> dict[int, tuple[int, ...]]:
        """Folded box -> all nodes inside."""
        folded = (self.boxes.scopes >= 0).tolist()
        inside: dict[int, dict[int, None]] = {}
        for node, box, _ in self._seen_in:
            if folded[box]:
                inside.setdefault(box, {}).setdefault(node)
        return {box: tuple(nodes) for box, nodes in inside.items()}

    def box_at(self, x: float, y: float) -> int | None:
        """Index of the box at a point."""
        r = self.rects
        hits = np.flatnonzero((r[:, 0] <= x) & (x <= r[:, 2]) & (r[:, 1] <= y) & (y <= r[:, 3]))
        return int(hits[0]) if len(hits) else None

    def area_header_at(self, x: float, y: float) -> str | None:
        """Path of the innermost open scope whose title bar is at a point."""
        found = None
        for area in self.areas:
            if area.x0 <= x <= area.x1 and area.y0 <= y <= area.y0 + HEAD:
                found = area.scope
        return found

    def edge_at(self, x: float, y: float, reach: float) -> int | None:
        """Index of the edge nearest to a point, not further than `reach`."""
        best, nearest = None, reach
        point = np.array([x, y])
        for k, edge in enumerate(self.edges):
            a, b = edge.points[:-1], edge.points[1:]
            d = b - a
            length = np.maximum((d * d).sum(axis=1), 1e-12)
            along = np.clip(((point - a) * d).sum(axis=1) / length, 0.0, 1.0)
            distance = float(np.min(np.hypot(*(a + along[:, None] * d - point).T), initial=np.inf))
            if distance < nearest:
                best, nearest = k, distance
        return best


@dataclass
class Rows:
    """Heights in a template, from the top of its rectangle."""

    height: float
    y: np.ndarray  # centre of each vertex and dummy
    half: np.ndarray  # half height of each vertex
    ports_in: dict[Any, float]
    ports_out: dict[Any, float]


@dataclass
class Columns:
    """Widths and routes in a template, from the left of its rectangle."""

    width: float
    centre: dict[str, float]  # child -> x
    widths: dict[str, float]
    routes: dict[Piece, Polyline]
    ports_x: dict[Vertex, float] = field(default_factory=dict)  # of ports on the lower and upper side

    def mirrored(self) -> Columns:
        """The same from the right of the rectangle."""
        turned = np.array([[-1.0, 1.0]])
        return Columns(
            self.width,
            {name: self.width - x for name, x in self.centre.items()},
            self.widths,
            {edge: route * turned + [self.width, 0.0] for edge, route in self.routes.items()},
            {port: self.width - x for port, x in self.ports_x.items()},
        )
