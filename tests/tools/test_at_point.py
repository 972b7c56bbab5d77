"""A click outlines the thing below it, or the changes like the one below it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

from terralogue.datasets.errors import InputError, RefusalError, RegionError
from terralogue.datasets.scene import Scene
from terralogue.tools.at_point import segment_at_point
from terralogue.tools.at_point_choice import CONFIG, FOLDER, WEIGHTS, load_chooser
from terralogue.tools.at_point_growth import DESCRIPTION, Sight, grow
from terralogue.tools.run import Run
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
SHAPE = (90, 120)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"))


def land(
    *patches: tuple[slice, slice], values: tuple[float, ...] = (0.03, 0.45)
) -> dict[str, NDArray[np.float32]]:
    """Dry land with green fields, with a little noise."""
    chance = np.random.default_rng(3)
    bands = {"B03": 0.12, "B04": 0.18, "B08": 0.24}
    planes = {name: np.full(SHAPE, value, np.float32) for name, value in bands.items()}
    for patch in patches:
        planes["B04"][patch], planes["B08"][patch] = values
    return {n: p + chance.normal(0, 0.004, SHAPE).astype(np.float32) for n, p in planes.items()}


def test_a_small_thing_is_told_in_square_metres(make_scene: MakeScene, run: Run) -> None:
    grid = Affine(1, 0, 600_000, 0, -1, 5_000_000)
    scene = make_scene("plot", land(np.s_[40:60, 50:70]), transform=grid)
    (size,) = segment_at_point(scene, 60.5, 50.5, run=run).measurements
    assert size.unit == "m2"
    assert 300 < size.value < 1000
    (asked,) = segment_at_point(scene, 60.5, 50.5, run=run, unit="ha").measurements
    assert asked.value == pytest.approx(size.value / 1e4)


def test_a_field_is_outlined_from_a_click_and_measured(make_scene: MakeScene, run: Run) -> None:
    scene = make_scene("fields", land(np.s_[20:60, 30:80], np.s_[70:85, 90:115]))
    result = segment_at_point(scene, 55.5, 40.5, run=run)
    size = result.measurements[0]
    assert (size.name, size.unit) == ("area", "ha")
    assert size.value == pytest.approx(20, rel=0.1)
    assert result.polygons == 1
    assert result.confidence is not None
    assert 0.5 < result.confidence < 1
    mask, vectors = (Path(each.path) for each in result.artefacts[:2])
    with rasterio.open(mask) as raster:
        found = raster.read(1)
        left, top = ~scene.transform @ raster.transform @ (0, 0)
    truth = np.zeros(SHAPE, np.bool_)
    truth[20:60, 30:80] = True
    full = np.zeros(SHAPE, np.bool_)
    full[round(top) :, round(left) :][: found.shape[0], : found.shape[1]] = found == 1
    assert (full & truth).sum() / (full | truth).sum() > 0.9
    assert json.loads(vectors.read_text())["features"][0]["properties"]["column"] == 55.5


def test_without_a_crs_the_size_is_in_pixels(make_scene: MakeScene, run: Run) -> None:
    scene = make_scene("bare", land(np.s_[20:60, 30:80]), crs=None)
    result = segment_at_point(scene, 55, 40, run=run)
    assert result.measurements[0].name == "pixels"
    assert result.measurements[0].value == pytest.approx(2000, rel=0.1)


def test_a_thing_larger_than_the_first_look_is_found_on_coarser_pixels(
    make_scene: MakeScene, run: Run
) -> None:
    chance = np.random.default_rng(4)
    planes = {}
    for name, outside, inside in (("B03", 0.12, 0.06), ("B04", 0.18, 0.03), ("B08", 0.24, 0.45)):
        plane = np.full((700, 700), outside, np.float32)
        plane[100:600, 150:550] = inside
        planes[name] = plane + chance.normal(0, 0.004, plane.shape).astype(np.float32)
    result = segment_at_point(make_scene("large", planes), 350, 350, run=run)
    assert result.measurements[0].value == pytest.approx(2000, rel=0.1)
    assert any("pixels 2 times as wide" in text for text in result.warnings)


@pytest.mark.parametrize("point", [(-1, 5), (120, 5), (5, 90), (float("nan"), 5)])
def test_a_click_beside_the_scene_is_refused(
    make_scene: MakeScene, run: Run, point: tuple[float, float]
) -> None:
    with pytest.raises(RegionError, match=r"lies outside bare\.tif, which has 120 columns and 90"):
        segment_at_point(make_scene("bare", land()), *point, run=run)


def test_a_click_on_missing_pixels_and_on_nothing_is_refused(
    make_scene: MakeScene, run: Run
) -> None:
    bands = land(np.s_[20:60, 30:80])
    for plane in bands.values():
        plane[:10, :10] = np.nan
    with pytest.raises(InputError, match="has no data at column 3 and row 4; click elsewhere"):
        segment_at_point(make_scene("gap", bands), 3, 4, run=run)
    even = {name: np.full(SHAPE, 0.2, np.float32) for name in ("B03", "B04", "B08")}
    with pytest.raises(RefusalError, match="nothing of at least 12 pixels stands out"):
        segment_at_point(make_scene("even", even), 60, 40, run=run)


def test_bands_that_are_not_known_are_asked_for(make_scene: MakeScene, run: Run) -> None:
    bare = make_scene("bare", {"a": np.ones(SHAPE, np.float32)}, sensor=None)
    with pytest.raises(RefusalError, match=r"those of bare\.tif are not known; name its sensor"):
        segment_at_point(bare, 60, 40, run=run)


def test_a_click_on_one_change_finds_those_like_it(make_scene: MakeScene, run: Run) -> None:
    before = make_scene("before", land(), time="2020-07-01")
    greened = [np.s_[10:25, 10:30], np.s_[50:65, 80:100]]
    bands = land(*greened)
    for name, value in (("B03", 0.4), ("B04", 0.45), ("B08", 0.45)):
        bands[name][60:80, 20:45] = value  # built over, not greened
    after = make_scene("after", bands, time="2021-07-01")
    result = segment_at_point(after, 20, 18, run=run, before=before)
    told = {each.name: each.value for each in result.measurements}
    assert told["similar"] == 1
    assert told["area"] == pytest.approx(3, rel=0.15)
    assert told["similar_area"] == pytest.approx(3, rel=0.15)
    assert told["changed_area"] == pytest.approx(11, rel=0.15)
    with rasterio.open(result.artefacts[0].path) as raster:
        codes = raster.read(1)
    assert (codes[18, 20], codes[57, 90], codes[70, 30], codes[40, 60]) == (1, 2, 3, 0)
    with pytest.raises(RefusalError, match="Nothing changed at column 60, row 40"):
        segment_at_point(after, 60, 40, run=run, before=before)


def test_every_region_holds_the_click_and_is_described_alike() -> None:
    data = np.full((3, 64, 64), -0.5, np.float32)
    data[:, 20:40, 10:50] = 0.5
    features = np.random.default_rng(0).normal(size=(8, 16, 16)).astype(np.float32)
    regions = grow(Sight.of(data, features), 30, 30)
    assert regions
    for region in regions:
        assert region.on((64, 64))[30, 30]
        assert region.description.shape == (len(DESCRIPTION),)
        assert np.isfinite(region.description).all()


def test_weights_that_do_not_belong_to_their_configuration_are_refused(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS).write_bytes((FOLDER / WEIGHTS).read_bytes()[:-4] + b"\0\0\0\0")
    (tmp_path / CONFIG).write_bytes((FOLDER / CONFIG).read_bytes())
    with pytest.raises(InputError, match="are not those of the configuration"):
        load_chooser(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        load_chooser(tmp_path / "nowhere")
