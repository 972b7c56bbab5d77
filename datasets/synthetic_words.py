"""Words for what simulated scenes show: facts read from the truth, and many names for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from terralogue.datasets.synthetic_render import PICTURES, Simulated

# Names of land cover, with and without an article as English wants them in running text.
COVER: Final = {
    "water": ("water", "open water", "a body of water"),
    "tree_cover": ("forest", "woodland", "trees", "dense green trees", "tree cover", "woods"),
    "cropland": ("farmland", "crop fields", "cultivated fields", "agricultural land", "fields",
                 "arable land"),
    "grassland": ("grassland", "grass", "meadows", "pasture", "green grass", "open grassland"),
    "dry": ("dry grassland", "dry grass", "scrubland", "steppe"),
    "bare_soil": ("bare ground", "bare soil", "bare land", "barren land"),
    "desert": ("desert", "bare desert ground", "barren desert", "arid bare land"),
    "dunes": ("sand dunes", "a sandy desert with dunes", "desert dunes"),
    "houses": ("a residential area", "houses", "a residential area with many houses",
               "a neighbourhood of houses", "a suburb", "houses with gardens"),
    "village": ("a village", "a small settlement", "a group of houses", "a small town"),
    "city": ("a dense city", "an urban area", "city blocks", "a dense urban area",
             "tightly packed buildings", "a city with many buildings"),
    "works": ("an industrial area", "industrial buildings", "large halls and yards",
              "an industrial estate", "warehouses", "factory buildings"),
    "built_up": ("buildings", "a built-up area", "developed land"),
    "wetland": ("wetland", "a marsh", "reed beds", "marshland", "swampy ground"),
    "snow_ice": ("snow", "snow-covered ground", "snow cover"),
    "burned_area": ("burned ground", "a burn scar", "burned land", "a dark burned area",
                    "land scorched by fire"),
    "flooded_area": ("flood water", "flooded land", "an inundated area", "brown flood water"),
    "solar_panel": ("a solar farm", "rows of solar panels", "a photovoltaic power plant",
                    "solar panels"),
    "mountains": ("mountains", "mountain ridges", "a mountain range", "steep mountains"),
    "sea": ("the sea", "sea water", "the ocean", "open sea"),
    "pivots": ("circular irrigated fields", "centre pivot fields", "round crop fields",
               "center-pivot irrigation circles"),
    "sections": ("large square fields", "a grid of rectangular fields", "square crop fields"),
    "airfield": ("an airport", "an airfield", "an airport with a runway"),
    "parking": ("a parking lot", "a car park", "a large parking lot"),
    "tanks": ("storage tanks", "a tank farm", "oil storage tanks"),
    "harbour": ("a harbour", "a port", "a harbor"),
    "orchard": ("orchards", "rows of fruit trees", "plantations"),
}  # fmt: skip

# Parts of the scenery that are mentioned by themselves.
NOTABLE: Final = {
    "river": ("a river", "a winding river", "a stream", "a meandering river"),
    "lake": ("a lake", "a large lake"),
    "pond": ("a pond", "a small lake"),
    "beach": ("a beach", "a sandy beach", "a strip of sand"),
    "bridge": ("a bridge", "a bridge over the water"),
    "highway": ("a highway", "a wide road", "a motorway"),
    "road": ("a road", "a country road"),
    "railway": ("a railway", "railway tracks"),
    "runway": ("a runway", "an airport runway"),
    "piers": ("piers", "quays", "docks"),
    "parking": ("a parking lot", "a car park"),
    "pools": ("swimming pools",),
    "solar": ("a solar farm", "solar panels"),
    "tanks": ("storage tanks", "round tanks"),
    "creeks": ("winding creeks", "small pools"),
}

THINGS: Final = {
    "ship": ("ship", "boat", "vessel"),
    "vehicle": ("car", "vehicle"),
    "storage_tank": ("storage tank", "tank"),
    "aircraft": ("airplane", "aircraft", "plane"),
    "building": ("building",),
}

NUMBERS: Final = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
)


@dataclass(frozen=True)
class Facts:
    """What a person would say about a scene.

    Attributes:
        themes: Names in COVER with the share of the image, largest first.
        notable: Names in NOTABLE in sight, the most striking first.
        counts: How many instances of each class in THINGS are boxed.
        clouds: Share of the image below cloud.
        snow: Whether snow lies on ground that is not a theme of its own.
    """

    themes: tuple[tuple[str, float], ...]
    notable: tuple[str, ...]
    counts: dict[str, int]
    clouds: float
    snow: bool


def read_facts(scene: Simulated) -> Facts:
    """Read what is worth saying from the truth of a scene."""
    shares = dict(scene.fractions())
    clouds = shares.pop("cloud", 0.0)
    parts = scene.features
    themes: dict[str, float] = {}
    settled = max(parts.get(name, 0.0) for name in ("houses", "city", "works"))
    for name in ("houses", "city", "works"):
        if parts.get(name, 0) > 0.02:
            key = "village" if name == "houses" and parts[name] < 0.14 else name
            themes[key] = parts[name]
    # Lawns and garden trees belong to their town.
    outside = max(0.0, 1 - settled - clouds)
    for name in ("tree_cover", "grassland", "cropland", "bare_soil", "wetland", "snow_ice"):
        share = shares.get(name, 0.0)
        if share == 0:
            continue
        if name in ("tree_cover", "grassland") and settled > 0.05:
            share = share * outside
        themes[_wording(scene, name)] = share
    for name in ("burned_area", "flooded_area", "solar_panel"):
        themes[name] = shares.get(name, 0.0)
    water = "sea" if parts.get("sea", 0) > 0.05 else "water"
    themes[water] = shares.get("water", 0.0)
    built = sum(shares.get(name, 0.0) for name in ("built_up", "building"))
    if settled < 0.02:
        themes["built_up"] = built
    special = {"harbour": "harbour", "airfield": "airfield", "parking": "parking", "tanks": "tanks"}
    if scene.layout in special and parts.get(_SIGN[scene.layout], 0) > 0.004:
        themes[special[scene.layout]] = 0.5
    if scene.layout == "mountains" and scene.gsd * scene.data.shape[-1] > 800:
        themes["mountains"] = 0.45
    ordered = sorted(((k, v) for k, v in themes.items() if v > 0.03), key=lambda item: -item[1])
    names = {name for name, _ in ordered}
    notable = tuple(
        name
        for name in NOTABLE
        if parts.get(name, 0.0) > _LEAST.get(name, 0.004)
        and not (
            name in ("tanks", "parking", "solar") and (name in names or "solar_panel" in names)
        )
        and not (name == "runway" and "airfield" in names)
    )
    counts = dict.fromkeys(THINGS, 0)
    for box in scene.boxes:
        counts[box.label] += 1
    return Facts(tuple(ordered), notable, counts, clouds, shares.get("snow_ice", 0) > 0.03)


_SIGN: Final = {"harbour": "piers", "airfield": "runway", "parking": "parking", "tanks": "tanks"}
# Least share of the image from which a part is worth a word.
_LEAST: Final = {"bridge": 0.0008, "highway": 0.008, "road": 0.008, "pools": 0.002, "lake": 0.02}


def _wording(scene: Simulated, name: str) -> str:
    """The more telling name of a class, where the layout gives one."""
    if name == "bare_soil" and scene.climate == "arid":
        return "dunes" if scene.features.get("dunes", 0) > 0.3 else "desert"
    if name == "grassland" and scene.green[scene.where("grassland")].mean() < 0.5:
        return "dry"
    if name == "cropland":
        if scene.features.get("pivots", 0) > 0.1:
            return "pivots"
        if scene.layout == "sections":
            return "sections"
        if scene.features.get("orchard", 0) > 0.5 * scene.fractions().get("cropland", 1):
            return "orchard"
    return name


def sensor_words(scene: Simulated) -> tuple[str, ...]:
    """Names for the kind of image."""
    if scene.unit == "dB":
        return (
            "radar image",
            "SAR image",
            "Sentinel-1 radar image",
            "synthetic aperture radar image",
        )
    if scene.unit == "m":
        return ("elevation model", "digital surface model", "height map")
    if scene.sensor in PICTURES and scene.gsd < 1.2:
        return ("aerial image", "aerial photograph", "high-resolution image", "overhead image")
    if scene.sensor.startswith("sentinel2"):
        return ("satellite image", "Sentinel-2 image", "multispectral satellite image")
    if scene.sensor.startswith(("landsat", "hls")):
        return ("satellite image", "Landsat image", "multispectral satellite image")
    return ("satellite image", "remote sensing image", "image from above")


def many(count: int, noun: str, rng: np.random.Generator) -> str:
    """A count in words: exact to ten, then "many"."""
    plural = noun if noun == "aircraft" else f"{noun}s"
    if count == 1:
        return str(
            rng.choice((f"one {noun}", f"a {noun}" if noun != "aircraft" else "an aircraft"))
        )
    if count <= 10:
        vague = "several" if count > 3 else NUMBERS[count]
        return f"{rng.choice((NUMBERS[count], vague))} {plural}"
    return f"{rng.choice(('many', 'a lot of', 'numerous'))} {plural}"
