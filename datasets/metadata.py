"""Facts from the metadata files of products: Landsat MTL, Sentinel-2 MTD, OSCD dates.

Only named keys are picked out with patterns: a stranger's XML is never handed to a parser.
"""

from __future__ import annotations

import re
from pathlib import Path

# The largest genuine ones have well under 1 MB.
MAX_METADATA_BYTES = 8 * 2**20

_MTL_LINE = re.compile(r'^\s*([A-Z0-9_]+)\s*=\s*"?([^"\n]*?)"?\s*$', re.MULTILINE)
_MTD_KEYS = (
    "PRODUCT_START_TIME",
    "DATATAKE_SENSING_START",
    "SENSING_TIME",
    "PROCESSING_BASELINE",
    "PROCESSING_LEVEL",
    "SPACECRAFT_NAME",
    "QUANTIFICATION_VALUE",
    "BOA_QUANTIFICATION_VALUE",
)
_MTD_OFFSET = re.compile(
    r"<(?:BOA|RADIO)_ADD_OFFSET\s+band_id=\"(\d+)\"\s*>\s*(-?[\d.]+)\s*<", re.IGNORECASE
)
_OSCD_DATE = re.compile(r"date_([12])\s*:\s*(\d{8})")


def _text(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as stream:
        return stream.read(MAX_METADATA_BYTES)


def read_mtl(path: Path) -> dict[str, str]:
    """Landsat metadata text: every KEY = value, flat; the acquisition time joined under one key."""
    # A Level-2 file repeats the keys of its Level-1 source further down.
    facts = {
        key: value for key, value in reversed(_MTL_LINE.findall(_text(path))) if "GROUP" not in key
    }
    if "DATE_ACQUIRED" in facts:
        clock = facts.get("SCENE_CENTER_TIME", "")[:8]
        facts["ACQUISITION_DATETIME"] = (
            f"{facts['DATE_ACQUIRED']}T{clock}" if clock else facts["DATE_ACQUIRED"]
        )
    return facts


def read_mtd(path: Path) -> dict[str, str]:
    """Sentinel-2 metadata: what calibration and time need; offsets as ADD_OFFSET:<band id>."""
    text = _text(path)
    facts = {}
    for key in _MTD_KEYS:
        found = re.search(rf"<{key}[^>]*>\s*([^<]+?)\s*</{key}>", text)
        if found:
            facts[key] = found.group(1)
    facts.update({f"ADD_OFFSET:{band}": offset for band, offset in _MTD_OFFSET.findall(text)})
    return facts


def read_oscd_dates(folder: Path) -> dict[str, str]:
    """Date of an OSCD `imgs_1` or `imgs_2` folder, from dates.txt beside it; empty elsewhere."""
    dates = folder.parent / "dates.txt"
    number = {"imgs_1": "1", "imgs_2": "2", "imgs_1_rect": "1", "imgs_2_rect": "2"}.get(folder.name)
    if number is None or not dates.is_file():
        return {}
    days = dict(_OSCD_DATE.findall(_text(dates)))
    return {"DATE_ACQUIRED": days[number]} if number in days else {}


def metadata_of(path: Path) -> dict[str, str]:
    """Facts of one metadata file, by its name; empty where the name is none that is known."""
    name = path.name.upper()
    if name.endswith("_MTL.TXT") or name == "MTL.TXT":
        return read_mtl(path)
    if name.startswith("MTD_MSIL") or (
        name.startswith("S2") and "_MTD_" in name and name.endswith(".XML")
    ):
        return read_mtd(path)
    return {}
