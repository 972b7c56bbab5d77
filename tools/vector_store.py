"""Where the vectors of images are kept: the seam between an archive and its storage.

    store.add(rows)                               # insert, or replace rows of the same id
    store.search(vector, 10, Where(sensor="sentinel2"))

The rest of `VectorStore` is bookkeeping. `ExactStore` compares with every row in memory and keeps
nothing; `terralogue.tools.vector_store_lance` keeps rows in a folder or an object store.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Box = tuple[float, float, float, float]
PixelWindow = tuple[int, int, int, int]
Kind = Literal["scene", "tile", "pair"]
KINDS: tuple[Kind, ...] = ("scene", "tile", "pair")
Table = Literal["images", "pairs"]


@dataclass(frozen=True)
class Before:
    """The earlier image of a pair, and the vectors of both images.

    `by_name`: which one is earlier is told by file names, not by dates.
    """

    source: str
    paths: tuple[str, ...]
    window: PixelWindow | None
    date: str | None
    by_name: bool
    vector: Vector
    after_vector: Vector


@dataclass(frozen=True)
class Row:
    """One image (or pair of images) of an archive.

    Attributes:
        id: same for the same files and window, whatever is in them.
        kind: whole scene, tile of one, or pair of images.
        source: key of the files it comes from; of a pair, of the later image.
        stamp: changes when those files do.
        paths: what `open_scene` takes: a file, a folder, or the files of one acquisition.
        first: the scene's first image file, by which it is known again.
        stated: the sensor that was stated for it, if any; with it the scene opens as indexed.
        window: column, row, width, height in pixels of the scene; None is the whole scene.
        name: for people.
        sensor: key in SENSORS; None where unknown.
        date: no finer than it is known; of a pair, of the later image.
        days: first and last day that the date may mean, as 20240131; of a pair, from the earlier
            image to the later one. None where unknown.
        bounds: west, south, east, north in degrees, west > east across the antimeridian; None
            without georeference.
        footprint: outline in longitude and latitude as WKB; None without georeference.
        gsd: metres per pixel of the scene; None where unknown.
        observed: share of pixels with data.
        cloud: share of cloud by the scene's quality layer; None without one.
        thumbnail: a small JPEG.
        vector: float32 (d,); of a pair, what its change is searched by.
        before: of pairs only.
    """

    id: str
    kind: Kind
    source: str
    stamp: str
    paths: tuple[str, ...]
    first: str
    stated: str | None
    window: PixelWindow | None
    name: str
    sensor: str | None
    date: str | None
    days: tuple[int, int] | None
    bounds: Box | None
    footprint: bytes | None
    gsd: float | None
    observed: float
    cloud: float | None
    thumbnail: bytes
    vector: Vector
    before: Before | None = None


@dataclass(frozen=True)
class Where:
    """Which rows a search may give; what is None does not restrict it.

    Attributes:
        bbox: west, south, east, north in degrees (west > east across the antimeridian): rows whose
            bounds touch it. Rows without georeference are left out.
        days: first and last day, as 20240131: rows whose date may lie in it, pairs whose span
            meets it. Undated rows are left out.
        sensors: keys in SENSORS.
        kind: whole scenes or tiles only.
        not_first: rows of other scenes than the one whose first image file this is.
    """

    bbox: Box | None = None
    days: tuple[int, int] | None = None
    sensors: tuple[str, ...] | None = None
    kind: Kind | None = None
    not_first: str | None = None

    def longitudes(self) -> tuple[tuple[float, float], ...]:
        """West and east of the box, cut at the antimeridian."""
        if self.bbox is None:
            return ()
        west, _, east, _ = self.bbox
        return ((west, east),) if west <= east else ((west, 180.0), (-180.0, east))

    def admits(self, row: Row) -> bool:
        """Whether a row passes."""
        return (
            (self.bbox is None or (row.bounds is not None and self._touches(row.bounds)))
            and (self.days is None or (row.days is not None and self._meets(row.days)))
            and (self.sensors is None or row.sensor in self.sensors)
            and (self.kind is None or row.kind == self.kind)
            and (self.not_first is None or row.first != self.not_first)
        )

    def _touches(self, bounds: Box) -> bool:
        assert self.bbox is not None
        west, south, east, north = bounds
        spans = ((west, east),) if west <= east else ((west, 180.0), (-180.0, east))
        level = south <= self.bbox[3] and north >= self.bbox[1]
        return level and any(
            w <= high and e >= low for w, e in spans for low, high in self.longitudes()
        )

    def _meets(self, days: tuple[int, int]) -> bool:
        assert self.days is not None
        return days[0] <= self.days[1] and days[1] >= self.days[0]


ANYTHING: Final = Where()


@dataclass(frozen=True)
class Sources:
    """What a store holds of one source: the stamps of its rows, and those that are complete.

    The row of the whole scene is written last, so its stamp is one whose rows are all there.
    """

    stamps: set[str] = field(default_factory=set)
    complete: set[str] = field(default_factory=set)


class VectorStore(Protocol):
    """Rows with vectors of one length. Everything may be called from several threads."""

    def add(self, rows: Sequence[Row]) -> None:
        """Insert rows, or replace those of the same id; all of them become visible at once."""
        ...

    def search(self, vector: Vector, k: int, where: Where) -> list[tuple[Row, float]]:
        """The k rows with the largest dot product with `vector`, float32 (d,), best first."""
        ...

    def sources(self) -> dict[str, Sources]:
        """What there is of every source."""
        ...

    def scenes(self) -> list[Row]:
        """The rows of whole scenes, without their vectors and thumbnails."""
        ...

    def stamps(self) -> dict[str, str]:
        """Stamp of every row by id."""
        ...

    def fetch(self, ids: Sequence[str]) -> dict[str, Row]:
        """Rows by id; those that are not there are left out."""
        ...

    def remove(self, source: str, *, keep: str | None = None) -> int:
        """Take out the rows of a source (pairs of either), but for those of stamp `keep`."""
        ...

    def sample(self, n: int) -> tuple[Vector, ...]:
        """Vectors of up to n rows from all over, float32 (m, d); before and after of pairs."""
        ...

    def __len__(self) -> int: ...

    def tidy(self) -> None:
        """Make later searches quicker where that is due; changes no row."""
        ...


class ExactStore:
    """Rows in memory; exact, and gone with the process."""

    def __init__(self) -> None:
        """Begin empty."""
        self._rows: dict[str, Row] = {}
        self._lock = threading.Lock()

    def _all(self) -> list[Row]:
        with self._lock:
            return list(self._rows.values())

    def add(self, rows: Sequence[Row]) -> None:
        """See `VectorStore`."""
        with self._lock:
            self._rows.update((row.id, row) for row in rows)

    def search(self, vector: Vector, k: int, where: Where) -> list[tuple[Row, float]]:
        """See `VectorStore`."""
        rows = [row for row in self._all() if where.admits(row)]
        if not rows:
            return []
        scores = np.stack([row.vector for row in rows]) @ vector
        return [(rows[i], float(scores[i])) for i in np.argsort(-scores, kind="stable")[:k]]

    def sources(self) -> dict[str, Sources]:
        """See `VectorStore`."""
        return gather((row.source, row.stamp, row.kind) for row in self._all())

    def scenes(self) -> list[Row]:
        """See `VectorStore`."""
        nothing = np.zeros(0, np.float32)
        found = [row for row in self._all() if row.kind == "scene"]
        return [replace(row, vector=nothing, thumbnail=b"") for row in found]

    def stamps(self) -> dict[str, str]:
        """See `VectorStore`."""
        return {row.id: row.stamp for row in self._all()}

    def fetch(self, ids: Sequence[str]) -> dict[str, Row]:
        """See `VectorStore`."""
        with self._lock:
            return {each: self._rows[each] for each in ids if each in self._rows}

    def remove(self, source: str, *, keep: str | None = None) -> int:
        """See `VectorStore`."""
        gone = [
            row.id
            for row in self._all()
            if source in (row.source, row.before.source if row.before else None)
            and row.stamp != keep
        ]
        with self._lock:
            for each in gone:
                self._rows.pop(each, None)
        return len(gone)

    def sample(self, n: int) -> tuple[Vector, ...]:
        """See `VectorStore`."""
        rows = self._all()
        picked = [rows[i] for i in spread(len(rows), n)]
        if not picked:
            return (np.zeros((0, 0), np.float32),)
        befores = [row.before for row in picked if row.before is not None]
        if befores:
            return (
                np.stack([each.vector for each in befores]),
                np.stack([each.after_vector for each in befores]),
            )
        return (np.stack([row.vector for row in picked]),)

    def __len__(self) -> int:
        return len(self._rows)

    def tidy(self) -> None:
        """See `VectorStore`."""


def gather(rows: Iterable[tuple[str, str, str]]) -> dict[str, Sources]:
    """Put (source, stamp, kind) of all rows together by source."""
    found: dict[str, Sources] = {}
    for source, stamp, kind in rows:
        known = found.setdefault(source, Sources())
        known.stamps.add(stamp)
        if kind != "tile":
            known.complete.add(stamp)
    return found


def spread(count: int, n: int) -> list[int]:
    """Up to n different places among `count` rows, the same for the same count."""
    if count <= n:
        return list(range(count))
    return sorted(np.random.default_rng(count).choice(count, n, replace=False).tolist())
