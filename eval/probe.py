"""Linear probe: multinomial logistic regression on frozen features.

How strongly it is regularised is chosen on a part of the training pictures: runs of neighbouring
numbers, never a random draw, since neighbouring numbers are often neighbouring ground.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.class_folders import natural
from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import LabelSample

Features = NDArray[np.float32]

STRENGTHS: Final = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
# A class is cut into so many runs, and one of each five is held out.
_RUNS = 20
_PERIOD, _HELD = 5, 2
_ITERATIONS = 500


@dataclass(frozen=True)
class Probe:
    """A fitted probe.

    Attributes:
        weights: (k, classes), for features as they come from the tower.
        bias: (classes,); minus infinity for a class that was never shown.
        n: pictures it was fitted on.
        strength: inverse regularisation C, for standardised features.
        held_out: accuracy at the chosen strength on the part that chose it.
        converged: whether the last fit did.
    """

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    n: int
    strength: float
    held_out: float
    converged: bool

    def scores(self, features: Features) -> NDArray[np.float64]:
        """Log-probabilities up to a constant: (n, classes)."""
        return np.asarray(features @ self.weights + self.bias, np.float64)

    def facts(self) -> dict[str, Any]:
        """For the summary."""
        return {
            "n_train": self.n,
            "C": self.strength,
            "held_out_accuracy": self.held_out,
            "converged": self.converged,
        }


def fit_probe(features: Features, items: Sequence[LabelSample], classes: Sequence[str]) -> Probe:
    """Fit on training pictures.

    Args:
        features: (n, k), a row for each item.
        items: with their labels.
        classes: order of the scores; those without items get no score.

    Raises:
        InputError: fewer than two classes with at least two pictures.
    """
    labels = np.array([classes.index(i.label) if i.label in classes else -1 for i in items])
    held = held_out(items)
    known = labels >= 0
    if len(np.unique(labels[known & ~held])) < 2 or not (held & known).any():
        raise InputError(
            "The probe needs two or more pictures of two or more of the classes; give more with "
            "--train."
        )
    features, labels, held = features[known], labels[known], held[known]
    tried = {}
    for strength in STRENGTHS:
        probe = _fit(features[~held], labels[~held], len(classes), strength)
        tried[strength] = float(
            (probe.scores(features[held]).argmax(axis=1) == labels[held]).mean()
        )
    best = max(tried, key=lambda strength: tried[strength])
    return _fit(features, labels, len(classes), best, tried[best])


def held_out(items: Sequence[LabelSample]) -> NDArray[np.bool_]:
    """Which pictures choose the regularisation: a fifth of each class, in runs of numbers."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        members[item.label].append(i)
    held = np.zeros(len(items), np.bool_)
    for places in members.values():
        places.sort(key=lambda i: natural(Path(items[i].name)))
        runs = min(_RUNS, len(places))
        if runs > 1:
            run = np.arange(len(places)) * runs // len(places)
            held[places] = run % _PERIOD == min(_HELD, runs - 1)
    return held


def _fit(
    features: Features,
    labels: NDArray[np.int64],
    classes: int,
    strength: float,
    held_out_accuracy: float = float("nan"),
) -> Probe:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    model = LogisticRegression(C=strength, max_iter=_ITERATIONS, tol=1e-3)
    with warnings.catch_warnings():
        # Said in the summary instead.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((features - mean) / spread, labels)
    weights = np.zeros((features.shape[1], classes))
    bias = np.full(classes, -np.inf)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        # scikit-learn stores two classes as one difference.
        coefficients = np.vstack([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weights[:, model.classes_] = (coefficients / spread).T
    bias[model.classes_] = intercepts - (coefficients / spread) @ mean
    converged = bool(model.n_iter_.max() < _ITERATIONS)
    return Probe(weights, bias, len(labels), strength, held_out_accuracy, converged)
