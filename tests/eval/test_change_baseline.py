"""The scores of the change map are those of their definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from terralogue.eval.change_baseline import THRESHOLDS, Counts, count, magnitude, pool
from terralogue.tools.differencing import ANY_CHANGE


def test_scores_of_a_known_confusion_matrix() -> None:
    counts = Counts(both=30, mapped=50, labelled=40, pixels=1000)
    assert counts.f1 == pytest.approx(2 * 30 / 90)
    assert counts.iou == pytest.approx(30 / 60)
    agree, chance = 0.97, 0.05 * 0.04 + 0.95 * 0.96
    assert counts.kappa == pytest.approx((agree - chance) / (1 - chance))
    assert Counts(0, 0, 0, 10).f1 == 0


def test_cities_are_pooled_by_pixels() -> None:
    label = np.zeros((4, 4), np.bool_)
    label[0] = True
    sizes = [np.where(label, 9.0, 0.0), np.where(label, 0.0, 9.0)]
    counts = [count(size.astype(np.float32), label) for size in sizes]
    at = THRESHOLDS.index(ANY_CHANGE)
    assert pool(counts, at) == Counts(both=4, mapped=16, labelled=8, pixels=32)


def test_a_real_city_is_better_than_chance(data_dir: Path) -> None:
    size, label = magnitude(data_dir / "oscd", "rennes")
    assert size.shape == label.shape
    assert count(size, label)[THRESHOLDS.index(ANY_CHANGE)].f1 > 0.3
