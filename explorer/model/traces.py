"""Traces as files: everything that a forward and a backward pass did, as JSON or as NumPy arrays.

`backstep trace` writes them and other programs read them; the format is part of the public interface. Knows
the engine and what a scene recorded, nothing of windows; of a session only what its scalar form needs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autograd import Tensor, Trace
from explorer.model.alterations import leaf_key, nodes_by_key
from explorer.model.files.atomic import write_atomic
from explorer.model.text import tr
from scenes.scene import Recording, SceneError

if TYPE_CHECKING:
    from explorer.model.session import Session

FORMAT, VERSION = "backstep-trace", 1
SUFFIXES = (".json", ".npz")


def document(recording: Recording, trace: Trace) -> dict[str, Any]:
    """The trace as it stands in a JSON file."""
    head, arrays = _split(recording, trace)
    for node in head["nodes"]:
        i = node["id"]
        node["value"] = numbers(arrays[f"value_{i}"])
        node["grad"] = numbers(arrays.get(f"grad_{i}"))
        if i in trace.new:  # of a parameter in training: its value after the update
            node["updated"] = numbers(arrays[f"updated_{i}"])
        node["contributions"] = [
            numbers(arrays.get(f"contribution_{i}_{k}")) for k in range(len(node["inputs"]))
        ]
    return head


def as_json(recording: Recording, trace: Trace) -> str:
    return json.dumps(document(recording, trace), allow_nan=False)


def save(recording: Recording, trace: Trace, path: Path) -> None:
    """Write a trace in the format that the file's ending asks for; raises SceneError or OSError."""
    if path.suffix.lower() == ".json":
        write_atomic(path, as_json(recording, trace).encode() + b"\n", backup=False)
    elif path.suffix.lower() == ".npz":
        head, arrays = _split(recording, trace)
        packed = BytesIO()
        np.savez_compressed(packed, allow_pickle=False, trace=np.array(json.dumps(head)), **arrays)
        write_atomic(path, packed.getvalue(), backup=False)
    else:
        known = ", ".join(SUFFIXES)
        raise SceneError(tr("{name} does not end in one of {known}").format(name=path.name[:80], known=known))


def scalar_form(session: Session) -> tuple[Recording, Trace]:
    """The session's scene recorded with one node per scalar operation, the user's edits put in, and what is
    held and frozen. Raises SceneError where there is none; a cut edge may be many there, and is refused."""
    state, scene, training = session.state, session.scene, session.training
    assert scene is not None
    examples = training.batch(state.update) if training else {}
    batch = {leaf_key(session.trace.graph, node): value for node, value in examples.items()}
    if state.cuts:
        raise SceneError(tr("a scene with cut edges has no scalar form"))

    def elements(key: str, shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        for index in product(*map(range, shape)):
            yield index, recording[f"{key}[{','.join(map(str, index))}]" if index else key]

    try:
        recording = scene.build(state.parameters, seed=state.seed, scalar=True)
        for key, value in {**state.edits, **state.trained, **batch}.items():
            for index, leaf in elements(key, value.shape):
                leaf.value = value[index]
        held = {e.id: v[i] for key, v in state.clamps.items() for i, e in elements(key, v.shape)}
        values, by_key = session.trace.values, nodes_by_key(session.trace.graph)
        frozen = {e.id for key in state.frozen for _, e in elements(key, values[by_key[key]].shape)}
        graph = recording.graph.altered(held, (), frozen) if held or frozen else recording.graph
        return recording, Trace.run(graph, graph.nodes[recording.loss.id])
    except SceneError:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise SceneError(
            tr("scene {scene} has no scalar form: {problem}").format(scene=scene.id, problem=error)
        ) from error


def _split(recording: Recording, trace: Trace) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What is text, and the arrays by the names that they have in an .npz file."""
    graph = trace.graph
    arrays: dict[str, np.ndarray] = {}
    nodes = []
    for i, op in enumerate(graph.ops):
        arrays[f"value_{i}"] = trace.values[i]
        grad = trace.grads[i]
        if grad is not None:
            arrays[f"grad_{i}"] = grad
        if i in trace.new:
            arrays[f"updated_{i}"] = trace.new[i]
        for k, sent in enumerate(trace.contributions[i]):
            if sent is not None:
                arrays[f"contribution_{i}_{k}"] = sent
        nodes.append(
            {
                "id": i,
                "name": graph.names[i],
                "op": op.name if op else "leaf",
                "kind": graph.kinds[i],
                "inputs": list(graph.inputs[i]),
                "attrs": {name: plain(value) for name, value in graph.attrs[i].items()},
                "scope": list(graph.scopes[i]),
                "time": graph.times[i],
                "shape": list(trace.values[i].shape),
            }
        )
    head = {
        "format": FORMAT,
        "version": VERSION,
        "scene": recording.scene.id,
        "parameters": dict(recording.parameters),
        "seed": recording.seed,
        "scalar": recording.scalar,
        "loss": trace.loss,
        "nodes": nodes,
    }
    return head, arrays


def numbers(value: np.ndarray | None) -> Any:
    """An array as nested lists; what JSON has no number for becomes `nan`, `inf` or `-inf`."""
    if value is None:
        return None
    array = np.asarray(value, dtype=np.float64)
    return array.tolist() if np.isfinite(array).all() else _spelled(array.tolist())


def _spelled(value: Any) -> Any:
    if isinstance(value, list):
        return [_spelled(x) for x in value]
    return value if np.isfinite(value) else str(value)


def plain(value: Any) -> Any:
    """An attribute of an op in JSON's own types."""
    if isinstance(value, slice):
        return {"slice": [plain(value.start), plain(value.stop), plain(value.step)]}
    if isinstance(value, (list, tuple)):
        return [plain(x) for x in value]
    if isinstance(value, dict):
        return {str(k): plain(x) for k, x in value.items()}
    if isinstance(value, np.ndarray):
        return _spelled(value.tolist()) if value.dtype.kind == "f" else value.tolist()
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return _spelled(value)
    if value is Ellipsis:
        return "..."
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
