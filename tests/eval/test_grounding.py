"""`terralogue eval grounding`, and how boxes meet by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from terralogue.agent.cli import main
from terralogue.datasets.samples import Box
from terralogue.eval.boxes import agreement, overlap

from .conftest import WORDS, Seer, WritePictures

Run = Callable[..., dict[str, Any]]


def test_boxes_meet_by_their_common_area() -> None:
    assert overlap(Box(0, 0, 4, 4), Box(2, 0, 6, 4)) == pytest.approx(8 / 24)
    assert overlap(Box(0, 0, 4, 4), Box(4, 0, 8, 4)) == 0
    assert overlap(Box(0, 0, 0, 0), Box(0, 0, 0, 0)) == 0


def test_of_one_thing_the_first_box_counts_and_of_several_all_do() -> None:
    a, b, far = Box(0, 0, 2, 2), Box(10, 0, 12, 2), Box(50, 50, 52, 52)
    assert agreement([a, far], [a]) == 1
    assert agreement([far, a], [a]) == 0
    assert agreement([b, a], [a, b]) == 1
    assert agreement([a], [a, b]) == 0.5
    assert agreement([a, b, far], [a, b]) == pytest.approx(2 / 3)
    assert agreement([], [a]) == 0


@pytest.fixture
def boxes(tmp_path: Path, write_pictures: WritePictures) -> Path:
    """Pictures of 16 pixels in COCO's layout: water fills the left half, soil the right, twice."""
    data = tmp_path / "data"
    write_pictures(data / "images", 1)
    images, annotations = [], []
    categories = [{"id": i, "name": word} for i, word in enumerate(WORDS.values())]
    placed = {"water": [[0, 0, 8, 16]], "forest": [[8, 0, 8, 16]],
              "soil": [[0, 0, 8, 8], [0, 8, 8, 8]]}  # fmt: skip
    for number, (folder, word) in enumerate(WORDS.items()):
        name = f"{folder}/{folder}_1.png"
        images.append({"id": number, "file_name": name, "width": 16, "height": 16})
        for box in placed[word]:
            annotations.append({"image_id": number, "category_id": number, "bbox": box})
    file = {"images": images, "annotations": annotations, "categories": categories}
    (data / "annotations.json").write_text(json.dumps(file), encoding="utf-8")
    return data


def test_classes_of_detection_data_are_pointed_at(
    boxes: Path, seer: Seer, run_eval: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    found = run_eval("grounding", "--data", boxes, "--model", "seer", "--out", out)
    metrics = found["metrics"]
    # The left half is all of the water, nothing of the forest, and half of either patch of soil.
    assert metrics["mean_iou"] == pytest.approx((1 + 0 + 0.25) / 3)
    assert metrics["acc@0.5"] == metrics["acc@0.7"] == pytest.approx(1 / 3)
    assert found["per_type"]["unique"]["n"] == 2
    assert found["per_type"]["non_unique"]["mean_iou"] == pytest.approx(0.25)
    assert found["baselines"]["centre_box"] == 0
    assert found["interval_95"]["mean_iou"][0] < metrics["mean_iou"]
    rows = list(map(json.loads, (out / "predictions.jsonl").read_text().splitlines()))
    assert rows[0]["prediction_parsed"] == [[0, 0, 8, 16]]
    assert rows[0]["correct"] is True
    assert (out / "report.html").is_file()


def test_right_boxes_move_with_the_picture(boxes: Path, seer: Seer, run_eval: Run) -> None:
    given = ("grounding", "--data", boxes, "--model", "seer")
    still = run_eval(*given, "--corrupt", "gaussian_blur:3")
    moved = run_eval(*given, "--corrupt", "scale:5")
    assert still["metrics"]["mean_iou"] == pytest.approx(1.25 / 3)
    # At half the size the water is a box of 4 by 8 within the half of 8 by 16.
    assert moved["per_type"]["water"]["mean_iou"] == pytest.approx(0.25)


def test_what_cannot_point_is_refused(
    boxes: Path, seer: Seer, capsys: pytest.CaptureFixture[str]
) -> None:
    seer.tasks = frozenset({"qa"})
    assert main(["eval", "grounding", "--data", str(boxes), "--model", "seer"]) == 2
    assert "seer cannot do grounding" in capsys.readouterr().err
    (boxes / "annotations.json").write_text('{"images": [], "annotations": [], "categories": []}')
    assert main(["eval", "grounding", "--data", str(boxes), "--model", "seer"]) == 2
    assert "has no boxes" in capsys.readouterr().err
