"""The rules of the physical baselines, each with its source, and what has to be said with them."""

from __future__ import annotations

import math

from terralogue.tools.baselines import Condition, Rule, SplitRule

INF = math.inf

# --- rules, each with its source ----------------------------------------------------------------

_SNOW = (Condition("NDSI", 0.4), Condition("N", 0.11))
_SNOW_SOURCE = "Hall et al. 1995, doi:10.1016/0034-4257(95)00137-P"
# Roofs, runways and snow are far brighter in the near infrared than water ever is: the limit of
# the water tests of the USGS surface water product, Jones 2019, doi:10.3390/rs11040374.
_BRIGHT = (Condition("N", 0.15),)
_NOT_WATER = "; bright surfaces and snow left out after Jones 2019, doi:10.3390/rs11040374, and "
_NOT_WATER += _SNOW_SOURCE
MNDWI = Rule(
    (Condition("MNDWI", 0.0),),
    exclude=(_BRIGHT, _SNOW),
    source="Xu 2006, doi:10.1080/01431160600589179" + _NOT_WATER,
)
AWEI = Rule(
    (Condition("AWEInsh", 0.0),),
    exclude=(_BRIGHT, _SNOW),
    source="Feyisa et al. 2014, doi:10.1016/j.rse.2013.08.029" + _NOT_WATER,
)
NDWI = Rule(
    (Condition("NDWI", 0.0),),
    exclude=(_BRIGHT, _SNOW),
    source="McFeeters 1996, doi:10.1080/01431169608948714" + _NOT_WATER,
)
# NDVI 0.2 is bare soil and 0.5 full cover: ((NDVI - 0.2) / 0.3)^2 reaches one half at 0.412.
NDVI = Rule(
    (Condition("NDVI", 0.412),),
    source="vegetation covers more than half of the pixel, Sobrino et al. 2004, "
    "doi:10.1016/j.rse.2004.02.003",
)
DENSE = Rule(
    (Condition("NDVI", 0.6),),
    source="dense vegetation, such as forests and crops at their peak: USGS, NDVI, the Foundation "
    "for Remote Sensing Phenology",
)
SOIL = Rule(
    (Condition("BI", 0.021),),
    exclude=((Condition("MNDWI", 0.0),),),
    source="Diek et al. 2017, doi:10.3390/rs9121245",
)
SOIL_NIR = Rule(
    (Condition("NDVI", high=0.2), Condition("NDWI", high=0.0)),
    source="Sobrino et al. 2004, doi:10.1016/j.rse.2004.02.003",
)
SNOW_RULE = Rule(_SNOW, source=_SNOW_SOURCE)
BUILT = Rule(
    (Condition("BU", 0.0), Condition("MNDWI", high=0.0)),
    source="NDBI - NDVI, Zha et al. 2003, doi:10.1080/01431160304987",
)
DNBR = Rule(
    (Condition("MNDWI", high=0.0), Condition("NDWI", high=0.0)),
    source="at least moderate-low severity, Key and Benson 2006, FIREMON, RMRS-GTR-164-CD",
)

# --- what has to be said ------------------------------------------------------------------------

DARK = "Deep shadow of terrain and buildings can pass for water; check the mask on slopes."
NO_SNOW_TEST = "Snow and ice are not told from water on uncalibrated numbers."
RADAR = (
    "Radar shows calm open water only: wind roughens it, and asphalt, sand and radar shadow are "
    "as dark."
)
RADAR_BUILT = (
    "Radar shows towns by the echo of their walls: slopes that face it are as bright, and roads "
    "and squares stay dark."
)
SINGLE_DATE_BURN = (
    "A burn is hard to tell on one date, where dark soil and harvested fields look alike; give a "
    "scene from before the fire as reference."
)
BUILT_CAUTION = "Bare soil and rock look like built-up area to this index."
SEASONS = (
    "Harvest and drying between the dates lower NBR as a fire does; compare scenes of one season."
)
RGB_CAUTION = "Without near infrared, anything green counts as vegetation: a weak method."
ONE_TOWN = (
    "The network learnt this land cover on pictures of Dubai alone; elsewhere check it by eye."
)
DENSE_CAUTION = "Crops and meadows at their greenest pass for trees."
COVER_CAUTION = (
    "Learned mostly from simulated scenes: trees, grass and crops of like greenness are confused, "
    "and strips a few pixels wide are lost."
)
SOIL_CAUTION = "Roofs, roads and dry harvested fields can pass for bare soil."
FROM_SCENE = "The threshold was taken from the scene itself, since no published one applies to it."


# --- thresholds from the scene, with what the two groups must be like ---------------------------

# Water is the only common surface that is much brighter in green than in the infrared, in digital
# numbers as well; their gains and haze can lift everything else a little above zero.
_ANY_WATER = ((Condition("MNDWI", 0.0),),)
SPLIT_MNDWI = SplitRule("MNDWI", True, "Water", (0.25, INF), (-INF, 0.15))
SPLIT_NDWI = SplitRule("NDWI", True, "Water", (0.15, INF), (-INF, 0.1))
# Open water and land in C-band: the ranges of Twele et al. 2016, doi:10.1080/01431161.2016.1192304.
_RADAR_HELP = "use another date or an optical scene"
SPLIT_VV = SplitRule(
    "VV", False, "Water", (-INF, -14.0), (-15.0, INF), speckle=5, instead=_RADAR_HELP
)
SPLIT_HH = SplitRule(
    "HH", False, "Water", (-INF, -14.0), (-15.0, INF), speckle=5, instead=_RADAR_HELP
)
SPLIT_VH = SplitRule(
    "VH", False, "Water", (-INF, -21.0), (-22.0, INF), speckle=5, instead=_RADAR_HELP
)
# Towns in C-band on simulated scenes: where nothing forms a group as bright, there is no town, or
# too little of one to take a threshold from.
SPLIT_VV_BUILT = SplitRule(
    "VV",
    True,
    "Built-up area",
    (-7.0, INF),
    (-INF, -9.0),
    speckle=5,
    instead="use an optical scene",
)
# Without it the two groups would be sea and land.
_SURE_WATER = ((Condition("MNDWI", 0.25), Condition("NDWI", 0.15)),)
SPLIT_NDVI = SplitRule("NDVI", True, "Vegetation", (0.1, INF), (-INF, 0.3), exclude=_SURE_WATER)
# Greenish water is bluer than it is red; leaves are not.
SPLIT_GLI = SplitRule(
    "GLI",
    True,
    "Vegetation",
    (0.02, INF),
    (-INF, 0.1),
    exclude=((Condition("BR", 0.0),),),
    instead="use a scene with near infrared",
)
SPLIT_NBR = SplitRule(
    "NBR",
    False,
    "Burned area",
    (-INF, -0.1),
    (0.1, INF),
    exclude=_ANY_WATER,
    instead="give a scene from before the fire as reference",
)
SPLIT_BU = SplitRule("BU", True, "Built-up area", (0.0, INF), (-INF, 0.0), exclude=_ANY_WATER)
SPLIT_BI = SplitRule("BI", True, "Bare soil", (0.0, INF), (-INF, 0.0), exclude=_ANY_WATER)
