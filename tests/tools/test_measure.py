"""Areas against independent computations: per pixel, and of the polygonised mask."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.windows import Window
from shapely.geometry import shape

from terralogue.datasets.errors import InputError
from terralogue.tools.grid import Frame, crop, ground_crs, whole
from terralogue.tools.measure import GroundAreas, Tally
from terralogue.tools.tiling import tiles

GRIDS = {
    "utm": (32632, Affine(10, 0, 580560, 0, -10, 5102120), 900, 700),
    "utm far from its meridian": (32633, Affine(30, 0, 166021, 0, -30, 8300000), 300, 300),
    "web mercator": (3857, Affine(9.998, 0, 11281914, 0, -10.001, 340106), 400, 300),
    "web mercator in the north": (3857, Affine(20, 0, 1.1e6, 0, -20, 1.09e7), 300, 200),
    "web mercator of the world": (3857, Affine(1e5, 0, -2.0e7, 0, -1e5, 2.0e7), 400, 400),
    "degrees": (4326, Affine(0.00081, 0, -74.7, 0, -0.00081, -8.3), 400, 300),
    "degrees of the world": (4326, Affine(1, 0, -180, 0, -1, 90), 360, 180),
    "degrees over the antimeridian": (4326, Affine(0.01, 0, 179, 0, -0.01, 60), 200, 100),
    "polar stereographic": (3413, Affine(1000, 0, -3e5, 0, -1000, 3e5), 600, 600),
    "rotated": (
        32631,
        Affine.translation(5e5, 4.8e6) @ Affine.rotation(33) @ Affine.scale(20, -15),
        300,
        200,
    ),
    "feet": (2263, Affine(30, 0, 980000, 0, -30, 200000), 300, 200),
    "other ellipsoid": (31370, Affine(20, 0, 150000, 0, -20, 170000), 300, 200),
}


def frame(name: str) -> Frame:
    epsg, transform, width, height = GRIDS[name]
    return Frame(name, width, height, CRS.from_epsg(epsg), transform, True)


def blob(height: int, width: int) -> NDArray[np.bool_]:
    """An uneven shape with a hole, off the middle."""
    y, x = np.mgrid[0:height, 0:width]
    ring = np.hypot((x - 0.35 * width) / width, (y - 0.4 * height) / height)
    mask: NDArray[np.bool_] = (ring < 0.3) & (ring > 0.1)
    return mask


def independent_area(mask: NDArray[np.bool_], grid: Frame) -> float:
    """Square metres of a mask: its outlines, bent into degrees and measured on the ellipsoid."""
    crs = ground_crs(grid)
    assert crs is not None
    assert crs.geodetic_crs is not None
    to_degrees = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    geod = crs.get_geod()
    assert geod is not None
    total = 0.0
    for outline, _ in rasterio.features.shapes(
        mask.astype(np.uint8), mask=mask, transform=grid.transform
    ):
        dense = shapely.segmentize(shape(outline), abs(grid.transform.determinant) ** 0.5 / 4)
        degrees = shapely.transform(
            dense, lambda xy: np.column_stack(to_degrees.transform(xy[:, 0], xy[:, 1]))
        )
        # Ring by ring: around a pole, degrees do not tell an outline from a hole.
        outer, *holes = [
            abs(geod.polygon_area_perimeter(*ring.xy)[0])
            for ring in (degrees.exterior, *degrees.interiors)
        ]
        total += outer - sum(holes)
    return total


@pytest.mark.parametrize("name", GRIDS)
def test_area_of_a_mask_agrees_with_the_geodesic_area_of_its_outline(name: str) -> None:
    grid = frame(name)
    mask = blob(grid.height, grid.width)
    assert GroundAreas(grid).of(mask, whole(grid)) == pytest.approx(
        independent_area(mask, grid), rel=1e-3
    )


@pytest.mark.parametrize("name", GRIDS)
def test_area_of_single_pixels_agrees_with_their_own_polygon(name: str) -> None:
    grid = frame(name)
    areas = GroundAreas(grid)
    for row, column in [(1, 2), (grid.height // 3, grid.width // 2), (grid.height - 2, 7)]:
        mask = np.zeros((grid.height, grid.width), dtype=np.bool_)
        mask[row, column] = True
        one = areas.of(mask, whole(grid))
        assert one == pytest.approx(independent_area(mask, grid), rel=1e-3)
        window = Window(column, row, 1, 1)
        assert areas.pixels(window)[0, 0] == pytest.approx(one, rel=1e-6)


def test_area_is_the_same_whole_tiled_or_cropped() -> None:
    grid = frame("degrees")
    mask = blob(grid.height, grid.width)
    areas = GroundAreas(grid)
    at_once = areas.of(mask, whole(grid))
    parts = [
        areas.of(mask[tile.core.toslices()], tile.core) for tile in tiles(whole(grid), size=64)
    ]
    assert sum(parts) == pytest.approx(at_once, rel=1e-6)
    window = Window(50, 40, 200, 180)
    inside = mask[window.toslices()]
    assert GroundAreas(crop(grid, window)).of(inside, whole(crop(grid, window))) == pytest.approx(
        areas.of(inside, window), rel=1e-5
    )


def test_a_single_pixel_scene_has_its_area() -> None:
    grid = Frame("one", 1, 1, CRS.from_epsg(32632), Affine(10, 0, 5e5, 0, -10, 5e6), True)
    area = GroundAreas(grid).of(np.ones((1, 1), dtype=np.bool_), whole(grid))
    # The scale on the central meridian is 0.9996.
    assert area == pytest.approx(100 / 0.9996**2, rel=1e-4)


@pytest.mark.parametrize(
    ("unit", "size"), [("m2", 1.0), ("ha", 1e4), ("km2", 1e6), ("acre", 4046.8564224)]
)
def test_measurements_come_in_the_unit_that_was_asked_for(unit: str, size: float) -> None:
    grid = frame("utm")
    tally = Tally(grid, ("region", "observed", "target"))
    region = np.ones((grid.height, grid.width), dtype=np.bool_)
    observed = region.copy()
    observed[:, : grid.width // 2] = False
    mask = blob(grid.height, grid.width) & observed
    tally.add(whole(grid), region=region, observed=observed, target=mask)
    found = {
        each.name: each
        for each in tally.measurements(label="Water", method="test", unit=unit)  # type: ignore[arg-type]
    }
    assert found["area"].unit == unit
    assert found["area"].value == pytest.approx(independent_area(mask, grid) / size, rel=1e-3)
    assert found["share"].value == pytest.approx(100 * mask.sum() / observed.sum(), rel=1e-3)
    assert found["observed_share"].value == pytest.approx(50, rel=1e-3)
    assert found["hidden_area"].value == pytest.approx(
        independent_area(~observed, grid) / size, rel=1e-3
    )


@pytest.mark.parametrize(
    ("crs", "georeferenced", "reason"),
    [
        (None, False, "no coordinate reference system"),
        (CRS.from_epsg(32632), False, "no position"),
        (CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]'), True, "local"),
    ],
)
def test_without_ground_there_are_shares_and_pixels_and_the_reason(
    crs: CRS | None, georeferenced: bool, reason: str
) -> None:
    grid = Frame("photo", 20, 10, crs, Affine.identity(), georeferenced)
    tally = Tally(grid, ("region", "observed", "target"))
    every = np.ones((10, 20), dtype=np.bool_)
    tally.add(whole(grid), region=every, observed=every, target=blob(10, 20))
    found = {each.name: each for each in tally.measurements(label="x", method="y", unit="ha")}
    assert set(found) == {"pixels", "share", "observed_share", "hidden_pixels"}
    assert found["pixels"].unit == "px"
    assert found["pixels"].value == blob(10, 20).sum()
    assert reason in tally.warnings[0]
    with pytest.raises(InputError, match="no ground area"):
        GroundAreas(grid)


def test_nothing_observed_is_an_input_error() -> None:
    grid = frame("utm")
    tally = Tally(grid, ("region", "observed", "target"))
    none = np.zeros((grid.height, grid.width), dtype=np.bool_)
    tally.add(whole(grid), region=~none, observed=none, target=none)
    assert math.isnan(tally.share("target"))
    with pytest.raises(InputError, match="No valid pixel"):
        tally.measurements(label="x", method="y", unit="ha")
