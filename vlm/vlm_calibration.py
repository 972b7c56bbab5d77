"""Calibrated confidence: temperature scaling, its error, and where "not sure" begins.

Guo et al. 2017, "On Calibration of Modern Neural Networks": one temperature, fitted by the
likelihood of held-out answers; the expected calibration error over 15 bins of equal width.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from scipy.optimize import minimize_scalar

from terralogue.datasets.errors import InputError

FILE: Final = "calibration.json"
BINS: Final = 15


@dataclass(frozen=True)
class Calibration:
    """How likelihoods become confidences.

    Attributes:
        temperature: that logits are divided by.
        scale: slope of the logit of the confidence by that of the likelihood.
        shift: added to it.
        threshold: below this confidence the model is not sure.
    """

    temperature: float = 1.0
    scale: float = 1.0
    shift: float = 0.0
    threshold: float = 0.5

    def confidence(self, likelihood: float) -> float:
        """Probability that an answer of this likelihood is right."""
        p = min(max(likelihood, 1e-6), 1 - 1e-6)
        return float(1 / (1 + np.exp(-(self.scale * np.log(p / (1 - p)) + self.shift))))

    def write(self, folder: Path) -> None:
        """Write `calibration.json`."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Calibration:
        """Read what `write` wrote.

        Raises:
            InputError: the file is missing or broken.
        """
        try:
            return cls(**json.loads((folder / FILE).read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError) as error:
            raise InputError(
                f"{folder / FILE} cannot be read ({error}); calibrate again"
            ) from error


def fitted_temperature(loss: Callable[[float], float]) -> float:
    """The temperature between 0.3 and 5 with the least loss: a mean negative log-likelihood."""
    found = minimize_scalar(
        lambda x: loss(float(np.exp(x))), bounds=(np.log(0.3), np.log(5)), method="bounded",
        options={"xatol": 0.02},
    )  # fmt: skip
    return float(np.exp(found.x))


def expected_calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Mean distance of confidence and share of right answers over 15 bins, weighted by count."""
    sure, hits = np.asarray(confidences, float), np.asarray(right, float)
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    return float(
        sum(
            abs(sure[bins == b].mean() - hits[bins == b].mean()) * (bins == b).mean()
            for b in np.unique(bins)
        )
    )
