"""What every change model says of itself, beside its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

WEIGHTS_FOLDER: Final = Path(__file__).parent / "weights"
"""Folders of the checkpoints in the package."""
CONFIG: Final = "config.json"


@dataclass(frozen=True)
class ChangeFacts:
    """What a checkpoint is for, and what was measured.

    Attributes:
        sensors: keys of SENSORS that it serves.
        required: common names of the bands that it cannot do without.
        gsd: metres per pixel, lowest and highest.
        reflectance: whether it takes reflectance; else numbers as they are.
        threshold: probability from which a pixel counts as changed.
        slope: factor of the logit that calibrates the probability (with `offset`: Platt scaling).
        offset: see above.
        area_factors: true area over the sum of probabilities in 5 and 95 % of held-out places.
        calibration_error: expected calibration error, 15 bins, on places held out.
        f1: of the changed class, pooled over places held out in cross-validation.
        baseline_f1: of change vector analysis on the same places.
        how: what the scores were measured on.
        title: what it finds, for people.
        target: the target whose change this is, where the model serves a question for that too.
        caution: said with every result.
    """

    sensors: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    gsd: tuple[float, float] = (0.0, 0.0)
    reflectance: bool = False
    threshold: float = 0.5
    slope: float = 1.0
    offset: float = 0.0
    area_factors: tuple[float, float] = (1.0, 1.0)
    calibration_error: float | None = None
    f1: float = 0.0
    baseline_f1: float = 0.0
    how: str = ""
    title: str = "Change"
    target: str = ""
    caution: str = ""


def facts_of(given: Mapping[str, Any]) -> ChangeFacts:
    """Facts as JSON has them."""
    pairs = ("sensors", "required", "gsd", "area_factors")
    return ChangeFacts(**{**given, **{name: tuple(given[name]) for name in pairs}})
