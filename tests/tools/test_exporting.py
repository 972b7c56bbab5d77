"""Results in other formats, and rasters on their way to disk."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import Scene
from terralogue.tools.export import RasterWriter, quiet
from terralogue.tools.exporting import ExportFormat, export
from terralogue.tools.grid import Frame, crop, whole
from terralogue.tools.overlay import Entry, draw_overlay, pixel_size
from terralogue.tools.run import Run
from terralogue.tools.schemas import Artefact
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
GRID = Frame("grid", 700, 600, CRS.from_epsg(32632), Affine(10, 0, 5e5, 0, -10, 5e6), True)
BARE = Frame("bare", 30, 20, None, Affine.identity(), False)
COLOURS = {0: (0, 0, 0, 0), 1: (0, 168, 255, 255), 2: (255, 0, 0, 255)}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"), ("scene",))


def mask_artefact(run: Run, grid: Frame = GRID) -> Artefact:
    mask = np.zeros((grid.height, grid.width), np.uint8)
    mask[2:12, 3:23] = 1
    mask[14:18, 3:9] = 2
    pending = run.artefact("mask", "Water: mask", "water.tif", "image/tiff")
    with RasterWriter(pending.path, grid, dtype="uint8", nodata=255, colours=COLOURS) as writer:
        writer.write(mask, whole(grid))
    return pending.commit()


def test_a_float_raster_written_in_windows_is_one_cloud_optimised_file(tmp_path: Path) -> None:
    data = np.random.default_rng(0).random((2, 600, 700)).astype(np.float32)
    path = tmp_path / "index.tif"
    with RasterWriter(
        path, GRID, dtype="float32", nodata=np.nan, bands=("NDVI", "NDWI"), tags={"A": "b"}
    ) as writer:
        for row in range(0, 600, 200):
            writer.write(data[:, row : row + 200], Window(0, row, 700, 200))
    with rasterio.open(path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.descriptions == ("NDVI", "NDWI")
        assert file.tags()["A"] == "b"
        assert file.overviews(1)
        np.testing.assert_array_equal(file.read(), data)
    assert [each.name for each in tmp_path.iterdir()] == ["index.tif"]


def test_a_raster_whose_writing_fails_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        RasterWriter(tmp_path / "a.tif", GRID, dtype="uint8", nodata=255),
    ):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["cog", "geojson", "geopackage", "csv", "png"])
@pytest.mark.parametrize("grid", [GRID, BARE], ids=["on the ground", "without CRS"])
def test_a_mask_can_be_had_in_every_format(run: Run, form: ExportFormat, grid: Frame) -> None:
    result = export(mask_artefact(run, grid), form, run=run)
    path = Path(result.artefacts[0].path)
    if form == "cog":
        with quiet(), rasterio.open(path) as file:
            assert file.read(1)[3, 4] == 1
    elif form == "geojson":
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        assert sorted(each["properties"]["class"] for each in features) == [1, 2]
    elif form == "geopackage":
        assert pyogrio.read_info(path)["features"] == 2
    elif form == "csv":
        with path.open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        assert [int(row["pixels"]) for row in rows][1:] == [200, 24]
        assert (rows[1]["area_m2"] == "") == (grid is BARE)
        assert bool(result.warnings) == (grid is BARE)
    else:
        with quiet(), rasterio.open(path) as file:
            assert file.count == 4
            assert tuple(file.read()[:, 3, 4]) == (0, 168, 255, 255)


def test_outlines_become_a_table_or_a_geopackage(run: Run) -> None:
    outlines = export(mask_artefact(run), "geojson", run=run).artefacts[0]
    table = export(outlines, "csv", run=run).artefacts[0]
    assert "area_m2" in Path(table.path).read_text(encoding="utf-8").splitlines()[0]
    assert pyogrio.read_info(export(outlines, "geopackage", run=run).artefacts[0].path)


def test_what_cannot_be_is_refused_with_what_can(run: Run) -> None:
    pending = run.artefact("index", "NDVI", "ndvi.tif", "image/tiff")
    with RasterWriter(pending.path, GRID, dtype="float32", nodata=np.nan) as writer:
        writer.write(np.random.default_rng(0).random((600, 700)).astype(np.float32), whole(GRID))
    index = pending.commit()
    assert export(index, "png", run=run).format == "png"
    with pytest.raises(InputError, match=r"NDVI cannot be exported as geojson.*cog, png"):
        export(index, "geojson", run=run)


def test_the_size_of_a_pixel_is_in_metres_on_any_grid() -> None:
    assert pixel_size(GRID) == pytest.approx((10, 10), rel=1e-3)
    degrees = Frame("d", 100, 100, CRS.from_epsg(4326), Affine(1e-4, 0, 9, 0, -1e-4, 60), True)
    size = pixel_size(degrees)
    assert size is not None
    assert size[0] / size[1] == pytest.approx(0.5, rel=0.01)
    assert pixel_size(BARE) is None


def test_a_picture_shows_the_mask_in_its_colour(make_scene: MakeScene, tmp_path: Path) -> None:
    random = np.random.default_rng(0).uniform(0.05, 0.3, (3, 90, 60)).astype(np.float32)
    scene = make_scene("scene", dict(zip(("B02", "B03", "B04"), random, strict=True)))
    mask = np.zeros((45, 30), np.uint8)
    mask[10:30, 5:25] = 1
    mask[:5] = 254
    entries = [Entry(1, "#00a8ff", "Water: 1 ha"), Entry(254, "#ffffff", "Hidden", hatched=True)]
    path = tmp_path / "a.png"
    window = Window(0, 45, 30, 45)
    draw_overlay(path, scene, window, mask, entries, title="Water", note="how " * 100)
    with quiet(), rasterio.open(path) as file:
        picture = file.read().astype(int)
    inside = picture[:3, 400:500, 400:600].mean(axis=(1, 2))
    outside = picture[:3, 1250:1350, 400:600].mean(axis=(1, 2))
    assert inside[2] - inside[0] > 60 > outside[2] - outside[0]
    assert crop(scene, window).height == 45
