"""`time_series`: one figure for each date, its trend, a table and a plot."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import shapely
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from terralogue.datasets.acquisition import IMPRECISE
from terralogue.datasets.errors import (
    ClarifyError,
    InputError,
    NoOverlapError,
    RefusalError,
)
from terralogue.datasets.scene import Scene
from terralogue.tools.baselines import UNSEEN, YES
from terralogue.tools.checks import time_text
from terralogue.tools.common_grid import footprint_on
from terralogue.tools.edges import cover, part
from terralogue.tools.export import CSV, PNG
from terralogue.tools.figures import save_series
from terralogue.tools.formulas import find_index, formula_for
from terralogue.tools.grid import ground_crs, why_no_ground
from terralogue.tools.indices import cautions, measure_index
from terralogue.tools.measure import Tally
from terralogue.tools.region import Region, place
from terralogue.tools.run import Run
from terralogue.tools.schemas import Artefact, Measurement, SeriesPoint, TimeSeries
from terralogue.tools.series_season import DAYS, Season, same_season
from terralogue.tools.series_season import METHOD as SEASON_METHOD
from terralogue.tools.specialist import TITLES, Job
from terralogue.tools.specialists import choose
from terralogue.tools.tiling import tiles
from terralogue.tools.trend import METHOD, Trend, decimal_year, fit_trend
from terralogue.tools.view import View, look
from terralogue.tools.wording import each_once

FEWEST = 3
# Below this share seen, an area of a target is clearly too small.
_MOSTLY_SEEN = 95.0
_SIGNIFICANT = 0.05


class _Value(NamedTuple):
    value: float
    seen: float
    method: str
    warnings: list[str]


class _Quantity(NamedTuple):
    """What is measured on each date."""

    title: str
    unit: str
    method: str
    measure: Callable[[View, Run], _Value]


def time_series(
    scenes: Sequence[Scene], quantity: str, *, run: Run, region: Region | None = None
) -> TimeSeries:
    """Follow an index or a target over three or more dates: values, trend, table and plot.

    Every scene is measured on its own pixels, inside the region and the ground that all scenes
    show. The slope is per year. The latest date is also set against the same season of earlier
    years, which says whether it is unusual.

    Args:
        scenes: Of the same place, in any order; at least three dates.
        quantity: An index (its mean), such as NDVI; or a target, such as water: its area in
            hectares, or with "water share" its share of what was seen, in percent.
        run: Where results go.
        region: Only this part.

    Raises:
        ClarifyError: the date of a scene is not known, or more dates are needed.
        NoOverlapError: there is no ground that all scenes show.
        InputError: the quantity is neither an index nor a target.
        RefusalError: the scenes cannot be laid on each other, or lack a band.
    """
    _require_dates(scenes)
    order = sorted(range(len(scenes)), key=lambda number: _moment(scenes[number]))
    ordered = [scenes[number] for number in order]
    ids = [run.scene_ids[number] for number in order] if run.scene_ids else []
    what = _quantity(quantity, ordered)
    shared = common_region(ordered, region)
    warnings: list[str] = []
    values: list[_Value] = []
    for number, scene in enumerate(ordered):
        run.progress(0, None, f"Measuring {time_text(scene)}")
        view = look(scene, shared, run)
        found = what.measure(view, run)
        warnings += [text for text in view.warnings if not text.startswith(IMPRECISE)]
        warnings += found.warnings
        values.append(found)
        run.progress(number + 1, len(ordered), f"Measured {time_text(scene)}")
    years = [decimal_year(_moment(scene)) for scene in ordered]
    trend = fit_trend(years, [each.value for each in values])
    warnings += _about(ordered, what, values, trend)
    season, said = _season(ordered, values)
    warnings += said
    points = [
        SeriesPoint(
            scene=ids[number] if ids else scene.name,
            time=time_text(scene) or "",
            value=values[number].value,
            observed_share=values[number].seen,
        )
        for number, scene in enumerate(ordered)
    ]
    table, plot = _files(ordered, points, values, trend, what, run)
    return TimeSeries(
        tool="time_series",
        scenes=list(run.scene_ids),
        title=f"{what.title} from {points[0].time[:10]} to {points[-1].time[:10]}",
        method=f"{what.method}{_models(values)}; {METHOD}",
        why="the quantity that was asked for, on the ground that all scenes show",
        measurements=_figures(points, trend, what, table.id) + _unusual(season, what, table.id),
        artefacts=[table, plot],
        warnings=each_once(warnings),
        quantity=what.title,
        points=points,
    )


def common_region(scenes: Sequence[Scene], region: Region | None) -> Region | None:
    """The part of a region (None: of everything) that all scenes show.

    Raises:
        NoOverlapError: there is none.
        RefusalError: the scenes cannot be laid on each other.
        RegionError: the region lies outside the first scene.
    """
    first = scenes[0]
    bare = [scene for scene in scenes if why_no_ground(scene) is not None]
    if bare:
        sizes = {(scene.width, scene.height) for scene in scenes}
        if len(bare) == len(scenes) and len(sizes) == 1:
            return region
        raise RefusalError(
            f"{bare[0].name} cannot be laid on the other scenes, because "
            f"{why_no_ground(bare[0])}; use georeferenced scenes, or pictures of one size.",
            reason="georeference",
        )
    placed = place(region, first)
    shared: BaseGeometry = placed.outline or box(0, 0, first.width, first.height)
    whole = shared
    for scene in scenes[1:]:
        shared = shared.intersection(footprint_on(scene, first))
        if shared.area < 0.5:
            raise NoOverlapError(
                f"{first.name} and {scene.name} show no ground in common"
                + (" inside the region" if region else "")
                + "; choose scenes of one place."
            )
    if region is None and shared.area > whole.area * (1 - 1e-6):
        same = {(scene.width, scene.height, str(scene.crs), scene.transform) for scene in scenes}
        if len(same) == 1:
            return None
    a, b, c, d, e, f = first.transform[:6]
    moved = shapely.transform(
        shared, lambda points: points @ np.array([[a, d], [b, e]]) + np.array([c, f])
    )
    return Region(moved, ground_crs(first))


def _require_dates(scenes: Sequence[Scene]) -> None:
    """A trend needs dates, three at least."""
    undated = [scene.name for scene in scenes if scene.time is None]
    if undated:
        raise ClarifyError(
            f"When was {undated[0]} taken? A series needs the date of every scene"
            + (f" ({len(undated)} have none)." if len(undated) > 1 else "."),
            slot="time",
        )
    if len({_moment(scene) for scene in scenes}) < FEWEST:
        raise ClarifyError(
            f"A trend needs at least {FEWEST} dates and there are "
            f"{len({_moment(scene) for scene in scenes})}; which further scenes shall be used? "
            "(For two dates, compare them with detect_change.)",
            slot="second_scene",
        )


def _moment(scene: Scene) -> datetime:
    """The time of a scene; the middle of the year or month where only that is known."""
    assert scene.time is not None
    half = {"year": timedelta(days=182), "month": timedelta(days=15)}
    return scene.time.replace(tzinfo=None) + half.get(scene.time_precision or "", timedelta(0))


def _quantity(text: str, scenes: Sequence[Scene]) -> _Quantity:
    """What a quantity asks for: a target, with or without "share" or "area", or an index."""
    words = text.strip().lower().replace("_", " ").split()
    kind = words[-1] if len(words) > 1 and words[-1] in ("share", "area") else ""
    target = "_".join(words[:-1] if kind and "_".join(words) not in TITLES else words)
    if target in TITLES:
        ground = all(why_no_ground(scene) is None for scene in scenes)
        return _target(target, share=kind == "share" or not ground)
    try:
        name = find_index(text)
    except InputError as error:
        raise InputError(
            f"{str(error).rstrip('.')}. A series may also follow a target: {', '.join(TITLES)}."
        ) from None
    formula = formula_for(scenes[0], name)

    def measure(view: View, run: Run) -> _Value:
        own = formula_for(view.scene, name)
        summary, tally = measure_index(view, own, run)
        _require_seen(tally, view.scene)
        seen = tally.share("observed", of="region")
        return _Value(summary.mean, seen, own.method, cautions(view.scene, own))

    return _Quantity(f"{name} mean", "1", f"mean of {formula.method}", measure)


def _target(target: str, *, share: bool) -> _Quantity:
    def measure(view: View, run: Run) -> _Value:
        choice = choose(view.scene, target)
        job = Job(view.scene, view.clouds, target)
        model, whole = choice.specialist.build(job), view.window
        tally = Tally(view.scene, ("region", "observed", "target"))
        codes = np.empty((int(whole.height), int(whole.width)), np.uint8)
        edges = cover(model, job, whole, codes, run.executor, run.progress)
        for tile in tiles(whole):
            inside, clear = view.masks(tile.core)
            found = codes[part(tile.core, whole)]
            seen = (inside if target.startswith("cloud") else clear) & (found != UNSEEN)
            tally.add(tile.core, region=inside, observed=seen, target=seen & (found == YES))
        _require_seen(tally, view.scene)
        how = f"{choice.specialist.name}: {model.method}{edges}"
        said = [*model.warnings, *choice.specialist.cautions]
        value = tally.share("target") if share else tally.square_metres["target"] / 1e4
        return _Value(value, tally.share("observed", of="region"), how, said)

    title = f"{TITLES[target]} {'share' if share else 'area'}"
    how = "by the models of segment, " + ("share of what was seen" if share else "geodesic area")
    return _Quantity(title, "%" if share else "ha", f"{TITLES[target]} {how}", measure)


def _models(values: Sequence[_Value]) -> str:
    """The models of a target, where `method` does not say them; thresholds are in the table."""
    names = dict.fromkeys(each.method.split(":")[0] for each in values if ":" in each.method)
    return f" ({', '.join(names)}; thresholds in the table)" if names else ""


def _require_seen(tally: Tally, scene: Scene) -> None:
    if not tally.pixels["observed"]:
        raise InputError(
            f"{scene.name} has no valid pixel here: all are missing, no-data or clouded; leave "
            "that date out."
        )


def _about(
    scenes: Sequence[Scene], what: _Quantity, values: Sequence[_Value], trend: Trend
) -> list[str]:
    """What makes a series less comparable than it looks."""
    said = []
    sensors = {scene.sensor.title for scene in scenes if scene.sensor}
    if len(sensors) > 1:
        said.append(
            f"The dates come from different sensors ({', '.join(sorted(sensors))}): part of a "
            "trend may be theirs."
        )
    if not all(scene.calibrated for scene in scenes):
        said.append(
            "Some dates hold uncalibrated digital numbers: part of a trend may come from light, "
            "air and processing rather than from the ground."
        )
    months = {scene.time.month for scene in scenes if scene.time}
    precise = all(scene.time_precision != "year" for scene in scenes)
    if any(scene.time_precision in ("year", "month") for scene in scenes):
        said.append("Only the year or month of some dates is known; say the dates if they matter.")
    if precise and len(months) > 1 and not _one_season(sorted(months)):
        said.append("The dates are of different seasons: part of a trend may be the season's.")
    if trend.p is None or trend.p > _SIGNIFICANT:
        chance = "" if trend.p is None else f" (p = {trend.p:.2g})"
        said.append(f"No trend can be told from chance on {len(values)} dates{chance}.")
    poorly = [value for value in values if value.seen < _MOSTLY_SEEN]
    if what.unit == "ha" and poorly:
        said.append(
            f"On {len(poorly)} date(s) less than {_MOSTLY_SEEN:g} % was seen, so the area is too "
            "small there; the share of what was seen may serve better."
        )
    return said


def _one_season(months: Sequence[int]) -> bool:
    """Whether all months lie within three of each other, around the year."""
    gaps = [later - earlier for earlier, later in itertools.pairwise(months)]
    return 12 - max([*gaps, 12 - months[-1] + months[0]]) <= 2


def _figures(
    points: Sequence[SeriesPoint], trend: Trend, what: _Quantity, table: str
) -> list[Measurement]:
    """Slope with its interval, significance, first and last value."""
    rate = "per year" if what.unit == "1" else f"{what.unit} per year"
    found = [
        ("slope", trend.slope, rate, "Trend"),
        ("slope_low", trend.low, rate, "Trend, lower end of the 95 % interval"),
        ("slope_high", trend.high, rate, "Trend, upper end of the 95 % interval"),
        ("p_value", trend.p, "1", "Chance of such an order without a trend (Mann-Kendall p)"),
        ("first", points[0].value, what.unit, f"{what.title}, {points[0].time[:10]}"),
        ("last", points[-1].value, what.unit, f"{what.title}, {points[-1].time[:10]}"),
        ("observed_share", min(p.observed_share for p in points), "%", "Least seen on a date"),
    ]
    return [
        Measurement(
            name=name,
            value=value,
            unit=unit,
            method=METHOD if name.startswith(("slope", "p_")) else what.method,
            artefact=table,
            label=label,
        )
        for name, value, unit, label in found
        if value is not None
    ]


def _season(scenes: Sequence[Scene], values: Sequence[_Value]) -> tuple[Season | None, list[str]]:
    """The latest date against its season in earlier years, or why that cannot be said."""
    if any(scene.time_precision == "year" for scene in scenes):
        return None, [
            "Whether the latest date is unusual for its season cannot be said, since only the year "
            "of some dates is known; say the dates if it matters."
        ]
    season = same_season([_moment(scene) for scene in scenes], [each.value for each in values])
    if season is None:
        return None, [
            "Whether the latest date is unusual for its season cannot be said: no scene of an "
            f"earlier year lies within {DAYS} days of its day of the year; add one."
        ]
    return season, []


def _unusual(season: Season | None, what: _Quantity, table: str) -> list[Measurement]:
    """How the latest value stands among those of its season."""
    if season is None:
        return []
    found = [
        ("season_difference", season.difference, what.unit, "Latest minus usual for the season"),
        ("season_median", season.median, what.unit, "Usual for the season (median)"),
        ("season_count", season.count, "dates", "Earlier dates of the same season"),
        ("season_rank", season.rank, "1", "Rank of the latest in its season (1 is the lowest)"),
        ("season_score", season.score, "standard deviations", "Latest from the season's mean"),
    ]
    return [
        Measurement(
            name=name, value=value, unit=unit, method=SEASON_METHOD, artefact=table, label=label
        )
        for name, value, unit, label in found
        if value is not None
    ]


def _files(
    scenes: Sequence[Scene],
    points: Sequence[SeriesPoint],
    values: Sequence[_Value],
    trend: Trend,
    what: _Quantity,
    run: Run,
) -> tuple[Artefact, Artefact]:
    """The table and the plot."""
    pending = run.artefact("table", f"{what.title} by date", "time-series.csv", CSV)
    _write_table(pending.path, points, values, trend, what.unit)
    table = pending.commit()
    figure = run.artefact("plot", f"{what.title} over time", "time-series.png", PNG)
    unit = "" if what.unit == "1" else f" ({what.unit})"
    chance = "" if trend.p is None else f", p = {trend.p:.2g}"
    rate = "per year" if what.unit == "1" else f"{what.unit} per year"
    save_series(
        figure.path,
        [_moment(scene) for scene in scenes],
        [point.value for point in points],
        trend.line,
        title=f"{what.title}, {points[0].time[:10]} to {points[-1].time[:10]}",
        label=f"{what.title}{unit}",
        caption=f"Trend {trend.slope:+.3g} {rate}{chance}",
    )
    return table, figure.commit()


def _write_table(
    path: Path,
    points: Sequence[SeriesPoint],
    values: Sequence[_Value],
    trend: Trend,
    unit: str,
) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["scene", "time", "value", "unit", "observed_share", "trend", "method"])
        for point, each, line in zip(points, values, trend.line, strict=True):
            share = f"{point.observed_share:.3f}"
            value = f"{point.value:.7g}"
            row = [point.scene, point.time, value, unit, share, f"{line:.7g}", each.method]
            table.writerow(row)
