"""What can happen to a simulated place: flood, fire, clearing, building, a shrinking lake."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from terralogue.datasets import synthetic_built as built
from terralogue.datasets import synthetic_nature as nature
from terralogue.datasets.synthetic_canvas import Canvas
from terralogue.datasets.synthetic_town import town

# What can happen, and to which layouts.
CHANGES: Final = {
    "flood": ("river", "lake"),
    "burn": ("forest", "grassland", "river"),
    "clearing": ("forest", "river", "lake"),
    "new_buildings": ("fields", "suburb", "grassland", "river"),
    "new_road": ("fields", "forest", "grassland"),
    "new_solar": ("fields", "grassland"),
    "lake_shrinks": ("lake",),
}


def apply_change(canvas: Canvas, change: str) -> None:
    """Let something happen to a painted place.

    Args:
        canvas: Painted by a layout.
        change: In CHANGES.
    """
    rng = canvas.rng(f"change/{change}")
    x, y = rng.uniform(-0.2, 0.2, 2) * canvas.extent
    share = float(rng.uniform(0.05, 0.22))
    if change == "flood":
        _flood(canvas, float(rng.uniform(0.03, 0.10)))
    elif change == "burn":
        nature.burn(canvas, nature.spread(canvas, 1.6 * share, "change/fire", x, y))
    elif change == "clearing":
        patch = nature.spread(canvas, 1.3 * share, "change/clearing", x, y)
        trees = patch & canvas.is_any("conifer", "deciduous", "tropical")
        light = 0.95 + 0.08 * canvas.layers("change/slash", 25, 3)
        canvas.paint(trees, "soil", light=light, variant=5, mix=0.3)
    elif change == "new_buildings":
        dry = ~canvas.is_any("river", "lake", "sea", "pond", "asphalt") & (canvas.things == 0)
        style = str(rng.choice(("suburb", "suburb", "works")))
        patch = nature.spread(canvas, share, "change/estate", x, y) & dry
        town(canvas, patch, style, name="change/estate")
    elif change == "new_road":
        width = float(np.clip(canvas.extent / 90, 8, 40))
        built.road(canvas, width, name="change/road", offset=y, feature="new road")
    elif change == "lake_shrinks":
        _dry_up(canvas, float(rng.uniform(0.06, 0.16)))
    elif change == "new_solar":
        u, v = canvas.turned(float(rng.uniform(-0.3, 0.3)), x, y)
        side = canvas.extent * np.sqrt(share) / 2
        open_ground = canvas.is_any(
            "grass",
            "meadow",
            "dry_grass",
            "wheat",
            "maize",
            "beet",
            "alfalfa",
            "fallow",
            "rapeseed",
            "soil",
        )
        built.solar_park(canvas, (np.abs(u) < side) & (np.abs(v) < side) & open_ground)


def _dry_up(canvas: Canvas, reach: float) -> None:
    """Lakes draw back from their shores and leave mud."""
    wet = canvas.is_any("lake", "pond")
    inside = ndimage.distance_transform_edt(wet) * canvas.cell
    rough = canvas.layers("change/shore", canvas.extent / 8, 3)
    mud = wet & (inside < canvas.extent * reach * (1 + 0.4 * rough))
    canvas.paint(mud, "soil", light=np.clip(0.85 - inside / (4 * reach * canvas.extent), 0.5, 1))


def _flood(canvas: Canvas, reach: float) -> None:
    """Water beyond the banks, on low open ground; roofs, woods and roads stand out of it."""
    wet = canvas.is_any("river", "lake", "pond")
    if not wet.any():
        return
    away = ndimage.distance_transform_edt(~wet) * canvas.cell
    rough = canvas.layers("change/flood", canvas.extent / 7, 4)
    under = away < canvas.extent * reach * (1 + 0.55 * rough)
    under &= ~wet & (canvas.things == 0) & (canvas.top < 3)
    under &= ~canvas.is_any("asphalt", "conifer", "deciduous", "tropical")
    light = 1 + 0.05 * canvas.layers("change/silt", canvas.extent / 9, 3)
    canvas.paint(under, "flood", light=light, mix=np.clip(0.12 * rough, 0, 0.5))
    canvas.feature("flood", under)
