"""A small U-Net at full resolution over slots: any multispectral or radar bands → classes.

    net = SlotNet(SlotConfig(("other", "water")))
    logits = net(planes, present)      # (n, 2, H, W)

Fields and streams are few pixels wide at 10 to 30 m, so the first level keeps every pixel
(Ronneberger et al. 2015, arXiv 1505.04597).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from terralogue.datasets.dense_slots import SLOTS

STRIDE: Final = 8
"""Sides of an input have to be multiples of this."""


@dataclass(frozen=True)
class SlotConfig:
    """What is needed to build the network before its weights are loaded.

    Attributes:
        classes: in the order of the logits.
        widths: channels at strides 1, 2, 4 and 8.
    """

    classes: Sequence[str]
    widths: Sequence[int] = (24, 48, 80, 112)

    @property
    def settings(self) -> dict[str, object]:
        """The configuration, JSON-compatible."""
        return asdict(self)


class SlotNet(nn.Module):
    """Encoder with strided convolutions, decoder with skips, one 1 x 1 convolution."""

    def __init__(self, config: SlotConfig) -> None:
        """Build with random weights."""
        super().__init__()
        self.config = config
        first, *deeper = config.widths
        self.enter = nn.Sequential(_block(2 * len(SLOTS), first), _block(first, first))
        self.down = nn.ModuleList(
            nn.Sequential(_block(above, width, 2), _block(width, width))
            for above, width in zip(config.widths, deeper, strict=False)
        )
        self.up = nn.ModuleList(
            nn.Sequential(_block(below + width, width), _block(width, width))
            for width, below in zip(config.widths, deeper, strict=False)
        )
        self.leave = nn.Conv2d(first, len(config.classes), 1)

    def forward(self, planes: Tensor, present: Tensor) -> Tensor:
        """Logits (n, classes, H, W).

        Args:
            planes: (n, slots, H, W) as `slot_planes` gives them, 0 where unobserved; H and W are
                multiples of STRIDE.
            present: (n, slots), 1 where a band fills the slot, else 0.
        """
        here = present[:, :, None, None].to(planes.dtype).expand_as(planes)
        x = self.enter(torch.cat((planes, here), 1))
        levels = [x]
        for stage in self.down:
            levels.append(stage(levels[-1]))
        x = levels.pop()
        for stage, level in zip(reversed(self.up), reversed(levels), strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = stage(torch.cat((x, level), 1))
        logits: Tensor = self.leave(x)
        return logits


def _block(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )
