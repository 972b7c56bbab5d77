"""The segmentation task on small pictures of water and forest whose masks are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.crs import CRS
from torchmetrics.classification import BinaryF1Score, BinaryJaccardIndex

from terralogue.agent.cli import main
from terralogue.eval import segmentation, segmentation_run
from terralogue.eval.segmentation_scores import Scores, figures, patch_counts, pixel_counts
from terralogue.tools.export import quiet
from terralogue.tools.specialists import SPECIALISTS

RunEval = Callable[..., dict[str, Any]]
UTM = CRS.from_epsg(32632)
GRID = Affine(10, 0, 600_000, 0, -10, 5_000_000)
BANDS = ("coastal", "blue", "green", "red", "nir", "swir16", "swir22")
# Reflectance in percent.
SPECTRA = {"water": (5, 6, 5, 3, 2, 1, 1), "forest": (2, 2, 4, 3, 40, 18, 8)}
SIZE = 40


def write_scene(path: Path, water: NDArray[np.bool_]) -> None:
    """Water and forest in seven bands, with coordinates."""
    columns = [np.array(SPECTRA[name])[:, None, None] for name in ("water", "forest")]
    stack = (np.where(water, *columns) * 100).astype(np.int16)
    with quiet(), rasterio.open(
        path, "w", driver="GTiff", count=7, dtype="int16", height=water.shape[0],
        width=water.shape[1], crs=UTM, transform=GRID,
    ) as file:  # fmt: skip
        file.write(stack)
        file.descriptions = BANDS


@pytest.fixture
def chips(tmp_path: Path) -> Path:
    """Six chips: the upper half is water; masks miss five rows of it in every other chip."""
    data = tmp_path / "chips"
    for folder in ("images", "masks"):
        (data / folder).mkdir(parents=True)
    water = np.zeros((SIZE, SIZE), bool)
    water[:20] = True
    for number in range(6):
        write_scene(data / "images" / f"chip_{number}.tif", water)
        mask = water.copy()
        mask[: 5 * (number % 2)] = False
        Image.fromarray(mask.astype(np.uint8) * 255).save(data / "masks" / f"chip_{number}.png")
    return data


def rows(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_scores_are_those_of_the_tool_against_the_masks(
    chips: Path, tmp_path: Path, run_eval: RunEval
) -> None:
    out = tmp_path / "out"
    found = run_eval("segmentation", "--data", chips, "--target", "water", "--out", out)
    # Found everywhere in 20 of 40 rows; there in 20 and in 15 rows.
    assert found["metrics"]["iou"] == pytest.approx(35 / 40)
    assert found["metrics"]["precision"] == pytest.approx(35 / 40)
    assert found["metrics"]["recall"] == 1
    assert found["interval_95"]["iou"][0] < 35 / 40 < found["interval_95"]["iou"][1]
    assert found["baselines"]["all_target"] == pytest.approx(35 / 80)
    assert (found["n"], found["model"], found["parse_rate"]) == (6, "router: ms_water (6)", 1)
    assert [row["iou"]["water"] for row in rows(out)] == [1, 0.75, 1, 0.75, 1, 0.75]
    # Only chips with errors are worth a map.
    assert len(list(out.glob("errors_*.png"))) == 3
    # The rule beside the network; on water this plain it finds the same.
    assert found["baselines"]["physical"] == pytest.approx(35 / 40)


def test_a_model_is_scored_by_name(chips: Path, run_eval: RunEval) -> None:
    found = run_eval(
        "segmentation", "--data", chips, "--target", "water", "--model", "ndwi", "--limit", 2
    )
    assert (found["n"], found["model"]) == (2, "ndwi")
    assert found["models"] == {"water": {"ndwi": 2}}


def test_of_several_classes_each_is_asked_for_and_one_that_is_not_found_scores_zero(
    chips: Path, run_eval: RunEval
) -> None:
    for path in (chips / "masks").iterdir():
        classes = np.where(np.asarray(Image.open(path)) > 0, 1, 2).astype(np.uint8)
        classes[-5:] = 9
        Image.fromarray(classes).save(path)
    found = run_eval(
        "segmentation", "--data", chips, "--classes", "1=water,2=vegetation,3=road,9=ignore"
    )
    each = found["per_type"]
    assert each["vegetation"]["iou"] == pytest.approx(15 * 6 / (15 * 6 + 5 * 3))
    assert each["road"]["n"] == 0
    assert found["metrics"]["miou"] == pytest.approx(
        (each["water"]["iou"] + each["vegetation"]["iou"]) / 2
    )
    assert found["pixels"] == 6 * 35 * SIZE


def test_pixels_that_the_tool_does_not_judge_count_as_not_found(
    chips: Path, run_eval: RunEval
) -> None:
    for path in (chips / "images").iterdir():
        with rasterio.open(path, "r+") as file:
            data = file.read()
            data[:, :10] = -9999
            file.write(data)
            file.nodata = -9999
    found = run_eval("segmentation", "--data", chips, "--target", "water")
    assert found["metrics"]["recall"] == pytest.approx((3 * 10 + 3 * 10) / (3 * 20 + 3 * 15))
    assert found["hidden_share"] == pytest.approx(0.25)


@pytest.mark.parametrize("kind", ["raster", "polygons", "classed polygons"])
def test_a_reference_map_in_another_crs_is_brought_onto_the_scene(
    tmp_path: Path, run_eval: RunEval, kind: str
) -> None:
    water = np.zeros((100, 120), bool)
    water[30:70, 20:80] = True
    scene = tmp_path / "scene.tif"
    write_scene(scene, water)
    arguments = ["--target", "water"]
    if kind == "raster":
        # Twice as fine, and shifted by half a scene.
        reference = tmp_path / "truth.tif"
        fine = np.kron(water, np.ones((2, 2))).astype(np.uint8)[:, :120]
        with rasterio.open(
            reference, "w", driver="GTiff", count=1, dtype="uint8", height=200, width=120,
            nodata=7, crs=UTM, transform=GRID @ Affine.scale(0.5),
        ) as file:  # fmt: skip
            file.write(fine[None])
    else:
        corners = [(20, 30), (80, 30), (80, 70), (20, 70), (20, 30)]
        ring = [list(GRID @ corner) for corner in corners]
        features = [{"type": "Feature", "properties": {"code": 4},
                     "geometry": {"type": "Polygon", "coordinates": [ring]}}]  # fmt: skip
        crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
        reference = tmp_path / "truth.geojson"
        text = json.dumps({"type": "FeatureCollection", "crs": crs, "features": features})
        reference.write_text(text, encoding="utf-8")
        if kind == "classed polygons":
            arguments = ["--classes", "4=water", "--attribute", "code"]
    found = run_eval("segmentation", "--data", scene, "--reference", reference, *arguments)
    assert found["metrics"]["iou"] > 0.99
    expected = {"raster": 60 * 100, "polygons": 120 * 100, "classed polygons": 60 * 40}[kind]
    assert found["pixels"] == pytest.approx(expected, rel=0.01)
    assert found["interval_95"] == {}


def test_the_confidence_of_a_network_and_its_interval_are_held_against_the_truth(
    tmp_path: Path, run_eval: RunEval
) -> None:
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for number in range(2):
        picture = random.integers(80, 120, (96, 96, 3)).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / "images" / f"{number}.png")
        mask = np.zeros((96, 96), np.uint8)
        mask[number, :] = 1
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number}.png")
    found = run_eval("segmentation", "--data", tmp_path, "--target", "building")
    (row,) = {row.name for row in SPECIALISTS if row.name in found["models"]["building"]}
    told = found["calibration"]["building"]
    assert row.startswith("rgb_building")
    assert 0.5 <= told["confidence"] <= 1
    assert 0 <= told["accuracy"] <= 1
    assert told["area_in_interval"] in (0, 0.5, 1)
    # No rule finds buildings, so there is none to compare with.
    assert "physical" not in found["baselines"]


def test_a_run_that_was_killed_goes_on_where_it_ended(
    chips: Path, tmp_path: Path, run_eval: RunEval, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["segmentation", "--data", chips, "--target", "water", "--out", tmp_path / "out"]
    whole = run_eval(*arguments)
    asked: list[str] = []
    score = segmentation_run.score

    def killed(case: Any, *rest: Any) -> Any:
        asked.append(case.name)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return score(case, *rest)

    monkeypatch.setattr(segmentation_run, "score", killed)
    # Another version of the code would begin anew, and somebody may be writing one.
    monkeypatch.setattr(segmentation, "code_version", lambda: "1")
    assert main(["eval", *map(str, arguments)]) == 130
    found = run_eval(*arguments)
    assert found["resumed"] == 3
    assert len(set(asked)) == 6
    assert found["metrics"] == whole["metrics"]
    assert not list((tmp_path / "out").glob("rows-*"))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "say it with --target"),
        (("--target", "ship"), 2, "cannot be segmented by the models at hand"),
        (("--target", "water", "--model", "unet"), 2, "There is no model 'unet'"),
        (("--target", "water", "--dataset", "cityscapes"), 2, "with masks there are: dubai"),
        (("--target", "snow_ice", "--split", "own:test"), 2, "not a data set that parts"),
        (("--target", "burned_area", "--model", "dnbr"), 4, "earlier scene"),
        (("--target", "water", "--reference", "none.tif"), 2, "none.tif is not a file"),
    ],
)
def test_what_cannot_be_scored_is_said_in_one_sentence(
    chips: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    assert main(["eval", "segmentation", "--data", str(chips), *arguments]) == code
    text = capsys.readouterr().err
    assert said in text
    assert text.count("error:") == 1


def test_figures_agree_with_torchmetrics() -> None:
    random = np.random.default_rng(0)
    found, gold, scored = random.random((3, 50, 70)) > [[[0.6]], [[0.7]], [[0.1]]]
    mine = figures(np.array(pixel_counts(found, gold, scored), float))
    given = [torch.from_numpy(part.astype(int)) for part in (found, gold, scored)]
    given[1][given[2] == 0] = -1
    for name, metric in (
        ("iou", BinaryJaccardIndex(ignore_index=-1)),
        ("f1", BinaryF1Score(ignore_index=-1)),
    ):
        assert mine[name] == pytest.approx(metric(given[0], given[1]).item(), abs=1e-6)


def test_a_patch_is_road_where_more_than_a_quarter_is() -> None:
    gold, everywhere = np.zeros((2, 33, 48), bool)
    gold[:, :4] = True
    everywhere[:] = True
    assert patch_counts(gold, gold, everywhere) == [0, 0, 0, 6]
    gold[:, :5] = True
    assert patch_counts(gold, everywhere, everywhere) == [2, 0, 4, 0]
    counts = np.array([[[1, 1, 1, 1]]], float)
    found = Scores(["road"], counts, np.array([[[3, 1, 1, 0]]], float)).metrics()
    assert found["patch_f1"] == pytest.approx(0.75)


def test_water_of_the_chips_is_found_as_the_table_of_specialists_says(
    data_dir: Path, run_eval: RunEval
) -> None:
    found = run_eval("segmentation", "--data", data_dir / "water_s2l8", "--model", "mndwi")
    assert found["dataset"] == "water_s2l8"
    assert found["metrics"]["iou"] == pytest.approx(0.647, abs=0.001)
