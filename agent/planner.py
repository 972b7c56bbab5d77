"""Planners by name: "embedded", or a tool-calling chat model behind a server or on this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from terralogue.agent.plan import Inputs, Plan
from terralogue.datasets.errors import InputError

DEFAULT: Final = "embedded"


class Planner(Protocol):
    """Decides what to do about a question."""

    def plan(self, question: str, inputs: Inputs) -> Plan:
        """Decide; `agent/compat.py` checks the decision afterwards.

        Args:
            question: the person's last message.
            inputs: what is known of scenes, archive, marks and history.
        """
        ...


def _embedded(rest: str) -> Planner:
    from terralogue.agent.embedded_planner import EmbeddedPlanner

    return EmbeddedPlanner()


def _openai(rest: str) -> Planner:
    from terralogue.agent.llm_planner import LlmPlanner

    url, _, model = rest.partition("#")
    if not url.startswith(("http://", "https://")) or not model:
        raise InputError(
            f"planner 'openai:{rest}' is incomplete; write openai:<base url>#<model>, "
            "such as openai:http://127.0.0.1:8000/v1#qwen."
        )
    return LlmPlanner(url, model)


def _hf(rest: str) -> Planner:
    from terralogue.agent.llm_local import LocalPlanner

    return LocalPlanner(rest)


# Name before the first colon → builder from what follows it. Builders import late: a planner that
# is not used costs nothing.
PLANNERS: Final[dict[str, Callable[[str], Planner]]] = {
    "embedded": _embedded,
    "openai": _openai,
    "hf": _hf,
}


def get_planner(spec: str = DEFAULT) -> Planner:
    """Build a planner.

    Args:
        spec: "embedded", "openai:<base url>#<model>", or "hf:<repo or folder>".

    Raises:
        InputError: no such planner; the message lists the valid ones.
    """
    name, _, rest = spec.partition(":")
    if name not in PLANNERS:
        raise InputError(
            f"unknown planner {spec!r}; valid ones are: embedded, openai:<base url>#<model>, "
            "hf:<repo or folder>."
        )
    return PLANNERS[name](rest)
