"""The answer object (what `ask --json` prints) and the typed events that lead to it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from terralogue.agent.plan import Route, ToolCall
from terralogue.datasets.errors import MissingSlot, RefusalReason

EXIT_CODES: dict[Route, int] = {"answer": 0, "tools": 0, "clarify": 3, "refuse": 4}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AnswerMeasurement(_Model):
    """One figure; `artefact` is the path of the file it was read from."""

    name: str
    value: float
    unit: str
    method: str
    artefact: str | None = None
    label: str = ""


class AnswerArtefact(_Model):
    """One file to download."""

    id: str
    kind: str
    title: str = ""
    path: str
    media_type: str


class Answer(_Model):
    """One turn of the conversation, answered."""

    thread: str
    question: str
    interpretation: str
    route: Route
    plan: tuple[ToolCall, ...] = ()
    answer: str
    confidence: float | None = None
    measurements: tuple[AnswerMeasurement, ...] = ()
    artefacts: tuple[AnswerArtefact, ...] = ()
    warnings: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    missing_slot: MissingSlot | None = None
    reason: RefusalReason | None = None
    timings: dict[str, float] = Field(default_factory=dict, description="Seconds by step")

    @property
    def exit_code(self) -> int:
        """0 answered, 3 clarify, 4 refuse."""
        return EXIT_CODES[self.route]


class Understood(_Model):
    """The plan is made."""

    type: Literal["understood"] = "understood"
    route: Route
    interpretation: str
    plan: tuple[ToolCall, ...] = ()


class ToolStarted(_Model):
    """A tool call begins."""

    type: Literal["tool_started"] = "tool_started"
    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class ToolProgress(_Model):
    """A tool call has done `done` of `total` parts."""

    type: Literal["tool_progress"] = "tool_progress"
    tool: str
    done: float
    total: float | None
    message: str = ""


class ToolFinished(_Model):
    """A tool call ended, with a result or with a sentence that says why not."""

    type: Literal["tool_finished"] = "tool_finished"
    tool: str
    ok: bool
    summary: str


class Finished(_Model):
    """The turn is over."""

    type: Literal["finished"] = "finished"
    answer: Answer


Event = Understood | ToolStarted | ToolProgress | ToolFinished | Finished
