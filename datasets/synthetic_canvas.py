"""The sheet that layouts paint on: a fine grid of ground in metres, with noise that stays put.

Noise and hashes belong to the place, not to the grid: the same metre gets the same value however
fine the grid is, so that a place can be seen by several sensors.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.spectra import Floats, Real
from terralogue.datasets.synthetic_looks import Look, look
from terralogue.datasets.synthetic_materials import CODES, VARIANTS, Climate

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]


def hashed(ids: Ints, salt: int) -> Floats:
    """One reproducible number in [0, 1) for each id."""
    mixed = (ids * 2_654_435_761 + salt * 40_503_001) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 15)) * 2_246_822_519) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 3_266_489_917) & 0xFFFFFFFF
    return (((mixed ^ (mixed >> 16)) & 0xFFFFFF) / np.float32(1 << 24)).astype(np.float32)


def _splines(metres: Floats, length: float) -> tuple[Floats, Ints]:
    """Weights (n, knots) of cubic B-splines every `length` metres, and the knots' numbers."""
    place = metres.astype(np.float64) / length
    cell = np.floor(place).astype(np.int64)
    t = place - cell
    parts = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    first = int(cell.min()) - 1
    matrix = np.zeros((len(metres), int(cell.max()) - first + 3), np.float32)
    rows = np.arange(len(metres))
    for shift, part in enumerate(parts):
        matrix[rows, cell - first + shift - 1] = part / 6
    return matrix, first + np.arange(matrix.shape[1])


def smooth_field(rng: np.random.Generator, axis: Floats, length: float, count: int) -> Floats:
    """Smooth noise of about unit variance on a square grid.

    Args:
        rng: Source of chance; the same state gives the same field on every grid.
        axis: Metres of the cells, the same along both sides.
        length: Metres between knots, about half a wavelength.
        count: Knots along a side, after which the field repeats.
    """
    lattice = rng.standard_normal((count, count), dtype=np.float32)
    shift = rng.uniform(0, count, 2) * length
    rows, down = _splines(axis + shift[0], length)
    columns, right = _splines(axis + shift[1], length)
    knots = lattice[np.ix_(down % count, right % count)]
    # Cubic B-splines keep 0.479 of the standard deviation of the lattice.
    return np.asarray(rows @ (knots @ columns.T) / 0.479, np.float32)


@dataclass(frozen=True)
class Grid:
    """A square grid of cells about the middle of a place.

    Attributes:
        size: Cells along each side.
        cell: Metres along one cell.
    """

    size: int
    cell: float

    @property
    def axis(self) -> Floats:
        """Metres from the middle of the place to the middle of each cell."""
        return ((np.arange(self.size) + 0.5 - self.size / 2) * self.cell).astype(np.float32)


@dataclass
class Canvas:
    """Ground on a fine grid; x runs to the right and y down, in metres from the middle.

    Attributes:
        grid: Its cells.
        seed: Of the place.
        extent: Metres along the side that the place was laid out for.
        climate: What grows.
        season: Fraction of the year.
        prosail: Canopies by PROSAIL instead of the library's.
        material: uint8 (n, n), index into MATERIALS.
        variant: uint8 (n, n), below VARIANTS.
        light: float32 (n, n), factor on the brightness.
        mix: float32 (n, n), share of the material's background, 0 to 1.
        terrain: float32 (n, n), metres above the sea.
        top: float32 (n, n), metres of what stands on the terrain.
        things: int32 (n, n), number of the instance that covers a cell, 0 for none.
        kinds: Class of each instance, by its number less one.
        features: Named parts of the scenery, as masks (n, n).
    """

    grid: Grid
    seed: int
    extent: float
    climate: Climate
    season: float
    prosail: bool = False
    material: NDArray[np.uint8] = field(init=False)
    variant: NDArray[np.uint8] = field(init=False)
    light: Floats = field(init=False)
    mix: Floats = field(init=False)
    terrain: Floats = field(init=False)
    top: Floats = field(init=False)
    things: NDArray[np.int32] = field(init=False)
    kinds: list[str] = field(default_factory=list)
    features: dict[str, Mask] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start with flat, even grass."""
        shape = (self.grid.size, self.grid.size)
        self.material = np.full(shape, CODES["grass"], np.uint8)
        self.variant = np.zeros(shape, np.uint8)
        self.light = np.ones(shape, np.float32)
        self.mix = np.zeros(shape, np.float32)
        self.terrain = np.zeros(shape, np.float32)
        self.top = np.zeros(shape, np.float32)
        self.things = np.zeros(shape, np.int32)
        self.y, self.x = np.meshgrid(self.grid.axis, self.grid.axis, indexing="ij")

    @property
    def cell(self) -> float:
        """Metres along one cell."""
        return self.grid.cell

    def look(self, name: str) -> Look:
        """How a material looks here and now."""
        return look(
            name,
            seed=self.seed,
            season=self.season,
            climate=self.climate,
            prosail=self.prosail,
        )

    def rng(self, name: str) -> np.random.Generator:
        """Chance that depends on the place and a name only."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def salt(self, name: str) -> int:
        """A number for `hashed` that depends on the place and a name only."""
        return zlib.crc32(f"{self.seed}/{name}".encode()) & 0xFFFF

    def noise(self, name: str, length: float) -> Floats:
        """Smooth noise of about unit variance; zero where it is too fine for the grid.

        Args:
            name: Different names give independent fields.
            length: Metres between knots, about half a wavelength.
        """
        if length < 0.75 * self.cell:
            return np.zeros((self.grid.size, self.grid.size), np.float32)
        # The larger lattice keeps fine grain from repeating in sight.
        count = 64 if self.extent / length < 48 else 144
        return smooth_field(self.rng(f"noise/{name}"), self.grid.axis, length, count)

    def layers(self, name: str, length: float, octaves: int = 3, gain: float = 0.5) -> Floats:
        """Noise of several lengths, each half the one before, together of unit variance."""
        total = np.zeros((self.grid.size, self.grid.size), np.float32)
        weight = 0.0
        for octave in range(octaves):
            total += gain**octave * self.noise(f"{name}/{octave}", length / 2**octave)
            weight += gain ** (2 * octave)
        return total / np.float32(np.sqrt(weight))

    def dither(self, name: str, level: Floats) -> NDArray[np.uint8]:
        """Variants about a smooth level (-2 to 2), scattered so that they blend into each other."""
        scatter = self.rng(f"dither/{name}").random(level.shape, dtype=np.float32)
        return np.clip((level + 2) * 1.6 + 1.6 * scatter, 0, VARIANTS - 1).astype(np.uint8)

    def paint(
        self,
        where: Mask,
        material: str,
        *,
        variant: NDArray[np.uint8] | int | None = None,
        light: Floats | float = 1.0,
        mix: Floats | float = 0.0,
        top: Floats | float = 0.0,
    ) -> None:
        """Cover cells with a material; arrays are those of the whole grid."""
        self.material[where] = CODES[material]
        for plane, value in (
            (self.variant, 0 if variant is None else variant),
            (self.light, light),
            (self.mix, mix),
            (self.top, top),
        ):
            plane[where] = value[where] if isinstance(value, np.ndarray) else value
        self.things[where] = 0

    def turned(self, angle: float, x: float = 0.0, y: float = 0.0) -> tuple[Floats, Floats]:
        """Coordinates along and across an axis through (x, y), turned clockwise by radians."""
        u, v = self.x - np.float32(x), self.y - np.float32(y)
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        return u * cos + v * sin, v * cos - u * sin

    def is_any(self, *materials: str) -> Mask:
        """Where any of the materials lies on top."""
        return np.isin(self.material, [CODES[name] for name in materials])

    def feature(self, name: str, where: Mask) -> None:
        """Remember a part of the scenery, for what is told about it."""
        known = self.features.get(name)
        self.features[name] = where.copy() if known is None else known | where

    def thing(self, where: Mask, kind: str) -> None:
        """Make one instance of the cells."""
        if where.any():
            self.kinds.append(kind)
            self.things[where] = len(self.kinds)

    def parcels(self, where: Mask, ids: Ints, kind: str) -> None:
        """Make one instance of the cells of each id."""
        if where.any():
            numbers, which = np.unique(ids[where], return_inverse=True)
            self.things[where] = len(self.kinds) + 1 + which
            self.kinds.extend([kind] * len(numbers))


def variants(ids: Ints, salt: int) -> NDArray[np.uint8]:
    """A variant for each id."""
    return (hashed(ids, salt) * VARIANTS).astype(np.uint8)


def line_distance(value: Real, cell: float) -> Floats:
    """Metres to the zero line of a smooth function: its value over its slope."""
    slope_y, slope_x = np.gradient(value, np.float32(cell))
    return np.asarray(np.abs(value) / np.maximum(np.hypot(slope_x, slope_y), 0.15), np.float32)
