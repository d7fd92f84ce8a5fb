"""The metric stage: coordinates of everything for one folding state; a pure function, milliseconds.

Heights are solved per template, so that all instances agree; widths per template and folding pattern. An
edge is the concatenation of the pieces that its scopes' templates routed, moved to where each scope stands.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from explorer.model.layout.dag import dag_columns, dag_rows
from explorer.model.layout.geometry import (
    BOX,
    CHIP,
    DUMMY_GAP,
    FOLDED,
    GAP_Y,
    HEAD,
    LEAST_WIDTH,
    PAD,
    Columns,
    Layout,
    Rows,
    State,
)
from explorer.model.layout.lanes import lanes_columns, lanes_rows
from explorer.model.layout.placing import place
from explorer.model.layout.sequence import Shown, sequence_columns, sequence_rows
from explorer.model.layout.template import End, Path, Template, star
from explorer.model.layout.topology import Topology


def lay_out(topology: Topology, folded: frozenset[str] = frozenset(), time: int | None = None) -> Layout:
    """Coordinates for one set of folded scopes (paths; those that do not exist are ignored).

    A folded `lstm/t=*` stands for a sequence rolled up to the one cell of the step `time`, a folded
    `lstm/t=4…97` for a range of steps shown as one column.
    """
    return place(Metric(topology, frozenset(folded), time))


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
        self.states: dict[int, State] = {}
        self._open = self._open_scopes()
        self.open_keys = {topology.template_keys[k] for k in set(topology.template_of[self._open].tolist())}
        self.tracks: dict[Path, dict[Any, float]] = {}  # sequence -> net -> height of its channel track

    def _open_scopes(self) -> np.ndarray:
        """Of each scope whether it is open, and everything around it."""
        t, folded = self.t, self.folded
        is_open = np.ones(len(t.scope_paths), bool)
        is_open[[t.scope_number[p] for name in folded if (p := t.scopes.get(name)) is not None]] = False
        if self.shown:
            for scope, path in enumerate(t.scope_paths):
                is_open[scope] &= self.seen_at(path) == path
        for d in range(t.around.shape[1]):
            inner = t.around[:, d] >= 0
            is_open[inner] &= is_open[t.around[inner, d]]
        return is_open

    def is_open(self, scope: int) -> bool:
        """Whether a scope is open, by its number; a range of steps is not."""
        return scope < len(self._open) and bool(self._open[scope])

    def alike(self, key: Path | None) -> Metric:
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

    def is_drawn(self, t: Template, edge: tuple[End, End]) -> bool:
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

    def seen_at(self, path: Path) -> Path:
        """The path at which something is seen that may be in a column that is not drawn."""
        if self.shown:
            for k in range(len(path)):
                shown = self.shown.get(star(path[:k]))
                if shown is not None and path[k] in shown.column_of:
                    path = (*path[:k], shown.column_of[path[k]], *path[k + 1 :])
        return path

    # Heights and widths

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
                self.rows[key] = dag_rows(self, template)
        return self.rows[key]

    def _folded_rows(self, t: Template) -> Rows:
        """Ports spread over the side; a recurring value leaves at the height at which it came."""
        height = max(FOLDED[1], DUMMY_GAP * (max(len(t.in_ports), len(t.out_ports)) + 1))

        def spread(every: dict[Any, None], kind: str) -> dict[Any, float]:
            ports = [p for p in every if p not in (t.south if kind == "in" else t.north)]
            layer = t.layers[0 if kind == "in" else -1] if t.layers else []
            place = {t.vertices[i]: k for k, i in enumerate(layer) if i < len(t.vertices)}
            ordered = sorted(ports, key=lambda p: place.get((kind, p), 0))
            if t.kind == "seq" and kind == "out":  # as when it is open: what leaves first runs outermost
                ordered.reverse()
            return {p: height * (k + 1) / (len(ports) + 1) for k, p in enumerate(ordered)}

        ports_in, ports_out = spread(t.in_ports, "in"), spread(t.out_ports, "out")
        for i, o in sorted(t.pairs, key=repr):
            if i in ports_in and o in ports_out:
                ports_out[o] = ports_in[i]
        ports_in |= dict.fromkeys(t.south, height)
        ports_out |= dict.fromkeys(t.north, 0.0)
        return Rows(height, np.empty(0), np.empty(0), ports_in, ports_out)

    def child_size(self, t: Template, local: str) -> tuple[float, float]:
        """Width when folded, and height, of a child."""
        if t.children[local]:
            key = (*t.key, *star((local,)))
            return FOLDED[0], self.rows_of(key).height
        return CHIP if self.t.op_name(t, local) == "" else BOX

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
                known = dag_columns(self, template, state)
            if template.mirrored:
                known = known.mirrored()
            self.columns[key, state] = known
        return known

    def state_of(self, scope: int) -> State:
        """The folding pattern of a scope by its number: None when folded, else those of what is inside."""
        if not self.is_open(scope):
            return None
        if scope not in self.states:
            path = self.t.scope_paths[scope]
            inside = self.t.children(path)
            template = self.shown_columns(self.t.templates[star(path)])
            self.states[scope] = tuple(
                [
                    (c, self.state_of(inside[c]) if c in inside else None)
                    for c, is_scope in template.children.items()
                    if is_scope and (c in inside or "…" in c)
                ]
            )
        return self.states[scope]

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
