"""What a search shows: a sheet of thumbnails with their ranks, and the footprints as GeoJSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import shapely
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from shapely.geometry import mapping

from terralogue.tools.archive import Hit
from terralogue.tools.archive_rows import unpacked

_COLUMNS: Final = 5
_PAIR_COLUMNS: Final = 3
_DPI: Final = 100
_INK: Final = "#222222"
_NAME_WIDTH: Final = 26
_NAME_LINES: Final = 2


def save_sheet(path: Path, hits: Sequence[Hit]) -> None:
    """Write thumbnails as a PNG, row by row; pairs with the earlier image on the left."""
    pairs = hits[0].row.before is not None
    columns = min(_PAIR_COLUMNS if pairs else _COLUMNS, len(hits))
    rows = -(-len(hits) // columns)
    width = 3.2 if pairs else 1.9
    size = (max(columns * width, 2.4), rows * 2.4)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in places:
        axes.set_axis_off()
    for axes, (rank, hit) in zip(places, enumerate(hits, start=1), strict=False):
        axes.imshow(unpacked(hit.row.thumbnail), interpolation="bilinear")
        caption = "\n".join((f"{rank}   {hit.score:.3f}", *_caption(hit)))
        axes.set_title(caption, loc="left", fontsize=8, color=_INK, parse_math=False)
    FigureCanvasAgg(figure)
    # Long captions reach above the figure otherwise.
    figure.savefig(path, format="png", bbox_inches="tight", pad_inches=0.1)


def _caption(hit: Hit) -> list[str]:
    lines = textwrap.wrap(hit.row.name, _NAME_WIDTH) or [""]
    if len(lines) > _NAME_LINES:
        lines = [*lines[: _NAME_LINES - 1], f"{lines[_NAME_LINES - 1][: _NAME_WIDTH - 1]}…"]
    dates = [hit.row.before.date if hit.row.before else None, hit.row.date]
    when = " to ".join(date for date in dates if date)
    return [*lines, *([when] if when else [])]


def footprints(hits: Sequence[Hit]) -> dict[str, Any]:
    """A GeoJSON FeatureCollection (RFC 7946) of the hits that have a place on the ground."""
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {
                    "rank": rank,
                    "score": round(hit.score, 4),
                    "name": hit.row.name,
                    "path": hit.row.paths[0],
                    "window": ",".join(map(str, hit.row.window)) if hit.row.window else None,
                    "sensor": hit.row.sensor,
                    "date": hit.row.date,
                    "before_date": hit.row.before.date if hit.row.before else None,
                },
                "geometry": mapping(shapely.from_wkb(hit.row.footprint)),
            }
            for rank, hit in enumerate(hits, start=1)
            if hit.row.footprint is not None
        ],
    }


def write_footprints(path: Path, hits: Sequence[Hit]) -> None:
    """Write `footprints` to a file."""
    path.write_text(json.dumps(footprints(hits), separators=(",", ":")), encoding="utf-8")
