"""Water that the published rule is sure of, beside what a network says."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from terralogue.datasets.dense_slots import SLOTS
from terralogue.tools import rules
from terralogue.tools.baselines import Condition, Rule

Floats = NDArray[np.float32]

RULE: Final = replace(rules.MNDWI, conditions=(Condition("MNDWI", 0.25),))
"""`rules.MNDWI` from 0.25: at 0 haze makes shadows of a winter city pass for water."""
PRECISION: Final = 0.97
"""Share of what the rule finds on the chips of `water_s2l8` that their masks call water."""

TOUCHING: Final = 0.88
"""The same of what `rules.MNDWI` finds and the network overlooks, beside what it is sure of."""


def reflectance(planes: Floats, name: str) -> Floats:
    """A slot (…, slots, H, W) in reflectance (…, H, W)."""
    return np.asarray(((planes[..., SLOTS.index(name), :, :] + 1) / 2.5) ** 2, np.float32)


def rule_water(planes: Floats, rule: Rule = RULE) -> NDArray[np.bool_]:
    """Where a rule for water holds; slots G, N and S1 are needed."""
    found = rule.holds({name: reflectance(planes, name) for name in ("G", "N", "S1")})
    return np.asarray(found, np.bool_)


def with_rule(likely: Floats, planes: Floats) -> Floats:
    """Probability of water (…, H, W), at least that of the rule where it holds.

    A network overlooks streams a pixel or two wide, which the rule finds.
    """
    return np.where(rule_water(planes), np.maximum(likely, np.float32(PRECISION)), likely)


def with_touching(likely: Floats, planes: Floats, threshold: float) -> Floats:
    """Probability of water (…, H, W), at least TOUCHING where the rule finds it beside sure water.

    So shores and streams of mixed pixels count, and shadows that lie by themselves do not.
    """
    sure = likely >= threshold
    beside = binary_dilation(sure, np.ones((*(1,) * (sure.ndim - 2), 3, 3), np.bool_))
    found = beside & rule_water(planes, rules.MNDWI)
    return np.where(found, np.maximum(likely, np.float32(TOUCHING)), likely)
