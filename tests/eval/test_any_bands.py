from __future__ import annotations

import numpy as np
import pytest

from terralogue.eval.any_bands import Tiles, accuracy, measure, recall_at_1, simulated
from terralogue.vlm.clip import tiny_geoclip

AXES = np.eye(4, dtype=np.float32)


def test_recall_at_1_wants_the_own_place_nearer_than_any_other() -> None:
    assert recall_at_1(AXES, AXES) == 1
    assert recall_at_1(AXES, AXES[[1, 0, 2, 3]]) == 0.5
    # A tie with another place is no success.
    assert recall_at_1(AXES[:2], np.stack([AXES[0], AXES[0]])) == 0


def test_tiles_without_a_dominant_class_do_not_count() -> None:
    clip = tiny_geoclip()
    vectors = clip.label_embeddings(["forest", "water", "forest"])
    scores = accuracy(clip, vectors, ["forest", "water", ""])
    assert scores == {
        "n": 2, "classes": 2, "accuracy": 1.0, "balanced_accuracy": 1.0, "majority": 0.5
    }  # fmt: skip


@pytest.fixture(scope="module")
def tiles() -> Tiles:
    return simulated("sentinel2_l2a", 6)


def test_simulated_tiles_carry_all_bands_and_their_dominant_class(tiles: Tiles) -> None:
    assert tiles.data.shape == (6, 12, 64, 64)
    assert len(tiles.labels) == 6
    assert np.isfinite(tiles.data).all()


def test_the_report_sets_all_bands_beside_rgb(tiles: Tiles) -> None:
    result = measure(tiny_geoclip(), [tiles])
    one = result["simulated_sentinel2_l2a"]
    assert one["tiles"] == 6
    assert one["bands"] == 12
    assert 0 <= one["r@1_all_to_rgb"] <= 1
    assert {"rgb", "all_bands"} <= set(one)
    assert result["pooled"]["tiles"] == 6
