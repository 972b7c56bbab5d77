"""Turns that lean on the turn before: another scene, another target, a correction, a region."""

from __future__ import annotations

import pytest

from terralogue.agent.plan import Inputs, Plan, SceneFacts, Turn
from terralogue.agent.planner import get_planner
from terralogue.agent.querying import asked

REGION = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
NEW = SceneFacts(id="new", sensor="sentinel2", date="2022-06-01")
OLD = SceneFacts(id="old", sensor="sentinel2", date="2019-06-01")
FINE = SceneFacts(id="fine", sensor="rgb_aerial", date="2022-06-01")
WATER = ("How much water is there?", "Water covers 120 ha.")
FOREST = ("How much forest is there?", "Forest covers 120 ha.")
CARS = ("Count the cars", "12 vehicles were detected.")


def turns(*said: str) -> tuple[Turn, ...]:
    return tuple(
        Turn(role="assistant" if place % 2 else "user", content=text)
        for place, text in enumerate(said)
    )


def plan(question: str, *scenes: SceneFacts, before: tuple[str, ...], **more: object) -> Plan:
    inputs = Inputs.model_validate({"scenes": scenes, "history": turns(*before), **more})
    return get_planner().plan(question, inputs)


def call(made: Plan) -> tuple[str, str | None, str | None]:
    """Tool, scene and target of the only call."""
    (only,) = made.calls
    return only.tool, only.arguments.get("scene"), only.arguments.get("target")


@pytest.mark.parametrize(
    "question", ["same for the other one", "what about the earlier date", "and in the older one?"]
)
def test_the_other_scene_is_measured_for_the_same(question: str) -> None:
    assert call(plan(question, NEW, OLD, before=WATER)) == ("segment", "old", "water")
    alone = plan(question, NEW, before=WATER)
    assert (alone.route, alone.missing_slot) == ("clarify", "second_scene")


def test_the_other_of_the_other_is_the_first_again() -> None:
    before = (*WATER, "what about the earlier date", "Water covers 90 ha.")
    assert call(plan("same for the other one", NEW, OLD, before=before))[1] == "new"


def test_a_unit_after_a_follow_up_keeps_scene_and_target() -> None:
    before = (*WATER, "what about the earlier date", "Water covers 90 ha.")
    made = plan("and in acres?", NEW, OLD, before=before)
    assert call(made) == ("segment", "old", "water")
    assert made.calls[0].arguments["unit"] == "acre"


def test_an_earlier_scene_without_dates_is_asked_about() -> None:
    undated = OLD.model_copy(update={"date": None})
    made = plan("what about the earlier date", NEW, undated, before=WATER)
    assert (made.route, made.missing_slot) == ("clarify", "time")


def test_the_same_is_measured_of_another_thing_or_in_another_unit() -> None:
    assert call(plan("and the river?", NEW, before=FOREST)) == ("segment", "new", "water")
    made = plan("in hectares please", NEW, before=FOREST)
    assert made.calls[0].arguments == {"scene": "new", "target": "tree_cover", "unit": "ha"}


def test_a_box_that_has_not_arrived_is_asked_for() -> None:
    question = "only inside the box I drew"
    missing = plan(question, NEW, before=WATER)
    assert (missing.route, missing.missing_slot) == ("clarify", "region")
    assert "draw the area" in str(missing.question)
    drawn = plan(question, NEW, before=WATER, region=REGION)
    assert drawn.calls[0].arguments["region"] == REGION
    assert call(drawn)[2] == "water"


@pytest.mark.parametrize(
    ("question", "scene", "before", "expected"),
    [
        ("no, I meant the river", NEW, FOREST, ("segment", "new", "water")),
        ("not the forest, the lake", NEW, FOREST, ("segment", "new", "water")),
        ("nein, ich meinte den Wald", NEW, WATER, ("segment", "new", "tree_cover")),
        ("no, I meant the ships", FINE, CARS, ("detect_objects", "fine", "ship")),
        ("no, the lake", FINE, CARS, ("segment", "fine", "water")),
        ("I meant: count the trees", FINE, CARS, ("detect_objects", "fine", "tree")),
    ],
)
def test_a_correction_plans_the_same_again_with_what_was_meant(
    question: str, scene: SceneFacts, before: tuple[str, str], expected: tuple[str, str, str]
) -> None:
    assert call(plan(question, scene, before=before)) == expected


def test_a_correction_of_a_look_asks_the_same_of_the_other_thing() -> None:
    inputs = Inputs(scenes=(FINE,), history=turns("Is there a lake?", "Yes."))
    assert asked("no, I meant the river", inputs)[0].text == "is there a river?"
    assert asked("no, I meant the big one", inputs)[0].text == "no, I meant the big one"


def test_other_readings_come_with_a_plan_and_lead_to_what_they_say() -> None:
    made = plan("How much water is there?", NEW, before=())
    assert made.alternatives
    assert all(reading.startswith("I meant: ") for reading in made.alternatives)
    for reading in made.alternatives:
        again = plan(reading, NEW, before=WATER)
        assert again.route in ("tools", "answer")
        assert again.target != made.target


def test_what_the_scene_cannot_show_is_no_other_reading() -> None:
    made = plan("How many houses and cars are there?", FINE, before=())
    assert "I meant: count the cars" in made.alternatives
    coarse = plan("How much forest is by the houses?", NEW, before=())
    assert not any("houses" in reading for reading in coarse.alternatives)


def test_a_question_back_offers_options_and_no_other_readings() -> None:
    made = plan("How much forest was lost?", NEW, before=())
    assert (made.route, made.alternatives) == ("clarify", ())


def test_a_part_in_words_can_be_lifted_again() -> None:
    asked_for = plan("How much water, only in the eastern half?", NEW, before=())
    assert (asked_for.route, asked_for.missing_slot) == ("clarify", "region")
    joined = "How much water, only in the eastern half: the whole scene"
    assert call(plan(joined, NEW, before=())) == ("segment", "new", "water")


def test_what_is_wanted_done_lasts_through_a_chain_of_follow_ups() -> None:
    chain = (*FOREST, "and the river?", "Water covers 9 ha.", "no, I meant the snow", "Snow: 3 ha.")
    assert call(plan("and the lake?", NEW, before=chain)) == ("segment", "new", "water")
    assert call(plan("no, I meant the grass", NEW, before=chain)) == ("segment", "new", "grassland")
    acres = plan("in acres please", NEW, before=chain)
    assert call(acres) == ("segment", "new", "snow_ice")


@pytest.mark.parametrize("said", ["merci !", "no thanks", "thank you"])
def test_thanks_are_answered_and_nothing_is_measured_again(said: str) -> None:
    made = plan(said, NEW, before=WATER)
    assert (made.route, made.calls) == ("clarify", ())
    assert str(made.question).startswith("You are welcome.")
