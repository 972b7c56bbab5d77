"""Edges of a mask set where a pixel is half the target, so that areas come out right.

A sensor blurs, so reflectance changes over two or three pixels where water meets land, and a fixed
threshold or a network may cut that slope anywhere. Reflectance mixes linearly (Adams, Smith and
Johnson 1986, doi:10.1029/JB091iB08p08098): where it is half way between what lies on either side,
the pixel is half covered. Both sides are taken from the scene, a few pixels around, and only where
they are two separate groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

from terralogue.tools.baselines import NO, UNSEEN, YES, Model, Read, scene_reader
from terralogue.tools.run import Progress
from terralogue.tools.specialist import Job
from terralogue.tools.thresholds import MIN_ASHMAN_D
from terralogue.tools.tiling import Tile, stream, tiles

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Value = Callable[[Window], Floats]

BANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "water": ("N",),
    "flooded_area": ("N",),
    "burned_area": ("N", "S2"),
}
"""Bands in which a target is darker than what lies around it: the first, less the second."""
METHOD: Final = (
    "edges where {bands} is half way between both sides (linear mixture, Adams et al. 1986, "
    "doi:10.1029/JB091iB08p08098)"
)
# Pixels along the side of the square in which the two sides are looked at, and how often: an edge
# that was two pixels off needs two steps. Chosen on simulated lakes, floods and burns.
_AROUND: Final = 7
_ROUNDS: Final = 2
_FEWEST: Final = 3  # pixels of either side
HALO: Final = _ROUNDS * (_AROUND // 2 + 1)
"""Pixels of surroundings that change what is decided."""
_TILE: Final = 256
_TOUCHING: Final = np.ones((3, 3), np.bool_)


class Sides(NamedTuple):
    """What tells both sides of an edge.

    Attributes:
        value: lower on the target, float32 (H, W) of a window, NaN where nothing is to be told.
        method: for people.
    """

    value: Value
    method: str


def sides(job: Job) -> Sides | None:
    """What tells the edges of a target on a scene; None where nothing does.

    A burn is told by what changed since the reference. New water is told by nothing: where it
    meets old water there is no edge to see.
    """
    bands, earlier = BANDS.get(job.target, ()), job.reference_scene
    if not bands or (earlier is not None) != (job.target == "burned_area"):
        return None
    if not all(scene.has(*bands) for scene in (job.scene, earlier) if scene is not None):
        return None
    told = brightness(bands, scene_reader(job.scene), job.reference)

    def value(window: Window) -> Floats:
        found = told(window)
        if job.hidden is not None:
            found[job.hidden(window)] = np.nan
        return found

    return Sides(value, method(bands))


def method(bands: tuple[str, ...]) -> str:
    """For people."""
    return METHOD.format(bands=" - ".join(bands))


def brightness(bands: tuple[str, ...], read: Read, earlier: Read | None = None) -> Value:
    """What is lower on the target, float32 (H, W) of a window: now, or now less before."""

    def value(window: Window) -> Floats:
        found = _less(read(bands, window))
        return found if earlier is None else found - _less(earlier(bands, window))

    return value


def _less(data: Floats) -> Floats:
    return np.asarray(data[0] if len(data) == 1 else data[0] - data[1], np.float32)


def settle(codes: Codes, value: Floats) -> Codes:
    """Set the edges of a mask (H, W) anew: 1 target, 0 not, 255 not observed.

    Args:
        codes: the mask.
        value: lower on the target, float32 (H, W), NaN where not observed.
    """
    codes = codes.copy()
    known = np.isfinite(value)
    for _ in range(_ROUNDS):
        yes, no = (codes == YES) & known, (codes == NO) & known
        inside = yes & ~ndimage.binary_dilation(no, _TOUCHING)
        outside = no & ~ndimage.binary_dilation(yes, _TOUCHING)
        edge = (yes | no) & ~inside & ~outside
        if not edge.any():
            break
        low, low_spread = _around(value, inside, edge)
        high, high_spread = _around(value, outside, edge)
        # Ashman's D; a surface without any spread is told from another by rounding.
        spread = np.maximum(low_spread + high_spread, 1e-6 * (low + high) ** 2)
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = np.sqrt(2) * (high - low) / np.sqrt(spread) > MIN_ASHMAN_D
        here = value[edge]
        codes[edge] = np.where(apart, here < (low + high) / 2, codes[edge])
    return codes


def _around(value: Floats, of: Bools, where: Bools) -> tuple[Floats, Floats]:
    """Mean and variance of some pixels around others (n,), NaN where there are too few."""
    count = ndimage.uniform_filter(of.astype(np.float64), _AROUND, mode="constant")[where]
    taken = np.where(of, value, 0).astype(np.float64)
    enough = count * _AROUND**2 > _FEWEST - 0.5
    count = np.where(enough, count, np.nan)
    mean = ndimage.uniform_filter(taken, _AROUND, mode="constant")[where] / count
    square = ndimage.uniform_filter(taken**2, _AROUND, mode="constant")[where] / count
    return mean.astype(np.float32), np.maximum(square - mean**2, 0).astype(np.float32)


def settle_window(
    codes: Codes, window: Window, value: Value, executor: Executor, progress: Progress | None
) -> None:
    """Set the edges of the mask of a window in place, piece by piece; see `settle`.

    Args:
        codes: the mask (H, W) of the whole window.
        window: where it lies.
        value: gives what `settle` takes, of windows inside.
        executor: runs the pieces.
        progress: told after each.
    """
    before = codes.copy()

    def work(tile: Tile) -> Codes | None:
        here = before[part(tile.read, window)]
        if not ((here == YES).any() and (here == NO).any()):
            return None
        return settle(here, value(tile.read))[tile.inner]

    pieces = tiles(window, size=_TILE, halo=HALO)
    for tile, found in stream(work, pieces, executor, progress=progress, message="Setting edges"):
        if found is not None:
            codes[part(tile.core, window)] = found


def part(of: Window, window: Window) -> tuple[slice, slice]:
    """Rows and columns of a window inside the array of a larger one."""
    row, column = int(of.row_off - window.row_off), int(of.col_off - window.col_off)
    return slice(row, row + int(of.height)), slice(column, column + int(of.width))


def cover(
    model: Model, job: Job, window: Window, into: Codes,
    executor: Executor, progress: Progress | None,
) -> str:  # fmt: skip
    """Run a model over a window of its scene, and set the edges.

    Args:
        model: of one date.
        job: what it was built for.
        window: of the scene.
        into: where the mask goes (H, W): 1 target, 0 not, 255 not observed.
        executor: runs the pieces.
        progress: told after each.

    Returns:
        How the edges were set, for people; empty where they are the model's.
    """
    into[:] = UNSEEN
    for place, found in model.run(window, executor, progress):
        into[part(place, window)] = found
    told = sides(job)
    if told is None:
        return ""
    settle_window(into, window, told.value, executor, progress)
    return f"; {told.method}"
