"""Boxes of things against the right ones, as the tool `detect_objects` finds them.

    terralogue eval detection --data nwpu_vhr10 --split own:test --out out/vhr10
    terralogue eval detection --data rsod --target storage_tank --split own:test
    terralogue eval detection --data sen2ships --split own:test --iou 0.3

Data come in COCO's, PASCAL VOC's or DOTA's layout. Classes that are no target of a detector are not
scored, and listed. `map50` and `map` are the mean over classes of the average precision at an IoU
of 0.5, and over those of 0.5 to 0.95 (COCO's 101 points); `f1`, `precision` and `recall` are of the
boxes that the tool counts, at the data set's own IoU unless --iou is given, pooled over classes.
`count_error` is the mean absolute error of the count of a class that is there, `count_covered` how
often the tool's 90 % interval holds the right number. The baseline is `blobs`, at the threshold
that is best for it; see `detection_baseline.py`. Intervals come from resampling pictures.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from terralogue.datasets.detection_files import read_detection, target_of
from terralogue.datasets.errors import InputError
from terralogue.datasets.registry import DATASETS
from terralogue.datasets.samples import DetectionSample
from terralogue.datasets.scene import open_scene
from terralogue.eval.detection_baseline import blobs
from terralogue.eval.detection_drawing import draw_case
from terralogue.eval.inputs import data_sha256
from terralogue.eval.page import write_page
from terralogue.eval.summary import Figures, Report, interval, resamples
from terralogue.tools.detect_calibrate import ClassFacts
from terralogue.tools.detect_finding import Boxes, facts_of, find_boxes
from terralogue.tools.detect_scores import (
    Matches,
    average_precision,
    best_threshold,
    collect,
    f1_at,
    match,
)
from terralogue.tools.detectors import COUNTED, choose_detector
from terralogue.tools.grid import whole
from terralogue.tools.run import Run
from terralogue.tools.store import Store

Floats = NDArray[np.float64]
LEVELS: Final = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
# Average precision looks at scores far below those that are counted.
_FLOOR: Final = 0.02
_WORST: Final = 6


@dataclass(frozen=True)
class Looked:
    """What was found in one picture.

    Attributes:
        item: the picture.
        found: target → boxes.
        simple: the same of the baseline.
        facts: target → threshold and calibration of the detector.
        models: names of the detectors.
    """

    item: DetectionSample
    found: Mapping[str, Boxes]
    simple: Mapping[str, Boxes]
    facts: Mapping[str, ClassFacts]
    models: frozenset[str]

    def wanted(self, target: str) -> tuple[Floats, NDArray[np.bool_]]:
        """Right boxes of a target (n, 4), and which of them are skipped (n,)."""
        own = [
            (box, skipped)
            for box, label, skipped in zip(
                self.item.boxes, self.item.labels, self.item.skipped, strict=True
            )
            if target_of(label) == target
        ]
        boxes = np.array([box for box, _ in own], np.float64).reshape(-1, 4)
        return boxes, np.array([skipped for _, skipped in own], np.bool_)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this task."""
    add = parser.add_argument
    add("--target", metavar="T", help=f"score one class: {', '.join(COUNTED)}")
    add("--iou", type=float, metavar="X", help="overlap from which a box is found, for f1 "
        "(default: 0.5, or the data set's own)")  # fmt: skip
    add("--split", metavar="S", help="own:train|val|test (cut by this project), fold:K/N, or all "
        "(default)")  # fmt: skip
    add("--dataset", metavar="NAME", help="which data set it is, where the content does not tell")
    add("--sensor", metavar="KEY", help="sensor of all pictures, where recognition is not enough")
    add("--model", metavar="NAME", help="a detector by name (default: the one made for the scene)")


def run(options: argparse.Namespace) -> Report:
    """Score what the options name.

    Raises:
        EOError: data or options cannot be used, or a picture cannot serve a class.
    """
    everything = read_detection(options.data, None, options.dataset)
    labels = {target_of(label) for item in everything.items for label in item.labels}
    targets = _targets(options, labels)
    iou = options.iou
    if iou is None:
        iou = DATASETS[everything.dataset].iou if everything.dataset in DATASETS else 0.5
    if not 0 < iou <= 1:
        raise InputError(f"--iou {iou:g} is no overlap; give a number above 0, at most 1.")
    samples = everything.chosen(options.split).limited(options.limit)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Run(Store(Path(folder)))
        looked = [
            _look(item, targets, options.sensor, options.model, workspace)
            for item in tqdm(samples.items, desc="detection", disable=None)
        ]
    present = [t for t in targets if any(len(each.wanted(t)[0]) for each in looked)]
    if not present:
        raise InputError(f"{options.data} has no {', '.join(targets)} in this split.")
    scored = {target: _matches(looked, target, iou) for target in targets}
    drawn = _worst(looked, targets, iou)
    plots = {f"worst-{i + 1}.png": partial(_draw, each, targets, iou, options.sensor)
             for i, each in enumerate(drawn)}  # fmt: skip
    report = Report(
        task="detection",
        n=len(looked),
        metrics=_metrics(looked, scored, present, iou),
        units="share",
        model=", ".join(sorted(frozenset().union(*(each.models for each in looked)))),
        data_sha256=data_sha256(samples),
        predictions=_predictions(looked, targets),
        per_type={target: _of_class(looked, scored, target) for target in present},
        baselines=_baseline(looked, present, iou),
        interval_95=_intervals(looked, scored, present),
        details={
            "dataset": samples.dataset,
            "split": options.split or "all",
            "iou": iou,
            "boxes": sum(int(scored[target].matches.wanted.sum()) for target in present),
            "not_scored": sorted(labels - set(targets)),
        },
        plots=plots,
    )
    page = partial(write_page, report.summary, list(plots), [], "")
    return report.with_plots({"report.html": page})


def _targets(options: argparse.Namespace, labels: set[str]) -> tuple[str, ...]:
    if options.target is None:
        found = tuple(target for target in COUNTED if target in labels)
    else:
        found = (options.target,) if options.target in COUNTED else ()
    if not found:
        asked = options.target or ", ".join(sorted(labels))
        raise InputError(
            f"{asked} cannot be found by the detectors at hand; their targets are "
            f"{', '.join(COUNTED)}."
        )
    return found


def _look(
    item: DetectionSample, targets: Sequence[str], sensor: str | None, model: str | None, run: Run
) -> Looked:
    with open_scene(item.path, sensor=sensor) as scene:
        chosen = {target: choose_detector(scene, target, model) for target in targets}
        found: dict[str, Boxes] = {}
        # One look for all targets that are looked for in the same way.
        for choice in {(each.row.name, each.zoom): each for each in chosen.values()}.values():
            own = [
                target
                for target, each in chosen.items()
                if (each.row, each.zoom) == (choice.row, choice.zoom)
            ]
            found |= find_boxes(scene, own, choice, whole(scene), run, _FLOOR)
        return Looked(
            item,
            found,
            {target: blobs(scene, target) for target in targets},
            {target: facts_of(choice, target) for target, choice in chosen.items()},
            frozenset(choice.row.name for choice in chosen.values()),
        )


@dataclass(frozen=True)
class Scored:
    """One class over all pictures: matches at the IoU asked for, and at COCO's levels."""

    matches: Matches
    levels: tuple[Matches, ...]
    threshold: float

    def precision(self, weights: Floats | None = None) -> float | None:
        """Average precision at 0.5."""
        return average_precision(self.levels[0], weights)


def _matches(looked: Sequence[Looked], target: str, iou: float, *, simple: bool = False) -> Scored:
    pictures = []
    for each in looked:
        boxes = (each.simple if simple else each.found)[target]
        pictures.append((boxes.boxes, boxes.scores, *each.wanted(target)))
    matches = collect(pictures, iou)
    if simple:
        # In its favour: the threshold that is best for these very pictures.
        return Scored(matches, (collect(pictures, 0.5),), best_threshold(matches))
    levels = tuple(collect(pictures, level) for level in LEVELS)
    return Scored(matches, levels, looked[0].facts[target].threshold)


def _counts(scored: Mapping[str, Scored], weights: Floats) -> tuple[float, float, float]:
    """Right, found and wanted boxes of all classes."""
    right = found = wanted = 0.0
    for each in scored.values():
        weight = weights[each.matches.picture] * (each.matches.scores >= each.threshold)
        right += float((weight * each.matches.right).sum())
        found += float(weight.sum())
        wanted += float(weights @ each.matches.wanted)
    return right, found, wanted


def _f1(scored: Mapping[str, Scored], weights: Floats) -> float:
    right, found, wanted = _counts(scored, weights)
    return 2 * right / (found + wanted) if found + wanted else float("nan")


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _metrics(
    looked: Sequence[Looked], scored: Mapping[str, Scored], present: Sequence[str], iou: float
) -> Figures:
    right, found, wanted = _counts(scored, np.ones(len(looked)))
    errors, covered = _count_errors(looked, present)
    return {
        "map50": _mean([scored[target].precision() for target in present]),
        "map": _mean([average_precision(m) for t in present for m in scored[t].levels]),
        "f1": _f1(scored, np.ones(len(looked))),
        "precision": right / found if found else None,
        "recall": right / wanted,
        "count_error": float(np.mean(errors)),
        "count_covered": float(np.mean(covered)),
    }


def _count_errors(looked: Sequence[Looked], targets: Sequence[str]) -> tuple[list[int], list[bool]]:
    """Error of the count, and whether its interval holds, of each class in each picture with it."""
    errors, covered = [], []
    for each in looked:
        for target in targets:
            number = int((~each.wanted(target)[1]).sum())
            if number:
                scores, facts = each.found[target].scores, each.facts[target]
                low, high = facts.interval(scores)
                errors.append(abs(int((scores >= facts.threshold).sum()) - number))
                covered.append(low <= number <= high)
    return errors, covered


def _of_class(looked: Sequence[Looked], scored: Mapping[str, Scored], target: str) -> Figures:
    own = {target: scored[target]}
    right, found, wanted = _counts(own, np.ones(len(looked)))
    errors, covered = _count_errors(looked, [target])
    return {
        "n": int(wanted),
        "ap50": scored[target].precision(),
        "f1": f1_at(scored[target].matches, scored[target].threshold),
        "precision": right / found if found else None,
        "recall": right / wanted if wanted else None,
        "count_error": float(np.mean(errors)) if errors else None,
        "count_covered": float(np.mean(covered)) if covered else None,
    }


def _baseline(looked: Sequence[Looked], present: Sequence[str], iou: float) -> Figures:
    scored = {target: _matches(looked, target, iou, simple=True) for target in present}
    return {
        "blobs_map50": _mean([each.precision() for each in scored.values()]),
        "blobs_f1": _f1(scored, np.ones(len(looked))),
    }


def _intervals(
    looked: Sequence[Looked], scored: Mapping[str, Scored], present: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """From resampling pictures; none of a single one."""
    if len(looked) < 2:
        return {}
    drawn = [weights.astype(np.float64) for weights in resamples(len(looked), 300)]
    means = [_mean([scored[target].precision(w) for target in present]) for w in drawn]
    known = [mean for mean in means if mean is not None]
    return {
        "map50": interval(np.array(known)),
        "f1": interval(np.array([_f1(scored, weights) for weights in drawn])),
    }


def _mistakes(each: Looked, target: str, iou: float) -> int:
    """Boxes that are wrong and things that were missed."""
    boxes, facts = each.found[target], each.facts[target]
    counted = boxes.kept(boxes.scores >= facts.threshold)
    wanted, skipped = each.wanted(target)
    right, counts = match(counted.boxes, counted.scores, wanted, skipped, iou)
    return int((counts & ~right).sum() + (~skipped).sum() - right.sum())


def _worst(looked: Sequence[Looked], targets: Sequence[str], iou: float) -> list[Looked]:
    mistakes = [sum(_mistakes(each, target, iou) for target in targets) for each in looked]
    order = np.argsort([-number for number in mistakes], kind="stable")
    return [looked[i] for i in order[:_WORST] if mistakes[i]]


def _draw(each: Looked, targets: Sequence[str], iou: float, sensor: str | None, path: Path) -> None:
    found = {
        t: each.found[t].kept(each.found[t].scores >= each.facts[t].threshold) for t in targets
    }
    with open_scene(each.item.path, sensor=sensor) as scene:
        draw_case(scene, found, {target: each.wanted(target) for target in targets}, iou, path)


def _predictions(looked: Sequence[Looked], targets: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "id": each.item.name,
            "prediction_raw": {
                target: [[*(round(float(e), 1) for e in box), round(float(score), 4)]
                         for box, score in zip(boxes.boxes, boxes.scores, strict=True)]
                for target, boxes in each.found.items() if len(boxes.scores)
            },
            "prediction_parsed": {
                target: int((each.found[target].scores >= each.facts[target].threshold).sum())
                for target in targets
            },
            "gold": {
                target: [[round(float(e), 1) for e in box] for box in each.wanted(target)[0]]
                for target in targets if len(each.wanted(target)[0])
            },
        }
        for each in looked
    ]  # fmt: skip
