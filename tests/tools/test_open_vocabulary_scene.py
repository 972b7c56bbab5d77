"""Things by words and outlines by click on scenes, by tiny untrained models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyproj
import pytest
from shapely.geometry import box

from terralogue.datasets.errors import InputError, MissingBandError
from terralogue.datasets.scene import Scene
from terralogue.tools import open_vocabulary_scene
from terralogue.tools.open_vocabulary_scene import detect_by_words, outline_by_model
from terralogue.tools.open_vocabulary_tiny import write_tiny
from terralogue.tools.region import Region
from terralogue.tools.run import Run
from terralogue.tools.store import Store

RNG = np.random.default_rng(0)


@pytest.fixture
def scene(make_scene: Callable[..., Scene]) -> Scene:
    bands = {name: RNG.uniform(0.02, 0.3, (100, 150)).astype(np.float32) for name in ("B04", "B03")}
    return make_scene("town", bands | {"B02": bands["B03"] * 0.8})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"), ("scene",))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("models")
    return {kind: f"hf:{write_tiny(root / kind, kind)}" for kind in ("owlv2", "sam2")}


def test_words_are_looked_for_tile_by_tile_and_counted_without_a_probability(
    scene: Scene, run: Run, models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_vocabulary_scene, "_CORE", 64)
    monkeypatch.setattr(open_vocabulary_scene, "_HALO", 8)
    result = detect_by_words(scene, "swimming pool", run=run, model=models["owlv2"])
    count, share = result.measurements
    assert result.count == count.value == len(result.objects) > 0
    assert share.value == 100
    assert result.confidence is None
    assert all(each.probability is None for each in result.objects)
    lefts = np.array([each.box for each in result.objects])
    assert (lefts[:, 2] <= 150.1).all()
    assert (lefts[:, 0] > 64).any()
    written = json.loads(Path(result.artefacts[0].path).read_text(encoding="utf-8"))
    assert len(written["features"]) == result.count
    assert written["features"][0]["properties"]["map_box"]
    assert Path(result.artefacts[1].path).is_file()
    assert any("not measured on scenes from above" in warning for warning in result.warnings)


def test_a_region_holds_what_has_its_middle_there(
    scene: Scene, run: Run, models: dict[str, str]
) -> None:
    corner = Region(box(600_000, 4_999_500, 600_400, 5_000_000), pyproj.CRS.from_epsg(32632))
    there = detect_by_words(scene, "ship", run=run, model=models["owlv2"], region=corner)
    assert there.count > 0
    for each in there.objects:
        left, top, right, bottom = each.box
        assert (left + right) / 2 <= 40
        assert (top + bottom) / 2 <= 50


def test_a_click_is_outlined_in_a_window_of_the_scene(scene: Scene, models: dict[str, str]) -> None:
    found = outline_by_model(scene, 140.5, 5.0, models["sam2"])
    assert found.mask.shape == (100, 150)
    assert (found.window.col_off, found.window.row_off) == (0, 0)


def test_scenes_without_colours_and_models_of_another_kind_are_refused(
    make_scene: Callable[..., Scene], scene: Scene, run: Run, models: dict[str, str]
) -> None:
    grey = make_scene("grey", {"B08": np.full((20, 20), 0.2, np.float32)})
    with pytest.raises(MissingBandError, match="look at red, green and blue, and grey"):
        detect_by_words(grey, "ship", run=run, model=models["owlv2"])
    with pytest.raises(InputError, match="type sam2, which does not do this"):
        detect_by_words(scene, "ship", run=run, model=models["sam2"])
