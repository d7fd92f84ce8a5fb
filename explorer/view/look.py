"""How a picture is drawn: colours, letters, what is marked, and how much of it from how near."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from explorer.view.theme import Theme
from scenes.scene import Notation

if TYPE_CHECKING:
    from explorer.view.sprites import Sprites

DOTS, SYMBOLS = 0.2, 0.62  # below: coloured boxes; below: a symbol a box; above: everything
LEGIBLE = 12.5  # pixels that a symbol keeps while the picture shrinks


@dataclass(frozen=True)
class Look:
    """How to draw: colours, letters, and what is marked."""

    theme: Theme
    notation: Notation = field(default_factory=Notation)
    selection: frozenset[int] = frozenset()  # nodes
    hovered_box: int | None = None
    hovered_edge: int | None = None
    highlight: frozenset[int] = frozenset()  # nodes that a chapter points at
    value_limit: float = 1.0
    gradient_limit: float = 1.0
    lit: tuple[int, ...] = ()  # nodes of a path, in its order; -1 between two paths
    words: tuple[str, ...] = ()  # what the rows of one-hot vectors stand for
    sprites: Sprites | None = field(default=None, compare=False)  # boxes that were drawn before
