"""Class folders: every picture lies in a folder named after its class.

    EuroSAT/AnnualCrop/AnnualCrop_1.jpg        AID/Airport/airport_1.jpg
    NWPU-RESISC45/airplane/airplane_001.jpg    set/train/forest/1.png, set/test/forest/2.png

Folders around the classes do not matter, apart from those that name a split.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from terralogue.datasets.errors import InputError
from terralogue.datasets.pictures import is_picture
from terralogue.datasets.samples import LabelSample

_SPLITS: Final = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
# Folders of a segmentation or detection set, which say what a file is and not what it shows.
_NOT_CLASSES: Final = {"images", "imgs", "image", "img", "masks", "mask", "labels", "annotations"}
_DIGITS: Final = re.compile(r"(\d+)")


def read_class_folders(root: Path) -> tuple[LabelSample, ...]:
    """Read a folder of class folders, sorted by class and by number within it.

    Raises:
        InputError: no pictures, no classes, or folders that are not classes.
    """
    found = [Path(folder, name) for folder, _, names in os.walk(root) for name in names]
    pictures = [path.relative_to(root) for path in found if _counts(path.relative_to(root))]
    if not pictures:
        raise InputError(
            f"{root} holds no pictures; give a folder with one folder of pictures for each class."
        )
    loose = [path for path in pictures if len(path.parts) < 2 or path.parts[-2] in _SPLITS]
    if loose:
        raise InputError(
            f"{root / loose[0]} lies in no class folder; give a folder with one folder of pictures "
            "for each class."
        )
    labels = {path.parts[-2] for path in pictures}
    if {label.lower() for label in labels} & _NOT_CLASSES or len(labels) < 2:
        lie_in = ", ".join(sorted(labels)[:5])
        raise InputError(
            f"{root} holds no class folders (the pictures lie in: {lie_in}); "
            "give a folder with one folder of pictures for each of two or more classes."
        )
    return tuple(
        LabelSample(path.as_posix(), root / path, path.parts[-2], _split(path))
        for path in sorted(pictures, key=natural)
    )


def natural(path: Path) -> tuple[tuple[int, int | str], ...]:
    """Sort key by which "a10" comes after "a9"."""
    parts = _DIGITS.split(path.as_posix())
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in parts if part)


def _counts(path: Path) -> bool:
    """Whether a file below the root is a picture and lies in no hidden folder."""
    return is_picture(path) and not any(part.startswith((".", "__")) for part in path.parts)


def _split(path: Path) -> str | None:
    named = [_SPLITS[part.lower()] for part in path.parts[:-2] if part.lower() in _SPLITS]
    return named[0] if named else None
