"""Sun, air, clouds and shadows above a simulated place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from terralogue.datasets.spectra import Floats
from terralogue.datasets.synthetic_canvas import Canvas, smooth_field

_LATITUDE = {"temperate": 48, "boreal": 61, "mediterranean": 39, "tropical": 9, "arid": 29}
# Below this many metres per cell, what stands on the ground throws a shadow.
_SHADOW_CELL = 2.5


@dataclass(frozen=True)
class Sky:
    """Sun, air and clouds at the moment of the image.

    Attributes:
        elevation: Of the sun above the horizon, in radians.
        azimuth: Of the sun, clockwise from the top of the image, in radians.
        aerosol: Optical depth at 0.55 micrometres.
        cloud: float32 (H, W), opacity of cloud, 0 to 1.
        shade: float32 (H, W), opacity of the cloud above the sun's path, 0 to 1.
        brightness: Of thick cloud.
    """

    elevation: float
    azimuth: float
    aerosol: float
    cloud: Floats
    shade: Floats
    brightness: float


def draw_sky(
    rng: np.random.Generator,
    canvas: Canvas,
    size: int,
    gsd: float,
    clouds: float,
    *,
    free_sun: bool,
) -> Sky:
    """Draw sun, air and clouds.

    Args:
        rng: Source of chance.
        canvas: Its season and climate place the sun at mid-morning.
        size: Pixels along each side.
        gsd: Metres along a pixel.
        clouds: Share of the image below cloud.
        free_sun: Any time of day, as aerial pictures have it.
    """
    hour = np.radians(rng.uniform(-45, 45) if free_sun else rng.uniform(-28, -15))
    latitude = np.radians(_LATITUDE[canvas.climate.name] + rng.uniform(-6, 6))
    declination = np.radians(23.44) * np.sin(2 * np.pi * (canvas.season - 0.22))
    sine = np.sin(latitude) * np.sin(declination)
    sine += np.cos(latitude) * np.cos(declination) * np.cos(hour)
    # Who takes pictures waits for the sun.
    elevation = max(float(np.arcsin(sine)), np.radians(32 if free_sun else 16))
    azimuth = np.arctan2(
        np.sin(hour), np.cos(hour) * np.sin(latitude) - np.tan(declination) * np.cos(latitude)
    )
    aerosol = float(np.clip(rng.lognormal(np.log(0.12), 0.5), 0.03, 0.5))
    brightness = float(rng.uniform(0.55, 0.85))
    cloud = shade = np.zeros((size, size), np.float32)
    if clouds > 0:
        cloud, shade = _clouds(rng, size, gsd, clouds, elevation, float(azimuth) + np.pi)
    return Sky(elevation, float(azimuth) + np.pi, aerosol, cloud, shade, brightness)


def _clouds(
    rng: np.random.Generator, size: int, gsd: float, share: float, elevation: float, azimuth: float
) -> tuple[Floats, Floats]:
    """Opacity of cumulus and of its shadows, thrown away from the sun."""
    span = size * gsd
    height = float(rng.uniform(500, 1800))
    reach = height / np.tan(elevation)
    # A tile smaller than its clouds would never show cloud and shadow together.
    reach = min(reach, 0.3 * span)
    length = float(rng.uniform(0.07, 0.22)) * span
    margin = int(np.ceil(reach / gsd)) + 1
    axis = ((np.arange(size + 2 * margin) + 0.5) * gsd).astype(np.float32)
    field = np.zeros((len(axis), len(axis)), np.float32)
    for octave in range(5):
        if length / 2**octave > gsd:
            field += 0.52**octave * smooth_field(rng, axis, length / 2**octave, 64)
    inner = slice(margin, margin + size)
    level = float(np.quantile(field[inner, inner], 1 - share))
    opacity = np.clip((field - level + 0.12) / 0.55, 0, 1)
    down = round(reach * np.cos(azimuth) / gsd)
    right = round(-reach * np.sin(azimuth) / gsd)
    thrown = ndimage.gaussian_filter(opacity, 1.0)
    # Cloud above (row - down, column - right) shades (row, column).
    rows = slice(margin - down, margin - down + size)
    columns = slice(margin - right, margin - right + size)
    return (
        np.asarray(opacity[inner, inner], np.float32),
        np.asarray(thrown[rows, columns], np.float32),
    )


def direct_light(canvas: Canvas, sky: Sky) -> Floats:
    """Direct sun on each cell relative to flat open ground (n, n), with shadows of what stands."""
    surface = canvas.terrain
    if canvas.cell <= _SHADOW_CELL:
        surface = surface + canvas.top
    slope_y, slope_x = np.gradient(surface, np.float32(canvas.cell))
    # Towards the sun: x to the right, y down, azimuth from the top.
    sun_x, sun_y = np.sin(sky.azimuth), -np.cos(sky.azimuth)
    tangent = np.tan(sky.elevation)
    light = (tangent - slope_x * sun_x - slope_y * sun_y) / tangent
    light /= np.sqrt(1 + slope_x**2 + slope_y**2)
    if canvas.cell <= _SHADOW_CELL:
        # Walls are steeper than a cell can say.
        light = np.clip(light, 0.45, 1.5)
        light *= 1 - _thrown(surface, canvas.cell, sun_x, sun_y, tangent)
    return np.asarray(np.clip(light, 0.0, 1.9), np.float32)


def _thrown(surface: Floats, cell: float, sun_x: float, sun_y: float, tangent: float) -> Floats:
    """Where something nearer the sun stands above the ray, found by marching towards the sun."""
    highest = float(np.ptp(surface))
    shaded = np.zeros_like(surface)
    size = surface.shape[0]
    steps = int(min(np.ceil(min(highest, 30) / tangent / cell), 40, size - 1))
    for step in range(1, steps + 1):
        down, right = round(step * sun_y), round(step * sun_x)
        length = max(np.hypot(down, right), 1e-3) * cell
        rows, columns = _overlap(size, down), _overlap(size, right)
        rise = surface[rows[1], columns[1]] - surface[rows[0], columns[0]] - length * tangent
        part = shaded[rows[0], columns[0]]
        np.maximum(part, np.clip(rise / (0.5 * cell * tangent + 0.1), 0, 1), out=part)
    return shaded


def _overlap(size: int, shift: int) -> tuple[slice, slice]:
    """Where cells and their neighbours `shift` away both exist."""
    here = slice(max(0, -shift), size - max(0, shift))
    there = slice(max(0, shift), size - max(0, -shift))
    return here, there
