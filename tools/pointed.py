"""What an image-reading model pointed at, as files: its mask, its boxes and a picture of both.

    part_of(scene, geojson)                                     # its box of pixels, and warnings
    keep_pointed(store, scene_id, Pointed("white roof", "building", boxes, mask, "embedded"))

Nothing is measured here: boxes and mask are the model's, see `terralogue.vlm.vlm.Reading`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import Polygon, box

from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import Box
from terralogue.datasets.scene import Scene
from terralogue.tools.export import GEOJSON, GEOTIFF, PNG, RasterWriter, thinned
from terralogue.tools.grid import whole
from terralogue.tools.overlay import PICTURE, Entry, draw_overlay, rgba
from terralogue.tools.region import Region, place
from terralogue.tools.run import Run
from terralogue.tools.schemas import Artefact
from terralogue.tools.store import Store
from terralogue.tools.vectors import MIN_PIXELS, Outlines, write_geojson

_COLOUR, _BOX_COLOUR = "#ffcc00", "#ff3b30"
_IN, _FRAME = 1, 2
# Pixels of the picture.
_FRAME_WIDTH = 2


@dataclass(frozen=True, eq=False)
class Pointed:
    """What a model pointed at.

    Attributes:
        words: that it was asked to point at.
        label: class of what it found, or None.
        boxes: in pixels of the scene.
        mask: bool (H, W) on the grid of the scene, or None.
        method: the model, for the files.
    """

    words: str
    label: str | None
    boxes: tuple[Box, ...]
    mask: NDArray[np.bool_] | None
    method: str


def part_of(scene: Scene, region: Mapping[str, Any]) -> tuple[Box, tuple[str, ...]]:
    """The box of whole pixels around a region (GeoJSON), and what has to be said about it.

    Raises:
        RegionError: the region lies outside the scene, or its coordinates cannot be used with it.
    """
    placed = place(Region.parse(dict(region)), scene)
    window = placed.window
    right, bottom = window.col_off + window.width, window.row_off + window.height
    return Box(window.col_off, window.row_off, right, bottom), placed.warnings


def keep_pointed(store: Store, scene_id: str, pointed: Pointed) -> list[Artefact]:
    """Write the mask (COG), the boxes (GeoJSON; degrees, or pixels without a CRS) and a picture.

    Raises:
        InputError: the mask is not on the grid of the scene, or the workspace cannot be written.
    """
    with Run(store, (scene_id,)) as run:
        return _write(store.open(scene_id), pointed, run)


def _write(scene: Scene, pointed: Pointed, run: Run) -> list[Artefact]:
    name = f"{Path(scene.name).stem}-{_slug(pointed.words)}"
    title = pointed.words[:1].upper() + pointed.words[1:]
    written = []
    if pointed.mask is not None:
        written.append(_write_mask(scene, pointed.mask, pointed, name, run))
    vectors = run.artefact("polygons", f"{title}: boxes", f"{name}.geojson", GEOJSON)
    properties = {
        "words": pointed.words,
        "label": pointed.label,
        "scene": scene.name,
        "method": pointed.method,
    }
    write_geojson(vectors.path, Outlines(_frames(scene, pointed), MIN_PIXELS), scene, properties)
    picture = run.artefact("preview", f"{title} over the scene", f"{name}.png", PNG)
    entry = Entry(_IN, _COLOUR, f"{title}: {len(pointed.boxes)}")
    frame = Entry(_FRAME, _BOX_COLOUR, "Box around each")
    draw_overlay(
        picture.path, scene, whole(scene), _drawn(scene, pointed),
        [entry] if pointed.mask is None else [entry, frame],
        title=f"{title} in {scene.name}", note=f"Read off the picture by {pointed.method}.",
    )  # fmt: skip
    return [*written, vectors.commit(), picture.commit()]


def _slug(words: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in words.lower()).split())[:40]


def _frames(scene: Scene, pointed: Pointed) -> list[Polygon]:
    frame = box(0, 0, scene.width, scene.height)
    parts = [box(*each).intersection(frame) for each in pointed.boxes]
    return [part for part in parts if isinstance(part, Polygon) and part.area > 0]


def _write_mask(
    scene: Scene, mask: NDArray[np.bool_], pointed: Pointed, name: str, run: Run
) -> Artefact:
    if mask.shape != (scene.height, scene.width):
        raise InputError(
            f"{pointed.method} gave a mask of {mask.shape[1]} by {mask.shape[0]} pixels for "
            f"{scene.name}, which has {scene.width} by {scene.height}; use another model (--vlm)."
        )
    pending = run.artefact("mask", f"{pointed.words}: mask", f"{name}.tif", GEOTIFF)
    with RasterWriter(
        pending.path, scene, dtype="uint8", nodata=None, bands=(f"{pointed.words}: 1 yes, 0 no",),
        colours={0: (0, 0, 0, 0), 1: rgba(_COLOUR)}, tags={"TERRALOGUE_METHOD": pointed.method},
    ) as writer:  # fmt: skip
        writer.write(mask.astype(np.uint8), whole(scene))
    return pending.commit()


def _drawn(scene: Scene, pointed: Pointed) -> NDArray[np.uint8]:
    """The mask, or else the boxes filled, and frames around boxes, at the size of the picture."""
    scale = min(1.0, PICTURE / max(scene.width, scene.height))
    shape = (max(1, round(scene.height * scale)), max(1, round(scene.width * scale)))
    drawn = np.zeros(shape, np.uint8)
    if pointed.mask is not None:
        drawn |= thinned(pointed.mask.astype(np.uint8), shape)
    width = max(1, round(_FRAME_WIDTH * max(shape) / PICTURE))
    for left, top, right, bottom in pointed.boxes:
        rows = slice(max(0, int(top * scale)), max(1, round(bottom * scale)))
        columns = slice(max(0, int(left * scale)), max(1, round(right * scale)))
        part = drawn[rows, columns]
        if pointed.mask is None:
            part[:] = _IN
            continue
        edge = np.ones(part.shape, np.bool_)
        edge[width:-width, width:-width] = False
        part[edge] = _FRAME
    return drawn
