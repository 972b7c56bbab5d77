"""A result in words."""

from __future__ import annotations

from terralogue.datasets.scaling import uncalibrated_note
from terralogue.tools.schemas import Measurement, SeriesPoint, TimeSeries
from terralogue.tools.wording import each_once, in_words, without_doi


def test_the_words_of_a_result_hold_every_figure() -> None:
    point = SeriesPoint(scene="a", time="2024-07-01", value=0.5, observed_share=99.5)
    result = TimeSeries(
        tool="time_series", scenes=["a"], title="NDVI over time", method="spyndex", why="Asked for",
        quantity="NDVI", points=[point], confidence=0.875, warnings=["One date is cloudy."],
        measurements=[Measurement(name="slope", value=-1.25e-7, unit="per year", method="m")],
    )  # fmt: skip
    assert in_words(result).splitlines() == [
        "NDVI over time (spyndex)",
        "Why this method: Asked for",
        "- slope: -1.25e-07 per year",
        "quantity: NDVI",
        "points:",
        "- scene a, time 2024-07-01, value 0.5, observed_share 99.5",
        "Warning: One date is cloudy.",
        "Confidence: 0.88",
    ]


def test_what_raw_numbers_mean_for_a_result_stands_for_the_general_note() -> None:
    general = uncalibrated_note("8-bit")
    own = "NDVI was computed on uncalibrated digital numbers: compare places within the scene."
    assert each_once([general, own, own]) == [own]
    assert each_once([general, general]) == [general]


def test_addresses_of_papers_go_and_authors_stay() -> None:
    method = (
        "NDSI > 0.4 (Hall et al. 1995, doi:10.1016/0034-4257(95)00137-P); "
        "split (Otsu 1979, doi:10.1109/TSMC.1979.4310076)"
    )
    assert without_doi(method) == "NDSI > 0.4 (Hall et al. 1995); split (Otsu 1979)"
