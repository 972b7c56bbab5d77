"""What the conversation can reach outside itself. Session builds it; the graph only knows this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from terralogue.agent.plan import SceneFacts
from terralogue.agent.planner import Planner
from terralogue.vlm.vlm import Query, Reading, Task

OnProgress = Callable[[float, float | None, str], None]


class ImageReader(Protocol):
    """A vision-language model, as far as the conversation needs it; `terralogue.vlm.vlm.VLM` is."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def tasks(self) -> frozenset[Task]:
        """What it can do."""
        ...

    def answer(self, query: Query) -> Reading:
        """Read the pictures; blocks, perhaps for seconds.

        Raises:
            EOError: a picture cannot be read, the model cannot be loaded or reached.
        """
        ...


@dataclass(frozen=True)
class Look:
    """What an image-reading model is asked, about scenes by their ids.

    Attributes:
        question: for the model, in English where it knows no other.
        task: answer, describe or point; a model that cannot do the latter two just answers.
        scenes: one, or several of one place in order of time.
        dates: of the scenes, "" where unknown.
        region: GeoJSON, or None.
        point: column and row of the first scene, or None.
        phrase: what to point at, or what is counted.
        counts: whether a number of things is asked for.
        options: of multiple choice.
        plain: whether a mere description is wanted.
    """

    question: str
    task: Task
    scenes: tuple[str, ...]
    dates: tuple[str, ...]
    region: Mapping[str, Any] | None = None
    point: tuple[float, float] | None = None
    phrase: str = ""
    counts: bool = False
    options: tuple[str, ...] = ()
    plain: bool = False


@dataclass(frozen=True, eq=False)
class Looked:
    """What came of a look.

    Attributes:
        reading: of the model.
        model: its name.
        task: what it did.
        artefacts: files of what it pointed at, as tools give them.
        warnings: of the region.
        size: width and height of the first scene in pixels.
    """

    reading: Reading
    model: str
    task: Task
    artefacts: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    size: tuple[int, int] = (1, 1)


class World(Protocol):
    """Scenes, tools and models."""

    planner: Planner
    tools: frozenset[str]
    targets: frozenset[str]
    things: frozenset[str]
    english_only: bool
    """Whether the image-reading model knows no other language."""

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

    def known(self, scenes: Sequence[str]) -> list[dict[str, Any]]:
        """Facts of scenes with size and time of their files: what a measurement rests on.

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

    async def look(self, look: Look) -> Looked:
        """Let the image-reading model look.

        Raises:
            EOError: a scene or region cannot be used, or the model cannot be had.
        """
        ...
