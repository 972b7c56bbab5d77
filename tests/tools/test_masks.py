"""Small patches left out, and quick looks at coarse pixels: what `segment` says and measures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import Scene
from terralogue.tools.coarse_scene import CoarseScene, coarser
from terralogue.tools.export import quiet
from terralogue.tools.region import Region
from terralogue.tools.run import Run
from terralogue.tools.schemas import Segmentation
from terralogue.tools.segment import segment
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
WATER = {"B03": 0.05, "B08": 0.02}
LAND = {"B03": 0.04, "B08": 0.40}


def lakes(
    shape: tuple[int, int], *places: tuple[int, int, int, int]
) -> dict[str, NDArray[np.float32]]:
    """Two bands of land with lakes: top, left, height and width in pixels of 10 m."""
    bands = {}
    for name, value in LAND.items():
        bands[name] = np.full(shape, value, np.float32)
        for top, left, height, width in places:
            bands[name][top : top + height, left : left + width] = WATER[name]
    return bands


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"), ("scene",))


def value(result: Segmentation, name: str) -> float:
    return next(each.value for each in result.measurements if each.name == name)


def read_mask(result: Segmentation) -> NDArray[np.uint8]:
    with quiet(), rasterio.open(result.artefacts[0].path) as file:
        mask: NDArray[np.uint8] = file.read(1)
    return mask


def test_patches_below_the_minimum_area_are_in_no_figure_and_this_is_said(
    make_scene: MakeScene, run: Run
) -> None:
    # 25 ha, 1 ha, and two pixels that touch at a corner only.
    bands = lakes((80, 80), (10, 10, 50, 50), (70, 5, 10, 10), (0, 0, 1, 1), (1, 1, 1, 1))
    scene = make_scene("lakes", bands)
    whole = segment(scene, "water", run=run)
    assert value(whole, "area") == pytest.approx(26.02, rel=0.002)
    large = segment(scene, "water", run=run, minimum_area=1.5)
    assert value(large, "area") == pytest.approx(25, rel=0.002)
    assert value(large, "observed_share") == 100
    assert (large.polygons, int((read_mask(large) == 1).sum())) == (1, 2500)
    assert "patches below 1.5 ha (150 pixels) left out" in large.method
    assert any(text.startswith("3 patches smaller than 1.5 ha") for text in large.warnings)
    in_km = segment(scene, "water", run=run, minimum_area=0.005, unit="km2")
    assert value(in_km, "area") == pytest.approx(0.26, rel=0.002)


def test_a_hole_is_no_patch_and_stays(make_scene: MakeScene, run: Run) -> None:
    bands = lakes((60, 60), (10, 10, 40, 40))
    for name, values in bands.items():
        values[30, 30] = LAND[name]
    result = segment(make_scene("island", bands), "water", run=run, minimum_area=1)
    assert int((read_mask(result) == 1).sum()) == 1599


def test_without_ground_the_minimum_is_in_pixels(make_scene: MakeScene, run: Run) -> None:
    bands = lakes((60, 60), (10, 10, 20, 20), (50, 50, 3, 3))
    result = segment(make_scene("photo", bands, crs=None), "water", run=run, minimum_area=10)
    assert value(result, "pixels") == 400
    assert "patches below 10 pixels left out" in result.method


@pytest.mark.parametrize("area", [-1, float("nan")])
def test_a_minimum_that_is_no_area_is_an_input_error(
    make_scene: MakeScene, run: Run, area: float
) -> None:
    with pytest.raises(InputError, match="minimum area"):
        segment(make_scene("s", lakes((20, 20))), "water", run=run, minimum_area=area)


def test_a_quick_look_measures_about_the_same_on_coarse_pixels_and_says_so(
    make_scene: MakeScene, run: Run
) -> None:
    scene = make_scene("large", lakes((1500, 2100), (300, 400, 600, 900), (1200, 1800, 1, 1)))
    result = segment(scene, "water", run=run, quick=True)
    assert value(result, "area") == pytest.approx(600 * 900 / 100, rel=0.01)
    assert result.title == "Water (quick look)"
    assert (result.model, result.why.partition(";")[0]) == ("ndwi", "the rule, for a quick look")
    assert "quick look at pixels of 30 m" in result.method
    assert result.warnings[0].startswith("This is a quick look at pixels of 30 m instead of 10 m")
    with rasterio.open(result.artefacts[0].path) as file:
        assert file.shape == (500, 700)
        assert file.bounds == pytest.approx(
            rasterio.transform.array_bounds(1500, 2100, scene.transform)
        )


def test_a_quick_look_keeps_to_the_region(make_scene: MakeScene, run: Run) -> None:
    scene = make_scene("large", lakes((1500, 2100), (300, 400, 600, 900)))
    x, y = scene.transform @ (400, 300)
    ring = [[x, y], [x + 3000, y], [x + 3000, y - 3000], [x, y - 3000], [x, y]]
    region = Region.parse({"type": "Polygon", "coordinates": [ring], "crs": "EPSG:32632"})
    result = segment(scene, "water", run=run, quick=True, region=region)
    assert value(result, "area") == pytest.approx(900, rel=0.02)
    assert value(result, "share") == pytest.approx(100, abs=2)


def test_a_small_scene_is_looked_at_as_it_is(make_scene: MakeScene, run: Run) -> None:
    scene = make_scene("small", lakes((60, 60), (10, 10, 20, 20)))
    assert coarser(scene) is scene
    result = segment(scene, "water", run=run, quick=True)
    assert (result.title, value(result, "area")) == ("Water", pytest.approx(4, rel=0.002))


def test_a_coarse_scene_reads_means_and_leaves_the_files_open(make_scene: MakeScene) -> None:
    random = np.random.default_rng(0).random((40, 60)).astype(np.float32)
    scene = make_scene("noise", {"B03": random, "B08": random})
    coarse = CoarseScene(scene, 4)
    assert (coarse.height, coarse.width) == (10, 15)
    assert coarse.gsd == pytest.approx(40, rel=0.001)
    mean = random.reshape(10, 4, 15, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(coarse.read(["G"]).data[0], mean, atol=2e-4)
    window = rasterio.windows.Window(3, 2, 5, 4)
    part = coarse.read(["G"], window).data[0]
    np.testing.assert_allclose(part, mean[window.toslices()], atol=2e-4)
    coarse.close()
    with pytest.raises(InputError, match="not inside"):
        coarse.read(["G"], rasterio.windows.Window(10, 0, 6, 1))
    assert scene.read(["G"]).data.shape == (1, 40, 60)
