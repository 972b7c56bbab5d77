"""A description says what a scene is and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from terralogue.datasets.scene import Scene, open_scene
from terralogue.datasets.synthetic import make_demo_scene
from terralogue.tools.describe import describe_scene
from terralogue.tools.run import Run
from terralogue.tools.schemas import SceneDescription
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"), ("scene",))


def levels(found: SceneDescription) -> dict[str, str]:
    return {check.name: check.level for check in found.checks}


def test_a_good_scene_passes_and_has_its_size_on_the_ground(tmp_path: Path, run: Run) -> None:
    scene = open_scene(make_demo_scene(tmp_path / "demo.tif", size=192, clouds=0.0))
    found = describe_scene(scene, run=run)
    assert found.sensor == "sentinel2_l2a"
    assert found.time is not None
    for name in ("readable", "sensor", "georeference", "date", "pixel size", "calibration"):
        assert levels(found)[name] == "PASS", name
    by_name = {each.name: each for each in found.measurements}
    assert by_name["valid_share"].value == 100
    assert by_name["footprint_area"].value == pytest.approx(1.92 * 1.92 * 100, rel=0.002)
    assert by_name["width_extent"].value == pytest.approx(1.92, rel=0.01)
    assert imread(found.artefacts[0].path).shape[:2] == (192, 192)


def test_a_bare_picture_is_described_with_what_it_lacks(make_scene: MakeScene, run: Run) -> None:
    random = np.random.default_rng(0)
    bands = {name: random.uniform(20, 200, (40, 30)).astype(np.float32) for name in "RGB"}
    scene = make_scene("picture", bands, sensor="unknown_rgb", crs=None, dtype="uint8")
    found = describe_scene(scene, run=run)
    assert found.crs is None
    assert found.bounds_wgs84 is None
    assert not found.calibrated
    for name in ("georeference", "date", "calibration", "cloud"):
        assert levels(found)[name] == "WARN", name
    assert "footprint_area" not in {each.name for each in found.measurements}


def test_a_scene_without_any_pixel_fails(make_scene: MakeScene, run: Run) -> None:
    empty = np.full((30, 30), np.nan, np.float32)
    scene = make_scene("empty", {"B03": empty, "B08": empty})
    found = describe_scene(scene, run=run)
    assert levels(found)["valid pixels"] == "FAIL"
    assert levels(found)["bands"] == "FAIL"


def test_clipped_constant_and_empty_bands_are_named(make_scene: MakeScene, run: Run) -> None:
    random = np.random.default_rng(0)
    clipped = random.uniform(0.1, 0.6, (60, 60)).astype(np.float32)
    clipped[:20] = 0.65
    bands = {
        "B03": clipped,
        "B04": np.full((60, 60), 0.2, np.float32),
        "B08": np.full((60, 60), np.nan, np.float32),
    }
    found = describe_scene(make_scene("odd", bands), run=run)
    texts = {check.name: check.message for check in found.checks}
    assert "B03" in texts["saturation"]
    assert "B08 is empty" in texts["bands"]
    assert "B04 has the same value" in texts["bands"]


def test_real_scenes_are_described(data_dir: Path, run: Run) -> None:
    folder = data_dir / "scenes" / "taizhou_landsat_cd"
    found = describe_scene(open_scene(folder / "2000TM"), run=run)
    assert found.sensor == "landsat7"
    assert found.time == "2000-03-17"
    assert levels(found)["calibration"] == "WARN"
