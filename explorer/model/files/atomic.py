"""Reading a file whole, and replacing it so that it is whole at every moment. Knows nothing of scenes.

Raises OSError only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import time
from hashlib import sha256
from typing import NamedTuple

STALE = 3600.0  # seconds after which a temporary file belongs to a save that was killed


class Snapshot(NamedTuple):
    """What a file was like when it was read, to see whether somebody else has changed it since."""

    size: int
    mtime_ns: int
    sha256: str


def read_whole(path: str | os.PathLike[str], most: int) -> tuple[bytes, Snapshot]:
    """At most `most + 1` bytes of a regular file; never waits for a pipe or a device."""
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    )
    descriptor = os.open(path, flags)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            number = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL
            raise OSError(number, os.strerror(number) if number == errno.EISDIR else "Not a regular file")
        data = file.read(most + 1)
    return data, Snapshot(status.st_size, status.st_mtime_ns, sha256(data).hexdigest())


def write_atomic(path: str | os.PathLike[str], data: bytes, *, backup: bool = True) -> Snapshot:
    """Replace the content of `path`, through links; what was there before stays beside it as `name~`.

    Whatever fails, the file has either its old content or the new one. The backup of an earlier save is let
    go only when the new content has been read back and is in its place.
    """
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    old = _status(target)
    _sweep(folder, name)
    stem = os.path.join(folder, f".{name[:40]}.{secrets.token_hex(8)}")
    fresh, spare = stem + ".tmp", stem + ".old.tmp"
    try:
        _write(fresh, data, old)
        with open(fresh, "rb") as file:
            if file.read() != data:
                raise OSError(errno.EIO, "what was written reads back differently")
        kept = backup and old is not None and _keep(target, spare)
        status = os.stat(fresh)
        os.replace(fresh, target)
        if kept:
            with contextlib.suppress(
                OSError
            ):  # the save itself is done; a backup with a name too long is not
                os.replace(spare, target + "~")
        _sync(folder)
        return Snapshot(status.st_size, status.st_mtime_ns, sha256(data).hexdigest())
    finally:
        for left in (fresh, spare):
            with contextlib.suppress(OSError):
                os.unlink(left)


def _status(target: str) -> os.stat_result | None:
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file")
    effective = os.access in os.supports_effective_ids
    # replacing a read-only file would be allowed, and is not what it asks for
    if not os.access(target, os.W_OK, effective_ids=effective):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return status


def _write(fresh: str, data: bytes, old: os.stat_result | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    # never wider than the file that it replaces, not even for a moment
    descriptor = os.open(fresh, flags, 0o666 if old is None else 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        if old is not None and hasattr(os, "fchmod"):
            with contextlib.suppress(OSError):  # only the owner and root may give a file away
                os.fchown(descriptor, old.st_uid, old.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(old.st_mode) & 0o777)
        os.fsync(descriptor)


def _keep(target: str, spare: str) -> bool:
    """A second name for the old content, or a copy where the file system has no hard links."""
    try:
        os.link(target, spare)
    except OSError:
        try:
            shutil.copy2(target, spare)
        except OSError:
            return False
    return True


def _sync(folder: str) -> None:
    """Make the new name last through a power cut, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sweep(folder: str, name: str) -> None:
    """Remove what saves of this file left behind when they were killed."""
    own = re.compile(re.escape(f".{name[:40]}.") + r"[0-9a-f]{16}(\.old)?\.tmp")
    with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
        for entry in entries:
            if own.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE:
                        os.unlink(entry.path)
