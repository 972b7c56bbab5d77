"""Validation during alignment: mean recall on captions, accuracy by prompts on labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from terralogue.datasets.bands import Band
from terralogue.vlm.align_data import Source, to_float
from terralogue.vlm.align_texts import FixedText
from terralogue.vlm.clip import PROMPTS
from terralogue.vlm.text_training import TextTower, embed_all
from terralogue.vlm.tower import ImageTower

Floats = NDArray[np.float32]
_BATCH = 256


def mean_recall(images: Floats, texts: Floats, owners: NDArray[np.int64]) -> float:
    """Mean of recall at 1, 5 and 10 in both directions, per cent.

    Equal similarities, which equal captions have, count as their expectation over random order.

    Args:
        images: (n, d), L2-normalised.
        texts: (m, d), L2-normalised.
        owners: (m,) index of the image that each text describes.
    """
    similar = images @ texts.T
    own = similar[owners, np.arange(len(owners))]
    best = np.full(len(images), -np.inf, np.float32)
    np.maximum.at(best, owners, own)
    # Of each image's own captions, only the best has to be ahead of those of other images.
    others = np.where(owners[None] == np.arange(len(images))[:, None], -np.inf, similar)
    ranks = [
        _found(others > best[:, None], others == best[:, None], 1),
        _found(similar > own, similar == own, 0),
    ]
    return float(100 * np.mean(ranks))


def _found(ahead: NDArray[np.bool_], level: NDArray[np.bool_], axis: int) -> list[float]:
    """Expected recall at 1, 5 and 10 from what is ahead of, and level with, the right one."""
    above = ahead.sum(axis)
    tied = level.sum(axis) + (1 if axis == 1 else 0)
    return [float(np.clip((k - above) / tied, 0, 1).mean()) for k in (1, 5, 10)]


@torch.no_grad()
def embed_pixels(
    tower: ImageTower, pixels: NDArray[np.generic], bands: Sequence[Band], size: int
) -> Tensor:
    """Embed images (n, bands, H, W) of a source at one input size: float32 (n, d)."""
    parts = []
    device = next(tower.parameters()).device
    for start in range(0, len(pixels), _BATCH):
        images = to_float(pixels[start : start + _BATCH]).to(device)
        images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
        parts.append(tower(images.to(memory_format=torch.channels_last), bands))
    return torch.cat(parts).float().cpu()


@torch.no_grad()
def label_vectors(text: TextTower | FixedText, names: Sequence[str]) -> Tensor:
    """Mean embedding of each label over all prompts: (classes, d)."""
    rows = embed_all(text, [prompt.format(name) for name in names for prompt in PROMPTS])
    return F.normalize(rows.view(len(names), len(PROMPTS), -1).mean(1), dim=-1)


def validate(
    tower: ImageTower, text: TextTower | FixedText, sources: Sequence[Source], size: int = 160
) -> dict[str, float]:
    """Scores per cent.

    `<source>_recall` where there are captions, `<source>_accuracy` of labels by prompts, and
    `<source>_agreement` where images have companions: how many find their own among all.
    """
    scores = {}
    for source in sources:
        vectors = embed_pixels(tower, source.pixels, source.bands, size)
        if source.companion is not None:
            pictures = embed_pixels(tower, source.companion, source.companion_bands, size)
            found = (vectors @ pictures.T).argmax(1) == torch.arange(len(vectors))
            scores[f"{source.name}_agreement"] = float(100 * found.float().mean())
        owners = np.array([i for i, texts in enumerate(source.captions) for _ in texts])
        if len(owners):
            said = [caption for own in source.captions for caption in own]
            place = {caption: i for i, caption in enumerate(dict.fromkeys(said))}
            texts = embed_all(text, list(place)).numpy()[[place[caption] for caption in said]]
            scores[f"{source.name}_recall"] = mean_recall(vectors.numpy(), texts, owners)
        if source.label_names:
            best = (vectors @ label_vectors(text, source.label_names).float().T).argmax(1)
            right = best.numpy()[source.labels >= 0] == source.labels[source.labels >= 0]
            scores[f"{source.name}_accuracy"] = float(100 * right.mean())
    return scores
