"""Reading the set, and choosing on the validation part how the heads decide."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from terralogue.agent.planner_heads import shipped
from terralogue.agent.planner_training import decide, load_items
from terralogue.agent.questions import load_examples
from terralogue.agent.words import fold
from terralogue.datasets.errors import InputError
from terralogue.datasets.vague_seeds import FOLDER
from terralogue.vlm.train import STAGES


def head_of(part: str, n: int, tmp_path: Path) -> Path:
    lines = (FOLDER / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    path = tmp_path / f"{part}.jsonl"
    path.write_text("\n".join(lines[:: len(lines) // n]), encoding="utf-8")
    return path


def test_items_know_their_outcome_and_the_question_that_a_reply_completes() -> None:
    items = load_items(FOLDER / "train.jsonl")
    outcomes = {item.outcome for item in items}
    assert {"answer", "tools:segment", "clarify:second_scene", "refuse:sensor"} <= outcomes
    replies = [i for i in items if i.inputs.history and i.inputs.history[-1].content.endswith("?")]
    assert replies
    assert any(i.asked.question.text != i.question.text for i in replies)


def test_no_labelled_example_occurs_in_the_held_out_parts() -> None:
    examples = {fold(row["query"]) for row in load_examples()}
    for part in ("val", "test"):
        for line in (FOLDER / f"{part}.jsonl").read_text(encoding="utf-8").splitlines():
            assert fold(json.loads(line)["query"]) not in examples


def test_the_decision_is_chosen_by_what_comes_out_right(tmp_path: Path) -> None:
    items = load_items(head_of("val", 12, tmp_path))
    decision, figures = decide(shipped(), items)
    assert figures["route_accuracy"] >= 0.75
    assert decision.temperature > 0
    assert np.isfinite(figures["log_loss"])


def test_a_missing_part_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="vague_build"):
        load_items(tmp_path / "val.jsonl")


def test_the_planner_is_a_stage_of_training() -> None:
    assert STAGES["planner"] == "terralogue.agent.planner_training"
