from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from terralogue.datasets.band_tables import RGB
from terralogue.datasets.bands import Band
from terralogue.datasets.corruptions import (
    CORRUPTIONS,
    SEVERITIES,
    Corruption,
    corrupt,
    moved_boxes,
    parse_corruption,
)
from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import Box
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.tiles import Tile

S2 = SENSORS["sentinel2_l2a"]
THERMAL = Band("B10", 10.9, 0.6, "thermal")
VV = SENSORS["sentinel1_grd"].bands[0]
HEIGHT = Band("height", kind="elevation")
MOVING = ("rotate", "scale", "translate")


def s2(*names: str) -> tuple[Band, ...]:
    return tuple(band for name in names if (band := S2.band(name)) is not None)


MIXED = (*s2("B02", "B03", "B08", "B11", "B12"), THERMAL, VV, HEIGHT)


def mixed(size: int = 64) -> NDArray[np.float32]:
    """Reflectance, kelvins, decibels and metres (8, size, size)."""
    rng = np.random.default_rng(1)
    field = rng.random((8, size, size), dtype=np.float32)
    field[:5] = 0.02 + 0.3 * field[:5]
    field[5], field[6], field[7] = 285 + 10 * field[5], -18 + 8 * field[6], 200 + 50 * field[7]
    return field


def picture(size: int = 96) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:size, :size]
    waves = [np.sin(rows / 7) * np.cos(columns / 5), np.sin(columns / 9), np.cos(rows / 4)]
    return np.asarray(127 + 90 * np.stack(waves), np.uint8)


def tile(bands: tuple[Band, ...] = MIXED, observed: float = 1.0) -> Tile:
    rng = np.random.default_rng(2)
    data = rng.uniform(-0.9, 0.6, (len(bands), 48, 64)).astype(np.float32)
    return Tile(data, bands, observed)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_corruption_keeps_type_shape_and_unit_and_follows_its_seed(name: str) -> None:
    five = Corruption(name, 5)
    for image, bands in ((picture(), RGB), (mixed(), MIXED)):
        once = corrupt(image, five, bands=bands, seed=4)
        assert (once.dtype, once.shape) == (image.dtype, image.shape)
        np.testing.assert_array_equal(once, corrupt(image, five, bands=bands, seed=4))
        assert not np.array_equal(once, image, equal_nan=True)
    before = tile()
    after = corrupt(before, five, seed=4)
    assert after.bands == before.bands
    assert (after.data.dtype, after.data.shape) == (np.float32, before.data.shape)
    assert np.isfinite(after.data).all()
    assert not np.array_equal(after.data, before.data)


@pytest.mark.parametrize(
    "name", ["clouds", "gaps", "gaussian_noise", "salt_and_pepper_noise", "band_dropout"]
)
def test_another_seed_draws_another_image(name: str) -> None:
    images = [corrupt(tile(), Corruption(name, 3), seed=seed).data for seed in range(6)]
    assert len({image.tobytes() for image in images}) > 1


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - {"rotate", "translate"}))
def test_severities_hurt_more_and_more(name: str) -> None:
    clean = picture().astype(float)
    hurt = [
        float(np.abs(corrupt(picture(), Corruption(name, s), bands=RGB, seed=2) - clean).mean())
        for s in SEVERITIES
    ]
    assert hurt == sorted(hurt)
    assert hurt[-1] > hurt[0]


def test_pictures_are_corrupted_by_the_published_formulas() -> None:
    image = picture().astype(float)

    def made(text: str) -> NDArray[Any]:
        return corrupt(picture(), parse_corruption(text), bands=RGB)

    np.testing.assert_allclose(made("haze:5"), 0.4 * image + 0.6 * 255, atol=0.51)
    np.testing.assert_allclose(made("brightness_contrast:3"), 0.6 * image + 51, atol=0.51)
    np.testing.assert_array_equal(made("brightness_contrast:1"), image)
    noisy = made("salt_and_pepper_noise:5")
    assert np.mean((noisy != image) & np.isin(noisy, (0, 255))) == pytest.approx(0.05, abs=0.01)
    assert np.std(made("gaussian_noise:1") - image) == pytest.approx(0.04 * 255, rel=0.05)


def test_haze_fills_blue_more_than_infrared_and_leaves_radar_alone() -> None:
    dark = np.full((4, 8, 8), 0.03, np.float32)
    dark[3] = -12
    bands = (*s2("B02", "B08", "B12"), VV)
    blue, nir, swir, radar = corrupt(dark, parse_corruption("haze:3"), bands=bands)[:, 0, 0]
    assert blue > nir > swir > 0.03
    assert blue > 0.12
    assert swir < 0.06
    assert radar == pytest.approx(-12, abs=1e-3)


def test_haze_takes_contrast_from_what_is_bright_and_dark() -> None:
    image = np.full((1, 2, 2), 0.05, np.float32)
    image[0, 0] = 0.8
    seen = corrupt(image, parse_corruption("haze:5"), bands=s2("B03"))[0]
    assert 0 < seen[0, 0] - seen[1, 0] < 0.4


def test_clouds_are_white_to_the_near_infrared_darker_beyond_and_cold() -> None:
    image = mixed(160)
    seen = corrupt(image, parse_corruption("clouds:5"), bands=MIXED, seed=1)
    changed = np.abs(seen[1] - image[1]) > 0.3
    assert 0.02 < changed.mean() < 0.6
    blue, green, nir, swir16, swir22, kelvin = (
        float(np.percentile(plane[changed], 80)) for plane in seen[:6]
    )
    assert [green, nir] == pytest.approx([blue, blue], abs=0.02)
    assert swir16 / nir == pytest.approx(0.75, abs=0.05)
    assert swir22 / nir == pytest.approx(0.66, abs=0.05)
    assert kelvin < 275
    np.testing.assert_allclose(seen[6:], image[6:], rtol=1e-4)
    np.testing.assert_allclose(seen[:, ~changed][:, :5], image[:, ~changed][:, :5], rtol=1e-3)


def test_stripes_without_data_are_nan_in_floats_and_unobserved_in_tiles() -> None:
    three = parse_corruption("gaps:3")
    stripes = np.isnan(corrupt(mixed(), three, bands=MIXED))
    assert 0 < stripes.mean() < 0.5
    assert (stripes == stripes[0]).all()
    after = corrupt(tile(), three)
    lost = (after.data == 0).all(axis=0)
    assert after.observed == pytest.approx(1 - lost.mean())
    assert (corrupt(picture(), three, bands=RGB) == 0).all(axis=0).any()


def test_what_was_not_observed_stays_so_and_moves_along() -> None:
    image = mixed()
    image[:, 20:30, 20:30] = np.nan
    for name in ("gaussian_blur", "haze", "clouds"):
        seen = corrupt(image, Corruption(name, 3), bands=MIXED)
        np.testing.assert_array_equal(np.isnan(seen), np.isnan(image))
    for name in MOVING:
        hole = np.isnan(corrupt(image, Corruption(name, 1), bands=MIXED)).all(axis=0)
        assert hole.any()
        assert not np.array_equal(hole, np.isnan(image[0]))
    hidden = tile(observed=0.9)
    hidden.data[:, :5] = 0
    assert (corrupt(hidden, parse_corruption("haze:4")).data[:, :5] == 0).all()


def test_an_image_without_any_data_stays_without() -> None:
    nothing = np.full((2, 32, 32), np.nan, np.float32)
    for name in CORRUPTIONS:
        assert np.isnan(corrupt(nothing, Corruption(name, 2), bands=(VV, HEIGHT))).all()


def test_bands_drop_out_whole_and_one_is_always_left() -> None:
    for severity in SEVERITIES:
        after = corrupt(tile(), Corruption("band_dropout", severity))
        dropped = (after.data == 0).all(axis=(1, 2))
        assert 1 <= dropped.sum() < len(MIXED)
        assert after.observed == 1
    with pytest.raises(InputError, match="one band"):
        corrupt(tile((VV,)), parse_corruption("band_dropout:1"))


@pytest.mark.parametrize("name", MOVING)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_boxes_move_with_what_they_hold(name: str, severity: int) -> None:
    image = np.zeros((3, 80, 120), np.uint8)
    image[:, 36:48, 52:70] = 255
    corruption = Corruption(name, severity)
    after = corrupt(image, corruption, bands=RGB, seed=9)
    (box,) = moved_boxes([Box(52, 36, 70, 48)], (120, 80), corruption, seed=9)
    assert box is not None
    rows, columns = np.nonzero(after[0] > 127)
    found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    np.testing.assert_allclose(found, box, atol=1.1)


def test_boxes_may_leave_the_frame_and_stay_where_nothing_moves() -> None:
    seeds = range(20)
    corner = [Box(0, 0, 10, 10)]
    moved = [moved_boxes(corner, (80, 80), parse_corruption("translate:5"), seed=s) for s in seeds]
    assert (None,) in moved
    assert moved_boxes(corner, (80, 80), parse_corruption("haze:5")) == tuple(corner)


def test_what_is_no_corruption_or_no_image_is_refused() -> None:
    assert str(parse_corruption(" haze:3 ")) == "haze:3"
    with pytest.raises(InputError, match=r"unknown corruption 'fog'; the known ones are: bright"):
        parse_corruption("fog:1")
    for text in ("haze", "haze:0", "haze:6", "haze:two"):
        with pytest.raises(InputError, match="severity from 1 to 5; give one, such as haze:3"):
            parse_corruption(text)
    haze = parse_corruption("haze:1")
    with pytest.raises(InputError, match="no bands of its own"):
        corrupt(picture(), haze)
    with pytest.raises(InputError, match="is not one image"):
        corrupt(picture()[None], haze, bands=RGB)
    with pytest.raises(InputError, match="does not go with 8 bands"):
        corrupt(picture(), haze, bands=MIXED)
