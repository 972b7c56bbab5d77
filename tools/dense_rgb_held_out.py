"""Recipe of `rgb_held_out`: as `rgb_cover`, but without two whole tiles of Dubai.

For figures on a neighbourhood that was never seen, which pieces of one tile cannot give; nothing
of it is shipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from terralogue.datasets.parts import Part
from terralogue.tools import dense_rgb

TILES: Final[Mapping[str, Part]] = {"tile3": "val", "tile2": "test"}


def tile_part(stem: str) -> Part:
    """The part of a piece of Dubai, by its tile."""
    return TILES.get(stem.partition("_")[0], "train")


RECIPE: Final = replace(
    dense_rgb.RECIPE,
    sources={
        **dense_rgb.RECIPE.sources,
        "dubai": partial(dense_rgb.dubai, part_of=tile_part),
    },
)
