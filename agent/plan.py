"""What the agent decided to do: routes, tool calls, and the facts that the decision rests on."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from terralogue.datasets.errors import MissingSlot, RefusalReason

Route = Literal["answer", "tools", "clarify", "refuse"]
LAST: Final = "last"
"""As an artefact: the newest data file of the conversation when the call is made."""
_RESULT: Final = "result "
LookTask = Literal["qa", "caption", "grounding", "explain"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SceneFacts(_Model):
    """What a planner may know of one scene, opened or only declared."""

    id: str
    name: str = ""
    sensor: str | None = Field(default=None, description="Key or alias in SENSORS; None: unknown")
    bands: tuple[str, ...] = Field(default=(), description="spyndex short names, such as G, N, S1")
    georeferenced: bool = True
    date: str | None = Field(
        default=None, description="YYYY-MM-DD; YYYY or YYYY-MM where no more is known"
    )
    gsd: float | None = Field(default=None, description="Metres per pixel")
    calibrated: bool = True
    sensor_question: str | None = None
    sensor_options: tuple[str, ...] = ()


class Turn(_Model):
    """One earlier message of the conversation."""

    role: Literal["user", "assistant"]
    content: str


class Inputs(_Model):
    """Everything a planner sees beside the words."""

    scenes: tuple[SceneFacts, ...] = ()
    archive: bool = False
    point: tuple[float, float] | None = Field(
        default=None, description="x, y: column and row of the first scene's preview, or of the map"
    )
    region: dict[str, Any] | None = Field(default=None, description="GeoJSON")
    history: tuple[Turn, ...] = ()
    last_artefact: str | None = Field(default=None, description="Newest artefact id of the thread")


class ToolCall(_Model):
    """One MCP call."""

    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)


def result_of(number: int) -> str:
    """As an artefact: the data file that the call of this number, from 1, of the plan makes."""
    return f"{_RESULT}{number}"


def result_number(artefact: str) -> int | None:
    """The number that `result_of` wrote; None for any other artefact."""
    number = artefact.removeprefix(_RESULT)
    return int(number) if number != artefact and number.isdigit() else None


class Plan(_Model):
    """A decision, the same from every planner."""

    route: Route
    interpretation: str = Field(description="The question as understood, in plain words")
    calls: tuple[ToolCall, ...] = ()
    target: str | None = None
    task: LookTask | None = Field(
        default=None, description="answer: what is wanted of the image, or of an earlier result"
    )
    scenes: tuple[str, ...] = Field(
        default=(), description="answer: ids of the scenes to look at, in order of time"
    )
    question: str | None = Field(default=None, description="clarify: the question to ask")
    options: tuple[str, ...] = Field(default=(), description="clarify: answers to choose from")
    missing_slot: MissingSlot | None = None
    reason: RefusalReason | None = None
    message: str | None = Field(
        default=None, description="refuse: why, and what would make it possible"
    )
    confidence: float | None = Field(default=None, description="Calibrated, or absent")
    warnings: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = Field(
        default=(), description="Other readings, the likeliest first, to be sent as a correction"
    )
    planner: str = Field(default="", description="Which planner decided, in a few words")
