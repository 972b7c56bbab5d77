"""A click on one change of a pair finds the changes that are like it.

What changed is found as `detect_change` finds change of any kind. Each patch is then described by
how its bands moved, in standard deviations of what did not change, and patches whose bands moved
in the same direction as those of the clicked one are similar (the angle of change vector analysis,
Malila 1980; Bovolo and Bruzzone 2007, doi:10.1109/TGRS.2006.885408).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

from terralogue.datasets.errors import RefusalError
from terralogue.datasets.scene import Scene
from terralogue.tools.change import detect_change
from terralogue.tools.common_grid import OnGrid, common_frame
from terralogue.tools.export import GEOJSON, GEOTIFF, PNG, RasterWriter, thinned
from terralogue.tools.grid import Frame, Grid, ground_crs, whole
from terralogue.tools.measure import Tally
from terralogue.tools.overlay import PICTURE, Entry, draw_overlay, rgba
from terralogue.tools.pairs import in_order, land_bands
from terralogue.tools.run import Run
from terralogue.tools.schemas import AreaUnit, Artefact, Change, Measurement, PointSegmentation
from terralogue.tools.tiling import tiles
from terralogue.tools.vectors import Outlines, outline, write_geojson
from terralogue.tools.wording import each_once

CLICKED, SIMILAR, OTHER, UNSEEN = 1, 2, 3, 255
LIKE = 0.7
"""Cosine of two changes from which they are similar: the best F1 on three OSCD cities (0.55, all
that changed 0.63). On the other eleven the precision rises to 0.54 from the 0.52 of all that
changed, while F1 falls from 0.67 to 0.49: patches that are alike in their bands need not share the
cause. See `terralogue.tools.at_point_changes_scores`."""
_ALIKE = (
    "Similar means that the bands moved in the same direction; the cause may be another, so look "
    "at the patches before counting them as one kind."
)
# Pixels from the click in which a change is looked for.
_NEAR = 2
_EIGHT = np.ones((3, 3), np.bool_)
_COLOURS = {CLICKED: "#ffcc00", SIMILAR: "#ff2d78", OTHER: "#7a8ca0"}


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of change, and how the bands of each moved.

    Attributes:
        labels: int32 (H, W), 0 where nothing changed.
        moves: float64 (patches + 1, bands), mean change in standard deviations of what did not
            change; the first row is of no patch.
    """

    labels: NDArray[np.int32]
    moves: NDArray[np.float64]

    def likeness(self, patch: int) -> NDArray[np.float64]:
        """Cosine between the change of one patch and that of each: float64 (patches + 1,)."""
        length = np.maximum(np.linalg.norm(self.moves, axis=1), 1e-9)
        cosine: NDArray[np.float64] = (self.moves @ self.moves[patch]) / length / length[patch]
        return cosine


def similar_changes(
    scene: Scene, before: Scene, x: float, y: float, *, unit: AreaUnit, run: Run
) -> PointSegmentation:
    """Outline the change at a pixel of the scene, and all that are like it.

    The mask is uint8: 1 the change at the point, 2 similar, 3 other change, 255 not observed.

    Args:
        scene: what was clicked on.
        before: the other date.
        x: column in pixels of the scene.
        y: row.
        unit: of the areas.
        run: where results go.

    Raises:
        RefusalError: nothing changed at the point.
        EOError: as `detect_change` raises it.
    """
    with Run(run.store, run.scene_ids[::-1], run.progress, run.executor) as inner:
        change = detect_change(before, scene, run=inner, unit=unit)
        first, second, _ = in_order(before, scene)
        frame = common_frame(first, second)
        codes = _codes(change)
        patches = describe(codes, first, second, frame, change.shift)
        chosen = _at(patches.labels, scene, frame, x, y)
        like = (patches.likeness(chosen) >= LIKE)[patches.labels] & (patches.labels > 0)
        found = np.where(patches.labels > 0, OTHER, 0).astype(np.uint8)
        found[like] = SIMILAR
        found[patches.labels == chosen] = CLICKED
        found[codes == UNSEEN] = UNSEEN
        return _result(scene, frame, found, change, (x, y), unit, inner, run)


def describe(
    codes: NDArray[np.uint8],
    first: Scene,
    second: Scene,
    frame: Frame,
    shift: tuple[float, float],
) -> Patches:
    """Describe the patches of a change mask, tile by tile.

    Args:
        codes: uint8 (H, W) of the frame: 1 changed, 0 not, 255 not observed.
        first: the earlier scene.
        second: the later scene.
        frame: the grid of both.
        shift: rows and columns that the later scene is moved by.
    """
    labels, count = ndimage.label(codes == 1, _EIGHT)
    bands = land_bands(first, second)
    one, two = OnGrid(first, frame), OnGrid(second, frame, shift)
    sums, squares = np.zeros((count + 1, len(bands))), np.zeros(len(bands))
    pixels = np.zeros(count + 1)
    for tile in tiles(whole(frame)):
        moved = two.read(bands, tile.core) - one.read(bands, tile.core)
        part = tile.core.toslices()
        seen = np.isfinite(moved).all(axis=0) & (codes[part] != UNSEEN)
        own = labels[part][seen]
        pixels += np.bincount(own, minlength=count + 1)
        for number, band in enumerate(moved):
            values = band[seen].astype(np.float64)
            sums[:, number] += np.bincount(own, values, count + 1)
            squares[number] += (values[own == 0] ** 2).sum()
    means = sums / np.maximum(pixels, 1)[:, None]
    spread = np.sqrt(np.maximum(squares / max(pixels[0], 1) - means[0] ** 2, 1e-12))
    return Patches(np.asarray(labels, np.int32), (means - means[0]) / spread)


def _codes(change: Change) -> NDArray[np.uint8]:
    mask = next(each for each in change.artefacts if each.kind == "change")
    with rasterio.open(mask.path) as raster:
        codes: NDArray[np.uint8] = raster.read(1)
    return codes


def _at(labels: NDArray[np.int32], scene: Scene, frame: Frame, x: float, y: float) -> int:
    """The patch at a pixel of a scene, or else the largest that lies next to it."""
    column, row = (int(np.floor(value)) for value in _moved(scene, frame, x, y))
    if 0 <= row < frame.height and 0 <= column < frame.width:
        if own := int(labels[row, column]):
            return own
        near = labels[
            max(row - _NEAR, 0) : row + _NEAR + 1, max(column - _NEAR, 0) : column + _NEAR + 1
        ]
        if near.any():
            return int(np.bincount(near[near > 0]).argmax())
    raise RefusalError(
        f"Nothing changed at column {x:g}, row {y:g} of {scene.name}; click on one of the changes "
        "that detect_change shows.",
        reason="no_data",
    )


def _moved(source: Grid, target: Grid, x: float, y: float) -> tuple[float, float]:
    """A pixel position of one grid on another; both on the ground, or neither."""
    crs, other = ground_crs(source), ground_crs(target)
    if crs is None or other is None:
        return x, y
    to_other = pyproj.Transformer.from_crs(crs, other, always_xy=True)
    column, row = ~target.transform @ to_other.transform(*(source.transform @ (x, y)))
    return float(column), float(row)


def _result(
    scene: Scene,
    frame: Frame,
    found: NDArray[np.uint8],
    change: Change,
    point: tuple[float, float],
    unit: AreaUnit,
    inner: Run,
    run: Run,
) -> PointSegmentation:
    tally = Tally(frame, ("clicked", "similar", "changed"))
    clicked, similar = found == CLICKED, found == SIMILAR
    tally.add(
        whole(frame), clicked=clicked, similar=similar, changed=clicked | similar | (found == OTHER)
    )
    outlines = [outline(found, value) for value in (CLICKED, SIMILAR)]
    method = (
        f"{change.method}; similar where the cosine of the mean change of the bands is at least "
        f"{LIKE:g}"
    )
    artefacts = _files(scene, frame, found, outlines, point, inner)

    def area(of: str, called: str, label: str) -> Measurement:
        return tally.size(
            of, unit, called=called, label=label, method=method, artefact=artefacts[0].id
        )

    _, count = ndimage.label(similar, _EIGHT)
    return PointSegmentation(
        tool="segment_at_point",
        scenes=list(run.scene_ids),
        title=f"The change at column {point[0]:g}, row {point[1]:g}, and those like it",
        method=method,
        why="with two scenes a click stands for the change at it",
        measurements=[
            area("clicked", "area", "Change at the point"),
            Measurement(
                name="similar", value=count, unit="patches", method=method,
                artefact=artefacts[0].id, label="Similar changes",
            ),
            area("similar", "similar_area", "Similar changes"),
            area("changed", "changed_area", "All that changed"),
        ],
        artefacts=[*artefacts, *change.artefacts],
        warnings=each_once(
            [_ALIKE, *change.warnings, *outlines[0].warnings, *outlines[1].warnings]
        ),
        x=point[0],
        y=point[1],
        polygons=sum(len(each.polygons) for each in outlines),
    )  # fmt: skip


def _files(
    scene: Scene,
    frame: Frame,
    found: NDArray[np.uint8],
    outlines: list[Outlines],
    point: tuple[float, float],
    run: Run,
) -> list[Artefact]:
    """Mask, outlines of the change at the point and of those like it, and a picture."""
    pending = run.artefact("mask", "Similar changes: mask", "similar-changes.tif", GEOTIFF)
    colours = {value: rgba(colour) for value, colour in _COLOURS.items()}
    with RasterWriter(
        pending.path, frame, dtype="uint8", nodata=UNSEEN,
        bands=("0 unchanged, 1 at the point, 2 similar, 3 other change, 255 not observed",),
        colours={0: (0, 0, 0, 0), UNSEEN: (0, 0, 0, 0)} | colours,
    ) as writer:  # fmt: skip
        writer.write(found, Window(0, 0, frame.width, frame.height))
    vectors = run.artefact(
        "polygons", "Similar changes: outlines", "similar-changes.geojson", GEOJSON
    )
    both = Outlines(
        [polygon for each in outlines for polygon in each.polygons],
        max(each.min_pixels for each in outlines),
    )
    write_geojson(vectors.path, both, frame, {"column": point[0], "row": point[1]})
    picture = run.artefact("preview", "Similar changes over the scene", "similar-changes.png", PNG)
    _draw(picture.path, scene, frame, found, point)
    return [pending.commit(), vectors.commit(), picture.commit()]


def _draw(
    path: Path, scene: Scene, frame: Frame, found: NDArray[np.uint8], point: tuple[float, float]
) -> None:
    corners = [_moved(frame, scene, *corner) for corner in ((0, 0), (frame.width, frame.height))]
    (left, right), (top, bottom) = (sorted(map(round, pair)) for pair in zip(*corners, strict=True))
    left, top = max(left, 0), max(top, 0)
    window = Window(left, top, min(right, scene.width) - left, min(bottom, scene.height) - top)
    step = max(1.0, max(found.shape) / PICTURE)
    size = (max(1, round(found.shape[0] / step)), max(1, round(found.shape[1] / step)))
    small = thinned(found, size)
    texts = {CLICKED: "Change at the point", SIMILAR: "Similar", OTHER: "Other change"}
    draw_overlay(
        path, scene, window, np.where(small == UNSEEN, 0, small).astype(np.uint8),
        [Entry(value, _COLOURS[value], text) for value, text in texts.items()],
        title=f"Changes like that at column {point[0]:g}, row {point[1]:g}",
    )  # fmt: skip
