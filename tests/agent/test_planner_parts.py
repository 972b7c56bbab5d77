"""Several wishes in one turn."""

from __future__ import annotations

import pytest

from terralogue.agent.plan import Inputs, Plan, SceneFacts, Turn
from terralogue.agent.planner import get_planner
from terralogue.agent.planner_parts import wishes

AERIAL = Inputs(scenes=(SceneFacts(id="a", sensor="rgb_aerial", date="2022-06-01"),))
OPTICAL = Inputs(scenes=(SceneFacts(id="s", sensor="sentinel2", date="2022-06-01"),))


def plan(question: str, inputs: Inputs) -> Plan:
    return get_planner().plan(question, inputs)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Map the forest, then count the ships", ["Map the forest", "count the ships"]),
        ("how much water and how many boats", ["how much water", "how many boats"]),
        ("how much forest and water is there", ["how much forest and water is there"]),
        ("miss den Wald und zähle die Schiffe", ["miss den Wald", "zähle die Schiffe"]),
        ("describe it", ["describe it"]),
    ],
)
def test_a_turn_is_cut_between_wishes_and_not_between_things(text: str, parts: list[str]) -> None:
    assert wishes(text) == parts


def test_two_measurements_become_one_ordered_plan() -> None:
    made = plan("Count the ships and count the cars.", AERIAL)
    assert [call.arguments["target"] for call in made.calls] == ["ship", "vehicle"]
    assert "; then " in made.interpretation


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Map the forest and export it as GeoJSON", "geojson"),
        ("how much water is there, and give me it as GeoJSON", "geojson"),
        ("forest mask please, shapefile", "geopackage"),
        ("miss den Wald und speichere es als GeoPackage", "geopackage"),
    ],
)
def test_a_file_comes_after_what_it_holds(text: str, form: str) -> None:
    made = plan(text, OPTICAL)
    assert [call.tool for call in made.calls] == ["segment", "export"]
    assert made.calls[1].arguments == {"artefact": "result 1", "format": form}
    assert made.interpretation.endswith(f"; then export the result as {form}")


def test_every_measurement_gets_its_file_at_the_end() -> None:
    made = plan("how much forest and how much water, both as GeoJSON please", OPTICAL)
    assert [call.tool for call in made.calls] == ["segment", "segment", "export", "export"]
    assert [c.arguments["artefact"] for c in made.calls[2:]] == ["result 1", "result 2"]
    assert [c.arguments["target"] for c in made.calls[:2]] == ["tree_cover", "water"]


def test_a_table_of_what_was_counted_is_a_file() -> None:
    made = plan("Count the ships, then put it in a spreadsheet", AERIAL)
    assert [call.tool for call in made.calls] == ["detect_objects", "export"]
    assert made.calls[1].arguments["format"] == "csv"


def test_a_report_that_cannot_be_written_is_said_and_the_rest_is_done() -> None:
    made = plan("Count the cars and write me a report", AERIAL)
    assert [call.tool for call in made.calls] == ["detect_objects"]
    assert any("A report cannot be written here" in warning for warning in made.warnings)


def test_one_wish_stays_one_call() -> None:
    assert len(plan("How much forest is there?", OPTICAL).calls) == 1


def test_a_chosen_option_is_planned_as_it_says() -> None:
    turns = [
        {"role": "user", "content": "do the usual"},
        {"role": "assistant", "content": "Which of these is meant?"},
    ]
    for reply, tool in (
        ("measure the area of water", "segment"),
        ("count the ships", "detect_objects"),
    ):
        asked = AERIAL.model_copy(update={"history": tuple(Turn(**turn) for turn in turns)})
        made = plan(reply, asked)
        assert [call.tool for call in made.calls] == [tool]


def test_things_that_the_words_join_are_each_measured() -> None:
    made = plan("Find every storage tank and plane", AERIAL)
    assert [call.arguments["target"] for call in made.calls] == ["storage_tank", "aircraft"]
    covers = plan("How much wood, water and meadow is there?", OPTICAL)
    targets = [call.arguments["target"] for call in covers.calls]
    assert targets == ["tree_cover", "water", "grassland"]


@pytest.mark.parametrize(
    "text", ["How many houses are by the river?", "How much flood water is there?"]
)
def test_a_word_that_says_where_or_of_what_kind_is_no_second_thing(text: str) -> None:
    inputs = AERIAL if "houses" in text else OPTICAL
    assert len(plan(text, inputs).calls) == 1


def test_what_the_pixels_do_not_allow_is_left_out_in_words() -> None:
    made = plan("Map the water and the houses", OPTICAL)
    assert [call.arguments["target"] for call in made.calls] == ["water"]
    assert any(warning.startswith("Left out: building. A pixel of") for warning in made.warnings)


def test_a_wish_that_cannot_be_met_does_not_take_the_other_along() -> None:
    made = plan("What is the biggest building here and how tall is it?", AERIAL)
    assert made.route == "answer"
    assert any('Left out: "how tall is it?"' in warning for warning in made.warnings)


def test_a_wish_that_leans_on_a_refused_one_is_refused_with_it() -> None:
    made = plan("Compute NDVI and tell me where it is lowest", AERIAL)
    assert (made.route, made.reason) == ("refuse", "sensor")


def test_nothing_is_said_to_be_left_out_that_the_answer_holds() -> None:
    for text in (
        "How much of the coast is water, and how sure are you?",
        "How much water is there in acres, and which model did you use?",
    ):
        assert not any("Left out" in warning for warning in plan(text, OPTICAL).warnings)
