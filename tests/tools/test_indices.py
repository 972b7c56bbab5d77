"""An index raster, its figures, and when there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from terralogue.datasets.errors import InputError, MissingBandError
from terralogue.datasets.scene import Scene, open_scene
from terralogue.datasets.synthetic import make_demo_scene
from terralogue.tools.indices import compute_index
from terralogue.tools.region import Region
from terralogue.tools.run import Run
from terralogue.tools.schemas import IndexResult
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
_NAMES = ("B04", "B08")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"), ("scene",))


def figures(result: IndexResult) -> dict[str, float]:
    return {each.name: each.value for each in result.measurements}


def test_the_raster_and_the_figures_are_those_of_the_formula(
    make_scene: MakeScene, run: Run
) -> None:
    random = np.random.default_rng(0)
    bands = {name: random.uniform(0.05, 0.5, (90, 130)).astype(np.float32) for name in _NAMES}
    bands["B04"][:9] = np.nan
    scene = make_scene("scene", bands)
    result = compute_index(scene, "ndvi", run=run)
    red, infrared = scene.read(["R", "N"]).data
    expected = (infrared - red) / (infrared + red)
    with rasterio.open(result.artefacts[0].path) as raster:
        values = raster.read(1)
        assert raster.dtypes == ("float32",)
        assert np.isnan(raster.nodata)
        assert raster.crs == scene.crs
        assert raster.transform == scene.transform
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    seen = np.isfinite(values)
    assert seen.mean() == pytest.approx(0.9)
    np.testing.assert_allclose(values[seen], expected[seen], atol=1e-5)
    told = figures(result)
    assert told["mean"] == pytest.approx(values[seen].mean(), abs=1e-5)
    assert told["p95"] == pytest.approx(np.percentile(values[seen], 95), abs=1e-5)
    assert told["observed_share"] == pytest.approx(100 * seen.mean(), abs=0.1)
    assert result.index == "NDVI"
    assert all(each.artefact == result.artefacts[0].id for each in result.measurements)
    assert Path(result.artefacts[1].path).stat().st_size > 1000


def test_the_part_with_the_weakest_growth_is_named(make_scene: MakeScene, run: Run) -> None:
    bands = {name: np.full((60, 60), level, np.float32) for name, level in
             zip(_NAMES, (0.05, 0.4), strict=True)}  # fmt: skip
    bands["B08"][:20, 40:] = 0.1
    result = compute_index(make_scene("field", bands), "NDVI", run=run)
    assert result.lowest_in == "upper right"
    assert figures(result)["lowest_part"] == pytest.approx(1 / 3, abs=1e-4)
    assert result.highest_in != "upper right"


def test_only_the_region_is_computed(make_scene: MakeScene, run: Run) -> None:
    left = np.full((40, 60), 0.1, np.float32)
    right = left.copy()
    right[:, 30:] = 0.3
    scene = make_scene("halves", {"B04": left, "B08": right})
    assert scene.bounds_wgs84 is not None
    west, south, east, north = scene.bounds_wgs84
    middle = (west + east) / 2 + (east - west) * 0.02
    box = Region.parse([middle, south, east, north])
    result = compute_index(scene, "NDVI", run=run, region=box)
    assert figures(result)["mean"] == pytest.approx(0.5, abs=1e-3)
    with rasterio.open(result.artefacts[0].path) as raster:
        assert raster.width < 32


def test_cloud_is_left_out_where_it_can_be_told(tmp_path: Path, run: Run) -> None:
    pytest.importorskip("ukis_csmask")
    path = make_demo_scene(tmp_path / "demo.tif", size=256, clouds=0.3)
    result = compute_index(open_scene(path), "NDVI", run=run)
    assert figures(result)["observed_share"] < 95
    assert "cloud" in result.method


def test_raw_numbers_are_labelled(make_scene: MakeScene, run: Run) -> None:
    bands = {name: np.full((30, 30), 100.0, np.float32) for name in "RGB"}
    bands["N"] = np.full((30, 30), 150.0, np.float32)
    scene = make_scene("naip", bands, sensor="naip_rgbn", dtype="uint8")
    result = compute_index(scene, "NDVI", run=run)
    assert figures(result)["mean"] == pytest.approx(0.2)
    assert "on uncalibrated digital numbers" in result.method
    assert any("uncalibrated digital numbers" in text for text in result.warnings)


def test_infrared_is_missed_on_a_colour_picture(make_scene: MakeScene, run: Run) -> None:
    bands = {name: np.full((30, 30), 100.0, np.float32) for name in "RGB"}
    scene = make_scene("picture", bands, sensor="unknown_rgb", dtype="uint8")
    with pytest.raises(MissingBandError, match="no band N"):
        compute_index(scene, "NDVI", run=run)


def test_no_pixel_is_no_result_and_leaves_no_file(make_scene: MakeScene, tmp_path: Path) -> None:
    empty = np.full((30, 30), np.nan, np.float32)
    scene = make_scene("empty", {"B04": empty, "B08": empty})
    store = Store(tmp_path / "workspace")
    with pytest.raises(InputError, match="No valid pixel"), Run(store) as run:
        compute_index(scene, "NDVI", run=run)
    assert store.artefacts() == []


def test_a_misprinted_formula_is_computed_as_published_and_said(
    make_scene: MakeScene, run: Run
) -> None:
    flat = {"B03": 0.05, "B08": 0.02, "B11": 0.01, "B12": 0.04}
    bands = {name: np.full((8, 8), value, np.float32) for name, value in flat.items()}
    result = compute_index(make_scene("lake", bands), "awei", run=run)
    expected = 4 * (0.05 - 0.01) - (0.25 * 0.02 + 2.75 * 0.04)
    assert figures(result)["mean"] == pytest.approx(expected, abs=1e-6)
    assert result.index == "AWEInsh"
    assert any("wrong sign" in text for text in result.warnings)
