"""Readings in words."""

from __future__ import annotations

from typing import Any

import pytest

from terralogue.agent.figures import check_figures
from terralogue.agent.said import answer_text, count_in, reading_of
from terralogue.agent.world import Look, Looked
from terralogue.datasets.samples import Box
from terralogue.vlm.vlm import Reading, Task

LOOK = Look("Is it?", "qa", ("s",), ("",))


def said(reading: Reading, task: Task = "qa", **more: Any) -> dict[str, Any]:
    look = Look("Is it?", task, ("s",), ("",), **more)
    return reading_of(look, Looked(reading, "eyes", task, size=(900, 300)))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("3", 3), ("about 12 ships", 12), ("1,200", 1200), ("three", 3), ("none", 0),
        ("no ships", 0),
        ("between 10 and 100", None), ("yes", None), ("30 %", None), ("2.5", None),
        ("two or three", None), ("", None),
    ],
)  # fmt: skip
def test_a_count_is_one_whole_number(text: str, count: float | None) -> None:
    assert count_in(text) == count


@pytest.mark.parametrize(
    ("box", "place"),
    [
        (Box(0, 0, 10, 10), "in the upper left"),
        (Box(400, 100, 500, 200), "in the middle"),
        (Box(400, 250, 500, 300), "in the lower middle"),
        (Box(800, 120, 900, 180), "in the middle on the right"),
    ],
)
def test_a_single_place_is_said_in_words(box: Box, place: str) -> None:
    reading = said(Reading("1", 0.6, boxes=(box,)), "grounding", phrase="pier")
    assert reading["said"] == f"Pier: found once, {place}; marked on the picture."


def test_a_figure_that_is_no_count_is_told_as_not_measured() -> None:
    reading = said(Reading("10 m2", 0.9))
    assert reading["said"].startswith("10 m2.\n\nRead off the picture")
    assert reading["measurements"] == []


def test_an_unsure_reading_has_no_figures_no_files_and_no_unlikely_guess() -> None:
    unsure = Reading("3", 0.04, sure=False, doubt="too dark.", alternatives=(("4", 0.03),))
    reading = said(unsure, counts=True, phrase="ships")
    assert (reading["measurements"], reading["artefacts"], reading["guess"]) == ([], [], "")
    text = answer_text({**reading, "measurable": {"s": ["water"]}}, {"s": "a.tif"}, "ship", 3.0)
    assert text.startswith("Not sure: too dark.\n\nWhat would help:")
    assert "Measurable on a.tif: water." in text
    assert "here one is 3 m wide" in text
    assert "give a region" in text


def test_every_figure_in_the_text_is_from_the_reading() -> None:
    sure = said(Reading("7", 0.62), counts=True, phrase="ships")
    text = answer_text(sure, {}, None, None, ("2 pictures went away.",))
    assert text.split("\n\n")[0] == "About 7 ships."
    check_figures(text, [sure, "2 pictures went away."])


def test_a_guess_that_is_mostly_wrong_is_not_told() -> None:
    for share, told in ((0.21, False), (0.41, True)):
        reading = said(Reading("forest", share, sure=False, doubt="unclear"))
        assert bool(reading["guess"]) is told


def test_a_description_says_that_nobody_knows_how_sure_it_is() -> None:
    reading = said(Reading("a lake beside a road"), "caption")
    assert reading["said"].startswith("A lake beside a road.\n\nDescribed by the image-reading")
    assert reading["confidence"] is None


def test_scenes_of_the_same_kind_share_a_line_of_what_can_be_measured() -> None:
    unsure = said(Reading("3", 0.04, sure=False, doubt="too dark"))
    measurable = {"a": ["water", "vegetation"], "b": ["water", "vegetation"], "c": ["water"]}
    names = {"a": "a.tif", "b": "b.tif", "c": "c.tif"}
    text = answer_text({**unsure, "measurable": measurable}, names, None, None)
    assert "Measurable on a.tif, b.tif: water, vegetation." in text
    assert "Measurable on c.tif: water." in text
