"""Pairs of dates with a mask of what changed: the layouts of OSCD, of SZTAKI AirChange, and A/B.

pairs = read_change_pairs(Path("oscd"))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from terralogue.datasets.errors import InputError
from terralogue.datasets.parts import as_fold, spread

_RASTERS: Final = (".tif", ".tiff", ".png", ".jp2", ".webp", ".bmp", ".jpg", ".jpeg")
_FOLD: Final = "fold:"
# OSCD by place, with about as many changed pixels in each: Paris, its quarter Bercy and Saclay lie
# next to each other. The last fold holds the three cities that choices are made on.
OSCD_FOLDS: Final = (
    ("beirut", "nantes"),
    ("abudhabi", "bordeaux", "rennes", "aguasclaras"),
    ("beihai", "pisa", "paris", "bercy", "saclay_e"),
    ("cupertino", "hongkong", "mumbai"),
)


@dataclass(frozen=True)
class ChangePair:
    """Two dates of one place and the mask of what changed.

    Attributes:
        name: unique within its set, such as "rennes" or "train/0012".
        before: picture, or folder of one-band files, of the first date.
        after: of the second.
        mask: picture on the grid of `before`; above zero is changed.
        split: folder that the pair lies in, where there are several.
    """

    name: str
    before: Path
    after: Path
    mask: Path
    split: str | None = None


@dataclass(frozen=True)
class ChangePairs:
    """Pairs of one data set, in the order of their names.

    Attributes:
        source: folder that they were found in.
        layout: "oscd", "sztaki" or "ab".
        items: at least one.
    """

    source: Path
    layout: str
    items: tuple[ChangePair, ...]

    def chosen(self, split: str | None) -> ChangePairs:
        """Pairs of one split: a folder's name, "fold:K/4" of OSCD's places, or None for all.

        Raises:
            InputError: there is no such split.
        """
        if split is None or split == "all":
            return self
        if split.startswith(_FOLD):
            fold, count = as_fold(split.removeprefix(_FOLD))
            held = fold_of([item.name for item in self.items], count)
            items = tuple(item for item in self.items if held[item.name] == fold)
        else:
            items = tuple(item for item in self.items if item.split == split)
        if not items:
            known = sorted({item.split for item in self.items if item.split})
            raise InputError(
                f"{self.source} has no split {split!r}; --split takes: "
                f"{', '.join([*known, 'fold:K/N', 'all'])}."
            )
        return replace(self, items=items)

    def limited(self, count: int | None) -> ChangePairs:
        """At most so many pairs, spread evenly.

        Raises:
            InputError: fewer than one asked for.
        """
        return replace(self, items=spread(self.items, count))


def fold_of(names: list[str], count: int) -> dict[str, int]:
    """Fold of each place: OSCD's by the table, others in turn by their names.

    In turn, since pairs of a site that follow one another are no more alike than others.
    """
    cities = {city: fold for fold, cities in enumerate(OSCD_FOLDS) for city in cities}
    if count == len(OSCD_FOLDS) and set(names) <= set(cities):
        return {name: cities[name] for name in names}
    return {name: place % count for place, name in enumerate(sorted(names))}


def read_change_pairs(path: Path) -> ChangePairs:
    """Find the pairs below a folder; the layout is told from what is there.

    OSCD: `…/<city>/imgs_1` and `imgs_2`, `…/<city>/cm.png` or `cm/cm.png`. SZTAKI AirChange:
    folders with `im1`, `im2` and `gt`. LEVIR-CD and its like: `A`, `B` and `label` with files of
    one name, at the top or one folder below for each split.

    Raises:
        InputError: there is no such folder, it has none of these layouts, or a mask is missing.
    """
    if not path.is_dir():
        raise InputError(f"{path} is not a folder; give the folder of a change data set.")
    for layout, find in _LAYOUTS.items():
        items = find(path)
        if items:
            return ChangePairs(path, layout, tuple(sorted(items, key=lambda item: item.name)))
    raise InputError(
        f"{path} holds no change data set: neither <city>/imgs_1 and imgs_2 with cm.png (OSCD), "
        "nor im1, im2 and gt (SZTAKI), nor A, B and label."
    )


def _oscd(path: Path) -> list[ChangePair]:
    found = []
    for first in [*path.glob("*/imgs_1"), *path.glob("*/*/imgs_1")]:
        city = first.parent.name
        masks = [
            *path.glob(f"**/{city}/cm.png"),
            *path.glob(f"**/{city}/cm/cm.png"),
        ]
        if not masks:
            raise InputError(f"{path} has no cm.png for {city}; add the labels.")
        found.append(ChangePair(city, first, first.with_name("imgs_2"), masks[0]))
    return found


def _sztaki(path: Path) -> list[ChangePair]:
    found = []
    for depth in ("*", "*/*", "*/*/*"):
        for mask in path.glob(f"{depth}/gt.*"):
            folder = mask.parent
            before, after = (_picture(folder, name) for name in ("im1", "im2"))
            if before is not None and after is not None:
                found.append(ChangePair(folder.relative_to(path).as_posix(), before, after, mask))
    return found


def _picture(folder: Path, name: str) -> Path | None:
    files = sorted(p for p in folder.glob(f"{name}.*") if p.suffix.lower() in _RASTERS)
    return files[0] if files else None


def _sides(path: Path) -> list[ChangePair]:
    found = []
    for folder in [path, *sorted(each for each in path.iterdir() if each.is_dir())]:
        sides = [folder / name for name in ("A", "B", "label")]
        if not all(side.is_dir() for side in sides):
            continue
        split = None if folder == path else folder.name
        for before in sorted(sides[0].iterdir()):
            if before.suffix.lower() not in _RASTERS:
                continue
            after, mask = (_picture(side, before.stem) for side in sides[1:])
            if after is None or mask is None:
                raise InputError(f"{before} has no counterpart in B or label; complete the data.")
            name = before.stem if split is None else f"{split}/{before.stem}"
            found.append(ChangePair(name, before, after, mask, split))
    return found


_LAYOUTS: Final[dict[str, Callable[[Path], list[ChangePair]]]] = {
    "oscd": _oscd,
    "sztaki": _sztaki,
    "ab": _sides,
}
