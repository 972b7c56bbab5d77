"""One scene as a measuring tool looks at it: inside a region, cloud and missing pixels left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.scene import Scene
from terralogue.tools.clouds import CloudScreen, screen
from terralogue.tools.grid import Frame, crop
from terralogue.tools.region import Placed, Region, place
from terralogue.tools.run import Run
from terralogue.tools.schemas import Measurement
from terralogue.tools.summary import Summary

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class View:
    """A scene, the region that is asked about, and what hides it."""

    scene: Scene
    placed: Placed
    clouds: CloudScreen

    @property
    def window(self) -> Window:
        """The smallest window around the region."""
        return self.placed.window

    @property
    def frame(self) -> Frame:
        """The grid of that window."""
        return crop(self.scene, self.placed.window)

    @property
    def warnings(self) -> list[str]:
        """What scene, region and cloud screening have to say."""
        return [*self.scene.warnings, *self.placed.warnings, *self.clouds.warnings]

    @property
    def hidden_by(self) -> str:
        """What was left out, in words."""
        if self.clouds.method is None or self.clouds.method.startswith("not needed"):
            return "pixels without data left out"
        return f"pixels without data, cloud and cloud shadow left out ({self.clouds.method})"

    def masks(self, window: Window) -> tuple[Bools, Bools]:
        """Inside the region, and inside and not hidden by cloud: bool (H, W) of a scene window."""
        inside = self.placed.mask(window)
        if self.clouds.method is None:
            return inside, inside.copy()
        return inside, inside & ~self.clouds.hidden(window)


def look(scene: Scene, region: Region | None, run: Run) -> View:
    """Place a region on a scene, and screen it for clouds.

    Raises:
        RegionError: the region lies outside the scene.
    """
    placed = place(region, scene)
    return View(scene, placed, screen(scene, run.executor, run.progress, window=placed.window))


def statistics(
    summary: Summary, *, label: str, unit: str, method: str, prefix: str = ""
) -> list[Measurement]:
    """Mean, median, spread and range of what was summed up; nothing where it is empty."""
    if not summary.count:
        return []
    figures = {
        "mean": (summary.mean, "mean"),
        "median": (summary.percentile(50), "median"),
        "std": (summary.std, "standard deviation"),
        "minimum": (summary.minimum, "lowest"),
        "maximum": (summary.maximum, "highest"),
        "p5": (summary.percentile(5), "5th percentile"),
        "p95": (summary.percentile(95), "95th percentile"),
    }
    return [
        Measurement(
            name=prefix + name, value=value, unit=unit, method=method, label=f"{label} {words}"
        )
        for name, (value, words) in figures.items()
    ]


def observed(share: float, method: str) -> Measurement:
    """How much of the region was seen, in percent."""
    return Measurement(
        name="observed_share",
        value=min(share, 100.0),
        unit="%",
        method=method,
        label="Seen, not hidden",
    )
