"""From scores to decisions: threshold, probability and count with interval for each class.

A score is how well a box is expected to fit. On pictures that training left out, a logistic
function turns it into the probability that the box is right (Platt 1999). Boxes are counted from
half the highest expected F1 on, which is optimal for F1 where probabilities are true (Lipton et al.
2014, arXiv 1402.1892) and depends less on single pictures than the best threshold found on them.
A count's interval rests on the probabilities, too: the expected number of right boxes, and of
things that no box was near to, give the mean; its deviation is that of independent decisions times
what it took to hold the right numbers of nine tenths of the pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.tools.detect_scores import Matches

Floats = NDArray[np.float64]

FLOOR: Final = 0.05
"""Scores below this are nothing."""
_NORMAL_90: Final = 1.645
# Fewer right or wrong boxes than these tell too little.
_FEWEST: Final = 8
_ROUNDS: Final = 50
_RIDGE: Final = 0.1


@dataclass(frozen=True)
class ClassFacts:
    """What was learnt about one class on pictures that training left out.

    Attributes:
        threshold: score from which a box is counted.
        slope: of the logistic function of the score's logit.
        offset: of the same.
        reached: share of all things that some box above FLOOR met.
        spread: how many times more counts scatter than independent decisions would (at least 1).
        boxes: right boxes that this rests on.
    """

    threshold: float
    slope: float
    offset: float
    reached: float
    spread: float
    boxes: int

    @property
    def borrowed(self) -> bool:
        """Whether the class was too rare to be measured, and has what all together give."""
        return self.boxes < _FEWEST

    def probability(self, scores: Floats) -> Floats:
        """Probability that a box is right."""
        return _logistic(self.slope * _logit(scores) + self.offset)

    def interval(self, scores: Floats) -> tuple[int, int]:
        """The number of things, with 90 % probability, given the scores of all boxes."""
        mean, deviation = self._moments(self.probability(scores))
        low, high = mean - _NORMAL_90 * deviation, mean + _NORMAL_90 * deviation
        counted = int((scores >= self.threshold).sum())
        # What is counted is always one of the possible numbers.
        return min(max(int(np.floor(low)), 0), counted), max(int(np.ceil(high)), counted)

    def _moments(self, p: Floats) -> tuple[float, float]:
        missed = p.sum() * (1 / max(self.reached, 0.1) - 1)
        variance = (p * (1 - p)).sum() + missed
        return float(p.sum() + missed), float(self.spread * np.sqrt(variance))


def calibrate(scored: Mapping[str, Matches]) -> dict[str, ClassFacts]:
    """Fit the facts of each class; those that hardly occur take what all together give.

    Args:
        scored: class → what was found of it; the pictures may be other ones for each class.
    """
    kept = {name: _above(matches) for name, matches in scored.items()}
    together = _facts(_pooled(list(kept.values())))
    return {
        name: _facts(matches)
        if min(int(matches.right.sum()), int((~matches.right).sum())) >= _FEWEST
        else replace(together, boxes=int(matches.right.sum()))
        for name, matches in kept.items()
    }


def as_settings(facts: Mapping[str, ClassFacts]) -> dict[str, dict[str, float]]:
    """JSON-compatible."""
    return {
        name: {key: round(value, 4) for key, value in asdict(each).items()}
        for name, each in facts.items()
    }


def from_settings(settings: Mapping[str, Mapping[str, float]]) -> dict[str, ClassFacts]:
    """What `as_settings` wrote."""
    return {
        name: ClassFacts(**{**each, "boxes": int(each["boxes"])})  # type: ignore[arg-type]
        for name, each in settings.items()
    }


def _above(matches: Matches) -> Matches:
    kept = matches.scores >= FLOOR
    return Matches(matches.scores[kept], matches.right[kept], matches.picture[kept], matches.wanted)


def _pooled(parts: Sequence[Matches]) -> Matches:
    """Several classes as one, each class in a picture as a picture of its own."""
    first = np.cumsum([0, *(len(part.wanted) for part in parts)])
    scores = np.concatenate([part.scores for part in parts])
    order = np.argsort(-scores, kind="stable")
    pictures = [part.picture + start for part, start in zip(parts, first, strict=False)]
    return Matches(
        scores[order],
        np.concatenate([part.right for part in parts])[order],
        np.concatenate(pictures)[order],
        np.concatenate([part.wanted for part in parts]),
    )


def _facts(matches: Matches) -> ClassFacts:
    right = int(matches.right.sum())
    slope, offset = _fit(matches.scores, matches.right)
    reached = right / max(float(matches.wanted.sum()), 1.0)
    facts = ClassFacts(0.5, slope, offset, reached, 1.0, right)
    p = facts.probability(matches.scores)
    facts = replace(facts, threshold=_threshold(p, int(matches.wanted.sum()), slope, offset))
    errors = []
    for picture, wanted in enumerate(matches.wanted):
        mean, deviation = facts._moments(p[matches.picture == picture])
        if wanted or mean > 0.5:
            errors.append(abs(wanted - mean) / max(deviation, 0.5))
    spread = float(np.quantile(errors, 0.9)) / _NORMAL_90 if errors else 1.0
    return replace(facts, spread=max(spread, 1.0))


def _threshold(p: Floats, wanted: int, slope: float, offset: float) -> float:
    """The score whose probability is half the highest F1 that probabilities (n,) promise."""
    if not len(p):
        return 0.5
    promised = 2 * np.cumsum(p) / (np.arange(1, len(p) + 1) + wanted)
    half = np.array([promised.max() / 2])
    return float(_logistic((_logit(half) - offset) / slope)[0])


def _fit(scores: Floats, right: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset of a logistic regression on the logit, by Newton's method with a ridge."""
    design = np.stack([_logit(scores), np.ones(len(scores))], 1)
    weights = np.array([1.0, 0.0])
    prior = weights.copy()
    for _ in range(_ROUNDS):
        p = _logistic(design @ weights)
        gradient = design.T @ (p - right) + _RIDGE * (weights - prior)
        curvature = (design * (p * (1 - p))[:, None]).T @ design + _RIDGE * np.eye(2)
        weights = weights - np.linalg.solve(curvature, gradient)
    return float(weights[0]), float(weights[1])


def _logit(scores: Floats) -> Floats:
    clipped = np.clip(scores, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _logistic(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -30, 30))))
