"""Scores of captions against references: BLEU, ROUGE-L, METEOR and CIDEr-D, by published formulas.

BLEU-1 to 4 of the whole set, with the closest reference length (Papineni et al. 2002). ROUGE-L with
beta 1.2, precision and recall each of the best reference, and CIDEr-D with n of 1 to 4, sigma 6,
clipping and a factor of 10 (Vedantam et al. 2015, arXiv:1411.5726), both as the COCO caption
evaluation computes them (github.com/tylin/coco-caption), so that published figures compare; its
document frequencies are of the references that are scored. METEOR is of words that are equal or
have one stem (Porter's first step), alpha 0.9, beta 3, gamma 0.5 (Lavie and Agarwal 2007): without
synonyms and paraphrases, so it lies below METEOR 1.5.

Words are in lower case, without punctuation, as that evaluation's tokenizer leaves them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Words = tuple[str, ...]

NAMES: Final = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "meteor", "rouge_l", "cider")
_ORDER: Final = 4
_BETA: Final = 1.2
_SIGMA: Final = 6.0
_ALPHA, _POWER, _GAMMA = 0.9, 3.0, 0.5
# Keeps a BLEU of nothing at 0, as in the COCO evaluation.
_TINY, _SMALL = 1e-15, 1e-9


def words_of(caption: str) -> Words:
    """Words of a caption."""
    return tuple(re.findall(r"[a-z0-9]+(?:['-][a-z0-9]+)*", caption.casefold()))


@dataclass(frozen=True)
class CaptionScores:
    """Captions of n pictures, compared with their references.

    Attributes:
        given: one caption for each picture.
        references: one or more for each picture.
    """

    given: tuple[Words, ...]
    references: tuple[tuple[Words, ...], ...]

    def metrics(self, weights: NDArray[np.float32] | None = None) -> dict[str, Floats]:
        """All scores by NAMES: (), or (rounds,) with weights (rounds, n) of the pictures."""
        w = np.ones(len(self.given), np.float32) if weights is None else weights
        total = w.sum(axis=-1)
        found = {f"bleu_{k + 1}": b for k, b in enumerate(np.moveaxis(self._bleu(w), -1, 0))}
        for name, values in (
            ("meteor", self.meteor),
            ("rouge_l", self.rouge_l),
            ("cider", self.cider),
        ):
            found[name] = np.asarray(w @ values / total)
        return found

    @cached_property
    def rouge_l(self) -> Floats:
        """ROUGE-L of each picture, (n,)."""
        pairs = zip(self.given, self.references, strict=True)
        return np.array([_rouge(given, references) for given, references in pairs])

    @cached_property
    def meteor(self) -> Floats:
        """METEOR of each picture with its best reference, (n,)."""
        pairs = zip(self.given, self.references, strict=True)
        return np.array([max(_meteor(given, r) for r in references) for given, references in pairs])

    @cached_property
    def cider(self) -> Floats:
        """CIDEr-D of each picture, (n,), from 0 to 10."""
        frequency: Counter[Words] = Counter()
        for references in self.references:
            frequency.update({gram for r in references for gram in _grams(r)})
        documents = np.log(max(len(self.references), 1))
        # A phrase is looked up for each picture that it is in.
        weight = {gram: documents - np.log(n) for gram, n in frequency.items()}
        found = []
        for given, references in zip(self.given, self.references, strict=True):
            mine = _Weighed(given, weight, documents)
            found.append(np.mean([mine.like(_Weighed(r, weight, documents)) for r in references]))
        return 10 * np.array(found)

    @cached_property
    def _counts(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Matched and given phrases (n, 4), and lengths given and of the closest reference (n,)."""
        matched = np.zeros((len(self.given), _ORDER))
        offered = np.zeros_like(matched)
        lengths = np.zeros(len(self.given))
        closest = np.zeros_like(lengths)
        for i, (given, references) in enumerate(zip(self.given, self.references, strict=True)):
            most: Counter[Words] = Counter()
            for reference in references:
                most |= _grams(reference)
            for gram, n in _grams(given).items():
                offered[i, len(gram) - 1] += n
                matched[i, len(gram) - 1] += min(n, most[gram])
            lengths[i] = len(given)
            closest[i] = min((abs(len(r) - len(given)), len(r)) for r in references)[1]
        return matched, offered, lengths, closest

    def _bleu(self, w: NDArray[np.float32]) -> Floats:
        """BLEU-1 to 4 of weighted sums, (..., 4)."""
        matched, offered, lengths, closest = (w @ part for part in self._counts)
        precision = (matched + _TINY) / (offered + _SMALL)
        orders = np.arange(1, _ORDER + 1)
        means = np.exp(np.cumsum(np.log(precision), axis=-1) / orders)
        ratio = (lengths + _TINY) / (closest + _SMALL)
        brevity = np.where(ratio < 1, np.exp(np.minimum(1 - 1 / ratio, 0)), 1)
        return np.asarray(means * brevity[..., None])


class _Weighed:
    """Phrases of a caption, weighed by how rare they are."""

    def __init__(self, caption: Words, weight: dict[Words, float], unseen: float) -> None:
        self.vectors: list[dict[Words, float]] = [{} for _ in range(_ORDER)]
        for gram, n in _grams(caption).items():
            self.vectors[len(gram) - 1][gram] = n * weight.get(gram, unseen)
        self.norms = [np.sqrt(sum(v * v for v in vector.values())) for vector in self.vectors]
        self.length = len(caption)

    def like(self, reference: _Weighed) -> float:
        """Mean over n of the clipped cosine, lowered where the lengths differ."""
        penalty = np.exp(-((self.length - reference.length) ** 2) / (2 * _SIGMA**2))
        total = 0.0
        for n in range(_ORDER):
            mine, theirs = self.vectors[n], reference.vectors[n]
            norms = self.norms[n] * reference.norms[n]
            if norms:
                shared = mine.keys() & theirs.keys()
                total += sum(min(mine[g], theirs[g]) * theirs[g] for g in shared) / norms
        return float(penalty * total / _ORDER)


def _grams(words: Words) -> Counter[Words]:
    """Phrases of one to four words."""
    return Counter(
        words[i : i + n] for n in range(1, _ORDER + 1) for i in range(len(words) - n + 1)
    )


def _rouge(given: Words, references: Sequence[Words]) -> float:
    common = [_common(given, reference) for reference in references]
    precision = max(c / max(len(given), 1) for c in common)
    recall = max(c / max(len(r), 1) for c, r in zip(common, references, strict=True))
    if not precision or not recall:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def _common(a: Words, b: Words) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for word in a:
        before = 0
        for j, other in enumerate(b, 1):
            here = row[j]
            row[j] = before + 1 if word == other else max(row[j], row[j - 1])
            before = here
    return row[-1]


def _meteor(given: Words, reference: Words) -> float:
    pairs = _aligned(given, reference)
    if not pairs:
        return 0.0
    precision, recall = len(pairs) / len(given), len(pairs) / len(reference)
    mean = precision * recall / (_ALPHA * precision + (1 - _ALPHA) * recall)
    breaks = sum(b != (a[0] + 1, a[1] + 1) for a, b in pairwise(pairs))
    penalty = _GAMMA * float(((breaks + 1) / len(pairs)) ** _POWER)
    return mean * (1 - penalty)


def _aligned(given: Words, reference: Words) -> list[tuple[int, int]]:
    """Places of words that match, equal ones first, each word once, runs kept together."""
    pairs: dict[int, int] = {}
    for form in (str, _stem):
        free = {j: form(word) for j, word in enumerate(reference) if j not in pairs.values()}
        for i, word in enumerate(given):
            if i in pairs:
                continue
            places = [j for j, other in free.items() if other == form(word)]
            if places:
                after = pairs.get(i - 1, -2) + 1
                pairs[i] = after if after in places else places[0]
                del free[pairs[i]]
    return sorted(pairs.items())


def _stem(word: str) -> str:
    """Without the endings of plurals and of "-ed" and "-ing" (step 1 of Porter 1980)."""
    if word.endswith("sses"):
        word = word[:-2]
    elif word.endswith("ies"):
        word = word[:-3] + "i"
    elif word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    for ending in ("ed", "ing"):
        stem = word.removesuffix(ending)
        if stem != word and re.search(r"[aeiouy]", stem):
            if re.search(r"(at|bl|iz)$", stem):
                return stem + "e"
            return stem[:-1] if re.search(r"([^aeioulsz])\1$", stem) else stem
    return re.sub(r"(?<=[aeiou][^aeiou])y$|(?<=[^aeiou])y$", "i", word)
