"""The water rules on chips with masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from terralogue.datasets.errors import InputError
from terralogue.eval.water_baseline import BANDS, RULES, evaluate_rules
from terralogue.tools.export import quiet
from terralogue.tools.specialists import SPECIALISTS


def test_scores_on_made_chips_are_exact(tmp_path: Path) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    water = np.zeros((20, 20), bool)
    water[:10] = True
    label = water.copy()
    label[:5] = False
    spectra = {"water": (5, 6, 5, 3, 2, 1, 1), "forest": (2, 2, 4, 3, 40, 18, 8)}
    stack = np.where(
        water, np.array(spectra["water"])[:, None, None], np.array(spectra["forest"])[:, None, None]
    )
    profile = {"height": 20, "width": 20}
    with quiet():
        with rasterio.open(
            tmp_path / "images/1.tif",
            "w",
            driver="GTiff",
            count=len(BANDS),
            dtype="int16",
            **profile,
        ) as file:
            file.write((stack * 100).astype(np.int16))
        with rasterio.open(
            tmp_path / "labels/1.png", "w", driver="PNG", count=1, dtype="uint8", **profile
        ) as file:
            file.write(label.astype(np.uint8)[None])
    found = evaluate_rules(tmp_path)
    assert set(found) == set(RULES)
    assert found["mndwi"].iou == pytest.approx(0.5)
    assert found["mndwi"].low == found["mndwi"].high == pytest.approx(0.5)


def test_a_folder_without_chips_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--data"):
        evaluate_rules(tmp_path)


def test_the_table_quotes_the_measured_scores(data_dir: Path) -> None:
    found = evaluate_rules(data_dir / "water_s2l8")
    for row in SPECIALISTS:
        scores = row.scores.values() if row.name in found else ()
        for score in (each for each in scores if "46 chips" in each.how):
            assert score.iou == pytest.approx(found[row.name].iou, abs=0.0006)
