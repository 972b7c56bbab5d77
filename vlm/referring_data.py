"""Pictures with marks, for the decoder that points: what data sets say is where.

    from terralogue.vlm.referring_data import nwpu
    nwpu(data / "nwpu_vhr10", "train")[0].marks["airplane"]

A mark says for each pixel whether a concept is there, is not, or is not known. What a set marks
exhaustively teaches both ways; a box without outline is taken for an ellipse or a rectangle.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from terralogue.datasets.band_tables import RGB
from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.parts import Part, part
from terralogue.datasets.samples import Box
from terralogue.datasets.scene import open_scene
from terralogue.datasets.tiles import TileReader
from terralogue.vlm.referring_concepts import CONCEPTS, THINGS

UNKNOWN: Final = 255
"""Value of a mark where nobody knows."""
_RSOD: Final = {"aircraft": "airplane", "oiltank": "storage_tank", "overpass": "overpass",
                "playground": "track"}  # fmt: skip
_NWPU: Final = {"ground_track_field": "track"}
# MBRSC's numbers.
_DUBAI: Final = {"bare_land": 1, "building": 2, "road": 3, "vegetation": 4, "water": 5}
_SMALL_THINGS: Final = frozenset(THINGS) - {"building", "tree"}


@dataclass(frozen=True)
class Marked:
    """A picture and what is marked in it.

    Attributes:
        name: unique within its set.
        pixels: (bands, H, W): uint8, or float16 in about -1 to 1.
        bands: along the first axis.
        marks: uint8 (H, W) by concept: 1 there, 0 not, UNKNOWN.
        boxes: of things by concept; every one where the concept is marked.
        absent: concepts that are nowhere in the picture.
    """

    name: str
    pixels: NDArray[np.generic]
    bands: tuple[Band, ...]
    marks: Mapping[str, NDArray[np.uint8]]
    boxes: Mapping[str, tuple[Box, ...]]
    absent: frozenset[str] = frozenset()

    @cached_property
    def there(self) -> tuple[str, ...]:
        """Concepts that are marked somewhere."""
        return tuple(name for name, mark in self.marks.items() if (mark == 1).any())

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.pixels.shape[1:]
        return height, width


def colours(path: Path) -> NDArray[np.uint8]:
    """A picture as uint8 (3, H, W).

    Raises:
        InputError: no such file.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the folder that holds the data sets")
    with Image.open(path) as image:
        return np.ascontiguousarray(np.asarray(image.convert("RGB")).transpose(2, 0, 1))


def drawn(boxes: Sequence[Box], size: tuple[int, int], *, boxy: bool) -> NDArray[np.uint8]:
    """Boxes as a mark (H, W): filled, or as the ellipses within them."""
    mark = np.zeros(size, np.uint8)
    for box in boxes:
        left, top = max(0, int(box.left)), max(0, int(box.top))
        right, bottom = (
            min(size[1], int(np.ceil(box.right))),
            min(size[0], int(np.ceil(box.bottom))),
        )
        y, x = np.mgrid[top:bottom, left:right] + 0.5
        across = (x - (box.left + box.right) / 2) / max((box.right - box.left) / 2, 0.5)
        down = (y - (box.top + box.bottom) / 2) / max((box.bottom - box.top) / 2, 0.5)
        inside = (np.maximum(abs(across), abs(down)) if boxy else np.hypot(across, down)) <= 1
        mark[top:bottom, left:right] |= inside.astype(np.uint8)
    return mark


def _of_boxes(
    size: tuple[int, int], boxes: Mapping[str, tuple[Box, ...]], exhaustive: Sequence[str]
) -> dict[str, NDArray[np.uint8]]:
    """Marks of things from their boxes; what is one thing is no other."""
    marks = {
        name: drawn(boxes.get(name, ()), size, boxy=CONCEPTS[name].boxy) for name in exhaustive
    }
    anything = np.zeros(size, bool)
    for mark in marks.values():
        anything |= mark > 0
    for name in _SMALL_THINGS - marks.keys() - {"harbor", "bridge", "overpass"}:
        marks[name] = np.where(anything, 0, UNKNOWN).astype(np.uint8)
    return marks


def _coco(folder: Path) -> Iterator[tuple[str, dict[str, tuple[Box, ...]]]]:
    """File names of a COCO file's pictures and their boxes by category."""
    file = folder / "annotations.json"
    if not file.is_file():
        raise InputError(f"{file} does not exist; give the folder that holds the data sets")
    coco = json.loads(file.read_text(encoding="utf-8"))
    names = {row["id"]: row["name"] for row in coco["categories"]}
    found: dict[int, dict[str, list[Box]]] = {row["id"]: {} for row in coco["images"]}
    for row in coco["annotations"]:
        x, y, w, h = row["bbox"]
        kinds = found[row["image_id"]]
        kinds.setdefault(names[row["category_id"]], []).append(Box(x, y, x + w, y + h))
    for row in coco["images"]:
        yield row["file_name"], {k: tuple(v) for k, v in found[row["id"]].items()}


def nwpu(folder: Path, wanted: Part) -> list[Marked]:
    """NWPU VHR-10 (Cheng et al. 2014): ten things, all of them marked."""
    known = ("airplane", "ship", "storage_tank", "baseball_diamond", "tennis_court",
             "basketball_court", "track", "harbor", "bridge", "vehicle")  # fmt: skip
    found = []
    for name, raw in _coco(folder):
        if part("nwpu_vhr10", name) == wanted:
            pixels = colours(folder / "images" / name)
            boxes = {_NWPU.get(kind, kind): rows for kind, rows in raw.items()}
            marks = _of_boxes(pixels.shape[1:], boxes, known)
            found.append(Marked(name, pixels, RGB, marks, boxes))
    return found


def rsod(folder: Path, wanted: Part) -> list[Marked]:
    """RSOD (Long et al. 2017): in each picture all things of one kind are marked."""
    found = []
    for name, raw in _coco(folder):
        if part("rsod", name) == wanted:
            pixels = colours(folder / "images" / name)
            boxes = {_RSOD[kind]: rows for kind, rows in raw.items()}
            marks = _of_boxes(pixels.shape[1:], boxes, tuple(boxes))
            found.append(Marked(name, pixels, RGB, marks, boxes))
    return found


def _masked(folder: Path, name: str, wanted: Part) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
    """Pictures of a part, and their masks as numbers."""
    if not (folder / "masks").is_dir():
        raise InputError(f"{folder} has no masks; give the folder that holds the data sets")
    for path in sorted((folder / "images").iterdir()):
        if part(name, path.name) == wanted:
            with Image.open(folder / "masks" / f"{path.stem}.png") as mask:
                yield path, np.asarray(mask).astype(np.uint8)


def dubai(folder: Path, wanted: Part) -> list[Marked]:
    """MBRSC's land cover of Dubai: five covers, all of them marked."""
    found = []
    for path, mask in _masked(folder, "dubai", wanted):
        unknown = mask == 0
        marks = {
            name: np.where(unknown, UNKNOWN, mask == number).astype(np.uint8)
            for name, number in _DUBAI.items()
        }
        absent = frozenset({"airplane", "snow", "forest", "burned", "flood", "storage_tank"})
        found.append(Marked(path.name, colours(path), RGB, marks, {}, absent))
    return found


def one_class(folder: Path, name: str, concept: str, wanted: Part) -> list[Marked]:
    """Pictures with a mask of one concept."""
    absent = frozenset({"airplane", "ship", "storage_tank", "snow", "burned", "flood"})
    return [
        Marked(path.name, colours(path), RGB, {concept: (mask > 0).astype(np.uint8)}, {}, absent)
        for path, mask in _masked(folder, name, wanted)
    ]


def neon(folder: Path, wanted: Part) -> list[Marked]:
    """NEON tree crowns (Weinstein et al. 2019); some are not marked, so gaps are unknown."""
    found = []
    absent = _SMALL_THINGS | {"snow", "flood"}
    for path in sorted(folder.glob("*/*.xml")):
        if part("neon_trees", path.name) != wanted:
            continue
        pixels = colours(path.with_suffix(".tif"))
        boxes = []
        # Annotations of a data set that the user named, not of strangers.
        for box in ElementTree.parse(path).iter("bndbox"):
            edges = {edge.tag: float(edge.text or 0) for edge in box}
            boxes.append(Box(edges["xmin"], edges["ymin"], edges["xmax"], edges["ymax"]))
        size = pixels.shape[1:]
        mark = drawn(boxes, size, boxy=False)
        filled = drawn(boxes, size, boxy=True)
        marks = {"tree": np.where((filled > 0) & (mark == 0), UNKNOWN, mark).astype(np.uint8)}
        found.append(Marked(path.stem, pixels, RGB, marks, {"tree": tuple(boxes)}, absent))
    return found


def sen2ships(folder: Path, wanted: Part) -> list[Marked]:
    """Vessels in ports seen by Sentinel-2, five bands."""
    found = []
    absent = frozenset(THINGS) - {"ship", "harbor", "bridge", "building", "storage_tank",
                                  "vehicle", "airplane", "track", "tree", "overpass"}  # fmt: skip
    for path in sorted(folder.iterdir()):
        if not path.is_dir() or part("sen2ships", path.name) != wanted:
            continue
        with open_scene(path) as scene:
            tile = TileReader(scene, size=max(scene.width, scene.height)).read()
        coco = json.loads((path / "annotations.json").read_text(encoding="utf-8"))
        size = tile.data.shape[1:]
        mark = np.zeros(size, np.uint8)
        boxes = []
        for row in coco["annotations"]:
            mark |= _runs(row["segmentation"]["counts"], size)
            x, y, w, h = row["bbox"]
            boxes.append(Box(x, y, x + w, y + h))
        found.append(
            Marked(path.name, tile.data.astype(np.float16), tile.bands, {"ship": mark},
                   {"ship": tuple(boxes)}, absent)
        )  # fmt: skip
    return found


def _runs(counts: Sequence[int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """COCO's runs of zeros and ones, column by column, as (H, W)."""
    flat = np.repeat(np.arange(len(counts)) % 2, counts).astype(np.uint8)
    return flat.reshape(size[::-1]).T
