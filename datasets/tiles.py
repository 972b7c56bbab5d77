"""Tile: what an image tower sees of a scene, with every kind of band brought to one range.

    from terralogue.datasets.tiles import scene_tile
    tile = scene_tile(open_scene("S2_pisa.tif"))

Reflectance, decibels, kelvins and picture numbers become about -1 to 1 by fixed rules, so that the
same ground looks the same from every sensor; only numbers without a unit are stretched by what the
scene itself contains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError

if TYPE_CHECKING:
    from terralogue.datasets.scene import Scene

Floats = NDArray[np.float32]

TILE: Final = 160
"""Longer side of a tile in pixels: the size that the embedded tower was tuned at."""

# Land seldom reflects more than this; EuroSAT's pictures were made with 0.275 as white.
WHITE_REFLECTANCE: Final = 0.3
# Backscatter of calm water and of towns in C band, in dB.
DB_RANGE: Final = (-28.0, 2.0)
# Brightness temperatures of land on Earth, in K.
KELVIN_RANGE: Final = (250.0, 330.0)
# Heights of solid ground in m: what lies outside is a mark of "no data" that nobody declared.
HEIGHTS: Final = (-12_000.0, 9_000.0)
# What no tower has seen; beyond it numbers only do harm.
_BOUND: Final = 5.0
# Optical numbers whose middle is above this are no reflectance.
_NO_REFLECTANCE: Final = 2.0
_PERCENTILES = (1.0, 99.0)
_SAMPLE = 256
# A scene that is shrunk is read finer by this factor and averaged, so that no pixel is left out.
_FINER: Final = 4
# Pictures for the eye, whose 0 to 255 is meant.
_PICTURES = ("rgb_aerial", "rgb_satellite", "unknown_rgb", "naip_rgbn")


@dataclass(frozen=True)
class Tile:
    """A small image in the range that towers take.

    Attributes:
        data: float32 (bands, H, W), about -1 to 1, 0 where unobserved.
        bands: along the first axis.
        observed: share of pixels that were observed in every band, 0 to 1.
    """

    data: Floats
    bands: tuple[Band, ...]
    observed: float = 1.0


def normalise(data: NDArray[np.generic], bands: Sequence[Band]) -> Floats:
    """Bring physical numbers to about -1 to 1.

    Args:
        data: (bands, H, W) or (n, bands, H, W): uint8 pictures 0 to 255, or floats in the unit of
            each band's kind: reflectance (optical; 1 is a perfect white), K (thermal), dB (sar),
            m (elevation; relative to the mean of each image, 100 m a unit).
        bands: along the bands axis.

    Returns:
        float32, same shape, -5 to 5; what is masked, not finite or no height on Earth is NaN.

    Raises:
        InputError: as many bands as planes are needed; integers other than uint8 have no unit, and
            optical numbers around 100 are no reflectance.
    """
    if isinstance(data, np.ma.MaskedArray) and data.dtype != np.uint8:
        data = np.ma.filled(data.astype(np.float32), np.nan)
    axis = data.ndim - 3
    if data.ndim not in (3, 4) or data.shape[axis] != len(bands):
        raise InputError(
            f"an image of shape {data.shape} does not go with {len(bands)} bands; give "
            "(bands, H, W) or (n, bands, H, W) and one band for each plane"
        )
    if data.dtype == np.uint8:
        return np.asarray(data, np.float32) / np.float32(127.5) - 1
    if not np.issubdtype(data.dtype, np.floating):
        raise InputError(
            f"an image of {data.dtype} has no unit; give uint8 pictures, or floats in reflectance, "
            "K or dB"
        )
    planes = [
        _plane(np.take(data, i, axis=axis).astype(np.float32), band) for i, band in enumerate(bands)
    ]
    return np.clip(np.stack(planes, axis=axis), -_BOUND, _BOUND)


def _plane(x: Floats, band: Band) -> Floats:
    x = np.where(np.isfinite(x), x, np.float32(np.nan))
    if band.kind == "optical":
        known = x[np.isfinite(x)]
        if known.size and np.median(known) > _NO_REFLECTANCE:
            raise InputError(
                f"band {band.name} has numbers around {np.median(known):.4g}, which is no "
                "reflectance; give uint8 pictures, or floats where 1 is a perfect white"
            )
        return _soft(x / np.float32(WHITE_REFLECTANCE))
    if band.kind == "elevation":
        low, high = HEIGHTS
        x = np.where((x >= low) & (x <= high), x, np.float32(np.nan))
        seen = np.isfinite(x)
        count = np.maximum(seen.sum(axis=(-2, -1), keepdims=True), 1)
        mean = np.where(seen, x, 0).sum(axis=(-2, -1), keepdims=True) / count
        return np.asarray((x - mean) / 100, np.float32)
    low, high = DB_RANGE if band.kind == "sar" else KELVIN_RANGE
    return np.asarray(2 * (x - low) / (high - low) - 1, np.float32)


def _soft(share: Floats) -> Floats:
    """0 to 1 becomes -1 to 1; what is brighter, as snow and cloud are, grows with its logarithm."""
    bright = 1 + np.log(np.maximum(share, 1))
    return np.asarray(2 * np.where(share > 1, bright, np.maximum(share, -0.2)) - 1, np.float32)


class TileReader:
    """Reads tiles of one scene, all in the same range.

    Args:
        scene: any with known bands.
        size: longer side of a tile in pixels.
        bands: names of the bands wanted; None for all.

    Raises:
        InputError: the scene's sensor is not known.
    """

    def __init__(self, scene: Scene, size: int = TILE, bands: Sequence[str] | None = None) -> None:
        if scene.sensor is None and all(band.wavelength is None for band in scene.bands):
            raise InputError(
                f"the bands of {scene.name} are not known, so it cannot be compared with others; "
                "name the sensor (--sensor)"
            )
        self._scene = scene
        self._size = size
        self._names = [b.name for b in scene.bands] if bands is None else list(bands)

    def read(self, window: Window | None = None) -> Tile:
        """Read a window, or the whole scene, with its longer side brought to the tile size.

        Smaller windows stay as they are: a tower enlarges them smoothly. The shape is kept.
        """
        scene = self._scene
        width = scene.width if window is None else int(window.width)
        height = scene.height if window is None else int(window.height)
        factor = min(1.0, self._size / max(width, height))
        finer = max(1, min(_FINER, int(1 / factor)))
        shape = (max(1, round(height * factor)), max(1, round(width * factor)))
        data, bands = self.planes(window, (finer * shape[0], finer * shape[1]))
        data = _averaged(data, finer)
        seen = np.isfinite(data)
        return Tile(np.where(seen, data, np.float32(0)), bands, float(seen.all(axis=0).mean()))

    def planes(
        self, window: Window | None = None, shape: tuple[int, int] | None = None
    ) -> tuple[Floats, tuple[Band, ...]]:
        """Pixels of a window in the range of tiles, float32 (bands, H, W), and their bands.

        NaN where a band was not observed. `shape` is as in `Scene.read`.
        """
        pixels = self._scene.read(self._names, window=window, shape=shape)
        return self._scaled(pixels.data, pixels.bands), pixels.bands

    def _scaled(self, data: Floats, bands: Sequence[Band]) -> Floats:
        scene = self._scene
        if scene.calibrated or scene.unit in ("dB", "m", "reflectance"):
            return normalise(data, bands)
        key = scene.sensor.key if scene.sensor is not None else ""
        if key in _PICTURES and scene.dtype == "uint8":
            return np.asarray(data / np.float32(127.5) - 1, np.float32)
        low, high = (edge[:, None, None] for edge in self._stretch)
        stretched = (_logarithmic(data, bands) - low) / (high - low)
        return np.asarray(2 * np.clip(stretched, -0.2, 1.5) - 1, np.float32)

    @cached_property
    def _stretch(self) -> tuple[Floats, Floats]:
        """Numbers of each band that become -1 and 1: percentiles of a coarse look at the scene."""
        scene = self._scene
        factor = min(1.0, _SAMPLE / max(scene.width, scene.height))
        shape = (max(1, int(scene.height * factor)), max(1, int(scene.width * factor)))
        pixels = scene.read(self._names, shape=shape)
        data = _logarithmic(pixels.data, pixels.bands).reshape(len(self._names), -1)
        filled = np.where(np.isfinite(data).any(axis=1, keepdims=True), data, np.float32(0))
        low, high = np.nanpercentile(filled, _PERCENTILES, axis=1).astype(np.float32)
        # A constant band becomes -1 everywhere.
        return low, np.where(high > low, high, low + np.maximum(np.abs(low), 1))


def _logarithmic(data: Floats, bands: Sequence[Band]) -> Floats:
    """Radar amplitudes in decibels, as towers know them; other bands as they are."""
    radar = np.array([band.kind == "sar" for band in bands])[:, None, None]
    if not radar.any():
        return data
    decibels = 20 * np.log10(np.maximum(data, np.float32(1e-6)))
    return np.asarray(np.where(radar, decibels, data), np.float32)


def _averaged(data: Floats, finer: int) -> Floats:
    """Mean of what was observed in blocks of `finer` pixels a side: (bands, H, W)."""
    if finer == 1:
        return data
    bands, height, width = data.shape
    blocks = data.reshape(bands, height // finer, finer, width // finer, finer)
    seen = np.isfinite(blocks)
    count = seen.sum(axis=(2, 4))
    total = np.where(seen, blocks, 0).sum(axis=(2, 4))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def scene_tile(
    scene: Scene,
    window: Window | None = None,
    size: int = TILE,
    bands: Sequence[str] | None = None,
) -> Tile:
    """One tile of a scene; see `TileReader`, which is quicker for many."""
    return TileReader(scene, size, bands).read(window)
