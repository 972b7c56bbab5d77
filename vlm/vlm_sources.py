"""SOURCES: what the vision-language model learns from, one line each, prepared as packs.

from terralogue.vlm.vlm_sources import prepare
prepare(data, Path("packs"), ["ucm", "rsvqa_hr"])
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from tqdm import tqdm

from terralogue.datasets.errors import InputError
from terralogue.datasets.label_names import readable
from terralogue.datasets.parts import Part, part
from terralogue.datasets.pictures import RGB_BANDS, read_picture
from terralogue.datasets.registry import read_captions, read_labels, read_vqa
from terralogue.datasets.samples import Box, VQASample
from terralogue.datasets.tiles import Tile
from terralogue.vlm.vlm_examples import (
    Mentioned,
    box_questions,
    bucket,
    caption_texts,
    scene_questions,
)
from terralogue.vlm.vlm_pack import Example, Pack, read_pack, write_pack
from terralogue.vlm.vlm_scenes import simulated

Maker = Callable[[Path, Part], Pack]
_SIMULATED_VALIDATION: Final = 0.15
_THREADS: Final = 4


def _pictures(paths: Sequence[Path]) -> tuple[Any, ...]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return tuple(pool.map(read_picture, paths))


def captioned(name: str, path: Path, wanted: Part) -> Pack:
    """Captions, classes, and questions about what the captions mention.

    Raises:
        InputError: the data set is missing.
    """
    items = read_captions(path, f"own:{wanted}", name).items
    rng = np.random.default_rng(len(items))
    labels = [readable(item.label or "") for item in items]
    texts = [caption_texts(item.captions) for item in items]
    mentioned = Mentioned(texts, labels)
    examples: list[Example] = []
    for row, (label, said) in enumerate(zip(labels, texts, strict=True)):
        examples += [Example((row,), "", text, "caption", "caption") for text in said]
        examples += scene_questions(row, label, rng) if label else []
        examples += mentioned.questions(row, rng)
    keys = tuple(item.name for item in items)
    return Pack(name, RGB_BANDS, _pictures([i.path for i in items]), keys, tuple(examples))


def labelled(name: str, path: Path, wanted: Part, *, most: int) -> Pack:
    """Questions for the class of pictures in class folders, at most so many of them.

    Raises:
        InputError: the data set is missing.
    """
    items = read_labels(path, f"own:{wanted}", name).limited(most).items
    rng = np.random.default_rng(len(items))
    examples = [
        each
        for row, item in enumerate(items)
        for each in scene_questions(row, readable(item.label), rng, 1)
    ]
    keys = tuple(item.name for item in items)
    return Pack(name, RGB_BANDS, _pictures([i.path for i in items]), keys, tuple(examples))


def boxed(name: str, folder: Path, wanted: Part) -> Pack:
    """Questions about pictures with boxes in a COCO file (NWPU VHR-10, RSOD).

    Raises:
        InputError: the file is missing.
    """
    file = folder / "annotations.json"
    if not file.is_file():
        raise InputError(f"{file} does not exist; give the folder that holds the data sets")
    coco = json.loads(file.read_text(encoding="utf-8"))
    nouns = {row["id"]: readable(row["name"]) for row in coco["categories"]}
    boxes: dict[int, list[tuple[str, Box]]] = defaultdict(list)
    for row in coco["annotations"]:
        x, y, width, height = row["bbox"]
        box = Box(x, y, x + width, y + height)
        boxes[row["image_id"]].append((nouns[row["category_id"]], box))
    images = [
        row for row in coco["images"] if boxes[row["id"]] and part(name, row["file_name"]) == wanted
    ]
    rng = np.random.default_rng(len(images))
    examples: list[Example] = []
    for row, image in enumerate(images):
        size = (image["width"], image["height"])
        # Other words for the same pictures.
        for _ in range(2):
            examples += box_questions(row, boxes[image["id"]], sorted(nouns.values()), size, rng)
    keys = tuple(row["file_name"] for row in images)
    paths = [folder / "images" / key for key in keys]
    return Pack(name, RGB_BANDS, _pictures(paths), keys, tuple(examples))


def asked(name: str, path: Path, wanted: Part | None) -> Pack:
    """Questions and answers of a benchmark; all of it where no part is wanted.

    Raises:
        InputError: the data set is missing.
    """
    items: tuple[VQASample, ...] = read_vqa(path, f"own:{wanted}" if wanted else None, name).items
    keys = tuple(dict.fromkeys(item.place for item in items))
    paths = {item.place: item.pictures[0] for item in items}
    examples = tuple(
        Example(
            (keys.index(item.place),),
            item.question,
            bucket(item.answer) if item.kind == "area" else item.answer.casefold(),
            "qa",
            item.kind or "question",
        )
        for item in items
    )
    pictures = tuple(_picture(picture) for picture in _pictures([paths[key] for key in keys]))
    return Pack(name, RGB_BANDS, pictures, keys, examples)


def _picture(picture: Any) -> Any:
    """A tile of a colour picture in a TIFF file as the picture that it is."""
    if isinstance(picture, Tile) and len(picture.bands) == 3:
        return np.clip((picture.data + 1) * 127.5, 0, 255).round().astype(np.uint8)
    return picture


def _sim(name: str, sensor: str, count: int, size: int, *, pairs: bool = False) -> Maker:
    def make(data: Path, part: Part) -> Pack:
        number = count if part == "train" else int(_SIMULATED_VALIDATION * count)
        return simulated(name, sensor, part, count=number, size=size, pairs=pairs)

    return make


@dataclass(frozen=True)
class Source:
    """Where examples come from.

    Attributes:
        make: reads or simulates a part of it.
        base: how often the base stage draws from it, relative to others.
        qa: how often the adapter for questions does.
        caption: how often the adapter for descriptions does.
    """

    make: Maker
    base: float
    qa: float
    caption: float = 0.0


# ★ One line per source.
SOURCES: Final[dict[str, Source]] = {
    "rsicd": Source(lambda d, p: captioned("rsicd", d / "rsicd", p), 6, 1.5, 3),
    "ucm": Source(lambda d, p: captioned("ucm", d / "ucm", p), 2, 1.5, 2),
    "eurosat": Source(lambda d, p: labelled("eurosat", d / "eurosat_rgb", p, most=4000), 0.5, 0.4),
    "rsscn7": Source(lambda d, p: labelled("rsscn7", d / "rsscn7", p, most=4000), 0.3, 0.2),
    "nwpu_vhr10": Source(lambda d, p: boxed("nwpu_vhr10", d / "nwpu_vhr10", p), 1.5, 1),
    "rsod": Source(lambda d, p: boxed("rsod", d / "rsod", p), 0.7, 0.5),
    "rsivqa_ucm": Source(
        lambda d, p: asked("rsivqa_ucm", d / "ucm/rsivqa_ucm_train.json", p), 0, 3),
    "rsvqa_hr": Source(lambda d, p: asked("rsvqa_hr", d / "rsvqa_hr", p), 0, 2),
    "rsvqa_lr": Source(lambda d, p: asked("rsvqa_lr", d / "rsvqa_lr", p), 0, 0.6),
    "sim_aerial": Source(_sim("sim_aerial", "rgb_aerial", 500, 224), 1.5, 1, 0.2),
    "sim_s2": Source(_sim("sim_s2", "sentinel2_l2a", 160, 96), 0.8, 0.5, 0.2),
    "sim_rgb": Source(_sim("sim_rgb", "unknown_rgb", 300, 160), 0.8, 0.5, 0.1),
    "sim_pairs_s2": Source(
        _sim("sim_pairs_s2", "sentinel2_l2a", 80, 96, pairs=True), 0.4, 0.3, 0.2),
    "sim_pairs_rgb": Source(
        _sim("sim_pairs_rgb", "unknown_rgb", 250, 160, pairs=True), 0.6, 0.4, 0.3),
    "sim_s1": Source(_sim("sim_s1", "sentinel1_grd", 100, 96), 0.5, 0.3, 0.1),
    "sim_naip": Source(_sim("sim_naip", "naip_rgbn", 150, 160), 0.6, 0.4, 0.1),
    "sim_l8": Source(_sim("sim_l8", "landsat8", 60, 96), 0.3, 0.2, 0.1),
}  # fmt: skip
BENCHMARKS: Final = ("rsivqa_ucm", "rsvqa_hr", "rsvqa_lr")
"""Those with real questions, which scores are taken on."""


def prepare(data: Path | None, folder: Path, names: Sequence[str], wanted: Part) -> list[Pack]:
    """Read packs of a part from a folder; those that are not there are made from the data first.

    Args:
        data: folder of the data sets; None where all packs are there.
        folder: of the packs, `<source>_<part>.zip`.
        names: keys of SOURCES.
        wanted: part of our own cut.

    Raises:
        InputError: no such source, a data set that is missing, or a broken pack.
    """
    unknown = [name for name in names if name not in SOURCES]
    if unknown:
        raise InputError(f"unknown source {unknown[0]!r}; valid are: {', '.join(SOURCES)}")
    packs = []
    for name in tqdm(names, desc=f"{wanted} packs", unit="pack", disable=None):
        path = folder / f"{name}_{wanted}.zip"
        if not path.is_file():
            if data is None or not data.is_dir():
                raise InputError(f"{path} is missing; give the folder of the data sets with --data")
            write_pack(path, SOURCES[name].make(data, wanted))
        packs.append(read_pack(path))
    return packs


def held_out(pack: Pack, keep: Callable[[str], bool]) -> Pack:
    """A pack whose examples are of the pictures that are kept alone."""
    chosen = [e for e in pack.examples if all(keep(pack.keys[row]) for row in e.pictures)]
    return replace(pack, examples=tuple(chosen))
