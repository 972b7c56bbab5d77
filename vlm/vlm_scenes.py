"""Packs of simulated scenes and pairs, with exact answers, for any sensor."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets.bands import Band
from terralogue.datasets.parts import Part
from terralogue.datasets.synthetic import Simulated, simulate_pair, simulate_scene
from terralogue.datasets.synthetic_text import (
    captions,
    change_captions,
    pair_questions,
    questions,
)
from terralogue.datasets.tiles import Tile, normalise
from terralogue.vlm.vlm_pack import Example, Pack

# First seeds of the places of each part; those of alignment are elsewhere.
_SEEDS: Final[dict[Part, int]] = {"train": 20_000_000, "val": 25_000_000, "test": 28_000_000}
_QUESTIONS: Final = 12
_Made = tuple[list[tuple[NDArray[np.uint8] | Tile, tuple[Band, ...]]], list[Example]]


def _seen(scene: Simulated) -> tuple[NDArray[np.uint8] | Tile, tuple[Band, ...]]:
    bands = tuple(scene.bands)
    data: NDArray[np.generic] = scene.data
    if scene.unit == "DN":
        bytes_ = np.clip(np.round(scene.data), 0, 255).astype(np.uint8)
        if len(bands) == 3:
            return bytes_, bands
        data = bytes_
    return Tile(np.nan_to_num(normalise(data, bands)), bands), bands


def _one(sensor: str, size: int, seed: int) -> _Made:
    scene = simulate_scene(sensor, size=size, seed=seed)
    said = [Example((0,), "", text, "caption", "caption") for text in captions(scene)]
    asked = [
        Example((0,), q.question, q.answer, "qa", f"sim_{q.kind}")
        for q in questions(scene, _QUESTIONS)
    ]
    return [_seen(scene)], said + asked


def _two(sensor: str, size: int, seed: int) -> _Made:
    pair = simulate_pair(sensor=sensor, size=size, seed=seed)
    said = [Example((0, 1), "", text, "caption", "change") for text in change_captions(pair)]
    asked = [
        Example((0, 1), q.question, q.answer, "qa", "sim_change") for q in pair_questions(pair)
    ]
    return [_seen(pair.before), _seen(pair.after)], said + asked


def simulated(
    name: str, sensor: str, part: Part, *, count: int, size: int, pairs: bool = False
) -> Pack:
    """Simulate places and ask about them.

    Args:
        name: of the pack.
        sensor: key in SENSORS.
        part: places of two parts are never the same.
        count: of places.
        size: pixels along each side.
        pairs: two dates of each place, with questions about what changed.
    """
    make: Callable[[int], _Made] = partial(_two if pairs else _one, sensor, size)
    # Forked processes would inherit the threads of numerical libraries in an unknown state.
    with ProcessPoolExecutor(os.process_cpu_count() if hasattr(os, "process_cpu_count")
                             else os.cpu_count(), get_context("spawn")) as pool:  # fmt: skip
        made = list(pool.map(make, range(_SEEDS[part], _SEEDS[part] + count), chunksize=4))
    pictures: list[NDArray[np.uint8] | Tile] = []
    examples: list[Example] = []
    for seen, about in made:
        first = len(pictures)
        pictures += [picture for picture, _ in seen]
        examples += [
            Example(tuple(first + i for i in each.pictures), each.question, each.answer,
                    each.task, each.kind)
            for each in about
        ]  # fmt: skip
    bands = made[0][0][0][1]
    keys = tuple(f"{name}/{_SEEDS[part]}+{row}" for row in range(len(pictures)))
    return Pack(name, bands, tuple(pictures), keys, tuple(examples))
