"""What a command says: sentences on standard error, JSON, written files, a progress bar.

Used by `arguments` and `commands`, which know what there is to say; knows no command and no session. Like its
neighbours it imports the model where it is used, so that `--version` is instant.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO


class Stop(Exception):
    """The command can not do what was asked; the message is one sentence for the user."""


def tr(english: str) -> str:
    """`text.tr`, imported at the first use."""
    from explorer.model import text

    return text.tr(english)


def sentence_of(error: Exception) -> str:
    """What any error says to the user."""
    from explorer.model.text import sentence
    from scenes.scene import SceneError

    if isinstance(error, (Stop, SceneError)):
        return sentence(error)
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return f"{error.filename}: {reason}" if error.filename else reason
    if isinstance(error, ImportError):
        return tr("{problem}; `backstep doctor` says what is missing").format(problem=error)
    if isinstance(error, MemoryError):
        return tr("there is not enough memory for this")
    problem = f"{type(error).__name__}: {error}"
    return tr("this should not have happened: {problem} (--debug shows where)").format(problem=problem)


def one_line(words: str) -> str:
    """Printable characters in one line, whatever a name or a file contained."""
    return "".join(c if c.isprintable() else " " for c in " ".join(words.split()))


def speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def print_json(value: Any) -> None:
    import json

    print(json.dumps(value, ensure_ascii=not speaks_unicode(), allow_nan=False, indent=1))


def write_json(value: Any, out: str) -> None:
    import json

    from explorer.model.files.atomic import write_atomic

    if out == "-":
        print_json(value)
        return
    with Writing(out):
        write_atomic(
            out, json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n", backup=False
        )


class Writing:
    """Turns what goes wrong while a file is written into a sentence that names it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            reason = error.strerror or str(error)
            raise Stop(tr("can not write {path}: {reason}").format(path=self.path, reason=reason)) from error


def checked_ending(out: str, known: Sequence[str]) -> None:
    """Refuse a file's ending before anything is computed."""
    if Path(out).suffix.lower() not in known:
        raise Stop(
            tr("{name} does not end in one of {known}").format(
                name=Path(out).name[:80], known=", ".join(known)
            )
        )


class Bar:
    """A progress bar on a terminal; silent anywhere else."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.shown = -1
        self.visible = stream.isatty()

    def __call__(self, done: int, everything: int) -> None:
        percent = 100 * done // max(everything, 1)
        if not self.visible or percent == self.shown:
            return
        self.shown = percent
        filled = percent * 30 // 100
        self.stream.write(f"\r{'█' * filled}{'░' * (30 - filled)} {percent:3d} %")
        self.stream.flush()

    def close(self) -> None:
        if self.shown >= 0:
            self.stream.write("\r" + " " * 40 + "\r")
            self.stream.flush()
