"""The stem that takes any bands in any order: wavelength → convolution kernel.

Two parts are added. The first resamples the bands to red, green and blue by wavelength
(Nadaraya-Watson regression with a power kernel) and applies the pretrained kernels to that; for a
red, green and blue picture this is the pretrained stem itself. The second is a hypernetwork in the
manner of DOFA (Xiong et al. 2024, arXiv 2403.15356): it turns each band's wavelength, bandwidth,
kind and polarisation into a kernel of its own, begins at zero and learns what the other bands add.
Both are sums over bands, so their order does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from terralogue.datasets.bands import Band

# Red, green and blue in µm: the middle of what pictures, Sentinel-2 and Landsat have.
RED_GREEN_BLUE: Final = (0.655, 0.560, 0.485)
# The weight of a band falls with (1 + (distance / 0.02 µm)²)^-6: half at 7 nm, and a picture's own
# three bands leak less than 1e-3 into each other; unlike a Gaussian's, its far tail stays ordered,
# so that near infrared stands in for red before shortwave infrared does.
_SCALE, _POWER = 0.02, 6.0
# In logarithms: bands without a wavelength stand in only where there are none with one.
_NO_WAVELENGTH = -200.0
_FREQUENCIES = 8
_KINDS = ("optical", "thermal", "sar", "elevation")
_POLARISATIONS = ("VV", "VH", "HH", "HV")
DESCRIPTORS: Final = 2 * _FREQUENCIES + 2 + len(_KINDS) + len(_POLARISATIONS)

Floats = NDArray[np.float32]


@lru_cache(maxsize=512)
def mixing(bands: tuple[Band, ...]) -> Floats:
    """Weights that resample bands to red, green and blue: float32 (3, bands), rows sum to 1."""
    logs = np.full((3, len(bands)), _NO_WAVELENGTH, np.float64)
    for j, band in enumerate(bands):
        if band.kind not in ("optical", "thermal") or band.wavelength is None:
            continue
        distance = (np.array(RED_GREEN_BLUE) - band.wavelength) / _SCALE
        logs[:, j] = -_POWER * np.log1p(distance**2)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


@lru_cache(maxsize=512)
def descriptors(bands: tuple[Band, ...]) -> Floats:
    """What the hypernetwork is told of each band: float32 (bands, DESCRIPTORS)."""
    rows = np.zeros((len(bands), DESCRIPTORS), np.float32)
    for row, band in zip(rows, bands, strict=True):
        if band.kind in ("optical", "thermal") and band.wavelength is not None:
            # 0.3 to 15 µm becomes 0 to 1.
            place = np.log(band.wavelength / 0.3) / np.log(50)
            phase = np.pi * place * 2.0 ** np.arange(_FREQUENCIES)
            row[:_FREQUENCIES], row[_FREQUENCIES : 2 * _FREQUENCIES] = np.sin(phase), np.cos(phase)
            row[2 * _FREQUENCIES] = 1
            row[2 * _FREQUENCIES + 1] = np.log10((band.bandwidth or 0.05) / 0.05)
        row[2 * _FREQUENCIES + 2 + _KINDS.index(band.kind)] = 1
        if band.polarisation in _POLARISATIONS:
            row[-len(_POLARISATIONS) + _POLARISATIONS.index(band.polarisation)] = 1
    return rows


class WavelengthStem(nn.Module):
    """First convolution of the tower: 3 x 3, stride 2, for any set of bands.

    Args:
        weight: pretrained kernels (out, 3, 3, 3) over red, green, blue.
        bias: (out,).
        hidden: width of the hypernetwork.
    """

    def __init__(self, weight: Tensor, bias: Tensor, hidden: int = 128) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone())
        out = weight.shape[0]
        self.hyper = nn.Sequential(
            nn.Linear(DESCRIPTORS, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU()
        )
        self.to_kernel = nn.Linear(hidden, out * 9)
        nn.init.zeros_(self.to_kernel.weight)
        nn.init.zeros_(self.to_kernel.bias)

    def kernels(self, bands: Sequence[Band]) -> Tensor:
        """Convolution kernels for these bands: (out, bands, 3, 3)."""
        key = tuple(bands)
        device = self.weight.device
        mix = torch.from_numpy(mixing(key)).to(device)
        described = torch.from_numpy(descriptors(key)).to(device)
        resampled: Tensor = torch.einsum("ockl,cb->obkl", self.weight, mix)
        own: Tensor = self.to_kernel(self.hyper(described)).float()
        return resampled + own.view(len(key), -1, 3, 3).transpose(0, 1) / len(key)

    def forward(self, x: Tensor, bands: Sequence[Band]) -> Tensor:
        """Convolve (n, bands, H, W) to (n, out, H/2, W/2), padded as TensorFlow's "SAME" is."""
        height, width = x.shape[-2:]
        padded = F.pad(x, (width % 2, 1, height % 2, 1))
        return F.conv2d(padded, self.kernels(bands), self.bias, stride=2)
