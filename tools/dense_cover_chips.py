"""Land cover from three colours on held-out chips of EuroSAT, beside boosting on single pixels.

    python -m terralogue.tools.dense_cover_chips --data DATA --part val

Every pixel of a chip is taken to have the class of the chip, gardens between houses left open, so
that no method can be right everywhere. Chips are of 10 m pixels and show one class each; scenes,
where classes meet, are harder.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from terralogue.datasets.dense_covers import COVERS
from terralogue.datasets.parts import as_part
from terralogue.tools.dense_checkpoint import WEIGHTS_FOLDER
from terralogue.tools.dense_ms_checkpoint import read_slots
from terralogue.tools.dense_ms_pictures import (
    PACK,
    Pictures,
    pack_pictures,
    read_pictures,
    whole,
)
from terralogue.tools.dense_ms_training import Confusion

_PIXELS: Final = 120_000  # that boosting learns from
_BATCH: Final = 64


def boosting(pictures: Pictures, count: int = _PIXELS) -> Callable[[Tensor], Tensor]:
    """Gradient boosting on the three colours of single pixels.

    Args:
        pictures: whose pixels it learns from.
        count: of pixels, drawn at random.

    Returns:
        Codes uint8 (n, H, W) of colours (n, 3, H, W).
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    colours, codes = pictures
    random = np.random.default_rng(0)
    chips = random.integers(len(codes), size=count)
    rows, columns = random.integers(colours.shape[-1], size=(2, count))
    model = HistGradientBoostingClassifier(max_iter=100, class_weight="balanced", random_state=0)
    model.fit(colours.numpy()[chips, :, rows, columns], codes.numpy()[chips])

    def found(image: Tensor) -> Tensor:
        pixels = image.numpy().transpose(0, 2, 3, 1)
        predicted = model.predict(pixels.reshape(-1, pixels.shape[-1]))
        return torch.from_numpy(predicted.astype(np.uint8).reshape(pixels.shape[:-1]))

    return found


def scores(
    pictures: Pictures, methods: Mapping[str, Callable[[Pictures], Tensor]]
) -> dict[str, dict[str, float]]:
    """Intersection over union of each class that the chips have, by method, and the mean."""
    found = {name: Confusion(len(COVERS)) for name in methods}
    for start in range(0, len(pictures.codes), _BATCH):
        some = Pictures(*(values[start : start + _BATCH] for values in pictures))
        codes = whole(some).codes
        for name, method in methods.items():
            found[name].add(codes, method(some))
    here = sorted(set(pictures.codes.tolist()))
    return {
        name: {
            **{COVERS[place]: float(confusion.ious[place]) for place in here},
            "mean": float(confusion.ious[here].mean()),
        }
        for name, confusion in found.items()
    }


def main() -> None:
    """Print intersection over union of each class: one line per method."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--packs", type=Path, default=Path("packs"), help="the chips are kept here")
    parser.add_argument("--part", type=as_part, default="val", help="train, val or test")
    parser.add_argument("--every", type=int, default=1, help="take one chip of so many")
    parser.add_argument("--model", type=Path, default=WEIGHTS_FOLDER / "ms_cover")
    args = parser.parse_args()
    pack = args.packs / PACK
    if not pack.is_file():
        pack_pictures(args.data, pack)
    checkpoint, boosted = read_slots(args.model), boosting(read_pictures(pack, "train"))

    def network(some: Pictures) -> Tensor:
        tiles = whole(some)
        return checkpoint.shares(tiles.planes, tiles.present).argmax(1)

    chosen = Pictures(*(values[:: args.every] for values in read_pictures(pack, args.part)))
    methods = {"boosting": lambda some: boosted(some.colours), "network": network}
    for name, values in scores(chosen, methods).items():
        figures = " ".join(f"{cover} {value:.3f}" for cover, value in values.items())
        print(f"{name:9} {figures}")


if __name__ == "__main__":
    main()
