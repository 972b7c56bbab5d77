"""F1 of the unsupervised change map on Sentinel-2 pairs with masks (OSCD layout).

    python -m terralogue.eval.change_baseline --data FOLDER

FOLDER holds `images/<city>/imgs_1` and `imgs_2` (one file per band) and `labels/<city>/cm.png`
(above zero: changed) on the grid of `imgs_1`. Only the threshold is fitted, on every other city,
and the score is given on the cities that it was not fitted on. OSCD marks urban change only, and
the map shows any change, so most of what counts as wrong here is real. For comparison, the
supervised FC-Siam-diff has F1 57.9 on the OSCD test cities (Daudt et al. 2018,
doi:10.1109/ICIP.2018.8451652).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from numpy.typing import NDArray

from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import open_scene
from terralogue.tools.change import fit
from terralogue.tools.differencing import ANY_CHANGE, AnyChange
from terralogue.tools.export import quiet
from terralogue.tools.grid import whole
from terralogue.tools.pairs import land_bands, make_pair
from terralogue.tools.run import Run
from terralogue.tools.store import Store

THRESHOLDS = tuple(np.arange(1.0, 12.1, 0.5).tolist())


class Counts(NamedTuple):
    """Pixels of a confusion matrix."""

    both: int
    mapped: int
    labelled: int
    pixels: int

    @property
    def f1(self) -> float:
        """Of the changed class."""
        total = self.mapped + self.labelled
        return 2 * self.both / total if total else 0.0

    @property
    def iou(self) -> float:
        """Of the changed class."""
        union = self.mapped + self.labelled - self.both
        return self.both / union if union else 0.0

    @property
    def kappa(self) -> float:
        """Cohen's kappa."""
        agree = (self.pixels - self.mapped - self.labelled + 2 * self.both) / self.pixels
        changed = self.mapped * self.labelled / self.pixels**2
        same = (self.pixels - self.mapped) * (self.pixels - self.labelled) / self.pixels**2
        chance = changed + same
        return (agree - chance) / (1 - chance) if chance < 1 else 0.0


def magnitude(data: Path, city: str) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Change magnitude (0 where it was not observed) and mask of a city, both (H, W)."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Store(Path(folder)))
        scenes = [open_scene(data / "images" / city / name) for name in ("imgs_1", "imgs_2")]
        pair = make_pair(scenes[0], scenes[1], run)
        difference = AnyChange(pair, land_bands(*pair.scenes))
        fit(difference, whole(pair.frame), run)
        found = difference.magnitude(whole(pair.frame))
    with quiet(), rasterio.open(data / "labels" / city / "cm.png") as file:
        label = file.read(1) > 0
    full = np.zeros(label.shape, np.float32)
    column, row = ~scenes[0].transform @ (pair.frame.transform.c, pair.frame.transform.f)
    part = full[round(row) :, round(column) :][: found.shape[0], : found.shape[1]]
    part[:] = np.nan_to_num(found)[: part.shape[0], : part.shape[1]]
    return full, label


def count(size: NDArray[np.float32], label: NDArray[np.bool_]) -> list[Counts]:
    """One confusion matrix for each of THRESHOLDS."""
    total = int(label.sum())
    return [
        Counts(int((label & (size > at)).sum()), int((size > at).sum()), total, label.size)
        for at in THRESHOLDS
    ]


def pool(counts: list[list[Counts]], at: int) -> Counts:
    """The confusion matrices of several cities at one threshold, added up."""
    return Counts(*(sum(city[at][part] for city in counts) for part in range(4)))


def main() -> None:
    """Print pooled scores."""
    parser = argparse.ArgumentParser(description="F1 of the unsupervised change map.")
    parser.add_argument("--data", type=Path, required=True, help="folder in OSCD's layout")
    data = parser.parse_args().data
    cities = sorted(path.parent.name for path in (data / "labels").glob("*/cm.png"))
    if not cities:
        raise InputError(f"{data} holds no labels/*/cm.png; give the folder of OSCD with --data.")
    counts = {}
    for city in cities:
        counts[city] = count(*magnitude(data, city))
        at = THRESHOLDS.index(ANY_CHANGE)
        print(f"{city:12s} F1 {100 * counts[city][at].f1:5.1f} at {ANY_CHANGE:g}", flush=True)
    for name, fitted in (("fitted on the even half", 0), ("fitted on the odd half", 1)):
        on = [counts[city] for city in cities[fitted::2]]
        rest = [counts[city] for city in cities[1 - fitted :: 2]]
        best = max(range(len(THRESHOLDS)), key=lambda at: pool(on, at).f1)
        line = f"threshold {THRESHOLDS[best]:g} {name} (F1 {100 * pool(on, best).f1:.1f})"
        print(f"{line}; {_scores(pool(rest, best))} on the other")
    everything = pool(list(counts.values()), THRESHOLDS.index(ANY_CHANGE))
    print(f"threshold {ANY_CHANGE:g}, as used: {_scores(everything)} on all {len(cities)}")


def _scores(counts: Counts) -> str:
    return f"F1 {100 * counts.f1:.1f}, IoU {100 * counts.iou:.1f}, kappa {counts.kappa:.3f}"


if __name__ == "__main__":
    main()
