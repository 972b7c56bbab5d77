"""Areas on the ground, shares and counts, summed tile by tile.

Make a `Tally` with the classes region, observed and target, `add` each tile, and read off its
`measurements`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyproj
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.errors import InputError
from terralogue.tools.grid import Grid, ground_crs, why_no_ground
from terralogue.tools.schemas import AreaUnit, Measurement

# Square metres; the acre is the international one.
UNITS: dict[AreaUnit, float] = {"m2": 1.0, "ha": 1e4, "km2": 1e6, "acre": 4046.8564224}

_SPACING = 25_000.0  # metres between nodes of the area lattice
_NODES = 257  # at most, along one side
_CORNERS = np.array(
    [(0, 0), (0.5, 0), (1, 0), (1, 0.5), (1, 1), (0.5, 1), (0, 1), (0, 0.5)], dtype=np.float64
)


def to_unit(square_metres: float, unit: AreaUnit) -> float:
    """Convert an area in square metres."""
    return square_metres / UNITS[unit]


class GroundAreas:
    """Geodesic area of the pixels of a grid, on the ellipsoid of its CRS.

    The area of one pixel changes smoothly over a grid. It is computed exactly (as a geodesic
    polygon, Karney 2013, doi:10.1007/s00190-012-0578-z) at the nodes of a lattice at most
    25 km wide (or 1/256 of the grid), and linearly between. That is within 0.04 % of the exact
    sum on a whole-world Web Mercator grid, and within 0.001 % on a UTM scene.
    """

    def __init__(self, grid: Grid) -> None:
        """Compute the lattice.

        Raises:
            InputError: the grid is not tied to the ground.
        """
        crs = ground_crs(grid)
        if crs is None:
            raise InputError(f"{grid.name} has no ground area: {why_no_ground(grid)}.")
        assert crs.geodetic_crs is not None
        self._geod = crs.get_geod() or pyproj.Geod(ellps="WGS84")
        self._to_degrees = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
        self._transform = grid.transform
        middle = self._pixel_area(grid.width // 2, grid.height // 2)
        side = math.sqrt(middle) if math.isfinite(middle) and middle > 0 else _SPACING
        self._columns = _nodes(grid.width, side)
        self._rows = _nodes(grid.height, side)
        lattice = [[self._pixel_area(c, r) for c in self._columns] for r in self._rows]
        # Nodes outside the domain of the projection lie under pixels that show nothing.
        self._lattice = np.nan_to_num(np.array(lattice), posinf=0.0, neginf=0.0)

    def _pixel_area(self, column: float, row: float) -> float:
        to_x = self._transform
        columns, rows = _CORNERS[:, 0] + column, _CORNERS[:, 1] + row
        x = to_x.a * columns + to_x.b * rows + to_x.c
        y = to_x.d * columns + to_x.e * rows + to_x.f
        longitude, latitude = self._to_degrees.transform(x, y)
        if not (np.isfinite(longitude).all() and np.isfinite(latitude).all()):
            return math.nan
        area, _ = self._geod.polygon_area_perimeter(longitude, latitude)
        return abs(float(area))

    def of(self, mask: NDArray[np.bool_], window: Window) -> float:
        """Square metres of the True pixels of a mask (H, W) that lies at a window of the grid."""
        rows = _weights(self._rows, window.row_off, mask.shape[0])
        columns = _weights(self._columns, window.col_off, mask.shape[1])
        return float(np.sum(self._lattice * (rows.T @ (mask.astype(np.float64) @ columns))))

    def pixels(self, window: Window) -> NDArray[np.float64]:
        """Square metres of each pixel of a window: float64 (H, W)."""
        rows = _weights(self._rows, window.row_off, int(window.height))
        columns = _weights(self._columns, window.col_off, int(window.width))
        areas: NDArray[np.float64] = rows @ self._lattice @ columns.T
        return areas


def _nodes(length: int, side: float) -> NDArray[np.float64]:
    """Pixel numbers of lattice nodes along one side, first and last pixel included."""
    count = min(math.ceil(length * side / _SPACING) + 1, _NODES, length)
    return np.linspace(0, length - 1, max(count, 1))


def _weights(nodes: NDArray[np.float64], start: int, count: int) -> NDArray[np.float64]:
    """Linear interpolation from nodes to `count` pixels: float64 (count, nodes)."""
    if len(nodes) == 1:
        return np.ones((count, 1))
    position = (np.arange(start, start + count) - nodes[0]) / (nodes[1] - nodes[0])
    left = np.clip(np.floor(position).astype(int), 0, len(nodes) - 2)
    weights = np.zeros((count, len(nodes)))
    pixel = np.arange(count)
    weights[pixel, left] = 1 - (position - left)
    weights[pixel, left + 1] = position - left
    return weights


class Tally:
    """Pixels and ground area of named classes.

    `region` (asked about) and `observed` (asked about, and seen) are needed for `measurements`.
    """

    def __init__(self, grid: Grid, classes: Sequence[str]) -> None:
        """Start at zero; `grid` is the one that windows refer to."""
        self.no_area = why_no_ground(grid)
        self._areas = None if self.no_area else GroundAreas(grid)
        self.pixels = dict.fromkeys(classes, 0)
        self.square_metres = dict.fromkeys(classes, 0.0)

    def add(self, window: Window, **masks: NDArray[np.bool_]) -> None:
        """Add one tile: a mask bool (H, W) per class, at a window of the grid."""
        for name, mask in masks.items():
            count = int(np.count_nonzero(mask))
            self.pixels[name] += count
            if self._areas is not None and count:
                self.square_metres[name] += self._areas.of(mask, window)

    @property
    def warnings(self) -> list[str]:
        """Says why there is no area, where there is none."""
        if self.no_area is None:
            return []
        return [f"No area is given, only shares and pixel counts: {self.no_area}."]

    def amount(self, name: str) -> float:
        """Square metres of a class, or its pixels on a grid that is not tied to the ground."""
        return float(self.pixels[name]) if self.no_area else self.square_metres[name]

    def share(self, name: str, of: str = "observed") -> float:
        """How much of a class one of its parts is, in percent; NaN where it is empty."""
        whole = self.amount(of)
        # A part that is the whole may have been summed in another order.
        return min(100.0 * self.amount(name) / whole, 100.0) if whole else math.nan

    def size(
        self,
        name: str,
        unit: AreaUnit,
        *,
        called: str,
        label: str,
        method: str,
        artefact: str | None = None,
    ) -> Measurement:
        """Area of a class; without ground its pixel count, called `…pixels` for `…area`."""
        value, given, how = self.square_metres[name] / UNITS[unit], str(unit), "; geodesic area"
        if self.no_area:
            value, given, how = float(self.pixels[name]), "px", "; pixel count"
            called = called.replace("area", "pixels")
        return Measurement(
            name=called,
            value=value,
            unit=given,
            method=method + how,
            artefact=artefact,
            label=label,
        )

    def measurements(
        self,
        *,
        label: str,
        method: str,
        unit: AreaUnit,
        target: str = "target",
        artefact: str | None = None,
    ) -> list[Measurement]:
        """Area, share, observed share and hidden area of a class.

        Without a CRS, `pixels` and `hidden_pixels` stand in for `area` and `hidden_area`.

        Raises:
            InputError: nothing inside the region was observed.
        """
        self.require_observed()
        self.pixels["hidden"] = self.pixels["region"] - self.pixels["observed"]
        self.square_metres["hidden"] = max(
            self.square_metres["region"] - self.square_metres["observed"], 0.0
        )
        unseen = "pixels without data, or under cloud or cloud shadow"
        return [
            self.size(target, unit, called="area", label=label, method=method, artefact=artefact),
            Measurement(
                name="share",
                value=self.share(target),
                unit="%",
                method=f"{method.partition(':')[0]}; share of the observed area",
                artefact=artefact,
                label=f"{label}, share of what was seen",
            ),
            Measurement(
                name="observed_share",
                value=self.share("observed", of="region"),
                unit="%",
                method=f"all but {unseen}",
                artefact=artefact,
                label="Seen, not hidden",
            ),
            self.size(
                "hidden",
                unit,
                called="hidden_area",
                label="Hidden by cloud or missing data",
                method=unseen,
                artefact=artefact,
            ),
        ]

    def require_observed(self) -> None:
        """Raise InputError where nothing inside the region was observed."""
        if self.pixels["observed"]:
            return
        raise InputError(
            "No valid pixel: every pixel asked about is missing, masked as no-data or hidden by "
            "cloud; choose another scene or region."
        )
