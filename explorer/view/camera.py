"""A camera that follows the steps: where to look at any moment, when the whole is too small to read.

Used by the canvas and by films. It depends on trace, layout and sizes alone, so that a moment looks the same
whichever way it was reached.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QRect, QRectF

from autograd import Trace
from explorer.model.layout import Layout
from explorer.view.paint import fit

LEGIBLE = 0.45  # below this zoom the camera follows the steps instead of showing everything
GLIDE = 1.0  # seconds that it takes from one place to the next
MARGIN, INSET = 18.0, 3.0  # pixels around the picture, and around the overview


@dataclass(frozen=True)
class Shot:
    """A stretch of steps during which the camera rests at one place."""

    first: int
    last: int  # the step after the last one
    x: float
    y: float


class Camera:
    """Where to look at any t: everything when that is legible, else it follows the steps.

    It rests while the boxes of the steps fit into the view and glides to the next place in between. What it
    sees depends on trace, layout and sizes alone, never on where it was before.
    """

    def __init__(
        self, trace: Trace, layout: Layout, width: int, height: int, seconds_per_step: float = 0.5
    ) -> None:
        self.width, self.height = width, height
        x0, y0, x1, y1 = layout.bounds
        self.rect = QRectF(x0, y0, x1 - x0, y1 - y0)
        margin = min(MARGIN, width / 16)
        whole = fit(self.rect, width, height, margin=margin).m11()
        self.follows = whole < LEGIBLE
        self.zoom = whole
        self.inset = QRectF()
        self.shots: tuple[Shot, ...] = (Shot(0, trace.end, self.rect.center().x(), self.rect.center().y()),)
        self.top = 0.0
        self._glide = GLIDE / seconds_per_step
        if self.follows:
            self._frame_the_steps(trace, layout)

    def _frame_the_steps(self, trace: Trace, layout: Layout) -> None:
        w, h = overview_size(self.rect, self.width, self.height)
        gap = max(4.0, 0.012 * self.height)
        w, h = w + 2 * INSET, h + 2 * INSET
        self.inset = QRectF(self.width - w - gap, gap, w, h)
        self.top = h + 2 * gap  # the overview has a band of its own, so that it hides nothing
        tall = (self.height - self.top - MARGIN) / self.rect.height()
        self.zoom = min(max(tall, 0.7 * min(self.height / 540, 1.0), LEGIBLE), 1.0)
        self.shots = tuple(self._shots(trace, layout))

    @property
    def _view(self) -> tuple[float, float]:
        """Width and height of what is seen below the overview, in scene coordinates."""
        return self.width / self.zoom, (self.height - self.top) / self.zoom

    def _shots(self, trace: Trace, layout: Layout) -> Iterator[Shot]:
        view_w, view_h = self._view
        around = _surroundings(layout, 0.4 * view_w, 0.4 * view_h)
        first, held = 0, (0.0, 0.0, 0.0, 0.0)
        for k, step in enumerate(trace.steps):
            rect = around[step.node]
            x0, y0, x1, y1 = rect
            union = (min(held[0], x0), min(held[1], y0), max(held[2], x1), max(held[3], y1)) if k else rect
            if union[2] - union[0] > 0.9 * view_w or union[3] - union[1] > max(0.9 * view_h, y1 - y0):
                yield self._shot(first, k, held)
                first, held = k, rect
            else:
                held = union
        yield self._shot(first, trace.end, held)

    def _shot(self, first: int, last: int, held: tuple[float, float, float, float]) -> Shot:
        view_w, view_h = self._view
        margin = MARGIN / self.zoom

        def clamp(x: float, low: float, high: float, view: float) -> float:
            low, high = low - margin + view / 2, high + margin - view / 2
            return (low + high) / 2 if low > high else min(max(x, low), high)

        x = clamp((held[0] + held[2]) / 2, self.rect.left(), self.rect.right(), view_w)
        y = clamp((held[1] + held[3]) / 2, self.rect.top(), self.rect.bottom(), view_h)
        return Shot(first, last, x, y)

    def centre(self, t: float) -> tuple[float, float]:
        """The point in the middle of the view."""
        # only the glides to the shot at t and to the next one can be under way
        now = max(bisect_right(self.shots, t, key=lambda shot: shot.first) - 2, 0)
        near = self.shots[now : now + 3]
        x, y = near[0].x, near[0].y
        for a, b in itertools.pairwise(near):
            half = min(self._glide, a.last - a.first, b.last - b.first) / 2
            share = min(max((t - (b.first - half)) / (2 * half), 0.0), 1.0)
            share = share * share * (3 - 2 * share)
            x, y = x + (b.x - a.x) * share, y + (b.y - a.y) * share
        return x, y

    def corner(self, t: float) -> tuple[int, int]:
        """The picture's top left corner in whole pixels of the zoomed scene, so that text stays crisp."""
        x, y = self.centre(t)
        view_h = self.height - self.top
        return round(x * self.zoom - self.width / 2), round(y * self.zoom - view_h / 2 - self.top)

    def view(self, t: float) -> QRectF:
        """What is seen at t, in scene coordinates."""
        x, y = self.corner(t)
        z = self.zoom
        return QRectF(x / z, (y + self.top) / z, self.width / z, (self.height - self.top) / z)

    def reach(self, step: int) -> QRect:
        """Everything that is seen during one step, in pixels of the zoomed scene."""
        corners = [self.corner(step + k / 8) for k in range(9)]
        left, top = min(x for x, _ in corners), min(y for _, y in corners)
        right, bottom = max(x for x, _ in corners), max(y for _, y in corners)
        return QRect(left - 1, top - 1, right - left + self.width + 2, bottom - top + self.height + 2)


def _surroundings(layout: Layout, reach_x: float, reach_y: float) -> list[tuple[float, float, float, float]]:
    """For each node x0, y0, x1, y1 of its box together with the boxes near it that its inputs come from."""
    own = np.array([layout.box_of_node[node] for node in range(len(layout.box_of_node))])
    around = layout.rects[own]
    edges = layout.edges
    consumers = edges.members[:, 0]
    sources = np.repeat(edges.sources, np.diff(edges.member_starts))
    off = np.abs(layout.boxes.centres[sources, :2] - layout.boxes.centres[own[consumers], :2])
    near = (off[:, 0] < reach_x) & (off[:, 1] < reach_y)
    for corner, pick in ((0, np.minimum), (1, np.minimum), (2, np.maximum), (3, np.maximum)):
        column = around[:, corner].copy()
        pick.at(column, consumers[near], layout.rects[sources[near], corner])
        around[:, corner] = column
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in around.tolist()]


def overview_size(whole: QRectF, width: float, height: float) -> tuple[float, float]:
    """How large the small picture of the whole is on a surface."""
    scale = min(0.16 * height / whole.height(), 0.36 * width / whole.width())
    return whole.width() * scale, whole.height() * scale
