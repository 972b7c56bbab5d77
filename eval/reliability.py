"""Whether a stated confidence holds: calibration error, accuracy by coverage, and the picture.

Expected calibration error over 15 bins of equal width (Guo et al. 2017, arXiv:1706.04599): the mean
difference between confidence and accuracy of a bin, weighed by its answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BINS: Final = 15
COVERAGE: Final = 0.8


class Bin(NamedTuple):
    """Answers of about one confidence; accuracy and mean confidence are NaN of none."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def bins(confidence: Floats, right: Flags) -> list[Bin]:
    """Answers by confidence, (n,) from 0 to 1; each bin has its upper end."""
    edges = np.linspace(0, 1, BINS + 1)
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    found = []
    for i in range(BINS):
        inside = place == i
        n = int(inside.sum())
        mean = float(confidence[inside].mean()) if n else np.nan
        share = float(right[inside].mean()) if n else np.nan
        found.append(Bin(float(edges[i]), float(edges[i + 1]), n, mean, share))
    return found


def calibration_error(confidence: Floats, right: Flags) -> float | None:
    """Expected calibration error; None of no answers."""
    n = len(confidence)
    if not n:
        return None
    return sum(b.n / n * abs(b.confidence - b.accuracy) for b in bins(confidence, right) if b.n)


def accuracy_at(confidence: Floats, right: Flags, coverage: float = COVERAGE) -> float | None:
    """Accuracy of the most confident share of answers; ties count by their mean."""
    n = len(confidence)
    kept = round(coverage * n)
    if not kept:
        return None
    edge = np.sort(confidence)[::-1][kept - 1]
    above, tied = confidence > edge, confidence == edge
    left = kept - int(above.sum())
    return float((right[above].sum() + left * right[tied].mean()) / kept)


def save_reliability(confidence: Floats, right: Flags, path: Path) -> None:
    """Draw accuracy over confidence, and how many answers there are of each, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = [each for each in bins(confidence, right) if each.n]
    figure = Figure(figsize=(4.6, 5.2), dpi=120, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    middles = [(each.low + each.high) / 2 for each in found]
    upper.bar(middles, [each.accuracy for each in found], 1 / BINS, color="#9ecae1",
              edgecolor="white")  # fmt: skip
    upper.plot([each.confidence for each in found], [each.accuracy for each in found], "o-",
               color="#08519c", markersize=4, linewidth=1)  # fmt: skip
    upper.set_ylabel("accuracy")
    upper.set_ylim(0, 1)
    upper.set_xlim(0, 1)
    error = calibration_error(confidence, right)
    upper.set_title(f"calibration error {error:.3f} in {BINS} bins" if error is not None else "")
    lower.bar(middles, [each.n for each in found], 1 / BINS, color="#bdbdbd", edgecolor="white")
    lower.set_xlabel("stated confidence")
    lower.set_ylabel("answers")
    FigureCanvasAgg(figure)
    figure.savefig(path)
