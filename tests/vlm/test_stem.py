from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from terralogue.datasets.band_tables import RGB
from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.sensors import SENSORS
from terralogue.vlm.clip import tiny_geoclip
from terralogue.vlm.stem import WavelengthStem, mixing

S2 = SENSORS["sentinel2_l2a"].bands
CLIP = tiny_geoclip()
RNG = np.random.default_rng(0)


def images(bands: tuple[Band, ...], count: int = 2, size: int = 64) -> np.ndarray:
    return RNG.uniform(-1, 1, (count, len(bands), size, size)).astype(np.float32)


def stem_with(weight: torch.Tensor) -> WavelengthStem:
    return WavelengthStem(weight, torch.randn(weight.shape[0]))


def test_an_untrained_stem_convolves_a_picture_as_the_pretrained_stem_does() -> None:
    weight = torch.randn(8, 3, 3, 3)
    stem = stem_with(weight)
    picture = torch.from_numpy(images(RGB, size=10))
    expected = F.conv2d(F.pad(picture, (0, 1, 0, 1)), weight, stem.bias, stride=2)
    # Neighbouring colours leak less than one part in a thousand into each other.
    assert torch.allclose(stem(picture, RGB), expected, atol=2e-2)


def test_red_green_and_blue_stand_for_themselves_in_every_sensor_that_has_them() -> None:
    for sensor in SENSORS.values():
        names = [band.common for band in sensor.bands]
        if not {"R", "G", "B"} <= set(names) or sensor.key == "enmap":
            continue
        weights = mixing(sensor.bands)
        for row, colour in zip(weights, ("R", "G", "B"), strict=True):
            assert names[int(row.argmax())] == colour, sensor.key
            assert row.max() > 0.9, sensor.key


@pytest.mark.parametrize("sensor", ["sentinel2_l2a", "sentinel1_grd", "landsat8", "enmap"])
def test_the_order_of_bands_does_not_change_an_embedding(sensor: str) -> None:
    bands = SENSORS[sensor].bands
    data = images(bands)
    order = RNG.permutation(len(bands))
    straight = CLIP.encode_tiles(data, bands)
    turned = CLIP.encode_tiles(data[:, order], tuple(bands[i] for i in order))
    np.testing.assert_allclose(turned, straight, atol=1e-4)


def test_what_a_band_measures_changes_the_embedding() -> None:
    data = images(S2[:1])
    as_blue = CLIP.encode_tiles(data, S2[1:2])
    as_radar = CLIP.encode_tiles(data, SENSORS["sentinel1_grd"].bands[:1])
    assert np.abs(as_blue - as_radar).max() > 1e-3


def test_radar_without_wavelengths_becomes_a_grey_picture() -> None:
    np.testing.assert_allclose(mixing(SENSORS["sentinel1_grd"].bands[:2]), 0.5)


def test_near_infrared_stands_in_for_red_before_shortwave_infrared_does() -> None:
    near, short = SENSORS["sentinel2_l2a"].band("B08"), SENSORS["sentinel2_l2a"].band("B11")
    assert near is not None
    assert short is not None
    assert mixing((short, near))[0, 1] > 0.99


def test_one_word_is_no_list_of_labels() -> None:
    with pytest.raises(InputError, match="at least two labels"):
        CLIP.classify(images(RGB)[0], "forest", RGB)


def test_a_wavelength_in_nanometres_does_not_become_a_band() -> None:
    with pytest.raises(ValueError, match="micrometres"):
        Band("red", 664.6, 31)
