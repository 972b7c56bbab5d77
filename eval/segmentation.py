"""Masks of a target against the truth, as the tool `segment` gives them to a person.

    terralogue eval segmentation --data eth_roads --split own:test --out out/roads
    terralogue eval segmentation --data chips --target building --model NAME
    terralogue eval segmentation --data dubai_landcover --out out/dubai
    terralogue eval segmentation --data SCENE.tif --reference COVER.tif --classes 1=water,2=road

The data are a folder with `images` and `masks`, or one scene with a reference map. What is scored
is the tool itself, with the router's choice among the models unless `--model` names one. Of several
classes each is asked for by itself; `miou` is the mean over those that occur.

`iou`, `f1`, `precision` and `recall` are pooled over all pixels. What the tool does not judge, for
cloud or because it refused, counts as not found: a model cannot gain by keeping silent. `patch_f1`
of roads is over patches of 16 x 16 pixels. Where the router takes a learned model, the baseline
`physical` is the rule that it would take otherwise. Intervals come from resampling images;
neighbouring chips resemble each other, so the truth may lie outside more often than 5 %.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.errors import InputError
from terralogue.datasets.mask_sets import MASK_SETS, Legend, legend_of, parse_classes, read_masks
from terralogue.datasets.samples import MaskSample, Samples
from terralogue.datasets.scene import Scene
from terralogue.eval.inputs import data_sha256
from terralogue.eval.journal import RowJournal
from terralogue.eval.segmentation_cases import Case, Row
from terralogue.eval.segmentation_maps import error_maps
from terralogue.eval.segmentation_reference import reference_gold
from terralogue.eval.segmentation_run import score_all
from terralogue.eval.segmentation_scores import (
    EXTRA,
    MISSED,
    PATCH,
    REST,
    RIGHT,
    Scores,
    figures,
)
from terralogue.eval.summary import Report, code_version, files_sha256
from terralogue.tools.specialist import TITLES
from terralogue.tools.specialists import SPECIALISTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this task."""
    add = parser.add_argument
    add("--target", metavar="T", help="what the masks show, or the one of their classes to score")
    add("--classes", metavar="V=T,…", help="what the values of masks mean, where the data set is "
        'not known: "1=water,2=building,3=other,0=ignore"')  # fmt: skip
    add("--split", metavar="S", help="own:train|val|test (cut by this project), fold:K/N, or all "
        "(default)")  # fmt: skip
    add("--dataset", metavar="NAME", help="which data set it is, where the names of the files do "
        f"not tell: {', '.join(MASK_SETS)}")  # fmt: skip
    add("--sensor", metavar="KEY", help="sensor of all images, where recognition is not enough")
    add("--model", metavar="NAME", help="a model by name (default: the best for each image)")
    add("--reference", type=Path, metavar="FILE", help="raster or polygons with the truth of one "
        "scene, in any coordinate system")  # fmt: skip
    add("--attribute", metavar="NAME", help="attribute of the polygons that holds the class")


def run(options: argparse.Namespace) -> Report:
    """Score what the options name; a run in the same folder that was killed goes on.

    Raises:
        EOError: the data or the options cannot be used, or the tool refused every image.
    """
    classes = None if options.classes is None else parse_classes(options.classes)
    dataset = None
    if options.reference is not None:
        legend, gold = reference_gold(options.reference, classes, options.target, options.attribute)
        cases = [Case(options.data.name, options.data, gold)]
        sha256 = files_sha256(_files(options.data) | {"reference": options.reference})
    else:
        samples = read_masks(options.data, options.dataset)
        samples = samples.chosen(options.split).limited(options.limit)
        legend = legend_of(samples, classes, options.target)
        cases = _cases(samples, legend)
        dataset, sha256 = samples.dataset, data_sha256(samples)
    served = tuple(target for target in legend.targets if target in TITLES)
    _check(options.model, legend.targets, served)
    journal = RowJournal(
        options.out,
        {
            "task": "segmentation",
            "data": sha256,
            "targets": legend.targets,
            "cases": [case.name for case in cases],
            "classes": options.classes,
            "attribute": options.attribute,
            "model": options.model,
            "sensor": options.sensor,
            "code": code_version(),
        },
        kind="rows",
        key="id",
    )
    rows = score_all(cases, legend.targets, options.sensor, options.model, journal)
    return _report(rows, legend.targets, options, cases, sha256, dataset, journal)


def _files(scene: Path) -> dict[str, Path]:
    """The files of a scene by name."""
    if not scene.is_dir():
        return {scene.name: scene}
    return {path.relative_to(scene).as_posix(): path for path in scene.rglob("*") if path.is_file()}


def _cases(samples: Samples[MaskSample], legend: Legend) -> list[Case]:
    def gold(mask: Path, scene: Scene) -> NDArray[np.uint8]:
        return legend.read(mask)

    return [Case(item.name, item.path, partial(gold, item.mask)) for item in samples.items]


def _check(model: str | None, targets: Sequence[str], served: Sequence[str]) -> None:
    """Find out before the work begins what would fail on every image."""
    if not served:
        raise InputError(
            f"{', '.join(targets)} cannot be segmented by the models at hand; the targets are "
            f"{', '.join(TITLES)}."
        )
    if model is not None and model not in {row.name for row in SPECIALISTS}:
        able = [row.name for row in SPECIALISTS if set(row.targets) & set(served)]
        raise InputError(
            f"There is no model {model!r}; the models for {', '.join(served)} are "
            f"{', '.join(able)}."
        )


def _report(
    rows: list[Row],
    targets: tuple[str, ...],
    options: argparse.Namespace,
    cases: list[Case],
    sha256: str,
    dataset: str | None,
    journal: RowJournal,
) -> Report:
    scores = _scores(rows, targets)
    found = [row["targets"][target] for row in rows for target in targets]
    refused = Counter(each["refused"] for each in found if each["refused"])
    models = {
        target: dict(Counter(str(row["targets"][target]["model"]) for row in rows))
        for target in targets
    }
    size = scores.pixels.sum()
    details: dict[str, Any] = {
        "dataset": dataset,
        "split": options.split,
        "targets": list(targets),
        "models": models,
        "pixels": int(size) // len(targets),
        "hidden_share": sum(each["hidden"] for each in found) / max(size, 1),
        "refused": dict(refused.most_common(10)),
        "calibration": {target: _calibration(rows, target) for target in targets},
        "patch": PATCH,
        "resumed": journal.resumed,
    }
    physical = _physical(rows, targets)
    baselines = scores.baselines() | ({} if physical is None else {"physical": physical})
    return Report(
        task="segmentation",
        n=len(rows),
        metrics=scores.metrics(),
        units="share",
        model=options.model or _chosen(models),
        data_sha256=sha256,
        predictions=[_prediction(row) for row in rows],
        per_type=scores.by_target(),
        baselines=baselines,
        interval_95=scores.intervals(),
        parse_rate=1 - sum(refused.values()) / len(found),
        details=details,
        plots=error_maps(cases, rows, targets, options.sensor, options.model),
        done=journal.done,
    )


def _scores(rows: list[Row], targets: Sequence[str], by: str | None = None) -> Scores:
    """Scores of what was found, or of `by` "physical" where it differs from that."""

    def counts(kind: str) -> NDArray[np.float64]:
        each = [[(row["targets"][t][by] if by else None) or row["targets"][t] for t in targets]
                for row in rows]  # fmt: skip
        return np.array([[one[kind] for one in row] for row in each], np.float64)

    return Scores(targets, counts("pixels"), counts("patches"))


def _calibration(rows: list[Row], target: str) -> dict[str, float] | None:
    """How true the model's confidence and its interval of the area are, over the images.

    Returns:
        Mean confidence beside the share of pixels that were right, and the share of those images
        scored as a whole whose true area lies in its interval, which claims 0.9; None where the
        model gives neither.
    """
    found = [row["targets"][target] for row in rows]
    sure = [each for each in found if each["confidence"] is not None]
    if not sure:
        return None
    pixels = np.array([each["pixels"] for each in sure], np.float64)
    right = (pixels[:, RIGHT] + pixels[:, REST]) / np.maximum(pixels.sum(axis=1), 1)
    told = {
        "confidence": float(np.mean([each["confidence"] for each in sure])),
        "accuracy": float(right.mean()),
    }
    inside = [
        each["interval"][0] <= true <= each["interval"][1]
        for each, true in zip(sure, pixels[:, RIGHT] + pixels[:, MISSED], strict=True)
        if each["interval"] is not None and each["whole"]
    ]
    return told | ({"area_in_interval": float(np.mean(inside))} if inside else {})


def _physical(rows: list[Row], targets: Sequence[str]) -> float | None:
    """The main metric where every learned model gives way to the rule; None if there is no rule."""
    by_rule = [row["targets"][target]["physical"] for row in rows for target in targets]
    if not any(each and each["model"] for each in by_rule):
        return None
    scores = _scores(rows, targets, "physical")
    return scores.metrics()[scores.main]


def _chosen(models: dict[str, dict[str, int]]) -> str:
    """The router's choices, the commonest first: "router: mndwi (40), ndwi (6)"."""
    total: Counter[str] = Counter()
    for each in models.values():
        total.update({name: count for name, count in each.items() if name != "None"})
    return "router: " + ", ".join(f"{name} ({count})" for name, count in total.most_common())


def _prediction(row: Row) -> dict[str, Any]:
    """One line of `predictions.jsonl`."""
    targets: dict[str, Row] = row["targets"]
    iou = {}
    shares: dict[str, dict[str, float]] = {"found": {}, "gold": {}}
    for target, each in targets.items():
        counts = np.array(each["pixels"], np.float64)
        size = max(counts.sum(), 1)
        value = float(figures(counts)["iou"])
        iou[target] = round(value, 4) if np.isfinite(value) else None
        shares["found"][target] = round(float(counts[RIGHT] + counts[EXTRA]) / size, 6)
        shares["gold"][target] = round(float(counts[RIGHT] + counts[MISSED]) / size, 6)
    return {
        "id": row["id"],
        "prediction_raw": targets,
        "prediction_parsed": shares["found"],
        "gold": shares["gold"],
        "iou": iou,
    }
