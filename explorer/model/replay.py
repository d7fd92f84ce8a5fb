"""A recording with what the user chose put into it: the trace that comes of a state, and the training.

`Session` has one for the recording that is shown and asks it to run again. Records nothing itself, and knows
nothing of layouts, of undo or of who listens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from autograd import AnyPlan, Graph, Trace, compile_plan
from explorer.model.alterations import (
    ALTERATIONS,
    altered_graph,
    is_altered,
    leaf_key,
    leaves_by_key,
    nodes_by_key,
)
from explorer.model.state import State
from explorer.model.training import Training, history, rule
from scenes.scene import Recording

LEARNT = ALTERATIONS | {"scene", "parameters", "seed", "edits"}  # what training depends on beside the recipe
Trainings = list[tuple[State, Training]]  # the present one first, then that of before


class Replay:
    """One recording, and its trace once it has run. `originals` are the first values of its nodes.

    `trainings` is shared by all recordings of a session: what was trained before is still known after undo.
    """

    def __init__(self, recording: Recording, originals: tuple[np.ndarray, ...], trainings: Trainings) -> None:
        self.recording = recording
        self.originals = originals
        self._trainings = trainings
        self._trace: Trace | None = None
        self._plan: AnyPlan | None = None
        self._altered: tuple[Any, Graph] | None = None  # what was altered, and the graph that it made
        self._to_be_trained: tuple[State, Recording] | None = None  # altered how, and the result

    @property
    def trace(self) -> Trace:
        assert self._trace is not None, "it has not run"
        return self._trace

    def run(self, state: State) -> State:
        """Put the edited values, and those of the shown update, into the leaves and run the graph again.

        Returns the state with what came of its training.
        """
        graph, loss = self.recording.graph, self.recording.loss
        state, values = self._leaves_of(state)
        for leaf in graph.leaves():
            if values[leaf.id] is not leaf.value:
                leaf.value = values[leaf.id]
        played = self._played(state)
        if self._trace is None or self._trace.graph is not played:
            self._plan = None
            trace = Trace.run(played, played.nodes[loss.id])
        else:
            if self._plan is None:  # who edits once edits again, and then it has to answer at once
                self._plan = compile_plan(played, loss.id)
            self._plan.load()
            self._plan.run()
            trace = self._trace.after(*self._plan.everything())
            played.adopt(trace.values, trace.grads, trace.contributions)
        if played is not graph:
            graph.adopt(trace.values, trace.grads, trace.contributions)
        self._trace = self._with_update(trace, state)
        return state

    def training_of(self, state: State) -> Training | None:
        """The training of a state; that of before is kept for undo."""
        if state.recipe is None:
            return None
        for k, (known, training) in enumerate(self._trainings):
            if same_history(known, state):
                training.recipe = state.recipe
                self._trainings.insert(0, self._trainings.pop(k))
                return training
        by_key = leaves_by_key(self.recording.graph)
        edits = {by_key[key].id: value for key, value in state.edits.items() if key in by_key}
        recording = self._to_train(state)
        like = self._trainings[0][1] if self._trainings else None
        training = Training(recording, state.recipe, values=self.originals, edits=edits, like=like)
        self._trainings.insert(0, (state, training))
        del self._trainings[2:]
        return training

    def carried(self, state: State, node: int) -> dict[str, np.ndarray]:
        """What an edit of a leaf takes along: where training has led, and of a batch the other examples."""
        training, graph = self.training_of(state), self.trace.graph
        if training is None:
            return {}
        examples = training.batch(state.update)
        held = examples if node in examples else {}
        return {**state.trained, **{leaf_key(graph, i): value for i, value in held.items()}}

    def _played(self, state: State) -> Graph:
        """The graph that runs: the recorded one, or one of the same nodes with what the user altered."""
        graph = self.recording.graph
        what = (state.clamps.keys(), state.cuts, state.frozen)
        if not any(what):
            self._altered = None
            return graph
        if self._altered is None or self._altered[0] != what:
            self._altered = what, altered_graph(graph, state)
            return self._altered[1]
        played, by_key = self._altered[1], nodes_by_key(graph)
        for leaf in graph.leaves():
            played.nodes[leaf.id].value = leaf.value
        for key, value in state.clamps.items():
            played.hold(by_key[key], value)
        return played

    def _leaves_of(self, state: State) -> tuple[State, dict[int, np.ndarray]]:
        """What the leaves hold by their numbers, and the state with what came of its training."""
        by_key = leaves_by_key(self.recording.graph)
        training = self.training_of(state)
        if training is None:
            values = {leaf.id: state.edits.get(key, self.originals[leaf.id]) for key, leaf in by_key.items()}
            return replace(state, update=0, trained={}), values
        moving = {key: leaf for key, leaf in by_key.items() if leaf.id in training.moving}
        update = min(state.update, training.last)
        if state.trained and not training.knows(update):  # by a file, or an undone change
            fits = state.trained.keys() == moving.keys()
            if fits and all(state.trained[key].shape == leaf.shape for key, leaf in moving.items()):
                given = {moving[key].id: value for key, value in state.trained.items()}
                return replace(state, update=update), training.leaves(0) | training.batch(update) | given
            update = 0
        update = training.at(update).update
        values = training.leaves(update)
        trained = {key: values[leaf.id] for key, leaf in moving.items()} if update else {}
        return replace(state, update=update, trained=trained), values

    def _with_update(self, trace: Trace, state: State) -> Trace:
        """The pass with the update that follows it, where it is known and there is one."""
        training = self.training_of(state)
        taken = training.step(state.update) if training and training.knows(state.update) else None
        if training is None or taken is None:
            return trace.followed_by({}, "") if trace.order.updated else trace
        new = dict(zip(training.moving, taken.after.values, strict=True))
        return trace.followed_by(new, rule(training.recipe, taken))

    def _to_train(self, state: State) -> Recording:
        """The recording that is trained; what is altered has a graph of its own there."""
        if not is_altered(state):
            return self.recording
        known = self._to_be_trained
        if known is None or not all(equal(getattr(known[0], n), getattr(state, n)) for n in ALTERATIONS):
            graph = altered_graph(self.recording.graph, state)
            altered = replace(self.recording, graph=graph, loss=graph.nodes[self.recording.loss.id])
            self._to_be_trained = known = state, altered
        return known[1]


def same_history(a: State, b: State) -> bool:
    """Whether training takes the same way."""
    if not all(equal(getattr(a, name), getattr(b, name)) for name in LEARNT):
        return False
    if a.recipe is None or b.recipe is None:
        return a.recipe is b.recipe
    return history(a.recipe) == history(b.recipe)


def equal(a: Any, b: Any) -> bool:
    """Whether two values of a field of State are the same; arrays that hold nan in the same places are."""
    if a is b:
        return True
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=True)
    return type(a) is type(b) and a == b
