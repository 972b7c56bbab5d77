"""The router takes the networks over slots where they were measured to be better."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from terralogue.datasets.errors import MissingBandError
from terralogue.datasets.scene import Scene
from terralogue.tools.dense_checkpoint import WEIGHTS_FOLDER
from terralogue.tools.dense_cover_scenes import Labelled, network_groups, rule_groups, scenes, score
from terralogue.tools.dense_ms_checkpoint import read_slots
from terralogue.tools.dense_ms_simulated import by_network, by_rule, truth_of
from terralogue.tools.dense_ms_water import water_score
from terralogue.tools.run import Run
from terralogue.tools.segment import segment
from terralogue.tools.specialists import choose
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
SIX = ("B02", "B03", "B04", "B08", "B11", "B12")
LAND = (0.05, 0.07, 0.06, 0.30, 0.20, 0.10)
WATER = (0.05, 0.06, 0.04, 0.02, 0.01, 0.01)


def shore(make_scene: MakeScene, name: str, from_column: int, **options: object) -> Scene:
    """Land with water from a column on."""
    bands = {}
    for band, land, water in zip(SIX, LAND, WATER, strict=True):
        bands[band] = np.full((96, 96), land, np.float32)
        bands[band][:, from_column:] = water
    return make_scene(name, bands, sensor="sentinel2_l2a", **options)


def test_water_of_six_bands_goes_to_the_network_and_of_four_to_the_rule(
    make_scene: MakeScene,
) -> None:
    scene = shore(make_scene, "scene", 48)
    choice = choose(scene, "water")
    assert choice.specialist.name == "ms_water"
    assert "had not seen the place" in choice.why
    four = {band: np.full((8, 8), 0.1, np.float32) for band in SIX[:4]}
    assert choose(make_scene("four", four, sensor="sentinel2_l2a"), "water").specialist.name == (
        "ndwi"
    )
    assert choose(scene, "water", scene).specialist.name == "ms_water_flood"


def test_on_pixels_of_a_metre_the_rule_stays(make_scene: MakeScene) -> None:
    fine = Affine(1, 0, 600_000, 0, -1, 5_000_000)
    scene = shore(make_scene, "scene", 48, transform=fine)
    assert choose(scene, "water").specialist.name == "mndwi"


def test_trees_go_to_the_network_where_it_was_better_and_to_the_rule_elsewhere(
    make_scene: MakeScene,
) -> None:
    bands = {band: np.full((8, 8), 0.1, np.float32) for band in SIX}
    measured = make_scene("measured", bands, sensor="sentinel2_l1c")
    assert choose(measured, "tree_cover").specialist.name == "ms_tree_cover"
    assert choose(measured, "grassland").specialist.name == "ms_grassland"
    with pytest.raises(MissingBandError, match="Short-wave"):
        choose(make_scene("two", {b: bands[b] for b in SIX[2:4]}), "grassland")
    two = make_scene("few", {b: bands[b] for b in SIX[2:4]})
    assert choose(two, "tree_cover").specialist.name == "ndvi_dense"


def test_water_goes_to_the_land_cover_network_on_the_sensor_where_it_was_better(
    make_scene: MakeScene,
) -> None:
    names = ("band_016", "band_030", "band_048", "band_071", "band_149", "band_193")
    bands = {name: np.full((8, 8), 0.1, np.float32) for name in names}
    choice = choose(make_scene("enmap", bands, sensor="enmap"), "water")
    assert choice.specialist.name == "ms_cover_water"
    assert "Potsdam" in choice.why


def test_segment_finds_water_and_only_the_new_one_beside_a_reference(
    make_scene: MakeScene, tmp_path: Path
) -> None:
    run = Run(Store(tmp_path / "store"), ("s1",))
    now, before = shore(make_scene, "now", 48), shore(make_scene, "before", 72)
    found = segment(now, "water", run=run)
    assert found.model == "ms_water"
    assert found.confidence is not None
    assert found.measurements[1].value == pytest.approx(50, abs=6)
    flood = segment(now, "flooded_area", run=run, reference=before)
    assert flood.model == "ms_water_flood"
    assert flood.measurements[1].value == pytest.approx(25, abs=6)


def test_the_weights_are_those_of_the_cards() -> None:
    for name in ("water", "ms_cover"):
        checkpoint = read_slots(WEIGHTS_FOLDER / name)
        assert checkpoint.facts.calibration_error is not None
        assert (WEIGHTS_FOLDER / name / "README.md").is_file()


def test_a_simulated_lake_is_found_by_rule_and_network() -> None:
    from terralogue.datasets.synthetic import simulate_scene

    scene = simulate_scene("landsat8", layout="lake", size=96, seed=2_000_001, clouds=0.0)
    truth = truth_of(scene)
    assert water_score(by_rule(scene), truth).iou > 0.6
    assert water_score(by_network(scene, read_slots(WEIGHTS_FOLDER / "water")), truth).iou > 0.6


def test_land_cover_of_real_scenes_is_as_the_card_says(data_dir: Path) -> None:
    labelled = [scene for scene in scenes(data_dir) if scene.place == "elkton"]

    def network(scene: Labelled) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        return network_groups(scene.planes, scene.present, WEIGHTS_FOLDER / "ms_cover")

    rule = score(labelled, lambda scene: rule_groups(scene.planes))["elkton"]
    assert score(labelled, network)["elkton"]["miou"] > rule["miou"] + 0.1
