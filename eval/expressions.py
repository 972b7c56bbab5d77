"""Words that refer to things, from referring benchmarks or from the boxes of detection data.

Detection data in COCO's layout ("annotations.json" beside "images"; NWPU VHR-10, RSOD) give one
expression for each class in a picture, its name, which refers to all things of that class.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Final

from terralogue.datasets.annotation_files import PictureFolder, inside, read_json, text
from terralogue.datasets.errors import InputError
from terralogue.datasets.label_names import readable
from terralogue.datasets.registry import read_grounding
from terralogue.datasets.samples import Box, GroundingSample, Samples

_FILE: Final = "annotations.json"
_LISTS: Final = ("images", "annotations", "categories")
# Data sets that parts were cut for, by a class that only they have.
_KNOWN: Final = {"baseball diamond": "nwpu_vhr10", "overpass": "rsod"}


def read_expressions(
    path: Path, split: str | None = None, dataset: str | None = None
) -> Samples[GroundingSample]:
    """Read referring expressions, or what detection data give.

    Args:
        path: file or folder.
        split: see `samples.py`.
        dataset: key in DATASETS, where the content does not tell it.

    Raises:
        InputError: nothing of the kind there, broken, or pictures are missing.
    """
    file = path / _FILE if path.is_dir() else path
    if file.suffix.lower() == ".json" and file.is_file():
        content = read_json(file)
        if isinstance(content, dict) and all(isinstance(content.get(k), list) for k in _LISTS):
            return _from_boxes(file, content).chosen(split).checked()
    return read_grounding(path, split, dataset)


def _from_boxes(
    file: Path, content: dict[str, list[dict[str, object]]]
) -> Samples[GroundingSample]:
    try:
        nouns = {row["id"]: readable(str(row["name"])) for row in content["categories"]}
        boxes: dict[object, dict[str, list[Box]]] = defaultdict(lambda: defaultdict(list))
        for row in content["annotations"]:
            left, top, width, height = map(float, row["bbox"])  # type: ignore[call-overload]
            box = Box(left, top, left + width, top + height)
            boxes[row["image_id"]][nouns[row["category_id"]]].append(box)
        names = [inside(text(row, "file_name", str(file)), str(file)) for row in content["images"]]
        located = PictureFolder(file.parent, names)
        items = tuple(
            GroundingSample(
                name=f"{name}#{noun}",
                place=name,
                path=located(name),
                size=(int(row["width"]), int(row["height"])),  # type: ignore[call-overload]
                expression=noun,
                boxes=tuple(found),
                label=noun,
                unique=len(found) == 1,
            )
            for name, row in zip(names, content["images"], strict=True)
            for noun, found in boxes[row["id"]].items()
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file} does not follow COCO's layout ({type(error).__name__}: {error}); fetch the "
            "file again."
        ) from error
    if not items:
        raise InputError(f"{file} has no boxes; give the file of another split.")
    known = next((key for noun, key in _KNOWN.items() if noun in nouns.values()), None)
    return Samples(file.parent, known, items, file)
