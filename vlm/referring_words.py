"""What an expression refers to, taken apart: "the two largest white roofs left of the river".

    parse("the largest ship in the upper left of the image")
    # Expression(noun="ship", single=True, place="upper left", order="largest")

The noun goes to the decoder; number, place, order, colour and relation are decided on the mask, so
that they mean what they say wherever in a large picture things are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from terralogue.vlm.text import tidy

_ASKING: Final = re.compile(
    r"^(?:(?:please|can you|could you|i want to see|i am looking for|show me|show|find|locate|"
    r"mark|outline|highlight|segment|detect|ground|box|give me|point (?:at|to|out)|"
    r"where (?:is|are)|what is|which is|draw|the location of|there is|there are)\s+)+"
)
_WHOLE: Final = re.compile(
    r"\s*(?:\b(?:of|in|on|within|from) (?:the|this) "
    r"(?:image|picture|scene|photo|photograph|tile|view|map)\b|\bplease\b|\bhere\b)"
)
_ARTICLE: Final = re.compile(
    r"^(?:the|a|an|all|any|every|each|some|both|this|that|these|those|of)\b\s*"
)
_NUMBERS: Final = {
    word: n for n, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], 1)
}  # fmt: skip
_ORDINALS: Final = {
    word: n for n, word in enumerate(["first", "second", "third", "fourth", "fifth", "sixth"], 1)
}
_SIDES: Final = {
    "left": "left", "right": "right", "top": "upper", "upper": "upper", "bottom": "lower",
    "lower": "lower", "north": "upper", "south": "lower", "east": "right", "west": "left",
    "northern": "upper", "southern": "lower", "eastern": "right", "western": "left",
    "center": "middle", "centre": "middle", "central": "middle", "middle": "middle",
    "northwest": "upper left", "northeast": "upper right", "southwest": "lower left",
    "southeast": "lower right", "northwestern": "upper left", "northeastern": "upper right",
    "southwestern": "lower left", "southeastern": "lower right",
}  # fmt: skip
_ORDERS: Final = {
    "largest": "largest", "biggest": "largest", "greatest": "largest", "smallest": "smallest",
    "tiniest": "smallest", "leftmost": "leftmost", "rightmost": "rightmost",
    "topmost": "topmost", "uppermost": "topmost", "bottommost": "bottommost",
    "lowest": "bottommost", "northernmost": "topmost", "southernmost": "bottommost",
    "westernmost": "leftmost", "easternmost": "rightmost", "brightest": "brightest",
    "darkest": "darkest",
}  # fmt: skip
_SIZES: Final = {
    "large": "large", "big": "large", "huge": "large", "small": "small", "little": "small",
    "tiny": "small",
}  # fmt: skip
COLOURS: Final = {
    "white": "white", "black": "black", "dark": "dark", "bright": "bright", "red": "red",
    "reddish": "red", "orange": "orange", "yellow": "yellow", "green": "green", "blue": "blue",
    "bluish": "blue", "brown": "brown", "gray": "gray", "grey": "gray",
}  # fmt: skip
# Ways to say a relation; those that begin alike stand before the shorter one.
_RELATIONS: Final = {
    "left": ("to the left of", "on the left side of", "on the left of", "at the left of",
             "to the west of", "left of", "west of"),
    "right": ("to the right of", "on the right side of", "on the right of", "at the right of",
              "to the east of", "right of", "east of"),
    "above": ("to the north of", "on top side of", "above", "north of"),
    "below": ("to the south of", "below", "beneath", "south of", "under"),
    "near": ("next to", "close to", "adjacent to", "in front of", "on the edge of",
             "on the bank of", "on the banks of", "on the shore of", "at the edge of", "nearest to",
             "closest to", "along", "alongside", "beside", "besides", "near", "around", "by",
             "at", "bordering", "over", "across", "crossing"),
    "far": ("far away from", "far from", "away from"),
    "in": ("in the middle of", "surrounded by", "in", "inside", "within", "on", "amid", "among",
           "between"),
}  # fmt: skip
_BY_PHRASE: Final = {
    phrase: relation for relation, phrases in _RELATIONS.items() for phrase in phrases
}
_RELATION: Final = re.compile(
    r"\s(?:(?:that|which) (?:is|are) |lying |located |situated |standing |parked |moored )?("
    + "|".join(sorted(map(re.escape, _BY_PHRASE), key=len, reverse=True))
    + r")\s(?:the |a |an )?"
)
_SIDE: Final = "|".join(sorted(_SIDES, key=len, reverse=True))
_PLACE: Final = re.compile(
    rf"\s*\b(?:in|on|at|to|near|towards?|of)\s+(?:the\s+)?((?:{_SIDE})(?:[\s-]+(?:{_SIDE}))?)"
    r"(?:[\s-]*(?:most))?(?:\s+(?:hand\s+)?(?:corner|side|part|half|edge|area|quarter|region))?\s*$"
)
_FROM: Final = re.compile(r"\s+from (?:the )?(left|right|top|bottom|west|east|north|south)\s*$")
_MOST: Final = re.compile(rf"\b({_SIDE})[\s-]most\b")
# Singular words that end in s.
_SINGULAR: Final = re.compile(r"(?:ss|us|is|gas|grass)$")


@dataclass(frozen=True)
class Expression:
    """An expression taken apart.

    Attributes:
        noun: what it is, for the decoder.
        single: whether it names one thing.
        limit: how many are meant at most; None for all.
        place: "upper", "lower", "left", "right", "middle", or two of them; "" for anywhere.
        order: by which one is chosen: "largest", "leftmost", "brightest", …; "".
        rank: place in that order, from 1.
        size: "large", "small" or "".
        colour: value in COLOURS, or "".
        relation: key of _RELATIONS, to `anchor`; "" for none.
        anchor: what the relation is to.
    """

    noun: str
    single: bool
    limit: int | None = None
    place: str = ""
    order: str = ""
    rank: int = 1
    size: str = ""
    colour: str = ""
    relation: str = ""
    anchor: Expression | None = None


def parse(text: str) -> Expression:
    """Take an expression apart; what is not understood stays with the noun."""
    said = _WHOLE.sub("", _ASKING.sub("", re.sub(r"[?!,;:]", " ", tidy(text)).strip())).strip()
    said = _MOST.sub(lambda found: _most(found[1]), " ".join(said.split()))
    sides: list[str] = []
    order = ""
    while (found := _PLACE.search(said) or _FROM.search(said)) is not None and found.start() > 0:
        if found.re is _FROM:
            order = _most(found[1])
        else:
            sides = [_SIDES[word] for word in re.split(r"[\s-]+", found[1])] + sides
        said = said[: found.start()]
    relation = _RELATION.search(said)
    if relation is None:
        return _phrase(said, sides, order)
    head, anchor = said[: relation.start()], said[relation.end() :]
    return _phrase(head, sides, order, _BY_PHRASE[relation[1]], parse(f"the {anchor}"))


def seen_only(said: Expression) -> str:
    """The first word of an expression that only visible light can decide; "" without one."""
    if said.colour:
        return said.colour
    if said.order in ("brightest", "darkest"):
        return said.order
    return "" if said.anchor is None else seen_only(said.anchor)


def _phrase(
    said: str, sides: list[str], order: str, relation: str = "", anchor: Expression | None = None
) -> Expression:
    """Read number, place, order, size and colour off the words before a noun."""
    every = bool(re.match(r"(?:all|every|each|both|any|some)\b", said))
    named = bool(re.match(r"(?:the|a|an|this|that)\b", said))
    limit = None
    size = colour = ""
    rank = 1
    words = said.split()
    kept: list[str] = []
    for i, word in enumerate(words):
        bare = word.strip("-")
        last = i == len(words) - 1
        parts = bare.split("-")
        if not kept and _ARTICLE.match(f"{bare} "):
            continue
        if last:
            kept.append(bare)
        elif bare in _NUMBERS or bare.isdigit():
            limit = _NUMBERS.get(bare) or int(bare)
        elif bare in _ORDINALS:
            rank = _ORDINALS[bare]
        elif bare in _ORDERS:
            order = _ORDERS[bare]
        elif all(each in _SIDES for each in parts):
            sides += [_SIDES[each] for each in parts]
        elif bare in _SIZES:
            size = _SIZES[bare]
        elif bare in COLOURS:
            colour = COLOURS[bare]
        elif bare not in ("colored", "coloured", "most"):
            kept.append(bare)
    noun = " ".join(kept)
    many = every or (noun.endswith("s") and _SINGULAR.search(noun) is None)
    # A bare "airplane" asks for every one.
    single = not many and limit in (None, 1) and bool(named or order or sides)
    if many and limit is None:
        # "The largest ships" are a few, of which nobody knows how many; all are shown.
        order = ""
    return Expression(
        noun, single, None if single else limit, " ".join(dict.fromkeys(sides)), order, rank,
        size, colour, relation, anchor,
    )  # fmt: skip


def _most(side: str) -> str:
    """The one word for a side and "most"."""
    ends = {"left": "leftmost", "right": "rightmost", "upper": "topmost", "lower": "bottommost"}
    return ends.get(_SIDES[side], side)
