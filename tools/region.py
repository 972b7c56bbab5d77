"""A region of interest: from a bounding box or GeoJSON to a mask on the pixels of a scene.

`Region.parse` reads what a person gave, `place` brings it onto a scene, and the `Placed` that
comes of it has the window, the mask of any part of it, and what has to be said about it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj.exceptions import CRSError
from rasterio.features import geometry_mask
from rasterio.windows import Window
from shapely.affinity import translate
from shapely.errors import ShapelyError
from shapely.geometry import MultiPolygon, Polygon, box, shape
from shapely.geometry.base import BaseGeometry

from terralogue.datasets.errors import RegionError
from terralogue.tools.grid import Grid, ground_crs, whole

RegionInput = Sequence[float] | dict[str, Any] | str

_LONLAT = pyproj.CRS.from_user_input("OGC:CRS84")
_BLOCK = 2048  # rows and columns looked at together in the search for a first pixel


@dataclass(frozen=True)
class Region:
    """An area as it was given: coordinates x, y in `crs`.

    `crs` None means the default: longitude and latitude (RFC 7946), or columns and rows on a
    scene that is not tied to the ground. `wraps` marks a bounding box over the antimeridian.
    """

    geometry: BaseGeometry
    crs: pyproj.CRS | None = None
    wraps: bool = False

    @classmethod
    def parse(cls, value: RegionInput) -> Region:
        """Read a bounding box [west, south, east, north] or GeoJSON (an object or its text).

        Geometry, Feature and FeatureCollection are accepted, and the `crs` member of the older
        GeoJSON is honoured. Invalid outlines are repaired.

        Raises:
            RegionError: not a box or GeoJSON, no area in it, or an unknown `crs`.
        """
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (json.JSONDecodeError, RecursionError) as error:
                raise RegionError(
                    f"The region is not JSON ({error}); give GeoJSON or west,south,east,north."
                ) from None
        if isinstance(value, dict):
            return cls(_polygons(_geometries(value)), _crs_member(value))
        if isinstance(value, Sequence) and not isinstance(value, str):
            return cls._from_box(value)
        raise RegionError("The region must be GeoJSON or [west, south, east, north].")

    @classmethod
    def _from_box(cls, value: Sequence[float]) -> Region:
        try:
            west, south, east, north = (float(number) for number in value)
        except (TypeError, ValueError):
            raise RegionError(
                "A bounding box has four numbers: west, south, east, north."
            ) from None
        if not all(map(math.isfinite, (west, south, east, north))):
            raise RegionError("The bounding box holds a number that is not finite.")
        if south >= north or west == east:
            raise RegionError(
                f"The bounding box [{west}, {south}, {east}, {north}] is empty; "
                "the order is west, south, east, north."
            )
        if west < east:
            return cls(box(west, south, east, north))
        parts = [box(west, south, 180, north), box(-180, south, east, north)]
        if not -180 <= east < west <= 180:
            raise RegionError(
                f"The bounding box [{west}, {south}, {east}, {north}] has its west side east of "
                "its east side; the order is west, south, east, north."
            )
        return cls(MultiPolygon([part for part in parts if part.area > 0]), wraps=True)

    def mask(self, scene: Grid, window: Window | None = None) -> NDArray[np.bool_]:
        """Mask bool (H, W) of one window; `place` is quicker for many windows."""
        placed = place(self, scene)
        return placed.mask(window or placed.window)


@dataclass(frozen=True)
class Placed:
    """A region on the pixels of one scene.

    `window` bounds it in whole pixels, inside the scene. `outline` is in pixel coordinates
    (columns right, rows down); None is the whole scene.
    """

    window: Window
    outline: BaseGeometry | None = None
    all_touched: bool = False
    warnings: tuple[str, ...] = ()

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Which pixels of a window belong to the region: bool (H, W), True inside.

        A pixel belongs where its centre does.
        """
        size = (int(window.height), int(window.width))
        if self.outline is None:
            return np.ones(size, dtype=np.bool_)
        mask: NDArray[np.bool_] = geometry_mask(
            [self.outline],
            out_shape=size,
            transform=Affine.translation(window.col_off, window.row_off),
            invert=True,
            all_touched=self.all_touched,
        )
        return mask

    def thinned(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """The mask of `window` at a smaller shape (H, W)."""
        if self.outline is None:
            return np.ones(shape, dtype=np.bool_)
        window = self.window
        scale = Affine.scale(window.width / shape[1], window.height / shape[0])
        mask: NDArray[np.bool_] = geometry_mask(
            [self.outline],
            out_shape=shape,
            transform=Affine.translation(window.col_off, window.row_off) @ scale,
            invert=True,
            all_touched=self.all_touched,
        )
        return mask


def place(region: Region | None, scene: Grid) -> Placed:
    """Bring a region onto the pixels of a scene; None is the whole scene.

    Raises:
        RegionError: the region lies outside the scene, or its coordinates cannot be used with it.
    """
    if region is None:
        return Placed(whole(scene))
    on_pixels, cut = _to_pixels(region, scene)
    frame = box(0, 0, scene.width, scene.height)
    outline = _polygons_of(shapely.make_valid(on_pixels).intersection(frame))
    if outline.is_empty or outline.area == 0:
        raise RegionError(_outside_message(region, scene))
    warnings = []
    # One pixel of slack: a box copied from the rounded bounds of the scene is not "partly outside".
    if cut or not on_pixels.within(box(-1, -1, scene.width + 1, scene.height + 1)):
        warnings.append(
            "Part of the region lies outside the scene and was left out of every figure."
        )
    left, top, right, bottom = outline.bounds
    column, row = min(math.floor(left), scene.width - 1), min(math.floor(top), scene.height - 1)
    window = Window(
        column,
        row,
        min(math.ceil(right), scene.width) - column,
        min(math.ceil(bottom), scene.height) - row,
    )
    placed = Placed(window, outline)
    if not _holds_a_pixel(placed):
        warnings.append(
            "The region is narrower than a pixel; every pixel that it touches was measured whole."
        )
        return Placed(window, outline, all_touched=True, warnings=tuple(warnings))
    return Placed(window, outline, warnings=tuple(warnings))


def _geometries(value: dict[str, Any]) -> list[BaseGeometry]:
    """The geometries of a GeoJSON object."""
    kind = value.get("type")
    try:
        if kind == "FeatureCollection":
            return [found for part in value["features"] for found in _geometries(part)]
        if kind == "Feature":
            geometry = value["geometry"]
            return [] if geometry is None else [shape(geometry)]
        return [shape(value)]
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, ShapelyError) as error:
        raise RegionError(
            f"The region is not valid GeoJSON ({type(error).__name__}: {error}); "
            "give a Polygon, a Feature or a FeatureCollection."
        ) from None


def _polygons(geometries: Iterable[BaseGeometry]) -> BaseGeometry:
    """One valid area out of many geometries; raises where there is none."""
    found = list(geometries)
    coordinates = shapely.get_coordinates(found)
    if not np.isfinite(coordinates).all():
        raise RegionError("The region holds a coordinate that is not finite.")
    area = _polygons_of(shapely.union_all([shapely.make_valid(part) for part in found]))
    if area.is_empty or area.area == 0:
        kinds = ", ".join(sorted({part.geom_type for part in found})) or "nothing"
        raise RegionError(f"The region encloses no area (found: {kinds}); draw a polygon.")
    return area


def _polygons_of(geometry: BaseGeometry) -> BaseGeometry:
    """The polygons of a geometry, without points and lines."""
    parts = shapely.get_parts(shapely.force_2d(geometry), return_index=False)
    flat = [piece for part in parts for piece in shapely.get_parts(part)]
    return shapely.union_all([piece for piece in flat if isinstance(piece, Polygon)])


def _crs_member(value: dict[str, Any]) -> pyproj.CRS | None:
    """The CRS that an older GeoJSON names, or None for the default."""
    member = value.get("crs")
    if member is None and value.get("type") == "Feature" and isinstance(value["geometry"], dict):
        member = value["geometry"].get("crs")
    if member is None:
        return None
    properties = member.get("properties") if isinstance(member, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else member
    try:
        if not isinstance(name, str):
            raise CRSError("no name")
        return pyproj.CRS.from_user_input(name)
    except CRSError:
        raise RegionError(
            f"The 'crs' member of the region is not understood: {name!r}; use for example "
            '{"type": "name", "properties": {"name": "EPSG:32632"}}.'
        ) from None


def _to_pixels(region: Region, scene: Grid) -> tuple[BaseGeometry, bool]:
    """The region in columns and rows, and whether a far part of it was cut off before."""
    target = ground_crs(scene)
    if target is None:
        if region.crs is not None or region.wraps:
            raise RegionError(
                f"The region is given in map coordinates, but {scene.name} is not georeferenced; "
                "give columns and rows of the image instead."
            )
        return region.geometry, False
    source = region.crs or _LONLAT
    _check_degrees(region, source)
    near, cut = _near_scene(region.geometry, source, target, scene)
    if near.is_empty:
        return near, cut
    to_scene = pyproj.Transformer.from_crs(source, target, always_xy=True)
    to_pixel = ~scene.transform
    # Straight in the region's coordinates is curved in the scene's: bend the sides with it.
    west, south, east, north = near.bounds
    dense = shapely.segmentize(near, max(east - west, north - south) / 100)

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = to_scene.transform(points[:, 0], points[:, 1])
        columns, rows = to_pixel @ (np.asarray(x), np.asarray(y))
        return np.column_stack([columns, rows])

    moved = shapely.transform(dense, project)
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise RegionError(_outside_message(region, scene))
    return shapely.make_valid(moved), cut


def _check_degrees(region: Region, source: pyproj.CRS) -> None:
    """Metres given as longitude and latitude are the commonest mistake: name it."""
    if not source.is_geographic:
        return
    west, south, east, north = region.geometry.bounds
    if south < -90 or north > 90 or west < -540 or east > 540:
        raise RegionError(
            f"The region's coordinates ({west:g}, {south:g} to {east:g}, {north:g}) are not "
            "longitude and latitude; name their system in a 'crs' member."
        )


def _near_scene(
    geometry: BaseGeometry, source: pyproj.CRS, target: pyproj.CRS, scene: Grid
) -> tuple[BaseGeometry, bool]:
    """The part of a geometry around the scene, and whether anything was cut off.

    Points far away may have no image in the scene's projection; and on a geographic grid
    that runs over the antimeridian, longitudes have to be counted the way the grid does.
    """
    corners = [(0, 0), (scene.width, 0), (0, scene.height), (scene.width, scene.height)]
    x, y = zip(*(scene.transform @ corner for corner in corners), strict=True)
    bounds = (min(x), min(y), max(x), max(y))
    same_axes = source.is_geographic and target.is_geographic
    if not same_axes:
        back = pyproj.Transformer.from_crs(target, source, always_xy=True)
        bounds = back.transform_bounds(*bounds, densify_pts=21)
    west, south, east, north = bounds
    if not all(map(math.isfinite, bounds)):
        return geometry, False
    if source.is_geographic and east < west:
        east += 360
    margin = max(east - west, north - south) * 0.5
    around = box(west - margin, south - margin, east + margin, north + margin)
    if not source.is_geographic:
        return geometry.intersection(around), not geometry.within(around)
    turns = [translate(geometry, turn) for turn in (-360, 0, 360)]
    near = _polygons_of(shapely.union_all([turn.intersection(around) for turn in turns]))
    return near, near.area < geometry.area * (1 - 1e-9)


def _holds_a_pixel(placed: Placed) -> bool:
    """Whether the centre of any pixel lies inside."""
    window = placed.window
    for row in range(window.row_off, window.row_off + window.height, _BLOCK):
        for column in range(window.col_off, window.col_off + window.width, _BLOCK):
            height = min(_BLOCK, window.row_off + window.height - row)
            width = min(_BLOCK, window.col_off + window.width - column)
            if placed.mask(Window(column, row, width, height)).any():
                return True
    return False


def _outside_message(region: Region, scene: Grid) -> str:
    given = ", ".join(f"{number:g}" for number in region.geometry.bounds)
    if ground_crs(scene) is None:
        return (
            f"The region ({given}) lies outside {scene.name}, which has {scene.width} columns "
            f"and {scene.height} rows."
        )
    target = ground_crs(scene)
    x, y = scene.transform @ (scene.width / 2, scene.height / 2)
    to_source = pyproj.Transformer.from_crs(target, region.crs or _LONLAT, always_xy=True)
    centre = to_source.transform(x, y)
    return (
        f"The region ({given}) lies outside {scene.name}, which is around "
        f"{centre[0]:.5g}, {centre[1]:.5g} in the same coordinates (x or longitude first)."
    )
