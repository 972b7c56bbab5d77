"""A picture of a result: the mask over the scene, with legend and scale bar."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from rasterio.windows import Window

from terralogue.datasets.scene import Scene
from terralogue.tools.export import thinned
from terralogue.tools.grid import Grid, ground_crs

# Readable on vegetation, water, soil and grey radar alike.
COLOURS = {
    "water": "#00a8ff",
    "flooded_area": "#00e5ff",
    "vegetation": "#7CFC00",
    "tree_cover": "#00c853",
    "grassland": "#c6e83c",
    "bare_soil": "#e0a458",
    "snow_ice": "#e060ff",
    "burned_area": "#ff4d00",
    "built_up": "#ff2d78",
    "building": "#ff2d2d",
    "road": "#ff9d00",
    "cloud": "#ffd400",
    "cloud_shadow": "#b388ff",
}
_OTHER = "#ffcc00"
_INK, _QUIET, _HIDDEN = "#1b2733", "#5c6b7a", "#ffffff"
_DPI = 100
_WIDTH = 1000  # pixels of the picture
_TALLEST = 1400
_LARGEST = 4096
PICTURE = 1400  # pixels of the longer side of a mask that is worth drawing


@dataclass(frozen=True)
class Entry:
    """One line of the legend: a value of the mask, its colour and its text."""

    value: int
    colour: str
    text: str
    hatched: bool = False


def colour_of(target: str) -> str:
    """The colour of a target, as #rrggbb."""
    return COLOURS.get(target, _OTHER)


def rgba(colour: str) -> tuple[int, int, int, int]:
    """A colour #rrggbb for a colour table."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16), 255


def pixel_size(grid: Grid) -> tuple[float, float] | None:
    """Width and height in metres of the pixel in the middle, or None without ground."""
    crs = ground_crs(grid)
    if crs is None:
        return None
    assert crs.geodetic_crs is not None
    to_degrees = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    column, row = grid.width // 2, grid.height // 2
    corners = [(column, row), (column + 1, row), (column, row + 1)]
    points = [to_degrees.transform(*(grid.transform @ corner)) for corner in corners]
    geod = crs.get_geod() or pyproj.Geod(ellps="WGS84")
    sizes = [float(geod.inv(*points[0], *point)[2]) for point in points[1:]]
    return (sizes[0], sizes[1]) if all(math.isfinite(s) and s > 0 for s in sizes) else None


def draw_overlay(
    path: Path,
    scene: Scene,
    window: Window,
    mask: NDArray[np.uint8],
    entries: list[Entry],
    *,
    title: str,
    note: str = "",
) -> None:
    """Draw a mask over its scene and save it as PNG, about 1000 pixels wide.

    Args:
        path: where the picture goes.
        scene: the background.
        window: the part of the scene that the mask covers.
        mask: uint8 (H, W) of the window, or smaller.
        entries: the values to show, in the order of the legend.
        title: in bold above the legend.
        note: small print below it.
    """
    background = _background(scene, window)
    height, width = background.shape[:2]
    size = pixel_size(scene) or (1.0, 1.0)
    tall = (window.height * size[1]) / (window.width * size[0])
    picture_width = _WIDTH if tall <= _TALLEST / _WIDTH else max(int(_TALLEST / tall), 420)
    picture_height = min(max(int(picture_width * tall), 60), _TALLEST)
    # A long strip keeps its shape down to a width at which it can still be seen.
    wide = min(1.0, max(picture_height / tall, 60) / picture_width)
    lines = len(entries) + (1 if note else 0)
    panel = 58 + 26 * lines
    figure = Figure(
        figsize=(picture_width / _DPI, (picture_height + panel) / _DPI), dpi=_DPI, facecolor="white"
    )
    FigureCanvasAgg(figure)
    share = picture_height / (picture_height + panel)
    axes = figure.add_axes((0, 1 - share, wide, share))
    axes.set_axis_off()
    extent = (0.0, float(window.width), float(window.height), 0.0)
    smooth = "antialiased" if width >= picture_width / 2 else "nearest"
    axes.imshow(background, extent=extent, aspect="auto", interpolation=smooth)
    small = thinned(mask, (min(height, mask.shape[0]), min(width, mask.shape[1])))
    for entry in entries:
        _paint(axes, small == entry.value, entry, extent)
    axes.set_xlim(extent[0], extent[1])
    axes.set_ylim(extent[2], extent[3])
    if pixel_size(scene) is not None:
        _scale_bar(axes, window, size[0], int(picture_width * wide), picture_height)
    _legend(figure, entries, title, note, panel, picture_height + panel, picture_width)
    figure.savefig(path, format="png", dpi=_DPI, metadata={"Software": "Terralogue"})


def _background(scene: Scene, window: Window) -> NDArray[np.uint8]:
    """The part of the scene's picture under a window, as sharp as it is worth."""
    longest = max(scene.width, scene.height)
    wanted = longest / max(window.width, window.height) * _WIDTH
    picture = scene.preview(max_size=int(min(max(wanted, _WIDTH), _LARGEST, longest)))
    rows, columns = picture.shape[0] / scene.height, picture.shape[1] / scene.width
    top, left = int(window.row_off * rows), int(window.col_off * columns)
    bottom = max(math.ceil((window.row_off + window.height) * rows), top + 1)
    right = max(math.ceil((window.col_off + window.width) * columns), left + 1)
    return picture[top:bottom, left:right]


def _paint(
    axes: Axes, where: NDArray[np.bool_], entry: Entry, extent: tuple[float, float, float, float]
) -> None:
    """One class: a tint with a crisp border, or a hatching."""
    if not where.any():
        return
    red, green, blue, _ = rgba(entry.colour)
    tint = np.zeros((*where.shape, 4), dtype=np.float32)
    tint[where] = (red / 255, green / 255, blue / 255, 0.28 if entry.hatched else 0.42)
    axes.imshow(tint, extent=extent, aspect="auto", interpolation="nearest")
    # A contour cuts the corners of pixels; on large pixels that would show.
    times = max(1, _WIDTH // (2 * max(where.shape)))
    where = where.repeat(times, axis=0).repeat(times, axis=1)
    padded = np.pad(where.astype(np.float32), 1)
    step_x, step_y = extent[1] / where.shape[1], extent[2] / where.shape[0]
    x = (np.arange(padded.shape[1]) - 0.5) * step_x
    y = (np.arange(padded.shape[0]) - 0.5) * step_y
    if entry.hatched:
        drawn = axes.contourf(x, y, padded, levels=[0.5, 1.5], colors="none", hatches=["////"])
        drawn.set_edgecolor(entry.colour)
        drawn.set_linewidth(0.0)
        return
    axes.contour(x, y, padded, levels=[0.5], colors=[entry.colour], linewidths=1.1)


def _scale_bar(axes: Axes, window: Window, metres: float, width: int, height: int) -> None:
    """A bar of a round length, a fifth of the picture or less."""
    across = window.width * metres
    if min(height, width) < 120 or not across > 0:
        return
    power = 10.0 ** math.floor(math.log10(across / 4))
    length = max(step * power for step in (1, 2, 5) if step * power <= across / 4)
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    left, bottom, thick = 18 / width, 18 / height, 6 / height
    bar = length / across
    box = (left - 10 / width, bottom - 10 / height)
    shade = Rectangle(box, bar + 20 / width, 42 / height, facecolor=_INK, alpha=0.55)
    white = Rectangle((left, bottom), bar, thick, facecolor="white")
    for patch in (shade, white):
        patch.set(transform=axes.transAxes, linewidth=0, zorder=5)
        axes.add_patch(patch)
    axes.text(
        left + bar / 2, bottom + thick + 4 / height, text, color="white", fontsize=8.5,
        ha="center", va="bottom", transform=axes.transAxes, zorder=6,
    )  # fmt: skip


def _legend(
    figure: Figure,
    entries: list[Entry],
    title: str,
    note: str,
    panel: int,
    total: int,
    width: int,
) -> None:
    def y(from_top: float) -> float:
        return (panel - from_top) / total

    figure.text(
        18 / width,
        y(26),
        title,
        fontsize=13,
        weight="bold",
        color=_INK,
        va="center",
        parse_math=False,
    )
    for number, entry in enumerate(entries):
        middle = y(58 + 26 * number)
        figure.add_artist(
            Rectangle(
                (18 / width, middle - 7 / total),
                24 / width,
                14 / total,
                facecolor="#7f8c99" if entry.hatched else entry.colour,
                edgecolor=_HIDDEN if entry.hatched else entry.colour,
                hatch="////" if entry.hatched else None,
                linewidth=0,
                transform=figure.transFigure,
            )
        )
        figure.text(
            54 / width, middle, entry.text, fontsize=10.5, color=_INK, va="center", parse_math=False
        )
    if note:
        longest = int((width - 36) / 6.1)
        short = note if len(note) <= longest else note[: longest - 1].rstrip() + "…"
        place = y(58 + 26 * len(entries))
        figure.text(
            18 / width, place, short, fontsize=8, color=_QUIET, va="center", parse_math=False
        )
