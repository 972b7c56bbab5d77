"""Slots: any bands of any sensor, resampled by wavelength to one fixed set of planes.

    planes, present = slot_planes(data, bands)      # (13, H, W), (13,)

The same idea as that of the tower's stem (`vlm/stem.py`, a Nadaraya-Watson regression over the
wavelengths), with more anchors and a limit to the distance, so that a plane that no band can give
stays empty and says so. The anchors are the bands that Sentinel-2 and Landsat share, the red edge,
the thermal window, and the two kinds of radar polarisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.bands import Band

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Slot:
    """One plane: its name, and the centres in µm of the bands that may fill it."""

    name: str
    centre: float
    reach: float


# Centres of Sentinel-2 and Landsat 8 (`band_tables.py`); the reaches do not overlap.
OPTICAL: Final = (
    Slot("A", 0.443, 0.017),
    Slot("B", 0.490, 0.030),
    Slot("G", 0.560, 0.030),
    Slot("R", 0.660, 0.035),
    Slot("RE1", 0.705, 0.010),
    Slot("RE2", 0.740, 0.018),
    Slot("RE3", 0.783, 0.015),
    Slot("N", 0.850, 0.050),
    Slot("S1", 1.620, 0.080),
    Slot("S2", 2.200, 0.120),
)
THERMAL: Final = Slot("T", 11.0, 1.6)
# Backscatter in the polarisation that was sent, and across it.
RADAR: Final = {"VV": "co", "HH": "co", "VH": "cross", "HV": "cross"}
SLOTS: Final = (*(slot.name for slot in OPTICAL), THERMAL.name, "co", "cross")
# A panchromatic band is no colour.
_WIDEST = 0.15
# Decibels of calm water and of towns in C band, and kelvins of land, as in `datasets/tiles.py`.
_DB = (-28.0, 2.0)
_KELVIN = (250.0, 330.0)


@lru_cache(maxsize=512)
def slot_weights(bands: tuple[Band, ...]) -> Floats:
    """Share of each band in each slot: float32 (slots, bands); rows sum to 1, or to 0 if empty."""
    weights = np.zeros((len(SLOTS), len(bands)), np.float32)
    for column, band in enumerate(bands):
        if band.kind == "sar" and band.polarisation in RADAR:
            weights[SLOTS.index(RADAR[band.polarisation]), column] = 1
        if band.kind not in ("optical", "thermal") or band.wavelength is None:
            continue
        if band.wavelength < 1 and (band.bandwidth or 0) > _WIDEST:
            continue
        for slot in (*OPTICAL, THERMAL):
            away = abs(band.wavelength - slot.centre) / slot.reach
            if away <= 1 and (band.kind == "thermal") == (slot is THERMAL):
                weights[SLOTS.index(slot.name), column] = np.exp(-2 * away**2)
    # Of the two co-polarised (and cross-polarised) bands the first one counts.
    for name in ("co", "cross"):
        row = weights[SLOTS.index(name)]
        row[np.flatnonzero(row)[1:]] = 0
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(weights / np.where(total > 0, total, 1), np.float32)


def slot_planes(data: Floats, bands: Sequence[Band]) -> tuple[Floats, NDArray[np.bool_]]:
    """Resample bands to slots and bring them to about -1 to 1.

    Args:
        data: (bands, H, W) in reflectance (1 is a perfect white), K or dB; NaN where unobserved.
        bands: along the first axis.

    Returns:
        float32 (slots, H, W), NaN where unobserved and 0 in empty slots; bool (slots,), whether
        any band fills the slot.
    """
    weights = slot_weights(tuple(bands))
    present = weights.sum(axis=1) > 0
    planes = np.zeros((len(SLOTS), *data.shape[1:]), np.float32)
    for row in np.flatnonzero(present):
        used = np.flatnonzero(weights[row])
        planes[row] = np.tensordot(weights[row, used], data[used], axes=1)
    return scaled(planes, present), present


def scaled(planes: Floats, present: NDArray[np.bool_]) -> Floats:
    """Bring slots (slots, H, W) in physical units to about -1 to 1; empty ones become 0.

    Reflectance goes by its square root, which gives dark surfaces the room that they need.
    """
    out = np.zeros_like(planes)
    for row in np.flatnonzero(present):
        x = planes[row]
        if SLOTS[row] in ("co", "cross"):
            low, high = _DB
        elif SLOTS[row] == THERMAL.name:
            low, high = _KELVIN
        else:
            out[row] = 2.5 * np.sqrt(np.clip(x, 0, 1.5)) - 1
            continue
        out[row] = np.clip(2 * (x - low) / (high - low) - 1, -2, 2)
    return out
