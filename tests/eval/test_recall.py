"""Recall at K on similarities worked out by hand, and against trying every order of ties."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from terralogue.eval.recall import by_chance, gather, merged, published
from terralogue.eval.summary import resamples

# The towers are taken out of the arithmetic: image i is the i-th unit vector, so that the product
# of images and texts is the table of texts itself.


def similarities(table: list[list[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Images and texts whose product is the table (images, texts)."""
    scores = np.array(table, np.float32)
    return np.eye(len(scores), dtype=np.float32), scores.T.copy()


def test_ranks_are_counted_both_ways() -> None:
    captions = gather([["lake"], ["town", "city"]])
    images, texts = similarities([[0.2, 0.9, 0.1],
                                  [0.3, 0.8, 0.7]])  # fmt: skip
    found = published(images, texts, captions).recalls()
    # lake is second for its image, town is first for its own: 1 of 2. Only city finds its image
    # first (lake and town score higher with the other one): 1 of 3.
    assert found == pytest.approx([50, 100, 100, 100 / 3, 100, 100])


def test_words_that_differ_in_case_spaces_and_full_stop_are_one_caption() -> None:
    captions = gather([["A lake .", "a  lake"], ["a town."]])
    assert captions.texts == ("A lake .", "a town.")
    assert captions.times.toarray().tolist() == [[2, 0], [0, 1]]


def test_a_caption_repeated_for_another_image_is_wrong_unless_merged() -> None:
    captions = gather([["field"], ["field"], ["town"]])
    images, texts = similarities([[0.9, 0.0], [0.8, 0.1], [0.1, 0.7]])
    strict = published(images, texts, captions).recalls()
    # Two equal captions tie for the first place of images 0 and 1, and image 0 is before image 1.
    assert strict == pytest.approx([100 * (0.5 + 0.5 + 1) / 3, 100, 100, 100 * 2 / 3, 100, 100])
    assert merged(images, texts, captions).recalls() == pytest.approx([100] * 6)


def test_ties_count_as_the_mean_over_every_order() -> None:
    own = [["a", "b"], ["a"], ["a", "a"], ["c"]]
    captions = gather(own)
    table = [[0.5, 0.2, 0.6], [0.5, 0.7, 0.1], [0.3, 0.9, 0.8], [0.1, 0.3, 0.2]]
    images, texts = similarities(table)
    listed = [(image, text) for image, texts_of in enumerate(own) for text in texts_of]
    place = {text: i for i, text in enumerate(captions.texts)}
    hits = np.zeros((len(own), 2))
    orders = list(itertools.permutations(listed))
    for order in orders:
        for image in range(len(own)):
            ranked = sorted(order, key=lambda c: -np.float32(table[image][place[c[1]]]))
            right = [owner == image for owner, _ in ranked]
            hits[image] += [right[0], any(right[:5])]
    expected = 100 * hits.mean(axis=0) / len(orders)
    assert published(images, texts, captions).recalls()[:2] == pytest.approx(expected)


def test_chance_is_k_of_n_to_images_and_hypergeometric_to_texts() -> None:
    captions = gather([[f"{image} {number}" for number in range(2)] for image in range(20)])
    found = by_chance(captions).recalls()
    assert found[3:] == pytest.approx([5, 25, 50])
    # To miss, all five have to be drawn from the 38 wrong ones of 40.
    assert found[1] == pytest.approx(100 * (1 - (35 * 34) / (40 * 39)))


def test_a_model_that_knows_nothing_scores_chance() -> None:
    captions = gather([["same"], ["words"], ["here"]])
    images, texts = similarities([[0.5] * 3] * 3)
    expected = by_chance(captions).recalls()
    assert published(images, texts, captions).recalls() == pytest.approx(expected)


def test_images_are_drawn_together_with_their_captions() -> None:
    captions = gather([["lake"], ["town", "city"]])
    images, texts = similarities([[0.2, 0.9, 0.1], [0.3, 0.8, 0.7]])
    hits = published(images, texts, captions)
    twice_second = hits.recalls(np.array([[0.0, 2.0], [1.0, 1.0]]))
    assert twice_second[0, [0, 3]] == pytest.approx([100, 50])
    assert twice_second[1] == pytest.approx(hits.recalls())
    assert (resamples(7, 20).sum(axis=1) == 7).all()
