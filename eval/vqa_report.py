"""The report on questions that were answered: figures, predictions, plots and a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.samples import Samples, VQASample
from terralogue.eval.answerers import Answerer
from terralogue.eval.blind import Blind, Known, majority
from terralogue.eval.confusion import Confusion, save_confusion
from terralogue.eval.page import WORST, Case, write_page
from terralogue.eval.reliability import accuracy_at, calibration_error, save_reliability
from terralogue.eval.running import Answers
from terralogue.eval.summary import Figures, Report, share
from terralogue.eval.vqa_scores import (
    Mark,
    Question,
    Table,
    count_figures,
    intervals,
    mark,
    table,
)
from terralogue.vlm.vlm import Reading

_SHOWN_CLASSES: Final = 14
_OTHER, _UNREAD = "other answers", "not read"


def known(question: Question) -> Known:
    """A question as baselines know it."""
    sample = question.sample
    text = " ".join((sample.question, *sample.options))
    return Known(text, question.kind, sample.place, question.gold)


def evaluate(
    answerer: Answerer,
    samples: Samples[VQASample],
    questions: Sequence[Question],
    answers: Answers,
    blind: Blind,
    sha256: str,
    facts: Mapping[str, Any],
) -> Report:
    """Score answers.

    Args:
        answerer: who gave them.
        samples: the questions as read.
        questions: the same with their forms.
        answers: in the same order.
        blind: of the question-only baseline, likewise.
        sha256: of the data.
        facts: for the summary, with the `rule` of `mark`.
    """
    readings = answers.readings
    marks = [
        mark(q, reading.text, facts["rule"]) for q, reading in zip(questions, readings, strict=True)
    ]
    usual = majority([known(each) for each in questions])
    golds = [each.gold for each in questions]
    model = _table(questions, [each.right for each in marks])
    guessed = _table(questions, [a == b for a, b in zip(blind.answers, golds, strict=True)])
    constant = _table(questions, [a == b for a, b in zip(usual, golds, strict=True)])
    confidence, right = _stated(readings, marks)
    plots: dict[str, Any] = {"confusion.png": partial(_confusion, questions, marks)}
    if len(confidence):
        plots["reliability.png"] = partial(save_reliability, confidence, right)
    report = Report(
        task="vqa",
        n=len(questions),
        metrics={
            "accuracy": float(model.overall()),
            "average_accuracy": float(model.average()),
            **dict(zip(model.kinds, map(float, model.by_kind()), strict=True)),
            **count_figures(questions, marks),
            "above_question_only": float(model.overall() - guessed.overall()),
            "ece": calibration_error(confidence, right),
            "accuracy_at_80": accuracy_at(confidence, right),
            "not_sure": share(not reading.sure for reading in readings),
            "accuracy_sure": share(
                m.right for m, reading in zip(marks, readings, strict=True) if reading.sure
            ),
        },
        units="share",
        model=answerer.title,
        data_sha256=sha256,
        predictions=_predictions(questions, answers, marks, blind),
        per_type=_per_type(questions, marks, model, guessed, constant),
        baselines={
            "majority": float(constant.overall()),
            "question_only": float(guessed.overall()),
        },
        interval_95=intervals(model, guessed),
        parse_rate=float(np.mean([each.said is not None for each in marks])),
        details={
            "dataset": samples.dataset,
            "n_pictures": len({each.sample.place for each in questions}),
            "counts": "buckets" if questions[0].buckets else "raw",
            "baselines_average": {
                "majority": float(constant.average()),
                "question_only": float(guessed.average()),
            },
            "question_only_learnt_from": blind.learnt_from,
            "ece_bins": "15 of equal width",
            **facts,
        },
        plots=plots,
        done=answers.done,
    )
    heading = "Wrong answers, the most confident first"
    worst = _worst(questions, readings, marks)
    page = partial(write_page, report.summary, list(plots), worst, heading)
    return report.with_plots({"report.html": page})


def _table(questions: Sequence[Question], right: Sequence[bool]) -> Table:
    return table([q.kind for q in questions], [q.sample.place for q in questions], right)


def _stated(
    readings: Sequence[Reading], marks: Sequence[Mark]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidences (n,) and whether the answers were right, of those that state one."""
    pairs = [
        (reading.confidence, m.right)
        for reading, m in zip(readings, marks, strict=True)
        if reading.confidence is not None
    ]
    return np.array([p for p, _ in pairs], float), np.array([ok for _, ok in pairs], bool)


def _per_type(
    questions: Sequence[Question],
    marks: Sequence[Mark],
    model: Table,
    guessed: Table,
    constant: Table,
) -> dict[str, Figures]:
    found: dict[str, Figures] = {}
    for i, kind in enumerate(model.kinds):
        mine = [(q, m) for q, m in zip(questions, marks, strict=True) if q.kind == kind]
        found[kind] = {
            "n": len(mine),
            "accuracy": float(model.by_kind()[i]),
            "majority": float(constant.by_kind()[i]),
            "question_only": float(guessed.by_kind()[i]),
            "parse_rate": share(m.said is not None for _, m in mine),
            **count_figures([q for q, _ in mine], [m for _, m in mine]),
        }
    return found


def _predictions(
    questions: Sequence[Question], answers: Answers, marks: Sequence[Mark], blind: Blind
) -> list[dict[str, Any]]:
    rows = []
    for q, reading, seconds, m, guess in zip(
        questions, answers.readings, answers.seconds, marks, blind.answers, strict=True
    ):
        rows.append(
            {
                "id": q.sample.name,
                "image_id": q.sample.place,
                "type": q.kind,
                "question": q.sample.question,
                "prediction_raw": reading.text,
                "prediction_parsed": m.said,
                "gold": q.sample.answer,
                "parse_ok": m.said is not None,
                "correct": m.right,
                "confidence": reading.confidence,
                "sure": reading.sure,
                "doubt": reading.doubt,
                "alternatives": [list(each) for each in reading.alternatives],
                "question_only": guess,
                "latency_s": round(seconds, 4),
            }
        )
    return rows


def _worst(
    questions: Sequence[Question], readings: Sequence[Reading], marks: Sequence[Mark]
) -> list[Case]:
    """Wrong answers, the most confident first."""
    places = [i for i, m in enumerate(marks) if not m.right]
    places.sort(key=lambda i: -(readings[i].confidence or 0.0))
    # The worst of each picture comes before the second of any.
    first = {questions[i].sample.place: i for i in reversed(places)}
    chosen = sorted(places, key=lambda i: first[questions[i].sample.place] != i)[:WORST]
    cases = []
    for i in chosen:
        sample, confidence = questions[i].sample, readings[i].confidence
        note = f"{questions[i].kind}, {sample.place}"
        if confidence is not None:
            note += f", confidence {confidence:.2f}"
        said = readings[i].text
        cases.append(Case(sample.pictures, sample.question, said, sample.answer, note))
    return cases


def _confusion(questions: Sequence[Question], marks: Sequence[Mark], path: Path) -> None:
    """Draw the commonest right answers against what was answered."""
    counts = Counter(q.gold for q in questions)
    common = [gold for gold, _ in counts.most_common(_SHOWN_CLASSES)]
    classes = (*common, _OTHER, _UNREAD)
    index = {name: i for i, name in enumerate(classes)}
    gold = np.array([index.get(q.gold, index[_OTHER]) for q in questions])
    given = np.array(
        [index[_UNREAD] if m.given is None else index.get(m.given, index[_OTHER]) for m in marks]
    )
    save_confusion(Confusion(classes, gold, given), {name: name for name in classes}, path)
