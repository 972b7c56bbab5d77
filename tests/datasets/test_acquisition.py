"""Times come from metadata, tags and names, and are never invented."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from terralogue.datasets.acquisition import find_time


@pytest.mark.parametrize(
    ("name", "time", "precision"),
    [
        ("S2A_MSIL1C_20170703T102021_N0205_R065_T32TPP", "2017-07-03T10:20:21", "second"),
        ("T32TPP_20180211T102141_B01", "2018-02-11T10:21:41", "second"),
        ("S2A2A_20170703_022_Barbellino_BOA_10", "2017-07-03", "day"),
        ("LC08_L1TP_044034_20170614_20170627_02_T1_B4", "2017-06-14", "day"),
        ("LC80440342017165LGN00_B4", "2017-06-14", "day"),
        ("L71119038_03820000317_MTL.txt", "2000-03-17", "day"),
        ("HLS.S30.T13SEA.2020123T183919.v2.0.B8A", "2020-05-02T18:39:19", "second"),
        ("MOD09A1.A2015123.h08v05", "2015-05-03", "day"),
        ("m_3607824_se_17_1_20160620_subset", "2016-06-20", "day"),
        ("S1A__IW___A_20150309T173017_VV_grd", "2015-03-09T17:30:17", "second"),
        ("pisa 2017-07-03", "2017-07-03", "day"),
        ("scene_2019-07", "2019-07-01", "month"),
        ("1985", "1985-01-01", "year"),
        ("pisa_2019", "2019-01-01", "year"),
    ],
)  # fmt: skip
def test_names_give_the_time_that_they_state(name: str, time: str, precision: str) -> None:
    found = find_time({}, {}, [name])
    assert found.time == datetime.fromisoformat(time).replace(tzinfo=UTC)
    assert found.precision == precision
    assert (found.warning is not None) == (precision in ("month", "year"))


@pytest.mark.parametrize(
    "name",
    [
        "OAM-309613-261632-19",
        "P1888",
        "P2000",
        "TEAK_054",
        "rome_20191345",
        "tile_128_128",
        "12345678",
    ],
)
def test_other_numbers_are_no_dates(name: str) -> None:
    assert find_time({}, {}, [name]).time is None


def test_processing_time_in_old_names_is_not_acquisition() -> None:
    found = find_time({}, {}, ["S2A_OPER_MSI_L1C_TL_EPA__20160809T015434_A000162_T32TPP_B01"])
    assert found.time is None
    assert "processing" in (found.warning or "")


def test_metadata_goes_before_tags_and_tags_before_names() -> None:
    tags = {"start_time": "2022-07-24T10:45:26"}
    assert find_time({}, tags, ["scene_20200101"]).time == datetime(
        2022, 7, 24, 10, 45, 26, tzinfo=UTC
    )
    stated = {"DATE_ACQUIRED": "2021-05-06"}
    assert find_time(stated, tags, ["scene_20200101"]).time == datetime(2021, 5, 6, tzinfo=UTC)


def test_a_name_with_the_clock_time_refines_a_tag_with_the_day() -> None:
    found = find_time({"DATE_ACQUIRED": "20180211"}, {}, ["T32TPP_20180211T102141_B01"])
    assert found.time == datetime(2018, 2, 11, 10, 21, 41, tzinfo=UTC)


def test_the_tiff_date_is_the_last_resort_and_says_so() -> None:
    found = find_time({}, {"TIFFTAG_DATETIME": "2024:05:06 10:20:30"}, ["holiday"])
    assert found.time == datetime(2024, 5, 6, 10, 20, 30, tzinfo=UTC)
    assert "processing" in (found.warning or "")


def test_zones_are_turned_into_utc() -> None:
    found = find_time({}, {"ACQUISITION_TIME": "2024-05-06T10:20:30+02:00"}, [])
    assert found.time == datetime(2024, 5, 6, 8, 20, 30, tzinfo=UTC)


def test_the_time_axis_of_a_netcdf_file_is_counted_from_its_origin() -> None:
    tags = {"time#units": "days since 2020-01-01", "NETCDF_DIM_time": "31"}
    assert find_time({}, tags, []).time == datetime(2020, 2, 1, tzinfo=UTC)
    coverage = {"NC_GLOBAL#time_coverage_start": "2023-07-03T10:20:21Z"}
    assert find_time({}, coverage, []).time == datetime(2023, 7, 3, 10, 20, 21, tzinfo=UTC)


def test_a_number_of_a_year_to_come_is_no_date() -> None:
    assert find_time({}, {}, ["SeaLake_2062"]).time is None
    assert find_time({}, {}, ["SeaLake_2012"]).precision == "year"
