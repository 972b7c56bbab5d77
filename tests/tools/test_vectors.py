"""Outlines: valid, right-handed, in degrees, and not too many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely.geometry
from affine import Affine
from rasterio.crs import CRS
from shapely.geometry import box

from terralogue.tools import vectors
from terralogue.tools.grid import Frame
from terralogue.tools.vectors import (
    MIN_PIXELS,
    Outlines,
    outline,
    to_lonlat,
    write_geojson,
    write_geopackage,
)

UTM = Frame("utm", 200, 150, CRS.from_epsg(32632), Affine(10, 0, 5e5, 0, -10, 5e6), True)


def rings(path: Path) -> list[Any]:
    collection = json.loads(path.read_text(encoding="utf-8"))
    return [shapely.geometry.shape(each["geometry"]) for each in collection["features"]]


def test_outlines_keep_area_and_holes_and_drop_specks(tmp_path: Path) -> None:
    mask = np.zeros((150, 200), np.uint8)
    mask[20:80, 30:110] = 1
    mask[40:60, 50:80] = 0
    mask[100, 100] = 1
    found = outline(mask)
    assert len(found.polygons) == 1
    assert found.polygons[0].area == 60 * 80 - 20 * 30
    assert found.warnings == []
    path = tmp_path / "a.geojson"
    write_geojson(path, found, UTM, {"target": "water"})
    (polygon,) = rings(path)
    assert polygon.is_valid
    assert polygon.exterior.is_ccw
    assert not polygon.interiors[0].is_ccw
    area = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(polygon)[0]
    # 0.9996 is the scale on the central meridian.
    assert area == pytest.approx(100 * found.polygons[0].area / 0.9996**2, rel=1e-3)
    collection = json.loads(path.read_text(encoding="utf-8"))
    assert "crs" not in collection
    assert collection["features"][0]["properties"]["area_m2"] == pytest.approx(area, rel=1e-6)
    numbers = shapely.get_coordinates(polygon)
    np.testing.assert_array_equal(numbers, np.round(numbers, 7))


def test_a_rugged_mask_gives_valid_polygons(tmp_path: Path) -> None:
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(0).random((150, 200)), 1.5)
    found = outline((noise > 0.5).astype(np.uint8))
    write_geojson(tmp_path / "a.geojson", found, UTM, {})
    assert all(polygon.is_valid for polygon in rings(tmp_path / "a.geojson"))
    assert all(polygon.area >= 1 for polygon in found.polygons)


def test_too_many_patches_raise_the_smallest_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "MAX_POLYGONS", 20)
    mask = np.zeros((150, 200), np.uint8)
    mask[::6, ::6] = mask[1::6, ::6] = mask[::6, 1::6] = mask[1::6, 1::6] = 1
    mask[100:150, 100:200] = 1
    found = outline(mask)
    assert len(found.polygons) == 1
    assert found.min_pixels > MIN_PIXELS
    assert f"smaller than {found.min_pixels} pixels" in found.warnings[0]


def test_an_outline_over_the_antimeridian_is_cut_there(tmp_path: Path) -> None:
    to_utm = pyproj.Transformer.from_crs("OGC:CRS84", 32760, always_xy=True)
    x, y = to_utm.transform(179.9, -16.9)
    grid = Frame("fiji", 600, 600, CRS.from_epsg(32760), Affine(50, 0, x, 0, -50, y), True)
    mask = np.zeros((600, 600), np.uint8)
    mask[100:300, 100:500] = 1
    write_geojson(tmp_path / "a.geojson", outline(mask), grid, {})
    (found,) = rings(tmp_path / "a.geojson")
    west, _, east, _ = found.bounds
    assert found.geom_type == "MultiPolygon"
    assert (west, east) == (-180, 180)
    area = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(found)[0]
    assert area == pytest.approx(200 * 400 * 2500, rel=2e-3)


def test_a_geopackage_holds_the_same_outlines(tmp_path: Path) -> None:
    mask = np.zeros((150, 200), np.uint8)
    mask[20:80, 30:110] = mask[100:120, 20:60] = 1
    write_geojson(tmp_path / "a.geojson", outline(mask), UTM, {"target": "water"})
    write_geopackage(tmp_path / "a.gpkg", tmp_path / "a.geojson", layer="water")
    meta, _, geometries, columns = pyogrio.raw.read(tmp_path / "a.gpkg", layer="water")
    assert meta["crs"] == "EPSG:4326"
    assert len(geometries) == 2
    assert set(meta["fields"]) == {"area_m2", "target"}
    assert columns[list(meta["fields"]).index("target")][0] == "water"


def test_no_outline_at_all_is_an_empty_collection(tmp_path: Path) -> None:
    write_geojson(tmp_path / "a.geojson", Outlines([], MIN_PIXELS), UTM, {})
    assert rings(tmp_path / "a.geojson") == []
    write_geopackage(tmp_path / "a.gpkg", tmp_path / "a.geojson", layer="water")
    assert pyogrio.read_info(tmp_path / "a.gpkg")["features"] == 0


def test_an_outline_beyond_the_projection_is_left_out() -> None:
    utm = pyproj.CRS.from_epsg(32632)
    far = Affine(5e6, 0, 3e7, 0, -5e6, 3e7)
    assert to_lonlat(box(0, 0, 2, 2), far, utm).is_empty
