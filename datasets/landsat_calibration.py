"""Landsat numbers to reflectance and kelvin: Level 2, and Level 1 with or without its MTL file.

USGS, Landsat 8-9 Collection 2 Level 2 Science Product Guide (LSDS-1619) and Landsat 8 Data Users
Handbook (LSDS-1574), section 5.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from statistics import median

from terralogue.datasets.bands import Band
from terralogue.datasets.evidence import Evidence
from terralogue.datasets.scaling import Calibration, Scaling, temperature, uncalibrated_note

_LEVEL2 = (2.75e-5, -0.2)
_LEVEL2_THERMAL = (0.00341802, 149.0)
_LEVEL1 = (2e-5, -0.1)
# Radiance scale and (K1, K2) of the thermal bands, fixed for all scenes.
_TIRS = {
    ("landsat8", "B10"): (3.342e-4, 0.1, (774.8853, 1321.0789)),
    ("landsat8", "B11"): (3.342e-4, 0.1, (480.8883, 1201.1442)),
    ("landsat9", "B10"): (3.8e-4, 0.1, (799.0284, 1329.2405)),
    ("landsat9", "B11"): (3.49e-4, 0.1, (475.6581, 1198.3494)),
}
_IS_LEVEL2 = re.compile(r"_L2S[PR]_|(?<![a-z])S[RT]_B\d", re.IGNORECASE)
_IS_LEVEL1 = re.compile(r"_L1(TP|GT|GS|T|G)_|LC8\d{13}", re.IGNORECASE)
# Collection 2 stores zero reflectance as 5000 (Level 1) or 7273 (Level 2).
_LOWEST_COLLECTION2 = 5000.0


def scale_landsat(e: Evidence, key: str, bands: tuple[Band, ...]) -> Calibration:
    """Decide the scaling of a Landsat scene; see `terralogue.datasets.calibration.calibrate`."""
    if any((item.layer.scale, item.layer.offset) != (1.0, 0.0) for item in e.layers):
        scalings = tuple(Scaling(i.layer.scale, i.layer.offset) for i in e.layers)
        return Calibration(scalings, "reflectance", True)
    level = _level(e, bands)
    if level == 1 and any(k.startswith("REFLECTANCE_MULT_BAND") for k in e.metadata):
        return _with_mtl(e, key, bands)
    if e.dtype == "uint8":
        return _uncalibrated(e, "8-bit")
    seen = [s for s, b in zip(e.stats, bands, strict=True) if b.kind == "optical" and s.count]
    optical = [stats.median for stats in seen]
    middle = median(optical) if optical else 0.0
    if not e.integer:
        highest = max((stats.high for stats in seen), default=0.0)
        if highest > 16_000:
            return _uncalibrated(e, f"values reach {highest:.0f}")
        scale = 1.0 if highest <= 1.6 else 1e-4
        scalings = tuple(_beside(e, i, band, Scaling(scale)) for i, band in enumerate(bands))
        return Calibration(scalings, "reflectance", True)
    if middle < _LOWEST_COLLECTION2 and optical:
        # Surface reflectance of before Collection 2, and most data sets made from it.
        scalings = tuple(
            _beside(e, i, band, Scaling(1e-4, 0.0, nodata=_marks(e, i, (-9999.0,))))
            for i, band in enumerate(bands)
        )
        return Calibration(
            scalings, "reflectance", True, ("integers taken as reflectance times 10,000",)
        )
    if level == 1:
        note = "Not corrected for the sun's elevation, because the scene's MTL file is not there."
        scalings = tuple(_level1(e, i, key, band) for i, band in enumerate(bands))
        return Calibration(scalings, "reflectance", True, (note,))
    scalings = tuple(_level2(e, i, band) for i, band in enumerate(bands))
    untold = "The processing level is not stated; it was taken for Collection 2 Level 2."
    notes = () if level == 2 else (untold,)
    return Calibration(scalings, "reflectance", True, notes)


def _level(e: Evidence, bands: tuple[Band, ...]) -> int | None:
    stated = e.metadata.get("PROCESSING_LEVEL", "")
    texts = (f"_{stated}_", *e.texts, *(label or "" for label in e.labels))
    if any(_IS_LEVEL2.search(text) for text in texts):
        return 2
    names = {band.name for band in bands}
    # Panchromatic, cirrus and the second thermal band are delivered at Level 1 only.
    level1_only = names & {"B8", "B9", "B11"} or e.quality == "landsat_bqa"
    return 1 if any(_IS_LEVEL1.search(text) for text in texts) or level1_only else None


def _marks(e: Evidence, i: int, marks: tuple[float, ...]) -> tuple[float, ...]:
    return marks if e.layers[i].layer.nodata is None else ()


def _beside(e: Evidence, i: int, band: Band, optical: Scaling) -> Scaling:
    """Of a band of a reflectance product; its thermal bands are in tenths of a kelvin (LEDAPS)."""
    if band.kind != "thermal":
        return optical
    scaling = temperature(e.stats[i].median, integer=e.integer, step=0.1, zero=0.0)
    return replace(scaling, nodata=optical.nodata)


def _uncalibrated(e: Evidence, why: str) -> Calibration:
    scalings = tuple(Scaling() for _ in e.layers)
    return Calibration(scalings, "DN", False, (uncalibrated_note(why),))


def _level1(e: Evidence, i: int, key: str, band: Band) -> Scaling:
    if (key, band.name) in _TIRS:
        mult, add, constants = _TIRS[key, band.name]
        return Scaling(mult, add, kelvin=constants, nodata=_marks(e, i, (0.0,)))
    return Scaling(*_LEVEL1, nodata=_marks(e, i, (0.0,)))


def _level2(e: Evidence, i: int, band: Band) -> Scaling:
    scale, offset = _LEVEL2_THERMAL if band.kind == "thermal" else _LEVEL2
    return Scaling(scale, offset, nodata=_marks(e, i, (0.0,)))


def _with_mtl(e: Evidence, key: str, bands: tuple[Band, ...]) -> Calibration:
    """Level 1 by the numbers of its own metadata file, corrected for the sun's elevation."""
    elevation = float(e.metadata.get("SUN_ELEVATION", "90"))
    sun = math.sin(math.radians(elevation))
    scalings = []
    for i, band in enumerate(bands):
        number = band.name.removeprefix("B")
        mult = e.metadata.get(f"REFLECTANCE_MULT_BAND_{number}")
        marks = _marks(e, i, (0.0,))
        if mult is not None:
            add = float(e.metadata.get(f"REFLECTANCE_ADD_BAND_{number}", "0"))
            scalings.append(Scaling(float(mult) / sun, add / sun, nodata=marks))
            continue
        number = "6_VCID_1" if key == "landsat7" and number == "6" else number
        wanted = [f"{name}_BAND_{number}" for name in ("RADIANCE_MULT", "RADIANCE_ADD")]
        wanted += [f"{name}_CONSTANT_BAND_{number}" for name in ("K1", "K2")]
        facts = [e.metadata.get(name) for name in wanted]
        stated = [float(fact) for fact in facts if fact is not None]
        if len(stated) == len(wanted):
            scalings.append(
                Scaling(stated[0], stated[1], kelvin=(stated[2], stated[3]), nodata=marks)
            )
        else:
            scalings.append(_level1(e, i, key, band))
    return Calibration(tuple(scalings), "reflectance", True)
