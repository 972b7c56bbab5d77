"""Sources of other sensors for alignment: real multispectral scenes, and simulated ones.

Each image has a companion, the same ground as a red, green and blue picture, so that every sensor
is drawn to where the picture of the place lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.bands import Band
from terralogue.datasets.parts import Part
from terralogue.datasets.scene import Scene, open_scene
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.synthetic import CLASSES, Simulated, simulate_views
from terralogue.datasets.synthetic_render import PICTURES
from terralogue.datasets.synthetic_text import captions
from terralogue.datasets.tiles import normalise
from terralogue.vlm.align_data import Source
from terralogue.vlm.cover_words import index_fractions, sentences

Floats = NDArray[np.float32]

WINDOW: Final = 64
"""Pixels along a tile of Sentinel-2, as in EuroSAT."""
# OSCD cities that training leaves out; whole cities, since neighbouring tiles look alike.
CITIES: Final[dict[Part, tuple[str, ...]]] = {
    "val": ("beirut", "nantes"),
    "test": ("cupertino", "aguasclaras"),
}
# Sensors that simulated places are seen by, each beside its picture.
SIMULATED: Final = (
    "sentinel2_l2a", "sentinel2_l1c", "sentinel1_grd", "landsat8", "landsat5", "naip_rgbn",
    "planetscope_8b", "worldview2",
)  # fmt: skip
_PICTURE: Final = "unknown_rgb"


@dataclass(frozen=True)
class _Sample:
    """One image in the making."""

    data: Floats
    picture: Floats
    captions: tuple[str, ...]
    fractions: Floats


def rgb_of(bands: Sequence[Band]) -> list[int]:
    """Places of red, green and blue among the bands."""
    names = [band.common for band in bands]
    return [names.index(colour) for colour in ("R", "G", "B")]


def scene_samples(scene: Scene, *, step: int, label: str, seed: int) -> list[_Sample]:
    """Tiles of a calibrated multispectral scene, with captions from its indices."""
    rng = np.random.default_rng(seed)
    samples = []
    for row in range(0, scene.height - WINDOW + 1, step):
        for column in range(0, scene.width - WINDOW + 1, step):
            pixels = scene.read(window=Window(column, row, WINDOW, WINDOW))
            if pixels.valid.mean() < 0.99:
                continue
            shares = index_fractions(pixels.data, pixels.bands)
            data = np.nan_to_num(normalise(pixels.data, pixels.bands))
            samples.append(
                _Sample(data, data[rgb_of(pixels.bands)], sentences(shares, label, rng), shares)
            )
    return samples


def oscd(data: Path, part: Part, *, step: int = WINDOW) -> Source:
    """Both dates of a part's OSCD cities, 13 bands of Sentinel-2 L1C (Daudt et al. 2018).

    Raises:
        SceneError: a scene cannot be read.
    """
    samples: list[_Sample] = []
    keys: list[str] = []
    bands: tuple[Band, ...] = ()
    for city in sorted((data / "oscd/images").iterdir()):
        held = next((name for name, cities in CITIES.items() if city.name in cities), "train")
        if held != part:
            continue
        for date in ("imgs_1", "imgs_2"):
            with open_scene(city / date, sensor="sentinel2_l1c") as scene:
                bands = scene.bands
                found = scene_samples(scene, step=step, label="Sentinel-2", seed=len(keys))
            samples += found
            keys += [f"{city.name}/{date}/{i}" for i in range(len(found))]
    return _source("oscd", bands, samples, keys, tuple(bands[i] for i in rgb_of(bands)), weight=0.7)


def _simulate(sensor: str, seed: int, size: int) -> tuple[_Sample, tuple[Band, ...]]:
    optical = SENSORS[sensor].band("R") is not None
    gsd = SENSORS[sensor].gsd or 1.5
    # An optical scene is its own picture; another view would have other clouds.
    wanted = (sensor,) if optical else (sensor, _PICTURE)
    clouds = None if optical else 0.0
    scene, *others = simulate_views(wanted, size=size, gsd=gsd, seed=seed, clouds=clouds)
    data = _normalised(scene)
    picture = _normalised(others[0]) if others else data[rgb_of(scene.bands)]
    shares = scene.fractions()
    return (
        _Sample(
            data,
            picture,
            tuple(captions(scene, count=5, seed=seed)),
            np.array([shares.get(name, 0.0) for name in (*CLASSES, "cloud")], np.float32),
        ),
        scene.bands,
    )


def _normalised(scene: Simulated) -> Floats:
    data = scene.data.astype(np.uint8) if scene.sensor in PICTURES else scene.data
    return np.nan_to_num(normalise(data, scene.bands))


def simulated(
    sensor: str, count: int, *, seed: int, size: int = 96, workers: int = 2, weight: float = 1
) -> Source:
    """Simulated places as one sensor sees them, with captions from the truth."""
    with ProcessPoolExecutor(workers) as pool:
        found = list(
            pool.map(
                _simulate, [sensor] * count, range(seed, seed + count), [size] * count, chunksize=16
            )
        )
    bands = found[0][1]
    optical = SENSORS[sensor].band("R") is not None
    picture = tuple(bands[i] for i in rgb_of(bands)) if optical else SENSORS[_PICTURE].bands
    keys = [f"{sensor}/{seed + i}" for i in range(count)]
    return _source(
        f"sim_{sensor}", bands, [sample for sample, _ in found], keys, picture, weight=weight
    )


def _source(
    name: str, bands: tuple[Band, ...], samples: Sequence[_Sample], keys: Sequence[str],
    picture: tuple[Band, ...], *, weight: float,
) -> Source:  # fmt: skip
    return Source(
        name,
        bands,
        np.stack([s.data for s in samples]).astype(np.float16),
        tuple(s.captions for s in samples),
        np.full(len(samples), -1),
        fractions=np.stack([s.fractions for s in samples]),
        weight=weight,
        keys=tuple(keys),
        companion=np.stack([s.picture for s in samples]).astype(np.float16),
        companion_bands=picture,
    )
