"""What a layout is made of: boxes, areas, edges, columns; sizes; and where things are at a point."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from explorer.model.layout.topology import End, Topology

BOX = (76.0, 54.0)
CHIP = (64.0, 54.0)
FOLDED = (104.0, 54.0)
GAP_X, GAP_Y, DUMMY_GAP, PAD, HEAD, TRACK = 26.0, 14.0, 10.0, 12.0, 22.0, 7.0
SPINE_GAP = 22.0  # between a state line and a box below it: the factors on the line need room
LEAST_WIDTH = 118.0  # of an open scope: its title has to fit
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


@dataclass(frozen=True)
class Column:
    """One time step of a sequence."""

    scope: str
    time: int
    x0: float
    x1: float


@dataclass(frozen=True, eq=False)
class Layout:
    """Where everything is, in scene coordinates (pixels at zoom 1, y downwards)."""

    topology: Topology
    folded: frozenset[str]
    boxes: tuple[Box, ...]
    areas: tuple[Area, ...]
    edges: tuple[Edge, ...]
    columns: tuple[Column, ...]
    bounds: tuple[float, float, float, float]
    box_of_node: dict[int, int]  # node -> the box in which it is seen (of a shared leaf: the true one)
    boxes_of_node: dict[int, tuple[int, ...]]  # with aliases
    members: dict[int, tuple[int, ...]]  # folded box -> all nodes inside
    rects: np.ndarray = field(repr=False, default_factory=lambda: np.empty((0, 4)))  # x0, y0, x1, y1 of boxes

    @cached_property
    def edge_rects(self) -> np.ndarray:
        """x0, y0, x1, y1 of each edge."""
        corners = [[*e.points.min(axis=0), *e.points.max(axis=0)] for e in self.edges]
        return np.array(corners).reshape(-1, 4)

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
    routes: dict[tuple[End, End], Polyline]
    slim: dict[tuple[End, End], Polyline] = field(default_factory=dict)  # routes without needless points

    def mirrored(self) -> Columns:
        """The same from the right of the rectangle."""
        turned = np.array([[-1.0, 1.0]])
        return Columns(
            self.width,
            {name: self.width - x for name, x in self.centre.items()},
            self.widths,
            {edge: route * turned + [self.width, 0.0] for edge, route in self.routes.items()},
        )
