"""Validation during alignment: mean recall on captions, accuracy by prompts on labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from terralogue.vlm.align_data import Source, to_float
from terralogue.vlm.clip import PROMPTS
from terralogue.vlm.text_training import TextTower, embed_all
from terralogue.vlm.tower import ImageTower

Floats = NDArray[np.float32]
_BATCH = 256


def mean_recall(images: Floats, texts: Floats, owners: NDArray[np.int64]) -> float:
    """Mean of recall at 1, 5 and 10 in both directions, per cent.

    Args:
        images: (n, d), L2-normalised.
        texts: (m, d), L2-normalised.
        owners: (m,) index of the image that each text describes.
    """
    similar = images @ texts.T
    own = similar[owners, np.arange(len(owners))]
    by_text = (similar > own).sum(0)
    best = np.full(len(images), -np.inf, np.float32)
    np.maximum.at(best, owners, own)
    by_image = (similar > best[:, None]).sum(1)
    ranks = [(by_image < k).mean() for k in (1, 5, 10)] + [(by_text < k).mean() for k in (1, 5, 10)]
    return float(100 * np.mean(ranks))


@torch.no_grad()
def embed_source(tower: ImageTower, source: Source, size: int) -> Tensor:
    """Embed all images of a source at one input size: (n, d)."""
    parts = []
    for start in range(0, len(source), _BATCH):
        images = to_float(source.pixels[start : start + _BATCH])
        images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
        parts.append(tower(images.to(memory_format=torch.channels_last), source.bands))
    return torch.cat(parts)


@torch.no_grad()
def label_vectors(text: TextTower, names: Sequence[str]) -> Tensor:
    """Mean embedding of each label over all prompts: (classes, d)."""
    rows = embed_all(text, [prompt.format(name) for name in names for prompt in PROMPTS])
    return F.normalize(rows.view(len(names), len(PROMPTS), -1).mean(1), dim=-1)


def validate(
    tower: ImageTower, text: TextTower, sources: Sequence[Source], size: int = 160
) -> dict[str, float]:
    """Per cent: `<source>_recall` where there are captions, `<source>_accuracy` of labels."""
    scores = {}
    for source in sources:
        vectors = embed_source(tower, source, size).float()
        owners = np.array([i for i, texts in enumerate(source.captions) for _ in texts])
        if len(owners):
            texts = embed_all(text, [t for own in source.captions for t in own]).float()
            scores[f"{source.name}_recall"] = mean_recall(vectors.numpy(), texts.numpy(), owners)
        if source.label_names:
            best = (vectors @ label_vectors(text, source.label_names).float().T).argmax(1)
            right = best.numpy()[source.labels >= 0] == source.labels[source.labels >= 0]
            scores[f"{source.name}_accuracy"] = float(100 * right.mean())
    return scores
