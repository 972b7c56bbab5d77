"""Thresholds taken from the scene itself, where no published one applies and two groups exist.

Otsu's threshold always exists, also in a scene that holds only one kind of surface. So the
threshold is taken only from parts of the scene in which two separate groups of values are found
(hierarchical split-based approach, Chini et al. 2017, doi:10.1109/TGRS.2017.2737664), and none is
given where there is no such part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

# Ashman et al. 1994, doi:10.1086/117248: two groups are cleanly separated above 2.
MIN_ASHMAN_D = 2.0
# Chini et al. 2017: the smaller group has to make up a tenth of the part that is looked at.
MIN_WEIGHT = 0.1
# The dip between two groups must be visibly lower than the lower of their peaks.
MAX_VALLEY = 0.7

_BINS = 256
_ROUNDS = 100
_FEWEST = 2500  # values, so that noise does not look like a dip
_SMALLEST = 50  # pixels along the side of a part
_LEVELS = 4


@dataclass(frozen=True)
class Split:
    """A threshold between two groups of values, and what the groups are like."""

    threshold: float
    low_mean: float
    high_mean: float
    ashman_d: float
    source: str

    @property
    def text(self) -> str:
        """For people."""
        return (
            f"threshold between two groups around {self.low_mean:.3g} and {self.high_mean:.3g} "
            f"({self.source})"
        )


@dataclass(frozen=True)
class _Mixture:
    weight: float
    low: float
    high: float
    ashman_d: float
    valley: float
    crossing: float

    def separate(self, dip: bool) -> bool:
        return (
            self.ashman_d > MIN_ASHMAN_D
            and min(self.weight, 1 - self.weight) > MIN_WEIGHT
            and (self.valley < MAX_VALLEY or not dip)
        )


def otsu(values: NDArray[np.float32]) -> float:
    """Otsu's threshold of finite values of any shape (256 bins)."""
    counts, centres = _histogram(values)
    weight = np.cumsum(counts)
    total = np.cumsum(counts * centres)
    rest = weight[-1] - weight
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = total / weight - (total[-1] - total) / rest
        between = np.where((weight > 0) & (rest > 0), weight * rest * difference**2, 0.0)
    # Between two far groups every bin of the gap is as good: the middle of them is meant.
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    half_bin = (centres[1] - centres[0]) / 2
    return float(centres[best].mean() + half_bin)


def split(image: NDArray[np.float32], *, dip: bool = True) -> Split | None:
    """The threshold between two groups of values in an image (H, W), NaN where not observed.

    None where no part of the image, from all of it down to eighths of its sides, holds two
    separate groups. With `dip` the histogram has to have a valley between them, and Otsu's
    threshold is given. Without, a shoulder is enough (values in physical units that the caller
    checks), and the threshold is where the two fitted groups are equally likely.
    """
    parts: list[NDArray[np.float32]] = []
    _collect(image, 0, parts, dip)
    if not parts:
        return None
    pooled = np.concatenate(parts)
    fitted = _mixture(pooled)
    threshold = otsu(pooled) if dip else fitted.crossing
    source = (
        "Otsu 1979, doi:10.1109/TSMC.1979.4310076"
        if dip
        else "Kittler and Illingworth 1986, doi:10.1016/0031-3203(86)90030-0"
    )
    low, high = pooled[pooled <= threshold], pooled[pooled > threshold]
    if not low.size or not high.size:
        return None
    return Split(
        threshold,
        float(low.mean()),
        float(high.mean()),
        fitted.ashman_d,
        source,
    )


def _collect(
    image: NDArray[np.float32], level: int, parts: list[NDArray[np.float32]], dip: bool
) -> None:
    """Gather the values of the largest parts that hold two groups."""
    values = image[np.isfinite(image)]
    if values.size < _FEWEST or values.min() == values.max():
        return
    if _mixture(values).separate(dip):
        parts.append(values)
        return
    height, width = image.shape
    if level + 1 == _LEVELS or min(height, width) < 2 * _SMALLEST:
        return
    for rows in (slice(None, height // 2), slice(height // 2, None)):
        for columns in (slice(None, width // 2), slice(width // 2, None)):
            _collect(image[rows, columns], level + 1, parts, dip)


def _histogram(
    values: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Counts and centres of bins, without the most extreme thousandth at either end."""
    low, high = np.percentile(values, [0.1, 99.9])
    if low == high:
        low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(values, bins=_BINS, range=(low, high))
    return counts.astype(np.float64), (edges[:-1] + edges[1:]) / 2


def _mixture(values: NDArray[np.float32]) -> _Mixture:
    """Two normal distributions fitted to a histogram by expectation maximisation."""
    counts, centres = _histogram(values)
    threshold = otsu(values)
    in_low = (centres <= threshold).astype(np.float64)
    total = counts.sum()
    floor = ((centres[-1] - centres[0]) / _BINS) ** 2
    weight = low = high = low_spread = high_spread = 0.0
    odds = centres
    for _ in range(_ROUNDS):
        mass = counts * in_low
        other = counts - mass
        if not 0 < mass.sum() < total:
            return _Mixture(0.0, 0.0, 0.0, 0.0, 1.0, threshold)
        before = (low, high)
        weight = mass.sum() / total
        low, high = (mass @ centres) / mass.sum(), (other @ centres) / other.sum()
        low_spread = max(mass @ (centres - low) ** 2 / mass.sum(), floor)
        high_spread = max(other @ (centres - high) ** 2 / other.sum(), floor)
        odds = (
            math.log(weight / (1 - weight) * math.sqrt(high_spread / low_spread))
            - (centres - low) ** 2 / (2 * low_spread)
            + (centres - high) ** 2 / (2 * high_spread)
        )
        in_low = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
        if max(abs(low - before[0]), abs(high - before[1])) < 1e-4 * (centres[-1] - centres[0]):
            break
    ashman_d = float(math.sqrt(2) * abs(high - low) / math.sqrt(low_spread + high_spread))
    between = (centres > low) & (centres < high)
    even = np.abs(np.where(between, odds, np.inf))
    crossing = float(centres[int(np.argmin(even))])
    return _Mixture(weight, low, high, ashman_d, _valley(counts, centres, low, high), crossing)


def _valley(
    counts: NDArray[np.float64], centres: NDArray[np.float64], low: float, high: float
) -> float:
    """The lowest count between two means over the lower of the two peaks around them."""
    smooth = gaussian_filter1d(counts, _BINS / 20, mode="reflect")
    first, last = sorted(np.searchsorted(centres, [low, high]).clip(0, _BINS - 1))
    if last - first < 2:
        return 1.0
    dip = first + int(np.argmin(smooth[first : last + 1]))
    peak = min(smooth[: dip + 1].max(), smooth[dip:].max())
    return float(smooth[dip] / peak) if peak > 0 else 1.0
