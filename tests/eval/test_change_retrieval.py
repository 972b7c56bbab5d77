from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from terralogue.datasets.errors import InputError
from terralogue.eval.change_retrieval import (
    OSCD_QUERY,
    Pairs,
    oscd_tiles,
    score_oscd,
    score_simulated,
    simulated_pairs,
)
from terralogue.vlm.change_embedding import change_query
from terralogue.vlm.clip import tiny_geoclip

CLIP = tiny_geoclip()


def test_a_pair_that_changed_as_described_is_found() -> None:
    captions = ["new buildings", "forest turned into farmland", "a lake dried up"]
    directions = np.stack([change_query(caption, CLIP).direction for caption in captions])
    still = np.zeros((7, CLIP.dimensions), np.float32)
    after = np.concatenate([directions, np.zeros_like(still[3:])])
    pairs = Pairs(
        still, after, ("build", "clear", "shrink", *["none"] * 4),
        (*((c,) for c in captions), *[()] * 4),
    )  # fmt: skip
    scores = score_simulated(CLIP, pairs)
    assert scores["r@5"] == 1
    assert scores["captions"] == 3
    assert np.isclose(scores["r@5_chance"], 5 / 7)
    assert np.isclose(scores["same_kind_p@5"], 1 / 5)
    assert np.isclose(scores["same_kind_p@5_chance"], 1 / 7)


def test_marked_tiles_are_ranked_against_quiet_ones_only() -> None:
    wanted = change_query(OSCD_QUERY, CLIP).direction
    after = np.stack([wanted, -wanted, 2 * wanted, 0 * wanted])
    scores = score_oscd(CLIP, 0 * after, after, np.array([0.5, 0, 0.05, 0], np.float32))
    assert scores["tiles"] == 3
    assert scores["average_precision"] == 1
    assert np.isclose(scores["chance"], 1 / 3)


def test_simulated_pairs_come_with_captions_where_something_happened() -> None:
    pairs = simulated_pairs(CLIP, 4, "sentinel2_l2a")
    assert pairs.before.shape == pairs.after.shape == (4, CLIP.dimensions)
    for kind, captions in zip(pairs.kinds, pairs.captions, strict=True):
        assert bool(captions) == (kind not in ("none", "season"))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        oscd_tiles(CLIP, tmp_path)
