"""Simulated tiles for training, made by worker processes while the network already learns."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_all_start_methods, get_context
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from terralogue.datasets.dense_covers import COVERS, simulate_cover
from terralogue.datasets.dense_slots import SLOTS
from terralogue.tools.dense_ms_training import IGNORED, Tiles

SIDE: Final = 128
VALIDATION: Final = 1_000_000
"""Seed of the first validation scene; training begins at 0."""
_Made = tuple[NDArray[np.float16], NDArray[np.bool_], NDArray[np.uint8]]


class Supply:
    """Tiles of simulated scenes, by seed.

    Args:
        seeds: one scene each.
        workers: processes that simulate; they have to start before the device is used.
        device: that the tiles are kept on.
        first: how many tiles to wait for.
    """

    def __init__(
        self, seeds: Sequence[int], workers: int, device: str = "cpu", first: int = 64
    ) -> None:
        # A forked process has all it needs; others would import this program anew.
        way = "fork" if "fork" in get_all_start_methods() else None
        self._pool = ProcessPoolExecutor(max(1, workers), mp_context=get_context(way))
        self._waiting: set[Future[_Made]] = {
            self._pool.submit(simulate_cover, seed, SIDE) for seed in seeds
        }
        count = len(self._waiting)
        self._first = min(first, count)
        self._planes = torch.zeros((count, len(SLOTS), SIDE, SIDE), dtype=torch.float16)
        self._present = torch.zeros((count, len(SLOTS)))
        self._codes = torch.full((count, SIDE, SIDE), IGNORED, dtype=torch.uint8)
        self._ready = 0
        self._device = device

    def all(self) -> Tiles:
        """Wait for the last one, and end the processes."""
        self._first = len(self._codes)
        tiles = self.tiles()
        self._pool.shutdown()
        return tiles

    def tiles(self) -> Tiles:
        """Those that are there by now, but as many as were to be waited for."""
        if self._planes.device.type != torch.device(self._device).type:
            self._planes = self._planes.to(self._device)
            self._present = self._present.to(self._device)
            self._codes = self._codes.to(self._device)
        while self._waiting:
            missing = self._ready < self._first
            done, self._waiting = wait(
                self._waiting, None if missing else 0, return_when=FIRST_COMPLETED
            )
            for future in done:
                planes, present, codes = future.result()
                self._planes[self._ready] = torch.from_numpy(planes)
                self._present[self._ready] = torch.from_numpy(present.astype(np.float32))
                self._codes[self._ready] = torch.from_numpy(codes)
                self._ready += 1
            if self._ready >= self._first:
                break
        ready = self._ready
        return Tiles(self._planes[:ready], self._present[:ready], self._codes[:ready])

    def close(self) -> None:
        """Give up what has not been simulated."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def as_water(tiles: Tiles) -> Tiles:
    """Tiles of the land-cover classes with the codes 1 (water) and 0 (other)."""
    codes = torch.where(
        tiles.codes == IGNORED,
        torch.full_like(tiles.codes, IGNORED),
        (tiles.codes == COVERS.index("water")).to(torch.uint8),
    )
    return Tiles(tiles.planes, tiles.present, codes)


def class_weights(tiles: Tiles) -> torch.Tensor:
    """Weights of the classes of COVERS: one over the root of their share, with a mean of 1."""
    counts = torch.bincount(tiles.codes[tiles.codes != IGNORED].long(), minlength=len(COVERS))
    weights = (counts.float() + 1000).rsqrt()
    return weights / weights.mean()
