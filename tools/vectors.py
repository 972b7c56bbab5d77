"""Outlines of a mask: valid polygons, as GeoJSON (RFC 7946) or GeoPackage."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon, box, mapping
from shapely.geometry.base import BaseGeometry

from terralogue.tools.grid import Grid, ground_crs

# Specks smaller than this are left out of the outlines (not of the mask, nor of any figure).
MIN_PIXELS = 4
MAX_POLYGONS = 10_000
_TOLERANCE = 0.5  # pixels, of the simplification
_DECIMALS = 7  # of degrees: about a centimetre


@dataclass(frozen=True)
class Outlines:
    """Polygons of a mask in pixel coordinates of its grid, and what was left out of them."""

    polygons: list[Polygon]
    min_pixels: int

    @property
    def warnings(self) -> list[str]:
        """Says where so many specks were left out that it shows."""
        if self.min_pixels == MIN_PIXELS:
            return []
        return [
            f"The mask has so many patches that its outlines leave out those smaller than "
            f"{self.min_pixels} pixels; the mask and all figures keep them."
        ]


def outline(mask: NDArray[np.uint8], value: int = 1) -> Outlines:
    """Polygons around the pixels of a mask (H, W) that have a value.

    Patches (and holes) smaller than `min_pixels` are merged into their surroundings. The number
    starts at MIN_PIXELS and is raised fourfold until there are no more than MAX_POLYGONS. Borders
    are simplified within half a pixel.
    """
    binary = (mask == value).view(np.uint8)
    least = MIN_PIXELS
    if binary.size < 64 * 64:
        least = 1
    while True:
        if least > 1:
            # In place: on a whole Sentinel-2 tile a copy is 120 MB.
            rasterio.features.sieve(binary, least, out=binary)
        shapes = rasterio.features.shapes(binary, mask=binary.view(np.bool_), connectivity=4)
        found = [shapely.geometry.shape(shape) for shape, _ in islice(shapes, MAX_POLYGONS + 1)]
        if len(found) <= MAX_POLYGONS:
            return Outlines([part for each in found for part in _simple(each)], max(least, 4))
        least = max(least, MIN_PIXELS) * 4


def _simple(polygon: BaseGeometry) -> list[Polygon]:
    simple = shapely.make_valid(polygon.simplify(_TOLERANCE))
    return [part for part in shapely.get_parts(simple) if isinstance(part, Polygon)]


def write_geojson(
    path: Path, outlines: Outlines, grid: Grid, properties: Mapping[str, Any]
) -> None:
    """Write a FeatureCollection: longitude and latitude, right-hand rule, at most 7 decimals.

    Polygons over the antimeridian are cut there. A grid that is not tied to the ground keeps
    columns (right) and rows (down), and the file says so in its member `coordinates_are`.
    """
    crs = ground_crs(grid)
    collection: dict[str, Any] = {"type": "FeatureCollection"}
    if crs is None:
        collection["coordinates_are"] = "pixels of the image: column to the right, row down"
    features = []
    for polygon in outlines.polygons:
        extra: dict[str, Any] = {}
        geometry: BaseGeometry = shapely.orient_polygons(polygon)
        if crs is not None:
            geometry = to_lonlat(polygon, grid.transform, crs)
            if geometry.is_empty:
                continue
            geod = pyproj.Geod(ellps="WGS84")
            extra["area_m2"] = round(abs(geod.geometry_area_perimeter(geometry)[0]), 2)
        features.append(
            {
                "type": "Feature",
                "properties": {**properties, **extra},
                "geometry": mapping(geometry),
            }
        )
    collection["features"] = features
    path.write_text(json.dumps(collection, separators=(",", ":")), encoding="utf-8")


def to_lonlat(polygon: Polygon, transform: Affine, crs: pyproj.CRS) -> BaseGeometry:
    """A polygon in pixel coordinates as RFC 7946 wants it.

    Empty where it is below a centimetre, or beyond what the projection can describe.
    """
    to_degrees = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x = transform.a * points[:, 0] + transform.b * points[:, 1] + transform.c
        y = transform.d * points[:, 0] + transform.e * points[:, 1] + transform.f
        longitude, latitude = to_degrees.transform(x, y)
        return np.column_stack([longitude, latitude])

    moved: BaseGeometry = shapely.transform(polygon, project)
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        return Polygon()
    west, _, east, _ = moved.bounds
    if east - west > 180:
        moved = shapely.transform(
            moved, lambda points: np.column_stack([points[:, 0] % 360, points[:, 1]])
        )
        west, _, east, _ = moved.bounds
    if east > 180 or west < -180:
        moved = shapely.make_valid(moved)
        pieces = []
        for turn in (-360, 0, 360):
            inside = moved.intersection(box(-180 - turn, -90, 180 - turn, 90))
            pieces.append(shapely.transform(inside, lambda p, turn=turn: p + np.array([turn, 0])))  # type: ignore[misc]
        moved = shapely.union_all(pieces)
    exact = shapely.set_precision(shapely.make_valid(moved), 10.0**-_DECIMALS)
    parts = [part for part in shapely.get_parts(exact) if isinstance(part, Polygon)]
    # Snapping leaves a float's noise in the last digits; rounding makes the file short.
    result: BaseGeometry = parts[0] if len(parts) == 1 else MultiPolygon(parts)
    rounded = shapely.transform(result, lambda points: np.round(points, _DECIMALS))
    return shapely.orient_polygons(rounded)


def write_geopackage(path: Path, geojson: Path, layer: str) -> None:
    """Copy a GeoJSON file that this module wrote into a GeoPackage.

    The layer is in EPSG:4326, or without CRS where the file holds pixel coordinates.
    """
    import pyogrio

    collection = json.loads(geojson.read_text(encoding="utf-8"))
    features = collection["features"]
    geometries = [shapely.geometry.shape(feature["geometry"]) for feature in features]
    names = sorted({name for feature in features for name in feature["properties"]})
    columns = [np.array([each["properties"].get(name) for each in features]) for name in names]
    blobs = np.empty(len(geometries), dtype=np.object_)
    for number, each in enumerate(geometries):
        parts = [part for part in shapely.get_parts(each) if isinstance(part, Polygon)]
        blobs[number] = shapely.to_wkb(MultiPolygon(parts))
    with warnings.catch_warnings():
        # Outlines in pixel coordinates have no CRS on purpose.
        warnings.filterwarnings("ignore", message="'crs' was not provided")
        pyogrio.raw.write(
            path,
            blobs,
            columns,
            names,
            layer=layer,
            driver="GPKG",
            geometry_type="MultiPolygon",
            crs=None if "coordinates_are" in collection else "EPSG:4326",
        )
