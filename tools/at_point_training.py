"""Train and score the network that chooses what was clicked on.

    python -m terralogue.tools.at_point_training --data DATA --out tools/weights/click [--test]

Clicks fall into the inner half of buildings (`inria_samples`, `fair_buildings`) and of fields of
the simulator (Sentinel-2, Landsat 8, 2 m pictures), cut into parts by place or seed. Everything is
chosen on the validation part: size of the network, calibration, and the radius and tolerance of the
two baselines, a disc and a flood fill. `--test` scores the test parts and the land use of
`slovenia_s2_eopatch`, of which nothing was trained or tuned on. Writes `scores.json` as well.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import EOError, InputError
from terralogue.datasets.parts import Part, part
from terralogue.datasets.pictures import RGB_BANDS
from terralogue.datasets.sensors import get_sensor
from terralogue.datasets.synthetic import simulate_scene
from terralogue.datasets.synthetic_canvas import Grid
from terralogue.datasets.synthetic_layouts import choose_place, lay_out
from terralogue.datasets.tiles import normalise
from terralogue.tools.at_point_choice import Chooser, Layer, write_chooser
from terralogue.tools.at_point_growth import LEVELS, Sight, grow
from terralogue.tools.at_point_window import SIDE, features_of

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

_BUILDINGS: Final = ("inria_samples", "fair_buildings")
_FIELDS: Final = {"sentinel2_l2a": 10.0, "landsat8": 30.0, "rgb_satellite": 2.0}
_SEEDS: Final[dict[Part, range]] = {
    "train": range(14), "val": range(100, 108), "test": range(200, 210),
}  # fmt: skip
_LAYOUTS: Final = ("fields", "sections", "pivots")
_SIZE: Final = 192
# Land use of the Slovenian layer that is no forest: fields, meadows, water, settlement.
_SLOVENIA: Final = "scenes/slovenia_s2_eopatch"
_OPEN_LAND: Final = (1, 3, 4, 8)
# Pixels of the smallest thing that is clicked on, and share of the window of the largest.
_LEAST, _MOST = 40, 0.6
_CLICKS: Final[dict[Part, int]] = {"train": 8, "val": 4, "test": 4}
_HIDDEN: Final = ((32,), (64,), (32, 16))
_NETWORKS: Final = 6
_RADII: Final = (5, 8, 12, 16, 20, 25, 30)


@dataclass(frozen=True, eq=False)
class Picture:
    """A window with the things in it.

    Attributes:
        source: data set.
        data: (bands, H, W) in the range of tiles.
        bands: along the first axis.
        things: int (H, W), number of the thing, 0 for none.
    """

    source: str
    data: Floats
    bands: tuple[Band, ...]
    things: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Click:
    """One click, with what grew from it.

    Attributes:
        source: data set.
        descriptions: (regions, figures).
        overlaps: float32 (regions,), true IoU of each.
        discs: IoU of a disc of each of _RADII.
        fills: IoU of a flood fill at each level of colour.
    """

    source: str
    descriptions: Floats
    overlaps: Floats
    discs: tuple[float, ...]
    fills: tuple[float, ...]


def pictures(data: Path, wanted: Part) -> Iterator[Picture]:
    """All pictures of a part.

    Raises:
        InputError: a data set is missing.
    """
    for name in _BUILDINGS:
        if not (data / name / "images").is_dir():
            raise InputError(f"{data / name} has no folder images; name the folder of real data.")
        for path in sorted((data / name / "images").iterdir()):
            if part(name, path.name) != wanted:
                continue
            mask = next((data / name / "masks").glob(f"{path.stem}.*"))
            pixels = np.asarray(Image.open(path).convert("RGB"))[:SIDE, :SIDE].transpose(2, 0, 1)
            things, _ = ndimage.label(np.asarray(Image.open(mask).convert("L"))[:SIDE, :SIDE] > 0)
            yield Picture(
                name, normalise(pixels, RGB_BANDS), RGB_BANDS, np.asarray(things, np.int32)
            )
    for sensor, gsd in _FIELDS.items():
        for seed in _SEEDS[wanted]:
            yield simulated(sensor, gsd, seed)
    if wanted == "test":
        yield from _slovenia(data / _SLOVENIA)


def simulated(sensor: str, gsd: float, seed: int) -> Picture:
    """A simulated farmland; connected pixels of one crop in one state are a field."""
    layout = _LAYOUTS[seed % len(_LAYOUTS)]
    season = 0.3 + 0.04 * (7 * seed % 10)
    scene = simulate_scene(
        sensor, layout=layout, size=_SIZE, gsd=gsd, seed=seed, clouds=0.0, season=season
    )
    ground = lay_out(choose_place(seed, layout, _SIZE * gsd, gsd), Grid(_SIZE, gsd), season, None)
    kind = ground.material.astype(np.int32) * 256 + ground.variant
    things = np.zeros(kind.shape, np.int32)
    for each in np.unique(kind[scene.where("cropland")]):
        labels, _ = ndimage.label((kind == each) & scene.where("cropland"))
        things[labels > 0] = labels[labels > 0] + things.max()
    pixels = scene.data
    if scene.unit == "DN":
        pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    return Picture(f"fields {sensor}", normalise(pixels, scene.bands), scene.bands, things)


def _slovenia(folder: Path) -> Iterator[Picture]:
    dates = np.load(folder / "REFERENCE_SCENES.npy", allow_pickle=False)
    use = np.load(folder / "TestEOPatch/mask_timeless/LULC.npy", allow_pickle=False)[..., 0]
    bands = get_sensor("sentinel2_l1c").bands
    things = np.zeros(use.shape, np.int32)
    for code in _OPEN_LAND:
        labels, _ = ndimage.label(use == code)
        things[labels > 0] = labels[labels > 0] + things.max()
    for date in dates:
        planes = np.ascontiguousarray(date.transpose(2, 0, 1))
        yield Picture("land use slovenia", normalise(planes, bands), bands, things)


def clicks(picture: Picture, most: int, rng: np.random.Generator) -> Iterator[Click]:
    """Click on some of the things of a picture, and let regions grow."""
    sizes = np.bincount(picture.things.ravel())
    known = [n for n in range(1, len(sizes)) if _LEAST <= sizes[n] < _MOST * picture.things.size]
    if not known:
        return
    filled = np.nan_to_num(picture.data)
    sight = Sight.of(picture.data, features_of(filled, picture.bands))
    for number in rng.permutation(known)[:most]:
        thing = picture.things == number
        depth = ndimage.distance_transform_edt(np.pad(thing, 1))[1:-1, 1:-1]
        rows, columns = np.nonzero(depth >= depth.max() / 2)
        pick = int(rng.integers(len(rows)))
        yield _clicked(picture.source, sight, thing, int(rows[pick]), int(columns[pick]))


def _clicked(source: str, sight: Sight, thing: Bools, row: int, column: int) -> Click:
    total = int(thing.sum())
    regions = grow(sight, row, column)
    overlaps = []
    for region in regions:
        both = int((thing[region.place] & region.mask).sum())
        overlaps.append(both / (total + int(region.mask.sum()) - both))
    down, across = np.ogrid[: thing.shape[0], : thing.shape[1]]
    far = np.hypot(down - row, across - column)
    colours = sight.colours - sight.colours[:, row, column][:, None, None]
    unlike = np.sqrt((colours**2).mean(axis=0)) / sight.spread
    fills = []
    for level in LEVELS["colour"]:
        labels, _ = ndimage.label(unlike <= level)
        fills.append(_overlap(labels == labels[row, column], thing))
    discs = tuple(_overlap(far <= radius, thing) for radius in _RADII)
    width = len(regions[0].description) if regions else 0
    descriptions = np.array([region.description for region in regions], np.float32)
    return Click(
        source, descriptions.reshape(len(regions), width), np.array(overlaps, np.float32), discs,
        tuple(fills),
    )  # fmt: skip


def _overlap(found: Bools, thing: Bools) -> float:
    return float((found & thing).sum() / max((found | thing).sum(), 1))


def collect(data: Path, wanted: Part) -> list[Click]:
    """The clicks of a part, always the same."""
    found: list[Click] = []
    for number, picture in enumerate(pictures(data, wanted)):
        rng = np.random.default_rng([number, _SEEDS[wanted].start])
        found += clicks(picture, _CLICKS[wanted], rng)
        if number % 50 == 0:
            print(f"{wanted}: {len(found)} clicks", file=sys.stderr, flush=True)
    return found


def fit(training: Sequence[Click], hidden: tuple[int, ...]) -> Chooser:
    """Fit an ensemble of perceptrons to the overlap of every region that grew."""
    from sklearn.neural_network import MLPRegressor

    x = np.concatenate([click.descriptions for click in training if len(click.overlaps)])
    y = np.concatenate([click.overlaps for click in training])
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
    networks = [
        MLPRegressor(
            hidden_layer_sizes=hidden, alpha=0.01, learning_rate_init=2e-3, max_iter=60,
            early_stopping=True, random_state=seed,
        ).fit((x - mean) / spread, y)
        for seed in range(_NETWORKS)
    ]  # fmt: skip
    layers = tuple(
        Layer(
            np.stack([net.coefs_[depth] for net in networks]).astype(np.float32),
            np.stack([net.intercepts_[depth] for net in networks]).astype(np.float32),
        )
        for depth in range(len(hidden) + 1)
    )
    return Chooser(mean.astype(np.float32), spread.astype(np.float32), layers)


def chosen(chooser: Chooser, click: Click) -> tuple[float, float]:
    """Expected and true overlap of the region that is chosen; 0 where none grew."""
    if not len(click.overlaps):
        return 0.0, 0.0
    expected = chooser.overlap(click.descriptions)
    best = int(expected.argmax())
    return float(expected[best]), float(click.overlaps[best])


def by_source(found: Sequence[Click], score: Callable[[Click], float]) -> dict[str, float]:
    """Mean score of each data set, and of these as `mean`."""
    sources = sorted({click.source for click in found})
    means = {
        name: float(np.mean([score(click) for click in found if click.source == name]))
        for name in sources
    }
    return {**means, "mean": float(np.mean(list(means.values())))}


def calibrated(chooser: Chooser, found: Sequence[Click]) -> Chooser:
    """Fit the probability that the overlap is at least 0.5 to that which was expected."""
    from sklearn.linear_model import LogisticRegression

    pairs = np.array([chosen(chooser, click) for click in found])
    model = LogisticRegression(C=100.0).fit(pairs[:, :1], pairs[:, 1] >= 0.5)
    return replace(chooser, scale=float(model.coef_[0, 0]), shift=float(model.intercept_[0]))


def calibration_error(chooser: Chooser, found: Sequence[Click]) -> float:
    """Expected calibration error of `Chooser.probability` in ten bins of equal count."""
    pairs = [chosen(chooser, click) for click in found]
    told = np.array([chooser.probability(expected) for expected, _ in pairs])
    right = np.array([overlap >= 0.5 for _, overlap in pairs])
    bins = np.array_split(np.argsort(told), 10)
    gaps = [len(each) * abs(told[each].mean() - right[each].mean()) for each in bins if len(each)]
    return float(sum(gaps) / len(pairs))


def table(
    chooser: Chooser, found: Sequence[Click], disc: int, fill: int
) -> dict[str, dict[str, float]]:
    """Scores of the network, of the two baselines and of the best region that grew."""
    sources = sorted({click.source for click in found})
    return {
        "clicks": {name: sum(c.source == name for c in found) for name in sources},
        "disc": by_source(found, lambda click: click.discs[disc]),
        "flood_fill": by_source(found, lambda click: click.fills[fill]),
        "chosen": by_source(found, lambda click: chosen(chooser, click)[1]),
        "best_grown": by_source(found, lambda click: float(max(click.overlaps, default=0.0))),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Train, choose on validation, write, and score; 2 for bad input."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of real data")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights and scores")
    parser.add_argument("--test", action="store_true", help="score the test parts, too")
    options = parser.parse_args(argv)
    try:
        training, validation = (collect(options.data, name) for name in ("train", "val"))
    except EOError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code

    def overall(chooser: Chooser) -> float:
        return by_source(validation, lambda click: chosen(chooser, click)[1])["mean"]

    choosers = {str(hidden): fit(training, hidden) for hidden in _HIDDEN}
    name = max(choosers, key=lambda each: overall(choosers[each]))
    chooser = calibrated(choosers[name], validation)
    write_chooser(options.out, chooser)
    disc = max(
        range(len(_RADII)), key=lambda n: by_source(validation, lambda c: c.discs[n])["mean"]
    )
    levels = range(len(LEVELS["colour"]))
    fill = max(levels, key=lambda n: by_source(validation, lambda c: c.fills[n])["mean"])
    scores = {
        "hidden": name,
        "hidden_val": {each: overall(chooser) for each, chooser in choosers.items()},
        "radius": _RADII[disc],
        "tolerance": float(LEVELS["colour"][fill]),
        "training_clicks": len(training),
        "val": table(chooser, validation, disc, fill),
    }
    if options.test:
        test = collect(options.data, "test")
        scores["test"] = table(chooser, test, disc, fill)
        scores["test_calibration_error"] = calibration_error(chooser, test)
    text = json.dumps(scores, indent=1)
    (options.out / "scores.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
