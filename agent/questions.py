"""A question, read: its words in rough English, the targets it names, its turns of phrase."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

from terralogue.agent.lexicon import COUNTABLE, ENGLISH_NOUN, Mention, mentions, nouns, trade_words
from terralogue.agent.words import HERE, fold, gist, language, spell

EXAMPLES: Final = HERE / "examples.jsonl"


@cache
def cue_patterns() -> Mapping[str, re.Pattern[str]]:
    """Turns of phrase that tell what is wanted, as patterns on the English words."""
    raw = json.loads((HERE / "cues.json").read_text(encoding="utf-8"))
    return {name: re.compile(rf"\b({'|'.join(parts)})\b") for name, parts in raw.items()}


@dataclass(frozen=True)
class Question:
    """A question, read: its language, its words in (roughly) English, and the targets it names."""

    text: str
    language: str
    tokens: tuple[str, ...]
    mentions: tuple[Mention, ...]

    @cached_property
    def english(self) -> str:
        """The words in English, in one string."""
        return " ".join(self.tokens)

    @cached_property
    def text_tokens(self) -> tuple[str, ...]:
        """The folded words as typed."""
        return tuple(fold(self.text).split())

    @cached_property
    def shape(self) -> str:
        """The same with every target replaced by a plain word, so that only the asking remains."""
        out = list(self.tokens)
        for m in reversed(self.mentions):
            out[m.start : m.stop] = ["things" if m.target in COUNTABLE else "stuff"]
        return " ".join(out)

    @cached_property
    def cues(self) -> frozenset[str]:
        """Names of the turns of phrase that occur."""
        return frozenset(n for n, p in cue_patterns().items() if p.search(self.english))


@cache
def known_words() -> frozenset[str]:
    """Correctly spelled English words of the trade: those of the lexicon and of the examples."""
    rows = load_examples()
    plain = (row["query"] for row in rows if "typo" not in row and "lang" not in row)
    ours = (fold(query).split() for query in plain)
    return trade_words() | {w for words in ours for w in words if w.isascii()}


@cache
def load_examples() -> tuple[Mapping[str, str], ...]:
    """The labelled examples: query, act, and typo where the slips are meant."""
    lines = EXAMPLES.read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines if line)


def read(text: str) -> Question:
    """Read a question in any of the six languages."""
    folded = fold(text).split()
    name = language(folded, nouns())
    if name == "en":
        tokens = spell(text, known_words())
        return Question(text, name, tuple(tokens), tuple(mentions(tokens)))
    tokens = gist(folded, name, nouns()[name], ENGLISH_NOUN)
    # Targets are read in the original: the English noun for each is found at its place in the gist.
    in_gist = mentions(tokens)
    original = mentions(folded, name)
    placed = []
    for m in original:
        noun = fold(ENGLISH_NOUN[m.target])
        place = next((g for g in in_gist if " ".join(tokens[g.start : g.stop]) == noun), None)
        start, stop = (place.start, place.stop) if place else (0, 0)
        placed.append(Mention(m.target, m.score, start, stop))
    return Question(text, name, tuple(tokens), tuple(placed))
