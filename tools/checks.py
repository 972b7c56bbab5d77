"""Checks of an input scene, each PASS, WARN or FAIL with what was found."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.bands import Band
from terralogue.datasets.scene import Scene
from terralogue.tools.clouds import CLOUD, SHADOW, CloudScreen, screen
from terralogue.tools.grid import whole, why_no_ground
from terralogue.tools.run import Run
from terralogue.tools.schemas import CheckLevel, InputCheck

# Shares are read off a decimated sample: describing must be quick on any scene.
_SAMPLE = 1024
# Percent of observed pixels at the very end of the range of the numbers, and how many at least.
_SATURATED = 1.0
_PILE = 500
_CLOUDY = 20.0
# A scene whose sides are longer than three of them is looked at for cloud in nine parts only.
_CLOUD_PART = 768
# Reflectance beyond this is not land, water, snow or cloud: the scale is wrong.
_BRIGHTEST = 2.0


def check_metadata(scene: Scene) -> list[InputCheck]:
    """Sensor, georeference, date and pixel size."""
    return [_check_sensor(scene), _check_place(scene), _check_time(scene), _check_gsd(scene)]


class Sample:
    """A decimated look at all bands."""

    def __init__(self, scene: Scene) -> None:
        step = max(1.0, max(scene.width, scene.height) / _SAMPLE)
        shape = (max(1, round(scene.height / step)), max(1, round(scene.width / step)))
        self.scene = scene
        self.method = "every pixel" if step == 1 else f"a sample of {shape[1]} x {shape[0]} pixels"
        self.seen = 0.0
        self.empty: list[str] = []
        self.constant: list[str] = []
        self.saturated: dict[str, float] = {}
        self.brightest = -math.inf
        together = np.ones(shape, np.bool_)
        # One band at a time: a hyperspectral scene has hundreds.
        for band in scene.bands:
            values = scene.read([band.name], shape=shape).data[0]
            finite = np.isfinite(values)
            self._look(band, values[finite])
            together &= finite | (not finite.any())
        self.valid_share = 0.0
        if len(self.empty) < len(scene.bands):
            self.valid_share = 100.0 * float(together.mean())

    def _look(self, band: Band, values: NDArray[np.float32]) -> None:
        if not values.size:
            self.empty.append(band.name)
            return
        low, high = float(values.min()), float(values.max())
        if low == high:
            self.constant.append(band.name)
            return
        if band.kind == "optical":
            self.brightest = max(self.brightest, float(np.percentile(values, 99)))
        # Clipped numbers pile up at the very end of the range, whatever the unit.
        at_end = int(np.count_nonzero(values == high))
        nearby = int(np.count_nonzero(values >= high - 0.02 * (high - low))) - at_end
        share = 100.0 * at_end / values.size
        if share >= _SATURATED and at_end >= max(_PILE, nearby):
            self.saturated[band.name] = share

    def check_valid(self) -> InputCheck:
        """Whether there is anything to measure."""
        level: CheckLevel = "PASS" if self.valid_share > 95 else "WARN"
        text = f"{self.valid_share:.1f} % of the pixels hold data in every band."
        if self.valid_share == 0:
            level, text = "FAIL", "No valid pixel: there is nothing to measure in this scene."
        return InputCheck(name="valid pixels", level=level, message=text)

    def check_saturation(self) -> InputCheck:
        """Whether numbers are clipped."""
        if not self.saturated:
            return InputCheck(
                name="saturation", level="PASS", message="No band is clipped at its highest value."
            )
        worst = max(self.saturated, key=lambda name: self.saturated[name])
        return InputCheck(
            name="saturation",
            level="WARN",
            message=f"{len(self.saturated)} band(s) are clipped, {worst} most: "
            f"{self.saturated[worst]:.1f} % of its pixels are at its highest value.",
        )

    def check_bands(self) -> InputCheck:
        """Whether bands are empty or constant."""
        odd = [f"{name} is empty" for name in self.empty]
        odd += [f"{name} has the same value everywhere" for name in self.constant]
        if not odd:
            return InputCheck(
                name="bands", level="PASS", message=f"{len(self.scene.bands)} band(s) hold data."
            )
        more = f" and {len(odd) - 4} more" if len(odd) > 4 else ""
        level: CheckLevel = "FAIL" if len(self.empty) == len(self.scene.bands) else "WARN"
        return InputCheck(name="bands", level=level, message=", ".join(odd[:4]) + more + ".")


class CloudShare:
    """Cloud in percent of the observed pixels, where it can be told."""

    def __init__(self, scene: Scene, run: Run) -> None:
        parts = _parts(scene)
        self.screen: CloudScreen = screen(scene, run.executor, run.progress, window=parts[0])
        self.share: float | None = None
        if self.screen.method is None or self.needless:
            return
        cloud = observed = 0
        for part in parts:
            each = self.screen
            if part is not parts[0]:
                each = screen(scene, run.executor, run.progress, window=part)
            classes = each.classes(part)
            # The networks take missing pixels for dark ground.
            seen = scene.read(["G" if scene.has("G") else scene.bands[0].name], part).valid
            cloud += int(np.count_nonzero(seen & (classes == CLOUD)))
            observed += int(np.count_nonzero(seen & (classes <= SHADOW)))
        self.method = str(self.screen.method)
        if len(parts) > 1:
            self.method += f", on {len(parts)} parts of the scene"
        if observed:
            self.share = 100.0 * cloud / observed

    @property
    def needless(self) -> bool:
        """Radar sees through cloud."""
        return (self.screen.method or "").startswith("not needed")

    def check(self) -> InputCheck:
        """Whether the scene is clouded."""
        if self.share is None:
            text = "; ".join(self.screen.warnings) or f"Clouds: {self.screen.method}."
            level: CheckLevel = "PASS" if self.needless else "WARN"
            return InputCheck(name="cloud", level=level, message=text)
        level = "WARN" if self.share > _CLOUDY else "PASS"
        text = f"{self.share:.1f} % cloud ({self.method})."
        return InputCheck(name="cloud", level=level, message=text)


def _parts(scene: Scene) -> list[Window]:
    """Where clouds are looked for: everywhere, or in nine parts of a large scene."""
    if max(scene.width, scene.height) <= 3 * _CLOUD_PART:
        return [whole(scene)]
    width, height = min(_CLOUD_PART, scene.width), min(_CLOUD_PART, scene.height)
    lefts = sorted({int(v) for v in np.linspace(0, scene.width - width, 3)})
    tops = sorted({int(v) for v in np.linspace(0, scene.height - height, 3)})
    return [Window(left, top, width, height) for top in tops for left in lefts]


def time_text(scene: Scene) -> str | None:
    """ISO 8601, as precise as it is known."""
    coarse = scene.time_precision in ("year", "month", "day")
    return scene.date if coarse or scene.time is None else scene.time.isoformat()


def _check_sensor(scene: Scene) -> InputCheck:
    if scene.sensor is not None:
        text = f"{scene.sensor.title}: {scene.recognition.reason}."
        return InputCheck(name="sensor", level="PASS", message=text)
    text = scene.recognition.question or "The sensor is not known."
    return InputCheck(name="sensor", level="WARN", message=text)


def _check_place(scene: Scene) -> InputCheck:
    reason = why_no_ground(scene)
    if reason is None:
        text = f"Georeferenced in {scene.crs.to_string() if scene.crs else ''}."
        return InputCheck(name="georeference", level="PASS", message=text)
    text = f"No area can be measured, only shares of the image: {reason}."
    return InputCheck(name="georeference", level="WARN", message=text)


def _check_time(scene: Scene) -> InputCheck:
    if scene.time is None:
        text = "The date of acquisition is not known; change and series need it."
        return InputCheck(name="date", level="WARN", message=text)
    return InputCheck(name="date", level="PASS", message=f"Taken {time_text(scene)}.")


def _check_gsd(scene: Scene) -> InputCheck:
    if scene.gsd is None:
        text = "The size of a pixel on the ground is not known."
        return InputCheck(name="pixel size", level="WARN", message=text)
    return InputCheck(name="pixel size", level="PASS", message=f"{scene.gsd:.3g} m on the ground.")


def check_calibration(scene: Scene, sample: Sample) -> InputCheck:
    """Whether numbers are physical, and plausible."""
    if not scene.calibrated:
        text = "Raw digital numbers: no published threshold is applied to them."
        return InputCheck(name="calibration", level="WARN", message=text)
    if scene.unit == "reflectance" and sample.brightest > _BRIGHTEST:
        text = f"Reflectance reaches {sample.brightest:.3g}: check the scale of the file."
        return InputCheck(name="calibration", level="WARN", message=text)
    return InputCheck(name="calibration", level="PASS", message=f"Numbers are {scene.unit}.")
