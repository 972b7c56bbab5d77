"""Recipe of `rgb_road`: roads on aerial pictures, by a network of their own.

On validation it finds them better than the shared network does, but knows nothing of roads in the
desert; for those the land cover of `rgb_cover` has a voice too.
"""

from __future__ import annotations

from typing import Final

from terralogue.tools import dense_rgb
from terralogue.tools.dense_recipe import DenseRecipe

RECIPE: Final = DenseRecipe(
    heads={"road": ("other", "road")},
    targets={"road": ("road", ("road",))},
    sources={"eth_roads": dense_rgb.eth_roads},
    facts=dense_rgb.RECIPE.facts,
    partners={"road": ("rgb_cover", "cover", ("road",))},
)
