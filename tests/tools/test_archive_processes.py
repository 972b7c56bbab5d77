"""Archives under processes that are killed, and under several writers and a reader at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from terralogue.datasets.bands import Band
from terralogue.tools.archive import Archive
from terralogue.vlm.clip import GeoCLIP

COUNT = 290
SPAWN = multiprocessing.get_context("spawn")


class Colours(GeoCLIP):
    """Embeds an image as the mean and spread of its colours: quick, and without torch."""

    name = "colours"
    fingerprint = "c0105c0105c0105c"
    dimensions = 6

    def encode_tiles(
        self, data: NDArray[np.float32], bands: tuple[Band, ...]
    ) -> NDArray[np.float32]:
        rows = np.concatenate([data.mean(axis=(2, 3)), data.std(axis=(2, 3))], axis=1)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    def tile_features(
        self, data: NDArray[np.float32], bands: tuple[Band, ...]
    ) -> NDArray[np.float32]:
        return self.encode_tiles(data, bands)

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.ones((len(texts), self.dimensions), np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """More pictures than go into one commit."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        picture = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{number:03}.png")
    return folder


def index(place: Path, folder: Path) -> None:
    Archive.open(place, model=Colours(), create=True).add([folder])


def start(place: Path, folder: Path) -> BaseProcess:
    process = SPAWN.Process(target=index, args=(place, folder))
    process.start()
    return process


def assert_complete(place: Path, folder: Path) -> None:
    archive = Archive.open(place, model=Colours())
    assert len(archive.images) == len(archive.images.stamps()) == COUNT
    paths = {row.paths[0] for row in archive.images.scenes()}
    assert paths == {str(file) for file in folder.iterdir()}


def test_a_killed_process_loses_only_what_it_had_not_committed(
    tmp_path: Path, folder: Path
) -> None:
    place = tmp_path / "archive"
    process = start(place, folder)
    data = place / "images.lance" / "data"
    # Killed as soon as the first commit is on its way or there.
    while process.is_alive() and not (data.is_dir() and any(data.iterdir())):
        process.join(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -9
    archive = Archive.open(place, model=Colours(), create=True)
    kept = len(archive.images)
    assert kept < COUNT
    report = archive.add([folder])
    assert (report.scenes, report.unchanged, report.unreadable) == (COUNT - kept, kept, [])
    assert_complete(place, folder)


def test_two_writers_and_a_reader_lose_nothing(tmp_path: Path, folder: Path) -> None:
    place = tmp_path / "archive"
    reader = Archive.open(place, model=Colours(), create=True)
    writers = [start(place, folder), start(place, folder)]
    searched = [0]
    while any(writer.is_alive() for writer in writers):
        found = reader.search("anything", k=3)
        assert len(found.hits) >= min(3, found.searched)
        searched.append(found.searched)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert searched == sorted(searched)
    assert_complete(place, folder)
