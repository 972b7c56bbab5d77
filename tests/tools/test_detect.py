"""`detect_objects` finds and counts things on scenes of any size, or says why it cannot.

The detector here is a small one that has learnt bright squares on dark ground, by the same code.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.windows import Window

from terralogue.datasets.errors import (
    ClarifyError,
    InputError,
    MissingBandError,
    RefusalError,
    RegionError,
)
from terralogue.datasets.scene import Scene, open_scene
from terralogue.tools import detect_finding, detectors
from terralogue.tools.detect import detect_objects
from terralogue.tools.detect_calibrate import ClassFacts, as_settings
from terralogue.tools.detect_checkpoint import write_detector
from terralogue.tools.detect_finding import Water
from terralogue.tools.detect_loss import Truth, detection_loss
from terralogue.tools.detect_model import DetectorConfig, DetectorNet, points_of
from terralogue.tools.region import Region
from terralogue.tools.run import Run
from terralogue.tools.schemas import Detection
from terralogue.tools.store import Store

MakeScene = Callable[..., Scene]
REAL = os.environ.get("TERRALOGUE_DATA")
FINE = Affine(0.8, 0, 600_000, 0, -0.8, 5_000_000)
SIDE, LEARNT, STEPS = 24, 128, 60
DARK, BRIGHT = 60, 230


def squares(shape: tuple[int, int], places: list[tuple[int, int]]) -> NDArray[np.float32]:
    """Dark ground (H, W) with bright squares, whose upper left corners are given as (x, y)."""
    image = np.random.default_rng(len(places)).normal(DARK, 15, shape).astype(np.float32).clip(0)
    for x, y in places:
        image[y : y + SIDE, x : x + SIDE] = BRIGHT
    return image


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that finds bright squares and calls them aircraft."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = DetectorNet(DetectorConfig(("ship", "aircraft"), blocks=3, width=16, convs=1))
    points, strides = points_of(net.config.strides, (LEARNT, LEARNT))
    optimiser = torch.optim.Adam(net.parameters(), 6e-3)
    decay = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, STEPS)
    known, kinds = torch.ones(2, 2, dtype=torch.bool), torch.ones(2, 1, dtype=torch.long)
    for _ in range(STEPS):
        corners = rng.integers(4, LEARNT - SIDE - 4, (2, 2))
        images = np.stack([squares((LEARNT, LEARNT), [(int(x), int(y))]) for x, y in corners])
        boxes = np.concatenate([corners, corners + SIDE], 1)[:, None].astype(np.float32)
        shown = torch.from_numpy(images)[:, None].expand(-1, 3, -1, -1) / 127.5 - 1
        truth = Truth(torch.from_numpy(boxes), kinds, known)
        loss = detection_loss(*net(shown), points, strides, truth)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        decay.step()
    folder = tmp_path_factory.mktemp("squares")
    facts = {name: ClassFacts(0.6, 1.0, 0.5, 0.95, 1.0, 100) for name in net.config.classes}
    write_detector(folder, "squares", net.eval(), {"classes": as_settings(facts)})
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Store(tmp_path / "workspace"))


@pytest.fixture
def aerial(trained: Path, make_scene: MakeScene, monkeypatch: pytest.MonkeyPatch) -> MakeScene:
    """Makes an aerial scene of 0.8 m with squares on it, for the detector of squares."""
    rows = tuple(
        replace(row, folder=trained) if row.name == "detect_aerial" else row
        for row in detectors.DETECTORS
    )
    monkeypatch.setattr(detectors, "DETECTORS", rows)

    def make(
        shape: tuple[int, int], places: list[tuple[int, int]], transform: Affine | None = FINE
    ) -> Scene:
        image = squares(shape, places)
        crs = {"crs": None} if transform is None else {"transform": transform}
        bands = dict.fromkeys(("red", "green", "blue"), image)
        return make_scene("place", bands, sensor="rgb_aerial", dtype="uint8", **crs)

    return make


def told(found: Detection) -> dict[str, float]:
    return {each.name: each.value for each in found.measurements}


def corners(found: Detection) -> list[tuple[int, int]]:
    """Upper left corners, to the nearest 8 pixels."""
    return sorted(
        (round(each.box[0] / 8) * 8, round(each.box[1] / 8) * 8) for each in found.objects
    )


def features(found: Detection) -> dict[str, object]:
    (vectors,) = (each for each in found.artefacts if each.kind == "polygons")
    content: dict[str, object] = json.loads(Path(vectors.path).read_text(encoding="utf-8"))
    return content


def test_things_are_counted_with_an_interval_boxes_and_a_picture(
    aerial: MakeScene, run: Run
) -> None:
    found = detect_objects(aerial((160, 200), [(16, 24), (120, 80)]), "aircraft", run=run)
    assert corners(found) == [(16, 24), (120, 80)]
    figures = told(found)
    assert figures["count"] == found.count == 2
    assert figures["count_low"] <= 2 <= figures["count_high"]
    assert figures["observed_share"] == 100
    assert found.confidence is not None
    assert 0.4 < found.confidence < 1
    assert {each.kind for each in found.artefacts} == {"polygons", "preview"}


def test_an_interval_that_was_never_measured_is_not_given(
    aerial: MakeScene, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    rare = tmp_path / "rare"
    shutil.copytree(trained, rare)
    settings = json.loads((rare / "config.json").read_text(encoding="utf-8"))
    settings["classes"]["aircraft"]["boxes"] = 0
    (rare / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    scene = aerial((160, 200), [(16, 24)])
    rows = tuple(
        replace(row, folder=rare) if row.name == "detect_aerial" else row
        for row in detectors.DETECTORS
    )
    monkeypatch.setattr(detectors, "DETECTORS", rows)
    found = detect_objects(scene, "aircraft", run=run)
    assert set(told(found)) == {"count", "observed_share"}
    assert found.confidence is None
    assert any("not known for aircraft" in each for each in found.warnings)


def test_boxes_are_in_pixels_in_the_map_and_in_degrees(aerial: MakeScene, run: Run) -> None:
    found = detect_objects(aerial((160, 200), [(16, 24)]), "aircraft", run=run)
    (thing,) = found.objects
    assert thing.map_box is not None
    assert thing.map_box[0] == pytest.approx(600_000 + 0.8 * thing.box[0], abs=0.2)
    assert thing.map_box[3] == pytest.approx(5_000_000 - 0.8 * thing.box[1], abs=0.2)
    (feature,) = features(found)["features"]  # type: ignore[misc]
    longitude, latitude = feature["geometry"]["coordinates"][0][0]  # type: ignore[index]
    assert (round(longitude), round(latitude)) == (10, 45)
    assert feature["properties"]["probability"] == pytest.approx(thing.probability, abs=1e-3)  # type: ignore[index]


def test_without_coordinates_boxes_are_in_pixels_and_the_size_is_doubted(
    aerial: MakeScene, run: Run
) -> None:
    found = detect_objects(aerial((160, 200), [(16, 24)], None), "aircraft", run=run)
    assert found.count == 1
    assert found.objects[0].map_box is None
    assert "pixels" in str(features(found)["coordinates_are"])
    assert any("pixel size" in warning for warning in found.warnings)


def test_a_large_scene_is_looked_at_in_tiles_and_nothing_is_counted_twice(
    aerial: MakeScene, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, pixels in (("_WHOLE", 128), ("_CORE", 128), ("_HALO", 64)):
        monkeypatch.setattr(detect_finding, name, pixels)
    places = [(8, 8), (120, 112), (240, 8), (8, 256), (112, 248), (280, 272)]
    found = detect_objects(aerial((320, 320), places), "aircraft", run=run)
    assert corners(found) == sorted(places)


def test_a_region_counts_what_has_its_middle_inside(aerial: MakeScene, run: Run) -> None:
    scene = aerial((160, 200), [(16, 24), (120, 80)])
    east = Region.parse(
        {"type": "Polygon", "crs": {"type": "name", "properties": {"name": "EPSG:32632"}},
         "coordinates": [[[600_080, 5_000_000], [600_160, 5_000_000], [600_160, 4_999_872],
                          [600_080, 4_999_872], [600_080, 5_000_000]]]}
    )  # fmt: skip
    found = detect_objects(scene, "aircraft", run=run, region=east)
    assert corners(found) == [(120, 80)]
    with pytest.raises(RegionError):
        detect_objects(scene, "aircraft", run=run, region=Region.parse([0, 0, 1, 1]))


def test_finer_pixels_are_brought_to_the_size_that_was_learnt(aerial: MakeScene, run: Run) -> None:
    fine = aerial((160, 200), [(16, 24), (120, 80)])
    finer = aerial((640, 800), [], FINE @ Affine.scale(0.25))
    assert finer.gsd == pytest.approx(0.2, abs=0.01)
    choice = detectors.choose_detector(finer, "aircraft")
    assert choice.zoom == pytest.approx(0.25, abs=0.01)
    assert detectors.choose_detector(fine, "aircraft").zoom == 1


def test_where_nothing_is_none_are_counted(aerial: MakeScene, run: Run) -> None:
    found = detect_objects(aerial((160, 200), []), "aircraft", run=run)
    assert (found.count, found.objects, found.confidence) == (0, [], None)
    assert features(found)["features"] == []


def test_pixels_too_large_are_refused_with_what_it_takes(make_scene: MakeScene, run: Run) -> None:
    bands = {name: np.full((16, 16), 0.1, np.float32) for name in ("B2", "B3", "B4", "B5")}
    landsat = make_scene(
        "landsat", bands, sensor="landsat8", transform=Affine(30, 0, 600_000, 0, -30, 5_000_000)
    )
    with pytest.raises(RefusalError, match=r"a pixel is 30 m wide.*takes 2 m or finer") as refused:
        detect_objects(landsat, "aircraft", run=run)
    assert refused.value.reason == "resolution"


def test_ships_on_sentinel_2_need_their_five_bands(make_scene: MakeScene, run: Run) -> None:
    bands = {name: np.full((16, 16), 0.1, np.float32) for name in ("B03", "B08", "B11")}
    with pytest.raises(MissingBandError, match="takes the bands"):
        detect_objects(make_scene("port", bands), "ship", run=run)


def test_a_ship_has_water_around_it(make_scene: MakeScene) -> None:
    land = np.full((64, 64), 0.3, np.float32)
    land[:, :32] = 0.01
    land[20:26, 10:16] = 0.4
    scene = make_scene("port", dict.fromkeys(("B08", "B11"), land))
    boxes = np.array([[9, 19, 17, 27], [45, 20, 51, 26], [29, 40, 34, 46]], np.float64)
    around = Water(scene).around(boxes, Window(0, 0, 64, 64))
    assert around.tolist() == [True, False, True]
    moved = boxes - np.array([0, 16, 0, 16])
    assert Water(scene).around(moved, Window(0, 16, 64, 48)).tolist() == [True, False, True]


def test_an_unknown_target_or_model_lists_what_is_known(aerial: MakeScene, run: Run) -> None:
    scene = aerial((160, 200), [])
    with pytest.raises(InputError, match=r"'cow'.*detect_aerial.*aircraft"):
        detect_objects(scene, "cow", run=run)
    with pytest.raises(InputError, match="detectors at hand"):
        detect_objects(scene, "aircraft", run=run, model="yolo")


def test_an_open_sensor_is_asked_for(make_scene: MakeScene, run: Run) -> None:
    bands = {f"x{i}": np.full((16, 16), 900 + i, np.float32) for i in range(5)}
    scene = make_scene("open", bands, sensor=None, dtype="uint16")
    assert scene.recognition.question
    with pytest.raises(ClarifyError):
        detect_objects(scene, "aircraft", run=run)


@pytest.mark.skipif(REAL is None, reason="TERRALOGUE_DATA is not set")
def test_the_shipped_detector_counts_aircraft_in_a_plain_picture(run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "apron.png"
    Image.open(Path(REAL or "") / "nwpu_vhr10/images/001.webp").save(picture)
    with open_scene(picture) as scene:
        found = detect_objects(scene, "aircraft", run=run)
    assert found.model == "detect_aerial"
    assert found.count == 1
    assert told(found)["count_low"] <= found.count


@pytest.mark.skipif(REAL is None, reason="TERRALOGUE_DATA is not set")
def test_trees_are_told_by_the_hectare_with_how_far_the_interval_can_be_relied_on(run: Run) -> None:
    with open_scene(Path(REAL or "") / "neon_trees/OSBS/OSBS_022.tif") as scene:
        found = detect_objects(scene, "tree", run=run)
        hectares = scene.width * scene.height * (scene.gsd or 0) ** 2 / 1e4
    assert told(found)["density"] == pytest.approx(found.count / hectares, rel=0.01)
    assert any("two of five" in each for each in found.warnings)
