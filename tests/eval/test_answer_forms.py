"""What an answer says, whatever words it is put in."""

from __future__ import annotations

import pytest

from terralogue.eval.answer_forms import (
    Form,
    answer_class,
    form_of,
    form_of_type,
    normalised,
    read_answer,
)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Eight.", "8"),
        ("twenty-five", "25"),
        ("one hundred twenty three cars", "123 cars"),
        ("two three", "2 3"),
        ("two thousand", "2000"),
        ("The 1,234 houses", "1234 houses"),
        ("Up, Center and bottom", "up center and bottom"),
        ("zero", "0"),
        ("0_to_10", "0 to 10"),
    ],
)
def test_text_is_normalised_as_in_the_vqa_evaluation(text: str, plain: str) -> None:
    assert normalised(text) == plain


@pytest.mark.parametrize(
    ("answer", "form", "said"),
    [
        ("Yes, there is a road.", "yes_no", "yes"),
        ("No", "yes_no", "no"),
        ("yes and no", "yes_no", None),
        ("maybe", "yes_no", None),
        ("", "yes_no", None),
        ("  ", "text", None),
        ("there are eight", "count", "8"),
        ("8", "count", "8"),
        ("none", "count", "0"),
        ("8 or 9", "count", None),
        ("many", "count", None),
        ("between 0 and 10", "count", "between 0 and 10"),
        ("1,234 m²", "area", "1234m2"),
        ("about 12 square metres", "area", "12m2"),
        ("17", "area", "17m2"),
        ("12 m2 or 13 m2", "area", None),
        ("more than 1000m2", "area", "more than 1000m2"),
        ("Medium residential.", "text", "medium residential"),
    ],
)
def test_an_answer_is_read_in_the_form_of_its_question(
    answer: str, form: Form, said: str | None
) -> None:
    assert read_answer(answer, form) == said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("B", "B"),
        ("(b)", "B"),
        ("B.", "B"),
        ("B. two ships", "B"),
        ("The answer is B.", "B"),
        ("two ships", "B"),
        ("C, A", "A, C"),
        ("a harbor; no ship", "A, C"),
        ("D", None),
        ("ships", None),
        ("", None),
    ],
)
def test_options_are_named_by_letter_or_by_their_words(answer: str, said: str | None) -> None:
    assert read_answer(answer, "choice", ("a harbor", "two ships", "no ship")) == said


def test_the_form_is_told_from_right_answers() -> None:
    golds = ("yes", "8", "eight", "120m2", "A", "A, C", "urban", "more than 1000m2")
    assert [form_of(gold) for gold in golds] == [
        "yes_no", "count", "count", "area", "choice", "choice", "text", "area",
    ]  # fmt: skip
    assert form_of_type(["yes"] * 30 + ["both"]) == "yes_no"
    assert form_of_type(["yes", "no", "urban"]) is None


def test_counts_and_areas_go_into_published_classes_where_wanted() -> None:
    assert answer_class("17", "count", buckets=False) == "17"
    assert answer_class("17", "count", buckets=True) == "between 10 and 100"
    assert answer_class("17m2", "area", buckets=False) == "between 10m2 and 100m2"
