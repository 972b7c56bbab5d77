"""Words for what simulated scenes show: facts read from the truth, and many names for each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from terralogue.datasets.synthetic_render import PICTURES, Simulated

# Names of what may cover a scene.
COVER: Final = {
    "water": ("water", "open water", "a body of water"),
    "sea": ("the sea", "sea water", "the ocean", "open sea"),
    "tree_cover": ("forest", "woodland", "green trees", "dense green trees", "tree cover", "woods",
                   "many trees"),
    "cropland": ("farmland", "crop fields", "cultivated fields", "agricultural land", "fields",
                 "arable land", "many pieces of farmland"),
    "grassland": ("grassland", "grass", "meadows", "pasture", "green grass", "open grassland"),
    "dry": ("dry grassland", "dry grass", "scrubland", "steppe", "brown grassland"),
    "bare_soil": ("bare ground", "bare soil", "bare land", "barren land"),
    "desert": ("desert", "bare desert ground", "barren desert", "arid bare land"),
    "dunes": ("sand dunes", "a sandy desert with dunes", "desert dunes", "wavy sand dunes"),
    "houses": ("a residential area", "houses", "a residential area with many houses",
               "a neighbourhood of houses", "a suburb", "houses with gardens", "many houses"),
    "village": ("a village", "a small settlement", "a group of houses", "a small town",
                "some houses"),
    "city": ("a dense city", "an urban area", "city blocks", "a dense urban area",
             "tightly packed buildings", "a city with many buildings", "many buildings"),
    "works": ("an industrial area", "industrial buildings", "large halls and yards",
              "an industrial estate", "warehouses", "factory buildings", "large buildings"),
    "built_up": ("buildings", "a built-up area", "developed land"),
    "wetland": ("wetland", "a marsh", "reed beds", "marshland", "swampy ground"),
    "snow_ice": ("snow", "snow-covered ground", "snow cover"),
    "burned_area": ("burned ground", "a burn scar", "burned land", "a dark burned area",
                    "land scorched by fire"),
    "flooded_area": ("flood water", "flooded land", "an inundated area", "muddy flood water"),
    "solar_panel": ("a solar farm", "rows of solar panels", "a photovoltaic power plant",
                    "solar panels"),
    "mountains": ("mountains", "mountain ridges", "a mountain range", "steep mountains"),
    "pivots": ("circular irrigated fields", "centre pivot fields", "round crop fields",
               "circles of irrigated crops"),
    "sections": ("large square fields", "a grid of rectangular fields", "square crop fields",
                 "large rectangular fields"),
    "airfield": ("an airport", "an airfield", "an airport with a runway"),
    "parking": ("a parking lot", "a car park", "a large parking lot"),
    "tanks": ("storage tanks", "a tank farm", "oil storage tanks"),
    "harbour": ("a harbour", "a port", "a harbor"),
    "orchard": ("orchards", "rows of fruit trees", "plantations"),
}  # fmt: skip

# Parts of the scenery that are mentioned by themselves, the most striking first.
NOTABLE: Final = {
    "river": ("a river", "a winding river", "a stream", "a meandering river", "a curved river"),
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
    "tanks": ("storage tanks", "round tanks"),
    "creeks": ("winding creeks", "small pools"),
}

THINGS: Final = {
    "ship": ("ship", "boat", "vessel"),
    "vehicle": ("car", "vehicle"),
    "storage_tank": ("storage tank", "tank"),
    "aircraft": ("airplane", "plane"),
    "building": ("building",),
}

_NUMBERS: Final = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
)  # fmt: skip
_SIGN: Final = {"harbour": "piers", "airfield": "runway", "parking": "parking", "tanks": "tanks"}
# Least share of the image from which a part is worth a word.
_LEAST: Final = {"bridge": 0.0008, "highway": 0.008, "road": 0.008, "pools": 0.002, "lake": 0.02}


_DOUBLED: Final = re.compile(
    r"(?:mostly|mainly|a large area of|a scene of|a view of|some of it is) (many|a|an|the|large) "
)


@dataclass(frozen=True)
class Facts:
    """What a person would say about a scene.

    Attributes:
        themes: Names in COVER with their weight, about the share of the image, largest first.
        notable: Names in NOTABLE in sight, the most striking first.
        counts: How many instances of each of THINGS are boxed; 0 where some are too small to box.
        clouds: Share of the image below cloud.
        snow: Whether snow is in sight.
        settled: Share of the largest town, city or industrial area, gardens and streets included.
    """

    themes: tuple[tuple[str, float], ...]
    notable: tuple[str, ...]
    counts: dict[str, int]
    clouds: float
    snow: bool
    settled: float


def read_facts(scene: Simulated) -> Facts:
    """Read what is worth saying from the truth of a scene."""
    shares = scene.fractions()
    clouds = shares.pop("cloud", 0.0)
    parts = scene.features
    themes: dict[str, float] = {}
    for name in ("houses", "city", "works"):
        share = parts.get(name, 0.0)
        themes["village" if name == "houses" and share < 0.14 else name] = share
    settled = max(themes.values())
    for name in ("tree_cover", "grassland", "cropland", "bare_soil", "wetland", "snow_ice"):
        share = shares.get(name, 0.0)
        if share > 0:
            # Lawns and garden trees belong to their town.
            garden = name in ("tree_cover", "grassland") and settled > 0.05
            themes[_wording(scene, name)] = share * max(0.0, 1 - settled) if garden else share
    for name in ("burned_area", "flooded_area", "solar_panel"):
        # Striking, and so named first even where they are small.
        themes[name] = min(3 * shares.get(name, 0.0), 1.0)
    themes["sea" if parts.get("sea", 0) > 0.05 else "water"] = shares.get("water", 0.0)
    if settled < 0.02:
        themes["built_up"] = shares.get("built_up", 0.0) + shares.get("building", 0.0)
    if parts.get(_SIGN.get(scene.layout, ""), 0) > 0.004:
        themes[scene.layout] = 0.5
    if scene.layout == "mountains" and scene.gsd * scene.data.shape[-1] > 800:
        themes["mountains"] = 0.45
    ordered = sorted(((k, v) for k, v in themes.items() if v > 0.03), key=lambda item: -item[1])
    return Facts(
        themes=tuple(ordered),
        notable=_notable(parts, {name for name, _ in ordered}),
        counts={
            name: 0 if name in scene.uncounted else sum(box.label == name for box in scene.boxes)
            for name in THINGS
        },
        clouds=clouds,
        snow=shares.get("snow_ice", 0) > 0.03,
        settled=settled,
    )


def _notable(parts: dict[str, float], themes: set[str]) -> tuple[str, ...]:
    """Parts that are large enough, less those that a theme already names."""
    said = {"tanks": "tanks", "parking": "parking", "airfield": "runway", "harbour": "piers"}
    known = {part for theme, part in said.items() if theme in themes}
    return tuple(
        name
        for name in NOTABLE
        if parts.get(name, 0.0) > _LEAST.get(name, 0.004) and name not in known
    )


def _wording(scene: Simulated, name: str) -> str:
    """The more telling name of a class, where the scene gives one."""
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
        return ("radar image", "SAR image", "Sentinel-1 radar image", "radar backscatter image")
    if scene.unit == "m":
        return ("elevation model", "digital surface model", "height map")
    if scene.sensor in PICTURES and scene.gsd < 1.2:
        return ("aerial image", "aerial photograph", "high-resolution image", "overhead image")
    if scene.sensor.startswith("sentinel2"):
        return ("satellite image", "Sentinel-2 image", "multispectral satellite image")
    if scene.sensor.startswith(("landsat", "hls")):
        return ("satellite image", "Landsat image", "multispectral satellite image")
    return ("satellite image", "remote sensing image", "image from above")


def with_article(noun: str) -> str:
    """A noun with "a" or "an", as it is spoken."""
    vowel = noun[0].lower() in "aeiou" or noun.startswith("SAR ")
    return f"{'an' if vowel else 'a'} {noun}"


def many(count: int, noun: str, rng: np.random.Generator) -> str:
    """A count in words: exact to ten, then "many"."""
    if count == 1:
        return str(rng.choice((f"one {noun}", with_article(noun))))
    if count <= 10:
        return f"{'several' if count > 3 and rng.random() < 0.5 else _NUMBERS[count]} {noun}s"
    return f"{rng.choice(('many', 'a lot of', 'numerous', 'lots of'))} {noun}s"


def plural(phrase: str) -> bool:
    """Whether a phrase of this file takes a plural verb."""
    if phrase.startswith(("a lot of", "lots of")) or phrase == "aircraft":
        return True
    if phrase.startswith(("a ", "an ", "the ", "one ")):
        return False
    head = re.split(r" (?:with|of|by|and|or) ", phrase)[0]
    return head.endswith("s") and not head.endswith("ss")


def fill(form: str, **phrases: str) -> str:
    """Fill a form such as "{part} [crosses|cross:part] {first}", whose verb follows a phrase."""

    def verb(found: re.Match[str]) -> str:
        return found[2] if plural(phrases[found[3]]) else found[1]

    return re.sub(r"\[([\w ]+)\|([\w ]+):(\w+)\]", verb, form).format(**phrases)


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop, and without "mostly many"."""
    text = _DOUBLED.sub(r"\1 ", text)
    return f"{text[0].upper()}{text[1:]}."
