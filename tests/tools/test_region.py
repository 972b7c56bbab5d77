"""Regions from boxes and GeoJSON, on grids of every kind."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyproj
import pytest
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from terralogue.datasets.errors import RegionError
from terralogue.tools.grid import Frame, whole
from terralogue.tools.measure import GroundAreas
from terralogue.tools.region import Region, place

UTM = Frame("utm", 400, 300, CRS.from_epsg(32632), Affine(10, 0, 5e5, 0, -10, 5e6), True)
PHOTO = Frame("photo.png", 100, 80, None, Affine.identity(), False)


def polygon(*points: tuple[float, float]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[list(point) for point in (*points, points[0])]]}


def lonlat_box(grid: Frame, left: float, top: float, right: float, bottom: float) -> list[float]:
    """The box in degrees around two pixel corners."""
    assert grid.crs is not None
    to_degrees = pyproj.Transformer.from_crs(grid.crs.to_wkt(), "OGC:CRS84", always_xy=True)
    west, north = to_degrees.transform(*(grid.transform @ (left, top)))
    east, south = to_degrees.transform(*(grid.transform @ (right, bottom)))
    return [west, south, east, north]


def test_no_region_is_the_whole_scene() -> None:
    placed = place(None, UTM)
    assert placed.window == whole(UTM)
    assert placed.mask(Window(390, 0, 10, 5)).all()


def test_a_box_in_degrees_has_its_geodesic_area_on_a_utm_scene() -> None:
    box = lonlat_box(UTM, 60, 40, 300, 200)
    placed = place(Region.parse(box), UTM)
    ring = pyproj.Geod(ellps="WGS84").polygon_area_perimeter(
        [box[0], box[2], box[2], box[0]], [box[1], box[1], box[3], box[3]]
    )
    mask = placed.mask(placed.window)
    assert GroundAreas(UTM).of(mask, placed.window) == pytest.approx(ring[0], rel=5e-3)
    assert placed.warnings == ()


def test_masks_of_parts_are_parts_of_the_mask() -> None:
    region = Region.parse(lonlat_box(UTM, 60, 40, 300, 200))
    everything = region.mask(UTM, whole(UTM))
    part = Window(50, 30, 64, 64)
    assert np.array_equal(region.mask(UTM, part), everything[part.toslices()])
    placed = place(region, UTM)
    assert everything[placed.window.toslices()].sum() == everything.sum()


def test_the_crs_member_of_older_geojson_is_honoured() -> None:
    square = polygon((500100, 4999000), (501100, 4999000), (501100, 4998000), (500100, 4998000))
    for member in (
        {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}},
        "EPSG:32632",
    ):
        placed = place(Region.parse({**square, "crs": member}), UTM)
        assert placed.window == Window(10, 100, 100, 100)
    feature = {"type": "Feature", "properties": {}, "geometry": square}
    collection = {"type": "FeatureCollection", "features": [feature], "crs": "EPSG:32632"}
    assert place(Region.parse(json.dumps(collection)), UTM).mask(placed.window).all()


def test_a_rotated_grid_takes_the_pixels_whose_centres_lie_inside() -> None:
    transform = Affine.translation(5e5, 5e6) @ Affine.rotation(30) @ Affine.scale(10, -10)
    grid = Frame("turned", 200, 200, CRS.from_epsg(32632), transform, True)
    corners = [transform @ corner for corner in ((50, 60), (150, 60), (150, 90), (50, 90))]
    region = Region.parse({**polygon(*corners), "crs": "EPSG:32632"})
    mask = region.mask(grid, whole(grid))
    assert mask[60:90, 50:150].all()
    assert mask.sum() == 30 * 100


def test_a_region_partly_outside_is_clipped_with_a_warning() -> None:
    placed = place(Region.parse(lonlat_box(UTM, -100, -100, 200, 150)), UTM)
    assert "outside" in placed.warnings[0]
    assert (placed.window.col_off, placed.window.row_off) == (0, 0)
    assert placed.window.width in (200, 201)


@pytest.mark.parametrize("epsg", [32632, 3857, 4326, 3413])
def test_the_whole_world_as_a_region_is_the_whole_scene(epsg: int) -> None:
    step = 0.001 if epsg == 4326 else 100.0
    place_of = {32632: (5e5, 5e6), 3857: (1e6, 6e6), 4326: (9.0, 45.0), 3413: (-1e4, 1e4)}[epsg]
    grid = Frame(
        "g", 200, 200, CRS.from_epsg(epsg),
        Affine(step, 0, place_of[0], 0, -step, place_of[1]), True,
    )  # fmt: skip
    placed = place(Region.parse([-180, -90, 180, 90]), grid)
    assert placed.window == whole(grid)
    assert placed.mask(whole(grid)).all()


def test_the_exact_bounds_of_the_scene_are_not_partly_outside() -> None:
    grid = Frame("d", 200, 100, CRS.from_epsg(4326), Affine(0.01, 0, 9, 0, -0.01, 45), True)
    placed = place(Region.parse([9.0, 44.0, 11.0, 45.0]), grid)
    assert placed.warnings == ()
    assert placed.mask(whole(grid)).all()


@pytest.mark.parametrize("first_longitude", [179.0, -181.0])
def test_a_box_over_the_antimeridian_lands_on_both_sides(first_longitude: float) -> None:
    grid = Frame(
        "fiji", 200, 100, CRS.from_epsg(4326), Affine(0.01, 0, first_longitude, 0, -0.01, -16), True
    )
    mask = Region.parse([179.5, -16.5, -179.5, -16.2]).mask(grid, whole(grid))
    assert mask[20:50, 50:150].all()
    assert mask.sum() == 30 * 100


def test_a_box_over_the_antimeridian_lands_on_a_utm_scene() -> None:
    to_utm = pyproj.Transformer.from_crs("OGC:CRS84", 32760, always_xy=True)
    x, y = to_utm.transform(179.9, -16.9)
    grid = Frame("fiji", 600, 600, CRS.from_epsg(32760), Affine(50, 0, x, 0, -50, y), True)
    mask = Region.parse([179.95, -17.1, -179.95, -17.0]).mask(grid, whole(grid))
    ring = pyproj.Geod(ellps="WGS84").polygon_area_perimeter(
        [179.95, -179.95, -179.95, 179.95], [-17.1, -17.1, -17.0, -17.0]
    )
    assert GroundAreas(grid).of(mask, whole(grid)) == pytest.approx(abs(ring[0]), rel=0.01)


def test_a_region_smaller_than_a_pixel_is_the_pixel_it_touches() -> None:
    square = polygon((500101, 4999992), (500103, 4999992), (500103, 4999993), (500101, 4999993))
    placed = place(Region.parse({**square, "crs": "EPSG:32632"}), UTM)
    assert placed.mask(whole(UTM)).sum() == 1
    assert placed.mask(whole(UTM))[0, 10]
    assert "narrower than a pixel" in placed.warnings[0]


def test_a_self_intersecting_outline_is_repaired() -> None:
    bow_tie = polygon((10, 10), (50, 50), (50, 10), (10, 50))
    mask = Region.parse(bow_tie).mask(PHOTO, whole(PHOTO))
    assert mask.sum() == pytest.approx(800, abs=30)


def test_a_scene_without_crs_takes_columns_and_rows() -> None:
    placed = place(Region.parse([10, 20, 30, 50]), PHOTO)
    assert placed.window == Window(10, 20, 20, 30)
    with pytest.raises(RegionError, match="100 columns and 80 rows"):
        place(Region.parse([110, 20, 130, 50]), PHOTO)
    square = {**polygon((0, 0), (1, 0), (1, 1)), "crs": "EPSG:4326"}
    with pytest.raises(RegionError, match="not georeferenced"):
        place(Region.parse(square), PHOTO)


@pytest.mark.parametrize(
    "box", [[20.0, 45.0, 20.1, 45.1], [-170.0, -45.0, -160.0, -40.0], [45.0, 9.0, 45.1, 9.1]]
)
def test_a_region_outside_names_where_the_scene_is(box: list[float]) -> None:
    with pytest.raises(RegionError, match=r"outside utm, which is around 9\.0.*, 45\.1"):
        place(Region.parse(box), UTM)


def test_metres_without_a_crs_member_are_explained() -> None:
    with pytest.raises(RegionError, match="'crs' member"):
        place(Region.parse([500100, 4998000, 501100, 4999000]), UTM)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("not json", "not JSON"),
        ([1, 2, 3], "four numbers"),
        ([1, 2, float("nan"), 3], "not finite"),
        ([1, 5, 2, 4], "empty"),
        ([300, 1, 200, 2], "west side east of"),
        (3, "must be GeoJSON"),
        ({}, "not valid GeoJSON"),
        ({"type": "Circle"}, "not valid GeoJSON"),
        ({"type": "Feature", "geometry": None}, "no area"),
        ({"type": "FeatureCollection", "features": []}, "no area"),
        ({"type": "Point", "coordinates": [9, 45]}, "no area .found: Point"),
        ({"type": "Polygon", "coordinates": []}, "no area"),
        (polygon((9, 45), (10, 45), (9, 45)), "no area"),
        ({"type": "Polygon", "coordinates": [[["a", "b"]] * 4]}, "not valid GeoJSON"),
        ({**polygon((0, 0), (1, 0), (1, 1)), "crs": "EPSG:0"}, "'crs' member"),
        ({**polygon((0, 0), (1, 0), (1, 1)), "crs": {"type": "link"}}, "'crs' member"),
    ],
)
def test_what_is_no_region_is_refused_with_the_reason(value: Any, says: str) -> None:
    with pytest.raises(RegionError, match=says):
        Region.parse(value)


def test_brackets_without_end_are_an_error_and_no_crash() -> None:
    with pytest.raises(RegionError, match="not JSON"):
        Region.parse("[" * 100_000)
