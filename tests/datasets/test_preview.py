"""Pictures of scenes show what a person expects to see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from terralogue.datasets.preview import preview_size, stretch
from terralogue.datasets.scene import open_scene

WriteRaster = Callable[..., Path]
RGBN = ["B02", "B03", "B04", "B08"]


def _land(size: int = 64) -> NDArray[np.uint16]:
    """Water on the left, vegetation in the middle, soil on the right: B02, B03, B04, B08."""
    data = np.zeros((4, size, size), np.uint16)
    noise = np.random.default_rng(0).integers(0, 60, data.shape)
    third = size // 3
    for part, spectrum in (
        (slice(0, third), (600, 500, 300, 200)),
        (slice(third, 2 * third), (300, 600, 300, 3500)),
        (slice(2 * third, size), (900, 1300, 1800, 2400)),
    ):
        data[:, :, part] = np.array(spectrum)[:, None, None]
    return (data + noise).astype(np.uint16)


def test_true_colour_shows_green_vegetation_and_bright_soil(write_raster: WriteRaster) -> None:
    with open_scene(write_raster("s2_l2a.tif", _land(), names=RGBN)) as scene:
        picture = scene.preview()
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == np.uint8
    vegetation, soil = picture[:, 30].mean(axis=0), picture[:, 60].mean(axis=0)
    assert vegetation[1] > vegetation[0]
    assert soil.mean() > vegetation.mean()
    assert soil[0] > soil[2]


def test_a_cloud_does_not_darken_the_rest(write_raster: WriteRaster) -> None:
    clear = _land()
    cloudy = clear.copy()
    cloudy[:, :16] = 9000
    pictures = []
    for name, data in (("s2_l2a_a.tif", clear), ("s2_l2a_b.tif", cloudy)):
        with open_scene(write_raster(name, data, names=RGBN)) as scene:
            pictures.append(scene.preview()[20:])
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() < 5


def test_false_colour_shows_vegetation_red_where_blue_is_missing(write_raster: WriteRaster) -> None:
    path = write_raster("s2_l2a.tif", _land()[1:], names=RGBN[1:])
    with open_scene(path) as scene:
        picture = scene.preview()
    vegetation = picture[:, 30].mean(axis=0)
    assert vegetation[0] > 200
    assert vegetation[0] > vegetation[1]


def test_unobserved_pixels_are_dark_grey(write_raster: WriteRaster) -> None:
    data = _land()
    data[:, :8] = 0
    with open_scene(write_raster("s2_l2a.tif", data, names=RGBN)) as scene:
        assert (scene.preview()[:8] == 40).all()
    empty = np.zeros((4, 8, 8), np.uint16)
    with open_scene(write_raster("none.tif", empty, names=RGBN), sensor="sentinel2") as scene:
        assert (scene.preview() == 40).all()


def test_pictures_are_shown_as_they_are(write_raster: WriteRaster) -> None:
    data = np.random.default_rng(0).integers(90, 120, (3, 16, 16)).astype(np.uint8)
    with open_scene(write_raster("a.png", data, driver="PNG", crs=None)) as scene:
        np.testing.assert_array_equal(scene.preview(), data.transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("name", "names", "bands"),
    [("s1_db.tif", ["VV", "VH"], 2), ("s1_vv.tif", ["VV"], 1), ("dem.tif", None, 1)],
)
def test_radar_and_relief_have_contrast(
    write_raster: WriteRaster, name: str, names: list[str] | None, bands: int
) -> None:
    ramp = np.linspace(-20, -5, 32 * 32).reshape(1, 32, 32)
    data = np.concatenate([ramp - 6 * i for i in range(bands)]).astype(np.float32)
    with open_scene(write_raster(name, data, names=names)) as scene:
        picture = scene.preview()
    assert picture.shape == (32, 32, 3)
    assert np.ptp(picture.astype(int)) > 80


def test_class_maps_keep_their_colours(write_raster: WriteRaster, tmp_path: Path) -> None:
    from PIL import Image

    image = Image.fromarray(np.repeat([[0, 1]], 2, axis=0).astype(np.uint8), mode="P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.save(tmp_path / "lc.png")
    with open_scene(tmp_path / "lc.png") as scene:
        picture = scene.preview()
    assert picture[0, 0].tolist() == [10, 20, 30]
    assert picture[0, 1].tolist() == [200, 100, 50]


def test_the_longest_side_is_bounded() -> None:
    assert preview_size(10_980, 5490, 1024) == (512, 1024)
    assert preview_size(100, 50, 1024) == (50, 100)
    assert preview_size(100_000, 1, 100) == (1, 100)


def test_a_constant_image_does_not_divide_by_zero() -> None:
    valid = np.ones((4, 4), np.bool_)
    assert stretch(np.full((3, 4, 4), 0.3, np.float32), valid).shape == (3, 4, 4)


def test_bright_roofs_do_not_leave_the_land_in_the_dark() -> None:
    random = np.random.default_rng(0)
    land = random.uniform(0.02, 0.10, (3, 60, 60)).astype(np.float32)
    land[:, :6] = 0.45
    picture = stretch(land, np.ones((60, 60), bool), reflectance=True, jointly=True)
    assert 60 < np.median(picture) < 130
