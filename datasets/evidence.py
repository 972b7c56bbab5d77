"""What a scene's files give to recognise its sensor by, gathered without opening them again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.bands import INTERCHANGEABLE, MAX_WAVELENGTH, Band, Sensor
from terralogue.datasets.layouts import Collected, NamedLayer

_WAVELENGTH = re.compile(
    r"\(?(?P<value>\d+(?:\.\d+)?)\s*(?P<unit>nanometers?|nm|micrometers?|microns?|um|µm)\)?",
    re.IGNORECASE,
)
_MARKS = (-9999.0, -99.0, -32768.0, -28672.0)


@dataclass(frozen=True)
class Stats:
    """Stored numbers of one band over the samples, nodata left out.

    Attributes:
        low: Percentile 2; NaN where nothing was observed.
        median: Percentile 50.
        high: Percentile 98.
        largest: Maximum.
        distinct: How many different numbers, up to 256.
        count: How many samples.
    """

    low: float
    median: float
    high: float
    largest: float
    distinct: int
    count: int


@dataclass(frozen=True)
class Evidence:
    """Everything that rules of recognition and calibration may look at.

    Attributes:
        name: Of the scene.
        layers: Bands in file order.
        labels: Name of each band by description or file name; None where it has none.
        wavelengths: (centre, width) in micrometres of each band; None unless every band states it.
        stats: Of each band.
        texts: File and folder names, then texts of tags that may name a sensor.
        tags: Of the first file.
        metadata: Facts of the product's metadata files.
        gsd: Metres on the ground; None where unknown.
        quality: Kind of the quality layer; None without one.
    """

    name: str
    layers: tuple[NamedLayer, ...]
    labels: tuple[str | None, ...]
    wavelengths: tuple[tuple[float, float | None], ...] | None
    stats: tuple[Stats, ...]
    texts: tuple[str, ...]
    tags: dict[str, str]
    metadata: dict[str, str]
    gsd: float | None
    quality: str | None

    @property
    def dtype(self) -> str:
        """Number type of the first band."""
        return self.layers[0].layer.dtype

    @property
    def integer(self) -> bool:
        """Whether numbers are stored as integers wider than a picture's."""
        return self.dtype not in ("uint8", "int8") and np.issubdtype(
            np.dtype(self.dtype), np.integer
        )

    @property
    def colors(self) -> tuple[str, ...]:
        """Colour interpretation of each band, as GDAL names it."""
        return tuple(item.layer.color for item in self.layers)

    def only(self, chosen: Sequence[int]) -> Evidence:
        """The same scene with some of its bands, by place."""
        waves = self.wavelengths
        return replace(
            self,
            layers=tuple(self.layers[i] for i in chosen),
            labels=tuple(self.labels[i] for i in chosen),
            wavelengths=None if waves is None else tuple(waves[i] for i in chosen),
            stats=tuple(self.stats[i] for i in chosen),
        )

    @property
    def highest(self) -> float:
        """Largest 98th percentile of any band; NaN where nothing was observed."""
        values = [stats.high for stats in self.stats if not np.isnan(stats.high)]
        return max(values) if values else float("nan")


def gather(collected: Collected, samples: list[NDArray[Any]], gsd: float | None) -> Evidence:
    """Collect the evidence; `samples` holds stored numbers of each layer, (n,) each."""
    first = collected.layers[0].file
    stats = tuple(
        _stats(values, item.layer.nodata)
        for values, item in zip(samples, collected.layers, strict=True)
    )
    said = [
        value
        for key, value in first.tags.items()
        if key.isupper() or ":" in key or "sensor" in key.casefold()
    ]
    described = [item.layer.description or "" for item in collected.layers[:3]]
    return Evidence(
        collected.name,
        collected.layers,
        tuple(item.name for item in collected.layers),
        _wavelengths(collected.layers),
        stats,
        (*collected.texts, *(text[:200] for text in said), *described),
        first.tags,
        collected.metadata,
        gsd,
        collected.quality[0] if collected.quality else None,
    )


def _stats(values: NDArray[Any], nodata: float | None) -> Stats:
    seen = values[np.isfinite(values)]
    if nodata is not None:
        seen = seen[seen != nodata]
    if np.issubdtype(seen.dtype, np.signedinteger) or np.issubdtype(seen.dtype, np.floating):
        seen = seen[~np.isin(seen, _MARKS)]
    # Black borders of satellite scenes are no observation; a picture may well be black.
    if seen.size and seen.dtype != np.uint8:
        seen = seen[seen != 0] if (seen != 0).any() else seen
    if not seen.size:
        nothing = float("nan")
        return Stats(nothing, nothing, nothing, nothing, 0, 0)
    low, median, high = (float(value) for value in np.percentile(seen, (2, 50, 98)))
    distinct = len(np.unique(seen[:: max(1, seen.size // 50_000)]))
    return Stats(low, median, high, float(seen.max()), min(distinct, 256), seen.size)


def _wavelengths(layers: tuple[NamedLayer, ...]) -> tuple[tuple[float, float | None], ...] | None:
    found = [_wavelength(item) for item in layers]
    stated = [pair for pair in found if pair is not None]
    return tuple(stated) if len(stated) == len(found) else None


def _wavelength(item: NamedLayer) -> tuple[float, float | None] | None:
    """Centre and width of a band in micrometres, from its tags or its description."""
    tags = {key.casefold(): value for key, value in item.layer.tags.items()}
    match = _WAVELENGTH.search(item.layer.description or "")
    unit = tags.get("wavelength_units", match["unit"] if match else "")
    try:
        centre = (
            float(tags["wavelength"])
            if "wavelength" in tags
            else float(match["value"] if match else "nan")
        )
        width = float(tags["fwhm"]) if "fwhm" in tags else None
    except ValueError:
        return None
    nanometres = unit.casefold().startswith("n") or (not unit and centre > MAX_WAVELENGTH)
    factor = 1e-3 if nanometres else 1.0
    centre *= factor
    if not 0.3 <= centre <= MAX_WAVELENGTH:
        return None
    return centre, width * factor if width is not None else None


def match_label(sensor: Sensor, label: str) -> Band | None:
    """Find the band that a label names: as a whole, by one of its words, or as a common name."""
    for band in sensor.bands:
        if label == band.common:
            return band
    words = [label, *re.split(r"[^A-Za-z0-9]+", label), *re.split(r"[^A-Za-z0-9_]+", label)]
    for word in words:
        for band in sensor.bands:
            # A word such as "S2" or "T1" inside a label is a satellite or a tier, not a common
            # name.
            if word and (word == band.name or (word != band.common and band.answers_to(word))):
                return band
    other = INTERCHANGEABLE.get(label)
    return next((band for band in sensor.bands if other and band.common == other), None)


def match_labels(sensor: Sensor, labels: tuple[str | None, ...]) -> tuple[Band, ...] | None:
    """Bands that all labels name, each a different one; None where that does not work out."""
    bands = [match_label(sensor, label) if label else None for label in labels]
    found = tuple(band for band in bands if band is not None)
    return found if len(found) == len(labels) == len({band.name for band in found}) else None
