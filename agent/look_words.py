"""What a question wants of an image-reading model, by its words: describe, point, count, choose."""

from __future__ import annotations

import re
from typing import Final

from terralogue.agent.questions import Question
from terralogue.agent.words import fold, word_set
from terralogue.vlm.vlm import Task

_IT: Final = r"(this|it|that|(this|the|my) (image|picture|scene|photo|tile|view|map|frame))"
_DESCRIBE: Final = re.compile(
    r"\b(describe|description|caption|summari[sz]e|summary|overview|in (your own )?words"
    rf"|what (do|does|can|could) ({_IT}|you|we|i|one)( \w+)? (show|see|depict|look like|make out)"
    rf"|what (is|are) (\w+ )?(in|on) {_IT}( visible| to see| here)?$|what can be seen"
    r"|what is (visible|shown|to (be )?see\w*|there)"
    rf"|what is (this|that|it|here)$|tell me (something |more )?about {_IT}"
    r"|what have (we|you|i) (got )?here)\b"
)
_POINT_AT: Final = (
    r"(roughly |exactly )?where(abouts)? (exactly |roughly )?(is|are|(can|could|would) (i|we|you) "
    r"(find|see))",
    r"locate", r"point (at|to|out)", r"show me( where( is| are)?)?", r"find( me)?", r"highlight",
    r"detect", r"(put|draw) (a |one )?box(es)? (a?round|on|over)", r"(mark|frame|box)",
)  # fmt: skip
_WHERE: Final = re.compile(
    rf"^((and|so|ok|please|can you|could you|tell me|say) )*({'|'.join(_POINT_AT)})\b"
)
_NO_PLACE: Final = re.compile(
    r"\b(taken|photographed|shot|acquired|we|i am|on earth|country|what|how|why|who)\b"
)
_ARTICLES: Final = word_set("the a an all any every each most of me some is are located")
_TAIL: Final = re.compile(
    r" ((in|on) (this|the) (image|picture|scene|photo)|here|please|is|are|located)$"
)
# A benchmark's way to say "number of"; of what cannot be counted it is a measure.
_AMOUNT: Final = re.compile(r"\bamount of (\w+ ){0,2}\w+s\b")
_COUNTED: Final = re.compile(
    r"\b(how many|(number|amount|total|count) of|count|tally)( all| the| every| of the)* "
    r"(?P<things>\w+( \w+){0,3}?)"
    r"( (are|is|do|does|did|can|could|in|on|at|near|there|here|of|have|has|with|by|cross|lie|stand"
    r"|inside|within|that|which|between|next)\b.*| \w+ (the|there)\b.*)?$"
)
_CHANGE: Final = re.compile(
    r"\b(what|which|describe|write|list|summar\w+|caption|tell|explain)\b.*"
    r"\b(chang\w+|differ\w+|new|happened|gone)\b|^(any )?(changes|differences)\b"
)
_OPTION: Final = re.compile(r"[A-Z][.)]\s+(\S.*)")


def choices(text: str) -> tuple[str, tuple[str, ...]]:
    """A question of multiple choice and its options, which stand on lines such as "A. yes"."""
    lines = text.splitlines()
    found = [_OPTION.fullmatch(line.strip()) for line in lines]
    options = tuple(match[1] for match in found if match is not None)
    if len(options) < 2:
        return text, ()
    stem = [line for line, match in zip(lines, found, strict=True) if match is None]
    return "\n".join(stem).strip(), options


def task_of(question: Question, *, several: bool) -> Task:
    """What is wanted of the model."""
    words = question.english
    if several:
        return "caption" if _CHANGE.search(words) or _DESCRIBE.search(words) else "qa"
    if phrase_of(question):
        return "grounding"
    # "What is in the harbour?" names a thing, and is a question about it.
    if _DESCRIBE.search(words) and not question.mentions:
        return "caption"
    return "qa"


def counted(question: Question) -> str:
    """The things that a number is asked of, "ships" of "how many ships are there"; "" for none."""
    if not counts(question):
        return ""
    words = fold(question.text) if question.language == "en" else question.english
    found = _COUNTED.search(words)
    return found["things"] if found else "things"


def counts(question: Question) -> bool:
    """Whether a number of things is asked for."""
    how_many = "how_many" in question.cues or _AMOUNT.search(question.english) is not None
    return how_many and "unit" not in question.cues


def phrase_of(question: Question) -> str:
    """What is to be pointed at: "the white roof by the river" of "where is …?"; "" for nothing."""
    # As typed where that is English: repairing the spelling must not change what is looked for.
    words = fold(question.text) if question.language == "en" else question.english
    found = _WHERE.match(words)
    if found is None or _NO_PLACE.search(words) or words.endswith((" to", " from")):
        return ""
    rest = _TAIL.sub("", words[found.end() :].strip()).split()
    while rest and rest[0] in _ARTICLES:
        rest = rest[1:]
    return " ".join(rest)
