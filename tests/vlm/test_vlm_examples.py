"""What questions are written from captions, boxes and areas."""

from __future__ import annotations

import numpy as np
import pytest

from terralogue.datasets.samples import Box
from terralogue.vlm.vlm_examples import (
    Mentioned,
    box_questions,
    bucket,
    caption_texts,
    place_words,
    plural,
)

SIZE = (90, 90)


def test_boxes_give_counts_presence_and_comparisons_that_are_true() -> None:
    boxes = [
        ("ship", Box(0, 0, 10, 10)),
        ("ship", Box(70, 70, 80, 80)),
        ("bridge", Box(40, 40, 50, 50)),
    ]
    nouns = ["bridge", "ship", "vehicle"]
    for seed in range(20):
        for each in box_questions(0, boxes, nouns, SIZE, np.random.default_rng(seed)):
            words = each.question.casefold()
            if each.region is not None:
                continue
            if each.kind == "count":
                expected = 2 if "ship" in words else 1 if "bridge" in words else 0
                assert each.answer == str(expected), each
            elif each.kind == "presence":
                assert each.answer == ("no" if "vehicle" in words else "yes"), each
            elif each.kind == "comp":
                amounts = {"ship": 2, "bridge": 1, "vehicle": 0}
                order = sorted((n for n in amounts if n in words), key=words.index)
                one, other = (amounts[name] for name in order)
                right = one < other if ("less" in words or "fewer" in words) else one > other
                assert each.answer == ("yes" if right else "no"), each


def test_questions_about_a_part_count_what_lies_in_it() -> None:
    boxes = [("ship", Box(0, 0, 10, 10)), ("ship", Box(70, 70, 80, 80))]
    seen = 0
    for seed in range(20):
        for each in box_questions(0, boxes, ["ship", "vehicle"], SIZE, np.random.default_rng(seed)):
            if each.region is None or each.kind != "count":
                continue
            seen += 1
            corner = each.region[:2] in ((0.0, 0.0), (0.5, 0.5))
            expected = 1 if "ship" in each.question.casefold() and corner else 0
            assert each.answer == str(expected), each
    assert seen


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([Box(0, 0, 10, 10)], "upper left"),
        ([Box(40, 70, 50, 80)], "bottom"),
        ([Box(35, 35, 55, 55), Box(40, 40, 50, 50)], "center"),
        ([Box(0, 0, 10, 10), Box(80, 80, 90, 90)], ""),
        ([Box(x, y, x + 5, y + 5) for x in (5, 40, 75) for y in (5, 40)], "everywhere"),
    ],
)
def test_places_are_named_on_a_grid_of_three_by_three(boxes: list[Box], words: str) -> None:
    assert place_words(boxes, SIZE) == words


def test_what_captions_leave_open_is_not_asked() -> None:
    captions = [["many planes at an airport"]] * 30 + [["a river in a forest"]] * 30
    labels = ["airport"] * 30 + ["river"] * 30
    mentioned = Mentioned(captions, labels)
    asked = mentioned.questions(0, np.random.default_rng(0))
    assert {each.answer for each in asked} == {"yes", "no"}
    for each in asked:
        assert ("airplane" in each.question) == (each.answer == "yes")
    # Something seen in many pictures of the class may be there, mentioned or not.
    assert "river" not in mentioned.never["river"]


@pytest.mark.parametrize(
    ("area", "word"),
    [
        ("0m2", "0m2"), ("1m2", "between 0m2 and 10m2"), ("10m2", "between 0m2 and 10m2"),
        ("11m2", "between 10m2 and 100m2"), ("1000m2", "between 100m2 and 1000m2"),
        ("10623m2", "more than 1000m2"), ("yes", "yes"),
    ],
)  # fmt: skip
def test_areas_are_put_into_the_classes_of_rsvqa(area: str, word: str) -> None:
    assert bucket(area) == word


def test_captions_are_tidied_and_said_once() -> None:
    assert caption_texts(["A  river .", "a river.", "", "Two ponds ."]) == ["a river", "two ponds"]


def test_plurals_are_english() -> None:
    assert [plural(w) for w in ("ship", "bus", "church", "city", "aircraft", "storage tanks")] == [
        "ships", "buses", "churches", "cities", "aircraft", "storage tanks",
    ]  # fmt: skip
