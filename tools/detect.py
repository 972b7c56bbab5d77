"""`detect_objects`: how many things of a kind there are, and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyproj
from numpy.typing import NDArray
from rasterio.windows import Window
from shapely.geometry import box, mapping

from terralogue.datasets.scene import Scene
from terralogue.tools.clouds import CloudScreen, screen
from terralogue.tools.detect_calibrate import ClassFacts
from terralogue.tools.detect_finding import Boxes, facts_of, find_boxes, four, on_map
from terralogue.tools.detectors import THINGS, DetectorChoice, choose_detector
from terralogue.tools.export import GEOJSON, PNG
from terralogue.tools.grid import ground_crs
from terralogue.tools.measure import Tally, to_unit
from terralogue.tools.open_vocabulary_scene import detect_by_words
from terralogue.tools.overlay import PICTURE, Entry, draw_overlay
from terralogue.tools.region import Placed, Region, place
from terralogue.tools.run import Run
from terralogue.tools.schemas import Artefact, Detection, FoundObject, Measurement
from terralogue.tools.tiling import tiles
from terralogue.tools.vectors import to_lonlat
from terralogue.tools.wording import each_once
from terralogue.vlm.hf_hub import PROVIDER

_SHOWN: Final = 200
_COLOUR: Final = "#ffcc00"
_FRAME: Final = 1
_FRAME_WIDTH: Final = 2  # pixels of a picture of PICTURE pixels
_UNKNOWN_PIXEL: Final = (
    "The pixel size of {name} is unknown: things were looked for at the size that they mostly have "
    "in aerial pictures, and those much larger or smaller are missed."
)
_UNMEASURED: Final = (
    "How far the number is off is not known for {things}: too few were marked where this detector "
    "was measured. Check the boxes in the picture."
)


def detect_objects(
    scene: Scene,
    target: str,
    *,
    run: Run,
    region: Region | None = None,
    model: str | None = None,
) -> Detection:
    """Find and count things of a kind, each with a box and the probability that it is right.

    A thing belongs to a region where the middle of its box does. What cloud hides is not counted,
    and said.

    Args:
        scene: what to look at.
        target: what to look for, such as aircraft or ship.
        run: workspace, progress, executor.
        region: where to look; None is everywhere.
        model: name of a detector, or `hf:…` for one of things of any name, which `target` then
            names in words; None chooses the one made for such a scene.

    Raises:
        InputError: unknown target or model, or no valid pixel.
        RegionError: the region lies outside the scene.
        ClarifyError: the sensor has to be known first.
        MissingBandError: the scene lacks a band.
        RefusalError: pixels are too large to tell such things apart.
    """
    if model is not None and model.startswith(PROVIDER):
        return detect_by_words(scene, target, run=run, model=model, region=region)
    choice = choose_detector(scene, target, model)
    placed = place(region, scene)
    facts = facts_of(choice, target)
    clouds = screen(scene, run.executor, run.progress, window=placed.window)
    tally = _seen(scene, placed, clouds, choice.row.bands[0])
    tally.require_observed()
    every = find_boxes(scene, [target], choice, placed.window, run)[target]
    found = _observed(every, placed, clouds)
    counted = found.kept(found.scores >= facts.threshold)
    probabilities = facts.probability(counted.scores)
    vectors = _write_boxes(scene, target, choice, counted, probabilities, run)
    measurements = _measurements(target, choice, facts, found, counted, tally, vectors.id)
    return Detection(
        tool="detect_objects",
        scenes=list(run.scene_ids),
        title=THINGS[target],
        method=_method(choice, facts),
        why=choice.why,
        measurements=measurements,
        artefacts=[vectors, _draw(scene, placed, target, choice, counted, measurements, run)],
        warnings=each_once([*_warnings(scene, choice, placed, clouds), *_doubts(target, facts)]),
        confidence=_confidence(facts, probabilities),
        target=target,
        model=choice.row.name,
        threshold=facts.threshold,
        count=len(counted.scores),
        objects=[
            FoundObject(
                box=four(edges), map_box=on_map(scene, edges), probability=round(float(p), 3)
            )
            for edges, p in list(zip(counted.boxes, probabilities, strict=True))[:_SHOWN]
        ],
    )


def _confidence(facts: ClassFacts, probabilities: NDArray[np.float64]) -> float | None:
    """Mean probability of what was counted; None where that was not measured for the class."""
    known = len(probabilities) > 0 and not facts.borrowed
    return round(float(probabilities.mean()), 3) if known else None


def _method(choice: DetectorChoice, facts: ClassFacts) -> str:
    zoom = "" if choice.zoom == 1 else f", pixels times {1 / choice.zoom:.2g}"
    return f"{choice.row.name}: boxes with a score of {facts.threshold:.2f} or more{zoom}"


def _seen(scene: Scene, placed: Placed, clouds: CloudScreen, band: str) -> Tally:
    """How much of the region was seen."""
    tally = Tally(scene, ("region", "observed"))
    for tile in tiles(placed.window):
        inside = placed.mask(tile.core)
        seen = inside & scene.read([band], tile.core).valid & ~clouds.hidden(tile.core)
        tally.add(tile.core, region=inside, observed=seen)
    return tally


def _observed(found: Boxes, placed: Placed, clouds: CloudScreen) -> Boxes:
    """Boxes whose middle is inside the region and not hidden."""
    window = placed.window
    x = np.clip(found.middles[:, 0], window.col_off, window.col_off + window.width - 1)
    y = np.clip(found.middles[:, 1], window.row_off, window.row_off + window.height - 1)
    kept = np.zeros(len(found.scores), np.bool_)
    for i, (column, row) in enumerate(zip(x.astype(int), y.astype(int), strict=True)):
        pixel = Window(int(column), int(row), 1, 1)
        kept[i] = placed.mask(pixel)[0, 0] and not clouds.hidden(pixel)[0, 0]
    return found.kept(kept)


def _measurements(
    target: str,
    choice: DetectorChoice,
    facts: ClassFacts,
    found: Boxes,
    counted: Boxes,
    tally: Tally,
    artefact: str,
) -> list[Measurement]:
    things, method, count = THINGS[target], _method(choice, facts), len(counted.scores)
    rows = [("count", float(count), "1", method, things)]
    if not facts.borrowed:
        low, high = facts.interval(found.scores)
        spread = f"{choice.row.name}: 90 % interval from the calibrated probabilities of all boxes"
        rows += [
            ("count_low", float(low), "1", spread, f"{things}, at least"),
            ("count_high", float(high), "1", spread, f"{things}, at most"),
        ]
    if target == "tree" and not tally.no_area:
        hectares = to_unit(tally.square_metres["observed"], "ha")
        how = f"{method}; divided by the ground that was seen"
        rows.append(("density", count / hectares, "per ha", how, f"{things} per hectare"))
    counts = [
        Measurement(name=key, value=value, unit=unit, method=how, artefact=artefact, label=label)
        for key, value, unit, how, label in rows
    ]
    seen = Measurement(
        name="observed_share",
        value=tally.share("observed", of="region"),
        unit="%",
        method="all but pixels without data, or under cloud or cloud shadow",
        label="Seen, not hidden",
    )
    return [*counts, seen]


def _write_boxes(
    scene: Scene,
    target: str,
    choice: DetectorChoice,
    found: Boxes,
    probabilities: NDArray[np.float64],
    run: Run,
) -> Artefact:
    """Boxes as GeoJSON: degrees, or pixels where the scene has no CRS."""
    pending = run.artefact(
        "polygons", f"{THINGS[target]}: boxes", f"{Path(scene.name).stem}-{target}.geojson", GEOJSON
    )
    crs = ground_crs(scene)
    collection: dict[str, Any] = {"type": "FeatureCollection"}
    if crs is None:
        collection["coordinates_are"] = "pixels of the image: column to the right, row down"
    collection["features"] = [
        {
            "type": "Feature",
            "properties": {
                "target": target, "scene": scene.name, "method": choice.row.name,
                "score": round(float(score), 4), "probability": round(float(p), 4),
                "box": four(edges), "map_box": on_map(scene, edges),
            },
            "geometry": _geometry(scene, crs, edges),
        }
        for edges, score, p in zip(found.boxes, found.scores, probabilities, strict=True)
    ]  # fmt: skip
    pending.path.write_text(json.dumps(collection, separators=(",", ":")), encoding="utf-8")
    return pending.commit()


def _geometry(scene: Scene, crs: pyproj.CRS | None, edges: NDArray[np.float64]) -> dict[str, Any]:
    outline = box(*edges)
    geometry = outline if crs is None else to_lonlat(outline, scene.transform, crs)
    shape: dict[str, Any] = mapping(geometry)
    return shape


def _draw(
    scene: Scene,
    placed: Placed,
    target: str,
    choice: DetectorChoice,
    found: Boxes,
    measurements: list[Measurement],
    run: Run,
) -> Artefact:
    """Frames around what was found, over the scene."""
    pending = run.artefact(
        "preview", f"{THINGS[target]} over the scene", f"{Path(scene.name).stem}-{target}.png", PNG
    )
    window = placed.window
    scale = min(1.0, PICTURE / max(window.width, window.height))
    shape = (max(1, round(window.height * scale)), max(1, round(window.width * scale)))
    drawn = np.zeros(shape, np.uint8)
    width = max(1, round(_FRAME_WIDTH * max(shape) / PICTURE))
    offset = np.array([window.col_off, window.row_off] * 2)
    for left, top, right, bottom in (found.boxes - offset) * scale:
        rows = slice(max(0, int(top)), max(1, round(bottom)))
        columns = slice(max(0, int(left)), max(1, round(right)))
        edge = np.ones(drawn[rows, columns].shape, np.bool_)
        edge[width:-width, width:-width] = False
        drawn[rows, columns][edge] = _FRAME
    figures = {each.name: each.value for each in measurements}
    text = f"{THINGS[target]}: {figures['count']:.0f} found"
    if "count_low" in figures:
        text += f", probably {figures['count_low']:.0f} to {figures['count_high']:.0f}"
    draw_overlay(
        pending.path, scene, window, drawn, [Entry(_FRAME, _COLOUR, text)],
        title=f"{THINGS[target]} in {scene.name}{f', {scene.date}' if scene.date else ''}",
        note=measurements[0].method,
    )  # fmt: skip
    return pending.commit()


def _warnings(
    scene: Scene, choice: DetectorChoice, placed: Placed, clouds: CloudScreen
) -> list[str]:
    unknown = [_UNKNOWN_PIXEL.format(name=scene.name)] if scene.gsd is None else []
    # A picture for the eye is never screened; saying so each time would say nothing.
    hidden = clouds.warnings if choice.row.sensors else ()
    return [*scene.warnings, *unknown, *placed.warnings, *hidden, *choice.row.cautions]


def _doubts(target: str, facts: ClassFacts) -> list[str]:
    """Says that nobody knows how far a count is off, where that is so."""
    return [_UNMEASURED.format(things=THINGS[target].lower())] if facts.borrowed else []
