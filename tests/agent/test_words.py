"""Folding, language, spelling, gist."""

from __future__ import annotations

import pytest

from terralogue.agent.lexicon import nouns
from terralogue.agent.questions import known_words, read
from terralogue.agent.words import Phrases, fold, language, spell


def test_folding_drops_accents_case_and_punctuation() -> None:
    assert fold("Où, EXACTEMENT ? 3.5 km²") == "ou exactement 3.5 km2"


def test_the_longest_phrase_wins_and_a_star_matches_a_beginning() -> None:
    phrases = Phrases([("solar farm", "solar"), ("farm", "crop"), ("flood*", "flood")])
    tokens = ["a", "flooded", "solar", "farm", "beside", "a", "farm"]
    labels = [f.label for f in phrases.find(tokens)]
    assert labels == ["flood", "solar", "crop"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How much forest is there?", "en"),
        ("Wie viel Wald gibt es hier?", "de"),
        ("Quelle part de l'image est boisée ?", "fr"),
        ("¿Cuántas casas se ven aquí?", "es"),
        ("Quantas casas há na imagem?", "pt"),
        ("Quanti ettari sono coperti di neve?", "it"),
        ("NDVI", "en"),
    ],
)
def test_the_language_is_told_from_the_words(text: str, expected: str) -> None:
    assert language(fold(text).split(), nouns()) == expected


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("huoses", "houses"),
        ("vegtation", "vegetation"),
        ("resevoir", "reservoir"),
        ("teh", "the"),
        ("forests", "forests"),
    ],
)
def test_slips_are_repaired_and_right_words_are_left(typed: str, meant: str) -> None:
    assert spell(typed, known_words()) == [meant]


def test_a_name_is_not_repaired() -> None:
    assert spell("images of Derna", known_words()) == ["images", "of", "derna"]


def test_a_foreign_question_keeps_its_meaning_in_the_gist() -> None:
    question = read("Wie viele Schiffe liegen im Hafen?")
    assert question.english.startswith("how many ships")
    assert [m.target for m in question.mentions] == ["ship"]
    assert question.shape.startswith("how many things")
