"""What else the hits of a search have to be: place, time and sensor, as a person writes them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date
from typing import Final

from terralogue.datasets.errors import InputError
from terralogue.datasets.sensors import SENSORS, get_sensor
from terralogue.tools.archive_rows import days_of
from terralogue.tools.vector_store import Box, Where

_DATE: Final = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_OPEN: Final = ("", "..")
_FIRST_DAY, _LAST_DAY = 101, 99991231


def where_of(
    bbox: Sequence[float] | None = None, period: str | None = None, sensor: str | None = None
) -> Where:
    """The condition that a search puts on its hits.

    Args:
        bbox: west, south, east, north in degrees; west > east over the antimeridian.
        period: 2020, 2020-07, 2020-07-04, or first and last such date with a slash between; ".."
            leaves an end open.
        sensor: key or alias in SENSORS, or what the keys of a family begin with.

    Raises:
        InputError: one of them cannot be read.
    """
    return Where(
        bbox=None if bbox is None else _box(bbox),
        days=None if period is None else _days(period),
        sensors=None if sensor is None else _sensors(sensor),
    )


def _box(given: Sequence[float]) -> Box:
    numbers = [float(number) for number in given]
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise InputError("A bounding box has four numbers: west, south, east, north.")
    west, south, east, north = numbers
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90):
        raise InputError(
            f"The bounding box {west:g},{south:g},{east:g},{north:g} is not west, south, east, "
            "north in degrees."
        )
    return west, south, east, north


def _days(period: str) -> tuple[int, int]:
    first, slash, last = (part.strip() for part in period.partition("/"))
    start = _FIRST_DAY if first in _OPEN and slash else _day(first, period)[0]
    end = _LAST_DAY if last in _OPEN and slash else _day(last if slash else first, period)[1]
    if start > end:
        raise InputError(f"The period {period!r} ends before it begins; write FIRST/LAST.")
    return start, end


def _day(text: str, period: str) -> tuple[int, int]:
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        date.fromisoformat(text + "-01-01"[len(text) - 4 :])
    except ValueError:
        raise InputError(
            f"The period {period!r} cannot be read; write 2020, 2020-07, 2020-07-04, or two of "
            "them as FIRST/LAST."
        ) from None
    days = days_of(text)
    assert days is not None
    return days


def _sensors(sensor: str) -> tuple[str, ...]:
    family = tuple(key for key in SENSORS if key.startswith(sensor.strip().casefold()))
    return family or (get_sensor(sensor).key,)
