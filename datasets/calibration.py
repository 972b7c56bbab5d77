"""From stored numbers to reflectance, decibels, kelvin or metres, decided per band.

What the file's own scale and offset say goes first, then the product's metadata, then the sensor's
usual product. Where numbers cannot be what that product stores, the scene stays uncalibrated.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import UTC, datetime

from terralogue.datasets.bands import Band
from terralogue.datasets.evidence import Evidence
from terralogue.datasets.landsat_calibration import scale_landsat
from terralogue.datasets.scaling import (
    NOT_CALIBRATED,
    Calibration,
    Scaling,
    temperature,
    uncalibrated_note,
)
from terralogue.datasets.sensors import SENSORS

# Above this even sunlit snow and cloud edges are not counted as reflectance: the numbers were
# stretched.
MAX_REFLECTANCE = 1.6
# ESA, Sentinel-2 processing baseline 04.00 (25 January 2022): 1000 is added to the stored numbers.
_BASELINE_OFFSET = -1000.0
_BASELINE_DATE = datetime(2022, 1, 25, tzinfo=UTC)
# Where 1000 was added, hardly a pixel is below that: reflectance would be negative.
_NOT_RAISED = 900.0
_BASELINE_NAME = re.compile(r"_N(\d{2})(\d{2})_")
# Band ids in ESA's metadata.
_S2_IDS = (
    "B01",
    "B02",
    "B03",
    "B04",
    "B05",
    "B06",
    "B07",
    "B08",
    "B8A",
    "B09",
    "B10",
    "B11",
    "B12",
)

_LANDSAT = ("landsat5", "landsat7", "landsat8", "landsat9")
_SENTINEL2 = ("sentinel2_l1c", "sentinel2_l2a")
_PLANET = ("planetscope", "planetscope_8b", "skysat")
# Bands that cameras do not have: with one of these, integers below 16,000 are a satellite's
# reflectance.
_SATELLITE_ONLY = {"A", "RE1", "RE2", "RE3", "WV", "S1", "S2"}


def calibrate(
    e: Evidence, key: str | None, bands: tuple[Band, ...], time: datetime | None
) -> Calibration:
    """Decide how stored numbers become physical ones.

    Args:
        e: Of the scene.
        key: Sensor; None where unknown.
        bands: In file order.
        time: Of acquisition, which tells Sentinel-2 processing baselines apart.
    """
    if key == "elevation":
        return _plain(e, "m", True, (-9999.0, -32768.0, -99999.0))
    if key is not None and SENSORS[key].unit == "dB":
        return _sar(e)
    if key in _LANDSAT:
        return scale_landsat(e, key, bands)
    optical = [i for i, band in enumerate(bands) if band.kind != "thermal"]
    if optical and len(optical) < len(bands):
        return _beside_thermal(e, key, bands, optical, time)
    if _own_scale(e) and _physical(e, *_first_own(e)):
        return _by_tags(e)
    if e.dtype == "uint8":
        words = () if len(e.layers) in (1, 3) else (uncalibrated_note("8-bit"),)
        return _plain(e, "DN", False, (), words)
    if key in _SENTINEL2:
        return _sentinel2(e, bands, time)
    if key in _PLANET and not any("_sr" in text.casefold() for text in e.texts):
        return _plain(
            e, "DN", False, (0.0,), (uncalibrated_note("radiance or reflectance is not stated"),)
        )
    if key is not None and SENSORS[key].unit == "reflectance":
        return _times_10000(e, (0.0, -9999.0, -28672.0) if e.integer else (-9999.0,))
    common = {band.common for band in bands} - {None}
    if key is None and common and len(common) == len(bands):
        if e.dtype.startswith("float") or common & _SATELLITE_ONLY:
            return _times_10000(e, (-9999.0,))
        return _plain(e, "DN", False, (), (uncalibrated_note("the scale is not stated"),))
    return _plain(e, "DN", False, ())


def _beside_thermal(
    e: Evidence, key: str | None, bands: tuple[Band, ...], optical: list[int], time: datetime | None
) -> Calibration:
    """Scale the optical bands by themselves: temperatures would pass for a huge reflectance."""
    base = calibrate(e.only(optical), key, tuple(bands[i] for i in optical), time)
    if not base.calibrated:
        return replace(base, scalings=tuple(Scaling() for _ in bands))
    scalings = dict(zip(optical, base.scalings, strict=True))
    for i, stats in enumerate(e.stats):
        if i not in scalings:
            # HLS User Guide v2: brightness temperature in hundredths of a degree Celsius.
            scalings[i] = temperature(stats.median, integer=e.integer, step=0.01, zero=273.15)
    return replace(base, scalings=tuple(scalings[i] for i in range(len(bands))))


def _marks(e: Evidence, i: int, marks: tuple[float, ...]) -> tuple[float, ...]:
    """Marks of nodata that apply to a band: none where the file itself declares one."""
    return marks if e.layers[i].layer.nodata is None else ()


def _plain(
    e: Evidence,
    unit: str,
    calibrated: bool,
    marks: tuple[float, ...],
    warnings: tuple[str, ...] = (),
) -> Calibration:
    scalings = tuple(
        Scaling(item.layer.scale, item.layer.offset, nodata=_marks(e, i, marks))
        for i, item in enumerate(e.layers)
    )
    return Calibration(scalings, unit, calibrated, warnings)


def _own_scale(e: Evidence) -> bool:
    return any((item.layer.scale, item.layer.offset) != (1.0, 0.0) for item in e.layers)


def _first_own(e: Evidence) -> tuple[float, float]:
    return next(
        (item.layer.scale, item.layer.offset)
        for item in e.layers
        if (item.layer.scale, item.layer.offset) != (1.0, 0.0)
    )


def _physical(e: Evidence, scale: float, offset: float) -> bool:
    return math.isnan(e.highest) or e.highest * scale + offset <= MAX_REFLECTANCE


def _by_tags(e: Evidence) -> Calibration:
    return _plain(e, "reflectance", True, (0.0,) if e.dtype == "uint16" else ())


def _times_10000(e: Evidence, marks: tuple[float, ...]) -> Calibration:
    """Reflectance as it is (floats to about 1) or times 10,000, whichever the values can be."""
    highest = e.highest
    if not e.integer and highest <= MAX_REFLECTANCE:
        return _plain(e, "reflectance", True, marks)
    # A float between the two scales is neither; integers can be only the one.
    if math.isnan(highest) or ((e.integer or highest > 2) and _physical(e, 1e-4, 0)):
        scalings = tuple(
            Scaling(1e-4, 0.0, nodata=_marks(e, i, marks)) for i in range(len(e.layers))
        )
        return Calibration(scalings, "reflectance", True)
    why = f"values reach {highest:.0f}, which reflectance times 10,000 does not"
    return _plain(e, "DN", False, (), (uncalibrated_note(why),))


def _sentinel2(e: Evidence, bands: tuple[Band, ...], time: datetime | None) -> Calibration:
    base = _times_10000(e, (0.0,) if e.integer else ())
    if not base.calibrated:
        return base
    offset, warning = _baseline(e, time)
    scalings = []
    for i, (band, scaling) in enumerate(zip(bands, base.scalings, strict=True)):
        add = _stated_offset(e, band)
        add = offset if add is None else add
        # The cirrus band is honestly zero over dry ground.
        marks = () if band.name == "B10" and offset == 0 else _marks(e, i, scaling.nodata)
        scalings.append(Scaling(scaling.scale, add * scaling.scale, nodata=marks))
    return Calibration(tuple(scalings), "reflectance", True, (warning,) if warning else ())


def _stated_offset(e: Evidence, band: Band) -> float | None:
    text = (
        e.metadata.get(f"ADD_OFFSET:{_S2_IDS.index(band.name)}") if band.name in _S2_IDS else None
    )
    return float(text) if text is not None else None


def _baseline(e: Evidence, time: datetime | None) -> tuple[float, str | None]:
    """Number to add to the stored ones, and a warning where that cannot be known."""
    if not e.integer:
        return 0.0, None
    stated = {
        key.casefold().rpartition(":")[2]: value
        for key, value in (*e.tags.items(), *e.metadata.items())
    }
    baseline = stated.get("processing_baseline", "")
    for text in e.texts:
        name = _BASELINE_NAME.search(text)
        baseline = baseline or (f"{name.group(1)}.{name.group(2)}" if name else "")
    try:
        return (_BASELINE_OFFSET if float(baseline) >= 4.0 else 0.0), None
    except ValueError:
        pass
    lowest = min((s.low for s in e.stats if not math.isnan(s.low)), default=0.0)
    if time is not None and time >= _BASELINE_DATE and lowest >= _NOT_RAISED:
        return 0.0, (
            "taken after 25 January 2022 and the processing baseline is not stated: if 1000 was "
            "added to the "
            "numbers (baseline 04.00), reflectance is 0.1 too high"
        )
    return 0.0, None


def _sar(e: Evidence) -> Calibration:
    """Decibels as they are; linear power converted; amplitudes left uncalibrated."""
    marks = (0.0, -99.0, -9999.0, -32768.0)
    medians = [stats.median for stats in e.stats if not math.isnan(stats.median)]
    if not medians or min(medians) < 0:
        return _plain(e, "dB", True, marks)
    if e.dtype.startswith("float") and max(medians) < 2:
        scalings = tuple(
            Scaling(item.layer.scale, item.layer.offset, decibel=True, nodata=_marks(e, i, marks))
            for i, item in enumerate(e.layers)
        )
        return Calibration(scalings, "dB", True, ("Linear backscatter was converted to decibels.",))
    why = "amplitudes without their calibration tables; no backscatter threshold applies"
    return _plain(e, "DN", False, marks, (f"{NOT_CALIBRATED} decibels: {why}.",))
