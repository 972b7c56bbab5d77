"""What a request to search the archive looks for: the words left when the asking is taken out.

"Find images of harbours in our archive from 2020" looks for "harbours", taken in 2020.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from terralogue.agent.questions import Question
from terralogue.agent.words import word_set
from terralogue.datasets import names

# Words of asking, of the archive, and of pictures as such.
_ASKING: Final = word_set(
    "find search look looking searching show give get fetch retrieve pull bring dig rummage hunt "
    "query list see seek need want wanted would like love could can you please me us i we do does "
    "did have has had hold holds own got any some all every each there is are was were be been "
    "anything something what which where who whether if examples example cases case instance for "
    "the a an our my your ours this that these those it its from in on at by of to up out through "
    "among already ever else again also and or best top good great nice text illustration "
    "archive archives collection collections library libraries database databases holdings stock "
    "catalogue catalog index indexed stored files file records record store hits hit matches match "
    "reverse nearest neighbours neighbour shot shots photo photos photograph photographs picture "
    "pictures image images imagery scene scenes tile tiles cover covered covering acquisitions "
    "similar alike resembling same more most places place one ones lying about around keep kept "
    "keeps showing shows us "
    "satellite satellites pairs pair before after bitemporal comparison comparisons dates date "
    "other others otras outras altre how old alikes five ten several "
    "two later over time changes change changed visible taken acquired during between since"
)
# Kept where they stand between two words of the thing itself: "dam across a river".
_JOINING: Final = word_set(
    "of in on at to into from with by a the and across near beside along under two"
)
# A described change needs these.
_CHANGE: Final = word_set("more to into from by where was were and")
# Families in SENSORS that people name; a German "dem" is no elevation model.
_SATELLITES: Final = ("sentinel", "landsat", "planetscope", "naip", "modis", "enmap", "hls")
_YEAR: Final = re.compile(r"(?<!\d)(?:19|20)\d\d(?:-\d\d(?:-\d\d)?)?(?!\d)")


@dataclass(frozen=True)
class Sought:
    """What to look for.

    Attributes:
        phrase: in a few words; empty where the request names nothing.
        period: a year or date, or the first and the last one with a slash between; or None.
        sensor: what keys in SENSORS begin with, or None.
    """

    phrase: str
    period: str | None
    sensor: str | None

    @property
    def filters(self) -> dict[str, str]:
        """Arguments of a search."""
        return {
            key: value
            for key, value in (("period", self.period), ("sensor", self.sensor))
            if value is not None
        }


def sought(question: Question, *, change: bool = False) -> Sought:
    """Read a request; `change`: it is for pairs of images."""
    text = question.text
    years = _YEAR.findall(text)
    period = None if not years else years[0] if len(years) == 1 else f"{min(years)}/{max(years)}"
    hint = names.sensor_in((text,))
    sensor = hint.key if hint and hint.key.startswith(_SATELLITES) else None
    known = set(re.findall(r"[a-z]+", hint.text.casefold())) if hint and sensor else set()
    words = [word for word in question.english.split() if word not in known and not word.isdigit()]
    return Sought(_phrase(words, _ASKING - _CHANGE if change else _ASKING), period, sensor)


def _phrase(words: list[str], asking: frozenset[str]) -> str:
    telling = [i for i, word in enumerate(words) if word not in asking and word not in _JOINING]
    if not telling:
        return ""
    # Verbs of asking come first, and what follows them up to the thing itself is of no use.
    inside = words[telling[0] : telling[-1] + 1]
    kept = [w for w in inside if w not in asking or w in _JOINING]
    # Of several joining words in a row, what stood between them has gone.
    return " ".join(
        word
        for i, word in enumerate(kept)
        if word not in _JOINING or i + 1 == len(kept) or kept[i + 1] not in _JOINING
    )


def bounds(region: dict[str, Any]) -> list[float] | None:
    """West, south, east, north of a GeoJSON region; None where it has no position."""
    points = _positions(region)
    if not points:
        return None
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    return [min(xs), min(ys), max(xs), max(ys)]


def _positions(value: Any) -> list[tuple[float, float]]:
    if isinstance(value, dict):
        parts = [value[key] for key in ("coordinates", "geometry", "features") if key in value]
        return [point for part in parts for point in _positions(part)]
    if isinstance(value, list) and len(value) >= 2 and isinstance(value[0], int | float):
        return [(float(value[0]), float(value[1]))]
    return [p for part in value for p in _positions(part)] if isinstance(value, list) else []
