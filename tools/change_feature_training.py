"""`terralogue train change-features`: the regression that tells change on Sentinel-2 pairs.

    terralogue train change-features --pack packs/oscd.npz --data OSCD --out WEIGHTS

Places are left out one by one (neighbours together) to score it, to choose the threshold and to
see how far the area lies off; the weights come from all places.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.change_pairs import OSCD_FOLDS, fold_of, read_change_pairs
from terralogue.datasets.errors import InputError
from terralogue.tools.change_facts import ChangeFacts
from terralogue.tools.change_features import (
    BANDS,
    REQUIRED,
    FeatureModel,
    Floats,
    Piece,
    fit_pair,
    write_features,
)
from terralogue.tools.change_training_data import Place, banded, places_of, read_places
from terralogue.tools.change_training_data import write_places as write_pack
from terralogue.vlm.align_command import Parser

THRESHOLDS: Final = np.linspace(0.01, 0.99, 99)
# Pixels of a place that are learned from, and changed ones beside them.
_ANY, _CHANGED = 8000, 3000
_DECAY: Final = 50.0
_NEWTON: Final = 12
_BINS: Final = 15
# Neighbours, which are left out together.
_TOGETHER: Final = ("paris", "bercy", "saclay_e")
_CAUTION: Final = (
    "The model was taught building and road works between dates (OSCD); other changes, as of crops "
    "or water, count as none, and turned fields are still often mistaken for works."
)


class Sampled(NamedTuple):
    """A place as the regression sees it.

    Attributes:
        name: of the place.
        features: float16 (FEATURES, pixels) of all observed pixels.
        changed: bool (pixels,).
        chosen: pixels to learn from.
        weights: so that these stand for all.
    """

    name: str
    features: NDArray[np.float16]
    changed: NDArray[np.bool_]
    chosen: NDArray[np.int64]
    weights: NDArray[np.float64]


def main(argv: Sequence[str]) -> int:
    """Train, score and write; 0 when done.

    Raises:
        InputError: data or pack are missing, or lack a band.
    """
    args = _parser().parse_args(argv)
    if not args.pack.exists():
        if args.data is None:
            raise InputError(f"{args.pack} is not there; give the data that it is made from.")
        write_pack(args.pack, places_of(read_change_pairs(args.data)), quality=100)
    places = [sampled(banded(place, BANDS)) for place in read_places(args.pack)]
    if len(places) < 3:
        raise InputError(f"{args.pack} holds {len(places)} places; three or more are needed.")
    apart = {
        place.name: number for number, place in enumerate(places) if place.name not in _TOGETHER
    } | {place.name: len(places) for place in places if place.name in _TOGETHER}
    scores, f1, by_place = cross_validated(places, apart)
    for name, score in by_place.items():
        print(f"{name:12s} F1 {100 * score:5.1f}", flush=True)
    print(f"places left out one by one: F1 {100 * f1:.1f}")
    if len(places) > len(OSCD_FOLDS):
        folds = fold_of([place.name for place in places], len(OSCD_FOLDS))
        print(f"in {len(OSCD_FOLDS)} folds: F1 {100 * cross_validated(places, folds)[1]:.1f}")
    total = sum(counts(scores[place.name], place.changed) for place in places)
    threshold = float(THRESHOLDS[int(f1_of(np.asarray(total)).argmax())])
    ratios = [float(p.changed.sum()) / max(float(scores[p.name].sum()), 1.0) for p in places]
    low, high = np.percentile(ratios, (5, 95))
    facts = ChangeFacts(
        ("sentinel2_l1c", "sentinel2_l2a"), REQUIRED, (8.0, 22.0), reflectance=True,
        threshold=threshold, area_factors=(float(low), float(high)),
        calibration_error=calibration_error(places, scores), f1=f1, baseline_f1=args.baseline_f1,
        how=f"{len(places)} places, each left out from training in turn",
        title="Change by building", target="built_up", caution=_CAUTION,
    )  # fmt: skip
    weights, intercept = fitted(places)
    digest = write_features(args.out, FeatureModel(weights, intercept, facts))
    print(f"threshold {threshold:.2f}, calibration error {facts.calibration_error:.4f}, area "
          f"factors {low:.2f} to {high:.2f}\n{args.out}: SHA-256 {digest}")  # fmt: skip
    return 0


def _parser() -> argparse.ArgumentParser:
    made = Parser(prog="terralogue train change-features", description="Train the regression.")
    add = made.add_argument
    add("--pack", type=Path, required=True, metavar="FILE", help="prepared places; made from "
        "--data where it is not there")  # fmt: skip
    add("--data", type=Path, metavar="DIR", help="folder in the layout of OSCD")
    add("--out", type=Path, required=True, metavar="DIR", help="where config.json goes")
    add(
        "--baseline-f1",
        type=float,
        default=0.0,
        metavar="F1",
        help="of change vector analysis on "
        "the same places (eval change --model bands), to be written beside the score",
    )
    return made


def sampled(place: Place) -> Sampled:
    """Features of a place, and a sample with all kinds of pixels."""
    shares = (place.data.astype(np.float32) / 255) ** 2
    piece = Piece(shares[0], shares[1], place.seen)
    features = fit_pair([piece])(piece)[:, place.seen].astype(np.float16)
    changed = place.changed[place.seen]
    rng = np.random.default_rng(0)
    there = np.flatnonzero(changed)
    chosen = np.concatenate([
        rng.choice(len(changed), min(_ANY, len(changed))),
        rng.choice(there, min(_CHANGED, len(there)), replace=False),
    ])  # fmt: skip
    marked = changed[chosen]
    weights = np.where(
        marked,
        len(there) / max(int(marked.sum()), 1),
        (len(changed) - len(there)) / max(int((~marked).sum()), 1),
    )
    return Sampled(place.name, features, changed, chosen, weights)


def fitted(places: Sequence[Sampled]) -> tuple[Floats, float]:
    """Weights and intercept by Newton's method on the penalised likelihood."""
    x = np.concatenate([p.features[:, p.chosen] for p in places], axis=1).astype(np.float64)
    y = np.concatenate([p.changed[p.chosen] for p in places]).astype(np.float64)
    weight = np.concatenate([p.weights for p in places])
    weight *= len(weight) / weight.sum()
    design = np.concatenate([x, np.ones((1, x.shape[1]))])
    found = np.zeros(len(design))
    penalty = np.full(len(design), _DECAY)
    penalty[-1] = 0.0
    for _ in range(_NEWTON):
        share = 1 / (1 + np.exp(-np.clip(found @ design, -30, 30)))
        slope = design @ (weight * (share - y)) + penalty * found
        curve = (design * (weight * share * (1 - share))) @ design.T + np.diag(penalty + 1e-6)
        found -= np.linalg.solve(curve, slope)
    return found[:-1].astype(np.float32), float(found[-1])


def cross_validated(
    places: Sequence[Sampled], folds: dict[str, int]
) -> tuple[dict[str, Floats], float, dict[str, float]]:
    """Probabilities of each place by what learned from the other folds, and their F1.

    Returns:
        Probabilities of the observed pixels by place, pooled F1, and F1 of each place; at the
        threshold that is best on the other folds.
    """
    scores: dict[str, Floats] = {}
    for fold in sorted(set(folds.values())):
        weights, intercept = fitted([p for p in places if folds[p.name] != fold])
        for place in places:
            if folds[place.name] == fold:
                logits = weights @ place.features.astype(np.float32) + intercept
                scores[place.name] = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    table = {place.name: counts(scores[place.name], place.changed) for place in places}
    total, by_place = np.zeros(3), {}
    for place in places:
        others = sum(table[name] for name in table if folds[name] != folds[place.name])
        mine = table[place.name][int(f1_of(np.asarray(others)).argmax())]
        total += mine
        by_place[place.name] = float(f1_of(mine))
    return scores, float(f1_of(total)), by_place


def counts(scores: Floats, changed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Pixels that are both, mapped and changed at each of THRESHOLDS: (thresholds, 3)."""
    edges = np.concatenate([[-np.inf], THRESHOLDS, [np.inf]])
    mapped = np.histogram(scores, edges)[0][::-1].cumsum()[::-1][1:]
    both = np.histogram(scores[changed], edges)[0][::-1].cumsum()[::-1][1:]
    return np.stack([both, mapped, np.full(len(THRESHOLDS), changed.sum())], 1).astype(np.float64)


def f1_of(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 of (…, 3) counts: both, mapped, changed."""
    return np.asarray(2 * found[..., 0] / np.maximum(found[..., 1] + found[..., 2], 1))


def calibration_error(places: Sequence[Sampled], scores: dict[str, Floats]) -> float:
    """Expected calibration error of the probability of change over all pixels, 15 bins."""
    share = np.concatenate([scores[place.name] for place in places])
    truth = np.concatenate([place.changed for place in places])
    bins = np.minimum((share * _BINS).astype(int), _BINS - 1)
    size = np.maximum(np.bincount(bins, minlength=_BINS), 1)
    gaps = np.bincount(bins, share, _BINS) - np.bincount(bins, truth, _BINS)
    return float((size * np.abs(gaps / size)).sum() / len(share))
