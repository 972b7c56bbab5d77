"""Crops of pictures for training: turned, zoomed and recoloured, as one batch on any device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from terralogue.tools.detect_loss import Truth
from terralogue.tools.detect_pack import SKIPPED, Example

# How far things may be larger or smaller than they are, and how often a crop is around one.
_ZOOM: Final = (0.6, 1.6)
_AROUND: Final = 0.8
# Shares of a box in sight from which it is a thing to be found, and below which it is left out.
_SEEN, _UNSEEN = 0.5, 0.1
# A picture's number of crops grows with this power of the rarity of its rarest class.
_RARITY: Final = 0.5
# Bytes of stretched bands are these numbers.
BYTES: Final = (-1.5, 3.5)


@dataclass(frozen=True)
class Gallery:
    """All pictures of a training on one device.

    Attributes:
        pixels: uint8 (n, bands, C, C), filled up with zeros to the right and below.
        sizes: float32 (n, 2): width and height.
        boxes: float32 (n, m, 4), filled up with zeros.
        kinds: int64 (n, m); -1 where filled up, SKIPPED as in `Example`.
        known: bool (n, classes).
        scales: by which each picture was shrunk.
        chances: of each picture to be drawn.
    """

    pixels: Tensor
    sizes: Tensor
    boxes: Tensor
    kinds: Tensor
    known: Tensor
    scales: Tensor
    chances: Tensor


def gallery(examples: Sequence[Example], device: str) -> Gallery:
    """Bring pictures to a device, those of rare classes with a greater chance to be drawn."""
    most = max(max(len(each.boxes) for each in examples), 1)
    side = max(max(each.pixels.shape[1:]) for each in examples)
    bands, classes = len(examples[0].pixels), len(examples[0].known)
    pixels = torch.zeros((len(examples), bands, side, side), dtype=torch.uint8)
    boxes = torch.zeros((len(examples), most, 4))
    kinds = torch.full((len(examples), most), -1)
    for i, each in enumerate(examples):
        _, height, width = each.pixels.shape
        pixels[i, :, :height, :width] = torch.from_numpy(each.pixels)
        boxes[i, : len(each.boxes)] = torch.from_numpy(each.boxes)
        kinds[i, : len(each.kinds)] = torch.from_numpy(each.kinds)
    sizes = torch.tensor([each.pixels.shape[:0:-1] for each in examples], dtype=torch.float32)
    has = (kinds[:, :, None] == torch.arange(classes)).any(1).float()
    share = has.mean(0).clamp(min=1 / len(examples))
    chances = (has * share**-_RARITY).amax(1).clamp(min=1.0)
    return Gallery(
        pixels.to(device), sizes.to(device), boxes.to(device), kinds.to(device),
        torch.from_numpy(np.stack([each.known for each in examples])).to(device),
        torch.tensor([each.scale for each in examples], device=device), chances.to(device),
    )  # fmt: skip


def draw(
    source: Gallery, count: int, side: int, zoom: float, generator: torch.Generator
) -> tuple[Tensor, Truth]:
    """Draw a batch: images (count, bands, side, side) in about -1 to 1, and their boxes."""
    device = source.pixels.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator, device=device) * (high - low) + low

    which = torch.multinomial(source.chances, count, replacement=True, generator=generator)
    sizes, kinds = source.sizes[which], source.kinds[which]
    factor = zoom * uniform(*np.log(_ZOOM).tolist()).exp() / source.scales[which]
    # The middle of a crop: near a thing, or anywhere.
    things = (kinds >= 0).float() + 1e-9
    thing = torch.multinomial(things, 1, generator=generator)[:, 0]
    box = source.boxes[which, thing]
    near = (box[:, :2] + box[:, 2:]) / 2 + uniform(-0.45, 0.45, 2) * (side / factor)[:, None]
    anywhere = uniform(0, 1, 2) * sizes
    around = (uniform(0, 1) < _AROUND) & (kinds >= 0).any(1)
    middle = torch.where(around[:, None], near, anywhere)
    # Inside the picture, as far as it is larger than the crop.
    half = torch.minimum(side / factor[:, None], sizes) / 2
    middle = torch.maximum(torch.minimum(middle, sizes - half), half)
    turn = torch.randint(0, 4, (count,), generator=generator, device=device)
    flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    matrix = _rotation(turn, flip)
    images = _sample(source.pixels, which, matrix / factor[:, None, None], middle, side, sizes)
    boxes = _moved(source.boxes[which], middle, matrix.mT * factor[:, None, None], side)
    inside = boxes.clamp(0, side)
    seen = _area(inside) / _area(boxes).clamp(min=1e-6)
    kinds = torch.where((kinds >= 0) & (seen < _SEEN), SKIPPED, kinds)
    kinds = torch.where(seen < _UNSEEN, -1, kinds)
    return _recoloured(images, generator), Truth(inside, kinds, source.known[which])


def values(pixels: Tensor) -> Tensor:
    """Bytes (n, bands, H, W) as numbers in about -1 to 1: of a picture, or of stretched bands."""
    if pixels.shape[1] == 3:
        return pixels.float() / 127.5 - 1
    return pixels.float() / 255 * (BYTES[1] - BYTES[0]) + BYTES[0]


def _rotation(turn: Tensor, flip: Tensor) -> Tensor:
    """Matrices (n, 2, 2) of quarter turns after a reflection of x; from the crop to the picture."""
    cosine = torch.tensor([1.0, 0.0, -1.0, 0.0], device=turn.device)[turn]
    sine = torch.tensor([0.0, 1.0, 0.0, -1.0], device=turn.device)[turn]
    rows = [torch.stack([cosine * flip, -sine], 1), torch.stack([sine * flip, cosine], 1)]
    return torch.stack(rows, 1)


def _sample(
    pixels: Tensor, which: Tensor, matrix: Tensor, middle: Tensor, side: int, sizes: Tensor
) -> Tensor:
    """Pixels of crops, 0 beyond the picture; one picture at a time to spare memory."""
    steps = torch.arange(side, device=middle.device) + 0.5 - side / 2
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    offsets = torch.stack([x, y], -1).reshape(1, -1, 2)
    places = (offsets @ matrix.mT + middle[:, None]).view(-1, side, side, 2)
    beyond = ((places < 0) | (places > sizes[:, None, None])).any(-1)
    grid = places / pixels.shape[-1] * 2 - 1
    found = F.grid_sample(values(pixels[which]), grid, align_corners=False)
    return found.masked_fill(beyond[:, None], 0.0)


def _moved(boxes: Tensor, middle: Tensor, matrix: Tensor, side: int) -> Tensor:
    """Boxes (n, m, 4) of the pictures in their crops."""
    corners = torch.stack([boxes[..., :2], boxes[..., 2:]], 2) - middle[:, None, None]
    turned = torch.einsum("nij,nmkj->nmki", matrix, corners) + side / 2
    return torch.cat([turned.amin(2), turned.amax(2)], -1)


def _recoloured(images: Tensor, generator: torch.Generator) -> Tensor:
    """Brightness, contrast, tint, lack of colour and noise."""
    count, bands = images.shape[:2]

    def normal(spread: float, *shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=generator, device=images.device) * spread

    grey = images.mean(1, keepdim=True)
    pale = torch.rand(count, 1, 1, 1, generator=generator, device=images.device)
    # A tenth of the pictures loses its colours; of further bands none, since they are no colours.
    pale = torch.where(pale < 0.1, 1.0, normal(0.2, 1, 1, 1).clamp(-0.5, 0.5))
    if bands == 3:
        images = images + (grey - images) * pale
    images = images * normal(0.18, 1, 1, 1).exp() * normal(0.06, bands, 1, 1).exp()
    images = images + normal(0.15, 1, 1, 1) + normal(0.05, bands, 1, 1)
    rough = normal(0.05, 1, 1, 1).abs()
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return images + noise * rough


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
