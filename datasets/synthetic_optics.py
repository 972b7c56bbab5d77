"""From painted ground to what an optical or thermal sensor measures.

Spectra are mixed on the fine grid, lit by sun and sky, averaged to pixels, blurred to each band's
own resolution, seen through air, haze and cloud, and made noisy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terralogue.datasets import spectra_models as models
from terralogue.datasets.bands import Band
from terralogue.datasets.spectra import Floats, convolve
from terralogue.datasets.synthetic_canvas import Canvas
from terralogue.datasets.synthetic_materials import MATERIALS, VARIANTS
from terralogue.datasets.synthetic_sky import Sky, direct_light

# The air lets nothing of the ground through here; only high cloud is seen.
_CIRRUS = (1.36, 1.40)


def tables(canvas: Canvas, bands: Sequence[Band]) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Index (n, n) into rows, and reflectance (bands, rows) of materials and their backgrounds."""
    codes = np.unique(canvas.material)
    names = list(MATERIALS)
    looks = [canvas.look(names[code]) for code in codes]
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
    """Reflectance (bands, H, W) of optical bands: of the surface, or above the atmosphere."""
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
        low = np.quantile(reflectance, 0.004, axis=(1, 2)) * rng.uniform(0.6, 1.0)
        high = float(np.quantile(reflectance[:3], rng.uniform(0.97, 0.998)))
        # Dark scenes stay dark: no provider stretches a forest to white.
        high = max(high, rng.uniform(0.16, 0.30))
        tone = (reflectance - low[:, None, None]) / (high - low.mean())
        tone = np.clip(tone, 0, 1.15) ** (1 / rng.uniform(1.3, 2.1))
    tone *= 1 + 0.025 * rng.standard_normal((len(tone), 1, 1))
    grey = tone[:3].mean(0)
    tone[:3] = grey + (tone[:3] - grey) * rng.uniform(0.55, 1.1)
    if rng.random() < 0.5:
        blurred = ndimage.gaussian_filter(tone, (0, 1, 1))
        tone = tone + rng.uniform(0.2, 0.7) * (tone - blurred)
    tone = tone + rng.uniform(0.002, 0.012) * rng.standard_normal(tone.shape)
    level = rng.uniform(225, 255)
    return np.asarray(np.clip(np.rint(level * tone), 0, 255), np.float32)
