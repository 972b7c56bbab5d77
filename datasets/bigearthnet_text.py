"""BigEarthNet.txt: questions and captions on the Sentinel-1 and Sentinel-2 patches of BigEarthNet.

    BigEarthNet.txt.parquet   ID, s1_name, patch_id, input, output, type, category, split, …
    BigEarthNet-S2/<patch_id without row and column>/<patch_id>/<patch_id>_B02.tif, …
    BigEarthNet-S1/<s1_name without tile, row and column>/<s1_name>/<s1_name>_VV.tif, …

The two folders lie beside the Parquet file, or in a folder beside it. Splits are train, validation,
test and bench, the last checked by hand. Options of multiple choice are part of the question, the
answer is a letter. Boxes are not read: whether their second coordinate counts from the top is not
stated where it could be read.

Layout: README.md of the data set (huggingface.co/datasets/BIFOLD-BigEarthNetv2-0/BigEarthNet.txt,
"Parquet File Structure"); folders as torchgeo's BigEarthNetV2 reads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import ALL, CaptionSample, VQASample

KEY: Final = "bigearthnet_txt"
SENSOR: Final = "sentinel2_l2a"
_COLUMNS: Final = ("ID", "s1_name", "patch_id", "input", "output", "type", "category", "split")
_QUESTIONS: Final = ("binary", "mcq")
_CAPTIONS: Final = ("captioning",)
_S1, _S2 = "BigEarthNet-S1", "BigEarthNet-S2"
_SUFFIX: Final = ".parquet"


def find_bigearthnet(path: Path) -> Path | None:
    """The Parquet file at a path, which has the columns of the layout; None for others."""
    files = sorted(path.glob(f"*{_SUFFIX}")) if path.is_dir() else [path]
    return next(
        (f for f in files if f.suffix == _SUFFIX and set(_columns(f)) >= set(_COLUMNS)), None
    )


def read_questions(path: Path, split: str | None) -> tuple[str, tuple[VQASample, ...]]:
    """Read questions with yes, no or a letter as answer.

    Args:
        path: the Parquet file.
        split: train, validation, test or bench, or "all" for nine million rows.

    Raises:
        InputError: no split, or one that the file does not have.
    """
    patches = _Patches(path)
    return KEY, tuple(
        VQASample(
            name=str(row["ID"]),
            place=row["patch_id"],
            pictures=(patches.optical(row["patch_id"]),),
            question=" ".join(row["input"].split()),
            answer=row["output"].strip(),
            kind=f"{row['type']} {row['category']}",
            sensor=SENSOR,
            radar=patches.radar(row["s1_name"]),
            split=row["split"],
        )
        for row in _rows(path, split, _QUESTIONS)
    )


def read_captions(path: Path, split: str | None) -> tuple[str, tuple[CaptionSample, ...]]:
    """Read captions, those of a patch together; see `read_questions`."""
    patches = _Patches(path)
    captions: dict[tuple[str, str], list[str]] = {}
    for row in _rows(path, split, _CAPTIONS):
        caption = " ".join(row["output"].split())
        captions.setdefault((row["patch_id"], row["split"]), []).append(caption)
    return KEY, tuple(
        CaptionSample(patch, patches.optical(patch), tuple(texts), split=part)
        for (patch, part), texts in captions.items()
    )


class _Patches:
    """Where the patches lie."""

    def __init__(self, parquet: Path) -> None:
        root = parquet.parent
        folders = [root, *sorted(p for p in root.iterdir() if p.is_dir())]
        self._root = next((f for f in folders if (f / _S2).is_dir()), root)

    def optical(self, name: str) -> Path:
        return self._root / _S2 / "_".join(name.split("_")[:-2]) / name

    def radar(self, name: str) -> Path | None:
        path = self._root / _S1 / "_".join(name.split("_")[:-3]) / name
        return path if path.is_dir() else None


def _columns(path: Path) -> list[str]:
    """Names of the columns of a Parquet file; none where it is not one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException):
        return []


def _rows(path: Path, split: str | None, types: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows of some types of one split, in file order."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted: list[tuple[str, str, Any]] = [("type", "in", list(types))]
    if split != ALL:
        wanted.append(("split", "=", split or ""))
    rows = pq.read_table(path, columns=list(_COLUMNS), filters=wanted).to_pylist()
    if not rows:
        known = sorted(pc.unique(pq.read_table(path, columns=["split"])["split"]).to_pylist())
        raise InputError(
            f"{path} is read by split, and has no {' or '.join(types)} rows of {split or 'none'}; "
            f"--split takes: {', '.join([*known, ALL])}."
        )
    return list(rows)
