"""Pictures that show no ground at all: what the model is taught to be unsure about.

Outlier exposure (Hendrycks et al. 2019): a classifier that has seen many kinds of pictures which
are no scene tells other such kinds from scenes too. Every family is drawn by a formula or by
Pillow; ★ FAMILIES is the table. Kinds that are kept for testing are in the tests alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

Picture = NDArray[np.uint8]
Random = np.random.Generator
Family = Callable[[Random, int], NDArray[Any]]

_LETTERS: Final = np.array(list("etaoinshrdlucmfwypvbgkETAOINSHR 0123456789.,:"))


def _grid(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows, columns = np.indices((size, size)) / size
    return rows, columns


def _colours(rng: Random, grey: NDArray[Any]) -> NDArray[Any]:
    """One channel between 0 and 1 as a blend of two colours, or grey."""
    if rng.random() < 0.4:
        return np.repeat(grey[..., None] * 255, 3, axis=2)
    low, high = rng.integers(0, 256, (2, 3)).astype(float)
    made: NDArray[Any] = low + grey[..., None] * (high - low)
    return made


def coloured_noise(rng: Random, size: int) -> NDArray[Any]:
    """Noise whose amplitude falls with frequency by a random power, 0 is white and 2 is brown."""
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = frequency[0, 1]
    power, shared = rng.uniform(0, 2.2), rng.random()
    base = rng.normal(size=(size, size))
    channels = []
    for _ in range(3):
        grain = shared * base + (1 - shared) * rng.normal(size=(size, size))
        made = np.fft.ifft2(np.fft.fft2(grain) / frequency**power).real
        channels.append((made - made.mean()) / made.std())
    spread, middle = rng.uniform(15, 90), rng.uniform(60, 200, 3)
    return np.stack(channels, -1) * spread + middle


def blurred_noise(rng: Random, size: int) -> NDArray[Any]:
    """White noise under a Gaussian, its contrast brought back."""
    grain = rng.normal(size=(size, size, 3 if rng.random() < 0.6 else 1))
    soft = gaussian_filter(grain, (sigma := rng.uniform(0.7, 12), sigma, 0))
    soft = (soft - soft.mean()) / soft.std()
    made = soft * rng.uniform(20, 90) + rng.uniform(60, 200)
    return np.repeat(made, 3, axis=2) if made.shape[2] == 1 else made


def gradient(rng: Random, size: int) -> NDArray[Any]:
    """A ramp, straight or round."""
    rows, columns = _grid(size)
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        ramp = rows * np.sin(angle) + columns * np.cos(angle)
    else:
        ramp = np.hypot(rows - rng.random(), columns - rng.random())
    ramp = (ramp - ramp.min()) / np.ptp(ramp)
    return _colours(rng, ramp ** rng.uniform(0.5, 2))


def waves(rng: Random, size: int) -> NDArray[Any]:
    """Gratings, plaids, rings and zone plates."""
    rows, columns = _grid(size)
    made = np.zeros((size, size))
    for _ in range(int(rng.integers(1, 4))):
        angle, pitch = rng.uniform(0, np.pi), rng.uniform(2, 40)
        along = rows * np.sin(angle) + columns * np.cos(angle)
        if rng.random() < 0.3:
            along = np.hypot(rows - rng.random(), columns - rng.random()) ** rng.choice([1, 2])
        made += np.sin(2 * np.pi * pitch * along + rng.uniform(0, 6))
    made = (made - made.min()) / np.ptp(made)
    if rng.random() < 0.3:
        made = (made > 0.5).astype(float)
    return _colours(rng, made)


def steps(rng: Random, size: int) -> NDArray[Any]:
    """Halves, bars and squares of two or three flat tones."""
    rows, columns = _grid(size)
    kind = rng.integers(3)
    if kind == 0:
        angle = rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)])
        made = (rows - 0.5) * np.sin(angle) + (columns - 0.5) * np.cos(angle) > rng.normal(0, 0.15)
    elif kind == 1:
        made = np.floor((rows if rng.random() < 0.5 else columns) * rng.integers(2, 24)) % 2
    else:
        count = rng.integers(2, 24)
        made = (np.floor(rows * count) + np.floor(columns * count)) % 2
    return _colours(rng, made.astype(float))


def blocks(rng: Random, size: int) -> NDArray[Any]:
    """A grid of cells in random tones, as in a two-dimensional code or a mosaic of pixels."""
    cells = int(rng.integers(4, 48))
    if rng.random() < 0.6:
        values = rng.integers(0, 2, (cells, cells)).astype(float)
        wide = values[np.ix_(*[np.arange(size) * cells // size] * 2)]
        return _colours(rng, wide)
    coloured = rng.integers(0, 256, (cells, cells, 3))
    return coloured[np.ix_(*[np.arange(size) * cells // size] * 2)]


def _colour(rng: Random) -> tuple[int, int, int]:
    red, green, blue = rng.integers(0, 256, 3)
    return int(red), int(green), int(blue)


def _paper(rng: Random, size: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    paper = (255, 255, 255) if rng.random() < 0.5 else _colour(rng)
    image = Image.new("RGB", (size, size), paper)
    return image, ImageDraw.Draw(image)


def _corners(rng: Random, size: int, count: int) -> list[tuple[float, float]]:
    around = rng.uniform(0.15, 0.85, 2) * size
    points = around + rng.normal(0, rng.uniform(0.06, 0.3) * size, (count, 2))
    return [(float(x), float(y)) for x, y in points]


def _box(rng: Random, size: int) -> tuple[float, float, float, float]:
    x, y = rng.uniform(-0.1, 0.8, 2) * size
    width, height = rng.uniform(0.05, 0.7, 2) * size
    return x, y, x + width, y + height


def page(rng: Random, size: int) -> NDArray[Any]:
    """Lines of letters."""
    image, pen = _paper(rng, size)
    ink, letter = _colour(rng) if rng.random() < 0.5 else (0, 0, 0), int(rng.integers(8, 30))
    for y in range(int(rng.integers(0, 20)), size, int(letter * rng.uniform(1.1, 2.2))):
        text = "".join(rng.choice(_LETTERS, int(rng.integers(3, 60))))
        pen.text((float(rng.integers(0, 30)), y), text, fill=ink, font_size=letter)
    return np.asarray(image)


def outlines(rng: Random, size: int) -> NDArray[Any]:
    """A drawing of lines."""
    image, pen = _paper(rng, size)
    ink, width = _colour(rng) if rng.random() < 0.4 else (0, 0, 0), int(rng.integers(1, 7))
    for _ in range(int(rng.integers(2, 14))):
        kind = rng.integers(4)
        if kind == 0:
            pen.ellipse(_box(rng, size), outline=ink, width=width)
        elif kind == 1:
            pen.rectangle(_box(rng, size), outline=ink, width=width)
        elif kind == 2:
            pen.line(_corners(rng, size, int(rng.integers(2, 9))), fill=ink, width=width)
        else:
            start = float(rng.uniform(0, 360))
            pen.arc(_box(rng, size), start, start + float(rng.uniform(40, 300)), ink, width)
    return np.asarray(image)


def cartoon(rng: Random, size: int) -> NDArray[Any]:
    """Flat shapes on a flat ground, some with a border."""
    image, pen = _paper(rng, size)
    border = (0, 0, 0) if rng.random() < 0.5 else None
    for _ in range(int(rng.integers(2, 16))):
        if rng.random() < 0.5:
            pen.ellipse(_box(rng, size), fill=_colour(rng), outline=border, width=3)
        else:
            pen.polygon(_corners(rng, size, int(rng.integers(3, 7))), _colour(rng), border)
    return np.asarray(image)


def chart(rng: Random, size: int) -> NDArray[Any]:
    """Bars, a curve or a pie between axes."""
    image, pen = _paper(rng, size)
    kind, count = rng.integers(3), int(rng.integers(3, 14))
    if kind == 0:
        step = size / (count + 1)
        for bar in range(count):
            left, top = step * (bar + 0.5), size * (0.95 - float(rng.uniform(0.05, 0.85)))
            pen.rectangle((left, top, left + 0.7 * step, size * 0.95), fill=_colour(rng))
    elif kind == 1:
        for _ in range(int(rng.integers(1, 5))):
            heights = size * rng.uniform(0.1, 0.9, count)
            points = [(size * (i + 0.5) / count, float(y)) for i, y in enumerate(heights)]
            pen.line(points, fill=_colour(rng), width=3)
    else:
        cuts = np.sort(rng.uniform(0, 360, count))
        for start, end in zip(cuts, np.roll(cuts, -1), strict=True):
            pen.pieslice((size * 0.1, size * 0.1, size * 0.9, size * 0.9), float(start),
                         float(end), fill=_colour(rng))  # fmt: skip
    if kind < 2:
        pen.line([(8, 8), (8, size - 8), (size - 8, size - 8)], fill=(0, 0, 0), width=2)
    return np.asarray(image)


def panel(rng: Random, size: int) -> NDArray[Any]:
    """A window of a program: bars, boxes, buttons and labels."""
    image, pen = _paper(rng, size)
    pen.rectangle((0, 0, size, size * float(rng.uniform(0.05, 0.2))), fill=_colour(rng))
    for _ in range(int(rng.integers(4, 18))):
        x, y = (float(v) for v in rng.uniform(0, 0.9, 2) * size)
        width, height = (float(v) for v in rng.uniform(0.05, 0.35, 2) * size)
        if rng.random() < 0.5:
            pen.rectangle((x, y, x + width, y + 0.4 * height), fill=_colour(rng), outline=(90,) * 3)
        text = "".join(rng.choice(_LETTERS, int(rng.integers(3, 18))))
        pen.text((x + 3, y + 3), text, fill=(0, 0, 0), font_size=int(rng.integers(8, 18)))
    return np.asarray(image)


# ★ One line per family.
FAMILIES: Final[dict[str, Family]] = {
    "coloured_noise": coloured_noise,
    "blurred_noise": blurred_noise,
    "gradient": gradient,
    "waves": waves,
    "steps": steps,
    "blocks": blocks,
    "page": page,
    "outlines": outlines,
    "cartoon": cartoon,
    "chart": chart,
    "panel": panel,
}


def nonsense(count: int, seed: int, size: int = 224) -> dict[str, list[Picture]]:
    """Pictures uint8 (3, size, size) of every family, so many of each."""
    made: dict[str, list[Picture]] = {}
    for number, (name, family) in enumerate(FAMILIES.items()):
        rng = np.random.default_rng([seed, number])
        drawn = [np.clip(family(rng, size), 0, 255).astype(np.uint8) for _ in range(count)]
        made[name] = [np.ascontiguousarray(each.transpose(2, 0, 1)) for each in drawn]
    return made
