"""Recognise what is not multispectral: pictures, elevation, products computed from images."""

from __future__ import annotations

from terralogue.datasets import names
from terralogue.datasets.bands import Band
from terralogue.datasets.errors import SceneError
from terralogue.datasets.evidence import Evidence, match_labels
from terralogue.datasets.finding import Finding, Recognition, found
from terralogue.datasets.sensors import SENSORS

# The finest satellite pictures have 0.3 m; photographs from aircraft are never spread over many
# metres.
_FINEST_SATELLITE = 0.25
_COARSEST_AERIAL = 5.0


def derived(e: Evidence) -> Finding | None:
    """Indices, class maps and masks are no image of a sensor."""
    if len(e.layers) != 1:
        return None
    stats = e.stats[0]
    word = names.derived_in(e.labels[0] or "") or names.derived_in(e.layers[0].file.path.stem)
    few = (
        e.dtype in ("uint8", "int8", "uint16")
        and stats.count >= 256
        and stats.distinct <= 32
        and not e.labels[0]
    )
    if "palette" in e.colors:
        reason = "a derived product: one band of classes with a colour table"
    elif word:
        reason = f"a derived product ({word.upper()}), not an image of a sensor"
    elif few and names.sensor_in(e.texts) is None:
        reason = (
            f"a derived product: one band with only {stats.distinct} values, a mask or class map"
        )
    else:
        return None
    return Finding(Recognition(None, reason), (Band(e.labels[0] or "band_1"),))


def elevation(e: Evidence) -> Finding | None:
    """One band that is named an elevation."""
    if len(e.layers) != 1 or e.dtype in ("uint8", "int8"):
        return None
    label = e.labels[0] or ""
    hint = names.sensor_in((label, *e.texts))
    band = SENSORS["elevation"].bands[0]
    if hint and hint.key == "elevation":
        return found("elevation", (band,), f"one band, named {hint.text!r}")
    return None


def picture(e: Evidence) -> Finding | None:
    """8-bit pictures of three bands or one."""
    count = len(e.layers)
    if "cyan" in e.colors:
        raise SceneError(f"{e.name} is a print picture (CMYK); convert it to RGB")
    if e.dtype != "uint8" or count not in (1, 3):
        return None
    if count == 1:
        hint = names.sensor_in(e.texts)
        if hint is not None:
            return None
        band = Band("grey", aliases=("gray", "panchromatic"))
        return Finding(Recognition(None, "one 8-bit band: a grey picture without colour"), (band,))
    bands = _picture_bands(e)
    hint = names.sensor_in(e.texts)
    if hint is not None and hint.key not in ("naip_rgbn", "elevation"):
        return found(
            "rgb_satellite", bands, f"three 8-bit bands, named {hint.text!r}: a stretched picture"
        )
    if hint is not None:
        return found("rgb_aerial", bands, f"three 8-bit bands, named {hint.text!r}")
    if e.gsd is not None and e.gsd < _FINEST_SATELLITE:
        return found(
            "rgb_aerial", bands, f"three 8-bit bands at {e.gsd:.2f} m, finer than any satellite"
        )
    if e.gsd is not None and e.gsd > _COARSEST_AERIAL:
        return found(
            "rgb_satellite",
            bands,
            f"three 8-bit bands at {e.gsd:.0f} m, coarser than any aerial photo",
        )
    return found(
        "unknown_rgb", bands, "three 8-bit bands and nothing that names a sensor: a colour picture"
    )


def _picture_bands(e: Evidence) -> tuple[Band, ...]:
    shown = names.picture_bands(e.layers[0].file.path.stem)
    if shown is not None:
        table = SENSORS["sentinel2_l2a"]
        bands = tuple(band for band in map(table.band, shown) if band)
        if len(bands) == 3:
            return bands
    rgb = SENSORS["unknown_rgb"].bands
    by_color = {"red": rgb[0], "green": rgb[1], "blue": rgb[2]}
    if set(e.colors) == set(by_color):
        return tuple(by_color[color] for color in e.colors)
    return match_labels(SENSORS["unknown_rgb"], e.labels) or rgb
