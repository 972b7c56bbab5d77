"""`terralogue eval detection` scores the boxes that the tool finds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import open_scene
from terralogue.eval.cli import main
from terralogue.eval.detection_baseline import blobs
from terralogue.tools import detectors
from terralogue.tools.detect_calibrate import ClassFacts, as_settings
from terralogue.tools.detect_checkpoint import write_detector
from terralogue.tools.detect_model import DetectorConfig, DetectorNet
from terralogue.tools.detect_scores import overlaps

SIDE = 24
PLACES = [(16, 24), (72, 56), (120, 88)]


class Bright(DetectorNet):
    """Says of each point of the finest level whether a bright square is around it."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `DetectorNet`."""
        fine = torch.nn.functional.avg_pool2d(images.mean(1, keepdim=True), 8)
        coarse = torch.nn.functional.avg_pool2d(fine, 2)
        around = torch.nn.functional.avg_pool2d(fine, 3, stride=1, padding=1)
        scores = torch.cat([around.flatten(2), torch.full_like(coarse.flatten(2), -1)], 2).mT
        logits = torch.cat([torch.full_like(scores, -9), scores * 30 - 24], 2)
        return logits, torch.full((*logits.shape[:2], 4), SIDE / 2)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures with tanks, all but one marked, and a detector of bright squares."""
    folder = tmp_path / "tanks"
    (folder / "images").mkdir(parents=True)
    boxes: list[dict[str, Any]] = []
    for number, places in enumerate((PLACES, PLACES[:1])):
        pixels = np.full((128, 160, 3), 40, np.uint8)
        for x, y in places:
            pixels[y : y + SIDE, x : x + SIDE] = 250
        Image.fromarray(pixels).save(folder / "images" / f"tank_{number}.png")
        boxes += [
            {"image_id": number, "category_id": 1, "bbox": [x, y, SIDE, SIDE], "iscrowd": 0}
            for x, y in places[: 2 if number == 0 else 1]
        ]
    boxes.append({"image_id": 1, "category_id": 2, "bbox": [90, 90, 20, 20], "iscrowd": 0})
    content = {
        "images": [{"id": i, "file_name": f"tank_{i}.png"} for i in (0, 1)],
        "categories": [{"id": 1, "name": "oiltank"}, {"id": 2, "name": "roundabout"}],
        "annotations": boxes,
    }
    (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    config = DetectorConfig(("ship", "storage_tank"), blocks=3, width=16)
    facts = {name: ClassFacts(0.5, 1.0, 0.0, 0.9, 1.0, 50) for name in config.classes}
    write_detector(
        tmp_path / "weights", "bright", DetectorNet(config), {"classes": as_settings(facts)}
    )
    monkeypatch.setattr("terralogue.tools.detect_checkpoint.DetectorNet", Bright)
    rows = tuple(replace(row, folder=tmp_path / "weights") for row in detectors.DETECTORS)
    monkeypatch.setattr(detectors, "DETECTORS", rows)
    return folder


def summary(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["detection", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_boxes_are_scored_per_class_with_a_baseline(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = summary(capsys, "--data", str(data))
    metrics = found["metrics"]
    assert (found["task"], found["n"], found["model"]) == ("detection", 2, "detect_aerial")
    assert metrics["recall"] == 1
    assert metrics["precision"] == pytest.approx(3 / 4)
    assert metrics["f1"] == pytest.approx(6 / 7)
    assert 0.7 < metrics["map50"] <= 1
    assert metrics["count_error"] == pytest.approx(0.5)
    assert found["per_type"]["storage_tank"]["n"] == 3
    assert found["not_scored"] == ["roundabout"]
    assert found["iou"] == 0.5
    assert found["baselines"]["blobs_f1"] is not None
    low, high = found["interval_95"]["f1"]
    assert low <= metrics["f1"] <= high


def test_a_stricter_overlap_and_one_target_can_be_asked_for(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = summary(capsys, "--data", str(data), "--target", "storage_tank", "--iou", "0.95")
    assert strict["iou"] == 0.95
    assert list(strict["per_type"]) == ["storage_tank"]
    assert strict["metrics"]["f1"] <= 6 / 7


def test_predictions_and_the_worst_pictures_are_written(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    summary(capsys, "--data", str(data), "--out", str(out))
    rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert rows[0]["prediction_parsed"] == {"storage_tank": 3}
    assert len(rows[0]["gold"]["storage_tank"]) == 2
    assert (out / "worst-1.png").stat().st_size > 0
    assert not (out / "worst-2.png").exists()
    assert "worst" not in (out / "summary.json").read_text()
    assert "data:image/png" in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--target", "cow"], "cow cannot be found"),
        (["--target", "ship"], "has no ship"),
        (["--iou", "1.5"], "is no overlap"),
        (["--model", "yolo"], "detectors at hand"),
        (["--dataset", "unheard"], "unknown data set"),
    ],
)
def test_what_cannot_be_scored_is_told(data: Path, extra: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        main(["detection", "--data", str(data), *extra])


def test_patches_and_crowns_are_found_without_a_detector(tmp_path: Path) -> None:
    pixels = np.full((128, 160, 3), 90, np.uint8)
    pixels[40:60, 50:70] = (20, 200, 30)
    Image.fromarray(pixels).save(tmp_path / "tree.png")
    with open_scene(tmp_path / "tree.png") as scene:
        for target in ("tree", "aircraft"):
            found = blobs(scene, target)
            assert overlaps(found.boxes[:1], np.array([[50.0, 40, 70, 60]]))[0, 0] > 0.4
