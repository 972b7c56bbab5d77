"""What the conversation remembers between steps and between turns: plain JSON, never pixels."""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal, TypedDict


class Message(TypedDict):
    """One line of the conversation."""

    role: Literal["user", "assistant"]
    content: str


class State(TypedDict, total=False):
    """One thread. The first part lasts for the whole conversation, the second for one turn."""

    thread: str
    messages: Annotated[list[Message], operator.add]
    scenes: list[str]
    """Ids of the scenes that questions are about, until others are given."""
    region: dict[str, Any] | None
    """GeoJSON that questions are confined to, until other scenes or another region are given."""
    last_artefact: str | None
    """Id of the newest data file, for "export that"."""
    looked: str
    """What the latest look at a picture rested on, in a sentence."""
    measured: list[dict[str, Any]]
    """The latest calls with their results and what was known of the scenes, to be used again."""

    asked: str
    """The question, as the person typed it."""
    wordings: list[str]
    """Ways to read the question, tried in turn: after a reply, question and reply together."""
    before: int
    """How many messages there were before this turn."""
    point: list[float] | None
    notes: list[str]
    """What the session itself has to tell, such as that an earlier turn was left unfinished."""
    plan: dict[str, Any] | None
    results: list[dict[str, Any]]
    """One typed tool result per call that is done."""
    stop: dict[str, Any] | None
    """Message and details of the error that ended the turn early; see `errors.from_details`."""
    reading: dict[str, Any] | None
    """What an image-reading model said, or null."""
    timings: dict[str, float]
    answer: dict[str, Any] | None


Update = dict[str, Any]


def new_turn(thread: str, question: str, **changes: Any) -> Update:
    """The input that begins a turn: everything of the last one is forgotten.

    Args:
        thread: id of the conversation.
        question: as typed.
        changes: what changes in the lasting part, and `notes`, `point`, `before`.
    """
    return {
        "thread": thread,
        "messages": [Message(role="user", content=question)],
        "asked": question,
        "wordings": [question],
        "before": 0,
        "point": None,
        "notes": [],
        "plan": None,
        "results": [],
        "stop": None,
        "reading": None,
        "timings": {},
        "answer": None,
        **changes,
    }
