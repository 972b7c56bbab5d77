"""The model that comes inside the package: `load_geoclip("embedded")`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.tiles import TILE
from terralogue.vlm.checkpoint import Checkpoint, read_checkpoint
from terralogue.vlm.clip import GeoCLIP
from terralogue.vlm.text import PROJECTION, TextEncoder
from terralogue.vlm.tower import ImageTower, TowerConfig

FOLDER: Final = Path(__file__).parent / "weights" / "align"
"""The checkpoint in the package."""
# Small enough for the caches of a CPU: a third quicker than 64.
_BATCH = 16

Floats = NDArray[np.float32]


class EmbeddedCLIP(GeoCLIP):
    """Our own image tower and MiniLM with adapters.

    Args:
        checkpoint: both towers.
        name: for people.
        device: of torch.
    """

    def __init__(self, checkpoint: Checkpoint, name: str, device: str = "cpu") -> None:
        self.name = name
        self.fingerprint = checkpoint.fingerprint
        self.dimensions = checkpoint.tower.config.dimensions
        self.seen_labels = checkpoint.labels
        self.label_scale = checkpoint.scales[1]
        self.tower = checkpoint.tower.to(device)
        self._device = device
        self._tensors = checkpoint.text

    @cached_property
    def text(self) -> TextEncoder:
        """The aligned text tower, read when it is first wanted."""
        return TextEncoder.from_tensors({k: v.numpy() for k, v in self._tensors.items()})

    def encode_text(self, texts: Sequence[str]) -> Floats:
        """Embed texts; see `GeoCLIP`."""
        return self.text.encode(texts)

    def encode_tiles(self, data: Floats, bands: tuple[Band, ...]) -> Floats:
        """Embed tiles; see `GeoCLIP`."""
        with torch.inference_mode():
            features = torch.from_numpy(self.tile_features(data, bands)).to(self._device)
            return np.asarray(self.tower.head(features).cpu().numpy(), np.float32)

    def tile_features(self, data: Floats, bands: tuple[Band, ...]) -> Floats:
        """Features of tiles, (n, 1280); see `GeoCLIP`. Small tiles are enlarged to TILE pixels."""
        parts = []
        with torch.inference_mode():
            for start in range(0, len(data), _BATCH):
                images = torch.from_numpy(np.ascontiguousarray(data[start : start + _BATCH]))
                images = _fitted(images.to(self._device))
                parts.append(self.tower.features(images, bands).float().cpu().numpy())
        return np.concatenate(parts)


def _fitted(images: torch.Tensor) -> torch.Tensor:
    """Bring the longer side to TILE pixels, the size that the tower was tuned at."""
    height, width = images.shape[-2:]
    factor = TILE / max(height, width)
    # The trunk halves the image five times.
    shape = (max(32, round(height * factor)), max(32, round(width * factor)))
    if shape != (height, width):
        images = F.interpolate(images, shape, mode="bilinear", antialias=True)
    return images.contiguous(memory_format=torch.channels_last)


def load(folder: str, device: str) -> EmbeddedCLIP:
    """Load the package's checkpoint, or the one in a folder.

    Raises:
        InputError: there is no checkpoint, or it is broken.
    """
    path = Path(folder) if folder else FOLDER
    if not path.is_dir():
        raise InputError(f"there is no checkpoint {path}; name a folder that training wrote")
    return EmbeddedCLIP(
        read_checkpoint(path), f"embedded:{folder}" if folder else "embedded", device
    )


def untrained(seed: int) -> EmbeddedCLIP:
    """Random weights in the embedded architecture."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tower = ImageTower(TowerConfig(hidden=32)).eval()
        # Zeros, as training begins with, would hide mistakes with the bands.
        torch.nn.init.normal_(tower.stem.to_kernel.weight, std=0.02)
    dimensions = tower.config.dimensions
    text = {
        f"{PROJECTION}.weight": torch.eye(dimensions),
        f"{PROJECTION}.bias": torch.zeros(dimensions),
    }
    checkpoint = Checkpoint(tower, text, (14.0, 14.0), frozenset(), f"{seed:016x}")
    return EmbeddedCLIP(checkpoint, "tiny")
