"""Questions about simulated scenes with exact answers; `synthetic_text` exports them.

A question is asked only where the truth leaves no doubt: nothing between "none" and "clearly
there", no comparison of nearly equal shares, no count of things that are partly too small to see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from terralogue.datasets.synthetic_render import Simulated
from terralogue.datasets.synthetic_words import Facts, fill, read_facts

KINDS: Final = (
    "presence", "count", "comparison", "share", "area", "land_cover", "rural_urban", "sensor",
    "cloud", "change",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """A question, its answer in a few words, and its kind, one of KINDS."""

    question: str
    answer: str
    kind: str


# Classes of the truth by the one name that answers use, and further names for questions.
NAMES: Final[dict[str, tuple[str, ...]]] = {
    "water": ("water", "open water", "a body of water"),
    "tree_cover": ("forest", "trees", "woodland"),
    "cropland": ("farmland", "crop fields", "agricultural land"),
    "grassland": ("grassland", "grass", "meadows or pasture"),
    "bare_soil": ("bare ground", "bare soil", "barren land"),
    "built": ("built-up area", "buildings and roads", "built-up land"),
    "wetland": ("wetland", "marshland", "reed beds"),
    "snow_ice": ("snow", "snow cover", "snow or ice"),
    "burned_area": ("burned area", "burned land", "burned ground"),
    "flooded_area": ("flooded land", "flood water", "flooding"),
    "solar_panel": ("solar panels", "a solar farm", "photovoltaic panels"),
}
# Parts of the scenery that may be asked about.
_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "river": ("a river", "a stream or river"),
    "lake": ("a lake",),
    "beach": ("a beach", "a sandy beach"),
    "bridge": ("a bridge",),
    "highway": ("a highway", "a motorway"),
    "runway": ("a runway", "an airport runway"),
    "railway": ("a railway", "railway tracks"),
    "pivots": ("centre pivot irrigation", "circular irrigated fields"),
}
# Things that are counted, and the metres per pixel up to which they can be told.
_COUNTED: Final = {
    "ship": ("ships", 30.0),
    "vehicle": ("vehicles", 1.2),
    "storage_tank": ("storage tanks", 10.0),
    "aircraft": ("aircraft", 6.0),
    "building": ("buildings", 2.5),
}
# Parts that may pass for another, which then is not denied.
_SIMILAR: Final = {"lake": ("pond", "sea"), "river": ("creeks",), "beach": ("lake", "river")}
_PRESENCE: Final = (
    "[Is|Are:what] there {what} in the image?",
    "[Is|Are:what] there any {what} here?",
    "Does the image show {what}?",
    "Can {what} be seen?",
    "[Is|Are:what] {what} present in the scene?",
    "Do you see {what}?",
    "Does this scene contain {what}?",
    "[Is|Are:what] {what} visible in this picture?",
)
_COUNT: Final = (
    "How many {what} are there?",
    "How many {what} can be seen?",
    "What is the number of {what} in the image?",
    "Count the {what}.",
    "How many {what} does the image show?",
    "What number of {what} is visible?",
    "How many {what} do you see?",
    "Give the number of {what}.",
)
_COMPARISON: Final = (
    "Is there more {one} than {other}?",
    "[Does|Do:one] {one} cover more of the image than {other}?",
    "Is the area of {one} larger than that of {other}?",
    "Is more of the scene {one} than {other}?",
    "Compared with {other}, is there more {one}?",
    "[Does|Do:one] {one} take up more space than {other}?",
    "[Is|Are:one] {one} more widespread than {other}?",
    "[Is|Are:one] {one} larger in area than {other}?",
)
_SHARE: Final = (
    "What share of the image is {what}?",
    "What percentage of the scene [does|do:what] {what} cover?",
    "How much of the image is {what}, in per cent?",
    "What fraction of the image is covered by {what}?",
    "How large is the share of {what}?",
    "About how many per cent of this is {what}?",
    "What part of the area is {what}, in per cent?",
    "What percentage is {what}?",
)
_AREA: Final = (
    "What area [does|do:what] {what} cover, in {unit}?",
    "How many {unit} of {what} are there?",
    "How large is the area of {what} in {unit}?",
    "What is the area covered by {what} in {unit}?",
    "How many {unit} are {what}?",
    "Give the area of {what} in {unit}.",
    "What is the extent of {what} in {unit}?",
    "How large an area is {what}, in {unit}?",
)
_LAND_COVER: Final = (
    "What is the main land cover?",
    "What covers most of the image?",
    "Which land cover prevails?",
    "What is the dominant land cover class?",
    "What is most of the ground covered with?",
    "Which land cover takes up the largest area?",
    "What does the image mostly show?",
    "Name the most common land cover.",
)
_RURAL: Final = (
    "Is it a rural or an urban area?",
    "Is this rural or urban?",
    "Does the image show a rural or an urban area?",
    "Rural or urban?",
    "Is the scene rural or urban?",
    "Would you call this area rural or urban?",
    "Is this place urban or rural?",
    "Which is it, a rural or an urban area?",
)
_SENSOR: Final = (
    "Is this a radar or an optical image?",
    "What kind of sensor took this, radar or optical?",
    "Radar or optical?",
    "Was this taken by a radar or by an optical sensor?",
    "Is the image optical or radar?",
    "Which kind of sensor is it, optical or radar?",
    "Does the image come from a radar or an optical instrument?",
    "What type of image is this, optical or radar?",
)
_CLOUD: Final = (
    "Are there clouds?",
    "Is the image cloudy?",
    "Are there any clouds in the image?",
    "Do clouds hide part of the ground?",
    "Can clouds be seen?",
    "Is part of the scene below cloud?",
    "Does the image show clouds?",
    "Is there cloud cover?",
)
# Shares of the image: clearly there, and how much one has to exceed another.
_CLEAR = 0.03
_RATIO = 1.4


def cover_shares(scene: Simulated) -> dict[str, float]:
    """Visible share of each of NAMES; buildings, roads and paved ground are one."""
    shares = scene.fractions()
    built = sum(shares.get(name, 0.0) for name in ("building", "built_up", "road", "vehicle"))
    return {name: built if name == "built" else shares.get(name, 0.0) for name in NAMES}


def per_cent(share: float) -> str:
    """A share to the nearest ten per cent, or five below twenty."""
    step = 10 if share >= 0.2 else 5
    return f"{round(100 * share / step) * step} %"


def area_words(square_metres: float, whole: float) -> tuple[str, str]:
    """An area with two significant digits, and its unit: hectares, but metres in a small image.

    Args:
        square_metres: The area.
        whole: That of the image, which decides on the unit.
    """
    unit, name, size = ("ha", "hectares", 1e4) if whole >= 1e5 else ("m2", "square metres", 1.0)
    value = square_metres / size
    digits = 1 - int(np.floor(np.log10(max(value, 1e-3))))
    return f"{round(value, digits):.{max(digits, 0)}f} {unit}", name


def questions(scene: Simulated, count: int = 8, seed: int = 0) -> list[Question]:
    """Ask different questions about a scene.

    Args:
        scene: What to ask about.
        count: How many; fewer come back where the truth allows no more without doubt.
        seed: The same seed asks the same.
    """
    rng = np.random.default_rng([seed, scene.seed, 12])
    facts = read_facts(scene)
    shares = cover_shares(scene)
    pools = [
        _presence(scene, facts, shares, rng),
        _counts(scene, facts, rng),
        _comparisons(shares, rng),
        _shares(scene, shares, rng),
        _whole(scene, facts, shares, rng),
    ]
    asked: list[Question] = []
    while any(pools) and len(asked) < count:
        for pool in pools:
            if pool and len(asked) < count:
                asked.append(pool.pop(int(rng.integers(len(pool)))))
    return asked


def _ask(rng: np.random.Generator, forms: tuple[str, ...], **words: str) -> str:
    text = fill(str(rng.choice(forms)), **words)
    return text.replace("any a ", "a ").replace("any an ", "an ")


def _presence(
    scene: Simulated, facts: Facts, shares: dict[str, float], rng: np.random.Generator
) -> list[Question]:
    yes, no = [], []
    for name, words in NAMES.items():
        what = str(rng.choice(words))
        if shares[name] > _CLEAR:
            yes.append(what)
        elif shares[name] == 0:
            no.append(what)
    for name, words in _PARTS.items():
        what = str(rng.choice(words))
        if scene.features.get(name, 0.0) > 0.015:
            yes.append(what)
        elif not any(each in scene.features for each in (name, *_SIMILAR.get(name, ()))):
            no.append(what)
    for name, (word, largest) in _COUNTED.items():
        if facts.counts[name]:
            yes.append(word)
        elif scene.gsd <= largest and not _maybe(scene, name):
            no.append(word)
    # As many of either answer, so that "yes" alone is no good guess.
    few = max(min(len(yes), len(no)), 1)
    pick = [(what, "yes") for what in rng.permutation(yes)[:few]]
    pick += [(what, "no") for what in rng.permutation(no)[:few]]
    asked = [Question(_ask(rng, _PRESENCE, what=str(what)), a, "presence") for what, a in pick]
    if not 0 < facts.clouds < _CLEAR and scene.unit != "dB":
        answer = "yes" if facts.clouds else "no"
        asked.append(Question(_ask(rng, _CLOUD), answer, "cloud"))
    return asked


def _maybe(scene: Simulated, name: str) -> bool:
    """Whether there may be such things that are not boxed."""
    return name in scene.uncounted or bool(scene.where(name).any())


def _counts(scene: Simulated, facts: Facts, rng: np.random.Generator) -> list[Question]:
    return [
        Question(_ask(rng, _COUNT, what=word), str(facts.counts[name]), "count")
        for name, (word, largest) in _COUNTED.items()
        if facts.counts[name]
        or (scene.gsd <= largest and not _maybe(scene, name) and rng.random() < 0.15)
    ]


def _comparisons(shares: dict[str, float], rng: np.random.Generator) -> list[Question]:
    asked = []
    names = [name for name in shares if shares[name] > _CLEAR]
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            low, high = sorted((shares[one], shares[other]))
            if high < _RATIO * low:
                continue
            first, second = (one, other) if rng.random() < 0.5 else (other, one)
            text = _ask(rng, _COMPARISON, one=NAMES[first][0], other=NAMES[second][0])
            answer = "yes" if shares[first] > shares[second] else "no"
            asked.append(Question(text, answer, "comparison"))
    return asked


def _shares(scene: Simulated, shares: dict[str, float], rng: np.random.Generator) -> list[Question]:
    asked = []
    whole = scene.cloud.size * scene.gsd**2
    for name, share in shares.items():
        if share > _CLEAR:
            what = str(rng.choice(NAMES[name][:2]))
            asked.append(Question(_ask(rng, _SHARE, what=what), per_cent(share), "share"))
            answer, unit = area_words(share * whole, whole)
            asked.append(Question(_ask(rng, _AREA, what=what, unit=unit), answer, "area"))
    return asked


def _whole(
    scene: Simulated, facts: Facts, shares: dict[str, float], rng: np.random.Generator
) -> list[Question]:
    """Questions about the scene as a whole."""
    asked = []
    ranked = sorted(shares, key=lambda name: -shares[name])
    if shares[ranked[0]] > max(_RATIO * shares[ranked[1]], 0.3):
        asked.append(Question(_ask(rng, _LAND_COVER), NAMES[ranked[0]][0], "land_cover"))
    # Airfields, harbours and the open sea are neither.
    if facts.settled > 0.55:
        asked.append(Question(_ask(rng, _RURAL), "urban", "rural_urban"))
    elif facts.settled < 0.12 and shares["built"] < 0.08 and shares["water"] < 0.8:
        asked.append(Question(_ask(rng, _RURAL), "rural", "rural_urban"))
    if scene.unit != "m":
        answer = "radar" if scene.unit == "dB" else "optical"
        asked.append(Question(_ask(rng, _SENSOR), answer, "sensor"))
    return asked
