"""What people build in simulated scenes: roads, towns, works, harbours, airfields, solar parks."""

from __future__ import annotations

import numpy as np

from terralogue.datasets.spectra import Floats
from terralogue.datasets.synthetic_canvas import Canvas, Ints, Mask, hashed, variants
from terralogue.datasets.synthetic_nature import TREE_CELL, crowns

# Below this many metres per cell cars, ridges and lane markings are drawn.
FINE_CELL = 0.7

_ROOFS = {
    "suburb": (
        "tile_roof",
        "tile_roof",
        "tile_roof",
        "dark_roof",
        "dark_roof",
        "dark_roof",
        "flat_roof",
    ),
    "city": (
        "flat_roof",
        "flat_roof",
        "flat_roof",
        "tile_roof",
        "dark_roof",
        "dark_roof",
        "white_roof",
    ),
    "works": ("hall_roof", "white_roof", "flat_roof", "hall_roof", "dark_roof", "blue_roof"),
}


def road(
    canvas: Canvas,
    width: float,
    *,
    name: str,
    offset: float = 0.0,
    angle: float | None = None,
    bend: float = 0.06,
    material: str = "asphalt",
    feature: str = "road",
) -> Mask:
    """A gently winding road across the place; gives where it runs."""
    rng = canvas.rng(name)
    along, across = canvas.turned(rng.uniform(0, np.pi) if angle is None else angle)
    del along
    winding = bend * canvas.extent * canvas.noise(f"{name}/wind", canvas.extent / 2.2)
    value = across - np.float32(offset) + winding
    slope_y, slope_x = np.gradient(value, np.float32(canvas.cell))
    away = np.abs(value) / np.hypot(slope_x, slope_y)
    where = away < max(0.5 * width, 0.3 * canvas.cell)
    over = where & canvas.is_any("river", "lake", "sea", "pond", "flood")
    canvas.paint(where, material, light=1.0, variant=int(rng.integers(8)))
    if canvas.cell < FINE_CELL and material == "asphalt":
        mark = where & (away < 0.12) & (np.mod(canvas.x + canvas.y, 9) < 4)
        canvas.light[mark] = 3.0
    canvas.feature(feature, where)
    if over.any():
        canvas.paint(over, material, light=1.1, top=6.0)
        canvas.feature("bridge", over)
    return where


def _plots(u: Floats, v: Floats, block: tuple[float, float], street: float, salt: int) -> _Block:
    """Blocks between streets, and place within them; every second row of blocks is staggered."""
    column = np.floor(u / block[0]).astype(np.int64)
    shifted = v + block[1] * hashed(column, salt) * (hashed(column, salt + 1) < 0.5)
    row = np.floor(shifted / block[1]).astype(np.int64)
    in_u, in_v = u - column * block[0], shifted - row * block[1]
    edge = np.minimum(np.minimum(in_u, block[0] - in_u), np.minimum(in_v, block[1] - in_v))
    ids = column * 7919 + row * 104_729
    return _Block(ids, *(np.asarray(a, np.float32) for a in (in_u, in_v, edge - street / 2)))


class _Block:
    """Number of the block, metres within it, metres to the kerb (negative on the street)."""

    def __init__(self, ids: Ints, u: Floats, v: Floats, kerb: Floats) -> None:
        self.ids, self.u, self.v, self.kerb = ids, u, v, kerb


def town(canvas: Canvas, where: Mask, style: str = "suburb", *, name: str = "town") -> None:
    """Streets and blocks: houses with gardens ("suburb"), closed blocks ("city") or halls ("works")."""
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
        for along, across in ((block.u, block.v), (block.v, block.u)):
            del across
            place = np.floor(along / 6.2).astype(np.int64)
            ids = block.ids * 101 + place
            taken = hashed(ids, salt + 31) < 0.3
            car = (block.kerb < -0.3) & (block.kerb > -2.1) & (np.mod(along, 6.2) < 4.4)
            part = where & taken & car & (np.minimum(block.u, block.v) > 9)
            _cars(canvas, part, ids * 2 + (along is block.u), salt)


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
    canvas: Canvas, where: Mask, ids: Ints, style: str, salt: int, ridge: Floats, height: Floats
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


def tank_farm(canvas: Canvas, where: Mask) -> None:
    """Round storage tanks in rows within low walls."""
    rng = canvas.rng("tanks")
    salt = canvas.salt("tanks")
    radius = float(rng.uniform(9, 26))
    pitch = 2.9 * radius
    u, v = canvas.turned(float(rng.uniform(0, np.pi)))
    column, row = np.floor(u / pitch).astype(np.int64), np.floor(v / pitch).astype(np.int64)
    ids = column * 7919 + row * 104_729
    away = np.hypot(u - (column + 0.5) * pitch, v - (row + 0.5) * pitch)
    own = radius * (0.6 + 0.4 * np.round(2 * hashed(ids, salt)) / 2)
    canvas.paint(where, "gravel", light=0.95, variant=salt % 8, mix=0.2)
    tank = where & (away < own) & (hashed(ids, salt + 1) < 0.85)
    # A tank that the patch cuts through is left out.
    cut = np.unique(ids[tank & ~_inner(where)])
    tank &= ~np.isin(ids, cut)
    rim = 1 - 0.18 * (away > 0.9 * own) + 0.05 * (away < 0.1 * own)
    canvas.paint(
        tank, "tank", variant=variants(ids, salt + 2), light=rim.astype(np.float32), top=12.0
    )
    canvas.parcels(tank, ids, "storage_tank")
    canvas.feature("tanks", tank)


def _inner(where: Mask) -> Mask:
    """The mask without its outermost cells."""
    inner = where.copy()
    inner[1:] &= where[:-1]
    inner[:-1] &= where[1:]
    inner[:, 1:] &= where[:, :-1]
    inner[:, :-1] &= where[:, 1:]
    return inner


def ship(canvas: Canvas, x: float, y: float, length: float, angle: float, *, wake: bool) -> None:
    """A ship with a pointed bow, where it is afloat from end to end."""
    along, across = canvas.turned(angle, x, y)
    beam = length / (5.0 if length < 60 else 6.5)
    taper = np.clip((length / 2 - along) / (0.25 * length), 0, 1) ** 0.6
    hull = (np.abs(along) < length / 2) & (np.abs(across) < 0.5 * beam * np.maximum(taper, 0.05))
    afloat = canvas.is_any("sea", "lake", "river")
    if not hull.any() or not afloat[hull].all():
        return
    if wake:
        trail = (along < 0) & (along > -6 * length) & (np.abs(across) < 0.35 * beam - 0.06 * along)
        canvas.light[trail & afloat & ~hull] *= (
            1.0 + 1.6 * np.exp(along / (2 * length))[trail & afloat & ~hull]
        )
    number = len(canvas.kinds)
    material = "cargo" if length > 90 and number % 2 else "ship"
    canvas.paint(hull, material, variant=number % 8, light=1.0, top=8.0)
    bridge = hull & (along < -0.3 * length) & (along > -0.42 * length)
    canvas.light[bridge] = 2.2
    canvas.thing(hull, "ship")
    canvas.feature("ships", hull)


def harbour(canvas: Canvas, shore: Floats) -> None:
    """Quays, basins, sheds and ships along a coast; `shore` is metres from it, positive on land."""
    rng = canvas.rng("harbour")
    span = canvas.extent
    along, across = canvas.turned(rng.uniform(0, 2 * np.pi))
    depth = float(np.clip(0.16 * span, 40, 500))
    quay = (shore >= 0) & (shore < depth)
    town(canvas, quay, "works", name="harbour/works")
    pitch, width = float(np.clip(span / 5, 60, 420)), float(np.clip(span / 16, 14, 110))
    pier = (shore < 0) & (shore > -depth) & (np.mod(along, pitch) < width)
    canvas.paint(pier, "paving", light=0.95, variant=2, top=2.0)
    canvas.feature("piers", pier)
    del across
    for number in range(int(rng.integers(4, 14))):
        length = float(np.clip(rng.lognormal(np.log(span / 14), 0.6), 9, 300))
        x, y = rng.uniform(-0.5, 0.5, 2) * span
        ship(canvas, x, y, length, rng.uniform(0, 2 * np.pi), wake=number % 4 == 0)


def airfield(canvas: Canvas) -> None:
    """A runway, a taxiway and a terminal with parked aircraft."""
    rng = canvas.rng("airfield")
    turn = rng.uniform(0, np.pi)
    along, across = canvas.turned(turn)
    half = 0.46 * min(canvas.extent, 3600)
    strip = float(np.clip(canvas.extent / 20, 18, 45))
    taxi = 4.2 * strip
    runway = (np.abs(across) < strip / 2) & (np.abs(along) < half)
    canvas.paint(runway, "runway", variant=1)
    canvas.feature("runway", runway)
    taxiway = (np.abs(across - taxi) < 0.25 * strip) & (np.abs(along) < half)
    link = (across > 0) & (across < taxi) & (np.mod(along + half, half / 1.5) < 0.5 * strip)
    canvas.paint((taxiway | link) & (np.abs(along) < half), "runway", variant=2, light=1.1)
    apron = (across > taxi) & (across < taxi + 3.2 * strip) & (np.abs(along) < 0.55 * half)
    canvas.paint(apron, "paving", light=0.9, variant=3)
    hall = (
        (across > taxi + 3.2 * strip)
        & (across < taxi + 4.4 * strip)
        & (np.abs(along) < 0.45 * half)
    )
    canvas.paint(hall, "hall_roof", top=14.0)
    canvas.thing(hall, "building")
    if canvas.cell < 3:
        if canvas.cell < FINE_CELL * 2:
            mark = runway & (np.abs(across) < 0.45) & (np.mod(along, 50) < 30)
            canvas.light[mark] = 2.6
        for place in np.arange(-0.5 * half, 0.5 * half, 1.35 * strip):
            if rng.random() < 0.6:
                middle = taxi + 2.2 * strip
                x = place * np.cos(turn) - middle * np.sin(turn)
                y = place * np.sin(turn) + middle * np.cos(turn)
                _plane(canvas, x, y, float(rng.uniform(0.7, 1.1) * strip), turn + np.pi / 2)


def _plane(canvas: Canvas, x: float, y: float, length: float, angle: float) -> None:
    """An aircraft: fuselage, swept wings, tail."""
    along, across = canvas.turned(angle, x, y)
    side = np.abs(across)
    body = (np.abs(along) < length / 2) & (side < 0.055 * length)
    wing = (side < 0.48 * length) & (np.abs(along - 0.06 * length + 0.42 * side) < 0.085 * length)
    tail = (side < 0.18 * length) & (np.abs(along + 0.43 * length + 0.3 * side) < 0.045 * length)
    whole = body | wing | tail
    canvas.paint(whole, "plane", variant=len(canvas.kinds) % 8, top=4.0)
    canvas.thing(whole, "aircraft")
    canvas.feature("planes", whole)


def solar_park(canvas: Canvas, where: Mask) -> None:
    """Rows of panels on grass, running east to west."""
    pitch, wide = (9.0, 5.0)
    if canvas.cell > 3:
        canvas.paint(where, "solar", light=1.15, mix=0.0)
    else:
        canvas.paint(where, "grass", mix=0.4, light=0.85)
        rows = where & (np.mod(canvas.y, pitch) < wide) & (np.mod(canvas.x, 62) > 3)
        canvas.paint(rows, "solar", top=2.0)
    canvas.feature("solar", where)
