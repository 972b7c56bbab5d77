"""How well a taught class can be expected to do, judged on examples that its head did not see.

Examples of one scene never lie on both sides: a head that has seen a scene recognises the scene.
Every file counts as a scene of its own, so tiles that were cut from one scene into separate files
are taken for independent, and the score for better than it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Values = NDArray[np.float64]
Flags = NDArray[np.bool_]
Fit = Callable[[Vectors, Flags], Callable[[Vectors], Values]]

Scheme = Literal["across scenes", "within scenes", "none"]

_FOLDS: Final = 5
# Fewer examples than this are left out one by one.
_FEW: Final = 10
# 97.5 % quantile of the normal distribution.
_Z: Final = 1.959964


@dataclass(frozen=True)
class Validation:
    """Cross-validated score of a taught class.

    Attributes:
        scheme: "across scenes": tested on scenes that were not learnt from. "within scenes": one
            side comes from a single scene, so that examples were left out but scenes were not.
            "none": too few examples to leave one out.
        folds: how often a head was fitted; 0 without a score.
        n: examples tested.
        balanced_accuracy: mean of the shares found with and without the class; None without score.
        interval: 95 %, of the balanced accuracy.
        auc: chance that an example with the class scores above one without.
    """

    scheme: Scheme
    folds: int = 0
    n: int = 0
    balanced_accuracy: float | None = None
    interval: tuple[float, float] | None = None
    auc: float | None = None

    def sentence(self) -> str:
        """For people."""
        if self.balanced_accuracy is None or self.interval is None:
            return (
                "No score: there are too few examples to test on. Give at least two with and two "
                "without, from different scenes."
            )
        low, high = self.interval
        text = (
            f"Cross-validated on {self.n} examples ({self.folds} folds): balanced accuracy "
            f"{self.balanced_accuracy:.2f} (95 %: {low:.2f} to {high:.2f}), AUC {self.auc:.2f}."
        )
        if self.scheme == "within scenes":
            text += (
                " One side comes from a single scene, so this says little about other scenes; "
                "add examples from more."
            )
        if self.n < 2 * _FEW:
            text += " So few examples leave the score uncertain."
        return text


def cross_validate(
    vectors: Vectors, flags: Flags, scenes: Sequence[str], fit: Fit
) -> tuple[Validation, Values]:
    """Score heads on examples that they were not fitted on.

    Args:
        vectors: (n, d).
        flags: (n,) whether an example shows the class; both occur.
        scenes: (n,) which scene an example is from.
        fit: fits a head on some examples and gives its decision values on others.

    Returns:
        The score, and the decision value of each example (n,); NaN without a score.
    """
    groups = np.unique(np.asarray(scenes), return_inverse=True)[1]
    scheme: Scheme = "across scenes"
    if _fewest(flags, groups) < 2:
        scheme, groups = "within scenes", np.arange(len(flags))
    values = np.full(len(flags), np.nan)
    if _fewest(flags, groups) < 2:
        return Validation("none"), values
    folds = list(_folds(flags, groups))
    for test in folds:
        values[test] = fit(vectors[~test], flags[~test])(vectors[test])
    balanced, interval = _balanced_accuracy(values > 0, flags, groups)
    auc = _auc(values[flags], values[~flags])
    return Validation(scheme, len(folds), len(flags), balanced, interval, auc), values


def _fewest(flags: Flags, groups: NDArray[np.int64]) -> int:
    """Number of groups on the side that has fewer."""
    return min(len(np.unique(groups[flags])), len(np.unique(groups[~flags])))


def _folds(flags: Flags, groups: NDArray[np.int64]) -> Iterator[Flags]:
    """Test examples of each fold; the others always hold both sides."""
    from sklearn.model_selection import StratifiedGroupKFold

    if len(flags) >= _FEW and _fewest(flags, groups) >= _FOLDS:
        splitter = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
        tests = [np.isin(np.arange(len(flags)), test)
                 for _, test in splitter.split(flags, flags, groups)]  # fmt: skip
        if all(len(np.unique(flags[~test])) == 2 for test in tests):
            yield from tests
            return
    # Leaving out one group cannot empty a side that has two.
    for group in np.unique(groups):
        yield groups == group


def _balanced_accuracy(
    found: Flags, flags: Flags, groups: NDArray[np.int64]
) -> tuple[float, tuple[float, float]]:
    """Mean of the two sides' shares, and its interval from their Wilson intervals.

    They are combined by adding up the squared distances (Newcombe 1998, doi:10.1002/(SICI)
    1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I), which stays honest where every answer is
    right. Examples of one scene count as one, since they are not independent.
    """
    shares, below, above = [], 0.0, 0.0
    for side in (True, False):
        members = flags == side
        share = float((found[members] == side).mean())
        low, high = wilson(share, len(np.unique(groups[members])))
        shares.append(share)
        below += (share - low) ** 2
        above += (high - share) ** 2
    middle = sum(shares) / 2
    return middle, (max(0.0, middle - below**0.5 / 2), min(1.0, middle + above**0.5 / 2))


def wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share seen in n draws (Wilson 1927, doi:10.2307/2276774)."""
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + (_Z / (2 * n)) ** 2)
    return max(0.0, centre - half), min(1.0, centre + half)


def _auc(yes: Values, no: Values) -> float:
    differences = np.sign(yes[:, None] - no[None, :])
    return float((differences.mean() + 1) / 2)
