"""A picture with what was found right, found wrong and missed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from terralogue.datasets.scene import Scene
from terralogue.tools.detect_finding import Boxes
from terralogue.tools.detect_scores import match

RIGHT: Final = "#34c759"
WRONG: Final = "#ff3b30"
MISSED: Final = "#ffcc00"
_SIDE: Final = 1000
_LINE: Final = 2


def draw_case(
    scene: Scene,
    found: Mapping[str, Boxes],
    wanted: Mapping[str, tuple[NDArray[np.float64], NDArray[np.bool_]]],
    iou: float,
    path: Path,
) -> None:
    """Draw right boxes green, wrong ones red and missed things yellow, with their classes.

    Args:
        scene: the picture.
        found: target → boxes that are counted.
        wanted: target → right boxes (n, 4), and which of them are skipped (n,).
        iou: overlap from which a box is right.
        path: PNG file.
    """
    picture = Image.fromarray(scene.preview(max_size=_SIDE))
    scale = picture.width / scene.width
    pen = ImageDraw.Draw(picture)

    def frame(edges: NDArray[np.float64], colour: str, text: str) -> None:
        left, top, right, bottom = (float(edge) * scale for edge in edges)
        pen.rectangle((left, top, max(right, left), max(bottom, top)), outline=colour, width=_LINE)
        pen.text((left + 3, top + 2), text, fill=colour)

    for target, boxes in found.items():
        gold, skipped = wanted[target]
        right, counts = match(boxes.boxes, boxes.scores, gold, skipped, iou)
        met, _ = match(
            gold, np.ones(len(gold)), boxes.boxes[right], np.zeros(right.sum(), bool), iou
        )
        for edges in gold[~met & ~skipped]:
            frame(edges, MISSED, target)
        for edges, good, real in zip(boxes.boxes, right, counts, strict=True):
            if real:
                frame(edges, RIGHT if good else WRONG, target)
    picture.save(path)
