"""Packs: pictures of one band set with what is asked about them, in one file.

write_pack(Path("packs/ucm_train.zip"), pack)
pack = read_pack(Path("packs/ucm_train.zip"))

Training reads packs alone, so that it can run where the data sets are not. A pack is a ZIP archive:
`pack.json`, and a lossless-enough picture for each row (WebP of quality 92, or bytes in NPY).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.tiles import Tile
from terralogue.vlm.vlm import Task

_FACTS: Final = "pack.json"
_QUALITY: Final = 92
# Bytes 0 to 255 of a tile stand for -2.2 to 2.2.
_RANGE: Final = 2.2


@dataclass(frozen=True)
class Example:
    """A question about pictures of a pack, with its answer.

    Attributes:
        pictures: rows in the pack, in order of time.
        question: "" where a description is wanted.
        answer: in the words to be learned.
        task: "qa" or "caption".
        kind: of question, as the data set calls it.
        region: left, top, right, bottom as shares of the picture; None for all of it.
    """

    pictures: tuple[int, ...]
    question: str
    answer: str
    task: Task = "qa"
    kind: str = ""
    region: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Pack:
    """Pictures of one band set, and examples.

    Attributes:
        name: of its source.
        bands: of every picture.
        pictures: uint8 (3, H, W) colour pictures, or tiles.
        keys: name of each picture, by which parts are cut.
        examples: about them.
    """

    name: str
    bands: tuple[Band, ...]
    pictures: tuple[NDArray[np.uint8] | Tile, ...]
    keys: tuple[str, ...]
    examples: tuple[Example, ...]


def write_pack(path: Path, pack: Pack) -> None:
    """Write a pack; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with zipfile.ZipFile(part, "w") as archive:
        facts = {
            "name": pack.name,
            "bands": [asdict(band) for band in pack.bands],
            "keys": pack.keys,
            "examples": [asdict(example) for example in pack.examples],
            "tiles": [isinstance(picture, Tile) for picture in pack.pictures],
        }
        archive.writestr(_FACTS, json.dumps(facts), zipfile.ZIP_DEFLATED)
        for row, picture in enumerate(pack.pictures):
            data, method = _encoded(picture)
            archive.writestr(str(row), data, method)
    part.replace(path)


def _encoded(picture: NDArray[np.uint8] | Tile) -> tuple[bytes, int]:
    out = io.BytesIO()
    if isinstance(picture, Tile):
        steps = (np.clip(picture.data / _RANGE, -1, 1) + 1) * 127.5
        np.save(out, np.round(steps).astype(np.uint8))
        return out.getvalue(), zipfile.ZIP_DEFLATED
    Image.fromarray(np.moveaxis(picture, 0, -1)).save(out, "WEBP", quality=_QUALITY)
    return out.getvalue(), zipfile.ZIP_STORED


def read_pack(path: Path) -> Pack:
    """Read a pack.

    Raises:
        InputError: no such file, or no pack.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            facts: dict[str, Any] = json.loads(archive.read(_FACTS))
            bands = tuple(
                Band(**{**row, "aliases": tuple(row["aliases"])}) for row in facts["bands"]
            )
            pictures = tuple(
                _decoded(archive.read(str(row)), bands if tile else None)
                for row, tile in enumerate(facts["tiles"])
            )
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is no pack of examples ({error}); prepare it again.") from error
    return Pack(facts["name"], bands, pictures, tuple(facts["keys"]), _examples(facts["examples"]))


def _decoded(data: bytes, bands: tuple[Band, ...] | None) -> NDArray[np.uint8] | Tile:
    if bands is None:
        with Image.open(io.BytesIO(data)) as image:
            return np.ascontiguousarray(np.moveaxis(np.asarray(image.convert("RGB")), -1, 0))
    steps = np.load(io.BytesIO(data), allow_pickle=False).astype(np.float32)
    return Tile((steps / np.float32(127.5) - 1) * np.float32(_RANGE), bands)


def _examples(rows: Sequence[dict[str, Any]]) -> tuple[Example, ...]:
    return tuple(
        Example(
            **{
                **row,
                "pictures": tuple(row["pictures"]),
                "region": tuple(row["region"]) if row["region"] else None,
            }
        )
        for row in rows
    )
