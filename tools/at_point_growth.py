"""Regions that grow from a click: by colour, by hue, by the image tower, and up to edges.

    sight = Sight.of(data, features)                  # once a window
    regions = grow(sight, row, column)                # candidates, each with its description

No single measure of likeness and no single threshold outlines a roof as well as a field, so
several of each are tried, and a learned score chooses (`at_point_choice`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import dijkstra

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

STRIDE: Final = 4
"""Pixels along a cell of the features."""
LEAST: Final = 12
"""Pixels of the smallest region."""
LARGEST: Final = 0.9
"""Share of the window that the largest region may cover."""
# Thresholds of each measure of likeness; colour, hue and edges in spreads of the window's colours.
LEVELS: Final[dict[str, NDArray[np.float64]]] = {
    "colour": np.geomspace(0.08, 1.8, 12),
    "hue": np.geomspace(0.04, 0.8, 10),
    "tower": np.linspace(0.15, 1.0, 9),
    "edges": np.geomspace(0.3, 8.0, 10),
}
DESCRIPTION: Final = (
    "log_area", "share_of_window", "fill_of_box", "outline_by_root_area", "edge_on_outline",
    "edge_inside", "sides_touched", "colour_inside", "colour_step", "hue_inside", "hue_step",
    "brightness_inside", "brightness_step", "tower_inside", "tower_step", "colour_rim_step",
    "tower_rim_step", "by_hue", "by_tower", "by_edges", "level",
)  # fmt: skip
"""What is told of a region, in this order."""
_NEVER = np.float32(1e6)
# Spread of colours below which a window shows nothing at all.
_EVEN = 0.002
# Pixels around a region that it is set against.
_RING = 3
# Cost of a step over even ground, in spreads of colour: keeps flat regions from being free.
_STEP = 0.003


@dataclass(frozen=True, eq=False)
class Sight:
    """One window as regions grow in it.

    Attributes:
        colours: float32 (bands, H, W) in about -1 to 1, averaged over 3 by 3 pixels.
        spread: of the colours over the window, one number.
        edges: float32 (H, W), gradient in spreads for each pixel.
        features: float32 (channels, h, w) with unit length, centred, at a quarter of the pixels.
        seen: bool (H, W).
    """

    colours: Floats
    spread: float
    edges: Floats
    features: Floats
    seen: Bools

    @classmethod
    def of(cls, data: Floats, features: Floats) -> Sight:
        """Prepare a window.

        Args:
            data: (bands, H, W) as `datasets.tiles` gives them, NaN where not observed.
            features: (channels, h, w) of the decoder's `fuse`, at a stride of 4 pixels.
        """
        seen = np.asarray(np.isfinite(data).all(axis=0))
        filled = np.where(seen, data, 0).astype(np.float32)
        colours = np.asarray(ndimage.uniform_filter(filled, (0, 3, 3), mode="nearest"), np.float32)
        spread = float(np.sqrt(colours[:, seen].var(axis=1).mean())) + 1e-3 if seen.any() else 1.0
        steps = [ndimage.gaussian_gradient_magnitude(b, 1.0, mode="nearest") ** 2 for b in filled]
        edges = np.sqrt(np.mean(steps, axis=0)) / spread
        centred = features - features.mean((1, 2), keepdims=True)
        length = np.maximum(np.linalg.norm(centred, axis=0, keepdims=True), 1e-6)
        unit = np.asarray(centred / length, np.float32)
        return cls(colours, spread, np.asarray(edges, np.float32), unit, seen)


@dataclass(frozen=True, eq=False)
class Grown:
    """A region that holds the click.

    Attributes:
        mask: bool (h, w) of its bounding box.
        place: rows and columns of that box in the window.
        description: float32, the figures of DESCRIPTION.
    """

    mask: Bools
    place: tuple[slice, slice]
    description: Floats

    def on(self, shape: tuple[int, int]) -> Bools:
        """The mask bool (H, W) of the whole window."""
        full = np.zeros(shape, np.bool_)
        full[self.place] = self.mask
        return full


def grow(sight: Sight, row: int, column: int) -> list[Grown]:
    """All regions that grow from a pixel, each once; none where only specks do.

    Args:
        sight: the window.
        row: of the click.
        column: of the click; the pixel was observed.
    """
    if sight.spread <= _EVEN:
        return []
    unlike = _unlike(sight, row, column)
    found: list[Grown] = []
    known = set()
    for measure, levels in LEVELS.items():
        for number, level in enumerate(levels):
            region = _connected((unlike[measure] <= level) & sight.seen, row, column)
            if region is None:
                continue
            mask, place = region
            key = (place[0].start, place[1].start, mask.shape, int(mask.sum()))
            if key in known:
                continue
            known.add(key)
            description = _describe(sight, unlike, mask, place)
            method = [float(measure == name) for name in ("hue", "tower", "edges")]
            figures = np.array([*description, *method, number / len(levels)], np.float32)
            found.append(Grown(mask, place, figures))
    return found


def _unlike(sight: Sight, row: int, column: int) -> dict[str, Floats]:
    """How unlike the clicked pixel each pixel is, float32 (H, W), by each measure."""
    colours = sight.colours
    difference = colours - colours[:, row, column][:, None, None]
    bright = difference.mean(axis=0)
    hue = difference - bright
    height, width = sight.seen.shape
    features = sight.features
    cell = (
        min(row // STRIDE, features.shape[1] - 1),
        min(column // STRIDE, features.shape[2] - 1),
    )
    cosine = np.einsum("chw,c->hw", features, features[:, cell[0], cell[1]])
    cells = np.meshgrid(
        (np.arange(height) + 0.5) / STRIDE - 0.5, (np.arange(width) + 0.5) / STRIDE - 0.5,
        indexing="ij",
    )  # fmt: skip
    tower = 1 - ndimage.map_coordinates(cosine, cells, order=1, mode="nearest")
    return {
        "colour": np.sqrt((difference**2).mean(axis=0)) / sight.spread,
        "hue": np.sqrt((hue**2).mean(axis=0)) / sight.spread,
        "brightness": np.abs(bright) / sight.spread,
        "tower": np.asarray(tower, np.float32),
        "edges": _way(np.where(sight.seen, sight.edges, _NEVER) + np.float32(_STEP), row, column),
    }


def _way(cost: Floats, row: int, column: int) -> Floats:
    """The least sum of costs on a way from a pixel to each other one: float32 (H, W)."""
    height, width = cost.shape
    number = np.arange(height * width).reshape(height, width)
    steps = (
        (np.s_[:, :-1], np.s_[:, 1:], 1.0), (np.s_[:-1], np.s_[1:], 1.0),
        (np.s_[:-1, :-1], np.s_[1:, 1:], 2**0.5), (np.s_[1:, :-1], np.s_[:-1, 1:], 2**0.5),
    )  # fmt: skip
    start = np.concatenate([number[a].ravel() for a, _, _ in steps])
    end = np.concatenate([number[b].ravel() for _, b, _ in steps])
    weight = np.concatenate([((cost[a] + cost[b]) / 2 * far).ravel() for a, b, far in steps])
    graph = sparse.csr_matrix((weight, (start, end)), shape=(cost.size, cost.size))
    # Beyond the highest threshold nobody asks.
    limit = float(LEVELS["edges"][-1]) * 1.01
    way = dijkstra(graph, directed=False, indices=[int(number[row, column])], limit=limit)[0]
    return np.asarray(np.minimum(way, 2 * limit).reshape(height, width), np.float32)


def _connected(mask: Bools, row: int, column: int) -> tuple[Bools, tuple[slice, slice]] | None:
    """The part of a mask that holds a pixel, without threads and holes; None for a speck."""
    part = _part(mask, row, column)
    if part is None or part[0].sum() < LEAST:
        return None
    inner, place = part
    if inner.sum() > LARGEST * mask.size:
        return None
    if inner.sum() > 5 * LEAST:
        opened = ndimage.binary_opening(np.pad(inner, 1))[1:-1, 1:-1]
        again = _part(opened, row - place[0].start, column - place[1].start)
        if again is None or again[0].sum() < LEAST:
            return None
        inner, within = again
        place = (
            slice(place[0].start + within[0].start, place[0].start + within[0].stop),
            slice(place[1].start + within[1].start, place[1].start + within[1].stop),
        )
    return np.asarray(ndimage.binary_fill_holes(inner), np.bool_), place


def _part(mask: Bools, row: int, column: int) -> tuple[Bools, tuple[slice, slice]] | None:
    if not mask[row, column]:
        return None
    labels, _ = ndimage.label(mask)
    own = labels == labels[row, column]
    rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
    place = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    return own[place], place


def _describe(
    sight: Sight, unlike: dict[str, Floats], mask: Bools, place: tuple[slice, slice]
) -> list[float]:
    """The figures of DESCRIPTION that need no knowledge of how the region grew."""
    height, width = sight.seen.shape
    pad = _RING + 1
    around = tuple(
        slice(max(0, part.start - pad), min(side, part.stop + pad))
        for part, side in zip(place, (height, width), strict=True)
    )
    offsets = [part.start - wide.start for part, wide in zip(place, around, strict=True)]
    inside = np.zeros([wide.stop - wide.start for wide in around], np.bool_)
    inside[offsets[0] : offsets[0] + mask.shape[0], offsets[1] : offsets[1] + mask.shape[1]] = mask
    grown = ndimage.binary_dilation(inside)
    ring = ndimage.binary_dilation(inside, iterations=_RING) & ~grown
    core = ndimage.binary_erosion(inside, border_value=1)
    outline = grown & ~core
    rim = inside & ~ndimage.binary_erosion(inside, iterations=2, border_value=1)
    area = float(mask.sum())
    edges = sight.edges[around]
    touched = [place[0].start == 0, place[1].start == 0]
    touched += [place[0].stop == height, place[1].stop == width]
    told = [
        np.log(area), area / (height * width), area / mask.size,
        float(outline.sum()) / area**0.5, _mean(edges, outline), _mean(edges, core),
        float(sum(touched)),
    ]  # fmt: skip
    for name in ("colour", "hue", "brightness", "tower"):
        values = unlike[name][around]
        within = _mean(values, inside)
        told += [within, _mean(values, ring, within) - within]
    for name in ("colour", "tower"):
        values = unlike[name][around]
        within = _mean(values, rim)
        told.append(_mean(values, ring, within) - within)
    return told


def _mean(values: Floats, where: Bools, otherwise: float = 0.0) -> float:
    return float(values[where].mean()) if where.any() else otherwise
