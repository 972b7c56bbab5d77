"""The classes into which RSVQA's baseline puts counts and areas, so that scores can be compared.

    from terralogue.datasets.vqa_buckets import bucket
    bucket("17")        # "between 10 and 100"
    bucket("10632m2")   # "more than 1000m2"

Source: github.com/syvlo/RSVQA, VQA_model/VocabEncoder.py. Upper limits are inclusive, and 0 stays a
class of its own.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

_LIMITS: Final = (0, 10, 100, 1000)
_NUMBER: Final = re.compile(r"(\d+)\s*(m2|m²)?", re.IGNORECASE)


def count_bucket(count: int) -> str:
    """Class of a count: "0", "between 0 and 10", …, "more than 1000"."""
    return _bucket(count, "")


def area_bucket(square_metres: int) -> str:
    """Class of an area: "0m2", "between 0m2 and 10m2", …, "more than 1000m2"."""
    return _bucket(square_metres, "m2")


def bucket(answer: str) -> str:
    """Class of an answer that is a number or a number of square metres; any other unchanged."""
    found = _NUMBER.fullmatch(answer.strip())
    if found is None:
        return answer
    return area_bucket(int(found[1])) if found[2] else count_bucket(int(found[1]))


def _bucket(number: int, unit: str) -> str:
    if number == 0:
        return f"0{unit}"
    for low, high in pairwise(_LIMITS):
        if number <= high:
            return f"between {low}{unit} and {high}{unit}"
    return f"more than {_LIMITS[-1]}{unit}"
