"""SENSORS: the table of sensors that scenes come from, one entry each.

To add a sensor, add its bands to `band_tables.py` and one entry here.
"""

from __future__ import annotations

from terralogue.datasets import band_tables as tables
from terralogue.datasets.bands import Band, Sensor
from terralogue.datasets.enmap_bands import ENMAP
from terralogue.datasets.errors import InputError

__all__ = ["SENSORS", "Band", "Sensor", "get_sensor"]

_S2_10M = ("B02", "B03", "B04", "B08")
_S2_NO_60M = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
_S2_L2A = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
_OLI_REFLECTIVE = ("B1", "B2", "B3", "B4", "B5", "B6", "B7")
_TM_REFLECTIVE = ("B1", "B2", "B3", "B4", "B5", "B7")
_SIX_HLS = ("B2", "B3", "B4", "B5", "B6", "B7")
_SIX_S2 = ("B02", "B03", "B04", "B8A", "B11", "B12")
_BGRN = ("B", "G", "R", "N")

_HLS_L30 = tuple(b for b in tables.LANDSAT8 if b.name != "B8")

_ENTRIES = (
    Sensor(
        "sentinel2_l1c", "Sentinel-2 L1C (top of atmosphere)", tables.SENTINEL2, 10,
        1e-4, 0.0, "reflectance", (_S2_10M, _S2_NO_60M), ("s2_l1c", "sentinel-2 l1c"),
        "ESA Sentinel-2 SRF; Products Specification Document",
    ),
    Sensor(
        "sentinel2_l2a", "Sentinel-2 L2A (surface reflectance)", tables.SENTINEL2, 10,
        1e-4, 0.0, "reflectance", (_S2_10M, _S2_NO_60M, _S2_L2A),
        ("sentinel2", "sentinel-2", "s2", "s2_l2a", "sentinel-2 l2a"),
        "ESA Sentinel-2 SRF; Products Specification Document",
    ),
    Sensor(
        "sentinel1_grd", "Sentinel-1 GRD (backscatter in dB)", tables.SENTINEL1, 10,
        unit="dB", orders=(("VV",), ("VV", "VH")),
        aliases=("sentinel1", "sentinel-1", "s1", "s1_grd"),
        source="ESA Sentinel-1 Product Specification",
    ),
    Sensor(
        "sentinel1_rtc", "Sentinel-1 RTC (terrain-corrected, in dB)", tables.SENTINEL1, 10,
        unit="dB", orders=(("VV",), ("VV", "VH")), aliases=("s1_rtc",),
        source="ESA Sentinel-1 Product Specification",
    ),
    Sensor(
        "landsat5", "Landsat 5 TM", tables.LANDSAT5, 30,
        2.75e-5, -0.2, "reflectance", (_TM_REFLECTIVE,), ("landsat 5", "l5", "tm"),
        "USGS LSDS-1927",
    ),
    Sensor(
        "landsat7", "Landsat 7 ETM+", tables.LANDSAT7, 30,
        2.75e-5, -0.2, "reflectance", (_TM_REFLECTIVE,), ("landsat 7", "l7", "etm"),
        "USGS LSDS-1927",
    ),
    Sensor(
        "landsat8", "Landsat 8 OLI/TIRS", tables.LANDSAT8, 30,
        2.75e-5, -0.2, "reflectance", (_OLI_REFLECTIVE, _SIX_HLS),
        ("landsat", "landsat 8", "l8", "oli"),
        "USGS LSDS-1574",
    ),
    Sensor(
        "landsat9", "Landsat 9 OLI-2/TIRS-2", tables.LANDSAT8, 30,
        2.75e-5, -0.2, "reflectance", (_OLI_REFLECTIVE, _SIX_HLS), ("landsat 9", "l9"),
        "USGS LSDS-2082",
    ),
    Sensor(
        "hls_l30", "Harmonized Landsat Sentinel-2 (L30: Landsat)", _HLS_L30, 30,
        1e-4, 0.0, "reflectance", (_OLI_REFLECTIVE, _SIX_HLS), ("hls", "hlsl30"),
        "NASA HLS User Guide v2",
    ),
    Sensor(
        "hls_s30", "Harmonized Landsat Sentinel-2 (S30: Sentinel-2)", tables.SENTINEL2, 30,
        1e-4, 0.0, "reflectance", (_S2_NO_60M, _SIX_S2), ("hlss30",), "NASA HLS User Guide v2",
    ),
    Sensor(
        "naip_rgbn", "NAIP aerial (RGB and near infrared)", tables.NAIP, None,
        aliases=("naip",), source="Leica ADS40/80; USDA NAIP Information Sheet",
    ),
    Sensor(
        "planetscope", "PlanetScope (4 bands)", tables.PLANETSCOPE, 3.0,
        1e-4, 0.0, "reflectance", (_BGRN,), ("planet", "dove"), "Planet Product Specification",
    ),
    Sensor(
        "planetscope_8b", "PlanetScope SuperDove (8 bands)", tables.PLANETSCOPE_8B, 3.0,
        1e-4, 0.0, "reflectance", (), ("superdove",), "Planet Product Specification",
    ),
    Sensor(
        "skysat", "SkySat (4 bands)", tables.SKYSAT, 0.5,
        1e-4, 0.0, "reflectance", (_BGRN,), (), "Planet Product Specification",
    ),
    Sensor(
        "worldview_rgbn", "WorldView (blue, green, red and near infrared)",
        tables.WORLDVIEW_RGBN, None,
        orders=(_BGRN,), aliases=("worldview", "worldview_bgrn"),
        source="Maxar WorldView-2 data sheet",
    ),
    Sensor(
        "worldview2", "WorldView-2/3 (8 bands)", tables.WORLDVIEW2, None,
        aliases=("worldview3", "wv2", "wv3"), source="Maxar WorldView-2 data sheet",
    ),
    Sensor(
        "pleiades", "Pléiades (red, green, blue and near infrared)", tables.PLEIADES, None,
        aliases=("pleiades_rgbn", "pléiades", "pleiades_neo"),
        source="Airbus Pléiades Imagery User Guide",
    ),
    Sensor(
        "spot", "SPOT 6/7 (red, green, blue and near infrared)", tables.SPOT, None,
        aliases=("spot6", "spot7", "spot_rgbn"), source="Airbus SPOT 6/7 Imagery User Guide",
    ),
    Sensor(
        "gaofen2", "Gaofen-2 (blue, green, red and near infrared)", tables.GAOFEN2, None,
        aliases=("gaofen-2", "gf2", "gaofen2_rgbn"), source="CRESDA GF-2 payload parameters",
    ),
    Sensor("rgb_aerial", "aerial or drone photograph", tables.RGB, aliases=("aerial", "drone")),
    Sensor("rgb_satellite", "satellite colour picture", tables.RGB),
    Sensor("unknown_rgb", "colour picture of unknown origin", tables.RGB, aliases=("rgb",)),
    Sensor(
        "modis", "MODIS surface reflectance", tables.MODIS, 500,
        1e-4, 0.0, "reflectance", (), ("mod09", "myd09"), "NASA MOD09 User's Guide",
    ),
    Sensor(
        "enmap", "EnMAP hyperspectral", ENMAP, 30,
        1e-4, 0.0, "reflectance", (), (), "DLR EN-PCV-ICD-2009",
    ),
    Sensor(
        "elevation", "elevation model", tables.ELEVATION, unit="m", aliases=("dem", "dsm", "dtm"),
    ),
)  # fmt: skip

SENSORS: dict[str, Sensor] = {sensor.key: sensor for sensor in _ENTRIES}


def get_sensor(name: str) -> Sensor:
    """Look up a sensor by key or alias, case ignored.

    Raises:
        InputError: No such sensor; the message lists the valid keys.
    """
    wanted = name.strip().casefold().replace("-", "").replace(" ", "").replace("_", "")
    for sensor in SENSORS.values():
        for known in (sensor.key, *sensor.aliases):
            if wanted == known.casefold().replace("-", "").replace(" ", "").replace("_", ""):
                return sensor
    raise InputError(f"unknown sensor {name!r}; valid sensors are: {', '.join(SENSORS)}")
