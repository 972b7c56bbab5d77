"""CORRUPTIONS: what can go wrong with an image, in five severities, one line each.

    from terralogue.datasets.corruptions import corrupt, parse_corruption
    corrupt(tile, parse_corruption("haze:3"), seed=7)

The first twelve and their severities are REOBench's (arXiv:2505.16793; github.com/lx709/REOBench,
"Corrupt Image Generation"); its scripts were made for 8-bit pictures, so for reflectance, radar and
thermal bands the same numbers are read on a unit range (see `corruption_effects.py`), and haze and
clouds follow physics. `band_dropout` and its severities are ours. Severity 1 of
`brightness_contrast` changes nothing, as published. Lengths are pixels of the array given:
published figures corrupt full chips of 512 to 800 pixels, before anything is reduced.

`rotate`, `scale` and `translate` move things: answers about directions no longer hold, and boxes go
through `moved_boxes`.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from terralogue.datasets import corruption_effects as effects
from terralogue.datasets.bands import Band
from terralogue.datasets.corruption_effects import Effect, Floats, Mask, Motion, Result, Unit
from terralogue.datasets.errors import InputError
from terralogue.datasets.samples import Box
from terralogue.datasets.tiles import DB_RANGE, KELVIN_RANGE, WHITE_REFLECTANCE, Tile, normalise

SEVERITIES: Final = (1, 2, 3, 4, 5)
Image = TypeVar("Image", Tile, NDArray[Any])


@dataclass(frozen=True)
class Kind:
    """A kind of corruption.

    Attributes:
        levels: strength at the five severities, in the terms of the effect.
        effect: what it does.
        motion: how it moves the image; None where it does not.
    """

    levels: tuple[float, float, float, float, float]
    effect: Effect
    motion: Motion | None = None


def _moving(
    levels: tuple[float, float, float, float, float], motion: Motion, *, reflect: bool = True
) -> Kind:
    def effect(image: Unit, level: float, rng: np.random.Generator) -> Result:
        return effects.moved(image, motion(level, rng), reflect=reflect)

    return Kind(levels, effect, motion)


# ★ One line per kind.
CORRUPTIONS: Final[dict[str, Kind]] = {
    "brightness_contrast": Kind((0, 0.1, 0.2, 0.3, 0.4), effects.brightness_contrast),
    "clouds": Kind((0.1, 0.15, 0.2, 0.25, 0.3), effects.clouds),
    "compression_artifacts": Kind((30, 25, 20, 15, 10), effects.compression_artifacts),
    "gaps": Kind((2, 3, 4, 5, 6), effects.gaps),
    "gaussian_blur": Kind((3, 5, 7, 9, 11), effects.gaussian_blur),
    "gaussian_noise": Kind((0.04, 0.05, 0.06, 0.07, 0.08), effects.gaussian_noise),
    "haze": Kind((0.2, 0.3, 0.4, 0.5, 0.6), effects.haze),
    "motion_blur": Kind((2, 4, 6, 8, 10), effects.motion_blur),
    "salt_and_pepper_noise": Kind((0.005, 0.01, 0.02, 0.03, 0.05), effects.salt_and_pepper_noise),
    "rotate": _moving((30, 45, 60, 75, 90), effects.rotation),
    "scale": _moving((0.9, 0.8, 0.7, 0.6, 0.5), effects.shrinking, reflect=False),
    "translate": _moving((15, 20, 25, 30, 35), effects.translation),
    "band_dropout": Kind((0.1, 0.2, 0.4, 0.6, 0.8), effects.band_dropout),
}


@dataclass(frozen=True)
class Corruption:
    """A kind of corruption at one severity.

    Attributes:
        name: key in CORRUPTIONS.
        severity: 1 to 5.
    """

    name: str
    severity: int

    def __str__(self) -> str:
        """As `parse_corruption` takes it."""
        return f"{self.name}:{self.severity}"


def parse_corruption(text: str) -> Corruption:
    """Read "haze:3".

    Raises:
        InputError: an unknown name, or a severity other than 1 to 5.
    """
    name, _, number = text.strip().partition(":")
    if name not in CORRUPTIONS:
        raise InputError(
            f"unknown corruption {name!r}; the known ones are: {', '.join(CORRUPTIONS)}"
        )
    if number not in map(str, SEVERITIES):
        raise InputError(f"{text!r} has no severity from 1 to 5; give one, such as {name}:3")
    return Corruption(name, int(number))


def corrupt(
    image: Image, corruption: Corruption, *, bands: Sequence[Band] | None = None, seed: int = 0
) -> Image:
    """Corrupt an image.

    Args:
        image: a Tile; or an array (bands, H, W): uint8 pictures 0 to 255, or floats in reflectance,
            K, dB or m by the kind of each band.
        corruption: what, and how strong.
        bands: along the first axis of an array; a Tile has its own.
        seed: one for each image. The same seed draws the same clouds, stripes and directions at
            every severity.

    Returns:
        The same type, shape and unit. What carries no data is 0 in a Tile, which then is less
        observed, NaN in floats and black in a picture. Heights are cut at 500 m from their mean,
        which towers see no further.

    Raises:
        InputError: an array does not go with its bands; or one band, which cannot drop out.
    """
    if isinstance(image, Tile):
        unit = Unit(np.asarray((image.data + 1) / 2, np.float32), image.bands, picture=False)
        seen = np.asarray((image.data != 0).any(axis=0) | (image.observed == 1))
        result = _apply(unit, seen, corruption, seed)
        tile = np.asarray(result.data * 2 - 1, np.float32)
        if result.lost is None:
            return Tile(tile, image.bands, image.observed)
        tile[np.broadcast_to(result.lost, tile.shape)] = 0
        # Bands that drop out take no pixel away.
        gone = float(result.lost.mean()) if result.lost.ndim == 2 else 0.0
        return Tile(tile, image.bands, min(image.observed, 1 - gone))
    if bands is None:
        raise InputError("an array has no bands of its own; give them with it")
    return _corrupt_array(image, tuple(bands), corruption, seed)


def moved_boxes(
    boxes: Sequence[Box], size: tuple[int, int], corruption: Corruption, *, seed: int = 0
) -> tuple[Box | None, ...]:
    """Where boxes lie after a corruption with the same seed.

    Args:
        boxes: in pixels.
        size: width and height of the image.
        corruption: what is done to the image.
        seed: as given to `corrupt`.

    Returns:
        For each box the smallest box around its moved corners, cut at the frame; None where nothing
        of it is left inside.
    """
    kind = CORRUPTIONS[corruption.name]
    if kind.motion is None:
        return tuple(boxes)
    move = kind.motion(_level(corruption), _rng(corruption, seed))
    frame = np.array(size, float)
    moved: list[Box | None] = []
    for left, top, right, bottom in boxes:
        corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        points = (corners - frame / 2) @ move.matrix.T + frame / 2 + move.shift
        low, high = np.clip(points.min(0), 0, frame), np.clip(points.max(0), 0, frame)
        kept = bool((high > low).all())
        moved.append(Box(*map(float, (*low, *high))) if kept else None)
    return tuple(moved)


def _corrupt_array(
    image: NDArray[Any], bands: tuple[Band, ...], corruption: Corruption, seed: int
) -> NDArray[Any]:
    if image.ndim != 3:
        raise InputError(f"an image of shape {image.shape} is not one image; give (bands, H, W)")
    unit = (normalise(image, bands) + 1) / 2
    picture = image.dtype == np.uint8
    seen = np.asarray(np.isfinite(unit).all(axis=0))
    filled = np.asarray(np.where(np.isfinite(unit), unit, 0.5), np.float32)
    result = _apply(Unit(filled, bands, picture), seen, corruption, seed)
    if picture:
        data = np.rint(255 * np.clip(result.data, 0, 1)).astype(np.uint8)
        return data if result.lost is None else np.where(result.lost, np.uint8(0), data)
    known = [plane[np.isfinite(u)] for plane, u in zip(image, unit, strict=True)]
    planes = [_physical(p, b, k) for p, b, k in zip(result.data, bands, known, strict=True)]
    physical = np.stack(planes).astype(image.dtype)
    return physical if result.lost is None else np.where(result.lost, np.nan, physical)


def _physical(unit: Floats, band: Band, known: NDArray[Any]) -> NDArray[Any]:
    """The unit range back in the unit of a band, of whose numbers some are known (n,).

    The opposite of `tiles.normalise`.
    """
    if band.kind == "optical":
        return np.asarray(effects.linear(unit) * WHITE_REFLECTANCE)
    if band.kind == "elevation":
        return np.asarray((unit * 2 - 1) * 100 + (known.mean() if known.size else 0))
    low, high = DB_RANGE if band.kind == "sar" else KELVIN_RANGE
    return np.asarray(low + unit * (high - low))


def _apply(image: Unit, seen: Mask, corruption: Corruption, seed: int) -> Result:
    """Corrupt an image of which some pixels, False in `seen` (H, W), carry no data."""
    if corruption.name == "band_dropout" and len(image.bands) < 2:
        raise InputError("an image of one band has none to spare; band_dropout needs two or more")
    kind, level = CORRUPTIONS[corruption.name], _level(corruption)
    result = kind.effect(image, level, _rng(corruption, seed))
    if seen.all():
        return result
    away = ~seen
    if kind.motion is not None:
        holes = Unit(away[None].astype(np.float32), image.bands[:1], image.picture)
        away = kind.effect(holes, level, _rng(corruption, seed)).data[0] > 0
    return Result(result.data, away if result.lost is None else result.lost | away)


def _level(corruption: Corruption) -> float:
    return CORRUPTIONS[corruption.name].levels[corruption.severity - 1]


def _rng(corruption: Corruption, seed: int) -> np.random.Generator:
    """Chance that depends on the kind and the seed, and not on the severity."""
    return np.random.default_rng((seed, zlib.crc32(corruption.name.encode())))
