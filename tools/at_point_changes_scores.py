"""From which likeness a change is similar to one that was clicked on: chosen and scored on OSCD.

    python -m terralogue.tools.at_point_changes_scores --data FOLDER --val bercy pisa mumbai

FOLDER has OSCD's layout. Change of any kind is mapped by the bands alone, which finds crops,
seasons and water levels beside the building that the labels mark. Every patch that the labels call
change is clicked on once, and what is similar is scored against the labels (of what was mapped):
the mean F1 and precision of the clicks, beside those of taking all that changed. The threshold is
that of the best F1 on validation.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from numpy.typing import NDArray

from terralogue.datasets.scene import open_scene
from terralogue.tools.at_point_changes import LIKE, Patches, describe
from terralogue.tools.change import fit
from terralogue.tools.differencing import AnyChange
from terralogue.tools.export import quiet
from terralogue.tools.grid import whole
from terralogue.tools.pairs import land_bands, make_pair
from terralogue.tools.run import Run
from terralogue.tools.store import Store

THRESHOLDS: Final = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
# A patch that is clicked on has so many pixels, and is change by the labels to this share.
_LEAST: Final = 20
_SHARE: Final = 0.5


def patches_of(data: Path, city: str) -> tuple[Patches, NDArray[np.int64], NDArray[np.int64]]:
    """The patches of a city, their pixels, and how many of those the labels call change."""
    folder = data / "images" / city
    with tempfile.TemporaryDirectory() as workspace:
        first, second = (open_scene(folder / name) for name in ("imgs_1", "imgs_2"))
        pair = make_pair(first, second, Run(Store(Path(workspace))))
        difference = AnyChange(pair, land_bands(*pair.scenes))
        run = Run(Store(Path(workspace)))
        fit(difference, whole(pair.frame), run)
        codes = difference.codes(whole(pair.frame))
        patches = describe(codes, *pair.scenes, pair.frame, pair.after.shift)
    with quiet(), rasterio.open(data / "labels" / city / "cm.png") as file:
        label = file.read(1) > 0
    column, row = ~first.transform @ (pair.frame.transform.c, pair.frame.transform.f)
    part = label[round(row) :, round(column) :][: codes.shape[0], : codes.shape[1]]
    own = patches.labels[: part.shape[0], : part.shape[1]].ravel()
    count = len(patches.moves)
    return (
        patches,
        np.bincount(own, minlength=count),
        np.bincount(own[part.ravel()], minlength=count),
    )


def clicked(data: Path, city: str) -> NDArray[np.float64]:
    """F1 and precision of each click at each level and of all: (clicks, 2, thresholds + 1)."""
    patches, pixels, marked = patches_of(data, city)
    pixels[0] = marked[0] = 0
    rows = []
    for number in np.flatnonzero((pixels >= _LEAST) & (marked >= _SHARE * pixels)):
        likeness = patches.likeness(int(number))
        taken = [*(likeness >= level for level in THRESHOLDS), pixels > 0]
        right = np.array([marked[each].sum() for each in taken])
        size = np.array([pixels[each].sum() for each in taken])
        rows.append([2 * right / (size + marked.sum()), right / size])
    return np.array(rows).reshape(len(rows), 2, len(THRESHOLDS) + 1)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the scores; 2 for bad input."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder in OSCD's layout")
    parser.add_argument("--val", nargs="+", required=True, help="cities to choose on")
    options = parser.parse_args(argv)
    cities = sorted(path.parent.name for path in (options.data / "labels").glob("*/cm.png"))
    if not set(options.val) < set(cities):
        known = ", ".join(cities) or "none"
        print(
            f"error: --val has to name some of the cities of {options.data}: {known}.",
            file=sys.stderr,
        )
        return 2
    scores = {}
    for city in cities:
        scores[city] = clicked(options.data, city)
        print(f"{city}: {len(scores[city])} clicks", file=sys.stderr, flush=True)
    for name, chosen in (
        ("validation", options.val),
        ("test", [city for city in cities if city not in options.val]),
    ):
        means = np.concatenate([scores[city] for city in chosen]).mean(axis=0)
        for measure, mean in zip(("F1", "precision"), means, strict=True):
            levels = ", ".join(
                f"{at:g} {each:.3f}" for at, each in zip(THRESHOLDS, mean, strict=False)
            )
            print(f"{name}, {measure}: all {mean[-1]:.3f}; similar from {levels} (in use {LIKE:g})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
