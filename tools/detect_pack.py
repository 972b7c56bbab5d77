"""What detectors learn from, in one file: encoded pictures, their boxes, and what they mark.

    write_pack(Path("aerial.npz"), RECIPES["aerial"], Path(data))
    pack = read_pack(Path("aerial.npz"))

Reading needs numpy and Pillow only, so that training runs where no geodata library is.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from terralogue.datasets.errors import InputError

AERIAL: Final = (
    "aircraft", "ship", "storage_tank", "baseball_diamond", "tennis_court", "basketball_court",
    "ground_track_field", "harbor", "bridge", "vehicle", "overpass", "building",
)  # fmt: skip
SHIP_BANDS: Final = ("B", "G", "R", "N", "S1")
SKIPPED: Final = -2
"""Class of a box that is neither found nor missed."""
# Pictures are shrunk as long as the smallest thing keeps this longer side, in pixels.
_SMALLEST, _SHORTEST, _LONGEST = 28.0, 448.0, 704.0
_QUALITY: Final = 55


@dataclass(frozen=True)
class Example:
    """One picture with its truth.

    Attributes:
        name: of the picture.
        part: "train", "val" or "test", or a number of a run for cross-validation; see `parts.py`.
        pixels: uint8 (bands, H, W).
        boxes: float32 (k, 4) in pixels.
        kinds: int64 (k,), index into the classes, or SKIPPED.
        known: bool (classes,): which classes are marked in the picture at all.
        run: number of the run that the picture belongs to, for cross-validation.
        scale: by which the picture was shrunk.
    """

    name: str
    part: str
    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    kinds: NDArray[np.int64]
    known: NDArray[np.bool_]
    run: int = 0
    scale: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """What a detector is for and how its pictures are shown to it.

    Attributes:
        classes: targets, in the order of the logits.
        bands: common names.
        sources: reads the examples of a folder of data sets.
        zoom: scale at which things are shown; 2 doubles the pixels.
        shrinks: keep pictures with fewer pixels where things are large enough, to save room.
        blocks: of the trunk; see `DetectorConfig`.
        width: of the pyramid and the heads.
        iou: overlap from which a box is right.
    """

    classes: tuple[str, ...]
    bands: tuple[str, ...]
    sources: Callable[[Path, Recipe], Iterator[Example]]
    zoom: float = 1.0
    shrinks: bool = False
    blocks: int = 7
    width: int = 96
    iou: float = 0.5


def _aerial(data: Path, recipe: Recipe) -> Iterator[Example]:
    from terralogue.tools import detect_sources as sources

    yield from sources.boxed(data / "nwpu_vhr10", recipe, AERIAL[:10])
    yield from sources.boxed(data / "rsod", recipe, None)
    yield from sources.buildings(data, recipe)
    yield from sources.without(data / "neon_trees", recipe)


def _crowns(data: Path, recipe: Recipe) -> Iterator[Example]:
    from terralogue.tools import detect_sources as sources

    yield from sources.boxed(data / "neon_trees", recipe, recipe.classes)


def _ships(data: Path, recipe: Recipe) -> Iterator[Example]:
    from terralogue.tools import detect_sources as sources

    yield from sources.ports(data / "sen2ships", recipe)


# ★ One line per detector.
RECIPES: Final = {
    "aerial": Recipe(AERIAL, ("R", "G", "B"), _aerial, shrinks=True),
    "crowns": Recipe(("tree",), ("R", "G", "B"), _crowns, zoom=0.6, blocks=5, iou=0.4),
    "ships": Recipe(("ship",), SHIP_BANDS, _ships, zoom=2.0, blocks=5, width=80, iou=0.3),
}


def recipe_of(name: str) -> Recipe:
    """Look up a detector's recipe.

    Raises:
        InputError: not in RECIPES; the message lists what is.
    """
    if name not in RECIPES:
        raise InputError(f"unknown detector {name!r}; the detectors are: {', '.join(RECIPES)}")
    return RECIPES[name]


def make_pack(path: Path, recipe: Recipe, data: Path) -> None:
    """Read a recipe's sources, all but their test parts, and write the pack.

    Raises:
        InputError: a data set is missing or broken.
    """
    examples = [each for each in recipe.sources(data, recipe) if each.part != "test"]
    if recipe.shrinks:
        examples = [shrunk(each) for each in examples]
    write_pack(path, examples, recipe.classes)


def shrunk(example: Example) -> Example:
    """The example with fewer pixels where its things are large enough for that."""
    height, width = example.pixels.shape[1:]
    sides = (example.boxes[:, 2:] - example.boxes[:, :2]).max(1).tolist()
    factor = max(_SMALLEST / min(sides, default=_SMALLEST), _SHORTEST / max(height, width))
    factor = min(factor, _LONGEST / max(height, width))
    if factor >= 1:
        return example
    size = (round(width * factor), round(height * factor))
    planes = [
        np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC))
        for plane in example.pixels
    ]
    boxes = example.boxes * np.float32(factor)
    return replace(example, pixels=np.stack(planes), boxes=boxes, scale=factor)


def write_pack(path: Path, examples: Sequence[Example], classes: Sequence[str]) -> None:
    """Write examples as one file that appears whole or not at all."""
    blobs = [_encoded(each.pixels) for each in examples]
    facts = {
        "classes": list(classes),
        "names": [each.name for each in examples],
        "parts": [each.part for each in examples],
        "runs": [each.run for each in examples],
        "scales": [each.scale for each in examples],
        "bands": len(examples[0].pixels),
        "sizes": [len(blob) for blob in blobs],
    }
    owner = [np.full(len(each.boxes), i) for i, each in enumerate(examples)]
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_suffix(".part.npz")
    np.savez(
        made,
        facts=np.array(json.dumps(facts)),
        blobs=np.frombuffer(b"".join(blobs), np.uint8),
        boxes=np.concatenate([each.boxes for each in examples]).astype(np.float32),
        kinds=np.concatenate([each.kinds for each in examples]).astype(np.int8),
        owner=np.concatenate(owner).astype(np.int16),
        known=np.stack([each.known for each in examples]),
    )
    made.replace(path)


def read_pack(path: Path) -> tuple[tuple[str, ...], list[Example]]:
    """Read what `write_pack` wrote: the classes, and the examples.

    Raises:
        InputError: there is no such file, or it is another one.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the data with --data, and it is made.")
    try:
        with np.load(path, allow_pickle=False) as kept:
            facts = json.loads(str(kept["facts"]))
            blobs, owner = kept["blobs"].tobytes(), kept["owner"]
            boxes, kinds, known = kept["boxes"], kept["kinds"].astype(np.int64), kept["known"]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} is no pack of detection data ({error}); remove it.") from error
    ends = np.cumsum(facts["sizes"])
    examples = []
    for i, end in enumerate(ends):
        own = owner == i
        examples.append(
            Example(
                facts["names"][i], facts["parts"][i],
                _decoded(blobs[end - facts["sizes"][i] : end], facts["bands"]),
                boxes[own], kinds[own], known[i], facts["runs"][i], facts["scales"][i],
            )
        )  # fmt: skip
    return tuple(facts["classes"]), examples


def _encoded(pixels: NDArray[np.uint8]) -> bytes:
    """Colours as a picture; other bands one below the other."""
    if len(pixels) == 3:
        picture = Image.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, -1)))
    else:
        picture = Image.fromarray(pixels.reshape(-1, pixels.shape[-1]))
    out = io.BytesIO()
    picture.convert("RGB").save(out, "WEBP", quality=_QUALITY if len(pixels) == 3 else 85, method=6)
    return out.getvalue()


def _decoded(blob: bytes, bands: int) -> NDArray[np.uint8]:
    picture = np.asarray(Image.open(io.BytesIO(blob)).convert("RGB"))
    if bands == 3:
        return np.ascontiguousarray(np.moveaxis(picture, -1, 0))
    return np.ascontiguousarray(picture[..., 1]).reshape(bands, -1, picture.shape[1])
