"""What one step of alignment sees: images of one source, their captions and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terralogue.datasets.bands import Band
from terralogue.vlm.align_augment import augment, relight, roughen
from terralogue.vlm.align_config import AlignConfig
from terralogue.vlm.align_data import Source, to_float
from terralogue.vlm.align_texts import JOINT
from terralogue.vlm.clip import PROMPTS

_LARGEST_ZOOM = 2.5


@dataclass(frozen=True)
class Batch:
    """What one step sees; tensors are on the device of training.

    Attributes:
        source: that it was drawn from.
        rows: of the images in the source, ascending.
        images: (n, bands, size, size), augmented.
        captions: (m) texts.
        owners: (m,) int64 index of the image that each caption belongs to.
        names: prompts, one for each label of the source.
        bands: along the second axis of `images`.
        companion: (n, 3, size, size) pictures of the same ground; None for pictures.
    """

    source: Source
    rows: NDArray[np.int64]
    images: Tensor
    captions: list[str]
    owners: Tensor
    names: list[str]
    bands: tuple[Band, ...]
    companion: Tensor | None


class Stock:
    """Pixels of the sources where they are augmented: in the memory of an accelerator, or mapped.

    Args:
        sources: to draw from.
        device: of training.
    """

    def __init__(self, sources: Sequence[Source], device: torch.device) -> None:
        self.device = device
        self._resident: dict[tuple[str, str], Tensor] = {}
        if device.type == "cpu":
            return
        for source in sources:
            for kind, pixels in (("pixels", source.pixels), ("companion", source.companion)):
                if pixels is not None:
                    held = torch.from_numpy(np.array(pixels)).to(device)
                    self._resident[source.name, kind] = held

    def take(self, source: Source, kind: str, rows: NDArray[np.int64]) -> Tensor:
        """The `pixels` or the `companion` of some rows, float32 in about -1 to 1."""
        held = self._resident.get((source.name, kind))
        if held is None:
            return to_float(getattr(source, kind)[rows])
        chosen = held[torch.from_numpy(rows).to(self.device)]
        return chosen.float() / 127.5 - 1 if held.dtype == torch.uint8 else chosen.float()


def draw(source: Source, config: AlignConfig, rng: np.random.Generator, stock: Stock) -> Batch:
    """Draw a batch of one source: augmented images, captions, and prompts for all its labels."""
    large = config.batch if source.companion is None else config.batch // 2
    rows = np.sort(rng.choice(len(source), min(large, len(source)), replace=False))
    # Small chips hold no detail that a larger input would show.
    size = min(int(rng.choice(config.sizes)), int(_LARGEST_ZOOM * source.pixels.shape[-1]))
    planes, bands = stock.take(source, "pixels", rows), source.bands
    companion = None
    if source.companion is not None:
        # Band dropout: any subset is a sensor that somebody has.
        kept = np.flatnonzero(rng.random(len(bands)) < rng.uniform(0.3, 1.3))
        kept = kept if len(kept) else np.array([rng.integers(len(bands))])
        other = stock.take(source, "companion", rows)
        # Both go through the same crop and turn; the light of the companion is left as it is.
        both = augment(torch.cat([planes[:, kept], other], 1), size, rng, strong=config.strong)
        planes, companion = both[:, : len(kept)], both[:, len(kept) :]
        bands = tuple(bands[i] for i in kept)
    else:
        planes = augment(planes, size, rng, strong=config.strong)
        planes = roughen(planes, rng) if config.strong else planes
    images = relight(planes, bands, rng).contiguous(memory_format=torch.channels_last)
    texts, owners = [], []
    for i, row in enumerate(rows):
        own = source.captions[row]
        for choice in rng.permutation(len(own))[: config.captions]:
            text = own[choice]
            if len(own) > 1 and rng.random() < 0.15:
                text = f"{text}{JOINT}{own[rng.integers(len(own))]}"
            texts.append(text)
            owners.append(i)
    places = torch.tensor(owners, dtype=torch.long).to(images.device)
    names = [PROMPTS[rng.integers(len(PROMPTS))].format(name) for name in source.label_names]
    return Batch(source, rows, images, texts, places, names, bands, companion)
