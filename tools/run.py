"""What a tool is handed besides its arguments: a workspace, a way to report and workers."""

from __future__ import annotations

import os
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Protocol, Self

from terralogue.tools.schemas import ArtefactKind
from terralogue.tools.store import PendingArtefact, Store


class Progress(Protocol):
    """Told after each step of the work; raises where the work has been cancelled."""

    def __call__(self, done: float, total: float | None, message: str) -> None:
        """Report `done` of `total` steps (None: unknown); call it in the tool's own thread."""


def silent(done: float, total: float | None, message: str) -> None:
    """Report to nobody, and never cancel."""


@cache
def default_executor() -> Executor:
    """The threads that tools share where the caller brings no executor of its own."""
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="tile")


@dataclass
class Run:
    """One call of one tool; as a context manager it takes back what a failed call wrote.

    `scene_ids` are the workspace ids of the scenes in the order of the tool's arguments. Any
    `concurrent.futures.Executor` serves, a Dask cluster's (`Client.get_executor()`) included.
    """

    store: Store
    scene_ids: tuple[str, ...] = ()
    progress: Progress = silent
    executor: Executor = field(default_factory=default_executor)
    _written: list[PendingArtefact] = field(default_factory=list, init=False, repr=False)

    def artefact(
        self, kind: ArtefactKind, title: str, filename: str, media_type: str
    ) -> PendingArtefact:
        """A place for a new file: write it at `.path`, then `.commit()`.

        Raises:
            InputError: the workspace cannot be written.
        """
        pending = self.store.new_artefact(kind, title, filename, media_type)
        self._written.append(pending)
        return pending

    def take_back(self) -> None:
        """Remove all that this call wrote."""
        for pending in self._written:
            pending.discard(even_committed=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Discard what was not committed and, after a failure or a cancel, all of the call."""
        if error is not None:
            self.take_back()
        for pending in self._written:
            pending.discard()
        if isinstance(error, OSError):
            explained = self.store.explain(error)
            if explained is not None:
                raise explained from error
