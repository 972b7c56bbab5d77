"""Tiles cover everything once, in order, with bounded memory, and stop when told."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.tools.tiling import HANGING, Tile, blend, blend_batches, stream, tiles


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


SIZE = 64
Scores = NDArray[np.float32]


class Network:
    """Convolutions with padding and a norm over the tile: at its borders a tile differs."""

    def __init__(self) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            layers: list[torch.nn.Module] = []
            for before, after in ((1, 8), (8, 8), (8, 8), (8, 2)):
                layers += [torch.nn.Conv2d(before, after, 5, padding=2), torch.nn.ReLU()]
            self.layers = torch.nn.Sequential(
                torch.nn.InstanceNorm2d(1), *layers[:-1], torch.nn.Softmax(dim=1)
            ).eval()
        smooth = np.random.default_rng(3).random((320, 448))
        for axis in (0, 1):
            kernel = np.ones(9) / 9
            smooth = np.apply_along_axis(np.convolve, axis, smooth, kernel, mode="same")
        self.padded = np.pad(smooth.astype(np.float32), 128, mode="reflect")
        self.batches: list[int] = []

    def read(self, window: Window) -> Scores:
        row, column = window.row_off + 128, window.col_off + 128
        return self.padded[row : row + window.height, column : column + window.width]

    @torch.inference_mode()
    def forward(self, images: Sequence[Scores]) -> Scores:
        self.batches.append(len(images))
        found: Scores = self.layers(torch.from_numpy(np.stack(images)[:, None])).numpy()
        return found

    def run(self, overlap: float, batch: int) -> Scores:
        with ThreadPoolExecutor(2) as executor:
            strips: Iterator[tuple[Window, Scores]] = blend_batches(
                self.read, self.forward, 448, 320, executor,
                size=SIZE, overlap=overlap, batch=batch,
            )  # fmt: skip
            return np.concatenate([scores for _, scores in strips], axis=1)


def seam(scores: Scores, columns: range) -> float:
    """Mean gradient across some columns, over that across all the others."""
    across = np.abs(np.diff(scores[0], axis=1)).mean(axis=0)
    at = np.zeros(len(across), dtype=bool)
    at[[column - 1 for column in columns if column - 1 < len(across)]] = True
    return float(across[at].mean() / across[~at].mean())


def test_a_network_leaves_a_grid_where_tiles_are_cut_and_none_where_they_are_blended() -> None:
    network = Network()
    assert seam(network.run(0, 4), range(SIZE, 448, SIZE)) > 1.3
    overlap = 0.25
    step = int(SIZE * (1 - overlap))
    blended = network.run(overlap, 4)
    # Tiles begin, end, and begin to fade at these columns.
    for first in (step, SIZE - step):
        assert seam(blended, range(first, 448, step)) < 1.1


@pytest.mark.parametrize("shape", [(30, 50), (131, 600), (257, 400)])
def test_a_long_side_takes_as_few_tiles_as_cover_it_and_a_short_one_hangs_over(
    shape: tuple[int, int],
) -> None:
    height, width = shape
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    padded = np.pad(image, SIZE, mode="edge")
    read: list[Window] = []

    def cut(window: Window) -> Scores:
        read.append(window)
        row, column = window.row_off + SIZE, window.col_off + SIZE
        return padded[None, row : row + SIZE, column : column + SIZE]

    with ThreadPoolExecutor(2) as executor:
        strips = blend_batches(
            cut, np.stack, width, height, executor, size=SIZE, overlap=0.25, batch=3
        )
        result = np.concatenate([scores for _, scores in strips], axis=1)
    np.testing.assert_allclose(result[0], image, atol=1e-5)
    for side, offsets in ((height, {w.row_off for w in read}), (width, {w.col_off for w in read})):
        if side <= HANGING * SIZE:
            assert min(offsets) == -SIZE // 4
        else:
            assert (min(offsets), max(offsets)) == (0, side - SIZE)
            assert len(offsets) == 1 + math.ceil((side - SIZE) / (SIZE * 3 // 4))


def test_the_size_of_a_batch_changes_nothing_and_the_last_may_be_smaller() -> None:
    network = Network()
    one = network.run(0.25, 1)
    network.batches.clear()
    many = network.run(0.25, 7)
    assert set(network.batches[:-1]) == {7}
    assert 0 < network.batches[-1] <= 7
    np.testing.assert_allclose(one, many, atol=1e-5)
    np.testing.assert_allclose(many.sum(axis=0), 1, atol=1e-5)


def test_after_a_cancel_no_further_batch_runs_and_none_runs_beside_another() -> None:
    class CancelledError(Exception):
        pass

    network, running = Network(), []

    def forward(images: Sequence[Scores]) -> Scores:
        running.append(1)
        assert sum(running) == 1
        scores = network.forward(images)
        running.append(-1)
        return scores

    def progress(done: float, total: float | None, message: str) -> None:
        if done == 2:
            raise CancelledError

    with ThreadPoolExecutor(4) as executor, pytest.raises(CancelledError):
        for _ in blend_batches(
            network.read, forward, 448, 320, executor, size=SIZE, batch=2, progress=progress
        ):
            pass
    # The two that were consumed, and those that ran ahead while they were.
    assert len(network.batches) <= 2 + 4
