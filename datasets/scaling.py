"""How the stored numbers of a band become physical ones."""

from __future__ import annotations

from dataclasses import dataclass

NOT_CALIBRATED = "The scene holds digital numbers that are not calibrated to"


@dataclass(frozen=True)
class Scaling:
    """Physical = stored * scale + offset, then decibels or kelvin.

    Attributes:
        scale: See above.
        offset: See above.
        decibel: The scaled number is linear power and becomes 10 log10 of it.
        kelvin: (K1, K2) where the scaled number is thermal radiance and becomes K2 / ln(K1 / L +
        1).
        nodata: Stored numbers that mean "not observed" beside what the file masks.
    """

    scale: float = 1.0
    offset: float = 0.0
    decibel: bool = False
    kelvin: tuple[float, float] | None = None
    nodata: tuple[float, ...] = ()


def uncalibrated_note(why: str) -> str:
    """The warning that goes with digital numbers."""
    return f"{NOT_CALIBRATED} reflectance ({why}): published thresholds do not apply to them."


@dataclass(frozen=True)
class Calibration:
    """Scaling of every band, the unit they get, and whether published thresholds apply to it."""

    scalings: tuple[Scaling, ...]
    unit: str
    calibrated: bool
    warnings: tuple[str, ...] = ()


def temperature(middle: float, *, integer: bool, step: float, zero: float) -> Scaling:
    """Scaling of a thermal band that is delivered beside reflectance.

    Args:
        middle: median of the stored numbers.
        integer: whether they are integers; floats are kelvin, or degrees Celsius where their
            median is below 150.
        step: of integers, in K.
        zero: kelvin at which integers are 0.
    """
    if integer:
        return Scaling(step, zero)
    return Scaling(1.0, 0.0 if middle >= 150 else 273.15)
