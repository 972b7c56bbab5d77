"""When a scene was taken: from metadata, tags and file names. Never guessed.

Times are UTC. A name that gives only a year or a month keeps that precision.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

TimePrecision = Literal["second", "day", "month", "year"]

FIRST_YEAR, LAST_YEAR = 1970, 2069

# Keys that products and libraries use, best first; compared without case and separators.
_TAG_KEYS = (
    "acquisitiondatetime",
    "datatakesensingstart",
    "sensingtime",
    "productstarttime",
    "starttime",
    "datetime",
    "acquisitiontime",
    "acquisitiondate",
    "timecoveragestart",
    "sensingdate",
    "dateacquired",
    "acquired",
    "rangebeginningdate",
    "date",
    "time",
)

_YEAR = r"(?P<y>19[7-9]\d|20[0-6]\d)"
_MONTH = r"(?P<m>0[1-9]|1[0-2])"
_DAY = r"(?P<d>0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?P<H>[01]\d|2[0-3]):?(?P<M>[0-5]\d):?(?P<S>[0-5]\d)?"
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?<!\d){_YEAR}[-_:.]?{_MONTH}[-_:.]?{_DAY}[t _]{_CLOCK}(?![0-9])",
        rf"(?<!\d){_YEAR}(?P<sep>[-_.:]?){_MONTH}(?P=sep){_DAY}(?!\d)",
        # Landsat of before 2012 and MODIS, HLS: year and day of the year.
        rf"(?<![0-9])(?:lc8|le7|lt5|lo8)\d{{6}}{_YEAR}(?P<j>[0-3]\d\d)[a-z]{{3}}",
        rf"(?<![a-z0-9])a{_YEAR}(?P<j>[0-3]\d\d)(?!\d)",
        rf"(?<=\.){_YEAR}(?P<j>[0-3]\d\d)t{_CLOCK}",
        rf"(?:l71|l5)\d{{6}}_\d{{3}}{_YEAR}{_MONTH}{_DAY}(?!\d)",
    )
)
IMPRECISE = "The file name gives only"
_MONTH_ONLY = re.compile(rf"(?<![a-z0-9]){_YEAR}[-_.]{_MONTH}(?![0-9])", re.IGNORECASE)
_YEAR_ONLY = re.compile(rf"(?<![a-z0-9]){_YEAR}(?![a-z0-9])", re.IGNORECASE)
# The time in the old Sentinel-2 granule names is that of processing.
_PROCESSING_TIME = re.compile(r"s2[ab]_oper_msi_l1c_tl_[a-z0-9]{3}__\d{8}t\d{6}", re.IGNORECASE)


@dataclass(frozen=True)
class Acquisition:
    """A time, how much of it was stated, and where it comes from."""

    time: datetime | None
    precision: TimePrecision | None
    warning: str | None = None


def as_utc(time: datetime) -> datetime:
    """Time without a zone is taken as UTC, as satellite products state it."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def parse_time(text: str) -> Acquisition | None:
    """Find a date in a text: ISO 8601 first, then the patterns of product names."""
    try:
        stated = datetime.fromisoformat(text.strip())
    except ValueError:
        pass
    else:
        if FIRST_YEAR <= stated.year <= LAST_YEAR:
            precise = len(text.strip()) > 10
            return Acquisition(as_utc(stated), "second" if precise else "day")
    found = [
        (match.start(), _from_match(match))
        for pattern in _PATTERNS
        for match in pattern.finditer(text)
    ]
    times = [(start, time) for start, time in found if time is not None]
    # Products name the acquisition before the processing, and the clock time with the date.
    return min(times, key=lambda item: item[0])[1] if times else None


def _from_match(match: re.Match[str]) -> Acquisition | None:
    parts = match.groupdict()
    year = int(parts["y"])
    try:
        if parts.get("j"):
            day = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=int(parts["j"]) - 1)
            if day.year != year:
                return None
        else:
            day = datetime(year, int(parts["m"]), int(parts["d"]), tzinfo=UTC)
    except ValueError:
        return None
    if not parts.get("H"):
        return Acquisition(day, "day")
    hour, minute, second = int(parts["H"]), int(parts["M"]), int(parts["S"] or 0)
    return Acquisition(day.replace(hour=hour, minute=minute, second=second), "second")


def find_time(
    metadata: Mapping[str, str],
    tags: Mapping[str, str],
    names: Iterable[str],
    texts: Iterable[str] = (),
) -> Acquisition:
    """Find the acquisition time of a scene.

    Args:
        metadata: Facts of the product's own metadata file.
        tags: Of the raster file.
        names: File and folder names without suffix, the most specific first.
        texts: Other texts in the file that may carry a product identifier, such as band
        descriptions.

    Returns:
        The time; without one, `time` is None. A warning says where the source is weak.
    """
    names = list(names)
    processed = any(_PROCESSING_TIME.search(name) for name in names)
    usable = [text for text in (*names, *texts) if not _PROCESSING_TIME.search(text)]
    named = next((found for found in map(parse_time, usable) if found is not None), None)
    tagged = _in_tags(metadata) or _in_netcdf(tags) or _in_tags(tags)
    if tagged is not None and named is not None and named.precision == "second":
        # A tag with the day only and a name with the clock time too: the same acquisition, better
        # stated.
        return named if tagged.precision == "day" and _same_day(tagged, named) else tagged
    if tagged is not None or named is not None:
        return tagged or named or Acquisition(None, None)
    stamp = parse_time(tags.get("TIFFTAG_DATETIME", ""))
    if stamp is not None:
        note = "date taken from the TIFF date tag, which may be the date of processing"
        return Acquisition(stamp.time, stamp.precision, note)
    if processed:
        note = "the file names state the time of processing, not of acquisition; say the date"
        return Acquisition(None, None, note)
    return _coarse(names)


def _same_day(one: Acquisition, other: Acquisition) -> bool:
    return one.time is not None and other.time is not None and one.time.date() == other.time.date()


def _in_netcdf(tags: Mapping[str, str]) -> Acquisition | None:
    """The one step of a time axis: a count of units since a date."""
    units = re.match(r"(days|hours|minutes|seconds) since (.+)", tags.get("time#units", ""))
    origin = parse_time(units[2]) if units else None
    try:
        count = float(tags.get("NETCDF_DIM_time", ""))
    except ValueError:
        return None
    if units is None or origin is None or origin.time is None:
        return None
    time = origin.time + timedelta(**{units[1]: count})
    return Acquisition(time, "day" if units[1] == "days" and count.is_integer() else "second")


def _in_tags(tags: Mapping[str, str]) -> Acquisition | None:
    plain = {
        re.sub(r"[^a-z]", "", re.split("[:#]", key)[-1].casefold()): text
        for key, text in tags.items()
    }
    for key in _TAG_KEYS:
        found = parse_time(plain[key]) if key in plain else None
        if found is not None:
            return found
    return None


def _coarse(names: Iterable[str]) -> Acquisition:
    for name in names:
        month = _MONTH_ONLY.search(name)
        if month:
            start = datetime(int(month["y"]), int(month["m"]), 1, tzinfo=UTC)
            note = f"{IMPRECISE} the month {start:%Y-%m}; say the date if it matters."
            return Acquisition(start, "month", note)
        year = _YEAR_ONLY.search(name.replace("_", " "))
        # A number of a later year counts images, such as SeaLake_2036.
        if year and int(year["y"]) <= datetime.now(UTC).year:
            start = datetime(int(year["y"]), 1, 1, tzinfo=UTC)
            note = f"{IMPRECISE} the year {year['y']}; say the date if it matters."
            return Acquisition(start, "year", note)
    return Acquisition(None, None)
