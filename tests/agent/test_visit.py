from __future__ import annotations

import json
from pathlib import Path

import pytest

from terralogue.agent.answer import Answer
from terralogue.agent.visit import Visit
from terralogue.datasets.errors import InputError, RegionError, SceneError
from terralogue.datasets.synthetic import make_demo_scene
from terralogue.tools.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "workspace")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [make_demo_scene(tmp_path / f"s{i}.tif", size=32, seed=i) for i in range(3)]


def _answer(**values: object) -> Answer:
    basis = {"thread": "t", "question": "q", "interpretation": "i", "route": "tools", "answer": "a"}
    return Answer.model_validate({**basis, **values})


def test_an_upload_is_copied_opened_and_told_in_a_sentence(store: Store, files: list[Path]) -> None:
    visit = Visit()
    said = visit.upload(store, [str(files[0])])
    assert "Sentinel-2" in said
    assert "32 by 32 pixels" in said
    assert visit.active == [visit.shown]
    (path,) = visit.news(store)["scenes"][0]
    assert path.is_relative_to(store.root)


def test_a_bad_file_leaves_everything_as_it_was(
    store: Store, files: list[Path], tmp_path: Path
) -> None:
    visit = Visit()
    visit.upload(store, [str(files[0])])
    before = (dict(visit.scenes), list(visit.active), visit.shown)
    broken = tmp_path / "broken.tif"
    broken.write_text("no raster")
    with pytest.raises(SceneError):
        visit.upload(store, [str(files[1]), str(broken)])
    assert (visit.scenes, visit.active, visit.shown) == before


def test_scenes_are_told_once(store: Store, files: list[Path]) -> None:
    visit = Visit()
    visit.upload(store, [str(files[0])])
    assert len(visit.news(store)["scenes"]) == 1
    visit.answered(_answer())
    assert visit.news(store) == {}


def test_scenes_before_a_question_add_up_and_after_it_begin_anew(
    store: Store, files: list[Path]
) -> None:
    visit = Visit()
    visit.upload(store, [str(files[0])])
    visit.upload(store, [str(files[1])])
    assert len(visit.active) == 2
    visit.answered(_answer())
    visit.upload(store, [str(files[2])])
    assert visit.active == [visit.shown]
    assert len(visit.scenes) == 3


def test_a_second_scene_that_was_asked_for_is_told_alone(store: Store, files: list[Path]) -> None:
    visit = Visit()
    visit.upload(store, [str(files[0])])
    visit.answered(_answer(route="clarify", missing_slot="second_scene"))
    visit.upload(store, [str(files[1])])
    assert len(visit.active) == 2
    assert len(visit.news(store)["scenes"]) == 1


def test_an_error_makes_the_conversation_hear_again(store: Store, files: list[Path]) -> None:
    visit = Visit()
    visit.upload(store, [str(files[0])])
    visit.answered(None)
    assert "scenes" in visit.news(store)


def test_choosing_scenes_shows_the_newly_chosen_one(store: Store, files: list[Path]) -> None:
    visit = Visit()
    visit.upload(store, [str(files[0]), str(files[1])])
    first, second = visit.scenes
    visit.choose([first])
    assert (visit.active, visit.shown) == ([first], first)
    visit.choose([first, second])
    assert (visit.active, visit.shown) == ([first, second], second)


def test_a_region_is_told_once_again_with_other_scenes_and_lifted(
    store: Store, files: list[Path]
) -> None:
    visit = Visit()
    visit.upload(store, [str(files[0])])
    visit.confine("15.1, 46.9, 15.2, 47.0")
    assert visit.news(store)["region"]["type"] == "Polygon"
    visit.answered(_answer())
    assert visit.news(store) == {}
    visit.upload(store, [str(files[1])])
    assert visit.news(store)["region"]["type"] == "Polygon"
    visit.answered(_answer())
    visit.confine(" ")
    assert visit.news(store) == {"region": "all"}


def test_uploaded_geojson_confines_the_questions(
    store: Store, files: list[Path], tmp_path: Path
) -> None:
    outline = {"type": "Point", "coordinates": [15.1, 46.9]}
    path = tmp_path / "field.geojson"
    path.write_text(json.dumps(outline))
    visit = Visit()
    assert "field.geojson" in visit.upload(store, [str(path)])
    assert visit.region == outline


@pytest.mark.parametrize("text", ["/etc/passwd", "1, 2, 3", "5, 5, 4, 6", "a, b, c, d"])
def test_a_region_typed_as_anything_but_a_box_is_refused(text: str) -> None:
    with pytest.raises(RegionError):
        Visit().confine(text)


def test_a_file_of_an_unknown_kind_is_refused(store: Store) -> None:
    with pytest.raises(InputError, match="no image"):
        Visit().upload(store, ["virus.exe"])
