from __future__ import annotations

import re
from pathlib import Path

import pytest

from terralogue.datasets.errors import InputError
from terralogue.datasets.registry import read_vqa
from terralogue.datasets.text_perturbation import (
    PERTURBATIONS,
    Perturbation,
    essentials,
    parse_perturbation,
    perturb,
)

QUESTIONS = (
    "What is the number of water areas?",
    "Is there a road in the image?",
    "Is it a rural or an urban area",
    "Are there more buildings than roads?",
    "Are there no buildings to the left of the road?",
    "How many small residential buildings are there in this picture?",
    "Does this picture contain an airplane?",
    "What is the location of the yellow car in this picture?",
    "Is the number of roads equal to the number of water areas in the image?",
    "Which of these is not visible? a) road b) A1 motorway c) lake",
    "What is the area covered by 3 grass areas between 10m2 and 100m2?",
    "Isn't there any three-lane bridge without cars there?",
    "What is the percentage of changed areas in the second image?",
)
# Another question, if one of these is lost or comes in.
DECIDING = frozenset(
    {"no", "not", "isn't", "without", "none", "more", "than", "equal", "between", "left", "right",
     "yellow", "rural", "urban", "one", "two", "three", "second", "3", "10m2", "100m2", "a1",
     "three-lane"}
)  # fmt: skip


def every(name: str, strengths: tuple[float, ...] = (0.3, 0.6, 1.0)) -> list[tuple[str, str]]:
    """Questions with what became of them."""
    return [
        (question, perturb(question, Perturbation(name, strength), seed=seed))
        for question in QUESTIONS
        for strength in strengths
        for seed in range(12)
    ]


def deciding(question: str) -> list[str]:
    words = re.findall(r"[\w'-]+", question.casefold())
    return sorted(word for word in words if word in DECIDING)


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_numbers_negations_and_comparisons_are_never_lost_nor_made(name: str) -> None:
    for question, changed in every(name):
        assert deciding(changed) == deciding(question), (question, changed)


@pytest.mark.parametrize("name", ["colloquial", "omissions"])
def test_everything_that_is_asked_about_stays_word_by_word(name: str) -> None:
    for question, changed in every(name):
        assert set(essentials(question)) <= set(essentials(changed)), (question, changed)


def test_a_slip_changes_one_inner_letter_of_a_word() -> None:
    for question, changed in every("typos"):
        before, after = question.split(), changed.split()
        assert len(before) == len(after)
        for word, slipped in zip(before, after, strict=True):
            assert (word[0], word[-1]) == (slipped[0], slipped[-1])
            assert abs(len(word) - len(slipped)) <= 1


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_strength_is_the_share_of_places_and_the_seed_chooses_them(name: str) -> None:
    question = "How many small residential buildings are there in this picture?"
    weak, strong = Perturbation(name, 0.2), Perturbation(name, 1)
    assert perturb(question, weak, seed=1) == perturb(question, weak, seed=1)
    assert len({perturb(question, weak, seed=seed) for seed in range(20)}) > 1

    def kept(changed: str) -> int:
        return len(set(question.split()) & set(changed.split()))

    for seed in range(5):
        light, heavy = perturb(question, weak, seed=seed), perturb(question, strong, seed=seed)
        assert question not in (light, heavy)
        assert kept(heavy) <= kept(light)


def test_wording_becomes_casual() -> None:
    asked = "What is the number of roads in the image?"
    changed = {perturb(asked, Perturbation("colloquial", 1), seed=seed) for seed in range(30)}
    assert "how many roads here" in changed
    assert "count of roads in this pic pls" in changed


def test_a_question_without_a_place_to_change_stays_as_it_is() -> None:
    assert perturb("Roads", Perturbation("omissions", 1)) == "Roads"
    assert perturb("Any?", Perturbation("typos", 1)) == "Any?"
    assert perturb("Roads", Perturbation("colloquial", 1)) == "Roads"
    assert perturb("the", Perturbation("omissions", 1)) == "the"


def test_letters_of_options_are_not_taken_for_articles() -> None:
    changed = perturb("Is the answer A or b) a road", Perturbation("omissions", 1))
    assert changed == "answer A or b) road"


def test_names_and_strengths_are_checked() -> None:
    assert str(parse_perturbation(" typos:0.30 ")) == "typos:0.3"
    with pytest.raises(InputError, match="unknown perturbation 'shout'; the known ones are: typos"):
        parse_perturbation("shout:0.1")
    for text in ("typos", "typos:0", "typos:1.5", "typos:much", "typos:nan"):
        with pytest.raises(InputError, match=r"strength above 0 to 1; give one, such as typos"):
            parse_perturbation(text)


def test_real_questions_keep_what_is_asked_about(data_dir: Path) -> None:
    asked = {item.question for item in read_vqa(data_dir / "rsvqa_hr").items}
    for number, question in enumerate(sorted(asked)[:400]):
        for name in ("colloquial", "omissions"):
            changed = perturb(question, Perturbation(name, 1), seed=number)
            assert set(essentials(question)) <= set(essentials(changed)), (question, changed)
        slipped = perturb(question, Perturbation("typos", 1), seed=number)
        assert deciding(slipped) == deciding(question)
