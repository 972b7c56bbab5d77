"""What a request to search the archive looks for."""

from __future__ import annotations

import pytest

from terralogue.agent.questions import read
from terralogue.agent.seeking import bounds, sought


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Find images of harbours in our archive", "harbours"),
        ("show me all the airports in my archive", "airports"),
        ("I need a stock picture of terraced rice fields from what we already have",
         "terraced rice fields"),
        ("query the index for bridges across wide rivers", "bridges across wide rivers"),
        ("any examples of slash and burn in the database", "slash and burn"),
        ("have we any old shots of racetracks lying about", "racetracks"),
        ("Suche im Archiv nach Flughäfen", "airport"),
        ("find scenes like this one", ""),
        ("Finde ähnliche Bilder", ""),
    ],
)  # fmt: skip
def test_the_asking_is_taken_out(text: str, phrase: str) -> None:
    assert sought(read(text)).phrase == phrase


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Find pairs in the archive where a forest was cleared", "where a forest was cleared"),
        ("retrieve change pairs: airport expansion", "airport expansion"),
        ("find places that changed from fields to warehouses", "fields to warehouses"),
        ("examples of lakes that dried up, from the library", "lakes dried"),
        ("search the change archive for new solar farms", "new solar farms"),
    ],
)
def test_a_described_change_keeps_its_verbs(text: str, phrase: str) -> None:
    assert sought(read(text), change=True).phrase == phrase


@pytest.mark.parametrize(
    ("text", "period", "sensor"),
    [
        ("archive images of mountains taken in 2019", "2019", None),
        ("Sentinel-2 scenes with snow from our archive, 2020-07", "2020-07", "sentinel2"),
        ("Landsat 8 images of deserts between 2018 and 2015", "2015/2018", "landsat8"),
        ("Zeig mir ähnliche Szenen aus dem Archiv", None, None),
    ],
)
def test_years_and_satellites_become_filters(
    text: str, period: str | None, sensor: str | None
) -> None:
    found = sought(read(text))
    assert (found.period, found.sensor) == (period, sensor)
    assert not any(character.isdigit() for character in found.phrase)


def test_the_bounds_of_a_region_hold_all_of_it() -> None:
    square = {"type": "Polygon", "coordinates": [[[1, 2], [3, 2], [3, 5], [1, 5], [1, 2]]]}
    other = {"type": "Polygon", "coordinates": [[[-4, 0], [0, 0], [0, 1], [-4, 0]]]}
    features = [{"type": "Feature", "geometry": each} for each in (square, other)]
    assert bounds(square) == [1, 2, 3, 5]
    assert bounds({"type": "FeatureCollection", "features": features}) == [-4, 0, 3, 5]
    assert bounds({"type": "FeatureCollection", "features": []}) is None
