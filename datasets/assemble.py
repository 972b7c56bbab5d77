"""Put a scene together: files, grid, sensor, calibration, time, quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import SceneError
from terralogue.datasets.files import Grid, RasterFile, describe_file, read_samples
from terralogue.datasets.geometry import ground_pixel_size
from terralogue.datasets.quality import Quality
from terralogue.datasets.reading import Source
from terralogue.datasets.recognise import Recognition
from terralogue.datasets.sensors import SENSORS, get_sensor


@dataclass(frozen=True)
class Assembly:
    """Everything that a Scene is built from; see `Scene` for the meaning."""

    name: str
    paths: tuple[Path, ...]
    sensor: str | None
    bands: tuple[Band, ...]
    sources: tuple[Source, ...]
    grid: Grid
    georeferenced: bool
    gsd: float | None
    time: datetime | None
    time_precision: Literal["second", "day", "month", "year"] | None
    unit: str
    calibrated: bool
    warnings: tuple[str, ...]
    recognition: Recognition
    quality: Quality | None
    quality_source: Source | None


def assemble(
    source: str | Path | Sequence[str | Path], *, sensor: str | None, time: datetime | None
) -> Assembly:
    """Find out everything about a scene without reading more than samples of its pixels.

    Raises:
        SceneError: Cannot be read as a scene.
        InputError: Unknown sensor.
    """
    paths = [Path(source)] if isinstance(source, str | Path) else [Path(p) for p in source]
    files: list[RasterFile] = [file for path in paths for file in describe_file(path)]
    first = files[0]
    grid = Grid(first.width, first.height, first.crs, first.transform)
    layers = [layer for file in files for layer in file.layers]
    for file in files:
        read_samples(file)
    key = get_sensor(sensor).key if sensor else None
    reason = "as the person said"
    names = [layer.description or "" for layer in layers]
    if key is None and {"B8A", "B11"} <= set(names):
        key = "sentinel2_l1c" if "B10" in names else "sentinel2_l2a"
        reason = "band descriptions are Sentinel-2's"
    if key is None and len(layers) == 3 and layers[0].dtype == "uint8":
        key, reason = "unknown_rgb", "three 8-bit bands"
    bands: tuple[Band, ...] | None = None
    if key is not None:
        named = [SENSORS[key].band(name) for name in names]
        bands = tuple(b for b in named if b) if all(named) else SENSORS[key].order(len(layers))
    if key is not None and bands is None:
        raise SceneError(f"{first.path.name} has {len(layers)} bands, which {key} has not")
    if bands is None:
        bands = tuple(Band(f"band_{i + 1}") for i in range(len(layers)))
    table = SENSORS[key] if key else None
    integer = layers[0].dtype in ("uint16", "int16")
    reflectance = table is not None and table.unit == "reflectance" and integer
    scale, offset = (table.scale, table.offset) if table and reflectance else (1.0, 0.0)
    sources = tuple(
        Source(layer, True, scale, offset, nodata=(0.0,) if reflectance else ()) for layer in layers
    )
    gsd = None
    if first.georeferenced and first.crs is not None:
        gsd = ground_pixel_size(first.crs, first.transform, first.width, first.height)
    question = None if key else f"Which sensor took {first.path.name}?"
    return Assembly(
        first.path.name, tuple(paths), key, bands, sources, grid, first.georeferenced, gsd, time,
        "second" if time else None, "reflectance" if reflectance else "DN", reflectance, (),
        Recognition(key, reason if key else "no hint", question, () if key else tuple(SENSORS)),
        None, None,
    )  # fmt: skip
