"""`segment_at_point`: the outline of the thing that was clicked on."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.errors import RefusalError, RegionError
from terralogue.datasets.scene import Scene
from terralogue.tools.at_point_changes import similar_changes
from terralogue.tools.at_point_choice import load_chooser
from terralogue.tools.at_point_window import Outlined, outline_at
from terralogue.tools.export import GEOJSON, GEOTIFF, PNG, RasterWriter
from terralogue.tools.grid import crop
from terralogue.tools.measure import Tally
from terralogue.tools.open_vocabulary_scene import outline_by_model
from terralogue.tools.overlay import Entry, draw_overlay, rgba
from terralogue.tools.run import Run
from terralogue.tools.schemas import AreaUnit, Artefact, PointSegmentation
from terralogue.tools.vectors import Outlines, outline, write_geojson
from terralogue.tools.wording import each_once

METHOD = (
    "regions grown from the click by colour, hue, features of the image tower and up to edges, one "
    "chosen by its expected overlap (a perceptron trained on buildings and fields)"
)
_COLOUR = "#ffcc00"
# Pixels around the thing that the mask and the picture show too, and what they have at least.
_MARGIN, _LEAST = 0.5, 48
# Square metres; smaller things are told in them.
_SMALL = 1000.0
# Below this probability an outline is said to be unsure.
_UNSURE = 0.5


def segment_at_point(
    scene: Scene,
    x: float,
    y: float,
    *,
    run: Run,
    before: Scene | None = None,
    unit: AreaUnit | None = None,
    model: str | None = None,
) -> PointSegmentation:
    """Outline the thing at a point: a roof, a field, a pond.

    With an earlier scene of the same place it is the change at the point that is outlined, with
    all changes that are similar to it. The mask is uint8: 1 the thing, 0 not.

    Args:
        scene: What was clicked on; of two dates the later one.
        x: Column in pixels of the scene, from its left edge.
        y: Row in pixels of the scene, from its top.
        run: Where results go.
        before: An earlier scene of the same place, to find changes like the one at the point.
        unit: Of the areas; None is hectares, and square metres for a thing of less than a tenth of
            one.
        model: `hf:…` for a published model that outlines what is clicked; None for our own.

    Raises:
        RegionError: the point lies outside the scene.
        InputError: no data at the point.
        RefusalError: nothing there stands out, nothing changed there, or the bands are not known.
        NoOverlapError: the two scenes do not show the same ground.
    """
    if not (math.isfinite(x) and math.isfinite(y) and _inside(scene, x, y)):
        raise RegionError(
            f"The point {x:g}, {y:g} lies outside {scene.name}, which has {scene.width} columns "
            f"and {scene.height} rows; give the column and row of one of its pixels."
        )
    if before is not None:
        return similar_changes(scene, before, x, y, unit=unit or "ha", run=run)
    found = outline_at(scene, x, y, load_chooser()) if model is None else _asked(scene, x, y, model)
    method = METHOD if model is None else f"{model}, prompted with the click (not calibrated)"
    mask, window = _shown(found, scene)
    tally = Tally(scene, ("thing",))
    tally.add(window, thing=mask)
    outlines = outline(mask.view(np.uint8))
    artefacts = _files(scene, mask, window, outlines, (x, y), run)
    given: AreaUnit = "m2" if tally.square_metres["thing"] < _SMALL else "ha"
    size = tally.size(
        "thing", unit or given, called="area", label="Outlined thing", method=method,
        artefact=artefacts[0].id,
    )  # fmt: skip
    return PointSegmentation(
        tool="segment_at_point",
        scenes=list(run.scene_ids),
        title=f"The thing at column {x:g}, row {y:g}",
        method=method,
        why="a click says where the thing is, not what, so its outline is read off the picture",
        measurements=[size],
        artefacts=artefacts,
        warnings=each_once([*scene.warnings, *tally.warnings, *_about(found), *outlines.warnings]),
        confidence=found.probability if model is None else None,
        x=x,
        y=y,
        polygons=len(outlines.polygons),
    )


def _asked(scene: Scene, x: float, y: float, model: str) -> Outlined:
    """What a published model outlines; nothing is said of how sure it is."""
    seen = outline_by_model(scene, x, y, model)
    if not seen.mask.any():
        raise RefusalError(
            f"{model} outlines nothing at {x:g}, {y:g} of {scene.name}; click nearer to the middle "
            "of the thing.",
            reason="no_data",
        )
    return Outlined(seen.mask, seen.window, 1.0, seen.score, 1.0)


def _inside(scene: Scene, x: float, y: float) -> bool:
    return 0 <= x < scene.width and 0 <= y < scene.height


def _shown(found: Outlined, scene: Scene) -> tuple[NDArray[np.bool_], Window]:
    """The mask of the thing and a little around it, and the window of the scene that it covers."""
    rows, columns = np.nonzero(found.mask)
    top, left = int(rows.min() + found.window.row_off), int(columns.min() + found.window.col_off)
    bottom, right = (
        int(rows.max() + found.window.row_off),
        int(columns.max() + found.window.col_off),
    )
    pad = max(int(_MARGIN * max(bottom - top, right - left)), (_LEAST - bottom + top) // 2, 1)
    first_row, first_column = max(top - pad, 0), max(left - pad, 0)
    window = Window(
        first_column,
        first_row,
        min(right + pad + 1, scene.width) - first_column,
        min(bottom + pad + 1, scene.height) - first_row,
    )
    mask = np.zeros((window.height, window.width), np.bool_)
    mask[
        rows + int(found.window.row_off) - first_row,
        columns + int(found.window.col_off) - first_column,
    ] = True
    return mask, window


def _about(found: Outlined) -> list[str]:
    said = []
    if found.coarser > 1:
        said.append(
            f"The thing is large: it was outlined on pixels {found.coarser:.3g} times as wide as "
            "those of the scene, and its border is as coarse."
        )
    if found.probability < _UNSURE:
        said.append(
            f"The outline is unsure: by its looks it is right by half with a probability of "
            f"{found.probability:.2f}; check it in the picture, or click nearer to the middle."
        )
    return said


def _files(
    scene: Scene,
    mask: NDArray[np.bool_],
    window: Window,
    outlines: Outlines,
    point: tuple[float, float],
    run: Run,
) -> list[Artefact]:
    """Mask, outline and picture."""
    stem = f"{Path(scene.name).stem}-at-{point[0]:.0f}-{point[1]:.0f}"
    frame = crop(scene, window)
    codes = mask.astype(np.uint8)
    pending = run.artefact("mask", "Outlined thing: mask", f"{stem}.tif", GEOTIFF)
    with RasterWriter(
        pending.path, frame, dtype="uint8", nodata=None, bands=("1 the thing, 0 not",),
        colours={0: (0, 0, 0, 0), 1: rgba(_COLOUR)}, tags={"TERRALOGUE_METHOD": METHOD},
    ) as writer:  # fmt: skip
        writer.write(codes, Window(0, 0, frame.width, frame.height))
    vectors = run.artefact("polygons", "Outlined thing: outline", f"{stem}.geojson", GEOJSON)
    properties = {"scene": scene.name, "column": point[0], "row": point[1]}
    write_geojson(vectors.path, outlines, frame, properties)
    picture = run.artefact("preview", "Outlined thing over the scene", f"{stem}.png", PNG)
    draw_overlay(
        picture.path, scene, window, codes, [Entry(1, _COLOUR, "What was clicked on")],
        title=f"At column {point[0]:g}, row {point[1]:g} of {scene.name}",
    )  # fmt: skip
    return [pending.commit(), vectors.commit(), picture.commit()]
