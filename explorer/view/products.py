"""The running product of local derivatives, beside a path that is lit: `0.93 · 0.88 = 0.818` at each hop.

It stands where the error has come by at the moment, beside the line and on no box. Drawn by `paint`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen

from autograd import Trace
from explorer.model import text
from explorer.model.frame import Frame
from explorer.model.lab.paths import Hop, hops
from explorer.model.layout import Layout
from explorer.model.layout.geometry import HEAD
from explorer.view.far import area_rects, within
from explorer.view.fonts import picture_font

if TYPE_CHECKING:
    from explorer.view.look import Look

LEGIBLE, LEAST = 12.5, 8.5  # pixels that the letters want, and below which they are left out
SMALLEST, LARGEST = 11.0, 22.0  # letters in scene units
BESIDE = 11.0  # from the line to the plate, so that a local derivative on the line keeps its place
SHARES = (0.5, 0.3, 0.7, 0.15, 0.85)  # of a stretch, where the middle of a plate may be
GAP = 8.0  # from the plate to a box, whose outline may be lit
TITLE = 110.0  # width that the title of a scope takes at its upper left


@dataclass
class _Plates:
    """What is written in one layout at one zoom; a place is found when it is first seen."""

    key: tuple[Trace, tuple[int, ...], float, str]
    hops: dict[tuple[int, int], Hop]  # by input and consumer
    places: dict[int, tuple[QRectF, str] | None] = field(default_factory=dict)  # by edge of the layout


_plates: WeakKeyDictionary[Layout, _Plates] = WeakKeyDictionary()


def paint_products(
    painter: QPainter, frame: Frame, look: Look, pills: Mapping[int, QRectF | None], zoom: float
) -> None:
    """Write beside the edges of the lit path that are in view, where the error has come by.

    `pills` are these edges of the layout, and where the local derivative stands on each.
    """
    size = min(max(SMALLEST, LEGIBLE / zoom), LARGEST) * look.theme.lettering
    if -1 in look.lit or size * zoom < LEAST:
        return
    font = picture_font(size, bold=True)
    plates = _plates_of(frame, look, zoom)
    taken = [pill for pill in pills.values() if pill is not None]
    for k in pills:
        if frame.flowed[k] != 2:
            continue
        if k not in plates.places:
            members = frame.layout.edges[k].members
            pairs = [(frame.trace.graph.inputs[v][slot], v) for v, slot in members]
            hop = next((plates.hops[pair] for pair in pairs if pair in plates.hops), None)
            words = () if hop is None else hop_words(hop)
            plates.places[k] = _place(frame.layout, k, words, taken, QFontMetricsF(font), size)
        place = plates.places[k]
        if place is None or any(place[0].intersects(other) for other in taken):
            continue
        rect, said = place
        taken.append(rect)
        painter.setPen(QPen(QColor(look.theme.loss), max(1.0, 0.8 / zoom)))
        painter.setBrush(QColor(look.theme.canvas))
        painter.drawRoundedRect(rect, 3, 3)
        painter.setPen(QColor(look.theme.ink))
        painter.setFont(font)
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, said)


def hop_words(hop: Hop) -> tuple[str, str]:
    """The product written out, and its result alone. `= 1` is said only of what is exactly 1."""
    numbers = [text.number(x, 3) for x in (hop.before, hop.factor, hop.after)]
    before, factor, after = (f"({n})" if k < 2 and n[0] == "−" else n for k, n in enumerate(numbers))
    equal = "≈" if after == "1" and hop.after != 1.0 else "="
    return f"{before} · {factor} {equal} {after}", f"∏ {equal} {after}"


def _plates_of(frame: Frame, look: Look, zoom: float) -> _Plates:
    key = frame.trace, look.lit, zoom, text.number_style()
    kept = _plates.get(frame.layout)
    if kept is None or kept.key != key:
        found = dict(zip(pairwise(look.lit), hops(frame.trace, look.lit), strict=False))
        kept = _plates[frame.layout] = _Plates(key, found)
    return kept


def _place(
    layout: Layout,
    k: int,
    words: Sequence[str],
    pills: Sequence[QRectF],
    metrics: QFontMetricsF,
    size: float,
) -> tuple[QRectF, str] | None:
    """A place beside the line that is on no box, for as much as fits; best where no other line runs."""
    x0, y0, x1, y1 = layout.edge_rects[k].tolist()
    part = np.array([[x0 - 12 * size, y0 - 4 * size, x1 + 12 * size, y1 + 4 * size]])
    boxes = layout.rects[within(layout.rects, part, 0.0)] + (-GAP, -GAP, GAP, GAP)
    titles = area_rects(layout)[within(area_rects(layout), part, 0.0)].copy()
    titles[:, 2] = np.minimum(titles[:, 2], titles[:, 0] + TITLE)
    titles[:, 3] = titles[:, 1] + HEAD + 6
    taken = np.array([r.getCoords() for r in pills]).reshape(-1, 4)
    solid = np.concatenate([boxes, titles, taken])
    near = within(layout.edge_rects, part, 0.0)
    lines = np.concatenate([_stretches(layout.edges[j].points) for j in near])
    for said in words:
        w, h = metrics.horizontalAdvance(said) + size * 0.7, size * 1.35
        spots = np.array(list(_spots(layout.edges[k].points, w, h))).reshape(-1, 4)
        free = spots[~_touch(spots, solid).any(axis=1)]
        if len(free):
            x0, y0, x1, y1 = free[int(np.argmin(_touch(free, lines).sum(axis=1)))].tolist()
            return QRectF(x0, y0, x1 - x0, y1 - y0), said
    return None


def _stretches(points: np.ndarray) -> np.ndarray:
    """The rectangle of each straight part of a line; (n, 4)."""
    return np.hstack([np.minimum(points[:-1], points[1:]), np.maximum(points[:-1], points[1:])])


def _spots(points: np.ndarray, w: float, h: float) -> Iterator[tuple[float, float, float, float]]:
    """Rectangles of a plate along the line, its longest parts first: below and above, or right and left."""
    parts = sorted(pairwise(points), key=lambda ab: -float(np.abs(ab[1] - ab[0]).sum()))
    for a, b in parts:
        level = abs(b[0] - a[0]) >= abs(b[1] - a[1])
        if np.abs(b - a).max() < (w if level else h):
            continue
        for share in SHARES:
            x, y = a + (b - a) * share
            for side in (1, -1):
                cx = x if level else x + side * (BESIDE + w / 2)
                cy = y + side * (BESIDE + h / 2) if level else y
                yield cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def _touch(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which rectangles overlap which; bool (some, others)."""
    a, b = some[:, None], others[None]
    across = (a[..., 0] < b[..., 2]) & (a[..., 2] > b[..., 0])
    return across & (a[..., 1] < b[..., 3]) & (a[..., 3] > b[..., 1])
