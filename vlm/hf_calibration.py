"""Calibration of full-size models: from the likelihood of an answer to how sure a model is of it.

`terralogue train lora --calibrate SPLIT` writes `calibration.json` beside the adapter:

    {"temperature": 1.0, "scale": 0.55, "shift": -0.3, "threshold": 0.5}

The logit of the likelihood of all tokens of an answer, times the scale and moved by the shift, is
the logit of the confidence (Platt 1999). A model without the file gives no confidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.errors import InputError
from terralogue.vlm.vlm_calibration import FILE, Calibration, expected_calibration_error

FEWEST: Final = 30
"""Answers that two numbers can be fitted to."""


@dataclass(frozen=True)
class Fitted:
    """A calibration, and what it was fitted to.

    Attributes:
        calibration: below its threshold an answer is more likely wrong than right.
        answers: their number.
        accuracy: share of right ones.
        ece: expected calibration error, of each half of the places by a fit to the other.
    """

    calibration: Calibration
    answers: int
    accuracy: float
    ece: float


def read_calibration(folder: Path) -> Calibration | None:
    """The calibration of a folder; None where it has none.

    Raises:
        InputError: the file is broken.
    """
    if not (folder / FILE).is_file():
        return None
    made = Calibration.read(folder)
    usable = made.scale > 0 and math.isfinite(made.shift) and 0 <= made.threshold <= 1
    if not usable:
        raise InputError(
            f"{folder / FILE} needs a scale above 0, a finite shift and a threshold from 0 to 1; "
            "remove it, or calibrate again"
        )
    return made


def fit_calibration(
    likelihoods: Sequence[float], right: Sequence[bool], places: Sequence[str]
) -> Fitted:
    """Fit to answers whose truth is known.

    Args:
        likelihoods: of whole answers, 0 to 1.
        right: whether each was right.
        places: what pictures each was about; the halves for the error share none.

    Raises:
        InputError: too few answers, all right or all wrong, or likelier answers are no better.
    """
    p = np.clip(np.asarray(likelihoods, np.float64), 1e-6, 1 - 1e-6)
    x, y = np.log(p / (1 - p)), np.asarray(right, bool)
    if len(x) < FEWEST or y.all() or not y.any():
        raise InputError(
            f"{len(x)} answers, {int(y.sum())} of them right, are not enough to calibrate by; give "
            f"--calibrate a split with {FEWEST} or more, right ones and wrong ones"
        )
    whole = _fitted(x, y)
    if whole.scale <= 0:
        raise InputError(
            "likelier answers were not more often right, so no confidence can be made of them; "
            "train longer, or leave --calibrate out"
        )
    number = {place: i for i, place in enumerate(sorted(set(places)))}
    first = np.array([number[place] % 2 == 0 for place in places])
    tested = np.empty(len(x))
    for half in (first, ~first):
        other = y[~half]
        # One place alone, or a half without wrong answers, leaves nothing to fit on.
        usable = other.any() and not other.all()
        made = _fitted(x[~half], other) if usable else whole
        tested[half] = [made.confidence(value) for value in p[half]]
    error = expected_calibration_error(tested.tolist(), y.tolist())
    return Fitted(whole, len(x), float(y.mean()), error)


def _fitted(x: NDArray[np.float64], y: NDArray[np.bool_]) -> Calibration:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=100.0).fit(x[:, None], y)
    scale, shift = float(model.coef_[0, 0]), float(model.intercept_[0])
    return Calibration(scale=round(scale, 6), shift=round(shift, 6))
