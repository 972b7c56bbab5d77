"""Season, sun and view angle are compared, and what changed is told from what to what."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from terralogue.datasets.scene import Scene, open_scene
from terralogue.tools.change import detect_change
from terralogue.tools.change_comparable import comparability, solar_position, sun_of, track_of
from terralogue.tools.run import Run
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
NAMES = ("B03", "B04", "B08", "B11", "B12")
MEADOW = (0.09, 0.05, 0.40, 0.20, 0.10)
WATER = (0.06, 0.04, 0.03, 0.01, 0.01)


@pytest.mark.parametrize(
    ("latitude", "day", "hour", "elevation", "azimuth"),
    [
        # At noon of a solstice the sun stands 23.44 degrees from the equator.
        (50.0, datetime(2021, 6, 21, tzinfo=UTC), 12.0, 63.4, 180.0),
        (50.0, datetime(2021, 12, 21, tzinfo=UTC), 12.0, 16.6, 180.0),
        (-35.0, datetime(2021, 12, 21, tzinfo=UTC), 12.0, 78.4, 0.0),
        # At an equinox it rises in the east.
        (0.0, datetime(2021, 3, 20, tzinfo=UTC), 6.0, 0.0, 90.0),
    ],
)
def test_the_sun_stands_where_the_almanac_has_it(
    latitude: float, day: datetime, hour: float, elevation: float, azimuth: float
) -> None:
    found = solar_position(latitude, day, hour)
    assert found[0] == pytest.approx(elevation, abs=0.5)
    assert abs((found[1] - azimuth + 180) % 360 - 180) < 1


def flat(make_scene: MakeScene, name: str, time: str) -> Scene:
    bands = {band: np.full((40, 40), 0.2, np.float32) for band in NAMES}
    return make_scene(name, bands, time=time)


def test_another_season_and_a_lower_sun_are_said(make_scene: MakeScene) -> None:
    june, july = flat(make_scene, "june", "2020-06-20"), flat(make_scene, "july", "2021-07-02")
    winter = flat(make_scene, "winter", "2021-12-20")
    assert comparability(june, july) == []
    said = comparability(june, winter)
    assert "6 months apart" in said[0]
    assert "The sun stood at" in said[1]
    assert "usual time of passing" in said[1]
    assert len(comparability(june, winter, seasonal=False)) == 1


def test_the_metadata_beside_a_landsat_scene_tell_the_sun(tmp_path: Path) -> None:
    path = tmp_path / "LC08_L1TP_192027_20200620_B4.TIF"
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint16", "width": 8, "height": 8}
    profile |= {"crs": "EPSG:32632", "transform": Affine(30, 0, 6e5, 0, -30, 5e6)}
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.full((1, 8, 8), 9000, np.uint16))
    (tmp_path / "LC08_L1TP_192027_20200620_MTL.txt").write_text(
        "SUN_ELEVATION = 61.5\nSUN_AZIMUTH = 140.25\n", encoding="utf-8"
    )
    with open_scene(path, sensor="landsat8:R") as scene:
        sun = sun_of(scene)
        assert sun is not None
        assert sun == (61.5, 140.25, "metadata")
        assert track_of(scene) == "path 192"


def test_another_orbit_is_another_view(make_scene: MakeScene) -> None:
    first = flat(make_scene, "S2A_MSIL1C_20200620T100559_N0209_R022_T32TQM_x", "2020-06-20")
    second = flat(make_scene, "S2A_MSIL1C_20200623T101559_N0209_R065_T32TQM_x", "2020-06-23")
    said = comparability(first, second)
    assert len(said) == 1
    assert "orbit 22 and orbit 65" in said[0]


def test_changed_pixels_are_told_from_what_to_what(make_scene: MakeScene, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    dates = []
    for wet in (False, True):
        bands = {}
        for number, name in enumerate(NAMES):
            band = MEADOW[number] * (1 + 0.04 * rng.normal(0, 1, (80, 80)))
            if wet:
                band[20:50, 20:60] = WATER[number]
            bands[name] = band.clip(0.001).astype(np.float32)
        dates.append(bands)
    before = make_scene("before", dates[0], time="2020-06-01")
    after = make_scene("after", dates[1], time="2021-06-05")
    found = detect_change(before, after, run=Run(Store(tmp_path / "w")))
    told = {each.name: each for each in found.measurements}
    drowned = told["vegetation_to_water_area"]
    assert drowned.label == "Vegetation to Water"
    assert drowned.value == pytest.approx(12.0, rel=0.05)
