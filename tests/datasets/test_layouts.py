"""Folders and lists of one-band files become one scene on one grid."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from numpy.typing import NDArray

from terralogue.datasets.errors import SceneError
from terralogue.datasets.names import folder_title
from terralogue.datasets.scene import open_scene

WriteRaster = Callable[..., Path]
Reflectance = Callable[..., NDArray[np.uint16]]


def _transform(metres: float) -> Affine:
    return Affine(metres, 0, 600_000, 0, -metres, 4_800_000)


def _flat(size: int, value: int) -> NDArray[np.uint16]:
    return np.full((1, size, size), value, np.uint16)


@pytest.fixture
def safe(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """A Sentinel-2 L2A product of baseline 05.09 with three resolutions and SCL."""
    product = "S2B_MSIL2A_20230703T102021_N0509_R065_T32TPP_20230703T131313.SAFE"
    images = f"{product}/GRANULE/L2A_T32TPP_A032977/IMG_DATA"
    name = "T32TPP_20230703T102021"
    for metres, size, bands in (
        (10, 24, ("B02", "B03", "B04", "B08")),
        (20, 12, ("B02", "B05", "B11", "B8A")),
        (60, 4, ("B01", "B02", "B09")),
    ):
        for band in bands:
            path = f"{images}/R{metres}m/{name}_{band}_{metres}m.jp2"
            data = _flat(size, 2000 + metres)
            write_raster(
                path,
                data,
                driver="JP2OpenJPEG",
                transform=_transform(metres),
                QUALITY="100",
                REVERSIBLE="YES",
            )
    scl = np.full((1, 12, 12), 4, np.uint8)
    scl[0, :6, :6] = 9
    scl[0, 6:, :6] = 3
    scl[0, :, 11] = 0
    write_raster(
        f"{images}/R20m/{name}_SCL_20m.jp2", scl, driver="JP2OpenJPEG", transform=_transform(20),
        QUALITY="100", REVERSIBLE="YES",
    )  # fmt: skip
    write_raster(
        f"{images}/R10m/{name}_TCI_10m.jp2", np.zeros((3, 24, 24), np.uint8), driver="JP2OpenJPEG"
    )
    (tmp_path / product / "MTD_MSIL2A.xml").write_text(
        "<n1:Level-2A_User_Product><PRODUCT_START_TIME>2023-07-03T10:20:21.024Z</PRODUCT_START_TIME>"
        "<PROCESSING_BASELINE>05.09</PROCESSING_BASELINE>"
        '<BOA_ADD_OFFSET band_id="0">-1000</BOA_ADD_OFFSET>'
        '<BOA_ADD_OFFSET band_id="1">-1000</BOA_ADD_OFFSET></n1:Level-2A_User_Product>',
        encoding="utf-8",
    )
    return tmp_path / product


def test_a_safe_product_opens_with_every_band_at_its_finest_resolution(safe: Path) -> None:
    with open_scene(safe) as scene:
        assert scene.sensor is not None
        assert scene.sensor.key == "sentinel2_l2a"
        assert [band.name for band in scene.bands] == [
            "B01", "B02", "B03", "B04", "B05", "B08", "B8A", "B09", "B11",
        ]  # fmt: skip
        assert (scene.width, scene.height) == (24, 24)
        assert scene.gsd == pytest.approx(10, rel=0.002)
        assert scene.time == datetime(2023, 7, 3, 10, 20, 21, 24_000, tzinfo=UTC)
        assert scene.time_precision == "second"


def test_the_offset_of_processing_baseline_04_is_taken_off(safe: Path) -> None:
    with open_scene(safe) as scene:
        pixels = scene.read(["B02", "B11", "B01"])
    assert pixels.data[0] == pytest.approx(0.101)
    assert pixels.data[1] == pytest.approx(0.102)
    assert pixels.data[2] == pytest.approx(0.106)
    assert pixels.valid.all()


def test_the_scene_classification_marks_cloud_shadow_and_nodata(safe: Path) -> None:
    with open_scene(safe) as scene:
        assert scene.quality is not None
        assert scene.quality.kind == "scl"
        quality = scene.read_quality()
    assert quality is not None
    assert quality.cloud.shape == (24, 24)
    assert quality.cloud[:12, :12].all()
    assert quality.cloud.sum() == 144
    assert quality.shadow[12:, :12].all()
    assert quality.nodata[:, 22:].all()
    assert not (quality.cloud & quality.nodata).any()


def test_landsat_level_2_files_become_reflectance_kelvin_and_quality(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    name = "LC08_L2SP_044034_20170614_20200903_02_T1"
    for number in range(1, 8):
        write_raster(f"{name}/{name}_SR_B{number}.TIF", _flat(8, 10_000), transform=_transform(30))
    write_raster(f"{name}/{name}_ST_B10.TIF", _flat(8, 42_000), transform=_transform(30))
    write_raster(f"{name}/{name}_SR_QA_AEROSOL.TIF", _flat(8, 1).astype(np.uint8))
    quality = _flat(8, 21_824)
    quality[0, :2] = 22_280
    quality[0, 2:4] = 23_888
    quality[0, 7] = 1
    write_raster(f"{name}/{name}_QA_PIXEL.TIF", quality, transform=_transform(30))
    with open_scene(tmp_path / name) as scene:
        assert scene.sensor is not None
        assert scene.sensor.key == "landsat8"
        assert scene.calibrated
        pixels = scene.read(["G", "T1"])
        masks = scene.read_quality()
        assert scene.time == datetime(2017, 6, 14, tzinfo=UTC)
        assert scene.time_precision == "day"
    assert pixels.data[0] == pytest.approx(10_000 * 2.75e-5 - 0.2, abs=1e-6)
    assert pixels.data[1] == pytest.approx(42_000 * 0.00341802 + 149, abs=1e-3)
    assert masks is not None
    assert masks.cloud[:2].all()
    assert masks.shadow[2:4].all()
    assert not masks.cloud[2:].any()
    assert masks.nodata[7].all()


def test_landsat_level_1_uses_its_mtl_file(write_raster: WriteRaster, tmp_path: Path) -> None:
    name = "LC08_L1TP_044034_20170614_20170627_02_T1"
    for number in (3, 4, 5):
        write_raster(f"{name}/{name}_B{number}.TIF", _flat(8, 10_000), transform=_transform(30))
    write_raster(f"{name}/{name}_B8.TIF", _flat(16, 9_000), transform=_transform(15))
    (tmp_path / name / f"{name}_MTL.txt").write_text(
        'GROUP = L1\n    DATE_ACQUIRED = 2017-06-14\n    SCENE_CENTER_TIME = "18:33:10.1Z"\n'
        "    SUN_ELEVATION = 30.0\n    REFLECTANCE_MULT_BAND_3 = 2.0000E-05\n"
        "    REFLECTANCE_ADD_BAND_3 = -0.100000\nEND_GROUP = L1\n",
        encoding="utf-8",
    )
    with open_scene(tmp_path / name) as scene:
        assert scene.time == datetime(2017, 6, 14, 18, 33, 10, tzinfo=UTC)
        green = scene.read(["G"])
        # The panchromatic band does not drag the scene to 15 m.
        assert (scene.width, scene.height) == (8, 8)
        assert scene.read(["B8"]).data.shape == (1, 8, 8)
    assert green.data[0] == pytest.approx(0.1 / 0.5, abs=1e-6)


def test_a_list_with_a_sibling_quality_file_uses_it(
    write_raster: WriteRaster, reflectance: Reflectance
) -> None:
    image = write_raster("S2A2A_20170703_022_Place_BOA_10.tif", reflectance(11, 8))
    scl = np.full((1, 4, 4), 8, np.uint8)
    mask = write_raster("S2A2A_20170703_022_Place_SCL_10.tif", scl, transform=_transform(20))
    with open_scene([image, mask]) as scene:
        assert scene.quality is not None
        masks = scene.read_quality()
    assert masks is not None
    assert masks.cloud.all()
    with open_scene(image) as alone:
        assert alone.quality is None
        assert alone.read_quality() is None


def test_files_of_two_scenes_in_one_list_are_refused(write_raster: WriteRaster) -> None:
    first = write_raster("a/T32TPP_20180211T102141_B04.tif", _flat(8, 900))
    second = write_raster("b/T32TPP_20190211T102141_B04.tif", _flat(8, 900))
    with pytest.raises(SceneError, match="different scenes"):
        open_scene([first, second])


def test_bands_of_unrelated_places_are_refused(write_raster: WriteRaster) -> None:
    first = write_raster("B03.tif", _flat(8, 900))
    second = write_raster("B04.tif", _flat(8, 900), transform=Affine(10, 0, 7e5, 0, -10, 5e6))
    with pytest.raises(SceneError, match="same ground"):
        open_scene([first, second])


def test_bands_without_coordinates_have_to_have_one_size(write_raster: WriteRaster) -> None:
    first = write_raster("B03.tif", _flat(8, 900), crs=None)
    second = write_raster("B04.tif", _flat(9, 900), crs=None)
    with pytest.raises(SceneError, match="size"):
        open_scene([first, second])


def test_bands_in_another_reference_system_are_warped(write_raster: WriteRaster) -> None:
    first = write_raster("B03.tif", _flat(40, 900))
    # About the same ground in degrees.
    degrees = Affine(0.0002, 0, 10.2255, 0, -0.0002, 43.3482)
    second = write_raster("B04.tif", _flat(60, 1800), crs="EPSG:4326", transform=degrees)
    with open_scene([first, second]) as scene:
        pixels = scene.read(["R"])
        assert (scene.width, scene.height) == (40, 40)
    assert pixels.valid.mean() > 0.5
    assert pixels.data[0][pixels.valid] == pytest.approx(0.18)


def test_ground_that_one_band_does_not_cover_is_invalid(write_raster: WriteRaster) -> None:
    first = write_raster("B03.tif", _flat(20, 900))
    second = write_raster("B04.tif", _flat(12, 900))
    with open_scene([first, second]) as scene:
        assert (scene.width, scene.height) == (20, 20)
        both = scene.read(["G", "R"])
    assert both.valid[:12, :12].all()
    assert not both.valid[12:].any()
    assert np.isnan(both.data[1, 15, 15])


def test_a_folder_without_images_says_so(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("nothing", encoding="utf-8")
    with pytest.raises(SceneError, match="no image file"):
        open_scene(tmp_path)


def test_a_folder_of_several_scenes_lists_them(write_raster: WriteRaster, tmp_path: Path) -> None:
    for year in (1985, 1995):
        write_raster(f"{year}.tif", np.ones((3, 4, 4), np.uint8))
    with pytest.raises(SceneError, match=r"2 scenes \(1985\.tif, 1995\.tif\)"):
        open_scene(tmp_path)


def test_an_oscd_folder_takes_its_date_from_the_file_beside_it(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    old = "S2A_OPER_MSI_L1C_TL_EPA__20160809T015434_A000162_T32TPP"
    for band in ("B02", "B03", "B04"):
        write_raster(f"pisa/imgs_1/{old}_{band}.tif", _flat(8, 1200))
    with open_scene(tmp_path / "pisa/imgs_1") as scene:
        # The date in the old granule names is that of processing.
        assert scene.time is None
        assert any("processing" in warning for warning in scene.warnings)
    (tmp_path / "pisa/dates.txt").write_text(
        "date_1: 20150704\ndate_2: 20180211\n", encoding="utf-8"
    )
    with open_scene(tmp_path / "pisa") as scene:
        assert scene.time == datetime(2015, 7, 4, tzinfo=UTC)
        assert scene.sensor is not None
        assert scene.sensor.key == "sentinel2_l1c"


def test_an_envi_header_leads_to_its_data(write_raster: WriteRaster, tmp_path: Path) -> None:
    path = write_raster("l5_scene.img", np.full((6, 8, 8), 60, np.uint8), driver="ENVI")
    for given in (path, path.with_suffix(".hdr"), [path, path.with_suffix(".hdr")]):
        with open_scene(given) as scene:
            assert scene.sensor is not None
            assert scene.sensor.key == "landsat5"
            assert scene.paths == (path.resolve(),)
    path.unlink()
    with pytest.raises(SceneError, match="without its data file"):
        open_scene(path.with_suffix(".hdr"))


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(SceneError, match="list of files is empty"):
        open_scene([])


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("pisa/imgs_1", "pisa imgs_1"),
        ("L2A_T32TNS/IMG_DATA/R10m", "L2A_T32TNS R10m"),
        ("flood/before", "flood before"),
        ("elba", "elba"),
    ],
)
def test_a_folder_that_tells_nothing_is_named_with_its_parent(
    tmp_path: Path, path: str, title: str
) -> None:
    assert folder_title(tmp_path / path) == title
