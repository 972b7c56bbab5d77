"""How well found boxes meet the right ones: matches, average precision, F1. Needs numpy alone.

Boxes of one class are matched as COCO and PASCAL VOC do: from the most probable on, each takes the
free right box that it overlaps most, if by at least the IoU asked for. Average precision is the
mean of the precision at 101 recalls (Lin et al. 2014, arXiv 1405.0312).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Matches:
    """The found boxes of one class in one or more pictures.

    Attributes:
        scores: of the found boxes that count, highest first.
        right: bool, whether each met a right box.
        picture: index of its picture.
        wanted: how many right boxes each picture has.
    """

    scores: Floats
    right: NDArray[np.bool_]
    picture: NDArray[np.int64]
    wanted: NDArray[np.int64]


def overlaps(a: Floats, b: Floats) -> Floats:
    """Intersection over union of all pairs of boxes (n, 4) and (m, 4): (n, m)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    union = _area(a)[:, None] + _area(b)[None] - shared
    return np.asarray(shared / np.maximum(union, 1e-9))


def _area(boxes: Floats) -> Floats:
    return np.asarray(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1))


def match(
    found: Floats, scores: Floats, wanted: Floats, skipped: NDArray[np.bool_], iou: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Match the boxes of one class in one picture.

    Args:
        found: (n, 4).
        scores: (n,).
        wanted: (m, 4).
        skipped: (m,), boxes that are neither found nor missed.
        iou: least overlap.

    Returns:
        Whether each found box is right, and whether it counts at all, bool (n,) each.
    """
    right, counts = np.zeros(len(found), np.bool_), np.ones(len(found), np.bool_)
    if not len(wanted):
        return right, counts
    table = overlaps(found, wanted)
    free = ~skipped
    for i in np.argsort(-scores, kind="stable"):
        own = np.where(free, table[i], -1.0)
        best = int(own.argmax())
        if own[best] >= iou:
            right[i], free[best] = True, False
        elif (table[i][skipped] >= iou).any():
            counts[i] = False
    return right, counts


def collect(
    pictures: Sequence[tuple[Floats, Floats, Floats, NDArray[np.bool_]]], iou: float
) -> Matches:
    """Match the boxes of one class in several pictures; each is found, scores, wanted, skipped."""
    scores, right, picture = [], [], []
    for i, (found, own, wanted, skipped) in enumerate(pictures):
        met, counts = match(found, own, wanted, skipped, iou)
        scores.append(own[counts])
        right.append(met[counts])
        picture.append(np.full(int(counts.sum()), i))
    joined = np.concatenate(scores) if scores else np.zeros(0)
    order = np.argsort(-joined, kind="stable")
    total = np.array([int((~skipped).sum()) for *_, skipped in pictures], np.int64)
    return Matches(
        joined[order],
        np.concatenate(right)[order] if right else np.zeros(0, np.bool_),
        np.concatenate(picture)[order] if picture else np.zeros(0, np.int64),
        total,
    )


def average_precision(matches: Matches, weights: Floats | None = None) -> float | None:
    """Average precision; None where there is nothing to be found.

    Args:
        matches: of one class.
        weights: how often each picture counts, for a bootstrap.
    """
    if weights is None:
        weights = np.ones(len(matches.wanted))
    total = float(weights @ matches.wanted)
    if not total:
        return None
    weight = weights[matches.picture]
    hits = np.cumsum(weight * matches.right)
    recall = hits / total
    precision = hits / np.maximum(np.cumsum(weight), 1e-9)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, np.linspace(0, 1, 101) - 1e-9, side="left")
    return float(np.append(precision, 0.0)[place].mean())


def f1_at(matches: Matches, threshold: float, weights: Floats | None = None) -> float | None:
    """F1 of the boxes that reach a score; None where nothing is there and nothing was found."""
    if weights is None:
        weights = np.ones(len(matches.wanted))
    weight = weights[matches.picture] * (matches.scores >= threshold)
    both = float(weight.sum() + weights @ matches.wanted)
    return None if not both else float(2 * (weight * matches.right).sum() / both)


def best_threshold(matches: Matches) -> float:
    """The score from which boxes give the highest F1; 0.5 where nothing was found."""
    if not len(matches.scores):
        return 0.5
    hits = np.cumsum(matches.right)
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + matches.wanted.sum())
    best = int(f1.argmax())
    below = matches.scores[best + 1] if best + 1 < len(hits) else 0.0
    # Between two boxes, so that another run's rounding does not turn the decision.
    return float((matches.scores[best] + below) / 2)
