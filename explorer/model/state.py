"""What the user chose, as one small frozen value. Everything else follows from it; files keep it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

import numpy as np

from scenes.scene import Value


@dataclass(frozen=True)
class UserChapter:
    """A stretch of steps that the user framed and wrote about."""

    id: str
    title: str = ""
    text: str = ""  # Markdown
    start: float = 0.0
    stop: float = 0.0
    frame: tuple[str, ...] = ()  # keys of nodes to bring into view, as of edits; none: by `camera`
    camera: tuple[float, float, float] | None = None  # None: everything


@dataclass(frozen=True)
class Breakpoint:
    """A condition on which playing stops."""

    kind: Literal["below", "above", "saturates", "nan"]  # of the gradient's norm, of outputs, of values
    node: str  # key of a node, as of edits, or a pattern of names such as h_*
    bound: float = 0.0  # what the norm is compared with; how near to its ends an output is
    on: bool = True


def own_id(taken: Container[str]) -> str:
    """A name for a new chapter."""
    return next(id for k in count(1) if (id := f"own-{k}") not in taken)


@dataclass(frozen=True)
class Recipe:
    """How a scene is trained."""

    optimizer: str = "sgd"  # one of training.OPTIMIZERS
    lr: float = 0.1
    schedule: str = "constant"  # one of training.SCHEDULES
    clip: float = 0.0  # the joint norm of all gradients at most; 0: as long as they are
    decay: float = 0.0  # of the weights: so many times a parameter is added to its gradient, after clipping
    frozen: tuple[str, ...] = ()  # patterns of names of parameters that keep their values
    patience: int = 0  # epochs without a lower validation loss after which it stops; 0: none
    epochs: int = 50


@dataclass(frozen=True)
class State:
    """Everything that the user chose; small, and all of it can be written to a file."""

    scene: str = ""  # catalogue id; empty: the start page
    parameters: Mapping[str, Value] = field(default_factory=dict)  # all parameters of the scene
    seed: int = 0
    edits: Mapping[str, np.ndarray] = field(default_factory=dict)  # leaf key -> value set by hand
    recipe: Recipe | None = None  # None: the scene is not trained
    update: int = 0  # how many updates were taken before the pass that is shown
    trained: Mapping[str, np.ndarray] = field(default_factory=dict)  # leaf key -> parameter after them
    clamps: Mapping[str, np.ndarray] = field(default_factory=dict)  # key of a result -> it is held at this
    cuts: frozenset[tuple[str, int]] = frozenset()  # (node key, which input): no gradient goes over this edge
    frozen: frozenset[str] = frozenset()  # keys of leaves that get no gradient
    breakpoints: tuple[Breakpoint, ...] = ()
    notes: str = ""  # the user's own, Markdown
    chapters: tuple[UserChapter, ...] = ()  # the user's own, in their order
    folded: frozenset[str] = frozenset()  # paths of folded scopes, as lstm/t=2/forget
    t: float = 0.0
    playing: bool = False
    speed: float = 1.0
    loop: tuple[float, float] | None = None
    selection: tuple[int, ...] = ()  # node ids, the last one is the current one
    highlight: tuple[int, ...] = ()  # nodes of a path that is lit, in its order; -1 between two paths
    camera: tuple[float, float, float] | None = None  # centre x, centre y, zoom; None: everything in view
    chapter: str = ""
