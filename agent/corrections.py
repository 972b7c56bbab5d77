"""Corrections such as "no, I meant the river, not the trees": what is said instead.

In English, German, French, Spanish, Portuguese and Italian; the buttons under an answer say
"I meant: …" and are read in the same way.
"""

from __future__ import annotations

import re
from typing import Final

MEANT: Final = "I meant: "
"""How a correction opens that is chosen rather than typed."""

_NO: Final = (
    r"no|nope|nah|sorry|oops|wait|actually|wrong(?: one| thing)?|not (?:it|that)|that'?s not it|"
    r"that is not it|nein|non|não|nao"
)
_MEANT: Final = (
    r"(?:what )?i (?:really |actually )?(?:meant?|wanted|was after|was asking (?:about|for)|"
    r"asked (?:about|for))|ich (?:meinte|meine|wollte)|je (?:voulais(?: dire)?|parlais de)|"
    r"(?:yo )?(?:quería(?: decir)?|queria(?: decir| dizer)?|me refería a)|"
    r"(?:io )?(?:intendevo|volevo(?: dire)?)|(?:eu )?(?:quis dizer|queria(?: dizer)?|me referia a)"
)
_BREAK: Final = r"[\s,.:;!-]+"
_OPENING: Final = re.compile(
    rf"\s*(?:(?P<no>{_NO}){_BREAK})*(?P<meant>(?:{_MEANT})\b[\s,:;]*)?(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_NEGATION: Final = r"not|nicht|kein\w*|pas|no|não|nao|non"
# "not the water: the snow" and "the river, not the trees".
_NOT_FIRST: Final = re.compile(rf"(?:{_NEGATION}) [^,:;]+[,:;]\s*(.+)", re.IGNORECASE)
_NOT_LAST: Final = re.compile(
    rf"(.+?)(?:,|;|\s-)?\s+(?:and |und |et |y |e )?(?:(?:{_NEGATION})\s|instead of|rather than|"
    r"statt|au lieu d|en vez de|invece d|em vez de).*",
    re.IGNORECASE,
)
# A longer text after a bare "no" is another wish rather than a correction.
_SHORT: Final = 6


def chosen(text: str) -> str:
    """The wish itself where a text opens as the buttons do; any other text as it is."""
    return text[len(MEANT) :] if text.startswith(MEANT) else text


def correction(text: str) -> str | None:
    """What a correction asks for instead; None where the text is none.

    Args:
        text: as typed, a turn that follows an answer.
    """
    found = _OPENING.fullmatch(text.strip())
    first = _NOT_FIRST.fullmatch(text.strip())
    if found is None or not (found["no"] or found["meant"] or first):
        return None
    # "No" opens a correction in one language and a negation in others.
    rest = first[1] if first and not found["meant"] else found["rest"]
    if last := _NOT_LAST.fullmatch(rest):
        rest = last[1]
    rest = rest.strip(" ,.:;!?")
    if not rest or (not found["meant"] and len(rest.split()) > _SHORT):
        return None
    return rest
