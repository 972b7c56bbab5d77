"""In which part of a scene values are lowest and highest: means of three by three parts.

parts = Ninths(window)
parts.add(tile, values)  # and so on
parts.lowest  # Part("upper left", 0.21)
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

_SIDE: Final = 3
_NAMES: Final = (
    "upper left", "upper middle", "upper right", "left", "middle", "right", "lower left",
    "lower middle", "lower right",
)  # fmt: skip
# A part of which less was seen does not stand for the ground there; fewer pixels along a side of
# a part are too few to tell parts apart.
_LEAST_SEEN: Final = 0.25
_LEAST_SIDE: Final = 3


class Part(NamedTuple):
    """One of nine parts of a picture: where it lies in it, and the mean of its values."""

    name: str
    mean: float


class Ninths:
    """Sums of values over three by three parts of a window.

    Args:
        window: in pixels of the scene.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._sums, self._counts = np.zeros(_SIDE**2), np.zeros(_SIDE**2, np.int64)

    def add(self, tile: Window, values: NDArray[np.float32]) -> None:
        """Add values, float32 (H, W) with NaN where nothing was seen, at a window of the scene."""
        rows = self._numbers(tile.row_off - self._window.row_off, tile.height, self._window.height)
        columns = self._numbers(tile.col_off - self._window.col_off, tile.width, self._window.width)
        parts, seen = rows[:, None] * _SIDE + columns[None, :], np.isfinite(values)
        self._sums += np.bincount(parts[seen], values[seen], _SIDE**2)
        self._counts += np.bincount(parts[seen], minlength=_SIDE**2)

    @staticmethod
    def _numbers(start: int, count: int, whole: int) -> NDArray[np.int64]:
        """Number of the third, from 0, that each of `count` pixels lies in: int64 (count,)."""
        thirds: NDArray[np.int64] = (np.arange(start, start + count) * _SIDE) // int(whole)
        return thirds

    @property
    def lowest(self) -> Part | None:
        """The part with the lowest mean; None where parts cannot be compared."""
        return min(self._parts(), key=lambda part: part.mean, default=None)

    @property
    def highest(self) -> Part | None:
        """The part with the highest mean; None where parts cannot be compared."""
        return max(self._parts(), key=lambda part: part.mean, default=None)

    def _parts(self) -> list[Part]:
        if min(self._window.height, self._window.width) < _SIDE * _LEAST_SIDE:
            return []
        least = _LEAST_SEEN * self._window.height * self._window.width / _SIDE**2
        parts = [
            Part(name, float(total / count))
            for name, total, count in zip(_NAMES, self._sums, self._counts, strict=True)
            if count >= least
        ]
        return parts if len(parts) > 1 else []
