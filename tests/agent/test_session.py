"""Whole conversations on small real scenes, with a planner of a few keywords."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from terralogue.agent.answer import Answer, Event, Finished, ToolProgress
from terralogue.agent.plan import LAST, Inputs, Plan, ToolCall
from terralogue.agent.session import UNFINISHED, ChatSession
from terralogue.datasets.errors import InputError, RegionError, SceneError

from .conftest import SIZE, WATER_ROWS, KeywordPlanner, WriteScene, lake

HECTARES = WATER_ROWS * SIZE * 9 / 1e4
ACRES = HECTARES / 0.40468564224


@pytest.fixture
def session(home: Path) -> Iterator[ChatSession]:
    with ChatSession(planner=KeywordPlanner()) as opened:
        yield opened


def area(answer: Answer) -> float:
    return next(m.value for m in answer.measurements if m.name == "area")


def test_a_question_is_answered_by_measurement(
    session: ChatSession, write_scene: WriteScene
) -> None:
    answer = session.ask("How much water?", [write_scene()])
    assert (answer.route, answer.exit_code) == ("tools", 0)
    # UTM is a little shorter than the ground here.
    assert area(answer) == pytest.approx(HECTARES, rel=2e-3)
    assert answer.answer.startswith("Water covers 0.922 ha, 25 % of what could be seen.")
    assert {a.kind for a in answer.artefacts} == {"mask", "polygons", "preview"}
    paths = {a.path for a in answer.artefacts}
    assert all(Path(path).is_file() for path in paths)
    assert {m.artefact for m in answer.measurements if m.artefact} <= paths
    assert list(answer.timings) == ["understand", "segment", "compose"]
    assert answer.confidence is None


def test_a_later_question_is_about_the_same_scenes(
    session: ChatSession, write_scene: WriteScene
) -> None:
    session.ask("How much water?", write_scene())
    answer = session.ask("And in acres?")
    assert area(answer) == pytest.approx(ACRES, rel=2e-3)
    assert " acres" in answer.answer


def test_the_last_result_can_be_exported(session: ChatSession, write_scene: WriteScene) -> None:
    session.ask("How much water?", write_scene())
    answer = session.ask("export that")
    assert [Path(a.path).suffix for a in answer.artefacts] == [".gpkg"]


def test_other_scenes_replace_the_ones_before(
    session: ChatSession, write_scene: WriteScene
) -> None:
    session.ask("How much water?", write_scene())
    dry = np.repeat(lake()[:, -1:], SIZE, axis=1)
    dry[:, : WATER_ROWS // 2] = lake()[:, : WATER_ROWS // 2]
    answer = session.ask("How much water?", write_scene("dry.tif", dry))
    assert area(answer) == pytest.approx(HECTARES / 2, rel=2e-3)


def test_several_calls_are_told_in_their_order(
    session: ChatSession, write_scene: WriteScene
) -> None:
    answer = session.ask("NDVI and water", write_scene())
    assert [call.tool for call in answer.plan] == ["compute_index", "segment"]
    assert answer.answer.index("NDVI") < answer.answer.index("Water covers")
    assert list(answer.timings) == ["understand", "1 compute_index", "2 segment", "compose"]


def test_a_region_stays_until_it_is_ended(session: ChatSession, write_scene: WriteScene) -> None:
    scene = write_scene(crs=None)
    half = {"type": "Polygon", "coordinates": [[[0, 0], [64, 0], [64, 32], [0, 32], [0, 0]]]}
    shares = [
        next(m.value for m in answer.measurements if m.name == "share")
        for answer in (
            session.ask("How much water?", scene, region=half),
            session.ask("How much water now?"),
            session.ask("How much water in all?", region="all"),
        )
    ]
    assert shares == pytest.approx([50, 50, 25])


def test_a_question_back_waits_for_its_reply_in_the_thread(
    session: ChatSession, write_scene: WriteScene
) -> None:
    asked = session.ask("How much of it?", write_scene())
    assert (asked.route, asked.exit_code) == ("clarify", 3)
    assert (asked.options, asked.missing_slot) == (("water", "vegetation"), "target")
    assert asked.answer == "What should be measured?"
    answer = session.ask("1")
    assert answer.question == "How much of it?"
    assert area(answer) == pytest.approx(HECTARES, rel=2e-3)


def test_what_waits_is_asked_again_where_there_is_no_reply(
    session: ChatSession, write_scene: WriteScene
) -> None:
    asked = session.ask("How much of it?", write_scene())
    assert session.resume() == asked


def test_a_new_question_instead_of_a_reply_is_answered(
    session: ChatSession, write_scene: WriteScene
) -> None:
    session.ask("How much of it?", write_scene())
    answer = session.ask("Never mind, compute the NDVI of this please")
    assert [call.tool for call in answer.plan] == ["compute_index"]


def test_an_unknown_sensor_is_asked_for_and_kept(
    session: ChatSession, write_scene: WriteScene
) -> None:
    scene = write_scene("mystery.tif", bands=("", "", "", ""), date=None)
    asked = session.ask("How much water?", scene)
    assert (asked.route, asked.missing_slot) == ("clarify", "sensor")
    assert "planetscope" in asked.options
    answer = session.ask("PlanetScope")
    assert area(answer) == pytest.approx(HECTARES, rel=2e-3)
    assert any("was read as planetscope, as you said" in warning for warning in answer.warnings)
    assert session.ask("And how much water now?").route == "tools"


def test_a_sensor_may_come_with_the_order_of_its_bands(
    session: ChatSession, write_scene: WriteScene
) -> None:
    scene = write_scene("mystery.tif", lake()[::-1], bands=("", "", "", ""), date=None)
    session.ask("How much water?", scene)
    answer = session.ask("planetscope:N,R,G,B")
    assert area(answer) == pytest.approx(HECTARES, rel=2e-3)


def test_the_order_of_bands_may_come_in_words(
    session: ChatSession, write_scene: WriteScene
) -> None:
    scene = write_scene("mystery.tif", lake()[::-1], bands=("", "", "", ""), date=None)
    session.ask("How much water?", scene)
    answer = session.ask("PlanetScope, the bands are near infrared, red, green and blue")
    assert area(answer) == pytest.approx(HECTARES, rel=2e-3)


def test_a_missing_date_is_asked_for_and_kept(
    session: ChatSession, write_scene: WriteScene
) -> None:
    more = lake()
    more[:, WATER_ROWS : WATER_ROWS + 8] = more[:, :8]
    scenes = [write_scene("one.tif", date=None), write_scene("two.tif", more, date=None)]
    asked = session.ask("Did it change?", scenes)
    assert (asked.route, asked.missing_slot) == ("clarify", "time")
    again = session.ask("some years ago")
    assert again.missing_slot == "time"
    answer = session.ask("2020-06-01 and 2023-06-02")
    assert answer.route == "tools"
    gain = next(m.value for m in answer.measurements if m.name == "gain_area")
    assert gain == pytest.approx(HECTARES / 2, rel=0.05)


def test_a_second_scene_given_as_a_reply_is_added(
    session: ChatSession, write_scene: WriteScene
) -> None:
    asked = session.ask("Did it change?", write_scene("one.tif", date="2020-06-01"))
    assert asked.missing_slot == "second_scene"
    answer = session.ask(scenes=write_scene("two.tif", date="2023-06-02"))
    assert answer.route == "tools"
    assert {"before", "after"} <= set(answer.plan[0].arguments)


def test_what_no_band_supports_is_refused(session: ChatSession, write_scene: WriteScene) -> None:
    scene = write_scene("rgb.tif", lake()[:3], bands=("red", "green", "blue"))
    answer = session.ask("NDVI please", scene)
    assert (answer.route, answer.exit_code, answer.reason) == ("refuse", 4, "sensor")
    assert answer.measurements == ()


def test_bad_input_found_by_a_tool_is_raised_and_the_thread_goes_on(
    session: ChatSession, write_scene: WriteScene
) -> None:
    with pytest.raises(RegionError):
        session.ask("How much water?", write_scene(), region=[100, 10, 101, 11])
    said = session.history()[-1]
    assert (said.role, "outside" in said.content) == ("assistant", True)
    assert session.ask("How much water?", region="all").route == "tools"
    with pytest.raises(InputError, match="nothing to go on with"):
        session.resume()


def test_a_scene_that_cannot_be_opened_leaves_no_trace(
    session: ChatSession, tmp_path: Path
) -> None:
    with pytest.raises(SceneError):
        session.ask("How much water?", tmp_path / "none.tif")
    assert session.history() == []


def test_a_scene_that_vanishes_is_told_and_the_thread_goes_on(
    session: ChatSession, write_scene: WriteScene
) -> None:
    scene = write_scene()
    session.ask("How much water?", scene)
    scene.rename(scene.with_name("moved.tif"))
    with pytest.raises(SceneError):
        session.ask("And in acres?")
    assert session.ask("How much water?", scene.with_name("moved.tif")).route == "tools"


def test_a_dry_run_plans_and_leaves_no_trace(session: ChatSession, write_scene: WriteScene) -> None:
    answer = session.ask("How much water?", write_scene(), dry_run=True)
    assert [call.tool for call in answer.plan] == ["segment"]
    assert (answer.measurements, answer.artefacts) == ((), ())
    assert session.history() == []
    assert session.threads() == []


def test_a_dry_run_of_a_reply_reads_it_with_its_question(
    session: ChatSession, write_scene: WriteScene
) -> None:
    session.ask("How much of it?", write_scene())
    assert session.ask("water", dry_run=True).plan[0].arguments["target"] == "water"
    assert session.resume().route == "clarify"


def test_what_was_measured_is_not_measured_again_unless_the_file_was_replaced(
    session: ChatSession, write_scene: WriteScene
) -> None:
    scene = write_scene()
    first = session.ask("How much water?", scene)
    again = session.ask("How much water?")
    assert area(again) == area(first)
    assert [a.id for a in again.artefacts] == [a.id for a in first.artefacts]
    assert "not computed again" in again.answer
    scene.touch()
    anew = session.ask("How much water?")
    assert area(anew) == area(first)
    assert not {a.id for a in anew.artefacts} & {a.id for a in first.artefacts}
    assert "not computed again" not in anew.answer


def test_a_thread_is_found_again_by_another_session(
    session: ChatSession, write_scene: WriteScene
) -> None:
    session.ask("How much water?", write_scene())
    later = ChatSession(session.thread, planner=KeywordPlanner())
    assert area(later.ask("And in acres?")) == pytest.approx(ACRES, rel=2e-3)
    assert [turn.role for turn in later.history()] == ["user", "assistant"] * 2
    assert later.threads() == [session.thread]


def test_a_first_look_says_so_and_is_no_measurement_to_use_again(
    session: ChatSession, write_scene: WriteScene
) -> None:
    hasty = ChatSession(session.thread, planner=KeywordPlanner(), quick=True)
    first = hasty.ask("How much water?", write_scene())
    whole = session.ask("How much water?")
    assert area(first) == pytest.approx(area(whole), rel=0.05)
    assert "not computed again" not in whole.answer
    assert len(first.warnings) >= len(whole.warnings)


async def events_of(session: ChatSession, scene: Path, thread: str) -> list[Event]:
    stream = session.stream("NDVI and water", scene, thread=thread)
    return [event async for event in stream]


def test_every_step_is_told_in_order(session: ChatSession, write_scene: WriteScene) -> None:
    events = asyncio.run(events_of(session, write_scene(), "t1"))
    kinds = [event.type for event in events if event.type != "tool_progress"]
    steps = ["tool_started", "tool_finished"] * 2
    assert kinds == ["understood", *steps, "finished"]
    assert any(event.type == "tool_progress" for event in events)


def test_several_threads_of_conversation_run_at_a_time(
    session: ChatSession, write_scene: WriteScene
) -> None:
    scene = write_scene()

    async def ask_all() -> list[list[Event]]:
        return await asyncio.gather(*(events_of(session, scene, f"t{n}") for n in range(4)))

    answers = [events[-1] for events in asyncio.run(ask_all())]
    assert {a.answer.thread for a in answers if isinstance(a, Finished)} == {"t0", "t1", "t2", "t3"}
    assert sorted(session.threads()) == ["t0", "t1", "t2", "t3"]


def test_two_questions_to_one_thread_wait_for_each_other(
    session: ChatSession, write_scene: WriteScene
) -> None:
    scene = write_scene()

    async def ask_both() -> None:
        await asyncio.gather(*(events_of(session, scene, "same") for _ in range(2)))

    asyncio.run(ask_both())
    assert [turn.role for turn in session.history("same")] == ["user", "assistant"] * 2


def big_lake(write_scene: WriteScene) -> Path:
    """Several tiles wide, so that a tool reports before it ends."""
    return write_scene("big.tif", np.tile(lake(), (1, 24, 24)))


async def leave_early(session: ChatSession, scene: Path) -> None:
    stream = session.stream("How much water?", scene)
    async for event in stream:
        if isinstance(event, ToolProgress):
            break
    await stream.aclose()


def test_a_turn_that_was_left_goes_on_where_it_stopped(
    session: ChatSession, write_scene: WriteScene
) -> None:
    asyncio.run(leave_early(session, big_lake(write_scene)))
    assert [turn.role for turn in session.history()] == ["user"]
    answer = session.resume()
    assert area(answer) == pytest.approx(HECTARES * 24**2, rel=5e-3)
    assert [turn.role for turn in session.history()] == ["user", "assistant"]


def test_a_new_question_after_a_turn_that_was_left_says_so(
    session: ChatSession, write_scene: WriteScene
) -> None:
    asyncio.run(leave_early(session, big_lake(write_scene)))
    answer = session.ask("NDVI")
    assert UNFINISHED + "How much water?" in answer.warnings


def test_the_conversation_is_kept_without_pixels(
    session: ChatSession, write_scene: WriteScene, home: Path
) -> None:
    session.ask("How much water?", big_lake(write_scene))
    for _ in range(4):
        session.ask("Hm?")
        session.ask("water")
    session.close()
    assert (home / "threads.sqlite").stat().st_size < 200_000


def test_a_session_serves_a_running_loop(home: Path, write_scene: WriteScene) -> None:
    async def ask() -> list[str]:
        async with ChatSession(planner=KeywordPlanner()) as session:
            events = [event async for event in session.stream("How much water?", write_scene())]
        return [event.type for event in events]

    assert asyncio.run(ask())[-1] == "finished"


def test_an_answer_survives_json(session: ChatSession, write_scene: WriteScene) -> None:
    answer = session.ask("How much water?", write_scene())
    assert Answer.model_validate(json.loads(answer.model_dump_json())) == answer


def test_an_unknown_planner_or_image_reader_is_told(home: Path) -> None:
    with pytest.raises(InputError, match="unknown planner"):
        ChatSession(planner="oracle")
    with pytest.raises(InputError, match="unknown model"):
        ChatSession(vlm="oracle:some/model")


def test_a_file_in_the_same_turn_is_written_from_what_was_measured(
    home: Path, write_scene: WriteScene
) -> None:
    with ChatSession() as session:
        answer = session.ask("How much water is there, and give me it as GeoJSON", write_scene())
    assert [call.tool for call in answer.plan] == ["segment", "export"]
    assert area(answer) == pytest.approx(HECTARES, rel=2e-2)
    outlines = json.loads(Path(answer.artefacts[-1].path).read_text(encoding="utf-8"))
    assert outlines["type"] == "FeatureCollection"
    assert outlines["features"]


def test_a_file_that_cannot_be_had_does_not_lose_the_figure(
    home: Path, write_scene: WriteScene
) -> None:
    with ChatSession() as session:
        answer = session.ask("Compute the NDVI and save it as GeoJSON", write_scene())
    assert answer.route == "tools"
    assert [m.name for m in answer.measurements][:1]
    assert any("cannot be exported as geojson" in warning for warning in answer.warnings)


def test_a_correction_keeps_what_was_measured_before(home: Path, write_scene: WriteScene) -> None:
    with ChatSession() as session:
        first = session.ask("How much water is there?", write_scene())
        assert first.alternatives
        other = session.ask("no, I meant the vegetation")
        again = session.ask("no, I meant the water")
    assert "vegetation" in other.interpretation
    assert area(again) == area(first)
    assert any("Measured earlier in this conversation" in text for text in again.warnings)


def test_nothing_to_export_is_asked_about(home: Path, write_scene: WriteScene) -> None:
    class Early:
        def plan(self, question: str, inputs: Inputs) -> Plan:
            call = ToolCall(tool="export", arguments={"artefact": LAST, "format": "geojson"})
            return Plan(route="tools", interpretation="Export", calls=(call,))

    with ChatSession(planner=KeywordPlanner()) as session:
        session.ask("What do you see?", write_scene())
        thread = session.thread
    with ChatSession(thread, planner=Early()) as session:
        answer = session.ask("save it as GeoJSON")
    assert (answer.route, answer.missing_slot) == ("clarify", "target")
