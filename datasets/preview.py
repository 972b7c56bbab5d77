"""A picture of any scene: true colour where it can be, else false colour, SAR composite or grey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from terralogue.datasets.scene import Scene

_LOW, _HIGH = 2.0, 98.0
_NODATA_GREY = 40


def preview_size(width: int, height: int, max_size: int) -> tuple[int, int]:
    """(H, W) of a picture no side of which exceeds `max_size`; never enlarged."""
    factor = max(1.0, max(width, height) / max_size)
    return max(1, round(height / factor)), max(1, round(width / factor))


def render_preview(scene: Scene, max_size: int) -> NDArray[np.uint8]:
    """Render a scene: uint8 (H, W, 3), unobserved pixels dark grey."""
    names = _choose(scene)
    pixels = scene.read(names, shape=preview_size(scene.width, scene.height, max_size))
    picture = stretch(pixels.data, pixels.valid)
    if len(picture) == 1:
        picture = np.repeat(picture, 3, axis=0)
    picture[:, ~pixels.valid] = _NODATA_GREY
    return np.ascontiguousarray(picture.transpose(1, 2, 0))


def _choose(scene: Scene) -> list[str]:
    if scene.has("R", "G", "B"):
        return ["R", "G", "B"]
    if scene.has("N", "R", "G"):
        return ["N", "R", "G"]
    return [scene.bands[0].name]


def stretch(data: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Stretch (bands, H, W) jointly between percentiles 2 and 98 of valid pixels to 0-255."""
    seen = data[:, valid]
    if seen.size == 0:
        return np.zeros(data.shape, np.uint8)
    low, high = np.percentile(seen, (_LOW, _HIGH))
    span = max(float(high - low), 1e-6)
    scaled = np.clip((data - low) / span, 0, 1) * 255
    return np.asarray(np.nan_to_num(scaled), dtype=np.uint8)
