"""Our own Sentinel-2 files with exact truth: for the demo, tests and the memory benchmark.

python -c "from terralogue.datasets.synthetic import make_demo_scene as m; m('demo.tif')"
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

from terralogue.datasets.sensors import get_sensor
from terralogue.datasets.synthetic_layouts import Place
from terralogue.datasets.synthetic_render import Simulated, render

Event = Literal["flood", "clearing", "burn"]
Level = Literal["L1C", "L2A"]

GSD: Final = 10.0
CRS: Final = "EPSG:32633"
ORIGIN: Final = (534_000.0, 5_205_000.0)
BANDS: Final = (
    "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12",
)  # fmt: skip
# Early summer: crops stand, trees are in leaf.
_SEASON: Final = 0.45


def simulate(
    *,
    size: int = 512,
    seed: int = 0,
    event: Event | None = None,
    level: Level = "L2A",
    clouds: float = 0.02,
    sky: int | None = None,
) -> Simulated:
    """Simulate the demo's river valley, size by size pixels of 10 m, with its truth.

    Args:
        size: Pixels along each side.
        seed: Of the landscape.
        event: A flood along the river, a clearing or a burn in the forest.
        level: L2A surface reflectance (12 bands), or L1C top of atmosphere (with B10, 13 bands).
        clouds: Share of the scene below cloud, 0 to 1.
        sky: Seed of clouds and noise; derived from the landscape's where not given.
    """
    return render(
        Place(seed, "valley", size * GSD, "temperate"),
        get_sensor(f"sentinel2_{level.lower()}"),
        size=size,
        gsd=GSD,
        season=_SEASON,
        clouds=clouds,
        change=event,
        sky=seed + 1 if sky is None else sky,
    )


def _profile(size: int, count: int) -> dict[str, object]:
    transform = Affine(GSD, 0, ORIGIN[0], 0, -GSD, ORIGIN[1])
    return {
        "driver": "GTiff",
        "width": size,
        "height": size,
        "count": count,
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
    numbers = np.clip(np.rint(scene.data * 10_000), 1, 65_535).astype(np.uint16)
    names = [band.name for band in scene.bands]
    if scl:
        numbers = np.concatenate([numbers, scene.scene_classification()[None].astype(np.uint16)])
        names.append("SCL")
    with rasterio.open(path, "w", **_profile(numbers.shape[1], len(names))) as target:
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
    scene = simulate(size=min(size, 549), seed=seed, clouds=0)
    scene = replace(scene, data=np.stack([scene.band(name) for name in names]))
    numbers = np.clip(np.rint(scene.data * 10_000), 1, 65_535).astype(np.uint16)
    side = numbers.shape[1]
    turn = np.arange(size) % (2 * side)
    mirror = np.where(turn < side, turn, 2 * side - 1 - turn)
    path = Path(path)
    with (
        rasterio.Env(GDAL_CACHEMAX=64),
        rasterio.open(path, "w", **_profile(size, len(names))) as target,
    ):
        _describe(target, names, "2024-06-15", "L2A")
        for top in range(0, size, 256):
            rows = mirror[top : top + 256]
            target.write(numbers[:, rows][:, :, mirror], window=Window(0, top, size, len(rows)))
    return path
