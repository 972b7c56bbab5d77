"""DETECTORS: who finds which things, one line each, and the choice from it.

choice = choose_detector(scene, "aircraft")
choice.row.name, choice.why, choice.zoom
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from terralogue.datasets.errors import ClarifyError, InputError, MissingBandError, RefusalError
from terralogue.datasets.scene import Scene

WEIGHTS: Final = Path(__file__).parent / "weights"
# A scene is enlarged at most so many times to bring things to the size that a detector knows, and
# left as it is where it is nearly right.
_LARGEST: Final = 2.5
_NEARLY: Final = 1.35

# Plural, for people.
THINGS: Final = {
    "aircraft": "Aircraft", "ship": "Ships", "storage_tank": "Storage tanks",
    "baseball_diamond": "Baseball diamonds", "tennis_court": "Tennis courts",
    "basketball_court": "Basketball courts", "ground_track_field": "Running tracks",
    "harbor": "Harbours", "bridge": "Bridges", "vehicle": "Vehicles", "overpass": "Overpasses",
    "building": "Buildings", "tree": "Trees",
}  # fmt: skip


class Found(NamedTuple):
    """A measured accuracy: F1 at an overlap, and what it was measured on."""

    f1: float
    how: str


@dataclass(frozen=True)
class Detector:
    """One row.

    Attributes:
        name: in results.
        folder: of its checkpoint.
        pixels: target → metres of a pixel at which things have the size that it learnt.
        coarsest: how many times larger pixels may be.
        unknown: zoom of pictures whose pixel size is unknown: the one of the training pictures.
        bands: common names of the bands that it reads.
        sensors: keys of the sensors that it is made for; () for any with its bands.
        scores: target → measured accuracy.
        cautions: said with every result.
        afloat: whether a thing has water around it, and is left out where it has none.
    """

    name: str
    folder: Path
    pixels: Mapping[str, float]
    coarsest: float
    unknown: float = 1.0
    bands: tuple[str, ...] = ("R", "G", "B")
    sensors: tuple[str, ...] = ()
    scores: Mapping[str, Found] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()
    afloat: bool = False

    def limit(self, target: str) -> float:
        """The largest pixel in metres on which a target can be told apart."""
        return self.pixels[target] * self.coarsest


class DetectorChoice(NamedTuple):
    """A detector, why it was chosen, and by how much the scene is enlarged for it."""

    row: Detector
    why: str
    zoom: float


def _measured(how: str, **scores: float) -> dict[str, Found]:
    return {target: Found(f1, how) for target, f1 in scores.items()}


_VHR10: Final = "the test part of NWPU VHR-10 at IoU 0.5"
_RSOD: Final = "the test part of RSOD at IoU 0.5"
_OTHER_PORTS: Final = (
    "Of two ports that it had not seen, this detector found most ships in one and few in the other."
)
_PLOTS: Final = (
    "On plots that this detector had not seen, such an interval held the right number of trees in "
    "two of five; crowns that touch are missed or joined."
)

# ★ One line per detector; among those that serve a scene the first wins. Scores of own:test.
DETECTORS: Final[tuple[Detector, ...]] = (
    Detector("detect_ships", WEIGHTS / "detect_ships", {"ship": 5.0}, 2.4, 2.0,
             ("B", "G", "R", "N", "S1"), ("sentinel2_l1c", "sentinel2_l2a"),
             _measured("one port (17 vessels) at IoU 0.3", ship=0.25), (_OTHER_PORTS,),
             afloat=True),
    Detector("detect_crowns", WEIGHTS / "detect_crowns", {"tree": 0.17}, 3.0, 0.6,
             scores=_measured("the test part of NEON tree crowns at IoU 0.4", tree=0.53),
             cautions=(_PLOTS,)),
    Detector("detect_aerial", WEIGHTS / "detect_aerial", {
        "aircraft": 0.8, "ship": 1.0, "storage_tank": 0.5, "baseball_diamond": 0.8,
        "tennis_court": 0.5, "basketball_court": 0.4, "ground_track_field": 0.8, "harbor": 1.0,
        "bridge": 1.0, "vehicle": 0.2, "overpass": 0.5}, 2.5,
        scores=_measured(_RSOD, aircraft=0.78, storage_tank=0.91, overpass=0.52,
                         ground_track_field=0.67)
        | _measured(_VHR10, baseball_diamond=0.88, tennis_court=0.81, basketball_court=0.64,
                    bridge=0.50, vehicle=0.50)
        | _measured("the validation part of NWPU VHR-10 at IoU 0.5", harbor=0.84)),
)  # fmt: skip

COUNTED: Final = tuple(target for target in THINGS if any(target in d.pixels for d in DETECTORS))
"""The targets that some detector finds."""


def choose_detector(scene: Scene, target: str, model: str | None = None) -> DetectorChoice:
    """Choose who finds a target in a scene.

    Args:
        scene: what to look at.
        target: one of COUNTED.
        model: name in DETECTORS, where it is not to be chosen.

    Raises:
        InputError: no such target or model.
        ClarifyError: the bands depend on the sensor, and that is not known.
        MissingBandError: the scene lacks a band.
        RefusalError: the pixels are too large, or the sensor is another one.
    """
    rows = [row for row in DETECTORS if target in row.pixels and model in (None, row.name)]
    if not rows:
        known = ", ".join(row.name for row in DETECTORS)
        raise InputError(
            f"{target!r} cannot be found by the detectors at hand ({known}); the targets are "
            f"{', '.join(COUNTED)}."
        )
    serving = [row for row in rows if scene.has(*row.bands)]
    if not serving and scene.sensor is None and scene.recognition.question:
        raise ClarifyError(
            scene.recognition.question, slot="sensor", options=tuple(scene.recognition.options)
        )
    if not serving:
        bands = ", ".join(rows[-1].bands)
        raise MissingBandError(
            f"{THINGS[target]} cannot be found on {scene.name}: that takes the bands {bands}."
        )
    able = [row for row in serving if _why_not(row, scene, target) is None]
    if not able:
        reason = _why_not(serving[-1], scene, target)
        raise RefusalError(
            f"{THINGS[target]} cannot be found on {scene.name}: {reason}.", reason="resolution"
        )
    row = able[0]
    score = row.scores.get(target)
    why = "its accuracy for this target was not measured"
    if score is not None:
        why = f"F1 {score.f1:.2f} measured on {score.how}"
    return DetectorChoice(row, why, _zoom(row, scene, target))


def _why_not(row: Detector, scene: Scene, target: str) -> str | None:
    limit = row.limit(target)
    if scene.gsd is not None and scene.gsd > limit:
        return (
            f"a pixel is {scene.gsd:.3g} m wide there, and telling them apart takes "
            f"{limit:.2g} m or finer"
        )
    if row.sensors and (scene.sensor is None or scene.sensor.key not in row.sensors):
        return f"{row.name} is made for {' and '.join(row.sensors)}"
    return None


def _zoom(row: Detector, scene: Scene, target: str) -> float:
    """How much to enlarge (or, below 1, to shrink) a scene."""
    if scene.gsd is None:
        return row.unknown
    factor = scene.gsd / row.pixels[target]
    return 1.0 if 1 / _NEARLY < factor < _NEARLY else min(factor, _LARGEST)
