"""A quantity is followed over dates, in their order, on the ground that all show."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from matplotlib.image import imread

from terralogue.datasets.errors import (
    ClarifyError,
    InputError,
    NoOverlapError,
    RefusalError,
)
from terralogue.datasets.scene import Scene, open_scene
from terralogue.tools.run import Run
from terralogue.tools.series import time_series
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
TRANSFORM = Affine(10, 0, 600_000, 0, -10, 5_000_000)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"))


def green(make: MakeScene, name: str, ndvi: float, **options: object) -> Scene:
    infrared = 0.1 * (1 + ndvi) / (1 - ndvi)
    bands = {
        "B04": np.full((40, 50), 0.1, np.float32),
        "B08": np.full((40, 50), infrared, np.float32),
    }
    return make(name, bands, **options)


def test_an_index_is_followed_in_the_order_of_the_dates(make_scene: MakeScene, run: Run) -> None:
    years = {2021: 0.4, 2018: 0.7, 2020: 0.5, 2019: 0.6}
    scenes = [green(make_scene, f"y{y}", v, time=f"{y}-07-01") for y, v in years.items()]
    result = time_series(scenes, "ndvi", run=run)
    assert [point.time[:4] for point in result.points] == ["2018", "2019", "2020", "2021"]
    assert [point.value for point in result.points] == pytest.approx([0.7, 0.6, 0.5, 0.4], abs=1e-3)
    told = {each.name: each.value for each in result.measurements}
    assert told["slope"] == pytest.approx(-0.1, abs=0.001)
    assert told["slope_low"] <= told["slope"] <= told["slope_high"]
    assert told["p_value"] == pytest.approx(2 / 24)
    assert result.points[0].scene == "y2018.tif"
    with Path(result.artefacts[0].path).open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["value"]) for row in rows] == pytest.approx([0.7, 0.6, 0.5, 0.4], abs=1e-3)
    assert imread(result.artefacts[1].path).shape[1] > 800


def test_only_the_ground_that_all_scenes_show_is_measured(make_scene: MakeScene, run: Run) -> None:
    scenes = []
    for number, year in enumerate((2018, 2019, 2020)):
        red = np.full((40, 50), 0.1, np.float32)
        infrared = np.full((40, 50), 0.3, np.float32)
        # Lush where only this scene looks.
        infrared[:, : 20 - 10 * number] = 0.9
        moved = TRANSFORM @ Affine.translation(10 * number, 0)
        bands = {"B04": red, "B08": infrared}
        scenes.append(make_scene(f"y{year}", bands, transform=moved, time=f"{year}-07-01"))
    result = time_series(scenes, "NDVI", run=run)
    assert [point.value for point in result.points] == pytest.approx([0.5] * 3, abs=1e-3)
    assert "p_value" not in {each.name for each in result.measurements}


@pytest.mark.parametrize(("quantity", "unit"), [("water", "ha"), ("water share", "%")])
def test_a_target_is_followed_by_area_or_share(
    make_scene: MakeScene, run: Run, quantity: str, unit: str
) -> None:
    scenes = []
    for number, year in enumerate((2018, 2019, 2020)):
        bands = {"B03": np.full((40, 50), 0.08, np.float32)}
        bands["B08"] = np.full((40, 50), 0.3, np.float32)
        bands["B11"] = np.full((40, 50), 0.25, np.float32)
        for name in ("B08", "B11"):
            bands[name][: 10 * (number + 1)] = 0.02
        scenes.append(make_scene(f"y{year}", bands, time=f"{year}-07-01"))
    result = time_series(scenes, quantity, run=run)
    values = [5.0, 10.0, 15.0] if unit == "ha" else [25.0, 50.0, 75.0]
    assert [point.value for point in result.points] == pytest.approx(values, rel=0.01)
    slope = next(each for each in result.measurements if each.name == "slope")
    assert slope.unit == f"{unit} per year"
    assert slope.value == pytest.approx(values[0], rel=0.01)


def test_a_missing_date_is_asked_for(make_scene: MakeScene, run: Run) -> None:
    scenes = [green(make_scene, f"s{n}", 0.5, time=f"201{n}-07-01") for n in range(3)]
    with pytest.raises(ClarifyError, match=r"When was undated\.tif taken") as error:
        time_series([*scenes, green(make_scene, "undated", 0.5)], "NDVI", run=run)
    assert error.value.slot == "time"
    with pytest.raises(ClarifyError, match="at least 3 dates and there are 2"):
        time_series(scenes[:2], "NDVI", run=run)


def test_what_cannot_be_followed_is_refused(make_scene: MakeScene, run: Run) -> None:
    scenes = [green(make_scene, f"s{n}", 0.5, time=f"201{n}-07-01") for n in range(3)]
    with pytest.raises(InputError, match="may also follow a target"):
        time_series(scenes, "happiness", run=run)
    far = green(
        make_scene, "far", 0.5, time="2015-07-01", transform=TRANSFORM @ Affine.translation(900, 0)
    )
    with pytest.raises(NoOverlapError, match="no ground in common"):
        time_series([*scenes, far], "NDVI", run=run)
    bare = green(make_scene, "bare", 0.5, time="2015-07-01", crs=None)
    with pytest.raises(RefusalError, match="cannot be laid") as error:
        time_series([*scenes, bare], "NDVI", run=run)
    assert error.value.reason == "georeference"


def test_seasons_and_chance_are_spoken_of(make_scene: MakeScene, run: Run) -> None:
    times = ("2018-01-05", "2019-07-01", "2020-10-01")
    scenes = [green(make_scene, f"s{t[:4]}", 0.5, time=t) for t in times]
    warnings = " ".join(time_series(scenes, "NDVI", run=run).warnings)
    assert "different seasons" in warnings
    assert "No trend can be told from chance" in warnings


def test_thirty_five_years_of_a_real_river(data_dir: Path, run: Run) -> None:
    folder = data_dir / "scenes" / "pucallpa_landsat_1985_2020"
    paths = sorted(folder.glob("*.tif"), reverse=True)
    scenes = [open_scene(path, sensor="landsat5:S1,N,R,G") for path in paths]
    result = time_series(scenes, "water", run=run)
    assert [point.time for point in result.points] == ["1985", "1995", "2005", "2015", "2020"]
    assert all(5_000 < point.value < 15_000 for point in result.points)
    assert any("uncalibrated" in text for text in result.warnings)


def test_the_latest_date_is_set_against_its_season_in_earlier_years(
    make_scene: MakeScene, run: Run
) -> None:
    values = {
        "2018-07-10": 0.60, "2019-06-20": 0.64, "2020-07-30": 0.62, "2020-12-01": 0.2,
        "2021-02-01": 0.15, "2021-07-05": 0.4,
    }  # fmt: skip
    scenes = [green(make_scene, f"s{day}", v, time=day) for day, v in values.items()]
    result = time_series(scenes, "NDVI", run=run)
    told = {each.name: each.value for each in result.measurements}
    assert told["season_count"] == 3
    assert told["season_median"] == pytest.approx(0.62, abs=1e-3)
    assert told["season_difference"] == pytest.approx(-0.22, abs=1e-3)
    assert told["season_rank"] == 1
    assert told["season_score"] == pytest.approx(-11, abs=0.3)


def test_without_an_earlier_year_nothing_is_called_unusual(make_scene: MakeScene, run: Run) -> None:
    days = ("2019-12-20", "2020-03-10", "2020-07-05")
    scenes = [green(make_scene, f"s{day}", 0.5, time=day) for day in days]
    result = time_series(scenes, "NDVI", run=run)
    assert not [each for each in result.measurements if each.name.startswith("season")]
    assert any("no scene of an earlier year lies within 45 days" in w for w in result.warnings)


def test_the_turn_of_the_year_does_not_part_a_season(make_scene: MakeScene, run: Run) -> None:
    values = {"2018-12-20": 0.3, "2019-07-01": 0.7, "2020-01-15": 0.4}
    scenes = [green(make_scene, f"s{day}", v, time=day) for day, v in values.items()]
    told = {each.name: each.value for each in time_series(scenes, "NDVI", run=run).measurements}
    assert told["season_count"] == 1
    assert told["season_rank"] == 2
    assert "season_score" not in told
