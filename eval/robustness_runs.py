"""One data set asked again and again: as it is, with corrupted pictures, with other wordings."""

from __future__ import annotations

import argparse
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.benchmark_layouts import VQA
from terralogue.datasets.corruptions import CORRUPTIONS, Corruption
from terralogue.datasets.label_names import readable
from terralogue.datasets.registry import read_labels, read_vqa
from terralogue.datasets.samples import LabelSample, Samples, VQASample
from terralogue.datasets.text_perturbation import Perturbation, perturb
from terralogue.eval.answerers import Answerer
from terralogue.eval.asks import Ask, asks_of
from terralogue.eval.classification_answers import PREFIX, asks_of_labels, class_of
from terralogue.eval.inputs import data_sha256, load_tower, picture_reader
from terralogue.eval.running import answerer_of, ask_all
from terralogue.eval.summary import model_title
from terralogue.eval.vqa import counts_in_classes
from terralogue.eval.vqa_scores import Question, mark, questions_of
from terralogue.vlm.batches import embed

if TYPE_CHECKING:
    from terralogue.vlm.clip import GeoCLIP

Change = Corruption | Perturbation | None
Kind = Literal["vqa", "classification"]
Judge = Callable[[int, str], tuple[str | None, bool]]
"""What an answer to a question says, and whether that is right."""

KINDS: Final[tuple[Kind, ...]] = ("vqa", "classification")
# Words that a picture which is turned, shrunk or shifted answers in another way.
_DIRECTIONS: Final = re.compile(
    r"\b(left|right|top|bottom|upper|lower|north|south|east|west|where|location|position|centre|"
    r"center|middle|corner)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Outcome:
    """What a model said in one run.

    Attributes:
        said: class of each answer; None where it cannot be read.
        raw: answers as given.
        right: (n,) whether they are right.
    """

    said: tuple[str | None, ...]
    raw: tuple[str, ...]
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class Subject:
    """A model on a data set.

    Attributes:
        title: of the model.
        run: answers everything under a change; a perturbation changes questions only.
        done: call when everything is written.
    """

    title: str
    run: Callable[[Change], Outcome]
    done: Callable[[], None]


@dataclass(frozen=True)
class Set:
    """A data set that is asked.

    Attributes:
        kind: of task.
        names: of the items.
        places: of their pictures.
        questions: texts; all the same for classes.
        gold: right answers, as text.
        fixed: (n,) whether the right answer stays as it is where a picture is moved.
        sha256: of the data.
        subject: puts a model to it, by specification.
    """

    kind: Kind
    names: tuple[str, ...]
    places: tuple[str, ...]
    questions: tuple[str, ...]
    gold: tuple[str, ...]
    fixed: NDArray[np.bool_]
    sha256: str
    subject: Callable[[str], Subject]


def read_set(options: argparse.Namespace) -> Set:
    """Read what the options name: questions where the data hold such, else classes.

    Raises:
        InputError: neither can be read.
    """
    path: Path = options.data
    kind: Kind = options.of or ("vqa" if any(lay.find(path) for lay in VQA) else "classification")
    if kind == "vqa":
        questions = read_vqa(path, options.split, options.dataset).limited(options.limit)
        return _questions(options, questions)
    everything = read_labels(path, None, options.dataset)
    classes = sorted({item.label for item in everything.items})
    chosen = everything.chosen(options.split).limited(options.limit)
    return _classes(options, chosen, {label: readable(label) for label in classes})


def _questions(options: argparse.Namespace, samples: Samples[VQASample]) -> Set:
    items = questions_of(samples.items, buckets=counts_in_classes(options.counts, samples.dataset))
    asks = asks_of(samples.items, options.sensor)
    sha256 = data_sha256(samples)

    def judge(i: int, text: str) -> tuple[str | None, bool]:
        judged = mark(items[i], text)
        return judged.given, judged.right

    def fixed(item: Question) -> bool:
        words = f"{item.sample.question} {item.sample.answer}"
        return item.form not in ("count", "area") and not _DIRECTIONS.search(words)

    def subject(spec: str) -> Subject:
        return _answering(options, answerer_of(options, "qa", spec), asks, judge, sha256)

    return Set(
        "vqa",
        tuple(ask.name for ask in asks),
        tuple(ask.place for ask in asks),
        tuple(ask.question for ask in asks),
        tuple(item.gold for item in items),
        np.array(list(map(fixed, items))),
        sha256,
        subject,
    )


def _classes(
    options: argparse.Namespace, samples: Samples[LabelSample], names: dict[str, str]
) -> Set:
    sha256 = data_sha256(samples)
    gold = tuple(item.label for item in samples.items)
    places = tuple(item.name for item in samples.items)

    def judge(i: int, text: str) -> tuple[str | None, bool]:
        said = class_of(text, names)
        return said, said == gold[i]

    def subject(spec: str) -> Subject:
        if not spec.startswith(PREFIX):
            return _tower(options, load_tower(spec, options.device), samples, names)
        answerer = answerer_of(options, "qa", spec.removeprefix(PREFIX))
        asks = asks_of_labels(samples, names, answerer, options.sensor)
        return _answering(options, answerer, asks, judge, sha256)

    alike = np.ones(len(gold), bool)
    return Set("classification", places, places, ("",) * len(gold), gold, alike, sha256, subject)


def _answering(
    options: argparse.Namespace, answerer: Answerer, asks: Sequence[Ask], judge: Judge, sha256: str
) -> Subject:
    """A model that answers in words."""
    finish: list[Callable[[], None]] = []

    def run(change: Change) -> Outcome:
        answers = ask_all(
            answerer,
            _reworded(asks, change),
            lambda i, reading: float(judge(i, reading.text)[1]),
            options,
            task=f"robustness {change or 'clean'}",
            data_sha256=sha256,
            corruption=change if isinstance(change, Corruption) else None,
        )
        finish.append(answers.done)
        raw = tuple(reading.text for reading in answers.readings)
        judged = [judge(i, text) for i, text in enumerate(raw)]
        return Outcome(tuple(said for said, _ in judged), raw, np.array([ok for _, ok in judged]))

    def done() -> None:
        for each in finish:
            each()

    return Subject(answerer.title, run, done)


def _tower(
    options: argparse.Namespace,
    clip: GeoCLIP,
    samples: Samples[LabelSample],
    names: dict[str, str],
) -> Subject:
    """An embedding tower, asked by the names of the classes."""
    labels = clip.label_embeddings(list(names.values()))

    def run(change: Change) -> Outcome:
        read = picture_reader(options.sensor, change if isinstance(change, Corruption) else None)
        images = embed(clip, [item.path for item in samples.items], read)
        said = tuple(list(names)[i] for i in (images @ labels.T).argmax(axis=1))
        pairs = zip(said, samples.items, strict=True)
        return Outcome(said, said, np.array([label == item.label for label, item in pairs]))

    return Subject(model_title(clip.name, clip.fingerprint), run, lambda: None)


def _reworded(asks: Sequence[Ask], change: Change) -> list[Ask]:
    """Questions in other words, each by its own chance."""
    if not isinstance(change, Perturbation):
        return list(asks)
    return [replace(ask, question=reworded(ask.question, ask.name, change)) for ask in asks]


def reworded(question: str, name: str, change: Perturbation) -> str:
    """A question as a perturbation changes it, the same in every run."""
    return perturb(question, change, seed=zlib.crc32(name.encode()))


def moves(change: Change) -> bool:
    """Whether a change moves the picture."""
    return isinstance(change, Corruption) and CORRUPTIONS[change.name].motion is not None
