"""PERTURBATIONS: questions as people type them, with the same answer.

    from terralogue.datasets.text_perturbation import parse_perturbation, perturb
    perturb("Is there a road in the image?", parse_perturbation("omissions:0.5"), seed=3)

Three kinds, ours: slips of the keyboard, casual wording, words left out. What an answer hangs on is
never lost: numbers, negations, comparisons, colours, directions and every noun stay; only words
that frame a question may go.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from terralogue.datasets.errors import InputError

Place = TypeVar("Place")

_LITTLE = "a an the this that is are there any some of do does please"
_ASKING = (
    "it its was were be here in on to did you can could what which amount number picture image "
    "photo scene visible present shown seen see contain contains"
)
_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
    "hundred thousand million first second third half both all every"
)
_NEGATIONS = "no not none never nor neither without except only cannot"
_COMPARISONS = (
    "more most less least fewer fewest larger largest smaller smallest bigger biggest than equal "
    "same between above below before after increase increased decrease decreased"
)
_LOOKS = (
    "left right top bottom upper lower center centre north south east west red green blue white "
    "black yellow rural urban yes"
)
# "thre more roads" could be three more.
_NEAR_NUMBERS = "there these"
# Words that say nothing about the ground; only these may be left out or reworded.
_LEFT_OUT: Final = frozenset(_LITTLE.split())
_FRAME: Final = _LEFT_OUT | frozenset(_ASKING.split())
# Words that a slip would turn into another question.
_UNTOUCHED: Final = frozenset(
    f"{_NUMBERS} {_NEGATIONS} {_COMPARISONS} {_LOOKS} {_NEAR_NUMBERS}".split()
)
_WORD: Final = re.compile(r"[A-Za-z]+")
_TOKEN: Final = re.compile(r"[A-Za-z0-9][\w'.-]*[\w]|[A-Za-z0-9]")
_NEIGHBOURS: Final = {
    "a": "s", "b": "v", "c": "x", "d": "f", "e": "r", "f": "g", "g": "h", "h": "j", "i": "o",
    "j": "k", "k": "l", "l": "k", "m": "n", "n": "m", "o": "p", "p": "o", "q": "w", "r": "t",
    "s": "d", "t": "y", "u": "i", "v": "b", "w": "e", "x": "c", "y": "u", "z": "x",
}  # fmt: skip
# Letters that a word has to have for a slip; for two letters swapped; and for one left out, because
# "road" without "a" is another word.
_SHORTEST, _SWAPPED, _SHORTENED = 4, 6, 7
# What people write, by what data sets write; the first that fits a place is taken.
_CASUAL: Final = (
    (r"^what is the (?:number|amount) of\b", ("how many", "count of", "total number of")),
    (r"^how many\b", ("hey how many", "so how many", "tell me how many")),
    (r"^is there\b(?! (?:no|not)\b)", ("do you see", "can you spot", "is there like")),
    (r"^are there\b(?! (?:no|not)\b)", ("do you see", "can you spot", "are there like")),
    (r"^does this (?:picture|image) contain\b", ("do you see", "has it got", "is there")),
    (r"^what is\b", ("what's", "tell me what is", "so what is")),
    (r"^which\b", ("so which", "tell me which")),
    (r"^is it\b", ("would you say it's", "is it like")),
    (r"\b(?:in|on) (?:the|this) (?:image|picture|photo|scene)\b", ("here", "in this pic")),
    (r"\bare (?:there|present|visible)\s*(?=\?|$)", ("there are", "you can see")),
    (r"\?\s*$", ("", "??", " pls")),
)  # fmt: skip


@dataclass(frozen=True)
class Perturbation:
    """A kind of perturbation with its strength.

    Attributes:
        name: key in PERTURBATIONS.
        strength: share of the places that are changed, above 0 to 1; always at least one place.
    """

    name: str
    strength: float

    def __str__(self) -> str:
        """As `parse_perturbation` takes it."""
        return f"{self.name}:{self.strength:g}"


def parse_perturbation(text: str) -> Perturbation:
    """Read "typos:0.3".

    Raises:
        InputError: an unknown name, or a strength outside 0 to 1.
    """
    name, _, number = text.strip().partition(":")
    if name not in PERTURBATIONS:
        raise InputError(
            f"unknown perturbation {name!r}; the known ones are: {', '.join(PERTURBATIONS)}"
        )
    try:
        strength = float(number)
    except ValueError:
        strength = 0
    if not 0 < strength <= 1:
        raise InputError(f"{text!r} has no strength above 0 to 1; give one, such as {name}:0.3")
    return Perturbation(name, strength)


def perturb(question: str, perturbation: Perturbation, *, seed: int = 0) -> str:
    """A question as somebody might type it.

    Args:
        question: in English.
        perturbation: what, and how strong.
        seed: one for each question. The same seed changes the same places first.

    Returns:
        The changed question; unchanged where it has no place for such a change.
    """
    key = (seed, zlib.crc32(perturbation.name.encode()))
    rng = np.random.default_rng(key)
    return PERTURBATIONS[perturbation.name](question, perturbation.strength, rng)


def essentials(question: str) -> list[str]:
    """Words of a question, in lower case, without those that only frame it."""
    words = (found.casefold() for found in _TOKEN.findall(question))
    return [word for word in words if word not in _FRAME]


def typos(question: str, strength: float, rng: np.random.Generator) -> str:
    """One slip in some words: letters swapped, doubled, left out, or the key beside.

    Words under four letters, numbers, and words that an answer hangs on are typed right, and the
    first and last letters always are.
    """
    words = [m for m in _WORD.finditer(question) if _may_slip(question, m)]
    for match in reversed(_chosen(words, strength, rng)):
        slipped = _slip(match[0], rng)
        question = question[: match.start()] + slipped + question[match.end() :]
    return question


def colloquial(question: str, strength: float, rng: np.random.Generator) -> str:
    """Casual openings and endings in place of the wording of data sets, in lower case.

    A change that would lose an essential word is not made.
    """
    text = question.strip()
    fitting = [rule for rule in _CASUAL if re.search(rule[0], text, re.IGNORECASE)]
    for pattern, casual in _chosen(fitting, strength, rng):
        wording = casual[int(rng.integers(len(casual)))]
        changed = re.sub(pattern, wording, text, count=1, flags=re.IGNORECASE)
        if set(essentials(text)) <= set(essentials(changed)):
            text = changed
    return text if text == question.strip() else text[:1].lower() + text[1:]


def omissions(question: str, strength: float, rng: np.random.Generator) -> str:
    """Articles and other little words left out, as in a search box."""
    words = question.split()
    places = [
        i for i, word in enumerate(words) if word.casefold() in _LEFT_OUT and _is_little(word, i)
    ]
    gone = set(_chosen(places, strength, rng))
    return " ".join(word for i, word in enumerate(words) if i not in gone) or question


# ★ One line per kind.
PERTURBATIONS: Final[dict[str, Callable[[str, float, np.random.Generator], str]]] = {
    "typos": typos,
    "colloquial": colloquial,
    "omissions": omissions,
}


def _chosen(places: list[Place], strength: float, rng: np.random.Generator) -> list[Place]:
    """A share of the places, at least one, in their order."""
    order = rng.permutation(len(places))
    count = math.ceil(strength * len(places))
    return [places[i] for i in sorted(order[:count])]


def _is_little(word: str, place: int) -> bool:
    """Not the letter of an option: a capital within the question."""
    return place == 0 or word.islower()


def _may_slip(question: str, match: re.Match[str]) -> bool:
    word = match[0]
    beside = question[max(match.start() - 1, 0) : match.start()] + question[match.end() :][:1]
    whole = not any(c.isdigit() or c in "'_-" for c in beside)
    usual = word[1:].islower() and len(word) >= _SHORTEST
    return usual and whole and word.casefold() not in _UNTOUCHED


def _slip(word: str, rng: np.random.Generator) -> str:
    """A word with one slip, which is none of those that an answer hangs on."""
    inner = 1 + int(rng.integers(len(word) - 2))
    letter, rest = word[inner], word[inner + 1 :]
    slips = [
        word[:inner] + letter + word[inner:],
        word[:inner] + _NEIGHBOURS[letter] + rest,
    ]
    if len(word) >= _SHORTENED:
        slips.append(word[:inner] + rest)
    if len(word) >= _SWAPPED and len(rest) > 1 and rest[0] != letter:
        slips.append(word[:inner] + rest[0] + letter + rest[1:])
    slips = [slip for slip in slips if slip.casefold() not in _UNTOUCHED]
    return slips[int(rng.integers(len(slips)))]
