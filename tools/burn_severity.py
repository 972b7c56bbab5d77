"""How badly a burn burned: its area by classes of dNBR.

    severity_figures(difference, frame, window, codes, unit="ha", artefact=mask.id)

Classes of Key and Benson 2006 (FIREMON, RMRS-GTR-164-CD, table LA-2), of the fall of the normalised
burn ratio above that of unburned ground.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.tools.differencing import GAIN, Difference, TargetChange
from terralogue.tools.edges import part
from terralogue.tools.grid import Grid
from terralogue.tools.measure import Tally
from terralogue.tools.schemas import AreaUnit, Measurement
from terralogue.tools.tiling import tiles

CLASSES: Final = {
    "low": (-np.inf, 0.27),
    "moderate_low": (0.27, 0.44),
    "moderate_high": (0.44, 0.66),
    "high": (0.66, np.inf),
}
"""Lowest and highest dNBR of each class. Burned pixels below 0.27 lie along edges."""
_METHOD: Final = "dNBR {low} of the burned pixels (Key and Benson 2006, FIREMON, RMRS-GTR-164-CD)"


def severity_figures(
    difference: Difference,
    frame: Grid,
    window: Window,
    codes: NDArray[np.uint8],
    *,
    target: str | None,
    unit: AreaUnit,
    artefact: str,
) -> list[Measurement]:
    """Area of each class of severity; nothing for another target, or where nothing burned.

    Args:
        difference: of the burn ratio, fitted.
        frame: of the pair.
        window: that was looked at.
        codes: its mask (H, W).
        target: that was asked for.
        unit: of the areas.
        artefact: file of the mask.
    """
    burned = codes == GAIN
    if target != "burned_area" or not isinstance(difference, TargetChange) or not burned.any():
        return []
    tally = Tally(frame, tuple(CLASSES))
    for tile in tiles(window):
        here = burned[part(tile.core, window)]
        if here.any():
            fall = difference.beyond(tile.core)
            tally.add(
                tile.core,
                **{
                    name: here & (fall >= low) & (fall < high)
                    for name, (low, high) in CLASSES.items()
                },
            )
    return [
        tally.size(
            name,
            unit,
            called=f"{name}_severity_area",
            label=f"Burned, {name.replace('_', '-')} severity",
            method=_METHOD.format(low=_range(*bounds)),
            artefact=artefact,
        )
        for name, bounds in CLASSES.items()
    ]


def _range(low: float, high: float) -> str:
    if np.isinf(low):
        return f"below {high:g}"
    return f"{low:g} or more" if np.isinf(high) else f"{low:g} to {high:g}"
