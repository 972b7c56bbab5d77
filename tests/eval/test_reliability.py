"""Calibration error, accuracy by coverage, and what needs no picture, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from terralogue.eval.blind import Known, majority, question_only
from terralogue.eval.reliability import accuracy_at, bins, calibration_error, save_reliability


def test_calibration_error_is_the_mean_gap_of_fifteen_bins() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.35, 0.35])
    right = np.array([True, True, True, False, False, True])
    assert calibration_error(confidence, right) == pytest.approx((4 * 0.2 + 2 * 0.15) / 6)
    assert calibration_error(np.array([]), np.array([], bool)) is None
    filled = [each for each in bins(np.array([0.0, 1.0, 1 / 15]), np.ones(3, bool)) if each.n]
    assert [(each.n, round(each.high, 3)) for each in filled] == [(2, 0.067), (1, 1.0)]


def test_the_least_confident_fifth_is_left_out() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.1])
    right = np.array([True, True, True, False, False])
    assert accuracy_at(confidence, right) == pytest.approx(3 / 4)
    # Of equal confidences, each counts for its share.
    assert accuracy_at(np.full(5, 0.5), right) == pytest.approx(3 / 5)
    assert accuracy_at(np.array([]), np.array([], bool)) is None


def test_reliability_is_drawn(tmp_path: Path) -> None:
    save_reliability(np.array([0.2, 0.9]), np.array([False, True]), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000


def _known(*rows: tuple[str, str, str, str]) -> list[Known]:
    return [Known(text, kind, place, answer) for text, kind, place, answer in rows]


def test_words_alone_answer_what_they_tell() -> None:
    others = _known(*(
        (f"Is there a {thing}?", "presence", f"other{i}", answer)
        for i in range(5) for thing, answer in (("road", "yes"), ("volcano", "no"))
    ))  # fmt: skip
    asked = _known(
        ("Is there a road?", "presence", "a", "no"),
        ("Is there a volcano?", "presence", "b", "no"),
        ("How many roads?", "count", "b", "3"),
    )
    blind = question_only(asked, others, "the rest")
    # Of a type that was never shown, nothing was learnt.
    assert blind.answers == ("yes", "no", "")
    assert blind.learnt_from == "10 questions on other pictures (the rest)"


def test_questions_on_scored_pictures_are_never_learnt_from() -> None:
    asked = _known(("Is there a road?", "presence", "a", "yes"))
    same = _known(("Is there a road?", "presence", "a", "yes"))
    assert question_only(asked, same, "the same").answers == ("",)
    both = _known(
        ("Is there a road?", "presence", "a", "yes"), ("Is there a road?", "presence", "b", "no")
    )
    # Two folds: each picture is answered by what the other one has.
    assert question_only(both, [], "nothing else").answers == ("no", "yes")


def test_the_majority_is_that_of_each_type() -> None:
    asked = _known(
        ("?", "a", "1", "yes"), ("?", "a", "2", "yes"), ("?", "a", "3", "no"), ("?", "b", "1", "8")
    )
    assert majority(asked) == ["yes", "yes", "yes", "8"]
