"""Which model for my scene and task is answered from the table of measured scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from terralogue.agent.advising import advice
from terralogue.agent.embedded_planner import EmbeddedPlanner
from terralogue.agent.plan import Inputs, SceneFacts
from terralogue.agent.questions import read
from terralogue.agent.session import ChatSession

from .conftest import WriteScene

VAGUE = Path(__file__).parents[2] / "datasets" / "vague"
INPUTS = Inputs(scenes=(SceneFacts(id="a", sensor="sentinel2", date="2022-06-01"),))


@pytest.mark.parametrize(
    ("question", "target"),
    [
        ("which model is best for water here?", "water"),
        ("What network should I use to map buildings", "building"),
        ("recommend a backbone for burned area please", "burned_area"),
        ("Welches Modell ist am besten für Wasser?", "water"),
        ("quel modèle pour l'eau ?", "water"),
    ],
)
def test_a_question_for_a_model_asks_the_table(question: str, target: str) -> None:
    plan = EmbeddedPlanner().plan(question, INPUTS)
    assert [call.tool for call in plan.calls] == ["recommend_model"]
    assert plan.calls[0].arguments["target"] == target


def test_a_model_for_nothing_is_asked_back() -> None:
    plan = EmbeddedPlanner().plan("can you recommend a model?", INPUTS)
    assert (plan.route, plan.missing_slot) == ("clarify", "target")
    assert plan.options


def test_no_question_of_the_public_set_is_taken_for_one() -> None:
    asked = [
        json.loads(line)["query"]
        for part in ("train", "val", "test")
        for line in (VAGUE / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert len(asked) > 1500
    assert [q for q in asked if advice(read(q), INPUTS) is not None] == []


def test_the_answer_lists_what_is_ready_with_its_score(home: Path, write_scene: WriteScene) -> None:
    with ChatSession() as session:
        answer = session.ask("Which model is best for vegetation here?", write_scene())
    assert (answer.route, answer.exit_code) == ("tools", 0)
    assert answer.answer.startswith("Models for vegetation on PlanetScope")
    assert "ndvi_split is taken for this scene." in answer.answer
    assert "\n- ndvi: " in answer.answer
    assert not answer.artefacts
