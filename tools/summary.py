"""Mean, spread and percentiles of a raster of any size, in one pass and bounded memory.

summary = Summary()
summary.add(tile[observed])  # and so on
summary.percentile(95)
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# Up to here all values are kept and percentiles are exact; 8 MB.
_EXACT = 2_000_000
# Bits of a float32 that tell bins apart: sign, exponent and 12 of the mantissa.
_BITS = 21
_DROPPED = 32 - _BITS
_BINS = 2**_BITS


class Summary:
    """Statistics of all values that were added.

    Percentiles are exact for up to two million values. Beyond, they come from a histogram whose
    bins are the float32 numbers with the same leading 21 bits, so that no range has to be known
    before; a bin is 1/4096 of its value wide, and a percentile is off by less than that.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = math.nan
        self.minimum = math.nan
        self.maximum = math.nan
        self._squares = 0.0
        self._kept: list[NDArray[np.float32]] = []
        self._bins: NDArray[np.int64] | None = None

    @property
    def std(self) -> float:
        """Population standard deviation; NaN where nothing was added."""
        return math.sqrt(self._squares / self.count) if self.count else math.nan

    def add(self, values: NDArray[np.float32]) -> None:
        """Add finite values, float32 of any shape."""
        values = values.astype(np.float32, copy=True).ravel()
        if not values.size:
            return
        mean = float(values.mean(dtype=np.float64))
        squares = float(np.square(values.astype(np.float64) - mean).sum())
        # Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115.
        total = self.count + values.size
        if self.count:
            gap = mean - self.mean
            squares += self._squares + gap**2 * self.count * values.size / total
            mean = self.mean + gap * values.size / total
        self.count, self.mean, self._squares = total, mean, squares
        self.minimum = min(float(values.min()), self.minimum if self._seen else math.inf)
        self.maximum = max(float(values.max()), self.maximum if self._seen else -math.inf)
        self._keep(values)

    @property
    def _seen(self) -> bool:
        return not math.isnan(self.minimum)

    def _keep(self, values: NDArray[np.float32]) -> None:
        if self._bins is None:
            self._kept.append(values)
            if self.count <= _EXACT:
                return
            self._bins = np.zeros(_BINS, np.int64)
            values = np.concatenate(self._kept)
            self._kept.clear()
        self._bins += np.bincount(_bin_of(values), minlength=_BINS)

    def percentile(self, percent: float) -> float:
        """The value below which `percent` of all values lie; NaN where nothing was added."""
        if not self.count:
            return math.nan
        if self._bins is None:
            return float(np.percentile(np.concatenate(self._kept), percent))
        rank = percent / 100 * (self.count - 1)
        below = np.cumsum(self._bins)
        found = int(np.searchsorted(below, rank, side="right"))
        inside = (rank - (below[found] - self._bins[found])) / self._bins[found]
        low, high = _edge(found), _edge(found + 1)
        return float(np.clip(low + inside * (high - low), self.minimum, self.maximum))


def _bin_of(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number of the bin of each value; higher values have higher numbers."""
    # Adding zero turns -0.0 into 0.0. IEEE 754 numbers of one sign are ordered as their bits are.
    bits = (values + np.float32(0)).view(np.int32)
    ordered = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    numbers: NDArray[np.int64] = (ordered >> _DROPPED).astype(np.int64) + _BINS // 2
    return numbers


def _edge(number: int) -> float:
    """The lowest value of a bin."""
    ordered = np.array([(number - _BINS // 2) << _DROPPED], np.int64).astype(np.int32)
    bits = np.where(ordered < 0, ordered ^ 0x7FFFFFFF, ordered).astype(np.int32)
    return float(bits.view(np.float32)[0])
