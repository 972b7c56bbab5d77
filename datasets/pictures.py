"""Reading a picture or a scene of a benchmark as what an image tower takes.

Pictures for the eye (PNG, JPEG, WebP) are decoded by Pillow, which lets threads work side by side;
everything else is opened as a scene, with its sensor and bands.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from terralogue.datasets.bands import Band
from terralogue.datasets.errors import SceneError
from terralogue.datasets.files import SUFFIXES
from terralogue.datasets.scene import open_scene
from terralogue.datasets.sensors import SENSORS
from terralogue.datasets.tiles import Tile, scene_tile

RGB_BANDS: Final[tuple[Band, ...]] = SENSORS["unknown_rgb"].bands
"""Bands of a colour picture, in its order."""

Picture = NDArray[np.uint8] | Tile
"""A colour picture, uint8 (3, H, W), or a tile of a scene."""

_PICTURES: Final = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
# Of Pillow: one byte per channel, which a colour picture can be made of without loss of range.
_BYTE_MODES: Final = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}
# Towers see a few hundred pixels; keeps a batch of aerial photographs small in memory.
_LONGEST: Final = 384


def is_picture(path: Path) -> bool:
    """Whether the name is that of an image file, and not a hidden one."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith((".", "__"))


def read_picture(path: Path, sensor: str | None = None) -> Picture:
    """Read one image file.

    Args:
        path: picture, or anything that `open_scene` takes.
        sensor: key in SENSORS, which overrides recognition and makes a picture a scene.

    Returns:
        uint8 (3, H, W) in the order of RGB_BANDS, no side longer than 384; or a Tile.

    Raises:
        SceneError: the file cannot be read.
        InputError: the sensor is unknown, or its bands cannot be told.
    """
    if sensor is None and path.suffix.lower() in _PICTURES:
        picture = _decoded(path)
        if picture is not None:
            return picture
    with open_scene(path, sensor=sensor) as scene:
        return scene_tile(scene)


def _decoded(path: Path) -> NDArray[np.uint8] | None:
    """(3, H, W); None where the numbers are more than bytes."""
    try:
        with Image.open(path) as picture:
            if picture.mode not in _BYTE_MODES:
                return None
            picture.draft("RGB", (_LONGEST, _LONGEST))
            colours = picture.convert("RGB")
    except FileNotFoundError as error:
        raise SceneError(f"{path} does not exist; check the path.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SceneError(
            f"{path} cannot be decoded as a picture ({error}); replace or remove the file."
        ) from error
    if max(colours.size) > _LONGEST:
        colours.thumbnail((_LONGEST, _LONGEST), Image.Resampling.BOX)
    return np.ascontiguousarray(np.moveaxis(np.asarray(colours, np.uint8), -1, 0))
