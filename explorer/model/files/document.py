"""The file behind a session: where it is, what it was like on disk, who may write it, and the kept work.

The window asks and shows; what must not go wrong happens here, without a screen.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from explorer.model.files import lock, recovery
from explorer.model.files.atomic import Snapshot
from explorer.model.files.limits import FileError, clean
from explorer.model.files.reading import Loaded, file_name, load, snapshot
from explorer.model.files.recovery import Recoverable
from explorer.model.files.writing import save
from explorer.model.session import Session
from explorer.model.state import State
from explorer.model.text import sentence, tr
from scenes.scene import SceneError


class Document:
    """One at a time for one session. Errors are FileErrors, after which everything is as it was."""

    def __init__(self, session: Session, keep_in: Path) -> None:
        self.session = session
        self.keep_in = keep_in  # folder for autosaved work, never the user's own
        self.path: str | None = None  # where Save writes to
        self.shown_path: str | None = (
            None  # where what is shown came from, also when it can not be saved there
        )
        self.warning = ""  # why it can not be saved there
        self.from_newer = False  # a copy would lack what only a newer version knows
        self._on_disk: Snapshot | None = None
        self._extras: Mapping[str, Any] = {}
        self._lock: lock.Lock | None = None
        self._kept: Path | None = None
        self._kept_state: State | None = None
        self._left: list[Path] = []  # kept work of scenes that Undo can bring back

    @property
    def read_only(self) -> bool:
        return bool(self.warning)

    # Opening

    def open(self, path: str) -> None:
        """Show a file. One that is open elsewhere, or newer, is shown only to look at."""
        loaded = load(path)
        held, warning = self._lock_for(path, loaded)
        try:
            self._show(path, loaded)
        except BaseException:
            if held is not None and held is not self._lock:
                held.release()
            raise
        self._let_go(held)
        self._belongs_to(path, loaded, warning)

    def open_backup(self, path: str) -> None:
        """Show what a file was before its last save, to be saved under whatever name the user chooses."""
        loaded = load(path + "~")
        form = tr("This is the backup of {file}, as it was before its last save")
        self._show(path, loaded)
        self._let_go(None)
        self._belongs_to(path, loaded, form.format(file=clean(file_name(path), 60)))

    def _show(self, path: str, loaded: Loaded) -> None:
        try:
            self.session.open_state(
                loaded.state, tr("Open {scene}").format(scene=file_name(path)), loaded.graph
            )
        except FileError:
            raise
        except SceneError as error:  # values that fit one by one, and not together
            raise FileError("bad_parameter", file_name(path), sentence(error), "$.parameters") from None

    def _lock_for(self, path: str, loaded: Loaded) -> tuple[lock.Lock | None, str]:
        """The lock to hold from now on, and why the file can only be looked at."""
        if loaded.read_only:
            return None, loaded.warning
        if self._lock is not None and self._is_here(path):
            return self._lock, ""
        try:
            return lock.take(path), ""
        except FileError:
            form = tr(
                "{file} is open in another window; here it can be looked at and saved under another name"
            )
            return None, form.format(file=clean(file_name(path), 60))

    def _is_here(self, path: str) -> bool:
        return self.path is not None and os.path.realpath(path) == os.path.realpath(self.path)

    def _belongs_to(self, path: str, loaded: Loaded, warning: str) -> None:
        self.shown_path, self.path = path, None if warning else path
        self.warning, self.from_newer = warning, loaded.read_only
        self._on_disk, self._extras = loaded.snapshot, loaded.extras()

    def restore(self, item: Recoverable) -> None:
        """Show work that was left behind. It stays kept, under this program's name, until Save or Discard."""
        loaded = item.load()
        before = State()  # differs from anything that can be shown, so that the work counts as unsaved
        original = item.original if item.original and os.path.exists(item.original) else ""
        loaded = replace(loaded, snapshot=item.snapshot, read_only=bool(item.warning), warning=item.warning)
        held, warning = self._lock_for(original, loaded) if original else (None, "")
        self.session.open_state(loaded.state, tr("Restore"), loaded.graph)
        self._let_go(held)
        self._belongs_to(original, loaded, warning)
        if not original:
            self.path = self.shown_path = None
        self.session.saved = before
        self.keep()
        recovery.discard(item)

    def forget(self) -> None:
        """What is open now came from the catalogue and belongs to no file yet.

        Work that Undo can bring back stays kept until the end.
        """
        if self._kept is not None:
            self._left.append(self._kept)
            self._kept = None
        self._let_go(None)
        self.path = self.shown_path = self._on_disk = None
        self.warning, self.from_newer = "", False
        self._extras = {}
        self.session.saved = self.session.state

    # Saving

    def save(self, path: str | None = None, *, overwrite: bool = False) -> str:
        """Write the file, by default the one that is open; returns its path.

        A file that somebody else has changed meanwhile is overwritten only with `overwrite`.
        """
        target = path or self.path
        assert target is not None
        here = self._is_here(target)
        held = self._lock if here else lock.take(target)
        expected = self._on_disk if here and not overwrite else None
        extras = {**self._extras, "graph": self.session.whole()}
        try:
            self._on_disk = save(target, self.session.state, **extras, expected=expected)
        except BaseException:
            if held is not None and held is not self._lock:
                held.release()
            raise
        self.session.saved = self.session.state
        self._let_go(held)
        self.path = self.shown_path = target
        self.warning, self.from_newer = "", False
        return target

    @property
    def changed_on_disk(self) -> bool:
        """Whether somebody else has written the file since it was read; no, when it is gone."""
        if self.path is None or self._on_disk is None:
            return False
        try:
            status = os.stat(self.path)
            if (status.st_size, status.st_mtime_ns) == self._on_disk[:2]:
                return False
            return snapshot(self.path).sha256 != self._on_disk.sha256
        except (OSError, FileError):
            return False

    # Keeping

    def keep(self) -> bool:
        """Put unsaved work where the next start finds it; True when there was something new to keep."""
        if self._lock is not None:
            self._lock.refresh()
        state = self.session.state
        wanted = self.session.dirty or self._kept is not None  # what was kept stays true, also after an undo
        if not wanted or self.session.recording is None or state is self._kept_state:
            return False
        self._kept = recovery.autosave(
            self.keep_in,
            state,
            self.shown_path,
            file=self._kept,
            since=self._on_disk,
            warning=self.warning,
            **{**self._extras, "graph": self.session.whole()},
        )
        self._kept_state = state
        return True

    def _let_go(self, held: lock.Lock | None) -> None:
        """The work is saved or no longer wanted: from now on this lock and nothing kept."""
        if self._lock is not None and self._lock is not held:
            self._lock.release()
        self._lock = held
        self.drop()

    def drop(self) -> None:
        """The user has saved, or said that nothing is to be saved: no work is kept any more."""
        if self._kept is not None:
            recovery.discard(self._kept)
        self._kept = self._kept_state = None

    def close(self) -> None:
        """At the end, when the user has been asked."""
        self._let_go(None)
        while self._left:
            recovery.discard(self._left.pop())
