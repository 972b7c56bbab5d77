"""`compute_index`: a spectral index as a raster, a picture and statistics."""

from __future__ import annotations

import math

import numpy as np
import rasterio
import spyndex
from numpy.typing import NDArray

from terralogue.datasets.scene import Scene
from terralogue.tools.export import GEOTIFF, PNG, RasterWriter, quiet
from terralogue.tools.figures import save_map
from terralogue.tools.formulas import Formula, formula_for
from terralogue.tools.measure import Tally
from terralogue.tools.ninths import Ninths, Part
from terralogue.tools.region import Region
from terralogue.tools.run import Run
from terralogue.tools.schemas import Artefact, IndexResult, Measurement
from terralogue.tools.spectral import CORRECTED
from terralogue.tools.summary import Summary
from terralogue.tools.tiling import Tile, stream, tiles
from terralogue.tools.view import View, look, observed, statistics
from terralogue.tools.wording import each_once

_PREVIEW = 1000
_COLOURS = {
    "vegetation": "RdYlGn", "kernel": "RdYlGn", "burn": "RdYlGn", "water": "RdBu",
    "snow": "RdBu", "soil": "YlOrBr", "urban": "PuOr_r", "radar": "viridis",
}  # fmt: skip


def compute_index(
    scene: Scene, index: str, *, run: Run, region: Region | None = None
) -> IndexResult:
    """Compute a spectral index (NDVI, MNDWI, NBR, EVI, … 278 in all): raster, map and statistics.

    Pixels outside the region, without data, or under cloud or cloud shadow (where clouds can be
    screened) are left out of the raster and of every figure.

    Args:
        scene: The scene.
        index: Short name of the Awesome Spectral Indices list, such as NDVI; case is ignored.
        run: Where results go.
        region: Only this part of the scene.

    Raises:
        InputError: unknown index, or no valid pixel.
        MissingBandError: the scene lacks a band of the formula.
        ClarifyError: the sensor of the scene is not known.
        RefusalError: the formula needs reflectance, and the scene holds raw numbers.
        RegionError: the region lies outside the scene.
    """
    formula = formula_for(scene, index)
    view = look(scene, region, run)
    parts = Ninths(view.window)
    pending = run.artefact("index", formula.name, f"{formula.name.lower()}.tif", GEOTIFF)
    with RasterWriter(
        pending.path,
        view.frame,
        dtype="float32",
        nodata=math.nan,
        bands=(formula.name,),
        tags={"FORMULA": formula.method, "REFERENCE": formula.reference},
    ) as raster:
        summary, tally = measure_index(view, formula, run, raster, parts)
    tally.require_observed()
    written = pending.commit()
    how = f"{formula.method}; {view.hidden_by}"
    figures = statistics(summary, label=formula.name, unit="1", method=how)
    figures += _in_parts(formula.name, parts.lowest, parts.highest)
    figures.append(observed(tally.share("observed", of="region"), view.hidden_by))
    return IndexResult(
        tool="compute_index",
        scenes=list(run.scene_ids),
        title=f"{formula.name}, {formula.title}",
        method=how,
        why="the index that was asked for",
        measurements=[each.model_copy(update={"artefact": written.id}) for each in figures],
        artefacts=[written, _map(written, formula, summary, scene, run)],
        warnings=each_once([*view.warnings, *cautions(scene, formula)]),
        index=formula.name,
        formula=formula.text,
        reference=formula.reference,
        lowest_in=parts.lowest.name if parts.lowest else None,
        highest_in=parts.highest.name if parts.highest else None,
    )


def _in_parts(index: str, lowest: Part | None, highest: Part | None) -> list[Measurement]:
    """The means of the lowest and the highest of nine parts."""
    ends = (("lowest", lowest), ("highest", highest))
    return [
        Measurement(
            name=f"{end}_part", value=part.mean, unit="1",
            method="means of three by three equal parts, each of which a quarter or more was seen",
            label=f"{index} mean of the {end} part ({part.name})",
        )
        for end, part in ends
        if part is not None
    ]  # fmt: skip


def measure_index(
    view: View,
    formula: Formula,
    run: Run,
    raster: RasterWriter | None = None,
    parts: Ninths | None = None,
) -> tuple[Summary, Tally]:
    """Statistics of an index over a view, and what was seen of it; raster and parts if given."""
    summary, tally = Summary(), Tally(view.scene, ("region", "observed"))
    left, top = int(view.window.col_off), int(view.window.row_off)

    def work(tile: Tile) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        values = formula.values(view.scene.read(formula.bands, tile.core).data)
        inside, clear = view.masks(tile.core)
        return np.where(clear, values, np.float32(np.nan)), inside

    message = f"Computing {formula.name}"
    pieces = tiles(view.window)
    for tile, (values, inside) in stream(
        work, pieces, run.executor, progress=run.progress, message=message
    ):
        seen = np.isfinite(values)
        summary.add(values[seen])
        tally.add(tile.core, region=inside, observed=seen)
        if parts is not None:
            parts.add(tile.core, values)
        if raster is not None:
            core = tile.core
            raster.write(
                values,
                type(core)(core.col_off - left, core.row_off - top, core.width, core.height),
            )
    return summary, tally


def cautions(scene: Scene, formula: Formula) -> list[str]:
    """What has to be said about an index of raw numbers, and about a formula put right."""
    said = []
    if formula.name in CORRECTED:
        said.append(
            f"{formula.name} is computed as its paper has it; the list of indices prints a wrong "
            "sign in it."
        )
    if scene.calibrated or scene.unit == "dB":
        return said
    return [
        *said,
        f"{formula.name} was computed on uncalibrated digital numbers: compare places within the "
        "scene, not its values with published ones or with other scenes.",
    ]


def _map(raster: Artefact, formula: Formula, summary: Summary, scene: Scene, run: Run) -> Artefact:
    with quiet(), rasterio.open(raster.path) as source:
        factor = max(1.0, max(source.width, source.height) / _PREVIEW)
        shape = (max(1, round(source.height / factor)), max(1, round(source.width / factor)))
        values = source.read(1, out_shape=shape, masked=True).filled(np.nan)
    pending = run.artefact("preview", f"{formula.name} map", "preview.png", PNG)
    domain = str(spyndex.indices[formula.name].application_domain)
    save_map(
        pending.path,
        values,
        title=f"{formula.name} · {scene.name}",
        label=f"{formula.name} {formula.note}".strip(),
        colours=_COLOURS.get(domain, "viridis"),
        limits=(summary.percentile(2), summary.percentile(98)),
    )
    return pending.commit()
