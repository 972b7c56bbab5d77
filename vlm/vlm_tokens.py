"""Image tokens: what the vision-language model gets from the frozen image tower."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from terralogue.datasets.bands import Band
from terralogue.vlm.tower import ImageTower
from terralogue.vlm.vlm_views import View

GRID: Final = 5
"""Tokens along a side of a view; with the token of the whole view there are GRID² + 1."""
TOKENS: Final = GRID * GRID + 1
_BATCH: Final = 64


def token_width(tower: ImageTower) -> int:
    """Numbers in a token: the coarsest features, and the finer ones of the same ground in four."""
    blocks = tower.trunk.blocks
    fine, coarse = (blocks[i][-1] for i in (4, 6))  # type: ignore[index]
    return _channels(coarse) + 4 * _channels(fine)


def _channels(block: Any) -> int:
    return int(block.conv_pwl.out_channels)


def image_tokens(tower: ImageTower, images: Tensor, bands: Sequence[Band]) -> Tensor:
    """Tokens of views of one band set.

    Args:
        tower: in evaluation mode.
        images: (n, bands, TILE, TILE) in about -1 to 1.
        bands: along the second axis.

    Returns:
        float16 (n, TOKENS, token_width): first the ground row by row, features of stride 32 beside
        those of stride 16; last the embedding of the view in the space of texts, then zeros.
    """
    levels = tower.pyramid(images, bands)
    fine, coarse = levels[-2].float(), levels[-1]
    pooled = tower.trunk.bn2(tower.trunk.conv_head(coarse)).float().mean((2, 3))  # type: ignore[operator]
    coarse = F.adaptive_avg_pool2d(coarse.float(), GRID)
    fine = F.pixel_unshuffle(F.adaptive_avg_pool2d(fine, 2 * GRID), 2)
    local = torch.cat([coarse, fine], 1).flatten(2).transpose(1, 2)
    whole = local.new_zeros(len(local), 1, local.shape[2])
    whole[:, 0, : tower.config.dimensions] = tower.head(pooled)
    return torch.cat([local, whole], 1).half()


@torch.inference_mode()
def tokens_of(tower: ImageTower, views: Sequence[View]) -> Tensor:
    """Tokens of views of any sensors, in order: float16 (n, TOKENS, token_width) on the CPU."""
    device = next(tower.parameters()).device
    groups: dict[tuple[Band, ...], list[int]] = {}
    for i, view in enumerate(views):
        groups.setdefault(view.bands, []).append(i)
    out = torch.zeros(len(views), TOKENS, token_width(tower), dtype=torch.float16)
    for bands, rows in groups.items():
        for start in range(0, len(rows), _BATCH):
            chosen = rows[start : start + _BATCH]
            images = torch.from_numpy(np.stack([views[i].data for i in chosen])).to(device)
            images = images.contiguous(memory_format=torch.channels_last)
            out[chosen] = image_tokens(tower, images, bands).cpu()
    return out
