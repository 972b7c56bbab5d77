"""Stored numbers become physical ones, or the scene says that it cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from terralogue.datasets.scene import open_scene

WriteRaster = Callable[..., Path]
Reflectance = Callable[..., NDArray[np.uint16]]
RGBN = ["B02", "B03", "B04", "B08"]


def test_scale_and_offset_of_the_file_are_honoured(
    write_raster: WriteRaster, reflectance: Reflectance
) -> None:
    data = reflectance(4)
    path = write_raster("s2_l2a_N0509.tif", data, names=RGBN)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales = (1e-4,) * 4
        dataset.offsets = (-0.1,) * 4
    with open_scene(path) as scene:
        assert scene.calibrated
        np.testing.assert_allclose(scene.read(["G"]).data[0], data[1] * 1e-4 - 0.1, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "tags", "offset"),
    [
        ("S2B_MSIL2A_20230703T102021_N0509_R065_T32TPP.tif", {}, -0.1),
        ("S2B_MSIL2A_20210703T102021_N0301_R065_T32TPP.tif", {}, 0.0),
        ("s2_l2a.tif", {"PROCESSING_BASELINE": "05.10"}, -0.1),
        ("s2_l2a.tif", {"PROCESSING_BASELINE": "02.14"}, 0.0),
    ],
)
def test_sentinel_2_offset_follows_the_processing_baseline(
    write_raster: WriteRaster,
    reflectance: Reflectance,
    name: str,
    tags: dict[str, str],
    offset: float,
) -> None:
    data = reflectance(4)
    with open_scene(write_raster(name, data, names=RGBN, tags=tags)) as scene:
        np.testing.assert_allclose(scene.read(["R"]).data[0], data[2] * 1e-4 + offset, atol=1e-6)
        assert not any("baseline" in warning for warning in scene.warnings)


def test_an_unknown_baseline_is_warned_of_where_it_matters(
    write_raster: WriteRaster, reflectance: Reflectance
) -> None:
    bright = reflectance(4) + np.uint16(1000)
    path = write_raster("s2_l2a.tif", bright, names=RGBN)
    with open_scene(path, time=datetime(2023, 7, 3, tzinfo=UTC)) as scene:
        assert any("baseline" in warning for warning in scene.warnings)
    with open_scene(path, time=datetime(2020, 7, 3, tzinfo=UTC)) as scene:
        assert not any("baseline" in warning for warning in scene.warnings)
    # Numbers this low cannot have had 1000 added.
    path = write_raster("s2_l2a_dark.tif", reflectance(4), names=RGBN)
    with open_scene(path, time=datetime(2023, 7, 3, tzinfo=UTC)) as scene:
        assert not any("baseline" in warning for warning in scene.warnings)


@pytest.mark.parametrize(
    ("factor", "dtype"), [(1e-4, np.float32), (1.0, np.float32), (1.0, np.uint16)]
)
def test_reflectance_is_recognised_in_either_scale(
    write_raster: WriteRaster, reflectance: Reflectance, factor: float, dtype: type
) -> None:
    data = reflectance(4)
    path = write_raster("a.tif", (data * factor).astype(dtype), names=RGBN)
    with open_scene(path) as scene:
        assert scene.calibrated
        assert scene.unit == "reflectance"
        np.testing.assert_allclose(scene.read(["B"]).data[0], data[0] * 1e-4, rtol=1e-3)


def test_stretched_numbers_stay_uncalibrated(write_raster: WriteRaster) -> None:
    data = np.random.default_rng(0).integers(100, 65_535, (4, 32, 32)).astype(np.uint16)
    with open_scene(write_raster("a.tif", data, names=RGBN)) as scene:
        assert not scene.calibrated
        assert scene.unit == "DN"
        assert any("not calibrated" in warning for warning in scene.warnings)
        np.testing.assert_array_equal(scene.read(["B"]).data[0], data[0])


def test_eight_bit_landsat_is_labelled_uncalibrated(write_raster: WriteRaster) -> None:
    data = np.random.default_rng(0).integers(9, 255, (6, 16, 16)).astype(np.uint8)
    with open_scene(write_raster("L7_ETMs.tif", data)) as scene:
        assert not scene.calibrated
        assert scene.unit == "DN"
        assert any("8-bit" in warning for warning in scene.warnings)


def test_landsat_numbers_from_before_collection_2_are_times_10000(
    write_raster: WriteRaster, reflectance: Reflectance
) -> None:
    data = reflectance(7).astype(np.int16)
    with open_scene(write_raster("x.tif", data), sensor="landsat8") as scene:
        np.testing.assert_allclose(scene.read(["G"]).data[0], data[2] * 1e-4, rtol=1e-5)


def test_thermal_level_1_becomes_kelvin(write_raster: WriteRaster) -> None:
    paths = [
        write_raster(f"L8-{band}-Elkton.tif", np.full((1, 4, 4), value, np.uint16))
        for band, value in (("B4", 9000), ("B9", 5060), ("B10", 27_403))
    ]
    with open_scene(paths) as scene:
        kelvin = scene.read(["T1"]).data
        red = scene.read(["R"]).data
    assert kelvin == pytest.approx(297.6, abs=0.2)
    assert red == pytest.approx(0.08, abs=1e-6)


def test_linear_radar_power_becomes_decibels(write_raster: WriteRaster) -> None:
    power = np.full((2, 8, 8), 0.1, np.float32)
    power[1] = 0.01
    power[0, 0] = 0
    with open_scene(write_raster("s1.tif", power, names=["VV", "VH"])) as scene:
        assert scene.sensor is not None
        assert scene.sensor.key == "sentinel1_grd"
        assert scene.unit == "dB"
        assert any("converted to decibels" in warning for warning in scene.warnings)
        pixels = scene.read(["VV", "VH"])
    assert pixels.data[0, 1:] == pytest.approx(-10, abs=1e-4)
    assert pixels.data[1] == pytest.approx(-20, abs=1e-4)
    assert not pixels.valid[0].any()


def test_radar_in_decibels_is_left_as_it_is(write_raster: WriteRaster) -> None:
    data = np.full((1, 8, 8), -11.5, np.float32)
    data[0, 0] = -99
    path = write_raster("S1A__IW___A_20150309T173017_VV_grd_db.tif", data)
    with open_scene(path) as scene:
        assert scene.calibrated
        pixels = scene.read(["VV"])
    assert pixels.data[0, 1:] == pytest.approx(-11.5)
    assert not pixels.valid[0].any()


def test_radar_amplitudes_stay_uncalibrated(write_raster: WriteRaster) -> None:
    data = np.random.default_rng(0).integers(20, 900, (1, 16, 16)).astype(np.uint16)
    with open_scene(write_raster("s1a-iw-grd-vv-20200101t053000.tif", data)) as scene:
        assert not scene.calibrated
        assert scene.unit == "DN"


def test_commercial_numbers_stay_uncalibrated(write_raster: WriteRaster) -> None:
    data = np.random.default_rng(0).integers(100, 2047, (4, 16, 16)).astype(np.uint16)
    names = ["blue", "green", "red", "nir"]
    with open_scene(write_raster("ortho.tif", data, names=names)) as scene:
        assert scene.has("R", "N")
        assert not scene.calibrated
    with open_scene(write_raster("20200115_1105_3B_AnalyticMS.tif", data)) as scene:
        assert scene.sensor is not None
        assert scene.sensor.key == "planetscope"
        assert not scene.calibrated
