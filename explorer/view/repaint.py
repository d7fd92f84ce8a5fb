"""Bringing a picture up to date: what a step changed, or what a move brought into view, and nothing else."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRect, QRectF
from PySide6.QtGui import QImage, QPainter, QRegion, QTransform

from explorer.model.frame import Frame
from explorer.view.far import within
from explorer.view.look import Look
from explorer.view.paint import BESIDE, OUT, fill_background, paint_resting

MOST = 250  # parts, beyond which everything is drawn anew


def changed(old: Frame, new: Frame, zoom: float, view: QRectF | None = None) -> np.ndarray | None:
    """The parts of the scene in which two moments of one trace look different, as (n, 4); None for all.

    Of what lies outside of `view` nothing is said.
    """
    layout = new.layout
    if old.trace is not new.trace or old.layout is not layout:
        return None
    out = max(OUT, OUT / zoom)
    seen = None if view is None else np.array([[view.left(), view.top(), view.right(), view.bottom()]])
    boxes = np.zeros(len(layout.boxes), bool)
    for name in ("state", "progress", "arrived", "sending", "updated"):
        boxes |= getattr(old, name) != getattr(new, name)
    rects = layout.rects[boxes]
    edges = np.flatnonzero((old.flowed != new.flowed) | (old.strength != new.strength))
    edges = edges[within(layout.edge_rects[edges], seen, out + BESIDE)]
    if len(edges) > MOST:
        return None
    parts = [rects[within(rects, seen, out)]]
    for k in edges.tolist():
        points = layout.edges[k].points
        parts.append(np.hstack([np.minimum(points[:-1], points[1:]), np.maximum(points[:-1], points[1:])]))
        if layout.edges[k].state_line:  # its factor is written beside it
            parts.append(np.array([[*points.min(axis=0) - BESIDE, *points.max(axis=0) + BESIDE]]))
    found = np.concatenate(parts)
    found = found[within(found, seen, out)]
    return None if len(found) > MOST else found + np.array([-out, -out, out, out])


def repaint_changes(
    image: QImage, old: Frame, new: Frame, look: Look, transform: QTransform, scratch: QImage | None = None
) -> None:
    """Bring a picture of `old` up to `new`: only what changed is drawn again."""
    everything = QRectF(QPointF(0, 0), image.deviceIndependentSize())
    parts = changed(old, new, transform.m11(), transform.inverted()[0].mapRect(everything))
    if parts is None:
        draw_all(image, new, look, transform)
        return
    region = QRegion()
    for x0, y0, x1, y1 in parts.tolist():
        region += transform.mapRect(QRectF(x0, y0, x1 - x0, y1 - y0)).toAlignedRect()
    repaint_region(image, new, look, transform, region & QRegion(everything.toAlignedRect()), scratch)


def draw_all(image: QImage, frame: Frame, look: Look, transform: QTransform) -> None:
    """Draw a whole picture."""
    everything = QRectF(QPointF(0, 0), image.deviceIndependentSize())
    painter = QPainter(image)
    fill_background(painter, everything, look.theme)
    painter.setTransform(transform)
    paint_resting(painter, frame, look, transform.inverted()[0].mapRect(everything))
    painter.end()


def repaint_region(
    image: QImage,
    frame: Frame,
    look: Look,
    transform: QTransform,
    region: QRegion,
    scratch: QImage | None = None,
) -> None:
    """Draw one region of a picture again. `scratch` is an image like it, with whatever in it."""
    if region.isEmpty():
        return
    # drawn without a clip and then copied: half a box is not sampled as a whole one is
    fresh = like(image) if scratch is None else scratch
    back = transform.inverted()[0]
    rects = _rects(region)
    inside = [back.mapRect(QRectF(rect)) for rect in rects]
    painter = QPainter(fresh)
    for rect in rects:
        fill_background(painter, QRectF(rect), look.theme)
    painter.setTransform(transform)
    paint_resting(
        painter, frame, look, np.array([[r.left(), r.top(), r.right(), r.bottom()] for r in inside])
    )
    painter.end()
    ratio = image.devicePixelRatio()
    painter = QPainter(image)
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
    for rect in rects:
        around = QRectF(rect)
        there = QRectF(
            around.x() * ratio, around.y() * ratio, around.width() * ratio, around.height() * ratio
        )
        painter.drawImage(around, fresh, there)
    painter.end()


def like(image: QImage) -> QImage:
    """Another image of that size."""
    other = QImage(image.size(), image.format())
    other.setDevicePixelRatio(image.devicePixelRatio())
    return other


def shifted(
    image: QImage,
    frame: Frame,
    look: Look,
    before: QTransform,
    transform: QTransform,
    scratch: QImage | None = None,
) -> QImage | None:
    """The picture after a move by whole pixels, with what came into view drawn; None after any other.

    It is written into `scratch`, and the old one is no longer what it was.
    """
    ratio, size = image.devicePixelRatio(), image.deviceIndependentSize()
    dx, dy = transform.m31() - before.m31(), transform.m32() - before.m32()
    whole = all(abs(d * ratio - round(d * ratio)) < 1e-6 for d in (dx, dy))
    same = before.m11() == transform.m11() and before.m22() == transform.m22()
    if not (whole and same) or abs(dx) >= size.width() or abs(dy) >= size.height():
        return None
    moved = like(image) if scratch is None else scratch
    painter = QPainter(moved)
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
    painter.drawImage(QPointF(dx, dy), image)
    painter.end()
    everything = QRect(0, 0, round(size.width()), round(size.height()))
    kept = QRectF(dx, dy, size.width(), size.height()).toRect().adjusted(1, 1, -1, -1)
    repaint_region(moved, frame, look, transform, QRegion(everything) - QRegion(kept), image)
    return moved


def _rects(region: QRegion) -> list[QRect]:
    return [region.boundingRect()] if region.rectCount() > MOST else list(region)  # type: ignore[call-overload]
