"""What the user chose (State) and everything that follows from it (Session), without a screen.

`Session.update` is the one door for changes: it recomputes only as deep as the change reaches and tells
every listener once. Stepping and scrubbing only set `t`; nothing is ever undone in the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from autograd import Graph, Tensor, Trace
from explorer.model.alterations import (
    ALTERATIONS,
    checked_alterations,
    checked_edits,
    is_altered,
    leaf_key,
    possible_alterations,
    possible_edits,
)
from explorer.model.frame import Frame, frame_at
from explorer.model.layout import ONCE, Layout, Topology, lay_out
from explorer.model.replay import Replay, Trainings, equal, same_history
from explorer.model.state import State
from explorer.model.text import tr
from explorer.model.training import Training, check
from explorer.model.whole import OWN, Whole
from scenes.scene import Leaves, Notation, Recording, Scene, SceneError, Text, find_scene

PASSING = frozenset(  # not undoable
    {"t", "playing", "speed", "loop", "selection", "highlight", "camera", "chapter", "update", "trained"}
)
REPLAYED = ALTERATIONS | {"edits", "recipe", "update"}  # answered without recording the graph again
MOST_BOXES = 150  # a graph with more opens with modules folded
TYPED = frozenset({"expression"})  # scenes whose graph the user typed: files keep it whole
LASTING = frozenset(f.name for f in fields(State)) - PASSING
Listener = Callable[[frozenset[str]], None]


@dataclass(frozen=True)
class Entry:
    """One thing that can be undone: its title and the state before it."""

    title: str
    before: State


class Session:
    """The state, and the recording, trace, layout and frame that follow from it."""

    def __init__(self) -> None:
        self.state = State()
        self._replay: Replay | None = None
        self._topology: Topology | None = None
        self._known_scopes: frozenset[str] = frozenset()
        self._layout: Layout | None = None
        self._time: int | None = None  # that of the layout, where something is rolled up
        self._frame: tuple[Any, Frame] | None = None
        self._own: Recording | None = None  # the graph that the user built, and its leaves' first values
        self._own_values: tuple[np.ndarray, ...] = ()
        self._trainings: Trainings = []
        self._listeners: list[Listener] = []
        self._undo: list[Entry] = []
        self._redo: list[Entry] = []
        self._merging = ""
        self.saved = State()  # what the file on disk says

    # Listening

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(changed)` after every update with the names of what changed; returns unsubscribe.

        Besides the fields of State the names are `recording`, `trace` and `layout`.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # Changing

    def open_scene(
        self, id: str, values: Mapping[str, Any] | None = None, *, seed: int = 0, title: str = ""
    ) -> None:
        """Show a catalogue scene from its first moment; on bad values SceneError, and nothing has changed."""
        chosen = find_scene(id)
        self._replace(
            State(
                scene=id,
                parameters=chosen.check(values or {}),
                seed=seed,
                speed=self.state.speed,
            ),
            title or tr("Open {scene}").format(scene=id),
            fold_defaults=True,
        )

    def open_state(self, state: State, title: str, graph: Whole | None = None) -> None:
        """Take over a whole state, as one from a file; what is on screen stays when it can not be built.

        `graph` is shown when the state's scene is none of the catalogue. Undo does not reach behind it: a
        later save would put what was open before into the file.
        """
        kept = self._own, self._own_values
        self._trainings.clear()
        if state.scene == OWN and graph is not None:
            own, loss = graph.build()
            self._own = Recording(_scene_of_own_graph(loss), {}, 0, False, own, loss)
            self._own_values = tuple(own.values)
        try:
            self._replace(state, title)
        except BaseException:
            self._own, self._own_values = kept
            raise
        self._undo.clear()
        self.saved = self.state
        self._tell(frozenset({"saved"}))

    def open_graph(self, graph: Graph, loss: Tensor) -> None:
        """Show a graph that the user built; it has no parameters, and a file keeps it whole."""
        scene = _scene_of_own_graph(loss)
        self._trainings.clear()
        graph.backward(loss)
        kept = self._own, self._own_values
        self._own, self._own_values = Recording(scene, {}, 0, False, graph, loss), tuple(graph.values)
        try:
            self._replace(State(scene=scene.id), tr("Open a graph"), fold_defaults=True)
        except BaseException:
            self._own, self._own_values = kept
            raise
        # there is no way back to the graph that was shown before it
        self._undo[:] = [entry for entry in self._undo if entry.before.scene != OWN]

    def close(self) -> None:
        """Back to the start page."""
        self._replace(State(speed=self.state.speed), tr("Close"))

    def update(self, *, title: str = "", merge: str = "", **changes: Any) -> None:
        """Change fields of the state. `title` names the entry in the Edit menu; consecutive updates with
        the same `merge` are one entry, until `settle()` (a drag is one entry).

        Another scene, parameter, seed, recipe or edit starts training anew. `update` goes to another update;
        t=inf is the end of its pass.

        Raises SceneError and leaves everything as it was when the new state can not be built.
        """
        if "parameters" in changes and self.recording is not None:
            changes["parameters"] = self.recording.scene.check(
                {**self.state.parameters, **changes["parameters"]}
            )
        if changes.keys() & ALTERATIONS and self.state.trained:  # training goes on from where it has led
            changes.setdefault("edits", {**self.state.edits, **self.state.trained})
        if "edits" in changes:
            changes["edits"] = checked_edits(self._graph, changes["edits"])
        if changes.keys() & ALTERATIONS:
            changes |= checked_alterations(self._graph, replace(self.state, **changes))
        if "t" in changes:
            changes["t"] = max(float(changes["t"]), 0.0)  # and at most the end, which is known later
        if changes.get("recipe") is not None:
            check(changes["recipe"])
        state = replace(self.state, **changes)
        if not same_history(state, self.state):
            state = replace(state, update=changes.get("update", 0), trained=changes.get("trained", {}))
        elif state.update != self.state.update:
            state = replace(state, update=max(0, int(state.update)), trained=changes.get("trained", {}))
        self._replace(state, title, merge=merge)

    def settle(self) -> None:
        """End a run of merged updates: the next one is an undo entry of its own."""
        self._merging = ""

    def edit(self, node: int, value: Any, *, merge: bool = False) -> None:
        """Set the value of a leaf; the whole graph answers."""
        key = leaf_key(self._graph, node)
        edits = {**self.state.edits, **self._carried(node), key: value}
        title = tr("Edit {name}").format(name=key)
        self.update(edits=edits, title=title, merge=f"edit {key}" if merge else "")

    def reset_edits(self) -> None:
        """Give every leaf the value that the scene drew for it."""
        if self.state.edits:
            self.update(edits={}, title=tr("Reset values"))

    @property
    def altered(self) -> bool:
        """Whether something is held, cut or frozen."""
        return is_altered(self.state)

    def restore(self) -> None:
        """Let everything be computed again as the scene has it; edited values stay."""
        if self.altered:
            self._alter(tr("Restore the scene"), clamps={}, cuts=frozenset(), frozen=frozenset())

    def hold(self, nodes: int | Sequence[int], value: Any, *, merge: bool = False) -> None:
        """Hold computed nodes at a constant whatever their inputs are; a number is taken for all elements."""
        keys = self._keys(nodes)
        clamps = {**self.state.clamps}
        for node, key in keys.items():
            clamps[key] = np.full(self.trace.values[node].shape, value) if np.ndim(value) == 0 else value
        title = tr("Hold {name}").format(name=", ".join(keys.values()))
        self._alter(title, f"hold {title}" if merge else "", clamps=clamps)

    def hold_as_they_are(self, nodes: Sequence[int]) -> None:
        """Hold each of some nodes at its present value."""
        now = {key: self.trace.values[node] for node, key in self._keys(nodes).items()}
        title = tr("Hold {name}").format(name=", ".join(now))
        self._alter(title, clamps={**self.state.clamps, **now})

    def let_go(self, nodes: int | Sequence[int]) -> None:
        """Have held nodes computed again."""
        keys = self._keys(nodes).values()
        clamps = {key: value for key, value in self.state.clamps.items() if key not in keys}
        self._alter(tr("Let go of {name}").format(name=", ".join(keys)), clamps=clamps)

    def cut(self, edges: Collection[tuple[int, int]], cut: bool = True) -> None:
        """Let no gradient go over edges, (consumer, slot), or let it go again."""
        graph = self._graph
        keys = {(leaf_key(graph, node), slot) for node, slot in edges}
        names = (f"{leaf_key(graph, graph.inputs[v][k])} → {leaf_key(graph, v)}" for v, k in edges)
        title = tr("Cut {name}") if cut else tr("Mend {name}")
        now = self.state.cuts
        self._alter(title.format(name=", ".join(names)), cuts=now | keys if cut else now - keys)

    def freeze(self, leaves: int | Sequence[int], frozen: bool = True) -> None:
        """Compute no gradient for leaves, or compute it again."""
        keys = self._keys(leaves).values()
        title = tr("Freeze {name}") if frozen else tr("Thaw {name}")
        now = self.state.frozen
        changed = now | set(keys) if frozen else now - set(keys)
        self._alter(title.format(name=", ".join(keys)), frozen=changed)

    def _keys(self, nodes: int | Sequence[int]) -> dict[int, str]:
        some = (nodes,) if isinstance(nodes, int) else nodes
        return {node: leaf_key(self._graph, node) for node in some}

    def _alter(self, title: str, merge: str = "", **changes: Any) -> None:
        """Alterations start training anew, from where it has led."""
        if carried := self._carried(-1):
            changes["edits"] = {**self.state.edits, **carried}
        self.update(title=title, merge=merge, **changes)

    def fold(self, scope: str, folded: bool) -> None:
        """Fold or unfold one scope by its path."""
        now = self.state.folded
        self.update(
            folded=now | {scope} if folded else now - {scope},
            title=(tr("Fold {scope}") if folded else tr("Unfold {scope}")).format(scope=scope),
        )

    # Undo

    @property
    def undo_title(self) -> str:
        return self._undo[-1].title if self._undo else ""

    @property
    def redo_title(self) -> str:
        return self._redo[-1].title if self._redo else ""

    def undo(self) -> None:
        """Bring back the state before the last lasting change; playback, camera and selection stay."""
        if self._undo:
            self._travel(self._undo, self._redo)

    def redo(self) -> None:
        if self._redo:
            self._travel(self._redo, self._undo)

    def _travel(self, source: list[Entry], target: list[Entry]) -> None:
        entry = source[-1]
        present = self.state
        goal = entry.before
        if goal.scene == present.scene:
            kept = PASSING if same_history(goal, present) else PASSING - {"update", "trained"}
            goal = replace(goal, **{name: getattr(present, name) for name in kept})
        changed = self._become(goal)
        source.pop()
        target.append(Entry(entry.title, present))
        self._merging = ""
        self._tell(changed)

    # What follows from the state

    @property
    def recording(self) -> Recording | None:
        return self._replay.recording if self._replay else None

    @property
    def scene(self) -> Scene | None:
        return self.recording.scene if self.recording else None

    @property
    def trace(self) -> Trace:
        assert self._replay is not None, "no scene is open"
        return self._replay.trace

    @property
    def topology(self) -> Topology:
        assert self._topology is not None, "no scene is open"
        return self._topology

    @property
    def layout(self) -> Layout:
        assert self._layout is not None, "no scene is open"
        return self._layout

    @property
    def rolls(self) -> frozenset[str]:
        """What has to be folded to show every sequence as one cell with its loops."""
        return frozenset(self._topology.rolls if self._topology else ())

    @property
    def notation(self) -> Notation:
        return self.recording.notation() if self.recording else Notation()

    @property
    def words(self) -> tuple[str, ...]:
        """What the rows of one-hot vectors stand for; empty where nothing has a name."""
        return self.recording.words() if self.recording else ()

    @property
    def end(self) -> int:
        return self._replay.trace.end if self._replay else 0

    @property
    def training(self) -> Training | None:
        """The training that the recipe asks for; None without one."""
        return self._replay.training_of(self.state) if self._replay else None

    @property
    def more(self) -> bool:
        """Whether another update follows the pass that is shown."""
        training = self.training
        return training is not None and self.state.update < training.last

    @property
    def dirty(self) -> bool:
        """Whether something that a file keeps differs from what was last saved."""
        return not _same_lasting(self.state, self.saved)

    def whole(self) -> Whole | None:
        """The graph node by node with its first values, for a file; None when the catalogue can build it."""
        if self._replay is None or self.state.scene not in {OWN, *TYPED}:
            return None
        return Whole.of(self._graph, self._replay.recording.loss.id, self._replay.originals)

    def frame(self, t: float | None = None) -> Frame:
        """What the picture looks like at t (by default: now)."""
        moment = self.state.t if t is None else t
        key = (moment, self.trace, self._layout)
        if self._frame is None or self._frame[0] != key:
            self._frame = key, frame_at(self.trace, self.layout, moment)
        return self._frame[1]

    def chapter_range(self, id: str) -> tuple[int, int]:
        """First and last moment of a chapter, in steps."""
        assert self.recording is not None
        for own in self.state.chapters:
            if own.id == id:  # it may have been written on a longer graph
                return min(round(own.start), self.end), min(round(own.stop), self.end)
        chapter = next(c for c in self.recording.scene.chapters if c.id == id)
        start = self.recording.moment(chapter.start, self.trace, after=False)
        return start, max(start, self.recording.moment(chapter.stop, self.trace, after=True))

    # Inside

    @property
    def _graph(self) -> Graph:
        """The recorded graph; that of the trace may be altered."""
        assert self.recording is not None, "no scene is open"
        return self.recording.graph

    def _carried(self, node: int) -> dict[str, np.ndarray]:
        """What an edit of a leaf takes along, as `Replay.carried` finds it."""
        return self._replay.carried(self.state, node) if self._replay else {}

    def _replace(self, state: State, title: str, *, merge: str = "", fold_defaults: bool = False) -> None:
        before = self.state
        changed = self._become(state, fold_defaults=fold_defaults)
        if not _same_lasting(before, self.state):
            if not (merge and merge == self._merging and self._undo):
                self._undo.append(Entry(title, before))
                del self._undo[:-200]
            self._merging = merge
            self._redo.clear()
        self._tell(changed)

    def _tell(self, changed: frozenset[str]) -> None:
        """Once per change, when everything is in its new place, the undo list too."""
        if changed:
            for listener in tuple(self._listeners):
                listener(changed)

    def _become(self, state: State, *, fold_defaults: bool = False) -> frozenset[str]:
        """Make `state` the present one, recomputing what it needs; returns the names of what changed.

        On an error nothing has changed.
        """
        old = self.state
        kept = (self._replay, self._topology, self._layout, self._known_scopes)
        another = state.scene == OWN and self.recording is not self._own  # all of them have one id
        changed = {f.name for f in fields(State) if not equal(getattr(old, f.name), getattr(state, f.name))}
        try:
            another |= bool(state.scene) and self.recording is None
            if another or changed & {"scene", "parameters", "seed"}:
                state = self._record(state, fold_defaults)
                changed |= {"recording", "trace", "layout", "folded", "t", "selection"}
            elif changed & REPLAYED:
                before = self.end
                assert self._replay is not None
                state = self._replay.run(state)
                changed.add("trace")
                if changed & ALTERATIONS:
                    state = self._within(state, before)
            if state.scene and self.topology.once != (ONCE in state.folded):
                self._topology = self._topology_of(state)
            state = replace(state, t=min(state.t, float(self.end)))
            time = self._time_shown(state)
            if state.scene and ("layout" in changed or "folded" in changed or time != self._time):
                self._layout, self._time = lay_out(self.topology, state.folded, time), time
                changed.add("layout")
        except BaseException:
            self._replay, self._topology, self._layout, self._known_scopes = kept
            if self._replay is not None and changed & REPLAYED:
                self._replay.run(old)
            raise
        self.state = state
        named = (f.name for f in fields(State))
        return frozenset(changed | {n for n in named if not equal(getattr(old, n), getattr(state, n))})

    def _within(self, state: State, before: int) -> State:
        """The moment and the loop after the number of steps has changed; the end stays the end."""
        end = float(self.end)
        loop = state.loop if state.loop is None or state.loop[1] <= end else None
        return replace(state, t=end if state.t >= before else state.t, loop=loop)

    def _topology_of(self, state: State) -> Topology:
        assert self.recording is not None
        return Topology(self._graph, self.recording.loss.id, once=ONCE in state.folded)

    def _time_shown(self, state: State) -> int | None:
        """The time step whose numbers a rolled-up sequence shows: that of the last step that has one."""
        if self._topology is None or not state.folded & self._topology.rolls.keys():
            return None
        steps = self.trace.steps[: int(np.ceil(state.t))]
        return next((s.time for s in reversed(steps) if s.time is not None), None)

    def _record(self, state: State, fold_defaults: bool) -> State:
        if not state.scene:
            self._replay = self._topology = self._layout = None
            return state
        same_scene = state.scene == self.state.scene and self.recording is not None
        previous_end = self.end
        recording, originals = self._build(state)
        edits = possible_edits(recording.graph, state.edits)
        state = replace(state, edits=edits, **possible_alterations(recording.graph, state))
        self._replay = Replay(recording, originals, self._trainings)
        state = self._replay.run(state)
        self._topology = self._topology_of(state)
        if fold_defaults or same_scene:
            folded = default_folds(recording.scene, self._topology) | (state.folded & {ONCE})
            if same_scene:
                # a scope that existed before keeps what the user did to it; a new one opens by default
                known = self._known_scopes
                kept = {s for s in state.folded if self._topology.can_fold(s)}
                folded = frozenset(kept | {s for s in folded if s not in known})
            state = replace(state, folded=folded)
        self._known_scopes = frozenset(self._topology.scopes)
        state = replace(state, folded=frozenset(s for s in state.folded if self._topology.can_fold(s)))
        t = state.t * self.end / previous_end if same_scene and previous_end else state.t
        ids = tuple(n for n in state.selection if n < len(recording.graph))
        chosen = ids if same_scene else ()
        return replace(state, t=min(max(t, 0.0), float(self.end)), selection=chosen, highlight=())

    def _build(self, state: State) -> tuple[Recording, tuple[np.ndarray, ...]]:
        """What a state shows, and the first values of its nodes."""
        if self._own is not None and state.scene == self._own.scene.id:
            return self._own, self._own_values
        recording = find_scene(state.scene).build(state.parameters, seed=state.seed)
        return recording, tuple(recording.graph.values)


def open_session(target: str, **parameters: Any) -> Session:
    """A session without a screen on a catalogue scene or a scene file.

    `seed=` sets the seed, every other keyword is a parameter of the scene. Raises SceneError.
    """
    from explorer.model.files import is_scene_file, load

    session = Session()
    seed = parameters.pop("seed", None)
    if is_scene_file(target):
        loaded = load(target)
        session.open_state(loaded.state, target, loaded.graph)
        if parameters or seed is not None:
            session.update(parameters=parameters, seed=session.state.seed if seed is None else seed)
    else:
        session.open_scene(target, parameters, seed=seed or 0)
    return session


def default_folds(scene: Scene, topology: Topology) -> frozenset[str]:
    """Paths of the scopes that the scene opens folded: those it names, the middle of long sequences, and as
    many of the innermost as leave a picture that one can take in."""
    folded = {p for p in topology.scopes if any(fnmatchcase(p, pattern) for pattern in scene.folded)}
    folded |= topology.ranges.keys()
    while topology.count_boxes(folded) > MOST_BOXES:
        still_open = [p for p in topology.scopes if topology.is_seen(p, folded)]
        depth = max((p.count("/") for p in still_open), default=0)
        if not depth:  # the outermost scopes stay open
            break
        folded |= {p for p in still_open if p.count("/") == depth}
    return frozenset(folded)


def _same_lasting(a: State, b: State) -> bool:
    return all(equal(getattr(a, name), getattr(b, name)) for name in LASTING)


def _scene_of_own_graph(loss: Tensor) -> Scene:
    title = Text("Your graph", "自作のグラフ")
    return Scene(
        id=OWN,
        family="foundations",
        title=title,
        summary=Text("A graph recorded in Python.", "Python で記録したグラフです。"),
        source="",
        parameters=(),
        chapters=(),
        proofs=(),
        formulas=(),
        errata=(),
        notations={"": Notation()},
        folded=(),
        builder=_rebuild_refused,
        estimate=None,
    )


def _rebuild_refused(parameters: Any, leaves: Leaves) -> Tensor:
    raise SceneError(tr("a graph recorded in Python can only be shown by the program that recorded it"))
