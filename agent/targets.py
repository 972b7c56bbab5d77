"""Targets for words that the lexicon does not list, by nearness of meaning: "bungalow" → building.

Each target is known by its English words in the lexicon; a new word takes the target whose words
are nearest, if they are near enough and clearly nearer than those of any other target.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terralogue.agent.acts import stored, unpacked
from terralogue.agent.lexicon import ENGLISH_NOUN, area_unit, index_name, target_words
from terralogue.agent.words import ENGLISH, word_set
from terralogue.vlm.minilm import encode

# Chosen on the lexicon itself: with each word left out in turn, two thirds pass both limits
# and 95 % of those are right.
NEAR: Final = 0.55
CLEAR: Final = 0.06
NEIGHBOURS: Final = 3
PER_TARGET: Final = 40
_PLAIN: Final = word_set(
    "hectares hectare acres percent percentage share area size extent total outline exactly "
    "mark where mask segment measure count number box boxes part whole left right top "
    "bottom north south east west side corner centre amount half third quarter figure exact "
    "now still today long wide far see look need want know please thing things stuff one "
    "ones them it they who will got going each every per detect locate calculate compute "
    "estimate determine value values region site plot place spot ground land surface cover "
    "covered coverage show highlight trace delineate storm storms gale gales hurricane cyclone "
    "tornado typhoon wind winds weather hail quake earthquake drought heatwave"
)


class Near(NamedTuple):
    """A target near in meaning: its score (mean cosine) and how clearly it leads."""

    target: str
    score: float
    lead: float
    word: str


def known_texts() -> list[str]:
    """The words by which targets are known, target after target."""
    return [word for target in ENGLISH_NOUN for word in target_words(target)[:PER_TARGET]]


@cache
def _known() -> tuple[NDArray[np.str_], NDArray[np.float32]]:
    targets = [t for t in ENGLISH_NOUN for _ in target_words(t)[:PER_TARGET]]
    arrays = stored()
    known = encode(known_texts()) if arrays is None else unpacked(arrays, "targets")
    return np.array(targets), known


@cache
def related(target: str) -> tuple[str, ...]:
    """The other targets, those whose words lie nearest to the target's own words first."""
    rows, known = _known()
    cosines = known[rows == target] @ known.T
    means = {
        name: float(np.sort(cosines[:, rows == name], axis=None)[-NEIGHBOURS:].mean())
        for name in ENGLISH_NOUN
        if name != target
    }
    return tuple(sorted(means, key=lambda name: -means[name]))


def nearest(tokens: Sequence[str], wanted: frozenset[str] | None = None) -> Near | None:
    """The target nearest to the words that carry meaning, or None where none is clearly near.

    Args:
        tokens: folded English words.
        wanted: only these targets, where the question asks to count.
    """
    words = [t for t in tokens if len(t) > 2 and t.isalpha() and t not in ENGLISH | _PLAIN]
    words = [w for w in words if area_unit([w]) is None and index_name([w]) is None]
    if not words:
        return None
    rows, known = _known()
    names = [t for t in ENGLISH_NOUN if wanted is None or t in wanted]
    best: Near | None = None
    for word, cosines in zip(words, encode(words) @ known.T, strict=True):
        means = [float(np.sort(cosines[rows == name])[-NEIGHBOURS:].mean()) for name in names]
        order = np.argsort(means)[::-1]
        first, second = means[order[0]], means[order[1]]
        if best is None or first > best.score:
            best = Near(names[order[0]], first, first - second, word)
    if best is None or best.score < NEAR or best.lead < CLEAR:
        return None
    return best
