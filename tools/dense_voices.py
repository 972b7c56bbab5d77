"""Voices: dense networks that were taught in different places, asked for one target together.

Each knows what the target looks like where it was taught, and says "no" elsewhere. So the target is
where any of them is sure of it: the largest of their calibrated probabilities counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from terralogue.datasets.bands import Band
from terralogue.tools.dense_checkpoint import WEIGHTS_FOLDER, Dense, HeadFacts, read_dense


@dataclass(frozen=True)
class Voice:
    """A head of a network, and those of its classes that make up the target."""

    dense: Dense
    head: str
    classes: tuple[str, ...]

    @property
    def facts(self) -> HeadFacts:
        """What was measured of the head."""
        return self.dense.facts.heads.get(self.head, HeadFacts())

    def probability(self, images: Tensor, bands: Sequence[Band]) -> Tensor:
        """Of the target, float32 (n, H, W), of images (n, bands, H, W) as `DenseNet` takes them."""
        logits = self.dense.net.look(images, bands)[self.head]
        names = list(self.dense.net.config.heads[self.head])
        columns = [names.index(name) for name in self.classes]
        return (logits / self.facts.temperature).softmax(1)[:, columns].sum(1)


def together(voices: Sequence[Voice], images: Tensor, bands: Sequence[Band]) -> Tensor:
    """The largest of the voices' probabilities, float32 (n, H, W)."""
    return torch.stack([voice.probability(images, bands) for voice in voices]).amax(0)


@lru_cache(maxsize=4)
def load(name: str) -> Dense:
    """A checkpoint of the package by name.

    Raises:
        InputError: there is none, or it is broken.
    """
    return read_dense(WEIGHTS_FOLDER / name)
