"""Which sensor took this? Rules over descriptions, tags, names, band counts and value ranges.

Each rule either recognises, with the reason in words, or passes on. What no rule settles is asked,
never guessed. Bands may be known although the sensor is not ("red", "nir"); then indices can be
computed and the question need not be put.
"""

from __future__ import annotations

from collections.abc import Callable

from terralogue.datasets import names
from terralogue.datasets.asking import as_stated, ask, ordered
from terralogue.datasets.bands import Band, Sensor
from terralogue.datasets.enmap_bands import hyperspectral_bands
from terralogue.datasets.evidence import Evidence, match_labels
from terralogue.datasets.finding import Finding, Recognition, found, numbered_bands
from terralogue.datasets.generic import common_bands, generic_bands
from terralogue.datasets.picture_rules import derived, elevation, picture
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.sentinel2_rules import sentinel2_level, sentinel2_order

__all__ = ["Finding", "Recognition", "recognise"]

_MANY_BANDS = 60


def recognise(evidence: Evidence, stated: str | None = None) -> Finding:
    """Recognise the sensor and name the bands.

    Args:
        evidence: Of the scene.
        stated: What the person said: a sensor, or a sensor and the order of bands
        ("landsat5:S1,N,R,G").

    Raises:
        InputError: The stated sensor is unknown.
        SceneError: The stated sensor does not fit the number of bands.
    """
    if stated:
        return as_stated(evidence, stated)
    for rule in _RULES:
        finding = rule(evidence)
        if finding is not None:
            return finding
    return ask(evidence)


def _wavelengths(e: Evidence) -> Finding | None:
    """Bands that state their wavelengths."""
    if e.wavelengths is None:
        return None
    centres = [centre for centre, _ in e.wavelengths]
    if len(centres) >= _MANY_BANDS:
        bands = hyperspectral_bands(centres, [width for _, width in e.wavelengths])
        table = SENSORS["enmap"].bands
        hint = names.sensor_in(e.texts)
        same = len(centres) == len(table) and all(
            abs((band.wavelength or 0) - centre) < 0.004
            for band, centre in zip(table, centres, strict=True)
        )
        if same or (hint and hint.key == "enmap"):
            why = (
                "its 224 band centres are EnMAP's"
                if same
                else f"named {hint.text!r}"
                if hint
                else ""
            )
            return found("enmap", bands, f"{len(bands)} bands with stated wavelengths; {why}")
        reason = f"{len(bands)} bands with stated wavelengths; the instrument is not named"
        return Finding(Recognition(None, reason), bands)
    hint = names.sensor_in(e.texts)
    keys = _candidates(hint.key, e) if hint else ()
    for key in keys:
        bands_ = _nearest(SENSORS[key], centres)
        if bands_ is not None:
            reason = f"named {hint.text!r}, and the stated wavelengths fit" if hint else ""
            return found(key, bands_, reason)
    return Finding(Recognition(None, "wavelengths are stated, the sensor is not"), common_bands(e))


def _nearest(sensor: Sensor, centres: list[float]) -> tuple[Band, ...] | None:
    found = []
    for centre in centres:
        near = [
            b
            for b in sensor.bands
            if b.wavelength is not None and abs(b.wavelength - centre) <= 0.03
        ]
        if not near:
            return None
        found.append(min(near, key=lambda b: abs((b.wavelength or 0) - centre)))
    return tuple(found) if len({band.name for band in found}) == len(found) else None


def _candidates(key: str, e: Evidence) -> tuple[str, ...]:
    """Sensors that a name may mean; families stay open where name and bands do not settle them."""
    count = len(e.layers)
    families = {
        "sentinel2": ("sentinel2_l2a", "sentinel2_l1c"),
        "landsat": ("landsat8", "landsat7", "landsat5"),
        "worldview": ("worldview2",) if count == 8 else ("worldview_rgbn",),
        "planetscope": ("planetscope_8b",) if count == 8 else ("planetscope",),
    }
    return families.get(key, (key,))


def _settled(e: Evidence, key: str, bands: tuple[Band, ...], reason: str) -> Finding:
    """Sentinel-2 whose level is open gets it from the bands and values; others stay as they are."""
    if key != "sentinel2":
        return found(key, bands, reason)
    level, why, warning = sentinel2_level(e, bands)
    return found(level, bands, f"{reason}; {why}", *((warning,) if warning else ()))


def _labelled(e: Evidence) -> Finding | None:
    """Bands named by descriptions or by the names of their files."""
    labels = tuple(label for label in e.labels if label)
    if len(labels) != len(e.labels):
        return None
    said = "band names " + ", ".join(labels[:4]) + (", …" if len(labels) > 4 else "")
    hint = names.sensor_in(e.texts)
    if hint is not None:
        for key in _candidates(hint.key, e):
            bands = match_labels(SENSORS[key], labels)
            if bands and (hint.key != "landsat"):
                family = "sentinel2" if hint.key == "sentinel2" else key
                return _settled(e, family, bands, f"named {hint.text!r}, {said}")
    for fits, key, why in _LABEL_FAMILIES:
        bands = match_labels(SENSORS["sentinel2_l1c" if key == "sentinel2" else key], labels)
        if bands and fits({label.upper() for label in labels}, e):
            return _settled(e, key, bands, f"{said} are {why}")
    return _thematic_mapper(e, labels, said) or _common(e, labels, said)


def _thematic_mapper(e: Evidence, labels: tuple[str, ...], said: str) -> Finding | None:
    """Surface reflectance of Landsat 5 or 7: the same bands, so only the satellite is open."""
    bands = match_labels(SENSORS["landsat5"], labels)
    if bands is None or not all(label.upper().startswith(("SR_B", "ST_B")) for label in labels):
        return None
    question = f"Did Landsat 5 or Landsat 7 take {e.name}? Its bands have the same names."
    reason = f"{said} are those of Landsat 5 and 7 surface reflectance"
    return Finding(Recognition(None, reason, question, ("landsat5", "landsat7")), bands)


def _is_sentinel2(labels: set[str], e: Evidence) -> bool:
    if labels & {"B8A", "B12", "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09"}:
        return True
    near = e.gsd is not None and any(abs(e.gsd - metres) < 0.05 * metres for metres in (10, 20, 60))
    return near and labels <= {"B2", "B3", "B4", "B8", "B5", "B6", "B7", "B11"}


_LABEL_FAMILIES: tuple[tuple[Callable[[set[str], Evidence], bool], str, str], ...] = (
    (_is_sentinel2, "sentinel2", "Sentinel-2's"),
    (lambda labels, e: all("SUR_REFL" in label for label in labels), "modis", "MODIS's"),
    (
        lambda labels, e: any(label.startswith("SR_B") for label in labels) and "SR_B6" in labels,
        "landsat8",
        "those of Landsat 8 and 9 surface reflectance, whose bands are the same",
    ),
    (
        lambda labels, e: {"B10", "B11"} <= labels and "B8A" not in labels and "B12" not in labels,
        "landsat8",
        "those of Landsat 8 and 9, whose bands are the same",
    ),
    (
        # Other radars send horizontally too; over land Sentinel-1 sends vertically.
        lambda labels, e: not any("HH" in label or "HV" in label for label in labels),
        "sentinel1_grd",
        "the polarisations of Sentinel-1",
    ),
    (lambda labels, e: len(labels) == 8, "planetscope_8b", "those of PlanetScope's eight"),
    (lambda labels, e: len(labels) == 8, "worldview2", "those of WorldView's eight"),
    (lambda labels, e: len(labels) == 1 and e.dtype != "uint8", "elevation", "an elevation's"),
)


def _common(e: Evidence, labels: tuple[str, ...], said: str) -> Finding | None:
    """Bands with plain names: known, although several sensors share them."""
    bands = generic_bands(labels)
    if bands is None or (e.dtype == "uint8" and len(bands) in (1, 3)):
        return None
    options = tuple(
        key
        for key, sensor in SENSORS.items()
        if all(
            sensor.band(b.common or b.name) or (b.common == "N" and sensor.band("N2"))
            for b in bands
        )
        and key not in ("enmap", "unknown_rgb", "rgb_aerial", "rgb_satellite")
    )
    question = f"Which sensor took {e.name}? Its bands are named, but several sensors have them."
    reason = f"{said} say the bands, but not the sensor"
    return Finding(Recognition(None, reason, question, options), bands)


def _named(e: Evidence) -> Finding | None:
    """Undescribed bands of a sensor that a name or tag gives, in its usual order."""
    hint = names.sensor_in(e.texts)
    if hint is None or hint.key in ("landsat", "elevation"):
        return None
    key = _candidates(hint.key, e)[-1 if len(e.layers) == 13 else 0]
    sensor = SENSORS[key]
    bands = ordered(e, sensor)
    count = len(e.layers)
    if bands is not None and not (key.startswith("sentinel1") and e.labels[0] is None):
        reason = (
            f"named {hint.text!r}, and {count} band{'s' if count > 1 else ''} in the usual order"
        )
        return _settled(e, "sentinel2" if hint.key == "sentinel2" else key, bands, reason)
    question = (
        f"In which order are the {count} bands of {e.name}? It is named {hint.text!r} but does "
        "not say; "
        f"answer {sensor.key}: and the bands, as in {sensor.key}:"
        + ",".join(b.common or b.name for b in sensor.bands[: min(count, 4)])
    )
    reason = f"named {hint.text!r}, but which of its bands the {count} are is not said"
    return Finding(Recognition(None, reason, question, (sensor.key,)), numbered_bands(count))


def _values(e: Evidence) -> Finding | None:
    """Counts and values that only one sensor has."""
    count = len(e.layers)
    if count == 13 and e.integer:
        order = sentinel2_order(e, "sentinel2_l1c")
        if order is not None:
            where = "the cirrus band, near zero, is band " + str(order.index("B10") + 1)
            bands = tuple(b for b in map(SENSORS["sentinel2_l1c"].band, order) if b)
            return found(
                "sentinel2_l1c", bands, f"13 bands of integers as Sentinel-2 L1C has; {where}"
            )
    tile = e.layers[0].file.width == e.layers[0].file.height and e.layers[0].file.width in (
        10980,
        5490,
        1830,
    )
    near = e.gsd is not None and any(abs(e.gsd - metres) < 0.05 * metres for metres in (10, 20, 60))
    if count == 12 and e.integer and (tile or near):
        bands_ = ordered(e, SENSORS["sentinel2_l2a"])
        if bands_ is not None:
            return found(
                "sentinel2_l2a", bands_, f"12 integer bands at {e.gsd:.0f} m, as Sentinel-2 L2A has"
            )
    medians = [stats.median for stats in e.stats]
    if (
        count == 2
        and e.dtype.startswith("float")
        and all(-40 < m < -1 for m in medians)
        and medians[0] > medians[1]
    ):
        bands = SENSORS["sentinel1_grd"].bands[:2]
        reason = "two bands of negative decibels, the first stronger, as Sentinel-1's VV and VH"
        return found("sentinel1_grd", bands, reason)
    return None


_RULES: tuple[Callable[[Evidence], Finding | None], ...] = (
    derived,
    elevation,
    _wavelengths,
    _labelled,
    picture,
    _named,
    _values,
)
