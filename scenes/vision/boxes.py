"""Boxes of a detector, in plain NumPy: how much two overlap, and which of many to keep. No gradients here."""

from __future__ import annotations

import numpy as np


def corners(boxes: np.ndarray, centred: bool = False) -> np.ndarray:
    """Boxes (…, 4) as `x1, y1, x2, y2` with the smaller corner first.

    Given are two opposite corners in any order, or with `centred` the centre, width and height.
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    first, second = boxes[..., :2], boxes[..., 2:]
    if centred:
        first, second = first - second / 2, first + second / 2
    return np.concatenate([np.minimum(first, second), np.maximum(first, second)], axis=-1)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes `x1, y1, x2, y2`, broadcast over all axes but the last; 0 if empty."""
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=-1)
    area = [np.prod(box[..., 2:] - box[..., :2], axis=-1) for box in (a, b)]
    union = area[0] + area[1] - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    *,
    score: float = 0.6,
    overlap: float = 0.5,
    most: int | None = None,
    strict: bool = False,
) -> np.ndarray:
    """Non-max suppression: numbers of the boxes that are kept, best first (of equal scores the first).

    Boxes with a score below `score` are dropped. Then the best is kept and all that overlap it with an IoU of
    at least `overlap` are discarded, again and again, until none is left or `most` are kept. With `strict`,
    as in ONNX, a score must exceed `score`, and only an IoU above `overlap` discards.
    boxes (n, 4) as `x1, y1, x2, y2`, scores (n,).
    """
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > score] if strict else order[scores[order] >= score]
    kept: list[int] = []
    while order.size and (most is None or len(kept) < most):
        best, order = order[0], order[1:]
        kept.append(int(best))
        shared = iou(boxes[best], boxes[order])
        order = order[~(shared > overlap if strict else shared >= overlap)]
    return np.array(kept, dtype=np.int64)


def nms_by_class(
    boxes: np.ndarray,
    scores: np.ndarray,
    *,
    score: float = -np.inf,
    overlap: float = 0.0,
    most: int | None = None,
    centred: bool = False,
) -> np.ndarray:
    """Non-max suppression within each class alone, as ONNX's NonMaxSuppression: rows `sample, class, box`.

    boxes (samples, n, 4), two corners or with `centred` centre and size; scores (samples, classes, n); of
    each class at most `most` are kept. Boxes of different classes never discard each other.
    """
    found = [
        (sample, label, box)
        for sample, (place, table) in enumerate(zip(corners(boxes, centred), scores, strict=True))
        for label, row in enumerate(table)
        for box in nms(place, row, score=score, overlap=overlap, most=most, strict=True)
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 3)
