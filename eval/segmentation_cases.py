"""One picture of a segmentation benchmark: what `segment` finds on it, counted against the gold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.errors import EOError, InputError, SceneError
from terralogue.datasets.mask_sets import IGNORED
from terralogue.datasets.scene import Scene
from terralogue.eval.segmentation_scores import patch_counts, pixel_counts
from terralogue.tools.baselines import UNSEEN, YES
from terralogue.tools.dense_graded import GradedModel
from terralogue.tools.masks import Finding, find_target
from terralogue.tools.run import Run
from terralogue.tools.specialists import SPECIALISTS, choose
from terralogue.tools.store import Store

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A scene, and what is true of it.

    Attributes:
        name: unique within the data.
        path: file or folder of the scene.
        gold: gives the truth on the scene's pixels: uint8 (H, W), 0 none of the targets, k + 1
            the k-th, 255 not scored.
    """

    name: str
    path: Path
    gold: Callable[[Scene], NDArray[np.uint8]]


@dataclass(frozen=True)
class Found:
    """What `segment` said of one target: its mask uint8 (H, W), or why there is none.

    `interval` holds the ends of the area in pixels, where the model gives them.
    """

    mask: NDArray[np.uint8]
    model: str | None = None
    confidence: float | None = None
    interval: tuple[float, float] | None = None
    refused: EOError | None = None


@dataclass(frozen=True)
class Bench:
    """One scene in a workspace of its own."""

    store: Store
    scene_id: str

    @property
    def scene(self) -> Scene:
        """The scene."""
        return self.store.open(self.scene_id)

    def find(self, target: str, model: str | None) -> Found:
        """Find as `segment` does for a person, by the model named or by the router's choice.

        Raises:
            SceneError: the scene cannot be read.
        """
        scene = self.scene
        try:
            with Run(self.store, (self.scene_id,)) as run:
                found = find_target(scene, target, run=run, model=model)
                run.take_back()
        except SceneError:
            raise
        except EOError as error:
            return Found(np.zeros((scene.height, scene.width), np.uint8), refused=error)
        name = found.choice.specialist.name
        return Found(found.mask, name, found.expectation.confidence, _interval(found))

    def rule(self, target: str) -> str | None:
        """The physical rule that the router would take; None where none serves."""
        try:
            return choose(self.scene, target, physical=True).specialist.name
        except EOError:
            return None


def _interval(found: Finding) -> tuple[float, float] | None:
    """The ends of the area that `segment` would give, in pixels."""
    model, tally = found.model, found.tally
    if not isinstance(model, GradedModel) or model.area_factors is None:
        return None
    area = tally.size("target", "m2", called="area", label="", method="")
    told = found.expectation.interval(area, model.area_factors, "m2")
    ends = {each.name.removeprefix(f"{area.name}_"): each.value for each in told}
    pixel = tally.amount("region") / tally.pixels["region"]
    return (ends["low"] / pixel, ends["high"] / pixel) if {"low", "high"} <= set(ends) else None


@contextmanager
def bench(path: Path, sensor: str | None) -> Iterator[Bench]:
    """A scene in a workspace that is removed afterwards."""
    with TemporaryDirectory(prefix="terralogue-eval-") as folder:
        store = Store(Path(folder))
        scene_id = store.add_scene(path, sensor=sensor)
        yield Bench(store, scene_id)
        store.open(scene_id).close()


def score(case: Case, targets: Sequence[str], sensor: str | None, model: str | None) -> Row:
    """Counts for every target, JSON-compatible; `physical` has the rule's where none was used.

    Pixels that the tool does not judge (under cloud, or where it refused) count as not found.

    Raises:
        InputError: the truth has another size than the scene.
        SceneError: the scene cannot be read.
    """
    rows: Row = {}
    with bench(case.path, sensor) as here:
        gold = case.gold(here.scene)
        if gold.shape != (here.scene.height, here.scene.width):
            raise InputError(
                f"The mask of {case.name} has {gold.shape[1]} x {gold.shape[0]} pixels, the "
                f"picture {here.scene.width} x {here.scene.height}; they must be the same."
            )
        for k, target in enumerate(targets):
            found = here.find(target, model)
            rows[target] = _counted(found, gold, k + 1)
            rows[target]["physical"] = None
            if found.model is None or _learned(found.model):
                rule = here.rule(target)
                by_rule = here.find(target, rule) if rule else Found(np.zeros_like(gold))
                rows[target]["physical"] = _counted(by_rule, gold, k + 1)
    return {"id": case.name, "targets": rows}


def _learned(model: str) -> bool:
    return any(row.name == model and row.learned for row in SPECIALISTS)


def _counted(found: Found, gold: NDArray[np.uint8], number: int) -> Row:
    """What goes into the log of one target."""
    hit, is_target, scored = found.mask == YES, gold == number, gold != IGNORED
    return {
        "model": found.model,
        "confidence": found.confidence,
        "interval": found.interval,
        "refused": None if found.refused is None else str(found.refused),
        "pixels": pixel_counts(hit, is_target, scored),
        "patches": patch_counts(hit, is_target, scored),
        "whole": bool(scored.all()),
        "hidden": int(((found.mask == UNSEEN) & scored).sum()),
    }
