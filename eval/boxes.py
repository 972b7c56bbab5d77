"""How well boxes meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from terralogue.datasets.samples import Box


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, edges as continuous coordinates.

    VRSBench's own script counts pixels inclusively, which gives a little more to small boxes.
    """
    width = min(a.right, b.right) - max(a.left, b.left)
    height = min(a.bottom, b.bottom) - max(a.top, b.top)
    shared = max(width, 0.0) * max(height, 0.0)
    union = _area(a) + _area(b) - shared
    return shared / union if union > 0 else 0.0


def agreement(given: Sequence[Box], wanted: Sequence[Box]) -> float:
    """How well boxes meet those that words refer to, 0 to 1.

    Of one thing it is the overlap with the first box, as referring benchmarks count. Of several,
    boxes and things are paired for the best sum of overlaps, which is divided by the larger of both
    numbers: what is missed or made up counts as 0.
    """
    if not given or not wanted:
        return 0.0
    if len(wanted) == 1:
        return overlap(given[0], wanted[0])
    table = np.array([[overlap(a, b) for b in wanted] for a in given])
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / max(table.shape))


def _area(box: Box) -> float:
    return max(box.right - box.left, 0.0) * max(box.bottom - box.top, 0.0)
