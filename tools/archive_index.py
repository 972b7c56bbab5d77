"""Fills an archive: what is new or changed in folders of scenes becomes rows.

Rows are written in batches, the row of the whole scene after those of its tiles: a scene whose own
row is there is complete. So a run that was killed goes on with the scene it had reached.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from terralogue.datasets import names
from terralogue.datasets.errors import EOError, InputError
from terralogue.tools.archive_encoding import Encoder
from terralogue.tools.archive_files import LeftOut, Unit, find_units
from terralogue.tools.archive_rows import (
    TILE_PIXELS,
    Draft,
    Drawer,
    Origin,
    open_origin,
    tile_windows,
)
from terralogue.tools.run import Progress, silent
from terralogue.tools.vector_store import Row, Sources, VectorStore

if TYPE_CHECKING:
    from terralogue.datasets.scene import Scene
    from terralogue.vlm.clip import GeoCLIP

# Rows in one commit: few enough that a killed run loses seconds of work.
_BATCH: Final = 256
_LEAST_TILE: Final = 32


@dataclass
class Report:
    """What a run did.

    Attributes:
        scenes: names of scenes that were indexed, new or changed: how many.
        replaced: of these, how many were there with other content.
        tiles: rows of parts of large scenes.
        pairs: rows of before/after pairs.
        unchanged: scenes that were there already.
        left_out: what is no image of the ground, by its name.
        unreadable: what could not be indexed, and why.
        vanished: scenes of the archive whose files are gone.
        pruned: how many of these were taken out.
    """

    scenes: int = 0
    replaced: int = 0
    tiles: int = 0
    pairs: int = 0
    unchanged: int = 0
    left_out: list[LeftOut] = field(default_factory=list)
    unreadable: list[LeftOut] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    pruned: int = 0


class Indexer:
    """One run over files and folders.

    Args:
        images: where the rows of scenes and tiles go.
        pairs: where the rows of pairs are; those of changed files are taken out.
        model: the tower.
        tile: side of a tile in pixels of the scene.
        sensor: of scenes whose sensor cannot be told from their files.
        progress: told of every scene.
    """

    def __init__(
        self,
        images: VectorStore,
        pairs: VectorStore,
        model: GeoCLIP,
        *,
        tile: int = TILE_PIXELS,
        sensor: str | None = None,
        progress: Progress = silent,
    ) -> None:
        if tile < _LEAST_TILE:
            raise InputError(
                f"A tile of {tile} pixels shows too little; use {_LEAST_TILE} or more."
            )
        self.report = Report()
        self._images = images
        self._pairs = pairs
        self._tile = tile
        self._sensor = sensor
        self._progress = progress
        self._encoder = Encoder(model, self._encoded, self._failed)
        self._known: dict[str, Sources] = {}
        self._rows: list[Row] = []
        self._broken: set[str] = set()
        self._begun: set[str] = set()

    def run(self, paths: Sequence[str | Path], *, prune: bool = False) -> Report:
        """Index what is new or changed; see `Report`.

        Raises:
            InputError: a path does not exist, or the archive cannot be written.
        """
        self._known = self._images.sources()
        gone = [path for path in map(_absolute, paths) if self._had(path)]
        found = list(find_units([path for path in paths if _absolute(path) not in gone]))
        units = [item for item in found if isinstance(item, Unit)]
        self.report.left_out += [item for item in found if isinstance(item, LeftOut)]
        todo = [unit for unit in units if not self._is_done(unit)]
        self.report.unchanged = len(units) - len(todo)
        for number, unit in enumerate(todo):
            self._progress(number, len(todo), Path(unit.key).name)
            self._draw(unit, number, len(todo))
        self._encoder.flush()
        self._write()
        for key in self._broken & (self._known.keys() | self._begun):
            # What is there of it is of older files, or of a part of them.
            self._images.remove(key)
            self._pairs.remove(key)
        self._progress(len(todo), len(todo), "")
        self._miss({unit.key for unit in units}, paths, prune=prune)
        return self.report

    def _had(self, path: str) -> bool:
        """Whether a path is gone that the archive has scenes of."""
        return not Path(path).exists() and any(_below(key, path) for key in self._known)

    def _is_done(self, unit: Unit) -> bool:
        known = self._known.get(unit.key)
        stamp = self._stamp(unit)
        return known is not None and known.stamps == known.complete == {stamp}

    def _stamp(self, unit: Unit) -> str:
        return f"{unit.stamp}-{self._tile}"

    def _draw(self, unit: Unit, number: int, total: int) -> None:
        """Draft the rows of one scene."""
        paths = unit.source if isinstance(unit.source, tuple) else (unit.source,)
        origin = Origin(unit.key, self._stamp(unit), tuple(map(str, paths)))
        try:
            scene, origin = self._open(origin)
            with closing(scene):
                drawer = Drawer(scene, origin)
                windows = tile_windows(scene.width, scene.height, self._tile)
                for i, window in enumerate(windows):
                    self._progress(number + i / (len(windows) + 1), total, scene.name)
                    if (draft := drawer.draft(window)) is not None:
                        self._encoder.put(draft)
                whole = drawer.draft(None)
                if whole is None:
                    raise InputError(f"{scene.name} has no data: next to all of it is empty")
                self._encoder.put(whole)
        except EOError as error:
            self._unreadable(unit.key, str(error))

    def _open(self, origin: Origin) -> tuple[Scene, Origin]:
        scene = open_origin(origin)
        if scene.sensor is None and scene.recognition.question is None:
            derived = names.derived_in(Path(origin.key).stem)
            if derived is not None:
                scene.close()
                raise InputError(f"{scene.name} is no image but computed from one ({derived})")
        if scene.sensor is None and self._sensor is not None:
            scene.close()
            origin = Origin(origin.key, origin.stamp, origin.paths, self._sensor)
            scene = open_origin(origin)
        return scene, origin

    def _unreadable(self, key: str, reason: str) -> None:
        self._broken.add(key)
        self.report.unreadable.append(LeftOut(key, reason))

    def _failed(self, drafts: Sequence[Draft], error: EOError) -> None:
        for source in dict.fromkeys(draft.row.source for draft in drafts):
            self._unreadable(source, str(error))

    def _encoded(self, rows: list[Row]) -> None:
        self._rows += rows
        if len(self._rows) >= _BATCH:
            self._write()

    def _write(self) -> None:
        """Commit what is finished, then take out what it replaces."""
        rows = [row for row in self._rows if row.source not in self._broken]
        self._rows = []
        self._images.add(rows)
        self._begun.update(row.source for row in rows)
        self.report.tiles += sum(row.kind == "tile" for row in rows)
        for row in rows:
            if row.kind == "scene":
                self.report.scenes += 1
                self._replace(row)

    def _replace(self, row: Row) -> None:
        known = self._known.get(row.source)
        if known is not None:
            self._images.remove(row.source, keep=row.stamp)
            self._pairs.remove(row.source)
            self.report.replaced += bool(known.complete - {row.stamp})

    def _miss(self, found: set[str], paths: Sequence[str | Path], *, prune: bool) -> None:
        """Find scenes of the archive under these paths that are no more."""
        tops = [_absolute(path) for path in paths]
        self.report.vanished = [
            key for key in self._known if key not in found and any(_below(key, top) for top in tops)
        ]
        for key in self.report.vanished if prune else ():
            self._images.remove(key)
            self._pairs.remove(key)
            self.report.pruned += 1


def _absolute(path: str | Path) -> str:
    return str(Path(path).expanduser().resolve())


def _below(key: str, top: str) -> bool:
    """Whether a scene lies at or below a path."""
    return key == top or key.startswith(top.rstrip(os.sep) + os.sep)
