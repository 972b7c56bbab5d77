from __future__ import annotations

import pytest

from terralogue.agent.reply import dates, pick

SENSORS = ("sentinel2_l1c", "sentinel2_l2a", "landsat8", "naip_rgbn")


@pytest.mark.parametrize(
    ("reply", "option"),
    [
        ("landsat8", "landsat8"),
        ("Sentinel-2 L2A", "sentinel2_l2a"),
        ("2", "sentinel2_l2a"),
        ("(4)", "naip_rgbn"),
        ("option 1", "sentinel2_l1c"),
        ("it is Landsat 8, I think", "landsat8"),
        ("naip", "naip_rgbn"),
        ("lansat8", "landsat8"),
    ],
)
def test_a_reply_picks_an_option_by_text_number_part_or_slip(reply: str, option: str) -> None:
    assert pick(reply, SENSORS) == option


@pytest.mark.parametrize(
    "reply", ["", "5", "0", "sentinel2", "a camera on a kite", "?", "ten landsat86 tiles"]
)
def test_a_reply_that_fits_no_option_or_several_picks_none(reply: str) -> None:
    assert pick(reply, SENSORS) is None


def test_an_option_that_is_a_number_goes_before_the_number_of_an_option() -> None:
    assert pick("2", ("1", "3", "2")) == "2"


def test_days_are_read_year_first_in_their_order() -> None:
    assert dates("first 2021-05-03, then 2019/7/9 and 20200131") == [
        "2021-05-03",
        "2019-07-09",
        "2020-01-31",
    ]


def test_days_that_do_not_exist_or_are_ambiguous_are_not_read() -> None:
    assert dates("2021-02-30, 03.05.2021, 12345678 and last summer") == []
