"""Numbers in sentences: how they are rounded, and the check that none was made up."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_NUMBER = re.compile(r"(?<![\w.])[-\u2212]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
# A quotation has words as well as digits; a bare number has to be a value.
_QUOTABLE = re.compile(r"[^\W\d_].*\d|\d.*[^\W\d_]|\d{4}-\d\d", re.DOTALL)
_SMALLEST = 1e-4
# What is this close to a whole number is one, but for rounding errors.
_WHOLE = 1e-5
_MOST_PLACES = 7
_UNITS = {"km2": "km²", "m2": "m²", "acre": "acres", "1": ""}


class UnsupportedFigureError(AssertionError):
    """A text holds a number that no result holds: a mistake in a template, never in the input."""


def number(value: float) -> str:
    """A value for reading, rounded to three or four figures: 2,583 and 312.4 and 12.1 and 0.0427.

    What falls short does not read as if it were full: 99.97 stays 99.97.
    """
    size = abs(value)
    if size >= 1000 or (abs(value - round(value)) < _WHOLE and size >= 1) or not value:
        return f"{value:,.0f}"
    if size < _SMALLEST:
        return f"{value:.2e}"
    order = math.floor(math.log10(size))
    places = max(0, (3 if size >= 100 else 2) - order)
    while places < _MOST_PLACES and float(f"{size:.{places}f}") >= 10.0 ** (order + 1):
        places += 1
    text = f"{value:.{places}f}"
    return text.rstrip("0") if size < 1 else text


def quantity(value: float, unit: str) -> str:
    """A value with its unit: "312.4 ha", "12.1 %", "0.52"."""
    return f"{number(value)} {_UNITS.get(unit, unit)}".rstrip()


def check_figures(text: str, sources: Sequence[Any], names: Iterable[str] = ()) -> None:
    """Make sure that every number in a text is one of the results'.

    A number passes if it is part of a piece of text quoted from the sources, if a value in the
    sources rounds to it at the number of decimals that it is written with, or if it counts the
    entries of a list there.

    Args:
        text: composed.
        sources: JSON values: results, plan, question.
        names: of scenes, which may be bare numbers.

    Raises:
        UnsupportedFigureError: names the number.
    """
    rest = text
    quotable = {*filter(_QUOTABLE.search, _strings(sources)), *filter(None, names)}
    for part in sorted(quotable, key=len, reverse=True):
        rest = re.sub(rf"(?<![\w.]){re.escape(part)}(?!\w)", " ", rest)
    values = list(_values(sources))
    for found in _NUMBER.finditer(rest):
        written = found[0].replace("\u2212", "-").rstrip(",")
        if not any(_rounds_to(value, written) for value in values):
            raise UnsupportedFigureError(f"{written!r} is in no result: {text!r}")


def _rounds_to(value: float, written: str) -> bool:
    mantissa, _, exponent = written.replace(",", "").partition("e")
    decimals = len(mantissa.partition(".")[2])
    half = 0.5 * 10.0 ** (int(exponent or 0) - decimals)
    return abs(value - float(written.replace(",", ""))) <= half * (1 + 1e-9)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in _parts(value):
        yield from _strings(part)


def _values(value: Any) -> Iterator[float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)
    if isinstance(value, list | tuple):
        yield float(len(value))
    for part in _parts(value):
        yield from _values(part)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list | tuple) else ()
