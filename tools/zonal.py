"""`zonal_statistics`: the numbers of every band, and of an index, inside a region."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.bands import Band
from terralogue.datasets.scene import Scene
from terralogue.tools.export import CSV
from terralogue.tools.formulas import Formula, formula_for
from terralogue.tools.indices import cautions, measure_index
from terralogue.tools.measure import Tally
from terralogue.tools.region import Region
from terralogue.tools.run import Run
from terralogue.tools.schemas import Measurement, ZonalStatistics
from terralogue.tools.summary import Summary
from terralogue.tools.tiling import Tile, stream, tiles
from terralogue.tools.view import View, look, observed, statistics
from terralogue.tools.wording import each_once

# Bands read together: each keeps its own histogram.
_TOGETHER = 16
# Bands whose every figure is told; of more, the table has them.
_TOLD = 16
_PERCENTILES = (5, 25, 50, 75, 95)
_COLUMNS = ("name", "unit", "pixels", "valid_share", "mean", "std", "minimum", "maximum")


def zonal_statistics(
    scene: Scene, region: Region | None = None, *, run: Run, index: str | None = None
) -> ZonalStatistics:
    """Statistics of every band inside a region (None: the whole scene), and of an index.

    Args:
        scene: The scene.
        region: Where to look.
        run: Where the table goes.
        index: Also this spectral index, such as NDVI.

    Raises:
        InputError: unknown index, or no valid pixel.
        RegionError: the region lies outside the scene.
        MissingBandError: the scene lacks a band of the index.
    """
    formula = formula_for(scene, index) if index else None
    view = look(scene, region, run)
    warnings = [*view.warnings, *_units(scene)]
    rows: list[tuple[str, str, Summary]] = []
    tally = Tally(scene, ("region", "observed"))
    for start in range(0, len(scene.bands), _TOGETHER):
        part = scene.bands[start : start + _TOGETHER]
        summaries, tally = _measure_bands(view, part, run)
        pairs = zip(part, summaries, strict=True)
        rows += [(band.name, _unit(scene, band), summary) for band, summary in pairs]
    figures: list[Measurement] = []
    if formula is not None:
        summary, tally = measure_index(view, formula, run)
        tally.require_observed()
        rows.insert(0, (formula.name, "1", summary))
        warnings += cautions(scene, formula)
    if not any(summary.count for _, _, summary in rows):
        tally.require_observed()
    pending = run.artefact("table", "Zonal statistics", "zonal-statistics.csv", CSV)
    pixels = tally.pixels["region"]
    _write(pending.path, rows, pixels)
    table = pending.commit()
    for name, unit, summary in rows[:_TOLD]:
        figures += _told(name, unit, summary, view, formula)
    figures.append(observed(_share(tally, rows), view.hidden_by))
    if len(rows) > _TOLD:
        warnings.append(f"The table has all {len(rows)} bands; {_TOLD} are told here.")
    return ZonalStatistics(
        tool="zonal_statistics",
        scenes=list(run.scene_ids),
        title=f"Statistics of {scene.name}" + (" inside the region" if region else ""),
        method=f"every pixel whose centre lies inside; {view.hidden_by}",
        measurements=[each.model_copy(update={"artefact": table.id}) for each in figures],
        artefacts=[table],
        warnings=each_once(warnings),
        pixels=pixels,
    )


def _measure_bands(view: View, bands: Sequence[Band], run: Run) -> tuple[list[Summary], Tally]:
    summaries = [Summary() for _ in bands]
    tally = Tally(view.scene, ("region", "observed"))
    names = [band.name for band in bands]

    def work(tile: Tile) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        data = view.scene.read(names, tile.core).data
        inside, clear = view.masks(tile.core)
        return np.where(clear, data, np.float32(np.nan)), inside

    for tile, (data, inside) in stream(
        work, tiles(view.window), run.executor, progress=run.progress, message="Reading bands"
    ):
        seen = np.isfinite(data)
        for summary, values, good in zip(summaries, data, seen, strict=True):
            summary.add(values[good])
        tally.add(tile.core, region=inside, observed=np.logical_or.reduce(seen))
    return summaries, tally


def _told(
    name: str, unit: str, summary: Summary, view: View, formula: Formula | None
) -> list[Measurement]:
    """Every figure of an index, and of a band what people ask for."""
    if formula is not None and name == formula.name:
        return statistics(summary, label=name, unit=unit, method=formula.method)
    method = f"band {name}; {view.hidden_by}"
    all_ = statistics(summary, label=name, unit=unit, method=method, prefix=f"{name}_")
    return [each for each in all_ if each.name.rsplit("_", 1)[-1] in ("mean", "median", "std")]


def _share(tally: Tally, rows: Sequence[tuple[str, str, Summary]]) -> float:
    """Percent seen of the region, by its area where that is known."""
    if not tally.pixels["region"]:
        return 0.0
    return tally.share("observed", of="region")


def _write(path: Path, rows: Sequence[tuple[str, str, Summary]], pixels: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream_:
        table = csv.writer(stream_)
        table.writerow([*_COLUMNS, *(f"p{percent}" for percent in _PERCENTILES)])
        for name, unit, summary in rows:
            share = 100.0 * summary.count / pixels if pixels else 0.0
            numbers: list[float] = []
            if summary.count:
                numbers = [summary.mean, summary.std, summary.minimum, summary.maximum]
                numbers += [summary.percentile(percent) for percent in _PERCENTILES]
            cells = [f"{number:.7g}" for number in numbers]
            table.writerow([name, unit, summary.count, f"{share:.3f}", *cells])


def _unit(scene: Scene, band: Band) -> str:
    if band.kind == "thermal" and scene.calibrated:
        return "K"
    return {"reflectance": "1"}.get(scene.unit, scene.unit)


def _units(scene: Scene) -> list[str]:
    if scene.unit == "dB":
        return ["Means are of decibels, not of backscatter power."]
    if not scene.calibrated:
        return ["Band values are uncalibrated digital numbers."]
    return []
