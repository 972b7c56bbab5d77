"""Whole conversations on simulated scenes, through the command that scores them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from terralogue.agent.cli import main
from terralogue.datasets import dialogue_build

ROWS = {row["id"]: row for row in dialogue_build.rows()}


def written(path: Path, ids: list[str]) -> Path:
    path.write_text("".join(f"{json.dumps(ROWS[name])}\n" for name in ids), encoding="utf-8")
    return path


def scored(path: Path, out: Path) -> tuple[dict[str, dict[str, object]], dict[str, float]]:
    assert main(["eval", "agent", "--data", str(path), "--out", str(out)]) == 0
    lines = (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return {row["id"]: row for row in map(json.loads, lines)}, summary["metrics"]


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
    assert acres["prediction_parsed"] == pytest.approx(acres["gold"], rel=0.2)
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
