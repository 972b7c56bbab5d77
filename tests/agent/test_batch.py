"""Many declared queries in one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from terralogue.agent.batch import plan_batch
from terralogue.datasets.errors import InputError

SENTINEL = {"sensor": "sentinel2", "georeferenced": True, "date": "2022-06-01"}


def write(path: Path, *rows: dict[str, Any] | str) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def item(name: str, query: str, **inputs: Any) -> dict[str, Any]:
    declared = {"scenes": [SENTINEL], "archive": False, "point": False, "region": False, **inputs}
    return {"id": name, "query": query, "history": [], "inputs": declared}


def test_every_line_gives_one_object_with_its_id(tmp_path: Path) -> None:
    path = write(
        tmp_path / "q.jsonl",
        item("a", "How much water is there?"),
        item("b", "Describe the scene."),
        item("c", "Compute NDVI", scenes=[{**SENTINEL, "sensor": "rgb_aerial"}]),
        item("d", "Please handle this"),
    )
    out = list(plan_batch(path))
    assert [row["id"] for row in out] == ["a", "b", "c", "d"]
    assert [row["route"] for row in out] == ["tools", "answer", "refuse", "clarify"]
    assert out[0]["plan"] == [
        {"tool": "segment", "arguments": {"scene": "scene1", "target": "water"}}
    ]
    assert out[2]["reason"] == "sensor"
    assert out[2]["answer"]
    assert out[3]["missing_slot"] == "intent"
    assert len(out[3]["options"]) >= 2
    assert json.loads(json.dumps(out)) == out


def test_marks_may_be_declared_without_being_given(tmp_path: Path) -> None:
    path = write(
        tmp_path / "q.jsonl",
        item("a", "outline what I clicked", point=True),
        item("b", "outline what I clicked", point=[3, 4]),
        item("c", "average NDVI in my polygon", region=True),
    )
    plans = [row["plan"][0] for row in plan_batch(path)]
    assert plans[0] == {"tool": "segment_at_point", "arguments": {"scene": "scene1"}}
    assert plans[1]["arguments"] == {"scene": "scene1", "x": 3, "y": 4}
    assert plans[2]["arguments"] == {"scene": "scene1", "index": "NDVI"}


def test_a_bad_line_gives_an_error_in_its_place(tmp_path: Path) -> None:
    path = write(
        tmp_path / "q.jsonl",
        "{not json",
        {"id": "b"},
        item("c", "How much water?", scenes=[{**SENTINEL, "sensor": "sputnik"}]),
        {"id": "d", "query": "How much water?", "history": [{"role": "robot", "content": "x"}]},
        item("e", "How much water?"),
    )
    out = list(plan_batch(path))
    assert [row["id"] for row in out] == [None, "b", "c", "d", "e"]
    assert ["error" in row for row in out] == [True, True, True, True, False]
    assert "line 1" in out[0]["error"]
    assert "sputnik" in out[2]["error"]


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.jsonl"):
        list(plan_batch(tmp_path / "none.jsonl"))
