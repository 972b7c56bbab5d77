"""SOURCES: what the decoder that points is trained and measured on, one line each.

    from terralogue.vlm.referring_sources import read_sources
    read_sources(["nwpu_vhr10", "sim_pictures"], data, "train", cache=Path("packs"))

Simulated places have exact marks for any sensor. Pictures of one scene class teach covers that fill
them, and above all where things are not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from terralogue.datasets.band_tables import RGB
from terralogue.datasets.bands import Band
from terralogue.datasets.errors import InputError
from terralogue.datasets.parts import Part, part
from terralogue.datasets.samples import Box
from terralogue.datasets.synthetic import Simulated, simulate_scene
from terralogue.datasets.synthetic_render import PICTURES
from terralogue.datasets.tiles import normalise
from terralogue.vlm.referring_concepts import THINGS
from terralogue.vlm.referring_data import (
    UNKNOWN,
    Marked,
    colours,
    dubai,
    neon,
    nwpu,
    one_class,
    rsod,
    sen2ships,
)

Maker = Callable[[Path, Part], list[Marked]]
CACHE: Final = 1
"""Version of the cached simulations; raised whenever they come out differently."""
_SEEDS: Final[dict[Part, int]] = {"train": 21_000_000, "val": 25_000_000, "test": 28_000_000}
# Simulated classes by concept.
_COVERS: Final = {
    "forest": ("tree_cover",), "farmland": ("cropland",), "grass": ("grassland",),
    "bare_land": ("bare_soil",), "road": ("road",), "wetland": ("wetland",), "snow": ("snow_ice",),
    "burned": ("burned_area",), "flood": ("flooded_area",), "solar_panel": ("solar_panel",),
    "water": ("water", "flooded_area"), "building": ("building",), "paved": ("built_up",),
    "built_up": ("building", "built_up", "road", "vehicle"), "ship": ("ship",),
    "vehicle": ("vehicle",), "storage_tank": ("storage_tank",), "airplane": ("aircraft",),
}  # fmt: skip
_KINDS: Final = {"aircraft": "airplane"}
# Names of simulated water, and what else may be called so.
_WATERS: Final = {"river": ("creeks",), "lake": ("pond",), "sea": ()}
_SIMULATED_VALIDATION = 12

_NOWHERE: Final = frozenset(THINGS) - {"building", "tree", "bridge", "vehicle"}
# Scene classes: covers that fill the picture, and what is nowhere in it.
_SCENES: Final[dict[str, dict[str, tuple[tuple[str, ...], frozenset[str]]]]] = {
    "rsicd": {
        "bareland": (("bare_land",), _NOWHERE | {"water", "snow", "flood"}),
        "desert": (("bare_land",), _NOWHERE | {"water", "snow", "building", "vegetation", "road"}),
        "forest": (("forest", "vegetation"), _NOWHERE | {"building", "snow", "farmland"}),
        "meadow": (("grass", "vegetation"), _NOWHERE | {"building", "snow", "water"}),
        "farmland": (("farmland",), _NOWHERE | {"snow", "sea"}),
        "mountain": ((), _NOWHERE | {"building", "farmland", "vehicle"}),
        "beach": ((), _NOWHERE - {"ship"} | {"snow", "farmland", "storage_tank"}),
        "river": ((), _NOWHERE - {"ship"} | {"snow", "sea"}),
        "denseresidential": ((), _NOWHERE - {"tennis_court", "basketball_court"} | {"sea", "snow"}),
        "mediumresidential": (
            (), _NOWHERE - {"tennis_court", "basketball_court"} | {"sea", "snow"}),
        "commercial": ((), frozenset({"airplane", "ship", "storage_tank", "harbor", "sea"})),
        "church": ((), frozenset({"airplane", "ship", "storage_tank", "harbor", "sea"})),
        "parking": ((), frozenset({"airplane", "ship", "storage_tank", "harbor", "sea", "river"})),
        "industrial": ((), frozenset({"airplane", "baseball_diamond", "tennis_court", "sea"})),
        "viaduct": ((), frozenset({"airplane", "ship", "storage_tank", "harbor", "sea"})),
    },
    "eurosat": {
        "Forest": (("forest", "vegetation"), _NOWHERE | {"building", "snow", "sea"}),
        "SeaLake": (("water",), _NOWHERE - {"ship"} | {"building", "forest", "farmland", "road"}),
        "AnnualCrop": (("farmland",), _NOWHERE | {"snow", "sea", "lake"}),
        "PermanentCrop": (("farmland",), _NOWHERE | {"snow", "sea", "lake"}),
        "Pasture": (("grass", "vegetation"), _NOWHERE | {"snow", "sea"}),
        "Residential": (("built_up",), _NOWHERE | {"snow", "sea", "farmland"}),
    },
}  # fmt: skip
_PER_SCENE: Final[dict[Part, int]] = {"train": 30, "val": 3, "test": 3}


def scenes(name: str, folder: Path, wanted: Part) -> list[Marked]:
    """Pictures of single scene classes, named after them or in folders of their names.

    Raises:
        InputError: no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist; give the folder that holds the data sets")
    found = []
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*_*.webp")):
        files.setdefault(path.name.split("_")[0], []).append(path)
    for label, (covers, absent) in _SCENES[name].items():
        own = [path for path in files.get(label, []) if part(name, path.name) == wanted]
        for path in own[:: max(1, len(own) // _PER_SCENE[wanted])][: _PER_SCENE[wanted]]:
            pixels = colours(path)
            marks = {cover: np.ones(pixels.shape[1:], np.uint8) for cover in covers}
            found.append(Marked(f"{label}/{path.name}", pixels, RGB, marks, {}, absent))
    return found


def marked(scene: Simulated, name: str) -> Marked:
    """A simulated scene with everything that its truth marks; what is below cloud is unknown."""
    marks: dict[str, NDArray[np.uint8]] = {}
    for concept, classes in _COVERS.items():
        marks[concept] = scene.where(*classes).astype(np.uint8)
    marks["vegetation"] = scene.green.astype(np.uint8)
    water = scene.where("water").astype(np.uint8)
    named = {n for n, like in _WATERS.items() if any(f in scene.features for f in (n, *like))}
    for concept in _WATERS:
        # Two kinds of water in one scene are not told apart by the truth.
        if concept not in named:
            marks[concept] = np.zeros_like(water)
        elif len(named) == 1 and concept in scene.features:
            marks[concept] = water
    for mark in marks.values():
        mark[scene.cloud] = UNKNOWN
    boxes: dict[str, list[Box]] = {}
    for box in scene.boxes:
        boxes.setdefault(_KINDS.get(box.label, box.label), []).append(Box(*box.bounds))
    for concept in THINGS:
        if concept in marks and scene.gsd > 5 and not boxes.get(concept):
            # A few mixed pixels are no lesson.
            marks[concept] = np.where(marks[concept] == 0, 0, UNKNOWN).astype(np.uint8)
    absent = {"baseball_diamond", "tennis_court", "basketball_court"}
    if "bridge" not in scene.features:
        absent.add("bridge")
    picture = scene.sensor in PICTURES
    data = scene.data.astype(np.uint8) if picture else scene.data
    pixels = data if picture else np.nan_to_num(normalise(data, scene.bands)).astype(np.float16)
    return Marked(
        name, pixels, scene.bands, marks, {k: tuple(v) for k, v in boxes.items()},
        frozenset(absent - marks.keys()),
    )  # fmt: skip


def _one(sensor: str, seed: int, size: int) -> Marked:
    gsd = None
    if sensor == "unknown_rgb":
        gsd = float(np.exp(np.random.default_rng([seed, 7]).uniform(np.log(0.3), np.log(3))))
    return marked(simulate_scene(sensor, size=size, seed=seed, gsd=gsd), f"{sensor}/{seed}")


def _sim(sensor: str, count: int, size: int) -> Maker:
    def make(data: Path, wanted: Part) -> list[Marked]:
        number = count if wanted == "train" else min(count, _SIMULATED_VALIDATION)
        first = _SEEDS[wanted]
        with ProcessPoolExecutor(2) as pool:
            done = pool.map(
                _one, [sensor] * number, range(first, first + number), [size] * number, chunksize=4
            )
            return list(tqdm(done, desc=f"sim_{sensor}", total=number, disable=None))

    return make


# ★ One line per source.
SOURCES: Final[dict[str, Maker]] = {
    "nwpu_vhr10": lambda d, p: nwpu(d / "nwpu_vhr10", p),
    "rsod": lambda d, p: rsod(d / "rsod", p),
    "dubai": lambda d, p: dubai(d / "dubai_landcover", p),
    "eth_roads": lambda d, p: one_class(d / "eth_roads", "eth_roads", "road", p),
    "fair_buildings": lambda d, p: one_class(
        d / "fair_buildings", "fair_buildings", "building", p),
    "inria_samples": lambda d, p: one_class(d / "inria_samples", "inria_samples", "building", p),
    "neon_trees": lambda d, p: neon(d / "neon_trees", p),
    "sen2ships": lambda d, p: sen2ships(d / "sen2ships", p),
    "rsicd": lambda d, p: scenes("rsicd", d / "rsicd/RSICD_images", p),
    "eurosat": lambda d, p: scenes("eurosat", d / "eurosat_rgb", p),
    "sim_pictures": _sim("unknown_rgb", 160, 224),
    "sim_sentinel2_l2a": _sim("sentinel2_l2a", 120, 192),
    "sim_sentinel1_grd": _sim("sentinel1_grd", 60, 192),
    "sim_landsat8": _sim("landsat8", 40, 192),
    "sim_naip_rgbn": _sim("naip_rgbn", 40, 192),
    "sim_worldview2": _sim("worldview2", 40, 192),
}  # fmt: skip


def read_sources(
    names: Sequence[str], data: Path, wanted: Part, *, cache: Path | None = None
) -> dict[str, list[Marked]]:
    """Read the named sources; simulated ones are kept in `cache`.

    Raises:
        InputError: an unknown name, or a data set that is missing.
    """
    found = {}
    for name in names:
        if name not in SOURCES:
            raise InputError(f"unknown source {name!r}; valid are: {', '.join(SOURCES)}")
        if cache is None or not name.startswith("sim_"):
            found[name] = SOURCES[name](data, wanted)
            continue
        path = cache / f"refer_{name}_{wanted}_{CACHE}.npz"
        if not path.is_file():
            _write(path, SOURCES[name](data, wanted))
        found[name] = _read(path)
        if wanted != "train":
            found[name] = found[name][:_SIMULATED_VALIDATION]
    return found


def _write(path: Path, pictures: Sequence[Marked]) -> None:
    """Keep pictures as one compressed file that appears whole or not at all."""
    arrays: dict[str, NDArray[np.generic]] = {}
    facts = []
    for i, each in enumerate(pictures):
        arrays[f"{i}/pixels"] = each.pixels
        arrays |= {f"{i}/{name}": mark for name, mark in each.marks.items()}
        facts.append(
            {"name": each.name, "marks": list(each.marks), "absent": sorted(each.absent),
             "boxes": {k: [list(map(float, b)) for b in v] for k, v in each.boxes.items()}}
        )  # fmt: skip
    bands = [asdict(band) for band in pictures[0].bands]
    arrays["facts"] = np.array(json.dumps({"bands": bands, "pictures": facts}))
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_suffix(".part.npz")
    np.savez_compressed(made, **arrays)  # type: ignore[arg-type]
    made.replace(path)


def _read(path: Path) -> list[Marked]:
    with np.load(path, allow_pickle=False) as kept:
        facts = json.loads(str(kept["facts"]))
        bands = tuple(Band(**{**row, "aliases": tuple(row["aliases"])}) for row in facts["bands"])
        return [
            Marked(
                row["name"], kept[f"{i}/pixels"], bands,
                {name: kept[f"{i}/{name}"] for name in row["marks"]},
                {k: tuple(Box(*b) for b in v) for k, v in row["boxes"].items()},
                frozenset(row["absent"]),
            )
            for i, row in enumerate(facts["pictures"])
        ]  # fmt: skip
