"""Where pixels lie on the ground: the frame that a scene, a crop of it and a result share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import pyproj
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window


class Grid(Protocol):
    """What measuring needs to know of a raster; a `Scene` is one."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def width(self) -> int:
        """Columns."""

    @property
    def height(self) -> int:
        """Rows."""

    @property
    def crs(self) -> CRS | None:
        """Coordinate reference system, if any."""

    @property
    def transform(self) -> Affine:
        """Pixel (column, row) to coordinates of the CRS; may be rotated."""

    @property
    def georeferenced(self) -> bool:
        """Both a CRS and a transform are known."""


@dataclass(frozen=True)
class Frame:
    """A `Grid` without pixels."""

    name: str
    width: int
    height: int
    crs: CRS | None
    transform: Affine
    georeferenced: bool


def whole(grid: Grid) -> Window:
    """The window of all pixels."""
    return Window(0, 0, grid.width, grid.height)


def crop(grid: Grid, window: Window) -> Frame:
    """The frame of the pixels inside a window of whole pixels."""
    return Frame(
        name=grid.name,
        width=int(window.width),
        height=int(window.height),
        crs=grid.crs,
        transform=grid.transform @ Affine.translation(window.col_off, window.row_off),
        georeferenced=grid.georeferenced,
    )


@lru_cache(maxsize=64)
def _pyproj_crs(wkt: str) -> pyproj.CRS:
    return pyproj.CRS.from_wkt(wkt)


def ground_crs(grid: Grid) -> pyproj.CRS | None:
    """The CRS that ties pixels to the Earth, or None.

    A local or engineering CRS has no geodetic datum and ties nothing to the Earth.
    """
    if grid.crs is None or not grid.georeferenced:
        return None
    crs = _pyproj_crs(grid.crs.to_wkt())
    return crs if crs.geodetic_crs is not None else None


def why_no_ground(grid: Grid) -> str | None:
    """Why areas cannot be measured, in a few words; None where they can."""
    if grid.crs is None:
        return "the file has no coordinate reference system"
    if not grid.georeferenced:
        return "the file has a coordinate reference system but no position"
    if ground_crs(grid) is None:
        return "the coordinate reference system of the file is local, not tied to the Earth"
    return None
