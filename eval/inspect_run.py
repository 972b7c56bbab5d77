"""The run itself, on inspect_ai: data set, task, solver, scorer and log are its own.

    inspect view --log-dir OUT/logs

A model of ours is given a piece of the run at a time (questions on neighbouring pictures, which are
opened and encoded once), and one sample of the log holds one piece: inspect_ai needs 5 to 20 ms for
a sample, which is more than the embedded model needs for a question. The mean in the log counts
questions. Models that inspect_ai knows are asked question by question, several at a time; they see
what our chat models see (`vlm_prompts.py`).

Answers are also kept in a journal, from which a run that was killed goes on.
"""

from __future__ import annotations

import base64
import io
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
from inspect_ai import Task as InspectTask
from inspect_ai import eval as inspect_eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText, Model, get_model
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver
from PIL import Image
from tqdm import tqdm

from terralogue.datasets.corruptions import Corruption
from terralogue.datasets.errors import InputError
from terralogue.eval.answerers import PICTURES, Answerer, ByProvider
from terralogue.eval.asks import Ask, chunks, opened
from terralogue.eval.journal import Journal
from terralogue.eval.running import Value
from terralogue.vlm.renderings import Rendering
from terralogue.vlm.vlm import Query
from terralogue.vlm.vlm_prompts import Prompt, prompt_for, reading_of

_CONNECTIONS: Final = 10
_MARKS: Final = re.compile(r"\[/?[a-z ]+\]")


class _Work:
    """What solvers and scorer share."""

    def __init__(
        self,
        answerer: Answerer,
        asks: Sequence[Ask],
        value: Value,
        journal: Journal,
        corruption: Corruption | None,
    ) -> None:
        self.answerer = answerer
        self.asks = asks
        self.value = value
        self.journal = journal
        self.corruption = corruption
        self.failures: list[Exception] = []
        self.bar: Any = None

    def sample(self, piece: range) -> Sample:
        """A piece of the run, as the log shows it."""
        asks = [self.asks[i] for i in piece]
        return Sample(
            id=asks[0].name,
            input="\n".join(ask.question or ask.task for ask in asks),
            target=[" | ".join(ask.gold) for ask in asks],
            metadata={"places": list(piece), "ids": [ask.name for ask in asks]},
        )

    def of(self, state: TaskState) -> list[Ask]:
        """The questions of a sample."""
        return [self.asks[i] for i in state.metadata["places"]]

    def missing(self, asks: Sequence[Ask]) -> list[Ask]:
        """Those that no earlier run answered."""
        return [ask for ask in asks if ask.name not in self.journal.known]

    def finish(self, state: TaskState) -> TaskState:
        """Put the answers where the log shows them."""
        asks = self.of(state)
        state.output.completion = "\n".join(self.journal.known[a.name][0].text for a in asks)
        self.bar.update(len(asks))
        return state

    async def in_thread(self, call: Callable[[], Any]) -> Any:
        """Call, and keep an error, of which inspect_ai passes on the text alone."""
        try:
            return await anyio.to_thread.run_sync(call)
        except Exception as error:
            self.failures.append(error)
            raise


def read_answers(
    answerer: Answerer,
    asks: Sequence[Ask],
    value: Value,
    *,
    task: str,
    journal: Journal,
    corruption: Corruption | None = None,
    logs: Path | None = None,
) -> None:
    """Ask everything, with a progress bar on standard error where that is a terminal.

    Args:
        answerer: who answers.
        asks: in the order of the data.
        value: scores one answer for the log.
        task: name in the log.
        journal: is given the answers, and has those of a run that was cut short.
        corruption: of the pictures.
        logs: folder of the logs; None keeps none.

    Raises:
        EOError: whatever the model or the pictures raise; what was answered stays in the journal.
        KeyboardInterrupt: the run was interrupted.
    """
    work = _Work(answerer, asks, value, journal, corruption)
    resumed = len(asks) - len(work.missing(asks))
    if resumed:
        print(f"going on: {resumed} of {len(asks)} answers are there already", file=sys.stderr)
    model = _provider(answerer.name) if isinstance(answerer, ByProvider) else None
    samples = [work.sample(piece) for piece in chunks(asks, answerer.questions, PICTURES)]
    run = InspectTask(
        name=task,
        dataset=MemoryDataset(samples, name=task),
        solver=pieces(work) if model is None else prompts(work),
        scorer=values(work),
    )
    with (
        tqdm(total=len(asks), desc=task, unit="answer", disable=None, leave=False) as work.bar,
        _folder(logs) as folder,
    ):
        log = inspect_eval(
            run,
            model=model or "none/none",
            display="none",
            log_dir=folder,
            log_images=False,
            log_realtime=False,
            # One piece is answered while the next is being set up.
            max_samples=2 if model is None else _CONNECTIONS,
            score_display=False,
        )[0]
    if work.failures:
        raise work.failures[0]
    if log.status == "cancelled":
        raise KeyboardInterrupt
    if log.status != "success":
        said = log.error.message if log.error else log.status
        raise InputError(f"{answerer.name} could not be scored: {said.rstrip('.')}.")


@solver
def pieces(work: _Work) -> Solver:
    """Answers a piece of the run by a model of ours."""

    def read(asks: list[Ask]) -> None:
        began = time.perf_counter()
        readings = work.answerer.read(asks, work.corruption)
        seconds = (time.perf_counter() - began) / len(asks)
        work.journal.add([ask.name for ask in asks], readings, seconds)

    lock = anyio.Lock()

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        async with lock:
            if missing := work.missing(work.of(state)):
                await work.in_thread(partial(read, missing))
        return work.finish(state)

    return solve


@solver
def prompts(work: _Work) -> Solver:
    """Answers questions by a model of inspect_ai."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        for ask in work.missing(work.of(state)):
            query, prompt, content = await work.in_thread(partial(_prompt, ask, work.corruption))
            state.messages = [ChatMessageUser(content=content)]
            began = time.perf_counter()
            state = await generate(state)
            seconds = time.perf_counter() - began
            reading = reading_of(state.output.completion, query, prompt)
            work.journal.add([ask.name], [reading], seconds)
        return work.finish(state)

    return solve


def _prompt(
    ask: Ask, corruption: Corruption | None
) -> tuple[Query, Prompt, list[ContentText | ContentImage]]:
    """What a chat model is shown; the query keeps no open file."""
    with opened([ask], corruption) as pictures:
        query = ask.query(pictures[0])
        prompt = prompt_for(query)
    content: list[ContentText | ContentImage] = [
        ContentImage(image=_url(part)) if isinstance(part, Rendering) else ContentText(text=part)
        for part in prompt.parts
    ]
    return query, prompt, content


def _url(rendering: Rendering) -> str:
    file = io.BytesIO()
    Image.fromarray(rendering.picture).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


@metric
def mean() -> Metric:
    """Mean over questions, whatever pieces they came in."""

    def compute(scores: list[SampleScore]) -> float:
        listed = [v for each in scores for v in (each.score.metadata or {})["values"]]
        return float(sum(listed) / max(len(listed), 1))

    return compute


@scorer(metrics=[mean()], name="value")
def values(work: _Work) -> Scorer:
    """Scores the questions of a sample."""

    async def score(state: TaskState, target: Target) -> Score:
        places = state.metadata["places"]
        readings = [work.journal.known[ask.name][0] for ask in work.of(state)]
        try:
            found = [float(work.value(i, r)) for i, r in zip(places, readings, strict=True)]
        except Exception as error:
            work.failures.append(error)
            raise
        return Score(
            value=sum(found) / len(found),
            answer=state.output.completion,
            metadata={"values": found},
        )

    return score


def _provider(name: str) -> Model:
    """A model of inspect_ai.

    Raises:
        InputError: unknown, or it lacks a key or a package.
    """
    try:
        model = get_model(name)
    except Exception as error:
        # Providers raise whatever they like, often several lines with marks for a terminal.
        said = " ".join(_MARKS.sub("", str(error)).split()).removeprefix("ERROR: ").rstrip(".")
        raise InputError(f"inspect_ai cannot load {name}: {said}.") from error
    # The usual estimate fetches a vocabulary, also for the mock model; nothing here needs it.
    model.api.count_text_tokens = _words  # type: ignore[method-assign]
    return model


async def _words(text: str) -> int:
    """Tokens of a text, estimated as words."""
    return len(text.split())


@contextmanager
def _folder(logs: Path | None) -> Iterator[str]:
    """Where the log goes; inspect_ai always writes one."""
    if logs is not None:
        yield str(logs)
        return
    with tempfile.TemporaryDirectory(prefix="terralogue-eval-") as folder:
        yield folder
