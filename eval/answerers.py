"""Who answers on a benchmark: a vision-language model, the whole agent, or a model of inspect_ai.

load_answerer("embedded")               # also gemma, hf:…, openai:<base url>#<model>
load_answerer("agent")                  # a ChatSession, which answers or measures
load_answerer("openai/gpt-4o")          # any provider of inspect_ai, such as mockllm/model
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from secrets import token_hex
from string import ascii_uppercase
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from terralogue.agent.answer import Answer, Finished
from terralogue.datasets.corruptions import Corruption
from terralogue.datasets.errors import ClarifyError, InputError, RefusalError
from terralogue.eval.asks import Ask, opened
from terralogue.vlm.vlm import VLM, VLMS, Reading, Task, load_vlm

if TYPE_CHECKING:
    from terralogue.agent.session import ChatSession

AGENT: Final = "agent"
QUESTIONS: Final = 64
PICTURES: Final = 32


class Answerer(ABC):
    """Answers questions of a benchmark.

    Attributes:
        name: specification.
        fingerprint: of the weights; "" where unknown.
        tasks: what it can do.
        offline: whether pictures stay on this machine.
        questions: how many it is given at a time.
    """

    name: str
    fingerprint: str = ""
    tasks: frozenset[Task] = frozenset({"qa", "caption", "grounding"})
    offline: bool = True
    questions: int = QUESTIONS

    @property
    def title(self) -> str:
        """How a summary names it."""
        return f"{self.name} ({self.fingerprint})" if self.fingerprint else self.name

    @abstractmethod
    def read(self, asks: Sequence[Ask], corruption: Corruption | None) -> list[Reading]:
        """Answer questions together.

        Raises:
            EOError: a picture cannot be read, or a question cannot be taken.
        """


class ByVLM(Answerer):
    """A vision-language model of ours."""

    def __init__(self, vlm: VLM, questions: int = QUESTIONS) -> None:
        self.vlm = vlm
        self.name, self.fingerprint = vlm.name, vlm.fingerprint
        self.tasks, self.offline = vlm.tasks, vlm.offline
        self.questions = questions

    def read(self, asks: Sequence[Ask], corruption: Corruption | None) -> list[Reading]:
        """Open the pictures and ask."""
        with opened(asks, corruption) as pictures:
            queries = [ask.query(each) for ask, each in zip(asks, pictures, strict=True)]
            return self.vlm.answer_batch(queries)


class ByAgent(Answerer):
    """The whole agent: every question is a conversation of its own, of one turn.

    Args:
        name: "agent", or "agent:<model>" with the model that reads pictures.
    """

    tasks = frozenset({"qa", "caption"})
    questions = 16

    def __init__(self, name: str = AGENT) -> None:
        self.name = name

    def read(self, asks: Sequence[Ask], corruption: Corruption | None) -> list[Reading]:
        """Ask; a question back and a refusal are no answers."""
        # Brings langgraph and the tools.
        from terralogue.agent.session import ChatSession

        vlm = self.name.partition(":")[2] or "embedded"
        with (
            tempfile.TemporaryDirectory(prefix="terralogue-eval-") as folder,
            ChatSession(home=Path(folder) / "home", vlm=vlm) as session,
        ):
            return [_asked(session, ask, corruption, Path(folder)) for ask in asks]


def _asked(session: ChatSession, ask: Ask, corruption: Corruption | None, folder: Path) -> Reading:
    listed = [f"{a}. {text}" for a, text in zip(ascii_uppercase, ask.options, strict=False)]
    question = "\n".join([ask.question or "Describe this image.", *listed])
    scenes = list(ask.paths) if corruption is None else _written(ask, corruption, folder)

    async def last() -> Answer:
        turn = session.stream(
            question, scenes, sensor=ask.sensor, date=ask.dates or None, thread=token_hex(8)
        )
        async with aclosing(turn) as events:
            async for event in events:
                if isinstance(event, Finished):
                    return event.answer
        raise RuntimeError("the turn ended without an answer")

    try:
        return reading_of(asyncio.run(last()))
    except (ClarifyError, RefusalError) as error:
        return Reading("", sure=False, doubt=str(error))


def _written(ask: Ask, corruption: Corruption, folder: Path) -> list[Path]:
    """Files of the corrupted pictures.

    Raises:
        InputError: a scene, which cannot be written with its bands.
    """
    paths = []
    with opened([ask], corruption) as pictures:
        for number, picture in enumerate(pictures[0]):
            if not isinstance(picture, np.ndarray):
                raise InputError(
                    f"{ask.paths[number]} is a scene, which the agent cannot be shown corrupted; "
                    "leave --corrupt away, or give another --model."
                )
            # Every picture has its own name, by which the agent knows scenes.
            paths.append(folder / f"{token_hex(8)}.png")
            Image.fromarray(np.moveaxis(picture, 0, -1)).save(paths[-1])
    return paths


def reading_of(answer: Answer) -> Reading:
    """What the agent said, as a reading: the figure where it counted, else its first sentence.

    Where it is not sure, the guess that it names, like that of any other model, else "".
    """
    # Brings the world of the agent.
    from terralogue.agent.said import NOT_SURE, guess_in

    if answer.route not in ("answer", "tools"):
        return Reading("", sure=False, doubt=answer.answer)
    if answer.answer.startswith(NOT_SURE):
        guess, confidence = guess_in(answer.answer)
        return Reading(guess, confidence, sure=False, doubt=answer.answer, notes=answer.warnings)
    counts = [m.value for m in answer.measurements if m.name == "count"]
    text = f"{counts[0]:g}" if counts else re.split(r"(?<=[.!?])\s", answer.answer, maxsplit=1)[0]
    return Reading(text, confidence=answer.confidence, notes=answer.warnings)


class ByProvider(Answerer):
    """A model that inspect_ai knows, which is asked by inspect_ai itself.

    Attributes:
        name: `<provider>/<model>` of inspect_ai.
    """

    offline = False
    questions = 1

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, asks: Sequence[Ask], corruption: Corruption | None) -> list[Reading]:
        """Never called: see `inspect_run.py`."""
        raise NotImplementedError


def load_answerer(spec: str, *, device: str = "cpu", questions: int = QUESTIONS) -> Answerer:
    """Load who answers, by specification.

    Args:
        spec: of `load_vlm`, "agent", or `<provider>/<model>` of inspect_ai.
        device: of torch.
        questions: how many a model of ours is given at a time.

    Raises:
        InputError: unknown, or it cannot be loaded.
    """
    if spec.partition(":")[0] == AGENT:
        return ByAgent(spec)
    if spec.partition(":")[0] in VLMS:
        return ByVLM(load_vlm(spec, device=device), questions)
    if "/" in spec:
        return ByProvider(spec)
    raise InputError(
        f"unknown model {spec!r}; give one of: embedded, embedded:<folder>, gemma, "
        "gemma:<folder>, hf:<repo or folder>[+lora:<folder>], openai:<base url>#<model>, agent, "
        "agent:<one of these>, or <provider>/<model> of inspect_ai."
    )
