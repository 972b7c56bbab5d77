"""What questions want of an image-reading model, by their words."""

from __future__ import annotations

import pytest

from terralogue.agent.look_words import choices, counted, phrase_of, task_of
from terralogue.agent.questions import read


@pytest.mark.parametrize(
    "text",
    [
        "What does this show?", "what can you see", "Describe the image", "write a caption",
        "what is in the picture", "what am I looking at? tell me about this scene",
        "Was ist auf dem Bild zu sehen?",
    ],
)  # fmt: skip
def test_a_description_is_told_from_a_question(text: str) -> None:
    assert task_of(read(text), several=False) == "caption"


@pytest.mark.parametrize(
    "text",
    [
        "Is there a river?", "rural or urban?", "what is in the harbour", "what colour is the roof",
        "what is in the upper left corner", "how many ships are there", "where was this taken",
        "where are the ships sailing to", "can you spot any planes",
    ],
)  # fmt: skip
def test_a_question_is_no_description_and_points_at_nothing(text: str) -> None:
    assert task_of(read(text), several=False) == "qa"


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Where is the white roof by the river?", "white roof by the river"),
        ("where exactly are the ships in this picture", "ships"),
        ("please show me where the runway is", "runway"),
        ("Locate every storage tank", "storage tank"),
        ("could you find the bridge?", "bridge"),
        ("put a box around each house", "house"),
        ("where would I find the station", "station"),
        ("where can I see the dam", "dam"),
        ("Is there a bridge?", ""),
        ("show me what changed", ""),
    ],
)
def test_what_to_point_at_is_what_the_words_refer_to(text: str, phrase: str) -> None:
    assert phrase_of(read(text)) == phrase


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ("How many ships are in the port?", "ships"),
        ("how many bridges cross the river", "bridges"),
        ("number of small white houses near the lake", "small white houses"),
        ("count the tennis courts", "tennis courts"),
        ("What is the amount of roads?", "roads"),
        ("Wie viele Flugzeuge stehen dort?", "aircraft"),
        ("how many hectares are water", ""),
        ("what is the amount of water", ""),
        ("Is there a ship?", ""),
    ],
)
def test_what_is_counted_is_named_as_in_the_question(text: str, things: str) -> None:
    assert counted(read(text)) == things


def test_with_several_dates_what_changed_is_described_and_whether_is_answered() -> None:
    assert task_of(read("What changed between the images?"), several=True) == "caption"
    assert task_of(read("Was a bridge built?"), several=True) == "qa"
    assert task_of(read("Where is the bridge?"), several=True) == "qa"


def test_one_line_with_a_letter_is_no_choice() -> None:
    assert choices("What is it?\nA. a lake\nB) a river") == ("What is it?", ("a lake", "a river"))
    assert choices("What is plan\nA. the lake?") == ("What is plan\nA. the lake?", ())
