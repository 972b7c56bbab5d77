"""Turns drafts of rows into rows: tiles with the same bands go through the tower together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from terralogue.datasets.errors import EOError
from terralogue.tools.archive_rows import Draft
from terralogue.tools.vector_store import Row

if TYPE_CHECKING:
    from terralogue.vlm.clip import GeoCLIP

_MOST_TILES: Final = 32
# Of pixels that wait to be encoded: what keeps memory flat with hundreds of bands too.
_MOST_BYTES: Final = 64 * 2**20


class Encoder:
    """Collects drafts and hands on rows in the order of the drafts.

    Args:
        model: the tower.
        done: takes finished rows.
        failed: takes the drafts that the tower cannot encode, and why; without it that raises.
    """

    def __init__(
        self,
        model: GeoCLIP,
        done: Callable[[list[Row]], object],
        failed: Callable[[Sequence[Draft], EOError], object] | None = None,
    ) -> None:
        self._model = model
        self._done = done
        self._failed = failed
        self._waiting: list[Draft] = []
        self._bytes = 0

    def put(self, draft: Draft) -> None:
        """Take a draft, and encode those that wait where they are enough."""
        self._waiting.append(draft)
        self._bytes += draft.tile.data.nbytes
        if len(self._waiting) >= _MOST_TILES or self._bytes >= _MOST_BYTES:
            self.flush()

    def flush(self) -> None:
        """Encode all that wait.

        Raises:
            EOError: the tower cannot encode these bands, and nobody takes the failure.
        """
        drafts, self._waiting, self._bytes = self._waiting, [], 0
        groups: dict[tuple[str, ...], list[int]] = {}
        for i, draft in enumerate(drafts):
            groups.setdefault(tuple(band.name for band in draft.tile.bands), []).append(i)
        rows: dict[int, Row] = {}
        for places in groups.values():
            group = [drafts[i] for i in places]
            try:
                vectors = self._model.encode_image([draft.tile for draft in group])
            except EOError as error:
                if self._failed is None:
                    raise
                self._failed(group, error)
                continue
            for i, draft, vector in zip(places, group, vectors, strict=True):
                rows[i] = replace(draft.row, vector=vector)
        if rows:
            self._done([rows[i] for i in sorted(rows)])
