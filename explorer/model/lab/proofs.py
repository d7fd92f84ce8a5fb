"""The scene's closed forms beside the engine's numbers, one at a time, for a window that answers edits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np

from autograd import Tensor
from explorer.model.checks import Row, check_proof
from scenes.scene import Proof, Recording


@dataclass(frozen=True)
class _Indexed(Recording):
    """A recording that finds a node by name at once: proofs of long sequences ask thousands of times."""

    ids: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Tensor:
        return Tensor(self.graph, self.ids[name])

    def value(self, name: str) -> np.ndarray:
        return self.graph.values[self.ids[name]]


def indexed(recording: Recording) -> Recording:
    """The same recording with its names looked up once."""
    ids: dict[str, int] = {}
    for i, name in enumerate(recording.graph.names):
        if name:
            ids.setdefault(name, i)
    return _Indexed(**{f.name: getattr(recording, f.name) for f in fields(Recording)}, ids=ids)


def prove(recording: Recording, proof: Proof) -> Row:
    """One comparison at the present values; `recording` is best one made by `indexed`."""
    with np.errstate(all="ignore"):
        return check_proof(recording, proof)


def element_errors(row: Row) -> np.ndarray | None:
    """|engine − closed form| / max |closed form| for every element; None when the shapes differ."""
    if row.engine.shape != row.closed_form.shape:
        return None
    top = float(np.max(np.abs(row.closed_form), initial=0.0))
    with np.errstate(all="ignore"):
        return np.abs(row.engine - row.closed_form) / max(top, np.finfo(float).tiny)
