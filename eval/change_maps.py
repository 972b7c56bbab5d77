"""Maps of what a change map gets right and wrong, beside the two dates."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from terralogue.datasets.change_pairs import ChangePair
from terralogue.datasets.scene import open_scene
from terralogue.tools.change_truth import read_mask

# Okabe and Ito's colours, which colour-blind people tell apart: found, false, missed.
COLOURS: Final = ((240, 228, 66), (213, 94, 0), (0, 114, 178))
_SIDE: Final = 700
_GAP: Final = 6


def draw_errors(item: ChangePair, mapped: NDArray[np.bool_], path: Path) -> None:
    """Write before, after and errors side by side.

    Yellow was found and there, vermilion found but not there, blue there but not found; the rest
    is the later date in grey.

    Args:
        item: the pair.
        mapped: what was found, bool (H, W) on the grid of the mask.
        path: PNG to write.
    """
    truth = read_mask(item)
    dates = []
    for source in (item.before, item.after):
        with open_scene(source) as scene:
            picture = Image.fromarray(scene.preview(_SIDE))
        dates.append(picture)
    size = dates[0].size
    dates[1] = dates[1].resize(size)
    grey = np.asarray(dates[1].convert("L"), np.float32) * 0.6
    shown = np.repeat(grey[..., None], 3, axis=-1)
    kinds = (mapped & truth, mapped & ~truth, truth & ~mapped)
    for colour, mask in zip(COLOURS, kinds, strict=True):
        small = Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)
        shown[np.asarray(small)] = colour
    panels = [*dates, Image.fromarray(shown.astype(np.uint8))]
    sheet = Image.new("RGB", (3 * size[0] + 2 * _GAP, size[1]), "white")
    for number, panel in enumerate(panels):
        sheet.paste(panel, (number * (size[0] + _GAP), 0))
    sheet.save(path)
