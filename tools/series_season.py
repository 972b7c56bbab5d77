"""Is the latest date of a series unusual? Against the same season of earlier years.

season = same_season(moments, values)
season.difference, season.rank, season.count, season.score
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

DAYS = 45
"""Days before and after the day of the year that count as the same season."""
METHOD = f"the latest date against those of earlier years within {DAYS} days of its day of the year"
# A spread of fewer values says nothing.
_FEWEST_FOR_SCORE = 3
_YEAR = 365.2425


@dataclass(frozen=True)
class Season:
    """The latest value among those of its season in earlier years.

    Attributes:
        count: Earlier values of the season.
        median: Of them.
        difference: Latest value minus the median.
        rank: Place of the latest value among all of the season, 1 is the lowest; of equal values
            the lowest place.
        score: Standard deviations (of the earlier values, n - 1) from their mean; None for fewer
            than three earlier values, or equal ones.
    """

    count: int
    median: float
    difference: float
    rank: int
    score: float | None


def same_season(moments: Sequence[datetime], values: Sequence[float]) -> Season | None:
    """Compare the last value with those of the same season in earlier years.

    Args:
        moments: Of acquisition, ascending, at least to the month.
        values: One for each.

    Returns:
        None where no earlier year has a date in this season.
    """
    latest, now = moments[-1], values[-1]
    earlier = [
        value
        for moment, value in zip(moments[:-1], values[:-1], strict=True)
        if _years_before(moment, latest) and _off_season(moment, latest) <= DAYS
    ]
    if not earlier:
        return None
    median = statistics.median(earlier)
    spread = statistics.stdev(earlier) if len(earlier) >= _FEWEST_FOR_SCORE else 0.0
    return Season(
        count=len(earlier),
        median=median,
        difference=now - median,
        rank=1 + sum(value < now for value in earlier),
        score=(now - statistics.fmean(earlier)) / spread if spread else None,
    )


def _days(moment: datetime, latest: datetime) -> float:
    return (latest - moment).total_seconds() / 86400


def _years_before(moment: datetime, latest: datetime) -> int:
    """Whole years between two times, to the nearest."""
    return round(_days(moment, latest) / _YEAR)


def _off_season(moment: datetime, latest: datetime) -> float:
    """Days between the times of the year of two moments."""
    return abs(_days(moment, latest) - _YEAR * _years_before(moment, latest))
