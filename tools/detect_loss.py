"""What a detector learns from: which points are responsible for which box, and three losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from terralogue.tools.detect_model import boxes_at

# Longer sides in strides that a level is responsible for; ranges overlap, and the non-maximum
# suppression leaves one of two answers.
_SMALLEST, _LARGEST = 3.0, 9.0
# Distance from the middle of a box, in strides, up to which points answer for it.
_RADIUS: Final = 1.5
_NEAREST: Final = 0.75
_EDGE_WEIGHT: Final = 2.0


@dataclass(frozen=True)
class Truth:
    """The boxes of a batch.

    Attributes:
        boxes: float32 (n, m, 4) in pixels, filled up with zeros.
        kinds: int64 (n, m): class, -1 where filled up, -2 for a box that is neither found nor
            missed (cut by the edge of the crop, or skipped by the data).
        known: bool (n, classes): which classes are marked in the image at all.
    """

    boxes: Tensor
    kinds: Tensor
    known: Tensor


def detection_loss(
    logits: Tensor, distances: Tensor, points: Tensor, strides: Tensor, truth: Truth
) -> Tensor:
    """Quality focal loss of the scores plus GIoU loss of the boxes.

    A class that is not marked in an image is no lesson there, neither are points inside a box that
    is neither found nor missed.

    Args:
        logits: (n, points, classes).
        distances: (n, points, 4) in pixels.
        points: x and y (points, 2).
        strides: (points,).
        truth: the boxes.
    """
    owner, ignored = assign(points, strides, truth)
    positive = owner >= 0
    rows, places = positive.nonzero(as_tuple=True)
    wanted = truth.boxes[rows, owner[rows, places]]
    kinds = truth.kinds[rows, owner[rows, places]]
    made = boxes_at(points[places], distances[rows, places])
    iou, giou = _overlaps(made, wanted)
    quality = torch.zeros_like(logits)
    quality[rows, places, kinds] = iou.detach().clamp(0, 1)
    weight = truth.known[:, None, :] & ~ignored[:, :, None]
    scores = logits.sigmoid()
    focal = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    focal = focal * (quality - scores.detach()).abs().square() * weight
    count = max(float(positive.sum()), 1.0)
    fit = iou.detach().clamp(min=0.1)
    edges = ((1 - giou) * fit).sum() / fit.sum().clamp(min=1.0)
    return focal.sum() / count + _EDGE_WEIGHT * edges


def assign(points: Tensor, strides: Tensor, truth: Truth) -> tuple[Tensor, Tensor]:
    """Which box each point answers for.

    Returns:
        Index of the box, -1 for none, int64 (n, points); and bool (n, points), where nothing is to
        be learnt. Of several boxes the smallest wins.
    """
    boxes = truth.boxes[:, None]
    x, y = points[:, 0][None, :, None], points[:, 1][None, :, None]
    stride = strides[None, :, None]
    inside = (x > boxes[..., 0]) & (x < boxes[..., 2]) & (y > boxes[..., 1]) & (y < boxes[..., 3])
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    off = torch.maximum((x - middle[..., 0]).abs(), (y - middle[..., 1]).abs()) / stride
    side = (boxes[..., 2:] - boxes[..., :2]).amax(-1)
    lowest, highest = stride == strides.min(), stride == strides.max()
    fitting = (lowest | (side >= _SMALLEST * stride)) & (highest | (side <= _LARGEST * stride))
    real = (truth.kinds >= 0)[:, None]
    answers = real & fitting & ((inside & (off < _RADIUS)) | (off < _NEAREST))
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1).expand_as(answers)
    best, owner = torch.where(answers, area, torch.inf).min(2)
    owner = torch.where(best.isfinite(), owner, -1)
    ignored = (inside & (truth.kinds == -2)[:, None]).any(2) & (owner < 0)
    return owner, ignored


def _overlaps(made: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (Rezatofighi et al. 2019) of pairs of boxes (k, 4)."""
    low, high = torch.maximum(made[:, :2], wanted[:, :2]), torch.minimum(made[:, 2:], wanted[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    union = _area(made) + _area(wanted) - shared + 1e-6
    hull = torch.minimum(made[:, :2], wanted[:, :2]), torch.maximum(made[:, 2:], wanted[:, 2:])
    around = (hull[1] - hull[0]).prod(1) + 1e-6
    iou = shared / union
    return iou, iou - (around - union) / around


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).prod(1)
