"""Dense networks on scenes: windowed reads, blended tiles, calibrated probabilities.

model = DenseModel(scene, load("rgb_cover"), "building", ("building",), target="building")
for window, mask in model.run(whole(scene), executor, None): ...
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.scene import Scene
from terralogue.datasets.tiles import TileReader
from terralogue.tools.dense_graded import ByProbability, blended
from terralogue.tools.dense_voices import Voice, together
from terralogue.tools.run import Progress

Floats = NDArray[np.float32]

_TILE: Final = 384  # network pixels; a multiple of 32
_OVERLAP: Final = 0.125
_BATCH: Final = 4


@dataclass(frozen=True)
class _Tile:
    image: torch.Tensor  # (bands, _TILE, _TILE)
    observed: NDArray[np.bool_]  # (size, size) scene pixels


@dataclass
class DenseModel(ByProbability):
    """One target of a dense network on one scene; a `GradedModel`.

    Attributes:
        scene: what it looks at; a scene much finer than the network was trained at is read
            coarser, and the probabilities are brought back to its pixels.
        voices: heads of networks; the first one's facts hold the threshold and the area factors,
            and its network says which bands and pixels are wanted.
        target: key of those.
        name: of the checkpoint, for people.
    """

    scene: Scene
    voices: Sequence[Voice]
    target: str
    name: str = "dense network"

    def __post_init__(self) -> None:
        """Find how coarse to read."""
        self._facts = self.voices[0].dense.facts
        self._head = self.voices[0].facts
        finest = self._facts.gsd[0]
        self.step = max(1.0, finest / self.scene.gsd) if self.scene.gsd else 1.0

    @property
    def threshold(self) -> float:
        """Probability from which a pixel belongs to the target."""
        return self._head.thresholds.get(self.target, 0.5)

    @property
    def area_factors(self) -> tuple[float, float] | None:
        """True area over expected area in nine of ten validation images."""
        return self._head.area_factors.get(self.target)

    @property
    def method(self) -> str:
        """Network with its fingerprint, and threshold."""
        coarser = f", read {self.step:.3g} times coarser" if self.step > 1 else ""
        prints = " and ".join(voice.dense.fingerprint for voice in self.voices)
        return (
            f"network {self.name} ({prints}), calibrated probability of "
            f"{self.target.replace('_', ' ')} at least {self.threshold:.2f}{coarser}"
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Says where the pixel size does not go with the network, or is not known."""
        low, high = self._facts.gsd
        gsd = self.scene.gsd
        if gsd is None:
            return (
                f"The pixel size of {self.scene.name} is not known; the network {self.name} was "
                f"trained at {low:g} to {high:g} m and is wrong at much coarser pixels.",
            )
        if gsd > high:
            return (
                f"{self.scene.name} has pixels of {gsd:.3g} m; the network {self.name} was trained "
                f"at {low:g} to {high:g} m, so trust it less.",
            )
        return ()

    def grade(
        self, window: Window, executor: Executor, progress: Progress | None
    ) -> Iterator[tuple[Window, Floats]]:
        """Cover a window; see `GradedModel`."""
        size = round(_TILE * self.step)
        return blended(
            lambda row, column: self._read(row, column, size), self._forward, window, executor,
            progress, size=size, overlap=_OVERLAP, batch=_BATCH,
        )  # fmt: skip

    @cached_property
    def _reader(self) -> TileReader:
        return TileReader(self.scene, bands=self._facts.bands)

    def _read(self, row: int, column: int, size: int) -> _Tile:
        """A square of the scene, mirrored beyond its edges, in the pixels of the network."""
        rows, columns = (
            mirrored(row, size, self.scene.height),
            mirrored(column, size, self.scene.width),
        )
        top, left = int(rows.min()), int(columns.min())
        inside = Window(left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top)
        planes, _ = self._reader.planes(inside)
        planes = planes[:, (rows - top)[:, None], (columns - left)[None, :]]
        observed = np.asarray(np.isfinite(planes).all(axis=0))
        image = torch.from_numpy(np.where(observed, planes, np.float32(0)))
        if size != _TILE:
            image = F.interpolate(image[None], (_TILE, _TILE), mode="bilinear", antialias=True)[0]
        return _Tile(image, observed)

    def _forward(self, tiles: Sequence[_Tile]) -> Floats:
        """Probability of the target and observation, float32 (tiles, 2, size, size)."""
        bands = tuple(self.scene.band(name) for name in self._facts.bands)
        images = torch.stack([tile.image for tile in tiles])
        size = tiles[0].observed.shape[0]
        with torch.inference_mode():
            images = images.contiguous(memory_format=torch.channels_last)
            found = together(self.voices, images, bands)[:, None]
            if size != _TILE:
                found = F.interpolate(found, (size, size), mode="bilinear")
        observed = np.stack([tile.observed for tile in tiles])[:, None]
        return np.concatenate([found.numpy(), observed.astype(np.float32)], axis=1)


def mirrored(start: int, count: int, length: int) -> NDArray[np.int64]:
    """Pixel numbers of a tile that may hang over the edges of a side, mirrored at them."""
    period = np.arange(start, start + count) % (2 * length)
    return np.minimum(period, 2 * length - 1 - period)
