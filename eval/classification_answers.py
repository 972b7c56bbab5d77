"""The class of a scene from what a vision-language model answers.

    terralogue eval classification --data EuroSAT --split own:test --model vlm:embedded

The model is asked for the class with the class names, made readable, as options, and its answer has
to name one of them: by its letter, by its words, or in a sentence that names no other. An answer
that names none counts as a class of its own, which is never right.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from functools import partial
from string import ascii_uppercase
from typing import Any, Final

import numpy as np

from terralogue.datasets.samples import LabelSample, Samples
from terralogue.eval.answer_forms import normalised, read_answer
from terralogue.eval.answerers import Answerer, ByVLM
from terralogue.eval.asks import Ask
from terralogue.eval.confusion import Confusion, save_confusion
from terralogue.eval.inputs import data_sha256
from terralogue.eval.page import WORST, Case, write_page
from terralogue.eval.reliability import accuracy_at, calibration_error, save_reliability
from terralogue.eval.running import Answers, answerer_of, ask_all
from terralogue.eval.summary import Report, share

PREFIX: Final = "vlm:"
QUESTION: Final = "What is the class of this scene?"
UNREAD: Final = "not read"
# Chat models name options by their letters.
_CHAT: Final = frozenset({"hf", "openai"})
_LETTERS: Final = 26


def asks_of_labels(
    samples: Samples[LabelSample],
    names: Mapping[str, str],
    answerer: Answerer,
    sensor: str | None = None,
) -> list[Ask]:
    """One question for each picture.

    Args:
        samples: pictures with classes.
        names: class → its readable name.
        answerer: who is asked; chat models are given more than 26 names in the question instead.
        sensor: key in SENSORS of all pictures; None recognises it.
    """
    options, question = tuple(names.values()), QUESTION
    embedded = isinstance(answerer, ByVLM) and answerer.name.partition(":")[0] not in _CHAT
    if len(options) > _LETTERS and not embedded:
        question, options = f"{QUESTION} One of: {', '.join(options)}.", ()
    return [
        Ask(
            name=item.name,
            place=item.name,
            paths=(item.path,),
            question=question,
            gold=(names[item.label],),
            kind=item.label,
            options=options,
            sensor=sensor,
        )
        for item in samples.items
    ]


def class_of(answer: str, names: Mapping[str, str]) -> str | None:
    """The class that an answer names; None where it names none or several."""
    words = {label: normalised(name) for label, name in names.items()}
    text = normalised(answer)
    exact = [label for label, name in words.items() if name == text]
    if exact:
        return exact[0]
    if len(names) <= _LETTERS:
        said = read_answer(answer, "choice", list(names.values())) or ""
        if len(said) == 1:
            return list(names)[ascii_uppercase.index(said)]
    found = {label: name for label, name in words.items() if f" {name} " in f" {text} "}
    # "dense residential" holds "residential", which is not meant then.
    meant = [
        label
        for label, name in found.items()
        if not any(name != other and re.search(rf"\b{name}\b", other) for other in found.values())
    ]
    return meant[0] if len(meant) == 1 else None


def run(
    options: argparse.Namespace, samples: Samples[LabelSample], names: Mapping[str, str]
) -> Report:
    """Score a model that answers.

    Args:
        options: of the task, `model` with its prefix.
        samples: to score.
        names: class → its readable name.
    """
    answerer = answerer_of(options, "qa", options.model.removeprefix(PREFIX))
    asks = asks_of_labels(samples, names, answerer, options.sensor)
    sha256 = data_sha256(samples)
    answers = ask_all(
        answerer,
        asks,
        lambda i, reading: float(class_of(reading.text, names) == samples.items[i].label),
        options,
        task="classification",
        data_sha256=sha256,
        corruption=options.corrupt,
    )
    return _report(answerer, samples, names, answers, sha256, options)


def _report(
    answerer: Answerer,
    samples: Samples[LabelSample],
    names: Mapping[str, str],
    answers: Answers,
    sha256: str,
    options: argparse.Namespace,
) -> Report:
    readings, items = answers.readings, samples.items
    classes = (*names, UNREAD)
    said = [class_of(reading.text, names) for reading in readings]
    gold = np.array([classes.index(item.label) for item in items])
    given = np.array([classes.index(each or UNREAD) for each in said])
    stated = np.array([reading.confidence is not None for reading in readings])
    confidence = np.array([reading.confidence or 0.0 for reading in readings])
    right = gold == given
    confusion = Confusion(classes, gold, given)
    shown = {**names, UNREAD: UNREAD}
    plots: dict[str, Any] = {"confusion.png": partial(save_confusion, confusion, shown)}
    if stated.any():
        plots["reliability.png"] = partial(save_reliability, confidence[stated], right[stated])
    report = Report(
        task="classification",
        n=len(items),
        metrics={
            **confusion.metrics(),
            "ece": calibration_error(confidence[stated], right[stated]),
            "accuracy_at_80": accuracy_at(confidence[stated], right[stated]),
            "not_sure": share(not reading.sure for reading in readings),
        },
        units="share",
        model=answerer.title,
        data_sha256=sha256,
        predictions=_predictions(items, answers, said),
        per_type={k: v for k, v in confusion.by_class().items() if k != UNREAD},
        baselines={"majority": confusion.majority(), "chance": 1 / len(names)},
        interval_95=confusion.intervals(),
        parse_rate=float(np.mean([each is not None for each in said])),
        details={
            "dataset": samples.dataset,
            "label_names": dict(names),
            "labels_seen": None,
            "labels_seen_list": [],
            "method": "asked for one of the names of the classes",
            **answers.facts(answerer, options.corrupt),
        },
        plots=plots,
        done=answers.done,
    )
    order = np.argsort(-confidence, kind="stable")
    worst = [
        Case(
            items[i].pictures,
            items[i].name,
            readings[i].text,
            names[items[i].label],
            f"confidence {confidence[i]:.2f}" if stated[i] else "",
        )
        for i in order[~right[order]][:WORST]
    ]
    heading = "Wrong answers, the most confident first"
    page = partial(write_page, report.summary, list(plots), worst, heading)
    return report.with_plots({"report.html": page})


def _predictions(
    items: Sequence[LabelSample], answers: Answers, said: Sequence[str | None]
) -> list[dict[str, Any]]:
    return [
        {
            "id": item.name,
            "prediction_raw": reading.text,
            "prediction_parsed": label,
            "gold": item.label,
            "parse_ok": label is not None,
            "correct": label == item.label,
            "confidence": reading.confidence,
            "sure": reading.sure,
            "latency_s": round(seconds, 4),
        }
        for item, reading, label, seconds in zip(
            items, answers.readings, said, answers.seconds, strict=True
        )
    ]
