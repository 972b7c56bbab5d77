"""Captions in Karpathy's JSON layout, as RSICD, RSITMD, UCM-captions and Sydney-captions come.

    {"dataset": …, "images": [{"filename", "split", "sentences": [{"raw"}], "label"?}]}

The pictures lie beside the JSON or in a folder below it, under the stated name or, in a re-encoded
copy, under the same name with another suffix.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import CaptionSample, unique_names

SUFFIXES: Final = (".webp", ".jpg", ".png", ".jpeg", ".tif", ".tiff", ".bmp")
_HEAD = 65_536
# Where a copy is not complete, its first pictures may be the ones that are missing.
_TRIED = 50


def is_captions(path: Path) -> bool:
    """Whether a JSON file looks like captions, judged by its first 64 KiB."""
    try:
        with path.open(encoding="utf-8") as file:
            head = file.read(_HEAD)
    except (OSError, UnicodeDecodeError):
        return False
    return '"images"' in head and '"sentences"' in head


def read_karpathy(path: Path) -> tuple[str, tuple[CaptionSample, ...]]:
    """Read a caption file.

    Returns:
        What the file calls its data set ("" where it does not say), and the samples. Their pictures
        are not checked; see `Samples.checked`.

    Raises:
        InputError: not readable, not in the layout, or without images.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path} is not valid JSON ({error.msg}, line {error.lineno}); fetch the file again."
        ) from error
    entries = content.get("images") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise InputError(
            f'{path} has no list "images"; give a caption file in Karpathy\'s layout, such as '
            "dataset_rsicd.json."
        )
    rows = [_row(entry, f"{path}, image {number}") for number, entry in enumerate(entries, 1)]
    unique_names([row.name for row in rows], path)
    folder = _picture_folder(path.parent, rows)
    samples = tuple(
        CaptionSample(row.name, _located(folder, row.name), row.captions, row.label, row.split)
        for row in rows
    )
    return str(content.get("dataset") or ""), samples


def _row(entry: Any, where: str) -> CaptionSample:
    """One entry, its path not yet looked for."""
    if not isinstance(entry, dict) or not isinstance(entry.get("filename"), str):
        raise InputError(f'{where} has no "filename"; see the layout of dataset_rsicd.json.')
    # COCO's and LEVIR-CC's variants put the folder in a field of its own.
    name = PurePosixPath(str(entry.get("filepath") or ""), entry["filename"])
    if name.is_absolute() or ".." in name.parts:
        raise InputError(f"{where} points outside the data set: {name}.")
    sentences = entry.get("sentences")
    texts = [_text(s) for s in sentences] if isinstance(sentences, list) else []
    captions = tuple(text for text in texts if text)
    if not captions:
        raise InputError(f"{where} ({name}) has no caption; remove the entry, or add its captions.")
    label, split = entry.get("label"), entry.get("split")
    return CaptionSample(
        str(name),
        Path(name),
        captions,
        str(label) if label else None,
        str(split) if split else None,
    )


def _text(sentence: Any) -> str:
    if not isinstance(sentence, dict):
        return ""
    tokens = sentence.get("tokens")
    raw = sentence.get("raw") or (" ".join(map(str, tokens)) if isinstance(tokens, list) else "")
    return " ".join(str(raw).split())


def _picture_folder(root: Path, rows: list[CaptionSample]) -> Path:
    """The folder that the names are relative to; the JSON's own where no picture is found."""
    for folder in _folders(root):
        if any(_located(folder, row.name).is_file() for row in rows[:_TRIED]):
            return folder
    return root


def _folders(root: Path) -> Iterator[Path]:
    """A folder and those below it, three levels, wide before deep."""
    level = [root]
    for _ in range(3):
        yield from level
        level = sorted(p for folder in level for p in folder.iterdir() if p.is_dir())
    yield from level


def _located(folder: Path, name: str) -> Path:
    """Path of a picture: as named, else the same name with another suffix, else as named."""
    stated = folder / name
    if stated.is_file():
        return stated
    other = (stated.with_suffix(suffix) for suffix in SUFFIXES)
    return next((path for path in other if path.is_file()), stated)
