"""What file names say: the sensor, the band of a one-band file, the kind of a derived product.

Names are evidence written by whoever made the file: they are matched against the operators' naming
conventions and otherwise ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# A word of its own: not inside a longer word or number.
_START, _END = r"(?<![a-z0-9])", r"(?![a-z0-9])"


def _word(pattern: str) -> re.Pattern[str]:
    return re.compile(_START + pattern + _END, re.IGNORECASE)


_GENERIC_FOLDER = re.compile(
    r"(imgs?|images?|bands?|img_data|granule|measurement|data|tiffs?|scenes?|files|before|after|"
    r"pre|post|r\d0m|[td])?([-_ ]?\d{1,2})?",
    re.IGNORECASE,
)

# Product identifiers and plain words, most telling first. "sentinel2" and "landsat" leave the
# level or number open.
_SENSOR_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (_word(r"hls[._-]?l30.*"), "hls_l30"),
    (_word(r"hls[._-]?s30.*"), "hls_s30"),
    (_word(r"s2[abcd]_(msi|oper_(prd_)?msi_?)l1c.*"), "sentinel2_l1c"),
    (_word(r"s2[abcd]_(oper_)?(prd_)?msi_l1c.*"), "sentinel2_l1c"),
    (_word(r"s2[abcd]_msil2a.*"), "sentinel2_l2a"),
    (_word(r"s2[abcd]_(oper_)?(prd_)?msi_l2a.*"), "sentinel2_l2a"),
    (_word(r"s2[abcd]1c_\d{8}.*"), "sentinel2_l1c"),
    (_word(r"s2[abcd]2a_\d{8}.*"), "sentinel2_l2a"),
    (_word(r"s2[abcd]_\d{2}[a-z]{3}_\d{8}_\d+_l1c.*"), "sentinel2_l1c"),
    (_word(r"s2[abcd]_\d{2}[a-z]{3}_\d{8}_\d+_l2a.*"), "sentinel2_l2a"),
    # Level-2A granules carry the resolution in each name, Level-1C granules do not.
    (_word(r"t\d{2}[a-z]{3}_\d{8}t\d{6}_(b\d[0-9a]|scl|aot|wvp)_\d0m"), "sentinel2_l2a"),
    (_word(r"t\d{2}[a-z]{3}_\d{8}t\d{6}_b\d[0-9a]"), "sentinel2_l1c"),
    (_word(r"(sentinel[-_ ]?2[abc]?|s2[abc]?)[-_ ]?(msi[-_ ]?)?l?1c"), "sentinel2_l1c"),
    (_word(r"(sentinel[-_ ]?2[abc]?|s2[abc]?)[-_ ]?(msi[-_ ]?)?l?2a"), "sentinel2_l2a"),
    (_word(r"(sentinel[-_ ]?2[abc]?|s2[abc]?)"), "sentinel2"),
    (_word(r"(sentinel[-_ ]?1[abc]?|s1[abc]?).*rtc"), "sentinel1_rtc"),
    (_word(r"s1[abcd]_+(iw|ew|sm|s\d).*"), "sentinel1_grd"),
    (_word(r"s1[abcd]-(iw|ew|s\d)-grd.*"), "sentinel1_grd"),
    (_word(r"(sentinel[-_ ]?1[abc]?|s1[abc]?)"), "sentinel1_grd"),
    (_word(r"l[co]09_.*"), "landsat9"),
    (_word(r"l[co]08_.*"), "landsat8"),
    (_word(r"le07_.*"), "landsat7"),
    (_word(r"lt05_.*"), "landsat5"),
    (_word(r"lc8\d{13}.*"), "landsat8"),
    (_word(r"le7\d{13}.*"), "landsat7"),
    (_word(r"lt5\d{13}.*"), "landsat5"),
    (_word(r"l71\d{6}_\d{11}.*"), "landsat7"),
    (_word(r"l5\d{7}_\d{11}.*"), "landsat5"),
    (_word(r"(landsat[-_ ]?9|l9)"), "landsat9"),
    (_word(r"(landsat[-_ ]?8|l8|oli)"), "landsat8"),
    (_word(r"(landsat[-_ ]?7|l7|etm\+?)"), "landsat7"),
    (_word(r"(landsat[-_ ]?5|l5)"), "landsat5"),
    (_word(r"landsat"), "landsat"),
    (_word(r"(mod|myd)09[a-z0-9]*"), "modis"),
    (_word(r"modis"), "modis"),
    (_word(r"m_\d{7}_(ne|nw|se|sw)_\d{1,2}_.*"), "naip_rgbn"),
    (re.compile(r"national agriculture imagery program", re.IGNORECASE), "naip_rgbn"),
    (_word(r"naip"), "naip_rgbn"),
    (_word(r".*analyticms_(sr_)?8b.*"), "planetscope_8b"),
    (_word(r"superdove"), "planetscope_8b"),
    (_word(r".*_3b_analytic.*"), "planetscope"),
    (_word(r"(planetscope|psscene|analyticms)"), "planetscope"),
    (_word(r"(skysat|\d{8}_\d{6}_ssc\d+.*)"), "skysat"),
    (_word(r"(wv0?[23]|worldview[-_ ]?[23]?)"), "worldview"),
    (_word(r"(img_|dim_)?phr1[ab].*"), "pleiades"),
    (_word(r"pl[eé]iades([-_ ]?neo)?"), "pleiades"),
    (_word(r"(img_|dim_)?spot[-_ ]?[67].*"), "spot"),
    (_word(r"gf-?2(_pms\d?.*)?"), "gaofen2"),
    (_word(r"gaofen[-_ ]?2"), "gaofen2"),
    (_word(r"enmap"), "enmap"),
    (_word(r"(s|as)?(dem|dsm|dtm)(\d+m?)?"), "elevation"),
    (_word(r"(elevation|srtm|copdem|copernicus_dem.*|aster_?gdem|nasadem)"), "elevation"),
)  # fmt: skip

# One-band products that are computed from images and are no image themselves.
_DERIVED = _word(
    r"(nd[vwmb]i\w*|nd[vwbs]i|mndwi|[em]?vi|evi2?|savi|msavi2?|nbr2?|dnbr|scl|lai|aot|wvp|tcw|"
    r"labels?|masks?|gt|cm|classes|classification|land_?cover|land_?use|lulc|lc|change|unchanged)"
)

# A band named in the middle or at the end of the name of a one-band file.
_BAND_TOKEN = re.compile(
    _START
    + r"(?P<band>(?:sr_|st_|sur_refl_)?b\d{1,2}a?|b6_vcid[_ ][12]|vv|vh|hh|hv|"
    + r"coastal|aerosol|blue|green|red|nir\d*|rededge\d*|swir\d+|pan|cirrus|lwir\d*)"
    + r"(?:[_-]?(?P<gsd>\d0)m)?"
    + _END,
    re.IGNORECASE,
)
_QUALITY_TOKEN = re.compile(
    _START + r"(?P<kind>scl|qa_pixel|pixel_qa|bqa|fmask)(?:[_-]?(?P<gsd>\d0)m)?" + _END,
    re.IGNORECASE,
)
# Companions of one-band products that are no image band.
_COMPANION = _word(
    r"(tci|aot|wvp|pvi|ql|preview|thumb\w*|browse|labels?|masks?|qa_radsat|qa_aerosol|sr_qa_aerosol|"
    r"sr_atmos_opacity|sr_cloud_qa|st_\w*?(?:qa|atran|cdist|drad|emis|emsd|trad|urad)|udm2?|"
    r"msk_\w+|b6_vcid[_ ]2|saa|sza|vaa|vza|ang|cm)(?:_\d0m)?"
)

# sen2r's stretched pictures: RGB843B shows bands 8, 4 and 3.
_PICTURE_BANDS = re.compile(_START + r"rgb(?P<bands>\d{3})[tb]?" + _END, re.IGNORECASE)

_QUALITY_KINDS = {
    "scl": "scl",
    "qapixel": "landsat_qa",
    "pixelqa": "landsat_qa",
    "bqa": "landsat_bqa",
    "fmask": "fmask",
}


@dataclass(frozen=True)
class SensorHint:
    """A sensor named by a text: key, alias or family ("sentinel2", "landsat", "worldview")."""

    key: str
    text: str


def sensor_in(texts: tuple[str, ...]) -> SensorHint | None:
    """Find the first text that names a sensor, by its most telling pattern."""
    for text in texts:
        for pattern, key in _SENSOR_PATTERNS:
            found = pattern.search(text)
            if found:
                return SensorHint(key, found.group(0)[:60])
    return None


def derived_in(text: str) -> str | None:
    """The word that marks a product computed from an image, such as NDVI or a label mask."""
    found = _DERIVED.search(re.sub(r"[_\-. ]+", " ", text))
    return found.group(0) if found else None


def band_in(stem: str) -> str | None:
    """Band that a one-band file is named after: "L8-B4-Elkton" gives "B4"; the last one counts."""
    found = [match.group("band") for match in _BAND_TOKEN.finditer(_separated(stem))]
    return found[-1] if found else None


def group_of(stem: str) -> str:
    """What is left of a name without band, quality or companion word: equal within one product."""
    text = _separated(stem)
    for pattern in (_QUALITY_TOKEN, _COMPANION, _BAND_TOKEN):
        text = pattern.sub("", text)
    text = re.sub(r" \d0m?$", "", text)
    return " ".join(text.split()).casefold()


def quality_in(stem: str) -> str | None:
    """Kind of quality layer that a file is named after; see `terralogue.datasets.quality`."""
    found = _QUALITY_TOKEN.search(_separated(stem))
    return _QUALITY_KINDS[found.group("kind").casefold().replace("_", "")] if found else None


def is_companion(stem: str) -> bool:
    """Whether a file that comes with one-band products is none of the bands."""
    return _COMPANION.search(_separated(stem)) is not None


def picture_bands(stem: str) -> tuple[str, ...] | None:
    """Sentinel-2 bands of a stretched three-band picture named after them; None for others."""
    found = _PICTURE_BANDS.search(_separated(stem))
    return tuple(f"B{int(digit):02d}" for digit in found.group("bands")) if found else None


def folder_title(folder: Path) -> str:
    """Name of a folder for people: "pisa imgs_1", since "imgs_1" alone tells nothing."""
    folder = folder.resolve()
    if not _GENERIC_FOLDER.fullmatch(folder.name):
        return folder.name
    above = [each.name for each in folder.parents[:4]]
    telling = (name for name in above if name and not _GENERIC_FOLDER.fullmatch(name))
    return " ".join([*list(telling)[:1], folder.name])


def _separated(stem: str) -> str:
    # Underscores join words for `\b`-like tests, but product words such as QA_PIXEL keep theirs.
    text = re.sub(r"[-. ]+", " ", stem)
    for word in ("qa_pixel", "pixel_qa", "qa_radsat", "qa_aerosol", "sr_qa", "b6_vcid"):
        text = re.sub(word, word.replace("_", "\0"), text, flags=re.IGNORECASE)
    text = re.sub(
        r"(?i)(?<![a-z0-9])(sr|st|sur_refl)_(?=b\d)", lambda m: m.group(0).replace("_", "\0"), text
    )
    return text.replace("_", " ").replace("\0", "_")
