"""Temperature, calibration error and area factors of a network on held-out images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from terralogue.tools.dense_ms_checkpoint import SlotFacts

_UNKNOWN = 255
_NEVER = -1e4
_BINS = 15
_SAMPLE = 200_000
# A lower end below this says nothing of an area.
_BOUND = 0.1
# Images with less of a class than this share tell nothing of the error of its area.
_LEAST = 0.01


def softmax(logits: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Probabilities of logits."""
    odds = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return np.asarray(odds / odds.sum(axis=axis, keepdims=True), np.float32)


def calibration_error(likely: NDArray[np.float32], codes: NDArray[np.uint8]) -> float:
    """Expected calibration error (Guo et al. 2017, arXiv 1706.04599) of the likeliest class.

    Args:
        likely: (n, classes).
        codes: (n,), none unknown.
    """
    confidence, right = likely.max(1), likely.argmax(1) == codes
    place = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    error = 0.0
    for number in np.unique(place):
        here = place == number
        error += here.mean() * abs(confidence[here].mean() - right[here].mean())
    return float(error)


def calibrated(
    logits: NDArray[np.float32],
    codes: NDArray[np.uint8],
    classes: Sequence[str],
    unused: Sequence[str] = (),
) -> SlotFacts:
    """Fit the temperature on held-out images, and measure what is left.

    Args:
        logits: (n, classes, H, W).
        codes: (n, H, W), 255 where unknown.
        classes: names along the second axis.
        unused: classes that are not to be found; their pixels do not count.
    """
    out = [list(classes).index(name) for name in unused]
    logits, codes = logits.copy(), np.where(np.isin(codes, out), _UNKNOWN, codes)
    logits[:, out] = _NEVER
    flat, truth = np.moveaxis(logits, 1, -1).reshape(-1, len(classes)), codes.ravel()
    known = np.flatnonzero(truth != _UNKNOWN)
    some = np.random.default_rng(0).choice(known, min(len(known), _SAMPLE), replace=False)
    scores, right = flat[some], truth[some].astype(int)

    def surprise(log_temperature: float) -> float:
        scaled = scores / np.exp(log_temperature)
        top = scaled.max(1)
        total = top + np.log(np.exp(scaled - top[:, None]).sum(1))
        return float((total - scaled[np.arange(len(right)), right]).mean())

    found = minimize_scalar(surprise, bounds=(-1.5, 2.5), method="bounded")
    temperature = float(np.exp(found.x))
    likely = softmax(logits / temperature, 1)
    return SlotFacts(
        temperature=temperature,
        unused=tuple(unused),
        calibration_error=calibration_error(softmax(scores / temperature, 1), truth[some]),
        area_factors={
            name: factors
            for number, name in enumerate(classes)
            if (factors := _area_factors(likely[:, number], codes, number)) is not None
        },
    )


def _area_factors(
    likely: NDArray[np.float32], codes: NDArray[np.uint8], number: int
) -> tuple[float, float] | None:
    """True area over expected area: 5th and 95th percentile over the images.

    None where the images are too few or do not bound the area. An image counts by
    the area of its class, so that a pond that was missed does not stand for a lake.
    """
    known = codes != _UNKNOWN
    expected = np.where(known, likely, 0).sum((1, 2))
    true = ((codes == number) & known).sum((1, 2))
    enough = np.maximum(true, expected) > _LEAST * known.sum((1, 2))
    if enough.sum() < 10:
        return None
    factors = true[enough] / np.maximum(expected[enough], 1e-6)
    order = np.argsort(factors)
    weights = np.maximum(true, expected)[enough][order]
    below = (np.cumsum(weights) - 0.5 * weights) / weights.sum()
    low, high = np.interp([0.05, 0.95], below, factors[order])
    return (float(low), float(high)) if low > _BOUND else None
