"""Examples that a person points at: picture files, folders of them, and pixels of a big scene.

find_examples(["farms/", "S2_pisa.tif@3120,880"])
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rasterio.windows import Window

from terralogue.datasets.class_folders import natural
from terralogue.datasets.errors import InputError
from terralogue.datasets.pictures import Picture, is_picture, read_picture
from terralogue.datasets.scene import Scene, open_scene
from terralogue.datasets.tiles import TILE, Tile, scene_tile

_POINT: Final = re.compile(r"^(?P<path>.+)@(?P<x>-?[\d.]+),(?P<y>-?[\d.]+)$")


@dataclass(frozen=True)
class Example:
    """One picture, or the surroundings of one pixel of a scene.

    Attributes:
        path: file; or folder of a scene, where there is a point.
        point: column and row on the scene's grid; None for all of it.
    """

    path: Path
    point: tuple[float, float] | None = None

    @property
    def scene(self) -> str:
        """The same for all examples from one scene."""
        return str(self.path.resolve())

    def resolved(self) -> Example:
        """The same with a path that holds from everywhere."""
        return Example(self.path.resolve(), self.point)

    def __str__(self) -> str:
        return (
            str(self.path) if self.point is None else "{}@{:g},{:g}".format(self.path, *self.point)
        )


def find_examples(sources: Sequence[str | Path]) -> tuple[Example, ...]:
    """Expand what a person gave: each example once, in order.

    Args:
        sources: a file, a folder (every picture below it), or PATH@X,Y with column and row of a
            scene.

    Raises:
        InputError: something does not exist, or a folder holds no pictures.
    """
    found: dict[tuple[str, tuple[float, float] | None], Example] = {}
    for source in sources:
        for example in _expand(source):
            found.setdefault((example.scene, example.point), example)
    return tuple(found.values())


def _expand(source: str | Path) -> list[Example]:
    path = Path(source)
    pointed = None if path.exists() else _POINT.match(str(source))
    if pointed:
        path = Path(pointed["path"])
    if not path.exists():
        raise InputError(
            f"{path} does not exist; give picture files, folders of them, or SCENE@COLUMN,ROW."
        )
    if pointed:
        return [Example(path, _point(pointed["x"], pointed["y"], source))]
    if path.is_file():
        return [Example(path)]
    pictures = sorted((p for p in path.rglob("*") if p.is_file() and is_picture(p)), key=natural)
    if not pictures:
        raise InputError(f"{path} holds no pictures; give a folder of examples.")
    return [Example(picture) for picture in pictures]


def _point(x: str, y: str, source: str | Path) -> tuple[float, float]:
    try:
        return float(x), float(y)
    except ValueError:
        raise InputError(
            f"{source} does not end in a column and a row; write SCENE@COLUMN,ROW, such as "
            "scene.tif@3120,880."
        ) from None


def read_example(example: Example, size: int = TILE, sensor: str | None = None) -> Picture:
    """Read an example as an image tower takes it.

    Args:
        example: which.
        size: side in pixels of the window around a point.
        sensor: key in SENSORS; None recognises it.

    Raises:
        SceneError: the file cannot be read.
        InputError: the point lies outside the scene, or nothing was observed there.
    """
    if example.point is None:
        picture = read_picture(example.path, sensor)
    else:
        with open_scene(example.path, sensor=sensor) as scene:
            picture = scene_tile(scene, _around(scene, example, size))
    if isinstance(picture, Tile) and picture.observed == 0:
        raise InputError(f"{example} shows nothing that was observed; give another example.")
    return picture


def _around(scene: Scene, example: Example, size: int) -> Window:
    """A square window with the point in its middle, moved inside where it would stick out."""
    assert example.point is not None
    x, y = example.point
    if not (0 <= x < scene.width and 0 <= y < scene.height):
        raise InputError(
            f"{example} lies outside the scene of {scene.width} columns and {scene.height} rows."
        )
    width, height = min(size, scene.width), min(size, scene.height)
    left = min(max(round(x - width / 2), 0), scene.width - width)
    top = min(max(round(y - height / 2), 0), scene.height - height)
    return Window(left, top, width, height)
