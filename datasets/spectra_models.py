"""Spectra that are computed, not measured: water, snow and cloud, on the grid of `spectra`."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.spectra import WAVELENGTHS, Floats

# Absorption of pure water in 1/m. To 0.85 micrometres Röttgers et al. 2016 (Water Optical
# Properties Processor, version 3: Mason 2016 and Pope & Fry 1997 in the visible), beyond it Hale &
# Querry 1973 (doi:10.1364/AO.12.000555).
# fmt: off
_WATER: Final = np.array([
    (0.40, 0.0022), (0.42, 0.0031), (0.44, 0.0052), (0.46, 0.0091), (0.48, 0.0121), (0.50, 0.0207),
    (0.52, 0.0418), (0.54, 0.0491), (0.56, 0.0638), (0.58, 0.093), (0.60, 0.235), (0.62, 0.276),
    (0.64, 0.311), (0.66, 0.410), (0.68, 0.465), (0.70, 0.613), (0.72, 1.28), (0.74, 2.48),
    (0.76, 2.61), (0.78, 2.27), (0.80, 1.96), (0.82, 2.48), (0.85, 4.38), (0.875, 5.62),
    (0.90, 6.79), (0.925, 14.4), (0.95, 38.8), (0.975, 44.9), (1.0, 36.3), (1.2, 103.6),
    (1.4, 1239), (1.6, 671.5), (1.8, 803), (2.0, 6911), (2.2, 1651), (2.4, 5006), (2.6, 15321),
]).T
# Imaginary refractive index of ice, Warren & Brandt 2008 (doi:10.1029/2007JD009744).
_ICE: Final = np.array([
    (0.40, 2.365e-11), (0.45, 9.239e-11), (0.50, 5.889e-10), (0.55, 2.289e-9), (0.60, 5.73e-9),
    (0.65, 1.43e-8), (0.70, 2.9e-8), (0.75, 5.87e-8), (0.80, 1.34e-7), (0.84, 1.51e-7),
    (0.90, 4.2e-7), (0.95, 6.02e-7), (1.0, 1.62e-6), (1.03, 2.33e-6), (1.08, 1.74e-6),
    (1.14, 2.25e-6), (1.2, 6.71e-6), (1.26, 1.32e-5), (1.34, 1.34e-5), (1.4, 1.98e-5),
    (1.43, 1.028e-4), (1.493, 5.532e-4), (1.538, 4.594e-4), (1.587, 3.105e-4), (1.65, 2.361e-4),
    (1.73, 1.65e-4), (1.83, 1.302e-4), (1.87, 1.632e-4), (1.923, 7.06e-4), (1.98, 1.614e-3),
    (2.041, 1.458e-3), (2.105, 7.586e-4), (2.17, 3.235e-4), (2.24, 2.037e-4), (2.31, 3.138e-4),
    (2.39, 5.605e-4), (2.5, 7.53e-4),
]).T
# fmt: on


def _absorption(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """The table on WAVELENGTHS, interpolated in the logarithm."""
    return np.asarray(np.exp(np.interp(WAVELENGTHS, table[0], np.log(table[1]))))


def water(
    *,
    chlorophyll: float = 1.0,
    sediment: float = 1.0,
    coloured_matter: float = 0.1,
    depth: float | None = None,
    bottom: Floats | None = None,
    skylight: float = 0.004,
) -> Floats:
    """Reflectance of water above its surface: float32 (211,).

    Semi-analytical model of Lee et al. 1998 (doi:10.1364/AO.37.006329) and 1999
    (doi:10.1364/AO.38.003831): with u = bb / (a + bb), deep water below the surface has
    rrs = (0.084 + 0.170 u) u, above it Rrs = 0.5 rrs / (1 - 1.5 rrs), and reflectance is pi Rrs.
    Shallow water adds the bottom through 1.03 (1 + 2.4 u)^0.5 and 1.04 (1 + 5.4 u)^0.5 (sun
    overhead). Backscattering: pure water 0.00144 (l / 0.5)^-4.32 (Morel 1974), sediment 0.0086 m2/g
    (Albert & Mobley 2003, doi:10.1364/OE.11.002873). Absorption: 0.06 chl^0.65 at 0.44 micrometres
    (Prieur & Sathyendranath 1981) with peaks at 0.44 and 0.675, dissolved matter
    exp(-14 (l - 0.44)) (Bricaud et al. 1981), and sediment 0.041 m2/g exp(-12.3 (l - 0.44)) (Babin
    et al. 2003, doi:10.1029/2001JC000882).

    Args:
        chlorophyll: mg/m3.
        sediment: Suspended matter, g/m3.
        coloured_matter: Absorption of dissolved matter at 0.44 micrometres, 1/m.
        depth: Metres to the bottom; None for deep water.
        bottom: Reflectance (211,) of the bottom; needed with `depth`.
        skylight: Reflectance of sky and glint at the surface, the same in all bands.
    """
    wave = WAVELENGTHS
    pigment = 0.06 * chlorophyll**0.65
    shape = np.exp(-(((wave - 0.44) / 0.055) ** 2))
    shape += 0.45 * np.exp(-(((wave - 0.675) / 0.02) ** 2))
    absorbed = _absorption(_WATER) + pigment * shape + coloured_matter * np.exp(-14 * (wave - 0.44))
    # Sediment itself absorbs blue, which turns silty rivers brown.
    absorbed += 0.041 * sediment * np.exp(-12.3 * (wave - 0.44))
    scattered = 0.00144 * (wave / 0.5) ** -4.32 + 0.0086 * sediment
    u = scattered / (absorbed + scattered)
    below = (0.084 + 0.170 * u) * u
    if depth is not None and bottom is not None:
        total = absorbed + scattered
        below = below * (1 - np.exp(-(1 + 1.03 * np.sqrt(1 + 2.4 * u)) * total * depth))
        below = below + bottom / np.pi * np.exp(-(1 + 1.04 * np.sqrt(1 + 5.4 * u)) * total * depth)
    return np.asarray(np.pi * 0.5 * below / (1 - 1.5 * below) + skylight, np.float32)


def snow(*, grain: float = 0.4, dirt: float = 0.0) -> Floats:
    """Reflectance of a deep snow pack: float32 (211,), spherical albedo.

    The asymptotic theory of Kokhanovsky & Zege 2004 (doi:10.1364/AO.43.001589): the albedo is
    exp(-sqrt(absorption of ice * length)), with a length of some eleven grain diameters.

    Args:
        grain: Effective grain diameter in millimetres: 0.1 fresh to 2 old and wet.
        dirt: Share of visible light lost to dust and litter, 0 to 0.5.
    """
    absorbed = 4 * np.pi * _absorption(_ICE) / (WAVELENGTHS * 1e-6)
    albedo = np.exp(-np.sqrt(absorbed * 11 * grain * 1e-3))
    return np.asarray(albedo * (1 - dirt * np.exp(-((WAVELENGTHS - 0.4) / 0.4))), np.float32)


def cloud(*, brightness: float = 0.7) -> Floats:
    """Reflectance of a thick water cloud: float32 (211,), flat until liquid water absorbs.

    The same asymptotic form as `snow`, exp(-sqrt(absorption * length)) of liquid water. The length
    of 0.11 mm, about ten times a droplet of 10 micrometres, leaves three quarters of the visible
    reflectance at 1.6 and three fifths at 2.2 micrometres.
    """
    return np.asarray(brightness * np.exp(-np.sqrt(_absorption(_WATER) * 1.1e-4)), np.float32)
