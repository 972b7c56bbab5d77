"""The decoder that points: pyramid of the image tower + a text embedding → where it is.

    decoder = read_decoder(FOLDER).decoder
    features = decoder.fuse(tower.pyramid(images, bands))        # (n, 48, H/4, W/4), once an image
    decoder.point(features, texts)                               # logits (n, k, H/4, W/4)

A feature pyramid network (Lin et al. 2017, arXiv 1612.03144) over the frozen tower, read by
feature-wise modulation (FiLM, Perez et al. 2018, arXiv 1709.07871) and a dot product with the text.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from terralogue.vlm.tower import ImageTower
from terralogue.vlm.weight_files import read_weights, write_weights

FOLDER: Final = Path(__file__).parent / "weights" / "refer"
"""The decoder in the package."""
WEIGHTS: Final = "refer.safetensors"
STRIDE: Final = 4
"""Pixels of the image along a pixel of the decoder."""


@dataclass(frozen=True)
class DecoderConfig:
    """What is needed to build the decoder before its weights are loaded.

    Attributes:
        channels: of the tower's levels at strides 4, 8, 16 and 32.
        text: dimensions of text embeddings.
        width: channels at strides 8 to 32.
        fine: channels at stride 4.
    """

    channels: tuple[int, int, int, int] = (24, 40, 112, 320)
    text: int = 384
    width: int = 96
    fine: int = 48


@dataclass(frozen=True)
class Calibration:
    """Numbers chosen on validation data.

    Attributes:
        threshold: probability from which a pixel belongs to the mask.
        peak: probability that a part has to reach somewhere.
        scale: of the logit of a part, see `Referred.score`.
        shift: added to it.
    """

    threshold: float = 0.5
    peak: float = 0.6
    scale: float = 1.0
    shift: float = 0.0

    def score(self, strength: float) -> float:
        """Probability that parts of a mean probability are what was named and where they are."""
        share = min(max(strength, 1e-4), 1 - 1e-4)
        logit = self.scale * math.log(share / (1 - share)) + self.shift
        return 1 / (1 + math.exp(-logit))


class ReferringDecoder(nn.Module):
    """Where in an image is what a text says, at a quarter of its resolution."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        fine, *coarse = config.channels
        self.lateral = nn.ModuleList(nn.Conv2d(n, config.width, 1) for n in coarse)
        self.blocks = nn.ModuleList(_block(config.width) for _ in coarse)
        self.context = nn.Linear(coarse[-1], config.width)
        self.narrow = nn.Conv2d(config.width, config.fine, 1)
        self.lateral_fine = nn.Conv2d(fine, config.fine, 1)
        self.block_fine = _block(config.fine)
        self.read = nn.Sequential(nn.Linear(config.text, 256), nn.GELU())
        self.film = nn.Linear(256, 2 * config.fine)
        self.spread = nn.Conv2d(config.fine, config.fine, 3, padding=1, groups=config.fine)
        self.weigh = nn.Linear(256, config.fine + 1)

    def fuse(self, levels: Sequence[Tensor]) -> Tensor:
        """Merge a pyramid (strides 2 or 4 to 32) into (n, fine, H/4, W/4)."""
        fine, *coarse = levels[-4:]
        # What the image shows as a whole.
        x = self.context(coarse[-1].mean((2, 3)))[:, :, None, None]
        for level, lateral, block in reversed(
            list(zip(coarse, self.lateral, self.blocks, strict=True))
        ):
            x = block(lateral(level) + F.interpolate(x, level.shape[-2:], mode="nearest"))
        x = F.interpolate(self.narrow(x), fine.shape[-2:], mode="bilinear")
        merged: Tensor = self.block_fine(self.lateral_fine(fine) + x)
        return merged

    def point(self, features: Tensor, texts: Tensor) -> Tensor:
        """Say where texts are.

        Args:
            features: (n, fine, h, w) of `fuse`.
            texts: embeddings (n, k, text) of k texts for each image.

        Returns:
            Logits (n, k, h, w).
        """
        n, k = texts.shape[:2]
        meaning = self.read(texts)
        gain, lift = self.film(meaning)[..., None, None].chunk(2, dim=2)
        x = features[:, None] * (1 + gain) + lift
        x = F.gelu(x.flatten(0, 1))
        x = F.gelu(x + self.spread(x))
        x = x.view(n, k, *x.shape[1:])
        weight = self.weigh(meaning)
        logits: Tensor = torch.einsum("nkchw,nkc->nkhw", x, weight[..., :-1])
        logits = logits / self.config.fine**0.5 + weight[..., -1, None, None]
        return logits


def _block(width: int) -> nn.Module:
    return _Residual(
        nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
    )


class _Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """Add what the inner layers find, then bend."""
        return F.gelu(x + self.inner(x))


@dataclass(frozen=True)
class Trained:
    """What a folder with a decoder holds.

    Attributes:
        decoder: in evaluation mode, float32.
        calibration: chosen for it.
        tower: what `towers_of` says of the image tower that it was trained on.
        fingerprint: first 16 hex digits of the SHA-256 of the weights file.
    """

    decoder: ReferringDecoder
    calibration: Calibration
    tower: str
    fingerprint: str


def towers_of(tower: ImageTower) -> str:
    """What a decoder depends on: 16 hex digits of the trunk and its kernels for pictures.

    How further bands are read may be learned anew without harm.
    """
    tensors = {"stem": tower.stem.weight, **tower.trunk.state_dict()}
    digest = hashlib.sha256()
    for name in sorted(tensors):
        # Batch norms count in integers.
        value = tensors[name].detach().cpu().float().half().contiguous()
        digest.update(name.encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()[:16]


def write_decoder(
    folder: Path, decoder: ReferringDecoder, calibration: Calibration, tower: str
) -> None:
    """Write a decoder in half precision; each file appears whole or not at all."""
    tensors = {
        name: value.detach().contiguous().half()
        for name, value in decoder.state_dict().items()
        if value.is_floating_point()
    }
    settings = {
        "decoder": asdict(decoder.config), "calibration": asdict(calibration), "tower": tower,
    }  # fmt: skip
    write_weights(folder, WEIGHTS, tensors, settings)


def _understood(known: dict[str, Any]) -> tuple[DecoderConfig, Calibration, str]:
    config = DecoderConfig(**{**known["decoder"], "channels": tuple(known["decoder"]["channels"])})
    return config, Calibration(**known["calibration"]), str(known["tower"])


def read_decoder(folder: Path = FOLDER) -> Trained:
    """Read a decoder and check it against the SHA-256 in its configuration.

    Raises:
        InputError: a file is missing or broken, or the weights are not those of the configuration.
    """
    (config, calibration, tower), tensors, digest = read_weights(folder, WEIGHTS, _understood)
    decoder = ReferringDecoder(config)
    # Counters of batch norms are not kept.
    decoder.load_state_dict(decoder.state_dict() | tensors)
    return Trained(decoder.eval(), calibration, tower, digest[:16])
