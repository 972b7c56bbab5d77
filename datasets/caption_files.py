"""Captions of GAIA and ChatEarthNet.

GAIA publishes web addresses; img2dataset fetches the pictures and writes, for each, its picture and
its JSON side by side, as files or as tar files that have to be unpacked:

    train/00000/000000000.png, train/00000/000000000.json  {"id", "captions": […], "url", …}

ChatEarthNet (Sentinel-2, captions by ChatGPT 3.5 or 4V):

    json_files/ChatEarthNet_caps_35_train.json   [{"image" or "image_id", "caption"}]
    s2_rgb_images/s2_images/…

Layouts: github.com/Orion-AI-Lab/GAIA, README.md, with the command for img2dataset;
doi:10.5281/zenodo.11003436 for the names of ChatEarthNet's files, and public loaders for their
entries, which agree on them but for the name of the first field.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from terralogue.datasets.annotation_files import (
    SUFFIXES,
    PictureFolder,
    head,
    inside,
    read_json,
    read_rows,
)
from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import CaptionSample, unique_names

GAIA: Final = "gaia"
CHATEARTHNET: Final = "chatearthnet"
_CHAT_FILE: Final = re.compile(r"^ChatEarthNet_caps_(?P<by>\w+)_(?P<split>train|val|test)\.json$")
_SPLITS: Final = {"train": "train", "val": "val", "validation": "val", "test": "test"}
# Summaries that img2dataset writes beside its folders.
_STATISTICS: Final = "_stats.json"


def is_gaia(path: Path) -> bool:
    """Whether a folder is what img2dataset made of GAIA, judged by the first entry in it."""
    first = next(entries(path), None) if path.is_dir() else None
    start = head(first) if first is not None else ""
    return '"captions"' in start and '"url"' in start


def read_gaia(path: Path) -> tuple[str, tuple[CaptionSample, ...]]:
    """Read a folder; a folder named after a split tells the split of what lies in it.

    Raises:
        InputError: an entry has no captions.
    """
    samples = []
    for file in entries(path):
        content = read_json(file)
        captions = content.get("captions") if isinstance(content, dict) else None
        if not isinstance(captions, list) or not captions:
            raise InputError(
                f'{file} has no "captions"; fetch with --save_additional_columns "[\'id\','
                "'captions']\"."
            )
        name = file.relative_to(path).with_suffix("").as_posix()
        folders = (path.name, *file.relative_to(path).parts)
        parts = [_SPLITS[folder] for folder in folders if folder in _SPLITS]
        pictures = [file.with_suffix(suffix) for suffix in SUFFIXES]
        samples.append(
            CaptionSample(
                name,
                next((p for p in pictures if p.is_file()), file.with_suffix(".png")),
                tuple(" ".join(str(caption).split()) for caption in captions),
                split=parts[-1] if parts else None,
            )
        )
    return GAIA, tuple(samples)


def find_chatearthnet(path: Path) -> list[Path]:
    """ChatEarthNet's caption files at a path: itself, or those in the folder or its "json_files".

    Raises:
        InputError: files of both versions.
    """
    if path.is_file():
        return [path] if _CHAT_FILE.match(path.name) else []
    found = {
        file: match["by"]
        for folder in (path, path / "json_files")
        for file in sorted(folder.glob("ChatEarthNet_caps_*.json"))
        if (match := _CHAT_FILE.match(file.name))
    }
    if len(set(found.values())) > 1:
        raise InputError(
            f"{path} holds captions of several versions ({', '.join(sorted(set(found.values())))})"
            "; give one of the files."
        )
    return list(found)


def read_chatearthnet(path: Path) -> tuple[str, tuple[CaptionSample, ...]]:
    """Read the caption files at a path. The pictures are not checked.

    Raises:
        InputError: not readable, or an entry does not follow the layout.
    """
    samples: list[CaptionSample] = []
    for file in find_chatearthnet(path):
        match = _CHAT_FILE.match(file.name)
        rows = []
        for number, row in enumerate(read_rows(file), 1):
            where = f"{file}, entry {number}"
            name, stated = row.get("image", row.get("image_id")), row.get("caption")
            captions = stated if isinstance(stated, list) else [stated]
            if not name or not captions or not all(isinstance(c, str) and c for c in captions):
                raise InputError(f'{where} has no "image" with a "caption"; fetch the file again.')
            rows.append(
                (inside(str(name), where), tuple(" ".join(str(c).split()) for c in captions))
            )
        root = file.parent.parent if file.parent.name == "json_files" else file.parent
        located = PictureFolder(root, [name for name, _ in rows])
        split = None if match is None else match["split"]
        samples += [CaptionSample(name, located(name), texts, split=split) for name, texts in rows]
    unique_names([sample.name for sample in samples], path)
    return CHATEARTHNET, tuple(samples)


def entries(root: Path) -> Iterator[Path]:
    """JSON files below a folder, in order, without img2dataset's statistics."""
    for folder, inner, names in os.walk(root):
        inner.sort()
        for name in sorted(names):
            if name.endswith(".json") and not name.endswith(_STATISTICS):
                yield Path(folder, name)
