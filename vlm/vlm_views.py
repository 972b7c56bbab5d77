"""Views: a picture as a whole, and its parts enlarged, as the image tower is shown them.

Small things are lost where a whole scene is brought to 160 pixels; in its parts they are seen at
two or three times the scale. A region that is asked about is a further view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.pictures import RGB_BANDS
from terralogue.datasets.scene import Scene
from terralogue.datasets.tiles import TILE, Tile, TileReader, normalise
from terralogue.vlm.vlm import Picture

Share = tuple[float, float, float, float]
"""Left, top, right and bottom as shares of the picture."""

WHOLE: Final[Share] = (0.0, 0.0, 1.0, 1.0)
MOST_DATES: Final = 12
# From this many pixels along the longer side, three by three parts instead of two by two.
_LARGE: Final = 320
# Below this, parts hold no more than the whole shows.
_TINY: Final = 80
_SMALLEST: Final = 8


@dataclass(frozen=True)
class View:
    """What the tower sees at once.

    Attributes:
        data: float32 (bands, TILE, TILE), about -1 to 1; the picture's shape is not kept.
        bands: along the first axis.
        place: of the view within the picture.
        date: 0 is the earliest picture.
        asked: whether this is the region that is asked about.
    """

    data: NDArray[np.float32]
    bands: tuple[Band, ...]
    place: Share
    date: int = 0
    asked: bool = False


def views_of(
    pictures: Sequence[Picture], region: Share | None = None, *, parts: bool = True
) -> list[View]:
    """Views of one picture, a pair or a series, in order of time.

    One picture gives the whole and 2 x 2 or 3 x 3 parts, a pair the whole and 2 x 2 parts of both,
    a longer series the whole of each date.

    Args:
        pictures: of one place.
        region: that is asked about.
        parts: False for the whole alone.

    Raises:
        InputError: no picture or too many, or a region that is empty.
        SceneError: a scene cannot be read.
    """
    if not pictures:
        raise InputError("a question needs at least one picture")
    if len(pictures) > MOST_DATES:
        raise InputError(f"{len(pictures)} dates are too many; give at most {MOST_DATES}")
    if region is not None and not (region[0] < region[2] and region[1] < region[3]):
        raise InputError("the region that is asked about is empty; draw a larger one")
    views = []
    for date, picture in enumerate(pictures):
        read, size = _reader(picture)
        grid = _grid(size, len(pictures)) if parts else 0
        places = [(WHOLE, False)]
        places += [
            ((x / grid, y / grid, (x + 1) / grid, (y + 1) / grid), False)
            for y in range(grid)
            for x in range(grid)
        ]
        if region is not None:
            places.append((_widened(region, size), True))
        for place, asked in places:
            tile = read(place)
            views.append(View(_fitted(tile.data), tile.bands, place, date, asked))
    return views


def _grid(size: tuple[int, int], dates: int) -> int:
    """Parts along a side; 0 where there is no detail, or no room, for parts."""
    if dates > 2 or max(size) < _TINY:
        return 0
    return 3 if dates == 1 and max(size) >= _LARGE else 2


def _widened(region: Share, size: tuple[int, int]) -> Share:
    """A region of at least a few pixels, within the picture."""
    ends = []
    for axis in (0, 1):
        low, high = max(0.0, region[axis]), min(1.0, region[axis + 2])
        least = min(1.0, _SMALLEST / size[axis])
        middle = min(max((low + high) / 2, least / 2), 1 - least / 2)
        half = max(high - low, least) / 2
        ends.append((max(0.0, middle - half), min(1.0, middle + half)))
    (left, right), (top, bottom) = ends
    return left, top, right, bottom


def _reader(picture: Picture) -> tuple[Callable[[Share], Tile], tuple[int, int]]:
    """Reads parts of a picture, and its width and height."""
    if isinstance(picture, Scene):
        reader = TileReader(picture)
        size = (picture.width, picture.height)

        def read(place: Share) -> Tile:
            columns, rows = _spans(place, size)
            return reader.read(Window.from_slices(rows, columns))

        return read, size
    tile = picture if isinstance(picture, Tile) else _tile(picture)
    height, width = tile.data.shape[1:]

    def part(place: Share) -> Tile:
        columns, rows = (slice(*ends) for ends in _spans(place, (width, height)))
        return Tile(tile.data[:, rows, columns], tile.bands, tile.observed)

    return part, (width, height)


def _tile(picture: NDArray[np.uint8]) -> Tile:
    if picture.ndim != 3 or len(picture) != 3 or picture.dtype != np.uint8:
        raise InputError(
            f"a picture of shape {picture.shape} and {picture.dtype} cannot be read; give uint8 "
            "(3, H, W), a tile or a scene"
        )
    return Tile(normalise(picture, RGB_BANDS), RGB_BANDS)


def _spans(place: Share, size: tuple[int, int]) -> list[tuple[int, int]]:
    """First and last column, first and last row, of at least one pixel; the last is outside."""
    ends = []
    for axis in (0, 1):
        low = min(int(place[axis] * size[axis]), size[axis] - 1)
        ends.append((low, max(low + 1, min(size[axis], round(place[axis + 2] * size[axis])))))
    return ends


def _fitted(data: NDArray[np.float32]) -> NDArray[np.float32]:
    if data.shape[1:] == (TILE, TILE):
        return data
    image = torch.from_numpy(np.ascontiguousarray(data, np.float32))[None]
    fitted = F.interpolate(image, (TILE, TILE), mode="bilinear", antialias=True)
    return np.asarray(fitted[0].numpy(), np.float32)
