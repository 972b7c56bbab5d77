"""How broken up woodland is, before and after a change: patches, edges and core.

    patch_figures(difference, pair.frame, window, codes, target="vegetation", …)

The metrics are those of FRAGSTATS (McGarigal, Cushman and Ene 2023, FRAGSTATS v4, class metrics):
number of patches (NP) and mean patch area (AREA_MN) by the eight-neighbour rule, largest patch
area (that of LPI), total edge (TE) and edge density (ED), and the share of the class that is core
(total core area TCA by class area CA). The rim of the image and pixels not observed are no edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

from terralogue.tools.baselines import YES
from terralogue.tools.differencing import GAIN, LOSS, UNSEEN, Difference, TargetChange
from terralogue.tools.grid import Grid, crop, why_no_ground
from terralogue.tools.measure import UNITS, GroundAreas
from terralogue.tools.overlay import pixel_size
from terralogue.tools.schemas import AreaUnit, Measurement
from terralogue.tools.specialist import TITLES
from terralogue.tools.tiling import tiles

Bools = NDArray[np.bool_]

TARGETS = ("tree_cover", "vegetation")
"""Whose gain and loss is described by patches too."""
EDGE_DEPTH = 100.0
"""Metres into a forest that most effects of its edge reach: Laurance et al. 2002,
doi:10.1046/j.1523-1739.2002.01025.x."""
LEAST_AREA = 5000.0
"""Square metres of the smallest patch that is counted: the 0.5 ha of FAO's definition of forest
(Global Forest Resources Assessment, Terms and Definitions)."""
_EIGHT = np.ones((3, 3), np.bool_)


@dataclass(frozen=True)
class Patches:
    """Landscape metrics of one date.

    Attributes:
        number: Patches of at least `LEAST_AREA`.
        mean_area: Of those, square metres; 0 where there is none.
        largest_area: Square metres.
        edge: Metres of border between the class and what is not of it.
        density: Metres of edge for each hectare that was observed.
        core_share: Per cent of the class farther than `EDGE_DEPTH` from its edge.
    """

    number: int
    mean_area: float
    largest_area: float
    edge: float
    density: float
    core_share: float


def patch_figures(
    difference: Difference,
    grid: Grid,
    window: Window,
    codes: NDArray[np.uint8],
    *,
    target: str | None,
    unit: AreaUnit,
    artefact: str,
) -> list[Measurement]:
    """Patch metrics before and after a decided change.

    After the change is what was there before, without what was lost and with what was gained.

    Args:
        difference: knows where the class was on the earlier date.
        grid: of both dates.
        window: of the grid, that `codes` covers.
        codes: uint8 (H, W): 0 unchanged, 1 gained, 2 lost, 255 not observed.
        target: that changed.
        unit: of the areas.
        artefact: id of the change mask.

    Returns:
        Nothing for what is no woodland, where the earlier date has no map of the class, and where
        the grid is not tied to the ground, since all but the number are lengths.
    """
    if target not in TARGETS or why_no_ground(grid) is not None:
        return []
    if not isinstance(difference, TargetChange) or difference.states is None:
        return []
    before = np.zeros(codes.shape, np.bool_)
    for tile in tiles(window):
        local = Window(
            tile.core.col_off - window.col_off,
            tile.core.row_off - window.row_off,
            tile.core.width,
            tile.core.height,
        )
        before[local.toslices()] = difference.states(tile.core)[0] == YES
    observed = codes != UNSEEN
    before &= observed
    after = (before & (codes != LOSS)) | (codes == GAIN)
    frame = crop(grid, window)
    figures = []
    for when, mask in (("before", before), ("after", after)):
        found = measure_patches(mask, observed, frame)
        figures += _figures(found, when, TITLES[target], unit, artefact)
    return figures


def measure_patches(mask: Bools, observed: Bools, grid: Grid) -> Patches:
    """Landscape metrics of a mask bool (H, W) on a grid that is tied to the ground.

    Args:
        mask: the class.
        observed: what was seen; the class lies within it.
        grid: of the pixels.
    """
    areas = GroundAreas(grid)
    size = pixel_size(grid)
    assert size is not None
    across, down = size
    labels, count = ndimage.label(mask, _EIGHT)
    sizes = np.zeros(count + 1)
    core = 0.0
    rows, columns = (math.ceil(EDGE_DEPTH / side) + 1 for side in (down, across))
    whole = Window(0, 0, grid.width, grid.height)
    for tile in tiles(whole, halo=max(rows, columns)):
        square_metres = areas.pixels(tile.core)
        part = labels[tile.core.toslices()]
        sizes += np.bincount(part.ravel(), square_metres.ravel(), count + 1)
        around = tile.read.toslices()
        inside = _core(mask[around], observed[around], across, down)[tile.inner]
        core += float(square_metres[inside].sum())
    sizes = sizes[1:]
    counted = sizes[sizes >= LEAST_AREA]
    edge = _edge(mask, observed, across, down)
    hectares = areas.of(observed, whole) / UNITS["ha"]
    return Patches(
        number=len(counted),
        mean_area=float(counted.mean()) if len(counted) else 0.0,
        largest_area=float(sizes.max()) if count else 0.0,
        edge=edge,
        density=edge / hectares if hectares else 0.0,
        core_share=100 * core / float(sizes.sum()) if count else 0.0,
    )


def _edge(mask: Bools, observed: Bools, across: float, down: float) -> float:
    """Metres of the pixel sides between the class and other observed ground."""
    other = observed & ~mask
    upright = (mask[:, 1:] & other[:, :-1]) | (mask[:, :-1] & other[:, 1:])
    level = (mask[1:] & other[:-1]) | (mask[:-1] & other[1:])
    return float(np.count_nonzero(upright) * down + np.count_nonzero(level) * across)


def _core(mask: Bools, observed: Bools, across: float, down: float) -> Bools:
    """Pixels of the class whose middle is farther than the depth of the edge from other ground."""
    other = observed & ~mask
    if not other.any():
        return mask
    metres = ndimage.distance_transform_edt(~other, sampling=(down, across))
    # From the middle of a pixel of other ground; its border is half a pixel nearer.
    return np.asarray(mask & (metres - min(across, down) / 2 > EDGE_DEPTH))


def _figures(
    found: Patches, when: str, name: str, unit: AreaUnit, artefact: str
) -> list[Measurement]:
    rule = f"eight-neighbour patches of at least {LEAST_AREA / UNITS['ha']:g} ha"
    rows: list[tuple[str, float, str, str, str]] = [
        ("patches", found.number, "patches", "number of patches", f"NP, {rule}"),
        ("mean_patch_area", found.mean_area / UNITS[unit], unit, "mean patch", f"AREA_MN, {rule}"),
        (
            "largest_patch_area", found.largest_area / UNITS[unit], unit, "largest patch",
            "area of the largest patch",
        ),
        ("edge_length", found.edge / 1000, "km", "length of edge", "TE, sides of pixels"),
        ("edge_density", found.density, "m/ha", "edge density", "ED, edge by observed area"),
        (
            "core_share", found.core_share, "%", "core share",
            f"TCA by CA, core farther than {EDGE_DEPTH:g} m from the edge",
        ),
    ]  # fmt: skip
    return [
        Measurement(
            name=f"{when}_{key}",
            value=value,
            unit=each,
            method=f"FRAGSTATS class metric {how}",
            artefact=artefact,
            label=f"{name}, {words} {when}",
        )
        for key, value, each, words, how in rows
    ]
