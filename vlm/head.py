"""A linear head on embeddings: regularised logistic regression, and Platt's calibration of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from terralogue.vlm.cross_validation import Flags, Values, Vectors

# Inverse regularisation, for vectors at an RMS distance of 1 from their mean. Of 0.1 to 1000, best
# or within 0.007 of the best balanced accuracy on RSSCN7 and UC Merced (ImageNet features), with 3
# to 30 examples of a class and twice as many others.
STRENGTH: Final = 1.0


def fit_head(vectors: Vectors, flags: Flags) -> tuple[Values, float]:
    """Weights (d,) and bias; both sides weigh the same, however many examples they have."""
    from sklearn.linear_model import LogisticRegression

    mean = vectors.mean(axis=0, dtype=np.float64)
    # Towers differ in how far their embeddings spread; at one scale, one strength fits all.
    spread = float(np.sqrt(((vectors - mean) ** 2).sum(axis=1).mean())) or 1.0
    model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
    model.fit((vectors - mean) / spread, flags)
    weights = model.coef_[0] / spread
    return weights, float(model.intercept_[0] - weights @ mean)


def fitted(vectors: Vectors, flags: Flags) -> Callable[[Vectors], Values]:
    """Fit a head; gives the function from vectors to its decision values."""
    weights, bias = fit_head(vectors, flags)
    return lambda others: np.asarray(others @ weights + bias, np.float64)


def platt(values: Values, flags: Flags) -> tuple[float, float]:
    """Slope and offset of Platt's sigmoid, with his smoothed targets.

    A head that ranks the wrong way round has learnt nothing: its probability is then the share of
    examples with the class, everywhere.
    """
    from scipy.optimize import minimize

    n_yes, n_no = int(flags.sum()), int((~flags).sum())
    targets = np.where(flags, (n_yes + 1) / (n_yes + 2), 1 / (n_no + 2))

    def loss(parameters: Values) -> float:
        z = parameters[0] * values + parameters[1]
        return float(np.sum(np.logaddexp(0, z) - targets * z))

    slope, offset = minimize(loss, np.array([1.0, 0.0])).x
    if slope > 0:
        return float(slope), float(offset)
    return 0.0, float(np.log(n_yes / n_no))
