"""`segment`: where a target is, how much of it there is, and what hid the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import Scene
from terralogue.tools import rules
from terralogue.tools.baselines import UNSEEN, YES, Model
from terralogue.tools.clouds import CloudScreen, screen
from terralogue.tools.common_grid import OnGrid, common_frame
from terralogue.tools.coregister import estimate_shift
from terralogue.tools.dense_graded import Expectation, GradedModel, pieces
from terralogue.tools.export import GEOJSON, GEOTIFF, PNG, RasterWriter, thinned
from terralogue.tools.grid import Frame, crop, whole
from terralogue.tools.measure import Tally
from terralogue.tools.overlay import PICTURE, Entry, colour_of, draw_overlay, rgba
from terralogue.tools.region import Placed, Region, place
from terralogue.tools.run import Run
from terralogue.tools.schemas import AreaUnit, Artefact, Measurement, Segmentation
from terralogue.tools.specialists import TITLES, UNMEASURED, Choice, Job, choose
from terralogue.tools.vectors import outline, write_geojson
from terralogue.tools.wording import RAW, each_once, without_doi

_SCREENED = ("cloud", "cloud_shadow")
_HIDDEN_COLOUR = "#ffffff"
_WORTH_MOVING = 0.25  # pixels; less is not worth the blur
_HIDDEN = 254  # only in the picture: inside the region, but not observed


class _Found(NamedTuple):
    mask: NDArray[np.uint8]
    tally: Tally
    artefact: Artefact
    expectation: Expectation


def segment(
    scene: Scene,
    target: str,
    *,
    run: Run,
    region: Region | None = None,
    reference: Scene | None = None,
    unit: AreaUnit = "ha",
    model: str | None = None,
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
            and a burn from what was dark before.
        unit: of the areas.
        model: name of a model, to use it instead of the best one.

    Raises:
        InputError: unknown target or model, or no valid pixel.
        RegionError: the region lies outside the scene.
        ClarifyError: the sensor has to be known first.
        MissingBandError: the scene lacks a band.
        RefusalError: the target cannot be told from the rest in this scene.
        NoOverlapError: the reference shows other ground.
    """
    if target not in TITLES:
        choose(scene, target)
    placed = place(region, scene)
    choice = choose(scene, target, reference, model=model)
    used = reference if choice.specialist.reference else None
    clouds = screen(scene, run.executor, run.progress, window=placed.window)
    _require_pixels(scene, placed)
    built, before = _build(scene, target, choice, clouds, used, run)
    found = _measure(scene, target, placed, built, clouds, run)
    title = _title(target, used)
    measurements = found.tally.measurements(
        label=title,
        method=f"{choice.specialist.name}: {without_doi(built.method)}",
        unit=unit,
        artefact=found.artefact.id,
    )
    if isinstance(built, GradedModel) and built.area_factors is not None:
        measurements[1:1] = found.expectation.interval(measurements[0], built.area_factors, unit)
    outlines = outline(found.mask)
    vectors = run.artefact(
        "polygons", f"{title}: outlines", f"{Path(scene.name).stem}-{target}.geojson", GEOJSON
    )
    frame = crop(scene, placed.window)
    properties = {"target": target, "scene": scene.name, "method": choice.specialist.name}
    write_geojson(vectors.path, outlines, frame, properties)
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
        note=f"{choice.specialist.name}: {without_doi(built.method)}",
    )
    return Segmentation(
        tool="segment",
        scenes=list(run.scene_ids),
        title=title,
        method=f"{choice.specialist.name}: {built.method}",
        why=choice.why,
        measurements=measurements,
        confidence=found.expectation.confidence,
        artefacts=[found.artefact, vectors.commit(), picture.commit()],
        warnings=_warnings(
            scene,
            target,
            choice,
            reference,
            [
                *placed.warnings,
                *found.tally.warnings,
                *clouds.warnings,
                *before,
                *built.warnings,
                *outlines.warnings,
            ],
        ),
        target=target,
        model=choice.specialist.name,
        threshold=built.threshold,
        polygons=len(outlines.polygons),
    )


def _when(scene: Scene) -> str:
    return f", {scene.date}" if scene.date else ""


def _title(target: str, reference: Scene | None) -> str:
    if reference is not None and target in ("water", "flooded_area"):
        return "Flooded area"
    return "Water" if target == "flooded_area" else TITLES[target]


def _require_pixels(scene: Scene, placed: Placed) -> None:
    """Refuse a scene without any pixel before a threshold is sought in it."""
    step = max(1.0, max(placed.window.width, placed.window.height) / 1024)
    shape = (
        max(1, round(placed.window.height / step)),
        max(1, round(placed.window.width / step)),
    )
    seen = (
        np.isfinite(scene.read([band.name], placed.window, shape).data).any()
        for band in scene.bands
    )
    if not any(seen):
        raise InputError(
            f"{scene.name} has no valid pixel here: all are missing or no-data; choose another "
            "scene or region."
        )


def _build(
    scene: Scene,
    target: str,
    choice: Choice,
    clouds: CloudScreen,
    reference: Scene | None,
    run: Run,
) -> tuple[Model, list[str]]:
    """The model for this scene, and what is to be said of the reference."""
    if reference is None:
        return choice.specialist.build(Job(scene, clouds, target)), []
    common_frame(scene, reference)
    frame = crop(scene, whole(scene))
    shift, said = _shift(scene, reference, frame, choice.specialist.bands[0])
    grid = OnGrid(reference, frame, shift)
    earlier = screen(reference, run.executor, run.progress)
    said += earlier.warnings
    if scene.time and reference.time and reference.time > scene.time:
        said.append("The reference scene is the later one; what it shows is taken for before.")

    def read(bands: Sequence[str], window: Window) -> NDArray[np.float32]:
        data = grid.read(bands, window)
        if earlier.method is not None:
            data[:, grid.read_mask(earlier.hidden, window)] = np.nan
        return data

    job = Job(scene, clouds, target, reference_scene=reference, reference=read)
    return choice.specialist.build(job), said


def _shift(
    scene: Scene, reference: Scene, frame: Frame, band: str
) -> tuple[tuple[float, float], list[str]]:
    """By how many rows and columns the reference is to be moved, and what to say about it."""
    other = OnGrid(reference, frame)
    found = estimate_shift(
        frame,
        lambda window: scene.read([band], window).data[0],
        lambda window: other.read([band], window)[0],
    )
    if not found.reliable:
        return (0.0, 0.0), [
            "Whether the reference lies exactly on the scene could not be checked; thin strips "
            "along edges may come from misregistration."
        ]
    if found.length < _WORTH_MOVING:
        return (0.0, 0.0), []
    moved = f"The reference lay {found.length:.1f} pixels off the scene; it was moved back."
    return (found.rows, found.columns), [moved]


def _measure(
    scene: Scene,
    target: str,
    placed: Placed,
    model: Model,
    clouds: CloudScreen,
    run: Run,
) -> _Found:
    """Run the model over the region, window by window, into the mask file and the tally."""
    frame = crop(scene, placed.window)
    shape = (frame.height, frame.width)
    mask = np.full(shape, UNSEEN, dtype=np.uint8)
    tally = Tally(scene, ("region", "observed", "target"))
    expectation = Expectation(scene)
    title = TITLES[target]
    pending = run.artefact(
        "mask", f"{title}: mask", f"{Path(scene.name).stem}-{target}.tif", GEOTIFF
    )
    colours = {0: (0, 0, 0, 0), YES: rgba(colour_of(target)), UNSEEN: (0, 0, 0, 0)}
    tags = {"TERRALOGUE_TARGET": target, "TERRALOGUE_METHOD": model.method}
    with RasterWriter(
        pending.path,
        frame,
        dtype="uint8",
        nodata=UNSEEN,
        bands=(f"{target}: 1 yes, 0 no, 255 not observed",),
        colours=colours,
        tags=tags,
    ) as writer:
        for window, found, probability in pieces(model, placed.window, run.executor, run.progress):
            inside = placed.mask(window)
            observed = inside & (found != UNSEEN)
            if target not in _SCREENED:
                observed &= ~clouds.hidden(window)
            hit = observed & (found == YES)
            tally.add(window, region=inside, observed=observed, target=hit)
            if probability is not None:
                expectation.add(window, probability, observed, hit)
            local = Window(
                window.col_off - placed.window.col_off,
                window.row_off - placed.window.row_off,
                window.width,
                window.height,
            )
            part = np.where(observed, hit, UNSEEN).astype(np.uint8)
            mask[local.toslices()] = part
            writer.write(part, local)
        tally.require_observed()
    return _Found(mask, tally, pending.commit(), expectation)


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


def _warnings(
    scene: Scene, target: str, choice: Choice, reference: Scene | None, others: list[str]
) -> list[str]:
    """Everything that has to be said, each once."""
    specialist = choice.specialist
    said = [*scene.warnings, *others, *specialist.cautions]
    if rules.FROM_SCENE in said and not scene.calibrated:
        raw = f"{scene.name} holds {RAW}: no published threshold applies, so one was taken "
        said[said.index(rules.FROM_SCENE)] = raw + "from the scene itself."
    if scene.sensor is None or scene.sensor.key not in specialist.scores:
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
