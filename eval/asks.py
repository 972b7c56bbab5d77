"""What a model is asked on a benchmark, and opening the pictures that it is asked about."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from terralogue.datasets.corruptions import Corruption, corrupt
from terralogue.datasets.errors import SceneError
from terralogue.datasets.pictures import RGB_BANDS
from terralogue.datasets.samples import VQASample
from terralogue.datasets.scene import Scene, open_scene
from terralogue.datasets.tiles import scene_tile
from terralogue.vlm.vlm import Picture, Query, Task

_SUFFIXES: Final = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
# One byte per channel, of which a colour picture can be made without loss of range.
_MODES: Final = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}
# Longer side at which scenes are corrupted, which whole ones would not fit in memory for.
_LONGEST: Final = 1024


@dataclass(frozen=True)
class Ask:
    """One question to a model.

    Attributes:
        name: unique within the run.
        place: of the picture or pictures; intervals are clustered by it.
        paths: of the pictures, in order of time.
        question: in the words of the data set; "" where a description is asked for.
        gold: right answers, for the log.
        task: see `Query`.
        kind: type of question.
        options: texts of multiple choice.
        several: whether more than one option may be right.
        dates: of the pictures; () where unknown.
        sensor: key in SENSORS; None recognises it.
    """

    name: str
    place: str
    paths: tuple[Path, ...]
    question: str
    gold: tuple[str, ...]
    task: Task = "qa"
    kind: str = ""
    options: tuple[str, ...] = ()
    several: bool = False
    dates: tuple[str, ...] = ()
    sensor: str | None = None

    def query(self, pictures: tuple[Picture, ...]) -> Query:
        """The question with its pictures."""
        return Query(
            self.question,
            pictures,
            task=self.task,
            options=self.options,
            several=self.several,
            dates=self.dates,
        )


def asks_of(samples: Sequence[VQASample], sensor: str | None = None) -> list[Ask]:
    """What is asked for the questions of a data set.

    Whether several options may be right is a matter of the type of question: single questions do
    not tell it.
    """
    several = {sample.kind for sample in samples if sample.options and "," in sample.answer}
    return [_ask(sample, sample.kind in several, sensor) for sample in samples]


def _ask(sample: VQASample, several: bool, sensor: str | None) -> Ask:
    return Ask(
        name=sample.name,
        place=sample.place,
        paths=sample.pictures,
        question=sample.question,
        gold=(sample.answer,),
        kind=sample.kind,
        options=sample.options,
        several=several and bool(sample.options),
        dates=sample.dates,
        sensor=sensor or sample.sensor,
    )


def chunks(asks: Sequence[Ask], questions: int, pictures: int) -> list[range]:
    """Cut a run into pieces of neighbours, so that questions on one picture meet its encoding.

    Args:
        asks: in the order of the data, where questions on one picture are neighbours.
        questions: most of them in a piece.
        pictures: most distinct pictures in a piece.
    """
    found: list[range] = []
    start, seen = 0, set[Path]()
    for i, ask in enumerate(asks):
        new = seen.union(ask.paths)
        if i > start and (i - start >= questions or len(new) > pictures):
            found.append(range(start, i))
            start, new = i, set(ask.paths)
        seen = new
    return [*found, range(start, len(asks))] if asks else []


@contextmanager
def opened(
    asks: Sequence[Ask], corruption: Corruption | None = None
) -> Iterator[list[tuple[Picture, ...]]]:
    """The pictures of some questions, each opened once; scenes are closed at the end.

    Args:
        asks: questions; those on one picture are given the same object.
        corruption: of the pictures at full size, the same for a picture in every run.

    Raises:
        SceneError: a file cannot be read.
        InputError: an unknown sensor.
    """
    with ExitStack() as stack:
        known: dict[tuple[Path, str | None], Picture] = {}
        for ask in asks:
            for path in ask.paths:
                key = (path, ask.sensor)
                if key not in known:
                    known[key] = _opened(path, ask.sensor, corruption, stack)
        yield [tuple(known[path, ask.sensor] for path in ask.paths) for ask in asks]


def _opened(
    path: Path, sensor: str | None, corruption: Corruption | None, stack: ExitStack
) -> Picture:
    """A colour picture, uint8 (3, H, W) at full size; a Scene; or a Tile that was corrupted."""
    colours = None
    if sensor is None and path.suffix.lower() in _SUFFIXES:
        colours = _decoded(path)
    if colours is not None:
        if corruption is None:
            return colours
        return corrupt(colours, corruption, bands=RGB_BANDS, seed=seed_of(path))
    scene: Scene = stack.enter_context(open_scene(path, sensor=sensor))
    if corruption is None:
        return scene
    return corrupt(scene_tile(scene, size=_LONGEST), corruption, seed=seed_of(path))


def seed_of(path: Path) -> int:
    """A number for the chance of a picture, which does not depend on where the data lie."""
    return zlib.crc32(f"{path.parent.name}/{path.name}".encode())


def _decoded(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None:
    """(3, H, W); None where the numbers are more than bytes.

    Raises:
        SceneError: missing, or no picture.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode not in _MODES:
                return None
            pixels = np.asarray(picture.convert("RGB"), np.uint8)
    except FileNotFoundError as error:
        raise SceneError(f"{path} does not exist; complete the data.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SceneError(
            f"{path} cannot be decoded as a picture ({error}); replace or remove the file."
        ) from error
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
