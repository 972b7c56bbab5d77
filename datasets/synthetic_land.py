"""The ground of our synthetic scenes: river, lake, fields, forest, town and hills on a fine grid.

All lengths are in metres, x to the right and y down from the upper left corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Event = Literal["flood", "clearing", "burn"]
Floats = NDArray[np.float32]

GSD = 10.0
FINE = 2  # cells of the fine grid along one pixel

CLASSES = (
    "grassland",
    "green_crop",
    "ripe_crop",
    "bare_soil",
    "forest",
    "built_up",
    "road",
    "sand",
    "water",
    "flood",
    "burned_area",
)
_CODE = {name: np.uint8(i) for i, name in enumerate(CLASSES)}


@dataclass(frozen=True)
class Land:
    """The ground on the fine grid: class index, brightness factor and height in metres."""

    classes: NDArray[np.uint8]
    brightness: Floats
    height: Floats


def smooth(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> Floats:
    """Standard-normal noise with the given correlation length in cells."""
    step = max(1, int(sigma / 4))
    coarse = rng.standard_normal((shape[0] // step + 3, shape[1] // step + 3))
    field = ndimage.gaussian_filter(coarse, sigma / step, mode="wrap")
    if step > 1:
        field = ndimage.zoom(field, step, order=1)
    field = field[: shape[0], : shape[1]].astype(np.float32)
    normal: Floats = (field - field.mean()) / max(float(field.std()), 1e-6)
    return normal


def _hash(ids: NDArray[np.int64], salt: int) -> Floats:
    """One reproducible number in [0, 1) for each id."""
    mixed = (ids * 2_654_435_761 + salt * 40_503) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 15)) * 2_246_822_519) & 0xFFFFFFFF
    return (((mixed ^ (mixed >> 13)) & 0xFFFFFF) / float(1 << 24)).astype(np.float32)


def _river_distance(x: Floats, y: Floats, extent: float, rng: np.random.Generator) -> Floats:
    """Metres from a meandering centre line: a sine-generated curve (Langbein & Leopold 1966)."""
    s = np.linspace(-0.4, 2.6, 6000)
    swing = 1.0 + 0.25 * np.sin(2 * np.pi * 0.31 * s + rng.uniform(0, 6))
    angle = 1.05 * swing * np.sin(2 * np.pi * 1.35 * s + rng.uniform(0, 6)) + 0.55
    px, py = (np.cumsum(f(angle)) * (s[1] - s[0]) * extent for f in (np.sin, np.cos))
    px, py = px - np.interp(0.45, s, px) + 0.34 * extent, py - 0.35 * extent
    cell = float(x[0, 1] - x[0, 0])
    cols, rows = (px / cell).astype(int), (py / cell).astype(int)
    inside = (cols >= 0) & (cols < x.shape[1]) & (rows >= 0) & (rows < x.shape[0])
    line = np.ones(x.shape, bool)
    line[rows[inside], cols[inside]] = False
    return (ndimage.distance_transform_edt(line) * cell).astype(np.float32)


def _fields(
    x: Floats, y: Floats, region: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Strips of fields, turned anew in each region: id, metres to the edge, place in the row."""
    turn = 0.35 + 1.1 * _hash(region, seed)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    breadth = 190 + 110 * _hash(region, seed + 1)
    row = np.floor(u / breadth).astype(np.int64)
    strip = region * 1009 + row
    length = 110 + 330 * _hash(strip, seed + 2) ** 1.5
    shifted = v + 700 * _hash(strip, seed + 3)
    col = np.floor(shifted / length).astype(np.int64)
    edge_u = np.minimum(u - row * breadth, (row + 1) * breadth - u)
    edge_v = np.minimum(shifted - col * length, (col + 1) * length - shifted)
    return strip * 4099 + col, np.minimum(edge_u, edge_v).astype(np.float32), v.astype(np.float32)


def landscape(size: int, seed: int, event: Event | None) -> Land:
    """Lay out size by size pixels of GSD metres on the fine grid, with or without an event."""
    rng = np.random.default_rng(seed)
    shape, cell = (size * FINE, size * FINE), GSD / FINE
    extent = size * GSD
    y, x = (axis.astype(np.float32) * cell for axis in np.mgrid[: shape[0], : shape[1]])
    wide, middle, fine = (smooth(rng, shape, metres / cell) for metres in (900, 220, 60))
    grain = smooth(rng, shape, 1.0)
    river = _river_distance(x, y, extent, rng)

    # Hills rise away from the river, towards the east.
    hill = np.clip((x - 0.60 * extent) / (0.40 * extent), 0, None)
    height = hill * (150 + 60 * wide + 75 * middle)
    height = np.clip(height + 2.5 * wide + 0.8 * middle, -20, None).astype(np.float32)

    region = (np.floor((x + 260 * wide) / 1700) * 31 + np.floor((y + 260 * middle) / 1900)).astype(
        np.int64
    )
    ids, edge, along = _fields(x, y, region, seed)
    pick = _hash(ids, seed + 7)
    kinds = np.array([_CODE[k] for k in ("green_crop", "ripe_crop", "bare_soil", "grassland")])
    classes = kinds[np.searchsorted([0.38, 0.62, 0.78], pick)]
    brightness = 0.82 + 0.36 * _hash(ids, seed + 8) + 0.035 * np.sin(along / 3.2) + 0.04 * middle
    hedge = edge < 5
    classes[hedge] = _CODE["grassland"]
    brightness[hedge] = 0.9

    wood = wide + 0.55 * middle + 0.15 * fine + height / 95 > 1.05
    wood |= (river < 130 + 45 * middle) & (fine > 0.1) & (river > 20)
    classes[wood] = _CODE["forest"]
    # Lit and dark crowns.
    brightness[wood] = (1 + 0.13 * grain + 0.07 * fine + 0.10 * middle)[wood]

    _town(x, y, extent, seed, classes, brightness, middle)
    highway = np.abs((y - 0.86 * extent) - 0.22 * (x - 0.5 * extent) - 130 * np.sin(x / 1300))
    classes[highway < 9] = _CODE["road"]
    brightness[highway < 9] = 1

    width = np.clip(0.0085 * extent, 22, 44) * (1 + 0.18 * wide)
    lake_x, lake_y = 0.24 * extent, 0.27 * extent
    radius = np.clip(0.1 * extent, 60, 560) * (1 + 0.16 * wide + 0.13 * middle + 0.02 * fine)
    lake = np.hypot((x - lake_x) / 1.25, y - lake_y) < radius
    bank = (river < width + 16 * np.clip(middle, 0, None)) & ~lake
    classes[bank] = _CODE["sand"]
    water = (river < width) | lake
    classes[water] = _CODE["water"]
    # The river carries silt, the lake is clear.
    brightness[water] = np.where(lake, 0.80 + 0.05 * middle, 1.25 + 0.05 * fine)[water]
    bridge = (highway < 9) & water
    classes[bridge] = _CODE["road"]
    brightness[bridge] = 1.2

    if event == "flood":
        wet = (
            (river < 60 + extent * (0.05 + 0.035 * middle + 0.008 * fine)) & (height < 25) & ~water
        )
        wet &= (
            (classes != _CODE["built_up"])
            & (classes != _CODE["road"])
            & (classes != _CODE["forest"])
        )
        wet |= water & ~lake & ~bridge
        classes[wet] = _CODE["flood"]
        brightness[wet] = 1 + 0.08 * fine[wet]
    elif event is not None:
        centre = np.hypot(x - 0.80 * extent, (y - 0.42 * extent) * 1.3)
        hit = (centre < extent * (0.12 + 0.02 * middle)) & (classes == _CODE["forest"])
        classes[hit] = _CODE["burned_area" if event == "burn" else "bare_soil"]
        brightness[hit] = 1 + 0.10 * fine[hit]
    return Land(classes, brightness.astype(np.float32), height)


def _town(
    x: Floats,
    y: Floats,
    extent: float,
    seed: int,
    classes: NDArray[np.uint8],
    brightness: Floats,
    rough: Floats,
) -> None:
    """Write a town with streets, blocks and gardens into classes and brightness."""
    reach = np.hypot(x - 0.63 * extent, y - 0.63 * extent) / (0.135 * extent * (1 + 0.22 * rough))
    turned_x, turned_y = 0.94 * x + 0.34 * y, 0.94 * y - 0.34 * x
    cell = (np.floor(turned_x / 17) * 7919 + np.floor(turned_y / 14)).astype(np.int64)
    block = (np.floor(turned_x / 96) * 7919 + np.floor(turned_y / 132)).astype(np.int64)
    inside = reach < 1 + 0.35 * (_hash(block, seed + 21) - 0.5)
    street = (np.minimum(turned_x % 96, turned_y % 132) < 11) & inside
    roof = inside & (_hash(cell, seed + 22) > 0.18 + 0.40 * reach)
    garden = inside & ~roof
    park = inside & (_hash(block, seed + 23) > 0.92)
    hall = inside & (_hash(block, seed + 24) > 0.93) & ~park
    classes[garden] = _CODE["grassland"]
    brightness[garden] = 0.7
    classes[roof] = _CODE["built_up"]
    brightness[roof] = (0.45 + 0.7 * _hash(cell, seed + 25) ** 1.5)[roof]
    classes[hall] = _CODE["built_up"]
    brightness[hall] = (1.2 + 0.8 * _hash(block, seed + 26))[hall]
    classes[park] = _CODE["forest"]
    classes[street] = _CODE["road"]
    brightness[street] = 0.95
