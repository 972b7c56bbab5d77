"""What people build beside towns: roads, harbours and ships, tanks, airfields, solar parks."""

from __future__ import annotations

import numpy as np

from terralogue.datasets.spectra import Floats
from terralogue.datasets.synthetic_canvas import Canvas, Mask, hashed, variants
from terralogue.datasets.synthetic_town import FINE_CELL, town


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
    _, across = canvas.turned(rng.uniform(0, np.pi) if angle is None else angle)
    winding = bend * canvas.extent * canvas.noise(f"{name}/wind", canvas.extent / 2.2)
    value = across - np.float32(offset) + winding
    slope_y, slope_x = np.gradient(value, np.float32(canvas.cell))
    away = np.abs(value) / np.hypot(slope_x, slope_y)
    where: Mask = away < max(0.5 * width, 0.3 * canvas.cell)
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
    along, _ = canvas.turned(rng.uniform(0, 2 * np.pi))
    depth = float(np.clip(0.16 * span, 40, 500))
    quay = (shore >= 0) & (shore < depth)
    town(canvas, quay, "works", name="harbour/works")
    pitch, width = float(np.clip(span / 5, 60, 420)), float(np.clip(span / 16, 14, 110))
    pier = (shore < 0) & (shore > -depth) & (np.mod(along, pitch) < width)
    canvas.paint(pier, "paving", light=0.95, variant=2, top=2.0)
    canvas.feature("piers", pier)
    for number in range(int(rng.integers(4, 14))):
        length = float(np.clip(rng.lognormal(np.log(span / 11), 0.5), 9, 300))
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
