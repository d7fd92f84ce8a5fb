"""From a state to a scene file: readable text, and a save that is whole or did not happen."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from explorer.model import version
from explorer.model.files import graphs, schema
from explorer.model.files.atomic import Snapshot, write_atomic
from explorer.model.files.limits import FileError, clean, clean_text, clean_title, uncollected
from explorer.model.files.reading import (
    camera,
    check,
    file_name,
    moment,
    reason,
    selection,
    snapshot,
    stretch,
)
from explorer.model.files.schema import FORMAT, MIN_READER, VERSION
from explorer.model.state import Breakpoint, Recipe, State, UserChapter
from explorer.model.text import tr
from explorer.model.whole import OWN, Whole
from scenes import SCENES


@uncollected()
def encode(
    state: State,
    *,
    title: str = "",
    ext: Mapping[str, bytes] | None = None,
    graph: Whole | None = None,
) -> bytes:
    """The file's content: only what differs from the default, one item a line, arrays last."""
    view = {
        "t": moment(float(state.t)),
        "speed": float(state.speed) if math.isfinite(state.speed) else 1.0,
        "loop": [float(x) for x in stretch(state.loop) or ()],
        "selection": [int(n) for n in selection(state.selection)],
        "camera": [float(x) for x in camera(state.camera) or ()],
        "chapter": clean_title(state.chapter),
    }
    usual = {"t": 0.0, "speed": 1.0, "loop": [], "selection": [], "camera": [], "chapter": ""}
    sections: dict[str, Any] = {
        "parameters": dict(state.parameters),
        "seed": state.seed,
        "folded": sorted(state.folded),
        "view": {name: value for name, value in view.items() if value != usual[name]},
        "title": clean_title(title),
        "notes": _split(state.notes),
        "chapters": [_chapter(chapter) for chapter in state.chapters],
        "ext": dict(ext or {}),
        "graph": graphs.written(graph) if graph else None,
        "recipe": _recipe(state.recipe) if state.recipe else None,
        "update": state.update,
        "cuts": [schema.Inline(node=key, input=slot) for key, slot in sorted(state.cuts)],
        "frozen": sorted(state.frozen),
        "breakpoints": [schema.Inline(vars(b) | {"bound": float(b.bound)}) for b in state.breakpoints],
        "edits": {key: schema.from_array(value) for key, value in state.edits.items()},
        "clamps": {key: schema.from_array(value) for key, value in state.clamps.items()},
        "trained": {key: schema.from_array(value) for key, value in state.trained.items()},
    }
    head = {"format": FORMAT, "version": VERSION, "min_reader": MIN_READER, "app": version.VERSION}
    written = {name: value for name, value in sections.items() if value}
    return schema.pretty(head | {"scene": state.scene} | written)


@uncollected()
def save(
    path: str | os.PathLike[str],
    state: State,
    *,
    title: str = "",
    ext: Mapping[str, bytes] | None = None,
    graph: Whole | None = None,
    expected: Snapshot | None = None,
) -> Snapshot:
    """Write the file; raises FileError and leaves the old one as it was. Returns what it is like now.

    With `expected`, what the file was like when it was last read or written, a file that somebody else has
    changed since is not overwritten. A state that could not be read again goes to `name.recovery.json`.
    """
    name = file_name(path)
    extras: dict[str, Any] = {
        "title": title,
        "ext": ext,
        "graph": graph,
    }
    if state.scene not in SCENES and (state.scene != OWN or graph is None):
        problem = tr("only scenes of the catalogue and graphs can be saved")
        raise FileError("unknown_scene", name, problem, "$.scene")
    if expected is not None and _changed(path, expected):
        problem = tr("it was changed on disk since it was opened; save under another name or open it again")
        raise FileError("changed_on_disk", name, problem)
    data = b""
    try:
        data = encode(state, **extras)
        check(data, name)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _recovery(path, data or anyhow(state, extras), error) from None
    return _write(path, data)


def _changed(path: str | os.PathLike[str], expected: Snapshot) -> bool:
    """Whether the content is another one; a file that is gone can be written again."""
    try:
        return snapshot(path).sha256 != expected.sha256
    except FileError as error:
        return error.code != "not_found"


def _write(path: str | os.PathLike[str], data: bytes) -> Snapshot:
    try:
        return write_atomic(path, data)
    except (OSError, ValueError) as error:
        problem = tr("it can not be written ({reason})").format(reason=reason(error))
        raise FileError("unwritable", file_name(path), problem) from None


def _recovery(path: str | os.PathLike[str], data: bytes, error: Exception) -> FileError:
    """Nothing is lost because of a mistake of ours: the work goes to a file beside the one that was meant."""
    beside = Path(os.path.realpath(path) + ".recovery.json")
    _write(beside, data)
    why = error.problem if isinstance(error, FileError) else type(error).__name__
    problem = tr("the scene can not be saved as it is ({reason}); everything was put into {other}")
    problem = problem.format(reason=clean(why, 80), other=clean(beside.name, 80))
    return FileError(
        "recovered", file_name(path), problem, error.place if isinstance(error, FileError) else "$"
    )


def anyhow(state: State, extras: Mapping[str, Any]) -> bytes:
    """Everything in some readable form, for a person to pick out."""
    return json.dumps({"state": vars(state), **extras}, indent=1, default=_by_hand, skipkeys=True).encode()


def _by_hand(value: Any) -> Any:
    if isinstance(value, Whole):
        return {"loss": value.loss, "rows": [row._asdict() for row in value.rows]}
    if isinstance(value, UserChapter | Breakpoint):
        return vars(value)
    return value.tolist() if isinstance(value, np.ndarray) and value.dtype != object else repr(value)


def _recipe(recipe: Recipe) -> dict[str, Any]:
    numbers = {name: float(getattr(recipe, name)) for name in ("lr", "clip", "decay")}
    return schema.Inline(vars(recipe) | numbers | {"frozen": list(recipe.frozen)})


def _chapter(chapter: UserChapter) -> schema.Inline:
    """One line of the file, the whole text too."""
    framed = camera(chapter.camera)
    item = {
        "id": chapter.id,
        "title": clean_title(chapter.title),
        "text": clean_text(chapter.text),
        "start": float(chapter.start),
        "stop": float(chapter.stop),
        "frame": list(chapter.frame),
        "camera": [float(x) for x in framed or ()],
    }
    return schema.Inline({name: value for name, value in item.items() if value or name == "id"})


def _split(text: str) -> str | list[str]:
    text = clean_text(text)
    return text.split("\n") if "\n" in text else text
