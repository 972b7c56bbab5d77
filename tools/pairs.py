"""Two dates of one place, ready to be compared: ordered, on one grid, registered, screened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.errors import RefusalError
from terralogue.datasets.scene import Scene
from terralogue.tools.clouds import CloudScreen, screen
from terralogue.tools.common_grid import OnGrid, common_frame
from terralogue.tools.coregister import Shift, estimate_shift
from terralogue.tools.formulas import require_sensor
from terralogue.tools.grid import Frame, ground_crs
from terralogue.tools.run import Run

# A picture moved by less than this is not worth the blur of moving it.
_WORTH_MOVING = 0.25
# Bands in which gradients of land show best, and radar last.
_REGISTRATION = ("R", "N", "G", "S1", "B", "VV", "HH", "VH")
_AIR = ("A", "WV")


@dataclass(frozen=True)
class Pair:
    """Two scenes on one grid.

    Attributes:
        before: The earlier scene.
        after: The later scene, moved onto the earlier one where that was reliable.
        frame: The grid of both.
        clouds: What hides either, in the order before, after.
        shift: What was found, whether or not it was applied.
        swapped: The scenes were given later one first.
        warnings: What a person has to know, one sentence each.
    """

    before: OnGrid
    after: OnGrid
    frame: Frame
    clouds: tuple[CloudScreen, CloudScreen]
    shift: Shift
    swapped: bool
    warnings: tuple[str, ...]

    @property
    def scenes(self) -> tuple[Scene, Scene]:
        """Earlier and later scene."""
        return self.before.scene, self.after.scene

    def hidden(self, window: Window) -> NDArray[np.bool_]:
        """Cloud, cloud shadow or missing on either date: bool (H, W) of a window of the frame."""
        found = np.zeros((int(window.height), int(window.width)), np.bool_)
        for picture, clouds in zip((self.before, self.after), self.clouds, strict=True):
            if clouds.method is not None:
                found |= picture.read_mask(clouds.hidden, window)
        return found


def make_pair(first: Scene, second: Scene, run: Run) -> Pair:
    """Order two scenes by their dates, and bring them together.

    Raises:
        ClarifyError: the sensor of one is not known.
        NoOverlapError: they do not show the same ground.
        RefusalError: they cannot be laid on each other, or share no band.
    """
    require_sensor(first)
    require_sensor(second)
    before, after, warnings = in_order(first, second)
    bands = shared_bands(before, after)
    frame = common_frame(before, after)
    if ground_crs(frame) is None:
        warnings.append(
            "Neither scene is georeferenced; pixels of the same row and column were taken for the "
            "same ground."
        )
    run.progress(0, None, "Laying the scenes on each other")
    band = next(name for name in (*_REGISTRATION, *bands) if name in bands)
    shift = _register(before, after, frame, band)
    warnings += _about(shift)
    moves = shift.reliable and shift.length >= _WORTH_MOVING
    screens = (
        screen(before, run.executor, run.progress),
        screen(after, run.executor, run.progress),
    )
    warnings += [text for each in screens for text in each.warnings]
    return Pair(
        OnGrid(before, frame),
        OnGrid(after, frame, (shift.rows, shift.columns) if moves else (0.0, 0.0)),
        frame,
        screens,
        shift,
        before is not first,
        tuple(dict.fromkeys(warnings)),
    )


def in_order(first: Scene, second: Scene) -> tuple[Scene, Scene, list[str]]:
    """The earlier scene, the later one, and what to say about it.

    Two dates decide; without them the order that was given stands, and that is said, as it is
    where one scene was given twice.
    """
    if first.paths == second.paths:
        return first, second, ["Before and after are the same scene, so nothing can have changed."]
    undated = [scene.name for scene in (first, second) if scene.time is None]
    if undated:
        return first, second, [
            f"The date of {' and '.join(undated)} is not known; {first.name} was taken for the "
            f"earlier scene, since it was given first."
        ]  # fmt: skip
    assert first.time is not None
    assert second.time is not None
    one, other = first.time.replace(tzinfo=None), second.time.replace(tzinfo=None)
    imprecise = "year" in (first.time_precision, second.time_precision)
    if one == other or (imprecise and one.year == other.year):
        text = f"By their dates the scenes are equally old ({_dates(first, second)}); "
        return first, second, [text + "the order given was kept."]
    if one > other:
        return second, first, [
            f"The scenes were given later one first; {second.name} is before and "
            f"{first.name} is after ({_dates(second, first)})."
        ]  # fmt: skip
    return first, second, []


def seasons_apart(first: Scene, second: Scene) -> int | None:
    """How many months lie between the times of the year, 0 to 6; None where a month is unknown."""
    if first.time is None or second.time is None:
        return None
    if "year" in (first.time_precision, second.time_precision):
        return None
    months = abs(first.time.month - second.time.month)
    return min(months, 12 - months)


def shared_bands(first: Scene, second: Scene) -> list[str]:
    """Common names of the bands that both scenes have, in the order of the first.

    Raises:
        RefusalError: there is none.
    """
    found = [
        band.common
        for band in first.bands
        if band.common is not None
        and any(
            each.common is not None and each.kind == band.kind and each.common == band.common
            for each in second.bands
        )
    ]
    # The broad and the narrow near infrared stand in for each other.
    if not {"N", "N2"} & set(found) and first.has("N") and second.has("N"):
        found.append("N")
    if not found:
        raise RefusalError(
            f"{first.name} ({_title(first)}) and {second.name} ({_title(second)}) share no band, "
            "so their numbers cannot be compared; use two scenes of one kind of sensor.",
            reason="sensor",
        )
    return list(dict.fromkeys(found))


def land_bands(first: Scene, second: Scene) -> list[str]:
    """Shared bands that show the ground: without those of aerosol, vapour and heat, if others."""
    found = shared_bands(first, second)
    ground = [
        name for name in found if name not in _AIR and first.band(name).kind in ("optical", "sar")
    ]
    return ground or found


def _register(before: Scene, after: Scene, frame: Frame, band: str) -> Shift:
    first, second = OnGrid(before, frame), OnGrid(after, frame)

    def read(picture: OnGrid, window: Window) -> NDArray[np.float32]:
        one: NDArray[np.float32] = picture.read([band], window)[0]
        return one

    return estimate_shift(frame, lambda w: read(first, w), lambda w: read(second, w))


def _about(shift: Shift) -> Sequence[str]:
    if not shift.reliable:
        return [
            "Whether the scenes lie exactly on each other could not be checked; along edges, "
            "change may come from misregistration."
        ]
    if shift.length >= _WORTH_MOVING:
        return [
            f"The later scene lay {shift.length:.1f} pixels off the earlier one "
            f"({shift.rows:+.2f} rows, {shift.columns:+.2f} columns); it was moved back."
        ]
    return []


def _dates(*scenes: Scene) -> str:
    return " and ".join(dict.fromkeys(scene.date for scene in scenes if scene.date))


def _title(scene: Scene) -> str:
    return scene.sensor.title if scene.sensor else "sensor unknown"
