"""Scenes to try at once: our own synthetic ones, and the real one that spyndex carries."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from terralogue.datasets.synthetic import Event, make_demo_pair, make_demo_scene

DEMO_QUESTION: Final = "How much of this is under water?"


@dataclass(frozen=True)
class Sample:
    """Scenes that go together, and questions that suit them.

    Attributes:
        key: Stable name, also of its folder.
        title: For people.
        caption: What it shows and where it comes from.
        questions: The first one suits best.
        make: Writes the files into a folder and gives them, one scene each.
    """

    key: str
    title: str
    caption: str
    questions: tuple[str, ...]
    make: Callable[[Path], tuple[Path, ...]]


def _valley(folder: Path) -> tuple[Path, ...]:
    return (make_demo_scene(folder / "synthetic_valley_20240615.tif"),)


def _pair(event: Event) -> Callable[[Path], tuple[Path, ...]]:
    return lambda folder: make_demo_pair(folder, event=event, clouds=0.01, scl=True)


def _real(folder: Path) -> tuple[Path, ...]:
    """The Sentinel-2 cut-out of the package spyndex (MIT): four bands of 10 m, no coordinates."""
    source = resources.files("spyndex").joinpath("data/S2_10m.json")
    pixels = np.array(json.loads(source.read_text(encoding="utf-8")), np.uint16)
    path = folder / "spyndex_sentinel2_10m.tif"
    count, height, width = pixels.shape
    layout = {"driver": "GTiff", "count": count, "height": height, "width": width}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", dtype="uint16", compress="deflate", **layout) as target:
            target.write(pixels)
            target.update_tags(DESCRIPTION="Sentinel-2 L2A sample of the package spyndex")
            for i, band in enumerate(("B02", "B03", "B04", "B08"), 1):
                target.set_band_description(i, band)
    return (path,)


SAMPLES: Final = {
    sample.key: sample
    for sample in (
        Sample(
            "valley",
            "River valley",
            "Synthetic Sentinel-2, 12 bands",
            (
                DEMO_QUESTION,
                "Where is healthy vegetation, and how much of it?",
                "What does this scene show?",
                "Is there a river?",
                "Give me the NDVI of this scene",
            ),
            _valley,
        ),
        Sample(
            "flood",
            "Flood, before and after",
            "Synthetic Sentinel-2 pair",
            (
                "How much more water is there after the flood?",
                "How many hectares are under water now?",
                "How much vegetation was lost between the two dates?",
                "What changed between the two images, in words?",
            ),
            _pair("flood"),
        ),
        Sample(
            "burn",
            "Forest fire, before and after",
            "Synthetic Sentinel-2 pair",
            (
                "How much burned between the two dates?",
                "How much vegetation was lost between the two dates?",
            ),
            _pair("burn"),
        ),
        Sample(
            "real",
            "Real Sentinel-2, no coordinates",
            "Carried by the package spyndex",
            (
                "How green is it?",
                "Is it a rural or an urban area?",
                "What share of this is vegetation?",
                "How much bare soil is there, in hectares?",
            ),
            _real,
        ),
    )
}


def sample_files(folder: Path, key: str) -> tuple[Path, ...]:
    """The files of a sample, one scene each; written on the first call.

    Raises:
        KeyError: No such sample.
        SceneError: The folder cannot be written.
    """
    sample, home = SAMPLES[key], folder / key
    listing = home / "files.json"
    if listing.is_file():
        paths = tuple(home / name for name in json.loads(listing.read_text(encoding="utf-8")))
        if all(path.is_file() for path in paths):
            return paths
    folder.mkdir(parents=True, exist_ok=True)
    # Written beside its place, then renamed: another process may be making the same sample.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as temporary:
        new = Path(temporary) / key
        new.mkdir()
        names = [path.name for path in sample.make(new)]
        (new / listing.name).write_text(json.dumps(names), encoding="utf-8")
        if home.is_dir():
            shutil.rmtree(home)
        new.rename(home)
    return tuple(home / name for name in names)
