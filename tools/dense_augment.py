"""Crops of images and labels under one random map, and colours; on whatever device they are."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

_SLANTED: Final = 0.3  # share of crops at any angle; the others at a multiple of 90 degrees
_STRETCH: Final = 0.12
# Standard deviations of the logarithms of gamma and of the gain of each colour.
_GAMMA: Final = 0.25
_CAST: Final = 0.1


def crop(
    images: Tensor,
    labels: Tensor,
    size: int,
    zoom: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Cut one random square from each image: any place, zoom, symmetry of the square, often angle.

    What lies beyond an image is mirrored. Chance is drawn on the host, so that a seed gives the
    same everywhere.

    Args:
        images: float (n, bands, H, W).
        labels: uint8 (n, heads, H, W).
        size: of the result in pixels.
        zoom: source pixels along a pixel of the result, lowest and highest.
        rng: source of chance.

    Returns:
        (n, bands, size, size) and (n, heads, size, size), the labels of the nearest pixel.
    """
    n, _, height, width = images.shape
    factor = np.exp(rng.uniform(math.log(zoom[0]), math.log(zoom[1]), n))
    side = np.minimum(size * factor, 1.25 * min(height, width))
    stretch = np.exp(rng.uniform(-_STRETCH, _STRETCH, n))
    angle = rng.integers(0, 4, n) * np.pi / 2
    angle += np.where(rng.random(n) < _SLANTED, rng.uniform(-np.pi / 4, np.pi / 4, n), 0)
    flip = rng.integers(0, 2, n) * 2 - 1
    cos, sin = np.cos(angle), np.sin(angle)
    across, down = side / width, side / height
    theta = np.zeros((n, 2, 3), np.float32)
    theta[:, 0, 0], theta[:, 0, 1] = across * stretch * cos * flip, -across / stretch * sin
    theta[:, 1, 0], theta[:, 1, 1] = down * stretch * sin * flip, down / stretch * cos
    room = np.stack([np.maximum(1 - across, 0), np.maximum(1 - down, 0)], 1)
    theta[:, :, 2] = rng.uniform(-1, 1, (n, 2)) * room
    grid = F.affine_grid(
        torch.from_numpy(theta).to(images.device), [n, 1, size, size], align_corners=False
    )
    cut = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    marks = F.grid_sample(
        labels.float(), grid, mode="nearest", padding_mode="reflection", align_corners=False
    )
    return cut, marks.to(torch.uint8)


def recolour(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Vary gamma and colour cast, as other cameras, hours and towns do.

    Args:
        images: pictures (n, 3, H, W) in about -1 to 1.
        rng: source of chance.
    """
    n = len(images)
    gamma = np.exp(rng.normal(0, _GAMMA, (n, 1, 1, 1))).astype(np.float32)
    gain = np.exp(rng.normal(0, _CAST, (n, 3, 1, 1))).astype(np.float32)
    power, cast = (torch.from_numpy(each).to(images.device) for each in (gamma, gain))
    return 2 * (images / 2 + 0.5).clamp(1e-3, 1) ** power * cast - 1
