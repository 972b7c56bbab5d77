"""Who answers on a benchmark: a vision-language model, the whole agent, or a model of inspect_ai.

load_answerer("embedded")               # also hf:…, openai:<base url>#<model>
load_answerer("agent")                  # a ChatSession, which answers or measures
load_answerer("openai/gpt-4o")          # any provider of inspect_ai, such as mockllm/model
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from terralogue.agent.answer import Answer
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
    """The whole agent: every question is a conversation of its own, of one turn."""

    name = AGENT
    tasks = frozenset({"qa", "caption"})
    questions = 1

    def __init__(self, session: ChatSession | None = None) -> None:
        # Brings langgraph and the tools.
        from terralogue.agent.session import ChatSession

        self._home = tempfile.TemporaryDirectory(prefix="terralogue-eval-")
        self._session = session or ChatSession(home=Path(self._home.name))

    def read(self, asks: Sequence[Ask], corruption: Corruption | None) -> list[Reading]:
        """Ask; a question back or a refusal is an answer that it is not sure of."""
        return [self._one(ask, corruption) for ask in asks]

    def _one(self, ask: Ask, corruption: Corruption | None) -> Reading:
        session = self._session or ChatSession(home=Path(self._home.name))
        listed = [f"{a}. {text}" for a, text in zip(ascii_uppercase, ask.options, strict=False)]
        question = "\n".join([ask.question or "Describe this image.", *listed])
        try:
            with opened([ask], corruption) as pictures:
                scenes = [
                    self._file(ask, i, corruption is not None, picture)
                    for i, picture in enumerate(pictures[0])
                ]
            answer = session.ask(question, scenes, sensor=ask.sensor)
        except (ClarifyError, RefusalError) as error:
            return Reading("", sure=False, doubt=str(error))
        return reading_of(answer)

    def _file(self, ask: Ask, number: int, corrupted: bool, picture: object) -> Path:
        """The file of a picture; one that was corrupted is written first."""
        if not corrupted:
            return ask.paths[number]
        if not isinstance(picture, np.ndarray):
            raise InputError(
                f"{ask.paths[number]} is a scene, which the agent cannot be shown corrupted; leave "
                "--corrupt away, or give another --model."
            )
        path = Path(self._home.name) / f"corrupted_{number}.png"
        Image.fromarray(np.moveaxis(picture, 0, -1)).save(path)
        return path


def reading_of(answer: Answer) -> Reading:
    """What the agent said, as a reading: the figure where it counted, else its first sentence."""
    if answer.route not in ("answer", "tools"):
        return Reading("", sure=False, doubt=answer.answer)
    counted = [m for m in answer.measurements if m.unit in ("", "count", "objects")]
    text = f"{counted[0].value:g}" if counted else answer.answer.split("\n")[0]
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
    if spec == AGENT:
        return ByAgent()
    if spec.partition(":")[0] in VLMS:
        return ByVLM(load_vlm(spec, device=device), questions)
    if "/" in spec:
        return ByProvider(spec)
    raise InputError(
        f"unknown model {spec!r}; give one of: embedded, embedded:<folder>, hf:<repo or folder>"
        "[+lora:<folder>], openai:<base url>#<model>, agent, or <provider>/<model> of inspect_ai."
    )
