"""Sources of image-text pairs for alignment: decoded once, augmented on the fly (`align_augment`).

A source is of one modality, and so is every batch. The readers below are of RGB pictures; other
sensors are in `vlm/align_scenes.py`, and the table of all in `vlm/align_sources.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from terralogue.datasets.band_tables import RGB
from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.label_names import readable
from terralogue.datasets.parts import Part, part
from terralogue.vlm.text import tidy


@dataclass(frozen=True)
class Source:
    """Images of one band set with what is known about them.

    Attributes:
        name: for logs.
        bands: along the second axis of `pixels`.
        pixels: (n, bands, H, W): uint8 pictures, or float16 in about -1 to 1.
        captions: of each image; may be empty where there is a label.
        labels: index into `label_names` of each image, -1 where there is none.
        label_names: in words.
        fractions: (n, classes) land-cover shares, for soft positives; None where unknown.
        weight: how often a batch is drawn from it, relative to others.
        keys: name of each image, for reports.
        companion: (n, bands, H, W) the same ground as a red, green and blue picture, float16;
            None for what are pictures themselves.
        companion_bands: along its second axis.
    """

    name: str
    bands: tuple[Band, ...]
    pixels: NDArray[np.generic]
    captions: tuple[tuple[str, ...], ...]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...] = ()
    fractions: NDArray[np.float32] | None = None
    weight: float = 1.0
    keys: tuple[str, ...] = field(default=(), repr=False)
    companion: NDArray[np.float16] | None = field(default=None, repr=False)
    companion_bands: tuple[Band, ...] = ()

    def __len__(self) -> int:
        return len(self.captions)


def decode(paths: Sequence[Path], size: int) -> NDArray[np.uint8]:
    """Read pictures as uint8 (n, 3, size, size)."""

    def one(path: Path) -> NDArray[np.uint8]:
        with Image.open(path) as image:
            small = image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
            return np.asarray(small).transpose(2, 0, 1)

    with ThreadPoolExecutor(4) as pool:
        return np.stack(list(pool.map(one, paths)))


def clean(sentences: Sequence[str]) -> tuple[str, ...]:
    """Captions tidied and without doubles, in their order."""
    return tuple(dict.fromkeys(filter(None, map(tidy, sentences))))


def captioned(
    name: str, file: Path, folder: Path, wanted: Part, *, side: int, weight: float
) -> Source:
    """Pictures with captions in a Karpathy JSON file (RSICD, UCM-captions).

    Raises:
        InputError: the file is missing.
    """
    if not file.is_file():
        raise InputError(f"{file} does not exist; give the folder that holds the data sets")
    rows = [
        row
        for row in json.loads(file.read_text(encoding="utf-8"))["images"]
        if part(name, row["filename"]) == wanted
    ]
    names = sorted({row["label"] for row in rows})
    return Source(
        name,
        RGB,
        decode([folder / row["filename"] for row in rows], side),
        tuple(clean([s["raw"] for s in row["sentences"]]) for row in rows),
        np.array([names.index(row["label"]) for row in rows]),
        tuple(map(readable, names)),
        weight=weight,
        keys=tuple(row["filename"] for row in rows),
    )


def labelled(name: str, folder: Path, wanted: Part, *, side: int, weight: float) -> Source:
    """Pictures in one folder per class (EuroSAT, RSSCN7).

    Raises:
        InputError: no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist; give the folder that holds the data sets")
    names = sorted(each.name for each in folder.iterdir() if each.is_dir())
    rows = [
        (path, i)
        for i, each in enumerate(names)
        for path in sorted((folder / each).iterdir())
        if part(name, path.name) == wanted
    ]
    return Source(
        name,
        RGB,
        decode([path for path, _ in rows], side),
        tuple(() for _ in rows),
        np.array([i for _, i in rows]),
        tuple(map(readable, names)),
        weight=weight,
        keys=tuple(f"{path.parent.name}/{path.name}" for path, _ in rows),
    )


def to_float(pixels: NDArray[np.generic]) -> Tensor:
    """Pixels of a source in about -1 to 1, float32."""
    # A copy: what is mapped from a file cannot be written, which torch wants.
    tensor = torch.from_numpy(np.array(pixels))
    return tensor.float() / 127.5 - 1 if pixels.dtype == np.uint8 else tensor.float()
