"""Places and periods in catalogue requests."""

from __future__ import annotations

import pytest

from terralogue.agent.places import period, place, readings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Find Sentinel-2 images of Lisbon from June 2022", "Lisbon"),
        ("get me a scene over Lake Garda, August 2023", "Lake Garda"),
        ("landsat over nairobi in 2019", "nairobi"),
        ("Busca una imagen de Sevilla de agosto de 2022", "Sevilla"),
        ("imagery at 48.21, 16.37 last week", "48.21, 16.37"),
        ("find cloud free pictures of the lake", None),
    ],
)
def test_the_place_is_found(text: str, expected: str | None) -> None:
    assert place(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lisbon in June 2022", "june 2022"),
        ("im Juli 2021 bitte", "juli 2021"),
        ("the latest picture", "latest"),
        ("from last week", "last week"),
        ("Hamburg", None),
    ],
)
def test_the_period_is_found(text: str, expected: str | None) -> None:
    assert period(text) == expected


def test_a_shared_name_is_open_until_something_settles_it() -> None:
    assert len(readings("images of Springfield, March 2020", "Springfield")) > 1
    assert readings("images of Springfield, Illinois", "Springfield") == ()
    assert readings("images of London", "London") == ()
    assert readings("images of Oslo", "Oslo") == ()
