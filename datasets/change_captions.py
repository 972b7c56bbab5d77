"""LEVIR-CC and LEVIR-MCI: pairs of pictures with five sentences on what changed.

    LevirCCcaptions.json  {"images": [{"filename": "train_000001.png", "filepath": "train",
                                       "split", "sentences": [{"raw"}], "changeflag"}]}
    images/train/A/train_000001.png (before), images/train/B/train_000001.png (after)

Layout: github.com/Chen-Yang-Liu/Change-Agent, Multi_change/preprocess_data.py; the folders as its
README and that of RSICC show them. "changeflag" is 0 where nothing changed, and may be absent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from terralogue.datasets.annotation_files import PictureFolder, Row, head, inside, read_rows, text
from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import ChangeSample, unique_names

KEY: Final = "levir_cc"
_FILE: Final = "LevirCCcaptions.json"


def find_levir(path: Path) -> Path | None:
    """The caption file at a path: the file itself, or the one in the folder; None for others."""
    file = path / _FILE if path.is_dir() else path
    if file.suffix.lower() != ".json" or not file.is_file():
        return None
    start = head(file)
    stated = file.name == _FILE or '"changeflag"' in start
    return file if stated and '"images"' in start and '"sentences"' in start else None


def read_levir(path: Path) -> tuple[str, tuple[ChangeSample, ...]]:
    """Read a caption file. The pictures are not checked.

    Raises:
        InputError: not readable, or an entry does not follow the layout.
    """
    rows = read_rows(path, "images")
    names = [_names(row, f"{path}, image {n}") for n, row in enumerate(rows, 1)]
    unique_names([after for _, after in names], path)
    located = PictureFolder(path.parent, [before for before, _ in names])
    samples = []
    for number, (row, pair) in enumerate(zip(rows, names, strict=True), 1):
        where = f"{path}, image {number}"
        flag, split = row.get("changeflag"), row.get("split") or row.get("filepath")
        name = text(row, "filename", where)
        samples.append(
            ChangeSample(
                name=name,
                place=name,
                pictures=tuple(located(picture) for picture in pair),
                captions=_captions(row, where),
                changed=None if flag is None else bool(int(flag)),
                split=str(split) if split else None,
            )
        )
    return KEY, tuple(samples)


def _names(row: Row, where: str) -> tuple[str, str]:
    """Names of the two pictures below "images"."""
    folder = str(row.get("filepath") or row.get("split") or "")
    name = text(row, "filename", where)
    before, after = (inside(f"{folder}/{date}/{name}".lstrip("/"), where) for date in ("A", "B"))
    return before, after


def _captions(row: Row, where: str) -> tuple[str, ...]:
    sentences = row.get("sentences")
    if not isinstance(sentences, list) or not sentences:
        raise InputError(f'{where} has no "sentences"; fetch the file again.')
    return tuple(text(sentence, "raw", where) for sentence in sentences)
