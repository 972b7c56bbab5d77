"""Change as a direction: what words say went and came, and how pairs score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from terralogue.vlm.change_embedding import (
    along,
    change_query,
    change_score,
    change_vector,
    read_change,
)


@pytest.mark.parametrize(
    ("text", "went", "came"),
    [
        ("new buildings", "", "buildings"),
        ("a road was added", "", "road"),
        ("airport expansion", "", "airport"),
        ("forest turned into farmland", "forest", "farmland"),
        ("where a wood became houses", "wood", "houses"),
        ("changed from fields to warehouses", "fields", "warehouses"),
        ("cropland to solar farm", "cropland", "solar farm"),
        ("farmland was replaced by a reservoir", "farmland", "reservoir"),
        ("demolished factories", "factories", ""),
        ("places where a lake dried up", "lake", ""),
        ("forest loss", "forest", ""),
        ("deforestation", "forest", "bare land"),
        ("flooded areas", "land", "flood water"),
        ("damage to houses", "", "damage to houses"),
        ("stadium", "", "stadium"),
    ],
)
def test_words_say_what_went_and_what_came(text: str, went: str, came: str) -> None:
    said = read_change(text)
    assert (said.went, said.came) == (went, came)


class OneHot:
    """Embeds each text along an axis of its own."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def label_embeddings(self, labels: Sequence[str]) -> NDArray[np.float32]:
        axes = [[float(word in label) for word in self.words] for label in labels]
        return np.array(axes, np.float32)


FOREST, TOWN, WATER = np.eye(3, dtype=np.float32)
TOWER = OneHot("forest", "town", "water")


@pytest.mark.parametrize(
    ("text", "best", "worst"),
    [
        ("forest turned into town", (FOREST, TOWN), (TOWN, FOREST)),
        ("new town", (WATER, TOWN), (TOWN, WATER)),
        ("loss of water", (WATER, FOREST), (FOREST, WATER)),
    ],
)
def test_pairs_score_by_what_went_and_came(
    text: str,
    best: tuple[NDArray[np.float32], NDArray[np.float32]],
    worst: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:
    query = change_query(text, TOWER)
    assert np.linalg.norm(query.direction) == pytest.approx(1)
    before = np.stack([FOREST, best[0], worst[0]])
    after = np.stack([FOREST, best[1], worst[1]])
    unchanged, high, low = change_score(query, before, after)
    assert unchanged == 0
    assert high > 0.5
    assert low < -0.5


def test_of_two_like_changes_the_one_that_ends_as_described_scores_higher() -> None:
    query = change_query("new town", TOWER)
    before = np.stack([FOREST, TOWN])
    less, more = change_score(query, before, before + TOWN / 4)
    assert 0 < less < more


def test_a_bare_direction_ranks_by_the_change_vectors_alone() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=(2, 20, 8)).astype(np.float32)
    query = along(rng.normal(size=8).astype(np.float32))
    np.testing.assert_allclose(
        change_vector(before, after) @ query.direction,
        change_score(query, before, after),
        rtol=1e-5,
    )
