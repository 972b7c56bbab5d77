"""Tiles cover everything once, in order, with bounded memory, and stop when told."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.tools.tiling import Tile, blend, stream, tiles


@pytest.mark.parametrize(
    "extent", [Window(0, 0, 1, 1), Window(3, 5, 130, 67), Window(0, 0, 64, 64)]
)
@pytest.mark.parametrize("halo", [0, 9])
def test_tiles_cover_every_pixel_once_and_inner_finds_the_core(extent: Window, halo: int) -> None:
    seen = np.zeros((80, 140), dtype=int)
    numbers = np.arange(80 * 140).reshape(80, 140)
    for tile in tiles(extent, size=32, halo=halo):
        seen[tile.core.toslices()] += 1
        read = numbers[tile.read.toslices()]
        assert np.array_equal(read[tile.inner], numbers[tile.core.toslices()])
    assert seen[extent.toslices()].min() == seen.max() == 1
    assert seen.sum() == extent.width * extent.height


def test_results_come_in_order_whatever_finishes_first() -> None:
    pieces = tiles(Window(0, 0, 80, 10), size=10)
    second_done = threading.Event()

    def work(tile: Tile) -> int:
        if tile.core.col_off == 0:
            assert second_done.wait(10)
        if tile.core.col_off == 10:
            second_done.set()
        return int(tile.core.col_off)

    with ThreadPoolExecutor(2) as executor:
        assert [found for _, found in stream(work, pieces, executor)] == list(range(0, 80, 10))


def test_no_more_than_in_flight_tiles_are_begun_ahead() -> None:
    pieces = tiles(Window(0, 0, 200, 10), size=10)
    begun = []
    with ThreadPoolExecutor(8) as executor:
        done = stream(lambda tile: begun.append(tile), pieces, executor, in_flight=3)
        for number, _ in enumerate(done):
            assert len(begun) <= number + 3


def test_a_progress_callback_that_raises_stops_within_one_tile() -> None:
    pieces = tiles(Window(0, 0, 400, 10), size=10)
    begun = []

    class CancelledError(Exception):
        pass

    def progress(done: float, total: float | None, message: str) -> None:
        assert (total, message) == (40, "Looking")
        if done == 3:
            raise CancelledError

    with ThreadPoolExecutor(1) as executor, pytest.raises(CancelledError):
        for _ in stream(
            lambda tile: begun.append(tile),
            pieces,
            executor,
            progress=progress,
            message="Looking",
            in_flight=2,
        ):
            pass
    assert len(begun) <= 5


def test_an_error_in_one_tile_reaches_the_caller() -> None:
    def work(tile: Tile) -> int:
        return 1 // int(tile.core.col_off - 20)

    with ThreadPoolExecutor(2) as executor, pytest.raises(ZeroDivisionError):
        list(stream(work, tiles(Window(0, 0, 80, 10), size=10), executor))


@pytest.mark.parametrize("shape", [(1, 1), (40, 100), (64, 64), (131, 77)])
def test_blended_tiles_of_a_pointwise_model_give_back_the_image(shape: tuple[int, int]) -> None:
    height, width = shape
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    padded = np.pad(image, 100, mode="symmetric") if min(shape) > 1 else np.pad(image, 100, "edge")

    def predict(window: Window) -> NDArray[np.float32]:
        row, column = window.row_off + 100, window.col_off + 100
        part = padded[row : row + 64, column : column + 64]
        part = np.pad(part, ((0, 64 - part.shape[0]), (0, 64 - part.shape[1])))
        return np.stack([part, 1 - part])

    result = np.zeros((2, height, width), np.float32)
    rows = 0
    with ThreadPoolExecutor(2) as executor:
        for window, scores in blend(predict, width, height, executor, size=64, overlap=0.25):
            assert window.row_off == rows
            rows += int(window.height)
            result[:, window.row_off : rows] = scores
    assert rows == height
    np.testing.assert_allclose(result[0], image, atol=1e-5)
    np.testing.assert_allclose(result.sum(axis=0), 1, atol=1e-5)
