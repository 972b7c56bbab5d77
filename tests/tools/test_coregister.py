"""A shift is found to a tenth of a pixel, and none is invented."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

from terralogue.tools.coregister import Read, estimate_shift
from terralogue.tools.grid import Frame

SIZE = 260


def land(seed: int) -> NDArray[np.float64]:
    """Fields with sharp borders."""
    noise = np.random.default_rng(seed).normal(0, 1, (SIZE + 40, SIZE + 40))
    smooth = ndimage.gaussian_filter(noise, 6)
    fields = np.digitize(smooth, np.quantile(smooth, (0.2, 0.4, 0.6, 0.8))).astype(float)
    return ndimage.gaussian_filter(fields, 0.8)


def reader(picture: NDArray[np.float64]) -> Read:
    def read(window: Window) -> NDArray[np.float32]:
        return picture[window.toslices()].astype(np.float32)

    return read


def frame(size: int = SIZE) -> Frame:
    return Frame("picture", size, size, None, Affine.identity(), False)


INSIDE = slice(20, 20 + SIZE)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.3, -0.6), (-3.4, 2.2), (0.0, 4.5)])
def test_a_shift_is_found_through_changed_brightness_and_noise(shift: tuple[float, float]) -> None:
    whole = land(0)
    noise = np.random.default_rng(1).normal(0, 0.1, (SIZE, SIZE))
    before = whole[INSIDE, INSIDE]
    # Move the second picture away by the opposite of what has to be found.
    after = ndimage.shift(whole, (-shift[0], -shift[1]), order=3)[INSIDE, INSIDE] * -2 + 7 + noise
    found = estimate_shift(frame(), reader(before), reader(after))
    assert found.reliable
    assert (found.rows, found.columns) == pytest.approx(shift, abs=0.15)


def test_pictures_of_different_ground_have_no_shift() -> None:
    before, after = land(0)[INSIDE, INSIDE], land(7)[INSIDE, INSIDE]
    found = estimate_shift(frame(), reader(before), reader(after))
    assert not found.reliable
    assert found.length == 0


@pytest.mark.parametrize("after", [np.zeros((SIZE, SIZE)), np.full((SIZE, SIZE), np.nan)])
def test_an_empty_picture_has_no_shift(after: NDArray[np.float64]) -> None:
    found = estimate_shift(frame(), reader(land(0)[INSIDE, INSIDE]), reader(after))
    assert not found.reliable


def test_a_picture_too_small_to_tell_has_no_shift() -> None:
    tiny = land(0)[:20, :20]
    assert not estimate_shift(frame(20), reader(tiny), reader(tiny)).reliable
