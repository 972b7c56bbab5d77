"""Real land cover in three colours: the chips of EuroSAT, whose class every pixel is taken to have.

    pack_pictures(data, pack)
    tiles = mosaics(read_pictures(pack, "train"), 8)

The pictures are Sentinel-2 reflectance at the top of the atmosphere, 0 to 0.275 in a byte (found by
regression of three chips on their 13-band originals), so that they fill the slots B, G and R. A
mosaic shows many chips at coarser pixels, so that a network learns where one class ends.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from terralogue.datasets.dense_covers import COVERS
from terralogue.datasets.dense_slots import OPTICAL, SLOTS
from terralogue.datasets.errors import InputError
from terralogue.datasets.parts import Part, part
from terralogue.tools.dense_ms_training import IGNORED, Tiles

PACK: Final = "eurosat_bgr.npz"
SIDE: Final = 64
"""Of a chip, and of a mosaic."""
WHITE: Final = 0.275
"""Reflectance of the byte 255."""
COVER_OF: Final = {
    "AnnualCrop": "cropland",
    "PermanentCrop": "cropland",
    "Forest": "tree_cover",
    "HerbaceousVegetation": "grassland",
    "Pasture": "grassland",
    "Industrial": "built_up",
    "Residential": "built_up",
    "SeaLake": "water",
}
"""Classes of chips that are one class of ours; rivers and highways are mostly something else."""
# Gardens and trees between the houses are no roofs: green over red, at the top of the atmosphere.
_GREEN: Final = 1.15
# Chips along a side of a mosaic, and how often.
_GRIDS: Final = ((1, 0.5), (2, 0.3), (4, 0.2))
_COLOURS: Final = [SLOTS.index(name) for name in ("B", "G", "R")]


class Pictures(NamedTuple):
    """Chips of one part.

    Attributes:
        colours: uint8 (n, 3, 64, 64), blue, green and red.
        codes: (n,) positions in COVERS, int64.
    """

    colours: Tensor
    codes: Tensor


def pack_pictures(data: Path, pack: Path) -> None:
    """Write the chips of `eurosat_rgb` into one .npz file, with their parts.

    Raises:
        InputError: there are none.
    """
    from PIL import Image

    folder = data / "eurosat_rgb"
    found = [(path, name) for name in COVER_OF for path in sorted((folder / name).glob("*.*"))]
    if not found:
        raise InputError(f"{data} holds no eurosat_rgb; give the folder of the data sets")
    chips, codes, parts = [], [], []
    for path, name in found:
        with Image.open(path) as image:
            chips.append(np.asarray(image.convert("RGB"), np.uint8)[..., ::-1].transpose(2, 0, 1))
        codes.append(COVERS.index(COVER_OF[name]))
        parts.append(part("eurosat", path.name))
    pack.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(pack, colours=np.stack(chips), codes=np.array(codes), parts=np.array(parts))


def read_pictures(pack: Path, which: Part) -> Pictures:
    """One part of what `pack_pictures` wrote.

    Raises:
        InputError: there is no such file.
    """
    if not pack.is_file():
        raise InputError(f"{pack} does not exist; give --data once, to make it")
    with np.load(pack) as stored:
        chosen = stored["parts"] == which
        return Pictures(
            torch.from_numpy(stored["colours"][chosen]), torch.from_numpy(stored["codes"][chosen])
        )


def mosaics(pictures: Pictures, count: int) -> Tiles:
    """Draw mosaics with torch's generator: pixels of 10, 20 or 40 m, and all classes as likely.

    A rectangle of each shows the next one, so that borders lie anywhere.
    """
    kinds = sorted(set(pictures.codes.tolist()))
    members = [torch.where(pictures.codes == kind)[0] for kind in kinds]
    colours, codes = [], []
    shares = torch.tensor([share for _, share in _GRIDS])
    for _ in range(count):
        grid = _GRIDS[int(torch.multinomial(shares, 1))][0]
        some = torch.stack([_one_of(members) for _ in range(grid**2)])
        chips = F.avg_pool2d(pictures.colours[some].float(), grid)
        labels = pictures.codes[some][:, None, None, None].expand(-1, 1, *chips.shape[2:])
        colours.append(_joined(chips, grid))
        codes.append(_joined(labels, grid)[0])
    image, label = torch.stack(colours), torch.stack(codes)
    top, left = (int(torch.randint(SIDE // 2, ())) for _ in range(2))
    bottom, right = (
        first + int(torch.randint(SIDE // 4, SIDE // 2 + 1, ())) for first in (top, left)
    )
    inside = slice(top, bottom), slice(left, right)
    image[..., *inside] = image.roll(1, 0)[..., *inside]
    label[..., *inside] = label.roll(1, 0)[..., *inside]
    return _tiles(image, label)


def whole(pictures: Pictures) -> Tiles:
    """The chips as they are."""
    labels = pictures.codes[:, None, None].expand(-1, SIDE, SIDE)
    return _tiles(pictures.colours.float(), labels)


def thinner_air(planes: Tensor) -> Tensor:
    """Take some of the air's own light away, from none to all of Rayleigh's; half of the images.

    The inverse of what the simulator adds (`datasets/synthetic_optics.py`), so that images of the
    top of the atmosphere stand for such of the surface too.

    Args:
        planes: slots (n, slots, H, W).
    """
    count = len(planes)
    wave = torch.tensor([slot.centre for slot in OPTICAL])
    depth = 0.00857 * wave**-4 * (1 + 0.0113 * wave**-2)
    cosine = 0.4 + 0.5 * torch.rand(count, 1)
    share = torch.rand(count, 1) * (torch.rand(count, 1) < 0.5)
    path = share * depth * 0.75 * (1 + cosine**2) / (4 * cosine)
    through = torch.exp(-0.52 * share * depth * (1 / cosine + 1))
    optical = planes[:, : len(OPTICAL)].float()
    ground = ((optical + 1) / 2.5) ** 2 - path[..., None, None]
    clear = 2.5 * (ground / through[..., None, None]).clamp(0.002, 1.5).sqrt() - 1
    return torch.cat((clear, planes[:, len(OPTICAL) :].float()), 1)


def drawing(pictures: Pictures) -> Callable[[int], Tiles]:
    """Gives mosaics of pictures, seen through air of any thickness."""

    def draw(count: int) -> Tiles:
        tiles = mosaics(pictures, count)
        return tiles._replace(planes=thinner_air(tiles.planes))

    return draw


def _one_of(members: list[Tensor]) -> Tensor:
    mine = members[int(torch.randint(len(members), ()))]
    return mine[int(torch.randint(len(mine), ()))]


def _joined(chips: Tensor, grid: int) -> Tensor:
    """Chips (grid², channels, h, w) side by side: (channels, grid h, grid w)."""
    _, channels, height, width = chips.shape
    rows = chips.view(grid, grid, channels, height, width).permute(2, 0, 3, 1, 4)
    return rows.reshape(channels, grid * height, grid * width)


def _tiles(colours: Tensor, labels: Tensor) -> Tiles:
    """Slots of colours (n, 3, H, W) in bytes, and codes without the green of gardens."""
    planes = torch.zeros(len(colours), len(SLOTS), *colours.shape[2:])
    planes[:, _COLOURS] = 2.5 * (colours * (WHITE / 255)).sqrt() - 1
    present = torch.zeros(len(colours), len(SLOTS))
    present[:, _COLOURS] = 1
    green = colours[:, 1] > _GREEN * colours[:, 2]
    garden = green & (labels == COVERS.index("built_up"))
    return Tiles(planes, present, torch.where(garden, IGNORED, labels).to(torch.uint8))
