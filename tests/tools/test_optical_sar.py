"""An optical and a radar scene of one place: the target by each, and how far they agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from terralogue.datasets.errors import NoOverlapError, RefusalError
from terralogue.datasets.scene import Scene
from terralogue.tools.optical_sar import kappa, kind_of, other_kind
from terralogue.tools.run import Run
from terralogue.tools.segment import segment
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
SHAPE = (60, 80)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"))


def optical(make: MakeScene, name: str = "s2", rows: int = 20, **options: object) -> Scene:
    """Water in the upper rows."""
    bands = {band: np.full(SHAPE, 0.25, np.float32) for band in ("B08", "B11")}
    bands = {
        "B03": np.full(SHAPE, 0.08, np.float32),
        "B04": np.full(SHAPE, 0.1, np.float32),
    } | bands
    for band in ("B08", "B11"):
        bands[band][:rows] = 0.02
    return make(name, bands, **{"time": "2021-05-01", **options})


def radar(make: MakeScene, rows: int = 30, **options: object) -> Scene:
    """Calm water in the upper rows, with speckle; its mean over a window takes two rows off."""
    chance = np.random.default_rng(1)
    values = np.full(SHAPE, -9, np.float32)
    values[:rows] = -21
    values += chance.normal(0, 0.6, SHAPE).astype(np.float32)
    return make("s1", {"VV": values}, sensor="sentinel1_grd", **{"time": "2021-05-03", **options})


def test_water_is_measured_by_both_and_their_agreement_is_told(
    make_scene: MakeScene, run: Run
) -> None:
    result = segment(optical(make_scene), "water", run=run, reference=radar(make_scene))
    told = {each.name: each.value for each in result.measurements}
    assert told["area"] == pytest.approx(16, rel=0.01)
    assert told["optical_area"] == pytest.approx(16, rel=0.01)
    assert told["radar_area"] == pytest.approx(22.4, rel=0.03)
    assert told["both_area"] == pytest.approx(16, rel=0.01)
    assert told["agreement"] == pytest.approx(100 * 52 / 60, abs=1)
    assert told["kappa"] == pytest.approx(kappa(16, 16, 22.4, 48), abs=0.03)
    assert told["observed_by_both"] == pytest.approx(100)
    masks = [each for each in result.artefacts if each.path.endswith("agreement.tif")]
    with rasterio.open(masks[0].path) as raster:
        codes = raster.read(1)
    assert (codes[5, 5], codes[24, 5], codes[50, 5]) == (1, 3, 0)
    assert "radar_vv_water" in result.method
    assert not any("Flooded" in text for text in (result.title, *result.warnings))
    assert not any("days apart" in text for text in result.warnings)


def test_either_may_be_the_first_scene(make_scene: MakeScene, run: Run) -> None:
    first, second = radar(make_scene), optical(make_scene, time="2021-07-01")
    result = segment(first, "water", run=run, reference=second)
    told = {each.name: each.value for each in result.measurements}
    assert told["radar_area"] == pytest.approx(22.4, rel=0.03)
    assert told["optical_area"] == pytest.approx(16, rel=0.01)
    assert any("59 days apart" in text for text in result.warnings)


def test_what_the_other_cannot_show_is_refused(make_scene: MakeScene, run: Run) -> None:
    plain = np.random.default_rng(2).normal(-9, 0.6, SHAPE).astype(np.float32)
    even = make_scene("even", {"VV": plain}, sensor="sentinel1_grd")
    with pytest.raises(RefusalError, match=r"cannot be told from the rest in even\.tif"):
        segment(optical(make_scene), "water", run=run, reference=even)
    away = optical(make_scene, "away").transform @ rasterio.Affine.translation(500, 0)
    with pytest.raises(NoOverlapError, match="do not show"):
        segment(optical(make_scene), "water", run=run, reference=radar(make_scene, transform=away))


def test_two_scenes_of_one_kind_are_dates_and_not_kinds(make_scene: MakeScene) -> None:
    first, second = optical(make_scene), radar(make_scene)
    assert (kind_of(first), kind_of(second)) == ("optical", "radar")
    assert other_kind(first, second)
    assert not other_kind(first, first)
    assert not other_kind(first, None)


def test_kappa_is_one_for_the_same_and_nothing_for_chance() -> None:
    assert kappa(10, 10, 10, 100) == pytest.approx(1)
    assert kappa(25, 50, 50, 100) == pytest.approx(0)
    assert kappa(0, 0, 0, 100) is None
