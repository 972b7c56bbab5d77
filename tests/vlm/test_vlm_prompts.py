"""Prompts for chat models, and reading their answers."""

from __future__ import annotations

import numpy as np
import pytest

from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import Box
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.tiles import Tile
from terralogue.vlm.vlm import Query, Reading
from terralogue.vlm.vlm_prompts import Coordinates, Prompt, prompt_for, reading_of

GREY = np.full((3, 400, 500), 128, np.uint8)
RADAR = Tile(np.full((1, 8, 8), 0.5, np.float32), SENSORS["sentinel1_grd"].bands[:1])
RED = (255, 0, 0)


def texts(prompt: Prompt) -> list[str]:
    return [part for part in prompt.parts if isinstance(part, str)]


def read(text: str, query: Query) -> Reading:
    return reading_of(text, query, prompt_for(query))


def test_a_photograph_comes_before_its_question_without_further_words() -> None:
    prompt = prompt_for(Query("Is there a road?", (GREY,)))
    assert [isinstance(part, str) for part in prompt.parts] == [False, True]
    assert "Is there a road?\nAnswer the question using a single word or phrase." in prompt.parts[1]
    assert prompt.notes == ()


def test_bands_are_named_before_the_picture_and_with_the_question() -> None:
    prompt = prompt_for(Query("Is it flooded?", (RADAR,)))
    heading, asked = texts(prompt)
    assert heading.startswith("VV (VV (5.5 cm); bright is strong backscatter")
    assert "Sensor: bands: VV (5.5 cm)." in asked
    assert prompt.notes == ("The model saw: VV.",)


def test_dates_of_a_series_stand_before_their_pictures() -> None:
    prompt = prompt_for(Query("What changed?", (GREY, GREY), dates=("2006", "2014")))
    assert texts(prompt)[:2] == ["Date 1, 2006:", "Date 2, 2014:"]
    undated = prompt_for(Query("", (GREY, GREY), task="caption"))
    assert texts(undated)[:2] == ["Date 1:", "Date 2:"]
    assert "what changed between the dates" in texts(undated)[2]


def test_a_region_is_outlined_and_shown_enlarged() -> None:
    prompt = prompt_for(Query("What is it?", (GREY,), region=Box(100, 100, 200, 200)))
    whole, part = prompt.pictures
    assert tuple(whole.picture[99, 150]) == RED
    assert tuple(whole.picture[150, 150]) == (128,) * 3
    assert part.frame == Box(100, 100, 200, 200)
    assert part.picture.shape == (336, 336, 3)
    assert "what the red box encloses" in texts(prompt)[-1]
    assert prompt.notes == ("The model saw: inside the red box, enlarged.",)


def test_a_region_lies_in_the_same_place_of_a_picture_of_another_size() -> None:
    half = GREY[:, ::2, ::2]
    query = Query("Which differs?", (GREY, half), region=Box(100, 100, 200, 200))
    assert prompt_for(query).pictures[3].frame == Box(50, 50, 100, 100)


def test_queries_that_no_model_can_take_are_refused() -> None:
    with pytest.raises(InputError, match="without a picture"):
        prompt_for(Query("What is it?", ()))
    with pytest.raises(InputError, match="lies outside the picture of 500 x 400"):
        prompt_for(Query("What is it?", (GREY,), region=Box(500, 0, 600, 10)))
    with pytest.raises(InputError, match="27 options are too many"):
        prompt_for(Query("Which?", (GREY,), options=tuple(map(str, range(27)))))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Yes.", "Yes"), ("Answer: 12", "12"), ('"a river"', "a river"),
        ("<think>Let me see.</think>\n\nno", "no"), ("0.5", "0.5"),
        ("There are two ships in the harbour.", "There are two ships in the harbour."),
    ],
)  # fmt: skip
def test_a_short_answer_is_freed_of_what_surrounds_it(said: str, meant: str) -> None:
    reading = read(said, Query("What?", (GREY,)))
    assert (reading.text, reading.sure) == (meant, True)


@pytest.mark.parametrize(
    "said",
    [
        "I cannot tell",
        "It can't be determined.",
        "Unclear",
        "not visible",
        "I am not sure.",
        "",
        ".",
    ],
)
def test_a_model_that_cannot_tell_is_not_sure(said: str) -> None:
    reading = read(said, Query("What is the price?", (GREY,)))
    assert not reading.sure
    assert "cannot tell" in reading.doubt


OPTIONS = ("ship", "cargo ship", "a plane")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("B", "cargo ship"), ("(C)", "a plane"), ("A. ship", "ship"), ("b", None),
        ("C: a plane", "a plane"), ("The answer is cargo ship.", "cargo ship"), ("A, C", None),
        ("A plane", "a plane"), ("D", None), ("a house", None), ("The answer is B.", "cargo ship"),
        ("It must be option (C)", "a plane"), ("I cannot tell", None),
    ],
)  # fmt: skip
def test_an_option_is_told_by_its_letter_or_its_words(said: str, meant: str | None) -> None:
    reading = read(said, Query("Which?", (GREY,), options=OPTIONS))
    assert (reading.text if reading.sure else None) == meant
    assert reading.sure == (reading.doubt == "")


def test_several_options_may_be_right() -> None:
    query = Query("Which?", (GREY,), options=OPTIONS, several=True)
    assert read("C, A", query).text == "ship; a plane"
    assert read("A and B", query).text == "ship; cargo ship"
    assert (
        "A. ship\nB. cargo ship\nC. a plane\nSeveral may be right" in texts(prompt_for(query))[-1]
    )


FOUND = '```json\n[{"bbox_2d": [50, 40, 100, 80], "label": "ship"}, {"bbox_2d": [0, 0, '
PLACES = Query("the ships", (GREY,), task="grounding")


@pytest.mark.parametrize(
    ("how", "seen", "box"),
    [
        ("pixels", None, Box(50, 40, 100, 80)),
        ("pixels", (200, 250), Box(100, 80, 200, 160)),
        ("thousandths", (200, 250), Box(25, 16, 50, 32)),
    ],
)
def test_boxes_are_brought_to_the_pixels_of_the_picture(
    how: Coordinates, seen: tuple[int, int] | None, box: Box
) -> None:
    reading = reading_of(FOUND, PLACES, prompt_for(PLACES), coordinates=how, seen=seen)
    assert reading.boxes == (box,)
    assert reading.label == "ship"
    assert reading.sure


def test_boxes_found_within_a_region_are_those_of_the_whole_picture() -> None:
    query = Query("the ships", (GREY,), task="grounding", region=Box(100, 100, 436, 400))
    reading = reading_of(FOUND, query, prompt_for(query))
    assert reading.boxes == (Box(150, 140, 200, 180),)
    assert "The model saw the region alone." in reading.notes


def test_no_box_is_an_answer_and_nonsense_is_none() -> None:
    assert read("[]", PLACES).sure
    assert read("[]", PLACES).text == "nothing found"
    for said in ("over there", '[{"bbox_2d": ["a", 1, 2, 3]}]', '[{"bbox_2d": [9, 9, 9, 9]}]'):
        assert not read(said, PLACES).sure
