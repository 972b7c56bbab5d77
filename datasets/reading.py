"""Windowed reads of a scene's bands from their files to physical numbers on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.windows import Window

from terralogue.datasets.errors import InputError
from terralogue.datasets.files import Grid, Handles, Layer, reading
from terralogue.datasets.scaling import Scaling

FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Source:
    """Where one band's numbers are, and what to do with them.

    Attributes:
        layer: File and index.
        aligned: The file's grid is the scene's; otherwise it is warped while reading.
        scaling: To physical numbers.
        nearest: Classes and flags must not be mixed by interpolation.
    """

    layer: Layer
    aligned: bool
    scaling: Scaling
    nearest: bool = False


def whole_window(grid: Grid, window: Window | None) -> Window:
    """Check a window against the grid; None means all of it.

    Raises:
        InputError: Empty, or outside the scene.
    """
    if window is None:
        return Window(0, 0, grid.width, grid.height)
    window = window.round_offsets().round_lengths()
    inside = (
        window.width > 0
        and window.height > 0
        and window.col_off >= 0
        and window.row_off >= 0
        and window.col_off + window.width <= grid.width
        and window.row_off + window.height <= grid.height
    )
    if not inside:
        raise InputError(
            f"window {window.flatten()} is not inside the scene of {grid.width} x {grid.height} "
            "pixels"
        )
    return window


def read_sources(
    handles: Handles,
    sources: Sequence[Source],
    grid: Grid,
    window: Window,
    shape: tuple[int, int] | None = None,
) -> tuple[FloatImage, Mask]:
    """Read bands of a window.

    Args:
        handles: Open files of the scene.
        sources: Bands, in the order wanted.
        grid: The scene's grid.
        window: Inside the grid.
        shape: (H, W) of the result; decimates or enlarges, through overviews where the file has
        them.

    Returns:
        Physical numbers (bands, H, W), NaN where not observed, and (bands, H, W) whether observed.

    Raises:
        SceneError: A file cannot be read.
    """
    height, width = shape or (int(window.height), int(window.width))
    data = np.empty((len(sources), height, width), np.float32)
    valid = np.empty((len(sources), height, width), np.bool_)
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, source in enumerate(sources):
        key = (
            source.layer.name,
            source.aligned,
            source.nearest,
            source.scaling.nodata,
            source.layer.nodata,
        )
        groups.setdefault(key, []).append(i)
    for members in groups.values():
        group = [sources[i] for i in members]
        stored, seen = _read_group(handles, group, grid, window, (height, width))
        for row, i in enumerate(members):
            data[i], valid[i] = to_physical(stored[row], seen[row], sources[i])
    return data, valid


def _read_group(
    handles: Handles, group: Sequence[Source], grid: Grid, window: Window, shape: tuple[int, int]
) -> tuple[NDArray[Any], Mask]:
    """Read bands of one file that are treated alike: (n, H, W) stored numbers and file masks."""
    first = group[0]
    # GDAL keeps only masks of its own nodata apart when it averages; other marks would be mixed in.
    mixing = not first.nearest and not first.scaling.nodata
    smaller = shape[0] < window.height or shape[1] < window.width
    resampling = Resampling.nearest
    if mixing and shape != (window.height, window.width):
        resampling = Resampling.average if smaller else Resampling.bilinear
    nodata = (
        first.layer.nodata
        if first.layer.nodata is not None
        else next(iter(first.scaling.nodata), None)
    )
    warp = Resampling.nearest if first.nearest else Resampling.bilinear
    lent = (
        handles.borrow(first.layer.name)
        if first.aligned
        else handles.borrow(first.layer.name, grid, warp, nodata)
    )
    indexes = [source.layer.index for source in group]
    with reading(first.layer.path), lent as dataset:
        out = (len(indexes), *shape)
        stored = dataset.read(indexes, window=window, out_shape=out, resampling=resampling)
        if first.aligned and not any(source.layer.masked for source in group):
            return stored, np.ones(out, np.bool_)
        masks = dataset.read_masks(
            indexes, window=window, out_shape=out, resampling=Resampling.nearest
        )
        return stored, masks > 127


def to_physical(stored: NDArray[Any], seen: Mask, source: Source) -> tuple[FloatImage, Mask]:
    """Apply marks, scale and offset: (H, W) float32 with NaN where not observed, and the mask."""
    valid = seen & np.isfinite(stored)
    scaling = source.scaling
    for mark in scaling.nodata:
        valid &= stored != mark
    data = stored.astype(np.float32)
    if (scaling.scale, scaling.offset) != (1.0, 0.0):
        data = data * np.float32(scaling.scale) + np.float32(scaling.offset)
    if scaling.kelvin is not None:
        k1, k2 = scaling.kelvin
        valid &= data > 0
        data = (k2 / np.log(k1 / np.where(valid, data, 1) + 1)).astype(np.float32)
    if scaling.decibel:
        valid &= data > 0
        data = 10 * np.log10(np.where(valid, data, 1), dtype=np.float32)
    data[~valid] = np.nan
    return data, valid
