"""Boxes are matched, scored and calibrated."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from terralogue.tools.detect_calibrate import as_settings, calibrate, from_settings
from terralogue.tools.detect_scores import (
    Matches,
    average_precision,
    best_threshold,
    collect,
    f1_at,
    match,
)

Floats = NDArray[np.float64]
NONE = np.zeros(0, np.bool_)


def box(x: float, y: float, side: float = 10) -> list[float]:
    return [x, y, x + side, y + side]


def pictures(count: int, seed: int = 0) -> list[tuple[Floats, Floats, Floats, NDArray[np.bool_]]]:
    """Things with boxes that are near them, and as many that are not, of lower scores."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        number = int(rng.integers(1, 8))
        wanted = np.array([box(30 * i, 0) for i in range(number)], np.float64)
        near = wanted + rng.normal(0, 1.5, wanted.shape)
        wrong = np.array([box(30 * i, 60) for i in range(number)], np.float64)
        scores = np.concatenate([rng.beta(5, 2, number), rng.beta(2, 5, number)])
        made.append((np.concatenate([near, wrong]), scores, wanted, np.zeros(number, np.bool_)))
    return made


def test_the_most_probable_box_takes_a_thing_and_the_next_one_is_wrong() -> None:
    found = np.array([box(1, 0), box(0, 0), box(50, 50)], np.float64)
    wanted = np.array([box(0, 0)], np.float64)
    right, counts = match(found, np.array([0.9, 0.8, 0.7]), wanted, np.array([False]), 0.5)
    assert right.tolist() == [True, False, False]
    assert counts.all()


def test_a_box_on_a_skipped_thing_is_neither_right_nor_wrong() -> None:
    found, wanted = np.array([box(0, 0)], np.float64), np.array([box(0, 0)], np.float64)
    right, counts = match(found, np.array([0.9]), wanted, np.array([True]), 0.5)
    assert not right.any()
    assert not counts.any()


def test_average_precision_is_one_for_perfect_boxes_and_unknown_of_nothing() -> None:
    wanted = np.array([box(0, 0), box(40, 0)], np.float64)
    perfect = collect([(wanted, np.array([0.9, 0.8]), wanted, np.zeros(2, np.bool_))], 0.5)
    assert average_precision(perfect) == pytest.approx(1)
    empty = (np.zeros((0, 4)), np.zeros(0), np.zeros((0, 4)), NONE)
    assert average_precision(collect([empty], 0.5)) is None
    assert f1_at(collect([empty], 0.5), 0.5) is None


@pytest.mark.parametrize("iou", [0.5, 0.75])
def test_average_precision_is_that_of_torchmetrics(iou: float) -> None:
    pytest.importorskip("pycocotools")
    torch = pytest.importorskip("torch")
    detection = pytest.importorskip("torchmetrics.detection")
    made = pictures(12)
    metric = detection.MeanAveragePrecision(iou_thresholds=[iou])
    for found, scores, wanted, _ in made:
        metric.update(
            [{"boxes": torch.tensor(found), "scores": torch.tensor(scores),
              "labels": torch.zeros(len(found), dtype=torch.long)}],
            [{"boxes": torch.tensor(wanted), "labels": torch.zeros(len(wanted), dtype=torch.long)}],
        )  # fmt: skip
    expected = float(metric.compute()["map"])
    assert average_precision(collect(made, iou)) == pytest.approx(expected, abs=1e-4)


def test_a_picture_that_is_drawn_twice_counts_twice() -> None:
    made = pictures(5)
    twice = collect([made[0], *made[:3]], 0.5)
    weights = np.array([2.0, 1, 1, 0, 0])
    assert average_precision(collect(made, 0.5), weights) == pytest.approx(average_precision(twice))
    assert f1_at(collect(made, 0.5), 0.4, weights) == pytest.approx(f1_at(twice, 0.4))


def test_the_threshold_is_the_one_of_the_highest_f1() -> None:
    matches = collect(pictures(20), 0.5)
    best = f1_at(matches, best_threshold(matches))
    assert best is not None
    assert all(best >= (f1_at(matches, t) or 0) - 1e-9 for t in np.linspace(0.05, 0.95, 19))


def test_probabilities_are_true_and_intervals_hold_what_they_promise() -> None:
    facts = calibrate({"ship": collect(pictures(300), 0.5)})["ship"]
    held = collect(pictures(300, seed=1), 0.5)
    assert facts.probability(held.scores).mean() == pytest.approx(held.right.mean(), abs=0.03)
    within = []
    for picture, wanted in enumerate(held.wanted):
        low, high = facts.interval(held.scores[held.picture == picture])
        within.append(low <= wanted <= high)
    assert np.mean(within) >= 0.85


def test_what_is_counted_lies_within_its_interval() -> None:
    facts = calibrate({"ship": collect(pictures(50), 0.5)})["ship"]
    for scores in (np.zeros(0), np.array([0.99]), np.full(40, facts.threshold)):
        low, high = facts.interval(scores)
        assert 0 <= low <= (scores >= facts.threshold).sum() <= high


def test_a_rare_class_takes_what_all_together_give() -> None:
    few = collect(pictures(1)[:1], 0.5)
    rare = Matches(few.scores[:2], few.right[:2], few.picture[:2], np.array([2]))
    facts = calibrate({"ship": collect(pictures(50), 0.5), "bridge": rare})
    assert facts["bridge"].slope == pytest.approx(facts["ship"].slope, rel=0.2)
    assert facts["bridge"].threshold == pytest.approx(facts["ship"].threshold, abs=0.1)
    assert from_settings(as_settings(facts))["bridge"].boxes == int(rare.right.sum())
