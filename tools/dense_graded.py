"""Models that say how sure they are: from probabilities to an area with an interval.

A `GradedModel` gives calibrated probabilities beside its mask. Their sum over the ground is the
expected area; how far the truth lay from it on validation images gives the interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.tools.baselines import UNSEEN, Model
from terralogue.tools.grid import Grid, why_no_ground
from terralogue.tools.measure import UNITS, GroundAreas
from terralogue.tools.run import Progress
from terralogue.tools.schemas import AreaUnit, Measurement
from terralogue.tools.tiling import blend_batches

Floats = NDArray[np.float32]
T = TypeVar("T")
Piece = tuple[Window, NDArray[np.uint8], Floats | None]


@runtime_checkable
class GradedModel(Model, Protocol):
    """A model with calibrated probabilities."""

    @property
    def area_factors(self) -> tuple[float, float] | None:
        """True area over expected area in nine of ten validation images, lowest and highest."""

    def grade(
        self, window: Window, executor: Executor, progress: Progress | None
    ) -> Iterator[tuple[Window, Floats]]:
        """Cover a window in pieces: probability of the target, float32 (H, W), NaN unobserved."""


def decided(probability: Floats, threshold: float) -> NDArray[np.uint8]:
    """The mask of probabilities (H, W): 1 target, 0 not, 255 not observed."""
    found = (probability >= threshold).astype(np.uint8)
    found[np.isnan(probability)] = UNSEEN
    return found


class ByProbability:
    """Gives the mask of a graded model from its probabilities."""

    def run(
        self: GradedModel, window: Window, executor: Executor, progress: Progress | None
    ) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
        """Cover a window; see `Model`."""
        for part, mask, _ in pieces(self, window, executor, progress):
            yield part, mask


def blended(
    read: Callable[[int, int], T], forward: Callable[[Sequence[T]], Floats], window: Window,
    executor: Executor, progress: Progress | None, *, size: int, overlap: float, batch: int,
) -> Iterator[tuple[Window, Floats]]:  # fmt: skip
    """Cover a window of a scene by a network in overlapping tiles; see `GradedModel.grade`.

    Args:
        read: gives what the network takes of a tile, by the row and column where it begins.
        forward: gives probability of the target and observation, float32 (tiles, 2, size, size).
        window: of the scene.
        executor: runs both.
        progress: told after each batch.
        size: rows and columns of a tile.
        overlap: share of a tile that the next one covers again.
        batch: tiles at a time.
    """
    top, left = int(window.row_off), int(window.col_off)
    strips = blend_batches(
        lambda tile: read(top + int(tile.row_off), left + int(tile.col_off)), forward,
        int(window.width), int(window.height), executor,
        size=size, overlap=overlap, batch=batch, progress=progress, message="Measuring",
        in_flight=2,
    )  # fmt: skip
    for strip, (probability, observed) in strips:
        part = Window(left + strip.col_off, top + strip.row_off, strip.width, strip.height)
        yield part, np.where(observed > 0.5, probability, np.float32(np.nan))


def pieces(
    model: Model, window: Window, executor: Executor, progress: Progress | None
) -> Iterator[Piece]:
    """Cover a window: its parts, their masks, and their probabilities where a model has them."""
    if not isinstance(model, GradedModel):
        for part, mask in model.run(window, executor, progress):
            yield part, mask, None
        return
    for part, probability in model.grade(window, executor, progress):
        threshold = 0.5 if model.threshold is None else model.threshold
        yield part, decided(probability, threshold), probability


@dataclass
class Expectation:
    """What probabilities add up to over a grid, piece by piece.

    Attributes:
        grid: that windows refer to.
        expected: sum of probability times area in square metres, or in pixels without ground.
        observed: square metres, or pixels without ground, of what was observed.
        sure: sum over pixels of the probability of what was decided.
        pixels: how many there were.
    """

    grid: Grid
    expected: float = 0.0
    observed: float = 0.0
    sure: float = 0.0
    pixels: int = 0

    @cached_property
    def _areas(self) -> GroundAreas | None:
        return None if why_no_ground(self.grid) else GroundAreas(self.grid)

    def add(
        self, window: Window, probability: Floats, observed: NDArray[np.bool_],
        hit: NDArray[np.bool_],
    ) -> None:  # fmt: skip
        """Add a piece: probability (H, W), which pixels were observed, which were decided for."""
        seen = np.where(observed, probability, 0.0).astype(np.float64)
        weights = 1.0 if self._areas is None else self._areas.pixels(window)
        self.expected += float((seen * weights).sum())
        self.observed += float((observed * weights).sum())
        chosen = np.where(hit, probability, 1 - probability)
        self.sure += float(chosen[observed].sum(dtype=np.float64))
        self.pixels += int(np.count_nonzero(observed))

    @property
    def confidence(self) -> float | None:
        """Mean calibrated probability of what was decided at the observed pixels."""
        return self.sure / self.pixels if self.pixels else None

    def interval(
        self, area: Measurement, factors: tuple[float, float], unit: AreaUnit
    ) -> list[Measurement]:
        """Lower and upper end of an area, with that of the mask within, and no more than all.

        Of pixels without ground also those of their share of what was observed.

        Args:
            area: of the mask, by `Tally`.
            factors: of the model.
            unit: of the area, unless that is in pixels.
        """
        scale = 1.0 if area.unit == "px" else UNITS[unit]
        expected, whole = self.expected / scale, self.observed / scale
        low, high = (expected * factor for factor in factors)
        ends = min(low, area.value), max(min(high, whole), area.value)
        method = (
            f"expected {expected:.4g} {area.unit} (sum of calibrated probabilities) times "
            f"{factors[0]:.2f} to {factors[1]:.2f}, the ratio of true to expected area in nine of "
            "ten validation images"
        )
        given = [(area.name, area.unit, area.label, 1.0)]
        if area.unit == "px":
            label = f"{area.label}, share of what was seen"
            given.insert(0, ("share", "%", label, 100 / max(self.pixels, 1)))
        return [
            Measurement(
                name=f"{called}_{name}", value=value * times, unit=each, method=method,
                artefact=area.artefact, label=f"{label}, {name} end of the 90 % interval",
            )
            for called, each, label, times in given
            for name, value in zip(("low", "high"), ends, strict=True)
            if math.isfinite(value)
        ]  # fmt: skip
