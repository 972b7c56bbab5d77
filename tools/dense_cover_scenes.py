"""Land cover on three real scenes that no training has seen, beside a spectral rule.

    python -m terralogue.tools.dense_cover_scenes --data DATA

DATA holds `scenes/` with the Sentinel-2 dates of `slovenia_s2_eopatch`, the Landsat 8 scene of
`rasterframes_L8_NAIP` and the EnMAP chips of `potsdam_enmap`. Their labels are coarser than ours:
cropland, grassland and shrubs count as open land, roofs and pavement as built up.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.bands import Band
from terralogue.datasets.dense_covers import COVERS
from terralogue.datasets.dense_slots import SLOTS, slot_planes
from terralogue.datasets.errors import InputError
from terralogue.datasets.sensors import SENSORS

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]
_UNKNOWN = 255

GROUPS: Final = ("tree_cover", "open land", "built_up", "water", "bare_soil")
"""What is told apart on the real scenes."""
_GROUP_OF: Final = {
    "tree_cover": 0, "grassland": 1, "cropland": 1, "wetland": 1, "built_up": 2, "water": 3,
    "bare_soil": 4,
}  # fmt: skip
# Of anything else a prediction is wrong.
_OTHER = len(GROUPS)
_COVER_GROUPS: Final = np.array([_GROUP_OF.get(name, _OTHER) for name in COVERS], np.uint8)
# Land use of Slovenia: 1 cropland, 2 forest, 3 grassland, 4 shrubs, 8 built up.
_SLOVENIA = {1: 1, 2: 0, 3: 1, 4: 1, 8: 2}
_GRASS = 3
# Of the five dates the first two are under cloud.
_CLEAR = (2, 3, 4)
# Polygons of Elkton: a field, a forest, an industrial estate.
_ELKTON = {0: 1, 1: 0, 2: 2}
# Of Potsdam: roof, pavement, low vegetation, tree, soil, water.
_POTSDAM = {1: 2, 2: 2, 3: 1, 4: 0, 5: 4, 6: 3}
# Reflectance at the top of the atmosphere of Landsat Level 1 numbers, without the sun's height.
_LANDSAT_GAIN, _LANDSAT_OFFSET = 2e-5, -0.1
_ENMAP_SCALE = 1e4


class Labelled(NamedTuple):
    """A scene with labels: slots (13, H, W), which are filled (13,), groups (H, W) or 255.

    `grassland` (H, W) tells grass from the rest of open land, where labels do so.
    """

    place: str
    planes: Floats
    present: NDArray[np.bool_]
    groups: Codes
    grassland: NDArray[np.bool_] | None = None


def scenes(data: Path) -> Iterator[Labelled]:
    """Read the scenes.

    Raises:
        InputError: the folder holds none.
    """
    folder = data / "scenes"
    if not folder.is_dir():
        raise InputError(f"{data} holds no scenes; give the folder of the data sets with --data")
    yield from _slovenia(folder / "slovenia_s2_eopatch")
    yield from _elkton(folder / "rasterframes_L8_NAIP")
    yield from _potsdam(folder / "potsdam_enmap")


def _grouped(labels: NDArray[np.generic], table: dict[int, int]) -> Codes:
    groups = np.full(labels.shape, _UNKNOWN, np.uint8)
    for label, group in table.items():
        groups[labels == label] = group
    return groups


def _slovenia(folder: Path) -> Iterator[Labelled]:
    dates = np.load(folder / "REFERENCE_SCENES.npy")
    labels = np.load(folder / "TestEOPatch" / "mask_timeless" / "LULC.npy")[..., 0]
    for date in _CLEAR:
        image = np.moveaxis(dates[date], -1, 0).astype(np.float32)
        planes, present = slot_planes(image, SENSORS["sentinel2_l1c"].bands)
        grassland = labels == _GRASS
        yield Labelled("slovenia", planes, present, _grouped(labels, _SLOVENIA), grassland)


def _elkton(folder: Path) -> Iterator[Labelled]:
    bands = SENSORS["landsat8"].bands[:7]
    numbers = [_read(folder / f"L8-{band.name}-Elkton-VA.tiff")[0] for band in bands]
    image = np.stack(numbers).astype(np.float32) * _LANDSAT_GAIN + _LANDSAT_OFFSET
    labels = _read(folder / "L8-Labels-Elkton-VA.tiff")[0]
    yield Labelled("elkton", *slot_planes(image, bands), _grouped(labels, _ELKTON))


def _potsdam(folder: Path) -> Iterator[Labelled]:
    for path in sorted((folder / "images").glob("*.tif")):
        image, names = _read_named(path)
        seen = [i for i, plane in enumerate(image) if np.median(plane) > -1000]
        waves = [float(names[i].partition("(")[2].split()[0]) / 1000 for i in seen]
        bands = [Band(f"b{i}", wave, 0.01) for i, wave in zip(seen, waves, strict=True)]
        planes, present = slot_planes(image[seen].astype(np.float32) / _ENMAP_SCALE, bands)
        labels = _read(folder / "labels" / path.name)[0]
        yield Labelled("potsdam", planes, present, _grouped(labels, _POTSDAM))


def _read(path: Path) -> NDArray[np.generic]:
    return _read_named(path)[0]


def _read_named(path: Path) -> tuple[NDArray[np.generic], tuple[str, ...]]:
    import rasterio

    from terralogue.tools.export import quiet

    with quiet(), rasterio.open(path) as file:
        return file.read(), tuple(str(name) for name in file.descriptions)


def rule_groups(planes: Floats, *, tree_ndvi: float = 0.6) -> Codes:
    """Groups by the published rules of `tools/rules.py`, and trees by a high NDVI (`DENSE` there).

    Water is MNDWI > 0 and dark in the near infrared, vegetation NDVI > 0.412, built up
    NDBI - NDVI > 0, and the rest bare soil.
    """
    green, red, near, short = (
        ((planes[SLOTS.index(name)] + 1) / 2.5) ** 2 for name in ("G", "R", "N", "S1")
    )
    ndvi = _normalised(near, red)
    groups = np.full(red.shape, GROUPS.index("bare_soil"), np.uint8)
    groups[_normalised(short, near) - ndvi > 0] = GROUPS.index("built_up")
    groups[ndvi > 0.412] = GROUPS.index("open land")
    groups[ndvi > tree_ndvi] = GROUPS.index("tree_cover")
    groups[(_normalised(green, short) > 0) & (near < 0.15)] = GROUPS.index("water")
    return groups


def _normalised(one: Floats, other: Floats) -> Floats:
    return np.asarray((one - other) / np.maximum(one + other, 1e-6), np.float32)


def network_groups(planes: Floats, present: NDArray[np.bool_], folder: Path) -> Codes:
    """Groups by a land-cover network: that of the likeliest class of each pixel."""
    return np.asarray(_COVER_GROUPS[network_codes(planes, present, folder)], np.uint8)


def network_codes(planes: Floats, present: NDArray[np.bool_], folder: Path) -> Codes:
    """Codes of COVERS by a land-cover network: the likeliest class of each pixel."""
    import torch

    from terralogue.tools.dense_ms_checkpoint import read_slots
    from terralogue.tools.dense_ms_model import STRIDE

    height, width = planes.shape[1:]
    sides = (0, 0), (0, -height % STRIDE), (0, -width % STRIDE)
    padded = torch.from_numpy(np.pad(np.nan_to_num(planes), sides, mode="reflect"))
    there = torch.from_numpy(present.astype(np.float32))[None]
    codes = read_slots(folder).shares(padded[None], there)[0].argmax(0).numpy()
    return np.asarray(codes[:height, :width], np.uint8)


def score(
    labelled: list[Labelled], classify: Callable[[Labelled], Codes]
) -> dict[str, dict[str, float]]:
    """Intersection over union of each group by place, pooled over its images, and their mean."""
    counts: dict[str, dict[str, tuple[int, int]]] = {}
    for scene in labelled:
        found = classify(scene)
        known = scene.groups != _UNKNOWN
        place = counts.setdefault(scene.place, {})
        for group in np.unique(scene.groups[known]):
            mine, theirs = (found == group) & known, scene.groups == group
            both, either = place.get(GROUPS[group], (0, 0))
            place[GROUPS[group]] = (
                both + int((mine & theirs).sum()),
                either + int((mine | theirs).sum()),
            )
    scores = {}
    for name, place in counts.items():
        ious = {group: both / max(either, 1) for group, (both, either) in place.items()}
        scores[name] = {**ious, "miou": sum(ious.values()) / len(ious)}
    return scores


def grassland_score(labelled: list[Labelled], classify: Callable[[Labelled], Codes]) -> float:
    """Intersection over union of grassland alone, by codes of COVERS, where labels tell it."""
    both = either = 0
    for scene in labelled:
        if scene.grassland is not None:
            known = scene.groups != _UNKNOWN
            found = (classify(scene) == COVERS.index("grassland")) & known
            both += int((found & scene.grassland).sum())
            either += int((found | (scene.grassland & known)).sum())
    return both / max(either, 1)


def main() -> None:
    """Print one line per place and method."""
    from terralogue.tools.dense_checkpoint import WEIGHTS_FOLDER

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--model", type=Path, default=WEIGHTS_FOLDER / "ms_cover")
    args = parser.parse_args()
    labelled = list(scenes(args.data))
    methods: dict[str, Callable[[Labelled], Codes]] = {
        "rules": lambda scene: rule_groups(scene.planes),
        "rules, 0.7": lambda scene: rule_groups(scene.planes, tree_ndvi=0.7),
        "network": lambda scene: network_groups(scene.planes, scene.present, args.model),
    }
    for method, classify in methods.items():
        for place, values in score(labelled, classify).items():
            figures = " ".join(f"{name} {value:.3f}" for name, value in values.items())
            print(f"{method:10} {place:9} {figures}")
    alone = grassland_score(
        labelled, lambda scene: network_codes(scene.planes, scene.present, args.model)
    )
    print(f"network    slovenia  grassland alone {alone:.3f}")


if __name__ == "__main__":
    main()
