"""Questions about pictures, answered and scored strictly, beside what needs no picture.

    terralogue eval vqa --data rsvqa_hr --split own:test --out out/hr
    terralogue eval vqa --data VRSBench_EVAL_vqa.json --model openai:http://localhost:8000/v1#qwen

`accuracy` is the share of right answers over all questions, `average_accuracy` the mean over types,
and each type stands under its own name. An answer is right if it says the same as the right answer
once both are in the form that the question asks for; see `answer_forms.py`. One that cannot be read
in that form ("yes and no", nothing at all) is wrong and lowers `parse_rate`. Areas are compared by
RSVQA's classes, as published, and counts by their value; in RSVQA-LR, whose published scores use
classes, by those (`--counts`). Both ways are always given, with the mean absolute error.

Answers that a model is not sure of are scored like others; `not_sure` is their share. `ece` and
`accuracy_at_80` are of the answers that state a confidence; see `reliability.py`. Baselines: see
`blind.py`; intervals come from resampling pictures, each with all its questions.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from terralogue.datasets.errors import EOError
from terralogue.datasets.registry import read_vqa
from terralogue.datasets.samples import ALL, Samples, VQASample
from terralogue.eval.asks import asks_of
from terralogue.eval.blind import Blind, question_only
from terralogue.eval.inputs import add_answer_options, data_sha256
from terralogue.eval.running import answerer_of, ask_all
from terralogue.eval.summary import Report
from terralogue.eval.vqa_report import evaluate, known
from terralogue.eval.vqa_scores import RULES, Question, mark, questions_of

# Data sets whose published scores put counts into classes.
_CLASSED: Final = frozenset({"rsvqa_lr"})
# Nine million rows, of which only those of one split are read.
_BY_SPLIT: Final = ".parquet"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this task."""
    add_answer_options(parser)
    add = parser.add_argument
    add("--train", metavar="PATH", help="data of the same kind that the question-only baseline "
        "learns from (default: other pictures of the same data)")  # fmt: skip
    add("--counts", choices=("raw", "buckets"), help="how counts are compared (default: buckets "
        "for RSVQA-LR, raw for others)")  # fmt: skip
    add("--rule", choices=RULES, default="exact", help="exact (default), or vrsbench: the right "
        "answer occurs in the answer")  # fmt: skip


def run(options: argparse.Namespace) -> Report:
    """Score what the options name."""
    chosen = read_vqa(options.data, options.split, options.dataset)
    samples = chosen.limited(options.limit)
    answerer = answerer_of(options, "qa")
    buckets = counts_in_classes(options.counts, samples.dataset)
    questions = questions_of(samples.items, buckets=buckets)
    asks = asks_of(samples.items, options.sensor)
    sha256 = data_sha256(samples)
    answers = ask_all(
        answerer,
        asks,
        lambda i, reading: float(mark(questions[i], reading.text, options.rule).right),
        options,
        task="vqa",
        data_sha256=sha256,
        corruption=options.corrupt,
    )
    blind = blind_answers(questions, *others(options, samples))
    facts = {**answers.facts(answerer, options.corrupt), "rule": options.rule}
    return evaluate(answerer, samples, questions, answers, blind, sha256, facts)


def counts_in_classes(counts: str | None, dataset: str | None) -> bool:
    """Whether counts are compared by RSVQA's classes: as told, else as published for the data."""
    return counts == "buckets" or (counts is None and dataset in _CLASSED)


def others(
    options: argparse.Namespace, scored: Samples[VQASample]
) -> tuple[Samples[VQASample] | None, str]:
    """What the question-only baseline learns from, and what that is in words.

    Raises:
        InputError: --train cannot be read.
    """
    if options.train:
        return read_vqa(options.train, ALL, options.dataset), str(options.train)
    if scored.annotations is not None and scored.annotations.suffix == _BY_SPLIT:
        return None, "other splits were not read"
    try:
        return read_vqa(options.data, ALL, options.dataset), "the rest of the data"
    except EOError as error:
        return None, f"the rest of the data cannot be read: {error}"


def blind_answers(
    questions: Sequence[Question], rest: Samples[VQASample] | None, source: str
) -> Blind:
    """Answers of the question-only baseline."""
    places = {each.sample.place for each in questions}
    learnable = [s for s in rest.items if s.place not in places] if rest is not None else []
    if rest is not None and not learnable:
        source = "the data have no other pictures"
    buckets = questions[0].buckets
    return question_only(
        [known(each) for each in questions],
        [known(each) for each in questions_of(learnable, buckets=buckets)],
        source,
    )
