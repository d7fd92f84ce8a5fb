"""What the user chose, as one small frozen value. Everything else follows from it; files keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from scenes.scene import Value


@dataclass(frozen=True)
class State:
    """Everything that the user chose; small, and all of it can be written to a file."""

    scene: str = ""  # catalogue id; empty: the start page
    parameters: Mapping[str, Value] = field(default_factory=dict)  # all parameters of the scene
    seed: int = 0
    edits: Mapping[str, np.ndarray] = field(default_factory=dict)  # leaf key -> value set by hand
    folded: frozenset[str] = frozenset()  # paths of folded scopes, as lstm/t=2/forget
    t: float = 0.0
    playing: bool = False
    speed: float = 1.0
    loop: tuple[float, float] | None = None
    selection: tuple[int, ...] = ()  # node ids, the last one is the current one
    camera: tuple[float, float, float] | None = None  # centre x, centre y, zoom; None: everything in view
    chapter: str = ""
