"""From painted ground to what an optical or thermal sensor measures.

Spectra are mixed on the fine grid, lit by sun and sky, averaged to pixels, blurred to each band's
own resolution, seen through air, haze and cloud, and made noisy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terralogue.datasets import spectra_models as models
from terralogue.datasets.bands import Band
from terralogue.datasets.spectra import Floats, convolve
from terralogue.datasets.synthetic_canvas import Canvas, smooth_field
from terralogue.datasets.synthetic_materials import MATERIALS, VARIANTS, look

_LATITUDE = {"temperate": 48, "boreal": 61, "mediterranean": 39, "tropical": 9, "arid": 29}
# Below this many metres per cell, what stands on the ground throws a shadow.
_SHADOW_CELL = 2.5
# The air lets nothing of the ground through here; only high cloud is seen.
_CIRRUS = (1.36, 1.40)


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
    steps = int(min(np.ceil(min(highest, 30) / tangent / cell), 40))
    shaded = np.zeros_like(surface)
    size = surface.shape[0]
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


def tables(canvas: Canvas, bands: Sequence[Band]) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Index (n, n) into rows, and reflectance (bands, rows) of materials and their backgrounds."""
    codes = np.unique(canvas.material)
    names = list(MATERIALS)
    looks = [
        look(names[code], seed=canvas.seed, season=canvas.season, climate=canvas.climate)
        for code in codes
    ]
    front = convolve(np.concatenate([each.front for each in looks]), bands)
    back = convolve(np.concatenate([each.back for each in looks]), bands)
    place = np.zeros(256, np.intp)
    place[codes] = np.arange(len(codes)) * VARIANTS
    index = place[canvas.material] + canvas.variant
    return index, np.ascontiguousarray(front.T), np.ascontiguousarray(back.T)


def average(plane: NDArray[np.generic], fine: int) -> Floats:
    """Mean over blocks of fine by fine cells."""
    size = plane.shape[0] // fine
    rows = plane.reshape(size, fine, -1).sum(1, dtype=np.float32)
    return np.asarray(rows.reshape(size, size, fine).sum(2) / np.float32(fine**2), np.float32)


def reflective(
    canvas: Canvas,
    bands: Sequence[Band],
    fine: int,
    gsd: float,
    sky: Sky,
    rng: np.random.Generator,
    *,
    top_of_atmosphere: bool,
    noise: float = 0.0012,
) -> Floats:
    """Reflectance (bands, H, W) of optical bands, of the surface or at the top of the atmosphere."""
    usual = [band for band in bands if not _is_cirrus(band)]
    index, front, back = tables(canvas, usual)
    direct = direct_light(canvas, sky)
    white = convolve(models.cloud(brightness=sky.brightness)[None], usual)[0]
    planes: dict[str, Floats] = {}
    residual = float(rng.normal(0.002, 0.004))
    for i, band in enumerate(usual):
        wave = float(band.wavelength or 0.55)
        ground = front[i][index]
        ground += canvas.mix * (back[i][index] - ground)
        ground *= canvas.light
        # The share of light that comes from the sky, and reaches shadows too.
        diffuse = float(np.clip(0.045 * wave**-2.1 + 0.35 * sky.aerosol, 0.05, 0.5))
        ground *= direct * (1 - diffuse) + diffuse
        plane = average(ground, fine)
        plane = ndimage.gaussian_filter(plane, max(0.48 * (band.gsd or gsd) / gsd, 0.45))
        plane *= 1 - 0.92 * (1 - diffuse) * sky.shade
        seen = plane * (1 - sky.cloud) + white[i] * (0.72 + 0.36 * sky.cloud) * sky.cloud
        if top_of_atmosphere:
            seen = _through_air(seen, wave, sky)
        else:
            seen = seen + residual * (0.49 / wave) ** 2
        sigma = noise + 0.004 * np.sqrt(np.clip(seen, 0, None))
        seen = seen + sigma * rng.standard_normal(seen.shape, dtype=np.float32)
        planes[band.name] = np.clip(seen, 1e-4, 1.5).astype(np.float32)
    for band in bands:
        if _is_cirrus(band):
            thin = 0.0012 + 0.004 * sky.cloud + 0.0003 * rng.standard_normal(sky.cloud.shape)
            planes[band.name] = np.clip(thin, 1e-4, 1).astype(np.float32)
    return np.stack([planes[band.name] for band in bands])


def _is_cirrus(band: Band) -> bool:
    return band.wavelength is not None and _CIRRUS[0] < band.wavelength < _CIRRUS[1]


def _through_air(ground: Floats, wave: float, sky: Sky) -> Floats:
    """Reflectance at the top of the atmosphere, seen from straight above.

    Rayleigh optical depth 0.00857 l^-4 (Hansen & Travis 1974, doi:10.1007/BF00168069), single
    scattering for the path, and transmission exp(-(0.52 rayleigh + 0.17 aerosol) (1 / cos s + 1))
    (Tanré et al. 1979, doi:10.1364/AO.18.003587). Water vapour takes two thirds of the band at 0.94
    micrometres and a few per cent beyond 1.5.
    """
    cosine = max(np.sin(sky.elevation), 0.2)
    rayleigh = 0.00857 * wave**-4 * (1 + 0.0113 * wave**-2)
    aerosol = sky.aerosol * (wave / 0.55) ** -1.3
    path = rayleigh * 0.75 * (1 + cosine**2) / (4 * cosine) + 0.05 * aerosol / cosine
    air = 1 / cosine + 1
    through = np.exp(-(0.52 * rayleigh + 0.17 * aerosol) * air)
    if 0.92 < wave < 0.97:
        through *= 0.33
    elif wave > 1.5:
        through *= 0.94
    # Light that goes down again lifts bright ground.
    back = 0.9 * rayleigh / (1 + rayleigh) + 0.15 * aerosol
    return np.asarray(path + through * ground / (1 - back * ground), np.float32)


def thermal(
    canvas: Canvas, bands: Sequence[Band], fine: int, gsd: float, sky: Sky, rng: np.random.Generator
) -> Floats:
    """Brightness temperature (bands, H, W) in kelvin: air, material, height, sun and cloud.

    The air follows the season; 6.5 K are lost per kilometre of height (ICAO standard atmosphere).
    """
    warm = np.array([entry.warm for entry in MATERIALS.values()], np.float32)
    mean, swing = canvas.climate.air
    warmth = np.sin(2 * np.pi * (canvas.season - 0.30))
    air = mean + swing * warmth
    strength = 0.35 + 0.65 * (warmth + 1) / 2
    ground = air + strength * warm[canvas.material] - 0.0065 * canvas.terrain
    ground += 2.0 * strength * (direct_light(canvas, sky) - 1) + 3.0 * (canvas.light - 1)
    planes = []
    for band in bands:
        plane = average(ground, fine)
        plane = ndimage.gaussian_filter(plane, 0.4 * (band.gsd or gsd) / gsd)
        plane = plane - 3.0 * sky.shade
        plane = plane * (1 - sky.cloud) + (air - 22) * sky.cloud
        # Split window: the air absorbs more at 12 than at 11 micrometres.
        plane = plane - (0.6 if (band.wavelength or 11) > 11.5 else 0.0)
        planes.append(plane + 0.15 * rng.standard_normal(plane.shape))
    return np.asarray(planes, np.float32)


def picture(reflectance: Floats, rng: np.random.Generator) -> Floats:
    """A reflectance image as 8-bit numbers of a developed colour picture: float32, 0 to 255.

    Exposure, gamma, saturation, white balance and sharpening vary as they do between providers.
    """
    if rng.random() < 0.15:
        # A plain quick look: top-of-atmosphere reflectance, stretched by a fixed factor.
        tone = reflectance / rng.uniform(0.25, 0.36)
    else:
        low = np.quantile(reflectance, 0.004, axis=(1, 2)) * rng.uniform(0.5, 1.0)
        high = np.quantile(reflectance[:3], rng.uniform(0.97, 0.998))
        # Dark scenes stay dark: no provider stretches a forest to white.
        high = max(high, rng.uniform(0.16, 0.30))
        tone = (reflectance - low[:, None, None]) / (high - low.mean())
        tone = np.clip(tone, 0, 1.15) ** (1 / rng.uniform(1.15, 1.8))
    tone *= 1 + 0.025 * rng.standard_normal((len(tone), 1, 1))
    grey = tone[:3].mean(0)
    tone[:3] = grey + (tone[:3] - grey) * rng.uniform(0.8, 1.25)
    if rng.random() < 0.5:
        blurred = ndimage.gaussian_filter(tone, (0, 1, 1))
        tone = tone + rng.uniform(0.2, 0.7) * (tone - blurred)
    tone = tone + rng.uniform(0.002, 0.012) * rng.standard_normal(tone.shape)
    level = rng.uniform(225, 255)
    return np.asarray(np.clip(np.rint(level * tone), 0, 255), np.float32)
