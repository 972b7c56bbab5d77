"""A pretrained encoder by name, from files on this machine.

    backbone = load_backbone("torchgeo:dofa_base_patch16_224")
    maps = backbone(images, scene.bands)              # reflectance, or dB
    load_backbone("torchgeo:dofa_base_patch16_224@weights/dofa.pth")

Weights are those of the hub's local cache, or a file named after `@`; `terralogue models get NAME`
fetches what is not there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from terralogue.datasets.bands import INTERCHANGEABLE, Band
from terralogue.datasets.errors import InputError, MissingBandError
from terralogue.tools.backbone_families import FAMILIES, Encoder
from terralogue.tools.backbones import STATISTICS, Backbone, Scaling, find_backbone

Statistics = Mapping[str, tuple[float, float]]
"""Common name or name of a band → mean and standard deviation, in reflectance or dB."""

_PUBLISHED: Final = {
    name: (mean, std) if name in ("VV", "VH") else (mean / 1e4, std / 1e4)
    for name, (mean, std) in STATISTICS.items()
}
# torch.hub's convention for names of checkpoints: the SHA-256 begins with these digits.
_DIGEST: Final = re.compile(r"-([0-9a-f]{8,64})\.\w+$")


class LoadedBackbone(nn.Module):
    """An encoder that takes physical numbers.

    Args:
        row: of BACKBONES.
        encoder: with its weights.
        statistics: of bands, for encoders that take any; those of SSL4EO-S12 where None.

    Attributes:
        channels: of its four feature maps, shallow to deep.
    """

    def __init__(
        self, row: Backbone, encoder: Encoder, statistics: Statistics | None = None
    ) -> None:
        super().__init__()
        self.row = row
        self.encoder = encoder
        self.channels = encoder.channels
        self._statistics = _PUBLISHED if statistics is None else statistics

    def forward(self, images: Tensor, bands: Sequence[Band]) -> list[Tensor]:
        """Feature maps (n, channels, h, w), float32, shallow to deep.

        Images are resized to the side that the encoder was trained with (to a multiple of its
        stride, where it takes any), as in PANGAEA; pixels that were not observed become the mean.

        Args:
            images: float32 (n, bands, H, W): reflectance where 1 is a perfect white, dB of radar;
                pictures from 0 to 1; NaN where not observed.
            bands: of the images, in any order.

        Raises:
            MissingBandError: the encoder needs a band that is not there.
            InputError: bands that the encoder cannot take.
        """
        order = select(self.row, bands)
        used = [bands[i] for i in order]
        ready = self._scaled(images[:, order], used)
        maps: list[Tensor] = self.encoder(self._resized(torch.nan_to_num(ready)), used)
        return maps

    def _scaled(self, images: Tensor, bands: Sequence[Band]) -> Tensor:
        scaling = self.row.scaling or _of(bands, self._statistics, self.row.name)

        def column(values: tuple[float, ...]) -> Tensor:
            return images.new_tensor(values)[:, None, None]

        scaled = (images * scaling.factor - column(scaling.mean)) / column(scaling.std)
        return scaled.clamp(0, 1) if scaling.unit_range else scaled

    def _resized(self, images: Tensor) -> Tensor:
        side, stride = self.row.size, self.row.stride
        height, width = images.shape[-2:]
        wanted = (
            (side, side)
            if side
            else (max(1, round(height / stride)) * stride, max(1, round(width / stride)) * stride)
        )
        if wanted == (height, width):
            return images
        return F.interpolate(images, wanted, mode="bilinear", align_corners=False, antialias=True)


def select(row: Backbone, bands: Sequence[Band]) -> list[int]:
    """Which bands an encoder reads, in its order.

    Where it asks for one near-infrared band and only the other is there, that one serves, as
    everywhere here.

    Raises:
        MissingBandError: one is not there; says which.
        InputError: an encoder of any bands got some without a wavelength, or radar and optical.
    """
    if not row.bands:
        return _any(row, bands)
    found = {name: _position(name, bands) for name in row.bands}
    for name, position in found.items():
        other = INTERCHANGEABLE.get(name)
        if position is None and other is not None and other not in row.bands:
            found[name] = _position(other, bands)
    lacking = [name for name, position in found.items() if position is None]
    if lacking:
        raise MissingBandError(
            f"{row.title} reads {len(row.bands)} bands and lacks {', '.join(lacking)} here; it is "
            f"made for {', '.join(row.sensors)}."
        )
    return [position for position in found.values() if position is not None]


def _position(name: str, bands: Sequence[Band]) -> int | None:
    return next(
        (i for i, b in enumerate(bands) if b.answers_to(name) and b.kind in ("optical", "sar")),
        None,
    )


def _any(row: Backbone, bands: Sequence[Band]) -> list[int]:
    """Positions of the bands that an encoder of any bands reads: all."""
    radar = [band for band in bands if band.kind == "sar"]
    if radar and (len(radar) < len(bands) or row.family == "panopticon"):
        raise InputError(
            f"{row.title} takes optical bands"
            + (" or radar, not both at once." if row.family != "panopticon" else ", not radar.")
        )
    unknown = [b.name for b in bands if b.wavelength is None or b.kind not in ("optical", "sar")]
    if unknown:
        raise InputError(
            f"{row.title} knows bands by their wavelengths in visible to short-wave infrared light "
            f"and cannot take {', '.join(unknown)}; leave it out."
        )
    return list(range(len(bands)))


def _of(bands: Sequence[Band], statistics: Statistics, name: str) -> Scaling:
    pairs = []
    for band in bands:
        pair = statistics.get(band.common or band.name) or statistics.get(band.name)
        if pair is None:
            raise InputError(
                f"{name} publishes no constants to normalise {band.name} by; give the mean and "
                "standard deviation of your data (statistics)."
            )
        pairs.append(pair)
    return Scaling(1.0, tuple(p[0] for p in pairs), tuple(p[1] for p in pairs))


def load_backbone(
    spec: str, *, statistics: Statistics | None = None, device: str = "cpu"
) -> LoadedBackbone:
    """Load an encoder of BACKBONES from this machine.

    Args:
        spec: a name of the table, or `<name>@<file>` with weights of one's own.
        statistics: of bands, for encoders that take any bands.
        device: of torch.

    Raises:
        InputError: no such name, its library is not installed, the weights are not on this machine
            or are not of this architecture.
    """
    name, _, given = spec.partition("@")
    row = find_backbone(name)
    if not row.file:
        raise InputError(f"{row.name} has no pretrained weights; it is trained from nothing.")
    path = Path(given) if given else row.remote.cached()
    if path is None:
        raise InputError(
            f"{row.name} is not on this machine; run: terralogue models get {row.name}"
        )
    return open_backbone(row, path, statistics=statistics).to(device).eval()


def open_backbone(
    row: Backbone, path: Path, *, statistics: Statistics | None = None
) -> LoadedBackbone:
    """Build the encoder of a row and put the weights of a file in.

    Raises:
        InputError: its library is not installed, or the file cannot be used.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}; give the weights of {row.name}.")
    state = _read(path)
    encoder = FAMILIES[row.family](row)
    try:
        encoder.load(state)
    except (ValueError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path.name} does not hold the weights of {row.name} ({error}); fetch it again."
        ) from error
    return LoadedBackbone(row, encoder, statistics)


def _read(path: Path) -> dict[str, Any]:
    """The tensors of a checkpoint, checked against the digest in its name."""
    digest = _DIGEST.search(path.name)
    if digest:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if not found.startswith(digest[1]):
            raise InputError(
                f"{path.name} is damaged: its SHA-256 begins with {found[:8]}; fetch it again."
            )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and safetensors raise of many kinds
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise InputError(f"{path.name} cannot be read as weights: {reason}.") from error
    for wrapper in ("state_dict", "model", "teacher"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict):
        raise InputError(f"{path.name} holds no table of tensors; give a checkpoint.")
    return state
