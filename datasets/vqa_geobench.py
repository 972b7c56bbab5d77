"""GEOBench-VLM: questions with five options on one picture, or on the dates of one place.

    GEOBench-VLM/Single/qa.json, GEOBench-VLM/Temporal/qa.json
    [{"image_path": "images/…" or […], "prompts": […], "ground_truth", "ground_truth_option": "B",
      "options_list": […], "options", "task", "question_id", "cls_description"}]

Paths of pictures are relative to the folder above "Single". Every prompt of an entry is a question
of its own, as in the official scripts. Captions, referring expressions and masks of the set are not
read: its repository holds no code that shows their layout.

Layout: github.com/The-AI-Alliance/GEO-Bench-VLM, eval_geobenchvlm/qwen_cls_single.py and
temporal/qwen_cls_temporal.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from terralogue.datasets.annotation_files import PictureFolder, Row, head, inside, read_rows, text
from terralogue.datasets.errors import InputError
from terralogue.datasets.multiple_choice import bare_options, letters
from terralogue.datasets.samples import VQASample

KEY: Final = "geobench_vlm"
_FOLDERS: Final = ("Single", "Temporal")


def find_geobench(path: Path) -> list[Path]:
    """The files of questions at a path: the file itself, or those below the folder of the set."""
    if path.is_file():
        start = head(path) if path.suffix.lower() == ".json" else ""
        keys = ('"prompts"', '"ground_truth_option"', '"options_list"', '"image_path"')
        return [path] if all(key in start for key in keys) else []
    files = (path / folder / "qa.json" for folder in _FOLDERS)
    return [file for file in (*files, path / "qa.json") if file.is_file() and find_geobench(file)]


def read_geobench(path: Path) -> tuple[str, tuple[VQASample, ...]]:
    """Read the questions; the folder of a file is part of their names.

    Raises:
        InputError: not readable, or an entry does not follow the layout.
    """
    samples: list[VQASample] = []
    for file in find_geobench(path):
        rows = read_rows(file)
        places = [_places(row, f"{file}, entry {n}") for n, row in enumerate(rows, 1)]
        located = PictureFolder(file.parent.parent, [place[0] for place in places])
        for number, (row, place) in enumerate(zip(rows, places, strict=True)):
            where = f"{file}, entry {number + 1}"
            pictures = tuple(located(name) for name in place)
            name = f"{file.parent.name.lower()}/{number}"
            samples.extend(_samples(row, name, place[0], pictures, where))
    return KEY, tuple(samples)


def _places(row: Row, where: str) -> list[str]:
    stated = row.get("image_path")
    names = stated if isinstance(stated, list) else [stated]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise InputError(f'{where} has no "image_path"; fetch the file again.')
    return [inside(str(name), where) for name in names]


def _samples(
    row: Row, name: str, place: str, pictures: tuple[Path, ...], where: str
) -> list[VQASample]:
    """One question for each prompt."""
    listed, prompts = row.get("options_list"), row.get("prompts")
    if not isinstance(listed, list) or len(listed) < 2:
        raise InputError(f'{where} has no "options_list"; fetch the file again.')
    if not isinstance(prompts, list) or not prompts:
        raise InputError(f'{where} has no "prompts"; fetch the file again.')
    options = bare_options([str(option) for option in listed])
    answer = letters(text(row, "ground_truth_option", where), len(options), where)
    # The official prompt puts the description of the classes in front.
    classes = " ".join(str(row.get("cls_description") or "").split())
    return [
        VQASample(
            name=f"{name}/{number}",
            place=place,
            pictures=pictures,
            question=f"{classes} {' '.join(str(prompt).split())}".strip(),
            answer=answer,
            kind=text(row, "task", where),
            options=options,
        )
        for number, prompt in enumerate(prompts)
    ]
