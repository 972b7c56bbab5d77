"""What one person at the page works on: scenes, which of them are asked about, region and point.

The conversation keeps scenes and region itself; a visit knows what it has to be told anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from terralogue.agent.answer import Answer
from terralogue.agent.request import read_region
from terralogue.agent.uploads import sort_uploads
from terralogue.datasets.errors import RegionError
from terralogue.datasets.scene import Scene


class Record(Protocol):
    """A registered scene."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its files."""


class Store(Protocol):
    """What a visit needs of a workspace; see `terralogue.tools.store`."""

    def add_upload(self, *files: str | Path) -> list[Path]:
        """Copy files in, together."""

    def add_scene(self, paths: Sequence[str | Path]) -> str:
        """Register the files of one scene."""

    def open(self, reference: str) -> Scene:
        """Open a scene by id."""

    def find(self, reference: str) -> Record:
        """Look a scene up by id."""


@dataclass
class Visit:
    """One browser tab.

    Attributes:
        thread: Id of the conversation, long enough that nobody guesses it.
        scenes: Ids and names of the scenes of this conversation, oldest first.
        active: Ids of those that the next question is about.
        shown: Id of the scene in view.
        region: GeoJSON that questions are confined to.
        point: Column and row that was clicked, in pixels of the scene in view.
        told: Scene ids and region that the conversation knows.
        asked: Whether a question came since the last scene.
        waiting: The slot that a question of ours waits for.
    """

    thread: str = field(default_factory=lambda: secrets.token_hex(8))
    scenes: dict[str, str] = field(default_factory=dict)
    active: list[str] = field(default_factory=list)
    shown: str | None = None
    region: dict[str, Any] | None = None
    point: tuple[float, float] | None = None
    told: tuple[list[str], dict[str, Any] | None] = field(default_factory=lambda: ([], None))
    asked: bool = False
    waiting: str | None = None

    def add(self, store: Store, scenes: Sequence[Sequence[Path]]) -> None:
        """Register scenes, several files each; the first after a question begin a new selection.

        Raises:
            EOError: a file is no scene; nothing was added then.
        """
        ids = [store.add_scene(paths) for paths in scenes]
        names = {scene: store.open(scene).name for scene in ids}
        if not ids:
            return
        keep = not self.asked or self.waiting == "second_scene"
        self.scenes |= names
        self.active = list(dict.fromkeys([*(self.active if keep else []), *ids]))
        self.shown, self.point, self.asked = ids[-1], None, False

    def upload(self, store: Store, files: Sequence[str]) -> str:
        """Take uploaded files in, and say in a sentence or two what they are.

        Raises:
            EOError: a file is no scene and no region.
        """
        found = sort_uploads(files)
        region = None if found.region is None else read_region(found.region)
        self.add(store, [store.add_upload(*paths) for paths in found.scenes])
        said = []
        if len(found.scenes) > 1:
            said.append(f"{len(found.scenes)} scenes are open.")
        elif self.shown is not None and found.scenes:
            said.append(self._welcome(store, self.shown))
        if found.region is not None:
            self.region = region
            said.append(f"Questions are confined to {found.region.name} from now on.")
        return " ".join(said)

    @staticmethod
    def _welcome(store: Store, scene_id: str) -> str:
        scene = store.open(scene_id)
        if scene.sensor is None and scene.recognition.question:
            return f"{scene.name} is open. {scene.recognition.question}"
        sensor = scene.sensor.title if scene.sensor else "sensor unknown"
        return f"{scene.name} is open: {sensor}, {scene.width} by {scene.height} pixels."

    def choose(self, chosen: Sequence[str]) -> None:
        """Set the scenes that the next question is about."""
        new = [scene for scene in chosen if scene not in self.active]
        self.active = [scene for scene in self.scenes if scene in chosen]
        if new or (self.shown not in self.active and self.active):
            self.shown, self.point = (new or self.active)[-1], None

    def confine(self, text: str) -> None:
        """Confine questions to a bounding box "west, south, east, north"; no text lifts it.

        Raises:
            RegionError: no bounding box. A path is none either: files only come as uploads.
        """
        if not text.strip():
            self.region = None
            return
        try:
            numbers = [float(part) for part in text.split(",")]
        except ValueError:
            raise RegionError(
                f"The region {text[:60]!r} is no bounding box; write west, south, east, north, "
                "or upload GeoJSON."
            ) from None
        self.region = read_region(numbers)

    def news(self, store: Store) -> dict[str, Any]:
        """What the conversation has to be told with the next question, as `ChatSession.ask` takes.

        Scenes handed over end a region of before, so that it is told again with them.
        """
        known, region = self.told
        news: dict[str, Any] = {}
        if self.active != known:
            chosen = self.active
            if self.waiting == "second_scene":
                chosen = [scene for scene in chosen if scene not in known]
            news["scenes"] = [list(store.find(scene).paths) for scene in chosen]
        if self.region is not None and (self.region != region or news):
            news["region"] = self.region
        elif self.region is None and region is not None:
            news["region"] = "all"
        if self.point is not None:
            news["point"] = self.point
        return news

    def answered(self, answer: Answer | None) -> None:
        """A turn ended, with an answer or with an error that told the conversation nothing."""
        self.asked = True
        if answer is not None:
            self.told = (list(self.active), self.region)
            self.waiting = answer.missing_slot if answer.route == "clarify" else None
