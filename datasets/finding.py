"""What recognition gives: a sensor or a question, and the bands."""

from __future__ import annotations

from dataclasses import dataclass

from terralogue.datasets.bands import Band


@dataclass(frozen=True)
class Recognition:
    """What a scene was taken for, and why.

    Attributes:
        sensor: Key in SENSORS; None where it cannot be told.
        reason: The evidence, for people.
        question: What to ask the person where it cannot be told; None also where asking would not
        help
            (a product computed from images).
        options: Sensor keys that would be an answer.
    """

    sensor: str | None
    reason: str
    question: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A recognition, the bands in file order, and what a person should know about it."""

    recognition: Recognition
    bands: tuple[Band, ...]
    warnings: tuple[str, ...] = ()


def found(key: str, bands: tuple[Band, ...], reason: str, *warnings: str) -> Finding:
    """A recognised sensor."""
    return Finding(Recognition(key, reason), bands, warnings)


def numbered_bands(count: int) -> tuple[Band, ...]:
    """band_1 … band_n of an image whose bands are unknown."""
    return tuple(Band(f"band_{i + 1}") for i in range(count))
