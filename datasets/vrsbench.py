"""VRSBench: questions, captions and referring expressions on 512 pixel chips of DOTA and DIOR.

    VRSBench_EVAL_vqa.json        [{"image_id", "question", "ground_truth", "question_id", "type"}]
    VRSBench_EVAL_Cap.json        [{…, "type": "caption"}]
    VRSBench_EVAL_referring.json  [{…, "ground_truth": "{<25><40><33><60>}", "type": "ref",
                                    "unique", "obj_cls", "obj_corner", "size_group"}]

The pictures lie in "Images_val". Boxes are hundredths of the width and height: left, top, right,
bottom, which official scores are computed from.

Layout: github.com/lx709/VRSBench, prepare_eval_all.ipynb.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from PIL import Image

from terralogue.datasets.annotation_files import PictureFolder, Row, head, inside, read_rows, text
from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import Box, CaptionSample, GroundingSample, VQASample

KEY: Final = "vrsbench"
_BOX: Final = re.compile(r"\{<(\d+)><(\d+)><(\d+)><(\d+)>\}")
_TYPE: Final = re.compile(r'"type"\s*:\s*"([^"]*)"')
_CAPTION, _REFERRING = "caption", "ref"


def vrsbench_type(path: Path) -> str | None:
    """What the first entry of a file is: "caption", "ref" or "vqa"; None for any other file."""
    start = head(path) if path.suffix.lower() == ".json" else ""
    if not start.lstrip().startswith("[") or '"image_id"' not in start:
        return None
    found = _TYPE.search(start) if '"ground_truth"' in start else None
    if found is None:
        return None
    return found[1] if found[1] in (_CAPTION, _REFERRING) else "vqa"


def read_questions(path: Path) -> tuple[str, tuple[VQASample, ...]]:
    """Read the questions.

    Raises:
        InputError: not readable, or an entry does not follow the layout.
    """
    rows, located = _rows(path)
    samples = []
    for number, (image, row) in enumerate(rows):
        where = f"{path}, entry {number + 1}"
        question, answer = text(row, "question", where), text(row, "ground_truth", where)
        kind = text(row, "type", where)
        samples.append(VQASample(f"vqa/{number}", image, (located(image),), question, answer, kind))
    return KEY, tuple(samples)


def read_captions(path: Path) -> tuple[str, tuple[CaptionSample, ...]]:
    """Read the captions, one for each picture.

    Raises:
        InputError: not readable, or an entry does not follow the layout.
    """
    rows, located = _rows(path)
    return KEY, tuple(
        CaptionSample(image, located(image), (text(row, "ground_truth", f"{path}, {image}"),))
        for image, row in rows
    )


def read_referring(path: Path) -> tuple[str, tuple[GroundingSample, ...]]:
    """Read the referring expressions; the header of each picture tells its size.

    Raises:
        InputError: not readable, an entry does not follow the layout, or a picture is missing.
    """
    rows, located = _rows(path)
    sizes: dict[str, tuple[int, int]] = {}
    samples = []
    for number, (image, row) in enumerate(rows):
        where = f"{path}, entry {number + 1}"
        picture = located(image)
        if image not in sizes:
            sizes[image] = picture_size(picture, where)
        width, height = sizes[image]
        found = _BOX.fullmatch(text(row, "ground_truth", where))
        if found is None:
            raise InputError(
                f'{where} has no box like "{{<25><40><33><60>}}"; fetch the file again.'
            )
        left, top, right, bottom = (int(found[i]) / 100 for i in range(1, 5))
        box = Box(left * width, top * height, right * width, bottom * height)
        label, unique = row.get("obj_cls"), row.get("unique")
        samples.append(
            GroundingSample(
                name=f"referring/{number}",
                place=image,
                path=picture,
                size=(width, height),
                expression=text(row, "question", where),
                boxes=(box,),
                label=str(label) if label else None,
                unique=unique if isinstance(unique, bool) else None,
            )
        )
    return KEY, tuple(samples)


def picture_size(path: Path, where: str) -> tuple[int, int]:
    """Width and height of a picture, from its header.

    Raises:
        InputError: missing, or not a picture.
    """
    try:
        with Image.open(path) as picture:
            return picture.size
    except OSError as error:
        raise InputError(
            f"{where} refers to {path}, which cannot be opened as a picture ({error}); complete "
            "the data."
        ) from error


def _rows(path: Path) -> tuple[list[tuple[str, Row]], PictureFolder]:
    """Name of the picture and entry, and where the pictures lie."""
    rows = []
    for number, row in enumerate(read_rows(path), 1):
        where = f"{path}, entry {number}"
        rows.append((inside(text(row, "image_id", where), where), row))
    return rows, PictureFolder(path.parent, [image for image, _ in rows])
