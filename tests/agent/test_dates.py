"""The same words with one, two or several dates; and quantities that a band records or not."""

from __future__ import annotations

import pytest

from terralogue.agent.plan import Inputs, Plan, SceneFacts
from terralogue.agent.planner import get_planner


def scenes(sensor: str, *dates: str) -> tuple[SceneFacts, ...]:
    return tuple(SceneFacts(id=f"s{date}", sensor=sensor, date=date) for date in dates)


ONE = scenes("sentinel2", "2022-06-01")
TWO = scenes("sentinel2", "2017-06-01", "2019-06-01")
FIVE = scenes("sentinel2", *(f"20{year}-06-01" for year in range(15, 20)))


def plan(question: str, given: tuple[SceneFacts, ...]) -> Plan:
    return get_planner().plan(question, Inputs(scenes=given))


@pytest.mark.parametrize(
    ("question", "target"),
    [
        ("Did the lake get bigger?", "water"),
        ("Comment la ville s'est-elle étendue ?", "built_up"),
        ("Has the glacier retreated?", "snow_ice"),
    ],
)
def test_growth_and_decline_are_measured_on_a_pair(question: str, target: str) -> None:
    made = plan(question, TWO)
    assert [call.tool for call in made.calls] == ["detect_change"]
    assert made.target == target
    assert (plan(question, ONE).route, plan(question, ONE).missing_slot) == (
        "clarify", "second_scene",
    )  # fmt: skip


def test_growth_and_decline_are_followed_over_several_dates() -> None:
    made = plan("Is the forest disappearing?", FIVE)
    assert [call.tool for call in made.calls] == ["time_series"]
    assert made.calls[0].arguments["quantity"] == "tree_cover"


def test_a_remembered_date_is_asked_for() -> None:
    made = plan("Is this field greener than last year?", ONE)
    assert (made.route, made.missing_slot) == ("clarify", "second_scene")


def test_what_a_storm_or_a_fire_took_is_measured_or_asked_about() -> None:
    for question in ("did the fire take much?", "did the storm take much?"):
        assert plan(question, TWO).calls[0].tool in ("detect_change", "segment")
        assert plan(question, ONE).route in ("clarify", "tools")


def test_cloud_is_measured_or_asked_about_and_not_taken_for_a_missing_band() -> None:
    made = plan("How cloudy is this?", ONE)
    assert made.target == "cloud"
    assert made.route != "refuse"


def test_a_refusal_looks_at_the_bands_before_it_denies_them() -> None:
    landsat = scenes("landsat8", "2022-06-01")
    assert "thermal band" in str(plan("How hot is the ground here?", landsat).message)
    assert "do not record" in str(plan("How hot is the ground here?", ONE).message)
    heights = scenes("elevation", "2022-06-01")
    assert "holds heights" in str(plan("What is the average altitude?", heights).message)


def test_trees_are_counted_where_their_number_is_asked_and_measured_else() -> None:
    fine = scenes("rgb_aerial", "2022-06-01")
    assert plan("How many trees are there per hectare?", fine).calls[0].tool == "detect_objects"
    assert plan("How much of this is trees?", fine).calls[0].arguments["target"] == "tree_cover"


def test_ships_are_counted_on_ten_metre_pixels_and_not_on_thirty() -> None:
    question = "How many ships are waiting off the port?"
    assert plan(question, ONE).calls[0].arguments["target"] == "ship"
    assert plan(question, scenes("landsat8", "2022-06-01")).reason == "resolution"


def test_things_are_named_in_plain_words() -> None:
    fine = scenes("rgb_aerial", "2022-06-01")
    assert plan("How much snow and ice is there?", ONE).interpretation.count("snow and ice") == 1
    courts = plan("Combien de courts de tennis ?", fine)
    assert courts.calls[0].arguments["target"] == "tennis_court"
    assert courts.interpretation.endswith(": tennis courts")


def test_how_much_there_was_on_one_of_two_dates_is_measured_on_that_one() -> None:
    made = plan("How much water was there in the earlier image?", TWO)
    assert made.calls[0].tool == "segment"
    assert made.calls[0].arguments["scene"] == "s2017-06-01"


def test_a_storm_is_no_land_cover() -> None:
    assert "target" not in plan("did the storm take much?", TWO).calls[0].arguments


@pytest.mark.parametrize(
    ("question", "tools"),
    [
        ("Has the car park been extended?", ["detect_change"]),
        ("Did they build anything new here?", ["detect_change"]),
        ("How many football pitches of forest burned down?", ["detect_change"]),
        ("Which of the two looks greener?", []),
        ("Describe in words what happened in between.", []),
    ],
)
def test_what_has_happened_between_two_dates_is_measured_unless_eyes_compare(
    question: str, tools: list[str]
) -> None:
    assert [call.tool for call in plan(question, TWO).calls] == tools


def test_where_plants_do_badly_is_an_index_where_near_infrared_is_there() -> None:
    question = "Which parts of my field are doing worse?"
    assert [call.tool for call in plan(question, ONE).calls] == ["compute_index"]
    assert not plan(question, scenes("rgb_aerial", "2022-06-01")).calls
