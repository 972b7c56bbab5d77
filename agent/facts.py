"""What the scenes of a question can support, read from the declared or opened facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from terralogue.agent.plan import Inputs, SceneFacts
from terralogue.datasets.bands import INTERCHANGEABLE
from terralogue.datasets.sensors import SENSORS, Sensor, get_sensor

# Pixel sizes in metres that pictures of these kinds usually have, where a file states none.
_USUAL_GSD: Final = {
    "rgb_aerial": 0.5, "rgb_satellite": 1.0, "worldview_rgbn": 2.0, "worldview2": 2.0,
    "pleiades": 2.0, "spot": 6.0, "gaofen2": 4.0,
}  # fmt: skip
# The coarsest pixel, in metres, on which single things of a kind can still be told apart: about a
# third of their usual size. Ships stand out from water on coarser ones, by radar on much coarser.
FINEST_PIXEL: Final = {
    "vehicle": 1.0, "tree": 1.5, "building": 3.0, "aircraft": 3.0, "ship": 10.0, "road": 5.0,
    "storage_tank": 5.0, "solar_panel": 5.0,
}  # fmt: skip
RADAR_SHIP_PIXEL: Final = 20.0


@dataclass(frozen=True)
class SceneView:
    """One scene as the rules see it.

    Attributes:
        facts: as declared or opened.
        sensor: the entry in SENSORS, or None where it is open.
        bands: spyndex short names that the scene has.
        gsd: metres per pixel, or None where unknown.
    """

    facts: SceneFacts
    sensor: Sensor | None
    bands: frozenset[str]
    gsd: float | None

    @property
    def id(self) -> str:
        """Workspace id."""
        return self.facts.id

    @property
    def radar(self) -> bool:
        """Whether it is a radar scene."""
        if self.sensor is not None:
            return all(band.kind == "sar" for band in self.sensor.bands)
        return bool(self.bands) and self.bands <= {"VV", "VH", "HH", "HV"}

    @property
    def elevation(self) -> bool:
        """Whether it is an elevation model."""
        return self.sensor is not None and self.sensor.key == "elevation"

    @property
    def thermal(self) -> bool:
        """Whether a band records heat."""
        known = self.sensor.bands if self.sensor else ()
        return any(b.kind == "thermal" and (b.common in self.bands or not b.common) for b in known)

    @property
    def open_sensor(self) -> bool:
        """Whether nothing is known of the bands, so that the sensor has to be asked for."""
        return self.sensor is None and not self.bands

    @property
    def title(self) -> str:
        """For people: name, sensor and date, as far as known."""
        extra = [self.sensor.title if self.sensor else "", self.facts.date or ""]
        words = ", ".join(part for part in extra if part)
        name = self.facts.name or self.facts.id
        return f"{name} ({words})" if words else name

    def missing(self, needed: Sequence[str]) -> tuple[str, ...]:
        """Bands that are needed and absent; one near-infrared band stands in for the other."""
        return tuple(
            b for b in needed if b not in self.bands and INTERCHANGEABLE.get(b, b) not in self.bands
        )

    def resolves(self, target: str) -> bool:
        """Whether single things of a kind can be told apart; True where the pixel is unknown."""
        limit = FINEST_PIXEL.get(target)
        if limit is None or self.gsd is None:
            return True
        if target == "ship" and self.radar:
            limit = RADAR_SHIP_PIXEL
        return self.gsd <= limit


def view(facts: SceneFacts) -> SceneView:
    """Complete a scene's facts from SENSORS.

    Raises:
        InputError: the declared sensor is not in SENSORS.
    """
    sensor = get_sensor(facts.sensor) if facts.sensor else None
    bands = frozenset(facts.bands)
    if not bands and sensor is not None:
        bands = frozenset(band.common for band in sensor.bands if band.common)
    gsd = facts.gsd
    if gsd is None and sensor is not None:
        gsd = sensor.gsd or _USUAL_GSD.get(sensor.key)
    return SceneView(facts, sensor, bands, gsd)


def views(inputs: Inputs) -> tuple[SceneView, ...]:
    """All scenes, in upload order."""
    return tuple(view(facts) for facts in inputs.scenes)


def by_date(scenes: Sequence[SceneView]) -> list[SceneView] | None:
    """Scenes from the oldest to the newest, or None where a date is missing."""
    if any(scene.facts.date is None for scene in scenes):
        return None
    return sorted(scenes, key=lambda scene: scene.facts.date or "")


def sensors_with(bands: Sequence[str]) -> tuple[str, ...]:
    """Titles of common sensors that carry all of these bands."""
    common = ("sentinel2_l2a", "landsat8", "naip_rgbn", "planetscope", "sentinel1_grd")
    return tuple(
        SENSORS[key].title
        for key in common
        if not view(SceneFacts(id=key, sensor=key)).missing(bands)
    )
