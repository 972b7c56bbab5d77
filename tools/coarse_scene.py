"""A scene at coarser pixels, for a first look: everything that reads a scene reads this one too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from affine import Affine
from rasterio.windows import Window

from terralogue.datasets.errors import InputError
from terralogue.datasets.quality import QualityPixels
from terralogue.datasets.scene import Pixels, Scene

LONGEST: Final = 1024
"""Pixels along the longer side of a coarse scene."""


class CoarseScene(Scene):
    """A scene whose pixels are `factor` times as wide and as high; files are read decimated.

    Overviews are used where the files have them, and pixels are averaged otherwise, as
    `Scene.read` does for any smaller shape.
    """

    def __init__(self, scene: Scene, factor: float) -> None:
        """Take over all that is known of a scene."""
        self.__dict__.update(vars(scene))
        self._fine = scene
        self.width = max(1, round(scene.width / factor))
        self.height = max(1, round(scene.height / factor))
        self._across, self._down = scene.width / self.width, scene.height / self.height
        self.factor = factor
        self.transform = scene.transform @ Affine.scale(self._across, self._down)
        self.gsd = None if scene.gsd is None else scene.gsd * factor

    @property
    def pixels(self) -> str:
        """How coarse it is, in words."""
        if self.gsd is None:
            return f"one of {self.factor:.3g} pixels in a row"
        return f"pixels of {self.gsd:.3g} m"

    @property
    def warning(self) -> str:
        """What a person has to know of figures taken on it."""
        fine = "" if self._fine.gsd is None else f" instead of {self._fine.gsd:.3g} m"
        return (
            f"This is a quick look at {self.pixels}{fine}: small things are missed and areas are "
            "rough; measure without quick for the figures."
        )

    def read(
        self,
        bands: Sequence[str] | None = None,
        window: Window | None = None,
        shape: tuple[int, int] | None = None,
    ) -> Pixels:
        """As `Scene.read`, in coarse pixels."""
        window = self._checked(window)
        size = shape or (int(window.height), int(window.width))
        return self._fine.read(bands, self._below(window), size)

    def read_quality(
        self, window: Window | None = None, shape: tuple[int, int] | None = None
    ) -> QualityPixels | None:
        """As `Scene.read_quality`, in coarse pixels."""
        window = self._checked(window)
        size = shape or (int(window.height), int(window.width))
        return self._fine.read_quality(self._below(window), size)

    def preview(self, max_size: int = LONGEST) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """As `Scene.preview`."""
        return self._fine.preview(max_size)

    def close(self) -> None:
        """Leave the files open: they belong to the scene that this one looks at."""

    def _checked(self, window: Window | None) -> Window:
        if window is None:
            return Window(0, 0, self.width, self.height)
        inside = (
            window.col_off >= 0
            and window.row_off >= 0
            and (
                window.col_off + window.width <= self.width
                and window.row_off + window.height <= self.height
            )
        )
        if not inside:
            raise InputError(f"The window {window.flatten()} is not inside the scene.")
        return window

    def _below(self, window: Window) -> Window:
        """The pixels of the files under a window."""
        left, right = (
            round(column * self._across)
            for column in (window.col_off, window.col_off + window.width)
        )
        top, bottom = (
            round(row * self._down) for row in (window.row_off, window.row_off + window.height)
        )
        return Window(left, top, max(right - left, 1), max(bottom - top, 1))


def coarser(scene: Scene, longest: int = LONGEST) -> Scene:
    """A scene no longer than so many pixels; itself where it is small already."""
    factor = max(scene.width, scene.height) / longest
    return scene if factor <= 1 else CoarseScene(scene, math.ceil(factor))
