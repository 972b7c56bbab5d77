"""One grid for two scenes, and a scene read on a grid that is not its own.

frame = common_frame(before, after)
data = OnGrid(after, frame).read(["R", "N"], window)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyproj
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.windows import Window
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from terralogue.datasets.errors import NoOverlapError, RefusalError
from terralogue.datasets.scene import Scene
from terralogue.tools.grid import Frame, Grid, crop, ground_crs, whole, why_no_ground

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

# Pixels around a source window, so that interpolation at its border sees its neighbours.
_MARGIN = 3
# Scenes without CRS are warped in pixel coordinates: the warper wants any CRS, the same for both,
# and takes the identity for a missing transform.
_PLAIN = CRS.from_epsg(3857)
_AWAY = Affine.translation(1, 1)


def common_frame(first: Scene, second: Scene) -> Frame:
    """The pixels of the coarser of two scenes (the first where alike) that both cover.

    Raises:
        NoOverlapError: they do not show the same ground.
        RefusalError: they cannot be laid on each other, since one has no georeference, or both
            have none and differ in size.
    """
    if why_no_ground(first) or why_no_ground(second):
        _require_same_size(first, second)
        return crop(first, whole(first))
    coarse, fine = first, second
    # A hundredth: the pixels of two geographic grids of one sensor differ by so much.
    if (second.gsd or 0) > 1.01 * (first.gsd or 0):
        coarse, fine = second, first
    shared = footprint_on(fine, coarse).intersection(box(0, 0, coarse.width, coarse.height))
    left, top, right, bottom = shared.bounds if not shared.is_empty else (0, 0, 0, 0)
    column, row = math.floor(left + 1e-6), math.floor(top + 1e-6)
    width, height = math.ceil(right - 1e-6) - column, math.ceil(bottom - 1e-6) - row
    if shared.area < 0.5 or width < 1 or height < 1:
        raise NoOverlapError(
            f"{first.name} ({_where(first)}) and {second.name} ({_where(second)}) do not show "
            "the same ground; choose two scenes that overlap."
        )
    return crop(coarse, Window(column, row, width, height))


def footprint_on(scene: Grid, other: Grid) -> BaseGeometry:
    """The outline of a scene in pixel coordinates of another; both need a CRS.

    Corners that the other's projection cannot show are left out.
    """
    ring = _border(Window(0, 0, scene.width, scene.height))
    points = _mapping(scene, other)(ring)
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < 4:
        return shapely.Polygon()
    return shapely.make_valid(shapely.Polygon(points))


@dataclass(frozen=True)
class OnGrid:
    """A scene read on the pixels of another grid.

    Finer scenes are averaged, then interpolated bilinearly; a scene that lies on the grid
    already is read as it is. `shift` (rows, columns) moves the picture, in pixels of the grid.
    """

    scene: Scene
    frame: Frame
    shift: tuple[float, float] = (0.0, 0.0)

    def read(self, bands: Sequence[str], window: Window) -> Floats:
        """Bands of a window of the grid: float32 (bands, H, W), NaN where not observed."""

        def fetch(part: Window, shape: tuple[int, int]) -> Floats:
            return self.scene.read(bands, part, shape).data

        return self.warp(fetch, len(bands), window)

    def read_mask(self, mask: Callable[[Window], Bools], window: Window) -> Bools:
        """A mask of the scene's own pixels, on a window of the grid: bool (H, W).

        Args:
            mask: Gives the mask of a window of the scene; False is what lies outside.
            window: Of the grid.
        """

        def fetch(part: Window, shape: tuple[int, int]) -> Floats:
            return mask(part)[None].astype(np.float32)

        # Any share of a hidden pixel hides.
        touched: Bools = self.warp(fetch, 1, window)[0] > 0
        return touched

    def warp(
        self, fetch: Callable[[Window, tuple[int, int]], Floats], count: int, window: Window
    ) -> Floats:
        """Anything that lies on the scene's pixels, on a window of the grid: (count, H, W).

        Args:
            fetch: Gives (count, h, w) of a window of the scene, NaN where not observed; h and w
                are those asked for, or those of the window where it cannot be decimated.
            count: How many layers `fetch` gives.
            window: Of the grid.
        """
        height, width = int(window.height), int(window.width)
        found = np.full((count, height, width), np.nan, np.float32)
        rows, columns = self.shift
        moved = Affine.translation(window.col_off - columns, window.row_off - rows)
        target = self._transform(self.frame) @ moved
        part, ratio = self.source(window)
        if part is None:
            return found
        if not any(self.shift) and (direct := self._direct(window)) is not None:
            return fetch(direct, (height, width))
        # Averaging by whole factors before interpolating; otherwise fine detail would alias.
        shape = (
            max(1, round(part.height / max(1, ratio))),
            max(1, round(part.width / max(1, ratio))),
        )
        data = fetch(part, shape)
        size = Affine.scale(part.width / data.shape[2], part.height / data.shape[1])
        place = Affine.translation(part.col_off, part.row_off) @ size
        reproject(
            data,
            found,
            src_transform=self._transform(self.scene) @ place,
            src_crs=self._crs(self.scene),
            src_nodata=np.nan,
            dst_transform=target,
            dst_crs=self._crs(self.frame),
            dst_nodata=np.nan,
            init_dest_nodata=True,
            resampling=Resampling.bilinear,
        )
        return found

    def _direct(self, window: Window) -> Window | None:
        """The same pixels of the scene, where they lie exactly on the grid's and all exist."""
        if ground_crs(self.frame) is None:
            return window
        if self.scene.crs != self.frame.crs:
            return None
        offset = ~self.scene.transform @ self.frame.transform
        column, row = round(offset.c), round(offset.f)
        ends = ((0, 0), (self.frame.width, 0), (0, self.frame.height))
        for x, y in ends:
            there = offset @ (x, y)
            if max(abs(there[0] - x - column), abs(there[1] - y - row)) > 0.01:
                return None
        left, top = int(window.col_off) + column, int(window.row_off) + row
        right, bottom = left + int(window.width), top + int(window.height)
        if left < 0 or top < 0 or right > self.scene.width or bottom > self.scene.height:
            return None
        return Window(left, top, right - left, bottom - top)

    def source(self, window: Window) -> tuple[Window | None, float]:
        """The part of the scene under a window, and how many of its pixels a grid pixel spans."""
        rows, columns = self.shift
        ring = _border(window) - (columns, rows)
        points = ring
        if ground_crs(self.frame) is not None:
            points = _mapping(self.frame, self.scene)(ring)
        points = points[np.isfinite(points).all(axis=1)]
        if not len(points):
            return None, 1.0
        spread = np.ptp(points, axis=0) / np.ptp(ring, axis=0)
        ratio = float(np.floor(max(spread.min(), 1.0)))
        margin = _MARGIN * max(1, math.ceil(ratio))
        left, top = np.floor(points.min(axis=0)).astype(int) - margin
        right, bottom = np.ceil(points.max(axis=0)).astype(int) + margin
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, self.scene.width), min(bottom, self.scene.height)
        if right <= left or bottom <= top:
            return None, ratio
        return Window(left, top, right - left, bottom - top), ratio

    def _crs(self, grid: Grid) -> CRS:
        return _PLAIN if ground_crs(self.frame) is None else grid.crs

    def _transform(self, grid: Grid) -> Affine:
        return _AWAY if ground_crs(self.frame) is None else grid.transform


def _border(window: Window, points: int = 21) -> NDArray[np.float64]:
    """The border of a window as a ring of (column, row)."""
    along = np.linspace(0, 1, points)
    zeros, ones = np.zeros(points), np.ones(points)
    x = np.concatenate([along, ones, along[::-1], zeros])
    y = np.concatenate([zeros, along, ones, along[::-1]])
    return np.column_stack(
        [window.col_off + x * window.width, window.row_off + y * window.height]
    ).astype(np.float64)


def _mapping(source: Grid, target: Grid) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """From (column, row) of one grid to those of another; both on the ground."""
    crs, other = ground_crs(source), ground_crs(target)
    assert crs is not None
    assert other is not None
    between = pyproj.Transformer.from_crs(crs, other, always_xy=True)
    back = ~target.transform

    def convert(points: NDArray[np.float64]) -> NDArray[np.float64]:
        there = between.transform(*_apply(source.transform, points).T)
        return _apply(back, np.column_stack(there))

    return convert


def _apply(transform: Affine, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (n, 2) through an affine transform."""
    a, b, c, d, e, f = transform[:6]
    return np.asarray(points @ np.array([[a, d], [b, e]]) + (c, f))


def _require_same_size(first: Scene, second: Scene) -> None:
    """Two pictures without georeference may lie pixel on pixel; nothing else can be said."""
    if (first.width, first.height) == (second.width, second.height) and (
        why_no_ground(first) and why_no_ground(second)
    ):
        return
    bare = first if why_no_ground(first) else second
    raise RefusalError(
        f"{first.name} and {second.name} cannot be laid on each other, because for {bare.name} "
        f"{why_no_ground(bare)}; use georeferenced scenes, or two pictures of the same size that "
        "show the same ground.",
        reason="georeference",
    )


def _where(scene: Scene) -> str:
    bounds = scene.bounds_wgs84
    if bounds is None:
        return "position unknown"
    west, south, east, north = bounds
    return f"{west:.4f}, {south:.4f} to {east:.4f}, {north:.4f}"
