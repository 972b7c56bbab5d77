"""Two looks at the same simulated place: before and after a known change, or in two seasons.

python -c "from terralogue.datasets import synthetic_pairs as p; print(p.simulate_pair().gain())"
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.errors import InputError
from terralogue.datasets.sensors import get_sensor
from terralogue.datasets.synthetic_changes import CHANGES
from terralogue.datasets.synthetic_layouts import LAYOUT_TABLE, choose_place
from terralogue.datasets.synthetic_materials import CLASSES
from terralogue.datasets.synthetic_render import Simulated, render

# Pairs in which nothing happens but weather, light and season.
SEASONAL: Final = {
    "none": (),
    "season": (),
    "harvest": ("fields", "sections"),
    "snow_melt": ("fields", "forest", "grassland", "mountains", "lake"),
}
PAIR_CHANGES: Final = (*CHANGES, *SEASONAL)


@dataclass(frozen=True)
class SimulatedPair:
    """Two scenes of one place on one grid.

    Attributes:
        before: The earlier one.
        after: The later one.
        change: What happened between them; in PAIR_CHANGES.
        changed: bool (H, W), where the class of the ground changed, also below cloud; snow and
            the state of crops are weather and season, no change.
    """

    before: Simulated
    after: Simulated
    change: str
    changed: NDArray[np.bool_]

    @property
    def observed(self) -> NDArray[np.bool_]:
        """Where neither scene is below cloud (H, W)."""
        return ~(self.before.cloud | self.after.cloud)

    def gain(self) -> dict[str, float]:
        """Observed area in square metres that each class won, largest first."""
        return self._areas(self.after)

    def loss(self) -> dict[str, float]:
        """Observed area in square metres that each class lost, largest first."""
        return self._areas(self.before)

    def _areas(self, scene: Simulated) -> dict[str, float]:
        seen = self.changed & self.observed
        counts = np.bincount(scene.classes[seen], minlength=len(CLASSES))
        areas = {
            name: float(count) * scene.gsd**2
            for name, count in zip(CLASSES, counts, strict=True)
            if count
        }
        return dict(sorted(areas.items(), key=lambda item: -item[1]))


def simulate_pair(
    sensor: str = "sentinel2_l2a",
    *,
    change: str | None = None,
    layout: str | None = None,
    size: int = 256,
    gsd: float | None = None,
    seed: int = 0,
    clouds: float = 0.0,
) -> SimulatedPair:
    """Simulate a place before and after something happened; what is not given is drawn.

    Args:
        sensor: Key or alias in SENSORS, the same for both.
        change: In PAIR_CHANGES: something in CHANGES; "none" for another day; "season" for another
            time of the year; "harvest" and "snow_melt" for those two.
        layout: In LAYOUTS; one that the change suits where not given.
        size: Pixels along each side.
        gsd: Metres along a pixel; the sensor's own, or 2 where it has none.
        seed: Of everything.
        clouds: Share below cloud in each, at different places.

    Raises:
        InputError: No such sensor, change or layout.
    """
    rng = np.random.default_rng([seed, 6])
    if change is None:
        change = str(rng.choice((*CHANGES, *CHANGES, *SEASONAL)))
    if change not in PAIR_CHANGES:
        raise InputError(f"unknown change {change!r}; valid are: {', '.join(PAIR_CHANGES)}")
    known = get_sensor(sensor)
    metres = float(gsd if gsd is not None else known.gsd or 2.0)
    if layout is None:
        suited = CHANGES.get(change, SEASONAL.get(change, ()))
        layout = _suitable(suited, metres, rng)
    cold = change == "snow_melt"
    place = choose_place(seed, layout, size * metres, metres, climate="boreal" if cold else None)
    first, second = _seasons(change, rng)
    event = change if change in CHANGES else None
    before = render(
        place, known, size=size, gsd=metres, season=first, clouds=clouds, sky=seed + 500_009
    )
    after = render(
        place,
        known,
        size=size,
        gsd=metres,
        season=second,
        clouds=clouds,
        change=event,
        sky=seed + 900_001,
    )
    different = before.classes != after.classes
    changed = different if event else np.zeros_like(different)
    return SimulatedPair(before, after, change, changed)


def _suitable(layouts: tuple[str, ...], gsd: float, rng: np.random.Generator) -> str | None:
    fitting = [
        name for name in layouts if LAYOUT_TABLE[name].finest <= gsd <= LAYOUT_TABLE[name].coarsest
    ]
    return str(rng.choice(fitting or layouts)) if layouts else None


def _seasons(change: str, rng: np.random.Generator) -> tuple[float, float]:
    """Two times of the year; those of events are without snow, so that classes can be compared."""
    if change == "harvest":
        return float(rng.uniform(0.47, 0.51)), float(rng.uniform(0.63, 0.70))
    if change == "snow_melt":
        return float(rng.uniform(0.03, 0.12)), float(rng.uniform(0.36, 0.45))
    if change == "season":
        return float(rng.uniform(0.25, 0.45)), float(rng.uniform(0.62, 0.80))
    first = float(rng.uniform(0.30, 0.70))
    return first, float(np.clip(first + rng.normal(0, 0.06), 0.27, 0.78))
