from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio

from terralogue.datasets.errors import InputError
from terralogue.datasets.synthetic import (
    BANDS,
    CLASSES,
    Event,
    make_demo_pair,
    make_demo_scene,
    make_large_scene,
    simulate,
)


def _water_by_index(reflectance: np.ndarray, bands: Sequence[str]) -> np.ndarray:
    green, swir = (reflectance[list(bands).index(name)] for name in ("B03", "B11"))
    return np.asarray((green - swir) / (green + swir) > 0)


def test_a_demo_scene_is_a_georeferenced_sentinel_2_file(tmp_path: Path) -> None:
    path = make_demo_scene(tmp_path / "demo.tif", size=64, date="2023-07-01")
    with rasterio.open(path) as scene:
        assert scene.descriptions == BANDS
        assert scene.crs.to_epsg() == 32633
        assert scene.res == (10.0, 10.0)
        assert scene.dtypes[0] == "uint16"
        assert scene.nodata == 0
        assert scene.read().min() > 0
        assert scene.tags()["ACQUISITION_DATETIME"] == "2023-07-01T10:20:31Z"
        assert "Synthetic" in scene.tags()["DESCRIPTION"]


def test_the_file_holds_the_simulated_reflectance(tmp_path: Path) -> None:
    path = make_demo_scene(tmp_path / "demo.tif", size=64, seed=3)
    with rasterio.open(path) as scene:
        numbers = scene.read()
    np.testing.assert_allclose(numbers / 1e4, simulate(size=64, seed=3).data, atol=1.1e-4)


def test_the_same_seed_gives_the_same_ground_and_another_seed_another() -> None:
    first, again, other = (simulate(size=96, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.data, again.data)
    assert (first.classes != other.classes).mean() > 0.2


def test_every_permanent_class_occurs() -> None:
    scene = simulate(size=256)
    present = {CLASSES[i] for i in np.unique(scene.classes)}
    assert present >= {"water", "tree_cover", "cropland", "grassland", "building", "road"}
    assert not present & {"flooded_area", "burned_area"}


def test_a_water_index_finds_the_true_water_where_the_ground_is_seen() -> None:
    scene = simulate(size=256)
    seen = ~scene.cloud & ~scene.shadow
    found, truth = (
        _water_by_index(scene.data, BANDS) & seen,
        scene.where("water") & seen,
    )
    assert (found & truth).sum() / (found | truth).sum() > 0.85


def test_vegetation_is_red_edged_and_cloud_is_white() -> None:
    scene = simulate(size=256, clouds=0.05)
    red, nir = (scene.band(name) for name in ("B04", "B08"))
    ndvi = (nir - red) / (nir + red)
    lit = ~scene.cloud & ~scene.shadow
    assert np.median(ndvi[scene.where("tree_cover") & lit]) > 0.7
    assert np.median(ndvi[scene.where("building") & lit]) < 0.4
    assert np.median(red[scene.cloud]) > 0.35
    assert 0.02 < scene.cloud.mean() < 0.08


def test_a_shadow_lies_beside_its_cloud_and_is_dark() -> None:
    scene = simulate(size=256, clouds=0.05)
    bare = simulate(size=256, clouds=0)
    assert scene.shadow.any()
    assert not (scene.shadow & scene.cloud).any()
    ratio = scene.data[7] / bare.data[7]
    assert np.median(ratio[scene.shadow]) < 0.75


def test_without_clouds_nothing_is_hidden() -> None:
    scene = simulate(size=64, clouds=0)
    assert not scene.cloud.any()
    assert not scene.shadow.any()


def test_top_of_atmosphere_has_a_cirrus_band_and_a_blue_haze() -> None:
    top, ground = simulate(size=64, level="L1C"), simulate(size=64)
    assert top.bands[10].name == "B10"
    assert len(top.bands) == 13
    assert top.data[1].mean() > ground.data[1].mean() + 0.05


@pytest.mark.parametrize(
    ("event", "became"),
    [("flood", "flooded_area"), ("clearing", "bare_soil"), ("burn", "burned_area")],
)
def test_an_event_changes_only_its_own_ground(event: Event, became: str) -> None:
    before, after = simulate(size=256), simulate(size=256, event=event)
    changed = before.classes != after.classes
    assert 0.005 < changed.mean() < 0.3
    # Pixels on an edge may go to the class of the other half.
    assert after.where(became)[changed].mean() > 0.9


def test_the_cover_of_pixels_adds_up_to_the_area_and_ties_are_halves() -> None:
    scene = simulate(size=192, event="burn", clouds=0)
    share, commonest = scene.cover("burned_area"), scene.where("burned_area")
    assert share.shape == commonest.shape
    # Two cells along a pixel: quarters only.
    assert set(np.unique(share)) <= {0, 0.25, 0.5, 0.75, 1}
    assert commonest[share > 0.5].all()
    assert not commonest[share < 0.25].any()
    assert (share == 0.5).any()
    every = sum(scene.cover(name) for name in CLASSES)
    np.testing.assert_allclose(every, 1)
    with pytest.raises(InputError, match="unknown class 'lava'"):
        scene.cover("lava")


def test_a_pair_shows_the_same_ground_on_two_dates(tmp_path: Path) -> None:
    before, after = make_demo_pair(tmp_path, size=128)
    with rasterio.open(before) as first, rasterio.open(after) as second:
        assert first.transform == second.transform
        assert first.tags()["ACQUISITION_DATETIME"] < second.tags()["ACQUISITION_DATETIME"]
        water = [
            _water_by_index(scene.read().astype(np.float32), scene.descriptions).mean()
            for scene in (first, second)
        ]
    assert water[1] > water[0] + 0.02


def test_a_scene_may_carry_its_truth_as_a_classification_layer(tmp_path: Path) -> None:
    _, after = make_demo_pair(tmp_path, size=256, clouds=0.03, scl=True)
    with rasterio.open(after) as scene:
        assert scene.descriptions == (*BANDS, "SCL")
        layer = scene.read(13)
    truth = simulate(size=256, clouds=0.03, sky=2, event="flood")
    np.testing.assert_array_equal(layer == 9, truth.cloud)
    hidden = truth.cloud | truth.shadow
    np.testing.assert_array_equal(
        (layer == 6) & ~hidden, truth.where("water", "flooded_area") & ~hidden
    )


def test_a_large_scene_mirrors_one_landscape(tmp_path: Path) -> None:
    path = make_large_scene(tmp_path / "large.tif", size=560)
    with rasterio.open(path) as scene:
        assert scene.shape == (560, 560)
        assert scene.descriptions == ("B02", "B03", "B04", "B08")
        last = scene.read(1)[:, 547:551]
    np.testing.assert_array_equal(last[:, 1], last[:, 2])
    np.testing.assert_array_equal(last[:, 0], last[:, 3])
