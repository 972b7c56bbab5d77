"""Views for training the decoder that points: crops at any scale with their marks and words.

views = draw_views(pictures, bank, ViewConfig(), count=12, rng=rng)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from terralogue.datasets.bands import Band
from terralogue.vlm.align_data import to_float
from terralogue.vlm.referring_concepts import CONCEPTS
from terralogue.vlm.referring_data import UNKNOWN, Marked

# Pixels of a view that a thing in its middle is brought to: from a small boat to a whole stadium.
_THING: Final = (8.0, 100.0)
_ZOOM: Final = (0.25, 2.5)
_COVER_ZOOM: Final = (0.4, 1.5)


@dataclass(frozen=True)
class Views:
    """A batch of one band set.

    Attributes:
        images: float32 (n, bands, V, V) in about -1 to 1.
        bands: along the second axis.
        texts: float32 (n, k, d) embeddings of what is asked for.
        targets: uint8 (n, k, V/4, V/4): 1 there, 0 not, UNKNOWN.
    """

    images: Tensor
    bands: tuple[Band, ...]
    texts: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Bank:
    """Embeddings of every way to name each concept: float32 (forms, d) by concept."""

    forms: Mapping[str, NDArray[np.float32]]
    noise: float = 0.02

    def draw(self, concept: str, rng: np.random.Generator) -> NDArray[np.float32]:
        """One way to name it, a little shaken, L2-normalised."""
        forms = self.forms[concept]
        row = forms[rng.integers(len(forms))]
        if rng.random() < 0.3:
            # Between two names, so that the space between is known too.
            row = row + rng.random() * forms[rng.integers(len(forms))]
        row = row / np.linalg.norm(row) + rng.normal(0, self.noise, row.shape)
        return np.asarray(row / np.linalg.norm(row), np.float32)


def draw_views(
    pictures: Sequence[Marked], bank: Bank, count: int, size: int, texts: int,
    rng: np.random.Generator,
) -> Views:  # fmt: skip
    """Draw views of pictures of one band set.

    Args:
        pictures: to draw from: half of the time each is as likely, else each concept.
        bank: of texts.
        count: views.
        size: V, pixels along each side of a view.
        texts: asked for in each view: about half of them there, the others not.
        rng: source of chance.
    """
    images, asked, targets = [], [], []
    bands = pictures[0].bands
    for _ in range(count):
        picture, focus = _picture(pictures, rng)
        left, top, side = _window(picture, focus, size, rng)
        turn, flip = int(rng.integers(4)), bool(rng.random() < 0.5)
        image = _cut(picture.pixels, left, top, side)
        planes = F.interpolate(image[None], (size, size), mode="bilinear", antialias=True)[0]
        images.append(_turned(planes, turn, flip))
        seen = {name: _inner(mark, left, top, side) for name, mark in picture.marks.items()}
        chosen = _choose(seen, picture.absent, focus, texts, rng)
        asked.append(np.stack([bank.draw(name, rng) for name in chosen]))
        empty = torch.zeros(size // 4, size // 4, dtype=torch.uint8)
        marks = torch.stack(
            [
                _cut_mark(picture.marks[name], left, top, side, size // 4)
                if name in seen
                else empty
                for name in chosen
            ]
        )
        targets.append(_turned(marks, turn, flip))
    return Views(
        torch.stack(images), bands, torch.from_numpy(np.stack(asked)), torch.stack(targets)
    )


def _picture(pictures: Sequence[Marked], rng: np.random.Generator) -> tuple[Marked, str | None]:
    """A picture, and the concept in it that is looked at."""
    known = sorted({name for picture in pictures for name in picture.there})
    if known and rng.random() < 0.5:
        # Rare concepts as often as common ones.
        focus = str(rng.choice(known))
        among = [picture for picture in pictures if focus in picture.there]
        return among[int(rng.integers(len(among)))], focus
    picture = pictures[int(rng.integers(len(pictures)))]
    looked = picture.there and rng.random() < 0.7
    return picture, str(rng.choice(picture.there)) if looked else None


def _window(
    picture: Marked, focus: str | None, size: int, rng: np.random.Generator
) -> tuple[int, int, int]:
    """Left, top and side in pixels of the picture."""
    height, width = picture.size
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    zoom = float(np.exp(rng.uniform(*np.log(_COVER_ZOOM))))
    if focus is not None and picture.boxes.get(focus):
        boxes = picture.boxes[focus]
        box = boxes[rng.integers(len(boxes))]
        x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        long = max(box.right - box.left, box.bottom - box.top, 2.0)
        zoom = float(np.exp(rng.uniform(*np.log(_THING)))) / long
        zoom = float(np.clip(zoom, *_ZOOM))
    elif focus is not None:
        rows, columns = np.nonzero(picture.marks[focus] == 1)
        place = rng.integers(len(rows))
        x, y = float(columns[place]), float(rows[place])
    # A little more than the picture may be seen, never much.
    side = int(min(max(round(size / zoom), 16), 1.15 * max(height, width)))
    jitter = rng.uniform(-0.35, 0.35, 2) * side
    left, top = x + jitter[0] - side / 2, y + jitter[1] - side / 2
    return _within(left, side, width), _within(top, side, height), side


def _within(start: float, side: int, extent: int) -> int:
    """Move a window into the picture, or about its middle where it is larger."""
    if side >= extent:
        return (extent - side) // 2
    return int(np.clip(start, 0, extent - side))


def _cut(pixels: NDArray[np.generic], left: int, top: int, side: int) -> Tensor:
    """A square in about -1 to 1, with 0 outside of the picture."""
    height, width = pixels.shape[1:]
    y0, y1, x0, x1 = max(top, 0), min(top + side, height), max(left, 0), min(left + side, width)
    inner = to_float(pixels[:, y0:y1, x0:x1])
    return F.pad(inner, (x0 - left, left + side - x1, y0 - top, top + side - y1))


def _inner(mark: NDArray[np.uint8], left: int, top: int, side: int) -> NDArray[np.uint8]:
    """The part of a mark within a square, every second pixel of large ones."""
    step = 1 if side <= 160 else 2
    return mark[max(top, 0) : top + side : step, max(left, 0) : left + side : step]


def _cut_mark(mark: NDArray[np.uint8], left: int, top: int, side: int, cells: int) -> Tensor:
    """A square of a mark in cells: what prevails, UNKNOWN where that is not known."""
    height, width = mark.shape
    y0, y1, x0, x1 = max(top, 0), min(top + side, height), max(left, 0), min(left + side, width)
    inner = torch.from_numpy(np.ascontiguousarray(mark[y0:y1, x0:x1]))
    pad = (x0 - left, left + side - x1, y0 - top, top + side - y1)
    both = torch.stack([inner == 1, inner == UNKNOWN]).float()
    there = F.pad(both[:1], pad)
    unknown = F.pad(both[1:], pad, value=1.0)
    share = F.interpolate(torch.cat([there, unknown])[None], (cells, cells), mode="area")[0]
    out = (share[0] >= 0.5).to(torch.uint8)
    out[share[1] > 0.5] = UNKNOWN
    return out


def _choose(
    seen: Mapping[str, NDArray[np.uint8]], absent: frozenset[str], focus: str | None, texts: int,
    rng: np.random.Generator,
) -> list[str]:  # fmt: skip
    """Concepts to ask for: what is looked at, others that are there, and some that are not."""
    there = [n for n, mark in seen.items() if n != focus and (mark == 1).any()]
    known = [n for n, mark in seen.items() if n not in there and (mark == 0).any()]
    missing = [n for n in (*known, *sorted(absent)) if n != focus]
    chosen = [focus] if focus is not None else []
    chosen += [str(n) for n in rng.permutation(there)[: texts // 2 - len(chosen)]]
    chosen += [str(n) for n in rng.permutation(missing)[: texts - len(chosen)]]
    while len(chosen) < texts:
        chosen.append(chosen[0] if chosen else next(iter(CONCEPTS)))
    return chosen


def _turned(planes: Tensor, turn: int, flip: bool) -> Tensor:
    """One of the eight symmetries of the square, of the last two axes."""
    turned = torch.rot90(planes, turn, (-2, -1))
    return turned.flip(-1) if flip else turned
