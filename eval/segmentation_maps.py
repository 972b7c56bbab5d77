"""Maps of the worst errors: what was found rightly, what wrongly, and what was missed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from rasterio.windows import Window

from terralogue.datasets.mask_sets import IGNORED
from terralogue.eval.segmentation_cases import Case, Row, bench
from terralogue.eval.segmentation_scores import EXTRA, MISSED
from terralogue.tools.baselines import YES
from terralogue.tools.overlay import Entry, draw_overlay
from terralogue.tools.specialist import TITLES

SHOWN: Final = 6
# Value, colour, words; Okabe and Ito's colours, which colour-blind people tell apart.
_KINDS: Final = (
    (1, "#f0e442", "found, and there"),
    (2, "#d55e00", "found, but not there"),
    (3, "#0072b2", "there, but not found"),
)


def error_maps(
    cases: Sequence[Case],
    rows: Sequence[Row],
    targets: Sequence[str],
    sensor: str | None,
    model: str | None,
) -> Mapping[str, Callable[[Path], None]]:
    """File name → draws one of the images and targets with the most pixels wrong, worst first."""
    wrong = [
        (_wrong(row["targets"][target]["pixels"]), number, target)
        for number, row in enumerate(rows)
        for target in targets
        if row["targets"][target]["refused"] is None
    ]
    worst = sorted(wrong, key=lambda each: -each[0])[:SHOWN]
    return {
        f"errors_{place}_{target}_{Path(cases[number].name).stem}.png": partial(
            _draw, cases[number], target, targets.index(target) + 1, sensor, model
        )
        for place, (share, number, target) in enumerate(worst, start=1)
        if share > 0
    }


def _wrong(pixels: Sequence[int]) -> float:
    return (pixels[EXTRA] + pixels[MISSED]) / max(sum(pixels), 1)


def _draw(
    case: Case, target: str, number: int, sensor: str | None, model: str | None, path: Path
) -> None:
    """Segment once more and draw where that differs from the truth."""
    with bench(case.path, sensor) as here:
        scene = here.scene
        gold = case.gold(scene)
        found = here.find(target, model)
        hit, there, scored = found.mask == YES, gold == number, gold != IGNORED
        shown = np.select([hit & there, hit & scored, there], [1, 2, 3], 0).astype(np.uint8)
        size = max(int(scored.sum()), 1)
        entries = [
            Entry(value, colour, f"{text}: {100 * (shown == value).sum() / size:.3g} %")
            for value, colour, text in _KINDS
        ]
        draw_overlay(
            path,
            scene,
            Window(0, 0, scene.width, scene.height),
            shown,
            entries,
            title=f"{TITLES[target]} in {case.name}",
            note=f"{found.model}, against the truth; shares of the pixels scored",
        )
