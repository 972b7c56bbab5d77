"""Statistics in one pass agree with numpy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from terralogue.tools.summary import Summary

RANDOM = np.random.default_rng(3)


def summarise(values: NDArray[np.float32], parts: int) -> Summary:
    summary = Summary()
    for part in np.array_split(values, parts):
        summary.add(part)
    return summary


def test_few_values_are_exact() -> None:
    values = RANDOM.normal(5, 2, 1001).astype(np.float32)
    summary = summarise(values, 7)
    assert summary.count == 1001
    assert summary.mean == pytest.approx(values.mean(dtype=np.float64))
    assert summary.std == pytest.approx(values.std(dtype=np.float64))
    assert (summary.minimum, summary.maximum) == (values.min(), values.max())
    for percent in (0, 5, 50, 95, 100):
        assert summary.percentile(percent) == np.percentile(values, percent)


@pytest.mark.parametrize(
    "values",
    [
        RANDOM.normal(0, 1, 2_100_000),
        -RANDOM.gamma(2, 1e4, 2_100_000),
        RANDOM.integers(0, 256, 2_100_000),
        np.zeros(2_100_000),
    ],
    ids=["normal", "negative", "counts", "constant"],
)
def test_many_values_have_percentiles_within_a_bin(values: NDArray[np.float64]) -> None:
    given = values.astype(np.float32)
    summary = summarise(given, 3)
    assert summary.mean == pytest.approx(given.mean(dtype=np.float64), rel=1e-9, abs=1e-9)
    for percent in (1, 5, 50, 95, 99):
        exact = float(np.percentile(given, percent))
        assert summary.percentile(percent) == pytest.approx(exact, rel=1 / 4096, abs=2e-4)


def test_nothing_gives_no_number() -> None:
    summary = summarise(np.array([], np.float32), 1)
    assert summary.count == 0
    assert math.isnan(summary.mean)
    assert math.isnan(summary.std)
    assert math.isnan(summary.percentile(50))
