"""Questions that the image-reading model answers, from the words to the files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.warp import transform_bounds

from terralogue.agent.answer import Answer
from terralogue.agent.session import ChatSession
from terralogue.agent.show import offered
from terralogue.datasets.errors import InputError, RegionError
from terralogue.datasets.samples import Box
from terralogue.datasets.scene import Scene
from terralogue.vlm.vlm import Query, Reading

from .conftest import SIZE, Eyes, WriteScene, lake

YES = Reading("yes", 0.83)
UNSURE = Reading(
    "rural", 0.41, sure=False, doubt="two answers are nearly as likely",
    alternatives=(("rural", 0.41), ("urban", 0.38)), distance=0.5,
)  # fmt: skip
LOST = Reading("a dog", 0.97, sure=False, doubt="nothing like it was learned", distance=1.4)

FINE = Affine(0.3, 0, 600_000, 0, -0.3, 5_000_000)
Talk = Callable[..., Answer]
Begin = Callable[..., tuple[Talk, Eyes]]


@pytest.fixture
def look(home: Path) -> Iterator[Begin]:
    """A conversation with a model that gives these readings."""
    opened: list[ChatSession] = []

    def begin(*readings: Reading, points: bool = True, name: str = "eyes") -> tuple[Talk, Eyes]:
        eyes = Eyes(*readings, name=name, points=points)
        opened.append(ChatSession(vlm=eyes))
        return opened[-1].__enter__().ask, eyes

    yield begin
    for session in opened:
        session.close()


def rgb(write_scene: WriteScene, name: str = "roofs.tif", **more: object) -> Path:
    return write_scene(name, lake()[2::-1], bands=("red", "green", "blue"), **more)


def test_a_sure_answer_comes_with_its_confidence(look: Begin, write_scene: WriteScene) -> None:
    ask, eyes = look(YES)
    answer = ask("Is there a lake?", write_scene())
    assert (answer.route, answer.exit_code, answer.confidence) == ("answer", 0, 0.83)
    assert answer.answer == "Yes.\n\nHow sure: 0.83"
    assert list(answer.timings) == ["understand", "answer", "compose"]
    (query,) = eyes.asked
    assert (query.question, query.task, query.region) == ("Is there a lake?", "qa", None)
    assert isinstance(query.pictures[0], Scene)
    assert query.dates == ("2024-06-01",)


def test_a_model_without_probabilities_gives_no_confidence(
    look: Begin, write_scene: WriteScene
) -> None:
    ask, _ = look(Reading("a lake in green fields .", notes=("1 picture went to example.org.",)))
    answer = ask("What does this show?", write_scene())
    assert answer.confidence is None
    assert answer.answer.startswith("A lake in green fields.\n\nDescribed by")
    assert answer.warnings == ("1 picture went to example.org.",)


def test_an_unsure_answer_is_no_answer_and_offers_to_measure(
    look: Begin, write_scene: WriteScene
) -> None:
    ask, _ = look(UNSURE)
    answer = ask("Is this rural or urban?", write_scene())
    first, guess, helps = answer.answer.split("\n\n")
    assert first == "Not sure: two answers are nearly as likely."
    assert guess == "A guess, no more: rural (0.41); it also weighed urban (0.38)."
    assert '"how much is water, in hectares?"' in helps
    assert (answer.route, answer.confidence) == ("answer", 0.41)


def test_the_thing_asked_for_is_what_is_offered_to_be_measured(
    look: Begin, write_scene: WriteScene
) -> None:
    ask, _ = look(UNSURE)
    answer = ask("Is there any vegetation here?", write_scene())
    assert '"how much is vegetation, in hectares?"' in answer.answer
    assert "Measurable on" not in answer.answer


def test_no_area_is_offered_of_a_picture_without_coordinates(
    look: Begin, write_scene: WriteScene
) -> None:
    ask, _ = look(UNSURE)
    found = offered(ask("Is this rural or urban?", write_scene(crs=None)))
    assert found == ["how much is built-up area?"]
    assert ask(found[0]).route == "tools"


def test_far_from_what_was_learned_there_is_neither_guess_nor_confidence(
    look: Begin, write_scene: WriteScene
) -> None:
    ask, _ = look(LOST)
    answer = ask("What does this show?", write_scene())
    assert answer.answer.startswith("Not sure: nothing like it was learned.\n\nWhat would help:")
    assert answer.confidence is None
    assert "dog" not in answer.answer


def test_a_count_by_eye_is_an_estimate_and_says_so(look: Begin, write_scene: WriteScene) -> None:
    ask, _ = look(Reading("3", 0.6), UNSURE)
    answer = ask("How many windmills are there?", rgb(write_scene, transform=FINE))
    (count,) = answer.measurements
    assert (count.name, count.value, count.method) == ("count", 3.0, "vlm_estimate")
    assert answer.answer.startswith("About 3 windmills.\n\nEstimated by eye")
    assert "no detector here finds windmills" in answer.interpretation
    assert ask("How many windmills are there now?").measurements == ()


def test_where_nothing_can_be_measured_the_model_looks_and_says_so(
    look: Begin, tmp_path: Path
) -> None:
    ask, eyes = look(Reading("2", 0.6), Reading("1 found", 0.7, boxes=(Box(8, 4, 20, 12),)))
    picture = tmp_path / "picture.png"
    Image.fromarray(np.full((SIZE, SIZE, 3), (60, 90, 50), np.uint8)).save(picture)
    answer = ask("How many glaciers are there?", picture)
    assert answer.answer.startswith("About 2 glaciers.")
    assert answer.measurements[0].method == "vlm_estimate"
    assert answer.warnings[-1].startswith("Not measured but looked at: ")
    assert ask("Where exactly is the snow?").artefacts
    assert [query.task for query in eyes.asked] == ["qa", "grounding"]
    assert ask("How much snow is there, in hectares?").route == "refuse"


def test_things_too_small_for_the_pixels_are_not_even_estimated(
    look: Begin, write_scene: WriteScene
) -> None:
    ask, eyes = look()
    answer = ask("How many cars are there?", write_scene())
    assert (answer.route, answer.reason, eyes.asked) == ("refuse", "resolution", [])


def pointing(shape: tuple[int, int] = (SIZE, SIZE)) -> Reading:
    mask = np.zeros(shape, np.bool_)
    mask[4:12, 8:20] = mask[40:60, 50:62] = True
    boxes = (Box(8, 4, 20, 12), Box(50, 40, 62, 60))
    return Reading("2 found", 0.7, boxes=boxes, mask=mask, label="building")


def test_what_is_pointed_at_comes_as_boxes_mask_and_picture(
    look: Begin, write_scene: WriteScene
) -> None:
    ask, eyes = look(pointing())
    scene = write_scene()
    answer = ask("Where are the white roofs by the lake?", scene)
    assert (eyes.asked[0].task, eyes.asked[0].question) == ("grounding", "white roofs by the lake")
    assert answer.answer.startswith(
        "White roofs by the lake (building): found 2 times, in the upper left and in the lower"
    )
    kinds = {artefact.kind: Path(artefact.path) for artefact in answer.artefacts}
    assert set(kinds) == {"mask", "polygons", "preview"}
    features = json.loads(kinds["polygons"].read_text(encoding="utf-8"))["features"]
    (count,) = answer.measurements
    assert (count.value, count.method) == (len(features), "vlm_estimate")
    assert count.artefact == str(kinds["polygons"])
    assert {feature["properties"]["label"] for feature in features} == {"building"}
    with rasterio.open(kinds["mask"]) as mask, rasterio.open(scene) as source:
        assert (mask.crs, mask.transform) == (source.crs, source.transform)
        assert int((mask.read(1) == 1).sum()) == 8 * 12 + 20 * 12
        west, south, east, north = transform_bounds(source.crs, "EPSG:4326", *source.bounds)
    corners = [point for feature in features for point in feature["geometry"]["coordinates"][0]]
    assert all(west < x < east and south < y < north for x, y in corners)
    assert len(ask("export that as geojson").artefacts) == 1


def test_boxes_on_a_plain_picture_are_in_pixels(look: Begin, write_scene: WriteScene) -> None:
    box = Box(8, 4, 20, 12)
    ask, _ = look(Reading("1 found", 0.7, boxes=(box,)), Reading("nothing found", 0.9))
    answer = ask("Where is the pier?", write_scene(crs=None))
    kinds = {artefact.kind: Path(artefact.path) for artefact in answer.artefacts}
    assert set(kinds) == {"polygons", "preview"}
    (feature,) = json.loads(kinds["polygons"].read_text(encoding="utf-8"))["features"]
    assert {tuple(point) for point in feature["geometry"]["coordinates"][0]} == {
        (8, 4), (20, 4), (20, 12), (8, 12),
    }  # fmt: skip
    nothing = ask("Where is the lighthouse?")
    assert nothing.answer.startswith("Lighthouse: nothing like that was found, which")
    assert (nothing.artefacts, nothing.measurements[0].value) == ((), 0)
    assert nothing.confidence is None


def test_a_model_that_cannot_point_answers_in_words_and_says_so(
    look: Begin, write_scene: WriteScene
) -> None:
    ask, eyes = look(Reading("upper left", 0.8), points=False)
    answer = ask("Where is the pier?", write_scene())
    assert (eyes.asked[0].task, eyes.asked[0].question) == ("qa", "Where is the pier?")
    assert answer.warnings == ("eyes cannot point at things; it answered in words.",)


def test_a_mask_of_another_size_is_told(look: Begin, write_scene: WriteScene) -> None:
    ask, _ = look(pointing((SIZE // 2, SIZE)), YES)
    with pytest.raises(InputError, match="mask of 64 by 32 pixels"):
        ask("Where are the white roofs?", write_scene())
    assert ask("Is there a lake?").route == "answer"


def test_a_region_in_its_own_system_reaches_the_model_in_pixels(
    look: Begin, write_scene: WriteScene
) -> None:
    ask, eyes = look(YES, YES)
    west, north = 600_000 + 3 * 10, 5_000_000 - 3 * 20
    ring = [(west, north), (west + 60, north), (west + 60, north - 90), (west, north - 90)]
    region = {
        "type": "Polygon",
        "coordinates": [[*ring, ring[0]]],
        "crs": {"type": "name", "properties": {"name": "EPSG:32632"}},
    }
    ask("Is there a lake?", write_scene(), region=region)
    assert eyes.asked[0].region == Box(10, 20, 30, 50)
    with pytest.raises(RegionError, match="outside"):
        ask("Is there a lake?", region=[100, 10, 101, 11])
    assert ask("Is there a lake?", region="all").route == "answer"


def test_what_was_clicked_is_asked_with_its_surroundings(
    look: Begin, write_scene: WriteScene
) -> None:
    ask, eyes = look(YES)
    ask("What is this thing I clicked on?", write_scene(), point=(2, 60))
    assert eyes.asked[0].region == Box(0, SIZE - 48, 48, SIZE)


def names(query: Query) -> list[str]:
    return [picture.name for picture in query.pictures if isinstance(picture, Scene)]


def test_change_is_read_from_the_earlier_to_the_later(look: Begin, write_scene: WriteScene) -> None:
    ask, eyes = look(Reading("a pier was built", 0.6))
    late = write_scene("late.tif", date="2023-05-01")
    early = write_scene("early.tif", date="2020-05-01")
    answer = ask("What changed, in words?", [late, early])
    (query,) = eyes.asked
    assert (names(query), query.task) == (["early.tif", "late.tif"], "caption")
    assert query.dates == ("2020-05-01", "2023-05-01")
    assert answer.answer.startswith("A pier was built.")


def test_change_that_was_not_told_is_measured(look: Begin, write_scene: WriteScene) -> None:
    ask, eyes = look(UNSURE)
    drained = lake()
    drained[:, :4] = lake()[:, -4:]
    before = write_scene("before.tif", date="2023-06-01")
    after = write_scene("after.tif", drained, date="2024-06-01")
    answer = ask("Describe what changed.", [before, after])
    assert [query.task for query in eyes.asked] == ["caption"]
    assert (answer.route, answer.exit_code) == ("tools", 0)
    assert [call.tool for call in answer.plan] == ["detect_change"]
    assert next(m.value for m in answer.measurements if m.name == "area") > 0
    assert any("Measured rather than told" in text for text in answer.warnings)


def test_covers_that_eyes_cannot_compare_are_both_measured(
    look: Begin, write_scene: WriteScene
) -> None:
    ask, eyes = look(UNSURE)
    answer = ask("Which is bigger, the water or the vegetation?", write_scene())
    assert len(eyes.asked) == 1
    assert [call.arguments["target"] for call in answer.plan] == ["water", "vegetation"]
    assert [m.label for m in answer.measurements if m.name == "area"] == ["Water", "Vegetation"]
    assert any("Measured rather than told" in text for text in answer.warnings)


def test_scenes_of_other_ground_are_not_compared(look: Begin, write_scene: WriteScene) -> None:
    ask, eyes = look()
    away = Affine(3, 0, 700_000, 0, -3, 5_000_000)
    scenes = [write_scene("here.tif"), write_scene("there.tif", transform=away, date="2025-01-01")]
    answer = ask("What changed, in words?", scenes)
    assert (answer.route, answer.reason, eyes.asked) == ("refuse", "no_overlap", [])


def test_dates_are_asked_for_before_change_is_read(look: Begin, write_scene: WriteScene) -> None:
    ask, eyes = look(YES)
    scenes = [write_scene("one.tif", date=None), write_scene("two.tif", date=None)]
    asked = ask("Describe in words what changed", scenes)
    assert (asked.route, asked.missing_slot, eyes.asked) == ("clarify", "time", [])
    ask("2023-06-02 and 2020-06-01")
    assert names(eyes.asked[0]) == ["two.tif", "one.tif"]


def test_a_question_about_one_scene_is_about_the_newest(
    look: Begin, write_scene: WriteScene
) -> None:
    ask, eyes = look(YES)
    late = write_scene("late.tif", date="2023-05-01")
    ask("Is there a lake?", [late, write_scene("early.tif", date="2020-05-01")])
    assert names(eyes.asked[0]) == ["late.tif"]


def test_a_follow_up_is_read_with_the_question_before(look: Begin, write_scene: WriteScene) -> None:
    ask, eyes = look(YES, YES, Reading("none", 0.7), Reading("none", 0.7))
    ask("Is there a lake?", write_scene())
    ask("and forest?")
    assert eyes.asked[1].question == "is there a forest?"
    ask("Where is the lake in this picture?")
    ask("and the forest?")
    assert [(query.task, query.question) for query in eyes.asked[2:]] == [
        ("grounding", "lake"), ("grounding", "forest"),
    ]  # fmt: skip


def test_options_on_lines_of_their_own_are_a_choice(look: Begin, write_scene: WriteScene) -> None:
    ask, eyes = look(Reading("a lake", 0.8))
    ask("What is in the north?\nA. a lake\nB. a forest", write_scene())
    assert eyes.asked[0].question == "What is in the north?"
    assert eyes.asked[0].options == ("a lake", "a forest")


def test_the_embedded_model_gets_english(look: Begin, write_scene: WriteScene) -> None:
    ask, eyes = look(YES, name="embedded")
    ask("Gibt es hier Wasser?", write_scene())
    assert "water" in eyes.asked[0].question
    ask, eyes = look(YES, name="hf:some/model")
    ask("Gibt es hier Wasser?", write_scene())
    assert eyes.asked[0].question == "Gibt es hier Wasser?"


def test_an_earlier_look_is_explained_by_who_looked_at_what(
    look: Begin, write_scene: WriteScene
) -> None:
    ask, eyes = look(YES)
    ask("Is there a river?", write_scene("coast.tif"))
    looks = len(eyes.asked)
    answer = ask("why?")
    assert len(eyes.asked) == looks
    assert "Read off the picture of coast.tif by eyes; nothing was measured." in answer.answer


def test_what_about_another_year_asks_the_same_of_the_new_picture(
    look: Begin, write_scene: WriteScene
) -> None:
    ask, eyes = look(YES, YES)
    ask("Is there a river?", write_scene("a.tif"))
    ask("and what about 2003?", write_scene("b.tif"))
    assert [query.question for query in eyes.asked] == ["Is there a river?"] * 2


def test_an_earlier_answer_is_explained_without_another_look(
    look: Begin, write_scene: WriteScene
) -> None:
    ask, eyes = look()
    ask("How much water?", write_scene())
    answer = ask("Why did you choose that threshold?")
    assert (answer.route, answer.confidence, eyes.asked) == ("answer", None, [])
    assert "How: ndwi" in answer.answer
    assert "Normalized Difference Vegetation Index" in ask("what does NDVI mean?").answer
