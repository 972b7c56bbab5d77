"""Numbers inside a region are those of its pixels."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from terralogue.datasets.errors import InputError, RegionError
from terralogue.datasets.scene import Scene
from terralogue.tools.region import Region
from terralogue.tools.run import Run
from terralogue.tools.store import Store
from terralogue.tools.zonal import zonal_statistics

MakeScene = Callable[..., Scene]
RANDOM = np.random.default_rng(2)
RED = RANDOM.uniform(0.05, 0.2, (50, 80)).astype(np.float32)
INFRARED = RANDOM.uniform(0.2, 0.5, (50, 80)).astype(np.float32)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"), ("scene",))


def test_bands_and_index_are_summed_up_and_tabled(make_scene: MakeScene, run: Run) -> None:
    red = RED.copy()
    red[:5] = np.nan
    scene = make_scene("scene", {"B04": red, "B08": INFRARED})
    result = zonal_statistics(scene, run=run, index="NDVI")
    told = {each.name: each.value for each in result.measurements}
    assert told["B04_mean"] == pytest.approx(np.nanmean(red), abs=1e-4)
    assert told["B08_median"] == pytest.approx(np.median(INFRARED), abs=1e-4)
    ndvi = ((INFRARED - red) / (INFRARED + red))[5:]
    assert told["mean"] == pytest.approx(ndvi.mean(), abs=1e-3)
    assert told["observed_share"] == pytest.approx(90, abs=0.1)
    assert result.pixels == RED.size
    with Path(result.artefacts[0].path).open(encoding="utf-8") as stream:
        rows = {row["name"]: row for row in csv.DictReader(stream)}
    assert list(rows) == ["NDVI", "B04", "B08"]
    assert float(rows["B04"]["valid_share"]) == pytest.approx(90)
    assert float(rows["B08"]["p95"]) == pytest.approx(np.percentile(INFRARED, 95), abs=1e-3)


def test_a_region_without_georeference_is_in_pixels(make_scene: MakeScene, run: Run) -> None:
    scene = make_scene("scene", {"B04": RED}, crs=None)
    result = zonal_statistics(scene, Region.parse([10, 20, 30, 40]), run=run)
    told = {each.name: each.value for each in result.measurements}
    assert result.pixels == 400
    assert told["B04_mean"] == pytest.approx(RED[20:40, 10:30].mean(), abs=1e-4)


def test_a_region_elsewhere_is_refused(make_scene: MakeScene, run: Run) -> None:
    scene = make_scene("scene", {"B04": RED})
    with pytest.raises(RegionError, match="outside"):
        zonal_statistics(scene, Region.parse([100, 0, 101, 1]), run=run)


def test_no_valid_pixel_is_said(make_scene: MakeScene, run: Run) -> None:
    scene = make_scene("scene", {"B04": np.full((20, 20), np.nan, np.float32)})
    with pytest.raises(InputError, match="No valid pixel"):
        zonal_statistics(scene, run=run)


def test_hundreds_of_bands_are_told_in_the_table(make_scene: MakeScene, run: Run) -> None:
    bands = {f"band_{n + 1}": RED[:8, :8] + n for n in range(40)}
    scene = make_scene("cube", bands, sensor=None)
    assert len(scene.bands) == 40
    result = zonal_statistics(scene, run=run)
    assert len(Path(result.artefacts[0].path).read_text(encoding="utf-8").splitlines()) == 41
    assert any("all 40 bands" in text for text in result.warnings)
