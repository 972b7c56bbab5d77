"""A one-stage detector: fixed bands → boxes with a score for each class.

    net = DetectorNet(DetectorConfig(("ship",), bands=("B", "G", "R", "N", "S1"), blocks=5))
    logits, distances = net(images)        # (n, points, classes), (n, points, 4)

Anchor-free in the manner of FCOS (Tian et al. 2019, arXiv 1904.01355): each point of a feature
pyramid over the tower's trunk says for each class how likely a thing is there and how far its four
edges are. In place of a centre-ness branch the score learns how well the box will fit (quality
focal loss, Li et al. 2020, arXiv 2006.04388).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torchvision.ops import batched_nms  # type: ignore[import-untyped]

from terralogue.vlm.trunk import build_trunk

STRIDE: Final = 64
"""Sides of an input have to be multiples of this."""
# Block of the trunk after which the stride is 8, 16 and 32, and its channels.
_LEVELS: Final = ((2, 40), (4, 112), (6, 320))
_PRIOR: Final = 0.01  # score of every point before training, so that the first losses stay small
_LONGEST: Final = 6.0  # logarithm of the longest distance in strides, against overflow


@dataclass(frozen=True)
class DetectorConfig:
    """What is needed to build the network before its weights are loaded.

    Attributes:
        classes: targets, in the order of the logits.
        bands: common names of the input's bands, in order.
        blocks: how many of the trunk's seven stages are used: 7, or 5, which ends at stride 16.
        width: channels of the feature pyramid and the heads.
        convs: hidden layers of each of the two heads.
    """

    classes: tuple[str, ...]
    bands: tuple[str, ...] = ("R", "G", "B")
    blocks: int = 7
    width: int = 96
    convs: int = 2

    @property
    def settings(self) -> dict[str, object]:
        """JSON-compatible; the fields of `DetectorConfig`."""
        return asdict(self)

    @property
    def strides(self) -> tuple[int, ...]:
        """Of the levels of the pyramid: the trunk's, and one more."""
        found = [8 << i for i, (block, _) in enumerate(_LEVELS) if block < self.blocks]
        return (*found, found[-1] * 2)


class DetectorNet(nn.Module):
    """Stem, trunk, feature pyramid, and a head for classes and one for edges on all levels."""

    def __init__(self, config: DetectorConfig) -> None:
        """Build with random weights; training begins with those of the image tower."""
        super().__init__()
        self.config = config
        trunk = build_trunk("lite0")
        first = trunk.conv_stem
        assert isinstance(first, nn.Conv2d)
        self.stem = nn.Conv2d(len(config.bands), first.out_channels, 3, stride=2)
        activate = trunk.bn1
        assert isinstance(activate, nn.Module)
        self.activate = activate
        self.blocks = nn.ModuleList(list(trunk.blocks)[: config.blocks])  # type: ignore[arg-type]
        used = [(block, width) for block, width in _LEVELS if block < config.blocks]
        self.taps = tuple(block for block, _ in used)
        self.lateral = nn.ModuleList(nn.Conv2d(width, config.width, 1) for _, width in used)
        self.smooth = nn.ModuleList(_layer(config.width) for _ in used)
        self.further = _layer(config.width, stride=2)
        self.class_head = nn.Sequential(*(_layer(config.width) for _ in range(config.convs)))
        self.edge_head = nn.Sequential(*(_layer(config.width) for _ in range(config.convs)))
        self.to_class = nn.Conv2d(config.width, len(config.classes), 3, padding=1)
        self.to_edges = nn.Conv2d(config.width, 4, 3, padding=1)
        self.scales = nn.Parameter(torch.zeros(len(config.strides)))
        nn.init.constant_(self.to_class.bias, float(torch.logit(torch.tensor(_PRIOR))))  # type: ignore[arg-type]
        nn.init.normal_(self.to_edges.weight, std=0.01)
        nn.init.constant_(self.to_edges.bias, 0.7)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Predict.

        Args:
            images: (n, bands, H, W) in about -1 to 1; sides are multiples of STRIDE.

        Returns:
            Logits (n, points, classes) and distances in pixels to the left, upper, right and lower
            edge (n, points, 4), both float32; points in the order of `points_of`.
        """
        # Padded as the pretrained trunk was: TensorFlow's "SAME" of even sides.
        x = self.activate(self.stem(F.pad(images, (0, 1, 0, 1))))
        found = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.taps:
                found.append(x)
        levels: list[Tensor] = []
        for lateral, features in zip(reversed(self.lateral), reversed(found), strict=True):
            own = lateral(features)
            levels.append(own if not levels else own + F.interpolate(levels[-1], scale_factor=2))
        levels = [smooth(x) for smooth, x in zip(self.smooth, reversed(levels), strict=True)]
        levels.append(self.further(levels[-1]))
        logits, distances = [], []
        for x, scale, stride in zip(levels, self.scales, self.config.strides, strict=True):
            logits.append(self.to_class(self.class_head(x)).flatten(2))
            edges = self.to_edges(self.edge_head(x)).flatten(2).float() + scale
            distances.append(edges.clamp(max=_LONGEST).exp() * stride)
        return torch.cat(logits, 2).float().mT, torch.cat(distances, 2).mT


def _layer(width: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.GroupNorm(8, width), nn.SiLU())


def points_of(
    strides: Sequence[int], shape: tuple[int, int], device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """The points of all levels for an input of (H, W): x and y (points, 2), stride (points,)."""
    places, sizes = [], []
    for stride in strides:
        rows = (torch.arange(shape[0] // stride, device=device) + 0.5) * stride
        columns = (torch.arange(shape[1] // stride, device=device) + 0.5) * stride
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        places.append(torch.stack([x.flatten(), y.flatten()], 1))
        sizes.append(torch.full((x.numel(),), float(stride), device=device))
    return torch.cat(places), torch.cat(sizes)


def boxes_at(points: Tensor, distances: Tensor) -> Tensor:
    """Left, top, right, bottom (…, points, 4) from points (points, 2) and distances to edges."""
    return torch.cat([points - distances[..., :2], points + distances[..., 2:]], -1)


@torch.inference_mode()
def find(
    net: DetectorNet,
    images: Tensor,
    *,
    floor: float = 0.05,
    overlap: float = 0.5,
    most: int = 1000,
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Boxes in each image, the best first.

    Args:
        net: in evaluation mode.
        images: as `DetectorNet.forward` takes them.
        floor: lowest score.
        overlap: intersection over union from which the weaker of two boxes of a class goes.
        most: boxes looked at before that, and kept, in one image.

    Returns:
        For each image boxes (k, 4) in pixels, scores (k,) and classes (k,), all on the CPU.
    """
    logits, distances = net(images)
    points, _ = points_of(net.config.strides, (images.shape[-2], images.shape[-1]), images.device)
    boxes = boxes_at(points, distances)
    found = []
    for own, around in zip(logits.sigmoid(), boxes, strict=True):
        scores, flat = own.flatten().topk(min(most, own.numel()))
        flat = flat[scores >= floor]
        scores = scores[scores >= floor]
        place, kind = flat // own.shape[1], flat % own.shape[1]
        kept = batched_nms(around[place], scores, kind, overlap)
        found.append((around[place][kept].cpu(), scores[kept].cpu(), kind[kept].cpu()))
    return found
