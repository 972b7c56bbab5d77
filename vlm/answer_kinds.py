"""Whether an answer is of the kind that a question asks for.

A small model says "forest" when it is asked for the date of a forest, and "yes" when it is asked
which crop grows on a field, and is sure of it: its confidence was calibrated on questions of its
training, which asks no such thing. What a question asks for shows in its first words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Final

Answers = Sequence[tuple[str, float]]


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_LEAD: Final = r"^(?:(?:and|so|but|ok|well|please|then|now|hi|hello|tell me|say|you know)\b,? )*"
_ASKS: Final = r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|any)"
_UNTAUGHT: Final = re.compile(
    rf"{_LEAD}(?:when|why|who|whose|whom|how(?! (?:many|much|big|large|long|wide|high|tall|far"
    r"|dense\w*|crowded|green|dry|wet|close|straight|clear|cloudy|built)\b)|(?:in |on )?(?:what|"
    r"which) (?:year|month|day|date|time|season|country|name|street|brand|team|company))\b"
)
_NUMBER: Final = re.compile(
    rf"{_LEAD}(?:how (?:many|much|big|large|long|wide|high|tall|far)\b|(?:what is )?(?:the )?"
    r"(?:number|amount|count|area|size|share|percentage) of\b|count\b)"
)
_COLOUR: Final = re.compile(rf"{_LEAD}(?:what|which) colou?rs?\b")
_PLACE: Final = re.compile(
    rf"{_LEAD}(?:where|(?:in |on |at )?(?:what|which) (?:side|part|corner|direction|place)\b|what "
    r"is the (?:location|position) of)\b"
)
_CLASS: Final = re.compile(rf"{_LEAD}(?:what|which)\b")
_YES_NO: Final = re.compile(rf"{_LEAD}{_ASKS}\b")
_WHICH_OF: Final = re.compile(r"(\w[\w ]*?),? or (?:an? |the |more )?(\w+)")
_EITHER: Final = re.compile(rf"{_LEAD}(?:is|are|was|were) there (?:an?|any|some)\b")

_DIGIT: Final = re.compile(r"\d")
_NUMBERS: Final = _set(
    "no none nothing zero one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy "
    "eighty ninety hundred dozen dozens many few several half all"
)
_COLOURS: Final = _set(
    "red orange yellow green blue purple pink brown black white gray grey beige dark bright light "
    "colorful colourful silver cyan turquoise"
)
_PLACES: Final = _set(
    "left right up upper top down lower bottom center centre middle corner corners everywhere "
    "nowhere diagonal edge side sides north south east west along next near beside between around "
    "behind road inside outside across whole surrounding front back above below"
)
_STILL: Final = r"(?: (?:still|already|also|maybe))?"
_ONE: Final = r"(?: (?:an?|any|some|one|more|many))"
_THING: Final = re.compile(
    rf"\b(?:(?:is|are|was|were) there{_STILL}{_ONE}*"
    rf"|(?:(?:is|are|was|were) (?:this|it)|see|spot|shows?|contains?){_STILL}{_ONE}+)"
    r" (?P<thing>[a-z -]+)"
)
_PRESENT: Final = re.compile(
    r"\b(?:is|are) (?:an?|any|some) (?P<thing>[a-z -]+?) (?:present|visible|here|to be seen)\b"
)
_AFTER_THING: Final = re.compile(
    r"\b(?:in|on|at|of|by|to|near|next|with|for|from|or|and|that|which|who|left|here|there|visible"
    r"|present|along|inside|within|around|between|behind|beside|across|through|running|"
    r"where|right|still|today|now|please|anywhere|somewhere|standing|close|than)\b"
)
_SIZE: Final = re.compile(
    r"\b(?:bigger|larger|smaller|wider|narrower|longer|shorter|higher|lower|greener|drier|more|"
    r"less|fewer|gr[eo]w\w*|shr[aiu]nk\w*|expand\w*|increas\w*|decreas\w*|los[et]|gain\w*|"
    r"disappear\w*|retreat\w*|advanc\w*|spread\w*|doubled?)\b"
)
_SAME: Final = dict.fromkeys(("harbour", "harbours", "harbors", "port", "ports"), "harbor")
_BARE: Final = frozenset({"yes", "no"})
_NO_PART: Final = _set("the a an it is this that or more than there are")

_CHANGE: Final = _set(
    "change changes changed changing new newly appear appears appeared disappear disappears "
    "disappeared built constructed added removed demolished destroyed replaced become becomes "
    "became turned gone more fewer less larger smaller bigger grown grew expanded shrunk shrank "
    "increased decreased cleared cut felled burned burnt flooded dried developed before after "
    "same difference different remains remain unchanged nothing no while lost "
    "gained harvested deforestation deforested"
)


def fitting(question: str, answers: Answers) -> list[tuple[str, float]]:
    """Those answers that are of the kind that a question asks for, in their order.

    Args:
        question: in English.
        answers: texts and confidences.
    """
    fits = _wanted(" ".join(question.casefold().split()).rstrip("?!. "))
    return [pair for pair in answers if fits(_words(pair[0]))]


def tells_change(caption: str) -> bool:
    """Whether a description of several dates says what became of the place, not just what it is."""
    return bool(_words(caption) & _CHANGE)


def thing_asked(question: str) -> tuple[str, ...]:
    """The words of the thing whose presence a question in English is about; () of another one."""
    text = " ".join(question.casefold().split()).rstrip("?!. ")
    found = _THING.search(text) or _PRESENT.search(text)
    if found is None:
        return ()
    words = tuple(re.findall(r"[a-z]+", _AFTER_THING.split(found["thing"])[0]))
    return () if words[:1] in (("anything",), ("something",)) else words


def unknown_thing(question: str, words: Collection[str]) -> str:
    """The thing whose presence is asked about where a model has no word for it; "" else.

    Args:
        question: in English.
        words: that the model knows.
    """
    named = thing_asked(question)
    return " ".join(named) if named and not _forms(named[-1]) & set(words) else ""


def is_named(things: Sequence[str], place: str) -> bool:
    """Whether the name of a kind of place says that a thing is there: a harbour in "port"."""
    asked, said = ([_SAME.get(w, w) for w in words] for words in (things, _words(place)))
    wanted = [_forms(word) for word in asked]
    held = [bool(forms & set(said)) for forms in wanted]
    named = [any(word in forms for forms in wanted) for word in said]
    return bool(asked and said) and (all(held) or all(named))


def _forms(word: str) -> frozenset[str]:
    """Singular and plural."""
    forms = {word, f"{word}s", f"{word}es", word.removesuffix("s"), word.removesuffix("es")}
    return frozenset(forms | ({f"{word[:-3]}y"} if word.endswith("ies") else set()))


def asks_growth(question: str) -> bool:
    """Whether a question about several dates is about sizes or amounts, which are measured."""
    return _SIZE.search(question.casefold()) is not None


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+|\d+", text.casefold()))


def _wanted(question: str) -> Callable[[frozenset[str]], bool]:
    """What the words of an answer to a question have to be like."""
    if _UNTAUGHT.search(question):
        return lambda words: False
    if _NUMBER.search(question):
        return lambda words: bool(words & _NUMBERS or any(_DIGIT.match(word) for word in words))
    if _COLOUR.search(question):
        return lambda words: bool(words & _COLOURS)
    if _PLACE.search(question):
        return lambda words: bool(words & _PLACES)
    named = _named(question)
    if named:
        return lambda words: bool(words & named)
    if _CLASS.search(question):
        return _names_something
    if _YES_NO.search(question) and " or " not in question:
        return lambda words: bool(words & _BARE)
    return lambda words: True


def _names_something(words: frozenset[str]) -> bool:
    """Whether an answer is more than yes, no, a place or a bare number."""
    bare = all(_DIGIT.match(word) for word in words)
    return not (words & _BARE or words <= _PLACES | {"and"} or bare)


def _named(question: str) -> frozenset[str]:
    """The things that a question lets choose between, such as "rural" and "urban"; or none."""
    if " or " not in question or _EITHER.search(question):
        return frozenset()
    return frozenset(w for part in _WHICH_OF.findall(question) for w in " ".join(part).split()) - (
        _NO_PART
    )
