"""Captions written from what other data sets know: boxes of things, and land-cover masks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from terralogue.datasets.band_tables import RGB
from terralogue.datasets.errors import InputError
from terralogue.datasets.label_names import readable
from terralogue.datasets.parts import Part, part
from terralogue.vlm.align_data import Source, decode

_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_FRAMES: Final = (
    "{}", "there are {}", "an aerial image with {}", "{} seen from above", "{} on the ground",
    "a picture of {}",
)  # fmt: skip
_COVER_FRAMES: Final = ("mostly {}", "a lot of {}", "{} covers much of the scene")
# MBRSC's classes; 0 is unlabelled.
_DUBAI: Final = ("", "bare land", "buildings", "roads", "vegetation", "water")


def number_words(count: int, noun: str, rng: np.random.Generator) -> str:
    """A count in words: "an airplane", "two airplanes", "12 airplanes" or "many airplanes"."""
    if count == 1:
        article = "an" if noun[0] in "aeiou" else "a"
        return f"{article if rng.random() < 0.5 else 'one'} {noun}"
    plural = noun if noun == "aircraft" else f"{noun}{'es' if noun.endswith('s') else 's'}"
    if count > 5 and rng.random() < 0.5:
        return f"many {plural}"
    return f"{_NUMBERS[count] if count < len(_NUMBERS) else count} {plural}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _varied(write: Callable[[], str], count: int = 5) -> tuple[str, ...]:
    return tuple(dict.fromkeys(write() for _ in range(count)))


def boxed(name: str, folder: Path, wanted: Part, *, side: int, weight: float) -> Source:
    """Pictures with boxes in a COCO file (NWPU VHR-10, RSOD): captions say what and how many.

    Raises:
        InputError: the file is missing.
    """
    file = folder / "annotations.json"
    if not file.is_file():
        raise InputError(f"{file} does not exist; give the folder that holds the data sets")
    coco = json.loads(file.read_text(encoding="utf-8"))
    nouns = {row["id"]: readable(row["name"]) for row in coco["categories"]}
    things: dict[int, Counter[str]] = {row["id"]: Counter() for row in coco["images"]}
    for row in coco["annotations"]:
        things[row["image_id"]][nouns[row["category_id"]]] += 1
    images = [
        row
        for row in coco["images"]
        if things[row["id"]] and part(name, row["file_name"]) == wanted
    ]
    rng = np.random.default_rng(len(images))

    def sentence(counts: Counter[str]) -> str:
        parts = [number_words(n, noun, rng) for noun, n in counts.most_common(3)]
        return _FRAMES[rng.integers(len(_FRAMES))].format(_listed(parts))

    return Source(
        name,
        RGB,
        decode([folder / "images" / row["file_name"] for row in images], side),
        tuple(_varied(lambda c=things[row["id"]]: sentence(c)) for row in images),  # type: ignore[misc]
        np.full(len(images), -1),
        weight=weight,
        keys=tuple(row["file_name"] for row in images),
    )


def dubai(folder: Path, wanted: Part, *, side: int, weight: float, crops: int = 3) -> Source:
    """Pieces of the MBRSC land-cover tiles of Dubai, captions from their masks.

    Raises:
        InputError: no such folder.
    """
    if not (folder / "masks").is_dir():
        raise InputError(f"{folder} has no masks; give the folder that holds the data sets")
    rng = np.random.default_rng(0)
    pixels, captions, fractions, keys = [], [], [], []
    for path in sorted((folder / "images").iterdir()):
        if part("dubai", path.name) != wanted:
            continue
        mask_path = next((folder / "masks").glob(f"{path.stem}.*"))
        with Image.open(path) as image, Image.open(mask_path) as mask:
            half = min(image.size) // 2
            for _ in range(crops):
                x, y = (int(rng.integers(0, extent - half + 1)) for extent in image.size)
                box = (x, y, x + half, y + half)
                piece = image.convert("RGB").crop(box).resize((side, side))
                counts = np.bincount(np.asarray(mask.crop(box)).ravel(), minlength=6)[:6]
                if counts[1:].sum() == 0:
                    continue
                shares = counts / counts[1:].sum()
                pixels.append(np.asarray(piece).transpose(2, 0, 1))
                captions.append(_varied(lambda s=shares: _cover(s, rng)))  # type: ignore[misc]
                fractions.append(shares[1:].astype(np.float32))
                keys.append(f"{path.name}@{x},{y}")
    return Source(
        "dubai", RGB, np.stack(pixels), tuple(captions), np.full(len(pixels), -1),
        fractions=np.stack(fractions), weight=weight, keys=tuple(keys),
    )  # fmt: skip


def _cover(shares: np.ndarray, rng: np.random.Generator) -> str:
    order = [i for i in np.argsort(-shares) if i > 0 and shares[i] > 0.05] or [1]
    first = _DUBAI[order[0]]
    if shares[order[0]] > 0.6 and rng.random() < 0.6:
        first = _COVER_FRAMES[rng.integers(len(_COVER_FRAMES))].format(first)
    return _FRAMES[rng.integers(len(_FRAMES))].format(
        _listed([first, *(_DUBAI[i] for i in order[1:3])])
    )
