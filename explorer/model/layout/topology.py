"""Topology: what is inside what and who is left of whom, found once per graph.

Scopes of the same shape (the same scope at every time step) share one Template, the union of its
instances, so that an op stands at the same place in each of them. Each template is ordered in ranks, left
to right (Sugiyama's layered method). Nothing here depends on what is folded, and nothing has coordinates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

import numpy as np

from autograd import Graph
from explorer.model.layout.directions import direct
from explorer.model.layout.order import Order
from explorer.model.layout.pieces import cut
from explorer.model.layout.template import TIME, Path, Template, star
from explorer.model.layout.tree import Tree

ONCE = "parameters=once"  # stands among the folded scopes when shared leaves are drawn once
LONG = 50  # a sequence of more steps opens with its middle as one column


class Topology(Tree):
    """The scope tree of a graph, its templates in order, and every edge cut into pieces at scope borders."""

    def __init__(self, graph: Graph, loss: int, *, once: bool = False) -> None:
        super().__init__(graph, loss, once=once)
        self.templates: dict[Path, Template] = {}
        self._op_names: dict[tuple[Path, str], str] = {}
        # of templates other than dags: for each in-port the children, and their ports, to which it leads
        self._goals: dict[Path, dict[Any, dict[Any, None]]] = {}
        self.metrics: dict[Any, Any] = {}  # what the metric stage keeps for all folding states
        self._build_templates()
        self.scopes = {"/".join(p): p for p in self.scope_paths if p}
        # sequences that can be rolled up, as lstm/t=*, and the middle of long ones, as lstm/t=4…97
        self.rolls = {"/".join((*p, "t=*")): p for p in self.scope_paths if self._is_sequence(p)}
        self._middles = {p: name for p in self.rolls.values() if (name := self._middle(p))}
        self.ranges = {"/".join((*p, name)): p for p, name in self._middles.items()}
        self.pieces = cut(self)
        direct(self.templates)
        for template in sorted(self.templates.values(), key=lambda t: -len(t.key)):
            if template.kind == "dag":
                self._states_first(template)
                Order(self, template).run()

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
            if middle and TIME.fullmatch(scope[k - 1]) and f"{'/'.join(scope[: k - 1])}/{middle}" in folded:
                first, last = map(int, middle[2:].split("…"))
                if first <= int(scope[k - 1][2:]) <= last:
                    return (*scope[: k - 1], middle)
        return None

    def op_name(self, template: Template, local: str) -> str:
        """Name of the op of a child box, empty for a scope or a leaf."""
        known = self._op_names.get((template.key, local))
        if known is None:
            found = (self.children(scope).get(local) for scope in template.instances)
            item = None if template.children.get(local, True) else next(i for i in found if i is not None)
            op = None if item is None else self.graph.ops[self.items[item].node]
            known = self._op_names[template.key, local] = op.name if op else ""
        return known

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

    def _build_templates(self) -> None:
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
            if any(TIME.fullmatch(name) for name in template.children):
                template.kind = "seq"
                template.children = dict(sorted(template.children.items(), key=lambda c: int(c[0][2:])))
            elif template.key in self.columns:
                template.kind = "lanes"

    def _is_sequence(self, scope: Path) -> bool:
        return self.templates[star(scope)].kind == "seq"

    def _middle(self, sequence: Path) -> str:
        """The steps between the first and the last three of a long sequence, in one name."""
        steps = sorted(int(name[2:]) for name in self.children(sequence))
        return f"t={steps[3]}…{steps[-4]}" if len(steps) > LONG else ""

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
