"""Answers brought to one form, so that "Eight.", "8" and "there are eight" can be compared.

    normalised("There are Eight, maybe")            # "there are 8 maybe"
    read_answer("Yes, there is a road.", "yes_no")  # "yes"
    read_answer("yes and no", "yes_no")             # None: that is no answer

Text is normalised as in the official VQA evaluation (github.com/GT-Vision-Lab/VQA, vqaEval.py:
lower case, no punctuation, no articles, number words as digits), with number words beyond ten. What
form a question asks for is told from the gold answers of its type. Counts and areas go into the
classes of RSVQA; see `vqa_buckets.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from string import ascii_uppercase
from typing import Final, Literal

from terralogue.datasets.vqa_buckets import bucket

Form = Literal["yes_no", "count", "area", "choice", "text"]

_UNITS: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL: Final = {
    **{word: i for i, word in enumerate(_UNITS.split())},
    **{word: 10 * i for i, word in enumerate(_TENS.split(), 2)},
    "none": 0,
}
_LARGE: Final = {"hundred": 100, "thousand": 1000}
_ARTICLES: Final = frozenset({"a", "an", "the"})
_BUCKET: Final = re.compile(r"between (\d+(?:m2)?) and (\d+(?:m2)?)|more than (\d+(?:m2)?)")
_AREA: Final = re.compile(r"(\d+(?:\.\d+)?) ?(?:m2|m²|sq(?:uare)? ?m(?:et(?:er|re)s?)?)", re.I)
_LETTERS: Final = re.compile(r"\(?([A-Z])\)?(?:\s*(?:,|;|and|&)\s*\(?([A-Z])\)?)*[.):]?", re.I)
_LETTERED: Final = re.compile(r"\(?([A-Z])[.):]\s", re.I)
_LEAD: Final = re.compile(
    r"^(?:the )?(?:correct |right )?(?:answer|option|choice)s?(?: is| are)?\s*:?\s*", re.I
)
# Share of the gold answers of a type that have to agree on its form: a few slips in the data do
# not turn counts into free text.
_AGREEING: Final = 0.95


def normalised(text: str) -> str:
    """Lower case, no punctuation or articles, numbers as digits."""
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", text.casefold())
    plain = re.sub(r"(?<!\d)\.|\.(?!\d)|[^\w\s.²]|_", " ", plain)
    words = [word for word in plain.split() if word not in _ARTICLES]
    return " ".join(_digits(words))


def _digits(words: Sequence[str]) -> list[str]:
    """Words with number words as digits: "twenty two" becomes "22", "two hundred" "200"."""
    found: list[str] = []
    total = part = 0
    last: int | None = None
    for word in [*words, ""]:
        small = _SMALL.get(word)
        # "two three" are two numbers; "twenty three" is one.
        joins = last is None or last >= 100 or (last >= 20 and small is not None and 0 < small < 10)
        if small is not None and joins:
            part, last = part + small, small
        elif word in _LARGE and last is not None:
            part, last = max(part, 1) * _LARGE[word], _LARGE[word]
            if word == "thousand":
                total, part = total + part, 0
        else:
            if last is not None:
                found.append(str(total + part))
            total = part = 0
            last = None
            if small is not None:
                part = last = small
            elif word:
                found.append(word)
    return found


def form_of(gold: str, options: Sequence[str] = ()) -> Form:
    """The form of one gold answer."""
    text = normalised(gold)
    if options or re.fullmatch(r"[A-Z](, [A-Z])*", gold.strip()):
        return "choice"
    if text in ("yes", "no"):
        return "yes_no"
    if _AREA.fullmatch(gold.strip()) or (_BUCKET.fullmatch(text) and "m2" in text):
        return "area"
    if text.isdigit() or _BUCKET.fullmatch(text):
        return "count"
    return "text"


def form_of_type(golds: Iterable[str]) -> Form | None:
    """The form that the gold answers of a type share; None where they do not."""
    forms = [form_of(gold) for gold in golds]
    best = max(set(forms), key=forms.count)
    return best if forms.count(best) >= _AGREEING * len(forms) else None


def read_answer(answer: str, form: Form, options: Sequence[str] = ()) -> str | None:
    """What an answer says, in its form; None where it cannot be read as one answer.

    Args:
        answer: of a model, or gold.
        form: that the question asks for.
        options: texts of multiple choice.

    Returns:
        "yes" or "no"; a whole number; square metres as "12m2"; letters "A" or "A, C"; or the
        normalised text. Classes of RSVQA stay themselves ("between 0 and 10").
    """
    text = normalised(answer)
    if not text and form != "choice":
        return None
    match form:
        case "yes_no":
            return _yes_no(text)
        case "count":
            return _count(text)
        case "area":
            return _area(answer, text)
        case "choice":
            return _choice(answer, options)
        case "text":
            return text


def answer_class(said: str, form: Form, *, buckets: bool) -> str:
    """The class that is compared: of areas, and of counts where wanted, that of RSVQA."""
    return bucket(said) if form == "area" or (form == "count" and buckets) else said


def as_number(said: str | None) -> int | None:
    """The number of a count or area that was read; None of a class, or of nothing."""
    found = re.fullmatch(r"(\d+)(?:m2)?", said or "")
    return int(found[1]) if found else None


def _yes_no(text: str) -> str | None:
    """The first word decides, unless the other one occurs too."""
    words = text.split()
    other = {"yes": "no", "no": "yes"}.get(words[0])
    return words[0] if other is not None and other not in words else None


def _count(text: str) -> str | None:
    """The one number that is named."""
    if whole := _BUCKET.fullmatch(text):
        return whole[0]
    if text == "no":
        return "0"
    numbers = {round(float(number)) for number in re.findall(r"\b\d+(?:\.\d+)?\b", text)}
    return str(numbers.pop()) if len(numbers) == 1 else None


def _area(answer: str, text: str) -> str | None:
    if whole := _BUCKET.fullmatch(text):
        return whole[0]
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", answer)
    areas = {round(float(found)) for found in _AREA.findall(plain)}
    if areas:
        return f"{areas.pop()}m2" if len(areas) == 1 else None
    number = _count(text)
    return f"{number}m2" if number is not None and number.isdigit() else None


def _choice(answer: str, options: Sequence[str]) -> str | None:
    """Letters, or options by their words, several joined by semicolons."""
    said = _LEAD.sub("", answer.strip())
    if _LETTERS.fullmatch(said):
        return _in_order(re.findall(r"\b[A-Z]\b", said.upper()), options)
    words = [normalised(option) for option in options]
    for parts in ([said], said.split(";")):
        known = [normalised(part) for part in parts]
        if all(part in words for part in known):
            return _in_order([ascii_uppercase[words.index(part)] for part in known], options)
    lettered = _LETTERED.match(said)
    return _in_order([lettered[1].upper()], options) if lettered else None


def _in_order(letters: Sequence[str], options: Sequence[str]) -> str | None:
    known = ascii_uppercase[: len(options) or len(ascii_uppercase)]
    return ", ".join(sorted(set(letters))) if all(each in known for each in letters) else None
