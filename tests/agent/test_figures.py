from __future__ import annotations

import pytest

from terralogue.agent.figures import UnsupportedFigureError, check_figures, number, quantity


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (2583.41, "2,583"),
        (123456.7, "123,457"),
        (312.43, "312.4"),
        (12.12, "12.1"),
        (1.2345, "1.23"),
        (0.0427, "0.0427"),
        (0.5, "0.5"),
        (-8.31, "-8.31"),
        (0.00002, "2.00e-05"),
        (25.00000001, "25"),
        (22.01, "22.0"),
    ],
)
def test_a_number_is_rounded_to_three_or_four_figures(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize("value", [99.97, 9.9996, 0.9999, 999.98])
def test_what_falls_short_does_not_read_as_if_it_were_full(value: float) -> None:
    assert float(number(value)) < round(value)


def test_units_are_written_as_people_write_them() -> None:
    assert quantity(2.5, "km2") == "2.50 km²"
    assert quantity(3, "acre") == "3 acres"
    assert quantity(0.25, "1") == "0.25"


RESULT = {
    "method": "MNDWI > 0.05 (Xu 2006)",
    "measurements": [{"value": 312.43, "unit": "ha"}, {"value": 12.1234}, {"value": 48210.6}],
    "bands": ["B02", "B03", "B04"],
}


@pytest.mark.parametrize(
    "text",
    [
        "Water covers 312.4 ha, 12.1 % of it.",
        "48,211 pixels.",
        "It has 3 bands.",
        "How: MNDWI > 0.05 (Xu 2006).",
        "No number at all.",
    ],
)
def test_a_text_may_hold_rounded_values_quotations_and_counts(text: str) -> None:
    check_figures(text, [RESULT])


@pytest.mark.parametrize(
    "text",
    [
        "Water covers 312.5 ha.",
        "Water covers 313.4 ha.",
        "Water covers 3124 ha.",
        "It was 2006.",
        "About 5 lakes.",
        "48,212 pixels.",
        "-12.1 % of it.",
    ],
)
def test_a_number_that_no_result_holds_is_caught(text: str) -> None:
    with pytest.raises(UnsupportedFigureError):
        check_figures(text, [RESULT])


def test_a_bare_number_in_a_question_supports_nothing() -> None:
    with pytest.raises(UnsupportedFigureError):
        check_figures("Water covers 12.5 ha.", ["12.5", {"5": True}])


def test_a_scene_may_be_named_by_a_bare_number() -> None:
    check_figures("2020: Water covers 312.4 ha.", [RESULT], names=["2020"])


@pytest.mark.parametrize("value", [1e-7, 0.00012345, 0.5, 3.14159, 99.95, 1234.5, 9.87e8])
def test_whatever_is_written_passes_the_check(value: float) -> None:
    check_figures(f"It is {quantity(value, 'ha')}.", [{"value": value}])
    check_figures(f"It is {quantity(-value, 'ha')}.", [{"value": -value}])
