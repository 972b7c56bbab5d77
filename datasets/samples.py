"""Samples of benchmark data sets: pictures with captions or with one class, and their splits.

A split is named as the annotations name it ("train", "val", "test"), "all" is everything, and
"own:val" is a part that this project cut itself; see `parts.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from terralogue.datasets.errors import InputError
from terralogue.datasets.parts import as_part, part

ALL: Final = "all"
OWN: Final = "own:"


@dataclass(frozen=True)
class LabelSample:
    """A picture of one class.

    Attributes:
        name: unique within its set: path below the data, with forward slashes.
        path: of the picture.
        label: class as the data set writes it, such as "AnnualCrop" or "aGrass".
        split: as stated by the data; None where it states none.
    """

    name: str
    path: Path
    label: str
    split: str | None = None


@dataclass(frozen=True)
class CaptionSample:
    """A picture with its captions.

    Attributes:
        name: unique within its set, as the annotations call the file.
        path: of the picture.
        captions: in file order, repetitions kept.
        label: class, where the annotations carry one.
        split: as stated by the data; None where it states none.
    """

    name: str
    path: Path
    captions: tuple[str, ...]
    label: str | None = None
    split: str | None = None


Sample = TypeVar("Sample", LabelSample, CaptionSample)


@dataclass(frozen=True)
class Samples(Generic[Sample]):
    """Samples of one data set.

    Attributes:
        source: file or folder that they were read from.
        dataset: key in DATASETS; None for a set that the table does not know.
        items: in a fixed order.
        annotations: file with captions, labels or splits; None where folders carry them.
    """

    source: Path
    dataset: str | None
    items: tuple[Sample, ...]
    annotations: Path | None = None

    def chosen(self, split: str | None) -> Samples[Sample]:
        """Samples of one split.

        Args:
            split: name of a split, "own:train|val|test", or None or "all" for everything.

        Raises:
            InputError: there is no such split, it is empty, or the set has no parts of our own.
        """
        if split is None or split == ALL:
            return self
        if split.startswith(OWN):
            items = self._own(split.removeprefix(OWN))
        else:
            items = tuple(item for item in self.items if item.split == split)
        if not items:
            known: set[str] = {item.split for item in self.items if item.split is not None}
            listed = ", ".join([*sorted(known), ALL])
            raise InputError(f"{self.source} has no split {split!r}; --split takes: {listed}.")
        return Samples(self.source, self.dataset, items, self.annotations)

    def _own(self, name: str) -> tuple[Sample, ...]:
        wanted = as_part(name)
        if self.dataset is None:
            raise InputError(
                f"{self.source} is not a data set that parts were cut for; use --split all, or say "
                "with --dataset which one it is."
            )
        return tuple(item for item in self.items if part(self.dataset, item.name) == wanted)

    def limited(self, count: int | None) -> Samples[Sample]:
        """At most so many samples, spread evenly over the set, so that no class is left out.

        Raises:
            InputError: fewer than one asked for.
        """
        if count is None or count >= len(self.items):
            return self
        if count < 1:
            raise InputError(f"--limit {count} leaves nothing; give a number above 0.")
        items = tuple(self.items[i * len(self.items) // count] for i in range(count))
        return Samples(self.source, self.dataset, items, self.annotations)

    def checked(self) -> Samples[Sample]:
        """Itself, once every picture is known to exist.

        Raises:
            InputError: pictures are missing; the message counts them and names the first.
        """
        missing = [item.path for item in self.items if not item.path.is_file()]
        if missing:
            raise InputError(
                f"{len(missing)} of the {len(self.items)} pictures that {self.source} lists are "
                f"missing, the first is {missing[0]}; complete the data, or choose another --split."
            )
        return self


def unique_names(names: Sequence[str], source: Path) -> None:
    """Refuse a set in which two samples have one name.

    Raises:
        InputError: naming the first repetition.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{source} lists {name} twice; keep one entry for each picture.")
        seen.add(name)
