"""Do all band sets of a place meet? RGB against all bands, and what each can name.

    python -m terralogue.eval.any_bands --data DATA --out out/any_bands [--model SPEC]

Recall at 1: each tile's embedding from all bands looks for its place among the embeddings of all
tiles from red, green and blue alone, and the other way round. Prompted land cover: the dominant
class of a tile is chosen from label names, with RGB and with all bands. Data: two OSCD cities and
the Slovenian Sentinel-2 patch that training never saw, and simulated places of other seeds. The
patch has five dates of the same ground, each of which counts as a place of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import open_scene
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.synthetic import CLASSES, simulate_scene
from terralogue.datasets.tiles import normalise
from terralogue.vlm.align_scenes import CITIES, WINDOW, rgb_of
from terralogue.vlm.clip import GeoCLIP, load_geoclip

Floats = NDArray[np.float32]

_SLOVENIA: Final = "scenes/slovenia_s2_eopatch"
_SIDE: Final = 25
# Codes of the Slovenian land-use layer (eo-learn's LULC), in words.
_LAND_USE: Final = {1: "cropland", 2: "forest", 3: "grassland", 4: "shrubland", 8: "built-up area"}
# Below this share no class dominates a tile.
_DOMINANT: Final = 0.5
_SIMULATED_SEED: Final = 20_000_000
_COVER: Final = {
    "water": "water", "tree_cover": "forest", "cropland": "farmland", "grassland": "grassland",
    "bare_soil": "bare land", "snow_ice": "snow", "wetland": "wetland",
    "burned_area": "burned area", "flooded_area": "flooded area",
}  # fmt: skip


@dataclass(frozen=True)
class Tiles:
    """Tiles of one band set.

    Attributes:
        name: of the set.
        data: (n, bands, H, W) in about -1 to 1.
        bands: along the second axis.
        labels: what dominates each tile, "" where nothing does.
    """

    name: str
    data: Floats
    bands: tuple[Band, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.data)


def slovenia(data: Path) -> Tiles:
    """Five dates of one place, 13 bands, with the land use that dominates each piece.

    Raises:
        InputError: the files are missing.
    """
    scenes, use = data / _SLOVENIA / "REFERENCE_SCENES.npy", data / _SLOVENIA / "TestEOPatch"
    if not scenes.is_file():
        raise InputError(f"{scenes} does not exist; give the folder that holds the data sets")
    stack = np.load(scenes, allow_pickle=False).transpose(0, 3, 1, 2)
    land = np.load(use / "mask_timeless/LULC.npy", allow_pickle=False)[..., 0]
    tiles, labels = [], []
    for image in stack:
        for row in range(0, image.shape[1] - _SIDE + 1, _SIDE):
            for column in range(0, image.shape[2] - _SIDE + 1, _SIDE):
                place = np.s_[row : row + _SIDE, column : column + _SIDE]
                tiles.append(image[:, place[0], place[1]])
                labels.append(_dominant(np.bincount(land[place].ravel(), minlength=9)))
    bands = SENSORS["sentinel2_l1c"].bands
    return Tiles("slovenia", normalise(np.stack(tiles), bands), bands, tuple(labels))


def _dominant(counts: NDArray[np.int64]) -> str:
    best = int(counts.argmax())
    return _LAND_USE.get(best, "") if counts[best] >= _DOMINANT * counts.sum() else ""


def oscd(data: Path) -> Tiles:
    """Both dates of the OSCD cities that training left out, 13 bands.

    Raises:
        InputError: a city is missing.
    """
    from rasterio.windows import Window

    tiles: list[Floats] = []
    bands: tuple[Band, ...] = ()
    for city in CITIES["test"]:
        for date in ("imgs_1", "imgs_2"):
            path = data / "oscd/images" / city / date
            if not path.is_dir():
                raise InputError(f"{path} does not exist; give the folder of the data sets")
            with open_scene(path, sensor="sentinel2_l1c") as scene:
                bands = scene.bands
                for row in range(0, scene.height - WINDOW + 1, WINDOW):
                    for column in range(0, scene.width - WINDOW + 1, WINDOW):
                        pixels = scene.read(window=Window(column, row, WINDOW, WINDOW))
                        if pixels.valid.all():
                            tiles.append(normalise(pixels.data, bands))
    return Tiles("oscd", np.stack(tiles), bands, ("",) * len(tiles))


def simulated(sensor: str, count: int) -> Tiles:
    """Simulated places of seeds that training never drew."""
    scenes = [simulate_scene(sensor, size=WINDOW, seed=_SIMULATED_SEED + i) for i in range(count)]
    labels = []
    for scene in scenes:
        shares = scene.fractions()
        best = max((name for name in CLASSES), key=lambda name: shares.get(name, 0.0))
        known = shares.get(best, 0.0) >= _DOMINANT
        labels.append(_COVER.get(best, "") if known else "")
    bands = scenes[0].bands
    data = np.nan_to_num(normalise(np.stack([s.data for s in scenes]), bands))
    return Tiles(f"simulated_{sensor}", data, bands, tuple(labels))


def recall_at_1(queries: Floats, places: Floats) -> float:
    """Share of queries (n, d) whose own place among (n, d) is nearer than any other."""
    similar = queries @ places.T
    own = np.diag(similar).copy()
    np.fill_diagonal(similar, -np.inf)
    return float((own > similar.max(axis=1)).mean())


def accuracy(clip: GeoCLIP, vectors: Floats, labels: Sequence[str]) -> dict[str, float | int]:
    """Prompted accuracy on the labelled tiles, plain and balanced, with the majority's share."""
    names = sorted(set(labels) - {""})
    known = [i for i, label in enumerate(labels) if label]
    if len(names) < 2:
        return {"n": len(known)}
    best = (vectors[known] @ clip.label_embeddings(names).T).argmax(axis=1)
    gold = np.array([names.index(labels[i]) for i in known])
    by_class = [float((best[gold == k] == k).mean()) for k in range(len(names))]
    return {
        "n": len(known),
        "classes": len(names),
        "accuracy": float((best == gold).mean()),
        "balanced_accuracy": float(np.mean(by_class)),
        "majority": float(np.bincount(gold).max() / len(gold)),
    }


def measure(clip: GeoCLIP, tiles: Sequence[Tiles]) -> dict[str, dict[str, object]]:
    """Scores of each set, and of all sets as one pool."""
    result: dict[str, dict[str, object]] = {}
    pools: list[tuple[Floats, Floats]] = []
    for each in tiles:
        colours = rgb_of(each.bands)
        every = clip.encode_tiles(each.data, each.bands)
        rgb = clip.encode_tiles(
            np.ascontiguousarray(each.data[:, colours]), tuple(each.bands[i] for i in colours)
        )
        pools.append((every, rgb))
        result[each.name] = {
            "tiles": len(each),
            "bands": len(each.bands),
            **_agreement(every, rgb),
            "rgb": accuracy(clip, rgb, each.labels),
            "all_bands": accuracy(clip, every, each.labels),
        }
    every, rgb = (np.concatenate(part) for part in zip(*pools, strict=True))
    result["pooled"] = {"tiles": len(every), **_agreement(every, rgb)}
    return result


def _agreement(every: Floats, rgb: Floats) -> dict[str, float]:
    return {
        "r@1_all_to_rgb": recall_at_1(every, rgb),
        "r@1_rgb_to_all": recall_at_1(rgb, every),
        "mean_cosine": float((every * rgb).sum(axis=1).mean()),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write `any_bands.json`.

    Raises:
        InputError: data or model are missing.
    """
    parser = argparse.ArgumentParser(description="Agreement of band sets of one place.")
    parser.add_argument("--data", type=Path, default=os.environ.get("TERRALOGUE_DATA"))
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--out", type=Path, default=Path("out/any_bands"))
    parser.add_argument("--simulated", type=int, default=200, help="places of each sensor")
    args = parser.parse_args(argv)
    if args.data is None:
        raise InputError("the folder of the data sets is missing; give --data")
    data = Path(args.data)
    tiles = [
        oscd(data),
        slovenia(data),
        *(simulated(s, args.simulated) for s in ("sentinel2_l2a", "landsat8", "worldview2")),
    ]
    result = {"model": args.model, **measure(load_geoclip(args.model), tiles)}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "any_bands.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
