"""Scenes of the conversations, simulated and written, and the truth of what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image

from terralogue.datasets.errors import InputError
from terralogue.datasets.synthetic import Simulated, simulate, simulate_scene, write_scene
from terralogue.tools.export import quiet

SIZE: Final = 192
_SEASON: Final = 0.45
# Square metres of a unit; % is of what was seen.
_UNITS: Final = {"ha": 1e4, "km2": 1e6, "m2": 1.0, "acre": 4046.8564224}
_COMMON: Final = {"R": "B04", "G": "B03", "N": "B08", "B": "B02"}


@dataclass(frozen=True)
class Staged:
    """A scene of a conversation.

    Attributes:
        path: its file.
        truth: what was simulated.
        date: ISO.
    """

    path: Path
    truth: Simulated
    date: str


def stage(row: Mapping[str, Any], folder: Path, number: int) -> Staged:
    """Simulate and write a scene.

    Args:
        row: layout, seed, date; perhaps event and form (tif, no_crs or png).
        folder: where the file goes.
        number: in the conversation.
    """
    seed, date = int(row["seed"]), str(row["date"])
    if row["layout"] == "valley":
        # Another date is another day, with noise of its own.
        sky = seed + 1 + int(date[5:7])
        truth = simulate(size=SIZE, seed=seed, event=row.get("event"), clouds=0.0, sky=sky)
    else:
        truth = simulate_scene(
            "sentinel2_l2a", layout=row["layout"], size=SIZE, seed=seed, season=_SEASON, clouds=0.0
        )
    stem = f"{row['layout']}_{seed}_{number}_{date.replace('-', '')}"
    form = row.get("form", "tif")
    if form == "png":
        path = folder / f"{stem}.png"
        colour = np.stack([truth.band(_COMMON[name]) for name in "RGB"], -1)
        Image.fromarray(np.clip(colour / 0.3 * 255, 0, 255).astype(np.uint8)).save(path)
        return Staged(path, truth, date)
    path = write_scene(folder / f"{stem}.tif", truth, date=date, scl=True)
    return Staged(path if form == "tif" else _without_crs(path), truth, date)


def _without_crs(path: Path) -> Path:
    """The same file without its place on the ground, as cut-outs for papers often are."""
    bare = path.with_name(f"{path.stem}_cut.tif")
    with rasterio.open(path) as source:
        profile = {**source.profile, "crs": None, "transform": rasterio.Affine.identity()}
        data, tags, names = source.read(), source.tags(), source.descriptions
    with quiet(), rasterio.open(bare, "w", **profile) as target:
        target.write(data)
        target.update_tags(ACQUISITION_DATETIME=tags["ACQUISITION_DATETIME"])
        for band, name in enumerate(names, 1):
            target.set_band_description(band, name)
    return bare


def outlined(path: Path, box: Sequence[float]) -> dict[str, Any]:
    """A box, given as shares of a scene, as GeoJSON in the scene's own CRS and on whole pixels."""
    with rasterio.open(path) as source:
        left, top, right, bottom = (round(share * SIZE) for share in box)
        corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        ring = [list(source.transform @ corner) for corner in corners]
        crs = source.crs.to_string()
    return {
        "type": "Polygon",
        "coordinates": [ring],
        "crs": {"type": "name", "properties": {"name": crs}},
    }


def inside(box: Sequence[float] | None) -> NDArray[np.bool_]:
    """Pixels of a box (H, W); all where there is none."""
    mask = np.zeros((SIZE, SIZE), np.bool_)
    left, top, right, bottom = (0, 0, SIZE, SIZE) if box is None else [round(v * SIZE) for v in box]
    mask[top:bottom, left:right] = True
    return mask


def true_figure(
    gold: Mapping[str, Any], scenes: Sequence[Staged], box: Sequence[float] | None
) -> float:
    """The figure that the end has to be, from the simulation.

    Areas are those of the cells that the ground was painted on, not of the commonest class of each
    pixel, which gives every tie along an edge to the same side.

    Args:
        gold: `unit`, and `truth`: `of` classes, `new` classes of the later date, or `index`, two
            bands whose normalised difference is averaged.
        scenes: of the conversation.
        box: region, as shares of the scene.

    Raises:
        InputError: the gold asks for something else.
    """
    truth, seen = gold["truth"], inside(box)
    ordered = sorted(scenes, key=lambda staged: staged.date)
    last = ordered[-1].truth
    if "index" in truth:
        # As whole numbers, which is how the file holds them.
        first, second = (
            np.clip(np.rint(last.band(_COMMON[name])[seen] * 10_000), 1, None)
            for name in truth["index"]
        )
        return float(((first - second) / (first + second)).mean())
    if "of" in truth:
        share = last.cover(*truth["of"])
    elif "new" in truth:
        share = last.cover(*truth["new"]) - ordered[0].truth.cover(*truth["new"])
    else:
        raise InputError(f"a conversation asks for an unknown truth: {truth}")
    pixels = float(share[seen].sum(dtype=np.float64))
    if gold["unit"] == "%":
        return 100 * pixels / float(seen.sum())
    return pixels * last.gsd**2 / _UNITS[gold["unit"]]
