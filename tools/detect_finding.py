"""A trained detector on a scene of any size: tile by tile, boxes in pixels of the scene."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.errors import InputError
from terralogue.datasets.scene import Scene
from terralogue.tools.detect_calibrate import FLOOR, ClassFacts
from terralogue.tools.detect_sources import sample_of, stretch, stretched
from terralogue.tools.detectors import DetectorChoice
from terralogue.tools.grid import Grid, ground_crs
from terralogue.tools.run import Run
from terralogue.tools.thresholds import otsu
from terralogue.tools.tiling import Tile, stream, tiles

Floats = NDArray[np.float64]

# Input of the network: what is written and its surroundings, in pixels after zooming. A scene that
# is not larger than the whole goes in at once.
_CORE, _HALO = 576, 160
_WHOLE: Final = 1024
# Beyond this a scene is read smaller, and averaged as it is brought to size.
_FINER: Final = 2.0
_OVERLAP: Final = 0.5
# Around a ship: bands that water is dark in, pixels of surroundings, least share of water in them.
_DARK_BANDS: Final = ("N", "S1")
_RING: Final = 4
_WATER_SHARE: Final = 0.3


@dataclass(frozen=True)
class Boxes:
    """What was found: boxes float64 (n, 4) in pixels of the scene, and scores (n,), best first."""

    boxes: Floats
    scores: Floats

    def kept(self, which: NDArray[np.bool_]) -> Boxes:
        """Those for which a mask (n,) is True."""
        return Boxes(self.boxes[which], self.scores[which])

    @property
    def middles(self) -> Floats:
        """Column and row of each box's middle: (n, 2)."""
        return np.asarray((self.boxes[:, :2] + self.boxes[:, 2:]) / 2)


def facts_of(choice: DetectorChoice, target: str) -> ClassFacts:
    """Threshold and calibration of a class.

    Raises:
        InputError: the checkpoint is missing, broken or was not calibrated for this class.
    """
    return _loaded(choice.row.folder)[1][target]


def find_boxes(
    scene: Scene,
    targets: Sequence[str],
    choice: DetectorChoice,
    window: Window,
    run: Run,
    floor: float = FLOOR,
) -> dict[str, Boxes]:
    """All boxes of some targets in a window of a scene; not cut to a region.

    Args:
        scene: to look at.
        targets: that the detector finds.
        choice: the detector, and how the scene is shown to it.
        window: of whole pixels.
        run: progress and executor.
        floor: lowest score.

    Raises:
        InputError: the checkpoint cannot be used.
    """
    net, _ = _loaded(choice.row.folder)
    kinds = {target: net.config.classes.index(target) for target in targets}
    read = _reader(scene, choice.row.bands)
    longest = max(window.width, window.height) * choice.zoom
    core, halo = (_CORE, _HALO) if longest > _WHOLE else (_WHOLE, 0)
    size, around = max(1, round(core / choice.zoom)), round(halo / choice.zoom)

    water = Water(scene) if choice.row.afloat else None

    def work(tile: Tile) -> dict[str, Boxes]:
        image = _zoomed(read(tile.read, choice.zoom), tile.read, choice.zoom)
        found = _in_tile(net, image, kinds, floor)
        for target, each in found.items():
            each.boxes[:] = each.boxes / choice.zoom
            if water is not None:
                found[target] = each = each.kept(water.around(each.boxes, tile.read))
            each.boxes[:, 0::2] += tile.read.col_off
            each.boxes[:, 1::2] += tile.read.row_off
        return {
            target: each.kept(_inside(each.middles, tile.core, window))
            for target, each in found.items()
        }

    pieces = tiles(window, size=size, halo=around)
    done = stream(work, pieces, run.executor, progress=run.progress, message="Looking for things")
    parts = [found for _, found in done]
    return {target: _suppressed([part[target] for part in parts]) for target in targets}


class Water:
    """Where a scene is as dark in near and shortwave infrared as water is.

    The limit of each band is Otsu's threshold of the whole scene. Of the vessels in the port that
    the detector was validated on, the least had 46 % of water around them.
    """

    def __init__(self, scene: Scene) -> None:
        """Find the limits."""
        self._scene = scene
        self._limits = [otsu(plane) for plane in sample_of(scene, _DARK_BANDS)]

    def around(self, boxes: Floats, window: Window) -> NDArray[np.bool_]:
        """Whether there is water enough around boxes (n, 4) in pixels of a window: bool (n,)."""
        near, short = self._scene.read(_DARK_BANDS, window).data
        dark = (near < self._limits[0]) & (short < self._limits[1])
        total = np.pad(dark.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        inner, wide = _whole_pixels(boxes, 0, dark.shape), _whole_pixels(boxes, _RING, dark.shape)
        pixels = _sizes(wide) - _sizes(inner)
        share = (_sum(total, wide) - _sum(total, inner)) / np.maximum(pixels, 1)
        return np.asarray(share >= _WATER_SHARE)


def _whole_pixels(boxes: Floats, ring: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Boxes (n, 4) widened by whole pixels and cut to an image (H, W)."""
    low, high = np.floor(boxes[:, :2]) - ring, np.ceil(boxes[:, 2:]) + ring
    corners = np.concatenate([low, high], 1)
    limits = np.array([shape[1], shape[0]] * 2)
    cut: NDArray[np.int64] = np.clip(corners, 0, limits).astype(np.int64)
    return cut


def _sizes(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    sizes: NDArray[np.int64] = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return sizes


def _sum(total: NDArray[np.int64], boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums inside boxes, from sums over all above and to the left."""
    left, top, right, bottom = boxes.T
    return np.asarray(
        total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
    )


def _inside(middles: Floats, core: Window, whole: Window) -> NDArray[np.bool_]:
    """Whose middle a tile owns; what hangs over the edge of the whole belongs to the nearest."""
    x = np.clip(middles[:, 0], whole.col_off, whole.col_off + whole.width - 1e-6)
    y = np.clip(middles[:, 1], whole.row_off, whole.row_off + whole.height - 1e-6)
    across = (x >= core.col_off) & (x < core.col_off + core.width)
    return np.asarray(across & (y >= core.row_off) & (y < core.row_off + core.height))


@lru_cache(maxsize=4)
def _loaded(folder: Path) -> tuple[Any, dict[str, ClassFacts]]:
    # Brings torch, which a refusal should not wait for.
    from terralogue.tools.detect_calibrate import from_settings
    from terralogue.tools.detect_checkpoint import read_detector

    checkpoint = read_detector(folder)
    if "classes" not in checkpoint.facts:
        raise InputError(
            f"{folder} holds a detector without thresholds; run `terralogue train detect` with "
            "--calibrate."
        )
    return checkpoint.net, from_settings(checkpoint.facts["classes"])


def _reader(scene: Scene, bands: Sequence[str]) -> Callable[[Window, float], NDArray[np.float32]]:
    """Reads a window as numbers in about -1 to 1, 0 where nothing was observed."""
    plain = scene.dtype == "uint8" and len(bands) == 3
    low, high = (np.zeros(0, np.float32),) * 2 if plain else stretch(scene, bands)

    def read(window: Window, zoom: float) -> NDArray[np.float32]:
        shape = None
        if zoom * _FINER < 1:
            sides = (window.height, window.width)
            shape = (
                max(1, round(sides[0] * zoom * _FINER)),
                max(1, round(sides[1] * zoom * _FINER)),
            )
        data = scene.read(bands, window, shape).data
        if plain:
            return np.asarray(np.nan_to_num(data / 127.5 - 1), np.float32)
        return stretched(data, low, high)

    return read


def _zoomed(data: NDArray[np.float32], window: Window, zoom: float) -> Any:
    """A tensor (1, bands, H, W), enlarged or shrunk, filled up to what the network takes."""
    import torch
    from torch.nn import functional

    from terralogue.tools.detect_model import STRIDE

    image = torch.from_numpy(np.ascontiguousarray(data))[None]
    shape = (max(1, round(window.height * zoom)), max(1, round(window.width * zoom)))
    if tuple(image.shape[2:]) != shape:
        image = functional.interpolate(image, shape, mode="bilinear", antialias=True)
    down, across = (math.ceil(side / STRIDE) * STRIDE - side for side in shape)
    return functional.pad(image, (0, across, 0, down))


def _in_tile(net: Any, image: Any, kinds: Mapping[str, int], floor: float) -> dict[str, Boxes]:
    from terralogue.tools.detect_model import find

    around, strength, found = find(net, image, floor=floor, overlap=_OVERLAP)[0]
    boxes, scores = around.double().numpy(), strength.double().numpy()
    own = {target: found.numpy() == kind for target, kind in kinds.items()}
    return {target: Boxes(boxes[which], scores[which]) for target, which in own.items()}


def _suppressed(parts: Sequence[Boxes]) -> Boxes:
    """The boxes of all tiles, without the weaker of two that were found twice, best first."""
    import torch
    from torchvision.ops import nms  # type: ignore[import-untyped]

    boxes = np.concatenate([part.boxes for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores), _OVERLAP).numpy()
    return Boxes(boxes[kept], scores[kept])


def four(edges: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom to a tenth of a pixel."""
    left, top, right, bottom = (round(float(edge), 1) for edge in edges)
    return left, top, right, bottom


def on_map(grid: Grid, edges: NDArray[np.float64]) -> tuple[float, float, float, float] | None:
    """The box around a box in the coordinates of the CRS: left, bottom, right, top."""
    if ground_crs(grid) is None:
        return None
    left, top, right, bottom = edges
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    x, y = zip(*(grid.transform @ corner for corner in corners), strict=True)
    return min(x), min(y), max(x), max(y)
