"""Things without a detector: what a trained one has to beat.

Crowns are the basins around the tops of a smoothed greenness (watershed). Ships on near infrared
are bright patches on water. Everything else is a patch that is brighter or darker
than its surroundings (Otsu 1979).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terralogue.datasets.scene import Scene
from terralogue.tools.detect_finding import Boxes
from terralogue.tools.thresholds import otsu

Floats = NDArray[np.float32]

# Longer sides in pixels of what can be a thing in a picture, and of a ship at 10 m.
_SIDES, _SHIP_SIDES = (8, 150), (3, 50)
# Surroundings that a patch is compared with, in pixels.
_AROUND: Final = 61
# Pixels of 0.1 m: blur of the greenness, and least distance of two tops.
_BLUR: Final = 4.0
_APART: Final = 12


def blobs(scene: Scene, target: str) -> Boxes:
    """Boxes of a target by the simplest means; scores are contrasts, without a threshold."""
    if target == "tree":
        return _crowns(scene)
    if target == "ship" and scene.has("N"):
        return _on_water(scene)
    grey = np.nan_to_num(scene.read(["R", "G", "B"]).data).mean(0)
    contrast = np.abs(grey - ndimage.uniform_filter(grey, _AROUND))
    return _patches(contrast > _otsu(contrast), contrast, _SIDES)


def _otsu(values: Floats) -> float:
    return otsu(values) if np.ptp(values) > 0 else float("inf")


def _patches(mask: NDArray[np.bool_], strength: Floats, sides: tuple[int, int]) -> Boxes:
    """Connected parts with sides in a range, the strongest first."""
    labels, count = ndimage.label(mask)
    means = np.atleast_1d(ndimage.mean(strength, labels, np.arange(1, count + 1)))
    boxes, scores = [], []
    for (rows, columns), mean in zip(ndimage.find_objects(labels), means, strict=True):
        if sides[0] <= max(rows.stop - rows.start, columns.stop - columns.start) <= sides[1]:
            boxes.append((columns.start, rows.start, columns.stop, rows.stop))
            scores.append(float(mean))
    return _sorted(boxes, scores)


def _sorted(boxes: list[tuple[int, int, int, int]], scores: list[float]) -> Boxes:
    order = np.argsort([-score for score in scores], kind="stable")
    table = np.array(boxes, np.float64).reshape(-1, 4)
    return Boxes(table[order], np.array(scores, np.float64)[order])


def _on_water(scene: Scene) -> Boxes:
    """Bright patches where water is all around, by its darkness in the near infrared."""
    near = np.nan_to_num(scene.read(["N"]).data[0])
    dark = near < _otsu(near)
    water = ndimage.binary_closing(dark, iterations=_SHIP_SIDES[1] // 4)
    return _patches(water & ~dark, near, _SHIP_SIDES)


def _crowns(scene: Scene) -> Boxes:
    red, green, blue = np.nan_to_num(scene.read(["R", "G", "B"]).data)
    greenness = ndimage.gaussian_filter((2 * green - red - blue) / (red + green + blue + 1), _BLUR)
    mask = greenness > _otsu(greenness)
    tops = np.argwhere(mask & (greenness == ndimage.maximum_filter(greenness, 2 * _APART + 1)))
    # The ground floods from a basin of its own, the last one.
    marks = np.where(mask, 0, len(tops) + 1).astype(np.int32)
    marks[tuple(tops.T)] = np.arange(1, len(tops) + 1)
    depth = np.round((greenness.max() - greenness) / max(float(np.ptp(greenness)), 1e-6) * 65535)
    basins = ndimage.watershed_ift(depth.astype(np.uint16), marks)
    basins[~mask] = 0
    boxes, scores = [], []
    for number, place in enumerate(ndimage.find_objects(basins, max_label=len(tops))):
        if place is not None:
            rows, columns = place
            boxes.append((columns.start, rows.start, columns.stop, rows.stop))
            scores.append(float(greenness[tuple(tops[number])]))
    return _sorted(boxes, scores)
