"""What a correction says instead, in six languages."""

from __future__ import annotations

import pytest

from terralogue.agent.corrections import MEANT, chosen, correction


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no, I meant the river", "the river"),
        ("no I wanted the river", "the river"),
        ("I meant the river, not the trees.", "the river"),
        ("Not the water: the snow.", "the snow"),
        ("sorry, snow, not water", "snow"),
        ("wrong one, I was after the grassland", "the grassland"),
        ("I meant: count the ships", "count the ships"),
        ("no, I meant how much of it was lost since then", "how much of it was lost since then"),
        ("nein, ich meinte den Wald", "den Wald"),
        ("nicht das Wasser, den Wald", "den Wald"),
        ("non, je voulais la forêt", "la forêt"),
        ("pas l'eau, la forêt", "la forêt"),
        ("no, quería decir el río", "el río"),
        ("no el bosque, el agua", "el agua"),
        ("no, intendevo il bosco", "il bosco"),
        ("não, eu queria a floresta", "a floresta"),
    ],
)
def test_what_is_taken_back_is_left_out(text: str, said: str) -> None:
    assert correction(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "how much water is there?",
        "is there no water here?",
        "not bad",
        "no",
        "actually, how much of it is under cloud in the northern half of the picture",
    ],
)
def test_other_texts_are_no_corrections(text: str) -> None:
    assert correction(text) is None


def test_a_button_stands_for_the_wish_on_it() -> None:
    assert chosen(f"{MEANT}count the ships") == "count the ships"
    assert chosen("count the ships") == "count the ships"
