"""Options and letters of multiple choice, as benchmarks write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Final

from terralogue.datasets.errors import InputError

_LETTER: Final = re.compile(r"^\s*\(?([A-Za-z])\s*[.):]\s*(.+)$", re.DOTALL)


def bare_options(options: Sequence[str]) -> tuple[str, ...]:
    """Options without their letters, where every one begins with its own ("A. ship" or "A) ship").

    One that only looks so ("a. m." among others) changes nothing.
    """
    found = [_LETTER.match(option) for option in options]
    lettered = all(
        match is not None and match[1].upper() == letter
        for match, letter in zip(found, ascii_uppercase, strict=False)
    )
    if not lettered:
        return tuple(" ".join(option.split()) for option in options)
    return tuple(" ".join(match[2].split()) for match in found if match is not None)


def split_options(listed: str) -> tuple[str, ...]:
    """Options of a text such as "A. ship B. harbor" or one a line; () where they cannot be told.

    The letters have to follow each other from A.
    """
    starts: list[tuple[int, int]] = []
    end = 0
    for letter in ascii_uppercase:
        found = re.compile(rf"(?:^|(?<=[\s,;]))\(?{letter}[.):]\s*").search(listed, end)
        if found is None:
            break
        starts.append(found.span())
        end = found.end()
    if len(starts) < 2:
        return ()
    ends = [start for start, _ in starts[1:]] + [len(listed)]
    return tuple(
        " ".join(listed[begin:stop].split()).rstrip(" ,;")
        for (_, begin), stop in zip(starts, ends, strict=True)
    )


def letters(answer: str, count: int, where: str) -> str:
    """The letters of an answer in order: "B.", "b" and "(B)" are "B"; "C,A" is "A, C".

    Args:
        answer: as the data set states it.
        count: number of options; 0 where unknown.
        where: for the message.

    Raises:
        InputError: not letters, or beyond the options.
    """
    parts = [part.strip(" .()\t\n").upper() for part in answer.split(",")]
    known = ascii_uppercase[: count or len(ascii_uppercase)]
    if not parts or any(len(part) != 1 or part not in known for part in parts):
        raise InputError(
            f"{where} has the answer {answer!r}, which is no letter of its options; fetch the file "
            "again."
        )
    return ", ".join(sorted(set(parts)))
