"""Packs: what a dense network trains on, one .npz file for each source and part.

    write_pack(Path("packs/roads_train.npz"), pack)
    pack = read_pack(Path("packs/roads_train.npz"))

Packs are read without any raster library, so that training runs wherever torch does.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError

IGNORE: Final = 255
"""In labels: not known."""
_QUALITY: Final = 75  # of the pictures of a pack, which are stored as WebP
_PREFIX: Final = "label_"


@dataclass(frozen=True)
class DensePack:
    """Images of one size and band set with their labels.

    Attributes:
        name: of the source.
        bands: along the second axis of `images`.
        images: (n, bands, H, W): uint8 pictures, or float16 as `datasets.tiles.normalise` gives
            them, 0 where not observed.
        labels: uint8 (n, H, W) by head: number of the class, or IGNORE.
        zoom: source pixels along a pixel of a training crop, lowest and highest.
        weight: how often its images are drawn, relative to other packs.
    """

    name: str
    bands: tuple[Band, ...]
    images: NDArray[np.generic]
    labels: Mapping[str, NDArray[np.uint8]]
    zoom: tuple[float, float] = (0.7, 1.4)
    weight: float = 1.0


def write_pack(path: Path, pack: DensePack) -> None:
    """Write one compressed file that appears whole or not at all; pictures lose a little."""
    facts = {
        "name": pack.name,
        "bands": [asdict(band) for band in pack.bands],
        "zoom": pack.zoom,
        "weight": pack.weight,
    }
    arrays: dict[str, NDArray[np.generic]] = {"facts": np.array(json.dumps(facts))}
    arrays |= {f"{_PREFIX}{head}": labels for head, labels in pack.labels.items()}
    if pack.images.dtype == np.uint8 and pack.images.shape[1] == 3:
        coded = [_encode(image) for image in pack.images]
        arrays["ends"] = np.cumsum([len(each) for each in coded])
        arrays["pictures"] = np.frombuffer(b"".join(coded), np.uint8)
    else:
        arrays["images"] = pack.images
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_suffix(".part.npz")
    np.savez_compressed(made, **arrays)  # type: ignore[arg-type]
    made.replace(path)


def read_pack(path: Path) -> DensePack:
    """Read a pack.

    Raises:
        InputError: there is none, or it is broken.
    """
    if not path.is_file():
        raise InputError(f"the pack {path} does not exist; give --data to make it")
    try:
        with np.load(path, allow_pickle=False) as kept:
            facts = json.loads(str(kept["facts"]))
            if "images" in kept.files:
                images = kept["images"]
            else:
                blob, ends = kept["pictures"].tobytes(), kept["ends"].tolist()
                starts = [0, *ends][: len(ends)]
                images = np.array([_decode(blob[a:b]) for a, b in zip(starts, ends, strict=True)])
            labels = {
                name.removeprefix(_PREFIX): kept[name]
                for name in kept.files
                if name.startswith(_PREFIX)
            }
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"the pack {path} cannot be read ({error}); delete it") from error
    bands = tuple(Band(**{**row, "aliases": tuple(row["aliases"])}) for row in facts["bands"])
    low, high = facts["zoom"]
    return DensePack(facts["name"], bands, images, labels, (low, high), facts["weight"])


def _encode(image: NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    pixels = np.ascontiguousarray(image.transpose(1, 2, 0), np.uint8)
    Image.fromarray(pixels).save(file, "WEBP", quality=_QUALITY)
    return file.getvalue()


def _decode(coded: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(coded)) as picture:
        return np.ascontiguousarray(np.asarray(picture.convert("RGB")).transpose(2, 0, 1))
