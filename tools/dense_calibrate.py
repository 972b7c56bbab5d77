"""What is measured of a trained dense network: temperature, thresholds, area factors, scores.

`calibrate` takes the validation parts and gives the facts that go into config.json; `measure`
scores a checkpoint on any part as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from terralogue.tools.dense_checkpoint import Dense, DenseFacts, HeadFacts
from terralogue.tools.dense_data import IGNORE, DensePack
from terralogue.tools.dense_scores import (
    calibration_error,
    fit_temperature,
    predictions,
    prepared,
)
from terralogue.tools.dense_voices import Voice, together

Targets = Mapping[str, tuple[str, tuple[str, ...]]]
"""Head and classes by target."""
Partners = Mapping[str, Sequence[Voice]]
"""Voices of other networks by target."""
NOBODY: Final[Partners] = {}
_BATCH: Final = 4
_THRESHOLDS: Final = tuple(round(0.2 + 0.05 * i, 2) for i in range(13))
_EVERY: Final = 5  # pixels between those that the temperature is fitted on
# An image that shows less of a target says nothing of how far its area is off.
_LEAST: Final = 0.01
_QUANTILES: Final = (5.0, 95.0)


@dataclass
class _Sums:
    """Of one target: pixels found and there by threshold, and areas by image."""

    hits: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(_THRESHOLDS), np.int64))
    found: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(_THRESHOLDS), np.int64))
    there: int = 0
    known: int = 0
    expected: list[float] = field(default_factory=list)
    true: list[float] = field(default_factory=list)

    def add(self, probability: torch.Tensor, truth: torch.Tensor, known: torch.Tensor) -> None:
        """Add images: probability, truth and knowledge (n, H, W)."""
        self.there += int(truth.sum())
        self.known += int(known.sum())
        for i, threshold in enumerate(_THRESHOLDS):
            mask = (probability >= threshold) & known
            self.found[i] += int(mask.sum())
            self.hits[i] += int((mask & truth).sum())
        pixels = known.sum((1, 2)).clamp(min=1)
        self.expected += ((probability * known).sum((1, 2)) / pixels).tolist()
        self.true += (truth.sum((1, 2)) / pixels).tolist()

    @property
    def ious(self) -> NDArray[np.float64]:
        """Intersection over union by threshold."""
        union = np.maximum(self.found + self.there - self.hits, 1)
        return np.asarray(self.hits / union)

    def ratios(self) -> NDArray[np.float64]:
        """True over expected area of the images that show the target."""
        expected, true = np.array(self.expected), np.array(self.true)
        clear = (expected >= _LEAST) & (true >= _LEAST)
        return np.asarray(true[clear] / expected[clear])


def calibrate(
    dense: Dense, packs: Sequence[DensePack], targets: Targets, partners: Partners = NOBODY
) -> DenseFacts:
    """Fit one temperature for each head, and a threshold and area factors for each target.

    Args:
        dense: as training left it.
        packs: of the validation part.
        targets: what the network is used for.
        partners: whose voices count too.

    Returns:
        The facts of `dense` with what was found.
    """
    heads = {}
    for head, (logits, labels) in _samples(dense, packs).items():
        temperature = fit_temperature(torch.from_numpy(logits), torch.from_numpy(labels))
        error = calibration_error(_softmax(logits / np.float32(temperature)), labels)
        heads[head] = HeadFacts(temperature, calibration_error=round(error, 4))
    warm = replace(dense, facts=replace(dense.facts, heads=heads))
    for target, sums in _sums(warm, packs, targets, partners).items():
        head = targets[target][0]
        facts = heads[head]
        threshold = _THRESHOLDS[int(np.argmax(sums.ious))]
        low, high = _ends(sums.ratios())
        heads[head] = replace(
            facts,
            thresholds={**facts.thresholds, target: threshold},
            area_factors={
                **facts.area_factors,
                target: (math.floor(1000 * low) / 1000, math.ceil(1000 * high) / 1000),
            },
        )
    return replace(dense.facts, heads=heads)


def measure(
    dense: Dense, packs: Sequence[DensePack], targets: Targets, partners: Partners = NOBODY
) -> dict[str, dict[str, float]]:
    """Score a calibrated network.

    Returns:
        By target: `iou` at its threshold, `everything` (that of a mask of everything, which is the
        target's share), and `inside`, the share of images whose true area lies in the interval.
        By head, under "head HEAD": `error_before` and `error_after`, the calibration error without
        and with the temperature.
    """
    found: dict[str, dict[str, float]] = {}
    for head, (logits, labels) in _samples(dense, packs).items():
        warm = logits / np.float32(dense.facts.heads[head].temperature)
        found[f"head {head}"] = {
            "error_before": calibration_error(_softmax(logits), labels),
            "error_after": calibration_error(_softmax(warm), labels),
        }
    for target, sums in _sums(dense, packs, targets, partners).items():
        facts = dense.facts.heads[targets[target][0]]
        low, high = facts.area_factors[target]
        ratios = sums.ratios()
        found[target] = {
            "iou": float(sums.ious[_THRESHOLDS.index(facts.thresholds[target])]),
            "everything": sums.there / max(sums.known, 1),
            "inside": float(((ratios >= low) & (ratios <= high)).mean()),
            "images": float(len(ratios)),
        }
    return found


def _ends(ratios: NDArray[np.float64]) -> tuple[float, float]:
    """The 5th and 95th percentile, rounded outwards: of fewer than 20 images, both extremes.

    Where no image shows the target nothing is known, and the interval is wide.
    """
    if not len(ratios):
        return 0.0, 10.0
    low, high = _QUANTILES
    return (
        float(np.percentile(ratios, low, method="lower")),
        float(np.percentile(ratios, high, method="higher")),
    )


def _samples(
    dense: Dense, packs: Sequence[DensePack]
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    """Logits (n, classes) and labels (n,) of a regular sample of known pixels, by head."""
    kept: dict[str, list[tuple[NDArray[np.float32], NDArray[np.uint8]]]] = {}
    for head, logits, labels in _every(dense, packs):
        thin = logits[..., ::_EVERY, ::_EVERY].permute(0, 2, 3, 1).numpy()
        marks = labels[..., ::_EVERY, ::_EVERY].numpy()
        known = marks != IGNORE
        kept.setdefault(head, []).append((thin[known], marks[known]))
    return {
        head: (np.concatenate([a for a, _ in rows]), np.concatenate([b for _, b in rows]))
        for head, rows in kept.items()
    }


def _sums(
    dense: Dense, packs: Sequence[DensePack], targets: Targets, partners: Partners
) -> dict[str, _Sums]:
    sums: dict[str, _Sums] = {}
    for pack in packs:
        for target, (head, classes) in targets.items():
            if head not in pack.labels or head not in dense.net.config.heads:
                continue
            voices = [Voice(dense, head, classes), *partners.get(target, ())]
            names = list(dense.net.config.heads[head])
            for start in range(0, len(pack.images), _BATCH):
                images, bands = prepared(pack, slice(start, start + _BATCH)), pack.bands
                labels = torch.from_numpy(pack.labels[head][start : start + _BATCH])
                height, width = labels.shape[1:]
                with torch.inference_mode():
                    found = together(voices, images, bands)[:, :height, :width]
                truth = torch.stack([labels == names.index(name) for name in classes]).any(0)
                sums.setdefault(target, _Sums()).add(found, truth, labels != IGNORE)
    return sums


def _every(
    dense: Dense, packs: Sequence[DensePack]
) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    for pack in packs:
        yield from predictions(dense.net, pack)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(torch.from_numpy(logits).softmax(1).numpy())
