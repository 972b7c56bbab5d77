"""Which sensor took this? From descriptions, tags, names, band count and value ranges, with a reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recognition:
    """What a scene was taken for, and why.

    Attributes:
        sensor: Key in SENSORS; None where it cannot be told.
        reason: The evidence, for people.
        question: What to ask the person where it cannot be told.
        options: Sensor keys that would be an answer.
    """

    sensor: str | None
    reason: str
    question: str | None = None
    options: tuple[str, ...] = ()
