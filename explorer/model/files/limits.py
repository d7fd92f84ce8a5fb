"""What a scene file may hold at most, and the one kind of error that a file can end in.

Every limit is checked before the thing that it bounds is built, so that no file costs more memory or time
than its size explains.
"""

from __future__ import annotations

import contextlib
import gc
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from explorer.model.text import tr
from scenes.scene import SceneError

Code = Literal[
    "not_found",
    "unreadable",
    "too_large",
    "too_many",
    "not_json",
    "not_scene",
    "newer",
    "invalid",
    "unknown_scene",
    "bad_parameter",
    "bad_graph",
    "unknown_op",
    "unwritable",
    "changed_on_disk",
    "locked",
    "recovered",
]
CODES: dict[Code, str] = {  # for the page that specifies the format; a code never changes its meaning
    "not_found": "There is no such file.",
    "unreadable": "The system refuses to read it, or it is no regular file.",
    "too_large": "The file, a text, an array or a graph is larger than a limit.",
    "too_many": "There are more entries, or they nest deeper, than a limit allows.",
    "not_json": "It is not UTF-8, or not JSON; the place is a line and a column.",
    "not_scene": "It is JSON but no scene file.",
    "newer": "A newer version wrote it, and this one can not show it (`min_reader`).",
    "invalid": "A field is missing, unknown, of the wrong type or out of its range.",
    "unknown_scene": "The catalogue has no scene of that name.",
    "bad_parameter": "The scene has no such parameter, or it does not take the value.",
    "bad_graph": "The nodes do not make a graph: ids, inputs, attributes or shapes do not fit.",
    "unknown_op": "There is no operation of that name.",
    "unwritable": "The file can not be written; the old one is as it was.",
    "changed_on_disk": "Somebody else has changed the file since it was read; it was not overwritten.",
    "locked": "Another window has the file open for writing.",
    "recovered": "The scene can not be saved as it is; everything went into a recovery file beside it.",
}


def _limit(value: Any, of: str) -> Any:
    return field(default=value, metadata={"of": of})


@dataclass(frozen=True)
class Limits:
    """The most that there can be of each. The page that specifies the format lists them too."""

    file_bytes: int = _limit(16 * 2**20, "bytes of the file")
    openings: int = _limit(250_000, "{ and [ in the whole file, also inside texts")
    colons: int = _limit(320_000, ": in the whole file; as many keys take about 80 MB")
    commas: int = _limit(1_000_000, ", in the whole file; as many texts in a list take about 80 MB")
    edits: int = _limit(20_000, "leaves with a value set by hand")
    alterations: int = _limit(20_000, "nodes that are held, edges that are cut, and leaves that are frozen")
    breakpoints: int = _limit(1_000, "breakpoints")
    frozen: int = _limit(1_000, "patterns of parameters that training leaves alone")
    array_bytes: int = _limit(11_000_000, "bytes of one array; as base64 text it still fits into the file")
    arrays_bytes: int = _limit(11_000_000, "bytes of all arrays together")
    dims: int = _limit(8, "dimensions of an array, and of every value of a graph")
    dim: int = _limit(2**24, "size of an array along one dimension")
    inline: int = _limit(64, "numbers written as numbers; longer arrays are base64")
    line: int = _limit(96, "characters of base64 in a line")
    key: int = _limit(
        120, "characters in the name of a leaf, node, parameter, chapter or namespace, and in an id"
    )
    scope: int = _limit(400, "characters in the path of a folded scope")
    folded: int = _limit(50_000, "folded scopes")
    parameter_text: int = _limit(10_000, "characters in a parameter that is a text")
    title: int = _limit(200, "characters in the title of the scene or of a chapter")
    text: int = _limit(100_000, "characters in the notes, and in the text of a chapter")
    chapters: int = _limit(1_000, "chapters")
    frame: int = _limit(1_000, "nodes that a chapter brings into view")
    selection: int = _limit(50_000, "selected nodes; further ones are let go")
    extensions: int = _limit(64, "namespaces of other programs")
    extension_bytes: int = _limit(2**20, "bytes that they take together")
    extension_depth: int = _limit(64, "how deep lists and objects nest there")
    nodes: int = _limit(50_000, "nodes, estimated by the scene or written down in a graph")
    inputs: int = _limit(1_024, "inputs of a node: in the scalar form a sum over a layer is one node")
    attrs: int = _limit(32, "attributes of a node")
    attr_bytes: int = _limit(10_000, "bytes of an attribute; its arrays stand among the values")
    attr_depth: int = _limit(4, "how deep lists and objects nest in it")
    arrays: int = _limit(20_000, "arrays of a graph")
    scope_parts: int = _limit(32, "scopes around a node")
    time: int = _limit(50_000, "time step of a node, also below zero")
    numbers: int = _limit(
        4_000_000, "numbers in all values of a graph, and in the largest array on the way there and back"
    )
    work: int = _limit(500_000_000, "multiplications of a graph's forward pass")
    moment: float = _limit(1e7, "the last step that a moment or a chapter can mean")
    camera: float = _limit(1e7, "distance of the camera from the origin")
    zoom: tuple[float, float] = _limit((0.01, 100.0), "least and greatest zoom; beyond, the camera is reset")
    speed: tuple[float, float] = _limit((0.01, 100.0), "least and greatest speed; beyond, it is 1")
    faults: int = _limit(100, "faults that are listed")


LIMITS = Limits()
MESSAGE = 300


class FileError(SceneError):
    """Why a file can not be opened or saved: one sentence, a stable `code`, and the `place` in the file."""

    def __init__(self, code: Code, name: str, problem: str, place: str = "$") -> None:
        self.code: Code = code
        self.place = clean(place, 100)
        self.problem = clean(problem, MESSAGE)
        form = tr("{file}: {problem}") if place == "$" else tr("{file}, at {place}: {problem}")
        # format() takes the file's own words as values only: braces in them mean nothing
        sentence = form.format(file=clean(name, 60) or "?", place=self.place, problem=self.problem)
        super().__init__(clean(sentence, MESSAGE))


class Faults:
    """Collects what is wrong with one file and gives up when there is enough of it."""

    def __init__(self, name: str, most: int, *, stand_in: bool = True) -> None:
        self.name = name
        self.most = most
        self.stand_in = stand_in  # whether a saved graph may take the place of a scene that can not be built
        self.found: list[FileError] = []

    def add(self, code: Code, problem: str, place: str = "$") -> None:
        """Note a fault; raises it when no more are wanted."""
        self.note(FileError(code, self.name, problem, place))

    def note(self, fault: FileError) -> None:
        """The same, with a fault that somebody else has put into words."""
        self.found.append(fault)
        if len(self.found) >= self.most:
            raise self.found[-1]

    def fatal(self, code: Code, problem: str, place: str = "$") -> FileError:
        """Note a fault after which nothing can be read; the caller raises it."""
        error = FileError(code, self.name, problem, place)
        self.found.append(error)
        return error


def clean(text: str, most: int) -> str:
    """One line of printable characters, at most `most`; control and direction characters go."""
    text = text[: 4 * most]
    line = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)
    return line if len(line) <= most else line[: most - 1] + "…"


_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean_text(text: str) -> str:
    """A text of several lines without control characters, or characters that turn its direction."""
    return _UNSEEN.sub("", text)


def clean_title(text: str) -> str:
    """A text for one line, cut where no title ends."""
    text = text[: 4 * LIMITS.title]
    return "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text).strip()


_TAG = re.compile(r"<(?=[A-Za-z/!?])")


def without_tags(text: str) -> str:
    """A name that no label can take for markup, which might load something."""
    return _TAG.sub("‹", text)


def scan(data: bytes, faults: Faults) -> None:
    """Refuse what costs too much to decode, by counting only."""
    if len(data) > LIMITS.file_bytes:
        raise faults.fatal("too_large", too_large(LIMITS.file_bytes))
    # a quarter of the time that bytes.count() takes with so many of them
    count = {sign: np.count_nonzero(np.frombuffer(data, np.uint8) == ord(sign)) for sign in "{[:,"}
    if count["{"] + count["["] > LIMITS.openings or count[":"] > LIMITS.colons or count[","] > LIMITS.commas:
        problem = tr("it holds more lists and entries than a scene file can have")
        raise faults.fatal("too_many", problem)


def too_large(most: int) -> str:
    return tr("the file is larger than {most} MB, the most that a scene file can have").format(
        most=most >> 20
    )


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without the collector: where thousands of small objects are made that all stay, as when a file is read
    or written, it finds nothing, and where nothing may be let go of, it would."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]')


def depth(data: bytes) -> int:
    """How deep lists and objects nest in a JSON text, without recursion."""
    deepest = now = 0
    for token in _TOKENS.finditer(data):
        first = token[0][:1]
        if first in b"[{":
            now += 1
            deepest = max(deepest, now)
        elif first in b"]}":
            now -= 1
    return deepest
