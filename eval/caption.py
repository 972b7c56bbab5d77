"""Descriptions of pictures, or of changes between dates, scored against those of people.

    terralogue eval caption --data ucm/dataset_ucm.json --split test --out out/ucm

The scores are those of `caption_scores.py`; `cider` is CIDEr-D from 0 to 10, where papers often
write ten times or a hundred times less or more. `distinct` is the share of captions that differ
from each other: a model that always says the same does not look. Baselines are `majority`, the
commonest caption, and `nearest`, a caption of the picture that looks most like the one described;
both are taken from other pictures of the data set, where it has any, and compared by `cider`.

Of changes, unchanged pairs all have about the same captions, which lifts the scores of the whole
set: read `changed` in the types. Intervals come from resampling pictures.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from terralogue.datasets.benchmark_layouts import CHANGES
from terralogue.datasets.errors import EOError
from terralogue.datasets.pictures import read_picture
from terralogue.datasets.registry import read_captions, read_changes
from terralogue.datasets.samples import ALL, CaptionSample, ChangeSample, Samples
from terralogue.eval.asks import Ask
from terralogue.eval.caption_scores import CaptionScores, words_of
from terralogue.eval.inputs import add_answer_options, data_sha256
from terralogue.eval.page import WORST, Case, write_page
from terralogue.eval.running import Answers, answerer_of, ask_all
from terralogue.eval.summary import Figures, Report, interval, resamples, share
from terralogue.vlm.vlm import Reading

Described = CaptionSample | ChangeSample

# Enough for a near picture, and embedded in less than half a minute.
_NEAREST: Final = 1000


@dataclass(frozen=True)
class Read:
    """Pictures with captions.

    Attributes:
        items: to describe.
        others: with other pictures, of the same data.
        sha256: of the data used.
        dataset: key in DATASETS; None for another.
    """

    items: tuple[Described, ...]
    others: tuple[Described, ...]
    sha256: str
    dataset: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this task."""
    add_answer_options(parser)


def run(options: argparse.Namespace) -> Report:
    """Score what the options name."""
    data = _read(options)
    answerer = answerer_of(options, "caption")
    asks = [_ask(item, options.sensor) for item in data.items]
    references = tuple(tuple(map(words_of, item.captions)) for item in data.items)

    def value(i: int, reading: Reading) -> float:
        return float(CaptionScores((words_of(reading.text),), (references[i],)).rouge_l[0])

    answers = ask_all(
        answerer, asks, value, options, task="caption", data_sha256=data.sha256,
        corruption=options.corrupt,
    )  # fmt: skip
    given = tuple(words_of(reading.text) for reading in answers.readings)
    scores = CaptionScores(given, references)
    drawn = scores.metrics(resamples(len(given))) if len(given) > 1 else {}
    baselines = _baselines(data, references)
    report = Report(
        task="caption",
        n=len(given),
        metrics={
            **{name: float(score) for name, score in scores.metrics().items()},
            "distinct": len(set(given)) / len(given),
            "not_sure": share(not reading.sure for reading in answers.readings),
        },
        units="share",
        model=answerer.title,
        data_sha256=data.sha256,
        predictions=_predictions(data.items, answers, scores),
        per_type=_per_type(data.items, given, references),
        baselines={name: figures["cider"] for name, figures in baselines.items()},
        interval_95={name: interval(values) for name, values in drawn.items()},
        parse_rate=float(np.mean([bool(words) for words in given])),
        details={
            "dataset": data.dataset,
            "baselines_metrics": baselines,
            "baselines_from": "other pictures" if data.others else "the scored pictures",
            "cider": "CIDEr-D, 0 to 10",
            "meteor": "equal words and stems",
            **answers.facts(answerer, options.corrupt),
        },
        done=answers.done,
    )
    worst = np.argsort(scores.cider, kind="stable")[:WORST]
    cases = [
        Case(
            data.items[i].pictures,
            data.items[i].name,
            answers.readings[i].text,
            data.items[i].captions[0],
            f"CIDEr-D {scores.cider[i]:.2f}",
        )
        for i in worst
    ]
    heading = "Captions that are least like those of people"
    page: Callable[[Path], None] = partial(write_page, report.summary, (), cases, heading)
    return report.with_plots({"report.html": page})


def _read(options: argparse.Namespace) -> Read:
    """Captions of changes between dates, where the data hold such, else of pictures.

    Raises:
        InputError: neither can be read.
    """
    changes = any(layout.find(options.data) for layout in CHANGES)
    read: Callable[..., Samples[Any]] = read_changes if changes else read_captions
    samples = read(options.data, options.split, options.dataset).limited(options.limit)
    places = {item.place for item in samples.items}
    try:
        everything = read(options.data, ALL, options.dataset).items
    except EOError:
        # Pictures of other splits are not at hand, or there are millions of rows.
        everything = ()
    others = tuple(item for item in everything if item.place not in places)
    return Read(samples.items, others, data_sha256(samples), samples.dataset)


def _ask(item: Described, sensor: str | None) -> Ask:
    return Ask(
        name=item.name,
        place=item.place,
        paths=item.pictures,
        question="",
        gold=item.captions,
        task="caption",
        kind=_kind(item),
        dates=item.dates if isinstance(item, ChangeSample) else (),
        sensor=sensor,
    )


def _kind(item: Described) -> str:
    """Type of a description: the class of the picture, or whether anything changed."""
    if isinstance(item, CaptionSample):
        return item.label or ""
    changed = {True: "changed", False: "unchanged", None: ""}[item.changed]
    return " ".join(filter(None, (item.kind, changed)))


def _per_type(
    items: Sequence[Described], given: Sequence[Any], references: Sequence[Any]
) -> dict[str, Figures]:
    """Scores of each type; words are as rare as they are within it."""
    found: dict[str, Figures] = {}
    for kind in sorted({_kind(item) for item in items} - {""}):
        places = [i for i, item in enumerate(items) if _kind(item) == kind]
        scores = CaptionScores(
            tuple(given[i] for i in places), tuple(references[i] for i in places)
        )
        figures = {name: float(score) for name, score in scores.metrics().items()}
        found[kind] = {"n": len(places), **figures}
    return found


def _baselines(data: Read, references: Any) -> dict[str, dict[str, float]]:
    """Scores of captions that nobody looked for."""
    source = data.others or data.items
    counts = Counter(caption for item in source for caption in item.captions)
    commonest = words_of(counts.most_common(1)[0][0])
    found = {"majority": (commonest,) * len(references)}
    if data.others and len(data.items[0].pictures) == 1:
        found["nearest"] = _nearest(data)
    return {
        name: {k: float(v) for k, v in CaptionScores(given, references).metrics().items()}
        for name, given in found.items()
    }


def _nearest(data: Read) -> tuple[Any, ...]:
    """The first caption of the picture nearest to each in the space of the embedded tower."""
    from terralogue.vlm.batches import embed
    from terralogue.vlm.clip import load_geoclip

    step = -(-len(data.others) // _NEAREST)
    others = data.others[::step]
    clip = load_geoclip("embedded")
    known = embed(clip, [o.pictures[0] for o in others], read_picture, title="nearest")
    asked = embed(clip, [i.pictures[0] for i in data.items], read_picture, title="nearest")
    best = (asked @ known.T).argmax(axis=1)
    return tuple(words_of(others[i].captions[0]) for i in best)


def _predictions(
    items: Sequence[Described], answers: Answers, scores: CaptionScores
) -> list[dict[str, Any]]:
    rows = []
    for i, (item, reading) in enumerate(zip(items, answers.readings, strict=True)):
        rows.append(
            {
                "id": item.name,
                "type": _kind(item),
                "prediction_raw": reading.text,
                "prediction_parsed": " ".join(scores.given[i]),
                "gold": list(item.captions),
                "parse_ok": bool(scores.given[i]),
                "cider": round(float(scores.cider[i]), 4),
                "confidence": reading.confidence,
                "sure": reading.sure,
                "latency_s": round(answers.seconds[i], 4),
            }
        )
    return rows
