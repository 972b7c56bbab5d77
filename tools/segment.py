"""`segment`: where a target is, how much of it there is, and what hid the rest."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.scene import Scene
from terralogue.tools import rules
from terralogue.tools.baselines import UNSEEN, YES
from terralogue.tools.coarse_scene import CoarseScene
from terralogue.tools.dense_graded import GradedModel
from terralogue.tools.export import GEOJSON, PNG, thinned
from terralogue.tools.grid import crop
from terralogue.tools.masks import Finding, find_target
from terralogue.tools.optical_sar import compare, other_kind
from terralogue.tools.overlay import PICTURE, Entry, colour_of, draw_overlay
from terralogue.tools.region import Placed, Region
from terralogue.tools.run import Run
from terralogue.tools.schemas import AreaUnit, Measurement, Segmentation
from terralogue.tools.specialist import TITLES, UNMEASURED
from terralogue.tools.vectors import outline, write_geojson
from terralogue.tools.wording import RAW, each_once, without_doi

_HIDDEN_COLOUR = "#ffffff"
# A mask that overlaps the truth by less than this is more wrong than right.
_HALF = 0.5
_WEAK = "This method agreed badly with the truth where it was measured (IoU {iou:.2f} on {how})."
_HIDDEN = 254  # only in the picture: inside the region, but not observed


def segment(
    scene: Scene,
    target: str,
    *,
    run: Run,
    region: Region | None = None,
    reference: Scene | None = None,
    unit: AreaUnit = "ha",
    model: str | None = None,
    minimum_area: float = 0.0,
    quick: bool = False,
) -> Segmentation:
    """Segment a target on a scene, by the best model of SPECIALISTS or by one asked for.

    Cloud and cloud shadow count as not observed (for the targets cloud and cloud_shadow they
    are what is looked for). The mask is uint8: 1 target, 0 not, 255 not observed or outside the
    region; it covers the bounding window of the region. A model with calibrated probabilities adds
    the ends of a 90 % interval of the area (`area_low`, `area_high`), and its mean probability of
    what was decided at the observed pixels as confidence.

    Args:
        scene: what to look at.
        target: a key of TITLES.
        run: workspace, progress, executor.
        region: where to look; None is everywhere.
        reference: an earlier scene of the same place; flood is then told from permanent water,
            and a burn from what was dark before. Or, for a radar scene an optical one and the
            other way round: the target is then measured by both, and their agreement reported.
        unit: of the areas.
        model: name of a model, to use it instead of the best one.
        minimum_area: patches of the target smaller than this are left out of the mask and of all
            figures; in `unit`, or in pixels where the scene is not tied to the ground.
        quick: a first look at coarse pixels, which takes seconds on a large scene.

    Raises:
        InputError: unknown target or model, a minimum area below 0, or no valid pixel.
        RegionError: the region lies outside the scene.
        ClarifyError: the sensor has to be known first.
        MissingBandError: the scene lacks a band.
        RefusalError: the target cannot be told from the rest in this scene.
        NoOverlapError: the reference shows other ground.
    """
    other = reference if other_kind(scene, reference) else None
    earlier = reference if other is None else None
    found = find_target(
        scene,
        target,
        run=run,
        region=region,
        reference=earlier,
        unit=unit,
        model=model,
        minimum_area=minimum_area,
        quick=quick,
    )
    scene, placed, built = found.scene, found.placed, found.model
    name = found.choice.specialist.name
    title = _title(target, found.reference)
    method = f"{name}: {built.method}{found.note}"
    measurements = found.tally.measurements(
        label=title, method=without_doi(method), unit=unit, artefact=found.artefact.id
    )
    if isinstance(built, GradedModel) and built.area_factors is not None:
        measurements[1:1] = found.expectation.interval(measurements[0], built.area_factors, unit)
    outlines = outline(found.mask)
    vectors = run.artefact(
        "polygons", f"{title}: outlines", f"{Path(scene.name).stem}-{target}.geojson", GEOJSON
    )
    properties = {"target": target, "scene": scene.name, "method": name}
    write_geojson(vectors.path, outlines, crop(scene, placed.window), properties)
    picture = run.artefact(
        "preview", f"{title} over the scene", f"{Path(scene.name).stem}-{target}.png", PNG
    )
    draw_overlay(
        picture.path,
        scene,
        placed.window,
        _shown(found.mask, placed),
        _legend(target, title, measurements),
        title=f"{title} in {scene.name}{_when(scene)}",
        note=without_doi(method),
    )
    artefacts = [found.artefact, vectors.commit(), picture.commit()]
    warnings = _warnings(found, target, earlier, outlines.warnings)
    if other is not None:
        twice = compare(found, other, target, unit=unit, run=run)
        method += f"; on {other.name}, {twice.method}"
        measurements += twice.measurements
        artefacts += twice.artefacts
        warnings = each_once([*warnings, *twice.warnings])
    quick_title = f"{title} (quick look)" if isinstance(scene, CoarseScene) else title
    return Segmentation(
        tool="segment",
        scenes=list(run.scene_ids),
        title=quick_title,
        method=method,
        why=found.choice.why,
        measurements=measurements,
        confidence=found.expectation.confidence,
        artefacts=artefacts,
        warnings=warnings,
        target=target,
        model=name,
        threshold=built.threshold,
        polygons=len(outlines.polygons),
    )


def _when(scene: Scene) -> str:
    return f", {scene.date}" if scene.date else ""


def _title(target: str, reference: Scene | None) -> str:
    if reference is not None and target in ("water", "flooded_area"):
        return "Flooded area"
    return "Water" if target == "flooded_area" else TITLES[target]


def _shown(mask: NDArray[np.uint8], placed: Placed) -> NDArray[np.uint8]:
    """The mask at the size of the picture, with what was hidden inside the region."""
    step = max(1.0, max(mask.shape) / PICTURE)
    shape = (max(1, round(mask.shape[0] / step)), max(1, round(mask.shape[1] / step)))
    small = thinned(mask, shape)
    inside = placed.thinned(shape)
    hidden = inside & (small == UNSEEN)
    return np.where(hidden, _HIDDEN, np.where(small == YES, YES, 0)).astype(np.uint8)


def _legend(target: str, title: str, measurements: list[Measurement]) -> list[Entry]:
    """The lines below the picture."""
    by_name = {each.name: each for each in measurements}
    main, hidden = measurements[0], measurements[-1]
    share = by_name["share"].value
    entries = [
        Entry(YES, colour_of(target), f"{title}: {amount(main)}, {share:.3g} % of what was seen")
    ]
    if hidden.value > 0:
        text = f"Hidden by cloud, or no data: {amount(hidden)}"
        entries.append(Entry(_HIDDEN, _HIDDEN_COLOUR, text, hatched=True))
    return entries


def amount(measurement: Measurement) -> str:
    """A value with its unit, to four significant digits."""
    symbols = {"km2": "km²", "m2": "m²", "acre": "acres", "px": "pixels"}
    value = measurement.value
    digits = 0 if value == 0 else max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 4)}f} {symbols.get(measurement.unit, measurement.unit)}"


def _warnings(found: Finding, target: str, reference: Scene | None, others: list[str]) -> list[str]:
    """Everything that has to be said, each once."""
    scene, specialist = found.scene, found.choice.specialist
    score = specialist.scores.get(scene.sensor.key if scene.sensor else "")
    weak = [_WEAK.format(iou=score.iou, how=score.how)] if score and score.iou < _HALF else []
    said = [*weak, *scene.warnings, *found.warnings, *others, *specialist.cautions]
    if rules.FROM_SCENE in said and not scene.calibrated:
        raw = f"{scene.name} holds {RAW}: no published threshold applies, so one was taken "
        said[said.index(rules.FROM_SCENE)] = raw + "from the scene itself."
    if score is None:
        said.append(f"{specialist.name}: {UNMEASURED}.")
    if target == "flooded_area" and reference is None:
        said.append(
            "All water is shown, permanent water too; give a scene from before the flood as "
            "reference to tell them apart."
        )
    if reference is not None and not specialist.reference:
        said.append(
            f"The reference scene was not used: {specialist.name} looks at one date; "
            "detect_change compares two."
        )
    return each_once(said)
