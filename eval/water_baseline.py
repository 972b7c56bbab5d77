"""Intersection over union of the water rules on chips with masks.

    python -m terralogue.eval.water_baseline --data FOLDER

FOLDER holds `images/*.tif` (seven bands: coastal, blue, green, red, near infrared and two
short-wave infrared, reflectance times 10,000) and `labels/*.png` (above zero: water). Nothing is
fitted: the rules are used as they were published, with the edges that `segment` sets. The interval
is a bootstrap over chips.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from numpy.typing import NDArray

from terralogue.datasets.errors import InputError
from terralogue.tools import rules
from terralogue.tools.baselines import YES
from terralogue.tools.edges import settle
from terralogue.tools.export import quiet

BANDS = ("A", "B", "G", "R", "N", "S1", "S2")
RULES = {"mndwi": rules.MNDWI, "awei": rules.AWEI, "ndwi": rules.NDWI}
_ROUNDS = 2000


class Result(NamedTuple):
    """Pooled score of one rule with its 95 % interval."""

    iou: float
    low: float
    high: float


def chips(data: Path) -> Iterator[tuple[dict[str, NDArray[np.float32]], NDArray[np.bool_]]]:
    """Bands as reflectance (H, W) and water mask (H, W) of each chip.

    Raises:
        InputError: there are none.
    """
    images = sorted((data / "images").glob("*.tif"))
    if not images:
        raise InputError(f"{data} holds no images/*.tif; give the folder of the chips with --data.")
    for image in images:
        with quiet(), rasterio.open(image) as file:
            bands = file.read().astype(np.float32) / 10_000
        with quiet(), rasterio.open(data / "labels" / f"{image.stem}.png") as file:
            label = file.read(1) > 0
        yield dict(zip(BANDS, bands, strict=True)), label


def evaluate_rules(data: Path) -> dict[str, Result]:
    """Score every rule on the chips in a folder."""
    counts: dict[str, list[tuple[int, int]]] = {name: [] for name in RULES}
    for bands, label in chips(data):
        for name, rule in RULES.items():
            found = settle(rule.holds(bands).astype(np.uint8), bands["N"]) == YES
            counts[name].append((int((found & label).sum()), int((found | label).sum())))
    random = np.random.default_rng(0)
    results = {}
    for name, pairs in counts.items():
        both = np.array(pairs)
        picks = random.integers(0, len(both), (_ROUNDS, len(both)))
        sums = both[picks].sum(axis=1)
        low, high = np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
        total = both.sum(axis=0)
        results[name] = Result(float(total[0] / total[1]), float(low), float(high))
    return results


def main() -> None:
    """Print one line per rule."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the chips")
    for name, result in evaluate_rules(parser.parse_args().data).items():
        print(f"{name}: IoU {result.iou:.3f} ({result.low:.3f} to {result.high:.3f})")


if __name__ == "__main__":
    main()
