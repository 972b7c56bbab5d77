"""Work on a raster piece by piece: bounded memory, any executor, cancelled within one tile.

Point-wise work goes through `stream`; a model that needs context, through `blend`, and a network
that takes several tiles at once, through `blend_batches`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, wait
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.tools.run import Progress, silent

# GDAL keeps decoded blocks up to a twentieth of the machine's memory, which a large scene fills.
# Megabytes; read by GDAL when it first caches a block.
os.environ.setdefault("GDAL_CACHEMAX", "256")

TILE = 1024
IN_FLIGHT = 4
# Measured on validation chips of 256 and 400 pixels with tiles of 320, hanging over against not:
# IoU of buildings 0.543 against 0.534, of roads 0.544 against 0.538.
HANGING = 4

P = TypeVar("P")
T = TypeVar("T")
Scores = NDArray[np.float32]
# A network uses all cores by itself; two at a time would only take them from each other.
_FORWARD = threading.Lock()


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
    work: Callable[[P], T],
    pieces: Sequence[P],
    executor: Executor,
    *,
    progress: Progress | None = None,
    message: str = "",
    in_flight: int = IN_FLIGHT,
) -> Generator[tuple[P, T]]:
    """Run `work` on every tile (or batch of them) and yield the results in the same order.

    At most `in_flight` tiles are submitted and not yet consumed, so memory does not grow with
    the raster. `progress` is called after each tile that was consumed. When it raises, when
    `work` raises, or when the caller stops early, tiles not begun are cancelled, those running
    are waited for, and the exception goes on to the caller.
    """
    pending: deque[tuple[P, Future[T]]] = deque()
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


@dataclass
class _Stop:
    """Tells running batches that nobody waits for them any more."""

    asked: bool = False


def blend_batches(
    read: Callable[[Window], T],
    forward: Callable[[Sequence[T]], Scores],
    width: int,
    height: int,
    executor: Executor,
    *,
    size: int = 256,
    overlap: float = 0.2,
    batch: int = 4,
    progress: Progress | None = None,
    message: str = "",
    in_flight: int = IN_FLIGHT,
) -> Iterator[tuple[Window, Scores]]:
    """Run a network over a raster in batches of tiles, its overlapping outputs blended.

    The workers of the executor read the tiles of the next batches while the network runs on one:
    `forward` is called for one batch at a time in a process. After a cancel no further tile is
    read and no further batch is begun.

    Along a side of more than HANGING tiles they lie inside the raster, as few as cover it, evenly
    spaced. Along a shorter one they hang over the edges as those of `blend` do: that costs more
    tiles, but shows each pixel of a small picture to the network in several places of a tile.

    Args:
        read: gives what the network takes of a window of `size` by `size` pixels; where it hangs
            over an edge (negative offsets), `read` pads.
        forward: gives the scores float32 (tiles, classes, size, size) of at most `batch` tiles,
            in their order.
        width: columns of the raster.
        height: rows of the raster.
        executor: runs both.
        size: as in `blend`.
        overlap: the least share of a tile that the next one covers again; as in `blend`.
        batch: tiles at a time; the last batch may have fewer.
        progress: told after each batch.
        message: as in `stream`.
        in_flight: batches that are submitted and not yet consumed.

    Yields:
        As `blend`.
    """
    stop = _Stop()

    def work(windows: Sequence[Window]) -> Scores:
        images = [read(window) for window in windows if not stop.asked]
        with _FORWARD:
            if stop.asked:
                raise CancelledError
            return forward(images)

    def report(done: float, total: float | None, message: str) -> None:
        try:
            (progress or silent)(done, total, message)
        except BaseException:
            stop.asked = True
            raise

    rows, columns = _offsets(height, size, overlap), _offsets(width, size, overlap)
    windows = _windows(rows, columns, size)
    batches = [windows[start : start + batch] for start in range(0, len(windows), batch)]
    with contextlib.closing(
        stream(work, batches, executor, progress=report, message=message, in_flight=in_flight)
    ) as done:
        try:
            images = (one for _, scores in done for one in scores)
            yield from _blended(images, rows, columns, width, height, _taper(size, overlap, 0.5))
        finally:
            stop.asked = True


def blend(
    predict: Callable[[Window], Scores],
    width: int,
    height: int,
    executor: Executor,
    *,
    size: int = 256,
    overlap: float = 0.2,
    progress: Progress | None = None,
    message: str = "",
    in_flight: int = IN_FLIGHT,
) -> Iterator[tuple[Window, Scores]]:
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
    rows, columns = _hanging(height, size, overlap), _hanging(width, size, overlap)
    done = stream(
        predict,
        _windows(rows, columns, size),
        executor,
        progress=progress,
        message=message,
        in_flight=in_flight,
    )
    tiles_of = (scores for _, scores in done)
    yield from _blended(tiles_of, rows, columns, width, height, _taper(size, overlap, 0))


def _hanging(length: int, size: int, overlap: float) -> list[int]:
    """Offsets of tiles that cover 0 … length, the first and last hanging over by the overlap."""
    return list(range(-int(size * overlap), max(length, 1), int(size - size * overlap)))


def _offsets(length: int, size: int, overlap: float) -> list[int]:
    """Offsets of tiles for `blend_batches`."""
    if length <= HANGING * size:
        return _hanging(length, size, overlap)
    last = -(-(length - size) // int(size - size * overlap))
    return [round(number * (length - size) / last) for number in range(last + 1)]


def _windows(rows: list[int], columns: list[int], size: int) -> list[Window]:
    """Square tiles, row by row."""
    return [Window(column, row, size, size) for row in rows for column in columns]


def _taper(size: int, overlap: float, inset: float) -> Scores:
    """Weights (size, size) that fade to the edges; `inset` pixels keep the outermost above 0."""
    edge = overlap * (size - 1)
    near = np.minimum(np.arange(size), np.arange(size)[::-1]) + inset
    taper = 0.5 - 0.5 * np.cos(np.pi * np.minimum(near / edge, 1)) if edge else np.ones(size)
    weight: Scores = np.outer(taper, taper).astype(np.float32)
    return weight


def _blended(
    tiles_of: Iterator[Scores],
    rows: list[int],
    columns: list[int],
    width: int,
    height: int,
    weight: Scores,
) -> Iterator[tuple[Window, Scores]]:
    """Add the scores of all tiles up, row of tiles by row; see `blend`."""
    size = len(weight)
    span = columns[-1] - columns[0] + size
    inside = slice(-columns[0], width - columns[0])
    strip: Scores | None = None
    total = np.zeros((size, span), np.float32)
    places = [(number, column) for number in range(len(rows)) for column in columns]
    for (number, column), scores in zip(places, tiles_of, strict=True):
        if strip is None:
            strip = np.zeros((scores.shape[0], size, span), np.float32)
        left = column - columns[0]
        strip[:, :, left : left + size] += scores * weight
        total[:, left : left + size] += weight
        if column != columns[-1]:
            continue
        top = rows[number]
        below = rows[number + 1] if number + 1 < len(rows) else top + size
        first_row, end_row = max(top, 0), min(below, height)
        if end_row > first_row:
            part = slice(first_row - top, end_row - top)
            yield (
                Window(0, first_row, width, end_row - first_row),
                strip[:, part, inside] / total[part, inside],
            )
        step = below - top
        strip[:, : size - step], total[: size - step] = strip[:, step:], total[step:]
        strip[:, size - step :], total[size - step :] = 0, 0
