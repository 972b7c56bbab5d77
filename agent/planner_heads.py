"""The trained heads of the embedded planner: how likely each act and each outcome is.

A head is a matrix on the features of a question and its inputs. An *act* is what the person wants
done (`templates.py` has one template each); an *outcome* is a route with its tool, missing slot or
reason. Fitted by `terralogue train planner`; ships as `planner.npz` beside this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from terralogue.agent.acts import act_model
from terralogue.agent.planner_features import Asked, Embed, Floats, features, joined
from terralogue.agent.words import HERE
from terralogue.datasets.errors import InputError
from terralogue.vlm.minilm import encode

FILE: Final = HERE / "planner.npz"


@dataclass(frozen=True)
class Head:
    """Multinomial logistic regression.

    Attributes:
        labels: k classes.
        weights: float32 (features, k).
        bias: float32 (k,).
    """

    labels: tuple[str, ...]
    weights: Floats
    bias: Floats

    def probabilities(self, x: Floats) -> Floats:
        """Probability of every class, float32 (n, k), for features float32 (n, features)."""
        logits = x @ self.weights + self.bias
        grown = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True), np.float32)


@dataclass(frozen=True)
class Decision:
    """How the heads are put together, chosen on the validation part.

    Attributes:
        outcome_weight: of the outcome head's log probability beside the act head's.
        temperature: that makes the share of a route a calibrated probability.
        ask_below: confidence under which the planner asks instead.
    """

    outcome_weight: float = 0.5
    temperature: float = 1.0
    ask_below: float = 0.0


@dataclass(frozen=True)
class Heads:
    """Both heads, how they decide, and the encoder that they were fitted on."""

    act: Head
    outcome: Head
    decision: Decision
    embed: Embed = encode

    def judge(self, asked: Sequence[Asked]) -> list[tuple[dict[str, float], dict[str, float]]]:
        """Probabilities of acts and of outcomes, the likeliest first, for every question."""
        likeness = act_model().scores([a.question for a in asked])
        parts = features(asked, likeness, self.embed)
        acts = self.act.probabilities(joined(parts))
        outcomes = self.outcome.probabilities(joined(parts, crossed=True))
        return [
            (_ranked(self.act.labels, a), _ranked(self.outcome.labels, o))
            for a, o in zip(acts, outcomes, strict=True)
        ]


def _ranked(labels: Sequence[str], values: Floats) -> dict[str, float]:
    order = np.argsort(-values)
    return {labels[i]: float(values[i]) for i in order}


def as_arrays(heads: Heads) -> dict[str, NDArray[Any]]:
    """Heads as small arrays: weights in 8 bits, one step for each class."""
    arrays: dict[str, NDArray[Any]] = {
        "decision": np.array(
            [heads.decision.outcome_weight, heads.decision.temperature, heads.decision.ask_below]
        )
    }
    for name, head in (("act", heads.act), ("outcome", heads.outcome)):
        step = np.abs(head.weights).max(axis=0) / 127
        arrays[f"{name}_labels"] = np.array(head.labels)
        arrays[f"{name}_bytes"] = np.round(head.weights / step).astype(np.int8)
        arrays[f"{name}_step"] = step.astype(np.float32)
        arrays[f"{name}_bias"] = head.bias.astype(np.float32)
    return arrays


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Heads:
    """Heads from what `as_arrays` gave."""
    heads = [
        Head(
            tuple(map(str, arrays[f"{name}_labels"])),
            arrays[f"{name}_bytes"].astype(np.float32) * arrays[f"{name}_step"],
            arrays[f"{name}_bias"],
        )
        for name in ("act", "outcome")
    ]
    return Heads(heads[0], heads[1], Decision(*map(float, arrays["decision"])))


def load_heads(path: Path) -> Heads:
    """Read heads from a file.

    Raises:
        InputError: the file is missing or is no file of heads.
    """
    try:
        with np.load(path) as arrays:
            return from_arrays(dict(arrays))
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} holds no trained planner; fit one with `terralogue train planner`."
        ) from error


@cache
def shipped() -> Heads:
    """The heads of the package."""
    return load_heads(FILE)
