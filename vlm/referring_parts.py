"""Connected parts of a mask, and which of them an expression means: place, order, size, relation.

    parts = find_parts(probability, calibration)
    chosen = choose(parts, parse("the largest ship left of the pier"), anchor=pier_mask)

Everything is decided on the grid of the picture; the upper edge is taken for north.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terralogue.datasets.samples import Box
from terralogue.vlm.referring_words import Expression

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Distances as shares of the picture's diagonal: what is near, and how far a single thing may be
# from what it is said to be near to when nothing is nearer.
_NEAR: Final = 0.06
_REACH: Final = 0.25
# Share of the ring around a part, or of the part, that what surrounds it has to take up.
_SURROUNDED: Final = 0.35
# A direction is told as long as it is within about 63 degrees of the axis.
_SLANT: Final = 0.5
# Parts with fewer pixels are noise; beside parts as large as those of a cover, so are those below a
# share of the largest.
_FEWEST: Final = 4.0
_COVER: Final = 4096
_SPECK: Final = 0.01
# Share of the strongest part's probability below which a part is no candidate for an order.
_DOUBTFUL: Final = 0.8
# Parts are cut where they are narrower than these shares of their greatest half width, into pieces
# that are not much narrower than the widest; smaller parts stay whole.
_CUT_LEVELS: Final = (0.45, 0.55, 0.65, 0.75)
_CUT_HEIGHT: Final = 0.6
_CUT_AREA: Final = 48


@dataclass(frozen=True, eq=False)
class Parts:
    """Connected parts of a mask.

    Attributes:
        labels: int32 (H, W): number of the part from 1, 0 elsewhere.
        slices: rows and columns of each part.
        area: pixels of each part.
        middle: row and column of the centre of each part's box, float (n, 2).
        strength: mean probability of each part.
        brightness: mean of each part, 0 to 1; zeros where the picture has no colours.
    """

    labels: NDArray[np.int32]
    slices: tuple[tuple[slice, slice], ...]
    area: Floats
    middle: Floats
    strength: Floats
    brightness: Floats

    def __len__(self) -> int:
        return len(self.slices)

    @cached_property
    def boxes(self) -> tuple[Box, ...]:
        """Bounds of each part in pixels."""
        return tuple(map(_bounds, self.slices))

    def mask(self, chosen: Sequence[int]) -> Mask:
        """Where the chosen parts are: bool (H, W)."""
        return np.isin(self.labels, np.asarray(chosen, np.int32) + 1) & (self.labels > 0)


def _bounds(place: tuple[slice, slice]) -> Box:
    rows, columns = place
    return Box(*map(float, (columns.start, rows.start, columns.stop, rows.stop)))


def boxes_of(mask: Mask) -> tuple[Box, ...]:
    """Bounds of the connected parts of a mask in pixels."""
    return tuple(_bounds((y, x)) for y, x in ndimage.find_objects(ndimage.label(mask)[0]))


def find_parts(
    probability: Floats, threshold: float, peak: float, brightness: Floats | None = None
) -> Parts:
    """Connected parts of what is probable.

    Args:
        probability: float32 (H, W).
        threshold: from which a pixel belongs to a part.
        peak: that a part has to reach somewhere.
        brightness: (H, W), 0 to 1.
    """
    labels, count = ndimage.label(probability >= threshold)
    where = np.flatnonzero(labels)
    if count:
        own = labels.ravel()[where]
        numbers = np.arange(1, count + 1)
        high = ndimage.maximum(probability.ravel()[where], own, numbers) >= peak
        area = np.bincount(own, minlength=count + 1)[1:]
        largest = float(area[high].max()) if high.any() else 0.0
        kept = high & (area >= max(_FEWEST, _SPECK * largest if largest > _COVER else 0.0))
        labels = np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)])[labels]
        count = int(kept.sum())
        where = where[kept[own - 1]]
    own = labels.ravel()[where]
    pixels: Floats = np.bincount(own, minlength=count + 1)[1:].astype(np.float32)

    def mean(values: Floats) -> Floats:
        sums = np.bincount(own, values.ravel()[where], minlength=count + 1)[1:]
        return np.asarray(sums / pixels, np.float32)

    slices = tuple((rows, columns) for rows, columns in ndimage.find_objects(labels))
    middle = [((y.start + y.stop) / 2, (x.start + x.stop) / 2) for y, x in slices]
    return Parts(
        labels.astype(np.int32),
        slices,
        pixels,
        np.array(middle, np.float32).reshape(-1, 2),
        mean(probability),
        np.zeros(count, np.float32) if brightness is None else mean(brightness),
    )


def split(mask: Mask) -> Mask:
    """Cut connected parts at their narrow places, so that things that touch are counted singly.

    Args:
        mask: bool (H, W).

    Returns:
        The mask without the seams between what was told apart.
    """
    labels, _ = ndimage.label(mask)
    out = mask.copy()
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        own = np.pad(labels[rows, columns] == number, 1)
        pieces = _pieces(own, depth=4)
        # A seam is where the next pixel down or to the right is of another piece.
        seam = np.zeros_like(own)
        seam[:-1] |= (pieces[:-1] != pieces[1:]) & own[:-1] & own[1:]
        seam[:, :-1] |= (pieces[:, :-1] != pieces[:, 1:]) & own[:, :-1] & own[:, 1:]
        out[rows, columns][seam[1:-1, 1:-1]] = False
    return out


def _pieces(own: Mask, depth: int) -> NDArray[np.int32]:
    """Number of the piece of each pixel of a part that is surrounded by background."""
    whole = own.astype(np.int32)
    if depth == 0 or own.sum() < _CUT_AREA:
        return whole
    inner = ndimage.distance_transform_edt(own)
    for level in _CUT_LEVELS:
        cores, count = ndimage.label(inner > level * inner.max())
        heights = ndimage.maximum(inner, cores, np.arange(1, count + 1)) if count else []
        kept = [i + 1 for i, h in enumerate(heights) if h >= _CUT_HEIGHT * inner.max()]
        if len(kept) > 1:
            cores = np.where(np.isin(cores, kept), cores, 0)
            _, nearest = ndimage.distance_transform_edt(cores == 0, return_indices=True)
            nearest_core = np.where(own, cores[nearest[0], nearest[1]], 0)
            found = np.zeros_like(whole)
            for core in kept:
                piece = _pieces(nearest_core == core, depth - 1)
                found = np.where(piece > 0, piece + found.max(), found)
            return found.astype(np.int32)
    return whole


def choose(
    parts: Parts, said: Expression, *, counted: bool = True, anchor: Mask | None = None
) -> list[int]:
    """Which parts an expression means, best first.

    Args:
        parts: that its noun stands for.
        said: the expression.
        counted: whether they are things; a single cover is all of its parts.
        anchor: mask of what the relation is to; None without a relation.

    Returns:
        Numbers of parts from 0; empty where none fits.
    """
    left = np.arange(len(parts))
    if said.single and (said.order or said.place) and len(left):
        # What is doubtful does not win by lying further out, unless no other is left to be it.
        firm = left[parts.strength >= _DOUBTFUL * parts.strength.max()]
        left = firm if len(firm) >= said.rank else left
    rank = parts.strength.astype(np.float64).copy()
    one = said.single and (counted or bool(said.order or said.size or said.place))
    if said.relation and anchor is not None:
        if not anchor.any():
            return []
        fits, distance = _related(parts, said.relation, anchor)
        if said.relation == "near" and one and not fits.any():
            diagonal = float(np.hypot(*parts.labels.shape))
            fits = distance <= _REACH * diagonal
        left = left[fits[left]]
        if one and said.relation in ("near", "far"):
            rank = (distance if said.relation == "far" else -distance).astype(np.float64)
    if said.size and len(left):
        usual = np.median(parts.area[left])
        large = parts.area[left] >= usual
        left = left[large if said.size == "large" else parts.area[left] <= usual]
        if one and not said.relation:
            rank = parts.area.astype(np.float64) * (1 if said.size == "large" else -1)
    if said.place and len(left):
        offset = _offset(parts.middle[left], said.place, parts.labels.shape)
        if one and not said.order:
            return [int(left[np.argmin(offset)])]
        inside = offset <= 1
        left = left[inside] if inside.any() or not one else left[[np.argmin(offset)]]
    if said.order and len(left):
        rank = _ORDERS[said.order](parts).astype(np.float64)
    ordered = left[np.argsort(-rank[left], kind="stable")]
    if one:
        return [int(i) for i in ordered[said.rank - 1 : said.rank]]
    return [int(i) for i in ordered[: said.limit]]


_ORDERS: Final[dict[str, Callable[[Parts], Floats]]] = {
    "largest": lambda parts: parts.area,
    "smallest": lambda parts: -parts.area,
    "leftmost": lambda parts: -parts.middle[:, 1],
    "rightmost": lambda parts: parts.middle[:, 1],
    "topmost": lambda parts: -parts.middle[:, 0],
    "bottommost": lambda parts: parts.middle[:, 0],
    "brightest": lambda parts: parts.brightness,
    "darkest": lambda parts: -parts.brightness,
}


def _offset(middle: Floats, place: str, size: tuple[int, ...]) -> Floats:
    """How far parts are from a place: up to 1 is within it.

    Halves reach to the middle of the picture, "middle" alone is its middle third.
    """
    y, x = (2 * middle / np.array(size, np.float32) - 1).T
    words = place.split()
    down = -1.0 if "upper" in words else 1.0 if "lower" in words else None
    across = -1.0 if "left" in words else 1.0 if "right" in words else None
    if down is None and across is None:
        return np.asarray(np.maximum(abs(x), abs(y)) * 3, np.float32)
    # "Upper middle" is about the vertical axis.
    other_x = abs(x) * 3 if "middle" in words else np.zeros_like(x)
    other_y = abs(y) * 3 if "middle" in words else np.zeros_like(y)
    from_x = other_x if across is None else abs(x - across)
    from_y = other_y if down is None else abs(y - down)
    return np.asarray(np.maximum(from_x, from_y) + 1e-3 * (from_x + from_y), np.float32)


def _related(parts: Parts, relation: str, anchor: Mask) -> tuple[Mask, Floats]:
    """Which parts stand in a relation to the anchor, and how far they are from it in pixels."""
    distance, nearest = ndimage.distance_transform_edt(~anchor, return_indices=True)
    diagonal = float(np.hypot(*anchor.shape))
    fits, away = np.zeros(len(parts), bool), np.zeros(len(parts), np.float32)
    for i, (rows, columns) in enumerate(parts.slices):
        inside = parts.labels[rows, columns] == i + 1
        gap = distance[rows, columns][inside]
        away[i] = gap.min()
        if relation == "near":
            fits[i] = away[i] <= _NEAR * diagonal + 0.5 * float(np.sqrt(parts.area[i]))
        elif relation == "far":
            fits[i] = away[i] > 2 * _NEAR * diagonal
        elif relation == "in":
            fits[i] = _surrounded(parts, i, anchor) >= _SURROUNDED
        else:
            y, x = np.nonzero(inside)
            down = float((nearest[0, rows, columns][inside] - y - rows.start).mean())
            across = float((nearest[1, rows, columns][inside] - x - columns.start).mean())
            fits[i] = _towards(relation, across, down)
    return fits, away


def _towards(relation: str, across: float, down: float) -> bool:
    """Whether the way to the anchor is what is expected of a part left, right, … of it."""
    along, aside = (across, down) if relation in ("left", "right") else (down, across)
    if relation in ("right", "below"):
        along = -along
    return along > 0 and along >= _SLANT * abs(aside)


def _surrounded(parts: Parts, i: int, anchor: Mask) -> float:
    """Share of a part, or of the ring around it, that belongs to the anchor."""
    rows, columns = parts.slices[i]
    ring = max(3, int(0.3 * np.sqrt(parts.area[i])))
    y0, x0 = max(0, rows.start - ring), max(0, columns.start - ring)
    window = slice(y0, rows.stop + ring), slice(x0, columns.stop + ring)
    own = parts.labels[window] == i + 1
    around = ndimage.binary_dilation(own, iterations=ring) & ~own
    there = anchor[window]
    shares = [float(there[own].mean()), float(there[around].mean()) if around.any() else 0.0]
    return max(shares)
