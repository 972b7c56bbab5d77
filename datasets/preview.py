"""A picture of any scene: true colour where it can be, else false colour, SAR, relief or grey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.bands import Band

if TYPE_CHECKING:
    from terralogue.datasets.scene import Scene

FloatImage = NDArray[np.float32]
Picture = NDArray[np.uint8]

_LOW, _HIGH = 2.0, 98.0
_NODATA_GREY = 40
# Red, green and blue of the eye (µm), and how far a band may be from them and still stand for them.
_EYE = (0.660, 0.560, 0.480)
_TOLERANCE = 0.045
# Cloud tops are brighter than this and would darken all the rest of a joint stretch.
_CLOUD_REFLECTANCE = 0.5
_MOSTLY_CLOUD = 0.8
# Clear land and water of a calibrated scene seldom fill more than this; less stretch would show
# noise.
_LEAST_SPAN = 0.05
# Gamma brings the middle of the land to a middling grey, within limits that keep it natural.
_MIDDLE, _GAMMA = 0.36, (0.5, 0.9)
# Numbers that were made for the eye.
_DISPLAY_READY = ("rgb_aerial", "rgb_satellite", "unknown_rgb", "naip_rgbn")
_TOP_OF_ATMOSPHERE = ("sentinel2_l1c", "landsat5", "landsat7", "landsat8", "landsat9")
# Reflectance of clear air seen from above, and the wavelength (µm); it falls with its fourth power.
_AIR, _AIR_AT = 0.06, 0.49
# Light from the north-west, 45 degrees high: what cartographers use, since other light inverts
# relief.
_AZIMUTH, _ALTITUDE = np.radians(315.0), np.radians(45.0)


def preview_size(width: int, height: int, max_size: int) -> tuple[int, int]:
    """(H, W) of a picture no side of which exceeds `max_size`; never enlarged."""
    factor = max(1.0, max(width, height) / max_size)
    return max(1, round(height / factor)), max(1, round(width / factor))


def render_preview(
    scene: Scene, max_size: int, palette: dict[int, tuple[int, int, int]] | None = None
) -> Picture:
    """Render a scene: uint8 (H, W, 3), no side longer than `max_size`, unobserved pixels dark grey.

    Args:
        scene: Any.
        max_size: In pixels.
        palette: Colours of a class map, by class.
    """
    shape = preview_size(scene.width, scene.height, max_size)
    kind = scene.bands[0].kind
    if palette is not None:
        return _classes(scene, shape, palette)
    if kind == "sar":
        return _radar(scene, shape)
    if kind == "elevation":
        return _relief(scene, shape)
    names = _three(scene)
    pixels = scene.read(names, shape=shape)
    return in_colour(scene, names, pixels.data)


def in_colour(scene: Scene, names: Sequence[str], data: FloatImage) -> Picture:
    """Picture of one or three optical bands of a scene, on whatever grid they were brought to.

    Args:
        scene: What the bands are of.
        names: Their names; red, green and blue are stretched as one, and freed of haze.
        data: (bands, H, W) in the scene's unit, NaN where unobserved.

    Returns:
        uint8 (H, W, 3).
    """
    bands = tuple(scene.band(name) for name in names)
    valid: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(data))
    key = scene.sensor.key if scene.sensor is not None else None
    reflectance = scene.unit == "reflectance" and all(b.kind == "optical" for b in bands)
    true_colour = [band.common for band in bands] == ["R", "G", "B"]
    if key in _DISPLAY_READY and scene.unit == "DN" and _eight_bit(data):
        return _finish(np.nan_to_num(data).astype(np.uint8), valid)
    if true_colour and reflectance and key in _TOP_OF_ATMOSPHERE and valid.any():
        data = _without_haze(data, bands)
    jointly = true_colour and reflectance
    return _finish(stretch(data, valid, reflectance=reflectance, jointly=jointly), valid)


def _eight_bit(data: FloatImage) -> bool:
    return bool(np.nanmax(data, initial=0) <= 255 and np.nanmin(data, initial=0) >= 0)


def _three(scene: Scene) -> list[str]:
    """Names of the bands shown: true colour, false colour, the first three, or one."""
    if scene.has("R", "G", "B"):
        return [scene.band(name).name for name in ("R", "G", "B")]
    optical = [b for b in scene.bands if b.kind == "optical" and b.wavelength is not None]
    near = [
        min(optical, key=lambda b: abs((b.wavelength or 0) - eye)).name for eye in _EYE if optical
    ]
    by_name = {band.name: band.wavelength or 0 for band in optical}
    if len(set(near)) == 3 and all(
        abs(by_name[name] - eye) <= _TOLERANCE for name, eye in zip(near, _EYE, strict=True)
    ):
        return near
    for combination in (("N", "R", "G"), ("S1", "N", "R"), ("S2", "N", "G"), ("N", "G", "B")):
        if scene.has(*combination):
            return [scene.band(name).name for name in combination]
    known = scene.sensor is not None
    if len(scene.bands) >= 3 and not known:
        return [band.name for band in scene.bands[:3]]
    return [scene.bands[0].name]


def stretch(
    data: FloatImage, valid: NDArray[np.bool_], *, reflectance: bool = False, jointly: bool = False
) -> Picture:
    """Stretch bands between percentiles 2 and 98 of what was observed.

    Args:
        data: (bands, H, W), NaN where unobserved.
        valid: (H, W).
        reflectance: Clouds are left out of the percentiles (unless they are nearly all there is),
        and a
            gamma brings out the dark land.
        jointly: One stretch for all bands, so that colours stay true; else one for each.

    Returns:
        uint8 (bands, H, W).
    """
    seen = data[:, valid]
    if seen.size == 0:
        return np.zeros(data.shape, np.uint8)
    if reflectance:
        cloudy = seen.mean(axis=0) > _CLOUD_REFLECTANCE
        if cloudy.mean() < _MOSTLY_CLOUD:
            seen = seen[:, ~cloudy]
    low, high = np.percentile(seen, (_LOW, _HIGH), axis=None if jointly else 1)
    low, high = (np.reshape(value, (-1, 1, 1)) for value in (low, high))
    least = _LEAST_SPAN if reflectance else 1e-6
    span = np.maximum(high - low, least)
    scaled = np.clip((data - low) / span, 0, 1)
    if reflectance:
        middle = np.clip(np.median((seen - low[:, 0]) / span[:, 0]), 0.01, 0.99)
        scaled = scaled ** np.clip(np.log(_MIDDLE) / np.log(middle), *_GAMMA)
    return np.asarray(np.nan_to_num(scaled) * 255, dtype=np.uint8)


def _without_haze(data: FloatImage, bands: tuple[Band, ...]) -> FloatImage:
    """Take off the blue that clear air adds, but never more than the darkest ground has."""
    air = np.array([_AIR * (_AIR_AT / (band.wavelength or np.inf)) ** 4 for band in bands])
    darkest = np.nanpercentile(data.reshape(len(data), -1), 1, axis=1)
    return np.asarray(data - np.clip(np.minimum(air, darkest), 0, None)[:, None, None], np.float32)


def _finish(picture: Picture, valid: NDArray[np.bool_]) -> Picture:
    """From (1 or 3, H, W) to (H, W, 3) with unobserved pixels grey."""
    if len(picture) == 1:
        picture = np.repeat(picture, 3, axis=0)
    picture[:, ~valid] = _NODATA_GREY
    return np.ascontiguousarray(picture.transpose(1, 2, 0))


def _radar(scene: Scene, shape: tuple[int, int]) -> Picture:
    """Co- and cross-polarised backscatter and their ratio; one polarisation is grey."""
    names = [band.name for band in scene.bands[:2]]
    pixels = scene.read(names, shape=shape)
    layers = list(pixels.data)
    if len(layers) == 2:
        # The ratio of powers is the difference of decibels.
        layers.append(layers[0] - layers[1])
    single = [stretch(layer[np.newaxis], pixels.valid)[0] for layer in layers]
    return _finish(np.stack(single), pixels.valid)


def _relief(scene: Scene, shape: tuple[int, int]) -> Picture:
    """Elevation in grey, shaded by the light where the ground size of a pixel is known."""
    pixels = scene.read([scene.bands[0].name], shape=shape)
    grey = stretch(pixels.data, pixels.valid).astype(np.float32)
    if scene.gsd is not None and min(shape) > 1:
        height = (
            np.where(pixels.valid, pixels.data[0], np.nanmin(pixels.data))
            if pixels.valid.any()
            else None
        )
        if height is not None:
            step = scene.gsd * scene.width / shape[1]
            down, right = np.gradient(height, step)
            # A gentle relief shows only when it is exaggerated.
            scale = 0.5 / max(float(np.percentile(np.hypot(down, right), 95)), 1e-6)
            slope = np.arctan(np.hypot(down, right) * scale)
            aspect = np.arctan2(-right, down)
            light = np.sin(_ALTITUDE) * np.cos(slope) + np.cos(_ALTITUDE) * np.sin(slope) * np.cos(
                _AZIMUTH - aspect
            )
            grey = (0.45 * grey + 0.55 * 255 * np.clip(light, 0, 1)).astype(np.float32)
    return _finish(grey.astype(np.uint8), pixels.valid)


def _classes(
    scene: Scene, shape: tuple[int, int], palette: dict[int, tuple[int, int, int]]
) -> Picture:
    """Classes in their own colours."""
    pixels = scene.read([scene.bands[0].name], shape=shape)
    codes = np.nan_to_num(pixels.data[0]).astype(np.int64)
    table = np.zeros((max([*palette, 0]) + 1, 3), np.uint8)
    for code, color in palette.items():
        table[code] = color
    picture = table[np.clip(codes, 0, len(table) - 1)].transpose(2, 0, 1).copy()
    return _finish(picture, pixels.valid)
