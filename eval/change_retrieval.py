"""Does a described change find its pair? Recall at 5 beside chance.

    python -m terralogue.eval.change_retrieval --data DATA --out out/change [--model SPEC]

Simulated pairs: each pair's captions look for it among all pairs (recall at 5, chance 5 / n), and
for any pair in which the same thing happened (precision at 5, chance: that kind's share). OSCD:
tiles of the fourteen cities; what its labels mark is new building, so the words "new buildings
and roads" should rank tiles with a tenth or more marked before those with nothing marked (precision
at 5 and average precision, chance: the share of such tiles); the two cities that the embedded model
was not trained on are reported apart.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import open_scene
from terralogue.datasets.synthetic_change_text import change_captions
from terralogue.datasets.synthetic_pairs import simulate_pair
from terralogue.datasets.tiles import normalise
from terralogue.tools.export import quiet
from terralogue.vlm.align_scenes import CITIES
from terralogue.vlm.change_embedding import change_query, change_score
from terralogue.vlm.clip import GeoCLIP, load_geoclip

Floats = NDArray[np.float32]

K: Final = 5
OSCD_QUERY: Final = "new buildings and roads"
_SEED: Final = 9_000_000
_SIZE: Final = 96
_TILE: Final = 64
_MARKED: Final = 0.10
# Distractors, without captions of their own.
_QUIET: Final = ("none", "season")


@dataclass(frozen=True)
class Pairs:
    """Embedded pairs.

    Attributes:
        before: (n, d).
        after: (n, d).
        kinds: what happened in each.
        captions: of each; empty for those in which nothing happened.
    """

    before: Floats
    after: Floats
    kinds: tuple[str, ...]
    captions: tuple[tuple[str, ...], ...]


def simulated_pairs(clip: GeoCLIP, count: int, sensor: str) -> Pairs:
    """Embed simulated pairs of seeds that no training draws."""
    first: list[Floats] = []
    second: list[Floats] = []
    kinds, captions = [], []
    bands: tuple[Band, ...] = ()
    for seed in range(_SEED, _SEED + count):
        pair = simulate_pair(sensor, size=_SIZE, seed=seed)
        bands = pair.before.bands
        first.append(np.nan_to_num(normalise(pair.before.data, bands)))
        second.append(np.nan_to_num(normalise(pair.after.data, bands)))
        kinds.append(pair.change)
        quiet = pair.change in _QUIET
        captions.append(() if quiet else tuple(change_captions(pair, 3, seed)))
    encoded = [clip.encode_tiles(np.stack(part), bands) for part in (first, second)]
    return Pairs(encoded[0], encoded[1], tuple(kinds), tuple(captions))


def score_simulated(clip: GeoCLIP, pairs: Pairs) -> dict[str, float | int]:
    """Recall and precision at K over all captions, beside chance."""
    found, same, chance = [], [], []
    times = Counter(pairs.kinds)
    total = len(pairs.kinds)
    for place, own in enumerate(pairs.captions):
        for caption in own:
            scores = change_score(change_query(caption, clip), pairs.before, pairs.after)
            best = np.argsort(-scores, kind="stable")[:K]
            found.append(place in best)
            same.append(np.mean([pairs.kinds[i] == pairs.kinds[place] for i in best]))
            chance.append(times[pairs.kinds[place]] / total)
    return {
        "pairs": total,
        "captions": len(found),
        f"r@{K}": float(np.mean(found)),
        f"r@{K}_chance": K / total,
        f"same_kind_p@{K}": float(np.mean(same)),
        f"same_kind_p@{K}_chance": float(np.mean(chance)),
    }


def oscd_tiles(
    clip: GeoCLIP, data: Path, cities: Sequence[str] = ()
) -> tuple[Floats, Floats, Floats]:
    """Embeddings (n, d) of both dates of OSCD's tiles, and the share (n,) that is marked.

    Args:
        clip: the model.
        data: folder of the data sets.
        cities: which; all where none are named.

    Raises:
        InputError: the folder is missing.
    """
    folder = data / "oscd/images"
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist; give the folder that holds the data sets")
    vectors: list[list[Floats]] = [[], []]
    shares: list[float] = []
    for city in cities or sorted(path.name for path in folder.iterdir()):
        with quiet(), rasterio.open(data / "oscd/labels" / city / "cm.png") as file:
            label = file.read(1) > 0
        scenes = [
            open_scene(folder / city / date, sensor="sentinel2_l1c")
            for date in ("imgs_1", "imgs_2")
        ]
        height = min(label.shape[0], *(scene.height for scene in scenes))
        width = min(label.shape[1], *(scene.width for scene in scenes))
        places = [
            (row, column)
            for row in range(0, height - _TILE + 1, _TILE)
            for column in range(0, width - _TILE + 1, _TILE)
        ]
        for scene, out in zip(scenes, vectors, strict=True):
            tiles = [scene.read(window=Window(c, r, _TILE, _TILE)).data for r, c in places]
            data_ = np.nan_to_num(normalise(np.stack(tiles), scene.bands))
            out.append(clip.encode_tiles(data_, scene.bands))
            scene.close()
        shares += [float(label[r : r + _TILE, c : c + _TILE].mean()) for r, c in places]
    return np.concatenate(vectors[0]), np.concatenate(vectors[1]), np.array(shares, np.float32)


def score_oscd(clip: GeoCLIP, before: Floats, after: Floats, shares: Floats) -> dict[str, float]:
    """Precision at K and average precision of marked tiles among marked and unmarked ones."""
    kept = (shares >= _MARKED) | (shares == 0)
    right = shares[kept] >= _MARKED
    scores = change_score(change_query(OSCD_QUERY, clip), before[kept], after[kept])
    ranked = right[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return {
        "tiles": len(ranked),
        f"p@{K}": float(ranked[:K].mean()),
        "average_precision": float(precision[ranked].mean()),
        "chance": float(right.mean()),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write `change_retrieval.json`.

    Raises:
        InputError: data or model are missing.
    """
    parser = argparse.ArgumentParser(description="Retrieval of pairs by a described change.")
    parser.add_argument("--data", type=Path, default=os.environ.get("TERRALOGUE_DATA"))
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--out", type=Path, default=Path("out/change_retrieval"))
    parser.add_argument("--pairs", type=int, default=200, help="simulated pairs of each sensor")
    args = parser.parse_args(argv)
    if args.data is None:
        raise InputError("the folder of the data sets is missing; give --data")
    clip = load_geoclip(args.model)
    result: dict[str, object] = {"model": args.model, "fingerprint": clip.fingerprint}
    for sensor in ("sentinel2_l2a", "sentinel1_grd"):
        result[f"simulated_{sensor}"] = score_simulated(
            clip, simulated_pairs(clip, args.pairs, sensor)
        )
    result["oscd"] = score_oscd(clip, *oscd_tiles(clip, Path(args.data)))
    unseen = oscd_tiles(clip, Path(args.data), CITIES["test"])
    result["oscd_unseen_cities"] = score_oscd(clip, *unseen)
    args.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1)
    (args.out / "change_retrieval.json").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
