"""Scores of a classifier from its confusion matrix, with intervals, and the matrix as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from terralogue.eval.summary import Figures, interval, resamples

Floats = NDArray[np.float64]
# Above this, numbers in the cells would not be legible.
_NUMBERED = 15


@dataclass(frozen=True)
class Confusion:
    """Gold and predicted class of n items.

    Attributes:
        classes: names.
        gold: (n,) index into `classes`.
        predicted: (n,) likewise.
    """

    classes: tuple[str, ...]
    gold: NDArray[np.int64]
    predicted: NDArray[np.int64]

    @cached_property
    def matrix(self) -> NDArray[np.int64]:
        """(gold, predicted) counts."""
        size = len(self.classes)
        flat = np.bincount(self.gold * size + self.predicted, minlength=size * size)
        return flat.reshape(size, size)

    def metrics(self) -> dict[str, float]:
        """Accuracy, macro F1 and balanced accuracy, as shares."""
        return {name: float(value) for name, value in _scores(*self._counts()).items()}

    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % interval of each metric, from resampling items."""
        drawn = _scores(*self._counts(resamples(len(self.gold))))
        return {name: interval(values) for name, values in drawn.items()}

    def majority(self) -> float:
        """Accuracy of always giving the commonest class."""
        return float(np.bincount(self.gold).max() / len(self.gold))

    def by_class(self) -> dict[str, Figures]:
        """Number of items, recall (the accuracy on the class), precision and F1 of each class."""
        right, gold, predicted = self._counts()
        found: dict[str, Figures] = {}
        for i, name in enumerate(self.classes):
            found[name] = {
                "n": int(gold[i]),
                "accuracy": float(right[i] / gold[i]) if gold[i] else None,
                "precision": float(right[i] / predicted[i]) if predicted[i] else None,
                "f1": float(2 * right[i] / (gold[i] + predicted[i])) if gold[i] else None,
            }
        return found

    def _counts(self, weights: NDArray[np.float32] | None = None) -> tuple[Floats, Floats, Floats]:
        """Right, gold and predicted items of each class, (..., classes), items weighted."""
        w = np.ones(len(self.gold), np.float32) if weights is None else weights
        one = np.eye(len(self.classes), dtype=np.float32)
        gold, predicted = one[self.gold], one[self.predicted]
        right, in_gold, in_predicted = (w @ part for part in (gold * predicted, gold, predicted))
        return right.astype(float), in_gold.astype(float), in_predicted.astype(float)


def _scores(right: Floats, gold: Floats, predicted: Floats) -> dict[str, Floats]:
    """The metrics from counts (..., classes); classes without gold items do not count."""
    occurs = gold > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = np.where(occurs, 2 * right / (gold + predicted), 0)
        recall = np.where(occurs, right / gold, 0)
    count = occurs.sum(axis=-1)
    return {
        "accuracy": right.sum(axis=-1) / gold.sum(axis=-1),
        "macro_f1": f1.sum(axis=-1) / count,
        "balanced_accuracy": recall.sum(axis=-1) / count,
    }


def save_confusion(confusion: Confusion, names: Mapping[str, str], path: Path) -> None:
    """Draw the matrix as PNG: rows are gold, each adds up to 100 %.

    Args:
        confusion: counts.
        names: words for each class.
        path: PNG file.
    """
    counts = confusion.matrix
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = len(confusion.classes)
    side = 2.5 + 0.38 * size
    figure = Figure(figsize=(side + 0.8, side), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    labels = [names[name] for name in confusion.classes]
    axes.set_xticks(range(size), labels, rotation=90, fontsize=8)
    axes.set_yticks(range(size), labels, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("gold")
    if size <= _NUMBERED:
        for (row, column), value in np.ndenumerate(shares):
            colour = "white" if value > 50 else "#222222"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7,
                      color=colour)  # fmt: skip
    figure.colorbar(shown, ax=axes, label="% of the gold class", fraction=0.046, pad=0.02)
    FigureCanvasAgg(figure)
    figure.savefig(path, bbox_inches="tight")
