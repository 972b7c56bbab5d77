"""Before/after pairs among the scenes of an archive, by place and date or by their names.

By place: each dated scene goes with the newest earlier one of its sensor over the same ground, and
with the oldest, so that a series shows what changed at once and what changed slowly. By name: two
images of one size, called before and after, pre and post, t1 and t2, im1 and im2, or in folders A
and B. Images that neither dates nor names put in order are no pair.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from terralogue.datasets.errors import EOError
from terralogue.datasets.geometry import to_crs
from terralogue.tools.archive_encoding import Encoder
from terralogue.tools.archive_files import LeftOut
from terralogue.tools.archive_rows import (
    TILE_PIXELS,
    Drawer,
    Origin,
    jpeg,
    open_origin,
    row_id,
    tile_windows,
    unpacked,
)
from terralogue.tools.run import Progress, silent
from terralogue.tools.vector_store import Before, PixelWindow, Row, VectorStore
from terralogue.vlm.change_embedding import change_vector

if TYPE_CHECKING:
    from terralogue.datasets.scene import Scene
    from terralogue.vlm.clip import GeoCLIP

# Of the smaller footprint, or of a window: what both dates have to show.
_LEAST_OVERLAP: Final = 0.5
# Grids that share this much are compared as a whole.
_SAME_GROUND: Final = 0.95
_MOST_GSD_RATIO: Final = 2.0
_BATCH: Final = 256
_GAP: Final = 4
# Marks of the earlier and the later image in a file's or a folder's name.
_MARKS: Final = tuple(
    (re.compile(rf"(?<![a-z0-9]){before}(?![a-z0-9])", re.IGNORECASE),
     re.compile(rf"(?<![a-z0-9]){after}(?![a-z0-9])", re.IGNORECASE))
    for before, after in (
        ("before", "after"), ("pre", "post"), ("t1", "t2"), ("im1", "im2"), ("img1", "img2"),
        ("imgs?_1", "imgs?_2"), ("date1", "date2"), ("time1", "time2"),
    )
)  # fmt: skip
_FOLDERS: Final = (re.compile("a", re.IGNORECASE), re.compile("b", re.IGNORECASE))


@dataclass(frozen=True)
class _Pair:
    """Rows of two whole scenes, the earlier one first."""

    before: Row
    after: Row
    by_name: bool

    @property
    def id(self) -> str:
        return row_id("pair", self.after.source, None, self.before.source)

    @property
    def stamp(self) -> str:
        text = f"{self.before.stamp} {self.after.stamp}"
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def find_pairs(scenes: Sequence[Row]) -> list[_Pair]:
    """The pairs among rows of whole scenes."""
    dated = [row for row in scenes if row.days and row.footprint]
    pairs = {pair.id: pair for pair in _by_place(dated)}
    for pair in _by_name(scenes):
        pairs.setdefault(pair.id, pair)
    return list(pairs.values())


def _by_place(dated: Sequence[Row]) -> Iterator[_Pair]:
    grounds: list[BaseGeometry] = [shapely.from_wkb(row.footprint or b"") for row in dated]
    tree = shapely.STRtree(grounds)
    for number, row in enumerate(dated):
        near = tree.query(grounds[number], predicate="intersects")
        earlier = [
            dated[i]
            for i in near
            if _precedes(dated[i], row) and _overlap(grounds[i], grounds[number]) >= _LEAST_OVERLAP
        ]
        if earlier:
            earlier.sort(key=lambda each: each.days or (0, 0))
            for before in {id(each): each for each in (earlier[-1], earlier[0])}.values():
                yield _Pair(before, row, by_name=False)


def _precedes(before: Row, after: Row) -> bool:
    assert before.days is not None
    assert after.days is not None
    if before.days[1] >= after.days[0] or _family(before) != _family(after):
        return False
    if before.gsd is None or after.gsd is None:
        return False
    return max(before.gsd, after.gsd) <= _MOST_GSD_RATIO * min(before.gsd, after.gsd)


def _family(row: Row) -> str:
    """Sensors whose images may be compared: one sensor, or Landsat of whatever number."""
    return re.sub(r"^(landsat)\d$", r"\1", row.sensor or "unknown")


def _overlap(one: BaseGeometry, other: BaseGeometry) -> float:
    return float(one.intersection(other).area / max(min(one.area, other.area), 1e-12))


def _by_name(scenes: Sequence[Row]) -> Iterator[_Pair]:
    sides: dict[str, dict[int, Row]] = {}
    for row in scenes:
        for key, side in _marked(Path(row.paths[0])):
            sides.setdefault(key, {})[side] = row
    for found in sides.values():
        if len(found) == 2 and _family(found[0]) == _family(found[1]):
            before, after = found[0], found[1]
            if before.days and after.days and before.days != after.days:
                # Dates know better than names.
                before, after = sorted(found.values(), key=lambda each: each.days or (0, 0))
            yield _Pair(before, after, by_name=not (before.days and after.days))


def _marked(path: Path) -> Iterator[tuple[str, int]]:
    """What the names of a pair share, and which side this file is; nothing for other files."""
    name = f"{path.parent.name}/{path.stem}"
    for marks in _MARKS:
        for side, mark in enumerate(marks):
            if len(mark.findall(name)) == 1:
                yield f"{path.parent.parent}/{mark.sub('*', name)}", side
    for side, folder in enumerate(_FOLDERS):
        if folder.fullmatch(path.parent.name):
            yield f"{path.parent.parent}/*/{path.stem}", side


class Pairer:
    """Makes the rows of pairs.

    Args:
        images: rows of the scenes; vectors that are there are not computed again.
        pairs: where the rows go.
        model: the tower.
        tile: side of a tile in pixels of the earlier scene.
        progress: told of every pair.
    """

    def __init__(
        self,
        images: VectorStore,
        pairs: VectorStore,
        model: GeoCLIP,
        *,
        tile: int = TILE_PIXELS,
        progress: Progress = silent,
    ) -> None:
        self._images = images
        self._pairs = pairs
        self._model = model
        self._tile = tile
        self._progress = progress

    def run(self) -> tuple[int, list[LeftOut]]:
        """Add the pairs that are missing; how many rows, and which pairs could not be made.

        Raises:
            InputError: the archive cannot be written.
        """
        known = self._pairs.stamps()
        found = find_pairs(self._images.scenes())
        todo = [pair for pair in found if known.get(pair.id) != pair.stamp]
        count, broken = 0, []
        for number, pair in enumerate(todo):
            self._progress(number, len(todo), f"{pair.before.name} → {pair.after.name}")
            try:
                rows = list(self._rows(pair))
            except EOError as error:
                broken.append(LeftOut(f"{pair.before.source} → {pair.after.source}", str(error)))
                continue
            for start in range(0, len(rows), _BATCH):
                self._pairs.add(rows[start : start + _BATCH])
            count += len(rows)
        self._progress(len(todo), len(todo), "")
        return count, broken

    def _rows(self, pair: _Pair) -> Iterator[Row]:
        """The rows of a pair, that of the whole scenes last."""
        with ExitStack() as stack:
            before = stack.enter_context(closing(open_origin(_origin(pair.before))))
            after = stack.enter_context(closing(open_origin(_origin(pair.after))))
            windows: list[PixelWindow | None] = [
                *tile_windows(before.width, before.height, self._tile), None,
            ]  # fmt: skip
            match = _Match(before, after)
            matched = [(window, *found) for window in windows if (found := match.of(window))]
            ones = self._images_of(before, pair.before, [one for _, one, _ in matched])
            others = self._images_of(after, pair.after, [other for _, _, other in matched])
        for key, one, other in matched:
            if one in ones and other in others:
                yield _joined(pair, key, ones[one], others[other])

    def _images_of(
        self, scene: Scene, row: Row, windows: Iterable[PixelWindow | None]
    ) -> dict[PixelWindow | None, Row]:
        """Rows of windows of a scene: those in the archive, the others made now."""
        wanted = dict.fromkeys(windows)
        ids = {w: row_id("tile" if w else "scene", row.source, w) for w in wanted}
        stored = self._images.fetch(list(ids.values()))
        found = {
            window: stored[each]
            for window, each in ids.items()
            if each in stored and stored[each].stamp == row.stamp
        }
        encoder = Encoder(self._model, lambda rows: found.update((r.window, r) for r in rows))
        drawer = Drawer(scene, _origin(row))
        for window in wanted:
            if window not in found and (draft := drawer.draft(window)) is not None:
                encoder.put(draft)
        encoder.flush()
        return found


class _Match:
    """Finds the same ground in two scenes; without georeference, the same pixels."""

    def __init__(self, before: Scene, after: Scene) -> None:
        self._before = before
        self._after = after
        sizes = ((before.width, before.height), (after.width, after.height))
        grids = ((each.crs, each.transform) for each in (before, after))
        self._same_grid = sizes[0] == sizes[1] and len(set(grids)) == 1
        self._to_after: pyproj.Transformer | None = None
        if before.georeferenced and after.georeferenced and before.crs and after.crs:
            ends = (before.crs.to_wkt(), after.crs.to_wkt())
            self._to_after = pyproj.Transformer.from_crs(*ends, always_xy=True)

    def of(
        self, window: PixelWindow | None
    ) -> tuple[PixelWindow | None, PixelWindow | None] | None:
        """The window in both scenes; None where the later one does not show enough of it."""
        if self._same_grid:
            return window, window
        if self._to_after is None:
            return None
        full = window or (0, 0, self._before.width, self._before.height)
        moved = self._moved(full, self._before, self._after, forward=True)
        inside = _clipped(moved, self._after)
        if inside is None:
            return None
        if window is not None:
            enough = inside[2] * inside[3] >= _LEAST_OVERLAP * moved[2] * moved[3]
            return (window, inside) if enough else None
        back = _clipped(self._moved(inside, self._after, self._before, forward=False), self._before)
        if back is None:
            return None
        return _or_whole(back, self._before), _or_whole(inside, self._after)

    def _moved(
        self, window: PixelWindow, source: Scene, target: Scene, *, forward: bool
    ) -> PixelWindow:
        """Bounds in the target's pixels; may lie outside it."""
        assert self._to_after is not None
        column, row, width, height = window
        steps = np.linspace(0, 1, 5)
        edges = [(s, e) for s in steps for e in (0, 1)] + [(e, s) for s in steps for e in (0, 1)]
        points = [to_crs(source.transform, column + a * width, row + b * height) for a, b in edges]
        direction = "FORWARD" if forward else "INVERSE"
        given_x, given_y = zip(*points, strict=True)
        xs, ys = self._to_after.transform(given_x, given_y, direction=direction)
        back = ~target.transform
        columns, rows = zip(*(to_crs(back, x, y) for x, y in zip(xs, ys, strict=True)), strict=True)
        if not np.isfinite([*columns, *rows]).all():
            return 0, 0, 0, 0
        left, top = round(min(columns)), round(min(rows))
        return left, top, round(max(columns)) - left, round(max(rows)) - top


def _clipped(window: PixelWindow, scene: Scene) -> PixelWindow | None:
    left, top = max(window[0], 0), max(window[1], 0)
    right = min(window[0] + window[2], scene.width)
    bottom = min(window[1] + window[3], scene.height)
    return (left, top, right - left, bottom - top) if right > left and bottom > top else None


def _or_whole(window: PixelWindow, scene: Scene) -> PixelWindow | None:
    return None if window[2] * window[3] >= _SAME_GROUND * scene.width * scene.height else window


def _origin(row: Row) -> Origin:
    return Origin(row.source, row.stamp, row.paths, row.stated)


def _joined(pair: _Pair, window: PixelWindow | None, before: Row, after: Row) -> Row:
    """The row of two images."""
    clouds = [each for each in (before.cloud, after.cloud) if each is not None]
    name = before.name if before.name == after.name else f"{before.name} → {after.name}"
    days = (before.days[0], after.days[1]) if before.days and after.days else None
    return replace(
        after,
        id=row_id("pair", after.source, window, before.source),
        kind="pair",
        stamp=pair.stamp,
        name=name,
        days=days,
        observed=min(before.observed, after.observed),
        cloud=max(clouds) if clouds else None,
        thumbnail=_side_by_side(before.thumbnail, after.thumbnail),
        vector=change_vector(before.vector, after.vector),
        before=Before(
            before.source,
            before.paths,
            before.window,
            before.date,
            pair.by_name,
            before.vector,
            after.vector,
        ),
    )


def _side_by_side(before: bytes, after: bytes) -> bytes:
    """Two thumbnails in one picture, white between them."""
    pictures = [unpacked(before), unpacked(after)]
    height = max(len(picture) for picture in pictures)
    parts = [
        np.pad(p, ((0, height - len(p)), (0, 0), (0, 0)), constant_values=255) for p in pictures
    ]
    white = np.full((height, _GAP, 3), 255, np.uint8)
    joined = np.concatenate([parts[0], white, parts[1]], axis=1)
    return jpeg(joined, max(joined.shape))
