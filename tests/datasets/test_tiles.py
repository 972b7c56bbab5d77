from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from terralogue.datasets.band_tables import RGB
from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import open_scene
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.synthetic import make_demo_scene
from terralogue.datasets.tiles import TileReader, normalise, scene_tile

S2 = SENSORS["sentinel2_l2a"].bands


@pytest.fixture(scope="module")
def scene_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo_scene(tmp_path_factory.mktemp("tiles") / "s2.tif", size=96)


def test_black_and_white_become_minus_one_and_one_in_every_unit() -> None:
    picture = np.array([0, 255, 0], np.uint8).reshape(3, 1, 1)
    assert normalise(picture, RGB).ravel().tolist() == [-1, 1, -1]
    land = np.array([0.0, 0.3], np.float32).reshape(2, 1, 1)
    assert normalise(land, S2[:2]).ravel().tolist() == [-1, 1]
    radar = np.array([-28.0, 2.0], np.float32).reshape(2, 1, 1)
    np.testing.assert_allclose(
        normalise(radar, SENSORS["sentinel1_grd"].bands[:2]).ravel(), [-1, 1], atol=1e-6
    )


def test_snow_stays_brighter_than_sand_without_blinding_the_rest() -> None:
    sand, snow = normalise(np.array([0.4, 0.9], np.float32).reshape(2, 1, 1), S2[:2]).ravel()
    assert 1 < sand < snow < 4


def test_numbers_without_a_unit_are_refused() -> None:
    with pytest.raises(InputError, match="no unit"):
        normalise(np.zeros((3, 4, 4), np.uint16), RGB)
    with pytest.raises(InputError, match="3 bands"):
        normalise(np.zeros((4, 4, 4), np.uint8), RGB)


def test_a_tile_has_the_shape_of_its_window_and_at_most_the_wanted_size(scene_path: Path) -> None:
    with open_scene(scene_path) as scene:
        whole = scene_tile(scene, size=48)
        wide = TileReader(scene, size=64).read(Window(0, 0, 32, 16))
    assert whole.data.shape == (12, 48, 48)
    assert whole.observed == 1
    assert wide.data.shape == (12, 16, 32)


def test_a_large_scene_is_averaged_and_not_thinned_out(tmp_path: Path) -> None:
    path = tmp_path / "checks.png"
    checks = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    with rasterio.open(
        path, "w", driver="PNG", width=256, height=256, count=3, dtype="uint8"
    ) as target:
        target.write(np.stack([checks] * 3))
    with open_scene(path) as scene:
        tile = scene_tile(scene, size=64)
    assert np.abs(tile.data).max() < 0.02


def test_what_no_ground_can_be_is_not_observed() -> None:
    dem = SENSORS["elevation"].bands
    heights = np.array([[100.0, 300.0], [-3.4e38, np.inf]], np.float32)[None]
    tile = normalise(heights, dem)[0]
    assert tile[0].tolist() == [-1, 1]
    assert np.isnan(tile[1]).all()
    masked = np.ma.masked_equal(np.array([[-9999.0, 0.3]], np.float32)[None], -9999)
    assert np.isnan(normalise(masked, S2[:1])[0, 0, 0])


def test_a_picture_with_floats_to_255_is_not_taken_for_reflectance() -> None:
    with pytest.raises(InputError, match="no reflectance"):
        normalise(np.full((3, 4, 4), 130.0, np.float32), RGB)


@pytest.mark.parametrize(("value", "expected"), [(250, 0.96), (0, -1.0)])
def test_a_plain_picture_keeps_its_brightness(tmp_path: Path, value: int, expected: float) -> None:
    path = tmp_path / "plain.png"
    with rasterio.open(
        path, "w", driver="PNG", width=8, height=8, count=3, dtype="uint8"
    ) as target:
        target.write(np.full((3, 8, 8), value, np.uint8))
    with open_scene(path) as scene:
        np.testing.assert_allclose(scene_tile(scene).data, expected, atol=0.01)


def test_temperatures_beside_reflectance_leave_the_reflectance_alone(tmp_path: Path) -> None:
    path = tmp_path / "LC08_reflectance.tif"
    planes = np.full((8, 8, 8), 0.15, np.float32)
    planes[7] = 300
    with rasterio.open(
        path, "w", driver="GTiff", width=8, height=8, count=8, dtype="float32"
    ) as target:
        target.write(planes)
        for i, name in enumerate(("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B10"), 1):
            target.set_band_description(i, name)
    for sensor in ("landsat8", "hls_l30"):
        with open_scene(path, sensor=f"{sensor}:B1,B2,B3,B4,B5,B6,B7,B10") as scene:
            tile = scene_tile(scene)
        np.testing.assert_allclose(tile.data[:7], 0, atol=1e-5)
        np.testing.assert_allclose(tile.data[7], 0.25, atol=1e-3)


def test_the_same_ground_looks_the_same_in_reflectance_and_in_stretched_numbers(
    scene_path: Path, tmp_path: Path
) -> None:
    with rasterio.open(scene_path) as source:
        profile, numbers = source.profile, source.read()
    profile.update(driver="GTiff", count=4, nodata=None)
    raw = tmp_path / "planet.tif"
    with rasterio.open(raw, "w", **profile) as target:
        target.write(numbers[[1, 2, 3, 7]] // 3)
    with open_scene(raw, sensor="worldview_rgbn") as scene, open_scene(scene_path) as whole:
        stretched = scene_tile(scene).data
        known = scene_tile(whole, bands=["B", "G", "R", "N"]).data
    assert -1.5 <= stretched.min() <= -0.9
    assert 0.9 <= stretched.max() <= 2.5
    for ours, theirs in zip(stretched, known, strict=True):
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9


def test_a_constant_band_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = tmp_path / "flat.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=8, height=8, count=4, dtype="uint16"
    ) as target:
        target.write(np.full((4, 8, 8), 900, np.uint16))
    with open_scene(path, sensor="worldview_rgbn") as scene:
        assert np.isfinite(scene_tile(scene).data).all()
