"""Augmentation of slots, on the device they are on: other light, other bands, other places.

What simulated and real scenes differ in (gains, haze, texture, which bands there are) is drawn at
random, so that a network cannot rely on it (domain randomisation, Tobin et al. 2017,
arXiv 1703.06907).
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from terralogue.datasets.dense_slots import OPTICAL, SLOTS

_OPTICAL: Final = len(OPTICAL)
_RADAR: Final = SLOTS.index("co")
# Bands that sensors have together: pictures, four bands, Landsat, and Sentinel-2 less some.
_SETS: Final = (
    "B G R", "B G R N", "G R N", "G R N S1", "B G R N S1 S2", "B G R N S1 S2", "A B G R N S1 S2",
    "A B G R N S1 S2", "B G R RE1 RE2 RE3 N S1 S2",
)  # fmt: skip
_KEPT: Final = torch.tensor(
    [[float(name in names.split()) for name in SLOTS] for names in _SETS], dtype=torch.float32
)
# Short waves are scattered most: about wavelength to the power of -2, as haze is.
_HAZE: Final = torch.tensor([(0.443 / slot.centre) ** 2 for slot in OPTICAL])
# One decibel in slots.
_DECIBEL: Final = 2 / 30


def augment(
    planes: Tensor, present: Tensor, codes: Tensor, *, strength: float = 1.0, drop: float = 0.6
) -> tuple[Tensor, Tensor, Tensor]:
    """Change a batch at random; uses torch's default generator of the device.

    Args:
        planes: (n, slots, H, W), NaN where unobserved; H = W.
        present: (n, slots) of 0 and 1.
        codes: (n, H, W) uint8.
        strength: of the changes of light and texture.
        drop: share of the images that lose bands.

    Returns:
        The same three, planes with 0 where unobserved or empty.
    """
    planes, codes = _turn(planes, codes)
    optical = _light(planes[:, :_OPTICAL], strength)
    rest = planes[:, _OPTICAL:] + 0.03 * strength * torch.randn_like(planes[:, _OPTICAL:, :1, :1])
    shift = torch.randn_like(rest[:, _RADAR - _OPTICAL :, :1, :1])
    rest = torch.cat(
        (rest[:, : _RADAR - _OPTICAL], rest[:, _RADAR - _OPTICAL :] + strength * _DECIBEL * shift),
        1,
    )
    present = _dropped(present, drop)
    mixed = torch.cat((optical, rest), 1).nan_to_num(0.0) * present[:, :, None, None]
    return mixed, present, codes


def _turn(planes: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    turned, labels = [], []
    for image, label, kind in zip(planes, codes, torch.randint(8, (len(codes),)), strict=True):
        quarter, flip = int(kind) % 4, int(kind) >= 4
        image, label = image.rot90(quarter, (-2, -1)), label.rot90(quarter, (-2, -1))
        turned.append(image.flip(-1) if flip else image)
        labels.append(label.flip(-1) if flip else label)
    return torch.stack(turned), torch.stack(labels)


def _light(planes: Tensor, strength: float) -> Tensor:
    """Gains of the scene and of each band, haze, and stains a few pixels wide, on reflectance."""
    scene, band = planes[:, :1, :1, :1], planes[:, :, :1, :1]
    reflectance = ((planes + 1) / 2.5) ** 2
    gain = 0.12 * torch.randn_like(scene) + 0.05 * torch.randn_like(band)
    side = int(torch.randint(3, 17, ()))
    coarse = planes.new_empty(len(planes), planes.shape[1] + 1, side, side).normal_()
    stains = F.interpolate(
        coarse, (planes.shape[2], planes.shape[3]), mode="bilinear", align_corners=False
    )
    some = (torch.rand_like(scene) < 0.7).to(planes.dtype)
    stained = some * (0.06 * stains[:, :1] + 0.03 * stains[:, 1:])
    grain = 0.02 * torch.randn_like(planes) * torch.rand_like(scene)
    reflectance = reflectance * torch.exp(strength * (gain + stained + grain))
    haze = (torch.rand_like(scene) - 0.3).clamp(min=-0.15) * 0.06
    # Atmospheric correction leaves an offset, which dark water shows most.
    offset = 0.008 * torch.randn_like(band)
    reflectance = reflectance + strength * (haze * _HAZE.to(planes)[:, None, None] + offset)
    return 2.5 * reflectance.clamp(0, 1.5).sqrt() - 1


def _dropped(present: Tensor, drop: float) -> Tensor:
    """Leave bands out: a usual set, or any; never all of them."""
    count = len(present)
    usual = _KEPT.to(present)[torch.randint(len(_SETS), (count,))]
    any_band = (torch.rand_like(present) < 0.75).to(present.dtype)
    keep = torch.where(torch.rand_like(present[:, :1]) < 0.6, usual, any_band)
    keep = torch.where(torch.rand_like(present[:, :1]) < drop, keep, torch.ones_like(keep))
    # Radar has its own bands, and of those without a usual set any may be left.
    keep[:, _RADAR:] = torch.where(
        torch.rand_like(present[:, _RADAR:]) < 0.75, 1.0, keep[:, _RADAR:]
    )
    left = present * keep
    return torch.where(left.sum(1, keepdim=True) > 0, left, present)
