"""Recipe of `rgb_cover`: buildings, roads and land cover on pictures of about 0.1 to 1 m.

Three heads share one network. Parts are those of `datasets.parts`; of Dubai, training leaves out
only those of two tiles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from terralogue.datasets.band_tables import RGB
from terralogue.datasets.errors import InputError
from terralogue.datasets.parts import Part, part
from terralogue.tools.dense_checkpoint import DenseFacts
from terralogue.tools.dense_data import IGNORE, DensePack
from terralogue.tools.dense_recipe import DenseRecipe

HEADS: Final = {
    "building": ("other", "building"),
    "road": ("other", "road"),
    "cover": ("bare_soil", "building", "road", "vegetation", "water"),
}
TARGETS: Final = {
    "building": ("building", ("building",)),
    "built_up": ("cover", ("building", "road")),
    "vegetation": ("cover", ("vegetation",)),
    "water": ("cover", ("water",)),
    "bare_soil": ("cover", ("bare_soil",)),
}
# Masks of Dubai: 1 unpaved land, 2 building, 3 road, 4 vegetation, 5 water, 0 unlabelled.
_DUBAI = np.array([IGNORE, 0, 1, 2, 3, 4], np.uint8)
# Tiles that the network which training began with had not seen at all; see `dense_rgb_held_out`.
_HELD_OUT = ("tile2_", "tile3_")
_PIECE = 480  # pixels that half a piece of a Dubai tile fits in
_MAP_TILE = re.compile(r"-(\d+)-(\d+)-(\d+)$")

Bytes = NDArray[np.uint8]


def pictures(folder: Path) -> Iterator[tuple[str, Bytes, Bytes]]:
    """Stem, picture uint8 (3, H, W) and mask uint8 (H, W) of images/ and masks/.

    Raises:
        InputError: no such folders.
    """
    if not (folder / "masks").is_dir():
        raise InputError(f"{folder} has no masks; give the folder that holds the data sets")
    for path in sorted((folder / "images").iterdir()):
        with Image.open(path) as image, Image.open(folder / "masks" / f"{path.stem}.png") as mask:
            pixels = np.asarray(image.convert("RGB"), np.uint8).transpose(2, 0, 1)
            yield path.stem, np.ascontiguousarray(pixels), np.asarray(mask).astype(np.uint8)


def inria(data: Path, wanted: Part) -> DensePack:
    """Building chips of Inria, Potsdam and WHU, larger ones in pieces of 256 pixels."""
    found = []
    for stem, image, mask in pictures(data / "inria_samples"):
        if part("inria_samples", stem) == wanted:
            for row in range(0, mask.shape[0], 256):
                for column in range(0, mask.shape[1], 256):
                    place = slice(row, row + 256), slice(column, column + 256)
                    found.append((image[:, *place], mask[place]))
    return _pack("inria", found, "building", (0.5, 1.25), weight=1.0)


def fair_single(data: Path, wanted: Part) -> DensePack:
    """Drone tiles at zoom 19 and 20, about 0.3 and 0.15 m, and at validation all others too."""
    found = [
        (image, mask)
        for stem, image, mask in pictures(data / "fair_buildings")
        if part("fair_buildings", stem) == wanted
        and (wanted != "train" or int(stem.rsplit("-", 1)[1]) < 21)
    ]
    return _pack("fair_single", found, "building", (0.5, 1.25), weight=0.5)


def fair_mosaic(data: Path, wanted: Part) -> DensePack:
    """Drone tiles at zoom 21 (about 0.075 m), four neighbours to a picture of 512 pixels."""
    tiles: dict[tuple[int, int], tuple[Bytes, Bytes]] = {}
    for stem, image, mask in pictures(data / "fair_buildings"):
        place = _MAP_TILE.search(stem)
        assert place is not None
        if part("fair_buildings", stem) == wanted and place[3] == "21":
            tiles[int(place[1]), int(place[2])] = image, mask
    found = []
    for column, row in sorted(tiles):
        square = [[(column + i, row + j) for i in (0, 1)] for j in (0, 1)]
        if column % 2 or row % 2 or any(key not in tiles for line in square for key in line):
            continue
        image = np.concatenate(
            [np.concatenate([tiles[key][0] for key in line], 2) for line in square], 1
        )
        mask = np.block([[tiles[key][1] for key in line] for line in square])
        found.append((image, mask))
    return _pack("fair_mosaic", found, "building", (0.9, 2.4), weight=1.0)


def eth_roads(data: Path, wanted: Part) -> DensePack:
    """Aerial pictures of 400 pixels with roads."""
    found = [
        (image, mask)
        for stem, image, mask in pictures(data / "eth_roads")
        if part("eth_roads", stem) == wanted
    ]
    return _pack("eth_roads", found, "road", (0.6, 1.3), weight=3.6)


def dubai_part(stem: str) -> Part:
    """The part of a piece of Dubai; those that training leaves out are of two tiles."""
    return part("dubai", stem) if stem.startswith(_HELD_OUT) else "train"


def dubai(data: Path, wanted: Part, part_of: Callable[[str], Part] = dubai_part) -> DensePack:
    """Land cover of Dubai (MBRSC), each piece of a tile in quarters.

    Its buildings and roads teach the other heads too, which are judged by their own sources.
    """
    images, covers = [], []
    for stem, image, mask in pictures(data / "dubai_landcover"):
        if part_of(stem) != wanted:
            continue
        height, width = -(-mask.shape[0] // 2), -(-mask.shape[1] // 2)
        for row in (0, height):
            for column in (0, width):
                place = slice(row, row + height), slice(column, column + width)
                quarter = _DUBAI[mask[place]]
                edges = (0, _PIECE - quarter.shape[0]), (0, _PIECE - quarter.shape[1])
                images.append(np.pad(image[:, *place], ((0, 0), *edges), mode="reflect"))
                covers.append(np.pad(quarter, edges, constant_values=IGNORE))
    cover = np.array(covers, np.uint8)
    labels = {"cover": cover}
    if wanted == "train":
        labels |= {"building": _is(cover, 1), "road": _is(cover, 2)}
    return DensePack("dubai", RGB, np.array(images), labels, zoom=(0.6, 1.4), weight=2.6)


def _is(cover: Bytes, number: int) -> Bytes:
    """Masks of one class of a cover, 1 and 0, IGNORE where not known."""
    return np.where(cover == IGNORE, IGNORE, cover == number).astype(np.uint8)


def _pack(
    name: str, found: list[tuple[Bytes, Bytes]], head: str, zoom: tuple[float, float], weight: float
) -> DensePack:
    images = np.array([image for image, _ in found])
    labels = (np.array([mask for _, mask in found]) > 0).astype(np.uint8)
    return DensePack(name, RGB, images, {head: labels}, zoom=zoom, weight=weight)


RECIPE: Final = DenseRecipe(
    HEADS,
    TARGETS,
    {
        "inria": inria,
        "fair_single": fair_single,
        "fair_mosaic": fair_mosaic,
        "eth_roads": eth_roads,
        "dubai": dubai,
    },
    DenseFacts(
        sensors=("rgb_aerial", "rgb_satellite", "unknown_rgb", "naip_rgbn"),
        gsd=(0.07, 1.2),
        bands=("R", "G", "B"),
    ),
)
