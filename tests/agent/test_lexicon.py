"""Free words become targets, indices and units."""

from __future__ import annotations

import pytest

from terralogue.agent.lexicon import COUNTABLE, TARGETS, area_unit, best, index_name, nouns
from terralogue.agent.questions import read
from terralogue.agent.targets import nearest
from terralogue.agent.words import fold


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("puddles on the track", "water"),
        ("how much of this is under water?", "water"),
        ("everything that burned", "burned_area"),
        ("the new housing estate", "built_up"),
        ("woodland near the river", "tree_cover"),
        ("yachts in the marina", "ship"),
        ("lorries in the yard", "vehicle"),
        ("photovoltaic plants", "solar_panel"),
        ("la superficie du glacier", "snow_ice"),
        ("¿cuántos barcos?", "ship"),
        ("quanto é área queimada", "burned_area"),
        ("ettari di vigneto", "cropland"),
        ("Anteil der versiegelten Fläche", "built_up"),
    ],
)
def test_words_name_a_target(text: str, target: str) -> None:
    found = best(read(text).mentions)
    assert found is not None
    assert found.target == target


def test_a_thing_is_preferred_to_the_place_where_it_is() -> None:
    found = best(read("how many houses are there near the lake").mentions)
    assert found is not None
    assert found.target == "building"


def test_words_without_a_target_name_none() -> None:
    assert best(read("what is going on here").mentions) is None


def test_the_lexicon_knows_every_target_in_every_language() -> None:
    for language, phrases in nouns().items():
        labels = {f.label for word in sorted(phrases.words()) for f in phrases.find([word])}
        assert set(TARGETS) - {"any"} - labels == set() or language != "en"


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("NDVI please", "NDVI"),
        ("burn ratio", "NBR"),
        ("greenness map", "NDVI"),
        ("leaf moisture", "NDMI"),
        ("snow index", "NDSI"),
        ("how much forest", None),
    ],
)
def test_index_names_are_recognised(text: str, index: str | None) -> None:
    assert index_name(fold(text).split()) == index


@pytest.mark.parametrize(
    ("text", "unit"),
    [("in acres", "acre"), ("in km²", "km2"), ("wie viel Hektar", "ha"), ("how much", None)],
)
def test_units_are_recognised(text: str, unit: str | None) -> None:
    assert area_unit(fold(text).split()) == unit


def test_a_word_that_is_not_listed_takes_the_nearest_target() -> None:
    found = nearest(["how", "much", "swampland"])
    assert found is not None
    assert found.target == "wetland"
    assert found.score > 0.5


def test_a_word_far_from_every_target_takes_none() -> None:
    assert nearest(["how", "much", "philosophy"]) is None
    assert nearest(["how", "many", "hectares"], COUNTABLE) is None
