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


class Journal:
    """The answers of one run.

    Args:
        folder: of the results; None keeps nothing.
        about: everything that the answers depend on, as JSON-compatible values.

    Raises:
        InputError: the folder cannot be written, or the journal cannot be read.
    """

    def __init__(self, folder: Path | None, about: Mapping[str, Any]) -> None:
        text = json.dumps(about, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.path = None if folder is None else folder / f"answers-{key}.jsonl"
        self.known: dict[str, tuple[Reading, float]] = {}
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

    def _read(self, path: Path) -> None:
        """Take over whole lines; what a kill cut short is cut away."""
        whole = 0
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                row = json.loads(line)
                self.known[row["name"]] = from_row(row)
                whole += len(line)
        with path.open("rb+") as file:
            file.truncate(whole)

    def add(self, names: Sequence[str], readings: Sequence[Reading], seconds: float) -> None:
        """Write down answers that came together, each of which took so long."""
        for name, reading in zip(names, readings, strict=True):
            self.known[name] = (reading, seconds)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                for name, reading in zip(names, readings, strict=True):
                    row = {"name": name, **to_row(reading, seconds)}
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def done(self) -> None:
        """The run has ended well."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
