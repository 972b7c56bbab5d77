"""Real scenes without labels, that a network trained on simulated ones is brought closer to.

Crops of the OSCD cities (13 bands of Sentinel-2) and the water chips (7 bands), as slots; see
`tools/dense_ms_training.py` for how they are used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.dense_slots import OPTICAL, SLOTS, slot_planes
from terralogue.datasets.errors import InputError
from terralogue.tools.dense_ms_training import IGNORED, Tiles, as_tiles
from terralogue.tools.dense_ms_water import Chips

SIDE: Final = 128
PACK: Final = "unlabelled.npz"
# Cities kept for choosing and testing change models stay out (`vlm/align_scenes.py`).
_LEFT_OUT: Final = ("beirut", "nantes", "cupertino", "aguasclaras")
_CROPS = 8
# Slots of reflectance lie between these.
_LOW, _HIGH = -1.0, 2.1
_STEPS = 254


def pack_cities(data: Path, pack: Path, seed: int = 0) -> None:
    """Write crops of the OSCD cities into one .npz file of a byte for each number.

    Raises:
        InputError: there are none.
    """
    from rasterio.windows import Window

    from terralogue.datasets.scene import open_scene

    images = data / "oscd" / "images"
    if not images.is_dir():
        raise InputError(f"{data} holds no oscd/images; give the folder of the data sets")
    random = np.random.default_rng(seed)
    crops = []
    for city in sorted(images.iterdir()):
        for date in ("imgs_1", "imgs_2") if city.name not in _LEFT_OUT else ():
            with open_scene(city / date, sensor="sentinel2_l1c") as scene:
                for _ in range(_CROPS):
                    row = int(random.integers(scene.height - SIDE))
                    column = int(random.integers(scene.width - SIDE))
                    pixels = scene.read(window=Window(column, row, SIDE, SIDE))
                    planes, present = slot_planes(pixels.data, pixels.bands)
                    crops.append(_coded(planes[: len(OPTICAL)]))
    pack.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(pack, crops=np.stack(crops), present=present)


def _coded(planes: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A byte for each number; 0 where unobserved."""
    share = np.clip((planes - _LOW) / (_HIGH - _LOW), 0, 1)
    return np.where(np.isfinite(planes), 1 + np.round(np.nan_to_num(share) * _STEPS), 0).astype(
        np.uint8
    )


def read_unlabelled(pack: Path, chips: Chips) -> Tiles:
    """The crops that `pack_cities` wrote, and the water chips; all codes are unknown.

    Raises:
        InputError: there is no such file.
    """
    if not pack.is_file():
        raise InputError(f"{pack} does not exist; give --data once, to make it")
    with np.load(pack) as stored:
        crops, present = stored["crops"].astype(np.float32), stored["present"]
    planes = np.zeros((len(crops), len(SLOTS), SIDE, SIDE), np.float32)
    planes[:, : len(OPTICAL)] = np.where(
        crops > 0, _LOW + (crops - 1) / _STEPS * (_HIGH - _LOW), np.nan
    )
    cities = as_tiles(planes, np.tile(present, (len(crops), 1)), _unknown(len(crops)))
    rivers = as_tiles(
        chips.planes, np.tile(chips.present, (len(chips.water), 1)), _unknown(len(chips.water))
    )
    return cities.plus(rivers)


def _unknown(count: int) -> NDArray[np.uint8]:
    return np.full((count, SIDE, SIDE), IGNORED, np.uint8)
