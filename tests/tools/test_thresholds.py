"""A threshold is found between two groups, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from terralogue.tools.thresholds import otsu, split

RANDOM = np.random.default_rng(1)


def test_otsu_lies_in_the_middle_of_the_gap() -> None:
    values = np.concatenate([np.full(500, -0.4), np.full(200, 0.6)]).astype(np.float32)
    assert otsu(values) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
def test_a_lake_is_split_off_however_small_a_part_of_the_scene(share: float) -> None:
    image = RANDOM.normal(-0.4, 0.08, (400, 400)).astype(np.float32)
    rows = int(400 * share**0.5)
    image[50 : 50 + rows, 70 : 70 + rows] = RANDOM.normal(0.5, 0.08, (rows, rows))
    found = split(image)
    assert found is not None
    assert -0.2 < found.threshold < 0.3
    assert found.high_mean == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    "image",
    [
        RANDOM.normal(0, 1, (300, 300)),
        RANDOM.gamma(2.0, 1.0, (300, 300)),
        RANDOM.uniform(0, 1, (300, 300)),
        np.linspace(0, 1, 90000).reshape(300, 300),
        RANDOM.standard_t(3, (300, 300)),
        np.zeros((300, 300)),
        np.full((300, 300), np.nan),
        np.zeros((1, 1)),
    ],
    ids=["normal", "skewed", "uniform", "gradient", "long tails", "constant", "nothing", "one"],
)
def test_one_group_is_not_split(image: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    assert split(image.astype(np.float32)) is None


def test_missing_pixels_do_not_matter() -> None:
    image = RANDOM.normal(-0.4, 0.08, (200, 200)).astype(np.float32)
    image[:, :80] = RANDOM.normal(0.5, 0.08, (200, 80))
    whole = split(image)
    image[::3] = np.nan
    part = split(image)
    assert whole is not None
    assert part is not None
    assert part.threshold == pytest.approx(whole.threshold, abs=0.05)
