"""From what to what: the land cover of changed pixels on either date.

The cover of a date is told by the models of `segment`, target by target; the first of COVERS that
holds counts, so that a pixel has one cover.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.errors import EOError
from terralogue.tools.baselines import YES
from terralogue.tools.change_targets import States, states_on
from terralogue.tools.differencing import GAIN
from terralogue.tools.measure import Tally
from terralogue.tools.pairs import Pair
from terralogue.tools.region import Placed
from terralogue.tools.run import Run
from terralogue.tools.schemas import AreaUnit, Measurement
from terralogue.tools.specialist import TITLES
from terralogue.tools.tiling import tiles

COVERS: Final = ("snow_ice", "water", "vegetation", "built_up", "bare_soil")
"""Targets that a pixel may be of, the surest first."""
REST: Final = "other"
# Each target is a pass over both scenes.
_MOST_PIXELS: Final = 16_000_000
_SHOWN: Final = 6
# Less of the change than this is noise of single dates.
_LEAST_SHARE: Final = 0.02


class Transitions(NamedTuple):
    """Areas that went from one cover to another, the largest first, and what has to be said."""

    measurements: list[Measurement]
    warnings: list[str]


def transition_figures(
    pair: Pair,
    placed: Placed,
    codes: NDArray[np.uint8],
    run: Run,
    unit: AreaUnit,
    artefact: str,
) -> Transitions:
    """What the changed pixels of a mask were and became.

    Args:
        pair: the scenes.
        placed: where was looked.
        codes: (H, W) of `placed.window`; GAIN is changed.
        run: workspace, progress, executor.
        unit: of the areas.
        artefact: id of the mask.

    Returns:
        Nothing where nothing changed, or where fewer than two covers can be told on both dates.
    """
    if not (codes == GAIN).any() or codes.size > _MOST_PIXELS:
        return Transitions([], [])
    covers = _covers(pair, placed.window, run)
    if len(covers) < 2:
        return Transitions([], [])
    names = [*covers, REST]
    kinds = {(a, b): f"{a}_to_{b}" for a in names for b in names}
    tally = Tally(pair.frame, ("changed", *kinds.values()))
    for tile in tiles(placed.window):
        rows, columns = tile.core.toslices()
        top, left = int(placed.window.row_off), int(placed.window.col_off)
        changed = codes[rows.start - top : rows.stop - top, columns.start - left :] == GAIN
        changed = changed[:, : int(tile.core.width)]
        before, after = (_cover(covers, side, tile.core) for side in (0, 1))
        masks = {
            kind: changed & (before == names.index(a)) & (after == names.index(b))
            for (a, b), kind in kinds.items()
        }
        tally.add(tile.core, changed=changed, **masks)
    whole = max(tally.pixels["changed"], 1)
    moved = [
        (tally.pixels[kind], a, b)
        for (a, b), kind in kinds.items()
        if a != b and tally.pixels[kind] >= _LEAST_SHARE * whole
    ]
    how = "; ".join(f"{name}: {covers[name][0].name}" for name in covers)
    found = [
        tally.size(
            kinds[a, b], unit, called=f"{kinds[a, b]}_area", label=f"{_title(a)} to {_title(b)}",
            method=f"cover of changed pixels on either date, the first of {how}", artefact=artefact,
        )
        for _, a, b in sorted(moved, key=lambda each: -each[0])[:_SHOWN]
    ]  # fmt: skip
    return Transitions(found, [_CAUTION] if found else [])


_CAUTION: Final = (
    "What changed pixels were and became is told by single-date rules: more often mistaken than "
    "the change itself."
)


def _title(cover: str) -> str:
    return TITLES.get(cover, "Other cover")


def _covers(pair: Pair, window: Window, run: Run) -> dict[str, tuple[States, States]]:
    """The covers that can be told on both dates, and their states."""
    found = {}
    for cover in COVERS:
        try:
            sides = [
                states_on(side, clouds, cover, window, run)
                for side, clouds in zip((pair.before, pair.after), pair.clouds, strict=True)
            ]
        except EOError:
            # A band is lacking, or the cover cannot be told from the rest: one cover fewer.
            continue
        found[cover] = (sides[0], sides[1])
    return found


def _cover(
    covers: dict[str, tuple[States, States]], side: int, window: Window
) -> NDArray[np.uint8]:
    """Number of the cover of each pixel of a date, that of REST where none holds: (H, W)."""
    found = np.full((int(window.height), int(window.width)), len(covers), np.uint8)
    for number, states in reversed(list(enumerate(covers.values()))):
        found[states[side].read(window) == YES] = number
    return found
