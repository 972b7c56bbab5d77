"""Whole conversations on simulated scenes, through the command that scores them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from terralogue.agent.cli import main
from terralogue.datasets import dialogue_build
from terralogue.eval.dialogue_scenes import stage, true_figure

ROWS = {row["id"]: row for row in dialogue_build.rows()}


def written(path: Path, ids: list[str]) -> Path:
    path.write_text("".join(f"{json.dumps(ROWS[name])}\n" for name in ids), encoding="utf-8")
    return path


def scored(path: Path, out: Path) -> tuple[dict[str, dict[str, object]], dict[str, float]]:
    assert main(["eval", "agent", "--data", str(path), "--out", str(out)]) == 0
    lines = (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return {row["id"]: row for row in map(json.loads, lines)}, summary["metrics"]


def test_a_true_area_is_that_of_the_ground_and_not_of_whole_pixels(tmp_path: Path) -> None:
    rows = ROWS["burn-00"]["scenes"]
    scenes = [stage(row, tmp_path, number) for number, row in enumerate(rows)]
    truth, box = scenes[1].truth, (0.1, 0.15, 0.85, 0.8)
    gold = {"unit": "ha", "truth": {"new": ["burned_area"]}}
    area = true_figure(gold, scenes[::-1], None)
    assert area == pytest.approx(float(truth.cover("burned_area").sum()) / 100)
    # Where two cells of four burned, the pixel's class is what did not.
    assert area > 1.02 * float(truth.where("burned_area").sum()) / 100
    assert 0 < true_figure(gold, scenes, box) < area
    share = true_figure({"unit": "%", "truth": {"of": ["burned_area"]}}, scenes, None)
    assert share == pytest.approx(100 * 100 * area / truth.classes.size)


@pytest.mark.filterwarnings("ignore:The given matrix is equal to Affine.identity")
def test_figures_at_the_end_are_held_against_what_was_simulated(tmp_path: Path) -> None:
    data = written(tmp_path / "d.jsonl", ["ndvi-00", "ndvi_in_region-01", "water_acres_later-00"])
    rows, metrics = scored(data, tmp_path / "out")
    for name in ("ndvi-00", "ndvi_in_region-01"):
        assert rows[name]["right"]
        assert rows[name]["prediction_parsed"] == pytest.approx(rows[name]["gold"], abs=0.005)
    assert rows["ndvi-00"]["gold"] != rows["ndvi_in_region-01"]["gold"]
    # Acres were asked for in a second turn, of the lake of the first.
    acres = rows["water_acres_later-00"]
    assert acres["tools"] == ["segment"]
    assert acres["prediction_parsed"] == pytest.approx(acres["gold"], rel=0.05)
    assert metrics["tool_accuracy"] == 1
    assert metrics["made_up"] == 0


def test_declining_is_right_where_nothing_can_be_measured(tmp_path: Path) -> None:
    data = written(tmp_path / "d.jsonl", ["ndvi_without_nir-00", "no_scene-00"])
    rows, metrics = scored(data, tmp_path / "out")
    assert all(row["right"] and row["prediction_parsed"] is True for row in rows.values())
    assert metrics["declined_right"] == 1
    assert metrics["answered_right"] is None


def test_the_file_of_the_package_is_what_its_builder_writes() -> None:
    lines = dialogue_build.FILE.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == json.loads(json.dumps(list(ROWS.values())))
    assert len(lines) >= 200


def test_a_file_without_conversations_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"query": "?"}\n', encoding="utf-8")
    assert main(["eval", "agent", "--data", str(path)]) == 2
    said = capsys.readouterr().err
    assert "does not hold conversations" in said
    assert "Traceback" not in said
