"""Our own Sentinel-2-like scenes with exact truth: for the demo, tests and the memory benchmark.

A landscape is laid out on a grid of 5 m (river, lake, fields, forest, town), given the typical
reflectance of each class, averaged to 10 m so that edges mix, shaded, clouded and made noisy.

    python -c "from terralogue.datasets.synthetic import make_demo_scene as m; m('demo.tif')"
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

from terralogue.datasets.synthetic_land import (
    CLASSES,
    FINE,
    GSD,
    Event,
    Floats,
    landscape,
    smooth,
)

Level = Literal["L1C", "L2A"]

CRS = "EPSG:32633"
ORIGIN = (534_000.0, 5_205_000.0)

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")

# Surface reflectance in the twelve bands, in per mille: rounded typical values that keep the shapes
# of the USGS Spectral Library Version 7 (Kokaly et al. 2017, doi:10.3133/ds1035).
# fmt: off
_SPECTRA = {
    "grassland": (25, 38, 75, 55, 115, 240, 290, 310, 325, 320, 240, 130),
    "green_crop": (22, 32, 70, 35, 110, 330, 430, 450, 460, 450, 200, 95),
    "ripe_crop": (55, 80, 125, 160, 200, 240, 270, 290, 310, 320, 350, 250),
    "bare_soil": (55, 75, 105, 140, 165, 180, 195, 215, 235, 240, 310, 270),
    "forest": (24, 34, 60, 36, 95, 250, 320, 345, 360, 355, 190, 90),
    "built_up": (90, 108, 126, 150, 165, 176, 186, 196, 206, 210, 236, 220),
    "road": (72, 84, 95, 105, 110, 115, 120, 125, 130, 132, 152, 146),
    "sand": (120, 150, 195, 240, 265, 280, 290, 300, 315, 320, 390, 350),
    "water": (36, 42, 46, 28, 22, 15, 13, 12, 11, 10, 6, 4),
    "flood": (60, 75, 98, 92, 80, 52, 46, 42, 38, 34, 14, 9),
    "burned_area": (35, 40, 46, 56, 66, 76, 86, 96, 106, 110, 195, 190),
}
_CLOUD = (550, 560, 550, 555, 565, 575, 580, 590, 590, 450, 360, 280)
# Path reflectance that turns surface into top-of-atmosphere, and the blur of each native grid in
# pixels: 10 m, 20 m and 60 m bands are all delivered on the 10 m grid.
_PATH = (110, 78, 46, 28, 20, 15, 12, 9, 7, 6, 2, 1)
_BLUR = (2.2, 0.4, 0.4, 0.4, 0.8, 0.8, 0.8, 0.4, 0.8, 2.2, 0.8, 0.8)
# fmt: on
_NOISE = 0.002


@dataclass(frozen=True)
class Simulated:
    """A scene and its truth on the 10 m grid.

    Attributes:
        reflectance: float32 (bands, H, W), 0 to 1.
        classes: uint8 (H, W), index into CLASSES of the ground, also below cloud.
        cloud: bool (H, W), where the ground cannot be seen.
        shadow: bool (H, W), where a cloud dims the ground; not below cloud.
        bands: Names along the first axis.
    """

    reflectance: Floats
    classes: NDArray[np.uint8]
    cloud: NDArray[np.bool_]
    shadow: NDArray[np.bool_]
    bands: tuple[str, ...]

    def where(self, *names: str) -> NDArray[np.bool_]:
        """Truth mask (H, W) of the named CLASSES."""
        return np.isin(self.classes, [CLASSES.index(name) for name in names])

    def scene_classification(self) -> NDArray[np.uint8]:
        """The truth as a Sentinel-2 scene classification (SCL) layer (H, W)."""
        scl = np.full(self.classes.shape, 5, np.uint8)
        scl[self.where("grassland", "green_crop", "forest")] = 4
        scl[self.where("water", "flood")] = 6
        scl[self.shadow] = 3
        scl[self.cloud] = 9
        return scl


def _shade(height: Floats, cell: float) -> Floats:
    """Illumination relative to flat ground, sun in the south-east at 58 degrees."""
    slope_y, slope_x = np.gradient(ndimage.gaussian_filter(height, 4), cell)
    light = 1 - 0.2 * (slope_x + slope_y)
    return np.asarray(np.clip(light, 0.5, 1.5), np.float32)


def _clouds(size: int, rng: np.random.Generator, share: float) -> tuple[Floats, Floats]:
    """Opacity (H, W) of cumulus clouds and of their shadows, thrown to the north-west."""
    if share <= 0:
        return np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    pad = 48
    shape = (size + pad, size + pad)
    field = smooth(rng, shape, 38) + 0.35 * smooth(rng, shape, 9) + 0.12 * smooth(rng, shape, 3)
    level = float(np.quantile(field, 1 - share))
    opacity = np.clip((field - level) / 0.30, 0, 1)
    cloud = opacity[:size, :size]
    shadow = ndimage.gaussian_filter(opacity, 1.2)[
        pad - 14 : pad - 14 + size, pad - 20 : pad - 20 + size
    ]
    return cloud.astype(np.float32), shadow.astype(np.float32)


def simulate(
    *,
    size: int = 512,
    seed: int = 0,
    event: Event | None = None,
    level: Level = "L2A",
    clouds: float = 0.02,
    sky: int | None = None,
) -> Simulated:
    """Simulate a scene of size by size pixels of 10 m, with its truth.

    Args:
        size: Pixels along each side.
        seed: Of the landscape.
        event: A flood along the river, a clearing or a burn in the forest.
        level: L2A surface reflectance (12 bands), or L1C top of atmosphere (with B10, 13 bands).
        clouds: Share of the scene below cloud, 0 to 1.
        sky: Seed of clouds and noise; derived from the landscape's where not given.
    """
    land = landscape(size, seed, event)
    rng = np.random.default_rng((seed + 1 if sky is None else sky) + 10_000)
    brightness = land.brightness * _shade(land.height, GSD / FINE)
    blocks = (size, FINE, size, FINE)
    cloud, shadow = _clouds(size, rng, clouds)
    names = list(BANDS)
    table = np.array([_SPECTRA[name] for name in CLASSES], np.float32) / 1000
    planes = []
    for i, blur in enumerate(_BLUR):
        ground = (table[land.classes, i] * brightness).reshape(blocks).mean((1, 3))
        ground = ndimage.gaussian_filter(ground, blur) * (1 - 0.62 * shadow)
        top = _CLOUD[i] / 1000 * (0.78 + 0.30 * cloud)
        plane = ground * (1 - cloud) + top * cloud
        if level == "L1C":
            plane = plane * 0.93 + _PATH[i] / 1000
        plane = plane * (
            1 + 0.01 * rng.standard_normal(plane.shape)
        ) + _NOISE * rng.standard_normal(plane.shape)
        planes.append(np.clip(plane, 1e-4, 1.5).astype(np.float32))
    if level == "L1C":
        names.insert(10, "B10")
        cirrus = 0.0012 + 0.004 * cloud + 0.0003 * rng.standard_normal(cloud.shape)
        planes.insert(10, np.clip(cirrus, 1e-4, 1).astype(np.float32))
    votes = [(land.classes == i).reshape(blocks).sum((1, 3)) for i in range(len(CLASSES))]
    covered = cloud > 0.35
    return Simulated(
        np.stack(planes),
        np.argmax(votes, axis=0).astype(np.uint8),
        covered,
        (shadow > 0.35) & ~covered,
        tuple(names),
    )


def _profile(size: int, bands: Sequence[str]) -> dict[str, object]:
    transform = Affine(GSD, 0, ORIGIN[0], 0, -GSD, ORIGIN[1])
    return {
        "driver": "GTiff",
        "width": size,
        "height": size,
        "count": len(bands),
        "dtype": "uint16",
        "crs": CRS,
        "transform": transform,
        "nodata": 0,
        "interleave": "band",
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
        "predictor": 2,
        "zlevel": 3,
        "num_threads": 2,
    }


def _describe(
    target: rasterio.io.DatasetWriter, bands: Sequence[str], date: str, level: Level
) -> None:
    target.update_tags(
        ACQUISITION_DATETIME=f"{date}T10:20:31Z",
        DESCRIPTION=f"Synthetic Sentinel-2 {level} scene simulated by Terralogue, no observation",
    )
    for i, band in enumerate(bands, 1):
        target.set_band_description(i, band)


def write_scene(
    path: str | Path, scene: Simulated, *, date: str, level: Level = "L2A", scl: bool = False
) -> Path:
    """Write reflectance times 10 000 as a tiled uint16 GeoTIFF in UTM, with band names and tags.

    With `scl` the last band is the scene classification, as products of level L2A have it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.clip(np.rint(scene.reflectance * 10_000), 1, 65_535).astype(np.uint16)
    names = scene.bands
    if scl:
        numbers = np.concatenate([numbers, scene.scene_classification()[None].astype(np.uint16)])
        names = (*names, "SCL")
    with rasterio.open(path, "w", **_profile(numbers.shape[1], names)) as target:
        target.write(numbers)
        _describe(target, names, date, level)
    return path


def make_demo_scene(
    path: str | Path,
    *,
    size: int = 512,
    seed: int = 0,
    date: str = "2024-06-15",
    level: Level = "L2A",
    clouds: float = 0.02,
) -> Path:
    """Write one scene; `simulate` with the same size, seed, level and clouds gives its truth."""
    scene = simulate(size=size, seed=seed, level=level, clouds=clouds)
    return write_scene(path, scene, date=date, level=level)


def make_demo_pair(
    folder: str | Path,
    *,
    event: Event = "flood",
    size: int = 512,
    seed: int = 0,
    clouds: float = 0.0,
    dates: tuple[str, str] = ("2024-05-18", "2024-06-15"),
    scl: bool = False,
) -> tuple[Path, Path]:
    """Write the same ground before and after an event; the names carry the event and the date."""
    before, after = (
        Path(folder) / f"{event}_{when}_{date}.tif"
        for when, date in zip(("before", "after"), dates, strict=True)
    )
    first = simulate(size=size, seed=seed, clouds=clouds, sky=seed + 1)
    second = simulate(size=size, seed=seed, clouds=clouds, sky=seed + 2, event=event)
    return (
        write_scene(before, first, date=dates[0], scl=scl),
        write_scene(after, second, date=dates[1], scl=scl),
    )


def make_large_scene(
    path: str | Path, *, size: int = 10_980, bands: int = 4, seed: int = 0
) -> Path:
    """Write a scene of any size with little memory: one landscape, mirrored again and again.

    Args:
        path: Of the GeoTIFF.
        size: Pixels along each side; 10 980 is a whole Sentinel-2 tile.
        bands: 4 for the bands of 10 m, 12 for all.
        seed: Of the landscape.
    """
    names = ("B02", "B03", "B04", "B08") if bands == 4 else BANDS
    scene = simulate(size=min(size, 1098), seed=seed, clouds=0)
    scene = replace(scene, reflectance=scene.reflectance[[BANDS.index(name) for name in names]])
    numbers = np.clip(np.rint(scene.reflectance * 10_000), 1, 65_535).astype(np.uint16)
    side = numbers.shape[1]
    turn = np.arange(size) % (2 * side)
    mirror = np.where(turn < side, turn, 2 * side - 1 - turn)
    path = Path(path)
    with (
        rasterio.Env(GDAL_CACHEMAX=64),
        rasterio.open(path, "w", **_profile(size, names)) as target,
    ):
        _describe(target, names, "2024-06-15", "L2A")
        for top in range(0, size, 256):
            rows = mirror[top : top + 256]
            target.write(numbers[:, rows][:, :, mirror], window=Window(0, top, size, len(rows)))
    return path
