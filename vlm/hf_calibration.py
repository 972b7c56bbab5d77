"""Calibration of chat models: from the likelihood of an answer to the probability that it is right.

A small file `calibration.json` beside an adapter or a model:

    {"temperature": 1.8, "offset": -0.3, "threshold": 0.5, "answers": 812, "accuracy": 0.71,
     "ece": 0.03, "data": "rsvqa_lr own:val"}

The logit of the likelihood of all tokens of an answer, divided by the temperature and moved by the
offset, is the logit of the confidence (Platt 1999; Guo et al. 2017, arXiv:1706.04599). Below the
threshold a model is not sure. `terralogue train lora --calibrate SPLIT` writes the file; a model
without it gives no confidence.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.errors import InputError
from terralogue.vlm.vlm_calibration import expected_calibration_error

FILE: Final = "calibration.json"
FEWEST: Final = 30
"""Answers that two numbers can be fitted to."""

# Below this an answer is more likely wrong than right.
_THRESHOLD: Final = 0.5
_TINY: Final = 1e-9


@dataclass(frozen=True)
class Calibration:
    """What turns likelihoods into confidences.

    Attributes:
        temperature: above 0.
        offset: of logits.
        threshold: of the confidence, under which a model is not sure.
        answers: number of answers that it was fitted to.
        accuracy: share of these that were right.
        ece: expected calibration error of each half of the places by a fit to the other.
        data: what was asked.
    """

    temperature: float
    offset: float
    threshold: float = _THRESHOLD
    answers: int = 0
    accuracy: float = math.nan
    ece: float = math.nan
    data: str = ""

    def confidence(self, log_likelihood: float) -> float:
        """Probability that an answer is right, from the logarithm of its likelihood (at most 0)."""
        logit = float(_logits(np.array([log_likelihood]))[0])
        return 1 / (1 + math.exp(-(logit / self.temperature + self.offset)))

    def write(self, folder: Path) -> Path:
        """Write it into a folder; returns the file."""
        path = folder / FILE
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        return path


def read_calibration(folder: Path) -> Calibration | None:
    """The calibration of a folder; None where it has none.

    Raises:
        InputError: the file is broken.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        made = Calibration(**json.loads(path.read_text(encoding="utf-8")))
        usable = made.temperature > 0 and math.isfinite(made.offset) and 0 <= made.threshold <= 1
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error}); remove it, or train again") from error
    if not usable:
        raise InputError(
            f"{path} needs a temperature above 0, a finite offset and a threshold from 0 to 1; "
            "remove it, or train again"
        )
    return made


def fit_calibration(
    log_likelihoods: Sequence[float], right: Sequence[bool], places: Sequence[str], data: str
) -> Calibration:
    """Fit to answers whose truth is known.

    Args:
        log_likelihoods: of whole answers, natural logarithm.
        right: whether each was right.
        places: what pictures each was about; the halves for the ECE share none.
        data: for the record.

    Raises:
        InputError: too few answers, all right or all wrong, or likelier answers are no better.
    """
    x = _logits(np.asarray(log_likelihoods, np.float64))
    y = np.asarray(right, bool)
    if len(x) < FEWEST or y.all() or not y.any():
        raise InputError(
            f"{len(x)} answers, {int(y.sum())} of them right, are not enough to calibrate by; give "
            f"--calibrate a split with {FEWEST} or more, right ones and wrong ones"
        )
    slope, offset = _fitted(x, y)
    if slope <= 0:
        raise InputError(
            "likelier answers were not more often right, so no confidence can be made of them; "
            "train longer, or leave --calibrate out"
        )
    order = {place: i for i, place in enumerate(sorted(set(places)))}
    first = np.array([order[place] % 2 == 0 for place in places])
    crossed = np.empty(len(x))
    for half in (first, ~first):
        other = y[~half]
        # One place alone, or a half without wrong answers, leaves nothing to fit to.
        usable = other.any() and not other.all()
        a, b = _fitted(x[~half], other) if usable else (slope, offset)
        crossed[half] = 1 / (1 + np.exp(-(a * x[half] + b)))
    return Calibration(
        round(1 / slope, 6), round(offset, 6), answers=len(x), accuracy=round(float(y.mean()), 4),
        ece=round(expected_calibration_error(crossed.tolist(), y.tolist()), 4), data=data,
    )  # fmt: skip


def _fitted(x: NDArray[np.float64], y: NDArray[np.bool_]) -> tuple[float, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=100.0).fit(x[:, None], y)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def _logits(log_likelihoods: NDArray[np.float64]) -> NDArray[np.float64]:
    likelihood = np.clip(np.exp(log_likelihoods), _TINY, 1 - _TINY)
    return np.asarray(np.log(likelihood) - np.log1p(-likelihood))
