"""What each corruption does to an image; `corruptions.py` holds the table and the entrance.

Effects work on a unit range: 0 is black, 1 is white (255 in a picture, reflectance 0.3, 2 dB, 330
K), brighter reflectance goes on above 1. Lengths are pixels of the array that is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from scipy import ndimage

from terralogue.datasets.bands import Band
from terralogue.datasets.spectra import WAVELENGTHS
from terralogue.datasets.spectra_models import cloud
from terralogue.datasets.synthetic_canvas import smooth_field
from terralogue.datasets.tiles import KELVIN_RANGE, WHITE_REFLECTANCE

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Unit:
    """An image in the unit range.

    Attributes:
        data: float32 (bands, H, W).
        bands: along the first axis.
        picture: whether it is a picture for the eye, which is corrupted as REOBench does.
    """

    data: Floats
    bands: tuple[Band, ...]
    picture: bool


@dataclass(frozen=True)
class Result:
    """A corrupted image.

    Attributes:
        data: float32 (bands, H, W).
        lost: what carries no data any more: bool (H, W) or (bands, H, W); None for nothing.
    """

    data: Floats
    lost: Mask | None = None


Effect = Callable[[Unit, float, np.random.Generator], Result]

# Where water vapour hides the ground and low clouds, in micrometres.
_OPAQUE: Final = (1.36, 1.40)
_DEFAULT_WAVELENGTH: Final = 0.55

# ── light and air ──────────────────────────────────────────────────────────────────────────────


def brightness_contrast(image: Unit, level: float, rng: np.random.Generator) -> Result:
    """Contrast falls to `1 - 2 * level` while brightness rises by `level`."""
    return Result(np.asarray(image.data * (1 - 2 * level) + level, np.float32))


def haze(image: Unit, level: float, rng: np.random.Generator) -> Result:
    """Haze that covers everything evenly.

    A picture is mixed with white, `level` being the share of white. Bands lose light and gain path
    radiance by an aerosol of optical depth 4 `level` at 0.55 micrometres, which in green takes and
    adds about as much as that mix. Its depth falls as wavelength to the power -1.3, path
    reflectance is 0.05 depth / cos(sun) and transmission exp(-0.17 depth (1 / cos(sun) + 1)) with
    the sun at 45 degrees, as in the scene simulator (Tanré et al. 1979, doi:10.1364/AO.18.003587).
    Radar, thermal and elevation bands are left as they are.
    """
    if image.picture:
        return Result(np.asarray(image.data * (1 - level) + level, np.float32))
    cosine = np.sqrt(0.5)
    data = image.data.copy()
    for i, band in enumerate(image.bands):
        if not _sees_sky(band):
            continue
        depth = 4 * level * (_wavelength(band) / 0.55) ** -1.3
        through = np.exp(-0.17 * depth * (1 / cosine + 1))
        path = 0.05 * depth / cosine / WHITE_REFLECTANCE
        data[i] = _soft(linear(image.data[i]) * through + path)
    return Result(data)


def clouds(image: Unit, level: float, rng: np.random.Generator) -> Result:
    """Clouds where fractal noise, stretched to 0..1, is above `1 - level`, with soft edges.

    In a picture they are grey, 0.9 of white. In bands they have the reflectance of a thick water
    cloud: white and flat to the near infrared, three quarters of it at 1.6 and two thirds at 2.2
    micrometres. They are cold (260 K) in thermal bands, and radar sees through them. At 160 pixels
    they cover 4, 8, 12, 18 and 23 % on average (200 draws).
    """
    noise = _fractal(image.data.shape[1:], rng)
    opacity = ndimage.gaussian_filter((noise > 1 - level).astype(np.float32), 5, truncate=1)
    data = image.data.copy()
    spectrum = cloud() / WHITE_REFLECTANCE
    low, high = KELVIN_RANGE
    for i, band in enumerate(image.bands):
        if image.picture:
            data[i] += opacity * (np.float32(0.9) - data[i])
        elif band.kind == "thermal":
            data[i] += opacity * (np.minimum(data[i], (260 - low) / (high - low)) - data[i])
        elif _sees_sky(band):
            white = np.interp(_wavelength(band), WAVELENGTHS, spectrum)
            ground = linear(data[i])
            data[i] = _soft(ground + opacity * (white - ground))
    return Result(data)


# ── sensor ─────────────────────────────────────────────────────────────────────────────────────


def gaussian_noise(image: Unit, level: float, rng: np.random.Generator) -> Result:
    """Noise with a standard deviation of `level`."""
    noise = rng.standard_normal(image.data.shape, dtype=np.float32)
    return Result(image.data + np.float32(level) * noise)


def salt_and_pepper_noise(image: Unit, level: float, rng: np.random.Generator) -> Result:
    """A share `level` of the numbers, in each band by itself, becomes black or white."""
    chance = rng.random(image.data.shape, dtype=np.float32)
    data = np.where(chance < level / 2, np.float32(0), image.data)
    return Result(np.where(chance > 1 - level / 2, np.float32(1), data))


def gaps(image: Unit, level: float, rng: np.random.Generator) -> Result:
    """`level` stripes without data, `level + 1` pixels wide, at a random angle."""
    height, width = image.data.shape[1:]
    angle = rng.uniform(0, np.pi)
    spacing = int(np.hypot(height, width)) / level
    rows, columns = np.mgrid[:height, :width]
    along = columns * np.cos(angle) + rows * np.sin(angle)
    return Result(image.data, along % spacing < level + 1)


def band_dropout(image: Unit, level: float, rng: np.random.Generator) -> Result:
    """A share `level` of the bands carries no data; at least one is lost, and one is left."""
    count = len(image.bands)
    lost = int(np.clip(round(level * count), 1, count - 1))
    gone = np.zeros(count, bool)
    # The same order at every level, so that more loss always means less to see.
    gone[rng.permutation(count)[:lost]] = True
    return Result(image.data, np.broadcast_to(gone[:, None, None], image.data.shape))


def compression_artifacts(image: Unit, level: float, rng: np.random.Generator) -> Result:
    """JPEG of quality `level`: in colour for a picture of three bands, else band by band."""
    top = np.maximum(image.data.max(axis=(1, 2), keepdims=True), 1)
    codes = np.rint(255 * np.clip(image.data / top, 0, 1)).astype(np.uint8)
    if image.picture and len(codes) == 3:
        decoded = _jpeg(np.moveaxis(codes, 0, -1), level)
        return Result(np.moveaxis(decoded, -1, 0))
    planes = np.stack([_jpeg(plane, level) for plane in codes])
    return Result(np.asarray(planes * top, np.float32))


def gaussian_blur(image: Unit, level: float, rng: np.random.Generator) -> Result:
    """A Gaussian kernel of `level` pixels, with the width that OpenCV gives it."""
    sigma = 0.3 * ((level - 1) * 0.5 - 1) + 0.8
    radius = (level - 1) / 2
    blurred = ndimage.gaussian_filter(
        image.data, (0, sigma, sigma), truncate=radius / sigma, mode="mirror"
    )
    return Result(np.asarray(blurred, np.float32))


def motion_blur(image: Unit, level: float, rng: np.random.Generator) -> Result:
    """The mean of `level` pixels along the rows."""
    blurred = ndimage.uniform_filter1d(image.data, int(level), axis=-1, mode="mirror")
    return Result(np.asarray(blurred, np.float32))


# ── geometry ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Move:
    """A map of the image plane: a point p goes to `matrix (p - middle) + middle + shift`.

    Attributes:
        matrix: (2, 2), of columns x (right) and y (down).
        shift: (2,), x and y in pixels.
    """

    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]


Motion = Callable[[float, np.random.Generator], Move]


def rotation(level: float, rng: np.random.Generator) -> Move:
    """By `level` degrees, counter-clockwise to the eye, about the middle."""
    angle = np.radians(level)
    sine, cosine = np.sin(angle), np.cos(angle)
    return Move(np.array([[cosine, sine], [-sine, cosine]]), np.zeros(2))


def shrinking(level: float, rng: np.random.Generator) -> Move:
    """To `level` of the size, about the middle."""
    return Move(np.eye(2) * level, np.zeros(2))


def translation(level: float, rng: np.random.Generator) -> Move:
    """By `level` pixels along both axes, each to one side or the other."""
    return Move(np.eye(2), level * rng.choice([-1.0, 1.0], 2))


def moved(image: Unit, move: Move, *, reflect: bool) -> Result:
    """Move an image within its frame; what comes from outside is mirrored, or carries no data."""
    height, width = image.data.shape[1:]
    middle = np.array([height - 1, width - 1]) / 2
    back = np.linalg.inv(move.matrix)[::-1, ::-1]
    offset = middle - back @ (middle + move.shift[::-1])
    mode: Literal["reflect", "nearest"] = "reflect" if reflect else "nearest"
    data = np.stack(
        [ndimage.affine_transform(p, back, offset, order=1, mode=mode) for p in image.data]
    )
    if reflect:
        return Result(data)
    inside = ndimage.affine_transform(
        np.ones((height, width), np.float32), back, offset, order=0, mode="constant"
    )
    return Result(data, inside < 0.5)


# ── helpers ────────────────────────────────────────────────────────────────────────────────────


def linear(unit: Floats) -> Floats:
    """Shares of white, without the logarithm that `tiles.normalise` takes above it."""
    return np.where(unit > 1, np.exp(np.minimum(unit, 8) - 1), unit).astype(np.float32)


def _sees_sky(band: Band) -> bool:
    """Whether haze and clouds show in a band as reflected light."""
    return band.kind == "optical" and not _OPAQUE[0] < _wavelength(band) < _OPAQUE[1]


def _wavelength(band: Band) -> float:
    return band.wavelength or _DEFAULT_WAVELENGTH


def _soft(share: Floats) -> Floats:
    return np.where(share > 1, 1 + np.log(np.maximum(share, 1)), share).astype(np.float32)


def _jpeg(codes: NDArray[np.uint8], quality: float) -> Floats:
    """A picture (H, W) or (H, W, 3) through JPEG, 0 to 1."""
    buffer = BytesIO()
    Pillow.fromarray(np.ascontiguousarray(codes)).save(buffer, "JPEG", quality=int(quality))
    return np.asarray(Pillow.open(buffer), np.float32) / np.float32(255)


def _fractal(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Noise (H, W) of six octaves from 200 pixels on, each half as strong, stretched to 0..1."""
    axis = np.arange(max(shape), dtype=np.float32)
    square = np.zeros((len(axis), len(axis)), np.float32)
    for octave in range(6):
        square += 0.5**octave * smooth_field(rng, axis, 200 / 2**octave, 64)
    field = square[: shape[0], : shape[1]]
    return np.asarray((field - field.min()) / max(float(np.ptp(field)), 1e-6), np.float32)
