"""Comparing: one or two further sessions beside the main one, their moments linked, their nodes by name.

Belongs to the window, not to the scene: a file keeps the main session alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby
from math import floor, inf, nan
from typing import Any, Literal

import numpy as np

from autograd import Graph, Order, Trace
from explorer.model import text, what_if
from explorer.model.lab.sweep import norms
from explorer.model.session import Session
from explorer.model.text import tr
from scenes.scene import Scene, SceneError, Value, find_scene

Link = Literal["share", "time"]
Knots = tuple[list[float], list[float]]
MOST = 2  # sessions beside the main one


# Moments


def linked_moment(trace_a: Trace, t: float, trace_b: Trace, how: Link) -> float:
    """The moment of b that belongs to moment t of a; it never falls while t grows.

    `share`: the same share of the forward, and of the backward pass. `time`: inside the same time step of the
    same pass, where both have it. Start, seed of the loss and end belong together in both ways.
    """
    return _at(knots(trace_a, trace_b, how), t)


def knots(trace_a: Trace, trace_b: Trace, how: Link) -> Knots:
    """Moments of a and of b that belong together, in between in proportion; b skips where a has two alike."""
    a, b = trace_a.order, trace_b.order
    pairs = [(0, 0), *(_common(a, b, "forward") if how == "time" else ())]
    pairs += [(a.forward_end, b.forward_end), (a.forward_end + 1, b.forward_end + 1)]
    pairs += _common(a, b, "backward") if how == "time" else ()
    pairs.append((a.backward_end, b.backward_end))
    if a.updated:  # else b stays before its own update, as a does
        pairs.append((a.end, b.end))
    return [float(x) for x, _ in pairs], [float(y) for _, y in pairs]


def _common(a: Order, b: Order, phase: str) -> list[tuple[int, int]]:
    """Beginnings and ends of the time steps that both go through in one phase, in the order of both."""
    runs_a, runs_b = _runs(a, phase), _runs(b, phase)
    times_a, times_b = ([time for time, _, _ in runs] for runs in (runs_a, runs_b))
    found: list[tuple[int, int]] = []
    for i, j, size in SequenceMatcher(None, times_a, times_b, autojunk=False).get_matching_blocks():
        for (_, *from_a), (_, *from_b) in zip(runs_a[i : i + size], runs_b[j : j + size], strict=True):
            found += zip(from_a, from_b, strict=True)
    return found


def _runs(order: Order, phase: str) -> list[tuple[int, int, int]]:
    """Time steps as they come in one phase: time, first moment, last moment."""
    timed = [(s.time, k) for k, s in enumerate(order.steps) if s.phase == phase and s.time is not None]
    found = []
    for time, run in groupby(timed, key=lambda pair: pair[0]):
        steps = [k for _, k in run]
        found.append((time, steps[0], steps[-1] + 1))
    return found


def _at(together: Knots, t: float) -> float:
    xs, ys = together
    if t <= 0:
        return 0.0
    k = bisect_right(xs, t) - 1
    if k + 1 == len(xs):
        return ys[-1]
    return ys[k] + (t - xs[k]) / (xs[k + 1] - xs[k]) * (ys[k + 1] - ys[k])


# Nodes


def partners(a: Graph, b: Graph) -> dict[int, int]:
    """Nodes of a and those of b that stand for the same: by names that are unique in both; in graphs that
    are alike by number."""
    names_a, names_b = list(a.names), list(b.names)
    if names_a == names_b and list(a.ops) == list(b.ops):
        return {i: i for i in range(len(names_a))}
    uses = Counter(names_a) | Counter(names_b)
    in_b = {name: j for j, name in enumerate(names_b)}
    return {i: in_b[name] for i, name in enumerate(names_a) if name in in_b and name and uses[name] == 1}


@dataclass(frozen=True)
class Pair:
    """One number here and there; nan where it is not there yet."""

    here: float
    there: float

    @property
    def ratio(self) -> float:
        """There by here; nan without both, and of two zeros."""
        if self.here == 0:
            return inf if self.there > 0 else nan
        return self.there / self.here

    @property
    def difference(self) -> float:
        """|there − here| / the larger one: 0 for equals, at most 1; nan without both."""
        if self.here == self.there:
            return 0.0
        return abs(self.there - self.here) / max(self.here, self.there)


@dataclass(frozen=True)
class Difference:
    """A node and its partner: ‖value‖ and ‖gradient‖ of each at its moment."""

    node: int
    partner: int
    name: str
    value: Pair
    gradient: Pair


def differences(
    a: Trace, t: float, b: Trace, u: float, pairs: Mapping[int, int] | None = None
) -> list[Difference]:
    """Of every node with a name that has a partner, in the order of a; at moment t of a and u of b.

    `pairs` are the partners, where they are known.
    """
    return [
        Difference(
            i,
            j,
            a.graph.names[i],
            Pair(_size(a.value(i, t)), _size(b.value(j, u))),
            Pair(_size(a.grad(i, t)), _size(b.grad(j, u))),
        )
        for i, j in (partners(a.graph, b.graph) if pairs is None else pairs).items()
        if a.graph.names[i]
    ]


def _size(x: np.ndarray | None) -> float:
    """Frobenius norm, safe from overflow."""
    return nan if x is None else float(norms(np.reshape(x, (1, -1)))[0])


# Sessions


class Comparison:
    """The main session and up to two others that follow its moment and its selection, and lead the selection.

    Listens to the main session only while there is another one.
    """

    def __init__(self, main: Session) -> None:
        self.main = main
        self.others: list[Session] = []
        self.how: Link = "share"
        self._forget: dict[Session, Callable[[], None]] = {}
        self._telling = False
        self._knots: dict[Session, tuple[Any, Knots]] = {}  # with what they were made of
        self._partners: dict[Session, tuple[Any, dict[int, int]]] = {}

    def add_scene(
        self, id: str, parameters: Mapping[str, Any] | None = None, *, seed: int | None = None
    ) -> Session:
        """Put a catalogue scene beside; raises SceneError.

        Unless it is said otherwise it has the seed of the main one, and of its parameters those that it
        knows too: networks of one length and size that are asked for the same can be compared.
        """
        other = Session()
        state = self.main.state
        other.open_scene(
            id,
            _known_to(find_scene(id), state.parameters) if parameters is None else parameters,
            seed=state.seed if seed is None else seed,
        )
        return self._add(other)

    def add_as_it_is(self) -> Session:
        """Put a copy of the main session beside that stays as it is when the main one is changed."""
        other = Session()
        still = replace(self.main.state, playing=False, loop=None, camera=None, breakpoints=())
        other.open_state(still, tr("Compare"), self.main.whole())
        return self._add(other)

    def _add(self, other: Session) -> Session:
        if len(self.others) == MOST:
            raise SceneError(tr("three scenes side by side are the most"))
        if not self.others:
            self._forget[self.main] = self.main.subscribe(self._main_changed)
        self.others.append(other)
        self._forget[other] = other.subscribe(lambda changed: self._other_changed(other, changed))
        with self._alone():
            other.update(t=self.moment(other))
            self._select_in(other)
        return other

    def remove(self, other: Session) -> None:
        """Let go of one; without the last one nothing is listened to any more."""
        self.others.remove(other)
        self._knots.pop(other, None)
        self._partners.pop(other, None)
        self._forget.pop(other)()
        if not self.others:
            self._forget.pop(self.main)()

    def close(self) -> None:
        for other in tuple(self.others):
            self.remove(other)

    def link(self, how: Link) -> None:
        """Choose what moments belong together."""
        self.how = how
        with self._alone():
            for other in self.others:
                other.update(t=self.moment(other))

    def moment(self, other: Session) -> float:
        """The moment of another session that belongs to the present one of the main session.

        While the main session rests between two steps, the others do.
        """
        main = self.main
        what = (main.trace.order, other.trace.order, self.how)
        if other not in self._knots or self._knots[other][0] != what:
            self._knots[other] = what, knots(main.trace, other.trace, self.how)
        t = _at(self._knots[other][1], main.state.t)
        return float(round(t)) if not main.state.playing and main.state.t == floor(main.state.t) else t

    def partners(self, other: Session) -> dict[int, int]:
        """Nodes of the main session and those of another that stand for the same."""
        graphs = self.main.trace.graph, other.trace.graph
        if other not in self._partners or self._partners[other][0] != graphs:
            self._partners[other] = graphs, partners(*graphs)
        return self._partners[other][1]

    def differences(self, other: Session) -> list[Difference]:
        """All that has a name in both, at the present moments."""
        a, b = self.main.trace, other.trace
        return differences(a, self.main.state.t, b, self.moment(other), self.partners(other))

    def title(self, session: Session) -> str:
        """Scene and what of its parameters is other than beside it, or than usual: `LSTM · T = 5`."""
        scene = session.scene
        if scene is None:
            return ""
        beside = [s for s in (self.main, *self.others) if s is not session and s.scene is not None]
        parts = [
            _said(scene, k, v) for k, v in session.state.parameters.items() if _is_told(session, k, beside)
        ]
        if any(s.state.scene == session.state.scene and s.state.seed != session.state.seed for s in beside):
            parts.append(f"{tr('seed')} = {session.state.seed}")
        if session.state.edits:
            parts.append(tr("{n} edited").format(n=len(session.state.edits)))
        parts += [words] if (words := what_if.summary(session)) else []
        return " · ".join([scene.title[text.language()], *([tr(", ").join(parts)] if parts else [])])

    # Following

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """What the others answer meanwhile is our own echo."""
        self._telling = True
        try:
            yield
        finally:
            self._telling = False

    def _main_changed(self, changed: frozenset[str]) -> None:
        if self.main.recording is None or self._telling:
            return
        with self._alone():
            for other in self.others:
                if changed & {"t", "trace", "playing"}:
                    other.update(t=self.moment(other))
                if "selection" in changed:
                    self._select_in(other)

    def _select_in(self, other: Session) -> None:
        found = self.partners(other)
        other.update(selection=tuple(found[n] for n in self.main.state.selection if n in found))

    def _other_changed(self, source: Session, changed: frozenset[str]) -> None:
        """A selection made there is made everywhere."""
        if self._telling or "selection" not in changed or self.main.recording is None:
            return
        with self._alone():
            for target in (self.main, *self.others):
                if target is not source:
                    found = partners(source.trace.graph, target.trace.graph)
                    target.update(selection=tuple(found[n] for n in source.state.selection if n in found))


def _known_to(scene: Scene, parameters: Mapping[str, Value]) -> dict[str, Value]:
    """Those that the scene has under the same name and that it takes."""
    found = {}
    for p in scene.parameters:
        if p.name in parameters:
            with suppress(SceneError):
                found[p.name] = p.check(parameters[p.name])
    return found


def _is_told(session: Session, name: str, beside: list[Session]) -> bool:
    """Whether a parameter is other than in a session of the same scene, or, without one, than usual."""
    value = session.state.parameters[name]
    same = [s for s in beside if s.state.scene == session.state.scene]
    if same:
        return any(s.state.parameters.get(name) != value for s in same)
    assert session.scene is not None
    return any(p.name == name and p.default != value for p in session.scene.parameters)


def _said(scene: Scene, name: str, value: Any) -> str:
    label = next((p.label for p in scene.parameters if p.name == name), None)
    shown = text.number(value) if isinstance(value, float) else str(value)
    return f"{label[text.language()] if label else name} = {shown}"
