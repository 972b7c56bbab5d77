"""CONCEPTS: what training marks in pictures, and how people call it.

The decoder reads any words, since it takes the embedding of a text; these are the ones that it has
been shown, and among which the class of a mask is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Concept:
    """One row of CONCEPTS.

    Attributes:
        words: names in the singular; the first is the one that answers use.
        thing: whether it is counted; covers such as water are not.
        boxy: whether it fills the box around it; others are ellipses in theirs.
        compact: whether two that touch are told apart by the narrow place between them.
    """

    words: tuple[str, ...]
    thing: bool = False
    boxy: bool = False
    compact: bool = False


def _thing(*words: str, boxy: bool = False, compact: bool = False) -> Concept:
    return Concept(words, thing=True, boxy=boxy, compact=compact)


# ★ One line per concept.
CONCEPTS: Final[dict[str, Concept]] = {
    "airplane": _thing("airplane", "aircraft", "plane", "aeroplane", "jet", "airliner",
                       compact=True),
    "ship": _thing("ship", "boat", "vessel", compact=True),
    "storage_tank": _thing("storage tank", "oil tank", "tank", "fuel tank", "round tank",
                           compact=True),
    "baseball_diamond": _thing("baseball diamond", "baseball field", compact=True),
    "tennis_court": _thing("tennis court", boxy=True),
    "basketball_court": _thing("basketball court", boxy=True),
    "track": _thing("ground track field", "running track", "athletics field", "playground",
                    "sports field", "stadium"),
    "harbor": _thing("harbor", "harbour", "dock", "pier", boxy=True),
    "bridge": _thing("bridge", boxy=True),
    "overpass": _thing("overpass", "viaduct", "flyover", boxy=True),
    "vehicle": _thing("vehicle", "car", "truck", "automobile", compact=True),
    "building": _thing("building", "house", "roof", "rooftop", "home"),
    "tree": _thing("tree", "tree crown", "single tree", compact=True),
    "water": Concept(("water", "water body", "body of water", "open water")),
    "river": Concept(("river", "stream")),
    "lake": Concept(("lake", "pond")),
    "sea": Concept(("sea", "ocean")),
    "road": Concept(("road", "street", "paved road", "highway")),
    "vegetation": Concept(("vegetation", "greenery", "green plant", "trees and grass")),
    "forest": Concept(("forest", "trees", "woodland", "tree cover", "wood")),
    "grass": Concept(("grass", "grassland", "meadow", "pasture", "lawn")),
    "farmland": Concept(("farmland", "cropland", "crop field", "field", "agricultural land")),
    "bare_land": Concept(("bare land", "bare soil", "bare ground", "unpaved land", "sand")),
    "paved": Concept(("paved area", "pavement", "asphalt", "parking lot", "paved ground")),
    "built_up": Concept(("built-up area", "settlement", "buildings and roads", "urban area")),
    "wetland": Concept(("wetland", "marsh", "reed bed")),
    "snow": Concept(("snow", "snow cover", "ice")),
    "burned": Concept(("burned area", "burn scar", "burned land")),
    "flood": Concept(("flooded land", "flood water", "flooding", "inundated area")),
    "solar_panel": Concept(("solar panel", "solar farm", "photovoltaic panel")),
}  # fmt: skip
THINGS: Final = tuple(name for name, concept in CONCEPTS.items() if concept.thing)


def plural(noun: str) -> str:
    """The plural of a regular noun; "aircraft" and mass nouns ending in s stay."""
    if noun.endswith(("craft", "s")) and not noun.endswith("ss"):
        return noun
    if noun.endswith(("ss", "sh", "ch", "x")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def phrases(name: str) -> tuple[str, ...]:
    """Every way to name a concept: singular and plural."""
    words = CONCEPTS[name].words
    return tuple(dict.fromkeys(form for word in words for form in (word, plural(word))))
