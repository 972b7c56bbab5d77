"""The steps of a turn as a person sees them: from typed events to titles, states and progress."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal

from terralogue.agent.answer import Event, ToolFinished, ToolProgress, ToolStarted, Understood
from terralogue.agent.plan import ToolCall

_TELLING = ("target", "index", "quantity", "format")
_ROUTES = {
    "tools": "Understood",
    "answer": "Understood",
    "clarify": "One question first",
    "refuse": "Not possible like this",
}


@dataclass
class Step:
    """One step.

    Attributes:
        title: In a few words.
        text: What it is about, or what came of it.
        state: Whether it still runs.
        progress: Such as "12 of 49".
        seconds: How long it took.
        started: Clock reading at its start.
    """

    title: str
    text: str = ""
    state: Literal["pending", "done"] = "pending"
    progress: str = ""
    seconds: float | None = None
    started: float = field(default_factory=time.monotonic)

    def end(self) -> None:
        """It is over."""
        self.state, self.progress = "done", ""
        self.seconds = round(time.monotonic() - self.started, 1)


@dataclass
class Steps:
    """All steps of one turn, in their order."""

    items: list[Step] = field(default_factory=list)

    def take(self, event: Event) -> bool:
        """Note an event; True where a step began or ended, False for mere progress."""
        match event:
            case Understood():
                plan = "".join(f"\n- {call_title(call)}" for call in event.plan)
                self.items.append(Step(_ROUTES[event.route], event.interpretation + plan, "done"))
            case ToolStarted():
                self.items.append(Step(step_title(event.tool, event.arguments)))
            case ToolProgress() if self.items:
                done = f"{event.done:.0f}" + (f" of {event.total:.0f}" if event.total else "")
                self.items[-1].progress = f"{event.message} {done}".strip()
                return False
            case ToolFinished() if self.items:
                self.items[-1].text = event.summary
                self.items[-1].end()
            case _:
                return False
        return True

    def finish(self) -> None:
        """Nothing runs any more."""
        for step in self.items:
            if step.state == "pending":
                step.end()


def call_title(call: ToolCall) -> str:
    """A planned call in a few words, such as "Segment · water"."""
    return step_title(call.tool, call.arguments)


def step_title(tool: str, arguments: dict[str, Any]) -> str:
    """A tool, and the argument that tells calls of it apart."""
    words = [str(arguments[key]).replace("_", " ") for key in _TELLING if arguments.get(key)]
    return " · ".join([tool.replace("_", " ").capitalize(), *words])
