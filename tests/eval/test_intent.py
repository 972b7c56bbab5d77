"""The scoring rules, on predictions worked out by hand."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from terralogue.eval.intent import (
    Scored,
    baselines,
    evaluate,
    latency,
    macro_f1,
    main,
    metrics,
    run,
)

SCENE = {"sensor": "sentinel2", "georeferenced": True, "date": "2022-06-01"}


def gold(route: str, *, also: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    empty = {
        "tool": None,
        "acceptable_tools": [],
        "target": None,
        "acceptable_targets": [],
        "index": None,
        "acceptable_indices": [],
        "missing_slot": None,
        "reason": None,
        "flag": None,
    }
    return {"route": route, "acceptable_routes": [route, *also], **empty, **more}


def scored(
    wanted: dict[str, Any], route: str | None, tool: str | None = None, **arguments: Any
) -> Scored:
    plan = [{"tool": tool, "arguments": arguments}] if tool else []
    item = {"id": "x", "query": str(id(wanted)), "gold": wanted, "inputs": {}}
    return Scored(item, {"route": route, "plan": plan})


SEGMENT = gold("tools", acceptable_tools=["segment"], acceptable_targets=["water", "flooded_area"])
CHANGE = gold("tools", acceptable_tools=["detect_change"], acceptable_targets=["any"])
SERIES = gold("tools", acceptable_tools=["time_series"], acceptable_indices=["EVI"])


def test_tool_and_target_count_only_what_they_bear_on() -> None:
    rows = [
        scored(SEGMENT, "tools", "segment", target="flooded_area"),
        scored(SEGMENT, "tools", "segment", target="cloud"),
        scored(SEGMENT, "tools", "detect_objects", target="water"),
        scored(SEGMENT, "answer"),
        scored(CHANGE, "tools", "detect_change"),
        scored(SERIES, "tools", "time_series", quantity="EVI"),
    ]
    found = metrics(rows)
    assert found["route_accuracy"] == pytest.approx(5 / 6)
    assert (found["tool_accuracy"], found["tool_n"]) == (pytest.approx(4 / 5), 5)
    assert (found["target_accuracy"], found["target_n"]) == (pytest.approx(3 / 4), 4)


def test_over_calling_and_clarifying_follow_their_denominators() -> None:
    rows = [
        scored(gold("answer"), "tools", "segment", target="water"),
        scored(gold("answer", also=("tools",)), "tools", "segment", target="water"),
        scored(gold("clarify"), "clarify"),
        scored(gold("clarify"), None),
        scored(gold("refuse"), "clarify"),
    ]
    found = metrics(rows)
    assert found["over_calling"] == pytest.approx(1 / 4)
    assert found["clarify_precision"] == pytest.approx(1 / 2)
    assert found["clarify_recall"] == pytest.approx(1 / 2)
    assert found["route_accuracy"] == pytest.approx(2 / 5)


def test_an_acceptable_route_counts_as_gold_in_macro_f1() -> None:
    rows = [
        scored(gold("tools", also=("answer",)), "answer"),
        scored(gold("tools"), "tools", "segment"),
        scored(gold("clarify"), "clarify"),
        scored(gold("refuse"), "refuse"),
    ]
    assert macro_f1(rows) == 1.0
    worse = [*rows, scored(gold("refuse"), "answer")]
    assert macro_f1(worse) == pytest.approx((2 / 3 + 1 + 1 + 2 / 3) / 4)


def test_both_members_of_a_pair_have_to_be_right() -> None:
    def pair(route: str, predicted: str) -> Scored:
        return Scored({"id": "x", "query": "q", "gold": gold(route)}, {"route": predicted})

    assert metrics([pair("tools", "tools"), pair("clarify", "clarify")])["pair_accuracy"] == 1.0
    assert metrics([pair("tools", "tools"), pair("clarify", "tools")])["pair_accuracy"] == 0.0


def test_trivial_planners_set_the_bar() -> None:
    items = [{"gold": gold("tools", also=("answer",))}, {"gold": gold("refuse")}]
    assert baselines(items) == {
        "always_answer": 0.5,
        "always_tools": 0.5,
        "always_clarify": 0.0,
        "always_refuse": 0.5,
    }


def test_a_file_is_planned_and_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"id": "a", "query": "How much water is there?", "gold": SEGMENT},
        {"id": "b", "query": "Describe the scene", "gold": gold("clarify")},
    ]
    path = tmp_path / "items.jsonl"
    path.write_text(
        "".join(json.dumps({**row, "history": [], "inputs": {"scenes": [SCENE]}}) + "\n"
                for row in rows),
        encoding="utf-8",
    )  # fmt: skip
    assert [s.right_route for s in evaluate(path)] == [True, False]
    assert main(["--data", str(path), "--misses"]) == 0
    printed = capsys.readouterr().out
    assert '"route_accuracy": 0.5' in printed
    assert "'Describe the scene': answer, gold clarify" in printed


def test_the_planner_sees_no_gold(tmp_path: Path) -> None:
    base = {"id": "a", "query": "How much water is there?", "inputs": {"scenes": [SCENE]}}
    plans = []
    for route in ("tools", "refuse"):
        path = tmp_path / f"{route}.jsonl"
        path.write_text(json.dumps({**base, "gold": gold(route)}) + "\n", encoding="utf-8")
        plans.append(evaluate(path)[0].predicted)
    assert plans[0] == plans[1]


def test_a_file_without_gold_is_an_input_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({"id": "a", "query": "x"}) + "\n", encoding="utf-8")
    assert main(["--data", str(path)]) == 2
    assert "gold" in capsys.readouterr().err


def test_a_confidence_that_is_too_high_shows_as_calibration_error() -> None:
    def sure(route: str, confidence: float | None) -> Scored:
        item = {"id": "x", "query": route, "gold": gold("tools")}
        return Scored(item, {"route": route, "confidence": confidence})

    rows = [sure("tools", 0.9), sure("answer", 0.9), sure("refuse", None)]
    assert metrics(rows)["calibration_error"] == pytest.approx(0.4)
    assert metrics(rows[2:])["calibration_error"] is None


def test_the_first_plan_is_left_out_of_the_latency() -> None:
    item = {"id": "x", "query": "q", "gold": gold("tools")}
    rows = [Scored(item, {}, seconds) for seconds in (3.0, 0.02, 0.04)]
    assert latency(rows)["median"] == pytest.approx(30)


def test_figures_are_broken_down_by_vagueness_language_and_reason(tmp_path: Path) -> None:
    row = {
        "id": "a", "query": "Who owns this land?", "vagueness": "precise", "language": "en",
        "history": [], "inputs": {"scenes": [SCENE]},
        "gold": gold("refuse") | {"reason": "out_of_scope"},
    }  # fmt: skip
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    options = argparse.Namespace(
        data=path, model="embedded", limit=None, misses=False, words_only=False
    )
    report = run(options)
    assert set(report.per_type) == {"precise", "language en", "reason out_of_scope"}
    assert report.per_type["language en"] == {"n": 1, "route_accuracy": 1.0}
    assert report.details["plan_ms"]["median"] >= 0


def test_words_alone_do_not_see_the_inputs(tmp_path: Path) -> None:
    row = {
        "id": "a", "query": "Compute the NDVI", "history": [], "gold": gold("refuse"),
        "inputs": {"scenes": [{**SCENE, "sensor": "rgb_aerial"}]},
    }  # fmt: skip
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert evaluate(path)[0].route == "refuse"
    assert evaluate(path, words_only=True)[0].route == "tools"
