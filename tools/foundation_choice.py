"""Which model for my sensor and task: what was measured on that sensor first, then what is closest.

    recommend("sentinel2_l2a", "water").text
    terralogue doctor --recommend sentinel2_l2a water

First come the models that are ready to use here (SPECIALISTS, then DETECTORS, which count), by the
accuracy measured on that sensor. Then encoders to train a map on (BACKBONES): those with a
published score on that sensor and task, the best first; then by closest ground sampling distance;
then by how many bands of the sensor they read. Scores of different benchmarks are not compared with
each other: encoders are ranked within each. A U-Net trained from nothing takes part, and wins where
it was best.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Final

from terralogue.datasets.bands import INTERCHANGEABLE, Sensor
from terralogue.datasets.errors import InputError
from terralogue.datasets.sensors import get_sensor
from terralogue.tools.backbone_scores import BENCHMARKS, Benchmark, label
from terralogue.tools.backbones import BACKBONES, Backbone
from terralogue.tools.detectors import COUNTED, DETECTORS
from terralogue.tools.foundation_checkpoints import CHECKPOINTS, why_not
from terralogue.tools.specialist import TITLES
from terralogue.tools.specialists import SPECIALISTS

_SHOWN: Final = 5
_UNLIKE: Final = (
    "IoU of the target, as measured here, and mean IoU over the classes of a benchmark cannot be "
    "compared."
)
# What one word stands for where it was not measured itself.
_RELATED: Final = {"flooded_area": ("water",), "water": ("flooded_area",)}


@dataclass(frozen=True)
class Suggestion:
    """One model.

    Attributes:
        name: that commands take.
        why: one clause.
        score: IoU of the target, or F1 of its boxes (measured here), or mean IoU (published), 0 to
            1; None where not measured.
        ready: usable as it is.
        licence: of the weights; "" where it is part of this package.
        lacks: what is to be done before it can be used.
    """

    name: str
    why: str
    score: float | None
    ready: bool
    licence: str = ""
    lacks: str = "encoder, to be trained"


@dataclass(frozen=True)
class Recommendation:
    """What to use, the best first.

    Attributes:
        sensor: key of SENSORS.
        task: that was asked for.
        models: ready ones, then encoders.
        notes: what was better and cannot be had here, and other things to know.
    """

    sensor: str
    task: str
    models: tuple[Suggestion, ...]
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """For people, one line each."""
        lines = [f"For {self.task} on {self.sensor}:"]
        for number, model in enumerate(self.models, 1):
            kind = "ready" if model.ready else model.lacks
            terms = f", {model.licence}" if model.licence else ""
            lines.append(f"{number}. {model.name} ({kind}{terms}): {model.why}")
        return "\n".join([*lines, *self.notes])


def tasks() -> tuple[str, ...]:
    """Tasks that can be asked for."""
    return tuple(dict.fromkeys([*TITLES, *COUNTED, *(each.task for each in BENCHMARKS)]))


def recommend(sensor: str, task: str) -> Recommendation:
    """Rank the models for a sensor and a task.

    Args:
        sensor: key or alias of SENSORS.
        task: one of `tasks()`.

    Raises:
        InputError: no such sensor or task.
    """
    found = get_sensor(sensor)
    wanted = task.strip().casefold().replace(" ", "_").replace("-", "_")
    if wanted not in tasks():
        raise InputError(f"There is no task {task!r}; the tasks are: {', '.join(tasks())}.")
    ready = [*_ready(found, wanted), *_detectors(found, wanted)]
    benchmarks = _measured(found, wanted)
    encoders = _encoders(found, benchmarks)
    notes = [note for each in benchmarks if (note := _better(each))]
    if benchmarks and any(model.score is not None for model in ready):
        notes.append(_UNLIKE)
    if not encoders:
        notes.append(f"No encoder of the table reads the bands of {found.title}.")
    return Recommendation(found.key, wanted, (*ready, *encoders[:_SHOWN]), tuple(notes))


def print_recommendation(sensor: str, task: str, *, as_json: bool) -> int:
    """Print what `recommend` says; 0.

    Raises:
        InputError: no such sensor or task.
    """
    found = recommend(sensor, task)
    print(json.dumps(asdict(found), indent=2) if as_json else found.text)
    return 0


def _ready(sensor: Sensor, task: str) -> list[Suggestion]:
    """Models of SPECIALISTS that the bands of the sensor allow, the best measured first."""
    scored, others, fetched = [], [], []
    published = {row.name for row in CHECKPOINTS}
    for row in SPECIALISTS:
        if task not in row.targets or not all(sensor.band(name) for name in row.bands):
            continue
        score = row.scores.get(sensor.key)
        if row.name in published:
            absent = why_not(row.name)
            why = "published; not measured here" + (f"; {absent}" if absent else "")
            fetched.append(
                Suggestion(row.name, why, None, absent is None, "Apache-2.0", "to be fetched")
            )
        elif score is None:
            others.append(Suggestion(row.name, "not measured on this sensor", None, True))
        else:
            why = f"IoU {score.iou:.2f} measured on {score.how}"
            scored.append(Suggestion(row.name, why, score.iou, True))
    scored.sort(key=lambda each: -(each.score or 0))
    return [*(scored or others)[:_SHOWN], *fetched]


def _detectors(sensor: Sensor, task: str) -> list[Suggestion]:
    """Models of DETECTORS that find such things with the bands of the sensor."""
    found = []
    for row in DETECTORS:
        if task not in row.pixels or not all(sensor.band(name) for name in row.bands):
            continue
        if row.sensors and sensor.key not in row.sensors:
            continue
        if sensor.gsd is not None and sensor.gsd > row.limit(task):
            continue
        score = row.scores.get(task)
        why = f"F1 {score.f1:.2f} measured on {score.how}" if score else "not measured"
        found.append(Suggestion(row.name, f"counts: {why}", score.f1 if score else None, True))
    return found


def _measured(sensor: Sensor, task: str) -> list[Benchmark]:
    """Benchmarks of the task on the sensor; of a related task where there are none."""
    for words in ((task,), _RELATED.get(task, ())):
        there = [b for b in BENCHMARKS if b.task in words and sensor.key in b.sensors]
        if there:
            return there
    return []


def _encoders(sensor: Sensor, benchmarks: list[Benchmark]) -> list[Suggestion]:
    ranked = []
    for row in BACKBONES:
        if row.bands and not all(_has(sensor, name, row) for name in row.bands):
            continue
        if not row.bands and row.file and not _any_bands(sensor, row):
            continue
        places = [_place(row.name, each) for each in benchmarks if row.name in each.scores]
        best = min(places, default=None)
        if best is None and not row.file:
            continue
        distance = _distance(row, sensor)
        read = len(row.bands) or len(sensor.bands)
        key = (best is None, best or (0, 0.0, ""), sensor.key not in row.sensors, distance, -read)
        ranked.append((key, row, best))
    ranked.sort(key=lambda each: each[0])
    return [_suggest(row, best, sensor) for _, row, best in ranked]


def _place(name: str, benchmark: Benchmark) -> tuple[int, float, str]:
    """Rank of an encoder among those of a benchmark that can be had, its score, and where."""
    ours = [score for model, score in benchmark.scores.items() if ":" in model]
    score = benchmark.scores[name]
    return sum(each > score for each in ours), -score, f"{benchmark.name} ({benchmark.suite})"


def _suggest(row: Backbone, best: tuple[int, float, str] | None, sensor: Sensor) -> Suggestion:
    if best is not None:
        _, negative, where = best
        why = f"{row.title}, mean IoU {-negative:.1f} % published on {where}"
        return Suggestion(row.name, why, -negative / 100, False, row.licence)
    near = "trained on this sensor" if sensor.key in row.sensors else f"trained at {row.gsd:g} m"
    count = len(row.bands) or "any"
    why = f"{row.title}, no score published for this; {near}, reads {count} bands"
    return Suggestion(row.name, why, None, False, row.licence)


def _better(benchmark: Benchmark) -> str:
    """What cannot be had here and was better than all that can; "" where nothing was."""
    ours = [score for model, score in benchmark.scores.items() if ":" in model]
    best = max(benchmark.scores, key=lambda model: benchmark.scores[model])
    if ":" in best:
        return ""
    margin = f" (best of the list: {max(ours):.1f} %)" if ours else ""
    return (
        f"On {benchmark.name} ({benchmark.suite}) {label(best)} reached "
        f"{benchmark.scores[best]:.1f} %{margin}; it is not offered here."
    )


def _has(sensor: Sensor, name: str, row: Backbone) -> bool:
    if name == "B10" and sensor.key == "sentinel2_l2a":
        return False  # the product leaves cirrus out
    other = INTERCHANGEABLE.get(name, name)
    return sensor.band(name) is not None or (
        other not in row.bands and sensor.band(other) is not None
    )


def _any_bands(sensor: Sensor, row: Backbone) -> bool:
    radar = sensor.bands[0].kind == "sar"
    if radar:
        return row.family != "panopticon"
    return any(band.kind == "optical" and band.wavelength for band in sensor.bands)


def _distance(row: Backbone, sensor: Sensor) -> float:
    """Octaves between the ground sampling distances; 0 where the sensor's varies."""
    if not sensor.gsd or not row.gsd:
        return 0.0
    return abs(math.log2(row.gsd / sensor.gsd))
