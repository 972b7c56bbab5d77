"""From free words to a target, an index or a unit: "puddles" is water, "vigour" is NDVI.

The words live in `lexicon.json`, one list per target and language.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from terralogue.agent.words import HERE, Found, Phrases, fold, word_set

COUNTABLE: Final = frozenset(
    {"building", "tree", "ship", "aircraft", "vehicle", "storage_tank", "solar_panel"}
)
# Further things that detectors know, by the first word of what people call them.
THING_WORDS: Final = {
    "bridge": "bridge", "bridges": "bridge", "harbor": "harbor", "harbors": "harbor",
    "harbour": "harbor", "harbours": "harbor", "overpass": "overpass", "overpasses": "overpass",
    "flyovers": "overpass", "baseball": "baseball_diamond", "tennis": "tennis_court",
    "basketball": "basketball_court", "running": "ground_track_field",
    "athletics": "ground_track_field", "tracks": "ground_track_field", "courts": "tennis_court",
}  # fmt: skip
ENGLISH_NOUN: Final = {
    "water": "water", "flooded_area": "flooded", "vegetation": "vegetation",
    "tree_cover": "forest", "cropland": "crops", "grassland": "grass", "bare_soil": "bare soil",
    "built_up": "urban", "building": "houses", "road": "roads", "burned_area": "burned",
    "snow_ice": "snow", "cloud": "cloud", "wetland": "wetland", "tree": "trees", "ship": "ships",
    "aircraft": "aircraft", "vehicle": "cars", "storage_tank": "storage tanks",
    "solar_panel": "solar panels",
}  # fmt: skip
PLAIN_NOUN: Final = {"snow_ice": "snow and ice", "built_up": "built-up area"}
TARGETS: Final = (*ENGLISH_NOUN, "any")
# Words that name an event as well as a place: with a plainer noun beside them, that noun is meant.
EVENTS: Final = frozenset({"burned_area", "flooded_area"})
# Words that often only say where: "houses near the river", "cars on the road".
_SETTINGS: Final = frozenset({"road", "water", "built_up", "bare_soil", "building"})


# "How many football pitches of forest": a measure and no land cover.
_AS_UNITS: Final = frozenset({("pitches", "of"), ("pitch", "of")})


class Mention(NamedTuple):
    """A target that the words name, how sure that is (0 to 1), and the tokens that name it."""

    target: str
    score: float
    start: int
    stop: int


@dataclass(frozen=True)
class _Lexicon:
    words: dict[str, dict[str, list[str]]]
    targets: dict[str, Phrases]
    indices: Phrases
    units: Phrases


@cache
def _lexicon() -> _Lexicon:
    raw = json.loads((HERE / "lexicon.json").read_text(encoding="utf-8"))
    languages = ("en", "de", "fr", "es", "pt", "it")
    return _Lexicon(
        raw["targets"],
        {
            name: Phrases(
                (phrase, target)
                for target, words in raw["targets"].items()
                for phrase in words.get(name, [])
            )
            for name in languages
        },
        Phrases((p, index) for index, words in raw["indices"].items() for p in words),
        Phrases((p, unit) for unit, words in raw["units"].items() for p in words),
    )


def plain_noun(target: str) -> str:
    """A target in plain words, such as "snow and ice"."""
    return PLAIN_NOUN.get(target, target.replace("_", " "))


def nouns() -> dict[str, Phrases]:
    """Words for targets by language."""
    return _lexicon().targets


def target_words(target: str) -> list[str]:
    """English words and phrases for a target, the most typical first."""
    return [word.rstrip("*") for word in _lexicon().words[target]["en"]]


@cache
def trade_words() -> frozenset[str]:
    """Every English word of the lexicon, with plurals."""
    lexicon = _lexicon()
    tables = (lexicon.targets["en"], lexicon.indices, lexicon.units)
    words = {w for table in tables for w in table.words() if w.isascii()}
    return frozenset(words | {f"{w}s" for w in words if w.isalpha() and not w.endswith("s")})


def mentions(tokens: Sequence[str], language: str = "en") -> list[Mention]:
    """Targets that folded tokens name, in the order of the words.

    Index names ("vegetation index", "snow index") and units are not taken for targets.
    """
    lexicon = _lexicon()
    taken = {
        i
        for f in (*lexicon.indices.find(tokens), *lexicon.units.find(tokens))
        if f.stop - f.start > 1 or tokens[f.start] not in lexicon.targets[language].words()
        for i in range(f.start, f.stop)
    }
    measures = {i for i, pair in enumerate(itertools.pairwise(tokens)) if pair in _AS_UNITS}
    found = [
        f
        for f in lexicon.targets[language].find(tokens)
        if f.start not in taken and f.stop - 1 not in measures
    ]
    return [Mention(f.label, _score(f, tokens, language), f.start, f.stop) for f in found]


_BEFORE_SETTING: Final = word_set(
    "in at on near by beside along from of inside within around next to over off behind"
)


def _score(found: Found, tokens: Sequence[str], language: str) -> float:
    """1 for the thing itself, less for a word that more likely says where it is."""
    near = tokens[max(0, found.start - 3) : found.start]
    before = [t for t in near if t not in ("the", "a", "my")]
    said_where = bool(before) and before[-1] in _BEFORE_SETTING and language == "en"
    if said_where and before[-1] == "of":
        # "hectares of forest" is the thing; "the edge of the forest" is mostly too.
        return 0.9
    return 0.5 if said_where else 1.0


def best(found: Sequence[Mention], wanted: frozenset[str] | None = None) -> Mention | None:
    """The target most likely meant, or None where the words name none.

    Args:
        found: from `mentions`.
        wanted: only these targets, where the question asks to count.
    """
    pool = [m for m in found if wanted is None or m.target in wanted]
    if not pool:
        return None

    def weight(m: Mention) -> tuple[float, int]:
        score = m.score
        others = {o.target for o in pool} - {m.target}
        if m.target in EVENTS and others - EVENTS:
            score -= 0.1
        if m.target in _SETTINGS and m.score < 1 and others:
            score -= 0.2
        if m.target == "vegetation" and others:
            score -= 0.15
        return (score, -m.start)

    return max(pool, key=weight)


def index_name(tokens: Sequence[str]) -> str | None:
    """The spectral index that folded tokens name ("burn ratio" is NBR), or None."""
    found = _lexicon().indices.find(tokens)
    return found[0].label if found else None


def index_is_explicit(tokens: Sequence[str]) -> bool:
    """Whether an index is named by its own name rather than by what it tells."""
    found = _lexicon().indices.find(tokens)
    return any(
        fold(f.label) in tokens[f.start : f.stop]
        or tokens[f.stop - 1] in ("index", "ratio", "indice", "severity")
        for f in found
    )


def area_unit(tokens: Sequence[str]) -> str | None:
    """The area unit that folded tokens ask for (ha, km2, acre or m2), or None."""
    found = _lexicon().units.find(tokens)
    return found[-1].label if found else None
