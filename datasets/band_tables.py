"""Band tables of the sensors: name, centre and width in micrometres, native metres.

Sources, each beside its table, are the operators' own documents; limits given there as an interval
are kept as its middle and its width.
"""

from __future__ import annotations

from terralogue.datasets.bands import Band


def _optical(
    name: str, centre: float, width: float, common: str | None, gsd: float | None, *aliases: str
) -> Band:
    return Band(name, centre, width, common=common, gsd=gsd, aliases=aliases)


def _thermal(
    name: str, centre: float, width: float, common: str, gsd: float, *aliases: str
) -> Band:
    return Band(name, centre, width, "thermal", common=common, gsd=gsd, aliases=aliases)


# ESA, Sentinel-2 Spectral Response Functions (S2-SRF, COPE-GSEG-EOPG-TN-15-0007), Sentinel-2A.
SENTINEL2 = (
    _optical("B01", 0.4427, 0.021, "A", 60, "coastal", "aerosol", "coastal aerosol"),
    _optical("B02", 0.4924, 0.066, "B", 10, "blue"),
    _optical("B03", 0.5598, 0.036, "G", 10, "green"),
    _optical("B04", 0.6646, 0.031, "R", 10, "red"),
    _optical("B05", 0.7041, 0.015, "RE1", 20, "rededge1", "rededge071"),
    _optical("B06", 0.7405, 0.015, "RE2", 20, "rededge2", "rededge075"),
    _optical("B07", 0.7828, 0.020, "RE3", 20, "rededge3", "rededge078"),
    _optical("B08", 0.8328, 0.106, "N", 10, "nir"),
    _optical("B8A", 0.8647, 0.021, "N2", 20, "nir08", "narrow nir"),
    _optical("B09", 0.9451, 0.020, "WV", 60, "nir09", "water vapour"),
    _optical("B10", 1.3735, 0.031, None, 60, "cirrus"),
    _optical("B11", 1.6137, 0.091, "S1", 20, "swir16", "swir1"),
    _optical("B12", 2.2024, 0.175, "S2", 20, "swir22", "swir2"),
)

# C band, 5.405 GHz. ESA, Sentinel-1 Product Specification (S1-RS-MDA-52-7441).
SENTINEL1 = tuple(
    Band(p, 55465.8, None, "sar", polarisation=p, common=p, gsd=10)
    for p in ("VV", "VH", "HH", "HV")
)

# USGS, Landsat 4-5 TM and Landsat 7 ETM+ Data Users Handbooks (LSDS-1412, LSDS-1927).
LANDSAT5 = (
    _optical("B1", 0.485, 0.07, "B", 30, "blue"),
    _optical("B2", 0.56, 0.08, "G", 30, "green"),
    _optical("B3", 0.66, 0.06, "R", 30, "red"),
    _optical("B4", 0.83, 0.14, "N", 30, "nir", "nir08"),
    _optical("B5", 1.65, 0.20, "S1", 30, "swir16", "swir1"),
    _thermal("B6", 11.45, 2.10, "T", 120, "lwir", "thermal"),
    _optical("B7", 2.215, 0.27, "S2", 30, "swir22", "swir2"),
)
LANDSAT7 = (
    _optical("B1", 0.485, 0.07, "B", 30, "blue"),
    _optical("B2", 0.56, 0.08, "G", 30, "green"),
    _optical("B3", 0.66, 0.06, "R", 30, "red"),
    _optical("B4", 0.835, 0.13, "N", 30, "nir", "nir08"),
    _optical("B5", 1.65, 0.20, "S1", 30, "swir16", "swir1"),
    _thermal("B6", 11.45, 2.10, "T", 60, "lwir", "thermal", "B6_VCID_1", "B61"),
    _optical("B7", 2.22, 0.26, "S2", 30, "swir22", "swir2"),
    _optical("B8", 0.71, 0.38, None, 15, "pan", "panchromatic"),
)

# USGS, Landsat 8-9 OLI-TIRS Data Users Handbooks (LSDS-1574, LSDS-2082).
LANDSAT8 = (
    _optical("B1", 0.44, 0.02, "A", 30, "coastal", "aerosol", "coastal aerosol"),
    _optical("B2", 0.48, 0.06, "B", 30, "blue"),
    _optical("B3", 0.56, 0.06, "G", 30, "green"),
    _optical("B4", 0.655, 0.03, "R", 30, "red"),
    _optical("B5", 0.865, 0.03, "N2", 30, "nir", "nir08"),
    _optical("B6", 1.61, 0.08, "S1", 30, "swir16", "swir1"),
    _optical("B7", 2.20, 0.18, "S2", 30, "swir22", "swir2"),
    _optical("B8", 0.59, 0.18, None, 15, "pan", "panchromatic"),
    _optical("B9", 1.37, 0.02, None, 30, "cirrus"),
    _thermal("B10", 10.895, 0.59, "T1", 100, "lwir11", "tirs1"),
    _thermal("B11", 12.005, 1.01, "T2", 100, "lwir12", "tirs2"),
)

# Leica Geosystems, ADS40/ADS80 sensor heads: the cameras of most NAIP flights.
NAIP = (
    _optical("red", 0.635, 0.054, "R", 1.0, "r", "b1"),
    _optical("green", 0.560, 0.054, "G", 1.0, "g", "b2"),
    _optical("blue", 0.460, 0.064, "B", 1.0, "b", "b3"),
    _optical("nir", 0.860, 0.054, "N", 1.0, "n", "b4"),
)

# Planet, Planet Imagery Product Specification: PS2 (four bands), PSB.SD (eight bands), SkySat.
PLANETSCOPE = (
    _optical("blue", 0.485, 0.060, "B", 3.0),
    _optical("green", 0.545, 0.090, "G", 3.0),
    _optical("red", 0.630, 0.080, "R", 3.0),
    _optical("nir", 0.820, 0.080, "N", 3.0),
)
PLANETSCOPE_8B = (
    _optical("coastal_blue", 0.4415, 0.021, "A", 3.0, "coastal"),
    _optical("blue", 0.490, 0.050, "B", 3.0),
    _optical("green_i", 0.531, 0.036, "G1", 3.0, "green1", "greeni"),
    _optical("green", 0.565, 0.036, "G", 3.0, "greenii"),
    _optical("yellow", 0.610, 0.020, "Y", 3.0),
    _optical("red", 0.665, 0.030, "R", 3.0),
    _optical("rededge", 0.705, 0.016, "RE1", 3.0),
    _optical("nir", 0.865, 0.040, "N2", 3.0),
)
SKYSAT = (
    _optical("blue", 0.4825, 0.065, "B", 0.5),
    _optical("green", 0.555, 0.080, "G", 0.5),
    _optical("red", 0.650, 0.090, "R", 0.5),
    _optical("nir", 0.820, 0.160, "N", 0.5),
)

# Maxar (DigitalGlobe), WorldView-2 data sheet.
WORLDVIEW2 = (
    _optical("coastal", 0.425, 0.05, "A", 1.84),
    _optical("blue", 0.48, 0.06, "B", 1.84),
    _optical("green", 0.545, 0.07, "G", 1.84),
    _optical("yellow", 0.605, 0.04, "Y", 1.84),
    _optical("red", 0.66, 0.06, "R", 1.84),
    _optical("rededge", 0.725, 0.04, "RE1", 1.84),
    _optical("nir1", 0.8325, 0.125, "N", 1.84, "nir"),
    _optical("nir2", 0.95, 0.18, None, 1.84),
)
WORLDVIEW_RGBN = tuple(WORLDVIEW2[i] for i in (1, 2, 4, 6))

# Airbus Defence and Space, Pléiades Imagery User Guide; SPOT 6 & SPOT 7 Imagery User Guide.
PLEIADES = (
    _optical("B2", 0.660, 0.12, "R", 2.0, "red"),
    _optical("B1", 0.550, 0.12, "G", 2.0, "green"),
    _optical("B0", 0.490, 0.12, "B", 2.0, "blue"),
    _optical("B3", 0.850, 0.20, "N", 2.0, "nir"),
)
SPOT = (
    _optical("B2", 0.660, 0.07, "R", 6.0, "red"),
    _optical("B1", 0.560, 0.06, "G", 6.0, "green"),
    _optical("B0", 0.485, 0.07, "B", 6.0, "blue"),
    _optical("B3", 0.825, 0.13, "N", 6.0, "nir"),
)

# CRESDA, Gaofen-2 PMS payload parameters.
GAOFEN2 = (
    _optical("B1", 0.485, 0.07, "B", 3.2, "blue"),
    _optical("B2", 0.555, 0.07, "G", 3.2, "green"),
    _optical("B3", 0.660, 0.06, "R", 3.2, "red"),
    _optical("B4", 0.830, 0.12, "N", 3.2, "nir"),
)

# Nominal centres of consumer and mapping colour cameras; the true response differs by camera.
RGB = (
    _optical("red", 0.64, 0.10, "R", None, "r"),
    _optical("green", 0.55, 0.10, "G", None, "g"),
    _optical("blue", 0.46, 0.10, "B", None, "b"),
)

# NASA, MODIS Surface Reflectance User's Guide (MOD09), land bands.
MODIS = (
    _optical("B1", 0.645, 0.050, "R", 250, "red", "sur_refl_b01"),
    _optical("B2", 0.8585, 0.035, "N2", 250, "nir", "sur_refl_b02"),
    _optical("B3", 0.469, 0.020, "B", 500, "blue", "sur_refl_b03"),
    _optical("B4", 0.555, 0.020, "G", 500, "green", "sur_refl_b04"),
    _optical("B5", 1.24, 0.020, None, 500, "swir12", "sur_refl_b05"),
    _optical("B6", 1.64, 0.024, "S1", 500, "swir16", "sur_refl_b06"),
    _optical("B7", 2.13, 0.050, "S2", 500, "swir22", "sur_refl_b07"),
)

ELEVATION = (Band("elevation", kind="elevation", aliases=("dem", "dsm", "dtm", "height")),)
