"""How the materials of simulated scenes look: their spectra in every season.

Vegetation is a mixture of green canopy, straw and soil whose shares follow the season.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np

from terralogue.datasets import spectra_models as models
from terralogue.datasets.spectra import WAVELENGTHS, Floats, Real, draw, draw_canopy, moisten
from terralogue.datasets.synthetic_materials import MATERIALS, VARIANTS, Climate


def _rise(time: Floats | float, start: float, width: float) -> Floats:
    return np.asarray(1 / (1 + np.exp(-(time - start) / width)), np.float32)


def _bump(time: Floats | float, start: float, end: float, width: float = 0.015) -> Floats:
    return np.asarray(_rise(time, start, width) * (1 - _rise(time, end, width)), np.float32)


def greenness(cycle: str, season: Floats | float, climate: Climate) -> tuple[Floats, Floats]:
    """Shares of green leaves and of straw at a time of the northern year.

    The dates are those of central Europe's crop calendars (JRC MARS bulletins): winter crops green
    from March and ripe in July, summer crops closed from late June to September.

    Args:
        cycle: Of the material; "" is no plant.
        season: Fraction of the year, 0 on the first of January; may be an array of any shape.
        climate: Where.
    """
    time: Floats = np.asarray(season, np.float32)
    zero = np.zeros_like(time)
    if climate.name in ("mediterranean", "arid") and cycle != "evergreen":
        time = np.mod(time + np.float32(0.07), np.float32(1))
    drought = climate.dry * _bump(time, 0.48, 0.80, 0.03)
    warm = _bump(time, 0.22, 0.87, 0.02)
    mild = 1 - 0.75 * climate.winter
    if cycle == "evergreen":
        return _shares(zero + 0.95, zero)
    if cycle == "leaves":
        leaf = _bump(time, 0.31, 0.83) if climate.name != "tropical" else zero + 0.9
        return _shares(0.95 * leaf, 0.7 * (1 - leaf))
    if cycle == "shrub":
        green = (0.35 + 0.4 * warm) * (1 - 0.6 * drought)
        return _shares(green, 0.9 * (0.75 - green))
    if cycle in ("grass", "meadow", "reed"):
        lush = {"grass": 0.72, "meadow": 0.9, "reed": 0.85}[cycle]
        spare = {"grass": 0.75, "meadow": 0.25, "reed": 0.2}[cycle]
        floor = 0.38 * mild if cycle != "reed" else 0.1
        green = lush * np.maximum(warm, floor) * (1 - spare * drought)
        return _shares(green, 0.92 * (0.95 - green))
    if cycle == "dry":
        green = 0.30 * (0.3 + 0.7 * warm) * (1 - 0.8 * drought)
        return _shares(green, 0.65 - green)
    if climate.name == "tropical":
        # Two or three crops a year: any state at any time.
        time = np.asarray(np.mod(2 * time, 1.0) * 0.5 + 0.35, np.float32)
    stages = {
        "winter": (0.23, 0.49, 0.57),
        "rape": (0.20, 0.47, 0.54),
        "summer": (0.45, 0.72, 0.79),
        "late": (0.41, 0.80, 0.82),
        "rice": (0.44, 0.68, 0.76),
    }
    if cycle not in stages:
        return _shares(zero, zero)
    start, ripe, harvest = stages[cycle]
    green = 0.95 * _bump(time, start, ripe)
    if cycle in ("winter", "rape"):
        green = np.maximum(green, 0.30 * mild * (1 - _bump(time, 0.10, 0.85)))
    straw = 0.9 * _bump(time, ripe, harvest) + 0.35 * _bump(time, harvest, harvest + 0.09)
    return _shares(green, np.minimum(straw, 1 - green))


def _shares(green: Real, straw: Real) -> tuple[Floats, Floats]:
    return np.asarray(green, np.float32), np.asarray(straw, np.float32)


@dataclass(frozen=True)
class Look:
    """How the variants of one material look: all arrays have VARIANTS rows.

    Attributes:
        front: float32 (VARIANTS, 211), reflectance.
        back: float32 (VARIANTS, 211), what shows through in patches.
        green: float32 (VARIANTS,), share of green leaves.
        bright: float32 (VARIANTS,), offset in dB of the radar echo from variant to variant.
    """

    front: Floats
    back: Floats
    green: Floats
    bright: Floats


def look(name: str, *, seed: int, season: float, climate: Climate, prosail: bool = False) -> Look:
    """Draw the variants of a material; the same seed gives the same ones in every season.

    What comes back is shared between calls: do not write into it.

    Args:
        name: In MATERIALS.
        seed: Of the place.
        season: Fraction of the year.
        climate: Of the place.
        prosail: Canopies by PROSAIL instead of the library's.
    """
    entry = MATERIALS[name]
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    # One place's roofs and crops differ together from another's, beside their own spread.
    tone = 0.08 * rng.standard_normal() + entry.spread * rng.standard_normal((VARIANTS, 1))
    scale = np.exp(tone).astype(np.float32)
    bright = (1.0 * rng.standard_normal(VARIANTS)).astype(np.float32)
    wet = rng.uniform(0.1, 0.7) + rng.uniform(-0.12, 0.12, (VARIANTS, 1))
    ground = moisten(draw("soil", rng, VARIANTS), np.asarray(wet, np.float32)) * climate.soil
    none = np.zeros(VARIANTS, np.float32)
    if entry.group in _CONSTITUENTS:
        deep, shallow = _waters(entry.group, rng)
        return Look(deep * scale, shallow * scale, none, bright)
    if entry.group in _COMPUTED:
        front = _computed(entry.group, rng) * scale
        return Look(front, front * 0.85, none, bright)
    if not entry.cycle:
        front = draw(entry.group, rng, VARIANTS)
        if entry.group == "soil":
            # Fields and clearings are littered with dry remains of plants.
            front = 0.7 * front + 0.3 * (1 - 0.6 * climate.dry) * draw("litter", rng, VARIANTS)
            front = moisten(front, np.asarray(wet, np.float32)) * climate.soil / 0.75
        front = front * entry.gain * scale
        back = ground * 0.8 if entry.target == "cropland" else front * 0.82
        if name == "burn":
            # Unburned litter and pale ash between the char.
            back = 0.5 * draw("litter", rng, VARIANTS) + 0.35 * ground
        return Look(front, np.asarray(back, np.float32), none, bright)
    # Fields and trees of a kind are not all at the same stage.
    when = season + 0.022 * rng.standard_normal(VARIANTS)
    green, straw = (
        share.astype(np.float32)[:, None]
        for share in greenness(entry.cycle, np.asarray(when, np.float32), climate)
    )
    leaf_area = {"canopy_open": (0.6, 2), "canopy": (2, 4.5)}.get(entry.group, (4.5, 8.0))
    leaves = (
        draw_canopy(rng, VARIANTS, leaf_area=leaf_area)
        if prosail
        else draw(entry.group, rng, VARIANTS)
    )
    dry = draw("litter", rng, VARIANTS)
    if entry.target == "tree_cover":
        # Leafless crowns let their own shade and the litter through.
        under = 0.5 * dry
    elif entry.cycle == "rice":
        under = np.broadcast_to(models.water(sediment=12, skylight=0.02), dry.shape) + 0.15 * ground
    else:
        under = ground
    if entry.target == "tree_cover":
        # Shade between crowns stays dark in the visible; near infrared light scatters into it.
        leaves = leaves * _curve((0.4, 0.69, 0.76, 2.5), (0.72, 0.72, 1.0, 1.0))
    front = entry.gain * (green * leaves) + entry.straw * straw * dry
    front = front + (1 - green - straw) * under
    if entry.cycle == "rape":
        # Yellow petals: reflectance of 0.2 in green and red, none added in blue (Sulik & Long 2016,
        # Remote Sensing of Environment 184).
        bloom = _bump(np.asarray(when, np.float32), 0.29, 0.375, 0.008)[:, None]
        front = front + bloom * np.interp(
            WAVELENGTHS, (0.4, 0.49, 0.55, 0.69, 0.75), (0, 0, 0.13, 0.15, 0)
        )
    shade = 0.25 * front if entry.target == "tree_cover" else 0.55 * ground + 0.45 * front
    return Look(
        np.asarray(front * scale, np.float32),
        np.asarray(shade, np.float32),
        green[:, 0],
        bright,
    )


_COMPUTED: Final = ("pool", "snow", "white", "blue", "car", "solar")
# Ranges of chlorophyll (mg/m3), suspended sediment (g/m3) and absorption by dissolved matter (1/m).
_CONSTITUENTS: Final = {
    "lake": ((1, 12), (0.4, 4), (0.05, 0.6)),
    "river": ((1, 10), (1.5, 60), (0.15, 1.5)),
    "sea": ((0.2, 2.5), (0.2, 2.5), (0.01, 0.15)),
    "pond": ((8, 60), (2, 15), (0.2, 1.0)),
    "flood": ((1, 6), (30, 200), (0.3, 1.5)),
}


def _waters(kind: str, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """One body of water, deep and above a near bottom: (1, 211) each."""
    chlorophyll, sediment, dissolved = _CONSTITUENTS[kind]
    draws = rng.random(4)
    bottom = draw("sand", rng)[0] * 0.8

    def at(depth: float | None) -> Floats:
        return models.water(
            chlorophyll=_between(chlorophyll, draws[0]),
            sediment=_between(sediment, draws[1]),
            coloured_matter=_between(dissolved, draws[2]),
            skylight=0.004 + 0.014 * draws[3] ** 2,
            depth=depth,
            bottom=bottom,
        )[None]

    return at(None), at(0.8)


def _between(limits: tuple[float, float], share: float) -> float:
    """A value between two limits, in the logarithm."""
    return float(limits[0] * (limits[1] / limits[0]) ** share)


def _computed(kind: str, rng: np.random.Generator) -> Floats:
    """Spectra (VARIANTS, 211) of what is computed or painted."""
    if kind == "pool":
        tiles = np.full(WAVELENGTHS.shape, 0.55, np.float32)
        one = models.water(depth=1.6, bottom=tiles)
    elif kind == "snow":
        one = 0.92 * models.snow(grain=rng.uniform(0.15, 1.2), dirt=rng.uniform(0, 0.15))
    elif kind == "solar":
        # Silicon below glass: dark blue, bright again beyond its band gap at 1.1 micrometres.
        knots = (0.4, 0.46, 0.6, 1.0, 1.1, 1.25, 2.5)
        one = _curve(knots, (0.09, 0.1, 0.05, 0.05, 0.16, 0.2, 0.12))
    elif kind == "blue":
        # Painted sheet metal, common over halls in East Asia.
        knots = (0.4, 0.46, 0.52, 0.6, 0.7, 0.9, 2.5)
        one = _curve(knots, (0.2, 0.32, 0.2, 0.09, 0.1, 0.3, 0.3))
    else:
        one = _curve((0.4, 0.45, 0.9, 1.5, 2.5), (0.42, 0.62, 0.66, 0.55, 0.4))
    rows = np.repeat(one[None], VARIANTS, axis=0)
    if kind == "car":
        # White, silver, grey and black coats, a red one and a blue one.
        rows *= np.array((0.95, 0.8, 0.5, 0.3, 0.1, 0.12, 0, 0), np.float32)[:, None]
        rows[6] = _curve((0.55, 0.62, 2.5), (0.04, 0.42, 0.4))
        rows[7] = _curve((0.44, 0.5, 0.6, 0.75, 2.5), (0.2, 0.22, 0.05, 0.3, 0.3))
    return rows


def _curve(knots: tuple[float, ...], values: tuple[float, ...]) -> Floats:
    """Straight lines between knots in micrometres, on WAVELENGTHS."""
    return np.interp(WAVELENGTHS, knots, values).astype(np.float32)
