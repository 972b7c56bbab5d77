"""No planner can talk its way past what the inputs support."""

from __future__ import annotations

import pytest

from terralogue.agent.compat import check
from terralogue.agent.plan import Inputs, Plan, SceneFacts, ToolCall, Turn
from terralogue.datasets.errors import InputError

REGION = {"type": "Point", "coordinates": [0, 0]}


def scene(
    name: str, sensor: str | None, date: str | None = None, *, georeferenced: bool = True
) -> SceneFacts:
    return SceneFacts(id=name, sensor=sensor, date=date, georeferenced=georeferenced)


def call(tool: str, **arguments: object) -> Plan:
    return Plan(
        route="tools", interpretation="x", calls=(ToolCall(tool=tool, arguments=arguments),)
    )


def test_an_index_without_its_band_is_refused_and_the_band_is_named() -> None:
    plan = check(
        call("compute_index", scene="a", index="NDVI"), Inputs(scenes=(scene("a", "rgb_aerial"),))
    )
    assert (plan.route, plan.reason, plan.calls) == ("refuse", "sensor", ())
    assert plan.message is not None
    assert "lacks N" in plan.message
    assert "Sentinel-2" in plan.message


def test_the_narrow_infrared_band_stands_in_for_the_broad_one() -> None:
    inputs = Inputs(scenes=(scene("a", "landsat8"),))
    assert check(call("compute_index", scene="a", index="NDVI"), inputs).route == "tools"


@pytest.mark.parametrize(
    ("sensor", "route"), [("naip_rgbn", "refuse"), ("sentinel2", "tools"), ("sentinel1", "refuse")]
)
def test_a_burn_ratio_takes_short_wave_infrared(sensor: str, route: str) -> None:
    inputs = Inputs(scenes=(scene("a", sensor),))
    assert check(call("compute_index", scene="a", index="NBR"), inputs).route == route


@pytest.mark.parametrize(("sensor", "route"), [("naip_rgbn", "refuse"), ("sentinel2", "tools")])
def test_an_index_is_checked_under_the_name_that_people_use(sensor: str, route: str) -> None:
    inputs = Inputs(scenes=(scene("a", sensor),))
    assert check(call("compute_index", scene="a", index="NDRE"), inputs).route == route


@pytest.mark.parametrize(
    ("target", "sensor", "route"),
    [
        ("vehicle", "landsat8", "refuse"),
        ("vehicle", "rgb_aerial", "tools"),
        ("building", "sentinel2", "refuse"),
        ("building", "rgb_satellite", "tools"),
        ("ship", "landsat8", "refuse"),
        ("ship", "sentinel2", "tools"),
        ("ship", "sentinel1", "tools"),
    ],
)
def test_single_things_take_fine_pixels(target: str, sensor: str, route: str) -> None:
    inputs = Inputs(scenes=(scene("a", sensor),))
    plan = check(call("detect_objects", scene="a", target=target), inputs)
    assert plan.route == route
    assert plan.reason == ("resolution" if route == "refuse" else None)


def test_a_solar_farm_is_outlined_where_single_panels_cannot_be_counted() -> None:
    inputs = Inputs(scenes=(scene("a", "sentinel2"),))
    assert check(call("segment", scene="a", target="solar_panel"), inputs).route == "tools"
    assert check(call("detect_objects", scene="a", target="solar_panel"), inputs).route == "refuse"


def test_an_unknown_pixel_size_is_a_warning_not_a_refusal() -> None:
    inputs = Inputs(scenes=(scene("a", "unknown_rgb"),))
    plan = check(call("detect_objects", scene="a", target="vehicle"), inputs)
    assert plan.route == "tools"
    assert "pixel size is unknown" in plan.warnings[0]


def test_area_units_without_coordinates_become_a_share_and_say_why() -> None:
    inputs = Inputs(scenes=(scene("a", "unknown_rgb", georeferenced=False),))
    plan = check(call("segment", scene="a", target="water", unit="acre"), inputs)
    assert plan.route == "tools"
    assert "unit" not in plan.calls[0].arguments
    assert "coordinate reference system" in plan.warnings[0]


def test_change_on_one_scene_asks_for_the_other() -> None:
    inputs = Inputs(scenes=(scene("a", "sentinel2", "2020-01-01"),))
    plan = check(call("detect_change", before="a", after="a"), inputs)
    assert (plan.route, plan.missing_slot) == ("clarify", "second_scene")


def test_change_with_an_unknown_date_asks_for_it() -> None:
    inputs = Inputs(scenes=(scene("a", "sentinel2"), scene("b", "sentinel2", "2020-01-01")))
    plan = check(call("detect_change", before="a", after="b"), inputs)
    assert (plan.route, plan.missing_slot) == ("clarify", "time")
    assert plan.question is not None
    assert "a" in plan.question


def test_before_and_after_are_put_in_the_order_of_their_dates() -> None:
    inputs = Inputs(
        scenes=(scene("a", "sentinel2", "2022-01-01"), scene("b", "sentinel2", "2020-01-01"))
    )
    plan = check(call("detect_change", before="a", after="b", target="water"), inputs)
    assert plan.calls[0].arguments == {"before": "b", "after": "a", "target": "water"}


def test_radar_and_optical_scenes_are_not_compared() -> None:
    inputs = Inputs(
        scenes=(scene("a", "sentinel1", "2020-01-01"), scene("b", "sentinel2", "2021-01-01"))
    )
    plan = check(call("detect_change", before="a", after="b"), inputs)
    assert (plan.route, plan.reason) == ("refuse", "sensor")


def test_a_series_takes_three_dates() -> None:
    two = tuple(scene(name, "sentinel2", f"202{i}-01-01") for i, name in enumerate("ab"))
    plan = check(call("time_series", scenes=["a", "b"], quantity="NDVI"), Inputs(scenes=two))
    assert (plan.route, plan.missing_slot) == ("clarify", "second_scene")


def test_a_series_of_an_index_needs_its_bands_on_every_date() -> None:
    scenes = tuple(scene(name, "rgb_aerial", f"202{i}-01-01") for i, name in enumerate("abc"))
    plan = check(
        call("time_series", scenes=["a", "b", "c"], quantity="NDVI"), Inputs(scenes=scenes)
    )
    assert plan.reason == "sensor"


def test_an_open_sensor_is_asked_for_with_the_options_of_the_scene() -> None:
    unknown = SceneFacts(
        id="a", sensor_question="Six bands: which?", sensor_options=("landsat8", "planetscope")
    )
    plan = check(call("compute_index", scene="a", index="NDVI"), Inputs(scenes=(unknown,)))
    assert (plan.missing_slot, plan.question) == ("sensor", "Six bands: which?")
    assert plan.options == ("landsat8", "planetscope")


@pytest.mark.parametrize(
    ("tool", "slot"), [("zonal_statistics", "region"), ("segment_at_point", "target")]
)
def test_marks_that_have_not_arrived_are_asked_for(tool: str, slot: str) -> None:
    inputs = Inputs(scenes=(scene("a", "sentinel2"),))
    plan = check(call(tool, scene="a"), inputs)
    assert (plan.route, plan.missing_slot) == ("clarify", slot)
    marked = inputs.model_copy(update={"region": REGION, "point": (1.0, 2.0)})
    assert check(call(tool, scene="a"), marked).route == "tools"


@pytest.mark.parametrize("tool", ["search_archive", "search_changes"])
def test_searching_takes_an_archive(tool: str) -> None:
    assert check(call(tool, text="x"), Inputs()).reason == "no_data"
    assert check(call(tool, text="x"), Inputs(archive=True)).route == "tools"


def test_a_scene_that_is_not_there_is_not_measured() -> None:
    inputs = Inputs(scenes=(scene("a", "sentinel2"),))
    plan = check(call("segment", scene="../etc/passwd", target="water"), inputs)
    assert (plan.route, plan.reason) == ("refuse", "no_data")


def test_nothing_is_measured_or_looked_at_without_scenes() -> None:
    assert check(call("segment", scene="a", target="water"), Inputs()).reason == "no_data"
    look = Plan(route="answer", interpretation="x")
    assert check(look, Inputs()).reason == "no_data"
    said = Inputs(history=(Turn(role="user", content="x"),))
    assert check(look, said).route == "answer"


def test_a_tool_that_is_not_installed_is_refused_with_what_can_be_done() -> None:
    inputs = Inputs(scenes=(scene("a", "rgb_aerial"),))
    wanted = call("compute_index", scene="a", index="GLI")
    plan = check(wanted, inputs, frozenset({"segment"}))
    assert plan.route == "refuse"
    assert plan.message is not None
    assert "outline and measure a land cover" in plan.message
    assert check(wanted, inputs).route == "tools"


def test_things_that_no_detector_counts_are_estimated_by_eye() -> None:
    inputs = Inputs(scenes=(scene("a", "rgb_aerial"),))
    wanted = call("detect_objects", scene="a", target="vehicle")
    plan = check(wanted, inputs, frozenset({"segment"}))
    assert (plan.route, plan.scenes, plan.calls) == ("answer", ("a",), ())
    assert "no detector" in plan.interpretation
    with_detector = frozenset({"segment", "detect_objects"})
    assert check(wanted, inputs, with_detector).route == "tools"
    others = check(wanted, inputs, with_detector, things=frozenset({"ship"}))
    assert others.route == "answer"
    assert "no detector here finds vehicle" in others.interpretation


def test_an_invented_tool_and_an_empty_plan_do_not_pass() -> None:
    inputs = Inputs(scenes=(scene("a", "sentinel2"),))
    assert check(call("delete_files", scene="a"), inputs).route == "refuse"
    assert check(Plan(route="tools", interpretation="x"), inputs).missing_slot == "intent"


def test_nothing_is_exported_before_anything_is_measured() -> None:
    assert check(call("export", format="cog"), Inputs()).missing_slot == "target"
    assert check(call("export", format="cog"), Inputs(last_artefact="m1")).route == "tools"


def test_an_unknown_sensor_is_an_input_error_that_lists_the_valid_ones() -> None:
    with pytest.raises(InputError, match="sentinel2_l2a"):
        check(call("segment", scene="a", target="water"), Inputs(scenes=(scene("a", "sputnik"),)))
