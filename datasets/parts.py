"""Our own training, validation and test parts, cut by runs of numbers and never at random.

Neighbouring chips of most sets show overlapping ground, and neighbours carry neighbouring numbers.
So a run of consecutive numbers of a class goes into one part as a whole; only its two ends touch
another part.

    python -c "from terralogue.datasets.parts import part; print(part('rsicd', 'airport_41.webp'))"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Final, Literal, TypeVar

from terralogue.datasets.errors import InputError

Part = Literal["train", "val", "test"]
T = TypeVar("T")
PARTS: Final[tuple[Part, ...]] = ("train", "val", "test")

# Numbers in a run, by data set: a tenth of the usual count of a class, so that most classes have
# about a tenth of their images in each of the two small parts.
RUNS: Final = {
    "rsicd": 20,
    "ucm": 10,
    # Questions on pictures of UC Merced, which have to fall into the parts of "ucm".
    "rsivqa_ucm": 10,
    "rsscn7": 40,
    "eurosat": 100,
    "nwpu_vhr10": 20,
    "rsod": 10,
    # Pieces of a tile, which do not overlap.
    "dubai": 1,
    # Numbers are those of the pictures, whatever the number of questions on them.
    "rsvqa_lr": 10,
    "rsvqa_hr": 5,
    "eth_roads": 5,
    # Chips of several cities, and plots that lie apart.
    "inria_samples": 2,
    "neon_trees": 2,
}
# Sets of few places: whole places that training leaves out. Those of the building footprints are
# columns of map tiles at zoom 19, since their finer tiles show the same ground.
PLACES: Final[dict[str, dict[str, Part]]] = {
    "sen2ships": {"durban": "val", "klang": "test"},
    "fair_buildings": {"443117": "val", "309614": "test"},
}
_PERIOD = 10
_VAL, _TEST = 3, 8
_NUMBER = re.compile(r"(\d+)\D*$")
_MAP_TILE = re.compile(r"(\d+)-\d+-(\d+)$")
_COARSEST = 19


def part(dataset: str, name: str) -> Part:
    """The part that an image belongs to.

    Args:
        dataset: key of RUNS or PLACES.
        name: file name or path of the image; the last number in its stem counts. Of PLACES the
            name of the place, or of a map tile `…-x-y-zoom`.

    Raises:
        InputError: an unknown data set, or a name without a number.
    """
    if dataset in PLACES:
        tile = _MAP_TILE.search(PurePath(name).stem)
        column = None if tile is None else str(int(tile[1]) >> int(tile[2]) - _COARSEST)
        return PLACES[dataset].get(column or PurePath(name).name, "train")
    if dataset not in RUNS:
        known = ", ".join([*RUNS, *PLACES])
        raise InputError(f"there are no parts of {dataset!r}; they are cut for: {known}")
    found = _NUMBER.search(PurePath(name).stem)
    if found is None:
        raise InputError(f"{name} has no number by which {dataset} is cut into parts")
    place = int(found[1]) // RUNS[dataset] % _PERIOD
    return "val" if place == _VAL else "test" if place == _TEST else "train"


def folds(names: Iterable[str], count: int) -> dict[str, int]:
    """Fold of each picture for cross-validation, 0 to count - 1: runs of neighbours by name."""
    ordered = sorted(set(names), key=lambda name: (len(name), name))
    return {name: place * count // len(ordered) for place, name in enumerate(ordered)}


def spread(items: Sequence[T], count: int | None) -> tuple[T, ...]:
    """At most so many items, spread evenly; all of them where no count is given.

    Raises:
        InputError: fewer than one asked for.
    """
    if count is None or count >= len(items):
        return tuple(items)
    if count < 1:
        raise InputError(f"--limit {count} leaves nothing; give a number above 0.")
    return tuple(items[i * len(items) // count] for i in range(count))


def as_fold(text: str) -> tuple[int, int]:
    """Read "2/5": the fold, from 0, and the number of folds.

    Raises:
        InputError: anything else.
    """
    first, _, last = text.partition("/")
    if not (first.isdigit() and last.isdigit() and 1 <= int(first) <= int(last)):
        raise InputError(f"fold {text} cannot be used; give K/N, such as 2/5")
    return int(first) - 1, int(last)


def as_part(text: str) -> Part:
    """Check the name of a part.

    Raises:
        InputError: not one of PARTS.
    """
    if text not in PARTS:
        raise InputError(f"unknown part {text!r}; the parts are: {', '.join(PARTS)}")
    return text
