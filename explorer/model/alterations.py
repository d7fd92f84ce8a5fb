"""What a user puts into a graph: other values of leaves, and nodes held, edges cut and leaves frozen.

All of it is kept under keys of nodes, which last when the graph is recorded again. `session` asks whether
something can be, `replay` carries it out. Knows states and graphs, no trace and no training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from autograd import Graph, Tensor
from explorer.model.state import State
from explorer.model.text import tr
from scenes.scene import SceneError

_known_leaves: WeakKeyDictionary[Graph, tuple[tuple[int, int], dict[str, int]]] = WeakKeyDictionary()
ALTERATIONS = frozenset({"clamps", "cuts", "frozen"})


def leaf_key(graph: Graph, node: int) -> str:
    """The name under which a leaf, or any node, is kept: its own where that is unique, else its number."""
    name = graph.names[node]
    return name if name and graph.names.count(name) == 1 else f"#{node}"


def leaves_by_key(graph: Graph) -> dict[str, Tensor]:
    """All leaves under the keys of `leaf_key`."""
    as_of = len(graph), graph.renamings
    known = _known_leaves.get(graph)
    if known is None or known[0] != as_of:
        names = list(graph.names)
        uses = Counter(names)
        found = {
            name if (name := names[leaf.id]) and uses[name] == 1 else f"#{leaf.id}": leaf.id
            for leaf in graph.leaves()
        }
        known = _known_leaves[graph] = as_of, found  # numbers: a Tensor would hold the graph
    return {key: graph.nodes[i] for key, i in known[1].items()}


def nodes_by_key(graph: Graph) -> dict[str, int]:
    """All nodes under the keys of `leaf_key`."""
    uses = Counter(graph.names)
    return {name if name and uses[name] == 1 else f"#{i}": i for i, name in enumerate(graph.names)}


def is_altered(state: State) -> bool:
    """Whether something is held, cut or frozen."""
    return any(getattr(state, name) for name in ALTERATIONS)


def altered_graph(graph: Graph, state: State) -> Graph:
    """A graph of the same nodes in which what a state holds, cuts and freezes is so."""
    by_key = nodes_by_key(graph)
    return graph.altered(
        {by_key[key]: value for key, value in state.clamps.items()},
        {(by_key[key], slot) for key, slot in state.cuts},
        {by_key[key] for key in state.frozen},
    )


def checked_edits(graph: Graph, edits: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Edits of leaves as arrays of their own; SceneError for one that this graph can not take."""
    by_key = leaves_by_key(graph)
    checked = {}
    for key, value in edits.items():
        if key not in by_key:
            raise SceneError(tr("there is no leaf {name} to edit").format(name=repr(key[:60])))
        checked[key] = _numbers(key, value, by_key[key].shape)
    return checked


def checked_alterations(graph: Graph, state: State) -> dict[str, Any]:
    """The three fields of a state with plain values; SceneError for what this graph can not do."""
    by_key = nodes_by_key(graph)
    for key in (*state.clamps, *(key for key, _ in state.cuts), *state.frozen):
        if key not in by_key:
            raise SceneError(tr("there is no node {name}").format(name=repr(key[:60])))
    clamps = {}
    for key, value in state.clamps.items():
        node = by_key[key]
        if graph.ops[node] is None:
            raise SceneError(tr("{name} is not computed; edit its value instead").format(name=key))
        array = _numbers(key, value, graph.values[node].shape)
        if not np.all(np.isfinite(array)):
            raise SceneError(tr("{name} can only be held at finite numbers").format(name=key))
        clamps[key] = array
    for key, slot in state.cuts:
        if not 0 <= slot < len(graph.inputs[by_key[key]]):
            raise SceneError(tr("{name} has no input {number}").format(name=key, number=slot))
    for key in state.frozen:
        if not _can_be_frozen(graph, by_key[key]):
            raise SceneError(tr("{name} gets no gradient anyway").format(name=key))
    return {"clamps": clamps, "cuts": frozenset(state.cuts), "frozen": frozenset(state.frozen)}


def possible_edits(graph: Graph, edits: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What of the edits this graph can take: one of a leaf that is gone or has another shape is let go."""
    by_key = leaves_by_key(graph)
    return {k: value for k, value in edits.items() if k in by_key and by_key[k].shape == value.shape}


def possible_alterations(graph: Graph, state: State) -> dict[str, Any]:
    """What of the alterations this graph can take: one of a node that is gone or other is let go."""
    if not is_altered(state):
        return {}
    by_key = nodes_by_key(graph)
    clamps, cuts = {}, set()
    for key, value in state.clamps.items():
        node = by_key.get(key)
        if node is not None and graph.ops[node] is not None and graph.values[node].shape == value.shape:
            clamps[key] = value
    for key, slot in state.cuts:
        if key in by_key and slot < len(graph.inputs[by_key[key]]):
            cuts.add((key, slot))
    frozen = {key for key in state.frozen if key in by_key and _can_be_frozen(graph, by_key[key])}
    return {"clamps": clamps, "cuts": frozenset(cuts), "frozen": frozenset(frozen)}


def _numbers(key: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise SceneError(tr("{name} takes numbers").format(name=key)) from None
    if array.shape != shape:
        raise SceneError(
            tr("{name} has the shape {shape}, the new value {other}").format(
                name=key, shape=shape, other=array.shape
            )
        )
    return array


def _can_be_frozen(graph: Graph, node: int) -> bool:
    return graph.kinds[node] in ("parameter", "input")
