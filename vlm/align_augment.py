"""Augmentation of a batch at once, on whatever device its images are.

Chance is drawn on the host, few numbers for each image, so that a seed gives the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from terralogue.datasets.bands import Band


def augment(images: Tensor, size: int, rng: np.random.Generator, *, strong: bool = False) -> Tensor:
    """Random crops and the eight symmetries of the square.

    Args:
        images: (n, bands, H, W).
        size: of the result.
        rng: source of chance.
        strong: smaller crops, other shapes, and any angle for half of the images.

    Returns:
        (n, bands, size, size), channels last in memory.
    """
    n = len(images)
    # One affine map per image: a crop of 74 to 100 % of the side, a symmetry, a place.
    scale = rng.uniform(0.3 if strong else 0.55, 1.0, n) ** 0.5
    turn, flip = rng.integers(0, 4, n), rng.integers(0, 2, n) * 2 - 1
    shift = rng.uniform(-1, 1, (n, 2)) * (1 - scale)[:, None]
    angle, stretch = turn * np.pi / 2, np.ones(n)
    if strong:
        angle = angle + np.where(rng.random(n) < 0.5, rng.uniform(-np.pi / 4, np.pi / 4, n), 0)
        stretch = np.exp(rng.uniform(-0.15, 0.15, n))
    cos, sin = np.cos(angle), np.sin(angle)
    theta = np.zeros((n, 2, 3), np.float32)
    theta[:, 0, 0], theta[:, 0, 1] = scale * stretch * cos * flip, -scale / stretch * sin
    theta[:, 1, 0], theta[:, 1, 1] = scale * stretch * sin * flip, scale / stretch * cos
    theta[:, :, 2] = shift
    grid = F.affine_grid(
        torch.from_numpy(theta).to(images.device), [n, 1, size, size], align_corners=False
    )
    out = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return out.contiguous(memory_format=torch.channels_last)


def relight(images: Tensor, bands: Sequence[Band], rng: np.random.Generator) -> Tensor:
    """Vary brightness and contrast of each image's optical bands and, less, of each band.

    Args:
        images: (n, bands, H, W) in about -1 to 1.
        bands: along the second axis; those of other kinds stay as they are.
        rng: source of chance.
    """
    optical = np.array([band.kind == "optical" for band in bands])[:, None, None]
    n, count = images.shape[:2]
    gain = np.exp(rng.normal(0, 0.15, (n, 1, 1, 1)) + rng.normal(0, 0.06, (n, count, 1, 1)))
    lift = rng.normal(0, 0.08, (n, 1, 1, 1))
    gain, lift = np.where(optical, gain, 1.0), np.where(optical, lift, 0.0)
    return (images + 1) * _on(images, gain) - 1 + _on(images, lift)


def roughen(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Vary colourfulness and sharpness, and cover a rectangle of some images with grey.

    Args:
        images: (n, 3, H, W), red, green and blue.
        rng: source of chance.
    """
    n, _, height, width = images.shape
    grey = images.mean(1, keepdim=True)
    images = torch.lerp(grey, images, _on(images, rng.uniform(0.6, 1.4, (n, 1, 1, 1))))
    blurred = F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    # Below zero it sharpens.
    amount = np.where(rng.random(n) < 0.4, rng.uniform(-0.5, 1.0, n), 0.0)
    images = torch.lerp(images, blurred, _on(images, amount[:, None, None, None]))
    half = _on(
        images, np.where(rng.random(n) < 0.3, rng.uniform(0.05, 0.22, n), 0.0)[:, None, None]
    )
    middle = _on(images, rng.random((2, n, 1, 1)))
    down, right = (torch.arange(side, device=images.device) / side for side in (height, width))
    away = torch.maximum((down[:, None] - middle[0]).abs(), (right - middle[1]).abs())
    return images.masked_fill((away < half)[:, None], 0.0)


def _on(images: Tensor, values: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(values).to(images.device, images.dtype)
