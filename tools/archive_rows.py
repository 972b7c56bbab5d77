"""From a scene to the rows of an archive: windows, thumbnails, footprints, dates, ids."""

from __future__ import annotations

import hashlib
import io
import re
from calendar import monthrange
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry

from terralogue.datasets.scene import Scene, open_scene
from terralogue.datasets.tiles import Tile, TileReader
from terralogue.tools.grid import ground_crs
from terralogue.tools.vector_store import Box, Kind, PixelWindow, Row
from terralogue.tools.vectors import to_lonlat

TILE_PIXELS: Final = 256
"""Side of a tile in pixels of the scene, unless said otherwise."""
# A scene up to this many tiles long is one row: its parts would show little more than it does.
_WHOLE_UP_TO: Final = 2
THUMBNAIL: Final = 96
"""Longer side of a thumbnail in pixels: about 3 kB as JPEG."""
_JPEG_QUALITY: Final = 82
# Less than this of a tile observed is nothing to find it by.
_LEAST_OBSERVED: Final = 0.05
_QUALITY_SIDE: Final = 128
# Names that files of many folders share: 1985.tif, im1.png, before.tif.
_GENERIC: Final = re.compile(
    r"(ima?ge?s?|im|date|time|before|after|pre|post|scene|tile|patch|chip|[abt])?[-_ ]?\d*",
    re.IGNORECASE,
)
# Middle of the three receptors of the eye, in micrometres.
_EYE: Final = (0.660, 0.560, 0.480)


def tile_windows(width: int, height: int, tile: int) -> list[PixelWindow]:
    """Windows that cover a scene: evenly spread squares of `tile` pixels, all inside; maybe none.

    A scene no longer than two tiles is not cut.
    """
    if max(width, height) <= _WHOLE_UP_TO * tile:
        return []
    return [
        (column, row, min(tile, width), min(tile, height))
        for row in _starts(height, tile)
        for column in _starts(width, tile)
    ]


def _starts(length: int, tile: int) -> list[int]:
    count = -(-length // tile)
    return [round(i) for i in np.linspace(0, max(length - tile, 0), count)]


def row_id(kind: Kind, source: str, window: PixelWindow | None, other: str = "") -> str:
    """Id of a row: the same for the same files and window."""
    text = "\0".join((kind, source, str(window), other))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def as_window(window: PixelWindow | None) -> Window | None:
    """For reading a scene."""
    return None if window is None else Window(*window)


def days_of(date: str | None) -> tuple[int, int] | None:
    """First and last day that a date may mean: 2020, 2020-07 or 2020-07-04; as 20200704."""
    if date is None:
        return None
    parts = [int(part) for part in date.split("-")]
    year, month = parts[0], parts[1] if len(parts) > 1 else None
    if month is None:
        return year * 10000 + 101, year * 10000 + 1231
    start = year * 10000 + month * 100
    if len(parts) > 2:
        return start + parts[2], start + parts[2]
    return start + 1, start + monthrange(year, month)[1]


def thumbnail(tile: Tile) -> bytes:
    """A small JPEG of a tile: red, green and blue where it has them, else one to three bands."""
    red_green_blue = tile.data[_shown(tile)]
    picture = np.clip((red_green_blue + 1) / 2, 0, 1) ** 0.8
    return jpeg(np.moveaxis((picture * 255).astype(np.uint8), 0, -1))


def jpeg(picture: NDArray[np.uint8], side: int = THUMBNAIL) -> bytes:
    """Pack (H, W, 3) as a JPEG with a longer side of `side` pixels."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    factor = side / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    packed = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(packed, "JPEG", quality=_JPEG_QUALITY)
    return packed.getvalue()


def unpacked(packed: bytes) -> NDArray[np.uint8]:
    """The picture (H, W, 3) in a JPEG."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(packed)).convert("RGB"))


def _shown(tile: Tile) -> list[int]:
    waves = [band.wavelength if band.kind == "optical" else None for band in tile.bands]
    known = {i: wave for i, wave in enumerate(waves) if wave is not None}
    if len(known) >= len(_EYE):
        return [min(known, key=lambda i: abs(known[i] - eye)) for eye in _EYE]
    last = len(tile.bands) - 1
    return [min(i, last) for i in range(3)]


@dataclass(frozen=True)
class Draft:
    """A row without its vector, and the tile to make that of."""

    row: Row
    tile: Tile


@dataclass(frozen=True)
class Origin:
    """The files of one scene as an archive knows them; see `Row` for the meaning."""

    key: str
    stamp: str
    paths: tuple[str, ...]
    stated: str | None = None


def open_origin(origin: Origin) -> Scene:
    """Open the scene.

    Raises:
        EOError: it cannot be opened, or the sensor stated does not fit.
    """
    source = origin.paths[0] if len(origin.paths) == 1 else origin.paths
    return open_scene(source, sensor=origin.stated)


def _title(scene: Scene) -> str:
    """Name for people, with its folder where the file's name alone tells nothing."""
    first = scene.paths[0]
    generic = len(scene.paths) == 1 and _GENERIC.fullmatch(first.stem)
    return f"{first.parent.name}/{scene.name}" if generic else scene.name


class Drawer:
    """Makes the rows of one scene.

    Args:
        scene: open.
        origin: its files.
    """

    def __init__(self, scene: Scene, origin: Origin) -> None:
        self._scene = scene
        self._origin = origin
        self._reader = TileReader(scene)
        self._crs = ground_crs(scene)

    def draft(self, window: PixelWindow | None) -> Draft | None:
        """The row of a window (None: the whole scene); None where next to nothing was observed.

        Raises:
            EOError: the pixels cannot be read.
        """
        scene, origin = self._scene, self._origin
        tile = self._reader.read(as_window(window))
        # In whichever band: products often come with a few bands that are empty throughout.
        observed = float(np.any(tile.data != 0, axis=0).mean())
        if observed < _LEAST_OBSERVED:
            return None
        kind: Kind = "scene" if window is None else "tile"
        ground = self.footprint(window)
        row = Row(
            id=row_id(kind, origin.key, window),
            kind=kind,
            source=origin.key,
            stamp=origin.stamp,
            paths=origin.paths,
            first=str(scene.paths[0]),
            stated=origin.stated,
            window=window,
            name=_title(scene),
            sensor=scene.sensor.key if scene.sensor else None,
            date=scene.date,
            days=days_of(scene.date),
            bounds=bounds_of(ground) if ground is not None else None,
            footprint=shapely.to_wkb(ground) if ground is not None else None,
            gsd=scene.gsd,
            observed=observed,
            cloud=self._cloud(window),
            thumbnail=thumbnail(tile),
            vector=np.zeros(0, np.float32),
        )
        return Draft(row, tile)

    def footprint(self, window: PixelWindow | None) -> BaseGeometry | None:
        """Outline in longitude and latitude, as RFC 7946 wants it; None without georeference."""
        if self._crs is None:
            return None
        column, row, width, height = window or (0, 0, self._scene.width, self._scene.height)
        corners: Polygon = box(column, row, column + width, row + height)
        ground = to_lonlat(corners, self._scene.transform, self._crs)
        return None if ground.is_empty else ground

    def _cloud(self, window: PixelWindow | None) -> float | None:
        width, height = window[2:] if window else (self._scene.width, self._scene.height)
        factor = min(1.0, _QUALITY_SIDE / max(width, height))
        shape = (max(1, round(height * factor)), max(1, round(width * factor)))
        found = self._scene.read_quality(as_window(window), shape)
        if found is None or found.nodata.all():
            return None
        return float(found.cloud.sum() / (~found.nodata).sum())


def bounds_of(ground: BaseGeometry) -> Box:
    """West, south, east, north of an outline; west > east where it was cut at the antimeridian."""
    west, south, east, north = (float(edge) for edge in ground.bounds)
    parts = [part.bounds for part in shapely.get_parts(ground)]
    if len(parts) > 1 and west <= -180 and east >= 180:
        west = min(float(part[0]) for part in parts if part[0] > 0)
        east = max(float(part[2]) for part in parts if part[2] < 0)
    return west, south, east, north
