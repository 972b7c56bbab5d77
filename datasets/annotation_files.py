"""What the readers of benchmark annotations share: JSON with one-sentence mistakes, pictures.

    from terralogue.datasets.annotation_files import PictureFolder, read_rows

Pictures lie beside the annotations or in folders below them, under the stated name or, in a
re-encoded copy, under the same name with another suffix.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from terralogue.datasets.errors import InputError

Row = dict[str, Any]

_HEAD: Final = 65_536
# Where a copy is not complete, its first pictures may be the ones that are missing.
SUFFIXES: Final = (".webp", ".jpg", ".png", ".jpeg", ".tif", ".tiff", ".bmp")
# Where a copy is not complete, its first pictures may be the ones that are missing.
_TRIED: Final = 50
_LEVELS: Final = 3


def head(path: Path) -> str:
    """The first 64 KiB of a text file; "" where it is none."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(_HEAD)
    except (OSError, UnicodeDecodeError):
        return ""


def read_json(path: Path) -> Any:
    """Content of a JSON file.

    Raises:
        InputError: not readable, or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path} is not valid JSON ({error.msg}, line {error.lineno}); fetch the file again."
        ) from error


def read_rows(path: Path, key: str | None = None) -> list[Row]:
    """The entries of a JSON list, or of the list under a key.

    Raises:
        InputError: not readable, not such a list, or empty.
    """
    content = read_json(path)
    rows = content if key is None else content.get(key) if isinstance(content, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        what = "list of entries" if key is None else f'list "{key}"'
        raise InputError(f"{path} has no {what}; give the file as its authors publish it.")
    return rows


def text(row: Row, key: str, where: str) -> str:
    """A field as one line of text; numbers are written out.

    Raises:
        InputError: absent or empty.
    """
    value = row.get(key)
    line = " ".join(str(value).split()) if isinstance(value, str | int | float) else ""
    if not line:
        raise InputError(f'{where} has no "{key}"; give the file as its authors publish it.')
    return line


def inside(name: str, where: str) -> str:
    """A relative path, as stated by annotations.

    Raises:
        InputError: it points outside the data set.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{where} points outside the data set: {name}.")
    return str(path)


class PictureFolder:
    """The folder that the names of pictures are relative to: below a root, three levels at most.

    Args:
        root: folder of the annotations; it is taken itself where no picture is found.
        names: as stated by the annotations; the first fifty are looked for.
    """

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self.path = root
        tried = list(dict.fromkeys(names))[:_TRIED]
        for folder in _folders(root):
            if any(_located(folder, name).exists() for name in tried):
                self.path = folder
                break

    def __call__(self, name: str) -> Path:
        """Path of a picture: as named, else with another suffix, else as named."""
        return _located(self.path, name)


def _folders(root: Path) -> Iterator[Path]:
    """A folder and those below it, wide before deep."""
    level = [root]
    for _ in range(_LEVELS):
        yield from level
        level = sorted(p for folder in level for p in folder.iterdir() if p.is_dir())
    yield from level


def _located(folder: Path, name: str) -> Path:
    stated = folder / name
    if stated.exists():
        return stated
    other = (stated.with_suffix(suffix) for suffix in SUFFIXES)
    return next((path for path in other if path.is_file()), stated)
