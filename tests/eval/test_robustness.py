"""`terralogue eval robustness`: drops by corruption, other wordings, several models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from terralogue.agent.cli import main
from terralogue.vlm.vlm import VLMS, Query, Reading

from .conftest import Seer, WritePictures

Run = Callable[..., dict[str, Any]]


class Fickle(Seer):
    """Sees no colour in pictures that are noisy, and no question that is not asked properly."""

    name = "fickle"

    def _answer(self, query: Query) -> Reading:
        picture = np.asarray(query.pictures[0], float)
        if np.abs(np.diff(picture, axis=2)).mean() > 25:
            return Reading("no", 0.5)
        if query.question and not query.question.endswith("?"):
            return Reading("maybe", 0.5)
        return super()._answer(query)


@pytest.fixture
def fickle(monkeypatch: pytest.MonkeyPatch) -> Fickle:
    made = Fickle()
    monkeypatch.setitem(VLMS, "fickle", lambda rest, device: made)
    return made


def test_drops_are_relative_to_clean_pictures(
    questions: Path, seer: Seer, fickle: Fickle, run_eval: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    found = run_eval(
        "robustness", "--data", questions, "--model", "seer", "--model", "fickle",
        "--corruptions", "salt_and_pepper_noise,gaussian_noise", "--severities", "1,5",
        "--wordings", "omissions:1", "--out", out,
    )  # fmt: skip
    metrics = found["metrics"]
    assert metrics["accuracy"] == metrics["accuracy@2"] == pytest.approx(38 / 48)
    # Noise does not change which colour prevails, but the other model answers "no" to all that
    # was right by another answer: a third of presence and comp stays wrong, counts and areas all.
    assert metrics["drop_gaussian_noise"] == 0
    assert metrics["mean_relative_drop"] == 0
    table = found["by_model"]["fickle (5ee25ee25ee25ee2)"]["gaussian_noise"]
    assert table["severity_5"] < table["clean"]
    expected = np.mean([1 - table[f"severity_{s}"] / table["clean"] for s in (1, 5)])
    assert metrics["drop_gaussian_noise@2"] == pytest.approx(expected)
    low, high = found["interval_95"]["mean_relative_drop@2"]
    assert low <= metrics["mean_relative_drop@2"] <= high
    # Without "is the", a question about an area is none that it knows.
    assert metrics["consistency_omissions"] == 0.75
    assert {path.name for path in out.iterdir()} == {
        "summary.json", "predictions.jsonl", "robustness.png", "report.html", "logs",
    }  # fmt: skip
    rows = list(map(json.loads, (out / "predictions.jsonl").read_text().splitlines()))
    assert len(rows) == 2 * 48 * (1 + 4 + 1)
    assert {row["change"] for row in rows} >= {"clean", "gaussian_noise:5", "omissions:1"}


def test_consistency_is_of_questions_that_were_reworded(
    questions: Path, fickle: Fickle, run_eval: Run
) -> None:
    found = run_eval(
        "robustness", "--data", questions, "--model", "fickle", "--corruptions", "haze",
        "--severities", "1", "--wordings", "colloquial:1",
    )  # fmt: skip
    # Every question loses its question mark or gains more: some answers can no longer be read.
    assert found["metrics"]["consistency_colloquial"] < 1
    assert found["metrics"]["accuracy_colloquial"] < found["metrics"]["accuracy"]


def test_questions_that_a_moved_picture_answers_otherwise_are_not_compared(
    questions: Path, seer: Seer, run_eval: Run
) -> None:
    found = run_eval(
        "robustness", "--data", questions, "--model", "seer", "--corruptions", "rotate,haze",
        "--severities", "5", "--wordings", "none",
    )  # fmt: skip
    # Counts and areas are half of the questions.
    assert found["per_type"]["rotate"]["n"] == 24
    assert found["per_type"]["haze"]["n"] == 48
    assert found["not_compared_when_moved"] == 24


def test_towers_and_models_that_answer_are_compared_on_classes(
    tmp_path: Path, write_pictures: WritePictures, model: str, seer: Seer, run_eval: Run
) -> None:
    data = write_pictures(tmp_path / "set", 2)
    found = run_eval(
        "robustness", "--data", data, "--model", "vlm:seer", "--model", model,
        "--corruptions", "gaussian_noise", "--severities", "5",
    )  # fmt: skip
    assert found["of"] == "classification"
    assert found["metrics"]["accuracy"] == 1
    assert found["metrics"]["accuracy@2"] is not None
    assert found["models"][1].startswith("embedded:")


def test_an_unknown_corruption_is_refused_before_any_model_is_asked(
    questions: Path, seer: Seer, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["robustness", "--data", str(questions), "--model", "seer", "--corruptions", "rain"]
    assert main(["eval", *given]) == 2
    assert "unknown corruption 'rain'" in capsys.readouterr().err
    assert not seer.batches
