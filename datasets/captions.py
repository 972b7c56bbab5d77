"""Captions in Karpathy's JSON layout, as RSICD, RSITMD, UCM-captions and Sydney-captions come.

    {"dataset": …, "images": [{"filename", "split", "sentences": [{"raw"}], "label"?}]}

The pictures lie beside the JSON or in a folder below it, under the stated name or, in a re-encoded
copy, under the same name with another suffix.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from terralogue.datasets.annotation_files import PictureFolder
from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import CaptionSample, unique_names

_HEAD = 65_536


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
    pictures = PictureFolder(path.parent, [row.name for row in rows])
    samples = tuple(
        CaptionSample(row.name, pictures(row.name), row.captions, row.label, row.split)
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
