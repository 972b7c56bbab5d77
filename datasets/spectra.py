"""Reflectance spectra of land cover, 0.40 to 2.50 micrometres, and their convolution with bands.

The endmembers come from the package `earthlib` 1.1 (MIT, Anderson 2023,
https://github.com/earth-chris/earthlib): 7261 spectra of soils (ICRAF-ISRIC), urban materials,
litter, char and simulated canopies. Its two data files are read directly, because importing the
package loads pandas and a whole spectral toolbox.

    python -c "from terralogue.datasets.spectra import endmembers as e; print(e('soil').shape)"
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError

Floats = NDArray[np.float32]
Real = NDArray[np.floating]

# Micrometres, every 10 nm: the step of the library.
WAVELENGTHS: Final = np.round(np.arange(0.40, 2.505, 0.01), 2)

# Our groups of endmembers, by `LEVEL_3` of the library. Canopies are told apart by their leaf area.
_LEVELS: Final = {
    "soil": ("soil", "dirt"),
    "sand": ("sand",),
    "gravel": ("gravel",),
    "litter": ("litter", "npv"),
    "wood": ("bark", "wood"),
    "char": ("char",),
    "asphalt": ("asphalt", "parking_lot"),
    "road": ("road",),
    "concrete": ("sidewalk", "driveway", "bridge"),
    "tile": ("tile",),
    "shingle": ("comp_shingle", "wood_shingle", "concrete_tile"),
    "metal": ("metal",),
    "paint": ("paint",),
}
_CANOPIES: Final = {"canopy_open": (0.5, 2.0), "canopy": (2.0, 4.5), "canopy_dense": (4.5, 10.0)}
GROUPS: Final = (*_LEVELS, *_CANOPIES)


@cache
def _library() -> tuple[tuple[tuple[str, str], ...], Floats]:
    """Name and third level of every spectrum, and the spectra on WAVELENGTHS.

    Raises:
        InputError: The package earthlib is not installed.
    """
    found = find_spec("earthlib")
    if found is None or found.origin is None:
        raise InputError("the scene simulator needs the package earthlib: pip install earthlib")
    folder = Path(found.origin).parent / "data"
    header = (folder / "spectra.sli.hdr").read_text(encoding="utf-8")
    grid = re.search(r"\nwavelength\s*=\s*{([^}]*)}", header)
    if grid is None:
        raise InputError(f"{folder / 'spectra.sli.hdr'} names no wavelengths; reinstall earthlib")
    measured = np.array(grid.group(1).split(","), float)
    raw = np.fromfile(folder / "spectra.sli", "<f4").reshape(-1, len(measured))
    # Two gaps, where the air is opaque, are bridged by a straight line.
    weights = _interpolation(measured, WAVELENGTHS)
    with (folder / "spectra.csv").open(encoding="utf-8", newline="") as file:
        names = tuple((row["NAME"], row["LEVEL_3"]) for row in csv.DictReader(file))
    return names, (raw @ weights.T).astype(np.float32)


def _interpolation(known: NDArray[np.float64], wanted: NDArray[np.float64]) -> Floats:
    """Matrix (wanted, known) that interpolates linearly, and holds the ends."""
    right = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
    share = np.clip((wanted - known[right - 1]) / (known[right] - known[right - 1]), 0, 1)
    matrix = np.zeros((len(wanted), len(known)), np.float32)
    rows = np.arange(len(wanted))
    matrix[rows, right - 1] = 1 - share
    matrix[rows, right] = share
    return matrix


@cache
def endmembers(group: str) -> Floats:
    """All spectra of a group: float32 (n, 211), reflectance on WAVELENGTHS.

    Raises:
        InputError: No such group, or earthlib is not installed.
    """
    if group not in GROUPS:
        raise InputError(f"unknown group of spectra {group!r}; valid are: {', '.join(GROUPS)}")
    names, spectra = _library()
    if group in _LEVELS:
        rows = [i for i, (_, level) in enumerate(names) if level in _LEVELS[group]]
    else:
        low, high = _CANOPIES[group]
        rows = [
            i
            for i, (name, level) in enumerate(names)
            if level == "canopy"
            and (leaf := re.search(r"LAI-([\d.]+)", name)) is not None
            and low <= float(leaf.group(1)) < high
        ]
    return spectra[rows]


def draw(group: str, rng: np.random.Generator, count: int = 1) -> Floats:
    """Draw spectra at random: float32 (count, 211), each a mixture of three of the group.

    A mixture keeps the natural spread without the oddest single sample filling a whole field.
    """
    pool = endmembers(group)
    members = pool[rng.integers(len(pool), size=(count, 3))]
    weights = rng.dirichlet((1.2, 0.6, 0.6), size=count).astype(np.float32)
    return np.asarray((members * weights[..., None]).sum(1), np.float32)


def draw_canopy(
    rng: np.random.Generator, count: int = 1, *, leaf_area: tuple[float, float] = (2.0, 6.0)
) -> Floats:
    """Simulate canopies with PROSAIL (Jacquemoud et al. 2009, doi:10.1016/j.rse.2008.01.026).

    Needs the optional package `prosail`. Ranges of the leaf parameters follow the global
    sensitivity studies that the paper reviews.

    Args:
        rng: Source of chance.
        count: How many.
        leaf_area: Range of the leaf area index.

    Returns:
        float32 (count, 211), directional reflectance on WAVELENGTHS.

    Raises:
        InputError: prosail is not installed.
    """
    if find_spec("prosail") is None:
        raise InputError("PROSAIL canopies need the package prosail: pip install prosail")
    import prosail

    canopies = []
    for _ in range(count):
        fine = prosail.run_prosail(
            n=rng.uniform(1.2, 2.0),
            cab=rng.uniform(20, 65),
            car=rng.uniform(4, 14),
            cbrown=rng.uniform(0, 0.2),
            cw=rng.uniform(0.008, 0.03),
            cm=rng.uniform(0.004, 0.014),
            lai=rng.uniform(*leaf_area),
            lidfa=rng.uniform(40, 65),
            hspot=0.1,
            tts=rng.uniform(25, 50),
            tto=0.0,
            psi=0.0,
            rsoil=rng.uniform(0.6, 1.1),
            psoil=rng.uniform(0.2, 0.9),
        )
        canopies.append(np.interp(WAVELENGTHS, np.arange(0.4, 2.5005, 0.001), fine))
    return np.asarray(canopies, np.float32)


def moisten(spectra: Floats, wetness: float | Floats) -> Floats:
    """Darken soil by water: R = R_dry exp(-c wetness), c larger in the shortwave infrared.

    A one-parameter form of Lobell & Asner 2002 (doi:10.2136/sssaj2002.7220), whose fits saturate at
    about half the dry reflectance in the visible and a third in the shortwave infrared.

    Args:
        spectra: (n, 211).
        wetness: 0 dry to 1 saturated; one number or (n, 1).
    """
    strength = np.interp(WAVELENGTHS, (0.4, 0.9, 1.4, 1.46, 2.5), (0.75, 0.75, 0.9, 1.1, 1.25))
    return np.asarray(spectra * np.exp(-strength * wetness), np.float32)


@cache
def response(bands: tuple[Band, ...]) -> Floats:
    """Weights (bands, 211) that turn a spectrum on WAVELENGTHS into optical band values.

    Each response is a flat-topped Gaussian, exp(-ln 2 (2 |l - centre| / width)^4), integrated every
    nanometre, so that bands narrower than the grid are interpolated.

    Raises:
        InputError: A band without a centre, or beyond 2.5 micrometres.
    """
    fine = np.arange(0.40, 2.5005, 0.001)
    rows = []
    for band in bands:
        if band.wavelength is None or not 0.38 <= band.wavelength <= 2.5:
            raise InputError(f"band {band.name} has no centre between 0.38 and 2.5 micrometres")
        width = max(band.bandwidth or 0.02, 0.004)
        rows.append(np.exp(-np.log(2) * (2 * np.abs(fine - band.wavelength) / width) ** 4))
    weights = np.array(rows)
    weights /= weights.sum(1, keepdims=True)
    return np.asarray(weights @ _interpolation(WAVELENGTHS, fine), np.float32)


def convolve(spectra: Floats, bands: Sequence[Band]) -> Floats:
    """Band values (n, bands) of spectra (n, 211) for optical bands."""
    return np.asarray(spectra @ response(tuple(bands)).T, np.float32)
