"""Scores of change networks on the places that they have not seen, and the checkpoint of them all.

Each fold's network is applied to the places of its fold. The threshold that a place is scored at is
the one that is best on all other folds' places, so nothing of the place itself is used; what ships
has the threshold that is best on all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.change_pairs import fold_of
from terralogue.datasets.errors import InputError
from terralogue.tools.change_facts import ChangeFacts
from terralogue.tools.change_net import Floats, read_change, write_change
from terralogue.tools.change_training import THRESHOLDS, confusions, f1_of, place_logits, sigmoid
from terralogue.tools.change_training_data import Place

# What either kind of network serves: sensors, bands it cannot do without, metres per pixel; and
# what is said with its results.
_SERVES: Final = {
    "s2": (
        ("sentinel2_l1c", "sentinel2_l2a"), ("B", "G", "R", "N"), (8.0, 22.0),
        "Change by building",
        "The network was taught building and road works between dates (OSCD); other changes, such "
        "as of crops or water, count as none.",
    ),
    "rgb": (
        ("unknown_rgb", "rgb_aerial", "rgb_satellite", "naip_rgbn"), ("R", "G", "B"), (0.4, 2.5),
        "Change by building, ploughing and planting",
        "The network was taught new buildings and works, fresh ploughing and planted trees at two "
        "places (SZTAKI AirChange); elsewhere it is less sure than it says.",
    ),
}  # fmt: skip
_BINS: Final = 15
_PIXELS: Final = 20_000
_FLIPS: Final = 4
_NEWTON: Final = 25


class Held(NamedTuple):
    """A place, and the logits of the network that has not seen it: float32 (H, W)."""

    place: Place
    fold: int
    logits: Floats


def held_out(folders: Sequence[Path], places: Sequence[Place], device: str = "cpu") -> list[Held]:
    """Apply each fold's network to the places of its fold.

    Raises:
        InputError: a network cannot be read, or there are no places.
    """
    real = [place for place in places if not place.name.startswith("simulated")]
    if not real:
        raise InputError("the packs hold no real places to score on; add one to --pack.")
    folds = fold_of([place.name for place in real], len(folders))
    nets = [replace(read_change(folder), flips=_FLIPS) for folder in folders]
    return [
        Held(place, folds[place.name], place_logits(nets[folds[place.name]], place, device))
        for place in real
    ]


def cross_validated(held: Sequence[Held]) -> tuple[float, dict[str, float]]:
    """Pooled F1 with each fold's threshold from the other folds, and F1 of each place at it."""
    counts = {each.place.name: _counts(each) for each in held}
    total, by_place = np.zeros(3), {}
    for fold in sorted({each.fold for each in held}):
        others = sum(counts[each.place.name] for each in held if each.fold != fold)
        at = int(np.argmax(f1_of(np.asarray(others))))
        for each in held:
            if each.fold == fold:
                mine = counts[each.place.name][at]
                total += mine
                by_place[each.place.name] = float(f1_of(mine))
    return float(f1_of(total)), by_place


def _counts(held: Held) -> NDArray[np.float64]:
    return confusions(sigmoid(held.logits), held.place.changed, held.place.seen)


def calibrated(held: Sequence[Held]) -> tuple[float, float]:
    """Slope and offset that make the logits calibrated (Platt 1999), each place weighing alike."""
    logits, truth = _sampled(held)
    design = np.stack([logits, np.ones_like(logits)], 1).astype(np.float64)
    weights = np.array([1.0, 0.0])
    # Newton's method on a convex function of two numbers.
    for _ in range(_NEWTON):
        shares = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (shares - truth)
        curve = (design * (shares * (1 - shares))[:, None]).T @ design
        weights -= np.linalg.solve(curve + 1e-6 * np.eye(2), slope)
    return float(weights[0]), float(weights[1])


def _sampled(held: Sequence[Held]) -> tuple[Floats, NDArray[np.bool_]]:
    rng = np.random.default_rng(0)
    logits, truth = [], []
    for each in held:
        pixels = rng.choice(np.flatnonzero(each.place.seen), _PIXELS)
        logits.append(each.logits.ravel()[pixels])
        truth.append(each.place.changed.ravel()[pixels])
    return np.concatenate(logits), np.concatenate(truth)


def calibration_error(held: Sequence[Held], slope: float, offset: float) -> float:
    """Expected calibration error of the probability of change, 15 bins (Guo et al. 2017)."""
    logits, truth = _sampled(held)
    shares = sigmoid(np.asarray(slope * logits + offset, np.float32))
    bins = np.minimum((shares * _BINS).astype(int), _BINS - 1)
    gaps = [
        (bins == b).mean() * abs(shares[bins == b].mean() - truth[bins == b].mean())
        for b in np.unique(bins)
    ]
    return float(np.sum(gaps))


def area_factors(held: Sequence[Held], slope: float, offset: float) -> tuple[float, float]:
    """True area over the sum of probabilities: 5th and 95th percentile of the places."""
    ratios = []
    for each in held:
        share = sigmoid(np.asarray(slope * each.logits + offset, np.float32))
        expected = float(share[each.place.seen].sum())
        ratios.append(float((each.place.changed & each.place.seen).sum()) / max(expected, 1.0))
    low, high = np.percentile(ratios, (5, 95))
    return float(low), float(high)


def join(
    name: str,
    folders: Sequence[Path],
    places: Sequence[Place],
    out: Path,
    *,
    baseline_f1: float = 0.0,
    device: str = "cpu",
) -> Iterator[str]:
    """Score the folds' networks, and write them as one checkpoint.

    Args:
        name: key of the recipes.
        folders: of the networks, fold by fold.
        places: that folds are cut from.
        out: folder for the checkpoint.
        baseline_f1: F1 of change vector analysis on the same places.
        device: of torch.

    Yields:
        Lines for a terminal.
    """
    held = held_out(folders, places, device)
    f1, by_place = cross_validated(held)
    yield from (f"{place:12s} F1 {100 * score:5.1f}" for place, score in by_place.items())
    pooled = f1_of(np.asarray(sum(_counts(each) for each in held)))
    raw = float(THRESHOLDS[int(pooled.argmax())])
    slope, offset = calibrated(held)
    error = calibration_error(held, slope, offset)
    threshold = 1 / (1 + math.exp(-(slope * math.log(raw / (1 - raw)) + offset)))
    sensors, required, gsd, title, caution = _SERVES[name]
    facts = ChangeFacts(
        sensors, required, gsd, name == "s2", threshold, slope, offset,
        area_factors(held, slope, offset), error, f1, baseline_f1,
        f"{len(held)} places held out from training, in {len(folders)} folds",
        title, caution,
    )  # fmt: skip
    nets = [net for folder in folders for net in read_change(folder).nets]
    digest = write_change(out, nets, facts, flips=2)
    yield f"cross-validated F1 {100 * f1:.1f} (best single threshold {100 * pooled.max():.1f})"
    yield f"raw threshold {raw:.2f}, calibrated {threshold:.3f}, calibration error {error:.4f}"
    yield f"{out}: SHA-256 {digest}"
