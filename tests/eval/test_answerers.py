"""Who answers on a benchmark: the embedded architecture, the whole agent; and how long it takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from terralogue.agent.answer import Answer, AnswerMeasurement
from terralogue.agent.said import answer_text
from terralogue.agent.said import reading_of as said_of
from terralogue.agent.world import Look, Looked
from terralogue.eval.answerers import reading_of
from terralogue.eval.asks import Ask, chunks
from terralogue.vlm.vlm import VLMS, Reading, tiny_vlm

from .conftest import Seer

Run = Callable[..., dict[str, Any]]


def _answer(text: str, route: Any = "answer", **more: Any) -> Answer:
    return Answer(
        thread="t", question="q", interpretation="i", route=route, answer=text, **more
    )  # fmt: skip


def test_what_the_agent_says_is_read_as_an_answer() -> None:
    assert reading_of(_answer("Yes. Read off the picture.", confidence=0.8)).text == "Yes."
    assert reading_of(_answer("Yes.", confidence=0.8)).confidence == 0.8
    count = AnswerMeasurement(name="count", value=8.0, unit="1", method="vlm_estimate")
    counted = _answer("About 8 ships. Estimated by eye.", measurements=(count,))
    assert reading_of(counted).text == "8"
    unsure = Reading("3", 0.41, sure=False, doubt="it is dark", alternatives=(("4", 0.3),))
    look = Look("How many?", "qa", ("s",), ("",))
    told = answer_text(said_of(look, Looked(unsure, "eyes", "qa", size=(9, 9))), {}, None, None)
    guessed = reading_of(_answer(told))
    assert (guessed.text, guessed.confidence, guessed.sure) == ("3", 0.41, False)
    for no_answer in (_answer("Not sure: it is dark."), _answer("Which one?", "clarify")):
        reading = reading_of(no_answer)
        assert (reading.text, reading.sure) == ("", False)


def test_the_agent_is_asked_through_its_own_conversation(
    questions: Path, seer: Seer, run_eval: Run
) -> None:
    def sees(query: Any) -> Any:
        return Reading("yes" if "water" in query.question else "no", 0.9)

    seer._answer = sees  # type: ignore[method-assign]
    found = run_eval("vqa", "--data", questions, "--model", "agent:seer", "--limit", "2")
    assert found["model"] == "agent:seer"
    assert found["n"] == 2
    assert seer.batches


def test_an_untrained_model_is_scored_and_timed(
    questions: Path, run_eval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from terralogue.eval.bench_vlm import main

    made = tiny_vlm()
    monkeypatch.setitem(VLMS, "tiny", lambda rest, device: made)
    found = run_eval("vqa", "--data", questions, "--model", "tiny", "--limit", "8")
    assert found["n"] == 8
    assert found["metrics"]["ece"] is not None
    given = ["--model", "tiny", "--questions", "4", "--per-picture", "2", "--out", str(tmp_path)]
    assert main(given) == 0
    figures = json.loads((tmp_path / "bench_vlm.json").read_text(encoding="utf-8"))
    assert (figures["questions"], figures["pictures"]) == (4, 2)
    assert figures["seconds_one_by_one"] > 0
    assert figures["times_faster"] > 0


def test_a_chat_model_of_transformers_is_scored(
    questions: Path, run_eval: Run, tmp_path: Path
) -> None:
    from terralogue.vlm.hf_tiny import write_tiny

    write_tiny(tmp_path / "qwen", "qwen2_5_vl")
    spec = f"hf:{tmp_path / 'qwen'}"
    found = run_eval("vqa", "--data", questions, "--model", spec, "--limit", "1")
    assert found["model"].startswith(spec)
    assert found["n"] == 1


def test_pieces_end_where_pictures_or_questions_are_enough() -> None:
    asks = [Ask(str(i), str(i // 3), (Path(str(i // 3)),), "?", ("no",)) for i in range(9)]
    assert chunks(asks, 4, 9) == [range(0, 4), range(4, 8), range(8, 9)]
    assert chunks(asks, 9, 2) == [range(0, 6), range(6, 9)]
    assert chunks([], 4, 4) == []
