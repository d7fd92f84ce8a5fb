"""Scene files: schema, limits, atomic save, autosave. Used by the session, the command line and the window.

A scene file is untrusted: reading one ends in a state or in a `FileError`, and never runs anything.
"""

from explorer.model.files.atomic import Snapshot
from explorer.model.files.limits import LIMITS, FileError
from explorer.model.files.reading import (
    SUFFIX,
    Loaded,
    decode,
    faults,
    is_scene_file,
    load,
    snapshot,
)
from explorer.model.files.recovery import Recoverable, autosave, discard, recoverable
from explorer.model.files.writing import encode, save

__all__ = [
    "LIMITS",
    "SUFFIX",
    "FileError",
    "Loaded",
    "Recoverable",
    "Snapshot",
    "autosave",
    "decode",
    "discard",
    "encode",
    "faults",
    "is_scene_file",
    "load",
    "recoverable",
    "save",
    "snapshot",
]
