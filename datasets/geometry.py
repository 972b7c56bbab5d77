"""True ground size of a pixel and geographic bounds, whatever the coordinate reference system."""

from __future__ import annotations

from math import sqrt

from affine import Affine
from pyproj import Geod, Transformer
from pyproj.exceptions import ProjError
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform_bounds
from rasterio.windows import Window

_GEOD = Geod(ellps="WGS84")


def to_crs(transform: Affine, column: float, row: float) -> tuple[float, float]:
    """Coordinates of a pixel corner, spelled out: affine 3 deprecates the only way of affine 2."""
    t = transform
    return t.a * column + t.b * row + t.c, t.d * column + t.e * row + t.f


def window_transform(transform: Affine, window: Window, shape: tuple[int, int]) -> Affine:
    """Transform of a window that is read at `shape` (H, W)."""
    x, y = to_crs(transform, window.col_off, window.row_off)
    across, down = window.width / shape[1], window.height / shape[0]
    t = transform
    return Affine(t.a * across, t.b * down, x, t.d * across, t.e * down, y)


def ground_pixel_size(crs: CRS, transform: Affine, width: int, height: int) -> float | None:
    """Side in metres of a square with the ground area of the pixel at the centre of the image.

    Measured on the ellipsoid, so it holds in degrees, in Web Mercator (whose metres are not metres
    on the ground) and with rotated transforms.

    Returns:
        Metres, or None where the coordinates lie outside what the reference system can describe.
    """
    col, row = width / 2, height / 2
    corners = [(col, row), (col + 1, row), (col + 1, row + 1), (col, row + 1)]
    xs, ys = zip(*(to_crs(transform, *corner) for corner in corners), strict=True)
    try:
        to_degrees = Transformer.from_crs(crs.to_wkt(), "EPSG:4326", always_xy=True)
        longitudes, latitudes = to_degrees.transform(xs, ys, errcheck=True)
        area, _ = _GEOD.polygon_area_perimeter(longitudes, latitudes)
    except (ProjError, CRSError):
        return None
    return sqrt(abs(area)) or None


def geographic_bounds(
    crs: CRS, transform: Affine, width: int, height: int
) -> tuple[float, float, float, float] | None:
    """West, south, east, north in EPSG:4326; None where they cannot be computed."""
    corners = ((0, 0), (width, 0), (width, height), (0, height))
    xs, ys = zip(*(to_crs(transform, *corner) for corner in corners), strict=True)
    try:
        west, south, east, north = transform_bounds(
            crs, "EPSG:4326", min(xs), min(ys), max(xs), max(ys)
        )
    except CRSError:
        return None
    return west, south, east, north
