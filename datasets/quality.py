"""Quality layers of a scene: Sentinel-2 SCL, Landsat and HLS bits to cloud and shadow masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rasterio.windows import Window

from terralogue.datasets.files import Grid, Handles
from terralogue.datasets.reading import Mask, Source, read_sources

QualityKind = Literal["scl", "landsat_qa", "landsat_bqa", "fmask"]

# ESA, Sentinel-2 L2A scene classification: 8 and 9 cloud of medium and high probability, 10 thin
# cirrus.
_SCL_CLOUD = (8, 9, 10)
_SCL_SHADOW = (3,)
_SCL_NODATA = (0,)


@dataclass(frozen=True)
class Quality:
    """A layer that says which pixels show cloud or shadow.

    Attributes:
        kind: How its numbers are read: Sentinel-2 scene classification, Landsat QA_PIXEL
        (Collection 2),
            Landsat BQA (Collection 1 and before), HLS Fmask.
        path: The file.
        band: 1-based index in that file.
    """

    kind: QualityKind
    path: Path
    band: int


@dataclass(frozen=True)
class QualityPixels:
    """Masks of a window, (H, W) each; where nodata is True, the others are False."""

    cloud: Mask
    shadow: Mask
    nodata: Mask


def read_quality(
    handles: Handles,
    quality: Quality,
    source: Source,
    grid: Grid,
    window: Window,
    shape: tuple[int, int] | None = None,
) -> QualityPixels:
    """Read the quality layer on the scene's grid; see `QualityPixels`.

    Raises:
        SceneError: The file cannot be read.
    """
    data, valid = read_sources(handles, [source], grid, window, shape)
    codes = np.where(valid[0], data[0], 0).astype(np.int64)
    cloud, shadow, nodata = _DECODERS[quality.kind](codes)
    nodata |= ~valid[0]
    return QualityPixels(cloud & ~nodata, shadow & ~nodata, nodata)


def _scl(codes: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> tuple[Mask, Mask, Mask]:
    return np.isin(codes, _SCL_CLOUD), np.isin(codes, _SCL_SHADOW), np.isin(codes, _SCL_NODATA)


def _qa_pixel(codes: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> tuple[Mask, Mask, Mask]:
    # USGS Landsat Collection 2, LSDS-1619: bit 0 fill, 1 dilated cloud, 2 cirrus, 3 cloud, 4
    # shadow.
    cloud = (codes & 0b1110) != 0
    return cloud, (codes & 0b10000) != 0, (codes & 1) != 0


def _bqa(codes: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> tuple[Mask, Mask, Mask]:
    # USGS Landsat Collection 1 quality band: bit 0 fill, 4 cloud, 7-8 shadow and 11-12 cirrus
    # confidence (3 = high). 2720 is clear land.
    cloud = ((codes & 0b10000) != 0) | (((codes >> 11) & 3) == 3)
    return cloud, ((codes >> 7) & 3) == 3, (codes & 1) != 0


def _fmask(codes: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> tuple[Mask, Mask, Mask]:
    # NASA HLS v2 User Guide: bit 0 cirrus, 1 cloud, 2 adjacent to cloud or shadow, 3 shadow; 255
    # fill.
    fill = codes == 255
    return (codes & 0b11) != 0, (codes & 0b1000) != 0, fill


KINDS: dict[str, QualityKind] = {
    "scl": "scl",
    "landsat_qa": "landsat_qa",
    "landsat_bqa": "landsat_bqa",
    "fmask": "fmask",
}
_DECODERS = {"scl": _scl, "landsat_qa": _qa_pixel, "landsat_bqa": _bqa, "fmask": _fmask}
