"""Simulated land cover for training: scenes of all kinds of sensors as slots, with exact masks.

x, present, y = simulate_cover(7)       # (13, 128, 128) float16, (13,) bool, (128, 128) uint8
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.dense_slots import slot_planes
from terralogue.datasets.sensors import get_sensor
from terralogue.datasets.synthetic_layouts import LAYOUTS, choose_place
from terralogue.datasets.synthetic_materials import CLASSES
from terralogue.datasets.synthetic_render import Simulated, render

COVERS: Final = (
    "water",
    "tree_cover",
    "grassland",
    "cropland",
    "bare_soil",
    "built_up",
    "wetland",
    "snow_ice",
    "burned_area",
    "cloud",
    "cloud_shadow",
)
"""Classes of the land-cover maps, in the order of their codes."""
CLOUDS: Final = ("cloud", "cloud_shadow")
"""Classes that help to learn the others; maps leave them to the screening of clouds."""
IGNORED: Final = 255
# What stands in a class of the simulator's truth for a class of the map. Ships hide the water that
# they float on, and vehicles the ground below.
_SAME: Final = {
    "flooded_area": "water",
    "building": "built_up",
    "road": "built_up",
    "storage_tank": "built_up",
    "aircraft": "built_up",
    "solar_panel": "built_up",
}
_CODES: Final = np.array(
    [
        COVERS.index(_SAME.get(name, name)) if _SAME.get(name, name) in COVERS else IGNORED
        for name in CLASSES
    ],
    np.uint8,
)
# Sensor, share of the scenes, and metres along a pixel (lowest, highest).
SENSORS: Final = (
    ("sentinel2_l2a", 0.34, (10.0, 30.0)),
    ("sentinel2_l1c", 0.18, (10.0, 20.0)),
    ("landsat8", 0.24, (30.0, 30.0)),
    ("planetscope_8b", 0.08, (3.0, 6.0)),
    ("sentinel1_grd", 0.08, (10.0, 20.0)),
    ("sentinel1_rtc", 0.08, (10.0, 20.0)),
)
# Layouts with classes that the rest lack are drawn more often than they occur.
_RARE: Final = {
    "wetland": 3.0, "burn": 3.0, "flood": 3.0, "mountains": 3.0, "forest": 2.0, "river": 2.0,
    "lake": 2.0, "grassland": 2.0, "valley": 2.0, "coast": 1.5, "fields": 2.0, "suburb": 1.5,
    "city": 1.5, "desert": 1.5, "parking": 0.2, "tanks": 0.5, "harbour": 0.7,
}  # fmt: skip


def simulate_cover(
    seed: int, size: int = 128
) -> tuple[NDArray[np.float16], NDArray[np.bool_], NDArray[np.uint8]]:
    """Simulate one scene of a sensor, layout, season and sky drawn from the seed.

    Returns:
        Slots float16 (13, size, size) as `slot_planes` gives them; which of them are filled; and
        codes of COVERS uint8 (size, size), 255 where the truth has none of these classes.
    """
    rng = np.random.default_rng([seed, 77])
    odds = np.array([share for _, share, _ in SENSORS])
    key, _, (low, high) = SENSORS[int(rng.choice(len(SENSORS), p=odds / odds.sum()))]
    gsd = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if rng.random() < 0.4 else low
    weights = np.array([_RARE.get(name, 1.0) for name in LAYOUTS])
    layout = str(rng.choice(LAYOUTS, p=weights / weights.sum()))
    season = float(rng.uniform(0.2, 0.85) if rng.random() < 0.75 else rng.uniform(0, 1))
    clouds = 0.0 if rng.random() < 0.7 else float(rng.uniform(0.05, 0.5))
    place = choose_place(seed, layout, size * gsd, gsd)
    scene = render(place, get_sensor(key), size=size, gsd=gsd, season=season, clouds=clouds)
    planes, present = slot_planes(scene.data, scene.bands)
    return planes.astype(np.float16), present, cover_codes(scene)


def cover_codes(scene: Simulated) -> NDArray[np.uint8]:
    """The truth of a scene as codes of COVERS: uint8 (H, W), cloud and its shadow over the rest.

    Radar looks through cloud.
    """
    codes = _CODES[scene.classes]
    codes[scene.cloud] = COVERS.index("cloud")
    codes[scene.shadow] = COVERS.index("cloud_shadow")
    return np.asarray(codes, np.uint8)
