"""DVL-Bench (DynamicVL): questions and texts on series of NAIP pictures of cities.

    test/basic_change_choice_qa.json, test/change_speed_choice_qa.json
        [{"task_type": "Single choice" | "Multiple choice", "prompts", "options_str",
          "ground_truth_option", "image_list": ["images/…"], "time_stamps": ["2006…"]}]
    test/eco_assessment.json          [{"image_path", "prompts", "options_str",
                                        "ground_truth_option"}]
    test/dense_temporal_caption.json, regional_caption.json, basic_change_report_qa.json,
    test/change_speed_report_qa.json  [{"ground_truth", "image_list", "time_stamps"}]

Paths of pictures are relative to the folder of the file; "train" is DVL-Instruct. Types are called
as in the published tables. Options that cannot be told apart stay at the end of the question.
Referring change detection, whose answers are masks, is not read.

Layout: github.com/weihao1115/dynamicvl, src/dvl/vqa/dataset.py, pretty_print/acc_table.py and
pretty_print/gpt_eval.py.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

from terralogue.datasets.annotation_files import Row, inside, read_rows, text
from terralogue.datasets.errors import InputError
from terralogue.datasets.multiple_choice import letters, split_options
from terralogue.datasets.samples import ChangeSample, VQASample

KEY: Final = "dvl_bench"
QUESTIONS: Final = {
    "basic_change_choice_qa": "BCA-QA",
    "change_speed_choice_qa": "CSE-QA",
    "eco_assessment": "EA",
}
TEXTS: Final = {
    "basic_change_report_qa": "BCA-Report",
    "change_speed_report_qa": "CSE-Report",
    "dense_temporal_caption": "DTC",
    "regional_caption": "RCC",
}
_CHOICES: Final = {"Single choice": "single", "Multiple choice": "multiple"}
_SPLITS: Final = ("train", "test")


def find_questions(path: Path) -> list[Path]:
    """The files of questions at a path: itself, or those in the folder, its "train" and "test"."""
    return _find(path, QUESTIONS)


def find_texts(path: Path) -> list[Path]:
    """The files of texts at a path, as `find_questions`."""
    return _find(path, TEXTS)


def read_questions(path: Path) -> tuple[str, tuple[VQASample, ...]]:
    """Read the questions.

    Raises:
        InputError: not readable, or an entry does not follow the layout.
    """
    samples: list[VQASample] = []
    for file in find_questions(path):
        for number, row in enumerate(read_rows(file)):
            samples.append(_question(file, number, row))
    return KEY, tuple(samples)


def read_texts(path: Path) -> tuple[str, tuple[ChangeSample, ...]]:
    """Read reports and captions.

    Raises:
        InputError: not readable, or an entry does not follow the layout.
    """
    samples: list[ChangeSample] = []
    for file in find_texts(path):
        for number, row in enumerate(read_rows(file)):
            where = f"{file}, entry {number + 1}"
            names, dates = _series(row, where)
            samples.append(
                ChangeSample(
                    name=_name(file, number),
                    place=str(PurePosixPath(names[0]).parent),
                    pictures=tuple(file.parent / name for name in names),
                    captions=(text(row, "ground_truth", where),),
                    kind=TEXTS[file.stem],
                    dates=dates,
                    split=_split(file),
                )
            )
    return KEY, tuple(samples)


def _find(path: Path, known: dict[str, str]) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" and path.stem in known else []
    folders = (path, *(path / split for split in _SPLITS))
    return [
        file for folder in folders for stem in known if (file := folder / f"{stem}.json").is_file()
    ]


def _question(file: Path, number: int, row: Row) -> VQASample:
    where = f"{file}, entry {number + 1}"
    kind = QUESTIONS[file.stem]
    names, dates = _series(row, where)
    if "task_type" in row:
        task = text(row, "task_type", where)
        if task not in _CHOICES:
            raise InputError(
                f'{where} has the "task_type" {task!r}; known are: {", ".join(_CHOICES)}.'
            )
        kind = f"{kind} {_CHOICES[task]}"
    # Line ends tell the options apart, so they are split before lines are joined.
    options = split_options(str(row.get("options_str") or ""))
    listed = text(row, "options_str", where)
    question = text(row, "prompts", where)
    return VQASample(
        name=_name(file, number),
        place=str(PurePosixPath(names[0]).parent),
        pictures=tuple(file.parent / name for name in names),
        question=question if options else f"{question} {listed}",
        answer=letters(text(row, "ground_truth_option", where), len(options), where),
        kind=kind,
        options=options,
        dates=dates,
        split=_split(file),
    )


def _series(row: Row, where: str) -> tuple[list[str], tuple[str, ...]]:
    """Names of the pictures, and their years."""
    if "image_list" not in row:
        return [inside(text(row, "image_path", where), where)], ()
    names, stamps = row["image_list"], row.get("time_stamps")
    if not isinstance(names, list) or not names or not isinstance(stamps, list):
        raise InputError(f'{where} has no "image_list" with "time_stamps"; fetch the file again.')
    if len(names) != len(stamps):
        raise InputError(f"{where} has {len(names)} pictures and {len(stamps)} dates; correct it.")
    return [inside(str(name), where) for name in names], tuple(str(stamp)[:4] for stamp in stamps)


def _name(file: Path, number: int) -> str:
    """As the official scripts name an entry, behind its split."""
    split = _split(file)
    return f"{split}/{file.stem}_{number}" if split else f"{file.stem}_{number}"


def _split(file: Path) -> str | None:
    return file.parent.name if file.parent.name in _SPLITS else None
