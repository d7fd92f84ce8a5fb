"""From a scene file to a state. Whatever stands in the file, it ends in a state or a FileError.

Nothing in a file is run, imported, or used as a path: scenes and parameters are looked up in the catalogue.
"""

from __future__ import annotations

import codecs
import contextlib
import difflib
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from explorer.model import training
from explorer.model.files import graphs, schema
from explorer.model.files.atomic import Snapshot, read_whole
from explorer.model.files.limits import (
    LIMITS,
    Faults,
    FileError,
    clean,
    clean_text,
    clean_title,
    depth,
    scan,
    too_large,
    uncollected,
    without_tags,
)
from explorer.model.files.schema import FORMAT, VERSION, VERSIONS, Scene1, Scene2, inside
from explorer.model.state import Breakpoint, Recipe, State, UserChapter, own_id
from explorer.model.text import sentence, tr
from explorer.model.whole import OWN, Whole
from scenes import SCENES
from scenes.scene import Scene, SceneError, Value

SUFFIX = ".backstep"
Camera = tuple[float, float, float]


@dataclass(frozen=True)
class Loaded:
    """What a file said."""

    state: State
    read_only: bool = False  # it says more than is understood here: saving would lose that
    warning: str = ""
    graph: Whole | None = None  # what is shown when no builder of the catalogue makes it
    title: str = ""
    ext: Mapping[str, bytes] = field(default_factory=dict)  # other programs' JSON by namespace, as it stood
    snapshot: Snapshot | None = None

    def extras(self) -> dict[str, Any]:
        """What is kept beside the state: the keywords of `encode` and `save`."""
        return {
            "title": self.title,
            "ext": self.ext,
            "graph": self.graph,
        }


def is_scene_file(target: str) -> bool:
    """Whether a word on the command line means a file and not a scene of the catalogue."""
    if target in SCENES:
        return False
    if target.lower().endswith((SUFFIX, ".json")):
        return True
    separators = {os.sep, os.altsep or os.sep, "/"}
    return any(s in target for s in separators) or os.path.isfile(target)


# Reading


def load(path: str | os.PathLike[str]) -> Loaded:
    """Raises FileError; the scene is not built yet, but its parameters are those that it takes."""
    return _load(path, Faults(file_name(path), 1))


def faults(path: str | os.PathLike[str]) -> list[FileError]:
    """Everything that is wrong with a file, at most 100 faults."""
    collected = Faults(file_name(path), LIMITS.faults, stand_in=False)
    try:
        _load(path, collected)
    except FileError as error:
        if error not in collected.found:
            collected.found.append(error)
    return collected.found


def decode(data: bytes, name: str) -> Loaded:
    """Raises FileError, which calls the file `name`."""
    return _decode(data, Faults(name, 1))


def check(data: bytes, name: str) -> None:
    """Raises the FileError that `decode` would raise; spares the work of making rows of a graph."""
    _decode(data, Faults(name, 1), build=False)


def snapshot(path: str | os.PathLike[str]) -> Snapshot:
    """Size, time and checksum of a file, to see later whether it has changed. Raises FileError."""
    return _read(path, Faults(file_name(path), 1))[1]


def _load(path: str | os.PathLike[str], faults: Faults) -> Loaded:
    data, read = _read(path, faults)
    return replace(_decode(data, faults), snapshot=read)


def _read(path: str | os.PathLike[str], faults: Faults) -> tuple[bytes, Snapshot]:
    try:
        data, read = read_whole(path, LIMITS.file_bytes)
    except FileNotFoundError:
        raise faults.fatal("not_found", tr("there is no such file")) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        problem = tr("it can not be read ({reason})").format(reason=reason(error))
        raise faults.fatal("unreadable", problem) from None
    if len(data) > LIMITS.file_bytes:
        raise faults.fatal("too_large", too_large(LIMITS.file_bytes))
    return data, read


@uncollected()
def _decode(data: bytes, faults: Faults, *, build: bool = True) -> Loaded:
    _check_text(data, faults)
    scan(data, faults)
    document: Any = _present(data)
    try:
        version = VERSION if document else _head(data, faults)
        newer = version > VERSION
        kind = VERSIONS[VERSION].lax if newer else VERSIONS[version].strict
        try:
            document = document or msgspec.json.decode(data, type=kind)
        except msgspec.ValidationError as error:
            document = schema.explain(data, kind, faults)
            if not faults.found:  # the pieces fit and the whole does not
                raise faults.fatal("invalid", schema.in_words(str(error))[0]) from None
            if not isinstance(document, Scene1):
                raise faults.found[-1] from None
    except msgspec.DecodeError as error:
        raise faults.fatal("not_json", *_where(data, str(error))) from None
    except UnicodeDecodeError:
        raise faults.fatal("not_json", tr("it is not a text in UTF-8")) from None
    except RecursionError:
        raise faults.fatal("too_many", tr("lists and objects are nested too deep")) from None
    loaded = _understood(schema.upgraded(document, min(version, VERSION)), faults, build)
    if faults.found:
        raise faults.found[-1]
    if not newer:
        return loaded
    warning = tr("{file} was saved by a newer version; it can be shown here, but not be saved")
    return replace(loaded, read_only=True, warning=warning.format(file=clean(faults.name, 60)))


def _standing_in(loaded: Loaded, problem: FileError, faults: Faults) -> Loaded:
    """The graph that was saved with a scene, where the scene can not be built: a file is never lost."""
    warning = tr("{file} is shown from the graph that was saved with it: {problem}")
    return replace(
        loaded,
        state=replace(loaded.state, scene=OWN, parameters={}),
        read_only=True,
        warning=clean(warning.format(file=clean(faults.name, 60), problem=problem.problem), 300),
    )


def _present(data: bytes) -> Scene2 | None:
    """A faultless file of the present version, in one reading; None for every other."""
    try:
        document = msgspec.json.decode(data, type=VERSIONS[VERSION].strict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    present = (document.format, document.version) == (FORMAT, VERSION)
    return document if present and 1 <= document.min_reader <= VERSION else None


def _check_text(data: bytes, faults: Faults) -> None:
    """Say it plainly when this is no UTF-8 text at all."""
    if not data.strip():
        raise faults.fatal("not_json", tr("the file is empty"))
    if data.startswith(codecs.BOM_UTF8):
        problem = tr("it starts with a byte order mark; save it as UTF-8 without one")
        raise faults.fatal("not_json", problem)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data[:4]:
        raise faults.fatal("not_json", tr("it is not UTF-8 but UTF-16, UTF-32 or no text at all"))
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for i in range(0, len(data), 2**16):  # in pieces: the text may take four times the file's size
            decoder.decode(data[i : i + 2**16])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise faults.fatal("not_json", tr("it is not a text in UTF-8")) from None


def _head(data: bytes, faults: Faults) -> int:
    """Format and version, before anything else is looked at."""
    try:
        head = msgspec.json.decode(data, type=schema.Head)
    except msgspec.ValidationError as error:
        problem, path = schema.in_words(str(error))
        raise faults.fatal("invalid" if path else "not_scene", problem, "$" + path) from None
    if head.format != FORMAT:
        raise faults.fatal("not_scene", tr("it is not a Backstep scene file"), "$.format")
    for place, number in (("$.version", head.version), ("$.min_reader", head.min_reader)):
        if type(number) is not int or number < 1:
            raise faults.fatal("invalid", tr("expected a whole number from 1 on"), place)
    if head.min_reader > VERSION:
        problem = tr("it was saved by a newer version of Backstep; this one can not show it")
        raise faults.fatal("newer", problem, "$.min_reader")
    return int(head.version)


def _where(data: bytes, message: str) -> tuple[str, str]:
    """A syntax error in words, and its line and column."""
    match = re.search(r"(?:JSON is malformed: )?(.*?) \(byte (\d+)\)", message)
    if match is None:
        return tr("it is not complete, or not JSON"), "$"
    before = data[: int(match[2])]
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    place = tr("line {line}, column {column}").format(line=line, column=column)
    return tr("it is not JSON ({reason})").format(reason=match[1]), place


def _understood(document: Scene2, faults: Faults, build: bool) -> Loaded:
    """Everything that the structs can not say: limits, the catalogue, numbers."""
    view = document.view
    notes = clean_text(_joined(document.notes))
    _bounded(faults, len(document.title), LIMITS.title, "$.title")
    _bounded(faults, len(notes), LIMITS.text, "$.notes")
    budget = Budget()
    graph = _graph(document, faults, budget, build)
    of_scene = Faults(
        faults.name, LIMITS.faults
    )  # of the builder's parameters, which a graph can stand in for
    parameters: dict[str, Value] = {}
    if document.scene != OWN:
        with contextlib.suppress(FileError):
            parameters = _parameters(document, of_scene)
    elif document.graph is None and not faults.found:
        faults.add("invalid", tr("the field is missing"), "$.graph")
    stands_in = bool(of_scene.found) and faults.stand_in and graph is not None
    if not stands_in:
        for fault in of_scene.found:
            faults.note(fault)
    state = State(
        scene=document.scene,
        parameters=parameters,
        seed=document.seed,
        edits=_arrays(document.edits, "$.edits", LIMITS.edits, budget, faults),
        clamps=_clamps(document, budget, faults),
        cuts=_cuts(document, faults),
        frozen=_frozen(document, faults),
        breakpoints=_breakpoints(document, faults),
        **_training(document, budget, faults),
        notes=notes,
        chapters=_chapters(document, faults),
        folded=_folded(document, faults),
        t=moment(view.t),
        speed=view.speed if LIMITS.speed[0] <= view.speed <= LIMITS.speed[1] else 1.0,
        loop=stretch(view.loop),
        selection=selection(view.selection),
        camera=camera(view.camera),
        chapter=view.chapter if _is_name(view.chapter, LIMITS.key) else "",
    )
    if graph is not None:  # as its nodes are called
        edits = {without_tags(key): value for key, value in state.edits.items()}
        trained = {without_tags(key): value for key, value in state.trained.items()}
        folded = frozenset(map(without_tags, state.folded))
        clamps = {without_tags(key): value for key, value in state.clamps.items()}
        cuts = frozenset((without_tags(key), slot) for key, slot in state.cuts)
        frozen = frozenset(map(without_tags, state.frozen))
        stops = tuple(replace(b, node=without_tags(b.node)) for b in state.breakpoints)
        state = replace(state, edits=edits, trained=trained, folded=folded)
        state = replace(state, clamps=clamps, cuts=cuts, frozen=frozen, breakpoints=stops)
    loaded = Loaded(
        state,
        title=clean_title(document.title),
        ext=_extensions(document, faults),
        graph=graph,
    )
    return _standing_in(loaded, of_scene.found[0], faults) if stands_in else loaded


def _graph(document: Scene2, faults: Faults, budget: Budget, build: bool) -> Whole | None:
    """None when there is none, or a faulty one; empty without `build`."""
    if document.graph is None:
        return None
    before = len(faults.found)
    arrays = _arrays(document.graph.values, "$.graph.values", LIMITS.arrays, budget, faults)
    if len(faults.found) > before:
        return None
    return graphs.read(document.graph, arrays, faults, build=build)


def _parameters(document: Scene2, faults: Faults) -> dict[str, Value]:
    scene = SCENES.get(document.scene)
    if scene is None:
        name = clean(document.scene, 60)
        near = difflib.get_close_matches(document.scene[:60], SCENES, 1)
        form = tr("there is no scene {scene}; `backstep list` names them all")
        form = tr("there is no scene {scene}; did you mean {near}?") if near else form
        faults.add("unknown_scene", form.format(scene=repr(name), near="".join(near)), "$.scene")
        return {}
    chosen = scene.defaults()
    for name, value in document.parameters.items():
        place = inside("$.parameters", name)
        if len(name) > LIMITS.key:
            faults.add("bad_parameter", tr("the scene has no such parameter"), place)
        elif isinstance(value, str) and len(value) > LIMITS.parameter_text:
            _bounded(faults, len(value), LIMITS.parameter_text, place)
        else:
            try:
                chosen[name] = scene.check({name: value})[name]
            except _REFUSALS as error:
                faults.add("bad_parameter", _refusal(error), place)
    if not faults.found:
        _check_size(scene, chosen, faults)
    return chosen


# What a scene's own check may run into with a text that nobody thought of
_REFUSALS = (SceneError, ValueError, TypeError, ArithmeticError, LookupError, RecursionError, SyntaxError)


def _refusal(error: Exception) -> str:
    return sentence(error) if isinstance(error, SceneError) else tr("the scene can not take this value")


def _check_size(scene: Scene, chosen: dict[str, Value], faults: Faults) -> None:
    try:
        size = scene.estimate(SimpleNamespace(**chosen)) if scene.estimate else 0
    except _REFUSALS as error:
        faults.add("bad_parameter", _refusal(error), "$.parameters")
        return
    if not size <= LIMITS.nodes:
        problem = tr("with these values the scene has about {count} nodes, at most {most} fit")
        faults.add("too_many", problem.format(count=str(size)[:20], most=LIMITS.nodes), "$.parameters")


@dataclass
class Budget:
    """What the arrays of one file have taken so far."""

    spent: int = 0


def _arrays(
    section: Mapping[str, schema.Array1], where: str, most: int, budget: Budget, faults: Faults
) -> dict[str, np.ndarray]:
    """Arrays by their names; none when all of them together are too large."""
    if not _bounded(faults, len(section), most, where, tr("entries")):
        return {}
    arrays = {}
    for key, array in section.items():
        place = inside(where, key)
        if not _is_name(key, LIMITS.key) or ".." in key.split("/"):
            faults.add("invalid", tr("this can not be the name of a leaf"), place)
            continue
        try:
            budget.spent += schema.array_bytes(array)
            if budget.spent > LIMITS.arrays_bytes:
                problem = tr("all arrays together can take at most {most} MB")
                faults.add("too_large", problem.format(most=LIMITS.arrays_bytes // 10**6), where)
                return {}
            arrays[key] = schema.to_array(array)
        except schema.Problem as problem:
            faults.add(problem.code, problem.problem, place + problem.path)
    return arrays


def _training(document: Scene2, budget: Budget, faults: Faults) -> dict[str, Any]:
    """The fields of the state that are about training. An update without its parameters is the first one:
    opening a file trains nothing."""
    trained = _arrays(document.trained, "$.trained", LIMITS.edits, budget, faults)
    if document.recipe is None:
        return {}
    if _bounded(faults, len(document.recipe.frozen), LIMITS.frozen, "$.recipe.frozen", tr("entries")):
        for i, pattern in enumerate(document.recipe.frozen):
            if not _is_name(pattern, LIMITS.key):
                faults.add("invalid", tr("this can not be the name of a leaf"), f"$.recipe.frozen[{i}]")
    recipe = Recipe(**msgspec.structs.asdict(document.recipe) | {"frozen": tuple(document.recipe.frozen)})
    try:
        training.check(recipe)
    except SceneError as error:
        faults.add("invalid", sentence(error), "$.recipe")
    update = document.update if trained else 0
    return {"recipe": recipe, "update": update, "trained": trained if update else {}}


def _clamps(document: Scene2, budget: Budget, faults: Faults) -> dict[str, np.ndarray]:
    arrays = _arrays(document.clamps, "$.clamps", LIMITS.alterations, budget, faults)
    for key, array in arrays.items():
        if not np.all(np.isfinite(array)):
            faults.add("invalid", tr("a node can only be held at finite numbers"), inside("$.clamps", key))
    return {key: array.astype(np.float64) for key, array in arrays.items()}


def _cuts(document: Scene2, faults: Faults) -> frozenset[tuple[str, int]]:
    if not _bounded(faults, len(document.cuts), LIMITS.alterations, "$.cuts", tr("entries")):
        return frozenset()
    for i, cut in enumerate(document.cuts):
        if cut is None:  # its fault has been told
            continue
        if not _is_name(cut.node, LIMITS.key):
            faults.add("invalid", tr("this can not be the name of a node"), f"$.cuts[{i}].node")
        if not 0 <= cut.input < LIMITS.inputs:
            problem = tr("expected a whole number from 0 to {most}").format(most=LIMITS.inputs - 1)
            faults.add("invalid", problem, f"$.cuts[{i}].input")
    return frozenset((cut.node, cut.input) for cut in document.cuts if cut is not None)


def _frozen(document: Scene2, faults: Faults) -> frozenset[str]:
    if not _bounded(faults, len(document.frozen), LIMITS.alterations, "$.frozen", tr("entries")):
        return frozenset()
    for i, key in enumerate(document.frozen):
        if not _is_name(key, LIMITS.key):
            faults.add("invalid", tr("this can not be the name of a leaf"), f"$.frozen[{i}]")
    return frozenset(document.frozen)


def _breakpoints(document: Scene2, faults: Faults) -> tuple[Breakpoint, ...]:
    if not _bounded(faults, len(document.breakpoints), LIMITS.breakpoints, "$.breakpoints", tr("entries")):
        return ()
    found = []
    for i, b in enumerate(document.breakpoints):
        if b is None:
            continue
        if not _is_name(b.node, LIMITS.key):
            faults.add("invalid", tr("this can not be the name of a node"), f"$.breakpoints[{i}].node")
        if not 0 <= b.bound < math.inf:
            faults.add("invalid", tr("expected a number from 0 on"), f"$.breakpoints[{i}].bound")
        found.append(Breakpoint(b.kind, b.node, b.bound, b.on))
    return tuple(found)


def _folded(document: Scene2, faults: Faults) -> frozenset[str]:
    if not _bounded(faults, len(document.folded), LIMITS.folded, "$.folded", tr("entries")):
        return frozenset()
    for i, path in enumerate(document.folded):
        if not _is_name(path, LIMITS.scope) or ".." in path.split("/"):
            faults.add("invalid", tr("this can not be the path of a scope"), f"$.folded[{i}]")
    return frozenset(document.folded)


def _chapters(document: Scene2, faults: Faults) -> tuple[UserChapter, ...]:
    if not _bounded(faults, len(document.chapters), LIMITS.chapters, "$.chapters", tr("entries")):
        return ()
    chapters: dict[str, UserChapter] = {}
    for i, chapter in enumerate(document.chapters):
        if chapter is None:  # its fault has been told
            continue
        place = f"$.chapters[{i}]"
        text = clean_text(_joined(chapter.text))
        _bounded(faults, len(chapter.title), LIMITS.title, place + ".title")
        _bounded(faults, len(text), LIMITS.text, place + ".text")
        if not _is_name(chapter.id, LIMITS.key) or chapter.id in chapters:
            problem = tr("expected a name of its own, of 1 to {most} characters").format(most=LIMITS.key)
            faults.add("invalid", problem, place + ".id")
        if not 0 <= chapter.start <= chapter.stop <= LIMITS.moment:
            problem = tr("expected 0 ≤ start ≤ stop ≤ {most}").format(most=int(LIMITS.moment))
            faults.add("invalid", problem, place + ".start")
        if _bounded(faults, len(chapter.frame), LIMITS.frame, place + ".frame", tr("entries")):
            for j, key in enumerate(chapter.frame):
                if not _is_name(key, LIMITS.key):
                    faults.add("invalid", tr("this can not be the name of a node"), f"{place}.frame[{j}]")
        chapters[chapter.id] = UserChapter(
            chapter.id,
            clean_title(chapter.title),
            text,
            chapter.start,
            chapter.stop,
            tuple(chapter.frame),
            camera(chapter.camera),
        )
    of_scene = {c.id for c in SCENES[document.scene].chapters} if document.scene in SCENES else set()
    for id in of_scene & chapters.keys():  # a name that only a later scene has taken
        chapters[id] = replace(chapters[id], id=own_id(of_scene | {c.id for c in chapters.values()}))
    return tuple(chapters.values())


def _extensions(document: Scene2, faults: Faults) -> dict[str, bytes]:
    if not _bounded(faults, len(document.ext), LIMITS.extensions, "$.ext", tr("entries")):
        return {}
    kept = {name: bytes(raw) for name, raw in document.ext.items()}
    _bounded(faults, sum(map(len, kept.values())), LIMITS.extension_bytes, "$.ext", tr("bytes"))
    for name, raw in kept.items():
        if not _is_name(name, LIMITS.key):
            faults.add("invalid", tr("this can not be a namespace"), inside("$.ext", name))
        elif len(raw) <= LIMITS.extension_bytes and depth(raw) > LIMITS.extension_depth:
            faults.add("too_many", tr("lists and objects are nested too deep"), inside("$.ext", name))
    return kept


def _bounded(faults: Faults, count: int, most: int, place: str, unit: str = "") -> bool:
    if count > most:
        problem = tr("expected at most {most} {unit}").format(most=most, unit=unit or tr("characters"))
        faults.add("too_many" if unit else "too_large", problem, place)
    return count <= most


def _is_name(name: str, most: int) -> bool:
    return 0 < len(name) <= most and name.isprintable()


def _joined(lines: str | Sequence[str]) -> str:
    return lines if isinstance(lines, str) else "\n".join(lines)


# What was on screen never keeps a file from opening: it is put right without a word


def moment(t: float) -> float:
    return min(max(t, 0.0), LIMITS.moment) if math.isfinite(t) else 0.0


def stretch(loop: tuple[float, float] | None) -> tuple[float, float] | None:
    if loop is None or not 0 <= loop[0] < loop[1] <= LIMITS.moment:
        return None
    return loop


def camera(value: Camera | None) -> Camera | None:
    if value is None or not all(map(math.isfinite, value)):
        return None
    x, y, zoom = value
    good = max(abs(x), abs(y)) <= LIMITS.camera and LIMITS.zoom[0] <= zoom <= LIMITS.zoom[1]
    return (x, y, zoom) if good else None


def selection(nodes: Sequence[int]) -> tuple[int, ...]:
    return tuple(n for n in nodes[: LIMITS.selection] if 0 <= n < 2**31)


def reason(error: Exception) -> str:
    """What the system says, without the path."""
    return getattr(error, "strerror", None) or tr("the name can not be used")


def file_name(path: str | os.PathLike[str]) -> str:
    path = os.fspath(path)
    return os.path.basename(path) or path
