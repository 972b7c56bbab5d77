"""Reading the data sets that detectors learn from; see `detect_pack.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terralogue.datasets.detection_files import read_detection, target_of
from terralogue.datasets.parts import RUNS, part
from terralogue.datasets.samples import DetectionSample
from terralogue.datasets.scene import Scene, open_scene
from terralogue.tools.detect_pack import SHIP_BANDS, SKIPPED, Example

if TYPE_CHECKING:
    from terralogue.tools.detect_pack import Recipe

Floats = NDArray[np.float32]

# Ports are cut into windows of this many pixels.
_WINDOW: Final = 320
# Percentiles of a scene that its numbers are stretched between, the sample they are taken from, and
# how far beyond them numbers may go.
_LOW, _HIGH = 2.0, 98.0
_SAMPLE: Final = 1024
_RANGE: Final = (-1.5, 3.5)
# What a building's mask looks like: pixels, and share of the box that it fills.
_BUILDING_PIXELS, _BUILDING_FILL = 60, 0.5
# Targets that are surely nowhere in pictures of houses and gardens.
_NO_HOUSES: Final = ("aircraft", "ship", "harbor", "ground_track_field", "storage_tank")


def picture(scene: Scene) -> NDArray[np.uint8]:
    """Red, green and blue of an 8-bit picture: uint8 (3, H, W)."""
    return np.nan_to_num(scene.read(["R", "G", "B"]).data).clip(0, 255).astype(np.uint8)


def sample_of(scene: Scene, bands: Sequence[str]) -> Floats:
    """The whole scene, at most some thousand pixels wide: (bands, H, W)."""
    step = max(1.0, max(scene.width, scene.height) / _SAMPLE)
    shape = (max(1, round(scene.height / step)), max(1, round(scene.width / step)))
    return scene.read(bands, shape=shape).data


def stretch(scene: Scene, bands: Sequence[str]) -> tuple[Floats, Floats]:
    """What a scene's numbers are stretched between: low and high (bands,) percentiles."""
    sample = sample_of(scene, bands).reshape(len(bands), -1)
    low, high = np.nanpercentile(sample, [_LOW, _HIGH], axis=1).astype(np.float32)
    return low, np.maximum(high, low + np.float32(1e-6))


def stretched(data: Floats, low: Floats, high: Floats) -> Floats:
    """Numbers (bands, H, W) so that the percentiles become -1 and 1; 0 where not observed."""
    low, high = low[:, None, None], high[:, None, None]
    return np.asarray(np.nan_to_num(np.clip((data - low) / (high - low) * 2 - 1, *_RANGE)))


def to_bytes(values: Floats) -> NDArray[np.uint8]:
    """Stretched numbers as bytes; `detect_augment.py` turns them back."""
    low, high = _RANGE
    return np.round((values - low) / (high - low) * 255).astype(np.uint8)


def run_of(dataset: str, name: str) -> int:
    """Number of the run that a picture belongs to, by the last number in its name."""
    found = re.search(r"(\d+)\D*$", Path(name).stem)
    return 0 if found is None else int(found[1]) // RUNS[dataset]


def boxed(folder: Path, recipe: Recipe, known: Sequence[str] | None) -> Iterator[Example]:
    """Pictures of a data set with boxes.

    Args:
        folder: of the data set.
        recipe: has the classes.
        known: classes that all pictures mark; None where each marks only those that it has.
    """
    samples = read_detection(folder)
    assert samples.dataset is not None
    for item in samples.items:
        targets = [target_of(label) for label in item.labels]
        kinds = [
            SKIPPED if skipped or target not in recipe.classes else recipe.classes.index(target)
            for target, skipped in zip(targets, item.skipped, strict=True)
        ]
        marked = targets if known is None else known
        with open_scene(item.path) as scene:
            pixels = picture(scene)
        yield Example(
            item.name, part(samples.dataset, item.place), pixels, _boxes(item),
            np.array(kinds, np.int64), np.isin(recipe.classes, marked),
            run_of(samples.dataset, item.place),
        )  # fmt: skip


def _boxes(item: DetectionSample) -> Floats:
    return np.array(item.boxes, np.float32).reshape(-1, 4)


def without(folder: Path, recipe: Recipe) -> Iterator[Example]:
    """Pictures that show none of the classes; every second one is enough."""
    samples = read_detection(folder)
    assert samples.dataset is not None
    for item in samples.items[::2]:
        with open_scene(item.path) as scene:
            pixels = picture(scene)
        yield Example(
            item.name, part(samples.dataset, item.place), pixels, np.zeros((0, 4), np.float32),
            np.zeros(0, np.int64), np.ones(len(recipe.classes), np.bool_),
            run_of(samples.dataset, item.place),
        )  # fmt: skip


def buildings(data: Path, recipe: Recipe) -> Iterator[Example]:
    """Footprints as boxes; what is no single building by its shape is skipped."""
    kind = recipe.classes.index("building")
    known = np.isin(recipe.classes, ("building", *_NO_HOUSES))
    for dataset in ("fair_buildings", "inria_samples"):
        for file in sorted((data / dataset / "images").iterdir()):
            mask_file = next((data / dataset / "masks").glob(f"{file.stem}.*"))
            with open_scene(mask_file) as scene:
                mask = np.nan_to_num(scene.read().data[0]) > 0
            with open_scene(file) as scene:
                pixels = picture(scene)
            labels, count = ndimage.label(mask)
            boxes, kinds = np.zeros((count, 4), np.float32), np.full(count, SKIPPED)
            for i, (rows, columns) in enumerate(ndimage.find_objects(labels)):
                boxes[i] = columns.start, rows.start, columns.stop, rows.stop
                size = int((labels[rows, columns] == i + 1).sum())
                box = (rows.stop - rows.start) * (columns.stop - columns.start)
                if size >= _BUILDING_PIXELS and size / box >= _BUILDING_FILL:
                    kinds[i] = kind
            run = len(file.stem) if dataset == "fair_buildings" else run_of(dataset, file.name)
            yield Example(
                file.name,
                part(dataset, file.name),
                pixels,
                boxes,
                kinds.astype(np.int64),
                known,
                run,
            )


def ports(folder: Path, recipe: Recipe) -> Iterator[Example]:
    """Sentinel-2 ports, cut into windows; ships that a window cuts are skipped in it."""
    samples = read_detection(folder)
    for number, item in enumerate(samples.items):
        with open_scene(item.path) as scene:
            low, high = stretch(scene, SHIP_BANDS)
            data = stretched(scene.read(SHIP_BANDS).data, low, high)
        boxes = _boxes(item)
        for top in range(0, data.shape[1], _WINDOW):
            for left in range(0, data.shape[2], _WINDOW):
                pixels = data[:, top : top + _WINDOW, left : left + _WINDOW]
                if min(pixels.shape[1:]) < 64:
                    continue
                size = np.array([pixels.shape[2], pixels.shape[1]] * 2, np.float32)
                moved = boxes - np.array([left, top, left, top], np.float32)
                inside = np.clip(moved, 0, size)
                sides = (inside[:, 2:] - inside[:, :2]).prod(1)
                seen = sides / (moved[:, 2:] - moved[:, :2]).prod(1)
                kept = seen > 0
                yield Example(
                    f"{item.name}/{top}-{left}", part("sen2ships", item.place), to_bytes(pixels),
                    inside[kept], np.where(seen[kept] > 0.6, 0, SKIPPED).astype(np.int64),
                    np.ones(1, np.bool_), number,
                )  # fmt: skip
