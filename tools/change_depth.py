"""How differently the frozen image tower sees two dates, level by level of its pyramid.

depth = fit_depth(pieces, names, bands)
planes = depth(piece)  # (TOWER, H, W)

What a network that was trained on other pictures makes of either date says more of building works
than single pixels do, and four numbers a pixel (one for each stride) are few enough for a dozen
places to weigh them. Channels are standardised over the scene, each date by itself, so that light
and season cancel; a level counts by the root mean square of its channels' differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terralogue.datasets.bands import Band
from terralogue.datasets.tiles import normalise

STRIDES: Final = (2, 4, 8, 16)
TOWER: Final = tuple(f"tower{s}{near}" for near in ("", "_near") for s in STRIDES)
"""Difference of a stride's channels at a pixel, and its Gaussian mean nearby."""
HALO: Final = 80
"""Pixels of surroundings that the tower looks at, a multiple of the widest stride."""
_NEAR: Final = 3.0
_BOUND: Final = 6.0

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Dates = tuple[Floats, Floats, Bools]
"""Reflectance (bands, H, W) before and after, and what was observed (H, W)."""


@dataclass(frozen=True)
class Depth:
    """What is normal for the tower's view of a pair; see `fit_depth`.

    Attributes:
        rows: of the bands that are there.
        bands: these, with their wavelengths.
        middle: by stride, median of each channel of either date (2, channels).
        spread: by stride, standard deviation of the same.
        noise: by stride, standard deviation of the channels' differences (channels,).
        mean: of each of TOWER over the pair.
        deviation: of the same.
    """

    rows: tuple[int, ...]
    bands: tuple[Band, ...]
    middle: tuple[Floats, ...]
    spread: tuple[Floats, ...]
    noise: tuple[Floats, ...]
    mean: Floats
    deviation: Floats

    def __call__(self, piece: Dates) -> Floats:
        """Standardised differences (TOWER, H, W), within -6 to 6."""
        levels = _levels(piece, self.rows, self.bands)
        return self._scaled(self._planes(levels, piece[2]))

    def _scaled(self, planes: Floats) -> Floats:
        scaled = (planes - self.mean[:, None, None]) / self.deviation[:, None, None]
        return np.asarray(np.clip(scaled, -_BOUND, _BOUND), np.float32)

    def _planes(self, levels: Sequence[Floats], seen: Bools) -> Floats:
        """Logarithm of the root mean square difference at each stride, and near it."""
        height, width = seen.shape
        plain = []
        for number, level in enumerate(levels):
            changes = np.clip(self._change(level, number), -_BOUND, _BOUND)
            size = np.log(np.sqrt(np.mean(np.square(changes), axis=0)) + 0.1)
            plain.append(_enlarged(size, STRIDES[number])[:height, :width])
        sharp = np.stack(plain).astype(np.float32)
        weight = ndimage.gaussian_filter(seen.astype(np.float32), _NEAR, truncate=3) + 1e-3
        near = ndimage.gaussian_filter(sharp * seen, (0, _NEAR, _NEAR), truncate=3) / weight
        return np.concatenate([sharp, near]).astype(np.float32)

    def _change(self, level: Floats, number: int) -> Floats:
        """Difference of a level's channels (channels, h, w) in standard deviations."""
        middle, spread = (part[number][:, :, None, None] for part in (self.middle, self.spread))
        before, after = (level - middle) / spread
        return np.asarray((after - before) / self.noise[number][:, None, None], np.float32)


def fit_depth(pieces: Sequence[Dates], names: Sequence[str], bands: Sequence[Band]) -> Depth:
    """Learn what is normal for a pair from parts of it, together a fair sample.

    Args:
        pieces: parts of the pair.
        names: common names along the bands axis.
        bands: with the wavelengths that belong to the names; those that hold no number in any
            piece are left out.
    """
    there = [
        row
        for row in range(len(names))
        if all(np.isfinite(date[row]).any() for piece in pieces for date in piece[:2])
    ]
    taken = tuple(bands[row] for row in there)
    views = [_levels(piece, tuple(there), taken) for piece in pieces]
    cells = [
        np.concatenate(
            [v[n][:, :, _coarse(piece[2], s)] for v, piece in zip(views, pieces, strict=True)],
            axis=2,
        )
        for n, s in enumerate(STRIDES)
    ]
    middle = [np.median(each, axis=2) for each in cells]
    spread = [each.std(axis=2) + 1e-3 for each in cells]
    noise = []
    for each, m, s in zip(cells, middle, spread, strict=True):
        before, after = (each - m[:, :, None]) / s[:, :, None]
        noise.append((after - before).std(axis=1) + 1e-6)
    ones = np.ones(len(TOWER), np.float32)
    plain = Depth(tuple(there), taken, tuple(middle), tuple(spread), tuple(noise), 0 * ones, ones)
    planes = np.concatenate(
        [plain._planes(v, piece[2])[:, piece[2]] for v, piece in zip(views, pieces, strict=True)],
        axis=1,
    )
    deviation = planes.std(axis=1) + 1e-6
    return replace(plain, mean=planes.mean(axis=1), deviation=deviation)


@lru_cache(maxsize=1)
def _tower() -> Any:
    """The embedded tower's stages up to stride 16; brings torch."""
    from terralogue.tools.dense_model import DenseConfig, DenseNet

    return DenseNet.begin(DenseConfig({}), "tower").eval()


def _levels(piece: Dates, rows: Sequence[int], bands: Sequence[Band]) -> list[Floats]:
    """Channels of both dates at each stride: (2, channels, ⌈H / stride⌉, ⌈W / stride⌉)."""
    import torch

    seen = piece[2]
    height, width = seen.shape
    dates = [np.where(seen, date[list(rows)], np.float32(np.nan)) for date in piece[:2]]
    planes = np.stack([np.nan_to_num(normalise(date, bands)) for date in dates])
    pad = ((0, 0), (0, 0), (0, -height % 32), (0, -width % 32))
    images = torch.from_numpy(np.pad(planes, pad, mode="edge"))
    found = []
    with torch.inference_mode():
        for level, stride in zip(_tower().pyramid(images, bands), STRIDES, strict=False):
            found.append(level[:, :, : -(-height // stride), : -(-width // stride)].numpy())
    return found


def _coarse(seen: Bools, stride: int) -> Bools:
    """Cells of a stride of which the middle was observed: bool (⌈H / stride⌉, ⌈W / stride⌉)."""
    padded = np.pad(seen, ((0, stride), (0, stride)), mode="edge")
    rows, columns = (-(-side // stride) for side in seen.shape)
    return padded[stride // 2 :: stride, stride // 2 :: stride][:rows, :columns]


def _enlarged(plane: Floats, stride: int) -> Floats:
    """Bilinear, with cells' centres where they belong: (h, w) → (h x stride, w x stride)."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    size = [side * stride for side in plane.shape]
    tensor = torch.from_numpy(np.ascontiguousarray(plane, np.float32))[None, None]
    return F.interpolate(tensor, size=size, mode="bilinear", align_corners=False)[0, 0].numpy()
