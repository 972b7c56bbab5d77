"""What a person hands over with a question: checked and brought to one form. Opens no raster."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terralogue.datasets.errors import InputError, RegionError

SceneSource = str | Path | Sequence[str | Path]
"""A file or folder, or a list of files, that is one scene."""
RegionSource = str | Path | Mapping[str, Any] | Sequence[float]
"""A GeoJSON file or object, or west, south, east, north (also as text)."""
DateSource = str | datetime.date | Sequence[str | datetime.date]
"""One date, or one for each scene."""
WHOLE = "all"
"""As a region: the whole scene again."""


@dataclass(frozen=True)
class Request:
    """One question, or none, and what came with it.

    Attributes:
        question: None to go on with what was cut short.
        scenes: source, sensor and date of each.
        region: GeoJSON.
        all_regions: a region given before ends.
        point: column and row.
        dry_run: stop after the plan.
    """

    question: str | None
    scenes: tuple[tuple[SceneSource, str | None, str | None], ...]
    region: dict[str, Any] | None
    all_regions: bool
    point: tuple[float, float] | None
    dry_run: bool


def read_request(
    question: str | None,
    scenes: SceneSource | Sequence[SceneSource],
    region: RegionSource | None,
    point: tuple[float, float] | None,
    sensor: str | Sequence[str] | None,
    date: DateSource | None,
    dry_run: bool,
) -> Request:
    """Check what `ChatSession.ask` was given.

    Raises:
        InputError: an empty question, or sensors or dates that do not match the scenes.
        RegionError: the region cannot be read.
    """
    if question is not None and not question.strip():
        raise InputError("The question is empty; say what you want to know (-q).")
    sources: Sequence[SceneSource] = [scenes] if isinstance(scenes, str | Path) else list(scenes)
    sensors = _each(sensor, len(sources), "sensor", one_for_all=True)
    dates = _each(date, len(sources), "date", one_for_all=False)
    whole = region == WHOLE
    return Request(
        question=question.strip() if question else None,
        scenes=tuple(zip(sources, sensors, dates, strict=True)),
        region=None if whole or region is None else read_region(region),
        all_regions=whole,
        point=point,
        dry_run=dry_run,
    )


def _each(
    given: str | datetime.date | Sequence[str | datetime.date] | None,
    count: int,
    name: str,
    *,
    one_for_all: bool,
) -> list[str | None]:
    """One value for each scene."""
    if given is None:
        return [None] * count
    values = [given] if isinstance(given, str | datetime.date) else list(given)
    texts = [
        value.isoformat() if isinstance(value, datetime.date) else str(value) for value in values
    ]
    if len(texts) == 1 and one_for_all and count:
        texts *= count
    if len(texts) != count:
        many = "one for all scenes or one for each" if one_for_all else "one for each scene"
        raise InputError(
            f"--{name} was given {len(texts)} times for {count} scenes; give {many}, "
            "in their order."
        )
    return list(texts)


def read_region(region: RegionSource) -> dict[str, Any]:
    """A region as GeoJSON.

    Args:
        region: a GeoJSON file or object, or west, south, east, north (also as text "W,S,E,N"):
            degrees, or pixels (x right, y down) where the scene has no CRS.

    Raises:
        RegionError: it is none of these.
    """
    if isinstance(region, Mapping):
        return dict(region)
    if isinstance(region, Path) or (isinstance(region, str) and not _numbers(region)):
        return _read_file(Path(region))
    box = _numbers(region) if isinstance(region, str) else [float(part) for part in region]
    if box is None or len(box) != 4:
        raise RegionError(
            f"The region {region!r} is no bounding box; write west,south,east,north, "
            "or name a GeoJSON file."
        )
    west, south, east, north = box
    if west >= east or south >= north:
        raise RegionError(
            f"The region {region!r} is empty; write west,south,east,north, "
            "each smaller than its opposite."
        )
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def _numbers(text: str) -> list[float] | None:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise RegionError(
            f"The region file {path} cannot be read ({error.strerror}); name a GeoJSON file, "
            "or write west,south,east,north."
        ) from error
    except ValueError as error:
        raise RegionError(f"The region file {path} is not JSON; name a GeoJSON file.") from error
    if not isinstance(content, dict):
        raise RegionError(f"The region file {path} holds no GeoJSON object.")
    return content
