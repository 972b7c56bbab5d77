"""The trend of a few values over time: Theil-Sen slope with its interval, and its significance."""

from __future__ import annotations

import calendar
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

METHOD = (
    "Theil-Sen slope (Sen 1968, doi:10.1080/01621459.1968.10480934), its 95 % interval, and the p "
    "of Kendall's tau of value against time, which is the Mann-Kendall test (Mann 1945, "
    "doi:10.2307/1907187)"
)


@dataclass(frozen=True)
class Trend:
    """A straight line through values over time.

    Attributes:
        slope: Change per year.
        low: Lower end of the 95 % interval of the slope; None where there are too few values.
        high: Upper end.
        p: Of no trend; None where all values are the same.
        line: The line at each time.
    """

    slope: float
    low: float | None
    high: float | None
    p: float | None
    line: tuple[float, ...]


def decimal_year(moment: datetime) -> float:
    """A time as a fraction of years, such as 2020.5."""
    days = 366 if calendar.isleap(moment.year) else 365
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second
    return moment.year + (moment.timetuple().tm_yday - 1 + seconds / 86400) / days


def fit_trend(years: Sequence[float], values: Sequence[float]) -> Trend:
    """Fit a trend to at least three values at different times (decimal years)."""
    from scipy import stats  # half a second to load: only when a series is asked for

    time, value = np.asarray(years, np.float64), np.asarray(values, np.float64)
    slope, intercept, low, high = (float(v) for v in stats.theilslopes(value, time, alpha=0.95))
    with warnings.catch_warnings():
        # Constant values have no rank correlation; scipy warns and gives NaN.
        warnings.simplefilter("ignore")
        p = float(stats.kendalltau(time, value).pvalue)
    # The ranks of the interval lie outside those of the slopes where there are too few values.
    known = math.isfinite(low) and math.isfinite(high) and len(time) > 3
    return Trend(
        slope,
        low if known else None,
        high if known else None,
        p if math.isfinite(p) else None,
        tuple(float(v) for v in intercept + slope * time),
    )
