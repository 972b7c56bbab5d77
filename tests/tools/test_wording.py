"""A result in words."""

from __future__ import annotations

from terralogue.tools.schemas import Measurement, SeriesPoint, TimeSeries
from terralogue.tools.wording import in_words


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
