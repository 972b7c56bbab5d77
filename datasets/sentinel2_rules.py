"""Sentinel-2 files without band names: which order, and which processing level."""

from __future__ import annotations

import math
import re

from terralogue.datasets.bands import Band
from terralogue.datasets.evidence import Evidence

_FIRST_EIGHT = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08")
_STANDARD = (*_FIRST_EIGHT, "B8A", "B09", "B10", "B11", "B12")
# The EuroSAT files are written in this order.
_B8A_LAST = (*_FIRST_EIGHT, "B09", "B10", "B11", "B12", "B8A")
_L2A = (*_FIRST_EIGHT, "B8A", "B09", "B11", "B12")
_NO_60M = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
_SIX = ("B02", "B03", "B04", "B8A", "B11", "B12")
_TEN_METRES = ("B02", "B03", "B04", "B08")
# sen2r leaves out B8A below 20 m and B08 from there on (its manual, "Output file structure").
_SEN2R = re.compile(r"s2[abcd][12][ac]_\d{8}.*_(toa|boa)_", re.IGNORECASE)

# The atmosphere is dry at 1.38 µm: nearly nothing comes back from the ground in the cirrus band.
_CIRRUS_RATIO = 0.6
# Air scatters blue light: above the atmosphere no pixel is darker than about 0.06 reflectance in
# B02.
_DARKEST_TOA_BLUE = 500.0


def sentinel2_order(e: Evidence, key: str) -> tuple[str, ...] | None:
    """Band names in file order by count, values and writer; None where they do not settle it."""
    count = len(e.layers)
    if any(_SEN2R.search(text) for text in e.texts) and count in (11, 12):
        nir = "B8A" if e.gsd is not None and e.gsd >= 15 else "B08"
        middle = ("B09", "B10") if count == 12 else ("B09",)
        return (*_FIRST_EIGHT[:7], nir, *middle, "B11", "B12")
    if count == 13:
        return _thirteen(e)
    if count == 12 and key == "sentinel2_l2a":
        return _L2A
    return {10: _NO_60M, 6: _SIX, 4: _TEN_METRES}.get(count)


def _thirteen(e: Evidence) -> tuple[str, ...] | None:
    tenth, eleventh = e.stats[9].median, e.stats[10].median
    others = [s.median for i, s in enumerate(e.stats) if i not in (9, 10)]
    if math.isnan(tenth) or math.isnan(eleventh) or any(math.isnan(m) for m in others):
        return None
    typical = sorted(others)[len(others) // 2]
    if min(tenth, eleventh) > _CIRRUS_RATIO * typical:
        return None
    if tenth < _CIRRUS_RATIO * eleventh:
        return _B8A_LAST
    return _STANDARD if eleventh < _CIRRUS_RATIO * tenth else None


def sentinel2_level(e: Evidence, bands: tuple[Band, ...]) -> tuple[str, str, str | None]:
    """Processing level of a Sentinel-2 scene that does not state it.

    Returns:
        Sensor key, the reason, and a warning where the level is an assumption.
    """
    have = {band.name for band in bands}
    if "B10" in have:
        return "sentinel2_l1c", "the cirrus band exists in L1C only", None
    if e.quality == "scl":
        return "sentinel2_l2a", "a scene classification comes with L2A only", None
    level = e.metadata.get("PROCESSING_LEVEL", "").casefold()
    if "1c" in level or "2a" in level:
        return ("sentinel2_l1c" if "1c" in level else "sentinel2_l2a"), f"stated as {level}", None
    if {"B01", "B09"} <= have and len(have) == 12:
        return "sentinel2_l2a", "all bands but cirrus, as L2A has", None
    blue = next((s for s, band in zip(e.stats, bands, strict=True) if band.name == "B02"), None)
    if blue is not None and e.integer and e.highest < 16_000 and blue.low < _DARKEST_TOA_BLUE:
        return "sentinel2_l2a", "blue is darker than it can be above the atmosphere", None
    return (
        "sentinel2_l2a",
        "the level is not stated",
        "The processing level is not stated; it was taken for surface reflectance (L2A): if it is "
        "top of atmosphere, state the sensor sentinel2_l1c.",
    )
