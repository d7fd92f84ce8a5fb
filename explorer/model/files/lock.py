"""Who has a file open for writing: a small file beside it, `.name.lock`. Advisory, and never in the way.

A lock whose program has ended counts for nothing. Where no lock can be made, none is needed to go on: what
somebody else has written is never overwritten unasked, whatever the locks say.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from pathlib import Path

import msgspec

from explorer.model.files.atomic import read_whole
from explorer.model.files.limits import FileError
from explorer.model.text import tr

FOREIGN = 600.0  # seconds after which a lock from another machine, which is refreshed, counts as left behind


class _Owner(msgspec.Struct, kw_only=True):
    pid: int
    process: str
    host: str
    key: str


class Lock:
    """A file held for writing, from `take` to `release`."""

    def __init__(self, file: Path, key: str) -> None:
        self.file = file
        self.key = key

    def refresh(self) -> None:
        """Tell other machines that the holder is still there."""
        with contextlib.suppress(OSError):
            os.utime(self.file)

    def release(self) -> None:
        """Let go; a lock that somebody else has taken over meanwhile stays theirs."""
        owner = _owner(self.file)
        if owner is not None and owner.key == self.key:
            with contextlib.suppress(OSError):
                self.file.unlink()


def take(path: str | os.PathLike[str]) -> Lock | None:
    """Lock a file; raises FileError when another window has it.

    None where no lock can be made, as in a folder that is read-only.
    """
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    file = Path(folder, f".{name}.lock")
    key = os.urandom(8).hex()
    mine = _Owner(pid=os.getpid(), process=identity(os.getpid()), host=socket.gethostname(), key=key)
    for _ in range(2):
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            if _alive(file):
                problem = tr("it is open in another window; save under another name")
                raise FileError("locked", name, problem) from None
            with contextlib.suppress(OSError):
                file.unlink()
        except (OSError, ValueError):
            return None
        else:
            with open(descriptor, "wb") as opened, contextlib.suppress(OSError):
                opened.write(msgspec.json.encode(mine))
            return Lock(file, key)
    return None


def _owner(file: Path) -> _Owner | None:
    try:
        return msgspec.json.decode(read_whole(file, 4096)[0], type=_Owner)
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
        return None


def _alive(file: Path) -> bool:
    """Whether a lock's owner still runs; one that is half written is young, or nobody's."""
    try:
        age = time.time() - file.stat().st_mtime
    except OSError:
        return False
    owner = _owner(file)
    if owner is None:
        return age < 2
    if owner.host == socket.gethostname():
        return runs(owner.pid, owner.process)
    return age < FOREIGN


def identity(pid: int) -> str:
    """Tells a process from a later one with the same number; empty where the system does not say."""
    try:
        start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {start}"
    except (OSError, IndexError, ValueError):
        return ""


def runs(pid: int, expected: str) -> bool:
    """Whether the very process that left a note about itself still runs."""
    if pid <= 0:  # would mean a group of processes
        return False
    if sys.platform == "win32":  # os.kill would end it there
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, pid)
        if not handle:
            return False
        code = ctypes.c_ulong()
        ctypes.windll.kernel32.GetExitCodeProcess(handle, ctypes.byref(code))
        ctypes.windll.kernel32.CloseHandle(handle)
        return code.value == 259  # STILL_ACTIVE
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return not expected or identity(pid) == expected
