"""Scores of answers to questions: by type, on average, with intervals clustered by picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.samples import VQASample
from terralogue.eval.answer_forms import (
    Form,
    answer_class,
    as_number,
    form_of,
    form_of_type,
    normalised,
    read_answer,
)
from terralogue.eval.summary import Figures, interval, resamples

Floats = NDArray[np.float64]
Rule = Literal["exact", "vrsbench"]

RULES: Final[tuple[Rule, ...]] = ("exact", "vrsbench")
NO_TYPE: Final = "untyped"


@dataclass(frozen=True)
class Question:
    """A question with its right answer in the form that it asks for.

    Attributes:
        sample: as the data set states it.
        form: what an answer has to be.
        said: the right answer in that form.
        buckets: whether counts are compared by RSVQA's classes.
    """

    sample: VQASample
    form: Form
    said: str
    buckets: bool

    @property
    def kind(self) -> str:
        """Type of question."""
        return self.sample.kind or NO_TYPE

    @property
    def gold(self) -> str:
        """Class of the right answer."""
        return answer_class(self.said, self.form, buckets=self.buckets)


@dataclass(frozen=True)
class Mark:
    """An answer that was scored.

    Attributes:
        said: what it says, in the form of the question; None where it cannot be read.
        given: its class; None likewise.
        right: whether it is that of the right answer.
    """

    said: str | None
    given: str | None
    right: bool


def questions_of(samples: Sequence[VQASample], *, buckets: bool) -> list[Question]:
    """Bring the right answers into the forms of their types."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        if not sample.options:
            by_kind[sample.kind].append(sample.answer)
    shared = {kind: form_of_type(golds) for kind, golds in by_kind.items() if kind}
    found = []
    for sample in samples:
        form = form_of(sample.answer, sample.options)
        if not sample.options:
            form = shared.get(sample.kind) or form
        said = read_answer(sample.answer, form, sample.options)
        if said is None:
            # A slip in the data, or a question of another form than others of its type.
            form = form_of(sample.answer, sample.options)
            said = read_answer(sample.answer, form, sample.options) or normalised(sample.answer)
        found.append(Question(sample, form, said, buckets))
    return found


def mark(question: Question, answer: str, rule: Rule = "exact") -> Mark:
    """Score an answer.

    Args:
        question: with its right answer.
        answer: as the model gave it.
        rule: "exact" compares what was read. "vrsbench" is that benchmark's (compute_metrics.ipynb
            of github.com/lx709/VRSBench, without its judge): right if the right answer occurs in
            the answer, both in lower case.
    """
    said = read_answer(answer, question.form, question.sample.options)
    given = None
    if said is not None:
        given = answer_class(said, question.form, buckets=question.buckets)
    if rule == "vrsbench":
        gold = question.sample.answer.casefold().strip()
        return Mark(said, given, gold in answer.casefold())
    return Mark(said, given, given == question.gold)


def count_figures(questions: Sequence[Question], marks: Sequence[Mark]) -> Figures:
    """Counts: exact, by RSVQA's classes, and mean absolute error of those that were read."""
    pairs = [(q, m) for q, m in zip(questions, marks, strict=True) if q.form == "count"]
    if not pairs:
        return {}
    exact = [m.said == q.said for q, m in pairs]
    classed = [
        m.said is not None
        and answer_class(m.said, "count", buckets=True)
        == answer_class(q.said, "count", buckets=True)
        for q, m in pairs
    ]
    numbers = [(as_number(q.said), as_number(m.said)) for q, m in pairs]
    errors = [abs(a - b) for a, b in numbers if a is not None and b is not None]
    return {
        "count_raw": float(np.mean(exact)),
        "count_buckets": float(np.mean(classed)),
        "count_mae": float(np.mean(errors)) if errors else None,
    }


@dataclass(frozen=True)
class Table:
    """Right answers by type and picture, of which all figures and intervals follow.

    Attributes:
        kinds: types of questions, in alphabetic order.
        n: (types, pictures) questions.
        right: (types, pictures) right answers.
    """

    kinds: tuple[str, ...]
    n: Floats
    right: Floats

    def overall(self, weights: NDArray[np.float32] | None = None) -> Floats:
        """Share of right answers: (), or (rounds,) with weights (rounds, pictures)."""
        n, right = self._sums(weights)
        return np.asarray(right.sum(axis=-1) / n.sum(axis=-1))

    def by_kind(self, weights: NDArray[np.float32] | None = None) -> Floats:
        """The same of each type: (..., types); NaN of a type that was not drawn."""
        n, right = self._sums(weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(right / n)

    def average(self, weights: NDArray[np.float32] | None = None) -> Floats:
        """Mean over types."""
        return np.asarray(np.nanmean(self.by_kind(weights), axis=-1))

    def _sums(self, weights: NDArray[np.float32] | None) -> tuple[Floats, Floats]:
        if weights is None:
            return self.n.sum(axis=1), self.right.sum(axis=1)
        return weights @ self.n.T, weights @ self.right.T


def table(kinds: Sequence[str], places: Sequence[str], right: Sequence[bool]) -> Table:
    """Count right answers by type and picture."""
    named = tuple(sorted(set(kinds)))
    index = {kind: i for i, kind in enumerate(named)}
    pictures = {place: i for i, place in enumerate(dict.fromkeys(places))}
    n = np.zeros((len(named), len(pictures)))
    hits = np.zeros_like(n)
    for kind, place, ok in zip(kinds, places, right, strict=True):
        n[index[kind], pictures[place]] += 1
        hits[index[kind], pictures[place]] += ok
    return Table(named, n, hits)


def intervals(model: Table, blind: Table) -> Mapping[str, tuple[float, float]]:
    """95 % intervals from resampling pictures, each with all its questions.

    Also of the difference to the blind answers on the same draws. None of a single picture.
    """
    if model.n.shape[1] < 2:
        return {}
    weights = resamples(model.n.shape[1])
    overall, by_kind = model.overall(weights), model.by_kind(weights)
    found = {
        "accuracy": interval(overall),
        "average_accuracy": interval(model.average(weights)),
        "above_question_only": interval(overall - blind.overall(weights)),
    }
    apart = by_kind - blind.by_kind(weights)
    for i, kind in enumerate(model.kinds):
        found[kind] = interval(by_kind[:, i])
        found[f"{kind}_above_question_only"] = interval(apart[:, i])
    return found
