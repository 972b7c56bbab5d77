"""RSIVQA: questions on pictures of UC Merced, Sydney, AID, HRRSD and DOTA.

    1.tif:What is the theme of this picture?farmland          UCM/ucm_res.txt
    P2802: how many planes are there in this picture?32       DOTA/dota_val_vqa2.txt

The picture lies beside the text or in one folder below it; DOTA and HRRSD state no suffix. A copy
on pictures of UC Merced comes as JSON, [{"image": "agricultural/agricultural00.webp", "question",
"answer"}].

Some published questions lack their noun ("How many  in the picture?"); they are kept, because
published scores include them.

Layout: github.com/spectralpublic/RSIVQA, the text files below RSIVQA/. Types of question are not
stated there; they are told from the first words.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from terralogue.datasets.annotation_files import PictureFolder, head, inside, read_rows, text
from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import VQASample

_LINE: Final = re.compile(r"^(?P<image>[^:?]+):\s*(?P<question>[^?]+\?)(?P<answer>.+)$")
# First words of every question in the published files.
_KINDS: Final = (
    ("what is the theme", "theme"),
    ("how many", "count"),
    ("does this picture contain", "presence"),
    ("what is the location", "location"),
)


def is_rsivqa(path: Path) -> bool:
    """Whether a file looks like questions of RSIVQA, as text or JSON, judged by its start."""
    if path.suffix.lower() == ".txt":
        return _LINE.match(head(path).split("\n", 1)[0].strip()) is not None
    start = head(path) if path.suffix.lower() == ".json" else ""
    keys = ('"image"', '"question"', '"answer"')
    return start.lstrip().startswith("[") and all(key in start for key in keys)


def read_rsivqa(path: Path) -> tuple[str | None, tuple[VQASample, ...]]:
    """Read one file of questions.

    Returns:
        Key of the data set, and the questions in file order. The pictures are not checked.

    Raises:
        InputError: a line or entry does not follow the layout.
    """
    is_text = path.suffix.lower() == ".txt"
    rows = _lines(path) if is_text else _entries(path)
    located = PictureFolder(path.parent, [image for image, _, _ in rows])
    samples = tuple(
        VQASample(
            name=f"{path.stem}/{number}",
            place=image,
            pictures=(located(image),),
            question=question,
            answer=answer,
            kind=kind_of(question),
        )
        for number, (image, question, answer) in enumerate(rows)
    )
    return "rsivqa" if is_text else "rsivqa_ucm", samples


def kind_of(question: str) -> str:
    """Type of a question: theme, count, presence or location; "" for any other."""
    asked = question.casefold()
    return next((kind for words, kind in _KINDS if asked.startswith(words)), "")


def _lines(path: Path) -> list[tuple[str, str, str]]:
    """Picture, question and answer of each line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        found = _LINE.match(line.strip())
        if found is None:
            raise InputError(
                f"{path}, line {number} is not picture:question?answer; fetch the file again."
            )
        image = inside(found["image"].strip(), f"{path}, line {number}")
        rows.append((image, " ".join(found["question"].split()), found["answer"].strip()))
    return rows


def _entries(path: Path) -> list[tuple[str, str, str]]:
    rows = []
    for number, row in enumerate(read_rows(path), 1):
        where = f"{path}, entry {number}"
        image = inside(text(row, "image", where), where)
        rows.append((image, text(row, "question", where), text(row, "answer", where)))
    return rows
