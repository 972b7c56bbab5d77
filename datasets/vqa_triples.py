"""RSVQA and CDVQA: three JSON files for each split, with pictures, questions and answers.

    LR_split_train_images.json     {"images": [{"id", "active"}]}
    LR_split_train_questions.json  {"questions": [{"id", "img_id", "type", "question",
                                                   "answers_ids", "active"}]}
    LR_split_train_answers.json    {"answers": [{"id", "question_id", "answer", "active"}]}

Entries that are not active belong to another split and carry nothing but their id. The pictures of
RSVQA are named after the id ("Images_LR/9.tif", "Data/9.tif"). CDVQA states "file_name", and the
two dates of SECOND lie in "im1" and "im2".

Layout: github.com/syvlo/RSVQA (VQA_model/VQALoader.py), github.com/YZHJessica/CDVQA
(Val_images.json, Val_questions.json, Test_answers.json).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from terralogue.datasets.annotation_files import PictureFolder, Row, inside, read_rows, text
from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import VQASample

_FILES: Final = ("images", "questions", "answers")
_NAME: Final = re.compile(rf"^(?P<stem>.+)_(?:{'|'.join(_FILES)})\.json$", re.IGNORECASE)
_SPLIT: Final = re.compile(r"_split_", re.IGNORECASE)
_EVERYTHING: Final = "all"
_BEFORE, _AFTER = "im1", "im2"


def find_triples(path: Path) -> list[tuple[Path, str]]:
    """The sets of three files at a path: folder and stem, such as "LR_split_train".

    Args:
        path: one of the three files, or their folder. In a folder, "all_questions.json" and its
            companions repeat the splits, and count only where there are no splits.
    """
    if path.is_file():
        found = _NAME.match(path.name)
        return [(path.parent, found["stem"])] if found else []
    stems = {m["stem"] for file in path.glob("*_questions.json") if (m := _NAME.match(file.name))}
    split = sorted(stem for stem in stems if stem.lower() != _EVERYTHING)
    return [(path, stem) for stem in split or sorted(stems)]


def files(folder: Path, stem: str) -> tuple[Path, ...]:
    """The three files of a set, questions first."""
    return tuple(folder / f"{stem}_{what}.json" for what in ("questions", "answers", "images"))


def read_triples(path: Path) -> tuple[str | None, tuple[VQASample, ...]]:
    """Read all sets of three files at a path.

    Returns:
        Key of the data set, None where it cannot be told; and the questions in file order.

    Raises:
        InputError: a file is missing or broken, or questions, answers and pictures do not meet.
    """
    read = [_read(folder, stem) for folder, stem in find_triples(path)]
    keys = {key for key, _ in read}
    if len(keys) > 1:
        raise InputError(
            f"{path} holds questions of several data sets; give one of their questions files."
        )
    return keys.pop(), tuple(sample for _, samples in read for sample in samples)


def _read(folder: Path, stem: str) -> tuple[str | None, list[VQASample]]:
    paths = {what: folder / f"{stem}_{what}.json" for what in _FILES}
    for what, path in paths.items():
        if not path.is_file():
            raise InputError(f"{path} is missing, which lists the {what} of {stem}; add the file.")
    rows = {what: _active(paths[what], what) for what in _FILES}
    pictures = {row["id"]: row for row in rows["images"]}
    answers = {row["id"]: row for row in rows["answers"]}
    pairs = any("file_name" in row for row in rows["images"])
    located = PictureFolder(folder, [_names(row, pairs)[0] for row in rows["images"]])
    split = _SPLIT.split(stem)[-1].lower()
    samples = []
    for row in rows["questions"]:
        where = f"{paths['questions']}, question {row['id']}"
        if row.get("img_id") not in pictures:
            raise InputError(f'{where} has an "img_id" that {paths["images"].name} does not list.')
        ids = row.get("answers_ids")
        answer = answers.get(ids[0]) if isinstance(ids, list) and ids else None
        if answer is None:
            raise InputError(f'{where} has "answers_ids" that {paths["answers"].name} lacks.')
        picture = pictures[row["img_id"]]
        samples.append(
            VQASample(
                name=f"{stem}/{row['id']}",
                place=_names(picture, pairs=False)[0],
                pictures=tuple(located(name) for name in _names(picture, pairs)),
                question=text(row, "question", where),
                answer=text(answer, "answer", f"{paths['answers']}, answer {answer['id']}"),
                kind=text(row, "type", where),
                split=None if split == _EVERYTHING else split,
            )
        )
    return _key(stem, pairs, samples), samples


def _active(path: Path, what: str) -> list[Row]:
    """Entries that belong to this split."""
    rows = [row for row in read_rows(path, what) if row.get("active", True)]
    for number, row in enumerate(rows, 1):
        if not isinstance(row.get("id"), int):
            raise InputError(f'{path}, entry {number} has no "id"; fetch the file again.')
    if not rows:
        raise InputError(f"{path} has no active entries; give the file of another split.")
    return rows


def _names(picture: Row, pairs: bool) -> tuple[str, ...]:
    """Names of the files of a picture below their folder."""
    if "file_name" not in picture:
        return (str(picture["id"]),)
    name = inside(str(picture["file_name"]), f"picture {picture['id']}")
    return (f"{_BEFORE}/{name}", f"{_AFTER}/{name}") if pairs else (name,)


def _key(stem: str, pairs: bool, samples: list[VQASample]) -> str | None:
    if pairs:
        return "cdvqa"
    kinds = {sample.kind for sample in samples}
    if "rural_urban" in kinds or stem.upper().startswith("LR_"):
        return "rsvqa_lr"
    return "rsvqa_hr" if "area" in kinds or stem.upper().startswith("USGS_") else None
