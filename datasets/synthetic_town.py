"""Towns of simulated scenes: streets, houses with gardens, blocks of flats, halls and car parks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terralogue.datasets.spectra import Floats, Real
from terralogue.datasets.synthetic_canvas import Canvas, Ints, Mask, hashed, variants
from terralogue.datasets.synthetic_nature import TREE_CELL, crowns

# Below this many metres per cell cars, ridges and lane markings are drawn.
FINE_CELL = 0.7

_ROOFS = {
    "suburb": (*["tile_roof"] * 3, *["dark_roof"] * 3, "flat_roof"),
    "city": (*["flat_roof"] * 3, *["dark_roof"] * 2, "tile_roof", "white_roof"),
    "works": ("hall_roof", "white_roof", "flat_roof", "hall_roof", "dark_roof", "blue_roof"),
}


@dataclass(frozen=True)
class _Block:
    """A block between streets, by cell.

    Attributes:
        ids: Its number.
        u: Metres from its first corner, along one side.
        v: And along the other.
        kerb: Metres to the kerb, negative on the street.
        along: Metres along the nearest street.
        side: Which of its four streets that is.
    """

    ids: Ints
    u: Floats
    v: Floats
    kerb: Floats
    along: Floats
    side: Ints


def _plots(u: Floats, v: Floats, block: tuple[float, float], street: float, salt: int) -> _Block:
    """Blocks between streets, and place within them; every second row of blocks is staggered."""
    column = np.floor(u / block[0]).astype(np.int64)
    shifted = v + block[1] * hashed(column, salt) * (hashed(column, salt + 1) < 0.5)
    row = np.floor(shifted / block[1]).astype(np.int64)
    in_u, in_v = u - column * block[0], shifted - row * block[1]
    edge_u, edge_v = np.minimum(in_u, block[0] - in_u), np.minimum(in_v, block[1] - in_v)
    beside_v = edge_u < edge_v
    kerb = np.minimum(edge_u, edge_v) - street / 2
    along = np.where(beside_v, in_v, in_u)
    far = np.where(beside_v, in_u > block[0] / 2, in_v > block[1] / 2)
    return _Block(
        column * 7919 + row * 104_729,
        np.asarray(in_u, np.float32),
        np.asarray(in_v, np.float32),
        np.asarray(kerb, np.float32),
        np.asarray(along, np.float32),
        (2 * beside_v + far).astype(np.int64),
    )


def town(canvas: Canvas, where: Mask, style: str = "suburb", *, name: str = "town") -> None:
    """Streets and blocks: houses with gardens ("suburb"), flats ("city") or halls ("works")."""
    if not where.any():
        return
    rng = canvas.rng(name)
    salt = canvas.salt(name)
    warp = 0.03 * canvas.extent if style == "suburb" else 0.01 * canvas.extent
    u, v = canvas.turned(float(rng.uniform(0, np.pi / 2)))
    u = u + warp * canvas.noise(f"{name}/warp", max(300.0, canvas.extent / 2))
    v = v + warp * canvas.noise(f"{name}/warq", max(300.0, canvas.extent / 2))
    size, street = {
        "suburb": ((rng.uniform(58, 80), rng.uniform(90, 170)), 9.0),
        "city": ((rng.uniform(70, 110), rng.uniform(80, 150)), 15.0),
        "works": ((rng.uniform(120, 190), rng.uniform(150, 260)), 14.0),
    }[style]
    block = _plots(u, v, size, street, salt + 71)
    # Whole blocks belong to the town or not, so that its rim is not cut through houses.
    use = hashed(block.ids, salt + 1)
    green = use > {"suburb": 0.93, "city": 0.92, "works": 0.94}[style]
    canvas.paint(where, "lawn" if style != "works" else "paving", light=0.92, mix=0.2)
    _streets(canvas, where & (block.kerb < 0), block, salt)
    inside = where & (block.kerb >= 0)
    if style == "suburb":
        _houses(canvas, inside & ~green, block, size, street, salt)
    elif style == "city":
        _perimeter(canvas, inside & ~green, block, salt)
    else:
        _halls(canvas, inside & ~green, block, size, street, salt)
    park = inside & green & (block.kerb > 3)
    _trees(canvas, park, 0.7, f"{name}/park", 8.0)
    if style != "works":
        _trees(canvas, inside & ~green & (canvas.top <= 0), 0.32, f"{name}/garden", 7.0)
        verge = where & (np.abs(block.kerb - 1.2) < 1.6)
        _trees(canvas, verge & (canvas.top <= 0), 0.35, f"{name}/avenue", 7.0)
    canvas.feature({"suburb": "houses", "city": "city", "works": "works"}[style], where)


def _streets(canvas: Canvas, where: Mask, block: _Block, salt: int) -> None:
    canvas.paint(where, "asphalt", light=1.0, variant=(salt % 8))
    if canvas.cell < FINE_CELL:
        # Parked cars along the kerb, one in three places taken.
        place = np.floor(block.along / 6.2).astype(np.int64)
        ids = block.ids * 1009 + place * 4 + block.side
        car = (block.kerb < -0.3) & (block.kerb > -2.1) & (np.mod(block.along, 6.2) < 4.4)
        _cars(canvas, where & car & (hashed(ids, salt + 31) < 0.3), ids, salt)


def _cars(canvas: Canvas, where: Mask, ids: Ints, salt: int) -> None:
    kind = variants(ids, salt + 41)
    canvas.paint(where, "car", variant=kind, top=1.5)
    canvas.parcels(where, ids, "vehicle")
    canvas.feature("cars", where)


def _trees(canvas: Canvas, where: Mask, share: float, name: str, spacing: float) -> None:
    kind = canvas.climate.woods[0] if canvas.climate.name != "arid" else "shrub"
    if canvas.cell <= TREE_CELL:
        dome, number = crowns(canvas, name, spacing, share)
        part = where & (dome > 0.2)
        kinds = (number * 7.99).astype(np.uint8)
        canvas.paint(part, kind, variant=kinds, light=0.8 + 0.4 * number, top=7 * dome)
    else:
        part = where & (canvas.noise(name, 9) > 1.35 - 1.9 * share)
        canvas.paint(part, kind, light=0.9, top=7.0)


def _roof(
    canvas: Canvas, where: Mask, ids: Ints, style: str, salt: int, ridge: Real, height: Real
) -> None:
    """Roofs of one style, one material for each building; `ridge` is -1 to 1 across it."""
    roofs = _ROOFS[style]
    chosen = (hashed(ids, salt + 11) * len(roofs)).astype(np.int64)
    kind = variants(ids, salt + 12)
    pitched = (np.clip(ridge * 4, -1, 1) * 0.16 if canvas.cell < 2.5 else 0 * ridge).astype(
        np.float32
    )
    for index, material in enumerate(roofs):
        part = where & (chosen == index)
        flat = material in ("flat_roof", "hall_roof", "white_roof")
        light = 0.95 + 0.12 * hashed(ids, salt + 13) + (0 if flat else 1) * pitched
        canvas.paint(part, material, variant=kind, light=light, top=height)
    canvas.parcels(where, ids, "building")


def _houses(
    canvas: Canvas, where: Mask, block: _Block, size: tuple[float, float], street: float, salt: int
) -> None:
    """Two rows of plots back to back, a house near the street on most."""
    depth, length = (size[0] - street) / 2, size[1] - street
    plot_width = length / max(round(length / 17), 1)
    right = block.u > size[0] / 2
    from_street = np.where(right, size[0] - block.u, block.u) - street / 2
    number = np.floor((block.v - street / 2) / plot_width).astype(np.int64)
    ids = block.ids * 211 + number * 2 + right
    along = block.v - street / 2 - (number + 0.5) * plot_width
    half = 0.5 * plot_width * (0.48 + 0.28 * hashed(ids, salt + 2))
    deep = 8 + 5 * hashed(ids, salt + 3)
    back = 4 + 3.5 * hashed(ids, salt + 4)
    ridge = (from_street - back - deep / 2) / deep
    house = (np.abs(along) < half) & (np.abs(ridge) < 0.5) & (from_street < depth)
    house &= where & (hashed(ids, salt + 5) < 0.9)
    drive = where & (np.abs(along - half - 2) < 1.5) & (from_street < back + 5)
    canvas.paint(drive & ~house, "paving", light=0.9, variant=variants(ids, salt + 6))
    if canvas.cell < 1.5:
        pool = where & (hashed(ids, salt + 7) < 0.10 + 0.15 * canvas.climate.dry)
        pool &= (np.abs(along) < 2.4) & (np.abs(from_street - back - deep - 6) < 4)
        canvas.paint(pool & ~house, "pool")
        canvas.feature("pools", pool & ~house)
    height = 5 + 2 * (1 - np.abs(2 * ridge)) + 2 * hashed(ids, salt + 8)
    _roof(canvas, house, ids, "suburb", salt, ridge, height.astype(np.float32))


def _perimeter(canvas: Canvas, where: Mask, block: _Block, salt: int) -> None:
    """Closed blocks of flats round a courtyard; each house front is about 22 m."""
    wing = 12 + 4 * hashed(block.ids, salt + 2)
    piece = (np.floor(block.u / 22) * 37 + np.floor(block.v / 22)).astype(np.int64)
    ids = block.ids * 1009 + piece
    house = where & (block.kerb > 3) & (block.kerb < 3 + wing)
    house |= where & (block.kerb > 24) & (hashed(ids, salt + 3) < 0.45) & (block.kerb < 60)
    house &= hashed(ids, salt + 4) < 0.93
    canvas.paint(where & (block.kerb < 3), "paving", light=0.95, variant=salt % 8)
    court = where & (block.kerb >= 3 + wing) & (hashed(block.ids, salt + 5) < 0.5)
    canvas.paint(court, "paving", light=0.85, variant=(salt + 3) % 8)
    ridge = (block.kerb - 3 - wing / 2) / wing
    height = 11 + 12 * hashed(ids, salt + 6) ** 2
    _roof(canvas, house, ids, "city", salt, ridge, height.astype(np.float32))


def _halls(
    canvas: Canvas, where: Mask, block: _Block, size: tuple[float, float], street: float, salt: int
) -> None:
    """Large halls with yards and car parks."""
    use = hashed(block.ids, salt + 2)
    deep = size[1] * (0.45 + 0.3 * hashed(block.ids, salt + 3))
    inner_u, inner_v = block.u - street / 2, block.v - street / 2
    number = np.floor(inner_u / (size[0] * 0.46)).astype(np.int64)
    ids = block.ids * 11 + number
    across = np.mod(inner_u, size[0] * 0.46)
    hall = where & (use < 0.8) & (across > 6) & (across < size[0] * 0.42) & (block.kerb > 5)
    hall &= (inner_v > 8) & (inner_v < deep * (0.7 + 0.3 * hashed(ids, salt + 4)))
    yard = where & ~hall
    canvas.paint(yard, "paving", light=0.8, variant=variants(block.ids, salt + 5), mix=0.2)
    lot = yard & (inner_v > deep + 8) & (block.kerb > 3)
    parking(canvas, lot & (use < 0.8), inner_u, inner_v, block.ids, salt)
    ribs = 0.03 * np.sin(across * 2.1) if canvas.cell < 1 else 0 * across
    height = 7 + 6 * hashed(ids, salt + 6)
    _roof(canvas, hall, ids, "works", salt, ribs.astype(np.float32), height.astype(np.float32))
    canvas.light[hall] += ribs[hall]


def parking(canvas: Canvas, where: Mask, u: Floats, v: Floats, owner: Ints, salt: int) -> None:
    """A car park: bays of 2.5 by 5 m in double rows with aisles of 6.5 m, about half taken."""
    if not where.any():
        return
    canvas.paint(where, "parking", light=0.95, variant=variants(owner, salt + 51))
    canvas.feature("parking", where)
    if canvas.cell > FINE_CELL:
        return
    bay, row = np.floor(u / 2.6).astype(np.int64), np.floor(v / 16.5).astype(np.int64)
    place = v - row * 16.5
    side = (place > 5).astype(np.int64)
    ids = owner * 10_007 + bay * 101 + row * 2 + side
    bays = where & (place < 10)
    line = bays & ((np.mod(u, 2.6) < 0.14) | (np.abs(place - 5) < 0.1))
    canvas.light[line] = 2.2
    deep = np.mod(place, 5)
    car = bays & (np.mod(u, 2.6) > 0.45) & (np.mod(u, 2.6) < 2.25) & (deep > 0.4) & (deep < 4.7)
    full = 0.3 + 0.5 * hashed(owner, salt + 52)
    _cars(canvas, car & (hashed(ids, salt + 53) < full), ids, salt)
