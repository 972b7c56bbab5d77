"""Colours of things by what people call them, from red, green and blue of 0 to 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terralogue.datasets.errors import InputError

Floats = NDArray[np.float32]

# A pixel's colour is that of its surroundings within about two pixels: things, not speckles.
_BLUR: Final = 1.2
_GRAY: Final = 0.12


def _hue(rgb: Floats) -> tuple[Floats, Floats, Floats]:
    """Hue in degrees, chroma and brightness (largest of the three), each (H, W)."""
    red, green, blue = rgb
    high, low = rgb.max(axis=0), rgb.min(axis=0)
    chroma = high - low
    safe = np.where(chroma > 0, chroma, 1)
    hue = np.select(
        [high == red, high == green],
        [(green - blue) / safe % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    return np.asarray(60 * hue, np.float32), chroma, high


def _within(low: float, high: float) -> Callable[[Floats, Floats, Floats], NDArray[np.bool_]]:
    """Hues from `low` to `high` degrees, through 0 where low is the larger, and not gray."""

    def test(hue: Floats, chroma: Floats, light: Floats) -> NDArray[np.bool_]:
        inside = (hue >= low) & (hue < high) if low < high else (hue >= low) | (hue < high)
        return inside & (chroma > _GRAY * np.maximum(light, 0.3))

    return test


_TESTS: Final[dict[str, Callable[[Floats, Floats, Floats], NDArray[np.bool_]]]] = {
    "white": lambda h, c, v: (v > 0.68) & (c < 0.22),
    "bright": lambda h, c, v: v > 0.62,
    "black": lambda h, c, v: v < 0.22,
    "dark": lambda h, c, v: v < 0.38,
    "gray": lambda h, c, v: (v >= 0.22) & (v <= 0.75) & (c < 0.12),
    "red": _within(335, 25),
    "orange": _within(10, 45),
    "yellow": _within(40, 70),
    "green": _within(65, 170),
    "blue": _within(170, 265),
    "brown": lambda h, c, v: _within(0, 50)(h, c, v) & (v < 0.62),
}


def brightness(rgb: Floats) -> Floats:
    """Brightness (H, W) of (3, H, W), 0 to 1."""
    return np.asarray(rgb.mean(axis=0), np.float32)


def in_colour(rgb: Floats, colour: str) -> Floats:
    """How far each pixel is of a colour: float32 (H, W), 0 to 1.

    Args:
        rgb: float32 (3, H, W), 0 to 1.
        colour: a value of `referring_words.COLOURS`.

    Raises:
        InputError: no such colour.
    """
    if colour not in _TESTS:
        raise InputError(f"unknown colour {colour!r}; valid are: {', '.join(_TESTS)}")
    soft = ndimage.gaussian_filter(rgb, (0, _BLUR, _BLUR))
    inside = _TESTS[colour](*_hue(np.asarray(soft, np.float32)))
    # Half of the pixels around have to be of the colour.
    share = ndimage.uniform_filter(inside.astype(np.float32), 5)
    return np.asarray(np.clip(2 * share, 0, 1), np.float32)
