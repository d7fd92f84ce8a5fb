"""Work that was not saved when the program ended: kept in a folder of the application, offered once more.

A file stays until its work was saved or thrown away on purpose.
"""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from explorer.model.files.atomic import Snapshot, read_whole, write_atomic
from explorer.model.files.limits import LIMITS, FileError
from explorer.model.files.lock import identity, runs
from explorer.model.files.reading import Loaded, decode, reason, snapshot
from explorer.model.files.writing import anyhow, encode
from explorer.model.state import State
from explorer.model.text import tr

_NAME = re.compile(r"[0-9a-f]{32}-(\d{1,9})\.json")


class _Kept(msgspec.Struct, kw_only=True):
    """An autosaved scene, and where it came from; for this program on this machine only."""

    format: str = "backstep-autosave"
    version: int = 1
    original: str = ""
    snapshot: tuple[int, int, str] | None = None
    warning: str = ""
    process: str = ""  # of the program that kept it
    scene: msgspec.Raw


class _About(msgspec.Struct):
    scene: str = ""


@dataclass(frozen=True)
class Recoverable:
    """Work that somebody left behind."""

    file: Path
    original: str  # path of the file that it was opened from or saved to; empty: none yet
    snapshot: Snapshot | None  # of the original, when the work was kept
    saved_at: float  # seconds since 1970
    scene: str = ""  # its id; of a stranger's making as much as the rest
    warning: str = ""  # why the original must not be written to; empty: it may be

    @property
    def original_changed(self) -> bool:
        """Whether the original is not what it was when this work began."""
        if not self.original or self.snapshot is None:
            return False
        try:
            return snapshot(self.original).sha256 != self.snapshot.sha256
        except FileError:
            return True

    def load(self) -> Loaded:
        """Raises FileError."""
        kept = _read(self.file)
        if kept is None:
            raise FileError("unreadable", self.file.name, tr("the autosaved work can not be read"))
        return decode(bytes(kept.scene), os.path.basename(self.original) or self.file.name)


def autosave(
    directory: str | os.PathLike[str],
    state: State,
    original_path: str | os.PathLike[str] | None,
    *,
    file: Path | None = None,
    since: Snapshot | None = None,
    warning: str = "",
    **extras: Any,
) -> Path:
    """Keep the work; returns the file, to be given as `file` the next time and to `discard` after a save.

    `since` is the original as it was loaded (by default, as it is now), `warning` says why it can only be
    looked at; `extras` are the keywords of `encode`. The user's own file is not touched. Raises FileError
    when nothing can be written.
    """
    folder = Path(directory)
    target = file or folder / f"{uuid.uuid4().hex}-{os.getpid()}.json"
    original = os.path.abspath(original_path) if original_path else ""
    if original and since is None:
        with contextlib.suppress(FileError):
            since = snapshot(original)
    try:
        scene = msgspec.Raw(encode(state, **extras))
    except (ValueError, TypeError):  # kept for a person to read, rather than lost
        scene = msgspec.Raw(msgspec.json.encode(anyhow(state, extras).decode()))
    kept = _Kept(
        original=original, snapshot=since, warning=warning, process=identity(os.getpid()), scene=scene
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(target, msgspec.json.encode(kept), backup=False)
    except (OSError, ValueError) as error:
        problem = tr("the work can not be kept ({reason})").format(reason=reason(error))
        raise FileError("unwritable", target.name, problem) from None
    return target


def recoverable(directory: str | os.PathLike[str]) -> list[Recoverable]:
    """What programs that no longer run have left, newest first. Files that can not be read stay unlisted."""
    found = []
    try:
        files = list(Path(directory).iterdir())
    except OSError:
        return []
    for file in files:
        match = _NAME.fullmatch(file.name)
        kept = _read(file) if match else None
        if match is None or kept is None or runs(int(match[1]), kept.process):
            continue
        with contextlib.suppress(OSError):
            since = Snapshot(*kept.snapshot) if kept.snapshot else None
            saved_at = file.stat().st_mtime
            found.append(Recoverable(file, kept.original, since, saved_at, _scene(kept), kept.warning))
    return sorted(found, key=lambda item: -item.saved_at)


def discard(item: Recoverable | Path) -> None:
    """Let the kept work go: after it was saved, or because the user said so."""
    file = item.file if isinstance(item, Recoverable) else item
    if not _NAME.fullmatch(file.name):
        raise ValueError(f"{file.name} is not a file that autosave made")
    with contextlib.suppress(OSError):
        file.unlink()


def _scene(kept: _Kept) -> str:
    try:
        return msgspec.json.decode(kept.scene, type=_About).scene
    except msgspec.MsgspecError:  # work that could not be written as a scene
        return ""


def _read(file: Path) -> _Kept | None:
    try:
        data, _ = read_whole(file, 2 * LIMITS.file_bytes)
        kept = msgspec.json.decode(data, type=_Kept)
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
        return None
    return kept if (kept.format, kept.version) == ("backstep-autosave", 1) else None
