"""The water chips of `water_s2l8`, cut by place, and cross-validation of water models on them.

Several chips show one place on several dates, and neighbouring chips one river, so a fold holds
whole places. Which chips belong together was told by their edges, their rivers and their fields.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.bands import Band
from terralogue.datasets.dense_slots import slot_planes
from terralogue.datasets.errors import InputError
from terralogue.datasets.sensors import SENSORS

PACK: Final = "water_s2l8.npz"
# Numbers of the chips of one place, or of one region that repeats itself.
PLACES: Final = (
    (16, 19, 187, 191, 203),
    (118, 166, 172, 175, 197, 208, 214),
    (112, 142, 181),
    (137, 199),
    (143, 149),
    (127,),
    (202, 205, 229),
    (103, 106, 115, 151, 163, 193, 211, 227),
    (107, 136, 173),
    (10, 113),
    (13, 133, 155),
    (1, 101, 209),
    (11, 184),
    (215, 226),
)
"""Places of the chips, by the numbers in their names."""
FOLDS: Final = ((0, 11), (1, 9), (2, 6, 7), (3, 4, 5, 10), (8, 12, 13))
"""Positions in PLACES that are left out together, so that each fold has about as much water."""
BANDS: Final[tuple[Band, ...]] = SENSORS["landsat8"].bands[:7]
"""Coastal, blue, green, red, near infrared and two short-wave infrared: the bands of a chip."""
CHOICES: Final = (0.4, 0.5, 0.6, 0.7)
"""Thresholds to choose from."""
_SCALE = 10_000


class Chips(NamedTuple):
    """Chips with masks.

    Attributes:
        planes: float32 (n, slots, H, W) as `slot_planes` gives them.
        present: bool (slots,).
        water: bool (n, H, W).
        folds: int (n,), position in FOLDS.
    """

    planes: NDArray[np.float32]
    present: NDArray[np.bool_]
    water: NDArray[np.bool_]
    folds: NDArray[np.intp]


def fold_of(number: int) -> int:
    """The fold of a chip.

    Raises:
        InputError: no such chip is known.
    """
    for fold, places in enumerate(FOLDS):
        if any(number in PLACES[place] for place in places):
            return fold
    raise InputError(f"chip {number} belongs to no known place; add it to PLACES")


def pack_chips(data: Path, pack: Path) -> None:
    """Write the chips of a folder with images/ and labels/ into one .npz file.

    Raises:
        InputError: there are none.
    """
    import rasterio

    from terralogue.tools.export import quiet

    images = sorted((data / "images").glob("*.tif"), key=lambda path: int(path.stem))
    if not images:
        raise InputError(f"{data} holds no images/*.tif; give the folder of the water chips")
    values, masks = [], []
    for image in images:
        with quiet(), rasterio.open(image) as file:
            values.append(file.read().astype(np.int16))
        with quiet(), rasterio.open(data / "labels" / f"{image.stem}.png") as file:
            masks.append(file.read(1) > 0)
    pack.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        pack,
        values=np.stack(values),
        water=np.stack(masks),
        numbers=np.array([int(image.stem) for image in images]),
    )


def read_chips(pack: Path) -> Chips:
    """Read what `pack_chips` wrote.

    Raises:
        InputError: there is no such file.
    """
    if not pack.is_file():
        raise InputError(f"{pack} does not exist; give --data once, to make it")
    with np.load(pack) as stored:
        values, water, numbers = stored["values"], stored["water"], stored["numbers"]
    planes, present = [], np.zeros(0, np.bool_)
    for chip in values:
        slots, present = slot_planes(chip.astype(np.float32) / _SCALE, BANDS)
        planes.append(slots)
    folds = np.array([fold_of(int(number)) for number in numbers])
    return Chips(np.stack(planes), present, water, folds)


class WaterScore(NamedTuple):
    """Pooled over the chips: intersection over union, recall and precision of water."""

    iou: float
    recall: float
    precision: float

    @property
    def text(self) -> str:
        """For people."""
        return f"IoU {self.iou:.3f} recall {self.recall:.3f} precision {self.precision:.3f}"


def water_score(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> WaterScore:
    """Score masks (n, H, W)."""
    both = int((found & truth).sum())
    either, there, said = int((found | truth).sum()), int(truth.sum()), int(found.sum())
    return WaterScore(both / max(either, 1), both / max(there, 1), both / max(said, 1))


def best_threshold(
    likely: NDArray[np.float32], truth: NDArray[np.bool_], choices: tuple[float, ...] = CHOICES
) -> float:
    """The probability from which pixels give the highest intersection over union."""
    return max(choices, key=lambda choice: water_score(likely >= choice, truth).iou)


def nested_masks(chips: Chips, likely: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Masks of held-out probabilities, each fold with the best threshold of the other folds."""
    masks = np.zeros(likely.shape, np.bool_)
    for fold in range(len(FOLDS)):
        here = chips.folds == fold
        masks[here] = likely[here] >= best_threshold(likely[~here], chips.water[~here])
    return masks


def held_out(
    chips: Chips, fit: Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Probability of water of every chip by a model that has not seen its place.

    Args:
        chips: all of them.
        fit: trains on the first positions, and gives the probabilities (n, H, W) of the second.
    """
    likely = np.zeros(chips.water.shape, np.float32)
    for fold in range(len(FOLDS)):
        rest, left_out = np.flatnonzero(chips.folds != fold), np.flatnonzero(chips.folds == fold)
        likely[left_out] = fit(rest, left_out)
    return likely


def boosting(chips: Chips, seed: int = 0) -> NDArray[np.float32]:
    """Held-out probabilities of gradient boosting on single pixels: the baseline to beat."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    used = chips.planes[:, chips.present].transpose(0, 2, 3, 1)
    random = np.random.default_rng(seed)

    def fit(rest: NDArray[np.intp], left_out: NDArray[np.intp]) -> NDArray[np.float32]:
        pixels, labels = used[rest].reshape(-1, used.shape[-1]), chips.water[rest].ravel()
        some = random.choice(len(pixels), min(len(pixels), 150_000), replace=False)
        model = HistGradientBoostingClassifier(max_iter=150, learning_rate=0.08, random_state=seed)
        model.fit(pixels[some], labels[some])
        likely = model.predict_proba(used[left_out].reshape(-1, used.shape[-1]))[:, 1]
        return np.asarray(likely.reshape(chips.water[left_out].shape), np.float32)

    return held_out(chips, fit)
