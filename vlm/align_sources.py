"""SOURCES: what alignment can train on, one line each; decoded arrays are kept between runs.

from terralogue.vlm.align_sources import load_sources
load_sources(["pictures", "scenes"], data, "train", cache=Path("packs"))
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
from tqdm import tqdm

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.parts import Part
from terralogue.vlm.align_boxes import boxed, dubai
from terralogue.vlm.align_data import Source, captioned, labelled

Maker = Callable[[Path, Part], Source]
# Side of pictures that are larger than the tower needs.
_SIDE = 192
# First seeds of the simulated places of each part, far apart.
_SEEDS: Final[dict[Part, int]] = {"train": 1_000_000, "val": 5_000_000, "test": 8_000_000}
_SIMULATED_VALIDATION = 100
CACHE: Final = 2
"""Version of what is cached; raised whenever a source comes out differently."""


def _sim(sensor: str, count: int, weight: float) -> Maker:
    def make(data: Path, part: Part) -> Source:
        # It needs rasterio, which training on pictures does not.
        from terralogue.vlm.align_scenes import simulated

        number = count if part == "train" else _SIMULATED_VALIDATION
        return simulated(sensor, number, seed=_SEEDS[part], weight=weight)

    return make


def _oscd(data: Path, part: Part) -> Source:
    from terralogue.vlm.align_scenes import oscd

    return oscd(data, part)


_UCM: Final = "ucm/UCMerced_LandUse/Images"

# ★ One line per source.
SOURCES: Final[dict[str, Maker]] = {
    "rsicd": lambda d, p: captioned(
        "rsicd", d / "rsicd/dataset_rsicd.json", d / "rsicd/RSICD_images", p, side=128, weight=3),
    "ucm": lambda d, p: captioned(
        "ucm", d / "ucm/dataset_ucm.json", d / _UCM, p, side=_SIDE, weight=1),
    "eurosat": lambda d, p: labelled("eurosat", d / "eurosat_rgb", p, side=64, weight=2.5),
    "rsscn7": lambda d, p: labelled("rsscn7", d / "rsscn7", p, side=144, weight=0.8),
    "nwpu_vhr10": lambda d, p: boxed("nwpu_vhr10", d / "nwpu_vhr10", p, side=_SIDE, weight=0.15),
    "rsod": lambda d, p: boxed("rsod", d / "rsod", p, side=_SIDE, weight=0.1),
    "dubai": lambda d, p: dubai(d / "dubai_landcover", p, side=_SIDE, weight=0.05),
    "oscd": _oscd,
    "sim_sentinel2_l2a": _sim("sentinel2_l2a", 2400, 0.5),
    "sim_sentinel2_l1c": _sim("sentinel2_l1c", 800, 0.3),
    "sim_sentinel1_grd": _sim("sentinel1_grd", 1600, 3.0),
    "sim_landsat8": _sim("landsat8", 800, 0.3),
    "sim_landsat5": _sim("landsat5", 400, 0.2),
    "sim_naip_rgbn": _sim("naip_rgbn", 500, 0.2),
    "sim_planetscope_8b": _sim("planetscope_8b", 400, 0.2),
    "sim_worldview2": _sim("worldview2", 500, 0.2),
}  # fmt: skip
GROUPS: Final = {
    "pictures": ("rsicd", "ucm", "eurosat", "rsscn7", "nwpu_vhr10", "rsod", "dubai"),
    "scenes": ("oscd", *(name for name in SOURCES if name.startswith("sim_"))),
}


def names_of(wanted: Sequence[str]) -> list[str]:
    """Names of sources, groups resolved.

    Raises:
        InputError: neither a source nor a group.
    """
    names: list[str] = []
    for name in wanted:
        if name not in SOURCES and name not in GROUPS:
            raise InputError(
                f"unknown source {name!r}; valid are: {', '.join([*GROUPS, *SOURCES])}"
            )
        names += GROUPS.get(name, (name,))
    return list(dict.fromkeys(names))


def load_sources(
    wanted: Sequence[str], data: Path, part: Part, *, cache: Path | None = None
) -> list[Source]:
    """Read the named sources, from the cache where they are there.

    Args:
        wanted: names in SOURCES or GROUPS.
        data: folder of the data sets.
        part: of our own cut.
        cache: folder for decoded arrays; None keeps none. Delete it when data has changed.

    Raises:
        InputError: an unknown name, or a data set that is missing.
    """
    sources = []
    for name in tqdm(names_of(wanted), desc=f"{part} sources", unit="source"):
        path = None if cache is None else cache / f"{name}_{part}_{CACHE}"
        if path is not None and path.is_dir():
            sources.append(read_source(path))
            continue
        source = SOURCES[name](data, part)
        if path is not None:
            write_source(path, source)
        sources.append(source)
    return sources


def write_source(folder: Path, source: Source) -> None:
    """Write a source as .npy files and JSON; the folder appears whole or not at all."""
    token = hashlib.sha256(f"{folder}{os.getpid()}".encode()).hexdigest()[:8]
    part = folder.with_name(f"{folder.name}.{token}")
    part.mkdir(parents=True)
    for name in ("pixels", "labels", "fractions", "companion"):
        value = getattr(source, name)
        if value is not None:
            np.save(part / f"{name}.npy", value)
    facts = {
        "name": source.name,
        "bands": [asdict(band) for band in source.bands],
        "captions": source.captions,
        "label_names": source.label_names,
        "weight": source.weight,
        "keys": source.keys,
        "companion_bands": [asdict(band) for band in source.companion_bands],
    }
    (part / "source.json").write_text(json.dumps(facts), encoding="utf-8")
    try:
        part.replace(folder)
    except OSError:
        # Another process was quicker.
        shutil.rmtree(part)
        if not folder.is_dir():
            raise


def read_source(folder: Path) -> Source:
    """Read what `write_source` wrote."""
    facts = json.loads((folder / "source.json").read_text(encoding="utf-8"))

    def array(name: str) -> np.ndarray | None:
        path = folder / f"{name}.npy"
        return np.load(path, mmap_mode="r", allow_pickle=False) if path.is_file() else None

    def bands(name: str) -> tuple[Band, ...]:
        return tuple(Band(**{**row, "aliases": tuple(row["aliases"])}) for row in facts[name])

    pixels, labels = array("pixels"), array("labels")
    assert pixels is not None
    assert labels is not None
    return Source(
        facts["name"],
        bands("bands"),
        pixels,
        tuple(map(tuple, facts["captions"])),
        labels,
        tuple(facts["label_names"]),
        array("fractions"),
        facts["weight"],
        tuple(facts["keys"]),
        array("companion"),
        bands("companion_bands"),
    )
