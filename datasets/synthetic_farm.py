"""Farmland of simulated scenes: patchwork, strips, sections of a land survey, centre pivots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terralogue.datasets.spectra import Floats
from terralogue.datasets.synthetic_canvas import Canvas, Ints, Mask, hashed, variants
from terralogue.datasets.synthetic_nature import TREE_CELL, crowns


@dataclass(frozen=True)
class Parcels:
    """Fields: number, metres to the nearest edge, metres along and across the rows."""

    ids: Ints
    edge: Floats
    along: Floats
    across: Floats


# Breadth of a row of fields and range of their lengths, in metres; how often the direction turns.
_STYLES = {
    "patchwork": (210.0, 120.0, 380.0, 1500.0),
    "strips": (46.0, 180.0, 500.0, 1100.0),
    "large": (420.0, 300.0, 900.0, 3800.0),
    "paddies": (60.0, 40.0, 110.0, 700.0),
}
STYLES = (*_STYLES, "sections")


def parcels(canvas: Canvas, style: str) -> Parcels:
    """Divide the whole place into fields."""
    salt = canvas.salt(f"fields/{style}")
    if style == "sections":
        u, v = canvas.turned(float(canvas.rng("sections").uniform(-0.12, 0.12)))
        return _sections(u, v, salt)
    breadth, shortest, longest, turning = _STYLES[style]
    bent_x = canvas.x + 0.16 * turning * canvas.noise("fields/bend", turning)
    bent_y = canvas.y + 0.16 * turning * canvas.noise("fields/bow", turning)
    region = (np.floor(bent_x / turning) * 31 + np.floor(bent_y / (1.15 * turning))).astype(
        np.int64
    )
    turn = 0.3 + 1.2 * hashed(region, salt)
    u = canvas.x * np.cos(turn) + canvas.y * np.sin(turn)
    v = canvas.y * np.cos(turn) - canvas.x * np.sin(turn)
    wide = breadth * (0.75 + 0.55 * hashed(region, salt + 1))
    row = np.floor(u / wide).astype(np.int64)
    strip = region * 1009 + row
    length = shortest + (longest - shortest) * hashed(strip, salt + 2) ** 1.4
    shifted = v + 900 * hashed(strip, salt + 3)
    column = np.floor(shifted / length).astype(np.int64)
    # Some fields are shared lengthwise between two owners.
    ids = strip * 4099 + column
    half = (u - row * wide > 0.5 * wide) & (hashed(ids, salt + 4) < 0.35)
    edge_u = np.minimum(u - row * wide, (row + 1) * wide - u)
    middle = np.abs(u - (row + 0.5) * wide)
    edge_u = np.where(hashed(ids, salt + 4) < 0.35, np.minimum(edge_u, middle), edge_u)
    edge_v = np.minimum(shifted - column * length, (column + 1) * length - shifted)
    ids = ids * 2 + half
    edge = np.minimum(edge_u, edge_v)
    return Parcels(ids, *(np.asarray(a, np.float32) for a in (edge, v, u)))


def _sections(u: Floats, v: Floats, salt: int) -> Parcels:
    """Square miles cut into quarters, some of those again: the North American land survey."""
    size = np.full(u.shape, 804.7, np.float32)
    ids = np.zeros(u.shape, np.int64)
    for level in range(2):
        column, row = np.floor(u / size).astype(np.int64), np.floor(v / size).astype(np.int64)
        ids = column * 7919 + row * 104_729 + level * 1_299_709
        divided = hashed(ids, salt + level) < (0.6, 0.35)[level]
        size = np.where(divided, size / 2, size).astype(np.float32)
    column, row = np.floor(u / size), np.floor(v / size)
    ids = (column * 7919 + row * 104_729 + size * 13).astype(np.int64)
    edge_u = np.minimum(u - column * size, (column + 1) * size - u)
    edge_v = np.minimum(v - row * size, (row + 1) * size - v)
    return Parcels(ids, np.minimum(edge_u, edge_v).astype(np.float32), v, u)


def fields(canvas: Canvas, where: Mask, style: str = "patchwork") -> Parcels:
    """Cover with fields of the climate's crops, with margins, tracks and rows."""
    land = parcels(canvas, style)
    salt = canvas.salt(f"crops/{style}")
    crops = (
        ("rice", "rice", "rice", "fallow", "pond") if style == "paddies" else canvas.climate.crops
    )
    chosen = (hashed(land.ids, salt) * len(crops)).astype(np.int64)
    kind = variants(land.ids, salt + 1)
    light = 0.93 + 0.14 * hashed(land.ids, salt + 2)
    light += 0.025 * canvas.layers("fields/soil", 90, 3)
    light = light + _rows(canvas, land)
    patch = np.clip(0.10 * canvas.layers("fields/patch", 55, 3) + 0.03, 0, 0.5)
    for index, crop in enumerate(crops):
        part = where & (chosen == index)
        if crop == "orchard":
            _orchard(canvas, part, land, kind)
        else:
            canvas.paint(part, crop, variant=kind, light=light, mix=patch.astype(np.float32))
    _margins(canvas, where, land, style)
    canvas.feature("fields", where)
    return land


def _rows(canvas: Canvas, land: Parcels) -> Floats:
    """Tramlines every 21 m, and rows of plants where the grid is fine enough."""
    rows = np.zeros_like(canvas.x)
    if canvas.cell < 8:
        strength = 0.05 if canvas.cell < 4 else 0.025
        rows -= strength * (np.mod(land.across, 21.0) < max(1.2, canvas.cell * 0.8))
    if canvas.cell < 0.5:
        rows += 0.06 * np.sin(land.across * np.float32(2 * np.pi / 1.5))
    return rows.astype(np.float32)


def _orchard(canvas: Canvas, where: Mask, land: Parcels, kind: np.ndarray) -> None:
    """Trees in rows on grass or soil."""
    if canvas.cell > TREE_CELL:
        canvas.paint(where, "orchard", variant=kind, light=1.0, mix=0.35)
        canvas.feature("orchard", where)
        return
    u, v = np.mod(land.across, 6.0) - 3, np.mod(land.along, 5.0) - 2.5
    dome = np.sqrt(np.clip(1 - (u * u + v * v) / 2.1**2, 0, None))
    canvas.paint(where, "fallow", variant=kind, light=1.0)
    canvas.paint(where & (dome > 0), "orchard", variant=kind, light=1.05, top=3.5 * dome)
    canvas.feature("orchard", where)


def _margins(canvas: Canvas, where: Mask, land: Parcels, style: str) -> None:
    """Between fields: grass, hedges or tracks."""
    width = {"patchwork": 2.5, "strips": 1.0, "large": 4.0, "paddies": 1.2, "sections": 5.0}[style]
    rim = where & (land.edge < max(width, 0.35 * canvas.cell))
    canvas.paint(rim, "grass", light=0.95, mix=0.3)
    salt = canvas.salt("margins")
    owner = hashed(land.ids, salt)
    if style in ("patchwork", "large") and canvas.climate.name in ("temperate", "boreal"):
        hedge = where & (land.edge < 5) & (owner < 0.16)
        if canvas.cell <= TREE_CELL:
            dome, number = crowns(canvas, "hedge", 6.0)
            canvas.paint(hedge & (dome > 0.1), "deciduous", light=0.8 + 0.4 * number, top=5 * dome)
        else:
            canvas.paint(hedge, "deciduous", light=0.95, top=5.0)
    track = where & (land.edge < (4 if style == "sections" else 2.2)) & (owner > 0.72)
    canvas.paint(track, "track", light=1.0, variant=3)


def pivots(canvas: Canvas, where: Mask) -> None:
    """Circles of irrigated crops, each with its pipe, on dry land."""
    salt = canvas.salt("pivots")
    radius = float(canvas.rng("pivots").choice((200.0, 390.0, 400.0)))
    pitch = 2.06 * radius
    u, v = canvas.turned(float(canvas.rng("pivots").uniform(-0.2, 0.2)))
    column, row = np.floor(u / pitch).astype(np.int64), np.floor(v / pitch).astype(np.int64)
    ids = column * 7919 + row * 104_729
    away_u, away_v = u - (column + 0.5) * pitch, v - (row + 0.5) * pitch
    away = np.hypot(away_u, away_v)
    turn = np.arctan2(away_v, away_u)
    crops = ("alfalfa", "maize", "wheat", "fallow")
    # Some circles are halved between two crops.
    half = (hashed(ids, salt + 1) < 0.3) & (np.sin(turn + 6.28 * hashed(ids, salt + 2)) > 0)
    plot = ids * 2 + half
    chosen = (hashed(plot, salt + 3) * len(crops)).astype(np.int64)
    kind = variants(plot, salt + 4)
    light = 0.95 + 0.1 * hashed(plot, salt + 5) + 0.02 * np.sin(away / 8)
    watered = where & (away < radius * 0.985) & (hashed(ids, salt) < 0.85)
    for index, crop in enumerate(crops):
        part = watered & (chosen == index)
        mix = 0.03 + 0.1 * canvas.layers("pivots/patch", 40, 2)
        canvas.paint(part, crop, variant=kind, light=light, mix=np.clip(mix, 0, 0.4))
    if canvas.cell < 5:
        spoke = np.abs(np.sin(turn - 6.28 * hashed(ids, salt + 6))) * away < 1.5
        canvas.paint(watered & spoke & (np.cos(turn - 6.28 * hashed(ids, salt + 6)) > 0), "track")
    canvas.feature("pivots", watered)
