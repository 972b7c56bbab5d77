"""A decoder on a pretrained encoder, as PANGAEA trains them: UPerNet over frozen features.

    net = backbone_net("torchgeo:dofa_base_patch16_224", {"water": ("other", "water")})
    logits = net(images, bands, "water")              # (n, 2, H, W)

PANGAEA (arXiv 2412.04204) keeps the encoder as it was published and trains a UPerNet (Xiao et al.
2018, arXiv 1807.10221) with 512 channels on four of its feature maps. Maps of a plain transformer,
which are all of one size, are first brought to four, 2 powers of 2 apart, as in BEiT (arXiv
2106.08254).

The network stands in for a `DenseNet`: `terralogue train dense` trains either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from terralogue.datasets.bands import Band
from terralogue.datasets.tiles import DB_RANGE, WHITE_REFLECTANCE
from terralogue.tools.backbone_loading import LoadedBackbone, load_backbone
from terralogue.tools.dense_model import DenseConfig, DenseNet

CHANNELS: Final = 512
_POOLED: Final = (1, 2, 3, 6)  # cells a side of the pooled pyramid (Zhao et al. 2017)
_STRIDE: Final = 4  # pixels of the image to one of the features
_PICTURES: Final = "rgb_aerial"


@dataclass(frozen=True)
class BackboneConfig(DenseConfig):
    """What is needed to build the network again.

    Attributes:
        backbone: what `load_backbone` takes.
        channels: of the decoder.
        frozen: the encoder stays as published, and is not among the weights.
    """

    backbone: str = ""
    channels: int = CHANNELS
    frozen: bool = True


class UPerNet(nn.Module):
    """Four feature maps, shallow to deep → one (n, channels, h, w) at the size of the first.

    Args:
        inside: channels of the maps.
        channels: of the result.
        flat: the maps are all of one size, and are brought to four sizes first.
    """

    def __init__(self, inside: Sequence[int], channels: int, *, flat: bool) -> None:
        super().__init__()
        self.sizes = nn.ModuleList(_sizes(inside)) if flat else None
        self.pooled = nn.ModuleList(_unit(inside[-1], channels, 1) for _ in _POOLED)
        self.deepest = _unit(inside[-1] + len(_POOLED) * channels, channels)
        self.lateral = nn.ModuleList(_unit(each, channels, 1) for each in inside[:-1])
        self.smooth = nn.ModuleList(_unit(channels, channels) for _ in inside[:-1])
        self.merge = _unit(len(inside) * channels, channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Merge the maps."""
        if self.sizes is not None:
            maps = [size(each) for size, each in zip(self.sizes, maps, strict=True)]
        levels = [unit(each) for unit, each in zip(self.lateral, maps[:-1], strict=True)]
        levels.append(self._context(maps[-1]))
        for i in range(len(levels) - 1, 0, -1):
            levels[i - 1] = levels[i - 1] + _resize(levels[i], levels[i - 1])
        smooth = [unit(each) for unit, each in zip(self.smooth, levels[:-1], strict=True)]
        merged = [_resize(each, smooth[0]) for each in (*smooth, levels[-1])]
        result: Tensor = self.merge(torch.cat(merged, 1))
        return result

    def _context(self, deepest: Tensor) -> Tensor:
        seen = [deepest]
        for unit, cells in zip(self.pooled, _POOLED, strict=True):
            seen.append(_resize(unit(F.adaptive_avg_pool2d(deepest, cells)), deepest))
        result: Tensor = self.deepest(torch.cat(seen, 1))
        return result


class _Shared:
    """A frozen encoder: no state dict, optimiser or average of weights looks here."""

    def __init__(self, backbone: LoadedBackbone) -> None:
        self.backbone = backbone.eval().requires_grad_(False)

    def __deepcopy__(self, memo: Any) -> _Shared:
        return self


class BackboneNet(DenseNet):
    """A pretrained encoder, a UPerNet, and one 1 x 1 convolution per head.

    Args:
        config: what to build.
        backbone: that `config` names, with its weights.
    """

    def __init__(self, config: BackboneConfig, backbone: LoadedBackbone) -> None:
        # Nothing of a DenseNet is built but its heads.
        nn.Module.__init__(self)
        self.config = config
        self._shared = _Shared(backbone) if config.frozen else None
        if not config.frozen:
            self.trained = backbone
        flat = len(set(backbone.channels)) == 1
        self.decoder = UPerNet(backbone.channels, config.channels, flat=flat)
        self.dropout = nn.Dropout2d(0.1)
        self.heads = nn.ModuleDict(
            {
                name: nn.Conv2d(config.channels, len(classes), 1)
                for name, classes in config.heads.items()
            }
        )

    @property
    def encoder(self) -> list[nn.Module]:
        """The parts that were pretrained, and are trained on."""
        return [self.trained] if self._shared is None else []

    def features(self, images: Tensor, bands: Sequence[Band]) -> Tensor:
        """Features (n, channels, H/4, W/4) of images (n, bands, H, W) in about -1 to 1.

        Args:
            images: as `datasets.tiles.normalise` gives them; H and W are multiples of 4.
            bands: along the second axis.

        Raises:
            MissingBandError: the encoder needs a band that is not there.
        """
        backbone = self.trained if self._shared is None else self._shared.backbone
        raw = physical(images, bands, pictures=_PICTURES in backbone.row.sensors)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._shared is None):
            maps = backbone(raw, bands)
        merged: Tensor = self.decoder(maps)
        height, width = images.shape[-2:]
        size = (height // _STRIDE, width // _STRIDE)
        return F.interpolate(merged, size, mode="bilinear", align_corners=False)

    def classify(self, features: Tensor, head: str) -> Tensor:
        """Logits (n, classes, H, W) of one head, at full resolution."""
        logits: Tensor = self.heads[head](self.dropout(features))
        return F.interpolate(logits, scale_factor=_STRIDE, mode="bilinear", align_corners=False)

    def _apply(self, fn: Callable[[Any], Any], recurse: bool = True) -> Self:
        if self._shared is not None:
            self._shared.backbone._apply(fn, recurse)  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def physical(images: Tensor, bands: Sequence[Band], *, pictures: bool) -> Tensor:
    """Undo `datasets.tiles.normalise`: reflectance, dB, or 0 to 1 for pictures.

    Args:
        images: (n, bands, H, W), about -1 to 1.
        bands: along the second axis, optical or radar.
        pictures: optical numbers are those of pictures for the eye.
    """
    shares = (images + 1) / 2
    low, high = DB_RANGE
    if bands[0].kind == "sar" and all(band.kind == "sar" for band in bands):
        return shares * (high - low) + low
    bright = torch.where(shares > 1, (shares - 1).exp(), shares)
    optical = bright if pictures else bright * WHITE_REFLECTANCE
    radar = torch.tensor([band.kind == "sar" for band in bands], device=images.device)
    return torch.where(radar[:, None, None], shares * (high - low) + low, optical)


def backbone_net(
    spec: str, heads: Mapping[str, Sequence[str]], *, frozen: bool = True, channels: int = CHANNELS
) -> BackboneNet:
    """A network on a pretrained encoder, its decoder untrained.

    Args:
        spec: what `load_backbone` takes.
        heads: classes of each head, in the order of its logits.
        frozen: keep the encoder as published, as in PANGAEA.
        channels: of the decoder.

    Raises:
        InputError: the encoder is not known or not on this machine.
    """
    config = BackboneConfig(heads, backbone=spec, channels=channels, frozen=frozen)
    return BackboneNet(config, load_backbone(spec))


def restored(settings: Mapping[str, Any]) -> BackboneNet:
    """The network that the settings of a checkpoint describe, its decoder untrained.

    Args:
        settings: what `BackboneConfig.settings` gave.

    Raises:
        InputError: the encoder is not on this machine.
    """
    config = BackboneConfig(**settings)
    return BackboneNet(config, load_backbone(config.backbone))


def _sizes(inside: Sequence[int]) -> list[nn.Module]:
    """What makes maps of one size 4 and 2 times larger, leaves one, and halves one."""
    first, second = inside[0], inside[1]
    return [
        nn.Sequential(
            nn.ConvTranspose2d(first, first, 2, 2),
            nn.BatchNorm2d(first),
            nn.GELU(),
            nn.ConvTranspose2d(first, first, 2, 2),
        ),
        nn.ConvTranspose2d(second, second, 2, 2),
        nn.Identity(),
        nn.MaxPool2d(2),
    ]


def _unit(inside: int, outside: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


def _resize(image: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(image, like.shape[-2:], mode="bilinear", align_corners=False)
