"""Answers written down as they come, so that a run that was killed goes on where it ended.

A journal lies in the folder of the results under a name made of everything that answers depend on:
model, data, corruption and code. Another run in the same folder has another journal, and a run that
ended well takes its own away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import Box
from terralogue.vlm.vlm import Reading


def to_row(reading: Reading, seconds: float) -> dict[str, Any]:
    """A reading as JSON; masks are left out."""
    return {
        "text": reading.text,
        "confidence": reading.confidence,
        "sure": reading.sure,
        "doubt": reading.doubt,
        "alternatives": [list(each) for each in reading.alternatives],
        "distance": reading.distance,
        "boxes": [list(box) for box in reading.boxes],
        "label": reading.label,
        "notes": list(reading.notes),
        "seconds": round(seconds, 4),
    }


def from_row(row: Mapping[str, Any]) -> tuple[Reading, float]:
    """A reading from its JSON, and the seconds that it took."""
    reading = Reading(
        text=row["text"],
        confidence=row["confidence"],
        sure=row["sure"],
        doubt=row["doubt"],
        alternatives=tuple((text, share) for text, share in row["alternatives"]),
        distance=row["distance"],
        boxes=tuple(Box(*box) for box in row["boxes"]),
        label=row["label"],
        notes=tuple(row["notes"]),
    )
    return reading, row["seconds"]


class RowJournal:
    """Rows of one run, by name; `resumed` of them were there already.

    Args:
        folder: of the results; None keeps nothing.
        about: everything that the rows depend on, as JSON-compatible values.
        kind: what the rows are; the file's name begins with it.
        key: under which a row has its name.

    Raises:
        InputError: the folder cannot be written, or the journal cannot be read.
    """

    def __init__(
        self, folder: Path | None, about: Mapping[str, Any], *, kind: str, key: str = "name"
    ) -> None:
        text = json.dumps(about, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.path = None if folder is None else folder / f"{kind}-{digest}.jsonl"
        self.key = key
        self.known: dict[str, Any] = {}
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                if self.path.exists():
                    self._read(self.path)
            except OSError as error:
                raise InputError(
                    f"{self.path} cannot be written ({error.strerror}); give another folder with "
                    "--out."
                ) from error
        self.resumed = len(self.known)

    def _read(self, path: Path) -> None:
        """Take over whole lines; what a kill cut short is cut away."""
        whole = 0
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                row = json.loads(line)
                self.known[row[self.key]] = row
                whole += len(line)
        with path.open("rb+") as file:
            file.truncate(whole)

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write down rows that came together."""
        self.known.update({row[self.key]: row for row in rows})
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def done(self) -> None:
        """The run has ended well."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


class Journal:
    """The answers of one run; see `RowJournal`."""

    def __init__(self, folder: Path | None, about: Mapping[str, Any]) -> None:
        self._rows = RowJournal(folder, about, kind="answers")
        self.known = {name: from_row(row) for name, row in self._rows.known.items()}

    @property
    def path(self) -> Path | None:
        """Where the answers are; None keeps nothing."""
        return self._rows.path

    def add(self, names: Sequence[str], readings: Sequence[Reading], seconds: float) -> None:
        """Write down answers that came together, each of which took so long."""
        self.known.update({n: (r, seconds) for n, r in zip(names, readings, strict=True)})
        self._rows.write(
            [{"name": n, **to_row(r, seconds)} for n, r in zip(names, readings, strict=True)]
        )

    def done(self) -> None:
        """The run has ended well."""
        self._rows.done()
