"""What a scene file may hold at most, and the one kind of error that a file can end in.

Every limit is checked before the thing that it bounds is built, so that no file costs more memory or time
than its size explains.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

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
    "unwritable",
    "changed_on_disk",
    "recovered",
]


@dataclass(frozen=True)
class Limits:
    """Counts, lengths in characters unless the name says bytes, and ranges."""

    file_bytes: int = 16 * 2**20
    openings: int = 200_000  # of { and [ in the whole file, also inside texts
    colons: int = 200_000  # as many keys take about 50 MB
    commas: int = 1_000_000  # as many texts in a list take about 80 MB
    edits: int = 20_000
    array_bytes: int = 11_000_000  # as base64 text this still fits into the file
    arrays_bytes: int = 11_000_000  # all of them together
    dims: int = 8
    dim: int = 2**24
    inline: int = 64  # numbers written as numbers; longer arrays are base64
    line: int = 96  # characters of base64 in a line
    key: int = 120  # names of leaves, parameters, chapters, namespaces
    scope: int = 400  # the path of a folded scope
    folded: int = 50_000
    parameter_text: int = 10_000
    title: int = 200
    text: int = 100_000  # notes, and the text of one chapter
    chapters: int = 1_000
    selection: int = 50_000
    extensions: int = 64
    extension_bytes: int = 2**20  # all of them together
    extension_depth: int = 64
    nodes: int = 50_000
    moment: float = 1e7
    camera: float = 1e7
    zoom: tuple[float, float] = (0.01, 100.0)
    speed: tuple[float, float] = (0.01, 100.0)
    faults: int = 50


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

    def __init__(self, name: str, most: int) -> None:
        self.name = name
        self.most = most
        self.found: list[FileError] = []

    def add(self, code: Code, problem: str, place: str = "$") -> None:
        """Note a fault; raises it when no more are wanted."""
        self.found.append(FileError(code, self.name, problem, place))
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


def scan(data: bytes, faults: Faults) -> None:
    """Refuse what costs too much to decode, by counting only."""
    if len(data) > LIMITS.file_bytes:
        raise faults.fatal("too_large", too_large(LIMITS.file_bytes))
    counts = (
        (data.count(b"{") + data.count(b"["), LIMITS.openings),
        (data.count(b":"), LIMITS.colons),
        (data.count(b","), LIMITS.commas),
    )
    if any(count > most for count, most in counts):
        problem = tr("it holds more lists and entries than a scene file can have")
        raise faults.fatal("too_many", problem)


def too_large(most: int) -> str:
    return tr("the file is larger than {most} MB, the most that a scene file can have").format(
        most=most >> 20
    )


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
