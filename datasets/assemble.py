"""Put a scene together: files, sensor, grid, time, calibration, quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.acquisition import Acquisition, TimePrecision, as_utc, find_time
from terralogue.datasets.bands import Band
from terralogue.datasets.calibration import calibrate
from terralogue.datasets.evidence import Evidence, gather
from terralogue.datasets.files import Grid, RasterFile, read_samples
from terralogue.datasets.geometry import ground_pixel_size
from terralogue.datasets.grids import choose_grid, grid_of
from terralogue.datasets.layouts import Collected, collect
from terralogue.datasets.quality import KINDS, Quality
from terralogue.datasets.reading import Source
from terralogue.datasets.recognise import Finding, Recognition, recognise
from terralogue.datasets.scaling import Scaling
from terralogue.datasets.sensors import SENSORS

# Samples for statistics: enough for percentiles, little enough for 200 bands.
_SAMPLES = 1_500_000


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
    time_precision: TimePrecision | None
    unit: str
    calibrated: bool
    warnings: tuple[str, ...]
    recognition: Recognition
    quality: Quality | None
    quality_source: Source | None
    palette: dict[int, tuple[int, int, int]] | None


def assemble(
    source: str | Path | Sequence[str | Path], *, sensor: str | None, time: datetime | None
) -> Assembly:
    """Find out everything about a scene without reading more than samples of its pixels.

    Raises:
        SceneError: Cannot be read as a scene.
        InputError: Unknown sensor.
    """
    collected = collect(source)
    evidence = gather(collected, _sample(collected), _finest_gsd(collected))
    finding = recognise(evidence, sensor)
    if len(collected.paths) > 1 and finding.recognition.sensor is not None:
        collected, evidence, finding = _in_sensor_order(collected, evidence, finding)
    files = [item.file for item in collected.layers]
    main = choose_grid(files, finding.bands)
    grid = grid_of(main)
    taken = _time(evidence, collected, time)
    key = finding.recognition.sensor
    calibration = calibrate(evidence, key, finding.bands, taken.time)
    # Classes and masks must not be mixed by interpolation.
    classes = key is None and finding.recognition.question is None and evidence.dtype == "uint8"
    sources = tuple(
        _source(item.file, item.layer.index, grid, scaling, nearest=classes)
        for item, scaling in zip(collected.layers, calibration.scalings, strict=True)
    )
    quality, quality_source = _quality(collected, grid)
    gsd = _gsd(main)
    if gsd is None and main.crs is None and key is not None:
        gsd = SENSORS[key].gsd
    # What the numbers were taken for no longer holds where they turned out to be no such product.
    about_level = finding.warnings if calibration.calibrated else ()
    notes = (*collected.warnings, *about_level, *calibration.warnings, taken.warning)
    return Assembly(
        name=collected.name,
        paths=collected.paths,
        sensor=key,
        bands=finding.bands,
        sources=sources,
        grid=grid,
        georeferenced=main.georeferenced,
        gsd=gsd,
        time=taken.time,
        time_precision=taken.precision,
        unit=calibration.unit,
        calibrated=calibration.calibrated,
        warnings=tuple(note for note in notes if note),
        recognition=finding.recognition,
        quality=quality,
        quality_source=quality_source,
        palette=main.palette,
    )


def _in_sensor_order(
    collected: Collected, evidence: Evidence, finding: Finding
) -> tuple[Collected, Evidence, Finding]:
    """Bands from several files in the sensor's order, not the alphabet's (B1, B10, B11, B2)."""
    known = SENSORS[finding.recognition.sensor or ""].bands
    places = {band.name: place for place, band in enumerate(known)}
    order = sorted(
        range(len(finding.bands)), key=lambda i: places.get(finding.bands[i].name, len(places))
    )
    layers = tuple(collected.layers[i] for i in order)
    return (
        replace(collected, layers=layers),
        replace(
            evidence,
            layers=layers,
            labels=tuple(evidence.labels[i] for i in order),
            stats=tuple(evidence.stats[i] for i in order),
        ),
        replace(finding, bands=tuple(finding.bands[i] for i in order)),
    )


def _sample(collected: Collected) -> list[NDArray[Any]]:
    """Stored numbers of each layer, (n,) each."""
    files = {item.file.name: item.file for item in collected.layers}
    if collected.quality is not None:
        files.setdefault(collected.quality[1].file.name, collected.quality[1].file)
    limit = max(_SAMPLES // len(files), 40_000)
    read: dict[tuple[str, int], NDArray[Any]] = {}
    for name, file in files.items():
        samples = read_samples(file, limit=limit)
        for layer, values in zip(file.layers, samples, strict=True):
            read[name, layer.index] = np.asarray(values)
    return [read[item.file.name, item.layer.index] for item in collected.layers]


def _gsd(file: RasterFile) -> float | None:
    if file.crs is None or not file.georeferenced:
        return None
    return ground_pixel_size(file.crs, file.transform, file.width, file.height)


def _finest_gsd(collected: Collected) -> float | None:
    files = {item.file.name: item.file for item in collected.layers}.values()
    sizes = [size for size in map(_gsd, files) if size is not None]
    return min(sizes) if sizes else None


def _time(evidence: Evidence, collected: Collected, stated: datetime | None) -> Acquisition:
    if stated is not None:
        return Acquisition(as_utc(stated), "second")
    descriptions = [item.layer.description or "" for item in collected.layers[:3]]
    tags = {**evidence.tags, **collected.layers[0].layer.tags}
    return find_time(collected.metadata, tags, collected.texts, descriptions)


def _source(
    file: RasterFile, index: int, grid: Grid, scaling: Scaling, *, nearest: bool = False
) -> Source:
    layer = next(layer for layer in file.layers if layer.index == index)
    # Files without coordinates passed the check of equal sizes.
    aligned = grid_of(file) == grid or file.crs is None
    return Source(layer, aligned, scaling, nearest=nearest)


def _quality(collected: Collected, grid: Grid) -> tuple[Quality | None, Source | None]:
    if collected.quality is None:
        return None, None
    kind, item = collected.quality
    choose_grid([item.file], [Band("quality")])
    source = _source(item.file, item.layer.index, grid, Scaling(), nearest=True)
    return Quality(KINDS[kind], item.file.path, item.layer.index), source
