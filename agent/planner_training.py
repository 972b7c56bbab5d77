"""`terralogue train planner`: fit the heads of the embedded planner on the vague-query set.

    terralogue train planner [--data DIR] [--out FILE]

Acts are learned from the labelled examples (`examples.jsonl`, each left out of its own likeness)
and from the training part; outcomes from the training part alone, where inputs are declared. The
weights that put both together, the temperature of the confidence and the limit under which the
planner asks are chosen on the validation part. The test part is never read.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from terralogue.agent.acts import fit_examples
from terralogue.agent.batch import read_item
from terralogue.agent.plan import Inputs
from terralogue.agent.planner_choice import Candidate, candidates, choose, weigh
from terralogue.agent.planner_features import (
    Asked,
    Embed,
    Floats,
    features,
    joined,
    likeness_of,
)
from terralogue.agent.planner_heads import FILE, Decision, Head, Heads, as_arrays
from terralogue.agent.questions import Question, load_examples, read
from terralogue.agent.slots import completed
from terralogue.datasets.errors import InputError
from terralogue.datasets.vague_seeds import FOLDER
from terralogue.vlm.minilm import encode

SEED: Final = 0
# Inverse strength of the ridge, tried on the validation part: 0.3, 1 and 4.
STRENGTH: Final = 1.0
_WEIGHTS: Final = (0.0, 0.25, 0.5, 1.0, 2.0)
_TEMPERATURES: Final = (0.7, 1.0, 1.4, 2.0, 2.8)
_LIMITS: Final = (0.0, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)


@dataclass(frozen=True)
class Item:
    """One item of the set, read."""

    asked: Asked
    question: Question
    inputs: Inputs
    act: str
    gold: Mapping[str, Any]

    @property
    def outcome(self) -> str:
        """What the author wants, as `planner_choice.outcome_of` writes it."""
        gold = self.gold
        detail = gold["tool"] or gold["missing_slot"] or gold["reason"]
        return f"{gold['route']}:{detail}" if detail else str(gold["route"])


def load_items(path: Path) -> list[Item]:
    """Items of one part.

    Raises:
        InputError: the file is missing, or a line is not in the schema.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path} cannot be read; make it with python -m "
                         "terralogue.datasets.vague_build.") from error  # fmt: skip
    return [_item(json.loads(line), f"{path} line {n}") for n, line in enumerate(lines, start=1)]


def _item(row: Mapping[str, Any], where: str) -> Item:
    text, inputs = read_item(row, where)
    question = read(text)
    return Item(
        Asked(completed(question, inputs), inputs), question, inputs, row["act"], row["gold"]
    )


def fit_head(x: Floats, labels: Sequence[str], strength: float = STRENGTH) -> Head:
    """Multinomial logistic regression with a ridge.

    Args:
        x: float32 (n, features).
        labels: of the n rows, three different ones at least.
        strength: inverse weight of the ridge.
    """
    from sklearn.linear_model import LogisticRegression  # loads seconds; training only

    model = LogisticRegression(C=strength, max_iter=150, tol=1e-3, random_state=SEED).fit(
        x, list(labels)
    )
    return Head(
        tuple(map(str, model.classes_)),
        np.asarray(model.coef_.T, np.float32),
        np.asarray(model.intercept_, np.float32),
    )


def fit_heads(items: Sequence[Item], embed: Embed = encode) -> Heads:
    """Fit both heads on items of the training part, and acts on the labelled examples as well.

    Args:
        items: of the training part.
        embed: the sentence encoder.
    """
    rows = load_examples()
    known = features([Asked(read(row["query"]), None) for row in rows], fit_examples()[1], embed)
    asked = [item.asked for item in items]
    likeness = likeness_of([a.question for a in asked])
    seen = features(asked, likeness, embed)
    labels = [row["act"] for row in rows] + [item.act for item in items]
    return Heads(
        fit_head(np.concatenate([joined(known), joined(seen)]), labels),
        fit_head(joined(seen, crossed=True), [item.outcome for item in items]),
        Decision(),
        embed,
    )


def decide(heads: Heads, items: Sequence[Item]) -> tuple[Decision, dict[str, float]]:
    """Choose on the validation part how the heads decide.

    Returns:
        The decision, and its figures: route accuracy, log loss of the confidence, share asked.
    """
    judged = [candidates(item.question, item.inputs, heads) for item in items]
    weight = max(
        _WEIGHTS, key=lambda w: (_right(judged, items, Decision(w, 1.0, 0.0)), -abs(w - 0.5))
    )
    temperature = min(
        _TEMPERATURES, key=lambda t: _log_loss(judged, items, Decision(weight, t, 0.0))
    )
    limit = _LIMITS[0]
    for at in _LIMITS:
        # Asking is for where it costs nothing: the first limit that loses accuracy ends the search.
        if _right(judged, items, Decision(weight, temperature, at)) < _right(
            judged, items, Decision(weight, temperature, 0.0)
        ):
            break
        limit = at
    chosen = Decision(weight, temperature, limit)
    return chosen, {
        "route_accuracy": _right(judged, items, chosen),
        "log_loss": _log_loss(judged, items, chosen),
    }


Judged = tuple[list[tuple[Candidate, float]], dict[str, float]]


def _right(judged: Sequence[Judged], items: Sequence[Item], decision: Decision) -> float:
    """Share of items with an acceptable route."""
    hits = [
        choose(weigh(*j, decision), decision).route in item.gold["acceptable_routes"]
        for j, item in zip(judged, items, strict=True)
    ]
    return float(np.mean(hits))


def _log_loss(judged: Sequence[Judged], items: Sequence[Item], decision: Decision) -> float:
    """Mean log loss of the confidence that the route is right."""
    losses = []
    for j, item in zip(judged, items, strict=True):
        plan = choose(weigh(*j, decision), replace(decision, ask_below=0.0))
        sure = min(max(plan.confidence or 0.0, 1e-3), 1 - 1e-3)
        right = plan.route in item.gold["acceptable_routes"]
        losses.append(-np.log(sure if right else 1 - sure))
    return float(np.mean(losses))


def train(folder: Path) -> tuple[Heads, dict[str, float]]:
    """Fit on the training part and decide on the validation part; the figures of the latter."""
    parts = {part: load_items(folder / f"{part}.jsonl") for part in ("train", "val")}
    heads = fit_heads(parts["train"])
    decision, figures = decide(heads, parts["val"])
    return replace(heads, decision=decision), figures


def main(argv: Sequence[str]) -> int:
    """Train, store, and print the figures of the validation part; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="terralogue train planner", description="Fit the heads of the embedded planner."
    )
    parser.add_argument("--data", type=Path, default=FOLDER, metavar="DIR",
                        help="folder with train.jsonl and val.jsonl")  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=FILE, metavar="FILE", help="default: %(default)s"
    )
    options = parser.parse_args(argv)
    heads, figures = train(options.data)
    arrays: dict[str, Any] = as_arrays(heads)
    np.savez_compressed(options.out, **arrays)
    decided = itertools.chain(vars(heads.decision).items(), figures.items())
    sys.stdout.write("".join(f"  {name:<16} {value:.3f}\n" for name, value in decided))
    return 0
