"""All pictures of a segmentation benchmark, written down as they are scored."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from terralogue.datasets.errors import InputError, RefusalError
from terralogue.eval.segmentation_cases import Case, Row, score


class Journal:
    """Rows of one run, kept so that a run that was killed goes on where it ended.

    Args:
        folder: of the results; None keeps nothing.
        about: everything that the rows depend on, as JSON-compatible values.

    Raises:
        InputError: the folder cannot be written.
    """

    def __init__(self, folder: Path | None, about: Mapping[str, Any]) -> None:
        text = json.dumps(about, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.path = None if folder is None else folder / f"rows-{key}.jsonl"
        self.known: dict[str, Row] = {}
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._read(self.path)
            except OSError as error:
                raise InputError(
                    f"{self.path} cannot be written ({error.strerror}); give another folder with "
                    "--out."
                ) from error
        self.resumed = len(self.known)

    def _read(self, path: Path) -> None:
        """Take over whole lines; what a kill cut short is cut away."""
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        self.known = {row["id"]: row for row in map(json.loads, whole)}
        path.write_bytes(b"".join(whole))

    def add(self, row: Row) -> None:
        """Write down one row."""
        self.known[row["id"]] = row
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def done(self) -> None:
        """The run has ended well."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def score_all(
    cases: Sequence[Case],
    targets: Sequence[str],
    sensor: str | None,
    model: str | None,
    journal: Journal,
) -> list[Row]:
    """Score every case that the journal does not know; rows in the order of the cases.

    Raises:
        EOError: a picture or its mask cannot be read.
        RefusalError: the tool refused every picture.
    """
    if journal.resumed:
        print(f"going on: {journal.resumed} of {len(cases)} are there already", file=sys.stderr)
    for case in tqdm(cases, desc="segmentation", unit="image", disable=None, leave=False):
        if case.name not in journal.known:
            journal.add(score(case, targets, sensor, model))
    rows = [journal.known[case.name] for case in cases]
    found = [each for row in rows for each in row["targets"].values()]
    if all(each["refused"] for each in found):
        raise RefusalError(str(found[0]["refused"]), reason="sensor")
    return rows
