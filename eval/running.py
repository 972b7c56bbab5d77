"""Asking a model everything on a benchmark: what all tasks share that score given answers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from terralogue.datasets.corruptions import Corruption
from terralogue.datasets.errors import InputError
from terralogue.eval.answerers import Answerer, load_answerer
from terralogue.eval.asks import Ask
from terralogue.eval.journal import Journal
from terralogue.eval.summary import code_version
from terralogue.vlm.vlm import Reading, Task

Value = Callable[[int, Reading], float]
"""Score of one answer for the log, given its place in the run."""


@dataclass(frozen=True)
class Answers:
    """What a model said.

    Attributes:
        readings: in the order of the questions.
        seconds: wall-clock time of each; questions that were asked together share it evenly.
        resumed: how many were there from a run that was cut short.
        done: call when everything is written: the run need not go on.
    """

    readings: list[Reading]
    seconds: list[float]
    resumed: int
    done: Callable[[], None]

    def facts(self, answerer: Answerer, corruption: Corruption | None) -> dict[str, Any]:
        """For the summary."""
        return {
            "corruption": None if corruption is None else str(corruption),
            "seconds_per_answer": sum(self.seconds) / len(self.seconds),
            "resumed_answers": self.resumed,
            "offline": answerer.offline,
            "notes": sorted({note for reading in self.readings for note in reading.notes}),
        }


def answerer_of(options: argparse.Namespace, task: Task, spec: str | None = None) -> Answerer:
    """Load the model that the options name, or another one.

    Raises:
        InputError: unknown, or it cannot do the task.
    """
    answerer = load_answerer(spec or options.model, device=options.device, questions=options.batch)
    if task not in answerer.tasks:
        raise InputError(
            f"{answerer.name} cannot do {task}; it can do: {', '.join(sorted(answerer.tasks))}."
        )
    return answerer


def ask_all(
    answerer: Answerer,
    asks: Sequence[Ask],
    value: Value,
    options: argparse.Namespace,
    *,
    task: str,
    data_sha256: str,
    corruption: Corruption | None = None,
) -> Answers:
    """Ask everything; a run in the same folder that was killed goes on where it ended.

    Args:
        answerer: who answers.
        asks: in the order of the data.
        value: scores one answer for the log.
        options: with `out`, the folder of the results, or None.
        task: name in the log.
        data_sha256: of the data.
        corruption: of the pictures.

    Raises:
        EOError: whatever the model or the pictures raise; what was answered is kept.
        InputError: inspect_ai is not installed.
    """
    try:
        # Optional, and takes seconds to import.
        from terralogue.eval.inspect_run import read_answers
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("inspect_ai"):
            raise
        raise InputError(
            'this task runs on inspect_ai, which is not installed; install "terralogue[eval]".'
        ) from error
    about = {
        "task": task,
        "model": answerer.title,
        "data": data_sha256,
        "asks": [(ask.name, ask.question, ask.sensor) for ask in asks],
        "corruption": str(corruption),
        "code": code_version(),
    }
    journal = Journal(options.out, about)
    resumed = sum(ask.name in journal.known for ask in asks)
    logs = None if options.out is None else options.out / "logs"
    read_answers(
        answerer, asks, value, task=task, journal=journal, corruption=corruption, logs=logs
    )
    found = [journal.known[ask.name] for ask in asks]
    readings, seconds = [reading for reading, _ in found], [took for _, took in found]
    return Answers(readings, seconds, resumed, journal.done)
