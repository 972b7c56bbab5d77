"""Captions of real multispectral scenes, from spectral indices: what was measured, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.bands import INTERCHANGEABLE, Band
from terralogue.datasets.errors import MissingBandError

Floats = NDArray[np.float32]

INDEX_CLASSES: Final = ("vegetation", "water", "bare or built", "bright")
# NDVI above which plants prevail (Sobrino et al. 2004 give 0.5 for full cover, 0.2 for bare soil;
# tiles mix), MNDWI above which water does (Xu 2006: 0), and reflectance that only cloud, snow and
# white roofs reach in the visible.
_GREEN, _WET, _WHITE = 0.4, 0.0, 0.45
_NOUNS: Final = {
    "vegetation": ("vegetation", "green plants", "trees and fields", "green land"),
    "water": ("water", "open water", "a body of water"),
    "bare or built": (
        "buildings and bare ground", "built-up and bare land", "a town with streets and bare soil",
    ),
    "bright": ("cloud or very bright ground", "bright clouds or roofs"),
}  # fmt: skip
_MOST: Final = ("mostly {}", "almost all {}", "a scene dominated by {}", "{} nearly everywhere")
_HALF: Final = ("about half {}", "a good part {}", "large areas of {}")
_SOME: Final = ("some {}", "a little {}", "patches of {}")
_FRAMES: Final = (
    "{}", "a {label} image with {}", "a multispectral satellite image showing {}",
    "{} seen from space", "a {label} scene: {}",
)  # fmt: skip


def index_fractions(data: Floats, bands: Sequence[Band]) -> Floats:
    """Shares of INDEX_CLASSES in an image of reflectance (bands, H, W); they sum to 1.

    Raises:
        MissingBandError: red, green, near infrared or shortwave infrared is missing.
    """

    def plane(common: str) -> Floats:
        wanted = (common, INTERCHANGEABLE.get(common))
        found = [i for i, band in enumerate(bands) if band.common in wanted]
        if not found:
            raise MissingBandError(f"the image has no band {common}, which its captions need")
        return np.asarray(data[found[0]], np.float32)

    red, green, near, short = plane("R"), plane("G"), plane("N"), plane("S1")
    ndvi = (near - red) / np.maximum(near + red, 1e-6)
    mndwi = (green - short) / np.maximum(green + short, 1e-6)
    bright = np.minimum(red, green) > _WHITE
    water = ~bright & (mndwi > _WET) & (ndvi < 0.2)
    plants = ~bright & ~water & (ndvi > _GREEN)
    shares = [plants.mean(), water.mean(), 0.0, bright.mean()]
    shares[2] = 1 - sum(shares)
    return np.array(shares, np.float32)


def sentences(
    shares: Floats, label: str, rng: np.random.Generator, count: int = 4
) -> tuple[str, ...]:
    """Different sentences about the shares of INDEX_CLASSES, the largest first."""
    written: dict[str, None] = {}
    order = [i for i in np.argsort(-shares) if shares[i] > 0.04]
    for _ in range(3 * count):
        parts = [_part(float(shares[i]), INDEX_CLASSES[i], rng) for i in order[:3]]
        said = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
        frame = _FRAMES[rng.integers(len(_FRAMES))]
        written[frame.format(said, label=label)] = None
        if len(written) == count:
            break
    return tuple(written)


def _part(share: float, name: str, rng: np.random.Generator) -> str:
    frames = _MOST if share > 0.7 else _HALF if share > 0.3 else _SOME
    nouns = _NOUNS[name]
    return frames[rng.integers(len(frames))].format(nouns[rng.integers(len(nouns))])
