"""What is around a click, seen by the image tower: the window, and the region chosen in it.

found = outline_at(scene, column, row, chooser)
found.mask, found.window, found.probability
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError, RefusalError
from terralogue.datasets.scene import Scene
from terralogue.datasets.tiles import TileReader
from terralogue.tools.at_point_choice import Chooser
from terralogue.tools.at_point_growth import LEAST, Grown, Sight, grow

Floats = NDArray[np.float32]

SIDE: Final = 256
"""Pixels along a window as it is looked at, the size of the pictures it was trained on."""
SURE: Final = 0.5
"""Expected overlap from which no wider window is looked at."""
LEAST_OVERLAP: Final = 0.2
"""Expected overlap below which there is nothing worth showing."""


@dataclass(frozen=True, eq=False)
class Outlined:
    """The thing at a click.

    Attributes:
        mask: bool (H, W) of `window`.
        window: the part of the scene that was looked at, in its pixels.
        coarser: how many pixels of the scene a pixel spanned in which the thing was outlined.
        overlap: expected intersection over union with what was meant.
        probability: calibrated, that this is at least 0.5.
    """

    mask: NDArray[np.bool_]
    window: Window
    coarser: float
    overlap: float
    probability: float


def outline_at(scene: Scene, column: float, row: float, chooser: Chooser) -> Outlined:
    """Outline the thing at a pixel, in a window that is widened until the thing shows and fits.

    Args:
        scene: what was clicked on.
        column: of the click, 0 is the left edge of the first pixel.
        row: likewise, from the top.
        chooser: tells the regions apart.

    Raises:
        InputError: no data at the click.
        RefusalError: nothing there stands out, or the bands are not known.
    """
    if scene.sensor is None and all(band.wavelength is None for band in scene.bands):
        raise RefusalError(
            f"An outline is read off the bands, and those of {scene.name} are not known; name its "
            "sensor.",
            reason="sensor",
        )
    reader = TileReader(scene, size=SIDE)
    best: Outlined | None = None
    for window in _windows(column, row, scene):
        factor = min(1.0, SIDE / max(window.width, window.height))
        shape = (max(1, round(window.height * factor)), max(1, round(window.width * factor)))
        sight = _see(reader, window, shape)
        at = (
            min(int((row - window.row_off) * factor), shape[0] - 1),
            min(int((column - window.col_off) * factor), shape[1] - 1),
        )
        if not sight.seen[at]:
            raise InputError(
                f"{scene.name} has no data at column {column:g} and row {row:g}; click elsewhere."
            )
        if not (regions := grow(sight, *at)):
            continue
        overlaps = chooser.overlap(np.stack([region.description for region in regions]))
        region = regions[int(overlaps.argmax())]
        overlap = min(max(float(overlaps.max()), 0.0), 1.0)
        if _cut_off(region, window, shape, scene) or (best and best.overlap >= overlap):
            continue
        mask = _full(region.on(shape), (int(window.height), int(window.width)))
        best = Outlined(mask, window, 1 / factor, overlap, chooser.probability(overlap))
        if overlap >= SURE:
            return best
    if best is None or best.overlap < LEAST_OVERLAP:
        raise RefusalError(
            f"At column {column:g} and row {row:g} of {scene.name} nothing of at least {LEAST} "
            "pixels stands out from what is around it; click elsewhere, or measure a land cover "
            "with segment.",
            reason="resolution",
        )
    return best


def features_of(data: Floats, bands: tuple[Band, ...]) -> Floats:
    """What the tower and the decoder that points see: float32 (channels, H/4, W/4).

    Args:
        data: (bands, H, W) in the range of tiles, 0 where not observed.
        bands: along the first axis.
    """
    import torch  # heavy; only when somebody clicks
    import torch.nn.functional as F  # noqa: N812

    from terralogue.vlm.referring import load_referrer

    referrer = load_referrer()
    height, width = data.shape[1:]
    with torch.inference_mode():
        image = torch.from_numpy(np.ascontiguousarray(data))[None]
        # The trunk halves five times; an invented edge would be seen as one.
        padded = F.pad(image, (0, -width % 32, 0, -height % 32), mode="replicate")
        fused = referrer.decoder.fuse(referrer.clip.tower.pyramid(padded, bands)[1:])
    cells = fused[0, :, : -(-height // 4), : -(-width // 4)]
    return np.asarray(cells.float().numpy(), np.float32)


def _windows(column: float, row: float, scene: Scene) -> Iterator[Window]:
    """Squares about a pixel, each twice as wide as the one before, up to the whole scene.

    They are moved into the scene, and cut where they are larger than that.
    """
    side = SIDE
    while True:
        width, height = min(side, scene.width), min(side, scene.height)
        left = min(max(int(column) - width // 2, 0), scene.width - width)
        top = min(max(int(row) - height // 2, 0), scene.height - height)
        yield Window(left, top, width, height)
        if side >= max(scene.width, scene.height):
            return
        side *= 2


def _see(reader: TileReader, window: Window, shape: tuple[int, int]) -> Sight:
    data, bands = reader.planes(window, shape)
    # A band without a single number says nothing, and would hide all others.
    there = np.asarray(np.isfinite(data).any(axis=(1, 2)))
    if not there.any():
        return Sight.of(data, np.zeros((1, 1, 1), np.float32))
    known = tuple(band for band, keep in zip(bands, there, strict=True) if keep)
    filled = np.where(np.isfinite(data), data, np.float32(0))[there]
    return Sight.of(data[there], features_of(filled, known))


def _cut_off(region: Grown, window: Window, shape: tuple[int, int], scene: Scene) -> bool:
    """Whether a region ends at a side of the window where the scene goes on."""
    rows, columns = region.place
    return bool(
        (rows.start == 0 and window.row_off > 0)
        or (columns.start == 0 and window.col_off > 0)
        or (rows.stop == shape[0] and window.row_off + window.height < scene.height)
        or (columns.stop == shape[1] and window.col_off + window.width < scene.width)
    )


def _full(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask at another shape (H, W), by the nearest pixel."""
    rows = np.arange(shape[0]) * mask.shape[0] // shape[0]
    columns = np.arange(shape[1]) * mask.shape[1] // shape[1]
    return mask[np.ix_(rows, columns)]
