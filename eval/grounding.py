"""Pointing at what words refer to, scored by overlap with the right boxes.

    terralogue eval grounding --data VRSBench_EVAL_referring.json --out out/referring
    terralogue eval grounding --data nwpu_vhr10 --split own:test

`acc@0.5` and `acc@0.7` are the shares of expressions whose boxes meet the right ones with such an
overlap, `mean_iou` is the mean overlap; see `boxes.py`, also for expressions that refer to several
things. Types are `unique` and `non_unique` (whether the class occurs once in the picture) and the
classes. Baselines are a box of half the width and height in the centre and the whole picture, by
`acc@0.5`. Boxes move with pictures that `--corrupt` moves; expressions whose things have left the
picture are not scored then.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.corruptions import Corruption, moved_boxes
from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import Box, GroundingSample
from terralogue.eval.asks import Ask, seed_of
from terralogue.eval.boxes import agreement
from terralogue.eval.expressions import read_expressions
from terralogue.eval.inputs import add_answer_options, data_sha256
from terralogue.eval.page import WORST, Case, write_page
from terralogue.eval.reliability import accuracy_at, calibration_error, save_reliability
from terralogue.eval.running import Answers, answerer_of, ask_all
from terralogue.eval.summary import Figures, Report, interval, resamples, share

Floats = NDArray[np.float64]

LEVELS: Final = (0.5, 0.7)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this task."""
    add_answer_options(parser)


def run(options: argparse.Namespace) -> Report:
    """Score what the options name."""
    samples = read_expressions(options.data, options.split, options.dataset).limited(options.limit)
    items = _moved(samples.items, options.corrupt)
    answerer = answerer_of(options, "grounding")
    sha256 = data_sha256(samples)
    answers = ask_all(
        answerer,
        [_ask(item, options.sensor) for item in items],
        lambda i, reading: agreement(reading.boxes, items[i].boxes),
        options,
        task="grounding",
        data_sha256=sha256,
        corruption=options.corrupt,
    )
    readings = answers.readings
    met = np.array([agreement(r.boxes, i.boxes) for r, i in zip(readings, items, strict=True)])
    stated = np.array([reading.confidence is not None for reading in readings])
    confidence = np.array([reading.confidence or 0.0 for reading in readings])[stated]
    right = (met >= LEVELS[0])[stated]
    plots: dict[str, Any] = {}
    if len(confidence):
        plots["reliability.png"] = partial(save_reliability, confidence, right)
    report = Report(
        task="grounding",
        n=len(items),
        metrics={
            **_figures(met),
            "ece": calibration_error(confidence, right),
            "accuracy_at_80": accuracy_at(confidence, right),
            "not_sure": share(not reading.sure for reading in readings),
        },
        units="share",
        model=answerer.title,
        data_sha256=sha256,
        predictions=_predictions(items, answers, met),
        per_type=_per_type(items, met),
        baselines=_baselines(items),
        interval_95=_intervals(items, met),
        parse_rate=float(np.mean([bool(reading.boxes) for reading in readings])),
        details={
            "dataset": samples.dataset,
            "n_pictures": len({item.place for item in items}),
            "left_out": len(samples.items) - len(items),
            **answers.facts(answerer, options.corrupt),
        },
        plots=plots,
        done=answers.done,
    )
    worst = [
        Case(
            items[i].pictures,
            items[i].expression,
            f"{len(readings[i].boxes)} boxes",
            f"{len(items[i].boxes)} right ones",
            f"overlap {met[i]:.2f}, {items[i].place}",
        )
        for i in np.argsort(met, kind="stable")[:WORST]
    ]
    heading = "Expressions whose boxes meet least"
    page = partial(write_page, report.summary, list(plots), worst, heading)
    return report.with_plots({"report.html": page})


def _moved(
    items: Sequence[GroundingSample], corruption: Corruption | None
) -> tuple[GroundingSample, ...]:
    """Boxes where a corruption leaves them; without expressions that have none left.

    Raises:
        InputError: nothing is left.
    """
    if corruption is None:
        return tuple(items)
    found = []
    for item in items:
        boxes = moved_boxes(item.boxes, item.size, corruption, seed=seed_of(item.path))
        inside = tuple(box for box in boxes if box is not None)
        if inside:
            found.append(replace(item, boxes=inside))
    if not found:
        raise InputError(f"{corruption} moves everything out of the pictures; choose another one.")
    return tuple(found)


def _ask(item: GroundingSample, sensor: str | None) -> Ask:
    return Ask(
        name=item.name,
        place=item.place,
        paths=item.pictures,
        question=item.expression,
        gold=tuple(",".join(f"{edge:g}" for edge in box) for box in item.boxes),
        task="grounding",
        kind=item.label or "",
        sensor=sensor,
    )


def _figures(met: Floats) -> dict[str, float]:
    shares = {f"acc@{level}": float((met >= level).mean()) for level in LEVELS}
    return {**shares, "mean_iou": float(met.mean())}


def _per_type(items: Sequence[GroundingSample], met: Floats) -> dict[str, Figures]:
    """Figures of unique and other things, and of each class."""
    kinds = {"unique": [item.unique is True for item in items],
             "non_unique": [item.unique is False for item in items]}  # fmt: skip
    for label in sorted({item.label for item in items if item.label}):
        kinds[label] = [item.label == label for item in items]
    return {
        kind: {"n": int(np.sum(members)), **_figures(met[np.array(members)])}
        for kind, members in kinds.items()
        if any(members)
    }


def _baselines(items: Sequence[GroundingSample]) -> dict[str, float]:
    """`acc@0.5` of boxes that nobody looked for."""

    def score(low: float, high: float) -> float:
        boxes = [Box(low * i.size[0], low * i.size[1], high * i.size[0], high * i.size[1])
                 for i in items]  # fmt: skip
        met = [agreement([box], item.boxes) for box, item in zip(boxes, items, strict=True)]
        return float(np.mean(np.array(met) >= LEVELS[0]))

    return {"centre_box": score(0.25, 0.75), "whole_picture": score(0.0, 1.0)}


def _intervals(items: Sequence[GroundingSample], met: Floats) -> dict[str, tuple[float, float]]:
    """From resampling pictures, each with all its expressions; none of a single picture."""
    places = {place: i for i, place in enumerate(dict.fromkeys(item.place for item in items))}
    if len(places) < 2:
        return {}
    index = np.array([places[item.place] for item in items])
    weights = resamples(len(places))[:, index]
    total = weights.sum(axis=1)
    values = {f"acc@{level}": met >= level for level in LEVELS} | {"mean_iou": met}
    return {name: interval(weights @ value / total) for name, value in values.items()}


def _predictions(
    items: Sequence[GroundingSample], answers: Answers, met: Floats
) -> list[dict[str, Any]]:
    return [
        {
            "id": item.name,
            "image_id": item.place,
            "type": item.label or "",
            "question": item.expression,
            "prediction_raw": reading.text,
            "prediction_parsed": [[round(edge, 2) for edge in box] for box in reading.boxes],
            "gold": [[round(edge, 2) for edge in box] for box in item.boxes],
            "parse_ok": bool(reading.boxes),
            "iou": round(float(value), 4),
            "correct": bool(value >= LEVELS[0]),
            "unique": item.unique,
            "confidence": reading.confidence,
            "sure": reading.sure,
            "latency_s": round(seconds, 4),
        }
        for item, reading, value, seconds in zip(
            items, answers.readings, met, answers.seconds, strict=True
        )
    ]
