"""Losses of alignment: contrast with soft positives, and classification by prompts."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

# Captions closer than this say the same thing in other words ("there is a piece of farmland",
# "it is a piece of cropland"); looked up in pairs of RSICD captions of frozen MiniLM.
SAME_MEANING = 0.92
# Land cover that overlaps by more than this is the same scene to anybody.
SAME_COVER = 0.85


def soft_targets(
    captions: Tensor, owners: Tensor, fractions: Tensor | None = None, share: float = 0.5
) -> Tensor:
    """Which captions go with which images, as distributions.

    Args:
        captions: (m, d) frozen, L2-normalised embeddings of the batch's captions.
        owners: (m,) index of the image that each caption belongs to; each image has one or more.
        fractions: (n, classes) land-cover shares of the images; None where unknown.
        share: weight of a near-duplicate beside the caption's own image.

    Returns:
        (n, m), not normalised: 1 for an image's own captions, up to `share` for those of other
        images that mean the same.
    """
    n = int(owners.max()) + 1
    own = F.one_hot(owners, n).T.float()
    near = ((captions @ captions.T - SAME_MEANING) / (1 - SAME_MEANING)).clamp(0, 1)
    # A caption suits an image as well as it resembles the best of the image's own.
    rows = owners[:, None].expand_as(near)
    like = near.new_zeros(n, len(owners)).scatter_reduce(0, rows, near, "amax")
    if fractions is not None:
        overlap = torch.minimum(fractions[:, None], fractions[None]).sum(-1)
        cover = ((overlap - SAME_COVER) / (1 - SAME_COVER)).clamp(0, 1)
        like = torch.maximum(like, cover[:, owners])
    return torch.maximum(own, share * like)


def contrast(images: Tensor, texts: Tensor, targets: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE (CLIP, Radford et al. 2021) against soft targets.

    Args:
        images: (n, d), L2-normalised.
        texts: (m, d), L2-normalised.
        targets: (n, m) from `soft_targets`.
        scale: inverse temperature.

    Returns:
        The mean of both directions' cross entropies.
    """
    logits = scale * images @ texts.T
    rows = targets / targets.sum(1, keepdim=True)
    columns = targets / targets.sum(0, keepdim=True)
    by_image = -(rows * logits.log_softmax(1)).sum(1).mean()
    by_text = -(columns * logits.log_softmax(0)).sum(0).mean()
    return (by_image + by_text) / 2


def prompted(images: Tensor, labels: Tensor, names: Tensor, scale: Tensor) -> Tensor:
    """Cross entropy of images (n, d) over embedded label names (classes, d)."""
    return F.cross_entropy(scale * images @ names.T, labels, label_smoothing=0.05)


def distil(images: Tensor, texts: Tensor, teacher: Tensor, scale: Tensor) -> Tensor:
    """Divergence of the batch's image-text similarities from a teacher's (n, m) logits."""
    logits = (scale * images @ texts.T).log_softmax(1)
    return F.kl_div(logits, teacher.log_softmax(1), reduction="batchmean", log_target=True)
