"""What the conversation can reach outside itself. Session builds it; the graph only knows this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from terralogue.agent.plan import SceneFacts
from terralogue.agent.planner import Planner

OnProgress = Callable[[float, float | None, str], None]


class ImageReader(Protocol):
    """A vision-language model, as far as the conversation needs it."""

    async def answer(self, question: str, scenes: Sequence[str]) -> tuple[str, float | None]:
        """Read scenes (by id); the answer, and its calibrated confidence where it has one."""
        ...


class World(Protocol):
    """Scenes, tools and models."""

    planner: Planner
    tools: frozenset[str]
    targets: frozenset[str]
    reader: ImageReader | None

    @property
    def archive(self) -> bool:
        """Whether there is an archive to search; it may be made while a conversation runs."""
        ...

    def facts(self, scenes: Sequence[str]) -> tuple[SceneFacts, ...]:
        """What a planner may know of scenes, by id; reads metadata only.

        Raises:
            EOError: a scene can no longer be read.
        """
        ...

    def set_sensor(self, scene: str, sensor: str) -> None:
        """Keep what a person said about a scene.

        Raises:
            InputError: there is no such sensor, or the scene cannot be one of its.
        """
        ...

    def set_time(self, scene: str, iso: str) -> None:
        """Keep what a person said about a scene."""
        ...

    async def measurable(self, scenes: Sequence[str]) -> dict[str, list[str]]:
        """Targets that can be measured on each scene, by id."""
        ...

    async def call(
        self, tool: str, arguments: Mapping[str, Any], told: OnProgress
    ) -> dict[str, Any]:
        """Call a tool; its typed result as JSON.

        Raises:
            EOError: as the tool raised it.
        """
        ...
