"""Whole conversations with the agent, on simulated scenes with known truth.

    terralogue eval agent --data dialogues.jsonl [--model PLANNER] [--limit N] [--out DIR]

Rows as `datasets/dialogue_build.py` writes them; `--data package` takes those of the package. A
conversation that can be answered is right where its last answer holds the figure that was asked for
within five per cent of the truth, an area being that of the painted ground and not of whole
pixels; one that cannot is right where the agent declines, asks, or says that it is not sure. Beside
that: whether the tools of the last turn and their target were those that the row accepts (ThinkGeo
and Earth-Bench score tool order and arguments alike), tool calls taken, and figures in answers that
no result holds, which a check of its own looks for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tqdm import tqdm

from terralogue.agent.answer import Answer, Finished
from terralogue.agent.figures import UnsupportedFigureError, check_figures
from terralogue.agent.planner import DEFAULT
from terralogue.datasets.dialogue_build import FILE
from terralogue.datasets.errors import EOError, InputError
from terralogue.eval.dialogue_scenes import Staged, outlined, stage, true_figure
from terralogue.eval.summary import Figures, Report, files_sha256, interval, resamples, share

if TYPE_CHECKING:
    from terralogue.agent.session import ChatSession

CLOSE: Final = 0.05
"""Relative distance from the truth that passes."""
PACKAGE: Final = "package"


@dataclass(frozen=True)
class Held:
    """A conversation that was held.

    Attributes:
        row: of the data.
        last: the agent's last answer; None where the turn ended in an error.
        said: its words, or those of the error.
        truth: figure that was asked for; None where the agent had to decline.
        figure: that the answer gives under the name and unit asked for.
        made_up: a number of the answers that no result holds, "" if there is none.
        seconds: of all turns.
    """

    row: Mapping[str, Any]
    last: Answer | None
    said: str
    truth: float | None
    figure: float | None
    made_up: str
    seconds: float

    @property
    def right(self) -> bool:
        """Whether it ended as it had to."""
        if self.truth is None:
            return self.declined
        return self.figure is not None and abs(self.figure - self.truth) <= CLOSE * abs(self.truth)

    @property
    def declined(self) -> bool:
        """Whether the agent asked, declined, or said that it is not sure."""
        from terralogue.agent.said import NOT_SURE

        if self.last is None or self.last.route in ("clarify", "refuse"):
            return True
        return self.last.answer.startswith(NOT_SURE) and not self.last.measurements

    @property
    def tools(self) -> list[str]:
        """Tools of the last turn."""
        return [call.tool for call in self.last.plan] if self.last else []

    @property
    def tool_right(self) -> bool | None:
        """Whether one acceptable tool was called, with the target; None where none matters."""
        gold = self.row["gold"]
        if not gold["tools"]:
            return None
        if self.last is None or len(self.tools) != 1 or self.tools[0] not in gold["tools"]:
            return False
        target = self.last.plan[0].arguments.get("target")
        return gold["target"] in (None, target)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this task."""
    add = parser.add_argument
    add("--model", metavar="PLANNER", default=DEFAULT, help=f"planner (default {DEFAULT})")


def run(options: argparse.Namespace) -> Report:
    """Hold the conversations and score them.

    Raises:
        InputError: the data cannot be read, or the planner is not known.
    """
    path = FILE if str(options.data) == PACKAGE else Path(options.data)
    rows = _rows(path)
    if options.limit:
        rows = rows[:: max(1, len(rows) // options.limit)][: options.limit]
    held = list(hold(rows, options.model))
    return _report(held, options.model, files_sha256({path.name: path}))


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
        for row in rows:
            row["id"], row["scenes"], row["turns"][0]["say"], row["gold"]["outcome"]
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}; give a file of conversations, or "
            f"{PACKAGE!r} for those of the package"
        ) from error
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"{path} does not hold conversations ({error}); write them as dialogue_build does"
        ) from error
    if not rows:
        raise InputError(f"{path} holds no conversation")
    return rows


def hold(rows: Sequence[Mapping[str, Any]], planner: str) -> Iterable[Held]:
    """Hold conversations one after the other in a home of their own."""
    # Brings langgraph and the tools.
    from terralogue.agent.session import ChatSession

    for row in tqdm(rows, desc="conversations", unit="", disable=None):
        with (
            tempfile.TemporaryDirectory(prefix="terralogue-dialogue-") as folder,
            ChatSession(home=Path(folder) / "home", planner=planner) as session,
        ):
            yield _held(session, row, Path(folder))


def _held(session: ChatSession, row: Mapping[str, Any], folder: Path) -> Held:
    scenes = [stage(each, folder, number) for number, each in enumerate(row["scenes"])]
    began, said, made_up = time.perf_counter(), "", ""
    last: Answer | None = None
    box = row["turns"][0].get("region")
    for turn in row["turns"]:
        try:
            last = asyncio.run(_asked(session, turn, scenes, box))
            said = last.answer
            made_up = made_up or _made_up(last, row)
        except EOError as error:
            last, said = None, str(error)
    gold, figure, truth = row["gold"], None, None
    if gold["outcome"] == "figure":
        truth = true_figure(gold, scenes, box)
        found = [m for m in last.measurements if _is(m, gold)] if last else []
        figure = found[0].value if found else None
    seconds = time.perf_counter() - began
    return Held(row, last, said, truth, figure, made_up, seconds)


def _is(measurement: Any, gold: Mapping[str, Any]) -> bool:
    """Whether a measurement is what was asked for; change calls an area what it is of."""
    names = {gold["name"], "gain_area"} if gold["name"] == "area" else {gold["name"]}
    return measurement.name in names and bool(measurement.unit == gold["unit"])


async def _asked(
    session: ChatSession,
    turn: Mapping[str, Any],
    scenes: Sequence[Staged],
    box: Sequence[float] | None,
) -> Answer:
    given = [scenes[number].path for number in turn["scenes"]]
    region = outlined(given[0], box) if box and turn.get("region") else None
    stream = session.stream(turn["say"] or None, given, region=region)
    async with aclosing(stream) as events:
        async for event in events:
            if isinstance(event, Finished):
                return event.answer
    raise RuntimeError("the turn ended without an answer")


def _made_up(answer: Answer, row: Mapping[str, Any]) -> str:
    """A number in what is said of the ground that no figure or the question holds, "" if none.

    The product checks its whole text before it is said; this looks again, with the answer alone,
    at everything before the paragraph that quotes the method.
    """
    if not answer.measurements:
        return ""
    known = [answer.model_dump(mode="json", exclude={"answer"}), dict(row)]
    try:
        check_figures(answer.answer.partition("\nHow:")[0], known)
    except UnsupportedFigureError as error:
        return str(error)
    return ""


def _report(held: Sequence[Held], planner: str, data: str) -> Report:
    answerable = [each for each in held if each.truth is not None]
    others = [each for each in held if each.truth is None]
    chosen = [each.tool_right for each in answerable if each.tool_right is not None]
    right = np.array([each.right for each in held])
    metrics: Figures = {
        "answered_right": share([each.right for each in answerable]),
        "declined_right": share([each.right for each in others]),
        "tool_accuracy": share([bool(each) for each in chosen]),
        "calls": float(np.mean([len(each.tools) for each in answerable])) if answerable else None,
        "median_error": _median_error(answerable),
        "made_up": sum(bool(each.made_up) for each in held),
        "seconds": float(np.median([each.seconds for each in held])),
    }
    kinds = dict.fromkeys(each.row["kind"] for each in held)
    return Report(
        task="agent",
        n=len(held),
        metrics=metrics,
        units="share",
        model=planner,
        data_sha256=data,
        predictions=[_prediction(each) for each in held],
        per_type={kind: _of_kind([e for e in held if e.row["kind"] == kind]) for kind in kinds},
        interval_95={"right": interval(resamples(len(held)) @ right / len(held))},
        details={"right": float(right.mean())},
    )


def _median_error(answerable: Sequence[Held]) -> float | None:
    errors = [
        abs(each.figure - each.truth) / abs(each.truth)
        for each in answerable
        if each.figure is not None and each.truth
    ]
    return float(np.median(errors)) if errors else None


def _of_kind(held: Sequence[Held]) -> Figures:
    return {
        "n": len(held),
        "accuracy": share([each.right for each in held]),
        "tool_accuracy": share([e.tool_right for e in held if e.tool_right is not None]),
        "median_error": _median_error([each for each in held if each.truth is not None]),
    }


def _prediction(held: Held) -> dict[str, Any]:
    return {
        "id": held.row["id"],
        "said": [turn["say"] for turn in held.row["turns"]],
        "prediction_raw": held.said,
        "prediction_parsed": held.figure if held.truth is not None else held.declined,
        "gold": held.truth if held.truth is not None else "declined",
        "right": held.right,
        "route": held.last.route if held.last else None,
        "tools": held.tools,
        "made_up": held.made_up,
        "seconds": round(held.seconds, 2),
    }
