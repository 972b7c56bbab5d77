"""Captions and questions about simulated pairs; `synthetic_text` exports them."""

from __future__ import annotations

from typing import Final

import numpy as np

from terralogue.datasets.synthetic_pairs import SimulatedPair
from terralogue.datasets.synthetic_questions import NAMES, Question, area_words
from terralogue.datasets.synthetic_words import fill, sentence

# Share of the image from which a change is seen; less than the lower one counts as none.
_SEEN = 0.004
_NOTHING = 0.0005

_HAPPENED: Final = {
    "flood": (
        "a flood has covered {extent} {where}",
        "water now covers {extent} {where}",
        "{extent} {where} has been flooded",
        "there is much more water than before {where}",
        "land {where} is under water now",
        "flood water has spread over {extent} {where}",
        "open ground {where} was inundated",
        "the water has risen and covers land {where}",
        "{extent} {where} has been drowned by a flood",
    ),
    "burn": (
        "{extent} {where} has burned",
        "a fire has left a dark burn scar {where}",
        "vegetation {where} has been burned",
        "a burned area has appeared {where}",
        "a fire destroyed the vegetation {where}",
        "{extent} {where} was scorched by fire",
        "the plants {where} have burned down",
        "there is a new burn scar {where}",
    ),
    "clearing": (
        "the trees {where} have been cut down",
        "{extent} {where} has been cleared of forest",
        "forest {where} has turned into bare ground",
        "the forest {where} has disappeared",
        "a clearing has appeared {where}",
        "trees {where} were removed and bare soil is left",
        "woodland has been lost {where}",
        "deforestation has taken place {where}",
    ),
    "new_buildings": (
        "new buildings have been built {where}",
        "buildings have appeared {where}",
        "{extent} {where} has been built up",
        "there is a new estate with streets {where}",
        "many buildings were constructed {where}",
        "houses and roads have been built {where}",
        "open land {where} has been turned into a built-up area",
        "the settlement has grown {where}",
        "some new buildings and roads appear {where}",
    ),
    "new_road": (
        "a new road has been built",
        "a road now runs across the scene",
        "a new road crosses the land",
        "a road has appeared that was not there before",
        "a road was constructed through the area",
        "the second image shows a new road",
        "a road has been built across the scene",
        "a wide new road cuts through the area",
    ),
    "new_solar": (
        "a solar farm has been built {where}",
        "solar panels have appeared {where}",
        "{extent} {where} is now covered with solar panels",
        "there is a new solar park {where}",
        "solar panels were installed {where}",
        "a photovoltaic plant has been constructed {where}",
        "open land {where} has become a solar farm",
        "rows of solar panels now stand {where}",
    ),
    "lake_shrinks": (
        "the lake has shrunk",
        "the water level of the lake has fallen",
        "the lake is smaller than before",
        "water has drawn back and left bare mud",
        "part of the lake has dried up",
        "bare ground has appeared where there was water",
        "the lake has lost part of its water",
        "the shore of the lake has moved inwards",
    ),
}
_UNCHANGED: Final = (
    "nothing has changed",
    "there is no change",
    "the scene is the same as before",
    "no change has occurred",
    "the two images show the same ground",
    "there is no difference on the ground",
    "the two scenes seem identical",
    "nothing was built or removed",
    "almost nothing has changed",
)
_SEASON_ONLY: Final = {
    "season": (
        "only the season has changed",
        "the plants look different because of the season, nothing else has changed",
        "apart from the season everything is the same",
        "no change but that of the season",
    ),
    "harvest": (
        "only the crops have been harvested",
        "the fields were harvested, nothing else has changed",
        "crops are gone after the harvest, the land use is the same",
        "no change but the harvest of the fields",
    ),
    "snow_melt": (
        "only the snow has melted",
        "the snow is gone, nothing else has changed",
        "snow has melted, the ground is the same",
        "no change but the melting of the snow",
    ),
}
_WHAT: Final = {
    "flood": "a flood",
    "burn": "a fire",
    "clearing": "forest was cleared",
    "new_buildings": "new buildings",
    "new_road": "a new road",
    "new_solar": "a new solar farm",
    "lake_shrinks": "the lake shrank",
}
_ANY: Final = (
    "Has anything changed?",
    "Did the ground change between the two images?",
    "Is there any change?",
    "Are there differences on the ground?",
    "Has something changed between the two dates?",
    "Do the images show a change of the ground?",
    "Is the second image different on the ground?",
    "Did anything happen between the images?",
)
_WHICH: Final = (
    "What has changed?",
    "What happened between the two dates?",
    "What is different in the second image?",
    "Which change took place?",
    "What is the change?",
    "What changed between the images?",
    "What has happened here?",
    "Describe the change in a few words.",
)
_GREW: Final = (
    "Is there more {what} than before?",
    "[Has|Have:what] {what} increased?",
    "Did the area of {what} grow?",
    "Is there more {what} in the second image?",
    "Has the area of {what} become larger?",
    "Did {what} expand?",
    "Does the second image show more {what}?",
    "[Was|Were:what] {what} gained?",
)
_SHRANK: Final = (
    "Is there less {what} than before?",
    "[Has|Have:what] {what} decreased?",
    "Did the area of {what} shrink?",
    "Is there less {what} in the second image?",
    "Has the area of {what} become smaller?",
    "[Was|Were:what] {what} lost?",
    "Does the second image show less {what}?",
    "Did {what} decline?",
)
_HOW_MUCH: Final = (
    "How large is the changed area, in {unit}?",
    "How many {unit} have changed?",
    "What is the area of change in {unit}?",
    "What area has changed, in {unit}?",
    "How much has changed, in {unit}?",
    "Give the changed area in {unit}.",
    "How big is the change in {unit}?",
    "How many {unit} are different?",
)


def change_captions(pair: SimulatedPair, count: int = 5, seed: int = 0) -> list[str]:
    """Write different captions of what happened between two scenes.

    Args:
        pair: What to describe.
        count: How many; fewer come back where there are no more different ones.
        seed: The same seed gives the same text.
    """
    rng = np.random.default_rng([seed, pair.before.seed, 13])
    share = _share(pair)
    written: dict[str, None] = {}
    for _ in range(8 * count):
        if share < _NOTHING or pair.change not in _HAPPENED:
            forms: tuple[str, ...] = _UNCHANGED
            if pair.change in _SEASON_ONLY and rng.random() < 0.35:
                forms = _SEASON_ONLY[pair.change]
            text = str(rng.choice(forms))
        else:
            form = str(rng.choice(_HAPPENED[pair.change]))
            text = form.format(extent=_extent(share, rng), where=_where(pair, rng))
        written.setdefault(sentence(" ".join(text.split())))
        if len(written) == count:
            break
    return list(written)


def pair_questions(pair: SimulatedPair, count: int = 6, seed: int = 0) -> list[Question]:
    """Ask different questions about what happened between two scenes.

    Args:
        pair: What to ask about.
        count: How many; fewer come back where the truth allows no more without doubt.
        seed: The same seed asks the same.
    """
    rng = np.random.default_rng([seed, pair.before.seed, 14])
    share = _share(pair)
    whole = pair.changed.size * pair.before.gsd**2
    if _NOTHING <= share < _SEEN:
        return []
    changed = share >= _SEEN
    asked: list[tuple[tuple[str, ...], str, str]] = [(_ANY, "", "yes" if changed else "no")]
    if changed:
        asked.append((_WHICH, "", _WHAT[pair.change]))
        answer, unit = area_words(share * whole, whole)
        asked.append((tuple(form.replace("{unit}", unit) for form in _HOW_MUCH), "", answer))
    else:
        asked.append((_WHICH, "", "nothing"))
    gain, loss = _by_name(pair.gain()), _by_name(pair.loss())
    least = _SEEN * whole
    for name, words in NAMES.items():
        won = gain.get(name, 0.0) - loss.get(name, 0.0)
        if abs(won) > least:
            asked.append((_GREW, words[0], "yes" if won > 0 else "no"))
            asked.append((_SHRANK, words[0], "no" if won > 0 else "yes"))
        elif name not in gain and name not in loss and name in ("water", "tree_cover", "built"):
            asked.append((_GREW if rng.random() < 0.5 else _SHRANK, words[0], "no"))
    head, tail = asked[: 2 if changed else 1], asked[2 if changed else 1 :]
    chosen = head + [tail[i] for i in rng.permutation(len(tail))]
    return [
        Question(fill(str(rng.choice(forms)), what=what), answer, "change")
        for forms, what, answer in chosen[:count]
    ]


def _share(pair: SimulatedPair) -> float:
    """Share of the image that visibly changed."""
    return float((pair.changed & pair.observed).mean())


def _by_name(areas: dict[str, float]) -> dict[str, float]:
    """Areas by NAMES: buildings, roads and paved ground are one."""
    merged: dict[str, float] = {}
    for name, area in areas.items():
        key = "built" if name in ("building", "built_up", "road", "vehicle") else name
        merged[key] = merged.get(key, 0.0) + area
    return merged


def _extent(share: float, rng: np.random.Generator) -> str:
    if share < 0.03:
        return str(rng.choice(("a small area", "a small part", "a little land")))
    if share < 0.12:
        return str(rng.choice(("an area", "part of the land", "a patch of land")))
    return str(rng.choice(("a large area", "a large part", "much of the land")))


def _where(pair: SimulatedPair, rng: np.random.Generator) -> str:
    """The part of the image that most of the change lies in, sometimes left unsaid."""
    rows, columns = np.nonzero(pair.changed & pair.observed)
    height, width = pair.changed.shape
    y, x = rows.mean() / height, columns.mean() / width
    spread = max(rows.std() / height, columns.std() / width)
    if rng.random() < 0.3 or spread > 0.24:
        return ""
    down = "upper" if y < 0.38 else "lower" if y > 0.62 else ""
    side = "left" if x < 0.38 else "right" if x > 0.62 else ""
    if not down and not side:
        return str(rng.choice(("in the middle", "in the middle of the scene", "in the centre")))
    if down and side:
        return f"in the {down} {side} part"
    if down:
        return str(
            rng.choice((f"in the {down} part", "at the top" if y < 0.5 else "at the bottom"))
        )
    return str(rng.choice((f"on the {side}", f"on the {side} side")))
