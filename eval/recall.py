"""Recall at K between images and captions, with ties and repeated captions treated exactly.

Scores are compared by image and *distinct* caption, so that two captions with the same words have
the same score to the last bit. A tie counts with the chance that a random order of the tied
candidates puts a right one in time. A caption with the words of the image's own, but listed for
another image, is wrong in `published` recall, as in the figures of the literature; in `merged`
recall captions with the same words are one, which is right for every image that has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import gammaln

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]

KS: Final = (1, 5, 10)
_BLOCK = 256


@dataclass(frozen=True)
class Captions:
    """Captions by image.

    Attributes:
        texts: distinct captions, u of them, as first written.
        times: (n, u) how often each image carries each caption.
    """

    texts: tuple[str, ...]
    times: csr_array

    @property
    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        """Image, caption and count of every caption that an image carries: (p,) each."""
        found = self.times.tocoo()
        image, text = (np.asarray(axis, np.int64) for axis in found.coords)
        return image, text, np.asarray(found.data, np.float64)


def gather(captions: Sequence[Sequence[str]]) -> Captions:
    """Gather the captions of each image; case, spaces and a final full stop do not distinguish."""
    places: dict[str, int] = {}
    texts: list[str] = []
    rows, columns = [], []
    for image, own in enumerate(captions):
        for caption in own:
            folded = " ".join(caption.casefold().split()).rstrip(" .")
            if folded not in places:
                places[folded] = len(texts)
                texts.append(caption)
            rows.append(image)
            columns.append(places[folded])
    ones = np.ones(len(rows))
    # Entries at one place are added up.
    return Captions(tuple(texts), csr_array((ones, (rows, columns)), (len(captions), len(texts))))


@dataclass(frozen=True)
class Hits:
    """Chance of each query to have a right candidate among the first K.

    Attributes:
        to_text: (n, K) one query for each image.
        to_image: (n, K) added up over the captions of each image.
        captions: (n,) captions of each image.
    """

    to_text: Floats
    to_image: Floats
    captions: Floats

    def recalls(self, weights: NDArray[np.floating] | None = None) -> Floats:
        """Percent of queries that succeed, (..., 2 K): to text for each K, then to image.

        Args:
            weights: (..., n) how often each image, with its captions, counts; None for once.
        """
        w = np.ones(len(self.captions)) if weights is None else weights
        to_text = w @ self.to_text / w.sum(axis=-1)[..., None]
        to_image = w @ self.to_image / (w @ self.captions)[..., None]
        return np.asarray(100 * np.concatenate([to_text, to_image], axis=-1), np.float64)


def published(images: Vectors, texts: Vectors, captions: Captions) -> Hits:
    """Recall as the literature counts it: all captions are candidates, each with one right image.

    Args:
        images: (n, d) L2-normalised.
        texts: (u, d) L2-normalised, of `captions.texts`.
        captions: whose is which.
    """
    image, text, _ = captions.pairs
    every = np.asarray(captions.times.sum(axis=0), np.float64)
    to_text = _find(images, texts, captions.times, every)
    places = (np.arange(len(image)), image)
    one = csr_array((np.ones(len(image)), places), (len(image), len(images)))
    to_image = _find(texts[text], images, one, np.ones(len(images)))
    return _by_image(to_text, to_image, captions)


def merged(images: Vectors, texts: Vectors, captions: Captions) -> Hits:
    """Recall over distinct captions, each right for every image that carries it."""
    _, text, _ = captions.pairs
    owned = csr_array(captions.times > 0).astype(np.float64)
    to_text = _find(images, texts, owned, np.ones(len(texts)))
    to_image = _find(texts, images, csr_array(owned.T), np.ones(len(images)))[text]
    return _by_image(to_text, to_image, captions)


def by_chance(captions: Captions) -> Hits:
    """Published recall of an order that knows nothing."""
    image, _, _ = captions.pairs
    n, own = captions.times.shape[0], np.asarray(captions.times.sum(axis=1), np.float64)
    to_text = _chances(np.zeros(n), np.full(n, own.sum()), own)
    to_image = _chances(np.zeros(len(image)), np.full(len(image), n), np.ones(len(image)))
    return _by_image(to_text, to_image, captions)


def _by_image(to_text: Floats, of_pairs: Floats, captions: Captions) -> Hits:
    image, _, times = captions.pairs
    to_image = np.zeros_like(to_text)
    np.add.at(to_image, image, of_pairs * times[:, None])
    return Hits(to_text, to_image, np.asarray(captions.times.sum(axis=1), np.float64))


def _find(queries: Vectors, candidates: Vectors, right: csr_array, counts: Floats) -> Floats:
    """Chance of a right candidate among the first K: (q, K).

    Args:
        queries: (q, d).
        candidates: (c, d).
        right: (q, c) how many right ones a candidate stands for.
        counts: (c,) how many candidates it stands for in all.
    """
    found = []
    for start in range(0, len(queries), _BLOCK):
        scores = queries[start : start + _BLOCK] @ candidates.T
        good = right[start : start + _BLOCK].toarray()
        best = np.where(good > 0, scores, -np.inf).max(axis=1, keepdims=True)
        level = scores == best
        found.append(_chances((scores > best) @ counts, level @ counts, (level * good).sum(axis=1)))
    return np.concatenate(found)


def _chances(above: Floats, level: Floats, right: Floats) -> Floats:
    """Chance that one of `right` among `level` tied candidates is in the first K: (q, K).

    The tied ones follow `above` others in random order, so the chance to miss is hypergeometric.
    """
    k = np.asarray(KS, np.float64)
    above, level, right = (part[:, None] for part in (above, level, right))
    drawn = np.clip(k - above, 0, level)
    wrong = level - right
    # Where more are drawn than are wrong, missing is impossible.
    possible = np.minimum(drawn, wrong)
    miss = np.exp(_log_choose(wrong, possible) - _log_choose(level, drawn))
    return np.where(drawn > wrong, 1.0, 1.0 - miss)


def _log_choose(n: Floats, k: Floats) -> Floats:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), np.float64)
