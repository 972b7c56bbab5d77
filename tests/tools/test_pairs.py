"""Two dates are ordered, registered and screened; nothing is guessed silently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from terralogue.datasets.errors import ClarifyError, RefusalError
from terralogue.datasets.scene import Scene, open_scene
from terralogue.tools.grid import whole
from terralogue.tools.pairs import (
    in_order,
    land_bands,
    make_pair,
    seasons_apart,
    shared_bands,
)
from terralogue.tools.run import Run
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
FLAT = np.full((60, 60), 0.2, np.float32)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"))


def fields(seed: int = 0, size: int = 200) -> NDArray[np.float32]:
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 1, (size, size)), 5)
    levels = np.digitize(smooth, np.quantile(smooth, (0.25, 0.5, 0.75)))
    return (0.1 + 0.1 * ndimage.gaussian_filter(levels.astype(float), 0.7)).astype(np.float32)


def test_dates_decide_the_order_and_it_is_said(make_scene: MakeScene) -> None:
    early = make_scene("early", {"B04": FLAT}, time="2017-03-01")
    late = make_scene("late", {"B04": FLAT}, time="2019-08-01")
    assert in_order(early, late) == (early, late, [])
    before, after, said = in_order(late, early)
    assert (before, after) == (early, late)
    assert "later one first" in said[0]
    assert "2017-03-01" in said[0]


@pytest.mark.parametrize("times", [("2019-01-01", None), (None, None), ("2019-01-01",) * 2])
def test_without_two_different_dates_the_given_order_stands(
    make_scene: MakeScene, times: tuple[str | None, str | None]
) -> None:
    first = make_scene("first", {"B04": FLAT}, time=times[0])
    second = make_scene("second", {"B04": FLAT}, time=times[1])
    before, after, said = in_order(first, second)
    assert (before, after) == (first, second)
    assert len(said) == 1
    assert "first" in said[0] or "order given" in said[0]


def test_seasons_are_compared_around_the_year(make_scene: MakeScene) -> None:
    january = make_scene("january", {"B04": FLAT}, time="2017-01-10")
    november = make_scene("november", {"B04": FLAT}, time="2019-11-10")
    unknown = make_scene("unknown", {"B04": FLAT})
    assert seasons_apart(january, november) == 2
    assert seasons_apart(january, unknown) is None


def test_the_bands_of_both_are_shared(make_scene: MakeScene) -> None:
    names = ("B01", "B02", "B04", "B08", "B8A", "B11")
    first = make_scene("first", dict.fromkeys(names, FLAT))
    grey = np.full((60, 60), 90, np.float32)
    second = make_scene("second", dict.fromkeys("RGBN", grey), sensor="naip_rgbn", dtype="uint8")
    assert shared_bands(first, second) == ["B", "R", "N"]
    assert land_bands(first, first) == ["B", "R", "N", "N2", "S1"]


def test_radar_and_optical_scenes_share_nothing(make_scene: MakeScene, run: Run) -> None:
    radar = make_scene("radar", {"VV": FLAT - 12}, sensor="sentinel1_grd")
    optical = make_scene("optical", {"B04": FLAT})
    with pytest.raises(RefusalError, match="share no band") as error:
        make_pair(radar, optical, run)
    assert error.value.reason == "sensor"


def test_an_unknown_sensor_is_asked_for(make_scene: MakeScene, run: Run) -> None:
    known = make_scene("known", {"B04": FLAT})
    unknown = make_scene("cube", {f"band_{n}": FLAT for n in range(7)}, sensor=None)
    assert unknown.sensor is None
    with pytest.raises(ClarifyError):
        make_pair(known, unknown, run)


@pytest.mark.parametrize("crs", ["placed", None])
def test_a_misregistered_scene_is_moved_onto_the_other(
    make_scene: MakeScene, run: Run, crs: str | None
) -> None:
    picture = fields()
    moved = ndimage.shift(picture, (2.0, -1.5), order=3, mode="nearest")
    options = {} if crs else {"crs": None}
    first = make_scene("first", {"B04": picture}, **options)
    second = make_scene("second", {"B04": moved.astype(np.float32)}, **options)
    pair = make_pair(first, second, run)
    assert pair.shift.reliable
    assert (pair.shift.rows, pair.shift.columns) == pytest.approx((-2.0, 1.5), abs=0.15)
    assert any("was moved back" in text for text in pair.warnings)
    inner = (slice(10, 190), slice(10, 190))
    before = pair.before.read(["R"], whole(pair.frame))[0][inner]
    after = pair.after.read(["R"], whole(pair.frame))[0][inner]
    assert np.abs(after - before).mean() < 0.25 * np.abs(moved[inner] - picture[inner]).mean()


def test_scenes_too_small_to_register_are_used_with_a_warning(
    make_scene: MakeScene, run: Run
) -> None:
    pair = make_pair(
        make_scene("first", {"B04": FLAT[:9, :9]}), make_scene("second", {"B04": FLAT[:9, :9]}), run
    )
    assert not pair.shift.reliable
    assert pair.after.shift == (0.0, 0.0)
    assert any("could not be checked" in text for text in pair.warnings)


@pytest.mark.parametrize(
    ("city", "shift"),
    [("abudhabi", (-1.2, -0.55)), ("saclay_e", (-0.05, -1.0)), ("pisa", (0.9, 0.2))],
)
def test_real_pairs_lie_on_each_other(
    data_dir: Path, run: Run, city: str, shift: tuple[float, float]
) -> None:
    folder = data_dir / "oscd" / "images" / city
    first, second = (
        open_scene([next((folder / name).glob(f"*_{band}.jp2")) for band in ("B03", "B04", "B08")])
        for name in ("imgs_1", "imgs_2")
    )
    pair = make_pair(first, second, run)
    assert (pair.shift.rows, pair.shift.columns) == pytest.approx(shift, abs=0.3)


def test_one_scene_given_twice_is_said_to_be_the_same(make_scene: MakeScene) -> None:
    scene = make_scene("field", {"B04": np.full((8, 8), 0.2, np.float32)}, time="2020-01-01")
    first, second, said = in_order(scene, scene)
    assert first is second is scene
    assert said == ["Before and after are the same scene, so nothing can have changed."]
