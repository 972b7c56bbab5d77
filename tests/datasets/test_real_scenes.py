"""Real files, if they are at hand: which sensor, which bands, when and how fine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from terralogue.datasets.errors import SceneError
from terralogue.datasets.scene import open_scene

_SEN2R = "scenes/sen2r_S2_Barbellino"
_L8 = "scenes/rasterframes_L8_NAIP"


@pytest.mark.parametrize(
    ("path", "key", "bands", "gsd", "calibrated"),
    [
        ("scenes/eurosat_ms/Forest_1.tif", "sentinel2_l1c", 13, 10, True),
        (f"{_SEN2R}/S2A1C_20170703_022_Barbellino_TOA_10.tif", "sentinel2_l1c", 12, 10, True),
        (f"{_SEN2R}/S2A2A_20170703_022_Barbellino_BOA_10.tif", "sentinel2_l2a", 11, 10, True),
        (f"{_SEN2R}/S2A2A_20170703_022_Barbellino_RGB843B_10.tif", "rgb_satellite", 3, 10, False),
        (f"{_L8}/m_3607824_se_17_1_20160620_subset.tif", "naip_rgbn", 4, 1, False),
        ("scenes/stars_L7_Olinda/L7_ETMs.tif", "landsat7", 6, 28.5, False),
        ("scenes/stars_L7_Olinda/olinda_dem_utm25s.tif", "elevation", 1, 90, True),
        ("scenes/taizhou_landsat_cd/2000TM", "landsat7", 6, 30, False),
        ("scenes/potsdam_enmap/images/enmap_potsdam_tile_128_0.tif", "enmap", 224, 30, True),
        ("scenes/DOTA_examples/images/P0706.png", "unknown_rgb", 3, None, False),
        ("oscd/images/pisa/imgs_1", "sentinel2_l1c", 13, 10.18, True),
        ("oscd/images/abudhabi/imgs_2", "sentinel2_l1c", 13, 10, True),
        ("sen2ships/klang", "sentinel2_l2a", 5, 9.95, False),
    ],
)
def test_real_scenes_are_recognised(
    data_dir: Path, path: str, key: str, bands: int, gsd: float | None, calibrated: bool
) -> None:
    with open_scene(data_dir / path) as scene:
        assert scene.sensor is not None
        assert scene.sensor.key == key
        assert len(scene.bands) == bands
        assert scene.gsd == (None if gsd is None else pytest.approx(gsd, rel=5e-3))
        assert scene.calibrated == calibrated
        assert scene.recognition.reason
        picture = scene.preview(128)
        assert picture.std() > 10


def test_the_landsat_8_files_become_one_scene(data_dir: Path) -> None:
    with open_scene(sorted((data_dir / _L8).glob("L8-*.tiff"))) as scene:
        assert scene.sensor is not None
        assert scene.sensor.key == "landsat8"
        assert [band.name for band in scene.bands] == [f"B{n}" for n in range(1, 12)]
        assert (scene.width, scene.height) == (186, 169)
        assert scene.quality is not None
        assert scene.quality.kind == "landsat_bqa"
        pixels = scene.read(["G", "N", "T1"])
        masks = scene.read_quality()
    assert 0.03 < np.nanmedian(pixels.data[0]) < 0.15
    assert 0.2 < np.nanmedian(pixels.data[1]) < 0.5
    assert 285 < np.nanmedian(pixels.data[2]) < 310
    assert masks is not None
    assert not masks.cloud.any()


def test_a_folder_that_mixes_scenes_is_not_guessed_at(data_dir: Path) -> None:
    with pytest.raises(SceneError, match="3 scenes"):
        open_scene(data_dir / _L8)


def test_level_2a_sees_through_the_air_that_level_1c_sees(data_dir: Path) -> None:
    blue = []
    for name in (
        "S2A1C_20170703_022_Barbellino_TOA_10.tif",
        "S2A2A_20170703_022_Barbellino_BOA_10.tif",
    ):
        with open_scene(data_dir / _SEN2R / name) as scene:
            blue.append(np.nanmin(scene.read(["B"]).data))
            assert scene.time == datetime(2017, 7, 3, tzinfo=UTC)
    assert blue[1] < 0.03 < 0.08 < blue[0]


def test_all_bands_of_an_oscd_city_lie_on_one_grid(data_dir: Path) -> None:
    with open_scene(data_dir / "oscd/images/pisa/imgs_1") as scene:
        assert scene.time == datetime(2015, 7, 4, tzinfo=UTC)
        pixels = scene.read(["B02", "B05", "B01", "B10"])
        assert pixels.data.shape == (4, scene.height, scene.width)
        assert pixels.valid.mean() > 0.999
        # Neighbouring bands see the same ground.
        assert np.corrcoef(pixels.data[0].ravel(), pixels.data[2].ravel())[0, 1] > 0.7
        assert np.nanmedian(pixels.data[3]) < 0.01


def test_undescribed_eight_bit_scenes_are_asked_about(data_dir: Path) -> None:
    path = data_dir / "scenes/pucallpa_landsat_1985_2020/1985.tif"
    with open_scene(path) as scene:
        assert scene.sensor is None
        assert "landsat5" in scene.recognition.options
        assert scene.time == datetime(1985, 1, 1, tzinfo=UTC)
        assert scene.time_precision == "year"
        assert scene.gsd == pytest.approx(89.2, abs=0.1)
    with open_scene(path, sensor="landsat5:S1,N,R,G") as scene:
        vegetation = scene.read(["N", "R"]).data
        assert np.nanmedian(vegetation[0]) > 3 * np.nanmedian(vegetation[1])
