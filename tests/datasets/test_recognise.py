"""Sensors are recognised with a reason, asked about where several fit, and never guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from numpy.typing import NDArray

from terralogue.datasets.errors import InputError, SceneError
from terralogue.datasets.scene import Scene, open_scene

WriteRaster = Callable[..., Path]
Reflectance = Callable[..., NDArray[np.uint16]]

S2_13 = [f"B{n:02d}" for n in range(1, 9)] + ["B8A", "B09", "B10", "B11", "B12"]


def _key(scene: Scene) -> str | None:
    return scene.sensor.key if scene.sensor else None


def test_described_sentinel_2_bands_are_recognised(
    write_raster: WriteRaster, reflectance: Reflectance
) -> None:
    with open_scene(write_raster("a.tif", reflectance(13), names=S2_13)) as scene:
        assert _key(scene) == "sentinel2_l1c"
        assert "Sentinel-2" in scene.recognition.reason
        assert scene.recognition.question is None
    names = [name for name in S2_13 if name != "B10"]
    with open_scene(write_raster("b.tif", reflectance(12), names=names)) as scene:
        assert _key(scene) == "sentinel2_l2a"


def test_ten_metre_bands_alone_state_that_the_level_is_assumed(
    write_raster: WriteRaster, reflectance: Reflectance
) -> None:
    path = write_raster("a.tif", reflectance(4), names=["B02", "B03", "B04", "B08"])
    with open_scene(path) as scene:
        assert _key(scene) == "sentinel2_l2a"
        assert any("level is not stated" in warning for warning in scene.warnings)
    dark = reflectance(4)
    dark[0, :8] = 200
    path = write_raster("b.tif", dark, names=["B02", "B03", "B04", "B08"])
    with open_scene(path) as scene:
        assert "darker" in scene.recognition.reason
        assert scene.warnings == ()


@pytest.mark.parametrize(("cirrus", "last"), [(9, "B8A"), (10, "B12")])
def test_the_order_of_thirteen_bands_is_read_from_the_cirrus_band(
    write_raster: WriteRaster, reflectance: Reflectance, cirrus: int, last: str
) -> None:
    data = reflectance(13)
    data[cirrus] = 9
    with open_scene(write_raster("chip.tif", data)) as scene:
        assert _key(scene) == "sentinel2_l1c"
        assert scene.bands[cirrus].name == "B10"
        assert scene.bands[-1].name == last


def test_thirteen_bands_without_that_evidence_are_asked_about(
    write_raster: WriteRaster, reflectance: Reflectance
) -> None:
    with open_scene(write_raster("chip.tif", reflectance(13))) as scene:
        assert scene.sensor is None
        assert scene.recognition.question is not None


@pytest.mark.parametrize("count", [4, 5, 6, 7, 8])
def test_undescribed_bands_are_asked_about(
    write_raster: WriteRaster, reflectance: Reflectance, count: int
) -> None:
    with open_scene(write_raster("stack.tif", reflectance(count))) as scene:
        assert scene.sensor is None
        assert [band.name for band in scene.bands] == [f"band_{i + 1}" for i in range(count)]
        assert all(band.wavelength is None for band in scene.bands)
        question = scene.recognition.question or ""
        assert f"{count} bands without names" in question
        assert scene.recognition.options
        assert not scene.calibrated


def test_the_answer_may_be_a_sensor_with_the_order_of_its_bands(write_raster: WriteRaster) -> None:
    path = write_raster("1985.tif", np.full((4, 8, 8), 90, np.uint8))
    with open_scene(path, sensor="landsat5:S1,N,R,G") as scene:
        assert [band.name for band in scene.bands] == ["B5", "B4", "B3", "B2"]
        assert not scene.calibrated
        assert scene.has("N", "G")
    with open_scene(path, sensor="landsat8:swir1,N,red,green") as scene:
        assert scene.band("N").name == "B5"
    with pytest.raises(SceneError, match=r"as in landsat5:B,G,R,N"):
        open_scene(path, sensor="landsat5")
    with pytest.raises(SceneError, match="no band Q"):
        open_scene(path, sensor="landsat5:S1,N,R,Q")
    with pytest.raises(SceneError, match="4 bands in the file"):
        open_scene(path, sensor="landsat5:S1,N,R")
    with pytest.raises(InputError, match="valid sensors"):
        open_scene(path, sensor="sputnik")


@pytest.mark.parametrize(
    ("sensor", "count", "first"),
    [
        ("landsat5", 6, "B1"),
        ("landsat8", 7, "B1"),
        ("planetscope", 4, "blue"),
        ("naip", 4, "red"),
        ("sentinel2", 10, "B02"),
        ("hls_s30", 6, "B02"),
    ],
)
def test_a_stated_sensor_names_bands_in_its_usual_order(
    write_raster: WriteRaster, reflectance: Reflectance, sensor: str, count: int, first: str
) -> None:
    with open_scene(write_raster("x.tif", reflectance(count)), sensor=sensor) as scene:
        assert scene.bands[0].name == first
        assert "stated" in scene.recognition.reason


@pytest.mark.parametrize(
    ("name", "count", "dtype", "key"),
    [
        ("L7_ETMs.tif", 6, np.uint8, "landsat7"),
        ("LC09_L2SP_044034_20220614_20220627_02_T1.tif", 7, np.uint16, "landsat9"),
        ("m_3607824_se_17_1_20160620.tif", 4, np.uint8, "naip_rgbn"),
        ("20200115_103022_1105_3B_AnalyticMS_SR.tif", 4, np.uint16, "planetscope"),
        ("20220115_103022_1105_3B_AnalyticMS_SR_8b.tif", 8, np.uint16, "planetscope_8b"),
        ("IMG_PHR1A_PMS_201202250025599.tif", 4, np.uint16, "pleiades"),
        ("GF2_PMS1_E113.tif", 4, np.uint16, "gaofen2"),
        ("WV02_scene.tif", 8, np.uint16, "worldview2"),
        ("S2A2A_20170703_022_Place_BOA_10.tif", 11, np.uint16, "sentinel2_l2a"),
        ("MOD09A1.A2015123.h08v05.tif", 7, np.int16, "modis"),
    ],
)
def test_product_names_settle_undescribed_bands(
    write_raster: WriteRaster, name: str, count: int, dtype: type, key: str
) -> None:
    data = np.random.default_rng(0).integers(40, 200, (count, 32, 32)).astype(dtype)
    with open_scene(write_raster(name, data)) as scene:
        assert _key(scene) == key
        assert "named" in scene.recognition.reason


def test_sen2r_files_have_no_band_8a_at_ten_metres(
    write_raster: WriteRaster, reflectance: Reflectance
) -> None:
    with open_scene(write_raster("S2A1C_20170703_022_Place_TOA_10.tif", reflectance(12))) as scene:
        assert [band.name for band in scene.bands][7:] == ["B08", "B09", "B10", "B11", "B12"]
    coarse = Affine(20, 0, 6e5, 0, -20, 48e5)
    path = write_raster("S2A2A_20170703_022_Place_BOA_20.tif", reflectance(11), transform=coarse)
    with open_scene(path) as scene:
        assert [band.name for band in scene.bands][7:] == ["B8A", "B09", "B11", "B12"]


def test_plain_band_names_are_known_although_the_sensor_is_not(
    write_raster: WriteRaster, reflectance: Reflectance
) -> None:
    names = ["coastal", "blue", "green", "red", "nir", "swir16", "swir22"]
    path = write_raster("11.tif", reflectance(7).astype(np.int16), names=names, crs=None)
    with open_scene(path) as scene:
        assert scene.sensor is None
        assert scene.has("A", "B", "G", "R", "N", "S1", "S2")
        assert scene.calibrated
        assert {"sentinel2_l2a", "landsat8"} <= set(scene.recognition.options)


def test_wavelengths_in_nanometres_or_micrometres_are_read(
    write_raster: WriteRaster, reflectance: Reflectance
) -> None:
    names = ["band 1 (482.5 Nanometers)", "band 2 (0.565 Micrometers)", "band 3 (660 nm)"]
    with open_scene(write_raster("ETM_cut.tif", reflectance(3), names=names)) as scene:
        assert _key(scene) == "landsat7"
        assert [band.common for band in scene.bands] == ["B", "G", "R"]
    with open_scene(write_raster("cut.tif", reflectance(3), names=names)) as scene:
        assert scene.sensor is None
        assert [band.common for band in scene.bands] == ["B", "G", "R"]
        assert scene.bands[2].wavelength == pytest.approx(0.66)


@pytest.mark.parametrize(
    ("metres", "key"), [(0.1, "rgb_aerial"), (0.5, "unknown_rgb"), (10, "rgb_satellite")]
)
def test_colour_pictures_are_told_apart_only_by_evidence(
    write_raster: WriteRaster, metres: float, key: str
) -> None:
    data = np.random.default_rng(0).integers(0, 255, (3, 16, 16)).astype(np.uint8)
    path = write_raster("tile.tif", data, transform=Affine(metres, 0, 6e5, 0, -metres, 48e5))
    with open_scene(path) as scene:
        assert _key(scene) == key
        assert [band.common for band in scene.bands] == ["R", "G", "B"]
        assert not scene.calibrated
        assert scene.unit == "DN"


def test_grey_pictures_open_without_a_question(write_raster: WriteRaster) -> None:
    data = np.random.default_rng(0).integers(0, 255, (1, 32, 32)).astype(np.uint8)
    with open_scene(write_raster("pan.png", data, driver="PNG", crs=None)) as scene:
        assert scene.sensor is None
        assert scene.bands[0].name == "grey"
        assert scene.recognition.question is None


@pytest.mark.parametrize(
    "name", ["place_NDVI_10.tif", "labels.tif", "S2A2A_20170703_022_Place_SCL_10.tif"]
)
def test_derived_products_are_called_so(write_raster: WriteRaster, name: str) -> None:
    data = np.random.default_rng(0).integers(-900, 900, (1, 32, 32)).astype(np.int16)
    with open_scene(write_raster(name, data)) as scene:
        assert scene.sensor is None
        assert "derived product" in scene.recognition.reason
        assert scene.recognition.question is None


def test_an_elevation_model_is_known_by_its_name(write_raster: WriteRaster) -> None:
    data = np.random.default_rng(0).normal(100, 30, (1, 32, 32)).astype(np.float32)
    with open_scene(write_raster("olinda_dem_utm.tif", data)) as scene:
        assert _key(scene) == "elevation"
        assert scene.unit == "m"
    with open_scene(write_raster("surface.tif", data)) as scene:
        assert scene.sensor is None
        assert "elevation" in scene.recognition.options


def test_landsat_5_and_7_surface_reflectance_differ_only_in_the_satellite(
    write_raster: WriteRaster, reflectance: Reflectance
) -> None:
    names = ["SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7"]
    path = write_raster("export.tif", reflectance(6) + np.uint16(7000), names=names)
    with open_scene(path) as scene:
        assert scene.sensor is None
        assert scene.recognition.options == ("landsat5", "landsat7")
        assert scene.has("N", "S1", "S2")
    with open_scene(path, sensor="landsat7") as scene:
        assert scene.calibrated
    names[5:] = ["SR_B6"]
    with open_scene(write_raster("oli.tif", reflectance(6), names=names)) as scene:
        assert _key(scene) == "landsat8"


def test_horizontal_polarisation_is_not_taken_for_sentinel_1(write_raster: WriteRaster) -> None:
    data = np.random.default_rng(0).normal(-12, 2, (2, 32, 32)).astype(np.float32)
    with open_scene(write_raster("a.tif", data, names=["HH", "HV"])) as scene:
        assert scene.sensor is None
        assert scene.recognition.question is not None
    with open_scene(write_raster("b.tif", data, names=["Sigma0_VV_db", "Sigma0_VH_db"])) as scene:
        assert _key(scene) == "sentinel1_grd"
