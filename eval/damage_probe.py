"""Does a classifier of damaged buildings read damage, or only which flight took the picture?

    python -m terralogue.eval.damage_probe --data harvey_damage --out out/damage

The two classes of the Hurricane Harvey chips come from different acquisitions, so flight and damage
cannot be told apart by labels. Logistic regressions are cross-validated over blocks of places on
what the embedded image tower sees, and on what holds no damage: mean and spread of colours, of the
whole chip and of its rim alone (a building stands in the middle of each chip). Where colours alone
do about as well, a good score proves nothing about damage. Accuracy is also given on places that
occur in both classes, where the ground is the same and only date and damage differ.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from terralogue.datasets.errors import EOError, InputError
from terralogue.datasets.pictures import RGB_BANDS, read_picture
from terralogue.vlm.clip import load_geoclip

Floats = NDArray[np.float64]

CLASSES: Final = ("no_damage", "damage")
_PLACE: Final = re.compile(r"-?\d+\.\d+")
_DEGREES: Final = 0.02
"""Side of the blocks that are held out together, about two kilometres."""
_FOLDS: Final = 5
_RIM: Final = 16


def _place(path: Path) -> tuple[float, float]:
    found = _PLACE.findall(path.stem)
    if len(found) < 2:
        raise InputError(f"the name of {path} holds no coordinates; give the Harvey chips")
    return float(found[0]), float(found[1])


def colours(picture: NDArray[np.uint8], *, rim: bool = False) -> Floats:
    """Mean, spread and nine quantiles of each band of a chip (3, H, W), or of its rim alone."""
    keep = np.ones(picture.shape[1:], np.bool_)
    if rim:
        keep[_RIM:-_RIM, _RIM:-_RIM] = False
    pixels = picture[:, keep].astype(np.float64)
    quantiles = np.quantile(pixels, np.linspace(0.1, 0.9, 9), axis=1)
    return np.concatenate([pixels.mean(1), pixels.std(1), quantiles.ravel()])


def held_out(features: Floats, labels: NDArray[np.int64], blocks: NDArray[np.int64]) -> Floats:
    """Predicted classes, each by a regression that has not seen the block."""
    said = np.zeros(len(labels))
    for fold in range(_FOLDS):
        inside = blocks % _FOLDS == fold
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=3000))
        model.fit(features[~inside], labels[~inside])
        said[inside] = model.predict(features[inside])
    return said


def probe(folder: Path) -> dict[str, float | int]:
    """Accuracies of all three.

    Raises:
        InputError: the folder does not hold the two classes.
    """
    files = [sorted((folder / name).glob("*.*")) for name in CLASSES]
    if not all(files):
        raise InputError(f"{folder} holds no {' and '.join(CLASSES)}; give the Harvey chips")
    paths = [path for each in files for path in each]
    labels = np.repeat([0, 1], [len(each) for each in files])
    places = [_place(path) for path in paths]
    cells = [tuple(np.floor(np.array(place) / _DEGREES).astype(int)) for place in places]
    order = {cell: number for number, cell in enumerate(sorted(set(cells)))}
    blocks = np.array([order[cell] for cell in cells])
    pictures = [np.asarray(read_picture(path)) for path in paths]
    near = [tuple(np.round(place, 4)) for place in places]
    both = {near[i] for i in np.flatnonzero(labels)} & {near[i] for i in np.flatnonzero(1 - labels)}
    shared = np.array([each in both for each in near])
    seen = {
        "tower": np.asarray(load_geoclip().features(pictures, RGB_BANDS), np.float64),
        "colours": np.stack([colours(each) for each in pictures]),
        "rim_colours": np.stack([colours(each, rim=True) for each in pictures]),
    }
    found: dict[str, float | int] = {
        "chips": len(paths),
        "majority": float(max(labels.mean(), 1 - labels.mean())),
        "in_both_classes": int(shared.sum()),
    }
    for name, features in seen.items():
        right = held_out(features, labels, blocks) == labels
        found[name] = float(right.mean())
        if shared.any():
            found[f"{name}_same_places"] = float(right[shared].mean())
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Probe, print and write `damage_probe.json`; 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(description="Damage, or the flight?")
    parser.add_argument("--data", type=Path, required=True, help="folder of the two classes")
    parser.add_argument("--out", type=Path, default=Path("out/damage"))
    options = parser.parse_args(argv)
    try:
        text = json.dumps(probe(options.data), indent=1)
    except EOError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "damage_probe.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
