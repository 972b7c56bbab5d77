"""Trivial baselines of `rgb_cover` and `rgb_road`: what the colours around a pixel tell.

    python -m terralogue.eval.dense_baseline --data DATA

A boosted classifier sees red, green and blue of a pixel and their means and deviations over 5 and
15 pixels. It learns from pixels of the training parts and is scored on the test parts, as is the
mask of everything, whose intersection over union is the share of the target.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from sklearn.ensemble import HistGradientBoostingClassifier

from terralogue.eval.segmentation_scores import figures, patch_counts, pixel_counts
from terralogue.tools import dense_rgb, dense_rgb_road
from terralogue.tools.dense_data import IGNORE, DensePack

_WINDOWS: Final = (5, 15)
_PIXELS: Final = 60_000
_ROUNDS: Final = 150
MAKERS: Final = {**dense_rgb.RECIPE.sources, **dense_rgb_road.RECIPE.sources}
HEADS: Final = {**dense_rgb.RECIPE.heads, **dense_rgb_road.RECIPE.heads}
SOURCES: Final = {
    "building": ("inria", "fair_single"),
    "road": ("eth_roads",),
    "cover": ("dubai",),
}
"""By head, what it is scored on; of the drone tiles training sees those at zoom 21 as well."""


def describe(image: NDArray[np.generic]) -> NDArray[np.float32]:
    """Features (H, W, 15) of a picture uint8 (3, H, W)."""
    planes = image.astype(np.float32)
    found = [planes]
    for side in _WINDOWS:
        mean = uniform_filter(planes, (0, side, side))
        square = uniform_filter(planes**2, (0, side, side))
        found += [mean, np.sqrt(np.maximum(square - mean**2, 0))]
    return np.concatenate(found).transpose(1, 2, 0)


def fit(packs: Sequence[DensePack], head: str) -> HistGradientBoostingClassifier:
    """Learn from a sample of known pixels."""
    random = np.random.default_rng(0)
    images = [(image, labels) for pack in packs
              for image, labels in zip(pack.images, pack.labels[head], strict=True)]  # fmt: skip
    each = _PIXELS // len(images) + 1
    features, classes = [], []
    for image, labels in images:
        known = np.flatnonzero(labels != IGNORE)
        chosen = random.choice(known, min(each, len(known)), replace=False)
        features.append(describe(image).reshape(-1, 15)[chosen])
        classes.append(labels.ravel()[chosen])
    model = HistGradientBoostingClassifier(max_iter=_ROUNDS, random_state=0)
    return model.fit(np.concatenate(features), np.concatenate(classes))


def evaluate(data: Path, head: str) -> dict[str, dict[str, float]]:
    """Figures of each class of a head but "other": iou, everything, and patch_f1 of roads."""
    names = SOURCES[head]
    extra = ("fair_mosaic",) if head == "building" else ()
    model = fit([MAKERS[name](data, "train") for name in (*names, *extra)], head)
    classes = [(i, name) for i, name in enumerate(HEADS[head]) if name != "other"]
    pixels = {name: np.zeros(4) for _, name in classes}
    patches = np.zeros(4)
    for pack in (MAKERS[name](data, "test") for name in names):
        for image, labels in zip(pack.images, pack.labels.get(head, ()), strict=True):
            found = model.predict(describe(image).reshape(-1, 15)).reshape(labels.shape)
            known = labels != IGNORE
            for number, name in classes:
                pixels[name] += pixel_counts(found == number, labels == number, known)
            if head == "road":
                patches += patch_counts(found == 1, labels == 1, known)
    result = {}
    for name, counts in pixels.items():
        right, _, missed, _ = counts
        iou = float(figures(counts)["iou"])
        result[name] = {"iou": iou, "everything": float((right + missed) / counts.sum())}
    if head == "road":
        result["road"]["patch_f1"] = float(figures(patches)["f1"])
    return result


def main() -> None:
    """Print one line per class."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    data = parser.parse_args().data
    for head in HEADS:
        for name, scores in evaluate(data, head).items():
            print(head, name, *(f"{key} {value:.3f}" for key, value in scores.items()), flush=True)


if __name__ == "__main__":
    main()
