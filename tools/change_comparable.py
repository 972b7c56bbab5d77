"""Whether two dates can be compared: season, sun and view angle.

The sun's place comes from the metadata (Landsat's MTL), else it is computed from time and place; of
Sentinel-2 and Landsat the hour is known even where only the day is stated, since both pass at a
fixed local time. A view angle shows in the orbit: a place seen from another track is seen from
another side.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Final, NamedTuple

from terralogue.datasets.metadata import metadata_of
from terralogue.datasets.scene import Scene
from terralogue.tools.pairs import seasons_apart

# Mean local solar time at the descending node, hours: ESA's Sentinel-2 handbook (10:30), USGS's
# Landsat missions (Landsat 8 and 9 10:12; earlier ones about 9:45).
_PASSES: Final = {
    "sentinel2_l1c": 10.5, "sentinel2_l2a": 10.5, "landsat8": 10.2, "landsat9": 10.2,
    "landsat7": 10.0, "landsat5": 9.75,
}  # fmt: skip
# Months, and degrees, from which a person should know: a sun 10 degrees lower than 40 makes shadows
# nearly half as long again.
SEASON_MONTHS: Final = 2
_ELEVATION: Final = 10.0
_AZIMUTH: Final = 25.0
_ORBIT: Final = re.compile(r"_R(\d{3})_T\d{2}[A-Z]{3}_")
_WRS: Final = re.compile(r"L[COTEM]0?\d_?[A-Z0-9]{0,4}_?(\d{3})(\d{3})", re.IGNORECASE)


class Sun(NamedTuple):
    """Where the sun stood, in degrees; `source` says how that is known."""

    elevation: float
    azimuth: float
    source: str


def comparability(first: Scene, second: Scene, *, seasonal: bool = True) -> list[str]:
    """What makes two dates differ though the ground did not, one sentence each.

    Args:
        first: a scene.
        second: another of the same place.
        seasonal: whether what is looked for changes with the season.
    """
    said = []
    months = seasons_apart(first, second)
    if seasonal and months is not None and months > SEASON_MONTHS:
        said.append(
            f"The scenes were taken at times of the year {months} months apart: part of the "
            "change may be the season's."
        )
    if all(any(band.kind == "optical" for band in scene.bands) for scene in (first, second)):
        said += _light(sun_of(first), sun_of(second))
    said += _view(first, second)
    return said


def _light(first: Sun | None, second: Sun | None) -> list[str]:
    if first is None or second is None:
        return []
    higher = abs(first.elevation - second.elevation)
    turned = abs((first.azimuth - second.azimuth + 180) % 360 - 180)
    if higher < _ELEVATION and turned < _AZIMUTH:
        return []
    source = "; ".join(dict.fromkeys((first.source, second.source)))
    return [
        f"The sun stood at {first.elevation:.0f} and {second.elevation:.0f} degrees above the "
        f"horizon, {turned:.0f} degrees apart in direction ({source}): shadows differ, and edges "
        "of buildings and woods may count as change."
    ]


def _view(first: Scene, second: Scene) -> list[str]:
    tracks = [track_of(scene) for scene in (first, second)]
    if None in tracks or tracks[0] == tracks[1]:
        return []
    return [
        f"The scenes were taken from different tracks ({tracks[0]} and {tracks[1]}), so at other "
        "view angles: tall things lean to other sides, and bright surfaces may differ."
    ]


def track_of(scene: Scene) -> str | None:
    """Relative orbit (Sentinel-2) or path (Landsat) by the names of the files; None if unknown."""
    for path in scene.paths:
        orbit = _ORBIT.search(path.as_posix())
        if orbit:
            return f"orbit {int(orbit[1])}"
        wrs = _WRS.search(path.name)
        if wrs and scene.sensor is not None and scene.sensor.key.startswith("landsat"):
            return f"path {int(wrs[1])}"
    return None


def sun_of(scene: Scene) -> Sun | None:
    """Where the sun stood over the middle of a scene; None where that cannot be known."""
    for path in scene.paths:
        facts = {}
        for file in sorted(path.parent.glob("*MTL.txt")):
            facts = metadata_of(file)
        if {"SUN_ELEVATION", "SUN_AZIMUTH"} <= set(facts):
            return Sun(float(facts["SUN_ELEVATION"]), float(facts["SUN_AZIMUTH"]), "metadata")
    bounds, time = scene.bounds_wgs84, scene.time
    if bounds is None or time is None or scene.time_precision not in ("second", "day"):
        return None
    west, south, east, north = bounds
    longitude, latitude = (west + east) / 2, (south + north) / 2
    if scene.time_precision == "second":
        hour = time.hour + time.minute / 60 + longitude / 15 + _equation_of_time(time) / 60
        found = Sun(*solar_position(latitude, time, hour), "computed from time and place")
        # A date may come as its midnight, but what the sun lit was not taken at night.
        if found.elevation > 0:
            return found
    key = scene.sensor.key if scene.sensor else ""
    if key not in _PASSES:
        return None
    source = "computed from date, place and the usual time of passing"
    return Sun(*solar_position(latitude, time, _PASSES[key]), source)


def solar_position(latitude: float, day: datetime, hour: float) -> tuple[float, float]:
    """Elevation and azimuth (from north by east) of the sun in degrees, within half a degree.

    Args:
        latitude: degrees north.
        day: of the year.
        hour: local solar time.

    By Spencer's series for the declination (Spencer 1971, Search 2(5), 172).
    """
    angle, up = _year(day), math.radians(latitude)
    declination = (
        0.006918 - 0.399912 * math.cos(angle) + 0.070257 * math.sin(angle)
        - 0.006758 * math.cos(2 * angle) + 0.000907 * math.sin(2 * angle)
        - 0.002697 * math.cos(3 * angle) + 0.00148 * math.sin(3 * angle)
    )  # fmt: skip
    turn = math.radians(15 * (hour - 12))
    height = math.sin(up) * math.sin(declination)
    height += math.cos(up) * math.cos(declination) * math.cos(turn)
    elevation = math.asin(max(-1.0, min(1.0, height)))
    east = -math.cos(declination) * math.sin(turn)
    north = math.sin(declination) * math.cos(up)
    north -= math.cos(declination) * math.sin(up) * math.cos(turn)
    return math.degrees(elevation), math.degrees(math.atan2(east, north)) % 360


def _equation_of_time(day: datetime) -> float:
    """Minutes by which the sun is ahead of the clock (Spencer 1971)."""
    angle = _year(day)
    return 229.18 * (
        0.000075 + 0.001868 * math.cos(angle) - 0.032077 * math.sin(angle)
        - 0.014615 * math.cos(2 * angle) - 0.040849 * math.sin(2 * angle)
    )  # fmt: skip


def _year(day: datetime) -> float:
    return 2 * math.pi * (day.timetuple().tm_yday - 1) / 365
