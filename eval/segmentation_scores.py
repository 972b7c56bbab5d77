"""Scores of masks from counts of pixels: pooled over images, with intervals and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.eval.summary import Figures, interval, resamples

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RIGHT, EXTRA, MISSED, REST = range(4)
"""Of the last axis of counts: true positive, false positive, false negative, true negative."""
PATCH: Final = 16
# A patch is road where more than a quarter of its pixels are: the scorer of the ETH CIL road
# segmentation task (mask_to_submission.py, foreground_threshold = 0.25).
PATCH_SHARE: Final = 0.25


def pixel_counts(found: Bools, gold: Bools, scored: Bools) -> list[int]:
    """Counts of one target in one image: RIGHT, EXTRA, MISSED, REST, of scored pixels.

    Args:
        found: bool (H, W), where the target was found.
        gold: likewise, where it is.
        scored: likewise, what counts.
    """
    hit, is_target = found & scored, gold & scored
    right = int((hit & is_target).sum())
    extra, missed = int(hit.sum()) - right, int(is_target.sum()) - right
    return [right, extra, missed, int(scored.sum()) - right - extra - missed]


def patch_counts(found: Bools, gold: Bools, scored: Bools) -> list[int]:
    """As `pixel_counts`, of whole patches of 16 x 16 pixels; one pixel not scored leaves it out."""
    shares = [_patch_means(part) for part in (found, gold, scored)]
    return pixel_counts(shares[0] > PATCH_SHARE, shares[1] > PATCH_SHARE, shares[2] == 1)


def _patch_means(mask: Bools) -> Floats:
    rows, columns = mask.shape[0] // PATCH, mask.shape[1] // PATCH
    whole = mask[: rows * PATCH, : columns * PATCH]
    means: Floats = whole.reshape(rows, PATCH, columns, PATCH).mean(axis=(1, 3))
    return means


def figures(counts: Floats) -> dict[str, Floats]:
    """IoU, F1, precision and recall from counts (..., 4); NaN where nothing bears on one."""
    right, extra, missed = (counts[..., i] for i in (RIGHT, EXTRA, MISSED))
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "iou": right / (right + extra + missed),
            "f1": 2 * right / (2 * right + extra + missed),
            "precision": right / (right + extra),
            "recall": right / (right + missed),
        }


class Scores:
    """Scores over images.

    Args:
        targets: names.
        pixels: (images, targets, 4) counts of pixels.
        patches: (images, targets, 4) counts of patches.
    """

    def __init__(self, targets: Sequence[str], pixels: Floats, patches: Floats) -> None:
        self.targets = tuple(targets)
        self.pixels = pixels
        self.patches = patches
        total = pixels.sum(axis=0)
        self._is = total[:, RIGHT] + total[:, MISSED]

    @property
    def main(self) -> str:
        """Name of the first metric."""
        return "iou" if len(self.targets) == 1 else "miou"

    def metrics(self) -> dict[str, float | None]:
        """Over all images; of several targets the means over those that occur."""
        found = self._metrics(self.pixels.sum(axis=0), self.patches.sum(axis=0))
        return {name: _or_none(float(value)) for name, value in found.items()}

    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % interval of each metric from resampling images; none of fewer than five images."""
        if len(self.pixels) < 5:
            return {}
        drawn = resamples(len(self.pixels)).astype(np.float64)
        pixels, patches = (
            np.tensordot(drawn, counts, axes=1) for counts in (self.pixels, self.patches)
        )
        found = self._metrics(pixels, patches)
        known = {name: values for name, values in found.items() if np.isfinite(values).any()}
        return {name: interval(values) for name, values in known.items()}

    def by_target(self) -> dict[str, Figures]:
        """Figures of each target: `n` images show it, and its share of the pixels scored."""
        found: dict[str, Figures] = {}
        for k, target in enumerate(self.targets):
            counts = self.pixels[:, k]
            total = counts.sum(axis=0)
            size = total.sum()
            found[target] = {
                "n": int((counts[:, RIGHT] + counts[:, MISSED] > 0).sum()),
                **{name: _or_none(float(value)) for name, value in figures(total).items()},
                "share_gold": float((total[RIGHT] + total[MISSED]) / size),
                "share_found": float((total[RIGHT] + total[EXTRA]) / size),
            }
        return found

    def baselines(self) -> dict[str, float | None]:
        """The main metric of giving every pixel the commonest answer, or the one target."""
        size = self.pixels.sum(axis=(0, 2))
        shares = self._is / np.maximum(size, 1)
        if len(self.targets) == 1:
            share = float(shares[0])
            return {"majority": share if share > 0.5 else 0.0, "all_target": share}
        return {"majority": float(shares.max() / max((self._is > 0).sum(), 1))}

    def _metrics(self, pixels: Floats, patches: Floats) -> dict[str, Floats]:
        """From counts (..., targets, 4)."""
        occurs = self._is > 0 if (self._is > 0).any() else np.ones(len(self._is), np.bool_)
        means = {name: _mean(values[..., occurs]) for name, values in figures(pixels).items()}
        found = {self.main: means.pop("iou"), **means}
        if "road" in self.targets:
            road = patches[..., self.targets.index("road"), :]
            found["patch_f1"] = figures(road)["f1"]
        return found


def _mean(values: Floats) -> Floats:
    """Mean over the last axis, without what is undefined."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=-1)
    count = known.sum(axis=-1)
    mean: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
