"""What scopes of one shape have in common: what is in them, the pieces of edges, and in which order."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

Path = tuple[str, ...]  # of a scope: ("lstm", "t=2", "forget"); of an item, its local name is added
Vertex = tuple[str, Any]  # ("node", local name) | ("in", port) | ("out", port)
End = tuple[Vertex, Any]  # a vertex and, for a scope, its port; None for a plain box
Piece = tuple[End, End]  # what one scope has of an edge

TIME = re.compile(r"t=-?\d+")  # one step
_STEP = re.compile(r"t=-?\d+(…-?\d+)?")  # one step, or a range of steps that is shown as one


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
    # in a cell of a lane: in-ports on its lower side and out-ports on its upper one, to and from other lanes
    south: set[Any] = field(default_factory=set)
    north: set[Any] = field(default_factory=set)
    # values from outside that many steps read run through all of them: in-port of the sequence -> that of its
    # steps; and in a step and the scopes in it, in-port -> out-port of the same height
    through: dict[Any, Any] = field(default_factory=dict)
    starts: dict[Piece, End] = field(
        default_factory=dict
    )  # edge -> the scope out of which such a value runs on
    reversed: set[Piece] = field(
        default_factory=set
    )  # edges to the right side of a scope: their source is right
    joined_out: set[Any] = field(default_factory=set)  # out-ports of a sequence that share one line
    lanes: list[str] = field(default_factory=list)  # children of a column, from the lowest up
    # filled by `order`
    vertices: list[Vertex] = field(default_factory=list)
    index: dict[Vertex, int] = field(default_factory=dict)
    rank: list[int] = field(default_factory=list)  # also of dummies, which follow the vertices
    layers: list[list[int]] = field(default_factory=list)
    chains: dict[Piece, list[int]] = field(default_factory=dict)  # edge -> vertices and dummies
    # gaps between ranks in which nearly everything is linked with everything, as between dense layers, and
    # the edges that only cross such a gap, as two vertices each: they are in no chain
    dense_gaps: set[int] = field(default_factory=set)
    fans: dict[Piece, tuple[int, int]] = field(default_factory=dict)
    joined: dict[Piece, Any] = field(
        default_factory=dict
    )  # edges that share their last turn, by where they lead
    loose: list[int] = field(default_factory=list)  # vertices without any edge: in no layer, put beside
    spines: list[list[Vertex]] = field(default_factory=list)
    on_spine: set[int] = field(default_factory=set)  # vertices and dummies
    entries: dict[tuple[End, End], tuple[int, int, bool]] = field(default_factory=dict)  # place among inputs
    middle: dict[End, int] = field(default_factory=dict)  # of a box, the place that meets its middle

    def recurs(self, in_port: Any) -> bool:
        """Whether what comes in there is a value of the step before, or after."""
        return any(in_port == i for i, _ in self.pairs | self.back_pairs)

    def across(self) -> set[int]:
        """The vertices of ports on the lower and upper side: they are in no rank's order."""
        ports = [*(("in", p) for p in self.south), *(("out", p) for p in self.north)]
        return {self.index[vertex] for vertex in ports if vertex in self.index}

    def on_spines(self) -> set[tuple[Vertex, Vertex]]:
        """The steps of all spines."""
        return {step for spine in self.spines for step in itertools.pairwise(spine)}


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
