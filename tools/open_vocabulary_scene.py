"""Published models of pictures on scenes: things by words, and the outline of what is clicked.

    detect_by_words(scene, "swimming pool", run=run, model="hf:IDEA-Research/grounding-dino-tiny")
    outlined = outline_by_model(scene, x, y, "hf:facebook/sam2.1-hiera-tiny")

They see red, green and blue, brought to bytes by the fixed rules of `datasets.tiles`. Scores are
the models' own and are not calibrated: no interval is given with a count.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from shapely.geometry import box, mapping

from terralogue.datasets.errors import MissingBandError
from terralogue.datasets.scene import Scene
from terralogue.datasets.tiles import TileReader
from terralogue.tools.clouds import screen
from terralogue.tools.detect_finding import four, on_map
from terralogue.tools.export import GEOJSON, PNG
from terralogue.tools.grid import ground_crs
from terralogue.tools.measure import Tally
from terralogue.tools.open_vocabulary import (
    UNMEASURED,
    OpenVocabularyDetector,
    Picture,
    open_vocabulary_detector,
    promptable_segmenter,
)
from terralogue.tools.overlay import PICTURE, Entry, draw_overlay
from terralogue.tools.region import Region, place
from terralogue.tools.run import Run
from terralogue.tools.schemas import Artefact, Detection, FoundObject, Measurement
from terralogue.tools.tiling import Tile, stream, tiles
from terralogue.tools.vectors import to_lonlat
from terralogue.tools.wording import each_once

_RGB: Final = ("R", "G", "B")
# Pixels of a tile and of its surroundings: about the pictures that these models were trained on.
_CORE: Final = 640
_HALO: Final = 80
_AROUND: Final = 512  # pixels a side of what a segmenter sees around a click
_OVERLAP: Final = 0.5
_SHOWN: Final = 200
_COLOUR: Final = "#ffcc00"

_detector = lru_cache(maxsize=1)(open_vocabulary_detector)
_segmenter = lru_cache(maxsize=1)(promptable_segmenter)


class Boxes(NamedTuple):
    """Boxes float64 (n, 4) in pixels of the scene, and scores (n,), best first."""

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]


class ModelOutline(NamedTuple):
    """What a segmenter outlined: mask bool (H, W) of a window of the scene, and its own score."""

    mask: NDArray[np.bool_]
    window: Window
    score: float


def picture_of(reader: TileReader, window: Window) -> Picture:
    """A window as a picture, uint8 (H, W, 3); black where nothing was observed."""
    planes, _ = reader.planes(window)
    shown = np.clip((np.nan_to_num(planes, nan=-1.0) + 1) * 127.5, 0, 255)
    return np.ascontiguousarray(np.moveaxis(np.rint(shown).astype(np.uint8), 0, -1))


def rgb_reader(scene: Scene) -> TileReader:
    """Reads red, green and blue of a scene.

    Raises:
        MissingBandError: one of them is not there.
    """
    if not scene.has(*_RGB):
        raise MissingBandError(
            f"Models of pictures look at red, green and blue, and {scene.name} lacks one of them."
        )
    return TileReader(scene, bands=_RGB)


def outline_by_model(scene: Scene, x: float, y: float, model: str) -> ModelOutline:
    """Outline the thing at a pixel with a SAM or SAM 2.

    Args:
        scene: what was clicked on.
        x: column in pixels of the scene.
        y: row, inside the scene as `x` is.
        model: what `promptable_segmenter` takes.

    Raises:
        InputError: the model cannot be used.
        MissingBandError: the scene has no red, green and blue.
    """
    reader = rgb_reader(scene)
    width, height = min(_AROUND, scene.width), min(_AROUND, scene.height)
    left = int(np.clip(x - width / 2, 0, scene.width - width))
    top = int(np.clip(y - height / 2, 0, scene.height - height))
    window = Window(left, top, width, height)
    found = _segmenter(model).outline(picture_of(reader, window), x - left, y - top)
    return ModelOutline(found.mask, window, found.score)


def find_by_words(
    scene: Scene, words: str, detector: OpenVocabularyDetector, window: Window, run: Run
) -> Boxes:
    """All boxes of things that words name, in a window of whole pixels.

    Raises:
        MissingBandError: the scene has no red, green and blue.
    """
    reader = rgb_reader(scene)

    def work(tile: Tile) -> Boxes:
        found = detector.detect(picture_of(reader, tile.read), [words])
        offset = np.array([tile.read.col_off, tile.read.row_off] * 2, np.float64)
        return _owned(Boxes(found.boxes + offset, found.scores.astype(np.float64)), tile.core)

    pieces = tiles(window, size=_CORE, halo=_HALO)
    done = stream(work, pieces, run.executor, progress=run.progress, message="Looking for things")
    return _merged([found for _, found in done])


def detect_by_words(
    scene: Scene, words: str, *, run: Run, model: str, region: Region | None = None
) -> Detection:
    """Find and count things that words name, by a Grounding DINO or an OWLv2.

    Args:
        scene: what to look at.
        words: name of one thing in the singular, such as "swimming pool"; a target will do.
        run: workspace, progress, executor.
        model: what `open_vocabulary_detector` takes.
        region: where to look; None is everywhere. A thing belongs to it where its middle does.

    Raises:
        InputError: the model cannot be used, or no valid pixel.
        RegionError: the region lies outside the scene.
        MissingBandError: the scene has no red, green and blue.
    """
    rgb_reader(scene)
    detector = _detector(model)
    named = words.replace("_", " ").strip()
    placed = place(region, scene)
    clouds = screen(scene, run.executor, run.progress, window=placed.window)
    tally = Tally(scene, ("region", "observed"))
    for tile in tiles(placed.window):
        inside = placed.mask(tile.core)
        valid = scene.read(_RGB[:1], tile.core).valid
        seen = inside & valid & ~clouds.hidden(tile.core)
        tally.add(tile.core, region=inside, observed=seen)
    tally.require_observed()
    every = find_by_words(scene, named, detector, placed.window, run)
    kept = np.zeros(len(every.scores), np.bool_)
    for i, edges in enumerate(every.boxes):
        column, row = _pixel(edges, placed.window)
        pixel = Window(column, row, 1, 1)
        kept[i] = placed.mask(pixel)[0, 0] and not clouds.hidden(pixel)[0, 0]
    found = Boxes(every.boxes[kept], every.scores[kept])
    method = f"{model}: boxes for {named!r} with a score of {detector.threshold:g} or more"
    vectors = _write(scene, named, model, found, run)
    count = Measurement(
        name="count", value=float(len(found.scores)), unit="1", method=method, artefact=vectors.id,
        label=named[:1].upper() + named[1:],
    )  # fmt: skip
    share = Measurement(
        name="observed_share", value=tally.share("observed", of="region"), unit="%",
        method="all but pixels without data, or under cloud or cloud shadow",
        label="Seen, not hidden",
    )  # fmt: skip
    return Detection(
        tool="detect_objects",
        scenes=list(run.scene_ids),
        title=f"Things called {named!r}",
        method=method,
        why=f"asked for by name; {UNMEASURED}",
        measurements=[count, share],
        artefacts=[vectors, _draw(scene, placed.window, named, found, method, run)],
        warnings=each_once(
            [*scene.warnings, *placed.warnings, *clouds.warnings, f"{model}: {UNMEASURED}."]
        ),
        target=words,
        model=model,
        threshold=detector.threshold,
        count=len(found.scores),
        objects=[
            FoundObject(box=four(edges), map_box=on_map(scene, edges), probability=None)
            for edges in found.boxes[:_SHOWN]
        ],
    )


def _owned(found: Boxes, core: Window) -> Boxes:
    """Boxes whose middle a tile owns."""
    x, y = (found.boxes[:, :2] + found.boxes[:, 2:]).T / 2
    across = (x >= core.col_off) & (x < core.col_off + core.width)
    inside = across & (y >= core.row_off) & (y < core.row_off + core.height)
    return Boxes(found.boxes[inside], found.scores[inside])


def _merged(parts: list[Boxes]) -> Boxes:
    """The boxes of all tiles, without the weaker of two that lie on one thing, best first."""
    import torch
    from torchvision.ops import nms  # type: ignore[import-untyped]

    boxes = np.concatenate([part.boxes for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores), _OVERLAP).numpy()
    return Boxes(boxes[kept], scores[kept])


def _pixel(edges: NDArray[np.float64], window: Window) -> tuple[int, int]:
    """Column and row of a box's middle, inside a window."""
    x, y = (edges[:2] + edges[2:]) / 2
    column = np.clip(int(x), window.col_off, window.col_off + window.width - 1)
    row = np.clip(int(y), window.row_off, window.row_off + window.height - 1)
    return int(column), int(row)


def _write(scene: Scene, named: str, model: str, found: Boxes, run: Run) -> Artefact:
    """Boxes as GeoJSON: degrees, or pixels where the scene has no CRS."""
    pending = run.artefact("polygons", f"{named}: boxes", f"{_stem(scene, named)}.geojson", GEOJSON)
    crs = ground_crs(scene)
    collection: dict[str, Any] = {"type": "FeatureCollection", "features": []}
    if crs is None:
        collection["coordinates_are"] = "pixels of the image: column to the right, row down"
    for edges, score in zip(found.boxes, found.scores, strict=True):
        shape = box(*edges)
        geometry = shape if crs is None else to_lonlat(shape, scene.transform, crs)
        facts = {"target": named, "scene": scene.name, "method": model, "score": float(score)}
        collection["features"].append(
            {
                "type": "Feature",
                "properties": {**facts, "box": four(edges), "map_box": on_map(scene, edges)},
                "geometry": mapping(geometry),
            }
        )
    pending.path.write_text(json.dumps(collection, separators=(",", ":")), encoding="utf-8")
    return pending.commit()


def _draw(
    scene: Scene, window: Window, named: str, found: Boxes, method: str, run: Run
) -> Artefact:
    """Frames around what was found, over the scene."""
    pending = run.artefact("preview", f"{named} over the scene", f"{_stem(scene, named)}.png", PNG)
    scale = min(1.0, PICTURE / max(window.width, window.height))
    shape = (max(1, round(window.height * scale)), max(1, round(window.width * scale)))
    drawn = np.zeros(shape, np.uint8)
    line = max(1, round(2 * max(shape) / PICTURE))
    offset = np.array([window.col_off, window.row_off] * 2)
    for left, top, right, bottom in (found.boxes - offset) * scale:
        rows = slice(max(0, int(top)), max(1, round(bottom)))
        columns = slice(max(0, int(left)), max(1, round(right)))
        edge = np.ones(drawn[rows, columns].shape, np.bool_)
        edge[line:-line, line:-line] = False
        drawn[rows, columns][edge] = 1
    entry = Entry(1, _COLOUR, f"{named}: {len(found.scores)} found")
    title = f"{named} in {scene.name}{f', {scene.date}' if scene.date else ''}"
    draw_overlay(pending.path, scene, window, drawn, [entry], title=title, note=method)
    return pending.commit()


def _stem(scene: Scene, named: str) -> str:
    return f"{Path(scene.name).stem}-{re.sub(r'[^0-9A-Za-z]+', '_', named)}"
