"""Samples of benchmark data sets: pictures with classes, captions, questions or boxes; splits.

A split is named as the annotations name it ("train", "val", "test"), "all" is everything, and
"own:val" is a part that this project cut itself; see `parts.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Generic, NamedTuple, TypeVar

from terralogue.datasets.errors import InputError
from terralogue.datasets.parts import as_fold, as_part, folds, part, spread

ALL: Final = "all"
OWN: Final = "own:"
FOLD: Final = "fold:"


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

    @property
    def pictures(self) -> tuple[Path, ...]:
        """The one picture."""
        return (self.path,)

    @property
    def place(self) -> str:
        """What parts are cut by: the picture."""
        return self.name


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

    @property
    def pictures(self) -> tuple[Path, ...]:
        """The one picture."""
        return (self.path,)

    @property
    def place(self) -> str:
        """What parts are cut by: the picture."""
        return self.name


@dataclass(frozen=True)
class VQASample:
    """A question about one picture, or about several dates of one place.

    Attributes:
        name: unique within its set.
        place: name of the picture or pictures; parts are cut by it, so pictures are never split.
        pictures: one, or several in order of time.
        question: as the data set asks it.
        answer: as the data set states it; of multiple choice the letter, or letters "A, C".
        kind: type of question, as the data set calls it; "" where it does not.
        options: texts of multiple choice, the first is A; () for free answers.
        dates: of the pictures, "2006" or "2006-07-14"; () where unknown.
        sensor: key in SENSORS; None where unknown or told from the file.
        radar: co-registered Sentinel-1 picture, where the set has one.
        split: as stated by the data; None where it states none.
    """

    name: str
    place: str
    pictures: tuple[Path, ...]
    question: str
    answer: str
    kind: str = ""
    options: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    sensor: str | None = None
    radar: Path | None = None
    split: str | None = None


class Box(NamedTuple):
    """A box in pixels from the upper left corner of the picture: left and top are inside it."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class GroundingSample:
    """Words that refer to things in a picture, and where these are.

    Attributes:
        name: unique within its set.
        place: name of the picture.
        path: of the picture.
        size: width and height of the picture in pixels.
        expression: words that refer.
        boxes: one or more, in pixels.
        label: class of what is referred to, where stated.
        unique: whether the class occurs once in the picture; None where not stated.
        split: as stated by the data; None where it states none.
    """

    name: str
    place: str
    path: Path
    size: tuple[int, int]
    expression: str
    boxes: tuple[Box, ...]
    label: str | None = None
    unique: bool | None = None
    split: str | None = None

    @property
    def pictures(self) -> tuple[Path, ...]:
        """The one picture."""
        return (self.path,)


@dataclass(frozen=True)
class DetectionSample:
    """A picture or scene, and where the things of some classes are in it.

    Attributes:
        name: unique within its set.
        place: name of the picture, or of the scene that it is of; parts are cut by it.
        path: of the picture, or of the folder of a scene's one-band files.
        boxes: in pixels; of oriented boxes those around them.
        labels: class of each box, as the data set writes it.
        skipped: of each box, whether it counts neither as found nor as missed (COCO's crowds, what
            VOC and DOTA call difficult).
        split: as stated by the data; None where it states none.
    """

    name: str
    place: str
    path: Path
    boxes: tuple[Box, ...]
    labels: tuple[str, ...]
    skipped: tuple[bool, ...]
    split: str | None = None

    @property
    def pictures(self) -> tuple[Path, ...]:
        """The one picture."""
        return (self.path,)


@dataclass(frozen=True)
class ChangeSample:
    """Two or more dates of one place, and what is said about their changes.

    Attributes:
        name: unique within its set.
        place: name of the pictures; parts are cut by it.
        pictures: two or more, in order of time.
        captions: in file order, repetitions kept.
        changed: whether anything changed; None where not stated.
        kind: type of text, as the data set calls it; "" where it has one type.
        dates: of the pictures, "2006" or "2006-07-14"; () where unknown.
        split: as stated by the data; None where it states none.
    """

    name: str
    place: str
    pictures: tuple[Path, ...]
    captions: tuple[str, ...]
    changed: bool | None = None
    kind: str = ""
    dates: tuple[str, ...] = ()
    split: str | None = None


@dataclass(frozen=True)
class MaskSample:
    """A picture with a mask.

    Attributes:
        name: unique within its set: path below the data, with forward slashes.
        path: of the picture.
        mask: of the mask, which has the pixels of the picture.
        split: as stated by the data; None where it states none.
    """

    name: str
    path: Path
    mask: Path
    split: str | None = None

    @property
    def pictures(self) -> tuple[Path, ...]:
        """The picture and its mask."""
        return (self.path, self.mask)

    @property
    def place(self) -> str:
        """What parts are cut by: the picture."""
        return self.name


Sample = TypeVar(
    "Sample",
    LabelSample,
    CaptionSample,
    VQASample,
    GroundingSample,
    DetectionSample,
    MaskSample,
    ChangeSample,
)


@dataclass(frozen=True)
class Samples(Generic[Sample]):
    """Samples of one data set.

    Attributes:
        source: file or folder that they were read from.
        dataset: key in DATASETS; None for a set that the table does not know.
        items: in a fixed order.
        annotations: file with captions, labels or splits; None where folders carry them.
        companions: further files of annotations, where one does not hold them all.
    """

    source: Path
    dataset: str | None
    items: tuple[Sample, ...]
    annotations: Path | None = None
    companions: tuple[Path, ...] = ()

    def chosen(self, split: str | None) -> Samples[Sample]:
        """Samples of one split.

        Args:
            split: name of a split, "own:train|val|test", "fold:K/N" for cross-validation by
                pictures, or None or "all" for everything.

        Raises:
            InputError: there is no such split, it is empty, or the set has no parts of our own.
        """
        if split is None or split == ALL:
            return self
        if split.startswith(FOLD):
            fold, count = as_fold(split.removeprefix(FOLD))
            held = folds((item.place for item in self.items), count)
            items = tuple(item for item in self.items if held[item.place] == fold)
        elif split.startswith(OWN):
            items = self._own(split.removeprefix(OWN))
        else:
            items = tuple(item for item in self.items if item.split == split)
        if not items:
            known: set[str] = {item.split for item in self.items if item.split is not None}
            listed = ", ".join([*sorted(known), ALL])
            raise InputError(f"{self.source} has no split {split!r}; --split takes: {listed}.")
        return replace(self, items=items)

    def _own(self, name: str) -> tuple[Sample, ...]:
        wanted = as_part(name)
        if self.dataset is None:
            raise InputError(
                f"{self.source} is not a data set that parts were cut for; use --split all, or say "
                "with --dataset which one it is."
            )
        return tuple(item for item in self.items if part(self.dataset, item.place) == wanted)

    def limited(self, count: int | None) -> Samples[Sample]:
        """At most so many samples, spread evenly over the set, so that no class is left out.

        Raises:
            InputError: fewer than one asked for.
        """
        return replace(self, items=spread(self.items, count))

    def checked(self) -> Samples[Sample]:
        """Itself, once every picture is known to exist.

        Raises:
            InputError: pictures are missing; the message counts them and names the first.
        """
        # Questions share pictures, and a picture may be a folder of one-band files.
        listed = list(dict.fromkeys(path for item in self.items for path in item.pictures))
        missing = [path for path in listed if not path.exists()]
        if missing:
            raise InputError(
                f"{len(missing)} of the {len(listed)} pictures that {self.source} lists are "
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
