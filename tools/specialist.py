"""What a specialist is: what it segments, what it needs, how good it is, and how to build it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from terralogue.datasets.scene import Scene
from terralogue.tools.baselines import Hidden, Model, Read
from terralogue.tools.clouds import CloudScreen

UNMEASURED = "accuracy not measured on this sensor"

TITLES = {
    "water": "Water",
    "flooded_area": "Flooded area",
    "vegetation": "Vegetation",
    "tree_cover": "Tree cover",
    "grassland": "Grassland",
    "bare_soil": "Bare soil",
    "snow_ice": "Snow and ice",
    "burned_area": "Burned area",
    "built_up": "Built-up area",
    "building": "Buildings",
    "road": "Roads",
    "cloud": "Cloud",
    "cloud_shadow": "Cloud shadow",
}


@dataclass(frozen=True)
class Score:
    """A measured accuracy: intersection over union of one target, and how it was measured."""

    iou: float
    how: str


@dataclass(frozen=True)
class Job:
    """What a model is built for.

    `clouds` screens `scene`; `reference` reads the reference scene on the grid of `scene`.
    """

    scene: Scene
    clouds: CloudScreen
    target: str
    reference_scene: Scene | None = None
    reference: Read | None = None

    @property
    def hidden(self) -> Hidden | None:
        """What cloud hides of the scene, where it was screened."""
        return self.clouds.hidden if self.clouds.method is not None else None


def _anything(scene: Scene) -> str | None:
    return None


@dataclass(frozen=True)
class Specialist:
    """One row: what it segments, what it needs, how good it is, and how to build it.

    Attributes:
        name: In results.
        targets: What it finds; keys of TITLES.
        bands: Common names of the bands that it cannot do without.
        build: Makes the model for one scene.
        calibrated: True needs reflectance or dB, False is for digital numbers, None is for both.
        reference: Needs an earlier scene of the same place.
        scores: Measured accuracy by sensor key.
        cautions: Said with every result.
        refuses: Says why it cannot be used on a scene for another reason than its bands.
        learned: Trained on labels, and not a physical rule.
        gsd: Metres per pixel that it was trained at, lowest and highest.
    """

    name: str
    targets: tuple[str, ...]
    bands: tuple[str, ...]
    build: Callable[[Job], Model]
    calibrated: bool | None = True
    reference: bool = False
    scores: dict[str, Score] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()
    refuses: Callable[[Scene], str | None] = _anything
    learned: bool = False
    gsd: tuple[float, float] | None = None

    def fits(self, scene: Scene, reference: Scene | None) -> bool:
        """Whether it is made for such a scene, bands left aside."""
        return self.reference == (reference is not None) and self.calibrated in (
            None,
            scene.calibrated,
        )

    def missing(self, scene: Scene, reference: Scene | None) -> tuple[str, ...]:
        """The bands that are not there."""
        both = [scene] if reference is None else [scene, reference]
        return tuple(band for band in self.bands if not all(each.has(band) for each in both))

    def distance(self, scene: Scene) -> float:
        """How far the scene's pixel size lies outside `gsd`, in octaves; 0 where unknown."""
        if self.gsd is None or scene.gsd is None:
            return 0.0
        low, high = self.gsd
        return max(math.log2(low / scene.gsd), math.log2(scene.gsd / high), 0.0)


class Choice(NamedTuple):
    """A specialist, and why it was chosen."""

    specialist: Specialist
    why: str
