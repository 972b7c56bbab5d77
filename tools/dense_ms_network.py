"""Networks over slots on scenes: windowed reads, blended tiles, calibrated probabilities.

model = slot_model(scene, "water", ("water",))
for window, mask in model.run(whole(scene), executor, None): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.bands import Band
from terralogue.datasets.dense_slots import SLOTS, slot_planes, slot_weights
from terralogue.datasets.scene import Scene
from terralogue.tools import rules
from terralogue.tools.baselines import Read
from terralogue.tools.dense_checkpoint import WEIGHTS_FOLDER
from terralogue.tools.dense_graded import ByProbability, blended
from terralogue.tools.dense_ms_checkpoint import SlotCheckpoint, read_slots
from terralogue.tools.dense_ms_rule import RULE, rule_water, with_rule, with_touching
from terralogue.tools.dense_network import mirrored
from terralogue.tools.run import Progress

Floats = NDArray[np.float32]

_TILE: Final = 256
_OVERLAP: Final = 0.2
# On two cores a batch of four takes the same time for each tile, and 400 MB more.
_BATCH: Final = 1


@dataclass(frozen=True)
class Source:
    """Where bands come from: a scene, or another one on its grid.

    Attributes:
        bands: those that fill a slot.
        read: gives them float32 (bands, H, W) of a window inside the grid, NaN where unobserved.
    """

    bands: tuple[Band, ...]
    read: Callable[[Window], Floats]


@dataclass(frozen=True)
class _Tile:
    planes: Floats  # (dates * slots, _TILE, _TILE)
    observed: NDArray[np.bool_]


@dataclass(frozen=True)
class SlotModel(ByProbability):
    """Some classes of a network on one scene; a `GradedModel`.

    Attributes:
        now: the scene.
        width: its columns.
        height: its rows.
        checkpoint: network and facts.
        name: of the checkpoint, for people.
        classes: whose probabilities add up to that of the target.
        threshold: probability from which a pixel belongs to the target.
        before: an earlier scene on the same grid; what was there already is then left out.
        rule: what the rule for water is sure of counts as well.
    """

    now: Source
    width: int
    height: int
    checkpoint: SlotCheckpoint
    name: str
    classes: tuple[str, ...]
    threshold: float = 0.5
    before: Source | None = None
    rule: bool = False

    @property
    def method(self) -> str:
        """Network, classes, threshold, bands."""
        facts = self.checkpoint.facts
        used = ", ".join(SLOTS[row] for row in np.flatnonzero(_present(self.now)))
        rule = ""
        if self.rule:
            rule = (
                f", and where {RULE.text} or, beside such water, {rules.MNDWI.conditions[0].text}"
            )
        since = "" if self.before is None else ", and not so in the reference scene"
        if self.before is not None and self.rule:
            since += ", where MNDWI > 0 or NDWI > 0 is enough"
        return (
            f"network {self.name} on the bands {used}, probability of {' or '.join(self.classes)} "
            f"at least {self.threshold:.2f}, calibrated with temperature "
            f"{facts.temperature:.2f}{rule}{since}"
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """None of its own."""
        return ()

    @property
    def area_factors(self) -> tuple[float, float] | None:
        """True area over expected area in nine of ten validation images; of one date only."""
        if self.before is not None or len(self.classes) != 1:
            return None
        return self.checkpoint.facts.area_factors.get(self.classes[0])

    def grade(
        self, window: Window, executor: Executor, progress: Progress | None
    ) -> Iterator[tuple[Window, Floats]]:
        """Cover a window; see `GradedModel`."""
        return blended(
            self._read, self._forward, window, executor, progress,
            size=_TILE, overlap=_OVERLAP, batch=_BATCH,
        )  # fmt: skip

    def _read(self, row: int, column: int) -> _Tile:
        """A square of all dates as slots, mirrored beyond the edges of the scene."""
        rows, columns = mirrored(row, _TILE, self.height), mirrored(column, _TILE, self.width)
        top, left = int(rows.min()), int(columns.min())
        inside = Window(left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top)
        dates = [self.now] if self.before is None else [self.now, self.before]
        planes = np.concatenate([slot_planes(each.read(inside), each.bands)[0] for each in dates])
        planes = planes[:, (rows - top)[:, None], (columns - left)[None, :]]
        observed = np.isfinite(planes).all(axis=0)
        return _Tile(np.where(observed, planes, np.float32(0)), observed)

    def _forward(self, tiles: Sequence[_Tile]) -> Floats:
        """Probability of the target and observation, float32 (tiles, 2, H, W)."""
        planes = torch.from_numpy(np.stack([tile.planes for tile in tiles]))
        count = len(SLOTS)
        likely = self._likely(planes[:, :count], _present(self.now))
        if self.before is not None:
            earlier = self._likely(planes[:, count:], _present(self.before)) >= self.threshold
            if self.rule:
                # Streams that the network overlooks would all be new once they have widened.
                for rule in (rules.MNDWI, rules.NDWI):
                    earlier |= rule_water(planes[:, count:].numpy(), rule)
            # New is what is there now and was not there; the two dates are taken one by one.
            likely = likely * ~earlier
        observed = np.stack([tile.observed for tile in tiles])
        return np.stack([likely, observed.astype(np.float32)], axis=1)

    def _likely(self, planes: torch.Tensor, present: NDArray[np.bool_]) -> Floats:
        columns = [list(self.checkpoint.net.config.classes).index(name) for name in self.classes]
        there = torch.from_numpy(present.astype(np.float32)).expand(len(planes), -1)
        shares = self.checkpoint.shares(planes, there)
        likely = np.asarray(shares[:, columns].sum(1).numpy(), np.float32)
        if not self.rule:
            return likely
        slots = planes.numpy()
        return with_touching(with_rule(likely, slots), slots, self.threshold)


def slot_model(
    scene: Scene,
    name: str,
    classes: tuple[str, ...],
    *,
    reference: tuple[Scene, Read] | None = None,
    rule: bool = False,
) -> SlotModel:
    """A network of the package for one scene.

    Args:
        scene: calibrated to reflectance or dB.
        name: of the checkpoint.
        classes: whose probabilities add up to that of the target.
        reference: an earlier scene, and what reads it on the grid of `scene`.
        rule: see `SlotModel`.
    """

    def read(bands: Sequence[str], window: Window) -> Floats:
        return scene.read(bands, window).data

    checkpoint = read_slots(WEIGHTS_FOLDER / name)
    model = SlotModel(
        source(scene.bands, read), scene.width, scene.height,
        checkpoint, name, classes, checkpoint.facts.thresholds.get(classes[0], 0.5), rule=rule,
    )  # fmt: skip
    if reference is None:
        return model
    earlier, read_earlier = reference
    return replace(model, before=source(earlier.bands, read_earlier))


def source(bands: Sequence[Band], read: Read) -> Source:
    """Those bands that fill a slot, and how they are read."""
    filling = np.asarray(slot_weights(tuple(bands)).any(axis=0))
    used = tuple(band for band, fills in zip(bands, filling, strict=True) if fills)
    names = [band.name for band in used]
    return Source(used, lambda window: read(names, window))


def _present(source: Source) -> NDArray[np.bool_]:
    return np.asarray(slot_weights(source.bands).any(axis=1))
