"""Water that was not there on an earlier date, told as `detect_change` tells it, as a `Model`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.tools.baselines import NO, UNSEEN, YES
from terralogue.tools.change import fit
from terralogue.tools.change_targets import target_change
from terralogue.tools.differencing import GAIN, TargetChange
from terralogue.tools.differencing import UNSEEN as NOT_COMPARED
from terralogue.tools.pairs import Pair
from terralogue.tools.run import Progress, Run
from terralogue.tools.tiling import Tile, stream, tiles

TARGETS = ("water", "flooded_area")


@dataclass(frozen=True)
class NewWater:
    """Water of the later date of a pair that the earlier one does not show; a `Model`.

    Attributes:
        difference: fitted to the pair.
        why: how each date is looked at.
    """

    difference: TargetChange
    why: str

    @property
    def method(self) -> str:
        """How it is told."""
        return f"{self.difference.method}; {self.why}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """None of its own."""
        return ()

    @property
    def threshold(self) -> float | None:
        """Least rise of the index."""
        return self.difference.threshold

    def run(
        self, window: Window, executor: Executor, progress: Progress | None
    ) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
        """Cover a window; see `Model`."""

        def work(tile: Tile) -> NDArray[np.uint8]:
            codes = self.difference.codes(tile.read)[tile.inner]
            found = np.where(codes == GAIN, YES, NO).astype(np.uint8)
            found[codes == NOT_COMPARED] = UNSEEN
            return found

        pieces = tiles(window, halo=self.difference.halo)
        for tile, found in stream(work, pieces, executor, progress=progress, message="Measuring"):
            yield tile.core, found


def tells(pair: Pair, target: str) -> bool:
    """Whether new water is told by the bands of both dates: optical ones, in reflectance."""
    return target in TARGETS and all(
        scene.calibrated and scene.has("G", "N") for scene in pair.scenes
    )


def new_water(pair: Pair, target: str, window: Window, run: Run) -> NewWater:
    """Compare the dates of a pair inside a window of its frame; raises as `target_change`."""
    prepared = target_change(pair, target, window, run)
    fit(prepared.difference, window, run)
    return NewWater(prepared.difference, prepared.why)
