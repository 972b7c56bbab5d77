"""Which scenes lie in folders: every image of its own, the files of one acquisition together.

A folder is walked down to its last file. Labels, masks, previews and other things computed from
images are no scenes: they are told apart by their names and left out with a reason.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terralogue.datasets import names
from terralogue.datasets.errors import SceneError
from terralogue.datasets.files import SUFFIXES

# Files that say something about an acquisition, beside its rasters.
_METADATA: Final = (".xml", ".txt", ".hdr")
_ENVI: Final = (".hdr", ".HDR")
# Folders that change-detection and segmentation data sets keep their answers in.
_ANSWERS: Final = re.compile(r"(labels?|masks?|gt|ground_?truth|annotations?)", re.IGNORECASE)
_SCHEME: Final = "1"
"""Part of every stamp: raised when the same file would be indexed in another way."""


@dataclass(frozen=True)
class Unit:
    """The files of one scene.

    Attributes:
        key: tells the scene from all others: path of its file or folder, or folder and shared name.
        source: what `open_scene` takes.
        stamp: changes when a file does: hash of names, sizes and times of modification.
    """

    key: str
    source: Path | tuple[Path, ...]
    stamp: str


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that was not indexed, and why."""

    path: str
    reason: str


def find_units(paths: Sequence[str | Path]) -> Iterator[Unit | LeftOut]:
    """Find the scenes in files and folders, each once.

    A file stands for the scene that it belongs to, with all files of that.

    Raises:
        SceneError: a path does not exist.
    """
    given = [Path(path).expanduser() for path in paths]
    for path in given:
        if not path.exists():
            raise SceneError(f"{path} does not exist; check the path.")
    seen: set[str] = set()
    for item in (*_holding([p.resolve() for p in given if p.is_file()]), *_walk_all(given)):
        key = item.key if isinstance(item, Unit) else item.path
        if key not in seen:
            seen.add(key)
            yield item


def _holding(files: Sequence[Path]) -> Iterator[Unit | LeftOut]:
    """The scenes that files belong to."""
    wanted = set(files)
    for folder in dict.fromkeys(file.parent for file in files):
        for item, used in _in_folder(folder, [path.name for path in folder.iterdir()]):
            if not wanted.isdisjoint(used):
                yield item


def _walk_all(given: Sequence[Path]) -> Iterator[Unit | LeftOut]:
    for path in given:
        if path.is_dir():
            yield from _walk(path.resolve())


def _walk(top: Path) -> Iterator[Unit | LeftOut]:
    for here, below, files in os.walk(top):
        folder = Path(here)
        if _is_safe(folder, below):
            below.clear()
            yield Unit(str(folder), folder, _stamp(sorted(folder.rglob("*"))))
            continue
        answers = sorted(name for name in below if _ANSWERS.fullmatch(name))
        for name in answers:
            yield LeftOut(str(folder / name), "a folder of labels or masks, by its name")
        below[:] = sorted(n for n in below if not n.startswith(".") and n not in answers)
        for item, _ in _in_folder(folder, files):
            yield item


def _is_safe(folder: Path, below: Sequence[str]) -> bool:
    """Whether a folder is a Sentinel product, whose images lie deeper down."""
    return folder.suffix.upper() == ".SAFE" or "GRANULE" in below or "measurement" in below


def _in_folder(
    folder: Path, listed: Sequence[str]
) -> Iterator[tuple[Unit | LeftOut, Sequence[Path]]]:
    """The scenes among the files of a folder, each with its files."""
    files = [folder / name for name in sorted(listed) if not name.startswith(".")]
    present = {path.name for path in files}
    groups: dict[str, list[Path]] = {}
    for path in files:
        if not _is_raster(path, present):
            continue
        named = names.band_in(path.stem) or names.quality_in(path.stem)
        of_product = named is not None or names.is_companion(path.stem)
        key = f"bands {names.group_of(path.stem)}" if of_product else f"file {path.name}"
        groups.setdefault(key, []).append(path)
    if len(groups) == 1 and any(len(_bands(group)) > 1 for group in groups.values()):
        yield Unit(str(folder), folder, _stamp(files)), files
        return
    for key, group in groups.items():
        bands = _bands(group)
        if len(bands) > 1:
            used = [path for path in group if path in bands or names.quality_in(path.stem)]
            used += _metadata_of(used, files)
            name = key.removeprefix("bands ") or "bands"
            yield Unit(str(folder / name), tuple(used), _stamp(used)), used
            continue
        for path in group:
            if path in bands or (key.startswith("file ") and not _only_derived(path.stem)):
                stamp = _stamp([path, *_metadata_of([path], files)])
                yield Unit(str(path), path, stamp), [path]
            else:
                yield (
                    LeftOut(str(path), "a mask, label, preview or quality layer, by its name"),
                    [path],
                )


def _is_raster(path: Path, present: set[str]) -> bool:
    if path.suffix.casefold() in SUFFIXES:
        return True
    return path.suffix.casefold() not in _METADATA and any(
        path.name + end in present for end in _ENVI
    )


def _bands(group: Sequence[Path]) -> list[Path]:
    """The files of a group that are named after a band, and after nothing else."""
    return [
        path
        for path in group
        if names.band_in(path.stem)
        and not names.is_companion(path.stem)
        and names.quality_in(path.stem) is None
    ]


def _only_derived(stem: str) -> bool:
    """Whether a file is called after nothing but what was computed, as gt.png or NDVI.tif are."""
    return names.derived_in(stem) == re.sub(r"[_\-. ]+", " ", stem).strip()


def _metadata_of(rasters: Sequence[Path], files: Sequence[Path]) -> list[Path]:
    """Metadata files named after these rasters, or after the product that they are bands of."""
    shared = os.path.commonprefix([path.stem for path in rasters])  # noqa: RUF071
    shared = shared.rstrip("_.-Bb") if len(rasters) > 1 else shared
    if not shared:
        return []
    return [
        path
        for path in files
        if path.suffix.casefold() in _METADATA and path.stem.startswith(shared)
    ]


def _stamp(files: Sequence[Path]) -> str:
    digest = hashlib.sha256(_SCHEME.encode())
    for path in files:
        try:
            status = path.stat()
        except OSError:
            # Gone since it was listed, or a broken link: opening the scene will tell.
            continue
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:24]
