"""When a sensor cannot be told: the question, its options, and the person's answer."""

from __future__ import annotations

from terralogue.datasets.bands import Band, Sensor
from terralogue.datasets.errors import SceneError
from terralogue.datasets.evidence import Evidence, match_label, match_labels
from terralogue.datasets.finding import Finding, Recognition, found, numbered_bands
from terralogue.datasets.sensors import SENSORS, get_sensor
from terralogue.datasets.sentinel2_rules import sentinel2_order

# Images are made coarser than the sensor saw, hardly finer, and seldom by more than this.
_FINER, _COARSER = 0.6, 4.0
_NO_INSTRUMENT = ("enmap", "unknown_rgb", "rgb_aerial", "rgb_satellite", "elevation")


def as_stated(e: Evidence, stated: str) -> Finding:
    """Take a sensor, or a sensor and the order of bands, from the person.

    Raises:
        InputError: Unknown sensor.
        SceneError: It does not fit the number of bands, or names a band that it has not.
    """
    key, _, order = stated.partition(":")
    sensor = get_sensor(key)
    count = len(e.layers)
    if order.strip():
        wanted = [name.strip() for name in order.split(",")]
        bands = [match_label(sensor, name) for name in wanted]
        unknown = [name for name, band in zip(wanted, bands, strict=True) if band is None]
        if unknown or len(wanted) != count:
            valid = ", ".join(band.common or band.name for band in sensor.bands[:13])
            problem = f"no band {', '.join(unknown)}" if unknown else f"{count} bands in the file"
            raise SceneError(
                f"{e.name}: the band order {order!r} does not fit {sensor.key} ({problem}); "
                f"name each of the {count} bands in file order by one of {valid}"
            )
        return found(sensor.key, tuple(b for b in bands if b), "sensor and band order as stated")
    bands_ = match_labels(sensor, e.labels) or ordered(e, sensor)
    if bands_ is None:
        raise SceneError(
            f"{e.name} has {count} bands without names, which no usual file of {sensor.title} has; "
            f"state their order too, as in {_example(sensor, count)}"
        )
    return found(sensor.key, bands_, "sensor as stated")


def ordered(e: Evidence, sensor: Sensor) -> tuple[Band, ...] | None:
    """Bands of an undescribed file by their usual order; None where the count fits none."""
    if sensor.key in ("sentinel2_l1c", "sentinel2_l2a"):
        order = sentinel2_order(e, sensor.key)
        return tuple(b for b in map(sensor.band, order) if b) if order else None
    return sensor.order(len(e.layers))


def _example(sensor: Sensor, count: int) -> str:
    """How a band order is written: sensor and common names, as many as the file has bands."""
    names = [band.common or band.name for band in sensor.bands if band.kind == "optical"]
    return f"{sensor.key}:{','.join(names[:count])}"


def ask(e: Evidence) -> Finding:
    """Put the question which sensor took an image whose bands have no names."""
    count = len(e.layers)
    options = tuple(key for key, sensor in SENSORS.items() if _possible(e, sensor, exact=True))
    if count > 3:
        # Cut-outs of a sensor's bands are common: the order then has to be said too.
        more = (key for key, sensor in SENSORS.items() if _possible(e, sensor, exact=False))
        options = tuple(dict.fromkeys((*options, *more)))
    options = options or (("unknown_rgb",) if count == 3 else ("sentinel2_l2a", "landsat8"))
    kind = "8-bit" if e.dtype == "uint8" else e.dtype
    where = f", {e.gsd:.3g} m" if e.gsd is not None else ""
    what = f"{count} band{'s' if count > 1 else ''} without names ({kind}{where})"
    question = f"Which sensor took {e.name}? It has {what}."
    if count > 3:
        question += (
            " Answer with a sensor; where it does not have exactly these bands, add their order, "
            f"as in {_example(SENSORS[options[0]], count)}"
        )
    bands = numbered_bands(count)
    if {"red", "green", "blue"} <= set(e.colors):
        rgb = {band.name: band for band in SENSORS["unknown_rgb"].bands}
        bands = tuple(rgb.get(color, band) for color, band in zip(e.colors, bands, strict=True))
    reason = f"{what}, which several sensors have"
    return Finding(Recognition(None, reason, question, options), bands)


def _possible(e: Evidence, sensor: Sensor, *, exact: bool) -> bool:
    """Whether an undescribed file with this many bands, this fine, may come from the sensor."""
    count = len(e.layers)
    if sensor.unit == "dB":
        return exact and e.dtype.startswith(("float", "uint16")) and count <= 2
    if count == 1:
        return sensor.key == "elevation" and e.dtype not in ("uint8", "int8")
    if count == 3:
        return sensor.key in ("unknown_rgb", "rgb_aerial", "rgb_satellite")
    if sensor.key in _NO_INSTRUMENT:
        return False
    fits = sensor.order(count) is not None if exact else len(sensor.bands) > count
    finest = sensor.gsd or min(band.gsd or 1.0 for band in sensor.bands)
    return fits and (e.gsd is None or _FINER * finest <= e.gsd <= _COARSER * finest)
