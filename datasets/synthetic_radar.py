"""From painted ground to radar backscatter in dB, with terrain, wind, double bounce and speckle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.spectra import Floats
from terralogue.datasets.synthetic_canvas import Canvas
from terralogue.datasets.synthetic_materials import MATERIALS, VARIANTS
from terralogue.datasets.synthetic_optics import average

# Equivalent number of looks of Sentinel-1 IW GRD (ESA, Sentinel-1 Product Definition,
# S1-RS-MDA-52-7440).
LOOKS = 4.4
# Bare soil under plants, the same source as the table of materials.
_SOIL = {"VV": -13.5, "VH": -22.0}
# Noise-equivalent sigma zero of Sentinel-1, the floor of what calm water returns.
_FLOOR = -28.0
_MAN_MADE = ("building", "ship", "storage_tank", "aircraft", "vehicle")


def backscatter(
    canvas: Canvas,
    bands: Sequence[Band],
    fine: int,
    gsd: float,
    rng: np.random.Generator,
    *,
    flattened: bool,
) -> Floats:
    """Backscatter (bands, H, W) in dB.

    Speckle is multiplicative gamma noise of LOOKS looks (Goodman 1976, doi:10.1364/JOSA.66.001145),
    slightly correlated as neighbouring pixels are; walls facing the radar return a double bounce;
    wind roughens water by up to 9 dB, about what CMOD5.N gives from 2 to 12 m/s (Hersbach 2010,
    doi:10.1175/2009JTECHO698.1).

    Args:
        canvas: The painted ground.
        bands: Of kind "sar".
        fine: Cells along one pixel.
        gsd: Metres along one pixel.
        rng: Source of chance.
        flattened: Terrain-corrected, as RTC products are; else slopes facing the radar shine.

    Raises:
        InputError: A band without a polarisation.
    """
    wind = float(rng.beta(1.4, 2.2))
    # Ascending passes look east, descending ones west.
    looking = np.radians(rng.choice((80.0, 280.0)))
    surface = canvas.terrain
    slope_y, slope_x = np.gradient(surface, np.float32(canvas.cell))
    facing = slope_x * np.sin(looking) - slope_y * np.cos(looking)
    tilt = np.clip(4.34 * 1.8 * facing, -7, 9) * (0.25 if flattened else 1.0)
    codes = np.unique(canvas.material)
    corner = _corners(canvas, east=bool(np.sin(looking) > 0))
    planes = []
    for band in bands:
        if band.polarisation not in ("VV", "VH", "HH", "HV"):
            raise InputError(f"radar band {band.name} has no polarisation VV, VH, HH or HV")
        level = np.full((256, VARIANTS), -15.0, np.float32)
        for code in codes:
            level[code] = _levels(canvas, int(code), band.polarisation, wind)
        ground = level[canvas.material, canvas.variant] + tilt
        ground += 0.5 * canvas.noise("moisture", max(canvas.extent / 8, 3 * gsd))
        power = 10 ** (ground / 10)
        gain = 14.0 if band.polarisation in ("VV", "HH") else 5.0
        power = average(np.asarray(power * (1 + gain * corner), np.float32), fine)
        power = ndimage.gaussian_filter(power, max(0.45, 0.75 * (band.gsd or gsd) / gsd))
        power = power + 10 ** (_FLOOR / 10)
        planes.append(10 * np.log10(power * _speckle(rng, power.shape)))
    return np.asarray(planes, np.float32)


def _levels(canvas: Canvas, code: int, polarisation: str, wind: float) -> Floats:
    """Backscatter in dB of the variants of one material."""
    name, entry = list(MATERIALS.items())[code]
    cross = polarisation in ("VH", "HV")
    base = entry.vh if cross else entry.vv
    if entry.target in ("water", "flooded_area"):
        base += (
            (4.0 if cross else 9.0) * wind * (0.55 if name in ("pond", "pool", "flood") else 1.0)
        )
        # Water at HH is a few dB below VV.
        return np.full(VARIANTS, base - (3.0 if polarisation == "HH" else 0.0), np.float32)
    kinds = canvas.look(name)
    if entry.cycle:
        soil = _SOIL["VH" if cross else "VV"]
        woody = 0.75 if entry.target == "tree_cover" else 0.0
        green = np.maximum(kinds.green, woody)
        power = green * 10 ** (base / 10) + (1 - green) * 10 ** (soil / 10)
        return np.asarray(10 * np.log10(power) + 1.3 * kinds.bright, np.float32)
    spread = 2.0 if entry.target in _MAN_MADE else 1.0
    return np.asarray(base + spread * kinds.bright, np.float32)


def _corners(canvas: Canvas, *, east: bool) -> Floats:
    """Where a wall meets the ground on the radar's side: strong only for some buildings."""
    tall = canvas.top * ~canvas.is_any("conifer", "deciduous", "tropical", "orchard", "shrub")
    if canvas.cell > 12:
        return np.zeros_like(tall)
    if east:
        rise = np.diff(tall, axis=1, append=tall[:, -1:])
    else:
        rise = -np.diff(tall, axis=1, prepend=tall[:, :1])
    lucky = canvas.noise("corner", 2.5 * max(canvas.cell, 12)) > 0.8
    return np.asarray(np.clip(rise, 0, 12) / 6 * lucky, np.float32)


def _speckle(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Gamma noise of mean one and LOOKS looks, a little correlated."""
    kernel = np.array((0.18, 0.64, 0.18))
    kept = float((kernel**2).sum()) ** 2
    # Smoothing adds looks; so few are drawn that LOOKS remain.
    looks = LOOKS * kept
    noise = rng.gamma(looks, 1 / looks, shape)
    for axis in (0, 1):
        noise = ndimage.convolve1d(noise, kernel, axis=axis)
    return np.asarray(np.clip(noise, 1e-3, None), np.float32)
