"""Which of nine parts of a picture has the lowest and which the highest mean."""

from __future__ import annotations

import numpy as np
import pytest
from rasterio.windows import Window

from terralogue.tools.ninths import Ninths


def test_the_lowest_and_the_highest_part_are_named_whatever_the_tiles() -> None:
    values = np.full((31, 62), 0.5, np.float32)
    values[:11, 42:], values[21:, :20] = 0.9, 0.1
    whole, tiled = Ninths(Window(7, 3, 62, 31)), Ninths(Window(7, 3, 62, 31))
    whole.add(Window(7, 3, 62, 31), values)
    for left in range(0, 62, 25):
        part = values[:, left : left + 25]
        tiled.add(Window(7 + left, 3, part.shape[1], 31), part)
    for parts in (whole, tiled):
        assert parts.lowest is not None
        assert parts.highest is not None
        assert (parts.lowest.name, parts.highest.name) == ("lower left", "upper right")
        assert parts.highest.mean == pytest.approx(0.9)
        assert 0.1 <= parts.lowest.mean < 0.15


def test_a_part_that_was_hardly_seen_does_not_count() -> None:
    values = np.full((30, 30), 0.5, np.float32)
    values[10:20, 10:20] = np.nan
    values[11, 11], values[20:, 10:20] = -1.0, 0.2
    parts = Ninths(Window(0, 0, 30, 30))
    parts.add(Window(0, 0, 30, 30), values)
    assert parts.lowest is not None
    assert parts.lowest.name == "lower middle"


@pytest.mark.parametrize("side", [8, 30])
def test_too_few_pixels_are_not_compared(side: int) -> None:
    values = np.full((side, side), np.nan, np.float32)
    values[: side // 3, : side // 3] = 0.3
    parts = Ninths(Window(0, 0, side, side))
    parts.add(Window(0, 0, side, side), values)
    assert parts.lowest is parts.highest is None
