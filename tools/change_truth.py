"""Pairs with a mask, opened as `detect_change` opens scenes, and the mask on their common grid."""

from __future__ import annotations

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.change_pairs import ChangePair
from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import Scene, open_scene
from terralogue.tools.export import quiet
from terralogue.tools.grid import Frame, Grid, whole


def open_dates(item: ChangePair, sensor: str | None = None) -> tuple[Scene, Scene]:
    """Both dates.

    Raises:
        SceneError: one cannot be read.
    """
    return open_scene(item.before, sensor=sensor), open_scene(item.after, sensor=sensor)


def read_mask(item: ChangePair) -> NDArray[np.bool_]:
    """What changed: bool (H, W) on the grid of the first date.

    Raises:
        InputError: the mask cannot be read.
    """
    try:
        with quiet(), rasterio.open(item.mask) as file:
            changed: NDArray[np.bool_] = file.read().max(axis=0) > 0
    except rasterio.RasterioIOError as error:
        raise InputError(f"{item.mask} cannot be read as a mask: {error}.") from error
    return changed


def place_in(grid: Grid, frame: Frame) -> Window:
    """The window of a grid that a frame on its pixels covers, to the nearest pixel."""
    column, row = ~grid.transform @ (frame.transform.c, frame.transform.f)
    if frame.crs is None:
        return whole(grid)
    return Window(round(column), round(row), frame.width, frame.height)


def cut(values: NDArray[np.bool_], window: Window) -> NDArray[np.bool_]:
    """A window of (H, W); False beyond its edges."""
    found = np.zeros((int(window.height), int(window.width)), np.bool_)
    part = values[int(window.row_off) :, int(window.col_off) :]
    part = part[: found.shape[0], : found.shape[1]]
    found[: part.shape[0], : part.shape[1]] = part
    return found
