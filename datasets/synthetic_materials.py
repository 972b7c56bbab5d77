"""What the ground of a simulated scene is made of, and where it grows: one line per material."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

# Target names of the ground truth; `Simulated.classes` holds indices into this tuple.
CLASSES: Final = (
    "water",
    "tree_cover",
    "cropland",
    "grassland",
    "bare_soil",
    "built_up",
    "building",
    "road",
    "wetland",
    "snow_ice",
    "burned_area",
    "flooded_area",
    "ship",
    "vehicle",
    "storage_tank",
    "aircraft",
    "solar_panel",
)

VARIANTS: Final = 8


@dataclass(frozen=True)
class Material:
    """A kind of ground.

    Attributes:
        name: Unique.
        target: Its class in the truth.
        group: Group of `spectra`, or a model of this file ("lake", "snow", ...).
        gain: Factor on the reflectance: shade within a canopy, dirt on a roof.
        cycle: Season of a plant; see `greenness`.
        straw: Gain of the dry plant parts.
        spread: Standard deviation of the brightness from variant to variant.
        vv: Backscatter in dB, C band, about 38 degrees incidence; of plants, when green.
        vh: The same, cross-polarised.
        warm: Kelvin above the air on a summer morning.
    """

    name: str
    target: str
    group: str
    gain: float = 1.0
    cycle: str = ""
    straw: float = 0.0
    spread: float = 0.08
    vv: float = -12.0
    vh: float = -19.0
    warm: float = 4.0


# Gains bring the pure spectra to what satellites see: a forest's crowns shade each other, dust and
# shade dull a roof. Backscatter: medians in Ulaby & Dobson 1989, Handbook of Radar Scattering
# Statistics for Terrain (C band, 30 to 40 degrees); of towns and ships, which it lacks, what is
# usual in Sentinel-1 scenes. Warmth: ordinary Landsat differences at mid-morning.
# fmt: off
_ENTRIES: Final = (
    Material("lake", "water", "lake", vv=-21, vh=-28, warm=-6),
    Material("river", "water", "river", vv=-19, vh=-27, warm=-5),
    Material("sea", "water", "sea", vv=-17, vh=-26, warm=-6),
    Material("pond", "water", "pond", vv=-20, vh=-27, warm=-4),
    Material("pool", "water", "pool", vv=-14, vh=-22, warm=-3),
    Material("foam", "water", "white", .65, "", 0, .1, -14, -23, -6),
    Material("flood", "flooded_area", "flood", vv=-18, vh=-25, warm=-4),
    Material("conifer", "tree_cover", "canopy_dense", .46, "evergreen", 0, .10, -8.5, -14, -2),
    Material("deciduous", "tree_cover", "canopy_dense", .70, "leaves", .55, .09, -8.5, -13.8, -2),
    Material("tropical", "tree_cover", "canopy_dense", .66, "evergreen", 0, .08, -7.8, -13.2, -2),
    Material("orchard", "cropland", "canopy", .72, "leaves", .7, .10, -10, -16, 2),
    Material("shrub", "grassland", "canopy_open", .66, "shrub", .6, .10, -11.5, -18, 5),
    Material("grass", "grassland", "canopy", .80, "grass", .95, .09, -12.5, -19.5, 3),
    Material("meadow", "grassland", "canopy", .88, "meadow", .9, .08, -12, -19, 2),
    Material("lawn", "grassland", "canopy", .82, "meadow", .9, .08, -13, -20, 2),
    Material("dry_grass", "grassland", "canopy_open", .7, "dry", 1.05, .10, -14, -21.5, 7),
    Material("reed", "wetland", "canopy", .55, "reed", .75, .12, -9.5, -16.5, -1),
    Material("wheat", "cropland", "canopy", .86, "winter", 1.25, .09, -14, -20, 3),
    Material("maize", "cropland", "canopy_dense", .84, "summer", 1.1, .08, -10.5, -16.5, 3),
    Material("rapeseed", "cropland", "canopy", .85, "rape", 1.1, .07, -10, -16, 3),
    Material("beet", "cropland", "canopy_dense", .92, "late", .9, .07, -10.5, -16.8, 3),
    Material("rice", "cropland", "canopy", .80, "rice", 1.1, .08, -12, -19, 0),
    Material("alfalfa", "cropland", "canopy_dense", .95, "meadow", .9, .08, -11.5, -18, 1),
    Material("fallow", "cropland", "soil", .62, "", 0, .16, -13, -21, 7),
    Material("soil", "bare_soil", "soil", .78, "", 0, .12, -13.5, -22, 8),
    Material("sand", "bare_soil", "sand", 1.0, "", 0, .10, -18, -26, 9),
    Material("dune", "bare_soil", "sand", 1.08, "", 0, .08, -19, -28, 11),
    Material("gravel", "bare_soil", "gravel", 1.1, "", 0, .12, -12.5, -21, 7),
    Material("rock", "bare_soil", "gravel", 1.05, "", 0, .14, -10, -18.5, 6),
    Material("tile_roof", "building", "tile", .75, "", 0, .14, -5, -13, 8),
    Material("dark_roof", "building", "shingle", .75, "", 0, .20, -5, -13, 10),
    Material("flat_roof", "building", "concrete", .45, "", 0, .20, -3.5, -12, 8),
    Material("hall_roof", "building", "metal", 1.1, "", 0, .30, -2.5, -11, 4),
    Material("white_roof", "building", "white", .42, "", 0, .12, -3, -12, 3),
    Material("blue_roof", "building", "blue", 1.0, "", 0, .15, -3, -12, 5),
    Material("asphalt", "road", "road", .95, "", 0, .12, -16, -25, 9),
    Material("track", "road", "soil", .80, "", 0, .10, -15, -23, 7),
    Material("runway", "built_up", "asphalt", 1.15, "", 0, .12, -20, -28, 9),
    Material("parking", "built_up", "asphalt", 1.0, "", 0, .14, -14, -23, 10),
    Material("paving", "built_up", "concrete", .48, "", 0, .14, -9, -17, 8),
    Material("rails", "built_up", "gravel", .8, "", 0, .10, -9, -18, 9),
    Material("burn", "burned_area", "char", .85, "", 0, .12, -12, -20, 11),
    Material("snow", "snow_ice", "snow", 1.0, "", 0, .03, -17, -25, -18),
    Material("ship", "ship", "paint", .9, "", 0, .45, 2, -7, 4),
    Material("cargo", "ship", "tile", .9, "", 0, .40, 3, -6, 4),
    Material("car", "vehicle", "car", 1.0, "", 0, .35, -6, -15, 6),
    Material("tank", "storage_tank", "white", 1.0, "", 0, .12, 0, -9, 3),
    Material("plane", "aircraft", "white", 1.1, "", 0, .08, -1, -10, 3),
    Material("solar", "solar_panel", "solar", 1.0, "", 0, .10, -8, -18, 8),
)
# fmt: on
MATERIALS: Final = {entry.name: entry for entry in _ENTRIES}
CODES: Final = {name: np.uint8(i) for i, name in enumerate(MATERIALS)}
TARGET_OF: Final = np.array([CLASSES.index(entry.target) for entry in _ENTRIES], np.uint8)


@dataclass(frozen=True)
class Climate:
    """What grows, and when.

    Attributes:
        name: temperate, mediterranean, boreal, tropical or arid.
        woods: Kinds of forest, the commonest first.
        crops: Kinds of fields.
        dry: How far grass dries in summer, 0 to 1.
        winter: How cold winter is: 0 no snow, 1 long snow.
        soil: Factor on soil brightness.
        air: Air temperature in kelvin: of the year, and half its swing.
    """

    name: str
    woods: tuple[str, ...]
    crops: tuple[str, ...]
    dry: float
    winter: float
    soil: float
    air: tuple[float, float]


CLIMATES: Final = {
    climate.name: climate
    for climate in (
        Climate(
            "temperate",
            ("deciduous", "conifer"),
            ("wheat", "wheat", "maize", "rapeseed", "beet", "alfalfa", "fallow", "meadow"),
            0.25,
            0.4,
            0.72,
            (285, 9),
        ),
        Climate(
            "mediterranean",
            ("conifer", "deciduous"),
            ("wheat", "wheat", "orchard", "alfalfa", "fallow", "maize", "fallow"),
            0.85,
            0.0,
            0.95,
            (290, 8),
        ),
        Climate(
            "boreal",
            ("conifer", "conifer", "deciduous"),
            ("wheat", "meadow", "alfalfa", "fallow"),
            0.1,
            1.0,
            0.6,
            (276, 14),
        ),
        Climate(
            "tropical",
            ("tropical",),
            ("rice", "rice", "maize", "orchard", "fallow", "alfalfa"),
            0.5,
            0.0,
            0.75,
            (299, 2),
        ),
        Climate(
            "arid",
            ("conifer",),
            ("alfalfa", "maize", "wheat", "fallow"),
            1.0,
            0.0,
            1.15,
            (295, 10),
        ),
    )
}
