"""Pictures that explain a result: a map with a colour bar, two dates and their change, a trend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.patches import Patch
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

_DPI = 120
_INK = "#222222"
_PALE = "#8a8a8a"
_ACCENT = "#1f6feb"
# Pixels that were not observed.
_UNSEEN = "#4a4a4a"


def save_picture(path: Path, picture: Picture) -> None:
    """Write (H, W, 3) as PNG."""
    imsave(path, np.ascontiguousarray(picture), format="png")


def save_map(
    path: Path,
    values: NDArray[np.float32],
    *,
    title: str,
    label: str,
    colours: str,
    limits: tuple[float, float],
) -> None:
    """A raster (H, W) in colour with its colour bar; NaN is dark grey.

    Args:
        path: PNG.
        values: What to show.
        title: Above the map.
        label: Beside the colour bar.
        colours: Name of a matplotlib colour map.
        limits: Values of the ends of the colour bar.
    """
    low, high = limits
    if not low < high:
        low, high = low - 0.5, high + 0.5
    height, width = values.shape
    across, down = _inches(width, height, 7.0)
    figure = Figure(figsize=(across + 1.5, down + 0.5), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor(_UNSEEN)
    shown = axes.imshow(values, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, loc="left", fontsize=11, color=_INK, parse_math=False)
    bar = figure.colorbar(shown, ax=axes, extend="both", fraction=0.045, pad=0.02)
    bar.set_label(label, color=_INK, parse_math=False)
    bar.outline.set_visible(False)
    _write(figure, path)


def save_change(
    path: Path,
    before: Picture,
    after: Picture,
    overlay: Picture,
    *,
    titles: tuple[str, str, str],
    legend: Mapping[str, Colour],
) -> None:
    """Three pictures (H, W, 3) of one size side by side, with a legend of the last."""
    height, width = before.shape[:2]
    across, down = _inches(width, height, 4.5)
    figure = Figure(figsize=(3 * across + 0.4, down + 0.9), dpi=_DPI, layout="constrained")
    pictures = (before, after, overlay)
    for number, (picture, title) in enumerate(zip(pictures, titles, strict=True), start=1):
        axes = figure.add_subplot(1, 3, number)
        axes.imshow(picture, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(title, loc="left", fontsize=10, color=_INK, parse_math=False)
    patches = [
        Patch(color=f"#{bytes(colour).hex()}", label=text) for text, colour in legend.items()
    ]
    figure.legend(handles=patches, loc="outside lower right", ncols=len(patches), frameon=False)
    _write(figure, path)


def save_series(
    path: Path,
    times: Sequence[datetime],
    values: Sequence[float],
    trend: Sequence[float] | None,
    *,
    title: str,
    label: str,
    caption: str,
) -> None:
    """Values over time, with the trend line where there is one."""
    figure = Figure(figsize=(8, 4.2), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    moments = np.array(times, dtype="datetime64[s]")
    if trend is not None:
        axes.plot(moments, list(trend), color=_ACCENT, linewidth=1.5, linestyle="--", label=caption)
        axes.legend(frameon=False, loc="best", fontsize=9)
    axes.plot(moments, list(values), color=_INK, linewidth=0.8, alpha=0.4)
    axes.plot(moments, list(values), "o", color=_INK, markersize=5)
    axes.set_title(title, loc="left", fontsize=11, color=_INK, parse_math=False)
    axes.set_ylabel(label, color=_INK, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_PALE)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.grid(axis="y", color=_PALE, alpha=0.2)
    axes.margins(y=0.15)
    _write(figure, path)


def blend(picture: Picture, codes: NDArray[np.uint8], colours: Mapping[int, Colour]) -> Picture:
    """Lay colours of codes (H, W) over a picture (H, W, 3) turned grey."""
    grey = picture.astype(np.float32).mean(axis=2, keepdims=True)
    result = np.repeat(60 + 0.6 * grey, 3, axis=2)
    for code, colour in colours.items():
        result[codes == code] = colour
    return result.astype(np.uint8)


def _inches(width: int, height: int, longest: float) -> tuple[float, float]:
    """Size of a panel that keeps the proportions; extreme strips are let be wide."""
    ratio = min(max(height / width, 0.25), 4.0)
    return (longest, longest * ratio) if ratio <= 1 else (longest / ratio, longest)


def _write(figure: Figure, path: Path) -> None:
    # Not pyplot: its state is shared by all threads.
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png")
