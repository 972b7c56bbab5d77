"""Work on a raster piece by piece: bounded memory, any executor, cancelled within one tile.

Point-wise work goes through `stream`; a model that needs context, through `blend`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.tools.run import Progress

# GDAL keeps decoded blocks up to a twentieth of the machine's memory, which a large scene fills.
# Megabytes; read by GDAL when it first caches a block.
os.environ.setdefault("GDAL_CACHEMAX", "256")

TILE = 1024
IN_FLIGHT = 4

T = TypeVar("T")


@dataclass(frozen=True)
class Tile:
    """One piece of work: `core` is to be written, `read` is `core` with its surroundings."""

    core: Window
    read: Window

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of `core` inside an array of the size of `read`."""
        row = self.core.row_off - self.read.row_off
        column = self.core.col_off - self.read.col_off
        return slice(row, row + self.core.height), slice(column, column + self.core.width)


def tiles(extent: Window, *, size: int = TILE, halo: int = 0) -> list[Tile]:
    """Cut a window of whole pixels into tiles, row by row.

    Args:
        extent: what to cover; `read` never leaves it.
        size: rows and columns of a core; the last ones of a row or column may be smaller.
        halo: pixels of surroundings on every side.
    """
    found = []
    bottom, right = extent.row_off + extent.height, extent.col_off + extent.width
    for row in range(extent.row_off, bottom, size):
        for column in range(extent.col_off, right, size):
            height, width = min(size, bottom - row), min(size, right - column)
            top, left = max(row - halo, extent.row_off), max(column - halo, extent.col_off)
            read = Window(
                left,
                top,
                min(column + width + halo, right) - left,
                min(row + height + halo, bottom) - top,
            )
            found.append(Tile(Window(column, row, width, height), read))
    return found


def stream(
    work: Callable[[Tile], T],
    pieces: Sequence[Tile],
    executor: Executor,
    *,
    progress: Progress | None = None,
    message: str = "",
    in_flight: int = IN_FLIGHT,
) -> Iterator[tuple[Tile, T]]:
    """Run `work` on every tile and yield the results in the order of the tiles.

    At most `in_flight` tiles are submitted and not yet consumed, so memory does not grow with
    the raster. `progress` is called after each tile that was consumed. When it raises, when
    `work` raises, or when the caller stops early, tiles not begun are cancelled, those running
    are waited for, and the exception goes on to the caller.
    """
    pending: deque[tuple[Tile, Future[T]]] = deque()
    waiting = iter(pieces)
    done = 0
    try:
        while True:
            while len(pending) < in_flight and (piece := next(waiting, None)) is not None:
                pending.append((piece, executor.submit(work, piece)))
            if not pending:
                return
            piece, future = pending[0]
            result = future.result()
            pending.popleft()
            yield piece, result
            del result, future
            done += 1
            if progress is not None:
                progress(done, len(pieces), message)
    finally:
        left = [future for _, future in pending]
        for future in left:
            future.cancel()
        # Whoever closes the scene next must not pull it from under a running tile.
        wait(left)


def blend(
    predict: Callable[[Window], NDArray[np.float32]],
    width: int,
    height: int,
    executor: Executor,
    *,
    size: int = 256,
    overlap: float = 0.2,
    progress: Progress | None = None,
    message: str = "",
    in_flight: int = IN_FLIGHT,
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Run a model of fixed input size over a raster, its overlapping outputs blended.

    Args:
        predict: gives the scores float32 (classes, size, size) of a window of `size` by `size`
            pixels. Windows hang over the edges of the raster (negative offsets): `predict`
            pads there.
        width: columns of the raster.
        height: rows of the raster.
        executor: runs `predict`.
        size: input of the model.
        overlap: share of a tile, at most 0.5, that the next one covers again; outputs fade
            into each other over it by a tapered cosine, whose weights add up to one.
        progress: as in `stream`.
        message: as in `stream`.
        in_flight: as in `stream`.

    Yields:
        Finished strips from top to bottom: their window and scores (classes, rows, width).
    """
    margin = int(size * overlap)
    step = int(size - size * overlap)
    again = size - step
    rows, columns = _starts(height, margin, step), _starts(width, margin, step)
    pieces = [
        Tile(Window(column, row, size, size), Window(column, row, size, size))
        for row in rows
        for column in columns
    ]
    edge = overlap * (size - 1)
    near = np.minimum(np.arange(size), np.arange(size)[::-1])
    taper = 0.5 - 0.5 * np.cos(np.pi * np.minimum(near / edge, 1)) if edge else np.ones(size)
    taper = taper.astype(np.float32)
    weight = taper[:, None] * taper[None, :]
    strip: NDArray[np.float32] | None = None
    total: NDArray[np.float32] | None = None
    done = stream(
        lambda tile: predict(tile.core),
        pieces,
        executor,
        progress=progress,
        message=message,
        in_flight=in_flight,
    )
    span = columns[-1] + size + margin
    for number, (tile, scores) in enumerate(done):
        if strip is None or total is None:
            strip = np.zeros((scores.shape[0], size, span), np.float32)
            total = np.zeros((size, span), np.float32)
        left = tile.core.col_off + margin
        strip[:, :, left : left + size] += scores * weight
        total[:, left : left + size] += weight
        if (number + 1) % len(columns):
            continue
        top = tile.core.row_off
        last = number + 1 == len(pieces)
        first_row, end_row = max(top, 0), min(top + (size if last else step), height)
        if end_row > first_row:
            part = slice(first_row - top, end_row - top)
            inside = slice(margin, margin + width)
            yield (
                Window(0, first_row, width, end_row - first_row),
                strip[:, part, inside] / total[part, inside],
            )
        strip[:, :again], total[:again] = strip[:, step:], total[step:]
        strip[:, again:], total[again:] = 0, 0


def _starts(length: int, margin: int, step: int) -> list[int]:
    """Offsets of tiles that cover 0 … length, the first and last hanging over by `margin`."""
    return list(range(-margin, max(length, 1), step))
