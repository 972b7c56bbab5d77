from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from terralogue.agent.request import Request, read_region, read_request
from terralogue.datasets.errors import InputError, RegionError


def request(**given: Any) -> Request:
    values: dict[str, Any] = {"question": "how much?", "scenes": ["a.tif", "b.tif"], "region": None}
    values |= {"point": None, "sensor": None, "date": None, "dry_run": False}
    return read_request(**{**values, **given})


def test_one_sensor_serves_all_scenes_and_dates_go_one_to_one() -> None:
    made = request(sensor="naip", date=["2020-01-01", datetime.date(2021, 2, 3)])
    assert made.scenes == (("a.tif", "naip", "2020-01-01"), ("b.tif", "naip", "2021-02-03"))


def test_one_date_for_two_scenes_is_refused() -> None:
    with pytest.raises(InputError, match="given 1 times for 2 scenes"):
        request(date="2020-01-01")


def test_a_single_path_is_one_scene_and_a_list_inside_is_one_too() -> None:
    assert request(scenes="a.tif").scenes == (("a.tif", None, None),)
    assert request(scenes=[["b2.tif", "b3.tif"]]).scenes == ((["b2.tif", "b3.tif"], None, None),)


def test_an_empty_question_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        request(question="  ")


def test_a_bounding_box_becomes_a_polygon() -> None:
    ring = [[1.0, 2.0], [3.0, 2.0], [3.0, 4.0], [1.0, 4.0], [1.0, 2.0]]
    polygon = {"type": "Polygon", "coordinates": [ring]}
    assert read_region("1,2,3,4") == polygon
    assert read_region([1, 2, 3, 4]) == polygon


def test_geojson_comes_from_a_file_or_as_it_is(tmp_path: Path) -> None:
    feature = {"type": "Feature", "geometry": None, "properties": {}}
    path = tmp_path / "field.geojson"
    path.write_text(json.dumps(feature), encoding="utf-8")
    assert read_region(str(path)) == read_region(path) == read_region(feature) == feature


def test_the_word_all_ends_a_region() -> None:
    made = request(region="all")
    assert made.all_regions
    assert made.region is None


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ("1,2,3", "no bounding box"),
        ("3,2,1,4", "empty"),
        ("nowhere.geojson", "cannot be read"),
    ],
)
def test_a_region_that_cannot_be_read_is_told(region: str, said: str) -> None:
    with pytest.raises(RegionError, match=said):
        read_region(region)


@pytest.mark.parametrize(("text", "said"), [("{", "not JSON"), ("[1, 2]", "no GeoJSON object")])
def test_a_file_that_is_no_geojson_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "field.geojson"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RegionError, match=said):
        read_region(path)
