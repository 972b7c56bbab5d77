"""What a target is on each of two dates, by the models of `segment`, and which index tells it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.errors import InputError, RefusalError
from terralogue.datasets.scene import Scene
from terralogue.tools import rules
from terralogue.tools.baselines import UNSEEN, YES, Rule
from terralogue.tools.clouds import CloudScreen
from terralogue.tools.common_grid import OnGrid
from terralogue.tools.differencing import TargetChange
from terralogue.tools.edges import BANDS, cover
from terralogue.tools.pairs import Pair
from terralogue.tools.run import Run
from terralogue.tools.specialist import TITLES, Job
from terralogue.tools.specialists import choose
from terralogue.tools.spectral import bands_of

Codes = NDArray[np.uint8]

# Index (or radar band) and whether the target has high (1) or low (-1) values; the first whose
# bands both scenes have is taken.
_INDICES: dict[str, tuple[tuple[str, int], ...]] = {
    "water": (("MNDWI", 1), ("NDWI", 1), ("VV", -1), ("HH", -1), ("VH", -1)),
    "flooded_area": (("MNDWI", 1), ("NDWI", 1), ("VV", -1), ("HH", -1), ("VH", -1)),
    "vegetation": (("NDVI", 1), ("VARI", 1)),
    "bare_soil": (("BI", 1), ("NDVI", -1)),
    "built_up": (("BU", 1),),
    "snow_ice": (("NDSI", 1),),
}
# Networks overlook streams, which would all be new once the flood has widened them. The bands of
# NDWI are often the finer ones.
_ALREADY = (rules.MNDWI, rules.NDWI)
_RADAR = ("VV", "HH", "VH")
_SPECKLE = 1.5  # pixels
# At least moderate-low severity.
_DNBR = 0.27
_DNBR_SOURCE = "Key and Benson 2006, FIREMON, RMRS-GTR-164-CD"
_NEVER = ("cloud", "cloud_shadow")


class Prepared(NamedTuple):
    """How a target is compared, why so, and what has to be said."""

    difference: TargetChange
    why: str
    warnings: list[str]


def target_change(pair: Pair, target: str, window: Window, run: Run) -> Prepared:
    """Prepare gain and loss of a target inside a window of the pair's frame.

    Raises:
        InputError: no such target, or none whose change means anything.
        MissingBandError: a scene lacks a band.
        RefusalError: the target cannot be told in one of the scenes.
    """
    if target not in TITLES or target in _NEVER:
        known = ", ".join(name for name in TITLES if name not in _NEVER)
        raise InputError(f"Change of {target!r} cannot be measured; the targets are {known}.")
    if target == "burned_area":
        return _burn(pair)
    index, sign = next(
        (
            (name, sign)
            for name, sign in _INDICES.get(target, ())
            if all(scene.has(*bands_of(name)) for scene in pair.scenes)
        ),
        ("", 1),
    )
    sides = (pair.before, pair.after)
    found = [
        states_on(side, clouds, target, window, run)
        for side, clouds in zip(sides, pair.clouds, strict=True)
    ]

    def states(part: Window) -> tuple[Codes, Codes]:
        return found[0].read(part), found[1].read(part)

    smooth = _SPECKLE if index in _RADAR else 0.0
    names = [each.name for each in found]
    by = (
        f"{names[0]}, on both dates"
        if names[0] == names[1]
        else f"before {names[0]}, after {names[1]}"
    )
    why = f"the class of either date by the models of segment: {by}"
    warnings = [text for each in found for text in each.warnings]
    difference = TargetChange(pair, index, sign, states, smooth=smooth)
    if index in ("MNDWI", "NDWI"):
        difference = replace(difference, already=_already(pair), against=_against(pair))
    return Prepared(difference, why, warnings)


def _already(pair: Pair) -> tuple[Rule, ...]:
    if not all(scene.calibrated for scene in pair.scenes):
        return ()
    serving = (rule for rule in _ALREADY if all(scene.has(*rule.bands) for scene in pair.scenes))
    return tuple(serving)


def _against(pair: Pair) -> str:
    return "N" if all(scene.has("N") for scene in pair.scenes) else ""


def _burn(pair: Pair) -> Prepared:
    """The fall of the normalised burn ratio between the dates."""
    before, after = pair.scenes
    choose(after, "burned_area", before)
    if not before.calibrated:
        raise RefusalError(
            f"Burned area needs reflectance on both dates, and {before.name} holds uncalibrated "
            "digital numbers; use a reflectance product.",
            reason="sensor",
        )
    difference = TargetChange(
        pair, "NBR", -1, minimum=_DNBR, source=_DNBR_SOURCE, avoid=("MNDWI", "NDWI"),
        edge=BANDS["burned_area"],
    )  # fmt: skip
    why = "the difference of the normalised burn ratio is the published measure of burns"
    said = [
        "Loss of burned area is regrowth: the burn ratio rose by as much as it falls in a burn.",
        "Harvest and ploughing lower the burn ratio like a fire; check the shapes in the picture.",
    ]
    return Prepared(difference, why, said)


class States(NamedTuple):
    """A target on one date: the model, what reads it on the common grid, and what is said."""

    name: str
    read: Callable[[Window], Codes]
    warnings: list[str]


def states_on(side: OnGrid, clouds: CloudScreen, target: str, window: Window, run: Run) -> States:
    """Run the best model on one scene, on its own pixels; read it on the common grid."""
    scene = side.scene
    specialist = choose(scene, target).specialist
    job = Job(scene, clouds, target)
    model = specialist.build(job)
    part, _ = side.source(window)
    if part is None:
        part = Window(0, 0, 1, 1)
    shape = (int(part.height), int(part.width))
    # On disk, so that two dates of a large scene need no memory; gone when nobody reads it.
    with tempfile.TemporaryFile() as store:
        classes = np.memmap(store, np.uint8, "w+", shape=shape)
    edges = cover(model, job, part, classes, run.executor, run.progress)

    def fetch(asked: Window, size: tuple[int, int]) -> NDArray[np.float32]:
        return _part(classes, asked, part)[None]

    def read(asked: Window) -> Codes:
        share = side.warp(fetch, 1, asked)[0]
        states = np.where(share >= 0.5, YES, 0)
        return np.where(np.isfinite(share), states, UNSEEN).astype(np.uint8)

    warnings = [*model.warnings, *specialist.cautions]
    return States(f"{specialist.name} ({model.method}{edges})", read, warnings)


def _part(classes: Codes, asked: Window, inside: Window) -> NDArray[np.float32]:
    """Classes of a window as 0, 1 and NaN; what was not classified is NaN."""
    found = np.full((int(asked.height), int(asked.width)), np.nan, np.float32)
    top = max(int(asked.row_off), int(inside.row_off))
    left = max(int(asked.col_off), int(inside.col_off))
    bottom = min(int(asked.row_off + asked.height), int(inside.row_off + inside.height))
    right = min(int(asked.col_off + asked.width), int(inside.col_off + inside.width))
    if bottom <= top or right <= left:
        return found
    rows = slice(top - int(inside.row_off), bottom - int(inside.row_off))
    columns = slice(left - int(inside.col_off), right - int(inside.col_off))
    codes = classes[rows, columns]
    values = np.where(codes == UNSEEN, np.float32(np.nan), codes.astype(np.float32))
    row, column = top - int(asked.row_off), left - int(asked.col_off)
    found[row : row + values.shape[0], column : column + values.shape[1]] = values
    return found


def describe_pair(first: Scene, second: Scene) -> list[str]:
    """What has to be said where the two scenes are of different kinds."""
    said = []
    if first.sensor is not None and second.sensor is not None and first.sensor != second.sensor:
        said.append(
            f"The scenes come from different sensors ({first.sensor.title}, "
            f"{second.sensor.title}): part of the change may be theirs."
        )
    if first.calibrated != second.calibrated:
        said.append(
            "One scene holds reflectance and the other digital numbers: part of the change may "
            "come from that."
        )
    return said
